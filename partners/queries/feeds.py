"""Feeds, their files, what became of each, and what the next one would say."""

from collections.abc import Collection
from datetime import datetime, time
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock
from loyalty.errors import NotFound
from loyalty.paging import PAGE_SIZE, Key, Page, all_as, one_as, page_as
from partners.feed_rules import slip_number
from partners.model import PartnerStatus
from partners.model_feeds import (
    FeedChannel,
    FeedColumn,
    FeedStatus,
    LogEvent,
    PartnerFeed,
    PartnerFeedBatch,
    PartnerFeedLogLine,
    PartnerFeedRow,
    PartnerRegistration,
    RecordKind,
    Rhythm,
)
from partners.queries.alliances import PartnerView, get_partner
from partners.queries.registrations import versions_with
from partners.rules import holds_on


class FeedNotFound(NotFound):
    """Unknown, or another partner's."""

    zh = "没有找到该数据推送。"
    en = "There is no such feed."


class BatchNotFound(NotFound):
    """Unknown, or another partner's."""

    zh = "没有找到该批次文件。"
    en = "There is no such file."


class FeedView(msgspec.Struct, frozen=True):
    """One feed, without its secret."""

    feed_id: UUID
    partner_id: UUID
    benefit: str
    columns: list[FeedColumn]
    rhythm: Rhythm
    weekday: int
    month_day: int
    at: time
    channel: FeedChannel
    mail_to: str | None
    webhook_url: str | None
    recipient: str
    status: FeedStatus
    next_due: datetime | None
    last_sequence: int
    made_by: UUID
    made_at: datetime
    decided_by: UUID | None
    decided_at: datetime | None


class BatchView(msgspec.Struct, frozen=True):
    """One file, without its bytes."""

    batch_id: UUID
    feed_id: UUID
    partner_id: UUID
    sequence: int
    due_at: datetime
    made_at: datetime
    made_by: str
    whole: bool
    new: int
    corrections: int
    removals: int
    held_back: int
    currency: str
    cover_minor: int
    columns: list[FeedColumn]
    channel: FeedChannel
    recipient: str
    name: str
    digest: bytes


class LogView(msgspec.Struct, frozen=True):
    """One line of what became of a file."""

    log_id: int
    batch_id: UUID
    sequence: int
    event: LogEvent
    at: datetime
    actor: str
    to: str


class RowView(msgspec.Struct, frozen=True):
    """One line of a file by whom it was about."""

    ordinal: int
    kind: RecordKind
    registration_id: UUID
    number: int
    code_tail: str
    customer_id: UUID
    consent_id: UUID | None
    cover_minor: int
    digest: bytes

    @property
    def slip(self) -> str:
        """What both sides know it by."""
        return slip_number(self.number, self.code_tail)


class Ground(NamedTuple):
    """On what a feed stands today: whom the purpose names, and whether anything but removals may leave."""

    partner: PartnerView
    purpose: str
    stands: bool


_FEED: Final = [getattr(PartnerFeed, name) for name in FeedView.__struct_fields__]
_BATCH: Final = [getattr(PartnerFeedBatch, name) for name in BatchView.__struct_fields__]


async def feeds_of(session: AsyncSession, *, partner_id: UUID) -> list[FeedView]:
    """Return a partner's feeds, those that ended last."""
    one = PartnerFeed
    wanted = select(*_FEED).where(one.partner_id == partner_id).order_by(one.status == FeedStatus.ENDED, one.benefit, one.feed_id)
    return [_feed(row) for row in await session.execute(wanted)]


async def get_feed(session: AsyncSession, *, partner_id: UUID, feed_id: UUID) -> FeedView:
    """Return one feed of a partner.

    :raises FeedNotFound: if it has no such feed
    """
    one = PartnerFeed
    row = (await session.execute(select(*_FEED).where(one.feed_id == feed_id, one.partner_id == partner_id))).one_or_none()
    if row is None:
        raise FeedNotFound(feed=feed_id)
    return _feed(row)


async def ground_of(session: AsyncSession, *, partner_id: UUID, benefit: str, now: datetime) -> Ground:
    """Return on what a benefit's feed stands: its purpose as it was agreed last, and whether the alliance and the benefit hold today.

    :raises PartnerNotFound: if there is no such partner
    """
    partner = await get_partner(session, partner_id=partner_id)
    versions = await versions_with(session, partner_id=partner_id, benefit=benefit)
    purposes = [each.purpose for _standing, each in versions if each is not None and each.purpose]
    held = holds_on([standing for standing, _each in versions], clock.local_date(now, partner.zone))
    stands = partner.status is PartnerStatus.ACTIVE and held is not None and dict(versions)[held] is not None
    return Ground(partner, purposes[-1] if purposes else "", stands)


async def due_feeds(session: AsyncSession, *, now: datetime) -> list[UUID]:
    """Return the feeds whose instant has come, the earliest first."""
    one = PartnerFeed
    due = select(one.feed_id).where(one.status == FeedStatus.ACTIVE, one.next_due <= now).order_by(one.next_due, one.feed_id)
    return list(await session.scalars(due))


