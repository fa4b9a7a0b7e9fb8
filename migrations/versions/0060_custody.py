"""Cards that a custodian keeps and lends: who keeps which since when, and each loan with its approval, driver, trip and odometer."""

from alembic import op

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE companies
    ADD COLUMN custody_blocks boolean NOT NULL DEFAULT false,
    ADD COLUMN custodian_lends boolean NOT NULL DEFAULT true;
ALTER TABLE portal_users DROP CONSTRAINT ck_portal_users_role,
    ADD CONSTRAINT ck_portal_users_role CHECK (role IN ('owner', 'fleet_manager', 'finance', 'department_head', 'viewer', 'custodian'));
ALTER TABLE portal_invitations DROP CONSTRAINT ck_portal_invitations_role,
    ADD CONSTRAINT ck_portal_invitations_role
    CHECK (role IN ('owner', 'fleet_manager', 'finance', 'department_head', 'viewer', 'custodian'));
ALTER TABLE odometer_readings DROP CONSTRAINT ck_odometer_readings_source,
    ADD CONSTRAINT ck_odometer_readings_source CHECK (source IN ('pump', 'portal', 'custody'));
ALTER TABLE company_notices DROP CONSTRAINT ck_company_notices_kind,
    ADD CONSTRAINT ck_company_notices_kind CHECK (kind IN (
        'pump_asks', 'pump_unanswered', 'finding', 'allocation_prepared', 'allocation_stopped', 'allocation_loaded', 'period_closed',
        'bill_made', 'bill_late', 'credit_blocked', 'credit_lifted', 'dispute_answered', 'dispute_decided', 'invoice_decided',
        'card_to_recall', 'card_overdue'));
