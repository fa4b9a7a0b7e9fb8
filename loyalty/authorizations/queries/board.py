"""What a station must look at now: unpaid fills, open authorisations, unresolved dispenses."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.model import OPEN, Authorization, Fill, FillStatus, Status, UnresolvedDispense
from loyalty.authorizations.wire import reference
from loyalty.cards.model import Card
from loyalty.ids import uuid7_floor
from loyalty.ledger.model import Account
from loyalty.paging import PAGE_SIZE, Key, Page, all_as, page_as
from loyalty.stations.model import Product, Station, Terminal


class FillLine(msgspec.Struct, frozen=True):
    """A finished fill on a nozzle's list."""

    fill_id: UUID
    pump_reference: str
    nozzle: int
    product_id: UUID
    product_code: str
    product_name_zh: str
    product_name_en: str
    quantity_milli: int
    unit_price_e4: int
    amount_minor: int
    finished_at: datetime
    status: int
    locked_until: datetime | None


class OpenAuthorization(msgspec.Struct, frozen=True):
    """An authorisation that may still hold something; amounts in minor units of `currency`."""

    account_id: UUID
    authorization_id: UUID
    station_id: UUID
    station_code: str
    station_name_zh: str
    station_name_en: str
    zone: str
    terminal_code: str
    card_id: UUID | None
    card_tail: str | None
    currency: str
    status: int
    flow: int
    nozzle: int | None
    product_code: str | None
    approved_minor: int
    approved_milli: int
    captured_minor: int
    captured_milli: int
    hold_minors: list[int]
    flags: int
    event_at: datetime
    expires_at: datetime | None
    opened_at: datetime | None
    """Since when it is an unresolved dispense; None while a completion is awaited."""

    @property
    def held_minor(self) -> int:
        """What is still held."""
        return sum(self.hold_minors)

    @property
    def reference(self) -> str:
        """The public reference."""
        return reference(self.account_id, self.authorization_id)


async def unpaid_fills(session: AsyncSession, *, station_id: UUID, now: datetime, nozzle: int | None = None) -> list[FillLine]:
    """Return a station's unpaid fills by nozzle, the oldest first; a running lock shows until when, one that ran out does not."""
    statement = (
        _fills()
        .where(Fill.station_id == station_id, Fill.status.in_([FillStatus.UNPAID, FillStatus.LOCKED]))
        .order_by(Fill.nozzle, Fill.finished_at, Fill.fill_id)
    )
    if nozzle is not None:
        statement = statement.where(Fill.nozzle == nozzle)
    lines = await all_as(session, FillLine, statement)
    return [
        msgspec.structs.replace(line, status=int(FillStatus.UNPAID), locked_until=None)
        if line.locked_until is not None and line.locked_until <= now
        else line
        for line in lines
    ]


async def list_fills(
    session: AsyncSession,
    *,
    station_id: UUID,
    statuses: Collection[FillStatus] = (),
    finished_from: datetime | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[FillLine]:
    """Read a page of a station's fills of any status, the latest first."""
    statement = _fills().where(Fill.station_id == station_id)
    if statuses:
        statement = statement.where(Fill.status.in_([int(status) for status in statuses]))
    if finished_from is not None:
        statement = statement.where(Fill.finished_at >= finished_from)
    keys = [Key(Fill.finished_at, descending=True), Key(Fill.fill_id, descending=True)]
    return await page_as(session, FillLine, statement, keys=keys, cursor=cursor, limit=limit)


async def open_authorizations(
    session: AsyncSession,
    *,
    now: datetime,
    station_id: UUID | None = None,
    account_id: UUID | None = None,
    reachable: Collection[UUID] | None = None,
    look_back: timedelta = timedelta(days=2),
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[OpenAuthorization]:
    """Read a page of authorisations whose completion is awaited, of a station or an account, the latest first.

    Older ones than `look_back` are unresolved dispenses by then and stand on that list.
    """
    statement = _authorizations().where(
        Authorization.authorization_id >= uuid7_floor(now - look_back), Authorization.status.in_([int(status) for status in OPEN])
    )
    statement = _scoped(statement, station_id, account_id, reachable)
    keys = [Key(Authorization.authorization_id, descending=True)]
    return await page_as(session, OpenAuthorization, statement, keys=keys, cursor=cursor, limit=limit)


async def list_unresolved(
    session: AsyncSession,
    *,
    station_id: UUID | None = None,
    account_id: UUID | None = None,
    reachable: Collection[UUID] | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[OpenAuthorization]:
    """Read a page of unresolved dispenses, the oldest first: the station's board."""
    statement = _authorizations().where(UnresolvedDispense.resolved_at.is_(None), UnresolvedDispense.opened_at.is_not(None))
    statement = _scoped(statement.where(Authorization.status == int(Status.UNRESOLVED)), station_id, account_id, reachable)
    keys = [Key(UnresolvedDispense.opened_at), Key(UnresolvedDispense.authorization_id)]
    return await page_as(session, OpenAuthorization, statement, keys=keys, cursor=cursor, limit=limit)


def _scoped(
    statement: Select[*tuple[Any, ...]], station_id: UUID | None, account_id: UUID | None, reachable: Collection[UUID] | None
) -> Select[*tuple[Any, ...]]:
    if station_id is not None:
        statement = statement.where(Authorization.station_id == station_id)
    if account_id is not None:
        statement = statement.where(Authorization.account_id == account_id)
    if reachable is not None:
        statement = statement.where(Authorization.station_id.in_(list(reachable)))
    return statement


def _fills() -> Select[*tuple[Any, ...]]:
    return select(
        Fill.fill_id,
        Fill.pump_reference,
        Fill.nozzle,
        Fill.product_id,
        Product.code,
        Product.name_zh,
        Product.name_en,
        Fill.quantity_milli,
        Fill.unit_price_e4,
        Fill.amount_minor,
        Fill.finished_at,
        Fill.status,
        Fill.locked_until,
    ).join(Product, Product.product_id == Fill.product_id)


def _authorizations() -> Select[*tuple[Any, ...]]:
    """Select authorisations with what is known of their dispense; the two share their key, so partitions are found by either."""
    return (
        select(
            Authorization.account_id,
            Authorization.authorization_id,
            Authorization.station_id,
            Station.code,
            Station.name_zh,
            Station.name_en,
            Station.zone,
            Terminal.code,
            Authorization.card_id,
            Card.number_tail,
            Account.currency,
            Authorization.status,
            Authorization.flow,
            Authorization.nozzle,
            Product.code,
            Authorization.approved_minor,
            Authorization.approved_milli,
            Authorization.captured_minor,
            Authorization.captured_milli,
            Authorization.hold_minors,
            Authorization.flags,
            Authorization.event_at,
            Authorization.expires_at,
            UnresolvedDispense.opened_at,
        )
        .join(Station, Station.station_id == Authorization.station_id)
        .join(Terminal, Terminal.terminal_id == Authorization.terminal_id)
        .join(Account, Account.account_id == Authorization.account_id)
        .join(Card, Card.card_id == Authorization.card_id, isouter=True)
        .join(Product, Product.product_id == Authorization.product_id, isouter=True)
        .join(
            UnresolvedDispense,
            and_(
                UnresolvedDispense.account_id == Authorization.account_id,
                UnresolvedDispense.authorization_id == Authorization.authorization_id,
                or_(UnresolvedDispense.resolved_at.is_(None), Authorization.status != int(Status.UNRESOLVED)),
            ),
            isouter=True,
        )
    )
