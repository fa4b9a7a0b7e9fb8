"""From a closed month to money: its invoice, the run that pays it, blocks paid in advance, where a partner is paid, files of all this."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

import partners.model_settlement  # noqa: F401 - its statements are what is invoiced
from loyalty.db import Base, one_of


class InvoiceStatus(StrEnum):
    """How far a month's invoice is."""

    RECEIVED = "received"
    """Entered; somebody of the issuer other than who entered it looks at the file."""
    ACCEPTED = "accepted"
    """It is paid on its day."""
    IN_RUN = "in_run"
    """A payment run has it."""
    PAID = "paid"
    REFUSED = "refused"


INVOICE_MOVES: dict[InvoiceStatus, frozenset[InvoiceStatus]] = {
    InvoiceStatus.RECEIVED: frozenset({InvoiceStatus.ACCEPTED, InvoiceStatus.REFUSED}),
    # Paid without a run: what the partner owes the issuer.
    InvoiceStatus.ACCEPTED: frozenset({InvoiceStatus.IN_RUN, InvoiceStatus.PAID}),
    InvoiceStatus.IN_RUN: frozenset({InvoiceStatus.PAID, InvoiceStatus.ACCEPTED}),
    InvoiceStatus.PAID: frozenset(),
    InvoiceStatus.REFUSED: frozenset(),
}


class RunStatus(StrEnum):
    """How far a payment run is."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    """Its file is made, once."""
    PAID = "paid"
    CANCELLED = "cancelled"


RUN_MOVES: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.PROPOSED: frozenset({RunStatus.APPROVED, RunStatus.CANCELLED}),
    # A file that the bank refused: its invoices wait for another run.
    RunStatus.APPROVED: frozenset({RunStatus.PAID, RunStatus.CANCELLED}),
    RunStatus.PAID: frozenset(),
    RunStatus.CANCELLED: frozenset(),
}


class Decided(StrEnum):
    """How far something is that one person enters and another confirms."""

    ENTERED = "entered"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


class PartnerInvoice(Base):
    """One month's invoice. Where the issuer owes, the partner's to the issuer; where the partner owes, the issuer's to the partner."""

    __tablename__ = "partner_invoices"
    __table_args__ = (
        one_of("status", InvoiceStatus),
        ForeignKeyConstraint(["partner_id", "month"], ["partner_statements.partner_id", "partner_statements.month"]),
        Index("ux_partner_invoices_standing", "partner_id", "month", unique=True, postgresql_where=text("status <> 'refused'")),
        Index("ix_partner_invoices_open", "pay_by", "invoice_id", postgresql_where=text("status IN ('received', 'accepted', 'in_run')")),
        Index("ix_partner_invoices_run_id", "run_id", postgresql_where=text("run_id IS NOT NULL")),
        CheckConstraint("amount_minor > 0 AND tax_minor BETWEEN 0 AND amount_minor AND due_minor <> 0", name="amount"),
        CheckConstraint("(status IN ('accepted', 'in_run', 'paid')) = (pay_by IS NOT NULL)", name="pay_by"),
        CheckConstraint("(status = 'received') = (decided_by IS NULL)", name="decided_by"),
        CheckConstraint("(decided_by IS NULL) = (decided_at IS NULL)", name="decided_at"),
        CheckConstraint("entered_by <> 'staff:' || decided_by", name="two_people"),
        CheckConstraint("status NOT IN ('accepted', 'in_run', 'paid') OR amount_minor = abs(due_minor) OR why <> ''", name="why"),
        CheckConstraint("(status = 'in_run') <= (run_id IS NOT NULL)", name="run_id"),
        CheckConstraint("(status = 'paid') = (paid_on IS NOT NULL) AND (paid_on IS NULL) = (reference IS NULL)", name="paid_on"),
    )

    invoice_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    month: Mapped[date]
    due_minor: Mapped[int] = mapped_column(BigInteger)
    """What the statement asks for; negative: the partner owes the issuer."""
    number: Mapped[str]
    invoiced_on: Mapped[date]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    """With tax."""
    tax_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    status: Mapped[InvoiceStatus]
    entered_by: Mapped[str]
    entered_at: Mapped[datetime]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    decided_at: Mapped[datetime | None]
    why: Mapped[str]
    """Why it was refused, or accepted although its amount differs."""
    pay_by: Mapped[date | None]
    """The workday on which it is to be paid."""
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("partner_payment_runs.run_id"))
    paid_on: Mapped[date | None]
    reference: Mapped[str | None]
    """The bank's."""


