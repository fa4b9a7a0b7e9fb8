"""The chain: entities, a region, two districts, six stations, tills, people, goods and prices. Names are made up; secrets are drawn."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.card_numbers import new_card_number
from loyalty.cards.model import ProductKind
from loyalty.cards.operations import create_card_product
from loyalty.cards.rules import OfflineProfile
from loyalty.clock import day_bounds
from loyalty.identity.model import Role, ScopeKind
from loyalty.identity.operations import create_user, grant_role, hire, issue_staff_card, set_staff_pin, set_totp
from loyalty.ids import StaffId, StationId
from loyalty.limits.model import LimitKind, Window
from loyalty.limits.rules import LimitSet, WindowLimit
from loyalty.policy import Policy
from loyalty.stations.model import FuelKind, ProductCategory, TerminalKind, Unit
from loyalty.stations.operations import (
    EntityFacts,
    PlaceFacts,
    ProductFacts,
    StationFacts,
    add_terminal,
    publish_prices,
    put_districts,
    put_entities,
    put_products,
    put_regions,
    put_stations,
)
from loyalty.stations.rules import PriceRow

from .secrets import CounterLogIn, LogIns, OfficeLogIn, new_password, new_pin, new_second_factor

SYSTEM = Actor(ActorKind.SYSTEM, "demo")
ZONE = "Asia/Shanghai"
STAFF_BIN = "990001"
COUNTER_STATION, COUNTER_CODE = "HZ01", "C1"
"""The till for which a browser code is printed at each start."""

ENTITIES = {
    "HL": EntityFacts(name_zh="华岭石油销售有限公司", name_en="Hualing Petroleum Sales Co., Ltd.", currency="CNY"),
    "NBHL": EntityFacts(name_zh="宁波华岭能源有限公司", name_en="Ningbo Hualing Energy Co., Ltd.", currency="CNY"),
}
DISTRICTS = {"HZ": ("杭州片区", "Hangzhou district"), "NB": ("宁波片区", "Ningbo district")}
STATIONS = {
    "HZ01": ("西溪路加油站", "Xixi Road", "杭州市西湖区西溪路 918 号"),
    "HZ02": ("钱江新城加油站", "Qianjiang New City", "杭州市上城区新业路 27 号"),
    "HZ03": ("临平北加油站", "Linping North", "杭州市临平区望梅路 506 号"),
    "NB01": ("江北大道加油站", "Jiangbei Avenue", "宁波市江北区江北大道 1255 号"),
    "NB02": ("东钱湖加油站", "Dongqian Lake", "宁波市鄞州区鄞县大道东段 88 号"),
    "NB03": ("北仑港加油站", "Beilun Port", "宁波市北仑区明州路 730 号"),
}
FUELS = {
    "92": ("92号汽油", "Gasoline 92", FuelKind.GASOLINE, 78_900),
    "95": ("95号汽油", "Gasoline 95", FuelKind.GASOLINE, 83_900),
    "98": ("98号汽油", "Gasoline 98", FuelKind.GASOLINE, 95_900),
    "0": ("0号柴油", "Diesel 0", FuelKind.DIESEL, 75_600),
    "-10": ("-10号柴油", "Diesel -10", FuelKind.DIESEL, 80_200),
}
SHOP = {
    "wash": ("标准洗车", "Car wash", "wash", 250_000),
    "water": ("矿泉水 550ml", "Water 550 ml", "food", 20_000),
    "noodles": ("方便面", "Instant noodles", "food", 55_000),
    "oil": ("机油 5W-30 4L", "Engine oil 5W-30 4 L", "lubricant", 2_980_000),
    "fluid": ("玻璃水 2L", "Washer fluid 2 L", "lubricant", 150_000),
}
CASHIERS = ("陈晓梅", "王建国", "周丽", "徐志强", "孙婷", "胡海波")
OFFICE = (
    ("office", "林静", Role.OFFICE, ScopeKind.ALL, None),
    ("finance", "赵敏", Role.FINANCE, ScopeKind.ALL, None),
    ("finance2", "钱立群", Role.FINANCE, ScopeKind.ALL, None),
    ("auditor", "沈一鸣", Role.AUDITOR, ScopeKind.ALL, None),
    ("district", "吴国华", Role.DISTRICT_MANAGER, ScopeKind.DISTRICT, "HZ"),
    ("district2", "蒋红", Role.DISTRICT_MANAGER, ScopeKind.DISTRICT, "NB"),
    ("manager", "郑伟", Role.STATION_MANAGER, ScopeKind.STATION, "HZ01"),
)
MANAGERS = {"HZ": "district", "NB": "district2"}
"""Who answers for a district's stations."""


