"""What can be wrong with a rulebook: a case for each fault, and sound rulebooks that have none."""

import dataclasses
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings

from loyalty.pricing.document import (
    Band,
    Basis,
    Birthday,
    Bonus,
    BudgetUnit,
    Bundle,
    By,
    Cap,
    Channel,
    Document,
    Fixed,
    Funder,
    Give,
    Hours,
    Ladder,
    Mode,
    Needed,
    Nth,
    Of,
    Per,
    Percent,
    PerUnit,
    Points,
    PointsTimes,
    Rule,
    Several,
    Tiered,
    UnitPrice,
    When,
)
from loyalty.pricing.fault_words import WORDS
from loyalty.pricing.faults import faults_of, warnings_of
from tests.pricing.documents import HEAD, KNOWN, any_documents, budget, campaign, group, rule

NOW = datetime(2026, 9, 24, 2, 15, tzinfo=UTC)
SOON, LATER = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
TOPUP = When(channels=(Channel.TOPUP,))
ANY = When()


def of(*rules, **more) -> Document:
    return Document(rules=rules, **more)


def tiered(*bands: Band, by: By = By.QUANTITY, ladder: Ladder = Ladder.WHOLE) -> Tiered:
    return Tiered(by=by, bands=bands, ladder=ladder)


