"""What a map makes of texts."""

from datetime import UTC, date, datetime
from enum import StrEnum

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.importing.faults import SENTENCES, Fault
from loyalty.importing.mapping import FileForm, MapNotSound, Value, find_map, read_map
from loyalty.importing.reading import FileNotReadable
from loyalty.importing.values import Field, Joined, Kind, field_reader, text_maker
from loyalty.money import decimal_text


class Colour(StrEnum):
    RED = "red"


@pytest.fixture
def joined(tmp_path) -> Joined:
    (tmp_path / "other.csv").write_text("key,zone\n7,Europe/Prague\n8,\n", encoding="utf-8")
    return Joined(tmp_path, FileForm())


def reads(joined, cells, kind=Kind.TEXT, *, currency="CZK", required=False, choices=None, **value):
    return field_reader(msgspec.convert(value, Value), "f", Field(kind, required, choices), joined)(cells, currency)


@pytest.mark.parametrize(
    ("value", "cells", "text"),
    [
        ({"column": "a"}, {"a": "  x "}, "x"),
        ({"column": "a", "trim": False}, {"a": " x"}, " x"),
        ({"const": "always"}, {}, "always"),
        ({"template": "{a}-{b}"}, {"a": "1", "b": " 2 "}, "1-2"),
        ({"column": "a", "case": "upper"}, {"a": "cze"}, "CZE"),
        ({"column": "a", "default": "none"}, {"a": " "}, "none"),
        ({"column": "a", "lookup": {"x": "y"}}, {"a": "x"}, "y"),
        ({"column": "a", "lookup": {"x": "y"}, "otherwise": "z"}, {"a": "q"}, "z"),
        ({"column": "a", "pad": 5, "prefix": "C"}, {"a": "42"}, "C00042"),
        ({"column": "a", "pad": 5, "prefix": "C"}, {"a": ""}, None),
        ({"join": {"file": "other.csv", "key": "key", "by": "a", "column": "zone"}}, {"a": "7"}, "Europe/Prague"),
    ],
)
def test_a_text_is_taken_trimmed_looked_up_padded_and_prefixed(joined, value, cells, text):
    assert reads(joined, cells, **value) == text


@pytest.mark.parametrize(
    ("kind", "value", "cells", "expected"),
    [
        (Kind.MINOR, {"column": "a"}, {"a": "672.64"}, 67_264),
        (Kind.MINOR, {"column": "a", "decimal": ",", "thousands": "."}, {"a": "-1.234,5"}, -123_450),
        (Kind.MINOR, {"column": "a", "decimal": ",", "thousands": "\u00a0"}, {"a": "1\u00a0234,50"}, 123_450),
        (Kind.MILLI, {"column": "a"}, {"a": "28"}, 28_000),
        (Kind.MILLI, {"column": "a"}, {"a": "0.125"}, 125),
        (Kind.E4, {"column": "a"}, {"a": "36.9"}, 369_000),
        (Kind.E4, {"column": "a", "divided_by": "q"}, {"a": "672.64", "q": "28"}, 240_229),
        (Kind.E4, {"column": "a", "divided_by": "q"}, {"a": "1", "q": "3"}, 3333),
        (Kind.E4, {"column": "a", "divided_by": "q"}, {"a": "2", "q": "3"}, 6667),
        (Kind.WHOLE, {"column": "a"}, {"a": "12"}, 12),
        (Kind.TRUTH, {"column": "a"}, {"a": "Ano"}, True),
        (Kind.TRUTH, {"column": "a"}, {"a": "0"}, False),
        (Kind.DATE, {"column": "a", "format": "%d.%m.%Y"}, {"a": "31.12.2026"}, date(2026, 12, 31)),
        (Kind.INSTANT, {"column": "a"}, {"a": "2012-08-24T09:41:00+02:00"}, datetime(2012, 8, 24, 7, 41, tzinfo=UTC)),
        (
            Kind.INSTANT,
            {"template": "{d} {t}", "format": "%Y-%m-%d %H:%M:%S", "zone": "Europe/Prague"},
            {"d": "2012-01-24", "t": "09:41:00"},
            datetime(2012, 1, 24, 8, 41, tzinfo=UTC),
        ),
        (
            Kind.INSTANT,
            {"column": "d", "zone": {"join": {"file": "other.csv", "key": "key", "by": "k", "column": "zone"}}},
            {"d": "2012-08-24", "k": "7"},
            datetime(2012, 8, 23, 22, 0, tzinfo=UTC),
        ),
    ],
)
def test_a_text_is_read_as_its_fields_kind(joined, kind, value, cells, expected):
    assert reads(joined, cells, kind, **value) == expected


