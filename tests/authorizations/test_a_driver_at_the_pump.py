"""The second identity at the pump: asked for, judged, counted, and locked by its own three tries, on every channel."""

import asyncio
from uuid import UUID, uuid4

import pytest

from loyalty.db import transaction
from loyalty.fleet.operations.bindings import bind_card, tell_company
from loyalty.fleet.operations.departments import DepartmentFacts, add_department
from loyalty.fleet.operations.drivers import add_driver, set_driver_pin, unlock_driver_pin
from loyalty.fleet.queries.companies import lock_company
from loyalty.fleet.rules import DriverFacts
from loyalty.limits.model import LimitKind, Needs, Reaction, Window
from loyalty.limits.operations import NewLimit, set_needs
from tests.authorizations.conftest import Bench
from tests.authorizations.desk import refund, rows, said
from tests.authorizations.test_levels_at_the_pump import limit
from tests.factories.fleet import give_vehicle, make_fleet
from tests.factories.world import SYSTEM

DRIVER_PIN = "2580"


@pytest.fixture
async def fleet(bench):
    """A company whose first card is a truck's; two drivers with PINs, of whom neither is bound to it."""
    async with transaction(bench.sessions) as session:
        made = await make_fleet(session, bench.world, pool_minor=100_000_000, cards=3)
        made.vehicle = await give_vehicle(session, made, now=bench.now())
        await give_them_chains(session, bench, made)
        made.drivers = [await a_driver(session, bench, made, number) for number in ("007", "008")]
        await set_needs(session, subject_id=made.vehicle, needs=Needs.DRIVER, actor=SYSTEM, now=bench.now())
    return made


async def a_driver(session, bench, fleet, number: str, **facts) -> UUID:
    told = DriverFacts(number=number, name=f"驾驶员{number}", **facts)
    driver = await add_driver(session, company_id=fleet.company_id, facts=told, actor=SYSTEM, now=bench.now())
    await set_driver_pin(session, company_id=fleet.company_id, driver_id=driver, pin=DRIVER_PIN, actor=SYSTEM, now=bench.now())
    return driver


async def tries(bench, driver: UUID) -> int:
    return (await rows(bench, "SELECT pin_tries FROM drivers WHERE driver_id = :id", id=driver))[0]["pin_tries"]


async def test_what_is_missing_is_asked_for_in_one_list(bench, fleet):
    card = fleet.cards[0]
    async with transaction(bench.sessions) as session:
        await set_needs(session, subject_id=fleet.company_id, needs=Needs.ODOMETER | Needs.PLATE, actor=SYSTEM, now=bench.now())
    asked = said(await bench.sell(card))
    assert (asked["outcome"], asked["reason"]) == ("more_data", "more_needed")
    assert asked["needs"] == ["driver_number", "driver_pin", "odometer_km", "plate"]
    half = said(await bench.authorise(card, driver_number="007", odometer_km=1, plate="浙A12345"))
    assert (half["outcome"], half["reason"], half["needs"]) == ("more_data", "driver_needed", ["driver_pin"])
    whole = said(
        await bench.authorise(card, amount_minor=1_000, driver_number="007", driver_pin=DRIVER_PIN, odometer_km=1, plate="浙A12345")
    )
    assert whole["outcome"] == "approved"
    other = said(await bench.sell(fleet.cards[1], odometer_km=1, plate="浙A12345"))
    assert other["outcome"] == "approved", "only the truck's card asks for its driver"


async def test_the_drivers_limits_judge_and_are_counted_though_the_card_is_the_vehicles(bench, fleet):
    card, (first, second) = fleet.cards[0], fleet.drivers
    await limit(bench, first, NewLimit(kind=LimitKind.QUANTITY, window=Window.DAY, value=15_000))
    sold = said(await bench.sell(card, driver_number="007", driver_pin=DRIVER_PIN))
    assert sold["outcome"] == "approved"
    above = said(await bench.sell(card, driver_number="007", driver_pin=DRIVER_PIN))
    assert (above["outcome"], above["limit"], above["remaining_milli"]) == ("declined", "driver.day.quantity", 5_000)
    assert said(await bench.sell(card, driver_number="008", driver_pin=DRIVER_PIN))["outcome"] == "approved"
    for driver in (first, second):
        assert (await counted(bench, driver))["quantity_milli"] == 10_000
    assert (await counted(bench, fleet.vehicle))["quantity_milli"] == 20_000
    await refund(bench, sold["sale"])
    assert (await counted(bench, first))["quantity_milli"] == 0


async def counted(bench, subject: UUID) -> dict:
    return (await rows(bench, 'SELECT * FROM level_counters WHERE subject_id = :id AND "window" = 1', id=subject))[0]


async def test_three_wrong_pins_lock_the_driver_with_every_card_and_a_manager_unlocks(bench, fleet):
    card, driver = fleet.cards[0], fleet.drivers[0]
    wrong = [said(await bench.sell(one, driver_number="007", driver_pin="0000")) for one in fleet.cards]
    assert [answer["reason"] for answer in wrong] == ["driver_pin_wrong", "driver_pin_wrong", "driver_pin_locked"]
    assert wrong[0]["needs"] == ["driver_pin"]
    assert "2" in wrong[0]["message_zh"]
    assert await tries(bench, driver) == 3
    locked = said(await bench.authorise(card, driver_number="007", driver_pin=DRIVER_PIN))
    assert (locked["outcome"], locked["reason"]) == ("declined", "driver_pin_locked")
    async with transaction(bench.sessions) as session:
        await unlock_driver_pin(session, company_id=fleet.company_id, driver_id=driver, actor=SYSTEM, now=bench.now())
    assert said(await bench.sell(card, driver_number="007", driver_pin=DRIVER_PIN))["outcome"] == "approved"
    said(await bench.sell(card, driver_number="007", driver_pin="0000"))
    assert await tries(bench, driver) == 1
    assert said(await bench.sell(card, driver_number="007", driver_pin=DRIVER_PIN))["outcome"] == "approved"
    assert await tries(bench, driver) == 0


