"""Looking for what is odd, vehicle by vehicle, each fill once; and what people make of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.fleet.detecting import FillSeen, Kind, Severity, VehicleSeen, detect
from loyalty.fleet.model_findings import DISPOSITION_MOVES, Disposition, FindingStep, MisuseFinding, VehicleThreshold
from loyalty.fleet.model_notices import NoticeKind
from loyalty.fleet.model_webhooks import WebhookEvent
from loyalty.fleet.queries.watching import FindingNotFound
from loyalty.ids import uuid7
from loyalty.limits.rules import plate_key

from .marks import lock_mark
from .notices import News, notify
from .webhooks import tell

OVERLAP: Final = timedelta(minutes=10)
"""Longer than the collector of fills looks back."""
LEARN: Final = 1.5
"""A finding that was false stretches the vehicle's threshold of its kind by half, up to `MOST`."""
MOST: Final = 4.0
_MARK: Final = "findings"
_OLDEST: Final = timedelta(days=400)
"""How old a fill may be that is judged when it is booked."""
_NEWS: Final = timedelta(days=7)
"""A fill older than this is history, brought in late: nobody is called to it."""
_HABIT: Final = 200
"""Fills before the new ones that are read again, so that habits are known."""

_VEHICLES: Final = """
SELECT DISTINCT f.vehicle_id FROM companies c
JOIN fleet_fills f ON f.company_id = c.company_id AND f.event_at >= :oldest AND f.booked_at >= :since AND f.booked_at < :until
WHERE f.vehicle_id IS NOT NULL ORDER BY 1
"""
_SAID: Final = """
SELECT v.vehicle_id, v.tank_milli, v.product_code, v.plate_key, v.plate, v.department_id, v.company_id, coalesce(v.norm_milli, (
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY o.norm_milli) FROM vehicles o WHERE o.company_id = v.company_id AND o.type = v.type
)) AS norm_milli
FROM vehicles v WHERE v.vehicle_id = ANY(:vehicle_ids) ORDER BY v.vehicle_id
"""
_FILLS: Final = """
SELECT f.vehicle_id, f.account_id, f.sale_id, f.driver_id, f.event_at, f.event_at AT TIME ZONE p.zone AS local_at, f.station_id,
    p.district_id, coalesce(g.code, '') AS product, f.quantity_milli - f.back_milli AS litres_milli, f.plate, o.km,
    d.kind IS NOT NULL AS rest_day
FROM unnest(CAST(:vehicle_ids AS uuid[])) v(vehicle_id)
CROSS JOIN LATERAL (
    SELECT * FROM fleet_fills f WHERE f.vehicle_id = v.vehicle_id AND f.event_at < :until AND f.quantity_milli > f.back_milli
    ORDER BY f.event_at DESC, f.sale_id DESC LIMIT :most
) f
JOIN stations p ON p.station_id = f.station_id
LEFT JOIN products g ON g.product_id = f.product_id
LEFT JOIN LATERAL (
    SELECT km FROM odometer_readings o WHERE o.vehicle_id = f.vehicle_id AND o.sale_id = f.sale_id AND o.status = 'holds' LIMIT 1
) o ON true
LEFT JOIN customers u ON u.customer_id = f.company_id
LEFT JOIN calendar_days d ON d.country = u.country AND d.day = f.day AND d.kind IN ('rest', 'holiday')
ORDER BY f.vehicle_id, f.event_at, f.sale_id
"""


class FindingCannotMove(Refusal):
    """Already said otherwise: open it again first."""

    status = 409
    zh = "该异常当前为 {status}，不能直接改为 {to}。"
    en = "This finding is {status} and cannot become {to} at once."
    next_zh = "请先重新打开，再作判定。"
    next_en = "Open it again, then decide."


async def due_vehicles(session: AsyncSession, *, until: datetime) -> list[UUID]:
    """Return the vehicles with fills that were booked after the mark, in id order; the mark itself moves with `looked`."""
    mark = await lock_mark(session, name=_MARK, begins=until - _OLDEST, now=until)
    facts = {"since": mark.collected_to - OVERLAP, "until": until, "oldest": mark.collected_to - _OLDEST}
    return list((await session.scalars(text(_VEHICLES), facts)).all())


async def looked(session: AsyncSession, *, until: datetime) -> None:
    """Move the mark: everything booked before `until` was looked at."""
    mark = await lock_mark(session, name=_MARK, now=until)
    mark.collected_to = max(mark.collected_to, until)


