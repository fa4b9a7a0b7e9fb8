"""Reading prices."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, null, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from loyalty.paging import PAGE_SIZE, Column, Page, all_as, keys_for, page_as
from loyalty.stations.model import Product, ProductCategory, Station, StationPrice, Unit


class PriceView(msgspec.Struct, frozen=True):
    """A published price, withdrawn ones included."""

    price_id: UUID
    station_id: UUID
    station_code: str
    station_name_zh: str
    station_name_en: str
    product_id: UUID
    product_code: str
    product_name_zh: str
    product_name_en: str
    unit: Unit
    unit_price_e4: int
    currency: str
    effective_from: datetime
    published_at: datetime
    published_by: UUID | None
    withdrawn_at: datetime | None


class BoardLine(msgspec.Struct, frozen=True):
    """One product on a station's price board: the price in force, and the next one if it is published."""

    product_id: UUID
    product_code: str
    product_name_zh: str
    product_name_en: str
    category: ProductCategory
    shop_category: str | None
    unit: Unit
    unit_price_e4: int
    currency: str
    effective_from: datetime
    next_unit_price_e4: int | None
    next_effective_from: datetime | None


_SORTS: dict[str, Column] = {
    "effective_from": StationPrice.effective_from,
    "published_at": StationPrice.published_at,
    "station": Station.code,
    "product": Product.code,
    "unit_price": StationPrice.unit_price_e4,
}


async def price_at(session: AsyncSession, *, station_id: UUID, product_id: UUID, at: datetime) -> int | None:
    """Return the unit price in ten-thousandths at an instant; None before the first price."""
    return await session.scalar(
        select(StationPrice.unit_price_e4)
        .where(
            StationPrice.station_id == station_id,
            StationPrice.product_id == product_id,
            StationPrice.withdrawn_at.is_(None),
            StationPrice.effective_from <= at,
        )
        .order_by(StationPrice.effective_from.desc())
        .limit(1)
    )


async def price_board(session: AsyncSession, *, station_id: UUID, at: datetime) -> list[BoardLine]:
    """Return what a station sells at an instant and for how much, fuel first, by product code."""
    # DISTINCT ON takes the latest price at or before the instant and the earliest after it, one index range each.
    in_force = (
        select(StationPrice)
        .where(StationPrice.station_id == station_id, StationPrice.withdrawn_at.is_(None), StationPrice.effective_from <= at)
        .ext(distinct_on(StationPrice.product_id))
        .order_by(StationPrice.product_id, StationPrice.effective_from.desc())
        .subquery()
    )
    ahead = (
        select(StationPrice)
        .where(StationPrice.station_id == station_id, StationPrice.withdrawn_at.is_(None), StationPrice.effective_from > at)
        .ext(distinct_on(StationPrice.product_id))
        .order_by(StationPrice.product_id, StationPrice.effective_from)
        .subquery()
    )
    now, coming = aliased(StationPrice, in_force), aliased(StationPrice, ahead)
    return await all_as(
        session,
        BoardLine,
        select(
            Product.product_id,
            Product.code,
            Product.name_zh,
            Product.name_en,
            Product.category,
            Product.shop_category,
            Product.unit,
            now.unit_price_e4,
            now.currency,
            now.effective_from,
            coming.unit_price_e4.label("next_unit_price_e4"),
            coming.effective_from.label("next_effective_from"),
        )
        .join(now, now.product_id == Product.product_id)
        .outerjoin(coming, coming.product_id == Product.product_id)
        .where(Product.active)
        .order_by(Product.category, Product.code),
    )


async def price_boards(session: AsyncSession, *, station_ids: Collection[UUID], at: datetime) -> dict[UUID, list[BoardLine]]:
    """Return what each of some stations sells at an instant, as `price_board` does, without what comes next; one statement for all."""
    now = aliased(
        StationPrice,
        select(StationPrice)
        .where(StationPrice.station_id.in_(station_ids), StationPrice.withdrawn_at.is_(None), StationPrice.effective_from <= at)
        .ext(distinct_on(StationPrice.station_id, StationPrice.product_id))
        .order_by(StationPrice.station_id, StationPrice.product_id, StationPrice.effective_from.desc())
        .subquery(),
    )
    rows = await session.execute(
        select(
            now.station_id,
            *(Product.product_id, Product.code, Product.name_zh, Product.name_en, Product.category, Product.shop_category, Product.unit),
            *(now.unit_price_e4, now.currency, now.effective_from, null(), null()),
        )
        .join(now, now.product_id == Product.product_id)
        .where(Product.active)
        .order_by(now.station_id, Product.category, Product.code)
    )
    boards: dict[UUID, list[BoardLine]] = {station_id: [] for station_id in station_ids}
    for station_id, *columns in rows:
        boards[station_id].append(BoardLine(*columns))
    return boards


async def list_prices(
    session: AsyncSession,
    *,
    station_id: UUID | None = None,
    product_id: UUID | None = None,
    effective_since: datetime | None = None,
    reachable: Collection[UUID] | None = None,
    sort: str = "-effective_from",
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[PriceView]:
    """Read a page of published prices; sorts: effective_from, published_at, station, product, unit_price.

    :raises UnknownSort: for another sort
    """
    statement = _prices()
    if station_id is not None:
        statement = statement.where(StationPrice.station_id == station_id)
    if product_id is not None:
        statement = statement.where(StationPrice.product_id == product_id)
    if effective_since is not None:
        statement = statement.where(StationPrice.effective_from >= effective_since)
    if reachable is not None:
        statement = statement.where(StationPrice.station_id.in_(list(reachable)))
    return await page_as(
        session, PriceView, statement, keys=keys_for(sort, _SORTS, unique=StationPrice.price_id), cursor=cursor, limit=limit
    )


def _prices() -> Select[*tuple[Any, ...]]:
    return (
        select(
            StationPrice.price_id,
            StationPrice.station_id,
            Station.code.label("station_code"),
            Station.name_zh.label("station_name_zh"),
            Station.name_en.label("station_name_en"),
            StationPrice.product_id,
            Product.code.label("product_code"),
            Product.name_zh.label("product_name_zh"),
            Product.name_en.label("product_name_en"),
            Product.unit,
            StationPrice.unit_price_e4,
            StationPrice.currency,
            StationPrice.effective_from,
            StationPrice.published_at,
            StationPrice.published_by,
            StationPrice.withdrawn_at,
        )
        .join(Station, Station.station_id == StationPrice.station_id)
        .join(Product, Product.product_id == StationPrice.product_id)
    )
