"""A counter to stand at: a station with a till, its people, cards of every kind, fills that wait; and how a cashier comes in."""

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.operations.fills import record_fill
from loyalty.authorizations.operations.holds import expire_holds
from loyalty.cards.operations import produce_batch
from loyalty.cards.queries import batch_for_personaliser
from loyalty.crypto import use_keyring
from loyalty.customers.model import CustomerKind, IdentifierType
from loyalty.customers.operations import CustomerFacts, add_customer, add_identifier, verify_identifier
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.identity.model import Role, ScopeKind
from loyalty.identity.model_terminals import EnrolmentUse
from loyalty.identity.operations import grant_role, hire, issue_enrolment_code, issue_staff_card, set_staff_pin
from loyalty.ids import uuid7
from loyalty.installation import open_keys
from loyalty.ledger.model import HouseCode, PurseKind, TransferKind
from loyalty.ledger.operations import Leg, ensure_house, ensure_purse, post
from loyalty.settings import Settings
from tests.factories.rules import litre_off
from tests.factories.world import SYSTEM, TestCard, World, give_card, make_world

STAFF_PIN = "260917"
CASHIER, MANAGER = "990000001001", "990000001002"


@dataclass
class Counter:
    """What a test at the counter holds in its hands."""

    database_url: str
    world: World
    code: str
    zhang: TestCard
    bearer: TestCard
    poor: TestCard
    company: TestCard
    phone: str
    blanks: dict[str, list[str]] = field(default_factory=dict)
    fills: list[UUID] = field(default_factory=list)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def leave_unresolved(self) -> None:
        """Let every running hold of this counter end without a completion."""
        engine = make_engine(self.database_url)
        try:
            async with transaction(make_sessions(engine)) as session:
                await session.execute(text("UPDATE authorizations SET expires_at = booked_at WHERE status = 1"))
                await expire_holds(session, now=datetime.now(UTC))
        finally:
            await engine.dispose()

    async def count(self, statement: str, **bound: Any) -> Any:
        """Ask the database one figure."""
        engine = make_engine(self.database_url)
        try:
            async with engine.connect() as connection:
                return (await connection.execute(text(statement), bound)).scalar_one()
        finally:
            await engine.dispose()


@contextlib.asynccontextmanager
async def writing(database_url: str, folder: Path) -> AsyncIterator[AsyncSession]:
    """Open a transaction with the keys that the service in `folder` opens, and leave the process without them."""
    settings = Settings(database_url=database_url, data_dir=folder / "data", keys_dir=folder / "keys")
    engine = make_engine(database_url)
    await open_keys(settings, engine, now=datetime.now(UTC))
    try:
        async with transaction(make_sessions(engine)) as session:
            yield session
    finally:
        use_keyring(None)
        await engine.dispose()


async def make_station(database_url: str, folder: Path) -> World:
    """Make a station with its people, prices and a discount for personal cards."""
    now = datetime.now(UTC).replace(microsecond=0)
    async with writing(database_url, folder) as session:
        world = await make_world(session, now=now)
        await _people(session, world, now)
        await _discount(session, world, now)
    return world


async def fill_counter(database_url: str, folder: Path, world: World | None = None) -> Counter:
    """Lay out what one test works with: cards of its own, three fills that wait, a code for the till, no shift left over."""
    world = world or await make_station(database_url, folder)
    now = datetime.now(UTC).replace(microsecond=0)
    async with writing(database_url, folder) as session:
        await session.execute(text("UPDATE fills SET status = 5, locked_until = NULL WHERE status IN (1, 2)"))
        zhang = await give_card(session, world, balance_minor=58_240)
        phone = f"138{now.timestamp() % 10**8:08.0f}"
        await _named(session, zhang, now, phone)
        await _bonus(session, world, zhang, now)
        bearer = await give_card(session, world, kind="anonymous", balance_minor=30_000)
        poor = await give_card(session, world, balance_minor=5_000)
        company = await give_card(session, world, kind="company", balance_minor=800_000)
        blanks = {}
        for kind in ("personal", "anonymous"):
            batch = await produce_batch(
                session, product_id=world.card_product_ids[kind], count=3, station_id=world.station_id, actor=SYSTEM, now=now
            )
            blanks[kind] = [number async for number, _ in batch_for_personaliser(session, batch_id=batch.batch_id)]
        code, _ = await issue_enrolment_code(session, terminal_id=world.terminal_ids[0], use=EnrolmentUse.BROWSER, now=now)
        made = Counter(database_url, world, code, zhang, bearer, poor, company, phone, blanks, [], now)
        for nozzle, product, litres, price in ((3, "95", 22_000, 83_700), (1, "92", 31_500, 78_900), (7, "0", 68_310, 75_600)):
            made.fills.append(await add_fill(session, world, nozzle=nozzle, product=product, litres_milli=litres, price_e4=price, now=now))
    return made


