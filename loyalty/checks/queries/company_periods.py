"""A company's closed period never changes: its lines and its totals are what they were when it was closed."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.checks.model import Check, Found, Row, Scope
from loyalty.fleet.model import Company
from loyalty.fleet.model_fills import NOBODY
from loyalty.statements.model_companies import CompanyPeriod
from loyalty.statements.queries.companies import totals_between
from loyalty.statements.queries.lines import Part, digest_between
from loyalty.statements.rules import totals_json

from .asking import found, proved_by


async def _closed_periods(session: AsyncSession, scope: Scope) -> Found:
    kept = select(CompanyPeriod, Company.account_id).join(Company, Company.company_id == CompanyPeriod.company_id)
    rows: list[Row] = []
    for period, account_id in (await session.execute(kept.order_by(CompanyPeriod.company_id, CompanyPeriod.first_day))).all():
        between = {"begin": period.begins_at, "end": period.ends_at}
        digest, fills, refunds = await digest_between(session, account_id=account_id, **between)
        totals = totals_json(await totals_between(session, part=Part(account_id), kept=False, **between))
        if (digest, fills, refunds, totals) != (period.digest, period.fills, period.refunds, period.totals):
            first = period.first_day.isoformat()
            rows.append({"company": str(period.company_id), "first_day": first, "fills": fills, "closed_fills": period.fills})
        session.expunge(period)
    return found(rows, scope)


POTS = proved_by(
    """
    SELECT p.account_id, p.product_id, p.invoiced_minor, coalesce(i.drawn, 0) AS drawn FROM invoice_pots p
    JOIN companies c ON c.account_id = p.account_id
    LEFT JOIN LATERAL (
        SELECT sum(l.amount_minor) AS drawn FROM company_periods m
        JOIN invoice_requests r ON r.company_id = m.company_id AND r.first_day = m.first_day AND r.status IN ('requested', 'issued')
        JOIN invoice_lines l ON l.invoice_id = r.invoice_id AND l.product_id = p.product_id
        WHERE m.company_id = c.company_id
            AND ('x' || left(replace(p.first_id::text, '-', ''), 12))::bit(48)::bigint = (extract(epoch FROM m.begins_at) * 1000)::bigint
    ) i ON true
    WHERE p.invoiced_minor <> coalesce(i.drawn, 0)
    """,
    code="invoices",
    invariant=4,
    says="what is invoiced of a period is what its invoices say, never more than was paid",
)
# What a mark covers, summed from the lines themselves; what has no mark is covered by nothing.
SUMS = proved_by(
    """
    SELECT coalesce(s.company_id, l.company_id) AS company_id, coalesce(s.begins_at, l.begins_at) AS begins_at, coalesce(s.by, l.by) AS by,
        coalesce(s.subject_id, l.subject_id) AS subject_id, s.fills AS said_fills, l.fills, s.refunds AS said_refunds, l.refunds,
        s.quantity_milli AS said_milli, l.milli, s.card_minor AS said_card, l.card
    FROM statement_sums s
    FULL JOIN (
        SELECT l.company_id, l.begins_at, u.by, coalesce(l.department_id, :nobody) AS department_id,
            coalesce(u.subject, :nobody) AS subject_id, count(*) FILTER (WHERE sign = 1) AS fills,
            count(*) FILTER (WHERE sign = -1) AS refunds, sum(sign * milli) AS milli, sum(sign * gross) AS gross,
            sum(sign * discount) AS discount, sum(sign * card) AS card
        FROM (
            SELECT m.company_id, m.begins_at, 1 AS sign, f.department_id, f.product_id, f.vehicle_id, f.driver_id,
                f.quantity_milli AS milli, f.gross_minor AS gross, f.discount_minor AS discount, f.card_minor AS card
            FROM statement_marks m JOIN companies c ON c.company_id = m.company_id
            JOIN fleet_fills f ON f.account_id = c.account_id AND f.sale_id >= uuid7_floor(m.begins_at)
                AND f.sale_id < uuid7_floor(m.summed_to)
            UNION ALL
            SELECT m.company_id, m.begins_at, -1, f.department_id, f.product_id, f.vehicle_id, f.driver_id,
                r.quantity_milli, r.gross_minor, r.discount_minor, r.card_minor
            FROM statement_marks m JOIN companies c ON c.company_id = m.company_id
            JOIN refunds r ON r.account_id = c.account_id AND r.refund_id >= uuid7_floor(m.begins_at)
                AND r.refund_id < uuid7_floor(m.summed_to)
            JOIN fleet_fills f ON f.account_id = r.account_id AND f.sale_id = r.sale_id
        ) l CROSS JOIN LATERAL (VALUES ('product', l.product_id), ('vehicle', l.vehicle_id), ('driver', l.driver_id)) u(by, subject)
        GROUP BY 1, 2, 3, 4, 5
    ) l USING (company_id, begins_at, by, department_id, subject_id)
    WHERE (s.fills, s.refunds, s.quantity_milli, s.gross_minor, s.discount_minor, s.card_minor)
        IS DISTINCT FROM (l.fills, l.refunds, l.milli, l.gross, l.discount, l.card)
    """.replace(":nobody", f"'{NOBODY}'::uuid"),
    code="statement-sums",
    invariant=1,
    says="what is kept of a statement is what its lines come to",
)
MOVES = proved_by(
    """
    SELECT coalesce(v.company_id, t.company_id) AS company_id, coalesce(v.begins_at, t.begins_at) AS begins_at,
        coalesce(v.kind, t.kind) AS kind, v.net_minor AS said_minor, t.net_minor
    FROM statement_moves v
    FULL JOIN (
        SELECT m.company_id, m.begins_at, t.kind,
            coalesce(sum(t.amount_minor) FILTER (WHERE t.credit_id = ANY (p.purses)), 0)
                - coalesce(sum(t.amount_minor) FILTER (WHERE t.debit_id = ANY (p.purses)), 0) AS net_minor
        FROM statement_marks m JOIN companies c ON c.company_id = m.company_id
        CROSS JOIN LATERAL (
            SELECT array_agg(purse_id) AS purses FROM purses p WHERE p.account_id = c.account_id AND p.kind <> 3
        ) p
        JOIN transfers t ON t.account_id = c.account_id AND t.transfer_id >= uuid7_floor(m.begins_at)
            AND t.transfer_id < uuid7_floor(m.summed_to)
        GROUP BY 1, 2, 3
    ) t USING (company_id, begins_at, kind)
    WHERE v.net_minor IS DISTINCT FROM t.net_minor
    """,
    code="statement-moves",
    invariant=1,
    says="how a statement says its money moved is what its transfers moved",
)
CHECKS = (
    POTS,
    SUMS,
    MOVES,
    Check(
        code="company-periods",
        invariant=1,
        says="a company's closed period says what it said when it was closed",
        look=_closed_periods,
    ),
)
