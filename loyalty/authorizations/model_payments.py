"""A one-time QR on an unpaid fill: the holder approves on the phone, the amount fixed, the fill locked meanwhile."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of


class PaymentStatus(StrEnum):
    """A request's life; a new one is made where it did not end in a payment."""

    OPEN = "open"
    APPROVED = "approved"
    """Paid: `sale_id` says by which sale."""
    DECLINED = "declined"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


PAYMENT_MOVES: dict[PaymentStatus, frozenset[PaymentStatus]] = {
    PaymentStatus.OPEN: frozenset({PaymentStatus.APPROVED, PaymentStatus.DECLINED, PaymentStatus.EXPIRED, PaymentStatus.CANCELLED}),
    PaymentStatus.APPROVED: frozenset(),
    PaymentStatus.DECLINED: frozenset(),
    PaymentStatus.EXPIRED: frozenset(),
    PaymentStatus.CANCELLED: frozenset(),
}


class PaymentRequest(Base):
    """One QR on one fill. Its token is known to the phone only; here stands its hash."""

    __tablename__ = "payment_requests"

    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    fill_id: Mapped[UUID] = mapped_column(ForeignKey("fills.fill_id"))
    station_id: Mapped[UUID] = mapped_column(ForeignKey("stations.station_id"))
    terminal_id: Mapped[UUID] = mapped_column(ForeignKey("terminals.terminal_id"))
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    token_hash: Mapped[bytes]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    status: Mapped[PaymentStatus]
    made_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    account_id: Mapped[UUID | None]
    card_id: Mapped[UUID | None]
    """The card that was chosen: set before the sale is asked for, so that a second phone cannot pay as well."""
    sale_id: Mapped[UUID | None]
    reason: Mapped[str | None]
    """Why it was declined."""
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        one_of("status", PaymentStatus),
        CheckConstraint("(status = 'open') = (ended_at IS NULL)", name="ended"),
        CheckConstraint("(status = 'approved') = (sale_id IS NOT NULL)", name="paid"),
        CheckConstraint("amount_minor > 0 AND expires_at > made_at", name="amount"),
        UniqueConstraint("token_hash", name="uq_payment_requests_token_hash"),
        Index("ux_payment_requests_open", "fill_id", unique=True, postgresql_where=text("status = 'open'")),
        Index("ix_payment_requests_expiry", "expires_at", postgresql_where=text("status = 'open'")),
    )
