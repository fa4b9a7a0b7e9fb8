"""The chain's own use: terms by which fills are booked as its expense; and each repayment of a bill as a row."""

from alembic import op

revision = "0057"
down_revision = "0056"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE company_credits ADD COLUMN own_use boolean NOT NULL DEFAULT false;
ALTER TABLE credit_proposals ADD COLUMN own_use boolean NOT NULL DEFAULT false;
CREATE TABLE credit_repayments (
    bill_id uuid NOT NULL CONSTRAINT fk_credit_repayments_bill_id REFERENCES credit_bills,
    repaid_minor bigint NOT NULL,
    company_id uuid NOT NULL CONSTRAINT fk_credit_repayments_company_id REFERENCES companies,
    amount_minor bigint NOT NULL,
    at timestamptz NOT NULL,
    CONSTRAINT pk_credit_repayments PRIMARY KEY (bill_id, repaid_minor),
    CONSTRAINT ck_credit_repayments_amount CHECK (amount_minor > 0 AND amount_minor <= repaid_minor)
);
CREATE INDEX ix_credit_repayments_company_id ON credit_repayments (company_id, at);
SELECT fence_tenant('credit_repayments'::regclass);
REVOKE UPDATE, DELETE, TRUNCATE ON credit_repayments FROM loyalty_hot, loyalty_jobs, loyalty_portal;
REVOKE INSERT ON credit_repayments FROM loyalty_portal;
INSERT INTO credit_repayments (bill_id, repaid_minor, company_id, amount_minor, at)
SELECT bill_id, repaid_minor, company_id, repaid_minor, coalesce(settled_at, made_at) FROM credit_bills WHERE repaid_minor > 0;
"""


def upgrade() -> None:
    """Make them; what was repaid so far is one row a bill."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE credit_repayments")
    op.execute("ALTER TABLE credit_proposals DROP COLUMN own_use")
    op.execute("ALTER TABLE company_credits DROP COLUMN own_use")
