"""The issuer's business days: closing balances of every day that is over."""

from datetime import datetime

from jobs.job import Context, Job, daily
from loyalty import clock
from loyalty.db import transaction
from loyalty.statements.operations import close_business_day, next_day_to_close


async def run(context: Context, now: datetime) -> int:
    """Close day after day up to yesterday, each in a transaction of its own; return how many."""
    zone = context.settings.zone
    today = clock.local_date(now, zone)
    closed = 0
    while True:
        async with transaction(context.sessions) as session:
            day = await next_day_to_close(session, zone=zone)
            if day is None or day >= today:
                return closed
            await close_business_day(session, day=day, zone=zone, now=now)
        closed += 1


JOB = Job(name="days", due={"minute": "2-59/10"}, period=daily, run=run)
