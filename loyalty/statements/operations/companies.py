"""Closing companies' own periods: once each, with what their statements said."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.authorizations.operations.invoicing import open_pots
from loyalty.fleet.model_notices import NoticeKind
from loyalty.fleet.operations.fills import collect_between
from loyalty.fleet.operations.notices import News, notify
from loyalty.fleet.queries.companies import get_company, lock_company
from loyalty.ledger.queries import require_settled
from loyalty.statements.model_companies import CompanyPeriod
from loyalty.statements.queries.companies import StatedPeriod, periods_of, totals_between
from loyalty.statements.queries.lines import Part, digest_between
from loyalty.statements.rules import totals_json

from .sums import sum_period

_NEWS: Final = timedelta(days=40)
"""A period that ended longer ago was closed late, with others: nobody is called to it."""
# Who may have one: no period yet, or the last one ended more than a shortest period ago. Which it is, the calendar of each says.
_DUE: Final = text(
    """
    SELECT c.company_id FROM companies c
    LEFT JOIN LATERAL (
        SELECT end_day FROM company_periods p WHERE p.company_id = c.company_id ORDER BY first_day DESC LIMIT 1
    ) last ON true
    WHERE (last.end_day IS NULL OR last.end_day < (CAST(:now AS timestamptz) AT TIME ZONE c.time_zone)::date)
        AND (CAST(:after AS uuid) IS NULL OR c.company_id > :after)
        AND EXISTS (SELECT FROM transfers t WHERE t.account_id = c.account_id)
    ORDER BY c.company_id LIMIT :most
    """
)


async def due_companies(session: AsyncSession, *, after: UUID | None = None, most: int, now: datetime) -> list[UUID]:
    """Return companies, in order, of which a period may be over that is not closed."""
    return list(await session.scalars(_DUE, {"after": after, "most": most, "now": now}))


async def close_company_periods(session: AsyncSession, *, company_id: UUID, actor: Actor, now: datetime) -> list[CompanyPeriod]:
    """Close every period of a company that is over; return those that were not closed before. Said twice, done once.

    What its cards took is collected first, so that a statement says all that the books do.

    :raises InstantNotSettled: if a transaction that began before a period's end still runs
    """
    await lock_company(session, company_id=company_id)
    company = await get_company(session, company_id=company_id)
    due = [one for one in await periods_of(session, company=company, now=now) if one.closed_at is None and one.ends_at <= now]
    done = [await _close(session, company_id, company.account_id, one, actor, now) for one in reversed(due)]
    await session.flush()
    return done


async def _close(
    session: AsyncSession, company_id: UUID, account_id: UUID, period: StatedPeriod, actor: Actor, now: datetime
) -> CompanyPeriod:
    begin, end = period.begins_at, period.ends_at
    await require_settled(session, instant=end)
    await collect_between(session, company_id=company_id, begin=begin, end=end, now=now)
    # Anew: whatever the collecting before this brought is in, and a closed period is summed once and for ever.
    await sum_period(session, company_id=company_id, account_id=account_id, begin=begin, to=end, anew=True)
    totals = await totals_between(session, part=Part(account_id), begin=begin, end=end, kept=False)
    digest, fills, refunds = await digest_between(session, account_id=account_id, begin=begin, end=end)
    row = CompanyPeriod(
        company_id=company_id,
        first_day=period.first,
        end_day=period.end,
        begins_at=begin,
        ends_at=end,
        fills=fills,
        refunds=refunds,
        totals=totals_json(totals),
        digest=digest,
        closed_at=now,
        by=str(actor.actor_id),
    )
    session.add(row)
    await open_pots(session, account_id=account_id, begin=begin, end=end)
    facts = {"first": period.first.isoformat(), "end": period.end.isoformat(), "fills": fills, "refunds": refunds, "digest": digest.hex()}
    await audit.record(
        session, actor=actor, action="statements.company_period_closed", subject=("company", company_id), facts=facts, now=now
    )
    if end > now - _NEWS:
        said = {"period": period.first.isoformat(), "minor": totals.figures.card_minor, "fills": fills}
        once = uuid5(company_id, period.first.isoformat())
        await notify(session, kind=NoticeKind.PERIOD_CLOSED, news=[News(company_id, once, said)], at=now)
    return row
