"""Writing the ledger, one account's rows at a time."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, insert, null, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import revisions
from loyalty.errors import Refusal
from loyalty.ids import AccountId, PurseId, TransferId, uuid7, uuid7_floor
from loyalty.money import POINTS, decimal_text, minor_digits

from .model import (
    ACCOUNT_MOVES,
    Account,
    AccountKind,
    AccountStatus,
    DailyBalance,
    HouseAccount,
    HouseCode,
    Period,
    Purse,
    PurseKind,
    Transfer,
    TransferKind,
)
from .queries import get_account_for_update, lock_purses
from .rules import PurseView, Take, house_id


class InsufficientFunds(Refusal):
    """A purse does not hold what is asked of it."""

    zh = "余额不足：可用 {available}，需要 {wanted}。"
    en = "Not enough funds: {available} available, {wanted} needed."
    next_zh = "请充值，或改用其他支付方式。"
    next_en = "Top up, or use another tender."


class AccountNotOpen(Refusal):
    """A frozen or closed account takes no such movement."""

    zh = "账户状态为 {status}，不能办理。"
    en = "The account is {status}."
    next_zh = "请联系发卡方办公室。"
    next_en = "Ask the issuer's office."


class AccountCannotMove(Refusal):
    """The account's present status does not lead there."""

    zh = "账户不能从 {status} 变为 {to}。"
    en = "An account cannot go from {status} to {to}."


class Leg(NamedTuple):
    """One transfer to be booked: from `debit_id` to `credit_id`, purses of the account or house accounts; amount > 0 minor units."""

    debit_id: UUID
    credit_id: UUID
    amount_minor: int
    kind: TransferKind
    unit: str
    card_id: UUID | None = None
    station_id: UUID | None = None
    mirrors: UUID | None = None


async def open_account(
    session: AsyncSession,
    *,
    account_id: UUID | None = None,
    kind: AccountKind,
    currency: str,
    customer_id: UUID | None,
    card_product_id: UUID | None,
    now: datetime,
) -> AccountId:
    """Open an account with its principal purse and return its id."""
    minor_digits(currency)
    opened = AccountId(account_id or uuid7(now))
    await session.execute(
        insert(Account).values(
            account_id=opened,
            currency=currency,
            kind=kind,
            status=AccountStatus.OPEN,
            customer_id=customer_id,
            card_product_id=card_product_id,
            opened_at=now,
            closed_at=None,
            registered_at=None,
        )
    )
    await ensure_purse(session, account_id=opened, kind=PurseKind.PRINCIPAL, unit=currency, now=now)
    return opened


async def move_account(session: AsyncSession, *, account_id: UUID, to: AccountStatus, now: datetime) -> Account:
    """Freeze, thaw, close or reopen an account. The caller bumps the version of its cards, and records who and why.

    :raises AccountNotFound: if there is none
    :raises AccountCannotMove: if its status does not lead there
    """
    account = await get_account_for_update(session, account_id=account_id)
    if to not in ACCOUNT_MOVES[AccountStatus(account.status)]:
        raise AccountCannotMove(account=account_id, status=account.status, to=to)
    account.status = to
    account.closed_at = now if to is AccountStatus.CLOSED else None
    await session.flush()
    return account


async def assign_account(
    session: AsyncSession, *, account_id: UUID, kind: AccountKind, customer_id: UUID, card_product_id: UUID, now: datetime
) -> Account:
    """Give an anonymous account its registered owner and product, once and never back; balance and history stay. The caller records why.

    :raises AccountNotFound: if there is none
    :raises AccountNotOpen: if it is frozen or closed
    """
    account = await get_account_for_update(session, account_id=account_id)
    assert account.customer_id is None, "an account never changes its owner"
    if account.status != AccountStatus.OPEN:
        raise AccountNotOpen(account=account_id, status=account.status, at=now.isoformat())
    account.kind = kind
    account.customer_id = customer_id
    account.card_product_id = card_product_id
    account.registered_at = now
    await session.flush()
    return account


async def hand_over_purses(session: AsyncSession, *, account_id: UUID, from_card_id: UUID, to_card_id: UUID) -> int:
    """Let money allocated to a card follow to the card that replaces it; return how many purses did."""
    await lock_purses(session, account_id=account_id)
    result = await session.execute(
        update(Purse)
        .where(Purse.account_id == account_id, Purse.card_id == from_card_id)
        .values(card_id=to_card_id)
        .execution_options(synchronize_session=False)
    )
    return int(getattr(result, "rowcount", 0))


