"""Money paid to a partner in advance, and the account it is paid to: one person enters, another confirms.

The issuer buys a block of benefits: the payment makes the book's balance negative (`-balance_minor` is what is left), each redemption
raises it by what it is worth to the partner, and a commission refills the block. Redemptions stop before it is above nothing.
"""

from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.clock import local_date
from loyalty.crypto import Purpose, seal
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.topups.operations.traces import staff_of
from partners.line_rules import Worth
from partners.model_lines import LineKind
from partners.model_payment import Decided, PartnerBankAccount, PartnerBlock
from partners.queries.payment import BankAccountNotFound, BlockNotFound
from partners.queries.settlement import facts_of

from .lines import Entry, book_line
from .settlement import AnotherPersonDecides

TEXT_MAX: Final = 80
_NUMBER: Final = range(5, 35)


class PaymentNotSound(Refusal):
    """An amount, a day, a name or a number that cannot be."""

    status = 422
    zh = "付款或账户内容无效：{field}。"
    en = "The payment or the account cannot be so: {field}."


class ReferenceKnown(Refusal):
    """A payment of the bank counts once."""

    status = 409
    zh = "该银行流水号已登记。"
    en = "The bank's reference is entered already."
    next_zh = "请核对是否重复登记。"
    next_en = "Look whether it is the same payment."


class DecidedAlready(Refusal):
    """It was confirmed or refused."""

    status = 409
    zh = "该记录已处理。"
    en = "It was decided already."


async def enter_block(
    session: AsyncSession, *, partner_id: UUID, amount_minor: int, paid_on: date, reference: str, actor: Actor, now: datetime
) -> UUID:
    """Enter that a block was paid; it counts once another person confirmed it.

    :raises PartnerNotFound: if there is no such partner
    :raises PaymentNotSound: if the amount, the day or the reference cannot be
    :raises ReferenceKnown: if the bank's reference is there already
    """
    facts, _currency = await facts_of(session, partner_id=partner_id)
    if amount_minor <= 0:
        raise PaymentNotSound(field="amount_minor")
    if paid_on > local_date(now, facts.zone):
        raise PaymentNotSound(field="paid_on")
    if not 0 < len(reference.strip()) <= TEXT_MAX:
        raise PaymentNotSound(field="reference")
    made = PartnerBlock(
        block_id=uuid7(now),
        partner_id=partner_id,
        amount_minor=amount_minor,
        paid_on=paid_on,
        reference=reference.strip(),
        status=Decided.ENTERED,
        made_by=staff_of(actor),
        made_at=now,
    )
    try:
        async with session.begin_nested():
            session.add(made)
    except IntegrityError as error:
        raise ReferenceKnown from error
    told = {"block": made.block_id, "amount": amount_minor, "reference": made.reference}
    await audit.record(session, actor=actor, action="partners.block_entered", subject=("partner", partner_id), facts=told, now=now)
    return made.block_id


async def decide_block(session: AsyncSession, *, block_id: UUID, agree: bool, actor: Actor, now: datetime) -> int | None:
    """Confirm a block and return the number of its line; or refuse it (None).

    :raises BlockNotFound: if there is none
    :raises DecidedAlready: if it was decided
    :raises AnotherPersonDecides: if who entered it decides
    """
    row: PartnerBlock | None = await session.scalar(locked(select(PartnerBlock).where(PartnerBlock.block_id == block_id)))
    if row is None:
        raise BlockNotFound(block=block_id)
    _undecided(row, actor)
    number = None
    if agree:
        entry = Entry(
            kind=LineKind.BLOCK,
            source=f"block:{block_id}",
            event_at=now,
            worth=Worth(0, 0, {}, 0, 0, 0),
            pieces=0,
            reference=row.reference,
            paid_minor=-row.amount_minor,
            why=f"{row.paid_on}",
        )
        who = f"{actor.kind.value}:{actor.actor_id}"
        number = await book_line(session, partner_id=row.partner_id, entry=entry, actor=who, now=now)
    row.line_number = number
    _decide(row, actor, now, agree=agree)
    await session.flush()
    told = {"block": block_id, "amount": row.amount_minor, "line": row.line_number}
    action = f"partners.block_{row.status.value}"
    await audit.record(session, actor=actor, action=action, subject=("partner", row.partner_id), facts=told, now=now)
    return number


async def enter_bank_account(
    session: AsyncSession, *, partner_id: UUID, holder: str, bank: str, number: str, actor: Actor, now: datetime
) -> UUID:
    """Enter where a partner is paid; the one that was confirmed before holds until another person confirms this one.

    :raises PartnerNotFound: if there is no such partner
    :raises PaymentNotSound: if holder, bank or number cannot be
    """
    await facts_of(session, partner_id=partner_id)
    plain = number.replace(" ", "").replace("-", "").upper()
    for field, value in (("holder", holder), ("bank", bank)):
        if not 0 < len(value.strip()) <= TEXT_MAX:
            raise PaymentNotSound(field=field)
    if not (plain.isascii() and plain.isalnum() and len(plain) in _NUMBER):
        raise PaymentNotSound(field="number")
    made_id = uuid7(now)
    sealed = seal(Purpose.BANK_ACCOUNT, table="partner_bank_accounts", column="number_sealed", row_id=made_id, plaintext=plain.encode())
    made = PartnerBankAccount(
        bank_account_id=made_id,
        partner_id=partner_id,
        holder=holder.strip(),
        bank=bank.strip(),
        number_sealed=sealed,
        number_tail=plain[-4:],
        status=Decided.ENTERED,
        made_by=staff_of(actor),
        made_at=now,
    )
    session.add(made)
    await session.flush()
    told = {"account": made_id, "tail": made.number_tail}
    await audit.record(session, actor=actor, action="partners.account_entered", subject=("partner", partner_id), facts=told, now=now)
    return made_id


async def decide_bank_account(session: AsyncSession, *, bank_account_id: UUID, agree: bool, actor: Actor, now: datetime) -> None:
    """Confirm where a partner is paid, or refuse it.

    :raises BankAccountNotFound: if there is none
    :raises DecidedAlready: if it was decided
    :raises AnotherPersonDecides: if who entered it decides
    """
    one = PartnerBankAccount
    row: PartnerBankAccount | None = await session.scalar(locked(select(one).where(one.bank_account_id == bank_account_id)))
    if row is None:
        raise BankAccountNotFound(account=bank_account_id)
    _undecided(row, actor)
    _decide(row, actor, now, agree=agree)
    await session.flush()
    action, subject = f"partners.account_{row.status.value}", ("partner", row.partner_id)
    told = {"account": bank_account_id, "tail": row.number_tail}
    await audit.record(session, actor=actor, action=action, subject=subject, facts=told, now=now)


def _undecided(row: PartnerBlock | PartnerBankAccount, actor: Actor) -> None:
    if row.status is not Decided.ENTERED:
        raise DecidedAlready
    if row.made_by == staff_of(actor):
        raise AnotherPersonDecides


def _decide(row: PartnerBlock | PartnerBankAccount, actor: Actor, now: datetime, *, agree: bool) -> None:
    row.status, row.decided_by, row.decided_at = Decided.CONFIRMED if agree else Decided.REFUSED, staff_of(actor), now
