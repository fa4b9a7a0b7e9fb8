"""Reading and proving the trail."""

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.crypto import Purpose, signature_is_good
from loyalty.paging import PAGE_SIZE, Key, Page, page

from .model import ActorKind, AuditEntry, AuditSeal
from .rules import GENESIS, SEAL_TOPIC, SealedEntry, entry_hash, merkle_root, seal_hash, unpack_leaves

_SEALS_A_READ: Final = 100


class Breach(NamedTuple):
    """One place where the trail is not what was sealed; `row` is `audit_entries:42` or `audit_seals:7`."""

    row: str
    what: str


class Checkpoint(NamedTuple):
    """A link of the chain as it is exported outside the database; hashes are hexadecimal, `signature` may be empty."""

    seal_id: int
    last_id: int
    seal_hash: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """What the trail's page is cut to; None takes all. Times are half-open, `[since, until)`."""

    stations: Collection[UUID] | None = None
    """The reader's scope: entries of these stations only, those of no station left out."""
    station_id: UUID | None = None
    actor_kind: ActorKind | None = None
    actor_id: UUID | str | None = None
    action: str | None = None
    """A whole action, or a room by its beginning with the dot: `identity.`."""
    subject_kind: str | None = None
    subject_id: UUID | str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def list_entries(
    session: AsyncSession, *, wanted: EntryFilter, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[AuditEntry]:
    """Return a page of the trail, the newest entry first; for the auditor's page and a thing's own history."""
    keys = [Key(AuditEntry.entry_id, descending=True)]
    return await page(session, select(AuditEntry).where(*_conditions(wanted)), keys=keys, cursor=cursor, limit=limit)


def _conditions(wanted: EntryFilter) -> list[ColumnElement[bool]]:
    equal = {
        AuditEntry.station_id: wanted.station_id,
        AuditEntry.actor_kind: wanted.actor_kind,
        AuditEntry.actor_id: None if wanted.actor_id is None else str(wanted.actor_id),
        AuditEntry.subject_kind: wanted.subject_kind,
        AuditEntry.subject_id: None if wanted.subject_id is None else str(wanted.subject_id),
    }
    conditions = [column == value for column, value in equal.items() if value is not None]
    if wanted.stations is not None:
        conditions.append(AuditEntry.station_id.in_(wanted.stations))
    if wanted.action is not None:
        whole = not wanted.action.endswith(".")
        conditions.append(AuditEntry.action == wanted.action if whole else AuditEntry.action.startswith(wanted.action, autoescape=True))
    if wanted.since is not None:
        conditions.append(AuditEntry.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(AuditEntry.at < wanted.until)
    return conditions


@dataclass(frozen=True, slots=True)
class TrailState:
    """How far the trail is sealed: what the auditor's page says at its top."""

    entries: int
    sealed_up_to: int
    sealed_at: datetime | None
    seals: int


async def trail_state(session: AsyncSession) -> TrailState:
    """Return how many entries there are and how far they are sealed; ids are close to counts, so nothing is counted row by row."""
    newest = await session.scalar(select(func.max(AuditEntry.entry_id)))
    row = await session.execute(
        select(AuditSeal.last_id, AuditSeal.sealed_at, AuditSeal.seal_id).order_by(AuditSeal.seal_id.desc()).limit(1)
    )
    last = row.one_or_none()
    if last is None:
        return TrailState(newest or 0, 0, None, 0)
    return TrailState(newest or 0, last.last_id, last.sealed_at, last.seal_id)


async def last_checkpoint(session: AsyncSession) -> Checkpoint | None:
    """Return the chain's newest link as a checkpoint, None before the first seal."""
    seal = await session.scalar(select(AuditSeal).order_by(AuditSeal.seal_id.desc()).limit(1))
    if seal is None:
        return None
    return Checkpoint(seal.seal_id, seal.last_id, seal.seal_hash.hex(), (seal.signature or b"").hex())


async def verify_chain(
    session: AsyncSession, *, issuer_keys: Mapping[int, bytes] | None = None, checkpoints: Collection[Checkpoint] = ()
) -> list[Breach]:
    """Compute every sealed entry and link again and name what differs; an empty list means that the trail is whole.

    `issuer_keys` (`crypto.public_keys(Purpose.AUDIT)`) also prove the signatures; `checkpoints`, read from outside the database, also prove
    that the chain was not written anew.
    """
    breaches: list[Breach] = []
    exported = {checkpoint.seal_id: checkpoint for checkpoint in checkpoints}
    previous, covered, expected_id = GENESIS, 0, 1
    while True:
        seals = list(
            await session.scalars(
                select(AuditSeal).where(AuditSeal.seal_id >= expected_id).order_by(AuditSeal.seal_id).limit(_SEALS_A_READ)
            )
        )
        if not seals:
            break
        for seal in seals:
            breaches += _broken_link(seal, expected_id, previous, issuer_keys, exported.pop(seal.seal_id, None))
            breaches += await _broken_entries(session, seal, covered)
            previous, covered, expected_id = seal.seal_hash, seal.last_id, seal.seal_id + 1
            session.expunge(seal)
    breaches += [Breach(f"audit_seals:{seal_id}", "exported as a checkpoint, missing from the database") for seal_id in sorted(exported)]
    return breaches


def _broken_link(
    seal: AuditSeal, expected_id: int, previous: bytes, issuer_keys: Mapping[int, bytes] | None, exported: Checkpoint | None
) -> list[Breach]:
    row = f"audit_seals:{seal.seal_id}"
    computed = seal_hash(
        seal_id=seal.seal_id,
        first_id=seal.first_id,
        last_id=seal.last_id,
        entries=seal.entries,
        root=seal.merkle_root,
        previous=seal.previous_hash,
    )
    leaves = unpack_leaves(seal.leaves)
    faults = {
        f"links {expected_id} to {seal.seal_id - 1} are missing before it": seal.seal_id != expected_id,
        "does not name the link before it": not hmac.compare_digest(seal.previous_hash, previous),
        "its hash is not that of its columns": not hmac.compare_digest(seal.seal_hash, computed),
        "its leaves do not give its root": not leaves or merkle_root(list(leaves.values())) != seal.merkle_root,
        "its signature is not the issuer's": issuer_keys is not None and seal.signature is not None and not _is_signed(seal, issuer_keys),
        "differs from its exported checkpoint": exported is not None and exported.seal_hash != seal.seal_hash.hex(),
    }
    return [Breach(row, what) for what, is_so in faults.items() if is_so]


def _is_signed(seal: AuditSeal, issuer_keys: Mapping[int, bytes]) -> bool:
    return signature_is_good(Purpose.AUDIT, SEAL_TOPIC, seal.seal_hash, seal.signature or b"", public_keys=issuer_keys)


async def _broken_entries(session: AsyncSession, seal: AuditSeal, covered: int) -> list[Breach]:
    sealed = unpack_leaves(seal.leaves)
    present = await _entry_hashes(session, after=covered, up_to=seal.last_id)
    faults = {entry_id: _fault(sealed.get(entry_id), present.get(entry_id)) for entry_id in sorted(sealed.keys() | present.keys())}
    return [Breach(f"audit_entries:{entry_id}", what) for entry_id, what in faults.items() if what]


def _fault(sealed: bytes | None, present: bytes | None) -> str:
    if sealed is None:
        return "added after its range was sealed"
    if present is None:
        return "missing"
    return "" if sealed == present else "altered"


async def _entry_hashes(session: AsyncSession, *, after: int, up_to: int) -> Mapping[int, bytes]:
    columns = [getattr(AuditEntry, name) for name in SealedEntry._fields]
    rows = await session.execute(select(*columns).where(AuditEntry.entry_id > after, AuditEntry.entry_id <= up_to))
    return {row[0]: entry_hash(SealedEntry._make(row)) for row in rows}
