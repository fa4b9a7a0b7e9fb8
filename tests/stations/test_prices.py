"""What a price list does, and when."""

from datetime import timedelta
from uuid import uuid4

import pytest

from loyalty import revisions
from loyalty.stations import operations, queries
from loyalty.stations.operations.prices import PriceNotFound
from loyalty.stations.rules import PRICE_SENTENCES, PriceProblem, PriceRow, PriceWarning

DAY = timedelta(days=1)
LEAD = timedelta(seconds=60)


def row(chain, effective_from, price=76500, *, line=1, station=None, product=None, currency=None):
    return PriceRow(
        line=line,
        station_code=station or chain.station_code,
        product_code=product or chain.petrol,
        unit_price_e4=price,
        effective_from=effective_from,
        currency=currency,
    )


async def publish(session, actor, now, *rows, **options):
    return await operations.publish_prices(session, rows=rows, actor=actor, now=now, **options)


async def test_the_price_is_the_latest_that_has_taken_effect(session, chain, actor, now):
    await publish(session, actor, now, row(chain, now - DAY, 70000), row(chain, now + DAY, 80000, line=2))
    at = {
        offset: await queries.price_at(session, station_id=chain.station_id, product_id=chain.petrol_id, at=now + offset)
        for offset in (-2 * DAY, -DAY, DAY - timedelta(microseconds=1), DAY, 30 * DAY)
    }
    assert list(at.values()) == [None, 70000, 70000, 80000, 80000]


async def test_the_board_shows_todays_price_and_the_next(session, chain, actor, now):
    await publish(session, actor, now, row(chain, now - DAY, 70000), row(chain, now + DAY, 80000), row(chain, now + 2 * DAY, 81000))
    await publish(session, actor, now, row(chain, now, 350000, product=chain.wash))
    board = await queries.price_board(session, station_id=chain.station_id, at=now)
    both = await queries.price_boards(session, station_ids=[chain.station_id], at=now)
    assert [(one.product_code, one.unit_price_e4) for one in both[chain.station_id]] == [
        (one.product_code, one.unit_price_e4) for one in board
    ]
    assert [(line.product_code, line.unit_price_e4, line.next_unit_price_e4) for line in board] == [
        (chain.petrol, 70000, 80000),
        (chain.wash, 350000, None),
    ]


async def test_the_snapshot_holds_the_price_in_force_and_all_later_ones(session, chain, actor, now):
    await publish(session, actor, now, *(row(chain, now + days * DAY, 70000 + days) for days in (-3, -2, 1, 2)))
    prices = [each for each in await queries.snapshot_prices(session, now=now) if each.station_id == chain.station_id]
    assert [each.unit_price_e4 for each in prices] == [69998, 70001, 70002]


async def test_the_same_list_again_changes_nothing(session, chain, actor, now):
    rows = [row(chain, now + DAY), row(chain, now + DAY, 350000, product=chain.wash, line=2)]
    first = await publish(session, actor, now, *rows)
    before = (await revisions.current(session))[revisions.Kind.PRICE]
    again = await publish(session, actor, now + timedelta(hours=1), *rows, rows[0])
    assert (first.published, again.published, again.unchanged) == (2, 0, 3)
    assert (await revisions.current(session))[revisions.Kind.PRICE] == before


async def test_a_second_price_must_be_published_ahead_of_its_effect(session, chain, actor, now):
    await publish(session, actor, now, row(chain, now))
    late = await publish(session, actor, now, row(chain, now + LEAD - timedelta(microseconds=1), 80000))
    assert [note.code for note in late.problems] == [PriceProblem.TOO_SOON]
    assert (await publish(session, actor, now, row(chain, now + LEAD, 80000))).published == 1


async def test_history_from_another_system_reaches_into_the_past(session, chain, actor, now):
    await publish(session, actor, now, row(chain, now))
    assert (await publish(session, actor, now, row(chain, now - 90 * DAY, 71000), historical=True)).published == 1


async def test_each_faulty_line_is_named_and_keeps_the_list_back(session, chain, actor, now):
    rows = [
        row(chain, now, line=1),
        row(chain, now, line=2, station="nowhere"),
        row(chain, now, line=3, product="milk"),
        row(chain, now, 0, line=4),
        row(chain, now, line=5, currency="EUR"),
        row(chain, now, 99999, line=6),
    ]
    kept_back = await publish(session, actor, now, *rows)
    assert [(note.line, note.code) for note in kept_back.problems] == [
        (2, PriceProblem.UNKNOWN_STATION),
        (3, PriceProblem.UNKNOWN_PRODUCT),
        (4, PriceProblem.NOT_POSITIVE),
        (5, PriceProblem.CURRENCY_DIFFERS),
        (6, PriceProblem.CONTRADICTION),
    ]
    assert kept_back.published == 0
    assert await queries.price_at(session, station_id=chain.station_id, product_id=chain.petrol_id, at=now) is None
    assert (await publish(session, actor, now, *rows, skip_problems=True)).published == 1


async def test_another_price_for_a_published_instant_needs_a_withdrawal(session, chain, actor, now):
    await publish(session, actor, now, row(chain, now), row(chain, now + DAY, 80000, line=2))
    clash = await publish(session, actor, now, row(chain, now + DAY, 81000))
    assert [note.code for note in clash.problems] == [PriceProblem.ALREADY_PUBLISHED]
    ahead = (await queries.list_prices(session, station_id=chain.station_id)).rows[0]
    await operations.withdraw_price(session, price_id=ahead.price_id, actor=actor, now=now)
    assert (await publish(session, actor, now, row(chain, now + DAY, 81000))).published == 1
    assert await queries.price_at(session, station_id=chain.station_id, product_id=chain.petrol_id, at=now + DAY) == 81000
    with pytest.raises(operations.PriceWithdrawn):
        await operations.withdraw_price(session, price_id=ahead.price_id, actor=actor, now=now)


async def test_a_price_in_force_cannot_be_withdrawn(session, chain, actor, now):
    await publish(session, actor, now, row(chain, now))
    price = (await queries.list_prices(session, station_id=chain.station_id)).rows[0]
    with pytest.raises(operations.PriceAlreadyInForce):
        await operations.withdraw_price(session, price_id=price.price_id, actor=actor, now=now)
    with pytest.raises(PriceNotFound):
        await operations.withdraw_price(session, price_id=uuid4(), actor=actor, now=now)


async def test_a_slipped_decimal_point_is_warned_of(session, chain, actor, now):
    first = await publish(session, actor, now, row(chain, now))
    assert first.warnings == []
    edge = await publish(session, actor, now, row(chain, now + DAY, 76500 * 130 // 100))
    assert edge.warnings == []
    slipped = await publish(session, actor, now, row(chain, now + 2 * DAY, 765000, line=8))
    assert [(note.line, note.code) for note in slipped.warnings] == [(8, PriceWarning.JUMP)]
    assert slipped.published == 1


def test_every_remark_says_itself_in_both_languages():
    assert set(PRICE_SENTENCES) == {*PriceProblem, *PriceWarning}
