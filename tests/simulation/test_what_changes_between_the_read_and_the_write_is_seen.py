"""A worker has read and decided; before it writes, somebody else commits. Step by step, no luck needed: it must decide again."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator

import msgspec
import pytest

from loyalty.authorizations.hot import AuthorizationNotFound, SequenceReused
from loyalty.authorizations.model import Operation
from loyalty.authorizations.operations.locking import count, lock_chain
from loyalty.authorizations.rules import Presented
from loyalty.authorizations.wire import AuthorizationRequest, Credential, reference
from loyalty.cards.operations import report_lost
from loyalty.db import transaction
from loyalty.ledger.model import HouseCode, TransferKind
from loyalty.ledger.operations import Leg, ensure_house, post
from loyalty.limits.model import LimitKind, Window
from loyalty.limits.operations import NewLimit, replace_limits
from loyalty.stations.model import TerminalStatus
from loyalty.stations.operations import move_terminal
from loyalty.topups.operations import freeze_account
from tests.factories.rules import litre_off
from tests.factories.world import PIN, SYSTEM
from tests.simulation.house import GENERIC, House

LITRES = {"milli": 10_000, "price": 78_900, "amount": 7_890}


def said(answer: bytes) -> dict:
    return msgspec.json.decode(answer)


def key() -> uuid.UUID:
    return uuid.uuid4()


@contextlib.asynccontextmanager
async def decided(lane, work) -> AsyncIterator[asyncio.Task]:
    """Let a lane decide on a request and stop before it writes; it goes on at the end of the block."""
    inner, reached, go_on = lane._ensure_houses, asyncio.Event(), asyncio.Event()

    async def stop(*arguments) -> None:
        reached.set()
        await go_on.wait()
        await inner(*arguments)

    lane._ensure_houses = stop
    task = asyncio.create_task(work)
    try:
        await asyncio.wait_for(reached.wait(), 10)
        yield task
    finally:
        go_on.set()
        lane._ensure_houses = inner


async def blocked(house: House, task: asyncio.Task) -> None:
    """Wait until a database session waits for a lock, or the work is done without."""
    while not task.done():
        if await house.rows("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"):
            return
        await asyncio.sleep(0.01)


async def test_the_card_is_reported_lost(workers):
    house, card = workers[0], workers[0].people.cards["personal"]
    async with decided(house.cards, house.sell(card, key=key(), **LITRES)) as sale:
        await house.perform(lambda s: report_lost(s, card_id=card.card_id, actor=house.people.staff, reason="x", now=house.now()))
    assert said(await sale).get("reason") == "card_lost"


async def test_the_account_is_frozen(workers):
    house, card = workers[0], workers[0].people.cards["personal"]
    order = {"authority": "法院", "document": "1", "officer": "王", "actor": house.people.staff, "now": house.now()}
    async with decided(house.cards, house.authorise(card, key=key(), amount_minor=100)) as asked:
        await house.perform(lambda session: freeze_account(session, policy=GENERIC, account_id=card.account_id, **order))
    assert said(await asked).get("reason") == "account_frozen"


async def test_two_wrong_pins_are_counted_elsewhere(workers):
    house, card = workers[0], workers[0].people.cards["personal"]
    async with decided(house.cards, house.sell(card, key=key(), pin="9999", **LITRES)) as sale:
        for _ in range(2):
            assert said(await workers[1].sell(card, key=key(), pin="9999", **LITRES)).get("reason") == "pin_wrong"
    assert said(await sale).get("reason") == "pin_locked"


async def test_the_money_is_spent_elsewhere(workers):
    house, card = workers[0], workers[0].people.cards["anonymous"]
    async with decided(house.cards, house.sell(card, key=key(), **LITRES)) as sale:
        assert said(await workers[1].sell(card, key=key(), **LITRES))["balance_after_minor"] == 32_110
    assert said(await sale)["balance_after_minor"] == 24_220
    async with decided(house.cards, house.sell(card, key=key(), **LITRES)) as sale:
        await workers[1].sell(card, key=key(), milli=25_000, price=78_900, amount=19_725)
    assert (said(await sale).get("reason"), said(await sale).get("remaining_minor")) == ("insufficient_funds", 4_495)


async def test_another_part_is_completed_elsewhere(workers):
    """The pool holds more for another card, so that the purse alone would not show it."""
    house, card = workers[0], workers[0].people.cards["company"]
    await house.authorise(house.people.cards["second"], key=key(), amount_minor=50_000)
    approved = said(await house.authorise(card, key=key(), amount_minor=20_000))["authorization"]
    await house.complete(approved, key=key(), **LITRES, final=False)
    async with decided(house.completions, house.complete(approved, key=key(), **LITRES)) as last:
        await workers[1].complete(approved, key=key(), **LITRES, final=False)
    assert said(await last).get("flags") == ["over_capture"]
    rows = await house.rows("SELECT balance_minor, held_minor FROM purses WHERE account_id = $1", card.account_id)
    assert [tuple(row.values()) for row in rows] == [(90_000 - 3 * 7_890, 50_000)]


async def test_the_authorisation_is_released_elsewhere(workers):
    """The pool holds more for another card, so that the purse alone would not show it."""
    house, card = workers[0], workers[0].people.cards["company"]
    await house.authorise(house.people.cards["second"], key=key(), amount_minor=50_000)
    approved = said(await house.authorise(card, key=key(), amount_minor=20_000))["authorization"]
    async with decided(house.completions, house.complete(approved, key=key(), **LITRES)) as last:
        await workers[1].nozzle(approved, key=key())
    assert said(await last).get("flags") == ["over_capture", "after_end"]
    rows = await house.rows("SELECT balance_minor, held_minor FROM purses WHERE account_id = $1", card.account_id)
    assert [tuple(row.values()) for row in rows] == [(90_000 - 7_890, 50_000)]


async def test_the_last_fill_of_the_day_is_used_elsewhere(workers):
    """On a pool, whose balance no decision leans on."""
    house, card = workers[0], workers[0].people.cards["company"]
    limit = NewLimit(kind=LimitKind.COUNT, window=Window.DAY, value=1)
    facts = {"subject_id": card.card_id, "limits": [limit], "actor": house.people.staff, "now": house.now()}
    await house.perform(lambda session: replace_limits(session, **facts))
    async with decided(house.cards, house.sell(card, key=key(), **LITRES)) as sale:
        assert said(await workers[1].sell(card, key=key(), **LITRES))["outcome"] == "approved"
    assert said(await sale).get("reason") == "count_limit"


async def test_another_fill_of_the_day_is_counted_elsewhere(workers):
    """The day's counter was there already."""
    house, card = workers[0], workers[0].people.cards["company"]
    limit = NewLimit(kind=LimitKind.COUNT, window=Window.DAY, value=2)
    facts = {"subject_id": card.card_id, "limits": [limit], "actor": house.people.staff, "now": house.now()}
    await house.perform(lambda session: replace_limits(session, **facts))
    await house.sell(card, key=key(), **LITRES)
    async with decided(house.cards, house.sell(card, key=key(), **LITRES)) as sale:
        assert said(await workers[1].sell(card, key=key(), **LITRES))["outcome"] == "approved"
    assert said(await sale).get("reason") == "count_limit"


