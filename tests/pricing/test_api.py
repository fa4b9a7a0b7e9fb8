"""Rulebooks over JSON: the office's session and token, every operation, and who may what."""

import tomllib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from loyalty.crypto import use_keyring
from tests.web.office_desk import Office, opened_office

RULE = {
    "code": "mondays-92",
    "name_zh": "周一 92 号",
    "name_en": "Mondays, 92",
    "when": {"products": ["92"], "weekdays": [1], "least_quantity_milli": 30000},
    "effect": {"kind": "per_unit", "rate_e4": 3000},
    "funders": [{"funder": "head-office", "parts": 80}, {"funder": "station", "parts": 20}],
}
GROUP = {"code": "fuel", "name_zh": "油品", "name_en": "Fuel", "mode": "best"}
BUDGET = {"code": "autumn", "name_zh": "秋季", "name_en": "Autumn", "total": 1_000_000}
CAMPAIGN = {"code": "thanks", "name_zh": "感恩月", "name_en": "Thank-you month", "hold_out_basis_points": 500}


class Api:
    """One person's requests, with the form token that the pages carry."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def __call__(self, method: str, path: str = "", body: Any = None, *, status: int = 200, token: str | None = None) -> Any:
        sent = token if token is not None else self.client.cookies.get("office-form")
        headers = {"x-csrf-token": sent or ""}
        answer = await self.client.request(method, f"/office/api/rulebooks{path}", json=body, headers=headers)
        assert answer.status_code == status, (answer.status_code, answer.text[:600])
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text


@pytest.fixture(scope="module")
async def office(databases, tmp_path_factory) -> AsyncIterator[Office]:
    url = await databases.clone()
    async with opened_office(url, tmp_path_factory.mktemp("office"), with_sales=False) as office:
        yield office
        for desk in office.desks.values():
            await desk.client.aclose()
    use_keyring(None)
    await databases.drop(url)


@pytest.fixture
async def maker(office) -> Api:
    return Api((await office.at("office")).client)


@pytest.fixture
async def checker(office) -> Api:
    return Api((await office.at("finance")).client)


async def test_a_rulebook_goes_the_whole_way(maker, checker):
    draft = await maker("POST", body={"note": "秋季", "empty": True}, status=201)
    number, path = draft["number"], f"/{draft['number']}"
    for section, name, part in (("groups", "group", GROUP), ("budgets", "budget", BUDGET), ("campaigns", "campaign", CAMPAIGN)):
        draft = await maker("PUT", f"{path}/{section}/{part['code']}", {"version": draft["version"], name: part})
    more = {"group": "fuel", "budget": "autumn", "campaign": "thanks"}
    draft = await maker("PUT", f"{path}/rules/mondays-92", {"version": draft["version"], "rule": RULE | more})
    draft = await maker("PUT", f"{path}/rules/b", {"version": draft["version"], "rule": RULE | {"code": "b", "group": "fuel"}})
    draft = await maker("POST", f"{path}/order", {"version": draft["version"], "code": "mondays-92", "steps": -1})
    whole = await maker("GET", path)
    assert (whole["book"]["status"], whole["book"]["rules"], whole["faults"]) == ("draft", 2, [])
    assert whole["document"]["rules"][1]["priority"] < 100
    changes = await maker("GET", f"{path}/changes")
    assert {(change["section"], change["how"]) for change in changes} >= {("rules", "added"), ("groups", "added")}

    await maker("POST", f"{path}/submission", {"version": draft["version"], "note": "请批"})
    assert (await maker("POST", f"{path}/approval", {"version": draft["version"]}, status=403))["code"] == "second_person_needed"
    scheduled = await checker("POST", f"{path}/approval", {"version": draft["version"]})
    assert scheduled["number"] == number
    found = (await maker("GET"))["items"]
    assert found[0]["number"] == number
    assert (found[0]["status"], found[0]["approved_by_name"]) == ("approved", "陈静")
    assert [event["moved_to"] for event in await maker("GET", f"{path}/events")][-2:] == ["submitted", "approved"]
    assert {line["code"]: line["total"] for line in await maker("GET", "/budgets")}["autumn"] == 1_000_000
    await checker("POST", f"{path}/cancellation", {"reason": "推迟"}, status=204)
    assert (await maker("GET", path))["book"]["status"] == "cancelled"


async def test_parts_are_taken_out_and_the_draft_discarded(maker):
    draft = await maker("POST", body={"empty": True}, status=201)
    path = f"/{draft['number']}"
    for section, name, part in (
        ("groups", "group", GROUP),
        ("budgets", "budget", BUDGET),
        ("campaigns", "campaign", CAMPAIGN),
        ("rules", "rule", RULE),
    ):
        draft = await maker("PUT", f"{path}/{section}/{part['code']}", {"version": draft["version"], name: part})
        draft = await maker("DELETE", f"{path}/{section}/{part['code']}?version={draft['version']}")
        await maker("DELETE", f"{path}/{section}/{part['code']}?version={draft['version']}", status=404)
    assert "rules" not in (await maker("GET", path))["document"]
    await maker("DELETE", path, status=204)
    await maker("PUT", f"{path}/rules/a", {"version": draft["version"], "rule": RULE | {"code": "a"}}, status=409)


async def test_a_document_goes_in_and_comes_out_as_a_file(maker):
    draft = await maker("POST", body={"empty": True}, status=201)
    path = f"/{draft['number']}"
    await maker("PUT", f"{path}/document", {"version": 1, "document": {"rules": [RULE], "currency": "CNY"}})
    text = await maker("GET", f"{path}/file")
    assert tomllib.loads(text)["rules"][0]["code"] == "mondays-92"
    assert "Units" in text


async def test_faults_are_members_of_the_problem(maker):
    draft = await maker("POST", body={"empty": True}, status=201)
    path = f"/{draft['number']}"
    draft = await maker("PUT", f"{path}/rules/mondays-92", {"version": 1, "rule": RULE | {"group": "gone"}})
    assert [fault["fault"] for fault in (await maker("GET", path))["faults"]] == ["unknown_group"]
    problem = await maker("POST", f"{path}/submission", {"version": draft["version"]}, status=422)
    assert problem["code"] == "rulebook_has_faults"
    assert [(fault["code"], fault["field"]) for fault in problem["faults"]] == [("mondays-92", "group")]


async def test_an_old_version_and_another_code_are_refused(maker):
    draft = await maker("POST", body={"empty": True}, status=201)
    path = f"/{draft['number']}/rules/mondays-92"
    await maker("PUT", path, {"version": 1, "rule": RULE})
    assert (await maker("PUT", path, {"version": 1, "rule": RULE}, status=409))["code"] == "draft_changed"
    answer = await maker("PUT", path, {"version": 2, "rule": RULE | {"code": "other"}}, status=422)
    assert answer["code"] == "codes_differ"


@pytest.mark.parametrize(
    "body",
    [
        {"version": 1, "rule": RULE | {"effect": {"kind": "free"}}},
        {"version": 1, "rule": RULE | {"colour": "red"}},
        {"version": 1, "rule": RULE | {"effect": {"kind": "per_unit", "rate_e4": 0.3}}},
        {"rule": RULE},
    ],
)
async def test_a_rule_of_the_wrong_shape_is_not_understood(maker, body):
    draft = await maker("POST", body={"empty": True}, status=201)
    assert (await maker("PUT", f"/{draft['number']}/rules/mondays-92", body, status=400))["code"] == "request_not_understood"


async def test_conflicts_are_members_of_the_problem_and_settled_by_choices(maker, checker):
    async def with_rule(rate: int, version: int, number: int) -> dict:
        effect = {"kind": "per_unit", "rate_e4": rate}
        return await maker("PUT", f"/{number}/rules/mondays-92", {"version": version, "rule": RULE | {"effect": effect}})

    mine = await maker("POST", body={"note": "mine"}, status=201)
    mine = await with_rule(1000, 1, mine["number"])
    theirs = await maker("POST", body={"note": "theirs"}, status=201)
    theirs = await with_rule(2000, 1, theirs["number"])
    await maker("POST", f"/{theirs['number']}/submission", {"version": theirs["version"]})
    await checker("POST", f"/{theirs['number']}/approval", {"version": theirs["version"]})
    behind = await maker("POST", f"/{mine['number']}/submission", {"version": mine["version"]}, status=409)
    assert behind["code"] == "rulebook_behind"
    problem = await maker("POST", f"/{mine['number']}/rebase", {"version": mine["version"]}, status=409)
    assert [(one["section"], one["code"]) for one in problem["conflicts"]] == [("rules", "mondays-92")]
    choices = [{"section": "rules", "code": "mondays-92", "keep": "mine"}]
    merged = await maker("POST", f"/{mine['number']}/rebase", {"version": mine["version"], "choices": choices})
    whole = await maker("GET", f"/{mine['number']}")
    rates = {one["code"]: one["effect"]["rate_e4"] for one in whole["document"]["rules"]}
    assert rates["mondays-92"] == 1000
    assert whole["book"]["base"] == theirs["number"]
    await maker("POST", f"/{mine['number']}/submission", {"version": merged["version"]})
    await checker("DELETE", f"/{mine['number']}/submission?reason=no")
    assert (await maker("GET", f"/{mine['number']}"))["book"]["status"] == "draft"
    await checker("POST", f"/{theirs['number']}/cancellation", {"reason": "end of the test"}, status=204)


async def test_without_session_or_token_nothing_is_answered(office, maker):
    stranger = Api(office.stranger().client)
    assert (await stranger("GET", status=401))["code"] == "not_signed_in"
    assert (await maker("POST", body={"empty": True}, token="", status=403))["code"] == "form_not_ours"
    assert (await maker("POST", body={"empty": True}, token="x", status=403))["code"] == "form_not_ours"


async def test_who_may_what(office, checker):
    auditor, cashier = Api((await office.at("auditor")).client), Api((await office.at("cashier")).client)
    for reader in (auditor, cashier, checker):
        await reader("GET")
        assert (await reader("POST", body={"empty": True}, status=403))["code"] == "not_allowed"
    for reader in (auditor, cashier):
        assert (await reader("POST", "/1/approval", {"version": 1}, status=403))["code"] == "not_allowed"
    assert (await checker("GET", "/999999", status=404))["code"] == "rulebook_not_found"


async def test_the_api_document_describes_every_operation(office):
    document = (await office.stranger().client.get("/schema/openapi.json")).json()
    ours = {path: item for path, item in document["paths"].items() if path.startswith("/office/api/rulebooks")}
    assert "/office/api/rulebooks/{number}/rules/{code}" in ours
    for path, item in ours.items():
        for operation in item.values():
            assert " / " in operation["summary"], path
            assert operation["description"], path
            assert operation["security"] == [{"officeSession": []}], path
            assert "4XX" in operation["responses"], path
    effect = document["components"]["schemas"]["Rule"]["properties"]["effect"]
    assert "oneOf" in effect or "anyOf" in effect
