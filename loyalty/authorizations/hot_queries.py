# ruff: noqa: S608 - put together from the constants of this file alone
"""The two reads of the hot path, prepared once on the worker's own connection. One call answers a whole batch.

They return one row a purse; a request whose account has several purses comes several times, in `ord` order. Whether a key was used before
is not asked: it hardly ever was, and the write says so (a look-up in eight partitions cost a fifteenth of a batch).
"""

from typing import Final

from loyalty.limits.queries import ABOVE, ABOVE_COLUMNS

_CARD_COLUMNS: Final = """
    c.card_id, c.account_id, c.product_id, c.status, c.version, c.pin_verifier, c.pin_generation, c.pin_tries, c.chain_id,
    c.check_value_index, c.expires_on, c.number_tail, a.status AS account_status, a.kind AS account_kind, a.currency, l.compiled AS limits
"""

_PURSES: Final = """
    LEFT JOIN LATERAL (
        SELECT p.purse_id, p.kind, p.unit, p.balance_minor, p.held_minor, p.credit_limit_minor, p.expires_at, p.card_id AS purse_card,
            p.spending
        FROM purses p WHERE p.account_id = c.account_id AND p.kind <> 3 AND (p.card_id IS NULL OR p.card_id = c.card_id)
    ) p ON true
"""

_READ_CARDS: Final = f"""
SELECT r.ord::integer, {_CARD_COLUMNS},
    k.day_amount, k.day_quantity, k.day_count, k.week_amount, k.week_quantity, k.week_count,
    k.month_amount, k.month_quantity, k.month_count, k.last_at,
    p.purse_id, p.kind, p.unit, p.balance_minor, p.held_minor, p.credit_limit_minor, p.expires_at, p.purse_card, p.spending,
    f.station_id AS fill_station, f.nozzle AS fill_nozzle, f.product_id AS fill_product, f.quantity_milli AS fill_quantity,
    f.unit_price_e4 AS fill_price, f.amount_minor AS fill_amount, f.status AS fill_status, f.locked_until AS fill_locked_until,
    {ABOVE_COLUMNS}%s
FROM (
    SELECT i.*, date_trunc('week', i.day::timestamp)::date AS week, date_trunc('month', i.day::timestamp)::date AS month
    FROM unnest($1::bytea[], $2::date[], $3::uuid[], $4::text[], $5::bytea[], $6::text[], $7::boolean[])
        WITH ORDINALITY i(number_index, day, fill, driver_number, driver_card, order_number, says_odometer, ord)
    OFFSET 0 -- else each of a card's days works them out six times (an eighth of the batch where a month is full)
) r
LEFT JOIN cards c ON c.number_index = r.number_index AND c.status > 0
LEFT JOIN accounts a ON a.account_id = c.account_id
LEFT JOIN limit_sets l ON l.subject_id = c.chain_id
LEFT JOIN fills f ON f.fill_id = r.fill
LEFT JOIN LATERAL (
    SELECT
        sum(w.amount_minor) FILTER (WHERE w.start = r.day)::bigint AS day_amount,
        sum(w.quantity_milli) FILTER (WHERE w.start = r.day)::bigint AS day_quantity,
        sum(w.count) FILTER (WHERE w.start = r.day)::integer AS day_count,
        sum(w.amount_minor) FILTER (WHERE w.start >= r.week)::bigint AS week_amount,
        sum(w.quantity_milli) FILTER (WHERE w.start >= r.week)::bigint AS week_quantity,
        sum(w.count) FILTER (WHERE w.start >= r.week)::integer AS week_count,
        sum(w.amount_minor) FILTER (WHERE w.start >= r.month)::bigint AS month_amount,
        sum(w.quantity_milli) FILTER (WHERE w.start >= r.month)::bigint AS month_quantity,
        sum(w.count) FILTER (WHERE w.start >= r.month)::integer AS month_count,
        max(w.last_at) AS last_at
    FROM limit_counters w
    WHERE w.account_id = c.account_id AND w.subject_id = c.chain_id AND w."window" = 1 AND w.start BETWEEN r.day - 31 AND r.day
) k ON true
{ABOVE}
{_PURSES}%s
ORDER BY r.ord
"""

