"""What a cashier and a manager can count on when a shift and a day end."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from loyalty.stations import operations, queries
from loyalty.stations.model import SHIFT_MOVES, CashCount, Shift, ShiftStatus, TerminalStatus
from loyalty.stations.rules import ProductTotal, ShiftTotals, TenderTotal, expected_cash, needs_explanation, totals_hash

HOUR = timedelta(hours=1)
TOTALS = ShiftTotals(
    tenders=(
        TenderTotal(tender="cash", taken_minor=300_000, returned_minor=20_000, count=9),
        TenderTotal(tender="wechat", taken_minor=500_000, count=4),
    ),
    products=(ProductTotal(product_code="92", quantity_milli=104_000, amount_minor=795_600, count=13),),
    sales_minor=780_000,
    transactions=13,
)


@pytest.fixture
async def shift(session, chain, actor, now):
    return await operations.open_shift(
        session,
        station_id=chain.station_id,
        terminal_id=chain.terminal_id,
        cashier_id=chain.cashier_id,
        opening_float_minor=50_000,
        actor=actor,
        now=now,
    )


async def close(session, shift, chain, actor, now, counted, **options):
    return await operations.close_shift(
        session,
        shift_id=shift.shift_id,
        counted_cash_minor=counted,
        expected=TOTALS,
        staff_id=chain.cashier_id,
        actor=actor,
        now=now,
        **options,
    )


def test_only_cash_is_counted_and_what_went_to_the_safe_is_not_missed():
    assert expected_cash(opening_float_minor=50_000, totals=TOTALS, dropped_minor=200_000) == 130_000


@pytest.mark.parametrize(("over_short", "asks"), [(-101, True), (-100, False), (0, False), (100, False), (101, True)])
def test_a_difference_within_the_tolerance_needs_no_word(over_short, asks):
    assert needs_explanation(over_short_minor=over_short, tolerance_minor=100) is asks


def test_every_status_has_its_row_of_moves_and_none_leads_to_itself():
    assert set(SHIFT_MOVES) == set(ShiftStatus)
    assert not [status for status in ShiftStatus if status in SHIFT_MOVES[status]]


async def test_a_shift_that_tallies_closes_at_once(session, chain, actor, now, shift):
    drop = {"shift_id": shift.shift_id, "amount_minor": 200_000, "envelope": "A-17", "staff_id": chain.cashier_id}
    await operations.record_cash_drop(session, **drop, actor=actor, now=now + HOUR)
    closed = await close(session, shift, chain, actor, now + 8 * HOUR, 130_000)
    assert (closed.status, closed.over_short_minor) == (ShiftStatus.CLOSED, 0)
    view = await queries.get_shift(session, shift_id=shift.shift_id)
    assert view.totals["tenders"][0]["taken_minor"] == 300_000
    assert [each.envelope for each in await queries.cash_drops_of(session, shift_id=shift.shift_id)] == ["A-17"]
    assert await queries.running_shift(session, terminal_id=chain.terminal_id) is None


async def test_short_cash_waits_for_an_explanation_and_the_count_stands(session, chain, actor, now, shift):
    waiting = await close(session, shift, chain, actor, now, 329_000)
    assert (waiting.status, waiting.over_short_minor) == (ShiftStatus.COUNTED, -1_000)
    with pytest.raises(operations.CashAlreadyCounted):
        await close(session, shift, chain, actor, now, 330_000)
    closed = await close(session, shift, chain, actor, now, None, explanation="找零多付")
    assert (closed.status, closed.explanation, closed.counted_cash_minor) == (ShiftStatus.CLOSED, "找零多付", 329_000)


async def test_a_recount_is_another_persons_and_another_row(session, chain, actor, now, shift):
    count = {"shift_id": shift.shift_id, "actor": actor, "now": now}
    await operations.count_cash(session, counted_cash_minor=329_000, staff_id=chain.cashier_id, **count)
    with pytest.raises(operations.RecountNeedsAnother):
        await operations.count_cash(session, counted_cash_minor=330_000, staff_id=chain.cashier_id, **count)
    recounted = await operations.count_cash(session, counted_cash_minor=330_000, staff_id=chain.manager_id, **count)
    assert recounted.counted_cash_minor == 330_000
    assert await session.scalar(select(func.count()).select_from(CashCount).where(CashCount.shift_id == shift.shift_id)) == 2
    assert (await close(session, shift, chain, actor, now, None)).status is ShiftStatus.CLOSED


async def test_the_count_is_blind(session, chain, actor, now, shift):
    await operations.count_cash(session, shift_id=shift.shift_id, counted_cash_minor=1, staff_id=chain.cashier_id, actor=actor, now=now)
    view = await queries.get_shift(session, shift_id=shift.shift_id)
    assert (view.expected_cash_minor, view.over_short_minor) == (None, None)


@pytest.mark.parametrize("status", ShiftStatus)
async def test_what_each_status_allows(session, chain, actor, now, shift, status):
    if status is not ShiftStatus.OPEN:
        await operations.count_cash(
            session, shift_id=shift.shift_id, counted_cash_minor=330_000, staff_id=chain.manager_id, actor=actor, now=now
        )
    if status is ShiftStatus.CLOSED:
        await close(session, shift, chain, actor, now, None)
    drop = {"shift_id": shift.shift_id, "amount_minor": 1, "envelope": "B", "staff_id": chain.cashier_id, "actor": actor, "now": now}
    count = {"shift_id": shift.shift_id, "counted_cash_minor": 330_000, "staff_id": chain.cashier_id, "actor": actor, "now": now}
    attempts = {
        "drop": (operations.record_cash_drop(session, **drop), status is ShiftStatus.OPEN),
        "close uncounted": (close(session, shift, chain, actor, now, None, explanation="x"), status is ShiftStatus.COUNTED),
        "count": (operations.count_cash(session, **count), status is ShiftStatus.OPEN),
    }
    for attempt, allowed in attempts.values():
        if allowed:
            await attempt
        else:
            with pytest.raises(operations.ShiftNotRunning):
                await attempt


async def test_one_till_has_one_shift_at_a_time(session, chain, actor, now, shift):
    again = {
        "station_id": chain.station_id,
        "terminal_id": chain.terminal_id,
        "cashier_id": chain.manager_id,
        "opening_float_minor": 0,
        "actor": actor,
        "now": now,
    }
    with pytest.raises(operations.ShiftAlreadyRunning):
        await operations.open_shift(session, **again)
    await close(session, shift, chain, actor, now, 330_000)
    assert (await operations.open_shift(session, **again)).status is ShiftStatus.OPEN


async def test_a_till_opens_a_shift_at_its_own_station_and_only_while_believed(session, chain, actor, now):
    opening = {
        "terminal_id": chain.terminal_id,
        "cashier_id": chain.cashier_id,
        "opening_float_minor": 0,
        "actor": actor,
        "now": now,
    }
    with pytest.raises(operations.TerminalElsewhere):
        await operations.open_shift(session, station_id=chain.entity_id, **opening)
    await operations.move_terminal(session, terminal_id=chain.terminal_id, to=TerminalStatus.REVOKED, reason="lost", actor=actor, now=now)
    with pytest.raises(operations.TerminalRevoked):
        await operations.open_shift(session, station_id=chain.station_id, **opening)


async def test_a_day_closes_after_midnight_at_the_station_once_its_shifts_are_closed(session, chain, actor, now, shift):
    # 10:15 in Shanghai on the 24th; its day ends at 16:00 UTC.
    day = date(2026, 9, 24)
    end = now.replace(hour=16, minute=0)
    closing = {"station_id": chain.station_id, "day": day, "totals": {"sales_minor": 780_000, "differences": []}, "actor": actor}
    with pytest.raises(operations.DayNotOver):
        await operations.close_day(session, **closing, now=end - timedelta(microseconds=1))
    with pytest.raises(operations.ShiftsStillOpen) as refused:
        await operations.close_day(session, **closing, now=end)
    assert refused.value.facts == {"count": 1, "terminals": "01"}
    await close(session, shift, chain, actor, end - HOUR, 330_000)
    closed = await operations.close_day(session, **closing, now=end)
    assert closed.totals_hash == totals_hash({"differences": [], "sales_minor": 780_000})
    assert await operations.close_day(session, **closing, now=end + HOUR) is closed
    with pytest.raises(operations.DayAlreadyClosed):
        await operations.close_day(session, **(closing | {"totals": {"sales_minor": 1}}), now=end + HOUR)
    listed = await queries.list_day_closes(session, station_id=chain.station_id)
    assert [each.day for each in listed.rows] == [day]


async def test_shifts_are_listed_by_cashier_and_time(session, chain, now, shift):
    mine = await queries.list_shifts(session, cashier_id=chain.cashier_id, opened_from=now, opened_to=now + HOUR)
    assert [each.shift_id for each in mine.rows] == [shift.shift_id]
    assert not (await queries.list_shifts(session, cashier_id=chain.cashier_id, opened_to=now)).rows
    assert await session.scalar(select(Shift.currency).where(Shift.shift_id == shift.shift_id)) == "CNY"
