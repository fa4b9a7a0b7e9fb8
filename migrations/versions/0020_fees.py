"""Fees, each with the till that took it: cash for a card's replacement lies in a drawer and belongs to its shift."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE fees (
    fee_id UUID NOT NULL,
    account_id UUID NOT NULL,
    card_id UUID,
    code TEXT NOT NULL,
    tender TEXT,
    currency TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    station_id UUID,
    terminal_id UUID,
    staff_id UUID,
    event_at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL,
    CONSTRAINT pk_fees PRIMARY KEY (fee_id),
    CONSTRAINT ck_fees_tender CHECK (tender IN ('cash', 'bank_transfer', 'card', 'wechat', 'alipay')),
    CONSTRAINT ck_fees_amount CHECK (amount_minor > 0),
    CONSTRAINT fk_fees_account_id FOREIGN KEY(account_id) REFERENCES accounts (account_id),
    CONSTRAINT fk_fees_card_id FOREIGN KEY(card_id) REFERENCES cards (card_id),
    CONSTRAINT fk_fees_station_id FOREIGN KEY(station_id) REFERENCES stations (station_id),
    CONSTRAINT fk_fees_terminal_id FOREIGN KEY(terminal_id) REFERENCES terminals (terminal_id),
    CONSTRAINT fk_fees_staff_id FOREIGN KEY(staff_id) REFERENCES staff (staff_id)
);
CREATE INDEX ix_fees_station_id ON fees (station_id, booked_at);
CREATE INDEX ix_fees_terminal_id ON fees (terminal_id, booked_at);
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(TABLE)


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("fees")
