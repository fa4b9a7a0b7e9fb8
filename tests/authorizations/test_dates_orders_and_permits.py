"""Limits changed by date, orders that are good once, and permits before use: judged by the pump itself, to the second."""

import asyncio
from datetime import timedelta
from itertools import product
from uuid import UUID

import pytest

from loyalty.db import transaction
from loyalty.fleet.operations.bindings import tell_company
from loyalty.fleet.queries.companies import lock_company
from loyalty.limits.model import ORDER_MOVES, ChangeKind, LimitKind, Needs, OrderStatus, Window
from loyalty.limits.operations import (
    ChangeNotSound,
    NewChange,
    NewLimit,
    NewOrder,
    OrderCannotMove,
    OrderNotSound,
    OrderNumberTaken,
    add_change,
    add_orders,
    cancel_order,
    end_change,
    release,
    set_needs,
    settle_orders,
)
from tests.authorizations.conftest import Bench
from tests.authorizations.desk import refund, reverse_key, rows, said
from tests.authorizations.test_levels_at_the_pump import LEVELS, limit, stand_under
from tests.factories.fleet import give_vehicle, make_fleet
from tests.factories.world import SYSTEM

HOUR = timedelta(hours=1)


@pytest.fixture
async def fleet(bench):
    async with transaction(bench.sessions) as session:
        made = await make_fleet(session, bench.world, pool_minor=100_000_000, cards=3)
        company = await lock_company(session, company_id=made.company_id)
        await tell_company(session, company=company, actor=SYSTEM, now=bench.now())
    return made


async def change(bench, fleet, subject: UUID, kind: ChangeKind, **facts) -> UUID:
    new = NewChange(kind, bench.now() + HOUR, bench.now() + 2 * HOUR, reason="harvest", **facts)
    async with transaction(bench.sessions) as session:
        return await add_change(session, company_id=fleet.company_id, subject_id=subject, change=new, actor=SYSTEM, now=bench.now())


@pytest.mark.parametrize("level", LEVELS)
async def test_more_is_allowed_and_nothing_is_sold_exactly_within_the_dates(bench, fleet, level):
    card = fleet.cards[0]
    subject = (await stand_under(bench, fleet, card))[level]
    await limit(bench, subject, NewLimit(kind=LimitKind.QUANTITY, window=Window.TRANSACTION, value=10_000))
    await change(bench, fleet, subject, ChangeKind.MORE, percent=50, quantity_milli=500)
    for later, most in (
        (HOUR - timedelta(seconds=1), 10_000),
        (HOUR, 15_500),
        (2 * HOUR - timedelta(seconds=1), 15_500),
        (2 * HOUR, 10_000),
    ):
        bench.later = later
        above = said(await bench.authorise(card, quantity_milli=most + 1, partial=False))
        assert (above["outcome"], above["remaining_milli"]) == ("declined", most), later
        assert said(await bench.authorise(card, quantity_milli=most, partial=False))["outcome"] == "approved", later
    bench.later = timedelta(0)
    await change(bench, fleet, subject, ChangeKind.BLOCK)
    for later, outcome in ((HOUR - timedelta(seconds=1), "approved"), (HOUR, "declined"), (2 * HOUR, "approved")):
        bench.later = later
        answer = said(await bench.sell(card, litres_milli=1_000))
        assert answer["outcome"] == outcome, later
        if outcome == "declined":
            assert (answer["reason"], answer["limit"].rpartition(".")[2]) == ("closed_for_now", "closed")


async def test_a_change_is_ended_early_and_must_be_sound(bench, fleet):
    card = fleet.cards[0]
    made = await change(bench, fleet, card.card_id, ChangeKind.BLOCK)
    bench.later = HOUR
    assert said(await bench.sell(card))["outcome"] == "declined"
    async with transaction(bench.sessions) as session:
        await end_change(session, company_id=fleet.company_id, change_id=made, actor=SYSTEM, now=bench.now())
    assert said(await bench.sell(card))["outcome"] == "approved"
    for kind, facts in ((ChangeKind.MORE, {}), (ChangeKind.BLOCK, {"percent": 10}), (ChangeKind.MORE, {"percent": 0})):
        with pytest.raises(ChangeNotSound):
            await change(bench, fleet, card.card_id, kind, **facts)


