"""Rights to gifts: granted once, set aside at a station, handed out against a signature, taken back.

Whoever locks, locks the right, then the stock.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import insert, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.crypto import Purpose, seal
from loyalty.db import locked
from loyalty.errors import NotAllowed, Refusal
from loyalty.ids import uuid7
from loyalty.rewards.gift_rules import RESERVED_FOR, read_signature
from loyalty.rewards.model_gifts import (
    ENTITLEMENT_MOVES,
    EntitlementEvent,
    EntitlementStatus,
    GiftEntitlement,
    GiftHandOut,
    GiftMoveKind,
)
from loyalty.rewards.queries.gifts import (
    EntitlementView,
    GiftNotFound,
    GiftView,
    Offer,
    get_entitlement,
    get_entitlement_for_update,
    get_gift,
    gifts_by_code,
    offer_at,
)
from loyalty.rewards.voucher_rules import expiry

from .gift_stock import StockTooLow, change_stock

_BATCH: Final = 500


class EntitlementCannotMove(Refusal):
    """The right's present status does not lead there."""

    zh = "该礼品权益当前状态为 {status}，不能变为 {to}。"
    en = "The right to the gift is {status} and cannot become {to}."
    next_zh = "请刷新后核对最新状态。"
    next_en = "Look at its present status first."


class EntitlementEnded(Refusal):
    """It was to be fetched earlier."""

    zh = "礼品领取期限已过。"
    en = "The time to fetch the gift is over."
    next_zh = "如需补发，请联系总部。"
    next_en = "The office may grant it anew."


class GiftOutOfStock(Refusal):
    """Nothing is free at this station: the answer says what it has instead, and who has it."""

    zh = "{name_zh}在本站可用 {free} 件，需要 {wanted} 件。"
    en = "{name_en}: {free} free at this station, {wanted} needed."
    next_zh = "可改发：{instead_zh}。有货油站：{elsewhere_zh}。"
    next_en = "Instead there is: {instead_en}. Stations that have it: {elsewhere_en}."


class ReservedElsewhere(Refusal):
    """The pieces lie at another station."""

    zh = "礼品已在另一油站预留。"
    en = "The gift is set aside at another station."
    next_zh = "请到该站领取，或先释放预留。"
    next_en = "Fetch it there, or have it released first."


class NotInstead(Refusal):
    """The catalogue does not name it as a substitute."""

    status = 422
    zh = "目录未将该礼品列为可替代品。"
    en = "The catalogue does not offer that gift in its place."
    next_zh = "请从提示的替代礼品中选择。"
    next_en = "Choose one of those that are offered."


class SignatureNotRead(Refusal):
    """Neither a drawn path nor a picture of one."""

    status = 422
    zh = "没有有效的签名。"
    en = "There is no signature."
    next_zh = "请顾客在屏幕上重新签名。"
    next_en = "Have the customer sign again."


class GiftGrantDiffers(Refusal):
    """The same source granted something else before."""

    status = 422
    zh = "同一来源已授予另一礼品或另一数量。"
    en = "The same source granted another gift or number before."
    next_zh = "请核对来源编号。"
    next_en = "Check the source's number."


class GiftWish(NamedTuple):
    """Who shall have how many pieces of which gift, and what grants them: its key is `(source_kind, source_id, ordinal)`, for ever."""

    gift: str
    source_kind: str
    source_id: str
    customer_id: UUID | None = None
    account_id: UUID | None = None
    pieces: int = 1
    points_paid: int = 0
    ordinal: int = 0

    @property
    def key(self) -> tuple[str, str, int]:
        """What grants them."""
        return (self.source_kind, self.source_id, self.ordinal)


class GiftsTakenBack(NamedTuple):
    """What a refund's mirror came to, in pieces."""

    cancelled: int
    handed_out: int
    """They are the customer's: to be brought back, or let go."""
    ended: int


