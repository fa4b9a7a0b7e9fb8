"""Reading CSV and XLSX as rows of text, one after the other: the whole file is never in memory."""

import csv
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Final, NamedTuple

import python_calamine

from .mapping import FileForm

Cells = dict[str, str]
"""Column → text, as it stands in the file."""


class FileNotReadable(Exception):  # noqa: N818 - said to a person
    """The file cannot be read; the text says why."""

    for_people = True


class Line(NamedTuple):
    """One row of a file; `number` as an editor or a spreadsheet counts, the head being 1."""

    number: int
    cells: Cells


_BOOKS: Final = frozenset({".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"})


def read_rows(path: Path, form: FileForm) -> Iterator[Line]:
    """Yield the rows of a CSV file or of one sheet of a workbook; rows without any text are passed over.

    :raises FileNotReadable: if there is no such file or sheet, or its encoding is another
    """
    return _book(path, form) if path.suffix.lower() in _BOOKS else _csv(path, form)


def count_rows(path: Path) -> int | None:
    """Return how many rows a CSV file has, about (a quoted line break counts); None where only reading it would tell."""
    if path.suffix.lower() in _BOOKS:
        return None
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def _csv(path: Path, form: FileForm) -> Iterator[Line]:
    try:
        with path.open(encoding=form.encoding, newline="") as file:
            reader = csv.reader(file, delimiter=form.delimiter, quotechar=form.quote)
            head = form.columns or next(reader, None)
            if head is None:
                return
            names = _names(head)
            for row in reader:
                if any(row):
                    yield Line(reader.line_num, dict(zip(names, row, strict=False)))
    except LookupError as error:
        raise FileNotReadable(f"{path.name}: there is no encoding {form.encoding}.") from error
    except UnicodeDecodeError as error:
        raise FileNotReadable(f"{path.name} is not written in {form.encoding} (byte {error.start}); name another in [file].") from error
    except (OSError, csv.Error) as error:
        raise FileNotReadable(f"{path} cannot be read: {error}.") from error


def _book(path: Path, form: FileForm) -> Iterator[Line]:
    try:
        book = python_calamine.CalamineWorkbook.from_path(str(path))
        sheet = book.get_sheet_by_name(form.sheet) if form.sheet else book.get_sheet_by_index(0)
    except (OSError, python_calamine.CalamineError) as error:
        raise FileNotReadable(f"{path.name} cannot be read: {error}.") from error
    names: list[str] | None = None if form.columns is None else _names(form.columns)
    # Leading empty rows are not given by the reader.
    first = (sheet.start or (0, 0))[0] + 1
    for number, row in enumerate(sheet.iter_rows(), first):
        texts = [_text(cell) for cell in row]
        if names is None:
            names = _names(texts)
        elif any(texts):
            yield Line(number, dict(zip(names, texts, strict=False)))


def _names(head: list[str]) -> list[str]:
    return [name.strip() for name in head]


def _text(cell: object) -> str:
    """Write a spreadsheet's cell as a CSV file of the same data has it."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        # A spreadsheet knows no integers; the shortest text that reads back as the same number is what was typed.
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M:%S}"
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, time):
        return f"{cell:%H:%M:%S}"
    return str(cell)
