"""What the issuer owes partners, paid together: one person selects, another approves, the bank's file is made once."""

import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.crypto import Purpose, open_, seal
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.topups.operations.traces import staff_of
from loyalty.web.exports import Cell, Money, csv_bytes
from partners.model import Partner
from partners.model_payment import RUN_MOVES, InvoiceStatus, PartnerInvoice, PaymentRun, RunStatus
from partners.queries.payment import RunNotFound, standing_account

from .invoices import InvoiceCannotMove, moving, paid
from .settlement import AnotherPersonDecides

_HEAD: Final = ("Run", "Payment", "Payee", "Bank", "Account", "Amount", "Currency", "Pay on or before", "For")
MOST: Final = 500


class RunEmpty(Refusal):
    """Nothing was selected, too much, or not of one currency."""

    status = 422
    zh = "请选择同一币种的 1 至 {most} 张待付发票。"
    en = "Select 1 to {most} invoices of one currency."


class RunCannotMove(Refusal):
    """Its status does not lead there."""

    status = 409
    zh = "付款批次当前为 {status}，不能变为 {to}。"
    en = "The payment run is {status}; it cannot become {to}."


class NoBankAccount(Refusal):
    """Nobody confirmed where this partner is paid."""

    status = 409
    zh = "{partner} 还没有经复核的收款账户。"
    en = "There is no confirmed bank account of {partner}."
    next_zh = "请先登记收款账户并由另一人复核。"
    next_en = "Enter the account and let another person confirm it first."


async def propose_run(session: AsyncSession, *, invoice_ids: Sequence[UUID], actor: Actor, now: datetime) -> UUID:
    """Put accepted invoices that the issuer owes into a run.

    :raises RunEmpty: if nothing is selected, too much, or several currencies
    :raises InvoiceNotFound, InvoiceCannotMove: if one is not to be paid
    :raises NoBankAccount: if a partner has no confirmed account
    """
    if not 0 < len(set(invoice_ids)) <= MOST:
        raise RunEmpty(most=MOST)
    rows = [await moving(session, one, InvoiceStatus.IN_RUN) for one in sorted(set(invoice_ids))]
    if len({row.currency for row in rows}) != 1:
        raise RunEmpty(most=MOST)
    for row in rows:
        if row.due_minor < 0:
            raise InvoiceCannotMove(status=row.status.value, to=InvoiceStatus.IN_RUN.value)
        if await standing_account(session, partner_id=row.partner_id) is None:
            raise NoBankAccount(partner=await _name(session, row.partner_id))
    made = PaymentRun(
        run_id=uuid7(now),
        currency=rows[0].currency,
        status=RunStatus.PROPOSED,
        invoices=len(rows),
        amount_minor=sum(row.amount_minor for row in rows),
        made_by=staff_of(actor),
        made_at=now,
    )
    session.add(made)
    await session.flush()
    for row in rows:
        row.status, row.run_id = InvoiceStatus.IN_RUN, made.run_id
    await _trail(session, made, "partners.run_proposed", actor, now)
    return made.run_id


async def approve_run(session: AsyncSession, *, run_id: UUID, actor: Actor, now: datetime) -> None:
    """Approve a run and make the bank's file, once for ever.

    :raises RunNotFound: if there is none
    :raises RunCannotMove: if it was decided
    :raises AnotherPersonDecides: if who selected approves
    :raises NoBankAccount: if a partner's account was taken away meanwhile
    """
    run = await _moving(session, run_id, RunStatus.APPROVED)
    if staff_of(actor) == run.made_by:
        raise AnotherPersonDecides
    content = await _file(session, run)
    run.content = seal(Purpose.DOCUMENT, table="partner_payment_runs", column="content", row_id=run_id, plaintext=content)
    run.digest = hashlib.sha256(content).digest()
    run.status, run.decided_by, run.decided_at = RunStatus.APPROVED, staff_of(actor), now
    await _trail(session, run, "partners.run_approved", actor, now)


