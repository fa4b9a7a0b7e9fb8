"""What a till says afterwards of driver, order, odometer and plate: kept, counted for whom it names, flagged where it cannot be."""

from datetime import timedelta
from itertools import product
from uuid import UUID

import pytest

from loyalty.authorizations.wire import parse_reference
from loyalty.checks.model import Scope
from loyalty.checks.running import examine
from loyalty.db import transaction
from loyalty.fleet.operations.fills import collect_between
from loyalty.limits.model import LimitKind, Needs, Window
from loyalty.limits.operations import NewLimit, set_needs
from tests.authorizations.desk import books_balance, refund, reverse_key, rows, said
from tests.authorizations.test_a_driver_at_the_pump import DRIVER_PIN, a_driver, counted, give_them_chains
from tests.authorizations.test_advices import NUMBER_OF_NOBODY, record, tell
from tests.authorizations.test_dates_orders_and_permits import HOUR, order, status
from tests.authorizations.test_levels_at_the_pump import limit
from tests.factories.fleet import give_vehicle, make_fleet
from tests.factories.world import SYSTEM, give_card


@pytest.fixture
async def fleet(bench):
    """A company with a truck's card, two drivers, and an order that is open for a day."""
    async with transaction(bench.sessions) as session:
        made = await make_fleet(session, bench.world, pool_minor=100_000_000, cards=2)
        made.vehicle = await give_vehicle(session, made, now=bench.now() - timedelta(days=1))
        await give_them_chains(session, bench, made)
        made.drivers = [await a_driver(session, bench, made, number) for number in ("007", "008")]
    made.order = await order(bench, made, valid_from=bench.now() - 6 * HOUR)
    return made


async def detail(bench, sale: str) -> dict:
    (row,) = await rows(bench, "SELECT detail FROM sales WHERE sale_id = :id", id=parse_reference(sale)[1])
    return row["detail"]


async def sound(bench) -> None:
    """Everything adds up: purses, counters of cards, levels and their windows."""
    await books_balance(bench)
    async with transaction(bench.sessions) as session:
        broken = [result.check.code async for result in examine(session, Scope(now=bench.now() + timedelta(minutes=1))) if result.breaks]
    assert broken == []


async def test_a_known_driver_and_an_open_order_count_and_everything_said_is_kept(bench, fleet):
    one = record(bench, fleet.cards[0], driver_number="007", order_number="WO-1", odometer_km=123_456, plate="浙A12345")
    (result,) = await tell(bench, one)
    assert result["answer"]["flags"] == ["offline"]
    assert await tell(bench, one) == [result], "told twice it is booked once"
    kept = await detail(bench, result["answer"]["sale"])
    assert (kept["driver"], kept["order"]) == (str(fleet.drivers[0]), str(fleet.order))
    assert (kept["odometer_km"], kept["plate"]) == (123_456, "浙A12345")
    assert str(fleet.drivers[0]) in kept["subjects"]
    assert (await counted(bench, fleet.drivers[0]))["quantity_milli"] == 10_000
    assert await status(bench, fleet.order) == "used"
    refused = said(await bench.sell(fleet.cards[1], order_number="WO-1"))
    assert (refused["outcome"], refused["reason"]) == ("declined", "order_used")
    async with transaction(bench.sessions) as session:
        between = {"begin": bench.now() - timedelta(days=1), "end": bench.now() + timedelta(days=1)}
        await collect_between(session, company_id=fleet.company_id, now=bench.now(), **between)
    (fill,) = await rows(bench, "SELECT driver_id, vehicle_id, odometer_km, plate FROM fleet_fills")
    assert fill == {"driver_id": fleet.drivers[0], "vehicle_id": fleet.vehicle, "odometer_km": 123_456, "plate": "浙A12345"}
    await sound(bench)


async def test_what_is_told_is_taken_back_of_driver_and_order_too(bench, fleet):
    one = record(bench, fleet.cards[0], driver_number="007", order_number="WO-1")
    (result,) = await tell(bench, one)
    await refund(bench, result["answer"]["sale"])
    assert (await counted(bench, fleet.drivers[0]))["quantity_milli"] == 0
    assert await status(bench, fleet.order) == "open"
    late = record(bench, fleet.cards[0], driver_number="007", order_number="WO-1")
    await reverse_key(bench, UUID(late["key"]))
    (net_nothing,) = await tell(bench, late)
    assert net_nothing["answer"]["refund"]["gross_minor"] == 7_890
    assert (await counted(bench, fleet.drivers[0]))["quantity_milli"] == 0
    assert await status(bench, fleet.order) == "open"
    await sound(bench)


NAMED = product((None, "007", "099", "away", "foreign"), (None, "WO-1", "NONE", "DIESEL", "LATER"))


