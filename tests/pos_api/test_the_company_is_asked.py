"""A truck asks 350 L, its limit is 300: the refusal names limit and remainder, the deputy approves, the retry passes once."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from loyalty.checks.model import Scope
from loyalty.checks.running import examine
from loyalty.db import transaction
from loyalty.fleet.model import SilencePolicy
from loyalty.fleet.operations.approvals import ApprovalDecided, ApprovalNotFound, DeputyTooEarly, answer, decide_due, name_deputies
from loyalty.fleet.operations.companies import CompanySettings
from loyalty.identity.model_portal import PortalRole, PortalUser
from loyalty.limits.model import LimitKind, Reaction, Window
from loyalty.limits.operations import NewLimit, replace_limits
from loyalty.pos_client import Card, ProblemError
from tests.factories.fleet import give_vehicle, make_fleet
from tests.factories.world import PIN, SYSTEM

LITRES = 350_000


@pytest.fixture(params=[SilencePolicy.REFUSE])
async def fleet(site, now, request):
    settings = CompanySettings(silence=request.param, deputy_after_s=180, decide_after_s=1_800)
    async with transaction(site.sessions) as session:
        fleet = await make_fleet(session, site.world, pool_minor=10_000_000, cards=1, settings=settings)
        fleet.vehicle_id = await give_vehicle(session, fleet, now=now)
        limit = NewLimit(kind=LimitKind.QUANTITY, window=Window.TRANSACTION, value=300_000, reaction=Reaction.ASK)
        await replace_limits(session, subject_id=fleet.vehicle_id, limits=[limit], actor=SYSTEM, now=now)
        fleet.deputy = uuid4()
        session.add(
            PortalUser(
                user_id=fleet.deputy,
                company_id=fleet.company_id,
                name="副主管",
                role=PortalRole.FLEET_MANAGER,
                locale="zh_CN",
                invited_by="system:tests",
                created_at=now,
                log_in_name="deputy@example.com",
                password_hash="-",
                must_change_password=False,
                password_changed_at=now,
                totp_last_step=0,
            )
        )
        await session.flush()
        await name_deputies(session, company_id=fleet.company_id, user_ids=[fleet.deputy], actor=SYSTEM, now=now)
    return fleet


@pytest.fixture
async def declined(site, till, fleet):
    refused = await till.authorise(card_of(fleet), product="92", quantity_milli=LITRES, partial=False)
    assert (refused["outcome"], refused["limit"], refused["remaining_milli"]) == ("declined", "vehicle.transaction.quantity", 300_000)
    assert refused["may_ask"]
    return refused["authorization"]


def card_of(fleet) -> Card:
    return Card(number=fleet.cards[0].number, pin=PIN)


async def say(site, fleet, asked, *, approve: bool, at, user_id):
    async with transaction(site.sessions) as session:
        return await answer(
            session,
            company_id=fleet.company_id,
            approval_id=asked["approval"],
            approve=approve,
            reason="long trip",
            user_id=user_id,
            actor=SYSTEM,
            now=at,
        )


async def test_the_deputy_lets_the_retry_pass_once(site, till, fleet, declined, now):
    asked = await till.ask_company(declined)
    assert (asked["status"], asked["asked_milli"]) == ("asked", LITRES)
    assert (await till.ask_company(declined))["approval"] == asked["approval"], "asked once"
    with pytest.raises(DeputyTooEarly):
        await say(site, fleet, asked, approve=True, at=now + timedelta(seconds=60), user_id=fleet.deputy)
    await say(site, fleet, asked, approve=True, at=now + timedelta(seconds=200), user_id=fleet.deputy)
    with pytest.raises(ApprovalDecided):
        await say(site, fleet, asked, approve=False, at=now + timedelta(seconds=201), user_id=uuid4())


async def test_the_manager_answers_at_once_and_the_retry_passes_no_further(site, till, fleet, declined, now):
    asked = await till.ask_company(declined)
    await say(site, fleet, asked, approve=True, at=now, user_id=uuid4())
    seen = await till.ask_company(declined)
    assert (seen["status"], seen["decided_by"]) == ("approved", "manager")
    more = await till.authorise(card_of(fleet), product="92", quantity_milli=LITRES + 1, partial=False)
    assert (more["outcome"], more["limit"]) == ("declined", "release")
    passed = await till.authorise(card_of(fleet), product="92", quantity_milli=LITRES, partial=False)
    assert (passed["outcome"], passed["flags"]) == ("approved", ["limit"])
    again = await till.authorise(card_of(fleet), product="92", quantity_milli=LITRES, partial=False)
    assert (again["outcome"], again["limit"]) == ("declined", "vehicle.transaction.quantity")
    async with transaction(site.sessions) as session:
        scope = Scope(now=now + timedelta(minutes=1))
        assert [result.check.code async for result in examine(session, scope) if result.breaks] == []


@pytest.mark.parametrize("fleet", list(SilencePolicy), indirect=True)
async def test_silence_is_answered_by_the_companys_setting(site, till, fleet, declined):
    asked = await till.ask_company(declined)
    over = datetime.fromisoformat(asked["decide_at"])
    async with transaction(site.sessions) as session:
        assert await decide_due(session, now=over - timedelta(seconds=1)) == 0
        assert await decide_due(session, now=over) == 1
        assert await decide_due(session, now=over + timedelta(seconds=1)) == 0
    seen = await till.ask_company(declined)
    assert seen["approval"] == asked["approval"]
    assert seen["decided_by"] == "policy"
    assert seen["status"] in {"approved", "refused"}


async def test_only_what_may_be_asked_is(site, till, fleet, card, declined, now):
    with pytest.raises(ProblemError) as refused:
        await till.ask_company(declined[:-4] + "AAAA")
    assert refused.value.code in {"nothing_to_ask", "authorization_not_found"}
    plain = await till.authorise(Card(number=card.number, pin="9999"), product="92", amount_minor=1_000)
    assert "may_ask" not in plain
    with pytest.raises(ApprovalNotFound):
        await say(site, fleet, {"approval": uuid4()}, approve=True, at=now, user_id=uuid4())
