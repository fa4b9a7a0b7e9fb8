"""A partner's counters with the network gone: two vouchers honoured offline and told, one used at two outlets, the books agree."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from playwright.async_api import expect
from sqlalchemy import text

from loyalty.clock import local_date
from loyalty.crypto import Purpose, b64url, issue_token, public_keys, read_signed_token, totp_code, use_keyring
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.installation import open_keys
from loyalty.ledger.operations import make_partitions
from loyalty.rewards.queries.vouchers import find_voucher
from loyalty.settings import Settings
from partners.offline_rules import OfflineVoucher
from partners.operations.offline_codes import offline_path
from partners.queries.alliances import agreement_on
from partners.queries.offline import standing_offline
from tests.browser.serving import keep_picture, served
from tests.factories.partner_house import CLERK_PIN, PASSWORD, PLATE, SECRET, ZONE, make_house
from tests.factories.world import make_world
from tests.web.partner.portal import Browser

pytestmark = pytest.mark.browser


class Cable:
    """A wire to the service that can be pulled: what a worker asks goes through it, too."""

    def __init__(self, address: str) -> None:
        self.to = urlsplit(address)
        self.server = None
        self.port = 0
        self.wires: set[asyncio.StreamWriter] = set()

    async def plug_in(self) -> str:
        self.server = await asyncio.start_server(self._wire, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{self.port}"

    async def pull(self) -> None:
        self.server.close()
        for writer in list(self.wires):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _wire(self, reader, writer) -> None:
        there = await asyncio.open_connection(self.to.hostname, self.to.port)
        self.wires |= {writer, there[1]}
        await asyncio.gather(self._copy(reader, there[1]), self._copy(there[0], writer))

    async def _copy(self, reader, writer) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        self.wires.discard(writer)
        writer.close()


@pytest.fixture
async def site(database_url, tmp_path):
    """Serve a car wash of two outlets behind a cable; keep its keys open, so that codes can be made as the holder's page makes them."""
    settings = Settings.from_environment(
        {"DATABASE_URL": database_url, "LOYALTY_DATA": str(tmp_path / "data"), "LOYALTY_KEYS": str(tmp_path / "keys")}
    )
    now = datetime.now(UTC) - timedelta(minutes=2)
    owner, engine = make_engine(database_url), make_engine(database_url, role="loyalty_hot")
    async with transaction(make_sessions(owner)) as session:
        await make_partitions(session, now=now, months_back=1)
    await owner.dispose()
    await open_keys(settings, engine, now=now)
    sessions = make_sessions(engine)
    async with transaction(sessions) as session:
        await make_world(session, now=now)
        house = await make_house(session, now=now)
    with served(database_url, tmp_path) as direct:
        cable = Cable(direct)
        address = await cable.plug_in()

        async def voucher(kind, **more):
            async with transaction(sessions) as session:
                code = await house.voucher(session, kind, now=datetime.now(UTC), **more)
                found = await find_voucher(session, typed=code)
                return address + await offline_path(session, voucher_id=found.voucher_id, code=code, now=datetime.now(UTC))

        yield SimpleNamespace(address=address, direct=direct, cable=cable, sessions=sessions, house=house, voucher=voucher)
        await cable.pull()
    await engine.dispose()
    use_keyring(None)


async def signed_in(reader, site, role, **who):
    """Open the counter of somebody who is signed in, and wait until this phone is ready to work offline."""
    page = await reader(width=390, **who)
    host = urlsplit(site.address).hostname
    async with httpx.AsyncClient(base_url=site.direct, trust_env=False) as client:
        browser = Browser(client)
        if role == "clerk":
            client.cookies.set("partner-phone", site.house.phone, domain=host)
            await browser.send("/partner/sign-in", {"pin": CLERK_PIN})
        else:
            await browser.send("/partner/log-in", {"name": "owner@yuexi.example", "password": PASSWORD})
            await browser.send("/partner/log-in/code", {"code": totp_code(SECRET, now=datetime.now(UTC))})
            await browser.send("/partner", {"outlet": str(site.house.outlets[1])}, to="/partner/outlet")
        cookies = [{"name": one.name, "value": one.value, "domain": host, "path": "/"} for one in client.cookies.jar]
    await page.context.add_cookies(cookies)
    await page.goto(f"{site.address}/partner")
    await page.wait_for_selector("html[data-offline-ready=yes]")
    await page.wait_for_function("navigator.serviceWorker.controller !== null")
    return page


RULES = """async ([url, kit, cases]) => {
  const { read, refusal } = await import(url);
  const said = [];
  for (const [token, change, more] of cases) {
    const its = { ...kit, ...change };
    const told = await read(token, its.keys, crypto.subtle);
    said.push(refusal(told, { kit: its, now: kit.given_at + 60, uses: [], ...more }));
  }
  return said;
}"""


