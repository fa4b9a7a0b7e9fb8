"""Taking a top-up back: voided while it is the account's last movement, else refunded by the profile, or reversed by its wallet."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import Account, AccountStatus, HouseCode, PurseKind, Transfer, TransferKind
from loyalty.ledger.operations import AccountNotOpen, Leg
from loyalty.ledger.queries import get_account, get_account_for_update, lock_purses, purses_of, transfers_of
from loyalty.ledger.rules import PurseView, house_id
from loyalty.money import shown
from loyalty.policy import Policy
from loyalty.pricing.operations import budgets
from loyalty.topups.model import TOPUP_MOVES, WALLETS, Tender, Topup, TopupStatus
from loyalty.topups.model_returns import ReturnKind, TopupReturn
from loyalty.topups.offering import BONUS, DISCOUNT, OFFICE, expiry_of
from loyalty.topups.queries import (
    bought_before,
    get_topup,
    get_topup_for_update,
    items_of,
    loaded_since,
    moved_after,
    payment_subject,
    returns_of,
)
from loyalty.topups.returning import BY_HAND, Loaded, LoadRefund, by_hand, counts_back, plan_refund, told_back, uses_back
from loyalty.topups.rules import LoadState, RefundTooLarge, own_principal, refundable_minor, require_amount, require_second_person

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
    """Out of bonus lots."""
    shortfall_minor: int
    """Bonus already spent, kept back from the principal."""
    discount_minor: int
    """To the funders of what the payer had not paid."""
    told: tuple[str, str] | None
    """What became of the bonus, in Chinese and English; None where there was none."""


class RefundQuote(msgspec.Struct, frozen=True, kw_only=True):
    """What a refund of a top-up would move, before it is done; amounts in minor units."""

    topup: Topup
    room_minor: int
    """The most that the profile takes back now."""
    refund: LoadRefund
    told: tuple[str, str] | None
    """What would become of the bonus, in Chinese and English; None where there is none."""
    two_people: bool
    """Whether the amount asks for a second person."""


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
    purses = await lock_purses(session, account_id=account.account_id)
    if await moved_after(session, topup=topup):
        raise NotTheLastMovement(topup=topup_id)
    booked = await transfers_of(session, account_id=topup.account_id, operation_id=topup_id, booked_at=topup.booked_at)
    loaded = await _loaded(session, topup, booked)
    refund = plan_refund(loaded, amount_minor=topup.amount_minor, lots=_lots(purses), currency=topup.currency, keep_back=False)
    await _use_reversal(session, topup, reversal_reference, topup.paid_minor, now)
    await _give_back(session, topup, loaded, refund)
    operation_id = uuid7(now)
    await ledger.post(
        session, account_id=topup.account_id, legs=[_mirror(row) for row in booked], operation_id=operation_id, event_at=now, now=now
    )
    _note_return(session, topup, refund, ReturnKind.VOID, operation_id, actor, now)
    topup.status = TopupStatus.VOIDED
    await _trace(session, topup, TopupStatus.VOIDED, "topups.voided", actor, reason, refund, approved_by, now)
    return topup


async def quote_refund(
    session: AsyncSession, *, policy: Policy, topup_id: UUID, now: datetime, amount_minor: int | None = None
) -> RefundQuote:
    """Say what a refund of a load would give back to whom; nothing is locked, so the refund itself may find less.

    Without `amount_minor` all that the profile takes back.

    :raises TopupNotFound, CannotMove, AccountNotOpen, LoadNotRefundable, AmountNotPositive, RefundTooLarge: as `refund_topup`
    """
    topup = await get_topup(session, topup_id=topup_id)
    require_move(TOPUP_MOVES, topup.status, TopupStatus.REFUNDED)
    _require_open(await get_account(session, account_id=topup.account_id))
    rules = policy.for_currency(topup.currency)
    planned = await _planned(session, rules, topup, await purses_of(session, account_id=topup.account_id), amount_minor, now)
    from_minor = rules.control.reversal_second_person_from_minor
    return RefundQuote(
        topup=topup,
        room_minor=planned.room_minor,
        refund=planned.refund,
        told=told_back(planned.refund, topup.currency),
        two_people=from_minor is not None and planned.refund.amount_minor >= from_minor,
    )


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
    rules = policy.for_currency(topup.currency)
    purses = await lock_purses(session, account_id=account.account_id)
    booked, loaded, _room, refund = await _planned(session, rules, topup, purses, amount_minor, now)
    wanted = refund.amount_minor
    _require_two(rules, topup, wanted, actor, approved_by)
    await _use_reversal(session, topup, reversal_reference, refund.paid_minor, now)
    await _give_back(session, topup, loaded, refund)
    operation_id = uuid7(now)
    principal = own_principal(purses).purse_id
    legs = _pieces(topup, booked, refund, [(principal, wanted)])
    if refund.paid_minor:
        load = _of_kind(booked, TransferKind.LOAD)
        legs.append(_leg(load, principal, load.debit_id, refund.paid_minor, TransferKind.REFUND))
    await ledger.post(session, account_id=topup.account_id, legs=legs, operation_id=operation_id, event_at=now, now=now)
    _note_return(session, topup, refund, ReturnKind.REFUND, operation_id, actor, now)
    if topup.returned_minor == topup.amount_minor:
        topup.status = TopupStatus.REFUNDED
    await _trace(session, topup, TopupStatus.REFUNDED, "topups.refunded", actor, reason, refund, approved_by, now)
    return TopupRefunded(
        operation_id=operation_id,
        topup=topup,
        paid_minor=refund.paid_minor,
        bonus_returned_minor=refund.bonus_minor,
        shortfall_minor=refund.shortfall_minor,
        discount_minor=refund.discount_minor,
        told=told_back(refund, topup.currency),
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
        amount_minor=sum(topup.paid_minor for topup in reversed_now),
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
    loaded = await _loaded(session, topup, booked)
    owed = topup.amount_minor - topup.returned_minor
    refund = plan_refund(loaded, amount_minor=owed, lots=_lots(purses), currency=topup.currency, keep_back=False)
    await _give_back(session, topup, loaded, refund)
    own = own_principal(purses)
    free = max(min(own.available_minor, owed), 0)
    # The wallet's money first: what is short is owed, whoever put it in.
    sources = [(own.purse_id, free), (receivable, owed - free)]
    legs: list[Leg] = []
    if refund.paid_minor:
        load = _of_kind(booked, TransferKind.LOAD)
        taken, sources = _taken(sources, refund.paid_minor)
        legs = [_leg(load, debit, load.debit_id, amount, TransferKind.VOID) for debit, amount in taken]
    legs += _pieces(topup, booked, refund, sources)
    operation_id = uuid7(now)
    await ledger.post(session, account_id=topup.account_id, legs=legs, operation_id=operation_id, event_at=now, now=now)
    _note_return(session, topup, refund, ReturnKind.REVERSAL, operation_id, actor, now)
    topup.status = TopupStatus.REVERSED
    await _trace(session, topup, TopupStatus.REVERSED, "topups.reversed", actor, reason, refund, None, now)
    return topup


async def _locked(session: AsyncSession, *, topup_id: UUID, to: TopupStatus) -> tuple[Topup, Account]:
    topup = await get_topup_for_update(session, topup_id=topup_id)
    require_move(TOPUP_MOVES, topup.status, to)
    account = await get_account_for_update(session, account_id=topup.account_id)
    _require_open(account)
    return topup, account


def _require_open(account: Account) -> None:
    if account.status is not AccountStatus.OPEN:
        raise AccountNotOpen(status=account.status.value, account=account.account_id)


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


def _leg(row: Transfer, debit: UUID, credit: UUID, amount_minor: int, kind: TransferKind) -> Leg:
    return Leg(debit, credit, amount_minor, kind, row.unit, row.card_id, row.station_id, row.transfer_id)


def _mirror(row: Transfer) -> Leg:
    # What a funder put into the principal was given, not paid: its return is told apart, as closures reckon with it.
    kind = TransferKind.BONUS_RETURN if row.kind is TransferKind.DISCOUNT else TransferKind.VOID
    return _leg(row, row.credit_id, row.debit_id, row.amount_minor, kind)


def _of_kind(rows: list[Transfer], kind: TransferKind) -> Transfer:
    return next(row for row in rows if row.kind is kind)


def _lots(purses: list[PurseView]) -> dict[UUID, int]:
    """Return what is free in each bonus lot."""
    return {purse.purse_id: purse.available_minor for purse in purses if purse.kind == PurseKind.BONUS}


Sources = list[tuple[UUID, int]]
"""Purses that give principal back, each so much at most, in this order."""


def _taken(sources: Sources, amount_minor: int) -> tuple[Sources, Sources]:
    """Take an amount from the first sources first; return what each gave, and what is left."""
    taken: Sources = []
    left: Sources = []
    for purse_id, there in sources:
        given = min(there, amount_minor)
        amount_minor -= given
        taken += [(purse_id, given)] if given else []
        left += [(purse_id, there - given)] if there > given else []
    assert not amount_minor, "the sources hold what goes back"
    return taken, left


def _pieces(topup: Topup, booked: list[Transfer], refund: LoadRefund, sources: Sources) -> list[Leg]:
    """Return the legs that give each funder its part back: out of its lot, or out of these sources."""
    grants = {(row.debit_id, row.credit_id): row for row in booked if row.kind is TransferKind.BONUS}
    discounts = {row.debit_id: row for row in booked if row.kind is TransferKind.DISCOUNT}
    legs: list[Leg] = []
    for piece in refund.pieces:
        code = HouseCode.DISCOUNT if piece.kind == DISCOUNT else HouseCode.BONUS
        house = house_id(code, topup.currency, piece.funder)
        row = discounts[house] if piece.lot is None else grants[house, piece.lot]
        if piece.source is not None:
            taken = [(piece.source, piece.amount_minor)]
        else:
            taken, sources = _taken(sources, piece.amount_minor)
        legs += [_leg(row, debit, house, amount, TransferKind.BONUS_RETURN) for debit, amount in taken]
    return legs


async def _loaded(session: AsyncSession, topup: Topup, booked: list[Transfer]) -> Loaded:
    """Return a top-up's benefits and what went back of them; bonus money given by hand is one of them."""
    benefits: list[dict[str, Any]] = list((topup.detail or {}).get("benefits", ()))
    earlier = [row.benefits or [] for row in await returns_of(session, topup_id=topup.topup_id)]
    hand = topup.bonus_minor - sum(one["given"] for one in benefits if one["kind"] == BONUS)
    if hand:
        funder = topup.bonus_funder or OFFICE
        house = house_id(HouseCode.BONUS, topup.currency, funder)
        lots = {UUID(one["lot"]) for one in benefits if one["kind"] == BONUS and expiry_of(one) != topup.bonus_expires_at}
        lot = next(
            row.credit_id for row in booked if row.kind is TransferKind.BONUS and row.debit_id == house and row.credit_id not in lots
        )
        benefits.append(by_hand(hand, funder, lot))
        # The release before kept no rows of what went back.
        known = sum(amount for back in earlier for _, kind, amount in back if kind == BONUS)
        if topup.bonus_returned_minor > known:
            earlier.insert(0, [[BY_HAND, BONUS, topup.bonus_returned_minor - known]])
    return Loaded(topup.amount_minor, topup.returned_minor, benefits, earlier)


