"""Tiers are made on their pages; a customer's tier and points are told the same way at the office and on the holder's phone."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from loyalty.crypto import use_keyring
from loyalty.db import transaction
from loyalty.ids import uuid7
from loyalty.rewards.model_grants import GrantKind
from loyalty.rewards.model_tiers import Meets, Tier
from loyalty.rewards.operations.grants import give
from loyalty.rewards.operations.points import reckon_liability
from loyalty.rewards.queries.points import Lot, PointsView
from loyalty.rewards.queries.tiers import Missing, TierProgress, progress_of
from loyalty.rewards.tier_rules import Figures, Span
from loyalty.web.formats import Formats
from loyalty.web.i18n import language
from loyalty.web.standing import points_shown, tier_shown
from tests.web.office_chain import PIN
from tests.web.office_desk import opened_office

NOW = datetime(2026, 9, 24, 2, tzinfo=UTC)
ZONE = "Asia/Shanghai"


@pytest.fixture(scope="module")
async def office(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_office(url, tmp_path_factory.mktemp("office")) as opened:
        yield opened
    use_keyring(None)
    await databases.drop(url)


async def test_tiers_are_set_made_changed_and_granted(office):
    desk = await office.at("office")
    assert "还没有" in (page := await desk.get("/office/tiers")).text or "尚未设置等级" in page.text
    settings = {"currency": "CNY", "window": "rolling", "window_days": "365", "grace_days": "30", "downgrade": "one_down", "companies": "1"}
    assert (await desk.send("/office/tiers/settings", settings)).status_code == 303
    silver = {"code": "silver", "name_zh": "银卡", "name_en": "Silver", "rank": "1", "meets": "any", "spend": "1,000", "active": "1"}
    assert (await desk.send("/office/tiers/new", silver)).status_code == 303
    gold = silver | {"code": "gold", "name_zh": "金卡", "name_en": "Gold", "rank": "2", "spend": "5000", "quantity": "800", "visits": "20"}
    assert (await desk.send("/office/tiers/new", gold)).status_code == 303
    refused = await desk.send("/office/tiers/new", gold | {"code": "Bad Code!"})
    assert (refused.status_code, "只能用小写字母" in refused.text) == (422, True)
    taken = await desk.send("/office/tiers/new", gold | {"code": "copper"})
    assert (taken.status_code, "级别 2" in taken.text) == (422, True)
    assert (await desk.send("/office/tiers/gold/edit", gold | {"visits": "25", "meets": "all"})).status_code == 303
    page = (await desk.get("/office/tiers")).text
    assert "到店 25 次" in page
    assert "最近 365 天" in page
    customer = office.fill("/office/customers/{zhang}")
    granted = {"tier": "silver", "until": "2099-12-31", "reason": "投诉补偿"}
    assert (await desk.send(f"{customer}/tier", granted)).headers["location"] == customer
    past = await desk.send(f"{customer}/tier", granted | {"until": "2020-01-01"})
    assert (past.status_code, "晚于今天" in past.text) == (422, True)
    assert (await desk.send(f"{customer}/tier", {"locked": "1", "reason": "创始会员"}, to=f"{customer}/tier-lock")).status_code == 303
    page = (await desk.get(customer)).text
    assert "银卡" in page
    assert "不降级" in page
    assert "再消费" in page
    moves = (await desk.get("/office/tier-moves?tier=silver&why=granted")).text
    assert "投诉补偿" in moves
    assert "王丽" in moves
    async with transaction(office.sessions) as session:
        seen = await progress_of(session, customer_id=office.chain.ids["zhang"], zone=ZONE, now=datetime.now(UTC))
        assert (seen.tier.code, seen.next.code, seen.locked) == ("silver", "gold", True)
    phone = office.stranger()
    answer = await phone.send("/me", {"number": office.chain.numbers["zhang-card"], "pin": PIN}, to="/me/sign-in")
    assert answer.status_code == 303
    mine = (await phone.get("/me")).text
    assert "银卡" in mine
    assert "0 积分" in mine


async def test_points_are_told_at_the_office(office):
    now = datetime.now(UTC) - timedelta(minutes=1)
    finance = await office.at("finance")
    assert "尚未统计" in (await finance.get("/office/points")).text
    async with transaction(office.sessions) as session:
        account = office.chain.ids["zhang-card-account"]
        facts = {"source": "tests", "kind": GrantKind.POINTS, "unit": "POINTS", "funders": [("head-office", 1)], "now": now}
        for points, days in ((1_200, 40), (30, 900), (7, None)):
            ends = None if days is None else now + timedelta(days=days)
            rule = f"rule-{points}"
            await give(session, account_id=account, source_id=uuid7(now), rule=rule, amount=points, active_at=now, expires_at=ends, **facts)
        await reckon_liability(session, zone=ZONE, now=now)
    page = (await finance.get("/office/points")).text
    assert "1,237" in page
    assert "永久有效 7 分" in page
    assert "更晚到期 30 分" in page
    desk = await office.at("office")
    page = (await desk.get(office.fill("/office/customers/{zhang}/points"))).text
    assert "rule-1200" in page
    assert "1,237" in page
    file = await desk.get(office.fill("/office/customers/{zhang}/points.csv"))
    assert file.text.count("rule-") == 3


def told(locale, progress):
    words = language(locale)
    return tier_shown(words, Formats(words, ZONE, NOW), progress)


def tier(code, meets=Meets.ANY):
    return Tier(code=code, name_zh={"gold": "金卡"}.get(code, "银卡"), name_en=code.title(), rank=1, meets=meets)


PROGRESS = TierProgress(
    tier=tier("silver"),
    since=date(2026, 1, 1),
    grace_until=None,
    granted_until=None,
    locked=False,
    next=tier("gold"),
    missing=(Missing("spend_minor", 18_000, 50_000), Missing("quantity_milli", 0, 30_000), Missing("visits", 0, 1)),
    window=Span(date(2026, 10, 1), date(2026, 11, 1)),
    ends=date(2026, 10, 31),
    figures=Figures(),
    currency="CNY",
)


def test_the_way_to_the_next_tier_is_one_sentence():
    shown = told("en", PROGRESS)
    assert (shown.name, shown.line, shown.percent) == ("Silver", "¥320.00 more spent until Gold, by 31 Oct", 36)
    assert shown.other == "or: 30.00\N{NO-BREAK SPACE}L more fuel / 1 more visit"
    assert told("zh_CN", PROGRESS).line == "10月31日前再消费 ¥320.00，即升为金卡"


def test_a_tier_that_asks_all_names_all_that_is_missing():
    shown = told("en", PROGRESS._replace(next=tier("gold", Meets.ALL), ends=None))
    assert shown.line == "¥320.00 more spent + 30.00\N{NO-BREAK SPACE}L more fuel + 1 more visit until Gold"
    assert (shown.other, shown.percent) == ("", 0)


def test_what_threatens_or_was_granted_is_said():
    assert told("en", PROGRESS._replace(grace_until=date(2026, 10, 4))).note == "Kept until 3 Oct unless more is done"
    assert told("en", PROGRESS._replace(granted_until=date(2026, 10, 4))).note == "Granted until 3 Oct 2026"
    top = told("en", PROGRESS._replace(next=None, missing=()))
    assert (top.line, top.percent) == ("", 0)
    assert told("en", PROGRESS._replace(tier=None, next=None, missing=())) is None
    assert told("en", None) is None


def test_points_say_what_waits_and_what_runs_out_first():
    words = language("en")
    f = Formats(words, ZONE, NOW)
    end = datetime(2026, 9, 30, 16, tzinfo=UTC)
    held = PointsView(1_230, 40, end, 5, (Lot(30, end), Lot(1_200, None)))
    shown = points_shown(words, f, held)
    assert (shown.available, shown.pending) == ("1,230", "40 pending, from 1 Oct")
    assert (shown.expiring, shown.owed) == ("30 run out on 30 Sep 2026", "5 owed")
    assert points_shown(words, f, held._replace(pending=0, lots=(Lot(9, None),), owed=0)) == replace(
        shown, pending="", expiring="", owed=""
    )
