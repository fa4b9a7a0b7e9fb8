"""Referral: programmes, who was brought, and what is paid for it: once, and never to the customer's own other self."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.clock import day_bounds, local_date
from loyalty.customers.queries import family_of, survivors_of
from loyalty.db import locked
from loyalty.errors import NotAllowed, Refusal
from loyalty.ids import CustomerId, uuid7
from loyalty.money import POINTS, minor_digits
from loyalty.rewards.model_grants import GrantKind
from loyalty.rewards.model_referrals import REFERRAL_MOVES, Referral, ReferralProgramme, ReferralReward, ReferralStatus
from loyalty.rewards.queries.gifts import gifts_by_code
from loyalty.rewards.queries.referrals import (
    account_to_pay,
    get_programme_for_update,
    get_referral_for_update,
    paid_before,
    progress_of,
    rewarded_for,
    same_hands,
)
from loyalty.rewards.queries.vouchers import kinds_by_code
from loyalty.rewards.referral_rules import Code, Milestone, Named, Reward, RewardKind, Side, Span, counted_span, reached

from .gifts import GiftWish, grant_gifts
from .grants import give
from .voucher_kinds import FunderShare
from .vouchers import VoucherWish, issue

SOURCE = "referral"
Days = Annotated[int, msgspec.Meta(gt=0, le=3660)]


class ProgrammeNotWhole(Refusal):
    """A reward names a thing that there is not, a milestone twice, or nothing at all is given."""

    status = 422
    zh = "推荐活动条款不完整或有误：{fault}。"
    en = "The programme's terms are not whole: {fault}."
    next_zh = "请核对里程碑、奖励、币种和有效期。"
    next_en = "Check milestones, rewards, currency and validity."


class ReferralCannotMove(Refusal):
    """The referral's present status does not lead there."""

    zh = "推荐记录当前状态为 {status}，不能变为 {to}。"
    en = "The referral is {status} and cannot become {to}."
    next_zh = "请刷新后核对最新状态。"
    next_en = "Look at its present status first."


class ProgrammeFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A programme as it is written. One-sided where milestones reward one side only."""

    name_zh: Named
    name_en: Named
    currency: str
    zone: str
    milestones: Annotated[tuple[Milestone, ...], msgspec.Meta(min_length=1, max_length=10)]
    starts_at: datetime
    ends_at: datetime | None = None
    funders: Annotated[tuple[FunderShare, ...], msgspec.Meta(min_length=1, max_length=6)] = (FunderShare("head-office"),)
    within_days: Days | None = None
    wait_days: Annotated[int, msgspec.Meta(ge=0, le=366)] = 0
    most_each: Annotated[int, msgspec.Meta(gt=0, le=100_000)] | None = None
    active: bool = True


async def put_programme(session: AsyncSession, *, code: str, facts: ProgrammeFacts, actor: Actor, now: datetime) -> UUID:
    """Make a programme or change it; return its id. What was paid stays; a changed milestone is looked at anew where it was not.

    :raises ProgrammeNotWhole: if its terms do not fit together
    """
    await _require_whole(session, code, facts)
    values: dict[str, Any] = {name: getattr(facts, name) for name in ProgrammeFacts.__struct_fields__}
    values["milestones"] = msgspec.to_builtins(facts.milestones)
    values["funders"] = [[share.funder, share.parts] for share in facts.funders]
    programme_id: UUID | None = await session.scalar(
        upsert(ReferralProgramme)
        .values(programme_id=uuid7(now), code=code, made_by=actor.staff_id, made_at=now, changed_at=now, **values)
        .on_conflict_do_nothing(index_elements=["code"])
        .returning(ReferralProgramme.programme_id)
    )
    action = "rewards.referral_programme_made"
    if programme_id is None:
        programme = await get_programme_for_update(session, code=code)
        for name, value in values.items():
            setattr(programme, name, value)
        programme.changed_at = now
        programme_id, action = programme.programme_id, "rewards.referral_programme_changed"
        await session.flush()
    await audit.record(session, actor=actor, action=action, subject=("referral_programme", programme_id), facts={"code": code}, now=now)
    return programme_id


_FIND = text(
    """
    INSERT INTO referrals (referral_id, programme_id, referrer_id, referee_id, status, fault, joined_at, looked_at)
    SELECT overlay(gen_random_uuid()::text placing :front from 1 for 15)::uuid, :programme_id, c.referrer_id, c.customer_id,
        CASE WHEN faulty.fault IS NULL THEN 'open' ELSE 'held' END, faulty.fault, c.created_at, :early
    FROM customers c JOIN customers r ON r.customer_id = c.referrer_id
    CROSS JOIN LATERAL (SELECT CASE WHEN c.kind <> 'person' OR r.kind <> 'person' THEN 'organisation'
        WHEN r.created_at >= c.created_at THEN 'not_new' END AS fault) faulty
    WHERE c.created_at >= :starts_at AND (CAST(:ends_at AS timestamptz) IS NULL OR c.created_at < :ends_at) AND c.created_at <= :now
        AND NOT EXISTS (SELECT 1 FROM referrals f WHERE f.referee_id = c.customer_id AND f.programme_id = :programme_id)
    ORDER BY c.customer_id LIMIT :most
    ON CONFLICT (referee_id, programme_id) DO NOTHING RETURNING referral_id
    """
)


async def find_referrals(session: AsyncSession, *, code: str, now: datetime, most: int = 1000) -> int:
    """Note, set-based, who joined and named a referrer since the programme began; return how many.

    :raises ProgrammeNotFound: if there is none of this code
    """
    programme = await get_programme_for_update(session, code=code)
    parameters = {
        "front": str(uuid7(now))[:15],
        "programme_id": programme.programme_id,
        "starts_at": programme.starts_at,
        "ends_at": programme.ends_at,
        "early": programme.starts_at - timedelta(days=1),
        "now": now,
        "most": most,
    }
    return len((await session.execute(_FIND, parameters)).all())


async def pay_milestones(session: AsyncSession, *, code: str, actor: Actor, now: datetime, most: int = 200) -> int:
    """Look at those of a programme's referrals that were looked at longest ago, before `now`, and pay what they reached; return how many.

    The programme's lock lets one payer pass at a time; a milestone is paid once a side, whatever records are merged. Before anything is
    paid the two are held against each other again: a merge or a new phone number may have shown that they are one.

    :raises ProgrammeNotFound: if there is none of this code
    """
    programme = await get_programme_for_update(session, code=code)
    due = (
        select(Referral)
        .where(
            Referral.programme_id == programme.programme_id,
            Referral.status.in_([ReferralStatus.OPEN, ReferralStatus.ADMITTED]),
            Referral.looked_at < now,
        )
        .order_by(Referral.looked_at, Referral.referral_id)
        .limit(most)
    )
    found = list(await session.scalars(locked(due)))
    persons = await survivors_of(session, customer_ids={each.referee_id for each in found} | {each.referrer_id for each in found})
    spans: dict[UUID, Span] = {
        persons[each.referee_id]: counted_span(
            joined_at=each.joined_at, within_days=programme.within_days, wait_days=programme.wait_days, now=now
        )
        for each in found
    }
    progress = await progress_of(session, spans=spans, currency=programme.currency)
    milestones = msgspec.convert(programme.milestones, tuple[Milestone, ...])
    for referral in found:
        referral.looked_at = now
        referee, referrer = persons[referral.referee_id], persons[referral.referrer_id]
        done = reached(milestones, progress[referee])
        if done and not await _is_held(session, referral, referrer, referee):
            await _pay(session, programme, referral, (referrer, referee), done, actor=actor, now=now)
        await _end(session, programme, referral, milestones, spans[referee])
    await session.flush()
    return len(found)


async def decide_referral(
    session: AsyncSession, *, referral_id: UUID, admit: bool, reason: str, actor: Actor, now: datetime
) -> ReferralStatus:
    """Let a referral that was held count, or refuse it, by a person's decision; return its status.

    :raises NotAllowed: if nobody answers for it
    :raises ReferralNotFound: if there is none
    :raises ReferralCannotMove: if it is not held, or decided that way already
    """
    if actor.staff_id is None:
        raise NotAllowed
    referral = await get_referral_for_update(session, referral_id=referral_id)
    to = ReferralStatus.ADMITTED if admit else ReferralStatus.REFUSED
    _move(referral, to)
    referral.decided_at, referral.decided_by, referral.decision = now, actor.staff_id, reason
    await session.flush()
    facts = {"to": to.value, "reason": reason}
    await audit.record(session, actor=actor, action="rewards.referral_decided", subject=("referral", referral_id), facts=facts, now=now)
    return to


async def _is_held(session: AsyncSession, referral: Referral, referrer: UUID, referee: UUID) -> bool:
    """Hold the two against each other; what a person let count is not held again."""
    if referral.status is ReferralStatus.ADMITTED:
        return False
    fault = await same_hands(session, referrer_id=referrer, referee_id=referee)
    if fault is None:
        return False
    _move(referral, ReferralStatus.HELD)
    referral.fault = fault
    return True


async def _pay(
    session: AsyncSession,
    programme: ReferralProgramme,
    referral: Referral,
    persons: tuple[CustomerId, CustomerId],
    done: Sequence[Milestone],
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Pay both sides what they reached and have not got. Who has no account yet is paid when there is one."""
    referrer, referee = persons
    families = {Side.REFERRER: await family_of(session, customer_id=referrer), Side.REFEREE: await family_of(session, customer_id=referee)}
    paid = await paid_before(session, programme_id=programme.programme_id, family=families[Side.REFEREE])
    rewarded = await rewarded_for(session, programme_id=programme.programme_id, family=families[Side.REFERRER])
    is_full = programme.most_each is not None and len(rewarded - {referral.referral_id}) >= programme.most_each
    for milestone in done:
        for side, rewards, person in ((Side.REFERRER, milestone.referrer, referrer), (Side.REFEREE, milestone.referee, referee)):
            if not rewards or (milestone.code, side.value) in paid or (side is Side.REFERRER and is_full):
                continue
            account_id = await account_to_pay(session, family=families[side], currency=programme.currency)
            if account_id is not None:
                await _reward(session, programme, referral, milestone, side, person, account_id, actor=actor, now=now)


