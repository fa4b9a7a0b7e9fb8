"""VAT invoices that companies ask for: their titles, the requests, and what each is made of."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

import loyalty.fleet.model  # noqa: F401 - its `companies` is what columns here refer to
from loyalty.db import Base, one_of


class InvoiceStatus(StrEnum):
    """Where a request stands."""

    REQUESTED = "requested"
    ISSUED = "issued"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    RED_LETTERED = "red_lettered"
    """Taken back by a red-letter invoice: what it was for may be invoiced anew, or refunded."""


INVOICE_MOVES: dict[InvoiceStatus, frozenset[InvoiceStatus]] = {
    InvoiceStatus.REQUESTED: frozenset({InvoiceStatus.ISSUED, InvoiceStatus.REFUSED, InvoiceStatus.WITHDRAWN}),
    InvoiceStatus.ISSUED: frozenset({InvoiceStatus.RED_LETTERED}),
    InvoiceStatus.REFUSED: frozenset(),
    InvoiceStatus.WITHDRAWN: frozenset(),
    InvoiceStatus.RED_LETTERED: frozenset(),
}
GIVING_UP = frozenset({InvoiceStatus.REFUSED, InvoiceStatus.WITHDRAWN, InvoiceStatus.RED_LETTERED})
"""What it had drawn may be invoiced again."""


class InvoiceTitle(Base):
    """To whom a company has its invoices made out."""

    __tablename__ = "invoice_titles"

    title_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    name: Mapped[str]
    tax_number: Mapped[str]
    address: Mapped[str]
    telephone: Mapped[str]
    bank: Mapped[str]
    bank_account: Mapped[str]
    made_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ux_invoice_titles_name", "company_id", "name", "tax_number", unique=True, postgresql_where=text("closed_at IS NULL")),
        CheckConstraint("name <> '' AND tax_number <> ''", name="said"),
    )


class InvoiceRequest(Base):
    """One invoice: asked for by a company over a closed period, issued or refused by the office. The title stands as it was then."""

    __tablename__ = "invoice_requests"

    invoice_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID]
    title_id: Mapped[UUID] = mapped_column(ForeignKey("invoice_titles.title_id"))
    first_day: Mapped[date]
    title: Mapped[str]
    tax_number: Mapped[str]
    address: Mapped[str]
    telephone: Mapped[str]
    bank: Mapped[str]
    bank_account: Mapped[str]
    currency: Mapped[str]
    amount_minor: Mapped[int]
    status: Mapped[InvoiceStatus]
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    number: Mapped[str | None]
    issued_on: Mapped[date | None]
    reason: Mapped[str | None]
    red_number: Mapped[str | None]
    red_on: Mapped[date | None]

    __table_args__ = (
        ForeignKeyConstraint(["company_id", "first_day"], ["company_periods.company_id", "company_periods.first_day"]),
        Index("ix_invoice_requests_company_id", "company_id", "invoice_id"),
        Index("ix_invoice_requests_status", "status", "invoice_id"),
        Index("ux_invoice_requests_number", "number", unique=True, postgresql_where=text("number IS NOT NULL")),
        one_of("status", InvoiceStatus),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("(number IS NOT NULL) = (status IN ('issued', 'red_lettered'))", name="number"),
        CheckConstraint("(red_number IS NOT NULL) = (status = 'red_lettered')", name="red"),
        CheckConstraint("(number IS NULL) = (issued_on IS NULL) AND (red_number IS NULL) = (red_on IS NULL)", name="days"),
        CheckConstraint("(status = 'requested') = (decided_at IS NULL)", name="decided"),
    )


class InvoiceLine(Base):
    """One grade of an invoice."""

    __tablename__ = "invoice_lines"

    invoice_id: Mapped[UUID] = mapped_column(ForeignKey("invoice_requests.invoice_id"), primary_key=True)
    product_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    amount_minor: Mapped[int]
    quantity_milli: Mapped[int]
    """The period's litres in proportion to the amount."""

    __table_args__ = (CheckConstraint("amount_minor > 0 AND quantity_milli >= 0", name="sizes"),)
