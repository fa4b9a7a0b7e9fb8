"""One candidate in its turn: whether it is asked, what its thresholds say, what it takes off, and what caps and budget leave of that."""

from collections.abc import Sequence
from typing import Final

from loyalty.money import share_out

from . import calculators
from .bounding import Count, subject_of
from .calculators import Worth
from .compiling import CompiledRule, PlannedRule
from .conditions import Miss, unmet, window_start
from .document import Basis, Bundle, Tiered, UnitPrice
from .granting import note_grant
from .running import NOTHING, Applied, Run

_INITIAL: Final = Basis.INITIAL
_BEFORE: Final = Basis.BEFORE


def try_rule(run: Run, planned: PlannedRule) -> bool:
    """Let a rule have its turn; say whether it applies. A grant is noted, and worked out in the end."""
    rule = planned.rule
    missed = None
    if run.is_plain:
        if rule.asks:
            missed = not_asked(run, rule)
    elif run.question.without or rule.code not in run.rooms:
        missed = not_asked(run, rule)
    if missed is None and rule.has_thresholds:
        missed = _threshold(run, planned)
    if missed is not None:
        run.miss(rule, missed)
        return False
    if planned.takes_line:
        return _discount_line(run, rule)
    return note_grant(run, planned) if rule.is_grant else _discount(run, planned)


def not_asked(run: Run, rule: CompiledRule) -> Miss | None:
    """Return why a rule is no candidate for this customer, time and tender at all; an n-th rule's visit is counted."""
    question = run.question
    if rule.code in question.without:
        return Miss("disabled")
    if question.frozen is not None:
        return None if rule.code in question.frozen else Miss("not_frozen")
    if not rule.asks:
        return None
    campaign = None if rule.rule.campaign is None else question.book.campaigns.get(rule.rule.campaign)
    missed = unmet(rule, question.basket, question.person, question.moment, campaign)
    nth = rule.when.nth
    if nth is not None and (missed is None or missed.why == "nth") and rule.nth_counter is not None:
        subject = subject_of(question.person, nth.of)
        if subject is not None:
            start = window_start(nth.per, question.moment.local.date()).toordinal()
            run.outcome.counts.append(Count(subject, rule.nth_counter, start, 0, 1, None, None))
    return missed


def _threshold(run: Run, planned: PlannedRule) -> Miss | None:
    rule = planned.rule
    when = rule.when
    if when.least_quantity_milli is not None or when.most_quantity_milli is not None:
        quantity = run.quantity(planned.goods)
        if when.least_quantity_milli is not None and quantity < when.least_quantity_milli:
            return Miss("least_quantity", when.least_quantity_milli, quantity)
        if when.most_quantity_milli is not None and quantity > when.most_quantity_milli:
            return Miss("most_quantity", when.most_quantity_milli, quantity)
    if when.basis is _INITIAL:
        return _amount_refuses(rule, run.initial_minor(planned.goods))
    # After a discount is asked once it is known; a grant takes nothing off.
    if when.basis is _BEFORE or rule.is_grant:
        return _amount_refuses(rule, run.left_minor(planned.goods))
    return None


def _amount_refuses(rule: CompiledRule, amount: int) -> Miss | None:
    when = rule.when
    if when.least_minor is not None and amount < when.least_minor:
        return Miss("least_amount", when.least_minor, amount)
    if when.most_minor is not None and amount > when.most_minor:
        return Miss("most_amount", when.most_minor, amount)
    return None


def _discount(run: Run, planned: PlannedRule) -> bool:
    rule, places = planned.rule, planned.discounted
    one = rule.worth if rule.bands is None else _band(run, rule, planned.goods)
    amounts: list[int] | None = None
    if one is None:
        amounts = _others(run, planned)
        total = sum(amounts)
    elif len(places) == 1:
        total = _line_amount(run, one, places[0])
    else:
        amounts = _line_amounts(run, one, places)
        total = sum(amounts)
    if total <= 0 and one is not None and one.rate is not None and not rule.is_bounded:
        # A rate that is worth less than half a cent here still counts, so that rates that stack are exact.
        _make_cheaper(run, one, places)
    given = _given(run, planned, total)
    if not given:
        return False
    if amounts is None:
        amounts = [given]
    elif given < total:
        amounts = share_out(given, amounts)
    base = run.left_minor(places) if rule.of_left else run.initial_minor(places)
    # What is given in part only leaves the price as it was for the rules after it.
    rates = None if one is None or one.rate is None or given < total else _make_cheaper(run, one, places)
    applied = Applied(rule, base, total, given, _take(run, places, amounts), rates)
    if rule.budget is not None:
        run.spent[rule.budget] = run.spent.get(rule.budget, 0) + given
    run.outcome.applied.append(applied)
    return True