class PaymentRun(Base):
    """Invoices that are paid together, by one file for the bank."""

    __tablename__ = "partner_payment_runs"
    __table_args__ = (
        one_of("status", RunStatus),
        CheckConstraint("decided_by <> made_by OR status = 'cancelled'", name="two_people"),
        CheckConstraint("(status = 'proposed') = (decided_by IS NULL)", name="decided_by"),
        CheckConstraint("status NOT IN ('approved', 'paid') OR content IS NOT NULL", name="content"),
        CheckConstraint("(content IS NULL) = (digest IS NULL) AND octet_length(digest) = 32", name="digest"),
        CheckConstraint("(status = 'paid') = (paid_on IS NOT NULL) AND (paid_on IS NULL) = (reference IS NULL)", name="paid_on"),
        CheckConstraint("invoices > 0 AND amount_minor > 0", name="amount"),
    )

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    currency: Mapped[str]
    status: Mapped[RunStatus]
    invoices: Mapped[int] = mapped_column(Integer)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    decided_at: Mapped[datetime | None]
    content: Mapped[bytes | None]
    """The bank's file, sealed, as it was made when the run was approved; never another one."""
    digest: Mapped[bytes | None]
    """SHA-256 of the file."""
    paid_on: Mapped[date | None]
    reference: Mapped[str | None]


class PartnerBankAccount(Base):
    """Where a partner is paid: the latest that was confirmed."""

    __tablename__ = "partner_bank_accounts"
    __table_args__ = (
        one_of("status", Decided),
        Index("ix_partner_bank_accounts_partner_id", "partner_id", "bank_account_id"),
        CheckConstraint("made_by <> decided_by", name="two_people"),
        CheckConstraint("(status = 'entered') = (decided_by IS NULL)", name="decided_by"),
    )

    bank_account_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    holder: Mapped[str]
    bank: Mapped[str]
    number_sealed: Mapped[bytes]
    number_tail: Mapped[str]
    status: Mapped[Decided]
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    decided_at: Mapped[datetime | None]


class PartnerBlock(Base):
    """Money that the issuer paid a partner in advance: redemptions draw it down."""

    __tablename__ = "partner_blocks"
    __table_args__ = (
        one_of("status", Decided),
        Index("ix_partner_blocks_partner_id", "partner_id", "block_id"),
        Index("ux_partner_blocks_reference", "partner_id", "reference", unique=True, postgresql_where=text("status <> 'refused'")),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("made_by <> decided_by", name="two_people"),
        CheckConstraint("(status = 'entered') = (decided_by IS NULL)", name="decided_by"),
        CheckConstraint("(status = 'confirmed') = (line_number IS NOT NULL)", name="line_number"),
    )

    block_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    paid_on: Mapped[date]
    reference: Mapped[str]
    """The bank's."""
    status: Mapped[Decided]
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    decided_at: Mapped[datetime | None]
    line_number: Mapped[int | None] = mapped_column(BigInteger)


class PartnerFile(Base):
    """A file of a dispute or an invoice: sealed, known by its digest, each once where it belongs."""

    __tablename__ = "partner_files"
    __table_args__ = (
        CheckConstraint("num_nonnulls(dispute_id, invoice_id) = 1", name="belongs"),
        CheckConstraint("size_bytes > 0 AND octet_length(digest) = 32", name="size"),
        Index("ux_partner_files_dispute_id", "dispute_id", "digest", unique=True, postgresql_where=text("dispute_id IS NOT NULL")),
        Index("ux_partner_files_invoice_id", "invoice_id", "digest", unique=True, postgresql_where=text("invoice_id IS NOT NULL")),
    )

    file_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    dispute_id: Mapped[UUID | None] = mapped_column(ForeignKey("partner_disputes.dispute_id"))
    invoice_id: Mapped[UUID | None] = mapped_column(ForeignKey("partner_invoices.invoice_id"))
    name: Mapped[str]
    media_type: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(Integer)
    digest: Mapped[bytes]
    content: Mapped[bytes]
    made_by: Mapped[str]
    made_at: Mapped[datetime]
