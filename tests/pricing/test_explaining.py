"""What a cashier can read out: each reason in Chinese and English."""

import pytest

from loyalty.pricing.compiling import CompiledRule, budget_id, cap_id
from loyalty.pricing.conditions import Miss
from loyalty.pricing.document import (
    Band,
    Birthday,
    Bundle,
    By,
    Campaign,
    Cap,
    Fixed,
    Hours,
    Mode,
    Needed,
    Nth,
    Of,
    Per,
    PerUnit,
    Points,
    Tiered,
    UnitPrice,
    When,
)
from loyalty.pricing.explaining import explain, is_behaviour, litres

from .books import ANNA, BEARER, ask, at, basket, book, fuel, group, rule, with_had

OFF = Fixed(amount_minor=100)
PARTS = (Needed(categories=("fuel",), quantity_milli=1), Needed(products=("wash",), quantity_milli=1000))
USED = with_had(ANNA, (cap_id("r", Of.CARD, Per.DAY), at().local.date(), 5000, 2))
EVERYBODY = Campaign(code="c", name_zh="活动", name_en="C", hold_out_basis_points=9000)
THREE = Nth(count=3)
FIFTY = Cap(per=Per.DAY, amount=5000)
TRANSFER = basket(tenders=("bank_transfer",))


@pytest.mark.parametrize(
    ("what", "asked", "zh", "en"),
    [
        (rule(OFF, least_quantity_milli=30_000), {}, "需满 30，本次 22", "needs ≥ 30, this is 22"),
        (rule(OFF, most_quantity_milli=10_500), {}, "不超过 10.5 才有，本次 22", "up to 10.5 only, this is 22"),
        (rule(OFF, least_minor=20_000), {}, "需满 ¥200.00，本次 ¥184.14", "needs ≥ ¥200.00, this is ¥184.14"),
        (rule(OFF, most_minor=10_000), {}, "不超过 ¥100.00 才有，本次 ¥184.14", "up to ¥100.00 only, this is ¥184.14"),
        (rule(Tiered(by=By.QUANTITY, bands=(Band(starts=30_000, rate_e4=1),))), {}, "满 30 起", "from 30 on"),
        (rule(Tiered(by=By.AMOUNT, bands=(Band(starts=30_000, amount_minor=1),))), {}, "满 ¥300.00 起", "from ¥300.00 on"),
        (rule(OFF, weekdays=(1, 7)), {}, "仅限周一、周日", "on Monday, Sunday only"),
        (rule(OFF, month_days=(8, 18)), {}, "仅限每月 8、18 日", "on day 8, 18 of the month only"),
        (rule(OFF, hours=(Hours(starts="22:00", ends="05:00"),)), {}, "仅限 22:00-05:00，现在 10:15", "22:00-05:00 only, it is 10:15"),
        (rule(OFF, customers=(ANNA.account_id,)), {}, "仅限指定客户", "for named customers only"),
        (rule(OFF, account_kinds=("company",)), {}, "仅限单位卡", "for company cards only"),
        (rule(OFF, tiers=("gold",)), {}, "仅限会员等级 gold，当前 无", "for tier gold only, this is none"),
        (rule(OFF, segments=("taxi",)), {}, "仅限客户分组 taxi", "for segment taxi only"),
        (rule(OFF, flyers=("f7",)), {}, "需出示宣传单码", "needs the flyer's code"),
        (rule(OFF, birthday=Birthday()), {}, "仅限生日期间", "around the birthday only"),
        (rule(OFF, joined_within_days=30), {}, "仅限开卡 30 天内", "within 30 days of opening the card only"),
        (rule(OFF, converted_within_days=30), {}, "仅限转为记名卡 30 天内", "within 30 days of registering the card only"),
        (rule(OFF, tenders=("card",)), {"goods": basket(tenders=("wechat",))}, "使用微信付款时不享受", "not where WeChat pays"),
        (
            rule(OFF, tenders=("card",)),
            {"goods": basket(tenders=("bank_transfer",))},
            "使用转账付款时不享受",
            "not where a bank transfer pays",
        ),
        (rule(OFF, nth=THREE), {}, "第 3 次才有，本次第 1 次", "at visit 3, this is visit 1"),
        (rule(OFF, nth=Nth(count=1, of=Of.CUSTOMER)), {"person": BEARER}, "仅限记名客户", "for registered customers only"),
        (rule(OFF, campaign="c"), {}, "该客户在对照组，不参加本活动", "this customer is in the comparison group"),
        (rule(OFF, caps=(FIFTY,)), {"person": USED}, "今天最多 ¥50.00，已用完", "at most ¥50.00 today, all used"),
        (
            rule(Points(points=9), caps=(Cap(per=Per.DAY, amount=5000),)),
            {"person": USED},
            "今天最多 5000，已用完",
            "at most 5000 today, all used",
        ),
        (rule(OFF, caps=(Cap(per=Per.DAY, count=2),)), {"person": USED}, "今天限 2 次，已用完", "2 times today, all used"),
        (rule(OFF, budget="b"), {"budgets": {budget_id("b"): 0}}, "活动预算已用完", "its budget is used up"),
        (rule(UnitPrice(unit_price_e4=90_000)), {}, "现价不高于“规则r”的价格", "the price is not above that of “Rule r”"),
        (rule(Bundle(parts=PARTS, amount_minor=1)), {}, "组合商品不齐", "the bundle is not complete"),
        (rule(OFF), {"goods": basket(fuel(amount_minor=0))}, "已无可优惠金额", "nothing is left to take it off"),
        (rule(OFF), {"without": frozenset({"r"})}, "已停用", "switched off"),
        (rule(OFF), {"frozen": {}}, "授权时未冻结", "was not frozen at authorisation"),
        (rule(OFF), {"frozen": {"r": 0}}, "授权时未预留额度", "nothing was set aside for it at authorisation"),
    ],
)
def test_each_reason_is_said_in_both_languages(what, asked, zh, en):
    which = book(what, campaigns=(EVERYBODY,))
    person = asked.pop("person", ANNA)
    missed = ask(which, asked.pop("goods", None), person=person, **asked).missed
    assert [explain(one.rule, one.miss, "CNY") for one in missed] == [(zh, en)]


