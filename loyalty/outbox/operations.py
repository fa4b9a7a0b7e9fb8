"""What leaves the house: made in the transaction of what it tells, sent outside any, never twice by itself.

A message that is claimed is committed as *sending* before its sender tries. Where the sender dies between the two nobody can know
whether it left: such a message becomes *uncertain* and is sent again only by hand. What did not get through is tried again.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.crypto import Purpose, open_, open_text, seal, seal_text
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.ids import uuid7

from .model import MESSAGE_MOVES, TABLE, Channel, MessageStatus, OutboxMessage
from .queries import MessageNotFound

WAITS: Final = tuple(timedelta(minutes=one) for one in (1, 5, 30, 120, 360, 1440))
"""How long after each failed try the next one comes; after the last there is none."""
LEASE: Final = timedelta(minutes=15)
"""Longer than any sending takes."""
KEPT: Final = timedelta(days=90)


class MessageCannotGo(Refusal):
    """It waits already, or left."""

    status = 409
    zh = "该消息当前为 {status}，不能再次发送。"
    en = "The message is {status}; it cannot be sent again."
    next_zh = "请刷新页面查看最新状态。"
    next_en = "Reload the page."


class Outgoing(NamedTuple):
    """One message to send."""

    message_id: UUID
    recipient: str
    payload: bytes


class Result(NamedTuple):
    """What became of a try: `WAITING` is a try that may be made again."""

    status: MessageStatus
    error: str | None = None


async def put(
    session: AsyncSession,
    *,
    channel: Channel,
    once: str,
    about: str,
    recipient: str,
    payload: bytes,
    company_id: UUID | None = None,
    now: datetime,
) -> bool:
    """Put a message into the outbox; False where `once` was there."""
    message_id = uuid7(now)
    made = upsert(OutboxMessage).values(
        message_id=message_id,
        channel=channel,
        once=once,
        about=about,
        company_id=company_id,
        recipient=seal_text(Purpose.CONTACT, table=TABLE, column="recipient", row_id=message_id, plaintext=recipient),
        recipient_shown=shown(recipient),
        payload=seal(Purpose.CONTACT, table=TABLE, column="payload", row_id=message_id, plaintext=payload),
        made_at=now,
        due_at=now,
        attempts=0,
        status=MessageStatus.WAITING,
    )
    made = made.on_conflict_do_nothing(index_elements=[OutboxMessage.once])
    return await session.scalar(made.returning(OutboxMessage.message_id)) is not None


async def claim(session: AsyncSession, *, channel: Channel, now: datetime, most: int = 50) -> list[Outgoing]:
    """Take messages that are due; commit before sending. Those whose sender died are set aside as uncertain."""
    stuck = update(OutboxMessage).where(OutboxMessage.status == MessageStatus.SENDING, OutboxMessage.due_at <= now)
    await session.execute(stuck.values(status=MessageStatus.UNCERTAIN, ended_at=now, error="the sender stopped while sending"))
    due = (
        select(OutboxMessage)
        .where(OutboxMessage.status == MessageStatus.WAITING, OutboxMessage.due_at <= now, OutboxMessage.channel == channel)
        .order_by(OutboxMessage.due_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    found = []
    for row in await session.scalars(due):
        assert row.payload is not None, "only what left is forgotten"
        row.status, row.attempts, row.due_at = MessageStatus.SENDING, row.attempts + 1, now + LEASE
        to = open_text(Purpose.CONTACT, table=TABLE, column="recipient", row_id=row.message_id, envelope=row.recipient)
        said = open_(Purpose.CONTACT, table=TABLE, column="payload", row_id=row.message_id, envelope=row.payload)
        found.append(Outgoing(row.message_id, to, said))
    await session.flush()
    return found


async def note(session: AsyncSession, *, results: Mapping[UUID, Result], now: datetime) -> int:
    """Write down what came of sending; return how many left."""
    left = 0
    known = locked(select(OutboxMessage).where(OutboxMessage.message_id.in_(results)).order_by(OutboxMessage.message_id))
    for row in await session.scalars(known):
        to, error = results[row.message_id]
        if row.status is not MessageStatus.SENDING:
            continue
        if to is MessageStatus.WAITING and row.attempts > len(WAITS):
            to = MessageStatus.DEAD
        assert to in MESSAGE_MOVES[row.status], "a try ends as the table says"
        row.status, row.error = to, error
        if to is MessageStatus.WAITING:
            row.due_at = now + WAITS[row.attempts - 1]
            continue
        row.ended_at = now
        if to is MessageStatus.SENT:
            row.payload = None
        left += to in {MessageStatus.SENT, MessageStatus.CAPTURED}
    await session.flush()
    return left


async def send_again(session: AsyncSession, *, message_id: UUID, now: datetime) -> None:
    """Let a message that was given up, kept here, or may have left, be sent once more.

    :raises MessageNotFound: if there is none
    :raises MessageCannotGo: if it waits, is being sent, or left
    """
    row: OutboxMessage | None = await session.scalar(locked(select(OutboxMessage).where(OutboxMessage.message_id == message_id)))
    if row is None:
        raise MessageNotFound(message=message_id)
    if row.status is MessageStatus.SENDING or MessageStatus.WAITING not in MESSAGE_MOVES[row.status]:
        raise MessageCannotGo(status=row.status.value)
    row.status, row.ended_at, row.attempts, row.due_at, row.error = MessageStatus.WAITING, None, 0, now, None
    await session.flush()


async def forget(session: AsyncSession, *, now: datetime) -> int:
    """Remove what ended long ago; return how many."""
    gone = delete(OutboxMessage).where(OutboxMessage.ended_at < now - KEPT).returning(OutboxMessage.message_id)
    return len((await session.scalars(gone)).all())


def shown(recipient: str) -> str:
    """Return enough of an address to recognise it by."""
    name, at, host = recipient.rpartition("@")
    return f"{name[:1]}•••{at}{host}" if at else f"•••{recipient[-4:]}"
