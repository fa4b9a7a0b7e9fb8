"""What differs between two versions of an agreement: pure, each difference a field with what it was and what it becomes."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import msgspec

from partners.rules import Benefit, Offline, Terms

NEW: Final = "benefit"
"""The field of a difference that is a whole benefit: one that comes, or one that is given up."""


class Difference(NamedTuple):
    """One field; `benefit` None: the agreement's own. Of a benefit that comes `before` is None, of one that goes `after`."""

    benefit: str | None
    field: str
    before: Any
    after: Any


def differences(before: Terms, after: Terms) -> list[Difference]:
    """Say what a later version changes: the agreement's own fields first, then its benefits in the later version's order.

    Benefits are known by their codes; their order alone is no difference.
    """
    found = [Difference(None, *each) for each in _fields(before, after) if each[0] not in {"benefits", "settlement", "offline"}]
    found += [Difference(None, *each) for each in _fields(before.settlement, after.settlement)]
    found += [Difference(None, *each) for each in _offline(before.offline, after.offline)]
    was, becomes = _by_code(before), _by_code(after)
    for code, one in becomes.items():
        if code not in was:
            found.append(Difference(code, NEW, None, one))
        else:
            found += [Difference(code, *each) for each in _fields(was[code], one)]
    found += [Difference(code, NEW, one, None) for code, one in was.items() if code not in becomes]
    return found


def _by_code(terms: Terms) -> dict[str, Benefit]:
    return {one.code: one for one in terms.benefits}


def _offline(before: Offline | None, after: Offline | None) -> Iterator[tuple[str, Any, Any]]:
    """What is agreed for offline begins and ends whole; its first field tells of it, the others only what changes."""
    if before is not None and after is not None:
        for name, was, becomes in _fields(before, after):
            yield f"offline_{name}", was, becomes
    elif before is not after:
        for name in Offline.__struct_fields__:
            yield f"offline_{name}", getattr(before, name, None), getattr(after, name, None)


def _fields(before: msgspec.Struct, after: msgspec.Struct) -> Iterator[tuple[str, Any, Any]]:
    for name in after.__struct_fields__:
        if getattr(before, name) != getattr(after, name):
            yield name, getattr(before, name), getattr(after, name)
