"""What companies owe: drawn now or at an instant, on bills, by age."""

from datetime import date, datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.fleet.model_credit import CompanyCredit, CreditBill, CreditProposal, ProposalStatus
from loyalty.fleet.queries.companies import CompanyView
from loyalty.ids import uuid7_floor
from loyalty.ledger.model import HouseCode, Transfer
from loyalty.ledger.rules import house_id
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
    own_use: bool
    """The chain's own: nobody is billed, the limit is a day's."""


class ProposalView(msgspec.Struct, frozen=True):
    """Terms that wait for their checker."""

    proposal_id: UUID
    limit_minor: int
    terms_days: int
    block_after_days: int
    own_use: bool
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
WHERE NOT c.own_use AND (CAST(:company AS uuid) IS NULL OR c.company_id = :company)
GROUP BY c.company_id, u.name, m.currency, c.limit_minor, c.blocked_at
"""


async def get_credit(session: AsyncSession, *, company_id: UUID) -> CreditView | None:
    """Return what stands agreed with a company; None where it always paid in advance."""
    columns = [getattr(CompanyCredit, name) for name in CreditView.__struct_fields__]
    return await one_as(session, CreditView, select(*columns).where(CompanyCredit.company_id == company_id))


async def proposal_of(session: AsyncSession, *, company_id: UUID) -> ProposalView | None:
    """Return the terms that wait for their checker."""
    statement = select(*(getattr(CreditProposal, name) for name in ProposalView.__struct_fields__))
    waiting = statement.where(CreditProposal.company_id == company_id, CreditProposal.status == ProposalStatus.PROPOSED)
    return await one_as(session, ProposalView, waiting)


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


async def own_use_of(session: AsyncSession, *, company: CompanyView, since: datetime) -> int:
    """Return what was booked as the chain's own use of a company's vehicles since an instant, minor units."""
    booked = select(func.sum(Transfer.amount_minor)).where(
        Transfer.account_id == company.account_id,
        Transfer.transfer_id >= uuid7_floor(since),
        Transfer.debit_id == house_id(HouseCode.OWN_USE, company.currency, str(company.company_id)),
    )
    return int(await session.scalar(booked) or 0)
