"""Sold products: fuels, and the shop's articles by category."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.importing.values import Field, Kind
from loyalty.stations.model import FuelKind, ProductCategory, Unit
from loyalty.stations.operations import ProductFacts, put_products

from .base import Context, KindOfRow, Results, Row, Taken

FIELDS = {
    "code": Field(required=True),
    "name_zh": Field(required=True),
    "name_en": Field(required=True),
    "category": Field(required=True, choices=ProductCategory),
    "unit": Field(required=True, choices=Unit),
    "fuel_kind": Field(choices=FuelKind),
    "shop_category": Field(),
    "active": Field(Kind.TRUTH),
}


async def prepare(session: AsyncSession, context: Context) -> None:
    """Add the products that the map names itself."""
    fresh = {
        each.code: ProductFacts(
            name_zh=each.name_zh,
            name_en=each.name_en,
            category=ProductCategory(each.category),
            unit=Unit(each.unit),
            fuel_kind=FuelKind(each.fuel_kind) if each.fuel_kind else None,
            shop_category=each.shop_category,
        )
        for each in context.map.setup.products
    }
    await put_products(session, products=fresh, actor=context.actor, now=context.now)


async def take(session: AsyncSession, context: Context, rows: Sequence[Row]) -> Results:
    """Add the products that are new, and change those whose row did."""
    wanted: dict[str, ProductFacts] = {}
    for row in rows:
        values = {name: value for name, value in row.values.items() if value is not None}
        code = values.pop("code")
        wanted[code] = ProductFacts(**values)
    put = await put_products(session, products=wanted, actor=context.actor, now=context.now)
    return {row.line: Taken(put.ids[row.values["code"]]) for row in rows}


KIND = KindOfRow(FIELDS, take, prepare, updates=True)
