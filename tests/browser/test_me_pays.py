"""The holder's phone beside the cashier's till: a fill approved by QR, a code for the counter, a card stopped."""

import pytest
from playwright.async_api import expect

from loyalty.web.pictures import QR_DOTS, read_qr
from tests.browser.counter import come_in

pytestmark = pytest.mark.browser


async def sign_in(phone, site, card):
    await phone.goto(f"{site}/me")
    await phone.locator("#f-number").fill(card.number)
    await phone.locator("#f-pin").fill("1357")
    await phone.keyboard.press("Enter")
    await phone.wait_for_selector(".hero")


async def said_by(page) -> str:
    """Return what the QR on a page says, read as a scanner reads it."""
    return read_qr(await page.evaluate(QR_DOTS, ".qr img"))


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
