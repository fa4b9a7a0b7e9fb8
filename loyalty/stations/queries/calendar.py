"""Reading the working calendar."""

from datetime import date

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.stations.model_calendar import CalendarDay, CalendarYear
from loyalty.workdays import Calendar


async def calendar_of(session: AsyncSession, *, country: str, first: int, last: int) -> Calendar:
    """Return a country's calendar of the years `first` to `last`, as far as they are covered."""
    years = await session.scalars(
        select(CalendarYear.year).where(
            CalendarYear.country == country, CalendarYear.covered, CalendarYear.year >= first, CalendarYear.year <= last
        )
    )
    days = await session.execute(
        select(CalendarDay.day, CalendarDay.kind).where(
            CalendarDay.country == country, CalendarDay.day >= date(first, 1, 1), CalendarDay.day <= date(last, 12, 31)
        )
    )
    return Calendar(country, frozenset(years), {row.day: row.kind for row in days})


async def calendar_years(session: AsyncSession, *, country: str) -> list[CalendarYear]:
    """Return the years somebody knows something of, the latest first."""
    statement = select(CalendarYear).where(CalendarYear.country == country).order_by(CalendarYear.year.desc())
    return list(await session.scalars(statement))


async def calendar_days(session: AsyncSession, *, country: str, year: int) -> dict[date, CalendarDay]:
    """Return the special days of a year."""
    statement = select(CalendarDay).where(
        CalendarDay.country == country, CalendarDay.day >= date(year, 1, 1), CalendarDay.day <= date(year, 12, 31)
    )
    return {row.day: row for row in await session.scalars(statement)}
