"""What moved an account's money, as reversals and closures reckon with it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, and_, case, func, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from loyalty.ids import uuid7_floor
from loyalty.ledger.model import Purse, PurseKind, Transfer, TransferKind
from loyalty.topups.model import (
    Topup,
    TopupStatus,
)
from loyalty.topups.rules import Movement


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
    """Say whether the account's money has moved since this booked top-up: then it is not its last movement.

    Points do not count: those that the top-up itself earned are posted soon after it.
    """
    assert topup.booked_at is not None
    later = select(Transfer.transfer_id).where(
        Transfer.account_id == topup.account_id,
        # Ids are made from booking time: an index condition, and one for the partitions.
        Transfer.transfer_id >= uuid7_floor(topup.booked_at),
        Transfer.operation_id != topup.topup_id,
        Transfer.unit == topup.currency,
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
