"""What the company watches: limits set and released, what the pump asks answered, what is odd disposed of."""

from sqlalchemy import text

from loyalty.db import transaction


async def one(portal, sentence: str, **facts):
    async with transaction(portal.sessions) as session:
        return tuple((await session.execute(text(sentence), facts)).one())


async def test_limits_are_set_shown_taken_away_and_released(portal):
    manager = await portal.at("ours", "fleet_manager")
    ids = portal.firms["ours"].ids
    base = f"/fleet/limits/vehicle/{ids['north-vehicle']}"
    chosen = await manager.send(f"{base}/new", {"kind": "quantity"}, to=f"{base}/kind")
    assert chosen.headers["location"] == f"{base}/new?kind=quantity"
    page = f"{base}/new?kind=quantity"
    assert (await manager.send(page, {"window": "day", "value": "", "reaction": "ask"}, to=f"{base}/new")).status_code == 422
    made = await manager.send(page, {"window": "transaction", "value": "300", "reaction": "ask"}, to=f"{base}/new")
    assert made.status_code == 303, made.text[:800]
    shown = (await manager.get(base)).text
    assert "300.00" in shown
    limit_id, reaction, value = await one(
        portal, "SELECT limit_id, reaction, value FROM card_limits WHERE subject_id = :id", id=ids["north-vehicle"]
    )
    assert (reaction, value) == ("ask", 300_000)
    assert (await manager.send(f"{base}/{limit_id}/end", {})).status_code == 303
    assert "300.00" not in (await manager.get(base)).text
    for level, of in (("company", portal.firms["ours"].company_id), ("department", ids["north-room"]), ("driver", ids["north-driver"])):
        assert (await manager.get(f"/fleet/limits/{level}/{of}")).status_code == 200, level
    assert (await manager.get(f"/fleet/limits/galaxy/{ids['north-room']}")).status_code == 404
    released = await manager.send(f"/fleet/limits/card/{ids['north-card']}/release", {"reason": "stranded"})
    assert released.status_code == 303, released.text[:800]
    sentence = "SELECT limits, reason, once, valid_until - valid_from <= interval '24 hours' FROM limit_releases WHERE reason = 'stranded'"
    assert await one(portal, sentence) == (None, "stranded", False, True)


async def test_what_the_pump_asks_is_answered_once(portal):
    manager = await portal.at("ours", "fleet_manager")
    approval = portal.firms["ours"].ids["approval"]
    assert "350.00" in (await manager.get("/fleet/approvals")).text
    assert "/fleet/approvals" in (await manager.get("/fleet")).text
    page = f"/fleet/approvals/{approval}"
    assert (await manager.send(f"{page}/yes", {"reason": "long trip"})).status_code == 303
    assert await one(portal, "SELECT status, decided_by, reason FROM approvals WHERE approval_id = :id", id=approval) == (
        *("approved", "manager", "long trip"),
    )
    assert await one(portal, "SELECT limits, milli_max, once FROM limit_releases WHERE approval_id = :id", id=approval) == (
        *(["vehicle.day.quantity"], 350_000, True),
    )
    assert (await manager.send(f"{page}/no", {})).status_code == 409


async def test_what_is_odd_is_shown_with_its_evidence_and_disposed_of(portal):
    manager = await portal.at("ours", "fleet_manager")
    finding = portal.firms["ours"].ids["finding"]
    page = f"/fleet/findings/{finding}"
    shown = (await manager.get(page)).text
    assert "66.00" in shown
    assert "60.00" in shown
    assert (await manager.send(f"{page}/false", {"note": ""})).status_code == 422
    assert (await manager.send(f"{page}/false", {"note": "a second tank"})).status_code == 303
    assert "a second tank" in (await manager.get(page)).text
    assert await one(portal, "SELECT kind, factor::float FROM vehicle_thresholds") == ("above_tank", 1.5)
    assert (await manager.send(f"{page}/open", {"note": "no"})).status_code == 303


async def test_a_typo_on_the_odometer_is_corrected_with_its_trace(portal):
    manager = await portal.at("ours", "fleet_manager")
    ids = portal.firms["ours"].ids
    path = f"/fleet/vehicles/{ids['north-vehicle']}/odometer"
    assert "52,000" in (await manager.get(path)).text
    page = f"{path}/{ids['reading']}/correct"
    assert (await manager.send(page, {"km": "5200", "reason": ""})).status_code == 422
    assert (await manager.send(page, {"km": "5200", "reason": "a nought too many"})).status_code == 303
    shown = (await manager.get(path)).text
    assert "5,200" in shown
    assert "52,000" in shown
    assert "a nought too many" in shown
    assert await one(portal, "SELECT odometer_km FROM vehicles WHERE vehicle_id = :id", id=ids["north-vehicle"]) == (5200,)
    assert (await manager.send(page, {"km": "5300", "reason": "again"}, to=page)).status_code == 404


