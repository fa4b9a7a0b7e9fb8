"""What companies' own systems read: fills in the order of their booking, each once and none missed; and the keys themselves."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.cards.model import Card
from loyalty.fleet.model import Driver, Vehicle
from loyalty.fleet.model_api import CompanyApiKey
from loyalty.fleet.model_fills import FleetFill, FleetMark
from loyalty.fleet.operations.fills import FILLS_MARK, OVERLAP
from loyalty.ids import instant_of, uuid7_floor
from loyalty.paging import all_as
from loyalty.stations.model import Product, Station


class ApiFill(msgspec.Struct, frozen=True):
    """One fill. Minor units of the company's currency, thousandths of the product's unit, the price in 1/10,000.

    `back_…` is what refunds took back of it by now.
    """

    fill_id: UUID
    event_at: datetime
    booked_at: datetime
    day: date
    """The station's."""
    station_code: str
    product_code: str | None
    """None: shop goods only."""
    card_tail: str | None
    vehicle_id: UUID | None
    plate: str | None
    driver_id: UUID | None
    driver_number: str | None
    department_id: UUID | None
    quantity_milli: int
    unit_price_e4: int
    gross_minor: int
    discount_minor: int
    card_minor: int
    odometer_km: int | None
    """As it was said at the pump."""
    back_milli: int
    back_gross_minor: int
    back_discount_minor: int
    back_card_minor: int


class ApiKeyView(msgspec.Struct, frozen=True):
    """A key as its company lists it."""

    key_id: UUID
    name: str
    prefix: str
    may_order: bool
    made_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


async def settled_to(session: AsyncSession) -> datetime | None:
    """Return the instant (whole milliseconds) before which every fill is booked and collected; None before the first collecting.

    Until the collector has looked twice at a time, a fill of it may still commit and would be passed over.
    """
    collected = await session.scalar(select(FleetMark.collected_to).where(FleetMark.name == FILLS_MARK))
    return None if collected is None else instant_of(uuid7_floor(collected - OVERLAP))


async def fills_after(
    session: AsyncSession, *, account_id: UUID, after: UUID | None, back_to: datetime | None = None, limit: int
) -> list[ApiFill]:
    """Return the fills booked after a fill (None: from the first, or from `back_to`), in the order of booking.

    Only what is settled is told (`settled_to`).
    """
    settled = await settled_to(session)
    if settled is None:
        return []
    columns: list[Any] = [
        *(FleetFill.sale_id, FleetFill.event_at, FleetFill.booked_at, FleetFill.day, Station.code, Product.code.label("product")),
        *(Card.number_tail, FleetFill.vehicle_id, Vehicle.plate, FleetFill.driver_id, Driver.number, FleetFill.department_id),
        *(FleetFill.quantity_milli, FleetFill.unit_price_e4, FleetFill.gross_minor, FleetFill.discount_minor, FleetFill.card_minor),
        *(
            FleetFill.odometer_km,
            FleetFill.back_milli,
            FleetFill.back_gross_minor,
            FleetFill.back_discount_minor,
            FleetFill.back_card_minor,
        ),
    ]
    wanted = (
        select(*columns)
        .join(Station, Station.station_id == FleetFill.station_id)
        .outerjoin(Product, Product.product_id == FleetFill.product_id)
        .outerjoin(Card, Card.card_id == FleetFill.card_id)
        .outerjoin(Vehicle, Vehicle.vehicle_id == FleetFill.vehicle_id)
        .outerjoin(Driver, Driver.driver_id == FleetFill.driver_id)
        .where(FleetFill.account_id == account_id, FleetFill.sale_id < uuid7_floor(settled))
    )
    if after is not None:
        wanted = wanted.where(FleetFill.sale_id > after)
    if back_to is not None:
        wanted = wanted.where(FleetFill.sale_id >= uuid7_floor(back_to))
    return await all_as(session, ApiFill, wanted.order_by(FleetFill.sale_id).limit(limit))


async def api_keys_of(session: AsyncSession, *, company_id: UUID, most: int = 100) -> list[ApiKeyView]:
    """Return a company's keys, the living ones first, then the latest made."""
    wanted = select(*(getattr(CompanyApiKey, name) for name in ApiKeyView.__struct_fields__)).where(CompanyApiKey.company_id == company_id)
    ordered = wanted.order_by(CompanyApiKey.revoked_at.is_not(None), CompanyApiKey.key_id.desc()).limit(most)
    return await all_as(session, ApiKeyView, ordered)
