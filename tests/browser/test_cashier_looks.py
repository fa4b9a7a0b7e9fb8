"""The counter's pages before axe, in both languages, light and dark, on a desk and on a phone."""

from urllib.parse import urlsplit

import pytest

from loyalty.web.pictures import QR_DOTS, read_qr
from tests.browser.counter import MANAGER, STAFF_PIN, come_in
from tests.browser.serving import keep_picture

pytestmark = pytest.mark.browser

looks = pytest.mark.parametrize(("locale", "theme", "width"), [("zh_CN", "light", 1360), ("en", "dark", 390)])


class Walk:
    """Goes from page to page and keeps what axe finds on each, and which of them are wider than the window."""

    def __init__(self, page, site, faults_of, width):
        self.page, self.site, self.faults_of, self.width = page, site, faults_of, width
        self.found = {}

    async def look(self, name):
        await self.page.wait_for_load_state()
        faults = await self.faults_of(self.page)
        wide = await self.page.evaluate("document.documentElement.scrollWidth")
        if wide > self.width:
            faults.append(f"{wide} wide")
        if faults:
            self.found[name] = faults
        await keep_picture(self.page, f"cashier-{name.replace(' ', '-')}-{self.width}")

    async def go(self, path):
        answer = await self.page.goto(self.site + path)
        assert answer.ok, path

    async def send(self, until, **fields):
        """Fill fields by their id, press Enter in the last, and wait for an address or an element."""
        for name, value in fields.items():
            await self.page.fill(f"#f-{name}", value)
        await self.page.press(f"#f-{name}", "Enter")
        await (self.page.wait_for_url(until) if until.startswith("**") else self.page.wait_for_selector(until))


@looks
async def test_axe_finds_no_serious_fault_on_any_page(reader, counter_site, counter, faults_of, locale, theme, width):
    page = await reader(locale=locale, theme=theme, width=width)
    await page.goto(f"{counter_site}/cashier/enrol")
    found = {"enrol": await faults_of(page)}
    await come_in(page, counter_site, counter)
    card = f"/cashier/cards/{counter.zhang.card_id}"
    blank = await counter.count("SELECT card_id FROM cards WHERE status = 0 AND NOT bearer LIMIT 1")
    paths = [
        "/cashier",
        f"/cashier?fill={counter.fills[0]}",
        card,
        *(f"{card}/{more}" for more in ("top-up", "care", "authorise")),
        f"/cashier/cards/{counter.bearer.card_id}/register",
        f"/cashier/issue?card={blank}",
        *(f"/cashier/{more}" for more in ("issue", "returns", "unresolved", "shift", f"fills/{counter.fills[1]}", "locked")),
        "/me",
    ]
    for path in paths:
        answer = await page.goto(counter_site + path)
        assert answer.ok, path
        found[path] = await faults_of(page)
        assert await page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert {path: faults for path, faults in found.items() if faults} == {}


@looks
async def test_axe_finds_no_serious_fault_where_something_happened(reader, counter_site, counter, faults_of, locale, theme, width):
    page = await reader(locale=locale, theme=theme, width=width)
    await come_in(page, counter_site, counter)
    walk = Walk(page, counter_site, faults_of, width)
    card = f"/cashier/cards/{counter.zhang.card_id}"
    await walk.go("/cashier/top-up")
    await walk.look("which card")
    await walk.go(f"/cashier/cards/{counter.poor.card_id}?fill={counter.fills[0]}")
    await walk.send(".verdict[role=alert]", pin="1357")
    await walk.look("declined")
    await walk.go(f"{card}?fill={counter.fills[0]}")
    await walk.send("**/cashier/sales/*", pin="1357")
    await walk.look("sold")
    receipt = read_qr(await page.locator(".paper img").evaluate(QR_DOTS))
    await page.goto(page.url.partition("?")[0])
    await walk.look("sale to give back")
    await walk.go(f"{card}/top-up")
    await walk.send("#problem .notice", amount="9000")
    await walk.look("top-up refused")
    await walk.send("**/cashier/top-ups/*", amount="100")
    await walk.look("topped up")
    await page.goto(page.url.partition("?")[0])
    await walk.look("top-up to take back")
    await walk.go(f"{card}/authorise")
    await walk.send("**/cashier/authorisations/*", amount="100", pin="1357")
    await walk.look("authorised")
    await page.goto(page.url.partition("?")[0])
    await walk.look("authorisation that waits")
    await walk.go("/cashier/returns")
    await walk.look("returns with rows")
    await page.goto(receipt)
    await walk.look("receipt on a phone")
    assert walk.found == {}


