"""The keys of partners' own tills, and what was answered to them; a partner's session sees its own."""

from alembic import op

revision = "0069"
down_revision = "0068"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE partner_api_keys (
    key_id uuid NOT NULL CONSTRAINT pk_partner_api_keys PRIMARY KEY,
    partner_id uuid NOT NULL CONSTRAINT fk_partner_api_keys_partner_id REFERENCES partners,
    name text NOT NULL,
    outlets uuid[],
    prefix text NOT NULL,
    key_hash bytea NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL,
    last_used_at timestamptz,
    minute_at timestamptz,
    used integer NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT ck_partner_api_keys_said
        CHECK (name <> '' AND octet_length(key_hash) = 32 AND used >= 0 AND cardinality(outlets) > 0)
);
CREATE UNIQUE INDEX ux_partner_api_keys_key_hash ON partner_api_keys (key_hash);
CREATE INDEX ix_partner_api_keys_partner_id ON partner_api_keys (partner_id, key_id);
CREATE TABLE partner_requests (
    outlet_id uuid NOT NULL CONSTRAINT fk_partner_requests_outlet_id REFERENCES partner_outlets,
    key uuid NOT NULL,
    partner_id uuid NOT NULL CONSTRAINT fk_partner_requests_partner_id REFERENCES partners,
    fingerprint bytea NOT NULL,
    status smallint NOT NULL,
    answer bytea NOT NULL,
    answered_at timestamptz NOT NULL,
    CONSTRAINT pk_partner_requests PRIMARY KEY (outlet_id, key),
    CONSTRAINT ck_partner_requests_answered CHECK (octet_length(fingerprint) = 32 AND status BETWEEN 200 AND 299)
);
SELECT fence_partner(t) FROM unnest(ARRAY['partner_api_keys', 'partner_requests']::regclass[]) t;
REVOKE DELETE, TRUNCATE ON partner_api_keys FROM loyalty_hot, loyalty_jobs;
REVOKE UPDATE, DELETE, TRUNCATE ON partner_requests FROM loyalty_hot, loyalty_jobs;
GRANT SELECT, INSERT, UPDATE ON partner_api_keys TO loyalty_partner;
GRANT SELECT, INSERT ON partner_requests TO loyalty_partner;
"""


def upgrade() -> None:
    """Make them."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them: every key ends."""
    op.execute("DROP TABLE partner_requests, partner_api_keys")
