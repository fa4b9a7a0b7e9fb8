"""A partner's file against our book, line by line. Pure: the order of a file's lines changes nothing of what they come to."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from typing import NamedTuple
from zoneinfo import ZoneInfo

from loyalty.fleet.sheets import Fault, day
from partners.model_inbound import RowOutcome


class Theirs(NamedTuple):
    """One line of their file; `fault` says why it cannot be read."""

    place: int
    reference: str
    theirs: str
    """What they call it; empty where they have no numbers of their own."""
    event_at: datetime | None
    amount_minor: int | None
    cancelled: bool
    fault: tuple[str, str] | None = None


class Ours(NamedTuple):
    """One line of our book."""

    number: int
    reference: str
    event_at: datetime
    amount_minor: int
    undone: bool


class Settled(NamedTuple):
    """What came of a line of theirs, or of one of ours that they lack."""

    row: Theirs | None
    line: Ours | None
    outcome: RowOutcome
    late: bool = False
    why: str = ""
    """A code: `undone_here`, `not_undone_here`, `unreadable:…`."""


def reconcile(rows: Sequence[Theirs], lines: Sequence[Ours], *, first: date, end: date, zone: str, known: frozenset[int]) -> list[Settled]:
    """Set their lines against ours: one of theirs and one of ours belong together by their reference, the same amount first.

    Lines of theirs with one number are one event: what they took back is not looked for, unless it stands with us. Of our lines in
    `[first, end)`, days of their zone, those that neither this file nor another one (`known`) has are missing there.

    :returns: their lines in the order of the file, then ours that they lack by number
    """
    place = ZoneInfo(zone)
    found: dict[int, Settled] = {}
    by_reference: dict[str, list[Ours]] = defaultdict(list)
    for line in sorted(lines, key=lambda one: (one.event_at, one.number)):
        by_reference[spelled(line.reference)].append(line)
    matched: set[int] = set()
    wanted: dict[str, list[Theirs]] = defaultdict(list)
    for group in _events(rows):
        wanted[spelled(group[0].reference)].append(group[0])
        for other in group[1:]:
            found[other.place] = Settled(other, None, RowOutcome.REPEATED)
    for row in rows:
        if row.fault is not None:
            found[row.place] = Settled(row, None, RowOutcome.UNREADABLE)
    for reference, standing in wanted.items():
        for settled in _pair(standing, by_reference.get(reference, [])):
            if settled.row is not None:
                found[settled.row.place] = settled
            if settled.line is not None:
                matched.add(settled.line.number)
    theirs = [found[row.place] for row in rows]
    theirs = [one._replace(late=_is_before(one.row, first, place)) for one in theirs]
    lacking = [line for line in lines if line.number not in matched | known and not line.undone]
    inside = [line for line in lacking if first <= line.event_at.astimezone(place).date() < end]
    return [*theirs, *(Settled(None, line, RowOutcome.MISSING_THERE) for line in sorted(inside, key=lambda one: one.number))]


def _events(rows: Iterable[Theirs]) -> list[list[Theirs]]:
    """Gather lines with one number of theirs; what says that it was taken back stands for the event, else the earliest."""
    groups: dict[tuple[str, object], list[Theirs]] = defaultdict(list)
    for row in rows:
        if row.fault is None:
            groups[("theirs", row.theirs) if row.theirs else ("place", row.place)].append(row)
    return [sorted(group, key=lambda one: (not one.cancelled, _order(one))) for group in groups.values()]


def _pair(rows: Sequence[Theirs], lines: Sequence[Ours]) -> list[Settled]:
    """Pair what has one reference: equal amounts first, then what is left in the order of time."""
    living, undone = [one for one in lines if not one.undone], [one for one in lines if one.undone]
    settled, open_ = [], []
    for row in sorted((one for one in rows if not one.cancelled), key=_order):
        equal = next((line for line in living if line.amount_minor == row.amount_minor), None)
        if equal is None:
            open_.append(row)
            continue
        living.remove(equal)
        settled.append(Settled(row, equal, RowOutcome.MATCHED))
    for row in open_:
        if living:
            settled.append(Settled(row, living.pop(0), RowOutcome.DIFFERENT))
        elif undone:
            settled.append(Settled(row, undone.pop(0), RowOutcome.MISSING_HERE, why="undone_here"))
        else:
            settled.append(Settled(row, None, RowOutcome.MISSING_HERE))
    for row in sorted((one for one in rows if one.cancelled), key=_order):
        # What they took back and we did not: their nothing against our amount.
        standing = next((line for line in living if line.amount_minor == row.amount_minor), living[0] if living else None)
        if standing is not None:
            living.remove(standing)
            settled.append(Settled(row, standing, RowOutcome.DIFFERENT, why="not_undone_here"))
        else:
            settled.append(Settled(row, undone.pop(0) if undone else None, RowOutcome.CANCELLED))
    return settled


def _order(row: Theirs) -> tuple[str, int, str, str]:
    """Order lines by what they say, never by where they stand."""
    at = "" if row.event_at is None else row.event_at.isoformat()
    return (at, row.amount_minor or 0, row.theirs, row.reference)


def _is_before(row: Theirs | None, first: date, zone: ZoneInfo) -> bool:
    return row is not None and row.event_at is not None and row.event_at.astimezone(zone).date() < first


def spelled(reference: str) -> str:
    """Return a reference as references are compared: letters and digits alone, in one case."""
    return "".join(letter for letter in reference.casefold() if letter.isalnum())


def read_instant(text: str, *, form: str, zone: str) -> datetime:
    """Read an instant as the file writes it, in the partner's zone where it names none.

    :raises Fault: if it is none
    """
    said = text.strip()
    try:
        found = datetime.strptime(said, form) if form else _iso(said)  # noqa: DTZ007 - its zone follows
    except ValueError:
        raise Fault("not_a_date") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=ZoneInfo(zone))


def _iso(said: str) -> datetime:
    """Read ISO 8601, or a date and a time as people write them: `2026/9/24 9:05`."""
    try:
        return datetime.fromisoformat(said)
    except ValueError:
        date_text, _space, clock = said.replace("T", " ").partition(" ")
        hours, _colon, rest = (clock.strip() or "0:00").partition(":")
        return datetime.combine(day(date_text), time.fromisoformat(f"{hours:0>2}:{rest}"))


def counted(found: Iterable[Settled]) -> Mapping[str, int]:
    """Count what came of a file."""
    outcomes = [one.outcome for one in found]
    return {outcome.value: outcomes.count(outcome) for outcome in RowOutcome if outcome in outcomes}
