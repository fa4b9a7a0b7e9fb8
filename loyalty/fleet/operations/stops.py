"""Stopping a company's cards: by its own people, and when a card is recalled because nobody may use it any more."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.cards import operations as cards
from loyalty.cards.model import Card, CardStatus
from loyalty.cards.queries import CardNotFound, last_move
from loyalty.errors import Refusal
from loyalty.fleet.model import Company
from loyalty.fleet.model_notices import NoticeKind
from loyalty.ids import uuid7

from .moves import Gathered, gather_chains
from .notices import News, notify

_RECALLED: Final = "recalled: "
"""What the reason of a recall begins with: whoever stopped it so, the company may let it live again."""


class RecallReason(StrEnum):
    """Why nobody may use a card any more."""

    CAR = "car"
    """A company car was assigned to a private vehicle's owner (domain notes, company fuel rules)."""
    AWAY = "away"
    LEFT = "left"
    CLOSED = "closed"
    """Its vehicle was closed."""


class StoppedByIssuer(Refusal):
    """What the issuer stopped the company does not start."""

    status = 409
    zh = "该卡由发卡方停用，企业不能自行恢复。"
    en = "The issuer stopped this card; the company cannot let it live again."
    next_zh = "请联系发卡方。"
    next_en = "Talk to the issuer."


async def suspend_company_card(session: AsyncSession, *, account_id: UUID, card_id: UUID, reason: str, actor: Actor, now: datetime) -> None:
    """Stop one of the company's cards for a while.

    :raises CardNotFound: if it is none of the account's
    :raises CardCannotMove: if it is not active
    """
    await _require_own(session, account_id, card_id)
    await cards.suspend_card(session, card_id=card_id, reason=reason, actor=actor, now=now)


async def resume_company_card(session: AsyncSession, *, account_id: UUID, card_id: UUID, reason: str, actor: Actor, now: datetime) -> None:
    """Let a card live again that the company stopped, or that was recalled.

    :raises CardNotFound: if it is none of the account's
    :raises StoppedByIssuer: if the issuer stopped it
    :raises CardCannotMove: if it is not suspended
    """
    await _require_own(session, account_id, card_id)
    stopped = await last_move(session, card_id=card_id, to=CardStatus.SUSPENDED)
    if stopped is not None and stopped.actor_kind is not ActorKind.COMPANY_USER and not stopped.reason.startswith(_RECALLED):
        raise StoppedByIssuer(card=card_id)
    await cards.resume_card(session, card_id=card_id, reason=reason, actor=actor, now=now)


async def report_company_card_lost(
    session: AsyncSession, *, account_id: UUID, card_id: UUID, reason: str, actor: Actor, now: datetime
) -> None:
    """Report one of the company's cards lost: losses from this moment on are no longer the company's.

    :raises CardNotFound: if it is none of the account's
    :raises CardCannotMove: if it is lost already, replaced or closed
    """
    await _require_own(session, account_id, card_id)
    await cards.report_lost(session, card_id=card_id, reason=reason, actor=actor, now=now)


async def unlock_company_pin(session: AsyncSession, *, account_id: UUID, card_id: UUID, actor: Actor, now: datetime) -> None:
    """Give one of the company's cards its three tries again: its administrator, with a second factor (domain notes, limits).

    :raises CardNotFound: if it is none of the account's
    :raises CardCannotMove: if it is blank, replaced or closed
    """
    await _require_own(session, account_id, card_id)
    await cards.unlock_pin(session, card_id=card_id, identity_seen=True, actor=actor, now=now)


async def recall(
    session: AsyncSession, *, company: Company, chain_ids: Collection[UUID], why: RecallReason, who: str, actor: Actor, now: datetime
) -> Gathered:
    """Stop the cards of chains that nobody may use any more, take back what is free on them, and tell whom to collect them from.

    Their bindings have ended: the caller did that. Fills that are under way are booked whatever becomes of the card.

    :raises AccountNotOpen: if the company's account is closed
    """
    active = select(Card.card_id, Card.number_tail).where(
        Card.chain_id.in_(chain_ids), Card.account_id == company.account_id, Card.status == CardStatus.ACTIVE
    )
    stopped = (await session.execute(active.order_by(Card.card_id))).all()
    for one in stopped:
        await cards.suspend_card(session, card_id=one.card_id, reason=f"{_RECALLED}{why.value}", actor=actor, now=now)
    said = [
        News(company.company_id, uuid7(now), {"card": str(one.card_id), "tail": one.number_tail, "who": who, "why": why.value})
        for one in stopped
    ]
    await notify(session, kind=NoticeKind.CARD_TO_RECALL, news=said, at=now)
    reason = f"{_RECALLED}{why.value}"
    return await gather_chains(session, company_id=company.company_id, chain_ids=list(chain_ids), reason=reason, actor=actor, now=now)


async def _require_own(session: AsyncSession, account_id: UUID, card_id: UUID) -> None:
    if await session.scalar(select(Card.card_id).where(Card.card_id == card_id, Card.account_id == account_id)) is None:
        raise CardNotFound(card=card_id)
