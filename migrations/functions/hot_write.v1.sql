-- One batch of the hot path: authorisations, sales, completions. One call, one commit.
--
-- Every decision was made outside, on a read; here it is only checked and written. The locks are taken in one order everywhere: cards, then
-- authorisations, then purses, each in id order (UPDATE ... FROM would not lock in order). A request is answered
--   0  written
--   1  stale: the card, its tries, the authorisation or the funds are not as they were read: decide again
--   2  reload: reference data changed: reload it, decide again
-- and a request is written whole or not at all. Counters are written under the card's row lock.

CREATE TYPE hot_item AS (
    ord integer,
    terminal uuid, key uuid, epoch integer, sequence bigint, operation smallint, account uuid, subject uuid,
    fingerprint bytea, record_hash bytea, previous_hash bytea, answer bytea,
    -- the card as it was read (null: not compared), and its tries from now on (null: as they are)
    card uuid, version integer, tries smallint, tries_new smallint,
    -- what is written: 1 an authorisation (a decline too), 2 a sale, 3 a completion, 4 a release
    write smallint, chain uuid, station uuid, status smallint, reason smallint, flow smallint, nozzle smallint, product uuid,
    requested bigint, gross bigint, quantity bigint, price bigint, discount bigint, card_minor bigint, currency text,
    detail jsonb, prompts jsonb, flags integer, staff uuid, fill uuid, event_at timestamptz, expires_at timestamptz, day date,
    -- what the counters of the card's chain change by (null: nothing)
    counter_day date, counted_minor bigint, counted_milli bigint, counted integer,
    -- what the day's counter showed when read (null: no limit depends on it)
    seen_minor bigint, seen_count integer,
    -- the authorisation to complete, as it was read
    original uuid, original_status smallint, original_completions smallint
);
-- A purse's change; `seen`: what was available when read (null: only enough matters).
CREATE TYPE hot_change AS (ord integer, account uuid, purse uuid, held bigint, balance bigint, seen bigint);
CREATE TYPE hot_receivable AS (ord integer, account uuid, purse uuid, unit text);
CREATE TYPE hot_transfer AS (
    ord integer, account uuid, id uuid, debit uuid, credit uuid, amount bigint, unit text, kind smallint, operation uuid, card uuid, station uuid,
    event_at timestamptz
);

