"""What a period's lines come to, kept so that a statement of two million fills is read in a moment."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, ForeignKeyConstraint, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

import loyalty.fleet.model  # noqa: F401 - its `companies` is what columns here refer to
from loyalty.db import Base, one_of
from loyalty.ledger.model import TransferKind


class StatedBy(StrEnum):
    """What a sum of lines is by."""

    PRODUCT = "product"
    VEHICLE = "vehicle"
    DRIVER = "driver"


class StatementMark(Base):
    """How far a company's period is summed: every line booked in `[begins_at, summed_to)`, and none besides.

    Lines never change and are booked at the present only, so what is summed stays right; a reader adds the lines since the mark.
    """

    __tablename__ = "statement_marks"

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"), primary_key=True)
    begins_at: Mapped[datetime] = mapped_column(primary_key=True)
    summed_to: Mapped[datetime]


class StatementSum(Base):
    """What lines come to by department and product, vehicle or driver; `NOBODY` stands where a line has none."""

    __tablename__ = "statement_sums"

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    begins_at: Mapped[datetime] = mapped_column(primary_key=True)
    by: Mapped[StatedBy] = mapped_column(primary_key=True)
    department_id: Mapped[UUID] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    fills: Mapped[int]
    refunds: Mapped[int]
    quantity_milli: Mapped[int]
    """Refunds are taken off, here and below."""
    gross_minor: Mapped[int]
    discount_minor: Mapped[int]
    card_minor: Mapped[int]

    __table_args__ = (
        ForeignKeyConstraint(["company_id", "begins_at"], ["statement_marks.company_id", "statement_marks.begins_at"]),
        one_of("by", StatedBy),
    )


class StatementMove(Base):
    """By how much transfers of a kind raised the money on a company's account, points left out; signed."""

    __tablename__ = "statement_moves"

    company_id: Mapped[UUID] = mapped_column(primary_key=True)
    begins_at: Mapped[datetime] = mapped_column(primary_key=True)
    kind: Mapped[TransferKind] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    net_minor: Mapped[int]

    __table_args__ = (ForeignKeyConstraint(["company_id", "begins_at"], ["statement_marks.company_id", "statement_marks.begins_at"]),)
