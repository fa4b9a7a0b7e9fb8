"""What a company's statements come to, kept as far as all is booked; a reader adds what was booked since."""

from alembic import op

revision = "0058"
down_revision = "0057"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE statement_marks (
    company_id uuid NOT NULL CONSTRAINT fk_statement_marks_company_id REFERENCES companies,
    begins_at timestamptz NOT NULL,
    summed_to timestamptz NOT NULL,
    CONSTRAINT pk_statement_marks PRIMARY KEY (company_id, begins_at)
);
CREATE TABLE statement_sums (
    company_id uuid NOT NULL,
    begins_at timestamptz NOT NULL,
    by text NOT NULL,
    department_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    fills bigint NOT NULL,
    refunds bigint NOT NULL,
    quantity_milli bigint NOT NULL,
    gross_minor bigint NOT NULL,
    discount_minor bigint NOT NULL,
    card_minor bigint NOT NULL,
    CONSTRAINT pk_statement_sums PRIMARY KEY (company_id, begins_at, by, department_id, subject_id),
    CONSTRAINT fk_statement_sums_company_id FOREIGN KEY (company_id, begins_at) REFERENCES statement_marks,
    CONSTRAINT ck_statement_sums_by CHECK (by IN ('product', 'vehicle', 'driver'))
) WITH (fillfactor = 80);
CREATE TABLE statement_moves (
    company_id uuid NOT NULL,
    begins_at timestamptz NOT NULL,
    kind smallint NOT NULL,
    net_minor bigint NOT NULL,
    CONSTRAINT pk_statement_moves PRIMARY KEY (company_id, begins_at, kind),
    CONSTRAINT fk_statement_moves_company_id FOREIGN KEY (company_id, begins_at) REFERENCES statement_marks
);
-- What is kept is the job's and the closing's to write; a portal reads.
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON statement_marks, statement_sums, statement_moves FROM loyalty_portal;
SELECT fence_tenant(t) FROM unnest(ARRAY['statement_marks', 'statement_sums', 'statement_moves']::regclass[]) t;
"""


def upgrade() -> None:
    """Make them; the job sums up what there is."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them: they can be summed again."""
    op.execute("DROP TABLE statement_moves, statement_sums, statement_marks")
