-- One batch of the hot path, fifth form: the fourth (see there and in the third for what is checked, in which order, and what is answered),
-- and the tries of drivers' own PINs. The fourth stays for the release before.
--   10  a driver's PIN or tries that are not as they were read (place in p_drivers)
-- A driver's row is locked after the cards: whoever guesses at two pumps at once is counted once for each guess.

-- tries: as they were read; tries_new: from now on (null: as they were).
CREATE TYPE hot_driver AS (driver uuid, generation smallint, tries smallint, tries_new smallint);

-- What the read tells of the driver whose number was typed, of the odometer of the card's vehicle, and of the order that was named.
CREATE TYPE pump_driver AS (
    driver_id uuid, status text, pin_verifier bytea, pin_generation smallint, pin_tries smallint, department_id uuid, is_bound boolean
);
CREATE TYPE pump_odometer AS (km bigint, at timestamptz);
CREATE TYPE pump_order AS (
    order_id uuid, status text, product_code text, station_id uuid, chain_id uuid, vehicle_id uuid, amount_minor bigint, quantity_milli bigint,
    keeps_rest boolean, valid_from timestamptz, valid_until timestamptz, used_minor bigint, used_milli bigint, used_count integer
);

CREATE FUNCTION hot_book_v5(
    -- of the rows below a time that is not given is this one, and an approval ends when p_expires says: a time costs the driver
    -- five times what another value does
    p_now timestamptz,
    p_expires timestamptz,
    p_revisions bigint[],
    p_period integer,
    p_cards hot_card[],
    -- how many cards change, how many authorisations had run out, how many counters were there and how many were not (of the others it
    -- is not known, and no limit depends on them): what has nothing to do is not run
    p_changed integer,
    p_originals hot_original_v3[],
    p_overdue integer,
    p_debts hot_debt[],
    p_purses hot_purse[],
    p_counters hot_counter[],
    p_used integer,
    p_unused integer,
    p_authorizations hot_authorization[],
    p_sales hot_sale[],
    p_movements hot_movement[],
    p_fills hot_fill[],
    p_requests hot_request[],
    p_benefits hot_benefit[],
    p_budgets hot_budget[],
    p_levels hot_level[],
    p_drivers hot_driver[]
) RETURNS TABLE (kind smallint, place integer)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    done integer;
    counted integer := 0;
    -- which kind of row fell short, if one did
    short smallint;