async def test_the_key_is_used_elsewhere(workers):
    """The same record reached two workers: one effect, the same bytes."""
    house, card, one_key = workers[0], workers[0].people.cards["anonymous"], key()
    async with decided(house.cards, house.sell(card, key=one_key, **LITRES)) as sale:
        first = await workers[1].sell(card, key=one_key, **LITRES)
    assert await sale == first
    rows = await house.rows("SELECT balance_minor FROM purses WHERE purse_id = $1", card.principal_id)
    assert [tuple(row.values()) for row in rows] == [(40_000 - 7_890,)]


async def test_a_repeated_record_takes_nothing_from_the_one_behind_it(workers):
    """Both of one pool and in one batch: the second decides as though the repeated one were not there."""
    house, cards, one_key = workers[0], workers[0].people.cards, key()
    first = await house.authorise(cards["company"], key=one_key, amount_minor=50_000)
    again = asyncio.ensure_future(house.authorise(cards["company"], key=one_key, amount_minor=50_000))
    other = asyncio.ensure_future(house.authorise(cards["second"], key=key(), amount_minor=40_000))
    assert await again == first
    assert (said(await other)["outcome"], said(await other)["held_minor"]) == ("approved", 40_000)


async def test_a_key_that_was_used_is_answered_before_anything_is_refused(workers):
    """A completion of what nobody knows is refused, but not under a key that has its answer."""
    house, one_key = workers[0], key()
    approved = said(await house.authorise(house.people.cards["personal"], key=key(), amount_minor=20_000))["authorization"]
    first = await house.complete(approved, key=one_key, **LITRES)
    unknown = reference(house.people.cards["personal"].account_id, key())
    assert await house.complete(unknown, key=one_key, **LITRES) == first
    with pytest.raises(AuthorizationNotFound):
        await house.complete(unknown, key=key(), **LITRES)


