"""Points spent where a customer stands: a gift of this station's stock, handed over or set aside; taken back; a company's points moved.

Whoever locks, locks the account's lots, then the right, then the stock.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.cards.queries import cards_of_account
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.ledger.queries import lock_purses
from loyalty.policy import Policy
from loyalty.rewards.model_gifts import EntitlementStatus
from loyalty.rewards.queries.gifts import get_entitlement_for_update
from loyalty.rewards.queries.redeeming import Bought, bought_with

from . import points
from .gift_buying import buy_gift, give_back_gift
from .gifts import EntitlementCannotMove, hand_out, reserve_gift, return_gift

_OPEN = frozenset({EntitlementStatus.GRANTED, EntitlementStatus.RESERVED})


class NeedsSecondPerson(Refusal):
    """Made before this shift began: its cashier alone does not undo it."""

    status = 403
    zh = "该积分兑换不是本班次办理的，撤销须由另一人批准。"
    en = "The redemption was made before this shift: undoing it needs a second person."
    next_zh = "请站长刷卡并输入密码批准。"
    next_en = "Have the station manager approve it with card and PIN."


class NoMainCard(Refusal):
    """Nobody could spend them."""

    zh = "该单位没有可用的主卡，积分无处可转。"
    en = "The company has no main card that lives: there is nothing to move the points to."
    next_zh = "请先为单位开立或恢复主卡。"
    next_en = "Issue or restore its main card first."


class Gathered(NamedTuple):
    """How many points went to which card."""

    points: int
    card_id: UUID


async def redeem(
    session: AsyncSession,
    *,
    account_id: UUID,
    card_id: UUID,
    gift: str,
    pieces: int,
    signature: str,
    station_id: UUID,
    terminal_id: UUID,
    policy: Policy,
    zone: str,
    actor: Actor,
    now: datetime,
) -> Bought:
    """Buy a gift out of a station's stock with an account's points; signed for it is handed over, else set aside here for its customer.

    The caller has judged the holder's credential (`authorizations.operations.showing`) and answers for once.

    :raises GiftNotFound, NotForPoints: if the catalogue does not sell it so
    :raises PointsNotEnough, PointsMonthlyCap, AccountNotOpen: as `points.spend`
    :raises GiftOutOfStock: if it is not free here; the answer says what is, and where
    :raises SignatureNotRead: if what was drawn is no signature
    """
    redemption_id = uuid7(now)
    right = await buy_gift(
        session,
        buying_id=redemption_id,
        account_id=account_id,
        code=gift,
        pieces=pieces,
        policy=policy,
        zone=zone,
        card_id=card_id,
        station_id=station_id,
        actor=actor,
        now=now,
    )
    if signature:
        await hand_out(
            session,
            entitlement_id=right.entitlement_id,
            station_id=station_id,
            terminal_id=terminal_id,
            signature=signature,
            actor=actor,
            now=now,
        )
    else:
        await reserve_gift(session, entitlement_id=right.entitlement_id, station_id=station_id, actor=actor, now=now)
    made = await bought_with(session, account_id=account_id, redemption_id=redemption_id)
    assert made is not None, "bought above"
    return made


async def get_bought(session: AsyncSession, *, account_id: UUID, redemption_id: UUID, station_id: UUID) -> Bought:
    """Return a redemption of a station with what it bought.

    :raises RedemptionNotFound: if this station has none such
    """
    found = await bought_with(session, account_id=account_id, redemption_id=redemption_id)
    if found is None or found.redemption.station_id != station_id:
        raise points.RedemptionNotFound(redemption=redemption_id)
    return found


async def undo(
    session: AsyncSession,
    *,
    account_id: UUID,
    redemption_id: UUID,
    station_id: UUID,
    shift_since: datetime,
    approved_by: UUID | None,
    restock: bool,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Bought:
    """Undo a redemption at its station: gift and points go back to where they came from, and the month's cap counts them no more.

    A gift that was handed over is taken back first, into the stock where it can be handed out again (`restock`).

    :raises RedemptionNotFound: if this station has none such
    :raises RedemptionReturned: if it was undone before
    :raises NeedsSecondPerson: if it was made before `shift_since` and nobody approved
    :raises EntitlementCannotMove: if the customer let its time pass
    """
    await lock_purses(session, account_id=account_id)
    found = await get_bought(session, account_id=account_id, redemption_id=redemption_id, station_id=station_id)
    if found.redemption.returned_at is not None:
        raise points.RedemptionReturned(redemption=redemption_id)
    if found.redemption.spent_at < shift_since and approved_by is None:
        raise NeedsSecondPerson
    right = None if found.right is None else await get_entitlement_for_update(session, entitlement_id=found.right.entitlement_id)
    if right is not None and right.status is EntitlementStatus.EXPIRED:
        raise EntitlementCannotMove(status=right.status.value, to=EntitlementStatus.RETURNED.value)
    if right is not None and right.status in _OPEN:
        await give_back_gift(session, buying_id=redemption_id, account_id=account_id, reason=reason, actor=actor, now=now)
    else:
        if right is not None and right.status is EntitlementStatus.HANDED_OUT:
            await return_gift(session, entitlement_id=right.entitlement_id, restock=restock, reason=reason, actor=actor, now=now)
        await points.undo_spending(session, account_id=account_id, redemption_id=redemption_id, now=now)
    told = {
        "points": found.redemption.points,
        "purpose": found.redemption.purpose,
        "reason": reason,
        "approved_by": "" if approved_by is None else str(approved_by),
    }
    subject = ("account", account_id)
    await audit.record(session, actor=actor, action="rewards.points_undone", subject=subject, facts=told, station_id=station_id, now=now)
    return await get_bought(session, account_id=account_id, redemption_id=redemption_id, station_id=station_id)


async def gather_points(
    session: AsyncSession, *, account_id: UUID, points_wanted: int | None, reason: str, actor: Actor, now: datetime
) -> Gathered:
    """Move a company's points (None: all) to its main card, which then spends them; the trail says who did, and why.

    :raises NoMainCard: if it has no main card that lives
    :raises NotTheMainCard: if the account is no company's
    :raises PointsNotEnough: if there are fewer
    """
    card = next((card for card in await cards_of_account(session, account_id=account_id, living=True) if card.is_main), None)
    if card is None:
        raise NoMainCard
    moved = await points.move_to_main_card(session, account_id=account_id, card_id=card.card_id, points=points_wanted, now=now)
    told = {"points": moved, "card": str(card.card_id), "reason": reason}
    await audit.record(session, actor=actor, action="rewards.points_gathered", subject=("account", account_id), facts=told, now=now)
    return Gathered(moved, card.card_id)
