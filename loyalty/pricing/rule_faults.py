"""What is wrong with one rule: its conditions, its effect, its caps, funders and budget. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from loyalty.ledger.spending import Spending

from .basket import CARD, TOPUP_GOODS
from .document import (
    ROOT,
    Band,
    Basis,
    Bonus,
    BudgetUnit,
    Bundle,
    By,
    Channel,
    Document,
    Effect,
    Fixed,
    Give,
    Group,
    Ladder,
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
from .fault_parts import Fault, Known, Place, cap_faults, goods_of, is_currency, twice, validity_faults
from .fault_words import UNITS

ACCOUNT_KINDS: Final = frozenset({"personal", "anonymous", "company"})
TENDERS: Final = (CARD, "cash", "bank_card", "wechat", "alipay", "bank_transfer", "voucher")
"""What a transaction may be paid with: the card's own money, and the tenders that tills know."""
_SPEND_ON: Final = ("products", "categories", "stations", "districts", "regions")
"""What conditions of bonus money name."""


def rule_faults(rule: Rule, document: Document, known: Known) -> Iterator[Fault]:
    """Return what is wrong with a rule of the document."""
    place = Place("rule", rule.code)
    if rule.group != ROOT and all(group.code != rule.group for group in document.groups):
        yield place.fault("group", "unknown_group", rule.group)
    if rule.campaign is not None and all(campaign.code != rule.campaign for campaign in document.campaigns):
        yield place.fault("campaign", "unknown_campaign", rule.campaign)
    if rule.currency is not None and not is_currency(rule.currency):
        yield place.fault("currency", "unknown_currency", rule.currency)
    yield from validity_faults(place, rule.starts_at, rule.ends_at)
    yield from _codes(place, rule.when, known)
    yield from _conditions(place, rule)
    yield from _topup(place, rule)
    yield from _effect(place, rule, document, known)
    yield from cap_faults(place, rule.caps)
    for funder in twice(one.funder for one in rule.funders):
        yield place.fault("funders", "funder_twice", funder)
    yield from _budget(place, rule, document)


def _conditions(place: Place, rule: Rule) -> Iterator[Fault]:
    when = rule.when
    for name in ("weekdays", "month_days", "channels", "tenders", "account_kinds"):
        for value in twice(getattr(when, name)):
            yield place.fault(f"when.{name}", "twice", value)
    yield from _hours(place, when)
    for low, high in (("least_quantity_milli", "most_quantity_milli"), ("least_minor", "most_minor")):
        least, most = getattr(when, low), getattr(when, high)
        if least is not None and most is not None and least > most:
            yield place.fault(f"when.{high}", "least_above_most")
    if when.birthday is not None and when.birthday.month and (when.birthday.days_before or when.birthday.days_after):
        yield place.fault("when.birthday", "birthday_both")
    if when.nth is not None and when.nth.per is Per.TRANSACTION:
        yield place.fault("when.nth.per", "nth_in_transaction")
    if when.basis is Basis.AFTER and budget_unit_of(rule.effect, discounts_only=True) is None:
        yield place.fault("when.basis", "basis_after_grant")


def _hours(place: Place, when: When) -> Iterator[Fault]:
    for index, hours in enumerate(when.hours):
        if hours.starts == "24:00":
            yield place.fault(f"when.hours.{index}", "starts_at_24")
        elif hours.starts == hours.ends:
            yield place.fault(f"when.hours.{index}", "hours_equal")


def _codes(place: Place, when: When, known: Known) -> Iterator[Fault]:
    yield from _lists(place, "when", when, known, tuple(_there(known)))
    for tender in when.tenders:
        if tender not in TENDERS:
            yield place.fault("when.tenders", "unknown_tender", tender, known=", ".join(TENDERS))


