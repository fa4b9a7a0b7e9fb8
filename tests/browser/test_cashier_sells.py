"""A cashier's day at the counter, by keys alone; and a network cable that is pulled in the middle of it."""

import pytest
from playwright.async_api import expect

from tests.browser.counter import STAFF_PIN, come_in

pytestmark = pytest.mark.browser


DRAWER = """
SELECT s.opening_float_minor
    + coalesce((SELECT sum(t.amount_minor) FROM topups t WHERE t.terminal_id = s.terminal_id AND t.tender = 'cash'
        AND t.booked_at >= s.opened_at), 0)
    + coalesce((SELECT sum(f.amount_minor) FROM fees f WHERE f.terminal_id = s.terminal_id AND f.tender = 'cash'
        AND f.booked_at >= s.opened_at), 0)
    + coalesce((SELECT sum((d->>'amount_minor')::bigint) FROM sales x, jsonb_array_elements(x.detail->'tenders') d
        WHERE x.terminal_id = s.terminal_id AND d->>'tender' = 'cash' AND x.booked_at >= s.opened_at), 0)
FROM shifts s WHERE s.status = 'open'
"""
PRINTS = "SELECT max(copy) FROM receipt_prints WHERE subject_id IN (SELECT sale_id FROM sales WHERE account_id = :a)"


async def find(page, typed):
    """Type into the card field, which has the focus, and press Enter."""
    await page.wait_for_selector("#lookup:focus")
    await page.keyboard.type(typed)
    await page.keyboard.press("Enter")


async def test_a_fill_takes_no_mouse(page, counter_site, counter):
    await come_in(page, counter_site, counter)
    await find(page, "3")
    await page.wait_for_url("**/cashier?fill=*")
    await find(page, counter.zhang.number)
    await page.wait_for_selector("#f-pin:focus")
    assert "¥629.04" in await page.locator(".can").inner_text(), "what it may take, the discount in it"
    assert await page.locator("#pay-amount").inner_text() == "¥179.74", "22 L × 8.37 − 22 × 0.20"
    await page.keyboard.type("1357")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/sales/*")
    assert "¥179.74" in await page.locator("h1").inner_text()
    assert "¥432.66" in await page.locator(".result").inner_text(), "the balance afterwards"
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier")
    assert await page.locator("#live .fills .fill").count() == 2, "the fill is off the list"
    assert await counter.count("SELECT count(*) FROM sales WHERE account_id = :a", a=counter.zhang.account_id) == 1
    assert (
        await counter.count("SELECT sum(balance_minor) FROM purses WHERE account_id = :a AND kind IN (1, 2)", a=counter.zhang.account_id)
        == 43_266
    )


async def test_enter_three_times_without_network_is_one_sale(page, counter_site, counter):
    await come_in(page, counter_site, counter)
    await find(page, "3")
    await page.wait_for_url("**/cashier?fill=*")
    await find(page, counter.zhang.number)
    await page.wait_for_selector("#f-pin:focus")
    await page.keyboard.type("1357")
    await page.context.set_offline(True)
    for _ in range(3):
        await page.keyboard.press("Enter")
    await page.wait_for_selector("body > .offline")
    assert await page.locator("#sale").get_attribute("aria-busy") == "true"
    assert await counter.count("SELECT count(*) FROM sales WHERE account_id = :a", a=counter.zhang.account_id) == 0
    await page.context.set_offline(False)
    await page.wait_for_url("**/cashier/sales/*", timeout=60_000)
    assert await counter.count("SELECT count(*) FROM sales WHERE account_id = :a", a=counter.zhang.account_id) == 1


