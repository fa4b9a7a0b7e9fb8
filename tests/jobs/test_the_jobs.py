"""What the scheduler's jobs leave behind, and that running them again leaves the same."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from jobs import checks, days, housekeeping, limits, periods, trail
from jobs.job import Context
from jobs.model import JobRun
from jobs.operations import run_once
from jobs.registry import JOBS
from loyalty.audit.checkpoints import read_checkpoints
from loyalty.audit.model import Actor, ActorKind, AuditSeal
from loyalty.checks.command import checkpoints_file
from loyalty.crypto import use_keyring
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.installation import open_keys
from loyalty.ledger.model import Period
from loyalty.limits.model import LimitKind, Window
from loyalty.limits.operations import NewLimit, add_limit
from loyalty.policy import load_policy
from loyalty.settings import Settings
from loyalty.statements.model import ClosedDay, PeriodSeal
from loyalty.topups import operations as topups
from loyalty.topups.model import Tender
from tests.factories.world import SYSTEM, give_card, make_world


@pytest.fixture
async def context(database_url, tmp_path, now):
    """Yield a scheduler's context on a database with a day's business, under the scheduler's own role."""
    settings = Settings(database_url=database_url, data_dir=tmp_path / "data", keys_dir=tmp_path / "keys")
    engine = make_engine(database_url, role="loyalty_jobs")
    await open_keys(settings, engine, now=now)
    sessions = make_sessions(engine)
    async with transaction(sessions) as session:
        world = await make_world(session, now=now)
        card = await give_card(session, world, balance_minor=0)
        await topups.load(
            session,
            policy=load_policy("generic"),
            account_id=card.account_id,
            amount_minor=5_000,
            tender=Tender.CASH,
            actor=SYSTEM,
            event_at=now,
            now=now,
            station_id=world.station_id,
        )
        limit = NewLimit(LimitKind.AMOUNT, Window.DAY, 1_000, valid_from=now + timedelta(minutes=10))
        await add_limit(session, subject_id=card.card_id, limit=limit, actor=Actor(ActorKind.SYSTEM, "tests"), now=now)
    yield Context(sessions, settings)
    await engine.dispose()
    use_keyring(None)


async def count(context, model) -> int:
    async with context.sessions() as session:
        return await session.scalar(select(func.count()).select_from(model))


async def test_every_job_runs_twice_and_leaves_the_same(context, now):
    later = now + timedelta(days=8)
    for job in JOBS:
        assert await run_once(job, context, now=later), job.name
    left = {model: await count(context, model) for model in (ClosedDay, AuditSeal, Period, PeriodSeal)}
    for job in JOBS:
        assert not await run_once(job, context, now=later), job.name
        await job.run(context, later)
    assert {model: await count(context, model) for model in left} == left
    assert left[ClosedDay] == 8
    assert left[Period] == 2


async def test_the_trail_is_exported_where_the_check_finds_it(context, now):
    assert await trail.run(context, now) == 1
    (checkpoint,) = read_checkpoints(checkpoints_file(context.settings))
    async with context.sessions() as session:
        assert checkpoint.seal_hash == (await session.scalars(select(AuditSeal))).one().seal_hash.hex()
    assert await trail.run(context, now) == 0
    assert len(read_checkpoints(checkpoints_file(context.settings))) == 1


async def test_a_limit_binds_when_its_time_comes(context, now):
    assert await limits.run(context, now) == 0
    assert await limits.run(context, now + timedelta(minutes=10)) == 1
    assert await limits.run(context, now + timedelta(minutes=10)) == 0


async def test_a_month_s_end_closes_then_seals(context, now):
    october = now + timedelta(days=8)
    assert await periods.run(context, october) == 1
    assert await periods.run(context, october + timedelta(minutes=5)) == 1
    assert await periods.run(context, october + timedelta(minutes=10)) == 0


async def test_a_missed_week_is_closed_day_by_day(context, now):
    assert await days.run(context, now) == 0
    assert await days.run(context, now + timedelta(days=7)) == 7


async def test_a_breach_fails_the_night_s_proof(context, now):
    assert await run_once(checks.JOB, context, now=now)
    async with transaction(context.sessions) as session:
        await session.execute(text("UPDATE purses SET balance_minor = balance_minor + 1"))
    assert not await run_once(checks.JOB, context, now=now + timedelta(days=1))
    async with context.sessions() as session:
        failed = (await session.scalars(select(JobRun).where(JobRun.error.is_not(None)))).one()
    assert failed.error == "jobs.checks.BooksBroken"


async def test_finished_runs_are_forgotten(context, now):
    await run_once(limits.JOB, context, now=now)
    assert await housekeeping.run(context, now + timedelta(days=15)) == 1
    assert await count(context, JobRun) == 0
