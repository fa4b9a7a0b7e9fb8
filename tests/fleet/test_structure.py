"""Departments, vehicles and drivers of a company: who may stand where, and what follows whom."""

from datetime import date, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from loyalty.audit.model import AuditEntry
from loyalty.cards.operations import PinTooSimple
from loyalty.crypto import DRIVER_PIN, pin_matches
from loyalty.customers.plates import InvalidPlate, InvalidVin
from loyalty.customers.rules import InvalidPhone
from loyalty.fleet.model import DRIVER_MOVES, VEHICLE_MOVES, Driver, DriverStatus, Ownership, VehicleStatus
from loyalty.fleet.operations.bindings import bind_card
from loyalty.fleet.operations.departments import (
    DepartmentFacts,
    DepartmentInUse,
    DepartmentNameTaken,
    DepartmentNotSound,
    DepartmentUnderItself,
    change_department,
    close_department,
)
from loyalty.fleet.operations.drivers import (
    DriverCannotMove,
    DriverNumberTaken,
    change_driver,
    move_driver,
    set_driver_pin,
)
from loyalty.fleet.operations.vehicles import (
    OdometerFalls,
    PlateTaken,
    SubstituteNotFree,
    UnknownFuel,
    VehicleCannotMove,
    add_vehicle,
    change_vehicle,
    close_vehicle,
    reopen_vehicle,
    repair_vehicle,
    return_vehicle,
)
from loyalty.fleet.queries.bindings import standing_bindings
from loyalty.fleet.queries.departments import DepartmentNotFound, departments_of, subtree_of
from loyalty.fleet.queries.drivers import DriverFilter, DriverNotFound, find_driver, get_driver, list_drivers, phone_of
from loyalty.fleet.queries.vehicles import (
    VehicleFilter,
    VehicleNotFound,
    find_vehicle,
    get_vehicle,
    list_vehicles,
    vehicle_types,
)
from loyalty.fleet.rules import DriverFacts, DriverNotSound, VehicleFacts, VehicleNotSound, Warned
from tests.factories.fleet import make_fleet
from tests.factories.world import SYSTEM
from tests.fleet.structure import department, driver, vehicle

VIN = "LSVAM4187C2184847"


async def test_departments_are_a_tree_without_circles(session, fleet, now):
    north = await department(session, fleet, now, "北区")
    city = await department(session, fleet, now, " 城配 ", north)
    night = await department(session, fleet, now, "夜班", city)
    rows = await departments_of(session, company_id=fleet.company_id)
    assert [(row.path, row.depth) for row in rows] == [(("北区",), 0), (("北区", "城配"), 1), (("北区", "城配", "夜班"), 2)]
    assert await subtree_of(session, company_id=fleet.company_id, department_id=city) == {city, night}
    for below in (north, city, night):
        with pytest.raises(DepartmentUnderItself):
            await change_department(
                session,
                company_id=fleet.company_id,
                department_id=north,
                facts=DepartmentFacts(name="北区", parent_id=below),
                actor=SYSTEM,
                now=now,
            )
    await change_department(
        session, company_id=fleet.company_id, department_id=night, facts=DepartmentFacts(name="夜间配送"), actor=SYSTEM, now=now
    )
    assert await subtree_of(session, company_id=fleet.company_id, department_id=city) == {city}
    with pytest.raises(DepartmentNameTaken):
        await department(session, fleet, now, "北区")
    with pytest.raises(DepartmentNotSound):
        await department(session, fleet, now, "　 ")
    with pytest.raises(DepartmentNotFound):
        await department(session, fleet, now, "南区", uuid4())


