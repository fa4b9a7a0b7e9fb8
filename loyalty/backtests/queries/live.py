"""What the live rules gave in a period, and the plain aggregate that a replay is measured against."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.backtests.report import RuleLine
from loyalty.ids import uuid7_floor

from .rows import Books

_WHERE = "s.sale_id >= :first AND s.sale_id < :last AND s.currency = :currency AND s.status IN (1, 2)"
_AGGREGATE = f"""
SELECT s.station_id, s.product_id, count(*) AS rows, sum(s.quantity_milli) AS quantity_milli, sum(s.gross_minor)::bigint AS gross_minor,
    sum(s.discount_minor)::bigint AS discount_minor
FROM sales s WHERE {_WHERE} GROUP BY 1, 2
"""  # noqa: S608 - of constants
_GIVEN = f"""
SELECT b ->> 'rule' AS rule, b ->> 'kind' AS kind, max(b ->> 'name_zh') AS name_zh, max(b ->> 'name_en') AS name_en, count(*) AS times,
    sum((b ->> 'wanted')::bigint)::bigint AS wanted, sum((b ->> 'given')::bigint)::bigint AS given
FROM sales s CROSS JOIN LATERAL jsonb_array_elements(s.detail -> 'benefits') b WHERE {_WHERE} AND s.detail ? 'benefits' GROUP BY 1, 2
"""  # noqa: S608 - of constants
_BORNE = f"""
SELECT CASE WHEN f ->> 0 LIKE 'station:%' THEN 'station' ELSE f ->> 0 END AS funder, b ->> 'kind' AS kind,
    sum((f ->> 1)::bigint)::bigint AS amount
FROM sales s CROSS JOIN LATERAL jsonb_array_elements(s.detail -> 'benefits') b CROSS JOIN LATERAL jsonb_array_elements(b -> 'funders') f
WHERE {_WHERE} AND s.detail ? 'benefits' GROUP BY 1, 2
"""  # noqa: S608 - of constants
_BOOKS = """
SELECT
    EXISTS (SELECT FROM rulebooks WHERE status = 'approved' AND document @? '$.rules[*].effect ? (@.kind == "bonus")') AS bonus,
    EXISTS (SELECT FROM agreements WHERE status <> 'draft') AS surcharges
"""


class Whole(NamedTuple):
    """The period in one line."""

    rows: int
    gross_minor: int
    discount_minor: int


def _period(currency: str, since: datetime, until: datetime) -> dict[str, object]:
    return {"first": uuid7_floor(since), "last": uuid7_floor(until), "currency": currency}


async def aggregate(session: AsyncSession, *, currency: str, since: datetime, until: datetime) -> Whole:
    """Return the sums over every station and product: what the database does with these rows when it only adds them up."""
    rows = (await session.execute(text(_AGGREGATE), _period(currency, since, until))).all()
    return Whole(sum(row.rows for row in rows), sum(row.gross_minor for row in rows), sum(row.discount_minor for row in rows))


async def live_books(session: AsyncSession) -> Books:
    """Say what the live rules may have given besides discounts."""
    row = (await session.execute(text(_BOOKS))).one()
    return Books(bonus=row.bonus, surcharges=row.surcharges)


async def live_rules(session: AsyncSession, *, currency: str, since: datetime, until: datetime) -> list[RuleLine]:
    """Return what each live rule gave, as the sales keep it."""
    rows = await session.execute(text(_GIVEN), _period(currency, since, until))
    return [RuleLine(row.rule, row.kind, row.name_zh, row.name_en, row.times, row.wanted, row.given, None) for row in rows]


async def live_funders(session: AsyncSession, *, currency: str, since: datetime, until: datetime) -> dict[tuple[str, str], int]:
    """Return who bore how much of it, by funder and kind."""
    rows = await session.execute(text(_BORNE), _period(currency, since, until))
    return {(row.funder, row.kind): row.amount for row in rows}
