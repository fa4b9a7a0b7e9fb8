"""A new fleet administrator's first month, in the browser: from the invitation to the statement.

Business time stands where the test puts it; log-ins, codes and signatures take real time. The till is the reference client.
"""

import base64
import csv
import io
import os
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from python_calamine import load_workbook
from sqlalchemy import text

from jobs import allocations, fleet
from jobs.job import Context
from loyalty import clock
from loyalty.crypto import totp_code
from loyalty.db import make_engine, make_sessions, transaction
from loyalty.fleet.model import CompanyMode, WorkdayMode
from loyalty.fleet.operations.companies import CompanySettings
from loyalty.fleet.operations.departments import DepartmentFacts, add_department
from loyalty.identity import operations as identity
from loyalty.identity.model_portal import PortalRole
from loyalty.ledger.operations import make_partitions
from loyalty.money import line_amount
from loyalty.pos_client import Card, Fuel, Till
from loyalty.web.formats import plate as shown
from tests.browser.serving import keep_picture
from tests.factories.fleet import Fleet, make_fleet
from tests.factories.site import Site, a_site
from tests.factories.world import PIN, SYSTEM
from tests.web.fleet.portal import PASSWORD, SECRET

pytestmark = pytest.mark.browser

CHOSEN = "nine green hills at dawn"
TRUCK, VAN, CAR, IDLE = "浙A70001", "浙A70002", "浙A70003", "浙A70004"
PLATES = (TRUCK, VAN, CAR, IDLE)
PRICE = 78_900
MANAGER = "manager@ours.example"


def at(month: int, day: int, hour: int = 10, *, year: int = 2026) -> datetime:
    """Return an instant of Hangzhou's clock."""
    return datetime(year, month, day, hour, tzinfo=UTC) - timedelta(hours=8)


@dataclass
class Month:
    """What the test walks through: the service, the company, its people's browsers, the till at the station."""

    site: Site
    fleet: Fleet
    context: Context
    till: Till
    seen: list[str] = field(default_factory=list)

    def stand(self, moment: datetime) -> datetime:
        clock.set_demo_clock(moment)
        return moment

    async def look(self, page: Any, name: str) -> None:
        """Check that nothing is cut off, and keep a picture where somebody wants them."""
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= page.viewport_size["width"], f"{name}: {wide} wide"
        self.seen.append(name)
        await keep_picture(page, f"month-{len(self.seen):02}-{name}")

    def card(self, plate: str) -> Card:
        return Card(number=self.fleet.cards[PLATES.index(plate)].number, pin=PIN)

    async def fuel(self, plate: str, litres: int, *, when: datetime, odometer_km: int) -> None:
        self.stand(when)
        line = Fuel(product="92", quantity_milli=litres * 1000, unit_price_e4=PRICE, amount_minor=line_amount(litres * 1000, PRICE))
        sold = await self.till.sell(self.card(plate), fuel=line, odometer_km=odometer_km)
        assert sold["outcome"] == "approved", sold

    async def day(self, moment: datetime) -> None:
        """Let the jobs of an hour do their work."""
        self.stand(moment)
        await fleet.run(self.context, moment)
        await allocations.run_hourly(self.context, moment)
        await allocations.run(self.context, moment)


@pytest.fixture
def began(request) -> datetime:
    return getattr(request, "param", at(8, 20, 9))


@pytest.fixture
async def month(database_url, tmp_path, began):
    engine = make_engine(database_url)
    async with transaction(make_sessions(engine)) as session:
        await make_partitions(session, now=began, months_back=2)
    await engine.dispose()
    async with a_site(database_url, tmp_path, began) as site:
        async with transaction(site.sessions) as session:
            settings = CompanySettings(mode=CompanyMode.MIXED, workday_mode=WorkdayMode.FOLLOWING)
            company = await make_fleet(session, site.world, cards=len(PLATES), pool_minor=5_000_000, settings=settings)
            company.department_id = await add_department(
                session, company_id=company.company_id, facts=DepartmentFacts(name="城配部"), actor=SYSTEM, now=began
            )
        jobs = make_engine(database_url, role="loyalty_jobs")
        async with await site.till() as till:
            yield Month(site, company, Context(make_sessions(jobs), site.settings), till)
        await jobs.dispose()


