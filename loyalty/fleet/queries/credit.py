"""What companies owe: drawn now or at an instant, on bills, by age."""

from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.fleet.model_credit import CompanyCredit, CreditBill, CreditProposal, ProposalStatus
from loyalty.ids import uuid7_floor
from loyalty.paging import PAGE_SIZE, Key, Page, one_as, page_as
from loyalty.topups.model import Topup, TopupStatus

_DRAWN = """
SELECT greatest(-(p.balance_minor - coalesce(sum(CASE WHEN t.credit_id = p.purse_id THEN t.amount_minor ELSE -t.amount_minor END), 0)), 0)
FROM purses p LEFT JOIN transfers t ON t.account_id = p.account_id AND t.transfer_id >= :floor AND p.purse_id IN (t.credit_id, t.debit_id)
WHERE p.account_id = :account AND p.kind = 1 AND p.card_id IS NULL GROUP BY p.purse_id, p.balance_minor
"""
_NOW = """
SELECT greatest(-balance_minor, 0) FROM purses WHERE account_id = :account AND kind = 1 AND card_id IS NULL
"""


async def drawn_of(session: AsyncSession, *, account_id: UUID, at: datetime | None = None) -> int:
    """Return what an account's pool is below nothing, in minor units; with `at`, what it was at that instant."""
    if at is None:
        found = await session.execute(text(_NOW), {"account": account_id})
    else:
        found = await session.execute(text(_DRAWN), {"account": account_id, "floor": uuid7_floor(at)})
    return int(found.scalar_one_or_none() or 0)


async def loads_of(session: AsyncSession, *, account_id: UUID) -> int:
    """Return all that was ever topped up on an account and stands."""
    total = select(func.sum(Topup.amount_minor)).where(Topup.account_id == account_id, Topup.status == TopupStatus.BOOKED)
    return int(await session.scalar(total) or 0)


async def owed_of(session: AsyncSession, *, company_id: UUID) -> int:
    """Return what is open on a company's bills."""
    open_ones = select(func.sum(CreditBill.billed_minor - CreditBill.repaid_minor)).where(
        CreditBill.company_id == company_id, CreditBill.settled_at.is_(None)
    )
    return int(await session.scalar(open_ones) or 0)


class CreditView(msgspec.Struct, frozen=True):
    """What stands agreed with a company, minor units and days."""

    limit_minor: int
    terms_days: int
    block_after_days: int
    blocked_at: datetime | None


class ProposalView(msgspec.Struct, frozen=True):
    """Terms that wait for their checker."""

    proposal_id: UUID
    limit_minor: int
    terms_days: int
    block_after_days: int
    note: str
    made_by: UUID
    made_at: datetime


class BillView(msgspec.Struct, frozen=True):
    """One bill, days half-open, minor units."""

    bill_id: UUID
    first_day: date
    end_day: date
    due_day: date
    billed_minor: int
    repaid_minor: int
    settled_at: datetime | None


class Ageing(msgspec.Struct, frozen=True):
    """What is open on a company's bills by how late it is, minor units; late is the day after the due day."""

    company_id: UUID
    name: str
    currency: str
    limit_minor: int
    blocked: bool
    not_due: int
    to_30: int
    to_60: int
    to_90: int
    over_90: int
    total: int


_AGEING: Final = """
SELECT c.company_id, u.name, m.currency, c.limit_minor, c.blocked_at IS NOT NULL AS blocked,
    coalesce(sum(b.open) FILTER (WHERE b.late <= 0), 0)::bigint AS not_due,
    coalesce(sum(b.open) FILTER (WHERE b.late BETWEEN 1 AND 30), 0)::bigint AS to_30,
    coalesce(sum(b.open) FILTER (WHERE b.late BETWEEN 31 AND 60), 0)::bigint AS to_60,
    coalesce(sum(b.open) FILTER (WHERE b.late BETWEEN 61 AND 90), 0)::bigint AS to_90,
    coalesce(sum(b.open) FILTER (WHERE b.late > 90), 0)::bigint AS over_90, coalesce(sum(b.open), 0)::bigint AS total
FROM company_credits c JOIN companies m ON m.company_id = c.company_id JOIN customers u ON u.customer_id = c.company_id
LEFT JOIN LATERAL (
    SELECT x.billed_minor - x.repaid_minor AS open, (CAST(:now AS timestamptz) AT TIME ZONE m.time_zone)::date - x.due_day AS late
    FROM credit_bills x WHERE x.company_id = c.company_id AND x.settled_at IS NULL
) b ON true
WHERE CAST(:company AS uuid) IS NULL OR c.company_id = :company
GROUP BY c.company_id, u.name, m.currency, c.limit_minor, c.blocked_at
"""


async def get_credit(session: AsyncSession, *, company_id: UUID) -> CreditView | None:
    """Return what stands agreed with a company; None where it always paid in advance."""
    one = CompanyCredit
    statement = select(one.limit_minor, one.terms_days, one.block_after_days, one.blocked_at).where(one.company_id == company_id)
    return await one_as(session, CreditView, statement)


async def proposal_of(session: AsyncSession, *, company_id: UUID) -> ProposalView | None:
    """Return the terms that wait for their checker."""
    one = CreditProposal
    statement = select(one.proposal_id, one.limit_minor, one.terms_days, one.block_after_days, one.note, one.made_by, one.made_at)
    return await one_as(session, ProposalView, statement.where(one.company_id == company_id, one.status == ProposalStatus.PROPOSED))


async def list_bills(session: AsyncSession, *, company_id: UUID, cursor: str | None = None, limit: int = PAGE_SIZE) -> Page[BillView]:
    """Return a company's bills, the latest first."""
    one = CreditBill
    statement = select(one.bill_id, one.first_day, one.end_day, one.due_day, one.billed_minor, one.repaid_minor, one.settled_at)
    keys = [Key(one.first_day, descending=True), Key(one.bill_id, descending=True)]
    return await page_as(session, BillView, statement.where(one.company_id == company_id), keys=keys, cursor=cursor, limit=limit)


async def ageing_of(session: AsyncSession, *, company_id: UUID | None = None, now: datetime) -> list[Ageing]:
    """Return what is open by age, of one company or of all on account, those that owe most first; at most 500."""
    statement = text(f"{_AGEING} ORDER BY total DESC, u.name LIMIT 500")
    rows = await session.execute(statement, {"company": company_id, "now": now})
    return [Ageing(*row) for row in rows]
