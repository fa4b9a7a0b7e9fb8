"""What companies are told, once each; the notices of late bills become rows of it."""

from alembic import op

revision = "0052"
down_revision = "0049"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE company_notices (
    notice_id uuid NOT NULL CONSTRAINT pk_company_notices PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_company_notices_company_id REFERENCES companies,
    kind text NOT NULL,
    subject_id uuid NOT NULL,
    step integer NOT NULL,
    department_id uuid CONSTRAINT fk_company_notices_department_id REFERENCES departments,
    facts jsonb NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT ck_company_notices_kind CHECK (kind IN (
        'pump_asks', 'pump_unanswered', 'finding', 'allocation_prepared', 'allocation_stopped', 'allocation_loaded', 'period_closed',
        'bill_made', 'bill_late', 'credit_blocked', 'credit_lifted', 'dispute_answered', 'dispute_decided', 'invoice_decided',
        'card_to_recall')),
    CONSTRAINT ck_company_notices_step CHECK (step >= 0)
);
CREATE UNIQUE INDEX ux_company_notices_subject ON company_notices (company_id, kind, subject_id, step);
CREATE INDEX ix_company_notices_company_id ON company_notices (company_id, notice_id);
CREATE INDEX ix_company_notices_department_id ON company_notices (department_id, notice_id) WHERE department_id IS NOT NULL;
CREATE TABLE notice_marks (
    user_id uuid NOT NULL CONSTRAINT pk_notice_marks PRIMARY KEY CONSTRAINT fk_notice_marks_user_id REFERENCES portal_users,
    company_id uuid NOT NULL CONSTRAINT fk_notice_marks_company_id REFERENCES companies,
    read_to timestamptz NOT NULL
);
CREATE INDEX ix_notice_marks_company_id ON notice_marks (company_id);
SELECT fence_tenant(t) FROM unnest(ARRAY['company_notices', 'notice_marks']::regclass[]) t;
REVOKE UPDATE, DELETE, TRUNCATE ON company_notices FROM loyalty_hot, loyalty_jobs, loyalty_portal;
INSERT INTO company_notices (notice_id, company_id, kind, subject_id, step, facts, at)
SELECT uuidv7(n.at - now()), n.company_id, 'bill_late', n.bill_id, n.step, jsonb_build_object('minor', n.owed_minor), n.at
FROM credit_notices n;
DROP TABLE credit_notices;
ALTER TABLE webhook_deliveries DROP CONSTRAINT ck_webhook_deliveries_event, ADD CONSTRAINT ck_webhook_deliveries_event
    CHECK (event IN ('test', 'fill.booked', 'finding.opened', 'approval.asked', 'allocation.loaded'));
CREATE INDEX ix_approvals_asked ON approvals (company_id) WHERE status = 'asked';
"""
BACK = """
DROP INDEX ix_approvals_asked;
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
SELECT fence_tenant('credit_notices'::regclass);
INSERT INTO credit_notices (bill_id, step, company_id, owed_minor, at)
SELECT subject_id, step, company_id, (facts->>'minor')::bigint, at FROM company_notices WHERE kind = 'bill_late';
DROP TABLE notice_marks, company_notices;
ALTER TABLE webhook_deliveries DROP CONSTRAINT ck_webhook_deliveries_event, ADD CONSTRAINT ck_webhook_deliveries_event
    CHECK (event IN ('test', 'fill.booked', 'finding.opened', 'approval.asked')) NOT VALID;
"""


def upgrade() -> None:
    """Make them, with what late bills were told."""
    op.execute(TABLES)


def downgrade() -> None:
    """Put the notices of late bills back where they were; the others are lost."""
    op.execute(BACK)
