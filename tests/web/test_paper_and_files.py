"""Receipts, sheets, exports, codes and charts."""

import csv
import io

import pytest
from python_calamine import CalamineWorkbook

from loyalty.web import charts, exports, qr
from loyalty.web.exports import Money, Quantity
from loyalty.web.pdf import copy_mark, typst_pdf

RECEIPT = {
    "title": "加油小票",
    "entity": "华远石油有限公司",
    "station": "三号站",
    "number": "0192-7f3a",
    "copy": copy_mark(0),
    "qr": "https://example.test/r/0192",
    "qr_note": "扫码查看",
    "head": [["时间", "2026-09-24 14:05:12"]],
    "lines": [{"name": "95# *汽油*", "detail": "#panic() 22.00 升", "amount": "184.14"}],
    "discounts": [["金卡", "−4.40"]],
    "totals": [["应付", "¥179.74", True]],
    "tenders": [["油卡", "120.00"]],
    "after": [],
    "notes": [],
}


def test_a_receipt_is_one_slip_and_the_same_every_time():
    first = typst_pdf("receipt", RECEIPT)
    assert first.startswith(b"%PDF")
    assert first.count(b"/Type /Page\n") + first.count(b"/Type/Page/") <= 1
    assert typst_pdf("receipt", RECEIPT) == first
    assert typst_pdf("receipt", RECEIPT | {"copy": copy_mark(1)}) != first


def test_a_reprint_is_marked_and_counted():
    assert [copy_mark(copies) for copies in (0, 1, 2)] == ["", "副本 COPY 1", "副本 COPY 2"]


def test_a_sheet_runs_over_pages():
    columns = [{"label": "时间", "kind": "text", "width": ""}, {"label": "金额", "kind": "num", "width": "1fr"}]
    words = {"title": "对账单", "subtitle": "", "issuer": "华远", "page_words": "{page}/{pages}", "footer": "", "facts": [["客户", "恒通"]]}
    made = typst_pdf("sheet", words | {"columns": columns, "rows": [["9-1", "1.00"]] * 90, "totals": ["合计", "90.00"], "notes": ["x"]})
    assert made.startswith(b"%PDF")


def test_what_people_typed_never_becomes_a_formula(now):
    rows = [
        ["=1+1", Money(-440), Quantity(22005), now, now.date(), None, True, 7],
        ["@SUM(A1)", Money(0), Quantity(0), now, now.date(), "x", False, 0],
    ]
    head = ["text", "money", "litres", "at", "day", "none", "yes", "count"]
    book = CalamineWorkbook.from_filelike(io.BytesIO(exports.xlsx("a/b:c", head, rows, zone="Asia/Shanghai")))
    assert book.sheet_names == ["a-b-c"]
    read = book.get_sheet_by_index(0).to_python()
    assert read[0] == head
    assert (read[1][0], read[1][1], read[1][2], read[1][7]) == ("=1+1", -4.4, 22.005, 7)
    assert f"{read[1][3]:%H:%M}" == "10:15"
    made = exports.csv_bytes(head, rows, zone="Asia/Shanghai")
    assert made.startswith(b"\xef\xbb\xbf")
    lines = list(csv.reader(io.StringIO(made.decode("utf-8-sig"))))
    assert lines[1][:4] == ["'=1+1", "-4.40", "22.005", "2026-09-24 10:15:00"]
    assert lines[2][0] == "'@SUM(A1)"


async def test_a_long_csv_comes_as_its_rows_come():
    async def rows():
        for number in range(3):
            yield [number, Money(number)]

    parts = [part async for part in exports.csv_stream(["n", "m"], rows(), zone="UTC")]
    assert len(parts) == 4
    assert b"".join(parts) == exports.csv_bytes(["n", "m"], [[number, Money(number)] for number in range(3)], zone="UTC")


def test_a_code_is_drawn_without_anything_foreign():
    assert qr.data_uri("https://example.test/r/1").startswith("data:image/svg+xml")
    assert qr.svg("https://example.test/r/1").startswith("<svg")


def test_charts_keep_to_their_field_and_say_the_same_in_a_table():
    series = [charts.Series("a", (0, 50, 1024)), charts.Series("b", (3, -7, 12), "2")]
    for make in (charts.bar_chart, charts.line_chart):
        chart = make("t", ["x", "y", "z"], series, text=str, label_head="l")
        assert chart.table == [("x", ["0", "3"]), ("y", ["50", "-7"]), ("z", ["1024", "12"])]
        assert [text for _, text in chart.ticks] == ["0", "500", "1000", "1500"]
        assert all(0 <= bar.y <= chart.base and bar.y + bar.height == chart.base for bar in chart.bars)
    stacked = charts.stacked_chart("t", ["x", "y"], [charts.Series("a", (1, 0)), charts.Series("b", (2, 0))], text=str, label_head="l")
    assert len(stacked.bars) == 2
    assert charts.bar_chart("t", [], [], text=str, label_head="l").ticks[0][1] == "0"


@pytest.mark.parametrize(("highest", "step"), [(0, 1), (1, 1), (4, 1), (5, 2), (9, 5), (10, 5), (11, 5), (41, 20), (100, 25), (1024, 500)])
def test_the_axis_has_round_steps(highest, step):
    assert charts._step(highest) == step


def test_a_spark_stays_in_its_field():
    assert charts.sparkline([]) == ""
    assert charts.sparkline([5, 5]) == "0,21 100,21"
    assert charts.sparkline([0, 10]) == "0,21 100,3"
