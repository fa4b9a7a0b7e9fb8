"""The order of a group's members: priority, then code. Pure."""

from typing import Any, Final

import msgspec

from .document import ROOT, Document, Group, Rule

_STEP: Final = 10
_PRIORITY_MAX: Final = 1_000_000


def members(document: Document, group: str = ROOT) -> list[Rule | Group]:
    """Return the rules and groups of a group in order, disabled ones included. What names an unknown group stands in the root."""
    groups = {one.code for one in document.groups}
    found = [one for one in _all(document) if one.code != ROOT and _within(one, groups) == group]
    return sorted(found, key=lambda one: (one.priority, one.code))


def _all(document: Document) -> list[Rule | Group]:
    return [*document.rules, *document.groups]


def _within(member: Rule | Group, groups: set[str]) -> str:
    return member.group if member.group in groups and member.group != member.code else ROOT


def moved(document: Document, code: str, steps: int) -> Document:
    """Return the document with a rule or group `steps` places later (earlier where negative) in its group; the ends hold it.

    :raises KeyError: if there is no such rule or group
    """
    groups = {one.code for one in document.groups}
    member = next((one for one in _all(document) if one.code == code and code != ROOT), None)
    if member is None:
        raise KeyError(code)
    siblings = members(document, _within(member, groups))
    place = next(index for index, one in enumerate(siblings) if one.code == code)
    new_place = max(0, min(len(siblings) - 1, place + steps))
    if new_place == place:
        return document
    siblings.insert(new_place, siblings.pop(place))
    return _with_order(document, siblings, new_place)


def _with_order(document: Document, siblings: list[Rule | Group], place: int) -> Document:
    """Give the member at `place` a priority between its neighbours'; renumber all only where there is none."""
    low = _PRIORITY_MAX
    before = siblings[place - 1].priority if place else None
    after = siblings[place + 1].priority if place + 1 < len(siblings) else None
    if before is None:
        assert after is not None, "a member that moved has a neighbour"
        low = after - _STEP
    elif after is None:
        low = before + _STEP
    elif after - before > 1:
        low = (before + after) // 2
    fits = 0 <= low < _PRIORITY_MAX
    priorities = {siblings[place].code: low} if fits else {one.code: index * _STEP for index, one in enumerate(siblings, 1)}
    return with_priorities(document, priorities)


def with_priorities(document: Document, priorities: dict[str, int]) -> Document:
    """Return the document with these rules and groups at new priorities."""

    def renumbered(parts: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(msgspec.structs.replace(one, priority=priorities[one.code]) if one.code in priorities else one for one in parts)

    return msgspec.structs.replace(document, rules=renumbered(document.rules), groups=renumbered(document.groups))
