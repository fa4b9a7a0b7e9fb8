"""Vehicles, drivers and card bindings from a file: looked at row by row, then all good rows written at once.

What a file would do is judged by the same rules as the single forms, against the company as it stands when it is asked; importing the same
file again changes nothing, since a vehicle is known by its plate, a driver by the number, a card by its id.
"""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.customers.rules import read_phone
from loyalty.errors import Refusal
from loyalty.fleet.model import Company, Department, Driver, DriverStatus, Ownership, Vehicle
from loyalty.fleet.queries.companies import CompanyView, get_company, lock_company
from loyalty.fleet.queries.drivers import open_phone
from loyalty.fleet.rules import WARNING_SENTENCES, DriverFacts, VehicleFacts, plain, sound_driver, sound_vehicle
from loyalty.fleet.sheets import DRIVER_COLUMNS, Cells, Report, RowFault, RowState, read_cells, read_lines, vehicle_columns
from loyalty.limits.rules import plate_key
from loyalty.stations.model import ProductCategory
from loyalty.stations.queries import snapshot_products

from . import drivers, vehicles
from .bindings import follow_moves
from .importing_bindings import judge_bindings, write_bindings
from .importing_rows import Judged, results


class SheetKind(StrEnum):
    """What a list is of."""

    VEHICLES = "vehicles"
    DRIVERS = "drivers"
    BINDINGS = "bindings"


async def preview(session: AsyncSession, *, kind: SheetKind, company_id: UUID, data: bytes) -> Report:
    """Say what a file would do, row by row: new, change, same or error; write nothing.

    :raises CompanyNotFound: if there is no such company
    :raises SheetNotReadable: if it is neither CSV nor a workbook
    :raises SheetTooLarge: if it has more than 20,000 rows or 10 MB
    :raises ColumnMissing: if the column is missing that says whom a row is about
    """
    judged, ignored = await _judge(session, kind, await get_company(session, company_id=company_id), data)
    return Report(results(judged), ignored)


async def apply(session: AsyncSession, *, kind: SheetKind, company_id: UUID, data: bytes, actor: Actor, now: datetime) -> Report:
    """Write all good rows of a file, set-based, and say of each what it did; rows with faults are left out. Raises like `preview`."""
    company = await lock_company(session, company_id=company_id)
    judged, ignored = await _judge(session, kind, await get_company(session, company_id=company_id), data)
    await _WRITERS[kind](session, company, judged, actor, now)
    report = Report(results(judged), ignored)
    facts = {state.value: report.count(state) for state in RowState} | {"kind": kind, "sha256": hashlib.sha256(data).hexdigest()}
    await audit.record(session, actor=actor, action="fleet.list_imported", subject=("company", company_id), facts=facts, now=now)
    return report


async def _judge(session: AsyncSession, kind: SheetKind, company: CompanyView, data: bytes) -> tuple[list[Judged], tuple[str, ...]]:
    lines = read_lines(data)
    if kind is SheetKind.BINDINGS:
        return await judge_bindings(session, company, lines)
    columns = vehicle_columns(company.currency) if kind is SheetKind.VEHICLES else DRIVER_COLUMNS
    rows, ignored = read_cells(lines, columns)
    departments = await department_ids(session, company_id=company.company_id)
    judge = _vehicles if kind is SheetKind.VEHICLES else _drivers
    return await judge(session, company, rows, departments), ignored


async def department_ids(session: AsyncSession, *, company_id: UUID) -> dict[str, UUID]:
    """Return a company's open departments by name."""
    rows = await session.execute(
        select(Department.name, Department.department_id).where(Department.company_id == company_id, Department.closed_at.is_(None))
    )
    return {name: department_id for name, department_id in rows}  # noqa: C416 - a Row is no pair for the type checker


async def _vehicles(session: AsyncSession, company: CompanyView, rows: Sequence[Cells], departments: dict[str, UUID]) -> list[Judged]:
    living = select(Vehicle).where(Vehicle.company_id == company.company_id, Vehicle.closed_at.is_(None))
    standing = {row.plate_key: row for row in await session.scalars(living)}
    fuels = {
        name.casefold(): product.code
        for product in await snapshot_products(session)
        if product.category is ProductCategory.FUEL
        for name in (product.name_zh, product.name_en, product.code)
    }
    seen: dict[str, int] = {}
    return [_vehicle(cells, company, standing, departments, fuels, seen) for cells in rows]


def _vehicle(
    cells: Cells,
    company: CompanyView,
    standing: dict[str, Vehicle],
    departments: dict[str, UUID],
    fuels: dict[str, str],
    seen: dict[str, int],
) -> Judged:
    said = cells.values
    plate = said.get("plate") or ""
    if not plate:
        cells.fault("plate", "missing")
        return Judged(cells, "")
    row = standing.get(plate_key(plate))
    if not _is_first(cells, plate_key(plate), seen):
        return Judged(cells, plate, row)
    _put_department(cells, departments)
    fuel = said.get("product_code")
    if fuel is not None:
        said["product_code"] = fuels.get(fuel.casefold(), fuel)
        _try(cells, "product_code", lambda: vehicles.require_fuel(said["product_code"], sorted(set(fuels.values()))))
    for field, otherwise in (("type", "car"), ("ownership", Ownership.COMPANY)):
        if field in said and said[field] is None:
            said[field] = otherwise
    if cells.faults:
        return Judged(cells, plate, row)
    kept = {} if row is None else {name: getattr(row, name) for name in (*vehicles.KEPT, "country")}
    facts = VehicleFacts(**kept | {name: value for name, value in said.items() if name != "department"})
    country = company.country if row is None else row.country
    sound = _try(cells, "", lambda: sound_vehicle(facts, country=country))
    if sound is None:
        return Judged(cells, plate, row)
    warnings = tuple(RowFault(cells.names.get("vin", ""), one.value, *WARNING_SENTENCES[one]) for one in sound.warnings if "vin" in said)
    if row is None:
        return Judged(cells, sound.facts.plate, None, sound, state=RowState.NEW, warnings=warnings)
    changes = _try(cells, "odometer_km", lambda: vehicles.changed_of(row, sound))
    if changes is None:
        return Judged(cells, sound.facts.plate, row)
    return Judged(cells, sound.facts.plate, row, sound, changes, RowState.CHANGE if changes else RowState.SAME, warnings)


