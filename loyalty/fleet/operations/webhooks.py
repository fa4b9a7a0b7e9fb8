"""Webhooks: where to tell, what waits to be told, and what became of it. A message is made in the transaction of what it tells."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.crypto import Purpose, open_, seal
from loyalty.db import locked
from loyalty.errors import NotFound, Refusal
from loyalty.fleet.model_webhooks import DELIVERY_MOVES, CompanyWebhook, DeliveryStatus, WebhookDelivery, WebhookEvent
from loyalty.fleet.webhook_rules import WAITS, may_go_to, shown_secret
from loyalty.ids import uuid7

WEBHOOKS_MAX: Final = 5
_LEASE: Final = timedelta(minutes=5)
"""How long a claimed message is its sender's: after a crash another one takes it."""
_TABLE: Final = "company_webhooks"


class WebhookNotFound(NotFound):
    """Unknown, or another company's: the answer is the same."""

    zh = "没有找到该推送地址。"
    en = "There is no such webhook."


class WebhookNotAllowed(Refusal):
    """Not https, or not in the open internet."""

    status = 422
    zh = "推送地址须为公网 https 地址。"
    en = "A webhook's address begins with https and lies in the public internet."
    next_zh = "请填写完整的公网地址，不能是内网或本机地址。"
    next_en = "Give the whole public address; an inside or local one cannot be reached."


class TooManyWebhooks(Refusal):
    """A company has some, not hundreds."""

    zh = "最多保留 {most} 个推送地址。"
    en = "A company has at most {most} webhooks."
    next_zh = "请先停用一个。"
    next_en = "End one first."


class Message(NamedTuple):
    """One message to send."""

    delivery_id: UUID
    url: str
    secret: bytes
    body: str


async def add_webhook(
    session: AsyncSession, *, company_id: UUID, url: str, events: Iterable[WebhookEvent], actor: Actor, now: datetime
) -> str:
    """Add an address and return its secret, shown once.

    :raises WebhookNotAllowed: if the address is none of the open internet
    :raises TooManyWebhooks: if the company has its five
    """
    if not may_go_to(url):
        raise WebhookNotAllowed
    living = select(func.count()).where(CompanyWebhook.company_id == company_id, CompanyWebhook.ended_at.is_(None))
    if int(await session.scalar(living) or 0) >= WEBHOOKS_MAX:
        raise TooManyWebhooks(most=WEBHOOKS_MAX)
    webhook_id, secret = uuid7(now), secrets.token_bytes(32)
    sealed = seal(Purpose.WEBHOOK_SECRET, table=_TABLE, column="secret", row_id=webhook_id, plaintext=secret)
    told = sorted({one.value for one in events})
    row = {"webhook_id": webhook_id, "company_id": company_id, "url": url, "secret": sealed, "events": told}
    session.add(CompanyWebhook(**row, made_by=str(actor.actor_id), made_at=now))
    await session.flush()
    facts = {"events": told}
    await audit.record(session, actor=actor, action="fleet.webhook_made", subject=("webhook", webhook_id), facts=facts, now=now)
    return shown_secret(secret)


async def end_webhook(session: AsyncSession, *, company_id: UUID, webhook_id: UUID, actor: Actor, now: datetime) -> None:
    """Tell an address nothing more; what waits for it is dropped at its turn.

    :raises WebhookNotFound: if the company has no such address
    """
    row = await _webhook(session, company_id, webhook_id)
    if row.ended_at is None:
        row.ended_at = now
        await session.flush()
        await audit.record(session, actor=actor, action="fleet.webhook_ended", subject=("webhook", webhook_id), facts={}, now=now)


async def tell_test(session: AsyncSession, *, company_id: UUID, webhook_id: UUID, now: datetime) -> None:
    """Send a message that tells nothing.

    :raises WebhookNotFound: if the company has no such address
    """
    row = await _webhook(session, company_id, webhook_id)
    if row.ended_at is not None:
        raise WebhookNotFound(webhook=webhook_id)
    await _put(session, [(row.webhook_id, company_id, uuid7(now), {})], event=WebhookEvent.TEST, now=now)


