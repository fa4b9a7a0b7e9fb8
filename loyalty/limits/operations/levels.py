"""Whose limits a chain of cards stands under, what many share, and what is lifted for a while."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.cards import operations as cards
from loyalty.db import locked
from loyalty.errors import NotFound, Refusal
from loyalty.ids import uuid7
from loyalty.limits.model import Level, LimitChain, LimitProfile, LimitRelease, LimitSetRow, Needs

from .setting import compile_subject, lock_set

NOTHING_NEEDED: Final = Needs(0)
RELEASE_MOST: Final = timedelta(hours=24)
"""A release is a day at most: what is needed longer is another limit."""


class ProfileNotFound(NotFound):
    zh = "没有找到该限额方案。"
    en = "There is no such profile of limits."


class ProfileNameTaken(Refusal):
    status = 409
    zh = "已有同名的限额方案。"
    en = "There is a profile of this name already."
    next_zh = "请换一个名称。"
    next_en = "Choose another name."


class ReleaseNotFound(NotFound):
    zh = "没有找到该临时放行。"
    en = "There is no such release."


class ReleaseTooLong(Refusal):
    """A release ends after 24 hours at the latest."""

    status = 422
    zh = "临时放行最长 24 小时。"
    en = "A release lasts 24 hours at most."
    next_zh = "需要更长时间请修改限额。"
    next_en = "Change the limit if it is needed for longer."


class Over(NamedTuple):
    """Under whom a chain stands: departments from the nearest up. `needs` None: as it stands, or nothing."""

    chain_id: UUID
    department_ids: Sequence[UUID] = ()
    vehicle_id: UUID | None = None
    driver_id: UUID | None = None
    needs: Needs | None = None


async def set_chain(
    session: AsyncSession,
    *,
    chain_id: UUID,
    account_id: UUID,
    company_id: UUID,
    department_ids: Sequence[UUID] = (),
    vehicle_id: UUID | None = None,
    driver_id: UUID | None = None,
    needs: Needs | None = None,
    actor: Actor,
    now: datetime,
) -> None:
    """Say under whose limits a chain stands: its company, departments from the nearest up, vehicle, driver. It binds from the commit on."""
    over = Over(chain_id, department_ids, vehicle_id, driver_id, needs)
    await set_chains(session, account_id=account_id, company_id=company_id, chains=[over], actor=actor, now=now)


async def set_chains(
    session: AsyncSession, *, account_id: UUID, company_id: UUID, chains: Sequence[Over], actor: Actor, now: datetime
) -> None:
    """Say under whose limits many chains of one company stand, set-based, as `set_chain` does."""
    for said in (True, False):
        values = [_standing(one, account_id, company_id, now) for one in chains if (one.needs is not None) is said]
        if not values:
            continue
        statement = upsert(LimitChain)
        changed = {name: statement.excluded[name] for name in values[0] if name != "chain_id" and (said or name != "needs")}
        await session.execute(statement.on_conflict_do_update(index_elements=[LimitChain.chain_id], set_=changed), values)
    await cards.touch_chains(session, chain_ids=[one.chain_id for one in chains], actor=actor, now=now)


def _standing(one: Over, account_id: UUID, company_id: UUID, now: datetime) -> dict[str, Any]:
    over = [(company_id, Level.COMPANY), *((department_id, Level.DEPARTMENT) for department_id in one.department_ids)]
    over += [(who, level) for who, level in ((one.vehicle_id, Level.VEHICLE), (one.driver_id, Level.DRIVER)) if who is not None]
    return {
        "chain_id": one.chain_id,
        "account_id": account_id,
        "company_id": company_id,
        "subjects": [subject for subject, _ in over],
        "levels": [int(level) for _, level in over],
        "needs": int(NOTHING_NEEDED if one.needs is None else one.needs),
        "updated_at": now,
    }


async def ask_permits(session: AsyncSession, *, company_id: UUID, chains: Mapping[UUID, bool], actor: Actor, now: datetime) -> int:
    """Say of chains whether each use needs a permit because of where the card is, set-based; return of how many that changed.

    What the company asks for by its own choice (`set_needs`) stands beside it and is not touched.
    """
    changed: list[UUID] = []
    for asked in (True, False):
        wanted = LimitChain.needs.bitwise_or(int(Needs.PERMIT)) if asked else LimitChain.needs.bitwise_and(~int(Needs.PERMIT))
        mine = [chain_id for chain_id, said in chains.items() if said is asked]
        statement = update(LimitChain).where(LimitChain.company_id == company_id, LimitChain.chain_id.in_(mine), LimitChain.needs != wanted)
        changed += await session.scalars(statement.values(needs=wanted, updated_at=now).returning(LimitChain.chain_id))
    if changed:
        await cards.touch_chains(session, chain_ids=changed, actor=actor, now=now)
    return len(changed)


async def forget_chain(session: AsyncSession, *, chain_id: UUID, actor: Actor, now: datetime) -> None:
    """Let a chain stand under nobody's limits but its own."""
    await session.execute(delete(LimitChain).where(LimitChain.chain_id == chain_id))
    await cards.touch_chain(session, chain_id=chain_id, actor=actor, now=now)


