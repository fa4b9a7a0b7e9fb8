"""What the company is told: seen by whom it concerns, new until it was read, and the line that comes by itself."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import text

from loyalty.db import transaction
from loyalty.fleet.model_notices import NoticeKind
from loyalty.fleet.operations.notices import News, notify
from loyalty.web.fleet.notice_words import KINDS, WORDINGS

FACTS = {
    "who": "京A12345",
    "zh": "东站",
    "en": "East",
    "kind": "above_tank",
    "period": "2026-08-26",
    "due": "2026-09-25",
    "year": 2027,
    "minor": 1_250_000,
    "loaded_minor": 990_000,
    "wanted": 12_345,
    "number": "25442000",
    **dict.fromkeys(("cards", "held", "loaded", "refused", "fills"), 1_234),
}


async def told(portal, kind: NoticeKind, *, firm: str = "ours", facts=None, department=None, subject=None, step: int = 0) -> int:
    async with transaction(portal.sessions) as session:
        news = News(portal.firms[firm].company_id, subject or uuid4(), FACTS | (facts or {}), department, step)
        return await notify(session, kind=kind, news=[news], at=datetime.now(UTC))


def test_every_kind_has_its_words():
    assert set(KINDS) == set(WORDINGS) == set(NoticeKind)
    several = {kind for kind, wording in WORDINGS.items() if "" not in wording.sentences}
    assert several == {kind for kind, wording in WORDINGS.items() if wording.which}


async def test_every_notice_is_said_in_both_languages(portal):
    owner = await portal.at("ours", "owner")
    said = 0
    for kind, wording in WORDINGS.items():
        for which in wording.sentences:
            value = {"True": True, "False": False}.get(which, which)
            said += await told(portal, kind, facts={wording.which: value} if which else {}, step=said)
    for locale, dates in (("zh-CN", "2026年8月26日"), ("en", "26 Aug 2026")):
        shown = (await owner.get("/fleet/notices", **{"Accept-Language": locale})).text
        assert shown.count("/fleet/account") >= 4
        assert "%(" not in shown
        assert dates in shown
        assert "京A12345" in shown


async def test_told_twice_is_once_and_a_further_step_is_told(portal):
    bill = uuid4()
    assert await told(portal, NoticeKind.BILL_LATE, subject=bill, step=1) == 1
    assert await told(portal, NoticeKind.BILL_LATE, subject=bill, step=1) == 0
    assert await told(portal, NoticeKind.BILL_LATE, subject=bill, step=15) == 1


async def test_a_notice_is_new_until_its_reader_has_seen_it(portal):
    manager, viewer = await portal.at("ours", "fleet_manager"), await portal.at("ours", "viewer")
    await manager.get("/fleet/notices")
    portal_later = text("UPDATE notice_marks SET read_to = read_to - interval '1 hour'")
    await told(portal, NoticeKind.ALLOCATION_STOPPED)
    async with transaction(portal.sessions) as session:
        await session.execute(portal_later)
    new = '<span class="count info">'
    assert new in (await manager.get("/fleet/vehicles")).text
    assert "2027" in (await manager.get("/fleet/notices")).text
    assert new not in (await manager.get("/fleet/vehicles")).text
    assert new in (await viewer.get("/fleet/vehicles")).text, "each reads for themselves"


async def test_notices_keep_to_company_department_and_right(portal):
    ours = portal.firms["ours"]
    await told(portal, NoticeKind.FINDING, department=ours.ids["north-room"], facts={"who": "NORTH-1"})
    await told(portal, NoticeKind.FINDING, department=ours.ids["south-room"], facts={"who": "SOUTH-1"})
    await told(portal, NoticeKind.FINDING, firm="theirs", facts={"who": "THEIRS-1"})
    await told(portal, NoticeKind.BILL_MADE)
    seen = {role: (await (await portal.at("ours", role)).get("/fleet/notices")).text for role in ("owner", "department_head", "viewer")}
    assert {"NORTH-1", "SOUTH-1", "/fleet/account"} <= {word for word in ("NORTH-1", "SOUTH-1", "/fleet/account") if word in seen["owner"]}
    assert "NORTH-1" in seen["department_head"]
    assert "SOUTH-1" not in seen["department_head"]
    assert "12,500.00" not in seen["viewer"], "bills are for those who pay them"
    assert not any("THEIRS-1" in page for page in seen.values())
    assert "NORTH-1" in (await (await portal.at("ours", "owner")).get("/fleet/notices.csv")).text


async def test_the_line_above_the_page_says_who_waits_and_keeps_no_session_alive(portal):
    manager = await portal.at("ours", "fleet_manager")
    waiting = await manager.get("/fleet/news")
    assert f"/fleet/approvals/{portal.firms['ours'].ids['approval']}" in waiting.text
    seen = text("SELECT max(last_seen_at) FROM user_sessions")
    async with transaction(portal.sessions) as session:
        await session.execute(text("UPDATE user_sessions SET last_seen_at = last_seen_at - interval '10 minutes'"))
        before = await session.scalar(seen)
    await manager.get("/fleet/news")
    async with transaction(portal.sessions) as session:
        assert await session.scalar(seen) == before
    await manager.get("/fleet/vehicles")
    async with transaction(portal.sessions) as session:
        assert await session.scalar(seen) > before + timedelta(minutes=5)
