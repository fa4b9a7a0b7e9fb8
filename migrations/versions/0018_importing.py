"""What was taken over from former systems: import runs, former ids, receipts to be replayed; LPG beside the other gases."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE import_runs (
    run_id UUID NOT NULL,
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    file_name TEXT NOT NULL,
    file_hash BYTEA NOT NULL,
    map_hash BYTEA NOT NULL,
    status TEXT NOT NULL,
    last_line BIGINT NOT NULL,
    counts JSONB NOT NULL,
    sums JSONB NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT pk_import_runs PRIMARY KEY (run_id),
    CONSTRAINT ck_import_runs_status CHECK (status IN ('running', 'done'))
);
CREATE INDEX ix_import_runs_file_hash ON import_runs (file_hash, started_at);
CREATE TABLE import_rows (
    source TEXT NOT NULL,
    kind TEXT NOT NULL,
    legacy_id TEXT NOT NULL,
    our_id UUID,
    row_hash BYTEA NOT NULL,
    run_id UUID NOT NULL,
    CONSTRAINT pk_import_rows PRIMARY KEY (source, kind, legacy_id),
    CONSTRAINT fk_import_rows_run_id FOREIGN KEY(run_id) REFERENCES import_runs (run_id)
);
CREATE TABLE legacy_receipts (
    receipt_id UUID NOT NULL,
    source TEXT NOT NULL,
    legacy_id TEXT NOT NULL,
    card_id UUID NOT NULL,
    account_id UUID NOT NULL,
    station_id UUID NOT NULL,
    currency TEXT NOT NULL,
    event_at timestamptz NOT NULL,
    CONSTRAINT pk_legacy_receipts PRIMARY KEY (receipt_id),
    CONSTRAINT fk_legacy_receipts_card_id FOREIGN KEY(card_id) REFERENCES cards (card_id),
    CONSTRAINT fk_legacy_receipts_account_id FOREIGN KEY(account_id) REFERENCES accounts (account_id),
    CONSTRAINT fk_legacy_receipts_station_id FOREIGN KEY(station_id) REFERENCES stations (station_id)
);
CREATE INDEX ix_legacy_receipts_event_at ON legacy_receipts (event_at, receipt_id);
CREATE INDEX ix_legacy_receipts_card_id ON legacy_receipts (card_id);
CREATE TABLE legacy_lines (
    line_id UUID NOT NULL,
    receipt_id UUID NOT NULL,
    legacy_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    product_id UUID NOT NULL,
    quantity_milli BIGINT,
    amount_minor BIGINT NOT NULL,
    CONSTRAINT pk_legacy_lines PRIMARY KEY (line_id),
    CONSTRAINT ck_legacy_lines_positive CHECK (amount_minor > 0 AND quantity_milli > 0),
    CONSTRAINT fk_legacy_lines_receipt_id FOREIGN KEY(receipt_id) REFERENCES legacy_receipts (receipt_id),
    CONSTRAINT fk_legacy_lines_product_id FOREIGN KEY(product_id) REFERENCES products (product_id)
);
CREATE INDEX ix_legacy_lines_receipt_id ON legacy_lines (receipt_id);
"""


FUEL_KINDS = (
    "ALTER TABLE products DROP CONSTRAINT ck_products_fuel_kind, ADD CONSTRAINT ck_products_fuel_kind CHECK (fuel_kind IN ({kinds}))"
)


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(FUEL_KINDS.format(kinds="'gasoline', 'diesel', 'lng', 'cng', 'lpg', 'ev'"))


def downgrade() -> None:
    for table in ("legacy_lines", "legacy_receipts", "import_rows", "import_runs"):
        op.drop_table(table)
    op.execute(FUEL_KINDS.format(kinds="'gasoline', 'diesel', 'lng', 'cng', 'ev'"))
