"""Partners' months: closed on the day that was agreed, each partner's in a transaction of its own."""

from datetime import datetime
from typing import Final

from jobs.job import Context, Job, hourly
from loyalty.audit.model import Actor, ActorKind
from loyalty.db import transaction
from partners.operations.settlement import close_month, due_months

_ACTOR: Final = Actor(ActorKind.SYSTEM, "jobs.partner_months")
_MONTHS_MOST: Final = 24
"""A run: a partner that is further behind goes on with the next."""


async def run(context: Context, now: datetime) -> int:
    """Close what is due, month after month; return how many were closed."""
    closed = 0
    for _ in range(_MONTHS_MOST):
        async with transaction(context.sessions) as session:
            due = await due_months(session, now=now)
        for partner_id, month in due:
            async with transaction(context.sessions) as session:
                await close_month(session, partner_id=partner_id, month=month, actor=_ACTOR, now=now)
        closed += len(due)
        if not due:
            break
    return closed


JOB = Job(name="partner-months", due={"minute": "14"}, period=hourly, run=run)
