"""A partner's month closed once and for ever; a line disputed, answered, and put right by a new line."""

from datetime import date, datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.clock import day_bounds, local_date
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.topups.operations.traces import staff_of
from partners.line_rules import Worth, month_after
from partners.model import Partner
from partners.model_lines import LineKind, PartnerBook, PartnerLine
from partners.model_settlement import DISPUTE_MOVES, DisputeReason, DisputeStatus, PartnerDispute, PartnerStatement
from partners.queries.alliances import PartnerNotFound, agreement_on
from partners.queries.settlement import DisputeNotFound, StatementNotFound, balance_before, facts_of, lines_of_month, stated
from partners.settlement_rules import Stated, digest_of, totals_of

from .lines import Entry, book_line, lock_book

DISPUTE_STANDS = frozenset({DisputeStatus.OPEN, DisputeStatus.PROPOSED})
"""Not decided."""


class MonthNotOver(Refusal):
    """It is still running in the partner's calendar."""

    status = 409
    zh = "{month} 尚未结束，不能关账。"
    en = "{month} is not over yet; it cannot be closed."
    next_zh = "可查看试算。"
    next_en = "Look at the pro forma instead."


class EarlierMonthOpen(Refusal):
    """Months are closed in their order."""

    status = 409
    zh = "{month} 之前还有未关账的月份。"
    en = "A month before {month} is still open."
    next_zh = "请按月份顺序关账。"
    next_en = "Close the months in their order."


class DisputeStands(Refusal):
    """One dispute of a line at a time."""

    status = 409
    zh = "第 {number} 行已有处理中的争议。"
    en = "Line {number} is disputed already."
    next_zh = "请等待处理结果。"
    next_en = "Wait for what comes of it."


class DisputeCannotMove(Refusal):
    """Its status does not lead there."""

    status = 409
    zh = "争议当前为 {status}，不能变为 {to}。"
    en = "The dispute is {status}; it cannot become {to}."


class DisputeNotSound(Refusal):
    """Nothing would change, or nothing is said."""

    status = 422
    zh = "请填写说明，调整金额不能为零。"
    en = "Say why, and an amount other than nothing."


class AnotherPersonDecides(Refusal):
    """Whoever proposed the adjustment does not decide it."""

    status = 403
    zh = "调整须由提出人以外的人批准。"
    en = "An adjustment is decided by somebody other than who proposed it."
    next_zh = "请由另一位有权限的人员处理。"
    next_en = "Let another person with the right decide."


async def close_month(session: AsyncSession, *, partner_id: UUID, month: date, actor: Actor, now: datetime) -> Stated:
    """Close a month under the book's lock and return its statement; said again, the one that is there.

    Whatever is booked afterwards belongs to the next month, though it happened in this one.

    :param month: its first day
    :raises PartnerNotFound: if there is no such partner
    :raises MonthNotOver: if it is still running in the partner's calendar
    :raises EarlierMonthOpen: if a month before it is open
    :raises StatementNotFound: if the book begins later
    """
    facts, currency = await facts_of(session, partner_id=partner_id)
    book = await lock_book(session, partner_id=partner_id, month=day_bounds(month, facts.zone)[0])
    known = await session.get(PartnerStatement, (partner_id, month))
    if known is not None:
        return stated(known)
    if local_date(now, facts.zone) < month_after(month):
        raise MonthNotOver(month=f"{month:%Y-%m}")
    if month < book.open_from:
        raise StatementNotFound(partner=partner_id, month=month)
    if month > book.open_from:
        raise EarlierMonthOpen(month=f"{month:%Y-%m}")
    lines = await lines_of_month(session, partner_id=partner_id, month=month)
    totals = totals_of(lines)
    opening, due = await balance_before(session, partner_id=partner_id, month=month), sum(one.due_minor for one in totals)
    made = PartnerStatement(
        partner_id=partner_id,
        month=month,
        lines=len(lines),
        currency=currency,
        opening_minor=opening,
        due_minor=due,
        closing_minor=opening + due,
        facts=msgspec.to_builtins(facts),
        totals=msgspec.to_builtins(totals),
        digest=digest_of(lines),
        closed_at=now,
        closed_by=f"{actor.kind.value}:{actor.actor_id}",
    )
    session.add(made)
    await session.execute(update(PartnerBook).where(PartnerBook.partner_id == partner_id).values(open_from=month_after(month)))
    await session.flush()
    told = {"month": f"{month:%Y-%m}", "lines": len(lines), "due": due, "closing": opening + due}
    subject = ("partner", partner_id)
    await audit.record(session, actor=actor, action="partners.month_closed", subject=subject, facts=told, now=now)
    return stated(made)


async def due_months(session: AsyncSession, *, now: datetime) -> list[tuple[UUID, date]]:
    """Return the partners whose open month is to be stated: it is over, and the day has come that its agreement names (else the first).

    Of a partner that is behind the earliest month; the next is due as soon as that is closed.
    """
    due = []
    books = select(PartnerBook.partner_id, PartnerBook.open_from, Partner.zone).join(Partner, Partner.partner_id == PartnerBook.partner_id)
    for partner_id, month, zone in (await session.execute(books.order_by(PartnerBook.partner_id))).all():
        following, today = month_after(month), local_date(now, zone)
        if today < following:
            continue
        agreed = await agreement_on(session, partner_id=partner_id, day=following - timedelta(days=1))
        if today >= following.replace(day=1 if agreed is None else agreed.terms.settlement.statement_day):
            due.append((partner_id, month))
    return due


