"""What a partner's feed is: proposed by one person of the office, agreed to by another, paused, ended."""

import secrets
from collections.abc import Sequence
from datetime import datetime, time
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.crypto import Purpose, seal
from loyalty.crypto.age import is_recipient
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.fleet.webhook_rules import may_go_to, shown_secret
from loyalty.ids import uuid7
from loyalty.topups.operations.traces import staff_of
from partners.feed_rules import due_after
from partners.model_feeds import FEED_MOVES, FeedChannel, FeedColumn, FeedStatus, PartnerFeed, Rhythm
from partners.operations.agreements import AnotherPersonApproves
from partners.operations.alliances import lock_partner
from partners.queries.alliances import get_partner
from partners.queries.feeds import FeedNotFound, ground_of

TABLE = "partner_feeds"


class FeedNotSound(Refusal):
    """A feed that could not run, or would say more than was agreed."""

    status = 422
    zh = "数据推送设置不正确：{fault_zh}。"
    en = "The feed cannot be like this: {fault_en}."
    next_zh = "请改正后重新提交。"
    next_en = "Correct it and send it again."


class FeedCannotMove(Refusal):
    """Its present status does not lead there."""

    status = 409
    zh = "数据推送当前为 {status}，不能变为 {to}。"
    en = "The feed is {status} and cannot become {to}."
    next_zh = "请刷新页面查看最新状态。"
    next_en = "Reload the page."


class FeedFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a feed is to be."""

    benefit: str
    columns: Sequence[FeedColumn]
    rhythm: Rhythm = Rhythm.WEEKLY
    weekday: int = 1
    month_day: int = 1
    at: time = time(9)
    channel: FeedChannel = FeedChannel.DOWNLOAD
    mail_to: str | None = None
    webhook_url: str | None = None
    recipient: str


class Proposed(msgspec.Struct, frozen=True):
    """The feed, and its signing secret where it is new: shown once."""

    feed_id: UUID
    secret: str


async def propose_feed(
    session: AsyncSession, *, partner_id: UUID, facts: FeedFacts, feed_id: UUID | None = None, actor: Actor, now: datetime
) -> Proposed:
    """Propose a feed, or another shape of one that runs: from then on nothing leaves until another person agrees.

    :raises PartnerNotFound: if there is no such partner
    :raises FeedNotFound: if the partner has no such feed
    :raises FeedNotSound: naming what is wrong
    :raises FeedCannotMove: if it ended
    """
    await lock_partner(session, partner_id=partner_id)
    await _require_sound(session, partner_id, facts, feed_id, now)
    row = (
        PartnerFeed(feed_id=uuid7(now), partner_id=partner_id, last_sequence=0)
        if feed_id is None
        else await _lock(session, partner_id, feed_id)
    )
    if feed_id is not None and row.status is not FeedStatus.PROPOSED:
        _require_move(row, FeedStatus.PROPOSED)
    told_before = row.webhook_url if feed_id is not None else None
    given = msgspec.structs.asdict(facts) | {"columns": [one.value for one in FeedColumn if one in set(facts.columns)]}
    given |= {"mail_to": facts.mail_to if facts.channel is FeedChannel.MAIL else None}
    given |= {"webhook_url": facts.webhook_url if facts.channel is FeedChannel.WEBHOOK else None}
    for name, value in given.items():
        setattr(row, name, value)
    shown = ""
    if row.webhook_url is None:
        row.webhook_secret = None
    elif row.webhook_url != told_before:
        # Another address gets another secret: the old one's holder must not be able to sign for it.
        secret = secrets.token_bytes(32)
        row.webhook_secret = seal(Purpose.WEBHOOK_SECRET, table=TABLE, column="webhook_secret", row_id=row.feed_id, plaintext=secret)
        shown = shown_secret(secret)
    row.status, row.next_due, row.decided_by, row.decided_at = FeedStatus.PROPOSED, None, None, None
    row.made_by, row.made_at = staff_of(actor), now
    session.add(row)
    await session.flush()
    said = {"columns": row.columns, "channel": row.channel, "rhythm": row.rhythm, "recipient": row.recipient}
    await _trail(session, row, "partners.feed_proposed", said, actor, now)
    return Proposed(row.feed_id, shown)


async def decide_feed(
    session: AsyncSession, *, partner_id: UUID, feed_id: UUID, to: FeedStatus, why: str = "", actor: Actor, now: datetime
) -> None:
    """Let a feed run, pause it, end it. What was proposed runs when another person than its proposer says so.

    :raises FeedNotFound: if the partner has no such feed
    :raises FeedCannotMove: if its status does not lead there
    :raises AnotherPersonApproves: if its proposer lets it run
    """
    row = await _lock(session, partner_id, feed_id)
    _require_move(row, to)
    before, due = row.status, await _next_due(session, row, now) if to is FeedStatus.ACTIVE else None
    if before is FeedStatus.PROPOSED and to is FeedStatus.ACTIVE:
        if staff_of(actor) == row.made_by:
            raise AnotherPersonApproves
        row.decided_by, row.decided_at = staff_of(actor), now
    row.status, row.next_due = to, due
    await session.flush()
    await _trail(session, row, f"partners.feed_{to.value}", {"from": before.value, "why": why}, actor, now)


async def _next_due(session: AsyncSession, row: PartnerFeed, now: datetime) -> datetime:
    zone = (await get_partner(session, partner_id=row.partner_id)).zone
    return due_after(row.rhythm, weekday=row.weekday, month_day=row.month_day, at=row.at, zone=zone, after=now)


def _require_move(row: PartnerFeed, to: FeedStatus) -> None:
    if to not in FEED_MOVES[row.status]:
        raise FeedCannotMove(status=row.status.value, to=to.value)


async def _lock(session: AsyncSession, partner_id: UUID, feed_id: UUID) -> PartnerFeed:
    one = PartnerFeed
    row: PartnerFeed | None = await session.scalar(locked(select(one).where(one.feed_id == feed_id, one.partner_id == partner_id)))
    if row is None:
        raise FeedNotFound(feed=feed_id)
    return row


async def _require_sound(session: AsyncSession, partner_id: UUID, facts: FeedFacts, feed_id: UUID | None, now: datetime) -> None:
    def fault(zh: str, en: str) -> FeedNotSound:
        return FeedNotSound(fault_zh=zh, fault_en=en)

    ground = await ground_of(session, partner_id=partner_id, benefit=facts.benefit, now=now)
    if not ground.purpose:
        raise fault(
            "已批准的协议中没有该权益，或未写明客户单独同意的用途", "no approved agreement has this benefit with a purpose to consent to"
        )
    if not facts.columns:
        raise fault("至少选择一项内容", "it says nothing of anybody: choose a column")
    if not is_recipient(facts.recipient):
        raise fault("接收方公钥应为 age1 开头的完整公钥", "the recipient's public key is one that begins with age1, whole")
    if facts.channel is FeedChannel.MAIL and "@" not in (facts.mail_to or ""):
        raise fault("请填写接收邮箱", "it goes by mail: give the address")
    if facts.channel is FeedChannel.WEBHOOK and not may_go_to(facts.webhook_url or ""):
        raise fault("推送地址须为公网 https 地址", "it goes to a system: its address begins with https and lies in the public internet")
    if not (1 <= facts.weekday <= 7 and 1 <= facts.month_day <= 28):
        raise fault("每月日期须为 1 至 28 日", "a day of the month is one of 1 to 28")
    one = PartnerFeed
    others = select(one.feed_id).where(one.partner_id == partner_id, one.benefit == facts.benefit, one.status != FeedStatus.ENDED)
    if any(other != feed_id for other in await session.scalars(others)):
        raise fault("该权益已有推送", "this benefit has a feed")


async def _trail(session: AsyncSession, row: PartnerFeed, action: str, facts: dict[str, Any], actor: Actor, now: datetime) -> None:
    said = {"feed": row.feed_id, "benefit": row.benefit, **facts}
    await audit.record(session, actor=actor, action=action, subject=("partner", row.partner_id), facts=said, now=now)
