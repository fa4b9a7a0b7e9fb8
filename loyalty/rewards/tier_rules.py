"""Decisions about tiers: which window counts, which tier figures reach, what becomes of who no longer does. Plain values in and out."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from loyalty.rewards.model_tiers import Downgrade, Meets, MoveWhy, TierWindow
from loyalty.rewards.points_rules import months_later

_MONTHS = {TierWindow.MONTH: 1, TierWindow.QUARTER: 3, TierWindow.YEAR: 12}


class Span(NamedTuple):
    """Days `[begins, ends)`."""

    begins: date
    ends: date

    @property
    def last(self) -> date:
        """The last day of it."""
        return self.ends - timedelta(days=1)


class Figures(NamedTuple):
    """What a customer did in a window; amounts in minor units, quantity in thousandths."""

    spend_minor: int = 0
    quantity_milli: int = 0
    topup_minor: int = 0
    visits: int = 0


class Criteria(NamedTuple):
    """What a tier asks; None: it does not ask that. Nothing at all: it is everybody's."""

    code: str
    rank: int
    meets: Meets
    spend_minor: int | None = None
    quantity_milli: int | None = None
    topup_minor: int | None = None
    visits: int | None = None

    @property
    def asked(self) -> list[tuple[str, int]]:
        """What it asks: the figure's name and how much of it."""
        return [(name, wanted) for name in Figures._fields if (wanted := getattr(self, name)) is not None]


class Terms(NamedTuple):
    """What all tiers have in common; see `TierProgramme`."""

    window: TierWindow
    window_days: int | None
    grace_days: int
    downgrade: Downgrade


class Held(NamedTuple):
    """Where a customer stands; rank 0 is no tier."""

    rank: int = 0
    grace_until: date | None = None
    granted_until: date | None = None
    locked: bool = False


class Verdict(NamedTuple):
    """Where the customer stands from now on; `why` is None where the tier stays."""

    rank: int
    grace_until: date | None
    why: MoveWhy | None


def window_of(terms: Terms, *, today: date, joined: date) -> Span:
    """Return the window that counts today."""
    if terms.window is TierWindow.ROLLING:
        assert terms.window_days is not None, "a rolling window has its days"
        return Span(today - timedelta(days=terms.window_days - 1), today + timedelta(days=1))
    if terms.window is TierWindow.ANNIVERSARY:
        years = today.year - joined.year
        if months_later(joined, 12 * years) > today:
            years -= 1
        return Span(months_later(joined, 12 * years), months_later(joined, 12 * (years + 1)))
    months = _MONTHS[terms.window]
    begins = months_later(today.replace(day=1), -((today.month - 1) % months))
    return Span(begins, months_later(begins, months))


def window_before(terms: Terms, window: Span, *, joined: date) -> Span | None:
    """Return the window before, whose figures still hold a tier until this one ends; a rolling one has none."""
    if terms.window is TierWindow.ROLLING:
        return None
    if terms.window is TierWindow.ANNIVERSARY:
        years = window.begins.year - joined.year
        return Span(months_later(joined, 12 * (years - 1)), window.begins)
    return Span(months_later(window.begins, -_MONTHS[terms.window]), window.begins)


def meets(tier: Criteria, figures: Figures) -> bool:
    """Say whether figures meet a tier's criteria."""
    each = [getattr(figures, name) >= wanted for name, wanted in tier.asked]
    return not each or (any(each) if tier.meets is Meets.ANY else all(each))


def reached(tiers: Sequence[Criteria], figures: Figures) -> int:
    """Return the rank of the highest tier that figures reach; 0: none."""
    return max((tier.rank for tier in tiers if meets(tier, figures)), default=0)


def judge(held: Held, *, reached: int, terms: Terms, ranks: Sequence[int], today: date) -> Verdict:
    """Say where a customer stands, who has reached `reached`: up at once, down only after the grace.

    `ranks` are those of the active tiers. A tier that a person granted is kept until its day, and a locked customer is never downgraded.
    """
    if reached > held.rank:
        return Verdict(reached, None, MoveWhy.REACHED)
    if reached == held.rank:
        return Verdict(held.rank, None, None)
    granted = held.granted_until is not None and held.granted_until > today
    if held.locked or granted or terms.downgrade is Downgrade.NEVER:
        return Verdict(held.rank, None, None)
    until = held.grace_until or today + timedelta(days=terms.grace_days)
    if until > today:
        return Verdict(held.rank, until, None)
    if terms.downgrade is Downgrade.BY_BALANCE:
        return Verdict(reached, None, MoveWhy.GRACE_ENDED)
    below = max((rank for rank in ranks if rank < held.rank), default=0)
    lower = max(below, reached)
    return Verdict(lower, today + timedelta(days=terms.grace_days) if lower > reached and terms.grace_days else None, MoveWhy.GRACE_ENDED)