async def open_dispute(
    session: AsyncSession,
    *,
    partner_id: UUID,
    number: int,
    reason: DisputeReason,
    said: str,
    wanted_minor: int,
    actor: Actor,
    now: datetime,
) -> UUID:
    """Dispute a line, of whatever month; nothing changes by it.

    :param wanted_minor: by how much more the issuer should owe the partner; negative: less
    :raises PartnerNotFound: if the partner has no such line
    :raises DisputeNotSound: if nothing is said or wanted
    :raises DisputeStands: if the line is disputed already
    """
    known = select(PartnerLine.number).where(PartnerLine.partner_id == partner_id, PartnerLine.number == number)
    if await session.scalar(known) is None:
        raise PartnerNotFound(partner=partner_id, line=number)
    if not said.strip() or not wanted_minor:
        raise DisputeNotSound
    made = PartnerDispute(
        dispute_id=uuid7(now),
        partner_id=partner_id,
        number=number,
        reason=reason,
        said=said.strip(),
        wanted_minor=wanted_minor,
        status=DisputeStatus.OPEN,
        opened_at=now,
        opened_by=f"{actor.kind.value}:{actor.actor_id}",
        answer="",
    )
    try:
        async with session.begin_nested():
            session.add(made)
    except IntegrityError as error:
        raise DisputeStands(number=number) from error
    await _trail(session, made, "partners.dispute_opened", actor, now)
    return made.dispute_id


async def answer_dispute(
    session: AsyncSession, *, dispute_id: UUID, adjust_minor: int | None, answer: str, actor: Actor, now: datetime
) -> None:
    """Answer a dispute for the issuer: propose an adjustment, which another person decides, or reject it with a reason (None).

    :raises DisputeNotFound: if there is none
    :raises DisputeCannotMove: if it is not open
    :raises DisputeNotSound: if nothing is said, or the adjustment is nothing
    """
    to = DisputeStatus.REJECTED if adjust_minor is None else DisputeStatus.PROPOSED
    row = await _moved(session, dispute_id, to)
    if not answer.strip() or adjust_minor == 0:
        raise DisputeNotSound
    row.status, row.answer = to, answer.strip()
    if adjust_minor is None:
        row.decided_by, row.decided_at = staff_of(actor), now
    else:
        row.proposed_minor, row.proposed_by = adjust_minor, staff_of(actor)
    await _trail(session, row, f"partners.dispute_{to.value}", actor, now)


async def decide_dispute(session: AsyncSession, *, dispute_id: UUID, agree: bool, actor: Actor, now: datetime) -> int | None:
    """Decide a proposed adjustment: a new line puts the disputed one right, and its number is returned; not agreed it is open again.

    :raises DisputeNotFound: if there is none
    :raises DisputeCannotMove: if nothing is proposed
    :raises AnotherPersonDecides: if who proposed decides
    """
    row = await _moved(session, dispute_id, DisputeStatus.UPHELD if agree else DisputeStatus.OPEN)
    if not agree:
        row.status, row.proposed_minor, row.proposed_by = DisputeStatus.OPEN, None, None
        await _trail(session, row, "partners.dispute_sent_back", actor, now)
        return None
    if staff_of(actor) == row.proposed_by:
        raise AnotherPersonDecides
    line = (
        await session.scalars(select(PartnerLine).where(PartnerLine.partner_id == row.partner_id, PartnerLine.number == row.number))
    ).one()
    entry = Entry(
        kind=LineKind.ADJUSTMENT,
        source=f"adjustment:{row.dispute_id}",
        event_at=now,
        worth=Worth(0, 0, {}, 0, 0, 0),
        pieces=0,
        agreement_id=line.agreement_id,
        benefit=line.benefit,
        outlet_id=line.outlet_id,
        reference=f"#{row.number}",
        paid_minor=row.proposed_minor or 0,
        why=row.answer,
    )
    number = await book_line(session, partner_id=row.partner_id, entry=entry, actor=f"{actor.kind.value}:{actor.actor_id}", now=now)
    row.status, row.adjustment = DisputeStatus.UPHELD, number
    row.decided_by, row.decided_at = staff_of(actor), now
    await _trail(session, row, "partners.dispute_upheld", actor, now)
    return number


async def withdraw_dispute(session: AsyncSession, *, partner_id: UUID, dispute_id: UUID, actor: Actor, now: datetime) -> None:
    """Withdraw what the partner disputes.

    :raises DisputeNotFound: if the partner has no such dispute
    :raises DisputeCannotMove: if it was decided
    """
    row = await _moved(session, dispute_id, DisputeStatus.WITHDRAWN, partner_id=partner_id)
    row.status, row.decided_at, row.proposed_minor, row.proposed_by = DisputeStatus.WITHDRAWN, now, None, None
    await _trail(session, row, "partners.dispute_withdrawn", actor, now)


async def _moved(session: AsyncSession, dispute_id: UUID, to: DisputeStatus, *, partner_id: UUID | None = None) -> PartnerDispute:
    """Lock a dispute that may move so."""
    row: PartnerDispute | None = await session.scalar(locked(select(PartnerDispute).where(PartnerDispute.dispute_id == dispute_id)))
    if row is None or partner_id not in {None, row.partner_id}:
        raise DisputeNotFound(dispute=dispute_id)
    if to not in DISPUTE_MOVES[row.status]:
        raise DisputeCannotMove(status=row.status.value, to=to.value)
    return row


async def _trail(session: AsyncSession, row: PartnerDispute, action: str, actor: Actor, now: datetime) -> None:
    await session.flush()
    facts = {"dispute": row.dispute_id, "line": row.number, "wanted": row.wanted_minor, "proposed": row.proposed_minor}
    await audit.record(session, actor=actor, action=action, subject=("partner", row.partner_id), facts=facts, now=now)
