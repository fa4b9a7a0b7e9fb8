"""Backtests and what a shadow says, in tables."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

import loyalty.identity.model
import loyalty.pricing.model  # noqa: F401 - its `rulebooks`, and identity's `staff`, are what columns here refer to
from loyalty.db import Base, one_of


class BacktestStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


BACKTEST_MOVES: dict[BacktestStatus, frozenset[BacktestStatus]] = {
    BacktestStatus.QUEUED: frozenset({BacktestStatus.RUNNING, BacktestStatus.CANCELLED}),
    BacktestStatus.RUNNING: frozenset({BacktestStatus.DONE, BacktestStatus.FAILED, BacktestStatus.CANCELLED, BacktestStatus.QUEUED}),
    BacktestStatus.DONE: frozenset(),
    BacktestStatus.FAILED: frozenset(),
    BacktestStatus.CANCELLED: frozenset(),
}
"""What runs goes back to the queue when whoever ran it is gone: it has written nothing but its progress."""


class Backtest(Base):
    """One rulebook asked about one period's sales."""

    __tablename__ = "backtests"
    __table_args__ = (
        one_of("status", BacktestStatus),
        CheckConstraint("until > since", name="period"),
        CheckConstraint("rows_done >= 0 AND rows_total >= 0", name="rows"),
        CheckConstraint("(status = 'done') = (result IS NOT NULL)", name="result"),
        Index("ix_backtests_number", "number", "asked_at"),
        Index("ix_backtests_open", "asked_at", postgresql_where=text("status IN ('queued', 'running')")),
    )

    backtest_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(ForeignKey("rulebooks.number"))
    version: Mapped[int] = mapped_column(Integer)
    """The draft's version when it was asked for; the document is kept, since a draft goes on changing."""
    document: Mapped[dict[str, Any]]
    currency: Mapped[str]
    since: Mapped[datetime]
    until: Mapped[datetime]
    """Sales booked in `[since, until)`."""
    status: Mapped[BacktestStatus]
    rows_done: Mapped[int]
    rows_total: Mapped[int]
    """Both over all passes: each budget that runs out asks for one more."""
    asked_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    asked_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    beat_at: Mapped[datetime | None]
    """When whoever runs it last said so."""
    finished_at: Mapped[datetime | None]
    problem: Mapped[str | None]
    """The kind of fault that ended it."""
    result: Mapped[dict[str, Any] | None]
    """`report.Report` as JSON."""


class ShadowResult(Base):
    """What a draft in the shadow would have given for one sale, beside what the live rules gave. Never changed."""

    __tablename__ = "shadow_results"
    __table_args__ = (Index("ix_shadow_results_day", "number", "business_day"),)

    number: Mapped[int] = mapped_column(ForeignKey("rulebooks.number"), primary_key=True)
    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    sale_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    business_day: Mapped[date]
    currency: Mapped[str]
    gross_minor: Mapped[int]
    live_minor: Mapped[int]
    """Discounts less surcharges."""
    shadow_minor: Mapped[int]
    live_bonus_minor: Mapped[int]
    shadow_bonus_minor: Mapped[int]
    live_points: Mapped[int]
    shadow_points: Mapped[int]
    live_things: Mapped[int]
    """Gifts, vouchers and washes, pieces."""
    shadow_things: Mapped[int]
    evaluated_at: Mapped[datetime]


class ShadowMark(Base):
    """How far a shadow has looked: sales booked before are done, but for those that were still being written."""

    __tablename__ = "shadow_marks"

    number: Mapped[int] = mapped_column(ForeignKey("rulebooks.number"), primary_key=True)
    looked_to: Mapped[datetime]


class ShadowCounter(Base):
    """What a subject would have had of a cap in one window: as `benefit_counters`, for a shadow alone."""

    __tablename__ = "shadow_counters"

    number: Mapped[int] = mapped_column(ForeignKey("rulebooks.number"), primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    cap_id: Mapped[UUID] = mapped_column(primary_key=True)
    start: Mapped[date] = mapped_column(primary_key=True)
    amount: Mapped[int]
    count: Mapped[int] = mapped_column(Integer)


class ShadowBudget(Base):
    """What a shadow would have used of a budget, from full."""

    __tablename__ = "shadow_budgets"

    number: Mapped[int] = mapped_column(ForeignKey("rulebooks.number"), primary_key=True)
    budget_id: Mapped[UUID] = mapped_column(primary_key=True)
    used: Mapped[int]
