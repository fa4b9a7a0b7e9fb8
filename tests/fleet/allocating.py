"""A company with as many vehicles as a test wants, made set-based: cards, bindings, last month's fills and odometer readings."""

from datetime import date, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import text

from loyalty.fleet.allocation_rules import Span
from loyalty.fleet.model import CompanyMode, UnusedMode, WorkdayMode
from loyalty.fleet.operations.companies import CompanySettings
from loyalty.ids import uuid7
from loyalty.policy import load_policy
from loyalty.stations.operations.calendar import seed_calendar
from tests.factories.fleet import Fleet, make_fleet
from tests.factories.world import SYSTEM

POLICY = load_policy("cn-single-purpose")
OCTOBER = Span(date(2026, 9, 26), date(2026, 10, 26))
DAY = timedelta(days=1)


def settings(**facts) -> CompanySettings:
    facts = {"mode": CompanyMode.ALLOCATED, "unused": UnusedMode.KEPT, "workday_mode": WorkdayMode.FOLLOWING} | facts
    return CompanySettings(**facts)


async def make_motor_pool(
    session, world, *, vehicles: int, silent: int = 0, unread: int = 0, pool_minor: int = 100_000_000, department: bool = True, **facts
) -> Fleet:
    """Make a company whose vehicles fuelled 100 L at 7.56 on 10 September, but the first `silent`; the next `unread` lack readings."""
    now = world.now
    await seed_calendar(session, actor=SYSTEM, now=now)
    fleet = await make_fleet(session, world, name=f"车队{uuid4().hex[:6]}", pool_minor=pool_minor, cards=1, settings=settings(**facts))
    fleet.department_id = None
    if department:
        fleet.department_id = uuid4()
        await session.execute(
            text("INSERT INTO departments (department_id, company_id, name, created_at) VALUES (:id, :company, '车队部', :now)"),
            {"id": fleet.department_id, "company": fleet.company_id, "now": now - 90 * DAY},
        )
    # The first card is the managing one: it is given nothing.
    await session.execute(text("UPDATE cards SET is_main = true WHERE card_id = :id"), {"id": fleet.cards[0].card_id})
    fleet.vehicle_chains = [uuid7(now - 90 * DAY) for _ in range(vehicles)]
    places = {
        "company": fleet.company_id,
        "account": fleet.account_id,
        "department": fleet.department_id,
        "model": fleet.cards[0].card_id,
        "chains": fleet.vehicle_chains,
        "vehicles": [uuid7(now - 90 * DAY) for _ in range(vehicles)],
        "then": now - 90 * DAY,
        "filled": datetime.fromisoformat("2026-09-10T03:00:00+00:00"),
        "silent": silent,
        "unread": silent + unread,
    }
    for sentence in _SENTENCES:
        await session.execute(text(sentence), {name: value for name, value in places.items() if f":{name}" in sentence})
    await _fuel(session, world, fleet, fleet.vehicle_chains[silent:], at=places["filled"])
    return fleet


_SENTENCES = (
    """
    INSERT INTO cards (card_id, account_id, number_index, number_sealed, number_bin, number_tail, product_id, customer_id, status, version,
        pin_verifier, pin_generation, pin_tries, chain_id, bearer, is_main, created_at, issued_at)
    SELECT one.id, m.account_id, uuid_send(one.id), m.number_sealed, m.number_bin, lpad((one.n % 10000)::text, 4, '0'), m.product_id,
        m.customer_id, 2, 1, m.pin_verifier, 1, 0, one.id, false, false, CAST(:then AS timestamptz),
        CAST(:then AS timestamptz)
    FROM unnest(CAST(:chains AS uuid[])) WITH ORDINALITY AS one (id, n), cards AS m WHERE m.card_id = :model
    """,
    """
    INSERT INTO vehicles (vehicle_id, company_id, department_id, plate, plate_key, country, type, displacement_ml, product_code,
        ownership, odometer_km, odometer_at, status, created_at)
    SELECT one.id, :company, CAST(:department AS uuid), '浙A' || lpad(one.n::text, 5, '0'), 'ZJA' || one.n, 'CN', 'truck', 4000, '0',
        'company', 1000 * one.n,
        CASE WHEN one.n > :silent AND one.n <= :unread THEN CAST(:then AS timestamptz) ELSE CAST(:filled AS timestamptz) END, 'active',
        CAST(:then AS timestamptz)
    FROM unnest(CAST(:vehicles AS uuid[])) WITH ORDINALITY AS one (id, n)
    """,
    """
    INSERT INTO card_bindings (chain_id, since, company_id, vehicle_id, department_id, bound_by_kind, bound_by_id)
    SELECT one.chain, CAST(:then AS timestamptz), :company, one.vehicle, CAST(:department AS uuid), 'system', 'tests'
    FROM unnest(CAST(:chains AS uuid[]), CAST(:vehicles AS uuid[])) AS one (chain, vehicle)
    """,
)


async def _fuel(session, world, fleet, chains: list[UUID], *, at: datetime, quantity_milli: int = 100_000) -> None:
    """Book a fill for each of these chains, as records: no money moves."""
    await session.execute(
        text(
            """
            INSERT INTO sales (account_id, sale_id, card_id, chain_id, terminal_id, station_id, flow, product_id, quantity_milli,
                unit_price_e4, gross_minor, discount_minor, card_minor, currency, flags, status, refunded_minor, event_at, booked_at,
                business_day, period)
            SELECT :account, one.sale, one.chain, one.chain, :terminal, :station, 1, :product, CAST(:quantity AS bigint), 75600,
                CAST(:quantity AS bigint) * 756 / 1000, 0, 0, 'CNY', 0, 1, 0, CAST(:at AS timestamptz),
                CAST(:at AS timestamptz), CAST(:at AS timestamptz)::date, 202609
            FROM unnest(CAST(:sales AS uuid[]), CAST(:chains AS uuid[])) AS one (sale, chain)
            """
        ),
        {
            "account": fleet.account_id,
            "sales": [uuid7(at) for _ in chains],
            "chains": chains,
            "terminal": world.terminal_ids[0],
            "station": world.station_id,
            "product": world.product_ids["0"],
            "quantity": quantity_milli,
            "at": at,
        },
    )
