"""Collecting what companies' cards took: set-based, in spans, twice the same; and judging the odometers that were read with it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.db import locked
from loyalty.errors import NotFound, Refusal
from loyalty.fleet.model import Vehicle
from loyalty.fleet.model_fills import READING_MOVES, Doubt, OdometerReading, ReadingSource, ReadingStatus
from loyalty.fleet.model_webhooks import WebhookEvent
from loyalty.fleet.queries.vehicles import VehicleNotFound
from loyalty.fleet.readings import Judged, doubt_of, judge_run
from loyalty.ids import uuid7, uuid7_floor
from loyalty.limits.presented import Odometer

from .marks import lock_mark
from .sums import lock_sums, sum_new_companies, sum_touched, sum_vehicles
from .webhooks import tell

OVERLAP: Final = timedelta(minutes=5)
"""Looked at again each time: longer than any transaction lives, so that what commits late is still found."""
_NEWS: Final = timedelta(days=2)
"""What is older is collected, but no news to a company's system."""
FILLS_MARK: Final = "fills"

# Whose a fill is, its own levels say; where it has none (an advice before the fleet was set up), the card's binding of the time does.
_COLLECT: Final = """
INSERT INTO fleet_fills AS f (account_id, sale_id, company_id, chain_id, card_id, vehicle_id, driver_id, department_id, station_id,
    product_id, day, event_at, booked_at, quantity_milli, unit_price_e4, gross_minor, discount_minor, card_minor, odometer_km, plate, flags,
    back_milli, back_gross_minor, back_discount_minor, back_card_minor)
SELECT s.account_id, s.sale_id, c.company_id, s.chain_id, s.card_id, coalesce(over.vehicle_id, b.vehicle_id),
    coalesce(over.driver_id, b.driver_id), coalesce(over.department_id, b.department_id), s.station_id, s.product_id,
    (s.event_at AT TIME ZONE p.zone)::date, s.event_at, s.booked_at, s.quantity_milli, s.unit_price_e4, s.gross_minor, s.discount_minor,
    s.card_minor, coalesce((s.detail ->> 'odometer_km')::bigint, (a.prompts ->> 'odometer_km')::bigint),
    coalesce(s.detail ->> 'plate', a.prompts ->> 'plate'), s.flags, 0, 0, 0, 0
FROM companies c
JOIN sales s ON s.account_id = c.account_id AND s.sale_id >= :first AND s.sale_id < :last
JOIN stations p ON p.station_id = s.station_id
LEFT JOIN authorizations a ON a.account_id = s.account_id AND a.authorization_id = s.authorization_id
LEFT JOIN card_bindings b ON b.chain_id = s.chain_id AND b.company_id = c.company_id AND b.since <= s.event_at
    AND (b.until IS NULL OR s.event_at < b.until)
LEFT JOIN LATERAL (
    SELECT (array_agg(v.vehicle_id) FILTER (WHERE v.vehicle_id IS NOT NULL))[1] AS vehicle_id,
        (array_agg(d.driver_id) FILTER (WHERE d.driver_id IS NOT NULL))[1] AS driver_id,
        (array_agg(e.department_id ORDER BY x.place) FILTER (WHERE e.department_id IS NOT NULL))[1] AS department_id
    FROM jsonb_array_elements_text(s.detail -> 'subjects') WITH ORDINALITY x(subject, place)
    LEFT JOIN vehicles v ON v.vehicle_id = x.subject::uuid
    LEFT JOIN drivers d ON d.driver_id = x.subject::uuid
    LEFT JOIN departments e ON e.department_id = x.subject::uuid
) over ON true
{of}
ON CONFLICT (account_id, sale_id) DO NOTHING
RETURNING f.company_id, f.vehicle_id, f.sale_id, f.odometer_km, f.event_at, f.day
"""

