"""Company agreements in the office, by page and over JSON: drafted, changed, approved by another, ended, and seen on a sale."""

import re
import tomllib
from uuid import uuid4

import pytest
from sqlalchemy import text

from loyalty.authorizations.queries import SaleLine, SaleView
from loyalty.crypto import use_keyring
from loyalty.db import transaction
from loyalty.web.office.sale_amounts import amounts_of
from tests.web.office_desk import opened_office

FORM = {
    "code": "yunshu-2026",
    "name_zh": "运输协议价",
    "name_en": "Transport prices",
    "currency": "CNY",
    "funder": "head-office",
    "starts_at": "2026-01-01T00:00",
    "ends_at": "",
    "after": "0",
    "line-0-kind": "discount",
    "line-0-value": "0.30",
    "line-0-product": "92",
    "line-0-station": "",
}


@pytest.fixture(scope="module")
async def office(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_office(url, tmp_path_factory.mktemp("office"), with_sales=False) as office:
        yield office
        for desk in office.desks.values():
            await desk.client.aclose()
    use_keyring(None)
    await databases.drop(url)


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


async def drafted(desk, office, **more) -> str:
    """Draft an agreement by its form; return its page's address."""
    page = office.fill("/office/agreements/new?customer={firm}")
    answer = await desk.send(page, FORM | {"code": f"a-{uuid4().hex[:12]}"} | more, to="/office/agreements/new")
    assert answer.status_code == 303, answer.text[:3000]
    return answer.headers["location"]


async def test_an_agreement_is_drafted_changed_approved_and_ended(office):
    maker, checker = await office.at("office"), await office.at("finance")
    path = await drafted(maker, office)
    page = words((await maker.get(path)).text)
    assert "92号汽油 · 全部油站" in page
    # 100 L of 92 at 7.89, and 30 fen a litre less.
    assert "¥789.00 ¥759.00 −¥30.00" in page
    assert "待审批" in page
    assert (await maker.send(path, {}, to=f"{path}/approve")).status_code == 403
    more = FORM | {"line-1-kind": "price", "line-1-value": "7.5000", "line-1-product": "0", "line-1-station": "", "lowest_wins": "1"}
    changed = await maker.send(f"{path}/edit", more)
    assert changed.status_code == 303, changed.text[:3000]
    approved = await checker.send(path, {}, to=f"{path}/approve")
    assert approved.status_code == 303, approved.text[:600]
    page = words((await maker.get(path)).text)
    assert "进行中" in page
    assert "协议与规则中较低者" in page
    assert (await maker.get(f"{path}/edit")).status_code == 409
    async with transaction(office.sessions) as session:
        kept = await session.scalar(
            text("SELECT agreement->-1->'lines' FROM standings WHERE customer_id = :c"), {"c": office.chain.ids["firm"]}
        )
    assert kept == [{"kind": "discount", "value_e4": 3_000, "product": "92"}, {"kind": "price", "value_e4": 75_000, "product": "0"}]
    assert (await checker.send(path, {"reason": ""}, to=f"{path}/end")).status_code == 422
    assert (await checker.send(path, {"reason": "合同解除"}, to=f"{path}/end")).status_code == 303
    page = words((await checker.get(path)).text)
    assert "合同解除" in page
    assert "已结束" in page


async def test_a_next_revision_takes_its_lines_along(office):
    maker, checker = await office.at("office"), await office.at("finance")
    path = await drafted(maker, office)
    await checker.send(path, {}, to=f"{path}/approve")
    page = f"/office/agreements/new?like={path.rpartition('/')[2]}"
    form = (await maker.get(page)).text
    assert 'name="line-0-value" type="text" value="0.30"' in form
    code = re.search(r'name="code" type="text" value="([^"]+)"', form)[1]
    data = FORM | {"code": code, "starts_at": "2030-01-01T00:00"}
    del data["after"]
    second = await maker.send(page, data, to="/office/agreements/new")
    assert second.status_code == 303, second.text[:2000]
    again = await maker.send(page, data | {"after": "1"}, to="/office/agreements/new")
    assert again.status_code == 409, "the next revision is drafted already"
    await checker.send(second.headers["location"], {}, to=f"{second.headers['location']}/approve")
    page = words((await maker.get(path)).text)
    assert "修订" in page
    assert "将生效" in page


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"line-0-value": ""}, "f-line-0-value"),
        ({"line-0-value": "0.30001"}, "f-line-0-value"),
        ({"line-0-value": "-1"}, "f-line-0-value"),
        ({"line-0-value": "", "line-0-product": ""}, "f-line-0-value"),
        ({"line-1-kind": "price", "line-1-value": "7", "line-1-product": "92"}, "f-line-1-value"),
        ({"code": "Yun Shu"}, "f-code"),
        ({"ends_at": "2025-01-01T00:00"}, "f-ends_at"),
        ({"name_zh": ""}, "f-name_zh"),
    ],
)
async def test_what_is_wrong_stands_beside_its_field_and_nothing_is_kept(office, more, fault):
    desk = await office.at("office")
    page = office.fill("/office/agreements/new?customer={firm}")
    answer = await desk.send(page, FORM | {"code": "never"} | more, to="/office/agreements/new")
    assert answer.status_code == 422
    assert f'href="#{fault}"' in answer.text
    assert "never" in answer.text or "code" in more
    async with transaction(office.sessions) as session:
        assert await session.scalar(text("SELECT count(*) FROM agreements WHERE code = 'never'")) == 0