async def cancel_run(session: AsyncSession, *, run_id: UUID, actor: Actor, now: datetime) -> None:
    """Give up a run, before it is approved or after the bank refused its file: its invoices wait for another.

    :raises RunNotFound: if there is none
    :raises RunCannotMove: if it was paid or cancelled
    :raises AnotherPersonDecides: if it was approved, and who selected gives it up: its file may be at the bank
    """
    run = await _moving(session, run_id, RunStatus.CANCELLED)
    if run.status is RunStatus.APPROVED and staff_of(actor) == run.made_by:
        raise AnotherPersonDecides
    for row in await _invoices(session, run_id):
        row.status, row.run_id = InvoiceStatus.ACCEPTED, None
    run.status, run.decided_by, run.decided_at = RunStatus.CANCELLED, staff_of(actor), now
    await _trail(session, run, "partners.run_cancelled", actor, now)


async def settle_run(session: AsyncSession, *, run_id: UUID, paid_on: date, reference: str, actor: Actor, now: datetime) -> None:
    """Note that the bank paid a run: each of its invoices is paid and booked in its partner's book.

    :raises RunNotFound: if there is none
    :raises RunCannotMove: if it was not approved, or is paid already
    :raises InvoiceNotSound: if nothing is said of the bank's reference, or the day is still to come
    """
    run = await _moving(session, run_id, RunStatus.PAID)
    for row in await _invoices(session, run_id):
        await paid(session, row, paid_on=paid_on, reference=reference, actor=actor, now=now)
    run.status, run.paid_on, run.reference = RunStatus.PAID, paid_on, reference.strip()
    await _trail(session, run, "partners.run_paid", actor, now)


async def _file(session: AsyncSession, run: PaymentRun) -> bytes:
    rows: list[list[Cell]] = []
    for row in await _invoices(session, run.run_id):
        account = await standing_account(session, partner_id=row.partner_id)
        if account is None:
            raise NoBankAccount(partner=await _name(session, row.partner_id))
        row_id, sealed = account.bank_account_id, account.number_sealed
        number = open_(Purpose.BANK_ACCOUNT, table="partner_bank_accounts", column="number_sealed", row_id=row_id, envelope=sealed)
        money = Money(row.amount_minor, row.currency)
        about = f"{row.number} {row.month:%Y-%m}"
        payee = (account.holder, account.bank, number.decode())
        rows.append([str(run.run_id), str(row.invoice_id), *payee, money, row.currency, f"{row.pay_by}", about])
    return csv_bytes(_HEAD, rows, zone="UTC")


async def _invoices(session: AsyncSession, run_id: UUID) -> list[PartnerInvoice]:
    """Lock a run's invoices, by partner: so are their books afterwards."""
    one = PartnerInvoice
    return list(await session.scalars(locked(select(one).where(one.run_id == run_id).order_by(one.partner_id, one.invoice_id))))


async def _moving(session: AsyncSession, run_id: UUID, to: RunStatus) -> PaymentRun:
    run: PaymentRun | None = await session.scalar(locked(select(PaymentRun).where(PaymentRun.run_id == run_id)))
    if run is None:
        raise RunNotFound(run=run_id)
    if to not in RUN_MOVES[run.status]:
        raise RunCannotMove(status=run.status.value, to=to.value)
    return run


async def _name(session: AsyncSession, partner_id: UUID) -> str:
    return (await session.get_one(Partner, partner_id)).name_zh


async def _trail(session: AsyncSession, run: PaymentRun, action: str, actor: Actor, now: datetime) -> None:
    await session.flush()
    facts = {"run": run.run_id, "invoices": run.invoices, "amount": run.amount_minor, "reference": run.reference}
    await audit.record(session, actor=actor, action=action, subject=("partner_payment_run", run.run_id), facts=facts, now=now)
