"""How rules join, what bounds them, and who wins a tie."""

from datetime import date
from uuid import UUID

import pytest

from loyalty.pricing.compiling import budget_id, cap_id
from loyalty.pricing.document import (
    Band,
    Basis,
    Bonus,
    Budget,
    By,
    Cap,
    Fixed,
    Funder,
    Give,
    Mode,
    Of,
    Per,
    Percent,
    PerUnit,
    Points,
    PointsTimes,
    Tiered,
    UnitPrice,
)
from loyalty.pricing.evaluating import all_counts, budget_uses

from .books import ANNA, BEARER, article, ask, basket, book, fuel, given, group, rule, saved, why, with_had

GOLD = PerUnit(rate_e4=2000)
"""4.40 of 22 L."""
TWENTY = Percent(basis_points=2000)
TEN = Fixed(amount_minor=1000)
STARTS = {Per.DAY: date(2026, 9, 24), Per.WEEK: date(2026, 9, 21), Per.MONTH: date(2026, 9, 1), Per.EVER: date(1, 1, 1)}
SUBJECTS = {Of.CARD: UUID(int=12), Of.ACCOUNT: UUID(int=11), Of.CUSTOMER: UUID(int=13)}


def stacked(*effects, **other):
    return [rule(effect, code, priority=place, **other) for place, (code, effect) in enumerate(zip("abcdef", effects, strict=False))]


@pytest.mark.parametrize(
    ("effects", "taken"),
    [
        # 184.14 − 4.40 = 179.74; 20 % of it 35.948; 10.00
        ((GOLD, TWENTY, TEN), {"a": 440, "b": 3595, "c": 1000}),
        ((TEN, TWENTY, GOLD), {"a": 1000, "b": 3483, "c": 440}),
        ((TEN, Percent(basis_points=2000, basis=Basis.INITIAL), GOLD), {"a": 1000, "b": 3683, "c": 440}),
        ((PerUnit(rate_e4=1000), PerUnit(rate_e4=1500)), {"a": 220, "b": 330}),
        # Brings 8.17 to 8.00, and does nothing where less is asked already.
        ((GOLD, UnitPrice(unit_price_e4=80_000)), {"a": 440, "b": 374}),
        ((UnitPrice(unit_price_e4=80_000), GOLD), {"a": 814, "b": 440}),
        ((TWENTY, UnitPrice(unit_price_e4=80_000)), {"a": 3683}),
        ((Percent(basis_points=200), UnitPrice(unit_price_e4=80_000)), {"a": 368, "b": 446}),  # 180.46 − 176.00
        ((Tiered(by=By.QUANTITY, bands=(Band(starts=0, rate_e4=2000),)), UnitPrice(unit_price_e4=80_000)), {"a": 440, "b": 374}),
        ((Fixed(amount_minor=18_000), TEN), {"a": 18_000, "b": 414}),
        ((Fixed(amount_minor=18_414), TEN), {"a": 18_414}),
    ],
)
def test_a_stack_takes_each_of_what_the_one_before_left(effects, taken):
    outcome = ask(book(*stacked(*effects)))
    assert given(outcome) == taken
    assert saved(outcome) == sum(taken.values())
    assert set(why(outcome).values()) <= {"nothing_left", "price_not_lower"}


def test_order_is_priority_then_code_whatever_the_order_in_the_document():
    rules = [rule(TEN, "c", priority=5), rule(TEN, "b", priority=9), rule(TEN, "a", priority=9)]
    for order in (rules, rules[::-1]):
        assert list(given(ask(book(*order)))) == ["c", "a", "b"]


def test_stacked_rates_round_as_one_rate_would():
    fill = basket(fuel("22.35"))
    rates = (333, 777, 1234)
    one = saved(ask(book(rule(PerUnit(rate_e4=sum(rates)))), fill))
    assert saved(ask(book(*stacked(*(PerUnit(rate_e4=rate) for rate in rates))), fill)) == one == 524  # 187.07 − 181.83


OWN, SHARED, OTHERS = (
    (Funder(funder="head-office"),),
    (Funder(funder="head-office"), Funder(funder="station")),
    (Funder(funder="brand"),),
)