async def grant_gifts(session: AsyncSession, *, wishes: Sequence[GiftWish], actor: Actor, now: datetime) -> list[UUID]:
    """Grant rights to gifts, set-based, and return their ids in the order of `wishes`; the same source grants once for ever.

    Stock does not matter yet: the station where it is fetched sees to it, and says what else there is.

    :raises GiftNotFound: if a gift is unknown
    :raises GiftGrantDiffers: if a source granted another gift or number before
    """
    gifts = await gifts_by_code(session, codes={wish.gift for wish in wishes})
    by_key: dict[tuple[str, str, int], GiftWish] = {}
    for wish in wishes:
        if wish.gift not in gifts:
            raise GiftNotFound(code=wish.gift)
        first = by_key.setdefault(wish.key, wish)
        if (first.gift, first.pieces) != (wish.gift, wish.pieces):
            raise GiftGrantDiffers
    found: dict[tuple[str, str, int], UUID] = {}
    keys = sorted(by_key)
    for at in range(0, len(keys), _BATCH):
        found |= await _grant(session, {key: by_key[key] for key in keys[at : at + _BATCH]}, gifts, actor=actor, now=now)
    return [found[wish.key] for wish in wishes]


async def _grant(
    session: AsyncSession,
    wishes: Mapping[tuple[str, str, int], GiftWish],
    gifts: Mapping[str, GiftView],
    *,
    actor: Actor,
    now: datetime,
) -> dict[tuple[str, str, int], UUID]:
    rows = [_row(wish, gifts[wish.gift], now) for wish in wishes.values()]
    made = await session.execute(upsert(GiftEntitlement).values(rows).on_conflict_do_nothing().returning(GiftEntitlement.entitlement_id))
    fresh = [entitlement_id for (entitlement_id,) in made]
    await _note(session, fresh, EntitlementStatus.GRANTED, reason=next(iter(wishes))[0], actor=actor, now=now)
    own = (GiftEntitlement.source_kind, GiftEntitlement.source_id, GiftEntitlement.ordinal)
    known = await session.execute(
        select(*own, GiftEntitlement.entitlement_id, GiftEntitlement.granted_gift_id, GiftEntitlement.pieces).where(
            tuple_(*own).in_(list(wishes))
        )
    )
    found: dict[tuple[str, str, int], UUID] = {}
    for source_kind, source_id, ordinal, entitlement_id, gift_id, pieces in known:
        wish = wishes[source_kind, source_id, ordinal]
        if (gift_id, pieces) != (gifts[wish.gift].gift_id, wish.pieces):
            raise GiftGrantDiffers
        found[wish.key] = entitlement_id
    return found


def _row(wish: GiftWish, gift: GiftView, now: datetime) -> dict[str, object]:
    return {
        "entitlement_id": uuid7(now),
        "gift_id": gift.gift_id,
        "granted_gift_id": gift.gift_id,
        "customer_id": wish.customer_id,
        "account_id": wish.account_id,
        "pieces": wish.pieces,
        "points_paid": wish.points_paid,
        "status": EntitlementStatus.GRANTED,
        "granted_at": now,
        "expires_at": expiry(now=now, zone=gift.zone, validity_days=gift.validity_days, ends_at=None),
        "source_kind": wish.source_kind,
        "source_id": wish.source_id,
        "ordinal": wish.ordinal,
    }


async def reserve_gift(
    session: AsyncSession,
    *,
    entitlement_id: UUID,
    station_id: UUID,
    actor: Actor,
    now: datetime,
    hold_for: timedelta = RESERVED_FOR,
) -> EntitlementView:
    """Set a gift aside at a station for its customer, at most until the right ends; again there it only stays so longer.

    :raises EntitlementNotFound: if there is no such right
    :raises EntitlementEnded: if its time is over
    :raises EntitlementCannotMove: if it was handed out, or cancelled
    :raises ReservedElsewhere: if another station has it
    :raises GiftOutOfStock: if nothing is free there; the answer says what is, and where
    """
    right = await get_entitlement_for_update(session, entitlement_id=entitlement_id)
    until = now + hold_for if right.expires_at is None else min(now + hold_for, right.expires_at)
    if right.status is EntitlementStatus.RESERVED:
        if right.place_id != station_id:
            raise ReservedElsewhere
        right.reserved_until = max(until, right.reserved_until or until)
        await session.flush()
        return await get_entitlement(session, entitlement_id=entitlement_id)
    _require_move(right, EntitlementStatus.RESERVED)
    _require_time(right, now)
    await _take(session, right, station_id, kind=GiftMoveKind.RESERVED, reserved=right.pieces, actor=actor, now=now)
    right.place_id, right.reserved_until = station_id, until
    await _move(session, right, EntitlementStatus.RESERVED, reason="", actor=actor, now=now)
    return await get_entitlement(session, entitlement_id=entitlement_id)


