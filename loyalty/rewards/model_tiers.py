"""Tiers: how they are reached and lost, who stands where, and every move with its why; what a customer did by day, which they count."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

import loyalty.customers.model
import loyalty.identity.model  # noqa: F401 - as the one above: their tables are what columns here refer to
from loyalty.db import Base, one_of

PROGRAMME = "vip"
"""The one programme; its row holds what all tiers have in common."""


class TierWindow(StrEnum):
    """Over which days a tier's criteria are counted, by the office's calendar."""

    ROLLING = "rolling"
    """The last so many days, today included."""
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    ANNIVERSARY = "anniversary"
    """Years that begin on the day the customer joined."""


class Downgrade(StrEnum):
    """What becomes of a customer whose grace is over."""

    BY_BALANCE = "by_balance"
    """The tier that the window's figures give."""
    ONE_DOWN = "one_down"
    """One step, and a new grace."""
    NEVER = "never"


class Meets(StrEnum):
    """How a tier's criteria join."""

    ANY = "any"
    ALL = "all"


class MoveWhy(StrEnum):
    """Why a customer moved."""

    REACHED = "reached"
    GRACE_ENDED = "grace_ended"
    """Below the tier's criteria for longer than the grace."""
    GRANTED = "granted"
    """By a person, with a reason."""
    LOCKED = "locked"
    """A person said that this customer is not downgraded."""
    UNLOCKED = "unlocked"


class TierProgramme(Base):
    """What all tiers have in common."""

    __tablename__ = "tier_programmes"
    __table_args__ = (
        one_of("window", TierWindow),
        one_of("downgrade", Downgrade),
        CheckConstraint("(\"window\" = 'rolling') = (window_days IS NOT NULL)", name="window_days"),
        CheckConstraint("grace_days >= 0", name="grace"),
    )

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    currency: Mapped[str]
    """Amounts are counted of accounts of this currency."""
    window: Mapped[TierWindow]
    window_days: Mapped[int | None] = mapped_column(Integer)
    grace_days: Mapped[int] = mapped_column(Integer)
    """How long a customer keeps a tier after falling below it."""
    downgrade: Mapped[Downgrade]
    companies: Mapped[bool]
    """Whether organisations have tiers too."""
    changed_at: Mapped[datetime]
    changed_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))


class Tier(Base):
    """One tier. Without criteria it is everybody's."""

    __tablename__ = "tiers"
    __table_args__ = (
        one_of("meets", Meets),
        CheckConstraint("rank > 0", name="rank"),
        CheckConstraint("spend_minor > 0 AND quantity_milli > 0 AND topup_minor > 0 AND visits > 0", name="criteria"),
    )

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    """What rules name in `when.tiers`."""
    name_zh: Mapped[str]
    name_en: Mapped[str]
    rank: Mapped[int] = mapped_column(Integer, unique=True)
    """Higher is better."""
    meets: Mapped[Meets]
    spend_minor: Mapped[int | None]
    """What was paid for goods, after discounts, refunds off."""
    quantity_milli: Mapped[int | None]
    topup_minor: Mapped[int | None]
    visits: Mapped[int | None] = mapped_column(Integer)
    benefits_zh: Mapped[str]
    """What it brings, as a page says it; the rules are what gives it."""
    benefits_en: Mapped[str]
    active: Mapped[bool]
    changed_at: Mapped[datetime]


class TierStanding(Base):
    """Where one customer stands: one identity, whatever was merged into it."""

    __tablename__ = "tier_standings"

    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"), primary_key=True)
    tier: Mapped[str | None] = mapped_column(ForeignKey("tiers.code"), index=True)
    since: Mapped[date]
    grace_until: Mapped[date | None]
    """Below the tier's criteria: kept until the end of the day before this."""
    granted_until: Mapped[date | None]
    """Granted by a person: not below `tier` before this day."""
    locked: Mapped[bool]
    """Never downgraded."""
    changed_at: Mapped[datetime]


class TierMove(Base):
    """One line a move: from where to where, why, on which figures, by whom. Never updated."""

    __tablename__ = "tier_moves"
    __table_args__ = (
        one_of("why", MoveWhy),
        Index("ix_tier_moves_customer_id", "customer_id", "move_id"),
        Index("ix_tier_moves_happened_at", "happened_at", "move_id"),
    )

    move_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"))
    from_tier: Mapped[str | None]
    to_tier: Mapped[str | None]
    why: Mapped[MoveWhy]
    happened_at: Mapped[datetime]
    facts: Mapped[dict[str, Any]]
    """The window's figures: `spend_minor, quantity_milli, topup_minor, visits, from, to`."""
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    reason: Mapped[str]


class ActivityDay(Base):
    """What an account did on one day, refunds off: reckoned anew whenever something of that day is booked."""

    __tablename__ = "activity_days"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    """A sale's business day; a top-up's day in the office's zone."""
    spend_minor: Mapped[int]
    quantity_milli: Mapped[int]
    """Fuel, in thousandths of its unit."""
    topup_minor: Mapped[int]
    visits: Mapped[int] = mapped_column(Integer)
    """Sales that stand at least in part."""
