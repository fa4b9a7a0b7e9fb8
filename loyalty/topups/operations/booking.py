"""Booking one load: the checks under the locked purses, and the legs."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.cards import operations as cards
from loyalty.customers import operations as customers
from loyalty.ids import CustomerId
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import Account, AccountStatus, HouseCode, PurseKind, TransferKind
from loyalty.ledger.operations import AccountNotOpen, Leg
from loyalty.ledger.queries import lock_purses
from loyalty.ledger.rules import PurseView
from loyalty.money import POINTS
from loyalty.policy import Policy
from loyalty.topups.model import Tender, Topup
from loyalty.topups.rules import require_under_cap

from .freezes import hold_frozen_amounts

OFFICE = "office"
"""Stands for the station in the reference of a tender that no station took."""


class Bonus(NamedTuple):
    """Promotional money on top of a load."""

    amount_minor: int
    expires_at: datetime | None
    funder: str
    """The reference of the house account that pays for it."""


def require_open(account: Account) -> None:
    """Hold that money goes into open accounts only.

    :raises AccountNotOpen: if it is frozen or closed
    """
    if account.status is not AccountStatus.OPEN:
        raise AccountNotOpen(status=account.status.value, account=account.account_id)


def own_principal(purses: list[PurseView]) -> PurseView:
    """Return the account's own principal purse: a company's pool, a person's money."""
    return next(purse for purse in purses if purse.kind == PurseKind.PRINCIPAL and purse.card_id is None)


def debt_of(purses: list[PurseView]) -> int:
    """Return what the holder owes in money, ≥ 0; a points debt is none."""
    return -sum(purse.balance_minor for purse in purses if purse.kind == PurseKind.RECEIVABLE and purse.unit != POINTS)


def judge_cap(policy: Policy, account: Account, purses: list[PurseView], *, amount_minor: int, bonus_minor: int) -> None:
    """Hold the cap for a load onto the account's own purse, what it pays off a receivable left out.

    :raises OverCap: if the balance would pass it
    """
    balance = own_principal(purses).balance_minor
    added = amount_minor - min(debt_of(purses), amount_minor)
    if policy.cap.counts_bonus:
        balance += sum(purse.balance_minor for purse in purses if purse.kind == PurseKind.BONUS)
        added += bonus_minor
    require_under_cap(policy, kind=account.kind, currency=account.currency, balance_minor=balance, added_minor=added)


async def tender_house(session: AsyncSession, *, station_id: UUID | None, tender: Tender, currency: str, now: datetime) -> UUID:
    """Return the clearing account of a tender at a station."""
    reference = f"{station_id or OFFICE}:{tender.value}"
    return await ledger.ensure_house(session, code=HouseCode.TENDER, currency=currency, reference=reference, now=now)


async def book(session: AsyncSession, *, policy: Policy, account: Account, topup: Topup, now: datetime) -> None:
    """Book a top-up on its locked, open account: tender to principal, an open receivable paid first, bonus to its lot.

    :raises OverCap: if the balance would pass the card's cap
    """
    require_open(account)
    purses = await lock_purses(session, account_id=account.account_id)
    judge_cap(policy, account, purses, amount_minor=topup.amount_minor, bonus_minor=topup.bonus_minor)
    legs = await _legs(session, topup, purses, now)
    await ledger.post(session, account_id=topup.account_id, legs=legs, operation_id=topup.topup_id, event_at=topup.event_at, now=now)
    topup.settled_minor = sum(leg.amount_minor for leg in legs if leg.kind is TransferKind.SETTLEMENT)
    topup.booked_at = now
    await hold_frozen_amounts(session, account_id=account.account_id, now=now)
    if account.customer_id is not None:
        await customers.record_first_load(
            session,
            customer_id=CustomerId(account.customer_id),
            amount_minor=topup.amount_minor,
            currency=topup.currency,
            at=topup.event_at,
        )
    await cards.record_first_load(session, account_id=topup.account_id, amount_minor=topup.amount_minor, now=now)
    await session.flush()


async def _legs(session: AsyncSession, topup: Topup, purses: list[PurseView], now: datetime) -> list[Leg]:
    principal = own_principal(purses).purse_id
    house = await tender_house(session, station_id=topup.station_id, tender=topup.tender, currency=topup.currency, now=now)

    def leg(debit: UUID, credit: UUID, amount_minor: int, kind: TransferKind) -> Leg:
        return Leg(debit, credit, amount_minor, kind, topup.currency, topup.card_id, topup.station_id)

    legs = [leg(house, principal, topup.amount_minor, TransferKind.LOAD)]
    left = topup.amount_minor
    for purse in purses:
        if purse.kind == PurseKind.RECEIVABLE and purse.unit == topup.currency and purse.balance_minor < 0 and left > 0:
            paid = min(-purse.balance_minor, left)
            legs.append(leg(principal, purse.purse_id, paid, TransferKind.SETTLEMENT))
            left -= paid
    if topup.bonus_minor:
        funder = await ledger.ensure_house(
            session, code=HouseCode.BONUS, currency=topup.currency, reference=topup.bonus_funder or OFFICE, now=now
        )
        lot = await ledger.ensure_purse(
            session,
            account_id=topup.account_id,
            kind=PurseKind.BONUS,
            unit=topup.currency,
            expires_at=topup.bonus_expires_at,
            now=now,
        )
        legs.append(leg(funder, lot, topup.bonus_minor, TransferKind.BONUS))
    return legs
