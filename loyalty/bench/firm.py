"""One company as large as they come, made set-based by the database: vehicles, drivers, cards, a year of fills, and what is odd of it.

The same numbers give the same company. Card `i` is of vehicle `i`; each card fuels as often as any other and its odometer rises, so that
every list, period and comparison has something to show. Written past the operations, because they would take a day: it is thrown away.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
from sqlalchemy import text

from loyalty.audit.model import Actor, ActorKind
from loyalty.cards.model import ProductKind
from loyalty.db import Sessions, transaction
from loyalty.fleet.model import CompanyMode, UnusedMode
from loyalty.fleet.operations.companies import CompanySettings, make_company
from loyalty.fleet.operations.fills import collect_fills
from loyalty.fleet.queries.api import settled_to
from loyalty.identity.model_portal import PortalRole
from loyalty.identity.operations import make_portal_user
from loyalty.ids import uuid7
from loyalty.ledger.model import AccountKind, HouseCode, TransferKind
from loyalty.ledger.operations import Leg, ensure_house, open_account, post
from loyalty.ledger.queries import purses_of
from loyalty.limits.model import LimitKind, Window
from loyalty.limits.operations import NewLimit, add_limit
from loyalty.statements.operations.companies import close_company_periods
from loyalty.statements.operations.sums import sum_company
from loyalty.stations.operations.calendar import seed_calendar

from .month import make_chain

BENCH: Final = Actor(ActorKind.SYSTEM, "bench")
COMPANY: Final = UUID("7b0d1c8e-5a61-7c2f-9a44-2f6c1d3e8a10")
PASSWORD: Final = "a bench for one afternoon"  # noqa: S105 - of a database that is thrown away
SECRET: Final = b"12345678901234567890"
POOL_MINOR: Final = 10_000_000_000
DEAREST_MINOR: Final = 100_000
"""No fill costs more."""
DEPARTMENTS: Final = 40
YEAR: Final = timedelta(days=365)


class Firm(NamedTuple):
    """The company as the measurements ask for it: ids that stand in addresses, and how many there are of what."""

    account_id: UUID
    cards: int
    fills: int

    def id_of(self, letter: str) -> UUID:
        """Return the id of the vehicle (`v`), driver (`d`) or card (`k`) of the first department, or of that (`e`)."""
        number = 1 if letter == "e" else min(DEPARTMENTS, self.cards)
        return UUID(bytes=hashlib.md5(f"{letter}{number}".encode(), usedforsecurity=False).digest())


_CUSTOMER: Final = """
INSERT INTO customers (customer_id, kind, name, name_key, locale, country, status, created_at)
VALUES (:company, 'organisation', '大江物流集团', '大江物流集团', 'zh_CN', 'CN', 'active', :since)
"""
_TILLS: Final = """
INSERT INTO terminals (terminal_id, station_id, code, kind, status, created_at)
SELECT md5('t' || n)::uuid, id, 'T' || n, 'pos', 'active', $2 FROM unnest($1::uuid[]) WITH ORDINALITY s(id, n)
"""
_STRUCTURE: Final = (
    # The first five departments stand above the others.
    """
    INSERT INTO departments (department_id, company_id, parent_id, name, cost_centre, created_at)
    SELECT md5('e' || i)::uuid, $1, CASE WHEN i > 5 THEN md5('e' || 1 + i % 5)::uuid END, '部门' || i, 'C' || i, $2
    FROM generate_series(1, $4::int) i
    """,
    """
    INSERT INTO vehicles (vehicle_id, company_id, department_id, plate, plate_key, country, type, displacement_ml, tank_milli, product_code,
        norm_milli, ownership, odometer_km, odometer_at, status, created_at)
    SELECT md5('v' || i)::uuid, $1, md5('e' || 1 + i % $4::int)::uuid, '浙A' || lpad(i::text, 5, '0'), '浙A' || lpad(i::text, 5, '0'), 'CN',
        (ARRAY['truck', 'van', 'car', 'tractor'])[1 + i % 4], 2000 + i % 4 * 1000, 600000, (ARRAY['0', '92', '95', '0'])[1 + i % 4], 28000,
        'company', 90000, $5, 'active', $2
    FROM generate_series(1, $3::int) i
    """,
    """
    INSERT INTO drivers (driver_id, company_id, department_id, number, name, status, created_at)
    SELECT md5('d' || i)::uuid, $1, md5('e' || 1 + i % $4::int)::uuid, (10000 + i)::text, '驾驶员' || i, 'active', $2
    FROM generate_series(1, $3::int) i
    """,
    """
    INSERT INTO cards (card_id, account_id, number_index, number_sealed, number_bin, number_tail, product_id, customer_id, status, version,
        pin_generation, pin_tries, chain_id, bearer, is_main, created_at)
    SELECT md5('k' || i)::uuid, $6, decode(md5('n' || i), 'hex'), ''::bytea, '8810', lpad((i % 10000)::text, 4, '0'), $7, $1, 2, 1, 1, 0,
        md5('k' || i)::uuid, false, false, $2
    FROM generate_series(1, $3::int) i
    """,
    """
    INSERT INTO card_bindings (chain_id, since, company_id, vehicle_id, driver_id, department_id, bound_by_kind, bound_by_id)
    SELECT md5('k' || i)::uuid, $2, $1, md5('v' || i)::uuid, md5('d' || i)::uuid, md5('e' || 1 + i % $4::int)::uuid, 'system', 'bench'
    FROM generate_series(1, $3::int) i
    """,
)
# Every card's turn comes once a round of all cards.
_SALES: Final = """
INSERT INTO sales (account_id, sale_id, card_id, chain_id, terminal_id, station_id, flow, nozzle, product_id, quantity_milli, unit_price_e4,
    gross_minor, discount_minor, card_minor, currency, detail, flags, status, refunded_minor, event_at, booked_at, business_day, period)
