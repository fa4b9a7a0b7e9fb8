"""Blank plastic: thousands at once, every number sound and unlike its neighbours; sent, received, counted."""

import asyncio
import time
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from loyalty.card_numbers import luhn_is_right, new_card_number
from loyalty.cards import operations, queries
from loyalty.cards.model import Card, CardStatus, ProductKind, StockMoveStatus
from loyalty.cards.numbers import check_value, check_value_index, number_index, protect_number, reveal_number
from loyalty.cards.operations import stock as stock_module
from loyalty.crypto import BrokenEnvelopeError
from loyalty.db import transaction

from .conftest import blanks, make_shop, new_customer

PERSONAL = ProductKind.PERSONAL


@given(st.integers(min_value=2, max_value=8), st.integers(min_value=16, max_value=19), st.integers(min_value=2, max_value=50))
def test_numbers_pass_luhn_keep_prefix_and_length_and_never_follow_each_other(prefix_digits, length, count):
    prefix = "62998765"[: min(prefix_digits, length - 11)]
    numbers = [new_card_number(prefix, length) for _ in range(count)]
    assert all(luhn_is_right(number) and len(number) == length and number.startswith(prefix) for number in numbers)
    payloads = [int(number[:-1]) for number in numbers]
    assert all(abs(one - other) > 1 for one, other in pairwise(payloads))


def test_a_number_opens_only_in_its_own_row_and_never_shows_whole():
    one, other = UUID(int=1), UUID(int=2)
    protected = protect_number("6299876500000000017", card_id=one)
    assert reveal_number(card_id=one, sealed=protected.sealed) == "6299876500000000017"
    assert (protected.bin, protected.tail) == ("629987", "0017")
    assert b"6299876500000000017" not in protected.sealed
    with pytest.raises(BrokenEnvelopeError):
        reveal_number(card_id=other, sealed=protected.sealed)


def test_spaces_and_hyphens_do_not_matter_when_looking_up():
    assert number_index("6299 8765-0000") == number_index("629987650000") != number_index("629987650001")


@given(st.from_regex(r"[0-9]{16,19}", fullmatch=True), st.from_regex(r"[0-9]{8}", fullmatch=True))
def test_a_check_value_is_the_numbers_own(keys_of_the_run, number, guess):
    value = check_value(number)
    assert len(value) == 8
    assert (check_value_index(number, guess) == check_value_index(number, value)) == (guess == value)


@pytest.fixture(scope="module")
def keys_of_the_run(key_set):
    from loyalty.crypto import use_keyring

    use_keyring(key_set)
    return key_set


async def test_ten_thousand_blanks_take_seconds_and_are_all_different(sessions, now):
    seen = []
    async with transaction(sessions) as session:
        shop = await make_shop(session, now)
        began = time.perf_counter()
        batch = await operations.produce_batch(
            session,
            product_id=shop.products[PERSONAL],
            count=10_000,
            station_id=shop.station_id,
            actor=shop.actor,
            now=now,
            progress=lambda done, total: seen.append((done, total)),
        )
        seconds = time.perf_counter() - began
        made = [card async for card in queries.batch_for_personaliser(session, batch_id=batch.batch_id)]
        (level,) = await queries.stock_levels(session, station_id=shop.station_id)
        indexes = await session.scalar(select(func.count(func.distinct(Card.number_index))))
    assert seconds < 30
    assert (len(made), len(set(made)), indexes, level.on_hand) == (10_000, 10_000, 10_000, 10_000)
    assert all(luhn_is_right(number) and number.startswith("8810") and check_value(number) == value for number, value in made)
    assert seen[-1] == (10_000, 10_000)


async def test_a_number_drawn_twice_is_drawn_again(shop, monkeypatch):
    drawn = iter(["8810000000000017", "8810000000000017", "8810000000000025", "8810000000000033"])
    monkeypatch.setattr(stock_module, "new_card_number", lambda *_: next(drawn))
    cards = await blanks(shop, count=2)
    assert len(cards) == 2
    assert {card.number_tail for card in cards} == {"0017", "0025"}