async def test_a_department_closes_when_nothing_is_left_in_it(session, fleet, now):
    north = await department(session, fleet, now, "北区")
    below = await department(session, fleet, now, "城配", north)
    lorry = await vehicle(session, fleet, now, department_id=north)
    with pytest.raises(DepartmentInUse) as refused:
        await close_department(session, company_id=fleet.company_id, department_id=north, actor=SYSTEM, now=now)
    assert refused.value.facts == {"vehicles": 1, "drivers": 0, "cards": 0, "departments": 1}
    await close_department(session, company_id=fleet.company_id, department_id=below, actor=SYSTEM, now=now)
    await close_vehicle(session, company_id=fleet.company_id, vehicle_id=lorry, actor=SYSTEM, now=now)
    await close_department(session, company_id=fleet.company_id, department_id=north, actor=SYSTEM, now=now)
    assert await departments_of(session, company_id=fleet.company_id) == []
    assert len(await departments_of(session, company_id=fleet.company_id, closed=True)) == 2
    with pytest.raises(DepartmentNotFound):
        await close_department(session, company_id=fleet.company_id, department_id=north, actor=SYSTEM, now=now)
    await department(session, fleet, now, "北区")


async def test_a_vehicle_is_kept_in_one_form_and_odd_things_warn(session, fleet, now):
    facts = VehicleFacts(
        plate="浙a·d12345", vin=f" {VIN.lower()[:8]}0{VIN[9:]} ", type="重型货车", tank_milli=600_000, product_code="0", odometer_km=120_500
    )
    saved = await add_vehicle(session, company_id=fleet.company_id, facts=facts, actor=SYSTEM, now=now)
    kept = await get_vehicle(session, company_id=fleet.company_id, vehicle_id=saved.vehicle_id)
    assert (kept.plate, kept.type, kept.odometer_km, kept.odometer_at) == ("浙AD12345", "truck", 120_500, now)
    assert saved.warnings == (Warned.VIN_DOUBTFUL,)
    twin = await add_vehicle(
        session, company_id=fleet.company_id, facts=VehicleFacts(plate="浙A54321", vin=kept.vin), actor=SYSTEM, now=now
    )
    assert twin.warnings == (Warned.VIN_DOUBTFUL, Warned.VIN_TWICE)
    assert await find_vehicle(session, company_id=fleet.company_id, plate="浙A·54321") is not None
    assert await vehicle_types(session, company_id=fleet.company_id) == {"car": 1, "truck": 1}


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"plate": "浙I12345"}, InvalidPlate),
        ({"plate": ""}, InvalidPlate),
        ({"plate": "浙A12345", "vin": "12-!"}, InvalidVin),
        ({"plate": "浙A12345", "tank_milli": 0}, VehicleNotSound),
        ({"plate": "浙A12345", "type": " "}, VehicleNotSound),
        ({"plate": "浙A12345", "fixed_amount_minor": 50_000}, VehicleNotSound),
        ({"plate": "浙A12345", "product_code": "98"}, UnknownFuel),
        ({"plate": "浙A12345", "product_code": "wash"}, UnknownFuel),
        ({"plate": "浙A12345", "department_id": uuid4()}, DepartmentNotFound),
    ],
)
async def test_a_vehicle_that_cannot_be_is_refused(session, fleet, now, wrong, refusal):
    with pytest.raises(refusal):
        await vehicle(session, fleet, now, **wrong)


async def test_a_plate_is_one_living_vehicle_s(session, fleet, world, now):
    first = await vehicle(session, fleet, now)
    with pytest.raises(PlateTaken):
        await vehicle(session, fleet, now, plate="浙A 12345")
    other = await make_fleet(session, world, name="甬江运输")
    await vehicle(session, other, now)
    second = await vehicle(session, fleet, now, plate="浙A99999")
    with pytest.raises(PlateTaken):
        await change_vehicle(
            session, company_id=fleet.company_id, vehicle_id=second, facts=VehicleFacts(plate="浙A12345"), actor=SYSTEM, now=now
        )
    await close_vehicle(session, company_id=fleet.company_id, vehicle_id=first, actor=SYSTEM, now=now)
    await vehicle(session, fleet, now)
    with pytest.raises(PlateTaken):
        await reopen_vehicle(session, company_id=fleet.company_id, vehicle_id=first, actor=SYSTEM, now=now)


