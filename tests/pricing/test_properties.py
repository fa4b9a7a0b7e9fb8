"""What holds for every rulebook and every basket."""

from datetime import date

import msgspec
import pytest
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

from loyalty.money import line_amount
from loyalty.pricing.basket import Basket, Person
from loyalty.pricing.bounding import Question
from loyalty.pricing.calculators import split_funders
from loyalty.pricing.document import Channel, Fixed, Mode, Percent, PerUnit
from loyalty.pricing.evaluating import all_counts, budget_uses, evaluate
from loyalty.pricing.freezing import Frozen, freeze, give_back, settle
from loyalty.pricing.refunding import returned

from . import books as b
from . import strategies as some

thorough = settings(deadline=None, derandomize=True, max_examples=80)


STARTS = (date(2026, 9, 24), date(2026, 9, 21), date(2026, 9, 1), date(1, 1, 1))


def with_room(book, left: int) -> Person:
    """Return a customer whose windows have had something of everything."""
    return b.ANNA._replace(had={(counter, start): (left, 0) for counter in book.counters for start in STARTS})


def asked(book, goods, free, had=0, **other):
    note(repr(book.document))
    person = with_room(book, had)
    plan = b.plan_of(book, goods)
    return plan, evaluate(Question(book, b.HERE, goods, person, b.at(), budgets=free, **other), plan)


@thorough
@given(some.books(), some.carts, some.free_budgets, st.integers(0, 20_000))
def test_money_is_exact_and_never_below_nothing_nor_above_the_amount(book, goods, free, had):
    plan, outcome = asked(book, goods, free, had)
    b.saved(outcome)
    assert all(0 <= off <= line.amount_minor for off, line in zip(outcome.discounts, goods.goods, strict=True))
    for one in outcome.applied:
        assert 0 < one.given <= one.wanted
        borne = split_funders(one.rule.funders, one.given)
        assert sum(amount for _, amount in borne) == one.given
        assert all(amount >= 0 for _, amount in borne)
    codes = [one.rule.code for one in (*outcome.applied, *outcome.missed)]
    assert sorted(codes) == sorted(planned.rule.code for planned in plan.rules), "each candidate applies or is told why not, once"


@thorough
@given(some.books(), some.carts, some.free_budgets, st.integers(0, 20_000))
def test_caps_and_budgets_hold(book, goods, free, had):
    plan, outcome = asked(book, goods, free, had)
    taken = {one.rule.code: one.given for one in outcome.applied}
    off = {one.rule.code: one.given for one in outcome.applied if one.lines is not None}
    for budget, used in budget_uses(outcome).items():
        assert 0 < used <= free[budget]
    bounds = [(one.rule.caps, taken[one.rule.code]) for one in outcome.applied]
    bounds += [(group.caps, sum(off.get(code, 0) for code in group.codes)) for group in plan.capped]
    for caps, given_ in bounds:
        for cap in caps:
            assert given_ == 0 or given_ <= cap.amount - (had if cap.counter is not None else 0)
    for count in all_counts(outcome):
        assert count.amount >= 0
        assert count.amount_max is None or had + count.amount <= count.amount_max
    counted = [(count.subject_id, count.counter) for count in all_counts(outcome)]
    assert len(counted) == len(set(counted)), "nothing is counted twice"


@thorough
@given(some.books(), some.carts, some.free_budgets)
def test_the_same_question_has_the_same_answer_whatever_the_order_of_the_document(book, goods, free):
    again = b.Book(7, msgspec.structs.replace(book.document, rules=book.document.rules[::-1], groups=book.document.groups[::-1]), b.NAMES)
    _, one = asked(book, goods, free)
    _, other = asked(again, goods, free)
    assert (b.given(one), one.discounts, b.why(one)) == (b.given(other), other.discounts, b.why(other))


members = st.lists(some.discounts, min_size=1, max_size=5)


