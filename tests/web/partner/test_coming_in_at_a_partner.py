"""Coming in at a partner: an employee by the link on their phone and a PIN, an owner by mail; what an old link or a lost phone opens."""

import base64
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from loyalty.crypto import totp_code
from loyalty.db import transaction
from loyalty.identity import operations as identity
from loyalty.identity.operations.partner_users import PinNotSound, require_sound_pin
from tests.factories.partner_house import CLERK_PIN, PASSWORD, SECRET
from tests.factories.world import SYSTEM

CHOSEN = "nine green hills at dawn"


async def step_up(owner) -> None:
    await owner.send(
        "/partner/people",
        {"code": totp_code(SECRET, now=datetime.now(UTC) + timedelta(seconds=30)), "back": "/partner/people"},
        to="/partner/step-up",
    )


async def clerks_link(portal, *, house="ours", name="小李", user_id=None, now=None) -> str:
    one = portal.houses[house]
    async with transaction(portal.sessions) as session:
        return await identity.invite_clerk(
            session,
            partner_id=one.partner_id,
            outlet_id=one.outlets[1],
            name=name,
            user_id=user_id,
            actor=SYSTEM,
            now=now or datetime.now(UTC),
        )


async def take(browser, token, pin="860315"):
    return await browser.send(f"/partner/invitations/{token}", {"pin": pin, "again": pin})


async def test_an_employee_takes_the_link_and_stands_at_the_counter(portal):
    token = await clerks_link(portal)
    phone = portal.stranger()
    page = await phone.get(f"/partner/invitations/{token}")
    assert "小李" in page.text
    assert "西门店" in page.text
    answer = await take(phone, token)
    assert (answer.status_code, answer.headers["location"]) == (303, "/partner")
    assert "西门店" in (await phone.get("/partner")).text
    assert (await phone.get("/partner/people")).status_code == 403
    again = portal.stranger()
    assert (await again.get(f"/partner/invitations/{token}")).status_code == 404, "good once"


async def test_the_next_day_the_phone_asks_for_the_pin_and_counts_wrong_ones(portal):
    phone = portal.stranger()
    await take(phone, await clerks_link(portal, name="小周"))
    phone.client.cookies.delete("partner")
    page = await phone.get("/partner/sign-in")
    assert "小周" in page.text
    assert (await phone.send("/partner/sign-in", {"pin": "860315"})).status_code == 303
    phone.client.cookies.delete("partner")
    for _ in range(6):
        wrong = await phone.send("/partner/sign-in", {"pin": "111222"})
    assert wrong.status_code == 401
    assert (await phone.send("/partner/sign-in", {"pin": "860315"})).status_code == 401, "too many tries: not even the right one"


async def test_another_phone_signs_the_first_one_out(portal):
    first, second = portal.stranger(), portal.stranger()
    await take(first, await clerks_link(portal, name="小吴"))
    async with transaction(portal.sessions) as session:
        user_id = await session.scalar(text("SELECT user_id FROM partner_users WHERE name = '小吴'"))
    await take(second, await clerks_link(portal, name="小吴", user_id=user_id), pin="921407")
    assert (await first.get("/partner")).status_code == 303, "its session has ended"
    assert (await first.get("/partner/sign-in")).status_code == 303, "and the phone is nobody's"
    assert (await second.get("/partner")).status_code == 200


async def test_a_pin_without_its_phone_opens_nothing(portal):
    stranger = portal.stranger()
    assert (await stranger.get("/partner/sign-in")).headers["location"] == "/partner/log-in"
    async with transaction(portal.sessions) as session:
        name = await session.scalar(text("SELECT log_in_name FROM partner_users WHERE role = 'clerk' LIMIT 1"))
    answer = await stranger.send("/partner/log-in", {"name": name, "password": CLERK_PIN})
    assert answer.status_code == 401


@pytest.mark.parametrize("pin", ["12345", "111111", "123456", "987654", "12345a", "1234567890123", "", "１２３９８７"])
def test_a_pin_that_everybody_tries_first_is_refused(pin):
    with pytest.raises(PinNotSound):
        require_sound_pin(pin)


async def test_a_weak_pin_is_refused_and_the_link_stays_good(portal):
    token = await clerks_link(portal, name="小郑")
    phone = portal.stranger()
    assert (await take(phone, token, pin="123456")).status_code == 422
    assert (await take(phone, token)).status_code == 303


async def test_an_old_link_opens_nothing(portal):
    token = await clerks_link(portal, now=datetime.now(UTC) - timedelta(days=8))
    assert (await portal.stranger().get(f"/partner/invitations/{token}")).status_code == 404


async def test_an_owner_lets_finance_in_by_mail(portal):
    owner = await portal.at("ours", "owner")
    await step_up(owner)
    shown = await owner.send("/partner/people/invite", {"email": "New.Finance@ours.example", "role": "finance"})
    assert shown.status_code == 200, shown.text[:400]
    token = re.search(r"/partner/invitations/([\w-]+)", shown.text)[1]
    guest = portal.stranger()
    answer = await guest.send(f"/partner/invitations/{token}", {"name": "钱会计", "password": CHOSEN, "again": CHOSEN})
    assert answer.headers["location"] == "/partner/log-in/authenticator"
    page = await guest.get("/partner/log-in/authenticator")
    secret = base64.b32decode(re.search(r'class="mono">([A-Z2-7]+)<', page.text)[1])
    answer = await guest.send("/partner/log-in/authenticator", {"code": totp_code(secret, now=datetime.now(UTC))})
    assert len(re.findall(r"<li>[0-9A-Z-]{20,}</li>", answer.text)) == 10
    assert (await guest.get("/partner/book")).status_code == 200
    assert (await guest.get("/partner/today")).status_code == 403


async def test_an_owner_makes_an_employees_link_closes_them_and_lets_them_in_again(portal):
    owner = await portal.at("ours", "owner")
    await step_up(owner)
    shown = await owner.send("/partner/people/new", {"name": "小冯", "outlet": str(portal.houses["ours"].outlets[0])})
    token = re.search(r"/partner/invitations/([\w-]+)", shown.text)[1]
    phone = portal.stranger()
    await take(phone, token)
    async with transaction(portal.sessions) as session:
        user_id = await session.scalar(text("SELECT user_id FROM partner_users WHERE name = '小冯'"))
    assert (await owner.send(f"/partner/people/{user_id}/close", {})).status_code == 303
    assert (await phone.get("/partner")).status_code == 303
    assert (await owner.send(f"/partner/people/{user_id}/open", {})).status_code == 303
    assert (await phone.send("/partner/sign-in", {"pin": "860315"})).status_code == 303
    log = await owner.get(f"/partner/people/{user_id}")
    assert "小冯" in log.text


async def test_the_last_owner_stays(portal):
    owner = await portal.at("theirs", "owner")
    me = portal.houses["theirs"].people["owner"]
    await step_up(owner)
    answer = await owner.client.post(f"/partner/people/{me}/close", data=await owner.fields("/partner/people/new"), follow_redirects=False)
    assert answer.status_code in {403, 409, 422}, "nobody closes themselves"


async def test_one_address_may_be_a_companys_user_and_a_partners(portal):
    """Guessing and logging in at one portal is no matter of another: names are counted and looked up by portal."""
    stranger = portal.stranger()
    answer = await stranger.client.post(
        "/fleet/log-in",
        data=await stranger.fields("/fleet/log-in") | {"name": "owner@yuexi.example", "password": PASSWORD},
        follow_redirects=False,
    )
    assert answer.status_code == 401
