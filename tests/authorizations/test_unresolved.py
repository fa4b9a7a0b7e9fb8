"""A hold without a dispense ends by a report, by evidence, or by the pump's record; never by itself alone."""

import asyncio
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import text

from loyalty.authorizations.hot import AuthorizationNotFound
from loyalty.authorizations.model import MOVES, OPEN, Status
from loyalty.authorizations.operations import (
    AuthorizationCannotMove,
    DispenseReported,
    EvidenceNeeded,
    NotUnresolved,
    PumpRecord,
    complete_from_pump_record,
    expire_holds,
    release_dispense,
    report_nozzle_not_lifted,
)
from loyalty.authorizations.operations.holds import end_hold
from loyalty.authorizations.operations.locking import find_authorization
from loyalty.authorizations.wire import parse_reference
from loyalty.db import transaction
from loyalty.errors import NotAllowed
from loyalty.identity.model import Portal, Role
from loyalty.identity.rules import Grant, Principal
from loyalty.topups.rules import SecondPersonNeeded
from tests.authorizations.desk import POLICY, books_balance, counters, place, purses, reverse_key, rows, said
from tests.factories.world import give_card


@pytest.fixture
async def card(bench):
    async with transaction(bench.sessions) as session:
        return await give_card(session, bench.world, balance_minor=300_000)


async def hire(bench, role: Role = Role.STATION_MANAGER) -> Principal:
    staff_id = uuid.uuid4()
    async with transaction(bench.sessions) as session:
        await session.execute(
            text(
                "INSERT INTO staff (staff_id, employee_number, name, status, locale, hired_at)"
                " VALUES (:id, :number, '王站长', 'active', 'zh_CN', :now)"
            ),
            {"id": staff_id, "number": str(staff_id)[:8], "now": bench.now()},
        )
    return Principal(
        staff_id=staff_id,
        name="王站长",
        employee_number="1",
        grants=(Grant(role, frozenset({bench.world.station_id})),),
        portal=Portal.OFFICE,
        session_id=uuid.uuid4(),
        locale="zh_CN",
        fresh=True,
    )


async def not_lifted(bench, authorization: str, **fields):
    both = parse_reference(authorization)
    async with transaction(bench.sessions) as session:
        outcome = await report_nozzle_not_lifted(
            session, **{"account_id": both[0], "authorization_id": both[1], "place": place(bench), "now": bench.now()} | fields
        )
    return said(outcome.answer)


async def expire(bench) -> int:
    async with transaction(bench.sessions) as session:
        return await expire_holds(session, now=bench.now())


async def unresolved(bench, card, **fields) -> str:
    approved = said(await bench.authorise(card, **({"amount_minor": 20_000} | fields)))
    bench.later += timedelta(minutes=61)
    assert await expire(bench) == 1
    return approved["authorization"]


async def test_a_nozzle_that_was_never_lifted_lets_go(bench, card):
    approved = said(await bench.authorise(card, amount_minor=20_000))
    assert (await not_lifted(bench, approved["authorization"]))["released_minor"] == 20_000
    assert "released_minor" not in await not_lifted(bench, approved["authorization"])
    assert await purses(bench, card.account_id) == {1: (300_000, 0)}
    assert await counters(bench, card) == [(0, 0, 0)]
    bench.later = timedelta(hours=2)
    assert await expire(bench) == 0
    await books_balance(bench)


async def test_litres_speak_against_a_nozzle_not_lifted(bench, card):
    approved = said(await bench.authorise(card, amount_minor=20_000))
    await bench.complete(approved["authorization"], litres_milli=1_000, amount_minor=789, final=False)
    with pytest.raises(DispenseReported):
        await not_lifted(bench, approved["authorization"])


async def test_another_stations_authorisation_is_not_found(bench, card):
    approved = said(await bench.authorise(card, amount_minor=20_000))
    with pytest.raises(AuthorizationNotFound):
        await not_lifted(bench, approved["authorization"], place=place(bench)._replace(station_id=uuid.uuid4()))