async def feeds_to_approve(session: AsyncSession, *, not_by: UUID) -> list[tuple[UUID, UUID]]:
    """Return the partners and feeds that wait for another person than this one, the oldest first."""
    one = PartnerFeed
    wanted = select(one.partner_id, one.feed_id).where(one.status == FeedStatus.PROPOSED, one.made_by != not_by).order_by(one.made_at)
    return [(partner_id, feed_id) for partner_id, feed_id in await session.execute(wanted)]


async def running_benefits(session: AsyncSession) -> list[tuple[UUID, str]]:
    """Return the partners and benefits of feeds that run: whose vouchers register their holders."""
    one = PartnerFeed
    found = await session.execute(select(one.partner_id, one.benefit).where(one.status == FeedStatus.ACTIVE).order_by(one.feed_id))
    return [(partner_id, benefit) for partner_id, benefit in found]


async def list_batches(
    session: AsyncSession, *, partner_id: UUID, feed_id: UUID | None = None, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[BatchView]:
    """Return a partner's files, the latest first."""
    one = PartnerFeedBatch
    wanted = select(*_BATCH).where(one.partner_id == partner_id, *([one.feed_id == feed_id] if feed_id else []))
    return await page_as(session, _batch, wanted, keys=[Key(one.batch_id, descending=True)], cursor=cursor, limit=limit)


async def get_batch(session: AsyncSession, *, partner_id: UUID, batch_id: UUID) -> BatchView:
    """Return one file of a partner's.

    :raises BatchNotFound: if there is none
    """
    one = PartnerFeedBatch
    found = await one_as(session, _batch, select(*_BATCH).where(one.batch_id == batch_id, one.partner_id == partner_id))
    if found is None:
        raise BatchNotFound(batch=batch_id)
    return found


async def file_of_batch(session: AsyncSession, *, batch_id: UUID) -> bytes:
    """Return a file's bytes as they left, sealed.

    :raises BatchNotFound: if there is none
    """
    found: bytes | None = await session.scalar(select(PartnerFeedBatch.file).where(PartnerFeedBatch.batch_id == batch_id))
    if found is None:
        raise BatchNotFound(batch=batch_id)
    return found


async def rows_of(session: AsyncSession, *, batch_id: UUID, cursor: str | None = None, limit: int = PAGE_SIZE) -> Page[RowView]:
    """Return a file's lines by whom they were about, in its order."""
    row, who = PartnerFeedRow, PartnerRegistration
    columns = [getattr(who if name in {"number", "code_tail", "customer_id"} else row, name) for name in RowView.__struct_fields__]
    wanted = select(*columns).join(who, who.registration_id == row.registration_id).where(row.batch_id == batch_id)
    return await page_as(session, RowView, wanted, keys=[Key(row.ordinal)], cursor=cursor, limit=limit)


async def log_of(
    session: AsyncSession, *, partner_id: UUID, batch_id: UUID | None = None, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[LogView]:
    """Return what became of a partner's files, or of one, the latest first."""
    log, batch = PartnerFeedLogLine, PartnerFeedBatch
    columns = [batch.sequence if name == "sequence" else getattr(log, name) for name in LogView.__struct_fields__]
    of = [batch.partner_id == partner_id, *([batch.batch_id == batch_id] if batch_id else [])]
    wanted = select(*columns).join(batch, batch.batch_id == log.batch_id).where(*of)
    return await page_as(session, LogView, wanted, keys=[Key(log.log_id, descending=True)], cursor=cursor, limit=limit)


async def latest_events(session: AsyncSession, *, batch_ids: Collection[UUID]) -> dict[UUID, LogEvent]:
    """Return where each file stands: the last that became of it."""
    log = PartnerFeedLogLine
    latest = select(log.batch_id, log.event).where(log.batch_id.in_(batch_ids)).ext(distinct_on(log.batch_id))
    found = await session.execute(latest.order_by(log.batch_id, log.log_id.desc()))
    return {batch_id: event for batch_id, event in found}  # noqa: C416 - a Row is no pair for the type checker


async def sent_about(session: AsyncSession, *, registration_id: UUID) -> list[tuple[BatchView, RowView]]:
    """Return every line that left about one registration, the first first: what the log proves."""
    row, who, batch = PartnerFeedRow, PartnerRegistration, PartnerFeedBatch
    columns = [getattr(who if name in {"number", "code_tail", "customer_id"} else row, name) for name in RowView.__struct_fields__]
    wanted = (
        select(*columns, *_BATCH)
        .join(who, who.registration_id == row.registration_id)
        .join(batch, batch.batch_id == row.batch_id)
        .where(row.registration_id == registration_id)
        .order_by(row.batch_id)
    )
    cut = len(columns)
    return await all_as(session, lambda *values: (_batch(*values[cut:]), RowView(*values[:cut])), wanted)


def _feed(row: Row[*tuple[Any, ...]]) -> FeedView:
    values: dict[str, Any] = dict(zip(FeedView.__struct_fields__, row, strict=True))
    return FeedView(**values | {"columns": [FeedColumn(one) for one in values["columns"]]})


def _batch(*row: Any) -> BatchView:
    values: dict[str, Any] = dict(zip(BatchView.__struct_fields__, row, strict=True))
    return BatchView(**values | {"columns": [FeedColumn(one) for one in values["columns"]]})
