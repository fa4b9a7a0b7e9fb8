"""A voucher is used and taken back, a gift signed for and handed out, by keys and pen; and how the page looks."""

from datetime import UTC, datetime

import pytest

from loyalty.rewards.model_vouchers import ValueType
from loyalty.rewards.operations.gift_stock import GiftFacts, put_gift, receive_gifts
from loyalty.rewards.operations.gifts import GiftWish, grant_gifts
from loyalty.rewards.operations.voucher_kinds import KindFacts, put_kind
from loyalty.rewards.operations.vouchers import VoucherWish, issue
from loyalty.rewards.queries.gifts import stock_at
from loyalty.rewards.queries.vouchers import codes_of
from tests.browser.counter import come_in, writing
from tests.browser.serving import keep_picture
from tests.factories.world import SYSTEM

pytestmark = pytest.mark.browser


@pytest.fixture
async def laid_out(counter, counter_station) -> dict[str, str]:
    """Give Zhang a voucher in parts and a wash, a towel that is here and an umbrella that is not."""
    url, folder = counter_station[:2]
    now = datetime.now(UTC)
    async with writing(url, folder) as session:
        names = {"zone": "Asia/Shanghai"}
        parts = KindFacts(
            name_zh="五十元券",
            name_en="50 off",
            value_type=ValueType.MONEY,
            face_minor=5_000,
            currency="CNY",
            partial=True,
            validity_days=30,
            **names,
        )
        wash = KindFacts(name_zh="洗车券", name_en="Car wash", value_type=ValueType.SERVICE, item="wash", plate_bound=True, **names)
        await put_kind(session, code="fifty", facts=parts, actor=SYSTEM, now=now)
        await put_kind(session, code="wash", facts=wash, actor=SYSTEM, now=now)
        for code, name_zh, name_en, instead in (("towel", "毛巾", "Towel", ()), ("umbrella", "雨伞", "Umbrella", ("towel",))):
            facts = GiftFacts(name_zh=name_zh, name_en=name_en, instead=instead, validity_days=30, **names)
            await put_gift(session, code=code, facts=facts, actor=SYSTEM, now=now)
        await receive_gifts(session, code="towel", place_id=counter.world.station_id, pieces=5, actor=SYSTEM, now=now)
        customer = await _customer(session, counter)
        made = {}
        for kind, plate in (("fifty", None), ("wash", "沪A12345")):
            wish = VoucherWish(kind, "office", f"{kind}:{customer}", customer, plate=plate)
            (made[kind],) = (await issue(session, wish=wish, actor=SYSTEM, now=now)).voucher_ids
        wishes = [GiftWish(code, "office", f"{code}:{customer}", customer) for code in ("towel", "umbrella")]
        await grant_gifts(session, wishes=wishes, actor=SYSTEM, now=now)
        codes = {shown.voucher_id: shown.code for shown in await codes_of(session, voucher_ids=list(made.values()))}
    return {kind: codes[voucher_id] for kind, voucher_id in made.items()}


async def _customer(session, counter):
    from sqlalchemy import text

    return (await session.execute(text("SELECT customer_id FROM cards WHERE card_id = :id"), {"id": counter.zhang.card_id})).scalar_one()


@pytest.mark.parametrize(("locale", "theme", "width"), [("zh_CN", "light", 1360), ("en", "dark", 390)])
async def test_the_page_looks_right(reader, counter_site, counter, laid_out, faults_of, locale, theme, width):
    page = await reader(locale=locale, theme=theme, width=width)
    await come_in(page, counter_site, counter)
    for name, path in (("counter", "/cashier/gifts"), ("card", f"/cashier/cards/{counter.zhang.card_id}/gifts")):
        assert (await page.goto(counter_site + path)).ok
        assert await faults_of(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= width
        await keep_picture(page, f"gifts-{name}-{locale}-{width}")
    assert laid_out


async def test_a_voucher_is_used_in_parts_and_taken_back(page, counter_site, counter, laid_out):
    await come_in(page, counter_site, counter)
    await page.goto(f"{counter_site}/cashier")
    await page.keyboard.press("F12")
    await page.wait_for_url("**/cashier/gifts")
    await page.wait_for_selector("#f-code:focus")
    await page.keyboard.type(laid_out["fifty"].lower())
    await page.fill("#f-amount", "12.34")
    await page.press("#f-amount", "Enter")
    await page.wait_for_selector("text=¥37.66")
    assert await counter.count("SELECT count(*) FROM voucher_redemptions WHERE status = 'redeemed'") == 1
    await keep_picture(page, "gifts-used")
    await page.click("button:has-text('撤销') >> nth=0")
    await page.wait_for_selector("text=该券恢复有效")
    assert await counter.count("SELECT left_minor FROM vouchers WHERE face_minor IS NOT NULL ORDER BY issued_at DESC LIMIT 1") == 5_000


async def test_a_wrong_code_and_another_s_car_sound_alike(page, counter_site, counter, laid_out):
    await come_in(page, counter_site, counter)
    await page.goto(f"{counter_site}/cashier/gifts")
    said = []
    for code, plate in (("7K3F9QXM2WTD", ""), (laid_out["wash"], "沪A54321")):
        await page.fill("#f-plate", plate)
        await page.fill("#f-code", code)
        await page.press("#f-code", "Enter")
        await page.wait_for_selector("#problem >> text=不能使用")
        said.append(await page.inner_text("#problem"))
        await page.evaluate("document.querySelector('#problem').replaceChildren()")
    assert said[0] == said[1]
    await page.fill("#f-plate", "沪a12345")
    await page.fill("#f-code", laid_out["wash"])
    await page.press("#f-code", "Enter")
    await page.wait_for_selector("text=已使用：洗车券")


async def test_a_gift_is_signed_for_and_another_taken_in_its_place(page, counter_site, counter, laid_out, counter_station):
    await come_in(page, counter_site, counter)
    await page.goto(f"{counter_site}/cashier/cards/{counter.zhang.card_id}/gifts")
    # Nothing was drawn yet.
    await page.click("button:has-text('确认交付') >> nth=0")
    await page.wait_for_selector("#problem >> text=签名")
    await sign(page)
    await keep_picture(page, "gifts-signed")
    await page.click("button:has-text('确认交付') >> nth=0")
    await page.wait_for_selector("text=已交付并签收")
    await page.click("text=改领毛巾")
    await page.wait_for_selector("text=现为：毛巾")
    await page.click(".quick button:has-text('预留')")
    await page.wait_for_selector("text=在本站预留")
    async with writing(*counter_station[:2]) as session:
        stock = {each.code: each for each in await stock_at(session, place_id=counter.world.station_id)}
    assert stock["towel"].reserved == 1
    assert await counter.count("SELECT count(*) FROM gift_hand_outs h JOIN staff s USING (staff_id) WHERE s.name = '刘敏'") >= 1
    assert laid_out


async def sign(page) -> None:
    """Draw a line with the mouse."""
    box = await page.locator("svg.signature").first.bounding_box()
    await page.mouse.move(box["x"] + 40, box["y"] + 60)
    await page.mouse.down()
    for step in range(12):
        await page.mouse.move(box["x"] + 40 + 15 * step, box["y"] + 60 + (20 if step % 2 else -20))
    await page.mouse.up()
    assert (await page.locator("input[name=signature]").first.input_value()).startswith("M")
