"""The identity room's tables: staff, users, sessions, terminals' keys."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = (
    "screen_approvals",
    "user_sessions",
    "terminal_devices",
    "enrolment_codes",
    "terminal_sessions",
    "terminal_keys",
    "attempts",
    "recovery_codes",
    "users",
    "staff_roles",
    "staff",
)


def _instant(name, *, nullable=True):
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _id(name, target=None, *, nullable=False, primary_key=False):
    references = [] if target is None else [sa.ForeignKey(target)]
    return sa.Column(name, sa.Uuid, *references, nullable=nullable, primary_key=primary_key)


def _text(name, *, nullable=False):
    return sa.Column(name, sa.Text, nullable=nullable)


def _bytes(name, *, nullable=False):
    return sa.Column(name, sa.LargeBinary, nullable=nullable)


def upgrade() -> None:
    """Make the tables."""
    _staff()
    _users()
    _terminals()
    _sessions()


def _staff():
    op.create_table(
        "staff",
        _id("staff_id", primary_key=True),
        _text("employee_number"),
        _text("name"),
        _text("status"),
        _text("locale"),
        _id("home_station_id", "stations.station_id", nullable=True),
        _bytes("phone", nullable=True),
        _bytes("phone_index", nullable=True),
        _bytes("card_index", nullable=True),
        _text("card_tail", nullable=True),
        _bytes("pin_verifier", nullable=True),
        sa.Column("pin_generation", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("pin_tries", sa.Integer, nullable=False, server_default=sa.text("0")),
        _instant("hired_at", nullable=False),
        _instant("left_at"),
        sa.CheckConstraint("status IN ('active', 'left')", name="status"),
        sa.CheckConstraint("pin_tries BETWEEN 0 AND 3", name="pin_tries"),
        sa.CheckConstraint("(card_index IS NULL) = (card_tail IS NULL) AND (pin_verifier IS NULL OR card_index IS NOT NULL)", name="card"),
        sa.CheckConstraint("status = 'active' OR card_index IS NULL", name="left_without_card"),
    )
    op.create_index("ux_staff_employee_number", "staff", ["employee_number"], unique=True)
    op.create_index("ux_staff_card_index", "staff", ["card_index"], unique=True)
    op.create_index("ix_staff_phone_index", "staff", ["phone_index"])
    op.create_index("ix_staff_home_station_id", "staff", ["home_station_id"])
    op.create_table(
        "staff_roles",
        _id("grant_id", primary_key=True),
        _id("staff_id", "staff.staff_id"),
        _text("role"),
        _text("scope_kind"),
        _id("station_id", "stations.station_id", nullable=True),
        _id("district_id", "districts.district_id", nullable=True),
        _id("region_id", "regions.region_id", nullable=True),
        _instant("valid_from", nullable=False),
        _instant("valid_to"),
        _id("granted_by", "staff.staff_id", nullable=True),
        _id("ended_by", "staff.staff_id", nullable=True),
        sa.CheckConstraint("role IN ('cashier', 'station_manager', 'district_manager', 'office', 'finance', 'auditor')", name="role"),
        sa.CheckConstraint(
            "scope_kind IN ('station', 'district', 'region', 'all') AND (scope_kind = 'station') = (station_id IS NOT NULL) "
            "AND (scope_kind = 'district') = (district_id IS NOT NULL) AND (scope_kind = 'region') = (region_id IS NOT NULL)",
            name="scope",
        ),
        sa.CheckConstraint("valid_to IS NULL OR valid_to >= valid_from", name="period"),
    )
    for column in ("staff_id", "station_id", "district_id", "region_id"):
        op.create_index(f"ix_staff_roles_{column}", "staff_roles", [column])


def _users():
    op.create_table(
        "users",
        _id("staff_id", "staff.staff_id", primary_key=True),
        _text("log_in_name"),
        _text("password_hash"),
        sa.Column("must_change_password", sa.Boolean, nullable=False),
        _instant("password_changed_at", nullable=False),
        _bytes("totp_secret", nullable=True),
        _instant("totp_confirmed_at"),
        sa.Column("totp_last_step", sa.BigInteger, nullable=False, server_default=sa.text("0")),
        _instant("disabled_at"),
        _instant("last_log_in_at"),
        sa.CheckConstraint("totp_confirmed_at IS NULL OR totp_secret IS NOT NULL", name="totp"),
        sa.CheckConstraint("log_in_name = lower(log_in_name)", name="log_in_name"),
    )
    op.create_index("ux_users_log_in_name", "users", ["log_in_name"], unique=True)
    op.create_table(
        "recovery_codes",
        _id("staff_id", "users.staff_id", primary_key=True),
        sa.Column("code_hash", sa.LargeBinary, primary_key=True),
        _instant("made_at", nullable=False),
        _instant("used_at"),
    )
    op.create_table(
        "attempts",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("subject", sa.LargeBinary, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        _instant("last_failure_at", nullable=False),
        _instant("blocked_until"),
    )
    op.create_index("ix_attempts_last_failure_at", "attempts", ["last_failure_at"])


def _terminals():
    op.create_table(
        "terminal_keys",
        _id("terminal_id", "terminals.terminal_id", primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True, autoincrement=False),
        _bytes("public_key"),
        _instant("enrolled_at", nullable=False),
        _instant("revoked_at"),
        _text("revoke_reason", nullable=True),
        sa.CheckConstraint("epoch > 0 AND octet_length(public_key) = 32", name="key"),
        sa.CheckConstraint("(revoked_at IS NULL) = (revoke_reason IS NULL)", name="revoke"),
    )
    op.create_index("ux_terminal_keys_public_key", "terminal_keys", ["public_key"], unique=True)
    op.create_index(
        "ux_terminal_keys_present", "terminal_keys", ["terminal_id"], unique=True, postgresql_where=sa.text("revoked_at IS NULL")
    )
    op.create_table(
        "terminal_sessions",
        _id("session_id", primary_key=True),
        _id("terminal_id"),
        sa.Column("epoch", sa.Integer, nullable=False),
        _bytes("opening_hash"),
        _bytes("sealed_keys"),
        _instant("opened_at", nullable=False),
        _instant("expires_at", nullable=False),
        _instant("ended_at"),
        _text("end_reason", nullable=True),
        sa.ForeignKeyConstraint(["terminal_id", "epoch"], ["terminal_keys.terminal_id", "terminal_keys.epoch"]),
        sa.CheckConstraint("expires_at > opened_at AND expires_at <= opened_at + interval '24 hours'", name="life"),
        sa.CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="end"),
    )
    op.create_index("ux_terminal_sessions_opening_hash", "terminal_sessions", ["opening_hash"], unique=True)
    op.create_index("ix_terminal_sessions_terminal_id", "terminal_sessions", ["terminal_id", "epoch"])
    op.create_index("ix_terminal_sessions_expires_at", "terminal_sessions", ["expires_at"])
    op.create_table(
        "enrolment_codes",
        _id("code_id", primary_key=True),
        _bytes("code_hash"),
        _id("terminal_id", "terminals.terminal_id"),
        _id("station_id", "stations.station_id"),
        _text("use"),
        _id("issued_by", "staff.staff_id", nullable=True),
        _instant("issued_at", nullable=False),
        _instant("expires_at", nullable=False),
        _instant("used_at"),
        sa.CheckConstraint("use IN ('key', 'browser')", name="use"),
        sa.CheckConstraint("expires_at > issued_at", name="life"),
    )
    op.create_index("ux_enrolment_codes_code_hash", "enrolment_codes", ["code_hash"], unique=True)
    op.create_index("ix_enrolment_codes_terminal_id", "enrolment_codes", ["terminal_id"])
    op.create_table(
        "terminal_devices",
        _id("device_id", primary_key=True),
        _bytes("token_hash"),
        _id("terminal_id", "terminals.terminal_id"),
        _id("station_id", "stations.station_id"),
        _text("user_agent", nullable=True),
        _instant("enrolled_at", nullable=False),
        _instant("revoked_at"),
        _text("revoke_reason", nullable=True),
        sa.CheckConstraint("(revoked_at IS NULL) = (revoke_reason IS NULL)", name="revoke"),
    )
    op.create_index("ux_terminal_devices_token_hash", "terminal_devices", ["token_hash"], unique=True)
    op.create_index("ix_terminal_devices_terminal_id", "terminal_devices", ["terminal_id"])


def _sessions():
    op.create_table(
        "user_sessions",
        _id("session_id", primary_key=True),
        _bytes("token_hash"),
        _id("staff_id", "staff.staff_id", nullable=True),
        _id("customer_id", "customers.customer_id", nullable=True),
        _text("portal"),
        _text("stage"),
        _id("device_id", "terminal_devices.device_id", nullable=True),
        _id("terminal_id", "terminals.terminal_id", nullable=True),
        _id("station_id", "stations.station_id", nullable=True),
        _text("address", nullable=True),
        _text("user_agent", nullable=True),
        _instant("opened_at", nullable=False),
        _instant("last_seen_at", nullable=False),
        _instant("expires_at", nullable=False),
        _instant("stepped_up_at"),
        _instant("locked_at"),
        _instant("ended_at"),
        _text("end_reason", nullable=True),
        sa.CheckConstraint("num_nonnulls(staff_id, customer_id) = 1", name="person"),
        sa.CheckConstraint("portal IN ('office', 'cashier', 'fleet', 'partner', 'me')", name="portal"),
        sa.CheckConstraint("stage IN ('second_factor', 'enrol_totp', 'change_password', 'open')", name="stage"),
        sa.CheckConstraint("(portal = 'cashier') = (num_nonnulls(device_id, terminal_id, station_id) = 3)", name="counter"),
        sa.CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="end"),
        # Updated with every page seen: room on the page keeps those updates off the indexes.
        postgresql_with={"fillfactor": "70"},
    )
    op.create_index("ux_user_sessions_token_hash", "user_sessions", ["token_hash"], unique=True)
    for column in ("staff_id", "customer_id", "device_id"):
        op.create_index(f"ix_user_sessions_{column}", "user_sessions", [column], postgresql_where=sa.text("ended_at IS NULL"))
    op.create_index("ix_user_sessions_expires_at", "user_sessions", ["expires_at"])
    op.create_table(
        "screen_approvals",
        _id("approval_id", primary_key=True),
        _bytes("token_hash"),
        _text("action"),
        _bytes("binding"),
        _id("session_id", "user_sessions.session_id"),
        _id("asked_by", "staff.staff_id"),
        _id("approved_by", "staff.staff_id"),
        _id("station_id", "stations.station_id"),
        _instant("approved_at", nullable=False),
        _instant("expires_at", nullable=False),
        _instant("used_at"),
        sa.CheckConstraint("asked_by <> approved_by", name="two_persons"),
        sa.CheckConstraint("octet_length(binding) = 32", name="binding"),
    )
    op.create_index("ux_screen_approvals_token_hash", "screen_approvals", ["token_hash"], unique=True)
    op.create_index("ix_screen_approvals_session_id", "screen_approvals", ["session_id"])


def downgrade() -> None:
    """Drop the tables."""
    for table in TABLES:
        op.drop_table(table)