def _there(known: Known) -> Mapping[str, tuple[Collection[str] | None, str]]:
    """Return by the name of a list what it may name, and the fault of naming something else."""
    return {
        "stations": (known.stations, "unknown_station"),
        "districts": (known.districts, "unknown_district"),
        "regions": (known.regions, "unknown_region"),
        "card_products": (known.card_products, "unknown_card_product"),
        "products": (known.products, "unknown_product"),
        "excluded_products": (known.products, "unknown_product"),
        "categories": (known.categories, "unknown_category"),
        "excluded_categories": (known.categories, "unknown_category"),
        "tiers": (known.tiers, "unknown_tier"),
        "account_kinds": (ACCOUNT_KINDS, "unknown_account_kind"),
    }


def _lists(place: Place, field: str, of: When | Spending, known: Known, names: Sequence[str]) -> Iterator[Fault]:
    there = _there(known)
    for name in names:
        yield from _unknown(place, f"{field}.{name}", getattr(of, name), *there[name])
        if name != "account_kinds":
            for value in twice(getattr(of, name)):
                yield place.fault(f"{field}.{name}", "twice", value)


def _unknown(place: Place, field: str, codes: Sequence[str], there: Collection[str] | None, fault: str) -> Iterator[Fault]:
    for code in codes:
        if there is not None and code not in there and code != TOPUP_GOODS:
            yield place.fault(field, fault, code)


def _topup(place: Place, rule: Rule) -> Iterator[Fault]:
    """A top-up is one line without goods or quantity."""
    when = rule.when
    if Channel.TOPUP not in when.channels:
        return
    if counts_quantity(rule.effect) or isinstance(rule.effect, Bundle):
        yield place.fault("effect", "quantity_on_topup")
    if when.least_quantity_milli is not None or when.most_quantity_milli is not None:
        yield place.fault("when.least_quantity_milli", "quantity_on_topup")
    for name in ("products", "categories"):
        if set(getattr(when, name)) - {TOPUP_GOODS}:
            yield place.fault(f"when.{name}", "goods_on_topup")


def counts_quantity(effect: Effect) -> bool:
    """Say whether an effect is so much per unit, or goes by how many units there are."""
    if isinstance(effect, Tiered):
        return effect.by is By.QUANTITY or any(band.rate_e4 is not None for band in effect.bands)
    return isinstance(effect, PerUnit | UnitPrice) or (isinstance(effect, Points) and effect.per_quantity_milli is not None)


def _effect(place: Place, rule: Rule, document: Document, known: Known) -> Iterator[Fault]:
    effect = rule.effect
    yield from _units(place, rule, known)
    match effect:
        case Percent(basis=Basis.AFTER):
            yield place.fault("effect.basis", "percent_of_after")
        case Tiered():
            yield from _tiered(place, effect)
        case Bundle():
            yield from _bundle(place, effect, known)
        case Bonus():
            yield from _bonus(place, effect, known)
        case Points(per_quantity_milli=int(), per_minor=int()):
            yield place.fault("effect.per_minor", "points_both_steps")
        case PointsTimes():
            yield from _multiplied(place, rule, document)
        case Give():
            there, fault = (known.gifts, "unknown_gift") if effect.what == "gift" else (known.vouchers, "unknown_voucher")
            yield from _unknown(place, "effect.item", [effect.item], there, fault)
        case _:
            return


def _units(place: Place, rule: Rule, known: Known) -> Iterator[Fault]:
    """A rate is off one unit: litres and pieces cannot share one."""
    if counts_quantity(rule.effect) and Channel.TOPUP not in rule.when.channels:
        units = sorted({facts.unit for facts in goods_of(rule, known)})
        if len(units) > 1:
            yield place.fault("when.products", "units_differ", ", ".join(units))


def _multiplied(place: Place, rule: Rule, document: Document) -> Iterator[Fault]:
    """What it multiplies stands before it in its group, or in a group within that."""
    order = (rule.priority, rule.code)
    groups = {group.code: group for group in document.groups}
    for one in document.rules:
        member: Rule | Group | None = one if isinstance(one.effect, Points) else None
        # Groups in a circle are another fault: the way up is no longer than there are groups.
        for _step in range(len(groups) + 1):
            if member is None or member.group == rule.group:
                break
            member = groups.get(member.group)
        if member is not None and member.group == rule.group and (member.priority, member.code) < order:
            return
    yield place.fault("effect", "nothing_to_multiply")


