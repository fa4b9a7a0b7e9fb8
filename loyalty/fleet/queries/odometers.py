"""A vehicle's odometer: what was said of it, what of that holds, and what was corrected by whom."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.fleet.model_fills import Doubt, OdometerReading, ReadingSource, ReadingStatus
from loyalty.paging import PAGE_SIZE, Key, Page, one_as, page_as


class ReadingView(msgspec.Struct, frozen=True):
    """One reading, kilometres; `corrects` names the reading in whose place it stands."""

    reading_id: UUID
    km: int
    read_at: datetime
    source: ReadingSource
    status: ReadingStatus
    doubt: Doubt | None
    corrects: UUID | None
    reason: str | None
    by_kind: str
    made_at: datetime


_COLUMNS = (
    *(OdometerReading.reading_id, OdometerReading.km, OdometerReading.read_at, OdometerReading.source, OdometerReading.status),
    *(OdometerReading.doubt, OdometerReading.corrects, OdometerReading.reason, OdometerReading.by_kind, OdometerReading.made_at),
)


async def list_readings(
    session: AsyncSession, *, company_id: UUID, vehicle_id: UUID, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[ReadingView]:
    """Return a vehicle's readings, the latest first, corrected ones beside what stands for them."""
    statement = select(*_COLUMNS).where(OdometerReading.company_id == company_id, OdometerReading.vehicle_id == vehicle_id)
    keys = [Key(OdometerReading.read_at, descending=True), Key(OdometerReading.reading_id, descending=True)]
    return await page_as(session, ReadingView, statement, keys=keys, cursor=cursor, limit=limit)


async def find_reading(session: AsyncSession, *, company_id: UUID, vehicle_id: UUID, reading_id: UUID) -> ReadingView | None:
    """Return one reading of a vehicle; None where the company has no such."""
    of = (OdometerReading.company_id == company_id, OdometerReading.vehicle_id == vehicle_id, OdometerReading.reading_id == reading_id)
    return await one_as(session, ReadingView, select(*_COLUMNS).where(*of))
