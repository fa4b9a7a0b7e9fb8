"""The second identity over the API: asked for, typed, told afterwards without a line; by the client, by hand, in a played day."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from loyalty import clock
from loyalty.authorizations.hot_api import HolderToken
from loyalty.authorizations.wire import parse_reference
from loyalty.cards.numbers import check_value, check_value_index
from loyalty.cards.queries import get_card
from loyalty.checks.model import Scope
from loyalty.checks.running import examine
from loyalty.crypto import Purpose, issue_token
from loyalty.db import transaction
from loyalty.fleet.operations.bindings import bind_card, tell_company
from loyalty.fleet.operations.drivers import add_driver, set_driver_pin
from loyalty.fleet.queries.companies import lock_company
from loyalty.fleet.queries.fills import said_at_the_pump
from loyalty.fleet.rules import DriverFacts
from loyalty.limits.model import Needs
from loyalty.limits.operations import NewOrder, add_orders, set_needs
from loyalty.pos.line import Line
from loyalty.pos.plan import plan_day
from loyalty.pos.play import Counts, StationDay
from loyalty.pos.stage import Crew, set_stage
from loyalty.pos_client import Card, Driver, Fuel, ProblemError
from loyalty.pos_client import __main__ as by_hand
from tests.factories.fleet import give_fleet_card, give_vehicle, make_fleet
from tests.factories.world import PIN, SYSTEM

ZONE = "Asia/Shanghai"
FUEL = Fuel(product="92", quantity_milli=10_000, unit_price_e4=78_900, amount_minor=7_890, nozzle=3)
DRIVER = Driver(number="007", pin="2580")


@pytest.fixture
async def fleet(site, now):
    """A company that wants driver and odometer said with its truck's card; an order is open."""
    async with transaction(site.sessions) as session:
        made = await make_fleet(session, site.world, pool_minor=100_000_000, cards=1)
        await give_vehicle(session, made, now=now, odometer_km=9_000)
        await tell_company(session, company=await lock_company(session, company_id=made.company_id), actor=SYSTEM, now=now)
        told = DriverFacts(number=DRIVER.number, name="陈师傅")
        made.driver = await add_driver(session, company_id=made.company_id, facts=told, actor=SYSTEM, now=now)
        await set_driver_pin(session, company_id=made.company_id, driver_id=made.driver, pin=DRIVER.pin, actor=SYSTEM, now=now)
        order = NewOrder("WO-1", now - timedelta(hours=1), now + timedelta(days=1), quantity_milli=100_000)
        await add_orders(session, company_id=made.company_id, account_id=made.account_id, orders=[order], actor=SYSTEM, now=now)
        await set_needs(session, subject_id=made.company_id, needs=Needs.DRIVER | Needs.ODOMETER, actor=SYSTEM, now=now)
        number = made.cards[0].number
        made.chip = check_value(number)
        await session.execute(
            text("UPDATE cards SET check_value_index = :index WHERE card_id = :card"),
            {"index": check_value_index(number, made.chip), "card": made.cards[0].card_id},
        )
    return made


async def said(site, answer):
    async with transaction(site.sessions) as session:
        account_id, sale_id = parse_reference(answer["sale"])
        return await said_at_the_pump(session, account_id=account_id, sale_id=sale_id)


async def test_what_is_asked_for_is_said_under_a_new_key_and_kept(site, till, fleet):
    card = Card(number=fleet.cards[0].number, pin=PIN)
    asked = await till.sell(card, fuel=FUEL)
    assert (asked["outcome"], asked["needs"]) == ("more_data", ["driver_number", "driver_pin", "odometer_km"])
    wrong = await till.sell(card, fuel=FUEL, driver=Driver(number="007", pin="0000"), odometer_km=9_100)
    assert (wrong["reason"], wrong["needs"]) == ("driver_pin_wrong", ["driver_pin"])
    sold = await till.sell(card, fuel=FUEL, driver=DRIVER, odometer_km=9_100, order_number="WO-1", plate="浙A12345")
    assert sold["outcome"] == "approved"
    kept = await said(site, sold)
    assert (kept.driver_number, kept.driver_name, kept.order_number) == ("007", "陈师傅", "WO-1")
    assert (kept.odometer_km, kept.plate, kept.driver_said, kept.order_said) == (9_100, "浙A12345", None, None)


async def test_a_completion_tells_what_its_authorisation_was_told(site, till, fleet):
    card = Card(number=fleet.cards[0].number, pin=PIN)
    begun = await till.authorise(card, product="92", quantity_milli=10_000, driver=DRIVER, odometer_km=9_100, order_number="WO-1")
    booked = await till.complete(begun["authorization"], quantity_milli=10_000, unit_price_e4=78_900, amount_minor=7_890)
    kept = await said(site, booked)
    assert (kept.driver_number, kept.order_number, kept.odometer_km) == ("007", "WO-1", 9_100)


@pytest.mark.parametrize(("number", "flags"), [("007", ["offline"]), ("099", ["offline", "driver"])])
async def test_a_sale_without_a_line_tells_who_drove_when_it_is_back(site, fleet, number, flags, now):
    line = Line()
    async with httpx.AsyncClient(base_url=site.base_url, transport=line) as http, await site.till(http=http) as till:
        await till.synchronise()
        line.down = True
        card = Card(number=fleet.cards[0].number, pin=PIN, check_value=fleet.chip)
        driver = Driver(number=number, pin="2580")
        sold = await till.sell(card, fuel=FUEL, driver=driver, order_number="WO-1", odometer_km=9_100, plate="浙A12345", offline_in=ZONE)
        assert sold["outcome"] == "approved_offline"
        assert b"2580" not in till.state.queue[0].record, "a PIN that nobody checks is not kept"
        line.restore()
        (result,) = await till.report_offline()
    assert result["answer"]["flags"] == flags
    kept = await said(site, result["answer"])
    assert (kept.driver_name, kept.driver_said) == (("陈师傅", None) if number == "007" else (None, "099"))
    assert (kept.order_number, kept.odometer_km, kept.plate) == ("WO-1", 9_100, "浙A12345")
    await sound(site, now)


