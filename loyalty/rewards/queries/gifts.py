"""Reading the catalogue, stock, rights to gifts and what was handed out."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from loyalty.crypto import Purpose, open_
from loyalty.customers.queries import family_of
from loyalty.db import locked
from loyalty.errors import NotFound
from loyalty.ids import CustomerId
from loyalty.paging import PAGE_SIZE, Column, Page, all_as, keys_for, one_as, page_as
from loyalty.rewards.gift_rules import Signature
from loyalty.rewards.model_gifts import (
    CENTRAL,
    EntitlementEvent,
    EntitlementStatus,
    Gift,
    GiftEntitlement,
    GiftHandOut,
    GiftMove,
    GiftMoveKind,
    GiftStock,
)
from loyalty.stations.queries import get_station

_ELSEWHERE_MAX = 5


class GiftNotFound(NotFound):
    """Unknown."""

    zh = "没有此礼品。"
    en = "There is no such gift."


class EntitlementNotFound(NotFound):
    """Unknown, or another tenant's: the answer is the same."""

    zh = "没有此礼品权益。"
    en = "There is no such right to a gift."


class TransportNotFound(NotFound):
    """Unknown."""

    zh = "没有此礼品调拨单。"
    en = "No such gifts are on their way."


class GiftView(msgspec.Struct, frozen=True):
    gift_id: UUID
    code: str
    name_zh: str
    name_en: str
    about_zh: str
    about_en: str
    points_steps: list[list[int]]
    threshold_minor: int | None
    currency: str | None
    instead: list[str]
    zone: str
    validity_days: int | None
    active: bool
    made_at: datetime
    changed_at: datetime


class StockView(msgspec.Struct, frozen=True):
    """What lies at a place; `free` = on hand less what is set aside."""

    gift_id: UUID
    code: str
    name_zh: str
    name_en: str
    place_id: UUID
    on_hand: int
    reserved: int

    @property
    def free(self) -> int:
        """What may still be promised."""
        return self.on_hand - self.reserved


class PlaceStock(msgspec.Struct, frozen=True):
    """A station that has some of it."""

    station_id: UUID
    code: str
    name_zh: str
    name_en: str
    free: int


class Offer(msgspec.Struct, frozen=True):
    """What a station can do about a gift: how many are free, what it has instead, who else has it."""

    gift: GiftView
    free: int
    instead: list[StockView]
    elsewhere: list[PlaceStock]


class EntitlementView(msgspec.Struct, frozen=True):
    entitlement_id: UUID
    gift_id: UUID
    code: str
    name_zh: str
    name_en: str
    granted_code: str
    customer_id: UUID | None
    account_id: UUID | None
    pieces: int
    points_paid: int
    status: EntitlementStatus
    place_id: UUID | None
    reserved_until: datetime | None
    granted_at: datetime
    expires_at: datetime | None
    source_kind: str
    source_id: str


class MoveView(msgspec.Struct, frozen=True):
    move_id: int
    gift_id: UUID
    place_id: UUID
    kind: GiftMoveKind
    on_hand_change: int
    reserved_change: int
    expected: int | None
    to_place_id: UUID | None
    entitlement_id: UUID | None
    happened_at: datetime
    actor_kind: str
    actor_id: str
    note: str


class EntitlementEventView(msgspec.Struct, frozen=True):
    moved_to: EntitlementStatus
    happened_at: datetime
    actor_kind: str
    actor_id: str
    reason: str


_SORTS: dict[str, Column] = {"code": Gift.code, "name_zh": Gift.name_zh, "name_en": Gift.name_en, "made_at": Gift.made_at}


async def get_gift(session: AsyncSession, *, code: str) -> GiftView:
    """Return one gift of the catalogue.

    :raises GiftNotFound: if there is none of this code
    """
    found = await one_as(session, GiftView, _gifts().where(Gift.code == code))
    if found is None:
        raise GiftNotFound(code=code)
    return found


