"""A company's closed period never changes: its lines and its totals are what they were when it was closed."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.checks.model import Check, Found, Row, Scope
from loyalty.fleet.model import Company
from loyalty.statements.model_companies import CompanyPeriod
from loyalty.statements.queries.companies import Part, digest_between, totals_between
from loyalty.statements.rules import totals_json

from .asking import found, proved_by


async def _closed_periods(session: AsyncSession, scope: Scope) -> Found:
    kept = select(CompanyPeriod, Company.account_id).join(Company, Company.company_id == CompanyPeriod.company_id)
    rows: list[Row] = []
    for period, account_id in (await session.execute(kept.order_by(CompanyPeriod.company_id, CompanyPeriod.first_day))).all():
        between = {"begin": period.begins_at, "end": period.ends_at}
        digest, fills, refunds = await digest_between(session, account_id=account_id, **between)
        totals = totals_json(await totals_between(session, part=Part(account_id), **between))
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
CHECKS = (
    POTS,
    Check(
        code="company-periods",
        invariant=1,
        says="a company's closed period says what it said when it was closed",
        look=_closed_periods,
    ),
)
