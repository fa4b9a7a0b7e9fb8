"""A small chain to test the pump on: one station, two terminals, two grades, four card products, cards with money and PIN 1357."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.card_numbers import new_card_number
from loyalty.crypto import Purpose, blind_index, pin_verifier, seal_text
from loyalty.ids import uuid7
from loyalty.ledger.model import AccountKind, HouseCode, TransferKind
from loyalty.ledger.operations import Leg, ensure_house, open_account, open_first_period, post
from loyalty.ledger.queries import purses_of
from loyalty.stations.model import FuelKind, ProductCategory, TerminalKind, TerminalStatus, Unit
from loyalty.stations.operations import (
    EntityFacts,
    PlaceFacts,
    ProductFacts,
    StationFacts,
    add_terminal,
    move_terminal,
    publish_prices,
    put_districts,
    put_entities,
    put_products,
    put_regions,
    put_stations,
)
from loyalty.stations.rules import PriceRow

PIN = "1357"
SYSTEM = Actor(ActorKind.SYSTEM, "tests")
KINDS = {"personal": "记名卡", "anonymous": "不记名卡", "company": "单位卡", "fleet": "车队卡"}


@dataclass
class TestCard:
    """A card as a test holds it."""

    __test__ = False

    card_id: UUID
    account_id: UUID
    number: str
    principal_id: UUID

    @property
    def index(self) -> bytes:
        return blind_index(Purpose.INDEX_CARD_NUMBER, self.number)


@dataclass
class World:
    """What `make_world` made."""

    station_id: UUID
    terminal_ids: list[UUID]
    product_ids: dict[str, UUID]
    card_product_ids: dict[str, UUID]
    now: datetime
    currency: str = "CNY"
    cards: list[TestCard] = field(default_factory=list)


async def make_world(session: AsyncSession, *, now: datetime, currency: str = "CNY", zone: str = "Asia/Shanghai") -> World:
    """Make the chain in the caller's transaction."""
    began = now - timedelta(days=30)
    await open_first_period(session, period=now.year * 100 + now.month, now=began)
    entities = await put_entities(
        session, entities={"E1": EntityFacts(name_zh="一公司", name_en="One Ltd", currency=currency)}, actor=SYSTEM, now=began
    )
    regions = await put_regions(session, regions={"R1": PlaceFacts(name_zh="大区", name_en="Region")}, actor=SYSTEM, now=began)
    districts = await put_districts(
        session, districts={"D1": PlaceFacts(name_zh="片区", name_en="District", region_id=regions.ids["R1"])}, actor=SYSTEM, now=began
    )
    station = StationFacts(
        name_zh="一号站", name_en="Station 1", entity_id=entities.ids["E1"], district_id=districts.ids["D1"], zone=zone, currency=currency
    )
    stations = await put_stations(session, stations={"S1": station}, actor=SYSTEM, now=began)
    products = await put_products(
        session,
        products={
            "92": ProductFacts(
                name_zh="92号汽油", name_en="Gasoline 92", category=ProductCategory.FUEL, unit=Unit.LITRE, fuel_kind=FuelKind.GASOLINE
            ),
            "95": ProductFacts(
                name_zh="95号汽油", name_en="Gasoline 95", category=ProductCategory.FUEL, unit=Unit.LITRE, fuel_kind=FuelKind.GASOLINE
            ),
            "0": ProductFacts(
                name_zh="0号柴油", name_en="Diesel 0", category=ProductCategory.FUEL, unit=Unit.LITRE, fuel_kind=FuelKind.DIESEL
            ),
            "wash": ProductFacts(name_zh="洗车", name_en="Car wash", category=ProductCategory.SHOP, unit=Unit.PIECE, shop_category="wash"),
        },
        actor=SYSTEM,
        now=began,
    )
    rows = [
        PriceRow(line=line, station_code="S1", product_code=code, unit_price_e4=price, effective_from=began)
        for line, (code, price) in enumerate({"92": 78900, "95": 83700, "0": 75600}.items(), 1)
    ]
    await publish_prices(session, rows=rows, actor=SYSTEM, now=began, lead=timedelta(0), historical=True)
    terminals = []
    for code in ("T1", "T2"):
        terminal = await add_terminal(session, station_id=stations.ids["S1"], code=code, kind=TerminalKind.POS, actor=SYSTEM, now=began)
        if terminal.status != TerminalStatus.ACTIVE:
            await move_terminal(
                session, terminal_id=terminal.terminal_id, to=TerminalStatus.ACTIVE, reason="tests", actor=SYSTEM, now=began
            )
        terminals.append(terminal.terminal_id)
    world = World(stations.ids["S1"], terminals, products.ids, {}, now, currency)
    for kind, name in KINDS.items():
        world.card_product_ids[kind] = await _card_product(session, kind, name, currency, began)
    return world


