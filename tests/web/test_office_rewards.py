"""The office's pages of vouchers, gifts and referral: each act with its permission, and what is wrong is said."""

import pytest
from sqlalchemy import text

from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import use_keyring
from loyalty.db import transaction
from loyalty.rewards.operations.gifts import GiftWish, grant_gifts, hand_out, reserve_gift
from loyalty.rewards.operations.redemptions import redeem_code
from loyalty.rewards.operations.referrals import find_referrals
from loyalty.rewards.operations.vouchers import VoucherWish, issue
from loyalty.rewards.queries.gifts import offer_at
from loyalty.rewards.queries.vouchers import codes_of, get_voucher, outlet_of_station
from tests.web.office_desk import opened_office

EDITORS = {"office"}
MOVERS = {"office", "district", "station"}


@pytest.fixture(scope="module")
async def office(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_office(url, tmp_path_factory.mktemp("office"), with_sales=False) as office:
        yield office
        for desk in office.desks.values():
            await desk.client.aclose()
    use_keyring(None)
    await databases.drop(url)


KIND = {
    "code": "fifty",
    "name_zh": "五十元券",
    "name_en": "50 off",
    "value_type": "money",
    "face": "50.00",
    "currency": "CNY",
    "item": "",
    "validity_days": "30",
    "ends_at": "",
    "limit_total": "500",
    "limit_each": "",
    "rollback_minutes": "60",
    "outlets": "stations\npartner:P1",
    "funders": "head-office 80\nstation 20",
    "partial": "1",
    "active": "1",
    "terms_zh": "",
    "terms_en": "",
}
GIFT = {
    "code": "towel",
    "name_zh": "毛巾",
    "name_en": "Towel",
    "threshold": "500",
    "currency": "CNY",
    "validity_days": "60",
    "steps": "1 500\n2 900",
    "instead": "",
    "about_zh": "纯棉",
    "about_en": "Cotton",
    "active": "1",
}
PROGRAMME = {
    "code": "friends",
    "name_zh": "老带新",
    "name_en": "Bring a friend",
    "currency": "CNY",
    "starts_at": "2020-01-01T00:00",
    "ends_at": "",
    "within_days": "90",
    "wait_days": "0",
    "most_each": "10",
    "funder": "head-office",
    "event0": "first_load",
    "at_least0": "100.00",
    "referrer0_kind": "points",
    "referrer0_amount": "500",
    "referee0_kind": "voucher",
    "referee0_amount": "1",
    "referee0_item": "fifty",
}


async def scalar(office, sentence, **values):
    async with transaction(office.sessions) as session:
        return (await session.execute(text(sentence), values)).scalar()


async def made(office):
    """Make kind, gift and programme by their forms, once."""
    desk = await office.at("office")
    for page, to, data in (
        ("/office/vouchers/kinds/new", "/office/vouchers/kinds", KIND),
        ("/office/gifts/new", "/office/gifts", GIFT),
        ("/office/referrals/new", "/office/referrals", PROGRAMME),
    ):
        answer = await desk.send(page, data, to=to)
        assert answer.status_code == 303, answer.text
    return desk


async def test_forms_make_kind_gift_and_programme(office):
    await made(office)
    assert await scalar(office, "SELECT face_minor FROM voucher_kinds WHERE code = 'fifty'") == 5_000
    assert await scalar(office, "SELECT funders FROM voucher_kinds WHERE code = 'fifty'") == [["head-office", 80], ["station", 20]]
    assert await scalar(office, "SELECT points_steps FROM gifts WHERE code = 'towel'") == [[1, 500], [2, 900]]
    (milestone,) = await scalar(office, "SELECT milestones FROM referral_programmes WHERE code = 'friends'")
    assert (milestone["code"], milestone["at_least"], milestone["referee"][0]["item"]) == ("m1", 10_000, "fifty")


async def test_what_is_wrong_is_said(office):
    desk = await made(office)
    for page, to, data, said in (
        ("/office/vouchers/kinds/new", "/office/vouchers/kinds", KIND | {"face": ""}, "f-face"),
        ("/office/vouchers/kinds/new", "/office/vouchers/kinds", KIND | {"outlets": "mars"}, "条款不完整"),
        ("/office/vouchers/kinds/new", "/office/vouchers/kinds", KIND | {"funders": "a b"}, "f-funders"),
        ("/office/gifts/new", "/office/gifts", GIFT | {"steps": "many"}, "f-steps"),
        ("/office/referrals/new", "/office/referrals", PROGRAMME | {"event0": ""}, "f-event0"),
        ("/office/referrals/new", "/office/referrals", PROGRAMME | {"referee0_item": "car"}, "car"),
    ):
        answer = await desk.send(page, data, to=to, **{"hx-request": "true"})
        assert answer.status_code == 422, (page, answer.status_code)
        assert said in answer.text


PAGES = {
    "/office/vouchers": {"office", "cashier", "auditor"},
    "/office/vouchers.csv": {"office", "auditor"},
    "/office/vouchers/kinds/fifty/edit": {"office"},
    "/office/vouchers/monthly": {"office", "auditor"},
    "/office/vouchers/monthly/new": {"office"},
    "/office/gifts": {"office", "cashier", "station"},
    "/office/gifts/towel": {"office", "cashier", "station"},
    "/office/gifts/towel/edit": {"office"},
    "/office/gifts/towel/receive": {"office", "station"},
    "/office/gifts/towel/count": {"office", "station"},
    "/office/gifts/towel/send": {"office", "station"},
    "/office/gifts/towel/spoil": {"office", "station"},
    "/office/referrals": {"office", "finance"},
    "/office/referrals/friends": {"office", "finance"},
    "/office/referrals/friends.xlsx": {"office"},
    "/office/referrals/friends/edit": {"office"},
}


@pytest.mark.parametrize("path", PAGES)
async def test_who_may_sees_the_page_in_both_languages(office, path):
    await made(office)
    for name in PAGES[path]:
        desk = await office.at(name)
        for language in ("zh", "en"):
            answer = await desk.get(path, **{"accept-language": language})
            assert answer.status_code == 200, (path, name, answer.status_code)
    if path.endswith(("/edit", "/new")):
        assert (await (await office.at("auditor")).get(path)).status_code == 403


async def test_a_voucher_is_found_by_its_code_and_cancelled(office):
    desk = await made(office)
    now = await scalar(office, "SELECT max(made_at) FROM voucher_kinds")
    actor = Actor(ActorKind.SYSTEM, "tests")
    async with transaction(office.sessions) as session:
        wish = VoucherWish("fifty", "office", "one", office.chain.ids["zhang"], wanted=2)
        issued = await issue(session, wish=wish, actor=actor, now=now)
        codes = {shown.voucher_id: shown.code for shown in await codes_of(session, voucher_ids=issued.voucher_ids)}
        at = await outlet_of_station(session, station_id=office.chain.stations[0])
    used, whole = issued.voucher_ids
    await redeem_code(office.sessions, typed=codes[used], at=at, key=used, amount_minor=1_234, actor=actor, now=now)
    found = await desk.send("/office/vouchers", {"code": codes[used].lower()}, to="/office/vouchers/find")
    page = (await desk.get(found.headers["location"])).text
    assert "¥37.66" in page
    assert codes[used] not in page
    assert (await desk.get(f"/office/vouchers/{used}/cancel")).status_code == 200
    assert (await desk.send(f"/office/vouchers/{used}/cancel", {"reason": "x"})).status_code == 409
    assert (await desk.send(f"/office/vouchers/{whole}/cancel", {"reason": "misprint"})).status_code == 303
    async with transaction(office.sessions) as session:
        assert (await get_voucher(session, voucher_id=whole)).status == "cancelled"
    nothing = await desk.send("/office/vouchers", {"code": "7K3F-9QXM-2WTD"}, to="/office/vouchers/find")
    assert nothing.headers["location"] == "/office/vouchers"


async def test_what_comes_every_month_is_set(office):
    desk = await made(office)
    data = {
        "code": "gold",
        "kind": "fifty",
        "name_zh": "每月",
        "name_en": "Monthly",
        "pieces": "1",
        "tiers": ["gold", "black"],
        "starts_at": "2020-01-01T00:00",
        "ends_at": "",
        "active": "1",
    }
    assert (await desk.send("/office/vouchers/monthly/new", data, to="/office/vouchers/monthly")).status_code == 303
    assert await scalar(office, "SELECT tiers FROM monthly_vouchers") == ["gold", "black"]
    assert "gold、black" in (await desk.get("/office/vouchers/monthly")).text
    assert (await desk.get("/office/vouchers/monthly/gold/edit")).status_code == 200


async def test_pieces_come_go_and_are_counted(office):
    desk = await made(office)
    here, there = office.chain.stations[:2]
    path = "/office/gifts/towel"
    assert (await desk.send(f"{path}/receive", {"place": "", "count": "50", "note": ""})).status_code == 303
    assert (await desk.send(f"{path}/send", {"place": "", "to": str(here), "count": "20", "note": ""})).status_code == 303
    manager = await office.at("station")
    waiting = (await manager.get("/office/gifts")).text
    move = await scalar(office, "SELECT move_id FROM gift_moves WHERE kind = 'sent'")
    assert f"/office/gifts/arrivals/{move}" in waiting
    assert (await manager.send(f"/office/gifts/arrivals/{move}", {})).status_code == 303
    counted = await manager.send(f"{path}/count", {"place": str(here), "count": "19", "note": ""})
    assert counted.headers["location"] == f"{path}?place={here}"
    # Another's station, and the central store, are not hers.
    for data in ({"place": str(there)}, {"place": ""}):
        assert (await manager.send(f"{path}/receive", data | {"count": "1", "note": ""})).status_code == 404
    assert (await manager.get(f"{path}?place={there}")).status_code == 404
    assert "19" in (await manager.get(f"{path}?place={here}")).text
    async with transaction(office.sessions) as session:
        assert (await offer_at(session, code="towel", place_id=here)).free == 19
    assert (await (await office.at("cashier")).get(f"{path}/count")).status_code == 403


async def test_a_gift_s_moves_name_who_handed_it_out(office):
    await made(office)
    now = await scalar(office, "SELECT max(made_at) FROM voucher_kinds")
    clerk = Actor(ActorKind.STAFF, office.chain.people["cashier"])
    here = office.chain.stations[0]
    desk = await office.at("office")
    await desk.send("/office/gifts/towel/receive", {"place": str(here), "count": "3", "note": ""})
    async with transaction(office.sessions) as session:
        (right,) = await grant_gifts(session, wishes=[GiftWish("towel", "office", "x")], actor=clerk, now=now)
        await reserve_gift(session, entitlement_id=right, station_id=here, actor=clerk, now=now)
        await hand_out(session, entitlement_id=right, station_id=here, signature="M1,2 L3,4 L5,6", actor=clerk, now=now)
    assert "孙悦" in (await desk.get(f"/office/gifts/towel?place={here}")).text


async def test_a_held_referral_is_decided(office):
    desk = await made(office)
    now = await scalar(office, "SELECT max(made_at) FROM voucher_kinds")
    await scalar(
        office,
        "UPDATE customers SET referrer_id = :old, created_at = created_at + interval '1 minute' WHERE customer_id = :new RETURNING 1",
        old=office.chain.ids["zhang"],
        new=office.chain.ids["firm"],
    )
    async with transaction(office.sessions) as session:
        await find_referrals(session, code="friends", now=now)
    page = (await desk.get("/office/referrals/friends?status=held")).text
    referral = await scalar(office, "SELECT referral_id FROM referrals WHERE status = 'held'")
    path = f"/office/referrals/decisions/{referral}"
    assert path in page
    assert (await desk.send(path, {"decision": "refuse", "reason": "a firm"})).status_code == 303
    assert await scalar(office, "SELECT status FROM referrals WHERE referral_id = :id", id=referral) == "refused"
    assert (await desk.send(path, {"decision": "refuse", "reason": "again"})).status_code == 409