async def _reward(
    session: AsyncSession,
    programme: ReferralProgramme,
    referral: Referral,
    milestone: Milestone,
    side: Side,
    person: CustomerId,
    account_id: UUID,
    *,
    actor: Actor,
    now: datetime,
) -> None:
    reward_id = uuid7(now)
    made = upsert(ReferralReward).values(
        reward_id=reward_id,
        referral_id=referral.referral_id,
        milestone=milestone.code,
        side=side,
        customer_id=person,
        account_id=account_id,
        given=[],
        paid_at=now,
    )
    if await session.scalar(made.on_conflict_do_nothing().returning(ReferralReward.reward_id)) is None:
        return
    row = await session.get_one(ReferralReward, reward_id)
    row.given = [
        await _give(session, programme, reward, place, row, actor=actor, now=now)
        for place, reward in enumerate(milestone.referrer if side is Side.REFERRER else milestone.referee)
    ]
    await session.flush()


async def _give(
    session: AsyncSession, programme: ReferralProgramme, reward: Reward, place: int, row: ReferralReward, *, actor: Actor, now: datetime
) -> dict[str, Any]:
    """Give one reward by the operation whose it is; return what was wanted and given."""
    answer: dict[str, Any] = {"kind": reward.kind.value, "wanted": reward.amount, "given": reward.amount}
    match reward.kind:
        case RewardKind.VOUCHER:
            wish = VoucherWish(
                str(reward.item), SOURCE, str(row.reward_id), row.customer_id, row.account_id, wanted=reward.amount, ordinal=place
            )
            answer["given"] = (await issue(session, wish=wish, actor=actor, now=now)).given
        case RewardKind.GIFT:
            gift = GiftWish(
                str(reward.item), SOURCE, str(row.reward_id), row.customer_id, row.account_id, pieces=reward.amount, ordinal=place
            )
            await grant_gifts(session, wishes=[gift], actor=actor, now=now)
        case RewardKind.POINTS | RewardKind.BONUS:
            await give(
                session,
                account_id=row.account_id,
                source=SOURCE,
                source_id=row.reward_id,
                rule=f"{programme.code}:{row.milestone}:{place}",
                kind=GrantKind(reward.kind.value),
                amount=reward.amount,
                unit=POINTS if reward.kind is RewardKind.POINTS else programme.currency,
                funders=[(str(funder), int(parts)) for funder, parts in programme.funders],
                active_at=now,
                expires_at=_last_day(programme.zone, reward.expires_days, now),
                now=now,
            )
    return answer if reward.item is None else answer | {"item": reward.item}


