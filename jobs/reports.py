"""Reports that companies' people get by mail: on Monday mornings, and when their company's period is closed. Left in the outbox."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from jobs.job import Context, Job, minutely
from loyalty.db import transaction
from loyalty.fleet.operations.reports import PeriodDue, WeekDue, due_periods, due_weeks, note_period, note_week
from loyalty.web.fleet.report_mail import put_period, put_week

_log = structlog.get_logger("jobs")
_MOST: Final = 500
"""Of each kind a run; the next run is soon."""


async def run(context: Context, now: datetime) -> int:
    """Make what is due, each in a transaction of its own; return how many. One that fails does not keep the others."""
    async with transaction(context.sessions) as session:
        weeks = await due_weeks(session, most=_MOST, now=now)
        periods = await due_periods(session, most=_MOST)
    settings = context.settings

    async def week(session: AsyncSession, due: WeekDue) -> bool:
        return await note_week(session, due=due) and await put_week(session, settings=settings, due=due, now=now)

    async def period(session: AsyncSession, due: PeriodDue) -> bool:
        return await note_period(session, due=due) and await put_period(session, settings=settings, due=due, now=now)

    done = 0
    for make in [*(partial(week, due=due) for due in weeks), *(partial(period, due=due) for due in periods)]:
        done += await _alone(context, make)
    return done


async def _alone(context: Context, make: Callable[[AsyncSession], Awaitable[bool]]) -> bool:
    try:
        async with transaction(context.sessions) as session:
            return await make(session)
    except Exception as error:  # noqa: BLE001 - it stays due and is taken up again
        _log.error("report not made", error=type(error).__qualname__)
        return False


JOB = Job(name="reports", due={"minute": "3-59/10"}, period=minutely, run=run)
