"""Reading top-ups, purchases, adjustments, freezes and closures."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Select, and_, case, func, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from loyalty.customers.model import CustomerKind
from loyalty.customers.queries import get_customer, has_verified_identity
from loyalty.errors import NotFound
from loyalty.ids import uuid7_floor
from loyalty.ledger.model import Purse, PurseKind, Transfer, TransferKind
from loyalty.ledger.queries import get_account, purses_of
from loyalty.paging import PAGE_SIZE, Key, Page, page

from .model import (
    AccountClosure,
    Adjustment,
    AdjustmentStatus,
    BankPayment,
    ClosureStatus,
    Freeze,
    FreezeStatus,
    PaymentReference,
    Purchase,
    PurchaseStatus,
    RealName,
    Topup,
    TopupEvent,
    TopupStatus,
)
from .rules import Movement


class TopupNotFound(NotFound):
    """Unknown, another tenant's, or part of a purchase where one of its own is asked for."""

    zh = "没有找到该笔充值。"
    en = "There is no such top-up."


class PurchaseNotFound(NotFound):
    """Unknown, or another tenant's."""

    zh = "没有找到该笔购卡。"
    en = "There is no such purchase."


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


class Owner(msgspec.Struct, frozen=True):
    """Who owns an account. `verified`: a document was seen, so that a load need not ask again."""

    customer_id: UUID
    name: str
    kind: CustomerKind
    verified: bool


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What an account holds, minor units of `currency`."""

    currency: str
    principal_minor: int
    bonus_minor: int
    """Bonus that has not expired."""
    held_minor: int
    owed_minor: int
    """Receivable, ≥ 0."""
    available_minor: int
    """Principal and living bonus that are not held, what sub-cards were given included."""


async def owner_of(session: AsyncSession, *, customer_id: UUID | None, now: datetime) -> Owner | None:
    """Return an account's owner, None for a bearer's account.

    :raises CustomerNotFound: if there is no such customer
    """
    if customer_id is None:
        return None
    found = await get_customer(session, customer_id=customer_id)
    verified = await has_verified_identity(session, customer_id=customer_id, at=now.date())
    return Owner(customer_id, found.name, found.kind, verified)


async def balance_of(session: AsyncSession, *, account_id: UUID, now: datetime) -> Balance:
    """Return what an account holds now.

    :raises AccountNotFound: if there is none
    """
    account = await get_account(session, account_id=account_id)
    purses = await purses_of(session, account_id=account_id)
    money = [
        purse
        for purse in purses
        if purse.kind == PurseKind.PRINCIPAL or (purse.kind == PurseKind.BONUS and (purse.expires_at is None or purse.expires_at > now))
    ]
    return Balance(
        currency=account.currency,
        principal_minor=sum(purse.balance_minor for purse in money if purse.kind == PurseKind.PRINCIPAL),
        bonus_minor=sum(purse.balance_minor for purse in money if purse.kind == PurseKind.BONUS),
        held_minor=sum(purse.held_minor for purse in money),
        owed_minor=-sum(purse.balance_minor for purse in purses if purse.kind == PurseKind.RECEIVABLE),
        available_minor=sum(purse.balance_minor - purse.held_minor for purse in money),
    )


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
    statement = select(Topup).where(Topup.topup_id == topup_id).with_for_update().execution_options(populate_existing=True)
    found = await session.scalar(statement)
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
    statement = select(Purchase).where(Purchase.purchase_id == purchase_id).with_for_update().execution_options(populate_existing=True)
    found = await session.scalar(statement)
    if found is None:
        raise PurchaseNotFound(purchase=purchase_id)
    return found


async def items_of(session: AsyncSession, *, purchase_id: UUID) -> list[Topup]:
    """Return a purchase's items, by account: the order in which they are locked."""
    statement = select(Topup).where(Topup.purchase_id == purchase_id).order_by(Topup.account_id, Topup.topup_id)
    return list((await session.scalars(statement)).all())


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
    statement = select(Adjustment).where(Adjustment.adjustment_id == adjustment_id).with_for_update()
    found = await session.scalar(statement.execution_options(populate_existing=True))
    if found is None:
        raise AdjustmentNotFound(adjustment=adjustment_id)
    return found


async def get_freeze_for_update(session: AsyncSession, *, freeze_id: UUID) -> Freeze:
    """Lock and return a freeze.

    :raises FreezeNotFound: if there is none
    """
    statement = select(Freeze).where(Freeze.freeze_id == freeze_id).with_for_update().execution_options(populate_existing=True)
    found = await session.scalar(statement)
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
    statement = select(AccountClosure).where(AccountClosure.closure_id == closure_id).with_for_update()
    found = await session.scalar(statement.execution_options(populate_existing=True))
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