@pytest.mark.parametrize(
    ("mode", "effects", "chosen"),
    [
        (Mode.STACK, [(GOLD, OWN), (TEN, OWN)], ["a", "b"]),
        (Mode.BEST, [(GOLD, OWN), (TEN, OWN)], ["b"]),
        (Mode.BEST, [(TEN, OWN), (TEN, SHARED)], ["b"]),  # as good: the issuer's lower cost
        (Mode.BEST, [(TEN, OTHERS), (TEN, OTHERS)], ["a"]),  # then by order
        (Mode.CHEAPEST, [(GOLD, OWN), (TEN, OWN)], ["a"]),
        (Mode.CHEAPEST, [(GOLD, OWN), (TEN, OTHERS)], ["b"]),
        (Mode.CHEAPEST, [(GOLD, OTHERS), (TEN, OTHERS)], ["b"]),  # as cheap: the more saved
        (Mode.CHEAPEST, [(TEN, OTHERS), (TEN, OTHERS)], ["a"]),
        (Mode.CHEAPEST, [(GOLD, OWN), (Fixed(amount_minor=800), SHARED)], ["b"]),  # 4.40 against half of 8.00
        (Mode.FIRST, [(GOLD, OWN), (TEN, OWN)], ["a"]),
        (Mode.FIRST, [(UnitPrice(unit_price_e4=90_000), OWN), (TEN, OWN)], ["b"]),
        (Mode.BEST, [(Points(points=5), OWN), (Points(points=9), OWN)], ["b"]),
        (Mode.BEST, [(Points(points=500), OWN), (GOLD, OWN)], ["b"]),  # money saved comes first
        (Mode.CHEAPEST, [(Bonus(amount_minor=500), OWN), (GOLD, OWN)], ["b"]),
        (Mode.CHEAPEST, [(Bonus(amount_minor=500), OWN), (Bonus(amount_minor=400), OWN)], ["b"]),
    ],
)
def test_a_group_joins_its_members_one_way(mode, effects, chosen):
    rules = [
        rule(effect, code, group="g", priority=place, funders=funders)
        for place, (code, (effect, funders)) in enumerate(zip("ab", effects, strict=True))
    ]
    outcome = ask(book(group("g", mode), *rules))
    assert list(given(outcome)) == chosen
    lost = {Mode.BEST: "better_offer", Mode.CHEAPEST: "cheaper_offer", Mode.FIRST: "first_taken"}
    for code, reason in why(outcome).items():
        assert reason == lost[mode] or code == "a", (code, reason)
    saved(outcome)


@pytest.mark.parametrize(("own", "chosen"), [(("head-office",), "b"), (("brand",), "a"), (("head-office", "brand"), "a"), ((), "b")])
def test_whose_money_is_the_issuers_own_is_the_rulebooks_to_say(own, chosen):
    """4.40 of head office against 10.00 of a brand: with neither own the more saved wins."""
    members = (rule(GOLD, "a", group="one", funders=OWN), rule(TEN, "b", group="one", funders=OTHERS))
    assert list(given(ask(book(group("one", Mode.CHEAPEST), *members, own_funders=own)))) == [chosen]


def test_a_group_is_one_member_of_the_group_around_it():
    parts = [
        group("outer", Mode.BEST),
        group("pair", Mode.STACK, group="outer"),
        rule(GOLD, "gold", group="pair"),
        rule(Fixed(amount_minor=600), "six", group="pair"),
        rule(TEN, "ten", group="outer"),
        rule(PerUnit(rate_e4=100), "always", priority=900),
    ]
    outcome = ask(book(*parts))  # 4.40 + 6.00 against 10.00, then 0.01/L
    assert given(outcome) == {"gold": 440, "six": 600, "always": 22}
    assert [(missed.rule.code, missed.miss) for missed in outcome.missed] == [("ten", ("better_offer", "pair", None))]


def test_of_a_group_that_loses_nothing_is_left():
    parts = [
        group("outer", Mode.BEST),
        group("low", Mode.STACK, group="outer", priority=1),
        rule(UnitPrice(unit_price_e4=82_000), "price", group="low"),
        rule(Points(points=7), "seven", group="low"),
        rule(TEN, "ten", group="outer"),
        rule(UnitPrice(unit_price_e4=80_000), "eight", priority=900),
    ]
    outcome = ask(book(*parts))  # 17.0 ct off × 22 = 3.74 against 10.00; then 174.14 is below 176.00
    assert given(outcome) == {"ten": 1000}
    assert why(outcome) == {"price": "better_offer", "seven": "better_offer", "eight": "price_not_lower"}


