"""The nightly proof of the invariants; a breach fails the job, whose log names every row."""

from datetime import datetime

import structlog

from jobs.job import Context, Job, daily
from loyalty.checks.command import check_database
from loyalty.checks.queries import also
from partners.checks import CHECKS as PARTNERS

_log = structlog.get_logger("jobs")


class BooksBroken(Exception):  # noqa: N818 - what the office reads as the job's failure
    """An invariant does not hold."""


async def run(context: Context, now: datetime) -> int:
    """Prove everything on one snapshot; return how many checks hold.

    :raises BooksBroken: if one does not
    """
    also(PARTNERS)
    results = await check_database(context.settings, now=now)
    for result in results:
        if result.found.count:
            say = _log.error if result.breaks else _log.warning
            say("check", code=result.check.code, found=result.found.count, rows=result.found.rows[:10])
    if broken := [result.check.code for result in results if result.breaks]:
        raise BooksBroken(", ".join(broken))
    return len(results)


JOB = Job(
    name="checks",
    due={"hour": 4, "minute": 10},
    period=daily,
    run=run,
    # It reads everything: at a time of its own, not in the busy moment of a start.
    when_starting=False,
)
