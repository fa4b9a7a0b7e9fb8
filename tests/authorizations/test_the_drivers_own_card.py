"""The driver's own card beside the vehicle's: it says who drives, the vehicle's pays, and both are counted."""

from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest

from loyalty import clock
from loyalty.authorizations.hot_api import HolderToken
from loyalty.authorizations.wire import DriverCard, parse_reference
from loyalty.cards.model import CardStatus
from loyalty.cards.numbers import check_value_index
from loyalty.crypto import Purpose, issue_token
from loyalty.db import transaction
from loyalty.fleet.model import DriverStatus
from loyalty.fleet.operations.bindings import bind_card
from loyalty.fleet.operations.fills import collect_between
from loyalty.fleet.operations.vehicles import VehicleFacts, add_vehicle
from loyalty.fleet.queries.fills import said_at_the_pump
from loyalty.limits.model import LimitKind, Needs, Window
from loyalty.limits.operations import NewLimit, set_needs
from tests.authorizations.desk import refund, rows, said
from tests.authorizations.test_a_driver_at_the_pump import DRIVER_PIN, a_driver, counted, give_them_chains, tries
from tests.authorizations.test_advices import NUMBER_OF_NOBODY, record, tell
from tests.authorizations.test_advices_say_who_drove import detail, sound
from tests.authorizations.test_levels_at_the_pump import limit
from tests.factories.fleet import give_vehicle, make_fleet
from tests.factories.world import SYSTEM

CHIP = "24681357"
STATUSES = (CardStatus.ISSUED, CardStatus.SUSPENDED, CardStatus.LOST, CardStatus.REPLACED, CardStatus.CLOSED)


@pytest.fixture
async def fleet(bench):
    """Two trucks with a card each, the second's also bound to driver 008; 007 and 008 with cards of their own; a card that is nobody's."""
    now = bench.now()
    async with transaction(bench.sessions) as session:
        made = await make_fleet(session, bench.world, pool_minor=100_000_000, cards=5)
        made.vehicle = await give_vehicle(session, made, now=now - timedelta(days=1))
        facts = VehicleFacts(plate="浙A54321", type="truck")
        second = await add_vehicle(session, company_id=made.company_id, facts=facts, actor=SYSTEM, now=now)
        made.drivers = [await a_driver(session, bench, made, number) for number in ("007", "008")]
        for place, whose in enumerate(
            (
                {"vehicle_id": second.vehicle_id, "driver_id": made.drivers[1]},
                {"driver_id": made.drivers[0]},
                {"driver_id": made.drivers[1]},
            ),
            1,
        ):
            await bind_card(session, company_id=made.company_id, chain_id=made.chains[place], **whose, actor=SYSTEM, now=now)
        await give_them_chains(session, bench, made)
        await set_needs(session, subject_id=made.vehicle, needs=Needs.DRIVER, actor=SYSTEM, now=now)
    return SimpleNamespace(made=made, **dict(zip(("truck", "other", "own", "others_own", "spare"), made.cards, strict=True)))


def by_number(card) -> DriverCard:
    return DriverCard(number=card if isinstance(card, str) else card.number)


async def by_chip(bench, card, *, needs_pin: bool) -> DriverCard:
    """Write the card's chip, of a product that asks for a PIN besides or does not."""
    wrote = "UPDATE cards SET check_value_index = :index WHERE card_id = :id RETURNING 1"
    await rows(bench, wrote, index=check_value_index(card.number, CHIP), id=card.card_id)
    await rows(bench, "UPDATE card_products SET pin_required = :needs WHERE code = 'company' RETURNING 1", needs=needs_pin)
    return DriverCard(number=card.number, check_value=CHIP)


async def by_code(bench, card, *, older: int = 0) -> DriverCard:
    (row,) = await rows(bench, "SELECT version FROM cards WHERE card_id = :id", id=card.card_id)
    payload = HolderToken(index=card.index, version=row["version"] - older, nonce="once")
    return DriverCard(token=issue_token(Purpose.QR_TOKEN, payload, expires_at=clock.real_now() + timedelta(seconds=60)))


async def moved(bench, card, status: CardStatus) -> None:
    await rows(
        bench, "UPDATE cards SET status = :to, version = version + 1 WHERE card_id = :id RETURNING 1", to=int(status), id=card.card_id
    )


