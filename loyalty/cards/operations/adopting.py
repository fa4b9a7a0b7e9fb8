"""Taking cards over from a former system by the thousand, with their accounts and what those held."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit import operations as audit
from loyalty.audit.model import Actor
from loyalty.card_numbers import plain_card_number
from loyalty.cards.model import LIVING, Card, CardProduct, CardStatus, EventKind, ProductKind
from loyalty.cards.numbers import check_value, check_value_index, number_index, protect_number
from loyalty.cards.rules import is_organisations, staff_of
from loyalty.copying import copy_rows
from loyalty.ids import AccountId, uuid7
from loyalty.ledger.model import AccountKind
from loyalty.ledger.openings import NewAccount, Opening, book_openings, find_accounts, open_accounts

_ACCOUNTS = {
    ProductKind.PERSONAL: AccountKind.PERSONAL,
    ProductKind.ANONYMOUS: AccountKind.ANONYMOUS,
    ProductKind.COMPANY: AccountKind.COMPANY,
    ProductKind.FLEET: AccountKind.COMPANY,
}


class AdoptedCard(NamedTuple):
    """A card of a former system. Its holder is of the product's kind: the caller has seen to that."""

    number: str
    product: CardProduct
    customer_id: UUID | None
    status: CardStatus = CardStatus.ACTIVE
    opening_minor: int = 0
    plate: str | None = None
    holder_label: str | None = None
    expires_on: date | None = None
    issued_at: datetime | None = None


class Adopted(NamedTuple):
    """What became of it."""

    card_id: UUID
    account_id: UUID


async def taken_numbers(session: AsyncSession, *, numbers: Sequence[str]) -> set[str]:
    """Return which of these numbers cards have already, of whatever status."""
    indexes = {number_index(number): number for number in numbers}
    found = await session.scalars(select(Card.number_index).where(Card.number_index.in_(list(indexes))))
    return {indexes[index] for index in found}


