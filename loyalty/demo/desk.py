"""What the office finds on its desk: an adjustment to check, a purchase to match, accounts to close, a customer who is there twice."""

from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.customers.model import CustomerKind, IdentifierType
from loyalty.customers.operations import CustomerFacts, Development, add_customer
from loyalty.customers.queries import get_customer
from loyalty.ledger.queries import get_account
from loyalty.policy import Policy
from loyalty.topups.model import AdjustmentKind, ClosureReason, Party, PayoutMethod, Tender
from loyalty.topups.operations import Buyer, Declared, Item, Payee, approve_closure, propose_adjustment, purchase, request_closure

from .chain import Chain
from .holders import Crowd, Holder, resident_id, transfer_of

PURCHASED_MINOR = 300_000
"""Onto each card of the purchase that waits."""


async def lay_out(session: AsyncSession, chain: Chain, crowd: Crowd, *, policy: Policy, now: datetime) -> None:
    """Leave one thing of every kind that waits for somebody."""
    await _adjustment(session, chain, crowd, now)
    await _purchase(session, chain, crowd, policy, now)
    for asked, holder in enumerate(crowd.leavers):
        closure_id = await _closure(session, chain, holder, policy, now)
        if asked:
            await approve_closure(session, policy=policy, closure_id=closure_id, actor=chain.person("finance2"), now=now)
    await _twin(session, chain, crowd, now)


async def _adjustment(session: AsyncSession, chain: Chain, crowd: Crowd, now: datetime) -> None:
    gold = next(holder for holder in crowd.holders if holder.product == "gold")
    await propose_adjustment(
        session,
        account_id=gold.account_id,
        kind=AdjustmentKind.CREDIT,
        amount_minor=880,
        reason_code="goodwill",
        note_text="加油枪跳枪误差补偿",
        actor=chain.person("finance"),
        now=now - timedelta(hours=1),
    )


async def _purchase(session: AsyncSession, chain: Chain, crowd: Crowd, policy: Policy, now: datetime) -> None:
    """Let the sanitation service load all its cards in one purchase, by bank transfer."""
    cards = [holder for holder in crowd.holders if holder.product == "company" and holder.home == "HZ02"]
    account = await get_account(session, account_id=cards[0].account_id)
    assert account.customer_id is not None, "a company's account has an owner"
    owner = await get_customer(session, customer_id=account.customer_id)
    asked_at = now - timedelta(hours=3)
    await purchase(
        session,
        policy=policy,
        items=[Item(account_id=card.account_id, amount_minor=PURCHASED_MINOR, card_id=card.card_id) for card in cards],
        buyer=Buyer(party=Party.ORGANISATION, customer_id=account.customer_id),
        agent=Declared(
            party=Party.PERSON,
            name="冯建国",
            id_type=IdentifierType.RESIDENT_ID,
            id_number=resident_id(177, date(1984, 5, 17)),
            contact="13958100177",
        ),
        tender=Tender.BANK_TRANSFER,
        bank=transfer_of(owner.name, place=2),
        station_id=chain.stations["HZ02"],
        terminal_id=chain.tills["HZ02"],
        actor=chain.person("cashier:HZ02"),
        event_at=asked_at,
        now=asked_at,
    )


async def _closure(session: AsyncSession, chain: Chain, holder: Holder, policy: Policy, now: datetime) -> UUID:
    """Let somebody who moves away ask for what is left."""
    account = await get_account(session, account_id=holder.account_id)
    assert account.customer_id is not None, "a personal account has an owner"
    owner = await get_customer(session, customer_id=account.customer_id)
    closure = await request_closure(
        session,
        policy=policy,
        account_id=holder.account_id,
        reason=ClosureReason.MOVED_AWAY,
        note_text="迁居外地，余额退回本人账户",
        method=PayoutMethod.BANK,
        payee=Payee(name=owner.name, bank="中国工商银行", account="6222021202031234567"),
        station_id=chain.stations[holder.home],
        actor=chain.person(f"cashier:{holder.home}"),
        now=now - timedelta(hours=2),
    )
    return closure.closure_id


async def _twin(session: AsyncSession, chain: Chain, crowd: Crowd, now: datetime) -> None:
    """Let another counter enter somebody anew who is already known: same name, same phone."""
    known = next(holder for holder in crowd.holders if holder.product == "personal" and holder.home == "HZ02")
    account = await get_account(session, account_id=known.account_id)
    assert account.customer_id is not None, "a personal account has an owner"
    owner = await get_customer(session, customer_id=account.customer_id)
    facts = CustomerFacts(kind=CustomerKind.PERSON, name=owner.name, phone=owner.phone)
    station_id = chain.stations["NB01"]
    await add_customer(
        session, facts=facts, developed=Development(station_id=station_id), actor=chain.person("cashier:NB01"), now=now - timedelta(hours=5)
    )
