"""What is wrong with a rulebook: everything that a person can still mend before it is submitted. Pure.

`faults_of` names what keeps a rulebook from being submitted, `warnings_of` what is allowed but hardly meant. The document's own shape
(types, ranges, patterns) is checked where it is read, by `document`'s structs.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from .document import ROOT, BudgetUnit, Document, Group, Mode, Rule
from .fault_parts import (
    BudgetFacts,
    Fault,
    GoodsFacts,
    Known,
    Place,
    StationFacts,
    cap_faults,
    goods_of,
    is_currency,
    twice,
    validity_faults,
)
from .fault_words import UNITS
from .rule_faults import rule_faults

__all__ = ["BudgetFacts", "Fault", "GoodsFacts", "Known", "StationFacts", "faults_of", "warnings_of"]


def faults_of(document: Document, known: Known) -> list[Fault]:
    """Return what keeps a rulebook from being submitted, in the document's order; empty where it is sound."""
    return [
        *_head(document),
        *_codes(document),
        *(fault for rule in document.rules for fault in rule_faults(rule, document, known)),
        *_groups(document),
        *(fault for budget in document.budgets for fault in _budget(Place("budget", budget.code), document, budget.code, known)),
        *(
            fault
            for campaign in document.campaigns
            for fault in validity_faults(Place("campaign", campaign.code), campaign.starts_at, campaign.ends_at)
        ),
    ]


def warnings_of(document: Document, known: Known, *, now: datetime) -> list[Fault]:
    """Return what is allowed but hardly meant: rules that never apply, groups without rules, budgets that nothing draws on."""
    used_budgets, used_campaigns = {rule.budget for rule in document.rules}, {rule.campaign for rule in document.rules}
    groups = {group.code: group for group in document.groups}
    filled = {rule.group for rule in document.rules} | {group.group for group in document.groups if group.code != ROOT}
    found = [fault for rule in document.rules if rule.enabled for fault in _rule_warnings(rule, document, known, groups, now)]
    found += [Place("group", code).fault("code", "empty_group") for code in groups if code not in filled and code != ROOT]
    found += [Place("budget", one.code).fault("code", "unused_budget") for one in document.budgets if one.code not in used_budgets]
    found += [Place("campaign", one.code).fault("code", "unused_campaign") for one in document.campaigns if one.code not in used_campaigns]
    if not any(rule.enabled for rule in document.rules):
        found.append(Place("document").fault("rules", "nothing_enabled"))
    return found


def _head(document: Document) -> Iterator[Fault]:
    here = Place("document")
    if not is_currency(document.currency):
        yield here.fault("currency", "unknown_currency", document.currency)
    for funder in twice(document.own_funders):
        yield here.fault("own_funders", "twice", funder)


def _codes(document: Document) -> Iterator[Fault]:
    """A rule and a group stand in one order and are named by their codes in explanations: no two may share one."""
    rules, groups = [rule.code for rule in document.rules], [group.code for group in document.groups]
    for code in twice(rules + groups):
        yield Place("rule" if code in rules else "group", str(code)).fault("code", "code_twice", code)
    if ROOT in rules:
        yield Place("rule", ROOT).fault("code", "code_reserved", ROOT)
    for part, codes in (("budget", [one.code for one in document.budgets]), ("campaign", [one.code for one in document.campaigns])):
        for code in twice(codes):
            yield Place(part, str(code)).fault("code", "code_twice", code)


def _groups(document: Document) -> Iterator[Fault]:
    parents = {group.code: group.group for group in document.groups}
    for group in document.groups:
        place = Place("group", group.code)
        if group.group != ROOT and group.group not in parents:
            yield place.fault("group", "unknown_group", group.group)
        if (circle := _circle(group.code, parents)) is not None:
            yield place.fault("group", "groups_in_a_circle", circle)
        yield from cap_faults(place, group.caps, of_group=True)


def _circle(code: str, parents: Mapping[str, str]) -> str | None:
    """Return the way from a group back to itself, as it is read; None where it leads to the root."""
    way = [code]
    while (above := parents.get(way[-1])) is not None and way[-1] != ROOT:
        if above in way:
            return " → ".join([*way, above]) if above == code else None
        way.append(above)
    return None


def _budget(place: Place, document: Document, code: str, known: Known) -> Iterator[Fault]:
    budget = next(one for one in document.budgets if one.code == code)
    if budget.currency is not None and budget.unit is not BudgetUnit.MINOR:
        yield place.fault("currency", "currency_without_money")
    elif budget.currency is not None and not is_currency(budget.currency):
        yield place.fault("currency", "unknown_currency", budget.currency)
    there = known.budgets.get(code)
    if there is None:
        return
    currency = (budget.currency or document.currency) if budget.unit is BudgetUnit.MINOR else None
    if there.taken and (there.unit != budget.unit.value or (there.currency or currency) != currency):
        zh, en = UNITS[there.unit]
        yield place.fault("unit", "budget_unit_changed", unit_zh=zh, unit_en=en)
    elif budget.total < there.taken:
        yield place.fault("total", "budget_below_used", there.taken)


def _rule_warnings(rule: Rule, document: Document, known: Known, groups: Mapping[str, Group], now: datetime) -> Iterator[Fault]:
    place, when = Place("rule", rule.code), rule.when
    campaign = next((one for one in document.campaigns if one.code == rule.campaign), None)
    ends = [instant for instant in (rule.ends_at, campaign.ends_at if campaign else None) if instant is not None and instant.tzinfo]
    starts = [instant for instant in (rule.starts_at, campaign.starts_at if campaign else None) if instant is not None and instant.tzinfo]
    if ends and min(ends) <= now:
        yield place.fault("ends_at", "over")
    elif ends and starts and campaign and min(ends) <= max(starts):
        yield place.fault("campaign", "outside_campaign", campaign.code)
    if _nothing_left(rule, known):
        yield place.fault("when.excluded_products", "all_excluded")
    yield from _places(place, rule, document, known)
    if when.basis.value != "initial" and when.least_minor is None and when.most_minor is None:
        yield place.fault("when.basis", "basis_unused")
    group = groups.get(rule.group)
    if rule.exclusive and group is not None and group.mode is not Mode.STACK:
        yield place.fault("exclusive", "exclusive_unused")


def _places(place: Place, rule: Rule, document: Document, known: Known) -> Iterator[Fault]:
    when = rule.when
    within = [
        facts
        for code, facts in known.stations.items()
        if (not when.stations or code in when.stations)
        and (not when.districts or facts.district in when.districts)
        and (not when.regions or facts.region in when.regions)
    ]
    if not within and (when.stations or when.districts or when.regions):
        yield place.fault("when.stations", "no_such_place")
    currency = rule.currency or document.currency
    if within and all(facts.currency != currency for facts in within):
        yield place.fault("currency", "currency_nowhere", currency)


def _nothing_left(rule: Rule, known: Known) -> bool:
    when = rule.when
    if not when.excluded_products and not when.excluded_categories:
        return False
    goods = goods_of(rule, known)
    return bool(known.products) and not goods
