"""The office's pages of settlement: for whom each is, files, an invoice by two people up to the bank's file, a dispute put right."""

from datetime import UTC, datetime, timedelta

import pytest

from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import use_keyring
from loyalty.db import transaction
from loyalty.ids import uuid7
from loyalty.stations.operations.calendar import seed_calendar
from partners.line_rules import Worth
from partners.model import Category
from partners.model_lines import LineKind
from partners.model_settlement import DisputeReason
from partners.operations.alliances import PartnerFacts, add_partner
from partners.operations.blocks import decide_bank_account, enter_bank_account, enter_block
from partners.operations.files import Paper, add_evidence
from partners.operations.invoices import decide_invoice, enter_invoice
from partners.operations.lines import Entry, book_line
from partners.operations.payment_runs import propose_run
from partners.operations.settlement import close_month, open_dispute
from partners.web.office.routes import partners_office
from tests.web.office_chain import LOG_INS
from tests.web.office_desk import opened_office

SETTLED = frozenset({"statements", "invoices", "files", "disputes", "payments"})
"""What stands under a partner's address."""
READ, EDIT, AGREE = frozenset({"office", "finance", "auditor"}), frozenset({"office"}), frozenset({"office", "finance"})
P, RUNS = "/office/partners/{one}", "/office/partners/settlement"
PDF = b"%PDF-1.7 theirs"
SYSTEM = Actor(ActorKind.SYSTEM, "tests")
PARTNER = Actor(ActorKind.PARTNER, "somebody")
PAGES = {
    RUNS: READ,
    f"{RUNS}/runs/new": EDIT,
    f"{RUNS}/runs/{{run}}": READ,
    f"{RUNS}/runs/{{run}}/approve": AGREE,
    f"{RUNS}/runs/{{run}}/cancel": AGREE,
    f"{RUNS}/runs/{{run}}/paid": EDIT,
    f"{P}/statements": READ,
    f"{P}/statements.csv": READ,
    f"{P}/statements.xlsx": READ,
    f"{P}/statements/{{month}}": READ,
    f"{P}/statements/{{running}}": READ,
    f"{P}/statements/{{month}}/pdf": READ,
    f"{P}/statements/{{month}}/xlsx": READ,
    f"{P}/statements/{{running}}/pdf": READ,
    f"{P}/statements/{{month}}/invoice": EDIT,
    **{f"{P}/invoices/{{invoice}}/{act}": AGREE for act in ("accept", "refuse")},
    f"{P}/invoices/{{invoice}}/paid": EDIT,
    f"{P}/files/{{file}}": READ,
    f"{P}/lines/1/dispute": EDIT,
    f"{P}/disputes/{{dispute}}": READ,
    **{f"{P}/disputes/{{dispute}}/{act}": EDIT for act in ("propose", "reject", "evidence")},
    **{f"{P}/disputes/{{dispute}}/{act}": AGREE for act in ("agree", "send-back")},
    f"{P}/payments": READ,
    **{f"{P}/payments/{kind}/new": EDIT for kind in ("blocks", "accounts")},
    **{f"{P}/payments/blocks/{{block}}/{act}": AGREE for act in ("confirm", "refuse")},
    **{f"{P}/payments/accounts/{{account}}/{act}": AGREE for act in ("confirm", "refuse")},
}
FORMS = {path: who for path, who in PAGES.items() if path.rpartition("/")[2] not in {"statements", "payments", "pdf", "xlsx", "settlement"}}


@pytest.fixture(scope="module")
async def office(databases, tmp_path_factory):
    url = await databases.clone()
    async with opened_office(url, tmp_path_factory.mktemp("office"), with_sales=False) as office:
        async with transaction(office.sessions) as session:
            await _settle(session, office)
        yield office
        for desk in office.desks.values():
            await desk.client.aclose()
    use_keyring(None)
    await databases.drop(url)


async def _settle(session, office):
    """Two closed months of one partner: one invoice in a run, one to be looked at; a dispute, a block and an account that wait."""
    now, ids = datetime.now(UTC), office.chain.ids
    maker, checker = (Actor(ActorKind.STAFF, office.chain.people[name]) for name in ("office", "finance"))
    await seed_calendar(session, actor=SYSTEM, now=now)
    for name, code in (("one", "YUEXI"), ("two", "YUJIA")):
        facts = PartnerFacts(code=code, name_zh=f"{code} 行", name_en=f"{code} shop", category=Category.WASH)
        ids[name] = await add_partner(session, facts=facts, actor=maker, now=now)
    one = {"partner_id": ids["one"], "now": now}
    last = (now.replace(day=1) - timedelta(days=1)).date().replace(day=1)
    before = (last - timedelta(days=1)).replace(day=1)
    for number, month in enumerate((before, last)):
        at = datetime(month.year, month.month, 9, tzinfo=UTC)
        entry = Entry(kind=LineKind.SALE, source=f"sale:{number}", event_at=at, worth=Worth(9_000, 5_000, {"issuer": 5_000}, 0, 0, 0))
        await book_line(session, partner_id=ids["one"], entry=entry, actor="system", now=at)
        await close_month(session, month=month, actor=SYSTEM, **one)
    account = await enter_bank_account(session, holder="悦洗", bank="工行", number="62220000", actor=maker, **one)
    await decide_bank_account(session, bank_account_id=account, agree=True, actor=checker, now=now)
    ids["account"] = await enter_bank_account(session, holder="悦洗", bank="农行", number="62221111", actor=maker, **one)
    ids["block"] = await enter_block(session, amount_minor=100, paid_on=now.date() - timedelta(days=1), reference="B1", actor=maker, **one)
    made = []
    for month in (before, last):
        paper = Paper("theirs.pdf", PDF + month.isoformat().encode())
        facts = {"number": f"FP-{month:%m}", "invoiced_on": last, "amount_minor": 5_000, "tax_minor": 0, "paper": paper}
        made.append(await enter_invoice(session, month=month, **facts, actor=PARTNER, **one))
    await decide_invoice(session, invoice_id=made[0], accept=True, why="", actor=checker, now=now)
    ids["invoice"] = made[1]
    ids["run"] = await propose_run(session, invoice_ids=made[:1], actor=maker, now=now)
    ids["dispute"] = await open_dispute(session, number=1, reason=DisputeReason.RATE, said="少付", wanted_minor=500, actor=PARTNER, **one)
    ids["file"] = await add_evidence(session, dispute_id=ids["dispute"], paper=Paper("a.pdf", PDF), actor=PARTNER, **one)
    ids["month"], ids["running"] = f"{last:%Y-%m}", f"{now:%Y-%m}"


