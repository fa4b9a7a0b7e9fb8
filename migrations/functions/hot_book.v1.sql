-- One batch of the hot path: authorisations, sales, completions. One call, one commit, the whole batch or nothing of it.
--
-- Every decision was made outside, on a read; here it is only checked and written. The locks are taken in one order everywhere: cards, then
-- authorisations, then purses, each in id order (UPDATE ... FROM would not lock in order). What is not as it was read is returned, and then
-- nothing was written: the caller decides those requests again and sends the others once more.
--   1  a card whose version or tries moved on (place in p_cards)
--   2  an authorisation that moved on (place in p_originals)
--   3  a purse that does not hold it any more, or not what was seen (place in p_purses)
--   4  a counter that another worker wrote meanwhile (place in p_counters)
--   5  reference data changed: reload it, decide all again
-- Counters are written under the card's row lock. Each array holds one kind of row, so that no statement reads what it does not need; two
-- requests' changes of one purse or one counter come added up.

-- A card as it was read (null: not compared), its tries from now on (null: as they are), and whether its holder's code was used up.
CREATE TYPE hot_card AS (card uuid, version integer, tries smallint, tries_new smallint, used boolean);
CREATE TYPE hot_original AS (
    account uuid, id uuid, status smallint, completions smallint,
    status_new smallint, completed smallint, minor bigint, milli bigint, flags integer, hold_purses uuid[], hold_minors bigint[]
);
CREATE TYPE hot_debt AS (account uuid, purse uuid, unit text);
-- `seen`: what was available when read (null: only enough matters).
CREATE TYPE hot_purse AS (account uuid, purse uuid, held bigint, balance bigint, seen bigint);
-- `seen`: what the day's counter showed when read (null: no limit depends on it).
CREATE TYPE hot_counter AS (
    account uuid, subject uuid, day date, minor bigint, milli bigint, count integer, last_at timestamptz, seen_minor bigint, seen_count integer
);
CREATE TYPE hot_authorization AS (
    account uuid, id uuid, card uuid, chain uuid, terminal uuid, station uuid, status smallint, reason smallint, flow smallint, nozzle smallint,
    product uuid, requested bigint, approved bigint, milli bigint, price bigint, hold_purses uuid[], hold_minors bigint[], frozen jsonb,
    prompts jsonb, flags integer, event_at timestamptz, expires_at timestamptz, day date
);
CREATE TYPE hot_sale AS (
    account uuid, id uuid, original uuid, card uuid, chain uuid, terminal uuid, station uuid, staff uuid, flow smallint, nozzle smallint,
    product uuid, milli bigint, price bigint, gross bigint, discount bigint, card_minor bigint, currency text, detail jsonb, flags integer,
    fill uuid, event_at timestamptz, day date
);
CREATE TYPE hot_movement AS (
    account uuid, id uuid, debit uuid, credit uuid, amount bigint, unit text, kind smallint, operation uuid, card uuid, station uuid,
    event_at timestamptz
);
CREATE TYPE hot_fill AS (fill uuid, account uuid, sale uuid);
CREATE TYPE hot_request AS (
    terminal uuid, key uuid, epoch integer, sequence bigint, operation smallint, account uuid, subject uuid, fingerprint bytea,
    record_hash bytea, previous_hash bytea, answer bytea
);

