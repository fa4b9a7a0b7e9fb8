"""The pump's other operations: reversals, payment requests, and what refunds and resolutions say more."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SCRIPT = """
CREATE TABLE reversals (
    terminal_id uuid NOT NULL CONSTRAINT fk_reversals_terminal_id_terminals REFERENCES terminals (terminal_id),
    original_key uuid NOT NULL,
    reversal_id uuid NOT NULL,
    station_id uuid NOT NULL CONSTRAINT fk_reversals_station_id_stations REFERENCES stations (station_id),
    operation smallint,
    account_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    answer bytea NOT NULL,
    reason text NOT NULL,
    staff_id uuid CONSTRAINT fk_reversals_staff_id_staff REFERENCES staff (staff_id),
    event_at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL,
    CONSTRAINT pk_reversals PRIMARY KEY (terminal_id, original_key)
);
CREATE INDEX ix_reversals_station_id ON reversals (station_id, reversal_id);

CREATE TABLE payment_requests (
    request_id uuid NOT NULL CONSTRAINT pk_payment_requests PRIMARY KEY,
    fill_id uuid NOT NULL CONSTRAINT fk_payment_requests_fill_id_fills REFERENCES fills (fill_id),
    station_id uuid NOT NULL CONSTRAINT fk_payment_requests_station_id_stations REFERENCES stations (station_id),
    terminal_id uuid NOT NULL CONSTRAINT fk_payment_requests_terminal_id_terminals REFERENCES terminals (terminal_id),
    staff_id uuid CONSTRAINT fk_payment_requests_staff_id_staff REFERENCES staff (staff_id),
    token_hash bytea NOT NULL CONSTRAINT uq_payment_requests_token_hash UNIQUE,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    status text NOT NULL,
    made_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    account_id uuid,
    card_id uuid,
    sale_id uuid,
    reason text,
    ended_at timestamptz,
    CONSTRAINT ck_payment_requests_status CHECK (status IN ('open', 'approved', 'declined', 'expired', 'cancelled')),
    CONSTRAINT ck_payment_requests_ended CHECK ((status = 'open') = (ended_at IS NULL)),
    CONSTRAINT ck_payment_requests_paid CHECK ((status = 'approved') = (sale_id IS NOT NULL)),
    CONSTRAINT ck_payment_requests_amount CHECK (amount_minor > 0 AND expires_at > made_at)
);
CREATE UNIQUE INDEX ux_payment_requests_open ON payment_requests (fill_id) WHERE status = 'open';
CREATE INDEX ix_payment_requests_expiry ON payment_requests (expires_at) WHERE status = 'open';

ALTER TABLE refunds ADD COLUMN lines jsonb;
ALTER TABLE unresolved_dispenses ADD COLUMN approved_by uuid
    CONSTRAINT fk_unresolved_dispenses_approved_by_staff REFERENCES staff (staff_id);
ALTER TABLE unresolved_dispenses ADD CONSTRAINT ck_unresolved_dispenses_two_people CHECK (approved_by <> staff_id);
"""


def upgrade() -> None:
    """Make the tables and columns."""
    op.execute(SCRIPT)


def downgrade() -> None:
    """Drop them."""
    op.drop_constraint("ck_unresolved_dispenses_two_people", "unresolved_dispenses")
    op.drop_column("unresolved_dispenses", "approved_by")
    op.drop_column("refunds", "lines")
    op.drop_table("payment_requests")
    op.drop_table("reversals")