@pytest.mark.parametrize(("driver", "number"), list(NAMED))
async def test_whatever_is_said_it_is_booked_and_only_what_can_be_counts(bench, fleet, driver, number):
    async with transaction(bench.sessions) as session:
        theirs = await make_fleet(session, bench.world, name="别家")
        await a_driver(session, bench, theirs, "009")
    await rows(bench, "UPDATE drivers SET status = 'away' WHERE number = '008' RETURNING 1")
    await order(bench, fleet, "DIESEL", product_code="0", valid_from=bench.now() - 6 * HOUR)
    await order(bench, fleet, "LATER", valid_from=bench.now() + HOUR, valid_until=bench.now() + 2 * HOUR)
    typed = {"away": "008", "foreign": "009"}.get(driver, driver)
    (result,) = await tell(bench, record(bench, fleet.cards[0], driver_number=typed, order_number=number))
    assert result["answer"]["outcome"] == "booked"
    flags = {"offline"} | ({"driver"} if driver not in {None, "007"} else set()) | ({"order"} if number not in {None, "WO-1"} else set())
    assert set(result["answer"]["flags"]) == flags
    kept = await detail(bench, result["answer"]["sale"])
    assert kept.get("driver_number") == (typed if driver in {"099", "foreign"} else None), "nobody's number is kept as it was said"
    assert kept.get("driver") == {"007": str(fleet.drivers[0]), "away": str(fleet.drivers[1])}.get(driver), "who is known counts"
    assert kept.get("order_number") == (number if number not in {None, "WO-1"} else None)
    assert kept.get("order") == (str(fleet.order) if number == "WO-1" else None)
    await sound(bench)


async def test_an_order_used_twice_offline_counts_once_and_the_second_is_flagged(bench, fleet):
    both = [record(bench, card, order_number="WO-1") for card in fleet.cards]
    first, second = await tell(bench, *both)
    assert first["answer"]["flags"] == ["offline"]
    assert second["answer"]["flags"] == ["offline", "order"]
    used = 'SELECT count, quantity_milli FROM level_counters WHERE subject_id = :id AND "window" = 0'
    (counter,) = await rows(bench, used, id=fleet.order)
    assert counter == {"count": 1, "quantity_milli": 10_000}
    await sound(bench)


async def test_a_fill_in_time_uses_an_order_that_has_expired_since(bench, fleet):
    one = record(bench, fleet.cards[0], order_number="WO-1")
    bench.later = timedelta(days=2)
    assert await status(bench, fleet.order) == "expired"
    (result,) = await tell(bench, one)
    assert "order" not in result["answer"]["flags"]
    assert await status(bench, fleet.order) == "used"
    trail = "SELECT facts ->> 'number' AS number FROM audit_entries WHERE action = 'limits.order_used'"
    assert await rows(bench, trail) == [{"number": "WO-1"}]


async def test_a_limit_over_the_card_flags_what_is_told_of_its_driver(bench, fleet):
    await limit(bench, fleet.drivers[0], NewLimit(kind=LimitKind.QUANTITY, window=Window.DAY, value=9_000))
    results = await tell(bench, *(record(bench, fleet.cards[0], driver_number=number) for number in ("007", "008")))
    assert [result["answer"]["flags"] for result in results] == [["limit", "offline"], ["offline"]]


async def test_a_private_or_unknown_card_has_no_driver_and_what_was_said_is_kept_and_flagged(bench):
    async with transaction(bench.sessions) as session:
        card = await give_card(session, bench.world, balance_minor=10_000)
    for number in (card, NUMBER_OF_NOBODY):
        (result,) = await tell(bench, record(bench, number, driver_number="007", order_number="WO-1", plate="浙A12345"))
        assert {"driver", "order"} <= set(result["answer"]["flags"])
        kept = await detail(bench, result["answer"]["sale"])
        assert (kept["driver_number"], kept["order_number"]) == ("007", "WO-1")
    assert kept["plate"] == "浙A12345", "of an unknown card the plate may say whose it was"


async def test_the_end_of_a_fill_counts_for_whom_it_began_and_says_what_differs(bench, fleet):
    async with transaction(bench.sessions) as session:
        await set_needs(session, subject_id=fleet.company_id, needs=Needs.DRIVER, actor=SYSTEM, now=bench.now())
    for typed, flags in (("007", ["offline"]), ("008", ["offline", "driver"])):
        begun = said(
            await bench.authorise(fleet.cards[0], quantity_milli=10_000, driver_number="007", driver_pin=DRIVER_PIN, order_number=None)
        )
        assert begun["outcome"] == "approved"
        told = record(bench, ago=timedelta(0), authorization=begun["authorization"], driver_number=typed, plate="浙A12345")
        (result,) = await tell(bench, told)
        assert result["answer"]["flags"] == flags
        kept = await detail(bench, result["answer"]["sale"])
        assert kept.get("driver_number") == (None if typed == "007" else typed)
        assert kept["plate"] == "浙A12345"
    assert (await counted(bench, fleet.drivers[0]))["quantity_milli"] == 20_000
    await sound(bench)
