"""What companies owe: drawn now or at an instant, on bills, by age."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.fleet.model_credit import CreditBill
from loyalty.ids import uuid7_floor
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
