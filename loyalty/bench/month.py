# ruff: noqa: S608 - put together from the constants of this file alone
"""A month of sales, made set-based by the database: 50 stations, 20,000 customers, fuel and shop, under one live rule.

The same number gives the same month. Half of the fills are round amounts, as people ask for them; prices change every ten days; one sale
in ten has articles; each carries what its rule gave, as the pump writes it.
"""

from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.cards.model import ProductKind
from loyalty.cards.operations import create_card_product
from loyalty.db import Sessions, transaction
from loyalty.ledger.operations import open_first_period
from loyalty.policy import load_policy
from loyalty.pricing.document import Document, Funder, PerUnit, Rule, When
from loyalty.pricing.operations import publish
from loyalty.stations.model import FuelKind, ProductCategory, Unit
from loyalty.stations.operations import (
    EntityFacts,
    PlaceFacts,
    ProductFacts,
    StationFacts,
    put_districts,
    put_entities,
    put_products,
    put_regions,
    put_stations,
)

STATIONS: Final = 50
DAYS: Final = 30
RATE_E4: Final = 2_000
LITRE: Final = Rule(
    code="litre",
    name_zh="每升优惠",
    name_en="Per litre",
    effect=PerUnit(rate_e4=RATE_E4),
    funders=(Funder(funder="head-office", parts=4), Funder(funder="station")),
    when=When(categories=("fuel",)),
    revision=1,
)
"""What was live all month."""
_BENCH: Final = Actor(ActorKind.SYSTEM, "bench")
_FUELS: Final = {"92": (FuelKind.GASOLINE, 78_900), "95": (FuelKind.GASOLINE, 83_700), "0": (FuelKind.DIESEL, 75_600)}
_CARD_NAMES: Final = {ProductKind.PERSONAL: ("个人卡", "Personal"), ProductKind.COMPANY: ("企业卡", "Company")}
_ARTICLES: Final = {"water": ("drinks", 200), "wash": ("car-wash", 3_500), "oil": ("lubricants", 12_800)}

