"""Reading drivers: one, or a list by what a fleet manager looks for."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec
from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.rules import PIN_TRIES
from loyalty.cards.model import LIVING, Card
from loyalty.crypto import Purpose, open_text
from loyalty.db import locked
from loyalty.errors import NotFound
from loyalty.fleet.model import CardBinding, Driver, DriverStatus
from loyalty.paging import PAGE_SIZE, Column, Page, keys_for, page

from .departments import names_of
from .vehicles import CardTail


class DriverNotFound(NotFound):
    """Unknown, or another company's: the answer is the same."""

    zh = "没有此驾驶员。"
    en = "There is no such driver."


class DriverView(msgspec.Struct, frozen=True):
    """A driver with their department's name and the cards bound to them; the phone by its last digits (`phone_of` opens it)."""

    driver_id: UUID
    company_id: UUID
    department_id: UUID | None
    department: str | None
    number: str
    name: str
    phone_tail: str | None
    licence_class: str | None
    licence_until: date | None
    has_pin: bool
    pin_locked: bool
    """Three wrong tries locked it; a manager unlocks it."""
    status: DriverStatus
    created_at: datetime
    left_at: datetime | None
    cards: list[CardTail]


class DriverFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of drivers is cut to; those who left are left out unless `statuses` names them."""

    text: str = ""
    """Any part of the name, or the beginning of the number."""
    department_ids: Collection[UUID] | None = None
    statuses: Collection[DriverStatus] = (DriverStatus.ACTIVE, DriverStatus.AWAY)
    licence_before: date | None = None
    """Whose licence ends before this day."""


_SORTS: dict[str, Column] = {"number": Driver.number, "name": Driver.name, "status": Driver.status, "created_at": Driver.created_at}


async def list_drivers(
    session: AsyncSession,
    *,
    company_id: UUID,
    by: DriverFilter | None = None,
    sort: str = "number",
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[DriverView]:
    """Read a page of a company's drivers; sorts: number, name, status, created_at.

    :raises UnknownSort: for another sort
    """
    statement = _filtered(select(Driver).where(Driver.company_id == company_id), by or DriverFilter())
    found = await page(session, statement, keys=keys_for(sort, _SORTS, unique=Driver.driver_id), cursor=cursor, limit=limit)
    return Page(rows=await _views(session, company_id, found.rows), next=found.next, previous=found.previous)


async def get_driver(session: AsyncSession, *, company_id: UUID, driver_id: UUID) -> DriverView:
    """Return one driver of a company, those who left too.

    :raises DriverNotFound: if there is none
    """
    return (await _views(session, company_id, [await get_driver_row(session, company_id=company_id, driver_id=driver_id)]))[0]


async def get_driver_row(session: AsyncSession, *, company_id: UUID, driver_id: UUID, lock: bool = False) -> Driver:
    """Return a driver's row, for whoever has locked the company.

    :raises DriverNotFound: if there is none
    """
    statement = select(Driver).where(Driver.company_id == company_id, Driver.driver_id == driver_id)
    statement = locked(statement) if lock else statement.execution_options(populate_existing=True)
    row: Driver | None = await session.scalar(statement)
    if row is None:
        raise DriverNotFound(driver=driver_id)
    return row


async def find_driver(session: AsyncSession, *, company_id: UUID, number: str) -> DriverView | None:
    """Return the driver of a number, None where there is none."""
    row = await session.scalar(select(Driver).where(Driver.company_id == company_id, Driver.number == number))
    return None if row is None else (await _views(session, company_id, [row]))[0]


async def phone_of(session: AsyncSession, *, company_id: UUID, driver_id: UUID) -> str | None:
    """Return a driver's phone number as E.164, None where there is none.

    :raises DriverNotFound: if there is no such driver
    """
    return open_phone(await get_driver_row(session, company_id=company_id, driver_id=driver_id))


def open_phone(row: Driver) -> str | None:
    """Open a driver's phone number."""
    if row.phone_sealed is None:
        return None
    return open_text(Purpose.CONTACT, table="drivers", column="phone_sealed", row_id=row.driver_id, envelope=row.phone_sealed)


async def driver_names_of(session: AsyncSession, *, company_id: UUID, driver_ids: Collection[UUID | None]) -> dict[UUID, str]:
    """Return the names of drivers, for lists."""
    wanted = [one for one in set(driver_ids) if one is not None]
    if not wanted:
        return {}
    rows = await session.execute(select(Driver.driver_id, Driver.name).where(Driver.company_id == company_id, Driver.driver_id.in_(wanted)))
    return {driver_id: name for driver_id, name in rows}  # noqa: C416 - a Row is no pair for the type checker


def _filtered(statement: Select[Driver], by: DriverFilter) -> Select[Driver]:
    if by.text.strip():
        said = by.text.strip()
        statement = statement.where(or_(Driver.name.icontains(said, autoescape=True), Driver.number.startswith(said, autoescape=True)))
    if by.department_ids is not None:
        statement = statement.where(Driver.department_id.in_(list(by.department_ids)))
    if by.licence_before is not None:
        statement = statement.where(Driver.licence_until < by.licence_before)
    return statement.where(Driver.status.in_(list(by.statuses)))


async def _views(session: AsyncSession, company_id: UUID, rows: Sequence[Driver]) -> list[DriverView]:
    departments = await names_of(session, company_id=company_id, department_ids=[row.department_id for row in rows])
    cards: dict[UUID | None, list[CardTail]] = {}
    bound = (
        select(CardBinding.driver_id, Card.chain_id, Card.card_id, Card.number_tail)
        .join(Card, Card.chain_id == CardBinding.chain_id)
        .where(
            CardBinding.company_id == company_id,
            CardBinding.until.is_(None),
            CardBinding.driver_id.in_([row.driver_id for row in rows]),
            Card.status.in_(LIVING),
        )
        .order_by(Card.card_id)
    )
    for driver_id, chain_id, card_id, tail in await session.execute(bound):
        cards.setdefault(driver_id, []).append(CardTail(chain_id, card_id, tail))
    return [
        DriverView(
            driver_id=row.driver_id,
            company_id=row.company_id,
            department_id=row.department_id,
            department=None if row.department_id is None else departments.get(row.department_id),
            number=row.number,
            name=row.name,
            phone_tail=row.phone_tail,
            licence_class=row.licence_class,
            licence_until=row.licence_until,
            has_pin=row.pin_verifier is not None,
            pin_locked=row.pin_tries >= PIN_TRIES,
            status=row.status,
            created_at=row.created_at,
            left_at=row.left_at,
            cards=cards.get(row.driver_id, []),
        )
        for row in rows
    ]
