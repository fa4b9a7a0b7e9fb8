"""Reading limits."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from .model import CardLimit, LimitSetRow
from .rules import LimitSet


async def standing_limits(session: AsyncSession, *, subject_id: UUID) -> list[CardLimit]:
    """Return a subject's limits that nobody has ended, those still to begin too, in the order they were made."""
    statement = select(CardLimit).where(CardLimit.subject_id == subject_id, CardLimit.ended_at.is_(None)).order_by(CardLimit.limit_id)
    return list(await session.scalars(statement))


async def limit_history(session: AsyncSession, *, subject_id: UUID, since: datetime | None = None) -> list[CardLimit]:
    """Return every limit a subject ever had, the latest first; `since`: made from then on."""
    statement = select(CardLimit).where(CardLimit.subject_id == subject_id).order_by(CardLimit.limit_id.desc())
    return list(await session.scalars(statement if since is None else statement.where(CardLimit.created_at >= since)))


async def limit_set_of(session: AsyncSession, *, subject_id: UUID) -> LimitSet:
    """Return the compiled document that binds a subject now; an empty one where it has none."""
    document = await session.scalar(select(LimitSetRow.compiled).where(LimitSetRow.subject_id == subject_id))
    return msgspec.convert(document or {}, LimitSet)


async def get_set_for_update(session: AsyncSession, *, subject_id: UUID) -> LimitSetRow:
    """Lock and return a subject's set, which must exist."""
    statement = select(LimitSetRow).where(LimitSetRow.subject_id == subject_id).with_for_update()
    return (await session.scalars(statement.execution_options(populate_existing=True))).one()