async def come_in(month: Month, page: Any) -> None:
    """Follow the invitation: a password, an authenticator, the recovery codes, the overview."""
    async with transaction(month.site.sessions) as session:
        link = await identity.invite(
            session,
            company_id=month.fleet.company_id,
            email="owner@ours.example",
            role=PortalRole.OWNER,
            actor=SYSTEM,
            now=clock.real_now(),
        )
    await page.goto(f"{month.site.base_url}/fleet/invitations/{link}")
    await page.fill("#f-name", "沈国强")
    await page.fill("#f-password", CHOSEN)
    await page.fill("#f-again", CHOSEN)
    await month.look(page, "invitation")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/fleet/log-in/authenticator")
    await page.locator("details.more summary").click()
    secret = (await page.locator("details.more .mono").inner_text()).strip()
    await page.fill("#f-code", totp_code(base64.b32decode(secret), now=datetime.now(UTC)))
    await page.keyboard.press("Enter")
    await page.wait_for_selector("ul.codes")
    await page.locator("a[href='/fleet']").click()
    await page.wait_for_url("**/fleet")
    await month.look(page, "empty-overview")


async def second_person(month: Month, page: Any) -> None:
    """Sign the fleet manager in, on a phone."""
    async with transaction(month.site.sessions) as session:
        await identity.make_portal_user(
            session,
            company_id=month.fleet.company_id,
            email=MANAGER,
            name="何晓",
            password=PASSWORD,
            totp_secret=SECRET,
            role=PortalRole.FLEET_MANAGER,
            department_id=None,
            actor=SYSTEM,
            now=clock.real_now() - timedelta(minutes=2),
        )
    await page.goto(f"{month.site.base_url}/fleet/log-in")
    await page.fill("[name=name]", MANAGER)
    await page.fill("[name=password]", PASSWORD)
    await page.press("[name=password]", "Enter")
    await page.wait_for_url("**/fleet/log-in/code*")
    await page.fill("[name=code]", totp_code(SECRET, now=datetime.now(UTC)))
    await page.press("[name=code]", "Enter")
    await page.wait_for_url("**/fleet")


async def take_in(month: Month, page: Any, kind: str, head: list[str], rows: list[list[str]], *, name: str = "") -> str:
    """Send a list, look at what it would do, take it in; return what the preview said."""
    written = io.StringIO()
    csv.writer(written).writerows([head, *rows])
    await page.goto(f"{month.site.base_url}/fleet/{kind}/import")
    data = {"name": f"{kind}.csv", "mimeType": "text/csv", "buffer": written.getvalue().encode("gb18030")}
    await page.set_input_files("#f-file", files=[data])
    await page.locator("main form button[type=submit], main form button:not([type])").first.click()
    taking = page.locator("form[action$='/import/apply'] button")
    await taking.wait_for()
    said = await page.inner_text("main")
    if name:
        await month.look(page, name)
    await taking.click()
    await page.locator("main a.btn.primary").wait_for()
    return said


async def set_up(month: Month, page: Any) -> None:
    """Take in vehicles, drivers and cards; limit the truck to 300 L a fill, asking."""
    vehicles = [
        [TRUCK, "货车", "城配部", "92", "9.7", "600", "30"],
        [VAN, "面包车", "城配部", "92", "2.0", "60", "10"],
        [CAR, "轿车", "城配部", "92", "1.6", "50", "8"],
        [IDLE, "轿车", "城配部", "92", "1.6", "50", "8"],
        ["浙A70005", "轿车", "没有这个部门", "92", "1.6", "五十", "8"],
    ]
    head = ["车牌号", "车型", "部门", "油品", "排量(L)", "油箱(L)", "百公里油耗(L)"]
    said = await take_in(month, page, "vehicles", head, vehicles, name="vehicles-previewed")
    assert "没有部门“没有这个部门”" in said
    assert "“五十”不是数字" in said
    drivers = [[str(101 + place), name, "城配部"] for place, name in enumerate(("沈阿大", "周小明", "何平", "吴江"))]
    await take_in(month, page, "drivers", ["编号", "姓名", "部门"], drivers)
    bound = [[str(month.fleet.chains[place]), plate, str(101 + place)] for place, plate in enumerate(PLATES)]
    await take_in(month, page, "cards", ["卡标识", "车牌号", "编号"], bound, name="cards-previewed")
    await page.goto(f"{month.site.base_url}/fleet/vehicles")
    for plate in PLATES:
        assert await page.locator(f"main a:has-text('{shown(plate)}')").count()
    await month.look(page, "vehicles")
    await page.locator(f"main a:has-text('{shown(TRUCK)}')").first.click()
    await page.wait_for_url("**/fleet/vehicles/*")
    vehicle = page.url.rsplit("/", 1)[1]
    await page.goto(f"{month.site.base_url}/fleet/limits/vehicle/{vehicle}/new?kind=quantity")
    await page.check("input[name=window][value=transaction]", force=True)
    await page.fill("#f-value", "300")
    await page.check("input[name=reaction][value=ask]", force=True)
    await month.look(page, "limit-asked")
    await page.locator("main form button.primary").click()
    await page.wait_for_url(f"**/fleet/limits/vehicle/{vehicle}")
    assert "300.00" in await page.inner_text("main")
    await month.look(page, "limits")


