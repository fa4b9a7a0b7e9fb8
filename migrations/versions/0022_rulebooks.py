"""Rulebooks, budgets, caps' counters, standings and agreements. Discount terms become the first rulebook; their table stays one release."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# What was published goes on: terms of one currency each become one rule, the best of them wins as before. Codes that were free text are put
# into the form that rules have; the term's own revision goes on as the rule's.
CARRY_OVER = """
INSERT INTO rulebooks (status, note, document, version, made_at, changed_at, activates_at)
SELECT 'approved', 'Carried over from the discount terms', jsonb_build_object(
        'currency', min(t.currency),
        'groups', jsonb_build_array(jsonb_build_object(
            'code', 'terms', 'mode', 'best', 'name_zh', '每升优惠', 'name_en', 'Per-unit terms')),
        'rules', jsonb_agg(jsonb_strip_nulls(jsonb_build_object(
            'code', trim(both '-' from regexp_replace(lower(t.code), '[^a-z0-9._-]+', '-', 'g')) || '-r' || t.revision,
            'name_zh', t.name_zh, 'name_en', t.name_en, 'group', 'terms', 'revision', t.revision, 'currency', t.currency,
            'effect', jsonb_build_object('kind', 'per_unit', 'rate_e4', t.rate_e4),
            'funders', jsonb_build_array(jsonb_build_object('funder', t.funder)),
            'starts_at', to_char(t.valid_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
            'ends_at', to_char(t.valid_to AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
            'when', jsonb_strip_nulls(jsonb_build_object(
                'card_products', CASE WHEN c.code IS NOT NULL THEN jsonb_build_array(c.code) END,
                'products', CASE WHEN p.code IS NOT NULL THEN jsonb_build_array(p.code) END,
                'categories', CASE WHEN p.code IS NULL THEN jsonb_build_array('fuel') END,
                'stations', CASE WHEN s.code IS NOT NULL THEN jsonb_build_array(s.code) END))
        )) ORDER BY t.code, t.revision)),
    1, min(t.published_at), max(t.published_at), min(t.published_at)
FROM discount_terms t LEFT JOIN card_products c ON c.product_id = t.card_product_id LEFT JOIN products p ON p.product_id = t.product_id
    LEFT JOIN stations s ON s.station_id = t.station_id
HAVING count(*) > 0
"""


def upgrade() -> None:
    """Make the tables and carry the standing terms over."""
    time = sa.DateTime(timezone=True)
    op.create_table(
        "rulebooks",
        sa.Column("number", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("base", sa.Integer, sa.ForeignKey("rulebooks.number")),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("document", JSONB, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("made_by", sa.Uuid, sa.ForeignKey("staff.staff_id")),
        sa.Column("made_at", time, nullable=False),
        sa.Column("changed_at", time, nullable=False),
        sa.Column("submitted_by", sa.Uuid, sa.ForeignKey("staff.staff_id")),
        sa.Column("approved_by", sa.Uuid, sa.ForeignKey("staff.staff_id")),
        sa.Column("activates_at", time),
        sa.Column("shadow_from", time),
        sa.Column("shadow_to", time),
        sa.CheckConstraint("status IN ('draft', 'submitted', 'approved', 'cancelled', 'discarded')", name="status"),
        sa.CheckConstraint("(status IN ('approved', 'cancelled')) = (activates_at IS NOT NULL)", name="activates"),
        sa.CheckConstraint("approved_by <> submitted_by", name="four_eyes"),
    )
    op.create_index("ix_rulebooks_activates_at", "rulebooks", ["activates_at", "number"], postgresql_where=sa.text("status = 'approved'"))
    op.create_table(
        "rulebook_events",
        sa.Column("event_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("number", sa.Integer, sa.ForeignKey("rulebooks.number"), nullable=False),
        sa.Column("moved_to", sa.Text, nullable=False),
        sa.Column("happened_at", time, nullable=False),
        sa.Column("staff_id", sa.Uuid, sa.ForeignKey("staff.staff_id")),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("facts", JSONB, nullable=False),
    )
    op.create_index("ix_rulebook_events_number", "rulebook_events", ["number", "event_id"])
    op.create_table(
        "budgets",
        sa.Column("budget_id", sa.Uuid, primary_key=True),
        sa.Column("code", sa.Text, nullable=False, unique=True),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("currency", sa.Text),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("changed_at", time, nullable=False),
        sa.CheckConstraint("unit IN ('minor', 'points', 'piece')", name="unit"),
        sa.CheckConstraint("total >= 0", name="total"),
    )
    op.create_table(
        "budget_shares",
        sa.Column("budget_id", sa.Uuid, primary_key=True),
        sa.Column("share", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("granted", sa.BigInteger, nullable=False),
        sa.Column("reserved", sa.BigInteger, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.CheckConstraint("reserved >= 0 AND used >= 0 AND reserved + used <= granted", name="never_over"),
        postgresql_with={"fillfactor": 50},
    )
    op.create_table(
        "benefit_counters",
        sa.Column("subject_id", sa.Uuid, primary_key=True),
        sa.Column("cap_id", sa.Uuid, primary_key=True),
        sa.Column("start", sa.Date, primary_key=True),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "standings",
        sa.Column("customer_id", sa.Uuid, sa.ForeignKey("customers.customer_id"), primary_key=True),
        sa.Column("tier", sa.Text),
        sa.Column("agreement", JSONB),
        sa.Column("changed_at", time, nullable=False),
    )
    op.create_table(
        "agreements",
        sa.Column("agreement_id", sa.Uuid, primary_key=True),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("customer_id", sa.Uuid, sa.ForeignKey("customers.customer_id"), nullable=False),
        sa.Column("name_zh", sa.Text, nullable=False),
        sa.Column("name_en", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("lowest_wins", sa.Boolean, nullable=False),
        sa.Column("funder", sa.Text, nullable=False),
        sa.Column("lines", JSONB, nullable=False),
        sa.Column("starts_at", time, nullable=False),
        sa.Column("ends_at", time),
        sa.Column("made_by", sa.Uuid, sa.ForeignKey("staff.staff_id")),
        sa.Column("made_at", time, nullable=False),
        sa.Column("approved_by", sa.Uuid, sa.ForeignKey("staff.staff_id")),
        sa.Column("approved_at", time),
        sa.UniqueConstraint("code", "revision", name="uq_agreements_code_revision"),
        sa.CheckConstraint("status IN ('draft', 'approved', 'ended')", name="status"),
        sa.CheckConstraint("ends_at IS NULL OR ends_at > starts_at", name="validity"),
        sa.CheckConstraint("approved_by <> made_by", name="four_eyes"),
    )
    op.create_index("ix_agreements_customer_id", "agreements", ["customer_id", "agreement_id"])
    op.add_column("accounts", sa.Column("registered_at", time))
    op.add_column("refunds", sa.Column("benefits", JSONB))
    op.execute(CARRY_OVER)


def downgrade() -> None:
    """Drop them; the terms' table is still there."""
    op.drop_column("refunds", "benefits")
    op.drop_column("accounts", "registered_at")
    for table in ("agreements", "standings", "benefit_counters", "budget_shares", "budgets", "rulebook_events", "rulebooks"):
        op.drop_table(table)
