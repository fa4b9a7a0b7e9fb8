"""Reading departments: the tree, with what stands in each."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.errors import NotFound
from loyalty.fleet.model import CardBinding, Department, Driver, DriverStatus, Vehicle, VehicleStatus
from loyalty.fleet.rules import downwards, tree


class DepartmentNotFound(NotFound):
    """Unknown, closed, or another company's: the answer is the same."""

    zh = "没有此部门，或部门已撤销。"
    en = "There is no such department, or it is closed."


class DepartmentView(msgspec.Struct, frozen=True):
    """A department in its tree. Counts are of its own living vehicles, drivers and cards, without those of the departments below."""

    department_id: UUID
    parent_id: UUID | None
    name: str
    cost_centre: str | None
    created_at: datetime
    closed_at: datetime | None
    depth: int
    path: tuple[str, ...]
    """Its names from the top."""
    vehicles: int
    drivers: int
    cards: int


async def departments_of(session: AsyncSession, *, company_id: UUID, closed: bool = False, counted: bool = True) -> list[DepartmentView]:
    """Return a company's departments, each below its parent, names in order; `closed`: those that are closed too.

    :param counted: False: nothing is counted, for lists of names
    """
    statement = select(Department).where(Department.company_id == company_id)
    if not closed:
        statement = statement.where(Department.closed_at.is_(None))
    rows = {row.department_id: row for row in await session.scalars(statement)}
    vehicles, drivers, cards = await counts_of(session, company_id=company_id) if counted else ({}, {}, {})
    return [
        DepartmentView(
            department_id=row.department_id,
            parent_id=row.parent_id,
            name=row.name,
            cost_centre=row.cost_centre,
            created_at=row.created_at,
            closed_at=row.closed_at,
            depth=branch.depth,
            path=branch.path,
            vehicles=vehicles.get(row.department_id, 0),
            drivers=drivers.get(row.department_id, 0),
            cards=cards.get(row.department_id, 0),
        )
        for branch in tree([(row.department_id, row.parent_id, row.name) for row in rows.values()])
        for row in (rows[branch.department_id],)
    ]


async def counts_of(session: AsyncSession, *, company_id: UUID) -> tuple[dict[UUID, int], dict[UUID, int], dict[UUID, int]]:
    """Return how many living vehicles, drivers and bound cards each department has; those without are missing."""
    statements = (
        select(Vehicle.department_id, func.count()).where(Vehicle.company_id == company_id, Vehicle.status != VehicleStatus.CLOSED),
        select(Driver.department_id, func.count()).where(Driver.company_id == company_id, Driver.status != DriverStatus.LEFT),
        select(CardBinding.department_id, func.count()).where(CardBinding.company_id == company_id, CardBinding.until.is_(None)),
    )
    vehicles, drivers, cards = [
        {
            department_id: int(count)
            for department_id, count in await session.execute(statement.group_by(statement.selected_columns[0]))
            if department_id is not None
        }
        for statement in statements
    ]
    return vehicles, drivers, cards


async def parents_of(session: AsyncSession, *, company_id: UUID) -> dict[UUID, UUID | None]:
    """Return the parent of each of a company's departments, closed ones too."""
    rows = await session.execute(select(Department.department_id, Department.parent_id).where(Department.company_id == company_id))
    return {department_id: parent_id for department_id, parent_id in rows}  # noqa: C416 - a Row is no pair for the type checker


async def subtree_of(session: AsyncSession, *, company_id: UUID, department_id: UUID) -> frozenset[UUID]:
    """Return a department and all below it, closed ones too: what its head may see. Nothing where it is another company's."""
    return downwards(await parents_of(session, company_id=company_id), department_id)


async def names_of(session: AsyncSession, *, company_id: UUID, department_ids: Iterable[UUID | None]) -> dict[UUID, str]:
    """Return the names of departments, for lists."""
    wanted = [one for one in set(department_ids) if one is not None]
    if not wanted:
        return {}
    rows = await session.execute(
        select(Department.department_id, Department.name).where(Department.company_id == company_id, Department.department_id.in_(wanted))
    )
    return {department_id: name for department_id, name in rows}  # noqa: C416 - as above


async def get_department(session: AsyncSession, *, company_id: UUID, department_id: UUID) -> Department:
    """Return an open department.

    :raises DepartmentNotFound: if there is none, or it is closed
    """
    row = await session.scalar(
        select(Department).where(
            Department.company_id == company_id, Department.department_id == department_id, Department.closed_at.is_(None)
        )
    )
    if row is None:
        raise DepartmentNotFound(department=department_id)
    return row
