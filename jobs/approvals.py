"""Askings of the pump that nobody answered: the company's setting does."""

from datetime import datetime

from jobs.job import Context, Job, minutely
from jobs.steps import in_batches
from loyalty.fleet.operations.approvals import decide_due

_BATCH = 500


async def run(context: Context, now: datetime) -> int:
    """Decide what is due; return how many."""
    return await in_batches(context, lambda session: decide_due(session, now=now, at_most=_BATCH), most=_BATCH)


JOB = Job(name="approvals", due={"minute": "*"}, period=minutely, run=run)
