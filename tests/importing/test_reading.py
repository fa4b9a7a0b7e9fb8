"""Files as rows of text."""

from datetime import UTC, date, datetime, time

import pytest
import xlsxwriter

from loyalty.importing.mapping import FileForm
from loyalty.importing.reading import FileNotReadable, count_rows, read_rows

ROWS = [
    ("id", "at", "day", "clock", "money", "litres", "name"),
    (1, datetime(2012, 8, 24, 9, 41, tzinfo=UTC).replace(tzinfo=None), date(2012, 8, 24), time(9, 41), 672.64, 28.0, "Žluťoučký"),
]


def write_xlsx(path, rows):
    book = xlsxwriter.Workbook(path)
    sheet = book.add_worksheet("Data")
    formats = {datetime: "yyyy-mm-dd hh:mm:ss", date: "yyyy-mm-dd", time: "hh:mm:ss"}
    made = {kind: book.add_format({"num_format": pattern}) for kind, pattern in formats.items()}
    for number, row in enumerate(rows):
        for column, cell in enumerate(row):
            sheet.write(number, column, cell, made.get(type(cell)))
    book.close()


def test_a_workbook_reads_as_the_csv_of_the_same_data(tmp_path):
    write_xlsx(tmp_path / "a.xlsx", ROWS)
    (tmp_path / "a.csv").write_text(
        "id,at,day,clock,money,litres,name\n1,2012-08-24 09:41:00,2012-08-24,09:41:00,672.64,28,Žluťoučký\n", encoding="utf-8"
    )
    assert list(read_rows(tmp_path / "a.xlsx", FileForm())) == list(read_rows(tmp_path / "a.csv", FileForm()))
    assert list(read_rows(tmp_path / "a.xlsx", FileForm(sheet="Data"))) == list(read_rows(tmp_path / "a.xlsx", FileForm()))


def test_encoding_delimiter_quotes_and_blank_rows(tmp_path):
    (tmp_path / "a.csv").write_bytes('id;popis\n\n1;"Mytí; vozidel"\n;\n2;Čerpání\n'.encode("cp1250"))
    rows = list(read_rows(tmp_path / "a.csv", FileForm(encoding="cp1250", delimiter=";")))
    assert [row.cells for row in rows] == [{"id": "1", "popis": "Mytí; vozidel"}, {"id": "2", "popis": "Čerpání"}]
    assert [row.number for row in rows] == [3, 5]
    assert count_rows(tmp_path / "a.csv") == 5


def test_a_file_without_head_takes_its_columns_from_the_map(tmp_path):
    (tmp_path / "a.csv").write_text("1,x\n2,y\n", encoding="utf-8")
    rows = list(read_rows(tmp_path / "a.csv", FileForm(columns=["id", "name"])))
    assert [row.cells["name"] for row in rows] == ["x", "y"]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfid\n1\n")
    assert next(read_rows(tmp_path / "a.csv", FileForm())).cells == {"id": "1"}


@pytest.mark.parametrize("form", [FileForm(encoding="utf-8"), FileForm(encoding="klingon")])
def test_the_wrong_encoding_is_said(tmp_path, form):
    (tmp_path / "a.csv").write_bytes("Mytí".encode("cp1250"))
    with pytest.raises(FileNotReadable):
        list(read_rows(tmp_path / "a.csv", form))


@pytest.mark.parametrize("name", ["none.csv", "none.xlsx"])
def test_no_file_no_rows(tmp_path, name):
    with pytest.raises(FileNotReadable):
        list(read_rows(tmp_path / name, FileForm()))
