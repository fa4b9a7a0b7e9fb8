"""Staff, users and their sessions. Secrets stand here only hashed, keyed or sealed."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from loyalty.db import Base


class StaffStatus(StrEnum):
    """Who left keeps the row: the trail names it for ever."""

    ACTIVE = "active"
    LEFT = "left"


STAFF_MOVES: dict[StaffStatus, frozenset[StaffStatus]] = {
    StaffStatus.ACTIVE: frozenset({StaffStatus.LEFT}),
    StaffStatus.LEFT: frozenset({StaffStatus.ACTIVE}),
}
"""Who comes back is the same person, without the roles, card and log-in of before."""


class Role(StrEnum):
    """What a member of staff is, within a scope."""

    CASHIER = "cashier"
    STATION_MANAGER = "station_manager"
    DISTRICT_MANAGER = "district_manager"
    OFFICE = "office"
    FINANCE = "finance"
    AUDITOR = "auditor"


class ScopeKind(StrEnum):
    """How far a role reaches."""

    STATION = "station"
    DISTRICT = "district"
    REGION = "region"
    ALL = "all"


class Portal(StrEnum):
    """The door a session came through; a session opens no other."""

    OFFICE = "office"
    CASHIER = "cashier"
    FLEET = "fleet"
    PARTNER = "partner"
    ME = "me"


class Stage(StrEnum):
    """How far a log-in has come; only an open session acts."""

    SECOND_FACTOR = "second_factor"
    ENROL_TOTP = "enrol_totp"
    CHANGE_PASSWORD = "change_password"  # noqa: S105 - the name of a stage, not a secret
    OPEN = "open"


STAGE_MOVES: dict[Stage, frozenset[Stage]] = {
    Stage.SECOND_FACTOR: frozenset({Stage.CHANGE_PASSWORD, Stage.OPEN}),
    Stage.ENROL_TOTP: frozenset({Stage.CHANGE_PASSWORD, Stage.OPEN}),
    Stage.CHANGE_PASSWORD: frozenset({Stage.OPEN}),
    Stage.OPEN: frozenset(),
}


class Staff(Base):
    """A member of staff. The staff card and its PIN open the counter; a `User` row opens the office."""

    __tablename__ = "staff"

    staff_id: Mapped[UUID] = mapped_column(primary_key=True)
    employee_number: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    status: Mapped[StaffStatus]
    locale: Mapped[str] = mapped_column(Text)
    home_station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    phone: Mapped[bytes | None]
    """Sealed, purpose `contact`."""
    phone_index: Mapped[bytes | None]
    card_index: Mapped[bytes | None]
    """Blind index of the staff card's number."""
    card_tail: Mapped[str | None] = mapped_column(Text)
    pin_verifier: Mapped[bytes | None]
    pin_generation: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    pin_tries: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Wrong tries since the last right one; at three the PIN is locked."""
    hired_at: Mapped[datetime]
    left_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("status IN ('active', 'left')", name="status"),
        CheckConstraint("pin_tries BETWEEN 0 AND 3", name="pin_tries"),
        CheckConstraint("(card_index IS NULL) = (card_tail IS NULL) AND (pin_verifier IS NULL OR card_index IS NOT NULL)", name="card"),
        CheckConstraint("status = 'active' OR card_index IS NULL", name="left_without_card"),
        Index("ux_staff_employee_number", "employee_number", unique=True),
        Index("ux_staff_card_index", "card_index", unique=True),
        Index("ix_staff_phone_index", "phone_index"),
        Index("ix_staff_home_station_id", "home_station_id"),
    )


class StaffRole(Base):
    """One role of one member of staff within one scope, in force `[valid_from, valid_to)`."""

    __tablename__ = "staff_roles"

    grant_id: Mapped[UUID] = mapped_column(primary_key=True)
    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"))
    role: Mapped[Role]
    scope_kind: Mapped[ScopeKind]
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    district_id: Mapped[UUID | None] = mapped_column(ForeignKey("districts.district_id"))
    region_id: Mapped[UUID | None] = mapped_column(ForeignKey("regions.region_id"))
    valid_from: Mapped[datetime]
    valid_to: Mapped[datetime | None]
    granted_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    """NULL: set up by the command line."""
    ended_by: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))

    __table_args__ = (
        CheckConstraint("role IN ('cashier', 'station_manager', 'district_manager', 'office', 'finance', 'auditor')", name="role"),
        CheckConstraint(
            "scope_kind IN ('station', 'district', 'region', 'all') AND (scope_kind = 'station') = (station_id IS NOT NULL) "
            "AND (scope_kind = 'district') = (district_id IS NOT NULL) AND (scope_kind = 'region') = (region_id IS NOT NULL)",
            name="scope",
        ),
        CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="period"),
        Index("ix_staff_roles_staff_id", "staff_id"),
        Index("ix_staff_roles_station_id", "station_id"),
        Index("ix_staff_roles_district_id", "district_id"),
        Index("ix_staff_roles_region_id", "region_id"),
    )


class LogInFacts:
    """What a log-in is made of, whoever's it is: name, password and second factor."""

    log_in_name: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    """Argon2id, PHC format."""
    must_change_password: Mapped[bool]
    password_changed_at: Mapped[datetime]
    totp_secret: Mapped[bytes | None]
    """Sealed, purpose `totp_secret`."""
    totp_confirmed_at: Mapped[datetime | None]
    totp_last_step: Mapped[int] = mapped_column(server_default=text("0"))
    """The time step of the last accepted code: it and all before it are used up."""
    disabled_at: Mapped[datetime | None]
    last_log_in_at: Mapped[datetime | None]