async def release_gift(session: AsyncSession, *, entitlement_id: UUID, reason: str, actor: Actor, now: datetime) -> EntitlementView:
    """Give what is set aside back to the station's free stock; the right stays.

    :raises EntitlementNotFound: if there is no such right
    :raises EntitlementCannotMove: if nothing is set aside
    """
    right = await get_entitlement_for_update(session, entitlement_id=entitlement_id)
    _require_move(right, EntitlementStatus.GRANTED)
    await _release(session, right, EntitlementStatus.GRANTED, reason=reason, actor=actor, now=now)
    return await get_entitlement(session, entitlement_id=entitlement_id)


async def swap_gift(session: AsyncSession, *, entitlement_id: UUID, code: str, actor: Actor, now: datetime) -> EntitlementView:
    """Take another gift in its place, one that the catalogue offers instead; what was granted stays written.

    :raises EntitlementNotFound: if there is no such right
    :raises EntitlementCannotMove: if it is set aside, handed out or over
    :raises GiftNotFound: if there is no such gift
    :raises NotInstead: if the catalogue does not offer it instead
    """
    right = await get_entitlement_for_update(session, entitlement_id=entitlement_id)
    _require_move(right, EntitlementStatus.RESERVED)
    other = await get_gift(session, code=code)
    view = await get_entitlement(session, entitlement_id=entitlement_id)
    granted = await get_gift(session, code=view.granted_code)
    if code != granted.code and code not in granted.instead:
        raise NotInstead
    right.gift_id = other.gift_id
    await session.flush()
    await _note(session, [entitlement_id], right.status, reason=f"{code} in place of {view.code}", actor=actor, now=now)
    return await get_entitlement(session, entitlement_id=entitlement_id)


async def hand_out(
    session: AsyncSession,
    *,
    entitlement_id: UUID,
    station_id: UUID,
    signature: str,
    actor: Actor,
    now: datetime,
    terminal_id: UUID | None = None,
) -> EntitlementView:
    """Hand a gift over at a station, set aside there before or not; the customer's signature is kept sealed, and who handed it.

    :raises NotAllowed: if it is no member of staff who hands it over
    :raises EntitlementNotFound: if there is no such right
    :raises EntitlementEnded: if its time is over
    :raises EntitlementCannotMove: if it was handed out already, or cancelled
    :raises ReservedElsewhere: if another station has it
    :raises SignatureNotRead: if nothing was drawn
    :raises GiftOutOfStock: if nothing is free there; the answer says what is, and where
    """
    if actor.staff_id is None:
        raise NotAllowed
    right = await get_entitlement_for_update(session, entitlement_id=entitlement_id)
    _require_move(right, EntitlementStatus.HANDED_OUT)
    drawn = read_signature(signature)
    if drawn is None:
        raise SignatureNotRead
    reserved = 0
    if right.status is EntitlementStatus.RESERVED:
        if right.place_id != station_id:
            raise ReservedElsewhere
        reserved = -right.pieces
    else:
        _require_time(right, now)
    kind = GiftMoveKind.HANDED_OUT
    await _take(session, right, station_id, kind=kind, on_hand=-right.pieces, reserved=reserved, actor=actor, now=now)
    right.place_id, right.reserved_until = station_id, None
    sealed = seal(Purpose.SIGNATURE, table="gift_hand_outs", column="signature_sealed", row_id=entitlement_id, plaintext=drawn.data)
    session.add(
        GiftHandOut(
            entitlement_id=entitlement_id,
            gift_id=right.gift_id,
            station_id=station_id,
            terminal_id=terminal_id,
            staff_id=actor.staff_id,
            handed_at=now,
            signature_form=drawn.form,
            signature_sealed=sealed,
        )
    )
    await _move(session, right, EntitlementStatus.HANDED_OUT, reason="", actor=actor, now=now)
    return await get_entitlement(session, entitlement_id=entitlement_id)


