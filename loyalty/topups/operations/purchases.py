"""Several cards at once: the thresholds judge the whole, each item is a movement of its own."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.customers.model import CustomerKind
from loyalty.errors import Refusal
from loyalty.ids import uuid7
from loyalty.ledger.model import Account, AccountKind
from loyalty.ledger.queries import get_account_for_update
from loyalty.money import shown
from loyalty.policy import Policy
from loyalty.topups.model import PURCHASE_MOVES, Party, Purchase, PurchaseStatus, Tender, Topup
from loyalty.topups.queries import get_purchase_for_update, items_of, owner_of
from loyalty.topups.rules import Buying, needs_real_name, real_name_needed, require_amount, require_tender

from .booking import Bonus
from .confirmations import StatementLine, cancel_item, confirm_item, require_same_amount, use_statement_line
from .loads import new_topup, require_place, settle_tender, use_reference
from .offers import OfferChanged, hold_all
from .real_names import Declared, record_real_name
from .traces import note, require_move
from .transfers import BankTransfer, Paying


class PurchaseIsEmpty(Refusal):
    """A purchase has items."""

    status = 422
    zh = "请至少选择一张卡。"
    en = "Choose at least one card."


class CurrenciesDiffer(Refusal):
    """One purchase is paid once, in one currency."""

    status = 422
    zh = "一次购卡只能使用一种货币。"
    en = "One purchase is in one currency."
    next_zh = "请按货币分开办理。"
    next_en = "Make one purchase a currency."


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """So much onto that account, by that card."""

    account_id: UUID
    amount_minor: int
    card_id: UUID | None = None
    bonus: Bonus | None = None


class Buyer(msgspec.Struct, frozen=True, kw_only=True):
    """Who buys: a known customer, whose verified identity is reused, or somebody as his document says."""

    party: Party
    customer_id: UUID | None = None
    declared: Declared | None = None


class Purchased(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase with its items, in the order they were asked for."""

    purchase: Purchase
    items: list[Topup]


async def purchase(
    session: AsyncSession,
    *,
    policy: Policy,
    items: Sequence[Item],
    buyer: Buyer,
    tender: Tender,
    actor: Actor,
    event_at: datetime,
    now: datetime,
    agent: Declared | None = None,
    bank: BankTransfer | None = None,
    reference: str | None = None,
    off_premises: bool = False,
    station_id: UUID | None = None,
    terminal_id: UUID | None = None,
    flyer: str | None = None,
    pays_minor: int | None = None,
) -> Purchased:
    """Load several cards, just issued or old, in one purchase paid once.

    Cash and real-name thresholds judge the whole of what is loaded; caps and the rules' benefits are each card's. By bank transfer all
    items wait for one statement line. `pays_minor` is what the buyer was told to pay in all. Cards are issued by their own room in the
    same transaction before.

    :raises PurchaseIsEmpty: if there are no items
    :raises CurrenciesDiffer: if the accounts are of several currencies
    :raises TenderNotAllowed: if the rule asks for a bank transfer
    :raises RealNameNeeded: if buyer or agent must be on record and is not
    :raises OfferChanged: if the rules say now that another amount is to be paid
    :raises Refusal: whatever `load` raises for one of the items
    """
    if not items:
        raise PurchaseIsEmpty
    for item in items:
        require_amount(item.amount_minor)
    accounts = await _lock_accounts(session, items, station_id)
    currencies = {account.currency for account in accounts.values()}
    if len(currencies) > 1:
        raise CurrenciesDiffer(currencies=", ".join(sorted(currencies)))
    currency = currencies.pop()
    rules = policy.for_currency(currency)
    buying = Buying(
        buyer=buyer.party,
        total_minor=sum(item.amount_minor for item in items),
        registered_minor=sum(item.amount_minor for item in items if accounts[item.account_id].kind is not AccountKind.ANONYMOUS),
        currency=currency,
        tender=tender,
        off_premises=off_premises,
    )
    require_tender(rules, buying)
    made = Purchase(
        purchase_id=uuid7(now),
        status=PurchaseStatus.PENDING,
        tender=tender,
        currency=currency,
        total_minor=buying.total_minor,
        items=len(items),
        buyer=buyer.party,
        buyer_customer_id=buyer.customer_id,
        off_premises=off_premises,
        station_id=station_id,
        terminal_id=terminal_id,
        staff_id=actor.staff_id,
        event_at=event_at,
        requested_at=now,
    )
    await _record_parties(session, made, rules, buying, buyer=buyer, agent=agent, actor=actor, now=now)
    session.add(made)
    await session.flush()
    if tender is not Tender.BANK_TRANSFER:
        require_move(PURCHASE_MOVES, made.status, PurchaseStatus.BOOKED)
        made.status = PurchaseStatus.BOOKED
        made.booked_at = now
    topups = await _load_items(
        session, made, items, accounts, policy=rules, buyer=buyer, bank=bank, reference=reference, flyer=flyer, actor=actor, now=now
    )
    paid = sum(topup.paid_minor for topup in topups)
    if tender is not Tender.BANK_TRANSFER:
        await use_reference(
            session,
            tender=tender,
            reference=reference,
            subject=("purchase", made.purchase_id),
            amount_minor=paid,
            currency=currency,
            now=now,
        )
    if pays_minor is not None and paid != pays_minor:
        raise OfferChanged(pays=shown(paid, currency), pays_minor=paid, told=shown(pays_minor, currency), told_minor=pays_minor)
    note(session, subject=("purchase", made.purchase_id), moved_to=made.status, actor=actor, now=now)
    await session.flush()
    return Purchased(purchase=made, items=topups)


