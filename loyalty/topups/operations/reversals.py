"""Taking a top-up back: voided while it is the account's last movement, else refunded by the profile, or reversed by its wallet."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import Account, AccountStatus, PurseKind, Transfer, TransferKind
from loyalty.ledger.operations import AccountNotOpen, Leg
from loyalty.ledger.queries import get_account_for_update, lock_purses, transfers_of
from loyalty.ledger.rules import PurseView
from loyalty.money import shown
from loyalty.policy import Policy
from loyalty.topups.model import TOPUP_MOVES, WALLETS, Tender, Topup, TopupStatus
from loyalty.topups.queries import (
    bought_before,
    get_topup_for_update,
    items_of,
    loaded_since,
    moved_after,
    payment_subject,
)
from loyalty.topups.rules import (
    LoadRefund,
    LoadState,
    RefundTooLarge,
    refundable_minor,
    require_amount,
    require_second_person,
    split_load_refund,
)

from .booking import own_principal
from .loads import PaymentReferenceNeeded
from .traces import CannotMove, note, require_move, staff_of, take_reference


class NotTheLastMovement(Refusal):
    """The account has moved since: a void would leave a gap in its story."""

    zh = "该笔充值之后账户已有其他变动，不能撤销。"
    en = "The account has moved since this top-up: it cannot be voided any more."
    next_zh = "请改办退款。"
    next_en = "Refund it instead."


class PaymentUnknown(Refusal):
    """No top-up was paid by this wallet payment."""

    status = 404
    zh = "没有以此交易号入账的充值。"
    en = "No top-up was paid with this transaction number."
    next_zh = "请核对钱包类型与交易号。"
    next_en = "Check the wallet and the number."


class TopupRefunded(msgspec.Struct, frozen=True, kw_only=True):
    """What a refund of a top-up moved; amounts in minor units."""

    operation_id: UUID
    topup: Topup
    paid_minor: int
    """To the payer, by the tender it came with."""
    bonus_returned_minor: int
    shortfall_minor: int
    """Bonus already spent, kept back from the principal."""


async def void_topup(
    session: AsyncSession,
    *,
    policy: Policy,
    topup_id: UUID,
    reason: str,
    actor: Actor,
    now: datetime,
    approved_by: UUID | None = None,
    reversal_reference: str | None = None,
) -> Topup:
    """Undo a top-up as if it had not been, while it is the account's last movement; a wallet's payment needs the wallet's reversal number.

    :raises TopupNotFound: if there is none
    :raises CannotMove: if it is not booked, or partly refunded
    :raises AccountNotOpen: if the account is frozen or closed
    :raises NotTheLastMovement: if the account has moved since
    :raises SecondPersonNeeded: if the amount asks for a second person
    :raises PaymentReferenceNeeded: if the wallet's number is missing
    :raises InsufficientFunds: if an authorisation holds the money
    """
    topup, account = await _locked(session, topup_id=topup_id, to=TopupStatus.VOIDED)
    rules = policy.for_currency(topup.currency)
    if topup.returned_minor:
        raise CannotMove(status="partly_refunded", to=TopupStatus.VOIDED.value)
    _require_two(rules, topup, topup.amount_minor, actor, approved_by)
    await lock_purses(session, account_id=account.account_id)
    if await moved_after(session, topup=topup):
        raise NotTheLastMovement(topup=topup_id)
    await _use_reversal(session, topup, reversal_reference, topup.amount_minor, now)
    booked = await transfers_of(session, account_id=topup.account_id, operation_id=topup_id, booked_at=topup.booked_at)
    await ledger.post(
        session,
        account_id=topup.account_id,
        legs=[_mirror(row) for row in booked],
        operation_id=uuid7(now),
        event_at=now,
        now=now,
    )
    topup.status = TopupStatus.VOIDED
    topup.returned_minor = topup.amount_minor
    topup.bonus_returned_minor = topup.bonus_minor
    await _trace(session, topup, TopupStatus.VOIDED, "topups.voided", actor, reason, topup.amount_minor, approved_by, now)
    return topup


async def refund_topup(
    session: AsyncSession,
    *,
    policy: Policy,
    topup_id: UUID,
    reason: str,
    actor: Actor,
    now: datetime,
    amount_minor: int | None = None,
    approved_by: UUID | None = None,
    reversal_reference: str | None = None,
) -> TopupRefunded:
    """Give a load back as far as the profile allows, by the tender it came with; its bonus goes back first.

    Without `amount_minor` all that the profile takes back. Loads are reckoned as consumed first in, first out. Bonus that was spent already
    is kept back from the principal. Partial refunds round cumulatively, so that the last is exact.

    :raises TopupNotFound: if there is none
    :raises CannotMove: if it is not booked
    :raises AccountNotOpen: if the account is frozen or closed
    :raises LoadNotRefundable: if the profile does not take it back
    :raises RefundTooLarge: if more is asked for than is left
    :raises SecondPersonNeeded: if the amount asks for a second person
    :raises PaymentReferenceNeeded: if the wallet's number is missing
    """
    topup, account = await _locked(session, topup_id=topup_id, to=TopupStatus.REFUNDED)
    assert topup.booked_at is not None
    rules = policy.for_currency(topup.currency)
    purses = await lock_purses(session, account_id=account.account_id)
    state = await _state_of(session, topup, purses)
    room = refundable_minor(rules, state, booked_at=topup.booked_at, now=now, currency=topup.currency)
    wanted = room if amount_minor is None else amount_minor
    require_amount(wanted)
    if wanted > room:
        raise RefundTooLarge(room=shown(room, topup.currency), room_minor=room, wanted=shown(wanted, topup.currency))
    refund = split_load_refund(state, amount_minor=wanted, currency=topup.currency)
    _require_two(rules, topup, wanted, actor, approved_by)
    await _use_reversal(session, topup, reversal_reference, refund.paid_minor, now)
    booked = await transfers_of(session, account_id=topup.account_id, operation_id=topup_id, booked_at=topup.booked_at)
    operation_id = uuid7(now)
    await ledger.post(
        session, account_id=topup.account_id, legs=_refund_legs(booked, refund), operation_id=operation_id, event_at=now, now=now
    )
    topup.returned_minor += wanted
    topup.bonus_returned_minor += refund.bonus_minor + refund.shortfall_minor
    if topup.returned_minor == topup.amount_minor:
        topup.status = TopupStatus.REFUNDED
    await _trace(session, topup, TopupStatus.REFUNDED, "topups.refunded", actor, reason, wanted, approved_by, now)
    return TopupRefunded(
        operation_id=operation_id,
        topup=topup,
        paid_minor=refund.paid_minor,
        bonus_returned_minor=refund.bonus_minor,
        shortfall_minor=refund.shortfall_minor,
    )


async def reverse_wallet_payment(
    session: AsyncSession, *, tender: Tender, reference: str, reversal_reference: str, reason: str, actor: Actor, now: datetime
) -> list[Topup]:
    """Follow a wallet that took its payment back: the money leaves whatever the account's state; what was spent becomes a receivable.

    Return the top-ups the payment had paid, one or a purchase's items.

    :raises PaymentUnknown: if no top-up was paid by it
    :raises CannotMove: if one of them was voided, refunded or reversed before
    :raises PaymentAlreadyUsed: if this reversal was followed before
    """
    subject = await payment_subject(session, kind=tender.value, reference=reference)
    if tender not in WALLETS or subject is None:
        raise PaymentUnknown(tender=tender.value)
    kind, subject_id = subject
    items = [subject_id] if kind == "topup" else [item.topup_id for item in await items_of(session, purchase_id=subject_id)]
    reversed_now = [await _reverse_item(session, topup_id=topup_id, reason=reason, actor=actor, now=now) for topup_id in items]
    await take_reference(
        session,
        kind=f"{tender.value}_reversal",
        reference=reversal_reference,
        subject=subject,
        amount_minor=sum(topup.amount_minor for topup in reversed_now),
        currency=reversed_now[0].currency,
        now=now,
    )
    return reversed_now


async def _reverse_item(session: AsyncSession, *, topup_id: UUID, reason: str, actor: Actor, now: datetime) -> Topup:
    topup = await get_topup_for_update(session, topup_id=topup_id)
    require_move(TOPUP_MOVES, topup.status, TopupStatus.REVERSED)
    await get_account_for_update(session, account_id=topup.account_id)
    receivable = await ledger.ensure_purse(session, account_id=topup.account_id, kind=PurseKind.RECEIVABLE, unit=topup.currency, now=now)
    purses = await lock_purses(session, account_id=topup.account_id)
    booked = await transfers_of(session, account_id=topup.account_id, operation_id=topup_id, booked_at=topup.booked_at)
    load = _of_kind(booked, TransferKind.LOAD)
    owed = topup.amount_minor - topup.returned_minor
    free = max(min(own_principal(purses).available_minor, owed), 0)
    legs = [
        Leg(debit, load.debit_id, amount, TransferKind.VOID, topup.currency, topup.card_id, topup.station_id, load.transfer_id)
        for debit, amount in ((load.credit_id, free), (receivable, owed - free))
        if amount
    ]
    bonus = _bonus_left(booked, purses, topup.bonus_minor - topup.bonus_returned_minor)
    if bonus is not None:
        legs.append(bonus)
    await ledger.post(session, account_id=topup.account_id, legs=legs, operation_id=uuid7(now), event_at=now, now=now)
    topup.status = TopupStatus.REVERSED
    topup.returned_minor = topup.amount_minor
    topup.bonus_returned_minor += bonus.amount_minor if bonus is not None else 0
    await _trace(session, topup, TopupStatus.REVERSED, "topups.reversed", actor, reason, owed, None, now)
    return topup


async def _locked(session: AsyncSession, *, topup_id: UUID, to: TopupStatus) -> tuple[Topup, Account]:
    topup = await get_topup_for_update(session, topup_id=topup_id)
    require_move(TOPUP_MOVES, topup.status, to)
    account = await get_account_for_update(session, account_id=topup.account_id)
    if account.status is not AccountStatus.OPEN:
        raise AccountNotOpen(status=account.status.value, account=account.account_id)
    return topup, account


def _require_two(policy: Policy, topup: Topup, amount_minor: int, actor: Actor, approved_by: UUID | None) -> None:
    require_second_person(
        rule=policy.control.rule,
        from_minor=policy.control.reversal_second_person_from_minor,
        amount_minor=amount_minor,
        currency=topup.currency,
        first=staff_of(actor),
        second=approved_by,
    )


async def _use_reversal(session: AsyncSession, topup: Topup, reference: str | None, amount_minor: int, now: datetime) -> None:
    """Use the wallet's reversal number up; money that went through a wallet goes back through it."""
    if topup.tender not in WALLETS:
        return
    if not reference or not reference.strip():
        raise PaymentReferenceNeeded
    await take_reference(
        session,
        kind=f"{topup.tender.value}_reversal",
        reference=reference,
        subject=("topup", topup.topup_id),
        amount_minor=amount_minor,
        currency=topup.currency,
        now=now,
    )


