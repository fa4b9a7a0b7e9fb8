"""What companies' cards took, collected for their pages every minute."""

from datetime import datetime, timedelta
from typing import Final

from jobs.job import Context, Job
from loyalty.db import transaction
from loyalty.fleet.operations.fills import collect_fills

_SPAN: Final = timedelta(hours=1)
_SPAN_MAX: Final = timedelta(days=30)
_FEW: Final = 2_000
_MANY: Final = 20_000


async def run(context: Context, now: datetime) -> int:
    """Go on from the mark to now in spans that hold neither too few rows nor too many; return how many fills were new."""
    until, span, made = now + timedelta(milliseconds=1), _SPAN, 0
    while True:
        async with transaction(context.sessions) as session:
            chunk = await collect_fills(session, span=span, until=until, now=now)
        made += chunk.made
        if chunk.is_done:
            return made
        if chunk.made < _FEW:
            span = min(span * 2, _SPAN_MAX)
        elif chunk.made > _MANY:
            span = max(span / 2, timedelta(minutes=1))


JOB = Job(name="fleet", due={"minute": "*"}, period=lambda now, _: now.strftime("%Y-%m-%dT%H:%M"), run=run)
