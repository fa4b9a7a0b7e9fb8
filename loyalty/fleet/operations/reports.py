"""Mailed reports: who wants them, and which are due."""

from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.clock import local_date
from loyalty.fleet.allocation_rules import before, span_of
from loyalty.fleet.model_reports import ReportFiles, ReportSubscription
from loyalty.fleet.queries.companies import CompanyView

MORNING: Final = 7
"""The hour of a Monday, in the company's zone, from which the week's mail is sent."""

_WEEKS: Final = """
SELECT s.user_id, s.company_id, s.locale, d.monday FROM report_subscriptions s
JOIN companies c ON c.company_id = s.company_id JOIN portal_users u ON u.user_id = s.user_id AND u.disabled_at IS NULL
CROSS JOIN LATERAL (SELECT date_trunc('week', (CAST(:now AS timestamptz) AT TIME ZONE c.time_zone) - make_interval(hours => :hour))::date
    AS monday) d
WHERE s.weekly AND s.week_sent < d.monday ORDER BY s.user_id LIMIT :most
"""
_PERIODS: Final = """
SELECT s.user_id, s.company_id, s.locale, p.first_day, s.at_close FROM report_subscriptions s
JOIN portal_users u ON u.user_id = s.user_id AND u.disabled_at IS NULL
CROSS JOIN LATERAL (
    SELECT first_day FROM company_periods p WHERE p.company_id = s.company_id AND p.first_day > s.period_sent ORDER BY first_day LIMIT 1
) p
WHERE s.at_close <> 'none' ORDER BY s.user_id LIMIT :most
"""


class WeekDue(NamedTuple):
    """A mail about the week that ended before `monday`."""

    user_id: UUID
    company_id: UUID
    locale: str
    monday: date


class PeriodDue(NamedTuple):
    """A mail about a closed period."""

    user_id: UUID
    company_id: UUID
    locale: str
    first_day: date
    files: ReportFiles


async def subscribe(
    session: AsyncSession,
    *,
    user_id: UUID,
    company: CompanyView,
    at_close: ReportFiles,
    weekly: bool,
    locale: str,
    actor: Actor,
    now: datetime,
) -> None:
    """Say what somebody of the company gets from now on: nothing of what is over, this running week and period first."""
    today = local_date(now, company.time_zone)
    chosen: dict[str, Any] = {"at_close": at_close, "weekly": weekly, "locale": locale, "updated_at": now}
    begins = {
        "period_sent": before(span_of(today, period_day=company.period_day)).first,
        "week_sent": today - timedelta(days=today.weekday()),
    }
    made = upsert(ReportSubscription).values(user_id=user_id, company_id=company.company_id, **chosen, **begins)
    await session.execute(made.on_conflict_do_update(index_elements=[ReportSubscription.user_id], set_=chosen | begins))
    facts = {"at_close": at_close.value, "weekly": weekly}
    await audit.record(session, actor=actor, action="fleet.reports_chosen", subject=("portal_user", user_id), facts=facts, now=now)


async def due_weeks(session: AsyncSession, *, most: int, now: datetime) -> list[WeekDue]:
    """Return whose week is over and not sent."""
    rows = await session.execute(text(_WEEKS), {"now": now, "hour": MORNING, "most": most})
    return [WeekDue(*row) for row in rows]


async def due_periods(session: AsyncSession, *, most: int) -> list[PeriodDue]:
    """Return whose company closed a period that was not sent, the earliest of each."""
    rows = await session.execute(text(_PERIODS), {"most": most})
    return [PeriodDue(row[0], row[1], row[2], row[3], ReportFiles(row[4])) for row in rows]


async def note_week(session: AsyncSession, *, due: WeekDue) -> bool:
    """Note that a week's mail stands in the outbox; False where another was quicker."""
    mark = update(ReportSubscription).where(ReportSubscription.user_id == due.user_id, ReportSubscription.week_sent < due.monday)
    return await session.scalar(mark.values(week_sent=due.monday).returning(ReportSubscription.user_id)) is not None


async def note_period(session: AsyncSession, *, due: PeriodDue) -> bool:
    """Note that a period's mail stands in the outbox; False where another was quicker."""
    mark = update(ReportSubscription).where(ReportSubscription.user_id == due.user_id, ReportSubscription.period_sent < due.first_day)
    return await session.scalar(mark.values(period_sent=due.first_day).returning(ReportSubscription.user_id)) is not None