SELECT $1, overlay(overlay(md5('s' || i) placing lpad(to_hex((date_part('epoch', at) * 1000)::bigint), 12, '0') from 1 for 12)
        placing '7' from 13 for 1)::uuid,
    md5('k' || card)::uuid, md5('k' || card)::uuid, md5('t' || station)::uuid, ($5::uuid[])[station], 1, 1, ($6::uuid[])[1 + card % 3],
    litres * 10, 78900, litres * 79 / 10, litres / 5, litres * 79 / 10 - litres / 5, 'CNY',
    jsonb_build_object('odometer_km', 10000 + i / $2::int * 380, 'plate', '浙A' || lpad(card::text, 5, '0')),
    0, 1, 0, at, at, (at AT TIME ZONE 'Asia/Shanghai')::date, to_char(at AT TIME ZONE 'Asia/Shanghai', 'YYYYMM')::int
FROM (
    SELECT i, 1 + (i * 7919 % $2::int)::int AS card, 1 + (i * 31 / 7 % cardinality($5::uuid[]))::int AS station,
        4000 + i * 104729 % 8000 AS litres, $3::timestamptz + i::float8 / $7 * ($4::timestamptz - $3::timestamptz) AS at
    FROM generate_series($8::bigint, $9::bigint) i
) a
"""
_FILLS: Final = """
INSERT INTO fleet_fills (account_id, sale_id, company_id, chain_id, card_id, vehicle_id, driver_id, department_id, station_id, product_id,
    day, event_at, booked_at, quantity_milli, unit_price_e4, gross_minor, discount_minor, card_minor, odometer_km, plate, flags, back_milli,
    back_gross_minor, back_discount_minor, back_card_minor)
SELECT s.account_id, s.sale_id, $1, s.chain_id, s.card_id, b.vehicle_id, b.driver_id, b.department_id, s.station_id, s.product_id,
    s.business_day, s.event_at, s.booked_at, s.quantity_milli, s.unit_price_e4, s.gross_minor, s.discount_minor, s.card_minor,
    (s.detail ->> 'odometer_km')::bigint, s.detail ->> 'plate', 0, 0, 0, 0, 0
FROM sales s JOIN card_bindings b ON b.chain_id = s.chain_id WHERE s.account_id = $2
"""
# What the ledger moved for each fill: the card's share out of the pool, the discount from its funder; ids are the fill's with another end.
_TRANSFERS: Final = """
INSERT INTO transfers (account_id, transfer_id, debit_id, credit_id, amount_minor, unit, kind, operation_id, card_id, station_id, event_at,
    booked_at, period)
