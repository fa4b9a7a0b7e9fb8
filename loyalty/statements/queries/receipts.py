"""Which print of a receipt this is."""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.statements.model import ReceiptKind, ReceiptPrint


async def prints_of(session: AsyncSession, *, kind: ReceiptKind, subject_id: UUID) -> int:
    """Return how many times a receipt was printed."""
    printed = select(func.coalesce(func.max(ReceiptPrint.copy), 0)).where(ReceiptPrint.kind == kind, ReceiptPrint.subject_id == subject_id)
    return int((await session.execute(printed)).scalar_one())
