"""What a hot worker keeps in memory: each read by one SQL, exchanged whole when its revision changes."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.paging import all_as
from loyalty.stations.model import (
    District,
    Product,
    Region,
    Station,
    StationPrice,
    StationStatus,
    Terminal,
    TerminalKind,
    TerminalStatus,
)

from .places import ProductView, products_whole


class StationSnapshot(msgspec.Struct, frozen=True):
    """Revision kind `reference`."""

    station_id: UUID
    code: str
    name_zh: str
    name_en: str
    zone: str
    entity_id: UUID
    district_id: UUID
    region_id: UUID
    country: str
    currency: str
    status: StationStatus
    may_issue: bool
    may_load: bool
    may_invoice: bool
    district_code: str
    region_code: str


class TerminalSnapshot(msgspec.Struct, frozen=True):
    """Revision kind `terminal`. Caps in minor units, None being none."""

    terminal_id: UUID
    code: str
    station_id: UUID
    status: TerminalStatus
    kind: TerminalKind
    amount_per_transaction_max_minor: int | None
    offline_amount_max_minor: int | None


class ProductSnapshot(ProductView, frozen=True):
    """Revision kind `reference`; inactive ones too, since late completions name them."""


class PriceSnapshot(msgspec.Struct, frozen=True):
    """Revision kind `price`."""

    station_id: UUID
    product_id: UUID
    effective_from: datetime
    unit_price_e4: int


async def snapshot_stations(session: AsyncSession) -> list[StationSnapshot]:
    """Return every station."""
    return await all_as(
        session,
        StationSnapshot,
        select(
            Station.station_id,
            Station.code,
            Station.name_zh,
            Station.name_en,
            Station.zone,
            Station.entity_id,
            Station.district_id,
            District.region_id,
            Station.country,
            Station.currency,
            Station.status,
            Station.may_issue,
            Station.may_load,
            Station.may_invoice,
            District.code.label("district_code"),
            Region.code.label("region_code"),
        )
        .join(District, District.district_id == Station.district_id)
        .join(Region, Region.region_id == District.region_id)
        .order_by(Station.code),
    )


async def snapshot_terminals(session: AsyncSession) -> list[TerminalSnapshot]:
    """Return every terminal, revoked ones too."""
    return await all_as(
        session,
        TerminalSnapshot,
        select(
            Terminal.terminal_id,
            Terminal.code,
            Terminal.station_id,
            Terminal.status,
            Terminal.kind,
            Terminal.amount_per_transaction_max_minor,
            Terminal.offline_amount_max_minor,
        ),
    )


async def snapshot_products(session: AsyncSession) -> list[ProductSnapshot]:
    """Return every product."""
    return await all_as(session, ProductSnapshot, products_whole().order_by(Product.code))


async def snapshot_prices(session: AsyncSession, *, now: datetime) -> list[PriceSnapshot]:
    """Return the price in force at `now` and every later one, per station and product, by instant of effect."""
    in_force_since = (
        select(func.max(StationPrice.effective_from))
        .where(
            StationPrice.station_id == (outer := StationPrice.__table__.alias("outer")).c.station_id,
            StationPrice.product_id == outer.c.product_id,
            StationPrice.withdrawn_at.is_(None),
            StationPrice.effective_from <= now,
        )
        .scalar_subquery()
    )
    return await all_as(
        session,
        PriceSnapshot,
        select(outer.c.station_id, outer.c.product_id, outer.c.effective_from, outer.c.unit_price_e4)
        .where(outer.c.withdrawn_at.is_(None), outer.c.effective_from >= func.coalesce(in_force_since, outer.c.effective_from))
        .order_by(outer.c.station_id, outer.c.product_id, outer.c.effective_from),
    )
