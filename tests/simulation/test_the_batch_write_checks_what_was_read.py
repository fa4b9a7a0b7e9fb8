"""The batch's write, asked row by row: what is as it was read is booked; what is not is named by kind and place, and nothing is written."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from datetime import date
from typing import Any

import asyncpg
import pytest

from loyalty.authorizations.hot.writing import ANSWERED, BENEFIT, BUDGET, CARD, COUNTER, DRIVER, LEVEL, ORIGINAL, PURSE, REFERENCE
from loyalty.authorizations.model import FillStatus, Status
from loyalty.authorizations.wire import parse_reference
from loyalty.crypto import use_keyring
from tests.conftest import NOW
from tests.scenarios.telling import key, said
from tests.simulation.house import House, broken, populate
from tests.simulation.test_what_changes_between_the_read_and_the_write_is_seen import blocked

DAY = date(2026, 9, 24)
ROWS = {
    "cards": "hot_card[]",
    "changed": "integer",
    "originals": "hot_original_v3[]",
    "overdue": "integer",
    "debts": "hot_debt[]",
    "purses": "hot_purse[]",
    "counters": "hot_counter[]",
    "used": "integer",
    "unused": "integer",
    "authorizations": "hot_authorization[]",
    "sales": "hot_sale[]",
    "movements": "hot_movement[]",
    "fills": "hot_fill[]",
    "requests": "hot_request[]",
    "benefits": "hot_benefit[]",
    "budgets": "hot_budget[]",
    "levels": "hot_level[]",
    "drivers": "hot_driver[]",
}
"""The write's parameters after the times, the revisions and the period."""
FIRM = uuid.uuid4()


class Desk:
    """Writes batches in a transaction that is taken back."""

    def __init__(self, house: House, card: str = "company") -> None:
        self.house = house
        self.card = house.people.cards[card]
        self.principal = self.card.principal_id

    async def book(self, **rows: Any) -> set[tuple[int, int]]:
        """Write one batch of these rows; return what fell short."""
        facts = ", ".join(f"p_{name} => ${place}::{kind}" for place, (name, kind) in enumerate(ROWS.items(), 1))
        sentence = f"""SELECT kind, place FROM hot_book_v5(p_now => now(), p_expires => now(), p_period => 202609, {facts},
            p_revisions => (SELECT array_agg(revision ORDER BY kind) FROM revisions))"""
        plain = dict.fromkeys(("changed", "overdue", "used", "unused"), 0)
        found = await self.house.rows(sentence, *(rows.get(name, plain.get(name)) for name in ROWS))
        return {(row["kind"], row["place"]) for row in found}

    async def only(self, sentence: str, *facts: Any) -> tuple[Any, ...]:
        (row,) = await self.house.rows(sentence, *facts)
        return tuple(row.values())

    async def say(self, sentence: str, *facts: Any) -> None:
        await self.house.rows(sentence, *facts)

    async def held(self) -> tuple[Any, ...]:
        return await self.only("SELECT balance_minor, held_minor FROM purses WHERE purse_id = $1", self.principal)

    def purse(self, held: int = 0, balance: int = 0, seen: int | None = None) -> tuple[Any, ...]:
        return (self.card.account_id, self.principal, held, balance, seen)


@pytest.fixture(scope="module")
async def workers(databases, key_set) -> AsyncIterator[list[House]]:
    """Yield two workers on one database for all: what is written here is taken back."""
    use_keyring(key_set)
    url = await databases.clone()
    people = await populate(url, NOW)
    pair = [House(url, people), House(url, people)]
    for worker in pair:
        await worker.start()
    yield pair
    assert await broken(pair[0]) == []
    for worker in pair:
        await worker.stop()
    await databases.drop(url)


@contextlib.asynccontextmanager
async def writing(workers, card: str = "company") -> AsyncIterator[Desk]:
    assert workers[0].reader is not None
    taken_back = workers[0].reader.transaction()
    await taken_back.start()
    try:
        yield Desk(workers[0], card)
    finally:
        await taken_back.rollback()


async def test_reference_data_changed(workers):
    async with writing(workers) as desk:
        rows = ", ".join(f"NULL::{kind}" for kind in ROWS.values())
        names = dict(zip(ROWS, rows.split(", "), strict=True))
        facts = ", ".join(f"p_{name} => {value}" for name, value in names.items())
        sentence = f"SELECT kind FROM hot_book_v5(p_now => now(), p_expires => now(), p_period => 202609, p_revisions => $1, {facts})"
        assert await desk.only(sentence, [0, 0]) == (REFERENCE,)


