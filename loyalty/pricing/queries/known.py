"""The codes that rules may name, as they are in this database."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.cards.model import CardProduct
from loyalty.pricing.faults import BudgetFacts, GoodsFacts, Known, StationFacts
from loyalty.stations.model import District, FuelKind, Product, ProductCategory, Region, Station

from .books import budget_states


async def known_codes(session: AsyncSession) -> Known:
    """Return every code that a rule may name, closed stations and products no longer sold included: old rules name them."""
    stations = await session.execute(
        select(Station.code, Station.currency, District.code, Region.code)
        .join(District, District.district_id == Station.district_id)
        .join(Region, Region.region_id == District.region_id)
    )
    goods = await session.execute(select(Product.code, Product.category, Product.fuel_kind, Product.shop_category, Product.unit))
    products = {
        code: GoodsFacts(frozenset(str(tag) for tag in (category, fuel_kind, shop_category) if tag is not None), str(unit))
        for code, category, fuel_kind, shop_category, unit in goods
    }
    categories = {member.value for member in (*ProductCategory, *FuelKind)}.union(*(facts.tags for facts in products.values()))
    return Known(
        stations={code: StationFacts(currency, district, region) for code, currency, district, region in stations},
        districts=frozenset(await session.scalars(select(District.code))),
        regions=frozenset(await session.scalars(select(Region.code))),
        card_products=frozenset(await session.scalars(select(CardProduct.code))),
        products=products,
        categories=frozenset(categories),
        budgets={
            code: BudgetFacts(one.unit, one.currency, one.reserved + one.used) for code, one in (await budget_states(session)).items()
        },
    )
