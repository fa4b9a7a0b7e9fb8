"""A basket under a rulebook: which rules apply, in which order, worth how much, and why the others do not. Pure and exact.

Discounts are taken in the groups' order on a running amount a line; what is granted (points, bonus, things) is worked out on what is paid
in the end. A settlement of an authorisation asks only the candidates it froze, each within the room that was set aside for it.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from loyalty.money import round_half_up, share_out

from . import calculators
from .bounding import Count, Question, cap_room, counts_of, subject_of
from .calculators import E4, Part
from .compiling import CompiledGroup, CompiledRule, Plan, PlannedRule
from .conditions import Miss, unmet, window_start
from .document import Basis, Bonus, Bundle, Fixed, Give, Mode, Percent, PerUnit, Points, PointsTimes, Tiered, UnitPrice

NOTHING: Final = Miss("nothing_left")


class Applied:
    """A rule that applies. `wanted` is what it would give without caps and budget, `given` what it does."""

    __slots__ = ("base_minor", "counts", "given", "lines", "rule", "wanted")

    def __init__(self, rule: CompiledRule, base_minor: int, wanted: int, given: int, lines: list[int] | None) -> None:
        self.rule = rule
        self.base_minor = base_minor
        self.wanted = wanted
        self.given = given
        self.lines = lines
        """A discount's amount for each line of the basket; None for a grant."""
        self.counts: list[Count] = []


class Missed(NamedTuple):
    """A candidate that does not apply."""

    rule: CompiledRule
    miss: Miss


class Outcome:
    """What a basket comes to."""

    __slots__ = ("applied", "book", "counts", "discounts", "missed", "short")

    def __init__(self, book: int, lines: int) -> None:
        self.book = book
        self.applied: list[Applied] = []
        self.missed: list[Missed] = []
        self.discounts = [0] * lines
        """Minor units off each line."""
        self.counts: list[Count] = []
        """n-th counters of candidates, whether they apply or not."""
        self.short: list[UUID] = []
        """Budgets that had less free than was wanted: another worker's share may have more."""

    @property
    def discount_minor(self) -> int:
        """All discounts together."""
        return sum(self.discounts)


class _Run:
    """The running state of one evaluation."""

    __slots__ = ("digits", "grants", "left", "off", "outcome", "question", "spent")

    def __init__(self, question: Question) -> None:
        goods = question.basket.goods
        self.question = question
        self.digits = question.where.digits
        self.left = [line.amount_minor for line in goods]
        self.off = [0] * len(goods)
        self.outcome = Outcome(question.book.number, len(goods))
        self.grants: list[tuple[PlannedRule, str]] = []
        """Grants that apply, and the group each stands in; worked out in the end."""
        self.spent: dict[UUID, int] = {}
        """Taken of budgets by this very transaction."""


def evaluate(question: Question, plan: Plan) -> Outcome:
    """Evaluate a basket; the plan is the book's for it."""
    run = _Run(question)
    if plan.rules:
        _group(run, plan.root)
        _grants(run)
    return run.outcome


def _group(run: _Run, group: CompiledGroup) -> None:
    outcome = run.outcome
    first = len(outcome.applied)
    if group.mode is Mode.STACK:
        _stack(run, group)
    elif group.mode is Mode.FIRST:
        _first(run, group)
    else:
        _chosen(run, group)
    if group.caps and len(outcome.applied) > first:
        _cap_group(run, group, first)


def _member(run: _Run, member: CompiledGroup | PlannedRule, group: str) -> bool:
    """Let a member have its turn; say whether anything of it applies."""
    before = len(run.outcome.applied) + len(run.grants)
    if isinstance(member, CompiledGroup):
        _group(run, member)
    else:
        _rule(run, member, group)
    return len(run.outcome.applied) + len(run.grants) > before


def _stack(run: _Run, group: CompiledGroup) -> None:
    any_ = False
    for place, member in enumerate(group.members):
        if member.exclusive and any_:
            _miss_all(run, member, Miss("exclusive_after"))
            continue
        applies = _member(run, member, group.code)
        any_ = any_ or applies
        if applies and member.exclusive:
            for rest in group.members[place + 1 :]:
                _miss_all(run, rest, Miss("exclusive", _code(member)))
            return


def _first(run: _Run, group: CompiledGroup) -> None:
    for place, member in enumerate(group.members):
        if _member(run, member, group.code):
            for rest in group.members[place + 1 :]:
                _miss_all(run, rest, Miss("first_taken", _code(member)))
            return


