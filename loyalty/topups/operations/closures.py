"""Closing an account: the principal goes back to its owner, the bonus to its funder, the cards end."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.cards import operations as cards
from loyalty.cards.queries import cards_of_account, lock_cards
from loyalty.crypto import Purpose, seal_text
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import Account, AccountStatus, HouseCode, PurseKind, TransferKind
from loyalty.ledger.operations import Leg
from loyalty.ledger.queries import get_account_for_update, lock_purses
from loyalty.ledger.rules import house_id
from loyalty.money import shown
from loyalty.policy import Policy
from loyalty.topups.model import CLOSURE_MOVES, AccountClosure, ClosureReason, ClosureStatus, PayoutMethod, Tender
from loyalty.topups.offering import OFFICE
from loyalty.topups.queries import (
    bonus_granted_by,
    get_closure_for_update,
    movements_since_empty,
    owner_of,
    running_closure,
)
from loyalty.topups.rules import (
    Basis,
    Buying,
    Closing,
    basis_of,
    closing_refund,
    debt_of,
    months_later,
    party_of,
    plan_closing,
    real_name_needed,
    require_payout,
    require_second_person,
)

from .booking import require_open, tender_house
from .real_names import Declared, record_real_name
from .traces import note, require_move, staff_of, take_reference
from .transfers import account_number


class HoldsOpen(Refusal):
    """Money is still set aside at a pump, or by an authority."""

    zh = "账户有 {held} 处于预授权或冻结中，暂不能退卡。"
    en = "{held} of the account is held by an authorisation or an order: it cannot be closed yet."
    next_zh = "请先处理未完成的加油或冻结。"
    next_en = "Settle the open fill or the order first."


class DebtOpen(Refusal):
    """More is owed than there is principal."""

    zh = "账户尚欠 {owed}，本金只有 {principal}，不能退卡。"
    en = "The account owes {owed} and holds only {principal} of principal: it cannot be closed."
    next_zh = "请先补足欠款，或申请核销。"
    next_en = "Pay the debt first, or have it written off."


class ClosureRunning(Refusal):
    """It has been asked for already."""

    zh = "该账户已有退卡申请在办理中。"
    en = "This account is already being closed."
    next_zh = "请在退卡申请中查看进度。"
    next_en = "See how far it is among the closures."


class BankAccountNeeded(Refusal):
    """A bank refund needs somewhere to go."""

    status = 422
    zh = "银行退款须登记户名、开户行和账号。"
    en = "A bank refund needs the holder, the bank and the account number."
    next_zh = "请补全收款账户，或在限额内选择现金。"
    next_en = "Complete them, or choose cash where the amount allows."


class ClosureReopensNoMore(Refusal):
    """The months are over."""

    zh = "关闭已超过 {months} 个月，不能再恢复。"
    en = "It was closed more than {months} months ago and cannot be reopened."
    next_zh = "请办理新卡。"
    next_en = "Issue a new card."


class Payee(msgspec.Struct, frozen=True, kw_only=True):
    """The bank account that gets the refund. Never shown by repr."""

    name: str
    bank: str
    account: str

    def __repr__(self) -> str:
        return "Payee()"


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What closing would give now; minor units of `currency`."""

    currency: str
    refund_minor: int
    principal_minor: int
    bonus_minor: int
    settled_minor: int
    """Owed and paid from the principal first."""
    paid_in_minor: int
    bonus_given_minor: int
    bonus_returned_minor: int
    """The customer's share of what was consumed that bonus had paid for."""
    bonus_expired_minor: int
    cash_allowed: bool


class _Reckoned(msgspec.Struct, frozen=True, kw_only=True):
    basis: Basis
    plan: Closing
    refund_minor: int
    principal_minor: int
    bonus_minor: int
    settled_minor: int


