-- One batch of the hot path: authorisations, sales, completions. One call, one commit.
--
-- Every decision was made outside, on a read; here it is only checked and written. The locks are taken in one order everywhere: cards, then
-- authorisations, then purses, each in id order (UPDATE ... FROM would not lock in order). A request is answered
--   0  written
--   1  stale: the card, its tries, the authorisation or the funds are not as they were read: decide again
--   2  reload: reference data changed: reload it, decide again
-- and a request is written whole or not at all. Counters are written under the card's row lock.
CREATE FUNCTION hot_write(
    p_now timestamptz,
    p_revisions bigint[],
    p_period integer,
    -- one element a request
    r_terminal uuid[], r_key uuid[], r_epoch integer[], r_sequence bigint[], r_operation smallint[], r_account uuid[], r_subject uuid[],
    r_fingerprint bytea[], r_record bytea[], r_previous bytea[], r_answer bytea[],
    -- the card as it was read (null: none), and its tries from now on
    c_card uuid[], c_version integer[], c_tries smallint[], c_tries_new smallint[],
    -- what is written: 1 an authorisation (a decline too), 2 a sale, 3 a completion
    w_kind smallint[], w_chain uuid[], w_station uuid[], w_status smallint[], w_reason smallint[], w_flow smallint[], w_nozzle smallint[],
    w_product uuid[], w_requested bigint[], w_gross bigint[], w_quantity bigint[], w_price bigint[], w_discount bigint[], w_card_minor bigint[],
    w_currency text[], w_detail jsonb[], w_prompts jsonb[], w_flags integer[], w_staff uuid[], w_fill uuid[], w_event timestamptz[],
    w_expires timestamptz[], w_day date[],
    -- counters: what to add for the card's chain
    k_day date[], k_amount bigint[], k_quantity bigint[], k_count integer[],
    -- completions: the authorisation as it was read
    a_id uuid[], a_status smallint[], a_completions smallint[],
    -- purse changes, sorted by nothing: request, purse, change of what is held, change of the balance, available as it was read (null: only enough matters)
    h_ord integer[], h_purse uuid[], h_held bigint[], h_balance bigint[], h_seen bigint[],
    -- receivables to make if missing
    n_ord integer[], n_purse uuid[],
    -- transfers
    t_ord integer[], t_id uuid[], t_debit uuid[], t_credit uuid[], t_amount bigint[], t_kind smallint[]
) RETURNS TABLE (ord integer, result smallint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    n integer := cardinality(r_key);
    good boolean[];
    bad integer[];
BEGIN
    IF (SELECT array_agg(v.revision ORDER BY v.kind) FROM revisions v) IS DISTINCT FROM p_revisions THEN
        RETURN QUERY SELECT g, 2::smallint FROM generate_series(1, n) g;
        RETURN;
    END IF;

    -- cards, locked in id order; one whose version or tries moved on is not returned
    SELECT array_agg(c_card[g.ord] IS NULL OR l.ord IS NOT NULL ORDER BY g.ord) INTO good
    FROM generate_series(1, n) g(ord)
    LEFT JOIN (
        SELECT q.ord FROM unnest(c_card, c_version, c_tries) WITH ORDINALITY q(card, version, tries, ord)
        JOIN cards c ON c.card_id = q.card
        WHERE (q.version IS NULL OR c.version = q.version) AND (q.tries IS NULL OR c.pin_tries = q.tries)
        ORDER BY c.card_id FOR NO KEY UPDATE OF c
    ) l ON l.ord = g.ord;

    -- authorisations to complete
    IF a_id IS NOT NULL THEN
        SELECT array_agg(good[g.ord] AND (a_id[g.ord] IS NULL OR l.ord IS NOT NULL) ORDER BY g.ord) INTO good
        FROM generate_series(1, n) g(ord)
        LEFT JOIN (
            SELECT q.ord FROM unnest(r_account, a_id, a_status, a_completions) WITH ORDINALITY q(account, id, status, completions, ord)
            JOIN authorizations a ON a.account_id = q.account AND a.authorization_id = q.id
            WHERE a.status = q.status AND a.completions = q.completions
            ORDER BY a.account_id, a.authorization_id FOR NO KEY UPDATE OF a
        ) l ON l.ord = g.ord;
    END IF;

    IF n_purse IS NOT NULL THEN
        INSERT INTO purses (account_id, purse_id, kind, unit, balance_minor, held_minor, credit_limit_minor)
        SELECT r_account[q.ord], q.purse, 4, w_currency[q.ord], 0, 0, 0 FROM unnest(n_ord, n_purse) q(ord, purse) WHERE good[q.ord]
        ORDER BY 1, 2 ON CONFLICT DO NOTHING;
    END IF;

    -- purses, locked in id order; the changes of all requests to one purse must fit together
    IF h_ord IS NOT NULL THEN
        SELECT array_agg(DISTINCT q.ord) INTO bad
        FROM unnest(h_ord, h_purse) q(ord, purse)
        LEFT JOIN (
            SELECT p.account_id, p.purse_id FROM (
                SELECT r_account[q.ord] AS account, q.purse, sum(q.held) AS held, sum(q.balance) AS balance, min(q.seen) AS seen
                FROM unnest(h_ord, h_purse, h_held, h_balance, h_seen) q(ord, purse, held, balance, seen) WHERE good[q.ord] GROUP BY 1, 2
            ) d JOIN purses p ON p.account_id = d.account AND p.purse_id = d.purse
            WHERE p.kind = 4 OR (p.held_minor + d.held >= 0 AND p.held_minor + d.held <= p.balance_minor + d.balance + p.credit_limit_minor
                AND (d.seen IS NULL OR d.seen = p.balance_minor + p.credit_limit_minor - p.held_minor))
            ORDER BY p.account_id, p.purse_id FOR NO KEY UPDATE OF p
        ) l ON l.account_id = r_account[q.ord] AND l.purse_id = q.purse
        WHERE l.purse_id IS NULL;
        IF bad IS NOT NULL THEN
            FOR i IN 1 .. cardinality(bad) LOOP
                good[bad[i]] := false;
            END LOOP;
        END IF;
        UPDATE purses p SET held_minor = p.held_minor + d.held, balance_minor = p.balance_minor + d.balance
        FROM (
            SELECT r_account[q.ord] AS account, q.purse, sum(q.held) AS held, sum(q.balance) AS balance
            FROM unnest(h_ord, h_purse, h_held, h_balance) q(ord, purse, held, balance) WHERE good[q.ord] GROUP BY 1, 2
        ) d WHERE p.account_id = d.account AND p.purse_id = d.purse;
    END IF;

    IF c_tries_new IS NOT NULL THEN
        UPDATE cards c SET pin_tries = q.tries
        FROM unnest(c_card, c_tries_new) WITH ORDINALITY q(card, tries, ord) WHERE good[q.ord] AND q.tries IS NOT NULL AND c.card_id = q.card;
    END IF;

    IF k_amount IS NOT NULL THEN
        INSERT INTO limit_counters AS c (account_id, subject_id, "window", start, amount_minor, quantity_milli, count, last_at)
        SELECT r_account[q.ord], w_chain[q.ord], 1, k_day[q.ord], q.amount, q.quantity, q.count, w_event[q.ord]
        FROM unnest(k_amount, k_quantity, k_count) WITH ORDINALITY q(amount, quantity, count, ord) WHERE good[q.ord] AND q.amount IS NOT NULL
        ON CONFLICT (account_id, subject_id, "window", start) DO UPDATE SET amount_minor = c.amount_minor + excluded.amount_minor,
            quantity_milli = c.quantity_milli + excluded.quantity_milli, count = c.count + excluded.count, last_at = greatest(c.last_at, excluded.last_at);
    END IF;

    INSERT INTO authorizations (account_id, authorization_id, card_id, chain_id, terminal_id, station_id, status, reason, flow, nozzle, product_id,
        requested_minor, approved_minor, approved_milli, unit_price_e4, hold_purses, hold_minors, captured_minor, captured_milli, completions,
        frozen, prompts, flags, event_at, booked_at, expires_at, business_day)
    SELECT r_account[g], r_subject[g], c_card[g], w_chain[g], r_terminal[g], w_station[g], w_status[g], w_reason[g], w_flow[g], w_nozzle[g], w_product[g],
        w_requested[g], w_gross[g], w_quantity[g], w_price[g], coalesce(h.purses, '{}'), coalesce(h.minors, '{}'), 0, 0, 0,
        w_detail[g], w_prompts[g], w_flags[g], w_event[g], p_now, w_expires[g], w_day[g]
    FROM generate_series(1, n) g
    LEFT JOIN (
        SELECT q.ord, array_agg(q.purse) AS purses, array_agg(q.held) AS minors FROM unnest(h_ord, h_purse, h_held) q(ord, purse, held) GROUP BY q.ord
    ) h ON h.ord = g
    WHERE w_kind[g] = 1 AND good[g];

    IF 2 = ANY(w_kind) OR 3 = ANY(w_kind) THEN
        INSERT INTO sales (account_id, sale_id, authorization_id, card_id, chain_id, terminal_id, station_id, staff_id, flow, nozzle, product_id,
            quantity_milli, unit_price_e4, gross_minor, discount_minor, card_minor, currency, detail, flags, status, refunded_minor, fill_id,
            event_at, booked_at, business_day, period)
        SELECT r_account[g], r_subject[g], a_id[g], c_card[g], w_chain[g], r_terminal[g], w_station[g], w_staff[g], w_flow[g], w_nozzle[g], w_product[g],
            w_quantity[g], w_price[g], w_gross[g], w_discount[g], w_card_minor[g], w_currency[g], w_detail[g], w_flags[g], 1, 0, w_fill[g],
            w_event[g], p_now, w_day[g], p_period
        FROM generate_series(1, n) g WHERE w_kind[g] IN (2, 3) AND good[g];
    END IF;

    IF a_id IS NOT NULL THEN
        UPDATE authorizations a SET status = w_status[g], completions = a.completions + (w_kind[g] = 3)::integer,
            captured_minor = a.captured_minor + w_gross[g], captured_milli = a.captured_milli + w_quantity[g],
            flags = a.flags | w_flags[g],
            hold_minors = CASE WHEN w_status[g] = 5 THEN (
                SELECT array_agg(u.held + coalesce(c.change, 0) ORDER BY u.place)
                FROM unnest(a.hold_purses, a.hold_minors) WITH ORDINALITY u(purse, held, place)
                LEFT JOIN (
                    SELECT q.purse, sum(q.held)::bigint AS change FROM unnest(h_ord, h_purse, h_held) q(ord, purse, held) WHERE q.ord = g GROUP BY q.purse
                ) c ON c.purse = u.purse
            ) ELSE '{}' END,
            hold_purses = CASE WHEN w_status[g] = 5 THEN a.hold_purses ELSE '{}' END
        FROM generate_series(1, n) g
        WHERE a_id[g] IS NOT NULL AND good[g] AND a.account_id = r_account[g] AND a.authorization_id = a_id[g];
        UPDATE unresolved_dispenses u SET resolved_at = p_now, resolution = 'late_completion'
        FROM generate_series(1, n) g
        WHERE a_status[g] = 9 AND good[g] AND w_status[g] <> 5 AND u.account_id = r_account[g] AND u.authorization_id = a_id[g] AND u.resolved_at IS NULL;
    END IF;

    IF t_ord IS NOT NULL THEN
        INSERT INTO transfers (account_id, transfer_id, debit_id, credit_id, amount_minor, unit, kind, operation_id, card_id, station_id, event_at, booked_at, period)
        SELECT r_account[q.ord], q.id, q.debit, q.credit, q.amount, w_currency[q.ord], q.kind, r_subject[q.ord], c_card[q.ord], w_station[q.ord], w_event[q.ord], p_now, p_period
        FROM unnest(t_ord, t_id, t_debit, t_credit, t_amount, t_kind) q(ord, id, debit, credit, amount, kind) WHERE good[q.ord];
    END IF;

    IF w_fill IS NOT NULL THEN
        UPDATE fills f SET status = 3, account_id = r_account[q.ord], sale_id = r_subject[q.ord], locked_until = NULL
        FROM unnest(w_fill) WITH ORDINALITY q(fill, ord) WHERE good[q.ord] AND q.fill IS NOT NULL AND f.fill_id = q.fill AND f.status IN (1, 2);
        GET DIAGNOSTICS n = ROW_COUNT;
        IF n <> (SELECT count(*) FROM unnest(w_fill) WITH ORDINALITY q(fill, ord) WHERE good[q.ord] AND q.fill IS NOT NULL) THEN
            RAISE EXCEPTION 'a fill was paid meanwhile' USING errcode = 'serialization_failure';
        END IF;
    END IF;

    INSERT INTO requests (terminal_id, key, epoch, sequence, operation, account_id, subject_id, fingerprint, record_hash, previous_hash, answer, booked_at)
    SELECT q.terminal, q.key, q.epoch, q.sequence, q.operation, q.account, q.subject, q.fingerprint, q.record, q.previous, q.answer, p_now
    FROM unnest(r_terminal, r_key, r_epoch, r_sequence, r_operation, r_account, r_subject, r_fingerprint, r_record, r_previous, r_answer)
        WITH ORDINALITY q(terminal, key, epoch, sequence, operation, account, subject, fingerprint, record, previous, answer, ord)
    WHERE good[q.ord];

    RETURN QUERY SELECT g.ord::integer, (CASE WHEN g.good THEN 0 ELSE 1 END)::smallint FROM unnest(good) WITH ORDINALITY g(good, ord);
END $$;
