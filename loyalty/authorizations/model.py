"""The pump's tables: authorisations (declines too), sales, requests, counters, fills. Hot: small numbers, no foreign keys."""

from datetime import date, datetime
from enum import IntEnum, IntFlag
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, Integer, SmallInteger, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base


class Operation(IntEnum):
    """What a request asked for; stored beside its key."""

    AUTHORISE = 1
    COMPLETE = 2
    SALE = 3
    REVERSE = 4
    REFUND = 5
    TOPUP = 6
    TOPUP_REVERSAL = 7
    ACTIVATE = 8
    PIN = 9
    LOSS = 10
    ADVICE = 11
    NOZZLE = 12
    SHIFT = 13
    PURCHASE = 14
    FILL = 15
    TOMBSTONE = 16
    """Holds the place of an original whose reversal came first."""
    OTHER = 17


class Flow(IntEnum):
    """The fuelling flow."""

    PAY_AFTER = 1
    PRESET = 2
    PUMP = 3
    SHOP = 4
    """No fuel: shop lines only."""


class Status(IntEnum):
    """An authorisation's status."""

    APPROVED = 1
    PENDING_REVIEW = 2
    MORE_DATA = 3
    DECLINED = 4
    PART_COMPLETED = 5
    COMPLETED = 6
    REVERSED = 7
    RELEASED = 8
    """The nozzle was never lifted, or the pump delivered nothing."""
    UNRESOLVED = 9
    """Approved, and no completion came in time: the hold stays."""


MOVES: dict[Status, frozenset[Status]] = {
    Status.APPROVED: frozenset({Status.PART_COMPLETED, Status.COMPLETED, Status.REVERSED, Status.RELEASED, Status.UNRESOLVED}),
    Status.PENDING_REVIEW: frozenset(
        {Status.APPROVED, Status.DECLINED, Status.PART_COMPLETED, Status.COMPLETED, Status.REVERSED, Status.RELEASED}
    ),
    Status.MORE_DATA: frozenset(),
    Status.DECLINED: frozenset(),
    Status.PART_COMPLETED: frozenset({Status.PART_COMPLETED, Status.COMPLETED, Status.REVERSED, Status.RELEASED, Status.UNRESOLVED}),
    Status.COMPLETED: frozenset({Status.COMPLETED}),
    Status.REVERSED: frozenset({Status.COMPLETED}),
    Status.RELEASED: frozenset({Status.COMPLETED}),
    Status.UNRESOLVED: frozenset({Status.PART_COMPLETED, Status.COMPLETED, Status.RELEASED, Status.REVERSED}),
}
"""A completion after a reversal, a release or a final completion is booked and flagged: the fuel is in the tank. A part of no litres may
still be reversed."""

OPEN = (Status.APPROVED, Status.PENDING_REVIEW, Status.PART_COMPLETED, Status.UNRESOLVED)
"""Statuses that may carry holds."""


class SaleStatus(IntEnum):
    """A sale's status."""

    BOOKED = 1
    PART_REFUNDED = 2
    REFUNDED = 3
    VOIDED = 4


SALE_MOVES: dict[SaleStatus, frozenset[SaleStatus]] = {
    SaleStatus.BOOKED: frozenset({SaleStatus.PART_REFUNDED, SaleStatus.REFUNDED, SaleStatus.VOIDED}),
    SaleStatus.PART_REFUNDED: frozenset({SaleStatus.PART_REFUNDED, SaleStatus.REFUNDED}),
    SaleStatus.REFUNDED: frozenset(),
    SaleStatus.VOIDED: frozenset(),
}


class Flag(IntFlag):
    """What somebody should look at; a flag never stops a booking."""

    NONE = 0
    AMOUNT_DIFFERS = 1
    """The pump's amount lies outside the tolerance of litres × price."""
    PRICE_DIFFERS = 2
    """The pump's price is not the published one."""
    OVER_CAPTURE = 4
    RECEIVABLE = 8
    LATE = 16
    """Completed after the hold had expired."""
    AFTER_END = 32
    """Completed after a reversal, a release or a final completion."""
    LIMIT = 64
    """A limit that only flags was exceeded."""
    OFFLINE = 128
    TERMINAL = 256
    """From a quarantined or revoked terminal."""
    UNKNOWN_CARD = 512
    CARD_STATUS = 1024
    """Offline sale of a card that was not active."""
    PRODUCT_DIFFERS = 2048
    ODOMETER = 4096
    """The reading was said twice although it cannot be."""
    DRIVER = 8192
    """Offline: the driver who was named is nobody, does not drive, or may not use the card."""
    ORDER = 16384
    """Offline: the order that was named is none, was used up, had passed, or is for something else."""