async def quote_closure(session: AsyncSession, *, policy: Policy, account_id: UUID, now: datetime) -> Quote:
    """Say what closing the account would give, and lock it for the rest of the transaction.

    :raises AccountNotFound: if there is no such account
    :raises AccountNotOpen: if it is frozen or closed
    :raises HoldsOpen: if money is still held
    :raises DebtOpen: if it owes more than its principal
    """
    account = await get_account_for_update(session, account_id=account_id)
    rules = policy.for_currency(account.currency)
    reckoned = await _reckon(session, account, rules, now)
    ceiling = rules.closure.cash_refund_max_minor
    return Quote(
        currency=account.currency,
        refund_minor=reckoned.refund_minor,
        principal_minor=reckoned.principal_minor,
        bonus_minor=reckoned.bonus_minor,
        settled_minor=reckoned.settled_minor,
        paid_in_minor=reckoned.basis.paid_minor,
        bonus_given_minor=reckoned.basis.given_minor,
        bonus_returned_minor=_sum(reckoned.plan.returned),
        bonus_expired_minor=_sum(reckoned.plan.expired),
        cash_allowed=ceiling is None or reckoned.refund_minor <= ceiling,
    )


async def request_closure(
    session: AsyncSession,
    *,
    policy: Policy,
    account_id: UUID,
    reason: ClosureReason,
    method: PayoutMethod,
    actor: Actor,
    now: datetime,
    payee: Payee | None = None,
    claimant: Declared | None = None,
    station_id: UUID | None = None,
    note_text: str = "",
) -> AccountClosure:
    """Ask to close an account and give its principal back. Where no second person is needed it is approved at once.

    `claimant` is whoever asks, as his document says; a registered account's owner with a verified document need not be asked again.

    :raises AccountNotFound: if there is no such account
    :raises AccountNotOpen: if it is frozen or closed
    :raises ClosureRunning: if it was asked for before
    :raises HoldsOpen: if money is still held
    :raises DebtOpen: if it owes more than its principal
    :raises RealNameNeeded: if the claimant must be on record and is not
    :raises BankRefundNeeded: if the refund is too much for cash
    :raises BankAccountNeeded: if a bank refund has no account
    :raises PayeeIsNotTheOwner: if the account is in another name
    """
    staff_id = staff_of(actor)
    await _lock_living_cards(session, account_id)
    account = await get_account_for_update(session, account_id=account_id)
    rules = policy.for_currency(account.currency)
    if await running_closure(session, account_id=account_id) is not None:
        raise ClosureRunning(account=account_id)
    reckoned = await _reckon(session, account, rules, now)
    owner = await owner_of(session, customer_id=account.customer_id, now=now)
    if rules.closure.claimant_real_name and claimant is None and (owner is None or not owner.verified):
        raise real_name_needed(rules, _claim(account, reckoned.refund_minor), who="claimant")
    owner_name = owner.name if owner is not None else (claimant.name if claimant is not None else None)
    if method is PayoutMethod.BANK and (payee is None or not all(value.strip() for value in msgspec.structs.astuple(payee))):
        raise BankAccountNeeded
    require_payout(
        rules,
        in_cash=method is PayoutMethod.CASH,
        refund_minor=reckoned.refund_minor,
        currency=account.currency,
        owner_name=owner_name,
        payee_name=None if payee is None else payee.name,
    )
    threshold = rules.control.closure_second_person_from_minor
    made = AccountClosure(
        closure_id=uuid7(now),
        account_id=account_id,
        status=ClosureStatus.REQUESTED,
        reason=reason,
        note=note_text,
        method=method,
        second_person=threshold is not None and reckoned.refund_minor >= threshold,
        currency=account.currency,
        cards=[],
        station_id=station_id,
        requested_by=staff_id,
        requested_at=now,
    )
    _put_reckoned(made, reckoned)
    if method is PayoutMethod.BANK and payee is not None:
        _put_payee(made, payee)
    if claimant is not None or rules.closure.claimant_real_name:
        made.claimant_record_id = await record_real_name(
            session,
            policy=rules,
            declared=claimant,
            customer_id=account.customer_id,
            party=party_of(account.kind),
            actor=actor,
            station_id=station_id,
            now=now,
        )
    session.add(made)
    await _trace(session, made, "topups.closure_requested", actor, reason.value, now)
    if not made.second_person:
        await _approve(session, made, account, rules, actor, now)
    return made


