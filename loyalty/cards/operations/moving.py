"""The one way a card changes status, and the one way anything about it is written down."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.cards.model import LIVING, Card, CardEvent, CardStatus, EventKind
from loyalty.cards.queries import get_card_for_update, lock_cards, status_before
from loyalty.cards.rules import may_move, staff_of
from loyalty.errors import Refusal


class CardCannotMove(Refusal):
    """The card's present status does not lead there."""

    zh = "该卡当前状态为 {status}，不能变为 {to}。"
    en = "The card is {status} and cannot become {to}."
    next_zh = "请先核对卡状态与卡号。"
    next_en = "Check the card's status and number first."


class CardIsBearer(Refusal):
    """An anonymous card has no owner who could report it, replace it or be identified."""

    zh = "不记名卡不挂失、不补卡，也不能凭证件解锁。"
    en = "An anonymous card cannot be reported lost, replaced, or unlocked by ID: it has no registered owner."
    next_zh = "持卡人可先凭证件将卡转为记名卡。"
    next_en = "Its holder may first have it registered, with ID."


async def record(
    session: AsyncSession,
    card: Card,
    kind: EventKind,
    *,
    actor: Actor,
    station_id: UUID | None = None,
    reason: str,
    now: datetime,
    moved: tuple[CardStatus, CardStatus] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Append one line to a card's history, and to the audit trail. `facts` hold no personal datum and no secret."""
    said = dict(facts or {}) | ({"from": moved[0].name.lower(), "to": moved[1].name.lower()} if moved else {})
    await audit.record(
        session,
        actor=actor,
        action=f"cards.{kind}",
        subject=("card", card.card_id),
        facts={"reason": reason, **said},
        now=now,
        station_id=station_id,
    )
    _append(session, card, kind, actor=actor, station_id=station_id, reason=reason, now=now, moved=moved, facts=facts)


def _append(
    session: AsyncSession,
    card: Card,
    kind: EventKind,
    *,
    actor: Actor,
    station_id: UUID | None,
    reason: str,
    now: datetime,
    moved: tuple[CardStatus, CardStatus] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    session.add(
        CardEvent(
            card_id=card.card_id,
            kind=kind,
            moved_from=moved[0] if moved else None,
            moved_to=moved[1] if moved else None,
            happened_at=now,
            actor_kind=actor.kind,
            actor_id=str(actor.actor_id),
            station_id=station_id,
            reason=reason,
            facts=dict(facts or {}),
        )
    )


async def move(
    session: AsyncSession,
    card: Card,
    to: CardStatus,
    *,
    actor: Actor,
    station_id: UUID | None = None,
    reason: str,
    now: datetime,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Move a locked card along the table of moves: its version rises, its history gets a line.

    :raises CardCannotMove: if its status does not lead there
    """
    present = card.status
    if not may_move(present, to):
        raise CardCannotMove(card=card.card_id, status=present.name.lower(), to=to.name.lower())
    card.status = to
    card.version += 1
    if to is CardStatus.CLOSED:
        card.closed_at = now
    await record(
        session, card, EventKind.MOVED, actor=actor, station_id=station_id, reason=reason, now=now, moved=(present, to), facts=facts
    )


async def touch_cards(
    session: AsyncSession,
    *,
    card_ids: Sequence[UUID],
    actor: Actor,
    reason: str,
    now: datetime,
    kind: EventKind = EventKind.ACCOUNT_CHANGED,
    station_id: UUID | None = None,
) -> int:
    """Raise the version of cards because something else their decisions depend on has changed; return how many.

    Locks them in id order and writes a line into each one's history; the caller records the change itself in the trail.
    """
    cards = await lock_cards(session, card_ids=card_ids)
    for card in cards:
        card.version += 1
        _append(session, card, kind, actor=actor, station_id=station_id, reason=reason, now=now)
    await session.flush()
    return len(cards)


async def suspend_card(
    session: AsyncSession, *, card_id: UUID, actor: Actor, station_id: UUID | None = None, reason: str, now: datetime
) -> Card:
    """Stop a card for a while, at the wish of its holder, its company or the office.

    :raises CardNotFound: if there is no such card
    :raises CardCannotMove: if it is not active
    """
    card = await get_card_for_update(session, card_id=card_id)
    await move(session, card, CardStatus.SUSPENDED, actor=actor, station_id=station_id, reason=reason, now=now)
    await session.flush()
    return card


async def resume_card(
    session: AsyncSession, *, card_id: UUID, actor: Actor, station_id: UUID | None = None, reason: str, now: datetime
) -> Card:
    """Let a suspended card live again.

    :raises CardNotFound: if there is no such card
    :raises CardCannotMove: if it is not suspended
    """
    card = await get_card_for_update(session, card_id=card_id)
    require_status(card, CardStatus.SUSPENDED, to=CardStatus.ACTIVE)
    await move(session, card, CardStatus.ACTIVE, actor=actor, station_id=station_id, reason=reason, now=now)
    await session.flush()
    return card


async def report_lost(
    session: AsyncSession, *, card_id: UUID, actor: Actor, station_id: UUID | None = None, reason: str, now: datetime
) -> Card:
    """Stop a card from this moment on; losses before it are the holder's, so the moment is kept to the microsecond.

    The account and its money stay as they are; holds already placed run to their end, since that fuel is in the tank.

    :raises CardNotFound: if there is no such card
    :raises CardIsBearer: if the card is anonymous
    :raises CardCannotMove: if it is blank, issued, lost already, replaced or closed
    """
    card = await get_card_for_update(session, card_id=card_id)
    if card.bearer:
        raise CardIsBearer(card=card_id)
    await move(session, card, CardStatus.LOST, actor=actor, station_id=station_id, reason=reason, now=now)
    await session.flush()
    return card


async def report_found(
    session: AsyncSession, *, card_id: UUID, actor: Actor, station_id: UUID | None = None, reason: str, now: datetime
) -> Card:
    """Let a lost card return to the status it was lost from; only at an outlet, so a member of staff answers for it.

    :raises CardNotFound: if there is no such card
    :raises CardCannotMove: if it is not lost, or was replaced meanwhile
    """
    assert staff_of(actor) is not None, "a member of staff sees the card before it lives again"
    card = await get_card_for_update(session, card_id=card_id)
    require_status(card, CardStatus.LOST, to=CardStatus.ACTIVE)
    before = await status_before(session, card_id=card_id, status=CardStatus.LOST)
    await move(session, card, before or CardStatus.ACTIVE, actor=actor, station_id=station_id, reason=reason, now=now)
    await session.flush()
    return card


def require_living(card: Card) -> None:
    """Make sure a card still is, or may again be, in use.

    :raises CardCannotMove: if it is blank, replaced or closed
    """
    if card.status not in LIVING:
        raise CardCannotMove(card=card.card_id, status=card.status.name.lower(), to="changed")


def require_status(card: Card, status: CardStatus, *, to: CardStatus) -> None:
    if card.status is not status:
        raise CardCannotMove(card=card.card_id, status=card.status.name.lower(), to=to.name.lower())
