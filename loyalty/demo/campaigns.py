"""The demo's tiers, gifts, vouchers, referral and rulebooks: set up before the first customer comes, reckoned up after the last day."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.policy import Policy
from loyalty.pricing.operations import publish
from loyalty.pricing.operations.approvals import approve, submit
from loyalty.pricing.operations.drafts import put_rule, replace_document, start_draft
from loyalty.pricing.queries.live import latest_document
from loyalty.rewards.model_gifts import CENTRAL, EntitlementStatus
from loyalty.rewards.model_tiers import Downgrade, TierWindow
from loyalty.rewards.model_vouchers import ValueType
from loyalty.rewards.operations import referrals, tiers
from loyalty.rewards.operations.activity import refresh
from loyalty.rewards.operations.gift_stock import GiftFacts, confirm_arrival, put_gift, receive_gifts, send_gifts
from loyalty.rewards.operations.gifts import hand_out
from loyalty.rewards.operations.grant_returns import find_refunds, mirror_refund
from loyalty.rewards.operations.grants import SALES, TOPUPS, Source, activate_due, collect
from loyalty.rewards.operations.monthly import MonthlyFacts, issue_monthly, put_monthly
from loyalty.rewards.operations.things import hand_out_due
from loyalty.rewards.operations.voucher_kinds import KindFacts, put_kind
from loyalty.rewards.queries.gifts import gifts_of_account
from loyalty.rewards.referral_rules import Event, Milestone, Reward, RewardKind

from .chain import SYSTEM, ZONE, Chain
from .holders import Crowd
from .rules import GOLD, PLATINUM, SILVER, THANKS_FROM, THERMOS, UMBRELLA, WASH, WELCOME, Months, idea, months, next_month, rulebook

FRIENDS, MONTHLY_WASH = "friends", "gold-wash"
"""The referral programme, and the wash that comes every month."""
SOURCES: Final[tuple[Source, ...]] = (TOPUPS, SALES)
_SIGNATURE: Final = "M8 42 C 18 8, 34 8, 40 40 S 60 66, 70 34 S 90 12, 104 38 L 128 36"
_PIECES: Final = 20
"""Of each gift at each station."""
_MANY: Final = 1_000


async def set_up(session: AsyncSession, chain: Chain, *, now: datetime) -> None:
    """Put everything in place that the first sale of the demo's days meets; the rulebook is live from the chain's first instant."""
    span, marketing = months(chain.began, now, ZONE), chain.person("office")
    await _tiers(session, chain, marketing)
    await _gifts(session, chain, marketing)
    await _vouchers(session, chain, span, marketing)
    await _referral(session, chain, span, marketing)
    await publish(session, document=rulebook(span), note="感恩月与秋季活动 · Thank-you month", now=chain.began, made_by=marketing.staff_id)


async def _tiers(session: AsyncSession, chain: Chain, actor: Actor) -> None:
    programme = tiers.ProgrammeFacts(window=TierWindow.ROLLING, window_days=365, grace_days=30, downgrade=Downgrade.ONE_DOWN)
    await tiers.put_programme(session, facts=programme, actor=actor, now=chain.began)
    ladder = (
        (SILVER, "银级会员", "Silver", 100_000, 80_000, "生日周优惠、积分", "Birthday week, points"),
        (
            GOLD,
            "金级会员",
            "Gold",
            200_000,
            250_000,
            "每升优惠 0.40 元、双倍积分、每月免费洗车",
            "¥0.40 a litre off, double points, a wash",
        ),
        (PLATINUM, "铂金会员", "Platinum", 2_000_000, 2_500_000, "金级权益，专属客服", "As gold, with a person to call"),
    )
    for rank, (code, zh, en, topup, spend, benefits_zh, benefits_en) in enumerate(ladder, start=1):
        facts = tiers.TierFacts(
            name_zh=zh, name_en=en, rank=rank, topup_minor=topup, spend_minor=spend, benefits_zh=benefits_zh, benefits_en=benefits_en
        )
        await tiers.put_tier(session, code=code, facts=facts, actor=actor, now=chain.began)


async def _gifts(session: AsyncSession, chain: Chain, actor: Actor) -> None:
    """Buy in, and send every station some; what Beilun Port was sent is still on the road."""
    now = chain.began
    catalogue = (
        (THERMOS, "不锈钢保温杯", "Thermos flask", THANKS_FROM, ((1, 800),), (UMBRELLA,)),
        (UMBRELLA, "自动晴雨伞", "Umbrella", None, ((1, 500), (2, 900)), ()),
    )
    for code, zh, en, threshold, steps, instead in catalogue:
        facts = GiftFacts(
            name_zh=zh,
            name_en=en,
            zone=ZONE,
            points_steps=steps,
            threshold_minor=threshold,
            currency=None if threshold is None else "CNY",
            instead=instead,
            validity_days=60,
        )
        await put_gift(session, code=code, facts=facts, actor=actor, now=now)
    for code, *_ in catalogue:
        await receive_gifts(session, code=code, pieces=_PIECES * 8, actor=actor, now=now, note="供应商到货")
        for station, station_id in chain.stations.items():
            sent = await send_gifts(session, code=code, from_id=CENTRAL, to_id=station_id, pieces=_PIECES, actor=actor, now=now)
            if (code, station) != (UMBRELLA, "NB03"):
                await confirm_arrival(session, move_id=sent, actor=chain.person(f"cashier:{station}"), now=now)


async def _vouchers(session: AsyncSession, chain: Chain, span: Months, actor: Actor) -> None:
    now = chain.began
    wash = KindFacts(
        name_zh="免费标准洗车券",
        name_en="Free car wash",
        value_type=ValueType.SERVICE,
        item="wash",
        zone=ZONE,
        validity_days=31,
        plate_bound=True,
        terms_zh="仅限绑定车牌，每月一次。",
        terms_en="For the plate it names, once a month.",
    )
    welcome = KindFacts(
        name_zh="新客 20 元券",
        name_en="Welcome voucher ¥20",
        value_type=ValueType.MONEY,
        face_minor=2_000,
        currency="CNY",
        zone=ZONE,
        validity_days=90,
        limit_total=500,
        limit_each=1,
    )
    await put_kind(session, code=WASH, facts=wash, actor=actor, now=now)
    await put_kind(session, code=WELCOME, facts=welcome, actor=actor, now=now)
    monthly = MonthlyFacts(
        name_zh="金级会员每月免费洗车",
        name_en="A wash a month for gold",
        kind=WASH,
        zone=ZONE,
        starts_at=span.starts,
        tiers=(GOLD, PLATINUM),
    )
    await put_monthly(session, code=MONTHLY_WASH, facts=monthly, actor=actor, now=now)


async def _referral(session: AsyncSession, chain: Chain, span: Months, actor: Actor) -> None:
    friends = referrals.ProgrammeFacts(
        name_zh="老友荐新",
        name_en="Bring a friend",
        currency="CNY",
        zone=ZONE,
        starts_at=span.starts,
        within_days=60,
        most_each=10,
        milestones=(
            Milestone(
                code="first-load",
                event=Event.FIRST_LOAD,
                at_least=30_000,
                referrer=(Reward(kind=RewardKind.POINTS, amount=500),),
                referee=(Reward(kind=RewardKind.VOUCHER, amount=1, item=WELCOME),),
            ),
            Milestone(
                code="third-fill",
                event=Event.FILLS,
                at_least=3,
                referrer=(Reward(kind=RewardKind.BONUS, amount=2_000, expires_days=90),),
            ),
        ),
    )
    await referrals.put_programme(session, code=FRIENDS, facts=friends, actor=actor, now=chain.began)


async def judge(session: AsyncSession, *, since: datetime, now: datetime) -> None:
    """Reckon what customers did since an instant, and let them rise to their tiers: what the pump asks about them."""
    step = timedelta(days=2)
    while since < now:
        await refresh(session, since=since, until=min(since + step, now), zone=ZONE)
        since += step
    await tiers.evaluate_everybody(session, after=UUID(int=0), most=_MANY, zone=ZONE, now=now)


async def reckon_up(session: AsyncSession, chain: Chain, *, policy: Policy, now: datetime) -> None:
    """Do what the jobs do in the background: points, things and tiers of all days so far, the month's washes, what referrals earned."""
    for source in SOURCES:
        await collect(session, source=source, since=chain.began, until=now, zone=ZONE, now=now)
    for one in await find_refunds(session, since=chain.began, until=now):
        await mirror_refund(
            session, account_id=one.account_id, refund_id=one.refund_id, source=one.source, policy=policy, zone=ZONE, now=now
        )
    await activate_due(session, now=now)
    await hand_out_due(session, now=now)
    await judge(session, since=chain.began, now=now)
    await issue_monthly(session, code=MONTHLY_WASH, actor=SYSTEM, now=now)
    await referrals.find_referrals(session, code=FRIENDS, now=now)
    await referrals.pay_milestones(session, code=FRIENDS, actor=SYSTEM, now=now)


