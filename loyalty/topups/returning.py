"""How a top-up goes back: the payer gets what he paid, the funders what they gave; bonus goes back first, what is spent of it is kept back.

Pure. Each benefit goes back by the share of the load that does, rounded cumulatively, so that the last part is exact; its funders share it
by what each still has in it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from loyalty.money import round_half_up, share_out, shown
from loyalty.pricing.bounding import Count
from loyalty.pricing.compiling import budget_id
from loyalty.pricing.freezing import BudgetUse
from loyalty.pricing.refunding import returned

from .offering import BONUS, DISCOUNT
from .rules import RefundTooLarge

BY_HAND = ""
"""Stands for the rule of bonus money that no rule gave."""
Back = list[tuple[str, str, int]]
"""(rule, kind, so much)."""


class Loaded(NamedTuple):
    """A booked top-up and what went back of it so far."""

    amount_minor: int
    returned_minor: int
    benefits: Sequence[Mapping[str, Any]]
    """As `topups.detail` has them, bonus money given by hand among them (`by_hand`)."""
    earlier: Sequence[Sequence[Sequence[Any]]]
    """The benefits of each return before, the first one first."""


def by_hand(amount_minor: int, funder: str, lot: UUID) -> dict[str, Any]:
    """Return bonus money that no rule gave in the form of a benefit."""
    return {"rule": BY_HAND, "kind": BONUS, "given": amount_minor, "funders": [[funder, amount_minor]], "lot": str(lot)}


class Piece(NamedTuple):
    """What one funder gets back: out of which bonus lot, None for the principal; `lot` is where its money went in, None for a discount."""

    kind: str
    funder: str
    amount_minor: int
    source: UUID | None
    lot: UUID | None


class LoadRefund(NamedTuple):
    """How a part of a load goes back: `amount_minor` of the principal is the payer's, the discount's funders' and the bonus' funders'."""

    amount_minor: int
    paid_minor: int
    discount_minor: int
    bonus_minor: int
    """From bonus lots."""
    shortfall_minor: int
    """Bonus that was spent already, kept back from the principal."""
    pieces: tuple[Piece, ...]
    back: Back


def plan_refund(loaded: Loaded, *, amount_minor: int, lots: Mapping[UUID, int], currency: str, keep_back: bool = True) -> LoadRefund:
    """Divide a refund of `amount_minor` of a load; `lots` is what each bonus lot holds that is free.

    :param keep_back: whether bonus that was spent is kept back from the principal; else it is let go
    :raises RefundTooLarge: if the bonus already spent eats it up
    """
    before = _before(loaded)
    back = returned(
        loaded.benefits,
        gross_minor=loaded.amount_minor,
        refunded_before_minor=loaded.returned_minor,
        refunded_now_minor=amount_minor,
        returned_before=before,
    )
    left = dict(lots)
    pieces: list[Piece] = []
    told: Back = []
    for rule, kind, due in back:
        if kind not in {DISCOUNT, BONUS}:
            told.append((rule, kind, due))
            continue
        benefit = next(one for one in loaded.benefits if one["rule"] == rule and one["kind"] == kind)
        given = _pieces(benefit, _shares(loaded, benefit, due), left, keep_back=keep_back)
        pieces += given
        told.append((rule, kind, sum(piece.amount_minor for piece in given)))
    discount = sum(piece.amount_minor for piece in pieces if piece.kind == DISCOUNT)
    shortfall = sum(piece.amount_minor for piece in pieces if piece.kind == BONUS and piece.source is None)
    paid = amount_minor - discount - shortfall
    if paid < 0 or (shortfall and not paid):
        raise RefundTooLarge(room=shown(0, currency), room_minor=0, wanted=shown(amount_minor, currency))
    bonus = sum(piece.amount_minor for piece in pieces if piece.source is not None)
    return LoadRefund(amount_minor, paid, discount, bonus, shortfall, tuple(pieces), [one for one in told if one[2]])


def _before(loaded: Loaded) -> dict[tuple[str, str], int]:
    before: dict[tuple[str, str], int] = {}
    for back in loaded.earlier:
        for rule, kind, amount in back:
            before[rule, kind] = before.get((rule, kind), 0) + amount
    return before


def _shares(loaded: Loaded, benefit: Mapping[str, Any], due: int) -> list[tuple[str, int]]:
    """Share what goes back over the benefit's funders by what is left of each one's part, the returns before replayed in their order."""
    lefts = [amount for _, amount in benefit["funders"]]
    for back in loaded.earlier:
        for rule, kind, amount in back:
            if (rule, kind) == (benefit["rule"], benefit["kind"]):
                lefts = [left - gone for left, gone in zip(lefts, share_out(amount, lefts), strict=True)]
    return list(zip([funder for funder, _ in benefit["funders"]], share_out(due, lefts), strict=True))


def _pieces(benefit: Mapping[str, Any], shares: Sequence[tuple[str, int]], left: dict[UUID, int], *, keep_back: bool) -> list[Piece]:
    """Say where each funder's part comes from: a bonus from its lot as far as that goes, then from the principal; `left` is lessened."""
    if benefit["kind"] == DISCOUNT:
        return [Piece(DISCOUNT, funder, amount, None, None) for funder, amount in shares if amount]
    lot = UUID(benefit["lot"])
    pieces: list[Piece] = []
    for funder, amount in shares:
        out = min(amount, max(left.get(lot, 0), 0))
        left[lot] = left.get(lot, 0) - out
        pieces.append(Piece(BONUS, funder, out, lot, lot))
        if keep_back:
            pieces.append(Piece(BONUS, funder, amount - out, None, lot))
    return [piece for piece in pieces if piece.amount_minor]


def counts_back(counted: Sequence[Sequence[Any]], loaded: Loaded, amount_minor: int) -> list[Count]:
    """Return what counters get back: amounts with the load, rounded cumulatively, the times with the last of it."""
    whole, before = loaded.amount_minor, loaded.returned_minor
    after = before + amount_minor
    changes: list[Count] = []
    for subject, counter, start, amount, times in counted:
        back = round_half_up(amount * after, whole) - round_half_up(amount * before, whole)
        gone = times if after == whole else 0
        if back or gone:
            changes.append(Count(UUID(subject), UUID(counter), start, -back, -gone, None, None))
    return changes


def uses_back(loaded: Loaded, back: Back) -> list[BudgetUse]:
    """Return what budgets get back."""
    shares = {(one["rule"], one["kind"]): one["budget"] for one in loaded.benefits if one.get("budget")}
    return [
        BudgetUse(budget_id(shares[rule, kind][0]), shares[rule, kind][1], 0, -amount)
        for rule, kind, amount in back
        if (rule, kind) in shares
    ]


def told_back(refund: LoadRefund, currency: str) -> tuple[str, str] | None:
    """Say what became of the bonus, in Chinese and English; None where there was none to give back."""
    if not refund.bonus_minor and not refund.shortfall_minor:
        return None
    due = shown(refund.bonus_minor + refund.shortfall_minor, currency)
    paid = shown(refund.paid_minor, currency)
    if not refund.shortfall_minor:
        return f"应退回赠送金 {due}，已从赠送余额收回；退款 {paid}。", f"{due} of bonus goes back and was still there; {paid} is paid back."
    spent, out = shown(refund.shortfall_minor, currency), shown(refund.bonus_minor, currency)
    return (
        f"应退回赠送金 {due}：其中 {out} 从赠送余额收回，{spent} 已消费，从退款中扣除；退款 {paid}。",
        f"{due} of bonus goes back: {out} of it was still there, {spent} had been spent and is kept back; {paid} is paid back.",
    )
