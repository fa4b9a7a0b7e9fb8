"""Fills that a company disputes."""

from alembic import op

revision = "0047"
down_revision = "0045"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE fill_disputes (
    dispute_id uuid NOT NULL CONSTRAINT pk_fill_disputes PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_fill_disputes_company_id REFERENCES companies,
    account_id uuid NOT NULL,
    sale_id uuid NOT NULL,
    station_id uuid NOT NULL CONSTRAINT fk_fill_disputes_station_id REFERENCES stations,
    reason text NOT NULL,
    comment text NOT NULL,
    wanted_minor bigint NOT NULL,
    currency text NOT NULL,
    status text NOT NULL,
    opened_at timestamptz NOT NULL,
    opened_by text NOT NULL,
    answer_by timestamptz NOT NULL,
    answered_at timestamptz,
    answered_by uuid CONSTRAINT fk_fill_disputes_answered_by REFERENCES staff,
    answer text,
    agrees boolean,
    decided_at timestamptz,
    decided_by uuid CONSTRAINT fk_fill_disputes_decided_by REFERENCES staff,
    decision text,
    refund_id uuid,
    given_minor bigint,
    CONSTRAINT ck_fill_disputes_reason CHECK (reason IN ('not_ours', 'wrong_litres', 'wrong_amount', 'wrong_grade', 'twice', 'other')),
    CONSTRAINT ck_fill_disputes_status CHECK (status IN ('opened', 'answered', 'approved', 'rejected', 'withdrawn')),
    CONSTRAINT ck_fill_disputes_amounts CHECK (wanted_minor > 0 AND (given_minor IS NULL OR given_minor > 0)),
    CONSTRAINT ck_fill_disputes_refund CHECK (
        (status = 'approved') = (refund_id IS NOT NULL) AND (refund_id IS NULL) = (given_minor IS NULL)),
    CONSTRAINT ck_fill_disputes_decided CHECK ((status IN ('approved', 'rejected')) = (decided_at IS NOT NULL)),
    CONSTRAINT ck_fill_disputes_answered CHECK (
        (answered_at IS NULL) = (answer IS NULL) AND (answered_at IS NULL) = (agrees IS NULL)),
    CONSTRAINT ck_fill_disputes_two_people CHECK (decided_by IS NULL OR answered_by IS NULL OR decided_by <> answered_by)
);
CREATE UNIQUE INDEX ux_fill_disputes_standing ON fill_disputes (account_id, sale_id) WHERE status IN ('opened', 'answered');
CREATE INDEX ix_fill_disputes_company_id ON fill_disputes (company_id, dispute_id);
CREATE INDEX ix_fill_disputes_station_id ON fill_disputes (station_id, dispute_id);
CREATE INDEX ix_fill_disputes_sale_id ON fill_disputes (sale_id);
SELECT fence_tenant('fill_disputes'::regclass);
"""


def upgrade() -> None:
    """Make it."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop it."""
    op.execute("DROP TABLE fill_disputes")
