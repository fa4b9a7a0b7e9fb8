"""Vehicles: added, changed, in repair with a substitute and back, closed, reopened."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.customers.queries import get_customer
from loyalty.errors import Refusal
from loyalty.fleet.model import VEHICLE_MOVES, Company, Vehicle, VehicleStatus
from loyalty.fleet.queries.bindings import bindings_of, standing_bindings
from loyalty.fleet.queries.companies import lock_company
from loyalty.fleet.queries.departments import get_department
from loyalty.fleet.queries.vehicles import get_vehicle_row
from loyalty.fleet.rules import SoundVehicle, VehicleFacts, Warned, sound_vehicle
from loyalty.ids import uuid7
from loyalty.stations.model import ProductCategory
from loyalty.stations.queries import snapshot_products

from .bindings import Binding, follow_moves, put_bindings, unbind
from .stops import RecallReason, recall

KEPT = (
    "plate",
    "vin",
    "type",
    "displacement_ml",
    "tank_milli",
    "product_code",
    "norm_milli",
    "ownership",
    "fixed_amount_minor",
    "department_id",
)
"""What of a vehicle's facts its row keeps under the same name."""


class PlateTaken(Refusal):
    """A company has one living vehicle of a plate."""

    zh = "本企业已有车牌为 {plate} 的车辆。"
    en = "The company has a vehicle with the plate {plate}."
    next_zh = "请打开该车辆修改，或先停用它。"
    next_en = "Change that vehicle, or close it first."


class UnknownFuel(Refusal):
    """The chain sells no such fuel."""

    status = 422
    zh = "没有油品“{code}”。可用：{known}。"
    en = 'There is no fuel "{code}". There are: {known}.'
    next_zh = "请选择列表中的油品。"
    next_en = "Choose one of these."


class OdometerFalls(Refusal):
    """An odometer rises; a typing error is corrected where it was made."""

    status = 422
    zh = "里程 {km} 公里小于已有记录 {standing} 公里。"
    en = "{km} km is less than the reading that stands, {standing} km."
    next_zh = "请核对；如原记录有误，请更正原记录。"
    next_en = "Check it; if the earlier reading is wrong, correct that one."


class VehicleCannotMove(Refusal):
    """Its status does not lead there."""

    zh = "车辆 {plate} 当前为 {status}，不能改为 {to}。"
    en = "Vehicle {plate} is {status} and cannot become {to}."
    next_zh = "请刷新后再试。"
    next_en = "Look at it again."


class SubstituteNotFree(Refusal):
    """A substitute is in use, another vehicle, and stands in for nobody."""

    zh = "车辆 {plate} 不能作为替代车。"
    en = "Vehicle {plate} cannot stand in."
    next_zh = "请选择正在使用、且未替代其他车辆的车。"
    next_en = "Choose a vehicle that is in use and stands in for no other."


class SavedVehicle(NamedTuple):
    """A vehicle's id, and what looked odd about it."""

    vehicle_id: UUID
    warnings: tuple[Warned, ...]


class ClosedVehicle(NamedTuple):
    """What closing a vehicle came to: the chains that were its, what went back to the pool, and what fills still hold; minor units."""

    chains: list[UUID]
    gathered_minor: int
    held_minor: int


async def add_vehicle(session: AsyncSession, *, company_id: UUID, facts: VehicleFacts, actor: Actor, now: datetime) -> SavedVehicle:
    """Add a vehicle.

    :raises CompanyNotFound: if there is no such company
    :raises InvalidPlate: if no vehicle of its country can carry the plate
    :raises InvalidVin: if the VIN is no letters and digits
    :raises VehicleNotSound: if another figure cannot be
    :raises PlateTaken: if the company has a living vehicle of the plate
    :raises UnknownFuel: if the chain sells no such fuel
    :raises DepartmentNotFound: if the department is none of the company's, or closed
    """
    await lock_company(session, company_id=company_id)
    sound = await _sound(session, company_id, facts)
    await require_plate_free(session, company_id=company_id, key=sound.plate_key, plate=sound.facts.plate)
    row = Vehicle(**new_row(sound, company_id=company_id, now=now))
    session.add(row)
    await session.flush()
    await _record(session, "fleet.vehicle_added", row, {"plate": row.plate, "type": row.type, "department": row.department_id}, actor, now)
    return SavedVehicle(row.vehicle_id, sound.warnings + await _vin_twice(session, row))


