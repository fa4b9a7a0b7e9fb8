"""Drafts in the shadow are asked about the sales of the last minute; what they would have given is written once a sale."""

from datetime import datetime

from jobs.job import Context, Job, minutely
from loyalty.backtests.operations.shadows import ask_new
from loyalty.backtests.queries.shadows import shadows_to_ask
from loyalty.db import transaction


async def run(context: Context, now: datetime) -> int:
    """Ask each shadow until it has seen all, a batch a transaction; return how many sales were asked."""
    assert context.settings.database_url is not None, "the scheduler needs it"
    async with transaction(context.sessions) as session:
        numbers = await shadows_to_ask(session, now=now)
    done = 0
    for number in numbers:
        while True:
            async with transaction(context.sessions) as session:
                asked = await ask_new(session, number=number, dsn=context.settings.database_url, now=now)
            done += asked
            if not asked:
                break
    return done


JOB = Job(name="shadow", due={"minute": "*"}, period=minutely, run=run)
