"""What an authorisation keeps of its rules, and how it is settled: the same book, the candidates of then, within what was set aside."""

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

import msgspec

from loyalty.ids import NOBODY

from .basket import Basket, Moment, Person, Where
from .bounding import Count, Question
from .compiling import Book, CompiledGroup, Plan
from .document import Per
from .evaluating import Outcome, all_counts, budget_uses, evaluate


class FrozenRule(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """A candidate that its customer passed: what it may give at most (None: no bound) and what was set aside of its budget."""

    code: str
    most: int | None = None
    set_aside: int = 0


class FrozenCount(msgspec.Struct, frozen=True, array_like=True):
    """What was added to a counter: of whom, which, from which day (ordinal), how much and how often; `visit`: of an n-th rule."""

    subject_id: UUID
    counter: UUID
    start: int
    amount: int
    times: int
    visit: bool = False


class Frozen(msgspec.Struct, frozen=True, omit_defaults=True):
    """Rules and funder split of an authorisation, by reference: the document of an approved book never changes."""

    book: int
    card: str
    """The card product's code: the plan is made for it again."""
    rules: tuple[FrozenRule, ...] = ()
    groups: tuple[FrozenRule, ...] = ()
    counts: tuple[FrozenCount, ...] = ()
    share: int = 0
    """Whose share of the budgets was drawn on."""


class BudgetUse(NamedTuple):
    """A change of a worker's share of a budget."""

    budget_id: UUID
    share: int
    reserved: int
    used: int


def freeze(book: Book, plan: Plan, outcome: Outcome, card_product: str, share: int) -> Frozen | None:
    """Return what an authorisation keeps; None where no rule can matter.

    What is capped over time or has a budget may give later no more than was set aside now, so that no completion has to be refused.
    """
    refused = {missed.rule.code for missed in outcome.missed if missed.miss.why not in _MAY_CHANGE}
    given = {one.rule.code: one.given for one in outcome.applied}
    kept: list[FrozenRule] = []
    for planned in plan.rules:
        rule = planned.rule
        if rule.code in refused:
            continue
        bound = rule.budget is not None or any(cap.counter is not None for cap in rule.caps)
        amount = given.get(rule.code, 0)
        kept.append(FrozenRule(rule.code, amount if bound else None, amount if rule.budget is not None else 0))
    if not kept:
        return None
    visits = {id(count) for count in outcome.counts}
    counts = tuple(
        FrozenCount(count.subject_id, count.counter, count.start_ordinal, count.amount, count.times, id(count) in visits)
        for count in all_counts(outcome)
    )
    return Frozen(book.number, card_product, tuple(kept), tuple(_groups(plan.root, given)), counts, share)


_MAY_CHANGE = frozenset(
    {
        *("least_quantity", "most_quantity", "least_amount", "most_amount", "below_bands", "bundle_incomplete", "nothing_left"),
        *("better_offer", "cheaper_offer", "first_taken", "exclusive", "exclusive_after", "price_not_lower", "cap", "cap_times", "budget"),
    }
)
"""Reasons that another quantity or price may lift; caps and budgets keep the candidate with nothing set aside, so that it is explained."""


def _groups(group: CompiledGroup, given: Mapping[str, int]) -> list[FrozenRule]:
    """Return what each capped group gave: its bound at settlement."""
    found: list[FrozenRule] = []
    total = 0
    for member in group.members:
        if isinstance(member, CompiledGroup):
            found += _groups(member, given)
    if any(cap.per is not Per.TRANSACTION for cap in group.caps):
        total = sum(given.get(code, 0) for code in _codes(group))
        found.append(FrozenRule(f"group:{group.code}", total))
    return found


def _codes(group: CompiledGroup) -> list[str]:
    codes: list[str] = []
    for member in group.members:
        codes += _codes(member) if isinstance(member, CompiledGroup) else [member.rule.code]
    return codes


class Settled(NamedTuple):
    """An authorisation settled: the benefits, and what counters and budgets change by."""

    outcome: Outcome
    counts: list[Count]
    budgets: list[BudgetUse]
    left: Frozen | None
    """What is still frozen where more of it is to come."""


def settle(book: Book, frozen: Frozen, where: Where, basket: Basket, moment: Moment, *, final: bool, earlier: bool) -> Settled:
    """Evaluate what was dispensed, within what was set aside, and give back the rest of it with the last completion.

    `earlier`: whether a completion before this one delivered anything. Where none did, the visit itself is taken back.
    """
    # Whose counters they are stands in what was frozen; here only which.
    person = Person(NOBODY, NOBODY, NOBODY)
    rooms = {rule.code: rule.most for rule in (*frozen.rules, *frozen.groups)}
    question = Question(book, where, basket, person, moment, frozen=rooms)
    if any(line.amount_minor for line in basket.goods):
        outcome = evaluate(question, book.plan(where, frozen.card, basket, moment.now))
    else:
        outcome = Outcome(book.number, len(basket.goods))
    delivered = earlier or any(line.amount_minor or line.quantity_milli for line in basket.goods)
    counts = _recount(frozen, outcome, final=final, earlier=earlier, delivered=delivered)
    used = budget_uses(outcome)
    budgets: list[BudgetUse] = []
    for rule in frozen.rules:
        compiled = book.rules.get(rule.code)
        if rule.set_aside and compiled is not None and compiled.budget is not None:
            given = next((one.given for one in outcome.applied if one.rule.code == rule.code), 0)
            back = rule.set_aside if final else given
            budgets.append(BudgetUse(compiled.budget, frozen.share, -back, given))
    assert sum(used.values()) == sum(change.used for change in budgets), "a budgeted rule gives only what was set aside"
    return Settled(outcome, counts, budgets, None if final else _left(frozen, outcome))


def _recount(frozen: Frozen, outcome: Outcome, *, final: bool, earlier: bool, delivered: bool) -> list[Count]:
    """Return the changes that bring the counters from what was set aside to what was given."""
    if not frozen.counts:
        return []
    now: dict[UUID, int] = {}
    for one in outcome.applied:
        for count in one.counts:
            now[count.counter] = now.get(count.counter, 0) + count.amount
    changes: list[Count] = []
    for old in frozen.counts:
        amount = now.get(old.counter, 0) - old.amount if final else 0
        gone = final and (not delivered if old.visit else old.counter not in now and not earlier)
        times = -old.times if gone else 0
        if amount or times:
            changes.append(Count(old.subject_id, old.counter, old.start, amount, times, None, None))
    return changes


def _left(frozen: Frozen, outcome: Outcome) -> Frozen:
    """Take what a part has been given off what is set aside; the counters are settled with the last part."""
    given = {one.rule.code: one.given for one in outcome.applied}
    rules = tuple(
        FrozenRule(
            rule.code,
            None if rule.most is None else rule.most - given.get(rule.code, 0),
            max(rule.set_aside - given.get(rule.code, 0), 0),
        )
        for rule in frozen.rules
    )
    by_counter: dict[UUID, int] = {}
    for one in outcome.applied:
        for count in one.counts:
            by_counter[count.counter] = by_counter.get(count.counter, 0) + count.amount
    counts = tuple(
        FrozenCount(old.subject_id, old.counter, old.start, old.amount - by_counter.get(old.counter, 0), old.times, old.visit)
        for old in frozen.counts
    )
    return Frozen(frozen.book, frozen.card, rules, frozen.groups, counts, frozen.share)


def give_back(book: Book, frozen: Frozen, *, delivered: bool) -> tuple[list[Count], list[BudgetUse]]:
    """Return what an authorisation that ends without a (further) dispense gives back; a visit that delivered something stays one."""
    counts = [
        Count(old.subject_id, old.counter, old.start, -old.amount, 0 if delivered else -old.times, None, None) for old in frozen.counts
    ]
    budgets = [
        BudgetUse(compiled.budget, frozen.share, -rule.set_aside, 0)
        for rule in frozen.rules
        if rule.set_aside and (compiled := book.rules.get(rule.code)) is not None and compiled.budget is not None
    ]
    return counts, budgets
