"""A company's month: the working calendar, the run on the moved check day, and the loading of what was approved."""

from datetime import datetime, timedelta
from typing import Final

import structlog

from jobs.job import Context, Job, hourly, minutely
from loyalty import clock
from loyalty.db import transaction
from loyalty.fleet.allocation_rules import after, due_day, span_of
from loyalty.fleet.model import CompanyMode
from loyalty.fleet.operations.allocation_runs import load_run, prepare_run
from loyalty.fleet.operations.allocations import SYSTEM
from loyalty.fleet.queries.allocations import runs_loading
from loyalty.fleet.queries.companies import CompanyView, list_companies
from loyalty.policy import load_policy
from loyalty.stations.operations.calendar import seed_calendar

_log = structlog.get_logger("jobs")
_LATE: Final = timedelta(days=14)
"""How long after its due day a period is still prepared: for holidays, and for a scheduler that was down. A company made later begins
with the next period."""


async def run(context: Context, _now: datetime) -> int:
    """Load every run that was started, each to its end; return how many lines were done. One that fails does not keep the others."""
    policy = load_policy(context.settings.policy)
    async with transaction(context.sessions) as session:
        waiting = await runs_loading(session)
    done = 0
    for company_id, run_id in waiting:
        try:
            done += await load_run(context.sessions, policy=policy, company_id=company_id, run_id=run_id, clock=clock.business_now)
        except Exception as error:  # noqa: BLE001 - the run stays as it is and is taken up again within the minute
            _log.error("allocation stopped", company=str(company_id), run=str(run_id), error=type(error).__qualname__)
    return done


async def run_hourly(context: Context, now: datetime) -> int:
    """Put in the calendars that this release knows, and prepare the runs whose day has come, alarms included; return how many of both."""
    async with transaction(context.sessions) as session:
        done = len(await seed_calendar(session, actor=SYSTEM, now=now))
    cursor: str | None = None
    while True:
        async with transaction(context.sessions) as session:
            page = await list_companies(session, cursor=cursor, limit=200)
        for company in page.rows:
            if company.mode is not CompanyMode.POOLED:
                done += await _attend(context, company, now)
        cursor = page.next
        if cursor is None:
            return done


async def _attend(context: Context, company: CompanyView, now: datetime) -> int:
    """Prepare a company's present and next period where their day has come."""
    today = clock.local_date(now, company.time_zone)
    present = span_of(today, period_day=company.period_day)
    prepared = 0
    for span in (present, after(present)):
        due = due_day(span, check_day=company.check_day)
        # A preceding workday may be several days before the due one: it is asked from two weeks before.
        if not due - _LATE <= today <= due + _LATE or clock.local_date(company.created_at, company.time_zone) > due:
            continue
        try:
            async with transaction(context.sessions) as session:
                made = await prepare_run(session, company_id=company.company_id, span=span, actor=SYSTEM, now=now)
        except Exception as error:  # noqa: BLE001 - one company's fault does not keep the others; the hour comes again
            _log.error("allocation not prepared", company=str(company.company_id), error=type(error).__qualname__)
            continue
        if made is not None:
            prepared += 1
            if made.alarm is not None:
                _log.error("allocation has no day", company=str(company.company_id), period=span.first.isoformat(), alarm=made.alarm)
    return prepared


JOB = Job(name="allocations", due={"minute": "*"}, period=minutely, run=run)
HOURLY = Job(name="allocations-hourly", due={"minute": 7}, period=hourly, run=run_hourly)
