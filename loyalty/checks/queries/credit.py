"""Fuel on account: no more is billed than is drawn, and the pump's limit is what was agreed."""

from .asking import proved_by

CHECKS = (
    proved_by(
        """
        SELECT c.company_id, p.credit_limit_minor, c.limit_minor FROM company_credits c
        JOIN companies m ON m.company_id = c.company_id
        JOIN purses p ON p.account_id = m.account_id AND p.kind = 1 AND p.card_id IS NULL
        WHERE p.credit_limit_minor > greatest(c.limit_minor, p.held_minor - p.balance_minor)
            AND p.credit_limit_minor > (SELECT max(a.limit_minor) FROM credit_proposals a
                WHERE a.company_id = c.company_id AND a.status = 'approved')
        """,
        code="credit-limit",
        invariant=4,
        says="nobody draws further than two people of the office agreed",
    ),
    proved_by(
        """
        SELECT b.bill_id, b.repaid_minor, coalesce(r.repaid, 0) AS rows FROM credit_bills b
        LEFT JOIN (SELECT bill_id, sum(amount_minor) AS repaid FROM credit_repayments GROUP BY bill_id) r ON r.bill_id = b.bill_id
        WHERE b.repaid_minor <> coalesce(r.repaid, 0)
        """,
        code="credit-repayments",
        invariant=4,
        says="what is repaid of a bill is the sum of its repayments",
    ),
    proved_by(
        """
        SELECT b.company_id, b.owed, greatest(-coalesce(p.balance_minor, 0), 0) AS drawn
        FROM (SELECT company_id, sum(billed_minor - repaid_minor) AS owed FROM credit_bills WHERE settled_at IS NULL GROUP BY 1) b
        JOIN companies m ON m.company_id = b.company_id
        LEFT JOIN purses p ON p.account_id = m.account_id AND p.kind = 1 AND p.card_id IS NULL
        JOIN company_credits c ON c.company_id = b.company_id
        LEFT JOIN LATERAL (SELECT sum(amount_minor) AS loads FROM topups WHERE account_id = m.account_id AND status = 'booked') t ON true
        WHERE b.owed > greatest(-coalesce(p.balance_minor, 0), 0) + greatest(coalesce(t.loads, 0) - c.loads_seen_minor, 0)
            AND NOT EXISTS (
                SELECT FROM refunds r WHERE r.account_id = m.account_id AND r.booked_at > CAST(:now AS timestamptz) - interval '15 minutes'
            )
        """,
        code="credit-bills",
        invariant=4,
        says="what is open on a company's bills is drawn and not repaid",
        timed=True,
    ),
)