async def own_card(site, fleet, now) -> Card:
    """Give the driver a card of their own."""
    async with transaction(site.sessions) as session:
        made = await give_fleet_card(session, fleet)
        where = {"company_id": fleet.company_id, "chain_id": made.card_id, "driver_id": fleet.driver}
        await bind_card(session, **where, actor=SYSTEM, now=now)
    return Card(number=made.number, pin=PIN)


async def test_the_drivers_own_card_says_it_in_place_of_the_number(site, till, fleet, now):
    card = Card(number=fleet.cards[0].number, pin=PIN)
    own = await own_card(site, fleet, now)
    asked = await till.sell(card, fuel=FUEL, driver=Driver(card=own), odometer_km=9_100)
    assert (asked["outcome"], asked["needs"]) == ("more_data", ["driver_pin"])
    sold = await till.sell(card, fuel=FUEL, driver=Driver(card=own, pin=DRIVER.pin), odometer_km=9_100)
    assert (sold["outcome"], sold["card"]) == ("approved", card.number[-4:])
    assert (await said(site, sold)).driver_number == "007"
    for both in ({"driver_number": "007"}, {"driver_card": {"number": own.number, "token": "x"}}, {"driver_card": {"pin": "2580"}}):
        with pytest.raises(ProblemError) as refused:
            await till.sell(card, fuel=FUEL, **{"driver_card": {"number": own.number}} | both)
        assert refused.value.code == "body_not_understood"


async def test_a_driver_who_shows_a_code_needs_no_pin(site, till, fleet, now):
    own = await own_card(site, fleet, now)
    async with transaction(site.sessions) as session:
        held = await get_card(session, card_id=fleet.cards[-1].card_id)
        code = HolderToken(index=held.number_index, version=held.version, nonce="once")
    token = issue_token(Purpose.QR_TOKEN, code, expires_at=clock.real_now() + timedelta(seconds=60))
    card = Card(number=fleet.cards[0].number, pin=PIN)
    sold = await till.sell(card, fuel=FUEL, driver=Driver(card=Card(token=token)), odometer_km=9_100)
    assert sold["outcome"] == "approved"
    again = await till.sell(card, fuel=FUEL, driver=Driver(card=own, pin=DRIVER.pin), odometer_km=9_200)
    assert again["outcome"] == "approved", "a code that only says who drives uses nothing up"


async def test_without_a_line_the_drivers_card_is_told_without_its_pin(site, fleet, now):
    own = await own_card(site, fleet, now)
    line = Line()
    async with httpx.AsyncClient(base_url=site.base_url, transport=line) as http, await site.till(http=http) as till:
        await till.synchronise()
        line.down = True
        card = Card(number=fleet.cards[0].number, pin=PIN, check_value=fleet.chip)
        sold = await till.sell(card, fuel=FUEL, driver=Driver(card=own, pin="2580"), odometer_km=9_100, offline_in=ZONE)
        assert sold["outcome"] == "approved_offline"
        assert not any(secret in till.state.queue[0].record for secret in (b"2580", b'"pin"'))
        line.restore()
        (result,) = await till.report_offline()
    assert result["answer"]["flags"] == ["offline"]
    assert (await said(site, result["answer"])).driver_number == "007"
    await sound(site, now)


async def test_a_person_types_it_by_hand(site, fleet, tmp_path):
    async def run(*words: str):
        return await by_hand._run(by_hand._parser().parse_args(["--state", str(tmp_path / "till.json"), *words]))

    await run("enrol", site.base_url, await site.code())
    sale = ("sale", fleet.cards[0].number, "--pin", PIN, "--litres", "10000", "--price", "78900")
    assert (await run(*sale))["outcome"] == "more_data"
    wrong = await run(*sale, "--driver-card", fleet.cards[0].number, "--driver-pin", "2580", "--odometer", "9100")
    assert (wrong["reason"], wrong["needs"]) == ("driver_unknown", ["driver_card"])
    sold = await run(*sale, "--driver", "007", "--driver-pin", "2580", "--odometer", "9100", "--order", "WO-1", "--plate", "浙A12345")
    assert sold["outcome"] == "approved"


async def test_crews_answer_in_a_played_day_and_everything_adds_up(site, fleet, now):
    (scene,) = await set_stage(site.sessions, stations=1, cards=2)
    company = Card(number=fleet.cards[0].number, pin=PIN, check_value=fleet.chip)
    scene = scene._replace(crews={company: Crew(DRIVER, "浙A12345", None, 9_000)})
    counts = Counts()
    day = StationDay(scene, base_url=site.base_url, counts=counts)
    await day.open()
    await day.play(plan_day(seed=3, station=0, visits=40, cards=3, offline_percent=20), seconds_between=0)
    assert await day.close() == []
    assert counts.faults == []
    assert counts.declined["driver_needed"] + counts.declined["more_needed"] >= 3
    async with transaction(site.sessions) as session:
        named = await session.execute(text("SELECT count(*) FROM sales WHERE detail ->> 'driver' = :driver"), {"driver": str(fleet.driver)})
        assert named.scalar_one() >= 3
    await sound(site, now)


async def sound(site, now) -> None:
    async with transaction(site.sessions) as session:
        scope = Scope(now=now + timedelta(minutes=1))
        assert [result.check.code async for result in examine(session, scope) if result.breaks] == []