async def test_a_lost_reply_is_asked_for_again_and_counts_once(page, counter_site, counter):
    await come_in(page, counter_site, counter)
    await find(page, "1")
    await page.wait_for_url("**/cashier?fill=*")
    await find(page, counter.zhang.number)
    await page.wait_for_selector("#f-pin:focus")
    lost = []

    async def lose_the_first_reply(route):
        answer = await route.fetch(max_redirects=0)
        if lost:
            await route.fulfill(response=answer)
        else:
            lost.append(answer.status)
            await route.abort("connectionreset")

    await page.route("**/sales", lose_the_first_reply)
    await page.keyboard.type("1357")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/sales/*", timeout=60_000)
    assert lost == [200]
    assert await counter.count("SELECT count(*) FROM sales WHERE account_id = :a", a=counter.zhang.account_id) == 1


async def test_a_decline_says_what_remains_and_what_to_do_and_a_mixed_tender_pays(page, counter_site, counter):
    await come_in(page, counter_site, counter)
    await find(page, "3")
    await page.wait_for_url("**/cashier?fill=*")
    await find(page, counter.poor.number)
    await page.wait_for_selector("#f-pin:focus")
    await page.keyboard.type("1357")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".verdict[role=alert]")
    said = await page.locator(".verdict").inner_text()
    assert "50.00" in said, "what is there"
    assert "F2" in said, "what to do"
    cash = page.locator("#f-tender-cash")
    assert await cash.is_visible(), "the rest may be paid otherwise, and the field for it is open"
    await cash.fill("130")
    await expect(page.locator("#pay-amount")).to_have_text("¥49.74")
    await page.locator("#f-pin").fill("1357")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/sales/*")
    assert await counter.count("SELECT card_minor FROM sales WHERE account_id = :a", a=counter.poor.account_id) == 4_974
    assert await counter.count("SELECT count(*) FROM requests WHERE operation = 3 AND account_id = :a", a=counter.poor.account_id) == 2, (
        "the decline and the sale have keys of their own"
    )


async def test_three_wrong_pins_lock_the_card_and_f4_unlocks_it(page, counter_site, counter):
    await come_in(page, counter_site, counter)
    await find(page, "3")
    await page.wait_for_url("**/cashier?fill=*")
    await find(page, counter.zhang.number)
    for said in ("2", "1", "锁定"):
        await page.wait_for_selector("#f-pin:focus")
        await page.keyboard.type("9999")
        await page.keyboard.press("Enter")
        await expect(page.locator(".verdict")).to_contain_text(said)
    await page.keyboard.press("F4")
    await page.wait_for_url("**/care")
    form = page.locator("form[action$='pin-unlock']")
    await form.locator("input[name=seen]").check()
    await form.locator("button").click()
    await page.wait_for_url(f"**/cashier/cards/{counter.zhang.card_id}")
    assert await counter.count("SELECT pin_tries FROM cards WHERE card_id = :c", c=counter.zhang.card_id) == 0


async def test_authorised_before_filling_and_completed_by_the_pumps_display(page, counter_site, counter):
    await come_in(page, counter_site, counter)
    await find(page, counter.zhang.number)
    await page.wait_for_url("**/cashier/cards/*")
    await page.keyboard.press("F7")
    await page.wait_for_url("**/authorise")
    await page.locator("#f-amount").fill("200")
    await page.locator("#f-pin").fill("1357")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/authorisations/*")
    assert "25.34" in await page.locator("h1").inner_text(), "200 / 7.89 L"
    await page.locator("#f-quantity").fill("20.5")
    await page.locator("#f-amount").fill("161.75")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/sales/*")
    assert "¥157.65" in await page.locator("h1").inner_text(), "161.75 − 20.5 × 0.20"
    held = await counter.count("SELECT sum(held_minor) FROM purses WHERE account_id = :a", a=counter.zhang.account_id)
    assert held == 0


async def test_a_sale_is_given_back_and_its_receipt_printed_twice(page, counter_site, counter):
    await come_in(page, counter_site, counter)
    await find(page, "3")
    await page.wait_for_url("**/cashier?fill=*")
    await find(page, counter.zhang.number)
    await page.wait_for_selector("#f-pin:focus")
    await page.keyboard.type("1357")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/sales/*")
    form = {"csrf_token": await page.locator("input[name=csrf_token]").first.input_value()}
    prints = [await page.request.post(page.url.partition("?")[0] + "/receipt", form=form) for _ in range(2)]
    assert [each.headers["content-type"] for each in prints] == ["application/pdf"] * 2
    assert (await prints[0].body())[:5] == b"%PDF-"
    assert await counter.count(PRINTS, a=counter.zhang.account_id) == 2
    await page.keyboard.press("F6")
    await page.wait_for_url("**/cashier/returns")
    await page.locator("tbody a").first.click()
    await page.wait_for_url("**/cashier/sales/*")
    assert "副本 COPY 2" in await page.locator(".paper").inner_text(), "what would be printed next says that it is a copy"
    await page.locator("form[action$='/refund'] button.danger").click()
    await page.wait_for_selector(".notice.good")
    assert await counter.count("SELECT void FROM refunds WHERE account_id = :a", a=counter.zhang.account_id) is True
    assert (
        await counter.count("SELECT sum(balance_minor) FROM purses WHERE account_id = :a AND kind IN (1, 2)", a=counter.zhang.account_id)
        == 61_240
    )


