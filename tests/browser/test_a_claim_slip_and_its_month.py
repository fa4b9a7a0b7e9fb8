"""A card is opened with a claim slip, the last of five hundred; the insurer gets its list on Monday, the slip is redeemed on a phone, and
the month is settled at forty per cent."""

import contextlib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import expect
from sqlalchemy import text

from jobs import partner_feeds, partner_months, rewards
from jobs.job import Context
from loyalty.clock import local_date
from loyalty.crypto import totp_code, use_keyring
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.identity import operations as identity
from loyalty.identity.model_partner import PartnerRole
from loyalty.installation import open_keys
from loyalty.pricing.document import Channel, Funder, Give, Rule, When
from loyalty.pricing.operations import publish_rule
from loyalty.rewards.model_vouchers import ValueType
from loyalty.rewards.operations.voucher_kinds import KindFacts, put_kind
from loyalty.rewards.operations.vouchers import VoucherWish, issue_many
from loyalty.settings import Settings
from partners.line_rules import month_after
from partners.operations.alliances import OutletFacts, add_outlet
from partners.queries.feeds import log_of
from partners.queries.settlement import get_statement
from tests.browser.counter import come_in, make_station
from tests.browser.serving import keep_picture, served
from tests.factories.partner_house import PASSWORD, SECRET
from tests.factories.world import SYSTEM
from tests.partners.feeding import CODE, KIND, feeding_house

pytestmark = pytest.mark.browser

FLYER, PIN, ZONE = "SLIP-500", "2468", "Asia/Shanghai"
GIVES = Rule(
    code="card-slip",
    name_zh="开卡赠意外险",
    name_en="Insurance with the card",
    effect=Give(what="voucher", item=KIND),
    funders=(Funder(funder="head-office"),),
    when=When(channels=(Channel.TOPUP,), flyers=(FLYER,)),
)


@pytest.fixture(scope="module")
async def counter_station(databases, tmp_path_factory):
    """A counter of this story's own: what it leaves in books and lists would be found by others' tests."""
    url, folder = await databases.clone(), tmp_path_factory.mktemp("counter")
    world = await make_station(url, folder)
    with served(url, folder) as address:
        yield url, folder, world, address
    await databases.drop(url)


@pytest.fixture
async def alliance(counter_station, counter):
    """An insurer allied with the chain, 499 of its 500 slips given out; a rule that gives one with a card's first load."""
    url, folder, world, _address = counter_station
    where = {"DATABASE_URL": url, "LOYALTY_DATA": str(folder / "data"), "LOYALTY_KEYS": str(folder / "keys")}
    settings, engine = Settings.from_environment(where), make_engine(url)
    await open_keys(settings, engine, now=datetime.now(UTC))
    sessions = make_sessions(engine)
    house = await feeding_house(sessions, counter.now, world)
    async with transaction(sessions) as session:
        kind = {"name_zh": "意外险凭证", "name_en": "Claim slip", "value_type": ValueType.PARTNER, "zone": ZONE, "validity_days": 90}
        facts = KindFacts(**kind, limit_total=500, outlets=(f"partner:{CODE}",))
        await put_kind(session, code=KIND, facts=facts, actor=house.maker, now=counter.now)
        wishes = [VoucherWish(KIND, "office", f"before-{number}") for number in range(499)]
        await issue_many(session, wishes=wishes, actor=SYSTEM, now=counter.now)
        await publish_rule(session, rule=GIVES, now=counter.now)
        hall = OutletFacts(code="MAIN", name_zh="营业大厅", name_en="Main hall")
        await add_outlet(session, partner_id=house.partner_id, facts=hall, actor=house.maker, now=counter.now)
        await identity.make_partner_user(
            session,
            partner_id=house.partner_id,
            email="desk@picc.example",
            name="陆经理",
            password=PASSWORD,
            totp_secret=SECRET,
            role=PartnerRole.OWNER,
            actor=SYSTEM,
            now=datetime.now(UTC),
        )
    house.clock = Context(sessions, settings)
    yield house
    with contextlib.suppress(AttributeError):
        use_keyring(None)
    await engine.dispose()


async def open_card(page, site, blank, *, name, document, phone, agrees):
    """Hand a card out at the counter, with its first load; the customer agrees, or says nothing."""
    await page.goto(f"{site}/cashier/issue")
    await page.wait_for_selector("#f-number:focus")
    await page.keyboard.type(blank)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/issue?card=*")
    await page.fill("#f-name", name)
    await page.fill("#f-phone", phone)
    await page.select_option("#f-document", "passport")
    await page.fill("#f-number", document)
    await page.check("input[name=seen]")
    asked = page.locator("label.check", has_text="意外险登记")
    await expect(asked).to_contain_text("可随时撤回", timeout=5_000)
    if agrees:
        await asked.locator("input").check()
        await keep_picture(page, "slip-1-counter")
    await page.locator("summary", has_text="宣传码").or_(page.locator("details:has(#f-flyer) > summary")).first.click()
    await page.fill("#f-flyer", FLYER)
    await page.fill("#f-pin", PIN)
    await page.fill("#f-pin_again", PIN)
    await page.fill("#f-amount", "200")
    await page.locator("main form button.primary").last.click()
    await page.wait_for_url("**/cashier/top-ups/*")


