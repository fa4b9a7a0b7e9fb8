"""A partner's counter over HTTP: a code is looked at, redeemed once, taken back; what is wrong says one thing; the book agrees."""

import asyncio
import io
import re
from datetime import UTC, datetime

import segno
from PIL import Image
from sqlalchemy import text

from loyalty.db import transaction
from tests.factories.partner_house import PLATE
from tests.factories.world import give_card


async def figures(portal, sentence, **bound):
    async with transaction(portal.sessions) as session:
        return (await session.execute(text(sentence), bound)).one()


async def look(browser, code):
    return await browser.send("/partner", {"code": code}, to="/partner/codes")


async def use(browser, code, **more):
    """Look at a code and use it; return the answer and the key."""
    page = await look(browser, code)
    assert page.status_code == 200, page.text[:500]
    key = re.search(r'name="key" value="([^"]+)"', page.text)[1]
    return await browser.answer(page, more, to="/partner/redemptions"), key


async def test_a_wash_for_one_vehicle_is_looked_at_redeemed_and_on_the_days_list(portal):
    clerk = await portal.at("ours", "clerk")
    code = await portal.voucher("ours", "wash", plate=PLATE)
    page = await look(clerk, code.lower())
    assert "可以使用" in page.text
    assert "免费精洗一次" in page.text
    assert "浙A" in page.text, "the plate to compare"
    assert "¥35.00" in page.text
    answer, key = await use(clerk, code)
    assert answer.headers["location"] == f"/partner/redemptions/{key}"
    done = await clerk.get(f"/partner/redemptions/{key}")
    assert "已核销" in done.text
    day = await clerk.get("/partner/today")
    assert code[-4:] in day.text
    assert "小王" in day.text
    line = await figures(
        portal, "SELECT kind, saved_minor, served_by FROM partner_lines WHERE partner_id = :p ORDER BY number DESC LIMIT 1",
        p=portal.houses["ours"].partner_id,
    )  # fmt: skip
    assert tuple(line) == ("redemption", 3_500, "小王 yuexi")


async def test_the_same_form_sent_twice_is_one_redemption_and_the_same_receipt(portal):
    clerk = await portal.at("ours", "clerk")
    code = await portal.voucher("ours", "fifty")
    page = await look(clerk, code)
    answers = await asyncio.gather(*(clerk.answer(page, {"gross": "80"}, to="/partner/redemptions") for _ in range(4)))
    assert {(each.status_code, each.headers.get("location")) for each in answers} == {(303, answers[0].headers["location"])}
    receipt = await clerk.get(answers[0].headers["location"])
    assert "¥50.00" in receipt.text
    assert "¥30.00" in receipt.text, "what the customer pays"
    found = await figures(portal, "SELECT count(*) FROM voucher_redemptions WHERE voucher_id IN (SELECT voucher_id FROM vouchers WHERE code_tail = :t)", t=code[-4:])  # noqa: E501  # fmt: skip
    assert found[0] == 1


async def test_a_part_of_a_voucher_leaves_the_rest(portal):
    clerk = await portal.at("ours", "clerk")
    code = await portal.voucher("ours", "fifty")
    answer, _key = await use(clerk, code, gross="20", amount="20")
    receipt = await clerk.get(answer.headers["location"])
    assert "¥30.00" in receipt.text
    again = await look(clerk, code)
    assert "¥30.00" in again.text


async def test_undone_within_its_minutes_it_is_good_again(portal):
    clerk = await portal.at("ours", "clerk")
    code = await portal.voucher("ours", "fifty")
    answer, key = await use(clerk, code)
    receipt = await clerk.get(answer.headers["location"])
    undone = await clerk.answer(receipt, {}, to=f"/partner/redemptions/{key}/undone")
    assert undone.headers["location"] == "/partner/today"
    assert "可以使用" in (await look(clerk, code)).text
    assert "已撤销" in (await clerk.get(f"/partner/redemptions/{key}")).text


async def test_every_code_that_is_not_good_here_gets_one_answer(portal):
    clerk = await portal.at("ours", "clerk")
    used = await portal.voucher("ours", "fifty")
    await use(clerk, used)
    foreign = await portal.voucher("theirs", "fifty")
    answers = [await look(clerk, code) for code in (used, foreign, "AAAAAAAAAAAA", "nonsense")]
    assert {each.status_code for each in answers} == {404}
    bodies = {re.sub(r'value="[^"]*"', "", each.text) for each in answers}
    assert len(bodies) == 1, "whoever tries codes learns nothing"
    kept = await figures(portal, "SELECT status FROM vouchers WHERE code_tail = :t AND status = 'issued'", t=foreign[-4:])
    assert kept[0] == "issued"


