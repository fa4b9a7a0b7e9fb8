"""Fuel on account: what the office agreed with a company, its bills by period, and what it was told when one was late."""

from alembic import op

revision = "0049"
down_revision = "0051"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE company_credits (
    company_id uuid NOT NULL CONSTRAINT pk_company_credits PRIMARY KEY
        CONSTRAINT fk_company_credits_company_id REFERENCES companies,
    limit_minor bigint NOT NULL,
    terms_days smallint NOT NULL,
    block_after_days smallint NOT NULL,
    loads_seen_minor bigint NOT NULL,
    billed_until timestamptz NOT NULL,
    blocked_at timestamptz,
    updated_at timestamptz NOT NULL,
    CONSTRAINT ck_company_credits_terms CHECK (limit_minor >= 0 AND terms_days BETWEEN 0 AND 365 AND block_after_days BETWEEN 0 AND 365)
);
CREATE TABLE credit_proposals (
    proposal_id uuid NOT NULL CONSTRAINT pk_credit_proposals PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_credit_proposals_company_id REFERENCES companies,
    limit_minor bigint NOT NULL,
    terms_days smallint NOT NULL,
    block_after_days smallint NOT NULL,
    note text NOT NULL,
    status text NOT NULL,
    made_by uuid NOT NULL,
    made_at timestamptz NOT NULL,
    decided_by uuid,
    decided_at timestamptz,
    CONSTRAINT ck_credit_proposals_status CHECK (status IN ('proposed', 'approved', 'rejected', 'withdrawn')),
    CONSTRAINT ck_credit_proposals_terms CHECK (limit_minor >= 0 AND terms_days BETWEEN 0 AND 365 AND block_after_days BETWEEN 0 AND 365),
    CONSTRAINT ck_credit_proposals_decided CHECK ((status = 'proposed') = (decided_at IS NULL))
);
CREATE UNIQUE INDEX ux_credit_proposals_open ON credit_proposals (company_id) WHERE status = 'proposed';
CREATE INDEX ix_credit_proposals_company_id ON credit_proposals (company_id, proposal_id);
CREATE TABLE credit_bills (
    bill_id uuid NOT NULL CONSTRAINT pk_credit_bills PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_credit_bills_company_id REFERENCES companies,
    first_day date NOT NULL,
    end_day date NOT NULL,
    due_day date NOT NULL,
    billed_minor bigint NOT NULL,
    repaid_minor bigint NOT NULL,
    made_at timestamptz NOT NULL,
    settled_at timestamptz,
    CONSTRAINT ck_credit_bills_amounts CHECK (billed_minor > 0 AND repaid_minor BETWEEN 0 AND billed_minor),
    CONSTRAINT ck_credit_bills_settled CHECK ((repaid_minor = billed_minor) = (settled_at IS NOT NULL)),
    CONSTRAINT ck_credit_bills_days CHECK (end_day > first_day AND due_day >= end_day)
);
CREATE UNIQUE INDEX ux_credit_bills_period ON credit_bills (company_id, first_day);
CREATE INDEX ix_credit_bills_open ON credit_bills (company_id, due_day, bill_id) WHERE settled_at IS NULL;
CREATE TABLE credit_notices (
    bill_id uuid NOT NULL CONSTRAINT fk_credit_notices_bill_id REFERENCES credit_bills,
    step smallint NOT NULL,
    company_id uuid NOT NULL CONSTRAINT fk_credit_notices_company_id REFERENCES companies,
    owed_minor bigint NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT pk_credit_notices PRIMARY KEY (bill_id, step),
    CONSTRAINT ck_credit_notices_step CHECK (step > 0)
);
CREATE INDEX ix_credit_notices_company_id ON credit_notices (company_id, at);
SELECT fence_tenant(t) FROM unnest(ARRAY['company_credits', 'credit_proposals', 'credit_bills', 'credit_notices']::regclass[]) t;
REVOKE UPDATE, DELETE, TRUNCATE ON credit_notices FROM loyalty_hot, loyalty_jobs, loyalty_portal;
-- The issuer's office and its jobs write what a company owes; its own portal reads it.
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON company_credits, credit_proposals, credit_bills, credit_notices FROM loyalty_portal;
"""


def upgrade() -> None:
    """Make them."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them; limits on purses stay as they are."""
    op.execute("DROP TABLE credit_notices, credit_bills, credit_proposals, company_credits")