async def press(page: Any, verb: str) -> None:
    """Press a step's button for the whole period and wait for the page after it."""
    whole = f"form:has(input[name=all][value='1']):has(input[name=verb][value={verb}]) button"
    async with page.expect_navigation():
        await page.locator(whole).first.click()


async def allocate(month: Month, owner: Any, manager: Any, period: str, check_day: datetime) -> None:
    """Prepare, approve twice, load and show a period on its check day."""
    address = f"{month.site.base_url}/fleet/allocations?period={period}"
    await month.day(check_day)
    await manager.goto(address)
    await month.look(manager, "allocation-proposed")
    await press(manager, "department")
    await month.look(manager, "allocation-approved-for-the-department")
    await owner.goto(address)
    await press(owner, "approve")
    async with owner.expect_navigation():
        await owner.locator("form[action='/fleet/allocations/load'] button").click()
    await allocations.run(month.context, month.stand(check_day + timedelta(minutes=2)))
    await owner.goto(address)
    await month.look(owner, "allocation-loaded")


async def cards_money(month: Month) -> dict[str, int]:
    """Return what lies on each card of its own, by plate, minor units."""
    async with month.site.sessions() as session:
        rows = await session.execute(
            text("SELECT card_id, balance_minor FROM purses WHERE account_id = :account AND card_id IS NOT NULL AND kind = 1"),
            {"account": month.fleet.account_id},
        )
        found = dict(iter(rows))
    return {plate: int(found.get(month.fleet.chains[place], 0)) for place, plate in enumerate(PLATES)}


async def test_from_the_invitation_to_the_statement(reader, month):
    owner, manager = await reader(), await reader(theme="dark", width=390)
    await come_in(month, owner)
    await second_person(month, manager)
    await set_up(month, owner)
    for when, step in ((at(8, 28), 0), (at(9, 5), 1), (at(9, 15), 2)):
        await month.fuel(TRUCK, 200, when=when, odometer_km=50_000 + 660 * step)
        await month.fuel(VAN, 45, when=when + timedelta(hours=1), odometer_km=20_000 + 450 * step)
        await month.fuel(CAR, 36, when=when + timedelta(hours=2), odometer_km=8_000 + 450 * step)

    # The 25th is Mid-autumn, the 26th and 27th the weekend: the month is checked on Monday.
    await month.day(at(9, 25))
    await owner.goto(f"{month.site.base_url}/fleet/allocations")
    assert "2026年9月28日" in await owner.inner_text("main")
    await month.look(owner, "allocation-on-the-holiday")
    await allocate(month, owner, manager, "2026-09-26", at(9, 28))
    held = "上期无加油记录"
    assert held in await owner.inner_text(f"tr:has-text('{shown(IDLE)}')")
    money = await cards_money(month)
    assert money[IDLE] == 0
    assert all(money[plate] > 0 for plate in (TRUCK, VAN, CAR)), money

    await ask_at_the_pump(month, manager)
    await find_misuse(month, owner)
    await fetch_statement(month, owner)


@pytest.mark.parametrize("began", [at(12, 20, 9, year=2024)], indirect=True)
async def test_january_is_checked_on_a_working_sunday(reader, month):
    owner, manager = await reader(), await reader(theme="dark", width=390)
    await come_in(month, owner)
    await second_person(month, manager)
    await set_up(month, owner)
    for plate, litres in ((TRUCK, 200), (VAN, 45), (CAR, 36)):
        await month.fuel(plate, litres, when=at(1, 10, year=2025), odometer_km=30_000)
    # Saturday the 25th rests; Sunday the 26th is made up for the Spring Festival's bridge day.
    await month.day(at(1, 25, year=2025))
    await owner.goto(f"{month.site.base_url}/fleet/allocations?period=2025-01-26")
    assert "2025年1月26日 检查" in await owner.inner_text("main")
    await allocate(month, owner, manager, "2025-01-26", at(1, 26, year=2025))
    money = await cards_money(month)
    assert money[IDLE] == 0
    assert all(money[plate] > 0 for plate in (TRUCK, VAN, CAR)), money


