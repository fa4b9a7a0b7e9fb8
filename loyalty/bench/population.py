"""A chain to measure on: one station, its tills, and accounts with one card each. Written by COPY: it is thrown away afterwards.

The only place outside the rooms that writes their tables, because a hundred thousand cards through the counter would take an hour.
"""

import secrets
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.card_numbers import new_card_number
from loyalty.cards.model import CardStatus, ProductKind
from loyalty.cards.numbers import protect_number
from loyalty.cards.operations import create_card_product
from loyalty.crypto import Purpose as Key
from loyalty.crypto import (
    SessionKeys,
    enrolment_public_key,
    new_enrolment_key,
    open_session_client,
    pin_verifier,
    prove_enrolment_key,
    public_keys,
    read_code,
)
from loyalty.db import Sessions, transaction
from loyalty.identity.model_terminals import EnrolmentUse
from loyalty.identity.operations import enrol_terminal, issue_enrolment_code, open_day_session
from loyalty.ids import StationId, TerminalId, uuid7
from loyalty.ledger.model import AccountKind, AccountStatus, HouseCode, PurseKind, TransferKind
from loyalty.ledger.operations import ensure_house, open_first_period
from loyalty.limits.model import LimitKind, Window
from loyalty.limits.rules import LimitSet, WindowLimit
from loyalty.policy import load_policy
from loyalty.pricing.document import Funder, PerUnit, Rule, When
from loyalty.pricing.operations import publish, publish_rule
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

from .rules import rulebook

PIN = "135724"
BALANCE_MINOR = 400_000
PRICE_E4 = 78_900
_BENCH = Actor(ActorKind.SYSTEM, "bench")


_COLUMNS = {
    "accounts": "account_id currency kind status customer_id card_product_id opened_at",
    "purses": "account_id purse_id kind unit balance_minor held_minor credit_limit_minor",
    "transfers": "account_id transfer_id debit_id credit_id amount_minor unit kind operation_id station_id event_at booked_at period",
    "cards": "card_id account_id number_index number_sealed number_bin number_tail product_id status version pin_verifier "
    "pin_generation pin_tries chain_id bearer is_main created_at",
}


class Till(msgspec.Struct):
    """A till with an open day session, as the load tool needs it."""

    terminal_id: UUID
    session_id: str
    keys: bytes
    expires_at: datetime

    def session(self) -> SessionKeys:
        """Return the session's keys."""
        return SessionKeys.from_bytes(self.keys, self.expires_at)


class Population(msgspec.Struct):
    """What the load tool is given."""

    numbers: list[str]
    tills: list[Till]


async def populate(
    sessions: Sessions, url: str, *, accounts: int, tills: int, pooled: bool, rules: int, now: datetime, policy: str
) -> Population:
    """Make the chain; with `pooled`, all cards draw on one company account. `rules` are live: one per litre, or so many of all kinds."""
    async with transaction(sessions) as session:
        station_id, made_tills = await _chain(session, tills, now)
        product = await create_card_product(
            session,
            code="bench",
            name_zh="测试卡",
            name_en="Bench card",
            kind=ProductKind.COMPANY if pooled else ProductKind.PERSONAL,
            currency="CNY",
            number_bin="8810",
            number_length=16,
            default_limits=_limits(),
            policy=load_policy(policy),
            now=now,
        )
        await _rules(session, rules, now - timedelta(days=1))
        house = await ensure_house(session, code=HouseCode.TENDER, currency="CNY", reference=f"{station_id}:cash", now=now)
    connection = await asyncpg.connect(url.replace("postgresql+asyncpg", "postgresql"))
    try:
        numbers = await _copy(connection, accounts, product.product_id, house, station_id, pooled=pooled, now=now)
        await connection.execute("VACUUM (ANALYZE) cards, accounts, purses, transfers")
    finally:
        await connection.close()
    return Population(numbers, made_tills)


async def _rules(session: AsyncSession, count: int, now: datetime) -> None:
    if count > 1:
        document, _ = rulebook(count=count, station="S", card_product="bench")
        await publish(session, document=document, note="bench", now=now)
        return
    rule = Rule(
        code="bench",
        name_zh="每升优惠",
        name_en="Per litre",
        effect=PerUnit(rate_e4=2_000),
        funders=(Funder(funder="head-office"),),
        when=When(categories=("fuel",)),
    )
    await publish_rule(session, rule=rule, now=now)