@dataclass
class Chain:
    """What was made, by code."""

    began: datetime
    stations: dict[str, StationId] = field(default_factory=dict)
    districts: dict[str, UUID] = field(default_factory=dict)
    tills: dict[str, UUID] = field(default_factory=dict)
    """The forecourt till of each station."""
    products: dict[str, UUID] = field(default_factory=dict)
    prices: dict[tuple[str, str], int] = field(default_factory=dict)
    """(station, product) → unit price in 1/10,000."""
    card_products: dict[str, UUID] = field(default_factory=dict)
    staff: dict[str, StaffId] = field(default_factory=dict)
    """Log-in names, and `cashier:HZ01`, `manager:NB01` …"""

    def person(self, name: str) -> Actor:
        """Return a member of staff as who acts."""
        return Actor(ActorKind.STAFF, self.staff[name])


async def make_chain(session: AsyncSession, *, policy: Policy, log_ins: LogIns, began: datetime, now: datetime) -> Chain:
    """Make all that stands before the first customer comes; `log_ins` gets every secret that was drawn."""
    chain = Chain(began)
    await _places(session, chain)
    await _goods(session, chain, now)
    for code, station_id in chain.stations.items():
        for name, kind in (("T1", TerminalKind.POS), ("C1", TerminalKind.COUNTER), ("P1", TerminalKind.OUTDOOR)):
            if name != "P1" or code in {"HZ01", "NB03"}:
                till = await add_terminal(session, station_id=station_id, code=name, kind=kind, actor=SYSTEM, now=began)
                if kind is TerminalKind.POS:
                    chain.tills[code] = till.terminal_id
    await _people(session, chain, log_ins, now)
    await _card_products(session, chain, policy)
    return chain


async def _places(session: AsyncSession, chain: Chain) -> None:
    began = chain.began
    entities = await put_entities(session, entities=ENTITIES, actor=SYSTEM, now=began)
    regions = await put_regions(session, regions={"E": PlaceFacts(name_zh="华东大区", name_en="East region")}, actor=SYSTEM, now=began)
    districts = {code: PlaceFacts(name_zh=zh, name_en=en, region_id=regions.ids["E"]) for code, (zh, en) in DISTRICTS.items()}
    chain.districts = dict((await put_districts(session, districts=districts, actor=SYSTEM, now=began)).ids)
    facts = {
        code: StationFacts(
            name_zh=zh,
            name_en=en,
            entity_id=entities.ids["HL" if code.startswith("HZ") else "NBHL"],
            district_id=chain.districts[code[:2]],
            zone=ZONE,
            currency="CNY",
            address=address,
        )
        for code, (zh, en, address) in STATIONS.items()
    }
    placed = await put_stations(session, stations=facts, actor=SYSTEM, now=began)
    chain.stations = {code: StationId(placed.ids[code]) for code in STATIONS}


async def _goods(session: AsyncSession, chain: Chain, now: datetime) -> None:
    fuels = {
        code: ProductFacts(name_zh=zh, name_en=en, category=ProductCategory.FUEL, unit=Unit.LITRE, fuel_kind=kind)
        for code, (zh, en, kind, _) in FUELS.items()
    }
    articles = {
        code: ProductFacts(name_zh=zh, name_en=en, category=ProductCategory.SHOP, unit=Unit.PIECE, shop_category=category)
        for code, (zh, en, category, _) in SHOP.items()
    }
    chain.products = dict((await put_products(session, products=fuels | articles, actor=SYSTEM, now=chain.began)).ids)
    lines = count(1)
    present: list[PriceRow] = []
    coming: list[PriceRow] = []
    tomorrow = day_bounds(now.date() + timedelta(days=2), ZONE)[0]
    for station in STATIONS:
        for code, price in [(code, fuel[3]) for code, fuel in FUELS.items()] + [(code, article[3]) for code, article in SHOP.items()]:
            here = price + (500 if station.startswith("NB") and code in FUELS else 0)
            chain.prices[station, code] = here
            present.append(
                PriceRow(line=next(lines), station_code=station, product_code=code, unit_price_e4=here, effective_from=chain.began)
            )
            if code in FUELS:
                coming.append(
                    PriceRow(line=next(lines), station_code=station, product_code=code, unit_price_e4=here + 1_200, effective_from=tomorrow)
                )
    await publish_prices(session, rows=present, actor=SYSTEM, now=chain.began, lead=timedelta(0), historical=True)
    await publish_prices(session, rows=coming, actor=SYSTEM, now=now)


