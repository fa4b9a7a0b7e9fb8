"""Invariant 1 for a company's money: what an allocation's lines and single moves say is what the ledger moved."""

from .asking import proved_by

LINES = proved_by(
    """
    SELECT l.run_id, l.line, l.card_id, l.loaded_minor, l.gathered_minor, t.amount_minor AS load_booked, g.amount_minor AS gather_booked
    FROM allocation_lines l
    LEFT JOIN transfers t ON t.account_id = l.account_id AND t.transfer_id = l.load_id AND t.operation_id = l.request_id
        AND t.kind = 12 AND t.card_id = l.card_id
    LEFT JOIN transfers g ON g.account_id = l.account_id AND g.transfer_id = l.gather_id AND g.operation_id = l.request_id
        AND g.kind = 12 AND g.card_id = l.card_id
    WHERE l.loaded_minor <> coalesce(t.amount_minor, 0) OR l.gathered_minor <> coalesce(g.amount_minor, 0)
    """,
    code="allocation-lines",
    invariant=1,
    says="each loaded line of an allocation has its transfers, of its amounts, to and from its card",
)

RUNS = proved_by(
    """
    SELECT r.run_id, r.status, r.lines, r.loaded, r.refused, r.loaded_minor, r.gathered_minor, s.lines AS said_lines,
        s.loaded AS said_loaded, s.refused AS said_refused, s.loaded_minor AS said_loaded_minor
    FROM allocation_runs r CROSS JOIN LATERAL (
        SELECT count(*) AS lines, count(*) FILTER (WHERE result = 'loaded') AS loaded,
            count(*) FILTER (WHERE result = 'refused') AS refused, coalesce(sum(loaded_minor), 0) AS loaded_minor,
            coalesce(sum(gathered_minor), 0) AS gathered_minor,
            coalesce(sum(amount_minor), 0) AS amount_minor
        FROM allocation_lines WHERE run_id = r.run_id
    ) s
    WHERE (r.lines, r.loaded, r.refused, r.loaded_minor, r.gathered_minor, r.amount_minor)
            IS DISTINCT FROM (s.lines, s.loaded, s.refused, s.loaded_minor, s.gathered_minor, s.amount_minor)
        OR (r.status = 'done' AND r.loaded + r.refused <> r.lines)
    """,
    code="allocation-runs",
    invariant=1,
    says="a run's counts and totals are those of its lines, and a finished one has none waiting",
)

REQUESTS = proved_by(
    """
    SELECT q.request_id, q.status, l.result FROM allocation_requests q
    LEFT JOIN allocation_lines l ON l.request_id = q.request_id
    WHERE (q.status = 'loaded') <> (l.result IS NOT DISTINCT FROM 'loaded') OR (q.status = 'failed' AND l.result IS DISTINCT FROM 'refused')
        OR (q.status IN ('draft', 'requested', 'department_approved', 'refused') AND l.result IS NOT NULL)
    """,
    code="allocation-requests",
    invariant=1,
    says="a request is loaded where its one line is, and only then",
)

MOVES = proved_by(
    """
    SELECT m.operation_id, m.direction, m.amount_minor, t.amount_minor AS booked FROM pool_moves m
    LEFT JOIN transfers t ON t.account_id = m.account_id AND t.transfer_id = m.transfer_id AND t.operation_id = m.operation_id
    LEFT JOIN purses p ON p.account_id = m.account_id
        AND p.purse_id = CASE m.direction WHEN 'allocated' THEN t.credit_id ELSE t.debit_id END
    WHERE m.amount_minor = 0 OR m.amount_minor IS DISTINCT FROM t.amount_minor OR p.card_id IS NULL
        OR (m.asked_minor IS NOT NULL AND m.asked_minor <> m.amount_minor)
    """,
    code="pool-moves",
    invariant=1,
    says="each move between a company's pool and a card has its one transfer, of its amount",
)

CHECKS = (LINES, RUNS, REQUESTS, MOVES)
