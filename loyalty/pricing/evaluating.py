"""A basket under a rulebook: which rules apply, in which order, worth how much, and why the others do not. Pure and exact.

Discounts are taken in the groups' order on a running amount a line; what is granted (points, bonus, things) is worked out on what is paid
in the end. A settlement of an authorisation asks only the candidates it froze, each within the room that was set aside for it.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from loyalty.money import line_amount, round_half_up, share_out

from .applying import not_asked, try_rule
from .bounding import Count, Question, cap_miss, cap_room, counts_of
from .compiling import CompiledGroup, CompiledRule, Plan, PlannedRule
from .conditions import Miss
from .document import Mode
from .granting import grant, grant_base
from .running import NOTHING, Applied, Missed, Outcome, Run

_Member = CompiledGroup | PlannedRule
_Tried = tuple[_Member, list[Applied], list[PlannedRule], list[int], list[int], dict[UUID, int]]
"""What a member of a group comes to on the state that it was tried on: member, what applies and is granted, left, off, spent."""
_STACK: Final = Mode.STACK
_FIRST: Final = Mode.FIRST
_CHEAPEST: Final = Mode.CHEAPEST


def evaluate(question: Question, plan: Plan) -> Outcome:
    """Evaluate a basket; the plan is the book's for it."""
    if plan.rate_e4 is not None and len(question.basket.goods) == 1 and not question.without:
        return _only(question, plan)
    run = Run(question)
    if not plan.rules:
        return run.outcome
    _group(run, plan.root)
    if run.grants:
        empty = grant(run)
        while empty and plan.chooses:
            # What comes to nothing has not applied: another may have its place, so all is asked again without it.
            run = Run(question, run.empty | empty)
            _group(run, plan.root)
            empty = grant(run)
    outcome = run.outcome
    if outcome.applied:
        outcome.discounts = run.taken()
        for one in outcome.applied:
            if one.rule.caps:
                one.counts = counts_of(question, one.rule.caps, one.given)
        for group in plan.capped:
            _count_group(run, group)
    return outcome


def _only(question: Question, plan: Plan) -> Outcome:
    """Evaluate one line of goods under at most one rate: what most fills come to, without the way through groups."""
    outcome = Outcome(question.book.number, 1)
    if plan.rules:
        rule, line = plan.rules[0].rule, question.basket.goods[0]
        if question.frozen is not None and rule.code not in question.frozen:
            outcome.missed.append(Missed(rule, Miss("not_frozen")))
            return outcome
        digits, price, rate = question.where.digits, line.unit_price_e4, plan.rate_e4 or 0
        whole = line_amount(line.quantity_milli, price, digits)
        saved = min(whole - line_amount(line.quantity_milli, max(price - rate, 0), digits), line.amount_minor)
        if saved > 0:
            outcome.discounts[0] = saved
            outcome.applied.append(Applied(rule, line.amount_minor, saved, saved, [saved], [rate]))
        else:
            outcome.missed.append(Missed(rule, NOTHING))
    return outcome


def _group(run: Run, group: CompiledGroup) -> bool:
    """Let a group have its turn; say whether anything of it applies."""
    if not group.caps:
        return _turns(run, group)
    first, grants = len(run.outcome.applied), len(run.grants)
    applies = _turns(run, group)
    if applies and len(run.outcome.applied) > first:
        _cap_group(run, group, first)
        applies = len(run.outcome.applied) > first or len(run.grants) > grants
    return applies


def _turns(run: Run, group: CompiledGroup) -> bool:
    """Give the members their turns as the group's mode says."""
    if len(group.members) == 1:
        return _member(run, group.members[0])
    if group.mode is _STACK:
        return _stack(run, group)
    return _first(run, group) if group.mode is _FIRST else _chosen(run, group)


def _member(run: Run, member: _Member) -> bool:
    return _group(run, member) if isinstance(member, CompiledGroup) else try_rule(run, member)


def _stack(run: Run, group: CompiledGroup) -> bool:
    any_ = False
    if not group.has_exclusive:
        for member in group.members:
            if _group(run, member) if isinstance(member, CompiledGroup) else try_rule(run, member):
                any_ = True
        return any_
    for place, member in enumerate(group.members):
        if member.exclusive and any_:
            _miss_all(run, member, Miss("exclusive_after"))
        elif _member(run, member):
            any_ = True
            if member.exclusive:
                for rest in group.members[place + 1 :]:
                    _miss_all(run, rest, Miss("exclusive", _code(member)))
                break
    return any_


def _first(run: Run, group: CompiledGroup) -> bool:
    for place, member in enumerate(group.members):
        if _member(run, member):
            for rest in group.members[place + 1 :]:
                _miss_all(run, rest, Miss("first_taken", _code(member)))
            return True
    return False


def _miss_all(run: Run, member: _Member, miss: Miss) -> None:
    """Note that a member has no turn, and which of its rules would not have had it anyway: those are not frozen."""
    if isinstance(member, PlannedRule):
        run.miss(member.rule, not_asked(run, member.rule) or miss)
        return
    for inner in member.members:
        _miss_all(run, inner, miss)


def _code(member: _Member) -> str:
    return member.code if isinstance(member, CompiledGroup) else member.rule.code