async def order(bench, fleet, number: str = "WO-1", **facts) -> UUID:
    told = {"valid_from": bench.now(), "valid_until": bench.now() + 24 * HOUR} | facts
    if "amount_minor" not in told:
        told.setdefault("quantity_milli", 30_000)
    async with transaction(bench.sessions) as session:
        ids = await add_orders(
            session,
            company_id=fleet.company_id,
            account_id=fleet.account_id,
            orders=[NewOrder(number, **told)],
            actor=SYSTEM,
            now=bench.now(),
        )
    return ids[0]


async def status(bench, order_id: UUID) -> str:
    async with transaction(bench.sessions) as session:
        await settle_orders(session, now=bench.now())
    return (await rows(bench, "SELECT status FROM fuel_orders WHERE order_id = :id", id=order_id))[0]["status"]


async def test_an_order_bounds_its_fill_and_is_good_once(bench, fleet):
    card = fleet.cards[0]
    made = await order(bench, fleet)
    part = said(await bench.authorise(card, order_number="WO-1"))
    assert (part["outcome"], part["approved_milli"]) == ("approved", 30_000)
    again = said(await bench.authorise(fleet.cards[1], order_number="WO-1"))
    assert (again["outcome"], again["reason"]) == ("declined", "order_used")
    said(await bench.complete(part["authorization"], litres_milli=0, amount_minor=0))
    assert await status(bench, made) == "open", "nothing was dispensed: the order stands"
    above = said(await bench.sell(card, litres_milli=30_001, order_number="WO-1"))
    assert (above["outcome"], above["limit"], above["remaining_milli"]) == ("declined", "order", 30_000)
    sold = said(await bench.sell(card, litres_milli=20_000, order_number="WO-1"))
    assert sold["outcome"] == "approved"
    assert await status(bench, made) == "used"
    assert said(await bench.sell(card, order_number="WO-1"))["reason"] == "order_used"
    await refund(bench, sold["sale"])
    assert await status(bench, made) == "open", "what was taken on it was taken back"


async def test_the_rest_of_an_order_may_be_kept_for_another_fill(bench, fleet):
    card = fleet.cards[0]
    made = await order(bench, fleet, amount_minor=20_000, keeps_rest=True)
    begun = said(await bench.authorise(card, amount_minor=15_000, order_number="WO-1"))
    said(await bench.complete(begun["authorization"], litres_milli=15_209, amount_minor=12_000))
    assert await status(bench, made) == "open"
    above = said(await bench.authorise(card, amount_minor=8_001, partial=False, order_number="WO-1"))
    assert (above["limit"], above["remaining_minor"]) == ("order", 8_000)
    sent = UUID(int=7)
    said(await bench.authorise(card, amount_minor=8_000, order_number="WO-1", key=sent))
    assert await status(bench, made) == "used"
    await reverse_key(bench, sent)
    assert await status(bench, made) == "open"


