"""A month in the portal: asked for by the manager, agreed by the department, approved and loaded by finance, shown card by card."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from loyalty.clock import local_date
from loyalty.crypto import use_keyring
from loyalty.db import transaction
from loyalty.fleet.allocation_rules import span_of
from loyalty.fleet.operations.allocation_runs import load_run
from loyalty.fleet.queries.allocations import list_requests, runs_loading
from loyalty.policy import load_policy
from loyalty.stations.operations.calendar import seed_calendar
from loyalty.web.fleet import allocation_moves
from tests.factories.world import SYSTEM
from tests.web.fleet.portal import opened_portal

PATH = "/fleet/allocations"


@pytest.fixture(scope="module")
async def portal(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_portal(url, tmp_path_factory.mktemp("portal")) as found:
        async with transaction(found.sessions) as session:
            await seed_calendar(session, actor=SYSTEM, now=datetime.now(UTC))
            await session.execute(text("UPDATE companies SET mode = 'allocated', needs_records = false, needs_odometer = false"))
            await session.execute(text("DELETE FROM allocation_runs"))
            await session.execute(text("DELETE FROM allocation_requests"))
        yield found
        for browser in found.browsers.values():
            await browser.client.aclose()
    use_keyring(None)
    await databases.drop(url)


async def test_a_month_goes_through_the_portal(portal):
    firm = portal.firms["ours"]
    manager, head, finance = [await portal.at("ours", role) for role in ("fleet_manager", "department_head", "finance")]
    span = span_of(local_date(datetime.now(UTC), "Asia/Shanghai"), period_day=26)
    page = f"{PATH}?period={span.first.isoformat()}"
    assert "没有卡" in (await manager.get(page)).text

    answer = await manager.send(page, {}, to=f"{PATH}/propose")
    assert answer.headers["location"] == page
    async with portal.sessions() as session:
        first, second = sorted((await list_requests(session, company_id=firm.company_id)).rows, key=lambda one: one.department or "")
    amounts = {f"amount-{first.request_id}": "300", f"amount-{second.request_id}": "450.50"}
    wrong = await manager.send(page, {"verb": "save", f"amount-{first.request_id}": "abc"}, to=f"{PATH}/decide")
    assert (wrong.status_code, "不是有效金额" in wrong.text) == (422, True)
    assert (await manager.send(page, {"verb": "save", **amounts}, to=f"{PATH}/decide")).status_code == 303
    assert "450.50" in (await manager.get(page)).text
    assert (await manager.send(page, {"verb": "submit", "all": "1"}, to=f"{PATH}/decide")).status_code == 303

    # The head of the north sees and agrees to the north only; the manager, who may, to the south.
    shown = (await head.get(page)).text
    assert "300.00" in shown
    assert "450.50" not in shown
    assert (await head.send(page, {"verb": "department", "all": "1"}, to=f"{PATH}/decide")).status_code == 303
    assert (await head.send(page, {"verb": "approve", "all": "1"}, to=f"{PATH}/decide")).status_code == 403
    await manager.send(page, {"verb": "department", "all": "1"}, to=f"{PATH}/decide")
    assert (await finance.send(page, {"verb": "approve", "all": "1"}, to=f"{PATH}/decide")).status_code == 303

    # The company began after this period's check day: its run is put by hand.
    async with transaction(portal.sessions) as session:
        await session.execute(
            text(
                "INSERT INTO allocation_runs (run_id, company_id, kind, period_from, period_to, check_on, status, lines, loaded, refused, "
                "amount_minor, loaded_minor, gathered_minor, created_at) VALUES (uuidv7(), :company, 'monthly', :first, :end, :first, "
                "'prepared', 0, 0, 0, 0, 0, 0, now())"
            ),
            {"company": firm.company_id, "first": span.first, "end": span.end},
        )
    assert (await finance.send(page, {}, to=f"{PATH}/load")).status_code == 303
    assert "一分钟" in (await finance.get(page)).text or "即将" in (await finance.get(page)).text
    async with portal.sessions() as session:
        ((company_id, run_id),) = await runs_loading(session)
    assert (await finance.get(f"{PATH}/runs/{run_id}/progress")).status_code == 200
    policy = load_policy("cn-single-purpose")
    await load_run(portal.sessions, policy=policy, company_id=company_id, run_id=run_id, clock=lambda: datetime.now(UTC))
    assert (await finance.get(f"{PATH}/runs/{run_id}/progress")).headers["location"] == page
    done = (await finance.get(page)).text
    assert "已充入 ¥300.00" in done
    assert "750.50" in done


async def test_money_is_moved_by_hand_once_and_an_early_request_is_decided(portal):
    firm = portal.firms["ours"]
    finance, manager, head = [await portal.at("ours", role) for role in ("finance", "fleet_manager", "department_head")]
    sent = await finance.fields(f"{PATH}/moves") | {
        "direction": "allocated",
        "card": str(firm.ids["north-card"]),
        "amount": "100",
        "reason": "",
    }
    for _ in range(2):
        answer = await finance.client.post(f"{PATH}/moves", data=sent, follow_redirects=False)
        assert answer.status_code == 303, answer.text[:400]
    await finance.get(f"{PATH}/moves")  # says what was done; the next look has only the list
    assert (await finance.get(f"{PATH}/moves")).text.count("¥100.00") == 1
    theirs = sent | await finance.fields(f"{PATH}/moves") | {"card": str(portal.firms["theirs"].ids["north-card"])}
    assert (await finance.client.post(f"{PATH}/moves", data=theirs, follow_redirects=False)).status_code == 404

    asked = {"chain": str(firm.ids["south-card"]), "amount": "50", "reason": "长途"}
    assert (await head.send(f"{PATH}/early/new", asked)).status_code == 404
    async with transaction(portal.sessions) as session:
        await session.execute(text("UPDATE purses SET held_minor = balance_minor WHERE card_id IS NOT NULL"))
    answer = await manager.send(f"{PATH}/early/new", asked)
    assert answer.status_code == 303, answer.text[:400]
    address = answer.headers["location"]
    assert "长途" in (await manager.get(address)).text
    assert (await head.get(address)).status_code == 404
    request = {"request": address.rpartition("/")[2], "back": "early"}
    assert (await manager.send(address, request | {"verb": "department"}, to=f"{PATH}/decide")).status_code == 303
    assert (await finance.send(address, request | {"verb": "approve"}, to=f"{PATH}/decide")).headers["location"] == f"{PATH}/early"
    assert (await finance.send(f"{PATH}/early", {"kind": "early"}, to=f"{PATH}/load")).status_code == 303


async def test_where_cards_are_too_many_to_choose_from_one_is_named(portal, monkeypatch):
    monkeypatch.setattr(allocation_moves, "_CHOICES", 1)
    finance, manager, head = [await portal.at("ours", role) for role in ("finance", "fleet_manager", "department_head")]
    assert "后四位" in (await finance.get(f"{PATH}/moves")).text
    page = (await finance.get(f"{PATH}/moves?card={portal.firms['ours'].ids['north-card']}")).text
    assert "浙A12340" in page
    sent = {"direction": "allocated", "amount": "7.07", "reason": ""}
    assert (await finance.send(f"{PATH}/moves", sent | {"card": "浙a·12340"})).status_code == 303
    assert "¥7.07" in (await finance.get(f"{PATH}/moves")).text
    for nobody in ("沪B56780", "浙A99999", "0" * 30):
        assert (await finance.send(f"{PATH}/moves", sent | {"card": nobody})).status_code == 422
    asked = {"chain": "浙A12341", "amount": "50", "reason": "长途"}
    # What another test left: a card has one early request at a time, and asks where its own money is little.
    async with transaction(portal.sessions) as session:
        await session.execute(text("UPDATE allocation_requests SET status = 'withdrawn' WHERE kind = 'early' AND status <> 'loaded'"))
        await session.execute(text("UPDATE purses SET held_minor = balance_minor WHERE card_id IS NOT NULL"))
    # A head names the department's own cards only.
    assert (await head.send(f"{PATH}/early/new", asked)).status_code == 422
    answer = await manager.send(f"{PATH}/early/new", asked)
    assert answer.status_code == 303, answer.text[-800:]


async def test_the_table_is_typed_and_a_file_is_looked_at_before_it_is_taken(portal):
    owner = await portal.at("ours", "owner")
    table = {"lines": "truck, 0, 3.0, , 1500, 110\n, 0, , 200, ,\n"}
    assert (await owner.send(f"{PATH}/table", table)).status_code == 303
    assert "truck, 0, 3, , 1500, 110" in (await owner.get(f"{PATH}/table")).text
    assert (await owner.send(f"{PATH}/table", {"lines": "truck, x"})).status_code == 422
    assert (await owner.send(f"{PATH}/table", {"standing": "1", "early": "35"}, to=f"{PATH}/table/terms")).status_code == 303
    fields = await owner.fields(f"{PATH}/file")
    file = {"file": ("amounts.csv", "车牌,金额\n浙A12340,88\n浙A99999,1\n".encode(), "text/csv")}
    looked = await owner.client.post(f"{PATH}/file", data=fields | {"what": "look"}, files=file)
    assert looked.status_code == 200
    assert "浙A99999" in looked.text
