"""What the pages read: lists that do not skip or repeat, one sale whole, a card's history, a till's totals."""

import uuid
from datetime import timedelta

import pytest

from loyalty.authorizations.model import Flag, SaleStatus
from loyalty.authorizations.operations import SaleNotFound, expire_holds, record_fill
from loyalty.authorizations.queries import (
    STORED_VALUE,
    SaleFilter,
    card_history,
    find_sale_by_reference,
    list_fills,
    list_sales,
    list_unresolved,
    open_authorizations,
    shift_totals,
    unpaid_fills,
)
from loyalty.authorizations.wire import ShopLine, Tender
from loyalty.db import transaction
from loyalty.topups.model import Tender as TopupTender
from loyalty.topups.operations import charge_fee
from tests.authorizations.desk import place, refund, said
from tests.factories.world import SYSTEM, give_card


@pytest.fixture
async def card(bench):
    async with transaction(bench.sessions) as session:
        return await give_card(session, bench.world, balance_minor=100_000)


async def read(bench, query, **fields):
    async with transaction(bench.sessions) as session:
        return await query(session, **fields)


async def test_sales_are_listed_page_by_page_without_gap_or_repetition(bench, card):
    sold = []
    for _ in range(7):
        sold.append(said(await bench.sell(card, litres_milli=1_000, amount_minor=789))["sale"])
        bench.later += timedelta(seconds=1)
    seen, cursor = [], None
    while True:
        page = await read(bench, list_sales, by=SaleFilter(station_id=bench.world.station_id), cursor=cursor, limit=3)
        seen += [line.reference for line in page.rows]
        cursor = page.next
        if cursor is None:
            break
    assert seen == sold[::-1]
    assert await count(bench, SaleFilter(booked_from=bench.world.now, booked_to=bench.world.now + timedelta(seconds=3))) == 3
    assert await count(bench, SaleFilter(terminal_id=bench.world.terminal_ids[1])) == 0
    assert await count(bench, SaleFilter(reachable=frozenset())) == 0
    assert await count(bench, SaleFilter(statuses=[SaleStatus.VOIDED])) == 0
    assert await count(bench, SaleFilter(flag=Flag.AMOUNT_DIFFERS)) == 0
    assert await count(bench, SaleFilter(card_id=card.card_id, account_id=card.account_id)) == 7


async def count(bench, by: SaleFilter) -> int:
    return len((await read(bench, list_sales, by=by)).rows)


async def test_one_sale_is_shown_whole(bench, card):
    sold = said(
        await bench.sell(card, shop=[ShopLine(product="wash", amount_minor=3_000)], tenders=[Tender(tender="cash", amount_minor=890)])
    )
    await refund(bench, sold["sale"], gross_minor=1_000)
    view = await read(bench, find_sale_by_reference, text=f" {sold['sale']} ")
    assert (view.sale.gross_minor, view.sale.card_tail, view.sale.product_code, view.sale.terminal_code) == (
        10_890,
        card.number[-4:],
        "92",
        "T1",
    )
    assert [line["product"] for line in view.lines] == ["wash"]
    assert [tender["tender"] for tender in view.tenders] == ["cash"]
    assert [one.gross_minor for one in view.refunds] == [1_000]
    assert sum(row.amount_minor for row in view.transfers if row.mirrors is None) == 10_890
    assert sum(row.amount_minor for row in view.transfers if row.mirrors is not None) == 1_000
    assert {(row.purse, row.to_holder) for row in view.transfers} == {("principal", False), ("principal", True), (None, False)}
    for other in ("nonsense", "A" * 43):
        with pytest.raises(SaleNotFound):
            await read(bench, find_sale_by_reference, text=other)
    with pytest.raises(SaleNotFound):
        await read(bench, find_sale_by_reference, text=sold["sale"], reachable=frozenset({uuid.uuid4()}))


async def test_the_board_shows_what_is_awaited_and_then_what_never_came(bench, card):
    approved = said(await bench.authorise(card, amount_minor=20_000))
    (line,) = (await read(bench, open_authorizations, station_id=bench.world.station_id, now=bench.now())).rows
    assert (line.reference, line.held_minor, line.opened_at) == (approved["authorization"], 20_000, None)
    assert (await read(bench, list_unresolved, station_id=bench.world.station_id)).rows == []
    bench.later = timedelta(minutes=61)
    await read(bench, expire_holds, now=bench.now())
    (line,) = (await read(bench, list_unresolved, reachable=[bench.world.station_id])).rows
    assert (line.reference, line.held_minor, line.opened_at) == (approved["authorization"], 20_000, bench.now())
    await bench.complete(approved["authorization"], litres_milli=1_000, amount_minor=789)
    assert (await read(bench, list_unresolved)).rows == []
    assert (await read(bench, open_authorizations, account_id=card.account_id, now=bench.now())).rows == []