async def look_at(session: AsyncSession, *, vehicle_ids: Sequence[UUID], until: datetime, now: datetime) -> int:
    """Judge the last fills of some vehicles; return how many findings were new. Looked at twice, each is found once."""
    said = (await session.execute(text(_SAID), {"vehicle_ids": list(vehicle_ids)})).all()
    read = (await session.execute(text(_FILLS), {"vehicle_ids": list(vehicle_ids), "until": until, "most": _HABIT})).all()
    fills = {vehicle_id: list(rows) for vehicle_id, rows in groupby(read, key=lambda row: row.vehicle_id)}
    learnt: dict[UUID, dict[Kind, float]] = {}
    for one in await session.scalars(select(VehicleThreshold).where(VehicleThreshold.vehicle_id.in_(vehicle_ids))):
        learnt.setdefault(one.vehicle_id, {})[one.kind] = one.factor
    made: list[dict[str, Any]] = []
    for row in said:
        vehicle = VehicleSeen(row.tank_milli, row.product_code, row.norm_milli, row.plate_key, learnt.get(row.vehicle_id, {}))
        made += _found(row.company_id, vehicle, fills.get(row.vehicle_id, []), now)
    if not made:
        return 0
    statement = upsert(MisuseFinding).on_conflict_do_nothing(index_elements=[MisuseFinding.sale_id, MisuseFinding.kind])
    new = set((await session.scalars(statement.returning(MisuseFinding.finding_id), made)).all())
    news = [(one["company_id"], one["finding_id"], _told(one)) for one in made if one["finding_id"] in new]
    await tell(session, event=WebhookEvent.FINDING_OPENED, news=news, now=now)
    whose = {row.vehicle_id: row for row in said}
    strong = [one for one in made if one["finding_id"] in new and one["severity"] is Severity.HIGH and one["event_at"] > now - _NEWS]
    notices = [
        News(one["company_id"], one["finding_id"], {"who": vehicle.plate, "kind": one["kind"].value}, vehicle.department_id)
        for one in strong
        for vehicle in (whose[one["vehicle_id"]],)
    ]
    await notify(session, kind=NoticeKind.FINDING, news=notices, at=now)
    return len(new)


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Return what a company's system is told of a finding."""
    return {"kind": row["kind"], "severity": row["severity"], "fill_id": row["sale_id"], "vehicle_id": row["vehicle_id"]}


def _found(company_id: UUID, vehicle: VehicleSeen, fills: Sequence[Any], now: datetime) -> list[dict[str, Any]]:
    """Return the rows of what is odd about a vehicle's fills."""
    by_sale = {row.sale_id: row for row in fills}
    found = []
    for one in detect(vehicle, map(_seen, fills)):
        row = by_sale[one.sale_id]
        found.append(
            {
                "finding_id": uuid7(now),
                "company_id": company_id,
                "vehicle_id": row.vehicle_id,
                "driver_id": row.driver_id,
                "account_id": row.account_id,
                "sale_id": one.sale_id,
                "kind": one.kind,
                "severity": one.severity,
                "evidence": one.evidence,
                "event_at": row.event_at,
                "found_at": now,
                "disposition": Disposition.OPEN,
            }
        )
    return found


def _seen(row: Any) -> FillSeen:
    return FillSeen(
        row.sale_id,
        row.local_at,
        row.station_id,
        row.district_id,
        row.product,
        row.litres_milli,
        row.km,
        None if row.plate is None else plate_key(row.plate),
        row.rest_day,
    )


async def dispose(
    session: AsyncSession, *, company_id: UUID, finding_id: UUID, to: Disposition, note: str, actor: Actor, now: datetime
) -> None:
    """Say what a finding was. One that was false raises the vehicle's threshold of its kind; opened again, nothing is unlearnt.

    :raises FindingNotFound: if the company has no such finding
    :raises FindingCannotMove: if it was decided and is not opened first
    """
    statement = locked(select(MisuseFinding).where(MisuseFinding.finding_id == finding_id))
    found: MisuseFinding | None = await session.scalar(statement)
    if found is None or found.company_id != company_id:
        raise FindingNotFound(finding=finding_id)
    if to not in DISPOSITION_MOVES[found.disposition]:
        raise FindingCannotMove(status=found.disposition.value, to=to.value)
    session.add(
        FindingStep(
            step_id=uuid7(now),
            finding_id=finding_id,
            company_id=company_id,
            moved_from=found.disposition,
            moved_to=to,
            note=note,
            by_kind=actor.kind.value,
            by_id=str(actor.actor_id),
            at=now,
        )
    )
    found.disposition = to
    if to is Disposition.FALSE:
        await _learn(session, found, now=now)
    await session.flush()
    facts = {"kind": found.kind.value, "to": to.value, "note": note}
    await audit.record(session, actor=actor, action="fleet.finding_disposed", subject=("finding", finding_id), facts=facts, now=now)


async def _learn(session: AsyncSession, found: MisuseFinding, *, now: datetime) -> None:
    known = await session.get(VehicleThreshold, (found.vehicle_id, found.kind))
    if known is None:
        session.add(
            VehicleThreshold(vehicle_id=found.vehicle_id, kind=Kind(found.kind), company_id=found.company_id, factor=LEARN, updated_at=now)
        )
    else:
        known.factor, known.updated_at = min(MOST, known.factor * LEARN), now