async def test_a_profile_binds_all_who_use_it_and_goes_with_them(portal):
    manager = await portal.at("ours", "fleet_manager")
    firm = portal.firms["ours"]
    profile, driver = firm.ids["profile"], firm.ids["north-driver"]
    base = f"/fleet/limits/profile/{profile}"
    page = f"{base}/new?kind=count"
    assert (await manager.send(page, {"window": "day", "value": "2", "reaction": "block"}, to=f"{base}/new")).status_code == 303
    used = f"/fleet/limits/driver/{driver}/profile"
    assert (await manager.send(used, {"profile": str(profile)})).status_code == 303
    assert "夜班" in (await manager.get(f"/fleet/limits/driver/{driver}")).text
    bound = "SELECT compiled->'count' IS NOT NULL OR compiled::text LIKE '%count%' FROM limit_sets WHERE subject_id = :id"
    assert await one(portal, bound, id=driver) == (True,)
    assert (await manager.get(f"{base}/profile")).status_code == 404
    assert (await manager.send(f"/fleet/profiles/{profile}/close", {})).status_code == 303
    assert await one(portal, "SELECT profile_id FROM limit_sets WHERE subject_id = :id", id=driver) == (None,)


async def test_deputies_are_named_among_those_who_may(portal):
    owner = await portal.at("ours", "owner")
    ids = portal.firms["ours"].ids
    sent = {"deputy": [str(ids["fleet_manager"]), str(ids["viewer"])]}
    assert (await owner.send("/fleet/people/deputies", sent)).status_code == 303
    assert await one(portal, "SELECT array_agg(user_id) FROM company_deputies") == ([ids["fleet_manager"]],)
    assert (await owner.send("/fleet/people/deputies", {})).status_code == 303
    assert await one(portal, "SELECT count(*) FROM company_deputies") == (0,)


async def test_a_fill_is_disputed_and_the_dispute_withdrawn(portal):
    manager = await portal.at("ours", "fleet_manager")
    ids = portal.firms["ours"].ids
    shown = (await manager.get(f"/fleet/fills/{ids['sale']}")).text
    assert "394.50" in shown
    assert f"/fleet/disputes/{ids['dispute']}" in shown
    page = f"/fleet/fills/{ids['sale']}/dispute"
    assert (await manager.send(page, {"reason": "twice", "comment": "", "amount": "394.50"})).status_code == 422
    assert (await manager.send(page, {"reason": "twice", "comment": "again", "amount": "394.50"})).status_code == 409
    assert (await manager.send(f"/fleet/disputes/{ids['dispute']}/withdraw", {})).status_code == 303
    assert (await manager.send(page, {"reason": "twice", "comment": "again", "amount": "400"})).status_code == 422
    sent = await manager.send(page, {"reason": "twice", "comment": "again", "amount": "100"})
    assert sent.status_code == 303
    assert "again" in (await manager.get(sent.headers["location"])).text
    assert await one(
        portal, "SELECT wanted_minor FROM fill_disputes WHERE status = 'opened' AND company_id = :id", id=portal.firms["ours"].company_id
    ) == (10_000,)


async def test_finance_sees_what_is_owed_on_account_and_how_late(portal):
    finance, head = await portal.at("ours", "finance"), await portal.at("ours", "department_head")
    assert "贵单位为预付" in (await finance.get("/fleet/account")).text
    async with transaction(portal.sessions) as session:
        firm = {"c": portal.firms["ours"].company_id}
        await session.execute(text("INSERT INTO company_credits VALUES (:c, 2000000, 15, 10, 0, now(), now(), now())"), firm)
        await session.execute(
            text(
                "INSERT INTO credit_bills VALUES "
                "(uuidv7(), :c, current_date - 90, current_date - 60, current_date - 45, 500000, 120000, now())"
            ),
            firm,
        )
    shown = (await finance.get("/fleet/account")).text
    assert "20,000.00" in shown
    assert "3,800.00" in shown, "unpaid, and late"
    assert "逾期 4" in shown
    assert "已停止挂账" in shown
    assert (await head.get("/fleet/account")).status_code == 403
