"""Cash fills in the portal: filed from a phone, looked at with the receipt, approved by somebody else, in the economy and in the lists."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.factories.photos import photo

from .test_watching_pages import one

PATH = "/fleet/cash"


def typed(**more) -> dict[str, str]:
    when = datetime.now(UTC) - timedelta(minutes=5)
    said = {"plate": "浙A12340", "driver": "100", "reason": "no_card_service", "comment": "", "place": "路边站", "quantity": "30"}
    said |= {"when": f"{when.astimezone(ZoneInfo('Asia/Shanghai')):%Y-%m-%dT%H:%M}", "amount": "240.00", "odometer": "51200"}
    return said | {"plate_read": "浙A·12340"} | more


async def hand_in(browser, content, *, page=f"{PATH}/new", name="receipt.jpg", kind="image/jpeg", **more):
    data = await browser.fields(page) | typed(**more)
    return await browser.client.post(page, data=data, files={"receipt": (name, content, kind)}, follow_redirects=False)


async def test_a_cash_fill_is_recorded_approved_by_another_and_reimbursed(portal):
    head, manager = await portal.at("ours", "department_head"), await portal.at("ours", "fleet_manager")
    assert 'capture="environment"' in (await head.get(f"{PATH}/new")).text
    answer = await hand_in(head, photo("a"))
    assert answer.status_code == 303, answer.text[:800]
    page = answer.headers["location"]
    shown = (await head.get(page)).text
    assert f'<img src="{page}/receipt"' in shown
    assert "/approve" not in shown, "whoever files it does not decide"
    assert "status=filed" in (await manager.get("/fleet")).text, "it waits for the manager"
    assert "status=filed" not in (await head.get("/fleet")).text
    file = await head.get(f"{page}/receipt")
    assert (file.content, file.headers["content-type"]) == (photo("a"), "image/png"), "by its content, whatever its name says"
    assert file.headers["content-disposition"].startswith("attachment; ")
    assert file.headers["x-content-type-options"] == "nosniff"
    assert "240.00" in (await manager.get(f"{page}/approve")).text
    assert (await manager.send(f"{page}/approve", {"words": "情况属实"})).status_code == 303
    assert (await manager.send(f"{page}/refuse", {"words": "晚了"})).status_code == 409
    assert "情况属实" in (await head.get(page)).text
    finance = await portal.at("ours", "finance")
    assert (await finance.send(f"{page}/reimburse", {})).status_code == 303
    assert page in (await manager.get(f"/fleet/vehicles/{portal.firms['ours'].ids['north-vehicle']}")).text
    lines = (await manager.get("/fleet/economy.csv")).content.decode("utf-8-sig").splitlines()
    assert (len(lines), lines[0].count("其中现金"), "30" in lines[1]) == (2, 1, True)
    listed = (await manager.get(f"{PATH}.csv?status=reimbursed")).content.decode("utf-8-sig").splitlines()
    assert len(listed) == 2
    assert (await manager.get(f"{PATH}.xlsx")).content[:2] == b"PK"


async def test_a_manager_decides_nothing_that_they_filed(portal):
    manager = await portal.at("ours", "fleet_manager")
    page = (await hand_in(manager, photo("b"))).headers["location"]
    assert (await manager.send(f"{page}/approve", {})).status_code == 403
    assert "status=filed" in (await manager.get("/fleet")).text, "what somebody else filed waits"
    assert (await manager.send(f"{page}/withdraw", {})).status_code == 303
    again = await hand_in(manager, photo("b"))
    assert again.status_code == 303, "a withdrawn one's receipt is free"
    twice = await hand_in(manager, photo("b"))
    assert (twice.status_code, "浙A12340" in twice.text) == (409, True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html><script>alert(1)</script></html>", "内容不是 JPEG, PNG, WEBP, PDF"),
        (b"\xff\xd8\xff" + bytes(6_000_000), "超过 5 MB"),
        (b"", "内容不是"),
    ],
)
async def test_what_is_no_receipt_is_said_beside_its_field(portal, content, said):
    head = await portal.at("ours", "department_head")
    answer = await hand_in(head, content)
    assert (answer.status_code, said in answer.text) == (422, True), answer.text[-800:]
    assert (await one(portal, "SELECT count(*) FROM cash_receipts WHERE company_id = :id", id=portal.firms["ours"].company_id)) == (1,)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"plate": "浙A12341"}, "不是贵单位（部门）的车辆"),
        ({"driver": "101"}, "不是贵单位（部门）的驾驶员"),
        ({"place": ""}, "其他品牌油站"),
        ({"station": "00000000-0000-7000-8000-000000000000"}, "不是可选项"),
    ],
)
async def test_a_head_files_for_their_own_department_only(portal, more, said):
    head = await portal.at("ours", "department_head")
    answer = await hand_in(head, photo("c"), **more)
    assert (answer.status_code, said in answer.text) == (422, True), answer.text[-800:]
    manager = await portal.at("ours", "fleet_manager")
    if "plate" in more:
        south = (await hand_in(manager, photo("c"), plate="浙A12341", plate_read="浙A12341")).headers["location"]
        for address in (south, f"{south}/receipt", f"{south}/withdraw"):
            assert (await head.get(address)).status_code == 404
        assert south not in (await head.get(PATH)).text


async def test_what_was_asked_for_gets_its_receipt_later_and_another_plate_is_told(portal):
    head, owner = await portal.at("ours", "department_head"), await portal.at("ours", "owner")
    asked = await head.send(f"{PATH}/ask", typed())
    assert asked.status_code == 303, asked.text[:500]
    page = asked.headers["location"]
    assert (await owner.send(f"{page}/approve", {})).status_code == 303
    assert (await owner.send(f"{page}/reimburse", {})).status_code == 409, "not without its receipt"
    assert (await hand_in(head, photo("d"), page=f"{page}/receipt/add", plate_read="浙B00001")).status_code == 303
    shown = (await owner.get(page)).text
    assert "浙B00001" in shown
    assert f"{page}/approve" in shown, "it is looked at again"
    assert "浙B00001" in (await owner.get(f"{page}/approve")).text


async def test_what_is_too_large_to_be_read_is_told_so(portal):
    head = await portal.at("ours", "department_head")
    answer = await hand_in(head, photo("e") + bytes(11_000_000))
    assert (answer.status_code, "请缩小文件" in answer.text) == (413, True)


async def test_nobody_gets_another_companys_receipt(portal):
    theirs = portal.firms["theirs"].ids["cash"]
    for role in ("owner", "fleet_manager", "viewer"):
        assert (await (await portal.at("ours", role)).get(f"{PATH}/{theirs}/receipt")).status_code == 404
    assert (await portal.stranger().get(f"{PATH}/{theirs}/receipt")).status_code == 303, "to the log-in"
