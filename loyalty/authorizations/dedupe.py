"""One effect per key, for every operation outside the hot path: the answer is stored in the operation's own transaction.

`requests` is the one dedupe space of hot and cold operations. A replay gets the stored bytes for ever; only answers that were given
(declines included) are stored, so a refusal may be tried again with the same key.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.db import Sessions, transaction
from loyalty.ids import TerminalId
from loyalty.stations.model import TerminalStatus
from loyalty.stations.operations import move_terminal
from loyalty.stations.queries import get_terminal_for_update

from .hot import KeyReused, SequenceReused
from .model import Operation, Request

__all__ = ["KeyReused", "Outcome", "SequenceReused", "idempotent", "late_key", "lock_key", "once", "quarantine_forked"]

_LOCK_SEED: Final = 12
_ATTEMPTS: Final = 3
_ROLLED_BACK: Final = ("40001", "40P01")
"""Serialisation failure, deadlock: nothing happened, so the whole operation may be done again."""

_encode: Final = msgspec.json.Encoder().encode


class Outcome(NamedTuple):
    """What an operation came to: whose rows, which row, and the answer's bytes as they are sent and stored."""

    account_id: UUID
    subject_id: UUID
    answer: bytes

    @classmethod
    def of(cls, account_id: UUID, subject_id: UUID, answer: msgspec.Struct) -> "Outcome":
        """Make an outcome of an answer still to be encoded."""
        return cls(account_id, subject_id, _encode(answer))


async def idempotent(
    session: AsyncSession,
    *,
    terminal_id: UUID,
    key: UUID,
    operation: Operation,
    fingerprint: bytes,
    perform: Callable[[], Awaitable[Outcome]],
    now: datetime,
    epoch: int | None = None,
    sequence: int | None = None,
    record_hash: bytes | None = None,
    previous_hash: bytes | None = None,
    after_reversal: Callable[[], Awaitable[Outcome]] | None = None,
) -> bytes:
    """Do an operation once, and return its answer's bytes; a replay does nothing and returns the same.

    Where a reversal came before its original, the tombstone's answer is returned, unless `after_reversal` says what to do: an advice is
    booked all the same, under a key of its own.

    :raises KeyReused: if the key was used for another request
    :raises SequenceReused: if the till's sequence number carries another record; the caller quarantines it (`once` does)
    """
    await lock_key(session, terminal_id=terminal_id, key=key)
    found = (await session.execute(_request(terminal_id, key))).first()
    if found is not None and found.operation == Operation.TOMBSTONE and after_reversal is not None:
        return await idempotent(
            session,
            terminal_id=terminal_id,
            key=late_key(key),
            operation=operation,
            fingerprint=fingerprint,
            perform=after_reversal,
            now=now,
            epoch=epoch,
            sequence=sequence,
            record_hash=record_hash,
            previous_hash=previous_hash,
        )
    if found is not None:
        if found.operation != Operation.TOMBSTONE and (found.operation != operation or bytes(found.fingerprint) != fingerprint):
            raise KeyReused
        return bytes(found.answer)
    if sequence is not None and await _record_hash(session, terminal_id, epoch, sequence) is not None:
        raise SequenceReused(sequence=sequence)
    outcome = await perform()
    inserted = await session.scalar(
        upsert(Request)
        .values(
            terminal_id=terminal_id,
            key=key,
            epoch=epoch,
            sequence=sequence,
            operation=operation,
            account_id=outcome.account_id,
            subject_id=outcome.subject_id,
            fingerprint=fingerprint,
            record_hash=record_hash,
            previous_hash=previous_hash,
            answer=outcome.answer,
            booked_at=now,
        )
        .on_conflict_do_nothing()
        .returning(Request.key)
    )
    if inserted is None:
        # The hot path takes no advisory lock: it may have used the key, or the sequence number, meanwhile.
        if (await session.execute(_request(terminal_id, key))).first() is not None:
            raise KeyReused
        raise SequenceReused(sequence=sequence)
    return outcome.answer


