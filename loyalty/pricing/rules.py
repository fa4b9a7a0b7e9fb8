"""Which term applies, and what it is worth: pure, exact, the same at quote, authorisation and completion."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from loyalty.money import line_amount


class Term(msgspec.Struct, frozen=True):
    """A discount term as a worker keeps it."""

    term_id: UUID
    code: str
    revision: int
    name_zh: str
    name_en: str
    card_product_id: UUID | None
    product_id: UUID | None
    station_id: UUID | None
    currency: str
    rate_e4: int
    funder: str
    valid_from: datetime
    valid_to: datetime | None


class FrozenTerm(msgspec.Struct, frozen=True):
    """What an authorisation freezes: rule, revision, rate and funder, never the fuel price."""

    code: str
    revision: int
    rate_e4: int
    funder: str
    name_zh: str
    name_en: str

    def document(self) -> dict[str, object]:
        """Return it as it is stored beside the authorisation or sale."""
        return msgspec.structs.asdict(self)


def term_for(
    terms: Iterable[Term], *, card_product_id: UUID, product_id: UUID, station_id: UUID, currency: str, now: datetime
) -> FrozenTerm | None:
    """Return the one term that applies: the best for the customer, the lower code among equals; None where none does."""
    best: Term | None = None
    for term in terms:
        if (
            (term.card_product_id is None or term.card_product_id == card_product_id)
            and (term.product_id is None or term.product_id == product_id)
            and (term.station_id is None or term.station_id == station_id)
            and term.currency == currency
            and term.valid_from <= now
            and (term.valid_to is None or now < term.valid_to)
            and (best is None or (-term.rate_e4, term.code) < (-best.rate_e4, best.code))
        ):
            best = term
    return None if best is None else FrozenTerm(best.code, best.revision, best.rate_e4, best.funder, best.name_zh, best.name_en)


def discount_of(term: FrozenTerm | None, *, quantity_milli: int, unit_price_e4: int, gross_minor: int, digits: int = 2) -> int:
    """Return the discount in minor units: gross − round((price − rate) × quantity), half-up, within [0, gross].

    `gross_minor` is the pump's amount, which is authoritative; the rate never makes a price negative.
    """
    if term is None:
        return 0
    net_e4 = unit_price_e4 - term.rate_e4 if term.rate_e4 < unit_price_e4 else 0
    saved = line_amount(quantity_milli, unit_price_e4, digits) - line_amount(quantity_milli, net_e4, digits)
    return 0 if saved < 0 else min(saved, gross_minor)
