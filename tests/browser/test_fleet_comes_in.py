"""An owner comes into the fleet portal by the link: password, authenticator, overview, on a desk and a phone; its pages before axe."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from loyalty.crypto import totp_code, use_keyring
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.identity import operations as identity
from loyalty.identity.model_portal import PortalRole
from loyalty.installation import open_keys
from loyalty.ledger.operations import make_partitions
from loyalty.settings import Settings
from tests.browser.serving import keep_picture, served
from tests.factories.world import make_world
from tests.web.fleet.portal import SYSTEM, fill_firm

pytestmark = pytest.mark.browser

CHOSEN = "nine green hills at dawn"
PAGES = {
    "home": "/fleet",
    "vehicles": "/fleet/vehicles",
    "vehicle": "/fleet/vehicles/{north-vehicle}",
    "vehicle-new": "/fleet/vehicles/new",
    "drivers": "/fleet/drivers",
    "driver": "/fleet/drivers/{north-driver}",
    "driver-edit": "/fleet/drivers/{north-driver}/edit",
    "cards": "/fleet/cards",
    "card": "/fleet/cards/{north-card}",
    "card-bind": "/fleet/cards/{north-card}/bind",
    "fills": "/fleet/fills",
    "departments": "/fleet/departments",
    "department": "/fleet/departments/{north-room}",
    "people": "/fleet/people",
    "invite": "/fleet/people/new",
    "person": "/fleet/people/{viewer}",
    "settings": "/fleet/settings",
    "me": "/fleet/me",
}


@pytest.fixture(scope="module")
async def firm(databases, tmp_path_factory):
    url = await databases.clone()
    folder = tmp_path_factory.mktemp("fleet")
    settings = Settings.from_environment({"DATABASE_URL": url, "LOYALTY_DATA": str(folder / "data"), "LOYALTY_KEYS": str(folder / "keys")})
    now = datetime.now(UTC) - timedelta(minutes=2)
    owner = make_engine(url)
    sessions = make_sessions(owner)
    async with transaction(sessions) as session:
        await make_partitions(session, now=now, months_back=2)
    await open_keys(settings, owner, now=now)
    async with transaction(sessions) as session:
        world = await make_world(session, now=now)
        found = await fill_firm(session, world, "ours", "钱塘物流有限公司", "浙A1234")
        links = [
            await identity.invite(
                session, company_id=found.company_id, email=email, role=PortalRole.OWNER, actor=SYSTEM, now=datetime.now(UTC)
            )
            for email in ("desk@ours.example", "phone@ours.example")
        ]
    await owner.dispose()
    use_keyring(None)
    with served(url, folder) as site:
        yield site, found, links
    await databases.drop(url)


@pytest.mark.parametrize(("locale", "theme", "width", "link"), [("zh_CN", "light", 1360, 0), ("en", "dark", 390, 1)])
async def test_from_the_link_to_the_overview_and_no_page_has_a_serious_fault(reader, firm, faults_of, locale, theme, width, link):
    site, found, links = firm
    page = await reader(locale=locale, theme=theme, width=width)
    faults: dict[str, list[str]] = {}

    async def look(name: str) -> None:
        wide = await page.evaluate("document.documentElement.scrollWidth")
        faults[name] = [*await faults_of(page), *([f"{wide} wide"] if wide > width else [])]
        await keep_picture(page, f"fleet-{name}-{locale}-{width}")

    assert (await page.goto(f"{site}/fleet/invitations/{links[link]}")).ok
    await look("invitation")
    await page.fill("#f-name", "沈国强")
    await page.fill("#f-password", CHOSEN)
    await page.fill("#f-again", CHOSEN)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/fleet/log-in/authenticator")
    await look("authenticator")
    await page.locator("details.more summary").click()
    secret = (await page.locator("details.more .mono").inner_text()).strip()
    await page.fill("#f-code", totp_code(base64.b32decode(secret), now=datetime.now(UTC)))
    await page.keyboard.press("Enter")
    await page.wait_for_selector("ul.codes")
    await look("recovery-codes")
    await page.locator("a[href='/fleet']").click()
    await page.wait_for_url("**/fleet")
    for name, path in PAGES.items():
        address = path
        for key, value in found.ids.items():
            address = address.replace(f"{{{key}}}", str(value))
        assert (await page.goto(site + address)).ok, address
        await look(name)
    await page.goto(f"{site}/fleet/people/new")
    await page.fill("#f-email", f"guest{width}@ours.example")
    await page.locator("main form button").first.click()
    await page.wait_for_selector("a[href*='/fleet/invitations/']")
    await look("invited")
    assert {name: each for name, each in faults.items() if each} == {}
