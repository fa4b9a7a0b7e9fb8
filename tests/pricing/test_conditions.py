"""When a rule may apply: every condition met, missed, and told."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from loyalty.pricing.basket import TOPUP_GOODS, Goods
from loyalty.pricing.compiling import cap_id
from loyalty.pricing.conditions import birthday_in, is_held_out, window_start
from loyalty.pricing.document import (
    Basis,
    Birthday,
    Campaign,
    Cap,
    Channel,
    Fixed,
    Hours,
    Mode,
    Nth,
    Of,
    Per,
    PerUnit,
    Points,
    When,
)

from .books import ANNA, BEARER, HERE, article, ask, at, basket, book, fuel, given, group, plan_of, rule, why, with_had

OFF = Fixed(amount_minor=100)
S2 = HERE._replace(station_id=UUID(int=102), district_id=UUID(int=202), region_id=UUID(int=302))
EVER = date(1, 1, 1)


def applies(when, **asked) -> bool:
    return given(ask(book(rule(OFF, **when)), **asked)) == {"r": 100}


@pytest.mark.parametrize(
    ("when", "met", "not_met"),
    [
        ({"stations": ("s1",)}, {}, {"where": S2}),
        ({"stations": ("s1", "s2")}, {"where": S2}, {"where": HERE._replace(station_id=UUID(int=103))}),
        ({"districts": ("d1",)}, {}, {"where": S2}),
        ({"regions": ("r1",)}, {}, {"where": S2}),
        ({"card_products": ("personal",)}, {}, {"card": "fleet"}),
        ({"products": ("92", "95")}, {}, {"goods": basket(fuel(product="98"))}),
        ({"categories": ("gasoline",)}, {}, {"goods": basket(fuel(product="0"))}),
        ({"categories": ("drinks",)}, {"goods": basket(article("3.50"))}, {}),
        ({"excluded_products": ("92",)}, {"goods": basket(fuel(product="95"))}, {}),
        ({"excluded_categories": ("diesel",)}, {}, {"goods": basket(fuel(product="0"))}),
        ({"categories": ("fuel",), "excluded_products": ("92",)}, {"goods": basket(fuel(product="95"))}, {}),
        ({"channels": (Channel.PUMP, Channel.PRESET)}, {}, {"goods": basket(channel=Channel.PAY_AFTER)}),
        ({"channels": (Channel.SHOP,)}, {"goods": basket(article("9.00"), channel=Channel.SHOP)}, {}),
    ],
)
def test_place_card_goods_and_channel_make_a_candidate_or_none(when, met, not_met):
    assert applies(when, **met)
    outcome = ask(book(rule(OFF, **when)), **not_met)
    assert (outcome.applied, outcome.missed) == ([], [])


def test_a_rule_named_for_no_channel_is_no_rule_of_top_ups():
    load = basket(Goods(TOPUP_GOODS, frozenset({TOPUP_GOODS}), 0, 0, 10_000), channel=Channel.TOPUP)
    assert not applies({}, goods=load)
    assert applies({"channels": (Channel.TOPUP,)}, goods=load)


def test_a_station_code_that_names_nothing_is_nowhere():
    assert not applies({"stations": ("closed-long-ago",)})


@pytest.mark.parametrize(("own", "applied"), [(None, True), ("CNY", True), ("CZK", False)])
def test_a_rule_applies_where_its_currency_is_the_station_s(own, applied):
    assert bool(ask(book(rule(OFF, currency=own))).applied) is applied


@pytest.mark.parametrize(
    ("when", "moment", "why_not"),
    [
        ({"weekdays": (4,)}, "2026-09-24 10:15", None),
        ({"weekdays": (4,)}, "2026-09-25 00:00", "weekday"),
        ({"weekdays": (6, 7)}, "2026-09-27 23:59", None),
        ({"month_days": (24, 31)}, "2026-09-24 00:00", None),
        ({"month_days": (31,)}, "2026-09-30 12:00", "month_day"),
        ({"hours": (Hours(starts="07:00", ends="10:15"),)}, "2026-09-24 10:14", None),
        ({"hours": (Hours(starts="07:00", ends="10:15"),)}, "2026-09-24 10:15", "hours"),
        ({"hours": (Hours(starts="22:00", ends="05:00"),)}, "2026-09-24 23:30", None),
        ({"hours": (Hours(starts="22:00", ends="05:00"),)}, "2026-09-24 04:59", None),
        ({"hours": (Hours(starts="22:00", ends="05:00"),)}, "2026-09-24 05:00", "hours"),
        ({"hours": (Hours(starts="20:00", ends="24:00"),)}, "2026-09-24 23:59", None),
        ({"hours": (Hours(starts="06:00", ends="08:00"), Hours(starts="17:00", ends="19:00"))}, "2026-09-24 18:00", None),
    ],
)
def test_days_and_hours_are_the_station_s(when, moment, why_not):
    outcome = ask(book(rule(OFF, **when)), moment=at(moment))
    assert why(outcome) == ({} if why_not is None else {"r": why_not})


GOLD = ANNA._replace(tier="gold", segment="taxi", flyer="f7", birthday=date(1990, 2, 28))


@pytest.mark.parametrize(
    ("when", "met", "not_met", "why_not"),
    [
        ({"customers": (UUID(int=13),)}, ANNA, ANNA._replace(customer_id=UUID(int=14)), "customer"),
        ({"account_kinds": ("personal", "company")}, ANNA, BEARER, "account_kind"),
        ({"tiers": ("gold", "platinum")}, GOLD, ANNA, "tier"),
        ({"segments": ("taxi",)}, GOLD, ANNA, "segment"),
        ({"flyers": ("f7",)}, GOLD, ANNA, "flyer"),
    ],
)
def test_who_the_customer_is(when, met, not_met, why_not):
    assert applies(when, person=met)
    assert why(ask(book(rule(OFF, **when)), person=not_met)) == {"r": why_not}
    assert why(ask(book(rule(OFF, **when)), person=BEARER._replace(account_kind="anonymous"))) == {"r": why_not}


def test_a_flyer_shown_now_counts_as_the_one_at_issue():
    assert applies({"flyers": ("f7", "f8")}, goods=basket(flyers=("x", "f8")))


@pytest.mark.parametrize(
    ("condition", "birthday", "today", "near"),
    [
        (Birthday(), date(1990, 9, 24), "2026-09-24", True),
        (Birthday(), date(1990, 9, 24), "2026-09-25", False),
        (Birthday(days_before=3, days_after=2), date(1990, 9, 27), "2026-09-24", True),
        (Birthday(days_before=3, days_after=2), date(1990, 9, 28), "2026-09-24", False),
        (Birthday(days_before=3, days_after=2), date(1990, 9, 22), "2026-09-24", True),
        (Birthday(days_before=3, days_after=2), date(1990, 9, 21), "2026-09-24", False),
        (Birthday(days_before=5), date(1990, 1, 2), "2026-12-30", True),  # across the turn of the year
        (Birthday(days_after=5), date(1990, 12, 30), "2026-01-02", True),
        (Birthday(), date(1992, 2, 29), "2026-02-28", True),
        (Birthday(), date(1992, 2, 29), "2026-03-01", False),
        (Birthday(), date(1992, 2, 29), "2028-02-29", True),
        (Birthday(), date(1992, 2, 29), "2028-02-28", False),
        (Birthday(month=True), date(1990, 9, 1), "2026-09-30", True),
        (Birthday(month=True), date(1990, 10, 1), "2026-09-30", False),
        (Birthday(month=True), None, "2026-09-30", False),
    ],
)
def test_a_birthday_is_near(condition, birthday, today, near):
    outcome = ask(book(rule(OFF, birthday=condition)), person=ANNA._replace(birthday=birthday), moment=at(f"{today} 08:00"))
    assert why(outcome) == ({} if near else {"r": "birthday"})
    assert birthday_in(date(1992, 2, 29), 2027) == date(2027, 2, 28)


@pytest.mark.parametrize(("days_ago", "within"), [(0, True), (29, True), (30, False), (400, False), (None, False)])
@pytest.mark.parametrize(("name", "field", "why_not"), [("joined", "opened_at", "joined"), ("converted", "registered_at", "converted")])
def test_a_card_opened_or_registered_so_lately(name, field, why_not, days_ago, within):
    since = None if days_ago is None else at("2026-09-24 00:01").now - timedelta(days=days_ago)
    outcome = ask(book(rule(OFF, **{f"{name}_within_days": 30})), person=ANNA._replace(**{field: since}))
    assert why(outcome) == ({} if within else {"r": why_not})


@pytest.mark.parametrize(
    ("tenders", "why_not"), [(("card",), None), (("card", "cash"), None), (("wechat",), "tender"), (("card", "wechat"), "tender")]
)
def test_every_tender_must_be_one_of_the_rule_s(tenders, why_not):
    outcome = ask(book(rule(OFF, tenders=("card", "cash"))), goods=basket(tenders=tenders))
    assert why(outcome) == ({} if why_not is None else {"r": why_not})


@pytest.mark.parametrize(
    ("when", "litres", "why_not"),
    [
        ({"least_quantity_milli": 22_000}, "22.00", None),
        ({"least_quantity_milli": 30_000}, "22.00", "least_quantity"),
        ({"most_quantity_milli": 22_000}, "22.00", None),
        ({"most_quantity_milli": 22_000}, "22.01", "most_quantity"),
        ({"least_minor": 18_414}, "22.00", None),
        ({"least_minor": 18_415}, "22.00", "least_amount"),
        ({"most_minor": 18_413}, "22.00", "most_amount"),
        ({"least_minor": 17_974, "basis": Basis.BEFORE}, "22.00", None),  # 184.14 − 4.40
        ({"least_minor": 17_975, "basis": Basis.BEFORE}, "22.00", "least_amount"),
        ({"most_minor": 17_974, "basis": Basis.BEFORE}, "22.00", None),
        ({"least_minor": 17_874, "basis": Basis.AFTER}, "22.00", None),  # and 1.00 more
        ({"least_minor": 17_875, "basis": Basis.AFTER}, "22.00", "least_amount"),
        ({"most_minor": 17_873, "basis": Basis.AFTER}, "22.00", "most_amount"),
    ],
)
def test_thresholds_look_at_the_goods_before_and_after_the_rule(when, litres, why_not):
    gold = rule(PerUnit(rate_e4=2000), "gold", priority=1)
    outcome = ask(book(gold, rule(OFF, **when)), basket(fuel(litres)))
    assert why(outcome) == ({} if why_not is None else {"r": why_not})


@pytest.mark.parametrize(
    ("basis", "least", "applied"), [(Basis.BEFORE, 17_974, True), (Basis.AFTER, 17_975, False), (Basis.AFTER, 17_974, True)]
)
def test_what_is_granted_takes_nothing_off_so_that_after_it_is_as_before(basis, least, applied):
    gold = rule(PerUnit(rate_e4=2000), "gold", priority=1)
    outcome = ask(book(gold, rule(Points(points=5), least_minor=least, basis=basis)))
    assert ("r" in given(outcome)) is applied


def test_thresholds_look_at_the_rule_s_own_goods_only():
    outcome = ask(book(rule(OFF, categories=("shop",), least_minor=1000)), basket(fuel(), article("9.99")))
    assert [(missed.miss.why, missed.miss.need, missed.miss.have) for missed in outcome.missed] == [("least_amount", 1000, 999)]


@pytest.mark.parametrize(
    ("nth", "had", "applied"),
    [
        (Nth(count=1), 0, True),
        (Nth(count=1), 1, False),
        (Nth(count=3), 1, False),
        (Nth(count=3), 2, True),
        (Nth(count=3), 5, False),
        (Nth(count=3, every=True), 5, True),
        (Nth(count=3, every=True), 6, False),
        (Nth(count=2, per=Per.DAY, of=Of.CARD), 1, True),
        (Nth(count=2, per=Per.WEEK, of=Of.CUSTOMER), 1, True),
        (Nth(count=2, per=Per.MONTH), 2, False),
    ],
)
def test_the_nth_visit_counts_whether_it_is_the_one_or_not(nth, had, applied):
    starts = {Per.DAY: date(2026, 9, 24), Per.WEEK: date(2026, 9, 21), Per.MONTH: date(2026, 9, 1), Per.EVER: EVER}
    subjects = {Of.CARD: UUID(int=12), Of.ACCOUNT: UUID(int=11), Of.CUSTOMER: UUID(int=13)}
    counter = cap_id("r", nth.of, nth.per, nth=True)
    outcome = ask(book(rule(OFF, nth=nth)), person=with_had(ANNA, (counter, starts[nth.per], 0, had)))
    assert why(outcome) == ({} if applied else {"r": "nth"})
    assert [(one.subject_id, one.counter, one.start_ordinal, one.amount, one.times) for one in outcome.counts] == [
        (subjects[nth.of], counter, starts[nth.per].toordinal(), 0, 1)
    ]


def test_a_visit_counts_only_where_the_other_conditions_are_met():
    thirds = rule(OFF, nth=Nth(count=3), tiers=("gold",), least_quantity_milli=30_000)
    assert ask(book(thirds)).counts == []
    small = ask(book(thirds), person=with_had(GOLD, (cap_id("r", Of.ACCOUNT, Per.EVER, nth=True), EVER, 0, 2)))
    assert (len(small.counts), why(small)) == (1, {"r": "least_quantity"})


def test_a_bearer_is_nobody_s_nth_customer():
    assert why(ask(book(rule(OFF, nth=Nth(count=1, of=Of.CUSTOMER))), person=BEARER)) == {"r": "unregistered"}


@pytest.mark.parametrize(
    ("per", "day", "start"),
    [
        (Per.DAY, date(2026, 9, 27), date(2026, 9, 27)),
        (Per.WEEK, date(2026, 9, 27), date(2026, 9, 21)),  # Sunday ends the week
        (Per.WEEK, date(2026, 9, 28), date(2026, 9, 28)),
        (Per.MONTH, date(2026, 9, 30), date(2026, 9, 1)),
        (Per.EVER, date(2026, 9, 30), EVER),
    ],
)
def test_windows_start_on_the_station_s_day(per, day, start):
    assert window_start(per, day) == start


STARTS, ENDS = datetime(2026, 9, 24, 2, 0, tzinfo=UTC), datetime(2026, 9, 24, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("of_rule", "of_campaign", "clock", "applied"),
    [
        ({"starts_at": STARTS}, {}, "09:59", False),
        ({"starts_at": STARTS}, {}, "10:00", True),
        ({"ends_at": ENDS}, {}, "10:59", True),
        ({"ends_at": ENDS}, {}, "11:00", False),
        ({}, {"starts_at": STARTS}, "09:59", False),
        ({}, {"ends_at": ENDS}, "11:00", False),
        ({"starts_at": STARTS}, {"ends_at": ENDS}, "10:30", True),
        ({"starts_at": STARTS, "ends_at": ENDS}, {"starts_at": ENDS}, "10:30", False),
    ],
)
def test_a_rule_holds_while_it_and_its_campaign_do(of_rule, of_campaign, clock, applied):
    campaign = Campaign(code="c", name_zh="活动", name_en="C", **of_campaign)
    which = book(rule(OFF, campaign="c", **of_rule), campaigns=(campaign,))
    assert bool(ask(which, moment=at(f"2026-09-24 {clock}")).applied) is applied


def test_a_plan_kept_for_one_instant_is_not_another_s():
    which = book(rule(OFF, "lunch", starts_at=STARTS, ends_at=ENDS), rule(OFF, "always"))
    instants = ("10:30", "09:00", "11:30", "10:00", "09:59", "10:59", "11:00")
    found = [[planned.rule.code for planned in plan_of(which, moment=at(f"2026-09-24 {clock}")).rules] for clock in instants]
    both, one = ["lunch", "always"], ["always"]
    assert found == [both, one, one, both, one, both, one]


def test_what_is_switched_off_or_asked_away_is_not_there():
    which = book(rule(OFF, "off", enabled=False), rule(OFF, "on"))
    assert given(ask(which)) == {"on": 100}
    assert why(ask(which, without=frozenset({"on"}))) == {"on": "disabled"}


def test_a_campaign_s_hold_out_group_is_drawn_by_a_fixed_hash():
    campaign = Campaign(code="thanks", name_zh="感恩月", name_en="Thanks", hold_out_basis_points=2000)
    which = book(rule(OFF, campaign="thanks"), campaigns=(campaign,))
    people = [ANNA._replace(customer_id=UUID(int=number)) for number in range(5000)]
    out = [person for person in people if is_held_out(person, campaign)]
    assert 850 < len(out) < 1150
    assert why(ask(which, person=out[0])) == {"r": "hold_out"}
    other = Campaign(code="spring", name_zh="春", name_en="Spring", hold_out_basis_points=2000)
    assert 100 < sum(is_held_out(person, other) for person in out) < 300, "two campaigns draw apart"
    assert not any(is_held_out(person, Campaign(code="all", name_zh="a", name_en="a")) for person in people)


@pytest.mark.parametrize(
    ("parts", "rate"),
    [
        ((), 0),
        ((rule(PerUnit(rate_e4=2000), products=("92",), stations=("s1",)),), 2000),
        ((rule(PerUnit(rate_e4=2000), products=("95",)),), 0),
        ((rule(PerUnit(rate_e4=2000), "a"), rule(PerUnit(rate_e4=1000), "b")), None),
        ((rule(PerUnit(rate_e4=2000), tiers=("gold",)),), None),
        ((rule(PerUnit(rate_e4=2000), weekdays=(4,)),), None),
        ((rule(PerUnit(rate_e4=2000), tenders=("card",)),), None),
        ((rule(PerUnit(rate_e4=2000), account_kinds=("personal",)),), None),
        ((rule(PerUnit(rate_e4=2000), least_minor=1),), None),
        ((rule(PerUnit(rate_e4=2000), caps=(Cap(per=Per.DAY, count=1),)),), None),
        ((rule(PerUnit(rate_e4=2000), budget="b"),), None),
        ((rule(PerUnit(rate_e4=2000), group="g"), group("g", Mode.BEST)), 2000),
        ((rule(PerUnit(rate_e4=2000), group="g"), group("g", Mode.BEST, caps=(Cap(per=Per.TRANSACTION, amount=500),))), None),
        ((rule(OFF),), None),
        ((rule(Points(points=1)),), None),
    ],
)
def test_one_rate_stands_for_a_plan_only_where_nothing_else_can_matter(parts, rate):
    assert plan_of(book(*parts)).rate_e4 == rate


def test_every_condition_is_in_these_tables():
    tried = {
        *("stations", "districts", "regions", "card_products", "products", "categories", "excluded_products", "excluded_categories"),
        *("channels", "weekdays", "month_days", "hours", "customers", "account_kinds", "tiers", "segments", "flyers", "birthday"),
        *("joined_within_days", "converted_within_days", "tenders", "nth", "least_quantity_milli", "most_quantity_milli"),
        *("least_minor", "most_minor", "basis"),
    }
    assert tried == set(When.__struct_fields__)
