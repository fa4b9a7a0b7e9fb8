"""What the portal's pages do: lists taken in after a look, vehicles and drivers entered, cards bound, figures of the overview."""

import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from loyalty.crypto import use_keyring
from loyalty.db import transaction
from tests.factories.alliances import make_alliance
from tests.web.fleet.portal import opened_portal

SHEET = "车牌,车型,部门,油箱(升)\n浙A77001,面包车,north,60\n浙A77002,没有的部门车,nowhere,60\n"


@pytest.fixture(scope="module")
async def portal(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_portal(url, tmp_path_factory.mktemp("portal")) as found:
        yield found
        for browser in found.browsers.values():
            await browser.client.aclose()
    use_keyring(None)
    await databases.drop(url)


async def test_a_list_is_looked_at_before_it_is_taken_in(portal):
    manager = await portal.at("ours", "fleet_manager")
    fields = await manager.fields("/fleet/vehicles/import")
    sent = {"file": ("vehicles.csv", SHEET.encode(), "text/csv")}
    looked = await manager.client.post("/fleet/vehicles/import", data=fields, files=sent, follow_redirects=False)
    assert looked.status_code == 200
    assert "77001" not in (await manager.get("/fleet/vehicles")).text, "a look writes nothing"
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', looked.text))
    assert "data" in hidden
    taken = await manager.client.post(
        "/fleet/vehicles/import/apply", data=hidden | {"csrf_token": fields["csrf_token"]}, follow_redirects=False
    )
    assert taken.status_code == 200
    listed = (await manager.get("/fleet/vehicles?text=77001")).text
    assert "77001" in listed
    assert "77002" not in re.sub(r'value="[^"]*"', "", (await manager.get("/fleet/vehicles?text=77002")).text)


async def test_a_list_that_was_fetched_can_be_sent_back(portal):
    manager = await portal.at("ours", "fleet_manager")
    for kind in ("vehicles", "drivers", "cards"):
        book = await manager.get(f"/fleet/{kind}/sheet")
        assert book.status_code == 200
        fields = await manager.fields(f"/fleet/{kind}/import")
        looked = await manager.client.post(
            f"/fleet/{kind}/import", data=fields, files={"file": ("list.xlsx", book.content)}, follow_redirects=False
        )
        assert looked.status_code == 200, looked.text[:500]
        assert 'name="data"' not in looked.text, f"{kind}: nothing would change"


async def test_a_vehicle_is_entered_bound_and_closed(portal):
    manager = await portal.at("ours", "fleet_manager")
    ids = portal.firms["ours"].ids
    new = {"plate": "浙A55555", "type": "van", "ownership": "company", "tank": "62.5", "norm": "8.2", "department": str(ids["south-room"])}
    made = await manager.send("/fleet/vehicles/new", new)
    assert made.status_code == 303, made.text[:800]
    page = await manager.get(made.headers["location"])
    assert "62.50" in page.text
    again = await manager.send("/fleet/vehicles/new", new)
    assert again.status_code == 409
    card = f"/fleet/cards/{ids['south-card']}"
    assert (await manager.send(f"{card}/bind", {"plate": "浙A55555", "driver": "101"})).status_code == 303
    assert "55555" in (await manager.get(card)).text
    assert (await manager.send(f"{card}/unbind", {})).status_code == 303
    assert (await manager.send(f"{made.headers['location']}/close", {"reason": "sold"})).status_code == 303
    assert "55555" not in (await manager.get("/fleet/vehicles")).text


async def test_a_driver_is_entered_gets_a_pin_and_leaves(portal):
    manager = await portal.at("ours", "fleet_manager")
    made = await manager.send("/fleet/drivers/new", {"number": "2001", "name": "韩梅", "phone": "13800138000"})
    assert made.status_code == 303, made.text[:800]
    path = made.headers["location"]
    assert (await manager.send(f"{path}/pin", {"pin": "7412", "again": "7413"})).status_code == 422
    assert (await manager.send(f"{path}/pin", {"pin": "7412", "again": "7412"})).status_code == 303
    assert (await manager.send(f"{path}/leave", {})).status_code == 303
    assert "韩梅" not in (await manager.get("/fleet/drivers")).text


async def test_settings_and_departments_are_written(portal):
    owner = await portal.at("ours", "owner")
    settings = {"mode": "mixed", "period_day": "1", "check_day": "25", "workday_mode": "preceding", "unused": "gathered"}
    settings |= {"silence": "approve", "deputy_after": "5", "decide_after": "20", "needs_records": "1"}
    assert (await owner.send("/fleet/settings", settings)).status_code == 303
    async with transaction(portal.sessions) as session:
        row = await session.execute(
            text("SELECT mode, period_day, needs_odometer, decide_after_s FROM companies WHERE company_id = :id"),
            {"id": portal.firms["ours"].company_id},
        )
        assert tuple(row.one()) == ("mixed", 1, False, 1_200)
    assert (await owner.send("/fleet/settings", settings | {"period_day": "31"})).status_code == 422
    assert (await owner.send("/fleet/departments/new", {"name": "east", "parent": ""})).status_code == 303
    assert "east" in (await owner.get("/fleet/departments")).text


async def test_the_trail_names_the_companys_user(portal):
    manager = await portal.at("ours", "fleet_manager")
    assert (await manager.send("/fleet/drivers/new", {"number": "2002", "name": "林涛"})).status_code == 303
    async with transaction(portal.sessions) as session:
        found = await session.execute(
            text("SELECT actor_kind, actor_id FROM audit_entries WHERE action = 'fleet.driver_added' ORDER BY entry_id DESC LIMIT 1")
        )
        assert tuple(found.one()) == ("company_user", str(portal.firms["ours"].ids["fleet_manager"]))


async def test_fills_are_found_by_vehicle_and_driver(portal):
    owner = await portal.at("ours", "owner")
    sale = f"/fleet/fills/{portal.firms['ours'].ids['sale']}"
    whole = (await owner.get("/fleet/fills")).text
    assert sale in whole
    assert "浙A·12340" in whole
    for asked, found in (("plate=12340", True), ("plate=99999", False), ("driver=Nobody", False)):
        assert (sale in (await owner.get(f"/fleet/fills?{asked}")).text) is found, asked


async def test_what_partners_announce_is_shown_to_every_company_on_home_and_stations_only(portal):
    async with transaction(portal.sessions) as session:
        await make_alliance(session, now=datetime.now(UTC))
    for firm, role in (("ours", "owner"), ("ours", "viewer"), ("theirs", "owner")):
        browser = await portal.at(firm, role)
        for path, shown in (("/fleet", True), ("/fleet/", True), ("/fleet/stations", True), ("/fleet/vehicles", False)):
            page = (await browser.client.get(path, headers={"accept-language": "en"}, follow_redirects=True)).text
            assert ("West Gate: paused" in page, "Free each month" in page) == (shown, shown), (firm, role, path)
