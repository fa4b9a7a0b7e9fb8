"""Looking for what is odd, vehicle by vehicle, each fill once; and what people make of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.fleet.detecting import FillSeen, Kind, VehicleSeen, detect
from loyalty.fleet.model_fills import FleetMark
from loyalty.fleet.model_findings import DISPOSITION_MOVES, Disposition, FindingStep, MisuseFinding, VehicleThreshold
from loyalty.fleet.queries.watching import FindingNotFound
from loyalty.ids import uuid7
from loyalty.limits.rules import plate_key

OVERLAP: Final = timedelta(minutes=10)
"""Longer than the collector of fills looks back."""
LEARN: Final = 1.5
"""A finding that was false stretches the vehicle's threshold of its kind by half, up to `MOST`."""
MOST: Final = 4.0
_MARK: Final = "findings"
_HABIT: Final = 200
"""Fills before the new ones that are read again, so that habits are known."""

_VEHICLES: Final = """
SELECT DISTINCT f.vehicle_id FROM companies c
JOIN fleet_fills f ON f.company_id = c.company_id AND f.event_at >= :oldest AND f.booked_at >= :since AND f.booked_at < :until
WHERE f.vehicle_id IS NOT NULL ORDER BY 1
"""
_SAID: Final = """
SELECT v.tank_milli, v.product_code, v.plate_key, v.company_id, coalesce(v.norm_milli, (
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY o.norm_milli) FROM vehicles o WHERE o.company_id = v.company_id AND o.type = v.type
)) AS norm_milli
FROM vehicles v WHERE v.vehicle_id = :vehicle_id
"""
_FILLS: Final = """
SELECT f.account_id, f.sale_id, f.driver_id, f.event_at, f.event_at AT TIME ZONE p.zone AS local_at, f.station_id, p.district_id,
    coalesce(g.code, '') AS product, f.quantity_milli - f.back_milli AS litres_milli, f.plate, o.km, d.kind IS NOT NULL AS rest_day
FROM fleet_fills f
JOIN stations p ON p.station_id = f.station_id
LEFT JOIN products g ON g.product_id = f.product_id
LEFT JOIN LATERAL (
    SELECT km FROM odometer_readings o WHERE o.vehicle_id = f.vehicle_id AND o.sale_id = f.sale_id AND o.status = 'holds' LIMIT 1
) o ON true
LEFT JOIN companies c ON c.company_id = f.company_id
LEFT JOIN customers u ON u.customer_id = c.company_id
LEFT JOIN calendar_days d ON d.country = u.country AND d.day = f.day AND d.kind IN ('rest', 'holiday')
WHERE f.vehicle_id = :vehicle_id AND f.event_at < :until AND f.quantity_milli > f.back_milli
ORDER BY f.event_at DESC, f.sale_id DESC LIMIT :most
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
    opened = upsert(FleetMark).values(name=_MARK, collected_to=until - timedelta(days=400))
    await session.execute(opened.on_conflict_do_nothing(index_elements=[FleetMark.name]))
    mark = (await session.scalars(select(FleetMark).where(FleetMark.name == _MARK))).one()
    facts = {"since": mark.collected_to - OVERLAP, "until": until, "oldest": mark.collected_to - timedelta(days=400)}
    return list((await session.scalars(text(_VEHICLES), facts)).all())


async def looked(session: AsyncSession, *, until: datetime) -> None:
    """Move the mark: everything booked before `until` was looked at."""
    mark = (await session.scalars(locked(select(FleetMark).where(FleetMark.name == _MARK)))).one()
    mark.collected_to = max(mark.collected_to, until)


async def look_at(session: AsyncSession, *, vehicle_id: UUID, until: datetime, now: datetime) -> int:
    """Judge a vehicle's last fills; return how many findings were new. Looked at twice, each is found once."""
    said = (await session.execute(text(_SAID), {"vehicle_id": vehicle_id})).one()
    facts = {"vehicle_id": vehicle_id, "until": until, "most": _HABIT}
    rows = list(reversed((await session.execute(text(_FILLS), facts)).all()))
    learnt = await session.execute(select(VehicleThreshold.kind, VehicleThreshold.factor).where(VehicleThreshold.vehicle_id == vehicle_id))
    vehicle = VehicleSeen(said.tank_milli, said.product_code, said.norm_milli, said.plate_key, {row.kind: row.factor for row in learnt})
    findings = detect(vehicle, [_seen(row) for row in rows])
    by_sale = {row.sale_id: row for row in rows}
    made = [
        {
            "finding_id": uuid7(now),
            "company_id": said.company_id,
            "vehicle_id": vehicle_id,
            "driver_id": by_sale[one.sale_id].driver_id,
            "account_id": by_sale[one.sale_id].account_id,
            "sale_id": one.sale_id,
            "kind": one.kind,
            "severity": one.severity,
            "evidence": one.evidence,
            "event_at": by_sale[one.sale_id].event_at,
            "found_at": now,
            "disposition": Disposition.OPEN,
        }
        for one in findings
    ]
    if not made:
        return 0
    statement = upsert(MisuseFinding).on_conflict_do_nothing(index_elements=[MisuseFinding.sale_id, MisuseFinding.kind])
    return len((await session.scalars(statement.returning(MisuseFinding.finding_id), made)).all())


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


async def look_at_all(session: AsyncSession, *, vehicle_ids: Sequence[UUID], until: datetime, now: datetime) -> int:
    """Look at several vehicles in one transaction; return how many findings were new."""
    return sum([await look_at(session, vehicle_id=vehicle_id, until=until, now=now) for vehicle_id in vehicle_ids])
