"""Making and changing kinds of vouchers."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.db import locked
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.money import minor_digits
from loyalty.rewards.model_vouchers import EVERYBODY, ValueType, VoucherCounter, VoucherKind
from loyalty.rewards.queries.vouchers import get_kind_for_update

Code = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,47}$")]
Named = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
Terms = Annotated[str, msgspec.Meta(max_length=4000)]
Whole = Annotated[int, msgspec.Meta(gt=0, le=2_000_000_000)]
OutletName = Annotated[str, msgspec.Meta(pattern=r"^(any|stations|(station|district|region|partner):\S{1,64})$")]
FunderName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._:-]{0,63}$")]

_FIXED: Final = ("value_type", "item", "currency", "plate_bound")
"""What a voucher that is out does not carry itself: it would change with its kind."""


class KindNotWhole(Refusal):
    """A money voucher has a face value and a currency, another has neither; it ends after days or on a day, not both."""

    status = 422
    zh = "券种条款不完整或互相矛盾：{fault}。"
    en = "The kind's terms are not whole or contradict each other: {fault}."
    next_zh = "请核对面值与币种、有效期和可用网点。"
    next_en = "Check face value and currency, validity and outlets."


class KindInUse(Refusal):
    """Vouchers of this kind are out, and what they are worth does not change any more."""

    zh = "该券种已发放，{field} 不能再改。"
    en = "Vouchers of this kind are out: {field} does not change any more."
    next_zh = "请另建一个券种，并停用此券种。"
    next_en = "Make another kind and stop this one."


class LimitBelowIssued(Refusal):
    """There are more out already."""

    zh = "已发放 {issued} 张，总限额不能改为 {limit}。"
    en = "{issued} are out already: the limit cannot be {limit}."
    next_zh = "请设为不小于已发放数量，或停用该券种。"
    next_en = "Set it no lower, or stop the kind."


class FunderShare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who bears it, in which proportion."""

    funder: FunderName
    parts: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1


class KindFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind as it is written: amounts in minor units, days counted from the day of issue."""

    name_zh: Named
    name_en: Named
    value_type: ValueType
    zone: str
    item: Named | None = None
    face_minor: Whole | None = None
    currency: str | None = None
    validity_days: Annotated[int, msgspec.Meta(gt=0, le=3660)] | None = None
    ends_at: datetime | None = None
    plate_bound: bool = False
    partial: bool = False
    online_only: bool = False
    limit_total: Whole | None = None
    limit_each: Whole | None = None
    outlets: Annotated[tuple[OutletName, ...], msgspec.Meta(min_length=1, max_length=200)] = ("stations",)
    terms_zh: Terms = ""
    terms_en: Terms = ""
    funders: Annotated[tuple[FunderShare, ...], msgspec.Meta(min_length=1, max_length=6)] = (FunderShare("head-office"),)
    rollback_minutes: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 60
    active: bool = True


async def put_kind(session: AsyncSession, *, code: str, facts: KindFacts, actor: Actor, now: datetime) -> UUID:
    """Make a kind of voucher, or change its terms for vouchers that are still to be issued; return its id.

    :raises KindNotWhole: if the terms contradict each other
    :raises KindInUse: if vouchers are out and a change would alter what they are worth
    :raises LimitBelowIssued: if more are out than the new limit
    """
    _require_whole(code, facts)
    values = {name: getattr(facts, name) for name in KindFacts.__struct_fields__}
    values |= {"outlets": list(facts.outlets), "funders": [[share.funder, share.parts] for share in facts.funders]}
    made: UUID | None = await session.scalar(
        upsert(VoucherKind)
        .values(kind_id=uuid7(now), code=code, made_by=actor.staff_id, made_at=now, changed_at=now, **values)
        .on_conflict_do_nothing(index_elements=["code"])
        .returning(VoucherKind.kind_id)
    )
    if made is not None:
        counter = {"kind_id": made, "subject_id": EVERYBODY, "at_most": facts.limit_total, "issued": 0}
        await session.execute(upsert(VoucherCounter).values(**counter))
        await _record(session, "rewards.voucher_kind_made", made, code, actor, now)
        return made
    kind = await get_kind_for_update(session, code=code)
    await _set_limits(session, kind, facts)
    for name, value in values.items():
        setattr(kind, name, value)
    kind.changed_at = now
    await session.flush()
    await _record(session, "rewards.voucher_kind_changed", kind.kind_id, code, actor, now)
    return kind.kind_id


async def stop_kind(session: AsyncSession, *, code: str, active: bool, actor: Actor, now: datetime) -> None:
    """Stop issuing a kind, or go on; what is out stays good.

    :raises VoucherKindNotFound: if there is none of this code
    """
    kind = await get_kind_for_update(session, code=code)
    kind.active, kind.changed_at = active, now
    await session.flush()
    await _record(session, "rewards.voucher_kind_changed", kind.kind_id, code, actor, now)


async def _set_limits(session: AsyncSession, kind: VoucherKind, facts: KindFacts) -> None:
    """Hold a kind's new limits against what is out; nobody issues of it meanwhile, since its counter is locked."""
    everybody = select(VoucherCounter).where(VoucherCounter.kind_id == kind.kind_id, VoucherCounter.subject_id == EVERYBODY)
    counter = (await session.scalars(locked(everybody))).one()
    if counter.issued:
        for name in _FIXED:
            if getattr(kind, name) != getattr(facts, name):
                raise KindInUse(field=name)
        if (kind.limit_each is None) != (facts.limit_each is None):
            raise KindInUse(field="limit_each")
    if facts.limit_total is not None and facts.limit_total < counter.issued:
        raise LimitBelowIssued(issued=counter.issued, limit=facts.limit_total)
    counter.at_most = facts.limit_total
    if facts.limit_each != kind.limit_each:
        # Who has more already keeps it and gets no more.
        await session.execute(
            update(VoucherCounter)
            .where(VoucherCounter.kind_id == kind.kind_id, VoucherCounter.subject_id != EVERYBODY)
            .values(at_most=None if facts.limit_each is None else func.greatest(VoucherCounter.issued, facts.limit_each))
        )


def _require_whole(code: str, facts: KindFacts) -> None:
    try:
        msgspec.convert(code, Code)
        msgspec.convert(msgspec.to_builtins(facts), KindFacts)
        ZoneInfo(facts.zone)
    except (msgspec.ValidationError, ZoneInfoNotFoundError, ValueError) as error:
        raise KindNotWhole(fault=str(error)) from None
    money = facts.value_type is ValueType.MONEY
    if money != (facts.face_minor is not None) or money != (facts.currency is not None):
        raise KindNotWhole(fault="face_minor, currency")
    if facts.partial and not money:
        raise KindNotWhole(fault="partial")
    if facts.validity_days is not None and facts.ends_at is not None:
        raise KindNotWhole(fault="validity_days, ends_at")
    if facts.currency is not None:
        try:
            minor_digits(facts.currency)
        except KeyError:
            raise KindNotWhole(fault="currency") from None


async def _record(session: AsyncSession, action: str, kind_id: UUID, code: str, actor: Actor, now: datetime) -> None:
    await audit.record(session, actor=actor, action=action, subject=("voucher_kind", kind_id), facts={"code": code}, now=now)