READ_CARDS: Final = _READ_CARDS % ("", "")
READ_CARDS_AND_PEOPLE: Final = _READ_CARDS % (
    """,
    coalesce(h.merged_into, h.customer_id) AS customer_id, s.tier, h.segment, h.flyer_code, h.birthday, a.opened_at, a.registered_at,
    s.agreement, b.caps, b.starts, b.amounts, b.times""",
    """
LEFT JOIN customers h ON h.customer_id = a.customer_id
LEFT JOIN standings s ON s.customer_id = h.customer_id
LEFT JOIN LATERAL (
    SELECT array_agg(b.cap_id) AS caps, array_agg(b.start) AS starts, array_agg(b.amount) AS amounts, array_agg(b.count) AS times
    FROM benefit_counters b
    WHERE b.subject_id = ANY (ARRAY[c.chain_id, c.account_id, coalesce(h.merged_into, h.customer_id)]) AND b.cap_id = ANY ($8::uuid[])
        AND (b.start BETWEEN r.day - 31 AND r.day OR b.start = date '-infinity')
) b ON true""",
)
"""With what rules ask about the customer: read only while a live rule does."""

READ_AUTHORIZATIONS: Final = f"""
SELECT r.ord::integer,
    o.card_id, o.chain_id, o.station_id, o.product_id, o.status, o.reason, o.flow, o.nozzle, o.approved_minor,
    o.approved_milli, o.unit_price_e4,
    o.hold_purses, o.hold_minors, o.captured_minor, o.captured_milli, o.completions, o.frozen, o.event_at, o.expires_at, o.business_day,
    c.product_id AS card_product_id, c.number_tail, a.currency, a.kind AS account_kind,
    p.purse_id, p.kind, p.unit, p.balance_minor, p.held_minor, p.credit_limit_minor, p.expires_at AS purse_expires_at, p.purse_card,
    p.spending, CASE WHEN a.kind = 'company' THEN o.prompts END AS prompts
FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY r(account, id, ord)
LEFT JOIN authorizations o ON o.account_id = r.account AND o.authorization_id = r.id
LEFT JOIN cards c ON c.card_id = o.card_id
LEFT JOIN accounts a ON a.account_id = o.account_id
{_PURSES}
ORDER BY r.ord
"""

WRITE_ARGUMENTS: Final = 22
WRITE: Final = "SELECT kind, place FROM hot_book_v5(" + ", ".join(f"${number}" for number in range(1, WRITE_ARGUMENTS + 1)) + ")"
"""Arguments in the order of the function's parameters."""

STORED: Final = """
SELECT q.terminal_id, q.key, q.operation, q.fingerprint, q.answer
FROM unnest($1::uuid[], $2::uuid[]) r(terminal, key) JOIN requests q ON q.terminal_id = r.terminal AND q.key = r.key
"""
"""What was answered to keys that were used before."""

FREE: Final = """
SELECT budget_id, granted - reserved - used AS free FROM budget_shares WHERE budget_id = ANY ($1::uuid[]) AND share = $2
"""
"""What a worker's own shares of the budgets leave."""

GATHER: Final = "SELECT b.id AS budget_id, gather_budget(b.id, $2::smallint) AS free FROM unnest($1::uuid[]) b(id)"
"""What is free of these budgets in all, brought into one share."""

REVISIONS: Final = "SELECT array_agg(revision ORDER BY kind) FROM revisions"
PERIOD: Final = "SELECT period FROM periods WHERE closed_at IS NULL"
ENSURE_HOUSES: Final = """
INSERT INTO house_accounts (house_id, code, currency, reference, opened_at)
SELECT house_id, code, currency, reference, $5
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[]) h(house_id, code, currency, reference)
ORDER BY house_id ON CONFLICT DO NOTHING
"""
