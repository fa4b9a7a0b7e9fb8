"""The maps that are shipped."""

from pathlib import Path

import pytest

from loyalty.importing import mapping
from loyalty.importing.kinds import KINDS
from loyalty.importing.mapping import find_map, read_map
from loyalty.importing.reading import Line
from loyalty.importing.running import Outcome, Reading

SHIPPED = sorted(path.stem for path in (Path(mapping.__file__).parent / "maps").glob("*.toml"))

LINES = {
    "ccs-customers": {"CustomerID": "3", "Segment": "SME", "Currency": "EUR"},
    "ccs-stations": {"GasStationID": "44", "ChainID": "13", "Country": "CZE", "Segment": "Premium"},
    "ccs-products": {"ProductID": "22", "Description": "LPG"},
    "ccs-accounts": {"CardID": "486621", "CustomerID": "3"},
    "ccs-transactions": {
        "TransactionID": "1",
        "Date": "2012-08-24",
        "Time": "09:41:00",
        "CustomerID": "3",
        "CardID": "486621",
        "GasStationID": "44",
        "ProductID": "2",
        "Amount": "28",
        "Price": "672.64",
    },
}
LINES["ccs-prices"] = LINES["ccs-transactions"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_map_reads_a_line_of_its_file(name, tmp_path):
    (tmp_path / "customers.csv").write_text("CustomerID,Segment,Currency\n3,SME,EUR\n", encoding="utf-8")
    (tmp_path / "gasstations.csv").write_text("GasStationID,ChainID,Country,Segment\n44,13,CZE,Premium\n", encoding="utf-8")
    found = read_map(find_map(name).read_bytes())
    rows, results = Reading(found, KINDS[found.kind], tmp_path).read([Line(2, LINES[name])], after=0)
    assert results == []
    assert rows[0].row.legacy_id


def test_every_kind_has_a_czech_map():
    assert {name.removeprefix("ccs-") for name in SHIPPED} == set(KINDS)


def test_the_czech_sample_reads_as_it_is_meant(tmp_path):
    (tmp_path / "customers.csv").write_text("CustomerID,Segment,Currency\n3,SME,EUR\n", encoding="utf-8")
    (tmp_path / "gasstations.csv").write_text("GasStationID,ChainID,Country,Segment\n44,13,CZE,Premium\n", encoding="utf-8")

    def read(name, **changed):
        found = read_map(find_map(name).read_bytes())
        rows, results = Reading(found, KINDS[found.kind], tmp_path).read([Line(2, LINES[name] | changed)], after=0)
        return rows[0].row if rows else results[0]

    line = read("ccs-transactions")
    assert (line.values["amount"], line.values["quantity"], line.values["currency"]) == (67_264, 28_000, "EUR")
    assert line.values["event_at"].isoformat() == "2012-08-24T07:41:00+00:00"
    price = read("ccs-prices")
    assert (price.legacy_id, price.values["unit_price"]) == ("44/2/2012-08-24/EUR", 240_229)
    assert read("ccs-prices", Amount="0").outcome is Outcome.SKIPPED
    assert read("ccs-prices", ProductID="15").outcome is Outcome.SKIPPED
    assert read("ccs-accounts").values["number"] == "9203010000000486621"
    lpg = read("ccs-products").values
    assert (lpg["category"], lpg["fuel_kind"], lpg["unit"], lpg["shop_category"]) == ("fuel", "lpg", "L", None)
    wash = read("ccs-products", ProductID="15").values
    assert (wash["category"], wash["fuel_kind"], wash["unit"], wash["shop_category"]) == ("shop", None, "piece", "wash")
