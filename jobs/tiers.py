"""Tiers: who did something rises within minutes; every night everybody is judged, up and down."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from jobs.job import Context, Job, daily, minutely
from jobs.steps import Spans, Stepped
from loyalty.db import transaction
from loyalty.rewards.operations.activity import refresh, refresh_next
from loyalty.rewards.operations.tiers import evaluate, evaluate_everybody

_SPAN: Final = timedelta(hours=6)
_SPANS: Final = Spans(first=_SPAN, least=timedelta(minutes=5), few=1_000, many=10_000)
_CHUNK: Final = 20_000
_SWEPT: Final = timedelta(days=3)
"""How far back the night reckons the days again, whatever was written behind the mark."""


async def run(context: Context, now: datetime) -> int:
    """Reckon what was booked since the last time, and let those customers rise; return how many did."""
    until, zone = now + timedelta(milliseconds=1), context.settings.zone

    async def step(session: AsyncSession, span: timedelta) -> Stepped:
        refreshed = await refresh_next(session, span=span, until=until, zone=zone)
        moved = await evaluate(session, customer_ids=refreshed.customer_ids, zone=zone, now=now)
        return Stepped(len(refreshed.customer_ids), moved, refreshed.is_done)

    return await _SPANS.run(context, step)


async def run_nightly(context: Context, now: datetime) -> int:
    """Reckon the last days again and judge everybody, a chunk a transaction; return how many moved."""
    zone, since = context.settings.zone, now - _SWEPT
    moved = await run(context, now)
    while since < now:
        until = min(since + _SPAN, now)
        async with transaction(context.sessions) as session:
            await refresh(session, since=since, until=until, zone=zone)
        since = until
    after: UUID | None = UUID(int=0)
    while after is not None:
        async with transaction(context.sessions) as session:
            chunk = await evaluate_everybody(session, after=after, most=_CHUNK, zone=zone, now=now)
        moved, after = moved + chunk.moved, chunk.last
    return moved


JOB = Job(name="tiers", due={"minute": "1-59/5"}, period=minutely, run=run)
NIGHTLY = Job(name="tiers-nightly", due={"hour": 0, "minute": 40}, period=daily, run=run_nightly)
