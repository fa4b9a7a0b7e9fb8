"""Accounting periods: closed when their month is over, sealed when nothing can be booked in them any more."""

from datetime import datetime

from jobs.job import Context, Job, minutely
from loyalty.audit.model import Actor, ActorKind
from loyalty.db import transaction
from loyalty.statements.operations import close_period_due, seal_periods

_ACTOR = Actor(ActorKind.SYSTEM, "jobs.periods")


async def run(context: Context, now: datetime) -> int:
    """Close what is due, then seal what is settled; return how many periods were closed or sealed."""
    async with transaction(context.sessions) as session:
        closed = await close_period_due(session, zone=context.settings.zone, actor=_ACTOR, now=now)
    async with transaction(context.sessions) as session:
        sealed = await seal_periods(session, actor=_ACTOR, now=now)
    return (closed is not None) + len(sealed)


JOB = Job(name="periods", due={"minute": "*/5"}, period=minutely, run=run)
