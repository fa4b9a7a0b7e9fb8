"""What of a sale's benefits goes back with a refund: budgets and counters at once, grants by the room that collected them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.mirroring import Mirrored, Part
from loyalty.authorizations.model import Refund, Sale
from loyalty.ledger.model import TransferKind
from loyalty.money import round_half_up
from loyalty.pricing.bounding import Count
from loyalty.pricing.compiling import budget_id
from loyalty.pricing.freezing import BudgetUse
from loyalty.pricing.operations import budgets
from loyalty.pricing.refunding import returned

Returned = list[tuple[str, str, int]]
"""(rule, kind, so much)."""


class Share(NamedTuple):
    """A refund's part of a whole: all of it, what went back before, and what goes back now."""

    whole: int
    before: int
    now: int


async def give_back(
    session: AsyncSession, *, sale: Sale, parts: Sequence[Part], mirrored: Sequence[Mirrored], gross_minor: int
) -> Returned | None:
    """Give back to budgets and counters what this refund takes of a sale's benefits; return what goes back of each, None for nothing.

    A discount goes back as its transfers do, a grant with the gross amount; both are rounded cumulatively, so that the last part is exact.
    The sale is locked, and not yet moved on. A counter of a window that is over is given back too: nothing asks it any more.
    """
    detail: dict[str, Any] = sale.detail or {}
    benefits: list[dict[str, Any]] = detail.get("benefits", [])
    if not benefits and not detail.get("counts"):
        return None
    gross = Share(sale.gross_minor, sale.refunded_minor, gross_minor)
    discounts = [part for part in parts if part.kind == TransferKind.DISCOUNT]
    whole = sum(part.amount_minor for part in discounts)
    discount = Share(
        whole,
        whole - sum(part.left_minor for part in discounts),
        sum(given.amount_minor for given in mirrored if given.part.kind == TransferKind.DISCOUNT),
    )
    before = await _returned_before(session, sale)
    back = _back([benefit for benefit in benefits if benefit["kind"] == "discount"], discount, before)
    back += _back([benefit for benefit in benefits if benefit["kind"] != "discount"], gross, before)
    await budgets.count(session, counts=_counts(detail.get("counts", ()), gross))
    await budgets.take(session, uses=_uses(benefits, back))
    return back or None


def _back(benefits: Sequence[Mapping[str, Any]], share: Share, before: Mapping[tuple[str, str], int]) -> Returned:
    if not benefits or not share.whole:
        return []
    return returned(
        benefits, gross_minor=share.whole, refunded_before_minor=share.before, refunded_now_minor=share.now, returned_before=before
    )


async def _returned_before(session: AsyncSession, sale: Sale) -> dict[tuple[str, str], int]:
    rows = await session.scalars(select(Refund.benefits).where(Refund.account_id == sale.account_id, Refund.sale_id == sale.sale_id))
    before: dict[tuple[str, str], int] = {}
    for benefits in rows:
        for rule, kind, amount in benefits or ():
            before[rule, kind] = before.get((rule, kind), 0) + amount
    return before


def _counts(counted: Sequence[Sequence[Any]], gross: Share) -> list[Count]:
    """Return the counters' share: amounts with the gross amount, the times with the last of it."""
    changes: list[Count] = []
    after = gross.before + gross.now
    for subject, counter, start, amount, times in counted:
        back = round_half_up(amount * after, gross.whole) - round_half_up(amount * gross.before, gross.whole)
        gone = times if after == gross.whole else 0
        if back or gone:
            changes.append(Count(UUID(subject), UUID(counter), start, -back, -gone, None, None))
    return changes


def _uses(benefits: Sequence[Mapping[str, Any]], back: Returned) -> list[BudgetUse]:
    shares = {(benefit["rule"], benefit["kind"]): benefit["budget"] for benefit in benefits if benefit.get("budget")}
    uses: list[BudgetUse] = []
    for rule, kind, amount in back:
        if (rule, kind) in shares:
            code, share = shares[rule, kind]
            uses.append(BudgetUse(budget_id(code), share, 0, -amount))
    return uses