async def test_a_drivers_pin_is_named_by_its_generation_and_its_tries(workers):
    async with writing(workers) as desk:
        await desk.say(
            "INSERT INTO customers (customer_id, kind, name, name_key, locale, country, status, created_at) "
            "VALUES ($1, 'organisation', 'x', 'x', 'zh_CN', 'CN', 'active', now())",
            FIRM,
        )
        await desk.say(
            "INSERT INTO companies (company_id, account_id, mode, currency, time_zone, period_day, check_day, workday_mode, needs_records, "
            "needs_odometer, unused, silence, deputy_after_s, decide_after_s, created_at, updated_at) "
            "VALUES ($1, $1, 'pooled', 'CNY', 'Asia/Shanghai', 1, 1, 'following', false, false, 'kept', 'refuse', "
            "60, 60, now(), now())",
            FIRM,
        )
        first, second = uuid.uuid4(), uuid.uuid4()
        for driver, number in ((first, "1"), (second, "2")):
            await desk.say(
                "INSERT INTO drivers (driver_id, company_id, number, name, pin_generation, pin_tries, status, created_at) "
                "VALUES ($1, $2, $3, 'x', 2, 1, 'active', now())",
                *(driver, FIRM, number),
            )
        tries = "SELECT pin_tries FROM drivers WHERE driver_id = $1"
        for wrong in ((first, 1, 1, 2), (first, 2, 0, 2), (uuid.uuid4(), 2, 1, 2)):
            assert await desk.book(drivers=[(second, 2, 1, None), wrong]) == {(DRIVER, 2)}
        assert await desk.only(tries, first) == (1,)
        assert await desk.book(drivers=[(second, 2, 1, None), (first, 2, 1, 3)], requests=[]) == set()
        assert await desk.only(tries, first) == (3,)
        assert await desk.only(tries, second) == (1,)


async def test_a_card_is_named_by_its_version_and_its_tries(workers):
    async with writing(workers) as desk:
        version, tries = await desk.only("SELECT version, pin_tries FROM cards WHERE card_id = $1", desk.card.card_id)
        other = desk.house.people.cards["second"].card_id
        assert await desk.book(cards=[(desk.card.card_id, version, tries, None, False)]) == set()
        assert await desk.book(cards=[(other, None, None, None, False), (desk.card.card_id, version + 1, None, None, False)]) == {(CARD, 2)}
        assert await desk.book(cards=[(desk.card.card_id, None, tries + 1, None, False), (other, None, None, None, False)]) == {(CARD, 1)}
        assert await desk.book(cards=[(uuid.uuid4(), None, None, None, False)]) == {(CARD, 1)}


async def test_a_card_is_changed_where_it_is_asked_for(workers):
    async with writing(workers) as desk:
        seen = "SELECT version, pin_tries FROM cards WHERE card_id = $1"
        cards = [desk.house.people.cards["second"].card_id, desk.card.card_id]
        (version, tries), (other_version, _) = [await desk.only(seen, card) for card in cards]
        assert await desk.book(cards=[(cards[0], None, None, None, False), (cards[1], None, None, 2, True)], changed=1) == set()
        assert [await desk.only(seen, card) for card in cards] == [(version, tries), (other_version + 1, 2)]


async def test_an_authorisation_is_named_by_its_status_and_its_parts(workers):
    approved = said(await workers[0].authorise(workers[0].people.cards["personal"], key=key(), amount_minor=10_000))["authorization"]
    account, authorization = parse_reference(approved)

    def row(status: Status, completions: int) -> tuple[Any, ...]:
        return (account, authorization, status, completions, Status.RELEASED, 0, 0, 0, 0, [], [], None)

    async with writing(workers, "personal") as desk:
        before = balance, held = await desk.held()
        unknown = (account, uuid.uuid4(), *row(Status.APPROVED, 0)[2:])
        assert await desk.book(originals=[row(Status.UNRESOLVED, 0)]) == {(ORIGINAL, 1)}
        assert await desk.book(originals=[row(Status.APPROVED, 1)]) == {(ORIGINAL, 1)}
        assert await desk.book(originals=[row(Status.APPROVED, 0), unknown], purses=[desk.purse(held=-held)]) == {(ORIGINAL, 2)}
        assert await desk.held() == before
        assert await desk.book(originals=[row(Status.APPROVED, 0)], purses=[desk.purse(held=-held)]) == set()
        assert await desk.held() == (balance, 0)


