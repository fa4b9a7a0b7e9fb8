"""What each effect is worth, worked out by hand."""

import pytest

from loyalty.money import share_out
from loyalty.pricing.basket import TOPUP_GOODS, Goods
from loyalty.pricing.calculators import most_once, split_funders
from loyalty.pricing.document import (
    Band,
    Basis,
    Bonus,
    Bundle,
    By,
    Channel,
    Fixed,
    Funder,
    Give,
    Ladder,
    Needed,
    Percent,
    PerUnit,
    Points,
    PointsTimes,
    Several,
    Tiered,
    UnitPrice,
)

from .books import HERE, article, ask, basket, book, fuel, given, rule, saved, why

FILL = fuel("22.00", "8.37")
"""184.14."""
WATER, COLA, WIPERS = article("2.00", "water", count=3), article("3.50", "cola", count=2), article("59.90", "wipers", "parts")


@pytest.mark.parametrize(
    ("effect", "goods", "off"),
    [
        (PerUnit(rate_e4=2000), FILL, 440),  # gold: −0.20/L, 179.74 due
        (PerUnit(rate_e4=1500), fuel("22.35", "8.37"), 335),  # round(187.0695) − round(183.717): 187.07 − 183.72
        (PerUnit(rate_e4=90_000), FILL, 18_414),  # a price never falls below nothing
        (Percent(basis_points=2000), FILL, 3683),  # 36.828
        (Percent(basis_points=10_000), FILL, 18_414),
        (Percent(basis_points=1, basis=Basis.INITIAL), FILL, 2),  # 0.018
        (Fixed(amount_minor=2000), FILL, 2000),
        (Fixed(amount_minor=20_000), FILL, 18_414),
        (UnitPrice(unit_price_e4=80_000), FILL, 814),  # 176.00 due
        (UnitPrice(unit_price_e4=83_700), FILL, 0),
        (UnitPrice(unit_price_e4=90_000), FILL, 0),
    ],
)
def test_a_plain_discount_takes_off_so_much(effect, goods, off):
    assert saved(ask(book(rule(effect)), basket(goods))) == off


WHOLE = (Band(starts=20_000, rate_e4=1000), Band(starts=40_000, rate_e4=2000))
SHARES = (Band(starts=10_000, basis_points=500), Band(starts=20_000, basis_points=1000))
AMOUNTS = (Band(starts=10_000, amount_minor=500), Band(starts=20_000, amount_minor=1500))


@pytest.mark.parametrize(
    ("effect", "litres", "off"),
    [
        (Tiered(by=By.QUANTITY, bands=WHOLE), "19.999", 0),
        (Tiered(by=By.QUANTITY, bands=WHOLE), "20.00", 200),
        (Tiered(by=By.QUANTITY, bands=WHOLE), "39.99", 400),
        (Tiered(by=By.QUANTITY, bands=WHOLE), "40.00", 800),
        (Tiered(by=By.AMOUNT, bands=SHARES), "10.00", 0),  # 83.70
        (Tiered(by=By.AMOUNT, bands=SHARES), "22.00", 921),  # 5 % of 184.14
        (Tiered(by=By.AMOUNT, bands=SHARES), "30.00", 2511),  # 10 % of 251.10
        (Tiered(by=By.AMOUNT, bands=AMOUNTS), "22.00", 500),
        (Tiered(by=By.AMOUNT, bands=AMOUNTS), "30.00", 1500),
        (Tiered(by=By.AMOUNT, bands=(Band(starts=10_000, rate_e4=1000),)), "22.00", 220),
        (Tiered(by=By.QUANTITY, bands=WHOLE, ladder=Ladder.MARGINAL), "20.00", 0),
        (Tiered(by=By.QUANTITY, bands=WHOLE, ladder=Ladder.MARGINAL), "30.00", 100),  # 10 L × 0.10
        (Tiered(by=By.QUANTITY, bands=WHOLE, ladder=Ladder.MARGINAL), "50.00", 400),  # 20 × 0.10 + 10 × 0.20
        (Tiered(by=By.QUANTITY, bands=WHOLE, ladder=Ladder.MARGINAL), "41.15", 223),  # 344.4255 − 342.1955: 344.43 − 342.20
        (Tiered(by=By.AMOUNT, bands=SHARES, ladder=Ladder.MARGINAL), "22.00", 421),  # 5 % of 84.14
        (Tiered(by=By.AMOUNT, bands=SHARES, ladder=Ladder.MARGINAL), "30.00", 1011),  # 5 % of 100 + 10 % of 51.10
        (Tiered(by=By.QUANTITY, bands=(Band(starts=20_000, basis_points=1000),), ladder=Ladder.MARGINAL), "30.00", 837),  # 10 % of 10 L
    ],
)
def test_a_ladder_gives_its_band_for_everything_or_each_part_in_its_own(effect, litres, off):
    outcome = ask(book(rule(effect)), basket(fuel(litres)))
    assert saved(outcome) == off
    assert why(outcome) == ({} if off else {"r": "below_bands"})


