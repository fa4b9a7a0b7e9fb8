"""Reading cards."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import paging
from loyalty.customers.queries import family_of
from loyalty.errors import NotFound
from loyalty.ledger.model import Account, AccountStatus

from .model import LIVING, Card, CardEvent, CardIssue, CardProduct, CardStatus, CardStockMove, EventKind, ProductKind, StockMoveKind
from .numbers import check_value, number_index, reveal_number
from .rules import OfflineProfile


class CardNotFound(NotFound):
    """Unknown, or another tenant's: the answer is the same."""

    zh = "没有找到该卡。"
    en = "There is no such card."
    next_zh = "请核对卡号，或重新刷卡。"
    next_en = "Check the number, or scan the card again."


class CardProductNotFound(NotFound):
    zh = "没有找到该卡产品。"
    en = "There is no such card product."


class StockMoveNotFound(NotFound):
    zh = "没有找到该空白卡调拨单。"
    en = "There is no such transport of blank cards."


class CardProductSnapshot(msgspec.Struct, frozen=True, gc=False):
    """A card product as the pump and the offline profiles read it."""

    product_id: UUID
    code: str
    name_zh: str
    name_en: str
    kind: str
    currency: str
    bearer: bool
    pin_required: bool
    spend_order: tuple[str, ...]
    fuel_kinds: frozenset[str] | None
    shop_categories: frozenset[str] | None
    default_limits: str
    """A limit set document, JSON text: what `loyalty.limits.rules.compiled` takes."""
    offline: OfflineProfile
    media_validity_months: int | None
    issue_fee_minor: int
    replacement_fee_minor: int
    active: bool


class StockLevel(NamedTuple):
    """Blank cards of a product at a station (None: central stock), and how many of them are still on their way there."""

    station_id: UUID | None
    product_id: UUID
    on_hand: int
    on_the_way: int


class StoppedCard(NamedTuple):
    """A card that must not be taken offline."""

    card_id: UUID
    status: CardStatus
    number_sealed: bytes


async def get_card(session: AsyncSession, *, card_id: UUID) -> Card:
    """Return one card.

    :raises CardNotFound: if the caller may not see such a card
    """
    card = await session.get(Card, card_id)
    if card is None:
        raise CardNotFound(card=card_id)
    return card


async def get_card_for_update(session: AsyncSession, *, card_id: UUID) -> Card:
    """Lock and return one card as it now is.

    :raises CardNotFound: if the caller may not see such a card
    """
    card = await session.scalar(
        select(Card).where(Card.card_id == card_id).with_for_update(key_share=True).execution_options(populate_existing=True)
    )
    if card is None:
        raise CardNotFound(card=card_id)
    return card


async def lock_cards(session: AsyncSession, *, card_ids: Sequence[UUID]) -> list[Card]:
    """Lock cards in id order and return them as they now are; unknown ones are missing from the answer."""
    statement = select(Card).where(Card.card_id.in_(card_ids)).order_by(Card.card_id).with_for_update(key_share=True)
    return list(await session.scalars(statement.execution_options(populate_existing=True)))


async def find_by_number(session: AsyncSession, *, number: str) -> Card:
    """Return the card of a number, typed or scanned, spaces and hyphens allowed.

    :raises CardNotFound: if there is none, or the number is malformed: one answer for both
    """
    card = await session.scalar(select(Card).where(Card.number_index == number_index(number)))
    if card is None:
        raise CardNotFound
    return card


async def find_by_index(session: AsyncSession, *, index: bytes) -> Card:
    """Return the card of a blind index, as a scanned number or a holder's dynamic code gives it.

    :raises CardNotFound: if there is none
    """
    card = await session.scalar(select(Card).where(Card.number_index == index))
    if card is None:
        raise CardNotFound
    return card


async def cards_of_customer(session: AsyncSession, *, customer_id: UUID) -> list[Card]:
    """Return a customer's cards of every status, the newest first; those of records merged with it too.

    :raises CustomerNotFound: if there is no such customer
    """
    family = await family_of(session, customer_id=customer_id)
    return list(await session.scalars(select(Card).where(Card.customer_id.in_(family)).order_by(Card.card_id.desc())))


async def cards_of_plate(session: AsyncSession, *, plate: str, limit: int = 50) -> list[Card]:
    """Return the cards bound to a number plate, as `read_plate` writes it, the newest first."""
    return list(await session.scalars(select(Card).where(Card.plate == plate).order_by(Card.card_id.desc()).limit(limit)))


async def cards_of_account(session: AsyncSession, *, account_id: UUID, living: bool = False) -> list[Card]:
    """Return an account's cards, the main card first; `living`: only those that are or may again be usable."""
    statement = select(Card).where(Card.account_id == account_id).order_by(Card.is_main.desc(), Card.card_id)
    if living:
        statement = statement.where(Card.status.in_(LIVING))
    return list(await session.scalars(statement))


