"""The limits room's tables: typed rows, and the document compiled from them that the pump reads."""

from datetime import date, datetime, time
from enum import IntEnum, IntFlag, StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, SmallInteger, Text, Uuid, text
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
    ODOMETER = "odometer"
    """The reading given must rise, and by no more than can be driven."""


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
    ASK = "ask"
    """It blocks, and says that the company may be asked to let this one pass."""


class Level(IntEnum):
    """Whose limit it is, above the card's own."""

    COMPANY = 1
    DEPARTMENT = 2
    VEHICLE = 3
    DRIVER = 4


class Needs(IntFlag):
    """What must be shown or said with a card, besides its own credential."""

    ODOMETER = 1
    DRIVER = 2
    PLATE = 4
    RELATED = 8
    """The driver must be of the card's own driver, or of a department over the card."""
    PERMIT = 16
    """Somebody of the company allows each use before."""


class ChangeKind(StrEnum):
    """What a dated change does to a subject's limits."""

    MORE = "more"
    BLOCK = "block"


class OrderStatus(StrEnum):
    """Whether an order may still be fuelled on."""

    OPEN = "open"
    USED = "used"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


ORDER_MOVES: dict[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.OPEN: frozenset({OrderStatus.USED, OrderStatus.EXPIRED, OrderStatus.CANCELLED}),
    # What was taken on it was taken back.
    OrderStatus.USED: frozenset({OrderStatus.OPEN}),
    # Fuelled on in time, and told of late.
    OrderStatus.EXPIRED: frozenset({OrderStatus.USED}),
    OrderStatus.CANCELLED: frozenset(),
}


class LimitSetRow(Base):
    """The compiled document of one subject (a chain of cards). Rebuilt from its rows on every change."""

    __tablename__ = "limit_sets"

    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(Integer)
    profile_id: Mapped[UUID | None] = mapped_column(ForeignKey("limit_profiles.profile_id"))
    """The profile whose limits it has besides its own: they are the rows of the subject that the profile is."""
    compiled: Mapped[dict[str, Any]]
    needs: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    """`Needs` of whoever uses a card of this subject."""
    next_change_at: Mapped[datetime | None]
    """When a row begins or ends by itself; a job then compiles anew."""
    updated_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_limit_sets_next_change_at", "next_change_at", postgresql_where=text("next_change_at IS NOT NULL")),
        Index("ix_limit_sets_profile_id", "profile_id", postgresql_where=text("profile_id IS NOT NULL")),
    )


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


class LimitProfile(Base):
    """A set of limits that many cards, vehicles or drivers of a company share; its limits are rows of this subject."""

    __tablename__ = "limit_profiles"

    profile_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID]
    name: Mapped[str]
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]

    __table_args__ = (Index("ux_limit_profiles_name", "company_id", "name", unique=True, postgresql_where=text("closed_at IS NULL")),)


class LimitChain(Base):
    """Under whose limits a chain of cards stands, as the pump reads it: compiled from the company's structure by the room above."""

    __tablename__ = "limit_chains"

    chain_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    company_id: Mapped[UUID]
    subjects: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    """Company, departments from the nearest up, vehicle, driver: what there is of them."""
    levels: Mapped[list[int]] = mapped_column(ARRAY(SmallInteger))
    """The `Level` of each."""
    needs: Mapped[int] = mapped_column(SmallInteger)
    """`Needs`."""
    updated_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_limit_chains_subjects", "subjects", postgresql_using="gin"),
        CheckConstraint("cardinality(subjects) = cardinality(levels)", name="levels"),
    )