async def confirm_purchase(
    session: AsyncSession, *, policy: Policy, purchase_id: UUID, statement: StatementLine, actor: Actor, now: datetime
) -> Purchased:
    """Book every item of a purchase whose one transfer finance found on the bank's statement.

    :raises PurchaseNotFound: if there is none
    :raises CannotMove: if it is not pending
    :raises AmountDiffers: if the line is not the purchase's total
    :raises Refusal: whatever `confirm_bank_load` raises for one of the items
    """
    found = await get_purchase_for_update(session, purchase_id=purchase_id)
    require_move(PURCHASE_MOVES, found.status, PurchaseStatus.BOOKED)
    require_same_amount(statement, found.total_minor, found.currency)
    await use_statement_line(session, statement=statement, subject=("purchase", purchase_id), currency=found.currency, now=now)
    items = await items_of(session, purchase_id=purchase_id)
    accounts = {
        account_id: await get_account_for_update(session, account_id=account_id)
        for account_id in sorted({item.account_id for item in items})
    }
    await hold_all(session, accounts=accounts, topups=items, instant=now)
    for topup in items:
        await confirm_item(session, policy=policy, topup=topup, statement=statement, actor=actor, now=now)
    found.status = PurchaseStatus.BOOKED
    found.booked_at = now
    note(session, subject=("purchase", purchase_id), moved_to=PurchaseStatus.BOOKED, actor=actor, now=now)
    await session.flush()
    return Purchased(purchase=found, items=items)


async def cancel_purchase(session: AsyncSession, *, purchase_id: UUID, reason: str, actor: Actor, now: datetime) -> Purchased:
    """Give up waiting for a purchase's transfer; nothing was booked.

    :raises PurchaseNotFound: if there is none
    :raises CannotMove: if it is not pending
    """
    found = await get_purchase_for_update(session, purchase_id=purchase_id)
    require_move(PURCHASE_MOVES, found.status, PurchaseStatus.CANCELLED)
    items = await items_of(session, purchase_id=purchase_id)
    for topup in items:
        cancel_item(session, topup=topup, reason=reason, actor=actor, now=now)
    found.status = PurchaseStatus.CANCELLED
    note(session, subject=("purchase", purchase_id), moved_to=PurchaseStatus.CANCELLED, actor=actor, reason=reason, now=now)
    await session.flush()
    return Purchased(purchase=found, items=items)


async def _lock_accounts(session: AsyncSession, items: Sequence[Item], station_id: UUID | None) -> dict[UUID, Account]:
    """Lock the accounts in id order, so that two purchases never wait for each other."""
    locked = {
        account_id: await get_account_for_update(session, account_id=account_id)
        for account_id in sorted({item.account_id for item in items})
    }
    for item in items:
        await require_place(session, account=locked[item.account_id], card_id=item.card_id, station_id=station_id)
    return locked


async def _record_parties(
    session: AsyncSession,
    made: Purchase,
    policy: Policy,
    buying: Buying,
    *,
    buyer: Buyer,
    agent: Declared | None,
    actor: Actor,
    now: datetime,
) -> None:
    """Keep buyer and agent where the rule asks, and wherever they were given."""
    owner = await owner_of(session, customer_id=buyer.customer_id, now=now)
    known = owner is not None and owner.verified and (owner.kind is CustomerKind.ORGANISATION) == (buyer.party is Party.ORGANISATION)
    needed = needs_real_name(policy, buying)
    if needed and buyer.declared is None and not known:
        raise real_name_needed(policy, buying, who="buyer")
    if needed and buyer.party is Party.ORGANISATION and agent is None:
        # An organisation always buys through a person.
        raise real_name_needed(policy, buying, who="agent")
    if needed or buyer.declared is not None:
        made.buyer_record_id = await record_real_name(
            session,
            policy=policy,
            declared=buyer.declared,
            customer_id=buyer.customer_id,
            party=buyer.party,
            actor=actor,
            station_id=made.station_id,
            now=now,
        )
    if agent is not None:
        made.agent_record_id = await record_real_name(
            session,
            policy=policy,
            declared=agent,
            customer_id=None,
            party=Party.PERSON,
            actor=actor,
            station_id=made.station_id,
            now=now,
        )


async def _load_items(
    session: AsyncSession,
    made: Purchase,
    items: Sequence[Item],
    accounts: dict[UUID, Account],
    *,
    policy: Policy,
    buyer: Buyer,
    bank: BankTransfer | None,
    reference: str | None,
    flyer: str | None,
    actor: Actor,
    now: datetime,
) -> list[Topup]:
    owner = await owner_of(session, customer_id=buyer.customer_id, now=now)
    name = buyer.declared.name if buyer.declared is not None else (owner.name if owner else None)
    paying = Paying(buyer.party, buyer.customer_id, name)
    topups: list[Topup] = []
    for item in items:
        topup = new_topup(
            accounts[item.account_id],
            amount_minor=item.amount_minor,
            tender=made.tender,
            actor=actor,
            event_at=made.event_at,
            now=now,
            card_id=item.card_id,
            station_id=made.station_id,
            terminal_id=made.terminal_id,
            reference=reference,
            off_premises=made.off_premises,
            bonus=item.bonus,
            flyer=flyer,
        )
        topup.purchase_id = made.purchase_id
        topups.append(topup)
    if made.tender is not Tender.BANK_TRANSFER:
        await hold_all(session, accounts=accounts, topups=topups, instant=made.event_at)
    for topup in topups:
        account = accounts[topup.account_id]
        await settle_tender(session, policy=policy, account=account, topup=topup, paying=paying, bank=bank, actor=actor, now=now)
    return topups
