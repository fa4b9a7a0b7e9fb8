"""The monthly allocation: from the proposal to the loaded card, by two people, on the right workday."""

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from loyalty.audit.model import Actor, ActorKind
from loyalty.checks.model import Scope
from loyalty.checks.running import examine
from loyalty.fleet.allocation_rules import (
    Consumer,
    Rate,
    Span,
    after,
    before,
    check_on,
    coming,
    decide_line,
    due_day,
    propose,
    rate_for,
    sources,
    span_of,
)
from loyalty.fleet.model import CompanyMode, Ownership, UnusedMode
from loyalty.fleet.model_allocations import REQUEST_MOVES, AllocationKind, RequestStatus, RunStatus
from loyalty.fleet.operations.allocation_decisions import (
    FourEyes,
    NothingToDecide,
    approve,
    approve_for_department,
    refuse,
    set_amounts,
    submit,
    withdraw,
)
from loyalty.fleet.operations.allocation_runs import (
    NothingFailed,
    NothingToLoad,
    RunNotPrepared,
    load_chunk,
    prepare_run,
    retry_failed,
    start_early,
    start_run,
)
from loyalty.fleet.operations.allocations import (
    BalanceNotLow,
    CompanyIsPooled,
    EarlyRequestOpen,
    check_requests,
    propose_all,
    request_early,
)
from loyalty.fleet.operations.moves import PoolTooSmall, allocate
from loyalty.fleet.queries.allocations import (
    RunNotFound,
    card_money,
    get_request,
    get_run,
    list_requests,
    monthly_run,
    pool_minor,
    sums,
)
from loyalty.fleet.queries.companies import get_company
from loyalty.ledger.queries import purses_of
from loyalty.workdays import Calendar, DayKind, YearNotCovered, known_days
from tests.factories.fleet import make_fleet
from tests.factories.world import SYSTEM

from .allocating import DAY, OCTOBER, POLICY, make_motor_pool, settings

HEAD, MANAGER = (Actor(ActorKind.CUSTOMER, uuid4()) for _ in range(2))
CHECK_DAY = datetime(2026, 9, 28, 1, tzinfo=UTC)
"""09:00 in Shanghai on the Monday after Mid-autumn and its weekend."""


async def requests(session, fleet, **facts):
    return (await list_requests(session, company_id=fleet.company_id, limit=200, **facts)).rows


async def status_sums(session, fleet, kind=AllocationKind.MONTHLY):
    return {one.status: (one.requests, one.wanted_minor) for one in await sums(session, company_id=fleet.company_id, kind=kind)}


async def run_through(session, fleet, now, *, chunk=500):
    """Load what is loading, chunk by chunk; return how many chunks it took."""
    run = await monthly_run(session, company_id=fleet.company_id, period_from=OCTOBER.first)
    for count in range(1, 1000):
        one = await load_chunk(session, policy=POLICY, company_id=fleet.company_id, run_id=run.run_id, size=chunk, now=now)
        if not one.left:
            return count
    raise AssertionError


async def approve_both(session, fleet, now):
    of = {"company_id": fleet.company_id, "span": OCTOBER, "now": now}
    await approve_for_department(session, actor=HEAD, **of)
    return await approve(session, actor=MANAGER, **of)


async def is_sound(session, now):
    found = [
        one
        async for one in examine(session, Scope(now=now, everything=False))
        if one.check.code.startswith(("purse", "transfer", "fleet", "alloc"))
    ]
    assert found
    assert [(one.check.code, one.found.rows) for one in found if one.found.count] == []


