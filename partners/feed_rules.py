"""What a feed says and when: its next instant, who is new, corrected or removed, the file with its control totals. Pure.

A file is CSV in UTF-8 with CRLF, its first cell says what a line is:

    H,<version>,<partner>,<benefit>,<sequence>,<due at>,<made at>,<everybody or changes>,<currency>
    C,<names of the columns, the slip's number first>
    N|K|R,<a new person | a correction | a removal: the slip's number alone>
    T,<new>,<corrections>,<removals>,<sum of covers of N and K, minor units>,<SHA-256 of all lines before, hexadecimal>
"""

import calendar
import csv
import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from loyalty.crypto import framed, request_fingerprint
from loyalty.money import decimal_text, parse_minor
from loyalty.web.exports import neutral
from partners.model_feeds import REGISTRATION_MOVES, FeedColumn, RecordKind, RegistrationStatus, Rhythm
from partners.rules import Band, Benefit

VERSION: Final = "1"
SLIP: Final = "slip_number"
_LETTERS: Final = {RecordKind.NEW: "N", RecordKind.CORRECTION: "K", RecordKind.REMOVAL: "R"}


class Person(NamedTuple):
    """What is known of a registered person; what a feed does not ask for is not read and stays empty."""

    slip: str
    name: str
    document_type: str
    document_number: str
    phone: str
    plate: str
    opened_on: date | None
    cover_minor: int
    currency: str
    valid_from: date
    valid_until: date | None
    """The day after the last."""


class Standing(NamedTuple):
    """Where a registration stands, and what decides about it now."""

    status: RegistrationStatus
    held: bool
    sent_digest: bytes | None
    consents: bool
    cancelled: bool
    """The voucher was taken back."""


class Record(NamedTuple):
    """One line of a file."""

    registration_id: UUID
    kind: RecordKind
    to: RegistrationStatus
    cells: tuple[str, ...]
    cover_minor: int
    consent_id: UUID | None
    digest: bytes


class Head(NamedTuple):
    """What a file says of itself."""

    partner: str
    benefit: str
    sequence: int
    due_at: datetime
    made_at: datetime
    whole: bool
    currency: str


class Totals(NamedTuple):
    """What a file comes to."""

    new: int
    corrections: int
    removals: int
    cover_minor: int


def due_after(rhythm: Rhythm, *, weekday: int, month_day: int, at: time, zone: str, after: datetime) -> datetime:
    """Return the first instant after another at which a feed is due: a local time on the partner's calendar, as an instant.

    A local time that the clock's change skips is the one it jumps to; one that comes twice is the first.
    """
    place = ZoneInfo(zone)
    day = after.astimezone(place).date()
    while True:
        if _is_day(rhythm, day, weekday, month_day):
            found = datetime.combine(day, at, tzinfo=place).astimezone(after.tzinfo)
            if found > after:
                return found
        day += timedelta(days=1)


def _is_day(rhythm: Rhythm, day: date, weekday: int, month_day: int) -> bool:
    if rhythm is Rhythm.WEEKLY:
        return day.isoweekday() == weekday
    return rhythm is Rhythm.DAILY or day.day == month_day


def band_of(benefit: Benefit, face_minor: int | None) -> Band | None:
    """Return the band that a voucher stands for: that of its worth, else the shortest, which promises least."""
    paid = [band for band in benefit.bands if band.premium_minor == face_minor]
    return paid[0] if paid else min(benefit.bands, key=lambda band: band.months, default=None)


def months_after(day: date, months: int) -> date:
    """Return the same day some months later, the month's last where it has no such day."""
    total = day.month - 1 + months
    year, month = day.year + total // 12, total % 12 + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def slip_number(number: int, code_tail: str) -> str:
    """Return what both sides know a slip by: its number with us and the end of its code, never the code."""
    return f"{number:06d}-{code_tail}"