async def tell(session: AsyncSession, *, event: WebhookEvent, news: Sequence[tuple[UUID, UUID, Mapping[str, Any]]], now: datetime) -> int:
    """Put what happened into the outbox for whoever wants to know; `news`: company, what it is about, its facts. Told twice it is once."""
    if not news:
        return 0
    companies = {company_id for company_id, _subject, _facts in news}
    asked = select(CompanyWebhook.company_id, CompanyWebhook.webhook_id).where(
        CompanyWebhook.company_id.in_(companies), CompanyWebhook.ended_at.is_(None), CompanyWebhook.events.contains([event.value])
    )
    wanting: dict[UUID, list[UUID]] = {}
    for company_id, webhook_id in await session.execute(asked):
        wanting.setdefault(company_id, []).append(webhook_id)
    rows = [(to, company, subject, facts) for company, subject, facts in news for to in wanting.get(company, ())]
    await _put(session, rows, event=event, now=now)
    return len(rows)


async def claim(session: AsyncSession, *, now: datetime, most: int = 100) -> list[Message]:
    """Take messages that are due, and keep others from them for some minutes; commit before sending."""
    due = (
        select(WebhookDelivery)
        .where(WebhookDelivery.status == DeliveryStatus.WAITING, WebhookDelivery.due_at <= now)
        .order_by(WebhookDelivery.due_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    rows = list(await session.scalars(due))
    known = select(CompanyWebhook).where(CompanyWebhook.webhook_id.in_({row.webhook_id for row in rows}))
    webhooks = {one.webhook_id: one for one in await session.scalars(known)}
    found = []
    for row in rows:
        to = webhooks[row.webhook_id]
        if to.ended_at is not None:
            row.status, row.ended_at = DeliveryStatus.DEAD, now
            continue
        row.attempts += 1
        row.due_at = now + _LEASE
        secret = open_(Purpose.WEBHOOK_SECRET, table=_TABLE, column="secret", row_id=to.webhook_id, envelope=to.secret)
        found.append(Message(row.delivery_id, to.url, secret, row.body))
    await session.flush()
    return found


async def note_answers(session: AsyncSession, *, answers: Mapping[UUID, int | None], now: datetime) -> int:
    """Write down what came of sending: the HTTP status by message, None where no answer came; return how many were taken."""
    taken = 0
    known = locked(select(WebhookDelivery).where(WebhookDelivery.delivery_id.in_(answers)).order_by(WebhookDelivery.delivery_id))
    for row in await session.scalars(known):
        row.answered = answers[row.delivery_id]
        if row.status is not DeliveryStatus.WAITING:
            continue
        if row.answered is not None and 200 <= row.answered < 300:
            row.status, row.ended_at = DeliveryStatus.SENT, now
            taken += 1
        elif row.attempts > len(WAITS):
            row.status, row.ended_at = DeliveryStatus.DEAD, now
        else:
            row.due_at = now + WAITS[row.attempts - 1]
    await session.flush()
    return taken


async def send_again(session: AsyncSession, *, company_id: UUID, delivery_id: UUID, now: datetime) -> None:
    """Let a message wait to be sent once more; one that waits already is due now.

    :raises WebhookNotFound: if the company has no such message
    """
    row: WebhookDelivery | None = await session.scalar(locked(select(WebhookDelivery).where(WebhookDelivery.delivery_id == delivery_id)))
    if row is None or row.company_id != company_id:
        raise WebhookNotFound(delivery=delivery_id)
    if DeliveryStatus.WAITING in DELIVERY_MOVES[row.status]:
        row.status, row.ended_at, row.attempts = DeliveryStatus.WAITING, None, 0
    row.due_at = now
    await session.flush()


async def _webhook(session: AsyncSession, company_id: UUID, webhook_id: UUID) -> CompanyWebhook:
    row: CompanyWebhook | None = await session.scalar(locked(select(CompanyWebhook).where(CompanyWebhook.webhook_id == webhook_id)))
    if row is None or row.company_id != company_id:
        raise WebhookNotFound(webhook=webhook_id)
    return row


async def _put(
    session: AsyncSession, rows: Sequence[tuple[UUID, UUID, UUID, Mapping[str, Any]]], *, event: WebhookEvent, now: datetime
) -> None:
    made = [
        {
            "delivery_id": uuid7(now),
            "company_id": company_id,
            "webhook_id": webhook_id,
            "event": event,
            "subject_id": subject_id,
            "body": msgspec.json.encode({"type": event.value, "timestamp": now, "data": {"id": subject_id, **facts}}).decode(),
            "made_at": now,
            "due_at": now,
            "attempts": 0,
            "status": DeliveryStatus.WAITING,
        }
        for webhook_id, company_id, subject_id, facts in rows
    ]
    if made:
        on = [WebhookDelivery.webhook_id, WebhookDelivery.event, WebhookDelivery.subject_id]
        await session.execute(upsert(WebhookDelivery).on_conflict_do_nothing(index_elements=on), made)
