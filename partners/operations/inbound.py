"""Taking in what a partner sends about what it served: looked at first, then kept line by line. The same file is the same run."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.crypto import canonical_json, framed
from loyalty.errors import Refusal
from loyalty.fleet.sheets import Cells, Column, ColumnMissing, money_in, read_cells, read_lines
from loyalty.ids import uuid7
from loyalty.topups.operations.traces import staff_of
from partners.inbound_rules import Ours, Settled, Theirs, counted, read_instant, reconcile, spelled
from partners.model_inbound import Compared, PartnerInboundFile, PartnerInboundRow, RowOutcome
from partners.model_lines import LineKind, PartnerLine
from partners.queries.alliances import get_partner

_SLACK: Final = timedelta(days=2)
"""How much earlier than their first line ours may be said to have happened."""
_FIRST_YEAR: Final = 2000


class InboundNotSound(Refusal):
    """What the file is about cannot be."""

    status = 422
    zh = "对账设置“{field}”不正确。"
    en = "The {field} of this file is not right."
    next_zh = "请核对期间、时区和列名。"
    next_en = "Look at its days, its time zone and the names of its columns."


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """How their file calls what we look for; an empty name: they do not say."""

    reference: str
    amount: str
    at: str
    theirs: str = ""
    state: str = ""
    cancelled: str = ""
    """What their state says of what was taken back, several by commas."""
    form: str = ""
    """How an instant is written, as strptime has it; ISO 8601 without."""
    compared: Compared = Compared.SAVED


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a file is about: days `[first, end)` of their zone, and how it is read."""

    first_day: date
    end_day: date
    zone: str
    mapping: Mapping


async def preview_file(session: AsyncSession, *, partner_id: UUID, data: bytes, about: About) -> list[Settled]:
    """Say what a file comes to against the book as it stands; write nothing.

    :raises PartnerNotFound: if there is no such partner
    :raises InboundNotSound: if its days or zone cannot be
    :raises SheetNotReadable, SheetTooLarge, ColumnMissing: as `loyalty.fleet.sheets`
    """
    _require_sound(about)
    partner = await get_partner(session, partner_id=partner_id)
    rows = _read(data, about, partner.currency)
    lines = await _ours(session, partner_id, rows, about)
    known = await _known(session, partner_id)
    return reconcile(rows, lines, first=about.first_day, end=about.end_day, zone=about.zone, known=known)


async def take_file(session: AsyncSession, *, partner_id: UUID, name: str, data: bytes, about: About, actor: Actor, now: datetime) -> UUID:
    """Keep what a file comes to, each of its lines, and return its run; the same bytes read the same way are the run that is there.

    Raises like `preview_file`.
    """
    said = canonical_json(msgspec.to_builtins(about))
    digest = hashlib.sha256(framed(data, said)).digest()
    one = PartnerInboundFile
    same = select(one.file_id).where(one.partner_id == partner_id, one.digest == digest)
    before: UUID | None = await session.scalar(same)
    if before is not None:
        return before
    found = await preview_file(session, partner_id=partner_id, data=data, about=about)
    row = {
        "file_id": uuid7(now),
        "partner_id": partner_id,
        "name": name[:200] or "file",
        "size_bytes": len(data),
        "digest": digest,
        "first_day": about.first_day,
        "end_day": about.end_day,
        "mapping": msgspec.to_builtins(about.mapping),
        "zone": about.zone,
        "outcomes": dict(counted(found)),
        "made_by": staff_of(actor),
        "made_at": now,
    }
    put = upsert(one).values(row).on_conflict_do_nothing(index_elements=[one.partner_id, one.digest]).returning(one.file_id)
    made: UUID | None = await session.scalar(put)
    if made is None:  # another sent it in the same instant
        return (await session.execute(same)).scalar_one()
    if found:
        await session.execute(insert(PartnerInboundRow), [_row(made, partner_id, place, each) for place, each in enumerate(found, 1)])
    facts = {"file": made, **counted(found)}
    await audit.record(session, actor=actor, action="partners.file_taken", subject=("partner", partner_id), facts=facts, now=now)
    return made


