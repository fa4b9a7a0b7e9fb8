"""A company's own system comes in with a key: it reads its company's fills each once, makes orders where it may, and sees nobody else's."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from loyalty.crypto import use_keyring
from loyalty.db import transaction
from loyalty.fleet.operations.api_keys import A_MINUTE, ApiBudgetSpent, enter_with_key, make_api_key
from loyalty.ids import uuid7
from tests.web.fleet.portal import SYSTEM, opened_portal

ROOT = "/api/fleet/v1"
READS = ("fills", "vehicles", "cards", "findings", "statements", "orders")


@pytest.fixture(scope="module")
async def portal(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_portal(url, tmp_path_factory.mktemp("portal")) as found:
        yield found
        for browser in found.browsers.values():
            await browser.client.aclose()
    use_keyring(None)
    await databases.drop(url)


async def key_of(portal, firm, *, may_order=False):
    async with transaction(portal.sessions) as session:
        company_id = portal.firms[firm].company_id
        return await make_api_key(session, company_id=company_id, name=firm, may_order=may_order, actor=SYSTEM, now=datetime.now(UTC))


async def call(portal, key, path, body=None):
    client = portal.stranger().client
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with client:
        if body is not None:
            return await client.post(ROOT + path, json=body, headers=headers)
        return await client.get(ROOT + path, headers=headers)


FILL = """
    INSERT INTO fleet_fills (account_id, sale_id, company_id, vehicle_id, station_id, day, event_at, booked_at, quantity_milli,
        unit_price_e4, gross_minor, discount_minor, card_minor, flags, back_milli, back_gross_minor, back_discount_minor, back_card_minor)
    SELECT :account, :sale, :company, :vehicle, (SELECT station_id FROM stations LIMIT 1), :day, :at, :at, 40000, 75000, 30000, 0, 30000,
        0, 0, 0, 0, 0
"""


async def fill(portal, firm, at):
    found = portal.firms[firm]
    facts = {"account": found.account_id, "company": found.company_id, "vehicle": found.ids["north-vehicle"]}
    async with transaction(portal.sessions) as session:
        sale_id = uuid7(at)
        await session.execute(text(FILL), facts | {"sale": sale_id, "day": at.date(), "at": at})
    return str(sale_id)


async def test_a_system_without_a_good_key_learns_nothing(portal):
    for key in ("", "lfk_" + "x" * 43):
        for path in READS:
            answer = await call(portal, key, f"/{path}")
            assert (answer.status_code, answer.json()["code"]) == (401, "api_key_not_valid"), path
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_fills_are_told_in_the_order_of_booking_each_once_and_only_when_settled(portal):
    now = datetime.now(UTC)
    async with transaction(portal.sessions) as session:
        await session.execute(text("INSERT INTO fleet_marks VALUES ('fills', :at)"), {"at": now})
    made = [await fill(portal, "ours", now - timedelta(minutes=minutes)) for minutes in (90, 60, 30, 1)]
    await fill(portal, "theirs", now - timedelta(minutes=50))
    key = await key_of(portal, "ours")
    first = (await call(portal, key, "/fills?limit=2")).json()
    assert (len(first["items"]), first["more"]) == (2, True)
    assert first["items"][0]["card_minor"] == 30000
    rest = (await call(portal, key, f"/fills?limit=2&after={first['after']}")).json()
    assert (len(rest["items"]), rest["more"]) == (1, False), "what was booked a minute ago is not settled"
    again = (await call(portal, key, f"/fills?after={rest['after']}")).json()
    assert again == {"items": [], "after": rest["after"], "more": False}
    async with transaction(portal.sessions) as session:
        await session.execute(text("UPDATE fleet_marks SET collected_to = :at"), {"at": now + timedelta(minutes=10)})
    later = (await call(portal, key, f"/fills?after={rest['after']}")).json()["items"]
    assert made[3] in [one["fill_id"] for one in later]
    begins = (now - timedelta(minutes=40)).isoformat().replace("+00:00", "Z")
    since = [one["fill_id"] for one in (await call(portal, key, f"/fills?since={begins}")).json()["items"]]
    assert set(made) & set(since) == set(made[2:])


async def test_each_list_is_the_companys_own(portal):
    ours, theirs = await key_of(portal, "ours"), await key_of(portal, "theirs")
    for path, name in (("vehicles", "plate"), ("cards", "card_id"), ("findings", "finding_id")):
        mine, other = [(await call(portal, key, f"/{path}")).json()["items"] for key in (ours, theirs)]
        assert mine, path
        assert not {one[name] for one in mine} & {one[name] for one in other}, path
    periods = (await call(portal, ours, "/statements")).json()["items"]
    assert periods
    assert {"card_minor", "account", "closed_at"} <= periods[0].keys()


async def test_an_order_is_made_once_by_a_key_that_may_and_for_its_own_vehicles(portal):
    reads, makes = await key_of(portal, "ours"), await key_of(portal, "ours", may_order=True)
    now = datetime.now(UTC)
    order = {"number": "T-1", "valid_from": now.isoformat(), "valid_until": (now + timedelta(days=1)).isoformat(), "quantity_milli": 60000}
    order["vehicle_id"] = str(portal.firms["ours"].ids["north-vehicle"])
    refused = await call(portal, reads, "/orders", order)
    assert (refused.status_code, refused.json()["code"]) == (403, "api_scope_missing")
    made = await call(portal, makes, "/orders", order)
    assert made.status_code == 201, made.text
    assert made.json()["status"] == "open"
    again = await call(portal, makes, "/orders", order)
    assert (again.status_code, again.json()["code"]) == (409, "order_number_taken")
    stolen = order | {"number": "T-2", "vehicle_id": str(portal.firms["theirs"].ids["north-vehicle"])}
    assert (await call(portal, makes, "/orders", stolen)).status_code == 404
    assert [one["number"] for one in (await call(portal, reads, "/orders?number=T-")).json()["items"]] == ["T-1"]
    end = f"/orders/{made.json()['order_id']}/cancellation"
    other = await key_of(portal, "theirs", may_order=True)
    assert (await call(portal, other, end, {"reason": "mine"})).status_code == 404
    assert (await call(portal, makes, end, {"reason": "not needed"})).json()["status"] == "cancelled"


async def test_a_key_is_shown_once_used_and_revoked_on_the_page(portal):
    owner = await portal.at("ours", "owner")
    made = await owner.send("/fleet/api/new", {"name": "Dispatch"})
    assert made.status_code == 200, made.text[:500]
    key = made.text.partition("lfk_")[2].partition("<")[0]
    key = f"lfk_{key}"
    assert (await call(portal, key, "/vehicles")).status_code == 200
    listed = (await owner.get("/fleet/api")).text
    assert "Dispatch" in listed
    assert key not in listed
    async with transaction(portal.sessions) as session:
        key_id, used = (await session.execute(text("SELECT key_id, used FROM company_api_keys WHERE name = 'Dispatch'"))).one()
    assert used == 1
    assert (await owner.send(f"/fleet/api/{key_id}/revoke", {})).status_code == 303
    assert (await call(portal, key, "/vehicles")).status_code == 401


async def test_a_key_has_its_requests_a_minute_and_then_waits(portal):
    key, minute = await key_of(portal, "ours"), datetime(2026, 9, 1, 8, 0, 10, tzinfo=UTC)
    async with transaction(portal.sessions) as session:
        for _ in range(A_MINUTE):
            await enter_with_key(session, key=key, now=minute)
        with pytest.raises(ApiBudgetSpent):
            await enter_with_key(session, key=key, now=minute)
        await enter_with_key(session, key=key, now=minute + timedelta(minutes=1))
