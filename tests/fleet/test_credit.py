"""Fuel on account: agreed by two, drawn to the last fen and no further, billed, repaid oldest first, blocked when late."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from jobs import credit
from jobs.job import Context
from loyalty.audit.model import Actor, ActorKind
from loyalty.checks.model import Scope
from loyalty.checks.queries.credit import CHECKS
from loyalty.checks.running import examine
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.fleet.model_credit import PROPOSAL_MOVES, CompanyCredit, CreditBill, ProposalStatus
from loyalty.fleet.model_notices import CompanyNotice, NoticeKind
from loyalty.fleet.operations.credit import (
    CreditProposalWaits,
    CreditStillDrawn,
    bill_due,
    decide_credit,
    propose_credit,
    settle_credit,
)
from loyalty.fleet.queries.companies import get_company
from loyalty.fleet.queries.credit import ageing_of, own_use_of
from loyalty.policy import load_policy
from loyalty.settings import Settings
from loyalty.topups.model import Tender
from loyalty.topups.operations import load as top_up
from loyalty.topups.operations import void_topup
from loyalty.topups.operations.traces import CannotMove
from loyalty.topups.rules import SecondPersonNeeded
from tests.authorizations.conftest import bench, key_set, keys
from tests.authorizations.desk import said
from tests.factories.fleet import make_fleet
from tests.factories.world import SYSTEM, load
from tests.topups.conftest import hire

__all__ = ["bench", "key_set", "keys"]

MAKER = Actor(ActorKind.STAFF, str(uuid4()))
CHECKER = Actor(ActorKind.STAFF, str(uuid4()))


@pytest.fixture
async def fleet(bench):
    async with transaction(bench.sessions) as session:
        return await make_fleet(session, bench.world, pool_minor=10_000, cards=1)


async def propose(bench, fleet, limit_minor: int, actor=MAKER, *, own_use: bool = False):
    async with transaction(bench.sessions) as session:
        terms = {"limit_minor": limit_minor, "terms_days": 10, "block_after_days": 5, "note": "signed"}
        made = await propose_credit(session, company_id=fleet.company_id, **terms, own_use=own_use, actor=actor, now=bench.now())
        return made.proposal_id


async def decide(bench, proposal_id, to=ProposalStatus.APPROVED, actor=CHECKER) -> None:
    async with transaction(bench.sessions) as session:
        await decide_credit(session, proposal_id=proposal_id, to=to, actor=actor, now=bench.now())


async def agree(bench, fleet, limit_minor: int) -> None:
    await decide(bench, await propose(bench, fleet, limit_minor))


async def tick(bench) -> None:
    async with transaction(bench.sessions) as session:
        await bill_due(session, now=bench.now())
        await settle_credit(session, now=bench.now())
        scope = Scope(now=bench.now())
        for check in CHECKS:
            assert (await check.look(session, scope)).count == 0, check.code


async def pool(bench, fleet) -> tuple[int, int]:
    async with transaction(bench.sessions) as session:
        asked = "SELECT balance_minor, credit_limit_minor FROM purses WHERE account_id = :a AND kind = 1 AND card_id IS NULL"
        return tuple((await session.execute(text(asked), {"a": fleet.account_id})).one())


async def bills(bench) -> list[tuple[int, int]]:
    async with transaction(bench.sessions) as session:
        found = await session.scalars(select(CreditBill).order_by(CreditBill.due_day))
        return [(one.billed_minor, one.repaid_minor) for one in found]


async def buys(bench, fleet, minor: int):
    return await bench.sell(fleet.cards[0], litres_milli=minor, price_e4=100_000, amount_minor=minor)


async def repays(bench, fleet, minor: int) -> None:
    async with transaction(bench.sessions) as session:
        await load(session, bench.world, fleet.account_id, minor)


async def test_a_fill_draws_up_to_the_limit_and_not_a_fen_more(bench, fleet):
    await agree(bench, fleet, 5_000)
    await buys(bench, fleet, 15_000)
    assert await pool(bench, fleet) == (-5_000, 5_000)
    await buys(bench, fleet, 1)
    assert await pool(bench, fleet) == (-5_000, 5_000)


async def test_terms_take_two_people_and_one_proposal_at_a_time(bench, fleet):
    made = await propose(bench, fleet, 5_000)
    with pytest.raises(CreditProposalWaits):
        await propose(bench, fleet, 6_000)
    with pytest.raises(SecondPersonNeeded):
        await decide(bench, made, actor=MAKER)
    with pytest.raises(SecondPersonNeeded):
        await decide(bench, made, ProposalStatus.WITHDRAWN)
    assert await pool(bench, fleet) == (10_000, 0)
    await decide(bench, made, ProposalStatus.WITHDRAWN, MAKER)
    await agree(bench, fleet, 7_000)
    assert await pool(bench, fleet) == (10_000, 7_000)


async def test_proposals_go_by_their_table(bench, fleet):
    for first in ProposalStatus:
        made = await propose(bench, fleet, 100)
        if first is not ProposalStatus.PROPOSED:
            await decide(bench, made, first, MAKER if first is ProposalStatus.WITHDRAWN else CHECKER)
        for to in set(ProposalStatus) - PROPOSAL_MOVES[first]:
            with pytest.raises(CannotMove):
                await decide(bench, made, to)
        if first is ProposalStatus.PROPOSED:
            await decide(bench, made, ProposalStatus.REJECTED)


async def test_a_company_that_owes_does_not_go_over_to_prepaid_until_it_paid(bench, fleet):
    await agree(bench, fleet, 5_000)
    await buys(bench, fleet, 12_000)
    with pytest.raises(CreditStillDrawn):
        await propose(bench, fleet, 0)
    await repays(bench, fleet, 2_000)
    await agree(bench, fleet, 0)
    assert await pool(bench, fleet) == (0, 0)


async def test_periods_are_billed_repaid_oldest_first_and_a_late_one_blocks_until_it_is_paid(bench, fleet):
    await agree(bench, fleet, 50_000)
    await buys(bench, fleet, 13_000)
    await tick(bench)
    assert await bills(bench) == [], "the period still runs"
    bench.later = timedelta(days=4)
    await tick(bench)
    await tick(bench)
    assert await bills(bench) == [(3_000, 0)], "once"
    await buys(bench, fleet, 4_000)
    bench.later = timedelta(days=34)
    await tick(bench)
    assert await bills(bench) == [(3_000, 0), (4_000, 0)]
    assert await pool(bench, fleet) == (-7_000, 7_000), "the first is late: nothing more is drawn"
    async with transaction(bench.sessions) as session:
        told = select(CompanyNotice.step).where(CompanyNotice.kind == NoticeKind.BILL_LATE).order_by(CompanyNotice.step)
        assert list(await session.scalars(told)) == [1, 15]
        assert await session.scalar(select(CompanyCredit.blocked_at)) is not None
    await repays(bench, fleet, 3_500)
    await tick(bench)
    assert await bills(bench) == [(3_000, 3_000), (4_000, 500)]
    assert await pool(bench, fleet) == (-3_500, 50_000), "lifted by itself"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ("UPDATE purses SET credit_limit_minor = 90000 WHERE kind = 1 AND card_id IS NULL", "credit-limit"),
        ("UPDATE credit_bills SET billed_minor = billed_minor + 1000", "credit-bills"),
        ("INSERT INTO credit_repayments SELECT bill_id, 7, company_id, 5, now() FROM credit_bills", "credit-repayments"),
    ],
)
async def test_what_does_not_fit_the_agreement_is_named(bench, fleet, wrong, code):
    await agree(bench, fleet, 50_000)
    await buys(bench, fleet, 13_000)
    bench.later = timedelta(days=4)
    await tick(bench)
    assert await bills(bench) == [(3_000, 0)]
    async with transaction(bench.sessions) as session:
        await session.execute(text(wrong))
    async with transaction(bench.sessions) as session:
        scope = Scope(now=bench.now())
        found = {check.code for check in CHECKS if (await check.look(session, scope)).count}
    assert found == {code}


async def test_the_job_bills_and_settles_with_the_rights_it_has(bench, fleet, tmp_path):
    await agree(bench, fleet, 50_000)
    await buys(bench, fleet, 13_000)
    engine = make_engine(bench.url, role="loyalty_jobs")
    context = Context(make_sessions(engine), Settings(database_url=bench.url, data_dir=tmp_path / "data", keys_dir=tmp_path / "keys"))
    bench.later = timedelta(days=34)
    assert await credit.run(context, bench.now()) == 1
    assert await bills(bench) == [(3_000, 0)]
    bench.later = timedelta(days=60)
    await credit.run(context, bench.now())
    assert (await pool(bench, fleet))[1] == 3_000, "late: nothing more is drawn"
    assert await credit.run(context, bench.now()) == 0
    await engine.dispose()


async def pays_in(bench, fleet, minor: int):
    """Top the account up at a till."""
    async with transaction(bench.sessions) as session:
        return await top_up(
            session,
            policy=load_policy("generic"),
            account_id=fleet.account_id,
            card_id=None,
            amount_minor=minor,
            tender=Tender.CARD,
            reference=f"42{minor:08}",
            station_id=bench.world.station_id,
            terminal_id=bench.world.terminal_ids[0],
            actor=SYSTEM,
            event_at=bench.now(),
            now=bench.now(),
        )


async def test_a_top_up_repays_even_where_it_is_drawn_again_at_once(bench, fleet):
    await agree(bench, fleet, 50_000)
    await buys(bench, fleet, 13_000)
    bench.later = timedelta(days=4)
    await tick(bench)
    assert await bills(bench) == [(3_000, 0)]
    await pays_in(bench, fleet, 2_000)
    await buys(bench, fleet, 1_500)
    assert (await pool(bench, fleet))[0] == -2_500
    await tick(bench)
    await tick(bench)
    assert await bills(bench) == [(3_000, 2_000)], "once, and what is drawn anew is another period's"


async def test_the_chain_s_own_vehicles_are_booked_as_its_expense_day_by_day(bench, fleet):
    async with transaction(bench.sessions) as session:
        company = await get_company(session, company_id=fleet.company_id)
    await decide(bench, await propose(bench, fleet, 20_000, own_use=True))
    await buys(bench, fleet, 10_000)
    await buys(bench, fleet, 15_000)
    assert await pool(bench, fleet) == (-15_000, 20_000), "what was paid in is used first"
    assert said(await buys(bench, fleet, 5_001))["outcome"] == "declined", "a day's limit"
    await tick(bench)
    assert await pool(bench, fleet) == (-15_000, 20_000), "the day is not over"
    bench.later = timedelta(days=1)
    await tick(bench)
    await tick(bench)
    assert await pool(bench, fleet) == (0, 20_000), "once"
    await buys(bench, fleet, 7_000)
    bench.later = timedelta(days=34)
    await tick(bench)
    assert await bills(bench) == []
    async with transaction(bench.sessions) as session:
        assert await own_use_of(session, company=company, since=bench.now() - timedelta(days=60)) == 22_000
        assert await ageing_of(session, now=bench.now()) == []
        named = {one.check.code async for one in examine(session, Scope(now=bench.now())) if one.found.count}
        assert named <= {"loads-without-topup", "audit-unsealed"}, "a test's pool is filled by hand and nothing seals its trail"


async def test_who_owes_is_not_made_the_chain_s_own(bench, fleet):
    await agree(bench, fleet, 50_000)
    await buys(bench, fleet, 13_000)
    with pytest.raises(CreditStillDrawn):
        await propose(bench, fleet, 50_000, own_use=True)
    await repays(bench, fleet, 3_000)
    await decide(bench, await propose(bench, fleet, 50_000, own_use=True))
    await buys(bench, fleet, 4_000)
    with pytest.raises(CreditStillDrawn):
        await propose(bench, fleet, 50_000)


async def test_a_voided_top_up_is_owed_again_on_the_next_bill(bench, fleet):
    await agree(bench, fleet, 50_000)
    await buys(bench, fleet, 13_000)
    bench.later = timedelta(days=4)
    await tick(bench)
    paid = await pays_in(bench, fleet, 3_000)
    await tick(bench)
    assert await bills(bench) == [(3_000, 3_000)]
    async with transaction(bench.sessions) as session:
        undone = {"topup_id": paid.topup_id, "reason": "typed twice", "reversal_reference": "42x"}
        clerk = await hire(session, "clerk", bench.now())
        await void_topup(session, policy=load_policy("generic"), **undone, actor=clerk, now=bench.now())
    await tick(bench)
    assert (await pool(bench, fleet))[0] == -3_000
    bench.later = timedelta(days=34)
    await tick(bench)
    assert await bills(bench) == [(3_000, 3_000), (3_000, 0)], "nothing is lost"
