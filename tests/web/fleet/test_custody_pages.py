"""The custodian's pages: who keeps which cards, a loan from asking to return, and what a department head and a viewer see of it."""

from datetime import timedelta

from sqlalchemy import text

from loyalty.db import transaction
from loyalty.fleet.operations.loans import tell_overdue

TRIP = {"driver": "100", "destination": "嘉兴", "purpose": "送货"}


async def told(portal, sentence: str, **facts):
    async with transaction(portal.sessions) as session:
        return list((await session.execute(text(sentence), facts)).scalars())


async def borrow(browser, card, **more) -> str:
    page = f"/fleet/cards/{card}/borrow"
    due = {"begins": "2026-01-01T08:00", "due": "2099-01-01T18:00"}
    sent = await browser.send(page, TRIP | due | more)
    assert sent.status_code == 303, sent.text[:800]
    return sent.headers["location"]


async def test_a_loan_goes_from_the_asking_to_the_return(portal):
    ids = portal.firms["ours"].ids
    manager, keeper = await portal.at("ours", "fleet_manager"), await portal.at("ours", "custodian")
    page = f"/fleet/custody/{ids['loan']}"
    assert "/lend" not in (await manager.get(page)).text, "who asked is not offered the approval"
    assert (await manager.send(f"{page}/approve", {})).status_code == 409
    assert "/fleet/custody?status=requested" in (await keeper.get("/fleet")).text
    assert (await keeper.send(f"{page}/approve", {})).status_code == 303
    assert (await keeper.send(f"{page}/lend", {"km": "", "due": "2099-01-01T18:00"})).status_code == 422
    assert (await keeper.send(f"{page}/lend", {"km": "52100", "due": "2099-01-01T18:00"})).status_code == 303
    card = (await keeper.get(f"/fleet/cards/{ids['north-card']}")).text
    assert f"{page}/return" in card, "the card's page says where it is and takes it back"
    assert "司机0" in card
    assert (await keeper.send(f"{page}/return", {"km": "5210", "note": "空箱"})).status_code == 303
    shown = (await keeper.get(page)).text
    assert "空箱" in shown
    assert "5,210" in shown, "the doubtful reading is shown"
    assert (await keeper.send(f"{page}/return", {"km": "52300"})).status_code == 409
    assert await told(portal, "SELECT km FROM odometer_readings WHERE source = 'custody' ORDER BY reading_id") == [52_100, 5_210]


async def test_a_custodian_goes_on_to_hand_out_what_they_keep_and_others_wait(portal):
    ids = portal.firms["ours"].ids
    keeper, finance = await portal.at("ours", "custodian"), await portal.at("ours", "finance")
    assert (await borrow(keeper, ids["south-card"])).endswith("/lend")
    asked = await borrow(finance, ids["south-card"])
    assert (await finance.get(asked)).status_code == 200
    assert (await finance.get(f"{asked}/lend")).status_code == 403
    assert (await keeper.send(f"{asked}/refuse", {"reason": ""})).status_code == 422
    assert (await keeper.send(f"{asked}/refuse", {"reason": "已借出"})).status_code == 303
    assert "已借出" in (await finance.get(asked)).text


async def test_an_overdue_card_stands_in_red_everywhere_and_is_told_once(portal):
    ids = portal.firms["ours"].ids
    keeper = await portal.at("ours", "custodian")
    page = f"/fleet/custody/{ids['loan']}"
    assert (await keeper.send(f"{page}/lend", {"km": "52100", "due": "2099-01-01T18:00"})).status_code == 303
    async with transaction(portal.sessions) as session:
        late = "UPDATE card_loans SET begins_at = begins_at - interval '3 days', due_at = lent_at WHERE status = 'lent'"
        await session.execute(text(late))
        now = portal.world.now + timedelta(days=3)
        assert (await tell_overdue(session, now=now), await tell_overdue(session, now=now)) == (1, 0)
    for address in ("/fleet/custody?status=overdue", "/fleet/cards?where=overdue"):
        shown = (await keeper.get(address)).text
        assert "逾期" in shown or "verdue" in shown
        assert "浙A" in shown, address
    assert "/fleet/custody?status=overdue" in (await keeper.get("/fleet")).text
    assert page in (await keeper.get("/fleet/notices")).text
    exported = (await keeper.get("/fleet/custody.csv?status=overdue")).text
    assert "司机0" in exported
    assert len(exported.strip().splitlines()) == 2
    assert (await keeper.get("/fleet/custody.xlsx")).status_code == 200


