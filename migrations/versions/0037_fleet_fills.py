"""What companies' cards took, collected for their pages, and the odometers that were read with it."""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE fleet_marks (name text NOT NULL CONSTRAINT pk_fleet_marks PRIMARY KEY, collected_to timestamptz NOT NULL);

CREATE TABLE fleet_fills (
    account_id uuid NOT NULL,
    sale_id uuid NOT NULL,
    company_id uuid NOT NULL CONSTRAINT fk_fleet_fills_company_id REFERENCES companies,
    chain_id uuid,
    card_id uuid,
    vehicle_id uuid,
    driver_id uuid,
    department_id uuid,
    station_id uuid NOT NULL,
    product_id uuid,
    day date NOT NULL,
    event_at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL,
    quantity_milli bigint NOT NULL,
    unit_price_e4 bigint NOT NULL,
    gross_minor bigint NOT NULL,
    discount_minor bigint NOT NULL,
    card_minor bigint NOT NULL,
    odometer_km bigint,
    plate text,
    flags bigint NOT NULL,
    back_milli bigint NOT NULL,
    back_gross_minor bigint NOT NULL,
    back_discount_minor bigint NOT NULL,
    back_card_minor bigint NOT NULL,
    CONSTRAINT pk_fleet_fills PRIMARY KEY (account_id, sale_id)
);
CREATE INDEX ix_fleet_fills_company_id ON fleet_fills (company_id, event_at, sale_id);
CREATE INDEX ix_fleet_fills_vehicle_id ON fleet_fills (vehicle_id, event_at) WHERE vehicle_id IS NOT NULL;
CREATE INDEX ix_fleet_fills_driver_id ON fleet_fills (driver_id, event_at) WHERE driver_id IS NOT NULL;
CREATE INDEX ix_fleet_fills_department_id ON fleet_fills (department_id, event_at) WHERE department_id IS NOT NULL;

CREATE TABLE odometer_readings (
    reading_id uuid NOT NULL CONSTRAINT pk_odometer_readings PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_odometer_readings_company_id REFERENCES companies,
    vehicle_id uuid NOT NULL CONSTRAINT fk_odometer_readings_vehicle_id REFERENCES vehicles,
    km bigint NOT NULL,
    read_at timestamptz NOT NULL,
    source text NOT NULL,
    sale_id uuid,
    status text NOT NULL,
    doubt text,
    corrects uuid CONSTRAINT fk_odometer_readings_corrects REFERENCES odometer_readings,
    reason text,
    by_kind text NOT NULL,
    by_id text NOT NULL,
    made_at timestamptz NOT NULL,
    CONSTRAINT ck_odometer_readings_source CHECK (source IN ('pump', 'portal')),
    CONSTRAINT ck_odometer_readings_status CHECK (status IN ('holds', 'doubtful', 'replaced')),
    CONSTRAINT ck_odometer_readings_doubt CHECK ((status = 'doubtful') = (doubt IS NOT NULL) OR status = 'replaced'),
    CONSTRAINT ck_odometer_readings_km CHECK (km >= 0)
);
CREATE INDEX ix_odometer_readings_vehicle_id ON odometer_readings (vehicle_id, read_at, reading_id);
CREATE INDEX ix_odometer_readings_company_id ON odometer_readings (company_id, reading_id);
CREATE UNIQUE INDEX ux_odometer_readings_sale_id ON odometer_readings (sale_id) WHERE source = 'pump';
CREATE INDEX ix_odometer_readings_corrects ON odometer_readings (corrects) WHERE corrects IS NOT NULL;
SELECT fence_tenant(t) FROM unnest(ARRAY['fleet_fills', 'odometer_readings']::regclass[]) t;
"""


def upgrade() -> None:
    """Make them; the collector fills them from the sales there are."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them: they can be collected again, corrections cannot."""
    op.execute("DROP TABLE odometer_readings, fleet_fills, fleet_marks")
