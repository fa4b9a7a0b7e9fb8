"""Vouchers at an outlet: admitted by their code, reserved, redeemed, rolled back; and what time ends.

An outlet's key has one effect for ever. Whoever locks, locks the voucher, then its redemptions.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import Select, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.db import Sessions, locked, transaction
from loyalty.errors import Refusal
from loyalty.identity.model import AttemptKind
from loyalty.identity.operations import attempts
from loyalty.ids import uuid7
from loyalty.rewards.model_vouchers import (
    REDEMPTION_MOVES,
    VOUCHER_MOVES,
    RedemptionStatus,
    Voucher,
    VoucherKind,
    VoucherRedemption,
    VoucherStatus,
)
from loyalty.rewards.queries.vouchers import RedemptionView, get_voucher_for_update, paid_with
from loyalty.rewards.voucher_codes import code_index
from loyalty.rewards.voucher_rules import RESERVED_FOR, Outlet, Standing, after_roll_back, as_then, read_voucher_code, unfit, use_of

from .vouchers import Step, VoucherCannotMove, note

_BATCH: Final = 1000


class CodeNotHonoured(Refusal):
    """Unknown, another's, used, run out, set aside, not for here or not for this vehicle: the answer is the same."""

    status = 404
    zh = "此券码在本网点不能使用。"
    en = "This voucher code is not honoured here."
    next_zh = "请与顾客核对券码；可用网点、车牌和有效期以持卡人页面为准。"
    next_en = "Check the code with the customer: their own page says where, for which vehicle and until when it is good."


class TooManyWrongCodes(Refusal):
    """The outlet's tries are used up for now, whatever the code."""

    status = 429
    zh = "本终端错误券码过多，暂停核销。"
    en = "Too many codes that were not honoured came from here: no more are looked at for now."
    next_zh = "请稍后再试，或联系站长。"
    next_en = "Wait a few minutes, or ask the manager."


class VoucherKeyReused(Refusal):
    """The key carried another request before."""

    status = 422
    zh = "该幂等键已用于另一次核销请求。"
    en = "This key was used for another request."
    next_zh = "新的请求须使用新的键；重试须与原请求完全一致。"
    next_en = "A new request takes a new key; a retry is the same request."


class RedemptionRolledBack(Refusal):
    """It was rolled back, perhaps before it came."""

    zh = "该次核销已被撤销。"
    en = "This redemption was rolled back."
    next_zh = "如仍需使用，请用新的键重新核销。"
    next_en = "To use the voucher, begin again with a new key."


class RedemptionUnknown(Refusal):
    """Nothing was reserved under this key."""

    status = 404
    zh = "没有此次核销。"
    en = "There is no such redemption."
    next_zh = "请核对键，或重新核销。"
    next_en = "Check the key, or begin again."


class ReservationLapsed(Refusal):
    """It was set aside for too long."""

    zh = "预留已超时释放。"
    en = "The reservation has lapsed."
    next_zh = "请用新的键重新核销。"
    next_en = "Begin again with a new key."


class RollBackTooLate(Refusal):
    """The kind's window for undoing is over."""

    zh = "已超过可撤销时间（{minutes} 分钟）。"
    en = "It may be rolled back within {minutes} minutes only."
    next_zh = "请由总部处理。"
    next_en = "The office decides about it."


class PaidASale(Refusal):
    """It goes back with the sale, or the sale would be paid by nothing."""

    status = 409
    zh = "该券已用于支付一笔消费。"
    en = "This voucher paid a part of a sale."
    next_zh = "请对该笔消费退款，券会随之恢复。"
    next_en = "Refund the sale; the voucher comes back with it."


class AmountNotTaken(Refusal):
    """More than was reserved, nothing, or an amount for what is no money."""

    status = 422
    zh = "核销金额无效。"
    en = "The amount is not one that this redemption can have."
    next_zh = "金额须大于零且不超过预留金额；非金额券不填金额。"
    next_en = "Give more than nothing and no more than was reserved; none for a voucher that is no money."