async def test_500_vehicles_three_without_records_497_are_loaded_on_the_right_workday(session, world, now):
    fleet = await make_motor_pool(session, world, vehicles=500, silent=3)
    of = {"company_id": fleet.company_id, "span": OCTOBER, "actor": SYSTEM}
    # The 25th is Mid-autumn: nothing happens on it, nor on the weekend.
    for day in (25, 26, 27):
        assert await prepare_run(session, now=datetime(2026, 9, day, 1, tzinfo=UTC), **of) is None
    with pytest.raises(RunNotPrepared) as early:
        await start_run(session, now=datetime(2026, 9, 27, 1, tzinfo=UTC), **of)
    assert early.value.facts["check_on"] == "2026-09-28"

    prepared = await prepare_run(session, now=CHECK_DAY, **of)
    assert (prepared.requests, prepared.held, prepared.alarm) == (500, {"no_records": 3, "nothing_wanted": 3}, None)
    assert await prepare_run(session, now=CHECK_DAY + timedelta(hours=1), **of) is None
    with pytest.raises(NothingToLoad):
        await start_run(session, now=CHECK_DAY, **of)

    decided = await approve_both(session, fleet, CHECK_DAY)
    assert (decided.moved, decided.amount_minor) == (497, 497 * 756_00)
    run = await start_run(session, now=CHECK_DAY, **of)
    assert (run.lines, run.amount_minor, run.status) == (497, 497 * 756_00, RunStatus.LOADING)
    assert await run_through(session, fleet, CHECK_DAY + timedelta(minutes=1), chunk=100) == 5

    done = await get_run(session, company_id=fleet.company_id, run_id=run.run_id)
    assert (done.status, done.loaded, done.refused, done.loaded_minor) == (RunStatus.DONE, 497, 0, 497 * 756_00)
    assert done.started_at.astimezone(UTC).date() == date(2026, 9, 28)
    named = [one for one in await requests(session, fleet) + await rest(session, fleet) if one.checks]
    assert sorted(one.plate for one in named) == ["浙A00001", "浙A00002", "浙A00003"]
    assert all("no_records" in one.checks for one in named)
    purses = await purses_of(session, account_id=fleet.account_id)
    on_cards = [purse.balance_minor for purse in purses if purse.card_id]
    assert (len(on_cards), sum(on_cards), sum(purse.balance_minor for purse in purses)) == (497, 497 * 756_00, 100_000_000)
    await is_sound(session, CHECK_DAY)


async def rest(session, fleet):
    """Return the requests behind the first page."""
    found, page = [], await list_requests(session, company_id=fleet.company_id, limit=200)
    while page.next:
        page = await list_requests(session, company_id=fleet.company_id, limit=200, cursor=page.next)
        found += page.rows
    return found


@pytest.mark.long
async def test_ten_thousand_cards_are_loaded_chunk_by_chunk(session, world):
    fleet = await make_motor_pool(session, world, vehicles=10_000, pool_minor=10**10)
    of = {"company_id": fleet.company_id, "span": OCTOBER, "actor": SYSTEM, "now": CHECK_DAY}
    await prepare_run(session, **of)
    await approve_both(session, fleet, CHECK_DAY)
    await start_run(session, **of)
    assert await run_through(session, fleet, CHECK_DAY) == 20
    run = await monthly_run(session, company_id=fleet.company_id, period_from=OCTOBER.first)
    assert (run.loaded, run.refused, run.loaded_minor) == (10_000, 0, 10_000 * 756_00)
    await is_sound(session, CHECK_DAY)


async def test_what_a_check_held_back_is_loaded_by_the_same_run_once_it_is_in_order(session, world, now):
    fleet = await make_motor_pool(session, world, vehicles=4, unread=2)
    of = {"company_id": fleet.company_id, "span": OCTOBER, "actor": SYSTEM, "now": CHECK_DAY}
    assert (await prepare_run(session, **of)).held == {"no_odometer": 2}
    decided = await approve_for_department(session, company_id=fleet.company_id, span=OCTOBER, actor=HEAD, now=CHECK_DAY)
    assert (decided.moved, decided.held) == (2, {"no_odometer": 2})
    await approve(session, company_id=fleet.company_id, span=OCTOBER, actor=MANAGER, now=CHECK_DAY)
    await start_run(session, **of)
    await run_through(session, fleet, CHECK_DAY)

    await session.execute(text("UPDATE vehicles SET odometer_at = :now WHERE company_id = :id"), {"now": now, "id": fleet.company_id})
    assert await check_requests(session, company_id=fleet.company_id, span=OCTOBER, now=CHECK_DAY + DAY) == {}
    assert (await approve_both(session, fleet, CHECK_DAY + DAY)).moved == 2
    await start_run(session, **of | {"now": CHECK_DAY + DAY})
    await run_through(session, fleet, CHECK_DAY + DAY)
    run = await monthly_run(session, company_id=fleet.company_id, period_from=OCTOBER.first)
    assert (run.lines, run.loaded, run.status) == (4, 4, RunStatus.DONE)
    await is_sound(session, CHECK_DAY)


async def test_neither_records_nor_readings_are_asked_for_where_the_company_does_not_want_them(session, world):
    fleet = await make_motor_pool(session, world, vehicles=3, silent=1, unread=1, needs_records=False, needs_odometer=False)
    prepared = await prepare_run(session, company_id=fleet.company_id, span=OCTOBER, actor=SYSTEM, now=CHECK_DAY)
    assert prepared.held == {"nothing_wanted": 1}


