"""A rulebook tried on past sales and in the shadow: the pages, their progress and report, and the same over JSON."""

import re
import time
from datetime import UTC, datetime, timedelta

import pytest

from loyalty.backtests.operations import backtests
from loyalty.backtests.operations.running import Edge, run
from loyalty.crypto import use_keyring
from loyalty.db import transaction
from tests.web.office_desk import opened_office

RULE = {
    "code": "litre",
    "name_zh": "每升减",
    "name_en": "Off a litre",
    "effect": {"kind": "per_unit", "rate_e4": 3000},
    "when": {"categories": ["fuel"]},
    "funders": [{"funder": "head-office", "parts": 3}, {"funder": "station"}],
    "budget": "spring",
}
BUDGET = {"code": "spring", "name_zh": "春", "name_en": "Spring", "total": 10_000_000}


@pytest.fixture(scope="module")
async def office(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_office(url, tmp_path_factory.mktemp("office")) as office:
        office.url = url
        yield office
        for desk in office.desks.values():
            await desk.client.aclose()
    use_keyring(None)
    await databases.drop(url)


async def call(desk, method, path, body=None, *, status=200):
    headers = {"x-csrf-token": desk.client.cookies.get("office-form") or ""}
    answer = await desk.client.request(method, f"/office/api{path}", json=body, headers=headers)
    assert answer.status_code == status, (answer.status_code, answer.text[:500])
    return answer.json() if answer.text else None


async def drafted(desk) -> int:
    number = (await call(desk, "POST", "/rulebooks", {"empty": True, "note": "试算"}, status=201))["number"]
    document = {"rules": [RULE], "budgets": [BUDGET]}
    await call(desk, "PUT", f"/rulebooks/{number}/document", {"version": 1, "document": document})
    return number


async def ran(office) -> None:
    """Do what the scheduler does."""
    now = datetime.now(UTC)
    async with transaction(office.sessions) as session:
        taken = await backtests.take(session, now=now)
    assert await run(office.sessions, dsn=office.url, backtest=taken, workers=0, edge=Edge(lambda: now, time.perf_counter))


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


async def test_a_backtest_is_asked_for_watched_and_read(office):
    desk = await office.at("office")
    number = await drafted(desk)
    page = await desk.get(f"/office/rules/{number}/trials")
    assert page.status_code == 200, page.text[:2000]
    assert "尚未用历史销售试过" in page.text
    begin = f"{datetime.now(UTC) - timedelta(days=20):%Y-%m-%dT%H:%M}"
    sent = await desk.send(f"/office/rules/{number}/trials", {"since": begin, "until": "2099-01-01T00:00"})
    assert sent.status_code == 303, sent.text[:2000]
    path = sent.headers["location"]
    waiting = (await desk.get(path)).text
    assert 'hx-trigger="every 2s"' in waiting
    assert "一分钟内开始" in waiting
    piece = await desk.get(f"{path}/progress", **{"hx-request": "true"})
    assert piece.status_code == 200
    assert "<html" not in piece.text
    await ran(office)
    over = await desk.get(f"{path}/progress", **{"hx-request": "true"})
    assert over.headers.get("hx-redirect", over.headers.get("hx-location", "")) or over.status_code == 303
    report = words((await desk.get(path)).text)
    for said in ("草稿的成本", "每升减 (litre)", "总部", "各油站自身", "客户节省增减分布", "预算从全额开始计", "每秒笔数"):
        assert said in report, said
    whole = await call(desk, "GET", path.removeprefix("/office"))
    assert whole["status"] == "done"
    assert whole["report"]["draft"]["discount_minor"] > 0
    assert path.rpartition("/")[2] in (await desk.get("/office/backtests")).text
    english = await desk.client.get(path, headers={"accept-language": "en"})
    assert "The draft costs" in english.text


async def test_it_is_cancelled_by_who_may(office):
    desk, auditor = await office.at("office"), await office.at("auditor")
    number = await drafted(desk)
    until = datetime.now(UTC)
    body = {"number": number, "since": (until - timedelta(days=5)).isoformat(), "until": (until - timedelta(hours=1)).isoformat()}
    await call(auditor, "POST", "/backtests", body, status=403)
    identity = (await call(desk, "POST", "/backtests", body, status=201))["backtest_id"]
    cancelled = await desk.send(f"/office/backtests/{identity}", {}, to=f"/office/backtests/{identity}/cancel")
    assert cancelled.status_code == 303
    assert "回测已取消" in (await desk.get(f"/office/backtests/{identity}")).text
    assert (await call(desk, "DELETE", f"/backtests/{identity}", status=409))["code"] == "backtest_over"
    assert [one["status"] for one in (await call(desk, "GET", f"/backtests?number={number}"))["items"]] == ["cancelled"]
    assert (await call(desk, "POST", "/backtests", body | {"until": body["since"]}, status=422))["code"] == "period_not_usable"


async def test_a_shadow_run_is_started_and_stopped(office):
    desk = await office.at("office")
    number = await drafted(desk)
    started = await desk.send(f"/office/rules/{number}/trials", {}, to=f"/office/rules/{number}/shadow/start")
    assert started.status_code == 303
    page = (await desk.get(f"/office/rules/{number}/trials")).text
    assert "试运行尚未遇到销售" in page
    assert (await call(desk, "GET", f"/shadows/{number}")) == []
    assert (await call(desk, "POST", f"/shadows/{number}", status=409))["code"] == "shadow_runs"
    await call(desk, "DELETE", f"/shadows/{number}", status=204)
    assert (await call(desk, "DELETE", f"/shadows/{number}", status=409))["code"] == "no_shadow"


async def test_whoever_may_not_see_the_figures_is_told(office):
    cashier = await office.at("cashier")
    assert (await cashier.get("/office/backtests")).status_code == 403
    await call(cashier, "GET", "/backtests", status=403)