async def chain_of(session: AsyncSession, *, chain_id: UUID, living: bool = False) -> list[Card]:
    """Return the cards that replaced each other, the first one first; `living`: only those that are or may again be usable."""
    statement = select(Card).where(Card.chain_id == chain_id).order_by(Card.issued_at, Card.card_id)
    return list(await session.scalars(statement.where(Card.status.in_(LIVING)) if living else statement))


def _listed(
    *,
    status: CardStatus | None,
    product_id: UUID | None,
    customer_id: UUID | None,
    account_id: UUID | None,
    station_id: UUID | None,
    tail: str | None,
) -> Select[Card]:
    wanted: dict[Any, Any] = {
        Card.status: status,
        Card.product_id: product_id,
        Card.customer_id: customer_id,
        Card.account_id: account_id,
        Card.station_id: station_id,
        Card.number_tail: tail,
    }
    return select(Card).where(*(column == value for column, value in wanted.items() if value is not None))


async def list_cards(
    session: AsyncSession,
    *,
    status: CardStatus | None = None,
    product_id: UUID | None = None,
    customer_id: UUID | None = None,
    account_id: UUID | None = None,
    station_id: UUID | None = None,
    tail: str | None = None,
    descending: bool = True,
    cursor: str | None = None,
    limit: int = paging.PAGE_SIZE,
) -> paging.Page[Card]:
    """Return a page of cards, the newest first unless asked otherwise; `tail` is the last four digits.

    :raises CursorNotUnderstood: if the cursor is none of this list
    :raises PageSizeOutOfRange: if `limit` is not 1 to 200
    """
    statement = _listed(
        status=status, product_id=product_id, customer_id=customer_id, account_id=account_id, station_id=station_id, tail=tail
    )
    return await paging.page(session, statement, keys=[paging.Key(Card.card_id, descending=descending)], cursor=cursor, limit=limit)


async def history(
    session: AsyncSession, *, card_id: UUID, cursor: str | None = None, limit: int = paging.PAGE_SIZE
) -> paging.Page[CardEvent]:
    """Return a page of what happened to a card, the latest first."""
    statement = select(CardEvent).where(CardEvent.card_id == card_id)
    return await paging.page(session, statement, keys=[paging.Key(CardEvent.event_id, descending=True)], cursor=cursor, limit=limit)


async def status_before(session: AsyncSession, *, card_id: UUID, status: CardStatus) -> CardStatus | None:
    """Return the status from which a card last moved to `status`, None where it never did."""
    found = await last_move(session, card_id=card_id, to=status)
    return None if found is None else found.moved_from


async def last_move(session: AsyncSession, *, card_id: UUID, to: CardStatus) -> CardEvent | None:
    """Return how a card last came to a status, None where it never did."""
    statement = select(CardEvent).where(CardEvent.card_id == card_id, CardEvent.moved_to == to)
    found: CardEvent | None = await session.scalar(statement.order_by(CardEvent.event_id.desc()).limit(1))
    return found


async def issue_of(session: AsyncSession, *, card_id: UUID) -> CardIssue | None:
    """Return who developed the holder, as stored when the card was issued."""
    return await session.get(CardIssue, card_id)


async def get_product(session: AsyncSession, *, product_id: UUID) -> CardProduct:
    """Return a card product.

    :raises CardProductNotFound: if there is none
    """
    product = await session.get(CardProduct, product_id)
    if product is None:
        raise CardProductNotFound(product=product_id)
    return product


async def product_by_code(session: AsyncSession, *, code: str) -> CardProduct:
    """Return a card product by its code.

    :raises CardProductNotFound: if there is none
    """
    product = await session.scalar(select(CardProduct).where(CardProduct.code == code))
    if product is None:
        raise CardProductNotFound(code=code)
    return product


async def list_products(session: AsyncSession, *, active_only: bool = False) -> list[CardProduct]:
    """Return the card products by code; there are few."""
    statement = select(CardProduct).order_by(CardProduct.code)
    return list(await session.scalars(statement.where(CardProduct.active) if active_only else statement))


def offline_profile(product: CardProduct) -> OfflineProfile:
    """Return a product's offline profile, unshrunk."""
    return OfflineProfile(
        allowed=product.offline_allowed,
        fill_amount_minor=product.offline_fill_amount_minor,
        fill_quantity_milli=product.offline_fill_quantity_milli,
        day_amount_minor=product.offline_day_amount_minor,
        day_quantity_milli=product.offline_day_quantity_milli,
        day_count=product.offline_day_count,
        station_amount_minor=product.offline_station_amount_minor,
        shrink_percent_per_hour=product.offline_shrink_percent_per_hour,
    )


