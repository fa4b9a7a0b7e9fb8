"""The structure of a company: departments, vehicles, drivers, and which card belongs to which.

Every table carries `company_id`, the tenant: row-level security keeps a portal's session to its own company (migration 0031).
"""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, SmallInteger, Text, text
from sqlalchemy.orm import Mapped, mapped_column

import loyalty.customers.model  # noqa: F401 - its `customers` is what columns here refer to
from loyalty.db import Base, one_of


class CompanyMode(StrEnum):
    """Where the money of a company's cards lies."""

    POOLED = "pooled"
    """Cards draw on the pool within their limits."""
    ALLOCATED = "allocated"
    """Money is moved to the card first; the rest stays in the pool."""
    MIXED = "mixed"
    """The card's own money first, then the pool."""


class WorkdayMode(StrEnum):
    """Where a due day goes that is a rest day."""

    FOLLOWING = "following"
    PRECEDING = "preceding"


class UnusedMode(StrEnum):
    """What becomes of allocated money that was not used in its period."""

    KEPT = "kept"
    """It stays and the next allocation is added."""
    GATHERED = "gathered"
    """It goes back to the pool before the next allocation."""
    CAPPED = "capped"
    """The next allocation fills up to the approved amount only."""


class SilencePolicy(StrEnum):
    """What an approval becomes when neither the manager nor the deputy answers."""

    REFUSE = "refuse"
    APPROVE = "approve"


class Ownership(StrEnum):
    """Whose vehicle it is."""

    COMPANY = "company"
    PRIVATE = "private"
    """An employee's own, in company use with a fixed monthly amount."""
    ISSUER = "issuer"
    """The chain's own use: no stored value."""


class VehicleStatus(StrEnum):
    """Whether a vehicle is used."""

    ACTIVE = "active"
    IN_REPAIR = "in_repair"
    """A substitute may stand in for it."""
    CLOSED = "closed"


VEHICLE_MOVES: dict[VehicleStatus, frozenset[VehicleStatus]] = {
    VehicleStatus.ACTIVE: frozenset({VehicleStatus.IN_REPAIR, VehicleStatus.CLOSED}),
    VehicleStatus.IN_REPAIR: frozenset({VehicleStatus.ACTIVE, VehicleStatus.CLOSED}),
    VehicleStatus.CLOSED: frozenset({VehicleStatus.ACTIVE}),
}


class DriverStatus(StrEnum):
    """Whether a driver drives."""

    ACTIVE = "active"
    AWAY = "away"
    """Sent away for long: the card is recalled."""
    LEFT = "left"


DRIVER_MOVES: dict[DriverStatus, frozenset[DriverStatus]] = {
    DriverStatus.ACTIVE: frozenset({DriverStatus.AWAY, DriverStatus.LEFT}),
    DriverStatus.AWAY: frozenset({DriverStatus.ACTIVE, DriverStatus.LEFT}),
    DriverStatus.LEFT: frozenset({DriverStatus.ACTIVE}),
}


