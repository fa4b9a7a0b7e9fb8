"""Decisions about prices, cash and closes: plain values in, plain values out."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

PUBLICATION_LEAD = timedelta(seconds=60)
"""How long before its effect a price is published, so that every worker knows it (decisions.md)."""

CASH = "cash"
"""The tender that a blind count is about."""


class PriceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a price list. `line` names it in the report; without currency it is the station's."""

    line: int
    station_code: str
    product_code: str
    unit_price_e4: int
    effective_from: datetime
    currency: str | None = None


class PriceProblem(StrEnum):
    """Why a line cannot be published."""

    UNKNOWN_STATION = "unknown_station"
    UNKNOWN_PRODUCT = "unknown_product"
    NOT_POSITIVE = "not_positive"
    CURRENCY_DIFFERS = "currency_differs"
    CONTRADICTION = "contradiction"
    """Two lines give one instant two prices."""
    ALREADY_PUBLISHED = "already_published"
    """Another price stands for that instant: withdraw it first."""
    TOO_SOON = "too_soon"
    """It would take effect before every worker knows it, or in the past."""


class PriceWarning(StrEnum):
    """What is published but looks odd."""

    JUMP = "jump"
    """Far from the price before it: a slipped decimal point, perhaps."""


PRICE_SENTENCES: dict[PriceProblem | PriceWarning, tuple[str, str]] = {
    PriceProblem.UNKNOWN_STATION: ("没有此油站编号。", "There is no station with this code."),
    PriceProblem.UNKNOWN_PRODUCT: ("没有此商品编号。", "There is no product with this code."),
    PriceProblem.NOT_POSITIVE: ("单价必须大于零。", "The price must be above zero."),
    PriceProblem.CURRENCY_DIFFERS: ("币种与油站不一致。", "The currency is not the station's."),
    PriceProblem.CONTRADICTION: ("同一时刻在文件中有两个价格。", "The file gives two prices for one instant."),
    PriceProblem.ALREADY_PUBLISHED: ("该时刻已发布另一价格，请先撤回。", "Another price is published for this instant: withdraw it first."),
    PriceProblem.TOO_SOON: ("生效时间太近或已过，请推后。", "It takes effect too soon or in the past: choose a later time."),
    PriceWarning.JUMP: ("与前一价格相差过大，请核对。", "It differs much from the price before: please check."),
}
"""What each says, in Chinese and English."""


@dataclass(frozen=True, slots=True)
class PriceNote:
    """One remark on one line."""

    line: int
    code: PriceProblem | PriceWarning


@dataclass(frozen=True, slots=True)
class KnownStation:
    station_id: UUID
    currency: str


@dataclass(frozen=True, slots=True)
class NewPrice:
    """A price to publish."""

    line: int
    station_id: UUID
    product_id: UUID
    currency: str
    effective_from: datetime
    unit_price_e4: int


@dataclass(frozen=True, slots=True)
class PriceJudgement:
    publish: list[NewPrice]
    unchanged: int
    problems: list[PriceNote]
    warnings: list[PriceNote]


Standing = Mapping[tuple[UUID, UUID], Mapping[datetime, int]]
"""What is published, by (station, product) and the instant of effect."""


