"""What goes to partners about customers who agreed, and what partners send back; consents say where, and to what words.

What was sent, to whom, resting on which consent, is append-only.
"""

from alembic import op

revision = "0067"
down_revision = "0066"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE consent_wordings (
    purpose text NOT NULL,
    recipient text NOT NULL,
    version integer NOT NULL,
    title_zh text NOT NULL,
    title_en text NOT NULL,
    text_zh text NOT NULL,
    text_en text NOT NULL,
    made_by uuid NOT NULL,
    made_at timestamptz NOT NULL,
    CONSTRAINT pk_consent_wordings PRIMARY KEY (purpose, recipient, version),
    CONSTRAINT ck_consent_wordings_version CHECK (version > 0),
    CONSTRAINT fk_consent_wordings_made_by FOREIGN KEY (made_by) REFERENCES staff (staff_id)
);
CREATE TABLE partner_feeds (
    feed_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    benefit text NOT NULL,
    columns jsonb NOT NULL,
    rhythm text NOT NULL,
    weekday smallint NOT NULL,
    month_day smallint NOT NULL,
    at time NOT NULL,
    channel text NOT NULL,
    mail_to text,
    webhook_url text,
    webhook_secret bytea,
    recipient text NOT NULL,
    status text NOT NULL,
    next_due timestamptz,
    last_sequence integer NOT NULL,
    made_by uuid NOT NULL,
    made_at timestamptz NOT NULL,
    decided_by uuid,
    decided_at timestamptz,
    CONSTRAINT pk_partner_feeds PRIMARY KEY (feed_id),
    CONSTRAINT ck_partner_feeds_rhythm CHECK (rhythm IN ('daily', 'weekly', 'monthly')),
    CONSTRAINT ck_partner_feeds_channel CHECK (channel IN ('mail', 'download', 'webhook')),
    CONSTRAINT ck_partner_feeds_status CHECK (status IN ('proposed', 'active', 'paused', 'ended')),
    CONSTRAINT ck_partner_feeds_days CHECK (weekday BETWEEN 1 AND 7 AND month_day BETWEEN 1 AND 28),
    CONSTRAINT ck_partner_feeds_mail_to CHECK ((channel = 'mail') = (mail_to IS NOT NULL)),
    CONSTRAINT ck_partner_feeds_webhook CHECK ((channel = 'webhook') = (webhook_url IS NOT NULL AND webhook_secret IS NOT NULL)),
    CONSTRAINT ck_partner_feeds_decided CHECK (status NOT IN ('active', 'paused') OR decided_by IS NOT NULL),
    CONSTRAINT ck_partner_feeds_two_people CHECK (decided_by <> made_by),
    CONSTRAINT ck_partner_feeds_next_due CHECK ((status = 'active') = (next_due IS NOT NULL)),
    CONSTRAINT fk_partner_feeds_partner_id FOREIGN KEY (partner_id) REFERENCES partners (partner_id),
    CONSTRAINT fk_partner_feeds_made_by FOREIGN KEY (made_by) REFERENCES staff (staff_id),
    CONSTRAINT fk_partner_feeds_decided_by FOREIGN KEY (decided_by) REFERENCES staff (staff_id)
);
CREATE INDEX ix_partner_feeds_next_due ON partner_feeds (next_due) WHERE status = 'active';
CREATE UNIQUE INDEX ux_partner_feeds_benefit ON partner_feeds (partner_id, benefit) WHERE status <> 'ended';
CREATE TABLE partner_registrations (
    registration_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    number bigint NOT NULL,
    benefit text NOT NULL,
    voucher_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    code_tail text NOT NULL,
    opened_on date,
    currency text NOT NULL,
    cover_minor bigint NOT NULL,
    valid_from date NOT NULL,
    valid_until date,
    status text NOT NULL,
    held boolean NOT NULL,
    digest bytea,
    made_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    follow_up text,
    followed_up_at timestamptz,
    followed_up_by uuid,
    CONSTRAINT pk_partner_registrations PRIMARY KEY (registration_id),
    CONSTRAINT ck_partner_registrations_status CHECK (status IN ('to_send', 'sent', 'corrected', 'removed', 'lapsed')),
    CONSTRAINT ck_partner_registrations_sound CHECK (number > 0 AND cover_minor >= 0 AND valid_until > valid_from),
    CONSTRAINT ck_partner_registrations_held CHECK (held = (status IN ('sent', 'corrected')) OR status = 'lapsed'),
    CONSTRAINT ck_partner_registrations_digest CHECK (NOT held OR digest IS NOT NULL),
    CONSTRAINT ck_partner_registrations_followed_up CHECK ((followed_up_at IS NULL) = (follow_up IS NULL)
        AND (followed_up_at IS NULL) = (followed_up_by IS NULL)),
    CONSTRAINT fk_partner_registrations_partner_id FOREIGN KEY (partner_id) REFERENCES partners (partner_id),
    CONSTRAINT fk_partner_registrations_voucher_id FOREIGN KEY (voucher_id) REFERENCES vouchers (voucher_id),
    CONSTRAINT fk_partner_registrations_customer_id FOREIGN KEY (customer_id) REFERENCES customers (customer_id),
    CONSTRAINT fk_partner_registrations_followed_up_by FOREIGN KEY (followed_up_by) REFERENCES staff (staff_id)
);
CREATE INDEX ix_partner_registrations_benefit ON partner_registrations (partner_id, benefit, number);
CREATE INDEX ix_partner_registrations_customer_id ON partner_registrations (customer_id);
CREATE INDEX ix_partner_registrations_ending ON partner_registrations (valid_until) WHERE status IN ('to_send', 'sent', 'corrected');
CREATE UNIQUE INDEX ux_partner_registrations_number ON partner_registrations (partner_id, number);
CREATE UNIQUE INDEX ux_partner_registrations_voucher_id ON partner_registrations (voucher_id, partner_id);
CREATE TABLE partner_feed_batches (
    batch_id uuid NOT NULL,
    feed_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    sequence integer NOT NULL,
    due_at timestamptz NOT NULL,
    made_at timestamptz NOT NULL,
    made_by text NOT NULL,
    whole boolean NOT NULL,
    "new" integer NOT NULL,
    corrections integer NOT NULL,
    removals integer NOT NULL,
    held_back integer NOT NULL,
    currency text NOT NULL,
    cover_minor bigint NOT NULL,
    columns jsonb NOT NULL,
    channel text NOT NULL,
    recipient text NOT NULL,
    name text NOT NULL,
    file bytea NOT NULL,
    digest bytea NOT NULL,
    CONSTRAINT pk_partner_feed_batches PRIMARY KEY (batch_id),
    CONSTRAINT ck_partner_feed_batches_channel CHECK (channel IN ('mail', 'download', 'webhook')),
    CONSTRAINT ck_partner_feed_batches_sound CHECK (sequence > 0 AND octet_length(digest) = 32),
    CONSTRAINT ck_partner_feed_batches_counts CHECK (new >= 0 AND corrections >= 0 AND removals >= 0 AND held_back >= 0
        AND cover_minor >= 0),
    CONSTRAINT fk_partner_feed_batches_feed_id FOREIGN KEY (feed_id) REFERENCES partner_feeds (feed_id),
    CONSTRAINT fk_partner_feed_batches_partner_id FOREIGN KEY (partner_id) REFERENCES partners (partner_id)
);
CREATE INDEX ix_partner_feed_batches_partner_id ON partner_feed_batches (partner_id, batch_id);
CREATE UNIQUE INDEX ux_partner_feed_batches_due_at ON partner_feed_batches (feed_id, due_at);
CREATE UNIQUE INDEX ux_partner_feed_batches_sequence ON partner_feed_batches (feed_id, sequence);
CREATE TABLE partner_feed_rows (
    batch_id uuid NOT NULL,
    ordinal integer NOT NULL,
    registration_id uuid NOT NULL,
    kind text NOT NULL,
    consent_id uuid,
    cover_minor bigint NOT NULL,
    digest bytea NOT NULL,
    CONSTRAINT pk_partner_feed_rows PRIMARY KEY (batch_id, ordinal),
    CONSTRAINT ck_partner_feed_rows_kind CHECK (kind IN ('new', 'correction', 'removal')),
    CONSTRAINT ck_partner_feed_rows_consent CHECK (kind = 'removal' OR consent_id IS NOT NULL),
    CONSTRAINT fk_partner_feed_rows_batch_id FOREIGN KEY (batch_id) REFERENCES partner_feed_batches (batch_id),
    CONSTRAINT fk_partner_feed_rows_registration_id FOREIGN KEY (registration_id) REFERENCES partner_registrations (registration_id),
    CONSTRAINT fk_partner_feed_rows_consent_id FOREIGN KEY (consent_id) REFERENCES consents (consent_id)
);
CREATE UNIQUE INDEX ux_partner_feed_rows_registration_id ON partner_feed_rows (registration_id, batch_id);
CREATE TABLE partner_feed_log (
    log_id bigint GENERATED ALWAYS AS IDENTITY,
    batch_id uuid NOT NULL,
    event text NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    "to" text NOT NULL,
    message text,
    CONSTRAINT pk_partner_feed_log PRIMARY KEY (log_id),
    CONSTRAINT ck_partner_feed_log_event CHECK (event IN ('made', 'queued', 'sent', 'captured', 'uncertain', 'dead', 'downloaded')),
    CONSTRAINT fk_partner_feed_log_batch_id FOREIGN KEY (batch_id) REFERENCES partner_feed_batches (batch_id)
);
CREATE INDEX ix_partner_feed_log_batch_id ON partner_feed_log (batch_id, log_id);
CREATE INDEX ix_partner_feed_log_queued ON partner_feed_log (at) WHERE event = 'queued';
CREATE UNIQUE INDEX ux_partner_feed_log_message ON partner_feed_log (message, event) WHERE message IS NOT NULL;
CREATE TABLE partner_inbound_files (
    file_id uuid NOT NULL,
    partner_id uuid NOT NULL,
    name text NOT NULL,
    size_bytes integer NOT NULL,
    digest bytea NOT NULL,
    first_day date NOT NULL,
    end_day date NOT NULL,
    mapping jsonb NOT NULL,
    zone text NOT NULL,
    outcomes jsonb NOT NULL,
    made_by uuid NOT NULL,
    made_at timestamptz NOT NULL,
    CONSTRAINT pk_partner_inbound_files PRIMARY KEY (file_id),
    CONSTRAINT ck_partner_inbound_files_sound CHECK (end_day > first_day AND size_bytes > 0 AND octet_length(digest) = 32),
    CONSTRAINT fk_partner_inbound_files_partner_id FOREIGN KEY (partner_id) REFERENCES partners (partner_id),
    CONSTRAINT fk_partner_inbound_files_made_by FOREIGN KEY (made_by) REFERENCES staff (staff_id)
);
CREATE INDEX ix_partner_inbound_files_partner_id ON partner_inbound_files (partner_id, file_id);
CREATE UNIQUE INDEX ux_partner_inbound_files_digest ON partner_inbound_files (partner_id, digest);
CREATE TABLE partner_inbound_rows (
    file_id uuid NOT NULL,
    ordinal integer NOT NULL,
    partner_id uuid NOT NULL,
    place integer,
    reference text NOT NULL,
    theirs text NOT NULL,
    event_at timestamptz,
    amount_minor bigint,
    outcome text NOT NULL,
    late boolean NOT NULL,
    line_number bigint,
    ours_minor bigint,
    why text NOT NULL,
    CONSTRAINT pk_partner_inbound_rows PRIMARY KEY (file_id, ordinal),
    CONSTRAINT fk_partner_inbound_rows_partner_id_line_number FOREIGN KEY (partner_id, line_number)
        REFERENCES partner_lines (partner_id, number),
    CONSTRAINT ck_partner_inbound_rows_outcome CHECK (outcome IN ('matched', 'different', 'missing_here',
        'missing_there', 'cancelled', 'repeated', 'unreadable')),
    CONSTRAINT fk_partner_inbound_rows_file_id FOREIGN KEY (file_id) REFERENCES partner_inbound_files (file_id),
    CONSTRAINT fk_partner_inbound_rows_partner_id FOREIGN KEY (partner_id) REFERENCES partners (partner_id)
);
CREATE INDEX ix_partner_inbound_rows_line_number ON partner_inbound_rows (partner_id, line_number) WHERE line_number IS NOT NULL;
CREATE INDEX ix_partner_inbound_rows_outcome ON partner_inbound_rows (file_id, outcome, ordinal);
CREATE FUNCTION partner_feeds_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what was sent to partners is append-only' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER consent_wordings_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON consent_wordings
    FOR EACH STATEMENT EXECUTE FUNCTION partner_feeds_append_only();
