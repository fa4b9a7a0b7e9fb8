"""Limit counters and daily balances: sums kept beside the rows they sum.

A chain's counter of a day is what was taken plus what is still held, in money and litres, and the number of fills. A refund gives it back
while any window that counts its day still runs: the day's week or month. A fill of several completions whose last was released goes on
counting even when all of them were given back, so of such a fill the count may be none or one; and a completion that came after the
end of its authorisation counts no fill anew where the others had been given back.
"""

from .asking import proved_by

_FILLS = """
    given AS (
        SELECT r.account_id, r.sale_id, sum(r.card_minor) AS card, sum(r.quantity_milli) AS quantity, sum(r.gross_minor) AS gross
        FROM refunds r JOIN sales s ON s.account_id = r.account_id AND s.sale_id = r.sale_id
        LEFT JOIN authorizations a ON a.account_id = s.account_id AND a.authorization_id = s.authorization_id
        JOIN stations p ON p.station_id = s.station_id
        CROSS JOIN LATERAL (
            SELECT coalesce(a.business_day, CASE WHEN s.flags & 128 <> 0 THEN (s.event_at AT TIME ZONE p.zone)::date ELSE
                s.business_day END) AS day
        ) counted
        WHERE date_trunc('month', counted.day) = date_trunc('month', r.business_day) OR date_trunc('week',
            counted.day) = date_trunc('week', r.business_day)
        GROUP BY r.account_id, r.sale_id
    ),
    sold AS (
        SELECT s.account_id, s.sale_id, s.authorization_id, s.chain_id, s.card_minor - coalesce(g.card, 0) AS amount,
            s.quantity_milli - coalesce(g.quantity, 0) AS quantity, (s.status IN (3, 4) AND g.gross = s.refunded_minor) AS undone,
            (s.flags & 32 <> 0) AS after_end,
            CASE WHEN s.flags & 128 <> 0 THEN (s.event_at AT TIME ZONE p.zone)::date ELSE s.business_day END AS day,
            s.detail -> 'subjects' AS subjects
        FROM sales s LEFT JOIN given g ON g.account_id = s.account_id AND g.sale_id = s.sale_id
            JOIN stations p ON p.station_id = s.station_id
        WHERE s.chain_id IS NOT NULL
    ),
    fills AS (
        SELECT account_id, chain_id, day, amount, quantity, (undone IS NOT TRUE)::integer AS least, (undone IS NOT TRUE)::integer AS most,
            subjects
        FROM sold WHERE authorization_id IS NULL
        UNION ALL
        SELECT a.account_id, a.chain_id, a.business_day,
            coalesce(s.amount, 0) + (SELECT coalesce(sum(held), 0) FROM unnest(a.hold_minors) held),
            coalesce(s.quantity, 0) + CASE WHEN a.status IN (1, 2, 5, 9) THEN greatest(0, a.approved_milli - a.captured_milli) ELSE 0 END,
            (a.status IN (1, 2, 5, 9) OR coalesce(s.stands, false))::integer, (a.status IN (1, 2, 5, 9) OR s.stands IS NOT NULL)::integer,
            a.prompts -> 'subjects'
        FROM authorizations a
        LEFT JOIN (
            SELECT account_id, authorization_id, sum(amount) AS amount, sum(quantity) AS quantity,
                bool_or(undone IS NOT TRUE AND NOT after_end) AS stands
            FROM sold WHERE authorization_id IS NOT NULL GROUP BY account_id, authorization_id
        ) s ON s.account_id = a.account_id AND s.authorization_id = a.authorization_id
        WHERE a.chain_id IS NOT NULL AND a.status NOT IN (3, 4)
    )
"""

COUNTERS = proved_by(
    f"""
    WITH {_FILLS},
    used AS (
        SELECT account_id, chain_id, day, sum(amount) AS amount, sum(quantity) AS quantity, sum(least) AS least,
            sum(most) AS most FROM fills
            GROUP BY account_id, chain_id, day
    )
    SELECT coalesce(c.account_id, u.account_id) AS account_id, coalesce(c.subject_id, u.chain_id) AS chain_id, coalesce(c.start,
        u.day) AS day,
        c.amount_minor, coalesce(u.amount, 0)::bigint AS used_minor, c.quantity_milli, coalesce(u.quantity, 0)::bigint AS used_milli,
        c.count, coalesce(u.least, 0) AS used_count
    FROM (SELECT * FROM limit_counters WHERE "window" = 1) c
    FULL JOIN used u ON u.account_id = c.account_id AND u.chain_id = c.subject_id AND u.day = c.start
    WHERE (coalesce(c.amount_minor, 0), coalesce(c.quantity_milli, 0)) IS DISTINCT FROM (coalesce(u.amount, 0), coalesce(u.quantity, 0))
        OR coalesce(c.count, 0) NOT BETWEEN coalesce(u.least, 0) AND coalesce(u.most, 0)
    """,  # noqa: S608 - a constant of this file
    code="limit-counters",
    invariant=2,
    says="a limit counter is what its chain took and still holds on that day",
)

