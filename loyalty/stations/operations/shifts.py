"""Shifts and days: opened, counted blind, closed."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.operations import Actor, record
from loyalty.clock import day_bounds
from loyalty.errors import Refusal
from loyalty.ids import ShiftId, StaffId, StationId, TerminalId, uuid7
from loyalty.stations.model import SHIFT_MOVES, CashCount, CashDrop, DayClose, Shift, ShiftStatus, Station, Terminal, TerminalStatus
from loyalty.stations.queries.places import get_station_for_update
from loyalty.stations.queries.shifts import dropped_minor, get_shift_for_update
from loyalty.stations.queries.terminals import get_terminal_for_update
from loyalty.stations.rules import ShiftTotals, expected_cash, needs_explanation, totals_hash


class TerminalElsewhere(Refusal):
    """The till belongs to another station."""

    status = 404
    zh = "本站没有此终端。"
    en = "This station has no such terminal."
    next_zh = "请核对终端与油站。"
    next_en = "Check terminal and station."


class TerminalRevoked(Refusal):
    """A revoked till serves nobody."""

    zh = "终端 {terminal} 已停用，不能开班。"
    en = "Terminal {terminal} is revoked: no shift can be opened on it."
    next_zh = "请重新登记终端，或换一台。"
    next_en = "Enrol it again, or use another one."


class ShiftAlreadyRunning(Refusal):
    """One till, one shift at a time."""

    zh = "终端 {terminal} 的上一班尚未交班。"
    en = "The previous shift on terminal {terminal} is not closed yet."
    next_zh = "请先完成上一班的清点和交班。"
    next_en = "Count and close it first."


class ShiftNotRunning(Refusal):
    """It was counted or closed meanwhile."""

    zh = "该班次状态为 {status}，不能进行此操作。"
    en = "The shift is {status}: this can no longer be done."
    next_zh = "请刷新后查看班次。"
    next_en = "Reload the shift."


class CashAlreadyCounted(Refusal):
    """A count is never overwritten."""

    zh = "现金已清点，不能更改清点金额。"
    en = "The cash was counted: the amount cannot be changed."
    next_zh = "请由另一人复点，或填写说明后交班。"
    next_en = "Have somebody else count again, or explain the difference and close."


class RecountNeedsAnother(Refusal):
    """Whoever counted may by now know what was expected."""

    zh = "复点须由另一人进行。"
    en = "A recount is made by somebody else."
    next_zh = "请站长或其他员工复点。"
    next_en = "Ask the manager or a colleague to count."


class DayNotOver(Refusal):
    """A day closes after its last instant."""

    zh = "{day} 尚未结束，不能日结。"
    en = "{day} is not over yet at this station: it cannot be closed."
    next_zh = "请在当地时间 24:00 之后日结。"
    next_en = "Close it after midnight, local time."


class ShiftsStillOpen(Refusal):
    """A day's totals need its shifts' counts."""

    zh = "还有 {count} 个班次未交班（终端 {terminals}），不能日结。"
    en = "{count} shifts of this day are not closed (terminals {terminals})."
    next_zh = "请先交班。"
    next_en = "Close them first."


class DayAlreadyClosed(Refusal):
    """With other totals than these."""

    zh = "{day} 已日结，结果与本次不同；已结的日不再变更。"
    en = "{day} is closed with other totals; a closed day never changes."
    next_zh = "迟到的交易记入未结的日，请核对差异清单。"
    next_en = "Late transactions are booked in the open day: see the list of differences."


async def open_shift(
    session: AsyncSession,
    *,
    station_id: StationId,
    terminal_id: TerminalId,
    cashier_id: StaffId,
    opening_float_minor: int,
    actor: Actor,
    now: datetime,
) -> Shift:
    """Start a cashier's shift on a till with the cash that lies in it, in minor units of the station's currency.

    :raises TerminalNotFound: if there is no such terminal
    :raises TerminalElsewhere: if it belongs to another station
    :raises TerminalRevoked: if it is revoked
    :raises ShiftAlreadyRunning: if its previous shift is not closed
    """
    terminal = await get_terminal_for_update(session, terminal_id=terminal_id)
    if terminal.station_id != station_id:
        raise TerminalElsewhere
    if terminal.status is TerminalStatus.REVOKED:
        raise TerminalRevoked(terminal=terminal.code)
    if await session.scalar(select(Shift.shift_id).where(Shift.terminal_id == terminal_id, Shift.status != ShiftStatus.CLOSED)):
        raise ShiftAlreadyRunning(terminal=terminal.code)
    shift = Shift(
        shift_id=uuid7(now),
        station_id=station_id,
        terminal_id=terminal_id,
        cashier_id=cashier_id,
        status=ShiftStatus.OPEN,
        currency=await session.scalar(select(Station.currency).where(Station.station_id == station_id)),
        opened_at=now,
        opening_float_minor=opening_float_minor,
    )
    session.add(shift)
    await session.flush()
    await _record(session, shift, "stations.shift_opened", {"opening_float_minor": opening_float_minor}, actor=actor, now=now)
    return shift


async def record_cash_drop(
    session: AsyncSession, *, shift_id: ShiftId, amount_minor: int, envelope: str, staff_id: StaffId, actor: Actor, now: datetime
) -> CashDrop:
    """Note cash that went from the till into the safe, in a numbered bag.

    :raises ShiftNotFound: if there is no such shift
    :raises ShiftNotRunning: if its cash was counted
    """
    shift = await get_shift_for_update(session, shift_id=shift_id)
    if shift.status is not ShiftStatus.OPEN:
        raise ShiftNotRunning(status=shift.status)
    drop = CashDrop(
        drop_id=uuid7(now), shift_id=shift_id, amount_minor=amount_minor, envelope=envelope, dropped_by=staff_id, dropped_at=now
    )
    session.add(drop)
    await session.flush()
    await _record(session, shift, "stations.cash_dropped", {"amount_minor": amount_minor, "envelope": envelope}, actor=actor, now=now)
    return drop


async def count_cash(
    session: AsyncSession, *, shift_id: ShiftId, counted_cash_minor: int, staff_id: StaffId, actor: Actor, now: datetime
) -> Shift:
    """Take a blind count: nothing about the expected amount is told before it is stored.

    The first count ends the shift's sales; a recount is a further row and the one that counts, made by somebody else.

    :raises ShiftNotFound: if there is no such shift
    :raises ShiftNotRunning: if it is closed
    :raises RecountNeedsAnother: if the same person counts again
    """
    shift = await get_shift_for_update(session, shift_id=shift_id)
    if shift.status is ShiftStatus.CLOSED:
        raise ShiftNotRunning(status=shift.status)
    counted_by = set(await session.scalars(select(CashCount.counted_by).where(CashCount.shift_id == shift_id)))
    if staff_id in counted_by:
        raise RecountNeedsAnother
    await _count(session, shift, counted_cash_minor, staff_id, actor=actor, now=now)
    return shift


async def close_shift(
    session: AsyncSession,
    *,
    shift_id: ShiftId,
    counted_cash_minor: int | None,
    expected: ShiftTotals,
    staff_id: StaffId,
    actor: Actor,
    now: datetime,
    explanation: str | None = None,
    tolerance_minor: int = 0,
) -> Shift:
    """Close a shift on what the books say; `counted_cash_minor` is given where it was not counted before.

    Where the cash differs by more than `tolerance_minor` and nobody explains it, the shift stays *counted*, with its difference, and is
    closed by a second call with the explanation: the count must survive, so this is a result and not a refusal.

    :raises ShiftNotFound: if there is no such shift
    :raises ShiftNotRunning: if it is closed, or not counted and no count is given
    :raises CashAlreadyCounted: if another count is given than the one that stands
    """
    shift = await get_shift_for_update(session, shift_id=shift_id)
    if shift.status is ShiftStatus.CLOSED or (shift.status is ShiftStatus.OPEN and counted_cash_minor is None):
        raise ShiftNotRunning(status=shift.status)
    if shift.status is ShiftStatus.OPEN:
        assert counted_cash_minor is not None, "turned away above"
        await _count(session, shift, counted_cash_minor, staff_id, actor=actor, now=now)
    elif counted_cash_minor not in {None, shift.counted_cash_minor}:
        raise CashAlreadyCounted
    assert shift.counted_cash_minor is not None, "a counted shift has its count: CHECK counted"
    shift.expected_cash_minor = expected_cash(
        opening_float_minor=shift.opening_float_minor,
        totals=expected,
        dropped_minor=await dropped_minor(session, shift_id=shift_id),
    )
    shift.over_short_minor = shift.counted_cash_minor - shift.expected_cash_minor
    if needs_explanation(over_short_minor=shift.over_short_minor, tolerance_minor=tolerance_minor) and not explanation:
        return shift
    _move(shift, ShiftStatus.CLOSED)
    shift.explanation = explanation
    shift.totals = msgspec.to_builtins(expected)
    shift.closed_at, shift.closed_by = now, staff_id
    facts = {"expected_cash_minor": shift.expected_cash_minor, "over_short_minor": shift.over_short_minor, "explained": bool(explanation)}
    await _record(session, shift, "stations.shift_closed", facts, actor=actor, now=now)
    return shift


async def close_day(
    session: AsyncSession, *, station_id: StationId, day: date, totals: Mapping[str, Any], actor: Actor, now: datetime
) -> DayClose:
    """Close a station's business day on its totals; the same totals again give the same close.

    :raises StationNotFound: if there is no such station
    :raises DayNotOver: if the local day has not ended
    :raises ShiftsStillOpen: if a shift opened on or before that day is not closed
    :raises DayAlreadyClosed: if it is closed with other totals
    """
    station = await get_station_for_update(session, station_id=station_id)
    _, end = day_bounds(day, station.zone)
    if now < end:
        raise DayNotOver(day=day.isoformat())
    fingerprint = totals_hash(totals)
    closed = await session.get(DayClose, (station_id, day))
    if closed is not None:
        if closed.totals_hash != fingerprint:
            raise DayAlreadyClosed(day=day.isoformat())
        return closed
    running = list(
        await session.scalars(
            select(Terminal.code)
            .join(Shift, Shift.terminal_id == Terminal.terminal_id)
            .where(Shift.station_id == station_id, Shift.opened_at < end, Shift.status != ShiftStatus.CLOSED)
            .order_by(Terminal.code)
        )
    )
    if running:
        raise ShiftsStillOpen(count=len(running), terminals=", ".join(running))
    close = DayClose(station_id=station_id, day=day, closed_at=now, closed_by=actor.staff_id, totals=dict(totals), totals_hash=fingerprint)
    session.add(close)
    await session.flush()
    await record(
        session,
        actor=actor,
        action="stations.day_closed",
        subject=("day", f"{station_id}/{day.isoformat()}"),
        station_id=station_id,
        facts={"totals_hash": fingerprint.hex()},
        now=now,
    )
    return close


async def _count(session: AsyncSession, shift: Shift, counted_cash_minor: int, staff_id: StaffId, *, actor: Actor, now: datetime) -> None:
    session.add(
        CashCount(count_id=uuid7(now), shift_id=shift.shift_id, counted_cash_minor=counted_cash_minor, counted_by=staff_id, counted_at=now)
    )
    if shift.status is ShiftStatus.OPEN:
        _move(shift, ShiftStatus.COUNTED)
    shift.counted_at, shift.counted_cash_minor = now, counted_cash_minor
    # What an earlier attempt to close computed was about the earlier count.
    shift.expected_cash_minor = shift.over_short_minor = None
    await session.flush()
    await _record(session, shift, "stations.cash_counted", {"counted_cash_minor": counted_cash_minor}, actor=actor, now=now)


def _move(shift: Shift, to: ShiftStatus) -> None:
    if to not in SHIFT_MOVES[shift.status]:
        raise ShiftNotRunning(status=shift.status)
    shift.status = to


async def _record(session: AsyncSession, shift: Shift, action: str, facts: Mapping[str, object], *, actor: Actor, now: datetime) -> None:
    await record(session, actor=actor, action=action, subject=("shift", shift.shift_id), station_id=shift.station_id, facts=facts, now=now)
