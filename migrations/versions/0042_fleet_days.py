"""What fills come to by day and by vehicle and period, so that a company's pages stay quick over years."""

from alembic import op

revision = "0042"
down_revision = "0044"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE fleet_days (
    company_id uuid NOT NULL CONSTRAINT fk_fleet_days_company_id REFERENCES companies,
    by text NOT NULL,
    day date NOT NULL,
    subject_id uuid NOT NULL,
    product_id uuid NOT NULL,
    fills bigint NOT NULL,
    quantity_milli bigint NOT NULL,
    gross_minor bigint NOT NULL,
    discount_minor bigint NOT NULL,
    card_minor bigint NOT NULL,
    CONSTRAINT pk_fleet_days PRIMARY KEY (company_id, by, day, subject_id, product_id),
    CONSTRAINT ck_fleet_days_by CHECK (by IN ('department', 'station'))
);
CREATE TABLE vehicle_periods (
    company_id uuid NOT NULL CONSTRAINT fk_vehicle_periods_company_id REFERENCES companies,
    period_day smallint NOT NULL,
    first date NOT NULL,
    vehicle_id uuid NOT NULL CONSTRAINT fk_vehicle_periods_vehicle_id REFERENCES vehicles,
    fills bigint NOT NULL,
    quantity_milli bigint NOT NULL,
    gross_minor bigint NOT NULL,
    discount_minor bigint NOT NULL,
    card_minor bigint NOT NULL,
    km bigint,
    CONSTRAINT ck_vehicle_periods_km CHECK (km > 0),
    CONSTRAINT pk_vehicle_periods PRIMARY KEY (company_id, period_day, first, vehicle_id)
);
CREATE INDEX ix_vehicle_periods_vehicle_id ON vehicle_periods (vehicle_id, period_day, first);
SELECT fence_tenant(t) FROM unnest(ARRAY['fleet_days', 'vehicle_periods']::regclass[]) t;
"""


def upgrade() -> None:
    """Make them; the collecting job sums up what there is."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them: they can be summed again."""
    op.execute("DROP TABLE vehicle_periods, fleet_days")
