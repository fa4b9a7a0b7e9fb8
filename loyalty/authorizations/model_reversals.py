"""What was reversed, by whom, and what was answered: a second reversal of the same original gets the same bytes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base


class Reversal(Base):
    """One reversed key of a till, known or not when the reversal came."""

    __tablename__ = "reversals"

    terminal_id: Mapped[UUID] = mapped_column(ForeignKey("terminals.terminal_id"), primary_key=True)
    original_key: Mapped[UUID] = mapped_column(primary_key=True)
    reversal_id: Mapped[UUID]
    station_id: Mapped[UUID] = mapped_column(ForeignKey("stations.station_id"))
    operation: Mapped[int | None] = mapped_column(SmallInteger)
    """The original's operation; None where its reversal came first and left a tombstone."""
    account_id: Mapped[UUID]
    subject_id: Mapped[UUID]
    """The authorisation, sale or top-up; the reversal itself where the original was unknown."""
    answer: Mapped[bytes]
    reason: Mapped[str]
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    event_at: Mapped[datetime]
    booked_at: Mapped[datetime]

    __table_args__ = (Index("ix_reversals_station_id", "station_id", "reversal_id"),)
