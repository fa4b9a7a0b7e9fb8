"""Monthly partitions of the hot tables, made three months ahead: a month without one would refuse its first transfer."""

from datetime import datetime

from jobs.job import Context, Job, daily
from loyalty.db import transaction
from loyalty.ledger.operations import make_partitions


async def run(context: Context, now: datetime) -> int:
    """Make what is missing; return how many were made."""
    async with transaction(context.sessions) as session:
        return len(await make_partitions(session, now=now))


JOB = Job(name="partitions", due={"hour": 3, "minute": 10}, period=daily, run=run)