@thorough
@given(members, some.carts, st.sampled_from([Mode.BEST, Mode.CHEAPEST]), st.data())
def test_a_choosing_group_does_not_mind_the_order_of_its_members(effects, goods, mode, data):
    order = data.draw(st.permutations(range(len(effects))))
    codes = [f"r{place}" for place in range(len(effects))]
    in_order = [b.rule(effect, code, group="g", priority=place) for place, (effect, code) in enumerate(zip(effects, codes, strict=True))]
    shuffled = [msgspec.structs.replace(one, priority=order.index(place)) for place, one in enumerate(in_order)]
    totals = [b.saved(asked(b.book(b.group("g", mode), *rules), goods, {})[1]) for rules in (in_order, shuffled)]
    assert totals[0] == totals[1]


@thorough
@given(members, some.carts, st.lists(some.splits, min_size=5, max_size=5))
def test_best_is_no_worse_than_each_alone_and_cheapest_costs_no_more(effects, goods, splits):
    rules = [b.rule(effect, f"r{place}", group="g", funders=splits[place]) for place, effect in enumerate(effects)]
    alone = [asked(b.book(b.group("g", Mode.STACK), one), goods, {})[1] for one in rules]
    best = asked(b.book(b.group("g", Mode.BEST), *rules), goods, {})[1]
    assert b.saved(best) == max(b.saved(outcome) for outcome in alone)
    cheapest = asked(b.book(b.group("g", Mode.CHEAPEST), *rules), goods, {})[1]
    applying = [outcome for outcome in alone if outcome.applied]
    assert _own(cheapest) == min((_own(outcome) for outcome in applying), default=0)


