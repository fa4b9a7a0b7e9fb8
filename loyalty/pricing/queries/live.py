"""The rulebooks that a worker keeps: what is live, what will be, and what open authorisations may still be settled by."""

from datetime import datetime, timedelta

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.pricing.compiling import Book, Names
from loyalty.pricing.document import Document
from loyalty.pricing.model import Agreement, AgreementStatus, BookStatus, Rulebook
from loyalty.stations.model import District, Region, Station

_KEPT = timedelta(days=2)
"""Books that were followed by another so lately are kept: authorisations wait for their completions. Older ones are read when asked for."""


def document_of(row: Rulebook) -> Document:
    """Return a rulebook's document."""
    return msgspec.convert(row.document, Document, strict=False)


async def names(session: AsyncSession) -> Names:
    """Return what the codes of places stand for."""
    return Names(
        stations=dict((await session.execute(select(Station.code, Station.station_id))).tuples().all()),
        districts=dict((await session.execute(select(District.code, District.district_id))).tuples().all()),
        regions=dict((await session.execute(select(Region.code, Region.region_id))).tuples().all()),
    )


async def snapshot_books(session: AsyncSession, *, now: datetime) -> list[Book]:
    """Return the compiled books in the order they become live: the one of two days ago, and all since."""
    rows = list(
        await session.scalars(
            select(Rulebook).where(Rulebook.status == BookStatus.APPROVED).order_by(Rulebook.activates_at.desc(), Rulebook.number.desc())
        )
    )
    kept: list[Rulebook] = []
    for row in rows:
        kept.append(row)
        assert row.activates_at is not None, "an approved book has its time"
        if row.activates_at <= now - _KEPT:
            break
    known = await names(session)
    return [Book(row.number, document_of(row), known, activates_at=row.activates_at) for row in reversed(kept)]


async def book_numbered(session: AsyncSession, *, number: int) -> Book | None:
    """Return one compiled book, whatever its status; None where there is none."""
    row = await session.get(Rulebook, number)
    return None if row is None else Book(row.number, document_of(row), await names(session), activates_at=row.activates_at)


async def latest_document(session: AsyncSession, *, now: datetime | None = None) -> tuple[int | None, Document]:
    """Return number and document of the book that is live at `now`, or that will be last; an empty one where there is none."""
    statement = select(Rulebook).where(Rulebook.status == BookStatus.APPROVED)
    if now is not None:
        statement = statement.where(Rulebook.activates_at <= now)
    row = (await session.scalars(statement.order_by(Rulebook.activates_at.desc(), Rulebook.number.desc()).limit(1))).first()
    return (None, Document()) if row is None else (row.number, document_of(row))


async def has_agreements(session: AsyncSession) -> bool:
    """Say whether any company agreement stands: only then does the pump read them."""
    return await session.scalar(select(Agreement.agreement_id).where(Agreement.status == AgreementStatus.APPROVED).limit(1)) is not None