@looks
async def test_axe_finds_no_serious_fault_where_a_fill_has_no_end(reader, counter_site, counter, faults_of, locale, theme, width):
    page = await reader(locale=locale, theme=theme, width=width)
    await come_in(page, counter_site, counter)
    walk = Walk(page, counter_site, faults_of, width)
    await walk.go(f"/cashier/cards/{counter.zhang.card_id}/authorise")
    await walk.send("**/cashier/authorisations/*", amount="100", pin="1357")
    mine = f"main a[href$='{urlsplit(page.url).path}']"
    await counter.leave_unresolved()
    await walk.go("/cashier/unresolved")
    await walk.look("unresolved")
    await page.locator(mine).click()
    await page.wait_for_selector("#f-quantity")
    await walk.look("to be resolved")
    fields = {
        "quantity": "12",
        "amount": "94.68",
        "evidence": "record 811",
        "approver_card": "990001000000000000",
        "approver_pin": "735261",
    }
    await walk.send("#problem .notice", **fields)
    await walk.look("not resolved by nobody's card")
    await walk.send(
        "**/cashier/unresolved", **{"evidence-release": "camera", "approver_card-release": MANAGER, "approver_pin-release": STAFF_PIN}
    )
    assert await page.locator(mine).count() == 0
    assert walk.found == {}


@looks
async def test_axe_finds_no_serious_fault_on_the_phone(reader, counter_site, counter, faults_of, locale, theme, width):
    page = await reader(locale=locale, theme=theme, width=width)
    await come_in(page, counter_site, counter)
    walk = Walk(page, counter_site, faults_of, width)
    await walk.go(f"/cashier?fill={counter.fills[1]}")
    await page.locator("form[action$='/qr'] button").click()
    await page.wait_for_selector(".qr img")
    await walk.look("code for the phone")
    await page.goto(read_qr(await page.locator(".qr img").evaluate(QR_DOTS)))
    await walk.look("to be paid")
    await walk.send(".result h1", number=counter.zhang.number, pin="1357")
    await walk.look("paid")
    await walk.go("/me")
    await walk.send(".notice.bad", number="8800100000000000000", pin="1357")
    await walk.look("refused")
    await walk.send(".hero", number=counter.zhang.number, pin="1357")
    await walk.look("home")
    await page.goto(f"{counter_site}/me/cards/{counter.zhang.card_id}/code")
    await walk.look("code")
    await walk.go(f"/me/cards/{counter.zhang.card_id}")
    await walk.look("card")
    await page.locator("form[action$='/freeze'] button").click()
    await page.wait_for_selector("form[action$='/thaw']")
    await walk.look("frozen")
    await page.goto(f"{counter_site}/me/nothing")
    await walk.look("no such page")
    assert walk.found == {}


@looks
async def test_axe_finds_no_serious_fault_at_the_end_of_a_shift(reader, counter_site, counter, faults_of, locale, theme, width):
    page = await reader(locale=locale, theme=theme, width=width)
    await come_in(page, counter_site, counter)
    walk = Walk(page, counter_site, faults_of, width)
    await walk.go("/cashier/shift")
    await walk.send("#f-explanation:focus", counted="9999")
    await page.wait_for_selector(".verdict.warn")
    await walk.look("counted")
    await page.fill("#f-explanation", "找零备用金多放")
    await page.locator("button.primary").click()
    await page.wait_for_url("**/cashier/shifts/*")
    await walk.look("closed")
    await walk.go("/cashier/shift")
    await walk.look("to be opened")
    await walk.go("/cashier/sign-in")
    await walk.look("sign in")
    await page.goto(f"{counter_site}/cashier/nothing")
    await walk.look("no such page")
    assert walk.found == {}


async def test_whatever_is_touched_at_the_counter_is_large_enough(reader, counter_site, counter):
    page = await reader(width=390)
    await come_in(page, counter_site, counter)
    for path in ("/cashier", f"/cashier/cards/{counter.zhang.card_id}", f"/cashier/cards/{counter.zhang.card_id}/top-up"):
        await page.goto(counter_site + path)
        small = await page.evaluate(
            """() => [...document.querySelectorAll('.btn, .input, select, .chip, .check, .face, summary, .found a')]
                 .filter(e => e.getClientRects().length && e.getBoundingClientRect().height < 43.5 && !e.matches('.affix .input'))
                 .map(e => e.className + ' ' + e.getBoundingClientRect().height)"""
        )
        assert small == [], path
