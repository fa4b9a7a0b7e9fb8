"""Where fuel is sold, what is sold there and at which price."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

import loyalty.identity.model  # noqa: F401 - its `staff` is what columns here refer to
from loyalty.db import Base, one_of


class StationStatus(StrEnum):
    """What an outlet does at the moment."""

    PLANNED = "planned"
    OPEN = "open"
    SHORTAGE = "shortage"
    """Open, but a product has run out or is reserved."""
    PAUSED = "paused"
    """Closed for a while: rebuilding, an inspection."""
    CLOSED = "closed"


STATION_MOVES: dict[StationStatus, frozenset[StationStatus]] = {
    StationStatus.PLANNED: frozenset({StationStatus.OPEN, StationStatus.CLOSED}),
    StationStatus.OPEN: frozenset({StationStatus.SHORTAGE, StationStatus.PAUSED, StationStatus.CLOSED}),
    StationStatus.SHORTAGE: frozenset({StationStatus.OPEN, StationStatus.PAUSED, StationStatus.CLOSED}),
    StationStatus.PAUSED: frozenset({StationStatus.OPEN, StationStatus.SHORTAGE, StationStatus.CLOSED}),
    StationStatus.CLOSED: frozenset({StationStatus.OPEN}),
}

SERVING = frozenset({StationStatus.OPEN, StationStatus.SHORTAGE})
"""The statuses in which a pump may be authorised."""


class TerminalKind(StrEnum):
    """What stands there."""

    POS = "pos"
    """The till of a station's forecourt controller."""
    COUNTER = "counter"
    """A browser at the counter."""
    OUTDOOR = "outdoor"
    """A pump that reads cards itself."""


class TerminalStatus(StrEnum):
    """Whether a till is believed. Its keys and sessions live in the identity room."""

    ACTIVE = "active"
    QUARANTINED = "quarantined"
    """Its record chain contradicts itself: what it reports is booked and flagged, nothing new is authorised."""
    REVOKED = "revoked"


TERMINAL_MOVES: dict[TerminalStatus, frozenset[TerminalStatus]] = {
    TerminalStatus.ACTIVE: frozenset({TerminalStatus.QUARANTINED, TerminalStatus.REVOKED}),
    TerminalStatus.QUARANTINED: frozenset({TerminalStatus.ACTIVE, TerminalStatus.REVOKED}),
    TerminalStatus.REVOKED: frozenset({TerminalStatus.ACTIVE}),
}
"""A revoked till lives again by re-enrolment: the identity stays, the epoch rises."""


class ProductCategory(StrEnum):
    FUEL = "fuel"
    SHOP = "shop"


class FuelKind(StrEnum):
    GASOLINE = "gasoline"
    DIESEL = "diesel"
    LNG = "lng"
    CNG = "cng"
    LPG = "lpg"
    EV = "ev"


class Unit(StrEnum):
    """What a product is measured in; quantities count thousandths of it."""

    LITRE = "L"
    KILOGRAM = "kg"
    CUBIC_METRE = "m3"
    KILOWATT_HOUR = "kWh"
    PIECE = "piece"


