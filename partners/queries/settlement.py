"""A partner's months and what is disputed of them."""

from collections.abc import Collection
from datetime import date, datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.errors import NotFound
from loyalty.paging import PAGE_SIZE, Key, Page, all_as, page_as
from partners.model import Partner, PartnerOutlet
from partners.model_lines import PartnerLine
from partners.model_settlement import DisputeReason, DisputeStatus, PartnerDispute, PartnerStatement
from partners.settlement_rules import FORMAT, Facts, Stated, StatedLine, Total, totals_of

from .alliances import PartnerNotFound


class StatementNotFound(NotFound):
    """The month was not closed, or the partner is another's."""

    zh = "没有找到该月对账单。"
    en = "There is no statement of that month."


class DisputeNotFound(NotFound):
    """Unknown, or another partner's."""

    zh = "没有找到该争议。"
    en = "There is no such dispute."


class DisputeView(msgspec.Struct, frozen=True):
    """One dispute; amounts in minor units of the partner's currency."""

    dispute_id: UUID
    partner_id: UUID
    number: int
    reason: DisputeReason
    said: str
    wanted_minor: int
    status: DisputeStatus
    opened_at: datetime
    opened_by: str
    answer: str
    proposed_minor: int | None
    proposed_by: UUID | None
    decided_by: UUID | None
    decided_at: datetime | None
    adjustment: int | None


_LINE = [getattr(PartnerLine, name) for name in StatedLine.__struct_fields__ if name != "outlet"]
_DISPUTE = [getattr(PartnerDispute, name) for name in DisputeView.__struct_fields__]


async def lines_of_month(session: AsyncSession, *, partner_id: UUID, month: date) -> list[StatedLine]:
    """Return the lines that a month states, by number; an outlet by its code, which never changes."""
    wanted = (
        select(PartnerOutlet.code.label("outlet"), *_LINE)
        .outerjoin(PartnerOutlet, PartnerOutlet.outlet_id == PartnerLine.outlet_id)
        .where(PartnerLine.partner_id == partner_id, PartnerLine.period == month)
        .order_by(PartnerLine.number)
    )
    return [msgspec.convert(dict(row._mapping), StatedLine, strict=False) for row in await session.execute(wanted)]  # noqa: SLF001


async def facts_of(session: AsyncSession, *, partner_id: UUID) -> tuple[Facts, str]:
    """Return a partner's names as they are now, and its currency.

    :raises PartnerNotFound: if there is none
    """
    row = await session.get(Partner, partner_id)
    if row is None:
        raise PartnerNotFound(partner=partner_id)
    return Facts(FORMAT, row.code, row.name_zh, row.name_en, row.tax_number, row.zone), row.currency


async def get_statement(session: AsyncSession, *, partner_id: UUID, month: date) -> Stated:
    """Return a closed month as it was stated.

    :raises StatementNotFound: if it was not closed
    """
    row = await session.get(PartnerStatement, (partner_id, month))
    if row is None:
        raise StatementNotFound(partner=partner_id, month=month)
    return stated(row)


async def pro_forma(session: AsyncSession, *, partner_id: UUID, month: date, now: datetime) -> Stated:
    """Return what a month that is not closed comes to so far; nothing of it is kept.

    :raises PartnerNotFound: if there is no such partner
    """
    facts, currency = await facts_of(session, partner_id=partner_id)
    totals = totals_of(await lines_of_month(session, partner_id=partner_id, month=month))
    opening = await balance_before(session, partner_id=partner_id, month=month)
    return Stated(facts, month, currency, opening, sum(one.due_minor for one in totals), totals, now, is_final=False)


async def balance_before(session: AsyncSession, *, partner_id: UUID, month: date) -> int:
    """Return the closing balance of the last closed month before one; 0 before the first."""
    one = PartnerStatement
    last = select(one.closing_minor).where(one.partner_id == partner_id, one.month < month).order_by(one.month.desc()).limit(1)
    return await session.scalar(last) or 0


async def list_statements(
    session: AsyncSession, *, partner_id: UUID, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page["StatementView"]:
    """Return a partner's closed months, the latest first."""
    wanted = select(*_STATEMENT).where(PartnerStatement.partner_id == partner_id)
    return await page_as(session, StatementView, wanted, keys=[Key(PartnerStatement.month, descending=True)], cursor=cursor, limit=limit)


class StatementView(msgspec.Struct, frozen=True):
    """One closed month in a list."""

    month: date
    lines: int
    currency: str
    opening_minor: int
    due_minor: int
    closing_minor: int
    closed_at: datetime


_STATEMENT = [getattr(PartnerStatement, name) for name in StatementView.__struct_fields__]


async def get_dispute(session: AsyncSession, *, dispute_id: UUID, partner_id: UUID | None = None) -> DisputeView:
    """Return a dispute, of one partner or whosever it is.

    :raises DisputeNotFound: if there is none, or it is another's
    """
    wanted = select(*_DISPUTE).where(PartnerDispute.dispute_id == dispute_id)
    if partner_id is not None:
        wanted = wanted.where(PartnerDispute.partner_id == partner_id)
    found = await all_as(session, DisputeView, wanted)
    if not found:
        raise DisputeNotFound(dispute=dispute_id)
    return found[0]


async def list_disputes(
    session: AsyncSession,
    *,
    partner_id: UUID | None = None,
    statuses: Collection[DisputeStatus] = (),
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[DisputeView]:
    """Return disputes, the latest first; of one partner, or of all for the office."""
    wanted = select(*_DISPUTE)
    if partner_id is not None:
        wanted = wanted.where(PartnerDispute.partner_id == partner_id)
    if statuses:
        wanted = wanted.where(PartnerDispute.status.in_(statuses))
    keys = [Key(PartnerDispute.dispute_id, descending=True)]
    return await page_as(session, DisputeView, wanted, keys=keys, cursor=cursor, limit=limit)


def stated(row: PartnerStatement) -> Stated:
    """Return a kept statement as its files say it."""
    totals = msgspec.convert(row.totals, list[Total])
    facts = msgspec.convert(row.facts, Facts)
    return Stated(facts, row.month, row.currency, row.opening_minor, row.due_minor, totals, row.closed_at, is_final=True)
