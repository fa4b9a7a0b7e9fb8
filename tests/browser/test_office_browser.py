"""The office before a real browser: in by keyboard, a card stopped and let go again, the second factor in the middle, no serious fault."""

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import expect
from sqlalchemy import text

from loyalty.crypto import totp_code, use_keyring
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.installation import open_keys
from loyalty.ledger.operations import make_partitions
from loyalty.settings import Settings
from tests.browser.serving import served
from tests.web.office_chain import PASSWORD, code_now, fill_office
from tests.web.office_desk import Desk
from tests.web.office_waiting import leave_on_the_desk

pytestmark = pytest.mark.browser

PAGES = {
    "office": [
        "/office",
        "/office/customers",
        "/office/customers/{zhang}",
        "/office/customers/{firm}",
        "/office/customers/{zhang}/rewards",
        "/office/flyers",
        "/office/top-ups/{pending}",
        "/office/customers/new?kind=person",
        "/office/cards",
        "/office/cards/{firm-truck}",
        "/office/cards/{zhang-card}/limits/new?kind=hours",
        "/office/accounts/{zhang-card-account}",
        "/office/sales",
        "/office/unresolved",
        "/office/adjustments/{adjustment}",
        "/office/freezes",
        "/office/stations",
        "/office/stations/{station}",
        "/office/terminals/{till}",
        "/office/terminals/{till}/enrol",
        "/office/prices",
        "/office/prices/new",
        "/office/card-products",
        "/office/card-products/new",
        "/office/stock",
        "/office/staff",
        "/office/staff/{cashier}",
        "/office/shifts",
        "/office/closures",
        "/office/customers?text=zzzz",
        "/office/customers/{firm}/edit",
        "/office/customers/{zhang}/documents/new",
        "/office/customers/{firm}/bank-accounts/new",
        "/office/merge-suggestions",
        "/office/cards/{zhang-card}/suspend",
        "/office/cards/{zhang-card}/replace",
        "/office/authorisations",
        "/office/adjustments",
        "/office/regions",
        "/office/stations/{station}/edit",
        "/office/stations/{station}/terminals/new",
        "/office/terminals",
        "/office/terminals/{till}/caps",
        "/office/price-list",
        "/office/prices/file",
        "/office/rules",
        "/office/rules/1",
        "/office/rules/calendar",
        "/office/rules/budgets",
        "/office/rules/history",
        "/office/rules/import",
        "/office/stock/produce",
        "/office/stock/count",
        "/office/staff/new",
        "/office/staff/{cashier}/roles/new",
        "/office/staff/{cashier}/leave",
        "/office/day-closes",
        "/office/me",
        "/office/me/password",
        "/office/adjustments/new?account={li-card-account}",
        "/office/freezes/new?account={li-card-account}",
        "/office/freezes/{freeze}/lift",
        "/office/day-closes/{station}/{day}",
        "/office/failures",
        "/office/merge-suggestions/{suggestion}?first={zhang}&second={twin}",
        "/office/merges/{suggestion}/undo",
        "/office/prices/{price}/withdraw",
        "/office/staff/{cashier}/log-in",
        "/office/staff/{cashier}/password",
        "/office/staff/{cashier}/pin",
        "/office/nothing",
    ],
    "finance": [
        "/office",
        "/office/liability",
        "/office/house",
        "/office/transfers",
        "/office/transfers/{pending}",
        "/office/adjustments/{adjustment}",
        "/office/purchases/{purchase}",
        "/office/closures/{closure}",
        "/office/closures/{approved}",
    ],
    "auditor": ["/office", "/office/audit", "/office/access"],
    "station": ["/office"],
}


LISTS = {
    "office": {
        "/office/card-products": "/edit",
        "/office/sales": "",
        "/office/shifts": "",
        "/office/unresolved": "",
        "/office/closures?status=": "",
    },
    "finance": {},
    "auditor": {},
    "station": {"/office/sales": "/refund", "/office/unresolved": ""},
}
"""Lists whose first row is opened too, and what is asked for on its page."""


