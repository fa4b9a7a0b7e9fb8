"""Invariant 4 for what is granted: each benefit of a sale once, in the ledger as it was granted, back as refunds say."""

from loyalty.checks.model import Level

from .asking import proved_by

COLLECTED = proved_by(
    """
    SELECT coalesce(b.account_id, g.account_id) AS account_id, coalesce(b.sale_id, g.source_id) AS sale_id,
        coalesce(b.rule, g.rule) AS rule, coalesce(b.kind, g.kind) AS kind, b.given, g.amount AS granted
    FROM (
        SELECT s.account_id, s.sale_id, s.booked_at, one ->> 'rule' AS rule, one ->> 'kind' AS kind, (one ->> 'given')::bigint AS given
        FROM sales s CROSS JOIN LATERAL jsonb_array_elements(s.detail -> 'benefits') AS one
        WHERE one ->> 'kind' IN ('points', 'bonus', 'gift', 'voucher', 'wash') AND (one ->> 'given')::bigint > 0
    ) b
    FULL JOIN (SELECT * FROM grants WHERE source = 'sale') g
        ON g.account_id = b.account_id AND g.source_id = b.sale_id AND g.rule = b.rule AND g.kind = b.kind
    WHERE (g.rule IS NULL AND b.booked_at < CAST(:now AS timestamptz) - interval '1 hour') OR b.rule IS NULL OR g.amount <> b.given
    """,
    code="grants-of-sales",
    invariant=4,
    says="what a sale granted stands in one grant, collected within the hour, and no grant of a sale without it",
    timed=True,
)

POSTED = proved_by(
    """
    SELECT coalesce(g.account_id, t.account_id) AS account_id, coalesce(g.grant_id, t.operation_id) AS grant_id, g.rule, g.kind, g.posted,
        coalesce(t.amount, 0)::bigint AS transfers, t.purses
    FROM (SELECT * FROM grants WHERE kind IN ('points', 'bonus')) g
    FULL JOIN (
        SELECT t.account_id, t.operation_id, sum(t.amount_minor) AS amount, count(DISTINCT t.credit_id) AS purses,
            min(t.credit_id::text) AS lot, bool_or(t.kind = 16) AS points
        FROM transfers t WHERE t.kind = 16 OR (t.kind = 2 AND NOT EXISTS (SELECT FROM topups u WHERE u.topup_id = t.operation_id))
        GROUP BY t.account_id, t.operation_id
    ) t ON t.account_id = g.account_id AND t.operation_id = g.grant_id
    WHERE CASE WHEN g.grant_id IS NULL THEN t.points
        ELSE g.posted <> coalesce(t.amount, 0) OR t.purses > 1 OR t.lot <> g.purse_id::text END
    """,
    code="grants-posted",
    invariant=4,
    says="an active grant of points or bonus money is in its lot, whole and once; points are issued by nothing else",
)

RETURNED = proved_by(
    """
    SELECT coalesce(g.account_id, r.account_id) AS account_id, coalesce(g.source_id, r.source_id) AS source_id,
        coalesce(g.rule, r.rule) AS rule, coalesce(g.kind, r.kind) AS kind, g.amount, g.returned, coalesce(r.amount, 0)::bigint AS returns
    FROM grants g
    FULL JOIN (
        SELECT account_id, source_id, rule, kind, sum(amount) AS amount, sum(pending) AS pending
        FROM grant_returns GROUP BY account_id, source_id, rule, kind
    ) r ON r.account_id = g.account_id AND r.source_id = g.source_id AND r.rule = g.rule AND r.kind = g.kind
    WHERE g.rule IS NULL OR g.returned <> coalesce(r.amount, 0) OR g.returned > g.amount
        OR (g.status = 2 AND g.unit <> 'piece' AND g.posted <> g.amount - coalesce(r.pending, 0))
    """,
    code="grants-returned",
    invariant=4,
    says="what went back of a grant is the sum of its returns and never more than it; what was struck before was not posted",
)

MIRRORED = proved_by(
    """
    SELECT coalesce(b.account_id, r.account_id) AS account_id, coalesce(b.refund_id, r.refund_id) AS refund_id,
        coalesce(b.rule, r.rule) AS rule, coalesce(b.kind, r.kind) AS kind, b.amount AS refunded, r.amount AS returned
    FROM (
        SELECT f.account_id, f.refund_id, f.booked_at, one ->> 0 AS rule, one ->> 1 AS kind, (one ->> 2)::bigint AS amount
        FROM refunds f CROSS JOIN LATERAL jsonb_array_elements(f.benefits) AS one
        WHERE one ->> 1 IN ('points', 'bonus', 'gift', 'voucher', 'wash') AND (one ->> 2)::bigint > 0
    ) b
    FULL JOIN (SELECT * FROM grant_returns r WHERE EXISTS (
        SELECT FROM grants g WHERE g.account_id = r.account_id AND g.source_id = r.source_id AND g.rule = r.rule AND g.kind = r.kind
            AND g.source = 'sale')) r
        ON r.account_id = b.account_id AND r.refund_id = b.refund_id AND r.rule = b.rule AND r.kind = b.kind
    WHERE (r.rule IS NULL AND b.booked_at < CAST(:now AS timestamptz) - interval '1 hour') OR b.rule IS NULL OR r.amount <> b.amount
    """,
    code="grants-mirrored",
    invariant=4,
    says="what a refund says of its sale's benefits went back, within the hour, and nothing else did",
    timed=True,
)