def judge_prices(
    rows: Sequence[PriceRow],
    *,
    stations: Mapping[str, KnownStation],
    products: Mapping[str, UUID],
    standing: Standing,
    earliest: datetime | None,
    jump_percent_max: int,
) -> PriceJudgement:
    """Sort a price list into what is new, what already stands, and what cannot be.

    `earliest` is the first instant a price may take effect where the product already has one at the station; None (history from another
    system) lets prices reach into the past. The first price of a product at a station may start at any time: no worker knows an older one.
    """
    publish: list[NewPrice] = []
    problems: list[PriceNote] = []
    unchanged = 0
    listed: dict[tuple[UUID, UUID], dict[datetime, int]] = {}
    for row in rows:
        station, product_id = stations.get(row.station_code), products.get(row.product_code)
        if station is None or product_id is None:
            missing = PriceProblem.UNKNOWN_STATION if station is None else PriceProblem.UNKNOWN_PRODUCT
            problems.append(PriceNote(row.line, missing))
            continue
        if (wrong := _wrong_in_itself(row, station)) is not None:
            problems.append(PriceNote(row.line, wrong))
            continue
        pair = (station.station_id, product_id)
        published, mine = standing.get(pair, {}), listed.setdefault(pair, {})
        before = mine.get(row.effective_from, published.get(row.effective_from))
        if before == row.unit_price_e4:
            unchanged += 1
        elif before is not None:
            clash = PriceProblem.CONTRADICTION if row.effective_from in mine else PriceProblem.ALREADY_PUBLISHED
            problems.append(PriceNote(row.line, clash))
        elif earliest is not None and published and row.effective_from < earliest:
            problems.append(PriceNote(row.line, PriceProblem.TOO_SOON))
        else:
            mine[row.effective_from] = row.unit_price_e4
            publish.append(NewPrice(row.line, *pair, station.currency, row.effective_from, row.unit_price_e4))
    return PriceJudgement(publish, unchanged, problems, _jumps(publish, standing, listed, jump_percent_max))


def _wrong_in_itself(row: PriceRow, station: KnownStation) -> PriceProblem | None:
    if row.unit_price_e4 <= 0:
        return PriceProblem.NOT_POSITIVE
    if row.currency is not None and row.currency != station.currency:
        return PriceProblem.CURRENCY_DIFFERS
    return None


def _jumps(fresh: Sequence[NewPrice], standing: Standing, listed: Standing, percent_max: int) -> list[PriceNote]:
    notes = []
    for price in fresh:
        pair = (price.station_id, price.product_id)
        known = {**standing.get(pair, {}), **listed.get(pair, {})}
        earlier = [instant for instant in known if instant < price.effective_from]
        if earlier and abs(price.unit_price_e4 - known[max(earlier)]) * 100 > known[max(earlier)] * percent_max:
            notes.append(PriceNote(price.line, PriceWarning.JUMP))
    return notes


class TenderTotal(msgspec.Struct, frozen=True, kw_only=True):
    """One tender's takings in a shift: sales and loads on one side, refunds and reversals on the other."""

    tender: str
    taken_minor: int
    returned_minor: int = 0
    count: int = 0


class ProductTotal(msgspec.Struct, frozen=True, kw_only=True):
    product_code: str
    quantity_milli: int
    amount_minor: int
    count: int


class ShiftTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What the books say about a shift; the statements room makes it."""

    tenders: tuple[TenderTotal, ...] = ()
    products: tuple[ProductTotal, ...] = ()
    topups_minor: int = 0
    fees_minor: int = 0
    """Fees taken at the till, by whatever tender; what an account paid itself is not among them."""
    sales_minor: int = 0
    refunds_minor: int = 0
    transactions: int = 0

    @property
    def cash_minor(self) -> int:
        """Cash in minus cash out."""
        return sum(total.taken_minor - total.returned_minor for total in self.tenders if total.tender == CASH)


def expected_cash(*, opening_float_minor: int, totals: ShiftTotals, dropped_minor: int) -> int:
    """Return what should lie in the till: the float, plus cash taken, minus cash given back, minus what went to the safe."""
    return opening_float_minor + totals.cash_minor - dropped_minor


def needs_explanation(*, over_short_minor: int, tolerance_minor: int) -> bool:
    """Say whether a shift may not close on its difference without a word (长短款)."""
    return abs(over_short_minor) > tolerance_minor


def totals_hash(totals: Mapping[str, Any]) -> bytes:
    """Return SHA-256 of the canonical JSON of a day's totals: sorted members, no white space."""
    return hashlib.sha256(msgspec.json.encode(totals, order="sorted")).digest()
