"""An invoice asked for by a company's finance, withdrawn; titles added and used no more."""

import pytest

from loyalty.crypto import use_keyring
from tests.web.fleet.portal import opened_portal


@pytest.fixture
async def portal(databases, tmp_path):
    url = await databases.clone()
    async with opened_portal(url, tmp_path / "portal") as found:
        yield found
        for browser in found.browsers.values():
            await browser.client.aclose()
    use_keyring(None)
    await databases.drop(url)


async def test_titles_and_requests_in_the_portal(portal):
    finance = await portal.at("ours", "finance")
    title = {"name": "宁波分公司", "tax_number": "9144 0300 7152 6726 XX", "bank": "工商银行"}
    made = await finance.send("/fleet/invoices/titles/new", title)
    assert made.status_code == 303, made.text[:500]
    shown = (await finance.get("/fleet/invoices/titles")).text
    assert "91440300715267 26XX".replace(" ", "") in shown
    page = (await finance.get("/fleet/invoices/new")).text
    assert "/fleet/invoices/titles" not in page or "宁波分公司" in page
    ids = portal.firms["ours"].ids
    assert (await finance.send(f"/fleet/invoices/titles/{ids['title']}/close", {})).status_code == 303
    withdrawn = await finance.send(f"/fleet/invoices/{ids['invoice']}/withdraw", {})
    assert withdrawn.status_code == 303, withdrawn.text[:500]
    assert (await finance.send("/fleet/invoices/titles/new", {"name": "x", "tax_number": ""})).status_code == 422
