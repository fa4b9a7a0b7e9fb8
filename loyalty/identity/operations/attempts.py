"""Budgets against guessing: counted before a guess is judged, the same for what exists and what does not."""

import hashlib
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.identity.model import AttemptKind, Attempts
from loyalty.identity.rules import PIN_TRIES, blocked_for

_FREE: Final = {
    AttemptKind.LOG_IN_NAME: 5,
    # An office may share one address: enough for a morning's typing errors, far too few for a search.
    AttemptKind.LOG_IN_ADDRESS: 50,
    AttemptKind.SECOND_FACTOR: 5,
    AttemptKind.STAFF_CARD: PIN_TRIES,
    AttemptKind.DEVICE: 20,
    AttemptKind.ENROLMENT: 10,
    # Used and foreign codes count too, and a busy till sees some; slips are caught by the check character and do not.
    AttemptKind.VOUCHER_CODE: 20,
}
"""Failures in a row that cost no waiting."""

_QUIET: Final = timedelta(hours=24)
"""After so long without a failure the count begins again."""


async def take_attempt(session: AsyncSession, *, kind: AttemptKind, subject: str | bytes, now: datetime) -> bool:
    """Count one try as failed and say whether it may be judged at all; the row stays locked until the caller's commit.

    The caller commits before it answers, and calls `forgive` after a right one.
    """
    key = _key(subject)
    await session.execute(
        upsert(Attempts).values(kind=kind, subject=key, failures=0, last_failure_at=now, blocked_until=None).on_conflict_do_nothing()
    )
    row = await session.execute(
        select(Attempts.failures, Attempts.last_failure_at, Attempts.blocked_until)
        .where(Attempts.kind == kind, Attempts.subject == key)
        .with_for_update()
    )
    failures, last_failure_at, blocked_until = row.one()
    if blocked_until is not None and blocked_until > now:
        return False
    failures = (0 if last_failure_at <= now - _QUIET else failures) + 1
    wait = blocked_for(failures, free=_FREE[kind])
    await session.execute(
        update(Attempts)
        .where(Attempts.kind == kind, Attempts.subject == key)
        .values(failures=failures, last_failure_at=now, blocked_until=now + wait if wait else None)
    )
    return True


async def used_up(session: AsyncSession, *, kind: AttemptKind, subject: str | bytes, now: datetime) -> bool:
    """Say whether the next try would not be judged."""
    blocked = select(Attempts.blocked_until).where(Attempts.kind == kind, Attempts.subject == _key(subject))
    until = await session.scalar(blocked)
    return until is not None and until > now


async def forgive(session: AsyncSession, *, kind: AttemptKind, subject: str | bytes, only_this: bool = False) -> None:
    """Take back what `take_attempt` counted: everything in a row, or `only_this` try where others share the budget."""
    left = Attempts.failures - 1 if only_this else 0
    await session.execute(
        update(Attempts).where(Attempts.kind == kind, Attempts.subject == _key(subject)).values(failures=left, blocked_until=None)
    )


async def forget_old_attempts(session: AsyncSession, *, now: datetime) -> int:
    """Delete budgets nobody touched for a day beyond their longest block, and return how many; for a job."""
    gone = await session.execute(delete(Attempts).where(Attempts.last_failure_at < now - 2 * _QUIET).returning(Attempts.kind))
    return len(gone.all())


def _key(subject: str | bytes) -> bytes:
    return hashlib.sha256(subject.encode() if isinstance(subject, str) else subject).digest()
