"""Manual corrections: a maker and a checker, two people, each with a name under it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.errors import NotAllowed, Refusal
from loyalty.ids import uuid7
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import Account, AccountStatus, HouseCode, PurseKind, TransferKind
from loyalty.ledger.operations import AccountNotOpen, InsufficientFunds, Leg
from loyalty.ledger.queries import get_account_for_update, lock_purses
from loyalty.ledger.rules import PurseView, allocate
from loyalty.money import decimal_text, shown
from loyalty.topups.model import ADJUSTMENT_MOVES, Adjustment, AdjustmentKind, AdjustmentStatus
from loyalty.topups.queries import get_adjustment_for_update
from loyalty.topups.rules import debt_of, own_principal, require_amount, require_second_person

from .freezes import hold_frozen_amounts
from .traces import note, require_move, staff_of

FOUR_EYES = "maker-checker"
"""What a refusal names: every adjustment has two people, whatever the profile."""


class ReasonNeeded(Refusal):
    """An adjustment says why."""

    status = 422
    zh = "调账须填写原因代码和说明。"
    en = "An adjustment needs a reason code and a note."
    next_zh = "请补充说明后提交。"
    next_en = "Add them and submit again."


class WriteOffTooLarge(Refusal):
    """No more is forgiven than is owed."""

    status = 422
    zh = "最多可核销 {owed}，申请了 {wanted}。"
    en = "At most {owed} can be written off; {wanted} was asked for."
    next_zh = "请按欠款金额申请。"
    next_en = "Ask for no more than that."


async def propose_adjustment(
    session: AsyncSession,
    *,
    account_id: UUID,
    kind: AdjustmentKind,
    amount_minor: int,
    reason_code: str,
    note_text: str,
    actor: Actor,
    now: datetime,
    bonus: bool = False,
    bonus_expires_at: datetime | None = None,
) -> Adjustment:
    """Propose to put so much onto an account, take it off, or forgive what is owed. Nothing moves until somebody else approves.

    :raises AccountNotFound: if there is no such account
    :raises AccountNotOpen: if it is closed; what a closed account owes can still be written off
    :raises AmountNotPositive: if there is nothing to adjust
    :raises ReasonNeeded: if it does not say why
    """
    staff_id = staff_of(actor)
    require_amount(amount_minor)
    if not reason_code.strip() or not note_text.strip():
        raise ReasonNeeded
    account = await get_account_for_update(session, account_id=account_id)
    _require_living(account, kind)
    made = Adjustment(
        adjustment_id=uuid7(now),
        account_id=account_id,
        kind=kind,
        status=AdjustmentStatus.PROPOSED,
        bonus=bonus and kind is not AdjustmentKind.WRITE_OFF,
        bonus_expires_at=bonus_expires_at if bonus else None,
        currency=account.currency,
        amount_minor=amount_minor,
        reason_code=reason_code.strip(),
        note=note_text.strip(),
        made_by=staff_id,
        made_at=now,
    )
    session.add(made)
    await _trace(session, made, "topups.adjustment_proposed", actor, made.reason_code, now)
    return made


async def approve_adjustment(session: AsyncSession, *, adjustment_id: UUID, actor: Actor, now: datetime) -> Adjustment:
    """Approve somebody else's proposal and book it.

    :raises AdjustmentNotFound: if there is none
    :raises CannotMove: if it was decided before
    :raises SecondPersonNeeded: if the maker approves
    :raises AccountNotOpen: if the account is closed
    :raises InsufficientFunds: if it does not hold what is taken off
    :raises WriteOffTooLarge: if less is owed by now
    """
    found = await get_adjustment_for_update(session, adjustment_id=adjustment_id)
    require_move(ADJUSTMENT_MOVES, found.status, AdjustmentStatus.APPROVED)
    _require_other(found, actor)
    account = await get_account_for_update(session, account_id=found.account_id)
    _require_living(account, found.kind)
    purses = await lock_purses(session, account_id=account.account_id)
    match found.kind:
        case AdjustmentKind.CREDIT:
            legs = [await _credit(session, found, purses, now)]
        case AdjustmentKind.DEBIT:
            legs = await _debit(session, found, purses, now)
        case AdjustmentKind.WRITE_OFF:
            legs = await _write_off(session, found, purses, now)
    await ledger.post(session, account_id=found.account_id, legs=legs, operation_id=found.adjustment_id, event_at=now, now=now)
    await hold_frozen_amounts(session, account_id=found.account_id, now=now)
    found.status = AdjustmentStatus.APPROVED
    found.decided_by = staff_of(actor)
    found.decided_at = now
    await _trace(session, found, "topups.adjustment_approved", actor, "", now)
    return found


async def reject_adjustment(session: AsyncSession, *, adjustment_id: UUID, reason: str, actor: Actor, now: datetime) -> Adjustment:
    """Turn somebody else's proposal down.

    :raises AdjustmentNotFound: if there is none
    :raises CannotMove: if it was decided before
    :raises SecondPersonNeeded: if the maker does so: who changes his mind withdraws
    :raises ReasonNeeded: if it does not say why
    """
    if not reason.strip():
        raise ReasonNeeded
    found = await get_adjustment_for_update(session, adjustment_id=adjustment_id)
    require_move(ADJUSTMENT_MOVES, found.status, AdjustmentStatus.REJECTED)
    _require_other(found, actor)
    found.status = AdjustmentStatus.REJECTED
    found.decided_by = staff_of(actor)
    found.decided_at = now
    await _trace(session, found, "topups.adjustment_rejected", actor, reason.strip(), now)
    return found


async def withdraw_adjustment(session: AsyncSession, *, adjustment_id: UUID, actor: Actor, now: datetime) -> Adjustment:
    """Take one's own proposal back.

    :raises AdjustmentNotFound: if there is none
    :raises CannotMove: if it was decided before
    :raises NotAllowed: if it is somebody else's
    """
    found = await get_adjustment_for_update(session, adjustment_id=adjustment_id)
    require_move(ADJUSTMENT_MOVES, found.status, AdjustmentStatus.WITHDRAWN)
    if found.made_by != staff_of(actor):
        raise NotAllowed
    found.status = AdjustmentStatus.WITHDRAWN
    found.decided_by = found.made_by
    found.decided_at = now
    await _trace(session, found, "topups.adjustment_withdrawn", actor, "", now)
    return found


def _require_living(account: Account, kind: AdjustmentKind) -> None:
    if account.status is AccountStatus.CLOSED and kind is not AdjustmentKind.WRITE_OFF:
        raise AccountNotOpen(status=account.status.value, account=account.account_id)


def _require_other(found: Adjustment, actor: Actor) -> None:
    require_second_person(
        rule=FOUR_EYES,
        from_minor=0,
        amount_minor=found.amount_minor,
        currency=found.currency,
        first=found.made_by,
        second=staff_of(actor),
    )


async def _house(session: AsyncSession, found: Adjustment, now: datetime) -> UUID:
    return await ledger.ensure_house(session, code=HouseCode.ADJUSTMENT, currency=found.currency, reference=found.reason_code, now=now)


async def _credit(session: AsyncSession, found: Adjustment, purses: list[PurseView], now: datetime) -> Leg:
    purse_id = own_principal(purses).purse_id
    if found.bonus:
        purse_id = await ledger.ensure_purse(
            session,
            account_id=found.account_id,
            kind=PurseKind.BONUS,
            unit=found.currency,
            expires_at=found.bonus_expires_at,
            now=now,
        )
    return Leg(await _house(session, found, now), purse_id, found.amount_minor, TransferKind.ADJUSTMENT, found.currency)


async def _debit(session: AsyncSession, found: Adjustment, purses: list[PurseView], now: datetime) -> list[Leg]:
    house = await _house(session, found, now)
    given = [own_principal(purses)]
    if found.bonus:
        given = [purse for purse in purses if purse.kind == PurseKind.BONUS and (purse.expires_at is None or purse.expires_at > now)]
    takes = allocate(given, found.amount_minor)
    available = sum(take.amount_minor for take in takes)
    if available < found.amount_minor:
        raise InsufficientFunds(
            available=decimal_text(available, found.currency), wanted=decimal_text(found.amount_minor, found.currency), unit=found.currency
        )
    return [Leg(take.purse_id, house, take.amount_minor, TransferKind.ADJUSTMENT, found.currency) for take in takes]


async def _write_off(session: AsyncSession, found: Adjustment, purses: list[PurseView], now: datetime) -> list[Leg]:
    owed = debt_of(purses)
    if found.amount_minor > owed:
        raise WriteOffTooLarge(owed=shown(owed, found.currency), owed_minor=owed, wanted=shown(found.amount_minor, found.currency))
    house = await ledger.ensure_house(session, code=HouseCode.WRITE_OFF, currency=found.currency, reference=found.reason_code, now=now)
    legs: list[Leg] = []
    left = found.amount_minor
    for purse in purses:
        if purse.kind == PurseKind.RECEIVABLE and purse.unit == found.currency and purse.balance_minor < 0 and left > 0:
            forgiven = min(-purse.balance_minor, left)
            legs.append(Leg(house, purse.purse_id, forgiven, TransferKind.ADJUSTMENT, found.currency))
            left -= forgiven
    return legs


async def _trace(session: AsyncSession, found: Adjustment, action: str, actor: Actor, reason: str, now: datetime) -> None:
    note(session, subject=("adjustment", found.adjustment_id), moved_to=found.status, actor=actor, reason=reason, now=now)
    await audit.record(
        session,
        actor=actor,
        action=action,
        subject=("adjustment", found.adjustment_id),
        facts={
            "account": found.account_id,
            "kind": found.kind.value,
            "amount_minor": found.amount_minor,
            "currency": found.currency,
            "reason_code": found.reason_code,
        },
        now=now,
    )
    await session.flush()
