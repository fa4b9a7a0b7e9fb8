"""The rulebooks that a worker keeps: what is live, what will be, and what open authorisations may still be settled by."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Select, Text, cast, column, func, select, table
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.customers.model import Customer
from loyalty.ledger.model import Account
from loyalty.pricing.compiling import Book, Names
from loyalty.pricing.document import Channel, Document
from loyalty.pricing.model import Agreement, AgreementStatus, BookStatus, Rulebook, Standing
from loyalty.stations.model import District, Region, Station

_KEPT = timedelta(days=2)
"""Books that were followed by another so lately are kept: authorisations wait for their completions. Older ones are read when asked for."""
# The rewards room stands above this one: what its tiers are called is read here, and nothing else of it.
_TIERS: Final[Select[*tuple[Any, ...]]] = select(column("code"), column("name_zh"), column("name_en")).select_from(table("tiers"))


def document_of(row: Rulebook) -> Document:
    """Return a rulebook's document."""
    return msgspec.convert(row.document, Document, strict=False)


async def names(session: AsyncSession) -> Names:
    """Return what the codes of places stand for, and what tiers are called."""
    return Names(
        stations={row.code: row.station_id for row in await session.execute(select(Station.code, Station.station_id))},
        districts={row.code: row.district_id for row in await session.execute(select(District.code, District.district_id))},
        regions={row.code: row.region_id for row in await session.execute(select(Region.code, Region.region_id))},
        tiers={code: (zh or code, en or zh or code) for code, zh, en in (await session.execute(_TIERS)).all()},
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


async def number_live_at(session: AsyncSession, *, instant: datetime) -> int | None:
    """Return the number of the book that was live at an instant; None before the first."""
    number: int | None = await session.scalar(
        select(Rulebook.number)
        .where(Rulebook.status == BookStatus.APPROVED, Rulebook.activates_at <= instant)
        .order_by(Rulebook.activates_at.desc(), Rulebook.number.desc())
        .limit(1)
    )
    return number


async def channel_book(session: AsyncSession, *, instant: datetime, channel: Channel) -> Book | None:
    """Return the book that was live at an instant with nothing in it but the rules that name a channel; None where there is none of them.

    For cold operations of a channel that few rules name: the hundreds of others are not compiled.
    """
    row = (
        await session.scalars(
            select(Rulebook)
            .where(Rulebook.status == BookStatus.APPROVED, Rulebook.activates_at <= instant)
            .order_by(Rulebook.activates_at.desc(), Rulebook.number.desc())
            .limit(1)
        )
    ).first()
    if row is None:
        return None
    rules = [rule for rule in row.document.get("rules", ()) if channel.value in rule.get("when", {}).get("channels", ())]
    if not rules:
        return None
    document = msgspec.convert(row.document | {"rules": rules}, Document, strict=False)
    return Book(row.number, document, await names(session), activates_at=row.activates_at)


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


async def facts_of(session: AsyncSession, *, account_id: UUID, customer_id: UUID | None) -> dict[str, Any]:
    """Return what rules ask about an account's customer, by the names of `basket.Person`."""
    account = (await session.execute(select(Account.opened_at, Account.registered_at).where(Account.account_id == account_id))).one()
    found: dict[str, Any] = {"opened_at": account.opened_at, "registered_at": account.registered_at}
    if customer_id is None:
        return found
    row = (
        await session.execute(
            select(
                func.coalesce(Customer.merged_into, Customer.customer_id).label("customer_id"),
                Customer.segment,
                Customer.flyer_code.label("flyer"),
                Customer.birthday,
                Standing.tier,
                cast(Standing.agreement, Text).label("agreement"),
            )
            .outerjoin(Standing, Standing.customer_id == Customer.customer_id)
            .where(Customer.customer_id == customer_id)
        )
    ).one()
    return found | dict(row._mapping)  # noqa: SLF001 - the documented name
