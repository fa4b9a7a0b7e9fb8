"""Invoices of partners' months, the runs that pay them, blocks paid in advance, bank accounts, files; a book knows its balance."""

from alembic import op

revision = "0070"
down_revision = "0069"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE partner_books ADD COLUMN balance_minor bigint DEFAULT 0 NOT NULL;
UPDATE partner_books b SET balance_minor = l.due FROM (SELECT partner_id, sum(due_minor) AS due FROM partner_lines GROUP BY partner_id) l
    WHERE l.partner_id = b.partner_id;
ALTER TABLE partner_lines
    DROP CONSTRAINT ck_partner_lines_kind, DROP CONSTRAINT ck_partner_lines_paid,
    ADD CONSTRAINT ck_partner_lines_kind
        CHECK (kind IN ('redemption', 'rollback', 'sale', 'block', 'adjustment', 'payment', 'difference')),
    ADD CONSTRAINT ck_partner_lines_paid CHECK (kind IN ('block', 'adjustment', 'payment', 'difference') OR paid_minor = 0);

CREATE TABLE partner_payment_runs (
    run_id uuid NOT NULL CONSTRAINT pk_partner_payment_runs PRIMARY KEY,
    currency text NOT NULL,
    status text NOT NULL,
    invoices integer NOT NULL,
    amount_minor bigint NOT NULL,
    made_by uuid NOT NULL CONSTRAINT fk_partner_payment_runs_made_by REFERENCES staff,
    made_at timestamptz NOT NULL,
    decided_by uuid CONSTRAINT fk_partner_payment_runs_decided_by REFERENCES staff,
    decided_at timestamptz,
    content bytea,
    digest bytea,
    paid_on date,
    reference text,
    CONSTRAINT ck_partner_payment_runs_status CHECK (status IN ('proposed', 'approved', 'paid', 'cancelled')),
    CONSTRAINT ck_partner_payment_runs_two_people CHECK (decided_by <> made_by OR status = 'cancelled'),
    CONSTRAINT ck_partner_payment_runs_decided_by CHECK ((status = 'proposed') = (decided_by IS NULL)),
    CONSTRAINT ck_partner_payment_runs_content CHECK (status NOT IN ('approved', 'paid') OR content IS NOT NULL),
    CONSTRAINT ck_partner_payment_runs_digest CHECK ((content IS NULL) = (digest IS NULL) AND octet_length(digest) = 32),
    CONSTRAINT ck_partner_payment_runs_paid_on
        CHECK ((status = 'paid') = (paid_on IS NOT NULL) AND (paid_on IS NULL) = (reference IS NULL)),
    CONSTRAINT ck_partner_payment_runs_amount CHECK (invoices > 0 AND amount_minor > 0)
);
CREATE FUNCTION partner_payment_file_stands() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the bank''s file of a run is made once' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER partner_payment_file_stands BEFORE UPDATE ON partner_payment_runs FOR EACH ROW
    WHEN (OLD.digest IS NOT NULL AND (OLD.digest, OLD.amount_minor, OLD.invoices)
        IS DISTINCT FROM (NEW.digest, NEW.amount_minor, NEW.invoices))
    EXECUTE FUNCTION partner_payment_file_stands();
REVOKE ALL ON partner_payment_runs FROM loyalty_portal;

CREATE TABLE partner_invoices (
    invoice_id uuid NOT NULL CONSTRAINT pk_partner_invoices PRIMARY KEY,
    partner_id uuid NOT NULL CONSTRAINT fk_partner_invoices_partner_id REFERENCES partners,
    month date NOT NULL,
    due_minor bigint NOT NULL,
    number text NOT NULL,
    invoiced_on date NOT NULL,
    amount_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    currency text NOT NULL,
    status text NOT NULL,
    entered_by text NOT NULL,
    entered_at timestamptz NOT NULL,
    decided_by uuid CONSTRAINT fk_partner_invoices_decided_by REFERENCES staff,
    decided_at timestamptz,
    why text NOT NULL,
    pay_by date,
    run_id uuid CONSTRAINT fk_partner_invoices_run_id REFERENCES partner_payment_runs,
    paid_on date,
    reference text,
    CONSTRAINT fk_partner_invoices_partner_id_month FOREIGN KEY (partner_id, month) REFERENCES partner_statements (partner_id, month),
    CONSTRAINT ck_partner_invoices_status CHECK (status IN ('received', 'accepted', 'in_run', 'paid', 'refused')),
    CONSTRAINT ck_partner_invoices_amount CHECK (amount_minor > 0 AND tax_minor BETWEEN 0 AND amount_minor AND due_minor <> 0),
    CONSTRAINT ck_partner_invoices_pay_by CHECK ((status IN ('accepted', 'in_run', 'paid')) = (pay_by IS NOT NULL)),
    CONSTRAINT ck_partner_invoices_decided_by CHECK ((status = 'received') = (decided_by IS NULL)),
    CONSTRAINT ck_partner_invoices_decided_at CHECK ((decided_by IS NULL) = (decided_at IS NULL)),
    CONSTRAINT ck_partner_invoices_two_people CHECK (entered_by <> 'staff:' || decided_by),
    CONSTRAINT ck_partner_invoices_why CHECK (status NOT IN ('accepted', 'in_run', 'paid') OR amount_minor = abs(due_minor) OR why <> ''),
    CONSTRAINT ck_partner_invoices_run_id CHECK ((status = 'in_run') <= (run_id IS NOT NULL)),
    CONSTRAINT ck_partner_invoices_paid_on CHECK ((status = 'paid') = (paid_on IS NOT NULL) AND (paid_on IS NULL) = (reference IS NULL))
);
CREATE UNIQUE INDEX ux_partner_invoices_standing ON partner_invoices (partner_id, month) WHERE status <> 'refused';
CREATE INDEX ix_partner_invoices_open ON partner_invoices (pay_by, invoice_id) WHERE status IN ('received', 'accepted', 'in_run');
CREATE INDEX ix_partner_invoices_run_id ON partner_invoices (run_id) WHERE run_id IS NOT NULL;