async def admit_code(
    session: AsyncSession, *, typed: str, at: Outlet, key: UUID, now: datetime, plate: str | None = None, plate_later: bool = False
) -> UUID | None:
    """Return the voucher that a typed or scanned code names, if it may be reserved here; None for every other code.

    `plate_later`: it is only looked at; whoever uses it compares the plate then.

    The try is counted as a guess before it is judged: the caller commits before it answers. A slip that the check character catches is no
    guess. A retry of a key that was used for this voucher is admitted whatever became of it.

    :raises TooManyWrongCodes: if the outlet's tries are used up
    :raises VoucherKeyReused: if the key was used for another voucher
    :raises RedemptionRolledBack: if the key's roll-back came before it
    """
    code = read_voucher_code(typed)
    if code is None:
        return None
    if not await attempts.take_attempt(session, kind=AttemptKind.VOUCHER_CODE, subject=at.caller, now=now):
        raise TooManyWrongCodes
    found = (
        await session.execute(
            select(Voucher, VoucherKind.outlets)
            .join(VoucherKind, VoucherKind.kind_id == Voucher.kind_id)
            .where(Voucher.code_index == code_index(code))
            .execution_options(populate_existing=True)
        )
    ).first()
    known = await _by_key(session, at.caller, key)
    if known is not None:
        _require_same(known, found[0].voucher_id if found is not None else None)
    elif found is None or unfit(
        await _standing(session, found[0], found[1], now), at=at.names, plate=found[0].plate if plate_later else plate, now=now
    ):
        return None
    assert found is not None, "a key's voucher is the code's"
    await attempts.forgive(session, kind=AttemptKind.VOUCHER_CODE, subject=at.caller, only_this=True)
    return found[0].voucher_id


async def reserve(
    session: AsyncSession,
    *,
    voucher_id: UUID,
    at: Outlet,
    key: UUID,
    actor: Actor,
    now: datetime,
    amount_minor: int | None = None,
    plate: str | None = None,
    hold_for: timedelta = RESERVED_FOR,
    served_at: datetime | None = None,
) -> RedemptionView:
    """Set a voucher aside at an outlet, once for its key; `amount_minor` (None: all) is what the customer would save, cut to what is left.

    Of any number that try at once one gets it. While it is set aside the rest of it cannot be used elsewhere. `served_at`: it was served
    then, and nobody could be asked; a voucher that has ended since is as good as it was.

    :raises VoucherNotFound: if there is no such voucher
    :raises CodeNotHonoured: if it is not good here and now
    :raises VoucherKeyReused: if the key was used for another request
    :raises RedemptionRolledBack: if the key's roll-back came before it
    :raises AmountNotTaken: if the amount is not positive, or the voucher is no money
    """
    voucher, kind = await get_voucher_for_update(session, voucher_id=voucher_id)
    known = await _by_key(session, at.caller, key)
    if known is not None:
        _require_same(known, voucher_id)
        if known.asked_minor != amount_minor:
            raise VoucherKeyReused
        return _view(known)
    await _release_lapsed(session, voucher, actor=actor, now=now)
    standing = _as_it_is(voucher, kind.outlets)
    if served_at is not None:
        standing = as_then(standing, served_at)
    if unfit(standing, at=at.names, plate=plate, now=served_at or now) is not None:
        raise CodeNotHonoured
    if amount_minor is not None and (voucher.left_minor is None or amount_minor <= 0):
        raise AmountNotTaken
    use = use_of(left_minor=voucher.left_minor, partial=voucher.partial, amount_minor=amount_minor)
    redemption_id = uuid7(now)
    made = await session.scalar(
        upsert(VoucherRedemption)
        .values(
            redemption_id=redemption_id,
            caller=at.caller,
            key=key,
            voucher_id=voucher_id,
            status=RedemptionStatus.RESERVED,
            in_parts=voucher.partial,
            asked_minor=amount_minor,
            taken_minor=use.taken_minor,
            honoured_minor=use.honoured_minor,
            outlet=at.name,
            station_id=at.station_id,
            terminal_id=at.terminal_id,
            staff_id=actor.staff_id,
            reserved_at=now,
            reserved_until=now + hold_for,
            reason="",
        )
        .on_conflict_do_nothing(index_elements=["caller", "key"])
        .returning(VoucherRedemption.redemption_id)
    )
    if made is None:
        # The same key came for another voucher, or for its own roll-back, in this very moment.
        raise VoucherKeyReused
    await _move(session, voucher, VoucherStatus.RESERVED, redemption_id=made, actor=actor, now=now)
    return _view(await session.get_one(VoucherRedemption, made))