def _mirror(row: Transfer) -> Leg:
    return Leg(row.credit_id, row.debit_id, row.amount_minor, TransferKind.VOID, row.unit, row.card_id, row.station_id, row.transfer_id)


def _of_kind(rows: list[Transfer], kind: TransferKind) -> Transfer:
    return next(row for row in rows if row.kind is kind)


def _bonus_left(booked: list[Transfer], purses: list[PurseView], granted_minor: int) -> Leg | None:
    """Return the leg that gives back what is left of a top-up's bonus."""
    grant = next((row for row in booked if row.kind is TransferKind.BONUS), None)
    if grant is None:
        return None
    lot = next(purse for purse in purses if purse.purse_id == grant.credit_id)
    amount = max(min(lot.available_minor, granted_minor), 0)
    if not amount:
        return None
    return Leg(
        grant.credit_id, grant.debit_id, amount, TransferKind.BONUS_RETURN, grant.unit, grant.card_id, grant.station_id, grant.transfer_id
    )


async def _state_of(session: AsyncSession, topup: Topup, purses: list[PurseView]) -> LoadState:
    booked = await transfers_of(session, account_id=topup.account_id, operation_id=topup.topup_id, booked_at=topup.booked_at)
    bonus = _bonus_left(booked, purses, topup.bonus_minor - topup.bonus_returned_minor)
    return LoadState(
        amount_minor=topup.amount_minor,
        bonus_minor=topup.bonus_minor,
        returned_minor=topup.returned_minor,
        bonus_returned_minor=topup.bonus_returned_minor,
        principal_minor=own_principal(purses).available_minor,
        bonus_left_minor=bonus.amount_minor if bonus is not None else 0,
        loaded_since_minor=await loaded_since(session, topup=topup),
        used_before=await bought_before(session, topup=topup),
    )