NEEDED = (Needed(products=("92",), quantity_milli=30_000), Needed(products=("wash",), quantity_milli=1000))
FAULTY = {
    "code_twice": (of(rule("a"), rule("a")), "rule a code"),
    "code_twice in budgets": (of(rule(budget="b"), budgets=(budget("b"), budget("b"))), "budget b code"),
    "code_twice by rule and group": (of(rule("a"), groups=(group("a"),)), "rule a code"),
    "code_reserved": (of(rule("all")), "rule all code"),
    "unknown_currency": (Document(currency="XXX"), "document  currency"),
    "unknown_currency of a rule": (of(rule(currency="XXX")), "rule per-litre currency"),
    "unknown_group": (of(rule(group="gone")), "rule per-litre group"),
    "unknown_group around a group": (of(groups=(group(group="gone"),)), "group fuel group"),
    "unknown_budget": (of(rule(budget="gone")), "rule per-litre budget"),
    "unknown_campaign": (of(rule(campaign="gone")), "rule per-litre campaign"),
    "unknown_station": (of(rule(when=When(stations=("S9",), products=("92",)))), "rule per-litre when.stations"),
    "unknown_district": (of(rule(when=When(districts=("D9",), products=("92",)))), "rule per-litre when.districts"),
    "unknown_region": (of(rule(when=When(regions=("R9",), products=("92",)))), "rule per-litre when.regions"),
    "unknown_card_product": (of(rule(when=When(card_products=("x",), products=("92",)))), "rule per-litre when.card_products"),
    "unknown_product": (of(rule(when=When(products=("92", "93")))), "rule per-litre when.products"),
    "unknown_product excluded": (of(rule(effect=Fixed(amount_minor=1), when=When(excluded_products=("93",)))), "when.excluded_products"),
    "unknown_category": (of(rule(effect=Fixed(amount_minor=1), when=When(categories=("petrol",)))), "when.categories"),
    "unknown_product in a bundle": (
        of(rule(effect=Bundle(parts=(*NEEDED, Needed(products=("x",), quantity_milli=1)), amount_minor=1), when=ANY)),
        "effect.parts.2.products",
    ),
    "unknown_tier": (of(rule(when=When(products=("92",), tiers=("platinum",)))), "when.tiers"),
    "unknown_gift": (of(rule(effect=Give(what="gift", item="tea"))), "effect.item"),
    "unknown_voucher": (of(rule(effect=Give(what="wash", item="cup"))), "effect.item"),
    "unknown_account_kind": (of(rule(when=When(products=("92",), account_kinds=("fleet",)))), "when.account_kinds"),
    "unknown_tender": (of(rule(when=When(products=("92",), tenders=("cheque",)))), "when.tenders"),
    "twice": (of(rule(when=When(products=("92", "92")))), "when.products"),
    "twice in weekdays": (of(rule(when=When(products=("92",), weekdays=(1, 1)))), "when.weekdays"),
    "twice in own funders": (Document(own_funders=("a", "a")), "document  own_funders"),
    "groups_in_a_circle": (of(groups=(group("a", group="b"), group("b", group="a"))), "group a group"),
    "groups_in_a_circle alone": (of(groups=(group("a", group="a"),)), "group a group"),
    "empty_validity": (of(rule(starts_at=SOON, ends_at=SOON)), "rule per-litre ends_at"),
    "empty_validity of a campaign": (
        of(rule(campaign="c"), campaigns=(campaign("c", starts_at=LATER, ends_at=SOON),)),
        "campaign c ends_at",
    ),
    "instant_without_zone": (of(rule(starts_at=SOON.replace(tzinfo=None))), "rule per-litre starts_at"),
    "least_above_most": (of(rule(when=When(products=("92",), least_minor=2, most_minor=1))), "when.most_minor"),
    "hours_equal": (of(rule(when=When(products=("92",), hours=(Hours(starts="08:00", ends="08:00"),)))), "when.hours.0"),
    "starts_at_24": (of(rule(when=When(products=("92",), hours=(Hours(starts="24:00", ends="08:00"),)))), "when.hours.0"),
    "birthday_both": (of(rule(when=When(products=("92",), birthday=Birthday(month=True, days_after=1)))), "when.birthday"),
    "nth_in_transaction": (of(rule(when=When(products=("92",), nth=Nth(count=2, per=Per.TRANSACTION)))), "when.nth.per"),
    "basis_after_grant": (of(rule(effect=Points(points=1), when=When(least_minor=1, basis=Basis.AFTER))), "when.basis"),
    "percent_of_after": (of(rule(effect=Percent(basis_points=100, basis=Basis.AFTER))), "effect.basis"),
    "bands_not_rising": (of(rule(effect=tiered(Band(starts=5, rate_e4=1), Band(starts=5, rate_e4=2)))), "effect.bands.1.starts"),
    "band_one_worth": (of(rule(effect=tiered(Band(starts=0)))), "effect.bands.0"),
    "band_one_worth, not two": (of(rule(effect=tiered(Band(starts=0, rate_e4=1, basis_points=1)))), "effect.bands.0"),
    "band_rate_in_bonus": (of(rule(effect=Bonus(bands=(Band(starts=1, rate_e4=1),)))), "effect.bands.0.rate_e4"),
    "amount_in_marginal": (of(rule(effect=tiered(Band(starts=0, amount_minor=1), ladder=Ladder.MARGINAL))), "effect.bands.0.amount_minor"),
    "rate_on_money_slices": (
        of(rule(effect=tiered(Band(starts=0, rate_e4=1), by=By.AMOUNT, ladder=Ladder.MARGINAL))),
        "effect.bands.0.rate_e4",
    ),
    "bundle_one_amount": (of(rule(effect=Bundle(parts=NEEDED), when=ANY)), "effect.amount_minor"),
    "bundle_one_amount, not two": (of(rule(effect=Bundle(parts=NEEDED, amount_minor=1, basis_points=1), when=ANY)), "effect.amount_minor"),
    "part_without_goods": (
        of(rule(effect=Bundle(parts=(*NEEDED, Needed(quantity_milli=1)), amount_minor=1), when=ANY)),
        "effect.parts.2.products",
    ),
    "bonus_one_amount": (of(rule(effect=Bonus())), "effect.amount_minor"),
    "bonus_one_amount, not two": (of(rule(effect=Bonus(amount_minor=1, basis_points=1))), "effect.amount_minor"),
    "several_without_bands": (of(rule(effect=Bonus(amount_minor=1, several=Several.EVERY))), "effect.several"),
    "repeat_from_nothing": (
        of(rule(effect=Bonus(bands=(Band(starts=0, amount_minor=1),), several=Several.REPEAT))),
        "effect.bands.0.starts",
    ),
    "points_both_steps": (of(rule(effect=Points(points=1, per_quantity_milli=1000, per_minor=100))), "effect.per_minor"),
    "nothing_to_multiply": (of(rule(effect=PointsTimes(basis_points=20_000))), "rule per-litre effect"),
    "nothing_to_multiply, only after it": (
        of(rule("x", PointsTimes(basis_points=20_000), priority=1), rule("p", Points(points=1), priority=2)),
        "rule x effect",
    ),
    "units_differ": (of(rule(when=ANY)), "rule per-litre when.products"),
    "units_differ of two fuels": (of(rule(effect=UnitPrice(unit_price_e4=1), when=When(categories=("fuel",)))), "when.products"),
    "quantity_on_topup": (of(rule(when=TOPUP)), "rule per-litre effect"),
    "quantity_on_topup by threshold": (
        of(rule(effect=Bonus(amount_minor=1), when=msgspec.structs.replace(TOPUP, least_quantity_milli=1))),
        "when.least_quantity_milli",
    ),
    "goods_on_topup": (of(rule(effect=Bonus(amount_minor=1), when=msgspec.structs.replace(TOPUP, products=("92",)))), "when.products"),
    "cap_without_bound": (of(rule(caps=(Cap(per=Per.DAY),))), "caps.0"),
    "times_in_transaction": (of(rule(caps=(Cap(per=Per.TRANSACTION, count=1),))), "caps.0.count"),
    "cap_twice": (of(rule(caps=(Cap(per=Per.DAY, amount=1), Cap(per=Per.DAY, count=1)))), "caps.1"),
    "group_cap_times": (of(rule(group="fuel"), groups=(group(caps=(Cap(per=Per.DAY, count=1),)),)), "group fuel caps.0.amount"),
    "funder_twice": (of(rule(funders=HEAD * 2)), "rule per-litre funders"),
    "budget_unit": (of(rule(budget="b"), budgets=(budget("b", unit=BudgetUnit.POINTS),)), "rule per-litre budget"),
    "budget_unit of pieces": (
        of(rule(effect=Give(what="gift", item="cup"), budget="b"), budgets=(budget("b"),)),
        "rule per-litre budget",
    ),
    "budget_currency": (of(rule(budget="b", currency="CZK"), budgets=(budget("b"),)), "rule per-litre budget"),
    "currency_without_money": (
        of(rule(effect=Points(points=1), budget="b"), budgets=(budget("b", unit=BudgetUnit.POINTS, currency="CNY"),)),
        "budget b currency",
    ),
    "unknown_currency of a budget": (of(rule(), budgets=(budget(currency="XXX"),)), "budget autumn currency"),
    "budget_below_used": (of(rule(budget="spent"), budgets=(budget("spent", total=4999),)), "budget spent total"),
    "budget_unit_changed": (
        of(rule(effect=Points(points=1), budget="spent"), budgets=(budget("spent", unit=BudgetUnit.POINTS),)),
        "budget spent unit",
    ),
}