async def redeem(
    session: AsyncSession, *, at: Outlet, key: UUID, actor: Actor, now: datetime, amount_minor: int | None = None
) -> RedemptionView:
    """Use what was reserved under a key; less where `amount_minor` says so: of a voucher in parts the rest stays, another is used whole.

    Again it gives the same answer. A voucher that ran out while it was set aside is honoured.

    :raises RedemptionUnknown: if nothing was reserved under the key
    :raises RedemptionRolledBack: if it was rolled back
    :raises ReservationLapsed: if it was set aside for too long
    :raises AmountNotTaken: if the amount is more than was reserved, or not positive
    """
    voucher, _, redemption = await _redemption_for_update(session, at.caller, key)
    if redemption.status is RedemptionStatus.REDEEMED:
        if amount_minor is not None and amount_minor != redemption.honoured_minor:
            raise VoucherKeyReused
        return _view(redemption)
    _require_redemption_move(redemption, RedemptionStatus.REDEEMED)
    if redemption.reserved_until is not None and redemption.reserved_until <= now:
        raise ReservationLapsed
    if amount_minor is not None and (redemption.honoured_minor is None or not 0 < amount_minor <= redemption.honoured_minor):
        raise AmountNotTaken
    await use(session, voucher, redemption, amount_minor=amount_minor, actor=actor, now=now)
    return _view(redemption)


async def use(
    session: AsyncSession, voucher: Voucher, redemption: VoucherRedemption, *, amount_minor: int | None, actor: Actor, now: datetime
) -> None:
    """Turn a locked reservation of a locked voucher into its use, for all that was set aside or for `amount_minor` of it."""
    if amount_minor is not None:
        redemption.honoured_minor = amount_minor
        redemption.taken_minor = amount_minor if voucher.partial else redemption.taken_minor
    redemption.status = RedemptionStatus.REDEEMED
    redemption.redeemed_at, redemption.reserved_until = now, None
    change = None
    if voucher.left_minor is not None and redemption.taken_minor is not None:
        change = -redemption.taken_minor
        voucher.left_minor += change
    to = VoucherStatus.ISSUED if voucher.left_minor else VoucherStatus.REDEEMED
    await _move(session, voucher, to, redemption_id=redemption.redemption_id, change_minor=change, actor=actor, now=now)


async def roll_back(session: AsyncSession, *, at: Outlet, key: UUID, reason: str, actor: Actor, now: datetime) -> RedemptionView:
    """Undo what a key did; the voucher is issued again, after its expiry expired.

    A reservation may always be undone, a redemption within the kind's minutes. A key that is not known leaves a tombstone, which refuses
    the late reservation. Again it gives the same answer.

    :raises RollBackTooLate: if the kind's window is over
    :raises PaidASale: if a booked sale was paid with it
    """
    tombstone = await session.scalar(
        upsert(VoucherRedemption)
        .values(
            redemption_id=uuid7(now),
            caller=at.caller,
            key=key,
            voucher_id=None,
            status=RedemptionStatus.TOMBSTONE,
            in_parts=False,
            outlet=at.name,
            station_id=at.station_id,
            terminal_id=at.terminal_id,
            staff_id=actor.staff_id,
            reserved_at=now,
            rolled_back_at=now,
            reason=reason,
        )
        .on_conflict_do_nothing(index_elements=["caller", "key"])
        .returning(VoucherRedemption.redemption_id)
    )
    if tombstone is not None:
        return _view(await session.get_one(VoucherRedemption, tombstone))
    known = await _by_key(session, at.caller, key)
    if known is not None and known.status is RedemptionStatus.TOMBSTONE:
        return _view(known)
    voucher, kind, redemption = await _redemption_for_update(session, at.caller, key)
    if redemption.status is RedemptionStatus.ROLLED_BACK:
        return _view(redemption)
    if redemption.redeemed_at is not None and now > redemption.redeemed_at + timedelta(minutes=kind.rollback_minutes):
        raise RollBackTooLate(minutes=kind.rollback_minutes)
    if await paid_with(session, redemption=redemption) is not None:
        raise PaidASale
    await undo(session, voucher, redemption, reason=reason, actor=actor, now=now)
    return _view(redemption)