# What came back is summed anew for every sale that a refund of the span touches: run twice, it is the same.
_BACK: Final = """
WITH touched AS (
    SELECT DISTINCT r.account_id, r.sale_id FROM companies c
    JOIN refunds r ON r.account_id = c.account_id AND r.refund_id >= :first AND r.refund_id < :last
    {of}
), summed AS (
    SELECT r.account_id, r.sale_id, sum(r.quantity_milli) AS milli, sum(r.gross_minor) AS gross, sum(r.discount_minor) AS discount,
        sum(r.card_minor) AS card
    FROM touched t JOIN refunds r ON r.account_id = t.account_id AND r.sale_id = t.sale_id GROUP BY r.account_id, r.sale_id
)
UPDATE fleet_fills f SET back_milli = s.milli, back_gross_minor = s.gross, back_discount_minor = s.discount, back_card_minor = s.card
FROM summed s WHERE f.account_id = s.account_id AND f.sale_id = s.sale_id
    AND (f.back_milli, f.back_gross_minor, f.back_discount_minor, f.back_card_minor)
        IS DISTINCT FROM (s.milli::bigint, s.gross::bigint, s.discount::bigint, s.card::bigint)
RETURNING f.company_id, f.vehicle_id, f.day
"""


class ReadingNotFound(NotFound):
    zh = "没有找到该里程记录。"
    en = "There is no such odometer reading."


class ReadingCannotBe(Refusal):
    """A correction must itself be plausible, or say that it is meant."""

    status = 422
    zh = "更正后的里程 {km} 公里仍不合理（上一次有效读数 {last} 公里）。"
    en = "Corrected to {km} km it still cannot be (the last reading that holds is {last} km)."
    next_zh = "请核对；确认无误时选择“确认为真”。"
    next_en = "Check it; if it is right, say that it is meant."


class Collected(NamedTuple):
    """How far a chunk came: new fills, up to which instant of booking, and whether that is all."""

    made: int
    collected_to: datetime
    is_done: bool


async def collect_fills(session: AsyncSession, *, span: timedelta, until: datetime, now: datetime) -> Collected:
    """Go on from the mark by one span, to `until` at most: fills, refunds and readings. Two collectors wait for each other."""
    mark = await lock_mark(session, name=FILLS_MARK, now=now)
    since, to = mark.collected_to - OVERLAP, min(mark.collected_to + span, until)
    between = {"first": uuid7_floor(since), "last": uuid7_floor(to)}
    made, is_summed = await _collect(session, between, of="", now=now)
    mark.collected_to = max(mark.collected_to, to)
    await session.flush()
    return Collected(made, to, to >= until and is_summed)


async def collect_between(session: AsyncSession, *, company_id: UUID, begin: datetime, end: datetime, now: datetime) -> int:
    """Collect one company's fills and refunds booked in `[begin, end)`, whatever the mark says; return how many fills were new.

    For whoever must have all of them: a closing, or a company whose cards were used before it had a fleet.
    """
    between = {"first": uuid7_floor(begin), "last": uuid7_floor(end), "company": company_id}
    made, _is_summed = await _collect(session, between, of="WHERE c.company_id = :company", now=now)
    return made


async def _collect(session: AsyncSession, between: Mapping[str, UUID], *, of: str, now: datetime) -> tuple[int, bool]:
    """Collect; return how many fills were new, and whether no company is left of which a part is not summed yet."""
    rows = (await session.execute(text(_COLLECT.format(of=of)), between)).all()
    back = (await session.execute(text(_BACK.format(of=of)), between)).all()
    await lock_sums(session, company_ids={row.company_id for row in (*rows, *back)})
    await _read(session, [row for row in rows if row.vehicle_id is not None and row.odometer_km is not None], now=now)
    is_summed = await sum_new_companies(session, now=now)
    await sum_touched(session, touched=[*rows, *back])
    news = [
        (row.company_id, row.sale_id, {"vehicle_id": row.vehicle_id, "event_at": row.event_at})
        for row in rows
        if row.event_at > now - _NEWS
    ]
    await tell(session, event=WebhookEvent.FILL_BOOKED, news=news, now=now)
    return len(rows), is_summed


