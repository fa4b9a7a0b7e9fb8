"""What companies' statements come to, kept every hour as far as all is booked and collected; a period a transaction."""

from datetime import datetime
from typing import Final
from uuid import UUID

from jobs.job import Context, Job, hourly
from loyalty.db import transaction
from loyalty.fleet.queries.api import settled_to
from loyalty.statements.operations.sums import due_for_sums, sum_company

_MANY: Final = 200


async def run(context: Context, now: datetime) -> int:
    """Sum what was booked since the last time; return how many periods were gone on with."""
    async with transaction(context.sessions) as session:
        until = await settled_to(session)
    if until is None:
        return 0
    done, after = 0, None
    while True:
        async with transaction(context.sessions) as session:
            companies = await due_for_sums(session, after=after, until=until, most=_MANY)
        for company_id in companies:
            while await _step(context, company_id, until, now):
                done += 1
        if len(companies) < _MANY:
            return done
        after = companies[-1]


async def _step(context: Context, company_id: UUID, until: datetime, now: datetime) -> bool:
    async with transaction(context.sessions) as session:
        return await sum_company(session, company_id=company_id, until=until, now=now)


JOB = Job(name="statement-sums", due={"minute": "11"}, period=hourly, run=run)