async def test_many_cards_get_a_custodian_as_the_list_is_filtered(portal):
    firm = portal.firms["ours"]
    manager = await portal.at("ours", "fleet_manager")
    page = f"/fleet/cards/keepers?department={firm.ids['south-room']}"
    assert (await manager.send(page, {"keeper": ""})).status_code == 422, "nobody loses a custodian by haste"
    assert (await manager.send(page, {"keeper": str(firm.ids["fleet_manager"])})).status_code == 303
    assert (await manager.send(page, {"keeper": str(firm.ids["viewer"])})).status_code == 422
    standing = "SELECT keeper_id FROM card_custodies WHERE chain_id = :chain AND until IS NULL"
    assert await told(portal, standing, chain=firm.ids["south-card"]) == [firm.ids["fleet_manager"]]
    assert await told(portal, standing, chain=firm.ids["north-card"]) == [firm.ids["custodian"]]
    kept = (await manager.get(f"/fleet/cards?kept_by={firm.ids['fleet_manager']}")).text
    assert str(firm.ids["south-card"]) in kept
    assert str(firm.ids["north-card"]) not in kept
    one = f"/fleet/cards/{firm.ids['south-card']}"
    assert (await manager.send(f"{one}/keeper", {"keeper": "nobody"})).status_code == 303
    assert f"{one}/borrow" not in (await manager.get(one)).text
    assert str(firm.ids["south-card"]) in (await manager.get("/fleet/cards?kept_by=nobody")).text


async def test_a_head_sees_and_lends_their_own_departments_cards_only(portal):
    ids = portal.firms["ours"].ids
    manager, head = await portal.at("ours", "fleet_manager"), await portal.at("ours", "department_head")
    south = await borrow(manager, ids["south-card"], driver="101")
    listed = (await head.get("/fleet/custody")).text
    assert f"/fleet/custody/{ids['loan']}" in listed
    assert south not in listed
    for address in (south, f"{south}/lend", f"/fleet/cards/{ids['south-card']}/borrow"):
        assert (await head.get(address)).status_code == 404, address
    page = f"/fleet/cards/{ids['north-card']}/borrow"
    strange = await head.send(page, TRIP | {"driver": "101", "begins": "2026-01-01T08:00", "due": "2099-01-01T18:00"})
    assert strange.status_code == 404, "a driver of another department is unknown, too"
    assert (await head.send(f"/fleet/custody/{ids['loan']}/approve", {})).status_code == 303
    viewer = await portal.at("ours", "viewer")
    assert "/return" not in (await viewer.get(f"/fleet/cards/{ids['north-card']}")).text


async def test_the_settings_of_custody_are_saved(portal):
    owner = await portal.at("ours", "owner")
    shown = (await owner.get("/fleet/settings")).text
    assert 'name="custody_blocks"' in shown
    form = {"mode": "pooled", "period_day": "26", "check_day": "25", "workday_mode": "following", "unused": "kept", "silence": "refuse"}
    form |= {"deputy_after": "10", "decide_after": "30", "custody_blocks": "1"}
    assert (await owner.send("/fleet/settings", form)).status_code == 303
    known = {"company": portal.firms["ours"].company_id}
    settings = "SELECT custody_blocks AND NOT custodian_lends FROM companies WHERE company_id = :company"
    assert await told(portal, settings, **known) == [True]
    asked = "SELECT count(*) FROM limit_chains WHERE company_id = :company AND needs & 16 <> 0"
    assert await told(portal, asked, **known) == [2], "both cards are kept, and ask for a permit now"
