"""What goes to a partner about customers who agreed: who is registered, what is sent when and how, and what was sent.

`partner_feed_batches`, `partner_feed_rows` and `partner_feed_log` are append-only by trigger: they are the proof of who got what.
"""

from datetime import date, datetime, time
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Integer, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

import loyalty.rewards.model_vouchers  # noqa: F401 - its vouchers are what registrations are made of
from loyalty.db import Base, one_of


class RegistrationStatus(StrEnum):
    """How far somebody's registration with a partner is."""

    TO_SEND = "to_send"
    SENT = "sent"
    CORRECTED = "corrected"
    """Sent, and sent again because something about them changed."""
    REMOVED = "removed"
    """The partner was told to forget them, or was never told."""
    LAPSED = "lapsed"
    """Its validity is over: somebody asks whether they want another."""


REGISTRATION_MOVES: dict[RegistrationStatus, frozenset[RegistrationStatus]] = {
    RegistrationStatus.TO_SEND: frozenset({RegistrationStatus.SENT, RegistrationStatus.REMOVED, RegistrationStatus.LAPSED}),
    RegistrationStatus.SENT: frozenset({RegistrationStatus.CORRECTED, RegistrationStatus.REMOVED, RegistrationStatus.LAPSED}),
    RegistrationStatus.CORRECTED: frozenset({RegistrationStatus.CORRECTED, RegistrationStatus.REMOVED, RegistrationStatus.LAPSED}),
    RegistrationStatus.REMOVED: frozenset({RegistrationStatus.SENT}),
    RegistrationStatus.LAPSED: frozenset({RegistrationStatus.REMOVED}),
}
"""Who consents again is registered again; who withdraws after the end is removed all the same."""


class FeedStatus(StrEnum):
    """Whether a feed runs."""

    PROPOSED = "proposed"
    """New or changed: another person of the office looks at it first."""
    ACTIVE = "active"
    PAUSED = "paused"
    ENDED = "ended"


FEED_MOVES: dict[FeedStatus, frozenset[FeedStatus]] = {
    FeedStatus.PROPOSED: frozenset({FeedStatus.ACTIVE, FeedStatus.ENDED}),
    FeedStatus.ACTIVE: frozenset({FeedStatus.PROPOSED, FeedStatus.PAUSED, FeedStatus.ENDED}),
    FeedStatus.PAUSED: frozenset({FeedStatus.PROPOSED, FeedStatus.ACTIVE, FeedStatus.ENDED}),
    FeedStatus.ENDED: frozenset(),
}


class FeedColumn(StrEnum):
    """What of a person may be sent; the slip's number always is."""

    NAME = "name"
    DOCUMENT_TYPE = "document_type"
    DOCUMENT_NUMBER = "document_number"
    PHONE = "phone"
    PLATE = "plate"
    OPENED_ON = "opened_on"
    COVER = "cover"
    VALID_FROM = "valid_from"
    VALID_UNTIL = "valid_until"


class Rhythm(StrEnum):
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class FeedChannel(StrEnum):
    """How a file leaves; it is sealed to the partner's key in each."""

    MAIL = "mail"
    DOWNLOAD = "download"
    """The office fetches it and hands it over."""
    WEBHOOK = "webhook"


class RecordKind(StrEnum):
    """What a line of a file says."""

    NEW = "new"
    CORRECTION = "correction"
    REMOVAL = "removal"


class LogEvent(StrEnum):
    """What became of a file."""

    MADE = "made"
    QUEUED = "queued"
    SENT = "sent"
    CAPTURED = "captured"
    UNCERTAIN = "uncertain"
    DEAD = "dead"
    DOWNLOADED = "downloaded"


