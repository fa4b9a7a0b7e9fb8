"""Where companies' own systems want to be told, and the outbox of what they are."""

from alembic import op

revision = "0051"
down_revision = "0047"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE company_webhooks (
    webhook_id uuid NOT NULL CONSTRAINT pk_company_webhooks PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_company_webhooks_company_id REFERENCES companies,
    url text NOT NULL,
    secret bytea NOT NULL,
    events jsonb NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL,
    ended_at timestamptz,
    CONSTRAINT ck_company_webhooks_url CHECK (url LIKE 'https://%')
);
CREATE INDEX ix_company_webhooks_company_id ON company_webhooks (company_id, webhook_id);

CREATE TABLE webhook_deliveries (
    delivery_id uuid NOT NULL CONSTRAINT pk_webhook_deliveries PRIMARY KEY,
    company_id uuid NOT NULL CONSTRAINT fk_webhook_deliveries_company_id REFERENCES companies,
    webhook_id uuid NOT NULL CONSTRAINT fk_webhook_deliveries_webhook_id REFERENCES company_webhooks,
    event text NOT NULL,
    subject_id uuid NOT NULL,
    body text NOT NULL,
    made_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL,
    status text NOT NULL,
    answered integer,
    ended_at timestamptz,
    CONSTRAINT ck_webhook_deliveries_event CHECK (event IN ('test', 'fill.booked', 'finding.opened', 'approval.asked')),
    CONSTRAINT ck_webhook_deliveries_status CHECK (status IN ('waiting', 'sent', 'dead')),
    CONSTRAINT ck_webhook_deliveries_ended CHECK ((status = 'waiting') = (ended_at IS NULL) AND attempts >= 0)
);
CREATE UNIQUE INDEX ux_webhook_deliveries_subject_id ON webhook_deliveries (webhook_id, event, subject_id);
CREATE INDEX ix_webhook_deliveries_company_id ON webhook_deliveries (company_id, delivery_id);
CREATE INDEX ix_webhook_deliveries_due_at ON webhook_deliveries (due_at) WHERE status = 'waiting';
SELECT fence_tenant(t) FROM unnest(ARRAY['company_webhooks', 'webhook_deliveries']::regclass[]) t;
"""


def upgrade() -> None:
    """Make them."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them: what waits is not sent."""
    op.execute("DROP TABLE webhook_deliveries, company_webhooks")