async def test_guesses_at_many_pumps_at_once_are_three(bench):
    """Sixty cards of a company try one driver's PIN at once, half of them through another worker; the right one comes last."""
    other = Bench(bench.url, bench.sessions, bench.world)
    await other.start()
    async with transaction(bench.sessions) as session:
        fleet = await make_fleet(session, bench.world, pool_minor=100_000_000, cards=60)
        driver = await a_driver(session, bench, fleet, "007")
        await set_needs(session, subject_id=fleet.company_id, needs=Needs.DRIVER, actor=SYSTEM, now=bench.now())
        await bind_card(session, company_id=fleet.company_id, chain_id=fleet.chains[0], driver_id=driver, actor=SYSTEM, now=bench.now())
        await give_them_chains(session, bench, fleet)
    try:
        guesses = [
            (bench, other)[place % 2].sell(card, driver_number="007", driver_pin=DRIVER_PIN if place > 57 else "0000")
            for place, card in enumerate(fleet.cards)
        ]
        answers = [said(answer) for answer in await asyncio.gather(*guesses)]
    finally:
        await other.stop()
    reasons = [answer.get("reason") for answer in answers]
    assert reasons.count("driver_pin_wrong") == 2
    assert reasons.count("driver_pin_locked") == 58
    assert await tries(bench, driver) == 3


async def give_them_chains(session, bench, fleet) -> None:
    company = await lock_company(session, company_id=fleet.company_id)
    await tell_company(session, company=company, actor=SYSTEM, now=bench.now())


async def test_a_driver_of_another_company_or_who_left_is_nobody(bench, fleet):
    async with transaction(bench.sessions) as session:
        theirs = await make_fleet(session, bench.world, name="别家", cards=1)
        await a_driver(session, bench, theirs, "009")
    unknown = said(await bench.sell(fleet.cards[0], driver_number="009", driver_pin=DRIVER_PIN))
    assert (unknown["outcome"], unknown["reason"], unknown["needs"]) == ("declined", "driver_unknown", ["driver_number"])


async def test_a_driver_must_belong_to_the_card_where_the_company_says_so(bench, fleet):
    card = fleet.cards[0]
    async with transaction(bench.sessions) as session:
        now, company = bench.now(), fleet.company_id
        room = await add_department(session, company_id=company, facts=DepartmentFacts(name="长途队"), actor=SYSTEM, now=now)
        await a_driver(session, bench, fleet, "010", department_id=room)
        await set_needs(session, subject_id=fleet.vehicle, needs=Needs.DRIVER | Needs.RELATED, actor=SYSTEM, now=now)
        await bind_card(
            session,
            company_id=company,
            chain_id=card.card_id,
            vehicle_id=fleet.vehicle,
            driver_id=fleet.drivers[0],
            department_id=room,
            actor=SYSTEM,
            now=now,
        )
    for number, outcome in (("007", "approved"), ("010", "approved"), ("008", "declined")):
        answer = said(await bench.sell(card, driver_number=number, driver_pin=DRIVER_PIN))
        assert answer["outcome"] == outcome, number
    assert answer["reason"] == "driver_not_related"


async def test_an_odd_reading_is_asked_for_once_more_then_taken_and_flagged(bench, fleet):
    card = fleet.cards[1]
    async with transaction(bench.sessions) as session:
        vehicle = await give_vehicle(session, fleet, now=bench.now(), plate="浙A54321")
        chain = fleet.chains[1]
        await bind_card(
            session, company_id=fleet.company_id, chain_id=chain, vehicle_id=vehicle, another=True, actor=SYSTEM, now=bench.now()
        )
        await set_needs(session, subject_id=fleet.company_id, needs=Needs.ODOMETER, actor=SYSTEM, now=bench.now())
    await rows(
        bench, "UPDATE vehicles SET odometer_km = 9000, odometer_at = :now WHERE vehicle_id = :id RETURNING 1", id=vehicle, now=bench.now()
    )
    assert said(await bench.sell(card, odometer_km=9_400)).get("flags") is None
    once = said(await bench.sell(card, odometer_km=94_000))
    assert (once["outcome"], once["reason"], once["needs"]) == ("more_data", "odometer_odd", ["odometer_km"])
    assert "9000" not in str(once), "the right value is not told"
    again = said(await bench.sell(card, odometer_km=94_000, continues=uuid4()))
    assert (again["outcome"], again["flags"]) == ("approved", ["odometer"])
    await limit(bench, vehicle, NewLimit(kind=LimitKind.ODOMETER, reaction=Reaction.ASK))
    asked = said(await bench.sell(card, odometer_km=94_000, continues=uuid4()))
    assert (asked["reason"], asked["limit"], asked["may_ask"]) == ("odometer_differs", "vehicle.odometer", True)