async def test_one_person_does_not_approve_twice_and_a_department_comes_first(session, world):
    fleet = await make_motor_pool(session, world, vehicles=2)
    of = {"company_id": fleet.company_id, "span": OCTOBER, "now": CHECK_DAY}
    await prepare_run(session, actor=SYSTEM, **of)
    with pytest.raises(NothingToDecide) as refused:
        await approve(session, actor=MANAGER, **of)
    assert refused.value.facts["department_first"] == 2
    await approve_for_department(session, actor=HEAD, **of)
    with pytest.raises(FourEyes):
        await approve(session, actor=HEAD, **of)
    assert (await approve(session, actor=MANAGER, **of)).moved == 2


async def test_where_no_department_answers_whoever_asked_does_not_approve(session, world):
    fleet = await make_motor_pool(session, world, vehicles=2, department=False)
    of = {"company_id": fleet.company_id, "span": OCTOBER, "now": CHECK_DAY}
    await propose_all(session, actor=HEAD, **of)
    await submit(session, actor=HEAD, **of)
    await check_requests(session, **of)
    with pytest.raises(FourEyes):
        await approve(session, actor=HEAD, **of)
    assert (await approve(session, actor=MANAGER, **of)).moved == 2


async def test_a_department_head_decides_for_his_own_only(session, world):
    fleet = await make_motor_pool(session, world, vehicles=2)
    of = {"company_id": fleet.company_id, "span": OCTOBER, "now": CHECK_DAY}
    await prepare_run(session, actor=SYSTEM, **of)
    with pytest.raises(NothingToDecide):
        await approve_for_department(session, departments=[uuid4()], actor=HEAD, **of)
    assert (await approve_for_department(session, departments=[fleet.department_id], actor=HEAD, **of)).moved == 2


async def test_a_draft_keeps_the_amount_that_somebody_gave_it_and_a_refused_one_is_not_proposed_again(session, world):
    fleet = await make_motor_pool(session, world, vehicles=3)
    of = {"company_id": fleet.company_id, "span": OCTOBER, "actor": HEAD, "now": CHECK_DAY - 5 * DAY}
    assert await propose_all(session, **of) == (3, 3 * 756_00)
    first, second, third = await requests(session, fleet)
    await set_amounts(session, company_id=fleet.company_id, amounts={first.request_id: 900_00}, reason="出差", actor=HEAD, now=CHECK_DAY)
    await propose_all(session, **of)
    assert [one.wanted_minor for one in await requests(session, fleet)] == [900_00, 756_00, 756_00]
    await submit(session, request_ids=[second.request_id, third.request_id], **{k: v for k, v in of.items() if k != "span"})
    with pytest.raises(NothingToDecide):
        await set_amounts(session, company_id=fleet.company_id, amounts={second.request_id: 1}, actor=HEAD, now=CHECK_DAY)
    await refuse(session, company_id=fleet.company_id, request_ids=[second.request_id], note="停用", actor=MANAGER, now=CHECK_DAY)
    await withdraw(session, company_id=fleet.company_id, request_ids=[third.request_id], actor=HEAD, now=CHECK_DAY)
    assert (await propose_all(session, **of)).cards == 1
    assert (await get_request(session, company_id=fleet.company_id, request_id=second.request_id)).note == "停用"
    assert (await propose_all(session, **of | {"chain_ids": [second.chain_id]})).cards == 1
    assert len(await requests(session, fleet)) == 4


async def test_a_pool_that_is_too_small_loads_nothing_and_says_what_is_missing(session, world):
    fleet = await make_motor_pool(session, world, vehicles=3, pool_minor=2 * 756_00)
    of = {"company_id": fleet.company_id, "span": OCTOBER, "actor": SYSTEM, "now": CHECK_DAY}
    await prepare_run(session, **of)
    await approve_both(session, fleet, CHECK_DAY)
    with pytest.raises(PoolTooSmall) as refused:
        async with session.begin_nested():
            await start_run(session, **of)
    assert "¥756.00" in refused.value.sentence("en")


