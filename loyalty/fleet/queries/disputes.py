"""Disputes as the company, the station and the office read them; and one fill with whose it was."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from loyalty.authorizations.model import Sale
from loyalty.cards.model import Card
from loyalty.customers.model import Customer
from loyalty.errors import NotFound
from loyalty.fleet.model import Driver, Vehicle
from loyalty.fleet.model_custody import CardLoan
from loyalty.fleet.model_disputes import DisputeReason, DisputeStatus, FillDispute
from loyalty.fleet.model_fills import FleetFill
from loyalty.fleet.queries.custody import lent_when
from loyalty.paging import PAGE_SIZE, Key, Page, one_as, page_as
from loyalty.stations.model import Product, Station


class DisputeNotFound(NotFound):
    zh = "没有找到该争议。"
    en = "There is no such dispute."


class FillNotFound(NotFound):
    zh = "没有找到该笔加油。"
    en = "There is no such fill."


class DisputeView(msgspec.Struct, frozen=True):
    """One dispute with its fill; amounts in minor units of `currency`, gross."""

    dispute_id: UUID
    company_id: UUID
    company: str
    account_id: UUID
    sale_id: UUID
    station_id: UUID
    station_zh: str
    station_en: str
    terminal_id: UUID
    plate: str | None
    department_id: UUID | None
    event_at: datetime
    gross_minor: int
    refunded_minor: int
    quantity_milli: int
    currency: str
    reason: DisputeReason
    comment: str
    wanted_minor: int
    status: DisputeStatus
    opened_at: datetime
    answer_by: datetime
    answered_at: datetime | None
    answered_by: UUID | None
    answer: str | None
    agrees: bool | None
    decided_at: datetime | None
    decided_by: UUID | None
    decision: str | None
    given_minor: int | None


class FillView(msgspec.Struct, frozen=True):
    """One fill of a company: whose it was then, what it took, what came back."""

    sale_id: UUID
    card_id: UUID | None
    card_tail: str | None
    vehicle_id: UUID | None
    plate: str | None
    driver: str | None
    department_id: UUID | None
    station_zh: str
    station_en: str
    product_zh: str | None
    product_en: str | None
    event_at: datetime
    quantity_milli: int
    unit_price_e4: int
    gross_minor: int
    discount_minor: int
    card_minor: int
    odometer_km: int | None
    back_gross_minor: int


def _disputes() -> Select[*tuple[Any, ...]]:
    one = FillDispute
    return (
        select(
            *(one.dispute_id, one.company_id, Customer.name, one.account_id, one.sale_id, one.station_id, Station.name_zh, Station.name_en),
            *(Sale.terminal_id, Vehicle.plate, FleetFill.department_id, Sale.event_at, Sale.gross_minor, Sale.refunded_minor),
            *(Sale.quantity_milli, one.currency, one.reason, one.comment, one.wanted_minor, one.status, one.opened_at, one.answer_by),
            *(one.answered_at, one.answered_by, one.answer, one.agrees, one.decided_at, one.decided_by, one.decision, one.given_minor),
        )
        .join(Customer, Customer.customer_id == one.company_id)
        .join(Station, Station.station_id == one.station_id)
        .join(Sale, (Sale.account_id == one.account_id) & (Sale.sale_id == one.sale_id))
        .outerjoin(FleetFill, (FleetFill.account_id == one.account_id) & (FleetFill.sale_id == one.sale_id))
        .outerjoin(Vehicle, Vehicle.vehicle_id == FleetFill.vehicle_id)
    )


async def list_disputes(
    session: AsyncSession,
    *,
    company_id: UUID | None = None,
    departments: Collection[UUID] | None = None,
    stations: Collection[UUID] | None = None,
    statuses: Collection[DisputeStatus] | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[DisputeView]:
    """Return disputes of a company, or at stations, the latest first; None is all."""
    statement = _disputes()
    if company_id is not None:
        statement = statement.where(FillDispute.company_id == company_id)
    if departments is not None:
        statement = statement.where(FleetFill.department_id.in_(departments))
    if stations is not None:
        statement = statement.where(FillDispute.station_id.in_(stations))
    if statuses is not None:
        statement = statement.where(FillDispute.status.in_(statuses))
    keys = [Key(FillDispute.dispute_id, descending=True)]
    return await page_as(session, DisputeView, statement, keys=keys, cursor=cursor, limit=limit)


async def get_dispute(session: AsyncSession, *, dispute_id: UUID, company_id: UUID | None = None) -> DisputeView:
    """Return one dispute, of a company where one is named.

    :raises DisputeNotFound: if there is none
    """
    found = await one_as(session, DisputeView, _disputes().where(FillDispute.dispute_id == dispute_id))
    if found is None or company_id not in {None, found.company_id}:
        raise DisputeNotFound(dispute=dispute_id)
    return found


async def standing_dispute(session: AsyncSession, *, account_id: UUID, sale_id: UUID) -> UUID | None:
    """Return the latest dispute of a fill that was not withdrawn."""
    statement = select(FillDispute.dispute_id).where(
        FillDispute.account_id == account_id, FillDispute.sale_id == sale_id, FillDispute.status != DisputeStatus.WITHDRAWN
    )
    found: UUID | None = await session.scalar(statement.order_by(FillDispute.dispute_id.desc()).limit(1))
    return found


async def get_fill(session: AsyncSession, *, account_id: UUID, sale_id: UUID) -> FillView:
    """Return one fill of a company's account; where no driver was said, who had borrowed the card then.

    :raises FillNotFound: if it is none of it, or not collected yet
    """
    one, borrower = FleetFill, aliased(Driver)
    drove = func.coalesce(Driver.name, borrower.name)
    statement = (
        select(
            *(one.sale_id, one.card_id, Card.number_tail, one.vehicle_id, Vehicle.plate, drove, one.department_id),
            *(Station.name_zh, Station.name_en, Product.name_zh, Product.name_en, one.event_at, one.quantity_milli, one.unit_price_e4),
            *(one.gross_minor, one.discount_minor, one.card_minor, one.odometer_km, one.back_gross_minor),
        )
        .join(Station, Station.station_id == one.station_id)
        .outerjoin(Card, Card.card_id == one.card_id)
        .outerjoin(Vehicle, Vehicle.vehicle_id == one.vehicle_id)
        .outerjoin(Driver, Driver.driver_id == one.driver_id)
        .outerjoin(CardLoan, lent_when(one.chain_id, one.event_at))
        .outerjoin(borrower, borrower.driver_id == CardLoan.driver_id)
        .outerjoin(Product, Product.product_id == one.product_id)
        .where(one.account_id == account_id, one.sale_id == sale_id)
    )
    found = await one_as(session, FillView, statement)
    if found is None:
        raise FillNotFound(sale=sale_id)
    return found
