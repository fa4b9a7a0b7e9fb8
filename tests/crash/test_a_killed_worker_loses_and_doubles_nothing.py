"""SIGKILL at each named crash point, in each operation: the till's retry gets one answer, the same for ever, of one effect."""

import pytest

from loyalty.pos_client import Fuel
from tests.crash.service import STAFF, Service, again, presented

LITRES = Fuel(product="92", quantity_milli=10_000, unit_price_e4=78_900, amount_minor=7_890, nozzle=3)
PUMPED = {"quantity_milli": 10_000, "unit_price_e4": 78_900, "amount_minor": 7_890}
HOT = ("hot-before-write", "hot-after-write")
COLD = ("before-commit", "after-commit")


async def sale(till, card):
    return lambda: till.sell(presented(card), fuel=LITRES)


async def authorisation(till, card):
    return lambda: till.authorise(presented(card), product="92", amount_minor=20_000)


async def completion(till, card):
    approved = await till.authorise(presented(card), product="92", amount_minor=20_000)
    return lambda: till.complete(approved["authorization"], **PUMPED)


async def top_up(till, card):
    return lambda: till.top_up(presented(card), amount_minor=5_000, tender="cash")


async def refund(till, card):
    sold = await till.sell(presented(card), fuel=LITRES)
    return lambda: till.refund(sold["sale"], reason="customer", gross_minor=1_000)


async def reversal(till, card):
    await till.sell(presented(card), fuel=LITRES)
    original = till.state.journal[-1].key
    return lambda: till.reverse(original, reason="no answer")


async def release(till, card):
    approved = await till.authorise(presented(card), product="92", amount_minor=20_000)
    return lambda: till.nozzle_not_lifted(approved["authorization"])


async def loss(till, card):
    return lambda: till.report_lost(card.number, reason="stolen")


# What is prepared, the path of the request that kills, what stands afterwards: balance and hold, sales, refunds, top-ups.
OPERATIONS = {
    "sale": (sale, "/v1/sales", (42_110, 0), 1, 0, 0),
    "authorise": (authorisation, "/v1/authorizations", (50_000, 20_000), 0, 0, 0),
    "complete": (completion, "/completions", (42_110, 0), 1, 0, 0),
    "topup": (top_up, "/v1/topups", (55_000, 0), 0, 0, 1),
    "refund": (refund, "/v1/refunds", (43_110, 0), 1, 1, 0),
    "reversal": (reversal, "/v1/reversals", (50_000, 0), 1, 1, 0),
    "nozzle": (release, "/nozzle-not-lifted", (50_000, 0), 0, 0, 0),
    "loss": (loss, "/v1/loss-reports", (50_000, 0), 0, 0, 0),
}
ALL = [(name, point) for name in OPERATIONS for point in (HOT if name in {"sale", "authorise", "complete"} else COLD)]
EVERY_TIME = [("sale", "hot-after-write"), ("complete", "hot-before-write"), ("topup", "after-commit"), ("refund", "before-commit")]


async def counted(service: Service) -> list[int]:
    return [(await service.rows(f"SELECT count(*) AS n FROM {table}"))[0]["n"] for table in ("sales", "refunds", "topups")]


async def survive(service: Service, name: str, point: str, counts: list[int]) -> list[int]:
    """Kill once, let the till retry, and look at what became of it; return the tables' new counts."""
    prepare, path, balance, sales, refunds, topups = OPERATIONS[name]
    till, line = await service.till()
    async with till:
        await till.open_shift(STAFF, opening_float_minor=0)
        card = await service.card(kind="personal" if name == "loss" else "anonymous", balance_minor=50_000)
        perform = await prepare(till, card)
        await till.place()
        service.crash_at(point, path)
        before = service.workers()
        answer = await perform()
        assert service.crashed
        assert len(before - service.workers()) == 1, "the one that took the request is gone"
        assert answer
        first = line.answers[-1]
        assert [await again(till, line) for _ in range(3)] == [first] * 3
        purse = await service.rows("SELECT balance_minor, held_minor FROM purses WHERE account_id = $1 AND kind = 1", card.account_id)
        assert (purse[0]["balance_minor"], purse[0]["held_minor"]) == balance
        now = await counted(service)
        assert [after - was for after, was in zip(now, counts, strict=True)] == [sales, refunds, topups]
        assert await service.broken() == []
        await till.close_shift(counted_cash_minor=0, explanation="a test")
    return now


async def test_the_points_of_every_run(service):
    counts = await counted(service)
    for name, point in EVERY_TIME:
        counts = await survive(service, name, point, counts)


@pytest.mark.long
async def test_every_point_of_every_operation(service):
    counts = await counted(service)
    for name, point in ALL:
        counts = await survive(service, name, point, counts)