async def test_it_names_the_driver_the_vehicles_card_pays_and_both_are_counted(bench, fleet):
    sold = said(await bench.sell(fleet.truck, driver_card=by_number(fleet.own), driver_pin=DRIVER_PIN))
    assert (sold["outcome"], sold["card"]) == ("approved", fleet.truck.number[-4:])
    kept = await detail(bench, sold["sale"])
    assert kept["driver"] == str(fleet.made.drivers[0])
    assert fleet.own.number not in str(kept), "the number itself is kept nowhere"
    for subject in (fleet.made.vehicle, fleet.made.drivers[0], fleet.made.company_id):
        assert (await counted(bench, subject))["quantity_milli"] == 10_000
    assert await rows(bench, "SELECT subject_id FROM limit_counters") == [{"subject_id": fleet.truck.card_id}], "only the first pays"
    async with transaction(bench.sessions) as session:
        account_id, sale_id = parse_reference(sold["sale"])
        told = await said_at_the_pump(session, account_id=account_id, sale_id=sale_id)
        between = {"begin": bench.now() - timedelta(days=1), "end": bench.now() + timedelta(days=1)}
        await collect_between(session, company_id=fleet.made.company_id, now=bench.now(), **between)
    assert (told.driver_number, told.driver_said) == ("007", None)
    (fill,) = await rows(bench, "SELECT driver_id, vehicle_id FROM fleet_fills")
    assert fill == {"driver_id": fleet.made.drivers[0], "vehicle_id": fleet.made.vehicle}
    await refund(bench, sold["sale"])
    assert (await counted(bench, fleet.made.drivers[0]))["quantity_milli"] == 0
    await sound(bench)


async def test_before_filling_it_counts_from_the_beginning_to_the_end(bench, fleet):
    begun = said(await bench.authorise(fleet.truck, quantity_milli=20_000, driver_card=by_number(fleet.own), driver_pin=DRIVER_PIN))
    assert begun["outcome"] == "approved"
    await bench.complete(begun["authorization"], litres_milli=10_000, amount_minor=7_890)
    assert (await counted(bench, fleet.made.drivers[0]))["quantity_milli"] == 10_000
    await sound(bench)


async def test_the_drivers_limits_bind_by_card_and_by_number_together(bench, fleet):
    await limit(bench, fleet.made.drivers[0], NewLimit(kind=LimitKind.QUANTITY, window=Window.DAY, value=15_000))
    assert said(await bench.sell(fleet.truck, driver_number="007", driver_pin=DRIVER_PIN))["outcome"] == "approved"
    above = said(await bench.sell(fleet.truck, driver_card=by_number(fleet.own), driver_pin=DRIVER_PIN))
    assert (above["outcome"], above["limit"], above["remaining_milli"]) == ("declined", "driver.day.quantity", 5_000)


async def test_the_same_driver_shown_by_two_cards_of_theirs_is_counted_once(bench, fleet):
    async with transaction(bench.sessions) as session:
        chain, now = fleet.spare.card_id, bench.now()
        driver = fleet.made.drivers[0]
        await bind_card(session, company_id=fleet.made.company_id, chain_id=chain, driver_id=driver, another=True, actor=SYSTEM, now=now)
    sold = said(await bench.sell(fleet.spare, driver_card=by_number(fleet.own), driver_pin=DRIVER_PIN))
    assert sold["outcome"] == "approved"
    assert (await counted(bench, driver))["quantity_milli"] == 10_000
    other = said(await bench.sell(fleet.own, driver_card=by_number(fleet.others_own), driver_pin=DRIVER_PIN))
    assert other["outcome"] == "approved"
    assert (await counted(bench, fleet.made.drivers[1]))["quantity_milli"] == 10_000, "who showed their PIN drives"
    assert (await counted(bench, driver))["quantity_milli"] == 10_000


async def another_companys(bench, _) -> DriverCard:
    async with transaction(bench.sessions) as session:
        theirs = await make_fleet(session, bench.world, name="别家", cards=1)
        driver = await a_driver(session, bench, theirs, "007")
        now = bench.now()
        await bind_card(session, company_id=theirs.company_id, chain_id=theirs.chains[0], driver_id=driver, actor=SYSTEM, now=now)
        await give_them_chains(session, bench, theirs)
    return by_number(theirs.cards[0])


async def of_a_driver_who_is(bench, fleet, status: DriverStatus) -> DriverCard:
    left = bench.now() if status is DriverStatus.LEFT else None
    away = "UPDATE drivers SET status = :to, left_at = CAST(:left AS timestamptz) WHERE number = '007' RETURNING 1"
    await rows(bench, away, to=status.value, left=left)
    return by_number(fleet.own)


async def standing_at(bench, fleet, status: CardStatus) -> DriverCard:
    await moved(bench, fleet.own, status)
    return by_number(fleet.own)


async def expired(bench, fleet) -> DriverCard:
    yesterday = bench.now().date() - timedelta(days=2)
    await rows(bench, "UPDATE cards SET expires_on = :day WHERE card_id = :id RETURNING 1", day=yesterday, id=fleet.own.card_id)
    return by_number(fleet.own)


