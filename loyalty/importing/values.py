"""Making a field's value from a row's texts: compiled once a file, run once a row."""

import csv
import string
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, StrEnum, auto
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from loyalty.money import minor_digits, round_half_up

from .faults import Fault
from .mapping import FileForm, Join, MapNotSound, Skip, Value
from .reading import Cells, FileNotReadable

Maker = Callable[[Cells], str]
"""A row's texts → one text; an empty one stands for nothing."""


class Kind(Enum):
    """What a field's text is read as."""

    TEXT = auto()
    MINOR = auto()
    """Money, in minor units of the row's currency."""
    MILLI = auto()
    """A quantity, in thousandths."""
    E4 = auto()
    """A unit price, in 1/10,000 of a currency unit."""
    WHOLE = auto()
    DATE = auto()
    INSTANT = auto()
    TRUTH = auto()


class Field(NamedTuple):
    """What a kind of row may say."""

    kind: Kind = Kind.TEXT
    required: bool = False
    choices: type[StrEnum] | None = None


_TRUE: Final = frozenset({"1", "true", "yes", "y", "t", "ano", "是"})
_FALSE: Final = frozenset({"0", "false", "no", "n", "f", "ne", "否"})
_SCALE: Final = {Kind.MILLI: 3, Kind.E4: 4, Kind.WHOLE: 0}


class Joined:
    """The other files that values are looked up in, each read once."""

    def __init__(self, folder: Path, form: FileForm) -> None:
        self._folder = folder
        self._form = form
        self._tables: dict[tuple[str, str, str], dict[str, str]] = {}

    def table(self, join: Join) -> dict[str, str]:
        """Return key → text of one column.

        :raises FileNotReadable: if the file is missing or has no such columns
        """
        wanted = (join.file, join.key, join.column)
        if wanted not in self._tables:
            path = self._folder / join.file
            try:
                with path.open(encoding=self._form.encoding, newline="") as file:
                    rows = csv.DictReader(file, delimiter=self._form.delimiter)
                    self._tables[wanted] = {row[join.key].strip(): row[join.column] for row in rows}
            except (OSError, UnicodeDecodeError) as error:
                raise FileNotReadable(f"{path}, which the mapping joins with, cannot be read: {error}.") from error
            except KeyError as error:
                raise FileNotReadable(f"{path}, which the mapping joins with, has no column {error}.") from error
        return self._tables[wanted]


def text_maker(value: Value, field: str, joined: Joined) -> Maker:
    """Return what makes a field's text from a row.

    :raises MapNotSound: if the value has no beginning, or more than one
    """
    begin = _beginning(value, field, joined)
    lookup, otherwise, default = value.lookup, value.otherwise, value.default
    trim, case, pad, prefix = value.trim, value.case, value.pad, value.prefix

    def make(cells: Cells) -> str:
        text = begin(cells)
        if trim:
            text = text.strip()
        if case is not None:
            text = text.upper() if case == "upper" else text.lower()
        if not text and default is not None:
            text = default
        if lookup is not None and text:
            found = lookup.get(text, otherwise)
            if found is None:
                raise Fault("not_listed", field, value=text)
            text = found
        if pad and text:
            text = text.rjust(pad, "0")
        return prefix + text if text else text

    return make


def _beginning(value: Value, field: str, joined: Joined) -> Maker:
    given = [name for name in ("column", "const", "template", "join") if getattr(value, name) is not None]
    if len(given) != 1:
        raise MapNotSound(f"fields.{field}: say exactly one of column, const, template and join ({', '.join(given) or 'none is given'}).")
    if value.const is not None:
        const = value.const
        return lambda _: const
    if value.template is not None:
        return _from_template(value.template, field)
    if value.join is not None:
        return _from_join(value.join, field, joined)
    assert value.column is not None, "one of the four"
    return _from_column(value.column, field)


def _from_column(column: str, field: str) -> Maker:
    def make(cells: Cells) -> str:
        try:
            return cells[column]
        except KeyError:
            raise Fault("no_such_column", field, column=column) from None

    return make


def _from_template(template: str, field: str) -> Maker:
    try:
        parts = [(said, name) for said, name, *_ in string.Formatter().parse(template)]
    except ValueError as error:
        raise MapNotSound(f"fields.{field}: the template is not sound: {error}.") from error

    def make(cells: Cells) -> str:
        try:
            return "".join(said + (cells[name].strip() if name is not None else "") for said, name in parts)
        except KeyError as error:
            raise Fault("no_such_column", field, column=error.args[0]) from None

    return make


def _from_join(join: Join, field: str, joined: Joined) -> Maker:
    by = _from_column(join.by, field)

    def make(cells: Cells) -> str:
        key = by(cells).strip()
        found = joined.table(join).get(key)
        if found is None:
            raise Fault("not_listed", field, value=key)
        return found

    return make


