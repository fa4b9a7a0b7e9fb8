"""Invariants 2, 3 and 9 at the pump and the till: sales, authorisations, top-ups and their transfers; fills; unresolved dispenses."""

from loyalty.checks.model import Level

from .asking import proved_by

# An offline till may have taken more by other tenders than was due: its detail says so, flagged (1 and 128); what was due is booked.
SALES = proved_by(
    """
    SELECT coalesce(s.account_id, m.account_id) AS account_id, coalesce(s.sale_id, m.operation_id) AS sale_id,
        s.card_minor, m.card AS card_transfers, s.discount_minor, m.discount AS discount_transfers, s.tenders,
            m.tenders AS tender_transfers
    FROM (
        SELECT account_id, sale_id, gross_minor, discount_minor, card_minor, currency, period, flags, (
            SELECT coalesce(sum((tender ->> 'amount_minor')::bigint), 0) FROM jsonb_array_elements(detail -> 'tenders') tender
        )::bigint AS tenders
        FROM sales
    ) s
    FULL JOIN (
        SELECT account_id, operation_id, min(unit) AS unit, min(period) AS period,
            coalesce(sum(amount_minor) FILTER (WHERE kind = 3), 0)::bigint AS card,
            coalesce(sum(amount_minor) FILTER (WHERE kind = 4), 0)::bigint AS discount,
            coalesce(sum(amount_minor) FILTER (WHERE kind = 5), 0)::bigint AS tenders
        FROM transfers
        WHERE kind IN (3, 5) OR (kind = 4 AND NOT EXISTS (SELECT FROM topups u WHERE u.topup_id = operation_id))
        GROUP BY account_id, operation_id
    ) m ON m.account_id = s.account_id AND m.operation_id = s.sale_id
    WHERE s.sale_id IS NULL OR s.card_minor <> coalesce(m.card, 0) OR s.discount_minor <> coalesce(m.discount, 0)
        OR s.gross_minor <> s.card_minor + s.discount_minor + coalesce(m.tenders, 0)
        OR s.tenders < coalesce(m.tenders, 0) OR (s.tenders > coalesce(m.tenders, 0) AND s.flags & 129 <> 129)
        OR s.currency <> m.unit OR s.period <> m.period
    """,
    code="sale-transfers",
    invariant=2,
    says="a sale's card share, discount and tenders are its transfers, and sum to its gross amount",
)

CAPTURES = proved_by(
    """
    SELECT a.account_id, a.authorization_id, a.completions, s.sales, a.captured_minor, s.gross AS sales_minor, a.captured_milli,
        s.quantity AS sales_milli
    FROM authorizations a
    LEFT JOIN (
        SELECT account_id, authorization_id, count(*) AS sales, sum(gross_minor)::bigint AS gross, sum(quantity_milli)::bigint AS quantity
        FROM sales WHERE authorization_id IS NOT NULL GROUP BY account_id, authorization_id
    ) s ON s.account_id = a.account_id AND s.authorization_id = a.authorization_id
    WHERE (a.captured_minor, a.captured_milli, a.completions)
        IS DISTINCT FROM (coalesce(s.gross, 0), coalesce(s.quantity, 0), coalesce(s.sales, 0))
        OR (a.status IN (3, 4) AND s.sales > 0)
    """,
    code="authorization-captures",
    invariant=2,
    says="what an authorisation captured is the sum of its sales",
)

TOPUPS = proved_by(
    """
    SELECT t.account_id, t.topup_id, t.status, t.amount_minor, t.discount_minor, m.load AS load_transfers,
        m.discount AS discount_transfers, t.bonus_minor, m.bonus AS bonus_transfers, t.settled_minor, m.settled AS settlement_transfers
    FROM topups t
    LEFT JOIN (
        SELECT account_id, operation_id,
            coalesce(sum(amount_minor) FILTER (WHERE kind = 1), 0)::bigint AS load,
            coalesce(sum(amount_minor) FILTER (WHERE kind = 2), 0)::bigint AS bonus,
            coalesce(sum(amount_minor) FILTER (WHERE kind = 4), 0)::bigint AS discount,
            coalesce(sum(amount_minor) FILTER (WHERE kind = 13), 0)::bigint AS settled
        FROM transfers WHERE kind IN (1, 2, 4, 13) GROUP BY account_id, operation_id
    ) m ON m.account_id = t.account_id AND m.operation_id = t.topup_id
    WHERE CASE WHEN t.booked_at IS NULL THEN m.operation_id IS NOT NULL
        ELSE (t.amount_minor, t.discount_minor, t.bonus_minor, t.settled_minor) IS DISTINCT FROM (coalesce(m.load + m.discount, 0),
            coalesce(m.discount, 0), coalesce(m.bonus, 0), coalesce(m.settled, 0)) END
    """,
    code="topup-transfers",
    invariant=2,
    says="a booked top-up is its load, discount, bonus and settlement transfers; one that is pending or cancelled has none",
)