async def return_gift(
    session: AsyncSession, *, entitlement_id: UUID, restock: bool, reason: str, actor: Actor, now: datetime
) -> EntitlementView:
    """Take a gift back that was handed out, at the station that had; into its stock where it can be handed out again.

    :raises EntitlementNotFound: if there is no such right
    :raises EntitlementCannotMove: if it was not handed out, or came back before
    """
    right = await get_entitlement_for_update(session, entitlement_id=entitlement_id)
    _require_move(right, EntitlementStatus.RETURNED)
    assert right.place_id is not None, "what was handed out was somewhere"
    given = (await session.scalars(locked(select(GiftHandOut).where(GiftHandOut.entitlement_id == entitlement_id)))).one()
    given.returned_at, given.returned_by, given.return_reason, given.restocked = now, actor.staff_id, reason, restock
    await change_stock(
        session,
        gift_id=right.gift_id,
        place_id=right.place_id,
        kind=GiftMoveKind.RETURNED,
        on_hand=right.pieces if restock else 0,
        entitlement_id=entitlement_id,
        actor=actor,
        now=now,
        note=reason,
    )
    await _move(session, right, EntitlementStatus.RETURNED, reason=reason, actor=actor, now=now)
    return await get_entitlement(session, entitlement_id=entitlement_id)


async def take_back_gifts(
    session: AsyncSession, *, source_kind: str, source_id: str, reason: str, actor: Actor, now: datetime, ordinal: int = 0
) -> GiftsTakenBack:
    """Cancel what a source granted as far as it was not handed out: the mirror of a refund. Again it finds nothing more."""
    of_source = (
        GiftEntitlement.source_kind == source_kind,
        GiftEntitlement.source_id == source_id,
        GiftEntitlement.ordinal == ordinal,
    )
    right = await session.scalar(locked(select(GiftEntitlement).where(*of_source)))
    if right is None:
        return GiftsTakenBack(0, 0, 0)
    if right.status is EntitlementStatus.HANDED_OUT:
        return GiftsTakenBack(0, right.pieces, 0)
    if EntitlementStatus.CANCELLED not in ENTITLEMENT_MOVES[right.status]:
        return GiftsTakenBack(0, 0, right.pieces if right.status is EntitlementStatus.EXPIRED else 0)
    await _cancel(session, right, reason=reason, actor=actor, now=now)
    return GiftsTakenBack(right.pieces, 0, 0)


async def cancel_gift(session: AsyncSession, *, entitlement_id: UUID, reason: str, actor: Actor, now: datetime) -> None:
    """Take one right back by the office's decision.

    :raises EntitlementNotFound: if there is no such right
    :raises EntitlementCannotMove: if it was handed out, or is over
    """
    right = await get_entitlement_for_update(session, entitlement_id=entitlement_id)
    _require_move(right, EntitlementStatus.CANCELLED)
    await _cancel(session, right, reason=reason, actor=actor, now=now)


_EXPIRE = text(
    """
    WITH due AS (
        SELECT entitlement_id FROM gift_entitlements WHERE status = 'granted' AND expires_at <= :now
        ORDER BY expires_at LIMIT :batch FOR UPDATE SKIP LOCKED
    ), ended AS (
        UPDATE gift_entitlements e SET status = 'expired' FROM due WHERE e.entitlement_id = due.entitlement_id RETURNING e.entitlement_id
    )
    INSERT INTO gift_entitlement_events (entitlement_id, moved_to, happened_at, actor_kind, actor_id, reason, facts)
    SELECT entitlement_id, 'expired', :now, :actor_kind, :actor_id, 'expired', '{}' FROM ended RETURNING entitlement_id
    """
)


async def expire_gifts(session: AsyncSession, *, actor: Actor, now: datetime, limit: int = _BATCH) -> int:
    """Free what was set aside and not fetched, then end rights whose time is over; at most `limit` each. Return how many of both."""
    lapsed = select(GiftEntitlement).where(GiftEntitlement.status == EntitlementStatus.RESERVED, GiftEntitlement.reserved_until <= now)
    freed = list(await session.scalars(locked(lapsed.order_by(GiftEntitlement.entitlement_id).limit(limit))))
    for right in freed:
        await _release(session, right, EntitlementStatus.GRANTED, reason="not fetched", actor=actor, now=now)
    ended = await session.execute(_EXPIRE, {"now": now, "batch": limit, "actor_kind": actor.kind.value, "actor_id": str(actor.actor_id)})
    return len(freed) + len(ended.all())


