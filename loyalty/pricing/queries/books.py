"""Rulebooks as people work with them: lists, one of them, what is live when, their steps, and what differs."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from loyalty.db import locked
from loyalty.errors import NotFound
from loyalty.identity.model import Staff
from loyalty.paging import PAGE_SIZE, Key, Page, all_as, one_as, page_as
from loyalty.pricing.compiling import budget_id
from loyalty.pricing.document import Document
from loyalty.pricing.merging import Change, changes_between
from loyalty.pricing.model import BookStatus, Budget, BudgetShare, Rulebook, RulebookEvent

from .live import document_of, latest_document


class RulebookNotFound(NotFound):
    zh = "没有找到该规则集。"
    en = "There is no such rulebook."


class BookLine(msgspec.Struct, frozen=True):
    """A rulebook in a list. Which approved one is live follows from `activates_at`."""

    number: int
    status: BookStatus
    base: int | None
    note: str
    version: int
    rules: int
    made_by: UUID | None
    made_by_name: str | None
    made_at: datetime
    changed_at: datetime
    submitted_by: UUID | None
    submitted_by_name: str | None
    approved_by: UUID | None
    approved_by_name: str | None
    activates_at: datetime | None
    shadow_from: datetime | None
    shadow_to: datetime | None


class BookView(BookLine, frozen=True):
    """A rulebook whole."""

    document: Document


class BookEvent(msgspec.Struct, frozen=True):
    """One step of a rulebook: its new status, or `draft` with what was changed in `facts`."""

    moved_to: str
    happened_at: datetime
    staff_id: UUID | None
    staff_name: str | None
    note: str
    facts: dict[str, Any]


class BudgetState(msgspec.Struct, frozen=True):
    """A budget as it stands, in its unit: granted in all, set aside by what is not completed, used."""

    budget_id: UUID
    code: str
    unit: str
    currency: str | None
    total: int
    reserved: int
    used: int

    @property
    def free(self) -> int:
        """What can still be given."""
        return self.total - self.reserved - self.used


_RULES = func.jsonb_array_length(func.coalesce(Rulebook.document["rules"], func.jsonb_build_array()))


def _lines() -> Select[*tuple[Any, ...]]:
    made, submitted, approved = aliased(Staff), aliased(Staff), aliased(Staff)
    return (
        select(
            Rulebook.number,
            Rulebook.status,
            Rulebook.base,
            Rulebook.note,
            Rulebook.version,
            _RULES.label("rules"),
            Rulebook.made_by,
            made.name.label("made_by_name"),
            Rulebook.made_at,
            Rulebook.changed_at,
            Rulebook.submitted_by,
            submitted.name.label("submitted_by_name"),
            Rulebook.approved_by,
            approved.name.label("approved_by_name"),
            Rulebook.activates_at,
            Rulebook.shadow_from,
            Rulebook.shadow_to,
        )
        .outerjoin(made, made.staff_id == Rulebook.made_by)
        .outerjoin(submitted, submitted.staff_id == Rulebook.submitted_by)
        .outerjoin(approved, approved.staff_id == Rulebook.approved_by)
    )


async def list_books(
    session: AsyncSession, *, status: BookStatus | None = None, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[BookLine]:
    """Read a page of rulebooks, the latest number first.

    :raises CursorNotUnderstood, PageSizeOutOfRange: as `paging.page`
    """
    statement = _lines()
    if status is not None:
        statement = statement.where(Rulebook.status == status)
    return await page_as(session, BookLine, statement, keys=[Key(Rulebook.number, descending=True)], cursor=cursor, limit=limit)


async def get_book(session: AsyncSession, *, number: int) -> BookView:
    """Return one rulebook.

    :raises RulebookNotFound: if there is none
    """
    line = await one_as(session, BookLine, _lines().where(Rulebook.number == number))
    row = await session.get(Rulebook, number, populate_existing=True)
    if line is None or row is None:
        raise RulebookNotFound(number=number)
    return BookView(**msgspec.structs.asdict(line), document=document_of(row))


async def get_book_for_update(session: AsyncSession, *, number: int) -> Rulebook:
    """Lock and return one rulebook.

    :raises RulebookNotFound: if there is none
    """
    row = (await session.scalars(locked(select(Rulebook).where(Rulebook.number == number)))).one_or_none()
    if row is None:
        raise RulebookNotFound(number=number)
    return row


async def live_at(session: AsyncSession, *, instant: datetime) -> BookView | None:
    """Return the rulebook that is live at an instant, past or to come; None where there is none."""
    number, _ = await latest_document(session, now=instant)
    return None if number is None else await get_book(session, number=number)


async def last_book(session: AsyncSession) -> BookView | None:
    """Return the rulebook that is live or will be last: what a draft is made from, and must still be made from when it is approved."""
    number, _ = await latest_document(session)
    return None if number is None else await get_book(session, number=number)


async def upcoming(session: AsyncSession, *, now: datetime) -> list[BookLine]:
    """Return the approved rulebooks whose time is to come, the next first."""
    return await all_as(
        session,
        BookLine,
        _lines()
        .where(Rulebook.status == BookStatus.APPROVED, Rulebook.activates_at > now)
        .order_by(Rulebook.activates_at, Rulebook.number),
    )


async def open_books(session: AsyncSession) -> list[BookLine]:
    """Return the drafts and what waits for approval, the latest changed first."""
    return await all_as(
        session,
        BookLine,
        _lines()
        .where(Rulebook.status.in_([BookStatus.DRAFT, BookStatus.SUBMITTED]))
        .order_by(Rulebook.changed_at.desc(), Rulebook.number.desc()),
    )


async def events_of(session: AsyncSession, *, number: int) -> list[BookEvent]:
    """Return a rulebook's steps, the first first."""
    return await all_as(
        session,
        BookEvent,
        select(
            RulebookEvent.moved_to,
            RulebookEvent.happened_at,
            RulebookEvent.staff_id,
            Staff.name,
            RulebookEvent.note,
            RulebookEvent.facts,
        )
        .outerjoin(Staff, Staff.staff_id == RulebookEvent.staff_id)
        .where(RulebookEvent.number == number)
        .order_by(RulebookEvent.event_id),
    )


async def difference(session: AsyncSession, *, before: int | None, after: int) -> list[Change]:
    """Return what differs between two rulebooks; None stands for an empty one.

    :raises RulebookNotFound: if one is not there
    """
    old = Document() if before is None else (await get_book(session, number=before)).document
    return changes_between(old, (await get_book(session, number=after)).document)


async def budget_states(session: AsyncSession) -> dict[str, BudgetState]:
    """Return every budget as it stands, by code."""
    found = await all_as(
        session,
        BudgetState,
        select(
            Budget.budget_id,
            Budget.code,
            Budget.unit,
            Budget.currency,
            Budget.total,
            func.coalesce(func.sum(BudgetShare.reserved), 0).cast(Budget.total.type),
            func.coalesce(func.sum(BudgetShare.used), 0).cast(Budget.total.type),
        )
        .outerjoin(BudgetShare, BudgetShare.budget_id == Budget.budget_id)
        .group_by(Budget.budget_id)
        .order_by(Budget.code),
    )
    assert all(one.budget_id == budget_id(one.code) for one in found), "a budget's id is made of its code"
    return {one.code: one for one in found}
