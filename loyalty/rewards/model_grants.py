"""Grants: what a rule gave for a sale, a top-up or another deed, one row for ever, and what of it went back."""

from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of

SALE = "sale"
"""The source of what the pump granted; other operations name their own."""
TOPUP = "topup"


class GrantKind(StrEnum):
    """What is given: value that goes into a purse lot, or things."""

    POINTS = "points"
    BONUS = "bonus"
    GIFT = "gift"
    VOUCHER = "voucher"
    WASH = "wash"


VALUES = (GrantKind.POINTS, GrantKind.BONUS)
"""Kinds that go into a purse; the others are things, handed out by their own operations."""


class GrantStatus(IntEnum):
    """A grant's status; a small number because it stands on a row a sale."""

    PENDING = 1
    """Earned, not yet in the ledger: it waits for its time."""
    ACTIVE = 2
    """In its lot, or handed out."""
    RETURNED = 3
    """All of it went back while it was pending."""


GRANT_MOVES: dict[GrantStatus, frozenset[GrantStatus]] = {
    GrantStatus.PENDING: frozenset({GrantStatus.ACTIVE, GrantStatus.RETURNED}),
    GrantStatus.ACTIVE: frozenset(),
    GrantStatus.RETURNED: frozenset(),
}
"""A return of an active grant takes value from purses: it is in the ledger and in `grant_returns`, and the grant stays what it was."""


class Grant(Base):
    """What one rule gave for one operation: its key is that operation, the rule and the kind, so it is given once for ever.

    Terms are frozen here when it is collected: a later rule never re-dates what was earned.
    """

    __tablename__ = "grants"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    source_id: Mapped[UUID] = mapped_column(primary_key=True)
    """The sale, the top-up or other operation; a UUIDv7."""
    rule: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[GrantKind] = mapped_column(primary_key=True)
    grant_id: Mapped[UUID]
    """The operation under which it stands in the ledger: never the sale's own, whose refund mirrors the money only."""
    source: Mapped[str]
    """`sale`, `topup`, or what else gave it: `referral`, `adjustment`, …"""
    amount: Mapped[int]
    """Points, minor units or pieces."""
    returned: Mapped[int]
    """How much of it refunds took back, whatever could be recovered."""
    unit: Mapped[str]
    """`POINTS`, the account's currency, or `piece`."""
    item: Mapped[str | None]
    """What thing: a gift's or a voucher kind's code."""
    book: Mapped[int | None] = mapped_column(Integer)
    """The rulebook in which its terms stand; None where no rule gave it."""
    revision: Mapped[int | None] = mapped_column(Integer)
    funders: Mapped[list[Any]]
    """`[[reference, parts], …]`: who bears it; a station by its id."""
    card_id: Mapped[UUID | None]
    station_id: Mapped[UUID | None]
    event_at: Mapped[datetime]
    granted_at: Mapped[datetime]
    """When its source was booked."""
    active_at: Mapped[datetime]
    """From when on it can be spent; while `settles_on` is set, not before then."""
    settles_on: Mapped[date | None]
    """The business day whose close at its station it waits for; None: for none, or it has come."""
    expires_at: Mapped[datetime | None]
    spending: Mapped[dict[str, Any] | None]
    """What bonus money may be spent on, as its lot will say."""
    status: Mapped[GrantStatus]
    posted: Mapped[int]
    """What went into the lot, the amount less what had gone back before; of things as many as their limits allowed."""
    purse_id: Mapped[UUID | None]
    """Its lot, since it is active."""

    __table_args__ = (
        one_of("kind", GrantKind),
        CheckConstraint("status BETWEEN 1 AND 3", name="status"),
        CheckConstraint("amount > 0 AND returned BETWEEN 0 AND amount AND posted BETWEEN 0 AND amount", name="amounts"),
        CheckConstraint("(kind IN ('points', 'bonus')) = (unit <> 'piece')", name="unit"),
        CheckConstraint(
            "CASE status WHEN 1 THEN posted = 0 WHEN 2 THEN posted > 0 OR unit = 'piece' ELSE posted = 0 AND returned = amount END",
            name="posted",
        ),
        # Only what waits stands in them, so they stay small.
        Index("ix_grants_pending", "active_at", postgresql_where=text("status = 1 AND settles_on IS NULL")),
        Index("ix_grants_unsettled", "settles_on", "station_id", postgresql_where=text("status = 1 AND settles_on IS NOT NULL")),
        {"postgresql_partition_by": "RANGE (source_id)"},
    )


class GrantReturn(Base):
    """What one refund took back of one grant, once. `amount` = what was still pending + recovered + owed + lost."""

    __tablename__ = "grant_returns"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    refund_id: Mapped[UUID] = mapped_column(primary_key=True)
    rule: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[GrantKind] = mapped_column(primary_key=True)
    source_id: Mapped[UUID]
    return_id: Mapped[UUID]
    """The operation under which it stands in the ledger."""
    amount: Mapped[int]
    pending: Mapped[int]
    """Struck from what had not come into the ledger yet."""
    recovered: Mapped[int]
    """Taken out of lots, or things taken back."""
    owed: Mapped[int]
    """Left as a points debt (the profile's `negative`)."""
    lost: Mapped[int]
    """Spent or expired before, and let go."""
    booked_at: Mapped[datetime]

    __table_args__ = (
        one_of("kind", GrantKind),
        CheckConstraint(
            "amount > 0 AND pending >= 0 AND recovered >= 0 AND owed >= 0 AND lost >= 0 AND amount = pending + recovered + owed + lost",
            name="amounts",
        ),
        Index("ix_grant_returns_source", "account_id", "source_id"),
    )


class GrantMark(Base):
    """How far a source has been collected: everything booked before `collected_to`, less a margin for transactions that commit late."""

    __tablename__ = "grant_marks"

    source: Mapped[str] = mapped_column(Text, primary_key=True)
    collected_to: Mapped[datetime]
