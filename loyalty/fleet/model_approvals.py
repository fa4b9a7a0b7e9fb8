"""What the pump refused and the company was asked about."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of


class ApprovalStatus(StrEnum):
    """Where an asking stands."""

    ASKED = "asked"
    APPROVED = "approved"
    REFUSED = "refused"


APPROVAL_MOVES: dict[ApprovalStatus, frozenset[ApprovalStatus]] = {
    ApprovalStatus.ASKED: frozenset({ApprovalStatus.APPROVED, ApprovalStatus.REFUSED}),
    ApprovalStatus.APPROVED: frozenset(),
    ApprovalStatus.REFUSED: frozenset(),
}


class DecidedBy(StrEnum):
    """Who answered."""

    MANAGER = "manager"
    DEPUTY = "deputy"
    POLICY = "policy"
    """Nobody did, within the company's time: its setting decided."""


class CompanyDeputy(Base):
    """Somebody who stands in for who may let a fill pass: asked from the company's `deputy_after_s` on, not before."""

    __tablename__ = "company_deputies"

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("portal_users.user_id"), primary_key=True)
    named_at: Mapped[datetime]


class Approval(Base):
    """One declined fill about which the company was asked; approved, a release lets the retry pass once."""

    __tablename__ = "approvals"

    approval_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    account_id: Mapped[UUID]
    authorization_id: Mapped[UUID]
    """The decline; one asking each."""
    chain_id: Mapped[UUID]
    card_id: Mapped[UUID]
    station_id: Mapped[UUID] = mapped_column(ForeignKey("stations.station_id"))
    product_id: Mapped[UUID | None]
    limit: Mapped[str]
    """As the refusal named it: `vehicle.day.quantity`."""
    asked_minor: Mapped[int | None]
    asked_milli: Mapped[int | None]
    left_minor: Mapped[int | None]
    left_milli: Mapped[int | None]
    """What the limit still allowed when it refused."""
    asked_at: Mapped[datetime]
    deputy_at: Mapped[datetime]
    decide_at: Mapped[datetime]
    status: Mapped[ApprovalStatus]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[DecidedBy | None]
    decided_by_id: Mapped[str | None]
    reason: Mapped[str | None]
    release_id: Mapped[UUID | None] = mapped_column(ForeignKey("limit_releases.release_id"))

    __table_args__ = (
        Index("ux_approvals_authorization_id", "account_id", "authorization_id", unique=True),
        Index("ix_approvals_company_id", "company_id", "approval_id"),
        Index("ix_approvals_asked", "company_id", postgresql_where=text("status = 'asked'")),
        Index("ix_approvals_decide_at", "decide_at", postgresql_where=text("status = 'asked'")),
        one_of("status", ApprovalStatus),
        one_of("decided_by", DecidedBy),
        CheckConstraint("(status = 'asked') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)", name="decided"),
        CheckConstraint("(status = 'approved') = (release_id IS NOT NULL)", name="release"),
        CheckConstraint("asked_at <= deputy_at AND deputy_at <= decide_at", name="waits"),
    )
