"""Reading what leaves the house."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.crypto import Purpose, open_
from loyalty.errors import NotFound
from loyalty.paging import PAGE_SIZE, Key, Page, one_as, page_as

from .model import TABLE, Channel, MessageStatus, OutboxMessage


class MessageNotFound(NotFound):
    """Unknown."""

    zh = "没有找到该消息。"
    en = "There is no such message."


class MessageView(msgspec.Struct, frozen=True):
    """One message as the office sees it."""

    message_id: UUID
    channel: Channel
    about: str
    once: str
    """What it is sent once for."""
    recipient_shown: str
    made_at: datetime
    due_at: datetime
    attempts: int
    status: MessageStatus
    ended_at: datetime | None
    error: str | None


_COLUMNS: Final = [getattr(OutboxMessage, name) for name in MessageView.__struct_fields__]


async def list_messages(
    session: AsyncSession, *, statuses: Sequence[MessageStatus] = (), cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[MessageView]:
    """Return messages, the latest first."""
    statement = select(*_COLUMNS)
    if statuses:
        statement = statement.where(OutboxMessage.status.in_(statuses))
    return await page_as(session, MessageView, statement, keys=[Key(OutboxMessage.message_id, descending=True)], cursor=cursor, limit=limit)


async def get_message(session: AsyncSession, *, message_id: UUID) -> MessageView:
    """Return one message.

    :raises MessageNotFound: if there is none
    """
    found = await one_as(session, MessageView, select(*_COLUMNS).where(OutboxMessage.message_id == message_id))
    if found is None:
        raise MessageNotFound(message=message_id)
    return found


async def statuses_of(session: AsyncSession, *, once: Collection[str]) -> dict[str, tuple[MessageStatus, datetime | None]]:
    """Return where messages stand and since when it is over, by what makes each one; what was forgotten is left out."""
    wanted = select(OutboxMessage.once, OutboxMessage.status, OutboxMessage.ended_at).where(OutboxMessage.once.in_(once))
    return {name: (status, ended_at) for name, status, ended_at in await session.execute(wanted)}


async def payload_of(session: AsyncSession, *, message_id: UUID) -> bytes:
    """Return what a captured mail says.

    :raises MessageNotFound: if there is none, or it left
    """
    row = await session.get(OutboxMessage, message_id)
    if row is None or row.payload is None or row.status is not MessageStatus.CAPTURED or row.channel is not Channel.MAIL:
        raise MessageNotFound(message=message_id)
    return open_(Purpose.CONTACT, table=TABLE, column="payload", row_id=message_id, envelope=row.payload)