async def hand_over(session: AsyncSession, chain: Chain, crowd: Crowd, *, now: datetime) -> None:
    """Let every third of those who may have a gift fetch it at home; whose cards are printed find theirs at the counter."""
    fetched_at = now - timedelta(minutes=30)
    at_home = [holder for holder in crowd.holders if holder.product in {"personal", "gold"} and holder not in crowd.shown]
    for holder in at_home[::3]:
        for right in await gifts_of_account(session, account_id=holder.account_id, statuses=(EntitlementStatus.GRANTED,)):
            await hand_out(
                session,
                entitlement_id=right.entitlement_id,
                station_id=chain.stations[holder.home],
                signature=_SIGNATURE,
                actor=chain.person(f"cashier:{holder.home}"),
                now=fetched_at,
            )


async def plan_ahead(session: AsyncSession, chain: Chain, *, now: datetime) -> None:
    """Leave what marketing works on: next month's book, approved by somebody else and scheduled, and a draft."""
    span = months(chain.began, now, ZONE)
    marketing, checker = chain.person("office"), chain.person("finance2")
    then = now - timedelta(hours=4)
    document = (await latest_document(session))[1]
    number = await start_draft(session, note="下月：冬季关怀，午后时段延长 · Winter care", actor=marketing, now=then)
    version = await replace_document(session, number=number, version=1, document=next_month(document, span), actor=marketing, now=then)
    await submit(session, number=number, version=version, actor=marketing, now=then + timedelta(minutes=40))
    await approve(session, number=number, version=version, activates_at=span.ends, actor=checker, now=then + timedelta(hours=1))
    draft = await start_draft(session, note="夜间柴油（讨论中） · Diesel at night", actor=marketing, now=now - timedelta(hours=1))
    await put_rule(session, number=draft, version=1, rule=idea(), new=True, actor=marketing, now=now - timedelta(minutes=30))
