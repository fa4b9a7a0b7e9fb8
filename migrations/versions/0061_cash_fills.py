"""Fills that were paid in cash, and their receipts."""

from alembic import op

revision = "0061"
down_revision = "0060"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE cash_fills (
    cash_fill_id uuid NOT NULL CONSTRAINT pk_cash_fills PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_cash_fills_company_id REFERENCES companies,
    vehicle_id uuid NOT NULL CONSTRAINT fk_cash_fills_vehicle_id REFERENCES vehicles,
    driver_id uuid NOT NULL CONSTRAINT fk_cash_fills_driver_id REFERENCES drivers,
    department_id uuid CONSTRAINT fk_cash_fills_department_id REFERENCES departments,
    event_at timestamptz NOT NULL,
    day date NOT NULL,
    station_id uuid CONSTRAINT fk_cash_fills_station_id REFERENCES stations,
    place text,
    product_id uuid CONSTRAINT fk_cash_fills_product_id REFERENCES products,
    quantity_milli bigint NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    odometer_km bigint,
    reason text NOT NULL,
    comment text NOT NULL,
    asked_before boolean NOT NULL,
    status text NOT NULL,
    filed_at timestamptz NOT NULL,
    filed_by text NOT NULL,
    receipt_at timestamptz,
    receipt_by text,
    receipt_digest bytea,
    plate_read text,
    plate_differs boolean NOT NULL,
    decided_at timestamptz,
    decided_by text,
    decision text,
    reimbursed_at timestamptz,
    reimbursed_by text,
    reading_id uuid CONSTRAINT fk_cash_fills_reading_id REFERENCES odometer_readings,
    CONSTRAINT ck_cash_fills_reason CHECK (reason IN ('no_card_service', 'card_lost', 'emergency', 'other')),
    CONSTRAINT ck_cash_fills_status CHECK (status IN ('filed', 'approved', 'refused', 'reimbursed', 'withdrawn')),
    CONSTRAINT ck_cash_fills_amounts CHECK (quantity_milli > 0 AND amount_minor > 0 AND odometer_km >= 0),
    CONSTRAINT ck_cash_fills_place CHECK ((station_id IS NULL) <> (place IS NULL)),
    CONSTRAINT ck_cash_fills_receipt CHECK (num_nulls(receipt_at, receipt_by, receipt_digest, plate_read) IN (0, 4)
        AND (receipt_at IS NOT NULL OR asked_before AND NOT plate_differs) AND (receipt_at IS NULL OR odometer_km IS NOT NULL)),
    CONSTRAINT ck_cash_fills_decided CHECK ((decided_at IS NULL) = (decided_by IS NULL)
        AND CASE status WHEN 'filed' THEN decided_at IS NULL WHEN 'withdrawn' THEN true ELSE decided_at IS NOT NULL END),
    CONSTRAINT ck_cash_fills_two_people CHECK (
        decided_by NOT IN (filed_by, coalesce(receipt_by, filed_by)) AND reimbursed_by NOT IN (filed_by, receipt_by)),
    CONSTRAINT ck_cash_fills_reimbursed CHECK ((status = 'reimbursed') = (reimbursed_at IS NOT NULL)
        AND (reimbursed_at IS NULL) = (reimbursed_by IS NULL) AND (reimbursed_at IS NULL OR receipt_at IS NOT NULL))
);
CREATE UNIQUE INDEX ux_cash_fills_receipt ON cash_fills (company_id, receipt_digest) WHERE status IN ('filed', 'approved', 'reimbursed');
CREATE INDEX ix_cash_fills_company_id ON cash_fills (company_id, event_at, cash_fill_id);
CREATE INDEX ix_cash_fills_vehicle_id ON cash_fills (vehicle_id, event_at);
CREATE INDEX ix_cash_fills_filed ON cash_fills (company_id, cash_fill_id) WHERE status = 'filed';
CREATE INDEX ix_cash_fills_counted ON cash_fills (company_id, day)
    WHERE status IN ('approved', 'reimbursed') AND receipt_digest IS NOT NULL;
CREATE TABLE cash_receipts (
    cash_fill_id uuid NOT NULL CONSTRAINT pk_cash_receipts PRIMARY KEY CONSTRAINT fk_cash_receipts_cash_fill_id REFERENCES cash_fills,
    company_id uuid NOT NULL CONSTRAINT fk_cash_receipts_company_id REFERENCES companies,
    media text NOT NULL,
    -- Sealed bytes do not shrink: trying to costs a CPU and gains nothing.
    content_sealed bytea STORAGE EXTERNAL NOT NULL,
    CONSTRAINT ck_cash_receipts_media CHECK (media IN ('image/jpeg', 'image/png', 'image/webp', 'application/pdf'))
);
SELECT fence_tenant(t) FROM unnest(ARRAY['cash_fills', 'cash_receipts']::regclass[]) t;
ALTER TABLE odometer_readings DROP CONSTRAINT ck_odometer_readings_source;
ALTER TABLE odometer_readings ADD CONSTRAINT ck_odometer_readings_source CHECK (source IN ('pump', 'portal', 'custody', 'cash')) NOT VALID;
ALTER TABLE odometer_readings VALIDATE CONSTRAINT ck_odometer_readings_source;
"""


def upgrade() -> None:
    """Make them."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them; what they said of odometers stays, as said in the portal."""
    op.execute("DROP TABLE cash_receipts, cash_fills")
    op.execute("UPDATE odometer_readings SET source = 'portal' WHERE source = 'cash'")
    op.execute(
        "ALTER TABLE odometer_readings DROP CONSTRAINT ck_odometer_readings_source, "
        "ADD CONSTRAINT ck_odometer_readings_source CHECK (source IN ('pump', 'portal', 'custody'))"
    )