async def ensure_purse(
    session: AsyncSession,
    *,
    account_id: UUID,
    kind: PurseKind,
    unit: str,
    card_id: UUID | None = None,
    expires_at: datetime | None = None,
    credit_limit_minor: int = 0,
    purse_id: UUID | None = None,
    spending: Mapping[str, Any] | None = None,
    now: datetime,
) -> PurseId:
    """Return the account's purse of this kind, card, expiry and conditions, made if missing (as `purse_id`, where its id is computed)."""
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(str(account_id), 7))))
    found = await session.scalar(
        select(Purse.purse_id)
        .where(
            Purse.account_id == account_id,
            Purse.kind == kind,
            Purse.unit == unit,
            Purse.card_id.is_not_distinct_from(card_id),
            Purse.expires_at.is_not_distinct_from(expires_at),
            Purse.spending.is_(None) if spending is None else Purse.spending == dict(spending),
        )
        .order_by(Purse.purse_id)
        .limit(1)
    )
    if found is not None:
        return PurseId(found)
    made = PurseId(purse_id or uuid7(now))
    # The pump takes no advisory lock: it may make a purse of a computed id at this moment.
    await session.execute(
        upsert(Purse)
        .on_conflict_do_nothing(index_elements=[Purse.account_id, Purse.purse_id])
        .values(
            account_id=account_id,
            purse_id=made,
            card_id=card_id,
            kind=kind,
            unit=unit,
            expires_at=expires_at,
            balance_minor=0,
            held_minor=0,
            credit_limit_minor=credit_limit_minor,
            spending=null() if spending is None else dict(spending),
        )
    )
    return made


async def ensure_house(session: AsyncSession, *, code: HouseCode, currency: str, reference: str, now: datetime) -> UUID:
    """Return the id of a house account, its row made if missing."""
    found = house_id(code, currency, reference)
    await session.execute(
        upsert(HouseAccount)
        .values(house_id=found, code=code, currency=currency, reference=reference, opened_at=now)
        .on_conflict_do_nothing(index_elements=[HouseAccount.house_id])
    )
    return found


def _needs(legs: Sequence[Leg], purses: dict[UUID, PurseView]) -> dict[UUID, int]:
    moved: dict[UUID, int] = {}
    for leg in legs:
        if leg.debit_id in purses:
            moved[leg.debit_id] = moved.get(leg.debit_id, 0) - leg.amount_minor
        if leg.credit_id in purses:
            moved[leg.credit_id] = moved.get(leg.credit_id, 0) + leg.amount_minor
    return moved


def _refuse_overdraft(moved: dict[UUID, int], purses: dict[UUID, PurseView]) -> None:
    for purse_id, change in moved.items():
        purse = purses[purse_id]
        short = purse.kind != PurseKind.RECEIVABLE and change < 0 and purse.available_minor + change < 0
        if short:
            raise InsufficientFunds(
                available=decimal_text(max(purse.available_minor, 0), purse.unit), wanted=decimal_text(-change, purse.unit), unit=purse.unit
            )


async def post(
    session: AsyncSession,
    *,
    account_id: UUID,
    legs: Sequence[Leg],
    operation_id: UUID,
    event_at: datetime,
    now: datetime,
    period: int | None = None,
) -> list[TransferId]:
    """Book one movement: all legs, one account's rows, in the caller's transaction. Return the transfers' ids, in the legs' order.

    Purses are locked in id order. `period` is the open accounting period unless given (only the period close gives one).

    :raises InsufficientFunds: if a purse other than a receivable would go below what is held on it
    """
    purses = {purse.purse_id: purse for purse in await lock_purses(session, account_id=account_id)}
    moved = _needs(legs, purses)
    _refuse_overdraft(moved, purses)
    for purse_id in sorted(moved):
        if moved[purse_id]:
            await session.execute(
                update(Purse)
                .where(Purse.account_id == account_id, Purse.purse_id == purse_id)
                .values(balance_minor=Purse.balance_minor + moved[purse_id])
                .execution_options(synchronize_session=False)
            )
    # The share lock lets bookings pass each other and makes the close of the period wait for them.
    booked_in = (
        period or (await session.execute(select(Period.period).where(Period.closed_at.is_(None)).with_for_update(read=True))).scalar_one()
    )
    made = [TransferId(uuid7(now)) for _ in legs]
    await session.execute(
        insert(Transfer),
        [
            {
                "account_id": account_id,
                "transfer_id": transfer_id,
                "debit_id": leg.debit_id,
                "credit_id": leg.credit_id,
                "amount_minor": leg.amount_minor,
                "unit": leg.unit,
                "kind": leg.kind,
                "operation_id": operation_id,
                "card_id": leg.card_id,
                "station_id": leg.station_id,
                "event_at": event_at,
                "booked_at": now,
                "period": booked_in,
                "mirrors": leg.mirrors,
            }
            for transfer_id, leg in zip(made, legs, strict=True)
        ],
    )
    return made


