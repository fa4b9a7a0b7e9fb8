"""The same business twice, over HTTP: in clean order on a good line, and with lost answers, doubled and reordered messages, reversals
before their originals and killed workers. Both end in the same balances, holds and counters.
"""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable

import pytest

from loyalty.pos_client import Fuel, Till
from tests.crash.service import STAFF, Line, Service, again_by_key, presented
from tests.factories.world import TestCard

PRICE = 78_900


def amount(milli: int) -> int:
    return (milli * PRICE + 50_000) // 100_000


class Script:
    """What happens on one card, drawn from a seed before anything runs. A step ends in one state, in whatever order its messages come."""

    def __init__(self, seed: int, steps: int) -> None:
        drawn = random.Random(seed)
        self.steps = [
            (drawn.choice(["sell", "sell", "fill", "fill", "load", "undo", "refund"]), drawn.randrange(1_000, 9_000)) for _ in range(steps)
        ]

    async def run(self, till: Till, card: TestCard, shuffled: random.Random | None) -> None:
        for step, size in self.steps:
            await getattr(self, step)(till, card, size, shuffled)

    async def sell(self, till, card, size, shuffled) -> None:
        await till.sell(presented(card), fuel=self.fuel(size))

    async def fill(self, till, card, size, shuffled) -> None:
        """Three parts of one authorisation: one after the other, or all at once in any order, the final one first perhaps."""
        approved = await till.authorise(presented(card), product="92", quantity_milli=4 * size, partial=False)
        if approved["outcome"] != "approved":
            return
        parts = [
            lambda milli=milli, final=final: till.complete(
                approved["authorization"], quantity_milli=milli, unit_price_e4=PRICE, amount_minor=amount(milli), final=final
            )
            for milli, final in ((size, False), (size // 2, False), (size, True))
        ]
        await self.send(parts, shuffled)

    async def load(self, till, card, size, shuffled) -> None:
        await till.top_up(presented(card), amount_minor=size, tender="cash")

    async def undo(self, till, card, size, shuffled) -> None:
        """A sale and its reversal, which may come first."""
        key = uuid.uuid4()
        await self.send(
            [lambda: till.sell(presented(card), fuel=self.fuel(size), key=key), lambda: till.reverse(key, reason="no answer")], shuffled
        )
        await till.reverse(key, reason="no answer")

    async def refund(self, till, card, size, shuffled) -> None:
        sold = await till.sell(presented(card), fuel=self.fuel(size))
        if sold["outcome"] == "approved":
            await self.send(
                [lambda part=part: till.refund(sold["sale"], reason="customer", gross_minor=part) for part in (100, 250, 7)], shuffled
            )

    def fuel(self, milli: int) -> Fuel:
        return Fuel(product="92", quantity_milli=milli, unit_price_e4=PRICE, amount_minor=amount(milli), nozzle=3)

    async def send(self, messages: list[Callable[[], Awaitable]], shuffled: random.Random | None) -> None:
        if shuffled is None:
            for message in messages:
                await message()
        else:
            shuffled.shuffle(messages)
            await asyncio.gather(*(message() for message in messages))


async def state(service: Service, card: TestCard) -> tuple:
    purses = await service.rows("SELECT kind, balance_minor, held_minor FROM purses WHERE account_id = $1 ORDER BY kind", card.account_id)
    counters = await service.rows(
        "SELECT sum(amount_minor)::bigint AS a, sum(quantity_milli)::bigint AS q, sum(count)::bigint AS n"
        " FROM limit_counters WHERE account_id = $1",
        card.account_id,
    )
    return [tuple(row.values()) for row in purses if row["balance_minor"] or row["held_minor"]], tuple(counters[0].values())


async def run(service: Service, *, seed: int, cards: int, steps: int, kills: int) -> None:
    scripts = [Script(seed * 1_000 + number, steps) for number in range(cards)]
    clean = [await service.card(kind="anonymous", balance_minor=60_000) for _ in scripts]
    rough = [await service.card(kind="anonymous", balance_minor=60_000) for _ in scripts]
    till, _ = await service.till(0)
    await till.open_shift(STAFF, opening_float_minor=0)
    for script, card in zip(scripts, clean, strict=True):
        await script.run(till, card, None)
    bad, line = await service.till(1, line=Line(loses=15, doubles=15, seed=seed))
    await bad.open_shift(STAFF, opening_float_minor=0)
    over = asyncio.Event()

    async def kill() -> None:
        chosen = random.Random(seed)
        for _ in range(kills):
            await asyncio.sleep(chosen.uniform(0.05, 1.0))
            if over.is_set():
                return
            service.kill_a_worker(chosen)
            await asyncio.sleep(3)

    async def serve() -> None:
        await asyncio.gather(*(script.run(bad, card, random.Random(seed)) for script, card in zip(scripts, rough, strict=True)))
        over.set()

    await asyncio.gather(serve(), kill())
    assert [await state(service, card) for card in rough] == [await state(service, card) for card in clean], f"seed {seed}"
    assert await service.broken() == []
    assert {len(answers) for answers in line.by_key.values()} == {1}, "one key, one answer"
    line.mend()
    for key in random.Random(seed).sample(sorted(line.by_key), 20):
        assert {await again_by_key(bad, line, key)} == line.by_key[key]
    for each in (till, bad):
        closed = await each.close_shift(counted_cash_minor=0, explanation="nobody counts in a simulation")
        assert closed["status"] == "closed"


async def test_a_seeded_day_with_faults_ends_as_the_clean_one(service):
    await run(service, seed=20260924, cards=4, steps=6, kills=1)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
async def test_seeded_days_with_faults_end_as_the_clean_ones(service, seed):
    await run(service, seed=seed, cards=12, steps=25, kills=6)
