"""Lines of a partner's book: booked once for what they are booked for, numbered without a gap; a mirror undoes one, nothing changes one."""

from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.clock import local_date
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from partners.line_rules import Worth, month_of
from partners.model import Partner
from partners.model_lines import LineKind, PartnerBook, PartnerLine
from partners.queries.alliances import PartnerNotFound


class LineMirroredAlready(Refusal):
    """A line is undone once."""

    status = 409
    zh = "第 {number} 行已冲销。"
    en = "Line {number} was undone already."
    next_zh = "如有差异，请登记调整。"
    next_en = "If something is still wrong, enter an adjustment."


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is booked. `source` names it for ever: the same source books nothing again."""

    kind: LineKind
    source: str
    event_at: datetime
    worth: Worth
    pieces: int = 1
    agreement_id: UUID | None = None
    benefit: str | None = None
    outlet_id: UUID | None = None
    served_by: str = ""
    redemption_id: UUID | None = None
    reference: str = ""
    paid_minor: int = 0
    mirrors: int | None = None
    why: str = ""


class OpenBook(NamedTuple):
    """A partner's book under its lock, and the month of the instant that was asked about, in the partner's calendar."""

    last_number: int
    open_from: date
    currency: str
    month: date
    balance_minor: int


async def lock_book(session: AsyncSession, *, partner_id: UUID, month: datetime) -> OpenBook:
    """Lock a partner's book: who looks afterwards for a line sees every one that was booked. It begins with its first line's month.

    :raises PartnerNotFound: if there is no such partner
    """
    about = (await session.execute(select(Partner.currency, Partner.zone).where(Partner.partner_id == partner_id))).first()
    if about is None:
        raise PartnerNotFound(partner=partner_id)
    first = month_of(local_date(month, about.zone))
    one = PartnerBook
    opened = upsert(one).values(partner_id=partner_id, last_number=0, open_from=first)
    await session.execute(opened.on_conflict_do_nothing())
    found = select(one.last_number, one.open_from, one.balance_minor).where(one.partner_id == partner_id).with_for_update()
    book = (await session.execute(found)).one()
    return OpenBook(book.last_number, book.open_from, about.currency, first, book.balance_minor)


async def book_line(session: AsyncSession, *, partner_id: UUID, entry: Entry, actor: str, now: datetime) -> int:
    """Book a line and return its number; that of the line that is there, if its source was booked before.

    The book's row is locked: a month that is being closed takes no line that its statement does not have.

    :raises PartnerNotFound: if there is no such partner
    """
    book = await lock_book(session, partner_id=partner_id, month=entry.event_at)
    known = select(PartnerLine.number).where(PartnerLine.partner_id == partner_id, PartnerLine.source == entry.source)
    found: int | None = await session.scalar(known)
    if found is not None:
        return found
    number = book.last_number + 1
    worth = entry.worth
    due = worth.due_minor + entry.paid_minor
    moved = update(PartnerBook).where(PartnerBook.partner_id == partner_id)
    await session.execute(moved.values(last_number=number, balance_minor=book.balance_minor + due))
    values: dict[str, Any] = {name: getattr(entry, name) for name in entry.__struct_fields__ if name != "worth"} | worth._asdict()
    made = PartnerLine(
        partner_id=partner_id,
        number=number,
        line_id=uuid7(now),
        period=max(book.month, book.open_from),
        booked_at=now,
        currency=book.currency,
        due_minor=due,
        actor=actor,
        **values,
    )
    session.add(made)
    await session.flush()
    return number


async def mirror_line(session: AsyncSession, *, partner_id: UUID, number: int, source: str, why: str, actor: str, now: datetime) -> int:
    """Book the mirror of a line: every amount the other way, in the month that is open now; return its number.

    :raises PartnerNotFound: if there is no such partner or line
    :raises LineMirroredAlready: if another mirror stands
    """
    one = PartnerLine
    line = await session.scalar(select(one).where(one.partner_id == partner_id, one.number == number))
    if line is None:
        raise PartnerNotFound(partner=partner_id, line=number)
    if line.kind is LineKind.ROLLBACK:
        raise LineMirroredAlready(number=line.mirrors)
    await lock_book(session, partner_id=partner_id, month=now)
    before = (await session.execute(select(one.number, one.source).where(one.partner_id == partner_id, one.mirrors == number))).first()
    if before is not None and before.source != source:
        raise LineMirroredAlready(number=number)
    back = Worth(
        -line.gross_minor,
        -line.saved_minor,
        {who: -part for who, part in line.shares.items()},
        -line.partner_minor,
        line.commission_share,
        -line.commission_minor,
    )
    entry = Entry(
        kind=LineKind.ROLLBACK,
        source=source,
        event_at=now,
        worth=back,
        pieces=-line.pieces,
        agreement_id=line.agreement_id,
        benefit=line.benefit,
        outlet_id=line.outlet_id,
        served_by=line.served_by,
        redemption_id=line.redemption_id,
        reference=line.reference,
        mirrors=number,
        why=why,
    )
    return await book_line(session, partner_id=partner_id, entry=entry, actor=actor, now=now)
