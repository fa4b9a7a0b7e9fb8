"""The holder's phone beside the cashier's till: a fill approved by QR, a code for the counter, a card stopped."""

from datetime import UTC, datetime

import pytest
from playwright.async_api import expect
from sqlalchemy import text

from loyalty.rewards.model_vouchers import ValueType
from loyalty.rewards.operations.voucher_kinds import KindFacts, put_kind
from loyalty.rewards.operations.vouchers import VoucherWish, issue
from loyalty.rewards.queries.vouchers import codes_of
from loyalty.web.pictures import QR_DOTS, read_qr
from tests.browser.counter import come_in, writing
from tests.factories.world import SYSTEM

pytestmark = pytest.mark.browser


async def sign_in(phone, site, card):
    await phone.goto(f"{site}/me")
    await phone.locator("#f-number").fill(card.number)
    await phone.locator("#f-pin").fill("1357")
    await phone.keyboard.press("Enter")
    await phone.wait_for_selector(".hero")


async def said_by(page) -> str:
    """Return what the QR on a page says, read as a scanner reads it."""
    return read_qr(await page.locator(".qr img").evaluate(QR_DOTS))


async def test_a_fill_is_paid_on_the_phone_and_the_till_sees_it(page, reader, counter_site, counter):
    await come_in(page, counter_site, counter)
    await page.wait_for_selector("#lookup:focus")
    await page.keyboard.type("3")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier?fill=*")
    await page.keyboard.press("F7")
    await page.wait_for_selector(".qr img")
    url = await said_by(page)
    phone = await reader(locale="en", width=390)
    await phone.goto(url)
    assert "¥184.14" in await phone.locator(".hero").inner_text()
    await phone.locator("#f-number").fill(counter.zhang.number)
    await phone.locator("#f-pin").fill("9999")
    await phone.keyboard.press("Enter")
    await expect(phone.locator(".notice.bad")).to_contain_text("PIN")
    await phone.locator("#f-number").fill(counter.zhang.number)
    await phone.locator("#f-pin").fill("1357")
    await phone.keyboard.press("Enter")
    await phone.wait_for_selector(".result h1")
    assert await phone.locator(".result h1").inner_text() == "It is paid"
    await page.wait_for_url("**/cashier/sales/*", timeout=60_000)
    assert "¥179.74" in await page.locator("h1").inner_text()
    await phone.goto(url)
    assert await phone.locator("form[action*='/pay/']").count() == 0, "a paid code asks for nothing more"
    assert "¥179.74" in await phone.locator(".hero").inner_text(), "what was paid, the discount taken off"
    assert await counter.count("SELECT count(*) FROM sales WHERE account_id = :a", a=counter.zhang.account_id) == 1


async def test_the_holders_code_at_the_counter_needs_no_pin(page, reader, counter_site, counter):
    phone = await reader(locale="en", width=390)
    await sign_in(phone, counter_site, counter.zhang)
    await phone.get_by_role("link", name="Code for the counter").click()
    code = await said_by(phone)
    await come_in(page, counter_site, counter)
    await page.wait_for_selector("#lookup:focus")
    await page.keyboard.insert_text(code)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/cards/*")
    assert await page.locator("#f-pin").count() == 0
    await page.locator("#sale input[name=fill]").first.check()
    await page.locator("#sale button.primary").click()
    await page.wait_for_url("**/cashier/sales/*")
    assert await counter.count("SELECT count(*) FROM sales WHERE account_id = :a", a=counter.zhang.account_id) == 1


async def test_a_card_is_frozen_thawed_and_reported_lost_on_the_phone(reader, counter_site, counter):
    phone = await reader(locale="en", width=390)
    await sign_in(phone, counter_site, counter.zhang)
    assert "¥612.40" in await phone.locator(".hero").inner_text()
    await phone.get_by_role("link", name="Freeze, lost").click()
    await phone.locator("form[action$='/freeze'] button").click()
    await expect(phone.locator(".tag").first).to_have_text("Suspended")
    await phone.locator("#f-pin").fill("1357")
    await phone.keyboard.press("Enter")
    await expect(phone.locator(".tag").first).to_have_text("Active")
    await phone.locator("form[action$='/lost'] button").click()
    await expect(phone.locator(".tag").first).to_have_text("Lost")
    assert await counter.count("SELECT status FROM cards WHERE card_id = :c", c=counter.zhang.card_id) == 4


async def test_a_bearers_and_a_companys_card_have_no_page(reader, counter_site, counter):
    phone = await reader(locale="en", width=390)
    for card, said in ((counter.bearer, "anonymous"), (counter.company, "company")):
        await phone.goto(f"{counter_site}/me")
        await phone.locator("#f-number").fill(card.number)
        await phone.locator("#f-pin").fill("1357")
        await phone.keyboard.press("Enter")
        await expect(phone.locator(".notice.bad")).to_contain_text(said)


async def test_the_holder_alone_sees_a_vouchers_code(reader, counter_site, counter_station, counter):
    url, folder = counter_station[:2]
    now = datetime.now(UTC)
    async with writing(url, folder) as session:
        names = {"name_zh": "五十元券", "name_en": "50 off", "zone": "Asia/Shanghai"}
        facts = KindFacts(value_type=ValueType.MONEY, face_minor=5_000, currency="CNY", validity_days=30, **names)
        await put_kind(session, code="holders", facts=facts, actor=SYSTEM, now=now)
        find = text("SELECT customer_id FROM cards WHERE card_id = :id")
        customer = (await session.execute(find, {"id": counter.zhang.card_id})).scalar_one()
        wishes = [VoucherWish("holders", "office", f"{place}:{customer}", who) for place, who in enumerate((customer, None))]
        mine, nobodys = [(await issue(session, wish=wish, actor=SYSTEM, now=now)).voucher_ids[0] for wish in wishes]
        (shown,) = await codes_of(session, voucher_ids=[mine])
    phone = await reader(locale="en", width=390)
    answer = await phone.goto(f"{counter_site}/me/vouchers/{mine}")
    assert shown.code not in await phone.content(), "before sign-in there is no code"
    await sign_in(phone, counter_site, counter.zhang)
    assert shown.code not in await phone.content(), "the list has no code"
    await phone.locator(f"a[href$='/me/vouchers/{mine}']").click()
    await phone.wait_for_selector(".qr img")
    assert await said_by(phone) == shown.code
    answer = await phone.goto(f"{counter_site}/me/vouchers/{nobodys}")
    assert answer.status == 404
