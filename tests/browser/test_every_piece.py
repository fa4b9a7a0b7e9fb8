"""The design system before a real browser: no serious fault, keys without a mouse, one form with one effect."""

import pytest

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("locale", "theme", "width"), [("zh_CN", "light", 1360), ("en", "dark", 390), ("zh_CN", "dark", 1360), ("en", "light", 390)]
)
async def test_axe_finds_no_serious_fault(reader, quiet_site, faults_of, locale, theme, width):
    page = await reader(locale=locale, theme=theme, width=width)
    await page.goto(f"{quiet_site}/design")
    assert await faults_of(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [360, 1920])
async def test_nothing_sticks_out_at_any_width(reader, quiet_site, width):
    page = await reader(width=width)
    await page.goto(f"{quiet_site}/design")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


async def test_on_a_phone_whatever_is_touched_is_large_enough(reader, quiet_site):
    page = await reader(width=390)
    await page.goto(f"{quiet_site}/design")
    small = await page.evaluate(
        """() => [...document.querySelectorAll('.btn, .input, select, .tabs a, .chip, .check, .found a, .rail-toggle')]
             .filter(e => e.getClientRects().length && e.getBoundingClientRect().height < 43.5 && !e.matches('.affix .input'))
             .map(e => e.className + ' ' + e.getBoundingClientRect().height)"""
    )
    assert small == []


async def test_an_unknown_address_is_a_page_for_a_browser_and_a_document_for_a_program(reader, quiet_site):
    page = await reader(locale="en")
    answer = await page.goto(f"{quiet_site}/office/nothing")
    assert answer.status == 404
    assert await page.title() == "Not found."
    assert await page.locator(".actions a").get_attribute("href") == "/office"
    answer = await page.request.get(f"{quiet_site}/v1/nothing")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_function_keys_go_where_they_say(page, quiet_site):
    await page.goto(f"{quiet_site}/design")
    await page.keyboard.press("F3")
    await page.wait_for_url("**/design#tables")
    await page.locator("#lookup").focus()
    await page.keyboard.type("8810")
    await page.keyboard.press("Escape")
    assert await page.locator("#lookup").input_value() == ""
    await page.keyboard.press("F4")
    await page.wait_for_url("**/design#charts")


async def test_while_characters_are_composed_no_key_is_ours(page, quiet_site):
    await page.goto(f"{quiet_site}/design")
    await page.evaluate("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'F3', isComposing: true, bubbles: true}))")
    assert page.url.endswith("/design")


async def test_a_dialog_asks_once_and_gives_the_focus_back(page, quiet_site):
    await page.goto(f"{quiet_site}/design")
    opener = page.locator("[data-open=close-card]")
    await opener.click()
    assert await page.locator("#close-card").is_visible()
    assert await page.evaluate("document.activeElement.hasAttribute('data-close')")
    await page.keyboard.press("Escape")
    assert not await page.locator("#close-card").is_visible()
    assert await opener.evaluate("e => e === document.activeElement")


async def test_theme_and_language_change_and_stay(page, quiet_site):
    await page.goto(f"{quiet_site}/design")
    async with page.expect_response("**/preferences"):
        await page.locator("[name=theme][value=dark]").click()
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
    await page.locator("[name=lang][value=en]").click()
    await page.wait_for_selector("html[lang=en][data-theme=dark]")


async def test_without_javascript_the_switches_work_too(browser, quiet_site):
    context = await browser.new_context(java_script_enabled=False, locale="zh-CN")
    page = await context.new_page()
    await page.goto(f"{quiet_site}/design")
    await page.locator("[name=theme][value=dark]").click()
    await page.wait_for_selector("html[data-theme=dark]")
    await context.close()


async def test_enter_three_times_without_network_is_one_effect(page, quiet_site):
    sent = []
    page.on("request", lambda request: sent.append(request.post_data) if request.url.endswith("/design/once") else None)
    await page.goto(f"{quiet_site}/design")
    await page.context.set_offline(True)
    field = page.locator("#once-amount")
    await field.focus()
    for _ in range(3):
        await page.keyboard.press("Enter")
    await page.wait_for_selector("body > .offline")
    assert await page.locator("#once").get_attribute("aria-busy") == "true"
    await page.context.set_offline(False)
    await page.wait_for_selector("#once-answer .notice.good")
    assert not await page.locator("body > .offline").is_visible()
    assert len(set(sent)) == 1, "the same form with the same key, however often it was sent"


async def test_an_unknown_outcome_is_asked_again_with_the_same_key(page, quiet_site):
    answers, sent = [503, 200], []

    async def unknown_first(route):
        sent.append(route.request.post_data)
        await (route.continue_() if answers.pop(0) == 200 else route.fulfill(status=503, body="unknown"))

    await page.route("**/design/once", unknown_first)
    await page.goto(f"{quiet_site}/design")
    await page.locator("#once-amount").press("Enter")
    await page.wait_for_selector("#once-answer .notice.good")
    assert len(sent) == 2
    assert sent[0] == sent[1]
