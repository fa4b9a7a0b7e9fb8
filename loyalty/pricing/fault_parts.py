"""What faults are made of: the fault itself, the codes that there are, and the questions that several parts of a rulebook ask. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import msgspec

from loyalty.money import minor_digits

from .document import Cap, Per, Rule
from .fault_words import WORDS


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong: where it stands, a stable code, and a sentence in Chinese and English that says what and what to do."""

    part: str
    """`document`, `rule`, `group`, `budget` or `campaign`."""
    code: str
    """Whose: the rule's, group's, budget's or campaign's code; empty for the document."""
    field: str
    """Where in it, as a path: `when.stations`, `effect.bands`."""
    fault: str
    zh: str
    en: str


class StationFacts(NamedTuple):
    """What rules need to know of a station."""

    currency: str
    district: str
    region: str


class GoodsFacts(NamedTuple):
    """What rules need to know of a product: its category, fuel kind and shop category, and what it is measured in."""

    tags: frozenset[str]
    unit: str


class BudgetFacts(NamedTuple):
    """A budget as it stands: what it counts, and how much is used or set aside."""

    unit: str
    currency: str | None
    taken: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The codes that there are. None: not known here, so not checked."""

    stations: Mapping[str, StationFacts]
    districts: Collection[str]
    regions: Collection[str]
    card_products: Collection[str]
    products: Mapping[str, GoodsFacts]
    categories: Collection[str]
    tiers: Collection[str] | None = None
    gifts: Collection[str] | None = None
    vouchers: Collection[str] | None = None
    budgets: Mapping[str, BudgetFacts] = field(default_factory=dict)


class Place(NamedTuple):
    """Whose faults are being told."""

    part: str
    code: str = ""

    def fault(self, field: str, fault: str, value: object = "", **more: object) -> Fault:
        """Say that a field is wrong."""
        zh, en = WORDS[fault]
        facts = {"value": value} | more
        return Fault(part=self.part, code=self.code, field=field, fault=fault, zh=zh.format(**facts), en=en.format(**facts))


def validity_faults(place: Place, starts_at: datetime | None, ends_at: datetime | None) -> Iterator[Fault]:
    """Say what is wrong with a time `[from, to)`."""
    naive = [name for name, instant in (("starts_at", starts_at), ("ends_at", ends_at)) if instant is not None and instant.tzinfo is None]
    for name in naive:
        yield place.fault(name, "instant_without_zone")
    if not naive and starts_at is not None and ends_at is not None and ends_at <= starts_at:
        yield place.fault("ends_at", "empty_validity")


def cap_faults(place: Place, caps: Sequence[Cap], *, of_group: bool = False) -> Iterator[Fault]:
    """Say what is wrong with the caps of a rule or a group."""
    seen: set[tuple[str, str]] = set()
    for index, cap in enumerate(caps):
        at = f"caps.{index}"
        kind = (cap.per.value, "" if cap.per is Per.TRANSACTION else cap.of.value)
        if kind in seen:
            yield place.fault(at, "cap_twice")
        seen.add(kind)
        if cap.amount is None and cap.count is None:
            yield place.fault(at, "cap_without_bound")
        if cap.count is not None and cap.per is Per.TRANSACTION:
            yield place.fault(f"{at}.count", "times_in_transaction")
        elif cap.count is not None and of_group and cap.amount is None:
            yield place.fault(f"{at}.amount", "group_cap_times")


def twice(values: Iterable[object]) -> list[object]:
    """Return the values that stand there more than once."""
    return [value for value, times in Counter(values).items() if times > 1]


def is_currency(code: str) -> bool:
    """Say whether the product knows a currency's minor unit."""
    try:
        minor_digits(code)
    except KeyError:
        return False
    return True


def goods_of(rule: Rule, known: Known) -> list[GoodsFacts]:
    """Return the goods that a rule looks at."""
    when = rule.when
    return [
        facts
        for code, facts in known.products.items()
        if (not when.products and not when.categories) or code in when.products or not facts.tags.isdisjoint(when.categories)
        if code not in when.excluded_products and facts.tags.isdisjoint(when.excluded_categories)
    ]
