"""Workdays of a country: which day is one, and where a due day goes that is none.

A year is either *covered* by its official arrangement (holidays, and Saturdays and Sundays made up as workdays) or it is not known at all:
weekends alone never stand in for it, since a wrong day moves money on the wrong day.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

import chinese_calendar

from loyalty.errors import Refusal

SOURCE: Final = "chinesecalendar"
_SATURDAY: Final = 5
_DAY: Final = timedelta(days=1)


class YearNotCovered(Refusal):
    """Nobody has entered that year's holidays and made-up workdays."""

    zh = "{year} 年的工作日历（{country}）尚未录入，不能推算工作日。"
    en = "The working calendar of {year} ({country}) has not been entered, so no workday can be told."
    next_zh = "请在后台“工作日历”中录入该年放假安排。"
    next_en = "Enter that year's arrangement in the office, under Working calendar."


class DayKind(StrEnum):
    """What a day is."""

    WORKDAY = "workday"
    """Worked; on a Saturday or Sunday it is made up."""
    REST = "rest"
    """Free without being a holiday itself: a day in lieu."""
    HOLIDAY = "holiday"


class SpecialDay(NamedTuple):
    """A day that is not what its weekday says, or has a name."""

    day: date
    kind: DayKind
    name: str


@dataclass(frozen=True, slots=True)
class Calendar:
    """A country's calendar: the covered years, and the days that differ from their weekday."""

    country: str
    years: frozenset[int]
    days: Mapping[date, DayKind] = field(default_factory=dict)

    def is_workday(self, day: date) -> bool:
        """Say whether a day is worked.

        :raises YearNotCovered: if its year has no arrangement
        """
        if day.year not in self.years:
            raise YearNotCovered(year=day.year, country=self.country)
        kind = self.days.get(day)
        return day.weekday() < _SATURDAY if kind is None else kind is DayKind.WORKDAY


def moved(day: date, mode: str, calendar: Calendar) -> date:
    """Return the workday on which something due on `day` happens: itself, or the next one `following` or `preceding` it.

    :param mode: `following` or `preceding`
    :raises YearNotCovered: if a day on the way has no arrangement
    """
    step = {"following": _DAY, "preceding": -_DAY}[mode]
    while not calendar.is_workday(day):
        day += step
    return day


def workdays_after(day: date, count: int, calendar: Calendar) -> date:
    """Return the `count`-th workday after a day; of 0 the day itself, or the next workday.

    :raises YearNotCovered: if a day on the way has no arrangement
    """
    for _ in range(count):
        day = moved(day + _DAY, "following", calendar)
    return moved(day, "following", calendar)


def known_years(country: str) -> range:
    """Return the years whose arrangement comes with this release; none of a country it knows nothing of."""
    if country != "CN":
        return range(0)
    days = chinese_calendar.constants.holidays
    return range(min(days).year, max(days).year + 1)


def known_days(country: str, year: int) -> Iterator[SpecialDay]:
    """Yield the special days of a known year, by date."""
    if year not in known_years(country):
        return
    constants = chinese_calendar.constants
    names = {one.value: one.chinese for one in constants.Holiday}
    day = date(year, 1, 1)
    while day.year == year:
        if day in constants.workdays:
            yield SpecialDay(day, DayKind.WORKDAY, names[constants.workdays[day]])
        elif day in constants.in_lieu_days:
            yield SpecialDay(day, DayKind.REST, names[constants.in_lieu_days[day]])
        elif day in constants.holidays:
            yield SpecialDay(day, DayKind.HOLIDAY, names[constants.holidays[day]])
        day += _DAY
