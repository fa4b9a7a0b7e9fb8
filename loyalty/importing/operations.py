"""Writing what was taken over: runs, former ids, receipts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.copying import copy_rows
from loyalty.ids import uuid7

from .model import ImportRow, ImportRun, LegacyReceipt, RunStatus


async def begin_run(
    session: AsyncSession, *, source: str, kind: str, file_name: str, file_hash: bytes, map_hash: bytes, now: datetime
) -> ImportRun:
    """Begin an import; its row is there before any other, so that a killed one is found."""
    run = ImportRun(
        run_id=uuid7(now),
        source=source,
        kind=kind,
        file_name=file_name,
        file_hash=file_hash,
        map_hash=map_hash,
        status=RunStatus.RUNNING,
        last_line=0,
        counts={},
        sums={},
        started_at=now,
        finished_at=None,
    )
    session.add(run)
    await session.flush()
    return run


async def lock_kind(session: AsyncSession, *, source: str, kind: str) -> None:
    """Let one import of a kind work at a time: former ids are looked up, then written."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"import/{source}/{kind}", 0))))


async def note_progress(
    session: AsyncSession,
    *,
    run_id: UUID,
    last_line: int,
    counts: Mapping[str, int],
    sums: Mapping[str, Mapping[str, int]],
    finished_at: datetime | None = None,
) -> None:
    """Write how far a run has come, in the transaction of the rows themselves."""
    values: dict[str, object] = {"last_line": last_line, "counts": dict(counts), "sums": {name: dict(each) for name, each in sums.items()}}
    if finished_at is not None:
        values |= {"status": RunStatus.DONE, "finished_at": finished_at}
    await session.execute(update(ImportRun).where(ImportRun.run_id == run_id).values(**values).execution_options(synchronize_session=False))


async def remember(session: AsyncSession, *, source: str, kind: str, run_id: UUID, rows: Sequence[tuple[str, UUID | None, bytes]]) -> None:
    """Write down what former ids are here: (former id, our id, the row's hash). None of them was written before."""
    if rows:
        await copy_rows(
            session,
            "import_rows",
            ("source", "kind", "legacy_id", "our_id", "row_hash", "run_id"),
            [(source, kind, legacy_id, our_id, row_hash, run_id) for legacy_id, our_id, row_hash in rows],
        )


async def remember_changed(session: AsyncSession, *, source: str, kind: str, run_id: UUID, hashes: Mapping[str, bytes]) -> None:
    """Write down that rows read differently now, and that what stands here was changed with them."""
    if hashes:
        rows = [
            {"source": source, "kind": kind, "legacy_id": legacy_id, "row_hash": row_hash, "run_id": run_id}
            for legacy_id, row_hash in sorted(hashes.items())
        ]
        await session.execute(update(ImportRow), rows)


class NewReceipt(NamedTuple):
    """A receipt's head."""

    receipt_id: UUID
    source: str
    legacy_id: str
    card_id: UUID
    account_id: UUID
    station_id: UUID
    currency: str
    event_at: datetime


class NewLine(NamedTuple):
    """A receipt's line."""

    line_id: UUID
    receipt_id: UUID
    legacy_id: str
    position: int
    product_id: UUID
    quantity_milli: int | None
    amount_minor: int


async def put_receipts(session: AsyncSession, *, receipts: Sequence[NewReceipt], lines: Sequence[NewLine]) -> None:
    """Write new lines, and the receipts that are not there yet."""
    if receipts:
        values = [receipt._asdict() for receipt in receipts]
        await session.execute(insert(LegacyReceipt).on_conflict_do_nothing(index_elements=[LegacyReceipt.receipt_id]), values)
    await copy_rows(session, "legacy_lines", NewLine._fields, lines)