class FillStatus(IntEnum):
    """A finished fill on the forecourt's list."""

    UNPAID = 1
    LOCKED = 2
    """On its way to be paid: a QR stands on it, or a cashier holds it."""
    PAID = 3
    OTHER = 4
    """Paid without a card of ours."""
    TEST = 5
    """A pump test: the fuel went back."""


FILL_MOVES: dict[FillStatus, frozenset[FillStatus]] = {
    FillStatus.UNPAID: frozenset({FillStatus.LOCKED, FillStatus.PAID, FillStatus.OTHER, FillStatus.TEST}),
    FillStatus.LOCKED: frozenset({FillStatus.UNPAID, FillStatus.PAID, FillStatus.OTHER}),
    FillStatus.PAID: frozenset({FillStatus.UNPAID}),
    FillStatus.OTHER: frozenset({FillStatus.UNPAID}),
    FillStatus.TEST: frozenset({FillStatus.UNPAID}),
}


class Authorization(Base):
    """An answer given before fuel flows. Not the ledger: value moves only at completion."""

    __tablename__ = "authorizations"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    authorization_id: Mapped[UUID] = mapped_column(primary_key=True)
    card_id: Mapped[UUID | None]
    chain_id: Mapped[UUID | None]
    terminal_id: Mapped[UUID]
    station_id: Mapped[UUID]
    status: Mapped[int] = mapped_column(SmallInteger)
    reason: Mapped[int] = mapped_column(SmallInteger)
    flow: Mapped[int] = mapped_column(SmallInteger)
    nozzle: Mapped[int | None] = mapped_column(SmallInteger)
    product_id: Mapped[UUID | None]
    requested_minor: Mapped[int | None] = mapped_column(BigInteger)
    approved_minor: Mapped[int] = mapped_column(BigInteger)
    approved_milli: Mapped[int] = mapped_column(BigInteger)
    unit_price_e4: Mapped[int] = mapped_column(BigInteger)
    hold_purses: Mapped[list[UUID]] = mapped_column(ARRAY(PG_UUID))
    hold_minors: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    """What is still held on each purse of `hold_purses`."""
    captured_minor: Mapped[int] = mapped_column(BigInteger)
    captured_milli: Mapped[int] = mapped_column(BigInteger)
    completions: Mapped[int] = mapped_column(SmallInteger)
    frozen: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    prompts: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    flags: Mapped[int] = mapped_column(Integer)
    event_at: Mapped[datetime]
    booked_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    business_day: Mapped[date]

    __table_args__ = (
        Index("ix_authorizations_station_id", "station_id", "authorization_id"),
        Index("ix_authorizations_authorization_id", "authorization_id", postgresql_using="brin"),
        {"postgresql_partition_by": "RANGE (authorization_id)"},
    )


class Sale(Base):
    """One completion, or a sale in one step."""

    __tablename__ = "sales"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    sale_id: Mapped[UUID] = mapped_column(primary_key=True)
    authorization_id: Mapped[UUID | None]
    card_id: Mapped[UUID | None]
    chain_id: Mapped[UUID | None]
    terminal_id: Mapped[UUID]
    station_id: Mapped[UUID]
    staff_id: Mapped[UUID | None]
    flow: Mapped[int] = mapped_column(SmallInteger)
    nozzle: Mapped[int | None] = mapped_column(SmallInteger)
    product_id: Mapped[UUID | None]
    quantity_milli: Mapped[int] = mapped_column(BigInteger)
    unit_price_e4: Mapped[int] = mapped_column(BigInteger)
    gross_minor: Mapped[int] = mapped_column(BigInteger)
    """Fuel and shop lines at their posted prices, before discounts."""
    discount_minor: Mapped[int] = mapped_column(BigInteger)
    card_minor: Mapped[int] = mapped_column(BigInteger)
    """What the card's purses gave, receivable included: gross − discount − other tenders."""
    currency: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """`lines` (shop), `tenders`, `discount` (frozen term), `prompts`, as they were said."""
    flags: Mapped[int] = mapped_column(Integer)
    status: Mapped[int] = mapped_column(SmallInteger)
    refunded_minor: Mapped[int] = mapped_column(BigInteger)
    """Gross amount refunded so far."""
    fill_id: Mapped[UUID | None]
    event_at: Mapped[datetime]
    booked_at: Mapped[datetime]
    business_day: Mapped[date]
    period: Mapped[int] = mapped_column(Integer)

    __table_args__ = (
        CheckConstraint("refunded_minor BETWEEN 0 AND gross_minor", name="refunded"),
        Index("ix_sales_station_id", "station_id", "sale_id"),
        Index("ix_sales_sale_id", "sale_id", postgresql_using="brin"),
        {"postgresql_partition_by": "RANGE (sale_id)"},
    )