async def _give_back(session: AsyncSession, topup: Topup, loaded: Loaded, refund: LoadRefund) -> None:
    """Give counters and budgets back what the rules took of them; what they granted is taken back by the room that collects it."""
    await budgets.count(session, counts=counts_back((topup.detail or {}).get("counts", ()), loaded, refund.amount_minor))
    await budgets.take(session, uses=uses_back(loaded, refund.back))


def _note_return(
    session: AsyncSession, topup: Topup, refund: LoadRefund, kind: ReturnKind, operation_id: UUID, actor: Actor, now: datetime
) -> None:
    topup.returned_minor += refund.amount_minor
    topup.bonus_returned_minor += refund.bonus_minor + refund.shortfall_minor
    topup.discount_returned_minor += refund.discount_minor
    session.add(
        TopupReturn(
            return_id=operation_id,
            account_id=topup.account_id,
            topup_id=topup.topup_id,
            kind=kind,
            amount_minor=refund.amount_minor,
            paid_minor=refund.paid_minor,
            discount_minor=refund.discount_minor,
            bonus_minor=refund.bonus_minor,
            shortfall_minor=refund.shortfall_minor,
            benefits=[list(one) for one in refund.back] or None,
            booked_at=now,
            staff_id=actor.staff_id,
            station_id=topup.station_id,
        )
    )


