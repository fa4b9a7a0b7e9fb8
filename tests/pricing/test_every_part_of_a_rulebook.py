"""Nothing that a rulebook can say is forgotten: each field and each choice is in the file and in the tables of cases.

The pages and the API are asked the same in `tests/web/test_every_part_is_reachable.py`.
"""

import ast
import inspect
from collections.abc import Iterable
from enum import Enum
from types import ModuleType

import msgspec
import pytest

from loyalty.pricing.files import read_rulebook, write_rulebook
from loyalty.pricing.merging import ordered
from tests.ledger import test_spending
from tests.pricing import test_calculators, test_conditions, test_explaining, test_faults, test_freezing, test_groups_and_caps
from tests.pricing.whole import WHOLE, choices, every_field, fields_of, parts_of, structs
from tests.rewards import earning, test_campaigns, test_grants
from tests.scenarios import test_bonus_money_is_spent_where_it_may_be
from tests.simulation import test_budgets_are_never_overspent
from tests.topups import test_offers

# What issue 3 names, in its own words and order, and the field or choice that says it.
ISSUE = {
    "region, district, station": ("When.regions", "When.districts", "When.stations"),
    "card product": ("When.card_products",),
    "customer, tier, segment": ("When.customers", "When.tiers", "When.segments"),
    "product, category": ("When.products", "When.categories"),
    "exclusions respected": ("When.excluded_products", "When.excluded_categories"),
    "tender": ("When.tenders",),
    "channel": ("When.channels", "Channel.PAY_AFTER", "Channel.PRESET", "Channel.PUMP", "Channel.SHOP", "Channel.TOPUP"),
    "weekday and hours": ("When.weekdays", "When.hours", "Hours.starts", "Hours.ends"),
    "first / n-th fill": ("When.nth", "Nth.count", "Nth.every"),
    "litres or amount thresholds": ("When.least_quantity_milli", "When.most_quantity_milli", "When.least_minor", "When.most_minor"),
    "on initial, before this or after this amount": ("When.basis", "Basis.INITIAL", "Basis.BEFORE", "Basis.AFTER"),
    "birthday": ("When.birthday", "Birthday.days_before", "Birthday.days_after", "Birthday.month"),
    "flyer code": ("When.flyers",),
    "per litre": ("PerUnit.rate_e4",),
    "percent on initial or running amount": ("Percent.basis_points", "Percent.basis"),
    "fixed": ("Fixed.amount_minor",),
    "tiered whole-amount or marginal": ("Tiered.bands", "Tiered.by", "Ladder.WHOLE", "Ladder.MARGINAL"),
    "bundle": ("Bundle.parts", "Bundle.amount_minor", "Bundle.basis_points", "Bundle.times"),
    "bonus money": ("Bonus.amount_minor", "Bonus.basis_points", "Bonus.bands"),
    "several bands in one top-up": ("Several.HIGHEST", "Several.EVERY", "Several.REPEAT"),
    "expiry and spending conditions": ("Bonus.expires_days", "Bonus.spend"),
    "points": ("Points.points", "Points.per_quantity_milli", "Points.per_minor", "Points.whole"),
    "pending to active by time or event": ("Points.pending_days", "Points.when_settled"),
    "rolling or calendar expiry and rounding": ("Points.expires_months", "Points.rounding"),
    "points multiplier": ("PointsTimes.basis_points",),
    "gift, voucher, free wash": ("Give.what", "Give.item", "Give.count"),
    "validity": ("Rule.starts_at", "Rule.ends_at"),
    "priority": ("Rule.priority", "Group.priority"),
    "groups, nested": ("Rule.group", "Group.group"),
    "stack all, best, cheapest, first match": ("Mode.STACK", "Mode.BEST", "Mode.CHEAPEST", "Mode.FIRST"),
    "exclusive rules": ("Rule.exclusive", "Group.exclusive"),
    "funder split": ("Rule.funders", "Funder.funder", "Funder.parts"),
    "budget": ("Rule.budget", "Budget.total", "BudgetUnit.MINOR", "BudgetUnit.POINTS", "BudgetUnit.PIECE"),
    "caps per transaction, card, customer, day/month": ("Per.TRANSACTION", "Of.CARD", "Of.CUSTOMER", "Per.DAY", "Per.MONTH"),
    "caps per campaign": ("Rule.campaign", "Budget.total"),
    "anonymous-conversion": ("When.converted_within_days", "When.account_kinds"),
    "a hold-out group": ("Campaign.hold_out_basis_points",),
}
TABLES = (
    *(test_calculators, test_conditions, test_groups_and_caps, test_freezing, test_explaining, test_spending, test_offers),
    *(earning, test_grants, test_campaigns, test_budgets_are_never_overspent, test_bonus_money_is_spent_where_it_may_be),
)
WORDS = {
    *("Rule.code", "Rule.name_zh", "Rule.name_en", "Group.code", "Group.name_zh", "Group.name_en", "Budget.code", "Budget.name_zh"),
    *("Budget.name_en", "Campaign.code", "Campaign.name_zh", "Campaign.name_en", "Campaign.about_zh", "Campaign.about_en"),
    *("Rule.say_zh", "Rule.say_en"),
}
"""Names and sentences: they decide nothing."""
JUDGED = {"Budget.currency"}
"""What decides only whether a rulebook may go live: its cases are those of the faults."""
MAKERS = {
    "budget": ("Budget",),
    "rule": ("Rule", "When"),
    "group": ("Group",),
    "applies": ("When",),
    "stacked": ("Rule", "When"),
    "book": ("Document",),
}
"""Short ways in which the tables make a part: what they are given by name is the part's."""
ALWAYS = {"Group": {"Group.mode"}, "Document": {"Document.rules", "Document.groups"}, "Rule": {"Rule.effect"}}
"""What no such way can leave out."""


