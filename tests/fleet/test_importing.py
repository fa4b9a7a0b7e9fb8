"""Lists of vehicles, drivers and bindings by file: previewed row by row, written at once, and the same when they come back."""

import time
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from loyalty.audit.model import AuditEntry
from loyalty.fleet.model import DriverStatus, Ownership, Vehicle
from loyalty.fleet.operations.bindings import bind_card
from loyalty.fleet.operations.drivers import move_driver
from loyalty.fleet.operations.importing import SheetKind, apply, preview
from loyalty.fleet.queries.bindings import standing_bindings
from loyalty.fleet.queries.drivers import find_driver, phone_of
from loyalty.fleet.queries.exporting import binding_table, driver_table, vehicle_table
from loyalty.fleet.queries.vehicles import find_vehicle
from loyalty.fleet.sheets import ColumnMissing, RowState, SheetNotReadable, SheetTooLarge
from loyalty.web.exports import csv_bytes, xlsx
from tests.factories.fleet import make_fleet
from tests.factories.world import SYSTEM
from tests.fleet.structure import department, driver, vehicle

VEHICLES = """车牌号,车型,部门,油品,排量,油箱(L),里程(km),备注
浙A·12345,重型货车,北区,0#,6.7,600,"120,500",旧车
浙ad12345,轿车,,,1998,55,,
"""


def states(report):
    return [row.state.value for row in report.rows]


def faults(report):
    return [(row.number, fault.column, fault.code) for row in report.rows for fault in row.faults]


async def previewed(session, fleet, kind, data):
    data = data.encode() if isinstance(data, str) else data
    return await preview(session, kind=kind, company_id=fleet.company_id, data=data)


async def applied(session, fleet, kind, data, now):
    data = data.encode() if isinstance(data, str) else data
    return await apply(session, kind=kind, company_id=fleet.company_id, data=data, actor=SYSTEM, now=now)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
async def test_vehicles_come_from_a_list_and_the_same_list_changes_nothing(session, fleet, now, encoding):
    north = await department(session, fleet, now, "北区")
    data = VEHICLES.replace("0#", "0").encode(encoding)
    seen = await previewed(session, fleet, SheetKind.VEHICLES, data)
    assert (states(seen), seen.ignored) == (["new", "new"], ("备注",))
    assert await session.scalar(select(func.count()).select_from(Vehicle)) == 0
    done = await applied(session, fleet, SheetKind.VEHICLES, data, now)
    assert done == seen
    lorry = await find_vehicle(session, company_id=fleet.company_id, plate="浙A12345")
    assert (lorry.type, lorry.department_id, lorry.product_code) == ("truck", north, "0")
    assert (lorry.displacement_ml, lorry.tank_milli, lorry.odometer_km) == (6700, 600_000, 120_500)
    car = await find_vehicle(session, company_id=fleet.company_id, plate="浙AD12345")
    assert (car.displacement_ml, car.odometer_km) == (1998, None)
    assert states(await applied(session, fleet, SheetKind.VEHICLES, data, now)) == ["same", "same"]
    trail = list(await session.scalars(select(AuditEntry).where(AuditEntry.action == "fleet.list_imported")))
    assert [(one.facts["new"], one.facts["same"]) for one in trail] == [(2, 0), (0, 2)]


async def test_what_a_list_does_not_say_stays(session, fleet, now):
    await vehicle(session, fleet, now, "浙A12345", tank_milli=60_000, type="truck", odometer_km=10)
    later = now + timedelta(days=1)
    done = await applied(session, fleet, SheetKind.VEHICLES, "plate;norm;odometer\n浙A12345;28,5;\n", later)
    assert faults(done) == []
    kept = await find_vehicle(session, company_id=fleet.company_id, plate="浙A12345")
    assert (kept.tank_milli, kept.type, kept.odometer_km, kept.norm_milli) == (60_000, "truck", 10, 285_000)
    done = await applied(session, fleet, SheetKind.VEHICLES, "Plate,Tank (L),Type,Odometer (km)\n浙A12345,,,11\n", later)
    assert [(row.state.value, row.changes) for row in done.rows] == [("change", ("Type", "Tank (L)", "Odometer (km)"))]
    kept = await find_vehicle(session, company_id=fleet.company_id, plate="浙A12345")
    assert (kept.tank_milli, kept.type, kept.odometer_km, kept.odometer_at) == (None, "car", 11, later)


