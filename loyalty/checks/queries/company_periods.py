"""A company's closed period never changes: its lines and its totals are what they were when it was closed."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.checks.model import Check, Found, Row, Scope
from loyalty.fleet.model import Company
from loyalty.statements.model_companies import CompanyPeriod
from loyalty.statements.queries.companies import Part, digest_between, totals_between
from loyalty.statements.rules import totals_json

from .asking import found


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


CHECKS = (
    Check(
        code="company-periods",
        invariant=1,
        says="a company's closed period says what it said when it was closed",
        look=_closed_periods,
    ),
)
