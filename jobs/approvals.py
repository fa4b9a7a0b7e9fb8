"""Askings of the pump that nobody answered: the company's setting does."""

from datetime import datetime

from jobs.job import Context, Job
from loyalty.db import transaction
from loyalty.fleet.operations.approvals import decide_due

_BATCH = 500


async def run(context: Context, now: datetime) -> int:
    """Decide what is due; return how many."""
    done = 0
    while True:
        async with transaction(context.sessions) as session:
            batch = await decide_due(session, now=now, at_most=_BATCH)
        done += batch
        if batch < _BATCH:
            return done


JOB = Job(name="approvals", due={"minute": "*"}, period=lambda now, _: now.strftime("%Y-%m-%dT%H:%M"), run=run)
