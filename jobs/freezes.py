"""Orders of an authority that have run out."""

from datetime import datetime

from jobs.job import Context, Job, minutely
from loyalty.audit.model import Actor, ActorKind
from loyalty.db import transaction
from loyalty.topups.operations import expire_freezes

_ACTOR = Actor(ActorKind.SYSTEM, "jobs.freezes")


async def run(context: Context, now: datetime) -> int:
    """End them; return how many."""
    done = 0
    while True:
        async with transaction(context.sessions) as session:
            batch = await expire_freezes(session, actor=_ACTOR, now=now)
        done += len(batch)
        if not batch:
            return done


JOB = Job(name="freezes", due={"minute": "*/5"}, period=minutely, run=run)
