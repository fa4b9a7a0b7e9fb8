"""Jobs run once per business period, whatever happens."""

from datetime import datetime

import pytest
from sqlalchemy import select

from jobs.health import somebody_schedules
from jobs.job import Context, Job
from jobs.model import JobRun
from jobs.operations import run_once
from jobs.registry import JOBS
from loyalty.crypto import FileKeyProvider, open_keyring, use_keyring
from loyalty.settings import Settings


@pytest.fixture
def keys(tmp_path, now):
    """Yield the keys that the trail is sealed with."""
    made = open_keyring(FileKeyProvider(tmp_path / "keys"), expected_fingerprint=None, now=now)
    use_keyring(made)
    yield made
    use_keyring(None)


@pytest.fixture
def context(sessions, database_url, tmp_path):
    return Context(sessions, Settings(database_url=database_url, data_dir=tmp_path / "data", keys_dir=tmp_path / "keys"))


def job(run) -> Job:
    return Job(name="counted", period=lambda now, _zone: now.date().isoformat(), run=run)


async def test_a_finished_period_is_never_run_again(context, now):
    runs: list[datetime] = []

    async def count(_, at):
        runs.append(at)
        return 5

    assert await run_once(job(count), context, now=now)
    assert not await run_once(job(count), context, now=now)
    assert runs == [now]


async def test_a_failure_is_recorded_without_its_message_and_tried_again(context, now):
    async def fail(*_):
        raise ValueError("a secret")

    async def succeed(*_):
        return 1

    assert not await run_once(job(fail), context, now=now)
    async with context.sessions() as session:
        run = (await session.scalars(select(JobRun))).one()
    assert (run.error, run.finished_at, run.attempts) == ("builtins.ValueError", None, 1)
    assert await run_once(job(succeed), context, now=now)
    async with context.sessions() as session:
        run = (await session.scalars(select(JobRun))).one()
    assert (run.error, run.finished_at, run.attempts, run.done) == (None, now, 2, 1)


@pytest.mark.usefixtures("keys")
async def test_every_registered_job_runs_on_an_empty_database(context, now):
    for registered in JOBS:
        assert await run_once(registered, context, now=now), registered.name


async def test_health_asks_who_holds_the_lock(database_url):
    assert not await somebody_schedules(database_url)