async def add_fill(session, world: World, *, nozzle: int, product: str, litres_milli: int, price_e4: int, now: datetime) -> UUID:
    """Let the forecourt report a finished fill."""
    fill = await record_fill(
        session,
        station_id=world.station_id,
        pump_reference=str(uuid4()),
        nozzle=nozzle,
        product_id=world.product_ids[product],
        quantity_milli=litres_milli,
        unit_price_e4=price_e4,
        amount_minor=(litres_milli * price_e4 + 50_000) // 100_000,
        finished_at=now - timedelta(minutes=2),
        now=now,
    )
    return fill.fill_id


async def _people(session, world: World, now: datetime) -> None:
    began = now - timedelta(days=1)
    for number, name, card, role in (("1001", "刘敏", CASHIER, Role.CASHIER), ("1002", "王站长", MANAGER, Role.STATION_MANAGER)):
        staff_id = await hire(session, employee_number=number, name=name, home_station_id=world.station_id, now=began)
        await grant_role(session, staff_id=staff_id, role=role, scope=ScopeKind.STATION, scope_id=world.station_id, now=began)
        await issue_staff_card(session, staff_id=staff_id, card_number=card, now=began)
        await set_staff_pin(session, staff_id=staff_id, pin=STAFF_PIN, now=began)


async def _discount(session, world: World, now: datetime) -> None:
    await litre_off(session, code="gold", rate_e4=2000, funder="issuer", now=now - timedelta(days=2))


async def _named(session, card: TestCard, now: datetime, phone: str) -> None:
    """Give a card its owner, a person whose document was seen."""
    customer_id = await add_customer(
        session, facts=CustomerFacts(kind=CustomerKind.PERSON, name="张伟", phone=phone), actor=SYSTEM, now=now
    )
    passport = f"E{phone[3:]}"
    added = await add_identifier(session, customer_id=customer_id, type=IdentifierType.PASSPORT, value=passport, actor=SYSTEM, now=now)
    staff_id = (await session.execute(text("SELECT staff_id FROM staff ORDER BY staff_id LIMIT 1"))).scalar_one()
    await verify_identifier(session, identifier_id=added.identifier_id, staff_id=staff_id, actor=SYSTEM, now=now)
    bound = {"customer": customer_id, "card": card.card_id, "account": card.account_id}
    await session.execute(text("UPDATE cards SET customer_id = :customer WHERE card_id = :card"), bound)
    await session.execute(text("UPDATE accounts SET customer_id = :customer WHERE account_id = :account"), bound)


async def _bonus(session, world: World, card: TestCard, now: datetime) -> None:
    purse = await ensure_purse(
        session, account_id=card.account_id, kind=PurseKind.BONUS, unit="CNY", expires_at=now + timedelta(days=20), now=now
    )
    house = await ensure_house(session, code=HouseCode.BONUS, currency="CNY", reference="issuer", now=now)
    leg = Leg(house, purse, 3_000, TransferKind.BONUS, "CNY")
    await post(session, account_id=card.account_id, legs=[leg], operation_id=uuid7(now), event_at=now, now=now)


async def come_in(page: Any, site: str, counter: Counter, *, opens_shift: bool = True, card: str = CASHIER) -> None:
    """Enrol the browser, sign in, open the shift: keys only."""
    await page.goto(f"{site}/cashier")
    await page.wait_for_selector("#f-code:focus")
    await page.keyboard.type(counter.code)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/sign-in*")
    await sign_in(page, card=card)
    await page.wait_for_url(re.compile(r"/cashier(/shift)?$"))
    if opens_shift and page.url.endswith("/shift"):
        await page.wait_for_selector("#f-float:focus")
        await page.keyboard.type("500")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/cashier")


async def sign_in(page: Any, *, card: str = CASHIER, pin: str = STAFF_PIN) -> None:
    """Swipe the staff card, type the PIN."""
    await page.wait_for_selector("#f-card:focus")
    await page.keyboard.type(card)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#f-pin:focus")
    await page.keyboard.type(pin)
    await page.keyboard.press("Enter")