class Refund(Base):
    """The exact mirror of a sale or a part of it."""

    __tablename__ = "refunds"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    refund_id: Mapped[UUID] = mapped_column(primary_key=True)
    sale_id: Mapped[UUID]
    void: Mapped[bool] = mapped_column(Boolean)
    gross_minor: Mapped[int] = mapped_column(BigInteger)
    discount_minor: Mapped[int] = mapped_column(BigInteger)
    card_minor: Mapped[int] = mapped_column(BigInteger)
    tenders: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """What the cashier hands back otherwise: tender → minor units."""
    quantity_milli: Mapped[int] = mapped_column(BigInteger)
    lines: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    """Shop lines taken back: place in the sale → amount and quantity."""
    benefits: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    """What of the sale's benefits went back with it: `[[rule, kind, so much], …]`."""
    reason: Mapped[str] = mapped_column(Text)
    terminal_id: Mapped[UUID]
    station_id: Mapped[UUID]
    staff_id: Mapped[UUID | None]
    event_at: Mapped[datetime]
    booked_at: Mapped[datetime]
    business_day: Mapped[date]

    __table_args__ = (
        CheckConstraint("gross_minor > 0", name="gross"),
        Index("ix_refunds_sale", "account_id", "sale_id"),
        Index("ix_refunds_station_id", "station_id", "refund_id"),
    )


class Request(Base):
    """A key that was used: for ever. `answer` is what was said, without personal data."""

    __tablename__ = "requests"

    terminal_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[UUID] = mapped_column(primary_key=True)
    epoch: Mapped[int | None] = mapped_column(Integer)
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    operation: Mapped[int] = mapped_column(SmallInteger)
    account_id: Mapped[UUID]
    subject_id: Mapped[UUID]
    fingerprint: Mapped[bytes]
    record_hash: Mapped[bytes | None]
    previous_hash: Mapped[bytes | None]
    answer: Mapped[bytes]
    booked_at: Mapped[datetime]

    __table_args__ = (
        Index(
            "uq_requests_terminal_id_epoch_sequence",
            *("terminal_id", "epoch", "sequence"),
            unique=True,
            postgresql_where=text("sequence IS NOT NULL"),
        ),
        {"postgresql_partition_by": "HASH (terminal_id)"},
    )


class LimitCounter(Base):
    """What a subject used on one station-local day; longer windows are sums of days, so that any period can be asked for.

    Written only by who holds the row lock of a card of the subject's chain.
    """

    __tablename__ = "limit_counters"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    window: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    """1: a day."""
    start: Mapped[date] = mapped_column(primary_key=True)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    quantity_milli: Mapped[int] = mapped_column(BigInteger)
    count: Mapped[int] = mapped_column(Integer)
    last_at: Mapped[datetime]


class Fill(Base):
    """A finished fill as the forecourt reports it."""

    __tablename__ = "fills"

    fill_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[UUID] = mapped_column(ForeignKey("stations.station_id"))
    pump_reference: Mapped[str] = mapped_column(Text)
    nozzle: Mapped[int] = mapped_column(SmallInteger)
    product_id: Mapped[UUID] = mapped_column(ForeignKey("products.product_id"))
    quantity_milli: Mapped[int] = mapped_column(BigInteger)
    unit_price_e4: Mapped[int] = mapped_column(BigInteger)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    finished_at: Mapped[datetime]
    status: Mapped[int] = mapped_column(SmallInteger)
    locked_until: Mapped[datetime | None]
    account_id: Mapped[UUID | None]
    sale_id: Mapped[UUID | None]

    __table_args__ = (
        UniqueConstraint("station_id", "pump_reference", name="uq_fills_station_id_pump_reference"),
        Index("ix_fills_station_id_status", "station_id", "status", "finished_at"),
    )


class UnresolvedDispense(Base):
    """An approved authorisation whose completion never came, and what was found out about it."""

    __tablename__ = "unresolved_dispenses"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    authorization_id: Mapped[UUID] = mapped_column(primary_key=True)
    station_id: Mapped[UUID] = mapped_column(ForeignKey("stations.station_id"))
    opened_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None]
    resolution: Mapped[str | None] = mapped_column(Text)
    """`late_completion`, `pump_record`, `released`."""
    evidence: Mapped[str | None] = mapped_column(Text)
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    approved_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    """The second person, from an amount on."""

    __table_args__ = (
        CheckConstraint("approved_by <> staff_id", name="two_people"),
        CheckConstraint("resolution IN ('late_completion', 'pump_record', 'released')", name="resolution"),
        CheckConstraint("(resolved_at IS NULL) = (resolution IS NULL)", name="resolved"),
        Index("ix_unresolved_dispenses_open", "station_id", "opened_at", postgresql_where="resolved_at IS NULL"),
    )
