"""Reading the ledger."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, Text, and_, cast, func, literal, select, text, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.db import locked
from loyalty.errors import NotFound, Refusal
from loyalty.ids import instant_of, uuid7_floor
from loyalty.paging import PAGE_SIZE, Key, Page, page

from .model import Account, DailyBalance, HouseAccount, HouseCode, Period, Purse, PurseKind, Transfer
from .rules import PurseView


class AccountNotFound(NotFound):
    """Unknown, or another tenant's."""

    zh = "没有找到该账户。"
    en = "There is no such account."


class InstantNotSettled(Refusal):
    """A transaction that began before the instant is still running, so its bookings could still appear before it."""

    zh = "该时点的账务尚未落定。"
    en = "The books of that instant have not settled yet."
    next_zh = "请稍后再查（通常一分钟内）。"
    next_en = "Ask again shortly, usually within a minute."


async def get_account(session: AsyncSession, *, account_id: UUID) -> Account:
    """Return an account.

    :raises AccountNotFound: if there is none
    """
    account = await session.get(Account, account_id)
    if account is None:
        raise AccountNotFound(account=account_id)
    return account


async def get_account_for_update(session: AsyncSession, *, account_id: UUID) -> Account:
    """Lock and return an account.

    :raises AccountNotFound: if there is none
    """
    account = await session.scalar(locked(select(Account).where(Account.account_id == account_id)))
    if account is None:
        raise AccountNotFound(account=account_id)
    return account


_PURSE = (
    Purse.purse_id,
    Purse.kind,
    Purse.unit,
    Purse.balance_minor,
    Purse.held_minor,
    Purse.credit_limit_minor,
    Purse.expires_at,
    Purse.card_id,
    cast(Purse.spending, Text).label("spending"),
)
"""The columns of a `PurseView`, in its order."""


async def _views(session: AsyncSession, statement: Select[*tuple[Any, ...]]) -> list[PurseView]:
    return [PurseView._make(row) for row in (await session.execute(statement)).all()]


async def purses_of(session: AsyncSession, *, account_id: UUID) -> list[PurseView]:
    """Return an account's purses, in id order."""
    return await _views(session, select(*_PURSE).where(Purse.account_id == account_id).order_by(Purse.purse_id))


async def lock_purses(session: AsyncSession, *, account_id: UUID) -> list[PurseView]:
    """Lock an account's purses in id order and return them as they now are."""
    own = select(*_PURSE).where(Purse.account_id == account_id).order_by(Purse.purse_id)
    return await _views(session, own.with_for_update(key_share=True))


async def open_period(session: AsyncSession) -> int:
    """Return the accounting period that is open now."""
    return (await session.execute(select(Period.period).where(Period.closed_at.is_(None)))).scalar_one()


async def require_settled(session: AsyncSession, *, instant: datetime) -> None:
    """Make sure that every running transaction began after `instant`.

    :raises InstantNotSettled: if one began before it
    """
    row = await session.execute(
        text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND xact_start <= :instant AND backend_xid IS NOT NULL"
        ),
        {"instant": instant},
    )
    if row.scalar_one():
        raise InstantNotSettled(instant=instant.isoformat())


async def balance_at(session: AsyncSession, *, account_id: UUID, instant: datetime) -> dict[UUID, int]:
    """Return each purse's balance from everything booked before `instant` (whole milliseconds, half-open).

    :raises InstantNotSettled: if a running transaction began before it
    """
    await require_settled(session, instant=instant)
    since = and_(Transfer.account_id == account_id, Transfer.transfer_id < uuid7_floor(instant))
    moved = union_all(
        select(Transfer.credit_id.label("place"), Transfer.amount_minor.label("amount")).where(since),
        select(Transfer.debit_id, -Transfer.amount_minor).where(since),
    ).subquery()
    statement = (
        select(Purse.purse_id, func.coalesce(func.sum(moved.c.amount), 0))
        .join(moved, moved.c.place == Purse.purse_id, isouter=True)
        .where(Purse.account_id == account_id)
        .group_by(Purse.purse_id)
    )
    return {purse_id: int(amount) for purse_id, amount in (await session.execute(statement)).all()}


