"""Making a feed's file, once for its instant, and handing it out: what leaves rests on consents that are held while it is made.

File, lines, log, registrations and the outbox's message are one transaction. The bytes are kept as they left, sealed to the partner's key:
sent again they are the same, and nobody here can read them.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import mail
from loyalty.audit import operations as audit
from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import Purpose, open_
from loyalty.crypto.age import seal_for
from loyalty.customers.queries import hold_consents
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.outbox import Channel, MessageStatus, SignedPost, get_message, put, shown, statuses_of
from partners.feed_rules import Head, Record, due_after, file_of
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
    RegistrationStatus,
)
from partners.operations.feed_composing import Said, compose
from partners.operations.feeds import TABLE, FeedCannotMove
from partners.operations.registrations import lapse, register
from partners.queries.feeds import BatchNotFound, FeedNotFound, Ground, ground_of
from partners.queries.registrations import Registered, candidates, in_parts, registered

ABOUT: Final = "partners.feed"
_OUTCOMES: Final = {
    MessageStatus.SENT: LogEvent.SENT,
    MessageStatus.CAPTURED: LogEvent.CAPTURED,
    MessageStatus.UNCERTAIN: LogEvent.UNCERTAIN,
    MessageStatus.DEAD: LogEvent.DEAD,
}
_WATCHED: Final = timedelta(days=90)
"""As long as the outbox remembers."""


class FeedHoldsWithdrawn(Refusal):
    """Handing it out again would send what somebody no longer agrees to."""

    status = 409
    zh = "该文件中有 {count} 人已撤回同意，不能再次提供。"
    en = "{count} of those in this file have withdrawn their consent since; it is not handed out again."
    next_zh = "请改为发送最新名单（全部重新发送）。"
    next_en = "Send the list as it stands now instead: everybody anew."


async def run_due(session: AsyncSession, *, feed_id: UUID, sender: str, actor: Actor, now: datetime) -> UUID | None:
    """Make the file of a feed whose instant has come, and return it; None where it is not due, or another makes it just now.

    Instants that passed while nothing ran are made up for by one file.
    """
    one = PartnerFeed
    due = select(one).where(one.feed_id == feed_id, one.status == FeedStatus.ACTIVE, one.next_due <= now)
    row = await session.scalar(due.with_for_update(skip_locked=True).execution_options(populate_existing=True))
    if row is None or row.next_due is None:
        return None
    due_at = row.next_due
    made = await _make(session, row, due_at=due_at, whole=False, sender=sender, actor=actor, now=now)
    zone = made[0].partner.zone
    row.next_due = due_after(row.rhythm, weekday=row.weekday, month_day=row.month_day, at=row.at, zone=zone, after=now)
    await session.flush()
    return made[1]


async def send_now(
    session: AsyncSession, *, partner_id: UUID, feed_id: UUID, whole: bool, sender: str, actor: Actor, now: datetime
) -> UUID:
    """Make a file out of turn, of what changed or of everybody (`whole`); the next instant stays.

    :raises FeedNotFound: if the partner has no such feed
    :raises FeedCannotMove: if it does not run
    """
    one = PartnerFeed
    locking = select(one).where(one.feed_id == feed_id, one.partner_id == partner_id).with_for_update()
    row = await session.scalar(locking.execution_options(populate_existing=True))
    if row is None:
        raise FeedNotFound(feed=feed_id)
    if row.status is not FeedStatus.ACTIVE:
        raise FeedCannotMove(status=row.status.value, to="sent")
    return (await _make(session, row, due_at=now, whole=whole, sender=sender, actor=actor, now=now))[1]


async def preview(
    session: AsyncSession, *, partner_id: UUID, benefit: str, columns: Sequence[FeedColumn], now: datetime
) -> tuple[Said, int]:
    """Return what the next file would say, and of how many vouchers nobody knows the holder; nothing is written.

    :raises PartnerNotFound: if there is no such partner
    """
    ground = await ground_of(session, partner_id=partner_id, benefit=benefit, now=now)
    known = await registered(session, partner_id=partner_id, benefit=benefit)
    fresh = await candidates(session, partner=ground.partner, benefit=benefit, now=now)
    last = max((one.number for one in known), default=0)
    found = [*known, *(one._replace(number=number) for number, one in enumerate(fresh.fresh, last + 1))]
    said = await _say(session, found, columns, ground, whole=False, hold=False, now=now)
    return said._replace(held_back=said.held_back + fresh.held_back), fresh.nobody


async def hand_out(session: AsyncSession, *, partner_id: UUID, batch_id: UUID, actor: Actor, now: datetime) -> tuple[str, bytes]:
    """Return a file's name and bytes to whoever hands it over; the log and the trail name them.

    :raises BatchNotFound: if the partner has no such file
    :raises FeedHoldsWithdrawn: if somebody in it has withdrawn since
    """
    batch = await _batch(session, partner_id, batch_id)
    await _require_consents(session, batch, now)
    await _log(session, batch.batch_id, LogEvent.DOWNLOADED, actor=_who(actor), to="", now=now)
    facts = {"batch": batch_id, "sequence": batch.sequence}
    await audit.record(session, actor=actor, action="partners.feed_downloaded", subject=("partner", partner_id), facts=facts, now=now)
    return batch.name, batch.file


async def send_again(session: AsyncSession, *, partner_id: UUID, batch_id: UUID, sender: str, actor: Actor, now: datetime) -> None:
    """Send the same bytes once more, by the feed's way of today.

    :raises BatchNotFound: if the partner has no such file
    :raises FeedCannotMove: if its feed does not run, or is fetched by hand
    :raises FeedHoldsWithdrawn: if somebody in it has withdrawn since
    """
    batch = await _batch(session, partner_id, batch_id)
    one = PartnerFeed
    feed = (await session.scalars(select(one).where(one.feed_id == batch.feed_id).with_for_update())).one()
    # Sealed to an older key it would reach somebody who cannot open it, or should no longer.
    if feed.status is not FeedStatus.ACTIVE or feed.channel is FeedChannel.DOWNLOAD or feed.recipient != batch.recipient:
        raise FeedCannotMove(status=feed.status.value, to="sent")
    await _require_consents(session, batch, now)
    log = PartnerFeedLogLine
    before = await session.scalars(select(log.log_id).where(log.batch_id == batch_id, log.event == LogEvent.QUEUED))
    ground = await ground_of(session, partner_id=partner_id, benefit=feed.benefit, now=now)
    await _queue(session, feed, batch, ground, place=len(before.all()), sender=sender, actor=_who(actor), now=now)
    facts = {"batch": batch_id, "sequence": batch.sequence}
    await audit.record(session, actor=actor, action="partners.feed_sent_again", subject=("partner", partner_id), facts=facts, now=now)


async def require_consents_of(session: AsyncSession, *, message_id: UUID, now: datetime) -> None:
    """Let a message of the outbox leave once more: one that carries a list only while everybody on it still agrees.

    :raises FeedHoldsWithdrawn: if somebody on it has withdrawn since
    """
    message = await get_message(session, message_id=message_id)
    if message.about != ABOUT:
        return
    log = PartnerFeedLogLine
    told = select(log.batch_id).where(log.message == message.once, log.event == LogEvent.QUEUED)
    batch = await session.get(PartnerFeedBatch, await session.scalar(told))
    if batch is not None:
        await _require_consents(session, batch, now)


async def settle(session: AsyncSession, *, now: datetime) -> int:
    """Write into the log what became of messages in the outbox; return how many lines are new."""
    log = PartnerFeedLogLine
    queued = select(log.message, log.batch_id, log.to).where(log.event == LogEvent.QUEUED, log.at > now - _WATCHED)
    open_ = {message: (batch_id, to) for message, batch_id, to in await session.execute(queued) if message is not None}
    over = select(log.message).where(log.message.in_(open_), log.event == LogEvent.SENT)
    for message in await session.scalars(over):
        open_.pop(message or "", None)
    stands = await statuses_of(session, once=open_)
    known = select(log.message, log.event).where(log.message.in_(stands), log.event != LogEvent.QUEUED)
    told = {(message, event) for message, event in await session.execute(known)}
    new = 0
    for message, (status, ended_at) in stands.items():
        event = _OUTCOMES.get(status)
        if event is not None and (message, event) not in told:
            batch_id, to = open_[message]
            await _log(session, batch_id, event, actor="system", to=to, message=message, now=ended_at or now)
            new += 1
    return new


async def _say(
    session: AsyncSession,
    found: Sequence[Registered],
    columns: Sequence[FeedColumn],
    ground: Ground,
    *,
    whole: bool,
    hold: bool,
    now: datetime,
) -> Said:
    return await compose(
        session,
        found=found,
        columns=columns,
        purpose=ground.purpose,
        recipient=ground.partner.code,
        whole=whole,
        only_removals=not ground.stands,
        hold=hold,
        now=now,
    )


async def _make(
    session: AsyncSession, row: PartnerFeed, *, due_at: datetime, whole: bool, sender: str, actor: Actor, now: datetime
) -> tuple[Ground, UUID]:
    taken = await register(session, partner_id=row.partner_id, benefit=row.benefit, now=now)
    await lapse(session, partner_id=row.partner_id, now=now)
    ground = await ground_of(session, partner_id=row.partner_id, benefit=row.benefit, now=now)
    columns = [FeedColumn(one) for one in row.columns]
    found = await registered(session, partner_id=row.partner_id, benefit=row.benefit)
    said = await _say(session, found, columns, ground, whole=whole, hold=True, now=now)
    partner, totals, sequence = ground.partner, said.totals, row.last_sequence + 1
    head = Head(partner.code, row.benefit, sequence, due_at, now, whole, partner.currency)
    file = seal_for(row.recipient, file_of(head, columns, said.records))
    batch = PartnerFeedBatch(
        batch_id=uuid7(now),
        feed_id=row.feed_id,
        partner_id=row.partner_id,
        sequence=sequence,
        due_at=due_at,
        made_at=now,
        made_by=_who(actor),
        whole=whole,
        new=totals.new,
        corrections=totals.corrections,
        removals=totals.removals,
        held_back=said.held_back + taken.held_back,
        currency=partner.currency,
        cover_minor=totals.cover_minor,
        columns=row.columns,
        channel=row.channel,
        recipient=row.recipient,
        name=f"{partner.code}-{row.benefit}-{sequence:05d}.csv.age",
        file=file,
        digest=hashlib.sha256(file).digest(),
    )
    session.add(batch)
    row.last_sequence = sequence
    await session.flush()
    await _note_lines(session, batch.batch_id, said, now)
    await _log(session, batch.batch_id, LogEvent.MADE, actor=_who(actor), to="", now=now)
    if row.channel is not FeedChannel.DOWNLOAD:
        await _queue(session, row, batch, ground, place=0, sender=sender, actor=_who(actor), now=now)
    facts = {"feed": row.feed_id, "sequence": sequence, **totals._asdict(), "held_back": batch.held_back, "digest": batch.digest.hex()}
    await audit.record(session, actor=actor, action="partners.feed_made", subject=("partner", row.partner_id), facts=facts, now=now)
    return ground, batch.batch_id


async def _note_lines(session: AsyncSession, batch_id: UUID, said: Said, now: datetime) -> None:
    """Keep whom the file was about, and where each registration stands by it."""
    if said.records:
        lines = [
            {
                "batch_id": batch_id,
                "ordinal": place,
                "registration_id": one.registration_id,
                "kind": one.kind,
                "consent_id": one.consent_id,
                "cover_minor": one.cover_minor,
                "digest": one.digest,
            }
            for place, one in enumerate(said.records, 1)
        ]
        await session.execute(insert(PartnerFeedRow), lines)
        await session.execute(update(PartnerRegistration), [_stands(one, now) for one in said.records])
    if said.quiet:
        gone = {"status": RegistrationStatus.REMOVED, "changed_at": now}
        await session.execute(update(PartnerRegistration), [{"registration_id": one, **gone} for one in said.quiet])


def _stands(one: Record, now: datetime) -> dict[str, Any]:
    held = one.kind is not RecordKind.REMOVAL
    return {
        "registration_id": one.registration_id,
        "status": one.to,
        "held": held,
        "digest": one.digest if held else None,
        "changed_at": now,
    }


async def _queue(
    session: AsyncSession, row: PartnerFeed, batch: PartnerFeedBatch, ground: Ground, *, place: int, sender: str, actor: str, now: datetime
) -> None:
    """Leave a file in the outbox, once for its place: the message names what it is, never whom it is about."""
    once = f"{ABOUT}:{batch.batch_id}:{place}"
    if row.channel is FeedChannel.MAIL:
        assert row.mail_to is not None, "checked by the table"
        channel, to = Channel.MAIL, row.mail_to
        payload = _mail(batch, ground, sender=sender, to=to, place=place, now=now)
    else:
        assert row.webhook_url is not None, "checked by the table"
        assert row.webhook_secret is not None, "checked by the table"
        channel, to = Channel.WEBHOOK, row.webhook_url
        secret = open_(Purpose.WEBHOOK_SECRET, table=TABLE, column="webhook_secret", row_id=row.feed_id, envelope=row.webhook_secret)
        payload = msgspec.json.encode(SignedPost(secret, _post(batch, ground, row.benefit, now)))
    await put(session, channel=channel, once=once, about=ABOUT, recipient=to, payload=payload, now=now)
    seen = shown(to) if channel is Channel.MAIL else to.split("/")[2]
    await _log(session, batch.batch_id, LogEvent.QUEUED, actor=actor, to=seen, message=once, now=now)


def _mail(batch: PartnerFeedBatch, ground: Ground, *, sender: str, to: str, place: int, now: datetime) -> bytes:
    lines = [
        f"第 {batch.sequence} 号名单 · List no. {batch.sequence}",
        f"新增 {batch.new}，更正 {batch.corrections}，移除 {batch.removals}",
        f"{batch.new} new, {batch.corrections} corrected, {batch.removals} to be removed",
        f"SHA-256: {batch.digest.hex()}",
        "附件以贵方公钥加密（age 格式），请用贵方私钥解密。",
        "The attached file is sealed to your public key (age format): open it with your identity.",
    ]
    subject = f"{ground.partner.name_zh} / {ground.partner.name_en}: {batch.name}"
    file = mail.Attached(batch.name, "application/octet-stream", batch.file)
    return mail.compose(
        sender=sender, to=to, subject=subject, text="\n".join(lines) + "\n", files=[file], message_id=f"{batch.batch_id}.{place}", at=now
    )


def _post(batch: PartnerFeedBatch, ground: Ground, benefit: str, now: datetime) -> str:
    data = {
        "partner": ground.partner.code,
        "benefit": benefit,
        "sequence": batch.sequence,
        "due_at": batch.due_at,
        "new": batch.new,
        "corrections": batch.corrections,
        "removals": batch.removals,
        "name": batch.name,
        "sha256": batch.digest.hex(),
        "file": base64.b64encode(batch.file).decode(),
    }
    return msgspec.json.encode({"type": ABOUT, "timestamp": now, "data": data}).decode()


async def _batch(session: AsyncSession, partner_id: UUID, batch_id: UUID) -> PartnerFeedBatch:
    batch: PartnerFeedBatch | None = await session.get(PartnerFeedBatch, batch_id)
    if batch is None or batch.partner_id != partner_id:
        raise BatchNotFound(batch=batch_id)
    return batch


async def _require_consents(session: AsyncSession, batch: PartnerFeedBatch, now: datetime) -> None:
    """Let a file out again only while everybody in it still agrees; their consents are held until it is out."""
    benefit = await session.scalar(select(PartnerFeed.benefit).where(PartnerFeed.feed_id == batch.feed_id))
    ground = await ground_of(session, partner_id=batch.partner_id, benefit=benefit or "", now=now)
    row, who = PartnerFeedRow, PartnerRegistration
    told = select(who.customer_id).join(row, row.registration_id == who.registration_id)
    customers = set(await session.scalars(told.where(row.batch_id == batch.batch_id, row.kind != RecordKind.REMOVAL)))
    agreed: set[UUID] = set()
    for some in in_parts(customers):
        found = await hold_consents(session, customer_ids=some, purpose=ground.purpose, recipient=ground.partner.code, at=now)
        agreed |= {customer_id for customer_id, declared in found.items() if declared.granted}
    if customers - agreed:
        raise FeedHoldsWithdrawn(count=len(customers - agreed))


async def _log(
    session: AsyncSession, batch_id: UUID, event: LogEvent, *, actor: str, to: str, message: str | None = None, now: datetime
) -> None:
    session.add(PartnerFeedLogLine(batch_id=batch_id, event=event, at=now, actor=actor, to=to, message=message))
    await session.flush()


def _who(actor: Actor) -> str:
    return "system" if actor.kind is ActorKind.SYSTEM else f"{actor.kind.value}:{actor.actor_id}"
