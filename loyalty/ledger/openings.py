"""Taking accounts over from a former system by the thousand: opened by COPY, their balances booked from the house account `migration`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Uuid, bindparam, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.copying import copy_rows
from loyalty.ids import AccountId, uuid7

from .model import Account, AccountKind, AccountStatus, HouseCode, Period, PurseKind, TransferKind
from .operations import ensure_house


class NewAccount(NamedTuple):
    """An account to open; its principal purse comes with it."""

    account_id: AccountId
    kind: AccountKind
    currency: str
    customer_id: UUID | None
    card_product_id: UUID | None


class Opening(NamedTuple):
    """What an account held in the former system: > 0 minor units of its currency."""

    account_id: UUID
    currency: str
    amount_minor: int
    card_id: UUID | None


async def find_accounts(
    session: AsyncSession, *, owners: Sequence[tuple[UUID, str]], kind: AccountKind
) -> dict[tuple[UUID, str, UUID | None], AccountId]:
    """Return the open accounts of one kind by (customer, currency, card product); the oldest where there are several."""
    found = await session.execute(
        select(Account.customer_id, Account.currency, Account.card_product_id, Account.account_id)
        .where(
            tuple_(Account.customer_id, Account.currency).in_(list(owners)),
            Account.kind == kind,
            Account.status == AccountStatus.OPEN,
        )
        .order_by(Account.account_id.desc())
    )
    return {
        (customer_id, currency, product_id): AccountId(account_id)
        for customer_id, currency, product_id, account_id in found
        if customer_id is not None
    }


async def open_accounts(session: AsyncSession, *, accounts: Sequence[NewAccount], now: datetime) -> None:
    """Open accounts, each with its principal purse."""
    if not accounts:
        return
    await copy_rows(
        session,
        "accounts",
        ("account_id", "currency", "kind", "status", "customer_id", "card_product_id", "opened_at"),
        [(a.account_id, a.currency, a.kind.value, AccountStatus.OPEN.value, a.customer_id, a.card_product_id, now) for a in accounts],
    )
    await copy_rows(
        session,
        "purses",
        ("account_id", "purse_id", "kind", "unit", "balance_minor", "held_minor", "credit_limit_minor"),
        [(a.account_id, uuid7(now), int(PurseKind.PRINCIPAL), a.currency, 0, 0, 0) for a in accounts],
    )


_RAISE = text(
    """
    UPDATE purses SET balance_minor = purses.balance_minor + opening.amount
    FROM (
        SELECT given.account_id, sum(given.amount)::bigint AS amount
        FROM unnest(:account_ids, :amounts) AS given (account_id, amount) GROUP BY given.account_id
    ) AS opening
    WHERE purses.account_id = opening.account_id AND purses.purse_id = ANY(:purse_ids)
    """
).bindparams(
    bindparam("account_ids", type_=ARRAY(Uuid)), bindparam("amounts", type_=ARRAY(BigInteger)), bindparam("purse_ids", type_=ARRAY(Uuid))
)

_PRINCIPALS = text(
    """
    SELECT DISTINCT ON (locked.account_id) locked.account_id, locked.purse_id
    FROM (
        SELECT account_id, purse_id FROM purses
        WHERE account_id = ANY(:account_ids) AND kind = 1 AND card_id IS NULL
        ORDER BY account_id, purse_id FOR UPDATE
    ) AS locked
    ORDER BY locked.account_id, locked.purse_id
    """
).bindparams(bindparam("account_ids", type_=ARRAY(Uuid)))


async def book_openings(
    session: AsyncSession, *, source: str, openings: Sequence[Opening], operation_id: UUID, event_at: datetime, now: datetime
) -> Mapping[str, int]:
    """Book opening balances, one transfer each, and return the sums by currency.

    Debit the house account `migration` of the source, credit the principal purse; booked now in the open period, `event_at` being the
    former system's closing. The caller knows that each was not booked before.
    """
    sums: dict[str, int] = {}
    for opening in openings:
        assert opening.amount_minor > 0, "what is owed is no opening balance"
        sums[opening.currency] = sums.get(opening.currency, 0) + opening.amount_minor
    if not openings:
        return sums
    houses = {
        currency: await ensure_house(session, code=HouseCode.MIGRATION, currency=currency, reference=source, now=now) for currency in sums
    }
    account_ids = [opening.account_id for opening in openings]
    found = await session.execute(_PRINCIPALS, {"account_ids": sorted(set(account_ids))})
    principals: dict[UUID, UUID] = {account_id: purse_id for account_id, purse_id in found}  # noqa: C416 - a Row is no pair
    amounts = [opening.amount_minor for opening in openings]
    await session.execute(_RAISE, {"account_ids": account_ids, "amounts": amounts, "purse_ids": list(principals.values())})
    # The share lock lets bookings pass each other and makes the close of the period wait for them.
    period = (await session.execute(select(Period.period).where(Period.closed_at.is_(None)).with_for_update(read=True))).scalar_one()
    await copy_rows(
        session,
        "transfers",
        (
            "account_id",
            "transfer_id",
            "debit_id",
            "credit_id",
            "amount_minor",
            "unit",
            "kind",
            "operation_id",
            "card_id",
            "event_at",
            "booked_at",
            "period",
        ),
        [
            (
                opening.account_id,
                uuid7(now),
                houses[opening.currency],
                principals[opening.account_id],
                opening.amount_minor,
                opening.currency,
                int(TransferKind.OPENING),
                operation_id,
                opening.card_id,
                event_at,
                now,
                period,
            )
            for opening in openings
        ],
    )
    return sums