class PartnerFeed(Base):
    """What a partner gets of one benefit's customers, how often, by which way, sealed to which key."""

    __tablename__ = "partner_feeds"

    feed_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    benefit: Mapped[str]
    columns: Mapped[list[str]]
    rhythm: Mapped[Rhythm]
    weekday: Mapped[int] = mapped_column(SmallInteger)
    """1 Monday … 7 Sunday; of a weekly one."""
    month_day: Mapped[int] = mapped_column(SmallInteger)
    """Of a monthly one."""
    at: Mapped[time]
    """In the partner's zone."""
    channel: Mapped[FeedChannel]
    mail_to: Mapped[str | None]
    webhook_url: Mapped[str | None]
    webhook_secret: Mapped[bytes | None]
    """Sealed; messages are signed with it."""
    recipient: Mapped[str]
    """The partner's public key, `age1…`."""
    status: Mapped[FeedStatus]
    next_due: Mapped[datetime | None]
    last_sequence: Mapped[int] = mapped_column(Integer)
    made_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    made_at: Mapped[datetime]
    decided_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    decided_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ux_partner_feeds_benefit", "partner_id", "benefit", unique=True, postgresql_where=text("status <> 'ended'")),
        Index("ix_partner_feeds_next_due", "next_due", postgresql_where=text("status = 'active'")),
        one_of("rhythm", Rhythm),
        one_of("channel", FeedChannel),
        one_of("status", FeedStatus),
        CheckConstraint("weekday BETWEEN 1 AND 7 AND month_day BETWEEN 1 AND 28", name="days"),
        CheckConstraint("(channel = 'mail') = (mail_to IS NOT NULL)", name="mail_to"),
        CheckConstraint("(channel = 'webhook') = (webhook_url IS NOT NULL AND webhook_secret IS NOT NULL)", name="webhook"),
        CheckConstraint("status NOT IN ('active', 'paused') OR decided_by IS NOT NULL", name="decided"),
        CheckConstraint("decided_by <> made_by", name="two_people"),
        CheckConstraint("(status = 'active') = (next_due IS NOT NULL)", name="next_due"),
    )


class PartnerRegistration(Base):
    """One voucher's holder, registered with the partner whose benefit it is."""

    __tablename__ = "partner_registrations"

    registration_id: Mapped[UUID] = mapped_column(primary_key=True)
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    number: Mapped[int]
    """1, 2, … a partner; with the end of the voucher's code it is the slip's number."""
    benefit: Mapped[str]
    voucher_id: Mapped[UUID] = mapped_column(ForeignKey("vouchers.voucher_id"))
    customer_id: Mapped[UUID] = mapped_column(ForeignKey("customers.customer_id"))
    code_tail: Mapped[str]
    opened_on: Mapped[date | None]
    """The day on which the card was opened that the voucher came with."""
    currency: Mapped[str]
    cover_minor: Mapped[int]
    valid_from: Mapped[date]
    valid_until: Mapped[date | None]
    """The day after its last; None: without end."""
    status: Mapped[RegistrationStatus]
    held: Mapped[bool]
    """Whether the partner has it: it was sent, and no removal since."""
    digest: Mapped[bytes | None]
    """Keyed, of what was sent last: what differs is corrected."""
    made_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    follow_up: Mapped[str | None]
    """What came of asking after it lapsed."""
    followed_up_at: Mapped[datetime | None]
    followed_up_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))

    __table_args__ = (
        Index("ux_partner_registrations_voucher_id", "voucher_id", "partner_id", unique=True),
        Index("ux_partner_registrations_number", "partner_id", "number", unique=True),
        Index("ix_partner_registrations_benefit", "partner_id", "benefit", "number"),
        Index("ix_partner_registrations_customer_id", "customer_id"),
        Index("ix_partner_registrations_ending", "valid_until", postgresql_where=text("status IN ('to_send', 'sent', 'corrected')")),
        one_of("status", RegistrationStatus),
        CheckConstraint("number > 0 AND cover_minor >= 0 AND valid_until > valid_from", name="sound"),
        CheckConstraint("held = (status IN ('sent', 'corrected')) OR status = 'lapsed'", name="held"),
        CheckConstraint("NOT held OR digest IS NOT NULL", name="digest"),
        CheckConstraint(
            "(followed_up_at IS NULL) = (follow_up IS NULL) AND (followed_up_at IS NULL) = (followed_up_by IS NULL)", name="followed_up"
        ),
    )


