"""Lists that a company sends and fetches as files: CSV in UTF-8 or GB18030, or a workbook's first sheet. Pure: bytes in, rows out.

Columns are known by their names in Chinese or English, in any order. A column that is not there leaves what stands; an empty cell
empties it. Every fault names row, column, a stable code and a sentence in both languages.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from python_calamine import CalamineError, load_workbook

from loyalty.errors import Refusal
from loyalty.money import parse_minor

from .model import Ownership
from .rules import plain

ROWS_MAX: Final = 20_000
BYTES_MAX: Final = 10_000_000
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")


class SheetNotReadable(Refusal):
    """Neither CSV nor a workbook."""

    status = 422
    zh = "无法读取该文件。"
    en = "The file cannot be read."
    next_zh = "请使用 CSV（UTF-8 或 GB18030）或 XLSX，首行为列名。"
    next_en = "Use CSV (UTF-8 or GB18030) or XLSX, with the names of the columns in the first row."


class SheetTooLarge(Refusal):
    """More than one list holds."""

    status = 422
    zh = "文件过大：最多 {rows} 行、10 MB。"
    en = "The file is too large: at most {rows} rows and 10 MB."
    next_zh = "请分成几个文件导入。"
    next_en = "Import it in several files."


class ColumnMissing(Refusal):
    """A list needs the column that says whom a row is about."""

    status = 422
    zh = "文件缺少列：{columns_zh}。"
    en = "The file lacks the columns: {columns_en}."
    next_zh = "请按导出文件的列名补充后再导入。"
    next_en = "Add them as the exported file names them, and import again."


SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("“{column}”不能为空。", '"{column}" is empty: fill it in.'),
    "not_a_number": ("“{column}”的“{value}”不是数字。", '"{value}" in "{column}" is not a number.'),
    "too_fine": ("“{column}”的“{value}”小数位过多。", '"{value}" in "{column}" has too many decimals.'),
    "not_a_date": ("“{column}”的“{value}”不是日期，请写成 2027-03-01。", '"{value}" in "{column}" is not a date; write 2027-03-01.'),
    "not_a_choice": ("“{column}”的“{value}”应为：{choices}。", '"{value}" in "{column}" should be one of: {choices}.'),
    "not_an_id": ("“{column}”的“{value}”不是卡标识。", '"{value}" in "{column}" is no card id.'),
    "twice": ("与第 {first} 行重复。", "It stands in row {first} already."),
    "unknown_department": ("没有部门“{value}”，请先添加。", 'There is no department "{value}": add it first.'),
    "unknown_vehicle": ("没有车辆“{value}”，请先导入车辆。", 'There is no vehicle "{value}": import vehicles first.'),
    "unknown_driver": (
        "没有编号为“{value}”的驾驶员，请先导入驾驶员。",
        'There is no driver with the number "{value}": import drivers first.',
    ),
    "unknown_card": ("本企业没有卡“{value}”。", 'The company has no card "{value}".'),
    "card_not_clear": (
        "尾号“{value}”有多张卡，请填写卡标识或完整卡号。",
        'Several cards end in "{value}": give the card id or the whole number.',
    ),
    "driver_left": ("编号“{value}”的驾驶员已离职，请先恢复。", 'The driver with the number "{value}" has left: bring them back first.'),
    "driver_away": ("驾驶员“{value}”已外派，不能绑定卡。", 'Driver "{value}" is away and cannot have a card.'),
    "vehicle_has_card": ("车辆“{value}”已有另一张卡，一车一卡。", 'Vehicle "{value}" has another card; one vehicle has one card.'),
    "refused": ("{zh}", "{en}"),
}


class Fault(Exception):  # noqa: N818 - a row's result, raised only inside its own reading
    """What is wrong with one cell or row: a stable code, the column's name, and what fills the sentences."""

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


class RowState(StrEnum):
    """What a row would do, or did."""

    NEW = "new"
    CHANGE = "change"
    SAME = "same"
    ERROR = "error"


class RowFault(msgspec.Struct, frozen=True):
    """Why a row is not taken: the column as the file names it (empty: the row as a whole), a stable code, and both sentences."""

    column: str
    code: str
    zh: str
    en: str


class RowResult(msgspec.Struct, frozen=True):
    """One row as it was judged; `number` as a spreadsheet counts, `key` whom it is about, `changes` the columns that differ."""

    number: int
    state: RowState
    key: str
    changes: tuple[str, ...] = ()
    faults: tuple[RowFault, ...] = ()
    warnings: tuple[RowFault, ...] = ()
    """What looks odd and does not stop the row."""


class Report(msgspec.Struct, frozen=True):
    """A file as it was judged; `ignored` names columns that nobody knows."""

    rows: list[RowResult]
    ignored: tuple[str, ...]

    def count(self, state: RowState) -> int:
        """Return how many rows have a state."""
        return sum(row.state is state for row in self.rows)