async def _chain(session: AsyncSession, tills: int, now: datetime) -> tuple[StationId, list[Till]]:
    began = now - timedelta(days=1)
    await open_first_period(session, period=now.year * 100 + now.month, now=now)
    entity = (
        await put_entities(session, entities={"E": EntityFacts(name_zh="公司", name_en="Entity", currency="CNY")}, actor=_BENCH, now=began)
    ).ids["E"]
    region = (await put_regions(session, regions={"R": PlaceFacts(name_zh="区", name_en="Region")}, actor=_BENCH, now=began)).ids["R"]
    districts = await put_districts(
        session, districts={"D": PlaceFacts(name_zh="片区", name_en="District", region_id=region)}, actor=_BENCH, now=began
    )
    facts = StationFacts(
        name_zh="站", name_en="Station", entity_id=entity, district_id=districts.ids["D"], zone="Asia/Shanghai", currency="CNY"
    )
    station_id = StationId((await put_stations(session, stations={"S": facts}, actor=_BENCH, now=began)).ids["S"])
    fuel = ProductFacts(name_zh="92号", name_en="Gasoline 92", category=ProductCategory.FUEL, unit=Unit.LITRE, fuel_kind=FuelKind.GASOLINE)
    await put_products(session, products={"92": fuel}, actor=_BENCH, now=began)
    row = PriceRow(line=1, station_code="S", product_code="92", unit_price_e4=PRICE_E4, effective_from=began)
    await publish_prices(session, rows=[row], actor=_BENCH, now=began, lead=timedelta(0), historical=True)
    return station_id, [await _till(session, station_id, number, now) for number in range(tills)]


async def _till(session: AsyncSession, station_id: StationId, number: int, now: datetime) -> Till:
    terminal = await add_terminal(session, station_id=station_id, code=f"T{number:03}", kind=TerminalKind.POS, actor=_BENCH, now=now)
    if terminal.status is not TerminalStatus.ACTIVE:
        await move_terminal(
            session, terminal_id=TerminalId(terminal.terminal_id), to=TerminalStatus.ACTIVE, reason="bench", actor=_BENCH, now=now
        )
    typed, _ = await issue_enrolment_code(session, terminal_id=terminal.terminal_id, use=EnrolmentUse.KEY, now=now)
    key = new_enrolment_key()
    code = read_code(typed)
    assert code is not None
    enrolled = await enrol_terminal(
        session, code=typed, public_key=enrolment_public_key(key), proof=prove_enrolment_key(key, code), now=now
    )
    assert enrolled is not None
    pending = open_session_client(terminal_id=terminal.terminal_id, epoch=enrolled.epoch, enrolment_key=key, now=now)
    answer = await open_day_session(session, opening=pending.opening, now=now)
    keys = pending.finish(answer, issuer_keys=public_keys(Key.ISSUER))
    return Till(terminal.terminal_id, answer.session_id, keys.to_bytes(), keys.expires_at)


def _limits() -> LimitSet:
    """Limits as a careful issuer sets them, high enough never to bind here."""
    return LimitSet(
        grades=("92", "95"),
        windows=(
            WindowLimit(Window.TRANSACTION, LimitKind.AMOUNT, 100_000),
            WindowLimit(Window.DAY, LimitKind.AMOUNT, 100_000_000),
            WindowLimit(Window.DAY, LimitKind.COUNT, 1_000_000),
            WindowLimit(Window.MONTH, LimitKind.AMOUNT, 1_000_000_000),
        ),
    )


async def _copy(
    connection: "asyncpg.Connection[asyncpg.Record]",
    accounts: int,
    product_id: UUID,
    house: UUID,
    station_id: UUID,
    *,
    pooled: bool,
    now: datetime,
) -> list[str]:
    opened = now - timedelta(minutes=5)
    numbers: list[str] = []
    rows: dict[str, list[tuple[object, ...]]] = {"accounts": [], "purses": [], "transfers": [], "cards": []}
    for index in range(accounts):
        if index == 0 or not pooled:
            account_id, purse_id = uuid7(opened), uuid7(opened)
            balance = BALANCE_MINOR * (accounts if pooled else 1)
            kind = AccountKind.COMPANY if pooled else AccountKind.PERSONAL
            rows["accounts"].append((account_id, "CNY", kind.value, AccountStatus.OPEN.value, None, product_id, opened))
            rows["purses"].append((account_id, purse_id, PurseKind.PRINCIPAL.value, "CNY", balance, 0, 0))
            rows["transfers"].append(
                (
                    account_id,
                    uuid7(opened),
                    house,
                    purse_id,
                    balance,
                    "CNY",
                    TransferKind.LOAD.value,
                    uuid7(opened),
                    station_id,
                    opened,
                    opened,
                    now.year * 100 + now.month,
                )
            )
        card_id, number = uuid7(opened), new_card_number("8810", 16)
        kept = protect_number(number, card_id=card_id)
        verifier = pin_verifier(card_id=card_id, generation=1, pin=PIN)
        rows["cards"].append(
            (
                card_id,
                account_id,
                kept.lookup,
                kept.sealed,
                kept.bin,
                kept.tail,
                product_id,
                CardStatus.ACTIVE.value,
                1,
                verifier,
                1,
                0,
                card_id,
                False,
                False,
                opened,
            )
        )
        numbers.append(number)
    for table, records in rows.items():
        await connection.copy_records_to_table(table, records=records, columns=_COLUMNS[table].split())
    secrets.SystemRandom().shuffle(numbers)
    return numbers
