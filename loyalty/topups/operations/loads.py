"""Top-ups: at the counter at once, by bank transfer when finance has found the money."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.cards.model import CardStatus
from loyalty.cards.queries import get_card
from loyalty.crypto import Purpose, blind_index, seal_text
from loyalty.errors import NotAllowed, Refusal
from loyalty.ids import uuid7
from loyalty.ledger.model import Account, AccountKind
from loyalty.ledger.queries import get_account_for_update, purses_of
from loyalty.policy import Policy
from loyalty.stations.model import SERVING
from loyalty.stations.queries import get_station
from loyalty.topups.model import TOPUP_MOVES, WALLETS, BankPayment, Party, Tender, Topup, TopupStatus
from loyalty.topups.queries import (
    get_bank_payment,
    get_purchase_for_update,
    get_real_name,
    get_topup_for_update,
    owner_has_bank_account,
    owner_of,
)
from loyalty.topups.rules import (
    Buying,
    name_key,
    needs_real_name,
    party_of,
    real_name_needed,
    require_amount,
    require_tender,
    shown,
)

from .booking import Bonus, book, judge_cap, require_open
from .real_names import Declared, declared_name, record_real_name
from .traces import note, require_move, staff_of, take_reference


class StationMayNotLoad(Refusal):
    """The station is not set up for top-ups, or does not serve."""

    zh = "本站不能办理充值。"
    en = "This station does not take top-ups."
    next_zh = "请到可充值的站点办理。"
    next_en = "Go to a station that does."


class CardNotLoadable(Refusal):
    """The card presented is not that account's, or not a living one."""

    zh = "该卡当前状态为 {status}，不能充值。"
    en = "This card is {status} and cannot be loaded."
    next_zh = "请使用该账户的有效卡。"
    next_en = "Use a living card of the account."


class PaymentReferenceNeeded(Refusal):
    """A wallet's payment is known by the wallet's number."""

    status = 422
    zh = "微信、支付宝收款须填写钱包的交易号。"
    en = "A WeChat or Alipay payment needs the wallet's transaction number."
    next_zh = "请扫描或输入顾客付款凭证上的交易号。"
    next_en = "Scan or type it from the customer's payment slip."


class BankAccountsNeeded(Refusal):
    """A transfer is recorded with both of its ends."""

    status = 422
    zh = "银行转账须登记付款账户与收款账户（依据 {rule}）。"
    en = "A bank transfer needs the payer's and the payee's account on record ({rule})."
    next_zh = "请补全户名、开户行和账号。"
    next_en = "Complete holder, bank and account number of both."


class PayerIsNotTheOrganisation(Refusal):
    """An organisation pays from its own account."""

    status = 422
    zh = "付款账户不在该单位名下（依据 {rule}）。"
    en = "The paying account is not in the organisation's name ({rule})."
    next_zh = "请由单位本身的账户付款，或先在客户资料中登记该账户。"
    next_en = "Let the organisation pay from its own account, or put that account on its record first."


class AmountDiffers(Refusal):
    """The statement shows another amount than the top-up."""

    zh = "银行流水金额为 {paid}，充值申请为 {wanted}，不一致。"
    en = "The bank statement shows {paid}, the top-up asks for {wanted}."
    next_zh = "请核对流水；确有差异时取消后重新申请。"
    next_en = "Check the line; where it really differs, cancel and ask anew."


class BankTransfer(msgspec.Struct, frozen=True, kw_only=True):
    """Both ends of a transfer. Never shown by repr."""

    payer_name: str
    payer_bank: str
    payer_account: str
    payee_name: str
    payee_bank: str
    payee_account: str

    def __repr__(self) -> str:
        return "BankTransfer()"


class StatementLine(msgspec.Struct, frozen=True, kw_only=True):
    """What the bank says came in; `transfer` where its ends differ from what was declared."""

    line: str
    day: date
    amount_minor: int
    transfer: BankTransfer | None = None


class Paying(NamedTuple):
    """Whose account the money should come from."""

    party: Party
    customer_id: UUID | None
    name: str | None


LOADABLE = frozenset({CardStatus.ISSUED, CardStatus.ACTIVE, CardStatus.SUSPENDED})


