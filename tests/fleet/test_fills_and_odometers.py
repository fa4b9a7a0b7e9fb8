"""What companies' cards took is collected once, with whose it was; odometers are judged, and a typo does not poison them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from loyalty.db import transaction
from loyalty.fleet.model import Vehicle
from loyalty.fleet.model_fills import Doubt, FleetFill, OdometerReading, ReadingStatus
from loyalty.fleet.operations.fills import ReadingCannotBe, ReadingNotFound, collect_fills, correct_reading
from loyalty.fleet.readings import doubt_of, judge_run
from loyalty.limits.presented import Odometer
from tests.authorizations.conftest import bench, key_set, keys
from tests.authorizations.desk import refund, said
from tests.factories.fleet import give_vehicle, make_fleet
from tests.factories.world import SYSTEM

__all__ = ["bench", "key_set", "keys"]
T0 = datetime(2026, 9, 1, tzinfo=UTC)


@pytest.fixture
async def fleet(bench):
    async with transaction(bench.sessions) as session:
        fleet = await make_fleet(session, bench.world, pool_minor=100_000_000, cards=2)
        fleet.vehicle_id = await give_vehicle(session, fleet, now=bench.now())
    bench.later = timedelta(hours=1)
    return fleet


async def collect(bench) -> int:
    now = bench.now() + timedelta(seconds=1)
    made = 0
    while True:
        async with transaction(bench.sessions) as session:
            chunk = await collect_fills(session, span=timedelta(days=500), until=now, now=now)
        made += chunk.made
        if chunk.is_done:
            return made


async def all_of(bench, what):
    async with transaction(bench.sessions) as session:
        return list(await session.scalars(select(what)))


async def test_fills_are_collected_once_with_whose_they_were_and_what_came_back(bench, fleet):
    first, second = fleet.cards
    sold = said(await bench.sell(first, odometer_km=100_000, plate="浙A12345"))
    approved = said(await bench.authorise(first, amount_minor=20_000, odometer_km=100_400))
    await bench.complete(approved["authorization"], litres_milli=22_000, amount_minor=17_358)
    await bench.sell(second)
    assert await collect(bench) == 3
    assert await collect(bench) == 0, "once"
    fills = sorted(await all_of(bench, FleetFill), key=lambda fill: (fill.vehicle_id is None, fill.odometer_km or 0))
    assert [(fill.vehicle_id, fill.odometer_km, fill.quantity_milli) for fill in fills] == [
        (fleet.vehicle_id, 100_000, 10_000),
        (fleet.vehicle_id, 100_400, 22_000),
        (None, None, 10_000),
    ]
    assert {fill.company_id for fill in fills} == {fleet.company_id}
    assert fills[0].plate == "浙A12345"
    await refund(bench, sold["sale"], gross_minor=789)
    assert await collect(bench) == 0
    back = next(fill for fill in await all_of(bench, FleetFill) if fill.odometer_km == 100_000)
    assert (back.back_gross_minor, back.back_milli, back.back_card_minor) == (789, 1_000, 789)
    async with transaction(bench.sessions) as session:
        vehicle = await session.get(Vehicle, fleet.vehicle_id)
    assert vehicle.odometer_km == 100_400


async def test_a_typo_is_doubtful_corrected_with_a_trace_and_never_built_upon(bench, fleet):
    card = fleet.cards[0]
    for km in (100_000, 1_003_000, 100_600):
        await bench.sell(card, odometer_km=km)
        bench.later += timedelta(days=1)
    await collect(bench)
    readings = sorted(await all_of(bench, OdometerReading), key=lambda reading: reading.read_at)
    assert [(reading.km, reading.status, reading.doubt) for reading in readings] == [
        (100_000, ReadingStatus.HOLDS, None),
        (1_003_000, ReadingStatus.DOUBTFUL, Doubt.TOO_FAR),
        (100_600, ReadingStatus.HOLDS, None),
    ]

    async def correct(reading, km: int, **more):
        async with transaction(bench.sessions) as session:
            return await correct_reading(
                session,
                company_id=fleet.company_id,
                reading_id=reading.reading_id,
                km=km,
                reason="one nought too many",
                actor=SYSTEM,
                now=bench.now(),
                **more,
            )

    with pytest.raises(ReadingCannotBe):
        await correct(readings[1], 99_000)
    await correct(readings[1], 100_300)
    with pytest.raises(ReadingNotFound):
        await correct(readings[1], 100_301)
    standing = {reading.km: reading for reading in await all_of(bench, OdometerReading)}
    assert standing[1_003_000].status is ReadingStatus.REPLACED
    assert (standing[100_300].status, standing[100_300].corrects) == (ReadingStatus.HOLDS, readings[1].reading_id)
    async with transaction(bench.sessions) as session:
        assert (await session.get(Vehicle, fleet.vehicle_id)).odometer_km == 100_600
        seen = "SELECT count(*) FROM audit_entries WHERE action = 'fleet.odometer_corrected'"
        assert await session.scalar(text(seen)) == 1


@pytest.mark.parametrize(
    ("km", "days", "doubt"),
    [
        (100_000, 0, None),
        (99_999, 0, Doubt.FALLS),
        (101_500, 0, None),
        (101_501, 0, Doubt.TOO_FAR),
        (103_000, 1, None),
        (103_001, 1, Doubt.TOO_FAR),
    ],
)
def test_it_must_rise_and_by_no_more_than_can_be_driven(km, days, doubt):
    assert doubt_of(Odometer(100_000, T0), km=km, at=T0 + timedelta(days=days)) is doubt


def test_fuel_explains_the_way():
    last, at = Odometer(100_000, T0), T0 + timedelta(days=30)
    assert doubt_of(last, km=110_000, at=at, litres_since_milli=300_000, norm_milli=30_000) is Doubt.NOT_BY_FUEL
    assert doubt_of(last, km=105_000, at=at, litres_since_milli=300_000, norm_milli=30_000) is None


@given(st.lists(st.integers(10, 900), min_size=3, max_size=30), st.data())
def test_one_typo_in_an_honest_history_is_the_only_doubt(steps, data):
    km, honest = 50_000, []
    for day, step in enumerate(steps):
        km += step
        honest.append((km, T0 + timedelta(days=day)))
    place = data.draw(st.integers(1, len(honest) - 1))
    typed = [*honest]
    typed[place] = (honest[place][0] * 10, honest[place][1])
    judged = judge_run(None, typed)
    assert [one.doubt is not None for one in judged] == [number == place for number in range(len(honest))]


def test_two_that_agree_are_believed():
    judged = judge_run(Odometer(900_000, T0), [(90_500, T0 + timedelta(days=1)), (90_900, T0 + timedelta(days=2))])
    assert [one.doubt for one in judged] == [None, None]
