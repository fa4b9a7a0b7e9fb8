"""An authorisation keeps its rules and settles them by what was dispensed, within what was set aside."""

from datetime import UTC, date, datetime
from uuid import UUID

import msgspec
import pytest

from loyalty.pricing.bounding import Count
from loyalty.pricing.compiling import budget_id, cap_id
from loyalty.pricing.document import (
    Band,
    Bonus,
    By,
    Cap,
    Fixed,
    Give,
    Mode,
    Nth,
    Of,
    Per,
    Percent,
    PerUnit,
    Points,
    Tiered,
)
from loyalty.pricing.freezing import Frozen, book_of_term, freeze, give_back, released, settle

from .books import ANNA, HERE, ask, at, basket, book, fuel, given, group, plan_of, rule, why, with_had

GOLD = PerUnit(rate_e4=2000)
DAY = Cap(per=Per.DAY, amount=10_000)
NOTHING = basket(fuel("0.00"))


def frozen_of(which, goods=None, *, share=3, **asked) -> Frozen | None:
    goods = goods or basket()
    outcome = ask(which, goods, **asked)
    frozen = freeze(which, plan_of(which, goods, moment=asked.get("moment")), outcome, "personal", share)
    return None if frozen is None else msgspec.json.decode(msgspec.json.encode(frozen), type=Frozen)


def dispensed(which, frozen, litres="22.00", price="8.37", *, moment=None, final=True, earlier=False):
    return settle(which, frozen, HERE, basket(fuel(litres, price)), moment or at(), final=final, earlier=earlier)


def times(counts) -> list[tuple[int, int]]:
    return [(count.amount, count.times) for count in counts]


def test_nothing_is_kept_where_no_rule_can_matter():
    assert frozen_of(book()) is None
    assert frozen_of(book(rule(GOLD, tiers=("gold",)))) is None


def test_what_is_kept_is_the_book_by_number_and_the_candidates_passed():
    rules = (
        rule(GOLD, "free"),
        rule(GOLD, "gold", tiers=("gold",)),
        rule(GOLD, "big", least_quantity_milli=30_000),
        rule(GOLD, "cap", caps=(DAY,)),
    )
    frozen = frozen_of(book(*rules))
    assert (frozen.book, frozen.card, frozen.share) == (7, "personal", 3)
    assert [(one.code, one.most) for one in frozen.rules] == [("free", None), ("big", None), ("cap", 440)]


@pytest.mark.parametrize(
    ("litres", "price", "taken"),
    [
        ("22.00", "8.37", {"gold": 440, "twenty": 3595, "five": 500}),
        ("10.00", "8.37", {"gold": 200, "twenty": 1634, "five": 500}),
        ("10.00", "9.00", {"gold": 200, "twenty": 1760, "five": 500}),  # the pump's price of after midnight
        ("30.00", "8.37", {"gold": 600, "twenty": 4902, "five": 500}),  # over-capture is booked
        ("0.50", "8.37", {"gold": 10, "twenty": 82, "five": 327}),
    ],
)
def test_a_fill_settles_by_the_litres_at_the_pump_s_price(litres, price, taken):
    which = book(
        rule(GOLD, "gold", priority=1), rule(Percent(basis_points=2000), "twenty", priority=2), rule(Fixed(amount_minor=500), "five")
    )
    settled = dispensed(which, frozen_of(which), litres, price)
    assert given(settled.outcome) == taken
    assert (settled.counts, settled.budgets, settled.left) == ([], [], None)


def test_the_customer_is_not_asked_again():
    """Who is gold, whose birthday it is, which visit: what was passed at authorisation stays passed."""
    nth = cap_id("third", Of.ACCOUNT, Per.EVER, nth=True)
    gold = with_had(ANNA, (nth, date(1, 1, 1), 0, 2))._replace(tier="gold")
    rules = rule(GOLD, "gold", tiers=("gold",)), rule(GOLD, "third", nth=Nth(count=3)), rule(GOLD, "thursday", weekdays=(4,))
    which = book(*rules)
    settled = dispensed(which, frozen_of(which, person=gold), moment=at("2026-09-25 00:30"))
    assert given(settled.outcome) == {"gold": 440, "third": 440, "thursday": 440}


def test_less_fuel_misses_a_threshold_and_takes_the_next_offer():
    which = book(
        group("g", Mode.FIRST),
        rule(Fixed(amount_minor=2000), "big", group="g", priority=1, least_quantity_milli=20_000),
        rule(GOLD, "small", group="g"),
    )
    settled = dispensed(which, frozen_of(which), "10.00")
    assert (given(settled.outcome), why(settled.outcome)) == ({"small": 200}, {"big": "least_quantity"})


