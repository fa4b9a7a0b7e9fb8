"""Writing the trail: entries inside the caller's transaction, seals by the one sealer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.crypto import Purpose, sign

from .model import Actor, ActorKind, AuditEntry, AuditSeal
from .rules import GENESIS, SEAL_ENTRIES_MAX, SEAL_TOPIC, SealedEntry, entry_hash, merkle_root, pack_leaves, seal_hash

__all__ = ["Actor", "ActorKind", "record", "seal"]

WRITERS_LOCK: Final = 0x617564697401
"""Advisory: the insert trigger takes it shared until commit, the sealer exclusively for a moment."""
SEALER_LOCK: Final = 0x617564697402
_WAIT_MS: Final = 250
_USER_AGENT_MAX: Final = 300
_LOCK_NOT_AVAILABLE: Final = "55P03"


async def record(
    session: AsyncSession,
    *,
    actor: Actor,
    action: str,
    subject: tuple[str, UUID | str],
    facts: Mapping[str, object],
    now: datetime,
    station_id: UUID | None = None,
) -> None:
    """Append one entry in the caller's transaction: the act and its trace stand or fall together.

    `action` is `room.verb`; `subject` is `(kind, id)` of the row acted upon; `facts` hold whole numbers, text, booleans, ids, instants, and
    lists or maps of these.

    :raises TypeError: for a fact that is none of these, a float above all
    """
    await session.execute(
        insert(AuditEntry).values(
            at=now,
            actor_kind=actor.kind,
            actor_id=str(actor.actor_id),
            action=action,
            subject_kind=subject[0],
            subject_id=str(subject[1]),
            station_id=station_id,
            facts={name: _plain(fact) for name, fact in facts.items()},
            address=actor.address,
            user_agent=None if actor.user_agent is None else actor.user_agent[:_USER_AGENT_MAX],
        )
    )


def _plain(fact: object) -> object:
    """Turn a fact into what jsonb gives back unchanged, so that its hash can be computed again."""
    match fact:
        case None | bool() | int():
            return fact
        case str():
            return str(fact)
        case UUID():
            return str(fact)
        case datetime():
            return fact.isoformat()
        case Mapping():
            return {str(name): _plain(inner) for name, inner in fact.items()}
        case Sequence() | frozenset() | set() if not isinstance(fact, bytes | bytearray):
            return [_plain(inner) for inner in fact]
        case _:
            raise TypeError(f"a fact of the trail cannot be a {type(fact).__name__}")


async def seal(session: AsyncSession, *, signed: bool = True, now: datetime) -> AuditSeal | None:
    """Seal the next entries, at most 10,000, and return the new link; None where there is nothing to seal or another sealer works.

    Ids come from a sequence, so a transaction that is still running may hold a smaller id than one already committed. The sealer therefore
    waits, at most a quarter of a second, until no writer is in between, and then seals up to the largest id there is: whatever has a
    smaller one is committed or will never be. `signed` adds the issuer's signature, which needs the keys. Call it until it gives None.
    """
    if not await session.scalar(select(func.pg_try_advisory_xact_lock(SEALER_LOCK))):
        return None
    last = await session.scalar(select(AuditSeal).order_by(AuditSeal.seal_id.desc()).limit(1))
    horizon = await _settled_id(session)
    if horizon is None:
        return None
    columns = [getattr(AuditEntry, name) for name in SealedEntry._fields]
    found = await session.execute(
        select(*columns)
        .where(AuditEntry.entry_id > (last.last_id if last else 0), AuditEntry.entry_id <= horizon)
        .order_by(AuditEntry.entry_id)
        .limit(SEAL_ENTRIES_MAX)
    )
    entries = [SealedEntry._make(row) for row in found]
    if not entries:
        return None
    made = _link(entries, last, signed=signed, now=now)
    session.add(made)
    await session.flush()
    return made


def _link(entries: Sequence[SealedEntry], last: AuditSeal | None, *, signed: bool, now: datetime) -> AuditSeal:
    leaves = [(entry.entry_id, entry_hash(entry)) for entry in entries]
    root = merkle_root([leaf for _, leaf in leaves])
    seal_id, previous = (last.seal_id + 1, last.seal_hash) if last else (1, GENESIS)
    first_id, last_id = entries[0].entry_id, entries[-1].entry_id
    linked = seal_hash(seal_id=seal_id, first_id=first_id, last_id=last_id, entries=len(entries), root=root, previous=previous)
    return AuditSeal(
        seal_id=seal_id,
        first_id=first_id,
        last_id=last_id,
        entries=len(entries),
        leaves=pack_leaves(leaves),
        merkle_root=root,
        previous_hash=previous,
        seal_hash=linked,
        signature=sign(Purpose.AUDIT, SEAL_TOPIC, linked) if signed else None,
        sealed_at=now,
    )


async def _settled_id(session: AsyncSession) -> int | None:
    """Return the largest id below which nothing more can appear, None where writers did not let the sealer in."""
    savepoint = await session.begin_nested()
    try:
        await session.execute(text(f"SET LOCAL lock_timeout = '{_WAIT_MS}ms'"))
        await session.execute(select(func.pg_advisory_xact_lock(WRITERS_LOCK)))
        largest: int = await session.scalar(select(func.coalesce(func.max(AuditEntry.entry_id), 0))) or 0
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
            return None
        raise
    else:
        return largest
    finally:
        # Rolling back to the savepoint gives the lock back at once: writers must not wait while the entries are hashed.
        await savepoint.rollback()
