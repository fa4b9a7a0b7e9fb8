"""Limits that begin or end by themselves."""

from datetime import datetime

from jobs.job import Context, Job, minutely
from jobs.steps import in_batches
from loyalty.audit.model import Actor, ActorKind
from loyalty.limits.operations import compile_due

_ACTOR = Actor(ActorKind.SYSTEM, "jobs.limits")
_BATCH = 500


async def run(context: Context, now: datetime) -> int:
    """Compile what is due, batch by batch; return how many subjects."""
    return await in_batches(context, lambda session: compile_due(session, actor=_ACTOR, now=now, at_most=_BATCH), most=_BATCH)


JOB = Job(name="limits", due={"minute": "*"}, period=minutely, run=run)
