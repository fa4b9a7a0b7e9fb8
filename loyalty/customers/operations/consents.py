"""What customers consent to, and what they are asked: declarations and wordings are added, never changed."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.operations import Actor, record
from loyalty.customers.model import Consent, ConsentChannel, ConsentWording
from loyalty.errors import NotFound, Refusal
from loyalty.ids import CustomerId, uuid7

from .records import get_living_customer

_Title = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
_Text = Annotated[str, msgspec.Meta(min_length=20, max_length=2_000)]


class WordingNotFound(NotFound):
    """Nobody is asked that, or not in that version."""

    zh = "没有该用途的授权文本。"
    en = "There is no such wording of a consent."


class WordingNotSound(Refusal):
    """Who consents must be able to read to what."""

    status = 422
    zh = "授权文本“{field}”不正确。"
    en = "The wording's {field} is not right."
    next_zh = "标题不能为空，正文中英文各 20 至 2000 字，写明提供什么、给谁、做什么用、如何撤回。"
    next_en = "Give a title, and a text of 20 to 2,000 characters in both languages: what goes to whom, what for, how it is withdrawn."


class Wording(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer is asked."""

    title_zh: _Title
    title_en: _Title
    text_zh: _Text
    text_en: _Text


async def word_consent(session: AsyncSession, *, purpose: str, recipient: str, wording: Wording, actor: Actor, now: datetime) -> int:
    """Put what customers are asked from now on into words, and return its version; consents given stay good for what was read then.

    :raises WordingNotSound: if a part is missing or too long
    """
    try:
        msgspec.convert(msgspec.to_builtins(wording), Wording)
    except msgspec.ValidationError as error:
        raise WordingNotSound(field=str(error)) from None
    if not purpose.strip():
        raise WordingNotSound(field="purpose")
    key = f"consent wording {purpose} {recipient}"
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))
    one = ConsentWording
    last = await session.scalar(select(func.max(one.version)).where(one.purpose == purpose, one.recipient == recipient))
    version = int(last or 0) + 1
    said = msgspec.structs.asdict(wording)
    session.add(one(purpose=purpose, recipient=recipient, version=version, **said, made_by=actor.staff_id, made_at=now))
    await session.flush()
    facts = {"recipient": recipient, "version": version}
    await record(session, actor=actor, action="customers.consent_worded", subject=("consent", purpose), facts=facts, now=now)
    return version


async def declare_consent(
    session: AsyncSession,
    *,
    customer_id: CustomerId,
    purpose: str,
    granted: bool,
    evidence: str,
    actor: Actor,
    now: datetime,
    recipient: str = "",
    wording: int | None = None,
    channel: ConsentChannel = ConsentChannel.OFFICE,
    station_id: UUID | None = None,
) -> UUID:
    """Store that a customer gives or withdraws consent for one purpose and recipient; declarations are never changed.

    The customer's row is locked, as whoever sends by a consent locks it: what is withdrawn before a sending is not in it.

    :raises CustomerNotFound: if there is no such customer
    :raises CustomerWasMerged: if another record stands for it
    :raises WordingNotFound: if nobody is asked in that version
    """
    await get_living_customer(session, customer_id=customer_id)
    if wording is not None and await session.get(ConsentWording, (purpose, recipient, wording)) is None:
        raise WordingNotFound(purpose=purpose, version=wording)
    consent_id = uuid7(now)
    session.add(
        Consent(
            consent_id=consent_id,
            customer_id=customer_id,
            purpose=purpose,
            recipient=recipient,
            granted=granted,
            declared_at=now,
            evidence=evidence,
            staff_id=actor.staff_id,
            wording=wording,
            channel=channel,
            station_id=station_id,
        )
    )
    await session.flush()
    facts = {"purpose": purpose, "recipient": recipient, "granted": granted, "wording": wording, "channel": channel}
    await record(
        session,
        actor=actor,
        action="customers.consent_declared",
        subject=("customer", customer_id),
        station_id=station_id,
        facts=facts,
        now=now,
    )
    return consent_id
