"""What looks odd about a company's fills, what people made of it, and the thresholds that learn from it."""

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE findings (
    finding_id uuid NOT NULL CONSTRAINT pk_findings PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_findings_company_id REFERENCES companies,
    vehicle_id uuid NOT NULL CONSTRAINT fk_findings_vehicle_id REFERENCES vehicles,
    driver_id uuid CONSTRAINT fk_findings_driver_id REFERENCES drivers,
    account_id uuid NOT NULL,
    sale_id uuid NOT NULL,
    kind text NOT NULL,
    severity text NOT NULL,
    evidence jsonb NOT NULL,
    event_at timestamptz NOT NULL,
    found_at timestamptz NOT NULL,
    disposition text NOT NULL,
    CONSTRAINT ck_findings_kind CHECK (kind IN (
        'above_tank', 'too_soon', 'too_close', 'wrong_grade', 'off_route', 'odd_hours', 'consumption', 'other_plate')),
    CONSTRAINT ck_findings_severity CHECK (severity IN ('low', 'medium', 'high')),
    CONSTRAINT ck_findings_disposition CHECK (disposition IN ('open', 'explained', 'confirmed', 'false'))
);
CREATE UNIQUE INDEX ux_findings_sale_id ON findings (sale_id, kind);
CREATE INDEX ix_findings_company_id ON findings (company_id, event_at, finding_id);
CREATE INDEX ix_findings_open ON findings (company_id, event_at) WHERE disposition = 'open';
CREATE INDEX ix_findings_vehicle_id ON findings (vehicle_id, event_at);
CREATE INDEX ix_findings_driver_id ON findings (driver_id) WHERE driver_id IS NOT NULL;

CREATE TABLE finding_steps (
    step_id uuid NOT NULL CONSTRAINT pk_finding_steps PRIMARY KEY,
    finding_id uuid NOT NULL CONSTRAINT fk_finding_steps_finding_id REFERENCES findings,
    company_id uuid NOT NULL CONSTRAINT fk_finding_steps_company_id REFERENCES companies,
    moved_from text NOT NULL,
    moved_to text NOT NULL,
    note text NOT NULL,
    by_kind text NOT NULL,
    by_id text NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX ix_finding_steps_finding_id ON finding_steps (finding_id, step_id);

CREATE TABLE vehicle_thresholds (
    vehicle_id uuid NOT NULL CONSTRAINT fk_vehicle_thresholds_vehicle_id REFERENCES vehicles,
    kind text NOT NULL,
    company_id uuid NOT NULL CONSTRAINT fk_vehicle_thresholds_company_id REFERENCES companies,
    factor numeric(4, 2) NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pk_vehicle_thresholds PRIMARY KEY (vehicle_id, kind),
    CONSTRAINT ck_vehicle_thresholds_kind CHECK (kind IN (
        'above_tank', 'too_soon', 'too_close', 'wrong_grade', 'off_route', 'odd_hours', 'consumption', 'other_plate')),
    CONSTRAINT ck_vehicle_thresholds_factor CHECK (factor BETWEEN 1 AND 4)
);
SELECT fence_tenant(t) FROM unnest(ARRAY['findings', 'finding_steps', 'vehicle_thresholds']::regclass[]) t;
REVOKE UPDATE, DELETE, TRUNCATE ON finding_steps FROM loyalty_hot, loyalty_jobs, loyalty_portal;
"""


def upgrade() -> None:
    """Make them."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE vehicle_thresholds, finding_steps, findings")
