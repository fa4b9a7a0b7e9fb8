"""A rule and its form: what the form shows is read back as the same rule; what cannot be read is told beside its field."""

import msgspec
import pytest
from hypothesis import given, settings

from loyalty.pricing.document import Document, Hours, Percent, PerUnit, When
from loyalty.pricing.rule_faults import rule_faults
from loyalty.web.i18n import language
from loyalty.web.office.reading import Form
from loyalty.web.office.rules_reading import RuleForm, field_of
from loyalty.web.office.rules_typed import typed_rule
from tests.pricing.documents import KNOWN, any_documents, rule

ENGLISH = language("en")
ZONE = "Asia/Shanghai"


def read(typed, code=""):
    form = Form(typed, ENGLISH, ZONE)
    return RuleForm(form, ENGLISH.gettext, "CNY").read(code), form


def is_plain(one) -> bool:
    """Say whether a form can hold it: texts without line ends, instants to the minute, amounts within what a form takes."""
    text = msgspec.json.encode(one).decode()
    whole = all(instant is None or (instant.second, instant.microsecond) == (0, 0) for instant in (one.starts_at, one.ends_at))
    codes = [
        code
        for name in ("stations", "districts", "products", "excluded_categories", "tiers", "tenders")
        for code in getattr(one.when, name)
    ]
    return whole and "\\u" not in text and "\\n" not in text and all(code.strip() == code for code in codes)


UNSHOWN = {
    "cap_without_bound",
    "band_one_worth",
    "bonus_one_amount",
    "bundle_one_amount",
    "points_both_steps",
    "birthday_both",
    "several_without_bands",
    "percent_of_after",
    "twice",
}
"""Faults that no form can be left with."""


@settings(deadline=None, max_examples=40)
@given(any_documents)
def test_a_form_gives_back_the_rule_it_shows(document):
    for one in document.rules:
        typed = typed_rule(one, currency="CNY", zone=ZONE)
        found, form = read(typed, one.code)
        if found is None:
            # Only what the form does not take: figures beyond its bounds, a band or bundle that the faults would name anyway.
            assert form.faults
        if found is None or not is_plain(one) or UNSHOWN & {fault.fault for fault in rule_faults(one, document, KNOWN)}:
            continue
        again = typed_rule(found, currency="CNY", zone=ZONE)
        assert again == typed


SOUND = [
    rule(),
    rule(effect=Percent(basis_points=250), when=When(categories=("fuel",), hours=(Hours(starts="22:00", ends="24:00"),), weekdays=(1, 7))),
    rule(exclusive=True, enabled=False, priority=0, say_zh="周一便宜", currency="CZK"),
]


@pytest.mark.parametrize("one", SOUND)
def test_a_sound_rule_comes_back_exactly(one):
    found, form = read(typed_rule(one, currency="CNY", zone=ZONE), one.code)
    assert form.faults == []
    assert found == one


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"rate": "abc"}, "rate"),
        ({"rate": "0.12345"}, "rate"),
        ({"name_zh": ""}, "name_zh"),
        ({"effect": "free"}, "effect"),
        ({"month_days": "1, 32"}, "month_days"),
        ({"customers": "li"}, "customers"),
        ({"hours-0-starts": "8:00", "hours-0-ends": "10:00"}, "hours-0-starts"),
        ({"funder-0-name": ""}, "funder-0-name"),
        ({"cap-0-per": "day", "cap-0-amount": "x"}, "cap-0-amount"),
        ({"least_quantity": "-1"}, "least_quantity"),
    ],
)
def test_what_cannot_be_read_is_told_at_its_field(changed, field):
    typed = typed_rule(rule(), currency="CNY", zone=ZONE) | {name: [value] for name, value in changed.items()}
    found, form = read(typed, "per-litre")
    assert found is None
    assert [name for name, _label, _said in form.faults] == [field]


def test_a_code_is_asked_for_once():
    typed = typed_rule(rule(), currency="CNY", zone=ZONE) | {"code": ["Not A Code"]}
    assert [name for name, _label, _said in read(typed)[1].faults] == ["code"]
    assert read(typed, "kept")[0].code == "kept"


def test_a_fault_of_the_rulebook_stands_at_its_field():
    one = rule(group="gone", effect=PerUnit(rate_e4=1), when=When(products=("92",), tiers=("x",)))
    form = Form({}, ENGLISH, ZONE)
    RuleForm(form, ENGLISH.gettext, "CNY").judge(one, Document(rules=(one,)), KNOWN, chinese=False)
    assert [name for name, _label, _said in form.faults] == ["group", "tiers"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("when.products", "goods"),
        ("when.hours.1", "hours-1-starts"),
        ("effect.bands.2.starts", "band-2-starts"),
        ("caps.0.count", "cap-0-per"),
        ("when.tenders", "tenders"),
        ("budget", "budget"),
    ],
)
def test_paths_lead_to_fields(path, field):
    assert field_of(path) == field