async def test_guesses_are_counted_although_they_are_refused_and_then_none_is_looked_at(portal):
    owner = await portal.at("theirs", "owner")
    good = await portal.voucher("theirs", "fifty")
    # A wrong code that the check character lets pass: a used one.
    spent = await portal.voucher("theirs", "fifty")
    await use(owner, spent)
    statuses = [(await look(owner, spent)).status_code for _ in range(22)]
    assert statuses[0] == 404
    assert statuses[-1] == 429
    assert (await look(owner, good)).status_code == 429, "not even a good one"
    clerk = await portal.at("ours", "clerk")
    assert (await look(clerk, await portal.voucher("ours", "fifty"))).status_code == 200, "another outlet goes on"


async def test_a_plate_bound_voucher_is_for_its_vehicle_alone(portal):
    clerk = await portal.at("ours", "clerk")
    code = await portal.voucher("ours", "wash", plate=PLATE)
    page = await look(clerk, code)
    other = await clerk.answer(page, {"plate": "浙A99999"}, to="/partner/redemptions")
    assert other.status_code == 404
    assert "可以使用" in (await look(clerk, code)).text, "it is good still"


async def test_a_photo_is_read_on_the_server(portal):
    clerk = await portal.at("ours", "clerk")
    code = await portal.voucher("ours", "fifty")
    drawn = io.BytesIO()
    segno.make(f"https://cards.example/me/v#{code}").save(drawn, kind="png", scale=6, border=4)
    picture = Image.new("RGB", (900, 700), "white")
    picture.paste(Image.open(drawn).convert("RGB"), (300, 200))
    photo = io.BytesIO()
    picture.rotate(7, fillcolor="white").save(photo, "JPEG", quality=70)
    page = await clerk.send("/partner", {}, to="/partner/photos", files={"photo": ("p.jpg", photo.getvalue(), "image/jpeg")})
    assert page.status_code == 200
    assert "可以使用" in page.text
    nothing = io.BytesIO()
    Image.new("RGB", (400, 300), "grey").save(nothing, "JPEG")
    page = await clerk.send("/partner", {}, to="/partner/photos", files={"photo": ("p.jpg", nothing.getvalue(), "image/jpeg")})
    assert page.status_code == 422
    assert "没有识别到" in page.text
    page = await clerk.send("/partner", {}, to="/partner/photos", files={"photo": ("p.jpg", b"MZ not a picture", "image/jpeg")})
    assert page.status_code == 422


async def test_a_member_shows_the_card_and_pays_less(portal):
    clerk = await portal.at("ours", "clerk")
    async with transaction(portal.sessions) as session:
        card = await give_card(session, portal.world, balance_minor=100)
    page = await clerk.get("/partner/members")
    said = {"card": card.number, "gross": "100", "benefit": "tenth"}
    answer = await clerk.answer(page, said, to="/partner/members")
    assert answer.status_code == 303, answer.text[:600]
    again = await clerk.answer(page, said, to="/partner/members")
    assert again.status_code == 303
    found = await figures(
        portal,
        "SELECT count(*), max(saved_minor), max(reference) FROM partner_lines WHERE partner_id = :p AND kind = 'sale'",
        p=portal.houses["ours"].partner_id,
    )
    assert tuple(found) == (1, 1_000, f"•••• {card.number[-4:]}")
    unknown = await clerk.answer(await clerk.get("/partner/members"), said | {"card": "6217000000000000000"}, to="/partner/members")
    assert unknown.status_code == 404
    assert "此卡无效" in unknown.text


async def test_an_outlet_pauses_for_rain_and_stations_see_it(portal):
    owner = await portal.at("ours", "owner")
    west = portal.houses["ours"].outlets[1]
    answer = await owner.send(f"/partner/outlets/{west}/pause", {"why": "下雨", "minutes": "60"})
    assert answer.status_code == 303
    assert "下雨" in (await owner.get("/partner/outlets")).text
    found = await figures(portal, "SELECT status, why_paused, paused_until > :n FROM partner_outlets WHERE outlet_id = :o", o=west, n=datetime.now(UTC))  # noqa: E501  # fmt: skip
    assert tuple(found) == ("paused", "下雨", True)
    await owner.send("/partner", {"outlet": str(west)}, to="/partner/outlet")
    refused = await look(owner, await portal.voucher("ours", "fifty"))
    assert refused.status_code == 409
    assert "下雨" in refused.text
    await owner.send(f"/partner/outlets/{west}/open", {})
    assert (await look(owner, await portal.voucher("ours", "fifty"))).status_code == 200


async def test_the_book_and_the_report_by_employee_come_to_the_same(portal):
    finance = await portal.at("ours", "finance")
    book, report = await finance.get("/partner/book"), await finance.get("/partner/employees")
    assert book.status_code == report.status_code == 200
    sums = await figures(
        portal, "SELECT sum(saved_minor), count(*) FROM partner_lines WHERE partner_id = :p", p=portal.houses["ours"].partner_id
    )
    assert f"¥{sums[0] / 100:,.2f}" in book.text
    assert "小王" in report.text
    file = await finance.get("/partner/book.csv")
    assert file.status_code == 200
    assert file.text.count("\n") == sums[1] + 1
