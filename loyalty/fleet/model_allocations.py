"""Money between a company's pool and its cards: single moves, the standing monthly allocation, its runs and what each line came to.

Every table carries `company_id` and is fenced by it (migration 0034).
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

import loyalty.fleet.model  # noqa: F401 - its `companies` is what columns here refer to
from loyalty.db import Base, one_of


class Direction(StrEnum):
    """Which way money moved."""

    ALLOCATED = "allocated"
    GATHERED = "gathered"


class AllocationKind(StrEnum):
    """Why a card is to get money."""

    MONTHLY = "monthly"
    EARLY = "early"
    """The period is not over and the card nearly empty."""


class RequestStatus(StrEnum):
    """Where a request stands."""

    DRAFT = "draft"
    """Proposed; nobody has asked for it yet."""
    REQUESTED = "requested"
    DEPARTMENT_APPROVED = "department_approved"
    APPROVED = "approved"
    REFUSED = "refused"
    LOADED = "loaded"
    FAILED = "failed"
    """Its line was refused; it may be tried again."""
    WITHDRAWN = "withdrawn"


REQUEST_MOVES: dict[RequestStatus, frozenset[RequestStatus]] = {
    RequestStatus.DRAFT: frozenset({RequestStatus.REQUESTED, RequestStatus.WITHDRAWN}),
    RequestStatus.REQUESTED: frozenset(
        {RequestStatus.DEPARTMENT_APPROVED, RequestStatus.APPROVED, RequestStatus.REFUSED, RequestStatus.WITHDRAWN}
    ),
    RequestStatus.DEPARTMENT_APPROVED: frozenset({RequestStatus.APPROVED, RequestStatus.REFUSED, RequestStatus.WITHDRAWN}),
    RequestStatus.APPROVED: frozenset({RequestStatus.LOADED, RequestStatus.FAILED, RequestStatus.WITHDRAWN}),
    RequestStatus.REFUSED: frozenset(),
    RequestStatus.LOADED: frozenset(),
    RequestStatus.FAILED: frozenset({RequestStatus.APPROVED, RequestStatus.WITHDRAWN}),
    RequestStatus.WITHDRAWN: frozenset(),
}
"""Straight from requested to approved goes only what no department answers for."""


class RunStatus(StrEnum):
    """Where a run stands."""

    ALARM = "alarm"
    """Its day cannot be told: the calendar of that year is missing."""
    PREPARED = "prepared"
    LOADING = "loading"
    DONE = "done"


RUN_MOVES: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.ALARM: frozenset({RunStatus.PREPARED}),
    RunStatus.PREPARED: frozenset({RunStatus.LOADING}),
    RunStatus.LOADING: frozenset({RunStatus.DONE}),
    RunStatus.DONE: frozenset({RunStatus.LOADING}),
}
"""A finished run loads again what was approved late, or failed and is tried again."""


class LineResult(StrEnum):
    """What became of one line."""

    WAITING = "waiting"
    LOADED = "loaded"
    REFUSED = "refused"


class PoolMove(Base):
    """One move between the pool and a card, under the caller's operation id, for ever."""

    __tablename__ = "pool_moves"

    operation_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    account_id: Mapped[UUID]
    chain_id: Mapped[UUID]
    card_id: Mapped[UUID]
    direction: Mapped[Direction]
    asked_minor: Mapped[int | None]
    """None: all that is free (gathering)."""
    amount_minor: Mapped[int]
    """What moved."""
    transfer_id: Mapped[UUID | None]
    reason: Mapped[str]
    actor_kind: Mapped[str]
    actor_id: Mapped[str]
    moved_at: Mapped[datetime]

    __table_args__ = (
        one_of("direction", Direction),
        CheckConstraint("amount_minor >= 0 AND (amount_minor > 0) = (transfer_id IS NOT NULL)", name="amount"),
        CheckConstraint("asked_minor > 0", name="asked"),
        Index("ix_pool_moves_company_id", "company_id", "operation_id"),
        Index("ix_pool_moves_chain_id", "chain_id", "moved_at"),
    )


class AllocationSettings(Base):
    """How a company's allocation goes, beside what its own row says. No row: the defaults."""

    __tablename__ = "allocation_settings"

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"), primary_key=True)
    standing: Mapped[bool]
    """What nobody has changed is asked for as proposed on the check day."""
    early_below_percent: Mapped[int] = mapped_column(SmallInteger)
    """An early request is taken once the card holds less than this share of its last monthly allocation."""
    updated_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("early_below_percent BETWEEN 0 AND 100", name="percent"),)


class AllocationRate(Base):
    """What a class of vehicles gets a month: its type and a band of displacement `[from, below)`; empty type: any."""

    __tablename__ = "allocation_rates"

    rate_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    vehicle_type: Mapped[str]
    from_ml: Mapped[int] = mapped_column(Integer)
    below_ml: Mapped[int | None] = mapped_column(Integer)
    quantity_milli: Mapped[int | None]
    amount_minor: Mapped[int | None]
    factor_percent: Mapped[int | None] = mapped_column(SmallInteger)
    """Of last period's litres; the class's figure is then the ceiling. None: the class's figure as it stands."""
    updated_at: Mapped[datetime]

    __table_args__ = (
        Index("ux_allocation_rates_band", "company_id", "vehicle_type", "from_ml", unique=True),
        CheckConstraint("from_ml >= 0 AND (below_ml IS NULL OR below_ml > from_ml)", name="band"),
        CheckConstraint("(quantity_milli IS NULL) <> (amount_minor IS NULL)", name="figure"),
        CheckConstraint("quantity_milli > 0 AND amount_minor > 0", name="sizes"),
        CheckConstraint("factor_percent BETWEEN 1 AND 500", name="factor"),
    )


