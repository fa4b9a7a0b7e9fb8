"""The codes that rules may name, as they are in this database, and what they are called."""

from typing import Final

from sqlalchemy import column, select, table
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.cards.model import CardProduct
from loyalty.pricing.faults import BudgetFacts, GoodsFacts, Known, StationFacts
from loyalty.pricing.wording import Names, Words
from loyalty.stations.model import District, FuelKind, Product, ProductCategory, Region, Station

from .books import budget_states

# The rewards room stands above this one: its codes and names are read here, and nothing else of it.
_REWARDS: Final = {
    name: table(of, column("code"), column("name_zh"), column("name_en"))
    for name, of in (("tiers", "tiers"), ("gifts", "gifts"), ("vouchers", "voucher_kinds"))
}


async def known_codes(session: AsyncSession) -> Known:
    """Return every code that a rule may name, closed stations and products no longer sold included: old rules name them."""
    stations = await session.execute(
        select(Station.code, Station.currency, District.code, Region.code)
        .join(District, District.district_id == Station.district_id)
        .join(Region, Region.region_id == District.region_id)
    )
    products = await _products(session)
    categories = {member.value for member in (*ProductCategory, *FuelKind)}.union(*(facts.tags for facts in products.values()))
    rewards = {name: frozenset(await session.scalars(select(of.c.code))) for name, of in _REWARDS.items()}
    return Known(
        stations={code: StationFacts(currency, district, region) for code, currency, district, region in stations},
        districts=frozenset(await session.scalars(select(District.code))),
        regions=frozenset(await session.scalars(select(Region.code))),
        card_products=frozenset(await session.scalars(select(CardProduct.code))),
        products=products,
        categories=frozenset(categories),
        tiers=rewards["tiers"],
        gifts=rewards["gifts"],
        vouchers=rewards["vouchers"],
        budgets={one.code: BudgetFacts(one.unit, one.currency, one.reserved + one.used) for one in (await budget_states(session)).values()},
    )


async def names_of_codes(session: AsyncSession, *, zone: str) -> Names:
    """Return what the codes are called, for `wording.sentence`; `zone` is the reader's, in which validity is said."""
    words: dict[str, dict[str, Words]] = {}
    for name, kind in (
        ("stations", Station),
        ("districts", District),
        ("regions", Region),
        ("card_products", CardProduct),
        ("products", Product),
    ):
        rows = await session.execute(select(kind.code, kind.name_zh, kind.name_en).order_by(kind.code))
        words[name] = {code: (zh or code, en or zh or code) for code, zh, en in rows}
    for name, of in _REWARDS.items():
        rows = await session.execute(select(of.c.code, of.c.name_zh, of.c.name_en).order_by(of.c.code))
        words[name] = {code: (zh or code, en or zh or code) for code, zh, en in rows}
    products = await _products(session)
    return Names(
        words=words,
        units={code: facts.unit for code, facts in products.items()},
        tags={code: facts.tags for code, facts in products.items()},
        zone=zone,
    )


async def _products(session: AsyncSession) -> dict[str, GoodsFacts]:
    goods = await session.execute(select(Product.code, Product.category, Product.fuel_kind, Product.shop_category, Product.unit))
    return {
        code: GoodsFacts(frozenset(str(tag) for tag in (category, fuel_kind, shop_category) if tag is not None), str(unit))
        for code, category, fuel_kind, shop_category, unit in goods
    }
