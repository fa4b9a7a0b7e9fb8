"""Points at the counter by keys alone: F11, the gift, the PIN, a pen for the signature, one button that says how many points."""

from datetime import timedelta

import pytest

from loyalty.ids import uuid7
from loyalty.rewards.model_grants import GrantKind
from loyalty.rewards.operations.gift_stock import GiftFacts, put_gift, receive_gifts
from loyalty.rewards.operations.grants import give
from tests.browser.counter import come_in, writing
from tests.factories.world import PIN, SYSTEM

GIFTS = (("umbrella", "自动晴雨伞", "Umbrella", ((1, 500), (2, 900))), ("flask", "不锈钢保温杯", "Thermos flask", ((1, 5_000),)))


@pytest.fixture
async def earned(counter_station, counter):
    """Two gifts lie at the station, and the holder has points for one of them."""
    url, folder, world, _ = counter_station
    async with writing(url, folder) as session:
        for code, zh, en, steps in GIFTS:
            facts = GiftFacts(name_zh=zh, name_en=en, zone="Asia/Shanghai", points_steps=steps)
            await put_gift(session, code=code, facts=facts, actor=SYSTEM, now=counter.now)
            await receive_gifts(session, code=code, place_id=world.station_id, pieces=20, actor=SYSTEM, now=counter.now)
        facts = {"source": "tests", "kind": GrantKind.POINTS, "unit": "POINTS", "funders": [("head-office", 1)], "now": counter.now}
        for points, later in ((1_240, 0), (22, 3)):
            ends, active_at = counter.now + timedelta(days=40), counter.now + timedelta(days=later)
            account, source = counter.zhang.account_id, uuid7(counter.now)
            await give(
                session, account_id=account, source_id=source, rule="r", amount=points, active_at=active_at, expires_at=ends, **facts
            )
    return counter


@pytest.mark.parametrize(("locale", "theme", "width"), [("zh", "light", 1360), ("en", "dark", 390)])
async def test_points_buy_a_gift_without_a_mouse(reader, counter_site, earned, faults_of, locale, theme, width):
    page = await reader(locale=locale, theme=theme, width=width)
    await come_in(page, counter_site, earned)
    # A phone has no keys: there the rail folds its links away.
    await (page.keyboard.press("F11") if width > 640 else page.goto(f"{counter_site}/cashier/points"))
    await page.wait_for_url("**/cashier/points")
    await page.wait_for_selector("#lookup:focus")
    await page.keyboard.type(earned.zhang.number)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/cards/*/points")
    await page.wait_for_selector(".offers a.face:focus")
    assert await faults_of(page) == []
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#f-pin:focus")
    assert "500" in await page.locator("#redeem button.primary .fig").inner_text()
    assert await faults_of(page) == []
    await page.keyboard.type("8642")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".verdict")
    await page.wait_for_selector("#f-pin:focus")
    pad = page.locator(".signature")
    await pad.scroll_into_view_if_needed()
    box = await pad.bounding_box()
    await page.mouse.move(box["x"] + 20, box["y"] + 20)
    await page.mouse.down()
    await page.mouse.move(box["x"] + 120, box["y"] + 60)
    await page.mouse.move(box["x"] + 200, box["y"] + 30)
    await page.mouse.up()
    await page.focus("#f-pin")
    await page.keyboard.type(PIN)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/points/*")
    assert "740" in await page.locator(".result").inner_text()
    assert await faults_of(page) == []
    held = "SELECT sum(balance_minor) FROM purses WHERE account_id = :a AND kind = 3"
    assert await earned.count(held, a=earned.zhang.account_id) == 740
    given = "SELECT status FROM gift_entitlements WHERE account_id = :a"
    assert await earned.count(given, a=earned.zhang.account_id) == "handed_out"
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier")
