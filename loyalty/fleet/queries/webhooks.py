"""Reading where a company's systems are told, and the last messages."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.fleet.model_webhooks import CompanyWebhook, DeliveryStatus, WebhookDelivery, WebhookEvent
from loyalty.fleet.operations.webhooks import WebhookNotFound
from loyalty.paging import PAGE_SIZE, Key, Page, all_as, page_as


class WebhookView(msgspec.Struct, frozen=True):
    """An address and what it is told."""

    webhook_id: UUID
    url: str
    events: list[str]
    made_at: datetime
    ended_at: datetime | None


class DeliveryView(msgspec.Struct, frozen=True):
    """One message and what became of it."""

    delivery_id: UUID
    url: str
    event: WebhookEvent
    made_at: datetime
    status: DeliveryStatus
    attempts: int
    answered: int | None


async def webhooks_of(session: AsyncSession, *, company_id: UUID, most: int = 100) -> list[WebhookView]:
    """Return a company's addresses, the living ones first."""
    wanted = select(*(getattr(CompanyWebhook, name) for name in WebhookView.__struct_fields__)).where(
        CompanyWebhook.company_id == company_id
    )
    ordered = wanted.order_by(CompanyWebhook.ended_at.is_not(None), CompanyWebhook.webhook_id.desc()).limit(most)
    return await all_as(session, WebhookView, ordered)


async def list_deliveries(
    session: AsyncSession, *, company_id: UUID, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[DeliveryView]:
    """Read a page of a company's messages, the latest first."""
    wanted = (
        select(
            WebhookDelivery.delivery_id,
            CompanyWebhook.url,
            *(WebhookDelivery.event, WebhookDelivery.made_at, WebhookDelivery.status, WebhookDelivery.attempts, WebhookDelivery.answered),
        )
        .join(CompanyWebhook, CompanyWebhook.webhook_id == WebhookDelivery.webhook_id)
        .where(WebhookDelivery.company_id == company_id)
    )
    return await page_as(
        session, DeliveryView, wanted, keys=[Key(WebhookDelivery.delivery_id, descending=True)], cursor=cursor, limit=limit
    )


async def get_delivery(session: AsyncSession, *, company_id: UUID, delivery_id: UUID) -> UUID:
    """Return a message's id if it is the company's.

    :raises WebhookNotFound: if it is not
    """
    found = select(WebhookDelivery.delivery_id).where(WebhookDelivery.company_id == company_id, WebhookDelivery.delivery_id == delivery_id)
    known: UUID | None = await session.scalar(found)
    if known is None:
        raise WebhookNotFound(delivery=delivery_id)
    return known