def _bands(place: Place, bands: Sequence[Band]) -> Iterator[Fault]:
    for index, (lower, upper) in enumerate(pairwise(bands), 1):
        if upper.starts <= lower.starts:
            yield place.fault(f"effect.bands.{index}.starts", "bands_not_rising")
    for index, band in enumerate(bands):
        if sum(worth is not None for worth in (band.rate_e4, band.basis_points, band.amount_minor)) != 1:
            yield place.fault(f"effect.bands.{index}", "band_one_worth")


def _tiered(place: Place, effect: Tiered) -> Iterator[Fault]:
    yield from _bands(place, effect.bands)
    if effect.ladder is not Ladder.MARGINAL:
        return
    for index, band in enumerate(effect.bands):
        if band.amount_minor is not None:
            yield place.fault(f"effect.bands.{index}.amount_minor", "amount_in_marginal")
        if band.rate_e4 is not None and effect.by is By.AMOUNT:
            yield place.fault(f"effect.bands.{index}.rate_e4", "rate_on_money_slices")


def _bundle(place: Place, effect: Bundle, known: Known) -> Iterator[Fault]:
    if (effect.amount_minor is None) == (effect.basis_points is None):
        yield place.fault("effect.amount_minor", "bundle_one_amount")
    for index, part in enumerate(effect.parts):
        at = f"effect.parts.{index}"
        if not part.products and not part.categories:
            yield place.fault(f"{at}.products", "part_without_goods")
        yield from _unknown(place, f"{at}.products", part.products, known.products, "unknown_product")
        yield from _unknown(place, f"{at}.categories", part.categories, known.categories, "unknown_category")


def _bonus(place: Place, effect: Bonus, known: Known) -> Iterator[Fault]:
    if sum((effect.amount_minor is not None, effect.basis_points is not None, bool(effect.bands))) != 1:
        yield place.fault("effect.amount_minor", "bonus_one_amount")
    if effect.several is not Several.HIGHEST and not effect.bands:
        yield place.fault("effect.several", "several_without_bands")
    yield from _bands(place, effect.bands)
    for index, band in enumerate(effect.bands):
        if band.rate_e4 is not None:
            yield place.fault(f"effect.bands.{index}.rate_e4", "band_rate_in_bonus")
        if effect.several is Several.REPEAT and not band.starts:
            yield place.fault(f"effect.bands.{index}.starts", "repeat_from_nothing")
    if effect.spend is not None:
        yield from _lists(place, "effect.spend", effect.spend, known, _SPEND_ON)


def budget_unit_of(effect: Effect, *, discounts_only: bool = False) -> BudgetUnit | None:
    """Return what an effect is counted in; with `discounts_only` None for everything that takes nothing off."""
    if isinstance(effect, PerUnit | Percent | Fixed | UnitPrice | Tiered | Bundle):
        return BudgetUnit.MINOR
    if discounts_only:
        return None
    if isinstance(effect, Bonus):
        return BudgetUnit.MINOR
    return BudgetUnit.PIECE if isinstance(effect, Give) else BudgetUnit.POINTS


def _budget(place: Place, rule: Rule, document: Document) -> Iterator[Fault]:
    if rule.budget is None:
        return
    budget = next((one for one in document.budgets if one.code == rule.budget), None)
    if budget is None:
        yield place.fault("budget", "unknown_budget", rule.budget)
        return
    unit = budget_unit_of(rule.effect)
    assert unit is not None, "every effect is counted in something"
    if unit is not budget.unit:
        (unit_zh, unit_en), (given_zh, given_en) = UNITS[budget.unit.value], UNITS[unit.value]
        yield place.fault("budget", "budget_unit", rule.budget, unit_zh=unit_zh, unit_en=unit_en, given_zh=given_zh, given_en=given_en)
    elif unit is BudgetUnit.MINOR and (budget.currency or document.currency) != (rule.currency or document.currency):
        yield place.fault("budget", "budget_currency", rule.budget)