async def approve_closure(session: AsyncSession, *, policy: Policy, closure_id: UUID, actor: Actor, now: datetime) -> AccountClosure:
    """Approve a closure: the account is reckoned anew, booked empty and closed with its cards; what is due waits to be paid.

    :raises ClosureNotFound: if there is none
    :raises CannotMove: if it was decided before
    :raises SecondPersonNeeded: if who asked for it approves
    :raises AccountNotOpen: if the account was frozen meanwhile
    :raises HoldsOpen: if money is held meanwhile
    :raises DebtOpen: if it owes more than its principal meanwhile
    :raises BankRefundNeeded: if the refund has become too much for cash
    """
    found = await get_closure_for_update(session, closure_id=closure_id)
    require_move(CLOSURE_MOVES, found.status, ClosureStatus.APPROVED)
    if found.second_person:
        _require_other(found, policy, staff_of(actor))
    await _lock_living_cards(session, found.account_id)
    account = await get_account_for_update(session, account_id=found.account_id)
    await _approve(session, found, account, policy.for_currency(account.currency), actor, now)
    return found


async def reject_closure(session: AsyncSession, *, closure_id: UUID, reason: str, actor: Actor, now: datetime) -> AccountClosure:
    """Turn a closure down; nothing was booked.

    :raises ClosureNotFound: if there is none
    :raises CannotMove: if it was decided before
    """
    return await _drop(session, closure_id, ClosureStatus.REJECTED, "topups.closure_rejected", reason, actor, now)


async def withdraw_closure(session: AsyncSession, *, closure_id: UUID, reason: str, actor: Actor, now: datetime) -> AccountClosure:
    """Give a closure up because the customer stays; nothing was booked.

    :raises ClosureNotFound: if there is none
    :raises CannotMove: if it was decided before
    """
    return await _drop(session, closure_id, ClosureStatus.WITHDRAWN, "topups.closure_withdrawn", reason, actor, now)


async def pay_closure(
    session: AsyncSession, *, closure_id: UUID, actor: Actor, now: datetime, reference: str | None = None, station_id: UUID | None = None
) -> AccountClosure:
    """Record that the refund has left: by bank with the bank's number, in cash from the till of a station.

    :raises ClosureNotFound: if there is none
    :raises CannotMove: if it is not approved, or was paid before
    :raises BankAccountNeeded: if a bank refund comes without the bank's number
    :raises PaymentAlreadyUsed: if that number stands for another payment
    """
    found = await get_closure_for_update(session, closure_id=closure_id)
    require_move(CLOSURE_MOVES, found.status, ClosureStatus.PAID)
    if found.method is PayoutMethod.BANK and found.refund_minor:
        if not reference or not reference.strip():
            raise BankAccountNeeded
        await take_reference(
            session,
            kind="bank_payout",
            reference=reference,
            subject=("closure", closure_id),
            amount_minor=found.refund_minor,
            currency=found.currency,
            now=now,
        )
    elif found.refund_minor:
        till = await tender_house(session, station_id=station_id or found.station_id, tender=Tender.CASH, currency=found.currency, now=now)
        clearing = await _payout_house(session, found, now)
        leg = Leg(clearing, till, found.refund_minor, TransferKind.PAYOUT, found.currency, None, station_id or found.station_id)
        await ledger.post(session, account_id=found.account_id, legs=[leg], operation_id=closure_id, event_at=now, now=now)
    found.status = ClosureStatus.PAID
    found.paid_by = staff_of(actor)
    found.paid_at = now
    found.payout_reference = reference.strip() if reference else None
    await _trace(session, found, "topups.closure_paid", actor, "", now)
    return found


async def reopen_closed_account(
    session: AsyncSession, *, policy: Policy, closure_id: UUID, reason: str, actor: Actor, now: datetime
) -> AccountClosure:
    """Let a closed account and its cards live again, empty, within the profile's months.

    :raises ClosureNotFound: if there is none
    :raises CannotMove: if it was not paid, or was reopened before
    :raises ClosureReopensNoMore: if it is too late
    """
    found = await get_closure_for_update(session, closure_id=closure_id)
    require_move(CLOSURE_MOVES, found.status, ClosureStatus.REOPENED)
    rules = policy.for_currency(found.currency)
    assert found.approved_at is not None
    if now >= months_later(found.approved_at, rules.closure.reopen_months):
        raise ClosureReopensNoMore(months=rules.closure.reopen_months, rule=rules.closure.rule)
    card_ids = sorted(UUID(card_id) for card_id in found.cards)
    await lock_cards(session, card_ids=card_ids)
    await ledger.move_account(session, account_id=found.account_id, to=AccountStatus.OPEN, now=now)
    for card_id in card_ids:
        await cards.reopen_card(session, card_id=card_id, policy=policy, actor=actor, reason=reason, now=now)
    found.status = ClosureStatus.REOPENED
    await _trace(session, found, "topups.account_reopened", actor, reason, now)
    return found


