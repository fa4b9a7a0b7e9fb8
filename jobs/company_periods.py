"""Companies' own periods: closed the day after they end, each company in a transaction of its own."""

from datetime import datetime
from typing import Final
from uuid import UUID

from jobs.job import Context, Job, hourly
from loyalty.audit.model import Actor, ActorKind
from loyalty.db import transaction
from loyalty.statements.operations.companies import close_company_periods, due_companies

_ACTOR: Final = Actor(ActorKind.SYSTEM, "jobs.company_periods")
_MANY: Final = 200


async def run(context: Context, now: datetime) -> int:
    """Close what is over; return how many periods were closed."""
    closed, after = 0, None
    while True:
        companies = await _due(context, after, now)
        for company_id in companies:
            async with transaction(context.sessions) as session:
                closed += len(await close_company_periods(session, company_id=company_id, actor=_ACTOR, now=now))
        if len(companies) < _MANY:
            return closed
        after = companies[-1]


async def _due(context: Context, after: UUID | None, now: datetime) -> list[UUID]:
    async with transaction(context.sessions) as session:
        return await due_companies(session, after=after, most=_MANY, now=now)


# Before the allocation's hour: what is asked for looks at the period before.
JOB = Job(name="company-periods", due={"minute": "8"}, period=hourly, run=run)