def test_what_had_no_turn_and_is_not_for_this_customer_is_not_given_later():
    parts = (
        group("g", Mode.FIRST),
        rule(GOLD, "big", group="g", priority=1, least_quantity_milli=20_000),
        rule(GOLD, "gold", group="g", tiers=("gold",)),
    )
    which = book(*parts)
    settled = dispensed(which, frozen_of(which), "10.00")
    assert (given(settled.outcome), why(settled.outcome)["gold"]) == ({}, "not_frozen")


def test_a_rule_that_ended_between_authorisation_and_completion_still_counts():
    ends = datetime(2026, 9, 24, 2, 30, tzinfo=UTC)
    later = rule(GOLD, "later", starts_at=ends)
    which = book(rule(GOLD, "lunch", ends_at=ends), later)
    settled = dispensed(which, frozen_of(which), moment=at("2026-09-24 10:40"))
    assert given(settled.outcome) == {"lunch": 440}


@pytest.mark.parametrize(("litres", "got", "back"), [("22.00", 440, 0), ("10.00", 200, -240), ("30.00", 440, 0), ("0.00", 0, -440)])
def test_a_capped_rule_gives_no_more_than_was_set_aside_and_the_rest_goes_back(litres, got, back):
    which = book(rule(GOLD, caps=(DAY, Cap(per=Per.MONTH, count=3))))
    frozen = frozen_of(which)
    assert times(frozen.counts) == [(440, 1), (440, 1)]
    settled = dispensed(which, frozen, litres)
    assert given(settled.outcome) == ({"r": got} if got else {})
    gone = -1 if not got else 0
    assert times(settled.counts) == ([(back, gone)] * 2 if back else [])
    assert times(settled.counted) == ([(got, 1)] * 2 if got else [])


@pytest.mark.parametrize(("litres", "got"), [("22.00", 440), ("10.00", 200), ("30.00", 440), ("0.00", 0)])
def test_a_budget_s_share_moves_from_set_aside_to_used(litres, got):
    which = book(rule(GOLD, budget="b"))
    settled = dispensed(which, frozen_of(which, budgets={budget_id("b"): 9999}), litres)
    assert settled.budgets == [(budget_id("b"), 3, -440, got)]


@pytest.mark.parametrize(("litres", "gold", "ten"), [("22.00", 440, 160), ("10.00", 200, 400), ("30.00", 600, 0)])
def test_a_group_s_cap_over_time_bounds_the_sum_of_its_discounts(litres, gold, ten):
    which = book(
        group("g", Mode.STACK, caps=(Cap(per=Per.MONTH, amount=600),)),
        rule(GOLD, "gold", group="g", priority=1),
        rule(Fixed(amount_minor=1000), "ten", group="g"),
        rule(Points(points=99), "points", group="g"),
    )
    frozen = frozen_of(which)
    assert [(one.code, one.most) for one in frozen.groups] == [("group:g", 600)]
    settled = dispensed(which, frozen, litres)
    assert given(settled.outcome) == {code: amount for code, amount in {"gold": gold, "ten": ten, "points": 99}.items() if amount}


def test_a_visit_is_kept_and_taken_back_even_where_it_was_not_the_one():
    which = book(rule(GOLD, nth=Nth(count=5, every=True)))
    frozen = frozen_of(which)
    assert (frozen.rules, [(count.times, count.visit) for count in frozen.counts]) == ((), [(1, True)])
    assert times(dispensed(which, frozen, "0.00").counts) == [(0, -1)]
    settled = dispensed(which, frozen)
    assert (times(settled.counts), times(settled.counted)) == ([], [(0, 1)])


def parts_of(which, frozen, *litres):
    """Settle a fill in parts; return what each gave, and all changes of counters and budgets."""
    taken, counts, budgets, earlier = [], [], [], False
    for place, some in enumerate(litres):
        settled = dispensed(which, frozen, some, final=place == len(litres) - 1, earlier=earlier)
        taken.append(given(settled.outcome))
        counts += settled.counts
        budgets += settled.budgets
        frozen, earlier = settled.left, earlier or some != "0.00"
    assert frozen is None
    return taken, counts, budgets