SELECT s.account_id, overlay(s.sale_id::text placing m.ends from 35 for 2)::uuid, m.debit, $4::uuid, m.amount, 'CNY', m.kind, s.sale_id,
    s.card_id, s.station_id, s.event_at, s.booked_at, s.period
FROM sales s
CROSS JOIN LATERAL (VALUES ('0a', $2::uuid, s.card_minor, 3), ('0b', $3::uuid, s.discount_minor, 4)) m(ends, debit, amount, kind)
WHERE s.account_id = $1
"""
_SPENT: Final = """
UPDATE purses SET balance_minor = balance_minor - (SELECT sum(card_minor) FROM sales WHERE account_id = $1)
WHERE account_id = $1 AND kind = 1 AND card_id IS NULL
"""
# A reading takes its fill's id: unique, and as old.
_READINGS: Final = """
INSERT INTO odometer_readings (reading_id, company_id, vehicle_id, km, read_at, source, sale_id, status, by_kind, by_id, made_at)
SELECT sale_id, company_id, vehicle_id, odometer_km, event_at, 'pump', sale_id, 'holds', 'system', 'pump', event_at
FROM fleet_fills WHERE company_id = $1
"""
_LAST: Final = """
UPDATE vehicles v SET odometer_km = o.km, odometer_at = o.at
FROM (SELECT vehicle_id, max(km) AS km, max(read_at) AS at FROM odometer_readings GROUP BY vehicle_id) o WHERE o.vehicle_id = v.vehicle_id
"""
_ODD: Final = """
INSERT INTO findings (finding_id, company_id, vehicle_id, driver_id, account_id, sale_id, kind, severity, evidence, event_at, found_at,
    disposition)
SELECT sale_id, company_id, vehicle_id, driver_id, account_id, sale_id, 'above_tank', (ARRAY['low', 'medium', 'high'])[1 + n % 3],
    '{"litres_milli": 66000, "tank_milli": 60000}', event_at, event_at,
    CASE WHEN event_at > $2::timestamptz - interval '60 days' THEN 'open' ELSE 'explained' END
FROM (SELECT *, row_number() OVER (ORDER BY sale_id) AS n FROM fleet_fills WHERE company_id = $1) f WHERE n % 100 = 0
"""
_ASKED: Final = """
INSERT INTO approvals (approval_id, company_id, account_id, authorization_id, chain_id, card_id, station_id, "limit", asked_milli, asked_at,
    deputy_at, decide_at, status, decided_at, decided_by)
SELECT finding_id, f.company_id, f.account_id, finding_id, l.chain_id, l.card_id, l.station_id, 'vehicle.day.quantity', 350000, f.event_at,
    f.event_at, f.event_at, CASE WHEN open THEN 'asked' ELSE 'refused' END, CASE WHEN NOT open THEN f.event_at END,
    CASE WHEN NOT open THEN 'policy' END