class PartnerFeedBatch(Base):
    """One file: made once for its instant, sealed to the key of that day, kept as it left. We cannot open it."""

    __tablename__ = "partner_feed_batches"

    batch_id: Mapped[UUID] = mapped_column(primary_key=True)
    feed_id: Mapped[UUID] = mapped_column(ForeignKey("partner_feeds.feed_id"))
    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.partner_id"))
    sequence: Mapped[int] = mapped_column(Integer)
    due_at: Mapped[datetime]
    made_at: Mapped[datetime]
    made_by: Mapped[str]
    """`staff:ID` or `system`."""
    whole: Mapped[bool]
    """Everybody anew, not what changed."""
    new: Mapped[int] = mapped_column(Integer)
    corrections: Mapped[int] = mapped_column(Integer)
    removals: Mapped[int] = mapped_column(Integer)
    held_back: Mapped[int] = mapped_column(Integer)
    """Without consent; the partner is not told who, nor how many."""
    currency: Mapped[str]
    cover_minor: Mapped[int]
    """Of what is new or corrected in it."""
    columns: Mapped[list[str]]
    channel: Mapped[FeedChannel]
    recipient: Mapped[str]
    name: Mapped[str]
    file: Mapped[bytes]
    digest: Mapped[bytes]
    """SHA-256 of the sealed file."""

    __table_args__ = (
        Index("ux_partner_feed_batches_sequence", "feed_id", "sequence", unique=True),
        Index("ux_partner_feed_batches_due_at", "feed_id", "due_at", unique=True),
        Index("ix_partner_feed_batches_partner_id", "partner_id", "batch_id"),
        one_of("channel", FeedChannel),
        CheckConstraint("sequence > 0 AND octet_length(digest) = 32", name="sound"),
        CheckConstraint("new >= 0 AND corrections >= 0 AND removals >= 0 AND held_back >= 0 AND cover_minor >= 0", name="counts"),
    )


class PartnerFeedRow(Base):
    """One line of a file by whom it was about: what it said is not kept twice, only its keyed digest; the consent it rested on is."""

    __tablename__ = "partner_feed_rows"

    batch_id: Mapped[UUID] = mapped_column(ForeignKey("partner_feed_batches.batch_id"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    registration_id: Mapped[UUID] = mapped_column(ForeignKey("partner_registrations.registration_id"))
    kind: Mapped[RecordKind]
    consent_id: Mapped[UUID | None] = mapped_column(ForeignKey("consents.consent_id"))
    """The declaration that held: a yes for what is sent, the withdrawal for a removal by it."""
    cover_minor: Mapped[int]
    digest: Mapped[bytes]

    __table_args__ = (
        Index("ux_partner_feed_rows_registration_id", "registration_id", "batch_id", unique=True),
        one_of("kind", RecordKind),
        CheckConstraint("kind = 'removal' OR consent_id IS NOT NULL", name="consent"),
    )


class PartnerFeedLogLine(Base):
    """What became of a file: made, put into the outbox, sent, fetched by whom. Never changed."""

    __tablename__ = "partner_feed_log"

    log_id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    batch_id: Mapped[UUID] = mapped_column(ForeignKey("partner_feed_batches.batch_id"))
    event: Mapped[LogEvent]
    at: Mapped[datetime]
    actor: Mapped[str]
    to: Mapped[str]
    """Whom it went to, as far as it may be shown."""
    message: Mapped[str | None]
    """The outbox's name for it: `once`."""

    __table_args__ = (
        Index("ix_partner_feed_log_batch_id", "batch_id", "log_id"),
        Index("ux_partner_feed_log_message", "message", "event", unique=True, postgresql_where=text("message IS NOT NULL")),
        Index("ix_partner_feed_log_queued", "at", postgresql_where=text("event = 'queued'")),
        one_of("event", LogEvent),
    )