async def liability_at(session: AsyncSession, *, instant: datetime) -> dict[tuple[str, PurseKind], int]:
    """Return what the house owed its holders at `instant` (half-open), by unit and purse kind, in minor units.

    Reckoned backwards from the present balances, in one statement and so in one snapshot.

    :raises InstantNotSettled: if a running transaction began before it
    """
    await require_settled(session, instant=instant)
    after = Transfer.transfer_id >= uuid7_floor(instant)
    moved = union_all(
        select(Purse.unit, Purse.kind, Purse.balance_minor.label("amount")),
        select(Purse.unit, Purse.kind, -Transfer.amount_minor)
        .join(Transfer, and_(Transfer.account_id == Purse.account_id, Transfer.credit_id == Purse.purse_id))
        .where(after),
        select(Purse.unit, Purse.kind, Transfer.amount_minor)
        .join(Transfer, and_(Transfer.account_id == Purse.account_id, Transfer.debit_id == Purse.purse_id))
        .where(after),
    ).subquery()
    rows = await session.execute(select(moved.c.unit, moved.c.kind, func.sum(moved.c.amount)).group_by(moved.c.unit, moved.c.kind))
    return {(unit, PurseKind(kind)): int(amount) for unit, kind, amount in rows}


async def transfers_of(
    session: AsyncSession, *, account_id: UUID, operation_id: UUID | None = None, booked_at: datetime | None = None, limit: int = 200
) -> list[Transfer]:
    """Return an account's transfers, the latest first; with `operation_id` only that operation's.

    `booked_at`, where known, spares reading the account's other transfers: an operation's ids carry its booking instant.
    """
    statement = select(Transfer).where(Transfer.account_id == account_id)
    if operation_id is not None:
        statement = statement.where(Transfer.operation_id == operation_id)
    if booked_at is not None:
        after = uuid7_floor(booked_at + timedelta(milliseconds=1))
        statement = statement.where(Transfer.transfer_id >= uuid7_floor(booked_at), Transfer.transfer_id < after)
    return list((await session.scalars(statement.order_by(Transfer.transfer_id.desc()).limit(limit))).all())


