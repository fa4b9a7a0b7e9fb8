"""What is kept of statements is what their lines come to, whatever is sold, refunded, reported late or closed in between."""

from collections import defaultdict
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import text

from jobs import company_periods, statement_sums
from jobs.job import Context
from loyalty.checks.model import Scope
from loyalty.checks.queries.company_periods import CHECKS
from loyalty.checks.running import examine
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.fleet.queries.api import settled_to
from loyalty.fleet.queries.companies import get_company
from loyalty.settings import Settings
from loyalty.statements.operations.companies import close_company_periods
from loyalty.statements.operations.sums import due_for_sums, sum_company
from loyalty.statements.queries.companies import by_driver, by_vehicle, periods_of, totals_between
from loyalty.statements.queries.lines import Part, all_lines
from loyalty.statements.rules import Figures
from tests.authorizations.conftest import bench, key_set, keys
from tests.authorizations.desk import refund, rows, said
from tests.authorizations.test_advices import record, tell
from tests.factories.world import SYSTEM, load

from .test_fills_and_odometers import collect, fleet

__all__ = ["bench", "fleet", "key_set", "keys"]


async def keep(bench, fleet) -> int:
    """Sum what is settled; return how many periods were gone on with."""
    times = 0
    while True:
        async with transaction(bench.sessions) as session:
            until = await settled_to(session)
            if until is None or not await sum_company(session, company_id=fleet.company_id, until=until, now=bench.now()):
                return times
        times += 1


async def close(bench, fleet):
    async with transaction(bench.sessions) as session:
        return await close_company_periods(session, company_id=fleet.company_id, actor=SYSTEM, now=bench.now())


async def broken(bench) -> set[str]:
    async with transaction(bench.sessions) as session:
        return {one.check.code async for one in examine(session, Scope(now=bench.now()), checks=CHECKS) if one.found.count}


def shares(lines, name):
    """Sum lines by hand."""
    found = defaultdict(Figures)
    for line in lines:
        sizes = (line.quantity_milli, line.gross_minor, line.discount_minor, line.card_minor)
        found[getattr(line, name)] += Figures(0 if line.back else 1, *sizes)
    return dict(found)


async def agrees(bench, fleet) -> None:
    """Every period says what its lines and transfers say, of the whole company and of a part."""
    async with transaction(bench.sessions) as session:
        company = await get_company(session, company_id=fleet.company_id)
        rooms = {
            row for (row,) in await session.execute(text("SELECT DISTINCT department_id FROM fleet_fills WHERE department_id IS NOT NULL"))
        }
        for period in await periods_of(session, company=company, now=bench.now()):
            between = {"begin": period.begins_at, "end": period.ends_at}
            for part in (
                Part(fleet.account_id),
                Part(fleet.account_id, frozenset(rooms)),
                Part(fleet.account_id, vehicle_id=fleet.vehicle_id),
            ):
                lines, _ = await all_lines(session, part=part, most=1_000, **between)
                totals = await totals_between(session, part=part, **between)
                assert totals == await totals_between(session, part=part, kept=False, **between)
                assert (dict(totals.grades), totals.refunds) == (shares(lines, "product_id"), sum(line.back for line in lines))
                vehicles = await by_vehicle(session, part=part, **between)
                assert {one.id: one.figures for one in vehicles} == shares(lines, "vehicle_id")
                assert [one.figures.card_minor for one in vehicles] == sorted((one.figures.card_minor for one in vehicles), reverse=True)
                drivers = await by_driver(session, part=part, **between)
                assert sum((one.figures for one in drivers), Figures()) == totals.figures


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_comes_when_a_statement_is_the_sum_of_its_lines(bench, fleet, seed):
    random, sold, done = Random(seed), [], defaultdict(int)
    for _ in range(24):
        step = random.choice(["sell", "sell", "refund", "late", "load", "keep", "keep", "wait", "close"])
        if step == "sell":
            product, price = random.choice([("92", 78_900), ("0", 75_000)])
            fill = {"product": product, "price_e4": price, "litres_milli": random.randrange(1, 40) * 1_000}
            sold.append(said(await bench.sell(random.choice(fleet.cards), **fill))["sale"])
        elif step == "refund" and sold:
            await refund(bench, sold.pop(random.randrange(len(sold))), gross_minor=random.randrange(1, 700))
        elif step == "late":
            await tell(bench, record(bench, random.choice(fleet.cards), ago=timedelta(hours=random.randrange(60))))
        elif step == "load":
            async with transaction(bench.sessions) as session:
                await load(session, bench.world, fleet.account_id, random.randrange(1, 9) * 10_000, now=bench.now())
        elif step == "wait":
            bench.later += timedelta(hours=random.randrange(60))
        elif step == "close":
            done["closed"] += len(await close(bench, fleet))
        else:
            await collect(bench)
            done["kept"] += await keep(bench, fleet)
        bench.later += timedelta(minutes=random.randrange(20))
        await collect(bench)
        await agrees(bench, fleet)
    assert done["kept"]
    assert await broken(bench) == set()


