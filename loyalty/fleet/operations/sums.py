"""Summing fills up by day and by vehicle and period: what is touched is summed anew from the fills, so that twice is the same."""

from collections.abc import Collection, Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.fleet.allocation_rules import Span, span_of
from loyalty.fleet.model import Vehicle
from loyalty.fleet.model_fills import NOBODY

from .marks import lock_mark

# A day's fills are found by their instants: a station's day lies within a day of the same day in UTC.
_DAYS: Final = """
INSERT INTO fleet_days AS d
SELECT f.company_id, u.by, f.day, u.subject, coalesce(f.product_id, :nobody), count(*), sum(f.quantity_milli - f.back_milli),
    sum(f.gross_minor - f.back_gross_minor), sum(f.discount_minor - f.back_discount_minor), sum(f.card_minor - f.back_card_minor)
FROM unnest(CAST(:companies AS uuid[]), CAST(:days AS date[])) t(company_id, day)
JOIN fleet_fills f ON f.company_id = t.company_id AND f.day = t.day
    AND f.event_at >= (t.day - 1)::timestamp AT TIME ZONE 'UTC' AND f.event_at < (t.day + 2)::timestamp AT TIME ZONE 'UTC'
CROSS JOIN LATERAL (VALUES ('department', coalesce(f.department_id, :nobody)), ('station', f.station_id)) u(by, subject)
GROUP BY 1, 2, 3, 4, 5
ON CONFLICT (company_id, by, day, subject_id, product_id) DO UPDATE SET fills = EXCLUDED.fills, quantity_milli = EXCLUDED.quantity_milli,
    gross_minor = EXCLUDED.gross_minor, discount_minor = EXCLUDED.discount_minor, card_minor = EXCLUDED.card_minor
WHERE (d.fills, d.quantity_milli, d.gross_minor, d.discount_minor, d.card_minor)
    IS DISTINCT FROM (EXCLUDED.fills, EXCLUDED.quantity_milli, EXCLUDED.gross_minor, EXCLUDED.discount_minor, EXCLUDED.card_minor)
"""

# Later periods of a touched vehicle are summed too: where a period's way begins, the reading before it says.
_PERIODS: Final = """
WITH touched AS (
    SELECT v.vehicle_id, v.company_id, c.period_day, c.time_zone,
        date_trunc('month', (min(t.day) - c.period_day + 1)::timestamp)::date + c.period_day - 1 AS since
    FROM unnest(CAST(:vehicles AS uuid[]), CAST(:days AS date[])) t(vehicle_id, day)
    JOIN vehicles v ON v.vehicle_id = t.vehicle_id JOIN companies c ON c.company_id = v.company_id
    GROUP BY v.vehicle_id, v.company_id, c.period_day, c.time_zone
), summed AS (
    SELECT t.company_id, t.period_day, t.time_zone, t.vehicle_id,
        date_trunc('month', (f.day - t.period_day + 1)::timestamp)::date + t.period_day - 1 AS first, count(*) AS fills,
        sum(f.quantity_milli - f.back_milli) AS milli, sum(f.gross_minor - f.back_gross_minor) AS gross,
        sum(f.discount_minor - f.back_discount_minor) AS discount, sum(f.card_minor - f.back_card_minor) AS card
    FROM touched t JOIN fleet_fills f ON f.vehicle_id = t.vehicle_id AND f.company_id = t.company_id AND f.day >= t.since
        AND f.event_at >= (t.since - 1)::timestamp AT TIME ZONE 'UTC' AND f.day < CAST(:until AS date)
        AND f.event_at < (CAST(:until AS date) + 1)::timestamp AT TIME ZONE 'UTC'
    GROUP BY 1, 2, 3, 4, 5
)
INSERT INTO vehicle_periods AS p
SELECT s.company_id, s.period_day, s.first, s.vehicle_id, s.fills, s.milli, s.gross, s.discount, s.card,
    CASE WHEN until.km > coalesce(since.km, within.km) THEN until.km - coalesce(since.km, within.km) END
FROM summed s
CROSS JOIN LATERAL (SELECT s.first::timestamp AT TIME ZONE s.time_zone AS begins,
    (s.first + interval '1 month') AT TIME ZONE s.time_zone AS ends) x
LEFT JOIN LATERAL (SELECT km FROM odometer_readings o WHERE o.vehicle_id = s.vehicle_id AND o.status = 'holds' AND o.read_at < x.begins
    ORDER BY o.read_at DESC, o.reading_id DESC LIMIT 1) since ON true
LEFT JOIN LATERAL (SELECT km FROM odometer_readings o WHERE o.vehicle_id = s.vehicle_id AND o.status = 'holds' AND o.read_at >= x.begins
    AND o.read_at < x.ends ORDER BY o.read_at, o.reading_id LIMIT 1) within ON true
LEFT JOIN LATERAL (SELECT km FROM odometer_readings o WHERE o.vehicle_id = s.vehicle_id AND o.status = 'holds' AND o.read_at >= x.begins
    AND o.read_at < x.ends ORDER BY o.read_at DESC, o.reading_id DESC LIMIT 1) until ON true
ON CONFLICT (company_id, period_day, first, vehicle_id) DO UPDATE SET fills = EXCLUDED.fills, quantity_milli = EXCLUDED.quantity_milli,
    gross_minor = EXCLUDED.gross_minor, discount_minor = EXCLUDED.discount_minor, card_minor = EXCLUDED.card_minor, km = EXCLUDED.km
WHERE (p.fills, p.quantity_milli, p.gross_minor, p.discount_minor, p.card_minor, p.km) IS DISTINCT FROM
    (EXCLUDED.fills, EXCLUDED.quantity_milli, EXCLUDED.gross_minor, EXCLUDED.discount_minor, EXCLUDED.card_minor, EXCLUDED.km)
"""