async def test_an_order_of_another_time_place_product_vehicle_or_company_is_declined_with_its_reason(bench, fleet):
    card, now = fleet.cards[0], bench.now()
    async with transaction(bench.sessions) as session:
        theirs = await make_fleet(session, bench.world, name="别家")
        vehicle = await give_vehicle(session, fleet, now=now)
    await order(bench, theirs, "THEIRS")
    await order(bench, fleet, "LATER", valid_from=now + HOUR)
    await order(bench, fleet, "DIESEL", product_code="0")
    await order(bench, fleet, "ELSEWHERE", station_id=UUID(int=1))
    await order(bench, fleet, "TRUCK", vehicle_id=vehicle)
    await order(bench, fleet, "CARD", chain_id=fleet.chains[1])
    gone = await order(bench, fleet, "GONE")
    async with transaction(bench.sessions) as session:
        await cancel_order(session, company_id=fleet.company_id, order_id=gone, reason="", actor=SYSTEM, now=now)
        with pytest.raises(OrderCannotMove):
            await cancel_order(session, company_id=fleet.company_id, order_id=gone, reason="", actor=SYSTEM, now=now)
    for number, reason in (
        ("NOBODYS", "order_unknown"),
        ("THEIRS", "order_unknown"),
        ("LATER", "order_expired"),
        ("GONE", "order_expired"),
        ("DIESEL", "order_differs"),
        ("ELSEWHERE", "order_differs"),
        ("CARD", "order_differs"),
    ):
        answer = said(await bench.sell(card, order_number=number))
        assert (answer["outcome"], answer["reason"]) == ("declined", reason), number
    assert said(await bench.sell(fleet.cards[2], order_number="TRUCK"))["reason"] == "order_differs"
    assert said(await bench.sell(card, order_number="TRUCK"))["outcome"] == "approved"
    bench.later = 24 * HOUR
    assert said(await bench.sell(card, order_number="CARD"))["reason"] in {"order_differs", "order_expired"}
    assert await status(bench, gone) == "cancelled"
    assert {row["status"] for row in await rows(bench, "SELECT status FROM fuel_orders WHERE number = 'DIESEL'")} == {"expired"}


async def test_one_order_at_forty_pumps_at_once_is_fuelled_once(bench):
    other = Bench(bench.url, bench.sessions, bench.world)
    await other.start()
    async with transaction(bench.sessions) as session:
        fleet = await make_fleet(session, bench.world, pool_minor=100_000_000, cards=40)
        company = await lock_company(session, company_id=fleet.company_id)
        await tell_company(session, company=company, actor=SYSTEM, now=bench.now())
    await order(bench, fleet)
    try:
        sold = await asyncio.gather(
            *((bench, other)[place % 2].sell(card, litres_milli=1_000, order_number="WO-1") for place, card in enumerate(fleet.cards))
        )
    finally:
        await other.stop()
    outcomes = [(said(one)["outcome"], said(one).get("reason")) for one in sold]
    assert outcomes.count(("approved", None)) == 1
    assert outcomes.count(("declined", "order_used")) == 39


async def test_orders_are_sound_and_numbered_once(bench, fleet):
    await order(bench, fleet)
    with pytest.raises(OrderNumberTaken):
        await order(bench, fleet)
    for facts in ({"amount_minor": 1, "quantity_milli": 1}, {"quantity_milli": 0}, {"valid_until": bench.now()}):
        with pytest.raises(OrderNotSound):
            await order(bench, fleet, "WO-2", **facts)
    with pytest.raises(OrderNotSound):
        await order(bench, fleet, "WO 2")


@pytest.mark.parametrize(("before", "after"), list(product(OrderStatus, OrderStatus)))
def test_an_order_moves_only_along_its_table(before, after):
    allowed = {("open", "used"), ("open", "expired"), ("open", "cancelled"), ("used", "open"), ("expired", "used")}
    assert (after in ORDER_MOVES[before]) is ((before.value, after.value) in allowed)


async def test_a_permit_lets_one_use_pass_and_its_lack_may_be_asked_about(bench, fleet):
    card = fleet.cards[0]
    async with transaction(bench.sessions) as session:
        await set_needs(session, subject_id=fleet.company_id, needs=Needs.PERMIT, actor=SYSTEM, now=bench.now())
    refused = said(await bench.sell(card))
    assert (refused["outcome"], refused["reason"], refused["limit"], refused["may_ask"]) == ("declined", "permit_needed", "permit", True)
    assert refused["authorization"]
    async with transaction(bench.sessions) as session:
        until = bench.now() + 8 * HOUR
        await release(
            session, chain_id=card.card_id, limits=["permit"], until=until, once=True, reason="trip", actor=SYSTEM, now=bench.now()
        )
    assert said(await bench.sell(fleet.cards[1]))["reason"] == "permit_needed"
    assert said(await bench.sell(card))["outcome"] == "approved"
    assert said(await bench.sell(card))["reason"] == "permit_needed"
