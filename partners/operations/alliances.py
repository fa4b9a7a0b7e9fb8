"""Partners and their outlets: made, moved, paused; what stations show of them."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.money import minor_digits
from loyalty.topups.operations.traces import staff_of
from partners.model import (
    OUTLET_MOVES,
    PARTNER_MOVES,
    Category,
    OutletStatus,
    Partner,
    PartnerNotice,
    PartnerOutlet,
    PartnerStatus,
)
from partners.queries.alliances import NoticeNotFound, OutletNotFound, PartnerNotFound, agreement_on

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
_Short = Annotated[str, msgspec.Meta(max_length=200)]


class PartnerNotSound(Refusal):
    """A fact that cannot be."""

    status = 422
    zh = "商户信息“{field}”不正确。"
    en = "The {field} of the partner is not right."
    next_zh = "请改正后重试。"
    next_en = "Correct it and try again."


class CodeTaken(Refusal):
    """Codes stand in files and voucher kinds: each is one partner's, or one outlet's of a partner."""

    zh = "代码 {code} 已被使用。"
    en = "The code {code} is taken."
    next_zh = "请换一个代码。"
    next_en = "Choose another."


class PartnerCannotMove(Refusal):
    """Its present status does not lead there."""

    zh = "当前状态为 {status}，不能变为 {to}。"
    en = "It is {status} and cannot become {to}."
    next_zh = "请刷新后核对最新状态。"
    next_en = "Look at its present status first."


class NothingAgreed(Refusal):
    """An alliance begins with an agreement that two people of the issuer stand for."""

    zh = "该商户还没有生效的协议，不能启用。"
    en = "Nothing is agreed with this partner yet; the alliance cannot begin."
    next_zh = "请先起草协议并由另一人审批。"
    next_en = "Draft an agreement and have another person approve it first."


class PartnerFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the office says of a partner."""

    code: Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9][A-Z0-9-]{1,19}$")]
    name_zh: _Name
    name_en: _Name
    category: Category
    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")] = "CNY"
    zone: str = "Asia/Shanghai"
    tax_number: Annotated[str, msgspec.Meta(max_length=30)] | None = None
    contact: _Short = ""


class OutletFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is said of an outlet."""

    code: Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9][A-Z0-9-]{0,19}$")]
    name_zh: _Name
    name_en: _Name
    address: _Short = ""
    telephone: Annotated[str, msgspec.Meta(max_length=40)] = ""
    hours: _Short = ""


async def add_partner(session: AsyncSession, *, facts: PartnerFacts, actor: Actor, now: datetime) -> UUID:
    """Note a partner; nothing is redeemed before an agreement stands and the alliance begins.

    :raises PartnerNotSound: if a fact cannot be
    :raises CodeTaken: if another has the code
    """
    _sound(facts)
    _placed(facts)
    row = {"partner_id": uuid7(now), **msgspec.structs.asdict(facts), "status": PartnerStatus.PROSPECTIVE}
    made: UUID | None = await session.scalar(
        upsert(Partner)
        .values(**row, made_by=staff_of(actor), made_at=now, changed_at=now)
        .on_conflict_do_nothing(index_elements=[Partner.code])
        .returning(Partner.partner_id)
    )
    if made is None:
        raise CodeTaken(code=facts.code)
    await _trail(session, "partners.added", made, {"code": facts.code}, actor, now)
    return made


async def change_partner(session: AsyncSession, *, partner_id: UUID, facts: PartnerFacts, actor: Actor, now: datetime) -> None:
    """Correct what is said of a partner; its code, currency and zone stay.

    :raises PartnerNotFound: if there is none
    :raises PartnerNotSound: if a fact cannot be, or one that stays would change
    """
    _sound(facts)
    row = await lock_partner(session, partner_id=partner_id)
    for name in ("code", "currency", "zone"):
        if getattr(facts, name) != getattr(row, name):
            raise PartnerNotSound(field=name)
    changed = {name: value for name, value in msgspec.structs.asdict(facts).items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    row.changed_at = now
    await session.flush()
    await _trail(session, "partners.changed", partner_id, {"changed": sorted(changed)}, actor, now)


async def move_partner(
    session: AsyncSession, *, partner_id: UUID, to: PartnerStatus, today: date, reason: str, actor: Actor, now: datetime
) -> None:
    """Begin an alliance, suspend it, take it up again, end it. `today` is a day of the partner's calendar.

    :raises PartnerNotFound: if there is none
    :raises PartnerCannotMove: if its status does not lead there
    :raises NothingAgreed: if it shall be active and no agreement holds today
    """
    row = await lock_partner(session, partner_id=partner_id)
    if to not in PARTNER_MOVES[row.status]:
        raise PartnerCannotMove(status=row.status.value, to=to.value)
    if to is PartnerStatus.ACTIVE and await agreement_on(session, partner_id=partner_id, day=today) is None:
        raise NothingAgreed(partner=partner_id)
    facts = {"from": row.status.value, "to": to.value, "reason": reason}
    row.status, row.changed_at = to, now
    await session.flush()
    await _trail(session, "partners.moved", partner_id, facts, actor, now)


async def add_outlet(session: AsyncSession, *, partner_id: UUID, facts: OutletFacts, actor: Actor, now: datetime) -> UUID:
    """Note an outlet of a partner's.

    :raises PartnerNotFound: if there is no such partner
    :raises PartnerNotSound: if a fact cannot be
    :raises CodeTaken: if another outlet of the partner has the code
    """
    _sound(facts)
    await lock_partner(session, partner_id=partner_id)
    row = {"outlet_id": uuid7(now), "partner_id": partner_id, **msgspec.structs.asdict(facts), "status": OutletStatus.OPEN}
    made: UUID | None = await session.scalar(
        upsert(PartnerOutlet)
        .values(**row, made_at=now, changed_at=now)
        .on_conflict_do_nothing(index_elements=[PartnerOutlet.partner_id, PartnerOutlet.code])
        .returning(PartnerOutlet.outlet_id)
    )
    if made is None:
        raise CodeTaken(code=facts.code)
    await _trail(session, "partners.outlet_added", partner_id, {"outlet": made, "code": facts.code}, actor, now)
    return made


async def change_outlet(
    session: AsyncSession, *, partner_id: UUID, outlet_id: UUID, facts: OutletFacts, actor: Actor, now: datetime
) -> None:
    """Correct what is said of an outlet; its code stays: vouchers and lines name it.

    :raises OutletNotFound: if the partner has no such outlet
    :raises PartnerNotSound: if a fact cannot be, or the code would change
    """
    _sound(facts)
    row = await _locked_outlet(session, partner_id, outlet_id)
    if facts.code != row.code:
        raise PartnerNotSound(field="code")
    changed = {name: value for name, value in msgspec.structs.asdict(facts).items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    row.changed_at = now
    await session.flush()
    await _trail(session, "partners.outlet_changed", partner_id, {"outlet": outlet_id, "changed": sorted(changed)}, actor, now)


async def move_outlet(
    session: AsyncSession,
    *,
    partner_id: UUID,
    outlet_id: UUID,
    to: OutletStatus,
    reason: str = "",
    until: datetime | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """Open an outlet, pause it with a reason that customers read, close it.

    :raises OutletNotFound: if the partner has no such outlet
    :raises PartnerCannotMove: if its status does not lead there
    :raises PartnerNotSound: if it is paused without a reason, or until an instant that is over
    """
    row = await _locked_outlet(session, partner_id, outlet_id)
    if to is OutletStatus.PAUSED and not reason.strip():
        raise PartnerNotSound(field="reason")
    if until is not None and until <= now:
        raise PartnerNotSound(field="until")
    if to not in OUTLET_MOVES[row.status]:
        raise PartnerCannotMove(status=row.status.value, to=to.value)
    facts = {"outlet": outlet_id, "from": row.status.value, "to": to.value, "reason": reason}
    paused = to is OutletStatus.PAUSED
    row.status, row.changed_at = to, now
    row.why_paused, row.paused_until = (reason, until) if paused else (None, None)
    await session.flush()
    await _trail(session, "partners.outlet_moved", partner_id, facts, actor, now)


async def add_notice(
    session: AsyncSession, *, partner_id: UUID, text_zh: str, text_en: str, first: date, end: date, actor: Actor, now: datetime
) -> UUID:
    """Let stations and portals show something of a partner on the days `[first, end)`.

    :raises PartnerNotFound: if there is no such partner
    :raises PartnerNotSound: if it says nothing, or its days are none
    """
    await lock_partner(session, partner_id=partner_id)
    if not text_zh.strip() or not text_en.strip():
        raise PartnerNotSound(field="text")
    if end <= first:
        raise PartnerNotSound(field="days")
    made = PartnerNotice(
        notice_id=uuid7(now),
        partner_id=partner_id,
        text_zh=text_zh.strip(),
        text_en=text_en.strip(),
        first_day=first,
        end_day=end,
        made_by=staff_of(actor),
        made_at=now,
    )
    session.add(made)
    await session.flush()
    await _trail(session, "partners.notice_added", partner_id, {"notice": made.notice_id}, actor, now)
    return made.notice_id


async def end_notice(session: AsyncSession, *, partner_id: UUID, notice_id: UUID, actor: Actor, now: datetime) -> None:
    """Show a notice no longer; one that ended already stays as it is.

    :raises NoticeNotFound: if the partner has no such notice
    """
    row: PartnerNotice | None = await session.scalar(locked(select(PartnerNotice).where(PartnerNotice.notice_id == notice_id)))
    if row is None or row.partner_id != partner_id:
        raise NoticeNotFound(notice=notice_id)
    if row.ended_at is not None:
        return
    row.ended_at = now
    await session.flush()
    await _trail(session, "partners.notice_ended", partner_id, {"notice": notice_id}, actor, now)


async def lock_partner(session: AsyncSession, *, partner_id: UUID) -> Partner:
    """Lock a partner: what is agreed with it changes one at a time.

    :raises PartnerNotFound: if there is none
    """
    row: Partner | None = await session.scalar(locked(select(Partner).where(Partner.partner_id == partner_id)))
    if row is None:
        raise PartnerNotFound(partner=partner_id)
    return row


async def _locked_outlet(session: AsyncSession, partner_id: UUID, outlet_id: UUID) -> PartnerOutlet:
    row: PartnerOutlet | None = await session.scalar(locked(select(PartnerOutlet).where(PartnerOutlet.outlet_id == outlet_id)))
    if row is None or row.partner_id != partner_id:
        raise OutletNotFound(outlet=outlet_id)
    return row


def _placed(facts: PartnerFacts) -> None:
    """Refuse a zone without a calendar, and a currency without a minor unit: everything that is settled stands on both."""
    try:
        ZoneInfo(facts.zone)
    except (ValueError, OSError, KeyError):
        raise PartnerNotSound(field="zone") from None
    try:
        minor_digits(facts.currency)
    except KeyError:
        raise PartnerNotSound(field="currency") from None


def _sound(facts: msgspec.Struct) -> None:
    try:
        msgspec.convert(msgspec.to_builtins(facts), type(facts))
    except msgspec.ValidationError as error:
        raise PartnerNotSound(field=str(error)) from None


async def _trail(session: AsyncSession, action: str, partner_id: UUID, facts: dict[str, Any], actor: Actor, now: datetime) -> None:
    await audit.record(session, actor=actor, action=action, subject=("partner", partner_id), facts=facts, now=now)
