"""Vouchers: kinds, how many of each were issued, the vouchers themselves, what became of them at an outlet, and every step."""

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

EVERYBODY = UUID(int=0)
"""The subject under which a kind's vouchers are counted in all."""


class ValueType(StrEnum):
    """What a voucher is worth."""

    MONEY = "money"
    """Money off; it may be redeemed in parts where its kind says so."""
    SERVICE = "service"
    """A free service: `item` says which, `wash` for instance."""
    GOODS = "goods"
    PARTNER = "partner"
    """A partner's benefit: an insurance, a membership."""


class VoucherStatus(StrEnum):
    """Where a voucher stands in its life."""

    ISSUED = "issued"
    """Good, also with a part of it redeemed."""
    RESERVED = "reserved"
    """Set aside at an outlet that serves it just now."""
    REDEEMED = "redeemed"
    """Nothing is left of it."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    """Taken back unused: what granted it was refunded, or the office said so."""


VOUCHER_MOVES: dict[VoucherStatus, frozenset[VoucherStatus]] = {
    VoucherStatus.ISSUED: frozenset({VoucherStatus.RESERVED, VoucherStatus.EXPIRED, VoucherStatus.CANCELLED}),
    VoucherStatus.RESERVED: frozenset({VoucherStatus.REDEEMED, VoucherStatus.ISSUED, VoucherStatus.EXPIRED}),
    VoucherStatus.REDEEMED: frozenset({VoucherStatus.ISSUED, VoucherStatus.EXPIRED}),
    VoucherStatus.EXPIRED: frozenset({VoucherStatus.RESERVED}),
    VoucherStatus.CANCELLED: frozenset(),
}
"""A redemption that is rolled back leads to issued, after the expiry to expired; what was served in time and told late leads out of it."""


class RedemptionStatus(StrEnum):
    """What became of one key of one outlet."""

    RESERVED = "reserved"
    REDEEMED = "redeemed"
    ROLLED_BACK = "rolled_back"
    TOMBSTONE = "tombstone"
    """Its roll-back came first: the late reservation is refused."""


REDEMPTION_MOVES: dict[RedemptionStatus, frozenset[RedemptionStatus]] = {
    RedemptionStatus.RESERVED: frozenset({RedemptionStatus.REDEEMED, RedemptionStatus.ROLLED_BACK}),
    RedemptionStatus.REDEEMED: frozenset({RedemptionStatus.ROLLED_BACK}),
    RedemptionStatus.ROLLED_BACK: frozenset(),
    RedemptionStatus.TOMBSTONE: frozenset(),
}


class VoucherKind(Base):
    """The terms under which vouchers are issued. A voucher keeps the value, the parts and the expiry it was issued with."""

    __tablename__ = "voucher_kinds"
    __table_args__ = (
        one_of("value_type", ValueType),
        CheckConstraint("(value_type = 'money') = (face_minor IS NOT NULL) AND face_minor > 0", name="face"),
        CheckConstraint("(face_minor IS NULL) = (currency IS NULL)", name="currency"),
        CheckConstraint("NOT partial OR value_type = 'money'", name="partial"),
        CheckConstraint("validity_days > 0 AND (validity_days IS NULL OR ends_at IS NULL)", name="validity"),
        CheckConstraint("limit_total > 0 AND limit_each > 0", name="limits"),
        CheckConstraint("rollback_minutes >= 0", name="rollback"),
    )

    kind_id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(Text, unique=True)
    name_zh: Mapped[str]
    name_en: Mapped[str]
    value_type: Mapped[ValueType]
    item: Mapped[str | None]
    """Which service or goods: `wash`, a product's or a gift's code."""
    face_minor: Mapped[int | None]
    currency: Mapped[str | None]
    zone: Mapped[str]
    """The IANA zone in which a day of validity ends."""
    validity_days: Mapped[int | None] = mapped_column(Integer)
    """Good until the end of that day, counted from the day of issue."""
    ends_at: Mapped[datetime | None]
    """Or good until then, whenever issued; with neither it does not expire."""
    plate_bound: Mapped[bool]
    """Good only for the vehicle whose plate it was issued for."""
    partial: Mapped[bool]
    """Whether a part may be redeemed and the rest stays."""
    online_only: Mapped[bool]
    """Never honoured without asking the service."""
    limit_total: Mapped[int | None] = mapped_column(Integer)
    """How many in all ("500 policies")."""
    limit_each: Mapped[int | None] = mapped_column(Integer)
    """How many a customer."""
    outlets: Mapped[list[str]] = mapped_column(ARRAY(Text))
    """Where it is honoured: `any`, `stations`, `station:CODE`, `district:CODE`, `region:CODE`, `partner:CODE`."""
    terms_zh: Mapped[str]
    terms_en: Mapped[str]
    funders: Mapped[list[Any]]
    """Who bears it, `[[funder, parts], …]`."""
    rollback_minutes: Mapped[int] = mapped_column(Integer)
    """How long after it a redemption may be rolled back."""
    active: Mapped[bool]
    """Whether new ones are issued; those that are out stay good."""
    made_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class VoucherCounter(Base):
    """How many vouchers of a kind are out, in all (`EVERYBODY`) or a customer's: cancelled ones make room again."""

    __tablename__ = "voucher_counters"
    __table_args__ = (
        CheckConstraint("issued >= 0 AND (at_most IS NULL OR issued <= at_most)", name="never_over"),
        {"postgresql_with": {"fillfactor": 50}},
    )

    kind_id: Mapped[UUID] = mapped_column(ForeignKey("voucher_kinds.kind_id"), primary_key=True)
    subject_id: Mapped[UUID] = mapped_column(primary_key=True)
    at_most: Mapped[int | None] = mapped_column(Integer)
    issued: Mapped[int] = mapped_column(Integer)


