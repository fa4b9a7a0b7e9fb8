"""Card bindings from a file: which card belongs to which vehicle, driver and department."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.cards.model import LIVING, Card
from loyalty.cards.numbers import number_index
from loyalty.fleet.model import Company, Department, Driver, DriverStatus, Vehicle
from loyalty.fleet.queries.bindings import BindingView, standing_bindings
from loyalty.fleet.queries.companies import CompanyView
from loyalty.fleet.rules import plain
from loyalty.fleet.sheets import BINDING_COLUMNS, Cells, RowState, SheetLine, read_cells
from loyalty.limits.rules import plate_key

from .bindings import Binding, put_bindings, recall_private
from .importing_rows import Judged


class _Known(NamedTuple):
    """What a company has, by what a file calls it."""

    by_id: dict[UUID, UUID]
    by_tail: dict[str, list[UUID]]
    by_index: dict[bytes, UUID]
    tails: dict[UUID, str]
    standing: dict[UUID, BindingView]
    vehicles: dict[str, tuple[UUID, UUID | None]]
    drivers: dict[str, tuple[UUID, UUID | None, DriverStatus]]
    departments: dict[str, UUID]
    answering: dict[UUID, UUID | None]
    """The department of each vehicle and driver."""


async def judge_bindings(session: AsyncSession, company: CompanyView, lines: Sequence[SheetLine]) -> tuple[list[Judged], tuple[str, ...]]:
    """Say of each row whose its card shall be."""
    rows, ignored = read_cells(lines, BINDING_COLUMNS)
    known = await _known(session, company)
    seen: dict[UUID, int] = {}
    judged = [_judge(cells, known, seen) for cells in rows]
    _refuse_second_cards(judged, known)
    return judged, ignored


async def write_bindings(session: AsyncSession, company: Company, judged: Sequence[Judged], actor: Actor, now: datetime) -> None:
    """Bind and unbind as the good rows say."""
    wanted = [one.sound for one in judged if one.state in {RowState.NEW, RowState.CHANGE}]
    await put_bindings(session, company=company, wanted=wanted, actor=actor, now=now, told_at_once=False)
    await recall_private(session, company=company, bound=wanted, actor=actor, now=now)


async def _known(session: AsyncSession, company: CompanyView) -> _Known:
    cards = (
        await session.execute(
            select(Card.card_id, Card.chain_id, Card.number_tail, Card.number_index).where(
                Card.account_id == company.account_id, Card.status.in_(LIVING)
            )
        )
    ).all()
    by_tail: dict[str, list[UUID]] = {}
    for _, chain_id, tail, _ in cards:
        by_tail.setdefault(tail, []).append(chain_id)
    mine = company.company_id
    vehicle_rows = await session.execute(
        select(Vehicle.plate_key, Vehicle.vehicle_id, Vehicle.department_id).where(Vehicle.company_id == mine, Vehicle.closed_at.is_(None))
    )
    vehicles = {key: (vehicle_id, department_id) for key, vehicle_id, department_id in vehicle_rows}
    driver_rows = await session.execute(
        select(Driver.number, Driver.driver_id, Driver.department_id, Driver.status).where(
            Driver.company_id == mine, Driver.status != DriverStatus.LEFT
        )
    )
    drivers = {number: (driver_id, department_id, status) for number, driver_id, department_id, status in driver_rows}
    departments = await session.execute(
        select(Department.name, Department.department_id).where(Department.company_id == mine, Department.closed_at.is_(None))
    )
    return _Known(
        by_id={card_id: chain_id for card_id, chain_id, _, _ in cards},
        by_tail=by_tail,
        by_index={index: chain_id for _, chain_id, _, index in cards},
        tails={chain_id: tail for _, chain_id, tail, _ in cards},
        standing={one.chain_id: one for one in await standing_bindings(session, company_id=mine)},
        vehicles=vehicles,
        drivers=drivers,
        departments={name: department_id for name, department_id in departments},  # noqa: C416 - a Row is no pair
        answering=dict(vehicles.values()) | {driver_id: department_id for driver_id, department_id, _ in drivers.values()},
    )


def _judge(cells: Cells, known: _Known, seen: dict[UUID, int]) -> Judged:
    said = cells.values
    chain_id = _chain(cells, known)
    # Whatever the file names it by, a card is shown by its last digits.
    key = (said.get("card") or "")[-4:] if chain_id is None else known.tails[chain_id]
    if chain_id is None:
        return Judged(cells, key)
    first = seen.setdefault(chain_id, cells.number)
    if first != cells.number:
        cells.fault("", "twice", first=first)
    before = known.standing.get(chain_id)
    wanted = _wanted(cells, known, chain_id, before)
    if cells.faults:
        return Judged(cells, key, before)
    names = ("vehicle_id", "driver_id", "department_id")
    stood = Binding(chain_id) if before is None else Binding(chain_id, before.vehicle_id, before.driver_id, before.department_id)
    changes = {name: [getattr(stood, name), getattr(wanted, name)] for name in names if getattr(stood, name) != getattr(wanted, name)}
    state = RowState.SAME if not changes else RowState.CHANGE if before is not None else RowState.NEW
    return Judged(cells, key, before, wanted, changes, state)


def _chain(cells: Cells, known: _Known) -> UUID | None:
    said = cells.values
    if said.get("card_id") is not None:
        chain_id = known.by_id.get(said["card_id"])
        if chain_id is None:
            cells.fault("card_id", "unknown_card", value=said["card_id"])
        return chain_id
    number = "".join(letter for letter in said.get("card") or "" if letter.isalnum())
    if not number:
        if not cells.faults:
            cells.fault("card" if "card" in cells.names else "card_id", "missing")
        return None
    if len(number) > 4:
        chain_id = known.by_index.get(number_index(number))
    else:
        ending = known.by_tail.get(number.zfill(4), [])
        if len(ending) > 1:
            cells.fault("card", "card_not_clear", value=number)
            return None
        chain_id = ending[0] if ending else None
    if chain_id is None:
        # The whole number never leaves in a sentence.
        cells.fault("card", "unknown_card", value=number[-4:])
    return chain_id


def _wanted(cells: Cells, known: _Known, chain_id: UUID, before: BindingView | None) -> Binding:
    """Return whose the card shall be; columns that are not there keep what stands."""
    said = cells.values
    vehicle_id, driver_id = (None, None) if before is None else (before.vehicle_id, before.driver_id)
    if "plate" in said:
        vehicle_id = None
        if said["plate"] is not None:
            found = known.vehicles.get(plate_key(said["plate"]))
            if found is None:
                cells.fault("plate", "unknown_vehicle", value=said["plate"])
            else:
                vehicle_id = found[0]
    if "driver" in said:
        driver_id = _driver(cells, known, before)
    derived = known.answering.get(vehicle_id) if vehicle_id is not None else None
    if derived is None and driver_id is not None:
        derived = known.answering.get(driver_id)
    if said.get("department") is not None:
        department_id = known.departments.get(plain(said["department"]))
        if department_id is None:
            cells.fault("department", "unknown_department", value=said["department"])
        return Binding(chain_id, vehicle_id, driver_id, department_id)
    stays = before is not None and (vehicle_id, driver_id) == (before.vehicle_id, before.driver_id)
    if "department" not in said and before is not None and stays:
        return Binding(chain_id, vehicle_id, driver_id, before.department_id)
    return Binding(chain_id, vehicle_id, driver_id, derived)


def _driver(cells: Cells, known: _Known, before: BindingView | None) -> UUID | None:
    number = cells.values["driver"]
    if number is None:
        return None
    found = known.drivers.get(number)
    if found is None:
        cells.fault("driver", "unknown_driver", value=number)
        return None
    driver_id, _, status = found
    if status is not DriverStatus.ACTIVE and (before is None or before.driver_id != driver_id):
        cells.fault("driver", "driver_away", value=number)
    return driver_id


def _refuse_second_cards(judged: Sequence[Judged], known: _Known) -> None:
    """Refuse rows by which a vehicle would have a second card, until what is left can stand together."""
    moving = {one.sound.chain_id: one for one in judged if one.state in {RowState.NEW, RowState.CHANGE}}
    while True:
        holders: dict[UUID, UUID] = {
            stood.vehicle_id: chain_id
            for chain_id, stood in known.standing.items()
            if stood.vehicle_id is not None and (chain_id not in moving or moving[chain_id].sound.vehicle_id == stood.vehicle_id)
        }
        second = []
        for chain_id, one in moving.items():
            vehicle_id = one.sound.vehicle_id
            stood = known.standing.get(chain_id)
            if vehicle_id is None or (stood is not None and stood.vehicle_id == vehicle_id):
                continue
            if holders.setdefault(vehicle_id, chain_id) != chain_id:
                second.append(chain_id)
        if not second:
            return
        for chain_id in second:
            one = moving.pop(chain_id)
            one.state = RowState.ERROR
            one.cells.fault("plate", "vehicle_has_card", value=one.cells.values.get("plate"))
