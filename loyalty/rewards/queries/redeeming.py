"""What points buy at a station, what a card may spend of them, and what was bought."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.ledger.model import Account, AccountKind
from loyalty.ledger.queries import purses_of
from loyalty.ledger.rules import PurseView
from loyalty.rewards.model_gifts import Gift, GiftEntitlement, GiftStock
from loyalty.rewards.model_points import PointsRedemption
from loyalty.rewards.points_rules import spendable_points

from .gifts import EntitlementView, get_entitlement
from .points import Lot, PointsView, points_of

SOURCE = "points"
"""What rights to gifts that points bought name as their source; the id is the redemption's."""


class PricedGift(msgspec.Struct, frozen=True):
    """So many pieces of a gift that lie at a station, for so many points."""

    gift: str
    name_zh: str
    name_en: str
    about_zh: str
    about_en: str
    pieces: int
    points: int
    free: int
    """Pieces at this station that nobody is promised."""


class Bought(NamedTuple):
    """A redemption, and the right it bought; None where points went for something else."""

    redemption: PointsRedemption
    right: EntitlementView | None


async def gifts_for_points(session: AsyncSession, *, station_id: UUID) -> list[PricedGift]:
    """Return what points buy out of a station's own stock, the cheapest first."""
    free = GiftStock.on_hand - GiftStock.reserved
    statement = (
        select(Gift.code, Gift.name_zh, Gift.name_en, Gift.about_zh, Gift.about_en, Gift.points_steps, free)
        .join(GiftStock, GiftStock.gift_id == Gift.gift_id)
        .where(Gift.active, func.jsonb_array_length(Gift.points_steps) > 0, GiftStock.place_id == station_id, free > 0)
    )
    found = [
        PricedGift(code, name_zh, name_en, about_zh, about_en, pieces, points, left)
        for code, name_zh, name_en, about_zh, about_en, steps, left in await session.execute(statement)
        for pieces, points in steps
        if pieces <= left
    ]
    return sorted(found, key=lambda each: (each.points, each.gift))


async def points_of_card(session: AsyncSession, *, account: Account, card_id: UUID | None, now: datetime) -> PointsView:
    """Return the points that a card may spend: a person's account's, of a company's only what was moved to this card (None: to none)."""
    if account.kind is not AccountKind.COMPANY:
        return await points_of(session, account_ids=[account.account_id], now=now)
    own = spendable_points(await purses_of(session, account_id=account.account_id), company=True, card_id=card_id, now=now)
    return PointsView(sum(lot.available_minor for lot in own), 0, None, 0, _lots(own))


def _lots(purses: Iterable[PurseView]) -> tuple[Lot, ...]:
    """Put lots of one expiry together; the purses come in the order of their expiry."""
    sums: dict[datetime | None, int] = {}
    for purse in purses:
        sums[purse.expires_at] = sums.get(purse.expires_at, 0) + purse.available_minor
    return tuple(Lot(points, expires_at) for expires_at, points in sums.items())


async def bought_with(session: AsyncSession, *, account_id: UUID, redemption_id: UUID) -> Bought | None:
    """Return what a redemption of points bought; None where there is no such redemption."""
    redemption = await session.get(PointsRedemption, (account_id, redemption_id), populate_existing=True)
    if redemption is None:
        return None
    right = await session.scalar(
        select(GiftEntitlement.entitlement_id).where(
            GiftEntitlement.source_kind == SOURCE, GiftEntitlement.source_id == str(redemption_id), GiftEntitlement.ordinal == 0
        )
    )
    return Bought(redemption, None if right is None else await get_entitlement(session, entitlement_id=right))
