"""Invariant 3: one effect per key and per place in a till's sequence; every effect has its request."""

from loyalty.checks.model import Level

from .asking import proved_by

KEYS = proved_by(
    "SELECT terminal_id, key, count(*) AS requests FROM requests GROUP BY terminal_id, key HAVING count(*) > 1",
    code="request-keys",
    invariant=3,
    says="a key was used once",
)

SEQUENCES = proved_by(
    """
    SELECT terminal_id, epoch, sequence, count(*) AS requests FROM requests WHERE sequence IS NOT NULL
    GROUP BY terminal_id, epoch, sequence HAVING count(*) > 1
    """,
    code="request-sequences",
    invariant=3,
    says="a place in a till's sequence was used once",
)

EFFECTS = proved_by(
    """
    SELECT account_id, subject_id, count(*) AS requests, min(terminal_id::text) AS terminal_id FROM requests WHERE operation IN (1,
        2, 3, 5)
    GROUP BY account_id, subject_id HAVING count(*) > 1
    """,
    code="request-effects",
    invariant=3,
    says="an authorisation, a sale or a refund was asked for by one request",
)

UNASKED = proved_by(
    """
    SELECT s.account_id, s.sale_id, s.terminal_id, s.flags FROM sales s
    LEFT JOIN requests r ON r.terminal_id = s.terminal_id AND r.subject_id = s.sale_id AND r.account_id = s.account_id
    LEFT JOIN unresolved_dispenses u ON u.account_id = s.account_id AND u.authorization_id = s.authorization_id
        AND u.resolution = 'pump_record'
    WHERE r.key IS NULL AND u.authorization_id IS NULL
    """,
    code="sales-unasked",
    invariant=3,
    says="every sale was asked for by its till, or booked from the pump's record by a person",
)

UNASKED_AUTHORIZATIONS = proved_by(
    """
    SELECT a.account_id, a.authorization_id, a.terminal_id, a.status FROM authorizations a
    LEFT JOIN requests r ON r.terminal_id = a.terminal_id AND r.subject_id = a.authorization_id AND r.account_id = a.account_id
    WHERE r.key IS NULL
    """,
    code="authorizations-unasked",
    invariant=3,
    says="every authorisation, declines included, was asked for by its till",
)

LOST = proved_by(
    """
    SELECT r.terminal_id, r.key, r.operation, r.account_id, r.subject_id FROM requests r
    LEFT JOIN authorizations a ON a.account_id = r.account_id AND a.authorization_id = r.subject_id
    LEFT JOIN sales s ON s.account_id = r.account_id AND s.sale_id = r.subject_id
    LEFT JOIN refunds g ON g.account_id = r.account_id AND g.refund_id = r.subject_id
    LEFT JOIN topups t ON t.topup_id = r.subject_id
    WHERE CASE r.operation
        WHEN 1 THEN a.authorization_id IS NULL
        WHEN 2 THEN s.sale_id IS NULL AND convert_from(r.answer, 'UTF8')::jsonb ->> 'outcome' <> 'released'
        WHEN 3 THEN s.sale_id IS NULL AND a.authorization_id IS NULL
        WHEN 5 THEN g.refund_id IS NULL
        WHEN 6 THEN t.topup_id IS NULL
        ELSE false END
    """,
    code="acknowledged-lost",
    invariant=9,
    says="whatever was acknowledged exists",
)

GAPS = proved_by(
    """
    SELECT terminal_id, epoch, before + 1 AS missing_from, sequence - 1 AS missing_to FROM (
        SELECT terminal_id, epoch, sequence, lag(sequence, 1, 0) OVER (PARTITION BY terminal_id, epoch ORDER BY sequence) AS before
        FROM (
            SELECT terminal_id, epoch, sequence FROM requests WHERE sequence IS NOT NULL
            -- What a till's signed journal says was refused, never sent or replaced is no lost record.
            UNION SELECT terminal_id, epoch, jsonb_array_elements_text(unbooked)::bigint FROM chain_closes WHERE signature_good
        ) known
    ) s WHERE sequence - before > 1
    """,
    code="sequence-gaps",
    invariant=3,
    says="a till's sequence has no gap: one that stays shows a lost or deleted record",
    level=Level.WARNING,
)

CHAINS = proved_by(
    """
    SELECT r.terminal_id, r.epoch, r.sequence FROM requests r
    JOIN requests b ON b.terminal_id = r.terminal_id AND b.epoch = r.epoch AND b.sequence = r.sequence - 1
    WHERE r.previous_hash IS NOT NULL AND b.record_hash IS NOT NULL AND r.previous_hash <> b.record_hash
    """,
    code="record-chains",
    invariant=3,
    says="each record of a till names the hash of the one before it",
    level=Level.WARNING,
)

CHECKS = (KEYS, SEQUENCES, EFFECTS, UNASKED, UNASKED_AUTHORIZATIONS, LOST, GAPS, CHAINS)
