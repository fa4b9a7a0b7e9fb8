"""Limits above the card, each window, measure, level and reaction, at its boundary, on the real batch; and where a window ends."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from loyalty.db import transaction
from loyalty.limits.model import LimitKind, Reaction, Window
from loyalty.limits.operations import NewLimit, release, replace_limits, set_chain
from tests.authorizations.conftest import Bench
from tests.authorizations.desk import refund, reverse_key, rows, said
from tests.factories.fleet import make_fleet
from tests.factories.world import SYSTEM, make_world

LEVELS = ("company", "department", "vehicle", "driver", "card")
MOST = {LimitKind.AMOUNT: 30_000, LimitKind.QUANTITY: 50_000, LimitKind.COUNT: 2}


@pytest.fixture
async def fleet(bench):
    async with transaction(bench.sessions) as session:
        return await make_fleet(session, bench.world, pool_minor=100_000_000, cards=3)


async def stand_under(bench, fleet, card, **levels: UUID) -> dict[str, UUID]:
    """Put a card under new levels, or those given; return them by name."""
    subjects = {"company": uuid4(), "department": uuid4(), "vehicle": uuid4(), "driver": uuid4(), "card": card.card_id} | levels
    async with transaction(bench.sessions) as session:
        await set_chain(
            session,
            chain_id=card.card_id,
            account_id=fleet.account_id,
            company_id=subjects["company"],
            department_ids=[subjects["department"]],
            vehicle_id=subjects["vehicle"],
            driver_id=subjects["driver"],
            actor=SYSTEM,
            now=bench.now(),
        )
    return subjects


async def limit(bench, subject: UUID, *limits: NewLimit) -> None:
    async with transaction(bench.sessions) as session:
        await replace_limits(session, subject_id=subject, limits=limits, actor=SYSTEM, now=bench.now())


def name_of(level: str, window: Window, kind: LimitKind) -> str:
    return f"{window}.{kind}" if level == "card" else f"{level}.{window}.{kind}"


async def take(bench, card, kind: LimitKind, size: int) -> dict:
    """Fill so that the measure rises by `size`."""
    if kind is LimitKind.AMOUNT:
        return said(await bench.sell(card, litres_milli=1_000, price_e4=size * 100, amount_minor=size))
    litres = size if kind is LimitKind.QUANTITY else 1_000
    return said(await bench.sell(card, litres_milli=litres, price_e4=10_000, amount_minor=max(1, litres // 10)))


@pytest.mark.parametrize("level", LEVELS)
async def test_each_window_measure_and_reaction_at_its_boundary(bench, level):
    for window, kind, reaction in itertools.product(Window, MOST, Reaction):
        async with transaction(bench.sessions) as session:
            fleet = await make_fleet(session, bench.world, name=f"{window}{kind}{reaction}", pool_minor=10_000_000, cards=1)
        card, most = fleet.cards[0], MOST[kind]
        if window is Window.TRANSACTION and kind is LimitKind.COUNT:
            most = 0
        subjects = await stand_under(bench, fleet, card)
        await limit(bench, subjects[level], NewLimit(kind=kind, window=window, value=most, reaction=reaction))
        case = (level, window, kind, reaction)
        if window is not Window.TRANSACTION:
            for size in (1, 1) if kind is LimitKind.COUNT else (most // 2, most // 2 - 1):
                assert (await take(bench, card, kind, size))["outcome"] == "approved", case
        room = {LimitKind.AMOUNT: most, LimitKind.QUANTITY: most, LimitKind.COUNT: 0}[kind] if window is Window.TRANSACTION else 1
        above = await take(bench, card, kind, 1 if kind is LimitKind.COUNT else room + 1)
        if reaction is Reaction.FLAG:
            assert above["outcome"] == "approved", case
            assert "limit" in above["flags"], case
        else:
            assert above["outcome"] == "declined", case
            assert above["limit"] == name_of(level, window, kind), case
            assert above.get("may_ask", False) is (reaction is Reaction.ASK), case
            remains = {LimitKind.AMOUNT: "remaining_minor", LimitKind.QUANTITY: "remaining_milli"}.get(kind)
            assert remains is None or above[remains] == room, case
            if kind is not LimitKind.COUNT:
                exact = await take(bench, card, kind, room)
                assert exact["outcome"] == "approved", case
                assert "limit" not in (exact.get("flags") or []), case


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/Los_Angeles"])
@pytest.mark.parametrize("level", LEVELS)
async def test_a_window_ends_at_the_stations_midnight_monday_and_first_of_the_month(database_url, sessions, level, zone):
    # Wednesday 30 September 2026 is the last of its month; the server's clock is UTC.
    local = ZoneInfo(zone)
    last_second = datetime(2026, 9, 30, 23, 59, 59, tzinfo=local).astimezone(UTC)
    async with transaction(sessions) as session:
        world = await make_world(session, now=last_second, zone=zone)
    bench = Bench(database_url, sessions, world)
    await bench.start()
    try:
        for window, reset in (
            (Window.DAY, datetime(2026, 10, 1, tzinfo=local)),
            (Window.WEEK, datetime(2026, 10, 5, tzinfo=local)),
            (Window.MONTH, datetime(2026, 10, 1, tzinfo=local)),
        ):
            bench.later = timedelta(0)
            async with transaction(sessions) as session:
                fleet = await make_fleet(session, world, name=window, cards=1)
            card = fleet.cards[0]
            subjects = await stand_under(bench, fleet, card)
            await limit(bench, subjects[level], NewLimit(kind=LimitKind.AMOUNT, window=window, value=10_000))
            assert (await take(bench, card, LimitKind.AMOUNT, 10_000))["outcome"] == "approved"
            bench.later = reset.astimezone(UTC) - last_second - timedelta(seconds=1)
            assert (await take(bench, card, LimitKind.AMOUNT, 1))["outcome"] == "declined", (window, "one second before")
            bench.later += timedelta(seconds=1)
            assert (await take(bench, card, LimitKind.AMOUNT, 10_000))["outcome"] == "approved", (window, "as it begins")
            assert (await take(bench, card, LimitKind.AMOUNT, 1))["outcome"] == "declined", (window, "full again")
    finally:
        await bench.stop()


async def test_the_most_restrictive_level_wins_and_is_named(bench, fleet):
    card = fleet.cards[0]
    over = await stand_under(bench, fleet, card)
    for level, litres in (("company", 90_000), ("vehicle", 40_000), ("driver", 60_000)):
        await limit(bench, over[level], NewLimit(kind=LimitKind.QUANTITY, window=Window.DAY, value=litres))
    asked = said(await bench.authorise(card, quantity_milli=50_000, partial=False))
    assert (asked["outcome"], asked["limit"], asked["remaining_milli"]) == ("declined", "vehicle.day.quantity", 40_000)
    assert "车辆每日加油量上限" in asked["message_zh"]
    assert "vehicle: quantity per day" in asked["message_en"]
    part = said(await bench.authorise(card, quantity_milli=50_000))
    assert (part["outcome"], part["approved_milli"], part["limit"]) == ("partial", 40_000, "vehicle.day.quantity")


async def test_two_cards_of_one_vehicle_are_counted_once(bench, fleet):
    first, second, _ = fleet.cards
    over = await stand_under(bench, fleet, first)
    await stand_under(bench, fleet, second, **{level: over[level] for level in ("company", "department", "vehicle")})
    await limit(bench, over["vehicle"], NewLimit(kind=LimitKind.COUNT, window=Window.DAY, value=2))
    assert said(await bench.sell(first))["outcome"] == "approved"
    assert said(await bench.sell(second))["outcome"] == "approved"
    for card in (first, second):
        assert said(await bench.sell(card))["limit"] == "vehicle.day.count"


async def test_together_they_never_pass_it(bench):
    """Forty cards of a company at once, half of them through another worker: exactly what the limit allows is sold."""
    other = Bench(bench.url, bench.sessions, bench.world)
    await other.start()
    async with transaction(bench.sessions) as session:
        fleet = await make_fleet(session, bench.world, pool_minor=100_000_000, cards=40)
    company = uuid4()
    for card in fleet.cards:
        await stand_under(bench, fleet, card, company=company)
    await limit(
        bench,
        company,
        NewLimit(kind=LimitKind.QUANTITY, window=Window.MONTH, value=170_000),
        NewLimit(kind=LimitKind.COUNT, window=Window.DAY, value=25),
    )
    try:
        answers = await asyncio.gather(*((bench, other)[place % 2].sell(card) for place, card in enumerate(fleet.cards)))
    finally:
        await other.stop()
    outcomes = [said(answer)["outcome"] for answer in answers]
    assert outcomes.count("approved") == 17, "170 litres by tens"
    (month,) = await rows(bench, 'SELECT * FROM level_counters WHERE subject_id = :id AND "window" = 3', id=company)
    assert (month["quantity_milli"], month["count"]) == (170_000, 17)


async def test_the_end_of_a_fill_its_refund_and_its_reversal_change_what_was_counted(bench, fleet):
    card = fleet.cards[0]
    over = await stand_under(bench, fleet, card)

    async def counted(window: int = 3) -> tuple[int, int, int]:
        found = await rows(bench, 'SELECT * FROM level_counters WHERE subject_id = :id AND "window" = :w', id=over["vehicle"], w=window)
        return tuple(found[0][name] for name in ("amount_minor", "quantity_milli", "count"))

    approved = said(await bench.authorise(card, amount_minor=20_000))
    assert (await counted())[0] == 20_000
    # The card has another vehicle by now: the fill goes on counting for the one that it began for.
    await stand_under(bench, fleet, card, company=over["company"])
    booked = said(await bench.complete(approved["authorization"], litres_milli=22_000, amount_minor=17_358))
    assert await counted() == (17_358, 22_000, 1)
    await refund(bench, booked["sale"])
    assert await counted() == (0, 0, 0)
    await stand_under(bench, fleet, card, **{level: over[level] for level in ("company", "department", "vehicle", "driver")})
    key = uuid4()
    await bench.authorise(card, amount_minor=5_000, key=key)
    assert (await counted())[2] == 1
    await reverse_key(bench, key)
    assert await counted() == (0, 0, 0)
    assert await counted(1) == (0, 0, 0)


async def test_a_release_lets_one_pass_once_and_no_further_than_it_says(bench, fleet):
    card = fleet.cards[0]
    over = await stand_under(bench, fleet, card)
    await limit(bench, over["vehicle"], NewLimit(kind=LimitKind.QUANTITY, window=Window.TRANSACTION, value=300_000, reaction=Reaction.ASK))
    refused = said(await bench.authorise(card, quantity_milli=350_000, partial=False))
    assert (refused["limit"], refused["remaining_milli"], refused["may_ask"]) == ("vehicle.transaction.quantity", 300_000, True)
    async with transaction(bench.sessions) as session:
        await release(
            session,
            chain_id=card.card_id,
            limits=["vehicle.transaction.quantity"],
            until=bench.now() + timedelta(minutes=30),
            milli_max=350_000,
            once=True,
            reason="long trip",
            actor=SYSTEM,
            now=bench.now(),
        )
    assert said(await bench.authorise(card, quantity_milli=350_001, partial=False))["limit"] == "release"
    passed = said(await bench.authorise(card, quantity_milli=350_000, partial=False))
    assert (passed["outcome"], passed["flags"]) == ("approved", ["limit"])
    again = said(await bench.authorise(card, quantity_milli=350_000, partial=False))
    assert (again["outcome"], again["limit"]) == ("declined", "vehicle.transaction.quantity")


async def test_a_release_of_everything_ends_by_itself(bench, fleet):
    card = fleet.cards[0]
    over = await stand_under(bench, fleet, card)
    await limit(bench, over["company"], NewLimit(kind=LimitKind.GRADES, codes=("0",)))
    await limit(bench, card.card_id, NewLimit(kind=LimitKind.COUNT, window=Window.DAY, value=0))
    assert said(await bench.sell(card))["limit"] in {"company.grades", "day.count"}
    async with transaction(bench.sessions) as session:
        until = bench.now() + timedelta(hours=24)
        await release(session, chain_id=card.card_id, limits=None, until=until, reason="stranded", actor=SYSTEM, now=bench.now())
    assert said(await bench.sell(card))["outcome"] == "approved"
    bench.later = timedelta(hours=24)
    assert said(await bench.sell(card))["outcome"] == "declined"
