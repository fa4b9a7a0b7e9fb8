"""Companies' own periods, closed with what their statements said."""

from alembic import op

revision = "0039"
down_revision = "0043"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE company_periods (
    company_id uuid NOT NULL CONSTRAINT fk_company_periods_company_id REFERENCES companies,
    first_day date NOT NULL,
    end_day date NOT NULL,
    begins_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    fills integer NOT NULL,
    refunds integer NOT NULL,
    totals jsonb NOT NULL,
    digest bytea NOT NULL,
    closed_at timestamptz NOT NULL,
    by text NOT NULL,
    CONSTRAINT pk_company_periods PRIMARY KEY (company_id, first_day),
    CONSTRAINT ck_company_periods_bounds CHECK (end_day > first_day AND ends_at > begins_at AND closed_at >= ends_at),
    CONSTRAINT ck_company_periods_counts CHECK (fills >= 0 AND refunds >= 0),
    CONSTRAINT ck_company_periods_digest CHECK (octet_length(digest) = 32)
);
SELECT fence_tenant('company_periods');
-- What was closed stays closed: nobody but the owner changes it.
REVOKE UPDATE, DELETE, TRUNCATE ON company_periods FROM loyalty_hot, loyalty_jobs, loyalty_portal;
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop it: periods can be closed again, from the same rows."""
    op.execute("DROP TABLE company_periods")