class LegalEntity(Base):
    """A company that owns stations: loads and fuel are settled between entities, and it is the one that invoices."""

    __tablename__ = "legal_entities"

    entity_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(Text, unique=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    tax_number: Mapped[str | None]
    """USCC in China; public, hence in clear."""
    currency: Mapped[str]
    created_at: Mapped[datetime]


class Region(Base):
    __tablename__ = "regions"

    region_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(Text, unique=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    created_at: Mapped[datetime]


class District(Base):
    """An area manager's stations (片区)."""

    __tablename__ = "districts"

    district_id: Mapped[UUID] = mapped_column(primary_key=True)
    region_id: Mapped[UUID] = mapped_column(ForeignKey("regions.region_id"), index=True)
    code: Mapped[str] = mapped_column(Text, unique=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    created_at: Mapped[datetime]


class Station(Base):
    """An outlet. Its IANA zone and its currency decide what a day, a limit's window and a price mean there."""

    __tablename__ = "stations"
    __table_args__ = (one_of("status", StationStatus), Index("ix_stations_name_zh_station_id", "name_zh", "station_id"))

    station_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(Text, unique=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    entity_id: Mapped[UUID] = mapped_column(ForeignKey("legal_entities.entity_id"), index=True)
    district_id: Mapped[UUID] = mapped_column(ForeignKey("districts.district_id"), index=True)
    country: Mapped[str]
    """ISO 3166-1 alpha-2."""
    zone: Mapped[str]
    currency: Mapped[str]
    address: Mapped[str]
    phone: Mapped[str]
    segment: Mapped[str | None]
    may_issue: Mapped[bool]
    may_load: Mapped[bool]
    may_invoice: Mapped[bool]
    status: Mapped[StationStatus]
    created_at: Mapped[datetime]


class StationEvent(Base):
    """One line a change of status: who, when, why. Never updated."""

    __tablename__ = "station_events"
    __table_args__ = (one_of("moved_to", StationStatus), Index("ix_station_events_station_id_happened_at", "station_id", "happened_at"))

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[UUID] = mapped_column(ForeignKey("stations.station_id"))
    moved_to: Mapped[StationStatus]
    happened_at: Mapped[datetime]
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    reason: Mapped[str]


class Terminal(Base):
    """A logical till: it survives the devices that stand in for it."""

    __tablename__ = "terminals"
    __table_args__ = (
        UniqueConstraint("station_id", "code"),
        one_of("kind", TerminalKind),
        one_of("status", TerminalStatus),
        CheckConstraint("amount_per_transaction_max_minor > 0 AND offline_amount_max_minor >= 0", name="caps"),
        # Heartbeats update the row every minute: room on the page keeps those updates off the indexes.
        {"postgresql_with": {"fillfactor": "70"}},
    )

    terminal_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[UUID] = mapped_column(ForeignKey("stations.station_id"))
    code: Mapped[str]
    kind: Mapped[TerminalKind]
    status: Mapped[TerminalStatus]
    amount_per_transaction_max_minor: Mapped[int | None]
    """None: no cap of its own."""
    offline_amount_max_minor: Mapped[int | None]
    """What it may take offline before it must sync, all cards together; None: no cap of its own."""
    software: Mapped[str | None]
    last_heartbeat_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class TerminalEvent(Base):
    """One line a change of status: who, when, why. Never updated."""

    __tablename__ = "terminal_events"
    __table_args__ = (one_of("moved_to", TerminalStatus), Index("ix_terminal_events_terminal_id_happened_at", "terminal_id", "happened_at"))

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    terminal_id: Mapped[UUID] = mapped_column(ForeignKey("terminals.terminal_id"))
    moved_to: Mapped[TerminalStatus]
    happened_at: Mapped[datetime]
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    reason: Mapped[str]


class Product(Base):
    """Anything sold: a fuel grade or a shop article; shop articles belong to a category, which is what limits and cards speak of."""

    __tablename__ = "products"
    __table_args__ = (
        one_of("category", ProductCategory),
        one_of("fuel_kind", FuelKind),
        one_of("unit", Unit),
        CheckConstraint("(category = 'fuel') = (fuel_kind IS NOT NULL) AND (category = 'shop') = (shop_category IS NOT NULL)", name="kind"),
    )

    product_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(Text, unique=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    category: Mapped[ProductCategory]
    fuel_kind: Mapped[FuelKind | None]
    shop_category: Mapped[str | None]
    unit: Mapped[Unit]
    active: Mapped[bool]
    created_at: Mapped[datetime]


class StationPrice(Base):
    """One price of one product at one station from an instant on: the price at `t` is the latest with `effective_from <= t`.

    Rows are never changed; a price that was published by mistake is withdrawn while it is still ahead.
    """

    __tablename__ = "station_prices"
    __table_args__ = (
        CheckConstraint("unit_price_e4 > 0", name="positive"),
        Index(
            "ux_station_prices_in_force",
            "station_id",
            "product_id",
            "effective_from",
            unique=True,
            postgresql_include=["unit_price_e4"],
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
        Index("ix_station_prices_effective_from", "effective_from"),
    )

    price_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[UUID] = mapped_column(ForeignKey("stations.station_id"))
    product_id: Mapped[UUID] = mapped_column(ForeignKey("products.product_id"))
    unit_price_e4: Mapped[int]
    currency: Mapped[str]
    effective_from: Mapped[datetime]
    published_at: Mapped[datetime]
    published_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))


class ShiftStatus(StrEnum):
    """A shift's life: the cash is counted blind before the expected amount is shown."""

    OPEN = "open"
    COUNTED = "counted"
    CLOSED = "closed"


SHIFT_MOVES: dict[ShiftStatus, frozenset[ShiftStatus]] = {
    ShiftStatus.OPEN: frozenset({ShiftStatus.COUNTED}),
    ShiftStatus.COUNTED: frozenset({ShiftStatus.CLOSED}),
    ShiftStatus.CLOSED: frozenset(),
}


class Shift(Base):
    """One cashier at one till between two counts of its cash (班结)."""

    __tablename__ = "shifts"
    __table_args__ = (
        one_of("status", ShiftStatus),
        CheckConstraint("opening_float_minor >= 0 AND counted_cash_minor >= 0", name="cash"),
        CheckConstraint("status = 'open' OR (counted_cash_minor IS NOT NULL AND counted_at IS NOT NULL)", name="counted"),
        CheckConstraint(
            "status <> 'closed' OR (closed_at IS NOT NULL AND expected_cash_minor IS NOT NULL AND totals IS NOT NULL)", name="closed"
        ),
        Index("ux_shifts_running", "terminal_id", unique=True, postgresql_where=text("status <> 'closed'")),
        Index("ix_shifts_station_id_opened_at", "station_id", "opened_at"),
        Index("ix_shifts_cashier_id_opened_at", "cashier_id", "opened_at"),
    )

    shift_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[UUID] = mapped_column(ForeignKey("stations.station_id"))
    terminal_id: Mapped[UUID] = mapped_column(ForeignKey("terminals.terminal_id"))
    cashier_id: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    status: Mapped[ShiftStatus]
    currency: Mapped[str]
    opened_at: Mapped[datetime]
    opening_float_minor: Mapped[int]
    counted_at: Mapped[datetime | None]
    counted_cash_minor: Mapped[int | None]
    expected_cash_minor: Mapped[int | None]
    over_short_minor: Mapped[int | None]
    """Counted minus expected: > 0 over (长款), < 0 short (短款)."""
    explanation: Mapped[str | None]
    totals: Mapped[dict[str, Any] | None]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))


class CashCount(Base):
    """One blind count of a till's cash; a recount is a further row, never a correction."""

    __tablename__ = "cash_counts"
    __table_args__ = (CheckConstraint("counted_cash_minor >= 0", name="amount"),)

    count_id: Mapped[UUID] = mapped_column(primary_key=True)
    shift_id: Mapped[UUID] = mapped_column(ForeignKey("shifts.shift_id"), index=True)
    counted_cash_minor: Mapped[int]
    counted_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    counted_at: Mapped[datetime]


class CashDrop(Base):
    """Cash taken from the till into the safe during a shift."""

    __tablename__ = "cash_drops"
    __table_args__ = (CheckConstraint("amount_minor > 0", name="amount"),)

    drop_id: Mapped[UUID] = mapped_column(primary_key=True)
    shift_id: Mapped[UUID] = mapped_column(ForeignKey("shifts.shift_id"), index=True)
    amount_minor: Mapped[int]
    envelope: Mapped[str]
    """The number on the sealed bag."""
    dropped_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    dropped_at: Mapped[datetime]


class DayClose(Base):
    """A station's closed business day (日结); its totals are bytes for ever, named by their hash."""

    __tablename__ = "day_closes"
    __table_args__ = (CheckConstraint("octet_length(totals_hash) = 32", name="hash"), Index("ix_day_closes_day", "day"))

    station_id: Mapped[UUID] = mapped_column(ForeignKey("stations.station_id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    closed_at: Mapped[datetime]
    closed_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    totals: Mapped[dict[str, Any]]
    totals_hash: Mapped[bytes]
    """SHA-256 of the canonical JSON of `totals`."""
