"""Each wall, at each level, with each reaction, at its boundary and one beyond, on the real batch; and hours over a station's midnight."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from loyalty.authorizations.wire import ShopLine
from loyalty.db import transaction
from loyalty.limits.model import LimitKind, Reaction, Window
from loyalty.limits.operations import NewLimit
from tests.authorizations.conftest import Bench
from tests.authorizations.desk import rows, said
from tests.authorizations.test_levels_at_the_pump import LEVELS, limit, stand_under
from tests.factories.fleet import give_fleet_card, give_vehicle, make_fleet
from tests.factories.world import make_world


class Case(NamedTuple):
    """A wall, and the two fills on either side of it: what `sell` is given; `first` comes before them; `waits` between them in seconds."""

    limit: Callable[[dict[str, Any]], NewLimit]
    name: str
    within: dict[str, Any]
    beyond: dict[str, Any]
    first: bool = False
    waits: tuple[int, int] = (0, 0)


LITRE = {"litres_milli": 1_000, "amount_minor": 789}
SHOP = {"product": None, "shop": [ShopLine(product="wash", amount_minor=500)]}
WALLS: dict[str, Case] = {
    "grades": Case(lambda _: NewLimit(LimitKind.GRADES, codes=("92",)), "grades", LITRE, LITRE | {"product": "95", "price_e4": 83_700}),
    "stations": Case(lambda at: NewLimit(LimitKind.STATIONS, codes=(at["station"],)), "stations", LITRE, {}),
    "districts": Case(lambda at: NewLimit(LimitKind.DISTRICTS, codes=(at["district"],)), "districts", LITRE, {}),
    "regions": Case(lambda at: NewLimit(LimitKind.REGIONS, codes=(at["region"],)), "regions", LITRE, {}),
    "shop": Case(lambda _: NewLimit(LimitKind.SHOP, codes=("wash",)), "shop", SHOP, {}),
    "plate": Case(
        lambda _: NewLimit(LimitKind.PLATE, codes=("浙A12345",)), "plate", LITRE | {"plate": "浙a·12345"}, LITRE | {"plate": "浙A12346"}
    ),
    "interval": Case(lambda _: NewLimit(LimitKind.MIN_INTERVAL, value=600), "min_interval", LITRE, LITRE, first=True, waits=(600, 599)),
    "tank": Case(
        lambda _: NewLimit(LimitKind.TANK, value=60_000),
        "tank",
        {"litres_milli": 60_000, "amount_minor": 6_000},
        {"litres_milli": 60_001, "amount_minor": 6_000},
    ),
    "amount": Case(
        lambda _: NewLimit(LimitKind.AMOUNT, window=Window.TRANSACTION, value=1_000),
        "transaction.amount",
        {"amount_minor": 1_000},
        {"amount_minor": 1_001},
    ),
    "litres": Case(
        lambda _: NewLimit(LimitKind.QUANTITY, window=Window.TRANSACTION, value=20_000),
        "transaction.quantity",
        {"litres_milli": 20_000},
        {"litres_milli": 20_001},
    ),
    # The vehicle stands at 50,000 km, read today: 1,500 km a day can be driven, and it cannot fall.
    "odometer": Case(lambda _: NewLimit(LimitKind.ODOMETER), "odometer", LITRE | {"odometer_km": 51_500}, LITRE | {"odometer_km": 51_501}),
    "odometer falls": Case(
        lambda _: NewLimit(LimitKind.ODOMETER), "odometer", LITRE | {"odometer_km": 50_000}, LITRE | {"odometer_km": 49_999}
    ),
}
ELSEWHERE = {"station": str(uuid4()), "district": str(uuid4()), "region": str(uuid4())}


async def a_card(bench, fleet, level: str, wanted: NewLimit):
    """Give the company another card, whose own or whose level's limit is the wanted one."""
    async with transaction(bench.sessions) as session:
        card = await give_fleet_card(session, fleet)
        vehicle = await give_vehicle(session, fleet, now=bench.now(), plate=f"浙A{len(fleet.cards):05}")
    await rows_written(bench, vehicle)
    subjects = await stand_under(bench, fleet, card, vehicle=vehicle)
    await limit(bench, subjects[level], wanted)
    return card


async def rows_written(bench, vehicle: UUID) -> None:
    await rows(
        bench,
        "UPDATE vehicles SET odometer_km = 50000, odometer_at = :now WHERE vehicle_id = :id RETURNING vehicle_id",
        id=vehicle,
        now=bench.now(),
    )


