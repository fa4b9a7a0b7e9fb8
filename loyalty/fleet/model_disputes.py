"""Fills that a company disputes: what it says, what the station answers, what the office decides, and the refund that followed."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of


class DisputeReason(StrEnum):
    """What is wrong with a fill, as the company sees it."""

    NOT_OURS = "not_ours"
    WRONG_LITRES = "wrong_litres"
    WRONG_AMOUNT = "wrong_amount"
    WRONG_GRADE = "wrong_grade"
    TWICE = "twice"
    OTHER = "other"


class DisputeStatus(StrEnum):
    """How far a dispute is."""

    OPENED = "opened"
    ANSWERED = "answered"
    """The station said what it knows."""
    APPROVED = "approved"
    """The refund mirror was booked."""
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


DISPUTE_MOVES: dict[DisputeStatus, frozenset[DisputeStatus]] = {
    DisputeStatus.OPENED: frozenset({DisputeStatus.ANSWERED, DisputeStatus.APPROVED, DisputeStatus.REJECTED, DisputeStatus.WITHDRAWN}),
    DisputeStatus.ANSWERED: frozenset({DisputeStatus.APPROVED, DisputeStatus.REJECTED, DisputeStatus.WITHDRAWN}),
    DisputeStatus.APPROVED: frozenset(),
    DisputeStatus.REJECTED: frozenset(),
    DisputeStatus.WITHDRAWN: frozenset(),
}
STANDING = (DisputeStatus.OPENED, DisputeStatus.ANSWERED)


class FillDispute(Base):
    """One dispute; a fill has at most one that stands."""

    __tablename__ = "fill_disputes"

    dispute_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    account_id: Mapped[UUID]
    sale_id: Mapped[UUID]
    station_id: Mapped[UUID] = mapped_column(ForeignKey("stations.station_id"))
    reason: Mapped[DisputeReason]
    comment: Mapped[str]
    wanted_minor: Mapped[int]
    """The gross amount that the company wants back."""
    currency: Mapped[str]
    status: Mapped[DisputeStatus]
    opened_at: Mapped[datetime]
    opened_by: Mapped[str]
    answer_by: Mapped[datetime]
    """Until when the station may answer before the office decides without it."""
    answered_at: Mapped[datetime | None]
    answered_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    answer: Mapped[str | None]
    agrees: Mapped[bool | None]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    decision: Mapped[str | None]
    refund_id: Mapped[UUID | None]
    given_minor: Mapped[int | None]

    __table_args__ = (
        Index("ux_fill_disputes_standing", "account_id", "sale_id", unique=True, postgresql_where=text("status IN ('opened', 'answered')")),
        Index("ix_fill_disputes_company_id", "company_id", "dispute_id"),
        Index("ix_fill_disputes_station_id", "station_id", "dispute_id"),
        Index("ix_fill_disputes_sale_id", "sale_id"),
        one_of("reason", DisputeReason),
        one_of("status", DisputeStatus),
        CheckConstraint("wanted_minor > 0 AND (given_minor IS NULL OR given_minor > 0)", name="amounts"),
        CheckConstraint("(status = 'approved') = (refund_id IS NOT NULL) AND (refund_id IS NULL) = (given_minor IS NULL)", name="refund"),
        CheckConstraint("(status IN ('approved', 'rejected')) = (decided_at IS NOT NULL)", name="decided"),
        CheckConstraint("(answered_at IS NULL) = (answer IS NULL) AND (answered_at IS NULL) = (agrees IS NULL)", name="answered"),
        CheckConstraint("decided_by IS NULL OR answered_by IS NULL OR decided_by <> answered_by", name="two_people"),
    )