@pytest.mark.parametrize(
    ("place", "taken", "missed"),
    [
        (1, ["x"], {"a": "exclusive", "b": "exclusive"}),
        (15, ["a", "b"], {"x": "exclusive_after"}),
        (25, ["a", "b"], {"x": "exclusive_after"}),
    ],
)
def test_an_exclusive_member_applies_only_alone(place, taken, missed):
    rules = rule(GOLD, "a", priority=10), rule(TEN, "b", priority=20), rule(TWENTY, "x", priority=place, exclusive=True)
    outcome = ask(book(*rules))
    assert (list(given(outcome)), why(outcome)) == (taken, missed)


def test_an_exclusive_member_that_does_not_apply_excludes_nothing():
    rules = rule(GOLD, "x", priority=1, exclusive=True, least_quantity_milli=30_000), rule(TEN, "a")
    assert given(ask(book(*rules))) == {"a": 1000}


def test_an_exclusive_group_ends_its_group_and_not_the_one_around():
    parts = [
        group("g", Mode.STACK),
        group("x", Mode.STACK, group="g", exclusive=True, priority=1),
        rule(GOLD, "one", group="x"),
        rule(TEN, "two", group="x"),
        rule(TEN, "not", group="g"),
        rule(TWENTY, "after", priority=900),
    ]
    assert list(given(ask(book(*parts)))) == ["one", "two", "after"]


@pytest.mark.parametrize("reason", ["exclusive", "first_taken"])
def test_what_has_no_turn_is_told_its_own_reason_first(reason):
    """Else an authorisation would freeze it, and less fuel would give it to somebody who is not gold."""
    mode = Mode.STACK if reason == "exclusive" else Mode.FIRST
    first = rule(TEN, "first", group="g", priority=1, exclusive=reason == "exclusive")
    rest = rule(GOLD, "gold", group="g", tiers=("gold",)), rule(GOLD, "all", group="g")
    assert why(ask(book(group("g", mode), first, *rest))) == {"gold": "tier", "all": reason}


CAPS = [(per, of) for per in STARTS for of in SUBJECTS]


@pytest.mark.parametrize(("per", "of"), CAPS)
@pytest.mark.parametrize(
    ("cap", "had", "taken"),
    [
        ({"amount": 300}, (0, 0), 300),
        ({"amount": 1000}, (0, 0), 440),
        ({"amount": 1000}, (900, 5), 100),
        ({"amount": 1000}, (1000, 5), 0),
        ({"amount": 1000}, (1200, 5), 0),  # lowered since
        ({"count": 2}, (5000, 1), 440),
        ({"count": 2}, (5000, 2), 0),
        ({"amount": 1000, "count": 9}, (950, 1), 50),
    ],
)
@pytest.mark.parametrize("of_group", [False, True])
def test_a_cap_holds_in_its_window_for_whose_it_is(per, of, cap, had, taken, of_group):
    caps = (Cap(per=per, of=of, **cap),)
    which = book(group("g", Mode.STACK, caps=caps if of_group else ()), rule(GOLD, group="g", caps=() if of_group else caps))
    counter = cap_id("group:g" if of_group else "r", of, per)
    outcome = ask(which, person=with_had(ANNA, (counter, STARTS[per], *had)))
    assert saved(outcome) == taken
    counts = [(one.subject_id, one.counter, one.start_ordinal, one.amount, one.times) for one in all_counts(outcome)]
    assert counts == ([(SUBJECTS[of], counter, STARTS[per].toordinal(), taken, 1)] if taken else [])
    if not taken:
        assert why(outcome) == {"r": "cap_times" if "amount" not in cap else "cap"}
    elif taken < 440 and not of_group:
        assert outcome.applied[0].wanted == 440


@pytest.mark.parametrize(("amount", "taken"), [(300, 300), (440, 440), (10_000, 440)])
@pytest.mark.parametrize("of_group", [False, True])
def test_a_cap_in_a_transaction_counts_nothing(amount, taken, of_group):
    caps = (Cap(per=Per.TRANSACTION, amount=amount),)
    which = book(group("g", Mode.STACK, caps=caps if of_group else ()), rule(GOLD, group="g", caps=() if of_group else caps))
    outcome = ask(which)
    assert (saved(outcome), all_counts(outcome)) == (taken, [])


