"""What the office's pages read that belongs to no room: the scheduler's failures. The scheduler itself stands above this package."""

from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_FAILED: Final = text(
    """
    SELECT DISTINCT ON (failed.job) failed.job, failed.period, failed.attempts, failed.started_at, failed.error
    FROM job_runs failed
    WHERE failed.error IS NOT NULL AND failed.finished_at IS NULL
      AND NOT EXISTS (SELECT FROM job_runs later WHERE later.job = failed.job AND later.finished_at > failed.started_at)
    ORDER BY failed.job, failed.started_at DESC
    """
)


class FailedJob(msgspec.Struct, frozen=True):
    """One job that failed and has not succeeded since, with its last try; `error` is the kind, never a message."""

    job: str
    period: str
    attempts: int
    started_at: datetime
    error: str


async def failed_jobs(session: AsyncSession) -> list[FailedJob]:
    """Return what the scheduler tried in vain, one line a job."""
    found = await session.execute(_FAILED)
    return [FailedJob(*row) for row in found]
