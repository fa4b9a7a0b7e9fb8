"""Whether an odometer reading can be: pure.

It must rise, by no more than can be driven in the time, and roughly by what the fuel since then explains. One that cannot be is kept
and not built upon: a typo does not poison the history.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from loyalty.limits.presented import KM_PER_DAY_MOST, Odometer, drivable_km

from .model_fills import Doubt

_FUEL_FACTOR: Final = 4
"""How far kilometres may lie from what fuel and norm say: tanks are not always filled up."""


def doubt_of(last: Odometer | None, *, km: int, at: datetime, litres_since_milli: int = 0, norm_milli: int | None = None) -> Doubt | None:
    """Judge a reading after the last one that holds; None: it holds too.

    `litres_since_milli`: what was filled after the last reading, this fill left out; `norm_milli`: thousandths of a litre per 100 km.
    """
    if last is None:
        return None
    driven = km - last.km
    if driven < 0:
        return Doubt.FALLS
    if driven > drivable_km(last, at):
        return Doubt.TOO_FAR
    if norm_milli and litres_since_milli:
        expected = litres_since_milli * 100 // norm_milli
        if driven > expected * _FUEL_FACTOR + KM_PER_DAY_MOST:
            return Doubt.NOT_BY_FUEL
    return None


class Judged(NamedTuple):
    """A reading with what it is judged to be."""

    km: int
    at: datetime
    doubt: Doubt | None


def judge_run(last: Odometer | None, readings: Sequence[tuple[int, datetime]]) -> list[Judged]:
    """Judge readings of one vehicle in order of time, each after the last that holds.

    Two doubtful ones in a row that agree with each other are believed: then the one before them was the typo.
    """
    judged: list[Judged] = []
    waiting: Odometer | None = None
    for km, at in readings:
        doubt = doubt_of(last, km=km, at=at)
        if doubt is not None and waiting is not None and doubt_of(waiting, km=km, at=at) is None:
            doubt = None
            judged[-1] = judged[-1]._replace(doubt=None)
        waiting = None if doubt is None else Odometer(km, at)
        if doubt is None:
            last = Odometer(km, at)
        judged.append(Judged(km, at, doubt))
    return judged