def test_a_marginal_ladder_runs_through_the_lines_of_a_basket():
    bands = (Band(starts=0, rate_e4=1000), Band(starts=30_000, rate_e4=3000))
    outcome = ask(
        book(rule(Tiered(by=By.QUANTITY, bands=bands, ladder=Ladder.MARGINAL))), basket(fuel("20.00"), fuel("20.00", "8.90", "95"))
    )
    assert outcome.discounts == [200, 400]  # 20 × 0.10; 10 × 0.10 + 10 × 0.30


@pytest.mark.parametrize(
    ("effect", "discounts"),
    [
        (Percent(basis_points=1000), [60, 70, 599]),  # 10 % of 72.90: exact shares
        (Fixed(amount_minor=1000), [82, 96, 822]),  # 0.8230, 0.9602, 8.2167: the largest remainder takes the cent
        (Fixed(amount_minor=100_000), [600, 700, 5990]),
        (Percent(basis_points=3333), [200, 233, 1997]),  # 24.30 (24.2976): 2.00, 2.3333, 19.9667
        (PerUnit(rate_e4=5000), [150, 100, 50]),
    ],
)
def test_an_order_discount_is_spread_over_the_lines_so_that_the_sum_is_exact(effect, discounts):
    outcome = ask(book(rule(effect)), basket(WATER, COLA, WIPERS, channel=Channel.SHOP))
    assert outcome.discounts == discounts
    assert saved(outcome) == sum(discounts)


@pytest.mark.parametrize(
    ("total", "lefts", "shares"),
    [
        (0, [0, 0], [0, 0]),
        (1, [5, 5], [1, 0]),
        (3, [1, 1, 1], [1, 1, 1]),
        (5, [1, 9], [1, 4]),
        (7, [0, 7], [0, 7]),
        (10, [3, 3, 4], [3, 3, 4]),
    ],
)
def test_shares_go_by_what_is_left_and_the_first_of_equals_takes_the_cent(total, lefts, shares):
    assert share_out(total, lefts) == shares


def test_only_the_rules_goods_are_discounted():
    outcome = ask(book(rule(Percent(basis_points=1000), categories=("shop",), excluded_categories=("drinks",))), basket(FILL, COLA, WIPERS))
    assert outcome.discounts == [0, 0, 599]


WASH_WITH_FUEL = (Needed(categories=("fuel",), quantity_milli=30_000), Needed(products=("wash",), quantity_milli=1000))
TWO_DRINKS = (Needed(products=("cola",), quantity_milli=1000), Needed(categories=("drinks",), quantity_milli=1000))


