"""A bulk run killed at any line and taken up again: the same totals, each line once."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from loyalty.checks.model import Scope
from loyalty.checks.running import examine
from loyalty.db import transaction
from loyalty.fleet.model_allocations import RunStatus
from loyalty.fleet.operations.allocation_runs import load_run, prepare_run, start_run
from loyalty.fleet.queries.allocations import get_run
from loyalty.ledger.queries import purses_of
from tests.factories.world import SYSTEM, make_world

from .allocating import OCTOBER, POLICY, make_motor_pool
from .test_allocations import CHECK_DAY, approve_both

LINES = 9
EACH = 756_00
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def loading(sessions, database_url, now):
    """Yield a run of nine lines that is to be loaded, as (database, company, account, run)."""
    async with transaction(sessions) as session:
        await session.execute(text("SELECT make_month_partitions(date '2026-06-01', 9)"))
        world = await make_world(session, now=now)
        fleet = await make_motor_pool(session, world, vehicles=LINES)
        of = {"company_id": fleet.company_id, "span": OCTOBER, "actor": SYSTEM, "now": CHECK_DAY}
        await prepare_run(session, **of)
        await approve_both(session, fleet, CHECK_DAY)
        run = await start_run(session, **of)
    return database_url, fleet.company_id, fleet.account_id, run.run_id


def load_killed(loading, *, at: str | None, chunk: int) -> int:
    url, company_id, _, run_id = loading
    words = [sys.executable, "-m", "tests.fleet.loader", url, str(company_id), str(run_id), str(chunk)]
    environment = {name: value for name, value in os.environ.items() if name != "LOYALTY_CRASH"} | ({"LOYALTY_CRASH": at} if at else {})
    return subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, check=False, timeout=60).returncode


async def is_whole(sessions, loading) -> None:
    _, company_id, account_id, run_id = loading
    async with sessions() as session:
        run = await get_run(session, company_id=company_id, run_id=run_id)
        assert (run.status, run.loaded, run.refused, run.loaded_minor) == (RunStatus.DONE, LINES, 0, LINES * EACH)
        on_cards = [purse.balance_minor for purse in await purses_of(session, account_id=account_id) if purse.card_id]
        assert on_cards == [EACH] * LINES
        moved = text("SELECT count(*), count(DISTINCT operation_id) FROM transfers WHERE kind = 12")
        assert tuple((await session.execute(moved)).one()) == (LINES, LINES)
        wrong = [
            one async for one in examine(session, Scope(now=datetime.now(UTC))) if one.check.code.startswith("alloc") and one.found.count
        ]
        assert wrong == []


# A chunk is killed before its commit (`allocation-n`), which undoes it, and after it (`allocated-n`), which does not.
@pytest.mark.parametrize("point", ["allocation-1", "allocation-5", "allocated-5", "allocation-9", "allocated-9"])
async def test_killed_at_a_line_it_goes_on_there(sessions, loading, point):
    assert await asyncio.to_thread(load_killed, loading, at=point, chunk=1) == -9
    _, company_id, _, run_id = loading
    async with sessions() as session:
        run = await get_run(session, company_id=company_id, run_id=run_id)
    done = int(point.split("-")[1])
    assert run.loaded == (done if point.startswith("allocated") else done - 1)
    assert await asyncio.to_thread(load_killed, loading, at=None, chunk=4) == 0
    await is_whole(sessions, loading)


@pytest.mark.long
@pytest.mark.parametrize("chunk", [1, 2, 4])
@pytest.mark.parametrize(
    "point", ["before-commit", "after-commit", *(f"{name}-{n}" for name in ("allocation", "allocated") for n in range(1, 10))]
)
async def test_killed_at_every_line_it_goes_on_there(sessions, loading, point, chunk):
    await asyncio.to_thread(load_killed, loading, at=point, chunk=chunk)
    assert await asyncio.to_thread(load_killed, loading, at=None, chunk=3) == 0
    await is_whole(sessions, loading)


async def test_killed_again_and_again_it_comes_to_its_end(sessions, loading):
    for _ in range(3):
        assert await asyncio.to_thread(load_killed, loading, at="allocated-1", chunk=1) == -9
    assert await asyncio.to_thread(load_killed, loading, at=None, chunk=1) == 0
    await is_whole(sessions, loading)


async def test_two_loaders_at_once_load_each_line_once(sessions, loading):
    _, company_id, _, run_id = loading

    async def load() -> int:
        return await load_run(sessions, policy=POLICY, company_id=company_id, run_id=run_id, clock=lambda: CHECK_DAY, chunk=2)

    assert sum(await asyncio.gather(load(), load(), load())) == LINES
    await is_whole(sessions, loading)