async def load(
    session: AsyncSession,
    *,
    policy: Policy,
    account_id: UUID,
    amount_minor: int,
    tender: Tender,
    actor: Actor,
    event_at: datetime,
    now: datetime,
    card_id: UUID | None = None,
    station_id: UUID | None = None,
    terminal_id: UUID | None = None,
    payer: Declared | None = None,
    bank: BankTransfer | None = None,
    reference: str | None = None,
    off_premises: bool = False,
    bonus: Bonus | None = None,
) -> Topup:
    """Top an account up: booked at once, or, by bank transfer, waiting for finance.

    `payer` is whoever pays where that is not the holder; `reference` the wallet's or the acquirer's number; `bonus` promotional money on
    top. The principal pays an open receivable first.

    :raises AccountNotFound: if there is no such account
    :raises AccountNotOpen: if it is frozen or closed
    :raises AmountNotPositive: if there is nothing to load
    :raises StationMayNotLoad: if the station takes no top-ups
    :raises CardNotLoadable: if the card is not a living one of the account
    :raises TenderNotAllowed: if the rule asks for a bank transfer (the profile's `no_cash`)
    :raises RealNameNeeded: if the payer must be on record and is not (the profile's `real_name`)
    :raises OverCap: if the balance would pass the cap (the profile's `cap`)
    :raises PaymentReferenceNeeded: if a wallet's number is missing
    :raises PaymentAlreadyUsed: if that payment was used before
    :raises BankAccountsNeeded: if a transfer lacks one of its ends
    :raises PayerIsNotTheOrganisation: if an organisation pays from another's account
    """
    require_amount(amount_minor)
    account = await get_account_for_update(session, account_id=account_id)
    rules = policy.for_currency(account.currency)
    await require_place(session, account=account, card_id=card_id, station_id=station_id)
    buying = buying_of(account, amount_minor=amount_minor, tender=tender, off_premises=off_premises)
    require_tender(rules, buying)
    owner = await owner_of(session, customer_id=account.customer_id)
    paying = Paying(party_of(account.kind), account.customer_id, owner.name if owner else None)
    payer_record_id: UUID | None = None
    if payer is not None:
        paying = Paying(payer.party, None, payer.name)
        payer_record_id = await record_real_name(
            session, policy=rules, declared=payer, customer_id=None, party=payer.party, actor=actor, station_id=station_id, now=now
        )
    elif needs_real_name(rules, buying) and (owner is None or not owner.verified):
        raise real_name_needed(rules, buying, who="payer")
    made = new_topup(
        account,
        amount_minor=amount_minor,
        tender=tender,
        actor=actor,
        event_at=event_at,
        now=now,
        card_id=card_id,
        station_id=station_id,
        terminal_id=terminal_id,
        reference=reference,
        off_premises=off_premises,
        bonus=bonus,
    )
    made.payer_record_id = payer_record_id
    await settle_tender(session, policy=rules, account=account, topup=made, paying=paying, bank=bank, actor=actor, now=now)
    return made


def buying_of(account: Account, *, amount_minor: int, tender: Tender, off_premises: bool) -> Buying:
    """Return a single load as the thresholds see it."""
    return Buying(
        buyer=party_of(account.kind),
        total_minor=amount_minor,
        registered_minor=0 if account.kind is AccountKind.ANONYMOUS else amount_minor,
        currency=account.currency,
        tender=tender,
        off_premises=off_premises,
    )


async def require_place(session: AsyncSession, *, account: Account, card_id: UUID | None, station_id: UUID | None) -> None:
    """Hold that this account, by this card, may be loaded at this station.

    :raises AccountNotOpen: if the account is frozen or closed
    :raises CardNotLoadable: if the card is not a living one of the account
    :raises StationMayNotLoad: if the station takes no top-ups
    """
    require_open(account)
    if account.kind is AccountKind.SUSPENSE:
        raise NotAllowed
    if card_id is not None:
        card = await get_card(session, card_id=card_id)
        if card.account_id != account.account_id or card.status not in LOADABLE:
            raise CardNotLoadable(card=card_id, status=card.status.name.lower())
    if station_id is not None:
        station = await get_station(session, station_id=station_id)
        if not station.may_load or station.status not in SERVING:
            raise StationMayNotLoad(station=station_id)


def new_topup(
    account: Account,
    *,
    amount_minor: int,
    tender: Tender,
    actor: Actor,
    event_at: datetime,
    now: datetime,
    card_id: UUID | None,
    station_id: UUID | None,
    terminal_id: UUID | None,
    reference: str | None,
    off_premises: bool,
    bonus: Bonus | None,
) -> Topup:
    """Return a top-up that is not booked yet."""
    return Topup(
        topup_id=uuid7(now),
        account_id=account.account_id,
        card_id=card_id,
        status=TopupStatus.PENDING,
        tender=tender,
        currency=account.currency,
        amount_minor=amount_minor,
        bonus_minor=0 if bonus is None else bonus.amount_minor,
        bonus_expires_at=None if bonus is None else bonus.expires_at,
        bonus_funder=None if bonus is None else bonus.funder,
        settled_minor=0,
        returned_minor=0,
        bonus_returned_minor=0,
        off_premises=off_premises,
        station_id=station_id,
        terminal_id=terminal_id,
        staff_id=actor.staff_id,
        reference=reference.strip() if reference and reference.strip() else None,
        event_at=event_at,
        requested_at=now,
    )


