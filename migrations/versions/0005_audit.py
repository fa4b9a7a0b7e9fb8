"""The audit room's tables: entries that only grow, and the seals that chain them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# A statement trigger runs before the row's id is drawn from the sequence: the sealer's moment of exclusion (loyalty/audit/operations.py)
# relies on it. 0x617564697401 is WRITERS_LOCK there.
_ANNOUNCE = """
CREATE FUNCTION audit_entries_announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(x'617564697401'::bigint);
    RETURN NULL;
END $$
"""
_REFUSE = """
CREATE FUNCTION audit_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only' USING ERRCODE = 'restrict_violation';
END $$
"""


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("entry_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("actor_id", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("subject_kind", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False),
        sa.Column("station_id", sa.Uuid, sa.ForeignKey("stations.station_id")),
        sa.Column("facts", postgresql.JSONB, nullable=False),
        sa.Column("address", sa.Text),
        sa.Column("user_agent", sa.Text),
        sa.CheckConstraint(
            "actor_kind IN ('staff', 'customer', 'terminal', 'partner', 'system', 'unknown')", name=op.f("ck_audit_entries_actor_kind")
        ),
        sa.CheckConstraint(
            "length(action) BETWEEN 3 AND 80 AND length(actor_id) <= 200 AND length(subject_id) <= 200",
            name=op.f("ck_audit_entries_lengths"),
        ),
    )
    op.create_index("ix_audit_entries_at", "audit_entries", ["at", "entry_id"])
    op.create_index("ix_audit_entries_actor", "audit_entries", ["actor_kind", "actor_id", "entry_id"])
    op.create_index("ix_audit_entries_subject", "audit_entries", ["subject_kind", "subject_id", "entry_id"])
    op.create_index("ix_audit_entries_action", "audit_entries", ["action", "entry_id"])
    op.create_index("ix_audit_entries_station_id", "audit_entries", ["station_id", "entry_id"])
    op.create_table(
        "audit_seals",
        sa.Column("seal_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("first_id", sa.BigInteger, nullable=False),
        sa.Column("last_id", sa.BigInteger, nullable=False),
        sa.Column("entries", sa.Integer, nullable=False),
        sa.Column("leaves", sa.LargeBinary, nullable=False),
        sa.Column("merkle_root", sa.LargeBinary, nullable=False),
        sa.Column("previous_hash", sa.LargeBinary, nullable=False),
        sa.Column("seal_hash", sa.LargeBinary, nullable=False),
        sa.Column("signature", sa.LargeBinary),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "first_id <= last_id AND entries > 0 AND octet_length(leaves) = 40 * entries", name=op.f("ck_audit_seals_range")
        ),
        sa.CheckConstraint(
            "octet_length(merkle_root) = 32 AND octet_length(previous_hash) = 32 AND octet_length(seal_hash) = 32",
            name=op.f("ck_audit_seals_hashes"),
        ),
    )
    op.create_index("ux_audit_seals_last_id", "audit_seals", ["last_id"], unique=True)
    op.execute(_ANNOUNCE)
    op.execute(_REFUSE)
    op.execute(
        "CREATE TRIGGER audit_entries_announce BEFORE INSERT ON audit_entries FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_announce()"
    )
    for table in ("audit_entries", "audit_seals"):
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse_change()"
        )
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM loyalty_hot, loyalty_jobs, loyalty_portal")


def downgrade() -> None:
    op.drop_table("audit_seals")
    op.drop_table("audit_entries")
    op.execute("DROP FUNCTION audit_refuse_change()")
    op.execute("DROP FUNCTION audit_entries_announce()")
