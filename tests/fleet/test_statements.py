"""A company's statement says what its books say; a closed period says it for ever, and what comes late stands in the open one."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from loyalty.checks.model import Scope
from loyalty.checks.queries.company_periods import CHECKS
from loyalty.checks.running import examine
from loyalty.db import transaction
from loyalty.fleet.allocation_rules import Span
from loyalty.fleet.operations.fills import collect_fills
from loyalty.fleet.queries.companies import get_company
from loyalty.statements.operations.companies import close_company_periods, due_companies
from loyalty.statements.queries.companies import by_driver, by_vehicle, moves_between, periods_of, totals_between
from loyalty.statements.queries.lines import Part, lines_between
from loyalty.statements.rules import spans, totals_json
from tests.authorizations.conftest import bench, key_set, keys
from tests.authorizations.desk import refund, rows, said
from tests.factories.fleet import give_vehicle, make_fleet
from tests.factories.world import SYSTEM

__all__ = ["bench", "key_set", "keys"]
AFTER = datetime(2026, 9, 25, 16, 30, tzinfo=UTC)
"""The 26th, half past midnight in Shanghai: the period that began on 26 August is over."""


@pytest.fixture
async def fleet(bench):
    async with transaction(bench.sessions) as session:
        fleet = await make_fleet(session, bench.world, pool_minor=100_000_000, cards=2)
        fleet.vehicle_id = await give_vehicle(session, fleet, now=bench.now())
    bench.later = timedelta(hours=1)
    return fleet


async def collect(bench) -> None:
    until = bench.now() + timedelta(seconds=1)
    async with transaction(bench.sessions) as session:
        await collect_fills(session, span=timedelta(days=500), until=until, now=until)


async def stated(bench, fleet, **of):
    """Return the statement of the running period at the bench's time."""
    async with transaction(bench.sessions) as session:
        company = await get_company(session, company_id=fleet.company_id)
        period, *_ = await periods_of(session, company=company, now=bench.now())
        between = {"part": Part(fleet.account_id, **of), "begin": period.begins_at, "end": period.ends_at}
        totals = await totals_between(session, **between)
        return period, totals, (await lines_between(session, **between)).rows, await by_vehicle(session, **between)


async def close(bench, fleet):
    async with transaction(bench.sessions) as session:
        return await close_company_periods(session, company_id=fleet.company_id, actor=SYSTEM, now=bench.now())


async def what_differs(bench, fleet) -> set[str]:
    async with transaction(bench.sessions) as session:
        return {result.check.code async for result in examine(session, Scope(now=bench.now()), checks=CHECKS) if result.found.count}


async def test_a_statement_equals_the_books_and_its_parts_sum_to_it(bench, fleet):
    first, second = fleet.cards
    sold = said(await bench.sell(first, odometer_km=100_000))
    bench.later += timedelta(hours=5)
    await bench.sell(first, litres_milli=30_000, odometer_km=100_100)
    bench.later += timedelta(minutes=1)
    await bench.sell(second, product="0", litres_milli=20_000, price_e4=75_000)
    bench.later += timedelta(minutes=1)
    await refund(bench, sold["sale"], gross_minor=789)
    await collect(bench)
    period, totals, lines, vehicles = await stated(bench, fleet)
    assert period.span == Span(date(2026, 8, 26), date(2026, 9, 26))
    spent = 7_890 + 23_670 + 15_000
    assert totals.money.opening_minor == 0
    assert (totals.money.loads_minor, totals.money.spent_minor, totals.money.refunded_minor) == (100_000_000, spent, 789)
    assert totals.money.closing_minor == 100_000_000 - spent + 789
    assert totals.figures.card_minor == spent - 789, "what the fills say is what the ledger moved"
    assert (totals.figures.fills, totals.refunds, totals.figures.quantity_milli) == (3, 1, 59_000)
    assert len(totals.grades) == 2
    assert [line.card_minor for line in lines] == [-789, 15_000, 23_670, 7_890]
    assert lines[0].back
    assert [(one.id, one.figures.card_minor) for one in vehicles] == [(fleet.vehicle_id, 7_890 + 23_670 - 789), (None, 15_000)]
    assert (vehicles[0].km, vehicles[0].per_100_km_milli) == (100, 30_000)
    _, of_vehicle, shown, _ = await stated(bench, fleet, vehicle_id=fleet.vehicle_id)
    assert (of_vehicle.figures, of_vehicle.money, len(shown)) == (vehicles[0].figures, None, 3)
    _, none, shown, _ = await stated(bench, fleet, departments=frozenset({fleet.company_id}))
    assert (none.figures.fills, shown) == (0, [])
    async with transaction(bench.sessions) as session:
        between = {"begin": period.begins_at, "end": period.ends_at}
        moves = await moves_between(session, account_id=fleet.account_id, most=10, **between)
        drivers = await by_driver(session, part=Part(fleet.account_id), **between)
    assert [(one.amount_minor, one.into) for one in moves] == [(100_000_000, True)]
    assert [one.figures for one in drivers] == [totals.figures]


