"""Fills that were paid in cash: filed by one person, approved by another, and counted once their receipt is there."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of
from loyalty.media import Media


class CashReason(StrEnum):
    """Why the card was not used."""

    NO_CARD_SERVICE = "no_card_service"
    CARD_LOST = "card_lost"
    EMERGENCY = "emergency"
    OTHER = "other"


class CashStatus(StrEnum):
    """How far a cash fill is."""

    FILED = "filed"
    APPROVED = "approved"
    REFUSED = "refused"
    REIMBURSED = "reimbursed"
    """Whoever paid has the money back."""
    WITHDRAWN = "withdrawn"


CASH_MOVES: dict[CashStatus, frozenset[CashStatus]] = {
    CashStatus.FILED: frozenset({CashStatus.APPROVED, CashStatus.REFUSED, CashStatus.WITHDRAWN}),
    # Back to filed: the receipt says more than was approved beforehand. Withdrawn: nothing was bought after all.
    CashStatus.APPROVED: frozenset({CashStatus.FILED, CashStatus.REIMBURSED, CashStatus.WITHDRAWN}),
    CashStatus.REFUSED: frozenset(),
    CashStatus.REIMBURSED: frozenset(),
    CashStatus.WITHDRAWN: frozenset(),
}
STANDING = (CashStatus.FILED, CashStatus.APPROVED, CashStatus.REIMBURSED)
COUNTED = (CashStatus.APPROVED, CashStatus.REIMBURSED)
"""What counts, once its receipt is there."""


class CashFill(Base):
    """One cash fill; asked for beforehand it has no receipt at first."""

    __tablename__ = "cash_fills"

    cash_fill_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    vehicle_id: Mapped[UUID] = mapped_column(ForeignKey("vehicles.vehicle_id"))
    driver_id: Mapped[UUID] = mapped_column(ForeignKey("drivers.driver_id"))
    department_id: Mapped[UUID | None] = mapped_column(ForeignKey("departments.department_id"))
    """The vehicle's when it was filed."""
    event_at: Mapped[datetime]
    day: Mapped[date]
    """The company's."""
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    place: Mapped[str | None]
    """In its own words where it is none of the chain's stations."""
    product_id: Mapped[UUID | None] = mapped_column(ForeignKey("products.product_id"))
    quantity_milli: Mapped[int]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    odometer_km: Mapped[int | None]
    reason: Mapped[CashReason]
    comment: Mapped[str]
    asked_before: Mapped[bool]
    status: Mapped[CashStatus]
    filed_at: Mapped[datetime]
    filed_by: Mapped[str]
    receipt_at: Mapped[datetime | None]
    receipt_by: Mapped[str | None]
    receipt_digest: Mapped[bytes | None]
    """SHA-256 of the file: a receipt counts once in a company."""
    plate_read: Mapped[str | None]
    """As it stands on the receipt."""
    plate_differs: Mapped[bool]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]
    decision: Mapped[str | None]
    reimbursed_at: Mapped[datetime | None]
    reimbursed_by: Mapped[str | None]
    reading_id: Mapped[UUID | None] = mapped_column(ForeignKey("odometer_readings.reading_id"))
    """The odometer's reading that was made of it when it came to count."""

    __table_args__ = (
        Index(
            "ux_cash_fills_receipt",
            "company_id",
            "receipt_digest",
            unique=True,
            postgresql_where=text("status IN ('filed', 'approved', 'reimbursed')"),
        ),
        Index("ix_cash_fills_company_id", "company_id", "event_at", "cash_fill_id"),
        Index("ix_cash_fills_vehicle_id", "vehicle_id", "event_at"),
        Index("ix_cash_fills_filed", "company_id", "cash_fill_id", postgresql_where=text("status = 'filed'")),
        Index(
            "ix_cash_fills_counted",
            "company_id",
            "day",
            postgresql_where=text("status IN ('approved', 'reimbursed') AND receipt_digest IS NOT NULL"),
        ),
        one_of("reason", CashReason),
        one_of("status", CashStatus),
        CheckConstraint("quantity_milli > 0 AND amount_minor > 0 AND odometer_km >= 0", name="amounts"),
        CheckConstraint("(station_id IS NULL) <> (place IS NULL)", name="place"),
        CheckConstraint(
            "num_nulls(receipt_at, receipt_by, receipt_digest, plate_read) IN (0, 4)"
            " AND (receipt_at IS NOT NULL OR asked_before AND NOT plate_differs) AND (receipt_at IS NULL OR odometer_km IS NOT NULL)",
            name="receipt",
        ),
        CheckConstraint(
            "(decided_at IS NULL) = (decided_by IS NULL) AND CASE status WHEN 'filed' THEN decided_at IS NULL WHEN 'withdrawn' THEN true"
            " ELSE decided_at IS NOT NULL END",
            name="decided",
        ),
        CheckConstraint(
            "decided_by NOT IN (filed_by, coalesce(receipt_by, filed_by)) AND reimbursed_by NOT IN (filed_by, receipt_by)",
            name="two_people",
        ),
        CheckConstraint(
            "(status = 'reimbursed') = (reimbursed_at IS NOT NULL) AND (reimbursed_at IS NULL) = (reimbursed_by IS NULL)"
            " AND (reimbursed_at IS NULL OR receipt_at IS NOT NULL)",
            name="reimbursed",
        ),
    )


class CashReceipt(Base):
    """The photo or paper itself, sealed; apart from the fill, so that a list never reads it."""

    __tablename__ = "cash_receipts"

    cash_fill_id: Mapped[UUID] = mapped_column(ForeignKey("cash_fills.cash_fill_id"), primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    media: Mapped[Media]
    content_sealed: Mapped[bytes]

    __table_args__ = (one_of("media", Media),)
