"""The working calendar's tables: a year is covered when its official arrangement has been entered."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of
from loyalty.workdays import DayKind


class CalendarYear(Base):
    """A year of a country, and whether its arrangement is known."""

    __tablename__ = "calendar_years"

    country: Mapped[str] = mapped_column(primary_key=True)
    year: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    covered: Mapped[bool]
    source: Mapped[str]
    updated_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("year BETWEEN 1990 AND 2200", name="year"),)


class CalendarDay(Base):
    """A day that is not what its weekday says, or that has a name; every other day of a covered year is."""

    __tablename__ = "calendar_days"

    country: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[DayKind]
    name: Mapped[str]
    source: Mapped[str]
    """Where it is from: the release's calendar, or `office`; a day the office has changed is never overwritten."""
    updated_at: Mapped[datetime]

    __table_args__ = (one_of("kind", DayKind),)