async def _read(session: AsyncSession, rows: Sequence[Any], *, now: datetime) -> None:
    """Judge the odometers of new fills, vehicle by vehicle, and set each vehicle's to the last that holds."""
    ordered = sorted(rows, key=lambda row: (row.vehicle_id, row.event_at, row.sale_id))
    by_vehicle = {vehicle_id: list(fills) for vehicle_id, fills in groupby(ordered, key=lambda row: row.vehicle_id)}
    if not by_vehicle:
        return
    known = locked(select(Vehicle).where(Vehicle.vehicle_id.in_(by_vehicle)).order_by(Vehicle.vehicle_id))
    before = {vehicle_id: fills[0].event_at for vehicle_id, fills in by_vehicle.items()}
    held = await last_holding(session, before=before)
    made: list[dict[str, Any]] = []
    for vehicle in list(await session.scalars(known)):
        fills = by_vehicle[vehicle.vehicle_id]
        judged = judge_run(
            held.get(vehicle.vehicle_id) or _said(vehicle, fills[0].event_at), [(row.odometer_km, row.event_at) for row in fills]
        )
        made += [_reading(row, one, now) for row, one in zip(fills, judged, strict=True)]
        holding = [one for one in judged if one.doubt is None]
        if holding and (vehicle.odometer_at is None or holding[-1].at > vehicle.odometer_at):
            vehicle.odometer_km, vehicle.odometer_at = holding[-1].km, holding[-1].at
    await session.execute(insert(OdometerReading), made)
    await session.flush()


def _said(vehicle: Vehicle, before: datetime) -> Odometer | None:
    """Return what was said of a vehicle's odometer when it was entered, where that was before its first fill."""
    if vehicle.odometer_km is None or vehicle.odometer_at is None or vehicle.odometer_at >= before:
        return None
    return Odometer(vehicle.odometer_km, vehicle.odometer_at)


def _reading(row: Any, one: Judged, now: datetime) -> dict[str, Any]:
    return {
        "reading_id": uuid7(now),
        "company_id": row.company_id,
        "vehicle_id": row.vehicle_id,
        "km": one.km,
        "read_at": one.at,
        "source": ReadingSource.PUMP,
        "sale_id": row.sale_id,
        "status": ReadingStatus.HOLDS if one.doubt is None else ReadingStatus.DOUBTFUL,
        "doubt": one.doubt,
        "by_kind": "system",
        "by_id": "pump",
        "made_at": now,
    }


async def last_holding(session: AsyncSession, *, before: Mapping[UUID, datetime]) -> dict[UUID, Odometer]:
    """Return the last reading that holds of each vehicle before its instant."""
    rows = await session.execute(
        text(
            """
            SELECT v.vehicle_id, o.km, o.read_at
            FROM unnest(CAST(:vehicles AS uuid[]), CAST(:instants AS timestamptz[])) v(vehicle_id, before)
            CROSS JOIN LATERAL (
                SELECT km, read_at FROM odometer_readings o
                WHERE o.vehicle_id = v.vehicle_id AND o.read_at < v.before AND o.status = 'holds'
                ORDER BY o.read_at DESC, o.reading_id DESC LIMIT 1
            ) o
            """
        ),
        {"vehicles": list(before), "instants": list(before.values())},
    )
    return {row.vehicle_id: Odometer(row.km, row.read_at) for row in rows}


class Taken(NamedTuple):
    """A reading that was taken, and why it is doubtful where it is."""

    reading_id: UUID
    doubt: Doubt | None