async def _people(session: AsyncSession, chain: Chain, log_ins: LogIns, now: datetime) -> None:
    numbers = count(1001)
    for (station, station_id), name in zip(chain.stations.items(), CASHIERS, strict=True):
        staff_id = await hire(session, employee_number=f"E{next(numbers)}", name=name, home_station_id=station_id, now=chain.began)
        await grant_role(session, staff_id=staff_id, role=Role.CASHIER, scope=ScopeKind.STATION, scope_id=station_id, now=chain.began)
        chain.staff[f"cashier:{station}"] = staff_id
        log_ins.counter.append(await _staff_card(session, staff_id, name, "cashier 收银员", station, chain.began))
    for log_in_name, name, role, scope, where in OFFICE:
        home = chain.stations.get(where or "")
        staff_id = await hire(session, employee_number=f"E{next(numbers)}", name=name, home_station_id=home, now=chain.began)
        scope_id = None if where is None else home or chain.districts[where]
        await grant_role(session, staff_id=staff_id, role=role, scope=scope, scope_id=scope_id, now=chain.began)
        chain.staff[log_in_name] = staff_id
        if role in {Role.STATION_MANAGER, Role.DISTRICT_MANAGER}:
            log_ins.counter.append(await _staff_card(session, staff_id, name, role.value, where or "", chain.began))
        raw, shown = new_second_factor()
        password = new_password()
        await create_user(session, staff_id=staff_id, log_in_name=log_in_name, password=password, must_change=False, now=now)
        await set_totp(session, staff_id=staff_id, secret=raw, now=now)
        log_ins.office.append(OfficeLogIn(log_in_name, name, f"{name}, {role.value}", password, shown))


async def _staff_card(session: AsyncSession, staff_id: UUID, name: str, role: str, station: str, now: datetime) -> CounterLogIn:
    number, pin = new_card_number(STAFF_BIN, 17), new_pin()
    await issue_staff_card(session, staff_id=staff_id, card_number=number, now=now)
    await set_staff_pin(session, staff_id=staff_id, pin=pin, now=now)
    return CounterLogIn(name, role, station, number, pin)


_OFFLINE = OfflineProfile(
    allowed=True,
    fill_amount_minor=30_000,
    fill_quantity_milli=60_000,
    day_amount_minor=50_000,
    day_quantity_milli=100_000,
    day_count=2,
    station_amount_minor=2_000_000,
    shrink_percent_per_hour=10,
)


async def _card_products(session: AsyncSession, chain: Chain, policy: Policy) -> None:
    day = LimitSet(windows=(WindowLimit(Window.DAY, LimitKind.AMOUNT, 300_000), WindowLimit(Window.DAY, LimitKind.COUNT, 6)))
    kinds = (
        ("personal", "记名卡", "Personal card", ProductKind.PERSONAL, "880010", day, None),
        ("gold", "记名金卡", "Gold card", ProductKind.PERSONAL, "880011", day, None),
        ("anonymous", "不记名卡", "Anonymous card", ProductKind.ANONYMOUS, "880020", None, None),
        ("company", "单位卡", "Company card", ProductKind.COMPANY, "880030", day, None),
        ("fleet", "车队卡", "Fleet card", ProductKind.FLEET, "880040", None, ("wash", "lubricant")),
    )
    for code, zh, en, kind, number_bin, limits, categories in kinds:
        made = await create_card_product(
            session,
            code=code,
            name_zh=zh,
            name_en=en,
            kind=kind,
            currency="CNY",
            number_bin=number_bin,
            number_length=19,
            policy=policy,
            default_limits=limits,
            shop_categories=categories,
            offline=_OFFLINE,
            media_validity_months=60,
            replacement_fee_minor=1_000,
            now=chain.began,
        )
        chain.card_products[code] = made.product_id
