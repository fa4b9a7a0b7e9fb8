"""What may be invoiced of what a company paid in a closed period: kept here, where refunds are decided."""

from typing import Final
from uuid import UUID

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base

GOODS: Final = UUID(int=0)
"""Stands for shop goods, which have no grade."""


class InvoicePot(Base):
    """One account's sales of one grade in `[first_id, last_id)`, shares of the card alone, minor units."""

    __tablename__ = "invoice_pots"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    first_id: Mapped[UUID] = mapped_column(primary_key=True)
    product_id: Mapped[UUID] = mapped_column(primary_key=True)
    last_id: Mapped[UUID]
    quantity_milli: Mapped[int]
    """When the period was closed; goes down with refunds."""
    paid_minor: Mapped[int]
    """From principal: the money that was paid in. Discounts were never paid."""
    bonus_minor: Mapped[int]
    """From bonus lots: never invoiced."""
    owed_minor: Mapped[int]
    """Booked to the receivable: not paid."""
    refunded_minor: Mapped[int]
    """Of `paid_minor`, at any time since."""
    invoiced_minor: Mapped[int]
    """Asked for or issued, and not taken back."""
    over_minor: Mapped[int]
    """Invoiced beyond what is still paid: a till reversed what was invoiced, which is always booked. A red letter ends it."""

    __table_args__ = (
        CheckConstraint("paid_minor >= 0 AND bonus_minor >= 0 AND owed_minor >= 0 AND refunded_minor <= paid_minor", name="paid"),
        CheckConstraint("invoiced_minor >= 0 AND over_minor >= 0", name="invoiced"),
        CheckConstraint("invoiced_minor <= paid_minor - refunded_minor + over_minor", name="never_more"),
        CheckConstraint("last_id > first_id", name="bounds"),
    )
