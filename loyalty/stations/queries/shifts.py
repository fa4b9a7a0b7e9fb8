"""Reading shifts and day closes."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.db import locked
from loyalty.errors import NotFound
from loyalty.ids import ShiftId
from loyalty.paging import PAGE_SIZE, Column, Key, Page, all_as, keys_for, one_as, page_as
from loyalty.stations.model import CashDrop, DayClose, Shift, ShiftStatus, Station, Terminal


class ShiftNotFound(NotFound):
    """Unknown, or another tenant's: the answer is the same."""

    zh = "没有此班次。"
    en = "There is no such shift."


class ShiftView(msgspec.Struct, frozen=True):
    """A shift as its list shows it; before the count, `expected_cash_minor` is None: the count is blind."""

    shift_id: UUID
    station_id: UUID
    station_code: str
    station_name_zh: str
    station_name_en: str
    terminal_id: UUID
    terminal_code: str
    cashier_id: UUID
    status: ShiftStatus
    currency: str
    opened_at: datetime
    opening_float_minor: int
    counted_at: datetime | None
    counted_cash_minor: int | None
    expected_cash_minor: int | None
    over_short_minor: int | None
    explanation: str | None
    totals: dict[str, Any] | None
    closed_at: datetime | None


class DropView(msgspec.Struct, frozen=True):
    drop_id: UUID
    amount_minor: int
    envelope: str
    dropped_by: UUID
    dropped_at: datetime


class DayCloseView(msgspec.Struct, frozen=True):
    station_id: UUID
    station_code: str
    station_name_zh: str
    station_name_en: str
    day: date
    closed_at: datetime
    closed_by: UUID | None
    totals: dict[str, Any]
    totals_hash: bytes


_SORTS: dict[str, Column] = {"opened_at": Shift.opened_at, "station": Station.code, "status": Shift.status}


async def get_shift_for_update(session: AsyncSession, *, shift_id: ShiftId) -> Shift:
    """Lock and return one shift.

    :raises ShiftNotFound: if there is no such shift
    """
    shift = await session.scalar(locked(select(Shift).where(Shift.shift_id == shift_id)))
    if shift is None:
        raise ShiftNotFound
    return shift


async def get_shift(session: AsyncSession, *, shift_id: UUID, reachable: Collection[UUID] | None = None) -> ShiftView:
    """Return one shift.

    :raises ShiftNotFound: if there is none, or its station lies outside `reachable`
    """
    view = await one_as(session, ShiftView, _shifts().where(Shift.shift_id == shift_id))
    if view is None or (reachable is not None and view.station_id not in reachable):
        raise ShiftNotFound
    return view


async def running_shift(session: AsyncSession, *, terminal_id: UUID) -> ShiftView | None:
    """Return the shift on a till that is open or counted but not closed."""
    return await one_as(session, ShiftView, _shifts().where(Shift.terminal_id == terminal_id, Shift.status != ShiftStatus.CLOSED))


async def dropped_minor(session: AsyncSession, *, shift_id: UUID) -> int:
    """Return what went from the till into the safe during a shift."""
    return int(await session.scalar(select(func.coalesce(func.sum(CashDrop.amount_minor), 0)).where(CashDrop.shift_id == shift_id)) or 0)


async def cash_drops_of(session: AsyncSession, *, shift_id: UUID) -> list[DropView]:
    """Return a shift's cash drops in order."""
    return await all_as(
        session,
        DropView,
        select(CashDrop.drop_id, CashDrop.amount_minor, CashDrop.envelope, CashDrop.dropped_by, CashDrop.dropped_at)
        .where(CashDrop.shift_id == shift_id)
        .order_by(CashDrop.dropped_at, CashDrop.drop_id),
    )


async def list_shifts(
    session: AsyncSession,
    *,
    station_id: UUID | None = None,
    cashier_id: UUID | None = None,
    statuses: Collection[ShiftStatus] = (),
    opened_from: datetime | None = None,
    opened_to: datetime | None = None,
    reachable: Collection[UUID] | None = None,
    sort: str = "-opened_at",
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[ShiftView]:
    """Read a page of shifts opened in `[opened_from, opened_to)`; sorts: opened_at, station, status.

    :raises UnknownSort: for another sort
    """
    statement = _shifts()
    if station_id is not None:
        statement = statement.where(Shift.station_id == station_id)
    if cashier_id is not None:
        statement = statement.where(Shift.cashier_id == cashier_id)
    if statuses:
        statement = statement.where(Shift.status.in_(list(statuses)))
    if opened_from is not None:
        statement = statement.where(Shift.opened_at >= opened_from)
    if opened_to is not None:
        statement = statement.where(Shift.opened_at < opened_to)
    if reachable is not None:
        statement = statement.where(Shift.station_id.in_(list(reachable)))
    return await page_as(session, ShiftView, statement, keys=keys_for(sort, _SORTS, unique=Shift.shift_id), cursor=cursor, limit=limit)


async def get_day_close(session: AsyncSession, *, station_id: UUID, day: date) -> DayCloseView | None:
    """Return a station's close of a day; None while it is open."""
    return await one_as(session, DayCloseView, _closes().where(DayClose.station_id == station_id, DayClose.day == day))


async def list_day_closes(
    session: AsyncSession,
    *,
    station_id: UUID | None = None,
    reachable: Collection[UUID] | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[DayCloseView]:
    """Read a page of day closes, the latest day first."""
    statement = _closes()
    if station_id is not None:
        statement = statement.where(DayClose.station_id == station_id)
    if reachable is not None:
        statement = statement.where(DayClose.station_id.in_(list(reachable)))
    keys = [Key(DayClose.day, descending=True), Key(Station.code)]
    return await page_as(session, DayCloseView, statement, keys=keys, cursor=cursor, limit=limit)


def _closes() -> Select[*tuple[Any, ...]]:
    return select(
        DayClose.station_id,
        Station.code.label("station_code"),
        Station.name_zh.label("station_name_zh"),
        Station.name_en.label("station_name_en"),
        DayClose.day,
        DayClose.closed_at,
        DayClose.closed_by,
        DayClose.totals,
        DayClose.totals_hash,
    ).join(Station, Station.station_id == DayClose.station_id)


def _shifts() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Shift.shift_id,
            Shift.station_id,
            Station.code.label("station_code"),
            Station.name_zh.label("station_name_zh"),
            Station.name_en.label("station_name_en"),
            Shift.terminal_id,
            Terminal.code.label("terminal_code"),
            Shift.cashier_id,
            Shift.status,
            Shift.currency,
            Shift.opened_at,
            Shift.opening_float_minor,
            Shift.counted_at,
            Shift.counted_cash_minor,
            Shift.expected_cash_minor,
            Shift.over_short_minor,
            Shift.explanation,
            Shift.totals,
            Shift.closed_at,
        )
        .join(Station, Station.station_id == Shift.station_id)
        .join(Terminal, Terminal.terminal_id == Shift.terminal_id)
    )
