"""A closed month's invoice: entered by the partner or the office, looked at by another person, paid on its day."""

from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.clock import local_date
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.stations.queries.calendar import calendar_of
from loyalty.topups.operations.traces import staff_of
from loyalty.workdays import workdays_after
from partners.line_rules import Worth, month_after
from partners.model_lines import LineKind
from partners.model_payment import INVOICE_MOVES, InvoiceStatus, PartnerInvoice
from partners.queries.alliances import agreement_on
from partners.queries.payment import InvoiceNotFound
from partners.queries.settlement import facts_of, get_statement
from partners.rules import Mode, Settlement
from partners.settlement_rules import asked_for

from .files import Paper, keep_file
from .lines import Entry, book_line
from .settlement import AnotherPersonDecides

_COUNTRY = "CN"
NUMBER_MAX = 60
WHY_MAX = 500


class NothingToInvoice(Refusal):
    """The month comes to nothing, or was drawn from a block that was paid in advance."""

    status = 409
    zh = "{month} 没有需要开票的金额。"
    en = "There is nothing to invoice for {month}."
    next_zh = "预付结算的月份从预付款中扣除，无需开票。"
    next_en = "A month that is settled out of a block paid in advance takes no invoice."


class InvoiceStands(Refusal):
    """A month has one invoice."""

    status = 409
    zh = "{month} 已有发票。"
    en = "There is an invoice for {month} already."
    next_zh = "如有误，请先由总部退回，再重新提交。"
    next_en = "If it is wrong, let the office refuse it and send another."


class InvoiceNotSound(Refusal):
    """Its number, day, amount or tax cannot be."""

    status = 422
    zh = "发票内容无效：{field}。"
    en = "The invoice cannot be so: {field}."


class InvoiceCannotMove(Refusal):
    """Its status does not lead there."""

    status = 409
    zh = "发票当前为 {status}，不能变为 {to}。"
    en = "The invoice is {status}; it cannot become {to}."


class InvoiceDiffers(Refusal):
    """Another amount than what the statement asks for is accepted only with a reason."""

    status = 422
    zh = "发票金额与对账单不一致，请填写接受或退回的理由。"
    en = "The invoice asks for another amount than the statement; say why it is accepted or refused."


async def enter_invoice(
    session: AsyncSession,
    *,
    partner_id: UUID,
    month: date,
    number: str,
    invoiced_on: date,
    amount_minor: int,
    tax_minor: int,
    paper: Paper,
    actor: Actor,
    now: datetime,
) -> UUID:
    """Enter the invoice of a closed month with its file, for the partner or for the issuer.

    Where the partner owes (its statement asks for less than nothing) it is the issuer's invoice to the partner.

    :param amount_minor: with tax, always positive
    :raises StatementNotFound: if the month was not closed
    :raises NothingToInvoice: if it asks for nothing, or is drawn from a block
    :raises InvoiceNotSound: if a fact cannot be
    :raises InvoiceStands: if the month has one that was not refused
    :raises DocumentNotRead: if the file is none of what is kept
    """
    statement = await get_statement(session, partner_id=partner_id, month=month)
    due = asked_for(statement.totals)
    if not due or (await settlement_of(session, partner_id=partner_id, month=month)).mode is Mode.PRE_PAID:
        raise NothingToInvoice(month=f"{month:%Y-%m}")
    if not 0 < len(number.strip()) <= NUMBER_MAX:
        raise InvoiceNotSound(field="number")
    if not month <= invoiced_on <= local_date(now, statement.facts.zone):
        raise InvoiceNotSound(field="invoiced_on")
    if amount_minor <= 0 or not 0 <= tax_minor <= amount_minor:
        raise InvoiceNotSound(field="amount_minor")
    made = PartnerInvoice(
        invoice_id=uuid7(now),
        partner_id=partner_id,
        month=month,
        due_minor=due,
        number=number.strip(),
        invoiced_on=invoiced_on,
        amount_minor=amount_minor,
        tax_minor=tax_minor,
        currency=statement.currency,
        status=InvoiceStatus.RECEIVED,
        entered_by=f"{actor.kind.value}:{actor.actor_id}",
        entered_at=now,
        why="",
    )
    try:
        async with session.begin_nested():
            session.add(made)
    except IntegrityError as error:
        raise InvoiceStands(month=f"{month:%Y-%m}") from error
    await keep_file(session, partner_id=partner_id, invoice_id=made.invoice_id, paper=paper, actor=actor, now=now)
    await _trail(session, made, "partners.invoice_entered", actor, now)
    return made.invoice_id


