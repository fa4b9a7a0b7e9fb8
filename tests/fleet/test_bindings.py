"""Cards bound to vehicles, drivers and departments: periods that follow each other, and what follows whom."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from loyalty.cards.queries import CardNotFound
from loyalty.fleet.model import CompanyMode, DriverStatus
from loyalty.fleet.operations.bindings import (
    CardNotBound,
    DriverNotHere,
    NothingToBindTo,
    VehicleHasItsCard,
    VehicleNotInUse,
    bind_card,
    tell_company,
    tell_new_cards,
    unbind_card,
)
from loyalty.fleet.operations.companies import CompanySettings, change_company
from loyalty.fleet.operations.departments import DepartmentFacts, change_department
from loyalty.fleet.operations.drivers import change_driver, move_driver
from loyalty.fleet.operations.vehicles import change_vehicle, close_vehicle
from loyalty.fleet.queries.bindings import allocated_of, binding_at, bindings_of, standing_bindings
from loyalty.fleet.queries.cards import CardFilter, count_cards, get_fleet_card, list_fleet_cards, money_of
from loyalty.fleet.queries.companies import lock_company
from loyalty.fleet.queries.departments import DepartmentNotFound
from loyalty.fleet.queries.drivers import DriverNotFound
from loyalty.fleet.queries.vehicles import VehicleNotFound
from loyalty.fleet.rules import DriverFacts, VehicleFacts
from loyalty.ids import uuid7
from loyalty.ledger.model import PurseKind, TransferKind
from loyalty.ledger.operations import Leg, ensure_purse, post
from loyalty.limits.model import Level, LimitChain, LimitKind, Window
from loyalty.limits.operations import NewLimit, replace_limits
from tests.factories.fleet import give_fleet_card, make_fleet
from tests.factories.world import SYSTEM
from tests.fleet.structure import department, driver, vehicle


@pytest.fixture
def bind(session, fleet):
    async def bind(now, chain=0, **to):
        await bind_card(session, company_id=fleet.company_id, chain_id=fleet.chains[chain], actor=SYSTEM, now=now, **to)

    return bind


async def test_a_binding_is_a_period_and_the_past_keeps_its_own(session, fleet, now, bind):
    north = await department(session, fleet, now, "北区")
    lorry = await vehicle(session, fleet, now, "浙A11111", department_id=north)
    wang = await driver(session, fleet, now)
    chain, hour = fleet.chains[0], timedelta(hours=1)
    assert await binding_at(session, chain_id=chain, instant=now) is None
    await bind(now, vehicle_id=lorry, driver_id=wang)
    await bind(now + hour, vehicle_id=lorry, driver_id=wang)
    await bind(now + 2 * hour, driver_id=wang)
    await unbind_card(session, company_id=fleet.company_id, chain_id=chain, actor=SYSTEM, now=now + 3 * hour)
    found = [await binding_at(session, chain_id=chain, instant=now + at * hour) for at in (-1, 0, 1, 2, 3)]
    assert [one and (one.vehicle_id, one.driver_id, one.department_id) for one in found] == [
        None,
        (lorry, wang, north),
        (lorry, wang, north),
        (None, wang, None),
        None,
    ]
    assert len(await bindings_of(session, company_id=fleet.company_id, chain_id=chain)) == 2
    with pytest.raises(CardNotBound):
        await unbind_card(session, company_id=fleet.company_id, chain_id=chain, actor=SYSTEM, now=now + 4 * hour)


async def test_a_binding_of_no_time_never_was(session, fleet, now, bind):
    wang = await driver(session, fleet, now)
    lorry = await vehicle(session, fleet, now, "浙A11111")
    await bind(now, driver_id=wang)
    await bind(now, vehicle_id=lorry)
    (only,) = await bindings_of(session, company_id=fleet.company_id, chain_id=fleet.chains[0])
    assert (only.vehicle_id, only.driver_id) == (lorry, None)


async def test_one_vehicle_has_one_card_unless_told_otherwise(session, fleet, now, bind):
    lorry = await vehicle(session, fleet, now, "浙A11111")
    await bind(now, vehicle_id=lorry)
    with pytest.raises(VehicleHasItsCard):
        await bind(now, chain=1, vehicle_id=lorry)
    await bind(now, chain=1, vehicle_id=lorry, another=True)
    assert len(await standing_bindings(session, company_id=fleet.company_id, vehicle_ids=[lorry])) == 2


async def test_who_cannot_have_a_card_gets_none(session, fleet, world, now, bind):
    other = await make_fleet(session, world, name="甬江运输", cards=1)
    lorry, foreign = await vehicle(session, fleet, now, "浙A11111"), await vehicle(session, other, now, "浙A11111")
    wang, stranger = await driver(session, fleet, now), await driver(session, other, now)
    hers = await department(session, other, now, "北区")
    await close_vehicle(session, company_id=fleet.company_id, vehicle_id=lorry, actor=SYSTEM, now=now)
    await move_driver(session, company_id=fleet.company_id, driver_id=wang, to=DriverStatus.AWAY, actor=SYSTEM, now=now)
    for to, refusal in (
        ({}, NothingToBindTo),
        ({"vehicle_id": lorry}, VehicleNotInUse),
        ({"driver_id": wang}, DriverNotHere),
        ({"vehicle_id": foreign}, VehicleNotFound),
        ({"driver_id": stranger}, DriverNotFound),
        ({"department_id": hers}, DepartmentNotFound),
        ({"department_id": uuid4()}, DepartmentNotFound),
    ):
        with pytest.raises(refusal):
            await bind(now, **to)
    for chain_id in (other.chains[0], uuid4()):
        with pytest.raises(CardNotFound):
            await bind_card(
                session, company_id=fleet.company_id, chain_id=chain_id, department_id=None, driver_id=wang, actor=SYSTEM, now=now
            )
        with pytest.raises(CardNotFound):
            await unbind_card(session, company_id=fleet.company_id, chain_id=chain_id, actor=SYSTEM, now=now)
    await session.execute(text("UPDATE cards SET status = 6 WHERE card_id = :id"), {"id": fleet.chains[0]})
    with pytest.raises(CardNotFound):
        await bind(now, department_id=await department(session, fleet, now, "北区"))


async def test_cards_follow_a_vehicle_or_a_driver_into_another_department(session, fleet, now, bind):
    north, south, office = [await department(session, fleet, now, name) for name in ("北区", "南区", "行政")]
    lorry = await vehicle(session, fleet, now, "浙A11111", department_id=north)
    wang = await driver(session, fleet, now, department_id=north)
    await bind(now, chain=0, vehicle_id=lorry, driver_id=wang)
    await bind(now, chain=1, vehicle_id=lorry, department_id=office, another=True)
    await bind(now, chain=2, driver_id=wang)

    async def answering():
        found = {one.chain_id: one.department_id for one in await standing_bindings(session, company_id=fleet.company_id)}
        return [found[chain] for chain in fleet.chains]

    assert await answering() == [north, office, north]
    later = now + timedelta(days=1)
    facts = DriverFacts(number="101", name="王强", department_id=south)
    await change_driver(session, company_id=fleet.company_id, driver_id=wang, facts=facts, actor=SYSTEM, now=later)
    assert await answering() == [north, office, south]
    facts = VehicleFacts(plate="浙A11111")
    await change_vehicle(session, company_id=fleet.company_id, vehicle_id=lorry, facts=facts, actor=SYSTEM, now=later)
    assert await answering() == [south, office, south]
    before = await binding_at(session, chain_id=fleet.chains[0], instant=later - timedelta(seconds=1))
    assert before.department_id == north


async def test_a_driver_who_goes_leaves_the_vehicle_its_card(session, fleet, now, bind):
    lorry, wang = await vehicle(session, fleet, now, "浙A11111"), await driver(session, fleet, now)
    await bind(now, chain=0, vehicle_id=lorry, driver_id=wang)
    await bind(now, chain=1, driver_id=wang)
    recalled = await move_driver(
        session, company_id=fleet.company_id, driver_id=wang, to=DriverStatus.AWAY, actor=SYSTEM, now=now + timedelta(hours=1)
    )
    assert recalled == [fleet.chains[1]]
    (left,) = await standing_bindings(session, company_id=fleet.company_id)
    assert (left.chain_id, left.vehicle_id, left.driver_id) == (fleet.chains[0], lorry, None)


async def give_own(session, fleet, card, amount_minor, now):
    purse = await ensure_purse(session, account_id=fleet.account_id, kind=PurseKind.PRINCIPAL, unit="CNY", card_id=card.card_id, now=now)
    leg = Leg(card.principal_id, purse, amount_minor, TransferKind.ALLOCATION, "CNY", card_id=card.card_id)
    await post(session, account_id=fleet.account_id, legs=[leg], operation_id=uuid7(now), event_at=now, now=now)


async def test_a_closed_vehicle_s_money_goes_back_to_the_pool(session, fleet, now, bind):
    lorry = await vehicle(session, fleet, now, "浙A11111")
    await bind(now, chain=0, vehicle_id=lorry)
    await bind(now, chain=1, vehicle_id=lorry, another=True)
    await give_own(session, fleet, fleet.cards[0], 30_000, now)
    later = now + timedelta(hours=1)
    closed = await close_vehicle(session, company_id=fleet.company_id, vehicle_id=lorry, actor=SYSTEM, now=later)
    assert sorted(closed.chains) == sorted(fleet.chains[:2])
    assert (closed.gathered_minor, closed.held_minor) == (30_000, 0)
    assert await allocated_of(session, company_id=fleet.company_id, chain_ids=fleet.chains) == {}
    assert await money_of(session, company_id=fleet.company_id) == (1_000_000, 0, 0, 0, 0, 0)
    assert await standing_bindings(session, company_id=fleet.company_id) == []


async def test_a_recalled_card_s_money_goes_back_to_the_pool(session, fleet, now, bind):
    wang = await driver(session, fleet, now)
    await bind(now, driver_id=wang)
    await give_own(session, fleet, fleet.cards[0], 30_000, now)
    later = now + timedelta(hours=1)
    await move_driver(session, company_id=fleet.company_id, driver_id=wang, to=DriverStatus.LEFT, actor=SYSTEM, now=later)
    assert (await money_of(session, company_id=fleet.company_id)).cards_minor == 0


async def test_the_pump_is_told_under_whom_each_card_stands(session, fleet, now, bind):
    north = await department(session, fleet, now, "北区")
    city = await department(session, fleet, now, "城配", north)
    lorry = await vehicle(session, fleet, now, "浙A11111", department_id=city)
    wang = await driver(session, fleet, now)

    async def told(chain=0):
        row = await session.get(LimitChain, fleet.chains[chain], populate_existing=True)
        return list(zip(row.subjects, row.levels, strict=True))

    async def version():
        return await session.scalar(text("SELECT version FROM cards WHERE card_id = :id"), {"id": fleet.chains[0]})

    await tell_company(session, company=await lock_company(session, company_id=fleet.company_id), actor=SYSTEM, now=now)
    assert await told() == [(fleet.company_id, Level.COMPANY)]
    before = await version()
    await bind(now, vehicle_id=lorry, driver_id=wang)
    over = [(fleet.company_id, Level.COMPANY), (city, Level.DEPARTMENT), (north, Level.DEPARTMENT)]
    assert await told() == [*over, (lorry, Level.VEHICLE), (wang, Level.DRIVER)]
    assert await version() == before + 1
    await session.execute(text("UPDATE limit_chains SET needs = 2"))
    facts = DepartmentFacts(name="城配")
    await change_department(session, company_id=fleet.company_id, department_id=city, facts=facts, actor=SYSTEM, now=now)
    assert await told() == [*over[:2], (lorry, Level.VEHICLE), (wang, Level.DRIVER)]
    await unbind_card(session, company_id=fleet.company_id, chain_id=fleet.chains[0], actor=SYSTEM, now=now)
    assert await told() == over[:1]
    assert (await session.get(LimitChain, fleet.chains[0])).needs == 2


async def test_the_list_of_cards_says_whose_each_is_and_what_it_can_spend(session, fleet, world, now, bind):
    await make_fleet(session, world, name="甬江运输", cards=2)
    north = await department(session, fleet, now, "北区")
    lorry = await vehicle(session, fleet, now, "浙A11111", department_id=north)
    wang = await driver(session, fleet, now)
    await bind(now, chain=0, vehicle_id=lorry)
    await bind(now, chain=1, driver_id=wang)
    await give_own(session, fleet, fleet.cards[0], 30_000, now)
    limits = [NewLimit(LimitKind.AMOUNT, Window.DAY, 200_000)]
    await replace_limits(session, subject_id=fleet.chains[0], limits=limits, actor=SYSTEM, now=now)

    async def listed(**by):
        page = await list_fleet_cards(session, company_id=fleet.company_id, by=CardFilter(**by))
        return {row.card_id for row in page.rows}

    first, second, third = fleet.chains
    assert await listed() == {first, second, third}
    assert await listed(text="A-1111") == {first}
    assert await listed(text="王") == {second}
    assert first in await listed(text=fleet.cards[0].number[-4:])
    assert await listed(bound=False) == {third}
    assert await listed(department_ids=[north]) == {first}
    assert await listed(vehicle_id=lorry) == {first}
    assert await listed(driver_id=wang) == {second}
    card = await get_fleet_card(session, company_id=fleet.company_id, card_id=first)
    assert (card.plate, card.department, card.own_minor, card.available_minor) == ("浙A11111", "北区", 30_000, 970_000)
    assert [(limit.window, limit.value) for limit in card.limits.windows] == [("day", 200_000)]
    for mode, available in ((CompanyMode.ALLOCATED, 30_000), (CompanyMode.MIXED, 1_000_000)):
        await change_company(session, company_id=fleet.company_id, settings=CompanySettings(mode=mode), actor=SYSTEM, now=now)
        assert (await get_fleet_card(session, company_id=fleet.company_id, card_id=first)).available_minor == available
    assert await money_of(session, company_id=fleet.company_id) == (970_000, 0, 30_000, 0, 0, 0)
    assert sum((await count_cards(session, company_id=fleet.company_id)).values()) == 3
    assert await allocated_of(session, company_id=fleet.company_id, chain_ids=fleet.chains) == {first: 30_000}
    for sort in ("plate", "-driver", "status", "issued"):
        page = await list_fleet_cards(session, company_id=fleet.company_id, sort=sort, limit=2)
        rest = await list_fleet_cards(session, company_id=fleet.company_id, sort=sort, limit=2, cursor=page.next)
        assert len({row.card_id for row in (*page.rows, *rest.rows)}) == 3


async def test_a_card_handed_out_later_is_told_of_too(session, fleet, now):
    await tell_new_cards(session, actor=SYSTEM, now=now)
    assert await tell_new_cards(session, actor=SYSTEM, now=now) == 0
    card = await give_fleet_card(session, fleet)
    assert await tell_new_cards(session, actor=SYSTEM, now=now) == 1
    assert (await session.get(LimitChain, card.card_id)).subjects == [fleet.company_id]


async def test_another_company_s_card_is_not_there(session, fleet, world):
    other = await make_fleet(session, world, name="甬江运输", cards=1)
    with pytest.raises(CardNotFound):
        await get_fleet_card(session, company_id=fleet.company_id, card_id=other.chains[0])
    assert await allocated_of(session, company_id=fleet.company_id, chain_ids=other.chains) == {}