@pytest.mark.parametrize(
    ("effect", "goods", "discounts"),
    [
        (Bundle(parts=WASH_WITH_FUEL, amount_minor=1000), (fuel("30.00"), article("25.00", "wash", "service")), [0, 1000]),
        (Bundle(parts=WASH_WITH_FUEL, basis_points=5000), (fuel("30.00"), article("25.00", "wash", "service")), [0, 1250]),
        (Bundle(parts=WASH_WITH_FUEL, amount_minor=9900), (fuel("30.00"), article("25.00", "wash", "service")), [0, 2500]),
        (Bundle(parts=WASH_WITH_FUEL, amount_minor=1000), (fuel("29.99"), article("25.00", "wash", "service")), [0, 0]),
        (Bundle(parts=WASH_WITH_FUEL, amount_minor=1000), (fuel("30.00"),), [0]),
        (Bundle(parts=WASH_WITH_FUEL, amount_minor=1000), (fuel("70.00"), article("25.00", "wash", "service", 3)), [0, 1000]),
        (Bundle(parts=WASH_WITH_FUEL, amount_minor=1000, times=5), (fuel("70.00"), article("25.00", "wash", "service", 3)), [0, 2000]),
        # Two sets of three washes at 25.00: half of 50.00.
        (Bundle(parts=WASH_WITH_FUEL, basis_points=5000, times=5), (fuel("70.00"), article("25.00", "wash", "service", 3)), [0, 2500]),
        # One cola is not two drinks.
        (Bundle(parts=TWO_DRINKS, amount_minor=100), (article("3.50"),), [0]),
        (Bundle(parts=TWO_DRINKS, amount_minor=100), (article("3.50", count=2),), [100]),
        (Bundle(parts=TWO_DRINKS, amount_minor=100, times=9), (article("3.50", count=3), article("2.00", "water", count=1)), [168, 32]),
    ],
)
def test_a_bundle_gives_for_each_complete_set(effect, goods, discounts):
    outcome = ask(book(rule(effect)), basket(*goods))
    assert outcome.discounts == discounts
    assert why(outcome) == ({} if saved(outcome) else {"r": "bundle_incomplete"})


def test_what_a_bundle_excludes_does_not_complete_it():
    effect = Bundle(parts=TWO_DRINKS, amount_minor=100)
    shop = rule(effect, excluded_products=("beer",))
    assert saved(ask(book(shop), basket(article("3.50"), article("6.00", "beer")))) == 0
    assert saved(ask(book(shop), basket(article("3.50"), article("2.00", "water")))) == 100


LOAD_BANDS = (Band(starts=50_000, amount_minor=2000), Band(starts=100_000, amount_minor=5000), Band(starts=300_000, basis_points=1000))


@pytest.mark.parametrize(
    ("effect", "yuan", "bonus"),
    [
        (Bonus(amount_minor=3000), 1000, 3000),
        (Bonus(basis_points=1000), 1000, 10_000),  # load 1,000, bonus 100
        (Bonus(bands=LOAD_BANDS), 499, 0),
        (Bonus(bands=LOAD_BANDS), 500, 2000),
        (Bonus(bands=LOAD_BANDS), 1000, 5000),
        (Bonus(bands=LOAD_BANDS), 3000, 30_000),
        (Bonus(bands=LOAD_BANDS, several=Several.EVERY), 1000, 7000),
        (Bonus(bands=LOAD_BANDS, several=Several.EVERY), 3000, 37_000),
        (Bonus(bands=LOAD_BANDS[:2], several=Several.REPEAT), 2700, 12_000),  # twice 1,000 and once 500
        (Bonus(bands=LOAD_BANDS[:2], several=Several.REPEAT), 499, 0),
        (Bonus(bands=LOAD_BANDS, several=Several.REPEAT), 4500, 37_000),  # 10 % of 3,000, then 1,000, then 500
    ],
)
def test_a_top_up_earns_bonus_by_its_bands(effect, yuan, bonus):
    load = Goods(TOPUP_GOODS, frozenset({TOPUP_GOODS}), 0, 0, yuan * 100)
    outcome = ask(book(rule(effect, channels=(Channel.TOPUP,))), basket(load, channel=Channel.TOPUP))
    assert given(outcome) == ({"r": bonus} if bonus else {})
    assert saved(outcome) == 0


@pytest.mark.parametrize(
    ("effect", "points"),
    [
        (Points(points=1, per_quantity_milli=1000), 22),  # 22.35 L: whole litres
        (Points(points=1, per_quantity_milli=1000, whole=False), 22),
        (Points(points=10, per_quantity_milli=1000, whole=False), 224),  # 223.5 half-up
        (Points(points=3, per_minor=1000), 54),  # 187.07 paid: 18 full ten yuan
        (Points(points=3, per_minor=1000, whole=False), 56),  # 56.121
        (Points(points=50), 50),
    ],
)
def test_points_go_by_litres_or_by_what_is_paid(effect, points):
    assert given(ask(book(rule(effect)), basket(fuel("22.35")))) == {"r": points}


