"""A customer's voucher pays a part of a fill, by one more key; a lost reply uses it once; the refund makes it good again."""

import pytest

from tests.browser.counter import come_in
from tests.browser.serving import keep_picture
from tests.browser.test_cashier_gifts import laid_out
from tests.browser.test_cashier_sells import find

pytestmark = pytest.mark.browser
__all__ = ["laid_out"]

LEFT = "SELECT left_minor FROM vouchers WHERE face_minor IS NOT NULL AND status = 'issued' ORDER BY voucher_id DESC LIMIT 1"
USED = """
SELECT count(*) FROM voucher_redemptions WHERE status = 'redeemed' AND honoured_minor = 5000
    AND voucher_id = (SELECT voucher_id FROM vouchers WHERE face_minor IS NOT NULL ORDER BY voucher_id DESC LIMIT 1)
"""


async def choose_and_type(page, counter, fill: str, voucher: str = "五十元券") -> None:
    await find(page, fill)
    await page.wait_for_url("**/cashier?fill=*")
    await find(page, counter.zhang.number)
    await page.wait_for_selector("#f-pin:focus")
    await page.click(f"label.chip:has-text('{voucher}')")
    await page.wait_for_selector("#due:has-text('−¥50.00')")
    await page.focus("#f-pin")
    await page.keyboard.type("1357")


async def test_it_pays_and_the_refund_makes_it_good_again(page, counter_site, counter, laid_out):
    await come_in(page, counter_site, counter)
    await choose_and_type(page, counter, "3")
    assert await page.locator("#pay-amount").inner_text() == "¥129.74", "179.74 − 50.00"
    await keep_picture(page, "card-voucher")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/sales/*")
    assert "券\n¥50.00" in await page.locator(".result").inner_text()
    assert await counter.count(USED) == 1
    await page.locator("details:has(form[action$='/refund']) > summary").first.click()
    await page.locator("form[action$='/refund'] button.danger").click()
    await page.wait_for_selector("text=券已恢复，顾客可再次使用。")
    assert await counter.count(LEFT) == 5_000
    assert await counter.count(USED) == 0


async def test_a_lost_reply_uses_it_once(page, counter_site, counter, laid_out):
    await come_in(page, counter_site, counter)
    await choose_and_type(page, counter, "3")
    lost = []

    async def lose_the_first_reply(route):
        if route.request.method == "POST" and not lost:
            # Noted before it is sent: the page may try again while this one is on its way.
            lost.append(route.request.url)
            await route.fetch(max_redirects=0)
            await route.abort("connectionreset")
        else:
            await route.continue_()

    await page.route("**/sales", lose_the_first_reply)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/sales/*", timeout=60_000)
    assert lost
    assert await counter.count(USED) == 1
    assert await counter.count("SELECT count(*) FROM sales WHERE account_id = :a", a=counter.zhang.account_id) == 1


@pytest.mark.parametrize(("locale", "theme", "width"), [("zh_CN", "dark", 1360), ("en", "light", 1360), ("en", "dark", 390)])
async def test_it_looks_right_from_the_card_to_the_refund(reader, counter_site, counter, laid_out, faults_of, locale, theme, width):
    page = await reader(locale=locale, theme=theme, width=width)
    await come_in(page, counter_site, counter)
    await choose_and_type(page, counter, "3", "五十元券" if locale == "zh_CN" else "50 off")
    assert await faults_of(page) == []
    await keep_picture(page, f"voucher-card-{locale}-{theme}-{width}")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/sales/*")
    await page.locator("details:has(form[action$='/refund']) > summary").first.click()
    assert await faults_of(page) == []
    await keep_picture(page, f"voucher-refund-{locale}-{theme}-{width}")
