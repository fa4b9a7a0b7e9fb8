"""A rulebook as a file: exact both ways, in an order that version control can live with."""

import msgspec
import pytest
from hypothesis import given, settings

from loyalty.pricing.document import Document, Group, Mode, Percent, When
from loyalty.pricing.files import FileNotUnderstood, read_rulebook, write_rulebook
from loyalty.pricing.merging import ordered
from tests.pricing.documents import any_documents, group, rule


@settings(deadline=None, max_examples=80)
@given(any_documents)
def test_a_file_gives_back_exactly_what_was_written(document):
    assert read_rulebook(write_rulebook(document)) == ordered(document)


@settings(deadline=None, max_examples=25)
@given(any_documents)
def test_writing_what_was_read_gives_the_same_bytes(document):
    written = write_rulebook(document)
    assert write_rulebook(read_rulebook(written)) == written


def test_an_empty_rulebook_is_a_file_too():
    assert read_rulebook(write_rulebook(Document())) == Document()


def test_a_changed_rule_changes_its_own_lines_only():
    before = Document(rules=(rule("b"), rule("a"), rule("c", Percent(basis_points=2000))), groups=(group(),))
    changed = msgspec.structs.replace(before.rules[0], priority=1, group="fuel", when=When(products=("92",), weekdays=(1,)))
    after = msgspec.structs.replace(before, rules=(changed, *before.rules[1:]))
    old, new = write_rulebook(before).splitlines(), write_rulebook(after).splitlines()
    assert set(old) - set(new) == set()
    assert set(new) - set(old) == {"weekdays = [1]", 'group = "fuel"', "priority = 1"}


def test_the_head_says_the_units_in_both_languages():
    head = write_rulebook(Document(rules=(rule(),)))
    assert "basis_points" in head
    assert "最小货币单位" in head
    assert "minor units" in head


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rules = 3 3", "line 1"),
        ("[[rules]]\ncode = 'a'\n", "missing required field"),
        ("[[rules]]\ncode = 'A B'\n", "rules[0]"),
        ("colour = 'red'", "unknown field"),
        ("currency = 3", "currency"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_what_is_no_rulebook_is_refused_with_its_place(text, says):
    with pytest.raises(FileNotUnderstood) as refused:
        read_rulebook(text)
    assert says in str(refused.value)


def test_a_file_by_hand_reads_like_the_trade():
    text = """
    [[groups]]
    code = "fuel"
    name_zh = "油品"
    name_en = "Fuel"
    mode = "best"

    [[rules]]
    code = "gold-92"
    name_zh = "金卡 92 号"
    name_en = "Gold, 92"
    group = "fuel"
    funders = [{funder = "head-office", parts = 80}, {funder = "station", parts = 20}]
    starts_at = 2026-10-01T00:00:00+08:00
    when = {products = ["92"], weekdays = [1], least_quantity_milli = 30000}
    effect = {kind = "per_unit", rate_e4 = 3000}
    """
    document = read_rulebook(text)
    assert document.groups == (Group(code="fuel", name_zh="油品", name_en="Fuel", mode=Mode.BEST),)
    assert document.rules[0].when.weekdays == (1,)
    assert document.rules[0].starts_at is not None
    assert document.rules[0].starts_at.isoformat() == "2026-10-01T00:00:00+08:00"
