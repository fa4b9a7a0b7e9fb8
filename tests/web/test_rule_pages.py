"""Marketing works on the rules without a developer: the pages over HTTP, without JavaScript."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from loyalty.crypto import use_keyring
from tests.web.office_desk import opened_office

RULE = {
    "effect": "per_unit",
    "rate": "0.30",
    "goods": ["p:92"],
    "weekdays": ["1"],
    "least_quantity": "30",
    "code": "mondays-92",
    "name_zh": "周一 92 号",
    "name_en": "Mondays, 92",
    "priority": "100",
    "enabled": "1",
    "basis": "initial",
    "nth_per": "ever",
    "nth_of": "account",
    "funder-0-name": "head-office",
    "funder-0-parts": "80",
    "funder-1-name": "station",
    "funder-1-parts": "20",
    "cap-0-per": "day",
    "cap-0-of": "card",
    "cap-0-count": "1",
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
    return re.sub(r"<[^>]+>", " ", page)


async def started(desk) -> str:
    answer = await desk.send("/office/rules", {"note": "秋季"}, to="/office/rules/new")
    assert answer.status_code == 303, answer.text[:600]
    return answer.headers["location"]


async def test_a_rule_is_made_tried_ordered_submitted_and_approved(office):
    maker, checker = await office.at("office"), await office.at("finance")
    path = await started(maker)
    page = await maker.get(f"{path}/rules/new")
    assert page.status_code == 200
    assert 'name="rate"' in page.text
    assert 'name="percent"' not in page.text
    saved = await maker.send(f"{path}/rules/new", RULE)
    assert saved.status_code == 303, saved.text[:3000]
    page = (await maker.get(path)).text
    assert "92号汽油每升优惠 ¥0.30，全部油站，每周一，满 30 L，每卡每天最多 1 次；由总部、油站按 80 : 20 承担。" in words(page)
    other = RULE | {"code": "second", "name_en": "Second"}
    assert (await maker.send(f"{path}/rules/new", other)).status_code == 303
    moved = await maker.send(path, {"code": "second", "steps": "-1"}, to=f"{path}/order")
    assert moved.status_code == 303
    page = (await maker.get(path)).text
    assert page.index('id="r-second"') < page.index('id="r-mondays-92"')
    assert (await maker.send(path, {"note": "请批"}, to=f"{path}/submit")).status_code == 303
    assert "不能批准" in (await maker.get(path)).text
    assert (await maker.send(path, {"at": "", "version": "4"}, to=f"{path}/approve")).status_code == 403
    assert "等待批准" in words((await checker.get("/office/rules")).text)
    approved = await checker.send(path, {"at": "", "note": ""}, to=f"{path}/approve")
    assert approved.status_code == 303, approved.text[:600]
    home = (await maker.get("/office/rules")).text
    assert path in home.partition("已排定")[2]
    cancelled = await checker.send(path, {"reason": "推迟"}, to=f"{path}/cancel")
    assert cancelled.status_code == 303
    again = await maker.send(path, {"note": ""}, to="/office/rules/new")
    assert again.status_code == 303
    assert "mondays-92" in (await maker.get(again.headers["location"])).text


async def test_another_effect_brings_its_own_fields_and_keeps_what_was_typed(office):
    desk = await office.at("office")
    path = await started(desk)
    for effect, field in (
        ("percent", "percent"),
        ("fixed", "amount"),
        ("unit_price", "unit_price"),
        ("tiered", "band-1-worth"),
        ("bundle", "part-1-quantity"),
        ("bonus", "band-0-starts"),
        ("points", "points_step"),
        ("points_times", "points_times"),
        ("give", "thing"),
    ):
        shown = await desk.send(f"{path}/rules/new", RULE | {"effect": effect, "bonus_kind": "bands", "show": "fields"})
        assert shown.status_code == 200, effect
        assert f'name="{field}"' in shown.text, effect
        assert 'name="rate"' not in shown.text, effect
        assert 'value="Mondays, 92"' in shown.text, effect
        if effect == "tiered":
            assert 'value="whole" checked' in shown.text
        assert "is needed" not in shown.text
    more = await desk.send(f"{path}/rules/new", RULE | {"show": "rows"})
    assert more.text.count('name="cap-') > 4 * 2


async def test_faults_stand_beside_their_fields_and_nothing_is_lost(office):
    desk = await office.at("office")
    path = await started(desk)
    wrong = RULE | {"rate": "abc", "name_zh": "", "least_quantity": "40", "most_quantity": "30"}
    answer = await desk.send(f"{path}/rules/new", wrong)
    assert answer.status_code == 422
    assert 'id="f-rate-fault"' in answer.text
    assert 'id="f-name_zh-fault"' in answer.text
    assert 'value="abc"' in answer.text
    crossed = await desk.send(f"{path}/rules/new", RULE | {"least_quantity": "40", "most_quantity": "30"})
    assert crossed.status_code == 422
    assert 'id="f-most_quantity-fault"' in crossed.text
    assert (await desk.send(f"{path}/rules/new", RULE)).status_code == 303
    taken = await desk.send(f"{path}/rules/new", RULE)
    assert (taken.status_code, 'id="f-code-fault"' in taken.text) == (422, True)


async def test_a_basket_is_tried_beside_the_form(office):
    desk = await office.at("office")
    path = await started(desk)
    today = datetime.now(UTC).date()
    monday = today - timedelta(days=today.weekday())
    basket = {
        "try-station": "S1",
        "try-at": f"{monday:%Y-%m-%d}T10:00",
        "try-0-product": "92",
        "try-0-quantity": "40",
        "try-channel": "pay_after",
        "try-kind": "personal",
        "try-card": "",
        "try-tier": "",
    }
    shown = await desk.send(f"{path}/rules/new", RULE | basket | {"show": "try"})
    assert shown.status_code == 200
    tried = words(shown.text.partition('id="tried"')[2])
    assert "−¥12.00" in tried, tried[:800]
    few = await desk.send(f"{path}/rules/new", RULE | basket | {"try-0-quantity": "22"}, to=f"{path}/try")
    assert few.status_code == 200
    assert "需满 30，本次 22" in words(few.text)
    none = await desk.send(f"{path}/rules/new", RULE | basket | {"rate": ""}, to=f"{path}/try")
    assert "还不完整" in none.text


async def test_a_rule_is_changed_taken_out_and_put_back(office):
    desk = await office.at("office")
    path = await started(desk)
    await desk.send(f"{path}/rules/new", RULE)
    one = f"{path}/rules/mondays-92"
    page = await desk.get(one)
    assert 'value="0.30"' in page.text
    assert (await desk.send(one, RULE | {"rate": "0.35"})).status_code == 303
    assert "¥0.35" in (await desk.get(path)).text
    assert "effect.rate_e4" not in (await desk.get(path)).text
    removed = await desk.send(path, {}, to=f"{one}/remove")
    assert removed.status_code == 303
    assert 'id="r-mondays-92"' not in (await desk.get(path)).text


async def test_groups_budgets_and_campaigns_have_their_forms(office):
    desk = await office.at("office")
    path = await started(desk)
    named = {"name_zh": "秋季", "name_en": "Autumn"}
    group = named | {"code": "fuel", "mode": "best", "priority": "10", "cap-0-per": "month", "cap-0-of": "customer", "cap-0-amount": "50"}
    budget = named | {"code": "autumn", "unit": "minor", "total": "10,000"}
    campaign = named | {"code": "thanks", "held": "5", "starts_at": "2026-10-01T00:00", "ends_at": "2026-11-01T00:00"}
    for section, form in (("groups", group), ("budgets", budget), ("campaigns", campaign)):
        answer = await desk.send(f"{path}/{section}/new", form)
        assert answer.status_code == 303, answer.text[:900]
        page = await desk.get(f"{path}/{section}/{form['code']}")
        assert 'value="Autumn"' in page.text
        assert (await desk.send(f"{path}/{section}/{form['code']}", form)).status_code == 303
    rule = RULE | {"group": "fuel", "budget": "autumn", "campaign": "thanks"}
    assert (await desk.send(f"{path}/rules/new", rule)).status_code == 303
    page = words((await desk.get(path)).text)
    assert "¥10,000.00" in page
    assert "预算“秋季”" in page
    for section, form in (("groups", group), ("budgets", budget), ("campaigns", campaign)):
        assert (await desk.send(f"{path}/{section}/{form['code']}", {}, to=f"{path}/{section}/{form['code']}/remove")).status_code == 303
    page = (await desk.get(path)).text
    assert "需先改正" in page
    assert "没有预算“autumn”" in page


async def test_a_file_goes_out_and_comes_in(office):
    desk = await office.at("office")
    path = await started(desk)
    await desk.send(f"{path}/rules/new", RULE)
    text = (await desk.get(f"{path}/file")).text
    assert "rate_e4 = 3000" in text
    fields = await desk.fields("/office/rules/import")
    changed = text.replace("rate_e4 = 3000", "rate_e4 = 2500").encode()
    answer = await desk.client.post("/office/rules/import", data=fields | {"note": ""}, files={"file": ("rules.toml", changed)})
    assert answer.status_code == 303, answer.text[:600]
    page = (await desk.get(answer.headers["location"])).text
    assert "¥0.25" in page
    fields = await desk.fields("/office/rules/import")
    broken = await desk.client.post("/office/rules/import", data=fields | {"note": ""}, files={"file": ("rules.toml", b"rules = 3 3")})
    assert broken.status_code == 422


async def test_a_draft_left_behind_brings_in_what_is_live(office):
    maker, checker = await office.at("office"), await office.at("finance")
    mine, theirs = await started(maker), await started(maker)
    await maker.send(f"{mine}/rules/new", RULE | {"code": "both"})
    await maker.send(f"{theirs}/rules/new", RULE | {"code": "both", "rate": "0.10"})
    await maker.send(theirs, {}, to=f"{theirs}/submit")
    assert (await checker.send(theirs, {"at": ""}, to=f"{theirs}/approve")).status_code == 303
    page = (await maker.get(mine)).text
    assert f"{mine}/rebase" in page
    asked = (await maker.get(f"{mine}/rebase")).text
    assert "keep-rules-both" in asked
    assert (await maker.send(f"{mine}/rebase", {"keep-rules-both": "mine"})).status_code == 303
    assert "rebase" not in (await maker.get(mine)).text
    await checker.send(theirs, {"reason": "test"}, to=f"{theirs}/cancel")


@pytest.mark.parametrize(
    "path", ["/office/rules", "/office/rules/calendar", "/office/rules/budgets", "/office/rules/history", "/office/rules/1"]
)
async def test_everybody_reads_and_only_the_office_writes(office, path):
    for role in ("office", "finance", "auditor", "station", "cashier"):
        page = await (await office.at(role)).get(path)
        assert page.status_code == 200, role
        english = await (await office.at(role)).get(path, **{"accept-language": "en"})
        assert english.status_code == 200
    cashier = await office.at("cashier")
    assert (await cashier.get("/office/rules/import")).status_code == 403
    assert (await cashier.get("/office/discounts")).headers["location"] == "/office/rules"


async def test_an_approved_rulebook_is_not_edited(office):
    desk = await office.at("office")
    assert (await desk.get("/office/rules/1/rules/new")).status_code == 409
