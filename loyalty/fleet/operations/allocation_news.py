"""What a company is told of its month: prepared, stopped by a missing calendar, loaded."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.fleet.model_allocations import AllocationRun
from loyalty.fleet.model_notices import NoticeKind
from loyalty.fleet.model_webhooks import WebhookEvent

from .notices import News, notify
from .webhooks import tell


async def tell_prepared(
    session: AsyncSession, *, company_id: UUID, run_id: UUID, period: date, cards: int, held: Mapping[str, int], now: datetime
) -> None:
    """Say that a month waits to be decided, for how many cards, and how many were held back."""
    facts = {"period": period.isoformat(), "cards": cards, "held": sum(held.values())}
    await notify(session, kind=NoticeKind.ALLOCATION_PREPARED, news=[News(company_id, run_id, facts)], at=now)


async def tell_stopped(session: AsyncSession, *, company_id: UUID, run_id: UUID, period: date, year: int, now: datetime) -> None:
    """Say that a month has no day, since the calendar of a year is missing."""
    facts = {"period": period.isoformat(), "year": year}
    await notify(session, kind=NoticeKind.ALLOCATION_STOPPED, news=[News(company_id, run_id, facts)], at=now)


async def tell_loaded(session: AsyncSession, *, run: AllocationRun, facts: Mapping[str, Any], now: datetime) -> None:
    """Say what was loaded; once more where refused lines were tried again and some were."""
    told = {**facts, "period": run.period_from.isoformat()}
    await notify(session, kind=NoticeKind.ALLOCATION_LOADED, news=[News(run.company_id, run.run_id, told, step=run.loaded)], at=now)
    once = uuid5(run.run_id, str(run.loaded))
    await tell(session, event=WebhookEvent.ALLOCATION_LOADED, news=[(run.company_id, once, {"id": run.run_id, **told})], now=now)
