"""A refund is the mirror of its sale: purses, lots, discount, tenders, limits, and never a cent more."""

import asyncio
import contextlib
import random
import uuid
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from loyalty.authorizations.operations.refunds import (
    NothingToRefund,
    RefundExceedsSale,
    RefundLine,
    RefundLineUnknown,
    SaleNotFound,
    VoidNotPossible,
)
from loyalty.authorizations.wire import ShopLine, Tender
from loyalty.db import transaction
from loyalty.ids import uuid7
from loyalty.ledger.model import HouseCode, PurseKind, TransferKind
from loyalty.ledger.operations import Leg, ensure_house, ensure_purse, post
from loyalty.topups.rules import SecondPersonNeeded
from tests.authorizations.desk import books_balance, counters, place, purses, refund, rows, said
from tests.factories.rules import litre_off
from tests.factories.world import give_card, load


@pytest.fixture
async def card(bench):
    async with transaction(bench.sessions) as session:
        return await give_card(session, bench.world, balance_minor=100_000)


async def give_bonus(bench, card, amount: int, expires_at: datetime) -> uuid.UUID:
    async with transaction(bench.sessions) as session:
        house = await ensure_house(session, code=HouseCode.BONUS, currency="CNY", reference="office", now=bench.now())
        lot = await ensure_purse(
            session, account_id=card.account_id, kind=PurseKind.BONUS, unit="CNY", expires_at=expires_at, now=bench.now()
        )
        legs = [Leg(house, lot, amount, TransferKind.BONUS, "CNY")]
        await post(session, account_id=card.account_id, legs=legs, operation_id=uuid7(bench.now()), event_at=bench.now(), now=bench.now())
    return lot


async def discount(bench, rate_e4: int = 200) -> None:
    async with transaction(bench.sessions) as session:
        await litre_off(session, rate_e4=rate_e4 * 10, funder="issuer", card_product=None, now=bench.now() - timedelta(days=1))
    await bench.reload()


async def test_a_whole_refund_in_the_same_shift_is_a_void(bench, card):
    sold = said(await bench.sell(card))
    answer = await refund(bench, sold["sale"])
    assert (answer.outcome, answer.void, answer.card_minor, answer.left_minor, answer.balance_after_minor) == (
        "voided",
        True,
        7_890,
        0,
        100_000,
    )
    assert await counters(bench, card) == [(0, 0, 0)]
    kinds = await rows(bench, "SELECT kind, mirrors IS NOT NULL AS mirrored FROM transfers WHERE mirrors IS NOT NULL")
    assert kinds == [{"kind": TransferKind.VOID, "mirrored": True}]
    await books_balance(bench)


async def test_nothing_is_refunded_twice(bench, card):
    sold = said(await bench.sell(card))
    await refund(bench, sold["sale"])
    with pytest.raises(NothingToRefund):
        await refund(bench, sold["sale"])
    assert await purses(bench, card.account_id) == {1: (100_000, 0)}


async def test_more_than_is_left_is_never_refunded(bench, card):
    sold = said(await bench.sell(card))
    await refund(bench, sold["sale"], gross_minor=5_000)
    with pytest.raises(RefundExceedsSale):
        await refund(bench, sold["sale"], gross_minor=2_891)
    with pytest.raises(RefundExceedsSale):
        await refund(bench, sold["sale"], gross_minor=1, quantity_milli=10_000)


async def test_a_part_cannot_be_voided_and_a_refunded_sale_neither(bench, card):
    sold = said(await bench.sell(card))
    with pytest.raises(VoidNotPossible):
        await refund(bench, sold["sale"], gross_minor=100, void=True)
    await refund(bench, sold["sale"], gross_minor=100)
    with pytest.raises(VoidNotPossible):
        await refund(bench, sold["sale"], void=True)
    answer = await refund(bench, sold["sale"])
    assert (answer.outcome, answer.void) == ("refunded", False)


async def test_another_station_knows_nothing_of_the_sale(bench, card):
    sold = said(await bench.sell(card))
    with pytest.raises(SaleNotFound):
        await refund(bench, sold["sale"], place=place(bench)._replace(station_id=uuid.uuid4()))


async def test_after_the_period_is_closed_it_is_a_refund_in_the_open_one(bench, card):
    sold = said(await bench.sell(card))
    async with transaction(bench.sessions) as session:
        await session.execute(text("UPDATE periods SET closed_at = :now WHERE closed_at IS NULL"), {"now": bench.now()})
        await session.execute(text("INSERT INTO periods VALUES (202610, :now, NULL)"), {"now": bench.now()})
    answer = await refund(bench, sold["sale"])
    assert answer.outcome == "refunded"
    assert [row["period"] for row in await rows(bench, "SELECT period FROM transfers WHERE mirrors IS NOT NULL")] == [202610]


