"""A company's points go to its main card at the office, by somebody who says why."""

from datetime import UTC, datetime, timedelta

import pytest

from loyalty.audit.queries import EntryFilter, list_entries
from loyalty.crypto import use_keyring
from loyalty.db import transaction
from loyalty.ids import uuid7
from loyalty.ledger.queries import get_account
from loyalty.rewards.model_grants import GrantKind
from loyalty.rewards.operations.grants import give
from loyalty.rewards.queries.redeeming import points_of_card
from tests.web.office_desk import opened_office


@pytest.fixture(scope="module")
async def office(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_office(url, tmp_path_factory.mktemp("office"), with_sales=False) as opened:
        yield opened
    use_keyring(None)
    await databases.drop(url)


async def test_points_of_a_company_are_moved_to_its_main_card_with_a_reason(office):
    now = datetime.now(UTC) - timedelta(minutes=1)
    account_id = office.chain.ids["firm-main-account"]
    async with transaction(office.sessions) as session:
        facts = {"source": "tests", "kind": GrantKind.POINTS, "unit": "POINTS", "funders": [("head-office", 1)], "now": now}
        for points, days in ((800, 40), (434, 90)):
            ends = now + timedelta(days=days)
            await give(
                session, account_id=account_id, source_id=uuid7(now), rule="r", amount=points, active_at=now, expires_at=ends, **facts
            )
    desk = await office.at("office")
    firm = office.fill("/office/customers/{firm}")
    page = (await desk.get(firm)).text
    assert "1,234" in page
    assert "points-to-main-card" in page
    form = f"{firm}/points-to-main-card"
    wanted = {"account": str(account_id), "reason": "年会礼品"}
    much = await desk.send(form, wanted | {"points": "2,000"})
    assert (much.status_code, "可用积分不足" in much.text) == (409, True)
    nobody = await desk.send(form, wanted | {"account": "x", "reason": ""})
    assert nobody.status_code == 422
    assert (await desk.send(form, wanted | {"points": "1,000"})).headers["location"] == firm
    assert await on_card(office, account_id, now) == (1_000, 234)
    assert (await desk.send(form, wanted)).headers["location"] == firm
    assert await on_card(office, account_id, now) == (1_234, 0)
    assert "points-to-main-card" not in (await desk.get(firm)).text, "nothing is left to move"
    assert (await desk.get(form)).status_code == 409
    async with transaction(office.sessions) as session:
        told = (await list_entries(session, wanted=EntryFilter(action="rewards.points_gathered"))).rows
    assert [(entry.facts["points"], entry.facts["reason"]) for entry in told] == [(234, "年会礼品"), (1_000, "年会礼品")]


async def test_who_only_reads_moves_nothing(office):
    desk = await office.at("auditor")
    firm = office.fill("/office/customers/{firm}")
    assert "points-to-main-card" not in (await desk.get(firm)).text
    assert (await desk.get(f"{firm}/points-to-main-card")).status_code in {403, 404}


async def on_card(office, account_id, now) -> tuple[int, int]:
    async with transaction(office.sessions) as session:
        account = await get_account(session, account_id=account_id)
        card_id = office.chain.ids["firm-main"]
        held = [(await points_of_card(session, account=account, card_id=each, now=now)).available for each in (card_id, None)]
    return held[0], held[1]
