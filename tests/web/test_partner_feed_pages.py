"""The pages of what goes to partners: for whom each is, and what an office, a second person and a holder do on them."""

import io
import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from loyalty.crypto import use_keyring
from loyalty.crypto.age import open_sealed
from loyalty.customers.queries import consents_of
from loyalty.db import transaction
from loyalty.web.desk import new_key
from partners.feed_rules import read_file
from partners.line_rules import worth_of
from partners.model_feeds import FeedColumn, PartnerRegistration
from partners.model_lines import LineKind
from partners.operations.feed_runs import send_now
from partners.operations.inbound import About, Mapping, take_file
from partners.operations.lines import Entry, book_line
from partners.web.office.routes import partners_office
from tests.partners.conftest import SLIP, TERMS
from tests.partners.feeding import CODE, PURPOSE, feeding_house
from tests.web.office_chain import LOG_INS, PIN
from tests.web.office_desk import opened_office

READ, EDIT, AGREE = frozenset({"office", "finance", "auditor"}), frozenset({"office"}), frozenset({"office", "finance"})
BASE = "/office/partners/{partner}"
PAGES = [
    (f"{BASE}/feeds", READ),
    (f"{BASE}/feeds/new", EDIT),
    (f"{BASE}/feeds/wording?benefit=claim-slip", EDIT),
    (f"{BASE}/feeds/log", READ),
    (f"{BASE}/feeds/log.csv", READ),
    (f"{BASE}/feeds/{{feed}}", READ),
    (f"{BASE}/feeds/{{feed}}/edit", EDIT),
    (f"{BASE}/feeds/{{feed}}/approve", AGREE),
    *((f"{BASE}/feeds/{{feed}}/{act}", EDIT) for act in ("pause", "resume", "end", "send", "send-all")),
    (f"{BASE}/feeds/files/{{file}}", READ),
    (f"{BASE}/feeds/files/{{file}}/content", EDIT),
    (f"{BASE}/feeds/files/{{file}}/again", EDIT),
    (f"{BASE}/registrations", READ),
    (f"{BASE}/registrations.xlsx", READ),
    (f"{BASE}/registrations?status=removed", READ),
    (f"{BASE}/registrations/{{registration}}/follow-up", EDIT),
    (f"{BASE}/lapses", READ),
    (f"{BASE}/inbound", READ),
    (f"{BASE}/inbound.csv", READ),
    (f"{BASE}/inbound/new", EDIT),
    (f"{BASE}/inbound/{{inbound}}/rows", READ),
    (f"{BASE}/inbound/{{inbound}}/rows.xlsx", READ),
    (f"{BASE}/inbound/{{inbound}}/rows?outcome=matched", READ),
]
ACTS = [
    *("feeds/new", "feeds/wording", "feeds/{feed}/edit", "inbound/new", "inbound/take", "registrations/{registration}/follow-up"),
    *(f"feeds/{{feed}}/{act}" for act in ("pause", "resume", "end", "send", "send-all")),
    "feeds/files/{file}/again",
]
"""What the office alone does."""
APPROVAL = "feeds/{feed}/approve"
FEEDS = frozenset({"feeds", "registrations", "lapses", "inbound"})
"""What stands under a partner's address."""
NOW = datetime.now(UTC)
DAY = NOW.astimezone(UTC) + timedelta(hours=8)
CSV = f"凭证,金额,时间,流水号,状态\nAAA1,100.00,{DAY:%Y-%m-%d %H:%M},w1,\nAAA7,1.00,{DAY:%Y-%m-%d %H:%M},w7,已撤销\n".encode()


def path(office, address: str) -> str:
    return office.fill(address)