async def ask_at_the_pump(month: Month, manager: Any) -> None:
    """350 L are wanted, 300 are let: the driver asks, the manager says yes on the phone, the retry passes."""
    month.stand(at(9, 28, 14))
    wanted = {"product": "92", "quantity_milli": 350_000, "partial": False}
    refused = await month.till.authorise(month.card(TRUCK), **wanted)
    assert (refused["outcome"], refused["limit"], refused["remaining_milli"]) == ("declined", "vehicle.transaction.quantity", 300_000)
    asked = await month.till.ask_company(refused["authorization"])
    assert asked["status"] == "asked"
    await manager.goto(f"{month.site.base_url}/fleet")
    await manager.locator("main a[href^='/fleet/approvals']").first.click()
    await manager.locator(f"main a[href='/fleet/approvals/{asked['approval']}']").first.click()
    assert "300.00" in await manager.inner_text("main"), "what the limit still allows"
    await month.look(manager, "asked-at-the-pump")
    await manager.locator("main a[href$='/yes']").click()
    await manager.locator("main form button.primary, main form button[type=submit]").first.click()
    await manager.wait_for_url(f"**/fleet/approvals/{asked['approval']}")
    await month.look(manager, "let-pass")
    passed = await month.till.authorise(month.card(TRUCK), **wanted)
    assert passed["outcome"] == "approved", passed
    done = await month.till.complete(
        passed["authorization"], quantity_milli=345_000, unit_price_e4=PRICE, amount_minor=line_amount(345_000, PRICE)
    )
    assert done["outcome"] == "booked"


async def find_misuse(month: Month, owner: Any) -> None:
    """80 L into a tank of 60: found within the hour, shown with its evidence, confirmed by a person."""
    await month.fuel(VAN, 80, when=at(9, 29, 11), odometer_km=21_400)
    await month.day(at(9, 29, 12))
    assert await fleet.look(month.context, at(9, 29, 12)) >= 1
    await owner.goto(f"{month.site.base_url}/fleet")
    await month.look(owner, "overview-with-an-oddity")
    await owner.goto(f"{month.site.base_url}/fleet/findings?status=open")
    await month.look(owner, "oddities")
    row = owner.locator(f"tr:has-text('{shown(VAN)}'):has-text('油箱')").first
    await row.locator("a").first.click()
    await owner.wait_for_url("**/fleet/findings/*")
    evidence = await owner.inner_text("main")
    assert "80.00" in evidence
    assert "60.00" in evidence
    await month.look(owner, "evidence")
    await owner.locator("main a[href$='/confirmed']").click()
    await owner.fill("#f-note", "司机承认加到了桶里")
    await owner.locator("main form button.danger").click()
    await owner.wait_for_url("**/fleet/findings/*")
    assert "司机承认加到了桶里" in await owner.inner_text("main")


async def fetch_statement(month: Month, owner: Any) -> None:
    """The closed period's statement: on the page, as PDF and as a workbook, with every fill of it."""
    await owner.goto(f"{month.site.base_url}/fleet/statements?period=2026-08-26")
    fuelled = 3 * (200 + 45 + 36)
    assert f"{fuelled}.00" in await owner.inner_text("main")
    await month.look(owner, "statement")
    files = {}
    for kind in ("pdf", "xlsx"):
        async with owner.expect_download() as coming:
            await owner.locator(f"main a[href*='.{kind}']").first.click()
        files[kind] = Path(await (await coming.value).path())
    assert files["pdf"].read_bytes().startswith(b"%PDF-")
    book = load_workbook(str(files["xlsx"]))
    cells = {str(cell) for name in book.sheet_names for row in book.get_sheet_by_name(name).to_python() for cell in row}
    assert all(any(plate[-5:] in cell for cell in cells) for plate in (TRUCK, VAN, CAR))
    if folder := os.environ.get("LOYALTY_PICTURES_OF_TESTS"):
        shutil.copy(files["pdf"], Path(folder) / "month-statement.pdf")