async def test_a_line_that_cannot_be_loaded_is_named_and_is_tried_again(session, world):
    fleet = await make_motor_pool(session, world, vehicles=3)
    of = {"company_id": fleet.company_id, "span": OCTOBER, "actor": SYSTEM, "now": CHECK_DAY}
    await prepare_run(session, **of)
    await approve_both(session, fleet, CHECK_DAY)
    run = await start_run(session, **of)
    stopped, full, _ = fleet.vehicle_chains
    await session.execute(text("UPDATE cards SET status = 4 WHERE card_id = :id"), {"id": stopped})
    given = {"policy": POLICY, "company_id": fleet.company_id, "actor": SYSTEM, "now": CHECK_DAY}
    await allocate(session, card_id=full, amount_minor=4_900_00, operation_id=uuid4(), **given)
    await run_through(session, fleet, CHECK_DAY)
    results = {one.chain_id: (one.status, one.code, one.loaded_minor) for one in await requests(session, fleet)}
    assert results[stopped] == (RequestStatus.FAILED, "card_stopped", 0)
    assert results[full] == (RequestStatus.FAILED, "over_cap", 0)
    assert (await get_run(session, company_id=fleet.company_id, run_id=run.run_id)).refused == 2
    await is_sound(session, CHECK_DAY)

    await session.execute(text("UPDATE cards SET status = 2 WHERE card_id = :id"), {"id": stopped})
    await retry_failed(session, company_id=fleet.company_id, run_id=run.run_id, actor=MANAGER, now=CHECK_DAY)
    await run_through(session, fleet, CHECK_DAY)
    again = await get_run(session, company_id=fleet.company_id, run_id=run.run_id)
    assert (again.loaded, again.refused, again.loaded_minor) == (2, 1, 2 * 756_00)
    await withdraw(
        session,
        company_id=fleet.company_id,
        request_ids=[one.request_id for one in await requests(session, fleet) if one.chain_id == full],
        actor=MANAGER,
        now=CHECK_DAY,
    )
    with pytest.raises(NothingFailed):
        await retry_failed(session, company_id=fleet.company_id, run_id=run.run_id, actor=MANAGER, now=CHECK_DAY)
    await is_sound(session, CHECK_DAY)


@pytest.mark.parametrize(
    ("unused", "then", "pool"),
    [(UnusedMode.KEPT, 956_00, -756_00), (UnusedMode.GATHERED, 756_00, -556_00), (UnusedMode.CAPPED, 756_00, -556_00)],
)
async def test_what_was_not_used_is_kept_gathered_or_counted_in(session, world, unused, then, pool):
    fleet = await make_motor_pool(session, world, vehicles=1, unused=unused)
    company = await get_company(session, company_id=fleet.company_id)
    of = {"company_id": fleet.company_id, "span": OCTOBER, "actor": SYSTEM, "now": CHECK_DAY}
    chain = fleet.vehicle_chains[0]
    given = {"policy": POLICY, "company_id": fleet.company_id, "actor": SYSTEM, "now": CHECK_DAY}
    await allocate(session, card_id=chain, amount_minor=200_00, operation_id=uuid4(), **given)
    before_it = await pool_minor(session, company=company)
    await prepare_run(session, **of)
    await approve_both(session, fleet, CHECK_DAY)
    await start_run(session, **of)
    await run_through(session, fleet, CHECK_DAY)
    (card,) = await card_money(session, company=company)
    assert card.balance_minor == then
    assert await pool_minor(session, company=company) - before_it == pool
    await is_sound(session, CHECK_DAY)


async def test_an_early_request_is_taken_once_the_card_is_nearly_empty(session, world):
    fleet = await make_motor_pool(session, world, vehicles=1)
    chain = fleet.vehicle_chains[0]
    of = {"company_id": fleet.company_id, "span": OCTOBER, "actor": SYSTEM, "now": CHECK_DAY}
    await prepare_run(session, **of)
    await approve_both(session, fleet, CHECK_DAY)
    await start_run(session, **of)
    await run_through(session, fleet, CHECK_DAY)
    asked = {"company_id": fleet.company_id, "chain_id": chain, "amount_minor": 300_00, "reason": "长途", "actor": HEAD}
    with pytest.raises(BalanceNotLow):
        await request_early(session, now=CHECK_DAY + 9 * DAY, **asked)
    purse = next(one for one in await purses_of(session, account_id=fleet.account_id) if one.card_id == chain)
    await session.execute(text("UPDATE purses SET held_minor = 700 * 100 WHERE purse_id = :id"), {"id": purse.purse_id})
    request_id = await request_early(session, now=CHECK_DAY + 9 * DAY, **asked)
    with pytest.raises(EarlyRequestOpen):
        await request_early(session, now=CHECK_DAY + 9 * DAY, **asked)
    one = {"company_id": fleet.company_id, "request_ids": [request_id], "now": CHECK_DAY + 9 * DAY}
    await approve_for_department(session, actor=HEAD, **one)
    await approve(session, actor=MANAGER, **one)
    run = await start_early(session, company_id=fleet.company_id, span=OCTOBER, actor=MANAGER, now=CHECK_DAY + 9 * DAY)
    await load_chunk(session, policy=POLICY, company_id=fleet.company_id, run_id=run.run_id, now=CHECK_DAY + 9 * DAY)
    done = await get_run(session, company_id=fleet.company_id, run_id=run.run_id)
    assert (done.kind, done.status, done.loaded_minor) == (AllocationKind.EARLY, RunStatus.DONE, 300_00)
    with pytest.raises(BalanceNotLow):
        await request_early(session, now=CHECK_DAY + 10 * DAY, **asked)