def _own(outcome) -> int:
    return sum((2 * one.given * one.rule.own_parts + one.rule.parts) // (2 * one.rule.parts) for one in outcome.applied)


@thorough
@given(some.carts, st.one_of(st.builds(Percent, basis_points=some.shares), st.builds(Fixed, amount_minor=some.amounts)), st.data())
def test_an_order_discount_does_not_mind_the_order_of_the_goods(goods, effect, data):
    shuffled = goods._replace(goods=tuple(data.draw(st.permutations(goods.goods))))
    which = b.book(b.rule(effect))
    assert b.saved(asked(which, goods, {})[1]) == b.saved(asked(which, shuffled, {})[1])


@thorough
@given(st.lists(st.integers(1, 9000), min_size=1, max_size=5), st.integers(1, 99_999), st.integers(50_000, 99_999))
def test_stacked_rates_are_exact(rates, quantity, price):
    line = b.fuel()._replace(quantity_milli=quantity, unit_price_e4=price, amount_minor=line_amount(quantity, price))
    rules = [b.rule(PerUnit(rate_e4=rate), f"r{place}") for place, rate in enumerate(rates)]
    outcome = asked(b.book(*rules), Basket((line,), Channel.PUMP), {})[1]
    assert b.saved(outcome) == line.amount_minor - line_amount(quantity, max(price - sum(rates), 0))


def frozen_of(book, plan, outcome) -> Frozen | None:
    frozen = freeze(book, plan, outcome, "personal", 2)
    return None if frozen is None else msgspec.json.decode(msgspec.json.encode(frozen), type=Frozen)


def netted(counts) -> dict:
    """Return what counters come to: (subject, counter, start) → (amount, times)."""
    found: dict = {}
    for one in counts:
        start = one.start if hasattr(one, "start") else one.start_ordinal
        amount, times = found.get((one.subject_id, one.counter, start), (0, 0))
        found[one.subject_id, one.counter, start] = amount + one.amount, times + one.times
    return {key: value for key, value in found.items() if value != (0, 0)}


@thorough
@given(some.books(), some.pumped, some.free_budgets, st.integers(0, 20_000))
def test_a_fill_of_what_was_approved_settles_as_it_was_quoted(book, goods, free, had):
    plan, quoted = asked(book, goods, free, had)
    frozen = frozen_of(book, plan, quoted)
    assume(frozen is not None)
    settled = settle(book, frozen, b.HERE, goods, b.at(), final=True, earlier=False)
    assert b.given(settled.outcome) == b.given(quoted)
    assert settled.outcome.discounts == quoted.discounts
    assert settled.counts == []
    assert netted(settled.counted) == netted(frozen.counts)
    assert {use.budget_id for use in settled.budgets} == set(budget_uses(quoted))
    assert all(use.used == -use.reserved for use in settled.budgets)


@thorough
@given(some.books(), some.pumped, some.free_budgets, st.integers(0, 20_000), st.integers(1, 200))
def test_another_quantity_gives_no_more_than_was_set_aside(book, goods, free, had, per_cent):
    plan, quoted = asked(book, goods, free, had)
    frozen = frozen_of(book, plan, quoted)
    assume(frozen is not None)
    settled = settle(book, frozen, b.HERE, share_of(goods, per_cent), b.at(), final=True, earlier=False)
    b.saved(settled.outcome)
    before = b.given(quoted)
    for one in settled.outcome.applied:
        if one.rule.budget is not None or any(cap.counter is not None for cap in one.rule.caps):
            assert one.given <= before.get(one.rule.code, 0)
    assert all(0 <= use.used <= -use.reserved for use in settled.budgets)
    # What the counters come to is what was given.
    total = netted([*frozen.counts, *settled.counts])
    assert total == netted(settled.counted)
    assert all(amount >= 0 and times >= 0 for amount, times in total.values())


def share_of(goods: Basket, per_cent: int) -> Basket:
    line = goods.goods[0]
    quantity = line.quantity_milli * per_cent // 100
    return goods._replace(goods=(line._replace(quantity_milli=quantity, amount_minor=line_amount(quantity, line.unit_price_e4)),))


@thorough
@given(some.books(), some.pumped, some.free_budgets, st.integers(0, 20_000))
def test_nothing_dispensed_brings_counters_and_budgets_back_to_where_they_were(book, goods, free, had):
    plan, quoted = asked(book, goods, free, had)
    frozen = frozen_of(book, plan, quoted)
    assume(frozen is not None)
    settled = settle(book, frozen, b.HERE, share_of(goods, 0), b.at(), final=True, earlier=False)
    back_counts, back_budgets = give_back(book, frozen, delivered=False)
    assert settled.outcome.applied == []
    for counts, budgets in ((settled.counts, settled.budgets), (back_counts, back_budgets)):
        assert netted([*all_counts(quoted), *counts]) == {}
        assert {use.budget_id: 0 for use in budgets} == dict.fromkeys(budget_uses(quoted), 0)
        assert sum(use.reserved for use in budgets) == -sum(budget_uses(quoted).values())
        assert all(use.used == 0 for use in budgets)


@thorough
@given(some.books(), some.pumped, some.free_budgets, st.integers(0, 20_000), st.lists(st.integers(0, 80), min_size=1, max_size=4))
def test_in_however_many_parts_caps_budgets_and_what_is_had_once_hold(book, goods, free, had, parts):
    plan, quoted = asked(book, goods, free, had)
    frozen = frozen_of(book, plan, quoted)
    assume(frozen is not None)
    total: dict[str, int] = {}
    counts, counted, budgets, rest, earlier = [*frozen.counts], [], [], frozen, False
    for place, part in enumerate(parts):
        goods_now = share_of(goods, part)
        settled = settle(book, rest, b.HERE, goods_now, b.at(), final=place == len(parts) - 1, earlier=earlier)
        for code, amount in b.given(settled.outcome).items():
            total[code] = total.get(code, 0) + amount
        counts, counted, budgets = [*counts, *settled.counts], [*counted, *settled.counted], [*budgets, *settled.budgets]
        rest, earlier = settled.left, earlier or goods_now.goods[0].quantity_milli > 0
    before = b.given(quoted)
    for code, amount in total.items():
        rule = book.rules[code]
        if rule.budget is not None or any(cap.counter is not None for cap in rule.caps):
            assert amount <= before.get(code, 0)
        assert all(amount <= cap.amount for cap in rule.caps)
        if isinstance(rule.effect, Fixed):
            assert amount <= rule.effect.amount_minor
    assert sum(use.reserved for use in budgets) == -sum(budget_uses(quoted).values())
    assert netted(counts) == netted(counted)


@thorough
@given(st.integers(1, 9000), some.pumped, st.lists(st.integers(1, 20_000), min_size=1, max_size=5))
def test_parts_of_a_rate_come_to_the_whole_within_their_roundings(rate, goods, quantities):
    price = goods.goods[0].unit_price_e4

    def fill(quantity):
        return Basket((goods.goods[0]._replace(quantity_milli=quantity, amount_minor=line_amount(quantity, price)),), Channel.PUMP)

    book = b.book(b.rule(PerUnit(rate_e4=rate)))
    whole = fill(sum(quantities))
    plan, quoted = asked(book, whole, {})
    rest, saved = frozen_of(book, plan, quoted), 0
    assume(rest is not None)
    for place, quantity in enumerate(quantities):
        settled = settle(book, rest, b.HERE, fill(quantity), b.at(), final=place == len(quantities) - 1, earlier=place > 0)
        saved += b.saved(settled.outcome)
        rest = settled.left
    # Each part's list and net amounts are rounded by themselves: half a cent each.
    assert abs(saved - b.saved(quoted)) <= len(quantities) + 1
    if all(quantity % 1000 == 0 for quantity in quantities) and not price % 100 and not rate % 100:
        assert saved == b.saved(quoted)


benefits = st.lists(
    st.builds(
        lambda rule, kind, amount: {"rule": rule, "kind": kind, "given": amount},
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["discount", "points", "gift"]),
        st.integers(1, 10**6),
    ),
    max_size=5,
)