class Company(Base):
    """An organisation that manages its own cards: how its money and its months go."""

    __tablename__ = "companies"

    company_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"), primary_key=True)
    account_id: Mapped[UUID]
    """Its one account: pool, cards' own money, receivable, and the counters of all its limits."""
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("companies.company_id"))
    """The group it belongs to; a parent reads its children's figures, it does not spend their money."""
    mode: Mapped[CompanyMode]
    currency: Mapped[str]
    time_zone: Mapped[str]
    """IANA; the calendar of its periods. Limits follow the station's."""
    period_day: Mapped[int] = mapped_column(SmallInteger)
    """The day of the month on which its period begins (26: 26th to 25th)."""
    check_day: Mapped[int] = mapped_column(SmallInteger)
    """The day on which allocation requests are checked, before it is moved to a workday."""
    workday_mode: Mapped[WorkdayMode]
    needs_records: Mapped[bool]
    """No allocation without last period's fuel records."""
    needs_odometer: Mapped[bool]
    """No allocation without an odometer reading in the last period."""
    unused: Mapped[UnusedMode]
    silence: Mapped[SilencePolicy]
    deputy_after_s: Mapped[int] = mapped_column(Integer)
    """How long the manager may be silent before the deputy is asked."""
    decide_after_s: Mapped[int] = mapped_column(Integer)
    """How long, from the asking, until `silence` decides."""
    custody_blocks: Mapped[bool] = mapped_column(server_default=text("false"))
    """A card that its custodian keeps fuels only with a permit; lent for a trip it fuels freely until it is due."""
    custodian_lends: Mapped[bool] = mapped_column(server_default=text("true"))
    """A card's custodian may approve what they asked for themselves."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (
        Index("ux_companies_account_id", "account_id", unique=True),
        Index("ix_companies_parent_id", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
        one_of("mode", CompanyMode),
        one_of("workday_mode", WorkdayMode),
        one_of("unused", UnusedMode),
        one_of("silence", SilencePolicy),
        CheckConstraint("period_day BETWEEN 1 AND 28 AND check_day BETWEEN 1 AND 28", name="days"),
        CheckConstraint("deputy_after_s > 0 AND decide_after_s >= deputy_after_s", name="waits"),
        CheckConstraint("parent_id <> company_id", name="parent"),
    )


class Department(Base):
    """A part of a company; departments may stand under one another."""

    __tablename__ = "departments"

    department_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    parent_id: Mapped[UUID | None] = mapped_column(ForeignKey("departments.department_id"))
    name: Mapped[str] = mapped_column(Text)
    cost_centre: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ux_departments_name", "company_id", "name", unique=True, postgresql_where=text("closed_at IS NULL")),
        Index("ix_departments_parent_id", "parent_id", postgresql_where=text("parent_id IS NOT NULL")),
        CheckConstraint("parent_id <> department_id", name="parent"),
    )


class Vehicle(Base):
    """A vehicle and what is normal for it."""

    __tablename__ = "vehicles"

    vehicle_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    department_id: Mapped[UUID | None] = mapped_column(ForeignKey("departments.department_id"))
    plate: Mapped[str]
    plate_key: Mapped[str]
    """As plates are compared: see `loyalty.limits.rules.plate_key`."""
    country: Mapped[str]
    vin: Mapped[str | None]
    type: Mapped[str]
    """What the fleet calls it: car, van, truck, tractor, bus … : the class it is compared within."""
    displacement_ml: Mapped[int | None] = mapped_column(Integer)
    tank_milli: Mapped[int | None]
    product_code: Mapped[str | None]
    """The fuel it takes."""
    norm_milli: Mapped[int | None]
    """Thousandths of a litre per 100 km; None: its class's."""
    ownership: Mapped[Ownership]
    fixed_amount_minor: Mapped[int | None]
    """A private vehicle's monthly amount."""
    substitute_for: Mapped[UUID | None] = mapped_column(ForeignKey("vehicles.vehicle_id"))
    """The vehicle in repair that it stands in for."""
    odometer_km: Mapped[int | None]
    """The last reading that holds."""
    odometer_at: Mapped[datetime | None]
    status: Mapped[VehicleStatus]
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ux_vehicles_plate_key", "company_id", "plate_key", unique=True, postgresql_where=text("closed_at IS NULL")),
        Index("ix_vehicles_company_id", "company_id", "vehicle_id"),
        Index("ix_vehicles_department_id", "department_id", postgresql_where=text("department_id IS NOT NULL")),
        Index("ix_vehicles_substitute_for", "substitute_for", postgresql_where=text("substitute_for IS NOT NULL")),
        one_of("ownership", Ownership),
        one_of("status", VehicleStatus),
        CheckConstraint("(status = 'closed') = (closed_at IS NOT NULL)", name="closed"),
        CheckConstraint(
            "displacement_ml > 0 AND tank_milli > 0 AND norm_milli > 0 AND odometer_km >= 0 AND fixed_amount_minor >= 0", name="sizes"
        ),
        CheckConstraint("(odometer_km IS NULL) = (odometer_at IS NULL)", name="odometer"),
        CheckConstraint("substitute_for <> vehicle_id", name="substitute"),
    )


class Driver(Base):
    """A driver. The number is what is typed at the pump; the PIN is theirs, not the card's."""

    __tablename__ = "drivers"

    driver_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    department_id: Mapped[UUID | None] = mapped_column(ForeignKey("departments.department_id"))
    number: Mapped[str]
    """Digits, unique in the company."""
    name: Mapped[str]
    phone_sealed: Mapped[bytes | None]
    phone_tail: Mapped[str | None]
    licence_class: Mapped[str | None]
    licence_until: Mapped[date | None]
    pin_verifier: Mapped[bytes | None]
    pin_generation: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    pin_tries: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    """Wrong tries in a row: the pump's batch counts them, the third locks the PIN."""
    status: Mapped[DriverStatus]
    created_at: Mapped[datetime]
    left_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ux_drivers_number", "company_id", "number", unique=True),
        Index("ix_drivers_company_id", "company_id", "driver_id"),
        Index("ix_drivers_department_id", "department_id", postgresql_where=text("department_id IS NOT NULL")),
        one_of("status", DriverStatus),
        CheckConstraint("(status = 'left') = (left_at IS NOT NULL)", name="left"),
        CheckConstraint("number ~ '^[0-9]{1,12}$'", name="number"),
        CheckConstraint("(phone_sealed IS NULL) = (phone_tail IS NULL)", name="phone"),
    )


class CardBinding(Base):
    """Which vehicle, driver or department a chain of cards belongs to, `[since, until)`. A replacement card is of the same chain."""

    __tablename__ = "card_bindings"

    chain_id: Mapped[UUID] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(primary_key=True)
    until: Mapped[datetime | None]
    company_id: Mapped[UUID] = mapped_column(ForeignKey("companies.company_id"))
    vehicle_id: Mapped[UUID | None] = mapped_column(ForeignKey("vehicles.vehicle_id"))
    driver_id: Mapped[UUID | None] = mapped_column(ForeignKey("drivers.driver_id"))
    department_id: Mapped[UUID | None] = mapped_column(ForeignKey("departments.department_id"))
    """The department that answers for it: its own, else the vehicle's, else the driver's."""
    bound_by_kind: Mapped[str]
    bound_by_id: Mapped[str]

    __table_args__ = (
        Index("ux_card_bindings_standing", "chain_id", unique=True, postgresql_where=text("until IS NULL")),
        Index("ix_card_bindings_company_id", "company_id", "chain_id"),
        Index("ix_card_bindings_vehicle_id", "vehicle_id", postgresql_where=text("vehicle_id IS NOT NULL")),
        Index("ix_card_bindings_driver_id", "driver_id", postgresql_where=text("driver_id IS NOT NULL")),
        Index("ix_card_bindings_department_id", "department_id", postgresql_where=text("department_id IS NOT NULL")),
        CheckConstraint("until IS NULL OR until > since", name="period"),
    )