async def _end(
    session: AsyncSession, programme: ReferralProgramme, referral: Referral, milestones: Sequence[Milestone], span: Span
) -> None:
    """End a referral that nothing can be paid for any more."""
    if referral.status not in {ReferralStatus.OPEN, ReferralStatus.ADMITTED}:
        return
    await session.flush()
    paid = await paid_before(session, programme_id=programme.programme_id, family=[referral.referee_id])
    owed = {
        (milestone.code, side.value)
        for milestone in milestones
        for side, rewards in ((Side.REFERRER, milestone.referrer), (Side.REFEREE, milestone.referee))
        if rewards
    }
    if span.is_over or owed <= paid:
        _move(referral, ReferralStatus.ENDED)


def _move(referral: Referral, to: ReferralStatus) -> None:
    if to not in REFERRAL_MOVES[referral.status]:
        raise ReferralCannotMove(status=referral.status.value, to=to.value)
    referral.status = to


def _last_day(zone: str, days: int | None, now: datetime) -> datetime | None:
    return None if days is None else day_bounds(local_date(now, zone) + timedelta(days=days), zone)[1]


async def _require_whole(session: AsyncSession, code: str, facts: ProgrammeFacts) -> None:
    try:
        msgspec.convert(code, Code)
        msgspec.convert(msgspec.to_builtins(facts), ProgrammeFacts)
        ZoneInfo(facts.zone)
        minor_digits(facts.currency)
    except (msgspec.ValidationError, ZoneInfoNotFoundError, ValueError, KeyError) as error:
        raise ProgrammeNotWhole(fault=str(error)) from None
    if facts.ends_at is not None and facts.ends_at <= facts.starts_at:
        raise ProgrammeNotWhole(fault="starts_at, ends_at")
    if len({milestone.code for milestone in facts.milestones}) < len(facts.milestones):
        raise ProgrammeNotWhole(fault="milestones: code")
    rewards = [reward for milestone in facts.milestones for reward in (*milestone.referrer, *milestone.referee)]
    if any(not (milestone.referrer or milestone.referee) for milestone in facts.milestones):
        raise ProgrammeNotWhole(fault="milestones: rewards")
    things = {RewardKind.VOUCHER: set[str](), RewardKind.GIFT: set[str]()}
    for reward in rewards:
        if (reward.kind in things) != (reward.item is not None):
            raise ProgrammeNotWhole(fault="rewards: item")
        if reward.item is not None:
            things[reward.kind].add(reward.item)
    missing = things[RewardKind.VOUCHER] - set(await kinds_by_code(session, codes=things[RewardKind.VOUCHER]))
    missing |= things[RewardKind.GIFT] - set(await gifts_by_code(session, codes=things[RewardKind.GIFT]))
    if missing:
        raise ProgrammeNotWhole(fault=", ".join(sorted(missing)))
