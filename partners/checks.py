"""What `loyalty check` proves of partners' books besides the issuer's own invariants; `loyalty.cli` and the nightly job add it."""

from datetime import date
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.checks.model import Check, Found, Row, Scope
from loyalty.checks.queries.asking import found, proved_by
from partners.model_settlement import PartnerStatement
from partners.queries.settlement import lines_of_month, stated
from partners.settlement_rules import digest_of, totals_of

NUMBERS = proved_by(
    """
    SELECT b.partner_id, b.last_number, count(l.number) AS lines, min(l.number) AS first, max(l.number) AS last
    FROM partner_books b LEFT JOIN partner_lines l ON l.partner_id = b.partner_id GROUP BY b.partner_id, b.last_number
    HAVING count(l.number) <> b.last_number OR coalesce(max(l.number), 0) <> b.last_number
    UNION ALL
    SELECT l.partner_id, NULL, count(*), min(l.number), max(l.number) FROM partner_lines l
    WHERE NOT EXISTS (SELECT FROM partner_books b WHERE b.partner_id = l.partner_id) GROUP BY l.partner_id
    """,
    code="partner-lines-numbered",
    invariant=1,
    says="the lines of a partner's book are numbered from 1 without a gap, and the book knows the last",
)

BALANCES = proved_by(
    """
    SELECT b.partner_id, b.balance_minor, coalesce(sum(l.due_minor), 0)::bigint AS lines_minor
    FROM partner_books b LEFT JOIN partner_lines l ON l.partner_id = b.partner_id GROUP BY b.partner_id, b.balance_minor
    HAVING b.balance_minor <> coalesce(sum(l.due_minor), 0)
    """,
    code="partner-book-balances",
    invariant=1,
    says="a partner's balance, and so what is left of a block, is the sum of its lines",
)

SHARES = proved_by(
    """
    SELECT l.partner_id, l.number, l.saved_minor, coalesce(s.borne, 0) AS shares_minor, l.partner_minor FROM partner_lines l
    CROSS JOIN LATERAL (SELECT sum(part.value::bigint)::bigint AS borne FROM jsonb_each_text(l.shares) AS part) s
    WHERE l.saved_minor <> coalesce(s.borne, 0) OR l.partner_minor <> coalesce((l.shares ->> 'partner')::bigint, 0)
    """,
    code="partner-line-shares",
    invariant=4,
    says="what a customer saved at a partner is what its funders bear",
)

MIRRORS = proved_by(
    """
    SELECT m.partner_id, m.number, m.mirrors, m.due_minor, l.due_minor AS mirrored_minor FROM partner_lines m
    JOIN partner_lines l ON l.partner_id = m.partner_id AND l.number = m.mirrors
    WHERE (m.due_minor, m.gross_minor, m.saved_minor, m.pieces) <> (-l.due_minor, -l.gross_minor, -l.saved_minor, -l.pieces)
        OR m.number <= l.number OR m.period < l.period
    """,
    code="partner-line-mirrors",
    invariant=4,
    says="what undoes a line of a partner's book is its exact mirror",
)

OPENINGS = proved_by(
    """
    SELECT partner_id, month, opening_minor, before_minor, before_month FROM (
        SELECT partner_id, month, opening_minor, lag(closing_minor) OVER w AS before_minor, lag(month) OVER w AS before_month
        FROM partner_statements WINDOW w AS (PARTITION BY partner_id ORDER BY month)
    ) one
    WHERE opening_minor <> coalesce(before_minor, 0) OR before_month <> (month - interval '1 month')::date
    """,
    code="partner-statement-openings",
    invariant=5,
    says="a partner's statement opens with what the month before closed with, and no month is left out",
)

CLOSED = proved_by(
    """
    SELECT l.partner_id, l.number, l.period, b.open_from FROM partner_lines l JOIN partner_books b ON b.partner_id = l.partner_id
    WHERE l.period < b.open_from
        AND NOT EXISTS (SELECT FROM partner_statements s WHERE s.partner_id = l.partner_id AND s.month = l.period)
    UNION ALL
    SELECT s.partner_id, NULL, s.month, b.open_from FROM partner_statements s JOIN partner_books b ON b.partner_id = s.partner_id
    WHERE s.month >= b.open_from
    """,
    code="partner-lines-stated",
    invariant=5,
    says="each line of a closed month is in its statement, and a closed month takes no more",
)