CREATE FUNCTION hot_book(
    p_now timestamptz,
    p_revisions bigint[],
    p_period integer,
    p_cards hot_card[],
    -- how many cards change, how many authorisations had run out, on how many counters a limit depends: what has nothing to
    -- do is not run
    p_changed integer,
    p_originals hot_original[],
    p_overdue integer,
    p_debts hot_debt[],
    p_purses hot_purse[],
    p_limited integer,
    p_counters hot_counter[],
    p_authorizations hot_authorization[],
    p_sales hot_sale[],
    p_movements hot_movement[],
    p_fills hot_fill[],
    p_requests hot_request[]
) RETURNS TABLE (kind smallint, place integer)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    locked integer;
BEGIN
    IF (SELECT array_agg(v.revision ORDER BY v.kind) FROM revisions v) IS DISTINCT FROM p_revisions THEN
        RETURN QUERY SELECT 5::smallint, 0;
        RETURN;
    END IF;

    IF p_cards IS NOT NULL THEN
        SELECT count(*) INTO locked FROM (
            SELECT FROM unnest(p_cards) i JOIN cards c ON c.card_id = i.card
            WHERE (i.version IS NULL OR c.version = i.version) AND (i.tries IS NULL OR c.pin_tries = i.tries)
            ORDER BY c.card_id FOR NO KEY UPDATE OF c
        ) l;
        IF locked < cardinality(p_cards) THEN
            RETURN QUERY
            SELECT 1::smallint, i.place::integer
            FROM unnest(p_cards) WITH ORDINALITY i(card, version, tries, tries_new, used, place) LEFT JOIN cards c ON c.card_id = i.card
            WHERE ((i.version IS NULL OR c.version = i.version) AND (i.tries IS NULL OR c.pin_tries = i.tries)) IS NOT TRUE;
            IF NOT FOUND THEN
                RETURN QUERY SELECT 1::smallint, g FROM generate_series(1, cardinality(p_cards)) g;
            END IF;
            RETURN;
        END IF;
    END IF;

    -- only the holder of the card's lock writes its counters, so what another worker wrote meanwhile is seen from here on
    IF p_limited > 0 THEN
        RETURN QUERY
        SELECT 4::smallint, i.place::integer
        FROM unnest(p_counters) WITH ORDINALITY i(account, subject, day, minor, milli, count, last_at, seen_minor, seen_count, place)
        LEFT JOIN limit_counters c ON c.account_id = i.account AND c.subject_id = i.subject AND c."window" = 1 AND c.start = i.day
        WHERE i.seen_count IS NOT NULL AND (coalesce(c.count, 0) <> i.seen_count OR coalesce(c.amount_minor, 0) <> i.seen_minor);
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;

    IF p_originals IS NOT NULL THEN
        SELECT count(*) INTO locked FROM (
            SELECT FROM unnest(p_originals) i JOIN authorizations a ON a.account_id = i.account AND a.authorization_id = i.id
            WHERE a.status = i.status AND a.completions = i.completions
            ORDER BY a.account_id, a.authorization_id FOR NO KEY UPDATE OF a
        ) l;
        IF locked < cardinality(p_originals) THEN
            RETURN QUERY
            SELECT 2::smallint, i.place::integer
            FROM unnest(p_originals) WITH ORDINALITY
                i(account, id, status, completions, status_new, completed, minor, milli, flags, hold_purses, hold_minors, place)
            LEFT JOIN authorizations a ON a.account_id = i.account AND a.authorization_id = i.id
            WHERE (a.status = i.status AND a.completions = i.completions) IS NOT TRUE;
            IF NOT FOUND THEN
                RETURN QUERY SELECT 2::smallint, g FROM generate_series(1, cardinality(p_originals)) g;
            END IF;
            RETURN;
        END IF;
    END IF;

    IF p_debts IS NOT NULL THEN
        INSERT INTO purses (account_id, purse_id, kind, unit, balance_minor, held_minor, credit_limit_minor)
        SELECT q.account, q.purse, 4, q.unit, 0, 0, 0 FROM unnest(p_debts) q ORDER BY 1, 2 ON CONFLICT DO NOTHING;
    END IF;

    IF p_purses IS NOT NULL THEN
        SELECT count(*) INTO locked FROM (
            SELECT FROM unnest(p_purses) d JOIN purses p ON p.account_id = d.account AND p.purse_id = d.purse
            WHERE p.kind = 4 OR (p.held_minor + d.held >= 0 AND p.held_minor + d.held <= p.balance_minor + d.balance + p.credit_limit_minor
                AND (d.seen IS NULL OR d.seen = p.balance_minor + p.credit_limit_minor - p.held_minor))
            ORDER BY p.account_id, p.purse_id FOR NO KEY UPDATE OF p
        ) l;
        IF locked < cardinality(p_purses) THEN
            RETURN QUERY
            SELECT 3::smallint, d.place::integer
            FROM unnest(p_purses) WITH ORDINALITY d(account, purse, held, balance, seen, place)
            LEFT JOIN purses p ON p.account_id = d.account AND p.purse_id = d.purse
            WHERE (p.kind = 4 OR (p.held_minor + d.held >= 0 AND p.held_minor + d.held <= p.balance_minor + d.balance + p.credit_limit_minor
                AND (d.seen IS NULL OR d.seen = p.balance_minor + p.credit_limit_minor - p.held_minor))) IS NOT TRUE;
            IF NOT FOUND THEN
                RETURN QUERY SELECT 3::smallint, g FROM generate_series(1, cardinality(p_purses)) g;
            END IF;
            RETURN;
        END IF;
        UPDATE purses p SET held_minor = p.held_minor + d.held, balance_minor = p.balance_minor + d.balance
        FROM unnest(p_purses) d WHERE p.account_id = d.account AND p.purse_id = d.purse;
    END IF;

    IF p_changed > 0 THEN
        UPDATE cards c SET pin_tries = coalesce(i.tries_new, c.pin_tries), version = c.version + i.used::integer
        FROM unnest(p_cards) i WHERE (i.tries_new IS NOT NULL OR i.used) AND c.card_id = i.card;
    END IF;

    IF p_counters IS NOT NULL THEN
        INSERT INTO limit_counters AS c (account_id, subject_id, "window", start, amount_minor, quantity_milli, count, last_at)
        SELECT i.account, i.subject, 1, i.day, i.minor, i.milli, i.count, i.last_at FROM unnest(p_counters) i
        ON CONFLICT (account_id, subject_id, "window", start) DO UPDATE SET amount_minor = c.amount_minor + excluded.amount_minor,
            quantity_milli = c.quantity_milli + excluded.quantity_milli, count = c.count + excluded.count,
            last_at = greatest(c.last_at, excluded.last_at);
    END IF;

    IF p_authorizations IS NOT NULL THEN
        INSERT INTO authorizations (account_id, authorization_id, card_id, chain_id, terminal_id, station_id, status, reason, flow, nozzle, product_id,
            requested_minor, approved_minor, approved_milli, unit_price_e4, hold_purses, hold_minors, captured_minor, captured_milli, completions,
            frozen, prompts, flags, event_at, booked_at, expires_at, business_day)
        SELECT i.account, i.id, i.card, i.chain, i.terminal, i.station, i.status, i.reason, i.flow, i.nozzle, i.product,
            i.requested, i.approved, i.milli, i.price, i.hold_purses, i.hold_minors, 0, 0, 0,
            i.frozen, i.prompts, i.flags, i.event_at, p_now, i.expires_at, i.day
        FROM unnest(p_authorizations) i;
    END IF;

    IF p_sales IS NOT NULL THEN
        INSERT INTO sales (account_id, sale_id, authorization_id, card_id, chain_id, terminal_id, station_id, staff_id, flow, nozzle, product_id,
            quantity_milli, unit_price_e4, gross_minor, discount_minor, card_minor, currency, detail, flags, status, refunded_minor, fill_id,
            event_at, booked_at, business_day, period)
        SELECT i.account, i.id, i.original, i.card, i.chain, i.terminal, i.station, i.staff, i.flow, i.nozzle, i.product,
            i.milli, i.price, i.gross, i.discount, i.card_minor, i.currency, i.detail, i.flags, 1, 0, i.fill,
            i.event_at, p_now, i.day, p_period
        FROM unnest(p_sales) i;
    END IF;

    IF p_originals IS NOT NULL THEN
        UPDATE authorizations a SET status = i.status_new, completions = a.completions + i.completed,
            captured_minor = a.captured_minor + i.minor, captured_milli = a.captured_milli + i.milli, flags = a.flags | i.flags,
            hold_purses = i.hold_purses, hold_minors = i.hold_minors
        FROM unnest(p_originals) i WHERE a.account_id = i.account AND a.authorization_id = i.id;
        IF p_overdue > 0 THEN
            UPDATE unresolved_dispenses u SET resolved_at = p_now, resolution = 'late_completion'
            FROM unnest(p_originals) i
            WHERE i.status IN (5, 9) AND i.status_new <> 5 AND u.account_id = i.account AND u.authorization_id = i.id AND u.resolved_at IS NULL;
        END IF;
    END IF;

    IF p_movements IS NOT NULL THEN
        INSERT INTO transfers (account_id, transfer_id, debit_id, credit_id, amount_minor, unit, kind, operation_id, card_id, station_id, event_at,
            booked_at, period)
        SELECT q.account, q.id, q.debit, q.credit, q.amount, q.unit, q.kind, q.operation, q.card, q.station, q.event_at, p_now, p_period
        FROM unnest(p_movements) q;
    END IF;

    IF p_fills IS NOT NULL THEN
        UPDATE fills f SET status = 3, account_id = i.account, sale_id = i.sale, locked_until = NULL
        FROM unnest(p_fills) i WHERE f.fill_id = i.fill AND f.status IN (1, 2);
        GET DIAGNOSTICS locked = ROW_COUNT;
        IF locked <> cardinality(p_fills) THEN
            RAISE EXCEPTION 'a fill was paid meanwhile' USING errcode = 'serialization_failure';
        END IF;
    END IF;

    INSERT INTO requests (terminal_id, key, epoch, sequence, operation, account_id, subject_id, fingerprint, record_hash, previous_hash, answer, booked_at)
    SELECT i.terminal, i.key, i.epoch, i.sequence, i.operation, i.account, i.subject, i.fingerprint, i.record_hash, i.previous_hash, i.answer, p_now
    FROM unnest(p_requests) i;
END $$;