class _Planned(NamedTuple):
    booked: list[Transfer]
    loaded: Loaded
    room_minor: int
    refund: LoadRefund


async def _planned(
    session: AsyncSession, rules: Policy, topup: Topup, purses: list[PurseView], amount_minor: int | None, now: datetime
) -> _Planned:
    """Divide a refund of so much, or of all that the profile takes back.

    :raises LoadNotRefundable, AmountNotPositive, RefundTooLarge: as `refund_topup`
    """
    assert topup.booked_at is not None, "a booked one has its time"
    booked = await transfers_of(session, account_id=topup.account_id, operation_id=topup.topup_id, booked_at=topup.booked_at)
    loaded = await _loaded(session, topup, booked)
    state = await _state_of(session, topup, loaded, purses)
    room = refundable_minor(rules, state, booked_at=topup.booked_at, now=now, currency=topup.currency)
    wanted = room if amount_minor is None else amount_minor
    require_amount(wanted)
    if wanted > room:
        raise RefundTooLarge(room=shown(room, topup.currency), room_minor=room, wanted=shown(wanted, topup.currency))
    return _Planned(booked, loaded, room, plan_refund(loaded, amount_minor=wanted, lots=_lots(purses), currency=topup.currency))


async def _state_of(session: AsyncSession, topup: Topup, loaded: Loaded, purses: list[PurseView]) -> LoadState:
    rest = plan_refund(
        loaded, amount_minor=topup.amount_minor - topup.returned_minor, lots=_lots(purses), currency=topup.currency, keep_back=False
    )
    return LoadState(
        amount_minor=topup.amount_minor,
        bonus_minor=topup.bonus_minor,
        returned_minor=topup.returned_minor,
        bonus_returned_minor=topup.bonus_returned_minor,
        principal_minor=own_principal(purses).available_minor,
        bonus_left_minor=rest.bonus_minor,
        loaded_since_minor=await loaded_since(session, topup=topup),
        used_before=await bought_before(session, topup=topup),
    )


async def _trace(
    session: AsyncSession,
    topup: Topup,
    to: TopupStatus,
    action: str,
    actor: Actor,
    reason: str,
    refund: LoadRefund,
    approved_by: UUID | None,
    now: datetime,
) -> None:
    amount = refund.amount_minor
    facts = {"amount_minor": amount, "currency": topup.currency, "reason": reason, "approved_by": approved_by}
    note(
        session,
        subject=("topup", topup.topup_id),
        moved_to=to,
        actor=actor,
        reason=reason,
        facts={
            "amount_minor": amount,
            "paid_minor": refund.paid_minor,
            "approved_by": None if approved_by is None else str(approved_by),
        },
        now=now,
    )
    await audit.record(
        session, actor=actor, action=action, subject=("topup", topup.topup_id), facts=facts, station_id=topup.station_id, now=now
    )
    await session.flush()
