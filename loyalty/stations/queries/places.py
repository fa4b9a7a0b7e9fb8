"""Reading stations, their hierarchy and the products."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.db import locked
from loyalty.errors import NotFound
from loyalty.ids import StationId
from loyalty.paging import PAGE_SIZE, Column, Page, all_as, keys_for, one_as, page_as
from loyalty.stations.model import (
    District,
    FuelKind,
    LegalEntity,
    Product,
    ProductCategory,
    Region,
    Station,
    StationEvent,
    StationStatus,
    Unit,
)


class StationNotFound(NotFound):
    """Unknown, or another tenant's: the answer is the same."""

    zh = "没有此油站。"
    en = "There is no such station."


class ProductNotFound(NotFound):
    """Unknown."""

    zh = "没有此商品。"
    en = "There is no such product."


class EntityView(msgspec.Struct, frozen=True):
    entity_id: UUID
    code: str
    name_zh: str
    name_en: str
    currency: str
    tax_number: str | None


class RegionView(msgspec.Struct, frozen=True):
    region_id: UUID
    code: str
    name_zh: str
    name_en: str


class DistrictView(msgspec.Struct, frozen=True):
    district_id: UUID
    code: str
    name_zh: str
    name_en: str
    region_id: UUID
    region_name_zh: str
    region_name_en: str


class StationView(msgspec.Struct, frozen=True):
    """A station with the names of what it belongs to."""

    station_id: UUID
    code: str
    name_zh: str
    name_en: str
    status: StationStatus
    entity_id: UUID
    entity_name_zh: str
    entity_name_en: str
    district_id: UUID
    district_name_zh: str
    district_name_en: str
    region_id: UUID
    region_name_zh: str
    region_name_en: str
    country: str
    zone: str
    currency: str
    address: str
    phone: str
    segment: str | None
    may_issue: bool
    may_load: bool
    may_invoice: bool
    created_at: datetime


class StationEventView(msgspec.Struct, frozen=True):
    moved_to: StationStatus
    happened_at: datetime
    staff_id: UUID | None
    reason: str


class ProductView(msgspec.Struct, frozen=True):
    product_id: UUID
    code: str
    name_zh: str
    name_en: str
    category: ProductCategory
    fuel_kind: FuelKind | None
    shop_category: str | None
    unit: Unit
    active: bool


class StationFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of stations is cut to; `reachable` is the caller's scope, None being every station."""

    text: str = ""
    """The beginning of the code, or any part of a name, its district's too."""
    statuses: Collection[StationStatus] = ()
    district_id: UUID | None = None
    region_id: UUID | None = None
    entity_id: UUID | None = None
    reachable: Collection[UUID] | None = None


_STATION_SORTS: dict[str, Column] = {
    "code": Station.code,
    "name_zh": Station.name_zh,
    "name_en": Station.name_en,
    "status": Station.status,
    "created_at": Station.created_at,
}
_PRODUCT_SORTS: dict[str, Column] = {
    "code": Product.code,
    "category": Product.category,
    "name_zh": Product.name_zh,
    "name_en": Product.name_en,
}


async def get_station_for_update(session: AsyncSession, *, station_id: StationId) -> Station:
    """Lock and return one station.

    :raises StationNotFound: if there is no such station
    """
    station = await session.scalar(locked(select(Station).where(Station.station_id == station_id)))
    if station is None:
        raise StationNotFound
    return station


async def get_station(session: AsyncSession, *, station_id: UUID, reachable: Collection[UUID] | None = None) -> StationView:
    """Return one station.

    :raises StationNotFound: if there is none, or it lies outside `reachable`
    """
    if reachable is not None and station_id not in reachable:
        raise StationNotFound
    view = await one_as(session, StationView, _stations().where(Station.station_id == station_id))
    if view is None:
        raise StationNotFound
    return view


async def find_station(session: AsyncSession, *, code: str) -> UUID | None:
    """Return the id of the station with this code."""
    return await session.scalar(select(Station.station_id).where(Station.code == code))


