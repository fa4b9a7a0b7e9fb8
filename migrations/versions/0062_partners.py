"""Alliances: partners, outlets, versions of agreements, documents, notices."""

from alembic import op

revision = "0062"
down_revision = "0061"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE partners (
    partner_id uuid NOT NULL CONSTRAINT pk_partners PRIMARY KEY,
    code text NOT NULL,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    category text NOT NULL,
    currency text NOT NULL,
    zone text NOT NULL,
    tax_number text,
    contact text NOT NULL,
    status text NOT NULL,
    made_by uuid NOT NULL CONSTRAINT fk_partners_made_by REFERENCES staff,
    made_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT ck_partners_category CHECK (category IN ('insurance', 'repair', 'wash', 'food', 'retail', 'travel', 'other')),
    CONSTRAINT ck_partners_status CHECK (status IN ('prospective', 'active', 'suspended', 'ended')),
    CONSTRAINT ck_partners_code CHECK (code ~ '^[A-Z0-9][A-Z0-9-]{1,19}$')
);
CREATE UNIQUE INDEX ux_partners_code ON partners (code);
CREATE TABLE partner_outlets (
    outlet_id uuid NOT NULL CONSTRAINT pk_partner_outlets PRIMARY KEY,
    partner_id uuid NOT NULL CONSTRAINT fk_partner_outlets_partner_id REFERENCES partners,
    code text NOT NULL,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    address text NOT NULL,
    telephone text NOT NULL,
    hours text NOT NULL,
    status text NOT NULL,
    paused_until timestamptz,
    why_paused text,
    made_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT ck_partner_outlets_status CHECK (status IN ('open', 'paused', 'closed')),
    CONSTRAINT ck_partner_outlets_paused CHECK (
        (status = 'paused') = (why_paused IS NOT NULL) AND (paused_until IS NULL OR status = 'paused'))
);
CREATE UNIQUE INDEX ux_partner_outlets_code ON partner_outlets (partner_id, code);
CREATE TABLE partner_agreements (
    agreement_id uuid NOT NULL CONSTRAINT pk_partner_agreements PRIMARY KEY,
    partner_id uuid NOT NULL CONSTRAINT fk_partner_agreements_partner_id REFERENCES partners,
    version smallint NOT NULL,
    status text NOT NULL,
    first_day date NOT NULL,
    end_day date,
    terms jsonb NOT NULL,
    made_by uuid NOT NULL CONSTRAINT fk_partner_agreements_made_by REFERENCES staff,
    made_at timestamptz NOT NULL,
    submitted_at timestamptz,
    decided_by uuid CONSTRAINT fk_partner_agreements_decided_by REFERENCES staff,
    decided_at timestamptz,
    why text,
    CONSTRAINT ck_partner_agreements_status CHECK (status IN ('draft', 'submitted', 'approved', 'rejected', 'withdrawn')),
    CONSTRAINT ck_partner_agreements_days CHECK (end_day IS NULL OR end_day > first_day),
    CONSTRAINT ck_partner_agreements_decided CHECK ((status IN ('approved', 'rejected')) = (decided_by IS NOT NULL)),
    CONSTRAINT ck_partner_agreements_decided_at CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
    CONSTRAINT ck_partner_agreements_two_people CHECK (decided_by IS NULL OR decided_by <> made_by),
    CONSTRAINT ck_partner_agreements_version CHECK (version > 0)
);
CREATE UNIQUE INDEX ux_partner_agreements_version ON partner_agreements (partner_id, version);
CREATE UNIQUE INDEX ux_partner_agreements_waiting ON partner_agreements (partner_id) WHERE status IN ('draft', 'submitted');
CREATE INDEX ix_partner_agreements_approved ON partner_agreements (partner_id, first_day) WHERE status = 'approved';
-- What two people agreed to never changes.
CREATE FUNCTION partner_agreement_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = 'approved' THEN
        RAISE EXCEPTION 'an approved agreement never changes' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER partner_agreement_stands BEFORE UPDATE OR DELETE ON partner_agreements
    FOR EACH ROW EXECUTE FUNCTION partner_agreement_stands();
CREATE TABLE partner_documents (
    document_id uuid NOT NULL CONSTRAINT pk_partner_documents PRIMARY KEY,
    partner_id uuid NOT NULL CONSTRAINT fk_partner_documents_partner_id REFERENCES partners,
    name text NOT NULL,
    media_type text NOT NULL,
    size_bytes integer NOT NULL,
    digest bytea NOT NULL,
    content bytea NOT NULL,
    made_by uuid NOT NULL CONSTRAINT fk_partner_documents_made_by REFERENCES staff,
    made_at timestamptz NOT NULL,
    CONSTRAINT ck_partner_documents_size CHECK (size_bytes > 0 AND octet_length(digest) = 32)
);
CREATE UNIQUE INDEX ux_partner_documents_digest ON partner_documents (partner_id, digest);
ALTER TABLE partner_documents ALTER COLUMN content SET STORAGE EXTERNAL;
CREATE TABLE partner_notices (
    notice_id uuid NOT NULL CONSTRAINT pk_partner_notices PRIMARY KEY,
    partner_id uuid NOT NULL CONSTRAINT fk_partner_notices_partner_id REFERENCES partners,
    text_zh text NOT NULL,
    text_en text NOT NULL,
    first_day date NOT NULL,
    end_day date NOT NULL,
    made_by uuid NOT NULL CONSTRAINT fk_partner_notices_made_by REFERENCES staff,
    made_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT ck_partner_notices_days CHECK (end_day > first_day)
);
CREATE INDEX ix_partner_notices_end_day ON partner_notices (end_day) WHERE ended_at IS NULL;
"""


def upgrade() -> None:
    """Make them."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE partner_notices, partner_documents, partner_agreements, partner_outlets, partners")
    op.execute("DROP FUNCTION partner_agreement_stands()")
