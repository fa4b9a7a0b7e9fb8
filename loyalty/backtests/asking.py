"""What a rulebook asks about a sale besides its goods: only that is read, and sales that agree in all of it come to the same."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from loyalty.pricing.basket import Person
from loyalty.pricing.compiling import Book, Plan, cap_id
from loyalty.pricing.conditions import is_held_out
from loyalty.pricing.document import Campaign, Of, Per, Rule

_FACTS: Final = {
    "customer_id": "customers",
    "tier": "tiers",
    "segment": "segments",
    "flyer": "flyers",
    "birthday": "birthday",
    "opened_at": "joined_within_days",
    "registered_at": "converted_within_days",
    "account_kind": "account_kinds",
}
"""What is known of a customer, and the condition that asks it."""


class Asks(NamedTuple):
    """Which facts the rules of one book look at."""

    day: bool
    """The station's date: weekdays, days of the month, birthdays, how long somebody has been here."""
    clock: tuple[int, ...]
    """Minutes of the day at which some rule's hours begin or end."""
    instants: tuple[datetime, ...]
    """When some rule or campaign begins or ends, within the period."""
    tenders: bool
    facts: tuple[str, ...]
    """Of the customer, by the names of `basket.Person`."""
    cards: bool
    """Counters of cards: each card's chain apart."""
    counters: Mapping[UUID, Of]
    """Of caps and n-th conditions: whose they are. Their sales are asked in the order in which they were booked."""
    budgets: Mapping[UUID, int]
    """In full."""


def asks_of(book: Book, budgets: Mapping[UUID, int], since: datetime, until: datetime) -> Asks:
    """Say what a book asks about sales of `[since, until)`."""
    rules = [compiled.rule for compiled in book.rules.values()]
    counters = _counters(book)
    return Asks(
        day=any(_asks_day(rule) for rule in rules),
        clock=_clock(rules),
        instants=_instants(rules, book.document.campaigns, since, until),
        tenders=any(rule.when.tenders for rule in rules),
        facts=tuple(sorted(name for name, conditions in _FACTS.items() if any(getattr(rule.when, conditions) for rule in rules))),
        cards=Of.CARD in counters.values(),
        counters=counters,
        budgets={budget: budgets.get(budget, 0) for budget in book.budgets},
    )


def _asks_day(rule: Rule) -> bool:
    when = rule.when
    return bool(when.weekdays or when.month_days or when.birthday or when.joined_within_days or when.converted_within_days)


def _clock(rules: list[Rule]) -> tuple[int, ...]:
    ends = {clock for rule in rules for part in rule.when.hours for clock in (part.starts, part.ends)}
    return tuple(sorted(int(clock[:2]) * 60 + int(clock[3:]) for clock in ends))


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


def depends_on_others(plan: Plan) -> bool:
    """Say whether what a plan's sale gets depends on other sales: by a counter or a budget."""
    return any(
        planned.rule.nth_counter is not None or planned.rule.budget is not None or any(cap.counter for cap in planned.rule.caps)
        for planned in plan.rules
    ) or any(cap.counter is not None for group in plan.capped for cap in group.caps)


def likeness(asks: Asks, campaigns: tuple[Campaign, ...], person: Person) -> tuple[object, ...]:
    """Return what a book sees of a customer: two of whom it sees the same get the same."""
    seen: list[object] = [getattr(person, name) for name in asks.facts]
    seen += [is_held_out(person, campaign) for campaign in campaigns if campaign.hold_out_basis_points]
    # Caps and counts of customers ask no more than whether somebody is known.
    seen.append(person.customer_id is None)
    return tuple(seen)