def test_the_tightest_cap_binds_and_all_are_counted():
    caps = (Cap(per=Per.DAY, amount=400), Cap(per=Per.MONTH, of=Of.ACCOUNT, amount=350), Cap(per=Per.TRANSACTION, amount=399))
    outcome = ask(book(rule(GOLD, caps=caps)))
    assert saved(outcome) == 350
    assert [(one.amount, one.times, one.amount_max) for one in all_counts(outcome)] == [(350, 1, 400), (350, 1, 350)]


def test_an_amount_and_a_count_of_one_window_are_one_counter():
    outcome = ask(book(rule(GOLD, caps=(Cap(per=Per.DAY, amount=400), Cap(per=Per.DAY, count=1)))))
    assert [(one.amount, one.times, one.amount_max, one.times_max) for one in all_counts(outcome)] == [(400, 1, 400, 1)]


@pytest.mark.parametrize(("effect", "cap", "got"), [(Points(points=30), 20, 20), (Give(what="wash", item="wash", count=3), 2, 2)])
def test_points_and_pieces_are_capped_in_their_own_unit(effect, cap, got):
    assert given(ask(book(rule(effect, caps=(Cap(per=Per.MONTH, amount=cap),))))) == {"r": got}


def test_a_customer_s_cap_gives_nothing_to_a_bearer():
    assert why(ask(book(rule(GOLD, caps=(Cap(per=Per.EVER, of=Of.CUSTOMER, count=1),))), person=BEARER)) == {"r": "unregistered"}


def test_a_used_up_offer_leaves_its_place_to_the_next():
    used = with_had(ANNA, (cap_id("wash", Of.CARD, Per.MONTH), STARTS[Per.MONTH], 1, 1))
    monthly = rule(Give(what="wash", item="wash"), "wash", group="g", priority=1, caps=(Cap(per=Per.MONTH, count=1),))
    points = rule(Points(points=5), "points", group="g")
    for mode in (Mode.FIRST, Mode.BEST, Mode.CHEAPEST):
        outcome = ask(book(group("g", mode), monthly, points), person=used)
        assert (given(outcome), why(outcome)) == ({"points": 5}, {"wash": "cap_times"})


def test_a_group_s_cap_cuts_its_last_member_first():
    caps = (Cap(per=Per.TRANSACTION, amount=500),)
    rules = [rule(GOLD, "gold", group="g"), rule(TEN, "ten", group="g", priority=200), rule(TEN, "last", group="g", priority=300)]
    outcome = ask(book(group("g", Mode.STACK, caps=caps), *rules))
    assert (given(outcome), why(outcome)) == ({"gold": 440, "ten": 60}, {"last": "cap"})
    assert [one.wanted for one in outcome.applied] == [440, 1000]
    assert saved(outcome) == 500


def test_after_a_cut_rate_units_cost_again_what_they_did():
    capped = group("g", Mode.STACK, caps=(Cap(per=Per.TRANSACTION, amount=100),), priority=1)
    outcome = ask(book(capped, rule(GOLD, "gold", group="g"), rule(UnitPrice(unit_price_e4=80_000), "eight")))
    assert given(outcome) == {"gold": 100, "eight": 714}  # 176.00 due
    own_cap = rule(GOLD, "gold", priority=1, caps=(Cap(per=Per.TRANSACTION, amount=100),))
    assert given(ask(book(own_cap, rule(UnitPrice(unit_price_e4=80_000), "eight")))) == {"gold": 100, "eight": 714}


def test_caps_of_nested_groups_count_what_is_given_in_the_end():
    month = (Cap(per=Per.MONTH, amount=900),)
    parts = [
        group("outer", Mode.STACK, caps=(Cap(per=Per.DAY, amount=600),)),
        group("inner", Mode.STACK, group="outer", caps=month),
        rule(GOLD, "gold", group="inner", caps=(Cap(per=Per.EVER, amount=10_000),)),
        rule(TEN, "ten", group="inner", caps=(Cap(per=Per.EVER, amount=10_000),)),
    ]
    outcome = ask(book(*parts))
    assert given(outcome) == {"gold": 440, "ten": 160}
    names = {
        cap_id("group:outer", Of.CARD, Per.DAY): "outer",
        cap_id("group:inner", Of.CARD, Per.MONTH): "inner",
        cap_id("gold", Of.CARD, Per.EVER): "gold",
        cap_id("ten", Of.CARD, Per.EVER): "ten",
    }
    counts = all_counts(outcome)
    assert {names[one.counter]: one.amount for one in counts} == {"outer": 600, "inner": 600, "gold": 440, "ten": 160}
    assert len(counts) == 4