async def forged(bench, fleet) -> DriverCard:
    await by_chip(bench, fleet.own, needs_pin=True)
    return DriverCard(number=fleet.own.number, check_value="00000000")


async def plain(card: DriverCard) -> DriverCard:
    return card


NOBODYS = {
    "unknown": lambda _, __: plain(by_number(NUMBER_OF_NOBODY)),
    "another company's": another_companys,
    "the vehicle's": lambda _, fleet: plain(by_number(fleet.other)),
    "bound to nobody": lambda _, fleet: plain(by_number(fleet.spare)),
    "the same twice": lambda _, fleet: plain(by_number(fleet.truck)),
    "expired": expired,
    "a wrong check value": forged,
    "a check value that was never written": lambda _, fleet: plain(DriverCard(number=fleet.own.number, check_value=CHIP)),
    "an old code": lambda bench, fleet: by_code(bench, fleet.own, older=1),
    "a code that is none": lambda _, __: plain(DriverCard(token="none-of-ours")),
    **{f"card {to.name.lower()}": lambda bench, fleet, to=to: standing_at(bench, fleet, to) for to in STATUSES},
    **{
        f"driver {to.value}": lambda bench, fleet, to=to: of_a_driver_who_is(bench, fleet, to)
        for to in DriverStatus
        if to.value != "active"
    },
}


@pytest.mark.parametrize("case", NOBODYS)
async def test_what_is_not_a_living_card_of_a_driver_here_is_nobodys_and_nothing_tells_which(bench, fleet, case):
    shown = await NOBODYS[case](bench, fleet)
    unknown = said(await bench.sell(fleet.truck, driver_card=by_number(NUMBER_OF_NOBODY), driver_pin=DRIVER_PIN))
    for pin in (DRIVER_PIN, "0000"):
        assert said(await bench.sell(fleet.truck, driver_card=shown, driver_pin=pin)) == unknown
    assert (unknown["outcome"], unknown["reason"], unknown["needs"]) == ("declined", "driver_unknown", ["driver_card"])
    assert [await tries(bench, driver) for driver in fleet.made.drivers] == [0, 0], "no PIN was tried"
    assert await rows(bench, "SELECT 1 FROM level_counters") == []


async def test_a_number_alone_asks_for_the_drivers_pin_whether_or_not_there_is_such_a_card(bench, fleet):
    answers = [said(await bench.authorise(fleet.truck, driver_card=by_number(card))) for card in (fleet.own, fleet.other, NUMBER_OF_NOBODY)]
    assert answers[0] == answers[1] == answers[2]
    assert (answers[0]["outcome"], answers[0]["reason"], answers[0]["needs"]) == ("more_data", "driver_needed", ["driver_pin"])


async def test_the_cards_own_pin_is_not_the_drivers_and_three_tries_lock_by_card_as_by_number(bench, fleet):
    shown = by_number(fleet.own)
    reasons = [said(await bench.sell(fleet.truck, driver_card=shown, driver_pin="1357"))["reason"] for _ in range(2)]
    reasons.append(said(await bench.sell(fleet.truck, driver_number="007", driver_pin="0000"))["reason"])
    assert reasons == ["driver_pin_wrong", "driver_pin_wrong", "driver_pin_locked"]
    for one in (shown, await by_chip(bench, fleet.own, needs_pin=False), await by_code(bench, fleet.own)):
        for pin in (DRIVER_PIN, None):
            answer = said(await bench.sell(fleet.truck, driver_card=one, driver_pin=pin))
            assert answer["reason"] in {"driver_pin_locked", "driver_needed"}, "who is locked drives by no credential"
    (card,) = await rows(bench, "SELECT pin_tries FROM cards WHERE card_id = :id", id=fleet.own.card_id)
    assert card["pin_tries"] == 0


async def test_a_chip_needs_no_pin_where_its_product_asks_for_none_and_a_code_never_does(bench, fleet):
    chip = await by_chip(bench, fleet.own, needs_pin=True)
    asked = said(await bench.sell(fleet.truck, driver_card=chip))
    assert (asked["outcome"], asked["reason"], asked["needs"]) == ("more_data", "driver_needed", ["driver_pin"])
    assert said(await bench.sell(fleet.truck, driver_card=chip, driver_pin=DRIVER_PIN))["outcome"] == "approved"
    assert said(await bench.sell(fleet.truck, driver_card=await by_code(bench, fleet.own)))["outcome"] == "approved"
    assert (
        said(await bench.sell(fleet.truck, driver_card=await by_code(bench, fleet.own), driver_pin="0000"))["reason"] == "driver_pin_wrong"
    )
    chip = await by_chip(bench, fleet.own, needs_pin=False)
    assert said(await bench.sell(fleet.truck, driver_card=chip))["outcome"] == "approved"
    assert (await counted(bench, fleet.made.drivers[0]))["count"] == 3