async def test_each_bad_cell_is_named_and_the_good_rows_go_in(session, fleet, now):
    await vehicle(session, fleet, now, "浙A00001", odometer_km=5000)
    data = (
        "车牌号,部门,油品,油箱(L),里程(km),车架号,权属,固定金额\n"
        "浙I99999,,,,,,,\n"
        ",北区,,,,,,\n"
        "浙A00002,西区,,abc,,,,\n"
        "\n"
        "浙A00003,,汽油,1.2345,,,自有,\n"
        "浙A00001,,,,4999,,,\n"
        "浙A00004,,92,50,1,,,\n"
        "浙A·00004,,,,,,,\n"
        "浙A00005,,,,,1-2,,\n"
        "浙A00006,,,,,,公司,100\n"
        "浙A00007,,,-3,,,私车公用,800.50\n"
    )
    seen = await previewed(session, fleet, SheetKind.VEHICLES, data)
    assert faults(seen) == [
        (2, "", "invalid_plate"),
        (3, "车牌号", "missing"),
        (4, "油箱(L)", "not_a_number"),
        (4, "部门", "unknown_department"),
        (6, "油箱(L)", "too_fine"),
        (6, "权属", "not_a_choice"),
        (6, "油品", "unknown_fuel"),
        (7, "里程(km)", "odometer_falls"),
        (9, "", "twice"),
        (10, "", "invalid_vin"),
        (11, "", "vehicle_not_sound"),
        (12, "", "vehicle_not_sound"),
    ]
    said = seen.rows[2].faults[1]
    assert (said.zh, said.en) == ("没有部门“西区”，请先添加。", 'There is no department "西区": add it first.')
    assert all("{" not in fault.zh + fault.en for row in seen.rows for fault in row.faults)
    done = await applied(session, fleet, SheetKind.VEHICLES, data, now)
    assert done.count(RowState.NEW) == 1
    assert await find_vehicle(session, company_id=fleet.company_id, plate="浙A00004") is not None
    assert await find_vehicle(session, company_id=fleet.company_id, plate="浙A00007") is None


async def test_drivers_come_from_a_list(session, fleet, now):
    await department(session, fleet, now, "北区")
    gone = await driver(session, fleet, now, "900", "赵离")
    await move_driver(session, company_id=fleet.company_id, driver_id=gone, to=DriverStatus.LEFT, actor=SYSTEM, now=now)
    data = (
        "编号,姓名,部门,手机,准驾车型,驾照有效期\n"
        "101,王强,北区,138 5710 1234,A2,2027/3/1\n"
        "102,,,,,\n"
        "900,赵离,,,,\n"
        "A3,李明,,12,,2027-13-01\n"
    )
    done = await applied(session, fleet, SheetKind.DRIVERS, data, now)
    assert faults(done) == [
        (3, "姓名", "missing"),
        (4, "编号", "driver_left"),
        (5, "驾照有效期", "not_a_date"),
        (5, "手机", "invalid_phone"),
    ]
    wang = await find_driver(session, company_id=fleet.company_id, number="101")
    assert (wang.department, wang.licence_class, wang.licence_until) == ("北区", "A2", date(2027, 3, 1))
    assert await phone_of(session, company_id=fleet.company_id, driver_id=wang.driver_id) == "+8613857101234"
    again = await applied(session, fleet, SheetKind.DRIVERS, "编号,手机\n101,13857109999\n", now)
    assert [(row.state.value, row.changes) for row in again.rows] == [("change", ("手机",))]
    assert await phone_of(session, company_id=fleet.company_id, driver_id=wang.driver_id) == "+8613857109999"