async def take_reading(
    session: AsyncSession,
    *,
    company_id: UUID,
    vehicle_id: UUID,
    km: int,
    source: ReadingSource,
    actor: Actor,
    read_at: datetime | None = None,
    now: datetime,
) -> Taken:
    """Keep a reading that was not said at the pump, of now or of an earlier instant: a doubtful one stays and is not built upon.

    It is judged by the one before it and, since it may be told late, the one after it.

    :raises VehicleNotFound: if the company has no such vehicle
    """
    at = read_at or now
    statement = locked(select(Vehicle).where(Vehicle.vehicle_id == vehicle_id, Vehicle.company_id == company_id))
    vehicle: Vehicle | None = await session.scalar(statement)
    if vehicle is None:
        raise VehicleNotFound(vehicle=vehicle_id)
    last = (await last_holding(session, before={vehicle_id: at})).get(vehicle_id) or _said(vehicle, at)
    doubt = doubt_of(last, km=km, at=at)
    following: int | None = await session.scalar(
        select(OdometerReading.km)
        .where(
            OdometerReading.vehicle_id == vehicle_id,
            OdometerReading.read_at > at,
            OdometerReading.status == ReadingStatus.HOLDS,
        )
        .order_by(OdometerReading.read_at, OdometerReading.reading_id)
        .limit(1)
    )
    if doubt is None and following is not None and following < km:
        doubt = Doubt.TOO_FAR
    made = OdometerReading(
        reading_id=uuid7(now),
        company_id=company_id,
        vehicle_id=vehicle_id,
        km=km,
        read_at=at,
        source=source,
        status=ReadingStatus.HOLDS if doubt is None else ReadingStatus.DOUBTFUL,
        doubt=doubt,
        by_kind=actor.kind.value,
        by_id=str(actor.actor_id),
        made_at=now,
    )
    session.add(made)
    if doubt is None and (vehicle.odometer_at is None or at > vehicle.odometer_at):
        vehicle.odometer_km, vehicle.odometer_at = km, at
    await session.flush()
    await sum_vehicles(session, since={vehicle_id: at.date() - timedelta(days=1)})
    return Taken(made.reading_id, doubt)


async def correct_reading(
    session: AsyncSession,
    *,
    company_id: UUID,
    reading_id: UUID,
    km: int,
    reason: str,
    meant: bool = False,
    actor: Actor,
    now: datetime,
) -> UUID:
    """Put a corrected reading in a wrong one's place; the wrong one stays, marked. `meant`: it holds although it looks odd.

    :raises ReadingNotFound: if the company has no such reading, or it was corrected before
    :raises ReadingCannotBe: if the corrected one cannot be either
    """
    statement = locked(select(OdometerReading).where(OdometerReading.reading_id == reading_id))
    wrong: OdometerReading | None = await session.scalar(statement)
    if wrong is None or wrong.company_id != company_id or ReadingStatus.REPLACED not in READING_MOVES[wrong.status]:
        raise ReadingNotFound(reading=reading_id)
    last = (await last_holding(session, before={wrong.vehicle_id: wrong.read_at})).get(wrong.vehicle_id)
    doubt: Doubt | None = doubt_of(last, km=km, at=wrong.read_at)
    if doubt is not None and not meant and last is not None:
        raise ReadingCannotBe(km=km, last=last.km)
    wrong.status = ReadingStatus.REPLACED
    right = OdometerReading(
        reading_id=uuid7(now),
        company_id=company_id,
        vehicle_id=wrong.vehicle_id,
        km=km,
        read_at=wrong.read_at,
        source=ReadingSource.PORTAL,
        sale_id=wrong.sale_id,
        status=ReadingStatus.HOLDS,
        doubt=None,
        corrects=reading_id,
        reason=reason,
        by_kind=actor.kind.value,
        by_id=str(actor.actor_id),
        made_at=now,
    )
    session.add(right)
    await session.flush()
    newest = (await last_holding(session, before={wrong.vehicle_id: now + timedelta(days=1)})).get(wrong.vehicle_id)
    if newest is not None:
        values = {"odometer_km": newest.km, "odometer_at": newest.at}
        await session.execute(update(Vehicle).where(Vehicle.vehicle_id == wrong.vehicle_id).values(values))
    await sum_vehicles(session, since={wrong.vehicle_id: wrong.read_at.date() - timedelta(days=1)})
    facts = {"from_km": wrong.km, "to_km": km, "reason": reason, "meant": meant}
    await audit.record(session, actor=actor, action="fleet.odometer_corrected", subject=("vehicle", wrong.vehicle_id), facts=facts, now=now)
    return right.reading_id