async def test_an_unresolved_dispense_ends_with_the_completion_that_was_late(workers):
    approved = said(await workers[0].authorise(workers[0].people.cards["anonymous"], key=key(), amount_minor=10_000))["authorization"]
    account, authorization = parse_reference(approved)

    async def resolution(desk: Desk, status: Status, to: Status) -> Any:
        row = (account, authorization, status, 0, to, 0, 0, 0, 0, [], [], None)
        assert await desk.book(originals=[row], overdue=1) == set()
        return (await desk.only("SELECT resolution FROM unresolved_dispenses WHERE authorization_id = $1", authorization))[0]

    async with writing(workers) as desk:
        place = desk.house.world.station_id
        sentence = "INSERT INTO unresolved_dispenses (account_id, authorization_id, station_id, opened_at) VALUES ($1, $2, $3, now())"
        await desk.say(sentence, account, authorization, place)
        assert await resolution(desk, Status.APPROVED, Status.UNRESOLVED) is None, "it has only begun"
        assert await resolution(desk, Status.UNRESOLVED, Status.PART_COMPLETED) is None, "more may come"
        await desk.say("UPDATE authorizations SET status = 9 WHERE authorization_id = $1", authorization)
        assert await resolution(desk, Status.UNRESOLVED, Status.COMPLETED) == "late_completion"
        found = "UPDATE unresolved_dispenses SET resolution = 'pump_record' WHERE authorization_id = $1"
        await desk.say(found, authorization)
        await desk.say("UPDATE authorizations SET status = 9 WHERE authorization_id = $1", authorization)
        assert await resolution(desk, Status.UNRESOLVED, Status.COMPLETED) == "pump_record", "it was resolved before"


async def test_a_purse_is_named_where_it_does_not_hold_it(workers):
    async with writing(workers) as desk:
        assert await desk.book(purses=[desk.purse(held=90_000)]) == set()
        assert await desk.book(purses=[desk.purse(held=1)]) == {(PURSE, 1)}
        assert await desk.book(purses=[desk.purse(balance=-1)]) == {(PURSE, 1)}
        assert await desk.book(purses=[desk.purse(held=-90_001)]) == {(PURSE, 1)}
        assert await desk.book(purses=[desk.purse(held=-90_000, seen=0)]) == set()
        assert await desk.book(purses=[desk.purse(held=1, seen=89_999)]) == {(PURSE, 1)}
        unknown = (desk.card.account_id, uuid.uuid4(), 0, 0, None)
        assert await desk.book(purses=[desk.purse(held=1), unknown]) == {(PURSE, 2)}
        assert await desk.held() == (90_000, 0)


async def test_a_debt_is_made_once_and_is_never_full(workers):
    async with writing(workers) as desk:
        debt = uuid.uuid4()
        for _ in range(2):
            rows = {"debts": [(desk.card.account_id, debt, "CNY")], "purses": [(desk.card.account_id, debt, 0, -500, None)]}
            assert await desk.book(**rows) == set()
        assert await desk.only("SELECT balance_minor FROM purses WHERE purse_id = $1", debt) == (-1_000,)


async def test_a_counter_is_named_by_what_it_showed(workers):
    async with writing(workers) as desk:

        def row(minor: int | None, count: int | None, subject: uuid.UUID = desk.card.card_id) -> tuple[Any, ...]:
            return (desk.card.account_id, subject, DAY, 700, 1_000, 1, None, minor, count)

        other = uuid.uuid4()
        assert await desk.book(counters=[row(0, 0)], unused=1) == set()
        assert await desk.book(counters=[row(0, 0)], unused=1) == {(COUNTER, 1)}
        assert await desk.book(counters=[row(700, 1)], used=1) == set()
        assert await desk.book(counters=[row(1_400, 1)], used=1) == {(COUNTER, 1)}
        assert await desk.book(counters=[row(700, 2)], used=1) == {(COUNTER, 1)}
        assert await desk.book(counters=[row(None, None, other), row(9, 9)], used=1) == {(COUNTER, 2)}
        assert await desk.book(counters=[row(None, None), row(0, 0, other)], unused=1) == set()
        counted = "SELECT amount_minor, quantity_milli, count FROM limit_counters WHERE subject_id = $1"
        assert await desk.only(counted, desk.card.card_id) == (2_100, 3_000, 3)
        assert await desk.only(counted, other) == (700, 1_000, 1)


