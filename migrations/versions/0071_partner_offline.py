"""Vouchers honoured while the network is gone: codes that are out, leases of outlets, what came of each use."""

from alembic import op

revision = "0071"
down_revision = "0070"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE partner_offline_tokens (
    voucher_id uuid NOT NULL CONSTRAINT fk_partner_offline_tokens_voucher_id REFERENCES vouchers,
    partner_id uuid NOT NULL CONSTRAINT fk_partner_offline_tokens_partner_id REFERENCES partners,
    worth_minor bigint,
    shown_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL,
    CONSTRAINT pk_partner_offline_tokens PRIMARY KEY (voucher_id, partner_id)
);
CREATE INDEX ix_partner_offline_tokens_live ON partner_offline_tokens (partner_id, ends_at);

CREATE TABLE partner_offline_leases (
    lease_id uuid NOT NULL CONSTRAINT pk_partner_offline_leases PRIMARY KEY,
    partner_id uuid NOT NULL CONSTRAINT fk_partner_offline_leases_partner_id REFERENCES partners,
    outlet_id uuid NOT NULL CONSTRAINT fk_partner_offline_leases_outlet_id REFERENCES partner_outlets,
    agreement_id uuid NOT NULL CONSTRAINT fk_partner_offline_leases_agreement_id REFERENCES partner_agreements,
    device uuid NOT NULL,
    granted_at timestamptz NOT NULL,
    until timestamptz NOT NULL,
    settle_by timestamptz NOT NULL,
    uses integer NOT NULL,
    amount_minor bigint NOT NULL,
    used integer NOT NULL,
    used_minor bigint NOT NULL,
    settled_at timestamptz,
    granted_to text NOT NULL,
    CONSTRAINT ck_partner_offline_leases_budget CHECK (used BETWEEN 0 AND uses AND used_minor BETWEEN 0 AND amount_minor),
    CONSTRAINT ck_partner_offline_leases_times CHECK (until > granted_at AND settle_by >= until)
);
CREATE INDEX ix_partner_offline_leases_outlet ON partner_offline_leases (outlet_id, lease_id);
CREATE UNIQUE INDEX ux_partner_offline_leases_open ON partner_offline_leases (outlet_id) WHERE settled_at IS NULL;

CREATE TABLE partner_offline_claims (
    claim_id uuid NOT NULL CONSTRAINT pk_partner_offline_claims PRIMARY KEY,
    partner_id uuid NOT NULL CONSTRAINT fk_partner_offline_claims_partner_id REFERENCES partners,
    outlet_id uuid NOT NULL CONSTRAINT fk_partner_offline_claims_outlet_id REFERENCES partner_outlets,
    key uuid NOT NULL,
    digest bytea NOT NULL,
    lease_id uuid CONSTRAINT fk_partner_offline_claims_lease_id REFERENCES partner_offline_leases,
    token text NOT NULL,
    voucher_id uuid,
    status text NOT NULL,
    code text NOT NULL,
    in_budget boolean NOT NULL,
    served_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    served_by text NOT NULL,
    amount_minor bigint,
    gross_minor bigint,
    loss_minor bigint NOT NULL,
    line bigint,
    CONSTRAINT ck_partner_offline_claims_status CHECK (status IN ('booked', 'loss', 'refused')),
    CONSTRAINT ck_partner_offline_claims_code CHECK (code IN ('booked', 'partly_used', 'double', 'cancelled', 'limit', 'tampered',
        'unknown_key', 'expired', 'foreign_partner', 'foreign_outlet', 'replayed', 'time_not_sound', 'amount_not_sound', 'not_offline',
        'not_honoured', 'key_reused')),
    CONSTRAINT ck_partner_offline_claims_line CHECK ((status = 'refused') = (line IS NULL)),
    CONSTRAINT ck_partner_offline_claims_digest CHECK (octet_length(digest) = 32)
);
CREATE UNIQUE INDEX ux_partner_offline_claims_key ON partner_offline_claims (outlet_id, key, digest);
CREATE INDEX ix_partner_offline_claims_voucher ON partner_offline_claims (voucher_id, outlet_id) WHERE voucher_id IS NOT NULL;
CREATE INDEX ix_partner_offline_claims_partner ON partner_offline_claims (partner_id, claim_id);
CREATE FUNCTION partner_offline_claims_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what a phone told is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER partner_offline_claims_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON partner_offline_claims
    FOR EACH STATEMENT EXECUTE FUNCTION partner_offline_claims_append_only();
"""
KINDS = "'redemption', 'rollback', 'sale', 'block', 'adjustment', 'payment', 'difference'"
GRANTS = """
GRANT SELECT ON partner_offline_tokens TO loyalty_partner;
GRANT SELECT, INSERT, UPDATE ON partner_offline_leases TO loyalty_partner;
GRANT SELECT, INSERT ON partner_offline_claims TO loyalty_partner;
"""


def upgrade() -> None:
    """Make them, and let a line be an offline loss."""
    op.execute(TABLES)
    for table in ("partner_offline_tokens", "partner_offline_leases", "partner_offline_claims"):
        op.execute(f"SELECT fence_partner('{table}')")
    op.execute(GRANTS)
    op.execute(
        "ALTER TABLE partner_lines DROP CONSTRAINT ck_partner_lines_kind, "
        f"ADD CONSTRAINT ck_partner_lines_kind CHECK (kind IN ({KINDS}, 'offline_loss'))"
    )


def downgrade() -> None:
    """Drop them; where an offline loss is booked the constraint refuses to come back."""
    op.execute(
        f"ALTER TABLE partner_lines DROP CONSTRAINT ck_partner_lines_kind, ADD CONSTRAINT ck_partner_lines_kind CHECK (kind IN ({KINDS}))"
    )
    op.execute("DROP TABLE partner_offline_claims, partner_offline_leases, partner_offline_tokens")
    op.execute("DROP FUNCTION partner_offline_claims_append_only()")
