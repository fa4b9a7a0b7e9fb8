"""What a hot decision is made on: plain, frozen, read in one call or kept in the worker's snapshot."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from loyalty.ledger.rules import PurseView, SpendStep
from loyalty.ledger.spending import Site
from loyalty.limits.levels import Above
from loyalty.limits.rules import Compiled, Used
from loyalty.pricing.basket import Where
from loyalty.pricing.freezing import Frozen


class Place(NamedTuple):
    """A terminal where it stands."""

    terminal_id: UUID
    terminal_status: str
    amount_max_minor: int | None
    station_id: UUID
    station_status: str
    district_id: UUID
    region_id: UUID
    entity_id: UUID
    zone: str
    currency: str
    digits: int
    where: Where
    """The same, as far as rules ask."""
    site: Site = Site()
    """The same by codes, as far as conditions of bonus money ask."""


class Product(NamedTuple):
    """Something sold."""

    product_id: UUID
    code: str
    category: str
    fuel_kind: str | None
    shop_category: str | None
    unit: str = "L"
    tags: frozenset[str] = frozenset()
    """Category, fuel kind and shop category: what rules call it by."""


class CardTerms(NamedTuple):
    """A card product."""

    product_id: UUID
    code: str
    kind: str
    currency: str
    pin_required: bool
    spend_order: tuple[SpendStep, ...]
    fuel_kinds: frozenset[str] | None
    shop_categories: frozenset[str] | None
    limits: Compiled | None


class CardFacts(NamedTuple):
    """A card, its account and its counters as one read showed them.

    The first fifteen come in the order of the read's columns.
    """

    card_id: UUID
    account_id: UUID
    product_id: UUID
    status: int
    version: int
    pin_verifier: bytes | None
    pin_generation: int
    pin_tries: int
    chain_id: UUID
    check_value_index: bytes | None
    expires_on: date | None
    number_tail: str
    account_status: str
    account_kind: str
    currency: str
    limits: Compiled | None
    used: Used | None
    """None where nothing was counted."""
    last_at: datetime | None
    purses: list[PurseView]
    above: Above | None = None
    """What stands over a company's card: the limits of its vehicle, driver, department and company."""


class FillFacts(NamedTuple):
    """A fill on the forecourt's list."""

    fill_id: UUID
    station_id: UUID
    nozzle: int
    product_id: UUID
    quantity_milli: int
    unit_price_e4: int
    amount_minor: int
    status: int
    locked_until: datetime | None


class AuthorizationFacts(NamedTuple):
    """An authorisation that is to be completed; all but its first two, its holds and its purses come in the order of the read's columns."""

    account_id: UUID
    authorization_id: UUID
    card_id: UUID
    chain_id: UUID
    station_id: UUID
    product_id: UUID
    status: int
    reason: int
    flow: int
    nozzle: int | None
    approved_minor: int
    approved_milli: int
    unit_price_e4: int
    holds: tuple[tuple[UUID, int], ...]
    captured_minor: int
    captured_milli: int
    completions: int
    frozen: Frozen | None
    event_at: datetime
    expires_at: datetime | None
    business_day: date
    card_product_id: UUID
    number_tail: str
    currency: str
    purses: list[PurseView]
    subjects: tuple[UUID, ...] = ()
    """The levels that its beginning counted for."""
