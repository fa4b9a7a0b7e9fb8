"""Bank transfers found on the statement, or given up."""

from datetime import date, datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.errors import Refusal
from loyalty.ledger.queries import get_account_for_update
from loyalty.money import shown
from loyalty.policy import Policy
from loyalty.topups.model import TOPUP_MOVES, Topup, TopupStatus
from loyalty.topups.queries import get_bank_payment, get_topup_for_update

from .loads import finish
from .traces import note, require_move, staff_of, take_reference
from .transfers import BankTransfer, paying_of, put_ends


class AmountDiffers(Refusal):
    """The statement shows another amount than the top-up."""

    zh = "银行流水金额为 {paid}，充值申请为 {wanted}，不一致。"
    en = "The bank statement shows {paid}, the top-up asks for {wanted}."
    next_zh = "请核对流水；确有差异时取消后重新申请。"
    next_en = "Check the line; where it really differs, cancel and ask anew."


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """What the bank says came in; `transfer` where its ends differ from what was declared."""

    line: str
    day: date
    amount_minor: int
    transfer: BankTransfer | None = None


async def confirm_bank_load(
    session: AsyncSession, *, policy: Policy, topup_id: UUID, statement: StatementLine, actor: Actor, now: datetime
) -> Topup:
    """Book a top-up whose money finance found on the bank's statement.

    :raises TopupNotFound: if there is none, or it belongs to a purchase, which is confirmed whole
    :raises CannotMove: if it is not pending
    :raises AmountDiffers: if the line shows another amount
    :raises PaymentAlreadyUsed: if the line was matched before
    :raises PayerIsNotTheOrganisation: if an organisation paid from another's account
    :raises AccountNotOpen: if the account was frozen or closed meanwhile
    :raises OverCap: if the balance would now pass the cap
    """
    topup = await get_topup_for_update(session, topup_id=topup_id, alone=True)
    require_move(TOPUP_MOVES, topup.status, TopupStatus.BOOKED)
    require_same_amount(statement, topup.amount_minor, topup.currency)
    await use_statement_line(session, statement=statement, subject=("topup", topup_id), currency=topup.currency, now=now)
    await confirm_item(session, policy=policy, topup=topup, statement=statement, actor=actor, now=now)
    return topup


def require_same_amount(statement: StatementLine, wanted_minor: int, currency: str) -> None:
    """Hold that the statement's line is exactly what was asked for.

    :raises AmountDiffers: if it is not
    """
    if statement.amount_minor != wanted_minor:
        raise AmountDiffers(
            paid=shown(statement.amount_minor, currency),
            paid_minor=statement.amount_minor,
            wanted=shown(wanted_minor, currency),
            wanted_minor=wanted_minor,
        )


async def use_statement_line(
    session: AsyncSession, *, statement: StatementLine, subject: tuple[str, UUID], currency: str, now: datetime
) -> None:
    """Use a line of the bank's statement up.

    :raises PaymentAlreadyUsed: if it was matched before
    """
    await take_reference(
        session,
        kind="bank_line",
        reference=statement.line,
        subject=subject,
        amount_minor=statement.amount_minor,
        currency=currency,
        now=now,
    )


async def confirm_item(
    session: AsyncSession, *, policy: Policy, topup: Topup, statement: StatementLine, actor: Actor, now: datetime
) -> None:
    """Book one pending transfer whose line was matched; raises like `confirm_bank_load`."""
    staff_id = staff_of(actor)
    account = await get_account_for_update(session, account_id=topup.account_id)
    rules = policy.for_currency(account.currency)
    payment = await get_bank_payment(session, topup_id=topup.topup_id)
    if statement.transfer is not None:
        paying = await paying_of(session, topup, account, now)
        await put_ends(session, payment, policy=rules, paying=paying, bank=statement.transfer)
    payment.statement_line = statement.line.strip()
    payment.statement_day = statement.day
    payment.confirmed_at = now
    payment.confirmed_by = staff_id
    await finish(session, policy=rules, account=account, topup=topup, actor=actor, now=now)
    await audit.record(
        session,
        actor=actor,
        action="topups.bank_load_confirmed",
        subject=("topup", topup.topup_id),
        facts={"amount_minor": topup.amount_minor, "currency": topup.currency, "line": payment.statement_line},
        now=now,
    )


async def cancel_bank_load(session: AsyncSession, *, topup_id: UUID, reason: str, actor: Actor, now: datetime) -> Topup:
    """Give up waiting for a transfer; nothing was booked.

    :raises TopupNotFound: if there is none, or it belongs to a purchase
    :raises CannotMove: if it is not pending
    """
    topup = await get_topup_for_update(session, topup_id=topup_id, alone=True)
    cancel_item(session, topup=topup, reason=reason, actor=actor, now=now)
    await session.flush()
    return topup


def cancel_item(session: AsyncSession, *, topup: Topup, reason: str, actor: Actor, now: datetime) -> None:
    """Cancel one pending transfer.

    :raises CannotMove: if it is not pending
    """
    require_move(TOPUP_MOVES, topup.status, TopupStatus.CANCELLED)
    topup.status = TopupStatus.CANCELLED
    note(session, subject=("topup", topup.topup_id), moved_to=TopupStatus.CANCELLED, actor=actor, reason=reason, now=now)
