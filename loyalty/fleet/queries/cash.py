"""Cash fills as the company reads them: listed, summed, one with its receipt."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, and_, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.crypto import Purpose, open_
from loyalty.errors import NotFound
from loyalty.fleet.model import Department, Driver, Vehicle
from loyalty.fleet.model_cash import COUNTED, STANDING, CashFill, CashReason, CashReceipt, CashStatus
from loyalty.fleet.model_fills import Doubt, OdometerReading
from loyalty.limits.rules import plate_key
from loyalty.media import Media
from loyalty.paging import PAGE_SIZE, Key, Page, one_as, page_as
from loyalty.stations.model import Product, Station


class CashFillNotFound(NotFound):
    """Unknown, or another company's: the answer is the same."""

    zh = "没有找到该笔现金加油。"
    en = "There is no such cash fill."


class CashView(msgspec.Struct, frozen=True):
    """One cash fill; amounts in minor units of `currency`, who acted by the trail's id."""

    cash_fill_id: UUID
    vehicle_id: UUID
    plate: str
    driver_id: UUID
    driver: str
    driver_number: str
    department_id: UUID | None
    department: str | None
    event_at: datetime
    station_id: UUID | None
    station_zh: str | None
    station_en: str | None
    place: str | None
    product_id: UUID | None
    product_zh: str | None
    product_en: str | None
    quantity_milli: int
    amount_minor: int
    currency: str
    odometer_km: int | None
    reason: CashReason
    comment: str
    asked_before: bool
    status: CashStatus
    filed_at: datetime
    filed_by: str
    receipt_at: datetime | None
    receipt_by: str | None
    plate_read: str | None
    plate_differs: bool
    decided_at: datetime | None
    decided_by: str | None
    decision: str | None
    reimbursed_at: datetime | None
    reimbursed_by: str | None
    doubt: Doubt | None
    """What is doubtful about the odometer, known once it counts."""


class CashFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of cash fills is cut to."""

    status: CashStatus | None = None
    vehicle_id: UUID | None = None
    plate: str = ""
    """Any part of it."""
    begin: datetime | None = None
    """Fills from this instant on."""
    end: datetime | None = None
    departments: Collection[UUID] | None = None


class CashSums(NamedTuple):
    """What a list comes to, refused and withdrawn ones left out: fills, thousandths of litres, minor units."""

    fills: int
    quantity_milli: int
    amount_minor: int
    left_out: int


def _fills() -> Select[*tuple[Any, ...]]:
    one = CashFill
    return (
        select(
            *(one.cash_fill_id, one.vehicle_id, Vehicle.plate, one.driver_id, Driver.name, Driver.number, one.department_id),
            *(Department.name, one.event_at, one.station_id, Station.name_zh, Station.name_en, one.place, one.product_id),
            *(Product.name_zh, Product.name_en, one.quantity_milli, one.amount_minor, one.currency, one.odometer_km, one.reason),
            *(one.comment, one.asked_before, one.status, one.filed_at, one.filed_by, one.receipt_at, one.receipt_by, one.plate_read),
            *(one.plate_differs, one.decided_at, one.decided_by, one.decision, one.reimbursed_at, one.reimbursed_by),
            OdometerReading.doubt,
        )
        .join(Vehicle, Vehicle.vehicle_id == one.vehicle_id)
        .join(Driver, Driver.driver_id == one.driver_id)
        .outerjoin(Department, Department.department_id == one.department_id)
        .outerjoin(Station, Station.station_id == one.station_id)
        .outerjoin(Product, Product.product_id == one.product_id)
        .outerjoin(OdometerReading, OdometerReading.reading_id == one.reading_id)
    )


def _by(company_id: UUID, by: CashFilter) -> list[ColumnElement[bool]]:
    wanted = [CashFill.company_id == company_id]
    if by.status is not None:
        wanted.append(CashFill.status == by.status)
    if by.vehicle_id is not None:
        wanted.append(CashFill.vehicle_id == by.vehicle_id)
    if key := plate_key(by.plate):
        wanted.append(Vehicle.plate_key.contains(key, autoescape=True))
    if by.begin is not None:
        wanted.append(CashFill.event_at >= by.begin)
    if by.end is not None:
        wanted.append(CashFill.event_at < by.end)
    if by.departments is not None:
        wanted.append(CashFill.department_id.in_(by.departments))
    return wanted


async def list_cash_fills(
    session: AsyncSession, *, company_id: UUID, by: CashFilter, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[CashView]:
    """Return a company's cash fills, the latest fuelled first."""
    keys = [Key(CashFill.event_at, descending=True), Key(CashFill.cash_fill_id, descending=True)]
    return await page_as(session, CashView, _fills().where(*_by(company_id, by)), keys=keys, cursor=cursor, limit=limit)