@given(benefits, st.integers(1, 10**7), st.data())
def test_any_run_of_refunds_ends_with_nothing_left(kept, gross, data):
    before: dict[tuple[str, str], int] = {}
    total: dict[tuple[str, str], int] = {}
    for one in kept:
        total[one["rule"], one["kind"]] = total.get((one["rule"], one["kind"]), 0) + one["given"]
    refunded = 0
    for last in (False, False, False, True):
        now = gross - refunded if last else data.draw(st.integers(0, gross - refunded))
        found = returned(kept, gross_minor=gross, refunded_before_minor=refunded, refunded_now_minor=now, returned_before=before)
        for rule, kind, amount in found:
            assert amount > 0
            before[rule, kind] = before.get((rule, kind), 0) + amount
            assert before[rule, kind] <= total[rule, kind]
        refunded += now
        for key, amount in total.items():
            assert abs(before.get(key, 0) * gross - amount * refunded) * 2 <= gross, "never off by more than half a unit"
    assert before == total


@pytest.mark.parametrize(
    ("before", "now", "earlier", "found"),
    [
        (0, 18_414, {}, [("gold", "discount", 440), ("litre", "points", 22)]),
        (0, 8370, {}, [("gold", "discount", 200), ("litre", "points", 10)]),  # 10 of 22 L
        (8370, 10_044, {("gold", "discount"): 200, ("litre", "points"): 10}, [("gold", "discount", 240), ("litre", "points", 12)]),
        (0, 1, {}, []),
        (0, 0, {}, []),
        (0, 18_414, {("gold", "discount"): 440}, [("litre", "points", 22)]),
    ],
)
def test_a_refund_takes_its_share_of_each_benefit(before, now, earlier, found):
    kept = [{"rule": "gold", "kind": "discount", "given": 440}, {"rule": "litre", "kind": "points", "given": 22}]
    assert returned(kept, gross_minor=18_414, refunded_before_minor=before, refunded_now_minor=now, returned_before=earlier) == found


@pytest.mark.parametrize(("before", "now"), [(0, 101), (60, 41), (-1, 5), (5, -1)])
def test_a_refund_is_a_part_of_its_sale(before, now):
    with pytest.raises(ValueError, match="a part of its sale"):
        returned([], gross_minor=100, refunded_before_minor=before, refunded_now_minor=now, returned_before={})


def test_a_sale_that_came_to_nothing_gives_back_what_it_gave():
    kept = [{"rule": "gift", "kind": "gift", "given": 1}]
    assert returned(kept, gross_minor=0, refunded_before_minor=0, refunded_now_minor=0, returned_before={}) == [("gift", "gift", 1)]
