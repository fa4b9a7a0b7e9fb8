"""How far a purse may be drawn below nothing. Its own file: the limit is agreed elsewhere, the row is the ledger's."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.db import locked
from loyalty.ledger.model import Purse, PurseKind

_POOLS = select(Purse.purse_id).where(Purse.kind == PurseKind.PRINCIPAL, Purse.card_id.is_(None)).order_by(Purse.account_id, Purse.purse_id)
_LIMITS = """
UPDATE purses p SET credit_limit_minor = greatest(w.limit_minor, p.held_minor - p.balance_minor, 0)
FROM unnest(CAST(:accounts AS uuid[]), CAST(:limits AS bigint[])) w(account_id, limit_minor)
WHERE p.account_id = w.account_id AND p.kind = 1 AND p.card_id IS NULL
    AND p.credit_limit_minor <> greatest(w.limit_minor, p.held_minor - p.balance_minor, 0)
"""


async def set_credit_limits(session: AsyncSession, limits: Mapping[UUID, int]) -> int:
    """Set the pools' limits by account, each never below what is drawn and held on it; return how many moved.

    A limit that cannot go down yet goes down as money comes in: call it again after a repayment.
    """
    accounts = sorted(limits)
    await session.execute(locked(_POOLS.where(Purse.account_id.in_(accounts))))
    moved = await session.execute(text(_LIMITS), {"accounts": accounts, "limits": [limits[one] for one in accounts]})
    return int(getattr(moved, "rowcount", 0))
