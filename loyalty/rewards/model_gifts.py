"""Gifts: the catalogue, the stock of each station, who may have what, and every move of a piece."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Integer, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

import loyalty.customers.model
import loyalty.identity.model
import loyalty.stations.model  # noqa: F401 - as the two above: their tables are what columns here refer to
from loyalty.audit.model import ActorKind
from loyalty.db import Base, one_of

CENTRAL = UUID(int=0)
"""The place of the central store, which is no station."""


class GiftMoveKind(StrEnum):
    """How pieces came, went, were set aside or counted."""

    RECEIVED = "received"
    """From the supplier."""
    SENT = "sent"
    ARRIVED = "arrived"
    COUNTED = "counted"
    RESERVED = "reserved"
    RELEASED = "released"
    HANDED_OUT = "handed_out"
    RETURNED = "returned"
    SPOILT = "spoilt"


class EntitlementStatus(StrEnum):
    """Where a right to a gift stands."""

    GRANTED = "granted"
    RESERVED = "reserved"
    """Pieces are set aside at a station."""
    HANDED_OUT = "handed_out"
    RETURNED = "returned"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


ENTITLEMENT_MOVES: dict[EntitlementStatus, frozenset[EntitlementStatus]] = {
    EntitlementStatus.GRANTED: frozenset(
        {EntitlementStatus.RESERVED, EntitlementStatus.HANDED_OUT, EntitlementStatus.EXPIRED, EntitlementStatus.CANCELLED}
    ),
    EntitlementStatus.RESERVED: frozenset({EntitlementStatus.GRANTED, EntitlementStatus.HANDED_OUT, EntitlementStatus.CANCELLED}),
    EntitlementStatus.HANDED_OUT: frozenset({EntitlementStatus.RETURNED}),
    EntitlementStatus.RETURNED: frozenset(),
    EntitlementStatus.EXPIRED: frozenset(),
    EntitlementStatus.CANCELLED: frozenset(),
}
"""A reservation is given back before it expires, so that no piece stays set aside for nobody."""


class SignatureForm(StrEnum):
    """How what was drawn is kept."""

    SVG_PATH = "svg_path"
    PNG = "png"


class Gift(Base):
    """One thing of the catalogue."""

    __tablename__ = "gifts"
    __table_args__ = (
        CheckConstraint("threshold_minor > 0 AND (threshold_minor IS NULL) = (currency IS NULL)", name="threshold"),
        CheckConstraint("validity_days > 0", name="validity"),
    )

    gift_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(Text, unique=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    about_zh: Mapped[str]
    about_en: Mapped[str]
    points_steps: Mapped[list[Any]]
    """What points buy: `[[pieces, points], …]`; empty: not for points."""
    threshold_minor: Mapped[int | None]
    """The single top-up at or above which it is given, as the page shows it; the rulebook's rule is what gives it."""
    currency: Mapped[str | None]
    instead: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """Codes of gifts that may be handed out in its place where it has run out."""
    zone: Mapped[str]
    """The IANA zone in which a day of validity ends."""
    validity_days: Mapped[int | None] = mapped_column(Integer)
    """How long it may be fetched, counted from the day it was granted; None: as long as the catalogue has it."""
    active: Mapped[bool]
    made_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class GiftStock(Base):
    """What lies at a place and how much of it is set aside; always the sum of its moves."""

    __tablename__ = "gift_stocks"
    __table_args__ = (CheckConstraint("reserved >= 0 AND reserved <= on_hand", name="never_short"), {"postgresql_with": {"fillfactor": 80}})

    gift_id: Mapped[UUID] = mapped_column(ForeignKey("gifts.gift_id"), primary_key=True)
    place_id: Mapped[UUID] = mapped_column(primary_key=True)
    """A station, or `CENTRAL`."""
    on_hand: Mapped[int] = mapped_column(Integer)
    reserved: Mapped[int] = mapped_column(Integer)