async def test_cards_are_bound_by_a_list(session, fleet, now):
    north = await department(session, fleet, now, "北区")
    first, second = await vehicle(session, fleet, now, "浙A11111", department_id=north), await vehicle(session, fleet, now, "浙A22222")
    wang = await driver(session, fleet, now)
    cards = fleet.cards
    data = f"卡标识,卡号,车牌号,司机编号\n,{cards[0].number},浙A·11111,101\n{cards[1].card_id},,浙A22222,\n{cards[2].card_id},,浙A11111,\n"
    done = await applied(session, fleet, SheetKind.BINDINGS, data, now)
    assert (states(done), faults(done)) == (["new", "new", "error"], [(4, "车牌号", "vehicle_has_card")])
    assert cards[0].number not in str(done)
    bound = {one.chain_id: one for one in await standing_bindings(session, company_id=fleet.company_id)}
    assert (bound[fleet.chains[0]].vehicle_id, bound[fleet.chains[0]].driver_id, bound[fleet.chains[0]].department_id) == (
        first,
        wang,
        north,
    )
    # Two vehicles change cards in one file; the third card's row is refused, and so stays.
    later = now + timedelta(hours=1)
    data = f"card id,plate\n{cards[0].card_id},浙A22222\n{cards[1].card_id},浙A11111\n"
    assert states(await applied(session, fleet, SheetKind.BINDINGS, data, later)) == ["change", "change"]
    bound = {one.chain_id: one for one in await standing_bindings(session, company_id=fleet.company_id)}
    assert [bound[chain].vehicle_id for chain in fleet.chains[:2]] == [second, first]
    assert bound[fleet.chains[0]].driver_id == wang
    data = f"card id,plate,driver number\n{cards[0].card_id},,\n{cards[2].card_id},,\n"
    assert states(await applied(session, fleet, SheetKind.BINDINGS, data, later)) == ["change", "same"]
    assert [one.chain_id for one in await standing_bindings(session, company_id=fleet.company_id)] == [fleet.chains[1]]


async def test_a_row_that_cannot_move_keeps_its_vehicle_from_others(session, fleet, now):
    lorry = await vehicle(session, fleet, now, "浙A11111")
    at = {"company_id": fleet.company_id, "actor": SYSTEM, "now": now}
    await bind_card(session, chain_id=fleet.chains[0], vehicle_id=lorry, **at)
    cards = fleet.cards
    data = f"card id,plate\n{cards[0].card_id},浙A99999\n{cards[1].card_id},浙A11111\n{cards[1].card_id},浙A11111\n"
    done = await applied(session, fleet, SheetKind.BINDINGS, data, now + timedelta(hours=1))
    assert faults(done) == [(2, "plate", "unknown_vehicle"), (3, "plate", "vehicle_has_card"), (4, "", "twice")]


async def test_cards_that_are_not_clear_are_refused(session, fleet, world, now):
    other = await make_fleet(session, world, name="甬江运输", cards=1)
    await session.execute(text("UPDATE cards SET number_tail = '7777' WHERE card_id = ANY (:ids)"), {"ids": fleet.chains[:2]})
    await session.execute(text("UPDATE cards SET number_tail = '0007' WHERE card_id = :id"), {"id": fleet.chains[2]})
    away = await driver(session, fleet, now)
    await move_driver(session, company_id=fleet.company_id, driver_id=away, to=DriverStatus.AWAY, actor=SYSTEM, now=now)
    data = (
        "card id,card number,driver\n"
        ",7777,\n"
        f"{other.chains[0]},,\n"
        f",{other.cards[0].number},\n"
        "xyz,,\n"
        ",,101\n"
        ",7,101\n"
        f"{fleet.chains[0]},,555\n"
    )
    done = await previewed(session, fleet, SheetKind.BINDINGS, data)
    assert faults(done) == [
        (2, "card number", "card_not_clear"),
        (3, "card id", "unknown_card"),
        (4, "card number", "unknown_card"),
        (5, "card id", "not_an_id"),
        (6, "card number", "missing"),
        (7, "driver", "driver_away"),
        (8, "driver", "unknown_driver"),
    ]


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"PK\x03\x04broken", b"\n\n", b"a\0b,c\n"])
async def test_what_is_no_list_is_refused(session, fleet, data):
    with pytest.raises(SheetNotReadable):
        await previewed(session, fleet, SheetKind.VEHICLES, data)


