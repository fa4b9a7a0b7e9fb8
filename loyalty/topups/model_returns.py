"""What went back of top-ups, a row each time."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of


class ReturnKind(StrEnum):
    """How a top-up, or a part of it, went back."""

    VOID = "void"
    REFUND = "refund"
    REVERSAL = "reversal"
    """By its wallet."""


class TopupReturn(Base):
    """What went back of a top-up at once; its id is the ledger's operation id. Never updated."""

    __tablename__ = "topup_returns"
    __table_args__ = (
        one_of("kind", ReturnKind),
        CheckConstraint(
            "amount_minor > 0 AND paid_minor >= 0 AND discount_minor >= 0 AND bonus_minor >= 0 AND shortfall_minor >= 0", name="amounts"
        ),
        CheckConstraint("amount_minor = paid_minor + discount_minor + shortfall_minor", name="whole"),
        Index("ix_topup_returns_topup_id", "topup_id", "return_id"),
        Index("ix_topup_returns_granted", "booked_at", postgresql_where=text("benefits IS NOT NULL")),
    )

    return_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.account_id"))
    topup_id: Mapped[UUID] = mapped_column(ForeignKey("topups.topup_id"))
    kind: Mapped[ReturnKind]
    amount_minor: Mapped[int]
    """Of what was loaded: what is paid back, and what the funders get back out of the principal."""
    paid_minor: Mapped[int]
    """To the payer, by the tender it came with."""
    discount_minor: Mapped[int]
    bonus_minor: Mapped[int]
    """Out of bonus lots."""
    shortfall_minor: Mapped[int]
    """Bonus spent already, kept back from the principal."""
    benefits: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    """`[[rule, kind, so much], …]`: what goes back of what the rules gave. What is granted is taken back by the room that collects it."""
    booked_at: Mapped[datetime]
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
