"""Forms of the portals that were sent: one effect a key, and where its sender was led. Cards are found by plate."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

SCRIPT = """
CREATE TABLE form_keys (
    session_id uuid NOT NULL CONSTRAINT fk_form_keys_session_id_user_sessions REFERENCES user_sessions (session_id) ON DELETE CASCADE,
    key text NOT NULL,
    path text NOT NULL,
    led_to text,
    sent_at timestamptz NOT NULL,
    CONSTRAINT pk_form_keys PRIMARY KEY (session_id, key),
    CONSTRAINT ck_form_keys_key CHECK (length(key) BETWEEN 8 AND 64)
);
CREATE INDEX ix_cards_plate ON cards (plate) WHERE plate IS NOT NULL;
"""


def upgrade() -> None:
    """Make the table and the index."""
    op.execute(SCRIPT)


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_cards_plate", "cards")
    op.drop_table("form_keys")