CREATE FUNCTION hot_write(
    p_now timestamptz,
    p_revisions bigint[],
    p_period integer,
    p_items hot_item[],
    p_changes hot_change[],
    p_receivables hot_receivable[],
    p_transfers hot_transfer[],
    -- what the batch holds at all, so that a statement with nothing to do is not run
    p_cards integer,
    p_originals integer,
    p_fills integer,
    p_tries integer,
    p_counted integer,
    p_limited integer,
    p_authorizations integer,
    p_sales integer
) RETURNS TABLE (ord integer, result smallint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    n integer := cardinality(p_items);
    good boolean[] := array_fill(true, ARRAY[cardinality(p_items)]);
    found integer[];
    failed integer;
    wanted integer;
    locked integer;
BEGIN
    IF (SELECT array_agg(v.revision ORDER BY v.kind) FROM revisions v) IS DISTINCT FROM p_revisions THEN
        RETURN QUERY SELECT g, 2::smallint FROM generate_series(1, n) g;
        RETURN;
    END IF;

    -- cards, locked in id order; one whose version or tries moved on is not returned
    IF p_cards > 0 THEN
        SELECT coalesce(array_agg(l.ord), '{}') INTO found FROM (
            SELECT i.ord FROM unnest(p_items) i JOIN cards c ON c.card_id = i.card
            WHERE (i.version IS NULL OR c.version = i.version) AND (i.tries IS NULL OR c.pin_tries = i.tries)
            ORDER BY c.card_id FOR NO KEY UPDATE OF c
        ) l;
        IF cardinality(found) < p_cards THEN
            FOR failed IN SELECT i.ord FROM unnest(p_items) i WHERE i.card IS NOT NULL AND i.ord <> ALL (found) LOOP
                good[failed] := false;
            END LOOP;
        END IF;
    END IF;

    -- counters: only the holder of the card's lock writes them, so what another worker wrote meanwhile is seen from here on
    IF p_limited > 0 THEN
        FOR failed IN
            SELECT i.ord FROM unnest(p_items) i
            LEFT JOIN LATERAL (
                SELECT c.count, c.amount_minor FROM limit_counters c
                WHERE c.account_id = i.account AND c.subject_id = i.chain AND c."window" = 1 AND c.start = i.counter_day OFFSET 0
            ) k ON true
            WHERE i.seen_count IS NOT NULL AND (coalesce(k.count, 0) <> i.seen_count OR coalesce(k.amount_minor, 0) <> i.seen_minor)
        LOOP
            good[failed] := false;
        END LOOP;
    END IF;

    IF p_originals > 0 THEN
        SELECT coalesce(array_agg(l.ord), '{}') INTO found FROM (
            SELECT i.ord FROM unnest(p_items) i JOIN authorizations a ON a.account_id = i.account AND a.authorization_id = i.original
            WHERE a.status = i.original_status AND a.completions = i.original_completions
            ORDER BY a.account_id, a.authorization_id FOR NO KEY UPDATE OF a
        ) l;
        IF cardinality(found) < p_originals THEN
            FOR failed IN SELECT i.ord FROM unnest(p_items) i WHERE i.original IS NOT NULL AND i.ord <> ALL (found) LOOP
                good[failed] := false;
            END LOOP;
        END IF;
    END IF;

    IF p_receivables IS NOT NULL THEN
        INSERT INTO purses (account_id, purse_id, kind, unit, balance_minor, held_minor, credit_limit_minor)
        SELECT q.account, q.purse, 4, q.unit, 0, 0, 0 FROM unnest(p_receivables) q WHERE good[q.ord] ORDER BY 1, 2 ON CONFLICT DO NOTHING;
    END IF;

    -- purses, locked in id order; the changes of all requests to one purse must fit together
    IF p_changes IS NOT NULL THEN
        WITH d AS MATERIALIZED (
            SELECT q.account, q.purse, sum(q.held)::bigint AS held, sum(q.balance)::bigint AS balance, min(q.seen) AS seen
            FROM unnest(p_changes) q WHERE good[q.ord] GROUP BY 1, 2
        ), l AS MATERIALIZED (
            SELECT p.purse_id FROM d JOIN purses p ON p.account_id = d.account AND p.purse_id = d.purse
            WHERE p.kind = 4 OR (p.held_minor + d.held >= 0 AND p.held_minor + d.held <= p.balance_minor + d.balance + p.credit_limit_minor
                AND (d.seen IS NULL OR d.seen = p.balance_minor + p.credit_limit_minor - p.held_minor))
            ORDER BY p.account_id, p.purse_id FOR NO KEY UPDATE OF p
        )
        SELECT (SELECT count(*) FROM d), (SELECT count(*) FROM l) INTO wanted, locked;
        IF locked < wanted THEN
            FOR failed IN
                SELECT DISTINCT q.ord FROM unnest(p_changes) q
                JOIN (SELECT c.account, c.purse, sum(c.held)::bigint AS held, sum(c.balance)::bigint AS balance, min(c.seen) AS seen
                    FROM unnest(p_changes) c WHERE good[c.ord] GROUP BY 1, 2) d ON d.account = q.account AND d.purse = q.purse
                LEFT JOIN purses p ON p.account_id = d.account AND p.purse_id = d.purse
                WHERE p.purse_id IS NULL OR NOT (p.kind = 4 OR (p.held_minor + d.held >= 0
                    AND p.held_minor + d.held <= p.balance_minor + d.balance + p.credit_limit_minor
                    AND (d.seen IS NULL OR d.seen = p.balance_minor + p.credit_limit_minor - p.held_minor)))
            LOOP
                good[failed] := false;
            END LOOP;
        END IF;
        UPDATE purses p SET held_minor = p.held_minor + d.held, balance_minor = p.balance_minor + d.balance
        FROM (
            SELECT q.account, q.purse, sum(q.held)::bigint AS held, sum(q.balance)::bigint AS balance
            FROM unnest(p_changes) q WHERE good[q.ord] GROUP BY 1, 2
        ) d WHERE p.account_id = d.account AND p.purse_id = d.purse;
    END IF;

    IF p_tries > 0 THEN
        UPDATE cards c SET pin_tries = i.tries_new FROM unnest(p_items) i WHERE i.tries_new IS NOT NULL AND good[i.ord] AND c.card_id = i.card;
    END IF;

    IF p_counted > 0 THEN
        INSERT INTO limit_counters AS c (account_id, subject_id, "window", start, amount_minor, quantity_milli, count, last_at)
        SELECT i.account, i.chain, 1, i.counter_day, i.counted_minor, i.counted_milli, i.counted, i.event_at
        FROM unnest(p_items) i WHERE i.counter_day IS NOT NULL AND good[i.ord]
        ON CONFLICT (account_id, subject_id, "window", start) DO UPDATE SET amount_minor = c.amount_minor + excluded.amount_minor,
            quantity_milli = c.quantity_milli + excluded.quantity_milli, count = c.count + excluded.count, last_at = greatest(c.last_at, excluded.last_at);
    END IF;

    IF p_authorizations > 0 THEN
        INSERT INTO authorizations (account_id, authorization_id, card_id, chain_id, terminal_id, station_id, status, reason, flow, nozzle, product_id,
            requested_minor, approved_minor, approved_milli, unit_price_e4, hold_purses, hold_minors, captured_minor, captured_milli, completions,
            frozen, prompts, flags, event_at, booked_at, expires_at, business_day)
        SELECT i.account, i.subject, i.card, i.chain, i.terminal, i.station, i.status, i.reason, i.flow, i.nozzle, i.product,
            i.requested, i.gross, i.quantity, i.price,
            coalesce((SELECT array_agg(q.purse) FROM unnest(p_changes) q WHERE q.ord = i.ord), '{}'),
            coalesce((SELECT array_agg(q.held) FROM unnest(p_changes) q WHERE q.ord = i.ord), '{}'), 0, 0, 0,
            i.detail, i.prompts, i.flags, i.event_at, p_now, i.expires_at, i.day
        FROM unnest(p_items) i WHERE i.write = 1 AND good[i.ord];
    END IF;

    IF p_sales > 0 THEN
        INSERT INTO sales (account_id, sale_id, authorization_id, card_id, chain_id, terminal_id, station_id, staff_id, flow, nozzle, product_id,
            quantity_milli, unit_price_e4, gross_minor, discount_minor, card_minor, currency, detail, flags, status, refunded_minor, fill_id,
            event_at, booked_at, business_day, period)
        SELECT i.account, i.subject, i.original, i.card, i.chain, i.terminal, i.station, i.staff, i.flow, i.nozzle, i.product,
            i.quantity, i.price, i.gross, i.discount, i.card_minor, i.currency, i.detail, i.flags, 1, 0, i.fill,
            i.event_at, p_now, i.day, p_period
        FROM unnest(p_items) i WHERE i.write IN (2, 3) AND good[i.ord];
    END IF;

    IF p_originals > 0 THEN
        UPDATE authorizations a SET status = i.status, completions = a.completions + (i.write = 3)::integer,
            captured_minor = a.captured_minor + i.gross, captured_milli = a.captured_milli + i.quantity, flags = a.flags | i.flags,
            hold_minors = CASE WHEN i.status = 5 THEN (
                SELECT array_agg(u.held + coalesce(c.change, 0) ORDER BY u.place)
                FROM unnest(a.hold_purses, a.hold_minors) WITH ORDINALITY u(purse, held, place)
                LEFT JOIN (
                    SELECT q.purse, sum(q.held)::bigint AS change FROM unnest(p_changes) q WHERE q.ord = i.ord GROUP BY q.purse
                ) c ON c.purse = u.purse
            ) ELSE '{}' END,
            hold_purses = CASE WHEN i.status = 5 THEN a.hold_purses ELSE '{}' END
        FROM unnest(p_items) i
        WHERE i.original IS NOT NULL AND good[i.ord] AND a.account_id = i.account AND a.authorization_id = i.original;
        IF EXISTS (SELECT FROM unnest(p_items) i WHERE i.original_status IN (5, 9)) THEN
            UPDATE unresolved_dispenses u SET resolved_at = p_now, resolution = 'late_completion'
            FROM unnest(p_items) i
            WHERE i.original_status IN (5, 9) AND i.status <> 5 AND good[i.ord] AND u.account_id = i.account AND u.authorization_id = i.original
                AND u.resolved_at IS NULL;
        END IF;
    END IF;

    IF p_transfers IS NOT NULL THEN
        INSERT INTO transfers (account_id, transfer_id, debit_id, credit_id, amount_minor, unit, kind, operation_id, card_id, station_id, event_at,
            booked_at, period)
        SELECT q.account, q.id, q.debit, q.credit, q.amount, q.unit, q.kind, q.operation, q.card, q.station, q.event_at, p_now, p_period
        FROM unnest(p_transfers) q WHERE good[q.ord];
    END IF;

    IF p_fills > 0 THEN
        UPDATE fills f SET status = 3, account_id = i.account, sale_id = i.subject, locked_until = NULL
        FROM unnest(p_items) i WHERE i.fill IS NOT NULL AND i.write = 2 AND good[i.ord] AND f.fill_id = i.fill AND f.status IN (1, 2);
        GET DIAGNOSTICS locked = ROW_COUNT;
        IF locked <> (SELECT count(*) FROM unnest(p_items) i WHERE i.fill IS NOT NULL AND i.write = 2 AND good[i.ord]) THEN
            RAISE EXCEPTION 'a fill was paid meanwhile' USING errcode = 'serialization_failure';
        END IF;
    END IF;

    INSERT INTO requests (terminal_id, key, epoch, sequence, operation, account_id, subject_id, fingerprint, record_hash, previous_hash, answer, booked_at)
    SELECT i.terminal, i.key, i.epoch, i.sequence, i.operation, i.account, i.subject, i.fingerprint, i.record_hash, i.previous_hash, i.answer, p_now
    FROM unnest(p_items) i WHERE good[i.ord];

    RETURN QUERY SELECT g.place::integer, (CASE WHEN g.good THEN 0 ELSE 1 END)::smallint FROM unnest(good) WITH ORDINALITY g(good, place);
END $$;