async def taken_plates(session: AsyncSession, *, plates: Collection[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Return which (customer, plate) have a living fleet card: one vehicle, one card."""
    found = await session.execute(
        select(Card.customer_id, Card.plate)
        .join(CardProduct, CardProduct.product_id == Card.product_id)
        .where(
            Card.customer_id.in_([customer_id for customer_id, _ in plates]),
            Card.plate.is_not(None),
            Card.status.in_(LIVING),
            CardProduct.kind == ProductKind.FLEET,
        )
    )
    return {(customer_id, plate) for customer_id, plate in found if customer_id is not None and plate is not None} & set(plates)


async def adopt_cards(
    session: AsyncSession,
    *,
    source: str,
    cards: Sequence[AdoptedCard],
    operation_id: UUID,
    opened_at: datetime,
    actor: Actor,
    now: datetime,
) -> list[Adopted]:
    """Take cards over under their own numbers, which may lack Luhn, in the order given; they have no PIN yet.

    A company's cards share its account of the currency, a person's the one of the product, an anonymous card has its own; what is missing
    is opened. The first card of an account is its main card. `opening_minor` is booked from the house account `migration` of `source`, as
    of `opened_at`. Numbers and plates are free: `taken_numbers` and `taken_plates` said so in this transaction.
    """
    accounts = await _accounts(session, cards, now)
    has_main = set(
        await session.scalars(select(Card.account_id).where(Card.account_id.in_(accounts), Card.is_main, Card.status.in_(LIVING)))
    )
    adopted: list[Adopted] = []
    rows = []
    for card, account_id in zip(cards, accounts, strict=True):
        card_id = uuid7(now)
        adopted.append(Adopted(card_id, account_id))
        rows.append(_row(card, card_id, account_id, is_main=account_id not in has_main, now=now))
        has_main.add(account_id)
    await copy_rows(session, "cards", _COLUMNS, rows)
    await _note(session, cards, adopted, actor=actor, now=now)
    openings = [
        Opening(each.account_id, card.product.currency, card.opening_minor, each.card_id)
        for card, each in zip(cards, adopted, strict=True)
        if card.opening_minor
    ]
    sums = await book_openings(session, source=source, openings=openings, operation_id=operation_id, event_at=opened_at, now=now)
    await audit.record(
        session,
        actor=actor,
        action="cards.adopted_many",
        subject=("cards", f"{len(cards)} rows"),
        facts={"source": source, "cards": len(cards), "accounts": len(set(accounts)), "openings_minor": sums},
        now=now,
    )
    return adopted


async def _accounts(session: AsyncSession, cards: Sequence[AdoptedCard], now: datetime) -> list[AccountId]:
    """Return each card's account, opened where there is none."""
    known: dict[tuple[AccountKind, UUID, str, UUID | None], AccountId] = {}
    for kind in {_ACCOUNTS[card.product.kind] for card in cards}:
        owners = {
            (card.customer_id, card.product.currency)
            for card in cards
            if card.customer_id is not None and _ACCOUNTS[card.product.kind] is kind
        }
        found = await find_accounts(session, owners=sorted(owners), kind=kind)
        known |= {(kind, *owner): account_id for owner, account_id in found.items()}
    accounts: list[AccountId] = []
    fresh: list[NewAccount] = []
    for card in cards:
        kind, product = _ACCOUNTS[card.product.kind], card.product
        product_id = None if is_organisations(product.kind) else product.product_id
        key = None if card.customer_id is None else (kind, card.customer_id, product.currency, product_id)
        account_id = None if key is None else known.get(key)
        if account_id is None:
            account_id = AccountId(uuid7(now))
            fresh.append(NewAccount(account_id, kind, product.currency, card.customer_id, product_id))
            if key is not None:
                known[key] = account_id
        accounts.append(account_id)
    await open_accounts(session, accounts=fresh, now=now)
    return accounts


_COLUMNS = (
    "card_id",
    "account_id",
    "number_index",
    "number_sealed",
    "number_bin",
    "number_tail",
    "product_id",
    "customer_id",
    "status",
    "version",
    "pin_generation",
    "pin_tries",
    "chain_id",
    "bearer",
    "is_main",
    "expires_on",
    "check_value_index",
    "holder_label",
    "plate",
    "created_at",
    "issued_at",
    "activated_at",
    "closed_at",
)


def _row(card: AdoptedCard, card_id: UUID, account_id: UUID, *, is_main: bool, now: datetime) -> tuple[object, ...]:
    number = plain_card_number(card.number)
    protected = protect_number(number, card_id=card_id)
    issued_at = card.issued_at or now
    return (
        card_id,
        account_id,
        protected.lookup,
        protected.sealed,
        protected.bin,
        protected.tail,
        card.product.product_id,
        card.customer_id,
        int(card.status),
        1,
        0,
        0,
        card_id,
        card.product.bearer,
        is_main,
        card.expires_on,
        check_value_index(number, check_value(number)),
        card.holder_label,
        card.plate,
        now,
        issued_at,
        None if card.status is CardStatus.ISSUED else issued_at,
        now if card.status is CardStatus.CLOSED else None,
    )


async def _note(session: AsyncSession, cards: Sequence[AdoptedCard], adopted: Sequence[Adopted], *, actor: Actor, now: datetime) -> None:
    """Write each card's first line of history and its issue; the trail gets one entry for the set."""
    facts: Mapping[CardStatus, str] = {
        status: msgspec.json.encode({"status": status.name.lower()}).decode() for status in {card.status for card in cards}
    }
    await copy_rows(
        session,
        "card_events",
        ("card_id", "kind", "happened_at", "actor_kind", "actor_id", "reason", "facts"),
        [
            (each.card_id, EventKind.ADOPTED.value, now, actor.kind.value, str(actor.actor_id), "from a former system", facts[card.status])
            for card, each in zip(cards, adopted, strict=True)
        ],
    )
    await copy_rows(
        session,
        "card_issues",
        ("card_id", "account_id", "customer_id", "issued_at", "staff_id"),
        [
            (each.card_id, each.account_id, card.customer_id, card.issued_at or now, staff_of(actor))
            for card, each in zip(cards, adopted, strict=True)
        ],
    )
