CREATE TABLE periods (
    period integer PRIMARY KEY,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz
);
CREATE UNIQUE INDEX ux_periods_open ON periods (closed_at) NULLS NOT DISTINCT WHERE closed_at IS NULL;

CREATE TABLE accounts (
    account_id uuid PRIMARY KEY,
    currency text NOT NULL,
    kind text NOT NULL CONSTRAINT ck_accounts_kind CHECK (kind IN ('personal', 'anonymous', 'company', 'suspense')),
    status text NOT NULL CONSTRAINT ck_accounts_status CHECK (status IN ('open', 'frozen', 'closed')),
    customer_id uuid,
    card_product_id uuid,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz
);
CREATE INDEX ix_accounts_customer_id ON accounts (customer_id);

CREATE TABLE house_accounts (
    house_id uuid PRIMARY KEY,
    code text NOT NULL,
    currency text NOT NULL,
    reference text NOT NULL,
    opened_at timestamptz NOT NULL
);

-- Room on the page keeps balance updates HOT: no index is touched.
CREATE TABLE purses (
    account_id uuid NOT NULL,
    purse_id uuid NOT NULL,
    card_id uuid,
    kind smallint NOT NULL,
    unit text NOT NULL,
    expires_at timestamptz,
    balance_minor bigint NOT NULL,
    held_minor bigint NOT NULL,
    credit_limit_minor bigint NOT NULL,
    PRIMARY KEY (account_id, purse_id),
    CONSTRAINT ck_purses_funds CHECK (
        CASE WHEN kind = 4 THEN balance_minor <= 0 AND held_minor = 0 AND credit_limit_minor = 0
        ELSE held_minor >= 0 AND held_minor <= balance_minor + credit_limit_minor AND credit_limit_minor >= 0 END)
) WITH (fillfactor = 60);

CREATE TABLE transfers (
    account_id uuid NOT NULL,
    transfer_id uuid NOT NULL,
    debit_id uuid NOT NULL,
    credit_id uuid NOT NULL,
    amount_minor bigint NOT NULL CONSTRAINT ck_transfers_amount CHECK (amount_minor > 0),
    unit text NOT NULL,
    kind smallint NOT NULL,
    operation_id uuid NOT NULL,
    card_id uuid,
    station_id uuid,
    event_at timestamptz NOT NULL,
    booked_at timestamptz NOT NULL,
    period integer NOT NULL,
    mirrors uuid,
    CONSTRAINT ck_transfers_legs CHECK (debit_id <> credit_id),
    PRIMARY KEY (account_id, transfer_id)
) PARTITION BY RANGE (transfer_id);
CREATE INDEX ix_transfers_transfer_id ON transfers USING brin (transfer_id);

CREATE TABLE daily_balances (
    account_id uuid NOT NULL,
    purse_id uuid NOT NULL,
    day date NOT NULL,
    balance_minor bigint NOT NULL,
    PRIMARY KEY (account_id, purse_id, day)
);

-- What is booked is booked: not even the owner changes it by accident.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed', tg_table_name USING errcode = 'restrict_violation';
END $$;
CREATE TRIGGER transfers_immutable BEFORE UPDATE OR DELETE ON transfers FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transfers_not_truncated BEFORE TRUNCATE ON transfers FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON transfers FROM loyalty_hot, loyalty_jobs, loyalty_portal;
REVOKE UPDATE, DELETE, TRUNCATE ON daily_balances FROM loyalty_hot, loyalty_portal;

CREATE FUNCTION uuid7_floor(instant timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (lpad(to_hex((extract(epoch FROM instant) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

-- Monthly partitions of every hot table that is partitioned by a UUIDv7; returns the names it made. Runs as the owner, since jobs may not make tables.
CREATE FUNCTION make_month_partitions(first_month date, months integer) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    parent regclass;
    month date;
    child text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('make_month_partitions'));
    FOR parent IN
        SELECT c.oid::regclass FROM pg_class c JOIN pg_partitioned_table p ON p.partrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND p.partstrat = 'r' ORDER BY c.relname
    LOOP
        FOR step IN 0 .. months - 1 LOOP
            month := (date_trunc('month', first_month) + make_interval(months => step))::date;
            child := parent::text || '_' || to_char(month, 'YYYYMM');
            IF to_regclass(child) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %s FOR VALUES FROM (%L) TO (%L)', child, parent,
                    uuid7_floor(month::timestamp AT TIME ZONE 'UTC'), uuid7_floor((month + interval '1 month') AT TIME ZONE 'UTC'));
                IF parent = 'transfers'::regclass THEN
                    EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %I FROM loyalty_hot, loyalty_jobs, loyalty_portal', child);
                END IF;
                RETURN NEXT child;
            END IF;
        END LOOP;
    END LOOP;
END $$;
