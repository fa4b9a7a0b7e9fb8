"""Two rulebooks compared, and two people's changes to one rulebook joined. Pure; parts are matched by their codes.

A rule's `revision` is never a difference: it is given when the rulebook goes live.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec

from .document import Budget, Campaign, Document, Group, Rule

Part = Rule | Group | Budget | Campaign
SECTIONS: Final = ("rules", "groups", "budgets", "campaigns")
HEAD: Final = "document"
"""The section of what the document says about itself: currency, own funders."""
_HEAD_FIELDS: Final = ("currency", "own_funders")


class How(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class FieldChange(msgspec.Struct, frozen=True):
    """One field: its path, and its value before and after as plain JSON (None: not set)."""

    field: str
    before: Any
    after: Any


class Change(msgspec.Struct, frozen=True):
    """What happened to one rule, group, budget or campaign; `fields` only where it was changed."""

    section: str
    code: str
    how: How
    name_zh: str
    name_en: str
    fields: tuple[FieldChange, ...] = ()


class Conflict(msgspec.Struct, frozen=True):
    """One part that both sides changed, each otherwise: `mine` and `live` say how (None: taken out)."""

    section: str
    code: str
    mine: Any
    live: Any


class Merged(NamedTuple):
    """What came of a merge: the document, and the conflicts that nobody chose for (their parts are as in the live book)."""

    document: Document
    conflicts: tuple[Conflict, ...]


class Choice(StrEnum):
    """Whose version of a conflict stands."""

    MINE = "mine"
    LIVE = "live"


def ordered(document: Document) -> Document:
    """Return the document with every section by code: the order in which it is kept, so that two of them can be compared line by line."""
    sections = {section: tuple(sorted(getattr(document, section), key=lambda part: part.code)) for section in SECTIONS}
    return msgspec.structs.replace(document, **sections)


def changes_between(before: Document, after: Document) -> list[Change]:
    """Return what differs, by section and code."""
    found: list[Change] = []
    head = _fields(_head(before), _head(after))
    if head:
        found.append(Change(HEAD, "", How.CHANGED, "规则集", "Rulebook", head))
    for section in SECTIONS:
        old, new = _by_code(before, section), _by_code(after, section)
        for code in sorted(old.keys() | new.keys()):
            one, other = old.get(code), new.get(code)
            known = other or one
            assert known is not None, "the code is of one of them"
            if one is None or other is None:
                found.append(Change(section, code, How.ADDED if one is None else How.REMOVED, known.name_zh, known.name_en))
            elif fields := _fields(plain(one), plain(other)):
                found.append(Change(section, code, How.CHANGED, known.name_zh, known.name_en, fields))
    return found


def merge(base: Document, mine: Document, live: Document, choices: Mapping[tuple[str, str], Choice] | None = None) -> Merged:
    """Join what was changed on both sides since `base`; `choices` settle conflicts by (section, code)."""
    chosen = choices or {}
    conflicts: list[Conflict] = []
    sections: dict[str, Any] = {}
    for section in SECTIONS:
        sides = [_by_code(document, section) for document in (base, mine, live)]
        kept: list[Part] = []
        for code in sorted(set().union(*sides)):
            was, ours, theirs = (side.get(code) for side in sides)
            part, clashes = _joined(was, ours, theirs, chosen.get((section, code)))
            if clashes:
                conflicts.append(Conflict(section, code, None if ours is None else plain(ours), None if theirs is None else plain(theirs)))
            if part is not None:
                kept.append(part)
        sections[section] = tuple(kept)
    for name in _HEAD_FIELDS:
        was, ours, theirs = (getattr(document, name) for document in (base, mine, live))
        part, clashes = _joined(was, ours, theirs, chosen.get((HEAD, name)))
        sections[name] = part
        if clashes:
            conflicts.append(Conflict(HEAD, name, msgspec.to_builtins(ours), msgspec.to_builtins(theirs)))
    return Merged(msgspec.structs.replace(live, **sections), tuple(conflicts))


def _joined(was: Any, ours: Any, theirs: Any, choice: Choice | None) -> tuple[Any, bool]:
    """Return what stands, and whether it is a conflict that nobody settled."""
    if _same(ours, was) or _same(ours, theirs):
        return theirs, False
    if _same(theirs, was):
        return ours, False
    if choice is None:
        return theirs, True
    return (ours if choice is Choice.MINE else theirs), False


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, Rule) and isinstance(other, Rule):
        return msgspec.structs.replace(one, revision=0) == msgspec.structs.replace(other, revision=0)
    return bool(one == other)


def plain(part: Part) -> dict[str, Any]:
    """Return a part as plain JSON, without its revision."""
    made: dict[str, Any] = msgspec.to_builtins(part)
    made.pop("revision", None)
    return made


def _head(document: Document) -> dict[str, Any]:
    return {name: msgspec.to_builtins(getattr(document, name)) for name in _HEAD_FIELDS}


def _by_code(document: Document, section: str) -> dict[str, Any]:
    return {part.code: part for part in getattr(document, section)}


def _fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    old, new = dict(_flat("", before)), dict(_flat("", after))
    names = [*old, *(name for name in new if name not in old)]
    return tuple(FieldChange(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name))


def _flat(path: str, value: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """Yield every leaf with its path; lists are leaves."""
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(f"{path}{name}.", inner)
        else:
            yield f"{path}{name}", inner
