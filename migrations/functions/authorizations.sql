CREATE TABLE authorizations (
    account_id uuid NOT NULL,
    authorization_id uuid NOT NULL,
    card_id uuid,
    chain_id uuid,
    terminal_id uuid NOT NULL,
    station_id uuid NOT NULL,
    status smallint NOT NULL,
    reason smallint NOT NULL,
    flow smallint NOT NULL,
    nozzle smallint,
    product_id uuid,
    requested_minor bigint,
    approved_minor bigint NOT NULL,
    approved_milli bigint NOT NULL,
    unit_price_e4 bigint NOT NULL,
    hold_purses uuid[] NOT NULL,
    hold_minors bigint[] NOT NULL,
    captured_minor bigint NOT NULL,
    captured_milli bigint NOT NULL,
    completions smallint NOT NULL,
    frozen jsonb,
    prompts jsonb,
    flags integer NOT NULL,
    event_at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL,
    expires_at timestamptz,
    business_day date NOT NULL,
    PRIMARY KEY (account_id, authorization_id)
) PARTITION BY RANGE (authorization_id);
CREATE INDEX ix_authorizations_station_id ON authorizations (station_id, authorization_id);
CREATE INDEX ix_authorizations_authorization_id ON authorizations USING brin (authorization_id);

CREATE TABLE sales (
    account_id uuid NOT NULL,
    sale_id uuid NOT NULL,
    authorization_id uuid,
    card_id uuid,
    chain_id uuid,
    terminal_id uuid NOT NULL,
    station_id uuid NOT NULL,
    staff_id uuid,
    flow smallint NOT NULL,
    nozzle smallint,
    product_id uuid,
    quantity_milli bigint NOT NULL,
    unit_price_e4 bigint NOT NULL,
    gross_minor bigint NOT NULL,
    discount_minor bigint NOT NULL,
    card_minor bigint NOT NULL,
    currency text NOT NULL,
    detail jsonb,
    flags integer NOT NULL,
    status smallint NOT NULL,
    refunded_minor bigint NOT NULL,
    fill_id uuid,
    event_at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL,
    business_day date NOT NULL,
    period integer NOT NULL,
    CONSTRAINT ck_sales_refunded CHECK (refunded_minor BETWEEN 0 AND gross_minor),
    PRIMARY KEY (account_id, sale_id)
) PARTITION BY RANGE (sale_id);
CREATE INDEX ix_sales_station_id ON sales (station_id, sale_id);
CREATE INDEX ix_sales_sale_id ON sales USING brin (sale_id);

CREATE TABLE refunds (
    account_id uuid NOT NULL,
    refund_id uuid NOT NULL,
    sale_id uuid NOT NULL,
    void boolean NOT NULL,
    gross_minor bigint NOT NULL CONSTRAINT ck_refunds_gross CHECK (gross_minor > 0),
    discount_minor bigint NOT NULL,
    card_minor bigint NOT NULL,
    tenders jsonb,
    quantity_milli bigint NOT NULL,
    reason text NOT NULL,
    terminal_id uuid NOT NULL,
    station_id uuid NOT NULL,
    staff_id uuid,
    event_at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL,
    business_day date NOT NULL,
    PRIMARY KEY (account_id, refund_id)
);
CREATE INDEX ix_refunds_sale ON refunds (account_id, sale_id);
CREATE INDEX ix_refunds_station_id ON refunds (station_id, refund_id);

-- Never dated, never dropped: a terminal that was offline for a year still has one effect a key.
CREATE TABLE requests (
    terminal_id uuid NOT NULL,
    key uuid NOT NULL,
    epoch integer,
    sequence bigint,
    operation smallint NOT NULL,
    account_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    fingerprint bytea NOT NULL,
    record_hash bytea,
    previous_hash bytea,
    answer bytea NOT NULL,
    booked_at timestamptz NOT NULL,
    PRIMARY KEY (terminal_id, key),
    CONSTRAINT uq_requests_terminal_id_epoch_sequence UNIQUE (terminal_id, epoch, sequence)
) PARTITION BY HASH (terminal_id);
DO $$
BEGIN
    FOR part IN 0 .. 7 LOOP
        EXECUTE format('CREATE TABLE requests_%s PARTITION OF requests FOR VALUES WITH (MODULUS 8, REMAINDER %s)', part, part);
    END LOOP;
END $$;

CREATE TABLE limit_counters (
    account_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    "window" smallint NOT NULL,
    start date NOT NULL,
    amount_minor bigint NOT NULL,
    quantity_milli bigint NOT NULL,
    count integer NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, subject_id, "window", start)
) WITH (fillfactor = 70);

CREATE TABLE fills (
    fill_id uuid PRIMARY KEY,
    station_id uuid NOT NULL CONSTRAINT fk_fills_station_id_stations REFERENCES stations (station_id),
    pump_reference text NOT NULL,
    nozzle smallint NOT NULL,
    product_id uuid NOT NULL CONSTRAINT fk_fills_product_id_products REFERENCES products (product_id),
    quantity_milli bigint NOT NULL,
    unit_price_e4 bigint NOT NULL,
    amount_minor bigint NOT NULL,
    finished_at timestamptz NOT NULL,
    status smallint NOT NULL,
    locked_until timestamptz,
    account_id uuid,
    sale_id uuid,
    CONSTRAINT uq_fills_station_id_pump_reference UNIQUE (station_id, pump_reference)
);
CREATE INDEX ix_fills_station_id_status ON fills (station_id, status, finished_at);

CREATE TABLE unresolved_dispenses (
    account_id uuid NOT NULL,
    authorization_id uuid NOT NULL,
    station_id uuid NOT NULL CONSTRAINT fk_unresolved_dispenses_station_id_stations REFERENCES stations (station_id),
    opened_at timestamptz NOT NULL,
    resolved_at timestamptz,
    resolution text CONSTRAINT ck_unresolved_dispenses_resolution CHECK (resolution IN ('late_completion', 'pump_record', 'released')),
    evidence text,
    staff_id uuid CONSTRAINT fk_unresolved_dispenses_staff_id_staff REFERENCES staff (staff_id),
    CONSTRAINT ck_unresolved_dispenses_resolved CHECK ((resolved_at IS NULL) = (resolution IS NULL)),
    PRIMARY KEY (account_id, authorization_id)
);
CREATE INDEX ix_unresolved_dispenses_open ON unresolved_dispenses (station_id, opened_at) WHERE resolved_at IS NULL;

SELECT make_month_partitions(date_trunc('month', now() - interval '1 month')::date, 5);
