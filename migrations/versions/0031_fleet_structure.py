"""Companies, departments, vehicles, drivers and which card belongs to which; a portal's session sees its own company's rows only."""

from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE companies (
    company_id uuid NOT NULL CONSTRAINT pk_companies PRIMARY KEY CONSTRAINT fk_companies_company_id REFERENCES customers,
    account_id uuid NOT NULL,
    parent_id uuid CONSTRAINT fk_companies_parent_id REFERENCES companies,
    mode text NOT NULL,
    currency text NOT NULL,
    time_zone text NOT NULL,
    period_day smallint NOT NULL,
    check_day smallint NOT NULL,
    workday_mode text NOT NULL,
    needs_records boolean NOT NULL,
    needs_odometer boolean NOT NULL,
    unused text NOT NULL,
    silence text NOT NULL,
    deputy_after_s integer NOT NULL,
    decide_after_s integer NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT ck_companies_mode CHECK (mode IN ('pooled', 'allocated', 'mixed')),
    CONSTRAINT ck_companies_workday_mode CHECK (workday_mode IN ('following', 'preceding')),
    CONSTRAINT ck_companies_unused CHECK (unused IN ('kept', 'gathered', 'capped')),
    CONSTRAINT ck_companies_silence CHECK (silence IN ('refuse', 'approve')),
    CONSTRAINT ck_companies_days CHECK (period_day BETWEEN 1 AND 28 AND check_day BETWEEN 1 AND 28),
    CONSTRAINT ck_companies_waits CHECK (deputy_after_s > 0 AND decide_after_s >= deputy_after_s),
    CONSTRAINT ck_companies_parent CHECK (parent_id <> company_id)
);
CREATE UNIQUE INDEX ux_companies_account_id ON companies (account_id);
CREATE INDEX ix_companies_parent_id ON companies (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE departments (
    department_id uuid NOT NULL CONSTRAINT pk_departments PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_departments_company_id REFERENCES companies,
    parent_id uuid CONSTRAINT fk_departments_parent_id REFERENCES departments,
    name text NOT NULL,
    cost_centre text,
    created_at timestamptz NOT NULL,
    closed_at timestamptz,
    CONSTRAINT ck_departments_parent CHECK (parent_id <> department_id)
);
CREATE UNIQUE INDEX ux_departments_name ON departments (company_id, name) WHERE closed_at IS NULL;
CREATE INDEX ix_departments_parent_id ON departments (parent_id) WHERE parent_id IS NOT NULL;

CREATE TABLE vehicles (
    vehicle_id uuid NOT NULL CONSTRAINT pk_vehicles PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_vehicles_company_id REFERENCES companies,
    department_id uuid CONSTRAINT fk_vehicles_department_id REFERENCES departments,
    plate text NOT NULL,
    plate_key text NOT NULL,
    country text NOT NULL,
    vin text,
    type text NOT NULL,
    displacement_ml integer,
    tank_milli bigint,
    product_code text,
    norm_milli bigint,
    ownership text NOT NULL,
    fixed_amount_minor bigint,
    substitute_for uuid CONSTRAINT fk_vehicles_substitute_for REFERENCES vehicles,
    odometer_km bigint,
    odometer_at timestamptz,
    status text NOT NULL,
    created_at timestamptz NOT NULL,
    closed_at timestamptz,
    CONSTRAINT ck_vehicles_ownership CHECK (ownership IN ('company', 'private', 'issuer')),
    CONSTRAINT ck_vehicles_status CHECK (status IN ('active', 'in_repair', 'closed')),
    CONSTRAINT ck_vehicles_closed CHECK ((status = 'closed') = (closed_at IS NOT NULL)),
    CONSTRAINT ck_vehicles_sizes CHECK
        (displacement_ml > 0 AND tank_milli > 0 AND norm_milli > 0 AND odometer_km >= 0 AND fixed_amount_minor >= 0),
    CONSTRAINT ck_vehicles_odometer CHECK ((odometer_km IS NULL) = (odometer_at IS NULL)),
    CONSTRAINT ck_vehicles_substitute CHECK (substitute_for <> vehicle_id)
);
CREATE UNIQUE INDEX ux_vehicles_plate_key ON vehicles (company_id, plate_key) WHERE closed_at IS NULL;
CREATE INDEX ix_vehicles_company_id ON vehicles (company_id, vehicle_id);
CREATE INDEX ix_vehicles_department_id ON vehicles (department_id) WHERE department_id IS NOT NULL;
CREATE INDEX ix_vehicles_substitute_for ON vehicles (substitute_for) WHERE substitute_for IS NOT NULL;

CREATE TABLE drivers (
    driver_id uuid NOT NULL CONSTRAINT pk_drivers PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_drivers_company_id REFERENCES companies,
    department_id uuid CONSTRAINT fk_drivers_department_id REFERENCES departments,
    number text NOT NULL,
    name text NOT NULL,
    phone_sealed bytea,
    phone_tail text,
    licence_class text,
    licence_until date,
    pin_verifier bytea,
    pin_generation smallint DEFAULT 0 NOT NULL,
    status text NOT NULL,
    created_at timestamptz NOT NULL,
    left_at timestamptz,
    CONSTRAINT ck_drivers_status CHECK (status IN ('active', 'away', 'left')),
    CONSTRAINT ck_drivers_left CHECK ((status = 'left') = (left_at IS NOT NULL)),
    CONSTRAINT ck_drivers_number CHECK (number ~ '^[0-9]{1,12}$'),
    CONSTRAINT ck_drivers_phone CHECK ((phone_sealed IS NULL) = (phone_tail IS NULL))
);
CREATE UNIQUE INDEX ux_drivers_number ON drivers (company_id, number);
CREATE INDEX ix_drivers_company_id ON drivers (company_id, driver_id);
CREATE INDEX ix_drivers_department_id ON drivers (department_id) WHERE department_id IS NOT NULL;

CREATE TABLE card_bindings (
    chain_id uuid NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz,
    company_id uuid NOT NULL CONSTRAINT fk_card_bindings_company_id REFERENCES companies,
    vehicle_id uuid CONSTRAINT fk_card_bindings_vehicle_id REFERENCES vehicles,
    driver_id uuid CONSTRAINT fk_card_bindings_driver_id REFERENCES drivers,
    department_id uuid CONSTRAINT fk_card_bindings_department_id REFERENCES departments,
    bound_by_kind text NOT NULL,
    bound_by_id text NOT NULL,
    CONSTRAINT pk_card_bindings PRIMARY KEY (chain_id, since),
    CONSTRAINT ck_card_bindings_period CHECK (until IS NULL OR until > since)
);
CREATE UNIQUE INDEX ux_card_bindings_standing ON card_bindings (chain_id) WHERE until IS NULL;
CREATE INDEX ix_card_bindings_company_id ON card_bindings (company_id, chain_id);
CREATE INDEX ix_card_bindings_vehicle_id ON card_bindings (vehicle_id) WHERE vehicle_id IS NOT NULL;
CREATE INDEX ix_card_bindings_driver_id ON card_bindings (driver_id) WHERE driver_id IS NOT NULL;
CREATE INDEX ix_card_bindings_department_id ON card_bindings (department_id) WHERE department_id IS NOT NULL;
"""

TENANTS = """
-- A portal's transaction says whose it is (`app.tenant`); said nothing, it sees nothing. The issuer's own roles see all.
CREATE FUNCTION fence_tenant(p_table regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', p_table);
    EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', p_table);
    EXECUTE format('CREATE POLICY tenant ON %s TO loyalty_portal '
        'USING (company_id = nullif(current_setting(''app.tenant'', true), '''')::uuid)', p_table);
    EXECUTE format('CREATE POLICY issuer ON %s TO loyalty_hot, loyalty_jobs, %I USING (true)', p_table, current_user);
END $$;
REVOKE EXECUTE ON FUNCTION fence_tenant FROM PUBLIC;
SELECT fence_tenant(t) FROM unnest(ARRAY['companies', 'departments', 'vehicles', 'drivers', 'card_bindings']::regclass[]) t;
"""

BACK = """
DROP TABLE card_bindings, drivers, vehicles, departments, companies;
DROP FUNCTION fence_tenant;
"""


def upgrade() -> None:
    """Make the structure and its fences."""
    op.execute(TABLES)
    op.execute(TENANTS)


def downgrade() -> None:
    """Forget the structure."""
    op.execute(BACK)
