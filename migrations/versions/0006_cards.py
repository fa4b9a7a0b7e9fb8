"""The cards room: products, blank stock, cards and what happened to them."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE card_products (
    product_id UUID NOT NULL,
    code TEXT NOT NULL,
    name_zh TEXT NOT NULL,
    name_en TEXT NOT NULL,
    kind TEXT NOT NULL,
    currency TEXT NOT NULL,
    bearer BOOLEAN NOT NULL,
    pin_required BOOLEAN NOT NULL,
    number_bin TEXT NOT NULL,
    number_length SMALLINT NOT NULL,
    spend_order TEXT[] NOT NULL,
    fuel_kinds TEXT[],
    shop_categories TEXT[],
    default_limits JSONB NOT NULL,
    offline_allowed BOOLEAN NOT NULL,
    offline_fill_amount_minor BIGINT NOT NULL,
    offline_fill_quantity_milli BIGINT NOT NULL,
    offline_day_amount_minor BIGINT NOT NULL,
    offline_day_quantity_milli BIGINT NOT NULL,
    offline_day_count INTEGER NOT NULL,
    offline_station_amount_minor BIGINT NOT NULL,
    offline_shrink_percent_per_hour SMALLINT NOT NULL,
    media_validity_months SMALLINT,
    issue_fee_minor BIGINT NOT NULL,
    replacement_fee_minor BIGINT NOT NULL,
    active BOOLEAN NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pk_card_products PRIMARY KEY (product_id),
    CONSTRAINT ck_card_products_kind CHECK (kind IN ('personal', 'anonymous', 'company', 'fleet')),
    CONSTRAINT ck_card_products_bearer CHECK (bearer = (kind = 'anonymous')),
    CONSTRAINT ck_card_products_number CHECK (number_length - length(number_bin) >= 11)
);
CREATE UNIQUE INDEX uq_card_products_code ON card_products (code);
CREATE TABLE card_batches (
    batch_id UUID NOT NULL,
    product_id UUID NOT NULL,
    count INTEGER NOT NULL,
    station_id UUID,
    staff_id UUID,
    produced_at timestamptz NOT NULL,
    CONSTRAINT pk_card_batches PRIMARY KEY (batch_id),
    CONSTRAINT fk_card_batches_product_id FOREIGN KEY(product_id) REFERENCES card_products (product_id),
    CONSTRAINT fk_card_batches_station_id FOREIGN KEY(station_id) REFERENCES stations (station_id),
    CONSTRAINT fk_card_batches_staff_id FOREIGN KEY(staff_id) REFERENCES staff (staff_id)
);
CREATE TABLE card_stock_moves (
    move_id UUID NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    product_id UUID NOT NULL,
    batch_id UUID,
    from_station_id UUID,
    to_station_id UUID,
    count INTEGER NOT NULL,
    expected INTEGER,
    staff_id UUID,
    received_by UUID,
    happened_at timestamptz NOT NULL,
    received_at timestamptz,
    note TEXT NOT NULL,
    CONSTRAINT pk_card_stock_moves PRIMARY KEY (move_id),
    CONSTRAINT ck_card_stock_moves_kind CHECK (kind IN ('produced', 'sent', 'counted', 'spoilt')),
    CONSTRAINT ck_card_stock_moves_status CHECK (status IN ('on_the_way', 'done')),
    CONSTRAINT ck_card_stock_moves_count CHECK (count >= 0),
    CONSTRAINT fk_card_stock_moves_product_id FOREIGN KEY(product_id) REFERENCES card_products (product_id),
    CONSTRAINT fk_card_stock_moves_batch_id FOREIGN KEY(batch_id) REFERENCES card_batches (batch_id),
    CONSTRAINT fk_card_stock_moves_from_station_id FOREIGN KEY(from_station_id) REFERENCES stations (station_id),
    CONSTRAINT fk_card_stock_moves_to_station_id FOREIGN KEY(to_station_id) REFERENCES stations (station_id),
    CONSTRAINT fk_card_stock_moves_staff_id FOREIGN KEY(staff_id) REFERENCES staff (staff_id),
    CONSTRAINT fk_card_stock_moves_received_by FOREIGN KEY(received_by) REFERENCES staff (staff_id)
);
CREATE INDEX ix_card_stock_moves_from_station_id ON card_stock_moves (from_station_id, move_id);
CREATE INDEX ix_card_stock_moves_to_station_id ON card_stock_moves (to_station_id, move_id);
CREATE TABLE cards (
    card_id UUID NOT NULL,
    account_id UUID NOT NULL,
    number_index BYTEA NOT NULL,
    number_sealed BYTEA NOT NULL,
    number_bin TEXT NOT NULL,
    number_tail TEXT NOT NULL,
    product_id UUID NOT NULL,
    customer_id UUID,
    status SMALLINT NOT NULL,
    version INTEGER NOT NULL,
    pin_verifier BYTEA,
    pin_generation SMALLINT NOT NULL,
    pin_tries SMALLINT NOT NULL,
    chain_id UUID NOT NULL,
    bearer BOOLEAN NOT NULL,
    is_main BOOLEAN NOT NULL,
    expires_on DATE,
    check_value_index BYTEA,
    holder_label TEXT,
    plate TEXT,
    station_id UUID,
    batch_id UUID,
    stock_move_id UUID,
    replaces_card_id UUID,
    created_at timestamptz NOT NULL,
    issued_at timestamptz,
    activated_at timestamptz,
    closed_at timestamptz,
    CONSTRAINT pk_cards PRIMARY KEY (card_id),
    CONSTRAINT ck_cards_status CHECK (status BETWEEN 0 AND 6),
    CONSTRAINT ck_cards_blank CHECK (status <> 0 OR account_id = '00000000-0000-0000-0000-000000000000'),
    CONSTRAINT ck_cards_bearer_lost CHECK (NOT (bearer AND status = 4)),
    CONSTRAINT ck_cards_pin_tries CHECK (pin_tries BETWEEN 0 AND 3),
    CONSTRAINT fk_cards_product_id FOREIGN KEY(product_id) REFERENCES card_products (product_id),
    CONSTRAINT fk_cards_customer_id FOREIGN KEY(customer_id) REFERENCES customers (customer_id),
    CONSTRAINT fk_cards_station_id FOREIGN KEY(station_id) REFERENCES stations (station_id),
    CONSTRAINT fk_cards_batch_id FOREIGN KEY(batch_id) REFERENCES card_batches (batch_id),
    CONSTRAINT fk_cards_stock_move_id FOREIGN KEY(stock_move_id) REFERENCES card_stock_moves (move_id),
    CONSTRAINT fk_cards_replaces_card_id FOREIGN KEY(replaces_card_id) REFERENCES cards (card_id)
) WITH (fillfactor = 80);
CREATE INDEX ix_cards_account_id ON cards (account_id);
CREATE INDEX ix_cards_batch_id ON cards (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX ix_cards_chain_id ON cards (chain_id);
CREATE INDEX ix_cards_customer_id ON cards (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX ix_cards_number_tail ON cards (number_tail, card_id);
CREATE INDEX ix_cards_stock ON cards (station_id, product_id, card_id) WHERE status = 0;
CREATE INDEX ix_cards_stock_move_id ON cards (stock_move_id) WHERE stock_move_id IS NOT NULL;
CREATE UNIQUE INDEX uq_cards_number_index ON cards (number_index);
CREATE TABLE card_events (
    event_id BIGINT GENERATED ALWAYS AS IDENTITY,
    card_id UUID NOT NULL,
    kind TEXT NOT NULL,
    moved_from SMALLINT,
    moved_to SMALLINT,
    happened_at timestamptz NOT NULL,
    actor_kind TEXT NOT NULL,
    actor_id TEXT NOT NULL,
    station_id UUID,
    reason TEXT NOT NULL,
    facts JSONB NOT NULL,
    CONSTRAINT pk_card_events PRIMARY KEY (event_id),
    CONSTRAINT ck_card_events_kind CHECK (kind IN ('moved', 'pin_set', 'pin_changed', 'pin_locked', 'pin_unlocked',
        'converted', 'renewed', 'limits_changed', 'account_changed', 'labelled', 'adopted')),
    CONSTRAINT fk_card_events_card_id FOREIGN KEY(card_id) REFERENCES cards (card_id),
    CONSTRAINT fk_card_events_station_id FOREIGN KEY(station_id) REFERENCES stations (station_id)
);
CREATE INDEX ix_card_events_card_id ON card_events (card_id, event_id);
CREATE TABLE card_issues (
    card_id UUID NOT NULL,
    account_id UUID NOT NULL,
    customer_id UUID,
    issued_at timestamptz NOT NULL,
    station_id UUID,
    staff_id UUID,
    developed_by_staff_id UUID,
    developed_by_station_id UUID,
    flyer_code TEXT,
    referrer_customer_id UUID,
    first_load_minor BIGINT,
    first_load_at timestamptz,
    CONSTRAINT pk_card_issues PRIMARY KEY (card_id),
    CONSTRAINT ck_card_issues_no_self_referral CHECK (referrer_customer_id <> customer_id),
    CONSTRAINT fk_card_issues_card_id FOREIGN KEY(card_id) REFERENCES cards (card_id),
    CONSTRAINT fk_card_issues_customer_id FOREIGN KEY(customer_id) REFERENCES customers (customer_id),
    CONSTRAINT fk_card_issues_station_id FOREIGN KEY(station_id) REFERENCES stations (station_id),
    CONSTRAINT fk_card_issues_staff_id FOREIGN KEY(staff_id) REFERENCES staff (staff_id),
    CONSTRAINT fk_card_issues_developed_by_staff_id FOREIGN KEY(developed_by_staff_id) REFERENCES staff (staff_id),
    CONSTRAINT fk_card_issues_developed_by_station_id FOREIGN KEY(developed_by_station_id) REFERENCES stations (station_id),
    CONSTRAINT fk_card_issues_referrer_customer_id FOREIGN KEY(referrer_customer_id) REFERENCES customers (customer_id)
);
CREATE INDEX ix_card_issues_account_id ON card_issues (account_id);
"""


def upgrade() -> None:
    """Make the tables."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop the tables."""
    for table in ("card_issues", "card_events", "cards", "card_stock_moves", "card_batches", "card_products"):
        op.drop_table(table)
