"""The working calendar in the office: a year is seen, a day is changed with its ground, an unknown year is said to be unknown."""

import pytest

from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import use_keyring
from loyalty.db import transaction
from loyalty.stations.operations.calendar import seed_calendar
from tests.web.office_desk import opened_office


@pytest.fixture(scope="module")
async def office(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_office(url, tmp_path_factory.mktemp("office")) as opened:
        yield opened
    use_keyring(None)
    await databases.drop(url)


async def test_a_year_is_read_and_a_day_of_it_changed(office, now):
    async with transaction(office.sessions) as session:
        await seed_calendar(session, actor=Actor(ActorKind.SYSTEM, "tests"), now=now)
    desk = await office.at("office")
    page = (await desk.get("/office/calendar?year=2026")).text
    assert "2026 年工作日历" in page
    assert "国庆节" in page
    assert "尚未录入" not in page
    assert (await desk.get("/office/calendar/day?day=2026-09-28")).status_code == 200
    changed = await desk.send("/office/calendar/day", {"day": "2026-09-28", "kind": "rest", "name": "台风停工", "reason": "市政府通知"})
    assert changed.headers["location"] == "/office/calendar?year=2026"
    assert "台风停工" in (await desk.get("/office/calendar?year=2026")).text
    refused = await desk.send("/office/calendar/day", {"day": "2026-09-28", "kind": "weekday", "name": "", "reason": " "})
    assert (refused.status_code, "依据" in refused.text) == (422, True)
    await desk.send("/office/calendar/day", {"day": "2026-09-28", "kind": "weekday", "name": "", "reason": "通知撤回"})
    assert "台风停工" not in (await desk.get("/office/calendar?year=2026")).text


async def test_a_year_that_nobody_entered_says_so_until_it_is_complete(office):
    desk = await office.at("office")
    assert "2031 年的放假安排尚未录入" in (await desk.get("/office/calendar?year=2031")).text
    await desk.send("/office/calendar/day", {"day": "2031-01-01", "kind": "holiday", "name": "元旦", "reason": "国办通知"})
    assert "已录入 1 个特殊日" in (await desk.get("/office/calendar/cover?year=2031")).text
    assert (await desk.send("/office/calendar/cover", {"year": "2031", "reason": "国办通知"})).status_code == 303
    assert "尚未录入" not in (await desk.get("/office/calendar?year=2031")).text
    assert (await desk.get("/office/calendar?year=nonsense")).status_code in {200, 422}