class GiftEntitlement(Base):
    """A customer's right to so many pieces of a gift. Its key is what granted it, so it is granted once for ever."""

    __tablename__ = "gift_entitlements"
    __table_args__ = (
        one_of("status", EntitlementStatus),
        CheckConstraint("pieces > 0 AND points_paid >= 0", name="amounts"),
        CheckConstraint("(status = 'reserved') = (reserved_until IS NOT NULL)", name="reserved"),
        CheckConstraint("status NOT IN ('reserved', 'handed_out', 'returned') OR place_id IS NOT NULL", name="place"),
        Index("ux_gift_entitlements_source", "source_kind", "source_id", "ordinal", unique=True),
        Index("ix_gift_entitlements_customer_id", "customer_id", "entitlement_id", postgresql_where=text("customer_id IS NOT NULL")),
        Index("ix_gift_entitlements_account_id", "account_id", "entitlement_id", postgresql_where=text("account_id IS NOT NULL")),
        Index("ix_gift_entitlements_lapsing", "reserved_until", postgresql_where=text("status = 'reserved'")),
        Index("ix_gift_entitlements_due", "expires_at", postgresql_where=text("status = 'granted'")),
    )

    entitlement_id: Mapped[UUID] = mapped_column(primary_key=True)
    gift_id: Mapped[UUID] = mapped_column(ForeignKey("gifts.gift_id"))
    """What is handed out: another one than was granted where that had run out."""
    granted_gift_id: Mapped[UUID] = mapped_column(ForeignKey("gifts.gift_id"))
    customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customers.customer_id"))
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.account_id"))
    pieces: Mapped[int] = mapped_column(Integer)
    points_paid: Mapped[int]
    status: Mapped[EntitlementStatus]
    place_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    """The station where it is set aside or was handed out."""
    reserved_until: Mapped[datetime | None]
    granted_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    source_kind: Mapped[str]
    source_id: Mapped[str]
    ordinal: Mapped[int] = mapped_column(Integer)


class GiftMove(Base):
    """One line a move of pieces, a step of a right included. Never updated; nobody but the owner could."""

    __tablename__ = "gift_moves"
    __table_args__ = (
        one_of("kind", GiftMoveKind),
        CheckConstraint("(kind = 'counted') = (expected IS NOT NULL)", name="expected"),
        CheckConstraint("(kind = 'sent') = (to_place_id IS NOT NULL) AND (kind = 'arrived') = (of_move_id IS NOT NULL)", name="transport"),
        Index("ux_gift_moves_of_move_id", "of_move_id", unique=True, postgresql_where=text("of_move_id IS NOT NULL")),
        Index("ix_gift_moves_place", "gift_id", "place_id", "move_id"),
        Index("ix_gift_moves_to_place_id", "to_place_id", "move_id", postgresql_where=text("to_place_id IS NOT NULL")),
        Index("ix_gift_moves_entitlement_id", "entitlement_id", "move_id", postgresql_where=text("entitlement_id IS NOT NULL")),
    )

    move_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    gift_id: Mapped[UUID] = mapped_column(ForeignKey("gifts.gift_id"))
    place_id: Mapped[UUID]
    kind: Mapped[GiftMoveKind]
    on_hand_change: Mapped[int] = mapped_column(Integer)
    reserved_change: Mapped[int] = mapped_column(Integer)
    expected: Mapped[int | None] = mapped_column(Integer)
    """Of a count: what the books said before it."""
    to_place_id: Mapped[UUID | None]
    of_move_id: Mapped[int | None] = mapped_column(ForeignKey("gift_moves.move_id"))
    """Of an arrival: the sending."""
    entitlement_id: Mapped[UUID | None] = mapped_column(ForeignKey("gift_entitlements.entitlement_id"))
    happened_at: Mapped[datetime]
    actor_kind: Mapped[ActorKind]
    actor_id: Mapped[str]
    note: Mapped[str]


class GiftHandOut(Base):
    """That a gift was handed over: by whom, where, and what was signed."""

    __tablename__ = "gift_hand_outs"
    __table_args__ = (
        one_of("signature_form", SignatureForm),
        CheckConstraint("(returned_at IS NULL) = (return_reason IS NULL)", name="returned"),
        Index("ix_gift_hand_outs_station_id", "station_id", "entitlement_id"),
    )

    entitlement_id: Mapped[UUID] = mapped_column(ForeignKey("gift_entitlements.entitlement_id"), primary_key=True)
    gift_id: Mapped[UUID] = mapped_column(ForeignKey("gifts.gift_id"))
    station_id: Mapped[UUID] = mapped_column(ForeignKey("stations.station_id"))
    terminal_id: Mapped[UUID | None] = mapped_column(ForeignKey("terminals.terminal_id"))
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    handed_at: Mapped[datetime]
    signature_form: Mapped[SignatureForm]
    signature_sealed: Mapped[bytes]
    returned_at: Mapped[datetime | None]
    returned_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    return_reason: Mapped[str | None]
    restocked: Mapped[bool | None]
    """Whether what came back can be handed out again."""


class EntitlementEvent(Base):
    """One line a step of a right to a gift. Never updated; nobody but the owner could."""

    __tablename__ = "gift_entitlement_events"
    __table_args__ = (
        one_of("moved_to", EntitlementStatus),
        Index("ix_gift_entitlement_events_entitlement_id", "entitlement_id", "event_id"),
    )

    event_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    entitlement_id: Mapped[UUID] = mapped_column(ForeignKey("gift_entitlements.entitlement_id"))
    moved_to: Mapped[EntitlementStatus]
    happened_at: Mapped[datetime]
    actor_kind: Mapped[ActorKind]
    actor_id: Mapped[str]
    reason: Mapped[str]
    facts: Mapped[dict[str, Any]]
