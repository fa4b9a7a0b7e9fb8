"""The jobs of allocation: the month is prepared by itself on its workday, and what was started is loaded within the minute."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from jobs import allocations
from jobs.job import Context
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.fleet.model_allocations import RunStatus
from loyalty.fleet.operations.allocation_runs import start_run
from loyalty.fleet.queries.allocations import list_runs, monthly_run
from loyalty.settings import Settings
from tests.factories.world import SYSTEM, make_world

from .allocating import OCTOBER, make_motor_pool
from .test_allocations import CHECK_DAY, approve_both


@pytest.fixture
async def context(database_url, tmp_path):
    settings = Settings(database_url=database_url, data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")
    engine = make_engine(database_url, role="loyalty_jobs")
    yield Context(make_sessions(engine), settings)
    await engine.dispose()


async def furnished(context, now, **facts):
    async with transaction(context.sessions) as session:
        fleet = await make_motor_pool(session, await make_world(session, now=now), vehicles=3, **facts)
        await session.execute(text("UPDATE companies SET created_at = :then"), {"then": now - timedelta(days=90)})
    return fleet


async def test_a_month_goes_from_the_clock_to_the_cards(context, now):
    fleet = await furnished(context, now, silent=1)
    assert await allocations.run_hourly(context, datetime(2026, 9, 27, 1, tzinfo=UTC)) == 0
    assert await allocations.run_hourly(context, CHECK_DAY) == 1
    assert await allocations.run_hourly(context, CHECK_DAY + timedelta(hours=1)) == 0
    assert await allocations.run(context, CHECK_DAY) == 0
    async with transaction(context.sessions) as session:
        await approve_both(session, fleet, CHECK_DAY)
        await start_run(session, company_id=fleet.company_id, span=OCTOBER, actor=SYSTEM, now=CHECK_DAY)
    assert await allocations.run(context, CHECK_DAY) == 2
    assert await allocations.run(context, CHECK_DAY) == 0
    async with context.sessions() as session:
        run = await monthly_run(session, company_id=fleet.company_id, period_from=OCTOBER.first)
        assert (run.status, run.loaded, run.loaded_minor) == (RunStatus.DONE, 2, 2 * 756_00)


async def test_a_missing_calendar_is_one_alarm_and_no_guess(context, now):
    fleet = await furnished(context, now)
    for _ in range(2):
        await allocations.run_hourly(context, datetime(2027, 1, 25, 1, tzinfo=UTC))
    async with context.sessions() as session:
        runs = (await list_runs(session, company_id=fleet.company_id)).rows
    assert [(one.status, one.alarm, one.check_on) for one in runs] == [(RunStatus.ALARM, "year_not_covered:2027", None)]


async def test_a_company_whose_cards_draw_on_the_pool_is_left_alone(context, now):
    await furnished(context, now, mode="pooled")
    assert await allocations.run_hourly(context, CHECK_DAY) == 0
