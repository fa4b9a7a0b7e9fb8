"""Coming in: by an invitation's link, by log-in; what a session taken over, an old link or another company's link gets."""

import base64
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from loyalty.crypto import totp_code, use_keyring
from loyalty.db import transaction
from loyalty.identity import operations as identity
from loyalty.identity.model_portal import PortalRole
from loyalty.web.fleet.desk import enter_tenant
from tests.web.fleet.portal import PASSWORD, SYSTEM, opened_portal

CHOSEN = "nine green hills at dawn"


@pytest.fixture(scope="module")
async def portal(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_portal(url, tmp_path_factory.mktemp("portal")) as found:
        yield found
        for browser in found.browsers.values():
            await browser.client.aclose()
    use_keyring(None)
    await databases.drop(url)


async def invited(portal, email: str, *, firm: str = "ours", now: datetime | None = None) -> str:
    async with transaction(portal.sessions) as session:
        return await identity.invite(
            session,
            company_id=portal.firms[firm].company_id,
            email=email,
            role=PortalRole.FLEET_MANAGER,
            actor=SYSTEM,
            now=now or datetime.now(UTC),
        )


def session_cookie(browser) -> str | None:
    return browser.client.cookies.get("fleet")


async def accept(browser, token: str):
    return await browser.send(f"/fleet/invitations/{token}", {"name": "李雷", "password": CHOSEN, "again": CHOSEN})


async def test_a_guest_comes_in_by_the_link_and_every_step_has_a_new_token(portal):
    browser = portal.stranger()
    token = await invited(portal, "li.lei@ours.example")
    page = await browser.get(f"/fleet/invitations/{token}")
    assert "钱塘物流有限公司" in page.text
    browser.client.cookies.set("fleet", "a" * 43, domain="testserver.local")
    answer = await accept(browser, token)
    assert (answer.status_code, answer.headers["location"]) == (303, "/fleet/log-in/authenticator")
    first = answer.cookies["fleet"]
    assert first != "a" * 43
    assert (await browser.get("/fleet")).headers["location"].startswith("/fleet/log-in"), "without the second factor nobody is in"
    browser.client.cookies.delete("fleet")
    browser.client.cookies.set("fleet", first, domain="testserver.local")
    page = await browser.get("/fleet/log-in/authenticator")
    secret = base64.b32decode(re.search(r'class="mono">([A-Z2-7]+)<', page.text)[1])
    answer = await browser.send("/fleet/log-in/authenticator", {"code": totp_code(secret, now=datetime.now(UTC))})
    assert answer.status_code in {200, 303}
    assert len(re.findall(r"<li>[0-9A-Z-]{20,}</li>", answer.text)) == 10
    second = answer.cookies["fleet"]
    assert second != first
    browser.client.cookies.delete("fleet")
    browser.client.cookies.set("fleet", second, domain="testserver.local")
    home = await browser.get("/fleet")
    assert home.status_code == 200
    assert "钱塘物流有限公司" in home.text
    stolen = portal.stranger()
    stolen.client.cookies.set("fleet", first, domain="testserver.local")
    assert (await stolen.get("/fleet")).status_code == 303, "the token of the step before opens nothing"


async def test_a_link_is_good_once_and_for_seven_days(portal):
    token = await invited(portal, "once@ours.example")
    assert (await accept(portal.stranger(), token)).status_code == 303
    assert (await portal.stranger().get(f"/fleet/invitations/{token}")).status_code == 404
    stranger = portal.stranger()
    fields = await stranger.fields("/fleet/log-in")
    again = await stranger.client.post(
        f"/fleet/invitations/{token}", data=fields | {"name": "x", "password": CHOSEN, "again": CHOSEN}, follow_redirects=False
    )
    assert again.status_code == 404
    old = await invited(portal, "late@ours.example", now=datetime.now(UTC) - timedelta(days=7, seconds=1))
    assert (await portal.stranger().get(f"/fleet/invitations/{old}")).status_code == 404
    assert (await portal.stranger().get("/fleet/invitations/" + "x" * 43)).status_code == 404


async def test_a_second_invitation_takes_the_first_ones_place(portal):
    first = await invited(portal, "twice@ours.example")
    second = await invited(portal, "twice@ours.example")
    assert (await portal.stranger().get(f"/fleet/invitations/{first}")).status_code == 404
    assert (await portal.stranger().get(f"/fleet/invitations/{second}")).status_code == 200


async def test_an_address_of_another_company_is_told_so_when_it_accepts(portal):
    token = await invited(portal, "viewer@theirs.example")
    answer = await accept(portal.stranger(), token)
    assert answer.status_code == 409
    assert "viewer@theirs.example" in answer.text


async def test_a_weak_or_differing_password_makes_nobody(portal):
    token = await invited(portal, "weak@ours.example")
    browser = portal.stranger()
    page = f"/fleet/invitations/{token}"
    assert (await browser.send(page, {"name": "x", "password": "short", "again": "short"})).status_code == 422
    assert (await browser.send(page, {"name": "x", "password": CHOSEN, "again": CHOSEN + "!"})).status_code == 422
    assert (await browser.get(page)).status_code == 200


async def test_refusals_are_alike_and_the_staffs_doors_are_others(portal):
    answers = set()
    for name, password in (("nobody@ours.example", PASSWORD), ("owner@ours.example", "wrong" * 4)):
        answer = await portal.stranger().send("/fleet/log-in", {"name": name, "password": password})
        assert answer.status_code == 401
        answers.add(re.sub(r'value="[^"]*"', "", answer.text))
    assert len(answers) == 1
    owner = await portal.at("ours", "owner")
    office = portal.stranger()
    office.client.cookies.set("office", owner.client.cookies.get("fleet"), domain="testserver.local")
    assert (await office.get("/office")).status_code == 303
    office = await portal.stranger().send("/office/log-in", {"name": "owner@ours.example", "password": PASSWORD})
    assert office.status_code == 401


async def test_another_portals_address_leads_nowhere_after_the_log_in(portal):
    page = await portal.stranger().get("/fleet/log-in?next=/office/staff")
    assert 'name="next" value="/fleet"' in page.text


async def test_people_are_managed_by_the_owner_and_never_by_themselves(portal):
    owner = await portal.at("ours", "owner")
    ids = portal.firms["ours"].ids
    answer = await owner.send(
        "/fleet/people/new", {"email": "new@ours.example", "role": "department_head", "department": str(ids["south-room"])}
    )
    assert answer.status_code == 200
    link = re.search(r"/fleet/invitations/([\w-]{43})", answer.text)[1]
    assert (await portal.stranger().get(f"/fleet/invitations/{link}")).status_code == 200
    own = f"/fleet/people/{ids['owner']}/disable"
    assert (await owner.send(own, {})).status_code == 403
    assert (await owner.send(f"/fleet/people/{ids['finance']}/role", {"role": "viewer"})).status_code == 303
    finance = await portal.at("ours", "finance")
    assert (await owner.send(f"/fleet/people/{ids['finance']}/disable", {})).status_code == 303
    assert (await finance.get("/fleet")).status_code == 303, "the session ends with the log-in"
    assert (await owner.send(f"/fleet/people/{ids['finance']}/enable", {})).status_code == 303
    assert (
        await owner.send(f"/fleet/people/{ids['finance']}/role", {"role": "finance", "department": str(ids["north-room"])})
    ).status_code == 422


async def test_a_department_head_sees_their_own_only(portal):
    head = await portal.at("ours", "department_head")
    ids = portal.firms["ours"].ids
    page = await head.get("/fleet/vehicles")
    assert "12340" in page.text
    assert "12341" not in page.text
    for kind in ("vehicles", "drivers", "cards"):
        one = kind[:-1]
        assert (await head.get(f"/fleet/{kind}/{ids[f'north-{one}']}")).status_code == 200
        assert (await head.get(f"/fleet/{kind}/{ids[f'south-{one}']}")).status_code == 404
    assert (await head.get(f"/fleet/vehicles?department={ids['south-room']}")).text.count("<tr") <= 1


async def test_a_forged_form_is_refused(portal):
    owner = await portal.at("ours", "owner")
    answer = await owner.client.post("/fleet/departments/new", data={"name": "x"}, follow_redirects=False)
    assert answer.status_code == 403


FENCED = ("accounts", "cards", "purses", "sales", "authorizations", "transfers", "refunds")


async def test_the_database_shows_a_tenant_its_own_rows_only(portal):
    ours, theirs = portal.firms["ours"], portal.firms["theirs"]
    async with transaction(portal.sessions) as session:
        everybody = await session.scalar(text("SELECT count(*) FROM accounts"))
        await enter_tenant(session, ours.company_id)
        for table in FENCED:
            foreign = await session.scalar(text(f"SELECT count(*) FROM {table} WHERE account_id <> :own"), {"own": ours.account_id})
            assert foreign == 0, table
        assert await session.scalar(text("SELECT count(*) FROM accounts")) == 1 < everybody
        assert await session.scalar(text("SELECT count(*) FROM cards")) == 2
        seen = {str(one) for one in await session.scalars(text("SELECT DISTINCT company_id FROM portal_users"))}
        assert seen == {str(ours.company_id)}
        moved = await session.execute(
            text("UPDATE cards SET number_tail = '0000' WHERE account_id = :theirs"), {"theirs": theirs.account_id}
        )
        assert moved.rowcount == 0
    async with transaction(portal.sessions) as session:
        assert await session.scalar(text("SELECT current_role")) == "loyalty_hot", "the fence ends with its transaction"


async def test_without_a_tenant_the_portals_role_sees_nothing(portal):
    async with transaction(portal.sessions) as session:
        await session.execute(text("SET LOCAL ROLE loyalty_portal"))
        for table in (*FENCED, "portal_users", "portal_invitations", "portal_recovery_codes", "user_sessions", "companies"):
            assert await session.scalar(text(f"SELECT count(*) FROM {table}")) == 0, table