class VoucherIssue(Base):
    """One wish for vouchers, for ever: what was wanted and what was given. Its key is what granted it."""

    __tablename__ = "voucher_issues"
    __table_args__ = (CheckConstraint("wanted > 0 AND given BETWEEN 0 AND wanted", name="given"),)

    source_kind: Mapped[str] = mapped_column(primary_key=True)
    """`grant`, `monthly`, `office`, …"""
    source_id: Mapped[str] = mapped_column(primary_key=True)
    ordinal: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    kind_id: Mapped[UUID] = mapped_column(ForeignKey("voucher_kinds.kind_id"))
    customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customers.customer_id"))
    wanted: Mapped[int] = mapped_column(Integer)
    given: Mapped[int] = mapped_column(Integer)
    short: Mapped[str | None]
    """Why less was given: `limit_total`, `limit_each`, `inactive`, `ended`, `plate`, `holder`."""
    issued_at: Mapped[datetime]


class Voucher(Base):
    """One redeemable right. Its code is kept sealed for its holder's page and found by a blind index."""

    __tablename__ = "vouchers"
    __table_args__ = (
        one_of("status", VoucherStatus),
        CheckConstraint("(face_minor IS NULL) = (left_minor IS NULL) AND left_minor BETWEEN 0 AND face_minor", name="value"),
        Index("ux_vouchers_code_index", "code_index", unique=True),
        Index("ux_vouchers_source", "source_kind", "source_id", "ordinal", "piece", unique=True),
        Index("ix_vouchers_customer_id", "customer_id", "voucher_id", postgresql_where=text("customer_id IS NOT NULL")),
        Index("ix_vouchers_account_id", "account_id", "voucher_id", postgresql_where=text("account_id IS NOT NULL")),
        Index("ix_vouchers_kind_id", "kind_id", "voucher_id"),
        Index("ix_vouchers_due", "expires_at", postgresql_where=text("status = 'issued'")),
        {"postgresql_with": {"fillfactor": 80}},
    )

    voucher_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind_id: Mapped[UUID] = mapped_column(ForeignKey("voucher_kinds.kind_id"))
    customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customers.customer_id"))
    """None: whoever has the code."""
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.account_id"))
    counted_for: Mapped[UUID | None]
    """The subject on whose counter it stands, where its kind is limited a customer."""
    plate: Mapped[str | None]
    code_index: Mapped[bytes]
    code_sealed: Mapped[bytes]
    code_tail: Mapped[str]
    status: Mapped[VoucherStatus]
    partial: Mapped[bool]
    face_minor: Mapped[int | None]
    left_minor: Mapped[int | None]
    currency: Mapped[str | None]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    source_kind: Mapped[str]
    source_id: Mapped[str]
    ordinal: Mapped[int] = mapped_column(Integer)
    piece: Mapped[int] = mapped_column(Integer)
    """1, 2, … of what its issue gave."""