def _chosen(run: _Run, group: CompiledGroup) -> None:
    """Try every member on the same state and keep one: the most saved, or the least cost to the issuer's own funders."""
    outcome = run.outcome
    best: tuple[tuple[int, ...], int] | None = None
    tried: list[tuple[list[Applied], list[tuple[PlannedRule, str]], list[int], list[int], dict[UUID, int]]] = []
    start, grants = len(outcome.applied), len(run.grants)
    left, off, spent, discounts = list(run.left), list(run.off), dict(run.spent), list(outcome.discounts)
    for place, member in enumerate(group.members):
        applies = _member(run, member, group.code)
        applied, granted = outcome.applied[start:], run.grants[grants:]
        tried.append((applied, granted, run.left, run.off, run.spent))
        if applies:
            rank = _rank(run, group.mode, applied, granted)
            if best is None or rank < best[0]:
                best = rank, place
        del outcome.applied[start:], run.grants[grants:]
        run.left, run.off, run.spent, outcome.discounts = list(left), list(off), dict(spent), list(discounts)
    if best is None:
        return
    chosen = best[1]
    for place, (applied, granted, its_left, its_off, its_spent) in enumerate(tried):
        if place != chosen:
            lost = Miss("cheaper_offer" if group.mode is Mode.CHEAPEST else "better_offer", _code(group.members[chosen]))
            outcome.missed += [Missed(one.rule, lost) for one in applied] + [Missed(planned.rule, lost) for planned, _ in granted]
            continue
        outcome.applied += applied
        run.grants += granted
        run.left, run.off, run.spent = its_left, its_off, its_spent
        for one in applied:
            for line, amount in enumerate(one.lines or ()):
                outcome.discounts[line] += amount


def _rank(run: _Run, mode: Mode, applied: Sequence[Applied], granted: Sequence[tuple[PlannedRule, str]]) -> tuple[int, ...]:
    """Return what sorts first wins by. Grants count by what they would give now: points and pieces as they are, bonus as money."""
    saved = sum([one.given for one in applied])
    own = sum([round_half_up(one.given * one.rule.own_parts, one.rule.parts) for one in applied])
    extra = 0
    for planned, _ in granted:
        worth = _grant_base(run, planned)[1]
        extra += worth
        if planned.rule.kind == "bonus":
            own += round_half_up(worth * planned.rule.own_parts, planned.rule.parts)
    return (own, -saved, -extra) if mode is Mode.CHEAPEST else (-saved, -extra, own)


def _rule(run: _Run, planned: PlannedRule, group: str) -> None:
    rule, question = planned.rule, run.question
    missed = _not_asked(run, rule) or _threshold(run, planned)
    if missed is not None:
        run.outcome.missed.append(Missed(rule, missed))
        return
    if rule.is_grant:
        run.grants.append((planned, group))
        return
    goods = question.basket.goods
    places = planned.bundle_parts[-1] if planned.bundle_parts else planned.goods
    parts = {place: _part(run, place) for place in {*planned.goods, *places, *(p for part in planned.bundle_parts for p in part)}}
    wanted = _discounts(run, planned, parts)
    total = sum(wanted)
    if total <= 0:
        run.outcome.missed.append(Missed(rule, _why_nothing(rule)))
        return
    given, bound = _within_room(run, rule, total)
    if given <= 0:
        run.outcome.missed.append(Missed(rule, bound))
        return
    if given < total:
        wanted = share_out(given, wanted)
    after = _after_refuses(run, planned, given)
    if after is not None:
        run.outcome.missed.append(Missed(rule, after))
        return
    by_line = [0] * len(goods)
    rates = _is_by_rate(rule)
    for place, amount in zip(places, wanted, strict=True):
        by_line[place] = amount
        run.left[place] -= amount
        run.outcome.discounts[place] += amount
        if rates and given == total:
            run.off[place] = min(run.off[place] + _rate_of(rule, parts[place]), goods[place].unit_price_e4)
    applied = Applied(rule, sum([goods[place].amount_minor for place in places]), total, given, by_line)
    _note_use(run, rule, given, applied)
    run.outcome.applied.append(applied)


def _not_asked(run: _Run, rule: CompiledRule) -> Miss | None:
    question = run.question
    if rule.code in question.without:
        return Miss("disabled")
    if question.frozen is not None:
        return None if rule.code in question.frozen else Miss("not_frozen")
    campaign = None if rule.rule.campaign is None else question.book.campaigns.get(rule.rule.campaign)
    missed = unmet(rule, question.basket, question.person, question.moment, campaign)
    nth = rule.when.nth
    if nth is not None and (missed is None or missed.why == "nth") and rule.nth_counter is not None:
        subject = subject_of(question.person, nth.of)
        if subject is not None:
            start = window_start(nth.per, question.moment.local.date()).toordinal()
            run.outcome.counts.append(Count(subject, rule.nth_counter, start, 0, 1, None, None))
    return missed


