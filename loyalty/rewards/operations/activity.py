"""What accounts did by day: reckoned set-based from what was booked, and anew for a day whenever something of it is booked or goes back."""

from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.ids import uuid7_floor

from .grants import OVERLAP, lock_mark, move_mark

ACTIVITY: Final = "activity"
"""The mark of what was reckoned."""
_LOOK_BACK: Final = timedelta(days=800)
"""Where the first run begins: two windows of a year."""

# Ids of a business day's sales lie around it: a station may be in any zone, and a fill may end after midnight.
_REFRESH: Final = text(
    """
    WITH touched AS MATERIALIZED (
        SELECT DISTINCT p.account_id, p.day, a.customer_id FROM (
            SELECT account_id, business_day AS day FROM sales WHERE sale_id >= :first AND sale_id < :last
            UNION ALL
            SELECT s.account_id, s.business_day FROM stations st
            CROSS JOIN LATERAL (
                SELECT account_id, sale_id FROM refunds WHERE station_id = st.station_id AND refund_id >= :first AND refund_id < :last
            ) r JOIN sales s ON s.account_id = r.account_id AND s.sale_id = r.sale_id
            UNION ALL
            SELECT account_id, (booked_at AT TIME ZONE :zone)::date FROM transfers
            WHERE transfer_id >= :first AND transfer_id < :last AND kind = 1
            UNION ALL
            SELECT o.account_id, (o.booked_at AT TIME ZONE :zone)::date FROM transfers m
            JOIN transfers o ON o.account_id = m.account_id AND o.transfer_id = m.mirrors
            WHERE m.transfer_id >= :first AND m.transfer_id < :last AND m.kind IN (6, 7) AND m.mirrors IS NOT NULL AND o.kind = 1
        ) p JOIN accounts a ON a.account_id = p.account_id WHERE a.customer_id IS NOT NULL
    ), reckoned AS (
        INSERT INTO activity_days AS d (account_id, day, spend_minor, quantity_milli, topup_minor, visits)
        SELECT p.account_id, p.day, s.spend, s.quantity, t.topped, s.visits
        FROM touched p
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(s.gross_minor - s.discount_minor - coalesce(r.net, 0)), 0)::bigint AS spend,
                coalesce(sum(s.quantity_milli - coalesce(r.quantity, 0)), 0)::bigint AS quantity,
                count(*) FILTER (WHERE s.status IN (1, 2)) AS visits
            FROM sales s LEFT JOIN LATERAL (
                SELECT sum(r.gross_minor - r.discount_minor) AS net, sum(r.quantity_milli) AS quantity FROM refunds r
                WHERE s.refunded_minor > 0 AND r.account_id = s.account_id AND r.sale_id = s.sale_id
            ) r ON true
            WHERE s.account_id = p.account_id AND s.business_day = p.day
                AND s.sale_id >= uuid7_floor((p.day - 2)::timestamp AT TIME ZONE 'UTC')
                AND s.sale_id < uuid7_floor((p.day + 3)::timestamp AT TIME ZONE 'UTC')
        ) s
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(amount_minor - returned_minor), 0)::bigint AS topped FROM topups
            WHERE account_id = p.account_id AND status = 'booked' AND booked_at >= p.day::timestamp AT TIME ZONE :zone
                AND booked_at < (p.day + 1)::timestamp AT TIME ZONE :zone
        ) t
        ORDER BY p.account_id, p.day
        ON CONFLICT (account_id, day) DO UPDATE SET spend_minor = excluded.spend_minor, quantity_milli = excluded.quantity_milli,
            topup_minor = excluded.topup_minor, visits = excluded.visits
        RETURNING account_id
    )
    SELECT DISTINCT customer_id FROM touched ORDER BY customer_id
    """
)


class Refreshed(NamedTuple):
    """Whose days changed, and how far the mark came."""

    customer_ids: list[UUID]
    is_done: bool


async def refresh(session: AsyncSession, *, since: datetime, until: datetime, zone: str) -> list[UUID]:
    """Reckon the days anew of which something was booked in `[since, until)`; return the customers' records, one statement in all."""
    window = {"first": uuid7_floor(since), "last": uuid7_floor(until), "zone": zone}
    return list(await session.scalars(_REFRESH, window))


async def refresh_next(session: AsyncSession, *, span: timedelta, until: datetime, zone: str) -> Refreshed:
    """Reckon the next `span` of bookings after the mark, not beyond `until`, and move the mark."""
    first: datetime | None = await session.scalar(text("SELECT min(opened_at) FROM accounts"))
    start = max(first or until, until - _LOOK_BACK)
    mark = await lock_mark(session, source=ACTIVITY, until=until, start=start)
    to = min(mark + span, until)
    touched = await refresh(session, since=mark - OVERLAP, until=to, zone=zone)
    await move_mark(session, source=ACTIVITY, to=max(mark, to))
    return Refreshed(touched, to >= until)
