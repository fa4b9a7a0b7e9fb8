"""`loyalty check` sees each way in which an allocation's rows and the ledger can disagree."""

from uuid import uuid4

import pytest
from sqlalchemy import text

from loyalty.checks.model import Scope
from loyalty.checks.running import examine
from loyalty.fleet.operations.allocation_runs import prepare_run, start_run
from loyalty.fleet.operations.moves import allocate
from tests.factories.world import SYSTEM

from .allocating import OCTOBER, POLICY, make_motor_pool
from .test_allocations import CHECK_DAY, approve_both, run_through


async def broken(session) -> set[str]:
    found = [one async for one in examine(session, Scope(now=CHECK_DAY)) if one.found.count]
    return {one.check.code for one in found if one.check.code.startswith(("allocation-", "pool-"))}


@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        ("UPDATE allocation_lines SET loaded_minor = loaded_minor + 1", "allocation-lines"),
        ("UPDATE allocation_runs SET loaded_minor = loaded_minor + 1", "allocation-runs"),
        ("UPDATE allocation_requests SET status = 'approved'", "allocation-requests"),
        ("UPDATE pool_moves SET amount_minor = amount_minor + 1", "pool-moves"),
    ],
)
async def test_each_disagreement_is_seen(session, world, damage, seen):
    fleet = await make_motor_pool(session, world, vehicles=2)
    of = {"company_id": fleet.company_id, "actor": SYSTEM, "now": CHECK_DAY}
    await prepare_run(session, span=OCTOBER, **of)
    await approve_both(session, fleet, CHECK_DAY)
    await start_run(session, span=OCTOBER, **of)
    await run_through(session, fleet, CHECK_DAY)
    await allocate(session, policy=POLICY, card_id=fleet.vehicle_chains[0], amount_minor=1_00, operation_id=uuid4(), **of)
    assert await broken(session) == set()
    await session.execute(text(damage))
    assert seen in await broken(session)