def _refund_legs(booked: list[Transfer], refund: LoadRefund) -> list[Leg]:
    load = _of_kind(booked, TransferKind.LOAD)

    def back(row: Transfer, debit: UUID, credit: UUID, amount_minor: int, kind: TransferKind) -> Leg:
        return Leg(debit, credit, amount_minor, kind, row.unit, row.card_id, row.station_id, row.transfer_id)

    legs: list[Leg] = []
    if refund.bonus_minor or refund.shortfall_minor:
        grant = _of_kind(booked, TransferKind.BONUS)
        if refund.bonus_minor:
            legs.append(back(grant, grant.credit_id, grant.debit_id, refund.bonus_minor, TransferKind.BONUS_RETURN))
        if refund.shortfall_minor:
            legs.append(back(grant, load.credit_id, grant.debit_id, refund.shortfall_minor, TransferKind.BONUS_RETURN))
    legs.append(back(load, load.credit_id, load.debit_id, refund.paid_minor, TransferKind.REFUND))
    return legs


async def _trace(
    session: AsyncSession,
    topup: Topup,
    to: TopupStatus,
    action: str,
    actor: Actor,
    reason: str,
    amount_minor: int,
    approved_by: UUID | None,
    now: datetime,
) -> None:
    facts = {"amount_minor": amount_minor, "currency": topup.currency, "reason": reason, "approved_by": approved_by}
    note(
        session,
        subject=("topup", topup.topup_id),
        moved_to=to,
        actor=actor,
        reason=reason,
        facts={"amount_minor": amount_minor, "approved_by": None if approved_by is None else str(approved_by)},
        now=now,
    )
    await audit.record(
        session, actor=actor, action=action, subject=("topup", topup.topup_id), facts=facts, station_id=topup.station_id, now=now
    )
    await session.flush()
