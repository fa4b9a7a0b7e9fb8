"""Invariant 4 for things: redemptions within what was issued, issued within the limits, gifts as their moves say, referrals paid once."""

from loyalty.checks.model import Level

from .asking import proved_by

_EVERYBODY = "'00000000-0000-0000-0000-000000000000'"

COUNTED = proved_by(
    f"""
    SELECT coalesce(c.kind_id, v.kind_id) AS kind_id, coalesce(c.subject_id, v.subject_id) AS subject_id, c.at_most, c.issued,
        coalesce(v.vouchers, 0) AS vouchers
    FROM voucher_counters c FULL JOIN (
        SELECT kind_id, {_EVERYBODY}::uuid AS subject_id, count(*) AS vouchers FROM vouchers WHERE status <> 'cancelled' GROUP BY kind_id
        UNION ALL
        SELECT kind_id, counted_for, count(*) FROM vouchers WHERE status <> 'cancelled' AND counted_for IS NOT NULL
        GROUP BY kind_id, counted_for
    ) v ON v.kind_id = c.kind_id AND v.subject_id = c.subject_id
    WHERE c.issued IS DISTINCT FROM coalesce(v.vouchers, 0) OR c.issued > c.at_most
    """,  # noqa: S608 - a constant of this file
    code="vouchers-counted",
    invariant=4,
    says="a kind's counters say how many of its vouchers are out, in all and a customer's, never above their limit",
)

LIMITS = proved_by(
    f"""
    SELECT k.kind_id, k.code, k.limit_total, c.at_most, c.issued FROM voucher_kinds k
    LEFT JOIN voucher_counters c ON c.kind_id = k.kind_id AND c.subject_id = {_EVERYBODY}
    WHERE c.kind_id IS NULL OR c.at_most IS DISTINCT FROM k.limit_total
    """,  # noqa: S608 - a constant of this file
    code="vouchers-limits",
    invariant=4,
    says="a kind's limit is the one that its counter holds",
)

ISSUED = proved_by(
    """
    SELECT coalesce(i.source_kind, v.source_kind) AS source_kind, coalesce(i.source_id, v.source_id) AS source_id,
        coalesce(i.ordinal, v.ordinal) AS ordinal, i.wanted, i.given, coalesce(v.vouchers, 0) AS vouchers
    FROM voucher_issues i FULL JOIN (
        SELECT source_kind, source_id, ordinal, count(*) AS vouchers FROM vouchers GROUP BY source_kind, source_id, ordinal
    ) v ON v.source_kind = i.source_kind AND v.source_id = i.source_id AND v.ordinal = i.ordinal
    WHERE i.given IS DISTINCT FROM coalesce(v.vouchers, 0) OR i.given > i.wanted OR (i.given < i.wanted) <> (i.short IS NOT NULL)
    """,
    code="vouchers-issued",
    invariant=4,
    says="each source was issued what its line says, and no voucher is without one",
)

REDEEMED = proved_by(
    """
    SELECT v.voucher_id, v.status, v.face_minor, v.left_minor, r.taken_minor, r.redemptions FROM vouchers v
    LEFT JOIN (
        SELECT voucher_id, sum(taken_minor) FILTER (WHERE status = 'redeemed')::bigint AS taken_minor,
            count(*) FILTER (WHERE status = 'redeemed') AS redemptions, count(*) FILTER (WHERE status = 'reserved') AS open
        FROM voucher_redemptions WHERE voucher_id IS NOT NULL GROUP BY voucher_id
    ) r ON r.voucher_id = v.voucher_id
    WHERE v.face_minor - v.left_minor <> coalesce(r.taken_minor, 0) OR (v.face_minor IS NULL AND r.redemptions > 1)
        OR (NOT v.partial AND r.redemptions > 1) OR (v.status = 'reserved') <> (coalesce(r.open, 0) = 1)
        OR (v.status = 'redeemed') <> (coalesce(r.redemptions, 0) > 0 AND coalesce(v.left_minor, 0) = 0)
        OR (v.status = 'cancelled' AND r.redemptions > 0)
    """,
    code="vouchers-redeemed",
    invariant=4,
    says="what left a voucher is what was redeemed of it, never more than its worth; one that is no money is redeemed once",
)