class VoucherRedemption(Base):
    """One outlet's use of a voucher; the outlet's key is its own, so a retry has one effect for ever."""

    __tablename__ = "voucher_redemptions"
    __table_args__ = (
        one_of("status", RedemptionStatus),
        CheckConstraint("(status = 'tombstone') = (voucher_id IS NULL)", name="tombstone"),
        CheckConstraint("honoured_minor BETWEEN 0 AND taken_minor", name="amounts"),
        CheckConstraint(
            "(status = 'reserved') = (reserved_until IS NOT NULL) AND (status <> 'redeemed' OR redeemed_at IS NOT NULL)", name="times"
        ),
        Index("ux_voucher_redemptions_key", "caller", "key", unique=True),
        Index("ux_voucher_redemptions_open", "voucher_id", unique=True, postgresql_where=text("status = 'reserved'")),
        Index(
            "ux_voucher_redemptions_whole",
            "voucher_id",
            unique=True,
            postgresql_where=text("status IN ('reserved', 'redeemed') AND NOT in_parts"),
        ),
        Index("ix_voucher_redemptions_voucher_id", "voucher_id", "redemption_id", postgresql_where=text("voucher_id IS NOT NULL")),
        Index("ix_voucher_redemptions_outlet", "outlet", "redemption_id"),
        Index("ix_voucher_redemptions_lapsing", "reserved_until", postgresql_where=text("status = 'reserved'")),
    )

    redemption_id: Mapped[UUID] = mapped_column(primary_key=True)
    caller: Mapped[str]
    """Whose keys these are: `terminal:ID`, `station:ID`, a partner's till."""
    key: Mapped[UUID]
    voucher_id: Mapped[UUID | None] = mapped_column(ForeignKey("vouchers.voucher_id"))
    status: Mapped[RedemptionStatus]
    in_parts: Mapped[bool]
    asked_minor: Mapped[int | None]
    """What the request said, so that a retry can be told from another request under the same key."""
    taken_minor: Mapped[int | None]
    """What left the voucher."""
    honoured_minor: Mapped[int | None]
    """What the customer saved: less than taken where a voucher that is used whole was worth more than the goods."""
    outlet: Mapped[str]
    """`station:CODE` or `partner:CODE`."""
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    terminal_id: Mapped[UUID | None] = mapped_column(ForeignKey("terminals.terminal_id"))
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    reserved_at: Mapped[datetime]
    reserved_until: Mapped[datetime | None]
    redeemed_at: Mapped[datetime | None]
    rolled_back_at: Mapped[datetime | None]
    reason: Mapped[str]


class VoucherEvent(Base):
    """One line a step of a voucher: who, where, when, why. Never updated; nobody but the owner could."""

    __tablename__ = "voucher_events"
    __table_args__ = (one_of("moved_to", VoucherStatus), Index("ix_voucher_events_voucher_id", "voucher_id", "event_id"))

    event_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    voucher_id: Mapped[UUID] = mapped_column(ForeignKey("vouchers.voucher_id"))
    moved_to: Mapped[VoucherStatus]
    happened_at: Mapped[datetime]
    actor_kind: Mapped[ActorKind]
    actor_id: Mapped[str]
    redemption_id: Mapped[UUID | None] = mapped_column(ForeignKey("voucher_redemptions.redemption_id"))
    change_minor: Mapped[int | None]
    """How its value changed, where it has one."""
    reason: Mapped[str]
