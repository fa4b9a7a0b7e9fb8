"""The catalogue, and pieces that come, go and are counted. A balance changes only together with the line that says why."""

from datetime import datetime
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.money import minor_digits
from loyalty.rewards.gift_rules import steps_are_sound
from loyalty.rewards.model_gifts import CENTRAL, Gift, GiftMove, GiftMoveKind, GiftStock
from loyalty.rewards.queries.gifts import get_gift, get_gift_for_update, get_transport
from loyalty.stations.queries import get_station

from .voucher_kinds import Code, Named, Terms, Whole


class GiftNotWhole(Refusal):
    """Steps do not rise, an amount has no currency, or the zone is unknown."""

    status = 422
    zh = "礼品资料不完整或有误：{fault}。"
    en = "The gift's facts are not whole: {fault}."
    next_zh = "请核对积分档位、门槛金额和时区。"
    next_en = "Check the points steps, the threshold and the zone."


class StockTooLow(Refusal):
    """There is not so much there that is free."""

    zh = "礼品库存不足：可用 {free} 件，需要 {wanted} 件。"
    en = "Not enough gifts there: {free} are free, {wanted} are needed."
    next_zh = "请先调入，或减少数量。"
    next_en = "Have some sent there first, or take fewer."


class PiecesNotCounted(Refusal):
    """A number of pieces is at least one, a count at least none."""

    status = 422
    zh = "件数无效。"
    en = "That is no number of pieces."
    next_zh = "请填写正整数；盘点可以为零。"
    next_en = "Give a whole number above zero; a count may be zero."


class CountBelowReserved(Refusal):
    """Pieces that are set aside for customers are missing."""

    zh = "盘点 {counted} 件，少于已预留的 {reserved} 件。"
    en = "{counted} were counted, fewer than the {reserved} that are set aside."
    next_zh = "请先与顾客联系并释放预留，再录入盘点。"
    next_en = "Release what is set aside first, then enter the count."


class SamePlace(Refusal):
    """Pieces are sent to another place."""

    status = 422
    zh = "调出与调入地点相同。"
    en = "They are there already."
    next_zh = "请选择另一个地点。"
    next_en = "Choose another place."


class AlreadyArrived(Refusal):
    """It was received before."""

    zh = "该调拨单已经签收。"
    en = "This sending was received already."
    next_zh = "请在库存流水中查看。"
    next_en = "See the moves of that place."


class GiftFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A gift as it is written: `points_steps` are `(pieces, points)`, rising; the threshold is what its page shows."""

    name_zh: Named
    name_en: Named
    zone: str
    about_zh: Terms = ""
    about_en: Terms = ""
    points_steps: Annotated[tuple[tuple[Whole, Whole], ...], msgspec.Meta(max_length=20)] = ()
    threshold_minor: Whole | None = None
    currency: str | None = None
    instead: Annotated[tuple[Code, ...], msgspec.Meta(max_length=20)] = ()
    validity_days: Annotated[int, msgspec.Meta(gt=0, le=3660)] | None = None
    active: bool = True


class GiftCount(msgspec.Struct, frozen=True):
    """A count against the books; `difference` = counted − expected, booked at once."""

    counted: int
    expected: int
    difference: int


async def put_gift(session: AsyncSession, *, code: str, facts: GiftFacts, actor: Actor, now: datetime) -> UUID:
    """Put a gift into the catalogue, or change what it says of it; return its id.

    :raises GiftNotWhole: if its facts do not fit together
    """
    _require_whole(code, facts)
    values = {name: getattr(facts, name) for name in GiftFacts.__struct_fields__}
    values |= {"points_steps": [list(step) for step in facts.points_steps], "instead": list(facts.instead)}
    gift_id: UUID | None = await session.scalar(
        upsert(Gift)
        .values(gift_id=uuid7(now), code=code, made_by=actor.staff_id, made_at=now, changed_at=now, **values)
        .on_conflict_do_nothing(index_elements=["code"])
        .returning(Gift.gift_id)
    )
    action = "rewards.gift_made"
    if gift_id is None:
        gift = await get_gift_for_update(session, code=code)
        for name, value in values.items():
            setattr(gift, name, value)
        gift.changed_at = now
        gift_id, action = gift.gift_id, "rewards.gift_changed"
        await session.flush()
    await audit.record(session, actor=actor, action=action, subject=("gift", gift_id), facts={"code": code}, now=now)
    return gift_id


async def receive_gifts(
    session: AsyncSession, *, code: str, place_id: UUID = CENTRAL, pieces: int, actor: Actor, now: datetime, note: str = ""
) -> None:
    """Take pieces from the supplier into a place's stock.

    :raises GiftNotFound: if there is no such gift
    :raises StationNotFound: if there is no such place
    :raises PiecesNotCounted: if `pieces` is not positive
    """
    gift_id = await _gift_at(session, code, place_id, pieces)
    await change_stock(
        session, gift_id=gift_id, place_id=place_id, kind=GiftMoveKind.RECEIVED, on_hand=pieces, actor=actor, now=now, note=note
    )


async def spoil_gifts(
    session: AsyncSession, *, code: str, place_id: UUID = CENTRAL, pieces: int, actor: Actor, now: datetime, note: str
) -> None:
    """Take broken or lost pieces out of a place's stock.

    :raises GiftNotFound: if there is no such gift
    :raises PiecesNotCounted: if `pieces` is not positive
    :raises StockTooLow: if not so many are free
    """
    gift_id = await _gift_at(session, code, place_id, pieces)
    await change_stock(
        session, gift_id=gift_id, place_id=place_id, kind=GiftMoveKind.SPOILT, on_hand=-pieces, actor=actor, now=now, note=note
    )


async def send_gifts(
    session: AsyncSession, *, code: str, from_id: UUID, to_id: UUID, pieces: int, actor: Actor, now: datetime, note: str = ""
) -> int:
    """Send pieces to another place; return the sending's number. They are nobody's stock until the receiver says that they are there.

    :raises GiftNotFound: if there is no such gift
    :raises StationNotFound: if there is no such place
    :raises PiecesNotCounted: if `pieces` is not positive
    :raises SamePlace: if both places are one
    :raises StockTooLow: if not so many are free
    """
    if from_id == to_id:
        raise SamePlace
    gift_id = await _gift_at(session, code, from_id, pieces)
    await _require_place(session, to_id)
    return await change_stock(
        session,
        gift_id=gift_id,
        place_id=from_id,
        kind=GiftMoveKind.SENT,
        on_hand=-pieces,
        to_place_id=to_id,
        actor=actor,
        now=now,
        note=note,
    )


async def confirm_arrival(session: AsyncSession, *, move_id: int, actor: Actor, now: datetime, note: str = "") -> None:
    """Take what was sent into the receiver's stock, once; what is missing shows at the next count.

    :raises TransportNotFound: if nothing was sent under this number
    :raises AlreadyArrived: if it was received before
    """
    sent = await get_transport(session, move_id=move_id)
    assert sent.to_place_id is not None, "a sending has a receiver"
    # The receiver's row is locked before the look, so that two receivers go one after the other.
    await _locked_stock(session, sent.gift_id, sent.to_place_id)
    if await session.scalar(select(GiftMove.move_id).where(GiftMove.of_move_id == move_id)) is not None:
        raise AlreadyArrived
    await change_stock(
        session,
        gift_id=sent.gift_id,
        place_id=sent.to_place_id,
        kind=GiftMoveKind.ARRIVED,
        on_hand=-sent.on_hand_change,
        of_move_id=move_id,
        actor=actor,
        now=now,
        note=note,
    )


async def count_gifts(
    session: AsyncSession, *, code: str, place_id: UUID = CENTRAL, counted: int, actor: Actor, now: datetime, note: str = ""
) -> GiftCount:
    """Enter a count; the books follow it at once, and the difference stands in the line.

    :raises GiftNotFound: if there is no such gift
    :raises PiecesNotCounted: if it is negative
    :raises CountBelowReserved: if less was counted than is set aside
    """
    gift_id = await _gift_at(session, code, place_id, counted + 1)
    stock = await _locked_stock(session, gift_id, place_id)
    expected = stock.on_hand
    if counted < stock.reserved:
        raise CountBelowReserved(counted=counted, reserved=stock.reserved)
    await change_stock(
        session,
        gift_id=gift_id,
        place_id=place_id,
        kind=GiftMoveKind.COUNTED,
        on_hand=counted - expected,
        expected=expected,
        actor=actor,
        now=now,
        note=note,
    )
    return GiftCount(counted, expected, counted - expected)


async def change_stock(
    session: AsyncSession,
    *,
    gift_id: UUID,
    place_id: UUID,
    kind: GiftMoveKind,
    actor: Actor,
    now: datetime,
    on_hand: int = 0,
    reserved: int = 0,
    expected: int | None = None,
    to_place_id: UUID | None = None,
    of_move_id: int | None = None,
    entitlement_id: UUID | None = None,
    note: str = "",
) -> int:
    """Change a place's stock where it allows it, and append the line that says why; return the line's number.

    :raises StockTooLow: if not so much is free
    """
    await session.execute(upsert(GiftStock).values(gift_id=gift_id, place_id=place_id, on_hand=0, reserved=0).on_conflict_do_nothing())
    here = (GiftStock.gift_id == gift_id, GiftStock.place_id == place_id)
    changed = await session.execute(
        update(GiftStock)
        .where(*here, GiftStock.reserved + reserved >= 0, GiftStock.on_hand + on_hand >= GiftStock.reserved + reserved)
        .values(on_hand=GiftStock.on_hand + on_hand, reserved=GiftStock.reserved + reserved)
        .returning(GiftStock.on_hand)
        .execution_options(synchronize_session=False)
    )
    if changed.first() is None:
        free = await session.scalar(select(GiftStock.on_hand - GiftStock.reserved).where(*here))
        raise StockTooLow(free=free or 0, wanted=max(reserved, -on_hand))
    line = await session.execute(
        insert(GiftMove)
        .values(
            gift_id=gift_id,
            place_id=place_id,
            kind=kind,
            on_hand_change=on_hand,
            reserved_change=reserved,
            expected=expected,
            to_place_id=to_place_id,
            of_move_id=of_move_id,
            entitlement_id=entitlement_id,
            happened_at=now,
            actor_kind=actor.kind,
            actor_id=str(actor.actor_id),
            note=note,
        )
        .returning(GiftMove.move_id)
    )
    return line.scalar_one()


async def _locked_stock(session: AsyncSession, gift_id: UUID, place_id: UUID) -> GiftStock:
    await session.execute(upsert(GiftStock).values(gift_id=gift_id, place_id=place_id, on_hand=0, reserved=0).on_conflict_do_nothing())
    return (await session.scalars(locked(select(GiftStock).where(GiftStock.gift_id == gift_id, GiftStock.place_id == place_id)))).one()


async def _gift_at(session: AsyncSession, code: str, place_id: UUID, pieces: int) -> UUID:
    if pieces <= 0:
        raise PiecesNotCounted
    gift = await get_gift(session, code=code)
    await _require_place(session, place_id)
    return gift.gift_id


async def _require_place(session: AsyncSession, place_id: UUID) -> None:
    if place_id != CENTRAL:
        await get_station(session, station_id=place_id)


def _require_whole(code: str, facts: GiftFacts) -> None:
    try:
        msgspec.convert(code, Code)
        msgspec.convert(msgspec.to_builtins(facts), GiftFacts)
        ZoneInfo(facts.zone)
        if facts.currency is not None:
            minor_digits(facts.currency)
    except (msgspec.ValidationError, ZoneInfoNotFoundError, ValueError, KeyError) as error:
        raise GiftNotWhole(fault=str(error)) from None
    if not steps_are_sound(facts.points_steps):
        raise GiftNotWhole(fault="points_steps")
    if (facts.threshold_minor is None) != (facts.currency is None):
        raise GiftNotWhole(fault="threshold_minor, currency")
    if code in facts.instead:
        raise GiftNotWhole(fault="instead")