async def snapshot_card_products(session: AsyncSession) -> list[CardProductSnapshot]:
    """Return every card product as hot workers keep it, until the reference revision rises."""
    return [
        CardProductSnapshot(
            product_id=product.product_id,
            code=product.code,
            name_zh=product.name_zh,
            name_en=product.name_en,
            kind=product.kind.value,
            currency=product.currency,
            bearer=product.bearer,
            pin_required=product.pin_required,
            spend_order=tuple(product.spend_order),
            fuel_kinds=None if product.fuel_kinds is None else frozenset(product.fuel_kinds),
            shop_categories=None if product.shop_categories is None else frozenset(product.shop_categories),
            default_limits=msgspec.json.encode(product.default_limits, order="deterministic").decode(),
            offline=offline_profile(product),
            media_validity_months=product.media_validity_months,
            issue_fee_minor=product.issue_fee_minor,
            replacement_fee_minor=product.replacement_fee_minor,
            active=product.active,
        )
        for product in await session.scalars(select(CardProduct).order_by(CardProduct.product_id))
    ]


async def stock_levels(session: AsyncSession, *, station_id: UUID | None = None, product_id: UUID | None = None) -> list[StockLevel]:
    """Return the blank stock by place and product; a transport still on its way counts at its destination, apart."""
    place = func.coalesce(CardStockMove.to_station_id, Card.station_id)
    travelling = Card.stock_move_id.is_not(None)
    statement = (
        select(
            place,
            Card.product_id,
            func.count().filter(~travelling),
            func.count().filter(travelling),
        )
        .select_from(Card)
        .join(CardStockMove, CardStockMove.move_id == Card.stock_move_id, isouter=True)
        .where(Card.status == CardStatus.BLANK)
        .group_by(place, Card.product_id)
        .order_by(place, Card.product_id)
    )
    if station_id is not None:
        statement = statement.where(place == station_id)
    if product_id is not None:
        statement = statement.where(Card.product_id == product_id)
    return [StockLevel(*row) for row in (await session.execute(statement)).all()]


async def stock_moves(
    session: AsyncSession,
    *,
    station_id: UUID | None = None,
    kind: StockMoveKind | None = None,
    cursor: str | None = None,
    limit: int = paging.PAGE_SIZE,
) -> paging.Page[CardStockMove]:
    """Return a page of what happened to blank stock, the latest first, of one station or of all."""
    statement = select(CardStockMove)
    if station_id is not None:
        statement = statement.where((CardStockMove.from_station_id == station_id) | (CardStockMove.to_station_id == station_id))
    if kind is not None:
        statement = statement.where(CardStockMove.kind == kind)
    return await paging.page(session, statement, keys=[paging.Key(CardStockMove.move_id, descending=True)], cursor=cursor, limit=limit)


async def batch_for_personaliser(session: AsyncSession, *, batch_id: UUID, chunk: int = 1000) -> AsyncIterator[tuple[str, str]]:
    """Yield (number, check value) of every blank card of a production, to be embossed and encoded. The caller records who fetched it."""
    last = UUID(int=0)
    while True:
        statement = select(Card.card_id, Card.number_sealed).where(
            Card.batch_id == batch_id, Card.status == CardStatus.BLANK, Card.card_id > last
        )
        rows = (await session.execute(statement.order_by(Card.card_id).limit(chunk))).all()
        for card_id, sealed in rows:
            number = reveal_number(card_id=card_id, sealed=sealed)
            yield number, check_value(number)
        if len(rows) < chunk:
            return
        last = rows[-1][0]


async def stopped_cards(session: AsyncSession, *, since: datetime | None = None) -> list[StoppedCard]:
    """Return the cards that were usable once and are not now, for the stop list; `since`: only those stopped from then on.

    An active card is stopped, too, while its account is frozen or closed.
    """
    shut = select(Account.account_id).where(Account.status != AccountStatus.OPEN)
    statement = select(Card.card_id, Card.status, Card.number_sealed).where(
        Card.status.in_([CardStatus.SUSPENDED, CardStatus.LOST, CardStatus.REPLACED, CardStatus.CLOSED])
        | ((Card.status == CardStatus.ACTIVE) & Card.account_id.in_(shut)),
        Card.activated_at.is_not(None),
    )
    if since is not None:
        stopped = select(CardEvent.card_id).where(
            CardEvent.moved_to.is_not(None) | (CardEvent.kind == EventKind.ACCOUNT_CHANGED), CardEvent.happened_at >= since
        )
        statement = statement.where(Card.card_id.in_(stopped))
    return [StoppedCard(*row) for row in (await session.execute(statement.order_by(Card.card_id))).all()]


async def account_of_customer(
    session: AsyncSession, *, customer_id: UUID, currency: str, organisation: bool, product_id: UUID
) -> UUID | None:
    """Return the account that another card of the customer already opens: a company's of the currency, a person's of the product."""
    statement = (
        select(Card.account_id)
        .join(CardProduct, CardProduct.product_id == Card.product_id)
        .where(Card.customer_id == customer_id, Card.status.in_(LIVING), CardProduct.currency == currency)
        .order_by(Card.card_id)
        .limit(1)
    )
    if organisation:
        statement = statement.where(CardProduct.kind.in_([ProductKind.COMPANY, ProductKind.FLEET]))
    else:
        statement = statement.where(Card.product_id == product_id)
    return await session.scalar(statement)