class SheetLine(NamedTuple):
    """A row of a file: its number as a spreadsheet counts (the head being 1) and its texts."""

    number: int
    texts: list[str]


class Column(NamedTuple):
    """A column: the field it fills, its names, and how a text that is not empty is read."""

    field: str
    zh: str
    en: str
    read: Callable[[str], Any] = plain
    key: bool = False
    """Says whom the row is about: never empty."""
    others: tuple[str, ...] = ()
    """Further names people give it."""

    def name(self, language: str) -> str:
        """Return its name for a reader."""
        return self.zh if language.startswith("zh") else self.en


class Cells(NamedTuple):
    """A line read by its columns: what each field says (None: empty), the name that the file gives a column, and what is wrong."""

    number: int
    values: dict[str, Any]
    names: Mapping[str, str]
    faults: list[RowFault]

    def fault(self, field: str, code: str, **facts: object) -> None:
        """Note what is wrong with a field; an empty field is the whole row."""
        column = self.names.get(field, "")
        zh, en = SENTENCES[code]
        self.faults.append(RowFault(column, code, zh.format(column=column, **facts), en.format(column=column, **facts)))

    def refused(self, refusal: Refusal, field: str = "") -> None:
        """Note what a rule says about the row."""
        code, name = refusal.code, self.names.get(field, "")
        self.faults.append(RowFault(name, code, refusal.sentence("zh"), refusal.sentence("en")))


def read_lines(data: bytes) -> list[SheetLine]:
    """Return the rows of a file, the head first; empty rows are passed over.

    :raises SheetNotReadable: if it is neither CSV nor a workbook, or empty
    :raises SheetTooLarge: if it has more than 20,000 rows or 10 MB
    """
    if len(data) > BYTES_MAX:
        raise SheetTooLarge(rows=f"{ROWS_MAX:,}")
    lines = _book_lines(data) if data[:2] == b"PK" else _csv_lines(data)
    if not lines:
        raise SheetNotReadable
    if len(lines) > ROWS_MAX + 1:
        raise SheetTooLarge(rows=f"{ROWS_MAX:,}")
    return lines


def read_cells(lines: Sequence[SheetLine], columns: Sequence[Column]) -> tuple[list[Cells], tuple[str, ...]]:
    """Read a file's rows by these columns; return them with the names of columns that nobody knows.

    :raises ColumnMissing: if none of the columns that say whom a row is about is there
    """
    head = [plain(text) for text in lines[0].texts]
    known = {_word(name): column for column in columns for name in (column.field, column.zh, column.en, *column.others)}
    found: dict[int, Column] = {}
    for place, name in enumerate(head):
        column = known.get(_word(name))
        if column is not None and column not in found.values():
            found[place] = column
    keys = [column for column in columns if column.key]
    if keys and not any(column in found.values() for column in keys):
        raise ColumnMissing(columns_zh="、".join(one.zh for one in keys), columns_en=", ".join(one.en for one in keys))
    names = {column.field: head[place] for place, column in found.items()}
    ignored = tuple(name for place, name in enumerate(head) if name and place not in found)
    return [_read(line, found, names) for line in lines[1:]], ignored


def _read(line: SheetLine, found: Mapping[int, Column], names: Mapping[str, str]) -> Cells:
    cells = Cells(line.number, {}, names, [])
    for place, column in found.items():
        text = unneutral(line.texts[place]).strip() if place < len(line.texts) else ""
        try:
            cells.values[column.field] = column.read(text) if text else None
        except Fault as fault:
            cells.fault(column.field, fault.code, value=text, **fault.facts)
    return cells


def unneutral(text: str) -> str:
    """Take back the apostrophe that an exported list puts before what looks like a formula."""
    return text[1:] if text[:1] == "'" and text.lstrip("'").startswith(_FORMULA_STARTS) else text


def _word(name: str) -> str:
    """Return a column's name as names are compared: without case, spaces and kinds of brackets."""
    return "".join(letter for letter in plain(name).casefold() if letter.isalnum())


def _csv_lines(data: bytes) -> list[SheetLine]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = data.decode("gb18030")
        except UnicodeDecodeError:
            raise SheetNotReadable from None
    if "\0" in text:
        raise SheetNotReadable
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        return [SheetLine(number, row) for number, row in enumerate(reader, 1) if any(cell.strip() for cell in row)]
    except csv.Error:
        raise SheetNotReadable from None


def _book_lines(data: bytes) -> list[SheetLine]:
    try:
        sheet = load_workbook(io.BytesIO(data)).get_sheet_by_index(0)
        first = (sheet.start or (0, 0))[0] + 1
        rows = [[_text(cell) for cell in row] for row in sheet.iter_rows()]
    except (CalamineError, OSError, ValueError):
        raise SheetNotReadable from None
    return [SheetLine(number, row) for number, row in enumerate(rows, first) if any(cell.strip() for cell in row)]