async def _write_vehicles(session: AsyncSession, company: Company, judged: Sequence[Judged], actor: Actor, now: datetime) -> None:
    made = [vehicles.new_row(one.sound, company_id=company.company_id, now=now) for one in judged if one.state is RowState.NEW]
    if made:
        await session.execute(insert(Vehicle), made)
    moves = _put_changes(judged, "vehicle_id")
    for one in judged:
        if one.state is RowState.CHANGE and "odometer_km" in one.changes:
            one.row.odometer_at = now
    await session.flush()
    await follow_moves(session, company=company, vehicles=moves, actor=actor, now=now, told_at_once=False)


async def _drivers(session: AsyncSession, company: CompanyView, rows: Sequence[Cells], departments: dict[str, UUID]) -> list[Judged]:
    known = {row.number: row for row in await session.scalars(select(Driver).where(Driver.company_id == company.company_id))}
    seen: dict[str, int] = {}
    return [_driver(cells, company, known, departments, seen) for cells in rows]


def _driver(cells: Cells, company: CompanyView, known: dict[str, Driver], departments: dict[str, UUID], seen: dict[str, int]) -> Judged:
    said = cells.values
    number = said.get("number") or ""
    if not number:
        cells.fault("number", "missing")
        return Judged(cells, "")
    row = known.get(number)
    if not _is_first(cells, number, seen):
        return Judged(cells, number, row)
    if row is not None and row.status is DriverStatus.LEFT:
        cells.fault("number", "driver_left", value=number)
    _put_department(cells, departments)
    if ("name" in said or row is None) and not said.get("name"):
        cells.fault("name", "missing")
    phone = said.pop("phone", None) if "phone" in said else (None if row is None else open_phone(row))
    if phone is not None:
        text = phone
        phone = _try(cells, "phone", lambda: read_phone(text, country=company.country))
    if cells.faults:
        return Judged(cells, number, row)
    kept = {} if row is None else {name: getattr(row, name) for name in drivers.KEPT}
    sound = _try(
        cells, "", lambda: sound_driver(DriverFacts(**kept | {name: value for name, value in said.items() if name != "department"}))
    )
    if sound is None:
        return Judged(cells, number, row)
    if row is None:
        return Judged(cells, number, None, sound, {"phone": [None, phone]}, RowState.NEW)
    changes = drivers.changed_of(row, sound)
    if open_phone(row) != phone:
        changes["phone"] = [None, phone]
    return Judged(cells, number, row, sound, changes, RowState.CHANGE if changes else RowState.SAME)


async def _write_drivers(session: AsyncSession, company: Company, judged: Sequence[Judged], actor: Actor, now: datetime) -> None:
    made = [
        drivers.new_row(one.sound, one.changes["phone"][1], company_id=company.company_id, now=now)
        for one in judged
        if one.state is RowState.NEW
    ]
    if made:
        await session.execute(insert(Driver), made)
    for one in judged:
        phone = one.changes.get("phone") if one.state is RowState.CHANGE else None
        if phone is not None:
            for name, value in drivers.phone_values(phone[1], driver_id=one.row.driver_id).items():
                setattr(one.row, name, value)
    moves = _put_changes(judged, "driver_id")
    await session.flush()
    await follow_moves(session, company=company, drivers=moves, actor=actor, now=now, told_at_once=False)


def _put_changes(judged: Sequence[Judged], key: str) -> dict[UUID, tuple[UUID | None, UUID | None]]:
    """Put changed values on their rows; return who moved from which department to which."""
    moves = {}
    for one in judged:
        if one.state is not RowState.CHANGE:
            continue
        for name, (before, value) in one.changes.items():
            if name != "phone":
                setattr(one.row, name, value)
            if name == "department_id":
                moves[getattr(one.row, key)] = (before, value)
    return moves


def _is_first(cells: Cells, key: str, seen: dict[str, int]) -> bool:
    first = seen.setdefault(key, cells.number)
    if first != cells.number:
        cells.fault("", "twice", first=first)
    return first == cells.number


def _put_department(cells: Cells, departments: dict[str, UUID]) -> None:
    if "department" not in cells.values:
        return
    name = cells.values["department"]
    cells.values["department_id"] = None if name is None else departments.get(plain(name))
    if name is not None and cells.values["department_id"] is None:
        cells.fault("department", "unknown_department", value=name)


def _try(cells: Cells, field: str, rule: Callable[[], Any]) -> Any:
    """Apply a rule; None where it refuses, which the row then says."""
    try:
        return rule()
    except Refusal as refusal:
        cells.refused(refusal, field)
        return None


_WRITERS: Final = {
    SheetKind.VEHICLES: _write_vehicles,
    SheetKind.DRIVERS: _write_drivers,
    SheetKind.BINDINGS: write_bindings,
}
