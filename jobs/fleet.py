"""What companies' cards took, collected for their pages every minute; once an hour what is odd about it is looked for."""

from datetime import datetime, timedelta
from typing import Final

from jobs.job import Context, Job
from loyalty.db import transaction
from loyalty.fleet.operations.fills import collect_fills
from loyalty.fleet.operations.findings import due_vehicles, look_at, looked

_SPAN: Final = timedelta(hours=1)
_SPAN_MAX: Final = timedelta(days=30)
_FEW: Final = 2_000
_MANY: Final = 20_000
_VEHICLES: Final = 100


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


async def look(context: Context, now: datetime) -> int:
    """Look at every vehicle that was fuelled since the last time, some a transaction; return how many findings were new."""
    async with transaction(context.sessions) as session:
        waiting = await due_vehicles(session, until=now)
    found = 0
    for at in range(0, len(waiting), _VEHICLES):
        async with transaction(context.sessions) as session:
            found += await look_at(session, vehicle_ids=waiting[at : at + _VEHICLES], until=now, now=now)
    async with transaction(context.sessions) as session:
        await looked(session, until=now)
    return found


FINDINGS = Job(name="findings", due={"minute": 17}, period=lambda now, _: now.strftime("%Y-%m-%dT%H"), run=look)
JOB = Job(name="fleet", due={"minute": "*"}, period=lambda now, _: now.strftime("%Y-%m-%dT%H:%M"), run=run)
