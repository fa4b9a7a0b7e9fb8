"""Where a company's own system wants to be told, and what was sent there: the outbox of what made them."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of


class WebhookEvent(StrEnum):
    """What is told."""

    TEST = "test"
    FILL_BOOKED = "fill.booked"
    FINDING_OPENED = "finding.opened"
    APPROVAL_ASKED = "approval.asked"
    ALLOCATION_LOADED = "allocation.loaded"


class DeliveryStatus(StrEnum):
    """What became of a message."""

    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"
    """Tried as often as is tried; sent again only by hand."""


DELIVERY_MOVES: dict[DeliveryStatus, frozenset[DeliveryStatus]] = {
    DeliveryStatus.WAITING: frozenset({DeliveryStatus.SENT, DeliveryStatus.DEAD}),
    DeliveryStatus.SENT: frozenset({DeliveryStatus.WAITING}),
    DeliveryStatus.DEAD: frozenset({DeliveryStatus.WAITING}),
}


class CompanyWebhook(Base):
    """One address of one company, told until it is ended."""

    __tablename__ = "company_webhooks"

    webhook_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    url: Mapped[str]
    secret: Mapped[bytes]
    """Sealed; messages are signed with it."""
    events: Mapped[list[str]]
    made_by: Mapped[str]
    made_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_company_webhooks_company_id", "company_id", "webhook_id"),
        CheckConstraint("url LIKE 'https://%'", name="url"),
    )


class WebhookDelivery(Base):
    """One message to one address. `subject_id` with the event makes it one, however often it is said."""

    __tablename__ = "webhook_deliveries"

    delivery_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("company_webhooks.webhook_id"))
    event: Mapped[WebhookEvent]
    subject_id: Mapped[UUID]
    body: Mapped[str]
    """The JSON as it is signed and sent, byte for byte."""
    made_at: Mapped[datetime]
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(Integer)
    status: Mapped[DeliveryStatus]
    answered: Mapped[int | None] = mapped_column(Integer)
    """The HTTP status of the last answer; None: none came."""
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ux_webhook_deliveries_subject_id", "webhook_id", "event", "subject_id", unique=True),
        Index("ix_webhook_deliveries_company_id", "company_id", "delivery_id"),
        Index("ix_webhook_deliveries_due_at", "due_at", postgresql_where=text("status = 'waiting'")),
        one_of("event", WebhookEvent),
        one_of("status", DeliveryStatus),
        CheckConstraint("(status = 'waiting') = (ended_at IS NULL) AND attempts >= 0", name="ended"),
    )
