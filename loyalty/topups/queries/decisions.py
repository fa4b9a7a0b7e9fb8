"""What people decide on: adjustments, freezes, closures; the real names they look at; and how much waits for them."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.db import locked
from loyalty.errors import NotFound
from loyalty.paging import PAGE_SIZE, Key, Page, page
from loyalty.topups.model import (
    AccountClosure,
    Adjustment,
    AdjustmentStatus,
    ClosureStatus,
    Freeze,
    FreezeStatus,
    Purchase,
    PurchaseStatus,
    RealName,
    Topup,
    TopupStatus,
)


class AdjustmentNotFound(NotFound):
    """Unknown."""

    zh = "没有找到该调账申请。"
    en = "There is no such adjustment."


class FreezeNotFound(NotFound):
    """Unknown."""

    zh = "没有找到该冻结记录。"
    en = "There is no such freeze."


class ClosureNotFound(NotFound):
    """Unknown, or another tenant's."""

    zh = "没有找到该退卡申请。"
    en = "There is no such closure."


class RealNameNotFound(NotFound):
    """Unknown, or erased after its years."""

    zh = "没有找到该实名记录。"
    en = "There is no such real-name record."


async def get_adjustment(session: AsyncSession, *, adjustment_id: UUID) -> Adjustment:
    """Return an adjustment.

    :raises AdjustmentNotFound: if there is none
    """
    found = await session.get(Adjustment, adjustment_id)
    if found is None:
        raise AdjustmentNotFound(adjustment=adjustment_id)
    return found


async def get_adjustment_for_update(session: AsyncSession, *, adjustment_id: UUID) -> Adjustment:
    """Lock and return an adjustment.

    :raises AdjustmentNotFound: if there is none
    """
    found = await session.scalar(locked(select(Adjustment).where(Adjustment.adjustment_id == adjustment_id)))
    if found is None:
        raise AdjustmentNotFound(adjustment=adjustment_id)
    return found


async def get_freeze_for_update(session: AsyncSession, *, freeze_id: UUID) -> Freeze:
    """Lock and return a freeze.

    :raises FreezeNotFound: if there is none
    """
    found = await session.scalar(locked(select(Freeze).where(Freeze.freeze_id == freeze_id)))
    if found is None:
        raise FreezeNotFound(freeze=freeze_id)
    return found


async def get_freeze(session: AsyncSession, *, freeze_id: UUID) -> Freeze:
    """Return a freeze.

    :raises FreezeNotFound: if there is none
    """
    found = await session.get(Freeze, freeze_id)
    if found is None:
        raise FreezeNotFound(freeze=freeze_id)
    return found


async def get_closure(session: AsyncSession, *, closure_id: UUID) -> AccountClosure:
    """Return a closure.

    :raises ClosureNotFound: if there is none
    """
    found = await session.get(AccountClosure, closure_id)
    if found is None:
        raise ClosureNotFound(closure=closure_id)
    return found


async def get_closure_for_update(session: AsyncSession, *, closure_id: UUID) -> AccountClosure:
    """Lock and return a closure.

    :raises ClosureNotFound: if there is none
    """
    found = await session.scalar(locked(select(AccountClosure).where(AccountClosure.closure_id == closure_id)))
    if found is None:
        raise ClosureNotFound(closure=closure_id)
    return found


async def running_closure(session: AsyncSession, *, account_id: UUID) -> AccountClosure | None:
    """Return an account's closure that has been asked for and not yet paid."""
    statement = select(AccountClosure).where(
        AccountClosure.account_id == account_id, AccountClosure.status.in_([ClosureStatus.REQUESTED, ClosureStatus.APPROVED])
    )
    found: AccountClosure | None = await session.scalar(statement)
    return found


async def get_real_name(session: AsyncSession, *, record_id: UUID) -> RealName:
    """Return a sealed real-name record.

    :raises RealNameNotFound: if there is none
    """
    found = await session.get(RealName, record_id)
    if found is None:
        raise RealNameNotFound(record=record_id)
    return found


async def list_adjustments(
    session: AsyncSession,
    *,
    status: AdjustmentStatus | None = AdjustmentStatus.PROPOSED,
    account_id: UUID | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[Adjustment]:
    """Read a page of adjustments, the oldest first: by default those that wait for their checker."""
    statement = select(Adjustment)
    if status is not None:
        statement = statement.where(Adjustment.status == status)
    if account_id is not None:
        statement = statement.where(Adjustment.account_id == account_id)
    return await page(session, statement, keys=[Key(Adjustment.adjustment_id)], cursor=cursor, limit=limit)


async def list_freezes(
    session: AsyncSession,
    *,
    status: FreezeStatus | None = FreezeStatus.ACTIVE,
    account_id: UUID | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[Freeze]:
    """Read a page of freezes, by default the running ones, the soonest to end first."""
    statement = select(Freeze)
    if status is not None:
        statement = statement.where(Freeze.status == status)
    if account_id is not None:
        statement = statement.where(Freeze.account_id == account_id)
    return await page(session, statement, keys=[Key(Freeze.expires_at), Key(Freeze.freeze_id)], cursor=cursor, limit=limit)


async def list_closures(
    session: AsyncSession,
    *,
    status: ClosureStatus | None = None,
    account_id: UUID | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[AccountClosure]:
    """Read a page of closures, the oldest first: without `status` those to be approved or paid, unless of one account."""
    statement = select(AccountClosure)
    if status is not None:
        statement = statement.where(AccountClosure.status == status)
    elif account_id is None:
        statement = statement.where(AccountClosure.status.in_([ClosureStatus.REQUESTED, ClosureStatus.APPROVED]))
    if account_id is not None:
        statement = statement.where(AccountClosure.account_id == account_id)
    return await page(session, statement, keys=[Key(AccountClosure.closure_id)], cursor=cursor, limit=limit)


class Waiting(NamedTuple):
    """How much of the room waits for a person."""

    transfers: int
    adjustments: int
    closures: int


async def waiting(session: AsyncSession) -> Waiting:
    """Count the bank transfers (purchases as one), adjustments and closures that wait for a decision."""
    counts = (
        select(func.count()).where(Topup.status == TopupStatus.PENDING, Topup.purchase_id.is_(None)).scalar_subquery(),
        select(func.count()).where(Purchase.status == PurchaseStatus.PENDING).scalar_subquery(),
        select(func.count()).where(Adjustment.status == AdjustmentStatus.PROPOSED).scalar_subquery(),
        select(func.count()).where(AccountClosure.status.in_((ClosureStatus.REQUESTED, ClosureStatus.APPROVED))).scalar_subquery(),
    )
    singles, purchases, adjustments, closures = (await session.execute(select(*counts))).one()
    return Waiting(singles + purchases, adjustments, closures)
