"""What looks odd about a fill, with its evidence and what people made of it. Never an accusation: a flag is not proof."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, text
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of
from loyalty.fleet.detecting import Kind, Severity


class Disposition(StrEnum):
    """What people made of a finding."""

    OPEN = "open"
    EXPLAINED = "explained"
    """It was so, and there is a good reason."""
    CONFIRMED = "confirmed"
    FALSE = "false"
    """It was not so, or nothing is odd about it for this vehicle: its threshold rises."""


DISPOSITION_MOVES: dict[Disposition, frozenset[Disposition]] = {
    Disposition.OPEN: frozenset({Disposition.EXPLAINED, Disposition.CONFIRMED, Disposition.FALSE}),
    Disposition.EXPLAINED: frozenset({Disposition.OPEN}),
    Disposition.CONFIRMED: frozenset({Disposition.OPEN}),
    Disposition.FALSE: frozenset({Disposition.OPEN}),
}


class MisuseFinding(Base):
    """One kind of oddity of one fill."""

    __tablename__ = "findings"

    finding_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    vehicle_id: Mapped[UUID] = mapped_column(ForeignKey("vehicles.vehicle_id"))
    driver_id: Mapped[UUID | None] = mapped_column(ForeignKey("drivers.driver_id"))
    account_id: Mapped[UUID]
    sale_id: Mapped[UUID]
    kind: Mapped[Kind]
    severity: Mapped[Severity]
    evidence: Mapped[dict[str, Any]]
    """The figures beside what is normal, by the detectors' names."""
    event_at: Mapped[datetime]
    found_at: Mapped[datetime]
    disposition: Mapped[Disposition]

    __table_args__ = (
        Index("ux_findings_sale_id", "sale_id", "kind", unique=True),
        Index("ix_findings_company_id", "company_id", "event_at", "finding_id"),
        Index("ix_findings_open", "company_id", "event_at", postgresql_where=text("disposition = 'open'")),
        Index("ix_findings_vehicle_id", "vehicle_id", "event_at"),
        Index("ix_findings_driver_id", "driver_id", postgresql_where=text("driver_id IS NOT NULL")),
        one_of("kind", Kind),
        one_of("severity", Severity),
        one_of("disposition", Disposition),
    )


class FindingStep(Base):
    """What somebody said of a finding. Never updated."""

    __tablename__ = "finding_steps"

    step_id: Mapped[UUID] = mapped_column(primary_key=True)
    finding_id: Mapped[UUID] = mapped_column(ForeignKey("findings.finding_id"))
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    moved_from: Mapped[Disposition]
    moved_to: Mapped[Disposition]
    note: Mapped[str]
    by_kind: Mapped[str]
    by_id: Mapped[str]
    at: Mapped[datetime]

    __table_args__ = (Index("ix_finding_steps_finding_id", "finding_id", "step_id"),)


class VehicleThreshold(Base):
    """By how much a vehicle's threshold of a kind was raised by findings that were false."""

    __tablename__ = "vehicle_thresholds"

    vehicle_id: Mapped[UUID] = mapped_column(ForeignKey("vehicles.vehicle_id"), primary_key=True)
    kind: Mapped[Kind] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    factor: Mapped[float] = mapped_column(Numeric(4, 2, asdecimal=False))
    updated_at: Mapped[datetime]

    __table_args__ = (one_of("kind", Kind), CheckConstraint("factor BETWEEN 1 AND 4", name="factor"))