# A company's first time, or its first under a new day on which its periods begin: a mark says that all was summed so.
_UNSUMMED: Final = """
SELECT c.company_id, c.period_day FROM companies c
WHERE NOT EXISTS (SELECT FROM fleet_marks m WHERE m.name = 'sums/' || c.company_id || '/' || c.period_day)
    AND EXISTS (SELECT FROM fleet_fills f WHERE f.company_id = c.company_id)
ORDER BY c.company_id
"""
# Between which days a company's fills lie, by their instants: a station's day is within a day of it.
_BOUNDS: Final = """
SELECT (SELECT min(event_at) FROM fleet_fills WHERE company_id = :company)::date - 1 AS first,
    (SELECT max(event_at) FROM fleet_fills WHERE company_id = :company)::date + 2 AS end
"""
_FUELLED: Final = """
SELECT vehicle_id, count(*) AS fills FROM fleet_fills WHERE company_id = :company AND day >= :first AND day < :end
    AND event_at >= CAST(:first AS date) - 1 AND event_at < CAST(:end AS date) + 1
GROUP BY vehicle_id
"""
MANY_FILLS: Final = 300_000
"""That many take some seconds: years of a large fleet are summed in several transactions, a period at a time."""


async def lock_sums(session: AsyncSession, *, company_ids: Collection[UUID]) -> None:
    """Let two who collected fills of one company sum them one after the other: before any vehicle is locked."""
    for company_id in sorted(company_ids):
        await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"fleet-sums/{company_id}"})


async def sum_touched(session: AsyncSession, *, touched: Iterable[Any]) -> None:
    """Sum anew the days and the vehicles' periods of fills: rows with `company_id`, `vehicle_id` and `day`."""
    rows = list(touched)
    await _sum_days(session, days={(row.company_id, row.day) for row in rows})
    earliest: dict[UUID, date] = {}
    for row in rows:
        if row.vehicle_id is not None:
            earliest[row.vehicle_id] = min(row.day, earliest.get(row.vehicle_id, row.day))
    await sum_vehicles(session, since=earliest)


async def _sum_days(session: AsyncSession, *, days: Collection[tuple[UUID, date]]) -> None:
    """Sum anew each company's day."""
    if days:
        companies, dates = zip(*sorted(days), strict=True)
        await session.execute(text(_DAYS), {"companies": list(companies), "days": list(dates), "nobody": NOBODY})


async def sum_vehicles(session: AsyncSession, *, since: dict[UUID, date], until: date = date.max) -> None:
    """Sum anew each vehicle's periods from the one of a day on, by its fills before the day `until`, with which a period begins."""
    if not since:
        return
    await _lock(session, since)
    await session.execute(text(_PERIODS), {"vehicles": list(since), "days": list(since.values()), "until": until})


async def _lock(session: AsyncSession, vehicle_ids: Collection[UUID]) -> None:
    """Let nobody else sum these vehicles meanwhile: a correction in the portal and the collector would write over each other."""
    await session.execute(
        select(Vehicle.vehicle_id).where(Vehicle.vehicle_id.in_(vehicle_ids)).order_by(Vehicle.vehicle_id).with_for_update(key_share=True)
    )


async def sum_new_companies(session: AsyncSession, *, most: int = MANY_FILLS, now: datetime) -> bool:
    """Sum up fills of companies that were never summed, or whose periods begin on another day since; return whether all are summed.

    A large company's past takes several calls: a mark keeps how far each came.
    """
    left = most
    for company_id, period_day in (await session.execute(text(_UNSUMMED))).all():
        if left <= 0:
            return False
        await lock_sums(session, company_ids=[company_id])
        bounds = (await session.execute(text(_BOUNDS), {"company": company_id})).one()
        mark = await lock_mark(session, name=f"summing/{company_id}/{period_day}", begins=_midnight(bounds.first), now=now)
        while left > 0 and mark.collected_to < _midnight(bounds.end):
            span = span_of(mark.collected_to.date(), period_day=period_day)
            left -= await _sum_span(session, company_id=company_id, span=span)
            mark.collected_to = _midnight(span.end)
        if mark.collected_to < _midnight(bounds.end):
            return False
        name = f"sums/{company_id}/{period_day}"
        await lock_mark(session, name=name, begins=now, now=now)
        await session.flush()
        # Nothing is kept up under another day: should that be chosen again, all is summed again.
        others = text("DELETE FROM fleet_marks WHERE name LIKE :of AND name <> :name")
        await session.execute(others, {"of": f"sum%/{company_id}/%", "name": name})
    return True


async def _sum_span(session: AsyncSession, *, company_id: UUID, span: Span) -> int:
    """Sum up a company's fills of one period; return how many there are."""
    between = {"company": company_id, "first": span.first, "end": span.end}
    fuelled = (await session.execute(text(_FUELLED), between)).all()
    await _sum_days(session, days={(company_id, span.first + timedelta(days=day)) for day in range((span.end - span.first).days)})
    await sum_vehicles(session, since={row.vehicle_id: span.first for row in fuelled if row.vehicle_id is not None}, until=span.end)
    return sum(row.fills for row in fuelled)


def _midnight(day: date) -> datetime:
    """Return a day as a mark has it."""
    return datetime.combine(day, time(), tzinfo=UTC)
