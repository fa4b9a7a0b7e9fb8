"""The job that ends what ran out, run as the scheduler runs it."""

from datetime import timedelta

from jobs import holds
from jobs.job import Context
from jobs.operations import run_once
from loyalty.db import transaction
from loyalty.settings import Settings
from tests.authorizations.desk import rows
from tests.factories.world import give_card


async def test_holds_run_out_once_a_period(bench):
    async with transaction(bench.sessions) as session:
        card = await give_card(session, bench.world, balance_minor=100_000)
    for _ in range(3):
        await bench.authorise(card, amount_minor=1_000)
    bench.later = timedelta(minutes=65)
    context = Context(bench.sessions, Settings.from_environment({}))
    assert await run_once(holds.JOB, context, now=bench.now())
    assert not await run_once(holds.JOB, context, now=bench.now())
    assert [row["status"] for row in await rows(bench, "SELECT status FROM authorizations")] == [9, 9, 9]
    assert (await rows(bench, "SELECT done FROM job_runs"))[0]["done"] == 3
