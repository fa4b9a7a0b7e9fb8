"""The book of a partner: one line an event, numbered without a gap, never changed."""

from alembic import op

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE partner_books (
    partner_id uuid NOT NULL CONSTRAINT pk_partner_books PRIMARY KEY CONSTRAINT fk_partner_books_partner_id REFERENCES partners,
    last_number bigint NOT NULL,
    open_from date NOT NULL,
    CONSTRAINT ck_partner_books_last_number CHECK (last_number >= 0),
    CONSTRAINT ck_partner_books_open_from CHECK (open_from = date_trunc('month', open_from)::date)
);
CREATE TABLE partner_lines (
    partner_id uuid NOT NULL CONSTRAINT fk_partner_lines_partner_id REFERENCES partners,
    number bigint NOT NULL,
    line_id uuid NOT NULL CONSTRAINT uq_partner_lines_line_id UNIQUE,
    kind text NOT NULL,
    period date NOT NULL,
    event_at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL,
    source text NOT NULL,
    agreement_id uuid CONSTRAINT fk_partner_lines_agreement_id REFERENCES partner_agreements,
    benefit text,
    pieces integer NOT NULL,
    outlet_id uuid CONSTRAINT fk_partner_lines_outlet_id REFERENCES partner_outlets,
    served_by text NOT NULL,
    redemption_id uuid CONSTRAINT fk_partner_lines_redemption_id REFERENCES voucher_redemptions,
    reference text NOT NULL,
    currency text NOT NULL,
    gross_minor bigint NOT NULL,
    saved_minor bigint NOT NULL,
    shares jsonb NOT NULL,
    partner_minor bigint NOT NULL,
    commission_share smallint NOT NULL,
    commission_minor bigint NOT NULL,
    paid_minor bigint NOT NULL,
    due_minor bigint NOT NULL,
    mirrors bigint,
    why text NOT NULL,
    actor text NOT NULL,
    CONSTRAINT pk_partner_lines PRIMARY KEY (partner_id, number),
    CONSTRAINT fk_partner_lines_partner_id_mirrors FOREIGN KEY (partner_id, mirrors) REFERENCES partner_lines (partner_id, number),
    CONSTRAINT ck_partner_lines_kind CHECK (kind IN ('redemption', 'rollback', 'sale', 'block', 'adjustment')),
    CONSTRAINT ck_partner_lines_due CHECK (due_minor = saved_minor - partner_minor - commission_minor + paid_minor),
    CONSTRAINT ck_partner_lines_mirrors CHECK ((kind = 'rollback') = (mirrors IS NOT NULL)),
    CONSTRAINT ck_partner_lines_paid CHECK ((kind IN ('block', 'adjustment')) OR paid_minor = 0),
    CONSTRAINT ck_partner_lines_period CHECK (period = date_trunc('month', period)::date),
    CONSTRAINT ck_partner_lines_number CHECK (number > 0)
);
CREATE UNIQUE INDEX ux_partner_lines_source ON partner_lines (partner_id, source);
CREATE INDEX ix_partner_lines_period ON partner_lines (partner_id, period, number);
CREATE INDEX ix_partner_lines_outlet ON partner_lines (partner_id, outlet_id, number) WHERE outlet_id IS NOT NULL;
CREATE UNIQUE INDEX ux_partner_lines_mirrors ON partner_lines (partner_id, mirrors) WHERE mirrors IS NOT NULL;
CREATE FUNCTION partner_lines_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a partner''s book is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER partner_lines_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON partner_lines
    FOR EACH STATEMENT EXECUTE FUNCTION partner_lines_append_only();
"""


def upgrade() -> None:
    """Make them."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE partner_lines, partner_books")
    op.execute("DROP FUNCTION partner_lines_append_only()")
