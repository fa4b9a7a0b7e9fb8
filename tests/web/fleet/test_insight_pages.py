"""What was used: the first page's figures, the table of vehicles and its files, the stations with their prices."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from loyalty.db import transaction
from loyalty.fleet.operations.sums import sum_touched
from loyalty.ids import uuid7


@pytest.fixture
async def driven(portal):
    """Two periods of the north vehicle, 10 L and 100 km a day, and one fill of the south one."""
    firm = portal.firms["ours"]
    now = datetime.now(UTC)
    async with transaction(portal.sessions) as session:
        for day in range(46):
            at = now - timedelta(days=45 - day)
            vehicle = "south" if day == 45 else "north"
            facts = {
                "account": firm.account_id,
                "company": firm.company_id,
                "vehicle": firm.ids[f"{vehicle}-vehicle"],
                "room": firm.ids[f"{vehicle}-room"],
                "station": portal.world.station_id,
                "sale": uuid7(at),
                "reading": uuid7(at),
                "day": at.date(),
                "at": at,
                "km": 1_000 + 100 * day,
            }
            await session.execute(
                text(
                    "INSERT INTO fleet_fills (account_id, sale_id, company_id, vehicle_id, department_id, station_id, product_id, day,"
                    " event_at, booked_at, quantity_milli, unit_price_e4, gross_minor, discount_minor, card_minor, flags, back_milli,"
                    " back_gross_minor, back_discount_minor, back_card_minor) VALUES (:account, :sale, :company, :vehicle, :room, :station,"
                    " (SELECT product_id FROM products WHERE code = '92'), :day, :at, :at, 10000, 78900, 7890, 500, 7390, 0, 0, 0, 0, 0)"
                ),
                facts,
            )
            await session.execute(
                text(
                    "INSERT INTO odometer_readings (reading_id, company_id, vehicle_id, km, read_at, source, sale_id, status, by_kind,"
                    " by_id, made_at) VALUES (:reading, :company, :vehicle, :km, :at, 'pump', :sale, 'holds', 'system', 'tests', :at)"
                ),
                facts,
            )
            seen = SimpleNamespace(company_id=firm.company_id, vehicle_id=facts["vehicle"], day=facts["day"])
            await sum_touched(session, touched=[seen])
        await session.execute(text("UPDATE card_limits SET value = 11000 WHERE kind = 'quantity'"))
        await session.execute(
            text("INSERT INTO limit_counters SELECT :account, :card, 1, (now() AT TIME ZONE 'Asia/Shanghai')::date, 7390, 10000, 1, now()"),
            {"account": firm.account_id, "card": firm.ids["north-card"]},
        )
    return portal


async def test_the_first_page_says_what_was_used_and_which_limit_is_nearly_full(driven):
    manager = await driven.at("ours", "fleet_manager")
    await manager.client.get("/fleet?lang=en")
    page = (await manager.get("/fleet")).text
    assert "10.00" in page
    assert "二氧化碳" in page
    assert "90%" in page, "10 of 11 litres of the day"
    assert "/fleet/limits/card/" in page
    assert "<details" in page, "the trend has its table"
    head = (await (await driven.at("ours", "department_head")).get("/fleet")).text
    assert "二氧化碳" in head
    theirs = (await (await driven.at("theirs", "fleet_manager")).get("/fleet")).text
    assert "二氧化碳" not in theirs


async def test_vehicles_stand_beside_their_norm_and_class_and_the_file_says_the_same(driven):
    manager = await driven.at("ours", "fleet_manager")
    page = (await manager.get("/fleet/economy?sort=-per_100_km")).text
    assert "浙A" in page
    assert "10.00" in page
    names = (await manager.get("/fleet/economy.csv")).content.decode("utf-8-sig").splitlines()
    assert len(names) == 3, "a head and both vehicles"
    assert (await manager.get("/fleet/economy.xlsx")).content[:2] == b"PK"
    assert (await manager.get("/fleet/economy?period=1999-01-26")).status_code == 404
    assert (await manager.get("/fleet/economy?sort=nothing")).status_code == 400
    head = (await (await driven.at("ours", "department_head")).get("/fleet/economy.csv")).content.decode("utf-8-sig").splitlines()
    assert len(head) == 2, "the north only"
    theirs = (await (await driven.at("theirs", "fleet_manager")).get("/fleet/economy.csv")).content.decode("utf-8-sig").splitlines()
    assert len(theirs) == 1
    north = driven.firms["ours"].ids["north-vehicle"]
    assert "<figure" in (await manager.get(f"/fleet/vehicles/{north}")).text, "its own trend"


async def test_stations_are_found_by_name_with_prices_and_own_use(driven):
    manager = await driven.at("ours", "fleet_manager")
    lines = (await manager.get("/fleet/stations.csv")).content.decode("utf-8-sig").splitlines()
    assert len(lines) > 1
    assert ",46," in "\n".join(lines)
    assert len((await manager.get("/fleet/stations.csv?text=ZZZZ")).content.decode("utf-8-sig").splitlines()) == 1
    theirs = (await (await driven.at("theirs", "fleet_manager")).get("/fleet/stations.csv")).content.decode("utf-8-sig")
    assert ",46," not in theirs
