"""A portal's session of one company sees and writes no row of another, in any table that has a company: whatever the pages ask for."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from loyalty.fleet.model import CompanyMode
from loyalty.fleet.operations.bindings import bind_card
from loyalty.fleet.operations.companies import CompanySettings, change_company
from loyalty.fleet.operations.drivers import set_driver_pin
from loyalty.fleet.operations.importing import SheetKind, apply
from loyalty.fleet.operations.vehicles import close_vehicle
from loyalty.fleet.queries.cards import list_fleet_cards
from loyalty.fleet.sheets import RowState
from tests.factories.fleet import make_fleet
from tests.factories.world import SYSTEM
from tests.fleet.structure import department, driver, vehicle

TENANTS = """
    SELECT c.oid::regclass::text, c.relrowsecurity AND c.relforcerowsecurity
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'company_id' AND NOT a.attisdropped
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND NOT c.relispartition
    ORDER BY 1
"""
STRUCTURE = {"companies", "departments", "vehicles", "drivers", "card_bindings", "limit_chains"}


@pytest.fixture
async def two(session, world, now):
    """Two companies, each with a department, a vehicle, a driver and a bound card."""
    fleets = []
    for name in ("钱塘物流", "甬江运输"):
        fleet = await make_fleet(session, world, name=name, cards=1)
        north = await department(session, fleet, now, "北区")
        lorry = await vehicle(session, fleet, now, department_id=north)
        wang = await driver(session, fleet, now, department_id=north)
        chain = fleet.chains[0]
        await bind_card(session, company_id=fleet.company_id, chain_id=chain, vehicle_id=lorry, driver_id=wang, actor=SYSTEM, now=now)
        fleets.append(fleet)
    return fleets


async def as_portal_of(session, company_id):
    await session.execute(text("SET LOCAL ROLE loyalty_portal"))
    await session.execute(text("SELECT set_config('app.tenant', :tenant, true)"), {"tenant": "" if company_id is None else str(company_id)})


async def touched(session, sentence, company_id):
    """Return how many rows a sentence changed; none where it is not even granted."""
    try:
        async with session.begin_nested():
            return (await session.execute(text(sentence), {"theirs": company_id})).rowcount
    except DBAPIError as error:
        if error.orig.sqlstate != "42501":
            raise
        return 0


async def test_every_table_with_a_company_is_fenced(session):
    tables = dict((await session.execute(text(TENANTS))).all())
    assert set(tables) >= STRUCTURE
    assert [name for name, fenced in tables.items() if not fenced] == []


async def test_one_company_s_session_sees_and_writes_no_row_of_another(session, two):
    mine, theirs = two
    tables = [name for name, _ in await session.execute(text(TENANTS))]
    counted = {}
    for table in tables:
        statement = text(f"SELECT count(*) FROM {table} WHERE company_id = :company")
        counted[table] = [await session.scalar(statement, {"company": fleet.company_id}) for fleet in two]
    assert all(counted[table] == [1, 1] for table in STRUCTURE)
    await as_portal_of(session, mine.company_id)
    for table in tables:
        assert await session.scalar(text(f"SELECT count(*) FROM {table}")) == counted[table][0], table
        for verb in ("UPDATE {} SET company_id = company_id WHERE company_id = :theirs", "DELETE FROM {} WHERE company_id = :theirs"):
            assert await touched(session, verb.format(table), theirs.company_id) == 0, table
        if counted[table][0]:
            with pytest.raises(DBAPIError) as refused:
                async with session.begin_nested():
                    await session.execute(text(f"UPDATE {table} SET company_id = :theirs"), {"theirs": theirs.company_id})
            assert refused.value.orig.sqlstate == "42501", table


async def test_a_portal_session_that_says_nothing_sees_nothing(session, two):
    tables = [name for name, _ in await session.execute(text(TENANTS))]
    await as_portal_of(session, None)
    for table in tables:
        assert await session.scalar(text(f"SELECT count(*) FROM {table}")) == 0, table


async def test_a_company_s_people_change_their_structure_behind_the_fence(session, two, now):
    mine, _ = two
    await as_portal_of(session, mine.company_id)
    later = now + timedelta(hours=1)
    at = {"company_id": mine.company_id, "actor": SYSTEM, "now": later}
    south = await department(session, mine, later, "南区")
    van = await vehicle(session, mine, later, "浙A55555", department_id=south)
    li = await driver(session, mine, later, "102", "李明", department_id=south)
    await set_driver_pin(session, driver_id=li, pin="2580", **at)
    await bind_card(session, chain_id=mine.chains[0], vehicle_id=van, driver_id=li, **at)
    (card,) = (await list_fleet_cards(session, company_id=mine.company_id)).rows
    assert (card.plate, card.driver, card.department) == ("浙A55555", "李明", "南区")
    data = "车牌号,部门\n浙A66666,南区\n浙A55555,\n".encode()
    done = await apply(session, kind=SheetKind.VEHICLES, data=data, **at)
    assert [row.state for row in done.rows] == [RowState.NEW, RowState.CHANGE]
    closed = await close_vehicle(session, vehicle_id=van, **at)
    assert closed.chains == mine.chains
    await change_company(session, settings=CompanySettings(period_day=1, mode=CompanyMode.MIXED), **at)