async def test_fills_are_listed_by_nozzle(bench):
    for number, nozzle in enumerate((3, 1, 3)):
        async with transaction(bench.sessions) as session:
            await record_fill(
                session,
                station_id=bench.world.station_id,
                pump_reference=str(number),
                nozzle=nozzle,
                product_id=bench.world.product_ids["92"],
                quantity_milli=1_000,
                unit_price_e4=78_900,
                amount_minor=789,
                finished_at=bench.now() + timedelta(seconds=number),
                now=bench.now(),
            )
    lines = await read(bench, unpaid_fills, station_id=bench.world.station_id, now=bench.now())
    assert [(line.nozzle, line.pump_reference) for line in lines] == [(1, "1"), (3, "0"), (3, "2")]
    assert len(await read(bench, unpaid_fills, station_id=bench.world.station_id, now=bench.now(), nozzle=3)) == 2
    assert len((await read(bench, list_fills, station_id=bench.world.station_id, limit=2)).rows) == 2


async def test_a_cards_history_holds_everything_the_latest_first(bench, card):
    sold = said(await bench.sell(card))
    bench.later = timedelta(seconds=1)
    await bench.authorise(card, pin="9999", amount_minor=100)
    bench.later = timedelta(seconds=2)
    await refund(bench, sold["sale"])
    page = await read(bench, card_history, account_id=card.account_id, card_id=card.card_id)
    assert [(line.kind, line.amount_minor, line.reason_code) for line in page.rows] == [
        ("void", 7_890, None),
        ("authorization", 0, "pin_wrong"),
        ("sale", 7_890, None),
    ]
    assert page.rows[2].product_name_zh == "92号汽油"
    first = await read(bench, card_history, account_id=card.account_id, limit=2, sales_only=True)
    assert [line.kind for line in first.rows] == ["void", "sale"]
    assert (await read(bench, card_history, account_id=card.account_id, card_id=uuid.uuid4())).rows == []


async def test_a_tills_totals_are_those_of_its_interval(bench, card):
    began = bench.now()
    await bench.sell(card, shop=[ShopLine(product="wash", amount_minor=3_000)], tenders=[Tender(tender="cash", amount_minor=2_000)])
    sold = said(await bench.sell(card))
    bench.later = timedelta(hours=1)
    await refund(bench, sold["sale"], gross_minor=1_000)
    totals = await read(
        bench,
        shift_totals,
        station_id=bench.world.station_id,
        terminal_id=place(bench).terminal_id,
        booked_from=began,
        booked_to=began + timedelta(hours=2),
    )
    assert {one.tender: (one.taken_minor, one.returned_minor) for one in totals.tenders} == {
        STORED_VALUE: (16_780, 1_000),
        "cash": (2_000, 0),
    }
    assert {one.product_code: (one.quantity_milli, one.amount_minor, one.count) for one in totals.products} == {
        "92": (20_000, 15_780, 2),
        "wash": (1_000, 3_000, 1),
    }
    assert (totals.sales_minor, totals.refunds_minor, totals.cash_minor, totals.transactions) == (18_780, 1_000, 2_000, 3)
    first_hour = await read(
        bench, shift_totals, station_id=bench.world.station_id, terminal_id=None, booked_from=began, booked_to=began + timedelta(hours=1)
    )
    assert (first_hour.refunds_minor, first_hour.transactions) == (0, 2)


async def test_a_fee_taken_at_one_till_is_in_its_totals_and_in_no_other_tills(bench, card):
    began = bench.now()
    fee = {"account_id": card.account_id, "code": "card_replacement", "card_id": card.card_id, "actor": SYSTEM}
    here = {"station_id": bench.world.station_id, "terminal_id": bench.world.terminal_ids[0], "event_at": began, "now": began}
    async with transaction(bench.sessions) as session:
        await charge_fee(session, amount_minor=1_000, tender=TopupTender.CASH, **fee, **here)
        await charge_fee(session, amount_minor=500, tender=TopupTender.CARD, reference="ACQ-1", **fee, **here)
        await charge_fee(session, amount_minor=300, **fee, **here)
    interval = {"station_id": bench.world.station_id, "booked_from": began, "booked_to": began + timedelta(milliseconds=1)}
    till, other, station = [
        await read(bench, shift_totals, terminal_id=terminal_id, **interval) for terminal_id in (*bench.world.terminal_ids, None)
    ]
    assert {one.tender: (one.taken_minor, one.count) for one in till.tenders} == {"cash": (1_000, 1), "bank_card": (500, 1)}
    assert (till.fees_minor, till.cash_minor, till.transactions) == (1_500, 1_000, 2)
    assert (other.fees_minor, other.tenders, station.fees_minor) == (0, (), 1_500)
    later = interval | {"booked_from": interval["booked_to"], "booked_to": began + timedelta(hours=1)}
    assert (await read(bench, shift_totals, terminal_id=None, **later)).transactions == 0