async def change_vehicle(
    session: AsyncSession, *, company_id: UUID, vehicle_id: UUID, facts: VehicleFacts, actor: Actor, now: datetime
) -> SavedVehicle:
    """Put these facts in the place of a vehicle's; its cards follow it into another department.

    :raises CompanyNotFound: if there is no such company
    :raises VehicleNotFound: if there is no such vehicle
    :raises VehicleCannotMove: if it is closed
    :raises InvalidPlate: if no vehicle of its country can carry the plate
    :raises InvalidVin: if the VIN is no letters and digits
    :raises VehicleNotSound: if another figure cannot be
    :raises PlateTaken: if another living vehicle of the company has the plate
    :raises UnknownFuel: if the chain sells no such fuel
    :raises DepartmentNotFound: if the department is none of the company's, or closed
    :raises OdometerFalls: if the reading is less than the one that stands
    """
    company = await lock_company(session, company_id=company_id)
    row = await get_vehicle_row(session, company_id=company_id, vehicle_id=vehicle_id)
    if row.status is VehicleStatus.CLOSED:
        raise VehicleCannotMove(plate=row.plate, status=row.status.value, to="changed")
    sound = await _sound(session, company_id, facts, standing=row)
    if sound.plate_key != row.plate_key:
        await require_plate_free(session, company_id=company_id, key=sound.plate_key, plate=sound.facts.plate)
    changes = changed_of(row, sound)
    if changes:
        before = row.department_id
        for name, (_, value) in changes.items():
            setattr(row, name, value)
        if "odometer_km" in changes:
            row.odometer_at = now
        await session.flush()
        await _record(session, "fleet.vehicle_changed", row, {"changes": changes}, actor, now)
        if "department_id" in changes:
            moves = {vehicle_id: (before, row.department_id)}
            await follow_moves(session, company=company, vehicles=moves, actor=actor, now=now)
    return SavedVehicle(vehicle_id, sound.warnings + await _vin_twice(session, row))


async def repair_vehicle(
    session: AsyncSession,
    *,
    company_id: UUID,
    vehicle_id: UUID,
    substitute_id: UUID | None = None,
    actor: Actor,
    reason: str = "",
    now: datetime,
) -> None:
    """Send a vehicle into repair. A substitute without a card of its own takes the vehicle's cards until it is back.

    :raises CompanyNotFound: if there is no such company
    :raises VehicleNotFound: if there is no such vehicle or substitute
    :raises VehicleCannotMove: if it is not in use
    :raises SubstituteNotFree: if the substitute is not in use, stands in for another, or is the vehicle itself
    """
    company = await lock_company(session, company_id=company_id)
    row = await get_vehicle_row(session, company_id=company_id, vehicle_id=vehicle_id)
    substitute = None
    if substitute_id is not None:
        substitute = await get_vehicle_row(session, company_id=company_id, vehicle_id=substitute_id)
        if substitute is row or substitute.status is not VehicleStatus.ACTIVE or substitute.substitute_for is not None:
            raise SubstituteNotFree(plate=substitute.plate)
    if row.substitute_for is not None:
        await _take_back(session, company, await get_vehicle_row(session, company_id=company_id, vehicle_id=row.substitute_for), actor, now)
    await _move(session, row, VehicleStatus.IN_REPAIR, {"reason": reason, "substitute": substitute_id}, actor, now)
    if substitute is None:
        return
    substitute.substitute_for = vehicle_id
    await session.flush()
    if not await standing_bindings(session, company_id=company_id, vehicle_ids=[substitute.vehicle_id]):
        lent = await standing_bindings(session, company_id=company_id, vehicle_ids=[vehicle_id])
        wanted = [Binding(one.chain_id, substitute.vehicle_id, one.driver_id, one.department_id) for one in lent]
        await put_bindings(session, company=company, wanted=wanted, actor=actor, now=now)


