"""Points spent: each redemption once, so that a month's cap can be counted and a redemption undone."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base


class PointsRedemption(Base):
    """Points taken out of an account's lots for something; its id is the ledger's operation id."""

    __tablename__ = "points_redemptions"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    redemption_id: Mapped[UUID] = mapped_column(primary_key=True)
    points: Mapped[int]
    purpose: Mapped[str]
    """What for: `gift:…`, `voucher:…`, or the counter's own word."""
    month: Mapped[date]
    """The first day of the office's month it counts in."""
    card_id: Mapped[UUID | None]
    station_id: Mapped[UUID | None]
    staff_id: Mapped[UUID | None]
    spent_at: Mapped[datetime]
    returned_at: Mapped[datetime | None]
    """When it was undone: the points went back into the lots they came from."""

    __table_args__ = (
        CheckConstraint("points > 0", name="points"),
        Index("ix_points_redemptions_month", "account_id", "month"),
    )


class PointsLiability(Base):
    """What the house owed in points at one instant: reckoned at night, since it reads every lot."""

    __tablename__ = "points_liabilities"

    taken_at: Mapped[datetime] = mapped_column(primary_key=True)
    outstanding: Mapped[int]
    pending: Mapped[int]
    owed: Mapped[int]
    """What holders owe."""
    holders: Mapped[int]
    """Accounts that have any."""
    expiring: Mapped[list[Any]]
    """`[[first day of the month or null, points], …]`: when they run out; null: never."""
