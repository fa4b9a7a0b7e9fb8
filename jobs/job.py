"""What a job is: idempotent per business period, so that running it twice, late or after a crash gives the same."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from loyalty import clock
from loyalty.db import Sessions
from loyalty.settings import Settings


@dataclass(frozen=True)
class Context:
    """What a job works with: it opens its own transactions (`loyalty.db.transaction`), one a batch."""

    sessions: Sessions
    settings: Settings


@dataclass(frozen=True, kw_only=True)
class Job:
    """One job and when it is due."""

    name: str
    due: Mapping[str, str | int] = field(default_factory=dict)
    """APScheduler's cron fields in the office's zone: `{"hour": 3, "minute": 10}`."""
    period: Callable[[datetime, str], str]
    """The business period that an instant belongs to in a zone: "2026-09", "2026-09-24". A finished period is never run again."""
    run: Callable[[Context, datetime], Awaitable[int]]
    """Do it for `now`; return how many things were done."""
    when_starting: bool = True
    """Also run when the scheduler starts, if the present period is not finished: nothing is missed while it was down."""


def minutely(now: datetime, _zone: str) -> str:
    """Name the minute: the job looks for what waits, so each call is a period of its own."""
    return now.strftime("%Y-%m-%dT%H:%M")


def hourly(now: datetime, _zone: str) -> str:
    """Name the hour."""
    return now.strftime("%Y-%m-%dT%H")


def daily(now: datetime, zone: str) -> str:
    """Name the day in a zone."""
    return clock.local_date(now, zone).isoformat()