async def once(
    sessions: Sessions,
    *,
    terminal_id: UUID,
    key: UUID,
    operation: Operation,
    fingerprint: bytes,
    perform: Callable[[AsyncSession], Awaitable[Outcome]],
    now: datetime,
    epoch: int | None = None,
    sequence: int | None = None,
    record_hash: bytes | None = None,
    previous_hash: bytes | None = None,
    after_reversal: Callable[[AsyncSession], Awaitable[Outcome]] | None = None,
) -> bytes:
    """Do an operation once in a transaction of its own; a deadlock is tried again, a forked record chain quarantines the till.

    :raises Refusal: whatever `perform` raises, KeyReused, SequenceReused
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            async with transaction(sessions) as session:
                return await idempotent(
                    session,
                    terminal_id=terminal_id,
                    key=key,
                    operation=operation,
                    fingerprint=fingerprint,
                    perform=_bound(perform, session),
                    now=now,
                    epoch=epoch,
                    sequence=sequence,
                    record_hash=record_hash,
                    previous_hash=previous_hash,
                    after_reversal=None if after_reversal is None else _bound(after_reversal, session),
                )
        except SequenceReused:
            async with transaction(sessions) as session:
                await quarantine_forked(
                    session, terminal_id=terminal_id, epoch=epoch, sequence=sequence or 0, record_hash=record_hash, now=now
                )
            raise
        except DBAPIError as error:
            if attempt == _ATTEMPTS or getattr(error.orig, "sqlstate", None) not in _ROLLED_BACK:
                raise
    raise AssertionError("the last attempt returns or raises")


async def quarantine_forked(
    session: AsyncSession, *, terminal_id: UUID, epoch: int | None, sequence: int, record_hash: bytes | None, now: datetime
) -> bool:
    """Quarantine a till whose sequence number came with two different records; return whether it was done now.

    The same record under a second key is a client's fault, refused but no sign of a doctored till. Belongs in a transaction of its own,
    since the one that met the conflict is rolled back.
    """
    known = await _record_hash(session, terminal_id, epoch, sequence)
    if not known or record_hash is None or known == record_hash:
        return False
    terminal = await get_terminal_for_update(session, terminal_id=TerminalId(terminal_id))
    if terminal.status is not TerminalStatus.ACTIVE:
        return False
    await move_terminal(
        session,
        terminal_id=TerminalId(terminal_id),
        to=TerminalStatus.QUARANTINED,
        reason=f"sequence {sequence} of epoch {epoch} carries two records",
        actor=Actor(ActorKind.TERMINAL, terminal_id),
        now=now,
    )
    return True


async def lock_key(session: AsyncSession, *, terminal_id: UUID, key: UUID) -> None:
    """Let the users of one key go one after the other, until the transaction ends."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{terminal_id}:{key}", _LOCK_SEED))))


def late_key(key: UUID) -> UUID:
    """Return the key under which an advice stands that came after its own reversal: the tombstone holds its own."""
    return uuid5(key, "after its reversal")


def _bound(perform: Callable[[AsyncSession], Awaitable[Outcome]], session: AsyncSession) -> Callable[[], Awaitable[Outcome]]:
    return lambda: perform(session)


def _request(terminal_id: UUID, key: UUID) -> Any:
    return select(Request.operation, Request.fingerprint, Request.answer).where(Request.terminal_id == terminal_id, Request.key == key)


async def _record_hash(session: AsyncSession, terminal_id: UUID, epoch: int | None, sequence: int) -> bytes | None:
    """Return the hash stored at a place of a till's chain; empty where the row has none, None where there is no row."""
    statement = select(func.coalesce(Request.record_hash, b"")).where(
        Request.terminal_id == terminal_id, Request.epoch == epoch, Request.sequence == sequence
    )
    found = await session.scalar(statement)
    return None if found is None else bytes(found)
