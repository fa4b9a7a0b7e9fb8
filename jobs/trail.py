"""The audit trail: sealed link by link, each link exported outside the database."""

from datetime import datetime

from jobs.job import Context, Job, minutely
from loyalty.audit.checkpoints import append_checkpoint
from loyalty.audit.operations import seal
from loyalty.audit.queries import last_checkpoint
from loyalty.checks.command import checkpoints_file
from loyalty.db import transaction


async def run(context: Context, now: datetime) -> int:
    """Seal until nothing is left, then export the newest link; return how many links were made."""
    links = 0
    while True:
        async with transaction(context.sessions) as session:
            if await seal(session, now=now) is None:
                break
        links += 1
    async with transaction(context.sessions) as session:
        checkpoint = await last_checkpoint(session)
    if checkpoint is not None:
        append_checkpoint(checkpoints_file(context.settings), checkpoint)
    return links


JOB = Job(name="trail", due={"minute": "*/15"}, period=minutely, run=run)
