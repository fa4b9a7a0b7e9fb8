"""Decisions about purses: plain values in, plain values out."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID, uuid5

from .model import HouseCode, PurseKind

# Plain integers: hashing an enum's member is a Python call, and these stand on the hot path.
_PRINCIPAL = int(PurseKind.PRINCIPAL)
_BONUS = int(PurseKind.BONUS)
_HOUSES = UUID("5b0cfe0e-4f0c-5c43-9c0b-6b1d3b2f7a10")


class SpendStep(StrEnum):
    """One step of a product's spend order."""

    BONUS_EXPIRING = "bonus_expiring"
    """Bonus lots with an expiry, the soonest first."""
    PRINCIPAL = "principal"
    BONUS = "bonus"
    """Bonus lots without an expiry."""


DEFAULT_ORDER = (SpendStep.BONUS_EXPIRING, SpendStep.PRINCIPAL, SpendStep.BONUS)


class PurseView(NamedTuple):
    """One purse as a decision sees it; amounts in minor units of `unit`."""

    purse_id: UUID
    kind: int
    unit: str
    balance_minor: int
    held_minor: int
    credit_limit_minor: int = 0
    expires_at: datetime | None = None
    card_id: UUID | None = None
    spending: str | None = None
    """What it may be spent on, a `spending.Spending` as JSON; None: anything."""

    @property
    def available_minor(self) -> int:
        """What may still be spent or held: balance + credit − held."""
        return self.balance_minor + self.credit_limit_minor - self.held_minor


class Take(NamedTuple):
    """So much from that purse."""

    purse_id: UUID
    amount_minor: int


@lru_cache(maxsize=65536)
def house_id(code: HouseCode, currency: str, reference: str) -> UUID:
    """Return the id of a house account: computed, so that every worker knows it without asking."""
    return uuid5(_HOUSES, f"{code}:{currency}:{reference}")


def spendable(purses: Iterable[PurseView], *, card_id: UUID | None, unit: str, now: datetime) -> list[PurseView]:
    """Return the money purses a card may draw on: of its unit, not expired, the account's own or allocated to this card."""
    return [
        purse
        for purse in purses
        if (purse.kind == _PRINCIPAL or purse.kind == _BONUS)  # noqa: PLR1714 - two comparisons cost less than a set
        and purse.unit == unit
        and (purse.card_id is None or purse.card_id == card_id)
        and (purse.expires_at is None or purse.expires_at > now)
    ]


def funds_of(purses: Iterable[PurseView]) -> int:
    """Return what all of them together may still spend or hold, in minor units."""
    return sum([purse.available_minor for purse in purses])


def in_spend_order(purses: Sequence[PurseView], order: Sequence[SpendStep] = DEFAULT_ORDER) -> list[PurseView]:
    """Return the purses in the order they are spent; equal ones by id, so that the order is the same everywhere.

    Money allocated to a card goes before the account's own within a step.
    """

    def rank(purse: PurseView) -> tuple[int, float, bool, int]:
        if purse.kind == _PRINCIPAL:
            step = SpendStep.PRINCIPAL
        else:
            step = SpendStep.BONUS if purse.expires_at is None else SpendStep.BONUS_EXPIRING
        return (
            order.index(step) if step in order else len(order),
            purse.expires_at.timestamp() if purse.expires_at is not None else float("inf"),
            purse.card_id is None,
            purse.purse_id.int,
        )

    return sorted(purses, key=rank)


def allocate(purses: Sequence[PurseView], amount_minor: int, order: Sequence[SpendStep] = DEFAULT_ORDER) -> list[Take]:
    """Say what each purse gives towards `amount_minor`, in spend order.

    The takes sum to less than the amount where the purses do not hold it: the caller decides what that means.
    """
    if len(purses) == 1:
        only = purses[0]
        given = min(amount_minor, only.available_minor)
        return [Take(only.purse_id, given)] if given > 0 else []
    takes: list[Take] = []
    for purse in in_spend_order(purses, order):
        if amount_minor <= 0:
            break
        given = min(amount_minor, purse.available_minor)
        if given > 0:
            takes.append(Take(purse.purse_id, given))
            amount_minor -= given
    return takes