CREATE TABLE partner_bank_accounts (
    bank_account_id uuid NOT NULL CONSTRAINT pk_partner_bank_accounts PRIMARY KEY,
    partner_id uuid NOT NULL CONSTRAINT fk_partner_bank_accounts_partner_id REFERENCES partners,
    holder text NOT NULL,
    bank text NOT NULL,
    number_sealed bytea NOT NULL,
    number_tail text NOT NULL,
    status text NOT NULL,
    made_by uuid NOT NULL CONSTRAINT fk_partner_bank_accounts_made_by REFERENCES staff,
    made_at timestamptz NOT NULL,
    decided_by uuid CONSTRAINT fk_partner_bank_accounts_decided_by REFERENCES staff,
    decided_at timestamptz,
    CONSTRAINT ck_partner_bank_accounts_status CHECK (status IN ('entered', 'confirmed', 'refused')),
    CONSTRAINT ck_partner_bank_accounts_two_people CHECK (made_by <> decided_by),
    CONSTRAINT ck_partner_bank_accounts_decided_by CHECK ((status = 'entered') = (decided_by IS NULL))
);
CREATE INDEX ix_partner_bank_accounts_partner_id ON partner_bank_accounts (partner_id, bank_account_id);

CREATE TABLE partner_blocks (
    block_id uuid NOT NULL CONSTRAINT pk_partner_blocks PRIMARY KEY,
    partner_id uuid NOT NULL CONSTRAINT fk_partner_blocks_partner_id REFERENCES partners,
    amount_minor bigint NOT NULL,
    paid_on date NOT NULL,
    reference text NOT NULL,
    status text NOT NULL,
    made_by uuid NOT NULL CONSTRAINT fk_partner_blocks_made_by REFERENCES staff,
    made_at timestamptz NOT NULL,
    decided_by uuid CONSTRAINT fk_partner_blocks_decided_by REFERENCES staff,
    decided_at timestamptz,
    line_number bigint,
    CONSTRAINT ck_partner_blocks_status CHECK (status IN ('entered', 'confirmed', 'refused')),
    CONSTRAINT ck_partner_blocks_amount CHECK (amount_minor > 0),
    CONSTRAINT ck_partner_blocks_two_people CHECK (made_by <> decided_by),
    CONSTRAINT ck_partner_blocks_decided_by CHECK ((status = 'entered') = (decided_by IS NULL)),
    CONSTRAINT ck_partner_blocks_line_number CHECK ((status = 'confirmed') = (line_number IS NOT NULL))
);
CREATE INDEX ix_partner_blocks_partner_id ON partner_blocks (partner_id, block_id);
CREATE UNIQUE INDEX ux_partner_blocks_reference ON partner_blocks (partner_id, reference) WHERE status <> 'refused';

CREATE TABLE partner_files (
    file_id uuid NOT NULL CONSTRAINT pk_partner_files PRIMARY KEY,
    partner_id uuid NOT NULL CONSTRAINT fk_partner_files_partner_id REFERENCES partners,
    dispute_id uuid CONSTRAINT fk_partner_files_dispute_id REFERENCES partner_disputes,
    invoice_id uuid CONSTRAINT fk_partner_files_invoice_id REFERENCES partner_invoices,
    name text NOT NULL,
    media_type text NOT NULL,
    size_bytes integer NOT NULL,
    digest bytea NOT NULL,
    content bytea NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL,
    CONSTRAINT ck_partner_files_belongs CHECK (num_nonnulls(dispute_id, invoice_id) = 1),
    CONSTRAINT ck_partner_files_size CHECK (size_bytes > 0 AND octet_length(digest) = 32)
);
CREATE UNIQUE INDEX ux_partner_files_dispute_id ON partner_files (dispute_id, digest) WHERE dispute_id IS NOT NULL;
CREATE UNIQUE INDEX ux_partner_files_invoice_id ON partner_files (invoice_id, digest) WHERE invoice_id IS NOT NULL;
"""
FENCED = ("partner_invoices", "partner_bank_accounts", "partner_blocks", "partner_files")
GRANTS = """
GRANT SELECT ON partner_invoices, partner_blocks, partner_files TO loyalty_partner;
GRANT INSERT ON partner_invoices, partner_files TO loyalty_partner;
"""


def upgrade() -> None:
    """Make them, each partner behind its fence."""
    op.execute(TABLES)
    for table in FENCED:
        op.execute(f"SELECT fence_partner('{table}')")
    op.execute(GRANTS)


def downgrade() -> None:
    """Drop them; what was paid stays in the books only if nothing was."""
    op.execute("DROP TABLE partner_files, partner_blocks, partner_bank_accounts, partner_invoices, partner_payment_runs")
    op.execute("DROP FUNCTION partner_payment_file_stands()")
    op.execute("ALTER TABLE partner_books DROP COLUMN balance_minor")
    op.execute(
        "ALTER TABLE partner_lines DROP CONSTRAINT ck_partner_lines_kind, DROP CONSTRAINT ck_partner_lines_paid, "
        "ADD CONSTRAINT ck_partner_lines_kind CHECK (kind IN ('redemption', 'rollback', 'sale', 'block', 'adjustment')), "
        "ADD CONSTRAINT ck_partner_lines_paid CHECK ((kind IN ('block', 'adjustment')) OR paid_minor = 0)"
    )
