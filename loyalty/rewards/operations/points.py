"""Points: spent, given back, run out, and a company's moved to its main card."""

from datetime import date, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.cards.queries import get_card
from loyalty.clock import local_date, month_start
from loyalty.db import locked
from loyalty.errors import NotFound, Refusal
from loyalty.ids import uuid7
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import AccountKind, AccountStatus, HouseCode, PurseKind, TransferKind
from loyalty.ledger.operations import AccountNotOpen, Leg
from loyalty.ledger.queries import get_account, lock_purses, transfers_of
from loyalty.money import POINTS
from loyalty.policy import Policy
from loyalty.rewards.model_points import PointsRedemption
from loyalty.rewards.points_rules import spendable_points, take_points

REDEEMED: Final = "redeemed"
EXPIRED: Final = "expired"
"""References of the points house account for what left the lots."""

_EXPIRE: Final = """
WITH dead AS MATERIALIZED (
    SELECT account_id, purse_id, unit, card_id, expires_at, balance_minor FROM purses
    WHERE kind = 3 AND expires_at <= :now AND expires_at > :since AND balance_minor > 0 AND held_minor = 0
    ORDER BY account_id, purse_id LIMIT :most FOR UPDATE SKIP LOCKED
), emptied AS (
    UPDATE purses p SET balance_minor = 0 FROM dead d WHERE p.account_id = d.account_id AND p.purse_id = d.purse_id
), open AS MATERIALIZED (
    SELECT period FROM periods WHERE closed_at IS NULL FOR SHARE
), booked AS (
    INSERT INTO transfers (account_id, transfer_id, debit_id, credit_id, amount_minor, unit, kind, operation_id, card_id, event_at,
        booked_at, period)
    SELECT account_id, overlay(gen_random_uuid()::text placing :front from 1 for 15)::uuid, purse_id, :house, balance_minor, unit, 14,
        purse_id, card_id, expires_at, :now, (SELECT period FROM open)
    FROM dead
)
SELECT count(*), coalesce(sum(balance_minor), 0)::bigint FROM dead
"""


_RECKON: Final = """
WITH lots AS (
    SELECT account_id, balance_minor, (date_trunc('month', (expires_at - interval '1 second') AT TIME ZONE :zone))::date AS month
    FROM purses WHERE kind = 3 AND balance_minor > 0
), months AS (SELECT month, sum(balance_minor)::bigint AS points FROM lots GROUP BY month)
INSERT INTO points_liabilities (taken_at, outstanding, pending, owed, holders, expiring)
SELECT :now, (SELECT coalesce(sum(points), 0) FROM months),
    (SELECT coalesce(sum(amount - returned), 0) FROM grants WHERE status = 1 AND kind = 'points'),
    (SELECT coalesce(-sum(balance_minor), 0) FROM purses WHERE kind = 4 AND unit = 'POINTS'),
    (SELECT count(DISTINCT account_id) FROM lots),
    (SELECT coalesce(jsonb_agg(jsonb_build_array(month, points) ORDER BY month NULLS LAST), '[]') FROM months)
ON CONFLICT (taken_at) DO UPDATE SET outstanding = excluded.outstanding, pending = excluded.pending, owed = excluded.owed,
    holders = excluded.holders, expiring = excluded.expiring
RETURNING outstanding
"""


class PointsNotEnough(Refusal):
    """The account's points do not reach."""

    zh = "可用积分不足：可用 {available} 分，需要 {wanted} 分。"
    en = "Not enough points: {available} available, {wanted} needed."
    next_zh = "请换一个积分更少的兑换，或等待积分生效。"
    next_en = "Choose something for fewer points, or wait until pending points are active."


class PointsStep(Refusal):
    """Redeemed in multiples only."""

    status = 422
    zh = "积分须按 {step} 分的整数倍兑换，当前为 {wanted} 分。"
    en = "Points are redeemed in multiples of {step}; this is {wanted}."
    next_zh = "请改为 {step} 的整数倍。"
    next_en = "Make it a multiple of {step}."


class PointsMonthlyCap(Refusal):
    """More than the profile lets an account redeem in a month."""

    zh = "本月最多可兑换 {most} 分，已兑换 {used} 分，还可兑换 {left} 分。"
    en = "At most {most} points are redeemed in a month: {used} were, {left} are left."
    next_zh = "请减少兑换积分，或下月再兑换。"
    next_en = "Redeem fewer, or come again next month."