def _row(file_id: UUID, partner_id: UUID, ordinal: int, one: Settled) -> dict[str, Any]:
    row, line = one.row, one.line
    return {
        "file_id": file_id,
        "ordinal": ordinal,
        "partner_id": partner_id,
        "place": None if row is None else row.place,
        "reference": (row.reference if row is not None else line.reference if line is not None else "")[:200],
        "theirs": "" if row is None else row.theirs[:200],
        "event_at": row.event_at if row is not None else line.event_at if line is not None else None,
        "amount_minor": None if row is None else row.amount_minor,
        "outcome": one.outcome,
        "late": one.late,
        "line_number": None if line is None else line.number,
        "ours_minor": None if line is None else line.amount_minor,
        "why": " / ".join(row.fault) if row is not None and row.fault is not None else one.why,
    }


def _require_sound(about: About) -> None:
    if about.end_day <= about.first_day or about.first_day.year < _FIRST_YEAR:
        raise InboundNotSound(field="period")
    try:
        ZoneInfo(about.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InboundNotSound(field="time zone") from None
    if not (about.mapping.reference and about.mapping.amount and about.mapping.at):
        raise InboundNotSound(field="columns")


def _read(data: bytes, about: About, currency: str) -> list[Theirs]:
    """Read a file's lines by the partner's names of columns; the mapped ones must all be there."""
    said = about.mapping
    instant = partial(read_instant, form=said.form, zone=about.zone)
    named = {"reference": said.reference, "amount": said.amount, "at": said.at, "theirs": said.theirs, "state": said.state}
    readers: dict[str, Callable[[str], Any]] = {"amount": money_in(currency), "at": instant}
    columns = [Column(field, name, name, readers.get(field, str.strip), key=field == "reference") for field, name in named.items() if name]
    lines = read_lines(data)
    rows, _ignored = read_cells(lines, columns)
    there = rows[0].names if rows else {column.field: "" for column in columns}
    lacking = [column.zh for column in columns if column.field not in there]
    if lacking:
        raise ColumnMissing(columns_zh="、".join(lacking), columns_en=", ".join(lacking))
    words = {spelled(word) for word in said.cancelled.replace("，", ",").split(",") if word.strip()}
    return [_theirs(cells, words) for cells in rows]


def _theirs(cells: Cells, cancelled: set[str]) -> Theirs:
    for field in ("reference", "amount", "at"):
        if cells.values.get(field) is None and not cells.faults:
            cells.fault(field, "missing")
    fault = None if not cells.faults else (cells.faults[0].zh, cells.faults[0].en)
    said = cells.values
    amount = said.get("amount")
    # Some write what they took back as an amount below nothing.
    is_cancelled = spelled(said.get("state") or "") in cancelled or (amount is not None and amount < 0)
    amount = None if amount is None else abs(amount)
    return Theirs(cells.number, said.get("reference") or "", said.get("theirs") or "", said.get("at"), amount, is_cancelled, fault)


async def _ours(session: AsyncSession, partner_id: UUID, rows: Sequence[Theirs], about: About) -> list[Ours]:
    """Read the lines that the file could mean: from its first event or day on, what was served or sold, and whether it was undone."""
    one, back = PartnerLine, PartnerLine.__table__.alias("back")
    begin, _end = clock.day_bounds(about.first_day, about.zone)
    _begin, end = clock.day_bounds(about.end_day - timedelta(days=1), about.zone)
    events = [row.event_at for row in rows if row.event_at is not None]
    wanted = (
        select(one.number, one.reference, one.event_at, getattr(one, about.mapping.compared.value), back.c.number.is_not(None))
        .outerjoin(back, (back.c.partner_id == one.partner_id) & (back.c.mirrors == one.number))
        .where(
            one.partner_id == partner_id,
            one.kind.in_((LineKind.REDEMPTION, LineKind.SALE)),
            one.event_at >= min([begin, *events]) - _SLACK,
            one.event_at < max([end, *events]) + _SLACK,
        )
        .order_by(one.number)
    )
    return [Ours(*row) for row in await session.execute(wanted)]


async def _known(session: AsyncSession, partner_id: UUID) -> frozenset[int]:
    """Return the lines that a file of the partner's had already."""
    one = PartnerInboundRow
    had = (RowOutcome.MATCHED, RowOutcome.DIFFERENT)
    found = await session.scalars(select(one.line_number).where(one.partner_id == partner_id, one.outcome.in_(had)))
    return frozenset(number for number in found if number is not None)