async def test_a_sequence_that_was_used_sinks_only_its_own_request(workers):
    """Another record under a number that was used: nothing was answered to its key, so the database's refusal stands."""
    house, cards = workers[0], workers[0].people.cards

    def ask(name: str, sequence: int) -> asyncio.Future[bytes]:
        body = AuthorizationRequest(card=Credential(number=cards[name].number, pin="sealed"), product="92", amount_minor=100)
        where = {"number_index": cards[name].index, "presented": Presented(pin=PIN), "epoch": 1, "sequence": sequence}
        return asyncio.ensure_future(house._submit(Operation.AUTHORISE, body, key(), 0, **where))

    assert said(await ask("personal", 7))["outcome"] == "approved"
    again, other = ask("personal", 7), ask("anonymous", 8)
    with pytest.raises(SequenceReused):
        await again
    assert said(await other)["outcome"] in ("approved", "declined"), "the till may be quarantined by then"


async def test_a_limit_is_set(workers):
    house, card = workers[0], workers[0].people.cards["personal"]
    limit = NewLimit(kind=LimitKind.AMOUNT, window=Window.TRANSACTION, value=5_000)
    facts = {"subject_id": card.card_id, "limits": [limit], "actor": house.people.staff, "now": house.now()}
    async with decided(house.cards, house.sell(card, key=key(), **LITRES)) as sale:
        await house.perform(lambda session: replace_limits(session, **facts))
    assert (said(await sale).get("reason"), said(await sale).get("remaining_minor")) == ("amount_limit", 5_000)


async def test_a_discount_begins(workers):
    house, card = workers[0], workers[0].people.cards["personal"]
    async with decided(house.cards, house.sell(card, key=key(), **LITRES)) as sale:
        await house.perform(lambda session: litre_off(session, rate_e4=5_000, now=house.now()))
    assert said(await sale)["discount_minor"] == 500


async def test_the_till_is_quarantined(workers):
    house, card = workers[0], workers[0].people.cards["personal"]
    facts = {
        "terminal_id": house.world.terminal_ids[0],
        "to": TerminalStatus.QUARANTINED,
        "reason": "x",
        "actor": SYSTEM,
        "now": house.now(),
    }
    async with decided(house.cards, house.sell(card, key=key(), **LITRES)) as sale:
        await house.perform(lambda session: move_terminal(session, **facts))
    assert said(await sale).get("reason") == "terminal_revoked"


async def test_a_writer_of_the_card_is_waited_for(workers):
    """Somebody has reported it lost, and has not committed yet."""
    house, card = workers[0], workers[0].people.cards["company"]
    async with transaction(house.sessions) as session:
        await report_lost(session, card_id=card.card_id, actor=house.people.staff, reason="x", now=house.now())
        await session.flush()
        sale = asyncio.create_task(house.sell(card, key=key(), **LITRES))
        await blocked(house, sale)
    assert said(await sale).get("reason") == "card_lost"


async def test_a_writer_of_the_counters_is_waited_for(workers):
    """Somebody holds the card and has counted, and has not committed yet."""
    house, card = workers[0], workers[0].people.cards["limited"]
    used = {"amount_minor": 40_000, "quantity_milli": 10_000, "fills": 4}
    counted = {"account_id": card.account_id, "chain_id": card.card_id, "day": house.now().date(), "at": house.now()}
    async with transaction(house.sessions) as session:
        await lock_chain(session, chain_id=card.card_id)
        await count(session, **counted, **used)
        sale = asyncio.create_task(house.sell(card, key=key(), **LITRES))
        await blocked(house, sale)
    assert said(await sale).get("reason") == "count_limit"
    await house.perform(lambda session: count(session, **counted, **{name: -value for name, value in used.items()}))


async def test_a_writer_of_the_purse_is_waited_for(workers):
    house, card = workers[0], workers[0].people.cards["anonymous"]
    async with transaction(house.sessions) as session:
        fee = await ensure_house(session, code=HouseCode.FEE, currency="CNY", reference="office", now=house.now())
        leg = Leg(card.principal_id, fee, 1_000, TransferKind.FEE, "CNY")
        await post(session, account_id=card.account_id, legs=[leg], operation_id=uuid.uuid4(), event_at=house.now(), now=house.now())
        sale = asyncio.create_task(house.sell(card, key=key(), **LITRES))
        await blocked(house, sale)
    assert said(await sale)["balance_after_minor"] == 40_000 - 1_000 - 7_890
