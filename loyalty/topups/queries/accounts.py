"""Whose an account is, and what it holds."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.customers.model import CustomerKind
from loyalty.customers.queries import get_customer, has_verified_identity
from loyalty.ledger.model import PurseKind
from loyalty.ledger.queries import get_account, purses_of


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
        owed_minor=-sum(purse.balance_minor for purse in purses if purse.kind == PurseKind.RECEIVABLE and purse.unit == account.currency),
        available_minor=sum(purse.balance_minor - purse.held_minor for purse in money),
    )
