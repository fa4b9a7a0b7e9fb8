"""What partners sent, and what each line came to."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.errors import NotFound
from loyalty.paging import PAGE_SIZE, Key, Page, one_as, page_as
from partners.model_inbound import PartnerInboundFile, PartnerInboundRow, RowOutcome


class InboundNotFound(NotFound):
    """Unknown, or another partner's."""

    zh = "没有找到该对账文件。"
    en = "There is no such file."


class InboundView(msgspec.Struct, frozen=True):
    """One file that a partner sent."""

    file_id: UUID
    name: str
    size_bytes: int
    first_day: date
    end_day: date
    mapping: dict[str, str]
    zone: str
    outcomes: dict[str, int]
    made_by: UUID
    made_at: datetime


class InboundRowView(msgspec.Struct, frozen=True):
    """One line of it, or one of ours that it lacks."""

    ordinal: int
    place: int | None
    reference: str
    theirs: str
    event_at: datetime | None
    amount_minor: int | None
    outcome: RowOutcome
    late: bool
    line_number: int | None
    ours_minor: int | None
    why: str


_FILE: Final = [getattr(PartnerInboundFile, name) for name in InboundView.__struct_fields__]
_ROW: Final = [getattr(PartnerInboundRow, name) for name in InboundRowView.__struct_fields__]


async def list_inbound(session: AsyncSession, *, partner_id: UUID, cursor: str | None = None, limit: int = PAGE_SIZE) -> Page[InboundView]:
    """Return what a partner sent, the latest first."""
    one = PartnerInboundFile
    wanted = select(*_FILE).where(one.partner_id == partner_id)
    return await page_as(session, InboundView, wanted, keys=[Key(one.file_id, descending=True)], cursor=cursor, limit=limit)


async def get_inbound(session: AsyncSession, *, partner_id: UUID, file_id: UUID) -> InboundView:
    """Return one file of a partner's.

    :raises InboundNotFound: if there is none
    """
    one = PartnerInboundFile
    found = await one_as(session, InboundView, select(*_FILE).where(one.file_id == file_id, one.partner_id == partner_id))
    if found is None:
        raise InboundNotFound(file=file_id)
    return found


async def inbound_rows(
    session: AsyncSession, *, file_id: UUID, outcomes: Collection[RowOutcome] = (), cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[InboundRowView]:
    """Return a file's lines in its order, then ours that it lacks."""
    one = PartnerInboundRow
    wanted = select(*_ROW).where(one.file_id == file_id, *([one.outcome.in_(outcomes)] if outcomes else []))
    return await page_as(session, InboundRowView, wanted, keys=[Key(one.ordinal)], cursor=cursor, limit=limit)