LIVES = proved_by(
    """
    SELECT v.voucher_id, v.status, e.moved_to FROM vouchers v LEFT JOIN LATERAL (
        SELECT moved_to FROM voucher_events WHERE voucher_id = v.voucher_id ORDER BY event_id DESC LIMIT 1
    ) e ON true WHERE v.status IS DISTINCT FROM e.moved_to
    """,
    code="vouchers-lives",
    invariant=4,
    says="a voucher stands where its last step led",
)

OVERDUE = proved_by(
    """
    SELECT voucher_id, expires_at FROM vouchers WHERE status = 'issued' AND expires_at < CAST(:now AS timestamptz) - interval '2 days'
    UNION ALL
    SELECT voucher_id, reserved_until FROM voucher_redemptions
    WHERE status = 'reserved' AND reserved_until < CAST(:now AS timestamptz) - interval '2 days'
    """,
    code="vouchers-overdue",
    invariant=9,
    says="a voucher whose time is over, or that was set aside too long, is ended or freed within two days",
    level=Level.WARNING,
    timed=True,
)

PAID_WITH = proved_by(
    """
    WITH paid AS (
        SELECT s.account_id, s.sale_id, s.station_id, s.booked_at, s.status IN (1, 2) AS stands, t.reference, t.amount_minor,
            count(*) FILTER (WHERE s.status IN (1, 2)) OVER (PARTITION BY t.reference) AS sales
        FROM sales s CROSS JOIN LATERAL (
            SELECT one ->> 'reference' AS reference, (one ->> 'amount_minor')::bigint AS amount_minor
            FROM jsonb_array_elements(s.detail -> 'tenders') AS one WHERE one ->> 'tender' = 'voucher'
        ) AS t
        WHERE s.detail @> '{"tenders": [{"tender": "voucher"}]}'
    )
    SELECT p.account_id, p.sale_id, p.reference, p.amount_minor, p.sales, r.status, r.honoured_minor FROM paid p
    LEFT JOIN voucher_redemptions r ON r.redemption_id = p.reference::uuid AND r.station_id = p.station_id
    WHERE r.redemption_id IS NULL OR coalesce(r.honoured_minor, 0) < p.amount_minor OR p.sales > 1 OR CASE r.status
        WHEN 'redeemed' THEN r.honoured_minor <> p.amount_minor
        WHEN 'reserved' THEN p.booked_at < CAST(:now AS timestamptz) - interval '1 hour'
        ELSE p.stands END
    """,
    code="vouchers-paid-with",
    invariant=4,
    says="a voucher's share of a sale is what was redeemed of that voucher, once",
    timed=True,
)

STOCK = proved_by(
    """
    SELECT coalesce(s.gift_id, m.gift_id) AS gift_id, coalesce(s.place_id, m.place_id) AS place_id, s.on_hand, m.on_hand AS moves_on_hand,
        s.reserved, m.reserved AS moves_reserved
    FROM gift_stocks s FULL JOIN (
        SELECT gift_id, place_id, sum(on_hand_change)::bigint AS on_hand, sum(reserved_change)::bigint AS reserved FROM gift_moves
        GROUP BY gift_id, place_id
    ) m ON m.gift_id = s.gift_id AND m.place_id = s.place_id
    WHERE coalesce(s.on_hand, 0) <> coalesce(m.on_hand, 0) OR coalesce(s.reserved, 0) <> coalesce(m.reserved, 0)
        OR s.reserved NOT BETWEEN 0 AND s.on_hand
    """,
    code="gifts-stock",
    invariant=4,
    says="a place's stock of a gift is the sum of its moves, and no more is set aside than lies there",
)

