"""The scheduler: a clock that starts jobs, alone in its database.

APScheduler is only the clock; what ran stands in `job_runs`. An advisory lock lets one scheduler work and others stand by.
"""

import asyncio
import contextlib
import signal

import asyncpg
import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from jobs.job import Context, Job
from jobs.operations import run_once
from jobs.registry import JOBS
from loyalty import clock
from loyalty.db import driver_dsn, make_engine, make_sessions, server_settings
from loyalty.installation import open_keys
from loyalty.settings import Settings

LOCK = 5_318_008_002  # any number nobody else uses
_STAND_BY_SECONDS = 5.0
_log = structlog.get_logger("jobs")


async def schedule(settings: Settings) -> None:
    """Work until told to stop; if the lock's connection is lost, stand by again."""
    assert settings.database_url is not None, "the scheduler needs DATABASE_URL"
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    engine = make_engine(settings.database_url, role="loyalty_jobs", application_name="loyalty-jobs")
    context = Context(make_sessions(engine), settings)
    try:
        await open_keys(settings, engine, now=clock.real_now())
        while not stopping.is_set():
            await _work_while_leading(context, stopping)
            await _wait(stopping, _STAND_BY_SECONDS)
    finally:
        await engine.dispose()


async def _work_while_leading(context: Context, stopping: asyncio.Event) -> None:
    """Take the lock if it is free and keep the clock going for as long as its connection lives."""
    assert context.settings.database_url is not None
    try:
        # The lock lives in a session outside any transaction, so the time limit of transactions does not reach it.
        leading = await asyncpg.connect(
            driver_dsn(context.settings.database_url),
            server_settings=server_settings(role="loyalty_jobs", application_name="loyalty-scheduler"),
        )
    except (OSError, asyncpg.PostgresError):
        return
    lost = asyncio.Event()
    leading.add_termination_listener(lambda _: lost.set())
    try:
        if not await leading.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            return
        _log.debug("scheduling", jobs=[job.name for job in JOBS])
        await _keep_time(context, stopping, lost)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return
    finally:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await leading.close(timeout=5)


async def _keep_time(context: Context, stopping: asyncio.Event, lost: asyncio.Event) -> None:
    """Run what is due, and first what the present periods still lack."""
    scheduler = AsyncIOScheduler(timezone=context.settings.zone)
    for job in JOBS:
        scheduler.add_job(
            _run,
            CronTrigger(**job.due, timezone=context.settings.zone),
            (job, context),
            id=job.name,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
    scheduler.start()
    try:
        for job in JOBS:
            if job.when_starting and not stopping.is_set():
                await _run(job, context)
        waits = [asyncio.ensure_future(event.wait()) for event in (stopping, lost)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
    finally:
        scheduler.shutdown(wait=False)


async def _run(job: Job, context: Context) -> None:
    await run_once(job, context, now=clock.business_now())


async def _wait(event: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
