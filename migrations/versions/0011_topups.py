"""The topups room: top-ups, purchases, adjustments, freezes, closures, and whom they name."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE real_names (
    record_id UUID NOT NULL,
    party TEXT NOT NULL,
    customer_id UUID,
    name_sealed BYTEA,
    id_type TEXT,
    id_number_sealed BYTEA,
    id_number_index BYTEA,
    id_tail TEXT,
    contact_sealed BYTEA,
    taken_at timestamptz NOT NULL,
    taken_by UUID,
    station_id UUID,
    keep_until timestamptz NOT NULL,
    CONSTRAINT pk_real_names PRIMARY KEY (record_id),
    CONSTRAINT ck_real_names_party CHECK (party IN ('person', 'organisation')),
    CONSTRAINT ck_real_names_id_type CHECK (id_type IN ('resident_id', 'passport', 'hk_macau_permit', 'taiwan_permit',
        'foreign_residence', 'uscc', 'tax_number')),
    CONSTRAINT ck_real_names_whole CHECK ((name_sealed IS NULL) = (id_number_sealed IS NULL)
        AND (name_sealed IS NULL) = (id_number_index IS NULL) AND (name_sealed IS NULL) = (id_type IS NULL)
        AND (name_sealed IS NULL) = (contact_sealed IS NULL) AND (name_sealed IS NOT NULL OR customer_id IS NOT NULL)),
    CONSTRAINT fk_real_names_customer_id FOREIGN KEY(customer_id) REFERENCES customers (customer_id),
    CONSTRAINT fk_real_names_taken_by FOREIGN KEY(taken_by) REFERENCES staff (staff_id),
    CONSTRAINT fk_real_names_station_id FOREIGN KEY(station_id) REFERENCES stations (station_id)
);
CREATE INDEX ix_real_names_id_number_index ON real_names (id_number_index);
CREATE INDEX ix_real_names_keep_until ON real_names (keep_until);
CREATE TABLE purchases (
    purchase_id UUID NOT NULL,
    status TEXT NOT NULL,
    tender TEXT NOT NULL,
    currency TEXT NOT NULL,
    total_minor BIGINT NOT NULL,
    items BIGINT NOT NULL,
    buyer TEXT NOT NULL,
    buyer_customer_id UUID,
    buyer_record_id UUID,
    agent_record_id UUID,
    off_premises BOOLEAN NOT NULL,
    station_id UUID,
    terminal_id UUID,
    staff_id UUID,
    event_at timestamptz NOT NULL,
    requested_at timestamptz NOT NULL,
    booked_at timestamptz,
    CONSTRAINT pk_purchases PRIMARY KEY (purchase_id),
    CONSTRAINT ck_purchases_status CHECK (status IN ('pending', 'booked', 'cancelled')),
    CONSTRAINT ck_purchases_tender CHECK (tender IN ('cash', 'bank_transfer', 'card', 'wechat', 'alipay')),
    CONSTRAINT ck_purchases_buyer CHECK (buyer IN ('person', 'organisation')),
    CONSTRAINT ck_purchases_total CHECK (total_minor > 0 AND items > 0),
    CONSTRAINT fk_purchases_buyer_customer_id FOREIGN KEY(buyer_customer_id) REFERENCES customers (customer_id),
    CONSTRAINT fk_purchases_buyer_record_id FOREIGN KEY(buyer_record_id) REFERENCES real_names (record_id),
    CONSTRAINT fk_purchases_agent_record_id FOREIGN KEY(agent_record_id) REFERENCES real_names (record_id),
    CONSTRAINT fk_purchases_station_id FOREIGN KEY(station_id) REFERENCES stations (station_id),
    CONSTRAINT fk_purchases_terminal_id FOREIGN KEY(terminal_id) REFERENCES terminals (terminal_id),
    CONSTRAINT fk_purchases_staff_id FOREIGN KEY(staff_id) REFERENCES staff (staff_id)
);
CREATE INDEX ix_purchases_buyer_customer_id ON purchases (buyer_customer_id) WHERE buyer_customer_id IS NOT NULL;
CREATE INDEX ix_purchases_pending ON purchases (purchase_id) WHERE status = 'pending';
CREATE TABLE topups (
    topup_id UUID NOT NULL,
    account_id UUID NOT NULL,
    card_id UUID,
    purchase_id UUID,
    status TEXT NOT NULL,
    tender TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    bonus_minor BIGINT NOT NULL,
    bonus_expires_at timestamptz,
    bonus_funder TEXT,
    settled_minor BIGINT NOT NULL,
    returned_minor BIGINT NOT NULL,
    bonus_returned_minor BIGINT NOT NULL,
    off_premises BOOLEAN NOT NULL,
    payer_record_id UUID,
    station_id UUID,
    terminal_id UUID,
    staff_id UUID,
    reference TEXT,
    event_at timestamptz NOT NULL,
    requested_at timestamptz NOT NULL,
    booked_at timestamptz,
    CONSTRAINT pk_topups PRIMARY KEY (topup_id),
    CONSTRAINT ck_topups_status CHECK (status IN ('pending', 'booked', 'cancelled', 'voided', 'refunded', 'reversed')),
    CONSTRAINT ck_topups_tender CHECK (tender IN ('cash', 'bank_transfer', 'card', 'wechat', 'alipay')),
    CONSTRAINT ck_topups_amounts CHECK (amount_minor > 0 AND bonus_minor >= 0 AND settled_minor BETWEEN 0 AND amount_minor),
    CONSTRAINT ck_topups_returned CHECK (returned_minor BETWEEN 0 AND amount_minor AND bonus_returned_minor BETWEEN 0 AND bonus_minor),
    CONSTRAINT ck_topups_booked CHECK ((status IN ('pending', 'cancelled')) = (booked_at IS NULL)),
    CONSTRAINT fk_topups_account_id FOREIGN KEY(account_id) REFERENCES accounts (account_id),
    CONSTRAINT fk_topups_card_id FOREIGN KEY(card_id) REFERENCES cards (card_id),
    CONSTRAINT fk_topups_purchase_id FOREIGN KEY(purchase_id) REFERENCES purchases (purchase_id),
    CONSTRAINT fk_topups_payer_record_id FOREIGN KEY(payer_record_id) REFERENCES real_names (record_id),
    CONSTRAINT fk_topups_station_id FOREIGN KEY(station_id) REFERENCES stations (station_id),
    CONSTRAINT fk_topups_terminal_id FOREIGN KEY(terminal_id) REFERENCES terminals (terminal_id),
    CONSTRAINT fk_topups_staff_id FOREIGN KEY(staff_id) REFERENCES staff (staff_id)
);
CREATE INDEX ix_topups_account_id ON topups (account_id, topup_id);
CREATE INDEX ix_topups_pending ON topups (topup_id) WHERE status = 'pending';
CREATE INDEX ix_topups_purchase_id ON topups (purchase_id) WHERE purchase_id IS NOT NULL;
CREATE INDEX ix_topups_station_id ON topups (station_id, booked_at);
CREATE INDEX ix_topups_terminal_id ON topups (terminal_id, booked_at);
CREATE TABLE bank_payments (
    topup_id UUID NOT NULL,
    amount_minor BIGINT NOT NULL,
    payer_name_sealed BYTEA NOT NULL,
    payer_bank TEXT NOT NULL,
    payer_account_sealed BYTEA NOT NULL,
    payer_account_index BYTEA NOT NULL,
    payer_account_tail TEXT NOT NULL,
    payee_name TEXT NOT NULL,
    payee_bank TEXT NOT NULL,
    payee_account TEXT NOT NULL,
    own_account BOOLEAN NOT NULL,
    statement_line TEXT,
    statement_day DATE,
    confirmed_at timestamptz,
    confirmed_by UUID,
    CONSTRAINT pk_bank_payments PRIMARY KEY (topup_id),
    CONSTRAINT ck_bank_payments_confirmed CHECK ((confirmed_at IS NULL) = (confirmed_by IS NULL)
        AND (confirmed_at IS NULL) = (statement_line IS NULL)),
    CONSTRAINT fk_bank_payments_topup_id FOREIGN KEY(topup_id) REFERENCES topups (topup_id),
    CONSTRAINT fk_bank_payments_confirmed_by FOREIGN KEY(confirmed_by) REFERENCES staff (staff_id)
);
CREATE INDEX ix_bank_payments_payer_account_index ON bank_payments (payer_account_index);
CREATE TABLE payment_references (
    kind TEXT NOT NULL,
    reference TEXT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id UUID NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    taken_at timestamptz NOT NULL,
    CONSTRAINT pk_payment_references PRIMARY KEY (kind, reference)
);
CREATE TABLE adjustments (
    adjustment_id UUID NOT NULL,
    account_id UUID NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    bonus BOOLEAN NOT NULL,
    bonus_expires_at timestamptz,
    currency TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    reason_code TEXT NOT NULL,
    note TEXT NOT NULL,
    made_by UUID NOT NULL,
    made_at timestamptz NOT NULL,
    decided_by UUID,
    decided_at timestamptz,
    CONSTRAINT pk_adjustments PRIMARY KEY (adjustment_id),
    CONSTRAINT ck_adjustments_kind CHECK (kind IN ('credit', 'debit', 'write_off')),
    CONSTRAINT ck_adjustments_status CHECK (status IN ('proposed', 'approved', 'rejected', 'withdrawn')),
    CONSTRAINT ck_adjustments_amount CHECK (amount_minor > 0),
    CONSTRAINT ck_adjustments_two_people CHECK (status NOT IN ('approved', 'rejected') OR (decided_by IS NOT NULL
        AND decided_by <> made_by)),
    CONSTRAINT ck_adjustments_decided CHECK ((status = 'proposed') = (decided_at IS NULL)),
    CONSTRAINT fk_adjustments_account_id FOREIGN KEY(account_id) REFERENCES accounts (account_id),
    CONSTRAINT fk_adjustments_made_by FOREIGN KEY(made_by) REFERENCES staff (staff_id),
    CONSTRAINT fk_adjustments_decided_by FOREIGN KEY(decided_by) REFERENCES staff (staff_id)
);
CREATE INDEX ix_adjustments_account_id ON adjustments (account_id, adjustment_id);
CREATE INDEX ix_adjustments_proposed ON adjustments (adjustment_id) WHERE status = 'proposed';
CREATE TABLE freezes (
    freeze_id UUID NOT NULL,
    account_id UUID NOT NULL,
    scope TEXT NOT NULL,
    status TEXT NOT NULL,
    amount_minor BIGINT,
    holds JSONB NOT NULL,
    authority TEXT NOT NULL,
    document TEXT NOT NULL,
    officer TEXT NOT NULL,
    frozen_by UUID NOT NULL,
    frozen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_by UUID,
    ended_document TEXT,
    CONSTRAINT pk_freezes PRIMARY KEY (freeze_id),
    CONSTRAINT ck_freezes_scope CHECK (scope IN ('account', 'amount')),
    CONSTRAINT ck_freezes_status CHECK (status IN ('active', 'lifted', 'expired')),
    CONSTRAINT ck_freezes_amount CHECK ((scope = 'amount') = (amount_minor IS NOT NULL) AND amount_minor > 0),
    CONSTRAINT ck_freezes_expiry CHECK (expires_at > frozen_at),
    CONSTRAINT ck_freezes_ended CHECK ((status = 'active') = (ended_at IS NULL)),
    CONSTRAINT fk_freezes_account_id FOREIGN KEY(account_id) REFERENCES accounts (account_id),
    CONSTRAINT fk_freezes_frozen_by FOREIGN KEY(frozen_by) REFERENCES staff (staff_id),
    CONSTRAINT fk_freezes_ended_by FOREIGN KEY(ended_by) REFERENCES staff (staff_id)
);
CREATE INDEX ix_freezes_active ON freezes (expires_at, freeze_id) WHERE status = 'active';
CREATE UNIQUE INDEX ux_freezes_document ON freezes (account_id, authority, document);
CREATE TABLE account_closures (
    closure_id UUID NOT NULL,
    account_id UUID NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    note TEXT NOT NULL,
    method TEXT NOT NULL,
    second_person BOOLEAN NOT NULL,
    currency TEXT NOT NULL,
    refund_minor BIGINT NOT NULL,
    paid_in_minor BIGINT NOT NULL,
    bonus_given_minor BIGINT NOT NULL,
    settled_minor BIGINT NOT NULL,
    bonus_returned_minor BIGINT NOT NULL,
    bonus_expired_minor BIGINT NOT NULL,
    payee_name_sealed BYTEA,
    payee_bank TEXT,
    payee_account_sealed BYTEA,
    payee_account_tail TEXT,
    claimant_record_id UUID,
    cards JSONB NOT NULL,
    station_id UUID,
    requested_by UUID NOT NULL,
    requested_at timestamptz NOT NULL,
    approved_by UUID,
    approved_at timestamptz,
    paid_by UUID,
    paid_at timestamptz,
    payout_reference TEXT,
    CONSTRAINT pk_account_closures PRIMARY KEY (closure_id),
    CONSTRAINT ck_account_closures_status CHECK (status IN ('requested', 'approved', 'paid', 'rejected', 'withdrawn', 'reopened')),
    CONSTRAINT ck_account_closures_reason CHECK (reason IN ('no_longer_drives', 'moved_away', 'price', 'service', 'other_supplier',
        'company_ends', 'deceased', 'other')),
    CONSTRAINT ck_account_closures_method CHECK (method IN ('bank', 'cash')),
    CONSTRAINT ck_account_closures_amounts CHECK (refund_minor >= 0 AND bonus_returned_minor >= 0 AND bonus_expired_minor >= 0
        AND settled_minor >= 0),
    CONSTRAINT ck_account_closures_two_people CHECK (NOT second_person OR approved_by IS NULL OR approved_by <> requested_by),
    CONSTRAINT ck_account_closures_payee CHECK ((payee_account_sealed IS NULL) = (method = 'cash')),
    CONSTRAINT ck_account_closures_payee_name CHECK ((payee_account_sealed IS NULL) = (payee_name_sealed IS NULL)),
    CONSTRAINT fk_account_closures_account_id FOREIGN KEY(account_id) REFERENCES accounts (account_id),
    CONSTRAINT fk_account_closures_claimant_record_id FOREIGN KEY(claimant_record_id) REFERENCES real_names (record_id),
    CONSTRAINT fk_account_closures_station_id FOREIGN KEY(station_id) REFERENCES stations (station_id),
    CONSTRAINT fk_account_closures_requested_by FOREIGN KEY(requested_by) REFERENCES staff (staff_id),
    CONSTRAINT fk_account_closures_approved_by FOREIGN KEY(approved_by) REFERENCES staff (staff_id),
    CONSTRAINT fk_account_closures_paid_by FOREIGN KEY(paid_by) REFERENCES staff (staff_id)
);
CREATE INDEX ix_account_closures_account_id ON account_closures (account_id, closure_id);
CREATE INDEX ix_account_closures_waiting ON account_closures (status, closure_id) WHERE status IN ('requested', 'approved');
CREATE UNIQUE INDEX ux_account_closures_running ON account_closures (account_id) WHERE status IN ('requested', 'approved');
CREATE TABLE topup_events (
    event_id BIGINT GENERATED ALWAYS AS IDENTITY,
    subject_kind TEXT NOT NULL,
    subject_id UUID NOT NULL,
    moved_to TEXT NOT NULL,
    happened_at timestamptz NOT NULL,
    staff_id UUID,
    reason TEXT NOT NULL,
    facts JSONB NOT NULL,
    CONSTRAINT pk_topup_events PRIMARY KEY (event_id),
    CONSTRAINT fk_topup_events_staff_id FOREIGN KEY(staff_id) REFERENCES staff (staff_id)
);
CREATE INDEX ix_topup_events_subject_id ON topup_events (subject_id, event_id);
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop the tables."""
    for table in (
        "topup_events",
        "account_closures",
        "freezes",
        "adjustments",
        "payment_references",
        "bank_payments",
        "topups",
        "purchases",
        "real_names",
    ):
        op.drop_table(table)