SET_ASIDE = proved_by(
    """
    SELECT coalesce(s.gift_id, r.gift_id) AS gift_id, coalesce(s.place_id, r.place_id) AS place_id, s.reserved,
        coalesce(r.pieces, 0) AS wanted
    FROM gift_stocks s FULL JOIN (
        SELECT gift_id, place_id, sum(pieces)::bigint AS pieces FROM gift_entitlements WHERE status = 'reserved' GROUP BY gift_id, place_id
    ) r ON r.gift_id = s.gift_id AND r.place_id = s.place_id
    WHERE coalesce(s.reserved, 0) <> coalesce(r.pieces, 0)
    """,
    code="gifts-set-aside",
    invariant=4,
    says="what is set aside at a place is what rights to it say",
)

RIGHTS = proved_by(
    """
    SELECT g.entitlement_id, g.status, e.moved_to, g.pieces, m.pieces AS handed_out, h.entitlement_id IS NOT NULL AS signed
    FROM gift_entitlements g
    LEFT JOIN LATERAL (
        SELECT moved_to FROM gift_entitlement_events WHERE entitlement_id = g.entitlement_id ORDER BY event_id DESC LIMIT 1
    ) e ON true
    LEFT JOIN (
        SELECT entitlement_id, -sum(on_hand_change)::bigint AS pieces FROM gift_moves WHERE kind = 'handed_out' GROUP BY entitlement_id
    ) m ON m.entitlement_id = g.entitlement_id
    LEFT JOIN gift_hand_outs h ON h.entitlement_id = g.entitlement_id
    WHERE g.status IS DISTINCT FROM e.moved_to OR coalesce(m.pieces, 0) <> CASE WHEN g.status IN ('handed_out', 'returned')
        THEN g.pieces ELSE 0 END OR (h.entitlement_id IS NOT NULL) <> (g.status IN ('handed_out', 'returned'))
    """,
    code="gifts-rights",
    invariant=4,
    says="a right to a gift stands where its last step led, and what was handed out is signed for, once",
)

REFERRALS = proved_by(
    """
    SELECT r.reward_id, r.referral_id, r.milestone, r.side, g.place - 1 AS place, g.reward ->> 'kind' AS kind,
        (g.reward ->> 'given')::bigint AS given, coalesce(t.amount, i.given, e.pieces, 0) AS standing
    FROM referral_rewards r JOIN referrals f ON f.referral_id = r.referral_id
    JOIN referral_programmes p ON p.programme_id = f.programme_id
    CROSS JOIN LATERAL jsonb_array_elements(r.given) WITH ORDINALITY AS g (reward, place)
    LEFT JOIN grants t ON t.account_id = r.account_id AND t.source_id = r.reward_id AND t.kind = g.reward ->> 'kind'
        AND t.rule = concat_ws(':', p.code, r.milestone, g.place - 1)
    LEFT JOIN voucher_issues i ON i.source_kind = 'referral' AND i.source_id = r.reward_id::text AND i.ordinal = g.place - 1
    LEFT JOIN gift_entitlements e ON e.source_kind = 'referral' AND e.source_id = r.reward_id::text AND e.ordinal = g.place - 1
    WHERE (g.reward ->> 'given')::bigint <> coalesce(t.amount, i.given, e.pieces, 0)
    """,
    code="referrals-paid",
    invariant=4,
    says="what a referral's line says was given stands in the ledger, as a voucher or as a right to a gift",
)

REFERRERS = proved_by(
    """
    SELECT f.programme_id, r.customer_id, p.most_each, count(DISTINCT r.referral_id) AS rewarded
    FROM referral_rewards r JOIN referrals f ON f.referral_id = r.referral_id
    JOIN referral_programmes p ON p.programme_id = f.programme_id
    WHERE r.side = 'referrer' AND p.most_each IS NOT NULL
    GROUP BY f.programme_id, r.customer_id, p.most_each, p.changed_at
    HAVING count(DISTINCT r.referral_id) FILTER (WHERE r.paid_at >= p.changed_at) > p.most_each
    """,
    code="referrals-most",
    invariant=4,
    says="no referrer is rewarded for more customers than the programme allows",
)

CHECKS = (COUNTED, LIMITS, ISSUED, REDEEMED, LIVES, OVERDUE, PAID_WITH, STOCK, SET_ASIDE, RIGHTS, REFERRALS, REFERRERS)
