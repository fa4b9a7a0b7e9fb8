"""A company's own periods, closed: what its statement said when nothing could be booked in it any more."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Integer
from sqlalchemy.orm import Mapped, mapped_column

import loyalty.fleet.model  # noqa: F401 - its `companies` is what columns here refer to
from loyalty.db import Base


class CompanyPeriod(Base):
    """A closed period of a company, `[first_day, end_day)` of its calendar. Written once, never changed."""

    __tablename__ = "company_periods"

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"), primary_key=True)
    first_day: Mapped[date] = mapped_column(primary_key=True)
    end_day: Mapped[date]
    begins_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    """Half-open `[begins_at, ends_at)`, by booking time: what was reported late stands in the period it was booked in."""
    fills: Mapped[int] = mapped_column(Integer)
    refunds: Mapped[int] = mapped_column(Integer)
    totals: Mapped[dict[str, Any]]
    """As `loyalty.statements.rules.totals_json` writes them: money and grades."""
    digest: Mapped[bytes]
    """SHA-256 over the SHA-256 of every line, in the order they were booked."""
    closed_at: Mapped[datetime]
    by: Mapped[str]
    """What closed it: the job's name."""

    __table_args__ = (
        CheckConstraint("end_day > first_day AND ends_at > begins_at AND closed_at >= ends_at", name="bounds"),
        CheckConstraint("fills >= 0 AND refunds >= 0", name="counts"),
        CheckConstraint("octet_length(digest) = 32", name="digest"),
    )
