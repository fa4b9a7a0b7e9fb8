"""Reading vehicles: one, or a list by what a fleet manager looks for."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Select, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.cards.model import LIVING, Card
from loyalty.errors import NotFound
from loyalty.fleet.model import CardBinding, Ownership, Vehicle, VehicleStatus
from loyalty.limits.rules import plate_key
from loyalty.paging import PAGE_SIZE, Column, Page, keys_for, page

from .departments import names_of


class VehicleNotFound(NotFound):
    """Unknown, or another company's: the answer is the same."""

    zh = "没有此车辆。"
    en = "There is no such vehicle."


class CardTail(msgspec.Struct, frozen=True):
    """A card as a list names it."""

    chain_id: UUID
    card_id: UUID
    number_tail: str


class VehicleView(msgspec.Struct, frozen=True):
    """A vehicle with its department's name, the cards bound to it, and who stands in for whom during a repair."""

    vehicle_id: UUID
    company_id: UUID
    department_id: UUID | None
    department: str | None
    plate: str
    country: str
    vin: str | None
    type: str
    displacement_ml: int | None
    tank_milli: int | None
    product_code: str | None
    norm_milli: int | None
    ownership: Ownership
    fixed_amount_minor: int | None
    substitute_for: UUID | None
    substitute_for_plate: str | None
    """The vehicle in repair that it stands in for."""
    substitute_id: UUID | None
    substitute_plate: str | None
    """The vehicle that stands in for it."""
    odometer_km: int | None
    odometer_at: datetime | None
    status: VehicleStatus
    created_at: datetime
    closed_at: datetime | None
    cards: list[CardTail]


class VehicleFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of vehicles is cut to; closed ones are left out unless `statuses` names them."""

    text: str = ""
    """Any part of the plate, the VIN or the type."""
    department_ids: Collection[UUID] | None = None
    """None: all; a department head's own and those below it."""
    statuses: Collection[VehicleStatus] = (VehicleStatus.ACTIVE, VehicleStatus.IN_REPAIR)
    type: str | None = None
    has_card: bool | None = None


_SORTS: dict[str, Column] = {
    "plate": Vehicle.plate,
    "type": Vehicle.type,
    "status": Vehicle.status,
    "created_at": Vehicle.created_at,
    "odometer": func.coalesce(Vehicle.odometer_km, -1).label("odometer"),
}


