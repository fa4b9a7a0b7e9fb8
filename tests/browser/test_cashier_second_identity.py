"""A company's card at the counter, by keys alone: its driver, odometer and order are asked for, and the company where a limit says no."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from loyalty import clock
from loyalty.authorizations.hot_api import HolderToken
from loyalty.crypto import Purpose, issue_token
from loyalty.fleet.model import SilencePolicy
from loyalty.fleet.model_approvals import Approval
from loyalty.fleet.operations.approvals import answer, decide_due
from loyalty.fleet.operations.bindings import bind_card, tell_company
from loyalty.fleet.operations.companies import CompanySettings
from loyalty.fleet.operations.drivers import add_driver, set_driver_pin
from loyalty.fleet.queries.companies import lock_company
from loyalty.fleet.rules import DriverFacts
from loyalty.ids import uuid7
from loyalty.limits.model import LimitKind, Needs, Reaction, Window
from loyalty.limits.operations import NewLimit, NewOrder, add_orders, replace_limits, set_needs
from tests.browser.counter import come_in, writing
from tests.browser.test_cashier_looks import Walk
from tests.browser.test_cashier_sells import find
from tests.factories.fleet import give_vehicle, make_fleet
from tests.factories.world import PIN, SYSTEM

pytestmark = pytest.mark.browser

DRIVER_PIN = "2580"
KEPT = "SELECT detail ->> :name FROM sales WHERE account_id = :account ORDER BY sale_id DESC LIMIT 1"


@pytest.fixture
async def fleet(counter_station, counter):
    """A trucking company that wants driver, odometer and plate with each card; an order is open, a truck takes 20 L at once."""
    url, folder, world, _ = counter_station
    async with writing(url, folder) as session:
        settings = CompanySettings(silence=SilencePolicy.REFUSE, deputy_after_s=180, decide_after_s=1_800)
        made = await make_fleet(session, world, pool_minor=10_000_000, cards=2, settings=settings)
        made.vehicle = await give_vehicle(session, made, now=counter.now - timedelta(days=1), odometer_km=9_000)
        await tell_company(session, company=await lock_company(session, company_id=made.company_id), actor=SYSTEM, now=counter.now)
        driver = await add_driver(
            session, company_id=made.company_id, facts=DriverFacts(number="007", name="陈师傅"), actor=SYSTEM, now=counter.now
        )
        await set_driver_pin(session, company_id=made.company_id, driver_id=driver, pin=DRIVER_PIN, actor=SYSTEM, now=counter.now)
        order = NewOrder("WO-1", counter.now - timedelta(hours=1), counter.now + timedelta(days=1), quantity_milli=100_000)
        await add_orders(session, company_id=made.company_id, account_id=made.account_id, orders=[order], actor=SYSTEM, now=counter.now)
        made.driver = driver
    return made


async def needs(counter_station, subject, wanted: Needs) -> None:
    async with writing(*counter_station[:2]) as session:
        await set_needs(session, subject_id=subject, needs=wanted, actor=SYSTEM, now=counter_station[2].now)


async def only_so_much(counter_station, counter, fleet) -> None:
    """Let the truck take 20 L at once; for more the company may be asked."""
    limit = NewLimit(kind=LimitKind.QUANTITY, window=Window.TRANSACTION, value=20_000, reaction=Reaction.ASK)
    async with writing(*counter_station[:2]) as session:
        await replace_limits(session, subject_id=fleet.vehicle, limits=[limit], actor=SYSTEM, now=counter.now)


async def lay_down(page, counter_site, counter, fleet) -> None:
    """Come in, choose nozzle 3 and swipe the truck's card."""
    await come_in(page, counter_site, counter)
    await find(page, "3")
    await page.wait_for_url("**/cashier?fill=*")
    await find(page, fleet.cards[0].number)


async def type_in(page, **fields: str) -> None:
    """Type into one field after the other, Enter after each; the focus is there already."""
    for name, typed in fields.items():
        await page.wait_for_selector(f"#f-{name}:focus")
        await page.keyboard.type(typed)
        await page.keyboard.press("Enter")


