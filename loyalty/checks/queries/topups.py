"""Invariant 4 for top-ups under the rules: what they gave and what went back, in their rows, in the ledger and in grants."""

from .asking import proved_by

BENEFITS = proved_by(
    """
    SELECT t.account_id, t.topup_id, t.status, t.discount_minor, b.discount AS discount_benefits, t.bonus_minor, b.bonus AS bonus_benefits
    FROM topups t
    CROSS JOIN LATERAL (
        SELECT coalesce(sum((one ->> 'given')::bigint) FILTER (WHERE one ->> 'kind' = 'discount'), 0)::bigint AS discount,
            coalesce(sum((one ->> 'given')::bigint) FILTER (WHERE one ->> 'kind' = 'bonus'), 0)::bigint AS bonus
        FROM jsonb_array_elements(t.detail -> 'benefits') AS one
    ) b
    WHERE t.discount_minor <> b.discount OR t.bonus_minor < b.bonus OR (t.detail IS NOT NULL AND t.booked_at IS NULL)
    """,
    code="topup-benefits",
    invariant=4,
    says="a top-up's discount is what its rules took off, and its bonus at least what they gave; one that is not booked has had nothing",
)

RETURNS = proved_by(
    """
    SELECT r.account_id, r.topup_id, r.amount, t.returned_minor, r.discount, t.discount_returned_minor, r.bonus, t.bonus_returned_minor,
        coalesce(m.paid, 0)::bigint AS paid_transfers, r.paid
    FROM (
        SELECT account_id, topup_id, sum(amount_minor) AS amount, sum(discount_minor) AS discount,
            sum(bonus_minor + shortfall_minor) AS bonus, sum(paid_minor) AS paid
        FROM topup_returns GROUP BY account_id, topup_id
    ) r
    LEFT JOIN topups t ON t.topup_id = r.topup_id AND t.account_id = r.account_id
    LEFT JOIN (
        SELECT b.topup_id, sum(x.amount_minor) AS paid
        FROM topup_returns b JOIN transfers x ON x.account_id = b.account_id AND x.operation_id = b.return_id
        JOIN transfers o ON o.account_id = x.account_id AND o.transfer_id = x.mirrors AND o.kind = 1
        GROUP BY b.topup_id
    ) m ON m.topup_id = r.topup_id
    WHERE t.topup_id IS NULL OR r.amount > t.returned_minor OR r.discount <> t.discount_returned_minor OR r.bonus > t.bonus_returned_minor
        OR r.paid <> coalesce(m.paid, 0)
    """,
    code="topup-return-rows",
    invariant=4,
    says="what went back of a top-up is in its rows of returns, and what was paid back is the mirror of its load",
)

COLLECTED = proved_by(
    """
    SELECT coalesce(b.account_id, g.account_id) AS account_id, coalesce(b.topup_id, g.source_id) AS topup_id,
        coalesce(b.rule, g.rule) AS rule, coalesce(b.kind, g.kind) AS kind, b.given, g.amount AS granted
    FROM (
        SELECT t.account_id, t.topup_id, t.booked_at, one ->> 'rule' AS rule, one ->> 'kind' AS kind, (one ->> 'given')::bigint AS given
        FROM topups t CROSS JOIN LATERAL jsonb_array_elements(t.detail -> 'benefits') AS one
        WHERE one ->> 'kind' IN ('points', 'gift', 'voucher', 'wash') AND (one ->> 'given')::bigint > 0
    ) b
    FULL JOIN (SELECT * FROM grants WHERE source = 'topup') g
        ON g.account_id = b.account_id AND g.source_id = b.topup_id AND g.rule = b.rule AND g.kind = b.kind
    WHERE (g.rule IS NULL AND b.booked_at < CAST(:now AS timestamptz) - interval '1 hour') OR b.rule IS NULL OR g.amount <> b.given
    """,
    code="grants-of-topups",
    invariant=4,
    says="what a top-up granted stands in one grant, collected within the hour; its bonus money is posted with it and in none",
    timed=True,
)

MIRRORED = proved_by(
    """
    SELECT coalesce(b.account_id, r.account_id) AS account_id, coalesce(b.return_id, r.refund_id) AS return_id,
        coalesce(b.rule, r.rule) AS rule, coalesce(b.kind, r.kind) AS kind, b.amount AS refunded, r.amount AS returned
    FROM (
        SELECT f.account_id, f.return_id, f.booked_at, one ->> 0 AS rule, one ->> 1 AS kind, (one ->> 2)::bigint AS amount
        FROM topup_returns f CROSS JOIN LATERAL jsonb_array_elements(f.benefits) AS one
        WHERE one ->> 1 IN ('points', 'gift', 'voucher', 'wash') AND (one ->> 2)::bigint > 0
    ) b
    FULL JOIN (SELECT r.* FROM grant_returns r JOIN grants g
        ON g.account_id = r.account_id AND g.source_id = r.source_id AND g.rule = r.rule AND g.kind = r.kind AND g.source = 'topup') r
        ON r.account_id = b.account_id AND r.refund_id = b.return_id AND r.rule = b.rule AND r.kind = b.kind
    WHERE (r.rule IS NULL AND b.booked_at < CAST(:now AS timestamptz) - interval '1 hour') OR b.rule IS NULL OR r.amount <> b.amount
    """,
    code="grants-of-topups-mirrored",
    invariant=4,
    says="what went back of a top-up's grants was taken back, within the hour, and nothing else was",
    timed=True,
)

CHECKS = (BENEFITS, RETURNS, COLLECTED, MIRRORED)