async def list_vehicles(
    session: AsyncSession,
    *,
    company_id: UUID,
    by: VehicleFilter | None = None,
    sort: str = "plate",
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[VehicleView]:
    """Read a page of a company's vehicles; sorts: plate, type, status, created_at, odometer.

    :raises UnknownSort: for another sort
    """
    statement = _filtered(select(Vehicle).where(Vehicle.company_id == company_id), by or VehicleFilter())
    found = await page(session, statement, keys=keys_for(sort, _SORTS, unique=Vehicle.vehicle_id), cursor=cursor, limit=limit)
    return Page(rows=await _views(session, company_id, found.rows), next=found.next, previous=found.previous)


async def count_vehicles(session: AsyncSession, *, company_id: UUID, by: VehicleFilter | None = None) -> int:
    """Return how many vehicles `list_vehicles` would list in all."""
    wanted = _filtered(select(Vehicle).where(Vehicle.company_id == company_id), by or VehicleFilter())
    return int(await session.scalar(wanted.with_only_columns(func.count(), maintain_column_froms=True)) or 0)


async def get_vehicle(session: AsyncSession, *, company_id: UUID, vehicle_id: UUID) -> VehicleView:
    """Return one vehicle of a company, closed ones too.

    :raises VehicleNotFound: if there is none
    """
    return (await _views(session, company_id, [await get_vehicle_row(session, company_id=company_id, vehicle_id=vehicle_id)]))[0]


async def get_vehicle_row(session: AsyncSession, *, company_id: UUID, vehicle_id: UUID) -> Vehicle:
    """Return a vehicle's row, for whoever has locked the company.

    :raises VehicleNotFound: if there is none
    """
    row = await session.scalar(
        select(Vehicle).where(Vehicle.company_id == company_id, Vehicle.vehicle_id == vehicle_id).execution_options(populate_existing=True)
    )
    if row is None:
        raise VehicleNotFound(vehicle=vehicle_id)
    return row


async def find_vehicle(session: AsyncSession, *, company_id: UUID, plate: str) -> VehicleView | None:
    """Return the living vehicle of a plate, however it is written, None where there is none."""
    row = await session.scalar(
        select(Vehicle).where(Vehicle.company_id == company_id, Vehicle.plate_key == plate_key(plate), Vehicle.closed_at.is_(None))
    )
    return None if row is None else (await _views(session, company_id, [row]))[0]


async def plates_of(session: AsyncSession, *, company_id: UUID, vehicle_ids: Collection[UUID | None]) -> dict[UUID, str]:
    """Return the plates of vehicles, for lists."""
    wanted = [one for one in set(vehicle_ids) if one is not None]
    if not wanted:
        return {}
    rows = await session.execute(
        select(Vehicle.vehicle_id, Vehicle.plate).where(Vehicle.company_id == company_id, Vehicle.vehicle_id.in_(wanted))
    )
    return {vehicle_id: plate for vehicle_id, plate in rows}  # noqa: C416 - a Row is no pair for the type checker


async def vehicle_types(session: AsyncSession, *, company_id: UUID) -> dict[str, int]:
    """Return the classes a company's living vehicles have, and how many of each: for a filter."""
    rows = await session.execute(
        select(Vehicle.type, func.count())
        .where(Vehicle.company_id == company_id, Vehicle.closed_at.is_(None))
        .group_by(Vehicle.type)
        .order_by(Vehicle.type)
    )
    return {type_: int(count) for type_, count in rows}


def _filtered(statement: Select[Vehicle], by: VehicleFilter) -> Select[Vehicle]:
    if by.text.strip():
        said = by.text.strip()
        parts = [Vehicle.vin.icontains(said, autoescape=True), Vehicle.type.icontains(said, autoescape=True)]
        if plate_key(said):
            parts.append(Vehicle.plate_key.contains(plate_key(said), autoescape=True))
        statement = statement.where(or_(*parts))
    if by.department_ids is not None:
        statement = statement.where(Vehicle.department_id.in_(list(by.department_ids)))
    statement = statement.where(Vehicle.status.in_(list(by.statuses)))
    if by.type is not None:
        statement = statement.where(Vehicle.type == by.type)
    if by.has_card is not None:
        bound = exists().where(CardBinding.vehicle_id == Vehicle.vehicle_id, CardBinding.until.is_(None))
        statement = statement.where(bound if by.has_card else ~bound)
    return statement


async def _views(session: AsyncSession, company_id: UUID, rows: Sequence[Vehicle]) -> list[VehicleView]:
    ids = [row.vehicle_id for row in rows]
    departments = await names_of(session, company_id=company_id, department_ids=[row.department_id for row in rows])
    repaired = await plates_of(session, company_id=company_id, vehicle_ids=[row.substitute_for for row in rows])
    substitutes = {
        row.substitute_for: row
        for row in await session.scalars(select(Vehicle).where(Vehicle.company_id == company_id, Vehicle.substitute_for.in_(ids)))
    }
    cards: dict[UUID | None, list[CardTail]] = {}
    bound = (
        select(CardBinding.vehicle_id, Card.chain_id, Card.card_id, Card.number_tail)
        .join(Card, Card.chain_id == CardBinding.chain_id)
        .where(CardBinding.company_id == company_id, CardBinding.until.is_(None), CardBinding.vehicle_id.in_(ids), Card.status.in_(LIVING))
        .order_by(Card.card_id)
    )
    for vehicle_id, chain_id, card_id, tail in await session.execute(bound):
        cards.setdefault(vehicle_id, []).append(CardTail(chain_id, card_id, tail))
    return [
        VehicleView(
            vehicle_id=row.vehicle_id,
            company_id=row.company_id,
            department_id=row.department_id,
            department=None if row.department_id is None else departments.get(row.department_id),
            plate=row.plate,
            country=row.country,
            vin=row.vin,
            type=row.type,
            displacement_ml=row.displacement_ml,
            tank_milli=row.tank_milli,
            product_code=row.product_code,
            norm_milli=row.norm_milli,
            ownership=row.ownership,
            fixed_amount_minor=row.fixed_amount_minor,
            substitute_for=row.substitute_for,
            substitute_for_plate=None if row.substitute_for is None else repaired.get(row.substitute_for),
            substitute_id=None if substitute is None else substitute.vehicle_id,
            substitute_plate=None if substitute is None else substitute.plate,
            odometer_km=row.odometer_km,
            odometer_at=row.odometer_at,
            status=row.status,
            created_at=row.created_at,
            closed_at=row.closed_at,
            cards=cards.get(row.vehicle_id, []),
        )
        for row in rows
        for substitute in (substitutes.get(row.vehicle_id),)
    ]
