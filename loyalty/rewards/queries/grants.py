"""Reading what was granted."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.paging import PAGE_SIZE, Key, Page, all_as, page_as
from loyalty.rewards.model_grants import Grant, GrantKind, GrantStatus


class GrantView(msgspec.Struct, frozen=True):
    """One grant; `amount` in points, minor units of `unit`, or pieces."""

    account_id: UUID
    source_id: UUID
    source: str
    rule: str
    kind: GrantKind
    amount: int
    returned: int
    unit: str
    item: str | None
    event_at: datetime
    active_at: datetime
    settles_on: date | None
    """The business day whose close it waits for."""
    expires_at: datetime | None
    status: GrantStatus
    posted: int


_COLUMNS = (
    Grant.account_id,
    Grant.source_id,
    Grant.source,
    Grant.rule,
    Grant.kind,
    Grant.amount,
    Grant.returned,
    Grant.unit,
    Grant.item,
    Grant.event_at,
    Grant.active_at,
    Grant.settles_on,
    Grant.expires_at,
    Grant.status,
    Grant.posted,
)


async def list_grants(
    session: AsyncSession,
    *,
    account_ids: Sequence[UUID],
    kinds: Collection[GrantKind] = tuple(GrantKind),
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[GrantView]:
    """Read a page of what accounts were granted, the latest source first."""
    statement = select(*_COLUMNS).where(Grant.account_id.in_(account_ids), Grant.kind.in_(kinds))
    keys = [Key(Grant.source_id, descending=True), Key(Grant.rule), Key(Grant.kind)]
    return await page_as(session, GrantView, statement, keys=keys, cursor=cursor, limit=limit)


async def grants_of(session: AsyncSession, *, sources: Collection[tuple[UUID, UUID]]) -> list[GrantView]:
    """Return what sales or top-ups granted, by (account, source), in the rules' order."""
    if not sources:
        return []
    where = tuple_(Grant.account_id, Grant.source_id).in_(list(sources))
    return await all_as(session, GrantView, select(*_COLUMNS).where(where).order_by(Grant.source_id, Grant.rule, Grant.kind))
