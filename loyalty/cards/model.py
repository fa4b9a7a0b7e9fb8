"""The cards room's tables, its statuses and which leads where."""

from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, Integer, SmallInteger, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.audit.model import ActorKind
from loyalty.db import Base, one_of


class ProductKind(StrEnum):
    """Whose card it is."""

    PERSONAL = "personal"
    ANONYMOUS = "anonymous"
    COMPANY = "company"
    FLEET = "fleet"
    """A company card bound one-to-one to a vehicle."""


class CardStatus(IntEnum):
    """Where a card stands in its life; a small number because it stands on a hot row."""

    BLANK = 0
    """Plastic in stock: a number, no holder, no account."""
    ISSUED = 1
    """Bound to its account, not yet usable."""
    ACTIVE = 2
    SUSPENDED = 3
    """Stopped for a while by its holder, its company or the office."""
    LOST = 4
    REPLACED = 5
    """Another card of the chain took its place."""
    CLOSED = 6


HOLDING = frozenset({CardStatus.ISSUED, CardStatus.ACTIVE, CardStatus.SUSPENDED})
"""A card that may be given money; any card's money may be gathered."""


MOVES: dict[CardStatus, frozenset[CardStatus]] = {
    CardStatus.BLANK: frozenset({CardStatus.ISSUED, CardStatus.CLOSED}),
    CardStatus.ISSUED: frozenset({CardStatus.ACTIVE, CardStatus.CLOSED}),
    CardStatus.ACTIVE: frozenset({CardStatus.SUSPENDED, CardStatus.LOST, CardStatus.REPLACED, CardStatus.CLOSED}),
    CardStatus.SUSPENDED: frozenset({CardStatus.ACTIVE, CardStatus.LOST, CardStatus.CLOSED}),
    CardStatus.LOST: frozenset({CardStatus.ACTIVE, CardStatus.SUSPENDED, CardStatus.REPLACED, CardStatus.CLOSED}),
    CardStatus.REPLACED: frozenset(),
    CardStatus.CLOSED: frozenset({CardStatus.ACTIVE, CardStatus.SUSPENDED, CardStatus.LOST}),
}
"""A closed card reopens, within the profile's months, into the status it was closed from, a found one into the one it was lost from, so
that neither lifts a suspension. A suspended card is resumed before it is replaced, for the same reason."""

LIVING = frozenset({CardStatus.ISSUED, CardStatus.ACTIVE, CardStatus.SUSPENDED, CardStatus.LOST})
"""A card that still has, or may again have, access to its account."""

PIN_TRIES = 3
"""Wrong ones in a row that lock the PIN on every channel (card terms)."""


class EventKind(StrEnum):
    """What happened to a card; a move also names the two statuses."""

    MOVED = "moved"
    PIN_SET = "pin_set"
    PIN_CHANGED = "pin_changed"
    PIN_LOCKED = "pin_locked"
    PIN_UNLOCKED = "pin_unlocked"
    CONVERTED = "converted"
    RENEWED = "renewed"
    LIMITS_CHANGED = "limits_changed"
    ACCOUNT_CHANGED = "account_changed"
    """Its account was frozen, thawed, or given other terms."""
    LABELLED = "labelled"
    ADOPTED = "adopted"
    """Came from a former system."""


class StockMoveKind(StrEnum):
    """How blank plastic came, went or was counted."""

    PRODUCED = "produced"
    SENT = "sent"
    COUNTED = "counted"
    SPOILT = "spoilt"


class StockMoveStatus(StrEnum):
    """A transport is on its way until the receiving station says it is there."""

    ON_THE_WAY = "on_the_way"
    DONE = "done"


