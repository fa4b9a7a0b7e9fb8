"""What a rule is asked about: the goods, the customer, the moment. Plain, and the same at quote, pump, counter, top-up and backtest."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from .document import Channel

CARD = "card"
"""The card's own money among the tenders."""
TOPUP_GOODS = "topup"
"""The code and tag of the one line of a top-up."""


class Goods(NamedTuple):
    """One line: fuel at the pump's price and amount, or an article."""

    product: str
    tags: frozenset[str]
    """Its category, fuel kind and shop category."""
    quantity_milli: int
    unit_price_e4: int
    amount_minor: int


class Where(NamedTuple):
    """The place, as far as rules ask."""

    station_id: UUID
    district_id: UUID
    region_id: UUID
    currency: str
    digits: int


class Person(NamedTuple):
    """Who buys, as far as rules ask. Nothing known is a bearer without history."""

    account_id: UUID
    chain_id: UUID | None = None
    customer_id: UUID | None = None
    """The identity: of a merged record the one that stays."""
    account_kind: str = "personal"
    tier: str | None = None
    segment: str | None = None
    flyer: str | None = None
    birthday: date | None = None
    opened_at: datetime | None = None
    registered_at: datetime | None = None
    earns_points: bool = True
    """False for a bearer card, unless the profile says otherwise."""
    agreement: str | None = None
    """A company's agreements, `agreements.Term` as JSON."""
    had: Mapping[tuple[UUID, date], tuple[int, int]] = {}
    """What counters show: (cap, start) → (amount, count)."""


class Moment(NamedTuple):
    """When, by the station's clock."""

    now: datetime
    local: datetime


class Basket(NamedTuple):
    """What is bought, how, and paid with what."""

    goods: tuple[Goods, ...]
    channel: Channel
    tenders: tuple[str, ...] = (CARD,)
    flyers: tuple[str, ...] = ()
    """Codes shown with this transaction."""