@pytest.mark.parametrize("locale", ["zh_CN", "en"])
async def test_a_whole_fill_with_its_driver_takes_no_mouse(reader, counter_site, counter_station, counter, fleet, locale):
    page = await reader(locale=locale)
    await needs(counter_station, fleet.company_id, Needs.DRIVER | Needs.ODOMETER | Needs.PLATE)
    await lay_down(page, counter_site, counter, fleet)
    await type_in(page, driver="007", pin_driver=DRIVER_PIN, odometer="9400", plate="浙A12345", pin=PIN)
    await page.wait_for_url("**/cashier/sales/*")
    assert await counter.count(KEPT, name="driver", account=fleet.account_id) == str(fleet.driver)
    assert await counter.count(KEPT, name="odometer_km", account=fleet.account_id) == "9400"
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier")


async def test_the_driver_swipes_a_card_of_their_own_and_the_trucks_pays(page, counter_site, counter_station, counter, fleet):
    own = await give_own_card(counter_station, counter, fleet)
    await needs(counter_station, fleet.company_id, Needs.DRIVER)
    await lay_down(page, counter_site, counter, fleet)
    await type_in(page, driver=fleet.cards[0].number, pin_driver=DRIVER_PIN, pin=PIN)
    await page.wait_for_selector("#f-driver[aria-invalid=true]:focus")
    assert await page.input_value("#f-driver") == "", "the card that pays is nobody's"
    await page.keyboard.type(own)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/sales/*")
    assert await counter.count(KEPT, name="driver", account=fleet.account_id) == str(fleet.driver)
    paid = "SELECT card_id FROM sales WHERE account_id = :account ORDER BY sale_id DESC LIMIT 1"
    assert await counter.count(paid, account=fleet.account_id) == fleet.cards[0].card_id


async def give_own_card(counter_station, counter, fleet) -> str:
    """Bind the fleet's second card to its driver; return its number."""
    async with writing(*counter_station[:2]) as session:
        chain = fleet.chains[1]
        await bind_card(session, company_id=fleet.company_id, chain_id=chain, driver_id=fleet.driver, actor=SYSTEM, now=counter.now)
    return fleet.cards[1].number


async def test_another_companys_card_is_no_drivers_and_the_next_step_names_the_card(reader, counter_site, counter_station, counter, fleet):
    page = await reader(locale="en")
    own = await give_own_card(counter_station, counter, fleet)
    await needs(counter_station, fleet.company_id, Needs.DRIVER | Needs.RELATED)
    await lay_down(page, counter_site, counter, fleet)
    await type_in(page, driver=counter.company.number, pin_driver=DRIVER_PIN, pin=PIN)
    await page.wait_for_selector("#f-driver[aria-invalid=true]:focus")
    said = await page.locator(".verdict").inner_text()
    assert "no such driver's card" in said
    assert "their own card" in said
    assert await page.input_value("#f-driver") == ""
    await page.keyboard.type(own)
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".verdict:has-text('may not use this card')")
    assert await page.input_value("#f-driver") == "", "whoever may not drive it is asked for again"


async def test_a_drivers_card_stays_in_the_page_and_is_never_sent_back(page, counter_site, counter_station, counter, fleet):
    own = await give_own_card(counter_station, counter, fleet)
    await needs(counter_station, fleet.company_id, Needs.DRIVER)
    await lay_down(page, counter_site, counter, fleet)
    async with page.expect_response(
        lambda answer: answer.request.method == "POST" and "/cards/" in answer.url and "due" not in answer.url
    ) as sent:
        await type_in(page, driver=own, pin_driver=DRIVER_PIN, pin="0000")
    refused = await (await sent.value).text()
    assert own not in refused
    assert 'id="f-driver"' in refused
    await page.wait_for_selector("#f-pin_driver:focus")
    assert await page.input_value("#f-driver") == own, "nobody has to swipe it twice"
    await type_in(page, pin_driver=DRIVER_PIN, pin=PIN)
    await page.wait_for_url("**/cashier/sales/*")
    assert await counter.count(KEPT, name="driver", account=fleet.account_id) == str(fleet.driver)
    assert "007" in await page.locator(".paper").inner_text(), "the receipt says who drove"


async def test_the_code_on_a_drivers_phone_says_who_drives(page, counter_site, counter_station, counter, fleet):
    await give_own_card(counter_station, counter, fleet)
    await needs(counter_station, fleet.company_id, Needs.DRIVER)
    async with writing(*counter_station[:2]) as session:
        version = await session.scalar(text("SELECT version FROM cards WHERE card_id = :card"), {"card": fleet.cards[1].card_id})
        shown = HolderToken(index=fleet.cards[1].index, version=version, nonce="once")
        code = issue_token(Purpose.QR_TOKEN, shown, expires_at=clock.real_now() + timedelta(seconds=90))
    await lay_down(page, counter_site, counter, fleet)
    await type_in(page, driver=code, pin=PIN)
    await page.wait_for_url("**/cashier/sales/*")
    assert await counter.count(KEPT, name="driver", account=fleet.account_id) == str(fleet.driver)


async def test_what_is_wrong_is_marked_and_empty_and_the_rest_stays(page, counter_site, counter_station, counter, fleet):
    await needs(counter_station, fleet.company_id, Needs.DRIVER | Needs.ODOMETER)
    await lay_down(page, counter_site, counter, fleet)
    await type_in(page, driver="999", pin_driver=DRIVER_PIN, odometer="9400", pin=PIN)
    await page.wait_for_selector("#f-driver[aria-invalid=true]:focus")
    assert await page.input_value("#f-driver") == "", "the wrong number is gone"
    assert await page.input_value("#f-odometer") == "9400"
    assert [await page.input_value(f"#f-{name}") for name in ("pin", "pin_driver")] == [PIN, DRIVER_PIN], "kept in the page alone"
    assert 'value="1357"' not in await page.content()
    await page.keyboard.type("007")
    await page.locator("#f-pin_driver").fill("0000")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#f-pin_driver[aria-invalid=true]:focus")
    assert "2 次" in await page.locator(".verdict").inner_text(), "how many tries are left is said"
    assert await page.input_value("#f-driver") == "007"
    await page.keyboard.type(DRIVER_PIN)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/sales/*")


async def test_an_unlikely_reading_is_asked_once_more_and_then_taken(page, counter_site, counter_station, counter, fleet):
    await needs(counter_station, fleet.company_id, Needs.ODOMETER)
    await lay_down(page, counter_site, counter, fleet)
    await type_in(page, odometer="94000", pin=PIN)
    await page.wait_for_selector("#f-odometer[aria-invalid=true]:focus")
    assert "9000" not in await page.locator("main").inner_text(), "the last reading is not told"
    await page.keyboard.type("94000")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/sales/*")
    assert await counter.count("SELECT flags & 4096 FROM sales WHERE account_id = :a", a=fleet.account_id) == 4096


async def test_an_order_is_named_and_a_wrong_one_is_marked(page, counter_site, counter, fleet):
    await lay_down(page, counter_site, counter, fleet)
    await page.wait_for_selector("#f-pin:focus")
    await page.locator("details.more", has=page.locator("#f-order")).locator("summary").click()
    await page.fill("#f-order", "WO-7")
    await page.fill("#f-pin", PIN)
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#f-order[aria-invalid=true]:focus")
    await page.keyboard.type("WO-1")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/sales/*")
    assert await counter.count(KEPT, name="order", account=fleet.account_id)


async def test_before_filling_the_same_is_asked(page, counter_site, counter_station, counter, fleet):
    await needs(counter_station, fleet.company_id, Needs.DRIVER)
    await come_in(page, counter_site, counter)
    await page.goto(f"{counter_site}/cashier/cards/{fleet.cards[0].card_id}/authorise")
    await page.fill("#f-amount", "100")
    await page.fill("#f-driver", "007")
    await page.fill("#f-pin_driver", DRIVER_PIN)
    await page.locator("#f-pin_driver").press("Enter")
    await type_in(page, pin=PIN)
    await page.wait_for_url("**/cashier/authorisations/*")
    named = "SELECT prompts ->> 'driver' FROM authorizations WHERE account_id = :a"
    assert await counter.count(named, a=fleet.account_id) == str(fleet.driver)


async def asked(counter_station, fleet, *, approve: bool) -> None:
    """Let the company's manager answer what it was asked."""
    async with writing(*counter_station[:2]) as session:
        standing = select(Approval).where(Approval.company_id == fleet.company_id)
        approval = (await session.scalars(standing)).one()
        await answer(
            session,
            company_id=fleet.company_id,
            approval_id=approval.approval_id,
            approve=approve,
            reason="long trip",
            user_id=uuid7(approval.asked_at),
            actor=SYSTEM,
            now=approval.asked_at,
        )


async def until_asked(page, counter_site, counter_station, counter, fleet) -> None:
    await only_so_much(counter_station, counter, fleet)
    await lay_down(page, counter_site, counter, fleet)
    await type_in(page, pin=PIN)
    await page.wait_for_selector(".verdict form button:focus")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/askings/*")
    await page.wait_for_selector("#asking .verdict.warn")


async def test_the_company_is_asked_says_yes_and_the_card_is_presented_again(page, counter_site, counter_station, counter, fleet):
    await until_asked(page, counter_site, counter_station, counter, fleet)
    await asked(counter_station, fleet, approve=True)
    await page.wait_for_selector("#asking .verdict.good")
    await page.wait_for_selector("#asking a:focus")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/cashier/cards/*?fill=*")
    await type_in(page, pin=PIN)
    await page.wait_for_url("**/cashier/sales/*")


async def test_the_company_says_no_and_esc_leads_back(page, counter_site, counter_station, counter, fleet):
    await until_asked(page, counter_site, counter_station, counter, fleet)
    await asked(counter_station, fleet, approve=False)
    await page.wait_for_selector("#asking .verdict:not(.warn):not(.good)")
    await page.keyboard.press("Escape")
    await page.wait_for_url("**/cashier/cards/*")


async def test_nobody_answers_and_the_companys_setting_is_said(page, counter_site, counter_station, counter, fleet):
    await until_asked(page, counter_site, counter_station, counter, fleet)
    async with writing(*counter_station[:2]) as session:
        assert await decide_due(session, now=counter.now + timedelta(hours=1)) >= 1
    await page.wait_for_selector("#asking .verdict[role=alert]")
    assert "超时无人答复" in await page.locator("#asking").inner_text()


@pytest.mark.parametrize(("locale", "theme", "width"), [("zh_CN", "light", 1360), ("en", "dark", 390)])
async def test_axe_finds_no_serious_fault_where_more_is_said(
    reader, faults_of, counter_site, counter_station, counter, fleet, locale, theme, width
):
    page = await reader(locale=locale, theme=theme, width=width)
    walk = Walk(page, counter_site, faults_of, width)
    await needs(counter_station, fleet.company_id, Needs.DRIVER | Needs.ODOMETER | Needs.PLATE)
    await only_so_much(counter_station, counter, fleet)
    await come_in(page, counter_site, counter)
    await walk.go(f"/cashier/cards/{fleet.cards[0].card_id}/authorise")
    await walk.look("before filling")
    await walk.go(f"/cashier/cards/{fleet.cards[0].card_id}?fill={counter.fills[0]}")
    await walk.send("#f-driver[aria-invalid=true]", driver="999", pin_driver=DRIVER_PIN, odometer="9400", plate="浙A12345", pin=PIN)
    await walk.look("a wrong number")
    await walk.send(".verdict form button", driver="007")
    await walk.look("a limit that may be asked about")
    await page.locator(".verdict form button").press("Enter")
    await page.wait_for_selector("#asking .verdict.warn")
    await walk.look("waiting")
    await asked(counter_station, fleet, approve=True)
    await page.wait_for_selector("#asking .verdict.good")
    await walk.look("the company's yes")
    assert walk.found == {}