async def test_a_closed_period_stays_and_what_comes_late_stands_in_the_open_one(bench, fleet):
    sold = said(await bench.sell(fleet.cards[0]))
    assert await close(bench, fleet) == [], "it runs"
    bench.later = AFTER - bench.world.now
    async with transaction(bench.sessions) as session:
        assert await due_companies(session, most=10, now=bench.now()) == [fleet.company_id]
    (row,) = await close(bench, fleet)
    assert (row.first_day, row.end_day, row.fills, row.refunds) == (date(2026, 8, 26), date(2026, 9, 26), 1, 0)
    assert row.begins_at == datetime(2026, 8, 25, 16, tzinfo=UTC), "midnight where the company is"
    assert await close(bench, fleet) == [], "once"
    async with transaction(bench.sessions) as session:
        assert await due_companies(session, most=10, now=bench.now()) == []

    await refund(bench, sold["sale"])
    bench.later += timedelta(minutes=1)
    await bench.sell(fleet.cards[0])
    await collect(bench)
    assert await what_differs(bench, fleet) == set()
    running, totals, lines, _ = await stated(bench, fleet)
    assert running.first == date(2026, 9, 26)
    assert [(line.back, line.card_minor) for line in lines] == [(False, 7_890), (True, -7_890)]
    assert (totals.money.opening_minor, totals.money.closing_minor) == (100_000_000 - 7_890, 100_000_000 - 7_890)
    async with transaction(bench.sessions) as session:
        company = await get_company(session, company_id=fleet.company_id)
        _, former = await periods_of(session, company=company, now=bench.now())
        again = await totals_between(session, part=Part(fleet.account_id), begin=former.begins_at, end=former.ends_at)
    assert former.totals == again
    assert totals_json(again) == row.totals


async def test_a_period_that_was_changed_afterwards_is_named(bench, fleet):
    await bench.sell(fleet.cards[0])
    bench.later = AFTER - bench.world.now
    await close(bench, fleet)
    assert await what_differs(bench, fleet) == set()
    async with transaction(bench.sessions) as session:
        await session.execute(text("UPDATE fleet_fills SET quantity_milli = quantity_milli - 1"))
    assert await what_differs(bench, fleet) == {"company-periods", "statement-sums"}
    assert len(await rows(bench, "SELECT 1 FROM audit_entries WHERE action = 'statements.company_period_closed'")) == 1


@pytest.mark.parametrize(
    ("closed", "period_day", "expected"),
    [
        ([], 26, [("2026-08-26", "2026-09-26"), ("2026-09-26", "2026-10-26")]),
        ([], 1, [("2026-09-01", "2026-10-01")]),
        # The setting was changed from 26 to 1 and to 28: the next period is a short one, nothing is counted twice or left out.
        ([("2026-08-26", "2026-09-26")], 1, [("2026-08-26", "2026-09-26"), ("2026-09-26", "2026-10-01")]),
        ([("2026-08-26", "2026-09-26")], 28, [("2026-08-26", "2026-09-26"), ("2026-09-26", "2026-09-28"), ("2026-09-28", "2026-10-28")]),
    ],
)
def test_periods_join_without_gap_or_overlap(closed, period_day, expected):
    def days(of):
        return [Span(date.fromisoformat(first), date.fromisoformat(end)) for first, end in of]

    assert spans(date(2026, 9, 2), date(2026, 9, 30), period_day=period_day, closed=days(closed)) == days(expected)