def _chosen(run: Run, group: CompiledGroup) -> bool:
    """Try every member on the same state and keep one: the most saved, or the least cost to the issuer's own funders."""
    outcome = run.outcome
    applied, grants, left, off, spent = outcome.applied, run.grants, run.left, run.off, run.spent
    tried: list[_Tried] = []
    for member in group.members:
        outcome.applied, run.grants = [], []
        run.left, run.off, run.spent = left[:], off[:], spent.copy()
        if _group(run, member) if isinstance(member, CompiledGroup) else try_rule(run, member):
            tried.append((member, outcome.applied, run.grants, run.left, run.off, run.spent))
    outcome.applied, run.grants = applied, grants
    if not tried:
        run.left, run.off, run.spent = left, off, spent
        return False
    best = tried[0] if len(tried) == 1 else _best(run, tried, is_cheapest=group.mode is _CHEAPEST)
    _, its_applied, its_grants, run.left, run.off, run.spent = best
    applied += its_applied
    grants += its_grants
    return True


def _best(run: Run, tried: Sequence[_Tried], *, is_cheapest: bool) -> _Tried:
    """Return what ranks first, the first of equals, and note that the others lost to it."""
    best: _Tried | None = None
    least: tuple[int, int, int] | None = None
    others: list[_Tried] = []
    for one in tried:
        _, applied, granted, run.left, run.off, run.spent = one
        rank = _rank(run, applied, granted, is_cheapest=is_cheapest)
        if best is None or least is None:
            best, least = one, rank
        elif rank < least:
            others.append(best)
            best, least = one, rank
        else:
            others.append(one)
    assert best is not None, "asked of what was tried"
    lost = Miss("cheaper_offer" if is_cheapest else "better_offer", _code(best[0]))
    for other in others:
        run.outcome.missed += [Missed(one.rule, lost) for one in other[1]]
        run.outcome.missed += [Missed(planned.rule, lost) for planned in other[2]]
    return best


def _rank(run: Run, applied: Sequence[Applied], granted: Sequence[PlannedRule], *, is_cheapest: bool) -> tuple[int, int, int]:
    """Return what sorts first wins by. Grants count by what they would give now: points and pieces as they are, bonus as money."""
    saved = own = extra = 0
    for one in applied:
        saved += one.given
        own += _own(one.rule, one.given)
    for planned in granted:
        worth = grant_base(run, planned)[1]
        if planned.rule.is_bounded or not run.is_plain:
            worth = run.within_room(planned.rule, worth)[0]
        extra += worth
        if planned.rule.kind == "bonus":
            own += _own(planned.rule, worth)
    return (own, -saved, -extra) if is_cheapest else (-saved, -extra, own)


def _own(rule: CompiledRule, given: int) -> int:
    """Return what the issuer's own funders bear of it."""
    if rule.own_parts == rule.parts:
        return given
    return round_half_up(given * rule.own_parts, rule.parts) if rule.own_parts else 0


def _cap_group(run: Run, group: CompiledGroup, first: int) -> None:
    """Cut the discounts of a group to its caps, its last member first."""
    question, applied = run.question, run.outcome.applied
    total = sum([one.given for one in applied[first:]])
    room, miss = total, NOTHING
    for cap in group.caps:
        if cap.counter is None or question.frozen is None:
            left = cap_room(question, cap)
            if left is not None and left < room:
                room, miss = left, cap_miss(question, cap)
    most = None if question.frozen is None else question.frozen.get(f"group:{group.code}")
    if most is not None and most < room:
        room, miss = most, Miss("set_aside", most)
    cut = total - room
    for one in reversed(applied[first:]):
        if cut <= 0:
            break
        taken = min(cut, one.given)
        cut -= taken
        _shorten(run, one, one.given - taken)
        if not one.given:
            applied.remove(one)
            run.miss(one.rule, miss)


def _shorten(run: Run, one: Applied, given: int) -> None:
    """Give less of a discount: what is not given is left again, and units cost again what they did before it."""
    assert one.lines is not None, "a group's caps bind its discounts"
    shorter = share_out(given, one.lines)
    for line, (before, after) in enumerate(zip(one.lines, shorter, strict=True)):
        run.left[line] += before - after
        if one.rates is not None:
            run.off[line] -= one.rates[line]
    if one.rule.budget is not None:
        run.spent[one.rule.budget] -= one.given - given
    one.lines, one.given, one.rates = shorter, given, None


def _count_group(run: Run, group: CompiledGroup) -> None:
    """Count what a group's discounts came to in the end; with the first of them, so that it is counted where one applies."""
    within = [one for one in run.outcome.applied if one.lines is not None and one.rule.code in group.codes]
    if within:
        within[0].counts = [*within[0].counts, *counts_of(run.question, group.caps, sum([one.given for one in within]))]


def budget_uses(outcome: Outcome) -> dict[UUID, int]:
    """Return what an outcome takes of each budget."""
    taken: dict[UUID, int] = {}
    for one in outcome.applied:
        if one.rule.budget is not None:
            taken[one.rule.budget] = taken.get(one.rule.budget, 0) + one.given
    return taken


def all_counts(outcome: Outcome) -> list[Count]:
    """Return everything an outcome counts."""
    counts = list(outcome.counts)
    for one in outcome.applied:
        if one.counts:
            counts += one.counts
    return counts


__all__ = ["Applied", "Count", "Missed", "Outcome", "Question", "all_counts", "budget_uses", "evaluate"]
