"""What an authorisation keeps of its rules, and how it is settled: the same book, the candidates of then, within what was set aside."""

from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

import msgspec

from loyalty.ids import NOBODY

from .agreements import Agreed, evaluate_agreed
from .basket import Basket, Moment, Person, Where
from .bounding import Count, Question
from .calculators import most_once
from .compiling import Book, Names, Plan
from .document import Document, Funder, PerUnit, Rule
from .evaluating import Outcome, all_counts


class FrozenRule(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """A candidate that its customer passed: what it may give at most (None: no bound) and what was set aside of its budget."""

    code: str
    most: int | None = None
    set_aside: int = 0


class FrozenCount(msgspec.Struct, frozen=True, array_like=True):
    """What was added to a counter: of whom, which, from which day (ordinal), how much and how often; `visit`: of an n-th rule.

    `given`: an earlier part of the transaction gave something of it, so that its times stay.
    """

    subject_id: UUID
    counter: UUID
    start: int
    amount: int
    times: int
    visit: bool = False
    given: bool = False


class Frozen(msgspec.Struct, frozen=True, omit_defaults=True):
    """Rules and funder split of an authorisation, by reference: the document of an approved book never changes."""

    book: int = 0
    card: str = ""
    """The card product's code: the plan is made for it again."""
    rules: tuple[FrozenRule, ...] = ()
    groups: tuple[FrozenRule, ...] = ()
    counts: tuple[FrozenCount, ...] = ()
    share: int = 0
    """Whose share of the budgets was drawn on."""
    agreed: Agreed | None = None
    """The company's agreement for the grade."""
    code: str = ""
    """From here on: the one term that the release before froze by value; its authorisations are still settled."""
    revision: int = 0
    rate_e4: int = 0
    funder: str = ""
    name_zh: str = ""
    name_en: str = ""


@lru_cache(maxsize=64)
def book_of_term(frozen: Frozen, currency: str) -> tuple[Book, Frozen]:
    """Return a term of the release before as a book of one rule, and the freeze that names it."""
    rule = Rule(
        code=frozen.code,
        name_zh=frozen.name_zh,
        name_en=frozen.name_en,
        effect=PerUnit(rate_e4=frozen.rate_e4),
        funders=(Funder(funder=frozen.funder),),
        revision=frozen.revision,
    )
    book = Book(0, Document(rules=(rule,), currency=currency), Names({}, {}, {}))
    return book, Frozen(rules=(FrozenRule(frozen.code),))


class BudgetUse(NamedTuple):
    """A change of a worker's share of a budget."""

    budget_id: UUID
    share: int
    reserved: int
    used: int


def freeze(book: Book, plan: Plan, outcome: Outcome, card_product: str, share: int, agreed: Agreed | None = None) -> Frozen | None:
    """Return what an authorisation keeps; None where no rule can matter.

    What is capped over time or has a budget may give later no more than was set aside now, so that no completion has to be refused.
    """
    refused = {missed.rule.code for missed in outcome.missed if missed.miss.why not in _MAY_CHANGE}
    given = _given(outcome)
    kept: list[FrozenRule] = []
    for planned in plan.rules:
        rule = planned.rule
        if rule.code in refused:
            continue
        if rule.is_counted:
            amount = given.get(rule.code, 0)
            kept.append(FrozenRule(rule.code, amount, amount if rule.budget is not None else 0))
        else:
            kept.append(_unbounded(rule.code))
    counted = all_counts(outcome)
    if not kept and not counted and agreed is None:
        return None
    # The n-th rules' visits come first.
    visits = len(outcome.counts)
    counts = tuple(
        [
            FrozenCount(count.subject_id, count.counter, count.start_ordinal, count.amount, count.times, place < visits)
            for place, count in enumerate(counted)
        ]
    )
    return Frozen(book.number, card_product, tuple(kept), _groups(plan, outcome) if plan.capped else (), counts, share, agreed)


_unbounded: Final = lru_cache(maxsize=4096)(FrozenRule)
"""Make a candidate that may give whatever it comes to: the same for every authorisation."""


def _given(outcome: Outcome) -> dict[str, int]:
    return {one.rule.code: one.given for one in outcome.applied}


def _taken_off(outcome: Outcome) -> dict[str, int]:
    return {one.rule.code: one.given for one in outcome.applied if one.lines is not None}


_MAY_CHANGE = frozenset(
    {
        *("least_quantity", "most_quantity", "least_amount", "most_amount", "below_bands", "bundle_incomplete", "nothing_left"),
        *("better_offer", "cheaper_offer", "first_taken", "exclusive", "exclusive_after", "price_not_lower", "cap", "cap_times", "budget"),
        "agreement",
    }
)
"""Reasons that another quantity or price may lift; caps and budgets keep the candidate with nothing set aside, so that it is explained."""


def _groups(plan: Plan, outcome: Outcome) -> tuple[FrozenRule, ...]:
    """Return what each group that is capped over time took off: its bound at settlement."""
    taken = _taken_off(outcome)
    return tuple(
        FrozenRule(f"group:{group.code}", sum([taken.get(code, 0) for code in group.codes]))
        for group in plan.capped
        if any(cap.counter is not None for cap in group.caps)
    )


class Settled(NamedTuple):
    """An authorisation settled: the benefits, and what counters and budgets change by."""

    outcome: Outcome
    counts: list[Count]
    counted: list[Count]
    """What this completion has counted in all: what its refund gives back."""
    budgets: list[BudgetUse]
    left: Frozen | None
    """What is still frozen where more of it is to come."""


def settle(book: Book, frozen: Frozen, where: Where, basket: Basket, moment: Moment, *, final: bool, earlier: bool) -> Settled:
    """Evaluate what was dispensed, within what was set aside, and give back the rest of it with the last completion.

    `earlier`: whether a completion before this one delivered anything. Where none did, the visit itself is taken back.
    """
    rooms = {rule.code: rule.most for rule in frozen.rules + frozen.groups}
    question = Question(book, where, basket, _SOMEBODY, moment, frozen=rooms)
    plan = _plan(book, frozen, where, basket, moment)
    costs = sum([line.amount_minor for line in basket.goods]) > 0
    agreed = {} if frozen.agreed is None else dict.fromkeys(range(len(basket.goods)), frozen.agreed)
    outcome = evaluate_agreed(question, plan, agreed) if costs else Outcome(book.number, len(basket.goods))
    delivered = earlier or costs or any(line.quantity_milli for line in basket.goods)
    counts, counted = _recount(frozen, outcome, final=final, delivered=delivered)
    budgets = _budgets(book, frozen, outcome, final=final) if book.budgets else []
    return Settled(outcome, counts, counted, budgets, None if final else _left(book, frozen, plan, outcome))


_SOMEBODY: Final = Person(NOBODY, NOBODY, NOBODY)
"""Whose counters they are stands in what was frozen; at settlement only which."""


def _budgets(book: Book, frozen: Frozen, outcome: Outcome, *, final: bool) -> list[BudgetUse]:
    """Return what becomes of what was set aside: used as far as it was given, the rest free again with the last completion."""
    given_of = {one.rule.code: one.given for one in outcome.applied if one.rule.budget is not None}
    budgets: list[BudgetUse] = []
    for rule in frozen.rules:
        if not rule.set_aside:
            continue
        compiled = book.rules.get(rule.code)
        if compiled is not None and compiled.budget is not None:
            given = given_of.pop(rule.code, 0)
            back = rule.set_aside if final else given
            budgets.append(BudgetUse(compiled.budget, frozen.share, -back, given))
    assert not given_of, "a budgeted rule gives only what was set aside"
    return budgets


def _plan(book: Book, frozen: Frozen, where: Where, basket: Basket, moment: Moment) -> Plan:
    """Return the candidates at settlement: a rule that has ended since the authorisation is still one."""
    plan = book.plan(where, frozen.card, basket, moment.now)
    codes = plan.root.codes
    for rule in frozen.rules:
        if rule.code not in codes:
            return book.plan_frozen(where, frozen.card, basket)
    return plan


def _recount(frozen: Frozen, outcome: Outcome, *, final: bool, delivered: bool) -> tuple[list[Count], list[Count]]:
    """Return the changes that bring the counters from what was set aside to what was given, and what was given."""
    if not frozen.counts:
        return [], []
    now = _counted(outcome)
    changes: list[Count] = []
    counted: list[Count] = []
    for old in frozen.counts:
        given = now.get(old.counter, 0)
        amount = given - old.amount if final else 0
        gone = final and (not delivered if old.visit else old.counter not in now and not old.given)
        if amount or gone:
            changes.append(Count(old.subject_id, old.counter, old.start, amount, -old.times if gone else 0, None, None))
        times = old.times if final and not gone else 0
        if given or times:
            counted.append(Count(old.subject_id, old.counter, old.start, given, times, None, None))
    return changes, counted


def _counted(outcome: Outcome) -> dict[UUID, int]:
    """Return what an outcome adds to each counter."""
    now: dict[UUID, int] = {}
    for one in outcome.applied:
        for count in one.counts:
            now[count.counter] = now.get(count.counter, 0) + count.amount
    return now


def _left(book: Book, frozen: Frozen, plan: Plan, outcome: Outcome) -> Frozen:
    """Take what a part has been given off what is set aside; the counters are settled with the last part.

    What a transaction has once, however it is delivered, is bounded by what the parts before left of it.
    """
    given = _given(outcome)
    rules = tuple(
        [
            FrozenRule(rule.code, _rest(book, rule, given.get(rule.code)), max(rule.set_aside - given.get(rule.code, 0), 0))
            for rule in frozen.rules
        ]
    )
    now = _counted(outcome)
    counts = tuple(
        [
            msgspec.structs.replace(old, amount=old.amount - now[old.counter], given=True) if old.counter in now else old
            for old in frozen.counts
        ]
    )
    return Frozen(frozen.book, frozen.card, rules, _groups_left(frozen, plan, outcome), counts, frozen.share, frozen.agreed)


def _rest(book: Book, rule: FrozenRule, given: int | None) -> int | None:
    """Return what a rule may still give after a part gave so much; nothing given leaves it as it was."""
    if given is None:
        return rule.most
    compiled = book.rules.get(rule.code)
    most = rule.most
    if most is None and compiled is not None:
        once = (most_once(compiled.effect), *(cap.amount for cap in compiled.caps if cap.counter is None))
        most = min([bound for bound in once if bound is not None], default=None)
    return None if most is None else most - given


def _groups_left(frozen: Frozen, plan: Plan, outcome: Outcome) -> tuple[FrozenRule, ...]:
    """Return the bounds of groups after a part: of those capped over time, and of those capped in a transaction."""
    taken = _taken_off(outcome)
    bounds = {group.code: group.most for group in frozen.groups}
    for group in plan.capped:
        code = f"group:{group.code}"
        most = bounds.get(code)
        if most is None:
            most = min([cap.amount for cap in group.caps if cap.counter is None and cap.amount is not None], default=None)
        if most is not None:
            bounds[code] = most - sum([taken.get(rule, 0) for rule in group.codes])
    return tuple([FrozenRule(code, most) for code, most in bounds.items()])


def released(frozen: Frozen) -> Frozen:
    """Return a freeze whose room was given back already: what is capped over time or has a budget gives nothing more."""
    rules = tuple(FrozenRule(rule.code, None if rule.most is None else 0) for rule in frozen.rules)
    groups = tuple(FrozenRule(group.code, 0) for group in frozen.groups)
    return msgspec.structs.replace(frozen, rules=rules, groups=groups, counts=())


def give_back(book: Book, frozen: Frozen, *, delivered: bool) -> tuple[list[Count], list[BudgetUse]]:
    """Return what an authorisation that ends without a (further) dispense gives back; a visit that delivered something stays one,
    and so do the times of what an earlier part was given.
    """
    counts = [
        Count(old.subject_id, old.counter, old.start, -old.amount, 0 if (delivered if old.visit else old.given) else -old.times, None, None)
        for old in frozen.counts
    ]
    budgets = [
        BudgetUse(compiled.budget, frozen.share, -rule.set_aside, 0)
        for rule in frozen.rules
        if rule.set_aside and (compiled := book.rules.get(rule.code)) is not None and compiled.budget is not None
    ]
    return counts, budgets
