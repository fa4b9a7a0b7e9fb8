"""Top-ups under the rules: what they gave, what the payer paid less, and a row for each time something of them went back."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

CHANGES = """
ALTER TABLE topups ADD COLUMN discount_minor BIGINT NOT NULL DEFAULT 0;
ALTER TABLE topups ADD COLUMN discount_returned_minor BIGINT NOT NULL DEFAULT 0;
ALTER TABLE topups ADD COLUMN flyer TEXT;
ALTER TABLE topups ADD COLUMN detail JSONB;
ALTER TABLE topups ADD CONSTRAINT ck_topups_discount CHECK (discount_minor BETWEEN 0 AND amount_minor
    AND discount_returned_minor BETWEEN 0 AND discount_minor);
CREATE INDEX ix_topups_granted ON topups (booked_at) WHERE detail IS NOT NULL;

CREATE TABLE topup_returns (
    return_id UUID NOT NULL,
    account_id UUID NOT NULL,
    topup_id UUID NOT NULL,
    kind TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    paid_minor BIGINT NOT NULL,
    discount_minor BIGINT NOT NULL,
    bonus_minor BIGINT NOT NULL,
    shortfall_minor BIGINT NOT NULL,
    benefits JSONB,
    booked_at timestamptz NOT NULL,
    staff_id UUID,
    station_id UUID,
    CONSTRAINT pk_topup_returns PRIMARY KEY (return_id),
    CONSTRAINT ck_topup_returns_kind CHECK (kind IN ('void', 'refund', 'reversal')),
    CONSTRAINT ck_topup_returns_amounts CHECK (amount_minor > 0 AND paid_minor >= 0 AND discount_minor >= 0 AND bonus_minor >= 0
        AND shortfall_minor >= 0),
    CONSTRAINT ck_topup_returns_whole CHECK (amount_minor = paid_minor + discount_minor + shortfall_minor),
    CONSTRAINT fk_topup_returns_account_id FOREIGN KEY(account_id) REFERENCES accounts (account_id),
    CONSTRAINT fk_topup_returns_topup_id FOREIGN KEY(topup_id) REFERENCES topups (topup_id),
    CONSTRAINT fk_topup_returns_staff_id FOREIGN KEY(staff_id) REFERENCES staff (staff_id),
    CONSTRAINT fk_topup_returns_station_id FOREIGN KEY(station_id) REFERENCES stations (station_id)
);
CREATE INDEX ix_topup_returns_topup_id ON topup_returns (topup_id, return_id);
CREATE INDEX ix_topup_returns_granted ON topup_returns (booked_at) WHERE benefits IS NOT NULL;
"""


def upgrade() -> None:
    """Add them; every top-up so far was paid in full."""
    op.execute(CHANGES)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE topup_returns")
    for column in ("detail", "flyer", "discount_returned_minor", "discount_minor"):
        op.execute(f"ALTER TABLE topups DROP COLUMN {column}")
