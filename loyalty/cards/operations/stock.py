"""Blank plastic: produced by thousands, sent, received, counted, spoilt. A blank card has a number and nothing else."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, LargeBinary, Text, Uuid, bindparam, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.card_numbers import new_card_number
from loyalty.cards.model import Card, CardBatch, CardProduct, CardStatus, CardStockMove, StockMoveKind, StockMoveStatus
from loyalty.cards.numbers import check_value, check_value_index, number_index, protect_number
from loyalty.cards.queries import StockMoveNotFound, get_card_for_update, get_product
from loyalty.cards.rules import staff_of
from loyalty.errors import Refusal
from loyalty.ids import NOBODY, uuid7

from .moving import move

PRODUCTION_MAX = 100_000
"""Blank cards of one production; more would hold its transaction too long."""

_CHUNK = 1000


class ProductionTooLarge(Refusal):
    status = 422
    zh = "一次制卡数量须为 1 至 {max}，收到 {count}。"
    en = "One production makes 1 to {max} cards; {count} were asked for."
    next_zh = "请分批制卡。"
    next_en = "Divide it."


class StockTooSmall(Refusal):
    """There is not so much blank plastic there."""

    zh = "空白卡库存不足：现有 {available} 张，需要 {wanted} 张。"
    en = "Not enough blank cards: {available} in stock, {wanted} needed."
    next_zh = "请先调入空白卡，或减少数量。"
    next_en = "Have cards sent there first, or take fewer."


class TransportAlreadyReceived(Refusal):
    zh = "该调拨单已经签收。"
    en = "This transport has been received already."


class CardNotBlank(Refusal):
    """Only blank plastic can be issued, sent or spoilt."""

    zh = "该卡不是空白卡，当前状态为 {status}。"
    en = "The card is not blank; it is {status}."
    next_zh = "请换一张空白卡。"
    next_en = "Take another, blank card."


class StockCount(NamedTuple):
    """A count of blank cards against the books; `difference` = counted − expected."""

    move_id: UUID
    counted: int
    expected: int
    difference: int


Progress = Callable[[int, int], None]
"""Called with (done, of how many)."""


async def produce_batch(
    session: AsyncSession,
    *,
    product_id: UUID,
    count: int,
    actor: Actor,
    now: datetime,
    station_id: UUID | None = None,
    progress: Progress | None = None,
) -> CardBatch:
    """Make `count` blank cards of a product in stock at a station (None: central stock), by sets of a thousand.

    Numbers are drawn by a CSPRNG, at least ten random digits and the Luhn digit, never sequential; one drawn twice is drawn again.
    None is ever used again, so that a closed card's number stays reserved for good.

    :raises CardProductNotFound: if there is no such product
    :raises ProductionTooLarge: if `count` is not 1 to 100,000
    """
    if not 1 <= count <= PRODUCTION_MAX:
        raise ProductionTooLarge(count=count, max=PRODUCTION_MAX)
    product = await get_product(session, product_id=product_id)
    batch = CardBatch(
        batch_id=uuid7(now), product_id=product_id, count=count, station_id=station_id, staff_id=staff_of(actor), produced_at=now
    )
    session.add(batch)
    session.add(
        CardStockMove(
            move_id=uuid7(now),
            kind=StockMoveKind.PRODUCED,
            status=StockMoveStatus.DONE,
            product_id=product_id,
            batch_id=batch.batch_id,
            to_station_id=station_id,
            count=count,
            staff_id=staff_of(actor),
            happened_at=now,
            received_at=now,
            note="",
        )
    )
    await session.flush()
    done = 0
    while done < count:
        done += await _insert_blanks(session, product=product, batch=batch, count=min(_CHUNK, count - done), now=now)
        if progress is not None:
            progress(done, count)
    return batch


_INSERT_BLANKS = text(
    """
    INSERT INTO cards (card_id, account_id, number_index, number_sealed, number_bin, number_tail, product_id, status, version,
        pin_generation, pin_tries, chain_id, bearer, is_main, check_value_index, station_id, batch_id, created_at)
    SELECT made.card_id, :nobody, made.number_index, made.number_sealed, made.number_bin, made.number_tail, :product_id, 0, 1,
        0, 0, made.card_id, :bearer, false, made.check_value_index, :station_id, :batch_id, :now
    FROM unnest(:card_ids, :indexes, :sealed, :bins, :tails, :checks)
        AS made (card_id, number_index, number_sealed, number_bin, number_tail, check_value_index)
    ON CONFLICT (number_index) DO NOTHING
    """
).bindparams(
    bindparam("card_ids", type_=ARRAY(Uuid)),
    bindparam("indexes", type_=ARRAY(LargeBinary)),
    bindparam("sealed", type_=ARRAY(LargeBinary)),
    bindparam("bins", type_=ARRAY(Text)),
    bindparam("tails", type_=ARRAY(Text)),
    bindparam("checks", type_=ARRAY(LargeBinary)),
    bindparam("nobody", type_=Uuid),
    bindparam("product_id", type_=Uuid),
    bindparam("station_id", type_=Uuid),
    bindparam("batch_id", type_=Uuid),
)


async def _insert_blanks(session: AsyncSession, *, product: CardProduct, batch: CardBatch, count: int, now: datetime) -> int:
    """Insert a set of blanks and return how many there are more; a number that exists already is left out, and drawn anew by the caller."""
    numbers = {new_card_number(product.number_bin, product.number_length) for _ in range(count)}
    made: list[tuple[UUID, bytes, bytes, str, str, bytes]] = []
    for number in numbers:
        card_id = uuid7(now)
        made.append((card_id, *protect_number(number, card_id=card_id), check_value_index(number, check_value(number))))
    columns: list[Sequence[Any]] = list(zip(*made, strict=True))
    result = await session.execute(
        _INSERT_BLANKS,
        {
            **dict(zip(("card_ids", "indexes", "sealed", "bins", "tails", "checks"), map(list, columns), strict=True)),
            "nobody": NOBODY,
            "product_id": product.product_id,
            "bearer": product.bearer,
            "station_id": batch.station_id,
            "batch_id": batch.batch_id,
            "now": now,
        },
    )
    return int(getattr(result, "rowcount", 0))


async def send_stock(
    session: AsyncSession,
    *,
    product_id: UUID,
    count: int,
    from_station_id: UUID | None,
    to_station_id: UUID | None,
    actor: Actor,
    now: datetime,
    note: str = "",
) -> CardStockMove:
    """Send blank cards from one place (None: central stock) to another; they are nobody's stock until received.

    :raises CardProductNotFound: if there is no such product
    :raises StockTooSmall: if there are not so many
    """
    assert count > 0
    assert from_station_id != to_station_id, "a transport goes somewhere else"
    await get_product(session, product_id=product_id)
    blanks = select(Card.card_id).where(*_blank_at(from_station_id, product_id))
    # Cards that another cashier is issuing this moment are locked, and are not there to be sent.
    chosen = list(await session.scalars(blanks.order_by(Card.card_id).limit(count).with_for_update(key_share=True, skip_locked=True)))
    if len(chosen) < count:
        raise StockTooSmall(available=len(chosen), wanted=count)
    transport = CardStockMove(
        move_id=uuid7(now),
        kind=StockMoveKind.SENT,
        status=StockMoveStatus.ON_THE_WAY,
        product_id=product_id,
        from_station_id=from_station_id,
        to_station_id=to_station_id,
        count=count,
        staff_id=staff_of(actor),
        happened_at=now,
        note=note,
    )
    session.add(transport)
    await session.flush()
    await session.execute(
        update(Card)
        .where(Card.card_id.in_(chosen))
        .values(station_id=None, stock_move_id=transport.move_id)
        .execution_options(synchronize_session="fetch")
    )
    return transport


async def receive_stock(session: AsyncSession, *, move_id: UUID, actor: Actor, now: datetime) -> CardStockMove:
    """Say that a transport has arrived: its cards are the receiving station's stock. What is missing shows at the next count.

    :raises StockMoveNotFound: if there is no such transport
    :raises TransportAlreadyReceived: if it is not on its way
    """
    transport = await session.get(CardStockMove, move_id, with_for_update=True, populate_existing=True)
    if transport is None or transport.kind is not StockMoveKind.SENT:
        raise StockMoveNotFound(move=move_id)
    if transport.status is not StockMoveStatus.ON_THE_WAY:
        raise TransportAlreadyReceived(move=move_id)
    transport.status = StockMoveStatus.DONE
    transport.received_by = staff_of(actor)
    transport.received_at = now
    await session.execute(
        update(Card)
        .where(Card.stock_move_id == move_id)
        .values(station_id=transport.to_station_id, stock_move_id=None)
        .execution_options(synchronize_session="fetch")
    )
    await session.flush()
    return transport


async def move_stock(
    session: AsyncSession,
    *,
    product_id: UUID,
    count: int,
    from_station_id: UUID | None,
    to_station_id: UUID | None,
    actor: Actor,
    now: datetime,
    note: str = "",
) -> CardStockMove:
    """Send and receive in one step, where the same person carries the cards. Raises like `send_stock`."""
    transport = await send_stock(
        session,
        product_id=product_id,
        count=count,
        from_station_id=from_station_id,
        to_station_id=to_station_id,
        actor=actor,
        now=now,
        note=note,
    )
    return await receive_stock(session, move_id=transport.move_id, actor=actor, now=now)


async def count_stock(
    session: AsyncSession, *, station_id: UUID | None, product_id: UUID, counted: int, actor: Actor, now: datetime, note: str = ""
) -> StockCount:
    """Record a count of blank cards and how it differs from the books; what is missing is then spoilt card by card, with a reason.

    :raises CardProductNotFound: if there is no such product
    """
    await get_product(session, product_id=product_id)
    expected = (await session.execute(select(func.count()).where(*_blank_at(station_id, product_id)))).scalar_one()
    counting = CardStockMove(
        move_id=uuid7(now),
        kind=StockMoveKind.COUNTED,
        status=StockMoveStatus.DONE,
        product_id=product_id,
        to_station_id=station_id,
        count=counted,
        expected=expected,
        staff_id=staff_of(actor),
        happened_at=now,
        note=note,
    )
    session.add(counting)
    await session.flush()
    return StockCount(counting.move_id, counted, expected, counted - expected)


def _blank_at(station_id: UUID | None, product_id: UUID) -> tuple[ColumnElement[bool], ...]:
    """Say which cards are a place's stock (None: central stock): blank, and not on their way to another."""
    here = Card.station_id.is_(None) if station_id is None else Card.station_id == station_id
    return (Card.status == CardStatus.BLANK, Card.product_id == product_id, Card.stock_move_id.is_(None), here)