def _text(cell: object) -> str:
    """Write a spreadsheet's cell as a CSV file of the same data has it."""
    if isinstance(cell, float):
        # A spreadsheet knows no integers; the shortest text that reads back as the same number is what was typed.
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%d %H:%M:%S}"
    if isinstance(cell, date):
        return cell.isoformat()
    return "" if cell is None else str(cell)


def _scaled(text: str, digits: int) -> int:
    try:
        number = Decimal(plain(text).replace(",", "")).scaleb(digits)
    except ArithmeticError:
        raise Fault("not_a_number") from None
    if not number.is_finite() or abs(number) > 10**15:
        raise Fault("not_a_number")
    if number != number.to_integral_value():
        raise Fault("too_fine")
    return int(number)


def whole(text: str) -> int:
    """Read a whole number, thousands separated or not."""
    return _scaled(text, 0)


def thousandths(text: str) -> int:
    """Read litres as thousandths."""
    return _scaled(text, 3)


def displacement(text: str) -> int:
    """Read a displacement as millilitres: `2.0` are litres, `1998` are millilitres."""
    number = _scaled(text, 3)
    return number if number <= 50_000 else number // 1000


def money_in(currency: str) -> Callable[[str], int]:
    """Return what reads amounts of a currency as minor units."""

    def read(text: str) -> int:
        try:
            return parse_minor(plain(text).replace(",", ""), currency)
        except ValueError:
            raise Fault("not_a_number") from None

    return read


def day(text: str) -> date:
    """Read a date as people and spreadsheets write it."""
    said = plain(text).split(" ")[0].replace("/", "-").replace(".", "-").replace("年", "-").replace("月", "-").removesuffix("日")
    try:
        year, month, number = said.split("-")
        return date(int(year), int(month), int(number))
    except ValueError:
        raise Fault("not_a_date") from None


def card_id(text: str) -> UUID:
    """Read the id that an exported list gives a card."""
    try:
        return UUID(plain(text))
    except ValueError:
        raise Fault("not_an_id") from None


OWNERSHIP_WORDS: Final = {
    Ownership.COMPANY: ("公司", "Company"),
    Ownership.PRIVATE: ("私车公用", "Private"),
    Ownership.ISSUER: ("站用", "Issuer"),
}
_OWNERSHIPS: Final = {word.casefold(): code for code, words in OWNERSHIP_WORDS.items() for word in (code.value, *words)}


def ownership(text: str) -> Ownership:
    """Read whose a vehicle is."""
    try:
        return _OWNERSHIPS[plain(text).casefold()]
    except KeyError:
        raise Fault("not_a_choice", choices="、".join(words[0] for words in OWNERSHIP_WORDS.values())) from None


def vehicle_columns(currency: str) -> tuple[Column, ...]:
    """Return the columns of a list of vehicles."""
    return (
        Column("plate", "车牌号", "Plate", key=True, others=("车牌", "车牌号码", "plate number")),
        Column("type", "车型", "Type", others=("车辆类型",)),
        Column("department", "部门", "Department"),
        Column("product_code", "油品", "Fuel", others=("燃油", "grade")),
        Column("displacement_ml", "排量(L)", "Displacement (L)", displacement, others=("排量", "displacement")),
        Column("tank_milli", "油箱(L)", "Tank (L)", thousandths, others=("油箱容量", "油箱", "tank")),
        Column("norm_milli", "百公里油耗(L)", "L/100 km", thousandths, others=("百公里油耗", "norm")),
        Column("odometer_km", "里程(km)", "Odometer (km)", whole, others=("里程", "odometer")),
        Column("vin", "车架号", "VIN", others=("车辆识别代号",)),
        Column("ownership", "权属", "Ownership", ownership),
        Column("fixed_amount_minor", "固定金额", "Fixed amount", money_in(currency)),
        Column("country", "国家", "Country"),
    )


DRIVER_COLUMNS: Final = (
    Column("number", "驾驶员编号", "Driver number", key=True, others=("编号", "number", "工号", "司机编号")),
    Column("name", "姓名", "Name", str.strip, others=("驾驶员姓名", "司机姓名", "driver")),
    Column("department", "部门", "Department"),
    Column("phone", "电话", "Phone", others=("手机", "手机号")),
    Column("licence_class", "准驾车型", "Licence class", others=("licence",)),
    Column("licence_until", "驾照有效期至", "Licence until", day, others=("驾照有效期",)),
)

BINDING_COLUMNS: Final = (
    Column("card_id", "卡标识", "Card id", card_id, key=True),
    Column("card", "卡号", "Card number", key=True, others=("card", "卡号尾号", "尾号")),
    Column("plate", "车牌号", "Plate", others=("车牌", "车牌号码")),
    Column("driver", "驾驶员编号", "Driver number", others=("driver", "编号", "司机编号")),
    Column("department", "部门", "Department"),
)
