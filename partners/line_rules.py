"""What a partner's event comes to: the benefit's shares, the commission, what the issuer owes. Pure."""

from datetime import date
from typing import NamedTuple

from loyalty.money import round_half_up
from partners.rules import WHOLE, Benefit, Terms, split

PARTNER = "partner"
"""The funder that is the partner itself."""


class Worth(NamedTuple):
    """What one event comes to, in minor units of the partner's currency."""

    gross_minor: int
    saved_minor: int
    shares: dict[str, int]
    partner_minor: int
    commission_share: int
    commission_minor: int

    @property
    def due_minor(self) -> int:
        """What the issuer owes the partner by it; negative: the partner the issuer."""
        return self.saved_minor - self.partner_minor - self.commission_minor


def worth_of(terms: Terms, benefit: Benefit | None, *, gross_minor: int, saved_minor: int) -> Worth:
    """Return what an event comes to under the terms of its day.

    What the customer saved is split among the benefit's funders to the cent; the commission is of the partner's sale, rounded half up
    (domain notes: 40 % of 6,680,000 is 2,672,000). The issuer pays the partner what others than the partner bear, a brand's
    part too: it asks for that of the brand itself.

    :raises ValueError: if the customer saved more than the sale, or something without a benefit
    """
    if not 0 <= saved_minor <= gross_minor or (saved_minor and benefit is None):
        message = f"saved {saved_minor} of {gross_minor}"
        raise ValueError(message)
    shares = split(saved_minor, benefit.funders) if benefit is not None else {}
    rate = terms.commission if benefit is None or benefit.commission is None else benefit.commission
    return Worth(gross_minor, saved_minor, shares, shares.get(PARTNER, 0), rate, round_half_up(gross_minor * rate, WHOLE))


def month_of(day: date) -> date:
    """Return the first day of a day's month."""
    return day.replace(day=1)


def month_after(month: date) -> date:
    """Return the first day of the month after."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