RECOVERED = proved_by(
    """
    SELECT r.account_id, r.refund_id, r.rule, r.kind, r.recovered, r.owed, coalesce(t.recovered, 0)::bigint AS from_lots,
        coalesce(t.owed, 0)::bigint AS from_debt
    FROM grant_returns r
    LEFT JOIN (
        SELECT t.account_id, t.operation_id, sum(t.amount_minor) FILTER (WHERE p.kind <> 4) AS recovered,
            sum(t.amount_minor) FILTER (WHERE p.kind = 4) AS owed
        FROM transfers t JOIN purses p ON p.account_id = t.account_id AND p.purse_id = t.debit_id
        WHERE t.kind IN (15, 18) GROUP BY t.account_id, t.operation_id
    ) t ON t.account_id = r.account_id AND t.operation_id = r.return_id
    WHERE r.kind IN ('points', 'bonus') AND (r.recovered <> coalesce(t.recovered, 0) OR r.owed <> coalesce(t.owed, 0))
    """,
    code="grants-recovered",
    invariant=4,
    says="what a return recovered came out of lots, and what it left owed is a debt",
)

PLACES = proved_by(
    """
    SELECT t.account_id, t.transfer_id, t.kind, t.unit, coalesce(hd.code, d.kind::text) AS from_place,
        coalesce(hc.code, c.kind::text) AS to_place
    FROM transfers t
    LEFT JOIN purses d ON d.account_id = t.account_id AND d.purse_id = t.debit_id
    LEFT JOIN purses c ON c.account_id = t.account_id AND c.purse_id = t.credit_id
    LEFT JOIN house_accounts hd ON hd.house_id = t.debit_id
    LEFT JOIN house_accounts hc ON hc.house_id = t.credit_id
    WHERE (t.unit = 'POINTS') <> coalesce(hd.code = 'points', d.kind = 3 OR d.unit = 'POINTS', false)
        OR (t.unit = 'POINTS') <> coalesce(hc.code = 'points', c.kind = 3 OR c.unit = 'POINTS', false)
    """,
    code="points-places",
    invariant=1,
    says="points move between lots of points, points debts and the points house account, and money never does",
)

REDEEMED = proved_by(
    """
    SELECT coalesce(r.account_id, t.account_id) AS account_id, coalesce(r.redemption_id, t.operation_id) AS redemption_id, r.points,
        coalesce(t.spent, 0)::bigint AS spent, coalesce(t.undone, 0)::bigint AS undone
    FROM points_redemptions r
    FULL JOIN (
        SELECT account_id, operation_id, sum(amount_minor) FILTER (WHERE mirrors IS NULL) AS spent,
            sum(amount_minor) FILTER (WHERE mirrors IS NOT NULL) AS undone
        FROM transfers WHERE kind = 17 GROUP BY account_id, operation_id
    ) t ON t.account_id = r.account_id AND t.operation_id = r.redemption_id
    WHERE r.points IS NULL OR r.points <> coalesce(t.spent, 0)
        OR coalesce(t.undone, 0) <> CASE WHEN r.returned_at IS NULL THEN 0 ELSE r.points END
    """,
    code="points-redeemed",
    invariant=4,
    says="a redemption took its points out of lots once, and where it was undone all of them went back",
)

WAITING = proved_by(
    """
    SELECT g.account_id, g.source_id, g.rule, g.kind, g.active_at FROM grants g JOIN accounts a ON a.account_id = g.account_id
    WHERE g.status = 1 AND g.active_at < CAST(:now AS timestamptz) - interval '1 hour' AND a.status <> 'closed' AND (
        g.settles_on IS NULL OR EXISTS (SELECT FROM day_closes c WHERE c.station_id = g.station_id AND c.day = g.settles_on
            AND c.closed_at < CAST(:now AS timestamptz) - interval '1 hour'))
    """,
    code="grants-waiting",
    invariant=9,
    says="a grant whose time and day close have come is posted or handed out within the hour",
    level=Level.WARNING,
    timed=True,
)

LAPSED = proved_by(
    """
    SELECT account_id, purse_id, expires_at, balance_minor FROM purses
    WHERE kind = 3 AND balance_minor > 0 AND expires_at < CAST(:now AS timestamptz) - interval '26 hours'
    """,
    code="points-lapsed",
    invariant=9,
    says="a lot of points that has run out is empty by the next day",
    level=Level.WARNING,
    timed=True,
)

CHECKS = (COLLECTED, POSTED, RETURNED, MIRRORED, RECOVERED, PLACES, REDEEMED, WAITING, LAPSED)
