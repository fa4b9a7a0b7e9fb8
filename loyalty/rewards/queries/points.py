"""Reading points: what a customer has, what is on its way, what runs out; and what the house owes in all."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.customers.queries import family_of
from loyalty.ids import uuid7_floor
from loyalty.ledger.model import Account, Purse, PurseKind, Transfer, TransferKind
from loyalty.money import POINTS
from loyalty.rewards.model_grants import Grant, GrantKind, GrantStatus
from loyalty.rewards.model_points import PointsLiability, PointsRedemption


class Lot(NamedTuple):
    """Points of one expiry."""

    points: int
    expires_at: datetime | None


class PointsView(NamedTuple):
    """What accounts have in points."""

    available: int
    pending: int
    pending_from: datetime | None
    """When the first pending ones become active; None where none has a date: they wait for a day close."""
    owed: int
    lots: tuple[Lot, ...]
    """The soonest-expiring first; what never expires last."""

    @property
    def soonest(self) -> Lot | None:
        """The lot that runs out first; None where none does."""
        return next((lot for lot in self.lots if lot.expires_at is not None), None)


async def points_of(session: AsyncSession, *, account_ids: Sequence[UUID], now: datetime) -> PointsView:
    """Return what accounts have together; lots of one expiry are one."""
    rows = await session.execute(
        select(Purse.kind, Purse.expires_at, func.sum(Purse.balance_minor))
        .where(Purse.account_id.in_(account_ids), Purse.unit == POINTS, Purse.balance_minor != 0)
        .group_by(Purse.kind, Purse.expires_at)
        .order_by(Purse.expires_at.asc().nulls_last())
    )
    owed, lots = 0, []
    for kind, expires_at, points in rows:
        if kind is PurseKind.RECEIVABLE:
            owed = -int(points)
        elif expires_at is None or expires_at > now:
            lots.append(Lot(int(points), expires_at))
    pending, first = (
        await session.execute(
            select(
                func.coalesce(func.sum(Grant.amount - Grant.returned), 0), func.min(Grant.active_at).filter(Grant.settles_on.is_(None))
            ).where(Grant.account_id.in_(account_ids), Grant.status == GrantStatus.PENDING, Grant.kind == GrantKind.POINTS)
        )
    ).one()
    return PointsView(sum(lot.points for lot in lots), int(pending), first, owed, tuple(lots))


async def accounts_of(session: AsyncSession, *, customer_id: UUID) -> list[UUID]:
    """Return the accounts of a customer, of every record that was merged into it.

    :raises CustomerNotFound: if there is no such customer
    """
    family = await family_of(session, customer_id=customer_id)
    return list(await session.scalars(select(Account.account_id).where(Account.customer_id.in_(family)).order_by(Account.account_id)))


async def redemptions_of(session: AsyncSession, *, account_ids: Sequence[UUID], limit: int = 50) -> list[PointsRedemption]:
    """Return what accounts spent points on, the latest first."""
    statement = select(PointsRedemption).where(PointsRedemption.account_id.in_(account_ids))
    return list(await session.scalars(statement.order_by(PointsRedemption.spent_at.desc()).limit(limit)))


async def latest_liability(session: AsyncSession) -> PointsLiability | None:
    """Return what the house owed in points when it was last reckoned; None before the first night."""
    return await session.scalar(select(PointsLiability).order_by(PointsLiability.taken_at.desc()).limit(1))


class Flow(NamedTuple):
    """What happened to points in a while."""

    issued: int
    redeemed: int
    """Less what was undone."""
    expired: int
    returned: int


async def points_flow(session: AsyncSession, *, since: datetime, until: datetime) -> Flow:
    """Return points issued, redeemed, run out and taken back in bookings of `[since, until)`: keep it to days, it reads them all."""
    rows = await session.execute(
        select(Transfer.kind, Transfer.mirrors.is_not(None), func.sum(Transfer.amount_minor))
        .where(
            Transfer.transfer_id >= uuid7_floor(since),
            Transfer.transfer_id < uuid7_floor(until),
            Transfer.kind.in_([TransferKind.POINTS, TransferKind.REDEMPTION, TransferKind.EXPIRY, TransferKind.POINTS_RETURN]),
            Transfer.unit == POINTS,
        )
        .group_by(Transfer.kind, Transfer.mirrors.is_not(None))
    )
    sums = {(kind, undone): int(points) for kind, undone, points in rows}
    return Flow(
        issued=sums.get((TransferKind.POINTS, False), 0),
        redeemed=sums.get((TransferKind.REDEMPTION, False), 0) - sums.get((TransferKind.REDEMPTION, True), 0),
        expired=sums.get((TransferKind.EXPIRY, False), 0),
        returned=sums.get((TransferKind.POINTS_RETURN, False), 0),
    )