def choices_named(value) -> set[str]:
    return {f"{type(one).__name__}.{one.name}" for one in parts_of(value) if hasattr(one, "name") and type(one).__name__ in choices()}


def every_choice() -> set[str]:
    return {f"{name}.{member.name}" for name, kind in choices().items() for member in kind}


def test_one_rulebook_says_everything():
    assert every_field() - fields_of(WHOLE) == set()
    assert every_choice() - choices_named(WHOLE) == set()


def test_what_the_issue_names_is_there():
    named = {part for parts in ISSUE.values() for part in parts}
    assert named - every_field() - every_choice() == set()


def test_a_file_says_everything_and_gives_it_back():
    text = write_rulebook(WHOLE)
    assert read_rulebook(text) == ordered(WHOLE)
    written = {field.partition(".")[2] for field in every_field()}
    assert {name for name in written if name not in text} == set()


def named_in(module: ModuleType) -> set[str]:
    """Return what a module's cases write: `Cap(amount=…)` as Cap.amount, `{"tiers": …}`, `Per.DAY`, and a part's default choices."""
    found = set()
    kinds = {one.__name__: one for one in structs()}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            given = {word.arg for word in node.keywords if word.arg}
            for part in MAKERS.get(name, (name,)):
                found |= {f"{part}.{word}" for word in given} | ALWAYS.get(part, set())
                found |= {choice for field, choice in default_choices(kinds.get(part)) if field not in given}
            found |= members(node.args)
        elif isinstance(node, ast.For | ast.comprehension):
            found |= members([node.iter])
        elif isinstance(node, ast.Dict):
            keys = [key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
            found |= {f"{part}.{key}" for part in ("When", "Rule", "Campaign") for key in keys}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
    return found


def default_choices(part: type | None) -> set[tuple[str, str]]:
    """Return a part's fields that are a choice where nothing is said, and which."""
    fields = () if part is None else msgspec.structs.fields(part)
    return {(one.name, f"{type(one.default).__name__}.{one.default.name}") for one in fields if isinstance(one.default, Enum)}


def members(over: Iterable[ast.AST]) -> set[str]:
    """Return all of a kind's choices where cases are made for each of them: `for per in Per`, `parametrize("mode", Mode)`."""
    kinds = [choices()[one.id] for one in over if isinstance(one, ast.Name) and one.id in choices()]
    return {f"{kind.__name__}.{member.name}" for kind in kinds for member in kind}


@pytest.fixture(scope="module")
def tables() -> set[str]:
    return set().union(*(named_in(module) for module in TABLES))


def test_every_field_has_its_cases(tables):
    assert sorted(every_field() - WORDS - JUDGED - tables) == []
    assert sorted(JUDGED - named_in(test_faults)) == []


def test_every_choice_has_its_cases(tables):
    assert sorted(every_choice() - tables) == []