async def get_gift_for_update(session: AsyncSession, *, code: str) -> Gift:
    """Lock and return one gift of the catalogue.

    :raises GiftNotFound: if there is none of this code
    """
    found = await session.scalar(locked(select(Gift).where(Gift.code == code)))
    if found is None:
        raise GiftNotFound(code=code)
    return found


async def gifts_by_code(session: AsyncSession, *, codes: Collection[str]) -> dict[str, GiftView]:
    """Return the gifts of these codes; unknown ones are left out."""
    return {gift.code: gift for gift in await all_as(session, GiftView, _gifts().where(Gift.code.in_(list(codes))))}


async def list_gifts(
    session: AsyncSession, *, only_active: bool = False, sort: str = "code", cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[GiftView]:
    """Read a page of the catalogue; sorts: code, name_zh, name_en, made_at.

    :raises UnknownSort: for another sort
    """
    statement = _gifts().where(Gift.active) if only_active else _gifts()
    return await page_as(session, GiftView, statement, keys=keys_for(sort, _SORTS, unique=Gift.code), cursor=cursor, limit=limit)


async def stock_of(session: AsyncSession, *, code: str) -> list[StockView]:
    """Return what lies where of one gift, the central store first."""
    return await all_as(session, StockView, _stock().where(Gift.code == code).order_by(GiftStock.place_id))


async def stock_at(session: AsyncSession, *, place_id: UUID = CENTRAL) -> list[StockView]:
    """Return what lies at a place, by code."""
    return await all_as(session, StockView, _stock().where(GiftStock.place_id == place_id).order_by(Gift.code))


async def offer_at(session: AsyncSession, *, code: str, place_id: UUID, pieces: int = 1) -> Offer:
    """Say what a station can do about a gift: with nothing free, what may be handed out instead and who else has it.

    :raises GiftNotFound: if there is none of this code
    """
    gift = await get_gift(session, code=code)
    here = {stock.code: stock for stock in await stock_at(session, place_id=place_id)}
    free = here[code].free if code in here else 0
    instead = [here[other] for other in gift.instead if other in here and here[other].free >= pieces]
    others = [
        stock
        for stock in sorted(await stock_of(session, code=code), key=lambda stock: (-stock.free, stock.place_id))
        if stock.free >= pieces and stock.place_id not in {place_id, CENTRAL}
    ]
    elsewhere = []
    for stock in others[:_ELSEWHERE_MAX]:
        station = await get_station(session, station_id=stock.place_id)
        elsewhere.append(PlaceStock(station.station_id, station.code, station.name_zh, station.name_en, stock.free))
    return Offer(gift, free, instead, elsewhere)


async def get_entitlement(session: AsyncSession, *, entitlement_id: UUID) -> EntitlementView:
    """Return one right to a gift.

    :raises EntitlementNotFound: if there is no such right
    """
    found = await one_as(session, EntitlementView, _entitlements().where(GiftEntitlement.entitlement_id == entitlement_id))
    if found is None:
        raise EntitlementNotFound
    return found


async def get_entitlement_for_update(session: AsyncSession, *, entitlement_id: UUID) -> GiftEntitlement:
    """Lock and return one right to a gift.

    :raises EntitlementNotFound: if there is no such right
    """
    found = await session.scalar(locked(select(GiftEntitlement).where(GiftEntitlement.entitlement_id == entitlement_id)))
    if found is None:
        raise EntitlementNotFound
    return found


async def gifts_of_customer(
    session: AsyncSession, *, customer_id: UUID, statuses: Collection[EntitlementStatus] = (), limit: int = 100
) -> list[EntitlementView]:
    """Return a customer's rights to gifts, all records merged into it included; those that end first come first.

    :raises CustomerNotFound: if there is no such customer
    """
    family = await family_of(session, customer_id=CustomerId(customer_id))
    return await _of(session, _entitlements().where(GiftEntitlement.customer_id.in_(family)), statuses, limit)


async def gifts_of_account(
    session: AsyncSession, *, account_id: UUID, statuses: Collection[EntitlementStatus] = (), limit: int = 100
) -> list[EntitlementView]:
    """Return the rights to gifts that were granted to an account: a bearer card's holder has no other name."""
    return await _of(session, _entitlements().where(GiftEntitlement.account_id == account_id), statuses, limit)


async def moves_of(session: AsyncSession, *, gift_id: UUID, place_id: UUID, limit: int = 200) -> list[MoveView]:
    """Return how a gift's pieces moved at a place, the last move first."""
    statement = _moves().where(GiftMove.gift_id == gift_id, GiftMove.place_id == place_id)
    return await all_as(session, MoveView, statement.order_by(GiftMove.move_id.desc()).limit(limit))


async def on_the_way_to(session: AsyncSession, *, place_id: UUID) -> list[MoveView]:
    """Return what was sent to a place and has not arrived, the first sent first."""
    arrival = aliased(GiftMove)
    arrived = select(arrival.move_id).where(arrival.of_move_id == GiftMove.move_id).exists()
    return await all_as(session, MoveView, _moves().where(GiftMove.to_place_id == place_id, ~arrived).order_by(GiftMove.move_id))


async def get_transport(session: AsyncSession, *, move_id: int) -> GiftMove:
    """Return a sending. Its line never changes; whoever receives it locks the receiver's stock.

    :raises TransportNotFound: if there is none
    """
    found = await session.scalar(select(GiftMove).where(GiftMove.move_id == move_id, GiftMove.kind == GiftMoveKind.SENT))
    if found is None:
        raise TransportNotFound
    return found


async def entitlement_history(session: AsyncSession, *, entitlement_id: UUID) -> list[EntitlementEventView]:
    """Return every step of a right, the first one first."""
    columns = [getattr(EntitlementEvent, name) for name in EntitlementEventView.__struct_fields__]
    statement = select(*columns).where(EntitlementEvent.entitlement_id == entitlement_id).order_by(EntitlementEvent.event_id)
    return await all_as(session, EntitlementEventView, statement)


async def signature_of(session: AsyncSession, *, entitlement_id: UUID) -> Signature:
    """Return what was signed for a gift that was handed out: for a dispute; the caller logs the view.

    :raises EntitlementNotFound: if it was not handed out
    """
    found = await session.get(GiftHandOut, entitlement_id)
    if found is None:
        raise EntitlementNotFound
    data = open_(
        Purpose.SIGNATURE, table="gift_hand_outs", column="signature_sealed", row_id=entitlement_id, envelope=found.signature_sealed
    )
    return Signature(found.signature_form, data)


async def _of(
    session: AsyncSession, statement: Select[*tuple[Any, ...]], statuses: Collection[EntitlementStatus], limit: int
) -> list[EntitlementView]:
    if statuses:
        statement = statement.where(GiftEntitlement.status.in_(list(statuses)))
    ordered = statement.order_by(GiftEntitlement.expires_at.nulls_last(), GiftEntitlement.entitlement_id)
    return await all_as(session, EntitlementView, ordered.limit(limit))


def _gifts() -> Select[*tuple[Any, ...]]:
    return select(*_columns(Gift, GiftView.__struct_fields__))


def _stock() -> Select[*tuple[Any, ...]]:
    columns = [Gift.gift_id, Gift.code, Gift.name_zh, Gift.name_en, GiftStock.place_id, GiftStock.on_hand, GiftStock.reserved]
    return select(*columns).join(Gift, Gift.gift_id == GiftStock.gift_id)


def _entitlements() -> Select[*tuple[Any, ...]]:
    granted = aliased(Gift)
    own = EntitlementView.__struct_fields__[6:]
    return (
        select(
            GiftEntitlement.entitlement_id,
            GiftEntitlement.gift_id,
            Gift.code,
            Gift.name_zh,
            Gift.name_en,
            granted.code,
            *_columns(GiftEntitlement, own),
        )
        .join(Gift, Gift.gift_id == GiftEntitlement.gift_id)
        .join(granted, granted.gift_id == GiftEntitlement.granted_gift_id)
    )


def _moves() -> Select[*tuple[Any, ...]]:
    return select(*_columns(GiftMove, MoveView.__struct_fields__))


def _columns(table: type, names: Sequence[str]) -> list[Any]:
    return [getattr(table, name) for name in names]
