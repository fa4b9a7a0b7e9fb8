"""Telling a company something, once; and how far its people have read."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.fleet.model_notices import CompanyNotice, NoticeKind, NoticeMark
from loyalty.ids import uuid7


class News(NamedTuple):
    """One thing to tell: plain values that the reader's sentence is made of."""

    company_id: UUID
    subject_id: UUID
    facts: Mapping[str, Any]
    department_id: UUID | None = None
    step: int = 0


async def notify(session: AsyncSession, *, kind: NoticeKind, news: Iterable[News], at: datetime) -> int:
    """Put news into the inboxes of their companies; return how many were new. Told twice it is once."""
    rows = [{"notice_id": uuid7(at), "kind": kind, "at": at, **one._asdict(), "facts": dict(one.facts)} for one in news]
    if not rows:
        return 0
    once = [CompanyNotice.company_id, CompanyNotice.kind, CompanyNotice.subject_id, CompanyNotice.step]
    statement = upsert(CompanyNotice).on_conflict_do_nothing(index_elements=once).returning(CompanyNotice.notice_id)
    return len((await session.scalars(statement, rows)).all())


async def mark_read(session: AsyncSession, *, company_id: UUID, user_id: UUID, now: datetime) -> None:
    """Note that somebody has read all there is."""
    read = upsert(NoticeMark).values(user_id=user_id, company_id=company_id, read_to=now)
    await session.execute(read.on_conflict_do_update(index_elements=[NoticeMark.user_id], set_={"read_to": now}))
