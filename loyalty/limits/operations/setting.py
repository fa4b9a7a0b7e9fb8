"""Writing limits: typed rows, the document compiled from them, and the version of the cards they bind, in one transaction."""

from collections.abc import Sequence
from datetime import datetime, time
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.cards import operations as cards
from loyalty.cards import queries as card_queries
from loyalty.errors import NotFound, Refusal
from loyalty.ids import uuid7
from loyalty.limits.compiling import LimitRow, compile_rows, next_change
from loyalty.limits.model import CardLimit, ChangeKind, LimitKind, LimitSetRow, Needs, Reaction, Window
from loyalty.limits.queries import get_set_for_update, standing_changes, standing_limits, users_of_profile
from loyalty.limits.rules import Closed, LimitSet, More, plate_key

_WINDOWED = {LimitKind.AMOUNT, LimitKind.QUANTITY, LimitKind.COUNT}
_COUNTED = {*_WINDOWED, LimitKind.MIN_INTERVAL, LimitKind.TANK}
_LISTED = {LimitKind.GRADES, LimitKind.SHOP, LimitKind.STATIONS, LimitKind.DISTRICTS, LimitKind.REGIONS, LimitKind.PLATE}
_PLACES = {LimitKind.STATIONS, LimitKind.DISTRICTS, LimitKind.REGIONS}


class LimitNotFound(NotFound):
    zh = "没有找到该限制。"
    en = "There is no such limit."


class LimitNotSound(Refusal):
    """A limit that says nothing, or something that cannot be."""

    status = 422
    zh = "限制 {kind} 的 {field} 不正确。"
    en = "The {field} of the limit {kind} is not right."
    next_zh = "请改正后再提交。"
    next_en = "Correct it and submit again."


class PlateLimitNeedsPin(Refusal):
    """Reading out a plate proves nothing by itself: a plate limit requires a PIN (domain notes, limits)."""

    zh = "限车牌的卡必须启用密码。"
    en = "A card limited to a plate must have a PIN."
    next_zh = "请先为该卡设置密码。"
    next_en = "Set a PIN on the card first."


class NewLimit(NamedTuple):
    """One limit as it is asked for.

    `value`: minor units, thousandths, times or seconds, as the kind says. `codes`: grades, shop categories, ids of places as text,
    or the one plate. `days` and the two times (half-open) belong to hours; no days: every day.
    """

    kind: LimitKind
    window: Window | None = None
    value: int | None = None
    codes: tuple[str, ...] | None = None
    days: tuple[int, ...] | None = None
    from_time: time | None = None
    to_time: time | None = None
    reaction: Reaction = Reaction.BLOCK
    valid_from: datetime | None = None
    valid_to: datetime | None = None


async def add_limit(session: AsyncSession, *, subject_id: UUID, limit: NewLimit, actor: Actor, now: datetime) -> UUID:
    """Add a limit to a subject (a chain of cards) and return its id; it binds from the commit on.

    :raises LimitNotSound: if it says nothing, or something that cannot be
    :raises PlateLimitNeedsPin: if it is a plate and a card of the chain has no PIN
    """
    (limit_id,) = await _change(session, subject_id=subject_id, add=[limit], end=[], actor=actor, now=now)
    return limit_id


async def end_limit(session: AsyncSession, *, limit_id: UUID, actor: Actor, now: datetime) -> None:
    """Take a limit away.

    :raises LimitNotFound: if there is none, or it has ended
    """
    row = await session.get(CardLimit, limit_id)
    if row is None or row.ended_at is not None:
        raise LimitNotFound(limit=limit_id)
    await _change(session, subject_id=row.subject_id, add=[], end=[limit_id], actor=actor, now=now)


async def replace_limits(session: AsyncSession, *, subject_id: UUID, limits: Sequence[NewLimit], actor: Actor, now: datetime) -> list[UUID]:
    """Put these limits in the place of all that a subject has; return their ids, in order. None takes all limits away.

    :raises LimitNotSound: if one says nothing, or something that cannot be
    :raises PlateLimitNeedsPin: if one is a plate and a card of the chain has no PIN
    """
    standing = [row.limit_id for row in await standing_limits(session, subject_id=subject_id)]
    return await _change(session, subject_id=subject_id, add=limits, end=standing, actor=actor, now=now)


async def compile_due(session: AsyncSession, *, actor: Actor, now: datetime, at_most: int = 500) -> int:
    """Compile anew the subjects of whom a limit begins or ends by itself about now; return how many. A job calls it every minute."""
    due = select(LimitSetRow.subject_id).where(LimitSetRow.next_change_at <= now).order_by(LimitSetRow.subject_id).limit(at_most)
    subjects = list(await session.scalars(due.with_for_update(skip_locked=True)))
    for subject_id in subjects:
        await compile_subject(session, subject_id=subject_id, actor=actor, now=now)
    return len(subjects)


async def _change(
    session: AsyncSession, *, subject_id: UUID, add: Sequence[NewLimit], end: Sequence[UUID], actor: Actor, now: datetime
) -> list[UUID]:
    for limit in add:
        _refuse_unsound(limit)
    await lock_set(session, subject_id=subject_id, now=now)
    if any(limit.kind is LimitKind.PLATE and limit.reaction is Reaction.BLOCK for limit in add):
        await _require_pin(session, subject_id=subject_id)
    for row in await session.scalars(select(CardLimit).where(CardLimit.limit_id.in_(end), CardLimit.ended_at.is_(None))):
        row.ended_at = now
    made = [_row(limit, subject_id=subject_id, actor=actor, now=now) for limit in add]
    session.add_all(made)
    await session.flush()
    await compile_subject(session, subject_id=subject_id, actor=actor, now=now)
    facts = {"added": [f"{limit.window}.{limit.kind}" if limit.window else limit.kind for limit in add], "ended": list(end)}
    await audit.record(session, actor=actor, action="limits.changed", subject=("limit_subject", subject_id), facts=facts, now=now)
    return [row.limit_id for row in made]