async def test_it_pays_nothing_and_stands_for_no_credential_of_the_first(bench, fleet):
    answer = said(await bench.sell(fleet.truck, pin=None, driver_card=await by_code(bench, fleet.own), driver_pin=DRIVER_PIN))
    assert answer["outcome"] != "approved"
    assert answer["needs"] == ["pin"]


async def test_a_replaced_card_is_refused_and_the_new_one_of_the_chain_works(bench, fleet):
    await moved(bench, fleet.own, CardStatus.REPLACED)
    await rows(bench, "UPDATE cards SET chain_id = :chain WHERE card_id = :id RETURNING 1", chain=fleet.own.card_id, id=fleet.spare.card_id)
    old, new = [
        said(await bench.sell(fleet.truck, driver_card=by_number(card), driver_pin=DRIVER_PIN)) for card in (fleet.own, fleet.spare)
    ]
    assert (old["outcome"], old["reason"]) == ("declined", "driver_unknown")
    assert new["outcome"] == "approved"
    assert (await detail(bench, new["sale"]))["driver"] == str(fleet.made.drivers[0])


async def test_they_must_be_related_where_the_company_says_so(bench, fleet):
    async with transaction(bench.sessions) as session:
        wanted = {"needs": Needs.DRIVER | Needs.RELATED, "actor": SYSTEM, "now": bench.now()}
        await set_needs(session, subject_id=fleet.made.company_id, **wanted)
    strange = said(await bench.sell(fleet.other, driver_card=by_number(fleet.own), driver_pin=DRIVER_PIN))
    assert (strange["outcome"], strange["reason"], strange["needs"]) == ("declined", "driver_not_related", ["driver_card"])
    theirs = said(await bench.sell(fleet.other, driver_card=by_number(fleet.others_own), driver_pin=DRIVER_PIN))
    assert theirs["outcome"] == "approved"


async def advised(bench, fleet, card, **fields) -> tuple[set[str], dict]:
    told = record(bench, fleet.truck, driver_card={"number": card if isinstance(card, str) else card.number}, **fields)
    (result,) = await tell(bench, told)
    return set(result["answer"]["flags"]), await detail(bench, result["answer"]["sale"])


async def test_told_afterwards_a_known_card_counts_and_one_that_does_not_live_is_flagged(bench, fleet):
    driver = str(fleet.made.drivers[0])
    flags, kept = await advised(bench, fleet, fleet.own)
    assert (flags, kept["driver"]) == ({"offline"}, driver)
    await moved(bench, fleet.own, CardStatus.LOST)
    flags, kept = await advised(bench, fleet, fleet.own)
    assert (flags, kept["driver"]) == ({"offline", "driver"}, driver)
    assert (await counted(bench, UUID(driver)))["count"] == 2
    await sound(bench)


@pytest.mark.parametrize("which", ["nobody", "truck", "other", "spare"])
async def test_told_afterwards_whoever_is_nobody_is_flagged_and_four_digits_are_kept(bench, fleet, which):
    number = NUMBER_OF_NOBODY if which == "nobody" else getattr(fleet, which).number
    flags, kept = await advised(bench, fleet, number)
    assert (flags, kept["driver_card_tail"]) == ({"offline", "driver"}, number[-4:])
    assert number not in str(kept)
    assert "driver" not in kept
    await sound(bench)


async def test_the_end_of_a_fill_may_say_it_by_card(bench, fleet):
    begun = said(await bench.authorise(fleet.truck, quantity_milli=10_000, driver_number="007", driver_pin=DRIVER_PIN))
    told = {"ago": timedelta(0), "authorization": begun["authorization"]}
    (result,) = await tell(bench, record(bench, driver_card={"number": fleet.own.number}, **told))
    assert result["answer"]["flags"] == ["offline"]
    begun = said(await bench.authorise(fleet.truck, quantity_milli=10_000, driver_number="007", driver_pin=DRIVER_PIN))
    (result,) = await tell(
        bench, record(bench, driver_card={"number": fleet.others_own.number}, **told | {"authorization": begun["authorization"]})
    )
    assert result["answer"]["flags"] == ["offline", "driver"]
    assert (await detail(bench, result["answer"]["sale"]))["driver_card_tail"] == fleet.others_own.number[-4:]


async def test_a_record_names_the_driver_one_way(bench, fleet):
    (result,) = await tell(bench, record(bench, fleet.truck, driver_number="007", driver_card={"number": fleet.own.number}))
    assert result["problem"]["code"] == "advice_not_understood"
