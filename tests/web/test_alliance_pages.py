"""The office's pages of alliances: who may read, who may write, nothing under another partner's address, faults said at their fields."""

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from python_calamine import load_workbook

from loyalty import clock
from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import use_keyring
from loyalty.db import transaction
from loyalty.ids import uuid7
from loyalty.web.i18n import language
from loyalty.web.notices import as_parts, told
from partners.line_rules import worth_of
from partners.model import AgreementStatus, Category, OutletStatus, PartnerStatus
from partners.model_lines import LineKind
from partners.operations.agreements import decide_agreement, draft_agreement, submit_agreement
from partners.operations.alliances import OutletFacts, PartnerFacts, add_notice, add_outlet, add_partner, move_outlet, move_partner
from partners.operations.documents import add_document
from partners.operations.lines import Entry, book_line
from partners.queries.alliances import agreements_of, get_agreement, list_partners
from partners.rules import WHOLE, Benefit, BenefitKind, Funder, Terms
from partners.web.office.routes import partners_office
from tests.web.office_chain import LOG_INS
from tests.web.office_desk import opened_office
from tests.web.test_partner_feed_pages import FEEDS
from tests.web.test_settlement_pages import SETTLED

ROLES = tuple(LOG_INS)
READ, EDIT = frozenset({"office", "finance", "auditor"}), frozenset({"office"})
GRANT = frozenset({"office"})
OFF = Benefit(code="off", kind=BenefitKind.DISCOUNT, name_zh="九折", name_en="10 % off", funders=[Funder("partner", WHOLE)], share=1_000)
MORE = Benefit(code="off", kind=BenefitKind.DISCOUNT, name_zh="八折", name_en="20 % off", funders=[Funder("partner", WHOLE)], share=2_000)
HELD, NEXT = Terms(benefits=[OFF], commission=500), Terms(benefits=[MORE], commission=400)
PDF = b"%PDF-1.7 signed by both"
P = "/office/partners"

PAGES = {
    P: READ,
    f"{P}?text=悦洗&category=wash&status=active": READ,
    f"{P}.xlsx": READ,
    f"{P}.csv": READ,
    f"{P}/new": EDIT,
    f"{P}/{{wash}}": READ,
    f"{P}/{{table}}": READ,
    f"{P}/{{wash}}/edit": EDIT,
    **{f"{P}/{{wash}}/{act}": EDIT for act in ("begin", "resume", "suspend", "end")},
    f"{P}/{{wash}}/outlets/new": EDIT,
    **{f"{P}/{{wash}}/outlets/{{east}}/{act}": EDIT for act in ("edit", "pause", "open", "close")},
    f"{P}/{{wash}}/notices/new": EDIT,
    f"{P}/{{wash}}/notices/{{notice}}/end": EDIT,
    f"{P}/{{wash}}/documents/new": EDIT,
    f"{P}/{{wash}}/documents/{{paper}}": READ,
    f"{P}/{{wash}}/agreements/new": EDIT,
    f"{P}/{{wash}}/agreements/new?like={{held}}": EDIT,
    f"{P}/{{wash}}/agreements/{{held}}": READ,
    f"{P}/{{wash}}/agreements/{{waiting}}": READ,
    f"{P}/{{table}}/agreements/{{draft}}": READ,
    f"{P}/{{wash}}/owner": GRANT,
    f"{P}/{{table}}/agreements/{{draft}}/edit": EDIT,
    f"{P}/{{wash}}/lines": READ,
    f"{P}/{{wash}}/lines.xlsx": READ,
    f"{P}/{{wash}}/lines.csv?month=all": READ,
}
WRITES = {
    f"{P}/{{wash}}/owner": GRANT,
    f"{P}/new": EDIT,
    f"{P}/{{wash}}/edit": EDIT,
    **{f"{P}/{{wash}}/{act}": EDIT for act in ("begin", "resume", "suspend", "end")},
    f"{P}/{{wash}}/outlets/new": EDIT,
    **{f"{P}/{{wash}}/outlets/{{east}}/{act}": EDIT for act in ("edit", "pause", "open", "close")},
    f"{P}/{{wash}}/notices/new": EDIT,
    f"{P}/{{wash}}/notices/{{notice}}/end": EDIT,
    f"{P}/{{wash}}/documents/new": EDIT,
    f"{P}/{{wash}}/agreements/new": EDIT,
    f"{P}/{{table}}/agreements/{{draft}}/edit": EDIT,
    f"{P}/{{wash}}/agreements/{{waiting}}/submit": EDIT,
    f"{P}/{{wash}}/agreements/{{waiting}}/withdraw": EDIT,
    f"{P}/{{wash}}/agreements/{{waiting}}/approve": EDIT | {"finance"},
    f"{P}/{{wash}}/agreements/{{waiting}}/reject": EDIT | {"finance"},
}