@pytest.mark.parametrize("role", LOG_INS)
async def test_each_page_is_shown_to_whom_it_is_for_and_each_form_refused_to_others(office, role):
    desk = await office.at(role)
    fields = await desk.fields("/office/me/password")
    wrong = []
    for path, allowed in PAGES.items():
        status = (await desk.get(office.fill(path))).status_code
        if status != (200 if role in allowed else 403):
            wrong.append((path, status))
        if role not in allowed and path in FORMS:
            sent = fields | {"idempotency_key": uuid7(datetime.now(UTC)).hex}
            answer = await desk.client.post(office.fill(path), data=sent)
            if answer.status_code not in {403, 405}:
                wrong.append(("POST", path, answer.status_code))
    assert wrong == []


def test_no_route_is_left_out():
    known = {_shape(path) for path in PAGES} | {_shape(f"{RUNS}/runs/{{run}}/file"), _shape(f"{P}/statements/{{month}}/{{kind}}")}
    ours = [_shape(route.path_format) for route in partners_office.routes]
    ours = [one for one in ours if one[3:4] and (one[3].partition(".")[0] in SETTLED or one[2] == "settlement" or one[-1] == "dispute")]
    assert len(ours) > 20
    assert [one for one in ours if one not in known and (*one[:4], "*", *one[5:]) not in known] == []


def _shape(address):
    parts = address.partition("?")[0].strip("/").split("/")
    return tuple("*" if part.startswith("{") or part.isdigit() else part for part in parts)


async def test_nothing_of_one_partner_stands_under_anothers_address(office):
    desk = await office.at("office")
    other = office.fill("/office/partners/{two}")
    kinds = ("invoices/{invoice}/accept", "files/{file}", "disputes/{dispute}", "payments/blocks/{block}/confirm")
    for path in (*kinds, "payments/accounts/{account}/confirm", "disputes/{dispute}/propose", "statements/2020-13", "statements/x/pdf"):
        assert (await desk.get(f"{other}/{office.fill(path)}")).status_code == 404, path


async def test_from_the_dispute_and_the_invoice_to_the_banks_file(office):
    maker, checker = await office.at("office"), await office.at("finance")
    base = office.fill(P)
    dispute = office.fill(f"{P}/disputes/{{dispute}}")
    assert (await maker.send(f"{dispute}/propose", {"amount": "5.00", "answer": "同意"})).status_code == 303
    assert (await checker.send(f"{dispute}/agree", {})).status_code == 303
    assert "#3" in (await maker.get(dispute)).text, "the line that puts it right"
    assert (await maker.send(f"{base}/statements/{office.chain.ids['month']}/invoice", {})).status_code == 422, "what is missing is said"
    assert (await checker.send(office.fill(f"{P}/invoices/{{invoice}}/accept"), {})).status_code == 303
    run = office.fill(f"{RUNS}/runs/{{run}}")
    assert (await maker.get(f"{run}/file")).status_code == 404
    assert (await checker.send(f"{run}/approve", {})).status_code == 303
    file = await maker.get(f"{run}/file")
    assert b"62220000" in file.content
    assert (await (await office.at("auditor")).get(f"{run}/file")).status_code == 403
    today = datetime.now(UTC).date().isoformat()
    assert (await maker.send(f"{run}/paid", {"day": today, "reference": "BANK-1"})).status_code == 303
    assert (await maker.get(f"{run}/file")).content == file.content
    for path in ("blocks/{block}", "accounts/{account}"):
        assert (await checker.send(office.fill(f"{P}/payments/{path}/confirm"), {})).status_code == 303
    english = {"accept-language": "en"}
    assert "Left of what was paid in advance" in (await maker.get(f"{base}/payments", **english)).text
    page = (await maker.get(f"{base}/statements/{office.chain.ids['month']}", **english)).text
    for said in ("To be invoiced", "¥50.00", "Accepted", "SHA-256"):
        assert said in page, said
    due = await maker.get(f"{RUNS}/runs/new")
    assert office.fill("pay-{invoice}") in due.text
    assert (await maker.send(f"{RUNS}/runs/new", {office.fill("pay-{invoice}"): "1"})).status_code == 303


async def test_a_statements_file_is_the_same_whenever_it_is_fetched(office):
    desk = await office.at("auditor")
    path = office.fill(f"{P}/statements/{{month}}/pdf")
    first = (await desk.get(path)).content
    assert first.startswith(b"%PDF")
    assert (await desk.get(path)).content == first