def _claim(account: Account, refund_minor: int) -> Buying:
    return Buying(party_of(account.kind), refund_minor, refund_minor, account.currency, Tender.BANK_TRANSFER, off_premises=False)


async def _lock_living_cards(session: AsyncSession, account_id: UUID) -> list[UUID]:
    """Lock an account's cards before the account: the order everybody keeps."""
    living = sorted(card.card_id for card in await cards_of_account(session, account_id=account_id, living=True))
    await lock_cards(session, card_ids=living)
    return living


async def _reckon(session: AsyncSession, account: Account, policy: Policy, now: datetime) -> _Reckoned:
    require_open(account)
    purses = await lock_purses(session, account_id=account.account_id)
    money = [purse for purse in purses if purse.kind in {PurseKind.PRINCIPAL, PurseKind.BONUS}]
    held = sum(purse.held_minor for purse in money)
    if held:
        raise HoldsOpen(held=shown(held, account.currency), held_minor=held)
    principal = sum(purse.balance_minor for purse in money if purse.kind == PurseKind.PRINCIPAL)
    bonus = [purse for purse in money if purse.kind == PurseKind.BONUS]
    dead = sum(purse.balance_minor for purse in bonus if purse.expires_at is not None and purse.expires_at <= now)
    living = sum(purse.balance_minor for purse in bonus) - dead
    owed = debt_of(purses)
    if owed > principal:
        raise DebtOpen(
            owed=shown(owed, account.currency), owed_minor=owed, principal=shown(principal, account.currency), principal_minor=principal
        )
    basis = basis_of(await movements_since_empty(session, account_id=account.account_id))
    # Bonus that ran out was neither consumed nor is it there: it counts as never given.
    basis = Basis(basis.paid_minor, max(basis.given_minor - dead, 0))
    refund = closing_refund(policy.closure.split, basis, principal_minor=principal - owed, bonus_minor=living)
    return _Reckoned(
        basis=basis,
        plan=plan_closing(purses, refund_minor=refund, now=now),
        refund_minor=refund,
        principal_minor=principal,
        bonus_minor=living,
        settled_minor=owed,
    )


def _sum(parts: tuple[tuple[UUID, int], ...]) -> int:
    return sum(amount for _, amount in parts)


def _put_reckoned(made: AccountClosure, reckoned: _Reckoned) -> None:
    made.refund_minor = reckoned.refund_minor
    made.paid_in_minor = reckoned.basis.paid_minor
    made.bonus_given_minor = reckoned.basis.given_minor
    made.settled_minor = reckoned.settled_minor
    made.bonus_returned_minor = _sum(reckoned.plan.returned)
    made.bonus_expired_minor = _sum(reckoned.plan.expired)


def _put_payee(made: AccountClosure, payee: Payee) -> None:
    number = account_number(payee.account)
    row_id = made.closure_id
    made.payee_name_sealed = seal_text(
        Purpose.PERSON_NAME, table="account_closures", column="payee_name_sealed", row_id=row_id, plaintext=payee.name.strip()
    )
    made.payee_account_sealed = seal_text(
        Purpose.BANK_ACCOUNT, table="account_closures", column="payee_account_sealed", row_id=row_id, plaintext=number
    )
    made.payee_bank = payee.bank.strip()
    made.payee_account_tail = number[-4:]


