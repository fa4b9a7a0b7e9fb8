"""What the office does: each act with its permission, once, and taken back where it can be."""

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from loyalty.authorizations.operations.holds import expire_holds
from loyalty.crypto import use_keyring
from loyalty.db import transaction
from loyalty.fleet.operations.companies import make_company
from tests.factories.world import SYSTEM
from tests.web.office_chain import code_now
from tests.web.office_desk import opened_office


@pytest.fixture(scope="module")
async def office(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_office(url, tmp_path_factory.mktemp("office")) as office:
        yield office
        for desk in office.desks.values():
            await desk.client.aclose()
    use_keyring(None)
    await databases.drop(url)


async def one(office, sentence: str, **values):
    async with transaction(office.sessions) as session:
        return (await session.execute(text(sentence), values)).scalar()


async def fresh(office, name: str):
    """Return a desk whose second factor was just given."""
    desk = await office.at(name)
    await one(
        office,
        "UPDATE user_sessions SET stepped_up_at = now() WHERE staff_id = :s AND stage = 'open' RETURNING 1",
        s=office.chain.people[name],
    )
    return desk


async def test_a_form_that_is_not_ours_does_nothing(office):
    desk = await office.at("office")
    path = office.fill("/office/cards/{zhang-card}/suspend")
    fields = await desk.fields(path)
    for data, headers in (
        ({"reason": "x"}, {}),
        (fields | {"reason": "x", "csrf_token": "0" * 32}, {}),
        (fields | {"reason": "x"}, {"origin": "https://evil.example"}),
        (fields | {"reason": "x"}, {"sec-fetch-site": "cross-site"}),
    ):
        answer = await desk.client.post(path, data=data, headers=headers, follow_redirects=False)
        assert answer.status_code == 403
    assert await one(office, "SELECT status FROM cards WHERE card_id = :c", c=office.chain.ids["zhang-card"]) == 2


async def test_a_form_sent_twice_at_once_has_one_effect(office):
    desk = await office.at("office")
    fields = await desk.fields("/office/customers/new?kind=person")
    data = fields | {"kind": "person", "name": "双击测试", "locale": "zh_CN", "phone": ""}
    answers = await asyncio.gather(*(desk.client.post("/office/customers/new", data=data, follow_redirects=False) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {303}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert await one(office, "SELECT count(*) FROM customers WHERE name = '双击测试'") == 1


async def test_what_is_wrong_is_said_field_by_field_and_nothing_is_done(office):
    desk = await office.at("office")
    answer = await desk.send("/office/customers/new?kind=person", {"name": "", "birthday": "gestern"}, to="/office/customers/new")
    assert answer.status_code == 422
    assert answer.text.count("<li>") == 2
    fragment = await desk.send(
        "/office/customers/new?kind=person", {"name": ""}, to="/office/customers/new", **{"hx-request": "true", "accept-language": "en"}
    )
    assert fragment.headers["hx-retarget"] == "#problem"
    assert 'href="#f-name"' in fragment.text


async def test_a_card_is_suspended_and_the_toast_takes_it_back(office):
    desk = await office.at("office")
    path = office.fill("/office/cards/{li-card}")
    done = await desk.send(f"{path}/suspend", {"reason": "持卡人要求"})
    assert done.headers["location"] == path
    page = (await desk.get(path)).text
    assert f'action="{path}/resume"' in page
    back = await desk.send(f"{path}/resume", {"reason": "undo"})
    assert back.status_code == 303
    assert await one(office, "SELECT status FROM cards WHERE card_id = :c", c=office.chain.ids["li-card"]) == 2


async def test_limits_are_added_in_words_and_taken_away(office):
    desk = await office.at("office")
    path = office.fill("/office/cards/{zhang-card}")
    for kind, fields in (
        ("amount", {"window": "day", "value": "1,500.00", "reaction": "block"}),
        ("hours", {"from_time": "06:00", "to_time": "20:00", "days": ["1", "2", "3"], "reaction": "flag"}),
        ("grades", {"codes": ["92", "95"], "reaction": "block"}),
        ("plate", {"codes": "沪A12345", "reaction": "block"}),
    ):
        answer = await desk.send(f"{path}/limits/new?kind={kind}", {"kind": kind} | fields, to=f"{path}/limits/new")
        assert answer.status_code == 303, answer.text[:800]
    page = (await desk.get(path)).text
    for words in ("最多 ¥1,500.00", "06:00–20:00", "92, 95", "沪A12345"):
        assert words in page
    limit = page.partition(f"{path}/limits/")[2].partition("/end")[0].rpartition("/")[2]
    if limit == "new":
        limit = page.split(f"{path}/limits/")[2].partition("/end")[0]
    assert (await desk.send(f"{path}/limits/{limit}/end", {})).status_code == 303


async def test_a_number_in_clear_needs_the_second_factor_again_and_leaves_a_trace(office):
    desk = await office.at("office")
    staff = office.chain.people["office"]
    path = office.fill("/office/customers/{zhang}/documents/{zhang-document}/reveal")
    await one(office, "UPDATE user_sessions SET stepped_up_at = stepped_up_at - interval '1 hour' WHERE staff_id = :s RETURNING 1", s=staff)
    asked = await desk.send(path, {"reason": "公安协查"}, **{"hx-request": "true"})
    assert asked.status_code == 403
    assert asked.headers["x-step-up"] == "needed"
    assert "34052419800101001X" not in asked.text
    page = await desk.fields(path)
    wrong = await desk.client.post("/office/step-up", data={"csrf_token": page["csrf_token"], "code": "000000"}, follow_redirects=False)
    assert wrong.status_code == 403
    later = code_now(datetime.now(UTC) + timedelta(seconds=30))
    right = await desk.client.post(
        "/office/step-up", data={"csrf_token": page["csrf_token"], "code": later}, headers={"hx-request": "true"}, follow_redirects=False
    )
    assert right.status_code == 200
    assert right.headers["hx-trigger"] == "stepped-up"
    shown = await desk.client.post(path, data=page | {"reason": "公安协查"}, follow_redirects=False)
    assert "34052419800101001X" in shown.text
    seen = await one(
        office, "SELECT facts->>'reason' FROM audit_entries WHERE action = 'customers.identifier_viewed' ORDER BY entry_id DESC LIMIT 1"
    )
    assert seen == "公安协查"


async def test_a_maker_does_not_check_and_a_checker_books(office):
    maker, checker = await fresh(office, "office"), await fresh(office, "finance")
    path = office.fill("/office/adjustments/{adjustment}")
    assert f'action="{path}/approve"' not in (await maker.get(path)).text
    account = office.chain.ids["li-card-account"]
    before = await one(office, "SELECT balance_minor FROM purses WHERE account_id = :a AND kind = 1", a=account)
    assert (await checker.send(path, {}, to=f"{path}/approve")).status_code == 303
    after = await one(office, "SELECT balance_minor FROM purses WHERE account_id = :a AND kind = 1", a=account)
    assert after - before == 1_500


async def test_a_proposal_can_be_taken_back(office):
    maker = await fresh(office, "office")
    account = office.chain.ids["zhang-card-account"]
    made = await maker.send(
        f"/office/adjustments/new?account={account}",
        {"kind": "credit", "amount": "12.34", "code": "goodwill", "note": "测试"},
        to="/office/adjustments/new",
    )
    assert made.status_code == 303, made.text[:500]
    where = made.headers["location"]
    assert (await maker.send(where, {}, to=f"{where}/withdraw")).status_code == 303
    assert "已撤回" in (await maker.get(where)).text


async def test_a_bank_transfer_counts_when_its_line_is_exact(office):
    desk = await fresh(office, "finance")
    path = office.fill("/office/transfers/{pending}")
    line = {"line": "2026-0091", "day": "2026-11-20", "amount": "11,999.99"}
    assert (await desk.send(path, line, to=f"{path}/confirm")).status_code in {409, 422}
    done = await desk.send(path, line | {"amount": "12,000.00"}, to=f"{path}/confirm")
    assert done.status_code == 303, done.text[:500]
    assert await one(office, "SELECT status FROM topups WHERE topup_id = :t", t=office.chain.ids["pending"]) == "booked"


async def test_a_freeze_is_carried_out_and_lifted_on_its_document(office):
    desk = await fresh(office, "office")
    account = office.chain.ids["li-card-account"]
    order = {"authority": "滨江区人民法院", "document": "(2026)执字第 7 号", "officer": "郑法官", "scope": "amount", "amount": "100.00"}
    answer = await desk.send(f"/office/freezes/new?account={account}", order, to="/office/freezes/new")
    assert answer.status_code == 303, answer.text[:500]
    freeze = await one(office, "SELECT freeze_id FROM freezes WHERE account_id = :a", a=account)
    assert (await desk.send(f"/office/freezes/{freeze}/lift", {"document": "(2026)解字第 7 号"})).status_code == 303
    assert await one(office, "SELECT status FROM freezes WHERE freeze_id = :f", f=freeze) == "lifted"


async def test_prices_are_shown_before_they_are_published(office):
    desk = await fresh(office, "office")
    known = await one(office, "SELECT count(*) FROM station_prices")
    tomorrow = (datetime.now(UTC) + timedelta(days=5)).strftime("%Y-%m-%d 00:00")
    rows = f"station,product,price,effective_from\nS2,92,7.99,{tomorrow}\nS9,92,7.99,{tomorrow}\nS2,95,acht,{tomorrow}\n"
    fields = await desk.fields("/office/prices/file")
    shown = await desk.client.post(
        "/office/prices/file/preview", data=fields, files={"file": ("p.csv", rows.encode(), "text/csv")}, follow_redirects=False
    )
    assert shown.status_code == 200, shown.text[:500]
    assert "将发布 1 条" in shown.text
    assert "无此油站" in shown.text
    assert await one(office, "SELECT count(*) FROM station_prices") == known
    form = shown.text.partition('action="/office/prices/publish"')[2]
    ready = form.partition('name="rows" value="')[2].partition('"')[0].replace("&#34;", '"')
    key = form.partition('name="idempotency_key" value="')[2].partition('"')[0]
    done = await desk.client.post(
        "/office/prices/publish", data={"csrf_token": fields["csrf_token"], "idempotency_key": key, "rows": ready}, follow_redirects=False
    )
    assert done.status_code == 303, done.text[:500]
    assert await one(office, "SELECT count(*) FROM station_prices") == known + 1
    price = await one(office, "SELECT price_id FROM station_prices ORDER BY published_at DESC LIMIT 1")
    assert (await desk.send(f"/office/prices/{price}/withdraw", {})).status_code == 303


async def test_a_price_is_published_by_form(office):
    desk = await fresh(office, "office")
    at = (datetime.now(UTC) + timedelta(days=6)).strftime("%Y-%m-%dT00:00")
    shown = await desk.send(
        "/office/prices/new", {"stations": ["S1", "S3"], "product": "0", "price": "7.6543", "from": at}, to="/office/prices/preview"
    )
    assert "将发布 2 条" in shown.text


async def test_a_till_is_added_enrolled_once_and_quarantined_at_once(office):
    desk = await fresh(office, "office")
    station = office.fill("/office/stations/{S3}")
    made = await desk.send(f"{station}/terminals/new", {"code": "C9", "kind": "counter", "most": "2,000.00", "offline": ""})
    assert made.status_code == 303, made.text[:500]
    till = made.headers["location"]
    issued = await desk.send(f"{till}/enrol", {"use": "browser"})
    assert issued.status_code == 200
    assert "data-ends" in issued.text
    code = issued.text.partition('hero-number">')[2].partition("<")[0]
    assert len(code) > 20
    assert code not in (await desk.get(till)).text
    assert (await desk.send(f"{till}/quarantined", {"reason": "记录矛盾"})).status_code == 303
    assert await one(office, "SELECT status FROM terminals WHERE code = 'C9'") == "quarantined"


async def test_staff_are_hired_given_a_role_a_log_in_and_let_go(office):
    desk = await fresh(office, "office")
    made = await desk.send("/office/staff/new", {"number": "E0777", "name": "测试员", "station": "", "phone": "", "locale": "zh_CN"})
    assert made.status_code == 303, made.text[:500]
    person = made.headers["location"]
    role = await desk.send(f"{person}/roles/new", {"role": "cashier", "scope": f"station:{office.chain.stations[0]}", "from": "", "to": ""})
    assert role.status_code == 303, role.text[:500]
    given = await desk.send(f"{person}/log-in", {"name": "tester"})
    assert given.status_code == 200
    assert "tester" in given.text
    assert (await desk.send(f"{person}/leave", {})).status_code == 303
    assert await one(office, "SELECT status FROM staff WHERE employee_number = 'E0777'") == "left"


async def test_blank_cards_are_produced_sent_received_and_counted(office):
    desk = await office.at("office")
    product = office.chain.world.card_product_ids["personal"]
    assert (await desk.send("/office/stock/produce", {"product": product, "count": "5", "to": ""})).status_code == 303
    to = office.chain.stations[2]
    assert (await desk.send("/office/stock/send", {"product": product, "count": "4", "from": "", "to": to, "note": ""})).status_code == 303
    move = await one(office, "SELECT move_id FROM card_stock_moves WHERE to_station_id = :s", s=to)
    assert (await desk.send(f"/office/stock/{move}/receive", {})).status_code == 303
    assert (await desk.send("/office/stock/count", {"product": product, "count": "3", "to": to, "note": "盘点"})).status_code == 303
    assert await one(office, "SELECT count(*) FROM cards WHERE station_id = :s AND status = 0", s=to) == 4


async def test_a_product_is_made(office):
    desk = await fresh(office, "office")
    terms = {
        "code": "gift",
        "kind": "anonymous",
        "currency": "CNY",
        "bin": "8820",
        "name_zh": "礼品卡",
        "name_en": "Gift card",
        "order": "bonus_expiring,principal,bonus",
        "issue_fee": "0",
        "replacement_fee": "0",
        "validity": "36",
        "fill_amount": "0",
        "fill_quantity": "0",
        "day_amount": "0",
        "day_quantity": "0",
        "day_count": "0",
        "station_amount": "0",
        "shrink": "0",
    }
    made = await desk.send("/office/card-products/new", terms)
    assert made.status_code == 303, made.text[:800]
    page = await desk.get(made.headers["location"])
    assert "礼品卡" in page.text


async def test_two_records_become_one_and_two_again(office):
    desk = await office.at("office")
    first, second = office.chain.ids["zhang"], office.chain.ids["twin"]
    listed = (await desk.get("/office/merge-suggestions.csv")).content.decode("utf-8-sig")
    assert "张伟" in listed
    assert list(csv.reader(io.StringIO(listed)))
    suggestion = await one(office, "SELECT suggestion_id FROM merge_suggestions LIMIT 1")
    page = f"/office/merge-suggestions/{suggestion}?first={first}&second={second}"
    merged = await desk.send(page, {"first": first, "second": second, "kept": first, "reason": "同一人"}, to="/office/merges")
    assert merged.status_code == 303, merged.text[:500]
    merge = await one(office, "SELECT merge_id FROM customer_merges LIMIT 1")
    assert (await desk.send(f"/office/merges/{merge}/undo", {"reason": "弄错"})).status_code == 303


async def test_an_unresolved_fill_is_released_by_who_is_responsible(office):
    manager = await office.at("station")
    account = office.chain.ids["firm-main-account"]
    waiting = await one(office, "SELECT authorization_id FROM authorizations WHERE account_id = :a AND status = 9", a=account)
    path = f"/office/unresolved/{account}/{waiting}"
    assert (await (await office.at("office")).get(path)).status_code == 200
    done = await manager.send(path, {"evidence": "监控 10:32，未提枪"}, to=f"{path}/release")
    assert done.status_code == 303, done.text[:500]
    assert await one(office, "SELECT status FROM authorizations WHERE authorization_id = :i", i=waiting) == 8


async def test_an_unresolved_fill_is_completed_from_the_pumps_record(office):
    manager = await office.at("station")
    account = office.chain.ids["zhang-card-account"]
    async with transaction(office.sessions) as session:
        await session.execute(text("UPDATE authorizations SET expires_at = booked_at WHERE account_id = :a AND status = 1"), {"a": account})
        await expire_holds(session, now=datetime.now(UTC))
    waiting = await one(office, "SELECT authorization_id FROM authorizations WHERE account_id = :a AND status = 9", a=account)
    path = f"/office/unresolved/{account}/{waiting}"
    record = {"quantity": "10", "price": "7.89", "amount": "78.90", "at": "2026-11-20T10:00", "evidence": "油枪流水 0417"}
    done = await manager.send(path, record, to=f"{path}/complete")
    assert done.status_code == 303, done.text[:500]
    assert await one(office, "SELECT status FROM authorizations WHERE authorization_id = :i", i=waiting) == 6
    assert await one(office, "SELECT gross_minor FROM sales WHERE authorization_id = :i", i=waiting) == 7_890


async def test_a_sale_is_refunded_in_parts_by_who_may(office):
    manager, reader = await office.at("station"), await office.at("finance")
    listed = (await manager.get("/office/sales")).text
    path = "/office/sales/" + listed.partition('href="/office/sales/')[2].partition('"')[0]
    assert (await reader.get(path)).status_code == 200
    assert (await reader.get(f"{path}/refund")).status_code == 403
    assert (await manager.send(f"{path}/refund", {"amount": "9,999.00", "reason": "计量误差"})).status_code in {409, 422}
    done = await manager.send(f"{path}/refund", {"amount": "10.00", "reason": "计量误差"})
    assert done.status_code == 303, done.text[:500]
    page = (await manager.get(path)).text
    assert "部分退款" in page
    assert "计量误差" in page


async def test_a_password_is_changed_and_other_sessions_end(office):
    desk = office.stranger("auditor")
    await desk.log_in()
    wrong = await desk.send(
        "/office/me/password", {"present": "no", "password": "nine calm forests meet", "again": "nine calm forests meet"}
    )
    assert wrong.headers["location"] == "/office/me/password"
    listed = (await desk.get("/office/me")).text
    assert "testclient" in listed or "python-httpx" in listed


async def test_terms_on_account_are_proposed_by_one_and_approved_by_another(office):
    maker, checker = await fresh(office, "office"), await fresh(office, "finance")
    firm, account = office.chain.ids["firm"], office.chain.ids["firm-truck-account"]
    async with transaction(office.sessions) as session:
        await make_company(session, customer_id=firm, account_id=account, actor=SYSTEM, now=datetime.now(UTC) - timedelta(days=1))
    base = f"/office/customers/{firm}/credit"
    terms = {"limit": "20,000.00", "terms": "15", "block": "10", "note": "合同 2026-07"}
    assert (await maker.send(f"{base}/new", terms | {"terms": "400"})).status_code == 422
    assert (await maker.send(f"{base}/new", terms)).status_code == 303
    assert f"{base}/approved" not in (await maker.get(base)).text
    waiting = (await checker.get(base)).text
    assert "20,000.00" in waiting
    assert f"{base}/approved" in waiting
    assert (await checker.send(f"{base}/approved", {})).status_code == 303
    assert await one(office, "SELECT limit_minor FROM company_credits WHERE company_id = :c", c=firm) == 2_000_000
    limit = "SELECT max(credit_limit_minor) FROM purses WHERE account_id = :a AND kind = 1 AND card_id IS NULL"
    assert await one(office, limit, a=account) == 2_000_000
    assert "20,000.00" in (await checker.get("/office/receivables")).text
    assert (await maker.send(f"{base}/new", terms | {"limit": "0"})).status_code == 303
    assert (await maker.send(f"{base}/withdrawn", {})).status_code == 303