async def lock_set(session: AsyncSession, *, subject_id: UUID, now: datetime) -> LimitSetRow:
    """Lock a subject's set, made where there is none."""
    await session.execute(
        upsert(LimitSetRow)
        .values(subject_id=subject_id, revision=0, compiled={}, next_change_at=None, updated_at=now)
        .on_conflict_do_nothing(index_elements=[LimitSetRow.subject_id])
    )
    return await get_set_for_update(session, subject_id=subject_id)


async def compile_subject(session: AsyncSession, *, subject_id: UUID, actor: Actor, now: datetime) -> LimitSet:
    """Rebuild a locked subject's document from its rows, and raise the version of the cards it binds."""
    kept = await get_set_for_update(session, subject_id=subject_id)
    rows = [limit_row(row) for row in await standing_limits(session, subject_id=subject_id)]
    if kept.profile_id is not None:
        rows += [limit_row(row) for row in await standing_limits(session, subject_id=kept.profile_id)]
    changes = await standing_changes(session, subject_id=subject_id, now=now)
    more = [
        More(one.valid_from, one.valid_to, one.percent or 0, one.amount_minor or 0, one.quantity_milli or 0)
        for one in changes
        if one.kind is ChangeKind.MORE
    ]
    closed = [Closed(one.valid_from, one.valid_to) for one in changes if one.kind is ChangeKind.BLOCK]
    document = compile_rows(rows, now=now, more=more, closed=closed, needs=kept.needs)
    kept.compiled = msgspec.convert(msgspec.to_builtins(document), dict[str, object])
    kept.revision += 1
    kept.next_change_at = next_change(rows, now=now, dated=[*more, *closed])
    kept.updated_at = now
    await session.flush()
    await cards.touch_chain(session, chain_id=subject_id, actor=actor, now=now)
    for user in await users_of_profile(session, profile_id=subject_id):
        await compile_subject(session, subject_id=user, actor=actor, now=now)
    return document


async def set_needs(session: AsyncSession, *, subject_id: UUID, needs: Needs, actor: Actor, now: datetime) -> None:
    """Say what must be said or shown with the cards of a subject (a chain, vehicle, driver, department, company), besides their own PIN.

    What is asked for at any level over a card is asked for.
    """
    kept = await lock_set(session, subject_id=subject_id, now=now)
    if kept.needs == needs:
        return
    facts = {"from": kept.needs, "to": int(needs)}
    kept.needs = int(needs)
    await session.flush()
    await compile_subject(session, subject_id=subject_id, actor=actor, now=now)
    await audit.record(session, actor=actor, action="limits.needs_set", subject=("limit_subject", subject_id), facts=facts, now=now)


async def _require_pin(session: AsyncSession, *, subject_id: UUID) -> None:
    for card in await card_queries.chain_of(session, chain_id=subject_id, living=True):
        product = await card_queries.get_product(session, product_id=card.product_id)
        if card.pin_verifier is None and not product.pin_required:
            raise PlateLimitNeedsPin(card=card.card_id)


def limit_row(row: CardLimit) -> LimitRow:
    """Return a stored limit as the rules read it."""
    return LimitRow(
        kind=row.kind,
        window=row.window,
        value=row.value,
        codes=None if row.codes is None else tuple(row.codes),
        days=None if row.days is None else tuple(row.days),
        from_time=row.from_time,
        to_time=row.to_time,
        reaction=row.reaction,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
    )


def _row(limit: NewLimit, *, subject_id: UUID, actor: Actor, now: datetime) -> CardLimit:
    codes = None if limit.codes is None else list(limit.codes)
    if codes and limit.kind is LimitKind.PLATE:
        codes = [plate_key(codes[0])]
    return CardLimit(
        limit_id=uuid7(now),
        subject_id=subject_id,
        kind=limit.kind,
        window=limit.window,
        value=limit.value,
        codes=codes,
        days=None if limit.days is None else sorted(set(limit.days)),
        from_time=limit.from_time,
        to_time=limit.to_time,
        reaction=limit.reaction,
        valid_from=limit.valid_from or now,
        valid_to=limit.valid_to,
        created_by_kind=actor.kind,
        created_by_id=str(actor.actor_id),
        created_at=now,
    )


def _refuse_unsound(limit: NewLimit) -> None:
    kind = limit.kind
    wrong = {
        "window": (limit.window is not None) != (kind in _WINDOWED),
        "value": (limit.value is not None) != (kind in _COUNTED) or (limit.value or 0) < 0,
        "codes": (limit.codes is not None) != (kind in _LISTED) or (kind is LimitKind.PLATE and len(limit.codes or ()) != 1),
        "days": limit.days is not None and (kind is not LimitKind.HOURS or not limit.days or not set(limit.days) <= set(range(1, 8))),
        "from_time": (limit.from_time is not None) != (kind is LimitKind.HOURS),
        "to_time": (limit.to_time is not None) != (kind is LimitKind.HOURS),
        "valid_to": limit.valid_to is not None and limit.valid_from is not None and limit.valid_to <= limit.valid_from,
    }
    if kind in _PLACES and limit.codes is not None:
        wrong["codes"] = wrong["codes"] or not all(_is_id(code) for code in limit.codes)
    if kind is LimitKind.PLATE and limit.codes:
        wrong["codes"] = wrong["codes"] or not plate_key(limit.codes[0])
    for field, is_wrong in wrong.items():
        if is_wrong:
            raise LimitNotSound(kind=kind.value, field=field)


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