class Site:
    """The served chain, and the cookies of who is signed in."""

    def __init__(self, url: str, chain, database_url: str) -> None:
        self.url, self.database_url = url, database_url
        self.ids = chain.ids | chain.people | {"station": chain.stations[0], "till": chain.world.terminal_ids[0]}
        self._cookies: dict[str, list[dict]] = {}

    async def cookies(self, name: str) -> list[dict]:
        if name not in self._cookies:
            async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
                await Desk(client, name).log_in()
                self._cookies[name] = [
                    {"name": cookie.name, "value": cookie.value, "domain": urlsplit(self.url).hostname, "path": "/"}
                    for cookie in client.cookies.jar
                ]
        return self._cookies[name]

    async def let_the_second_factor_age(self, name: str) -> None:
        """Let ten minutes pass since somebody's codes, as far as their sessions know."""
        engine = make_engine(self.database_url)
        aged = "UPDATE user_sessions SET stepped_up_at = stepped_up_at - interval '10 minutes' WHERE staff_id = :person"
        async with transaction(make_sessions(engine)) as session:
            await session.execute(text(aged), {"person": self.ids[name]})
        await engine.dispose()

    def address(self, path: str) -> str:
        return self.url + path.format_map({key: str(value) for key, value in self.ids.items()})


@pytest.fixture(scope="module")
async def chain_site(databases, tmp_path_factory):
    url, folder = await databases.clone(), tmp_path_factory.mktemp("site")
    settings = Settings.from_environment({"DATABASE_URL": url, "LOYALTY_DATA": str(folder / "data"), "LOYALTY_KEYS": str(folder / "keys")})
    now = datetime.now(UTC) - timedelta(minutes=2)
    owner, engine = make_engine(url), make_engine(url, role="loyalty_hot")
    async with transaction(make_sessions(owner)) as session:
        await make_partitions(session, now=now, months_back=2)
    await open_keys(settings, engine, now=now)
    chain = await fill_office(make_sessions(engine), url, now=now)
    async with transaction(make_sessions(owner)) as session:
        await leave_on_the_desk(session, chain, now=now)
    await owner.dispose()
    await engine.dispose()
    use_keyring(None)
    with served(url, folder) as address:
        yield Site(address, chain, url)
    await databases.drop(url)


@pytest.fixture(scope="module")
def site(chain_site) -> str:
    return chain_site.url


@pytest.fixture
def office(reader, chain_site):
    """Return a function that opens a page for somebody signed in."""

    async def open_as(name: str, **who):
        page = await reader(**who)
        await page.context.add_cookies(await chain_site.cookies(name))
        return page

    return open_as


async def test_one_comes_in_by_keyboard_alone(reader, site):
    page = await reader(locale="en")
    await page.goto(f"{site}/office/cards")
    await page.wait_for_selector("main input:focus")
    await page.keyboard.type("district")
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/log-in/code**")
    await page.wait_for_selector("main input:focus")
    await page.keyboard.type(code_now())
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{site}/office/cards")
    assert await page.title() == "Cards · Office"