BEGIN
    IF (SELECT array_agg(v.revision ORDER BY v.kind) FROM revisions v) IS DISTINCT FROM p_revisions THEN
        RETURN QUERY SELECT 5::smallint, 0;
        RETURN;
    END IF;

    IF p_cards IS NOT NULL THEN
        SELECT count(*) INTO done FROM (
            SELECT FROM (SELECT * FROM unnest(p_cards) u ORDER BY u.card) i JOIN cards c ON c.card_id = ANY (ARRAY[i.card])
            WHERE (i.version IS NULL OR c.version = i.version) AND (i.tries IS NULL OR c.pin_tries = i.tries) FOR NO KEY UPDATE OF c
        ) l;
        IF done < cardinality(p_cards) THEN
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

    IF p_drivers IS NOT NULL THEN
        SELECT count(*) INTO done FROM (
            SELECT FROM (SELECT * FROM unnest(p_drivers) u ORDER BY u.driver) i JOIN drivers d ON d.driver_id = ANY (ARRAY[i.driver])
            WHERE d.pin_generation = i.generation AND d.pin_tries = i.tries FOR NO KEY UPDATE OF d
        ) l;
        IF done < cardinality(p_drivers) THEN
            RETURN QUERY
            SELECT 10::smallint, i.place::integer
            FROM unnest(p_drivers) WITH ORDINALITY i(driver, generation, tries, tries_new, place) LEFT JOIN drivers d ON d.driver_id = i.driver
            WHERE (d.pin_generation = i.generation AND d.pin_tries = i.tries) IS NOT TRUE;
            IF NOT FOUND THEN
                RETURN QUERY SELECT 10::smallint, g FROM generate_series(1, cardinality(p_drivers)) g;
            END IF;
            RETURN;
        END IF;
    END IF;

    BEGIN
        IF p_originals IS NOT NULL THEN
            UPDATE authorizations a SET status = i.status_new, completions = a.completions + i.completed,
                captured_minor = a.captured_minor + i.minor, captured_milli = a.captured_milli + i.milli, flags = a.flags | i.flags,
                hold_purses = i.hold_purses, hold_minors = i.hold_minors, frozen = coalesce(i.frozen, a.frozen)
            FROM (SELECT * FROM unnest(p_originals) u ORDER BY u.account, u.id) i
            WHERE a.account_id = ANY (ARRAY[i.account]) AND a.authorization_id = i.id AND a.status = i.status AND a.completions = i.completions;
            GET DIAGNOSTICS done = ROW_COUNT;
            IF done < cardinality(p_originals) THEN
                short := 2;
                RAISE SQLSTATE 'LH001';
            END IF;
        END IF;

        IF p_debts IS NOT NULL THEN
            INSERT INTO purses (account_id, purse_id, kind, unit, balance_minor, held_minor, credit_limit_minor)
            SELECT q.account, q.purse, 4, q.unit, 0, 0, 0 FROM unnest(p_debts) q ORDER BY 1, 2 ON CONFLICT DO NOTHING;
        END IF;

        IF p_purses IS NOT NULL THEN
            UPDATE purses p SET held_minor = p.held_minor + d.held, balance_minor = p.balance_minor + d.balance
            FROM (SELECT * FROM unnest(p_purses) u ORDER BY u.account, u.purse) d
            WHERE p.account_id = ANY (ARRAY[d.account]) AND p.purse_id = d.purse
                AND (p.kind = 4 OR (p.held_minor + d.held >= 0 AND p.held_minor + d.held <= p.balance_minor + d.balance + p.credit_limit_minor
                    AND (d.seen IS NULL OR d.seen = p.balance_minor + p.credit_limit_minor - p.held_minor)));
            GET DIAGNOSTICS done = ROW_COUNT;
            IF done < cardinality(p_purses) THEN
                short := 3;
                RAISE SQLSTATE 'LH001';
            END IF;
        END IF;

        IF p_changed > 0 THEN
            UPDATE cards c SET pin_tries = coalesce(i.tries_new, c.pin_tries), version = c.version + i.used::integer
            FROM unnest(p_cards) i WHERE (i.tries_new IS NOT NULL OR i.used) AND c.card_id = i.card;
        END IF;

        IF p_drivers IS NOT NULL THEN
            UPDATE drivers d SET pin_tries = i.tries_new FROM unnest(p_drivers) i WHERE i.tries_new IS NOT NULL AND d.driver_id = i.driver;
        END IF;

        -- only the holder of the card's lock writes its counters: what another worker wrote meanwhile is seen from here on
        IF p_used > 0 THEN
            UPDATE limit_counters c SET amount_minor = c.amount_minor + i.minor, quantity_milli = c.quantity_milli + i.milli,
                count = c.count + i.count, last_at = greatest(c.last_at, coalesce(i.last_at, p_now))
            FROM (SELECT *, 1::smallint AS "window" FROM unnest(p_counters) u WHERE u.seen_count <> 0 OR u.seen_minor <> 0 ORDER BY u.account, u.subject, u.day) i
            WHERE c.account_id = ANY (ARRAY[i.account]) AND c.subject_id = i.subject AND c."window" = i."window" AND c.start = i.day
                AND c.count = i.seen_count AND c.amount_minor = i.seen_minor;
            GET DIAGNOSTICS counted = ROW_COUNT;
        END IF;
        IF p_unused > 0 THEN
            INSERT INTO limit_counters AS c (account_id, subject_id, "window", start, amount_minor, quantity_milli, count, last_at)
            SELECT i.account, i.subject, 1, i.day, i.minor, i.milli, i.count, coalesce(i.last_at, p_now)
            FROM unnest(p_counters) i WHERE i.seen_count = 0 AND i.seen_minor = 0 ORDER BY i.account, i.subject, i.day
            ON CONFLICT (account_id, subject_id, "window", start) DO UPDATE SET amount_minor = c.amount_minor + excluded.amount_minor,
                quantity_milli = c.quantity_milli + excluded.quantity_milli, count = c.count + excluded.count,
                last_at = greatest(c.last_at, excluded.last_at)
            WHERE c.count = 0 AND c.amount_minor = 0;
            GET DIAGNOSTICS done = ROW_COUNT;
            counted := counted + done;
        END IF;
        IF counted < p_used + p_unused THEN
            short := 4;
            RAISE SQLSTATE 'LH001';
        END IF;
        IF counted < cardinality(p_counters) THEN
            INSERT INTO limit_counters AS c (account_id, subject_id, "window", start, amount_minor, quantity_milli, count, last_at)
            SELECT i.account, i.subject, 1, i.day, i.minor, i.milli, i.count, coalesce(i.last_at, p_now)
            FROM unnest(p_counters) i WHERE i.seen_count IS NULL ORDER BY i.account, i.subject, i.day
            ON CONFLICT (account_id, subject_id, "window", start) DO UPDATE SET amount_minor = c.amount_minor + excluded.amount_minor,
                quantity_milli = c.quantity_milli + excluded.quantity_milli, count = c.count + excluded.count,
                last_at = greatest(c.last_at, excluded.last_at);
        END IF;

        IF p_benefits IS NOT NULL THEN
            INSERT INTO benefit_counters AS c (subject_id, cap_id, start, amount, count)
            SELECT i.subject, i.cap, i.start, i.amount, i.times FROM unnest(p_benefits) i ORDER BY i.subject, i.cap, i.start
            ON CONFLICT (subject_id, cap_id, start) DO UPDATE SET amount = c.amount + excluded.amount, count = c.count + excluded.count
            WHERE EXISTS (
                SELECT FROM unnest(p_benefits) i WHERE i.subject = c.subject_id AND i.cap = c.cap_id AND i.start = c.start
                    AND (i.amount_max IS NULL OR c.amount + i.amount <= i.amount_max) AND (i.times_max IS NULL OR c.count + i.times <= i.times_max));
            GET DIAGNOSTICS done = ROW_COUNT;
            IF done < cardinality(p_benefits) THEN
                short := 7;
                RAISE SQLSTATE 'LH001';
            END IF;
        END IF;

        IF p_levels IS NOT NULL THEN
            INSERT INTO level_counters AS c (account_id, subject_id, "window", start, amount_minor, quantity_milli, count, last_at)
            SELECT i.account, i.subject, i."window", i.start, i.minor, i.milli, i.count, coalesce(i.last_at, p_now)
            FROM unnest(p_levels) i ORDER BY i.account, i.subject, i."window", i.start
            ON CONFLICT (account_id, subject_id, "window", start) DO UPDATE SET amount_minor = c.amount_minor + excluded.amount_minor,
                quantity_milli = c.quantity_milli + excluded.quantity_milli, count = c.count + excluded.count,
                last_at = CASE WHEN excluded.count > 0 THEN greatest(c.last_at, excluded.last_at) ELSE c.last_at END
            WHERE EXISTS (
                SELECT FROM unnest(p_levels) i
                WHERE i.subject = c.subject_id AND i."window" = c."window" AND i.start = c.start AND i.account = c.account_id
                    AND (i.minor_max IS NULL OR c.amount_minor + i.minor <= i.minor_max)
                    AND (i.milli_max IS NULL OR c.quantity_milli + i.milli <= i.milli_max)
                    AND (i.count_max IS NULL OR c.count + i.count <= i.count_max));
            GET DIAGNOSTICS done = ROW_COUNT;
            IF done < cardinality(p_levels) THEN
                short := 9;
                RAISE SQLSTATE 'LH001';
            END IF;
        END IF;

        IF p_authorizations IS NOT NULL THEN
            INSERT INTO authorizations (account_id, authorization_id, card_id, chain_id, terminal_id, station_id, status, reason, flow, nozzle, product_id,
                requested_minor, approved_minor, approved_milli, unit_price_e4, hold_purses, hold_minors, captured_minor, captured_milli, completions,
                frozen, prompts, flags, event_at, booked_at, expires_at, business_day)
            SELECT i.account, i.id, i.card, i.chain, i.terminal, i.station, i.status, i.reason, i.flow, i.nozzle, i.product,
                i.requested, i.approved, i.milli, i.price, i.hold_purses, i.hold_minors, 0, 0, 0,
                i.frozen, i.prompts, i.flags, coalesce(i.event_at, p_now), p_now, CASE WHEN i.status = 1 THEN coalesce(i.expires_at, p_expires) END, i.day
            FROM unnest(p_authorizations) i;
        END IF;

        IF p_sales IS NOT NULL THEN
            INSERT INTO sales (account_id, sale_id, authorization_id, card_id, chain_id, terminal_id, station_id, staff_id, flow, nozzle, product_id,
                quantity_milli, unit_price_e4, gross_minor, discount_minor, card_minor, currency, detail, flags, status, refunded_minor, fill_id,
                event_at, booked_at, business_day, period)
            SELECT i.account, i.id, i.original, i.card, i.chain, i.terminal, i.station, i.staff, i.flow, i.nozzle, i.product,
                i.milli, i.price, i.gross, i.discount, i.card_minor, i.currency, i.detail, i.flags, 1, 0, i.fill,
                coalesce(i.event_at, p_now), p_now, i.day, p_period
            FROM unnest(p_sales) i;
        END IF;

        IF p_overdue > 0 THEN
            UPDATE unresolved_dispenses u SET resolved_at = p_now, resolution = 'late_completion'
            FROM unnest(p_originals) i
            WHERE i.status IN (5, 9) AND i.status_new <> 5 AND u.account_id = i.account AND u.authorization_id = i.id AND u.resolved_at IS NULL;
        END IF;

        IF p_movements IS NOT NULL THEN
            INSERT INTO transfers (account_id, transfer_id, debit_id, credit_id, amount_minor, unit, kind, operation_id, card_id, station_id, event_at,
                booked_at, period)
            SELECT q.account, q.id, q.debit, q.credit, q.amount, q.unit, q.kind, q.operation, q.card, q.station, coalesce(q.event_at, p_now), p_now, p_period
            FROM unnest(p_movements) q;
        END IF;

        IF p_fills IS NOT NULL THEN
            UPDATE fills f SET status = 3, account_id = i.account, sale_id = i.sale, locked_until = NULL
            FROM unnest(p_fills) i WHERE f.fill_id = i.fill AND f.status IN (1, 2);
            GET DIAGNOSTICS done = ROW_COUNT;
            IF done <> cardinality(p_fills) THEN
                RAISE EXCEPTION 'a fill was paid meanwhile' USING errcode = 'serialization_failure';
            END IF;
        END IF;

        IF p_budgets IS NOT NULL THEN
            UPDATE budget_shares b SET reserved = b.reserved + i.reserved, used = b.used + i.used
            FROM (SELECT * FROM unnest(p_budgets) u ORDER BY u.budget, u.share) i
            WHERE b.budget_id = ANY (ARRAY[i.budget]) AND b.share = i.share AND b.reserved + i.reserved >= 0
                AND b.reserved + i.reserved + b.used + i.used <= b.granted;
            GET DIAGNOSTICS done = ROW_COUNT;
            IF done < cardinality(p_budgets) THEN
                short := 8;
                RAISE SQLSTATE 'LH001';
            END IF;
        END IF;

        INSERT INTO requests (terminal_id, key, epoch, sequence, operation, account_id, subject_id, fingerprint, record_hash, previous_hash, answer, booked_at)
        SELECT i.terminal, i.key, i.epoch, i.sequence, i.operation, i.account, i.subject, i.fingerprint, i.record_hash, i.previous_hash, i.answer, p_now
        FROM unnest(p_requests) i;
    EXCEPTION
        WHEN SQLSTATE 'LH001' THEN
            -- of what fell short the locks are gone, so it may be as it was by now: then all of the kind decide again
            IF short = 2 THEN
                RETURN QUERY
                SELECT short, i.place::integer
                FROM unnest(p_originals) WITH ORDINALITY
                    i(account, id, status, completions, status_new, completed, minor, milli, flags, hold_purses, hold_minors, frozen, place)
                LEFT JOIN authorizations a ON a.account_id = i.account AND a.authorization_id = i.id
                WHERE (a.status = i.status AND a.completions = i.completions) IS NOT TRUE;
                done := cardinality(p_originals);
            ELSIF short = 3 THEN
                RETURN QUERY
                SELECT short, d.place::integer
                FROM unnest(p_purses) WITH ORDINALITY d(account, purse, held, balance, seen, place)
                LEFT JOIN purses p ON p.account_id = d.account AND p.purse_id = d.purse
                WHERE (p.kind = 4 OR (p.held_minor + d.held >= 0 AND p.held_minor + d.held <= p.balance_minor + d.balance + p.credit_limit_minor
                    AND (d.seen IS NULL OR d.seen = p.balance_minor + p.credit_limit_minor - p.held_minor))) IS NOT TRUE;
                done := cardinality(p_purses);
            ELSIF short = 7 THEN
                RETURN QUERY
                SELECT short, i.place::integer
                FROM unnest(p_benefits) WITH ORDINALITY i(subject, cap, start, amount, times, amount_max, times_max, place)
                JOIN benefit_counters c ON c.subject_id = i.subject AND c.cap_id = i.cap AND c.start = i.start
                WHERE NOT ((i.amount_max IS NULL OR c.amount + i.amount <= i.amount_max)
                    AND (i.times_max IS NULL OR c.count + i.times <= i.times_max));
                done := cardinality(p_benefits);
            ELSIF short = 9 THEN
                RETURN QUERY
                SELECT short, i.place::integer
                FROM unnest(p_levels) WITH ORDINALITY
                    i(account, subject, "window", start, minor, milli, count, last_at, minor_max, milli_max, count_max, place)
                JOIN level_counters c ON c.account_id = i.account AND c.subject_id = i.subject AND c."window" = i."window" AND c.start = i.start
                WHERE NOT ((i.minor_max IS NULL OR c.amount_minor + i.minor <= i.minor_max)
                    AND (i.milli_max IS NULL OR c.quantity_milli + i.milli <= i.milli_max)
                    AND (i.count_max IS NULL OR c.count + i.count <= i.count_max));
                done := cardinality(p_levels);
            ELSIF short = 8 THEN
                RETURN QUERY
                SELECT short, i.place::integer
                FROM unnest(p_budgets) WITH ORDINALITY i(budget, share, reserved, used, place)
                LEFT JOIN budget_shares b ON b.budget_id = i.budget AND b.share = i.share
                WHERE (b.reserved + i.reserved >= 0 AND b.reserved + i.reserved + b.used + i.used <= b.granted) IS NOT TRUE;
                done := cardinality(p_budgets);
            ELSE
                RETURN QUERY
                SELECT short, i.place::integer
                FROM unnest(p_counters) WITH ORDINALITY i(account, subject, day, minor, milli, count, last_at, seen_minor, seen_count, place)
                LEFT JOIN limit_counters c ON c.account_id = i.account AND c.subject_id = i.subject AND c."window" = 1 AND c.start = i.day
                WHERE i.seen_count IS NOT NULL AND (coalesce(c.count, 0) <> i.seen_count OR coalesce(c.amount_minor, 0) <> i.seen_minor);
                done := cardinality(p_counters);
            END IF;
            IF NOT FOUND THEN
                RETURN QUERY SELECT short, g FROM generate_series(1, done) g;
            END IF;
        WHEN unique_violation THEN
            RETURN QUERY
            SELECT 6::smallint, i.place::integer
            FROM unnest(p_requests) WITH ORDINALITY
                i(terminal, key, epoch, sequence, operation, account, subject, fingerprint, record_hash, previous_hash, answer, place)
            JOIN requests q ON q.terminal_id = i.terminal AND q.key = i.key;
            IF NOT FOUND THEN
                RAISE;
            END IF;
    END;
END $$;
