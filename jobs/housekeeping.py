"""What need not be remembered: old failures of log-ins, log-ins never finished, messages that left, finished runs of jobs."""

from datetime import datetime, timedelta

from jobs.job import Context, Job, daily
from jobs.operations import forget_old_runs
from loyalty import clock
from loyalty.db import transaction
from loyalty.identity.operations import forget_old_attempts, forget_old_sessions
from loyalty.outbox import forget as forget_messages

_RUNS_KEPT = timedelta(days=14)


async def run(context: Context, now: datetime) -> int:
    """Forget it; return how many rows. Sessions and log-ins go by real time, whatever the business clock says."""
    real = clock.real_now()
    async with transaction(context.sessions) as session:
        attempts = await forget_old_attempts(session, now=real)
        sessions = await forget_old_sessions(session, before=real - timedelta(days=1))
        messages = await forget_messages(session, now=now)
        runs = await forget_old_runs(session, before=now - _RUNS_KEPT)
    return attempts + sessions + messages + runs


JOB = Job(name="housekeeping", due={"hour": 3, "minute": 40}, period=daily, run=run)