@pytest.fixture(scope="module")
async def office(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_office(url, tmp_path_factory.mktemp("office")) as office:
        now = datetime.now(UTC) - timedelta(minutes=1)
        house = await feeding_house(office.sessions, now, office.chain.world)
        house.people["张伟"] = office.chain.ids["zhang"]
        await house.person("陈晨", now)
        await house.person("没同意", now, consents=None)
        worth = worth_of(TERMS, SLIP, gross_minor=10_000, saved_minor=10_000)
        entry = Entry(kind=LineKind.REDEMPTION, source="r:1", event_at=now, worth=worth, benefit=SLIP.code, reference="AAA1")
        of = {"partner_id": house.partner_id, "actor": house.maker, "now": now}
        async with transaction(office.sessions) as session:
            await book_line(session, partner_id=house.partner_id, entry=entry, actor="system", now=now)
            file = await send_now(session, **of, feed_id=house.feed_id, whole=False, sender="x@example.com")
            registration = await session.scalar(select(PartnerRegistration.registration_id))
            mapping = Mapping(reference="凭证", amount="金额", at="时间")
            about = About(first_day=DAY.date(), end_day=DAY.date() + timedelta(days=1), zone="Asia/Shanghai", mapping=mapping)
            inbound = await take_file(session, **of, name="first.csv", data=CSV, about=about)
        await house.person("周周", now)
        office.house = house
        office.chain.ids |= {"partner": house.partner_id, "feed": house.feed_id}
        office.chain.ids |= {"file": file, "registration": registration, "inbound": inbound}
        yield office
        for desk in office.desks.values():
            await desk.client.aclose()
    use_keyring(None)
    await databases.drop(url)


async def test_a_list_is_made_fetched_and_read_by_the_partner(office):
    desk = await office.at("office")
    feed = path(office, f"{BASE}/feeds/{{feed}}")
    page = (await desk.get(feed)).text
    assert "新增 1" in page
    assert "未同意暂不提供 1" in page
    assert "周周" in page
    assert "没同意" not in page, "who has not agreed is nobody here"
    made = await desk.send(f"{feed}/send", {})
    assert made.status_code == 303
    file = made.headers["location"]
    shown = await desk.get(file)
    assert "周周" in shown.text
    fetched = await desk.get(f"{file}/content")
    assert fetched.headers["content-disposition"].startswith("attachment")
    assert read_file(open_sealed(office.house.identity, fetched.content))[2][2] == "周周"
    assert "已下载" in (await desk.get(file)).text


async def test_a_change_waits_for_a_second_person(office):
    desk, second = await office.at("office"), await office.at("finance")
    feed = path(office, f"{BASE}/feeds/{{feed}}")
    wanted = {
        "columns": ["name", "cover"],
        "rhythm": "daily",
        "weekday": "2",
        "month_day": "3",
        "at": "07:30",
        "channel": "webhook",
        "webhook_url": "https://feeds.insurer.example/in",
        "recipient": office.house.recipient,
    }
    refused = await desk.send(f"{feed}/edit", wanted | {"recipient": "age1nobody"})
    assert (refused.status_code, "age1" in refused.text) == (422, True)
    answer = await desk.send(f"{feed}/edit", wanted)
    assert answer.status_code == 200
    assert "whsec_" in answer.text, "shown once"
    assert "whsec_" not in (await desk.get(feed)).text
    told = "待同意的数据推送"
    assert (told in (await second.get("/office")).text, told in (await desk.get("/office")).text) == (True, False)
    own = await desk.send(f"{feed}/approve", {})
    assert own.status_code in {403, 409, 422}
    assert "另一位" in own.text
    assert (await second.send(f"{feed}/approve", {})).status_code == 303
    page = (await desk.get(feed)).text
    assert "每天 07:30" in page
    async with transaction(office.sessions) as session:
        columns = await session.scalar(text("SELECT columns FROM partner_feeds"))
    assert columns == [FeedColumn.NAME.value, FeedColumn.COVER.value]


async def test_a_partners_file_is_looked_at_and_kept_once(office):
    desk = await office.at("office")
    inbound = path(office, f"{BASE}/inbound")
    about = {
        "zone": "Asia/Shanghai",
        "first_day": f"{DAY:%Y-%m-%d}",
        "last_day": f"{DAY:%Y-%m-%d}",
        "reference": "凭证",
        "amount": "金额",
        "when": "时间",
        "theirs": "流水号",
        "state": "状态",
        "cancelled": "已撤销",
        "compared": "saved_minor",
    }
    fields = await desk.fields(f"{inbound}/new")
    sent = {"files": {"file": ("sept.csv", io.BytesIO(CSV), "text/csv")}, "data": fields | about}
    looked = await desk.client.post(f"{inbound}/new", **sent)
    assert looked.status_code == 200, looked.text[:300]
    assert "一致" in looked.text
    assert "AAA7" in looked.text
    carried = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', looked.text))
    kept = await desk.client.post(f"{inbound}/take", data=carried)
    assert kept.status_code == 303
    again = await desk.client.post(f"{inbound}/take", data=carried | {"idempotency_key": new_key()})
    assert again.headers["location"] == kept.headers["location"], "the same file is the same run"
    shown = (await desk.get(kept.headers["location"])).text
    assert "AAA1" in shown
    wrong = await desk.client.post(f"{inbound}/new", files={"file": ("x.csv", io.BytesIO(b"a,b\n1,2\n"))}, data=fields | about)
    assert (wrong.status_code, "凭证" in wrong.text) == (422, True)


async def test_new_words_are_asked_from_then_on(office):
    desk = await office.at("office")
    wording = path(office, f"{BASE}/feeds/wording?benefit=claim-slip")
    words = {"title_zh": "意外险登记二", "title_en": "Insurance two", "text_zh": "字" * 30, "text_en": "words " * 8}
    answer = await desk.send(wording, words, to=path(office, f"{BASE}/feeds/wording"))
    assert answer.status_code == 303, answer.text[:300]
    assert "意外险登记二" in (await desk.get(path(office, f"{BASE}/feeds"))).text
    short = await desk.send(wording, words | {"text_zh": "短"}, to=path(office, f"{BASE}/feeds/wording"))
    assert short.status_code == 422


async def test_the_office_notes_in_which_words_and_where_somebody_agreed(office):
    desk = await office.at("office")
    customer = office.fill("/office/customers/{zhang}")
    told = {"asked": f"{PURPOSE}|{CODE}|1", "granted": "1", "station": office.fill("{S1}"), "evidence": "登记表 12"}
    assert (await desk.send(f"{customer}/consents/new", told)).status_code == 303
    page = (await desk.get(customer)).text
    assert f"{PURPOSE} → {CODE}" in page
    assert "登记表 12" not in page, "the words read say more than the evidence"
    gone = await desk.send(f"{customer}/consents/new", told | {"asked": f"{PURPOSE}|{CODE}|9"})
    assert gone.status_code == 404


async def test_a_holder_sees_and_withdraws_what_they_agreed_to(office):
    phone = office.stranger()
    answer = await phone.send("/me", {"number": office.chain.numbers["zhang-card"], "pin": PIN}, to="/me/sign-in")
    assert answer.status_code == 303
    page = (await phone.get("/me/consents")).text
    assert "意外险登记" in page
    fields = await phone.fields("/me/consents")
    (version,) = re.findall(rf'name="recipient" value="{CODE}"><input type="hidden" name="version" value="(\d+)"', page)
    of = {"purpose": PURPOSE, "recipient": CODE, "version": version}
    token = fields["csrf_token"]
    # The counter may have noted it already: then agreeing once more changes nothing.
    await phone.client.post("/me/consents", data=of | {"granted": "1", "csrf_token": token})
    for granted, expected in (("0", False), ("0", False), ("1", True)):
        sent = await phone.client.post("/me/consents", data=of | {"granted": granted, "csrf_token": token})
        assert sent.status_code == 303, sent.text[:200]
        async with transaction(office.sessions) as session:
            found = await consents_of(session, customer_id=office.chain.ids["zhang"], at=datetime.now(UTC))
        (one,) = [each for each in found if each.recipient == CODE]
        assert (one.granted, one.channel.value, one.wording) == (expected, "own_page", int(version))
    unread = await phone.client.post("/me/consents", data=of | {"granted": "1", "version": "9", "csrf_token": token})
    other = await phone.client.post("/me/consents", data={"purpose": "x", "recipient": "y", "granted": "0", "csrf_token": token})
    assert (unread.status_code, other.status_code) == (404, 404)
    stranger = office.stranger()
    assert (await stranger.get("/me/consents")).status_code == 303
    await phone.client.aclose()
    await stranger.client.aclose()


@pytest.mark.parametrize("role", LOG_INS)
async def test_each_page_is_for_whom_it_is(office, role):
    desk = await office.at(role)
    wrong = []
    for address, allowed in PAGES:
        answer = await desk.get(path(office, address))
        if answer.status_code != (200 if role in allowed else 403):
            wrong.append((address, answer.status_code))
    assert wrong == []


def test_no_route_is_left_out():
    """Every route of what leaves and comes in stands in one of the tables above, a list's files with the list."""
    known = {"GET": [_shape(address) for address, _ in PAGES], "POST": [_shape(f"{BASE}/{act}") for act in (*ACTS, APPROVAL)]}
    found = [(method, _shape(route.path_format)) for route in partners_office.routes for method in route.methods if method in known]
    ours = [(method, shape) for method, shape in found if shape[3:4] and shape[3] in FEEDS]
    assert len(ours) > 20
    assert [one for one in ours if one[1] not in known[one[0]]] == []


def _shape(address):
    """Return an address with a star for each id, without the ending of a file."""
    plain = address.partition("?")[0].removesuffix(".csv").removesuffix(".xlsx")
    return ["*" if part.startswith("{") else part for part in plain.strip("/").split("/")]


@pytest.mark.parametrize("role", [name for name in LOG_INS if name != "office"])
async def test_nobody_else_sends_changes_or_takes_anything(office, role):
    desk = await office.at(role)
    token = (await desk.fields("/office/me/password"))["csrf_token"]
    for act in ACTS:
        answer = await desk.client.post(path(office, f"{BASE}/{act}"), data={"csrf_token": token})
        assert answer.status_code == 403, (act, answer.status_code)


async def test_another_partners_things_are_unknown(office):
    desk = await office.at("office")
    base = f"/office/partners/{office.chain.ids['feed']}"
    for rest in ("feeds/{feed}", "feeds/files/{file}", "feeds/files/{file}/content", "inbound/{inbound}/rows", "feeds", "registrations"):
        assert (await desk.get(path(office, f"{base}/{rest}"))).status_code == 404, rest


async def test_what_lapses_is_noted(office):
    desk = await office.at("office")
    one = path(office, f"{BASE}/registrations/{{registration}}/follow-up")
    answer = await desk.send(one, {"said": "想续三年"})
    assert (answer.status_code, answer.headers["location"]) == (303, path(office, f"{BASE}/lapses"))
    assert (await desk.send(one, {"said": "想续三年"})).status_code == 409
