"""A company's lists as rows for a file: the columns that importing knows, so that a list that was fetched can be sent back."""

from datetime import date
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.cards.model import LIVING, Card
from loyalty.customers.rules import phone_text
from loyalty.fleet.model import CardBinding, Department, Driver, DriverStatus, Vehicle
from loyalty.fleet.rules import VEHICLE_TYPES
from loyalty.fleet.sheets import BINDING_COLUMNS, DRIVER_COLUMNS, OWNERSHIP_WORDS, vehicle_columns
from loyalty.money import decimal_text

from .companies import get_company
from .drivers import open_phone

Text = str | int | None


class Table(NamedTuple):
    """A list: its columns' names in the reader's language, and its rows."""

    head: list[str]
    rows: list[list[Text]]


async def vehicle_table(session: AsyncSession, *, company_id: UUID, language: str) -> Table:
    """Return all living vehicles of a company by plate, as importing reads them.

    :raises CompanyNotFound: if there is no such company
    """
    company = await get_company(session, company_id=company_id)
    statement = (
        select(Vehicle, Department.name)
        .outerjoin(Department, Department.department_id == Vehicle.department_id)
        .where(Vehicle.company_id == company_id, Vehicle.closed_at.is_(None))
        .order_by(Vehicle.plate)
    )
    place = 0 if language.startswith("zh") else 1
    rows: list[list[Text]] = [
        [
            row.plate,
            VEHICLE_TYPES.get(row.type, (row.type, row.type))[place],
            department,
            row.product_code,
            _litres(row.displacement_ml),
            _litres(row.tank_milli),
            _litres(row.norm_milli),
            row.odometer_km,
            row.vin,
            OWNERSHIP_WORDS[row.ownership][place],
            None if row.fixed_amount_minor is None else decimal_text(row.fixed_amount_minor, company.currency),
            row.country,
        ]
        for row, department in await session.execute(statement)
    ]
    return Table([column.name(language) for column in vehicle_columns(company.currency)], rows)


async def driver_table(session: AsyncSession, *, company_id: UUID, language: str) -> Table:
    """Return all drivers of a company who have not left, by number, with their phones in clear; the caller records who fetched them.

    :raises CompanyNotFound: if there is no such company
    """
    company = await get_company(session, company_id=company_id)
    statement = (
        select(Driver, Department.name)
        .outerjoin(Department, Department.department_id == Driver.department_id)
        .where(Driver.company_id == company_id, Driver.status != DriverStatus.LEFT)
        .order_by(Driver.number)
    )
    rows: list[list[Text]] = []
    for row, department in await session.execute(statement):
        phone = open_phone(row)
        shown = None if phone is None else phone_text(phone, country=company.country)
        rows.append([row.number, row.name, department, shown, row.licence_class, _day(row.licence_until)])
    return Table([column.name(language) for column in DRIVER_COLUMNS], rows)


async def binding_table(session: AsyncSession, *, company_id: UUID, language: str) -> Table:
    """Return all living cards of a company with whose they are, the number by its last digits.

    :raises CompanyNotFound: if there is no such company
    """
    company = await get_company(session, company_id=company_id)
    standing = (CardBinding.chain_id == Card.chain_id) & CardBinding.until.is_(None) & (CardBinding.company_id == company_id)
    statement = (
        select(Card.card_id, Card.number_tail, Vehicle.plate, Driver.number, Department.name)
        .outerjoin(CardBinding, standing)
        .outerjoin(Vehicle, Vehicle.vehicle_id == CardBinding.vehicle_id)
        .outerjoin(Driver, Driver.driver_id == CardBinding.driver_id)
        .outerjoin(Department, Department.department_id == CardBinding.department_id)
        .where(Card.account_id == company.account_id, Card.status.in_(LIVING))
        .order_by(Vehicle.plate, Driver.number, Card.card_id)
    )
    rows: list[list[Text]] = [
        [str(card_id), tail, plate, number, department] for card_id, tail, plate, number, department in await session.execute(statement)
    ]
    return Table([column.name(language) for column in BINDING_COLUMNS], rows)


def _day(day: date | None) -> str | None:
    """Write a date as text: a workbook has none before 1900."""
    return None if day is None else day.isoformat()


def _litres(milli: int | None) -> str | None:
    """Write thousandths as plain decimal text without needless zeros."""
    if milli is None:
        return None
    whole, rest = divmod(milli, 1000)
    return f"{whole}.{rest:03}".rstrip("0").rstrip(".")