class LevelCounter(Base):
    """What a level used in one window, station-local; a row a window, since no one card's lock guards it."""

    __tablename__ = "level_counters"

    account_id: Mapped[UUID] = mapped_column(primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    window: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    """0: for ever (a release that is good once), 1: a day, 2: a week, 3: a month."""
    start: Mapped[date] = mapped_column(primary_key=True)
    amount_minor: Mapped[int]
    quantity_milli: Mapped[int]
    count: Mapped[int] = mapped_column(Integer)
    last_at: Mapped[datetime]

    __table_args__ = (CheckConstraint('"window" BETWEEN 0 AND 3', name="window"), {"postgresql_with": {"fillfactor": 80}})


class LimitRelease(Base):
    """Limits lifted for one chain for a while, at whatever level they stand: by one click, or as the answer to an approval."""

    __tablename__ = "limit_releases"

    release_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID]
    account_id: Mapped[UUID]
    chain_id: Mapped[UUID]
    limits: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """Names as a refusal gives them (`vehicle.day.quantity`, `grades`); None: all that blocks."""
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime]
    minor_max: Mapped[int | None]
    """The most that one fill may take under it, in money; and in litres."""
    milli_max: Mapped[int | None]
    once: Mapped[bool]
    """Good for one fill."""
    reason: Mapped[str]
    approval_id: Mapped[UUID | None]
    created_by_kind: Mapped[str]
    created_by_id: Mapped[str]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_limit_releases_chain_id", "chain_id", postgresql_where=text("ended_at IS NULL")),
        Index("ix_limit_releases_company_id", "company_id", "release_id"),
        CheckConstraint("valid_until > valid_from", name="period"),
        CheckConstraint("minor_max > 0 AND milli_max > 0", name="maxima"),
    )


class LimitChange(Base):
    """More than a subject's limits allow, or nothing at all, in `[valid_from, valid_to)`. A row is ended, never changed."""

    __tablename__ = "limit_changes"

    change_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID]
    subject_id: Mapped[UUID]
    kind: Mapped[ChangeKind]
    percent: Mapped[int | None] = mapped_column(Integer)
    """How many hundredths each amount, quantity and count rises by; with it or without: so much money, so many thousandths more."""
    amount_minor: Mapped[int | None]
    quantity_milli: Mapped[int | None]
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime]
    reason: Mapped[str]
    created_by_kind: Mapped[str]
    created_by_id: Mapped[str]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_limit_changes_subject_id", "subject_id", "change_id"),
        Index("ix_limit_changes_company_id", "company_id", "change_id"),
        one_of("kind", ChangeKind),
        CheckConstraint("valid_to > valid_from", name="period"),
        CheckConstraint("percent BETWEEN 1 AND 1000 AND amount_minor > 0 AND quantity_milli > 0", name="sizes"),
        CheckConstraint("(kind = 'more') = (num_nonnulls(percent, amount_minor, quantity_milli) > 0)", name="more"),
    )


class FuelOrder(Base):
    """What a company's own system ordered to be fuelled: the pump names its number with the card.

    How much of it was used, its counter says (`level_counters`, window 0), which the pump's batch guards; the status follows.
    """

    __tablename__ = "fuel_orders"

    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    company_id: Mapped[UUID]
    account_id: Mapped[UUID]
    number: Mapped[str]
    status: Mapped[OrderStatus]
    product_code: Mapped[str | None]
    station_id: Mapped[UUID | None]
    chain_id: Mapped[UUID | None]
    vehicle_id: Mapped[UUID | None]
    amount_minor: Mapped[int | None]
    quantity_milli: Mapped[int | None]
    """The most that may be taken: money or thousandths of the product's unit."""
    keeps_rest: Mapped[bool]
    """What the first fill leaves may be taken by another; else the order ends with its first fill."""
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime]
    note: Mapped[str | None]
    created_by_kind: Mapped[str]
    created_by_id: Mapped[str]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ux_fuel_orders_number", "company_id", "number", unique=True),
        Index("ix_fuel_orders_company_id", "company_id", "order_id"),
        Index("ix_fuel_orders_open", "valid_until", postgresql_where=text("status = 'open'")),
        one_of("status", OrderStatus),
        CheckConstraint("valid_until > valid_from", name="period"),
        CheckConstraint("num_nonnulls(amount_minor, quantity_milli) = 1 AND amount_minor > 0 AND quantity_milli > 0", name="size"),
        CheckConstraint("number ~ '^[0-9A-Za-z._/-]{1,32}$'", name="number"),
    )
