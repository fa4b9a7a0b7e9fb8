"""What a rulebook asks about a sale besides its goods: only that is read, and only as finely as some rule tells it apart.

Two sales that agree in all of it come to the same: two stations that the same rules are for, two Tuesdays where no rule looks at more than
the weekend, two customers of a tier that no rule names.
"""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from loyalty.pricing.basket import Person, Where
from loyalty.pricing.compiling import Book, Names, Plan, cap_id
from loyalty.pricing.conditions import is_held_out
from loyalty.pricing.document import Campaign, Of, Per, Rule, When

_NAMED: Final = {"customer_id": "customers", "tier": "tiers", "segment": "segments", "flyer": "flyers", "account_kind": "account_kinds"}
"""What is known of a customer, and the condition that lists values of it."""
_DATED: Final = {"birthday": "birthday", "opened_at": "joined_within_days", "registered_at": "converted_within_days"}
"""What is known of a customer, and the condition that counts days from it."""
_MINUTES: Final = 24 * 60
T = TypeVar("T")


class Asks(NamedTuple):
    """Which facts the rules of one book look at, and how finely."""

    weekdays: tuple[int, ...]
    """A class for each, Monday first; empty where no rule looks."""
    month_days: tuple[int, ...]
    """A class for each of 31; empty where no rule looks."""
    clock: tuple[int, ...]
    """Minutes of the day at which some rule's hours begin or end."""
    hours: tuple[int, ...]
    """A class for each part of the day between them."""
    dates: bool
    """The station's date itself: birthdays, how long somebody has been here."""
    instants: tuple[datetime, ...]
    """When some rule or campaign begins or ends, within the period."""
    tenders: bool
    named: Mapping[str, frozenset[object]]
    """Of the customer, by the names of `basket.Person`: the values that some rule names."""
    dated: tuple[str, ...]
    """Of the customer, by the names of `basket.Person`: what some rule counts days from."""
    cards: bool
    """Counters of cards: each card's chain apart."""
    counters: Mapping[UUID, Of]
    """Of caps and n-th conditions: whose they are. Their sales are asked in the order in which they were booked."""
    budgets: Mapping[UUID, int]
    """In full."""

    @property
    def local(self) -> bool:
        """Whether the station's own time matters."""
        return bool(self.weekdays or self.month_days or self.clock or self.dates or self.counters)


def asks_of(book: Book, budgets: Mapping[UUID, int], since: datetime, until: datetime) -> Asks:
    """Say what a book asks about sales of `[since, until)`."""
    rules = [compiled.rule for compiled in book.rules.values()]
    counters = _counters(book)
    clock = tuple(sorted({_minute(end) for rule in rules for part in rule.when.hours for end in (part.starts, part.ends)}))
    parts = [*clock, _MINUTES]
    named = {fact: {value for rule in rules for value in getattr(rule.when, listed)} for fact, listed in _NAMED.items()}
    return Asks(
        weekdays=_classes([rule.when.weekdays for rule in rules], range(1, 8)),
        month_days=_classes([rule.when.month_days for rule in rules], range(1, 32)),
        clock=clock,
        hours=tuple(_numbered(_open_at(rules, minute - 1) for minute in parts)) if clock else (),
        dates=any(getattr(rule.when, condition) for rule in rules for condition in _DATED.values()),
        instants=_instants(rules, book.document.campaigns, since, until),
        tenders=any(rule.when.tenders for rule in rules),
        named={fact: frozenset(values) for fact, values in named.items() if values},
        dated=tuple(fact for fact, condition in _DATED.items() if any(getattr(rule.when, condition) for rule in rules)),
        cards=Of.CARD in counters.values(),
        counters=counters,
        budgets={budget: budgets.get(budget, 0) for budget in book.budgets},
    )


def _minute(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def _open_at(rules: Iterable[Rule], minute: int) -> tuple[bool, ...]:
    """Say for each of the rules' hours whether a minute of the day is within them, as `conditions` does."""
    found: list[bool] = []
    for rule in rules:
        for part in rule.when.hours:
            starts, ends = _minute(part.starts), _minute(part.ends)
            found.append(starts <= minute < ends if starts < ends else minute >= starts or minute < ends)
    return tuple(found)


def _classes(listed: Sequence[Collection[int]], days: Iterable[int]) -> tuple[int, ...]:
    """Return a class for each day, by which of the rules' lists hold it; nothing where no rule has one."""
    lists = [one for one in listed if one]
    return tuple(_numbered(tuple(day in one for one in lists) for day in days)) if lists else ()


def _numbered(kinds: Iterable[Hashable]) -> list[int]:
    """Number kinds in the order in which they first come."""
    known: dict[Hashable, int] = {}
    return [known.setdefault(kind, len(known)) for kind in kinds]


def _instants(rules: list[Rule], campaigns: tuple[Campaign, ...], since: datetime, until: datetime) -> tuple[datetime, ...]:
    parts: tuple[Rule | Campaign, ...] = (*rules, *campaigns)
    found = {instant for part in parts for instant in (part.starts_at, part.ends_at) if instant is not None}
    return tuple(sorted(instant for instant in found if since < instant < until))


def _counters(book: Book) -> dict[UUID, Of]:
    found: dict[UUID, Of] = {}
    for rule in book.rules.values():
        if rule.nth_counter is not None and rule.when.nth is not None:
            found[rule.nth_counter] = rule.when.nth.of
        found |= {cap.counter: cap.of for cap in rule.caps if cap.counter is not None}
    for group in book.document.groups:
        found |= {cap_id(f"group:{group.code}", cap.of, cap.per): cap.of for cap in group.caps if cap.per is not Per.TRANSACTION}
    return found


def kinds_of_places(book: Book, names: Names, places: Mapping[T, tuple[Where, str]], *, apart: bool) -> dict[T, int]:
    """Number places so that two for which the same rules are, in the same zone, have the same number; `apart`: each has its own."""
    if apart:
        return {place: number for number, place in enumerate(places)}
    wanted = [wanted for compiled in book.rules.values() for wanted in _places_of(compiled.when, names)]
    kinds = _numbered((zone, where.currency, tuple(where[place] in ids for place, ids in wanted)) for where, zone in places.values())
    return dict(zip(places, kinds, strict=True))


def _places_of(when: When, names: Names) -> list[tuple[int, frozenset[UUID]]]:
    """Return what a rule asks of a place: which of the facts of `Where`, and the ids it may be."""
    listed = ((0, when.stations, names.stations), (1, when.districts, names.districts), (2, when.regions, names.regions))
    return [(place, frozenset(known[code] for code in codes if code in known)) for place, codes, known in listed if codes]


def depends_on_others(plan: Plan) -> bool:
    """Say whether what a plan's sale gets depends on other sales: by a counter or a budget."""
    return any(
        planned.rule.nth_counter is not None or planned.rule.budget is not None or any(cap.counter for cap in planned.rule.caps)
        for planned in plan.rules
    ) or any(cap.counter is not None for group in plan.capped for cap in group.caps)


def likeness(asks: Asks, campaigns: tuple[Campaign, ...], person: Person) -> tuple[object, ...]:
    """Return what a book sees of a customer: two of whom it sees the same get the same."""
    seen: list[object] = [fact if (fact := getattr(person, name)) in values else None for name, values in asks.named.items()]
    seen += [getattr(person, name) for name in asks.dated]
    seen += [is_held_out(person, campaign) for campaign in campaigns if campaign.hold_out_basis_points]
    # Caps and counts of customers ask no more than whether somebody is known.
    seen.append(person.customer_id is None)
    return tuple(seen)
