"""Reading a company's inbox, cut to what its reader may know."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.fleet.model_notices import CompanyNotice, NoticeKind, NoticeMark
from loyalty.fleet.queries.watching import count_asked
from loyalty.paging import PAGE_SIZE, Key, Page, page_as

MANY = 99
"""A rail says no larger number: beyond it is counted no further."""


class NoticeView(msgspec.Struct, frozen=True):
    """One notice."""

    notice_id: UUID
    kind: NoticeKind
    subject_id: UUID
    step: int
    facts: dict[str, Any]
    at: datetime


async def list_notices(
    session: AsyncSession,
    *,
    company_id: UUID,
    kinds: Collection[NoticeKind],
    departments: Collection[UUID] | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[NoticeView]:
    """Return what the company was told, the latest first: of these kinds, of these departments (None is the whole company)."""
    one = CompanyNotice
    statement = select(one.notice_id, one.kind, one.subject_id, one.step, one.facts, one.at).where(*_of(company_id, kinds, departments))
    return await page_as(session, NoticeView, statement, keys=[Key(one.notice_id, descending=True)], cursor=cursor, limit=limit)


async def read_to(session: AsyncSession, *, user_id: UUID) -> datetime | None:
    """Return until when somebody has read; None for one who never looked."""
    found: datetime | None = await session.scalar(select(NoticeMark.read_to).where(NoticeMark.user_id == user_id))
    return found


async def bell_of(
    session: AsyncSession, *, company_id: UUID, user_id: UUID, kinds: Collection[NoticeKind], departments: Collection[UUID] | None = None
) -> tuple[int, int]:
    """Return how many askings of the pump wait, and how many notices are new to this reader (`MANY` and more is `MANY`)."""
    since = await read_to(session, user_id=user_id)
    fresh = select(CompanyNotice.notice_id).where(*_of(company_id, kinds, departments))
    if since is not None:
        fresh = fresh.where(CompanyNotice.at > since)
    new = await session.scalar(select(func.count()).select_from(fresh.limit(MANY).subquery()))
    return await count_asked(session, company_id=company_id, departments=departments), new or 0


def _of(company_id: UUID, kinds: Collection[NoticeKind], departments: Collection[UUID] | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [CompanyNotice.company_id == company_id, CompanyNotice.kind.in_(kinds)]
    if departments is not None:
        found.append(CompanyNotice.department_id.in_(departments))
    return found
