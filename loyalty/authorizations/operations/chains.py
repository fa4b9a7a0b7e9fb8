"""Closing a till's chain: its journal against our books, transaction by transaction, and its signature."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.chain_rules import Difference, DifferenceKind, HostRecord, JournalLine, chain_differences
from loyalty.authorizations.model import Operation, Request
from loyalty.authorizations.model_chains import ChainClose
from loyalty.authorizations.wire import reference
from loyalty.crypto import chain_genesis, chain_signature_is_good
from loyalty.identity.queries import terminal_key

_SPENDING: Final = frozenset({Operation.SALE, Operation.COMPLETE, Operation.ADVICE})


class _Said(msgspec.Struct):
    """What of a stored answer a journal is compared with."""

    outcome: str | None = None
    card_minor: int = 0
    amount_minor: int = 0


async def close_chain(
    session: AsyncSession,
    *,
    shift_id: UUID,
    terminal_id: UUID,
    epoch: int,
    journal: Sequence[JournalLine],
    last_sequence: int,
    head: bytes,
    signature: bytes,
    opened_at: datetime,
    now: datetime,
) -> ChainClose:
    """Store a shift's signed stretch of the chain with every difference found; a difference never stops a close.

    `opened_at` is when the shift began: what another enrolment of the till booked since then shows, too.
    """
    before = await last_close(session, terminal_id=terminal_id, epoch=epoch)
    genesis = chain_genesis(terminal_id, epoch)
    start = (0, genesis, genesis) if before is None else (before.last_sequence, before.last_hash, before.head)
    host = await _host_records(session, terminal_id=terminal_id, epoch=epoch, after=start[0])
    differences = chain_differences(
        journal,
        host,
        epoch=epoch,
        start_sequence=start[0],
        start_hash=start[1],
        start_head=start[2],
        last_sequence=last_sequence,
        head=head,
    )
    differences += await _of_other_enrolments(session, terminal_id=terminal_id, epoch=epoch, since=opened_at)
    key = await terminal_key(session, terminal_id=terminal_id, epoch=epoch)
    good = key is not None and chain_signature_is_good(
        key, signature, terminal_id=terminal_id, epoch=epoch, last_sequence=last_sequence, head=head
    )
    if not good:
        differences.append(Difference(kind=DifferenceKind.SIGNATURE))
    lines = sorted(journal, key=lambda line: line.sequence)
    closed = ChainClose(
        shift_id=shift_id,
        terminal_id=terminal_id,
        epoch=epoch,
        last_sequence=last_sequence,
        last_hash=lines[-1].hash if lines else start[1],
        head=head,
        signature=signature,
        signature_good=good,
        differences=msgspec.to_builtins(differences),
        unbooked=[line.sequence for line in lines if line.booked is False and line.sequence not in host],
        closed_at=now,
    )
    session.add(closed)
    await session.flush()
    return closed


async def last_close(session: AsyncSession, *, terminal_id: UUID, epoch: int) -> ChainClose | None:
    """Return the till's latest close in this enrolment."""
    statement = select(ChainClose).where(ChainClose.terminal_id == terminal_id, ChainClose.epoch == epoch)
    return await session.scalar(statement.order_by(ChainClose.last_sequence.desc(), ChainClose.closed_at.desc()).limit(1))


async def _host_records(session: AsyncSession, *, terminal_id: UUID, epoch: int, after: int) -> Mapping[int, HostRecord]:
    rows = await session.execute(_records().where(Request.terminal_id == terminal_id, Request.epoch == epoch, Request.sequence > after))
    records = [_host_record(row) for row in rows]
    return {record.sequence: record for record in records}


async def _of_other_enrolments(session: AsyncSession, *, terminal_id: UUID, epoch: int, since: datetime) -> list[Difference]:
    rows = await session.execute(
        _records()
        .where(Request.terminal_id == terminal_id, Request.epoch != epoch, Request.sequence.is_not(None), Request.booked_at >= since)
        .order_by(Request.epoch, Request.sequence)
    )
    return [
        Difference(
            kind=DifferenceKind.MISSING_AT_TERMINAL,
            sequence=record.sequence,
            key=record.key,
            operation=record.operation,
            reference=record.reference,
            host_minor=record.amount_minor,
        )
        for record in map(_host_record, rows)
    ]


def _records() -> Any:
    return select(
        Request.sequence,
        Request.key,
        Request.record_hash,
        Request.previous_hash,
        Request.operation,
        Request.account_id,
        Request.subject_id,
        Request.answer,
    )


def _host_record(row: Any) -> HostRecord:
    operation = Operation(row.operation)
    said = msgspec.json.decode(row.answer, type=_Said)
    amount = said.card_minor if operation in _SPENDING else said.amount_minor if operation is Operation.TOPUP else None
    return HostRecord(
        sequence=row.sequence,
        key=row.key,
        record_hash=None if row.record_hash is None else bytes(row.record_hash),
        previous_hash=None if row.previous_hash is None else bytes(row.previous_hash),
        operation=operation.name.lower(),
        outcome=said.outcome,
        amount_minor=amount,
        reference=reference(row.account_id, row.subject_id),
    )
