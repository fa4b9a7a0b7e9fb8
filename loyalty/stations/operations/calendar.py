"""Writing the working calendar: what a release knows is put in once, the office changes any day and says why."""

from datetime import date, datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.errors import Refusal
from loyalty.stations.model_calendar import CalendarDay, CalendarYear
from loyalty.workdays import SOURCE, DayKind, YearNotCovered, known_days, known_years

OFFICE = "office"


class CalendarReasonNeeded(Refusal):
    """A day is changed because of something."""

    status = 422
    zh = "修改工作日历须写明依据。"
    en = "A change of the working calendar needs its ground."
    next_zh = "请填写文件名称或原因。"
    next_en = "Name the notice or the reason."


async def seed_calendar(session: AsyncSession, *, actor: Actor, now: datetime, country: str = "CN") -> list[int]:
    """Put in the years that this release knows and the database does not; return them. What the office has changed stays."""
    covered = set(await session.scalars(select(CalendarYear.year).where(CalendarYear.country == country, CalendarYear.covered)))
    added = [year for year in known_years(country) if year not in covered]
    for year in added:
        made = await session.scalar(
            upsert(CalendarYear)
            .values(country=country, year=year, covered=True, source=SOURCE, updated_at=now)
            .on_conflict_do_update(
                index_elements=[CalendarYear.country, CalendarYear.year],
                set_={"covered": True, "source": SOURCE, "updated_at": now},
                where=~CalendarYear.covered,
            )
            .returning(CalendarYear.year)
        )
        rows = [
            {"country": country, "day": day, "kind": kind, "name": name, "source": SOURCE, "updated_at": now}
            for day, kind, name in known_days(country, year)
        ]
        if made is not None and rows:
            await session.execute(upsert(CalendarDay).on_conflict_do_nothing(), rows)
    if added:
        facts = {"country": country, "years": added, "source": SOURCE}
        await audit.record(session, actor=actor, action="stations.calendar_seeded", subject=("calendar", country), facts=facts, now=now)
    return added


async def cover_year(session: AsyncSession, *, country: str, year: int, reason: str, actor: Actor, now: datetime) -> None:
    """Say that a year's arrangement is complete: from now on its other days are what their weekday says.

    :raises CalendarReasonNeeded: if no ground is given
    """
    ground = _ground(reason)
    values = {"covered": True, "source": OFFICE, "updated_at": now}
    await session.execute(
        upsert(CalendarYear)
        .values(country=country, year=year, **values)
        .on_conflict_do_update(index_elements=[CalendarYear.country, CalendarYear.year], set_=values)
    )
    subject = ("calendar", f"{country}:{year}")
    await audit.record(session, actor=actor, action="stations.calendar_covered", subject=subject, facts={"reason": ground}, now=now)


async def put_day(
    session: AsyncSession, *, country: str, day: date, kind: DayKind | None, name: str, reason: str, actor: Actor, now: datetime
) -> None:
    """Say what a day is, whatever was known of it; None: what its weekday says. The year need not be covered yet.

    :raises CalendarReasonNeeded: if no ground is given
    """
    ground = _ground(reason)
    await session.execute(
        upsert(CalendarYear).values(country=country, year=day.year, covered=False, source=OFFICE, updated_at=now).on_conflict_do_nothing()
    )
    before = await session.scalar(select(CalendarDay.kind).where(CalendarDay.country == country, CalendarDay.day == day).with_for_update())
    await session.execute(delete(CalendarDay).where(CalendarDay.country == country, CalendarDay.day == day))
    if kind is not None:
        await session.execute(
            insert(CalendarDay).values(country=country, day=day, kind=kind, name=name.strip(), source=OFFICE, updated_at=now)
        )
    facts = {"before": None if before is None else before.value, "kind": None if kind is None else kind.value, "reason": ground}
    subject = ("calendar", f"{country}:{day.isoformat()}")
    await audit.record(session, actor=actor, action="stations.calendar_changed", subject=subject, facts=facts, now=now)


def _ground(reason: str) -> str:
    if not reason.strip():
        raise CalendarReasonNeeded
    return reason.strip()


__all__ = ["CalendarReasonNeeded", "YearNotCovered", "cover_year", "put_day", "seed_calendar"]