async def test_once_its_shift_is_counted_a_sale_is_refunded_not_voided(bench, card):
    sold = said(await bench.sell(card))
    staff_id = uuid.uuid4()
    async with transaction(bench.sessions) as session:
        await session.execute(
            text(
                "INSERT INTO staff (staff_id, employee_number, name, status, locale, hired_at)"
                " VALUES (:id, '7', '李', 'active', 'zh_CN', :at)"
            ),
            {"id": staff_id, "at": bench.now()},
        )
        await session.execute(
            text(
                "INSERT INTO shifts (shift_id, station_id, terminal_id, cashier_id, status, currency, opened_at, opening_float_minor,"
                " counted_at, counted_cash_minor) VALUES (:id, :station, :terminal, :staff, 'counted', 'CNY', :from, 0, :to, 0)"
            ),
            {
                "id": uuid.uuid4(),
                "station": bench.world.station_id,
                "terminal": bench.world.terminal_ids[0],
                "staff": staff_id,
                "from": bench.now() - timedelta(hours=1),
                "to": bench.now() + timedelta(hours=1),
            },
        )
    with pytest.raises(VoidNotPossible):
        await refund(bench, sold["sale"], void=True)
    assert (await refund(bench, sold["sale"])).outcome == "refunded"


async def test_a_lot_is_restored_with_its_expiry_even_where_that_has_passed(bench, card):
    expires_at = bench.now() + timedelta(days=2)
    lot = await give_bonus(bench, card, 3_000, expires_at)
    sold = said(await bench.sell(card))
    assert sold["taken"] == [{"purse": "bonus", "amount_minor": 3_000}, {"purse": "principal", "amount_minor": 4_890}]
    bench.later = timedelta(days=3)
    answer = await refund(bench, sold["sale"])
    assert (answer.expired_minor, answer.card_minor) == (3_000, 7_890)
    assert "30.00" in (answer.message_zh or "")
    found = await rows(bench, "SELECT balance_minor, expires_at FROM purses WHERE purse_id = :id", id=lot)
    assert found == [{"balance_minor": 3_000, "expires_at": expires_at}]
    await books_balance(bench)


async def test_what_was_owed_is_forgiven_before_money_goes_back(bench, card):
    approved = said(await bench.authorise(card, amount_minor=90_000))
    booked = said(await bench.complete(approved["authorization"], litres_milli=140_000, amount_minor=110_460))
    answer = await refund(bench, booked["sale"], gross_minor=20_000)
    assert answer.receivable_minor == 10_460
    assert await purses(bench, card.account_id) == {1: (9_540, 0), 4: (0, 0)}
    await books_balance(bench)


async def test_a_debt_that_was_paid_meanwhile_goes_back_as_money(bench, card):
    approved = said(await bench.authorise(card, amount_minor=90_000))
    booked = said(await bench.complete(approved["authorization"], litres_milli=140_000, amount_minor=110_460))
    async with transaction(bench.sessions) as session:
        await load(session, bench.world, card.account_id, 20_000)
        owed = (
            await session.execute(text("SELECT purse_id FROM purses WHERE account_id = :a AND kind = 4"), {"a": card.account_id})
        ).scalar_one()
        legs = [Leg(card.principal_id, owed, 10_460, TransferKind.SETTLEMENT, "CNY")]
        await post(session, account_id=card.account_id, legs=legs, operation_id=uuid7(bench.now()), event_at=bench.now(), now=bench.now())
    answer = await refund(bench, booked["sale"], approved_by=uuid.uuid4())
    assert answer.receivable_minor == 0
    assert await purses(bench, card.account_id) == {1: (120_000, 0), 4: (0, 0)}
    await books_balance(bench)