async def test_rows_and_examples_come_without_anything_being_kept(office):
    desk = await office.at("office")
    page = office.fill("/office/agreements/new?customer={firm}")
    answer = await desk.send(page, FORM | {"show": "rows"}, to="/office/agreements/new")
    assert (answer.status_code, answer.text.count('name="line-6-value"')) == (200, 1)
    for row, said in (
        ({}, "¥789.00 ¥759.00 −¥30.00"),
        ({"line-0-kind": "surcharge"}, "¥789.00 ¥819.00 +¥30.00"),
        ({"line-0-kind": "price", "line-0-value": "8"}, "¥789.00 ¥800.00 +¥11.00"),
        ({"line-0-product": "gone"}, "今日无站销售"),
        ({"line-0-value": "x"}, "输入价格"),
    ):
        shown = await desk.send(page, FORM | row, to="/office/agreements/examples")
        assert said in words(shown.text), row


PAGES = {
    "/office/agreements": {"office", "finance", "auditor", "cashier"},
    "/office/agreements?state=running": {"office"},
    "/office/agreements.csv": {"office", "finance"},
    "/office/agreements/new": {"office"},
    "/office/agreements/new?customer={firm}": {"office"},
    "/office/customers/{firm}": {"office", "finance"},
}


@pytest.mark.parametrize("path", PAGES)
async def test_who_may_sees_the_page_in_both_languages(office, path):
    for name in PAGES[path]:
        for language in ("zh", "en"):
            answer = await (await office.at(name)).get(office.fill(path), **{"accept-language": language})
            assert answer.status_code == 200, (path, name, answer.status_code)
    if "/new" in path:
        assert (await (await office.at("auditor")).get(office.fill(path))).status_code == 403


async def test_it_goes_the_whole_way_over_json(office):
    maker, checker = (await office.at("office")).client, (await office.at("finance")).client

    async def ask(client, method, path="", body=None, status=200):
        headers = {"x-csrf-token": client.cookies.get("office-form")}
        answer = await client.request(method, f"/office/api/agreements{path}", json=body, headers=headers)
        assert answer.status_code == status, answer.text[:600]
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text

    firm = str(office.chain.ids["firm"])
    agreement = {
        "code": "over-json",
        "customer_id": firm,
        "name_zh": "协议",
        "name_en": "Deal",
        "starts_at": "2026-01-01T00:00:00+08:00",
        "lines": [{"kind": "price", "value_e4": 75_000, "product": "92"}],
    }
    made = (await ask(maker, "POST", "", {"agreement": agreement, "after": 0}, 201))["agreement_id"]
    assert "agreement_moved_on" in (await ask(maker, "POST", "", {"agreement": agreement, "after": 0}, 409))["type"]
    await ask(maker, "PUT", f"/{made}", {"agreement": agreement | {"lowest_wins": True}})
    await ask(maker, "PUT", f"/{made}", {"agreement": agreement | {"lines": []}}, 400)
    await ask(maker, "POST", f"/{made}/approval", status=403)
    await ask(checker, "POST", f"/{made}/approval", status=204)
    whole = await ask(maker, "GET", f"/{made}")
    assert (whole["state"], whole["agreement"]["lowest_wins"]) == ("running", True)
    assert (whole["examples"][0]["pump_minor"], whole["examples"][0]["customer_minor"]) == (78_900, 75_000)
    listed = await ask(maker, "GET", "?state=running&text=over-json")
    assert [one["agreement_id"] for one in listed["items"]] == [made]
    filed = tomllib.loads(await ask(maker, "GET", "/file"))["agreements"]
    assert [one["customer"] for one in filed if one["code"] == "over-json"] == [firm]
    await ask(maker, "PUT", f"/{made}", {"agreement": agreement}, 409)
    await ask(checker, "POST", f"/{made}/end", {"reason": "over"}, 204)
    assert (await ask(maker, "GET", f"/{made}"))["state"] == "ended"
    await ask(maker, "GET", f"/{uuid4()}", status=404)


STATION = uuid4()


def sold(gross_minor: int, discount_minor: int, *benefits) -> SaleView:
    """Return a sale as the page reads it: `benefits` are (kind, given, funders)."""
    facts = dict.fromkeys(SaleLine.__struct_fields__)
    line = SaleLine(**facts | {"station_id": STATION, "gross_minor": gross_minor, "discount_minor": discount_minor, "currency": "CNY"})
    kept = [{"kind": kind, "given": given, "funders": funders} for kind, given, funders in benefits]
    return SaleView(sale=line, lines=[], tenders=[], benefits=kept, detail={}, fill_id=None, transfers=[], refunds=[])


@pytest.mark.parametrize(
    ("one", "amounts"),
    [
        # 157.80 at the pump, 7.80 off, borne 80 : 20 by head office and the station itself.
        (
            sold(15_780, 780, ("discount", 780, [["head-office", 624], [f"station:{STATION}", 156]])),
            (15_780, 15_000, 15_624, {"head-office": 624, f"station:{STATION}": 156}),
        ),
        # 2.00 on top, kept by head office; the points bear no money.
        (
            sold(15_980, 0, ("surcharge", 200, [["head-office", 200]]), ("points", 159, [["head-office", 159]])),
            (15_780, 15_980, 15_780, {"head-office": -200}),
        ),
        # A discount by another station's campaign, and one that the release before kept.
        (sold(10_000, 300, ("discount", 300, [["station:other", 300]])), (10_000, 9_700, 10_000, {"station:other": 300})),
        (sold(10_000, 300, ("discount", None, [["issuer", None]])), (10_000, 9_700, 10_000, {"issuer": 300})),
        (sold(10_000, 0), (10_000, 10_000, 10_000, {})),
    ],
)
def test_a_sale_has_three_amounts_and_somebody_bears_the_difference(one, amounts):
    found = amounts_of(one)
    assert found == amounts
    assert found.pump_minor - found.customer_minor == sum(found.borne.values())