async def test_the_job_keeps_sums_with_the_rights_it_has_and_once(bench, fleet, tmp_path):
    await bench.sell(fleet.cards[0])
    bench.later += timedelta(hours=1)
    await collect(bench)
    engine = make_engine(bench.url, role="loyalty_jobs")
    context = Context(make_sessions(engine), Settings(database_url=bench.url, data_dir=tmp_path / "data", keys_dir=tmp_path / "keys"))
    assert await statement_sums.run(context, bench.now()) == 1
    assert await statement_sums.run(context, bench.now()) == 0
    kept = await rows(bench, "SELECT by, subject_id, fills, card_minor FROM statement_sums ORDER BY by")
    assert [(row["by"], row["fills"], row["card_minor"]) for row in kept] == [
        ("driver", 1, 7_890),
        ("product", 1, 7_890),
        ("vehicle", 1, 7_890),
    ]
    assert await rows(bench, "SELECT kind, net_minor FROM statement_moves ORDER BY kind") == [
        {"kind": 1, "net_minor": 100_000_000},
        {"kind": 3, "net_minor": -7_890},
    ]
    await agrees(bench, fleet)
    bench.later += timedelta(days=5)
    assert await company_periods.run(context, bench.now()) == 1
    await engine.dispose()
    await agrees(bench, fleet)


async def test_a_period_that_ends_sooner_than_its_sums_is_summed_anew(bench, fleet):
    await bench.sell(fleet.cards[0])
    bench.later += timedelta(days=1, hours=1)
    await collect(bench)
    await keep(bench, fleet)
    begins = (await rows(bench, "SELECT begins_at FROM statement_marks"))[0]["begins_at"]
    async with transaction(bench.sessions) as session:
        await session.execute(text("UPDATE statement_marks SET summed_to = summed_to + interval '40 days'"))
    await agrees(bench, fleet)
    await keep(bench, fleet)
    (mark,) = await rows(bench, "SELECT begins_at, summed_to FROM statement_marks")
    assert (mark["begins_at"], mark["summed_to"] < bench.now()) == (begins, True)
    assert await broken(bench) == set()


async def test_only_companies_on_whose_account_something_moved_are_due(bench, fleet):
    await bench.sell(fleet.cards[0])
    bench.later += timedelta(hours=1)
    await collect(bench)

    async def due():
        async with transaction(bench.sessions) as session:
            return await due_for_sums(session, until=await settled_to(session), most=10)

    assert await due() == [fleet.company_id]
    await keep(bench, fleet)
    assert await due() == []


@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        ("UPDATE statement_sums SET quantity_milli = quantity_milli + 1 WHERE by = 'driver'", "statement-sums"),
        ("DELETE FROM statement_sums WHERE by = 'product'", "statement-sums"),
        ("UPDATE statement_marks SET summed_to = summed_to - interval '2 hours'", "statement-sums statement-moves"),
        ("UPDATE statement_moves SET net_minor = net_minor - 1 WHERE kind = 1", "statement-moves"),
    ],
)
async def test_each_disagreement_is_seen(bench, fleet, damage, seen):
    await bench.sell(fleet.cards[0])
    bench.later += timedelta(hours=1)
    await collect(bench)
    await keep(bench, fleet)
    assert await broken(bench) == set()
    async with transaction(bench.sessions) as session:
        await session.execute(text(damage))
    assert await broken(bench) == set(seen.split())
