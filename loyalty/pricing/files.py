"""A rulebook as a file: TOML, for version control and for people who like to read it. Exact both ways.

Everything stands in order of its code, whatever the order in the rulebook: a file changes where the rulebook did, and nowhere else. Values
are the document's own whole numbers; comments say their units.
"""

import tomllib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec
import tomlkit
from tomlkit.items import AoT, Array, InlineTable, Table

from loyalty.errors import Refusal

from .document import Document
from .merging import SECTIONS, ordered

FILE_MAX_BYTES: Final = 5_000_000
_HEAD: Final = (
    "规则集。导入后成为草稿，须由另一人批准后才生效。",
    "A rulebook. Importing it makes a draft; somebody else approves it before it goes live.",
    "单位 / Units: *_minor 最小货币单位 minor units (分 fen) · *_milli 千分之一 thousandths · *_e4 万分之一元 1/10000 of a currency unit",
    "basis_points 万分之一 (2000 = 20 %) · priority 小者在先 lower comes first · 时间须带时区 times carry their zone",
)
_ABOUT: Final[Mapping[str, str]] = {
    "groups": "分组：组内成员如何合并 / Groups: how their members are joined. mode: stack, best, cheapest, first",
    "budgets": "预算：绝不超出 / Budgets, never exceeded. total: 最小货币单位 minor units, 积分 points, 件 pieces",
    "campaigns": "活动 / Campaigns. hold_out_basis_points: 对照组占比 share of customers held out",
    "rules": "规则 / Rules. rate_e4: 每单位减 off a unit · amount_minor: 金额 amount · 条件 conditions: [rules.when]",
}
_ORDER: Final = ("groups", "budgets", "campaigns", "rules")


class FileNotUnderstood(Refusal):
    """Not TOML, or not a rulebook's."""

    status = 422
    for_people = True
    zh = "文件无法读取：{problem}"
    en = "The file cannot be read: {problem}"
    next_zh = "请按导出文件的格式修改后重新导入。"
    next_en = "Correct it after the pattern of an exported one and import it again."

    def __str__(self) -> str:
        """Say it at a terminal."""
        return self.sentence("en")


def write_rulebook(document: Document) -> str:
    """Return the document as TOML."""
    plain: dict[str, Any] = msgspec.to_builtins(ordered(document), builtin_types=(datetime,))
    made = tomlkit.document()
    for line in _HEAD:
        made.add(tomlkit.comment(line))
    made.add(tomlkit.nl())
    made.add("currency", tomlkit.item(document.currency))
    made.add("own_funders", _array(list(document.own_funders)))
    for section in _ORDER:
        parts = plain.get(section)
        if not parts:
            continue
        made.add(tomlkit.nl())
        made.add(tomlkit.comment(_ABOUT[section]))
        tables = AoT([])
        for part in parts:
            tables.append(_table(part))
        made.add(section, tables)
    return tomlkit.dumps(made)


def read_rulebook(text: str | bytes) -> Document:
    """Read a document from TOML.

    :raises FileNotUnderstood: if it is too large, not TOML, or not of a rulebook's shape
    """
    if len(text) > FILE_MAX_BYTES:
        raise FileNotUnderstood(problem=f"> {FILE_MAX_BYTES // 1_000_000} MB")
    try:
        plain = tomllib.loads(text.decode("utf-8-sig") if isinstance(text, bytes) else text)
        return ordered(msgspec.convert(plain, Document))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise FileNotUnderstood(problem=_told(error)) from error


def _told(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"not UTF-8 text (byte {error.start})"
    return str(error) or type(error).__name__


def _table(part: Mapping[str, Any]) -> Table:
    """Write one rule, group, budget or campaign: its plain values, then its conditions and its effect as tables of their own."""
    made = tomlkit.table()
    for name, value in part.items():
        if not isinstance(value, Mapping):
            made.add(name, _value(value))
    for name in ("when", "effect"):
        if part.get(name):
            made.add(name, _inner(part[name]))
    return made


def _inner(values: Mapping[str, Any]) -> Table:
    made = tomlkit.table()
    for name, value in values.items():
        made.add(name, _value(value))
    return made


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _inline(value)
    return _array(value) if isinstance(value, list | tuple) else tomlkit.item(value)


def _array(values: Iterable[Any]) -> Array:
    made = tomlkit.array()
    listed = list(values)
    for value in listed:
        made.append(_value(value))
    return made.multiline(len(listed) > 1 and isinstance(listed[0], Mapping))


def _inline(values: Mapping[str, Any]) -> InlineTable:
    made = tomlkit.inline_table()
    for name, value in values.items():
        made.add(name, _value(value))
    return made


assert set(_ORDER) == set(SECTIONS), "every section is written"
