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


def price_of(benefit: Benefit) -> int | None:
    """Return what one piece of a benefit costs by the agreement, in minor units: its amount, or the premium of its first band.

    None where the partner's till says it: a discount in parts of the sale.
    """
    if benefit.amount_minor is not None:
        return benefit.amount_minor
    return benefit.bands[0].premium_minor if benefit.bands else None


def saved_by(benefit: Benefit, *, gross_minor: int, honoured_minor: int | None) -> int:
    """Return what a customer saves by a benefit on a sale of `gross_minor`; `honoured_minor`: what a voucher of money was good for.

    A share is rounded half up; nobody saves more than the sale.
    """
    if honoured_minor is not None:
        saved = honoured_minor
    elif benefit.share is not None:
        saved = round_half_up(gross_minor * benefit.share, WHOLE)
    else:
        saved = price_of(benefit) or 0
    return min(saved, gross_minor)


class Draw(NamedTuple):
    """What one event takes of a limit: whose, of which month (None: for ever), how much, of how much."""

    subject: str
    month: date | None
    amount: int
    at_most: int


def draws_of(terms: Terms, benefit: Benefit | None, worth: Worth, *, month: date, plate: str | None) -> list[Draw]:
    """Return the limits on which an event draws, in the order in which they are locked.

    A benefit bound to a plate is limited a plate and month (domain notes: a free service with a monthly count), any other in all.
    """
    found = []
    borne = worth.saved_minor - worth.partner_minor
    if terms.cap_month_minor is not None and borne:
        found.append(Draw("cost", month, borne, terms.cap_month_minor))
    if benefit is not None:
        if benefit.limit_total is not None:
            found.append(Draw(f"benefit:{benefit.code}", None, 1, benefit.limit_total))
        if benefit.limit_each_month is not None:
            whose = f"plate:{benefit.code}:{plate}" if benefit.plate_bound else f"benefit:{benefit.code}"
            found.append(Draw(whose, month, 1, benefit.limit_each_month))
    return sorted(found, key=lambda draw: (draw.subject, draw.month or date.min))


def month_of(day: date) -> date:
    """Return the first day of a day's month."""
    return day.replace(day=1)


def month_after(month: date) -> date:
    """Return the first day of the month after."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