async def test_the_order_of_rules_is_changed_by_keys_alone(office, site):
    page = await office("office", locale="en")
    await page.goto(f"{site}/office/rules")
    await page.fill("form[action$='/rules/new'] #f-note", "order")
    await page.press("form[action$='/rules/new'] #f-note", "Enter")
    await page.wait_for_url("**/office/rules/*")
    draft = page.url.partition("?")[0].partition("#")[0]
    for code in ("first", "second"):
        await page.goto(f"{draft}/groups/new")
        for name, value in (("code", code), ("name_zh", code), ("name_en", code)):
            await page.fill(f"#f-{name}", value)
        await page.press("#f-name_en", "Enter")
        await page.wait_for_selector(f"#r-{code}")
    members = page.locator("[data-member]")

    await page.goto(draft)
    assert await members.evaluate_all("all => all.map(each => each.id)") == ["r-first", "r-gold", "r-second"]
    for _step in range(2):
        await page.keyboard.press("j")
    await page.keyboard.press("k")
    assert await page.evaluate("document.activeElement.id") == "r-first"
    await page.keyboard.press("Alt+ArrowDown")
    await expect(members.nth(1)).to_have_id("r-first")
    await expect(members.nth(1)).to_be_focused()
    await page.keyboard.press("Alt+ArrowDown")
    await expect(members.nth(2)).to_have_id("r-first")
    await expect(members.nth(2)).to_be_focused()
    await page.keyboard.press("Alt+ArrowUp")
    await expect(members.nth(1)).to_have_id("r-first")
    await page.goto(draft)
    assert await members.evaluate_all("all => all.map(each => each.id)") == ["r-gold", "r-first", "r-second"], "it was stored"


async def test_a_card_is_found_stopped_and_let_go_again(office, chain_site, site):
    page = await office("office")
    await page.goto(f"{site}/office/cards")
    await page.wait_for_selector("input:focus")
    await page.keyboard.type("李娜")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**text=**")
    await page.locator("tbody tr", has_text="李娜").locator("a").first.click()
    await page.get_by_role("link", name="暂停").click()
    # A key pressed while the form is still on its way reaches the page before it.
    await page.wait_for_selector("main form textarea:focus, main form input:focus")
    await page.keyboard.type("持卡人来电")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".toast")
    assert await page.locator("p.row .tag").first.inner_text() == "已暂停"
    await page.locator(".toast button").click()
    await page.wait_for_selector("text=已恢复使用")
    assert await page.locator("p.row .tag").first.inner_text() == "正常使用"


async def test_the_second_factor_is_asked_for_in_the_page_and_the_form_goes_on(office, chain_site, site):
    page = await office("auditor", locale="en")
    address = chain_site.address("/office/customers/{zhang}/documents/{zhang-document}/reveal")
    await page.goto(address)
    cookie = next(one for one in await page.context.cookies() if one["name"] == "office")
    assert cookie["httpOnly"] or cookie["value"]
    await page.locator("#f-reason").fill("Asked by the police")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("text=34052419800101001X")


async def test_what_is_wrong_is_listed_and_leads_to_its_field(office, site):
    page = await office("office", locale="en")
    await page.goto(f"{site}/office/customers/new?kind=person")
    await page.evaluate("document.querySelectorAll('[required]').forEach(e => e.removeAttribute('required'))")
    await page.locator("#f-phone").fill("12")
    await page.locator("main form button").first.click()
    await page.wait_for_selector("#problem a[href='#f-name']")
    assert await page.locator("#f-phone").input_value() == "12"
    await page.locator("#problem a[href='#f-name']").click()
    assert await page.evaluate("document.activeElement.id") == "f-name"


async def test_without_javascript_the_office_works_too(browser, chain_site, site):
    context = await browser.new_context(java_script_enabled=False, locale="zh-CN")
    await context.add_cookies(await chain_site.cookies("office"))
    page = await context.new_page()
    await page.goto(chain_site.address("/office/cards/{firm-main}/suspend"))
    await page.locator("#f-reason").fill("测试")
    await page.locator("main form button").first.click()
    await page.wait_for_url("**/office/cards/*")
    assert "已暂停" in await page.locator("main").inner_text()
    await context.close()


@pytest.mark.parametrize(("locale", "theme", "width"), [("zh_CN", "light", 1360), ("en", "dark", 390)])
@pytest.mark.parametrize("name", sorted(PAGES))
async def test_axe_finds_no_serious_fault(office, faults_of, chain_site, name, locale, theme, width):
    page = await office(name, locale=locale, theme=theme, width=width)
    found = {}
    paths = list(PAGES[name])
    for path, onward in LISTS[name].items():
        await page.goto(chain_site.address(path))
        first = page.locator("main tbody a").first
        if await first.count():
            leads_to = urlsplit(await first.get_attribute("href")).path
            paths += [leads_to, leads_to + onward] if onward else [leads_to]
    for path in paths:
        await page.goto(chain_site.address(path))
        faults = await faults_of(page)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            faults.append(f"{wide} wide")
        if faults:
            found[path] = faults
    assert found == {}


