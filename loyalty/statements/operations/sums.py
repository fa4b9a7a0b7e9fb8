"""Keeping what statements come to: each line once, period by period, as soon as nothing can be booked before it any more."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete, literal, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.db import locked
from loyalty.fleet.queries.companies import get_company
from loyalty.ids import uuid7_floor
from loyalty.statements.model_sums import StatementMark, StatementMove, StatementSum
from loyalty.statements.queries.companies import periods_of
from loyalty.statements.queries.lines import Part
from loyalty.statements.queries.sums import COUNTED, MINE, MOVED, lines_by

# Whose account moved since its last sum: lines and money both are transfers, or come with some.
_DUE: Final = text(
    """
    SELECT c.company_id FROM companies c
    LEFT JOIN LATERAL (SELECT max(m.summed_to) AS summed_to FROM statement_marks m WHERE m.company_id = c.company_id) m ON true
    WHERE (CAST(:after AS uuid) IS NULL OR c.company_id > :after) AND EXISTS (
        SELECT FROM transfers t WHERE t.account_id = c.account_id AND t.transfer_id < :until
            AND t.transfer_id >= uuid7_floor(coalesce(m.summed_to, 'epoch')))
    ORDER BY c.company_id LIMIT :most
    """
)
_MOVES: Final = text(
    f"""
    WITH mine AS ({MINE})
    INSERT INTO statement_moves AS v (company_id, begins_at, kind, net_minor)
    SELECT :company, :begin, m.kind, m.net FROM ({MOVED.format(first="CAST(:first AS uuid)")}) m WHERE m.inside
    ON CONFLICT (company_id, begins_at, kind) DO UPDATE SET net_minor = v.net_minor + EXCLUDED.net_minor
    """  # noqa: S608 - constants of the room
)


async def due_for_sums(session: AsyncSession, *, after: UUID | None = None, until: datetime, most: int) -> list[UUID]:
    """Return companies, in order, on whose account something moved before `until` that is not summed."""
    return list(await session.scalars(_DUE, {"after": after, "until": uuid7_floor(until), "most": most}))


async def sum_company(session: AsyncSession, *, company_id: UUID, until: datetime, now: datetime) -> bool:
    """Bring the earliest of a company's periods that lags up to `until`; return whether another one may lag.

    :param until: an instant, in whole milliseconds, before which all is booked and collected
    """
    company = await get_company(session, company_id=company_id)
    marks = {
        mark.begins_at: mark.summed_to
        for mark in await session.scalars(select(StatementMark).where(StatementMark.company_id == company_id))
    }
    for period in reversed(await periods_of(session, company=company, now=now)):
        begin, to = period.begins_at, min(period.ends_at, until)
        at = marks.get(begin, begin)
        if to > begin and at != to and (at < to or at > period.ends_at):
            # Further than its end: its periods begin on another day since.
            await sum_period(session, company_id=company_id, account_id=company.account_id, begin=begin, to=to, anew=at > period.ends_at)
            return True
    return False


async def sum_period(
    session: AsyncSession, *, company_id: UUID, account_id: UUID, begin: datetime, to: datetime, anew: bool = False
) -> None:
    """Add the lines booked from a period's mark up to `to`, and how money moved with them; `anew`: all since its beginning."""
    of = {"company_id": company_id, "begins_at": begin}
    await session.execute(upsert(StatementMark).values(**of, summed_to=begin).on_conflict_do_nothing())
    key = (StatementMark.company_id == company_id, StatementMark.begins_at == begin)
    mark = (await session.scalars(locked(select(StatementMark).where(*key)))).one()
    if anew:
        for table in (StatementSum, StatementMove):
            await session.execute(delete(table).where(table.company_id == company_id, table.begins_at == begin))
        mark.summed_to = begin
    if mark.summed_to >= to:
        return
    await session.execute(_adding(lines_by(Part(account_id), mark.summed_to, to), of))
    between = {"account": account_id, "first": uuid7_floor(mark.summed_to), "last": uuid7_floor(to)}
    await session.execute(_MOVES, {"company": company_id, "begin": begin, **between})
    mark.summed_to = to
    await session.flush()


def _adding(lines: Any, of: dict[str, Any]) -> Any:
    """Return what adds summed lines to what is kept."""
    new = lines.subquery("new")
    names = [*of, "by", "department_id", "subject_id", *COUNTED]
    written = upsert(StatementSum).from_select(
        names, select(*(literal(value) for value in of.values()), *(new.c[one] for one in names[2:]))
    )
    return written.on_conflict_do_update(
        index_elements=["company_id", "begins_at", "by", "department_id", "subject_id"],
        set_={one: getattr(StatementSum, one) + written.excluded[one] for one in COUNTED},
    )