async def test_a_change_keeps_the_odometer_rising(session, fleet, now):
    car = await vehicle(session, fleet, now, odometer_km=1000)
    later = now + timedelta(days=1)

    async def change(**facts):
        wanted = VehicleFacts(plate="浙A12345", **facts)
        return await change_vehicle(session, company_id=fleet.company_id, vehicle_id=car, facts=wanted, actor=SYSTEM, now=later)

    with pytest.raises(OdometerFalls):
        await change(odometer_km=999)
    await change(ownership=Ownership.PRIVATE, fixed_amount_minor=80_000)
    kept = await get_vehicle(session, company_id=fleet.company_id, vehicle_id=car)
    assert (kept.odometer_km, kept.odometer_at, kept.fixed_amount_minor) == (1000, now, 80_000)
    await change(odometer_km=1001)
    kept = await get_vehicle(session, company_id=fleet.company_id, vehicle_id=car)
    assert (kept.odometer_km, kept.odometer_at, kept.ownership) == (1001, later, Ownership.COMPANY)


@pytest.mark.parametrize("to", VehicleStatus)
@pytest.mark.parametrize("status", VehicleStatus)
async def test_a_vehicle_moves_as_its_table_says(session, fleet, now, status, to):
    car = await vehicle(session, fleet, now)
    closed_at = now if status is VehicleStatus.CLOSED else None
    await session.execute(
        text("UPDATE vehicles SET status = :status, closed_at = :at WHERE vehicle_id = :id"),
        {"status": status.value, "at": closed_at, "id": car},
    )
    verb = {VehicleStatus.IN_REPAIR: repair_vehicle, VehicleStatus.CLOSED: close_vehicle}.get(to)
    if verb is None:
        verb = reopen_vehicle if status is VehicleStatus.CLOSED else return_vehicle
    moving = verb(session, company_id=fleet.company_id, vehicle_id=car, actor=SYSTEM, now=now)
    if to in VEHICLE_MOVES[status]:
        await moving
        assert (await get_vehicle(session, company_id=fleet.company_id, vehicle_id=car)).status is to
    else:
        with pytest.raises(VehicleCannotMove):
            await moving


async def test_a_substitute_has_the_card_until_the_vehicle_is_back(session, fleet, now):
    lorry, spare, third = [await vehicle(session, fleet, now, plate) for plate in ("浙A11111", "浙A22222", "浙A33333")]
    chain = fleet.chains[0]
    at = {"company_id": fleet.company_id, "actor": SYSTEM}
    await bind_card(session, chain_id=chain, vehicle_id=lorry, now=now, **at)
    with pytest.raises(SubstituteNotFree):
        await repair_vehicle(session, vehicle_id=lorry, substitute_id=lorry, now=now, **at)
    await repair_vehicle(session, vehicle_id=lorry, substitute_id=spare, now=now + timedelta(hours=1), **at)
    with pytest.raises(SubstituteNotFree):
        await repair_vehicle(session, vehicle_id=third, substitute_id=spare, now=now + timedelta(hours=1), **at)
    (lent,) = await standing_bindings(session, company_id=fleet.company_id)
    assert (lent.vehicle_id, lent.since) == (spare, now + timedelta(hours=1))
    shown = await get_vehicle(session, company_id=fleet.company_id, vehicle_id=spare)
    assert (shown.substitute_for_plate, [card.chain_id for card in shown.cards]) == ("浙A11111", [chain])
    assert (await get_vehicle(session, company_id=fleet.company_id, vehicle_id=lorry)).substitute_plate == "浙A22222"
    await return_vehicle(session, vehicle_id=lorry, now=now + timedelta(hours=2), **at)
    (back,) = await standing_bindings(session, company_id=fleet.company_id)
    assert back.vehicle_id == lorry
    assert (await get_vehicle(session, company_id=fleet.company_id, vehicle_id=spare)).substitute_for is None


