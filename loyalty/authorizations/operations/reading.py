"""The facts that a cold operation decides on, read under its locks: the same structs as the hot path's one read gives."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.facts import AuthorizationFacts, CardFacts, CardTerms, Place
from loyalty.authorizations.hot import local_time
from loyalty.authorizations.levelling import subjects_in
from loyalty.authorizations.model import Authorization, LimitCounter
from loyalty.authorizations.offering import Offer
from loyalty.authorizations.snapshot import Snapshot
from loyalty.cards.model import Card, CardStatus
from loyalty.cards.queries import get_card
from loyalty.ledger.model import Account, AccountKind
from loyalty.ledger.queries import get_account
from loyalty.ledger.rules import PurseView
from loyalty.limits.queries import above_at, limit_set_of
from loyalty.limits.rules import Compiled, Used, used_in, window_start
from loyalty.pricing.basket import Moment, Person
from loyalty.pricing.compiling import EMPTY_BOOK, Book
from loyalty.pricing.freezing import Frozen
from loyalty.pricing.operations.budgets import counters_of, free_of, gather
from loyalty.pricing.queries import book_numbered, facts_of, number_live_at


async def card_by_index(session: AsyncSession, *, number_index: bytes) -> Card | None:
    """Return the card of a blind index; blank stock is no card yet."""
    found: Card | None = await session.scalar(select(Card).where(Card.number_index == number_index, Card.status != CardStatus.BLANK))
    return found


async def card_facts(
    session: AsyncSession,
    *,
    card: Card,
    account: Account,
    purses: list[PurseView],
    day: date,
    driver_number: str | None = None,
    driver_card: bytes | None = None,
    order_number: str | None = None,
) -> CardFacts:
    """Return a card's facts on the station's `day`, with the driver and the order that were named.

    `driver_card` is the blind index of the driver's own card, in place of a number.

    `purses` are the account's, of which it sees its own and the common ones.
    """
    used, last_at = await _used(session, account_id=account.account_id, chain_id=card.chain_id, day=day)
    limits = Compiled(await limit_set_of(session, subject_id=card.chain_id))
    above = None
    if account.kind is AccountKind.COMPANY:
        above = await above_at(
            session,
            account_id=account.account_id,
            chain_id=card.chain_id,
            day=day,
            driver_number=driver_number,
            driver_card=driver_card,
            order_number=order_number,
        )
    return CardFacts(
        card_id=card.card_id,
        account_id=account.account_id,
        product_id=card.product_id,
        status=int(card.status),
        version=card.version,
        pin_verifier=card.pin_verifier,
        pin_generation=card.pin_generation,
        pin_tries=card.pin_tries,
        chain_id=card.chain_id,
        check_value_index=card.check_value_index,
        expires_on=card.expires_on,
        number_tail=card.number_tail,
        account_status=str(account.status),
        account_kind=str(account.kind),
        currency=account.currency,
        limits=None if limits.quiet else limits,
        used=used,
        last_at=last_at,
        purses=seen_by(purses, card_id=card.card_id),
        above=above,
    )


async def authorization_facts(
    session: AsyncSession, *, authorization: Authorization, account: Account, purses: list[PurseView]
) -> AuthorizationFacts:
    """Return the facts of an approved, locked authorisation; it has a card and a product, since only such are approved."""
    assert authorization.card_id is not None
    assert authorization.chain_id is not None
    assert authorization.product_id is not None
    card = await get_card(session, card_id=authorization.card_id)
    return AuthorizationFacts(
        account_id=authorization.account_id,
        authorization_id=authorization.authorization_id,
        card_id=authorization.card_id,
        chain_id=authorization.chain_id,
        station_id=authorization.station_id,
        product_id=authorization.product_id,
        status=authorization.status,
        reason=authorization.reason,
        flow=authorization.flow,
        nozzle=authorization.nozzle,
        approved_minor=authorization.approved_minor,
        approved_milli=authorization.approved_milli,
        unit_price_e4=authorization.unit_price_e4,
        holds=tuple(zip(authorization.hold_purses, authorization.hold_minors, strict=True)),
        captured_minor=authorization.captured_minor,
        captured_milli=authorization.captured_milli,
        completions=authorization.completions,
        frozen=None if authorization.frozen is None else msgspec.convert(authorization.frozen, Frozen),
        event_at=authorization.event_at,
        expires_at=authorization.expires_at,
        business_day=authorization.business_day,
        card_product_id=card.product_id,
        number_tail=card.number_tail,
        currency=account.currency,
        purses=seen_by(purses, card_id=authorization.card_id),
        subjects=subjects_in(authorization.prompts),
    )


async def person_of(
    session: AsyncSession, *, card: CardFacts, customer_id: UUID | None, book: Book, day: date, agreements: bool = False
) -> Person:
    """Read what rules ask about the customer: the same as the pump's full read."""
    person = Person(card.account_id, card.chain_id, None, card.account_kind)
    if book.asks_customer or book.counters or agreements:
        known = await facts_of(session, account_id=card.account_id, customer_id=customer_id)
        person = person._replace(**known)
    subjects = [subject for subject in (card.chain_id, card.account_id, person.customer_id) if subject is not None]
    had = await counters_of(session, subject_ids=subjects, counters=book.counters, since=day - timedelta(days=31))
    return person._replace(had=had)


