"""The company that `loyalty bench fleet` measures is one that the portal's own reading takes for sound."""

from datetime import UTC, datetime

from sqlalchemy import text

from loyalty.bench.firm import COMPANY, DEAREST_MINOR, POOL_MINOR, make_firm
from loyalty.checks.model import Scope
from loyalty.checks.queries import CHECKS
from loyalty.checks.running import examine
from loyalty.crypto import use_keyring
from loyalty.db import driver_dsn, make_engine, make_sessions, transaction
from loyalty.fleet.queries.companies import get_company
from loyalty.fleet.queries.vehicles import list_vehicles
from loyalty.installation import open_keys
from loyalty.settings import Settings
from loyalty.statements.queries.companies import periods_of, totals_of_period
from loyalty.statements.queries.lines import Part
from loyalty.web.fleet import queries

NOW = datetime(2026, 9, 24, 2, 15, tzinfo=UTC)


async def test_a_generated_company_has_what_its_pages_show(database_url, tmp_path):
    settings = Settings.from_environment(
        {"DATABASE_URL": database_url, "LOYALTY_DATA": str(tmp_path / "data"), "LOYALTY_KEYS": str(tmp_path / "keys")}
    )
    engine = make_engine(database_url)
    sessions = make_sessions(engine)
    try:
        await open_keys(settings, engine, now=NOW)
        firm = await make_firm(sessions, driver_dsn(database_url), cards=50, fills=2_000, now=NOW, policy=settings.policy)
        async with transaction(sessions) as session:
            company = await get_company(session, company_id=COMPANY)
            found = await queries.list_fills(session, account_id=company.account_id)
            vehicles = await list_vehicles(session, company_id=COMPANY)
            counted = await session.execute(
                text(
                    "SELECT (SELECT count(*) FROM fleet_fills), (SELECT count(*) FROM odometer_readings WHERE status = 'holds'), "
                    "(SELECT count(*) FROM findings), (SELECT count(*) FROM approvals), (SELECT count(DISTINCT card_id) FROM sales)"
                )
            )
            assert tuple(counted.one()) == (2_000, 2_000, 20, 20, 50)
            running, *closed = await periods_of(session, company=company, now=NOW)
            assert len(closed) == 12
            assert all(period.closed_at for period in closed)
            stated = await totals_of_period(session, part=Part(company.account_id), period=running)
            assert stated.money.closing_minor == await session.scalar(text("SELECT sum(balance_minor)::bigint FROM purses"))
            assert closed[-1].totals.money.loads_minor == POOL_MINOR + 2_000 * DEAREST_MINOR
            checks = [check for check in CHECKS if check.code.startswith(("company-", "statement-", "fleet-", "vehicle-"))]
            assert [one.check.code async for one in examine(session, Scope(now=NOW), checks=checks) if one.found.count] == []
    finally:
        await engine.dispose()
        use_keyring(None)
    assert firm.account_id == company.account_id
    assert found.rows
    assert vehicles.rows[0].odometer_km > 10_000