@pytest.mark.parametrize(("locale", "theme", "width"), [("zh_CN", "light", 1360), ("en", "dark", 390)])
async def test_axe_finds_no_serious_fault_at_a_first_log_in(office, reader, site, chain_site, faults_of, locale, theme, width):
    """From the password that is shown once to the authenticator, the recovery codes and a password of one's own; then a step-up."""
    found = {}

    async def look(name):
        await page.wait_for_load_state()
        faults = await faults_of(page)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            faults.append(f"{wide} wide")
        if faults:
            found[name] = faults

    async def send(field, value, until):
        await page.fill(field, value)
        await page.press(field, "Enter")
        await page.wait_for_selector(until)

    page = await office("office", locale=locale, theme=theme, width=width)
    name = f"new-{locale[:2]}"
    await page.goto(chain_site.address(f"/office/staff/{{hired-{locale[:2]}}}/log-in"))
    await send("#f-name", name, "main section strong.mono")
    assert await page.locator("#f-name").count() == 0, "the form has gone: Enter asks for nothing"
    await look("password shown once")
    password = await page.locator("main strong.mono").nth(1).inner_text()
    page = await reader(locale=locale, theme=theme, width=width)
    await page.goto(f"{site}/office/log-in")
    await page.fill("#f-name", name)
    await send("#f-password", password, ".qr img")
    await look("authenticator")
    secret = base64.b32decode((await page.locator("details .mono").text_content()).replace(" ", ""))
    await send("#f-code", "000000", ".notice.bad")
    await look("authenticator refused")
    await send("#f-code", totp_code(secret, now=datetime.now(UTC)), ".codes")
    await look("recovery codes")
    recovery = await page.locator(".codes li").all_inner_texts()
    await page.locator(".foot a").click()
    await page.wait_for_selector("#f-again")
    await look("own password")
    await page.fill("#f-password", "too short")
    await send("#f-again", "too short", "#problem .notice")
    await look("password too weak")
    await page.fill("#f-password", PASSWORD)
    await send("#f-again", f"{PASSWORD}s", "[aria-invalid]")
    await look("passwords differ")
    await page.fill("#f-password", PASSWORD)
    await send("#f-again", PASSWORD, ".frame")
    await look("home without a role")
    await page.locator("form[action$='/log-out'] button").evaluate("button => button.click()")
    await page.wait_for_selector("#f-name")
    await page.fill("#f-name", name)
    await send("#f-password", PASSWORD, "#f-code")
    await page.goto(f"{site}/office/log-in/code?recovery")
    await send("#f-code", "not one of them", ".notice.bad")
    await look("recovery code refused")
    await send("#f-code", recovery[0], ".frame")
    assert found == {}


@pytest.mark.parametrize(("locale", "theme", "width"), [("zh_CN", "light", 1360), ("en", "dark", 390)])
async def test_axe_finds_no_serious_fault_where_the_second_factor_is_asked_for_again(office, chain_site, faults_of, locale, theme, width):
    page = await office("auditor", locale=locale, theme=theme, width=width)
    await chain_site.let_the_second_factor_age("auditor")
    await page.goto(chain_site.address("/office/customers/{zhang}/documents/{zhang-document}/reveal"))
    await page.fill("#f-reason", "Asked by the police")
    await page.press("#f-reason", "Enter")
    await page.wait_for_selector("#step-up-code:focus")
    assert await faults_of(page) == []
    await page.fill("#step-up-code", "000000")
    await page.press("#step-up-code", "Enter")
    await page.wait_for_selector("#step-up .notice.bad")
    assert await faults_of(page) == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
