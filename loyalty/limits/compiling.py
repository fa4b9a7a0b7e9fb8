"""From typed rows to the one document the pump reads: what stands now, and when that changes by itself."""

from collections.abc import Iterable, Sequence
from datetime import datetime, time
from typing import NamedTuple
from uuid import UUID

from .model import LimitKind, Reaction, Window
from .rules import Closed, Hours, LimitSet, More, WindowLimit

_SETS = (LimitKind.GRADES, LimitKind.SHOP, LimitKind.STATIONS, LimitKind.DISTRICTS, LimitKind.REGIONS)
_PLACES = frozenset({LimitKind.STATIONS, LimitKind.DISTRICTS, LimitKind.REGIONS})
_EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)


class LimitRow(NamedTuple):
    """One limit as it is stored; see `loyalty.limits.model.CardLimit`."""

    kind: LimitKind
    window: Window | None
    value: int | None
    codes: tuple[str, ...] | None
    days: tuple[int, ...] | None
    from_time: time | None
    to_time: time | None
    reaction: Reaction
    valid_from: datetime
    valid_to: datetime | None


def compile_rows(
    rows: Sequence[LimitRow], *, now: datetime, more: Sequence[More] = (), closed: Sequence[Closed] = (), needs: int = 0
) -> LimitSet:
    """Return the document of the rows that stand at `now` (`[valid_from, valid_to)`), and of the dated changes that have not passed.

    Several rows of one kind: allowed codes are what all of them allow, hours what any of them opens, the shortest tank and the longest
    interval hold, the latest plate holds. A kind blocks if one of its rows does, else asks if one of them
    does.
    """
    standing = [row for row in rows if row.valid_from <= now and (row.valid_to is None or now < row.valid_to)]
    by_kind: dict[LimitKind, list[LimitRow]] = {}
    for row in standing:
        by_kind.setdefault(row.kind, []).append(row)
    codes = {kind: _common(by_kind[kind]) for kind in _SETS if kind in by_kind}
    places = {kind: tuple(UUID(code) for code in codes[kind]) for kind in _PLACES if kind in codes}
    plates = [row.codes[0] for row in by_kind.get(LimitKind.PLATE, []) if row.codes]
    intervals = [row.value for row in by_kind.get(LimitKind.MIN_INTERVAL, []) if row.value is not None]
    tanks = [row.value for row in by_kind.get(LimitKind.TANK, []) if row.value is not None]
    return LimitSet(
        grades=codes.get(LimitKind.GRADES),
        shop=codes.get(LimitKind.SHOP),
        stations=places.get(LimitKind.STATIONS),
        districts=places.get(LimitKind.DISTRICTS),
        regions=places.get(LimitKind.REGIONS),
        hours=tuple(map(_hours, by_kind[LimitKind.HOURS])) if LimitKind.HOURS in by_kind else None,
        plate=plates[-1] if plates else None,
        windows=tuple(_windows(standing)),
        min_interval_s=max(intervals) if intervals else None,
        tank_milli=min(tanks) if tanks else None,
        odometer=True if LimitKind.ODOMETER in by_kind else None,
        more=tuple(one for one in more if now < one.until),
        closed=tuple(one for one in closed if now < one.until),
        needs=needs,
        reactions={
            kind: mildest
            for kind, found in by_kind.items()
            if found[0].window is None and (mildest := _reaction(found)) is not Reaction.BLOCK
        },
    )


def _reaction(rows: Sequence[LimitRow]) -> Reaction:
    """Return the strictest reaction of a kind's rows."""
    said = {row.reaction for row in rows}
    return next(reaction for reaction in (Reaction.BLOCK, Reaction.ASK, Reaction.FLAG) if reaction in said)


def next_change(rows: Sequence[LimitRow], *, now: datetime, dated: Sequence[More | Closed] = ()) -> datetime | None:
    """Return the next instant after `now` at which a row begins or ends by itself, or a dated change has passed; None where none does.

    A dated change begins by itself at the pump.
    """
    instants = [instant for row in rows for instant in (row.valid_from, row.valid_to) if instant is not None and instant > now]
    instants += [one.until for one in dated if one.until > now]
    return min(instants, default=None)


def _common(rows: Sequence[LimitRow]) -> tuple[str, ...]:
    allowed = set(rows[0].codes or ()).intersection(*(row.codes or () for row in rows[1:]))
    return tuple(sorted(allowed))


def _hours(row: LimitRow) -> Hours:
    assert row.from_time is not None, "hours have two times"
    assert row.to_time is not None, "hours have two times"
    return Hours(from_=f"{row.from_time:%H:%M}", to=f"{row.to_time:%H:%M}", days=row.days or _EVERY_DAY)


def _windows(rows: Iterable[LimitRow]) -> Iterable[WindowLimit]:
    for row in rows:
        if row.window is not None and row.value is not None:
            yield WindowLimit(window=row.window, measure=row.kind, value=row.value, reaction=row.reaction)
