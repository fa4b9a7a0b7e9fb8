"""What fills come to by day and by vehicle and period: equal to the fills whatever came when, and seen where it is not."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from loyalty.checks.model import Scope
from loyalty.checks.queries.fleet import CHECKS
from loyalty.checks.running import examine
from loyalty.db import transaction
from loyalty.fleet.model_fills import FleetDay, OdometerReading, ReadingStatus, SummedBy, VehiclePeriod
from loyalty.fleet.operations.fills import correct_reading
from loyalty.fleet.operations.sums import sum_new_companies
from tests.authorizations.conftest import bench, key_set, keys
from tests.authorizations.desk import refund, said
from tests.factories.world import SYSTEM

from .test_fills_and_odometers import all_of, collect, fleet

__all__ = ["bench", "fleet", "key_set", "keys"]


async def broken(bench) -> set[str]:
    async with transaction(bench.sessions) as session:
        return {one.check.code async for one in examine(session, Scope(now=bench.now()), checks=CHECKS) if one.found.count}


async def done(bench, sentence: str) -> None:
    async with transaction(bench.sessions) as session:
        for one in sentence.split(";"):
            await session.execute(text(one))


async def test_sums_follow_fills_refunds_and_corrected_odometers(bench, fleet):
    first, second = fleet.cards
    sold = said(await bench.sell(first, odometer_km=100_000))
    await bench.sell(second)
    await collect(bench)
    bench.later += timedelta(days=1)
    await bench.sell(first, odometer_km=100_500)
    await collect(bench)
    await refund(bench, sold["sale"], gross_minor=789)
    await collect(bench)
    assert await broken(bench) == set()
    days = [one for one in await all_of(bench, FleetDay) if one.by is SummedBy.DEPARTMENT]
    assert (sum(one.fills for one in days), sum(one.quantity_milli for one in days)) == (3, 29_000)
    periods = await all_of(bench, VehiclePeriod)
    assert (sum(one.fills for one in periods), sum(one.quantity_milli for one in periods)) == (2, 19_000)
    assert sum(one.km or 0 for one in periods) == 500
    async with transaction(bench.sessions) as session:
        wrong = await session.scalar(select(OdometerReading.reading_id).where(OdometerReading.km == 100_500))
        reason = {"reason": "misread", "actor": SYSTEM, "now": bench.now()}
        await correct_reading(session, company_id=fleet.company_id, reading_id=wrong, km=100_400, **reason)
    assert sum(one.km or 0 for one in await all_of(bench, VehiclePeriod)) == 400
    held = [one.km for one in await all_of(bench, OdometerReading) if one.status is ReadingStatus.HOLDS]
    assert sorted(held) == [100_000, 100_400]


async def test_periods_that_begin_on_another_day_are_summed_anew(bench, fleet):
    await bench.sell(fleet.cards[0], odometer_km=100_000)
    await collect(bench)
    await done(bench, "UPDATE companies SET period_day = 3")
    await collect(bench)
    assert {(one.period_day, one.first.day, one.fills) for one in await all_of(bench, VehiclePeriod)} == {(26, 26, 1), (3, 3, 1)}
    assert await broken(bench) == set()
    await bench.sell(fleet.cards[0], odometer_km=100_010)
    await collect(bench)
    await done(bench, "UPDATE companies SET period_day = 26")
    await collect(bench)
    assert {(one.period_day, one.fills) for one in await all_of(bench, VehiclePeriod)} == {(26, 2), (3, 2)}, "back on the first day"
    assert await broken(bench) == set()


async def test_years_of_a_fleet_are_summed_in_several_transactions(bench, fleet):
    for _ in range(3):
        await bench.sell(fleet.cards[0])
        bench.later += timedelta(days=30)
    await collect(bench)
    kept = [(one.day, one.fills) for one in await all_of(bench, FleetDay)]
    await done(bench, "DELETE FROM fleet_days; DELETE FROM vehicle_periods; DELETE FROM fleet_marks WHERE name <> 'fills'")
    times = 0
    while times < 10:
        times += 1
        async with transaction(bench.sessions) as session:
            if await sum_new_companies(session, most=1, now=bench.now()):
                break
    assert times >= 3
    assert sorted((one.day, one.fills) for one in await all_of(bench, FleetDay)) == sorted(kept)
    assert len(await all_of(bench, VehiclePeriod)) == 3
    assert await broken(bench) == set()


@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        ("UPDATE fleet_days SET quantity_milli = quantity_milli + 1 WHERE by = 'station'", "fleet-days"),
        ("DELETE FROM fleet_days WHERE by = 'department'", "fleet-days"),
        ("UPDATE vehicle_periods SET card_minor = card_minor + 1", "vehicle-periods"),
    ],
)
async def test_each_disagreement_is_seen(bench, fleet, damage, seen):
    await bench.sell(fleet.cards[0])
    await collect(bench)
    await done(bench, damage)
    assert await broken(bench) == {seen}