def test_what_is_granted_in_a_capped_group_is_not_its_discount():
    parts = (
        group("g", Mode.STACK, caps=(Cap(per=Per.DAY, amount=100),)),
        rule(GOLD, "gold", group="g"),
        rule(Points(points=9), "nine", group="g"),
    )
    outcome = ask(book(*parts))
    assert given(outcome) == {"gold": 100, "nine": 9}
    assert [one.amount for one in all_counts(outcome)] == [100]


@pytest.mark.parametrize(
    ("free", "taken", "wanted", "missed"),
    [(10_000, 1000, 1000, {}), (300, 300, 1000, {}), (0, 0, 0, {"r": "budget"}), (-5, 0, 0, {"r": "budget"})],
)
def test_the_last_customer_gets_the_remainder_of_a_budget(free, taken, wanted, missed):
    which = book(rule(TEN, budget="b"), budgets=(Budget(code="b", name_zh="预算", name_en="B", total=10_000),))
    outcome = ask(which, budgets={budget_id("b"): free})
    assert (saved(outcome), sum(one.wanted for one in outcome.applied), why(outcome)) == (taken, wanted, missed)
    assert budget_uses(outcome) == ({budget_id("b"): taken} if taken else {})
    assert outcome.short == ([] if free >= 1000 else [budget_id("b")])
    assert which.budgets == (budget_id("b"),)


def test_rules_of_one_budget_share_what_is_free():
    rules = rule(TEN, "a", budget="b"), rule(Bonus(amount_minor=900), "b", budget="b"), rule(TEN, "c", budget="b")
    outcome = ask(book(*rules), budgets={budget_id("b"): 2500})
    assert given(outcome) == {"a": 1000, "c": 1000, "b": 500}
    assert budget_uses(outcome) == {budget_id("b"): 2500}


def test_a_member_that_lost_took_nothing_of_the_budget():
    parts = [
        group("g", Mode.BEST),
        rule(Fixed(amount_minor=900), "nine", group="g", budget="b", priority=1),
        rule(TEN, "ten", group="g", budget="b"),
        rule(TEN, "after", budget="b", priority=900),
    ]
    assert given(ask(book(*parts), budgets={budget_id("b"): 1500})) == {"ten": 1000, "after": 500}


def test_what_a_group_s_cap_cut_is_free_again():
    parts = [
        group("g", Mode.STACK, caps=(Cap(per=Per.TRANSACTION, amount=200),), priority=1),
        rule(TEN, "ten", group="g", budget="b"),
        rule(TEN, "after", budget="b"),
    ]
    assert given(ask(book(*parts), budgets={budget_id("b"): 1000})) == {"ten": 200, "after": 800}


def test_multipliers_reach_the_points_of_groups_within_their_own():
    parts = [
        group("points", Mode.STACK),
        group("base", Mode.BEST, group="points", priority=1),
        rule(Points(points=1, per_quantity_milli=1000), "litre", group="base"),
        rule(Points(points=2, per_quantity_milli=1000), "double", group="base"),
        rule(PointsTimes(basis_points=20_000), "birthday", group="points"),
        rule(Points(points=100), "elsewhere", priority=1),
    ]
    assert given(ask(book(*parts))) == {"elsewhere": 100, "double": 44, "birthday": 44}


def test_what_names_an_unknown_group_stands_in_the_root():
    assert given(ask(book(rule(TEN, "a", group="gone"), rule(GOLD, "b")))) == {"a": 1000, "b": 440}


def test_each_rule_says_what_it_was_worked_out_of():
    wipers = article("59.90", "wipers", "parts")
    rules = stacked(TEN, TWENTY, Percent(basis_points=1000, basis=Basis.INITIAL))
    outcome = ask(book(*rules, rule(GOLD, "gold", categories=("fuel",), priority=900)), basket(fuel(), wipers))
    assert [(one.rule.code, one.base_minor) for one in outcome.applied] == [("a", 24_404), ("b", 23_404), ("c", 24_404), ("gold", 18_414)]
    saved(outcome)