def _moves(account_id: UUID) -> Select[*tuple[datetime, int, int, bool, UUID | None, int]]:
    """Select every transfer into or out of the account's money purses, signed."""
    money = and_(Purse.account_id == account_id, Purse.kind.in_([PurseKind.PRINCIPAL, PurseKind.BONUS]))
    into = (
        select(
            Transfer.booked_at.label("booked_at"),
            Purse.kind.label("purse_kind"),
            Transfer.kind.label("kind"),
            literal(value=True).label("credit"),
            Transfer.mirrors.label("mirrors"),
            Transfer.amount_minor.label("amount"),
        )
        .join(Purse, and_(money, Purse.purse_id == Transfer.credit_id))
        .where(Transfer.account_id == account_id)
    )
    out = (
        select(Transfer.booked_at, Purse.kind, Transfer.kind, literal(value=False), Transfer.mirrors, Transfer.amount_minor)
        .join(Purse, and_(money, Purse.purse_id == Transfer.debit_id))
        .where(Transfer.account_id == account_id)
    )
    both = union_all(into, out).subquery()
    return select(both.c.booked_at, both.c.purse_kind, both.c.kind, both.c.credit, both.c.mirrors, both.c.amount)


async def emptied_at(session: AsyncSession, *, account_id: UUID) -> datetime | None:
    """Return the last booking instant after which principal and bonus together were zero; None where they never were since the first."""
    moves = _moves(account_id).subquery()
    signed = case((moves.c.credit, moves.c.amount), else_=-moves.c.amount)
    steps = select(moves.c.booked_at, func.sum(func.sum(signed)).over(order_by=moves.c.booked_at).label("left")).group_by(moves.c.booked_at)
    running = steps.subquery()
    found: datetime | None = await session.scalar(select(func.max(running.c.booked_at)).where(running.c.left == 0))
    return found


async def movements_since_empty(session: AsyncSession, *, account_id: UUID) -> list[Movement]:
    """Sum the account's money movements since its balance was last zero, by purse kind, kind and direction."""
    since = await emptied_at(session, account_id=account_id)
    moves = _moves(account_id).subquery()
    original = aliased(Transfer)
    earlier = literal(value=False) if since is None else func.coalesce(original.booked_at <= since, literal(value=False))
    statement = (
        select(moves.c.purse_kind, moves.c.kind, moves.c.credit, earlier, func.sum(moves.c.amount))
        .join(original, and_(original.account_id == account_id, original.transfer_id == moves.c.mirrors), isouter=True)
        .group_by(moves.c.purse_kind, moves.c.kind, moves.c.credit, earlier)
    )
    if since is not None:
        statement = statement.where(moves.c.booked_at > since)
    rows = await session.execute(statement)
    return [Movement(int(purse), int(kind), bool(credit), bool(before), int(amount)) for purse, kind, credit, before, amount in rows]


async def moved_after(session: AsyncSession, *, topup: Topup) -> bool:
    """Say whether the account has moved since this booked top-up: then it is not its last movement."""
    assert topup.booked_at is not None
    later = select(Transfer.transfer_id).where(
        Transfer.account_id == topup.account_id,
        # Ids are made from booking time: an index condition, and one for the partitions.
        Transfer.transfer_id >= uuid7_floor(topup.booked_at),
        Transfer.operation_id != topup.topup_id,
    )
    return await session.scalar(later.limit(1)) is not None


async def bought_before(session: AsyncSession, *, topup: Topup) -> bool:
    """Say whether the account had bought anything before this booked top-up."""
    assert topup.booked_at is not None
    sale = select(Transfer.transfer_id).where(
        Transfer.account_id == topup.account_id, Transfer.kind == TransferKind.SALE, Transfer.transfer_id < uuid7_floor(topup.booked_at)
    )
    return await session.scalar(sale.limit(1)) is not None


async def loaded_since(session: AsyncSession, *, topup: Topup) -> int:
    """Return the principal that later loads, adjustments and openings brought, net, in minor units."""
    assert topup.booked_at is not None
    later = or_(Topup.booked_at > topup.booked_at, and_(Topup.booked_at == topup.booked_at, Topup.topup_id > topup.topup_id))
    loads = select(func.coalesce(func.sum(Topup.amount_minor - Topup.settled_minor - Topup.returned_minor), 0)).where(
        Topup.account_id == topup.account_id, Topup.status == TopupStatus.BOOKED, later
    )
    others = (
        select(func.coalesce(func.sum(Transfer.amount_minor), 0))
        .join(Purse, and_(Purse.account_id == Transfer.account_id, Purse.purse_id == Transfer.credit_id))
        .where(
            Transfer.account_id == topup.account_id,
            Purse.kind == PurseKind.PRINCIPAL,
            Transfer.kind.in_([TransferKind.ADJUSTMENT, TransferKind.OPENING, TransferKind.ALLOCATION]),
            Transfer.transfer_id > uuid7_floor(topup.booked_at),
            Transfer.operation_id != topup.topup_id,
        )
    )
    return int((await session.execute(loads)).scalar_one()) + int((await session.execute(others)).scalar_one())


async def bonus_granted_by(session: AsyncSession, *, account_id: UUID, kinds: tuple[TransferKind, ...]) -> dict[UUID, UUID]:
    """Return for each bonus purse of an account the house account that gave the most into it."""
    statement = (
        select(Transfer.credit_id, Transfer.debit_id)
        .join(Purse, and_(Purse.account_id == Transfer.account_id, Purse.purse_id == Transfer.credit_id))
        .where(Transfer.account_id == account_id, Purse.kind == PurseKind.BONUS, Transfer.kind.in_(kinds))
        .group_by(Transfer.credit_id, Transfer.debit_id)
        .order_by(Transfer.credit_id, func.sum(Transfer.amount_minor))
    )
    return {row[0]: row[1] for row in await session.execute(statement)}


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
