"""Booking one load: the checks under the locked purses, and the legs."""

from datetime import datetime
from typing import Any, NamedTuple
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
from loyalty.policy import Policy
from loyalty.topups.model import Tender, Topup
from loyalty.topups.offering import BONUS, DISCOUNT, OFFICE, expiry_of
from loyalty.topups.rules import counted_balance, debt_of, own_principal, require_under_cap

from .freezes import hold_frozen_amounts
from .offers import give, require_told


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


def judge_cap(policy: Policy, account: Account, purses: list[PurseView], *, amount_minor: int, bonus_minor: int) -> None:
    """Hold the cap for a load onto the account's own purse, what it pays off a receivable left out.

    :raises OverCap: if the balance would pass it
    """
    bonus = bonus_minor if policy.cap.counts_bonus else 0
    require_under_cap(
        policy,
        kind=account.kind,
        currency=account.currency,
        balance_minor=counted_balance(policy, purses),
        added_minor=amount_minor - min(debt_of(purses), amount_minor) + bonus,
        bonus_minor=bonus,
    )


async def tender_house(session: AsyncSession, *, station_id: UUID | None, tender: Tender, currency: str, now: datetime) -> UUID:
    """Return the clearing account of a tender at a station."""
    reference = f"{station_id or OFFICE}:{tender.value}"
    return await ledger.ensure_house(session, code=HouseCode.TENDER, currency=currency, reference=reference, now=now)


async def book(
    session: AsyncSession, *, policy: Policy, account: Account, topup: Topup, now: datetime, pays_minor: int | None = None
) -> None:
    """Book a top-up on its locked, open account under the rules: tender to principal, an open receivable paid first, bonus to its lots.

    What was paid at the counter is decided by the rules of its moment, a bank transfer by those of its confirmation.

    :raises OverCap: if the balance would pass the card's cap
    :raises OfferChanged: if `pays_minor`, what the customer was told to pay, is not what he pays
    """
    require_open(account)
    purses = await lock_purses(session, account_id=account.account_id)
    await give(session, account=account, topup=topup, instant=now if topup.tender is Tender.BANK_TRANSFER else topup.event_at)
    require_told(topup, pays_minor=pays_minor)
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

    legs = [leg(house, principal, topup.paid_minor, TransferKind.LOAD)] if topup.paid_minor else []
    for funder, amount in _borne(topup, DISCOUNT).items():
        funded = await ledger.ensure_house(session, code=HouseCode.DISCOUNT, currency=topup.currency, reference=funder, now=now)
        legs.append(leg(funded, principal, amount, TransferKind.DISCOUNT))
    left = topup.amount_minor
    for purse in purses:
        if purse.kind == PurseKind.RECEIVABLE and purse.unit == topup.currency and purse.balance_minor < 0 and left > 0:
            paid = min(-purse.balance_minor, left)
            legs.append(leg(principal, purse.purse_id, paid, TransferKind.SETTLEMENT))
            left -= paid
    legs += [leg(funded, lot, amount, TransferKind.BONUS) for (funded, lot), amount in (await _bonus(session, topup, now)).items()]
    return legs


def _borne(topup: Topup, kind: str) -> dict[str, int]:
    """Return what each funder bears of a kind of benefits."""
    borne: dict[str, int] = {}
    for benefit in (topup.detail or {}).get("benefits", ()):
        for funder, amount in benefit["funders"] if benefit["kind"] == kind else ():
            borne[funder] = borne.get(funder, 0) + amount
    return {funder: amount for funder, amount in borne.items() if amount}


async def _bonus(session: AsyncSession, topup: Topup, now: datetime) -> dict[tuple[UUID, UUID], int]:
    """Return the bonus money as (funder's account, lot) → amount: by hand and by rules, a lot for each end; the rules' lots are noted."""
    # Copies: a row's document is written where it is another one than before.
    benefits: list[dict[str, Any]] = [dict(one) for one in (topup.detail or {}).get("benefits", ())]
    by_rules = [one for one in benefits if one["kind"] == BONUS]
    by_hand = topup.bonus_minor - sum(one["given"] for one in by_rules)
    given: dict[tuple[UUID, UUID], int] = {}

    async def put(funder: str, expires_at: datetime | None, amount: int, spending: dict[str, Any] | None = None) -> UUID:
        house = await ledger.ensure_house(session, code=HouseCode.BONUS, currency=topup.currency, reference=funder, now=now)
        lot = await ledger.ensure_purse(
            session,
            account_id=topup.account_id,
            kind=PurseKind.BONUS,
            unit=topup.currency,
            expires_at=expires_at,
            spending=spending,
            now=now,
        )
        if amount:
            given[house, lot] = given.get((house, lot), 0) + amount
        return lot

    if by_hand:
        await put(topup.bonus_funder or OFFICE, topup.bonus_expires_at, by_hand)
    for benefit in by_rules:
        for funder, amount in benefit["funders"]:
            benefit["lot"] = str(await put(funder, expiry_of(benefit), amount, benefit.get("spend")))
    if by_rules:
        topup.detail = (topup.detail or {}) | {"benefits": benefits}
    return given
