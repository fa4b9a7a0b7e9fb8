"""An invoice asked for in the portal and answered in the office: the pages of both."""

import pytest

from loyalty.authorizations.model_invoicing import GOODS
from loyalty.clock import local_date
from loyalty.crypto import use_keyring
from loyalty.db import transaction
from loyalty.fleet.allocation_rules import before, span_of
from tests.factories.fleet import make_fleet
from tests.web.fleet.portal import Firm, fill_invoice
from tests.web.office_desk import opened_office


@pytest.fixture
async def office(databases, tmp_path):
    url = await databases.clone()
    async with opened_office(url, tmp_path / "office", with_sales=False) as found:
        yield found
        for desk in found.desks.values():
            await desk.client.aclose()
    use_keyring(None)
    await databases.drop(url)


async def test_titles_and_requests_in_the_portal(portal):
    finance = await portal.at("ours", "finance")
    ids = portal.firms["ours"].ids
    title = {"name": "宁波分公司", "tax_number": "9144 0300 7152 6726 XX", "bank": "工商银行"}
    made = await finance.send("/fleet/invoices/titles/new", title)
    assert made.status_code == 303, made.text[:500]
    assert "9144030071526726XX" in (await finance.get("/fleet/invoices/titles")).text
    assert (await finance.send("/fleet/invoices/titles/new", {"name": "x", "tax_number": ""})).status_code == 422

    page = (await finance.get("/fleet/invoices/new")).text
    assert "299.00" in page, "paid 300, asked for 1 before"
    wanted = {"title": str(ids["title"]), f"amount-{GOODS}": "299.01"}
    assert (await finance.send("/fleet/invoices/new", wanted)).status_code == 422
    asked = await finance.send("/fleet/invoices/new", wanted | {f"amount-{GOODS}": "299.00"})
    assert asked.status_code == 303, asked.text[:500]
    shown = (await finance.get(asked.headers["location"])).text
    assert "299.00" in shown
    withdrawn = await finance.send(f"{asked.headers['location']}/withdraw", {})
    assert withdrawn.status_code == 303, withdrawn.text[:500]
    assert (await finance.send(f"{asked.headers['location']}/withdraw", {})).status_code == 409
    assert "299.00" in (await finance.get("/fleet/invoices/new")).text
    assert (await finance.send(f"/fleet/invoices/titles/{ids['title']}/close", {})).status_code == 303


async def test_the_office_enters_number_and_red_letter(office):
    world = office.chain.world
    now = world.now
    async with transaction(office.sessions) as session:
        fleet = await make_fleet(session, world)
        firm = Firm(fleet.company_id, fleet.account_id)
        made = await fill_invoice(session, firm, before(span_of(local_date(now, "Asia/Shanghai"), period_day=26)), now)
    desk = await office.at("finance")
    page = f"/office/invoices/{made['invoice']}"
    assert page in (await desk.get("/office/invoices?status=requested")).text
    day = {"day": "2026-09-28"}
    assert (await desk.send(page, {"number": "", **day}, to=f"{page}/issue")).status_code == 422
    issued = await desk.send(page, {"number": "24332000000000000001", **day}, to=f"{page}/issue")
    assert issued.status_code == 303, issued.text[:500]
    assert (await desk.send(page, {"reason": "no"}, to=f"{page}/refuse")).status_code == 409
    red = await desk.send(page, {"number": "2", "reason": "refund", **day}, to=f"{page}/red-letter")
    assert red.status_code == 303, red.text[:500]
    assert "24332000000000000001" in (await desk.get(page)).text