async def make_profile(session: AsyncSession, *, company_id: UUID, name: str, actor: Actor, now: datetime) -> UUID:
    """Make a profile; its limits are set as any subject's (`replace_limits` with its id).

    :raises ProfileNameTaken: if the company has one of this name
    """
    profile = LimitProfile(profile_id=uuid7(now), company_id=company_id, name=name, created_at=now, closed_at=None)
    taken = select(LimitProfile.profile_id).where(
        LimitProfile.company_id == company_id, LimitProfile.name == name, LimitProfile.closed_at.is_(None)
    )
    if await session.scalar(taken) is not None:
        raise ProfileNameTaken(name=name)
    session.add(profile)
    await session.flush()
    facts = {"company": str(company_id), "name": name}
    await audit.record(
        session, actor=actor, action="limits.profile_made", subject=("limit_profile", profile.profile_id), facts=facts, now=now
    )
    return profile.profile_id


async def use_profile(
    session: AsyncSession, *, company_id: UUID, subject_id: UUID, profile_id: UUID | None, actor: Actor, now: datetime
) -> None:
    """Give a subject (a chain, vehicle, driver, department, company) a profile's limits besides its own; None: its own alone.

    :raises ProfileNotFound: if the company has no such profile
    """
    if profile_id is not None:
        await _profile(session, company_id=company_id, profile_id=profile_id)
    kept = await lock_set(session, subject_id=subject_id, now=now)
    kept.profile_id = profile_id
    await session.flush()
    await compile_subject(session, subject_id=subject_id, actor=actor, now=now)
    facts = {"profile": None if profile_id is None else str(profile_id)}
    await audit.record(session, actor=actor, action="limits.profile_used", subject=("limit_subject", subject_id), facts=facts, now=now)


async def close_profile(session: AsyncSession, *, company_id: UUID, profile_id: UUID, actor: Actor, now: datetime) -> None:
    """Take a profile away, from all who use it too.

    :raises ProfileNotFound: if the company has no such profile
    """
    profile = await _profile(session, company_id=company_id, profile_id=profile_id)
    users = select(LimitSetRow.subject_id).where(LimitSetRow.profile_id == profile_id).order_by(LimitSetRow.subject_id)
    for subject_id in list(await session.scalars(users)):
        await use_profile(session, company_id=company_id, subject_id=subject_id, profile_id=None, actor=actor, now=now)
    profile.closed_at = now
    await session.flush()
    await audit.record(session, actor=actor, action="limits.profile_closed", subject=("limit_profile", profile_id), facts={}, now=now)


async def release(
    session: AsyncSession,
    *,
    chain_id: UUID,
    limits: Sequence[str] | None,
    until: datetime,
    reason: str,
    minor_max: int | None = None,
    milli_max: int | None = None,
    once: bool = False,
    approval_id: UUID | None = None,
    actor: Actor,
    now: datetime,
) -> UUID:
    """Let what these limits (names as refusals give them; None: all) block pass with a flag until `until`; return the release's id.

    `minor_max`, `milli_max`: the most that one fill may take under it. `once`: the chain's next fill uses it up.

    :raises ReleaseTooLong: if it would last longer than 24 hours
    :raises NotFound: if the chain belongs to no company
    """
    if not now < until <= now + RELEASE_MOST:
        raise ReleaseTooLong
    chain = await session.get(LimitChain, chain_id)
    if chain is None:
        raise NotFound(chain=chain_id)
    row = LimitRelease(
        release_id=uuid7(now),
        company_id=chain.company_id,
        account_id=chain.account_id,
        chain_id=chain_id,
        limits=None if limits is None else list(limits),
        valid_from=now,
        valid_until=until,
        minor_max=minor_max,
        milli_max=milli_max,
        once=once,
        reason=reason,
        approval_id=approval_id,
        created_by_kind=actor.kind.value,
        created_by_id=str(actor.actor_id),
        created_at=now,
        ended_at=None,
    )
    session.add(row)
    await session.flush()
    await cards.touch_chain(session, chain_id=chain_id, actor=actor, now=now)
    facts = {"limits": row.limits, "until": until.isoformat(), "once": once, "reason": reason}
    await audit.record(session, actor=actor, action="limits.released", subject=("limit_subject", chain_id), facts=facts, now=now)
    return row.release_id


async def end_release(session: AsyncSession, *, company_id: UUID, release_id: UUID, actor: Actor, now: datetime) -> None:
    """End a release before its time.

    :raises ReleaseNotFound: if the company has none that stands
    """
    row = await session.scalar(locked(select(LimitRelease).where(LimitRelease.release_id == release_id)))
    if row is None or row.company_id != company_id or row.ended_at is not None:
        raise ReleaseNotFound(release=release_id)
    row.ended_at = now
    await session.flush()
    await cards.touch_chain(session, chain_id=row.chain_id, actor=actor, now=now)
    await audit.record(session, actor=actor, action="limits.release_ended", subject=("limit_subject", row.chain_id), facts={}, now=now)


async def _profile(session: AsyncSession, *, company_id: UUID, profile_id: UUID) -> LimitProfile:
    found: LimitProfile | None = await session.scalar(locked(select(LimitProfile).where(LimitProfile.profile_id == profile_id)))
    if found is None or found.company_id != company_id or found.closed_at is not None:
        raise ProfileNotFound(profile=profile_id)
    return found
