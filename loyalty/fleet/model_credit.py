"""Fuel on account (domain notes, on-account customers): terms made by one person and approved by another, bills by period.

The chain's own use is agreed the same way: nobody is billed, each day's fills become its expense.
"""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of

_TERMS = "limit_minor >= 0 AND terms_days BETWEEN 0 AND 365 AND block_after_days BETWEEN 0 AND 365"


class ProposalStatus(StrEnum):
    """Where proposed terms stand."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


PROPOSAL_MOVES: dict[ProposalStatus, frozenset[ProposalStatus]] = {
    ProposalStatus.PROPOSED: frozenset({ProposalStatus.APPROVED, ProposalStatus.REJECTED, ProposalStatus.WITHDRAWN}),
    ProposalStatus.APPROVED: frozenset(),
    ProposalStatus.REJECTED: frozenset(),
    ProposalStatus.WITHDRAWN: frozenset(),
}


class CompanyCredit(Base):
    """What stands agreed with a company. The pump reads the purse's limit, which follows this row."""

    __tablename__ = "company_credits"

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"), primary_key=True)
    limit_minor: Mapped[int]
    terms_days: Mapped[int] = mapped_column(SmallInteger)
    """From the period's end to the due day."""
    block_after_days: Mapped[int] = mapped_column(SmallInteger)
    """How many days a bill may be late until nothing more is drawn."""
    loads_seen_minor: Mapped[int]
    """All top-ups of the account that were counted as repayments or found nothing to repay."""
    billed_until: Mapped[datetime]
    """The end of the last period that was looked at."""
    blocked_at: Mapped[datetime | None]
    own_use: Mapped[bool] = mapped_column(server_default=text("false"))
    """The chain's own vehicles, without stored value: each day's fills are booked as its expense, the limit is what a day may take."""
    updated_at: Mapped[datetime]

    __table_args__ = (CheckConstraint(_TERMS, name="terms"),)


class CreditProposal(Base):
    """Terms that one person of the office proposed; they stand once another approved them."""

    __tablename__ = "credit_proposals"

    proposal_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    limit_minor: Mapped[int]
    terms_days: Mapped[int] = mapped_column(SmallInteger)
    block_after_days: Mapped[int] = mapped_column(SmallInteger)
    own_use: Mapped[bool] = mapped_column(server_default=text("false"))
    note: Mapped[str]
    status: Mapped[ProposalStatus]
    made_by: Mapped[UUID]
    made_at: Mapped[datetime]
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ux_credit_proposals_open", "company_id", unique=True, postgresql_where=text("status = 'proposed'")),
        Index("ix_credit_proposals_company_id", "company_id", "proposal_id"),
        one_of("status", ProposalStatus),
        CheckConstraint(_TERMS, name="terms"),
        CheckConstraint("(status = 'proposed') = (decided_at IS NULL)", name="decided"),
    )


class CreditBill(Base):
    """What was drawn by a period's end and on no earlier bill."""

    __tablename__ = "credit_bills"

    bill_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    first_day: Mapped[date]
    end_day: Mapped[date]
    due_day: Mapped[date]
    """In the company's zone; late from the day after."""
    billed_minor: Mapped[int]
    repaid_minor: Mapped[int]
    made_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ux_credit_bills_period", "company_id", "first_day", unique=True),
        Index("ix_credit_bills_open", "company_id", "due_day", "bill_id", postgresql_where=text("settled_at IS NULL")),
        CheckConstraint("billed_minor > 0 AND repaid_minor BETWEEN 0 AND billed_minor", name="amounts"),
        CheckConstraint("(repaid_minor = billed_minor) = (settled_at IS NOT NULL)", name="settled"),
        CheckConstraint("end_day > first_day AND due_day >= end_day", name="days"),
    )


class CreditRepayment(Base):
    """What was repaid of a bill at one time. Never changed."""

    __tablename__ = "credit_repayments"

    bill_id: Mapped[UUID] = mapped_column(ForeignKey("credit_bills.bill_id"), primary_key=True)
    repaid_minor: Mapped[int] = mapped_column(primary_key=True)
    """What was repaid of the bill with it."""
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    amount_minor: Mapped[int]
    at: Mapped[datetime]

    __table_args__ = (
        Index("ix_credit_repayments_company_id", "company_id", "at"),
        CheckConstraint("amount_minor > 0 AND amount_minor <= repaid_minor", name="amount"),
    )