LEVELS = proved_by(
    f"""
    WITH {_FILLS},
    used AS (
        SELECT account_id, subject::uuid AS subject_id, day, sum(amount)::bigint AS amount, sum(quantity)::bigint AS quantity,
            sum(least) AS least, sum(most) AS most
        FROM fills CROSS JOIN LATERAL jsonb_array_elements_text(subjects) subject GROUP BY account_id, subject, day
    )
    SELECT coalesce(c.account_id, u.account_id) AS account_id, coalesce(c.subject_id, u.subject_id) AS subject_id,
        coalesce(c.start, u.day) AS day, c.amount_minor, coalesce(u.amount, 0) AS used_minor, c.quantity_milli,
        coalesce(u.quantity, 0) AS used_milli, c.count, coalesce(u.least, 0) AS used_count
    FROM (SELECT * FROM level_counters WHERE "window" = 1) c
    FULL JOIN used u ON u.account_id = c.account_id AND u.subject_id = c.subject_id AND u.day = c.start
    WHERE (coalesce(c.amount_minor, 0), coalesce(c.quantity_milli, 0)) IS DISTINCT FROM (coalesce(u.amount, 0), coalesce(u.quantity, 0))
        OR coalesce(c.count, 0) NOT BETWEEN coalesce(u.least, 0) AND coalesce(u.most, 0)
    """,  # noqa: S608 - a constant of this file
    code="level-counters",
    invariant=2,
    says="a level's counter of a day is what all cards under it took and still hold on that day",
)

WINDOWS = proved_by(
    """
    SELECT account_id, subject_id, w."window", w.start, w.amount_minor, w.quantity_milli, w.count, d.amount AS days_minor,
        d.quantity AS days_milli, d.fills AS days_count
    FROM level_counters w
    LEFT JOIN LATERAL (
        SELECT coalesce(sum(amount_minor), 0)::bigint AS amount, coalesce(sum(quantity_milli), 0)::bigint AS quantity,
            coalesce(sum(count), 0)::integer AS fills
        FROM level_counters d WHERE d.account_id = w.account_id AND d.subject_id = w.subject_id AND d."window" = 1
            AND d.start >= w.start AND d.start < CASE w."window" WHEN 2 THEN w.start + 7 ELSE (w.start + interval '1 month')::date END
    ) d ON true
    WHERE w."window" IN (2, 3) AND (w.amount_minor, w.quantity_milli, w.count) IS DISTINCT FROM (d.amount, d.quantity, d.fills)
    """,
    code="level-windows",
    invariant=2,
    says="a level's week and month are the sums of its days",
)

DAILY = proved_by(
    """
    WITH moved AS (
        SELECT account_id, purse_id, day, sum(amount) AS amount FROM (
            SELECT t.account_id, t.credit_id AS purse_id, d.day, t.amount_minor AS amount FROM transfers t
            JOIN closed_days d ON t.transfer_id >= uuid7_floor(d.starts_at) AND t.transfer_id < uuid7_floor(d.ends_at)
            UNION ALL
            SELECT t.account_id, t.debit_id, d.day, -t.amount_minor FROM transfers t
            JOIN closed_days d ON t.transfer_id >= uuid7_floor(d.starts_at) AND t.transfer_id < uuid7_floor(d.ends_at)
        ) leg JOIN purses USING (account_id, purse_id) GROUP BY account_id, purse_id, day
    ),
    closing AS (
        SELECT account_id, purse_id, day, sum(amount) OVER (PARTITION BY account_id, purse_id ORDER BY day)::bigint AS balance FROM moved
    ),
    kept AS (SELECT b.* FROM daily_balances b JOIN closed_days USING (day))
    SELECT coalesce(c.account_id, b.account_id) AS account_id, coalesce(c.purse_id, b.purse_id) AS purse_id, coalesce(c.day,
        b.day) AS day,
        b.balance_minor, c.balance AS transfers_minor
    FROM closing c FULL JOIN kept b ON b.account_id = c.account_id AND b.purse_id = c.purse_id AND b.day = c.day
    WHERE b.balance_minor IS DISTINCT FROM c.balance
    """,
    code="daily-balances",
    invariant=1,
    says="the closing balance of a closed day is what was booked up to its end",
)

DAYS = proved_by(
    """
    SELECT day, ends_at, next_starts_at FROM (
        SELECT day, ends_at, lead(starts_at) OVER (ORDER BY day) AS next_starts_at, lead(day) OVER (ORDER BY day) AS next_day
            FROM closed_days
    ) d WHERE next_starts_at <> ends_at OR next_day <> day + 1
    """,
    code="closed-days",
    invariant=1,
    says="closed days follow each other without gap or overlap",
)

CHECKS = (COUNTERS, LEVELS, WINDOWS, DAILY, DAYS)
