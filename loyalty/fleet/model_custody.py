"""Cards that a custodian keeps and lends for a trip: who keeps which since when, and each loan from the asking to the return."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of


class LoanStatus(StrEnum):
    """How far a loan is."""

    REQUESTED = "requested"
    APPROVED = "approved"
    """The card is promised and still in the cupboard."""
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    LENT = "lent"
    """The driver has it; overdue once `due_at` has passed."""
    RETURNED = "returned"


LOAN_MOVES: dict[LoanStatus, frozenset[LoanStatus]] = {
    LoanStatus.REQUESTED: frozenset({LoanStatus.APPROVED, LoanStatus.REFUSED, LoanStatus.WITHDRAWN}),
    LoanStatus.APPROVED: frozenset({LoanStatus.LENT, LoanStatus.WITHDRAWN}),
    LoanStatus.REFUSED: frozenset(),
    LoanStatus.WITHDRAWN: frozenset(),
    LoanStatus.LENT: frozenset({LoanStatus.RETURNED}),
    LoanStatus.RETURNED: frozenset(),
}
STANDING = (LoanStatus.APPROVED, LoanStatus.LENT)
"""In these the card is promised or out: one such loan a card."""


class CardCustody(Base):
    """Who keeps a chain of cards, `[since, until)`. A replacement card is of the same chain and stays with the same keeper."""

    __tablename__ = "card_custodies"

    chain_id: Mapped[UUID] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(primary_key=True)
    until: Mapped[datetime | None]
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    keeper_id: Mapped[UUID] = mapped_column(ForeignKey("portal_users.user_id"))
    set_by_kind: Mapped[str]
    set_by_id: Mapped[str]

    __table_args__ = (
        Index("ux_card_custodies_standing", "chain_id", unique=True, postgresql_where=text("until IS NULL")),
        Index("ix_card_custodies_company_id", "company_id", "chain_id"),
        Index("ix_card_custodies_keeper_id", "keeper_id", postgresql_where=text("until IS NULL")),
        CheckConstraint("until IS NULL OR until > since", name="period"),
    )


class CardLoan(Base):
    """One loan of a card to a driver. Many may ask for a card; one at a time has it promised, or has it."""

    __tablename__ = "card_loans"

    loan_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    chain_id: Mapped[UUID]
    card_id: Mapped[UUID] = mapped_column(ForeignKey("cards.card_id"))
    """The chain's card when it was asked for."""
    driver_id: Mapped[UUID] = mapped_column(ForeignKey("drivers.driver_id"))
    vehicle_id: Mapped[UUID | None] = mapped_column(ForeignKey("vehicles.vehicle_id"))
    """The card's, else the one that was named: whose odometer is read. None: nobody's is."""
    department_id: Mapped[UUID | None] = mapped_column(ForeignKey("departments.department_id"))
    """The department that answered for the card when it was asked for."""
    destination: Mapped[str]
    purpose: Mapped[str]
    begins_at: Mapped[datetime]
    due_at: Mapped[datetime]
    status: Mapped[LoanStatus]
    asked_at: Mapped[datetime]
    asked_by: Mapped[UUID] = mapped_column(ForeignKey("portal_users.user_id"))
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("portal_users.user_id"))
    reason: Mapped[str | None]
    """Why it was refused."""
    lent_at: Mapped[datetime | None]
    lent_by: Mapped[UUID | None] = mapped_column(ForeignKey("portal_users.user_id"))
    out_reading_id: Mapped[UUID | None] = mapped_column(ForeignKey("odometer_readings.reading_id"))
    """As it was said then; a correction of the reading counts in its place."""
    returned_at: Mapped[datetime | None]
    returned_to: Mapped[UUID | None] = mapped_column(ForeignKey("portal_users.user_id"))
    in_reading_id: Mapped[UUID | None] = mapped_column(ForeignKey("odometer_readings.reading_id"))
    note: Mapped[str | None]
    overdue_told_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ux_card_loans_standing", "chain_id", unique=True, postgresql_where=text("status IN ('approved', 'lent')")),
        Index("ix_card_loans_company_id", "company_id", "loan_id"),
        Index("ix_card_loans_chain_id", "chain_id", "lent_at"),
        Index("ix_card_loans_department_id", "department_id", "loan_id", postgresql_where=text("department_id IS NOT NULL")),
        Index("ix_card_loans_waiting", "company_id", postgresql_where=text("status = 'requested'")),
        Index("ix_card_loans_due", "due_at", postgresql_where=text("status = 'lent'")),
        one_of("status", LoanStatus),
        CheckConstraint("due_at > begins_at", name="period"),
        CheckConstraint(
            "(decided_at IS NULL) = (decided_by IS NULL) "
            "AND CASE WHEN status IN ('requested', 'withdrawn') THEN true ELSE decided_at IS NOT NULL END "
            "AND (status <> 'refused' OR reason IS NOT NULL)",
            name="decided",
        ),
        CheckConstraint("(status IN ('lent', 'returned')) = (lent_at IS NOT NULL) AND (lent_at IS NULL) = (lent_by IS NULL)", name="lent"),
        CheckConstraint(
            "(status = 'returned') = (returned_at IS NOT NULL) AND (returned_at IS NULL) = (returned_to IS NULL)", name="returned"
        ),
        CheckConstraint(
            "(out_reading_id IS NULL OR lent_at IS NOT NULL) AND (in_reading_id IS NULL OR returned_at IS NOT NULL)", name="readings"
        ),
    )