class RedemptionNotFound(NotFound):
    """Unknown, or another account's."""

    zh = "没有找到该笔积分兑换。"
    en = "There is no such redemption."


class RedemptionReturned(Refusal):
    """It was undone already."""

    zh = "该笔积分兑换已撤销。"
    en = "The redemption was undone already."


class NotTheMainCard(Refusal):
    """A company's points go to its managing card only."""

    zh = "单位积分只能转入主卡。"
    en = "A company's points go to its main card only."
    next_zh = "请选择该单位的主卡。"
    next_en = "Choose the company's main card."


async def spend(
    session: AsyncSession,
    *,
    account_id: UUID,
    points: int,
    purpose: str,
    policy: Policy,
    zone: str,
    redemption_id: UUID | None = None,
    card_id: UUID | None = None,
    station_id: UUID | None = None,
    staff_id: UUID | None = None,
    steps: bool = True,
    now: datetime,
) -> PointsRedemption:
    """Spend points of an account, the soonest-expiring first, once for a `redemption_id`; return the redemption.

    `steps` False leaves the profile's multiples out: a catalogue's price is what it is. A month is the office's (`zone`).

    :raises PointsStep: if it is no multiple of the profile's step
    :raises PointsMonthlyCap: if the month's cap would be passed
    :raises PointsNotEnough: if the lots do not hold it; a company's are spent by its main card, once moved there
    :raises AccountNotOpen: if the account is frozen or closed
    """
    account = await get_account(session, account_id=account_id)
    if account.status != AccountStatus.OPEN:
        raise AccountNotOpen(status=AccountStatus(account.status).value, account=account_id)
    rules = policy.for_currency(account.currency).points
    # The lots' locks let one redemption of an account pass at a time: what the month has seen is counted under them.
    purses = await lock_purses(session, account_id=account_id)
    if redemption_id is not None and (done := await session.get(PointsRedemption, (account_id, redemption_id))) is not None:
        return done
    if points <= 0 or (steps and points % rules.step):
        raise PointsStep(step=rules.step, wanted=points)
    month = month_start(local_date(now, zone))
    if rules.month_max is not None:
        used = await redeemed_in(session, account_id=account_id, month=month)
        if used + points > rules.month_max:
            raise PointsMonthlyCap(most=rules.month_max, used=used, left=max(rules.month_max - used, 0))
    lots = spendable_points(purses, company=account.kind is AccountKind.COMPANY, card_id=card_id, now=now)
    available = sum(lot.available_minor for lot in lots)
    if available < points:
        raise PointsNotEnough(available=available, wanted=points)
    made = PointsRedemption(
        account_id=account_id,
        redemption_id=redemption_id or uuid7(now),
        points=points,
        purpose=purpose,
        month=month,
        card_id=card_id,
        station_id=station_id,
        staff_id=staff_id,
        spent_at=now,
    )
    session.add(made)
    house = await ledger.ensure_house(session, code=HouseCode.POINTS, currency=POINTS, reference=REDEEMED, now=now)
    legs = [
        Leg(take.purse_id, house, take.amount_minor, TransferKind.REDEMPTION, POINTS, card_id, station_id)
        for take in take_points(lots, points)
    ]
    await ledger.post(session, account_id=account_id, legs=legs, operation_id=made.redemption_id, event_at=now, now=now)
    await session.flush()
    return made


async def redeemed_in(session: AsyncSession, *, account_id: UUID, month: date) -> int:
    """Return how many points an account redeemed in a month, those given back left out."""
    statement = select(func.coalesce(func.sum(PointsRedemption.points), 0)).where(
        PointsRedemption.account_id == account_id, PointsRedemption.month == month, PointsRedemption.returned_at.is_(None)
    )
    return int((await session.execute(statement)).scalar_one())