async def refuses(bench, card, case: Case, reaction: Reaction, what: tuple[str, ...]) -> None:
    """Assert what a fill beyond the wall meets."""
    bench.later += timedelta(seconds=case.waits[1])
    fill = case.beyond or case.within
    if case.name == "odometer":
        once = said(await bench.sell(card, **fill))
        assert (once["outcome"], once["reason"], once["needs"]) == ("more_data", "odometer_odd", ["odometer_km"]), what
        fill = fill | {"continues": uuid4()}
    above = said(await bench.sell(card, **fill))
    if reaction is Reaction.FLAG:
        assert above["outcome"] == "approved", what
        assert "limit" in above["flags"], what
    else:
        assert above["outcome"] == "declined", what
        assert above["limit"] == (case.name if what[1] == "card" else f"{what[1]}.{case.name}"), what
        assert above.get("may_ask", False) is (reaction is Reaction.ASK), what


@pytest.mark.parametrize("wall", WALLS)
async def test_each_wall_at_each_level_with_each_reaction(bench, wall):
    case = WALLS[wall]
    async with transaction(bench.sessions) as session:
        fleet = await make_fleet(session, bench.world, pool_minor=1_000_000_000)
    here = bench.snapshot.places[bench.world.terminal_ids[0]]
    place = {"station": str(here.station_id), "district": str(here.district_id), "region": str(here.region_id)}
    for level, reaction in itertools.product(LEVELS, Reaction):
        what = (wall, level, reaction.value)
        card = await a_card(bench, fleet, level, case.limit(place)._replace(reaction=reaction))
        if case.first:
            assert said(await bench.sell(card, **case.within))["outcome"] == "approved", what
            bench.later += timedelta(seconds=case.waits[0])
        passed = said(await bench.sell(card, **case.within))
        assert passed["outcome"] == "approved", (what, passed)
        assert "limit" not in (passed.get("flags") or []), what
        other = card
        if not case.beyond:
            # A fill at another place, or of another category, is the same fill under a limit that names another.
            named = NewLimit(LimitKind.SHOP, codes=("food",)) if wall == "shop" else case.limit(ELSEWHERE)
            other = await a_card(bench, fleet, level, named._replace(reaction=reaction))
        await refuses(bench, other, case, reaction, what)
        bench.later = timedelta(0)


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/Los_Angeles"])
@pytest.mark.parametrize("level", LEVELS)
async def test_hours_and_weekdays_are_the_stations_own_across_its_midnight(database_url, sessions, level, zone):
    # Friday 22:00 to 06:00 of the next morning, on Fridays only. The server's clock is UTC, where all of it lies on other days.
    local = ZoneInfo(zone)
    began = datetime(2026, 9, 25, 12, tzinfo=local).astimezone(UTC)
    async with transaction(sessions) as session:
        world = await make_world(session, now=began, zone=zone)
    bench = Bench(database_url, sessions, world)
    await bench.start()
    try:
        async with transaction(sessions) as session:
            fleet = await make_fleet(session, world, pool_minor=1_000_000_000)
        for reaction in Reaction:
            bench.later = timedelta(0)
            hours = NewLimit(LimitKind.HOURS, days=(5,), from_time=time(22), to_time=time(6), reaction=reaction)
            card = await a_card(bench, fleet, level, hours)
            for instant, allowed in (
                ((25, 21, 59, 59), False),
                ((25, 22, 0, 0), True),
                ((25, 23, 59, 59), True),
                ((26, 0, 0, 0), True),
                ((26, 5, 59, 59), True),
                ((26, 6, 0, 0), False),
                ((26, 22, 0, 0), False),
            ):
                bench.later = datetime(2026, 9, *instant, tzinfo=local).astimezone(UTC) - began
                answer = said(await bench.sell(card, **LITRE))
                what = (level, zone, reaction, instant, answer)
                if allowed or reaction is Reaction.FLAG:
                    assert answer["outcome"] == "approved", what
                    assert ("limit" in (answer.get("flags") or [])) is not allowed, what
                else:
                    assert (answer["outcome"], answer["reason"]) == ("declined", "outside_hours"), what
                    assert answer.get("may_ask", False) is (reaction is Reaction.ASK), what
    finally:
        await bench.stop()