async def _approve(session: AsyncSession, found: AccountClosure, account: Account, policy: Policy, actor: Actor, now: datetime) -> None:
    """Book the account empty and close it; its cards, then the account, are locked."""
    reckoned = await _reckon(session, account, policy, now)
    if found.method is PayoutMethod.CASH:
        require_payout(policy, in_cash=True, refund_minor=reckoned.refund_minor, currency=found.currency, owner_name=None, payee_name=None)
    threshold = policy.control.closure_second_person_from_minor
    if threshold is not None and reckoned.refund_minor >= threshold:
        # It may have grown since it was asked for.
        found.second_person = True
        _require_other(found, policy, staff_of(actor))
    _put_reckoned(found, reckoned)
    living = await _lock_living_cards(session, found.account_id)
    for card_id in living:
        await cards.close_card(session, card_id=card_id, actor=actor, station_id=found.station_id, reason="account closed", now=now)
    found.cards = [str(card_id) for card_id in living]
    legs = await _legs(session, found, reckoned.plan, now)
    if legs:
        await ledger.post(session, account_id=found.account_id, legs=legs, operation_id=found.closure_id, event_at=now, now=now)
    await ledger.move_account(session, account_id=found.account_id, to=AccountStatus.CLOSED, now=now)
    found.status = ClosureStatus.APPROVED
    found.approved_by = staff_of(actor)
    found.approved_at = now
    await _trace(session, found, "topups.closure_approved", actor, "", now)


def _require_other(found: AccountClosure, policy: Policy, staff_id: UUID) -> None:
    require_second_person(
        rule=policy.control.rule,
        from_minor=0,
        amount_minor=found.refund_minor,
        currency=found.currency,
        first=found.requested_by,
        second=staff_id,
    )


async def _payout_house(session: AsyncSession, found: AccountClosure, now: datetime) -> UUID:
    return await ledger.ensure_house(session, code=HouseCode.PAYOUT, currency=found.currency, reference=found.method.value, now=now)


async def _legs(session: AsyncSession, found: AccountClosure, plan: Closing, now: datetime) -> list[Leg]:
    granted = await bonus_granted_by(session, account_id=found.account_id, kinds=(TransferKind.BONUS,))
    # Principal goes back to whoever's bonus was spent; lots of several funders share one answer, the latest lot's.
    fallback = house_id(HouseCode.BONUS, found.currency, OFFICE)
    funder = granted[max(granted)] if granted else fallback
    if (plan.returned and not granted) or any(purse_id not in granted for purse_id, _ in plan.expired):
        await ledger.ensure_house(session, code=HouseCode.BONUS, currency=found.currency, reference=OFFICE, now=now)
    payout = await _payout_house(session, found, now)

    def leg(debit: UUID, credit: UUID, amount_minor: int, kind: TransferKind) -> Leg:
        return Leg(debit, credit, amount_minor, kind, found.currency, None, found.station_id)

    legs = [leg(purse_id, debt_id, amount, TransferKind.SETTLEMENT) for purse_id, debt_id, amount in plan.settled]
    legs += [leg(purse_id, payout, amount, TransferKind.PAYOUT) for purse_id, amount in plan.refunded]
    legs += [leg(purse_id, funder, amount, TransferKind.BONUS_RETURN) for purse_id, amount in plan.returned]
    legs += [leg(purse_id, granted.get(purse_id, fallback), amount, TransferKind.EXPIRY) for purse_id, amount in plan.expired]
    return legs


async def _drop(
    session: AsyncSession, closure_id: UUID, to: ClosureStatus, action: str, reason: str, actor: Actor, now: datetime
) -> AccountClosure:
    found = await get_closure_for_update(session, closure_id=closure_id)
    require_move(CLOSURE_MOVES, found.status, to)
    staff_of(actor)
    found.status = to
    await _trace(session, found, action, actor, reason, now)
    return found


async def _trace(session: AsyncSession, found: AccountClosure, action: str, actor: Actor, reason: str, now: datetime) -> None:
    note(session, subject=("closure", found.closure_id), moved_to=found.status, actor=actor, reason=reason, now=now)
    await audit.record(
        session,
        actor=actor,
        action=action,
        subject=("account", found.account_id),
        facts={
            "closure": found.closure_id,
            "refund_minor": found.refund_minor,
            "currency": found.currency,
            "method": found.method.value,
            "reason": reason,
        },
        station_id=found.station_id,
        now=now,
    )
    await session.flush()