async def test_without_a_word_the_hold_stays_as_an_unresolved_dispense_and_the_rest_is_free(bench, card):
    await unresolved(bench, card)
    assert await purses(bench, card.account_id) == {1: (300_000, 20_000)}
    assert await expire(bench) == 0
    assert said(await bench.sell(card))["outcome"] == "approved"
    await books_balance(bench)


async def test_a_late_completion_resolves_it_by_itself(bench, card):
    authorization = await unresolved(bench, card)
    booked = said(await bench.complete(authorization, litres_milli=10_000, amount_minor=7_890))
    assert "late" in booked["flags"]
    assert [row["resolution"] for row in await rows(bench, "SELECT resolution FROM unresolved_dispenses")] == ["late_completion"]
    assert await purses(bench, card.account_id) == {1: (292_110, 0)}
    await books_balance(bench)


async def test_a_late_report_or_reversal_resolves_it_too(bench, card):
    await not_lifted(bench, await unresolved(bench, card))
    key = uuid.uuid4()
    await unresolved(bench, card, key=key)
    await reverse_key(bench, key)
    assert [row["resolution"] for row in await rows(bench, "SELECT resolution FROM unresolved_dispenses")] == ["released", "released"]
    assert await purses(bench, card.account_id) == {1: (300_000, 0)}
    await books_balance(bench)


async def complete(bench, authorization: str, by: Principal, record: PumpRecord, **fields):
    both = parse_reference(authorization)
    async with transaction(bench.sessions) as session:
        return await complete_from_pump_record(
            session,
            **{
                "account_id": both[0],
                "authorization_id": both[1],
                "record": record,
                "evidence": "pump 3, record 4711",
                "place": place(bench),
                "snapshot": bench.snapshot,
                "by": by,
                "now": bench.now(),
            }
            | fields,
        )


async def release(bench, authorization: str, by: Principal, **fields):
    both = parse_reference(authorization)
    async with transaction(bench.sessions) as session:
        return await release_dispense(
            session,
            **{
                "account_id": both[0],
                "authorization_id": both[1],
                "evidence": "camera 10:15",
                "policy": POLICY,
                "by": by,
                "now": bench.now(),
            }
            | fields,
        )


async def test_the_pumps_record_completes_it(bench, card):
    authorization = await unresolved(bench, card)
    manager = await hire(bench)
    record = PumpRecord(10_000, 78_900, 7_890, bench.now() - timedelta(hours=1), product="92", nozzle=3)
    resolved = await complete(bench, authorization, manager, record)
    assert (resolved.released_minor, said(resolved.answer)["card_minor"]) == (12_110, 7_890)
    (row,) = await rows(bench, "SELECT resolution, evidence, staff_id FROM unresolved_dispenses")
    assert row == {"resolution": "pump_record", "evidence": "pump 3, record 4711", "staff_id": manager.staff_id}
    assert await purses(bench, card.account_id) == {1: (292_110, 0)}
    assert await counters(bench, card) == [(7_890, 10_000, 1)]
    with pytest.raises(NotUnresolved):
        await complete(bench, authorization, manager, record)
    await books_balance(bench)


async def test_an_empty_record_of_the_pump_releases_it(bench, card):
    authorization = await unresolved(bench, card)
    resolved = await complete(bench, authorization, await hire(bench), PumpRecord(0, 78_900, 0, bench.now()))
    assert (resolved.sale_id, resolved.released_minor) == (None, 20_000)
    assert await purses(bench, card.account_id) == {1: (300_000, 0)}
    await books_balance(bench)


