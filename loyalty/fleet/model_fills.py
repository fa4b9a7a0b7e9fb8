"""What a company's cards took, as its pages, statements and detectors read it; and the odometers that were read with it."""

from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base, one_of


class ReadingSource(StrEnum):
    """Where an odometer reading comes from."""

    PUMP = "pump"
    PORTAL = "portal"
    CUSTODY = "custody"
    """When a card was handed out for a trip, or came back."""
    CASH = "cash"
    """Filed with a fill that was paid in cash."""


class ReadingStatus(StrEnum):
    """Whether a reading is built upon."""

    HOLDS = "holds"
    DOUBTFUL = "doubtful"
    """It falls, or rises by more than can be driven: kept, shown, not built upon until somebody says so."""
    REPLACED = "replaced"
    """Corrected: another row stands for it."""


READING_MOVES: dict[ReadingStatus, frozenset[ReadingStatus]] = {
    ReadingStatus.HOLDS: frozenset({ReadingStatus.DOUBTFUL, ReadingStatus.REPLACED}),
    ReadingStatus.DOUBTFUL: frozenset({ReadingStatus.HOLDS, ReadingStatus.REPLACED}),
    ReadingStatus.REPLACED: frozenset(),
}


class Doubt(StrEnum):
    """Why a reading is doubtful."""

    FALLS = "falls"
    TOO_FAR = "too_far"
    """More kilometres than the days since the last reading allow."""
    NOT_BY_FUEL = "not_by_fuel"
    """More or fewer kilometres than the fuel since then explains by the vehicle's norm."""


class FleetMark(Base):
    """How far a collector has come."""

    __tablename__ = "fleet_marks"

    name: Mapped[str] = mapped_column(primary_key=True)
    collected_to: Mapped[datetime]


class FleetFill(Base):
    """One sale on a company's account: whose it was then, what it took, and what of it came back."""

    __tablename__ = "fleet_fills"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    sale_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    chain_id: Mapped[UUID | None]
    card_id: Mapped[UUID | None]
    vehicle_id: Mapped[UUID | None]
    driver_id: Mapped[UUID | None]
    department_id: Mapped[UUID | None]
    station_id: Mapped[UUID]
    product_id: Mapped[UUID | None]
    day: Mapped[date]
    """The station's."""
    event_at: Mapped[datetime]
    booked_at: Mapped[datetime]
    quantity_milli: Mapped[int]
    unit_price_e4: Mapped[int]
    gross_minor: Mapped[int]
    discount_minor: Mapped[int]
    card_minor: Mapped[int]
    odometer_km: Mapped[int | None]
    """As it was said; whether it holds, `odometer_readings` says."""
    plate: Mapped[str | None]
    flags: Mapped[int]
    back_milli: Mapped[int]
    """What refunds took back of quantity, gross, discount and the card's share."""
    back_gross_minor: Mapped[int]
    back_discount_minor: Mapped[int]
    back_card_minor: Mapped[int]

    __table_args__ = (
        Index("ix_fleet_fills_company_id", "company_id", "event_at", "sale_id"),
        Index("ix_fleet_fills_chain_id", "chain_id", "event_at", postgresql_where=text("chain_id IS NOT NULL")),
        Index("ix_fleet_fills_vehicle_id", "vehicle_id", "event_at", postgresql_where=text("vehicle_id IS NOT NULL")),
        Index("ix_fleet_fills_driver_id", "driver_id", "event_at", postgresql_where=text("driver_id IS NOT NULL")),
        Index("ix_fleet_fills_department_id", "department_id", "event_at", postgresql_where=text("department_id IS NOT NULL")),
    )


class OdometerReading(Base):
    """What an odometer was said to show. A correction is another row; the first stays, with who and why."""

    __tablename__ = "odometer_readings"

    reading_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    vehicle_id: Mapped[UUID] = mapped_column(ForeignKey("vehicles.vehicle_id"))
    km: Mapped[int]
    read_at: Mapped[datetime]
    source: Mapped[ReadingSource]
    sale_id: Mapped[UUID | None]
    status: Mapped[ReadingStatus]
    doubt: Mapped[Doubt | None]
    corrects: Mapped[UUID | None] = mapped_column(ForeignKey("odometer_readings.reading_id"))
    reason: Mapped[str | None]
    by_kind: Mapped[str]
    by_id: Mapped[str]
    made_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_odometer_readings_vehicle_id", "vehicle_id", "read_at", "reading_id"),
        Index("ix_odometer_readings_company_id", "company_id", "reading_id"),
        Index("ux_odometer_readings_sale_id", "sale_id", unique=True, postgresql_where=text("source = 'pump'")),
        Index("ix_odometer_readings_corrects", "corrects", postgresql_where=text("corrects IS NOT NULL")),
        one_of("source", ReadingSource),
        one_of("status", ReadingStatus),
        CheckConstraint("(status = 'doubtful') = (doubt IS NOT NULL) OR status = 'replaced'", name="doubt"),
        CheckConstraint("km >= 0", name="km"),
    )


class SummedBy(StrEnum):
    """Whose a day's sum is."""

    DEPARTMENT = "department"
    STATION = "station"


NOBODY: Final = UUID(int=0)
"""Stands in a sum's key where a fill has no department or product."""


class FleetDay(Base):
    """What a company's fills of one station-local day come to, refunds taken off: by department or station, and product."""

    __tablename__ = "fleet_days"

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"), primary_key=True)
    by: Mapped[SummedBy] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    product_id: Mapped[UUID] = mapped_column(primary_key=True)
    fills: Mapped[int]
    quantity_milli: Mapped[int]
    gross_minor: Mapped[int]
    discount_minor: Mapped[int]
    card_minor: Mapped[int]

    __table_args__ = (one_of("by", SummedBy),)


class VehiclePeriod(Base):
    """What a vehicle's fills of one company period come to, and how far it went by readings that hold."""

    __tablename__ = "vehicle_periods"

    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"), primary_key=True)
    period_day: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    """The day that the company's periods begin on; after it is changed, all is summed again beside what was."""
    first: Mapped[date] = mapped_column(primary_key=True)
    vehicle_id: Mapped[UUID] = mapped_column(ForeignKey("vehicles.vehicle_id"), primary_key=True)
    fills: Mapped[int]
    quantity_milli: Mapped[int]
    gross_minor: Mapped[int]
    discount_minor: Mapped[int]
    card_minor: Mapped[int]
    km: Mapped[int | None]
    """From the last reading before the period, else its first, to its last; None where that says nothing."""

    __table_args__ = (
        Index("ix_vehicle_periods_vehicle_id", "vehicle_id", "period_day", "first"),
        CheckConstraint("km > 0", name="km"),
    )