async def _card_product(session: AsyncSession, kind: str, name: str, currency: str, now: datetime) -> UUID:
    product_id = uuid7(now)
    await session.execute(
        text(
            """
            INSERT INTO card_products (product_id, code, name_zh, name_en, kind, currency, bearer, pin_required, number_bin, number_length,
                spend_order, fuel_kinds, shop_categories, default_limits, offline_allowed, offline_fill_amount_minor,
                offline_fill_quantity_milli, offline_day_amount_minor, offline_day_quantity_milli, offline_day_count,
                offline_station_amount_minor, offline_shrink_percent_per_hour, media_validity_months, issue_fee_minor,
                replacement_fee_minor, active, created_at, updated_at)
            VALUES (:id, :kind, :name, :kind, :kind, :currency, :bearer, true, '8810', 16, '{bonus_expiring,principal,bonus}', NULL, NULL,
                '{}', true, 30000, 60000, 50000, 100000, 3, 2000000, 10, NULL, 0, 1000, true, :now, :now)
            """
        ),
        {"id": product_id, "kind": kind, "name": name, "currency": currency, "bearer": kind == "anonymous", "now": now},
    )
    return product_id


async def give_card(
    session: AsyncSession,
    world: World,
    *,
    kind: str = "personal",
    balance_minor: int = 100_000,
    account_id: UUID | None = None,
    pin: str = PIN,
) -> TestCard:
    """Give somebody an active card with a PIN; a new account with `balance_minor` loaded, or a card of an account that exists."""
    now = world.now
    card_id = uuid7(now)
    number = new_card_number("8810", 16)
    product_id = world.card_product_ids[kind]
    if account_id is None:
        account = {"personal": AccountKind.PERSONAL, "anonymous": AccountKind.ANONYMOUS}.get(kind, AccountKind.COMPANY)
        account_id = await open_account(
            session, kind=account, currency=world.currency, customer_id=None, card_product_id=product_id, now=now - timedelta(days=1)
        )
        if balance_minor:
            await load(session, world, account_id, balance_minor)
    principal = (await purses_of(session, account_id=account_id))[0].purse_id
    await session.execute(
        text(
            """
            INSERT INTO cards (card_id, account_id, number_index, number_sealed, number_bin, number_tail, product_id, status, version,
                pin_verifier, pin_generation, pin_tries, chain_id, bearer, is_main, created_at)
            VALUES (:id, :account, :index, :sealed, '8810', :tail, :product, 2, 1, :verifier, 1, 0, :id, :bearer, false, :now)
            """
        ),
        {
            "id": card_id,
            "account": account_id,
            "index": blind_index(Purpose.INDEX_CARD_NUMBER, number),
            "sealed": seal_text(Purpose.CARD_NUMBER, table="cards", column="number_sealed", row_id=card_id, plaintext=number),
            "tail": number[-4:],
            "product": product_id,
            "verifier": pin_verifier(card_id=card_id, generation=1, pin=pin),
            "bearer": kind == "anonymous",
            "now": now,
        },
    )
    card = TestCard(card_id, account_id, number, principal)
    world.cards.append(card)
    return card


async def load(session: AsyncSession, world: World, account_id: UUID, amount_minor: int, *, now: datetime | None = None) -> None:
    """Load cash at the world's station; its time is the present unless another is said."""
    now = now or world.now
    house = await ensure_house(session, code=HouseCode.TENDER, currency=world.currency, reference=f"{world.station_id}:cash", now=now)
    principal = next(purse.purse_id for purse in await purses_of(session, account_id=account_id) if purse.kind == 1)
    leg = Leg(house, principal, amount_minor, TransferKind.LOAD, world.currency, station_id=world.station_id)
    await post(session, account_id=account_id, legs=[leg], operation_id=uuid7(now), event_at=now, now=now)