class AllocationRequest(Base):
    """What a card is to get in a period: proposed, asked for, checked, approved by two people, loaded."""

    __tablename__ = "allocation_requests"

    request_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    kind: Mapped[AllocationKind]
    period_from: Mapped[date]
    period_to: Mapped[date]
    """The period is `[period_from, period_to)`, days of the company's calendar."""
    chain_id: Mapped[UUID]
    vehicle_id: Mapped[UUID | None] = mapped_column(ForeignKey("vehicles.vehicle_id"))
    department_id: Mapped[UUID | None] = mapped_column(ForeignKey("departments.department_id"))
    proposal_minor: Mapped[int]
    basis: Mapped[dict[str, Any]]
    """What the proposal was made of: litres, price, the class's figure."""
    wanted_minor: Mapped[int]
    reason: Mapped[str]
    status: Mapped[RequestStatus]
    checks: Mapped[list[str]]
    """Why it cannot be approved: `no_records`, `no_odometer`, `card_stopped`, `vehicle_closed`, `nothing_wanted`. Empty: it can."""
    checked_at: Mapped[datetime | None]
    requested_by: Mapped[str | None]
    requested_at: Mapped[datetime | None]
    department_by: Mapped[str | None]
    department_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    note: Mapped[str]
    """What the person who refused it, or withdrew it, says."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (
        one_of("kind", AllocationKind),
        one_of("status", RequestStatus),
        CheckConstraint("period_to > period_from", name="period"),
        CheckConstraint("proposal_minor >= 0 AND wanted_minor >= 0", name="amounts"),
        CheckConstraint("department_by IS NULL OR decided_by IS NULL OR department_by <> decided_by", name="four_eyes"),
        Index(
            "ux_allocation_requests_monthly",
            "company_id",
            "period_from",
            "chain_id",
            unique=True,
            postgresql_where=text("kind = 'monthly' AND status NOT IN ('refused', 'withdrawn')"),
        ),
        Index(
            "ux_allocation_requests_early",
            "company_id",
            "chain_id",
            unique=True,
            postgresql_where=text("kind = 'early' AND status IN ('draft', 'requested', 'department_approved', 'approved', 'failed')"),
        ),
        Index("ix_allocation_requests_status", "company_id", "status", "period_from"),
    )


class AllocationRun(Base):
    """One loading in bulk: one a company and period, and any number of early ones."""

    __tablename__ = "allocation_runs"

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    kind: Mapped[AllocationKind]
    period_from: Mapped[date]
    period_to: Mapped[date]
    check_on: Mapped[date | None]
    """The workday on which requests are checked; None while its year's calendar is missing."""
    status: Mapped[RunStatus]
    alarm: Mapped[str | None]
    lines: Mapped[int] = mapped_column(Integer)
    loaded: Mapped[int] = mapped_column(Integer)
    refused: Mapped[int] = mapped_column(Integer)
    amount_minor: Mapped[int]
    """What the lines were approved for."""
    loaded_minor: Mapped[int]
    gathered_minor: Mapped[int]
    started_by: Mapped[str | None]
    started_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    __table_args__ = (
        one_of("kind", AllocationKind),
        one_of("status", RunStatus),
        CheckConstraint("loaded >= 0 AND refused >= 0 AND loaded + refused <= lines", name="counts"),
        CheckConstraint("(status = 'alarm') = (alarm IS NOT NULL)", name="alarm"),
        Index("ux_allocation_runs_monthly", "company_id", "period_from", unique=True, postgresql_where=text("kind = 'monthly'")),
        Index("ix_allocation_runs_loading", "run_id", postgresql_where=text("status = 'loading'")),
        Index("ix_allocation_runs_company_id", "company_id", "run_id"),
    )


class AllocationLine(Base):
    """One card's line of a run, its own effect; its request's id is the operation of its transfers."""

    __tablename__ = "allocation_lines"

    run_id: Mapped[UUID] = mapped_column(ForeignKey("allocation_runs.run_id"), primary_key=True)
    line: Mapped[int] = mapped_column(Integer, primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    request_id: Mapped[UUID] = mapped_column(ForeignKey("allocation_requests.request_id"))
    account_id: Mapped[UUID]
    chain_id: Mapped[UUID]
    card_id: Mapped[UUID | None]
    """The card that was the chain's living one when it was loaded."""
    amount_minor: Mapped[int]
    result: Mapped[LineResult]
    code: Mapped[str | None]
    """Why it was refused: `insufficient_funds`, `over_cap`, `card_stopped`, `account_closed`; of a loaded one, `full_already`."""
    gathered_minor: Mapped[int]
    loaded_minor: Mapped[int]
    load_id: Mapped[UUID | None]
    gather_id: Mapped[UUID | None]
    attempts: Mapped[int] = mapped_column(SmallInteger)
    done_at: Mapped[datetime | None]

    __table_args__ = (
        one_of("result", LineResult),
        Index("ux_allocation_lines_request_id", "request_id", unique=True),
        Index("ix_allocation_lines_waiting", "run_id", "line", postgresql_where=text("result = 'waiting'")),
        CheckConstraint("(loaded_minor > 0) = (load_id IS NOT NULL) AND (gathered_minor > 0) = (gather_id IS NOT NULL)", name="transfers"),
        CheckConstraint("(result = 'waiting') = (done_at IS NULL)", name="done"),
        CheckConstraint("result = 'loaded' OR (loaded_minor = 0 AND gathered_minor = 0)", name="money"),
        CheckConstraint("amount_minor > 0 AND loaded_minor >= 0 AND gathered_minor >= 0", name="amounts"),
    )
