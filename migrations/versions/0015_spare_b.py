"""The chain of a till's records, as its shift closes signed it."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

SCRIPT = """
CREATE TABLE chain_closes (
    shift_id uuid NOT NULL CONSTRAINT pk_chain_closes PRIMARY KEY
        CONSTRAINT fk_chain_closes_shift_id_shifts REFERENCES shifts (shift_id),
    terminal_id uuid NOT NULL CONSTRAINT fk_chain_closes_terminal_id_terminals REFERENCES terminals (terminal_id),
    epoch integer NOT NULL,
    last_sequence bigint NOT NULL,
    last_hash bytea NOT NULL,
    head bytea NOT NULL,
    signature bytea NOT NULL,
    signature_good boolean NOT NULL,
    differences jsonb NOT NULL,
    unbooked jsonb NOT NULL,
    closed_at timestamptz NOT NULL,
    CONSTRAINT ck_chain_closes_chain CHECK (last_sequence >= 0 AND octet_length(head) = 32 AND octet_length(last_hash) = 32)
);
CREATE INDEX ix_chain_closes_terminal_id ON chain_closes (terminal_id, epoch, last_sequence);
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(SCRIPT)


def downgrade() -> None:
    """Drop it."""
    op.drop_table("chain_closes")