FROM (SELECT *, event_at > $2::timestamptz - interval '1 day' AS open FROM findings WHERE company_id = $1) f
JOIN fleet_fills l ON l.account_id = f.account_id AND l.sale_id = f.sale_id
"""
_PIECE: Final = 200_000


async def make_firm(sessions: Sessions, owner: str, *, cards: int, fills: int, now: datetime, policy: str) -> Firm:
    """Make the chain and the company, with `fills` in the year before `now`; collect, sum and close them as the jobs do.

    :param owner: a plain URL of the database, as its owner
    """
    since = (now - YEAR).replace(hour=0, minute=0, second=0, microsecond=0)
    connection: Any = await asyncpg.connect(owner, server_settings={"transaction_timeout": "0"})
    try:
        await connection.execute("SELECT make_month_partitions($1::date, 15)", since.date().replace(day=1))
        async with transaction(sessions) as session:
            stations, fuels, product = await make_chain(session, since, policy, ProductKind.COMPANY)
            account_id, *legs = await _company(session, product, since, fills)
        await connection.execute(_TILLS, stations, since)
        firm = Firm(account_id, cards, fills)
        places = {1: COMPANY, 2: since, 3: cards, 4: min(DEPARTMENTS, cards), 5: since, 6: account_id, 7: product}
        for sentence in _STRUCTURE:
            await connection.execute(*_numbered(sentence, places))
        for first in range(1, fills + 1, _PIECE):
            last = min(first + _PIECE - 1, fills)
            await connection.execute(_SALES, account_id, cards, since, now, stations, fuels, float(fills), first, last)
        await connection.execute(_TRANSFERS, account_id, *legs)
        await connection.execute(_SPENT, account_id)
        await connection.execute("ANALYZE sales, card_bindings, vehicles")
        await connection.execute(_FILLS, COMPANY, account_id)
        await connection.execute(_READINGS, COMPANY)
        await connection.execute(_LAST)
        await connection.execute(_ODD, COMPANY, now)
        await connection.execute(_ASKED, COMPANY, now)
        # Where the collector stands: all but the last hour is in.
        await connection.execute("INSERT INTO fleet_marks (name, collected_to) VALUES ('fills', $1)", now - timedelta(hours=1))
        await connection.execute("VACUUM (ANALYZE)")
        is_done = False
        while not is_done:
            async with transaction(sessions) as session:
                is_done = (await collect_fills(session, span=timedelta(hours=2), until=now, now=now)).is_done
        async with transaction(sessions) as session:
            await close_company_periods(session, company_id=COMPANY, actor=BENCH, now=now)
            until = await settled_to(session)
            while until is not None and await sum_company(session, company_id=COMPANY, until=until, now=now):
                pass
        async with transaction(sessions) as session:
            await _people(session, firm, now)
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()
    return firm


def _numbered(sentence: str, places: dict[int, Any]) -> list[Any]:
    """Return a sentence with its places numbered without holes, and what stands in them: asyncpg wants no more and no fewer."""
    used = [number for number in places if f"${number}" in sentence]
    for place, number in enumerate(used, 1):
        sentence = sentence.replace(f"${number}", f"${place}")
    return [sentence, *(places[number] for number in used)]


async def _company(session: Any, product: UUID, since: datetime, fills: int) -> list[UUID]:
    """Make the company with money for all its fills; return its account, its pool, and the discount's and the sales' house accounts."""
    await seed_calendar(session, actor=BENCH, now=since)
    await session.execute(text(_CUSTOMER), {"company": COMPANY, "since": since})
    account_id = await open_account(
        session, kind=AccountKind.COMPANY, currency="CNY", customer_id=COMPANY, card_product_id=product, now=since
    )
    settings = CompanySettings(mode=CompanyMode.ALLOCATED, unused=UnusedMode.KEPT)
    await make_company(session, customer_id=COMPANY, account_id=account_id, settings=settings, actor=BENCH, now=since)
    (pool,) = (purse.purse_id for purse in await purses_of(session, account_id=account_id))
    tender, discount, sales = [
        await ensure_house(session, code=code, currency="CNY", reference="bench", now=since)
        for code in (HouseCode.TENDER, HouseCode.DISCOUNT, HouseCode.SALES)
    ]
    load = Leg(tender, pool, POOL_MINOR + fills * DEAREST_MINOR, TransferKind.LOAD, "CNY")
    await post(session, account_id=account_id, legs=[load], operation_id=uuid7(since), event_at=since, now=since)
    return [account_id, pool, discount, sales]


async def _people(session: Any, firm: Firm, now: datetime) -> None:
    for role in (PortalRole.OWNER, PortalRole.DEPARTMENT_HEAD):
        await make_portal_user(
            session,
            company_id=COMPANY,
            email=email_of(role),
            name=role.value,
            password=PASSWORD,
            totp_secret=SECRET,
            role=role,
            department_id=firm.id_of("e") if role is PortalRole.DEPARTMENT_HEAD else None,
            actor=BENCH,
            now=now,
        )
    limit = NewLimit(kind=LimitKind.QUANTITY, window=Window.DAY, value=500_000)
    await add_limit(session, subject_id=firm.id_of("k"), limit=limit, actor=BENCH, now=now)


def email_of(role: PortalRole) -> str:
    """Return the log-in name of the company's user of a role."""
    return f"{role.value}@bench.example"