def _threshold(run: _Run, planned: PlannedRule) -> Miss | None:
    when = planned.rule.when
    if when.least_quantity_milli is not None or when.most_quantity_milli is not None:
        goods = run.question.basket.goods
        quantity = sum([goods[place].quantity_milli for place in planned.goods])
        if when.least_quantity_milli is not None and quantity < when.least_quantity_milli:
            return Miss("least_quantity", when.least_quantity_milli, quantity)
        if when.most_quantity_milli is not None and quantity > when.most_quantity_milli:
            return Miss("most_quantity", when.most_quantity_milli, quantity)
    if (when.least_minor is not None or when.most_minor is not None) and when.basis is not Basis.AFTER:
        return _amount_refuses(planned, _base(run, planned, when.basis))
    return None


def _amount_refuses(planned: PlannedRule, amount: int) -> Miss | None:
    when = planned.rule.when
    if when.least_minor is not None and amount < when.least_minor:
        return Miss("least_amount", when.least_minor, amount)
    if when.most_minor is not None and amount > when.most_minor:
        return Miss("most_amount", when.most_minor, amount)
    return None


def _after_refuses(run: _Run, planned: PlannedRule, given: int) -> Miss | None:
    when = planned.rule.when
    if when.basis is not Basis.AFTER or (when.least_minor is None and when.most_minor is None):
        return None
    return _amount_refuses(planned, _base(run, planned, Basis.BEFORE) - given)


def _base(run: _Run, planned: PlannedRule, basis: Basis) -> int:
    if basis is Basis.INITIAL:
        goods = run.question.basket.goods
        return sum([goods[place].amount_minor for place in planned.goods])
    return sum([run.left[place] for place in planned.goods])


def _part(run: _Run, place: int) -> Part:
    goods = run.question.basket.goods[place]
    return Part(goods.quantity_milli, goods.unit_price_e4, goods.amount_minor, run.left[place], run.off[place])


def _discounts(run: _Run, planned: PlannedRule, parts: Mapping[int, Part]) -> list[int]:
    effect, digits = planned.rule.effect, run.digits
    own = [parts[place] for place in planned.goods]
    if isinstance(effect, PerUnit):
        return calculators.per_unit(effect, own, digits)
    if isinstance(effect, Percent):
        return calculators.percent(effect, own)
    if isinstance(effect, Fixed):
        return calculators.fixed(effect, own)
    if isinstance(effect, UnitPrice):
        return calculators.unit_price(effect, own, digits)
    if isinstance(effect, Tiered):
        return calculators.tiered(effect, own, digits)
    assert isinstance(effect, Bundle), "the others are grants"
    if not all(planned.bundle_parts):
        return [0] * len(planned.bundle_parts[-1])
    return calculators.bundle(effect, [[parts[place] for place in part] for part in planned.bundle_parts])


def _is_by_rate(rule: CompiledRule) -> bool:
    return isinstance(rule.effect, PerUnit | UnitPrice)


def _rate_of(rule: CompiledRule, part: Part) -> int:
    if isinstance(rule.effect, PerUnit):
        return rule.effect.rate_e4
    assert isinstance(rule.effect, UnitPrice), "only these two go by rates"
    return max(part.unit_price_e4 - part.off_e4 - rule.effect.unit_price_e4, 0)


def _why_nothing(rule: CompiledRule) -> Miss:
    effect = rule.effect
    if isinstance(effect, UnitPrice):
        return Miss("price_not_lower", effect.unit_price_e4)
    if isinstance(effect, Bundle):
        return Miss("bundle_incomplete")
    if isinstance(effect, Tiered):
        return Miss("below_bands", effect.bands[0].starts, effect.by.value)
    return NOTHING


def _within_room(run: _Run, rule: CompiledRule, wanted: int) -> tuple[int, Miss]:
    """Return how much of `wanted` caps and budget leave, and what binds."""
    question = run.question
    given, bound = wanted, NOTHING
    for cap in rule.caps:
        if cap.counter is None or question.frozen is None:
            room, miss = cap_room(question, cap)
            if room is not None and room < given:
                given, bound = max(room, 0), miss
    if question.frozen is not None:
        most = question.frozen[rule.code]
        return (given, bound) if most is None or most >= given else (most, Miss("set_aside", most))
    if rule.budget is not None:
        free = question.budgets.get(rule.budget, 0) - run.spent.get(rule.budget, 0)
        if free < given:
            run.outcome.short.append(rule.budget)
            given, bound = max(free, 0), Miss("budget", rule.rule.budget)
    return given, bound


