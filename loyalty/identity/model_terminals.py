"""Terminals' keys, day sessions, devices and enrolment. The logical till itself (`terminals`) belongs to the stations room."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Integer, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base


class EnrolmentUse(StrEnum):
    """What an enrolment code opens: a till's own key, or a browser at the counter."""

    KEY = "key"
    BROWSER = "browser"


class TerminalKey(Base):
    """The Ed25519 key that a device made and enrolled; the till keeps its id and gets the next epoch."""

    __tablename__ = "terminal_keys"

    terminal_id: Mapped[UUID] = mapped_column(ForeignKey("terminals.terminal_id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    public_key: Mapped[bytes]
    """32 raw bytes."""
    enrolled_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint("epoch > 0 AND octet_length(public_key) = 32", name="key"),
        CheckConstraint("(revoked_at IS NULL) = (revoke_reason IS NULL)", name="revoke"),
        Index("ux_terminal_keys_public_key", "public_key", unique=True),
        Index("ux_terminal_keys_present", "terminal_id", unique=True, postgresql_where=text("revoked_at IS NULL")),
    )


class TerminalSession(Base):
    """A day session: its keys sealed, shared by all workers. Kept 48 h longer than it signs, for PINs that come late."""

    __tablename__ = "terminal_sessions"

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    terminal_id: Mapped[UUID]
    epoch: Mapped[int] = mapped_column(Integer)
    opening_hash: Mapped[bytes]
    """SHA-256 of the opening's signature: a recorded opening opens nothing twice."""
    sealed_keys: Mapped[bytes]
    """Sealed, purpose `session_key`: the session's three keys."""
    opened_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        ForeignKeyConstraint(["terminal_id", "epoch"], ["terminal_keys.terminal_id", "terminal_keys.epoch"]),
        CheckConstraint("expires_at > opened_at AND expires_at <= opened_at + interval '24 hours'", name="life"),
        CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="end"),
        Index("ux_terminal_sessions_opening_hash", "opening_hash", unique=True),
        Index("ix_terminal_sessions_terminal_id", "terminal_id", "epoch"),
        Index("ix_terminal_sessions_expires_at", "expires_at"),
    )


class EnrolmentCode(Base):
    """A single-use code of 128 bits for one till at one station, 15 minutes."""

    __tablename__ = "enrolment_codes"

    code_id: Mapped[UUID] = mapped_column(primary_key=True)
    code_hash: Mapped[bytes]
    terminal_id: Mapped[UUID] = mapped_column(ForeignKey("terminals.terminal_id"))
    station_id: Mapped[UUID] = mapped_column(ForeignKey("stations.station_id"))
    use: Mapped[EnrolmentUse]
    issued_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("use IN ('key', 'browser')", name="use"),
        CheckConstraint("expires_at > issued_at", name="life"),
        Index("ux_enrolment_codes_code_hash", "code_hash", unique=True),
        Index("ix_enrolment_codes_terminal_id", "terminal_id"),
    )


class TerminalDevice(Base):
    """A browser that was made a till's counter page: its cookie holds 256 random bits, this row their SHA-256."""

    __tablename__ = "terminal_devices"

    device_id: Mapped[UUID] = mapped_column(primary_key=True)
    token_hash: Mapped[bytes]
    terminal_id: Mapped[UUID] = mapped_column(ForeignKey("terminals.terminal_id"))
    station_id: Mapped[UUID] = mapped_column(ForeignKey("stations.station_id"))
    user_agent: Mapped[str | None] = mapped_column(Text)
    enrolled_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint("(revoked_at IS NULL) = (revoke_reason IS NULL)", name="revoke"),
        Index("ux_terminal_devices_token_hash", "token_hash", unique=True),
        Index("ix_terminal_devices_terminal_id", "terminal_id"),
    )


class ScreenApproval(Base):
    """Another person's card and PIN on the cashier's screen: good once, for one action with its facts, for two minutes."""

    __tablename__ = "screen_approvals"

    approval_id: Mapped[UUID] = mapped_column(primary_key=True)
    token_hash: Mapped[bytes]
    action: Mapped[str] = mapped_column(Text)
    binding: Mapped[bytes]
    """SHA-256 of the action's facts: amount, card, sale."""
    session_id: Mapped[UUID] = mapped_column(ForeignKey("user_sessions.session_id"))
    """Whose screen."""
    asked_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    approved_by: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    station_id: Mapped[UUID] = mapped_column(ForeignKey("stations.station_id"))
    approved_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("asked_by <> approved_by", name="two_persons"),
        CheckConstraint("octet_length(binding) = 32", name="binding"),
        Index("ux_screen_approvals_token_hash", "token_hash", unique=True),
        Index("ix_screen_approvals_session_id", "session_id"),
    )