@pytest.mark.parametrize("name", FAULTY)
def test_every_fault_is_told_with_its_place_and_in_both_languages(name):
    document, place = FAULTY[name]
    code = name.split(" ")[0].rstrip(",")
    found = [fault for fault in faults_of(document, KNOWN) if fault.fault == code]
    assert found, faults_of(document, KNOWN)
    told = f"{found[0].part} {found[0].code} {found[0].field}"
    assert told.endswith(place), told
    assert {one.fault for one in faults_of(document, KNOWN)} == {code}
    for sentence in (found[0].zh, found[0].en):
        assert "{" not in sentence
        assert len(sentence) > 5


SOUND = {
    "nothing at all": Document(),
    "a rate off a litre": of(rule()),
    "a rate at a station, on Mondays, past midnight": of(
        rule(when=When(stations=("S1",), products=("92",), weekdays=(1,), hours=(Hours(starts="22:00", ends="06:00"),)))
    ),
    "a percentage of everything": of(rule(effect=Percent(basis_points=2000), when=ANY)),
    "points doubled": of(rule("p", Points(points=1, per_minor=100), when=ANY), rule("x", PointsTimes(basis_points=20_000), priority=200)),
    "bonus bands on a top-up": of(
        rule(effect=Bonus(bands=(Band(starts=100_000, amount_minor=5000), Band(starts=500_000, basis_points=800))), when=TOPUP)
    ),
    "bonus bands on a sale": of(rule(effect=Bonus(bands=(Band(starts=0, basis_points=100),)), when=ANY)),
    "a bundle": of(rule(effect=Bundle(parts=NEEDED, basis_points=5000), when=ANY)),
    "a marginal ladder": of(rule(effect=tiered(Band(starts=0, rate_e4=100), Band(starts=30_000, rate_e4=300), ladder=Ladder.MARGINAL))),
    "an amount after the rule": of(rule(when=When(products=("92",), least_minor=10_000, basis=Basis.AFTER))),
    "a budget and a cap": of(
        rule(budget="b", caps=(Cap(per=Per.DAY, count=1), Cap(per=Per.MONTH, of=Of.CUSTOMER, amount=1))), budgets=(budget("b"),)
    ),
    "pieces of a budget": of(rule(effect=Give(what="gift", item="cup"), budget="b"), budgets=(budget("b", unit=BudgetUnit.PIECE),)),
    "a budget raised": of(rule(budget="spent"), budgets=(budget("spent", total=5000),)),
    "nested groups": of(rule(group="in"), groups=(group("in", group="out"), group("out"))),
    "the root's own mode": of(rule(), groups=(group("all", mode=Mode.BEST),)),
    "two funders": of(rule(funders=(Funder(funder="head-office", parts=80), Funder(funder="station", parts=20)))),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_rulebook_has_no_faults(name):
    assert faults_of(SOUND[name], KNOWN) == []


@settings(deadline=None, max_examples=60)
@given(any_documents)
def test_whatever_the_structs_allow_can_be_judged(document):
    faults = [*faults_of(document, KNOWN), *warnings_of(document, KNOWN, now=NOW)]
    assert all(fault.fault in WORDS for fault in faults)


def test_what_is_not_known_here_is_not_checked():
    unknown = known_but(tiers=None, gifts=None, vouchers=None)
    document = of(rule("a", when=When(products=("92",), tiers=("x",))), rule("b", Give(what="gift", item="y")))
    assert faults_of(document, unknown) == []


def known_but(**more):
    return dataclasses.replace(KNOWN, **more)


WARNED = {
    "over": of(rule(ends_at=NOW)),
    "over with its campaign": of(rule(campaign="c"), campaigns=(campaign("c", ends_at=NOW),)),
    "outside_campaign": of(rule(campaign="c", starts_at=LATER), campaigns=(campaign("c", ends_at=SOON),)),
    "all_excluded": of(rule(when=When(products=("92",), excluded_categories=("fuel",)))),
    "no_such_place": of(rule(when=When(products=("92",), stations=("S1",), districts=("D2",)))),
    "currency_nowhere": of(rule(when=When(products=("92",), stations=("S2",)))),
    "basis_unused": of(rule(when=When(products=("92",), basis=Basis.BEFORE))),
    "exclusive_unused": of(rule(group="fuel", exclusive=True), groups=(group(mode=Mode.BEST),)),
    "empty_group": of(rule(), groups=(group(),)),
    "unused_budget": of(rule(), budgets=(budget(),)),
    "unused_campaign": of(rule(), campaigns=(campaign(),)),
    "nothing_enabled": of(rule(enabled=False)),
}


@pytest.mark.parametrize("name", WARNED)
def test_what_is_hardly_meant_is_a_warning_and_no_fault(name):
    document = WARNED[name]
    assert faults_of(document, KNOWN) == []
    assert [fault.fault for fault in warnings_of(document, KNOWN, now=NOW)] == [name.split(" ")[0]]


def test_a_disabled_rule_warns_of_nothing():
    asleep = rule("asleep", enabled=False, ends_at=NOW)
    assert warnings_of(of(rule(), asleep), KNOWN, now=NOW) == []


def test_every_word_has_a_case():
    told = {name.split(" ")[0].rstrip(",") for name in (*FAULTY, *WARNED)}
    assert told == set(WORDS)


def test_a_rule_with_every_effect_is_counted_in_something():
    from loyalty.pricing.rule_faults import budget_unit_of

    effects = {
        PerUnit(rate_e4=1): BudgetUnit.MINOR,
        Fixed(amount_minor=1): BudgetUnit.MINOR,
        UnitPrice(unit_price_e4=1): BudgetUnit.MINOR,
        Bonus(amount_minor=1): BudgetUnit.MINOR,
        Points(points=1): BudgetUnit.POINTS,
        PointsTimes(basis_points=20_000): BudgetUnit.POINTS,
        Give(what="wash", item="w"): BudgetUnit.PIECE,
    }
    assert {effect: budget_unit_of(effect) for effect in effects} == effects
    assert isinstance(rule(), Rule)