LOADS = proved_by(
    """
    SELECT m.account_id, m.transfer_id, m.operation_id FROM transfers m
    LEFT JOIN topups t ON t.topup_id = m.operation_id AND t.account_id = m.account_id
    WHERE m.kind = 1 AND t.topup_id IS NULL
    """,
    code="loads-without-topup",
    invariant=2,
    says="a load belongs to a top-up that says who paid how",
    level=Level.WARNING,
)

FILLS = proved_by(
    """
    SELECT f.fill_id, f.station_id, f.status, f.sale_id FROM fills f
    LEFT JOIN sales s ON s.account_id = f.account_id AND s.sale_id = f.sale_id
    WHERE (f.status = 3) <> (f.sale_id IS NOT NULL) OR (f.sale_id IS NOT NULL AND (s.fill_id IS DISTINCT FROM f.fill_id OR s.status = 4))
    UNION ALL
    SELECT f.fill_id, f.station_id, f.status, NULL FROM sales s JOIN fills f ON f.fill_id = s.fill_id WHERE s.status <> 4
        AND s.flags & 128 = 0
    GROUP BY f.fill_id, f.station_id, f.status HAVING count(*) > 1
    """,
    code="fills-paid-once",
    invariant=3,
    says="a paid fill names the one sale that paid it",
)

FILLS_TWICE = proved_by(
    """
    SELECT f.fill_id, f.station_id, f.status, count(*) AS sales FROM sales s JOIN fills f ON f.fill_id = s.fill_id WHERE s.status <> 4
    GROUP BY f.fill_id, f.station_id, f.status HAVING count(*) > 1 AND bool_or(s.flags & 128 <> 0)
    """,
    code="fills-paid-twice",
    invariant=3,
    says="a fill that was paid is not told again by an offline till as another sale",
    level=Level.WARNING,
)

UNRESOLVED = proved_by(
    """
    SELECT coalesce(a.account_id, u.account_id) AS account_id, coalesce(a.authorization_id, u.authorization_id) AS authorization_id,
        a.status, u.resolution
    FROM (SELECT account_id, authorization_id, status FROM authorizations WHERE status = 9) a
    FULL JOIN (SELECT account_id, authorization_id, resolution FROM unresolved_dispenses WHERE resolved_at IS NULL) u
        ON u.account_id = a.account_id AND u.authorization_id = a.authorization_id
    LEFT JOIN authorizations part ON part.account_id = u.account_id AND part.authorization_id = u.authorization_id AND part.status = 5
    WHERE (a.authorization_id IS NULL AND part.authorization_id IS NULL) OR u.authorization_id IS NULL
    """,
    code="unresolved-dispenses",
    invariant=9,
    says="an unresolved dispense stands on the board until it is resolved, and nothing else does",
)

EXPIRED = proved_by(
    """
    SELECT account_id, authorization_id, station_id, expires_at FROM authorizations
    WHERE status IN (1, 2, 5) AND expires_at < CAST(:now AS timestamptz) - interval '1 hour'
    """,
    code="holds-expired",
    invariant=9,
    says="a hold that ran out was made an unresolved dispense within the hour",
    level=Level.WARNING,
    timed=True,
)

CLOSED_ACCOUNTS = proved_by(
    """
    SELECT p.account_id, p.purse_id, p.balance_minor, p.held_minor FROM accounts a JOIN purses p USING (account_id)
    WHERE a.status = 'closed' AND p.kind IN (1, 2, 4) AND p.unit <> 'POINTS' AND (p.balance_minor <> 0 OR p.held_minor <> 0)
    """,
    code="closed-accounts",
    invariant=2,
    says="a closed account holds no money",
    level=Level.WARNING,
)

CHECKS = (SALES, CAPTURES, TOPUPS, LOADS, FILLS, FILLS_TWICE, UNRESOLVED, EXPIRED, CLOSED_ACCOUNTS)