def _discount_line(run: Run, rule: CompiledRule) -> bool:
    """Take a plain effect or a whole ladder off the only line: what nearly every fill is, and the same as the way through many lines."""
    line, left, off = run.goods[0], run.left[0], run.off[0]
    one = rule.worth if rule.bands is None else _reached(rule.bands, line.quantity_milli if rule.by_quantity else line.amount_minor)
    if one is None:
        run.miss(rule, _why_nothing(rule))
        return False
    effect = one.effect
    if one.by_line is not None:
        total = one.by_line(effect, line, left, off, run.digits)
    else:
        assert one.by_order is not None, "an effect goes by line or by order"
        total = one.by_order(effect, line.amount_minor, left)
    given = total
    if total <= 0:
        if one.rate is not None and not rule.is_bounded:
            # A rate that is worth less than half a cent here still counts, so that rates that stack are exact.
            run.off[0] = off + _cheaper(one.rate(effect, line, off), off, line.unit_price_e4)
        run.miss(rule, _why_nothing(rule))
        return False
    if rule.is_bounded or (not run.is_plain and run.rooms.get(rule.code, 0) is not None):
        given, bound = run.within_room(rule, total)
        if given <= 0:
            run.miss(rule, bound)
            return False
    if rule.asks_after and (refused := _amount_refuses(rule, left - given)) is not None:
        run.miss(rule, refused)
        return False
    rates: list[int] | None = None
    # What is given in part only leaves the price as it was for the rules after it.
    if one.rate is not None and given == total:
        rate = _cheaper(one.rate(effect, line, off), off, line.unit_price_e4)
        rates = [rate]
        run.off[0] = off + rate
    run.left[0] = left - given
    if rule.budget is not None:
        run.spent[rule.budget] = run.spent.get(rule.budget, 0) + given
    run.outcome.applied.append(Applied(rule, left if rule.of_left else line.amount_minor, total, given, [given], rates))
    return True


def _cheaper(rate_e4: int, off_e4: int, price_e4: int) -> int:
    """Return by how much a rate makes a unit cheaper that is so much off already: never below nothing."""
    return rate_e4 if off_e4 + rate_e4 < price_e4 else price_e4 - off_e4


def _line_amount(run: Run, one: Worth, place: int) -> int:
    """Return what an effect takes off a single line: the usual basket, at the least cost."""
    line = run.goods[place]
    if one.by_line is not None:
        return one.by_line(one.effect, line, run.left[place], run.off[place], run.digits)
    assert one.by_order is not None, "an effect goes by line or by order"
    return one.by_order(one.effect, line.amount_minor, run.left[place])


def _line_amounts(run: Run, one: Worth, places: Sequence[int]) -> list[int]:
    goods, left, off = run.goods, run.left, run.off
    lines = [goods[place] for place in places]
    return calculators.discounts(one, lines, [left[place] for place in places], [off[place] for place in places], run.digits)


def _given(run: Run, planned: PlannedRule, total: int) -> int:
    """Return how much of a discount is given; nothing with a note why not."""
    rule = planned.rule
    if total <= 0:
        run.miss(rule, _why_nothing(rule))
        return 0
    given, refused = total, None
    if rule.is_bounded or not run.is_plain:
        given, bound = run.within_room(rule, total)
        refused = bound if given <= 0 else None
    if refused is None and rule.asks_after:
        refused = _amount_refuses(rule, run.left_minor(planned.goods) - given)
    if refused is None:
        return given
    run.miss(rule, refused)
    return 0


def _take(run: Run, places: Sequence[int], amounts: list[int]) -> list[int]:
    """Take amounts off what is left of these lines; return them for each line of the basket."""
    if len(run.goods) == 1:
        run.left[0] -= amounts[0]
        return amounts
    lines = [0] * len(run.goods)
    for place, amount in zip(places, amounts, strict=True):
        lines[place] = amount
        run.left[place] -= amount
    return lines


def _band(run: Run, rule: CompiledRule, places: Sequence[int]) -> Worth | None:
    """Return the band that a whole ladder's goods reach."""
    return _reached(rule.bands or (), run.quantity(places) if rule.by_quantity else run.initial_minor(places))


def _reached(bands: Sequence[tuple[int, Worth]], measured: int) -> Worth | None:
    found = None
    for starts, one in bands:
        if starts <= measured:
            found = one
    return found


def _others(run: Run, planned: PlannedRule) -> list[int]:
    """Return what bundles and marginal ladders take off; nothing for a whole ladder below its bands."""
    effect, places = planned.rule.effect, planned.discounted
    if isinstance(effect, Bundle) and all(planned.bundle_parts):
        return calculators.bundle(effect, planned.bundle_parts, run.goods, run.left)
    if isinstance(effect, Tiered) and planned.rule.bands is None:
        lines = [run.goods[place] for place in places]
        lefts, offs = [run.left[place] for place in places], [run.off[place] for place in places]
        return calculators.marginal(effect, lines, lefts, offs, run.digits)
    return [0] * len(places)


def _make_cheaper(run: Run, one: Worth, places: Sequence[int]) -> list[int]:
    """Make units cheaper by the rule's rate for the rules after it; return by how much, for each line of the basket."""
    assert one.rate is not None, "asked for rates only"
    rates = [0] * len(run.goods)
    for place in places:
        line, off = run.goods[place], run.off[place]
        rates[place] = _cheaper(one.rate(one.effect, line, off), off, line.unit_price_e4)
        run.off[place] = off + rates[place]
    return rates


def _why_nothing(rule: CompiledRule) -> Miss:
    effect = rule.effect
    if isinstance(effect, UnitPrice):
        return Miss("price_not_lower", effect.unit_price_e4)
    if isinstance(effect, Bundle):
        return Miss("bundle_incomplete")
    if isinstance(effect, Tiered):
        return Miss("below_bands", effect.bands[0].starts, effect.by.value)
    return NOTHING