def test_points_are_of_what_is_paid_after_all_discounts():
    rules = rule(Points(points=1, per_minor=100), "a-points"), rule(Fixed(amount_minor=8414), "z-off")
    assert given(ask(book(*rules))) == {"z-off": 8414, "a-points": 100}


@pytest.mark.parametrize(("basis_points", "more"), [(20_000, 22), (15_000, 11), (12_500, 6)])  # 5.5 half-up
def test_a_multiplier_multiplies_the_points_before_it(basis_points, more):
    rules = rule(Points(points=1, per_quantity_milli=1000), "base"), rule(PointsTimes(basis_points=basis_points), "times", priority=200)
    assert given(ask(book(*rules))) == {"base": 22, "times": more}
    before = rule(PointsTimes(basis_points=20_000), "times", priority=1)
    assert why(ask(book(rules[0], before))) == {"times": "nothing_left"}


@pytest.mark.parametrize(("what", "kind"), [("gift", "gift"), ("voucher", "voucher"), ("wash", "wash")])
def test_things_are_given_in_pieces(what, kind):
    outcome = ask(book(rule(Give(what=what, item="car-wash", count=2))))
    assert [(one.rule.kind, one.rule.gives, one.given, one.lines) for one in outcome.applied] == [(kind, "car-wash", 2, None)]


@pytest.mark.parametrize(("digits", "currency", "amount", "off"), [(2, "CNY", 18_414, 440), (0, "JPY", 184, 4), (3, "KWD", 184_140, 4400)])
def test_rates_round_to_the_currency_s_minor_unit(digits, currency, amount, off):
    line = fuel("22.00", "8.37", amount_minor=amount)
    where = HERE._replace(digits=digits, currency=currency)
    assert saved(ask(book(rule(PerUnit(rate_e4=2000)), currency=currency), basket(line), where=where)) == off


@pytest.mark.parametrize(
    ("amount", "off"),
    [(18_409, 440), (18_419, 440), (300, 300)],
)
def test_the_pump_s_amount_is_authoritative_and_the_discount_never_above_it(amount, off):
    assert saved(ask(book(rule(PerUnit(rate_e4=2000))), basket(fuel(amount_minor=amount)))) == off


@pytest.mark.parametrize(
    ("effect", "once"),
    [
        (Fixed(amount_minor=500), 500),
        (Bundle(parts=TWO_DRINKS, amount_minor=100, times=3), 300),
        (Bundle(parts=TWO_DRINKS, basis_points=100), None),
        (Bonus(amount_minor=700), 700),
        (Bonus(bands=LOAD_BANDS[:2]), 5000),
        (Bonus(bands=LOAD_BANDS), None),
        (Bonus(basis_points=100), None),
        (Points(points=9), 9),
        (Points(points=9, per_minor=100), None),
        (Give(what="gift", item="cup", count=2), 2),
        (Tiered(by=By.AMOUNT, bands=AMOUNTS), 1500),
        (Tiered(by=By.AMOUNT, bands=SHARES), None),
        (PerUnit(rate_e4=1), None),
    ],
)
def test_what_a_transaction_has_once_however_it_is_delivered(effect, once):
    assert most_once(effect) == once


@pytest.mark.parametrize(
    ("parts", "amount", "borne"),
    [
        ((80, 20), 440, [352, 88]),
        ((80, 20), 441, [353, 88]),  # 352.8 and 88.2: the cents go to the largest share
        ((1, 1, 1), 100, [34, 33, 33]),
        ((1,), 7, [7]),
    ],
)
def test_funders_bear_a_discount_as_its_split_says(parts, amount, borne):
    funders = [Funder(funder=f"funder-{place}", parts=part) for place, part in enumerate(parts)]
    assert split_funders(funders, amount) == [(f"funder-{place}", one) for place, one in enumerate(borne)]


def test_the_station_is_the_one_of_the_sale():
    split = (Funder(funder="head-office", parts=4), Funder(funder="station"))
    assert split_funders(split, 100, station="station:7") == [("head-office", 80), ("station:7", 20)]