async def book_of(session: AsyncSession, *, snapshot: Snapshot, number: int) -> Book:
    """Return the rulebook of a number: at hand, or read."""
    found = snapshot.books.get(number) or await book_numbered(session, number=number)
    assert found is not None, "a rulebook is never deleted"
    return found


async def frozen_book(session: AsyncSession, *, snapshot: Snapshot, frozen: Frozen | None) -> Book | None:
    """Return the rulebook that an authorisation froze; None where it froze none, or a term of the release before."""
    return None if frozen is None or not frozen.book else await book_of(session, snapshot=snapshot, number=frozen.book)


async def book_at(session: AsyncSession, *, snapshot: Snapshot, instant: datetime) -> Book:
    """Return the rulebook that was live at an instant, also one long gone."""
    first = next(iter(snapshot.books.values()), None)
    if first is None or first.activates_at is None or first.activates_at <= instant:
        return snapshot.book(instant)
    number = await number_live_at(session, instant=instant)
    return EMPTY_BOOK if number is None else await book_of(session, snapshot=snapshot, number=number)


async def offer_for(
    session: AsyncSession, *, snapshot: Snapshot, place: Place, card: CardFacts, terms: CardTerms, instant: datetime, lock: bool = True
) -> Offer:
    """Return the rules as a card meets them at an instant; with `lock`, budgets are gathered and held for what is about to be booked."""
    book = await book_at(session, snapshot=snapshot, instant=instant)
    local = local_time(instant, place.zone)
    account = await get_account(session, account_id=card.account_id)
    person = await person_of(
        session, card=card, customer_id=account.customer_id, book=book, day=local.date(), agreements=snapshot.has_agreements
    )
    if card.account_kind == "anonymous" and not snapshot.anonymous_points:
        person = person._replace(earns_points=False)
    free: Mapping[UUID, int] = {}
    if book.budgets:
        free = await (gather if lock else free_of)(session, budget_ids=book.budgets, share=0)
    return Offer(book, place.where, terms.code, person, Moment(instant, local), free=free)


def seen_by(purses: list[PurseView], *, card_id: UUID) -> list[PurseView]:
    """Return the purses that a card sees: the account's common ones and those allocated to it."""
    return [purse for purse in purses if purse.card_id is None or purse.card_id == card_id]


async def _used(session: AsyncSession, *, account_id: UUID, chain_id: UUID, day: date) -> tuple[Used | None, datetime | None]:
    """Return what the chain used in the day's, the week's and the month's window so far, and when it last fuelled."""
    rows = await session.execute(
        select(
            LimitCounter.start,
            LimitCounter.amount_minor,
            LimitCounter.quantity_milli,
            LimitCounter.count.label("fills"),
            LimitCounter.last_at,
        ).where(
            LimitCounter.account_id == account_id,
            LimitCounter.subject_id == chain_id,
            LimitCounter.window == 1,
            LimitCounter.start.between(day - timedelta(days=31), day),
        )
    )
    days = rows.all()
    if not days:
        return None, None
    sums: dict[str, tuple[int, int, int]] = {}
    for window in ("day", "week", "month"):
        since = window_start(window, day)
        counted = [row for row in days if row.start >= since]
        sums[window] = (
            sum(row.amount_minor for row in counted),
            sum(row.quantity_milli for row in counted),
            sum(row.fills for row in counted),
        )
    return used_in(sums), max(row.last_at for row in days)
