"""Running one job once a period."""

from datetime import datetime

import structlog
from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.job import Context, Job
from jobs.model import JobRun
from loyalty.db import transaction

_log = structlog.get_logger("jobs")


async def run_once(job: Job, context: Context, *, now: datetime) -> bool:
    """Run `job` for the period of `now` unless that period is finished; return whether it did.

    A failure is recorded and left for the next time the job is due; the other jobs go on.
    """
    period = job.period(now, context.settings.zone)
    async with transaction(context.sessions) as session:
        if not await _begin(session, job=job.name, period=period, now=now):
            return False
    try:
        done = await job.run(context, now)
    except Exception as error:  # noqa: BLE001 - one job's failure must not stop the clock
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        _log.error("job failed", job=job.name, period=period, error=kind)
        async with transaction(context.sessions) as session:
            await _note(session, job=job.name, period=period, error=kind)
        return False
    async with transaction(context.sessions) as session:
        await _finish(session, job=job.name, period=period, done=done, now=now)
    (_log.info if done else _log.debug)("job done", job=job.name, period=period, done=done)
    return True


async def _begin(session: AsyncSession, *, job: str, period: str, now: datetime) -> bool:
    """Note that the period is begun (again); False if it is finished."""
    row = {"job": job, "period": period, "started_at": now, "attempts": 1}
    again = {"started_at": now, "attempts": JobRun.attempts + 1}
    begun = (
        insert(JobRun).values(row).on_conflict_do_update(index_elements=["job", "period"], set_=again, where=JobRun.finished_at.is_(None))
    )
    return await session.scalar(begun.returning(JobRun.job)) is not None


async def _note(session: AsyncSession, *, job: str, period: str, error: str) -> None:
    await session.execute(update(JobRun).where(JobRun.job == job, JobRun.period == period).values(error=error))


async def _finish(session: AsyncSession, *, job: str, period: str, done: int, now: datetime) -> None:
    finished = {"finished_at": now, "done": done, "error": None}
    await session.execute(update(JobRun).where(JobRun.job == job, JobRun.period == period).values(finished))


async def forget_old_runs(session: AsyncSession, *, before: datetime) -> int:
    """Delete runs that were finished before an instant and return how many; what failed for good stays to be read."""
    gone = await session.execute(delete(JobRun).where(JobRun.finished_at < before).returning(JobRun.job))
    return len(gone.all())