async def return_vehicle(
    session: AsyncSession, *, company_id: UUID, vehicle_id: UUID, actor: Actor, reason: str = "", now: datetime
) -> None:
    """Bring a vehicle back from repair; cards that it lent to its substitute are its own again.

    :raises CompanyNotFound: if there is no such company
    :raises VehicleNotFound: if there is no such vehicle
    :raises VehicleCannotMove: if it is not in repair
    """
    company = await lock_company(session, company_id=company_id)
    row = await get_vehicle_row(session, company_id=company_id, vehicle_id=vehicle_id)
    if row.status is VehicleStatus.CLOSED:
        raise VehicleCannotMove(plate=row.plate, status=row.status.value, to=VehicleStatus.ACTIVE.value)
    await _move(session, row, VehicleStatus.ACTIVE, {"reason": reason}, actor, now)
    await _take_back(session, company, row, actor, now)


async def close_vehicle(
    session: AsyncSession, *, company_id: UUID, vehicle_id: UUID, actor: Actor, reason: str = "", now: datetime
) -> ClosedVehicle:
    """Close a vehicle: its cards belong to it no more and are stopped; what they hold of their own goes back to the pool.

    :raises CompanyNotFound: if there is no such company
    :raises VehicleNotFound: if there is no such vehicle
    :raises VehicleCannotMove: if it is closed
    :raises AccountNotOpen: if the company's account is closed
    """
    company = await lock_company(session, company_id=company_id)
    row = await get_vehicle_row(session, company_id=company_id, vehicle_id=vehicle_id)
    if VehicleStatus.CLOSED not in VEHICLE_MOVES[row.status]:
        raise VehicleCannotMove(plate=row.plate, status=row.status.value, to=VehicleStatus.CLOSED.value)
    if row.substitute_for is not None:
        # What it only held for another goes back to that one.
        await _take_back(session, company, await get_vehicle_row(session, company_id=company_id, vehicle_id=row.substitute_for), actor, now)
    await _take_back(session, company, row, actor, now)
    chains = await unbind(session, company=company, vehicle_id=vehicle_id, actor=actor, now=now)
    row.closed_at = now
    await _move(session, row, VehicleStatus.CLOSED, {"reason": reason, "chains": chains}, actor, now)
    gathered = await recall(session, company=company, chain_ids=chains, why=RecallReason.CLOSED, who=row.plate, actor=actor, now=now)
    return ClosedVehicle(chains, gathered.amount_minor, gathered.held_minor)


async def reopen_vehicle(
    session: AsyncSession, *, company_id: UUID, vehicle_id: UUID, actor: Actor, reason: str = "", now: datetime
) -> None:
    """Take a closed vehicle into use again, without cards.

    :raises CompanyNotFound: if there is no such company
    :raises VehicleNotFound: if there is no such vehicle
    :raises VehicleCannotMove: if it is not closed
    :raises PlateTaken: if another living vehicle has its plate by now
    """
    await lock_company(session, company_id=company_id)
    row = await get_vehicle_row(session, company_id=company_id, vehicle_id=vehicle_id)
    if row.status is not VehicleStatus.CLOSED:
        raise VehicleCannotMove(plate=row.plate, status=row.status.value, to=VehicleStatus.ACTIVE.value)
    await require_plate_free(session, company_id=company_id, key=row.plate_key, plate=row.plate)
    if row.department_id is not None:
        await get_department(session, company_id=company_id, department_id=row.department_id)
    row.closed_at = None
    await _move(session, row, VehicleStatus.ACTIVE, {"reason": reason}, actor, now)


def new_row(sound: SoundVehicle, *, company_id: UUID, now: datetime) -> dict[str, Any]:
    """Return the values of a new vehicle's row."""
    facts = sound.facts
    return {name: getattr(facts, name) for name in KEPT} | {
        "vehicle_id": uuid7(now),
        "company_id": company_id,
        "country": sound.country,
        "plate_key": sound.plate_key,
        "substitute_for": None,
        "odometer_km": facts.odometer_km,
        "odometer_at": None if facts.odometer_km is None else now,
        "status": VehicleStatus.ACTIVE,
        "created_at": now,
        "closed_at": None,
    }