async def code_of_slip(page, site, number) -> str:
    """Read the slip's code off the holder's own page."""
    await page.goto(f"{site}/me")
    await page.fill("#f-number", number)
    await page.fill("#f-pin", PIN)
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".hero")
    await page.locator("li:has-text('意外险凭证') a[href*='/me/vouchers/']").click()
    await page.wait_for_url("**/me/vouchers/*")
    await expect(page.locator("main")).to_contain_text("营业大厅")
    await keep_picture(page, "slip-2-holder")
    return await page.locator("p.mono.strong").inner_text()


async def log_in(page, site):
    await page.goto(f"{site}/partner")
    await page.wait_for_url("**/partner/log-in*")
    await page.fill("#f-name", "desk@picc.example")
    await page.fill("#f-password", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/partner/log-in/code*")
    await page.fill("#f-code", totp_code(SECRET, now=datetime.now(UTC)))
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#code-form")


async def test_a_claim_slip_from_the_counter_to_the_settled_month(page, reader, counter_site, counter, alliance):
    await come_in(page, counter_site, counter)
    first, second = counter.blanks["personal"][:2]
    await open_card(page, counter_site, first, name="周海燕", document="E88881111", phone="13800571111", agrees=True)
    await open_card(page, counter_site, second, name="吴建国", document="E88882222", phone="13800572222", agrees=False)
    later = datetime.now(UTC) + timedelta(minutes=20)
    await rewards.run(alliance.clock, later)
    slips = "SELECT count(*) FROM vouchers v JOIN voucher_kinds k USING (kind_id) WHERE k.code = :kind"
    assert await counter.count(slips, kind=KIND) == 500, "the first got the last one; the second's card is open all the same"

    phone = await reader(width=390)
    code = await code_of_slip(phone, counter_site, first)
    other = await reader(width=390)
    await other.goto(f"{counter_site}/me")
    await other.fill("#f-number", second)
    await other.fill("#f-pin", PIN)
    await other.keyboard.press("Enter")
    await other.wait_for_selector(".hero")
    assert await other.locator("li:has-text('意外险凭证')").count() == 0, "500 issued, none left"

    zone = ZoneInfo(ZONE)
    here = later.astimezone(zone)
    monday = (here + timedelta(days=7 - here.weekday())).replace(hour=9, minute=5, second=0, microsecond=0)
    await partner_feeds.take_up(alliance.clock, later)
    await partner_feeds.run(alliance.clock, monday.astimezone(UTC))
    (batch,) = await alliance.batches()
    said = await alliance.read(batch)
    assert [line for line in said if "周海燕" in line], "who agreed is on Monday's list"
    assert not [line for line in said if "吴建国" in line]

    desk = await reader(width=390)
    await log_in(desk, counter_site)
    await desk.fill("#f-code", code.lower())
    await desk.keyboard.press("Enter")
    await desk.wait_for_selector("#verdict:has-text('可以使用')")
    await keep_picture(desk, "slip-3-verdict")
    await desk.locator("button", has_text="确认核销").click()
    await desk.wait_for_selector("#receipt:has-text('已核销')")
    await keep_picture(desk, "slip-4-receipt")
    await desk.goto(f"{counter_site}/partner")
    await desk.fill("#f-code", code)
    await desk.keyboard.press("Enter")
    await desk.wait_for_selector("#verdict:has-text('不能使用')")

    month = local_date(datetime.now(UTC), ZONE).replace(day=1)
    over = datetime(month_after(month).year, month_after(month).month, 10, 4, tzinfo=UTC)
    assert await partner_months.run(alliance.clock, over) >= 1
    async with transaction(alliance.sessions) as session:
        stated = await get_statement(session, partner_id=alliance.partner_id, month=month)
        sale = (await session.execute(text("SELECT gross_minor, commission_minor, due_minor FROM partner_lines"))).one()
    assert tuple(sale) == (10_000, 4_000, 6_000), "a premium of ¥100.00, forty per cent of it commission"
    assert (stated.is_final, stated.due_minor, stated.closing_minor) == (True, 6_000, 6_000)
    await desk.goto(f"{counter_site}/partner/book")
    await expect(desk.locator("main")).to_contain_text("¥60.00")
    await keep_picture(desk, "slip-5-book")

    await phone.goto(f"{counter_site}/me/consents")
    await phone.locator("button", has_text="撤回").click()
    await phone.wait_for_selector(".tag.warn:has-text('已撤回')")
    await keep_picture(phone, "slip-6-withdrawn")
    await partner_feeds.take_up(alliance.clock, monday.astimezone(UTC) + timedelta(days=6))
    await partner_feeds.run(alliance.clock, monday.astimezone(UTC) + timedelta(days=7))
    told = await alliance.told()
    assert [len(each) for each in told] == [1, 1], "two lists, one person on each"
    assert [told[0][0][0], told[1][0][0]] == ["N", "R"], "the next list tells the insurer to remove who withdrew"
    async with transaction(alliance.sessions) as session:
        log = (await log_of(session, partner_id=alliance.partner_id)).rows
    assert len({one.sequence for one in log}) == 2, "what left, and when, is on record"
