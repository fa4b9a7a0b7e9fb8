"""What the pump refused and the company was asked about; who stands in for who answers."""

from alembic import op

revision = "0036"
down_revision = "0034"
branch_labels = None
depends_on = None

CHANGE = """
CREATE TABLE company_deputies (
    company_id uuid NOT NULL CONSTRAINT fk_company_deputies_company_id REFERENCES companies,
    user_id uuid NOT NULL CONSTRAINT fk_company_deputies_user_id REFERENCES portal_users,
    named_at timestamptz NOT NULL,
    CONSTRAINT pk_company_deputies PRIMARY KEY (company_id, user_id)
);

CREATE TABLE approvals (
    approval_id uuid NOT NULL CONSTRAINT pk_approvals PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_approvals_company_id REFERENCES companies,
    account_id uuid NOT NULL,
    authorization_id uuid NOT NULL,
    chain_id uuid NOT NULL,
    card_id uuid NOT NULL,
    station_id uuid NOT NULL CONSTRAINT fk_approvals_station_id REFERENCES stations,
    product_id uuid,
    "limit" text NOT NULL,
    asked_minor bigint,
    asked_milli bigint,
    asked_at timestamptz NOT NULL,
    deputy_at timestamptz NOT NULL,
    decide_at timestamptz NOT NULL,
    status text NOT NULL,
    decided_at timestamptz,
    decided_by text,
    decided_by_id text,
    reason text,
    release_id uuid CONSTRAINT fk_approvals_release_id REFERENCES limit_releases,
    CONSTRAINT ck_approvals_status CHECK (status IN ('asked', 'approved', 'refused')),
    CONSTRAINT ck_approvals_decided_by CHECK (decided_by IN ('manager', 'deputy', 'policy')),
    CONSTRAINT ck_approvals_decided CHECK ((status = 'asked') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)),
    CONSTRAINT ck_approvals_release CHECK ((status = 'approved') = (release_id IS NOT NULL)),
    CONSTRAINT ck_approvals_waits CHECK (asked_at <= deputy_at AND deputy_at <= decide_at)
);
CREATE UNIQUE INDEX ux_approvals_authorization_id ON approvals (account_id, authorization_id);
CREATE INDEX ix_approvals_company_id ON approvals (company_id, approval_id);
CREATE INDEX ix_approvals_decide_at ON approvals (decide_at) WHERE status = 'asked';
SELECT fence_tenant(t) FROM unnest(ARRAY['approvals', 'company_deputies']::regclass[]) t;
"""

BACK = """
DROP TABLE approvals, company_deputies;
"""


def upgrade() -> None:
    """Let the company be asked."""
    op.execute(CHANGE)


def downgrade() -> None:
    """Let it not be asked."""
    op.execute(BACK)
