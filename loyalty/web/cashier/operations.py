"""What the counter itself writes: which print of a receipt this is."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.statements.model import ReceiptKind, ReceiptPrint


async def count_print(
    session: AsyncSession, *, kind: ReceiptKind, subject_id: UUID, terminal_id: UUID, staff_id: UUID, now: datetime
) -> int:
    """Note that a receipt is printed, and return how many times it was before: 0 is the original, any other a copy of that number."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"receipt:{kind}:{subject_id}", 13))))
    before = await prints_of(session, kind=kind, subject_id=subject_id)
    await session.execute(
        insert(ReceiptPrint).values(
            kind=kind, subject_id=subject_id, copy=before + 1, printed_at=now, terminal_id=terminal_id, staff_id=staff_id
        )
    )
    return before


async def prints_of(session: AsyncSession, *, kind: ReceiptKind, subject_id: UUID) -> int:
    """Return how many times a receipt was printed."""
    printed = select(func.coalesce(func.max(ReceiptPrint.copy), 0)).where(ReceiptPrint.kind == kind, ReceiptPrint.subject_id == subject_id)
    return int((await session.execute(printed)).scalar_one())
