"""Fuel on account: bills at each period's end, repayments, and who is late; every five minutes."""

from datetime import datetime

from jobs.job import Context, Job, minutely
from loyalty.db import transaction
from loyalty.fleet.operations.credit import bill_due, settle_credit


async def run(context: Context, now: datetime) -> int:
    """Bill what is due, then settle; return how many bills were made or moved."""
    async with transaction(context.sessions) as session:
        made = await bill_due(session, now=now)
        return made + await settle_credit(session, now=now)


JOB = Job(name="credit", due={"minute": "*/5"}, period=minutely, run=run)