@pytest.fixture(scope="module")
async def office(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_office(url, tmp_path_factory.mktemp("office"), with_sales=False) as office:
        async with transaction(office.sessions) as session:
            await _ally(session, office)
        yield office
        for desk in office.desks.values():
            await desk.client.aclose()
    use_keyring(None)
    await databases.drop(url)


async def _ally(session, office):
    """A car wash with all that a partner may have, a version waiting for approval; a restaurant with a draft."""
    now = datetime.now(UTC)
    today = clock.local_date(now, "Asia/Shanghai")
    maker, checker = (Actor(ActorKind.STAFF, office.chain.people[name]) for name in ("office", "finance"))
    of, ids = {"actor": maker, "now": now}, office.chain.ids
    for name, code, zh, en, category in (
        ("wash", "YUEXI", "悦洗车行", "Yuexi Car Wash", Category.WASH),
        ("table", "YUJIA", "渔家小馆", "Fisherman's Table", Category.FOOD),
    ):
        ids[name] = await add_partner(session, facts=PartnerFacts(code=code, name_zh=zh, name_en=en, category=category), **of)
    wash = ids["wash"]
    for name, code in (("east", "EAST"), ("west", "WEST")):
        facts = OutletFacts(code=code, name_zh=f"{code} 店", name_en=f"{code} shop")
        ids[name] = await add_outlet(session, partner_id=wash, facts=facts, **of)
    ids["held"] = await draft_agreement(session, partner_id=wash, first_day=today, end_day=None, terms=HELD, **of)
    await submit_agreement(session, agreement_id=ids["held"], **of)
    await decide_agreement(session, agreement_id=ids["held"], to=AgreementStatus.APPROVED, today=today, actor=checker, now=now)
    await move_partner(session, partner_id=wash, to=PartnerStatus.ACTIVE, today=today, reason="signed", **of)
    paused = {"outlet_id": ids["west"], "to": OutletStatus.PAUSED, "reason": "下雨"}
    await move_outlet(session, partner_id=wash, **paused, **of)
    days = {"first": today, "end": today + timedelta(days=9)}
    ids["notice"] = await add_notice(session, partner_id=wash, text_zh="每月免费", text_en="Free each month", **days, **of)
    ids["paper"] = await add_document(session, partner_id=wash, name="Agreement", content=PDF, **of)
    for name, partner in (("waiting", "wash"), ("draft", "table")):
        first = today + timedelta(days=7)
        ids[name] = await draft_agreement(session, partner_id=ids[partner], first_day=first, end_day=None, terms=NEXT, **of)
    await submit_agreement(session, agreement_id=ids["waiting"], **of)
    worth = worth_of(HELD, OFF, gross_minor=5_000, saved_minor=500)
    entry = Entry(kind=LineKind.REDEMPTION, source="redemption:1", event_at=now, worth=worth, agreement_id=ids["held"], benefit="off")
    await book_line(session, partner_id=wash, entry=entry, actor="system", now=now)
    ids["nobody"] = uuid7(now)


@pytest.mark.parametrize("role", ROLES)
async def test_each_page_is_shown_to_whom_it_is_for_and_refused_to_others(office, role):
    desk = await office.at(role)
    wrong = [
        (path, answer.status_code)
        for path, allowed in PAGES.items()
        if (answer := await desk.get(office.fill(path))).status_code != (200 if role in allowed else 403)
    ]
    assert wrong == []


@pytest.mark.parametrize("role", [role for role in ROLES if role != "office"])
async def test_who_may_not_write_is_refused_whatever_the_form_says(office, role):
    desk = await office.at(role)
    fields = await desk.fields("/office/me/password")
    wrong = []
    for path, allowed in WRITES.items():
        if role in allowed:
            continue
        answer = await desk.client.post(office.fill(path), data=fields | {"idempotency_key": uuid7(datetime.now(UTC)).hex})
        if answer.status_code != 403:
            wrong.append((path, answer.status_code))
    assert wrong == []


def test_no_route_is_left_out():
    """Every route of these pages stands in one of the two tables above; those of what leaves and comes in stand with their own tests."""
    known = {"GET": [_shape(path) for path in PAGES], "POST": [_shape(path) for path in WRITES]}
    found = [(method, _shape(route.path_format)) for route in partners_office.routes for method in route.methods if method in known]
    assert len(found) > 40
    found = [one for one in found if one[1][-1] != "dispute"]
    ours = [
        (method, shape)
        for method, shape in found
        if shape[3:4] and shape[3].partition(".")[0] not in FEEDS | SETTLED and shape[2] != "settlement"
    ]
    assert [one for one in ours if one[1] not in known[one[0]]] == []


def _shape(address):
    """Return an address with a star for each id."""
    return ["*" if part.startswith("{") else part for part in address.partition("?")[0].strip("/").split("/")]


async def test_nobody_sees_a_page_without_signing_in(office):
    stranger = office.stranger()
    for path in PAGES:
        answer = await stranger.get(office.fill(path))
        assert answer.status_code == 303, path
        assert answer.headers["location"].startswith("/office/log-in"), path


@pytest.mark.parametrize(
    "path",
    [
        f"{P}/{{nobody}}",
        f"{P}/{{table}}/agreements/{{held}}",
        f"{P}/{{table}}/agreements/new?like={{held}}",
        f"{P}/{{wash}}/agreements/{{draft}}/edit",
        f"{P}/{{table}}/outlets/{{east}}/pause",
        f"{P}/{{table}}/notices/{{notice}}/end",
        f"{P}/{{table}}/documents/{{paper}}",
        f"{P}/{{nobody}}/lines",
    ],
)
async def test_nothing_of_one_partner_stands_under_anothers_address(office, path):
    desk = await office.at("office")
    assert (await desk.get(office.fill(path))).status_code == 404


async def test_the_page_answers_what_holds_and_what_waits(office):
    page = (await (await office.at("finance")).get(office.fill(f"{P}/{{wash}}"), **{"accept-language": "en"})).text
    for said in ("Version 2 waits for approval", "Holds today", "10 % off", "下雨", "Free each month", "Agreement", "¥50.00"):
        assert said in page, said
    assert "New partner" not in (await (await office.at("finance")).get(P, **{"accept-language": "en"})).text


async def test_who_may_approve_is_told_at_home_and_led_there(office):
    link = f"{P}?agreed=submitted"
    for role, led in (("finance", True), ("office", False), ("auditor", False)):
        assert (f'href="{link}"' in (await (await office.at(role)).get("/office")).text) is led, role
    found = (await (await office.at("finance")).get(link)).text.partition("<tbody>")[2]
    assert "悦洗车行" in found
    assert "渔家小馆" not in found


async def test_a_version_stands_beside_what_holds_now_in_words(office):
    page = (await (await office.at("finance")).get(office.fill(f"{P}/{{wash}}/agreements/{{waiting}}"), **{"accept-language": "en"})).text
    table = page.partition('id="changes"')[2].partition("</table>")[0]
    for said in ("Version 1, which holds now", "Commission for us", "5%", "4%", "20 % off: In percent", "10%", "20%"):
        assert said in table, said
    assert "Approve this agreement" in page
    mine = (await (await office.at("office")).get(office.fill(f"{P}/{{wash}}/agreements/{{waiting}}"), **{"accept-language": "en"})).text
    assert "Approve this agreement" not in mine, "whoever drafted it does not decide"


@pytest.mark.parametrize("path", [P, f"{P}/{{wash}}/lines"])
async def test_a_list_and_its_files_have_the_same_rows(office, path):
    desk, address = await office.at("auditor"), office.fill(path)
    page = await desk.get(address)
    shown = page.text.rpartition("<tbody>")[2].partition("</tbody>")[0].count("<tr")
    rows = load_workbook(io.BytesIO((await desk.get(f"{address}.xlsx")).content)).get_sheet_by_index(0).to_python()
    plain = list(csv.reader(io.StringIO((await desk.get(f"{address}.csv")).content.decode("utf-8-sig"))))
    assert shown == len(rows) - 1 == len(plain) - 1 > 0


async def test_a_paper_is_sent_as_what_it_is_to_be_kept(office):
    answer = await (await office.at("auditor")).get(office.fill(f"{P}/{{wash}}/documents/{{paper}}"))
    assert answer.content == PDF
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"].startswith('attachment; filename="YUEXI-')
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_page_handed_in_as_a_paper_is_refused_and_the_same_paper_twice(office):
    desk, path = await office.at("office"), office.fill(f"{P}/{{wash}}/documents/new")

    async def hand_in(content, name="scan.pdf"):
        data = await desk.fields(path) | {"name": "A paper"}
        return await desk.client.post(path, data=data, files={"file": (name, content)}, headers={"accept-language": "en"})

    assert (await hand_in(b"<html><script>1</script>")).status_code == 422
    again = await hand_in(PDF, "another-name.pdf")
    assert again.status_code == 409
    assert "kept already" in again.text
    assert (await hand_in(PDF + b" 2")).status_code == 303


async def test_a_partner_is_entered_drafted_corrected_and_its_outlet_paused_and_opened(office):
    desk = await office.at("office")
    data = {"name_zh": "路安", "name_en": "Lu'an", "code": "luan", "category": "repair", "currency": "CNY", "zone": "Asia/Shanghai"}
    wrong = await desk.send(f"{P}/new", data | {"code": "路", "zone": "Mars/Base"}, **{"accept-language": "en"})
    assert wrong.status_code == 422
    for field in ("#f-code", "#f-zone"):
        assert field in wrong.text or field.removeprefix("#f-") in wrong.text
    made = await desk.send(f"{P}/new", data)
    page = made.headers["location"]
    assert (await desk.send(f"{P}/new", data)).status_code == 409, "the code is taken"
    assert (await desk.send(f"{page}/edit", {"name_zh": "路安", "name_en": "Lu'an Garage", "category": "repair"})).status_code == 303
    assert (await desk.send(f"{page}/begin", {"reason": "now"})).status_code == 409, "nothing is agreed"
    await desk.send(f"{page}/outlets/new", {"code": "main", "name_zh": "总店", "name_en": "Main"})
    async with transaction(office.sessions) as session:
        (one,) = (await list_partners(session, text="Garage")).rows
    pause = (await desk.get(page)).text.partition('/pause"')[0].rpartition('"')[2] + "/pause"
    gone = (clock.business_now() - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    assert (await desk.send(pause, {"reason": "rain", "until": gone})).status_code == 422
    assert (await desk.send(pause, {"reason": ""})).status_code == 422
    paused = await desk.send(pause, {"reason": "院内车满"})
    assert paused.status_code == 303
    shown = await desk.get(page)
    assert "院内车满" in shown.text
    assert 'action="' + pause.replace("/pause", "/open") in shown.text, "there is a way back"
    assert (await desk.send(pause.replace("/pause", "/open"), {})).status_code == 303
    assert one.code == "LUAN"


async def test_a_draft_is_kept_though_it_is_not_sound_and_says_so_at_its_fields(office):
    desk, path = await office.at("office"), office.fill(f"{P}/{{table}}/agreements/{{draft}}")
    row = {"benefits": "1", "b0-kind": "insurance", "b0-name_zh": "险", "b0-name_en": "Cover", "b0-issuer": "60"}
    own = {"first_day": "2030-01-01", "mode": "post_paid", "statement_day": "1", "pay_within_days": "30"}
    assert (await desk.send(f"{path}/edit", own | row | {"statement_day": "99"})).status_code == 422
    unread = await desk.send(f"{path}/edit", own | row | {"b0-issuer": "sixty"}, **{"hx-request": "true", "accept-language": "en"})
    assert unread.status_code == 422
    assert 'id="f-b0-issuer-fault"' in unread.text
    assert (await desk.send(f"{path}/edit", own | row)).status_code == 303
    form = (await desk.get(f"{path}/edit")).text
    for field in ("b0-issuer", "b0-band0-premium", "b0-purpose"):
        assert f'id="f-{field}-fault"' in form, field
    page = (await desk.get(path, **{"accept-language": "en"})).text
    assert "cannot be submitted yet" in page
    assert "Submit for approval" not in page
    assert (await desk.send(path, {}, to=f"{path}/submit")).status_code == 422
    sound = {"b0-issuer": "100", "b0-purpose": "accident-insurance", "b0-band0-premium": "100", "b0-band0-months": "12"}
    assert (await desk.send(f"{path}/edit", own | row | sound)).status_code == 303
    assert "Submit for approval" in (await desk.get(path, **{"accept-language": "en"})).text


async def test_rows_are_added_and_moved_without_being_kept(office):
    desk, path = await office.at("office"), office.fill(f"{P}/{{table}}/agreements/{{draft}}")
    async with transaction(office.sessions) as session:
        before = await get_agreement(session, agreement_id=office.chain.ids["draft"])
    rows = {"benefits": "2", "b0-name_zh": "甲", "b0-kind": "discount", "b1-name_zh": "乙", "b1-kind": "voucher"}
    added = await desk.send(f"{path}/edit", rows | {"show": "add"})
    assert added.status_code == 200
    assert 'name="b2-kind"' in added.text
    moved = (await desk.send(f"{path}/edit", rows | {"show": "up-1"})).text
    assert moved.index('value="乙"') < moved.index('value="甲"')
    assert 'value="甲"' not in (await desk.send(f"{path}/edit", rows | {"show": "remove-0"})).text
    async with transaction(office.sessions) as session:
        assert await get_agreement(session, agreement_id=office.chain.ids["draft"]) == before


async def test_whoever_asks_is_told_of_pauses_first_and_of_announcements(office):
    async with transaction(office.sessions) as session:
        found = await told(office.app.state, session, zone="Asia/Shanghai", now=clock.business_now())
    assert [(one.tone, one.title_en) for one in found] == [("warn", "Yuexi Car Wash · WEST shop: paused"), ("info", "Yuexi Car Wash")]
    assert [part.then for part in as_parts(found, language("en"), str)] == ["下雨", "Free each month"]


async def test_another_person_approves_and_then_it_stands(office):
    """Last in this file: it decides what the others look at."""
    path = office.fill(f"{P}/{{wash}}/agreements/{{waiting}}")
    maker, checker = await office.at("office"), await office.at("finance")
    assert (await maker.send(path, {}, to=f"{path}/approve")).status_code == 403
    assert (await checker.send(path, {}, to=f"{path}/reject")).status_code == 422, "a reason is needed"
    assert (await checker.send(path, {}, to=f"{path}/approve")).status_code == 303
    async with transaction(office.sessions) as session:
        versions = await agreements_of(session, partner_id=office.chain.ids["wash"])
    assert [(one.version, one.status) for one in versions] == [(2, AgreementStatus.APPROVED), (1, AgreementStatus.APPROVED)]
    assert (await maker.get(f"{path}/edit")).status_code == 409
    assert (await maker.send(path, {}, to=f"{path}/withdraw")).status_code == 409
