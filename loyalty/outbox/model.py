"""What leaves the house, as rows: whom it goes to and what it says are sealed."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of

TABLE = "outbox_messages"


class Channel(StrEnum):
    """How it leaves."""

    MAIL = "mail"
    WEBHOOK = "webhook"
    """To a system's address, signed; its payload is a `SignedPost`."""


class MessageStatus(StrEnum):
    """What became of a message."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    CAPTURED = "captured"
    """Kept here instead of sent: no server is set."""
    UNCERTAIN = "uncertain"
    """Its sender died while sending: it may have left."""
    DEAD = "dead"


MESSAGE_MOVES: dict[MessageStatus, frozenset[MessageStatus]] = {
    MessageStatus.WAITING: frozenset({MessageStatus.SENDING, MessageStatus.DEAD}),
    MessageStatus.SENDING: frozenset(
        {MessageStatus.SENT, MessageStatus.CAPTURED, MessageStatus.WAITING, MessageStatus.DEAD, MessageStatus.UNCERTAIN}
    ),
    MessageStatus.SENT: frozenset(),
    MessageStatus.CAPTURED: frozenset({MessageStatus.WAITING}),
    MessageStatus.UNCERTAIN: frozenset({MessageStatus.WAITING}),
    MessageStatus.DEAD: frozenset({MessageStatus.WAITING}),
}


class SignedPost(msgspec.Struct, frozen=True):
    """What a webhook's payload is: the secret it is signed with, and the JSON as it is sent, byte for byte."""

    secret: bytes
    body: str


class OutboxMessage(Base):
    """One message to one recipient. Whom it goes to and what it says are sealed; what it says is forgotten once it left."""

    __tablename__ = TABLE

    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    channel: Mapped[Channel]
    once: Mapped[str] = mapped_column(Text)
    """What makes it one message, for ever."""
    about: Mapped[str] = mapped_column(Text)
    """What it is, as a code: `fleet.report.period`."""
    company_id: Mapped[UUID | None] = mapped_column(ForeignKey("companies.company_id"))
    recipient: Mapped[bytes]
    recipient_shown: Mapped[str] = mapped_column(Text)
    """Enough to recognise it by: `w•••@example.com`."""
    payload: Mapped[bytes | None]
    made_at: Mapped[datetime]
    due_at: Mapped[datetime]
    """When it may be sent; while it is being sent, when its sender is given up."""
    attempts: Mapped[int] = mapped_column(Integer)
    status: Mapped[MessageStatus]
    ended_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    """Why it did not leave: the kind, and what the server said, without whom it was for."""

    __table_args__ = (
        Index("ux_outbox_messages_once", "once", unique=True),
        Index("ix_outbox_messages_due_at", "due_at", postgresql_where=text("status IN ('waiting', 'sending')")),
        Index("ix_outbox_messages_company_id", "company_id", "message_id", postgresql_where=text("company_id IS NOT NULL")),
        one_of("channel", Channel),
        one_of("status", MessageStatus),
        CheckConstraint("(status IN ('waiting', 'sending')) = (ended_at IS NULL) AND attempts >= 0", name="ended"),
        CheckConstraint("(status = 'sent') = (payload IS NULL)", name="payload"),
    )
