"""Reading what somebody gets by mail."""

from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.fleet.model_reports import ReportFiles, ReportSubscription
from loyalty.paging import one_as


class Chosen(msgspec.Struct, frozen=True):
    """What somebody chose."""

    at_close: ReportFiles = ReportFiles.NONE
    weekly: bool = False


async def chosen_by(session: AsyncSession, *, user_id: UUID) -> Chosen:
    """Return what somebody gets; nothing where they never chose."""
    one = ReportSubscription
    return await one_as(session, Chosen, select(one.at_close, one.weekly).where(one.user_id == user_id)) or Chosen()