async def test_discount_and_other_tenders_go_back_in_proportion(bench, card):
    await discount(bench)
    sold = said(
        await bench.sell(
            card, litres_milli=22_000, amount_minor=17_358, tenders=[Tender(tender="wechat", amount_minor=5_000, reference="W1")]
        )
    )
    saved = sold["discount_minor"]
    assert saved > 0
    first = await refund(bench, sold["sale"], gross_minor=8_679)
    assert first.quantity_milli == 11_000
    assert [(back.tender, back.amount_minor, back.reference) for back in first.tenders or ()] == [("wechat", 2_500, "W1")]
    last = await refund(bench, sold["sale"])
    assert first.discount_minor + last.discount_minor == saved
    assert first.card_minor + last.card_minor == 17_358 - saved - 5_000
    assert [back.amount_minor for back in last.tenders or ()] == [2_500]
    assert last.quantity_milli == 11_000
    assert await purses(bench, card.account_id) == {1: (100_000, 0)}
    assert await counters(bench, card) == [(0, 0, 0)]
    await books_balance(bench)


async def test_a_shop_line_goes_back_once_and_leaves_the_fuel_alone(bench, card):
    await discount(bench)
    sold = said(await bench.sell(card, shop=[ShopLine(product="wash", amount_minor=3_000)]))
    line = RefundLine(0, 3_000, 1_000)
    answer = await refund(bench, sold["sale"], lines=[line])
    assert (answer.gross_minor, answer.discount_minor, answer.quantity_milli, answer.card_minor) == (3_000, 0, 0, 3_000)
    with pytest.raises(RefundExceedsSale):
        await refund(bench, sold["sale"], lines=[line])
    with pytest.raises(RefundLineUnknown):
        await refund(bench, sold["sale"], lines=[RefundLine(1, 1, 1)])


async def test_a_large_refund_by_one_person_needs_a_second(bench, card):
    async with transaction(bench.sessions) as session:
        await load(session, bench.world, card.account_id, 200_000)
    sold = said(await bench.sell(card, litres_milli=200_000, amount_minor=157_800))
    cashier = uuid.uuid4()
    with pytest.raises(SecondPersonNeeded):
        await refund(bench, sold["sale"], staff_id=cashier)
    with pytest.raises(SecondPersonNeeded):
        await refund(bench, sold["sale"], staff_id=cashier, approved_by=cashier)
    assert (await refund(bench, sold["sale"], staff_id=cashier, approved_by=uuid.uuid4())).outcome == "voided"


@pytest.mark.parametrize(("days", "expected"), [(6, [(0, 0, 0)]), (30, [(7_890, 10_000, 1)])])
async def test_limits_are_given_back_only_while_their_window_runs(bench, card, days, expected):
    sold = said(await bench.sell(card))
    bench.later = timedelta(days=days)
    await refund(bench, sold["sale"])
    assert await counters(bench, card) == expected


async def test_racing_refunds_and_sales_lose_nothing(bench, card):
    sold = [said(await bench.sell(card, litres_milli=1_000, amount_minor=789)) for _ in range(10)]

    async def part(sale: str) -> None:
        with contextlib.suppress(RefundExceedsSale):
            await refund(bench, sale, gross_minor=400)

    await asyncio.gather(
        *(part(one["sale"]) for one in sold for _ in range(3)),
        *(bench.sell(card, litres_milli=1_000, amount_minor=789) for _ in range(20)),
    )
    assert await purses(bench, card.account_id) == {1: (100_000 - 30 * 789 + 10 * 400, 0)}
    await books_balance(bench)


@pytest.mark.parametrize("seed", range(4))
async def test_any_run_of_partial_refunds_puts_every_purse_back(bench, card, seed):
    chance = random.Random(seed)
    await discount(bench)
    await give_bonus(bench, card, chance.randrange(100, 5_000), bench.now() + timedelta(days=9))
    await give_bonus(bench, card, chance.randrange(100, 5_000), bench.now() + timedelta(days=12))
    before = await rows(bench, "SELECT purse_id, balance_minor FROM purses WHERE account_id = :a ORDER BY 1", a=card.account_id)
    litres = chance.randrange(5_000, 60_000)
    gross = (litres * 78_900 + 50_000) // 100_000
    sold = said(await bench.sell(card, litres_milli=litres, amount_minor=gross, tenders=[Tender(tender="cash", amount_minor=gross // 7)]))
    left, quantity = gross, 0
    while left:
        amount = left if chance.random() < 0.2 else chance.randint(1, left)
        answer = await refund(bench, sold["sale"], gross_minor=amount)
        assert answer.card_minor + answer.discount_minor + sum(back.amount_minor for back in answer.tenders or ()) == amount
        left, quantity = left - amount, quantity + answer.quantity_milli
        await books_balance(bench)
    assert quantity == litres
    assert await rows(bench, "SELECT purse_id, balance_minor FROM purses WHERE account_id = :a ORDER BY 1", a=card.account_id) == before
    assert await counters(bench, card) == [(0, 0, 0)]
