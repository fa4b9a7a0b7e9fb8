"""Giving a sale back: which transfer is mirrored by how much. Pure.

A refund is shared out over what is left of the sale's transfers, by largest remainder, so that every part stays within its original, each
refund sums exactly, and the last one leaves nothing anywhere (decisions.md, refund mirror).
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from loyalty.ledger.model import TransferKind
from loyalty.money import round_half_up, share_out

from .model import SaleStatus


class Part(NamedTuple):
    """One transfer of the sale and how much of it no refund has mirrored yet."""

    transfer_id: UUID
    debit_id: UUID
    credit_id: UUID
    kind: int
    amount_minor: int
    left_minor: int


class Mirrored(NamedTuple):
    """So much of that transfer goes back."""

    part: Part
    amount_minor: int


def mirror(parts: Sequence[Part], *, gross_minor: int, receivables: Collection[UUID], undiscounted_minor: int = 0) -> list[Mirrored]:
    """Say which transfers a refund of `gross_minor` mirrors, by how much; parts that give nothing are left out.

    Discount, the card's share and the other tenders go back in proportion to what is left of them. `undiscounted_minor` of the gross is
    shop goods, to which no discount belongs. Within the card's share a receivable goes back first: what was owed is not paid out.
    """
    surcharges = [part for part in parts if part.kind == TransferKind.SURCHARGE]
    parts = [part for part in parts if part.kind != TransferKind.SURCHARGE]
    discounts = [part for part in parts if part.kind == TransferKind.DISCOUNT]
    tenders = [part for part in parts if part.kind == TransferKind.TENDER]
    owed = [part for part in parts if part.kind == TransferKind.SALE and part.debit_id in receivables]
    purses = [part for part in parts if part.kind == TransferKind.SALE and part.debit_id not in receivables]
    discount = _discount_share(parts, discounts, gross_minor, undiscounted_minor)
    card_left = _left(owed) + _left(purses)
    card, *others = share_out(gross_minor - discount, [card_left, *(part.left_minor for part in tenders)])
    from_owed = min(card, _left(owed))
    shares = [
        *zip(discounts, share_out(discount, [part.left_minor for part in discounts]), strict=True),
        *zip(owed, share_out(from_owed, [part.left_minor for part in owed]), strict=True),
        *zip(purses, share_out(card - from_owed, [part.left_minor for part in purses]), strict=True),
        *zip(tenders, others, strict=True),
        *((part, _passed_back(part, gross_minor, _left(parts))) for part in surcharges),
    ]
    return [Mirrored(part, amount) for part, amount in shares if amount]


def quantity_share(*, quantity_left_milli: int, gross_minor: int, gross_left_minor: int) -> int:
    """Return the quantity that goes back with a part of the money, in proportion to what is left; all of it with the last part."""
    return round_half_up(quantity_left_milli * gross_minor, gross_left_minor)


def window_is_open(day: date, *, today: date) -> bool:
    """Say whether any window that counts `day` still runs today: its day, its week from Monday, or its month."""
    return (day.year, day.month) == (today.year, today.month) or day.isocalendar()[:2] == today.isocalendar()[:2]


def may_void(*, status: int, booked_at: datetime, period: int, open_period: int, counted_at: datetime | None) -> bool:
    """Say whether a sale may still be undone as if it had not been: whole, in the open period, before its till's cash was counted."""
    return status == SaleStatus.BOOKED and period == open_period and (counted_at is None or counted_at < booked_at)


def _passed_back(surcharge: Part, gross_minor: int, gross_left_minor: int) -> int:
    """Return how much of a surcharge the issuer gives back to the station with so much of the gross amount; all of it with the last."""
    return round_half_up(surcharge.left_minor * gross_minor, gross_left_minor)


def _left(parts: Sequence[Part]) -> int:
    return sum(part.left_minor for part in parts)


def _discount_share(parts: Sequence[Part], discounts: Sequence[Part], gross_minor: int, undiscounted_minor: int) -> int:
    left, discount_left = _left(parts), _left(discounts)
    fuel, fuel_left = gross_minor - undiscounted_minor, left - undiscounted_minor
    share = round_half_up(discount_left * fuel, fuel_left) if fuel_left > 0 else 0
    # What is not discount must find room in the other parts.
    return min(discount_left, max(share, gross_minor - (left - discount_left)))