CREATE TRIGGER partner_feed_batches_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON partner_feed_batches
    FOR EACH STATEMENT EXECUTE FUNCTION partner_feeds_append_only();
CREATE TRIGGER partner_feed_rows_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON partner_feed_rows
    FOR EACH STATEMENT EXECUTE FUNCTION partner_feeds_append_only();
CREATE TRIGGER partner_feed_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON partner_feed_log
    FOR EACH STATEMENT EXECUTE FUNCTION partner_feeds_append_only();
CREATE TRIGGER partner_inbound_rows_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON partner_inbound_rows
    FOR EACH STATEMENT EXECUTE FUNCTION partner_feeds_append_only();
"""
ALTERED = """
ALTER TABLE consents
    ADD COLUMN wording integer,
    ADD COLUMN channel text NOT NULL DEFAULT 'office',
    ADD COLUMN station_id uuid CONSTRAINT fk_consents_station_id REFERENCES stations,
    ADD CONSTRAINT ck_consents_channel CHECK (channel IN ('counter', 'office', 'own_page')),
    ADD CONSTRAINT fk_consents_purpose_recipient_wording FOREIGN KEY (purpose, recipient, wording) REFERENCES consent_wordings;
ALTER TABLE outbox_messages DROP CONSTRAINT ck_outbox_messages_channel,
    ADD CONSTRAINT ck_outbox_messages_channel CHECK (channel IN ('mail', 'webhook'));
REVOKE ALL ON partner_feeds, partner_registrations, partner_feed_batches, partner_feed_rows, partner_feed_log,
    partner_inbound_files, partner_inbound_rows FROM loyalty_portal;
"""


def upgrade() -> None:
    """Make them."""
    op.execute(TABLES)
    op.execute(ALTERED)


def downgrade() -> None:
    """Drop them."""
    op.execute("ALTER TABLE outbox_messages DROP CONSTRAINT ck_outbox_messages_channel")
    op.execute("ALTER TABLE outbox_messages ADD CONSTRAINT ck_outbox_messages_channel CHECK (channel IN ('mail'))")
    op.execute("ALTER TABLE consents DROP COLUMN wording, DROP COLUMN channel, DROP COLUMN station_id")
    op.execute("DROP TABLE partner_inbound_rows, partner_inbound_files, partner_feed_log, partner_feed_rows, partner_feed_batches")
    op.execute("DROP TABLE partner_registrations, partner_feeds, consent_wordings")
    op.execute("DROP FUNCTION partner_feeds_append_only()")
