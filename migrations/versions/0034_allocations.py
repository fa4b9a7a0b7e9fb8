"""Working calendars; moves between a company's pool and its cards; the monthly allocation: rates, requests, runs and their lines."""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

CALENDAR = """
CREATE TABLE calendar_years (
    country text NOT NULL,
    year smallint NOT NULL,
    covered boolean NOT NULL,
    source text NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pk_calendar_years PRIMARY KEY (country, year),
    CONSTRAINT ck_calendar_years_year CHECK (year BETWEEN 1990 AND 2200)
);
CREATE TABLE calendar_days (
    country text NOT NULL,
    day date NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    source text NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT pk_calendar_days PRIMARY KEY (country, day),
    CONSTRAINT ck_calendar_days_kind CHECK (kind IN ('workday', 'rest', 'holiday'))
);
-- A company's portal reads the working calendar and never writes it.
REVOKE INSERT, UPDATE, DELETE ON calendar_years, calendar_days FROM loyalty_portal;
"""

TABLES = """
CREATE TABLE pool_moves (
    operation_id uuid NOT NULL CONSTRAINT pk_pool_moves PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_pool_moves_company_id REFERENCES companies,
    account_id uuid NOT NULL,
    chain_id uuid NOT NULL,
    card_id uuid NOT NULL,
    direction text NOT NULL,
    asked_minor bigint,
    amount_minor bigint NOT NULL,
    transfer_id uuid,
    reason text NOT NULL,
    actor_kind text NOT NULL,
    actor_id text NOT NULL,
    moved_at timestamptz NOT NULL,
    CONSTRAINT ck_pool_moves_direction CHECK (direction IN ('allocated', 'gathered')),
    CONSTRAINT ck_pool_moves_amount CHECK (amount_minor >= 0 AND (amount_minor > 0) = (transfer_id IS NOT NULL)),
    CONSTRAINT ck_pool_moves_asked CHECK (asked_minor > 0)
);
CREATE INDEX ix_pool_moves_company_id ON pool_moves (company_id, operation_id);
CREATE INDEX ix_pool_moves_chain_id ON pool_moves (chain_id, moved_at);

CREATE TABLE allocation_settings (
    company_id uuid NOT NULL CONSTRAINT pk_allocation_settings PRIMARY KEY
        CONSTRAINT fk_allocation_settings_company_id REFERENCES companies,
    standing boolean NOT NULL,
    early_below_percent smallint NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT ck_allocation_settings_percent CHECK (early_below_percent BETWEEN 0 AND 100)
);

CREATE TABLE allocation_rates (
    rate_id uuid NOT NULL CONSTRAINT pk_allocation_rates PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_allocation_rates_company_id REFERENCES companies,
    vehicle_type text NOT NULL,
    from_ml integer NOT NULL,
    below_ml integer,
    quantity_milli bigint,
    amount_minor bigint,
    factor_percent smallint,
    updated_at timestamptz NOT NULL,
    CONSTRAINT ck_allocation_rates_band CHECK (from_ml >= 0 AND (below_ml IS NULL OR below_ml > from_ml)),
    CONSTRAINT ck_allocation_rates_figure CHECK ((quantity_milli IS NULL) <> (amount_minor IS NULL)),
    CONSTRAINT ck_allocation_rates_sizes CHECK (quantity_milli > 0 AND amount_minor > 0),
    CONSTRAINT ck_allocation_rates_factor CHECK (factor_percent BETWEEN 1 AND 500)
);
CREATE UNIQUE INDEX ux_allocation_rates_band ON allocation_rates (company_id, vehicle_type, from_ml);

CREATE TABLE allocation_requests (
    request_id uuid NOT NULL CONSTRAINT pk_allocation_requests PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_allocation_requests_company_id REFERENCES companies,
    kind text NOT NULL,
    period_from date NOT NULL,
    period_to date NOT NULL,
    chain_id uuid NOT NULL,
    vehicle_id uuid CONSTRAINT fk_allocation_requests_vehicle_id REFERENCES vehicles,
    department_id uuid CONSTRAINT fk_allocation_requests_department_id REFERENCES departments,
    proposal_minor bigint NOT NULL,
    basis jsonb NOT NULL,
    wanted_minor bigint NOT NULL,
    reason text NOT NULL,
    status text NOT NULL,
    checks jsonb NOT NULL,
    checked_at timestamptz,
    requested_by text,
    requested_at timestamptz,
    department_by text,
    department_at timestamptz,
    decided_by text,
    decided_at timestamptz,
    note text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT ck_allocation_requests_kind CHECK (kind IN ('monthly', 'early')),
    CONSTRAINT ck_allocation_requests_status CHECK (status IN
        ('draft', 'requested', 'department_approved', 'approved', 'refused', 'loaded', 'failed', 'withdrawn')),
    CONSTRAINT ck_allocation_requests_period CHECK (period_to > period_from),
    CONSTRAINT ck_allocation_requests_amounts CHECK (proposal_minor >= 0 AND wanted_minor >= 0),
    CONSTRAINT ck_allocation_requests_four_eyes CHECK
        (department_by IS NULL OR decided_by IS NULL OR department_by <> decided_by)
);
CREATE UNIQUE INDEX ux_allocation_requests_monthly ON allocation_requests (company_id, period_from, chain_id)
    WHERE kind = 'monthly' AND status NOT IN ('refused', 'withdrawn');
CREATE UNIQUE INDEX ux_allocation_requests_early ON allocation_requests (company_id, chain_id)
    WHERE kind = 'early' AND status IN ('draft', 'requested', 'department_approved', 'approved', 'failed');
CREATE INDEX ix_allocation_requests_status ON allocation_requests (company_id, status, period_from);

CREATE TABLE allocation_runs (
    run_id uuid NOT NULL CONSTRAINT pk_allocation_runs PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_allocation_runs_company_id REFERENCES companies,
    kind text NOT NULL,
    period_from date NOT NULL,
    period_to date NOT NULL,
    check_on date,
    status text NOT NULL,
    alarm text,
    lines integer NOT NULL,
    loaded integer NOT NULL,
    refused integer NOT NULL,
    amount_minor bigint NOT NULL,
    loaded_minor bigint NOT NULL,
    gathered_minor bigint NOT NULL,
    started_by text,
    started_at timestamptz,
    heartbeat_at timestamptz,
    finished_at timestamptz,
    created_at timestamptz NOT NULL,
    CONSTRAINT ck_allocation_runs_kind CHECK (kind IN ('monthly', 'early')),
    CONSTRAINT ck_allocation_runs_status CHECK (status IN ('alarm', 'prepared', 'loading', 'done')),
    CONSTRAINT ck_allocation_runs_counts CHECK (loaded >= 0 AND refused >= 0 AND loaded + refused <= lines),
    CONSTRAINT ck_allocation_runs_alarm CHECK ((status = 'alarm') = (alarm IS NOT NULL))
);
CREATE UNIQUE INDEX ux_allocation_runs_monthly ON allocation_runs (company_id, period_from) WHERE kind = 'monthly';
CREATE INDEX ix_allocation_runs_loading ON allocation_runs (run_id) WHERE status = 'loading';
CREATE INDEX ix_allocation_runs_company_id ON allocation_runs (company_id, run_id);

CREATE TABLE allocation_lines (
    run_id uuid NOT NULL CONSTRAINT fk_allocation_lines_run_id REFERENCES allocation_runs,
    line integer NOT NULL,
    company_id uuid NOT NULL CONSTRAINT fk_allocation_lines_company_id REFERENCES companies,
    request_id uuid NOT NULL CONSTRAINT fk_allocation_lines_request_id REFERENCES allocation_requests,
    account_id uuid NOT NULL,
    chain_id uuid NOT NULL,
    card_id uuid,
    amount_minor bigint NOT NULL,
    result text NOT NULL,
    code text,
    gathered_minor bigint NOT NULL,
    loaded_minor bigint NOT NULL,
    load_id uuid,
    gather_id uuid,
    attempts smallint NOT NULL,
    done_at timestamptz,
    CONSTRAINT pk_allocation_lines PRIMARY KEY (run_id, line),
    CONSTRAINT ck_allocation_lines_result CHECK (result IN ('waiting', 'loaded', 'refused')),
    CONSTRAINT ck_allocation_lines_transfers CHECK
        ((loaded_minor > 0) = (load_id IS NOT NULL) AND (gathered_minor > 0) = (gather_id IS NOT NULL)),
    CONSTRAINT ck_allocation_lines_done CHECK ((result = 'waiting') = (done_at IS NULL)),
    CONSTRAINT ck_allocation_lines_money CHECK (result = 'loaded' OR (loaded_minor = 0 AND gathered_minor = 0)),
    CONSTRAINT ck_allocation_lines_amounts CHECK (amount_minor > 0 AND loaded_minor >= 0 AND gathered_minor >= 0)
);
CREATE UNIQUE INDEX ux_allocation_lines_request_id ON allocation_lines (request_id);
CREATE INDEX ix_allocation_lines_waiting ON allocation_lines (run_id, line) WHERE result = 'waiting';

SELECT fence_tenant(t) FROM unnest(ARRAY['pool_moves', 'allocation_settings', 'allocation_rates', 'allocation_requests',
    'allocation_runs', 'allocation_lines']::regclass[]) t;
"""

BACK = """
DROP TABLE allocation_lines, allocation_runs, allocation_requests, allocation_rates, allocation_settings, pool_moves;
DROP TABLE calendar_days, calendar_years;
"""


def upgrade() -> None:
    """Make the calendar and the allocation."""
    op.execute(CALENDAR)
    op.execute(TABLES)


def downgrade() -> None:
    """Forget both."""
    op.execute(BACK)