async def reserve_code(
    sessions: Sessions,
    *,
    typed: str,
    at: Outlet,
    key: UUID,
    actor: Actor,
    now: datetime,
    amount_minor: int | None = None,
    plate: str | None = None,
) -> RedemptionView:
    """Admit a code and set its voucher aside, in two transactions, since the guess counts although it is refused; raises like both."""
    voucher_id = await admitted(sessions, typed=typed, at=at, key=key, plate=plate, now=now)
    async with transaction(sessions) as session:
        return await reserve(session, voucher_id=voucher_id, at=at, key=key, amount_minor=amount_minor, plate=plate, actor=actor, now=now)


async def redeem_code(
    sessions: Sessions,
    *,
    typed: str,
    at: Outlet,
    key: UUID,
    actor: Actor,
    now: datetime,
    amount_minor: int | None = None,
    plate: str | None = None,
) -> RedemptionView:
    """Admit a code and use its voucher at once, as a counter does; raises like `admit_code`, `reserve` and `redeem`."""
    voucher_id = await admitted(sessions, typed=typed, at=at, key=key, plate=plate, now=now)
    async with transaction(sessions) as session:
        await reserve(session, voucher_id=voucher_id, at=at, key=key, amount_minor=amount_minor, plate=plate, actor=actor, now=now)
        return await redeem(session, at=at, key=key, actor=actor, now=now)


async def admitted(sessions: Sessions, *, typed: str, at: Outlet, key: UUID, plate: str | None, now: datetime) -> UUID:
    """Admit a code in a transaction of its own, so that the guess counts; raises like `admit_code`.

    :raises CodeNotHonoured: if it is not admitted
    """
    async with transaction(sessions) as session:
        voucher_id = await admit_code(session, typed=typed, at=at, key=key, plate=plate, now=now)
    if voucher_id is None:
        raise CodeNotHonoured
    return voucher_id


_EXPIRE = text(
    """
    WITH due AS (
        SELECT voucher_id FROM vouchers WHERE status = 'issued' AND expires_at <= :now
        ORDER BY expires_at LIMIT :batch FOR UPDATE SKIP LOCKED
    ), ended AS (
        UPDATE vouchers v SET status = 'expired' FROM due WHERE v.voucher_id = due.voucher_id RETURNING v.voucher_id
    )
    INSERT INTO voucher_events (voucher_id, moved_to, happened_at, actor_kind, actor_id, reason)
    SELECT voucher_id, 'expired', :now, :actor_kind, :actor_id, 'expired' FROM ended RETURNING voucher_id
    """
)


async def expire_due(session: AsyncSession, *, actor: Actor, now: datetime, limit: int = _BATCH) -> int:
    """End vouchers whose time is over, set-based, at most `limit`; return how many. One that is set aside ends when that does."""
    found = await session.execute(_EXPIRE, {"now": now, "batch": limit, "actor_kind": actor.kind.value, "actor_id": str(actor.actor_id)})
    return len(found.all())


async def release_lapsed(session: AsyncSession, *, actor: Actor, now: datetime, limit: int = _BATCH) -> int:
    """Free vouchers that an outlet set aside and did not redeem in time, at most `limit`; return how many."""
    lapsed = (
        select(VoucherRedemption.voucher_id)
        .where(VoucherRedemption.status == RedemptionStatus.RESERVED, VoucherRedemption.reserved_until <= now)
        .order_by(VoucherRedemption.reserved_until)
        .limit(limit)
    )
    found = locked(select(Voucher).where(Voucher.voucher_id.in_(lapsed)).order_by(Voucher.voucher_id))
    released = 0
    for voucher in list(await session.scalars(found)):
        released += await _release_lapsed(session, voucher, actor=actor, now=now)
    return released


async def _by_key(session: AsyncSession, caller: str, key: UUID) -> VoucherRedemption | None:
    statement = select(VoucherRedemption).where(VoucherRedemption.caller == caller, VoucherRedemption.key == key)
    found: VoucherRedemption | None = await session.scalar(statement.execution_options(populate_existing=True))
    return found


def _require_same(known: VoucherRedemption, voucher_id: UUID | None) -> None:
    """Hold a retry against what its key did.

    :raises RedemptionRolledBack: if its roll-back came before it
    :raises VoucherKeyReused: if it was another voucher
    """
    if known.status is RedemptionStatus.TOMBSTONE:
        raise RedemptionRolledBack
    if known.voucher_id != voucher_id:
        raise VoucherKeyReused


