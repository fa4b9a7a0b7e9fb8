"""Closed months of partners, which never change, and disputes of their lines."""

from alembic import op

revision = "0066"
down_revision = "0065"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE partner_statements (
    partner_id uuid NOT NULL CONSTRAINT fk_partner_statements_partner_id REFERENCES partners,
    month date NOT NULL,
    lines integer NOT NULL,
    currency text NOT NULL,
    opening_minor bigint NOT NULL,
    due_minor bigint NOT NULL,
    closing_minor bigint NOT NULL,
    facts jsonb NOT NULL,
    totals jsonb NOT NULL,
    digest bytea NOT NULL,
    closed_at timestamptz NOT NULL,
    closed_by text NOT NULL,
    CONSTRAINT pk_partner_statements PRIMARY KEY (partner_id, month),
    CONSTRAINT ck_partner_statements_month CHECK (month = date_trunc('month', month)::date),
    CONSTRAINT ck_partner_statements_closing CHECK (closing_minor = opening_minor + due_minor),
    CONSTRAINT ck_partner_statements_lines CHECK (lines >= 0 AND octet_length(digest) = 32)
);
CREATE FUNCTION partner_statement_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a closed month never changes' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER partner_statement_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON partner_statements
    FOR EACH STATEMENT EXECUTE FUNCTION partner_statement_stands();
CREATE TABLE partner_disputes (
    dispute_id uuid NOT NULL CONSTRAINT pk_partner_disputes PRIMARY KEY,
    partner_id uuid NOT NULL CONSTRAINT fk_partner_disputes_partner_id REFERENCES partners,
    number bigint NOT NULL,
    reason text NOT NULL,
    said text NOT NULL,
    wanted_minor bigint NOT NULL,
    status text NOT NULL,
    opened_at timestamptz NOT NULL,
    opened_by text NOT NULL,
    answer text NOT NULL,
    proposed_minor bigint,
    proposed_by uuid CONSTRAINT fk_partner_disputes_proposed_by REFERENCES staff,
    decided_by uuid CONSTRAINT fk_partner_disputes_decided_by REFERENCES staff,
    decided_at timestamptz,
    adjustment bigint,
    CONSTRAINT fk_partner_disputes_partner_id_number FOREIGN KEY (partner_id, number) REFERENCES partner_lines (partner_id, number),
    CONSTRAINT ck_partner_disputes_status CHECK (status IN ('open', 'proposed', 'upheld', 'rejected', 'withdrawn')),
    CONSTRAINT ck_partner_disputes_reason CHECK (reason IN ('amount', 'not_ours', 'twice', 'rate', 'missing', 'other')),
    CONSTRAINT ck_partner_disputes_proposed CHECK ((status IN ('proposed', 'upheld')) = (proposed_minor IS NOT NULL)),
    CONSTRAINT ck_partner_disputes_proposed_by CHECK ((proposed_minor IS NULL) = (proposed_by IS NULL)),
    CONSTRAINT ck_partner_disputes_proposed_minor CHECK (proposed_minor <> 0),
    CONSTRAINT ck_partner_disputes_adjustment CHECK ((status = 'upheld') = (adjustment IS NOT NULL)),
    CONSTRAINT ck_partner_disputes_decided_at CHECK ((status IN ('upheld', 'rejected', 'withdrawn')) = (decided_at IS NOT NULL)),
    CONSTRAINT ck_partner_disputes_two_people CHECK (status <> 'upheld' OR decided_by <> proposed_by)
);
CREATE UNIQUE INDEX ux_partner_disputes_standing ON partner_disputes (partner_id, number) WHERE status IN ('open', 'proposed');
CREATE INDEX ix_partner_disputes_partner_id ON partner_disputes (partner_id, dispute_id);
CREATE INDEX ix_partner_disputes_waiting ON partner_disputes (dispute_id) WHERE status IN ('open', 'proposed');
"""


def upgrade() -> None:
    """Make them."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE partner_disputes, partner_statements")
    op.execute("DROP FUNCTION partner_statement_stands()")
