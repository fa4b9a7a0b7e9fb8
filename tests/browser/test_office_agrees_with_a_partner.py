"""An agreement in a real browser: drafted benefit by benefit, corrected where it is wrong, submitted, and approved by another person."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.async_api import expect

from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import use_keyring
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.installation import open_keys
from loyalty.ledger.operations import make_partitions
from loyalty.settings import Settings
from partners.model import Category
from partners.operations.alliances import PartnerFacts, add_partner
from tests.browser.serving import served
from tests.web.office_chain import fill_office
from tests.web.office_desk import Desk

pytestmark = pytest.mark.browser


@pytest.fixture
async def site(database_url, tmp_path):
    """Serve a chain with one partner that nothing is agreed with; return its page's address."""
    settings = Settings.from_environment(
        {"DATABASE_URL": database_url, "LOYALTY_DATA": str(tmp_path / "data"), "LOYALTY_KEYS": str(tmp_path / "keys")}
    )
    now = datetime.now(UTC) - timedelta(minutes=2)
    owner, engine = make_engine(database_url), make_engine(database_url, role="loyalty_hot")
    async with transaction(make_sessions(owner)) as session:
        await make_partitions(session, now=now, months_back=2)
    await open_keys(settings, engine, now=now)
    chain = await fill_office(make_sessions(engine), database_url, now=now, with_sales=False)
    facts = PartnerFacts(code="YUEXI", name_zh="悦洗车行", name_en="Yuexi Car Wash", category=Category.WASH)
    async with transaction(make_sessions(engine)) as session:
        made = await add_partner(session, facts=facts, actor=Actor(ActorKind.STAFF, chain.people["office"]), now=now)
    await owner.dispose()
    await engine.dispose()
    use_keyring(None)
    with served(database_url, tmp_path) as address:
        yield f"{address}/office/partners/{made}"


@pytest.fixture
def office(reader, site):
    """Return a function that opens a page for somebody signed in."""

    async def open_as(name: str, **who):
        page = await reader(**who)
        base, host = site.partition("/office")[0], urlsplit(site).hostname
        async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
            await Desk(client, name).log_in()
            cookies = [{"name": one.name, "value": one.value, "domain": host, "path": "/"} for one in client.cookies.jar]
        await page.context.add_cookies(cookies)
        return page

    return open_as


async def test_an_agreement_is_drafted_corrected_submitted_and_approved_by_another(office, site, faults_of):
    page = await office("office", locale="en")
    await page.goto(site)
    await page.get_by_role("link", name="Draft an agreement").click()
    # The scripts are there once the page is loaded; before that its buttons do their work.
    await page.wait_for_url("**/agreements/new")
    # What a benefit says follows its kind.
    await page.select_option("#f-b0-kind", "insurance")
    await page.wait_for_selector("#f-b0-band0-premium")
    await page.select_option("#f-b0-kind", "discount")
    await page.wait_for_selector("#f-b0-band0-premium", state="detached")
    await page.fill("#f-b0-name_zh", "九折")
    await page.fill("#f-b0-name_en", "Ten off")
    await page.fill("#f-b0-share", "10")
    await page.fill("#f-b0-issuer", "60")
    await page.get_by_role("button", name="Add a benefit").click()
    await expect(page.locator("#benefit-1")).to_be_focused()
    await page.select_option("#f-b1-kind", "service")
    await page.wait_for_selector("#f-b1-limit_each_month:visible")
    for name, value in (("name_zh", "免费精洗"), ("name_en", "Free wash"), ("limit_each_month", "1"), ("issuer", "100")):
        await page.fill(f"#f-b1-{name}", value)
    await page.get_by_role("button", name="Earlier: New benefit").click()
    await expect(page.locator("#f-b0-name_en")).to_have_value("Free wash")
    await page.fill("#f-commission", "5")
    assert await faults_of(page) == []
    await page.press("#f-commission", "Enter")

    await page.wait_for_selector("text=It cannot be submitted yet")
    await page.get_by_role("link", name="Correct it").click()
    await page.wait_for_url("**/edit")
    await page.wait_for_selector("#f-b1-issuer[aria-invalid=true]")
    await page.fill("#f-b1-partner", "40")
    await page.press("#f-b1-partner", "Enter")
    await page.get_by_role("button", name="Submit for approval").click()
    await page.wait_for_selector("p.row .tag:text-is('Waits for approval')")
    assert await page.get_by_role("button", name="Approve this agreement").count() == 0, "its maker does not decide"
    assert await faults_of(page) == []

    checker = await office("finance", locale="en")
    await checker.goto(page.url)
    await checker.get_by_role("button", name="Approve this agreement").click()
    await checker.wait_for_selector("p.row .tag:text-is('Approved')")

    await page.goto(site)
    await page.get_by_role("link", name="Begin the alliance").click()
    await page.fill("#f-reason", "signed")
    await page.get_by_role("button", name="Begin the alliance").click()
    await page.wait_for_selector("p.row .tag:text-is('Allied')")
    await expect(page.locator("#agreements")).to_contain_text("Holds today")
    assert await faults_of(page) == []