async def test_a_missing_year_of_the_calendar_is_an_alarm_and_is_lifted_when_it_is_entered(session, world):
    fleet = await make_motor_pool(session, world, vehicles=1)
    january = Span(date(2027, 1, 26), date(2027, 2, 26))
    of = {"company_id": fleet.company_id, "span": january, "actor": SYSTEM, "now": datetime(2027, 1, 25, 1, tzinfo=UTC)}
    prepared = await prepare_run(session, **of)
    assert prepared.alarm == "year_not_covered:2027"
    assert await prepare_run(session, **of) is None
    with pytest.raises(YearNotCovered):
        await start_run(session, **of)
    await session.execute(
        text("INSERT INTO calendar_years (country, year, covered, source, updated_at) VALUES ('CN', 2027, true, 'office', now())")
    )
    assert (await prepare_run(session, **of)).alarm is None
    run = await monthly_run(session, company_id=fleet.company_id, period_from=january.first)
    assert (run.status, run.check_on) == (RunStatus.PREPARED, date(2027, 1, 25))


async def test_a_pooled_company_has_nothing_to_allocate_and_another_s_run_is_unknown(session, world, now):
    pooled = await make_fleet(session, world, name="共享池", cards=1, settings=settings(mode=CompanyMode.POOLED))
    with pytest.raises(CompanyIsPooled):
        await propose_all(session, company_id=pooled.company_id, span=OCTOBER, actor=SYSTEM, now=now)
    fleet = await make_motor_pool(session, world, vehicles=1)
    await prepare_run(session, company_id=fleet.company_id, span=OCTOBER, actor=SYSTEM, now=CHECK_DAY)
    run = await monthly_run(session, company_id=fleet.company_id, period_from=OCTOBER.first)
    with pytest.raises(RunNotFound):
        await get_run(session, company_id=pooled.company_id, run_id=run.run_id)
    with pytest.raises(RunNotFound):
        await load_chunk(session, policy=POLICY, company_id=pooled.company_id, run_id=run.run_id, now=CHECK_DAY)


@pytest.mark.parametrize("at", list(RequestStatus))
@pytest.mark.parametrize("to", [RequestStatus.REQUESTED, RequestStatus.DEPARTMENT_APPROVED, RequestStatus.REFUSED, RequestStatus.WITHDRAWN])
async def test_a_request_moves_along_its_table_only(session, world, at, to):
    fleet = await make_motor_pool(session, world, vehicles=1)
    await propose_all(session, company_id=fleet.company_id, span=OCTOBER, actor=HEAD, now=CHECK_DAY)
    (one,) = await requests(session, fleet)
    await session.execute(text("UPDATE allocation_requests SET status = :at"), {"at": at.value})
    doing = {
        RequestStatus.REQUESTED: submit,
        RequestStatus.DEPARTMENT_APPROVED: approve_for_department,
        RequestStatus.REFUSED: refuse,
        RequestStatus.WITHDRAWN: withdraw,
    }[to]
    facts = {"note": "…"} if to in {RequestStatus.REFUSED, RequestStatus.WITHDRAWN} else {}
    made = doing(session, company_id=fleet.company_id, request_ids=[one.request_id], actor=HEAD, now=CHECK_DAY, **facts)
    if to in REQUEST_MOVES[at]:
        assert (await made).moved == 1
    else:
        with pytest.raises(NothingToDecide):
            await made


# --- pure rules