CREATE INDEX ix_fleet_fills_chain_id ON fleet_fills (chain_id, event_at) WHERE chain_id IS NOT NULL;
CREATE TABLE card_custodies (
    chain_id uuid NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz,
    company_id uuid NOT NULL CONSTRAINT fk_card_custodies_company_id REFERENCES companies,
    keeper_id uuid NOT NULL CONSTRAINT fk_card_custodies_keeper_id REFERENCES portal_users,
    set_by_kind text NOT NULL,
    set_by_id text NOT NULL,
    CONSTRAINT pk_card_custodies PRIMARY KEY (chain_id, since),
    CONSTRAINT ck_card_custodies_period CHECK (until IS NULL OR until > since)
);
CREATE UNIQUE INDEX ux_card_custodies_standing ON card_custodies (chain_id) WHERE until IS NULL;
CREATE INDEX ix_card_custodies_company_id ON card_custodies (company_id, chain_id);
CREATE INDEX ix_card_custodies_keeper_id ON card_custodies (keeper_id) WHERE until IS NULL;
CREATE TABLE card_loans (
    loan_id uuid NOT NULL CONSTRAINT pk_card_loans PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_card_loans_company_id REFERENCES companies,
    chain_id uuid NOT NULL,
    card_id uuid NOT NULL CONSTRAINT fk_card_loans_card_id REFERENCES cards,
    driver_id uuid NOT NULL CONSTRAINT fk_card_loans_driver_id REFERENCES drivers,
    vehicle_id uuid CONSTRAINT fk_card_loans_vehicle_id REFERENCES vehicles,
    department_id uuid CONSTRAINT fk_card_loans_department_id REFERENCES departments,
    destination text NOT NULL,
    purpose text NOT NULL,
    begins_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    status text NOT NULL,
    asked_at timestamptz NOT NULL,
    asked_by uuid NOT NULL CONSTRAINT fk_card_loans_asked_by REFERENCES portal_users,
    decided_at timestamptz,
    decided_by uuid CONSTRAINT fk_card_loans_decided_by REFERENCES portal_users,
    reason text,
    lent_at timestamptz,
    lent_by uuid CONSTRAINT fk_card_loans_lent_by REFERENCES portal_users,
    out_reading_id uuid CONSTRAINT fk_card_loans_out_reading_id REFERENCES odometer_readings,
    returned_at timestamptz,
    returned_to uuid CONSTRAINT fk_card_loans_returned_to REFERENCES portal_users,
    in_reading_id uuid CONSTRAINT fk_card_loans_in_reading_id REFERENCES odometer_readings,
    note text,
    overdue_told_at timestamptz,
    CONSTRAINT ck_card_loans_status CHECK (status IN ('requested', 'approved', 'refused', 'withdrawn', 'lent', 'returned')),
    CONSTRAINT ck_card_loans_period CHECK (due_at > begins_at),
    CONSTRAINT ck_card_loans_decided CHECK (
        (decided_at IS NULL) = (decided_by IS NULL)
        AND CASE WHEN status IN ('requested', 'withdrawn') THEN true ELSE decided_at IS NOT NULL END
        AND (status <> 'refused' OR reason IS NOT NULL)),
    CONSTRAINT ck_card_loans_lent CHECK (
        (status IN ('lent', 'returned')) = (lent_at IS NOT NULL) AND (lent_at IS NULL) = (lent_by IS NULL)),
    CONSTRAINT ck_card_loans_returned CHECK (
        (status = 'returned') = (returned_at IS NOT NULL) AND (returned_at IS NULL) = (returned_to IS NULL)),
    CONSTRAINT ck_card_loans_readings CHECK (
        (out_reading_id IS NULL OR lent_at IS NOT NULL) AND (in_reading_id IS NULL OR returned_at IS NOT NULL))
);
CREATE UNIQUE INDEX ux_card_loans_standing ON card_loans (chain_id) WHERE status IN ('approved', 'lent');
CREATE INDEX ix_card_loans_company_id ON card_loans (company_id, loan_id);
CREATE INDEX ix_card_loans_chain_id ON card_loans (chain_id, lent_at);
CREATE INDEX ix_card_loans_department_id ON card_loans (department_id, loan_id) WHERE department_id IS NOT NULL;
CREATE INDEX ix_card_loans_waiting ON card_loans (company_id) WHERE status = 'requested';
CREATE INDEX ix_card_loans_due ON card_loans (due_at) WHERE status = 'lent';
SELECT fence_tenant(t) FROM unnest(ARRAY['card_custodies', 'card_loans']::regclass[]) t;
"""
BACK = """
DROP TABLE card_loans, card_custodies;
DROP INDEX ix_fleet_fills_chain_id;
DELETE FROM company_notices WHERE kind = 'card_overdue';
ALTER TABLE company_notices DROP CONSTRAINT ck_company_notices_kind,
    ADD CONSTRAINT ck_company_notices_kind CHECK (kind IN (
        'pump_asks', 'pump_unanswered', 'finding', 'allocation_prepared', 'allocation_stopped', 'allocation_loaded', 'period_closed',
        'bill_made', 'bill_late', 'credit_blocked', 'credit_lifted', 'dispute_answered', 'dispute_decided', 'invoice_decided',
        'card_to_recall'));
UPDATE odometer_readings SET source = 'portal' WHERE source = 'custody';
ALTER TABLE odometer_readings DROP CONSTRAINT ck_odometer_readings_source,
    ADD CONSTRAINT ck_odometer_readings_source CHECK (source IN ('pump', 'portal'));
UPDATE portal_users SET role = 'viewer' WHERE role = 'custodian';
UPDATE portal_invitations SET role = 'viewer' WHERE role = 'custodian';
ALTER TABLE portal_users DROP CONSTRAINT ck_portal_users_role,
    ADD CONSTRAINT ck_portal_users_role CHECK (role IN ('owner', 'fleet_manager', 'finance', 'department_head', 'viewer'));
ALTER TABLE portal_invitations DROP CONSTRAINT ck_portal_invitations_role,
    ADD CONSTRAINT ck_portal_invitations_role CHECK (role IN ('owner', 'fleet_manager', 'finance', 'department_head', 'viewer'));
ALTER TABLE companies DROP COLUMN custody_blocks, DROP COLUMN custodian_lends;
"""


def upgrade() -> None:
    """Make them."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them; custodians may only look again, and a card that was blocked while it was kept no longer asks for a permit."""
    op.execute("UPDATE limit_chains SET needs = needs & ~16 WHERE needs & 16 <> 0")
    op.execute(BACK)
