"""What flyers brought: customers by the code that they showed when they were entered, and how many of them stayed."""

from datetime import datetime

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# By days of accounts, which are reckoned within minutes: sales themselves are not summed for a page.
_FLYERS = text(
    """
    SELECT c.flyer_code AS code, count(*) AS brought, count(*) FILTER (WHERE d.topup_minor > 0) AS topped_up,
        count(*) FILTER (WHERE d.visits > 0) AS fuelled, count(*) FILTER (WHERE d.visits > 2) AS stayed,
        coalesce(sum(d.topup_minor), 0)::bigint AS topup_minor, coalesce(sum(d.spend_minor), 0)::bigint AS spend_minor,
        coalesce(sum(d.quantity_milli), 0)::bigint AS quantity_milli, min(c.created_at) AS first_at, max(c.created_at) AS last_at
    FROM customers c
    LEFT JOIN LATERAL (
        SELECT sum(d.topup_minor) AS topup_minor, sum(d.visits) AS visits, sum(d.spend_minor) AS spend_minor,
            sum(d.quantity_milli) AS quantity_milli
        FROM accounts a JOIN activity_days d ON d.account_id = a.account_id
        WHERE a.customer_id = c.customer_id AND a.currency = :currency
    ) d ON true
    WHERE c.flyer_code IS NOT NULL AND c.merged_into IS NULL
    GROUP BY c.flyer_code ORDER BY max(c.created_at) DESC, c.flyer_code LIMIT :most
    """
)


class FlyerResult(msgspec.Struct, frozen=True, kw_only=True):
    """A flyer's conversion: of those it brought, how many topped up, fuelled, and came more than twice; amounts in minor units."""

    code: str
    brought: int
    topped_up: int
    fuelled: int
    stayed: int
    topup_minor: int
    spend_minor: int
    quantity_milli: int
    first_at: datetime
    last_at: datetime


async def flyer_results(session: AsyncSession, *, currency: str, most: int = 100) -> list[FlyerResult]:
    """Return what each flyer brought, the latest first; merged records count as the one that stays."""
    rows = await session.execute(_FLYERS, {"currency": currency, "most": most})
    return [FlyerResult(**row) for row in rows.mappings()]