def test_periods_follow_the_company_s_day():
    assert span_of(date(2026, 9, 25), period_day=26) == (date(2026, 8, 26), date(2026, 9, 26))
    assert span_of(date(2026, 9, 26), period_day=26) == OCTOBER
    assert span_of(date(2026, 1, 5), period_day=26) == (date(2025, 12, 26), date(2026, 1, 26))
    assert span_of(date(2026, 3, 1), period_day=1) == (date(2026, 3, 1), date(2026, 4, 1))
    assert before(OCTOBER).end == OCTOBER.first
    assert after(OCTOBER).first == OCTOBER.end
    assert due_day(OCTOBER, check_day=25) == date(2026, 9, 25)
    assert due_day(Span(date(2026, 3, 1), date(2026, 4, 1)), check_day=25) == date(2026, 2, 25)
    assert coming(date(2026, 9, 14), period_day=26, check_day=25).first == date(2026, 8, 26)
    assert coming(date(2026, 9, 15), period_day=26, check_day=25) == OCTOBER


@pytest.mark.parametrize(
    ("first", "mode", "day"),
    [("2026-09-26", "following", "2026-09-28"), ("2026-09-26", "preceding", "2026-09-24"), ("2025-01-26", "following", "2025-01-26")],
)
def test_the_check_day_moves_by_the_workday_calendar(first, mode, day):
    calendar = Calendar("CN", frozenset({2025, 2026}), {one.day: one.kind for year in (2025, 2026) for one in known_days("CN", year)})
    span = span_of(date.fromisoformat(first), period_day=26)
    assert check_on(span, check_day=25, mode=mode, calendar=calendar) == date.fromisoformat(day)
    assert calendar.days[date(2025, 1, 26)] is DayKind.WORKDAY


def test_a_proposal_is_sized_by_class_and_last_month_and_never_above_the_class():
    rates = [
        Rate("truck", 0, 3000, 100_000, None, None),
        Rate("truck", 3000, None, 200_000, None, 110),
        Rate("", 0, None, None, 500_00, None),
    ]

    def sized(quantity_milli, *, fills=1, kind="truck", size=4000, ownership=Ownership.COMPANY, fixed=None, price=75_600, table=rates):
        consumer = Consumer(kind, size, ownership, fixed, fills, quantity_milli, price)
        return propose(consumer, table, currency="CNY").amount_minor

    assert sized(100_000) == 832_00  # 110 L × 7.56 = 831.60, in whole yuan upwards
    assert sized(400_000) == 1512_00  # the class's 200 L
    assert sized(0, fills=0) == 1512_00  # nothing known of it: the class
    assert sized(50_000, size=2999) == 756_00  # its class has no factor
    assert sized(50_000, kind="car") == 500_00
    assert sized(50_000, kind=None, table=[]) == 378_00
    assert sized(50_000, ownership=Ownership.PRIVATE, fixed=300_00) == 300_00
    assert rate_for(rates[:2], vehicle_type="bus", displacement_ml=1) is None


def test_a_line_is_decided_on_what_the_purses_hold():
    facts = {"amount_minor": 100, "free_minor": 30, "balance_minor": 40, "pool_minor": 1000, "cap_minor": None}
    assert decide_line(**facts, unused=UnusedMode.KEPT) == (0, 100, None, None)
    assert decide_line(**facts, unused=UnusedMode.GATHERED) == (30, 100, None, None)
    assert decide_line(**facts, unused=UnusedMode.CAPPED) == (0, 70, None, None)
    assert decide_line(**facts | {"free_minor": 100}, unused=UnusedMode.CAPPED) == (0, 0, None, "full_already")
    assert decide_line(**facts | {"cap_minor": 139}, unused=UnusedMode.KEPT) == (0, 0, "over_cap", None)
    assert decide_line(**facts | {"cap_minor": 140}, unused=UnusedMode.KEPT).refused is None
    assert decide_line(**facts | {"cap_minor": 110}, unused=UnusedMode.GATHERED).refused is None
    assert decide_line(**facts | {"pool_minor": 99}, unused=UnusedMode.KEPT) == (0, 0, "insufficient_funds", None)
    assert decide_line(**facts | {"pool_minor": 70}, unused=UnusedMode.GATHERED) == (30, 100, None, None)


def test_sources_are_the_table_read_backwards():
    assert set(sources(RequestStatus.APPROVED)) == {RequestStatus.REQUESTED, RequestStatus.DEPARTMENT_APPROVED, RequestStatus.FAILED}
    assert sources(RequestStatus.DRAFT) == []