class CardProduct(Base):
    """The terms under which cards are issued. The pump reads it from a snapshot: every change bumps the reference revision."""

    __tablename__ = "card_products"

    product_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str]
    name_zh: Mapped[str]
    name_en: Mapped[str]
    kind: Mapped[ProductKind]
    currency: Mapped[str]
    bearer: Mapped[bool]
    pin_required: Mapped[bool]
    number_bin: Mapped[str]
    number_length: Mapped[int] = mapped_column(SmallInteger)
    spend_order: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """Steps of `loyalty.ledger.rules.SpendStep`."""
    fuel_kinds: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """Kinds of fuel (gasoline, diesel, …) it may buy; None: all, empty: none."""
    shop_categories: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    """Shop categories it may buy; None: all, empty: none."""
    default_limits: Mapped[dict[str, Any]]
    """A limit set document, used where the card's own set says nothing."""
    offline_allowed: Mapped[bool]
    offline_fill_amount_minor: Mapped[int]
    offline_fill_quantity_milli: Mapped[int]
    offline_day_amount_minor: Mapped[int]
    offline_day_quantity_milli: Mapped[int]
    offline_day_count: Mapped[int] = mapped_column(Integer)
    offline_station_amount_minor: Mapped[int]
    """What one station may give all cards of the product while it is offline."""
    offline_shrink_percent_per_hour: Mapped[int] = mapped_column(SmallInteger)
    media_validity_months: Mapped[int | None] = mapped_column(SmallInteger)
    """None: the plastic does not expire."""
    issue_fee_minor: Mapped[int]
    replacement_fee_minor: Mapped[int]
    active: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    __table_args__ = (
        Index("uq_card_products_code", "code", unique=True),
        one_of("kind", ProductKind),
        CheckConstraint("bearer = (kind = 'anonymous')", name="bearer"),
        CheckConstraint("number_length - length(number_bin) >= 11", name="number"),
    )


class CardBatch(Base):
    """One production of blank cards: the birth record of all of them."""

    __tablename__ = "card_batches"

    batch_id: Mapped[UUID] = mapped_column(primary_key=True)
    product_id: Mapped[UUID] = mapped_column(ForeignKey("card_products.product_id"))
    count: Mapped[int] = mapped_column(Integer)
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    produced_at: Mapped[datetime]


class Card(Base):
    """The access device of an account.

    Only this room writes it, and the hot functions its PIN tries.
    """

    __tablename__ = "cards"

    card_id: Mapped[UUID] = mapped_column(primary_key=True)
    account_id: Mapped[UUID]
    """The zero UUID while blank."""
    number_index: Mapped[bytes]
    number_sealed: Mapped[bytes]
    number_bin: Mapped[str]
    number_tail: Mapped[str]
    product_id: Mapped[UUID] = mapped_column(ForeignKey("card_products.product_id"))
    customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customers.customer_id"))
    status: Mapped[CardStatus]
    version: Mapped[int] = mapped_column(Integer)
    """Rises with every change that a decision at the pump depends on."""
    pin_verifier: Mapped[bytes | None]
    pin_generation: Mapped[int] = mapped_column(SmallInteger)
    pin_tries: Mapped[int] = mapped_column(SmallInteger)
    """Wrong ones in a row."""
    chain_id: Mapped[UUID]
    """The first card of the chain of replacements: limits and counters hang on it."""
    bearer: Mapped[bool]
    """Anonymous: whoever holds it owns it; it can be neither reported lost nor replaced."""
    is_main: Mapped[bool]
    expires_on: Mapped[date | None]
    """The last day the plastic is good, station-local; value expiry is the purse's."""
    check_value_index: Mapped[bytes | None]
    holder_label: Mapped[str | None]
    plate: Mapped[str | None]
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    """Where the blank lies (None: central stock, or on its way), afterwards the issuing station."""
    batch_id: Mapped[UUID | None] = mapped_column(ForeignKey("card_batches.batch_id"))
    stock_move_id: Mapped[UUID | None] = mapped_column(ForeignKey("card_stock_moves.move_id", name="fk_cards_stock_move_id"))
    """The transport the blank is on."""
    replaces_card_id: Mapped[UUID | None] = mapped_column(ForeignKey("cards.card_id", name="fk_cards_replaces_card_id"))
    created_at: Mapped[datetime]
    issued_at: Mapped[datetime | None]
    activated_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]

    __table_args__ = (
        Index("uq_cards_number_index", "number_index", unique=True),
        Index("ix_cards_account_id", "account_id"),
        Index("ix_cards_chain_id", "chain_id"),
        Index("ix_cards_customer_id", "customer_id", postgresql_where=text("customer_id IS NOT NULL")),
        Index("ix_cards_plate", "plate", postgresql_where=text("plate IS NOT NULL")),
        Index("ix_cards_number_tail", "number_tail", "card_id"),
        Index("ix_cards_stock", "station_id", "product_id", "card_id", postgresql_where=text("status = 0")),
        Index("ix_cards_stock_move_id", "stock_move_id", postgresql_where=text("stock_move_id IS NOT NULL")),
        Index("ix_cards_batch_id", "batch_id", postgresql_where=text("batch_id IS NOT NULL")),
        CheckConstraint("status BETWEEN 0 AND 6", name="status"),
        CheckConstraint("status <> 0 OR account_id = '00000000-0000-0000-0000-000000000000'", name="blank"),
        CheckConstraint("NOT (bearer AND status = 4)", name="bearer_lost"),
        CheckConstraint("pin_tries BETWEEN 0 AND 3", name="pin_tries"),
        {"postgresql_with": {"fillfactor": 80}},
    )