async def list_stations(
    session: AsyncSession, *, by: StationFilter | None = None, sort: str = "code", cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[StationView]:
    """Read a page of stations; sorts: code, name_zh, name_en, status, created_at.

    :raises UnknownSort: for another sort
    """
    statement = _filtered(_stations(), by or StationFilter())
    return await page_as(
        session, StationView, statement, keys=keys_for(sort, _STATION_SORTS, unique=Station.code), cursor=cursor, limit=limit
    )


async def list_entities(session: AsyncSession) -> list[EntityView]:
    """Return every legal entity by code: there are few."""
    columns = [
        LegalEntity.entity_id,
        LegalEntity.code,
        LegalEntity.name_zh,
        LegalEntity.name_en,
        LegalEntity.currency,
        LegalEntity.tax_number,
    ]
    return await all_as(session, EntityView, select(*columns).order_by(LegalEntity.code))


async def list_regions(session: AsyncSession) -> list[RegionView]:
    """Return every region by code."""
    return await all_as(session, RegionView, select(Region.region_id, Region.code, Region.name_zh, Region.name_en).order_by(Region.code))


async def list_districts(session: AsyncSession) -> list[DistrictView]:
    """Return every district with its region, by both codes."""
    return await all_as(
        session,
        DistrictView,
        select(
            District.district_id,
            District.code,
            District.name_zh,
            District.name_en,
            Region.region_id,
            Region.name_zh.label("region_name_zh"),
            Region.name_en.label("region_name_en"),
        )
        .join(Region, Region.region_id == District.region_id)
        .order_by(Region.code, District.code),
    )


async def station_history(session: AsyncSession, *, station_id: UUID) -> list[StationEventView]:
    """Return a station's changes of status, the latest first."""
    return await all_as(
        session,
        StationEventView,
        select(StationEvent.moved_to, StationEvent.happened_at, StationEvent.staff_id, StationEvent.reason)
        .where(StationEvent.station_id == station_id)
        .order_by(StationEvent.happened_at.desc(), StationEvent.event_id.desc()),
    )


async def get_product(session: AsyncSession, *, code: str) -> ProductView:
    """Return one product by its code.

    :raises ProductNotFound: if there is none
    """
    view = await one_as(session, ProductView, products_whole().where(Product.code == code))
    if view is None:
        raise ProductNotFound
    return view


async def list_products(
    session: AsyncSession,
    *,
    category: ProductCategory | None = None,
    active_only: bool = False,
    sort: str = "code",
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[ProductView]:
    """Read a page of products; sorts: code, category, name_zh, name_en.

    :raises UnknownSort: for another sort
    """
    statement = products_whole()
    if category is not None:
        statement = statement.where(Product.category == category)
    if active_only:
        statement = statement.where(Product.active)
    return await page_as(
        session, ProductView, statement, keys=keys_for(sort, _PRODUCT_SORTS, unique=Product.code), cursor=cursor, limit=limit
    )


def _stations() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Station.station_id,
            Station.code,
            Station.name_zh,
            Station.name_en,
            Station.status,
            Station.entity_id,
            LegalEntity.name_zh.label("entity_name_zh"),
            LegalEntity.name_en.label("entity_name_en"),
            Station.district_id,
            District.name_zh.label("district_name_zh"),
            District.name_en.label("district_name_en"),
            District.region_id,
            Region.name_zh.label("region_name_zh"),
            Region.name_en.label("region_name_en"),
            Station.country,
            Station.zone,
            Station.currency,
            Station.address,
            Station.phone,
            Station.segment,
            Station.may_issue,
            Station.may_load,
            Station.may_invoice,
            Station.created_at,
        )
        .join(LegalEntity, LegalEntity.entity_id == Station.entity_id)
        .join(District, District.district_id == Station.district_id)
        .join(Region, Region.region_id == District.region_id)
    )


def _filtered(statement: Select[*tuple[Any, ...]], by: StationFilter) -> Select[*tuple[Any, ...]]:
    if by.text:
        statement = statement.where(
            or_(
                Station.code.startswith(by.text, autoescape=True),
                Station.name_zh.icontains(by.text, autoescape=True),
                Station.name_en.icontains(by.text, autoescape=True),
                District.name_zh.icontains(by.text, autoescape=True),
                District.name_en.icontains(by.text, autoescape=True),
            )
        )
    if by.statuses:
        statement = statement.where(Station.status.in_(list(by.statuses)))
    if by.district_id is not None:
        statement = statement.where(Station.district_id == by.district_id)
    if by.region_id is not None:
        statement = statement.where(District.region_id == by.region_id)
    if by.entity_id is not None:
        statement = statement.where(Station.entity_id == by.entity_id)
    if by.reachable is not None:
        statement = statement.where(Station.station_id.in_(list(by.reachable)))
    return statement


def products_whole() -> Select[*tuple[Any, ...]]:
    """Select every product, column by column as `ProductView` has them."""
    return select(
        Product.product_id,
        Product.code,
        Product.name_zh,
        Product.name_en,
        Product.category,
        Product.fuel_kind,
        Product.shop_category,
        Product.unit,
        Product.active,
    )