async def test_a_substitute_that_closes_gives_the_card_back(session, fleet, now):
    lorry, spare = [await vehicle(session, fleet, now, plate) for plate in ("浙A11111", "浙A22222")]
    at = {"company_id": fleet.company_id, "actor": SYSTEM}
    await bind_card(session, chain_id=fleet.chains[0], vehicle_id=lorry, now=now, **at)
    await repair_vehicle(session, vehicle_id=lorry, substitute_id=spare, now=now + timedelta(hours=1), **at)
    closed = await close_vehicle(session, vehicle_id=spare, now=now + timedelta(hours=2), **at)
    assert closed.chains == []
    (back,) = await standing_bindings(session, company_id=fleet.company_id)
    assert back.vehicle_id == lorry


async def test_lists_of_vehicles_are_cut_and_paged(session, fleet, now):
    north = await department(session, fleet, now, "北区")
    for number in range(5):
        await vehicle(session, fleet, now, f"浙A1000{number}", department_id=north if number < 2 else None)
    await bind_card(
        session,
        company_id=fleet.company_id,
        chain_id=fleet.chains[0],
        vehicle_id=(await find_vehicle(session, company_id=fleet.company_id, plate="浙A10003")).vehicle_id,
        actor=SYSTEM,
        now=now,
    )

    async def plates(sort="plate", **by):
        page = await list_vehicles(session, company_id=fleet.company_id, by=VehicleFilter(**by), sort=sort)
        return [row.plate[-1] for row in page.rows]

    assert await plates() == ["0", "1", "2", "3", "4"]
    assert await plates(text="a-10004") == ["4"]
    assert await plates(text="%") == []
    assert await plates(department_ids=[north]) == ["0", "1"]
    assert await plates(has_card=True) == ["3"]
    assert await plates(sort="-plate", has_card=False) == ["4", "2", "1", "0"]
    assert len(await plates(sort="-odometer")) == 5
    assert await plates(statuses=[VehicleStatus.CLOSED]) == []
    first = await list_vehicles(session, company_id=fleet.company_id, limit=3)
    rest = await list_vehicles(session, company_id=fleet.company_id, limit=3, cursor=first.next)
    assert [row.plate[-1] for row in (*first.rows, *rest.rows)] == ["0", "1", "2", "3", "4"]
    assert first.rows[0].department == "北区"


async def test_a_driver_has_a_number_for_good_and_a_phone_that_is_sealed(session, fleet, now):
    wang = await driver(session, fleet, now, " 101 ", phone="13857101234", licence_class="a2", licence_until=date(2027, 3, 1))
    kept = await get_driver(session, company_id=fleet.company_id, driver_id=wang)
    assert (kept.number, kept.phone_tail, kept.licence_class, kept.has_pin) == ("101", "1234", "A2", False)
    assert await phone_of(session, company_id=fleet.company_id, driver_id=wang) == "+8613857101234"
    with pytest.raises(DriverNumberTaken):
        await driver(session, fleet, now)
    await change_driver(
        session, company_id=fleet.company_id, driver_id=wang, facts=DriverFacts(number="102", name="王强"), actor=SYSTEM, now=now
    )
    assert await phone_of(session, company_id=fleet.company_id, driver_id=wang) is None
    assert await find_driver(session, company_id=fleet.company_id, number="101") is None
    trail = [entry.facts for entry in await session.scalars(select(AuditEntry).where(AuditEntry.subject_kind == "driver"))]
    assert "王强" not in str(trail)
    assert "1234" not in str(trail)


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"number": "A1"}, DriverNotSound),
        ({"number": "1" * 13}, DriverNotSound),
        ({"name": " "}, DriverNotSound),
        ({"phone": "12"}, InvalidPhone),
        ({"department_id": uuid4()}, DepartmentNotFound),
    ],
)
async def test_a_driver_who_cannot_be_is_refused(session, fleet, now, wrong, refusal):
    with pytest.raises(refusal):
        await driver(session, fleet, now, **wrong)


@pytest.mark.parametrize("to", DriverStatus)
@pytest.mark.parametrize("status", DriverStatus)
async def test_a_driver_moves_as_their_table_says(session, fleet, now, status, to):
    wang = await driver(session, fleet, now)
    await session.execute(
        text("UPDATE drivers SET status = :status, left_at = :at WHERE driver_id = :id"),
        {"status": status.value, "at": now if status is DriverStatus.LEFT else None, "id": wang},
    )
    moving = move_driver(session, company_id=fleet.company_id, driver_id=wang, to=to, actor=SYSTEM, now=now)
    if to in DRIVER_MOVES[status]:
        await moving
        assert (await get_driver(session, company_id=fleet.company_id, driver_id=wang)).status is to
    else:
        with pytest.raises(DriverCannotMove):
            await moving