@pytest.mark.parametrize(
    ("code", "kind", "value", "cells"),
    [
        ("no_such_column", Kind.TEXT, {"column": "b"}, {"a": "1"}),
        ("no_such_column", Kind.TEXT, {"template": "{a} {b}"}, {"a": "1"}),
        ("not_listed", Kind.TEXT, {"column": "a", "lookup": {"x": "y"}}, {"a": "q"}),
        ("not_listed", Kind.TEXT, {"join": {"file": "other.csv", "key": "key", "by": "a", "column": "zone"}}, {"a": "9"}),
        ("not_a_number", Kind.MINOR, {"column": "a"}, {"a": "12,50"}),
        ("not_a_number", Kind.MINOR, {"column": "a"}, {"a": "NaN"}),
        ("too_fine", Kind.MINOR, {"column": "a"}, {"a": "1.005"}),
        ("too_fine", Kind.WHOLE, {"column": "a"}, {"a": "1.5"}),
        ("divided_by_zero", Kind.E4, {"column": "a", "divided_by": "q"}, {"a": "1", "q": "0"}),
        ("not_a_date", Kind.DATE, {"column": "a", "format": "%d.%m.%Y"}, {"a": "2026-12-31"}),
        ("not_a_date", Kind.INSTANT, {"column": "a"}, {"a": "yesterday"}),
        ("no_such_time", Kind.INSTANT, {"column": "a", "zone": "Europe/Prague"}, {"a": "2012-03-25 02:30:00"}),
        ("unknown_zone", Kind.INSTANT, {"column": "a", "zone": "Europe/Nowhere"}, {"a": "2012-03-25"}),
        ("not_a_choice", Kind.TRUTH, {"column": "a"}, {"a": "perhaps"}),
    ],
)
def test_what_cannot_be_read_is_named(joined, code, kind, value, cells):
    with pytest.raises(Fault) as fault:
        reads(joined, cells, kind, **value)
    assert fault.value.code == code
    assert fault.value.zh
    assert fault.value.en


def test_a_required_field_is_there_and_a_choice_is_one(joined):
    with pytest.raises(Fault, match="missing"):
        reads(joined, {"a": ""}, required=True, column="a")
    assert reads(joined, {"a": "red"}, choices=Colour, column="a") is Colour.RED
    with pytest.raises(Fault) as fault:
        reads(joined, {"a": "blue"}, choices=Colour, column="a")
    assert "red" in fault.value.en


def test_an_unknown_currency_is_the_rows_fault(joined):
    with pytest.raises(Fault, match="unknown_currency"):
        reads(joined, {"a": "1"}, Kind.MINOR, currency="XXX", column="a")


@pytest.mark.parametrize("value", [{}, {"column": "a", "const": "b"}, {"template": "{a"}])
def test_a_value_begins_once(joined, value):
    with pytest.raises(MapNotSound):
        text_maker(msgspec.convert(value, Value), "f", joined)


def test_a_join_needs_its_file(joined):
    value = {"join": {"file": "none.csv", "key": "key", "by": "a", "column": "zone"}}
    with pytest.raises(FileNotReadable):
        reads(joined, {"a": "7"}, **value)


@given(amount=st.integers(-(10**12), 10**12), currency=st.sampled_from(["CZK", "JPY", "KWD"]))
def test_money_written_as_decimals_reads_back(amount, currency, tmp_path_factory):
    joined = Joined(tmp_path_factory.getbasetemp(), FileForm())
    assert reads(joined, {"a": decimal_text(amount, currency)}, Kind.MINOR, currency=currency, column="a") == amount


def test_a_map_that_says_too_much_is_refused():
    with pytest.raises(MapNotSound, match="colour"):
        read_map(b'source = "a"\nkind = "customers"\ncolour = "red"\n[id]\ncolumn = "x"\n[fields]\n')
    with pytest.raises(MapNotSound):
        read_map(b"source = ")
    with pytest.raises(MapNotSound, match="ccs-customers"):
        find_map("nowhere")


def test_every_sentence_can_be_said():
    facts = {"field": "f", "value": "v", "column": "c", "choices": "x", "of": "o", "wanted": "w", "zh": "z", "en": "e"}
    for code in SENTENCES:
        facts_of = {name: fact for name, fact in facts.items() if name != "field"}
        fault = Fault(code, "f", **facts_of)
        assert fault.zh
        assert fault.en