async def sums_of_cash(session: AsyncSession, *, company_id: UUID, by: CashFilter) -> CashSums:
    """Return what the whole list comes to; of refused or withdrawn ones only where the filter asks for them."""
    standing = true() if by.status is not None else CashFill.status.in_(STANDING)
    figures = (func.count(), func.sum(CashFill.quantity_milli), func.sum(CashFill.amount_minor))
    wanted = select(*(one.filter(standing) for one in figures), func.count().filter(~standing))
    wanted = wanted.join_from(CashFill, Vehicle, Vehicle.vehicle_id == CashFill.vehicle_id).where(*_by(company_id, by))
    return CashSums(*(int(one or 0) for one in (await session.execute(wanted)).one()))


async def get_cash_fill(session: AsyncSession, *, company_id: UUID, cash_fill_id: UUID) -> CashView:
    """Return one cash fill of a company.

    :raises CashFillNotFound: if there is none
    """
    statement = _fills().where(CashFill.company_id == company_id, CashFill.cash_fill_id == cash_fill_id)
    found = await one_as(session, CashView, statement)
    if found is None:
        raise CashFillNotFound(cash_fill=cash_fill_id)
    return found


async def media_of_receipt(session: AsyncSession, *, company_id: UUID, cash_fill_id: UUID) -> Media | None:
    """Return what kind of file a receipt is, None where there is none."""
    wanted = select(CashReceipt.media).where(CashReceipt.company_id == company_id, CashReceipt.cash_fill_id == cash_fill_id)
    found: Media | None = await session.scalar(wanted)
    return found


async def get_receipt(session: AsyncSession, *, company_id: UUID, cash_fill_id: UUID) -> tuple[Media, bytes]:
    """Return a receipt's kind and content.

    :raises CashFillNotFound: if there is none
    """
    found = await session.get(CashReceipt, cash_fill_id)
    if found is None or found.company_id != company_id:
        raise CashFillNotFound(cash_fill=cash_fill_id)
    content = open_(Purpose.DOCUMENT, table="cash_receipts", column="content_sealed", row_id=cash_fill_id, envelope=found.content_sealed)
    return found.media, content


async def cash_waiting(session: AsyncSession, *, company_id: UUID, not_by: str, departments: Collection[UUID] | None = None) -> int:
    """Return how many cash fills wait for a decision that whoever is named may make: none that they filed or gave the receipt of."""
    wanted = select(func.count()).where(CashFill.company_id == company_id, CashFill.status == CashStatus.FILED)
    wanted = wanted.where(CashFill.filed_by != not_by, func.coalesce(CashFill.receipt_by, "") != not_by)
    if departments is not None:
        wanted = wanted.where(CashFill.department_id.in_(departments))
    return int(await session.scalar(wanted) or 0)


def counts() -> ColumnElement[bool]:
    """Say which cash fills count: approved, and with their receipt."""
    return and_(CashFill.status.in_(COUNTED), CashFill.receipt_digest.is_not(None))


def cash_by_vehicle(*, company_id: UUID, first: date, end: date) -> Select[*tuple[Any, ...]]:
    """Return what each vehicle's cash fills of `[first, end)` come to, for the queries of economy: `fills`, `milli`, `minor`."""
    return (
        select(
            CashFill.vehicle_id,
            func.count().label("fills"),
            func.sum(CashFill.quantity_milli).label("milli"),
            func.sum(CashFill.amount_minor).label("minor"),
        )
        .where(CashFill.company_id == company_id, counts(), CashFill.day >= first, CashFill.day < end)
        .group_by(CashFill.vehicle_id)
    )


def cash_days(*, company_id: UUID, vehicle_ids: Collection[UUID], since: date) -> Select[*tuple[UUID, date, int, int]]:
    """Return the cash fills of vehicles from a day on, for the queries of economy: whose, the day, litres (thousandths), amount."""
    return select(CashFill.vehicle_id, CashFill.day, CashFill.quantity_milli, CashFill.amount_minor).where(
        CashFill.company_id == company_id, counts(), CashFill.vehicle_id.in_(vehicle_ids), CashFill.day >= since
    )


async def cash_between(
    session: AsyncSession, *, company_id: UUID, first: date, end: date, departments: Collection[UUID] | None = None
) -> tuple[int, int]:
    """Return litres (thousandths) and amount of the cash fills of `[first, end)` that count."""
    wanted = select(func.sum(CashFill.quantity_milli), func.sum(CashFill.amount_minor)).where(
        CashFill.company_id == company_id, counts(), CashFill.day >= first, CashFill.day < end
    )
    if departments is not None:
        wanted = wanted.where(CashFill.department_id.in_(departments))
    milli, minor = (int(one or 0) for one in (await session.execute(wanted)).one())
    return milli, minor
