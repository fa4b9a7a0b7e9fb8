"""Invoices: asked for by a company's people over a closed period, issued, refused and taken back by the office. Never more than paid."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.authorizations.operations.invoicing import draw, give_up
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.fleet.model_notices import NoticeKind
from loyalty.fleet.operations.notices import News, notify
from loyalty.fleet.queries.companies import get_company, lock_company
from loyalty.ids import uuid7
from loyalty.money import round_half_up
from loyalty.statements.model_companies import CompanyPeriod
from loyalty.statements.model_invoices import GIVING_UP, INVOICE_MOVES, InvoiceLine, InvoiceRequest, InvoiceStatus, InvoiceTitle
from loyalty.statements.queries.invoices import InvoiceNotFound, TitleNotFound, pots_of

_TOLD: Final = {InvoiceStatus.ISSUED: 0, InvoiceStatus.REFUSED: 0, InvoiceStatus.RED_LETTERED: 1}
"""What the company is told of, and as which telling: first the answer, later that it was taken back."""


class PeriodNotClosed(Refusal):
    """Only what can no longer grow is invoiced."""

    zh = "该账期尚未结账，不能开票。"
    en = "That period is not closed yet: it cannot be invoiced."
    next_zh = "账期结束次日结账后再申请。"
    next_en = "Ask the day after it ended."


class NothingToInvoice(Refusal):
    """Every amount is nought."""

    status = 422
    zh = "开票金额为零。"
    en = "The amounts come to nothing."
    next_zh = "请至少填写一项金额。"
    next_en = "Enter an amount of at least one product."


class InvoiceCannotMove(Refusal):
    """It was decided meanwhile."""

    zh = "该发票当前状态为 {status}，不能这样处理。"
    en = "The invoice is {status}: this cannot be done with it."
    next_zh = "请刷新页面查看最新状态。"
    next_en = "Reload the page."


class InvoiceNumberTaken(Refusal):
    """A number stands on one invoice."""

    zh = "发票号码 {number} 已登记。"
    en = "The invoice number {number} is taken."
    next_zh = "请核对发票号码。"
    next_en = "Check the number."


class TitleStandsAlready(Refusal):
    """The same name with the same tax number."""

    zh = "已有相同的发票抬头。"
    en = "There is such a title already."
    next_zh = "请直接选用。"
    next_en = "Use that one."


@dataclass(frozen=True, kw_only=True)
class TitleFacts:
    """To whom invoices are made out. The tax number is taken as it is typed: a page warns, nothing blocks."""

    name: str
    tax_number: str
    address: str = ""
    telephone: str = ""
    bank: str = ""
    bank_account: str = ""


async def add_title(session: AsyncSession, *, company_id: UUID, facts: TitleFacts, actor: Actor, now: datetime) -> UUID:
    """Add a title.

    :raises TitleStandsAlready: if it is there
    """
    await lock_company(session, company_id=company_id)
    same = select(InvoiceTitle.title_id).where(
        InvoiceTitle.company_id == company_id,
        InvoiceTitle.name == facts.name,
        InvoiceTitle.tax_number == facts.tax_number,
        InvoiceTitle.closed_at.is_(None),
    )
    if await session.scalar(same) is not None:
        raise TitleStandsAlready
    title = InvoiceTitle(title_id=uuid7(now), company_id=company_id, made_at=now, closed_at=None, **asdict(facts))
    session.add(title)
    await session.flush()
    told = {"name": facts.name, "tax_number": facts.tax_number}
    await audit.record(session, actor=actor, action="statements.title_added", subject=("company", company_id), facts=told, now=now)
    return title.title_id


async def close_title(session: AsyncSession, *, company_id: UUID, title_id: UUID, actor: Actor, now: datetime) -> None:
    """Use a title no more; invoices made out to it stay.

    :raises TitleNotFound: if the company has no such open title
    """
    title = await _title(session, company_id, title_id)
    title.closed_at = now
    await session.flush()
    facts = {"name": title.name}
    await audit.record(session, actor=actor, action="statements.title_closed", subject=("company", company_id), facts=facts, now=now)


async def _title(session: AsyncSession, company_id: UUID, title_id: UUID) -> InvoiceTitle:
    found: InvoiceTitle | None = await session.scalar(
        locked(select(InvoiceTitle).where(InvoiceTitle.title_id == title_id, InvoiceTitle.company_id == company_id))
    )
    if found is None or found.closed_at is not None:
        raise TitleNotFound(title=title_id)
    return found


async def request_invoice(
    session: AsyncSession,
    *,
    company_id: UUID,
    title_id: UUID,
    first_day: date,
    amounts: Mapping[UUID, int],
    actor: Actor,
    now: datetime,
) -> UUID:
    """Ask for an invoice over a closed period, minor units by product; what is asked for is set aside at once.

    :raises TitleNotFound: if the title is none of the company's
    :raises PeriodNotClosed: if the period is not closed
    :raises NothingToInvoice: if there is no amount
    :raises MoreThanPaid: if an amount is more than was paid and not invoiced yet
    """
    title = await _title(session, company_id, title_id)
    company = await get_company(session, company_id=company_id)
    period = await session.get(CompanyPeriod, (company_id, first_day))
    if period is None:
        raise PeriodNotClosed
    wanted = {product_id: amount for product_id, amount in amounts.items() if amount > 0}
    if not wanted:
        raise NothingToInvoice
    account_id, begin = company.account_id, period.begins_at
    await draw(session, account_id=account_id, begin=begin, amounts=wanted, currency=company.currency)
    row = InvoiceRequest(
        invoice_id=uuid7(now),
        company_id=company_id,
        title_id=title_id,
        first_day=first_day,
        title=title.name,
        **{name: getattr(title, name) for name in ("tax_number", "address", "telephone", "bank", "bank_account")},
        currency=company.currency,
        amount_minor=sum(wanted.values()),
        status=InvoiceStatus.REQUESTED,
        requested_by=str(actor.actor_id),
        requested_at=now,
    )
    session.add(row)
    await session.flush()
    for pot in await pots_of(session, account_id=account_id, begin=begin):
        if amount := wanted.get(pot.product_id, 0):
            kept = pot.paid_minor - pot.refunded_minor
            milli = round_half_up(pot.quantity_milli * amount, kept)
            session.add(
                InvoiceLine(
                    invoice_id=row.invoice_id, product_id=pot.product_id, company_id=company_id, amount_minor=amount, quantity_milli=milli
                )
            )
    await session.flush()
    await _tell(session, row, "invoice_requested", actor, now)
    return row.invoice_id


async def withdraw_invoice(session: AsyncSession, *, company_id: UUID, invoice_id: UUID, actor: Actor, now: datetime) -> None:
    """Take a request back that the office has not answered.

    :raises InvoiceNotFound: if the company has no such invoice
    :raises InvoiceCannotMove: if it was answered
    """
    row = await _lock(session, invoice_id, company_id)
    await _move(session, row, InvoiceStatus.WITHDRAWN, actor, now)


async def issue_invoice(session: AsyncSession, *, invoice_id: UUID, number: str, issued_on: date, actor: Actor, now: datetime) -> None:
    """Note the invoice that was issued for a request.

    :raises InvoiceNotFound: if there is none
    :raises InvoiceCannotMove: if it was answered
    :raises InvoiceNumberTaken: if the number stands on another invoice
    """
    row = await _lock(session, invoice_id)
    if await session.scalar(select(InvoiceRequest.invoice_id).where(InvoiceRequest.number == number)) is not None:
        raise InvoiceNumberTaken(number=number)
    await _move(session, row, InvoiceStatus.ISSUED, actor, now, number=number, issued_on=issued_on)


async def refuse_invoice(session: AsyncSession, *, invoice_id: UUID, reason: str, actor: Actor, now: datetime) -> None:
    """Refuse a request, with why.

    :raises InvoiceNotFound: if there is none
    :raises InvoiceCannotMove: if it was answered
    """
    row = await _lock(session, invoice_id)
    await _move(session, row, InvoiceStatus.REFUSED, actor, now, reason=reason)


async def red_letter(
    session: AsyncSession, *, invoice_id: UUID, number: str, issued_on: date, reason: str, actor: Actor, now: datetime
) -> None:
    """Note the red-letter invoice that takes an issued one back: its sales may then be refunded, or invoiced anew.

    :raises InvoiceNotFound: if there is none
    :raises InvoiceCannotMove: if it is not issued
    """
    row = await _lock(session, invoice_id)
    await _move(session, row, InvoiceStatus.RED_LETTERED, actor, now, red_number=number, red_on=issued_on, reason=reason)


async def _lock(session: AsyncSession, invoice_id: UUID, company_id: UUID | None = None) -> InvoiceRequest:
    row: InvoiceRequest | None = await session.scalar(locked(select(InvoiceRequest).where(InvoiceRequest.invoice_id == invoice_id)))
    if row is None or (company_id is not None and row.company_id != company_id):
        raise InvoiceNotFound(invoice=invoice_id)
    return row


async def _move(session: AsyncSession, row: InvoiceRequest, to: InvoiceStatus, actor: Actor, now: datetime, **facts: object) -> None:
    if to not in INVOICE_MOVES[row.status]:
        raise InvoiceCannotMove(status=row.status.value)
    row.status, row.decided_by, row.decided_at = to, str(actor.actor_id), now
    for name, value in facts.items():
        setattr(row, name, value)
    await session.flush()
    if to in GIVING_UP:
        company = await get_company(session, company_id=row.company_id)
        period = await session.get_one(CompanyPeriod, (row.company_id, row.first_day))
        lines = await session.scalars(select(InvoiceLine).where(InvoiceLine.invoice_id == row.invoice_id))
        amounts = {line.product_id: line.amount_minor for line in lines}
        await give_up(session, account_id=company.account_id, begin=period.begins_at, amounts=amounts)
    await _tell(session, row, f"invoice_{to.value}", actor, now)
    if to in _TOLD:
        said = {"to": to.value, "minor": row.amount_minor, "number": row.red_number or row.number or ""}
        told = News(row.company_id, row.invoice_id, said, step=_TOLD[to])
        await notify(session, kind=NoticeKind.INVOICE_DECIDED, news=[told], at=now)


async def _tell(session: AsyncSession, row: InvoiceRequest, action: str, actor: Actor, now: datetime) -> None:
    facts = {"company": str(row.company_id), "amount_minor": row.amount_minor, "number": row.number or "", "red": row.red_number or ""}
    await audit.record(session, actor=actor, action=f"statements.{action}", subject=("invoice", row.invoice_id), facts=facts, now=now)
