"""Where a till's journal and the host's books differ: pure, plain values in, plain values out."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from loyalty.crypto import ChainRecord, chain_head

Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]


class JournalLine(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One record as the till knows it. `booked` None: it never got an answer; False: refused, never sent or taken back."""

    sequence: Annotated[int, Meta(ge=1, le=2**53)]
    key: UUID
    hash: Hash
    operation: Annotated[str, Meta(max_length=32)]
    booked: bool | None = None
    outcome: Annotated[str, Meta(max_length=32)] | None = None
    amount_minor: Annotated[int, Meta(ge=-(10**13), le=10**13)] = 0
    note: Annotated[str, Meta(max_length=200)] | None = None


class HostRecord(Struct, frozen=True, kw_only=True):
    """One record as the host stored it."""

    sequence: int
    key: UUID
    record_hash: bytes | None
    previous_hash: bytes | None
    operation: str
    outcome: str | None
    amount_minor: int | None
    """What the card gave, or what was loaded; None where the operation moves no money."""
    reference: str | None


class DifferenceKind(StrEnum):
    """How till and host can differ on one transaction, or on the chain."""

    MISSING_AT_HOST = "missing_at_host"
    """The till was told that it is booked; the host has no such record."""
    MISSING_AT_TERMINAL = "missing_at_terminal"
    """The host booked it; the till's journal has no such record."""
    BOOKED_AT_HOST = "booked_at_host"
    """The till thinks it was not booked, or never got an answer; it was."""
    RECORD_DIFFERS = "record_differs"
    """The same place in the chain, other bytes."""
    AMOUNT_DIFFERS = "amount_differs"
    JOURNAL_GAP = "journal_gap"
    """The till's own journal skips a number."""
    UNLINKED = "unlinked"
    """A record names another one as the one before."""
    HEAD_DIFFERS = "head_differs"
    """The signed head is not that of the journal."""
    SIGNATURE = "signature"
    """The close is not signed by the till's enrolled key."""


class Difference(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One difference, with what either side says."""

    kind: DifferenceKind
    sequence: int | None = None
    key: UUID | None = None
    operation: str | None = None
    reference: str | None = None
    terminal_minor: int | None = None
    host_minor: int | None = None


def chain_differences(
    journal: Sequence[JournalLine],
    host: Mapping[int, HostRecord],
    *,
    epoch: int,
    start_sequence: int,
    start_hash: bytes,
    start_head: bytes,
    last_sequence: int,
    head: bytes,
) -> list[Difference]:
    """Compare a till's journal since its last close with the host's records of the same stretch, transaction by transaction.

    `start_*` is where the close before ended. The host's records carry sequence numbers above `start_sequence`.
    """
    found: list[Difference] = []
    lines = sorted(journal, key=lambda line: line.sequence)
    found.extend(
        Difference(kind=DifferenceKind.JOURNAL_GAP, sequence=missing)
        for missing in sorted(set(range(start_sequence + 1, last_sequence + 1)) - {line.sequence for line in lines})[:100]
    )
    if chain_head(start_head, [ChainRecord(epoch, line.sequence, b"", line.hash) for line in lines]) != head:
        found.append(Difference(kind=DifferenceKind.HEAD_DIFFERS, sequence=last_sequence))
    previous = start_hash
    for line in lines:
        record = host.get(line.sequence)
        if record is not None and record.previous_hash is not None and record.previous_hash != previous:
            found.append(_difference(DifferenceKind.UNLINKED, line, record))
        previous = line.hash
        differs = _compare(line, record)
        if differs is not None:
            found.append(_difference(differs, line, record))
    known = {line.sequence for line in lines}
    found.extend(
        Difference(
            kind=DifferenceKind.MISSING_AT_TERMINAL,
            sequence=record.sequence,
            key=record.key,
            operation=record.operation,
            reference=record.reference,
            host_minor=record.amount_minor,
        )
        for sequence, record in sorted(host.items())
        if sequence not in known
    )
    return found


def _compare(line: JournalLine, record: HostRecord | None) -> DifferenceKind | None:
    if record is None:
        return DifferenceKind.MISSING_AT_HOST if line.booked else None
    if record.record_hash != line.hash:
        return DifferenceKind.RECORD_DIFFERS
    if not line.booked:
        # What the till itself took back before it was answered is reversed on both sides.
        return None if line.outcome == "reversed" else DifferenceKind.BOOKED_AT_HOST
    if record.amount_minor is not None and record.amount_minor != line.amount_minor:
        return DifferenceKind.AMOUNT_DIFFERS
    return None


def _difference(kind: DifferenceKind, line: JournalLine, record: HostRecord | None) -> Difference:
    return Difference(
        kind=kind,
        sequence=line.sequence,
        key=line.key,
        operation=line.operation,
        reference=None if record is None else record.reference,
        terminal_minor=line.amount_minor,
        host_minor=None if record is None else record.amount_minor,
    )