def _note_use(run: _Run, rule: CompiledRule, given: int, applied: Applied) -> None:
    """Note what the benefit takes of its budget and adds to its counters."""
    if rule.budget is not None:
        run.spent[rule.budget] = run.spent.get(rule.budget, 0) + given
    if rule.caps:
        applied.counts += counts_of(run.question, rule.caps, given)


def _cap_group(run: _Run, group: CompiledGroup, first: int) -> None:
    """Cut the discounts of a group to its caps, its last member first."""
    question, outcome = run.question, run.outcome
    total = sum([one.given for one in outcome.applied[first:]])
    room = total
    miss = NOTHING
    for cap in group.caps:
        if cap.counter is not None and question.frozen is not None:
            most = question.frozen.get(f"group:{group.code}")
            left, bound = most, Miss("set_aside", most)
        else:
            left, bound = cap_room(question, cap)
        if left is not None and left < room:
            room, miss = max(left, 0), bound
    cut = total - room
    for one in reversed(outcome.applied[first:]):
        if cut > 0:
            taken = min(cut, one.given)
            cut -= taken
            _shorten(run, one, one.given - taken)
    for one in [one for one in outcome.applied[first:] if not one.given]:
        outcome.applied.remove(one)
        outcome.missed.append(Missed(one.rule, miss))
    if len(outcome.applied) > first:
        outcome.applied[first].counts += counts_of(question, group.caps, room)


def _shorten(run: _Run, one: Applied, given: int) -> None:
    assert one.lines is not None, "a group's caps bind its discounts"
    shorter = share_out(given, one.lines)
    for line, (before, after) in enumerate(zip(one.lines, shorter, strict=True)):
        run.left[line] += before - after
        run.outcome.discounts[line] -= before - after
    if one.rule.budget is not None:
        run.spent[one.rule.budget] -= one.given - given
    counters = {cap.counter for cap in one.rule.caps}
    one.counts = [count._replace(amount=given) if count.counter in counters else count for count in one.counts]
    one.lines, one.given = shorter, given


def _grant_base(run: _Run, planned: PlannedRule) -> tuple[int, int]:
    """Return the amount that a grant looks at, and what it would give."""
    goods, effect = run.question.basket.goods, planned.rule.effect
    paid = sum([run.left[place] for place in planned.goods])
    if isinstance(effect, Points):
        quantity = sum([goods[place].quantity_milli for place in planned.goods])
        return paid, calculators.points(effect, quantity_milli=quantity, paid_minor=paid)
    if isinstance(effect, Bonus):
        return paid, calculators.bonus(effect, paid)
    return paid, effect.count if isinstance(effect, Give) else 0


def _grants(run: _Run) -> None:
    """Work out what is granted, on what is paid in the end. Multipliers multiply the points before them in their group."""
    earned: dict[str, int] = {}
    for planned, group in run.grants:
        rule = planned.rule
        base, wanted = _grant_base(run, planned)
        at = group
        if isinstance(rule.effect, PointsTimes):
            wanted = round_half_up(earned.get(at, 0) * (rule.effect.basis_points - E4), E4)
        if wanted <= 0:
            run.outcome.missed.append(Missed(rule, NOTHING))
            continue
        given, bound = _within_room(run, rule, wanted)
        if given <= 0:
            run.outcome.missed.append(Missed(rule, bound))
            continue
        if rule.kind == "points":
            earned[at] = earned.get(at, 0) + given
        applied = Applied(rule, base, wanted, given, None)
        _note_use(run, rule, given, applied)
        run.outcome.applied.append(applied)


def _miss_all(run: _Run, member: CompiledGroup | PlannedRule, miss: Miss) -> None:
    if isinstance(member, PlannedRule):
        run.outcome.missed.append(Missed(member.rule, miss))
        return
    for inner in member.members:
        _miss_all(run, inner, miss)


def _code(member: CompiledGroup | PlannedRule) -> str:
    return member.code if isinstance(member, CompiledGroup) else member.rule.code


def budget_uses(outcome: Outcome) -> dict[UUID, int]:
    """Return what an outcome takes of each budget."""
    taken: dict[UUID, int] = {}
    for one in outcome.applied:
        if one.rule.budget is not None:
            taken[one.rule.budget] = taken.get(one.rule.budget, 0) + one.given
    return taken


def all_counts(outcome: Outcome) -> list[Count]:
    """Return everything an outcome counts."""
    return [*outcome.counts, *(count for one in outcome.applied for count in one.counts)]


__all__ = ["Applied", "Count", "Missed", "Outcome", "Question", "all_counts", "budget_uses", "evaluate"]