async def _redemption_for_update(session: AsyncSession, caller: str, key: UUID) -> tuple[Voucher, VoucherKind, VoucherRedemption]:
    """Lock a key's voucher, then what the key did.

    :raises RedemptionUnknown: if nothing was reserved under the key
    :raises RedemptionRolledBack: if its roll-back came before it
    """
    known = await _by_key(session, caller, key)
    if known is None:
        raise RedemptionUnknown
    if known.voucher_id is None:
        raise RedemptionRolledBack
    voucher, kind = await get_voucher_for_update(session, voucher_id=known.voucher_id)
    await session.refresh(known, with_for_update=True)
    return voucher, kind, known


async def _release_lapsed(session: AsyncSession, voucher: Voucher, *, actor: Actor, now: datetime) -> int:
    """Roll a locked voucher's reservation back if its time is over; return how many that were."""
    if voucher.status is not VoucherStatus.RESERVED:
        return 0
    redemption = (await session.scalars(locked(_open(voucher.voucher_id)))).one()
    if redemption.reserved_until is None or redemption.reserved_until > now:
        return 0
    paid = await paid_with(session, redemption=redemption)
    if paid is not None and 0 < paid <= (redemption.honoured_minor or 0):
        # Whoever set it aside is gone, but the sale that it pays is booked.
        await use(session, voucher, redemption, amount_minor=paid, actor=actor, now=now)
        return 0
    await undo(session, voucher, redemption, reason="lapsed", actor=actor, now=now)
    return 1


async def undo(session: AsyncSession, voucher: Voucher, redemption: VoucherRedemption, *, reason: str, actor: Actor, now: datetime) -> None:
    """Roll a locked reservation or use of a locked voucher back, whatever the kind's minutes say."""
    _require_redemption_move(redemption, RedemptionStatus.ROLLED_BACK)
    was_open = redemption.status is RedemptionStatus.RESERVED
    redemption.status = RedemptionStatus.ROLLED_BACK
    redemption.rolled_back_at, redemption.reserved_until, redemption.reason = now, None, reason
    change = None
    if not was_open and voucher.left_minor is not None and redemption.taken_minor is not None:
        change = redemption.taken_minor
        voucher.left_minor += change
    to = after_roll_back(voucher.status, was_open=was_open, expires_at=voucher.expires_at, now=now)
    about = f"rolled back: {reason}"
    await _move(session, voucher, to, redemption_id=redemption.redemption_id, change_minor=change, reason=about, actor=actor, now=now)


async def _move(
    session: AsyncSession,
    voucher: Voucher,
    to: VoucherStatus,
    *,
    redemption_id: UUID,
    actor: Actor,
    now: datetime,
    change_minor: int | None = None,
    reason: str = "",
) -> None:
    """Move a locked voucher and append its line; where only its value changes it stays where it is."""
    if to is not voucher.status and to not in VOUCHER_MOVES[voucher.status]:
        raise VoucherCannotMove(status=voucher.status.value, to=to.value)
    voucher.status = to
    await session.flush()
    await note(session, [Step(voucher.voucher_id, to, change_minor, redemption_id)], reason=reason, actor=actor, now=now)


def _require_redemption_move(redemption: VoucherRedemption, to: RedemptionStatus) -> None:
    if to not in REDEMPTION_MOVES[redemption.status]:
        raise RedemptionRolledBack


async def _standing(session: AsyncSession, voucher: Voucher, outlets: list[str], now: datetime) -> Standing:
    """Return what decides about a voucher, one whose reservation has lapsed as if it were free again."""
    standing = _as_it_is(voucher, outlets)
    if voucher.status is VoucherStatus.RESERVED:
        until = await session.scalar(_open(voucher.voucher_id).with_only_columns(VoucherRedemption.reserved_until))
        if until is not None and until <= now:
            return standing._replace(status=VoucherStatus.ISSUED)
    return standing


def _as_it_is(voucher: Voucher, outlets: list[str]) -> Standing:
    return Standing(voucher.status, voucher.expires_at, outlets, voucher.plate)


def _open(voucher_id: UUID) -> Select[VoucherRedemption]:
    return select(VoucherRedemption).where(
        VoucherRedemption.voucher_id == voucher_id, VoucherRedemption.status == RedemptionStatus.RESERVED
    )


def _view(redemption: VoucherRedemption) -> RedemptionView:
    return msgspec.convert(redemption, RedemptionView, from_attributes=True)