async def spoil_blank(session: AsyncSession, *, card_id: UUID, actor: Actor, reason: str, now: datetime) -> Card:
    """Take a blank card out of stock for good: misprinted, damaged, missing.

    :raises CardNotFound: if there is no such card
    :raises CardCannotMove: if it is not blank
    """
    card = await get_card_for_update(session, card_id=card_id)
    require_blank(card)
    session.add(
        CardStockMove(
            move_id=uuid7(now),
            kind=StockMoveKind.SPOILT,
            status=StockMoveStatus.DONE,
            product_id=card.product_id,
            from_station_id=card.station_id,
            count=1,
            staff_id=staff_of(actor),
            happened_at=now,
            note=reason,
        )
    )
    await move(session, card, CardStatus.CLOSED, actor=actor, reason=reason, now=now)
    await session.flush()
    return card


async def number_is_taken(session: AsyncSession, *, number: str) -> bool:
    """Say whether a number belongs to a card already, of whatever status."""
    return await session.scalar(select(Card.card_id).where(Card.number_index == number_index(number))) is not None


def require_blank(card: Card) -> None:
    """Make sure a card is blank.

    :raises CardNotBlank: if it is not
    """
    if card.status is not CardStatus.BLANK:
        raise CardNotBlank(card=card.card_id, status=card.status.name.lower())
