"""Time at the edge: real time, and business time that a demo may set.

Domain code never calls these: it is given `now`. Signatures, TOTP and sessions always use `real_now`; only what the business books uses
`business_now`, which a demo clock may move.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_offset = timedelta(0)


def real_now() -> datetime:
    """Return the instant, UTC."""
    return datetime.now(UTC)


def business_now() -> datetime:
    """Return the business instant, UTC: real time, moved by the demo clock."""
    return datetime.now(UTC) + _offset


def set_demo_clock(standing_at: datetime | None) -> None:
    """Make business time go on from `standing_at`; None gives real time back. For demonstrations only."""
    global _offset  # noqa: PLW0603 - one clock a process
    _offset = timedelta(0) if standing_at is None else standing_at - datetime.now(UTC)


def local_date(instant: datetime, zone: str) -> date:
    """Return the calendar date of `instant` in the IANA `zone` (a station's day)."""
    return instant.astimezone(ZoneInfo(zone)).date()


def day_bounds(day: date, zone: str) -> tuple[datetime, datetime]:
    """Return the half-open instants `[from, to)` of a local calendar day, right on days with a clock change."""
    tz = ZoneInfo(zone)
    return (
        datetime.combine(day, time(), tzinfo=tz).astimezone(UTC),
        datetime.combine(day + timedelta(days=1), time(), tzinfo=tz).astimezone(UTC),
    )


def month_start(day: date) -> date:
    """Return the first day of the month of `day`."""
    return day.replace(day=1)


def period_of(day: date) -> int:
    """Return the accounting period of a local date: year × 100 + month, 202609 for September 2026."""
    return day.year * 100 + day.month
