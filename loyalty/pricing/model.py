"""Rulebooks and what they are counted by: budgets, caps, a customer's standing, a company's agreement."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Integer, SmallInteger, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

import loyalty.identity.model  # noqa: F401 - its `staff` is what columns here refer to
from loyalty.db import Base, one_of


class BookStatus(StrEnum):
    """A rulebook's way. Which approved one is live follows from `activates_at`: the last whose time has come."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    APPROVED = "approved"
    CANCELLED = "cancelled"
    """Approved, and taken back before its time came."""
    DISCARDED = "discarded"


BOOK_MOVES: dict[BookStatus, frozenset[BookStatus]] = {
    BookStatus.DRAFT: frozenset({BookStatus.SUBMITTED, BookStatus.DISCARDED}),
    BookStatus.SUBMITTED: frozenset({BookStatus.APPROVED, BookStatus.DRAFT, BookStatus.DISCARDED}),
    BookStatus.APPROVED: frozenset({BookStatus.CANCELLED}),
    BookStatus.CANCELLED: frozenset(),
    BookStatus.DISCARDED: frozenset(),
}


class Rulebook(Base):
    """One revision of all rules and groups together. The document of an approved one never changes."""

    __tablename__ = "rulebooks"
    __table_args__ = (
        one_of("status", BookStatus),
        CheckConstraint("(status IN ('approved', 'cancelled')) = (activates_at IS NOT NULL)", name="activates"),
        CheckConstraint("approved_by <> submitted_by", name="four_eyes"),
        Index("ix_rulebooks_activates_at", "activates_at", "number", postgresql_where=text("status = 'approved'")),
    )

    number: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    status: Mapped[BookStatus]
    base: Mapped[int | None] = mapped_column(ForeignKey("rulebooks.number"))
    """The rulebook it was made from: what others changed since is told by comparing."""
    note: Mapped[str]
    document: Mapped[dict[str, Any]]
    """`document.Document` as JSON."""
    version: Mapped[int] = mapped_column(Integer, default=1)
    """Rises with each change of a draft: two editors do not overwrite each other."""
    made_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    submitted_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    approved_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    activates_at: Mapped[datetime | None]
    shadow_from: Mapped[datetime | None]
    """Since when a draft runs beside the live set and only records."""
    shadow_to: Mapped[datetime | None]


class RulebookEvent(Base):
    """One line a step of a rulebook: who, when, why. Never updated."""

    __tablename__ = "rulebook_events"
    __table_args__ = (Index("ix_rulebook_events_number", "number", "event_id"),)

    event_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    number: Mapped[int] = mapped_column(ForeignKey("rulebooks.number"))
    moved_to: Mapped[str]
    happened_at: Mapped[datetime]
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    note: Mapped[str]
    facts: Mapped[dict[str, Any]]


class Budget(Base):
    """So much in all. What is free, set aside and used stands in its shares: a worker draws on its own, and gathers the others'."""

    __tablename__ = "budgets"
    __table_args__ = (
        CheckConstraint("unit IN ('minor', 'points', 'piece')", name="unit"),
        CheckConstraint("total >= 0", name="total"),
    )

    budget_id: Mapped[UUID] = mapped_column(primary_key=True)
    """uuid5 of its code: hot code never looks it up."""
    code: Mapped[str] = mapped_column(Text, unique=True)
    unit: Mapped[str]
    currency: Mapped[str | None]
    total: Mapped[int]
    changed_at: Mapped[datetime]


class BudgetShare(Base):
    """A worker's share of a budget: Σ granted = total; 0 ≤ reserved, used; reserved + used ≤ granted."""

    __tablename__ = "budget_shares"
    __table_args__ = (CheckConstraint("reserved >= 0 AND used >= 0 AND reserved + used <= granted", name="never_over"),)

    budget_id: Mapped[UUID] = mapped_column(primary_key=True)
    share: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    granted: Mapped[int]
    reserved: Mapped[int]
    """Set aside by authorisations that are not completed."""
    used: Mapped[int]


class BenefitCounter(Base):
    """What a card, account or customer has had of a cap, or how often it came, in one window: `start` is its first station-local day."""

    __tablename__ = "benefit_counters"

    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    """The card's chain, the account, or the customer."""
    cap_id: Mapped[UUID] = mapped_column(primary_key=True)
    """`rules.cap_id`: whose cap (rule or group), per what, of whom."""
    start: Mapped[date] = mapped_column(primary_key=True)
    """For ever: `date.min`, which the driver stores as -infinity."""
    amount: Mapped[int]
    count: Mapped[int] = mapped_column(Integer)


class Standing(Base):
    """What the rules ask about a customer and no other table says: the tier and the company's agreement, as the pump reads them."""

    __tablename__ = "standings"

    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"), primary_key=True)
    tier: Mapped[str | None]
    agreement: Mapped[dict[str, Any] | None]
    """`agreements.Terms` compiled from the approved agreements: all that run now or later."""
    changed_at: Mapped[datetime]


class AgreementStatus(StrEnum):
    DRAFT = "draft"
    APPROVED = "approved"
    ENDED = "ended"


AGREEMENT_MOVES: dict[AgreementStatus, frozenset[AgreementStatus]] = {
    AgreementStatus.DRAFT: frozenset({AgreementStatus.APPROVED, AgreementStatus.ENDED}),
    AgreementStatus.APPROVED: frozenset({AgreementStatus.ENDED}),
    AgreementStatus.ENDED: frozenset(),
}


class Agreement(Base):
    """A company's prices: by grade and station, as a price, a discount or a surcharge per unit."""

    __tablename__ = "agreements"
    __table_args__ = (
        one_of("status", AgreementStatus),
        CheckConstraint("ends_at IS NULL OR ends_at > starts_at", name="validity"),
        CheckConstraint("approved_by <> made_by", name="four_eyes"),
        UniqueConstraint("code", "revision", name="uq_agreements_code_revision"),
        Index("ix_agreements_customer_id", "customer_id", "agreement_id"),
    )

    agreement_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str]
    revision: Mapped[int] = mapped_column(Integer)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"))
    name_zh: Mapped[str]
    name_en: Mapped[str]
    status: Mapped[AgreementStatus]
    currency: Mapped[str]
    lowest_wins: Mapped[bool]
    """Whether the customer pays the lowest of agreement and rules; else the agreement alone stands for its goods."""
    funder: Mapped[str]
    """Who bears a price below the pump's; a surcharge is the issuer's."""
    lines: Mapped[list[dict[str, Any]]]
    """`agreements.Line` each: product?, station?, and one of price, discount, surcharge per unit."""
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    made_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]
    approved_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    approved_at: Mapped[datetime | None]


class DiscountTerm(Base):
    """Standing terms as the release before kept them: carried over into the first rulebook. Read by nothing; goes with the next release."""

    __tablename__ = "discount_terms"

    term_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(Integer)
    name_zh: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    card_product_id: Mapped[UUID | None] = mapped_column(ForeignKey("card_products.product_id"))
    product_id: Mapped[UUID | None] = mapped_column(ForeignKey("products.product_id"))
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    currency: Mapped[str] = mapped_column(Text)
    rate_e4: Mapped[int] = mapped_column(BigInteger)
    funder: Mapped[str] = mapped_column(Text)
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]
    published_at: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("code", "revision", name="uq_discount_terms_code_revision"),
        CheckConstraint("rate_e4 > 0", name="rate"),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="validity"),
    )
