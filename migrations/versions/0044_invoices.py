"""What of a closed period may be invoiced, and the invoices that companies ask for."""

from alembic import op

revision = "0044"
down_revision = "0040"
branch_labels = None
depends_on = None

POTS = """
CREATE TABLE invoice_pots (
    account_id uuid NOT NULL,
    first_id uuid NOT NULL,
    product_id uuid NOT NULL,
    last_id uuid NOT NULL,
    quantity_milli bigint NOT NULL,
    paid_minor bigint NOT NULL,
    bonus_minor bigint NOT NULL,
    owed_minor bigint NOT NULL,
    refunded_minor bigint NOT NULL,
    invoiced_minor bigint NOT NULL,
    over_minor bigint NOT NULL,
    CONSTRAINT pk_invoice_pots PRIMARY KEY (account_id, first_id, product_id),
    CONSTRAINT ck_invoice_pots_paid CHECK (paid_minor >= 0 AND bonus_minor >= 0 AND owed_minor >= 0 AND refunded_minor <= paid_minor),
    CONSTRAINT ck_invoice_pots_invoiced CHECK (invoiced_minor >= 0 AND over_minor >= 0),
    CONSTRAINT ck_invoice_pots_never_more CHECK (invoiced_minor <= paid_minor - refunded_minor + over_minor),
    CONSTRAINT ck_invoice_pots_bounds CHECK (last_id > first_id)
);
ALTER TABLE invoice_pots ENABLE ROW LEVEL SECURITY;
CREATE POLICY issuer ON invoice_pots TO loyalty_hot, loyalty_jobs USING (true);
CREATE POLICY tenant ON invoice_pots TO loyalty_portal USING (account_id = (SELECT account_id FROM companies));
REVOKE INSERT, DELETE, TRUNCATE ON invoice_pots FROM loyalty_portal;
"""

INVOICES = """
CREATE TABLE invoice_titles (
    title_id uuid NOT NULL CONSTRAINT pk_invoice_titles PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_invoice_titles_company_id REFERENCES companies,
    name text NOT NULL,
    tax_number text NOT NULL,
    address text NOT NULL,
    telephone text NOT NULL,
    bank text NOT NULL,
    bank_account text NOT NULL,
    made_at timestamptz NOT NULL,
    closed_at timestamptz,
    CONSTRAINT ck_invoice_titles_said CHECK (name <> '' AND tax_number <> '')
);
CREATE UNIQUE INDEX ux_invoice_titles_name ON invoice_titles (company_id, name, tax_number) WHERE closed_at IS NULL;

CREATE TABLE invoice_requests (
    invoice_id uuid NOT NULL CONSTRAINT pk_invoice_requests PRIMARY KEY,
    company_id uuid NOT NULL,
    title_id uuid NOT NULL CONSTRAINT fk_invoice_requests_title_id REFERENCES invoice_titles,
    first_day date NOT NULL,
    title text NOT NULL,
    tax_number text NOT NULL,
    address text NOT NULL,
    telephone text NOT NULL,
    bank text NOT NULL,
    bank_account text NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL,
    status text NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    decided_by text,
    decided_at timestamptz,
    number text,
    issued_on date,
    reason text,
    red_number text,
    red_on date,
    CONSTRAINT fk_invoice_requests_company_id_first_day FOREIGN KEY (company_id, first_day) REFERENCES company_periods,
    CONSTRAINT ck_invoice_requests_status CHECK (status IN ('requested', 'issued', 'refused', 'withdrawn', 'red_lettered')),
    CONSTRAINT ck_invoice_requests_amount CHECK (amount_minor > 0),
    CONSTRAINT ck_invoice_requests_number CHECK ((number IS NOT NULL) = (status IN ('issued', 'red_lettered'))),
    CONSTRAINT ck_invoice_requests_red CHECK ((red_number IS NOT NULL) = (status = 'red_lettered')),
    CONSTRAINT ck_invoice_requests_days CHECK ((number IS NULL) = (issued_on IS NULL) AND (red_number IS NULL) = (red_on IS NULL)),
    CONSTRAINT ck_invoice_requests_decided CHECK ((status = 'requested') = (decided_at IS NULL))
);
CREATE INDEX ix_invoice_requests_company_id ON invoice_requests (company_id, invoice_id);
CREATE INDEX ix_invoice_requests_status ON invoice_requests (status, invoice_id);
CREATE UNIQUE INDEX ux_invoice_requests_number ON invoice_requests (number) WHERE number IS NOT NULL;

CREATE TABLE invoice_lines (
    invoice_id uuid NOT NULL CONSTRAINT fk_invoice_lines_invoice_id REFERENCES invoice_requests,
    product_id uuid NOT NULL,
    company_id uuid NOT NULL CONSTRAINT fk_invoice_lines_company_id REFERENCES companies,
    amount_minor bigint NOT NULL,
    quantity_milli bigint NOT NULL,
    CONSTRAINT pk_invoice_lines PRIMARY KEY (invoice_id, product_id),
    CONSTRAINT ck_invoice_lines_sizes CHECK (amount_minor > 0 AND quantity_milli >= 0)
);
SELECT fence_tenant(t) FROM unnest(ARRAY['invoice_titles', 'invoice_requests', 'invoice_lines']::regclass[]) t;
REVOKE UPDATE, DELETE, TRUNCATE ON invoice_lines FROM loyalty_hot, loyalty_jobs, loyalty_portal;
"""


def upgrade() -> None:
    """Make them."""
    op.execute(POTS)
    op.execute(INVOICES)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE invoice_lines, invoice_requests, invoice_titles, invoice_pots")
