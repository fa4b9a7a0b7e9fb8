"""Gifts for points: the points go and the right comes in one transaction, or neither; a right given back returns the points."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.errors import Refusal
from loyalty.ledger.queries import get_account
from loyalty.policy import Policy
from loyalty.rewards.gift_rules import points_for
from loyalty.rewards.queries.gifts import EntitlementView, get_entitlement, get_gift

from . import points
from .gifts import GiftWish, grant_gifts, take_back_gifts

SOURCE: Final = "points"


class NotForPoints(Refusal):
    """The catalogue has no price in points for so many pieces, or does not have it any more."""

    status = 422
    zh = "该礼品目前不能用积分换 {pieces} 件。"
    en = "{pieces} of this gift are not to be had for points now."
    next_zh = "请按目录中的积分档位选择件数。"
    next_en = "Choose a number of pieces that the catalogue prices."


async def buy_gift(
    session: AsyncSession,
    *,
    buying_id: UUID,
    account_id: UUID,
    code: str,
    policy: Policy,
    zone: str,
    actor: Actor,
    now: datetime,
    pieces: int = 1,
    card_id: UUID | None = None,
    station_id: UUID | None = None,
) -> EntitlementView:
    """Buy a right to a gift with an account's points, once for a `buying_id`; the price is the catalogue's step.

    :raises GiftNotFound: if there is no such gift
    :raises NotForPoints: if the catalogue does not sell so many
    :raises PointsNotEnough, PointsMonthlyCap, AccountNotOpen: as `points.spend`
    :raises GiftGrantDiffers: if the id was used for another gift or number
    """
    gift = await get_gift(session, code=code)
    price = points_for(gift.points_steps, pieces)
    if price is None or not gift.active:
        raise NotForPoints(pieces=pieces)
    account = await get_account(session, account_id=account_id)
    await points.spend(
        session,
        account_id=account_id,
        points=price,
        purpose=f"gift:{code}",
        policy=policy,
        zone=zone,
        redemption_id=buying_id,
        card_id=card_id,
        station_id=station_id,
        staff_id=actor.staff_id,
        steps=False,
        now=now,
    )
    wish = GiftWish(code, SOURCE, str(buying_id), account.customer_id, account_id, pieces=pieces, points_paid=price)
    (right,) = await grant_gifts(session, wishes=[wish], actor=actor, now=now)
    return await get_entitlement(session, entitlement_id=right)


async def give_back_gift(session: AsyncSession, *, buying_id: UUID, account_id: UUID, reason: str, actor: Actor, now: datetime) -> bool:
    """Cancel a right that points bought and return the points to their lots; False where it was handed out or is over.

    :raises RedemptionNotFound: if no points were spent under this id
    :raises RedemptionReturned: if they were given back before
    """
    back = await take_back_gifts(session, source_kind=SOURCE, source_id=str(buying_id), reason=reason, actor=actor, now=now)
    if not back.cancelled:
        return False
    await points.undo_spending(session, account_id=account_id, redemption_id=buying_id, now=now)
    return True
