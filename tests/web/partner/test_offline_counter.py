"""The offline counter over HTTP: what a phone is given, what it tells, and that both stay within the partner's fence."""

from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import text

from loyalty.db import transaction
from loyalty.rewards.queries.vouchers import find_voucher
from partners.offline_rules import OfflineCode
from partners.operations.offline_codes import offline_path
from partners.web.partner.labels import OFFLINE


async def signed(portal, house="ours"):
    code = await portal.voucher(house, "fifty")
    async with transaction(portal.sessions) as session:
        found = await find_voucher(session, typed=code)
        path = await offline_path(session, voucher_id=found.voucher_id, code=code, now=datetime.now(UTC))
    return path, path.partition(".")[2]


async def state(browser):
    return (await browser.get("/partner/offline/state")).json()


async def kit_of(browser, device):
    here = await state(browser)
    answer = await browser.client.post("/partner/offline/leases", data={"csrf_token": here["csrf"], "device": str(device)})
    assert answer.status_code == 200, answer.text[:300]
    return answer.json()["kit"]


async def tell(browser, *uses):
    here = await state(browser)
    return await browser.client.post("/partner/offline/uses", data={"csrf_token": here["csrf"], "uses": msgspec.json.encode(uses).decode()})


def use(token, kit, **more):
    return {"key": str(uuid4()), "token": token, "at": datetime.now(UTC).isoformat(), "lease": kit["lease"], "served_by": "小王"} | more


async def test_a_phone_gets_its_lease_and_tells_what_it_did(portal):
    clerk, device = await portal.at("ours", "clerk"), uuid4()
    kit = await kit_of(clerk, device)
    assert (kit["partner"], kit["outlet"], kit["uses"], kit["worth_minor"]) == ("YUEXI", "E", 10, 6_000)
    assert await kit_of(clerk, uuid4()) is None, "another phone of the outlet has it"
    _path, token = await signed(portal)
    told = use(token, kit)
    first = await tell(clerk, told)
    assert first.json()["results"][0]["status"] == "booked", first.text
    assert (await tell(clerk, told)).json() == first.json()
    owner = await portal.at("ours", "owner")
    assert "¥50.00" in (await owner.get("/partner/book")).text
    assert (await kit_of(clerk, device))["lease"] != kit["lease"]


async def test_another_partners_lease_and_code_are_nothing_here(portal):
    owner, theirs = await portal.at("ours", "owner"), await portal.at("theirs", "owner")
    kit = await kit_of(theirs, uuid4())
    _path, token = await signed(portal, "theirs")
    (foreign,) = (await tell(owner, use(token, kit))).json()["results"]
    assert (foreign["status"], foreign["code"]) == ("refused", "foreign_partner")
    _path, own = await signed(portal)
    (unknown,) = (await tell(owner, use(own, kit))).json()["results"]
    assert (unknown["status"], unknown["code"]) == ("refused", "not_offline")
    async with transaction(portal.sessions) as session:
        kept = await session.scalar(text("SELECT count(*) FROM partner_offline_claims WHERE lease_id = :lease"), {"lease": kit["lease"]})
    assert kept == 0, "what another's session told never touches theirs"


async def test_online_the_counter_reads_the_signed_code_too(portal):
    clerk = await portal.at("ours", "clerk")
    path, _token = await signed(portal)
    page = await clerk.send("/partner", {"code": f"http://x.example{path}"}, to="/partner/codes")
    assert page.status_code == 200
    assert "可以使用" in page.text
    answer = await clerk.answer(page, {"gross": "80"}, to="/partner/redemptions")
    assert answer.status_code == 303, answer.text[:300]
    foreign, _token = await signed(portal, "theirs")
    assert (await clerk.send("/partner", {"code": f"http://x.example{foreign}"}, to="/partner/codes")).status_code == 404


@pytest.mark.parametrize(
    "told", ["", "[]x", '[{"key": 1}]', '[{"key": "01990000-0000-7000-8000-000000000001", "token": "x", "at": "2026-01-01T00:00:00"}]']
)
async def test_what_is_not_as_our_page_tells_it_is_refused_whole(portal, told):
    clerk = await portal.at("ours", "clerk")
    here = await state(clerk)
    answer = await clerk.client.post("/partner/offline/uses", data={"csrf_token": here["csrf"], "uses": told})
    assert answer.status_code == 422
    forged = await clerk.client.post("/partner/offline/uses", data={"csrf_token": "x", "uses": "[]"})
    assert forged.status_code == 403


async def test_the_page_that_is_kept_has_every_sentence_it_may_need(portal):
    clerk = await portal.at("ours", "clerk")
    page = await clerk.get("/partner/offline")
    assert set(OfflineCode) <= set(OFFLINE)
    assert all(f'data-code="{code}"' in page.text for code in OFFLINE)
    worker = await portal.stranger().get("/partner/worker.js")
    assert (worker.status_code, worker.headers["service-worker-allowed"]) == (200, "/partner")