Reader = Callable[[Cells, str], Any]
"""A row's texts and its currency → the field's value; None for nothing."""


def field_reader(value: Value, name: str, field: Field, joined: Joined) -> Reader:
    """Return what reads a field from a row.

    :raises MapNotSound: if the map's value cannot make such a field
    """
    make = text_maker(value, name, joined)
    read = _typed(value, name, field, joined)
    required = field.required

    def read_row(cells: Cells, currency: str) -> Any:
        text = make(cells)
        if not text:
            if required:
                raise Fault("missing", name)
            return None
        return read(text, cells, currency)

    return read_row


def _typed(value: Value, name: str, field: Field, joined: Joined) -> Callable[[str, Cells, str], Any]:
    if field.choices is not None:
        choices: Mapping[str, StrEnum] = {choice.value: choice for choice in field.choices}
        return lambda text, _, __: _choice(choices, text, name)
    if field.kind is Kind.TEXT:
        return lambda text, _, __: text
    if field.kind is Kind.TRUTH:
        return lambda text, _, __: _truth(text, name)
    if field.kind is Kind.DATE:
        form = value.format
        return lambda text, _, __: _instant(text, form, name).date()
    if field.kind is Kind.INSTANT:
        return _instants(value, name, joined)
    return _numbers(value, name, field.kind)


def _choice(choices: Mapping[str, StrEnum], text: str, name: str) -> StrEnum:
    try:
        return choices[text]
    except KeyError:
        raise Fault("not_a_choice", name, value=text, choices=", ".join(choices)) from None


def _truth(text: str, name: str) -> bool:
    lowered = text.lower()
    if lowered in _TRUE:
        return True
    if lowered in _FALSE:
        return False
    raise Fault("not_a_choice", name, value=text, choices="true, false")


def _numbers(value: Value, name: str, kind: Kind) -> Callable[[str, Cells, str], int]:
    decimal, thousands = value.decimal, value.thousands
    divisor = None if value.divided_by is None else _from_column(value.divided_by, name)

    def read(text: str, cells: Cells, currency: str) -> int:
        digits = _SCALE[kind] if kind is not Kind.MINOR else _digits(currency)
        number = _number(text, decimal, thousands, name)
        if divisor is None:
            scaled = number.scaleb(digits)
            if scaled != scaled.to_integral_value():
                raise Fault("too_fine", name, value=text)
            return int(scaled)
        below = _number(divisor(cells).strip(), decimal, thousands, name)
        if not below:
            raise Fault("divided_by_zero", name)
        above, under = number.scaleb(digits).as_integer_ratio(), below.as_integer_ratio()
        sign = -1 if under[0] < 0 else 1
        return round_half_up(sign * above[0] * under[1], sign * above[1] * under[0])

    return read


def _number(text: str, decimal: str, thousands: str, name: str) -> Decimal:
    plain = text.replace(thousands, "") if thousands else text
    plain = plain.replace(decimal, ".") if decimal != "." else plain
    try:
        number = Decimal(plain)
    except ArithmeticError:
        raise Fault("not_a_number", name, value=text) from None
    if not number.is_finite():
        raise Fault("not_a_number", name, value=text)
    return number


def _digits(currency: str) -> int:
    try:
        return minor_digits(currency)
    except KeyError:
        raise Fault("unknown_currency", "currency", value=currency) from None


def _instant(text: str, form: str | None, name: str) -> datetime:
    try:
        return datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)  # noqa: DTZ007 - its zone follows
    except ValueError:
        raise Fault("not_a_date", name, value=text) from None


def _instants(value: Value, name: str, joined: Joined) -> Callable[[str, Cells, str], datetime]:
    form, zone = value.format, value.zone
    zone_of: Maker = (lambda _: "UTC") if zone is None else _zone_maker(zone, name, joined)

    def read(text: str, cells: Cells, _: str) -> datetime:
        local = _instant(text, form, name)
        if local.tzinfo is None:
            placed = local.replace(tzinfo=_zone(zone_of(cells)))
            # A time that the clocks jumped over comes back as another one.
            if placed.astimezone(UTC).astimezone(placed.tzinfo).replace(tzinfo=None) != local:
                raise Fault("no_such_time", name, value=text)
            local = placed
        return local.astimezone(UTC)

    return read


def _zone_maker(zone: str | Value, name: str, joined: Joined) -> Maker:
    if isinstance(zone, str):
        return lambda _: zone
    return text_maker(zone, f"{name}.zone", joined)


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Fault("unknown_zone", "zone", value=name) from None


def skipper(rules: list[Skip]) -> Callable[[Cells], bool]:
    """Return what says whether a row is left out on purpose."""

    def skips(cells: Cells) -> bool:
        for rule in rules:
            text = cells.get(rule.column, "").strip()
            if (rule.equals and text in rule.equals) or (rule.differs_from and text not in rule.differs_from):
                return True
        return False

    return skips