class CardEvent(Base):
    """One line a change: who, where, when, why. Never updated."""

    __tablename__ = "card_events"

    event_id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    """In the order of writing, also where several lines have one instant."""
    card_id: Mapped[UUID] = mapped_column(ForeignKey("cards.card_id"))
    kind: Mapped[EventKind]
    moved_from: Mapped[CardStatus | None]
    moved_to: Mapped[CardStatus | None]
    happened_at: Mapped[datetime]
    actor_kind: Mapped[ActorKind]
    actor_id: Mapped[str]
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    reason: Mapped[str]
    facts: Mapped[dict[str, Any]]

    __table_args__ = (one_of("kind", EventKind), Index("ix_card_events_card_id", "card_id", "event_id"))


class CardIssue(Base):
    """Who developed the holder, kept at issue for good: staff, station, flyer, referrer, first load."""

    __tablename__ = "card_issues"

    card_id: Mapped[UUID] = mapped_column(ForeignKey("cards.card_id"), primary_key=True)
    account_id: Mapped[UUID]
    customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customers.customer_id"))
    issued_at: Mapped[datetime]
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    """Who handed the card out."""
    developed_by_staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    developed_by_station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    flyer_code: Mapped[str | None]
    referrer_customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customers.customer_id"))
    first_load_minor: Mapped[int | None]
    first_load_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_card_issues_account_id", "account_id"),
        CheckConstraint("referrer_customer_id <> customer_id", name="no_self_referral"),
    )


class CardStockMove(Base):
    """Blank plastic produced, sent, counted or spoilt."""

    __tablename__ = "card_stock_moves"

    move_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[StockMoveKind]
    status: Mapped[StockMoveStatus]
    product_id: Mapped[UUID] = mapped_column(ForeignKey("card_products.product_id"))
    batch_id: Mapped[UUID | None] = mapped_column(ForeignKey("card_batches.batch_id"))
    from_station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    """None: central stock."""
    to_station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    count: Mapped[int] = mapped_column(Integer)
    expected: Mapped[int | None] = mapped_column(Integer)
    """Of a count: what the books said; the difference is found by subtraction."""
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    received_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    happened_at: Mapped[datetime]
    received_at: Mapped[datetime | None]
    note: Mapped[str]

    __table_args__ = (
        Index("ix_card_stock_moves_to_station_id", "to_station_id", "move_id"),
        Index("ix_card_stock_moves_from_station_id", "from_station_id", "move_id"),
        one_of("kind", StockMoveKind),
        one_of("status", StockMoveStatus),
        CheckConstraint("count >= 0", name="count"),
    )