async def _take(
    session: AsyncSession,
    right: GiftEntitlement,
    station_id: UUID,
    *,
    kind: GiftMoveKind,
    actor: Actor,
    now: datetime,
    on_hand: int = 0,
    reserved: int = 0,
) -> None:
    """Change a station's stock for a right.

    :raises GiftOutOfStock: if it is not there, with what there is
    """
    try:
        await change_stock(
            session,
            gift_id=right.gift_id,
            place_id=station_id,
            kind=kind,
            on_hand=on_hand,
            reserved=reserved,
            entitlement_id=right.entitlement_id,
            actor=actor,
            now=now,
        )
    except StockTooLow:
        code = (await get_entitlement(session, entitlement_id=right.entitlement_id)).code
        raise out_of_stock(await offer_at(session, code=code, place_id=station_id, pieces=right.pieces), right.pieces) from None


def out_of_stock(offer: Offer, wanted: int) -> GiftOutOfStock:
    """Make the refusal that says what a station has instead, and who has it."""
    return GiftOutOfStock(
        gift=offer.gift.code,
        name_zh=offer.gift.name_zh,
        name_en=offer.gift.name_en,
        free=offer.free,
        wanted=wanted,
        instead_zh="、".join(f"{stock.name_zh} × {stock.free}" for stock in offer.instead) or "无",
        instead_en=", ".join(f"{stock.name_en} × {stock.free}" for stock in offer.instead) or "nothing",
        elsewhere_zh="、".join(f"{place.name_zh} × {place.free}" for place in offer.elsewhere) or "无",
        elsewhere_en=", ".join(f"{place.name_en} × {place.free}" for place in offer.elsewhere) or "none",
    )


async def _cancel(session: AsyncSession, right: GiftEntitlement, *, reason: str, actor: Actor, now: datetime) -> None:
    if right.status is EntitlementStatus.RESERVED:
        await _release(session, right, EntitlementStatus.CANCELLED, reason=reason, actor=actor, now=now)
    else:
        await _move(session, right, EntitlementStatus.CANCELLED, reason=reason, actor=actor, now=now)


async def _release(
    session: AsyncSession, right: GiftEntitlement, to: EntitlementStatus, *, reason: str, actor: Actor, now: datetime
) -> None:
    assert right.place_id is not None, "what is set aside lies somewhere"
    await change_stock(
        session,
        gift_id=right.gift_id,
        place_id=right.place_id,
        kind=GiftMoveKind.RELEASED,
        reserved=-right.pieces,
        entitlement_id=right.entitlement_id,
        actor=actor,
        now=now,
        note=reason,
    )
    right.place_id, right.reserved_until = None, None
    await _move(session, right, to, reason=reason, actor=actor, now=now)


def _require_move(right: GiftEntitlement, to: EntitlementStatus) -> None:
    if to not in ENTITLEMENT_MOVES[right.status]:
        raise EntitlementCannotMove(status=right.status.value, to=to.value)


def _require_time(right: GiftEntitlement, now: datetime) -> None:
    if right.expires_at is not None and right.expires_at <= now:
        raise EntitlementEnded


async def _move(session: AsyncSession, right: GiftEntitlement, to: EntitlementStatus, *, reason: str, actor: Actor, now: datetime) -> None:
    _require_move(right, to)
    right.status = to
    await session.flush()
    await _note(session, [right.entitlement_id], to, reason=reason, actor=actor, now=now)


async def _note(
    session: AsyncSession, entitlement_ids: Sequence[UUID], to: EntitlementStatus, *, reason: str, actor: Actor, now: datetime
) -> None:
    if not entitlement_ids:
        return
    line = {
        "moved_to": to,
        "happened_at": now,
        "actor_kind": actor.kind,
        "actor_id": str(actor.actor_id),
        "reason": reason,
        "facts": {},
    }
    await session.execute(insert(EntitlementEvent), [{"entitlement_id": each, **line} for each in entitlement_ids])