def changed_of(row: Vehicle, sound: SoundVehicle) -> dict[str, list[Any]]:
    """Return what of a row the facts change, as name → [before, after].

    :raises OdometerFalls: if the reading is less than the one that stands
    """
    wanted = {name: getattr(sound.facts, name) for name in KEPT} | {"country": sound.country, "plate_key": sound.plate_key}
    km = sound.facts.odometer_km
    if km is not None:
        if row.odometer_km is not None and km < row.odometer_km:
            raise OdometerFalls(km=km, standing=row.odometer_km)
        wanted["odometer_km"] = km
    return {name: [getattr(row, name), value] for name, value in wanted.items() if getattr(row, name) != value}


async def require_plate_free(session: AsyncSession, *, company_id: UUID, key: str, plate: str) -> None:
    """Make sure that no living vehicle of the company has the plate.

    :raises PlateTaken: if one has
    """
    taken = select(Vehicle.vehicle_id).where(Vehicle.company_id == company_id, Vehicle.plate_key == key, Vehicle.closed_at.is_(None))
    if await session.scalar(taken) is not None:
        raise PlateTaken(plate=plate)


async def fuels(session: AsyncSession) -> tuple[str, ...]:
    """Return the codes of the fuels that the chain sells."""
    return tuple(product.code for product in await snapshot_products(session) if product.category is ProductCategory.FUEL)


def require_fuel(code: str | None, known: Sequence[str]) -> None:
    """Make sure that a vehicle's fuel is one of the chain's.

    :raises UnknownFuel: if it is not
    """
    if code is not None and code not in known:
        raise UnknownFuel(code=code, known=", ".join(known))


async def _sound(session: AsyncSession, company_id: UUID, facts: VehicleFacts, standing: Vehicle | None = None) -> SoundVehicle:
    country = (await get_customer(session, customer_id=company_id)).country if standing is None else standing.country
    sound = sound_vehicle(facts, country=country)
    if standing is None or sound.facts.product_code != standing.product_code:
        require_fuel(sound.facts.product_code, await fuels(session))
    department_id = sound.facts.department_id
    if department_id is not None:
        await get_department(session, company_id=company_id, department_id=department_id)
    return sound


async def _vin_twice(session: AsyncSession, row: Vehicle) -> tuple[Warned, ...]:
    if row.vin is None:
        return ()
    same = select(Vehicle.vehicle_id).where(
        Vehicle.company_id == row.company_id,
        Vehicle.vin == row.vin,
        Vehicle.vehicle_id != row.vehicle_id,
        Vehicle.closed_at.is_(None),
    )
    return () if await session.scalar(same.limit(1)) is None else (Warned.VIN_TWICE,)


async def _take_back(session: AsyncSession, company: Company, row: Vehicle, actor: Actor, now: datetime) -> None:
    """End a vehicle's substitution: the cards that its substitute has from it are its own again."""
    substitute = await session.scalar(
        select(Vehicle).where(Vehicle.company_id == company.company_id, Vehicle.substitute_for == row.vehicle_id)
    )
    if substitute is None:
        return
    substitute.substitute_for = None
    await session.flush()
    wanted = []
    for one in await standing_bindings(session, company_id=company.company_id, vehicle_ids=[substitute.vehicle_id]):
        before = [past for past in await bindings_of(session, company_id=company.company_id, chain_id=one.chain_id) if past != one]
        if before and before[0].until == one.since and before[0].vehicle_id == row.vehicle_id:
            wanted.append(Binding(one.chain_id, row.vehicle_id, one.driver_id, before[0].department_id))
    await put_bindings(session, company=company, wanted=wanted, actor=actor, now=now)


async def _move(session: AsyncSession, row: Vehicle, to: VehicleStatus, facts: Mapping[str, object], actor: Actor, now: datetime) -> None:
    if to not in VEHICLE_MOVES[row.status]:
        raise VehicleCannotMove(plate=row.plate, status=row.status.value, to=to.value)
    moved = {"from": row.status, "to": to, **facts}
    row.status = to
    await session.flush()
    await _record(session, "fleet.vehicle_moved", row, moved, actor, now)


async def _record(session: AsyncSession, action: str, row: Vehicle, facts: Mapping[str, object], actor: Actor, now: datetime) -> None:
    about = {"company": row.company_id, **facts}
    await audit.record(session, actor=actor, action=action, subject=("vehicle", row.vehicle_id), facts=about, now=now)