async def test_release_takes_evidence_the_right_role_and_from_an_amount_on_two_people(bench, card):
    authorization = await unresolved(bench, card, amount_minor=150_000)
    manager = await hire(bench)
    with pytest.raises(EvidenceNeeded):
        await release(bench, authorization, manager, evidence=" ")
    with pytest.raises(NotAllowed):
        await release(bench, authorization, await hire(bench, Role.CASHIER))
    with pytest.raises(SecondPersonNeeded):
        await release(bench, authorization, manager)
    second = await hire(bench)
    assert (await release(bench, authorization, manager, approved_by=second.staff_id)).released_minor == 150_000
    (row,) = await rows(bench, "SELECT resolution, approved_by FROM unresolved_dispenses")
    assert row == {"resolution": "released", "approved_by": second.staff_id}
    assert await purses(bench, card.account_id) == {1: (300_000, 0)}
    await books_balance(bench)


@pytest.mark.parametrize("ended_by", ["release", "reversal"])
async def test_a_late_part_after_the_end_of_a_partly_captured_fill_counts_no_second_fill(bench, card, ended_by):
    key = uuid.uuid4()
    authorization = said(await bench.authorise(card, key=key, amount_minor=20_000))["authorization"]
    await bench.complete(authorization, litres_milli=10_000, amount_minor=7_890, final=False)
    bench.later += timedelta(minutes=61)
    assert await expire(bench) == 1
    if ended_by == "release":
        assert (await release(bench, authorization, await hire(bench))).released_minor == 12_110
    else:
        assert said(await reverse_key(bench, key))["released_minor"] == 12_110
    assert await counters(bench, card) == [(7_890, 10_000, 1)]
    late = said(await bench.complete(authorization, litres_milli=2_000, amount_minor=1_578))
    assert (late["card_minor"], {"late", "after_end"} <= set(late["flags"])) == (1_578, True)
    assert await counters(bench, card) == [(9_468, 12_000, 1)]
    assert await purses(bench, card.account_id) == {1: (300_000 - 9_468, 0)}
    await books_balance(bench)


async def test_a_late_completion_after_a_release_counts_the_fill_again(bench, card):
    authorization = said(await bench.authorise(card, amount_minor=20_000))["authorization"]
    await not_lifted(bench, authorization)
    assert await counters(bench, card) == [(0, 0, 0)]
    for litres_milli, amount_minor in ((10_000, 7_890), (2_000, 1_578)):
        await bench.complete(authorization, litres_milli=litres_milli, amount_minor=amount_minor)
    assert await counters(bench, card) == [(9_468, 12_000, 1)]
    assert await purses(bench, card.account_id) == {1: (300_000 - 9_468, 0)}
    await books_balance(bench)


async def test_a_completion_and_a_release_at_once_end_it_once(bench, card):
    manager = await hire(bench)
    for _ in range(6):
        authorization = await unresolved(bench, card)
        await asyncio.gather(
            bench.complete(authorization, litres_milli=10_000, amount_minor=7_890),
            release(bench, authorization, manager),
            expire(bench),
            return_exceptions=True,
        )
        await books_balance(bench)
    assert await purses(bench, card.account_id) == {1: (300_000 - 6 * 7_890, 0)}
    assert await rows(bench, "SELECT * FROM unresolved_dispenses WHERE resolved_at IS NULL") == []


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("to", [Status.RELEASED, Status.REVERSED, Status.COMPLETED])
async def test_a_hold_ends_only_where_the_table_leads(bench, card, status, to):
    approved = said(await bench.authorise(card, amount_minor=20_000))
    both = parse_reference(approved["authorization"])
    async with transaction(bench.sessions) as session:
        authorization = await find_authorization(session, account_id=both[0], authorization_id=both[1], lock=True)
        authorization.status = int(status)
        await session.flush()
        if status in OPEN and to in MOVES[status]:
            assert await end_hold(session, authorization, to=to, evidence="test", now=bench.now()) == 20_000
            assert authorization.status == to
        else:
            with pytest.raises(AuthorizationCannotMove):
                await end_hold(session, authorization, to=to, evidence="test", now=bench.now())
        await session.rollback()
