"""The working calendar: where a due day goes, and that an unknown year is never guessed."""

from datetime import date

import pytest
from sqlalchemy import func, select

from loyalty.audit.model import AuditEntry
from loyalty.stations.operations.calendar import CalendarReasonNeeded, cover_year, put_day, seed_calendar
from loyalty.stations.queries.calendar import calendar_days, calendar_of
from loyalty.workdays import Calendar, DayKind, YearNotCovered, known_days, known_years, moved
from tests.factories.world import SYSTEM


@pytest.fixture(scope="module")
def china():
    years = range(2024, 2027)
    return Calendar("CN", frozenset(years), {day: kind for year in years for day, kind, _ in known_days("CN", year)})


@pytest.mark.parametrize(
    ("day", "mode", "then"),
    [
        ("2026-09-25", "following", "2026-09-28"),  # Mid-autumn, then a weekend
        ("2026-09-25", "preceding", "2026-09-24"),
        ("2025-01-25", "following", "2025-01-26"),  # a Sunday made up as a workday
        ("2025-01-25", "preceding", "2025-01-24"),
        ("2025-01-26", "following", "2025-01-26"),
        ("2026-08-25", "following", "2026-08-25"),
        ("2025-10-01", "following", "2025-10-09"),
        ("2025-10-08", "preceding", "2025-09-30"),
    ],
)
def test_a_due_day_that_is_a_rest_day_moves_to_a_workday(china, day, mode, then):
    assert moved(date.fromisoformat(day), mode, china) == date.fromisoformat(then)


def test_an_uncovered_year_is_refused_and_never_guessed_from_weekends(china):
    with pytest.raises(YearNotCovered) as refused:
        moved(date(2027, 1, 25), "following", china)
    assert refused.value.facts == {"year": 2027, "country": "CN"}
    # Saturday 26 December 2026 itself is known; where it leads into the next year that is not, nothing is guessed either.
    days = {date(2026, 12, day): DayKind.HOLIDAY for day in range(26, 32)}
    with pytest.raises(YearNotCovered):
        moved(date(2026, 12, 26), "following", Calendar("CN", china.years, days))
    assert not known_years("CZ")


async def test_the_calendar_is_seeded_once_and_the_office_s_changes_stay(session, now):
    assert 2026 in await seed_calendar(session, actor=SYSTEM, now=now)
    assert await seed_calendar(session, actor=SYSTEM, now=now) == []
    calendar = await calendar_of(session, country="CN", first=2024, last=2027)
    assert calendar.years == {2024, 2025, 2026}
    assert moved(date(2026, 9, 25), "following", calendar) == date(2026, 9, 28)

    day = date(2026, 9, 28)
    await put_day(session, country="CN", day=day, kind=DayKind.REST, name="大风停工", reason="市政府通知", actor=SYSTEM, now=now)
    await seed_calendar(session, actor=SYSTEM, now=now)
    calendar = await calendar_of(session, country="CN", first=2026, last=2026)
    assert moved(date(2026, 9, 25), "following", calendar) == date(2026, 9, 29)
    await put_day(session, country="CN", day=day, kind=None, name="", reason="通知撤回", actor=SYSTEM, now=now)
    assert day not in await calendar_days(session, country="CN", year=2026)
    told = select(func.count()).select_from(AuditEntry).where(AuditEntry.action == "stations.calendar_changed")
    assert await session.scalar(told) == 2


async def test_a_new_year_counts_only_when_somebody_says_it_is_complete(session, now):
    await put_day(
        session, country="CN", day=date(2027, 1, 1), kind=DayKind.HOLIDAY, name="元旦", reason="国办发明电", actor=SYSTEM, now=now
    )
    with pytest.raises(YearNotCovered):
        (await calendar_of(session, country="CN", first=2027, last=2027)).is_workday(date(2027, 1, 4))
    with pytest.raises(CalendarReasonNeeded):
        await cover_year(session, country="CN", year=2027, reason=" ", actor=SYSTEM, now=now)
    await cover_year(session, country="CN", year=2027, reason="国办发明电", actor=SYSTEM, now=now)
    calendar = await calendar_of(session, country="CN", first=2027, last=2027)
    assert not calendar.is_workday(date(2027, 1, 1))
    assert calendar.is_workday(date(2027, 1, 4))