async def test_a_list_needs_its_key_and_has_an_end(session, fleet):
    for kind in SheetKind:
        with pytest.raises(ColumnMissing):
            await previewed(session, fleet, kind, "备注\n1\n")
    with pytest.raises(SheetTooLarge):
        await previewed(session, fleet, SheetKind.VEHICLES, "plate\n" + "浙A12345\n" * 20_001)
    with pytest.raises(SheetTooLarge):
        await previewed(session, fleet, SheetKind.VEHICLES, b"x" * 10_000_001)


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
"""Any visible text, formula starts among them."""


@settings(
    max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
async def test_a_list_that_was_fetched_comes_back_as_the_same(session, fleet, now, data):
    async with session.begin_nested() as savepoint:
        drawn = data.draw
        north = await department(session, fleet, now, drawn(WORDS))
        for number in range(drawn(st.integers(1, 4))):
            ownership = drawn(st.sampled_from(Ownership))
            facts = {
                "type": drawn(WORDS),
                "tank_milli": drawn(st.none() | st.integers(1, 5_000_000)),
                "displacement_ml": drawn(st.none() | st.integers(1, 50_000)),
                "norm_milli": drawn(st.none() | st.integers(1, 1_000_000)),
                "odometer_km": drawn(st.none() | st.integers(0, 10_000_000)),
                "product_code": drawn(st.sampled_from([None, "92", "0"])),
                "ownership": ownership,
                "fixed_amount_minor": drawn(st.none() | st.integers(0, 10**9)) if ownership is Ownership.PRIVATE else None,
                "department_id": drawn(st.sampled_from([None, north])),
                "vin": drawn(st.none() | st.from_regex("[A-Z0-9]{5,17}", fullmatch=True)),
            }
            car = await vehicle(session, fleet, now, f"浙A1000{number}", **facts)
            phone = drawn(st.sampled_from([None, "13857101234", "+420601123456"]))
            wang = await driver(session, fleet, now, f"{number:03}", drawn(WORDS), phone=phone, licence_until=drawn(st.none() | st.dates()))
            if number < len(fleet.chains):
                to = drawn(st.sampled_from([{"vehicle_id": car}, {"driver_id": wang}, {"vehicle_id": car, "driver_id": wang}]))
                at = {"company_id": fleet.company_id, "chain_id": fleet.chains[number], "actor": SYSTEM, "now": now}
                await bind_card(session, **at, **to, department_id=drawn(st.sampled_from([None, north])))
        tables = {SheetKind.VEHICLES: vehicle_table, SheetKind.DRIVERS: driver_table, SheetKind.BINDINGS: binding_table}
        for kind, table_of in tables.items():
            table = await table_of(session, company_id=fleet.company_id, language=drawn(st.sampled_from(["zh_CN", "en"])))
            assert table.rows
            for written in (
                csv_bytes(table.head, table.rows, zone="Asia/Shanghai"),
                xlsx("list", table.head, table.rows, zone="Asia/Shanghai"),
            ):
                seen = await previewed(session, fleet, kind, written)
                assert set(states(seen)) == {"same"}, [(row.changes, row.faults) for row in seen.rows]
                assert seen.ignored == ()
        await savepoint.rollback()


async def test_a_list_with_formulas_in_it_is_fetched_without(session, fleet, now):
    await driver(session, fleet, now, name='=HYPERLINK("http://x")')
    table = await driver_table(session, company_id=fleet.company_id, language="zh")
    assert b"'=HYPERLINK" in csv_bytes(table.head, table.rows, zone="Asia/Shanghai")


async def test_ten_thousand_rows_go_in_within_seconds(session, fleet, now):
    await department(session, fleet, now, "北区")
    lines = [f"浙A{number:05},truck,北区,0,600,28.5,{number}" for number in range(10_000)]
    data = "车牌号,车型,部门,油品,油箱,百公里油耗,里程\n" + "\n".join(lines)
    began = time.perf_counter()
    done = await applied(session, fleet, SheetKind.VEHICLES, data, now)
    took_s = time.perf_counter() - began
    assert done.count(RowState.NEW) == 10_000
    assert took_s < 20, took_s
    again = await applied(session, fleet, SheetKind.VEHICLES, data, now)
    assert again.count(RowState.SAME) == 10_000