_PEOPLE: Final = """
INSERT INTO customers (customer_id, kind, name, name_key, locale, country, segment, status, birthday, created_at)
SELECT md5('c' || i)::uuid, 'person', '客户' || i, '客户' || i, 'zh-CN', 'CN', (ARRAY['taxi', 'office', 'family', NULL])[1 + i % 4],
    'active', date '1960-01-01' + (i * 7919 % 16000), $2
FROM generate_series(1, $1::int) i;
"""
_STANDINGS: Final = """
INSERT INTO standings (customer_id, tier, changed_at)
SELECT md5('c' || i)::uuid, CASE WHEN i % 10 = 0 THEN 'gold' ELSE 'silver' END, $2 FROM generate_series(1, $1::int) i WHERE i % 5 = 0;
"""
_ACCOUNTS: Final = """
INSERT INTO accounts (account_id, currency, kind, status, customer_id, card_product_id, opened_at)
SELECT md5('a' || i)::uuid, 'CNY', 'personal', 'open', md5('c' || i)::uuid, $3, $2 FROM generate_series(1, $1::int) i;
"""
_CARDS: Final = """
INSERT INTO cards (card_id, account_id, number_index, number_sealed, number_bin, number_tail, product_id, customer_id, status, version,
    pin_generation, pin_tries, chain_id, bearer, is_main, created_at)
SELECT md5('k' || i)::uuid, md5('a' || i)::uuid, decode(md5('n' || i), 'hex'), ''::bytea, '8810', lpad((i % 10000)::text, 4, '0'), $3,
    md5('c' || i)::uuid, 2, 1, 1, 0, md5('k' || i)::uuid, false, false, $2
FROM generate_series(1, $1::int) i;
"""
# Times of day: one sale in twenty before five, the others even until midnight; rows are made, and lie, in the order of their ids.
_SALES: Final = f"""
INSERT INTO sales (account_id, sale_id, card_id, chain_id, terminal_id, station_id, flow, nozzle, product_id, quantity_milli, unit_price_e4,
    gross_minor, discount_minor, card_minor, currency, detail, flags, status, refunded_minor, event_at, booked_at, business_day, period)
SELECT md5('a' || account)::uuid,
    overlay(overlay(md5('s' || i) placing lpad(to_hex((date_part('epoch', at) * 1000)::bigint), 12, '0') from 1 for 12)
        placing '7' from 13 for 1)::uuid,
    md5('k' || account)::uuid, md5('k' || account)::uuid, md5('t' || station)::uuid, ($3::uuid[])[station],
    1, 1, ($4::uuid[])[fuel], quantity, price, fuel_minor + shop_minor, off, fuel_minor + shop_minor - off, 'CNY',
    jsonb_strip_nulls(jsonb_build_object('book', $5::int, 'lines', lines, 'benefits', jsonb_build_array(jsonb_build_object(
        'rule', 'litre', 'revision', $5::int, 'kind', 'discount', 'base_minor', fuel_minor, 'wanted', off, 'given', off,
        'funders', jsonb_build_array(jsonb_build_array('head-office', off - off / 5),
            jsonb_build_array('station:' || ($3::uuid[])[station], off / 5)),
        'name_zh', '每升优惠', 'name_en', 'Per litre')))),
    0, 1, 0, at, at, (at AT TIME ZONE 'Asia/Shanghai')::date, to_char(at AT TIME ZONE 'Asia/Shanghai', 'YYYYMM')::int
FROM (
    SELECT d.*, least(div(quantity * price + 50000, 100000) - div(quantity * (price - {RATE_E4}) + 50000, 100000), fuel_minor)::bigint
            AS off,
        coalesce((lines -> 0 ->> 'amount_minor')::bigint, 0) AS shop_minor
    FROM (
        SELECT c.*, CASE WHEN round_minor > 0 THEN div(round_minor * 100000 + price / 2, price)::bigint ELSE litres * 10 END AS quantity,
            CASE WHEN round_minor > 0 THEN round_minor ELSE div(litres * 10 * price + 50000, 100000)::bigint END AS fuel_minor,
            CASE WHEN pick < 100 THEN jsonb_build_array(jsonb_build_object('product', ($6::text[])[1 + pick % 3], 'quantity_milli', 1000,
                'amount_minor', ($7::bigint[])[1 + pick % 3])) END AS lines
        FROM (
            SELECT b.*, ($8::bigint[])[fuel] + 1200 * (day / 10) AS price,
                CASE WHEN pick % 2 = 0 THEN (ARRAY[10000, 15000, 20000, 20000, 25000, 30000, 30000, 40000])[1 + pick / 2 % 8]::bigint
                    ELSE 0 END AS round_minor,
                (1500 + 4500 * r3)::bigint AS litres
            FROM (
                SELECT a.*, $2::timestamptz + make_interval(days => day, secs => CASE WHEN part < 0.05 THEN part * 20 * 18000
                        ELSE 18000 + (part - 0.05) / 0.95 * 68399 END) AS at,
                    1 + floor($9::int * r1 ^ 1.5)::int AS account,
                    1 + CASE WHEN r4 < 0.7 THEN floor($9::int * r1 ^ 1.5)::int ELSE floor(r4 * 9973)::int END % {STATIONS} AS station,
                    CASE WHEN r2 < 0.58 THEN 1 WHEN r2 < 0.84 THEN 2 ELSE 3 END AS fuel, floor(r5 * 1000)::int AS pick
                FROM (
                    SELECT i, floor((i - 1) * {DAYS}::float8 / $1)::int AS day,
                        (i - 1) * {DAYS}::float8 / $1 - floor((i - 1) * {DAYS}::float8 / $1) AS part,
                        random() AS r1, random() AS r2, random() AS r3, random() AS r4, random() AS r5
                    FROM generate_series(1, $1::bigint) i
                ) a
            ) b
        ) c
    ) d
) e
"""