@pytest.mark.parametrize(
    ("mode", "exclusive", "zh", "en"),
    [
        (Mode.BEST, False, "已享受“规则first”", "“Rule first” was taken instead"),
        (Mode.FIRST, False, "已享受“规则first”", "“Rule first” was taken instead"),
        (Mode.STACK, True, "已享受“规则first”", "“Rule first” was taken instead"),
    ],
)
def test_what_another_offer_kept_away_names_it(mode, exclusive, zh, en):
    first = rule(Fixed(amount_minor=900), "first", group="g", priority=1, exclusive=exclusive)
    which = book(group("g", mode), first, rule(OFF, "second", group="g"))
    (one,) = ask(which).missed
    assert explain(one.rule, one.miss, "CNY", which.names) == (zh, en)
    assert explain(one.rule, one.miss, "CNY")[1] == "“first” was taken instead"


def test_a_group_that_was_better_is_named_too():
    inner = group("pair", Mode.STACK, group="g")
    which = book(group("g", Mode.BEST), inner, rule(Fixed(amount_minor=900), "nine", group="pair"), rule(OFF, "one", group="g"))
    (missed,) = ask(which).missed
    assert explain(missed.rule, missed.miss, "CNY", which.names) == ("已享受“组pair”", "“Group pair” was taken instead")


def test_an_offer_that_is_not_combined():
    (missed,) = ask(book(rule(OFF, "a"), rule(OFF, "b", exclusive=True))).missed
    assert explain(missed.rule, missed.miss, "CNY") == ("不与其他优惠同享", "not together with other offers")


def test_a_rule_that_is_not_compiled_is_explained_as_well():
    (missed,) = ask(book(rule(OFF, least_quantity_milli=30_000))).missed
    assert isinstance(missed.rule, CompiledRule)
    assert explain(missed.rule.rule, missed.miss, "CNY") == explain(missed.rule, missed.miss, "CNY")


def test_other_currencies_have_their_own_sign():
    (missed,) = ask(book(rule(OFF, least_minor=20_000))).missed
    assert explain(missed.rule, missed.miss, "EUR")[1] == "needs ≥ 200.00 EUR, this is 184.14 EUR"


@pytest.mark.parametrize(("milli", "written"), [(30_000, "30"), (22_500, "22.5"), (22_350, "22.35"), (1, "0.001"), (0, "0"), (None, "0")])
def test_a_quantity_is_written_without_needless_zeros(milli, written):
    assert litres(milli) == written


@pytest.mark.parametrize(
    ("when", "could"),
    [
        (When(), False),
        (When(tiers=("gold",)), False),
        (When(least_quantity_milli=1), True),
        (When(least_minor=1), True),
        (When(tenders=("card",)), True),
        (When(nth=THREE), True),
    ],
)
def test_what_a_customer_could_still_do_is_mentioned_before_the_pump_starts(when, could):
    assert is_behaviour(when) is could


def test_a_rate_of_nothing_left_is_told():
    outcome = ask(book(rule(Fixed(amount_minor=99_999), "all", priority=1), rule(PerUnit(rate_e4=1), "r")))
    assert [(one.rule.code, one.miss.why) for one in outcome.missed] == [("r", "nothing_left")]


def test_a_tier_is_called_by_its_name_and_a_code_without_one_by_itself():
    names = {"tier:gold": ("金级会员", "Gold"), "tier:silver": ("银级会员", "Silver")}
    for_gold = CompiledRule(rule(OFF, tiers=("gold", "vip")), ())
    miss = Miss("tier", "gold vip", "silver")
    assert explain(for_gold, miss, "CNY", names) == (
        "仅限会员等级 金级会员、vip，当前 银级会员",
        "for tier Gold or vip only, this is Silver",
    )
    assert explain(for_gold, miss._replace(have=None), "CNY", names)[1] == "for tier Gold or vip only, this is none"
