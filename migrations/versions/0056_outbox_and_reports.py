"""The outbox of what leaves the house, and who of a company gets its figures by mail."""

from alembic import op

revision = "0056"
down_revision = "0052"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE outbox_messages (
    message_id uuid NOT NULL CONSTRAINT pk_outbox_messages PRIMARY KEY,
    channel text NOT NULL,
    once text NOT NULL,
    about text NOT NULL,
    company_id uuid CONSTRAINT fk_outbox_messages_company_id REFERENCES companies,
    recipient bytea NOT NULL,
    recipient_shown text NOT NULL,
    payload bytea,
    made_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    attempts integer NOT NULL,
    status text NOT NULL,
    ended_at timestamptz,
    error text,
    CONSTRAINT ck_outbox_messages_channel CHECK (channel IN ('mail')),
    CONSTRAINT ck_outbox_messages_status CHECK (status IN ('waiting', 'sending', 'sent', 'captured', 'uncertain', 'dead')),
    CONSTRAINT ck_outbox_messages_ended CHECK ((status IN ('waiting', 'sending')) = (ended_at IS NULL) AND attempts >= 0),
    CONSTRAINT ck_outbox_messages_payload CHECK ((status = 'sent') = (payload IS NULL))
);
CREATE UNIQUE INDEX ux_outbox_messages_once ON outbox_messages (once);
CREATE INDEX ix_outbox_messages_due_at ON outbox_messages (due_at) WHERE status IN ('waiting', 'sending');
CREATE INDEX ix_outbox_messages_company_id ON outbox_messages (company_id, message_id) WHERE company_id IS NOT NULL;
-- What is sealed is large and random: compressing it is work for nothing.
ALTER TABLE outbox_messages ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE TABLE report_subscriptions (
    user_id uuid NOT NULL CONSTRAINT pk_report_subscriptions PRIMARY KEY
        CONSTRAINT fk_report_subscriptions_user_id REFERENCES portal_users,
    company_id uuid NOT NULL CONSTRAINT fk_report_subscriptions_company_id REFERENCES companies,
    at_close text NOT NULL,
    weekly boolean NOT NULL,
    locale text NOT NULL,
    period_sent date NOT NULL,
    week_sent date NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT ck_report_subscriptions_at_close CHECK (at_close IN ('none', 'pdf', 'xlsx', 'both'))
);
CREATE INDEX ix_report_subscriptions_company_id ON report_subscriptions (company_id);
SELECT fence_tenant(t) FROM unnest(ARRAY['outbox_messages', 'report_subscriptions']::regclass[]) t;
"""


def upgrade() -> None:
    """Make them."""
    op.execute(TABLES)


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP TABLE report_subscriptions, outbox_messages")