async def make_month(sessions: Sessions, owner: str, *, sales: int, accounts: int, since: datetime, policy: str) -> int:
    """Make the chain, its customers and a month of sales from `since` on; return the number of the live rulebook.

    :param owner: a plain URL of the database, as its owner
    """
    async with transaction(sessions) as session:
        stations, fuels, card_product = await make_chain(session, since, policy)
        document = Document(rules=(LITRE,))
        number = await publish(session, document=document, note="bench", now=since - timedelta(days=1))
    connection: Any = await asyncpg.connect(owner, server_settings={"transaction_timeout": "0"})
    try:
        await connection.execute("SELECT make_month_partitions($1::date, 3)", since.date().replace(day=1))
        began = since - timedelta(days=100)
        await connection.execute(_PEOPLE, accounts, began)
        await connection.execute(_STANDINGS, accounts, began)
        await connection.execute(_ACCOUNTS, accounts, began, card_product)
        await connection.execute(_CARDS, accounts, began, card_product)
        prices = [price for _, price in _FUELS.values()]
        articles = list(_ARTICLES), [price for _, price in _ARTICLES.values()]
        async with connection.transaction():
            await connection.execute("SELECT setseed(0.42)")
            await connection.execute(_SALES, sales, since, stations, fuels, number, *articles, prices, accounts)
        await connection.execute("VACUUM (ANALYZE) sales, cards, accounts, customers, standings")
    finally:
        await connection.close()
    return number


async def make_chain(
    session: AsyncSession, now: datetime, policy: str, kind: ProductKind = ProductKind.PERSONAL
) -> tuple[list[Any], list[Any], Any]:
    """Make the stations, the fuels and a card product of a kind; return the ids of all three."""
    await open_first_period(session, period=now.year * 100 + now.month, now=now)
    entity = EntityFacts(name_zh="公司", name_en="Entity", currency="CNY")
    entities = await put_entities(session, entities={"E": entity}, actor=_BENCH, now=now)
    regions = await put_regions(session, regions={"R": PlaceFacts(name_zh="区", name_en="Region")}, actor=_BENCH, now=now)
    places = {f"D{one}": PlaceFacts(name_zh=f"片区{one}", name_en=f"District {one}", region_id=regions.ids["R"]) for one in range(5)}
    districts = await put_districts(session, districts=places, actor=_BENCH, now=now)
    facts = {
        f"s{one:03}": StationFacts(
            name_zh=f"{one} 号站",
            name_en=f"Station {one}",
            entity_id=entities.ids["E"],
            district_id=districts.ids[f"D{one % 5}"],
            zone="Asia/Shanghai",
            currency="CNY",
        )
        for one in range(STATIONS)
    }
    stations = await put_stations(session, stations=facts, actor=_BENCH, now=now)
    goods = {
        code: ProductFacts(name_zh=code, name_en=code, category=ProductCategory.FUEL, unit=Unit.LITRE, fuel_kind=kind)
        for code, (kind, _) in _FUELS.items()
    } | {
        code: ProductFacts(name_zh=code, name_en=code, category=ProductCategory.SHOP, unit=Unit.PIECE, shop_category=category)
        for code, (category, _) in _ARTICLES.items()
    }
    products = await put_products(session, products=goods, actor=_BENCH, now=now)
    card = await create_card_product(
        session,
        code=kind.value,
        name_zh=_CARD_NAMES[kind][0],
        name_en=_CARD_NAMES[kind][1],
        kind=kind,
        currency="CNY",
        number_bin="8810",
        number_length=16,
        policy=load_policy(policy),
        now=now,
    )
    return [stations.ids[code] for code in sorted(facts)], [products.ids[code] for code in _FUELS], card.product_id
