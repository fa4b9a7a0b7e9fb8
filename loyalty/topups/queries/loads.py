"""Top-ups and purchases, the bank transfers among them, and what happened to each."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.db import locked
from loyalty.errors import NotFound
from loyalty.paging import PAGE_SIZE, Key, Page, page
from loyalty.topups.model import (
    BankPayment,
    PaymentReference,
    Purchase,
    PurchaseStatus,
    Topup,
    TopupEvent,
    TopupStatus,
)
from loyalty.topups.model_returns import TopupReturn


class TopupNotFound(NotFound):
    """Unknown, another tenant's, or part of a purchase where one of its own is asked for."""

    zh = "没有找到该笔充值。"
    en = "There is no such top-up."


class PurchaseNotFound(NotFound):
    """Unknown, or another tenant's."""

    zh = "没有找到该笔购卡。"
    en = "There is no such purchase."


async def get_topup(session: AsyncSession, *, topup_id: UUID) -> Topup:
    """Return a top-up.

    :raises TopupNotFound: if there is none
    """
    found = await session.get(Topup, topup_id)
    if found is None:
        raise TopupNotFound(topup=topup_id)
    return found


async def get_topup_for_update(session: AsyncSession, *, topup_id: UUID, alone: bool = False) -> Topup:
    """Lock and return a top-up; `alone`: not one of a purchase.

    :raises TopupNotFound: if there is none
    """
    found = await session.scalar(locked(select(Topup).where(Topup.topup_id == topup_id)))
    if found is None or (alone and found.purchase_id is not None):
        raise TopupNotFound(topup=topup_id)
    return found


async def get_bank_payment(session: AsyncSession, *, topup_id: UUID) -> BankPayment:
    """Return the two ends of a top-up's bank transfer.

    :raises TopupNotFound: if it is not by bank transfer
    """
    found = await session.get(BankPayment, topup_id)
    if found is None:
        raise TopupNotFound(topup=topup_id)
    return found


async def get_purchase(session: AsyncSession, *, purchase_id: UUID) -> Purchase:
    """Return a purchase.

    :raises PurchaseNotFound: if there is none
    """
    found = await session.get(Purchase, purchase_id)
    if found is None:
        raise PurchaseNotFound(purchase=purchase_id)
    return found


async def get_purchase_for_update(session: AsyncSession, *, purchase_id: UUID) -> Purchase:
    """Lock and return a purchase.

    :raises PurchaseNotFound: if there is none
    """
    found = await session.scalar(locked(select(Purchase).where(Purchase.purchase_id == purchase_id)))
    if found is None:
        raise PurchaseNotFound(purchase=purchase_id)
    return found


async def items_of(session: AsyncSession, *, purchase_id: UUID) -> list[Topup]:
    """Return a purchase's items, by account: the order in which they are locked."""
    statement = select(Topup).where(Topup.purchase_id == purchase_id).order_by(Topup.account_id, Topup.topup_id)
    return list((await session.scalars(statement)).all())


async def returns_of(session: AsyncSession, *, topup_id: UUID) -> list[TopupReturn]:
    """Return what went back of a top-up, the first return first."""
    statement = select(TopupReturn).where(TopupReturn.topup_id == topup_id).order_by(TopupReturn.return_id)
    return list((await session.scalars(statement)).all())


async def payment_subject(session: AsyncSession, *, kind: str, reference: str) -> tuple[str, UUID] | None:
    """Return what a payment's number was used for: `("topup", id)`, `("purchase", id)` …; None where it is not known."""
    statement = select(PaymentReference.subject_kind, PaymentReference.subject_id).where(
        PaymentReference.kind == kind, PaymentReference.reference == reference.strip()
    )
    row = (await session.execute(statement)).first()
    return None if row is None else (row[0], row[1])


async def events_of(session: AsyncSession, *, subject_id: UUID) -> list[TopupEvent]:
    """Return the history of a top-up, purchase, adjustment, freeze or closure, the oldest first."""
    statement = select(TopupEvent).where(TopupEvent.subject_id == subject_id).order_by(TopupEvent.event_id)
    return list((await session.scalars(statement)).all())


async def list_topups(
    session: AsyncSession,
    *,
    account_id: UUID | None = None,
    station_id: UUID | None = None,
    status: TopupStatus | None = None,
    cursor: str | None = None,
    limit: int = PAGE_SIZE,
) -> Page[Topup]:
    """Read a page of top-ups, the latest first."""
    statement = select(Topup)
    if account_id is not None:
        statement = statement.where(Topup.account_id == account_id)
    if station_id is not None:
        statement = statement.where(Topup.station_id == station_id)
    if status is not None:
        statement = statement.where(Topup.status == status)
    return await page(session, statement, keys=[Key(Topup.topup_id, descending=True)], cursor=cursor, limit=limit)


async def list_pending_transfers(session: AsyncSession, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> Page[Topup]:
    """Read a page of the single top-ups that wait for their bank transfer, the oldest first; purchases have a list of their own."""
    statement = select(Topup).where(Topup.status == TopupStatus.PENDING, Topup.purchase_id.is_(None))
    return await page(session, statement, keys=[Key(Topup.topup_id)], cursor=cursor, limit=limit)


async def list_pending_purchases(session: AsyncSession, *, cursor: str | None = None, limit: int = PAGE_SIZE) -> Page[Purchase]:
    """Read a page of the purchases that wait for their bank transfer, the oldest first."""
    statement = select(Purchase).where(Purchase.status == PurchaseStatus.PENDING)
    return await page(session, statement, keys=[Key(Purchase.purchase_id)], cursor=cursor, limit=limit)
