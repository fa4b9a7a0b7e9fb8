"""The mapping file: how the columns of a former system's file become our fields.

    source = "ccs"                       # names the former system; its ids are kept under this name
    kind = "customers"
    repeats = "refuse"                   # or "first": the same id again in the file is not counted twice

    [file]
    encoding = "utf-8"
    delimiter = ","

    [id]
    column = "CustomerID"

    [fields]
    name = { template = "CCS {CustomerID}" }
    country = { column = "Currency", lookup = { CZK = "CZ", EUR = "SK" } }

A field's value begins as a column, a constant, a template or a join with another file; then it is trimmed, looked up, padded, prefixed,
and read as its field's type: decimal comma, date format, time zone, as the value says.
"""

from pathlib import Path
from typing import Final, Literal

import msgspec

_SHIPPED: Final = Path(__file__).parent / "maps"

KINDS: Final = ("customers", "stations", "products", "prices", "accounts", "transactions")


class MapNotSound(Exception):  # noqa: N818 - said to a person
    """The mapping file cannot be used; the text says where and why."""

    for_people = True


class Join(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A look-up in another file beside this one: the row whose `key` is our column `by`, and of it `column`."""

    file: str
    key: str
    by: str
    column: str


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a field's text comes from, and what is done with it, in this order."""

    column: str | None = None
    const: str | None = None
    template: str | None = None
    """Columns in braces: `{Date} {Time}`."""
    join: Join | None = None
    trim: bool = True
    case: Literal["upper", "lower"] | None = None
    default: str | None = None
    """Stands for an empty text."""
    lookup: dict[str, str] | None = None
    otherwise: str | None = None
    """What the look-up gives for a text it does not list; without it such a row is rejected."""
    pad: int = 0
    """Zeros in front up to this length."""
    prefix: str = ""
    decimal: str = "."
    thousands: str = ""
    divided_by: str | None = None
    """A column; the quotient is rounded half-up to the field's unit. A row where it is zero is rejected."""
    format: str | None = None
    """Of a date or an instant, as strptime has it; ISO 8601 without."""
    zone: "str | Value | None" = None
    """The IANA zone of an instant that has none, or how to find it."""


class Skip(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows that are left out on purpose, counted as skipped."""

    column: str
    equals: list[str] = []
    differs_from: list[str] = []


class FileForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a CSV file is written; of an XLSX file, which sheet."""

    encoding: str = "utf-8-sig"
    delimiter: str = ","
    quote: str = '"'
    columns: list[str] | None = None
    """The columns' names where the file has no head line."""
    sheet: str | None = None


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A region or district to be there before the rows; a district names its region."""

    code: str
    name_zh: str
    name_en: str
    region: str | None = None


class Entity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A legal entity to be there before the rows."""

    code: str
    name_zh: str
    name_en: str
    currency: str
    tax_number: str | None = None


class Sold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sold product to be there before the rows."""

    code: str
    name_zh: str
    name_en: str
    category: str
    unit: str
    fuel_kind: str | None = None
    shop_category: str | None = None


class CardTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A card product to be there before the rows."""

    code: str
    name_zh: str
    name_en: str
    kind: str
    currency: str
    number_bin: str
    number_length: int = 19


class Setup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the rows refer to and no file of the former system lists; added where it is missing, left alone where it stands."""

    entities: list[Entity] = []
    regions: list[Place] = []
    districts: list[Place] = []
    products: list[Sold] = []
    card_products: list[CardTerms] = []


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One mapping file, whole."""

    source: str
    kind: Literal["customers", "stations", "products", "prices", "accounts", "transactions"]
    title: str = ""
    file: FileForm = FileForm()
    repeats: Literal["refuse", "first"] = "refuse"
    foreign_currency: Literal["reject", "acceptance_point"] = "reject"
    """What becomes of money in another currency than its station's: see `kinds.places`."""
    id: Value
    """How the former system calls a row: with source and kind, what it is found again by."""
    id_with: list[str] = []
    """Fields whose values belong to the id too, where no column has them: behind it, by slashes."""
    fields: dict[str, Value | str]
    """A bare text is a column."""
    skip: list[Skip] = []
    setup: Setup = Setup()

    def value(self, field: str) -> Value | None:
        """Return how a field is made; None where the map says nothing of it."""
        found = self.fields.get(field)
        return Value(column=found) if isinstance(found, str) else found


def find_map(name: str) -> Path:
    """Return a mapping file: a path, or the name of one that is shipped (`ccs-customers`).

    :raises MapNotSound: if there is none
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = _SHIPPED / f"{path.name.removesuffix('.toml')}.toml"
    if shipped.is_file():
        return shipped
    known = ", ".join(sorted(each.stem for each in _SHIPPED.glob("*.toml")))
    raise MapNotSound(f"There is no mapping file {name}. Give a path, or one of those shipped: {known}.")


def read_map(text: bytes, *, name: str = "the mapping file") -> Mapping:
    """Read a mapping file.

    :raises MapNotSound: if it is no TOML, or says what a mapping does not know
    """
    try:
        return msgspec.toml.decode(text, type=Mapping)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MapNotSound(f"{name}: {error}.") from error