class User(LogInFacts, Base):
    """A member of staff's log-in to the office."""

    __tablename__ = "users"

    staff_id: Mapped[UUID] = mapped_column(ForeignKey("staff.staff_id"), primary_key=True)

    __table_args__ = (
        CheckConstraint("totp_confirmed_at IS NULL OR totp_secret IS NOT NULL", name="totp"),
        CheckConstraint("log_in_name = lower(log_in_name)", name="log_in_name"),
        Index("ux_users_log_in_name", "log_in_name", unique=True),
    )

    @property
    def person_id(self) -> UUID:
        """Whose log-in it is."""
        return self.staff_id


class RecoveryCode(Base):
    """One of the codes that stand in for a lost second factor; SHA-256, once each."""

    __tablename__ = "recovery_codes"

    staff_id: Mapped[UUID] = mapped_column(ForeignKey("users.staff_id"), primary_key=True)
    code_hash: Mapped[bytes] = mapped_column(primary_key=True)
    made_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class UserSession(Base):
    """A browser's session. The cookie holds 256 random bits, this row their SHA-256; a new token at log-in and at each step-up."""

    __tablename__ = "user_sessions"

    session_id: Mapped[UUID] = mapped_column(primary_key=True)
    token_hash: Mapped[bytes]
    staff_id: Mapped[UUID | None] = mapped_column(ForeignKey("staff.staff_id"))
    customer_id: Mapped[UUID | None] = mapped_column(ForeignKey("customers.customer_id"))
    portal_user_id: Mapped[UUID | None] = mapped_column(ForeignKey("portal_users.user_id"))
    """A company's user, at its fleet portal."""
    partner_user_id: Mapped[UUID | None] = mapped_column(ForeignKey("partner_users.user_id"))
    portal: Mapped[Portal]
    stage: Mapped[Stage]
    device_id: Mapped[UUID | None] = mapped_column(ForeignKey("terminal_devices.device_id"))
    terminal_id: Mapped[UUID | None] = mapped_column(ForeignKey("terminals.terminal_id"))
    station_id: Mapped[UUID | None] = mapped_column(ForeignKey("stations.station_id"))
    address: Mapped[str | None] = mapped_column(Text)
    user_agent: Mapped[str | None] = mapped_column(Text)
    opened_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    stepped_up_at: Mapped[datetime | None]
    locked_at: Mapped[datetime | None]
    """The counter's screen is locked: the same person's PIN opens it again."""
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        CheckConstraint("num_nonnulls(staff_id, customer_id, portal_user_id, partner_user_id) = 1", name="person"),
        CheckConstraint("portal_user_id IS NULL OR portal = 'fleet'", name="company_user"),
        CheckConstraint("(partner_user_id IS NOT NULL) = (portal = 'partner')", name="partner_user"),
        CheckConstraint("portal IN ('office', 'cashier', 'fleet', 'partner', 'me')", name="portal"),
        CheckConstraint("stage IN ('second_factor', 'enrol_totp', 'change_password', 'open')", name="stage"),
        CheckConstraint("(portal = 'cashier') = (num_nonnulls(device_id, terminal_id, station_id) = 3)", name="counter"),
        CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="end"),
        Index("ux_user_sessions_token_hash", "token_hash", unique=True),
        Index("ix_user_sessions_staff_id", "staff_id", postgresql_where=text("ended_at IS NULL")),
        Index("ix_user_sessions_customer_id", "customer_id", postgresql_where=text("ended_at IS NULL")),
        Index(
            "ix_user_sessions_portal_user_id", "portal_user_id", postgresql_where=text("portal_user_id IS NOT NULL AND ended_at IS NULL")
        ),
        Index(
            "ix_user_sessions_partner_user_id",
            "partner_user_id",
            postgresql_where=text("partner_user_id IS NOT NULL AND ended_at IS NULL"),
        ),
        Index("ix_user_sessions_device_id", "device_id", postgresql_where=text("ended_at IS NULL")),
        Index("ix_user_sessions_expires_at", "expires_at"),
    )


class AttemptKind(StrEnum):
    """What is being guessed at."""

    LOG_IN_NAME = "log_in_name"
    LOG_IN_ADDRESS = "log_in_address"
    SECOND_FACTOR = "second_factor"
    STAFF_CARD = "staff_card"
    DEVICE = "device"
    ENROLMENT = "enrolment"
    VOUCHER_CODE = "voucher_code"
    """At one till or outlet, whose customers' codes they are."""


class Attempts(Base):
    """Failures in a row for one thing guessed at, whether it exists or not: so a refusal tells nothing.

    A try is counted before it is judged, under the row's lock: parallel guesses are judged one by one until none is left.
    """

    __tablename__ = "attempts"

    kind: Mapped[AttemptKind] = mapped_column(primary_key=True)
    subject: Mapped[bytes] = mapped_column(primary_key=True)
    """SHA-256 of the name, address, card index or id."""
    failures: Mapped[int] = mapped_column(Integer)
    last_failure_at: Mapped[datetime]
    blocked_until: Mapped[datetime | None]

    __table_args__ = (Index("ix_attempts_last_failure_at", "last_failure_at"),)
