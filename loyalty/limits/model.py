"""The limits room's tables: typed rows, and the document compiled from them that the pump reads."""

from datetime import datetime, time
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, Integer, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.audit.model import ActorKind
from loyalty.db import Base, one_of


class LimitKind(StrEnum):
    """What a limit looks at."""

    GRADES = "grades"
    SHOP = "shop"
    STATIONS = "stations"
    DISTRICTS = "districts"
    REGIONS = "regions"
    HOURS = "hours"
    PLATE = "plate"
    AMOUNT = "amount"
    QUANTITY = "quantity"
    COUNT = "count"
    MIN_INTERVAL = "min_interval"
    TANK = "tank"


class Window(StrEnum):
    """Over what time an amount, a quantity or a count is summed, in the station's local time; weeks begin on Monday."""

    TRANSACTION = "transaction"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Reaction(StrEnum):
    """What a limit does when it is passed."""

    BLOCK = "block"
    FLAG = "flag"


class LimitSetRow(Base):
    """The compiled document of one subject (a chain of cards). Rebuilt from its rows on every change."""

    __tablename__ = "limit_sets"

    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(Integer)
    compiled: Mapped[dict[str, Any]]
    next_change_at: Mapped[datetime | None]
    """When a row begins or ends by itself; a job then compiles anew."""
    updated_at: Mapped[datetime]

    __table_args__ = (Index("ix_limit_sets_next_change_at", "next_change_at", postgresql_where=text("next_change_at IS NOT NULL")),)


class CardLimit(Base):
    """One limit of one subject. A row is ended, never changed."""

    __tablename__ = "card_limits"

    limit_id: Mapped[UUID] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID]
    kind: Mapped[LimitKind]
    window: Mapped[Window | None]
    value: Mapped[int | None]
    """Minor units, thousandths, times or seconds, as the kind says."""
    codes: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """Grades, shop categories, ids of stations, districts or regions, or one plate."""
    days: Mapped[list[int] | None] = mapped_column(ARRAY(SmallInteger))
    """ISO weekdays, Monday 1."""
    from_time: Mapped[time | None]
    to_time: Mapped[time | None]
    """Half-open; not later than `from_time`: it ends on the next day (both equal: all day)."""
    reaction: Mapped[Reaction]
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]
    created_by_kind: Mapped[ActorKind]
    created_by_id: Mapped[str]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_card_limits_subject_id", "subject_id", "limit_id"),
        one_of("kind", LimitKind),
        one_of("reaction", Reaction),
        CheckConstraint("\"window\" IN ('transaction', 'day', 'week', 'month')", name="window"),
        CheckConstraint("(kind IN ('amount', 'quantity', 'count')) = (\"window\" IS NOT NULL)", name="windowed"),
        CheckConstraint("value IS NULL OR value >= 0", name="value"),
        CheckConstraint("valid_to IS NULL OR valid_to > valid_from", name="valid"),
    )