async def undo_spending(session: AsyncSession, *, account_id: UUID, redemption_id: UUID, now: datetime) -> PointsRedemption:
    """Give a redemption's points back to the very lots they came from; a lot that ran out meanwhile runs out again at once.

    :raises RedemptionNotFound: if there is none
    :raises RedemptionReturned: if it was undone before
    """
    mine = (PointsRedemption.account_id == account_id, PointsRedemption.redemption_id == redemption_id)
    made = await session.scalar(locked(select(PointsRedemption).where(*mine)))
    if made is None:
        raise RedemptionNotFound(redemption=redemption_id)
    if made.returned_at is not None:
        raise RedemptionReturned(redemption=redemption_id)
    spent = await transfers_of(session, account_id=account_id, operation_id=redemption_id)
    back = [
        Leg(row.credit_id, row.debit_id, row.amount_minor, TransferKind.REDEMPTION, POINTS, row.card_id, row.station_id, row.transfer_id)
        for row in spent
        if row.mirrors is None and row.kind is TransferKind.REDEMPTION
    ]
    ends = {purse.purse_id: purse.expires_at for purse in await lock_purses(session, account_id=account_id)}
    expired = await ledger.ensure_house(session, code=HouseCode.POINTS, currency=POINTS, reference=EXPIRED, now=now)
    gone = [
        Leg(leg.credit_id, expired, leg.amount_minor, TransferKind.EXPIRY, POINTS, leg.card_id)
        for leg in back
        if (end := ends[leg.credit_id]) is not None and end <= now
    ]
    await ledger.post(session, account_id=account_id, legs=back, operation_id=redemption_id, event_at=now, now=now)
    if gone:
        await ledger.post(session, account_id=account_id, legs=gone, operation_id=redemption_id, event_at=now, now=now)
    made.returned_at = now
    await session.flush()
    return made


async def expire_due(session: AsyncSession, *, now: datetime, since: datetime | None = None, most: int = 5000) -> tuple[int, int]:
    """Let lots run out whose time has passed (after `since`, where given); return how many lots, and how many points.

    One statement for all of them. The transfer carries the instant at which the lot ended as its event.
    """
    house = await ledger.ensure_house(session, code=HouseCode.POINTS, currency=POINTS, reference=EXPIRED, now=now)
    began = since or datetime.min.replace(year=1970, tzinfo=now.tzinfo)
    facts = {"now": now, "since": began, "most": most, "front": str(uuid7(now))[:15], "house": house}
    lots, points = (await session.execute(text(_EXPIRE), facts)).one()
    return int(lots), int(points)


async def reckon_liability(session: AsyncSession, *, zone: str, now: datetime) -> int:
    """Write down what the house owes in points now, by the office's month in which they run out; return how many are outstanding."""
    facts = {"zone": zone, "now": now}
    return int((await session.execute(text(_RECKON), facts)).scalar_one())


async def move_to_main_card(session: AsyncSession, *, account_id: UUID, card_id: UUID, points: int | None = None, now: datetime) -> int:
    """Move a company's points (None: all) to its main card, which then spends them, the soonest-expiring first; return how many.

    Each lot keeps its expiry.

    :raises NotTheMainCard: if the card is not the company's main card
    :raises PointsNotEnough: if there are fewer
    """
    account = await get_account(session, account_id=account_id)
    card = await get_card(session, card_id=card_id)
    if account.kind is not AccountKind.COMPANY or card.account_id != account_id or not card.is_main:
        raise NotTheMainCard(card=card_id)
    purses = await lock_purses(session, account_id=account_id)
    lots = spendable_points(purses, company=True, card_id=None, now=now)
    available = sum(lot.available_minor for lot in lots)
    wanted = available if points is None else points
    if available < wanted or wanted < 0:
        raise PointsNotEnough(available=available, wanted=wanted)
    ends = {lot.purse_id: lot.expires_at for lot in lots}
    legs = []
    for take in take_points(lots, wanted):
        end = ends[take.purse_id]
        own = await ledger.ensure_purse(
            session, account_id=account_id, kind=PurseKind.POINTS, unit=POINTS, card_id=card_id, expires_at=end, now=now
        )
        legs.append(Leg(take.purse_id, own, take.amount_minor, TransferKind.ALLOCATION, POINTS, card_id))
    if legs:
        await ledger.post(session, account_id=account_id, legs=legs, operation_id=uuid7(now), event_at=now, now=now)
    return wanted


__all__ = [
    "EXPIRED",
    "REDEEMED",
    "NotTheMainCard",
    "PointsMonthlyCap",
    "PointsNotEnough",
    "PointsStep",
    "RedemptionNotFound",
    "RedemptionReturned",
    "expire_due",
    "move_to_main_card",
    "reckon_liability",
    "redeemed_in",
    "spend",
    "undo_spending",
]
