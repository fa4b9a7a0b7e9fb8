"""Agreements as a file: TOML, for a chain that keeps its prices in version control. Importing it makes drafts only."""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
import tomlkit
from msgspec import Meta, Struct
from tomlkit.items import AoT, Table

from .agreements import Kind, Line
from .document import Code, Currency, Named
from .files import FILE_MAX_BYTES, FileNotUnderstood
from .operations.agreements import NewAgreement

_HEAD: Final = (
    "单位协议价。导入后成为草稿，须由另一人批准后才生效。",
    "Company agreements. Importing them makes drafts; somebody else approves each.",
    "value_e4: 每单位的价格、优惠或加价，万分之一元 price, discount or surcharge per unit in 1/10000 of a currency unit",
    "时间须带时区 Times carry their zone.",
)


class FileLine(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A line of an agreement; the station by its code."""

    kind: Kind
    value_e4: Annotated[int, Meta(gt=0, le=10**9)]
    product: str | None = None
    station: str | None = None


class FileAgreement(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One agreement. Its status, revision and maker are the database's, not the file's."""

    code: Code
    customer: UUID
    name_zh: Named
    name_en: Named
    starts_at: datetime
    ends_at: datetime | None = None
    currency: Currency = "CNY"
    lowest_wins: bool = False
    funder: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._:-]{0,63}$")] = "head-office"
    lines: Annotated[tuple[FileLine, ...], Meta(min_length=1, max_length=200)]


class _File(Struct, forbid_unknown_fields=True):
    agreements: tuple[FileAgreement, ...] = ()


def write_agreements(agreements: Sequence[tuple[NewAgreement, str]], *, stations: Mapping[UUID, str]) -> str:
    """Return agreements as TOML, each with its company's name as a remark; `stations` are codes by id."""
    made = tomlkit.document()
    for line in _HEAD:
        made.add(tomlkit.comment(line))
    made.add(tomlkit.nl())
    tables = AoT([])
    for agreement, company in agreements:
        tables.append(_table(_filed(agreement, stations), company))
    made.add("agreements", tables)
    return tomlkit.dumps(made)


def read_agreements(text: str | bytes, *, stations: Mapping[str, UUID]) -> list[NewAgreement]:
    """Read agreements from TOML; `stations` are ids by code.

    :raises FileNotUnderstood: if it is too large, not TOML, not of agreements' shape, or names a station that is not there
    """
    if len(text) > FILE_MAX_BYTES:
        raise FileNotUnderstood(problem=f"> {FILE_MAX_BYTES // 1_000_000} MB")
    try:
        plain = tomllib.loads(text.decode("utf-8-sig") if isinstance(text, bytes) else text)
        file = msgspec.convert(plain, _File)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise FileNotUnderstood(problem=str(error)) from error
    codes = [one.code for one in file.agreements]
    twice = sorted({code for code in codes if codes.count(code) > 1})
    if twice:
        raise FileNotUnderstood(problem=f"{', '.join(twice)} twice")
    if any(time.tzinfo is None for one in file.agreements for time in (one.starts_at, one.ends_at) if time is not None):
        raise FileNotUnderstood(problem="starts_at, ends_at: no time zone")
    return [_agreement(one, stations) for one in file.agreements]


def _filed(agreement: NewAgreement, stations: Mapping[UUID, str]) -> FileAgreement:
    lines = tuple(
        FileLine(
            kind=line.kind, value_e4=line.value_e4, product=line.product, station=None if line.station is None else stations[line.station]
        )
        for line in agreement.lines
    )
    facts = agreement._asdict()
    facts["customer"] = facts.pop("customer_id")
    return FileAgreement(**facts | {"lines": lines})


def _agreement(one: FileAgreement, stations: Mapping[str, UUID]) -> NewAgreement:
    unknown = sorted({line.station for line in one.lines if line.station is not None and line.station not in stations})
    if unknown:
        raise FileNotUnderstood(problem=f"{one.code}: station {', '.join(unknown)}?")
    lines = tuple(
        Line(kind=line.kind, value_e4=line.value_e4, product=line.product, station=None if line.station is None else stations[line.station])
        for line in one.lines
    )
    facts = {name: getattr(one, name) for name in FileAgreement.__struct_fields__}
    facts["customer_id"] = facts.pop("customer")
    return NewAgreement(**facts | {"lines": lines})


def _table(one: FileAgreement, company: str) -> Table:
    plain: dict[str, Any] = msgspec.to_builtins(one, builtin_types=(datetime,))
    made = tomlkit.table()
    made.comment(" ".join(company.split()))
    # Everything but what is its default, and what it costs even then: a price is not guessed.
    for name in ("code", "customer", "name_zh", "name_en", "starts_at", "ends_at", "currency", "lowest_wins", "funder"):
        value = plain.get(name, getattr(one, name))
        if value is not None:
            made.add(name, tomlkit.item(value))
    lines = tomlkit.array()
    for line in plain["lines"]:
        inline = tomlkit.inline_table()
        inline.update(line)
        lines.append(inline)
    made.add("lines", lines.multiline(multiline=True))
    return made
