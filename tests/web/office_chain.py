"""A chain worth looking at: stations, staff of every role with log-ins, customers, cards with money, something that waits everywhere."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from loyalty.audit.model import Actor, ActorKind
from loyalty.authorizations.operations.holds import expire_holds
from loyalty.cards import operations as cards
from loyalty.cards.model import ProductKind
from loyalty.cards.operations import Developed
from loyalty.crypto import totp_code
from loyalty.customers import operations as customers
from loyalty.customers.model import ContactRole, CustomerKind, IdentifierType
from loyalty.customers.operations import CustomerFacts
from loyalty.db import Sessions, transaction
from loyalty.identity import operations as identity
from loyalty.identity.model import Role, ScopeKind
from loyalty.ledger.rules import SpendStep
from loyalty.limits.model import LimitKind, Window
from loyalty.limits.operations import NewLimit, add_limit
from loyalty.policy import load_policy
from loyalty.stations.model import TerminalKind
from loyalty.stations.operations import PlaceFacts, StationFacts, add_terminal, open_shift, publish_prices, put_districts, put_stations
from loyalty.stations.rules import PriceRow
from loyalty.topups import operations as topups
from loyalty.topups.model import AdjustmentKind, ClosureReason, Party, PayoutMethod, Tender
from tests.authorizations.conftest import Bench
from tests.factories.rules import litre_off
from tests.factories.world import TestCard, World, make_world

PASSWORD = "seven quiet rivers meet"
SECRET = b"12345678901234567890"
PIN = "135246"
SYSTEM = Actor(ActorKind.SYSTEM, "tests")
BANK = topups.BankTransfer(
    payer_name="上海运输有限公司",
    payer_bank="工商银行",
    payer_account="6222 0212 3456 7890",
    payee_name="东方石油",
    payee_bank="建设银行",
    payee_account="3100 1234 5678",
)


@dataclass
class Chain:
    """What was made, by what tests ask for."""

    world: World
    people: dict[str, UUID] = field(default_factory=dict)
    stations: list[UUID] = field(default_factory=list)
    ids: dict[str, UUID] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)


def code_now(moment: datetime | None = None) -> str:
    return totp_code(SECRET, now=moment or datetime.now(UTC))


LOG_INS = {
    "office": (Role.OFFICE, ScopeKind.ALL),
    "finance": (Role.FINANCE, ScopeKind.ALL),
    "auditor": (Role.AUDITOR, ScopeKind.ALL),
    "district": (Role.DISTRICT_MANAGER, ScopeKind.DISTRICT),
    "station": (Role.STATION_MANAGER, ScopeKind.STATION),
    "cashier": (Role.CASHIER, ScopeKind.STATION),
}
_NAMES = {"office": "王丽", "finance": "陈静", "auditor": "周明", "district": "赵强", "station": "刘敏", "cashier": "孙悦"}


async def fill_office(sessions: Sessions, url: str, *, now: datetime, with_sales: bool = True) -> Chain:
    """Make the chain in transactions of its own."""
    async with transaction(sessions) as session:
        world = await make_world(session, now=now)
        chain = Chain(world)
        await _places(session, chain, now)
    async with transaction(sessions) as session:
        await _people(session, chain, now)
    async with transaction(sessions) as session:
        await _customers(session, chain, now)
    async with transaction(sessions) as session:
        await _money(session, chain, now)
    if with_sales:
        await _sales(sessions, url, chain)
    return chain


async def _places(session, chain: Chain, now: datetime) -> None:
    began = now - timedelta(days=30)
    entity = (await _first(session, "SELECT entity_id FROM legal_entities"))[0]
    region = (await _first(session, "SELECT region_id FROM regions"))[0]
    districts = await put_districts(
        session, districts={"D2": PlaceFacts(name_zh="东片区", name_en="East", region_id=region)}, actor=SYSTEM, now=began
    )
    district = (await _first(session, "SELECT district_id FROM districts WHERE code = 'D1'"))[0]
    chain.ids |= {"district": district, "district2": districts.ids["D2"]}
    facts = {
        code: StationFacts(
            name_zh=zh,
            name_en=en,
            entity_id=entity,
            district_id=where,
            zone="Asia/Shanghai",
            currency="CNY",
            address="中山路 8 号",
            phone="02155550000",
        )
        for code, zh, en, where in (("S2", "东门站", "East Gate", districts.ids["D2"]), ("S3", "滨江站", "Riverside", district))
    }
    stations = await put_stations(session, stations=facts, actor=SYSTEM, now=began)
    chain.stations = [chain.world.station_id, stations.ids["S2"], stations.ids["S3"]]
    rows = [
        PriceRow(line=line, station_code=code, product_code=product, unit_price_e4=price, effective_from=began)
        for line, (code, product, price) in enumerate(
            (("S2", "92", 79100), ("S2", "95", 83900), ("S3", "92", 78800), ("S3", "0", 75400)), 1
        )
    ]
    await publish_prices(session, rows=rows, actor=SYSTEM, now=began, lead=timedelta(0), historical=True)
    coming = PriceRow(line=1, station_code="S1", product_code="92", unit_price_e4=80200, effective_from=now + timedelta(days=2))
    await publish_prices(session, rows=[coming], actor=SYSTEM, now=now)
    for station in chain.stations[1:]:
        await add_terminal(session, station_id=station, code="C1", kind=TerminalKind.COUNTER, actor=SYSTEM, now=began)
    await litre_off(session, code="gold", rate_e4=2000, funder="issuer", now=began)


async def _people(session, chain: Chain, now: datetime) -> None:
    scope = {ScopeKind.ALL: None, ScopeKind.DISTRICT: chain.ids["district"], ScopeKind.STATION: chain.stations[0]}
    for number, (name, (role, reach)) in enumerate(LOG_INS.items(), 1):
        staff_id = await identity.hire(
            session, employee_number=f"E{number:04}", name=_NAMES[name], home_station_id=chain.stations[0], phone="+8613800138000", now=now
        )
        await identity.grant_role(
            session, staff_id=staff_id, role=role, scope=reach, scope_id=scope[reach], valid_from=now - timedelta(days=3), now=now
        )
        await identity.create_user(session, staff_id=staff_id, log_in_name=name, password=PASSWORD, must_change=False, now=now)
        await identity.set_totp(session, staff_id=staff_id, secret=SECRET, now=now)
        chain.people[name] = staff_id
    newcomer = await identity.hire(session, employee_number="E0100", name="钱新", now=now)
    await identity.grant_role(
        session, staff_id=newcomer, role=Role.OFFICE, scope=ScopeKind.ALL, valid_from=now - timedelta(days=3), now=now
    )
    await identity.create_user(session, staff_id=newcomer, log_in_name="newcomer", password=PASSWORD, must_change=True, now=now)
    chain.people["newcomer"] = newcomer
    await identity.issue_staff_card(session, staff_id=chain.people["cashier"], card_number="9000 0123 4567 8904", now=now)
    await identity.set_staff_pin(session, staff_id=chain.people["cashier"], pin="260715", now=now)


async def _customers(session, chain: Chain, now: datetime) -> None:
    actor = Actor(ActorKind.STAFF, chain.people["station"])
    policy = load_policy("cn-single-purpose")
    for key, kind, name, phone in (
        ("zhang", CustomerKind.PERSON, "张伟", "13900139001"),
        ("li", CustomerKind.PERSON, "李娜", "13900139002"),
        ("twin", CustomerKind.PERSON, "张伟", "13900139001"),
        ("firm", CustomerKind.ORGANISATION, "上海运输有限公司", "02155551234"),
    ):
        facts = CustomerFacts(kind=kind, name=name, phone=phone)
        chain.ids[key] = await customers.add_customer(session, facts=facts, actor=actor, now=now - timedelta(days=20))
    for key, type_, number in (
        ("zhang", IdentifierType.RESIDENT_ID, "34052419800101001X"),
        ("li", IdentifierType.PASSPORT, "E12345678"),
        ("firm", IdentifierType.USCC, "9144030071526726XG"),
    ):
        added = await customers.add_identifier(session, customer_id=chain.ids[key], type=type_, value=number, actor=actor, now=now)
        await customers.verify_identifier(
            session, identifier_id=added.identifier_id, staff_id=chain.people["station"], actor=actor, now=now - timedelta(days=20)
        )
        chain.ids[f"{key}-document"] = added.identifier_id
    await customers.add_contact(
        session, customer_id=chain.ids["firm"], role=ContactRole.FLEET, name="吴刚", phone="13700137000", actor=actor, now=now
    )
    await customers.add_bank_account(
        session,
        customer_id=chain.ids["firm"],
        holder="上海运输有限公司",
        bank="工商银行",
        number="6222021234567890",
        currency="CNY",
        actor=actor,
        now=now,
    )
    await customers.declare_consent(
        session, customer_id=chain.ids["zhang"], purpose="marketing", granted=True, evidence="开卡申请表", actor=actor, now=now
    )
    world = chain.world
    for kind in ProductKind:
        await cards.produce_batch(
            session,
            product_id=world.card_product_ids[kind.value],
            count=12,
            actor=actor,
            now=now - timedelta(days=19),
            station_id=chain.stations[0],
        )
    await cards.send_stock(
        session,
        product_id=world.card_product_ids["personal"],
        count=3,
        from_station_id=chain.stations[0],
        to_station_id=chain.stations[1],
        actor=actor,
        now=now - timedelta(hours=5),
    )
    for key, owner, kind, plate in (
        ("zhang-card", "zhang", "personal", None),
        ("li-card", "li", "personal", None),
        ("firm-main", "firm", "company", None),
        ("firm-truck", "firm", "fleet", "沪A82K61"),
        ("bearer", None, "anonymous", None),
    ):
        card_id = (
            await _first(
                session,
                "SELECT card_id FROM cards WHERE status = 0 AND product_id = :p AND station_id = :s ORDER BY card_id LIMIT 1",
                p=world.card_product_ids[kind],
                s=chain.stations[0],
            )
        )[0]
        await cards.issue_card(
            session,
            card_id=card_id,
            customer_id=chain.ids[owner] if owner else None,
            station_id=chain.stations[0],
            plate=plate,
            developed=Developed(staff_id=chain.people["cashier"], station_id=chain.stations[0], flyer_code="AUTUMN"),
            policy=policy,
            actor=actor,
            now=now - timedelta(days=18),
        )
        card = await cards.activate_card(
            session, card_id=card_id, pin=PIN, station_id=chain.stations[0], actor=actor, now=now - timedelta(days=18)
        )
        chain.ids[key], chain.ids[f"{key}-account"] = card_id, card.account_id
    await add_limit(
        session,
        subject_id=chain.ids["firm-truck"],
        limit=NewLimit(LimitKind.QUANTITY, Window.DAY, 200_000),
        actor=actor,
        now=now - timedelta(days=2),
    )


async def _money(session, chain: Chain, now: datetime) -> None:
    actor = Actor(ActorKind.STAFF, chain.people["cashier"])
    policy = load_policy("cn-single-purpose")

    async def load(key: str, amount: int, tender: Tender, hours: int, **more) -> UUID:
        reference = None if tender in {Tender.CASH, Tender.BANK_TRANSFER} else f"W{uuid.uuid4().hex[:12]}"
        topup = await topups.load(
            session,
            policy=policy,
            account_id=chain.ids[f"{key}-account"],
            card_id=chain.ids[key],
            amount_minor=amount,
            tender=tender,
            reference=reference,
            station_id=chain.stations[0],
            terminal_id=chain.world.terminal_ids[0],
            actor=actor,
            event_at=now - timedelta(hours=hours),
            now=now - timedelta(hours=hours),
            **more,
        )
        return topup.topup_id

    await load("zhang-card", 100_000, Tender.WECHAT, 60, bonus=topups.Bonus(10_000, now + timedelta(days=60), "issuer"))
    await load("li-card", 60_000, Tender.CASH, 40)
    await load("bearer", 30_000, Tender.CASH, 30)
    await load("firm-main", 300_000, Tender.CARD, 20)
    chain.ids["pending"] = await load("firm-main", 1_200_000, Tender.BANK_TRANSFER, 3, bank=BANK)
    office = Actor(ActorKind.STAFF, chain.people["office"])
    adjustment = await topups.propose_adjustment(
        session,
        account_id=chain.ids["li-card-account"],
        kind=AdjustmentKind.CREDIT,
        amount_minor=1_500,
        reason_code="goodwill",
        note_text="油枪计量误差补偿",
        actor=office,
        now=now - timedelta(hours=2),
    )
    chain.ids["adjustment"] = adjustment.adjustment_id
    freeze = await topups.freeze_account(
        session,
        policy=policy,
        account_id=chain.ids["bearer-account"],
        authority="滨江区人民法院",
        document="(2026)执字第 118 号",
        officer="郑法官",
        actor=office,
        now=now - timedelta(hours=1),
        expires_at=now + timedelta(days=180),
    )
    chain.ids["freeze"] = freeze.freeze_id
    await open_shift(
        session,
        station_id=chain.stations[0],
        terminal_id=chain.world.terminal_ids[0],
        cashier_id=chain.people["cashier"],
        opening_float_minor=50_000,
        actor=actor,
        now=now - timedelta(hours=6),
    )


async def _sales(sessions: Sessions, url: str, chain: Chain) -> None:
    bench = Bench(url, sessions, chain.world)
    await bench.start()
    try:
        made = {}
        async with transaction(sessions) as session:
            for key in ("zhang-card", "li-card", "firm-main"):
                row = await _first(session, "SELECT number_sealed FROM cards WHERE card_id = :c", c=chain.ids[key])
                number = cards_number(chain.ids[key], bytes(row[0]))
                chain.numbers[key] = number
                made[key] = TestCard(chain.ids[key], chain.ids[f"{key}-account"], number, chain.ids[key])
        for key, litres in (("zhang-card", 22_000), ("li-card", 30_000), ("firm-main", 41_500), ("zhang-card", 12_340)):
            await bench.sell(made[key], pin=PIN, litres_milli=litres)
        await bench.sell(made["li-card"], pin=PIN, litres_milli=5_000, price_e4=79_900)
        await bench.authorise(made["zhang-card"], pin=PIN, amount_minor=10_000)
        await bench.authorise(made["firm-main"], pin=PIN, amount_minor=20_000, terminal=1)
        await bench.authorise(made["li-card"], pin="999999", amount_minor=20_000)
    finally:
        await bench.stop()
    async with transaction(sessions) as session:
        await session.execute(
            _sql("UPDATE authorizations SET expires_at = booked_at WHERE account_id = :a AND status = 1"),
            {"a": chain.ids["firm-main-account"]},
        )
        await expire_holds(session, now=chain.world.now + timedelta(minutes=1))


def cards_number(card_id: UUID, sealed: bytes) -> str:
    from loyalty.cards.numbers import reveal_number

    return reveal_number(card_id=card_id, sealed=sealed)


async def _first(session, sentence: str, **values):
    return (await session.execute(_sql(sentence), values)).one()


def _sql(sentence: str):
    from sqlalchemy import text

    return text(sentence)


__all__ = [
    "LOG_INS",
    "PASSWORD",
    "PIN",
    "SECRET",
    "Chain",
    "ClosureReason",
    "Party",
    "PayoutMethod",
    "SpendStep",
    "code_now",
    "date",
    "fill_office",
]
