"""The whole month under the portal's own role: what a company's session may do, it can; what is another's, it does not see."""

from uuid import uuid4

import pytest
from sqlalchemy import text

from loyalty.audit.model import Actor, ActorKind
from loyalty.fleet.model_allocations import RunStatus
from loyalty.fleet.operations.allocation_decisions import approve, approve_for_department
from loyalty.fleet.operations.allocation_runs import load_chunk, prepare_run, start_run
from loyalty.fleet.operations.allocations import request_early
from loyalty.fleet.operations.moves import allocate, gather, gather_chains
from loyalty.fleet.queries.allocations import card_money, get_run, list_moves, list_requests, pool_minor, rates_of, sums, terms_of
from loyalty.fleet.queries.companies import CompanyNotFound, get_company

from .allocating import OCTOBER, POLICY, make_motor_pool
from .test_allocations import CHECK_DAY

HEAD, MANAGER = (Actor(ActorKind.COMPANY_USER, uuid4()) for _ in range(2))


async def test_a_month_can_be_gone_through_in_the_portal_and_no_other_company_s(session, world):
    mine = await make_motor_pool(session, world, vehicles=3)
    theirs = await make_motor_pool(session, world, vehicles=3)
    await session.execute(text("SET LOCAL ROLE loyalty_portal"))
    await session.execute(text("SELECT set_config('app.tenant', :tenant, true)"), {"tenant": str(mine.company_id)})
    of = {"company_id": mine.company_id, "span": OCTOBER, "now": CHECK_DAY}
    assert (await prepare_run(session, actor=MANAGER, **of)).requests == 3
    await approve_for_department(session, actor=HEAD, **of)
    await approve(session, actor=MANAGER, **of)
    run = await start_run(session, actor=MANAGER, **of)
    await load_chunk(session, policy=POLICY, company_id=mine.company_id, run_id=run.run_id, now=CHECK_DAY)
    assert (await get_run(session, company_id=mine.company_id, run_id=run.run_id)).status is RunStatus.DONE
    first, second = mine.vehicle_chains[:2]
    moved = {"company_id": mine.company_id, "actor": MANAGER, "now": CHECK_DAY}
    await allocate(session, policy=POLICY, card_id=first, amount_minor=1_00, operation_id=uuid4(), **moved)
    await gather(session, card_id=first, amount_minor=None, operation_id=uuid4(), **moved)
    await gather_chains(session, chain_ids=[second], reason="closed", **moved)
    await request_early(session, company_id=mine.company_id, chain_id=second, amount_minor=1_00, reason="", actor=HEAD, now=CHECK_DAY)
    company = await get_company(session, company_id=mine.company_id)
    assert sorted(one.balance_minor for one in await card_money(session, company=company)) == [0, 0, 756_00]
    assert await pool_minor(session, company=company) == 100_000_000 - 756_00
    assert len(await list_moves(session, company_id=mine.company_id)) == 3
    await rates_of(session, company_id=mine.company_id)
    await terms_of(session, company_id=mine.company_id)

    for refused in (
        prepare_run(session, actor=MANAGER, company_id=theirs.company_id, span=OCTOBER, now=CHECK_DAY),
        allocate(
            session,
            policy=POLICY,
            company_id=theirs.company_id,
            card_id=theirs.vehicle_chains[0],
            amount_minor=1,
            operation_id=uuid4(),
            actor=MANAGER,
            now=CHECK_DAY,
        ),
    ):
        with pytest.raises(CompanyNotFound):
            await refused
    assert (await list_requests(session, company_id=theirs.company_id)).rows == []
    assert await sums(session, company_id=theirs.company_id, kind="monthly") == []
    await session.execute(text("RESET ROLE"))
