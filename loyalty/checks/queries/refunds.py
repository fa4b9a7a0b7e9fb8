"""Invariant 4: what goes back never exceeds what came, and goes back the way it came."""

from .asking import proved_by

ORIGINALS = proved_by(
    """
    SELECT coalesce(s.account_id, r.account_id) AS account_id, coalesce(s.sale_id, r.sale_id) AS sale_id, s.status, s.gross_minor,
        s.refunded_minor,
        coalesce(r.gross, 0)::bigint AS refunds_minor
    FROM sales s
    FULL JOIN (
        SELECT account_id, sale_id, sum(gross_minor) AS gross, sum(discount_minor) AS discount, sum(card_minor) AS card,
            sum(quantity_milli) AS quantity, bool_or(void) AS void, count(*) AS refunds
        FROM refunds GROUP BY account_id, sale_id
    ) r ON r.account_id = s.account_id AND r.sale_id = s.sale_id
    WHERE s.sale_id IS NULL OR s.refunded_minor <> coalesce(r.gross, 0) OR s.refunded_minor > s.gross_minor
        OR r.discount > s.discount_minor OR r.card > s.card_minor OR r.quantity > s.quantity_milli OR (r.void AND r.refunds > 1)
        OR s.status <> CASE WHEN r.void THEN 4 WHEN coalesce(r.gross, 0) = 0 THEN 1 WHEN r.gross = s.gross_minor THEN 3 ELSE 2 END
    """,
    code="refund-originals",
    invariant=4,
    says="the refunds of a sale never exceed it, in no part, and its status says how far it went back",
)

TRANSFERS = proved_by(
    """
    SELECT r.account_id, r.refund_id, r.gross_minor, coalesce(m.amount, 0)::bigint AS transfers_minor
    FROM refunds r
    LEFT JOIN (
        SELECT t.account_id, t.operation_id, sum(t.amount_minor) FILTER (WHERE o.kind <> 19) AS amount,
            sum(t.amount_minor) FILTER (WHERE o.kind = 3) AS card, sum(t.amount_minor) FILTER (WHERE o.kind = 4) AS discount,
            count(*) FILTER (WHERE o.transfer_id IS NULL) AS strays, min(o.operation_id::text) AS sale_id,
                max(o.operation_id::text) AS last_sale_id
        FROM transfers t LEFT JOIN transfers o ON o.account_id = t.account_id AND o.transfer_id = t.mirrors
        WHERE t.kind IN (6, 7) GROUP BY t.account_id, t.operation_id
    ) m ON m.account_id = r.account_id AND m.operation_id = r.refund_id
    WHERE r.gross_minor <> coalesce(m.amount, 0) OR r.card_minor <> coalesce(m.card, 0) OR r.discount_minor <> coalesce(m.discount, 0)
        OR m.strays > 0 OR m.sale_id <> r.sale_id::text OR m.last_sale_id <> r.sale_id::text
    """,
    code="refund-transfers",
    invariant=4,
    says="a refund is the mirror of its sale's transfers, part by part",
)

MIRRORS = proved_by(
    """
    SELECT m.account_id, m.mirrors AS transfer_id, o.amount_minor, m.amount::bigint AS mirrored_minor
    FROM (
        SELECT account_id, mirrors, sum(amount_minor) AS amount, min(unit) AS unit
        FROM transfers WHERE mirrors IS NOT NULL GROUP BY account_id, mirrors
    ) m
    LEFT JOIN transfers o ON o.account_id = m.account_id AND o.transfer_id = m.mirrors
    WHERE o.transfer_id IS NULL OR m.amount > o.amount_minor OR m.unit <> o.unit
    """,
    code="mirrors",
    invariant=4,
    says="what a transfer's mirrors take back never exceeds it",
)

TOPUPS = proved_by(
    """
    SELECT t.account_id, t.topup_id, t.status, t.amount_minor, t.returned_minor, coalesce(m.amount, 0)::bigint AS mirrored_minor
    FROM topups t
    LEFT JOIN (
        SELECT o.account_id, o.operation_id, sum(t.amount_minor) FILTER (WHERE o.kind = 1) AS amount,
            sum(t.amount_minor) FILTER (WHERE o.kind = 2) AS bonus
        FROM transfers t JOIN transfers o ON o.account_id = t.account_id AND o.transfer_id = t.mirrors
        WHERE o.kind IN (1, 2) GROUP BY o.account_id, o.operation_id
    ) m ON m.account_id = t.account_id AND m.operation_id = t.topup_id
    WHERE t.returned_minor > t.amount_minor OR coalesce(m.amount, 0) > t.returned_minor OR t.bonus_returned_minor > t.bonus_minor
        OR coalesce(m.bonus, 0) > t.bonus_returned_minor OR (t.status IN ('voided', 'refunded', 'reversed')
            AND t.returned_minor <> t.amount_minor)
        OR (t.status IN ('voided', 'reversed') AND coalesce(m.amount, 0) = 0)
    """,
    code="topup-returns",
    invariant=4,
    says="a top-up never gives back more than was loaded",
)

CHECKS = (ORIGINALS, TRANSFERS, MIRRORS, TOPUPS)