_CELLS: Final[Mapping[FeedColumn, Callable[[Person], str]]] = {
    FeedColumn.NAME: lambda one: neutral(one.name),
    FeedColumn.DOCUMENT_TYPE: lambda one: one.document_type,
    FeedColumn.DOCUMENT_NUMBER: lambda one: neutral(one.document_number),
    FeedColumn.PHONE: lambda one: one.phone,
    FeedColumn.PLATE: lambda one: neutral(one.plate),
    FeedColumn.OPENED_ON: lambda one: _day(one.opened_on),
    FeedColumn.COVER: lambda one: decimal_text(one.cover_minor, one.currency),
    FeedColumn.VALID_FROM: lambda one: one.valid_from.isoformat(),
    FeedColumn.VALID_UNTIL: lambda one: _day(None if one.valid_until is None else one.valid_until - timedelta(days=1)),
}


def cells_of(columns: Sequence[FeedColumn], person: Person) -> tuple[str, ...]:
    """Return a person's line: the slip's number and the columns agreed, nothing else; what people typed is no formula in a spreadsheet."""
    return (person.slip, *(_CELLS[column](person) for column in columns))


def digest_of(columns: Sequence[FeedColumn], cells: Sequence[str]) -> bytes:
    """Return the keyed digest of a line: equal when the partner would read the same. Keyed, since numbers could be guessed."""
    return request_fingerprint(framed(b"partner feed", *(one.encode() for one in columns), *(one.encode() for one in cells)))


def verdict(one: Standing, digest: bytes, *, whole: bool = False) -> tuple[RecordKind, RegistrationStatus] | RegistrationStatus | None:
    """Say what becomes of a registration: a line and the status after it, a status without a line, or nothing.

    `whole`: whom the partner has is said anew. Who has not consented, or whose voucher was taken back, never leaves; whom the partner
    has of them is removed, also after the end.
    """
    status = RegistrationStatus
    if not one.consents or one.cancelled:
        if one.held:
            return RecordKind.REMOVAL, status.REMOVED
        return status.REMOVED if one.cancelled and one.status is status.TO_SEND else None
    if one.held:
        if one.status is status.LAPSED or (digest == one.sent_digest and not whole):
            return None
        return (RecordKind.NEW, one.status) if whole else (RecordKind.CORRECTION, status.CORRECTED)
    return (RecordKind.NEW, status.SENT) if status.SENT in REGISTRATION_MOVES[one.status] else None


def totals_of(records: Sequence[Record]) -> Totals:
    """Count a file's lines; removals have no cover."""
    kinds = [one.kind for one in records]
    new, corrections, removals = (kinds.count(kind) for kind in RecordKind)
    return Totals(new, corrections, removals, sum(one.cover_minor for one in records if one.kind is not RecordKind.REMOVAL))


def file_of(head: Head, columns: Sequence[FeedColumn], records: Sequence[Record]) -> bytes:
    """Return a file's content, its control totals last."""
    lines = [
        ["H", VERSION, head.partner, head.benefit, str(head.sequence), _instant(head.due_at), _instant(head.made_at)],
        ["C", SLIP, *columns],
        *([_LETTERS[one.kind], *one.cells] for one in records),
    ]
    lines[0] += ["everybody" if head.whole else "changes", head.currency]
    body = b"".join(map(_line, lines))
    return body + _line(["T", *map(str, totals_of(records)), hashlib.sha256(body).hexdigest()])


class FileBroken(ValueError):  # noqa: N818 - said of a file
    """Its control totals do not agree with its lines."""


def read_file(content: bytes) -> list[list[str]]:
    """Return a file's lines after judging its control totals: what a partner does with it, and the tests.

    :raises FileBroken: if count, sum or digest differ
    """
    body, _crlf, last = content.rstrip(b"\r\n").rpartition(b"\r\n")
    body += b"\r\n"
    lines = list(csv.reader(io.StringIO(body.decode(), newline="")))
    (trailer,) = csv.reader([last.decode()])
    counted = [str(sum(line[0] == letter for line in lines)) for letter in _LETTERS.values()]
    if trailer[:4] != ["T", *counted] or trailer[5] != hashlib.sha256(body).hexdigest():
        raise FileBroken
    names, currency = lines[1], lines[0][8]
    if FeedColumn.COVER in names:
        place = names.index(FeedColumn.COVER)
        if trailer[4] != str(sum(parse_minor(line[place], currency) for line in lines if line[0] in {"N", "K"})):
            raise FileBroken
    return lines


def _line(cells: Sequence[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue().encode()


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()