@pytest.mark.parametrize("count", [0, 100_001])
async def test_a_production_has_its_bounds(shop, count):
    with pytest.raises(operations.ProductionTooLarge):
        await operations.produce_batch(shop.session, product_id=shop.products[PERSONAL], count=count, actor=shop.actor, now=shop.now)


async def test_stock_travels_and_is_nobodys_until_received(shop):
    await blanks(shop, count=5)
    facts = {"product_id": shop.products[PERSONAL], "from_station_id": shop.station_id, "to_station_id": shop.other_station_id}
    with pytest.raises(operations.StockTooSmall) as refused:
        await operations.send_stock(shop.session, count=6, actor=shop.actor, now=shop.now, **facts)
    assert refused.value.facts == {"available": 5, "wanted": 6}
    transport = await operations.send_stock(shop.session, count=3, actor=shop.actor, now=shop.now, **facts)

    async def levels():
        return {level.station_id: (level.on_hand, level.on_the_way) for level in await queries.stock_levels(shop.session)}

    assert await levels() == {shop.station_id: (2, 0), shop.other_station_id: (0, 3)}
    travelling = (await queries.list_cards(shop.session)).rows
    customer = await new_customer(shop.session, shop.now)
    on_the_way = next(card for card in travelling if card.stock_move_id is not None)
    with pytest.raises(operations.CardElsewhere):
        await operations.issue_card(shop.session, card_id=on_the_way.card_id, customer_id=customer, actor=shop.actor, now=shop.now)
    received = await operations.receive_stock(shop.session, move_id=transport.move_id, actor=shop.actor, now=shop.now)
    assert (received.status, received.received_by) == (StockMoveStatus.DONE, shop.actor.actor_id)
    assert await levels() == {shop.station_id: (2, 0), shop.other_station_id: (3, 0)}
    with pytest.raises(operations.TransportAlreadyReceived):
        await operations.receive_stock(shop.session, move_id=transport.move_id, actor=shop.actor, now=shop.now)
    await operations.move_stock(shop.session, count=2, actor=shop.actor, now=shop.now, **facts)
    assert await levels() == {shop.other_station_id: (5, 0)}


async def test_a_count_tells_what_is_missing_and_spoiling_it_settles_the_books(shop):
    cards = await blanks(shop, count=4)
    facts = {"station_id": shop.station_id, "product_id": shop.products[PERSONAL], "actor": shop.actor, "now": shop.now}
    count = await operations.count_stock(shop.session, counted=3, **facts)
    assert (count.expected, count.difference) == (4, -1)
    await operations.spoil_blank(shop.session, card_id=cards[0].card_id, actor=shop.actor, reason="missing", now=shop.now)
    assert cards[0].status is CardStatus.CLOSED
    assert (await operations.count_stock(shop.session, counted=3, **facts)).difference == 0
    with pytest.raises(operations.CardNotBlank):
        await operations.spoil_blank(shop.session, card_id=cards[0].card_id, actor=shop.actor, reason="again", now=shop.now)


async def test_one_blank_card_is_issued_once_however_many_counters_try(sessions, now):
    async with transaction(sessions) as session:
        shop = await make_shop(session, now)
        (blank,) = await blanks(shop)
        customers = [await new_customer(session, now) for _ in range(8)]

    async def issue(customer_id):
        try:
            async with transaction(sessions) as session:
                await operations.issue_card(
                    session, card_id=blank.card_id, customer_id=customer_id, station_id=shop.station_id, actor=shop.actor, now=now
                )
        except operations.CardNotBlank:
            return False
        return True

    assert sum(await asyncio.gather(*map(issue, customers))) == 1


async def test_two_counters_issuing_to_one_customer_find_one_account(sessions, now):
    async with transaction(sessions) as session:
        shop = await make_shop(session, now)
        stock = await blanks(shop, count=6)
        customer_id = await new_customer(session, now)

    async def issue(blank):
        async with transaction(sessions) as session:
            card = await operations.issue_card(
                session, card_id=blank.card_id, customer_id=customer_id, station_id=shop.station_id, actor=shop.actor, now=now
            )
            return card.account_id, card.is_main

    made = await asyncio.gather(*map(issue, stock))
    assert len({account_id for account_id, _ in made}) == 1
    assert [is_main for _, is_main in made].count(True) == 1
