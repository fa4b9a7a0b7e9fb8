"""Who of a company gets its figures by mail, and when."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of


class ReportFiles(StrEnum):
    """What comes with the mail at the end of a period."""

    NONE = "none"
    """No mail at all."""
    PDF = "pdf"
    XLSX = "xlsx"
    BOTH = "both"


class ReportSubscription(Base):
    """What one of a company's people gets; who was never asked has none."""

    __tablename__ = "report_subscriptions"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("portal_users.user_id"), primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    at_close: Mapped[ReportFiles]
    weekly: Mapped[bool]
    locale: Mapped[str]
    """The language in which it was chosen."""
    period_sent: Mapped[date]
    """The first day of the last period that was sent; those before it never are."""
    week_sent: Mapped[date]
    """The Monday up to which weeks were sent."""
    updated_at: Mapped[datetime]

    __table_args__ = (Index("ix_report_subscriptions_company_id", "company_id"), one_of("at_close", ReportFiles))