async def decide_invoice(session: AsyncSession, *, invoice_id: UUID, accept: bool, why: str, actor: Actor, now: datetime) -> date | None:
    """Accept an invoice, and return the day on which it is paid; or refuse it, with the reason that the partner reads (None).

    Accepted at another amount than the statement's, the difference is booked: neither side owes it any more.

    :raises InvoiceNotFound: if there is none
    :raises InvoiceCannotMove: if it was decided
    :raises AnotherPersonDecides: if who entered it decides
    :raises InvoiceDiffers: if the amounts differ, or it is refused, and nothing is said
    :raises YearNotCovered: if a year's workdays are not known
    """
    row = await moving(session, invoice_id, InvoiceStatus.ACCEPTED if accept else InvoiceStatus.REFUSED)
    if row.entered_by == f"{actor.kind.value}:{actor.actor_id}":
        raise AnotherPersonDecides
    differs = row.amount_minor != abs(row.due_minor)
    if (differs or not accept) and not why.strip():
        raise InvoiceDiffers
    # Read first: what is read flushes, and a row half decided is none.
    pay_by = await _pay_day(session, row) if accept else None
    row.status = InvoiceStatus.ACCEPTED if accept else InvoiceStatus.REFUSED
    row.why, row.decided_by, row.decided_at, row.pay_by = why.strip(), staff_of(actor), now, pay_by
    if not accept:
        await _trail(session, row, "partners.invoice_refused", actor, now)
        return None
    if differs:
        signed = row.amount_minor if row.due_minor > 0 else -row.amount_minor
        why = f"{row.number}: {row.why}"
        await settle(session, row, kind=LineKind.DIFFERENCE, paid_minor=signed - row.due_minor, why=why, actor=actor, now=now)
    await _trail(session, row, "partners.invoice_accepted", actor, now)
    return pay_by


async def receive_payment(session: AsyncSession, *, invoice_id: UUID, paid_on: date, reference: str, actor: Actor, now: datetime) -> None:
    """Note that the partner paid an invoice of the issuer's.

    :raises InvoiceNotFound: if there is none
    :raises InvoiceCannotMove: if it was not accepted, or the issuer is the one who pays
    :raises InvoiceNotSound: if nothing is said of the bank's reference, or the day is still to come
    """
    row = await moving(session, invoice_id, InvoiceStatus.PAID)
    if row.due_minor > 0:
        raise InvoiceCannotMove(status=row.status.value, to=InvoiceStatus.PAID.value)
    await paid(session, row, paid_on=paid_on, reference=reference, actor=actor, now=now)


async def paid(session: AsyncSession, row: PartnerInvoice, *, paid_on: date, reference: str, actor: Actor, now: datetime) -> None:
    """Mark an invoice paid and book it in the partner's book.

    :raises InvoiceNotSound: if nothing is said of the bank's reference, or the day is still to come
    """
    facts, _currency = await facts_of(session, partner_id=row.partner_id)
    if not 0 < len(reference.strip()) <= NUMBER_MAX:
        raise InvoiceNotSound(field="reference")
    if paid_on > local_date(now, facts.zone):
        raise InvoiceNotSound(field="paid_on")
    row.status, row.paid_on, row.reference = InvoiceStatus.PAID, paid_on, reference.strip()
    signed = -row.amount_minor if row.due_minor > 0 else row.amount_minor
    await settle(session, row, kind=LineKind.PAYMENT, paid_minor=signed, why=row.number, actor=actor, now=now)
    await _trail(session, row, "partners.invoice_paid", actor, now)


async def moving(session: AsyncSession, invoice_id: UUID, to: InvoiceStatus) -> PartnerInvoice:
    """Lock an invoice that may move so.

    :raises InvoiceNotFound: if there is none
    :raises InvoiceCannotMove: if its status does not lead there
    """
    row: PartnerInvoice | None = await session.scalar(locked(select(PartnerInvoice).where(PartnerInvoice.invoice_id == invoice_id)))
    if row is None:
        raise InvoiceNotFound(invoice=invoice_id)
    if to not in INVOICE_MOVES[row.status]:
        raise InvoiceCannotMove(status=row.status.value, to=to.value)
    return row


async def settlement_of(session: AsyncSession, *, partner_id: UUID, month: date) -> Settlement:
    """Return how a month is settled: as agreed on its last day, else the usual."""
    agreed = await agreement_on(session, partner_id=partner_id, day=month_after(month) - timedelta(days=1))
    return Settlement() if agreed is None else agreed.terms.settlement


async def settle(
    session: AsyncSession, row: PartnerInvoice, *, kind: LineKind, paid_minor: int, why: str, actor: Actor, now: datetime
) -> None:
    """Book what settles an invoice, once."""
    entry = Entry(
        kind=kind,
        source=f"{kind.value}:{row.invoice_id}",
        event_at=now,
        worth=Worth(0, 0, {}, 0, 0, 0),
        pieces=0,
        reference=row.reference or row.number,
        paid_minor=paid_minor,
        why=why,
    )
    await book_line(session, partner_id=row.partner_id, entry=entry, actor=f"{actor.kind.value}:{actor.actor_id}", now=now)


async def _pay_day(session: AsyncSession, row: PartnerInvoice) -> date:
    """Count the agreed workdays from the invoice's day, by the country's calendar."""
    agreed = await settlement_of(session, partner_id=row.partner_id, month=row.month)
    year = row.invoiced_on.year
    calendar = await calendar_of(session, country=_COUNTRY, first=year, last=year + 1)
    return workdays_after(row.invoiced_on, agreed.pay_within_days, calendar)


async def _trail(session: AsyncSession, row: PartnerInvoice, action: str, actor: Actor, now: datetime) -> None:
    await session.flush()
    facts = {"invoice": row.invoice_id, "month": f"{row.month:%Y-%m}", "number": row.number, "amount": row.amount_minor, "why": row.why}
    await audit.record(session, actor=actor, action=action, subject=("partner", row.partner_id), facts=facts, now=now)
