"""Limits that begin or end by themselves."""

from datetime import datetime

from jobs.job import Context, Job
from loyalty.audit.model import Actor, ActorKind
from loyalty.db import transaction
from loyalty.limits.operations import compile_due

_ACTOR = Actor(ActorKind.SYSTEM, "jobs.limits")
_BATCH = 500


async def run(context: Context, now: datetime) -> int:
    """Compile what is due, batch by batch; return how many subjects."""
    done = 0
    while True:
        async with transaction(context.sessions) as session:
            batch = await compile_due(session, actor=_ACTOR, now=now, at_most=_BATCH)
        done += batch
        if batch < _BATCH:
            return done


JOB = Job(name="limits", due={"minute": "*"}, period=lambda now, _: now.strftime("%Y-%m-%dT%H:%M"), run=run)
