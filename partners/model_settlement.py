"""A month as it was stated to a partner, for ever; and what is disputed of it, line by line."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Integer, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

import partners.model_lines  # noqa: F401 - its lines are what disputes refer to
from loyalty.db import Base, one_of


class PartnerStatement(Base):
    """One closed month: what its lines came to, and the names as they were, so that its files can be made again to the same bytes."""

    __tablename__ = "partner_statements"
    __table_args__ = (
        CheckConstraint("month = date_trunc('month', month)::date", name="month"),
        CheckConstraint("closing_minor = opening_minor + due_minor", name="closing"),
        CheckConstraint("lines >= 0 AND octet_length(digest) = 32", name="lines"),
    )

    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"), primary_key=True)
    month: Mapped[date] = mapped_column(primary_key=True)
    lines: Mapped[int] = mapped_column(Integer)
    currency: Mapped[str]
    opening_minor: Mapped[int] = mapped_column(BigInteger)
    """What the issuer owed before; negative: the partner."""
    due_minor: Mapped[int] = mapped_column(BigInteger)
    closing_minor: Mapped[int] = mapped_column(BigInteger)
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB)
    """`partners.settlement_rules.Facts`: the partner's names and its outlets' as they were."""
    totals: Mapped[list[Any]] = mapped_column(JSONB)
    """`partners.settlement_rules.Total` by kind and benefit, in their order."""
    digest: Mapped[bytes]
    """SHA-256 over the lines, in their order."""
    closed_at: Mapped[datetime]
    closed_by: Mapped[str]


class DisputeStatus(StrEnum):
    """How far a dispute is."""

    OPEN = "open"
    PROPOSED = "proposed"
    """The office would adjust; another person decides."""
    UPHELD = "upheld"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


DISPUTE_MOVES: dict[DisputeStatus, frozenset[DisputeStatus]] = {
    DisputeStatus.OPEN: frozenset({DisputeStatus.PROPOSED, DisputeStatus.REJECTED, DisputeStatus.WITHDRAWN}),
    DisputeStatus.PROPOSED: frozenset({DisputeStatus.UPHELD, DisputeStatus.OPEN, DisputeStatus.WITHDRAWN}),
    DisputeStatus.UPHELD: frozenset(),
    DisputeStatus.REJECTED: frozenset(),
    DisputeStatus.WITHDRAWN: frozenset(),
}


class DisputeReason(StrEnum):
    """What is wrong with a line."""

    AMOUNT = "amount"
    NOT_OURS = "not_ours"
    TWICE = "twice"
    RATE = "rate"
    """The commission, or a funder's part, is not as agreed."""
    MISSING = "missing"
    """Of the line's event something is missing."""
    OTHER = "other"


class PartnerDispute(Base):
    """One line that somebody disputes."""

    __tablename__ = "partner_disputes"
    __table_args__ = (
        one_of("status", DisputeStatus),
        one_of("reason", DisputeReason),
        ForeignKeyConstraint(["partner_id", "number"], ["partner_lines.partner_id", "partner_lines.number"]),
        Index(
            "ux_partner_disputes_standing",
            "partner_id",
            "number",
            unique=True,
            postgresql_where=text("status IN ('open', 'proposed')"),
        ),
        Index("ix_partner_disputes_partner_id", "partner_id", "dispute_id"),
        Index("ix_partner_disputes_waiting", "dispute_id", postgresql_where=text("status IN ('open', 'proposed')")),
        CheckConstraint("(status IN ('proposed', 'upheld')) = (proposed_minor IS NOT NULL)", name="proposed"),
        CheckConstraint("(proposed_minor IS NULL) = (proposed_by IS NULL)", name="proposed_by"),
        CheckConstraint("proposed_minor <> 0", name="proposed_minor"),
        CheckConstraint("(status = 'upheld') = (adjustment IS NOT NULL)", name="adjustment"),
        CheckConstraint("(status IN ('upheld', 'rejected', 'withdrawn')) = (decided_at IS NOT NULL)", name="decided_at"),
        CheckConstraint("status <> 'upheld' OR decided_by <> proposed_by", name="two_people"),
    )

    dispute_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    number: Mapped[int] = mapped_column(BigInteger)
    """Of the line."""
    reason: Mapped[DisputeReason]
    said: Mapped[str]
    wanted_minor: Mapped[int] = mapped_column(BigInteger)
    """By how much more the issuer should owe the partner; negative: less."""
    status: Mapped[DisputeStatus]
    opened_at: Mapped[datetime]
    opened_by: Mapped[str]
    answer: Mapped[str]
    proposed_minor: Mapped[int | None] = mapped_column(BigInteger)
    proposed_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    decided_at: Mapped[datetime | None]
    adjustment: Mapped[int | None] = mapped_column(BigInteger)
    """The number of the line that put it right."""
