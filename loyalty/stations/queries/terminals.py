"""Reading terminals."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.db import locked
from loyalty.errors import NotFound
from loyalty.ids import TerminalId
from loyalty.paging import PAGE_SIZE, Column, Page, all_as, keys_for, one_as, page_as
from loyalty.stations.model import Station, Terminal, TerminalEvent, TerminalKind, TerminalStatus


class TerminalNotFound(NotFound):
    """Unknown, or another tenant's: the answer is the same."""

    zh = "没有此终端。"
    en = "There is no such terminal."


class TerminalView(msgspec.Struct, frozen=True):
    """A till with its station's name; caps in minor units of the station's currency."""

    terminal_id: UUID
    code: str
    kind: TerminalKind
    status: TerminalStatus
    station_id: UUID
    station_code: str
    station_name_zh: str
    station_name_en: str
    currency: str
    zone: str
    amount_per_transaction_max_minor: int | None
    offline_amount_max_minor: int | None
    software: str | None
    last_heartbeat_at: datetime | None
    created_at: datetime


class TerminalEventView(msgspec.Struct, frozen=True):
    moved_to: TerminalStatus
    happened_at: datetime
    staff_id: UUID | None
    reason: str


class TerminalFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of terminals is cut to; `reachable` is the caller's scope of stations, None being every station."""

    station_id: UUID | None = None
    statuses: Collection[TerminalStatus] = ()
    kinds: Collection[TerminalKind] = ()
    silent_since: datetime | None = None
    """Only tills not heard since this instant, or never."""
    reachable: Collection[UUID] | None = None


_SORTS: dict[str, Column] = {
    "station": Station.code,
    "code": Terminal.code,
    "status": Terminal.status,
    "created_at": Terminal.created_at,
}


async def get_terminal_for_update(session: AsyncSession, *, terminal_id: TerminalId) -> Terminal:
    """Lock and return one terminal.

    :raises TerminalNotFound: if there is no such terminal
    """
    terminal = await session.scalar(locked(select(Terminal).where(Terminal.terminal_id == terminal_id)))
    if terminal is None:
        raise TerminalNotFound
    return terminal


async def get_terminal(session: AsyncSession, *, terminal_id: UUID, reachable: Collection[UUID] | None = None) -> TerminalView:
    """Return one terminal.

    :raises TerminalNotFound: if there is none, or its station lies outside `reachable`
    """
    view = await one_as(session, TerminalView, _terminals().where(Terminal.terminal_id == terminal_id))
    if view is None or (reachable is not None and view.station_id not in reachable):
        raise TerminalNotFound
    return view


async def find_terminal(session: AsyncSession, *, station_id: UUID, code: str) -> UUID | None:
    """Return the id of a station's till by its code."""
    return await session.scalar(select(Terminal.terminal_id).where(Terminal.station_id == station_id, Terminal.code == code))


async def list_terminals(
    session: AsyncSession, *, by: TerminalFilter | None = None, sort: str = "station", cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[TerminalView]:
    """Read a page of terminals; sorts: station, code, status, created_at.

    :raises UnknownSort: for another sort
    """
    by, statement = by or TerminalFilter(), _terminals()
    if by.station_id is not None:
        statement = statement.where(Terminal.station_id == by.station_id)
    if by.statuses:
        statement = statement.where(Terminal.status.in_(list(by.statuses)))
    if by.kinds:
        statement = statement.where(Terminal.kind.in_(list(by.kinds)))
    if by.silent_since is not None:
        statement = statement.where(Terminal.last_heartbeat_at.is_(None) | (Terminal.last_heartbeat_at < by.silent_since))
    if by.reachable is not None:
        statement = statement.where(Terminal.station_id.in_(list(by.reachable)))
    return await page_as(
        session, TerminalView, statement, keys=keys_for(sort, _SORTS, unique=Terminal.terminal_id), cursor=cursor, limit=limit
    )


async def terminal_history(session: AsyncSession, *, terminal_id: UUID) -> list[TerminalEventView]:
    """Return a terminal's changes of status, the latest first."""
    return await all_as(
        session,
        TerminalEventView,
        select(TerminalEvent.moved_to, TerminalEvent.happened_at, TerminalEvent.staff_id, TerminalEvent.reason)
        .where(TerminalEvent.terminal_id == terminal_id)
        .order_by(TerminalEvent.happened_at.desc(), TerminalEvent.event_id.desc()),
    )


def _terminals() -> Select[*tuple[Any, ...]]:
    return select(
        Terminal.terminal_id,
        Terminal.code,
        Terminal.kind,
        Terminal.status,
        Terminal.station_id,
        Station.code.label("station_code"),
        Station.name_zh.label("station_name_zh"),
        Station.name_en.label("station_name_en"),
        Station.currency,
        Station.zone,
        Terminal.amount_per_transaction_max_minor,
        Terminal.offline_amount_max_minor,
        Terminal.software,
        Terminal.last_heartbeat_at,
        Terminal.created_at,
    ).join(Station, Station.station_id == Terminal.station_id)