async def test_a_benefits_counter_is_named_where_no_room_is_left(workers):
    async with writing(workers) as desk:
        cap, subject = uuid.uuid4(), desk.card.account_id

        def row(amount: int, times: int, most: int | None, most_times: int | None) -> tuple[Any, ...]:
            return (subject, cap, DAY, amount, times, most, most_times)

        assert await desk.book(benefits=[row(60, 1, 100, 3)]) == set()
        assert await desk.book(benefits=[row(41, 1, 100, 3)]) == {(BENEFIT, 1)}
        assert await desk.book(benefits=[row(40, 3, 100, 3)]) == {(BENEFIT, 1)}
        assert await desk.book(benefits=[row(40, 1, 100, 2)]) == set()
        assert await desk.book(benefits=[(subject, uuid.uuid4(), DAY, 5, 1, 5, 1), row(1, 0, 100, None)]) == {(BENEFIT, 2)}
        assert await desk.book(benefits=[row(0, 1, None, 2)]) == {(BENEFIT, 1)}
        assert await desk.book(benefits=[row(-30, -1, None, None)]) == set(), "what comes back always has room"
        assert await desk.only("SELECT amount, count FROM benefit_counters WHERE cap_id = $1", cap) == (70, 1)
        assert await desk.only("SELECT count(*) FROM benefit_counters") == (1,)


async def test_a_levels_counter_is_named_where_no_room_is_left(workers):
    async with writing(workers) as desk:
        subject = uuid.uuid4()

        def row(window: int, milli: int, milli_max: int | None = None, fills_max: int | None = None) -> tuple[Any, ...]:
            return (desk.card.account_id, subject, window, DAY, 10, milli, 1, None, None, milli_max, fills_max)

        assert await desk.book(levels=[row(1, 60, 100), row(3, 60, 70)]) == set()
        assert await desk.book(levels=[row(1, 41, 100), row(3, 0)]) == {(LEVEL, 1)}
        assert await desk.book(levels=[row(1, 11), row(3, 11, 70)]) == {(LEVEL, 2)}, "another window that begins on the same day has room"
        assert await desk.book(levels=[row(1, 40, 100, 2), row(3, 10, 70)]) == set()
        assert await desk.book(levels=[row(1, 0, None, 2)]) == {(LEVEL, 1)}
        assert await desk.book(levels=[row(1, 500), row(3, -70)]) == set(), "what has happened always has room"
        counted = 'SELECT amount_minor, quantity_milli, count FROM level_counters WHERE subject_id = $1 AND "window" = $2'
        assert await desk.only(counted, subject, 1) == (30, 600, 3)
        assert await desk.only(counted, subject, 3) == (30, 0, 3)


async def test_a_benefits_counter_is_one_window_s(workers):
    async with writing(workers) as desk:
        cap, other = uuid.uuid4(), uuid.uuid4()
        full, free = (desk.card.account_id, cap, DAY, 50, 1, 100, None), (desk.card.account_id, other, DAY, 1, 1, 1_000, None)
        for _ in range(2):
            assert await desk.book(benefits=[full, free]) == set()
        assert await desk.book(benefits=[free, full]) == {(BENEFIT, 2)}
        assert await desk.book(benefits=[(desk.card.account_id, cap, date(2026, 9, 25), 60, 1, 100, None)]) == set()


async def a_budget(desk: Desk, **shares: int) -> uuid.UUID:
    budget = uuid.uuid4()
    sentence = "INSERT INTO budgets (budget_id, code, unit, currency, total, changed_at) VALUES ($1, $2, 'minor', 'CNY', $3, now())"
    await desk.say(sentence, budget, f"b-{budget}", sum(shares.values()))
    for name, granted in shares.items():
        sentence = "INSERT INTO budget_shares (budget_id, share, granted, reserved, used) VALUES ($1, $2, $3, 0, 0)"
        await desk.say(sentence, budget, int(name.removeprefix("share_")), granted)
    return budget


async def test_a_share_of_a_budget_is_named_where_no_room_is_left(workers):
    async with writing(workers) as desk:
        budget = await a_budget(desk, share_0=100, share_5=100)
        assert await desk.book(budgets=[(budget, 0, 40, 50)]) == set()
        assert await desk.book(budgets=[(budget, 0, 11, 0)]) == {(BUDGET, 1)}
        assert await desk.book(budgets=[(budget, 0, 0, 11)]) == {(BUDGET, 1)}
        assert await desk.book(budgets=[(budget, 0, -41, 0)]) == {(BUDGET, 1)}, "less than nothing cannot be set aside"
        assert await desk.book(budgets=[(budget, 0, -40, 50)]) == set()
        assert await desk.book(budgets=[(budget, 5, 1, 0), (budget, 0, 1, 0)], purses=[desk.purse(held=1)]) == {(BUDGET, 2)}
        assert await desk.book(budgets=[(budget, 3, 1, 0)]) == {(BUDGET, 1)}, "a share that is not there"
        shares = await desk.house.rows("SELECT share, reserved, used FROM budget_shares WHERE budget_id = $1 ORDER BY 1", budget)
        assert [tuple(row.values()) for row in shares] == [(0, 0, 100), (5, 0, 0)]
        assert await desk.held() == (90_000, 0), "nothing of a batch is written that falls short at its end"


