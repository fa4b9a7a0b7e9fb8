"""The company that `loyalty bench fleet` measures is one that the portal's own reading takes for sound."""

from datetime import UTC, datetime

from sqlalchemy import text

from loyalty.bench.firm import COMPANY, make_firm
from loyalty.crypto import use_keyring
from loyalty.db import driver_dsn, make_engine, make_sessions, transaction
from loyalty.fleet.queries.companies import get_company
from loyalty.fleet.queries.vehicles import list_vehicles
from loyalty.installation import open_keys
from loyalty.settings import Settings
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
    finally:
        await engine.dispose()
        use_keyring(None)
    assert firm.account_id == company.account_id
    assert found.rows
    assert vehicles.rows[0].odometer_km > 10_000
