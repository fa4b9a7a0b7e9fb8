"""Departments: added, renamed, moved in the tree, closed."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.errors import Refusal
from loyalty.fleet.model import Department
from loyalty.fleet.queries.companies import lock_company
from loyalty.fleet.queries.departments import counts_of, get_department, parents_of
from loyalty.fleet.rules import downwards, plain
from loyalty.ids import uuid7

from .bindings import tell_departments


class DepartmentNotSound(Refusal):
    """A name is missing or too long."""

    status = 422
    zh = "部门名称须为 1 至 80 个字，成本中心不超过 40 个字。"
    en = "A department's name has 1 to 80 characters, its cost centre at most 40."
    next_zh = "请改正后再提交。"
    next_en = "Correct it and submit again."


class DepartmentNameTaken(Refusal):
    """Another open department of the company has it."""

    zh = "本企业已有名为“{name}”的部门。"
    en = 'The company has a department named "{name}".'
    next_zh = "请换一个名称。"
    next_en = "Choose another name."


class DepartmentUnderItself(Refusal):
    """The tree has no circles."""

    status = 422
    zh = "部门不能移到自己或自己的下级部门之下。"
    en = "A department cannot be moved below itself."
    next_zh = "请选择另一个上级部门。"
    next_en = "Choose another parent."


class DepartmentInUse(Refusal):
    """What is in it is moved first."""

    zh = "部门内还有 {vehicles} 辆车、{drivers} 名驾驶员、{cards} 张卡和 {departments} 个下级部门，不能撤销。"
    en = "The department still has {vehicles} vehicles, {drivers} drivers, {cards} cards and {departments} departments below it."
    next_zh = "请先移到其他部门。"
    next_en = "Move them first."


class DepartmentFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A department as it is typed; without a parent it stands right below the company."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    cost_centre: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    parent_id: UUID | None = None


async def add_department(session: AsyncSession, *, company_id: UUID, facts: DepartmentFacts, actor: Actor, now: datetime) -> UUID:
    """Add a department and return its id.

    :raises CompanyNotFound: if there is no such company
    :raises DepartmentNotSound: if the name is empty or too long
    :raises DepartmentNotFound: if its parent is none of the company's
    :raises DepartmentNameTaken: if another has the name
    """
    await lock_company(session, company_id=company_id)
    kept = _sound(facts)
    if kept.parent_id is not None:
        await get_department(session, company_id=company_id, department_id=kept.parent_id)
    await _require_free(session, company_id, kept.name, besides=None)
    row = Department(
        department_id=uuid7(now),
        company_id=company_id,
        parent_id=kept.parent_id,
        name=kept.name,
        cost_centre=kept.cost_centre,
        created_at=now,
        closed_at=None,
    )
    session.add(row)
    await session.flush()
    await _record(session, "fleet.department_added", row, {"name": row.name, "parent": row.parent_id}, actor, now)
    return row.department_id


async def change_department(
    session: AsyncSession, *, company_id: UUID, department_id: UUID, facts: DepartmentFacts, actor: Actor, now: datetime
) -> None:
    """Rename a department, move it in the tree, or give it another cost centre; limits of departments follow a move at once.

    :raises CompanyNotFound: if there is no such company
    :raises DepartmentNotSound: if the name is empty or too long
    :raises DepartmentNotFound: if it or its parent is none of the company's
    :raises DepartmentNameTaken: if another has the name
    :raises DepartmentUnderItself: if the parent is the department or below it
    """
    company = await lock_company(session, company_id=company_id)
    kept = _sound(facts)
    row = await get_department(session, company_id=company_id, department_id=department_id)
    below = downwards(await parents_of(session, company_id=company_id), department_id)
    if kept.parent_id is not None:
        await get_department(session, company_id=company_id, department_id=kept.parent_id)
        if kept.parent_id in below:
            raise DepartmentUnderItself(department=department_id)
    await _require_free(session, company_id, kept.name, besides=department_id)
    names = ("name", "cost_centre", "parent_id")
    changes = {name: [getattr(row, name), getattr(kept, name)] for name in names if getattr(row, name) != getattr(kept, name)}
    if not changes:
        return
    for name, (_, value) in changes.items():
        setattr(row, name, value)
    await session.flush()
    await _record(session, "fleet.department_changed", row, changes, actor, now)
    if "parent_id" in changes:
        await tell_departments(session, company=company, department_ids=below, actor=actor, now=now)


async def close_department(session: AsyncSession, *, company_id: UUID, department_id: UUID, actor: Actor, now: datetime) -> None:
    """Close an empty department. Its name is free again; what it did stays under it.

    :raises CompanyNotFound: if there is no such company
    :raises DepartmentNotFound: if there is none, or it is closed
    :raises DepartmentInUse: if it has living vehicles, drivers, cards or departments
    """
    await lock_company(session, company_id=company_id)
    row = await get_department(session, company_id=company_id, department_id=department_id)
    vehicles, drivers, cards = await counts_of(session, company_id=company_id)
    below = await session.scalar(select(func.count()).where(Department.parent_id == department_id, Department.closed_at.is_(None)))
    inside = {"vehicles": vehicles, "drivers": drivers, "cards": cards}
    counts = {name: counted.get(department_id, 0) for name, counted in inside.items()} | {"departments": below or 0}
    if any(counts.values()):
        raise DepartmentInUse(**counts)
    row.closed_at = now
    await session.flush()
    await _record(session, "fleet.department_closed", row, {"name": row.name}, actor, now)


def _sound(facts: DepartmentFacts) -> DepartmentFacts:
    kept = msgspec.structs.replace(facts, name=plain(facts.name), cost_centre=plain(facts.cost_centre or "") or None)
    try:
        return msgspec.convert(msgspec.to_builtins(kept), DepartmentFacts)
    except msgspec.ValidationError:
        raise DepartmentNotSound from None


async def _require_free(session: AsyncSession, company_id: UUID, name: str, *, besides: UUID | None) -> None:
    statement = select(Department.department_id).where(
        Department.company_id == company_id, Department.name == name, Department.closed_at.is_(None)
    )
    if await session.scalar(statement) not in {None, besides}:
        raise DepartmentNameTaken(name=name)


async def _record(session: AsyncSession, action: str, row: Department, facts: Mapping[str, object], actor: Actor, now: datetime) -> None:
    about = {"company": row.company_id, **facts}
    await audit.record(session, actor=actor, action=action, subject=("department", row.department_id), facts=about, now=now)