COUNTERS = proved_by(
    """
    SELECT coalesce(c.partner_id, d.partner_id) AS partner_id, coalesce(c.subject, d.subject) AS subject,
        coalesce(c.month, d.month) AS month, coalesce(c.used, 0) AS used, coalesce(d.drawn, 0) AS drawn
    FROM (SELECT * FROM partner_counters WHERE subject = 'cost' OR subject LIKE 'benefit:%') c FULL JOIN (
        SELECT one.partner_id, one.subject, one.month, sum(one.amount)::bigint AS drawn FROM (
            SELECT l.partner_id, limits.subject, limits.amount, CASE WHEN limits.monthly
                THEN date_trunc('month', coalesce(o.event_at, l.event_at) AT TIME ZONE p.zone)::date ELSE '0001-01-01'::date END AS month
            FROM partner_lines l
            JOIN partners p ON p.partner_id = l.partner_id
            JOIN partner_agreements a ON a.agreement_id = l.agreement_id
            LEFT JOIN partner_lines o ON o.partner_id = l.partner_id AND o.number = l.mirrors
            LEFT JOIN LATERAL (
                SELECT b FROM jsonb_array_elements(a.terms -> 'benefits') AS b WHERE b ->> 'code' = l.benefit
            ) agreed ON true
            CROSS JOIN LATERAL (
                VALUES ('cost', l.saved_minor - l.partner_minor, true, jsonb_typeof(a.terms -> 'cap_month_minor') = 'number'),
                    ('benefit:' || l.benefit, l.pieces::bigint, false, jsonb_typeof(agreed.b -> 'limit_total') = 'number'),
                    ('benefit:' || l.benefit, l.pieces::bigint, true, jsonb_typeof(agreed.b -> 'limit_each_month') = 'number'
                        AND NOT coalesce((agreed.b ->> 'plate_bound')::boolean, false))
            ) AS limits (subject, amount, monthly, holds)
            WHERE (l.kind IN ('redemption', 'sale') OR (l.kind = 'rollback' AND l.redemption_id IS NOT NULL))
                AND limits.holds AND limits.subject IS NOT NULL
        ) one GROUP BY one.partner_id, one.subject, one.month
    ) d ON d.partner_id = c.partner_id AND d.subject = c.subject AND d.month = c.month
    WHERE coalesce(c.used, 0) <> coalesce(d.drawn, 0)
    """,
    code="partner-counters",
    invariant=4,
    says="what an agreement's limits say was used is what lines drew on them, less what was undone",
)

FEEDS = proved_by(
    """
    SELECT b.batch_id, b.sequence, b.new, b.corrections, b.removals, b.cover_minor, count(r.batch_id) AS lines
    FROM partner_feed_batches b LEFT JOIN partner_feed_rows r ON r.batch_id = b.batch_id
    GROUP BY b.batch_id
    HAVING (b.new, b.corrections, b.removals, b.cover_minor) <> (count(*) FILTER (WHERE r.kind = 'new'),
        count(*) FILTER (WHERE r.kind = 'correction'), count(*) FILTER (WHERE r.kind = 'removal'),
        coalesce(sum(r.cover_minor) FILTER (WHERE r.kind <> 'removal'), 0))
    """,
    code="partner-feed-totals",
    invariant=5,
    says="the control totals of each file to a partner are the lines that are kept of it",
)

INVOICES = proved_by(
    """
    SELECT i.partner_id, i.invoice_id, i.status, i.amount_minor, l.paid_minor FROM partner_invoices i
    LEFT JOIN partner_lines l ON l.partner_id = i.partner_id AND l.source = 'payment:' || i.invoice_id
    WHERE (i.status = 'paid') <> (l.number IS NOT NULL) OR l.paid_minor <> -sign(i.due_minor)::bigint * i.amount_minor
    UNION ALL
    SELECT i.partner_id, i.invoice_id, i.status, i.amount_minor, l.paid_minor FROM partner_invoices i
    LEFT JOIN partner_lines l ON l.partner_id = i.partner_id AND l.source = 'difference:' || i.invoice_id
    WHERE i.status IN ('accepted', 'in_run', 'paid')
        AND coalesce(l.paid_minor, 0) <> sign(i.due_minor)::bigint * i.amount_minor - i.due_minor
    """,
    code="partner-invoices-booked",
    invariant=1,
    says="an invoice that was paid, or accepted at another amount, stands in its partner's book once, with that amount",
)

RUNS = proved_by(
    """
    SELECT r.run_id, r.status, r.invoices, r.amount_minor, count(i.invoice_id) AS found,
        coalesce(sum(i.amount_minor), 0)::bigint AS found_minor
    FROM partner_payment_runs r LEFT JOIN partner_invoices i ON i.run_id = r.run_id
    WHERE r.status <> 'cancelled' GROUP BY r.run_id
    HAVING r.invoices <> count(i.invoice_id) OR r.amount_minor <> coalesce(sum(i.amount_minor), 0)
        OR bool_or(i.status <> CASE r.status WHEN 'paid' THEN 'paid' ELSE 'in_run' END)
    """,
    code="partner-payment-runs",
    invariant=1,
    says="a payment run pays its invoices, each of them once, and what they come to",
)


async def _same(session: AsyncSession, scope: Scope) -> Found:
    """Add up and seal the lines of each closed month again, one month at a time."""
    broken: list[Row] = []
    months = (await session.execute(text("SELECT partner_id, month FROM partner_statements ORDER BY partner_id, month"))).all()
    for partner_id, month in months:
        broken += await _differs(session, partner_id, month)
    return found(broken, scope)


async def _differs(session: AsyncSession, partner_id: UUID, month: date) -> list[Row]:
    kept = await session.get_one(PartnerStatement, (partner_id, month))
    lines = await lines_of_month(session, partner_id=partner_id, month=month)
    told = stated(kept)
    faults = {
        "lines": kept.lines != len(lines),
        "due": kept.due_minor != sum(line.due_minor for line in lines),
        "sums": list(told.totals) != totals_of(lines),
        "digest": kept.digest != digest_of(lines),
    }
    what = ", ".join(name for name, wrong in faults.items() if wrong)
    return [{"partner_id": str(partner_id), "month": month.isoformat(), "what": what}] if what else []


STATEMENTS = Check(
    code="partner-statements",
    invariant=5,
    says="a partner's closed month says what its lines come to, sealed over just these lines",
    look=_same,
)

CHECKS = (NUMBERS, BALANCES, SHARES, MIRRORS, STATEMENTS, OPENINGS, CLOSED, COUNTERS, FEEDS, INVOICES, RUNS)
