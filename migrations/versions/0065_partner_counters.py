"""What of an agreement's limits is used up."""

from alembic import op

revision = "0065"
down_revision = "0064"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make it."""
    op.execute("""
        CREATE TABLE partner_counters (
            partner_id uuid NOT NULL CONSTRAINT fk_partner_counters_partner_id REFERENCES partners,
            subject text NOT NULL,
            month date NOT NULL,
            used bigint NOT NULL,
            CONSTRAINT pk_partner_counters PRIMARY KEY (partner_id, subject, month),
            CONSTRAINT ck_partner_counters_used CHECK (used >= 0)
        ) WITH (fillfactor = 50)
    """)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE partner_counters")