async def test_a_driver_s_pin_is_theirs_and_ends_with_them(session, fleet, now):
    wang, li = await driver(session, fleet, now), await driver(session, fleet, now, "102", "李明")
    for driver_id in (wang, li):
        await set_driver_pin(session, company_id=fleet.company_id, driver_id=driver_id, pin="2580", actor=SYSTEM, now=now)
    with pytest.raises(PinTooSimple) as refused:
        await set_driver_pin(session, company_id=fleet.company_id, driver_id=wang, pin="1234", actor=SYSTEM, now=now)
    assert "…" not in refused.value.sentence("zh") + refused.value.sentence("en")
    rows = {row.driver_id: row for row in await session.scalars(select(Driver).where(Driver.company_id == fleet.company_id))}
    stored = rows[wang].pin_verifier
    assert stored != rows[li].pin_verifier
    assert pin_matches(stored, card_id=wang, generation=1, pin="2580", label=DRIVER_PIN)
    assert not pin_matches(stored, card_id=wang, generation=1, pin="2580")
    await move_driver(session, company_id=fleet.company_id, driver_id=wang, to=DriverStatus.LEFT, actor=SYSTEM, now=now)
    assert not (await get_driver(session, company_id=fleet.company_id, driver_id=wang)).has_pin
    for attempt in (
        set_driver_pin(session, company_id=fleet.company_id, driver_id=wang, pin="2580", actor=SYSTEM, now=now),
        change_driver(
            session, company_id=fleet.company_id, driver_id=wang, facts=DriverFacts(number="1", name="王"), actor=SYSTEM, now=now
        ),
    ):
        with pytest.raises(DriverCannotMove):
            await attempt


async def test_lists_of_drivers_are_cut(session, fleet, now):
    await driver(session, fleet, now, licence_until=date(2026, 10, 1))
    li = await driver(session, fleet, now, "205", "李明")
    await move_driver(session, company_id=fleet.company_id, driver_id=li, to=DriverStatus.LEFT, actor=SYSTEM, now=now)

    async def numbers(**by):
        page = await list_drivers(session, company_id=fleet.company_id, by=DriverFilter(**by))
        return [row.number for row in page.rows]

    assert await numbers() == ["101"]
    assert await numbers(statuses=list(DriverStatus)) == ["101", "205"]
    assert await numbers(text="李", statuses=list(DriverStatus)) == ["205"]
    assert await numbers(text="10") == ["101"]
    assert await numbers(licence_before=date(2026, 10, 2)) == ["101"]
    assert await numbers(licence_before=date(2026, 10, 1)) == []


async def test_another_company_s_structure_is_not_there(session, fleet, world, now):
    other = await make_fleet(session, world, name="甬江运输")
    car, wang = await vehicle(session, fleet, now), await driver(session, fleet, now)
    north = await department(session, fleet, now, "北区")
    with pytest.raises(VehicleNotFound):
        await get_vehicle(session, company_id=other.company_id, vehicle_id=car)
    with pytest.raises(VehicleNotFound):
        await close_vehicle(session, company_id=other.company_id, vehicle_id=car, actor=SYSTEM, now=now)
    with pytest.raises(DriverNotFound):
        await move_driver(session, company_id=other.company_id, driver_id=wang, to=DriverStatus.LEFT, actor=SYSTEM, now=now)
    with pytest.raises(DepartmentNotFound):
        await close_department(session, company_id=other.company_id, department_id=north, actor=SYSTEM, now=now)
    with pytest.raises(DepartmentNotFound):
        await vehicle(session, other, now, department_id=north)
    assert await subtree_of(session, company_id=other.company_id, department_id=north) == frozenset()