async def mirrored_of(session: AsyncSession, *, account_id: UUID, transfer_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return how much of each of an account's transfers later ones have taken back, minor units; those untouched are missing."""
    if not transfer_ids:
        return {}
    statement = (
        select(Transfer.mirrors, func.sum(Transfer.amount_minor))
        .where(
            Transfer.account_id == account_id,
            Transfer.transfer_id >= uuid7_floor(instant_of(min(transfer_ids))),
            Transfer.mirrors.in_(transfer_ids),
        )
        .group_by(Transfer.mirrors)
    )
    return {transfer_id: int(amount) for transfer_id, amount in (await session.execute(statement)).all() if transfer_id is not None}


async def house_sum(session: AsyncSession, *, house_id: UUID) -> int:
    """Return a house account's balance in minor units: credits − debits, summed over all transfers."""
    moved = union_all(
        select(Transfer.amount_minor.label("amount")).where(Transfer.credit_id == house_id),
        select((literal(-1) * Transfer.amount_minor).label("amount")).where(Transfer.debit_id == house_id),
    ).subquery()
    return int((await session.execute(select(func.coalesce(func.sum(moved.c.amount), 0)))).scalar_one())


async def daily_balances_of(session: AsyncSession, *, account_id: UUID) -> list[DailyBalance]:
    """Return an account's closing balances, by day."""
    statement = select(DailyBalance).where(DailyBalance.account_id == account_id).order_by(DailyBalance.day, DailyBalance.purse_id)
    return list((await session.scalars(statement)).all())


async def liability_by_product(session: AsyncSession, *, instant: datetime) -> list[tuple[UUID | None, str, PurseKind, int]]:
    """Return what the house owed at `instant` (half-open), as (card product, unit, purse kind, minor units); raises like `liability_at`."""
    await require_settled(session, instant=instant)
    after = Transfer.transfer_id >= uuid7_floor(instant)
    moved = union_all(
        select(Purse.account_id, Purse.unit, Purse.kind, Purse.balance_minor.label("amount")),
        select(Purse.account_id, Purse.unit, Purse.kind, -Transfer.amount_minor)
        .join(Transfer, and_(Transfer.account_id == Purse.account_id, Transfer.credit_id == Purse.purse_id))
        .where(after),
        select(Purse.account_id, Purse.unit, Purse.kind, Transfer.amount_minor)
        .join(Transfer, and_(Transfer.account_id == Purse.account_id, Transfer.debit_id == Purse.purse_id))
        .where(after),
    ).subquery()
    product = Account.card_product_id
    rows = await session.execute(
        select(product, moved.c.unit, moved.c.kind, func.sum(moved.c.amount))
        .select_from(moved)
        .join(Account, Account.account_id == moved.c.account_id)
        .group_by(product, moved.c.unit, moved.c.kind)
        .order_by(product, moved.c.unit, moved.c.kind)
    )
    return [(product_id, unit, PurseKind(kind), int(amount)) for product_id, unit, kind, amount in rows]


class HouseMovement(NamedTuple):
    """What went through one house account in a while, minor units; `reference` is a station, a funder, an entity, as its code says."""

    house_id: UUID
    code: HouseCode
    currency: str
    reference: str
    debit_minor: int
    credit_minor: int
    transfers: int


async def house_movements(session: AsyncSession, *, since: datetime, until: datetime) -> list[HouseMovement]:
    """Return what went through every house account in bookings of `[since, until)`, by code and reference."""
    booked = and_(Transfer.transfer_id >= uuid7_floor(since), Transfer.transfer_id < uuid7_floor(until))
    zero = literal(0)
    moved = union_all(
        select(Transfer.debit_id.label("place"), Transfer.amount_minor.label("debit"), zero.label("credit")).where(booked),
        select(Transfer.credit_id, zero, Transfer.amount_minor).where(booked),
    ).subquery()
    house = HouseAccount
    rows = await session.execute(
        select(
            house.house_id,
            house.code,
            house.currency,
            house.reference,
            func.sum(moved.c.debit),
            func.sum(moved.c.credit),
            func.count(),
        )
        .join(moved, moved.c.place == house.house_id)
        .group_by(house.house_id)
        .order_by(house.code, house.currency, house.reference)
    )
    return [
        HouseMovement(house_id, code, currency, reference, int(debit), int(credit), int(transfers))
        for house_id, code, currency, reference, debit, credit, transfers in rows
    ]


async def house_names(session: AsyncSession, *, house_ids: Sequence[UUID]) -> dict[UUID, tuple[HouseCode, str]]:
    """Return code and reference of house accounts; purses among the ids are left out."""
    rows = await session.execute(
        select(HouseAccount.house_id, HouseAccount.code, HouseAccount.reference).where(HouseAccount.house_id.in_(house_ids))
    )
    return {house_id: (code, reference) for house_id, code, reference in rows}


async def list_transfers(session: AsyncSession, *, account_id: UUID, cursor: str | None = None, limit: int = PAGE_SIZE) -> Page[Transfer]:
    """Read a page of an account's transfers, the latest booking first."""
    statement = select(Transfer).where(Transfer.account_id == account_id)
    return await page(session, statement, keys=[Key(Transfer.transfer_id, descending=True)], cursor=cursor, limit=limit)


async def moved_since(session: AsyncSession, *, account_id: UUID, transfer_id: UUID) -> dict[str, int]:
    """Return by unit how the account's purses changed by all transfers after this one, minor units: for a running balance backwards."""
    later = and_(Transfer.account_id == account_id, Transfer.transfer_id > transfer_id)
    mine = select(Purse.purse_id).where(Purse.account_id == account_id)
    moved = union_all(
        select(Transfer.unit, Transfer.amount_minor.label("amount")).where(later, Transfer.credit_id.in_(mine)),
        select(Transfer.unit, -Transfer.amount_minor).where(later, Transfer.debit_id.in_(mine)),
    ).subquery()
    rows = await session.execute(select(moved.c.unit, func.sum(moved.c.amount)).group_by(moved.c.unit))
    return {unit: int(amount) for unit, amount in rows}