async def test_a_card_is_topped_up_and_the_cap_is_named(page, counter_site, counter):
    await come_in(page, counter_site, counter)
    await find(page, counter.zhang.number)
    await page.wait_for_url("**/cashier/cards/*")
    await page.keyboard.press("F2")
    await page.wait_for_selector("#f-amount:focus")
    await page.keyboard.type("5000")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#problem .notice")
    assert "cn-2012-9" in await page.locator("#problem").inner_text()
    await page.locator("#f-amount").fill("1000")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/top-ups/*")
    assert "¥1,612.40" in await page.locator(".result").inner_text()
    assert await counter.count("SELECT count(*) FROM topups WHERE account_id = :a", a=counter.zhang.account_id) == 1


async def test_an_anonymous_card_is_issued_with_pin_and_first_load(page, counter_site, counter):
    await come_in(page, counter_site, counter)
    await page.keyboard.press("F3")
    await page.wait_for_selector("#f-number:focus")
    await page.keyboard.type(counter.blanks["anonymous"][0])
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#f-pin:focus")
    await page.keyboard.type("2580")
    await page.keyboard.press("Tab")
    await page.keyboard.type("2580")
    await page.locator("#f-amount").fill("200")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/top-ups/*")
    tail = counter.blanks["anonymous"][0][-4:]
    assert await counter.count("SELECT max(status) FROM cards WHERE number_tail = :tail AND bearer", tail=tail) == 2


async def test_a_registered_card_needs_its_holders_document(page, counter_site, counter):
    await come_in(page, counter_site, counter)
    await page.keyboard.press("F3")
    await page.wait_for_selector("#f-number:focus")
    await page.keyboard.type(counter.blanks["personal"][0])
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#f-name:focus")
    await page.keyboard.type("李娜")
    await page.locator("#f-phone").fill("13900139000")
    await page.locator("#f-document").select_option("passport")
    await page.locator("#f-number").fill(f"G{counter.phone[3:]}")
    await page.locator("input[name=seen]").check()
    await page.locator("#f-pin").fill("2580")
    await page.locator("#f-pin_again").fill("2581")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#problem .notice")
    assert await page.locator("#f-name").input_value() == "李娜", "what was typed stays"
    await page.locator("#f-pin_again").fill("2580")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/cards/*")
    assert "李娜" in await page.locator("h1").inner_text()


async def test_a_lost_card_is_stopped_and_replaced(page, counter_site, counter):
    await come_in(page, counter_site, counter)
    await find(page, counter.phone)
    await page.wait_for_url("**/cashier/cards/*")
    await page.keyboard.press("F4")
    await page.wait_for_url("**/care")
    await page.locator("form[action$='/lost'] button").click()
    await page.wait_for_selector("form[action$='/found']")
    form = page.locator("form[action$='/replacement']")
    await form.locator("[name=number]").fill(counter.blanks["personal"][1])
    await form.locator("[name=pin]").fill("2580")
    await form.locator("[name=pin_again]").fill("2580")
    await form.locator("button").click()
    await page.wait_for_url(lambda url: "/cashier/cards/" in url and str(counter.zhang.card_id) not in url)
    assert "¥612.40" in await page.locator(".hero").first.inner_text(), "the account goes along"


async def test_the_screen_locks_over_the_page_and_gives_it_back(page, counter_site, counter):
    await come_in(page, counter_site, counter)
    await find(page, counter.zhang.number)
    await page.wait_for_url("**/cashier/cards/*")
    async with page.expect_response("**/due"):
        await page.locator("#sale input[name=fill]").first.check()
    await page.request.post(
        f"{counter_site}/cashier/lock", form={"csrf_token": await page.locator("meta[name=form-token]").get_attribute("content")}
    )
    await page.locator("#f-pin").fill("1357")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#unlock-pin:focus")
    await page.keyboard.type(STAFF_PIN)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#lockscreen", state="detached")
    assert await page.locator("#sale input[name=fill]").first.is_checked(), "what was begun is kept"
    await page.locator("#f-pin").press("Enter")
    await page.wait_for_url("**/cashier/sales/*")


async def test_a_shift_is_counted_blind_explained_and_closed(page, counter_site, counter):
    await come_in(page, counter_site, counter)
    expected = await counter.count(DRAWER)
    await page.keyboard.press("F9")
    await page.wait_for_selector("#f-counted")
    assert str(expected // 100) not in await page.locator("main").inner_text(), "nothing is told before the count"
    await page.locator("#f-counted").fill(str((expected - 1000) / 100))
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".verdict.warn")
    assert "¥10.00" in await page.locator(".verdict").inner_text()
    await page.locator("#f-explanation").fill("找零有误")
    await page.locator("button.primary").click()
    await page.wait_for_url("**/cashier/shifts/*")
    assert "找零有误" in await page.locator(".verdict").inner_text()
    assert await counter.count("SELECT over_short_minor FROM shifts WHERE status = 'closed' ORDER BY closed_at DESC LIMIT 1") == -1000