def test_parts_come_to_what_one_completion_gives():
    which = book(rule(GOLD, "gold", caps=(DAY,), budget="b"), rule(Points(points=1, per_quantity_milli=1000), "points"))
    frozen = frozen_of(which, budgets={budget_id("b"): 9999})
    taken, counts, budgets = parts_of(which, frozen, "10.00", "7.00", "5.00")
    assert taken == [{"gold": 200, "points": 10}, {"gold": 140, "points": 7}, {"gold": 100, "points": 5}]
    assert sum(count.amount for count in counts) == 0
    assert (sum(use.reserved for use in budgets), sum(use.used for use in budgets)) == (-440, 440)


def test_parts_give_back_what_was_not_dispensed():
    which = book(rule(GOLD, "gold", caps=(DAY,), budget="b"))
    frozen = frozen_of(which, budgets={budget_id("b"): 9999})
    taken, counts, budgets = parts_of(which, frozen, "10.00", "0.00")
    assert taken == [{"gold": 200}, {}]
    assert times(counts) == [(-240, 0)]
    assert (sum(use.reserved for use in budgets), sum(use.used for use in budgets)) == (-440, 200)


@pytest.mark.parametrize(
    ("effect", "first", "then"),
    [
        (Fixed(amount_minor=500), 500, 0),
        (Points(points=50), 50, 0),
        (Give(what="wash", item="wash"), 1, 0),
        (Bonus(amount_minor=300), 300, 0),
        (Tiered(by=By.QUANTITY, bands=(Band(starts=1, amount_minor=400), Band(starts=9000, amount_minor=700))), 700, 0),
    ],
)
def test_what_a_transaction_has_once_is_not_given_with_every_part(effect, first, then):
    which = book(rule(effect))
    taken, _, _ = parts_of(which, frozen_of(which), "11.00", "11.00")
    assert [one.get("r", 0) for one in taken] == [first, then]


@pytest.mark.parametrize("of_group", [False, True])
@pytest.mark.parametrize("cap", [Cap(per=Per.TRANSACTION, amount=300), Cap(per=Per.DAY, amount=300)])
def test_a_cap_holds_over_all_parts(cap, of_group):
    which = book(group("g", Mode.STACK, caps=(cap,) if of_group else ()), rule(GOLD, "gold", group="g", caps=() if of_group else (cap,)))
    taken, _, _ = parts_of(which, frozen_of(which), "10.00", "12.00")
    assert [one.get("gold", 0) for one in taken] == [200, 100]


def test_a_benefit_that_no_part_was_given_counts_no_time():
    which = book(rule(GOLD, caps=(DAY,), least_quantity_milli=15_000))
    taken, counts, _ = parts_of(which, frozen_of(which), "10.00", "12.00")
    assert (taken, times(counts)) == ([{}, {}], [(-440, -1)])


@pytest.mark.parametrize("delivered", [False, True])
def test_an_authorisation_that_ends_gives_everything_back(delivered):
    which = book(rule(GOLD, "gold", caps=(DAY,), budget="b"), rule(GOLD, "nth", nth=Nth(count=2)))
    frozen = frozen_of(which, budgets={budget_id("b"): 9999})
    counts, budgets = give_back(which, frozen, delivered=delivered)
    assert budgets == [(budget_id("b"), 3, -440, 0)]
    # Something was delivered, though nothing of this rule: its visit stays, its benefit does not.
    assert times(counts) == [(0, 0 if delivered else -1), (-440, -1)]


def test_what_was_given_back_gives_nothing_more():
    which = book(rule(GOLD, "free"), rule(GOLD, "capped", caps=(DAY,)), rule(GOLD, "budget", budget="b"))
    ended = released(frozen_of(which, budgets={budget_id("b"): 9999}))
    settled = dispensed(which, ended)
    assert given(settled.outcome) == {"free": 440}
    assert (settled.counts, settled.budgets) == ([], [])


def test_a_term_of_the_release_before_still_settles():
    term = Frozen(code="gold-92", revision=4, rate_e4=2000, funder="head-office", name_zh="金卡", name_en="Gold")
    which, frozen = book_of_term(term, "CNY")
    settled = dispensed(which, frozen)
    assert [(one.rule.code, one.rule.revision, one.given) for one in settled.outcome.applied] == [("gold-92", 4, 440)]


def test_a_freeze_without_the_newer_fields_is_read():
    counter = UUID(int=5)
    kept = msgspec.json.encode({"book": 7, "card": "personal", "rules": [["r"]], "counts": [[str(UUID(int=12)), str(counter), 1, 440, 1]]})
    frozen = msgspec.json.decode(kept, type=Frozen)
    counts, _ = give_back(book(rule(GOLD)), frozen, delivered=False)
    assert counts == [Count(UUID(int=12), counter, 1, -440, -1, None, None)]
