"""The statements room's tables: which copies of a receipt were printed, which days were closed, what a closed period looked like."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of


class ReceiptKind(StrEnum):
    """What a receipt is for."""

    SALE = "sale"
    TOPUP = "topup"
    REFUND = "refund"
    POINTS = "points"
    """What points bought; its subject is the redemption."""


class ReceiptPrint(Base):
    """One print of a receipt: the first is the original, every later one is marked as a copy."""

    __tablename__ = "receipt_prints"

    kind: Mapped[ReceiptKind] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    copy: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """1 is the original."""
    printed_at: Mapped[datetime]
    terminal_id: Mapped[UUID | None] = mapped_column(ForeignKey("terminals.terminal_id"))
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))

    __table_args__ = (one_of("kind", ReceiptKind), CheckConstraint("copy > 0", name="copy"))


class ClosedDay(Base):
    """A business day whose closing balances are written."""

    __tablename__ = "closed_days"

    day: Mapped[date] = mapped_column(primary_key=True)
    zone: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    """Half-open `[starts_at, ends_at)`, by booking time."""
    purses: Mapped[int]
    """How many purses moved."""
    closed_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("starts_at < ends_at AND ends_at <= closed_at", name="bounds"),)


class PeriodSeal(Base):
    """What a closed accounting period looked like when nothing could be booked in it any more."""

    __tablename__ = "period_seals"

    period: Mapped[int] = mapped_column(Integer, ForeignKey("periods.period"), primary_key=True, autoincrement=False)
    transfers: Mapped[int]
    totals: Mapped[list[dict[str, Any]]]
    """`{unit, kind, count, amount_minor}`, by unit and kind."""
    digest: Mapped[bytes]
    """SHA-256 over the SHA-256 of every account's rows."""
    sealed_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("octet_length(digest) = 32", name="digest"), Index("ix_period_seals_sealed_at", "sealed_at"))
