"""What a company is told of: once each, in the portal's inbox. What leaves the house (mail) is made from the same rows."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of


class NoticeKind(StrEnum):
    """What happened."""

    PUMP_ASKS = "pump_asks"
    """A driver was refused by a limit that asks."""
    PUMP_UNANSWERED = "pump_unanswered"
    """Nobody answered; the company's setting did."""
    FINDING = "finding"
    """A fill is far from normal."""
    ALLOCATION_PREPARED = "allocation_prepared"
    ALLOCATION_STOPPED = "allocation_stopped"
    """The calendar of that year is missing."""
    ALLOCATION_LOADED = "allocation_loaded"
    PERIOD_CLOSED = "period_closed"
    """The statement stands."""
    BILL_MADE = "bill_made"
    BILL_LATE = "bill_late"
    CREDIT_BLOCKED = "credit_blocked"
    CREDIT_LIFTED = "credit_lifted"
    DISPUTE_ANSWERED = "dispute_answered"
    DISPUTE_DECIDED = "dispute_decided"
    INVOICE_DECIDED = "invoice_decided"
    CARD_TO_RECALL = "card_to_recall"
    """Its private vehicle's owner has a company car now, or is away for long."""
    CARD_OVERDUE = "card_overdue"
    """A lent card should have come back."""


class CompanyNotice(Base):
    """One thing that a company is told, for ever once per subject and step."""

    __tablename__ = "company_notices"

    notice_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    kind: Mapped[NoticeKind]
    subject_id: Mapped[UUID]
    """What it is about: the kind says whose id this is."""
    step: Mapped[int] = mapped_column(Integer)
    """Which telling of the same subject: days late of a bill; 0 where there is one."""
    department_id: Mapped[UUID | None] = mapped_column(ForeignKey("departments.department_id"))
    """The department that answers for it: its head sees the notice; None is the company's."""
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    at: Mapped[datetime]

    __table_args__ = (
        Index("ux_company_notices_subject", "company_id", "kind", "subject_id", "step", unique=True),
        Index("ix_company_notices_company_id", "company_id", "notice_id"),
        Index("ix_company_notices_department_id", "department_id", "notice_id", postgresql_where=text("department_id IS NOT NULL")),
        one_of("kind", NoticeKind),
        CheckConstraint("step >= 0", name="step"),
    )


class NoticeMark(Base):
    """How far somebody of a company has read."""

    __tablename__ = "notice_marks"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("portal_users.user_id"), primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    read_to: Mapped[datetime]

    __table_args__ = (Index("ix_notice_marks_company_id", "company_id"),)