async def test_what_other_shares_leave_is_gathered(workers):
    async with writing(workers) as desk:
        budget = await a_budget(desk, share_0=100, share_2=100, share_5=100)
        await desk.book(budgets=[(budget, 2, 30, 10), (budget, 0, 5, 0)])
        assert await desk.only("SELECT gather_budget($1, 0::smallint)", budget) == (255,)
        assert await desk.only("SELECT gather_budget($1, 0::smallint)", budget) == (255,)
        shares = await desk.house.rows("SELECT share, granted FROM budget_shares WHERE budget_id = $1 ORDER BY 1", budget)
        assert [tuple(row.values()) for row in shares] == [(0, 260), (2, 40), (5, 0)]


async def test_two_who_gather_at_once_do_it_one_after_the_other(workers):
    """The second waits, and then finds what the first has left: nothing is given out twice."""
    house = workers[0]
    budget = await a_budget(Desk(house), share_0=100, share_5=100)
    assert house.reader is not None
    assert workers[1].reader is not None
    first = house.reader.transaction()
    await first.start()
    await house.rows("SELECT gather_budget($1, 0::smallint)", budget)
    second = asyncio.create_task(workers[1].rows("SELECT gather_budget($1, 5::smallint) AS free", budget))
    await blocked(house, second)
    await first.commit()
    try:
        assert (await second)[0]["free"] == 200
        (row,) = await house.rows("SELECT sum(granted)::bigint AS granted FROM budget_shares WHERE budget_id = $1", budget)
        assert row["granted"] == 200
    finally:
        await house.rows("DELETE FROM budget_shares WHERE budget_id = $1", budget)
        await house.rows("DELETE FROM budgets WHERE budget_id = $1", budget)


async def test_a_fill_is_paid_once(workers):
    async with writing(workers) as desk:
        fill, sale = uuid.uuid4(), uuid.uuid4()
        sentence = """INSERT INTO fills (fill_id, station_id, pump_reference, nozzle, product_id, quantity_milli, unit_price_e4,
            amount_minor, finished_at, status) SELECT $1, $2, 'f1', 3, product_id, 1000, 78900, 789, now(), 1 FROM products LIMIT 1"""
        await desk.say(sentence, fill, desk.house.world.station_id)
        row = (fill, desk.card.account_id, sale)
        assert await desk.book(fills=[row]) == set()
        assert await desk.only("SELECT status, sale_id FROM fills WHERE fill_id = $1", fill) == (FillStatus.PAID, sale)
        with pytest.raises(asyncpg.SerializationError):
            await desk.book(fills=[row])


async def test_a_key_is_named_with_its_till(workers):
    async with writing(workers) as desk:
        one, other = desk.house.world.terminal_ids[:2]

        def row(till: uuid.UUID, used: uuid.UUID, sequence: int) -> tuple[Any, ...]:
            return (till, used, 1, sequence, 1, desk.card.account_id, uuid.uuid4(), b"f", b"r", b"p", b"answer")

        same = key()
        assert await desk.book(requests=[row(one, same, 1)]) == set()
        assert await desk.book(requests=[row(one, key(), 2), row(one, same, 3)], purses=[desk.purse(held=1)]) == {(ANSWERED, 2)}
        assert await desk.book(requests=[row(other, same, 1)]) == set(), "another till's key is its own"
        assert await desk.held() == (90_000, 0)
        with pytest.raises(asyncpg.UniqueViolationError):
            await desk.book(requests=[row(one, key(), 1)])


async def test_a_sequence_that_was_used_is_no_key_that_was(workers):
    """Nothing was answered to this till under this key, although another till used it: the database's refusal stands."""
    async with writing(workers) as desk:
        one, other = desk.house.world.terminal_ids[:2]
        same, account = key(), desk.card.account_id

        def row(till: uuid.UUID, used: uuid.UUID) -> tuple[Any, ...]:
            return (till, used, 1, 1, 1, account, uuid.uuid4(), b"f", b"r", b"p", b"answer")

        assert await desk.book(requests=[row(one, same), row(other, key())]) == set()
        with pytest.raises(asyncpg.UniqueViolationError):
            await desk.book(requests=[row(other, same)])
