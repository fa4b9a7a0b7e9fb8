"""Lent cards that should have come back: their companies are told, once each; every ten minutes."""

from datetime import datetime

from jobs.job import Context, Job, minutely
from loyalty.db import transaction
from loyalty.fleet.operations.loans import tell_overdue


async def run(context: Context, now: datetime) -> int:
    """Mark what became overdue and tell of it; return how many loans."""
    async with transaction(context.sessions) as session:
        return await tell_overdue(session, now=now)


JOB = Job(name="custody", due={"minute": "*/10"}, period=minutely, run=run)