async def settle_tender(
    session: AsyncSession,
    *,
    policy: Policy,
    account: Account,
    topup: Topup,
    paying: Paying,
    bank: BankTransfer | None,
    actor: Actor,
    now: datetime,
) -> None:
    """Book a new top-up by its tender: a transfer waits, everything else moves now. A purchase uses up its payment's number itself.

    :raises PaymentReferenceNeeded: if a wallet's number is missing
    :raises PaymentAlreadyUsed: if that payment was used before
    :raises BankAccountsNeeded: if a transfer lacks one of its ends
    :raises PayerIsNotTheOrganisation: if an organisation pays from another's account
    :raises OverCap: if the balance would pass the cap
    """
    session.add(topup)
    await session.flush()
    if topup.tender is Tender.BANK_TRANSFER:
        judge_cap(
            policy,
            account,
            await purses_of(session, account_id=account.account_id),
            amount_minor=topup.amount_minor,
            bonus_minor=topup.bonus_minor,
        )
        if bank is None:
            raise BankAccountsNeeded(rule=policy.no_cash.rule)
        payment = BankPayment(topup_id=topup.topup_id, amount_minor=topup.amount_minor)
        await _put_ends(session, payment, policy=policy, paying=paying, bank=bank)
        session.add(payment)
        note(session, subject=("topup", topup.topup_id), moved_to=TopupStatus.PENDING, actor=actor, now=now)
        await session.flush()
        return
    if topup.purchase_id is None:
        await use_reference(
            session,
            tender=topup.tender,
            reference=topup.reference,
            subject=("topup", topup.topup_id),
            amount_minor=topup.amount_minor,
            currency=topup.currency,
            now=now,
        )
    await finish(session, policy=policy, account=account, topup=topup, actor=actor, now=now)


async def finish(session: AsyncSession, *, policy: Policy, account: Account, topup: Topup, actor: Actor, now: datetime) -> None:
    """Book a pending top-up on its locked account.

    :raises CannotMove: if it is not pending
    """
    require_move(TOPUP_MOVES, topup.status, TopupStatus.BOOKED)
    topup.status = TopupStatus.BOOKED
    topup.booked_at = now
    await book(session, policy=policy, account=account, topup=topup, now=now)
    note(session, subject=("topup", topup.topup_id), moved_to=TopupStatus.BOOKED, actor=actor, now=now)
    await session.flush()


async def use_reference(
    session: AsyncSession,
    *,
    tender: Tender,
    reference: str | None,
    subject: tuple[str, UUID],
    amount_minor: int,
    currency: str,
    now: datetime,
) -> None:
    """Use up the number of a card's or a wallet's payment.

    :raises PaymentReferenceNeeded: if a wallet's number is missing
    :raises PaymentAlreadyUsed: if that payment was used before
    """
    if tender in WALLETS and not reference:
        raise PaymentReferenceNeeded
    if reference and tender is not Tender.CASH:
        await take_reference(
            session, kind=tender.value, reference=reference, subject=subject, amount_minor=amount_minor, currency=currency, now=now
        )


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
        paying = await _paying_of(session, topup, account)
        await _put_ends(session, payment, policy=rules, paying=paying, bank=statement.transfer)
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


async def _paying_of(session: AsyncSession, topup: Topup, account: Account) -> Paying:
    """Return who pays a transfer that was asked for earlier."""
    if topup.purchase_id is not None:
        bought = await get_purchase_for_update(session, purchase_id=topup.purchase_id)
        owner = await owner_of(session, customer_id=bought.buyer_customer_id)
        declared = await declared_name(session, record_id=bought.buyer_record_id)
        return Paying(bought.buyer, bought.buyer_customer_id, declared or (owner.name if owner else None))
    if topup.payer_record_id is not None:
        record = await get_real_name(session, record_id=topup.payer_record_id)
        return Paying(record.party, None, await declared_name(session, record_id=topup.payer_record_id))
    owner = await owner_of(session, customer_id=account.customer_id)
    return Paying(party_of(account.kind), account.customer_id, owner.name if owner else None)


async def _put_ends(session: AsyncSession, payment: BankPayment, *, policy: Policy, paying: Paying, bank: BankTransfer) -> None:
    if not all(value.strip() for value in msgspec.structs.astuple(bank)):
        raise BankAccountsNeeded(rule=policy.no_cash.rule)
    number = account_number(bank.payer_account)
    index = blind_index(Purpose.INDEX_BANK_ACCOUNT, number)
    own = paying.name is not None and name_key(paying.name) == name_key(bank.payer_name)
    if not own and paying.customer_id is not None:
        own = await owner_has_bank_account(session, customer_id=paying.customer_id, account_index=index)
    if policy.no_cash.own_account and paying.party is Party.ORGANISATION and not own:
        raise PayerIsNotTheOrganisation(rule=policy.no_cash.rule)
    row_id = payment.topup_id
    payment.payer_name_sealed = seal_text(
        Purpose.PERSON_NAME, table="bank_payments", column="payer_name_sealed", row_id=row_id, plaintext=bank.payer_name.strip()
    )
    payment.payer_account_sealed = seal_text(
        Purpose.BANK_ACCOUNT, table="bank_payments", column="payer_account_sealed", row_id=row_id, plaintext=number
    )
    payment.payer_bank = bank.payer_bank.strip()
    payment.payer_account_index = index
    payment.payer_account_tail = number[-4:]
    payment.payee_name = bank.payee_name.strip()
    payment.payee_bank = bank.payee_bank.strip()
    payment.payee_account = account_number(bank.payee_account)
    payment.own_account = own


def account_number(text: str) -> str:
    """Return a bank account's number as it is compared: no spaces or hyphens, capital letters."""
    return "".join(character for character in text if character.isalnum()).upper()
