"""What companies' cards took, collected for their pages every minute; once an hour what is odd about it is looked for."""

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from jobs.job import Context, Job, hourly, minutely
from jobs.steps import Spans, Stepped
from loyalty.db import transaction
from loyalty.fleet.operations.fills import collect_fills
from loyalty.fleet.operations.findings import due_vehicles, look_at, looked
from loyalty.limits.operations import settle_orders

_SPANS: Final = Spans(first=timedelta(hours=1), least=timedelta(minutes=1), few=2_000, many=20_000)
_VEHICLES: Final = 100


async def run(context: Context, now: datetime) -> int:
    """Go on from the mark to now in spans that hold neither too few rows nor too many; return how many fills were new."""
    until = now + timedelta(milliseconds=1)

    async def step(session: AsyncSession, span: timedelta) -> Stepped:
        chunk = await collect_fills(session, span=span, until=until, now=now)
        return Stepped(chunk.made, chunk.made, chunk.is_done)

    return await _SPANS.run(context, step)


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


async def settle(context: Context, now: datetime) -> int:
    """Let the status of orders follow what was taken on them; return how many moved."""
    async with transaction(context.sessions) as session:
        return await settle_orders(session, now=now)


ORDERS = Job(name="fuel_orders", due={"minute": "*"}, period=minutely, run=settle)
FINDINGS = Job(name="findings", due={"minute": 17}, period=hourly, run=look)
JOB = Job(name="fleet", due={"minute": "*"}, period=minutely, run=run)
