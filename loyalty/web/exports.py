"""Lists as files: exactly the rows that a page shows, as XLSX or CSV.

What people typed never becomes a formula in the reader's spreadsheet: XLSX cells are written as strings, CSV texts that begin like a
formula get an apostrophe in front.
"""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import xlsxwriter

from loyalty.money import minor_digits

XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CSV_TYPE = "text/csv; charset=utf-8"
ROWS_MAX = 1_048_575
"""What one sheet holds below its head."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in a cell: a number with the currency's digits."""

    amount_minor: int
    currency: str = "CNY"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity in thousandths of its unit."""

    quantity_milli: int


# Files, not formulas or links, whatever a text looks like.
_OPTIONS = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}

Cell = str | int | bool | date | datetime | Money | Quantity | None


class TooManyRows(ValueError):  # noqa: N818 - named as what is refused, like the refusals
    """One sheet cannot hold them."""


class Sheet:
    """An XLSX file written row by row with constant memory: `add` rows in order, then `finish`."""

    def __init__(self, title: str, head: Sequence[str], *, zone: str, book: "xlsxwriter.Workbook | None" = None) -> None:
        """Start a sheet, of a file of its own unless `book` is given; instants are written as local times of the IANA `zone`."""
        self._out = io.BytesIO()
        self._book = book or xlsxwriter.Workbook(self._out, _OPTIONS)
        self._sheet = self._book.add_worksheet(_sheet_name(title))
        self._zone = ZoneInfo(zone)
        self._formats = {
            name: self._book.add_format({"num_format": pattern})
            for name, pattern in (
                ("day", "yyyy-mm-dd"),
                ("instant", "yyyy-mm-dd hh:mm:ss"),
                ("0", "#,##0"),
                ("2", "#,##0.00"),
                ("3", "#,##0.000"),
            )
        }
        bold = self._book.add_format({"bold": True, "bottom": 1})
        for column, name in enumerate(head):
            self._sheet.write_string(0, column, name, bold)
            self._sheet.set_column(column, column, min(max(10, 2 * len(name) + 4), 40))
        self._sheet.freeze_panes(1, 0)
        self._rows = 0

    def add(self, row: Sequence[Cell]) -> None:
        """Write the next row.

        :raises TooManyRows: beyond `ROWS_MAX`
        """
        self._rows += 1
        if self._rows > ROWS_MAX:
            raise TooManyRows
        for column, cell in enumerate(row):
            self._write(self._rows, column, cell)

    def finish(self) -> bytes:
        """Close the file and return its bytes."""
        self._book.close()
        return self._out.getvalue()

    def _write(self, row: int, column: int, cell: Cell) -> None:
        sheet = self._sheet
        if cell is None:
            return
        if isinstance(cell, bool):
            sheet.write_boolean(row, column, cell)
        elif isinstance(cell, str):
            sheet.write_string(row, column, cell)
        elif isinstance(cell, Money):
            digits = minor_digits(cell.currency)
            sheet.write_number(row, column, _decimal(cell.amount_minor, digits), self._formats.get(str(digits), self._formats["2"]))
        elif isinstance(cell, Quantity):
            sheet.write_number(row, column, _decimal(cell.quantity_milli, 3), self._formats["3"])
        elif isinstance(cell, datetime):
            sheet.write_datetime(row, column, cell.astimezone(self._zone).replace(tzinfo=None), self._formats["instant"])
        elif isinstance(cell, date):
            sheet.write_datetime(row, column, cell, self._formats["day"])
        else:
            sheet.write_number(row, column, cell, self._formats["0"])


def xlsx(title: str, head: Sequence[str], rows: Iterable[Sequence[Cell]], *, zone: str) -> bytes:
    """Return an XLSX file of the rows."""
    sheet = Sheet(title, head, zone=zone)
    for row in rows:
        sheet.add(row)
    return sheet.finish()


def workbook(sheets: Iterable[tuple[str, Sequence[str], Iterable[Sequence[Cell]]]], *, zone: str, made_at: datetime | None = None) -> bytes:
    """Return an XLSX file of several sheets, each a title, its head and its rows.

    :param made_at: what the file says of its making, for one that shall be the same bytes whenever it is made; None: now
    """
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, _OPTIONS)
    if made_at is not None:
        book.set_properties({"created": made_at.astimezone(UTC).replace(tzinfo=None)})
    for title, head, rows in sheets:
        sheet = Sheet(title, head, zone=zone, book=book)
        for row in rows:
            sheet.add(row)
    book.close()
    return out.getvalue()


async def csv_stream(head: Sequence[str], rows: AsyncIterator[Sequence[Cell]], *, zone: str) -> AsyncIterator[bytes]:
    """Yield a CSV file as its rows come: UTF-8 with the mark that Excel asks for, CRLF."""
    place = ZoneInfo(zone)
    yield b"\xef\xbb\xbf" + _csv_line(head)
    async for row in rows:
        yield _csv_line([_csv_text(cell, place) for cell in row])


def csv_bytes(head: Sequence[str], rows: Iterable[Sequence[Cell]], *, zone: str) -> bytes:
    """Return a CSV file of the rows, as `csv_stream` does."""
    place = ZoneInfo(zone)
    lines = [_csv_line([_csv_text(cell, place) for cell in row]) for row in rows]
    return b"\xef\xbb\xbf" + b"".join([_csv_line(head), *lines])


def neutral(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula (OWASP: CSV injection)."""
    # One that has apostrophes of its own before it gets one more: then taking one away again gives back what it was.
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA_STARTS) else text


def _csv_text(cell: Cell, zone: ZoneInfo) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return neutral(cell)
    if isinstance(cell, Money):
        return str(_decimal(cell.amount_minor, minor_digits(cell.currency)))
    if isinstance(cell, Quantity):
        return str(_decimal(cell.quantity_milli, 3))
    if isinstance(cell, datetime):
        return f"{cell.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    return str(cell)


def _csv_line(texts: Sequence[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(texts)
    return out.getvalue().encode()


def _decimal(scaled: int, digits: int) -> Any:
    return Decimal(scaled).scaleb(-digits)


def _sheet_name(title: str) -> str:
    """Return a name that Excel accepts: at most 31 characters, none of those it keeps for itself."""
    return "".join("-" if character in "[]:*?/\\" else character for character in title)[:31].strip("'") or "Sheet"
