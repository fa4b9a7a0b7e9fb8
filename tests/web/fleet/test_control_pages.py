"""Control at the pump, as a fleet manager sets it: what is asked for, dates, permits, orders, and a driver's locked PIN."""

from datetime import timedelta

from sqlalchemy import text

from loyalty.db import transaction


async def one(portal, sentence: str, **facts):
    async with transaction(portal.sessions) as session:
        return tuple((await session.execute(text(sentence), facts)).one())


def typed(moment) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M")


async def test_what_the_pump_asks_for_and_what_changes_by_date(portal):
    manager = await portal.at("ours", "fleet_manager")
    vehicle = portal.firms["ours"].ids["north-vehicle"]
    base = f"/fleet/limits/vehicle/{vehicle}"
    assert (await manager.send(f"{base}/needs", {"need_1": "yes", "need_8": "yes"})).status_code == 303
    assert await one(portal, "SELECT needs, compiled -> 'needs' FROM limit_sets WHERE subject_id = :id", id=vehicle) == (11, 11)
    assert "本人密码" in (await manager.get(base)).text
    page = f"{base}/dates/new"
    days = {"valid_from": typed(portal.world.now), "valid_to": typed(portal.world.now + timedelta(days=400)), "reason": "秋收"}
    assert (await manager.send(page, days | {"kind": "more", "percent": ""})).status_code == 422
    assert (await manager.send(page, days | {"kind": "more", "percent": "20"})).status_code == 303
    shown = (await manager.get(base)).text
    assert "+20 %" in shown
    assert "秋收" in shown
    (change,) = await one(portal, "SELECT change_id FROM limit_changes WHERE subject_id = :id", id=vehicle)
    assert (await manager.send(f"{base}/dates/{change}/end", {})).status_code == 303
    assert "秋收" not in (await manager.get(base)).text
    assert (await manager.get(f"{base}/dates/{change}/end")).status_code == 404


async def test_a_permit_is_given_for_hours_and_ended(portal):
    head = await portal.at("ours", "department_head")
    card = portal.firms["ours"].ids["north-card"]
    base = f"/fleet/limits/card/{card}"
    assert (await head.send(f"{base}/permit", {"hours": "25", "reason": "出车"})).status_code == 422
    assert (await head.send(f"{base}/permit", {"hours": "6", "reason": "出车"})).status_code == 303
    sentence = "SELECT release_id, limits, once, valid_until - valid_from FROM limit_releases WHERE reason = '出车'"
    release_id, limits, once, lasts = await one(portal, sentence)
    assert (limits, once, lasts) == (["permit"], True, timedelta(hours=6))
    assert "用卡许可" in (await head.get(base)).text
    assert (await head.send(f"{base}/releases/{release_id}/end", {})).status_code == 303
    assert "出车" not in (await head.get(base)).text


async def test_orders_are_made_from_lines_found_and_cancelled(portal):
    manager = await portal.at("ours", "fleet_manager")
    until = {"valid_until": typed(portal.world.now + timedelta(days=400))}
    plate = (await one(portal, "SELECT plate FROM vehicles WHERE vehicle_id = :id", id=portal.firms["ours"].ids["north-vehicle"]))[0]
    wrong = await manager.send("/fleet/orders/lines", until | {"lines": "A-1,50\nA-2,much\nA-3,10,,nobody"})
    assert wrong.status_code == 422
    assert "2" in wrong.text
    taken = await manager.send("/fleet/orders/lines", until | {"lines": f"A-1,50\nA-2，60.5，92，{plate}\n"})
    assert taken.status_code == 303, taken.text[:800]
    assert (await manager.send("/fleet/orders/lines", until | {"lines": "A-1,50"})).status_code == 409
    shown = (await manager.get("/fleet/orders?text=A-")).text
    assert "A-1" in shown
    assert "60.50" in shown
    assert "WO-1" not in shown
    order_id, vehicle = await one(portal, "SELECT order_id, vehicle_id FROM fuel_orders WHERE number = 'A-2'")
    assert vehicle == portal.firms["ours"].ids["north-vehicle"]
    assert (await manager.send(f"/fleet/orders/{order_id}/cancel", {"reason": "not needed"})).status_code == 303
    assert (await manager.send("/fleet/orders/new", {"number": "B-1", "quantity": "5", "amount": "5"})).status_code == 422
    made = await manager.send(
        "/fleet/orders/new", until | {"valid_from": typed(portal.world.now)} | {"number": "B-1", "amount": "500", "keeps_rest": "yes"}
    )
    assert made.status_code == 303, made.text[:800]
    assert "500.00" in (await manager.get(made.headers["location"])).text


async def test_a_locked_pin_is_unlocked_by_the_manager(portal):
    manager = await portal.at("ours", "fleet_manager")
    driver = portal.firms["ours"].ids["north-driver"]
    page = f"/fleet/drivers/{driver}"
    assert (await manager.send(f"{page}/unlock", {})).status_code == 409
    async with transaction(portal.sessions) as session:
        await session.execute(text("UPDATE drivers SET pin_tries = 3 WHERE driver_id = :id"), {"id": driver})
    assert f"{page}/unlock" in (await manager.get(page)).text
    assert (await manager.send(f"{page}/unlock", {})).status_code == 303
    assert await one(portal, "SELECT pin_tries FROM drivers WHERE driver_id = :id", id=driver) == (0,)
