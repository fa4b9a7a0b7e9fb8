"""What is odd about fills: found in a generated year, told once with its evidence, disposed of, learnt from."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from loyalty.bench.misuse import generate, score
from loyalty.db import transaction
from loyalty.fleet.detecting import Kind, Severity
from loyalty.fleet.model_findings import DISPOSITION_MOVES, Disposition, FindingStep, MisuseFinding, VehicleThreshold
from loyalty.fleet.operations.fills import collect_fills
from loyalty.fleet.operations.findings import FindingCannotMove, FindingNotFound, dispose, due_vehicles, look_at, looked
from tests.authorizations.conftest import bench, key_set, keys
from tests.factories.fleet import give_vehicle, make_fleet
from tests.factories.world import SYSTEM

__all__ = ["bench", "key_set", "keys"]

# What the detectors promise on a generated year: precision, recall. A trip to another district is odd and honest as often as not.
PROMISED = {
    Kind.ABOVE_TANK: (0.95, 0.95),
    Kind.TOO_SOON: (0.85, 0.9),
    Kind.TOO_CLOSE: (0.85, 0.85),
    Kind.WRONG_GRADE: (0.95, 0.95),
    Kind.OFF_ROUTE: (0.45, 0.95),
    Kind.ODD_HOURS: (0.55, 0.95),
    Kind.CONSUMPTION: (0.9, 0.9),
    Kind.OTHER_PLATE: (0.95, 0.95),
}


def test_a_generated_year_is_read_as_promised():
    for one in score(generate(1)):
        precision, recall = PROMISED[one.kind]
        assert one.planted >= 20, one
        assert one.precision >= precision, one
        assert one.recall >= recall, one


def test_the_same_seed_is_the_same_year():
    assert generate(3, vehicles=4) == generate(3, vehicles=4)
    assert generate(3, vehicles=4) != generate(4, vehicles=4)


@pytest.fixture
async def fleet(bench):
    async with transaction(bench.sessions) as session:
        fleet = await make_fleet(session, bench.world, pool_minor=100_000_000, cards=1)
        fleet.vehicle_id = await give_vehicle(session, fleet, now=bench.now(), tank_milli=60_000, norm_milli=30_000)
    bench.later = timedelta(hours=1)
    return fleet


async def look(bench) -> int:
    now = bench.now() + timedelta(seconds=1)
    async with transaction(bench.sessions) as session:
        await collect_fills(session, span=timedelta(days=500), until=now, now=now)
        found = await look_at(session, vehicle_ids=await due_vehicles(session, until=now), until=now, now=now)
        await looked(session, until=now)
    return found


async def findings(bench) -> list[MisuseFinding]:
    async with transaction(bench.sessions) as session:
        return list(await session.scalars(select(MisuseFinding).order_by(MisuseFinding.kind)))


async def say(bench, fleet, finding, to: Disposition) -> None:
    async with transaction(bench.sessions) as session:
        await dispose(
            session,
            company_id=fleet.company_id,
            finding_id=finding.finding_id,
            to=to,
            note="asked the driver",
            actor=SYSTEM,
            now=bench.now(),
        )


async def test_a_fill_above_the_tank_is_told_once_with_its_evidence_and_learnt_from(bench, fleet):
    (card,) = fleet.cards
    await bench.sell(card, litres_milli=66_000, plate="浙B99999")
    assert await look(bench) == 2
    assert await look(bench) == 0, "once"
    above, plate = await findings(bench)
    assert (above.kind, above.severity, above.disposition) == (Kind.ABOVE_TANK, Severity.MEDIUM, Disposition.OPEN)
    assert above.evidence == {"litres_milli": 66_000, "tank_milli": 60_000}
    assert (plate.kind, plate.evidence["said"]) == (Kind.OTHER_PLATE, "浙B99999")

    await say(bench, fleet, above, Disposition.FALSE)
    async with transaction(bench.sessions) as session:
        assert await session.scalar(select(VehicleThreshold.factor)) == 1.5
        (step,) = await session.scalars(select(FindingStep))
    assert (step.moved_from, step.moved_to, step.note) == (Disposition.OPEN, Disposition.FALSE, "asked the driver")
    bench.later = timedelta(days=1)
    await bench.sell(card, litres_milli=66_000)
    assert await look(bench) == 0, "learnt: this tank takes it"


async def test_dispositions_go_by_their_table(bench, fleet):
    await bench.sell(fleet.cards[0], litres_milli=90_000)
    await look(bench)
    for before in Disposition:
        for after in Disposition:
            async with transaction(bench.sessions) as session:
                (finding,) = await session.scalars(select(MisuseFinding).where(MisuseFinding.kind == Kind.ABOVE_TANK))
                finding.disposition = before
            if after in DISPOSITION_MOVES[before]:
                await say(bench, fleet, finding, after)
            else:
                with pytest.raises(FindingCannotMove):
                    await say(bench, fleet, finding, after)
    fleet.company_id = fleet.account_id
    with pytest.raises(FindingNotFound):
        await say(bench, fleet, finding, Disposition.OPEN)