async def place_holds(session: AsyncSession, *, account_id: UUID, takes: Sequence[Take]) -> None:
    """Set value aside on purses.

    :raises InsufficientFunds: if one does not have it
    """
    purses = {purse.purse_id: purse for purse in await lock_purses(session, account_id=account_id)}
    _refuse_overdraft({take.purse_id: -take.amount_minor for take in takes}, purses)
    await _change_held(session, account_id=account_id, changes=[(take.purse_id, take.amount_minor) for take in takes])


async def release_holds(session: AsyncSession, *, account_id: UUID, takes: Sequence[Take]) -> None:
    """Give held value back; the CHECK constraint refuses to release more than is held."""
    await lock_purses(session, account_id=account_id)
    await _change_held(session, account_id=account_id, changes=[(take.purse_id, -take.amount_minor) for take in takes])


async def _change_held(session: AsyncSession, *, account_id: UUID, changes: Sequence[tuple[UUID, int]]) -> None:
    for purse_id, change in sorted(changes):
        await session.execute(
            update(Purse)
            .where(Purse.account_id == account_id, Purse.purse_id == purse_id)
            .values(held_minor=Purse.held_minor + change)
            .execution_options(synchronize_session=False)
        )


async def open_first_period(session: AsyncSession, *, period: int, now: datetime) -> None:
    """Open the very first accounting period of an empty database; does nothing where one exists."""
    if await session.scalar(select(func.count()).select_from(Period)):
        return
    await session.execute(insert(Period).values(period=period, opened_at=now, closed_at=None))
    await revisions.bump(session, revisions.Kind.PERIOD)


async def close_period(session: AsyncSession, *, opens: int, now: datetime) -> int | None:
    """Close the open accounting period and open the next one; return the closed one, None where `opens` is open already.

    Waits for the bookings that are under way. The revision makes hot workers reload: one that read before this commit may still book in
    the closed period for as long as a transaction lives, so its picture is sealed only after that.
    """
    period = (await session.scalars(select(Period).where(Period.closed_at.is_(None)).with_for_update())).one()
    if opens <= period.period:
        return None
    period.closed_at = now
    await session.flush()
    session.add(Period(period=opens, opened_at=now, closed_at=None))
    await session.flush()
    await revisions.bump(session, revisions.Kind.PERIOD)
    return period.period


async def make_partitions(session: AsyncSession, *, now: datetime, months_ahead: int = 3, months_back: int = 0) -> list[str]:
    """Make the monthly partitions of the hot tables around `now` and return the names of the new ones."""
    rows = await session.execute(
        text("SELECT make_month_partitions(:first, :count)"),
        {"first": _month_shift(now.date(), -months_back), "count": months_back + months_ahead + 1},
    )
    return [str(name) for (name,) in rows]


def _month_shift(day: date, months: int) -> date:
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


async def close_day(session: AsyncSession, *, day: date, starts_at: datetime, ends_at: datetime) -> int:
    """Write the closing balances of a business day `[starts_at, ends_at)` for every purse that moved; return how many.

    Set-based, and the same however often it is run. The days before must have been closed.
    """
    result = await session.execute(
        text(
            """
            INSERT INTO daily_balances (account_id, purse_id, day, balance_minor)
            SELECT moved.account_id, moved.purse_id, :day, moved.amount + coalesce(before.balance_minor, 0)
            FROM (
                SELECT leg.account_id, leg.purse_id, sum(leg.amount) AS amount
                FROM (
                    SELECT account_id, credit_id AS purse_id, amount_minor AS amount FROM transfers
                    WHERE transfer_id >= :first AND transfer_id < :last
                    UNION ALL
                    SELECT account_id, debit_id, -amount_minor FROM transfers WHERE transfer_id >= :first AND transfer_id < :last
                ) AS leg
                JOIN purses USING (account_id, purse_id)
                GROUP BY leg.account_id, leg.purse_id
            ) AS moved
            LEFT JOIN LATERAL (
                SELECT earlier.balance_minor FROM daily_balances AS earlier
                WHERE earlier.account_id = moved.account_id AND earlier.purse_id = moved.purse_id AND earlier.day < :day
                ORDER BY earlier.day DESC LIMIT 1
            ) AS before ON true
            ON CONFLICT (account_id, purse_id, day) DO NOTHING
            """
        ),
        {"day": day, "first": uuid7_floor(starts_at), "last": uuid7_floor(ends_at)},
    )
    return int(getattr(result, "rowcount", 0))


__all__ = [
    "POINTS",
    "AccountCannotMove",
    "AccountNotOpen",
    "DailyBalance",
    "InsufficientFunds",
    "Leg",
    "assign_account",
    "close_day",
    "close_period",
    "ensure_house",
    "ensure_purse",
    "hand_over_purses",
    "make_partitions",
    "move_account",
    "open_account",
    "open_first_period",
    "place_holds",
    "post",
    "release_holds",
]
