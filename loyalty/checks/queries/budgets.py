"""Invariant 4: budgets are never exceeded, and what is used of them is what sales and top-ups gave and refunds brought back."""

from .asking import proved_by

SHARES = proved_by(
    """
    SELECT b.code, b.total, coalesce(s.granted, 0)::bigint AS granted
    FROM budgets b LEFT JOIN (SELECT budget_id, sum(granted) AS granted FROM budget_shares GROUP BY budget_id) s USING (budget_id)
    WHERE b.total <> coalesce(s.granted, 0)
    """,
    code="budget-shares",
    invariant=4,
    says="a budget's shares sum to it",
)

USED = proved_by(
    """
    WITH given AS (
        SELECT b -> 'budget' ->> 0 AS code, (b ->> 'given')::bigint AS amount
        FROM sales s CROSS JOIN LATERAL jsonb_array_elements(s.detail -> 'benefits') b
        WHERE s.detail ? 'benefits' AND b ? 'budget'
        UNION ALL
        SELECT b -> 'budget' ->> 0, -(r ->> 2)::bigint
        FROM refunds f JOIN sales s ON s.account_id = f.account_id AND s.sale_id = f.sale_id
        CROSS JOIN LATERAL jsonb_array_elements(f.benefits) r
        CROSS JOIN LATERAL jsonb_array_elements(s.detail -> 'benefits') b
        WHERE f.benefits IS NOT NULL AND b ? 'budget' AND b ->> 'rule' = r ->> 0 AND b ->> 'kind' = r ->> 1
        UNION ALL
        SELECT b -> 'budget' ->> 0, (b ->> 'given')::bigint
        FROM topups t CROSS JOIN LATERAL jsonb_array_elements(t.detail -> 'benefits') b WHERE b ? 'budget'
        UNION ALL
        SELECT b -> 'budget' ->> 0, -(r ->> 2)::bigint
        FROM topup_returns f JOIN topups t ON t.topup_id = f.topup_id
        CROSS JOIN LATERAL jsonb_array_elements(f.benefits) r
        CROSS JOIN LATERAL jsonb_array_elements(t.detail -> 'benefits') b
        WHERE b ? 'budget' AND b ->> 'rule' = r ->> 0 AND b ->> 'kind' = r ->> 1
    ), used AS (SELECT code, sum(amount) AS amount FROM given GROUP BY code)
    SELECT b.code, s.used, coalesce(u.amount, 0)::bigint AS given
    FROM budgets b
    JOIN (SELECT budget_id, sum(used)::bigint AS used FROM budget_shares GROUP BY budget_id) s USING (budget_id)
    LEFT JOIN used u ON u.code = b.code
    WHERE s.used <> coalesce(u.amount, 0)
    """,
    code="budget-used",
    invariant=4,
    says="what is used of a budget is what was given from it, less what came back",
)

RESERVED = proved_by(
    """
    WITH frozen AS (
        SELECT d ->> 'budget' AS code, coalesce((r ->> 2)::bigint, 0) AS amount
        FROM authorizations a
        CROSS JOIN LATERAL jsonb_array_elements(a.frozen -> 'rules') r
        JOIN rulebooks k ON k.number = (a.frozen ->> 'book')::integer
        CROSS JOIN LATERAL jsonb_array_elements(k.document -> 'rules') d
        WHERE a.status IN (1, 2, 5, 9) AND a.frozen ? 'book' AND d ->> 'code' = r ->> 0 AND d ? 'budget'
    ), held AS (SELECT code, sum(amount) AS amount FROM frozen GROUP BY code)
    SELECT b.code, s.reserved, coalesce(h.amount, 0)::bigint AS set_aside
    FROM budgets b
    JOIN (SELECT budget_id, sum(reserved)::bigint AS reserved FROM budget_shares GROUP BY budget_id) s USING (budget_id)
    LEFT JOIN held h ON h.code = b.code
    WHERE s.reserved <> coalesce(h.amount, 0)
    """,
    code="budget-reserved",
    invariant=4,
    says="what is set aside of a budget is what open authorisations froze",
)

COUNTERS = proved_by(
    "SELECT subject_id, cap_id, start::text AS start, amount, count FROM benefit_counters WHERE amount < 0 OR count < 0",
    code="benefit-counters",
    invariant=4,
    says="nobody gave back more of a benefit than was given",
)

CHECKS = (SHARES, USED, RESERVED, COUNTERS)
