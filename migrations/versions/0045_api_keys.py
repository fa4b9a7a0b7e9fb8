"""The keys with which companies' own systems read what their cards took."""

from alembic import op

revision = "0045"
down_revision = "0042"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE company_api_keys (
    key_id uuid NOT NULL CONSTRAINT pk_company_api_keys PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_company_api_keys_company_id REFERENCES companies,
    name text NOT NULL,
    prefix text NOT NULL,
    key_hash bytea NOT NULL,
    may_order boolean NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL,
    last_used_at timestamptz,
    minute_at timestamptz,
    used integer NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT ck_company_api_keys_said CHECK (name <> '' AND octet_length(key_hash) = 32 AND used >= 0)
);
CREATE UNIQUE INDEX ux_company_api_keys_key_hash ON company_api_keys (key_hash);
CREATE INDEX ix_company_api_keys_company_id ON company_api_keys (company_id, key_id);
SELECT fence_tenant('company_api_keys');
REVOKE DELETE, TRUNCATE ON company_api_keys FROM loyalty_hot, loyalty_jobs, loyalty_portal;
"""


def upgrade() -> None:
    """Make them."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them: every key ends."""
    op.execute("DROP TABLE company_api_keys")
