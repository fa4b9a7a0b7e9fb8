"""The statements room's tables: prints of receipts, closed days, sealed periods."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SCRIPT = """
CREATE TABLE receipt_prints (
    kind text NOT NULL,
    subject_id uuid NOT NULL,
    copy integer NOT NULL,
    printed_at timestamptz NOT NULL,
    terminal_id uuid CONSTRAINT fk_receipt_prints_terminal_id_terminals REFERENCES terminals (terminal_id),
    staff_id uuid CONSTRAINT fk_receipt_prints_staff_id_staff REFERENCES staff (staff_id),
    CONSTRAINT pk_receipt_prints PRIMARY KEY (kind, subject_id, copy),
    CONSTRAINT ck_receipt_prints_kind CHECK (kind IN ('sale', 'topup', 'refund')),
    CONSTRAINT ck_receipt_prints_copy CHECK (copy > 0)
);

CREATE TABLE closed_days (
    day date NOT NULL CONSTRAINT pk_closed_days PRIMARY KEY,
    zone text NOT NULL,
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    purses bigint NOT NULL,
    closed_at timestamptz NOT NULL,
    CONSTRAINT ck_closed_days_bounds CHECK (starts_at < ends_at AND ends_at <= closed_at)
);

CREATE TABLE period_seals (
    period integer NOT NULL CONSTRAINT pk_period_seals PRIMARY KEY CONSTRAINT fk_period_seals_period_periods REFERENCES periods (period),
    transfers bigint NOT NULL,
    totals jsonb NOT NULL,
    digest bytea NOT NULL,
    sealed_at timestamptz NOT NULL,
    CONSTRAINT ck_period_seals_digest CHECK (octet_length(digest) = 32)
);
CREATE INDEX ix_period_seals_sealed_at ON period_seals (sealed_at);

-- What was closed stays closed: nobody but the owner changes it.
REVOKE UPDATE, DELETE, TRUNCATE ON closed_days, period_seals FROM loyalty_hot, loyalty_jobs, loyalty_portal;
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(SCRIPT)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("period_seals", "closed_days", "receipt_prints"):
        op.drop_table(table)