async def judged_by_the_page(page, path) -> list[tuple[str, str]]:
    """Ask the page's own rules about one code under other kits; return what was wanted and what it says."""
    token = path.rpartition("#")[2].partition(".")[2]
    now = int(datetime.now(UTC).timestamp())
    kit = {"lease": "L", "partner": "YUEXI", "outlet": "E", "given_at": now, "until": now + 3_600, "uses": 2, "amount_minor": 9_000}
    kit |= {"worth_minor": 6_000, "used_up": [], "benefits": [{"code": "fifty", "price_minor": None}]}
    keys = {str(key_id): b64url(key) for key_id, key in public_keys(Purpose.VOUCHER).items()}
    used = {"voucher": "other", "lease": "L", "worth": 4_000}
    body = read_signed_token(
        Purpose.VOUCHER, token, public_keys=public_keys(Purpose.VOUCHER), now=datetime.now(UTC), payload=OfflineVoucher
    )
    elsewhere = msgspec.structs.replace(body, outlets=["W"])
    wrong = {str(key_id): b64url(bytes(32)) for key_id in public_keys(Purpose.VOUCHER)}
    cases = [
        ("", token, {}, {}),
        ("tampered", token[:60] + ("A" if token[60] != "A" else "B") + token[61:], {}, {}),
        ("tampered", "nonsense", {}, {}),
        ("tampered", token, {"keys": wrong}, {}),
        ("unknown_key", token, {"keys": {}}, {}),
        ("foreign_partner", token, {"partner": "OTHER"}, {}),
        ("foreign_outlet", issue_token(Purpose.VOUCHER, elsewhere, expires_at=datetime.now(UTC) + timedelta(hours=1)), {}, {}),
        ("expired", issue_token(Purpose.VOUCHER, body, expires_at=datetime.now(UTC)), {}, {}),
        ("old_list", token, {"until": now}, {}),
        ("old_list", token, {"given_at": now + 9_999}, {}),
        ("double", token, {"used_up": [body.voucher.hex()]}, {}),
        ("replayed", token, {}, {"uses": [used | {"voucher": body.voucher.hex(), "lease": "older"}]}),
        ("not_offline", token, {"worth_minor": 4_999}, {}),
        ("budget", token, {}, {"uses": [used, used | {"voucher": "third", "worth": 1}]}),
        ("budget", token, {"uses": 9}, {"uses": [used | {"worth": 4_001}]}),
        ("", token, {}, {"uses": [used]}),
        ("amount_not_sound", token, {}, {"worth": 5_001}),
        ("amount_not_sound", token, {}, {"worth": 5_000, "gross": 4_999}),
    ]
    url = (await page.locator("script[src*=partner-offline]").get_attribute("src")).replace("partner-offline", "partner-rules")
    said = await page.evaluate(RULES, [url, kit | {"keys": keys}, [list(case[1:]) for case in cases]])
    return list(zip([case[0] for case in cases], said, strict=True))


async def redeem_offline(page, code, *, first=False):
    await page.fill("#f-code", code)
    await page.keyboard.press("Enter")
    if first:
        # The form of the page that was there goes nowhere: the worker leads to the counter that works without a network.
        await page.wait_for_selector("#offline")
    await page.wait_for_selector("#offline #verdict:visible")
    await page.click("#use")
    await page.wait_for_selector("[data-part=done]:visible")


async def test_two_offline_one_of_them_twice_and_the_books_agree(reader, site, faults_of):
    clerk, owner = await signed_in(reader, site, "clerk"), await signed_in(reader, site, "owner", locale="en", theme="dark")
    wash, fifty = await site.voucher("wash", plate=PLATE), await site.voucher("fifty")
    found = await judged_by_the_page(clerk, await site.voucher("fifty"))
    assert [said for _wanted, said in found] == [wanted for wanted, _said in found]
    await site.cable.pull()
    await redeem_offline(clerk, wash, first=True)
    await clerk.click("[data-part=done] [data-again]")
    await clerk.fill("#f-code", fifty)
    await clerk.keyboard.press("Enter")
    await clerk.wait_for_selector("#verdict:visible")
    await keep_picture(clerk, "offline-verdict")
    await clerk.click("#use")
    await clerk.wait_for_selector("[data-part=done]:visible")
    await expect(clerk.locator("[data-tag]")).to_contain_text("离线 2 笔待同步")
    # The same code again is refused by this phone; so is one that somebody changed.
    await clerk.click("[data-part=done] [data-again]")
    await clerk.fill("#f-code", fifty)
    await clerk.keyboard.press("Enter")
    await expect(clerk.locator("[data-why]")).to_have_text("此券已在本网点核销过。")
    await clerk.click("[data-part=refused] [data-again]")
    at = len(fifty) - 40
    await clerk.fill("#f-code", fifty[:at] + ("A" if fifty[at] != "A" else "B") + fifty[at + 1 :])
    await clerk.keyboard.press("Enter")
    await expect(clerk.locator("[data-why]")).to_contain_text("不是有效的二维码")
    assert await faults_of(clerk) == []
    await keep_picture(clerk, "offline-refused")
    # The other outlet has no network either, and honours one of them once more.
    await redeem_offline(owner, fifty, first=True)
    await keep_picture(owner, "offline-done")
    await site.cable.plug_in()
    for page in (clerk, owner):
        await page.click("#sync")
        await expect(page.locator("[data-list] [data-status=queued]")).to_have_count(0)
    await expect(clerk.locator("[data-list] [data-status=booked]")).to_have_count(2)
    await expect(owner.locator("[data-list] [data-status=loss]")).to_have_count(1)
    await keep_picture(owner, "offline-told")
    async with transaction(site.sessions) as session:
        lines = (await session.execute(text("SELECT kind, saved_minor, due_minor FROM partner_lines ORDER BY kind, saved_minor"))).all()
        assert [tuple(line) for line in lines] == [("offline_loss", 5_000, 5_000), ("redemption", 3_500, 350), ("redemption", 5_000, 500)]
        agreed = (await agreement_on(session, partner_id=site.house.partner_id, day=local_date(datetime.now(UTC), ZONE))).terms.offline
        stands = await standing_offline(session, partner_id=site.house.partner_id, agreed=agreed, now=datetime.now(UTC))
    assert (stands.losses, stands.loss_minor, stands.bound_minor) == (1, 5_000, 60_000)
    await owner.goto(f"{site.address}/partner/book")
    await expect(owner.locator("main")).to_contain_text("Offline, used up before")
