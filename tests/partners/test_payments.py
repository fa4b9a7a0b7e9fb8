"""From a closed month to money: the invoice two people look at, the run paid by one file, blocks in advance, evidence, books that check."""

import hashlib
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from loyalty.audit.model import Actor, ActorKind
from loyalty.checks.model import Scope
from loyalty.db import make_engine, make_sessions
from loyalty.stations.operations.calendar import seed_calendar
from loyalty.workdays import Calendar, YearNotCovered, workdays_after
from partners.checks import CHECKS
from partners.fence import enter_partner
from partners.line_rules import worth_of
from partners.model import Category
from partners.model_lines import LineKind
from partners.model_payment import INVOICE_MOVES, RUN_MOVES, InvoiceStatus, RunStatus
from partners.model_settlement import DisputeReason
from partners.operations.alliances import PartnerFacts, add_partner
from partners.operations.blocks import (
    DecidedAlready,
    PaymentNotSound,
    ReferenceKnown,
    decide_bank_account,
    decide_block,
    enter_bank_account,
    enter_block,
)
from partners.operations.documents import DocumentKnown, DocumentNotRead
from partners.operations.files import Paper, add_evidence
from partners.operations.invoices import (
    InvoiceCannotMove,
    InvoiceDiffers,
    InvoiceNotSound,
    InvoiceStands,
    NothingToInvoice,
    decide_invoice,
    enter_invoice,
    receive_payment,
)
from partners.operations.lines import Entry, book_line
from partners.operations.payment_runs import NoBankAccount, RunCannotMove, RunEmpty, approve_run, cancel_run, propose_run, settle_run
from partners.operations.redeeming import BlockUsedUp, sell
from partners.operations.settlement import (
    AnotherPersonDecides,
    DisputeCannotMove,
    answer_dispute,
    close_month,
    decide_dispute,
    open_dispute,
)
from partners.queries.documents import DocumentNotFound
from partners.queries.payment import (
    InvoiceNotFound,
    balance_of,
    files_of,
    get_invoice,
    get_run,
    list_invoices,
    low_blocks,
    open_file,
    payable,
    payment_file,
    settlement_waits,
)
from partners.queries.settlement import DisputeNotFound, get_statement, lines_of_month, pro_forma
from partners.rules import WHOLE, Benefit, BenefitKind, Funder, Mode, Settlement, Terms
from partners.settlement_pdf import pdf_file
from partners.settlement_rules import asked_for, csv_file, shares_of, xlsx_file
from tests.factories.partner_house import make_house
from tests.factories.world import SYSTEM
from tests.partners.conftest import SLIP, TERMS, agree
from tests.topups.conftest import hire

SEPTEMBER, OCTOBER = date(2026, 9, 1), date(2026, 10, 1)
LATER = datetime(2026, 10, 9, 1, 0, tzinfo=UTC)
PARTNER = Actor(ActorKind.PARTNER, str(uuid4()))
PDF = b"%PDF-1.7 an invoice"
OFF = Benefit(code="off", kind=BenefitKind.DISCOUNT, name_zh="九折", name_en="10 %", funders=[Funder("issuer", WHOLE)], share=1_000)


async def book(session, partner, at, *, gross=10_000, saved=10_000):
    worth = worth_of(TERMS, SLIP, gross_minor=gross, saved_minor=saved)
    entry = Entry(kind=LineKind.REDEMPTION, source=f"redemption:{uuid4()}", event_at=at, worth=worth, benefit="claim-slip")
    return await book_line(session, partner_id=partner, entry=entry, actor="system", now=at)


@pytest.fixture
async def closed(session, partner, now):
    """A September that asks for 6,000, whose file was sent."""
    await seed_calendar(session, actor=SYSTEM, now=now)
    await book(session, partner, now)
    return await close_month(session, partner_id=partner, month=SEPTEMBER, actor=SYSTEM, now=LATER)


async def invoice(session, partner, *, amount=6_000, actor=PARTNER, number="FP-1", day=date(2026, 10, 9), month=SEPTEMBER, content=PDF):
    facts = {"number": number, "invoiced_on": day, "amount_minor": amount, "tax_minor": 339, "paper": Paper("invoice.pdf", content)}
    return await enter_invoice(session, partner_id=partner, month=month, **facts, actor=actor, now=LATER)


async def account(session, partner, people):
    made = await enter_bank_account(
        session, partner_id=partner, holder="平安财险杭州", bank="工商银行", number="6222 0012 3456 7890", actor=people[0], now=LATER
    )
    await decide_bank_account(session, bank_account_id=made, agree=True, actor=people[1], now=LATER)
    return made


async def broken(session) -> dict:
    return {check.code: found.rows for check in CHECKS if (found := await check.look(session, Scope(now=LATER))).count}


async def test_an_invoice_is_looked_at_by_another_person_paid_by_one_file_and_stands_in_the_book(session, people, partner, closed):
    assert asked_for(closed.totals) == 6_000
    made = await invoice(session, partner)
    with pytest.raises(InvoiceStands):
        await invoice(session, partner, number="FP-2", content=PDF + b"2")
    day = await decide_invoice(session, invoice_id=made, accept=True, why="", actor=people[0], now=LATER)
    assert day == date(2026, 11, 19), "thirty workdays after 9 October, the Saturday made up for the holiday among them"
    chosen = {"invoice_ids": [made], "actor": people[0], "now": LATER}
    with pytest.raises(NoBankAccount):
        await propose_run(session, **chosen)
    await account(session, partner, people)
    run = await propose_run(session, **chosen)
    with pytest.raises(InvoiceCannotMove):
        await propose_run(session, **chosen)
    with pytest.raises(AnotherPersonDecides):
        await approve_run(session, run_id=run, actor=people[0], now=LATER)
    await approve_run(session, run_id=run, actor=people[1], now=LATER)
    file = await payment_file(session, run_id=run)
    assert b"6222001234567890" in file
    assert b"60.00,CNY,2026-11-19" in file
    other = await enter_bank_account(session, partner_id=partner, holder="x", bank="y", number="99999999", actor=people[0], now=LATER)
    await decide_bank_account(session, bank_account_id=other, agree=True, actor=people[1], now=LATER)
    assert await payment_file(session, run_id=run) == file, "the same bytes, whatever account holds later"
    assert (await get_run(session, run_id=run)).digest == hashlib.sha256(file).digest()
    await settle_run(session, run_id=run, paid_on=date(2026, 10, 9), reference="BANK-77", actor=people[0], now=LATER)
    with pytest.raises(RunCannotMove):
        await settle_run(session, run_id=run, paid_on=date(2026, 10, 9), reference="BANK-77", actor=people[0], now=LATER)
    paid = await get_invoice(session, invoice_id=made)
    assert (paid.status, paid.reference, paid.paid_on) == (InvoiceStatus.PAID, "BANK-77", date(2026, 10, 9))
    assert await balance_of(session, partner_id=partner) == 0
    october = await pro_forma(session, partner_id=partner, month=OCTOBER, now=LATER)
    assert (october.opening_minor, october.due_minor, october.closing_minor, asked_for(october.totals)) == (6_000, -6_000, 0, 0)
    assert await broken(session) == {}


@pytest.mark.parametrize("amount", [5_990, 6_010])
async def test_an_invoice_that_differs_takes_a_reason_and_leaves_no_debt(session, people, partner, closed, amount):
    assert closed.due_minor == 6_000
    made = await invoice(session, partner, amount=amount)
    decide = {"invoice_id": made, "accept": True, "now": LATER}
    with pytest.raises(InvoiceDiffers):
        await decide_invoice(session, **decide, why=" ", actor=people[0])
    await decide_invoice(session, **decide, why="尾差", actor=people[0])
    assert await balance_of(session, partner_id=partner) == amount
    await account(session, partner, people)
    run = await propose_run(session, invoice_ids=[made], actor=people[0], now=LATER)
    await approve_run(session, run_id=run, actor=people[1], now=LATER)
    await settle_run(session, run_id=run, paid_on=date(2026, 10, 9), reference="B1", actor=people[0], now=LATER)
    assert await balance_of(session, partner_id=partner) == 0
    assert await broken(session) == {}


async def test_a_refused_invoice_gives_place_to_another_and_who_entered_does_not_decide(session, people, partner, closed):
    assert closed.is_final
    made = await invoice(session, partner, actor=people[0])
    with pytest.raises(AnotherPersonDecides):
        await decide_invoice(session, invoice_id=made, accept=True, why="", actor=people[0], now=LATER)
    with pytest.raises(InvoiceDiffers):
        await decide_invoice(session, invoice_id=made, accept=False, why="", actor=people[1], now=LATER)
    assert await decide_invoice(session, invoice_id=made, accept=False, why="抬头错误", actor=people[1], now=LATER) is None
    again = await invoice(session, partner, number="FP-2")
    assert {one.invoice_id for one in (await list_invoices(session, partner_id=partner)).rows} == {again, made}
    assert (await settlement_waits(session)).invoices == 1


async def test_where_the_partner_owes_our_invoice_is_paid_by_it(session, people, partner, now):
    await seed_calendar(session, actor=SYSTEM, now=now)
    await book(session, partner, now, gross=6_680_000, saved=0)
    made = await close_month(session, partner_id=partner, month=SEPTEMBER, actor=SYSTEM, now=LATER)
    assert asked_for(made.totals) == -2_672_000
    ours = await invoice(session, partner, amount=2_672_000, actor=people[0])
    await decide_invoice(session, invoice_id=ours, accept=True, why="", actor=people[1], now=LATER)
    assert await payable(session, most=9) == []
    with pytest.raises(InvoiceCannotMove):
        await propose_run(session, invoice_ids=[ours], actor=people[0], now=LATER)
    await receive_payment(session, invoice_id=ours, paid_on=date(2026, 10, 9), reference="IN-1", actor=people[0], now=LATER)
    assert await balance_of(session, partner_id=partner) == 0
    assert await broken(session) == {}


async def test_a_run_given_up_lets_its_invoices_wait_for_another(session, people, partner, closed):
    assert closed.is_final
    made = await invoice(session, partner)
    await decide_invoice(session, invoice_id=made, accept=True, why="", actor=people[0], now=LATER)
    await account(session, partner, people)
    first = await propose_run(session, invoice_ids=[made], actor=people[0], now=LATER)
    await approve_run(session, run_id=first, actor=people[1], now=LATER)
    with pytest.raises(DBAPIError, match="made once"):
        async with session.begin_nested():
            await session.execute(text("UPDATE partner_payment_runs SET digest = sha256('x')"))
    with pytest.raises(AnotherPersonDecides):
        await cancel_run(session, run_id=first, actor=people[0], now=LATER)
    await cancel_run(session, run_id=first, actor=people[1], now=LATER)
    assert [one.invoice_id for one in await payable(session, most=9)] == [made]
    await propose_run(session, invoice_ids=[made], actor=people[0], now=LATER)
    assert await broken(session) == {}


async def test_what_cannot_be_is_refused(session, people, partner, closed):
    assert closed.is_final
    for wrong in ({"day": date(2026, 10, 10)}, {"day": date(2026, 8, 31)}, {"number": " "}, {"amount": 0}, {"amount": 300}):
        with pytest.raises(InvoiceNotSound):
            await invoice(session, partner, **wrong)
    with pytest.raises(DocumentNotRead):
        async with session.begin_nested():
            await invoice(session, partner, content=b"<html>")
    with pytest.raises(InvoiceNotFound):
        await get_invoice(session, invoice_id=uuid4())
    with pytest.raises(RunEmpty):
        await propose_run(session, invoice_ids=[], actor=people[0], now=LATER)
    with pytest.raises(PaymentNotSound):
        await enter_bank_account(session, partner_id=partner, holder="x", bank="y", number="12 34", actor=people[0], now=LATER)


@pytest.mark.parametrize(("moves", "ends"), [(INVOICE_MOVES, {"paid", "refused"}), (RUN_MOVES, {"paid", "cancelled"})])
def test_the_tables_of_moves_know_every_status(moves, ends):
    kind = type(next(iter(moves)))
    assert set(moves) == set(kind)
    assert kind in {InvoiceStatus, RunStatus}
    assert {one.value for one, to in moves.items() if not to} == ends


def test_workdays_are_counted_by_the_calendar():
    calendar = Calendar("CN", frozenset({2026}))
    assert workdays_after(date(2026, 9, 4), 1, calendar) == date(2026, 9, 7), "a Friday's next workday is Monday"
    assert workdays_after(date(2026, 9, 5), 0, calendar) == date(2026, 9, 7)
    with pytest.raises(YearNotCovered):
        workdays_after(date(2026, 12, 30), 9, calendar)


async def test_a_block_paid_in_advance_is_drawn_down_and_redemptions_stop_when_it_is_used_up(session, now):
    house = await make_house(session, now=now)
    maker, checker = [await hire(session, f"{name} {uuid4()}", now) for name in ("m", "c")]
    prepaid = Terms(benefits=[OFF], settlement=Settlement(mode=Mode.PRE_PAID, low_minor=1_500))
    await agree(session, house.partner_id, (maker, checker), now, terms=prepaid)
    sale = {"outlet_id": house.outlets[0], "benefit": "off", "served_by": "x", "actor": SYSTEM, "now": now, "reference": "1"}
    with pytest.raises(BlockUsedUp):
        await sell(session, **sale, key=uuid4(), gross_minor=10_000)
    told = {"amount_minor": 2_000, "paid_on": date(2026, 9, 24), "actor": maker, "now": now}
    block = await enter_block(session, partner_id=house.partner_id, reference="B-1", **told)
    assert await balance_of(session, partner_id=house.partner_id) == 0, "nothing before another person confirmed it"
    with pytest.raises(ReferenceKnown):
        await enter_block(session, partner_id=house.partner_id, reference="B-1", **told)
    with pytest.raises(AnotherPersonDecides):
        await decide_block(session, block_id=block, agree=True, actor=maker, now=now)
    await decide_block(session, block_id=block, agree=True, actor=checker, now=now)
    with pytest.raises(DecidedAlready):
        await decide_block(session, block_id=block, agree=True, actor=checker, now=now)
    assert await low_blocks(session, now=now) == []
    await sell(session, **sale, key=uuid4(), gross_minor=10_000)
    assert [(one.partner_id, one.left_minor) for one in await low_blocks(session, now=now)] == [(house.partner_id, 1_000)]
    with pytest.raises(BlockUsedUp):
        await sell(session, **sale, key=uuid4(), gross_minor=10_010)
    await sell(session, **sale, key=uuid4(), gross_minor=10_000)
    assert await balance_of(session, partner_id=house.partner_id) == 0
    await close_month(session, partner_id=house.partner_id, month=SEPTEMBER, actor=SYSTEM, now=LATER)
    with pytest.raises(NothingToInvoice):
        await invoice(session, house.partner_id)
    assert await broken(session) == {}


async def test_evidence_is_judged_sealed_and_the_partners_own_and_the_adjustment_stands_on_the_next_statement(
    session, people, partner, now, closed
):
    assert closed.is_final
    facts = {"partner_id": partner, "number": 1, "reason": DisputeReason.RATE, "actor": PARTNER, "now": LATER}
    dispute = await open_dispute(session, **facts, said="佣金应为 30 %", wanted_minor=1_000)
    shown = {"partner_id": partner, "dispute_id": dispute, "actor": PARTNER, "now": LATER}
    kept = await add_evidence(session, **shown, paper=Paper("receipt.pdf", PDF))
    with pytest.raises(DocumentKnown):
        await add_evidence(session, **shown, paper=Paper("again.pdf", PDF))
    with pytest.raises(DocumentNotRead):
        await add_evidence(session, **shown, paper=Paper("x.pdf", b"MZ"))
    with pytest.raises(DisputeNotFound):
        await add_evidence(session, **shown | {"partner_id": uuid4()}, paper=Paper("x.pdf", PDF + b"x"))
    assert (await open_file(session, partner_id=partner, file_id=kept))[1] == PDF
    assert PDF not in await session.scalar(text("SELECT content FROM partner_files"))
    with pytest.raises(DocumentNotFound):
        await open_file(session, partner_id=uuid4(), file_id=kept)
    await answer_dispute(session, dispute_id=dispute, adjust_minor=1_000, answer="同意", actor=people[0], now=LATER)
    number = await decide_dispute(session, dispute_id=dispute, agree=True, actor=people[1], now=LATER)
    with pytest.raises(DisputeCannotMove):
        await add_evidence(session, **shown, paper=Paper("late.pdf", PDF + b"late"))
    made = await close_month(session, partner_id=partner, month=OCTOBER, actor=SYSTEM, now=LATER + timedelta(days=40))
    assert asked_for(made.totals) == 1_000, "the adjustment is invoiced with the month that takes it"
    assert [line.number for line in await lines_of_month(session, partner_id=partner, month=OCTOBER)] == [number]
    assert [one.name for one in await files_of(session, partner_id=partner, dispute_id=dispute)] == ["receipt.pdf"]


async def test_a_partner_behind_its_fence_sends_its_invoice_and_sees_nobody_elses(session, partner, closed, now):
    assert closed.is_final
    other = await make_house(session, now=now)
    mine = await invoice(session, partner)
    await enter_partner(session, other.partner_id)
    assert (await list_invoices(session)).rows == []
    with pytest.raises(InvoiceNotFound):
        await get_invoice(session, invoice_id=mine)
    assert await session.scalar(text("SELECT count(*) FROM partner_files")) == 0
    with pytest.raises(DBAPIError):
        async with session.begin_nested():
            await session.execute(text("SELECT 1 FROM partner_payment_runs"))


async def test_the_fenced_partner_itself_enters_invoice_dispute_and_evidence(session, partner, closed):
    assert closed.is_final
    await enter_partner(session, partner)
    made = await invoice(session, partner)
    assert (await get_invoice(session, invoice_id=made, partner_id=partner)).status is InvoiceStatus.RECEIVED
    dispute = await open_dispute(
        session, partner_id=partner, number=1, reason=DisputeReason.AMOUNT, said="x", wanted_minor=5, actor=PARTNER, now=LATER
    )
    await add_evidence(session, partner_id=partner, dispute_id=dispute, paper=Paper("a.pdf", PDF), actor=PARTNER, now=LATER)
    with pytest.raises(DBAPIError):
        async with session.begin_nested():
            await session.execute(text("UPDATE partner_invoices SET amount_minor = 1"))


_ELSEWHERE = """
import hashlib, sys
from datetime import date, datetime
from msgspec import json
from partners.settlement_pdf import pdf_file
from partners.settlement_rules import Facts, Stated, StatedLine, Total
Told = tuple[Facts, date, str, int, int, list[Total], datetime, bool]
told, lines = json.decode(sys.stdin.buffer.read(), type=tuple[Told, list[StatedLine]])
print(hashlib.sha256(pdf_file(Stated(*told), lines, language="zh")).hexdigest())
"""


async def test_a_statements_pdf_is_the_same_bytes_later_and_in_another_process(session, partner, closed, now):
    lines = await lines_of_month(session, partner_id=partner, month=SEPTEMBER)
    first = [make(closed, lines, language="zh") for make in (pdf_file, csv_file, xlsx_file)]
    assert first[0].startswith(b"%PDF")
    await book(session, partner, now, saved=1)
    session.expire_all()
    again = await get_statement(session, partner_id=partner, month=SEPTEMBER)
    lines = await lines_of_month(session, partner_id=partner, month=SEPTEMBER)
    assert [make(again, lines, language="zh") for make in (pdf_file, csv_file, xlsx_file)] == first
    assert shares_of(lines) == {"issuer": 10_000}
    assert pdf_file(again._replace(is_final=False), lines, language="zh") != first[0], "a pro forma says what it is"
    elsewhere = subprocess.run(  # noqa: ASYNC221 - short, and nothing else runs meanwhile
        [sys.executable, "-c", _ELSEWHERE],
        input=msgspec.json.encode((tuple(again), lines)),
        capture_output=True,
        check=True,
        env={"TZ": "America/New_York", "LANG": "C"},
    )
    assert elsewhere.stdout.decode().strip() == hashlib.sha256(first[0]).hexdigest()


BREACHES = {
    "partner-lines-numbered": "UPDATE partner_books SET last_number = last_number + 1",
    "partner-book-balances": "UPDATE partner_books SET balance_minor = balance_minor + 1",
    "partner-line-shares": """UPDATE partner_lines SET shares = '{"issuer": 1}'""",
    "partner-statements": "UPDATE partner_statements SET digest = sha256('x')",
    "partner-statement-openings": "UPDATE partner_statements SET opening_minor = 1, closing_minor = due_minor + 1",
    "partner-lines-stated": "UPDATE partner_books SET open_from = '2026-09-01'",
    "partner-counters": "INSERT INTO partner_counters SELECT partner_id, 'cost', '2026-09-01', 5 FROM partners",
    "partner-invoices-booked": "UPDATE partner_invoices SET amount_minor = amount_minor - 1, why = 'x'",
    "partner-payment-runs": "UPDATE partner_payment_runs SET invoices = 2",
}


@pytest.fixture
async def breaking(database_url):
    """Yield a session of the owner with an invoice in a run, whose damage is undone with its database."""
    engine = make_engine(database_url, transaction_seconds=0)
    async with make_sessions(engine)() as session:
        now = datetime(2026, 9, 24, 2, 15, tzinfo=UTC)
        people = [await hire(session, name, now) for name in ("maker", "checker")]
        facts = PartnerFacts(code="PICC-HZ", name_zh="平安", name_en="Ping'an", category=Category.INSURANCE)
        partner = await add_partner(session, facts=facts, actor=people[0], now=now)
        await seed_calendar(session, actor=SYSTEM, now=now)
        await book(session, partner, now)
        await close_month(session, partner_id=partner, month=SEPTEMBER, actor=SYSTEM, now=LATER)
        made = await invoice(session, partner)
        await decide_invoice(session, invoice_id=made, accept=True, why="", actor=people[0], now=LATER)
        await account(session, partner, people)
        await propose_run(session, invoice_ids=[made], actor=people[0], now=LATER)
        await session.flush()
        yield session
        await session.rollback()
    await engine.dispose()


async def test_each_broken_book_is_named(breaking):
    assert await broken(breaking) == {}
    for table in ("partner_lines", "partner_statements"):
        await breaking.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
    missed = {}
    for code, sentence in BREACHES.items():
        async with breaking.begin_nested() as tried:
            assert (await breaking.execute(text(sentence))).rowcount, code
            breaking.expire_all()
            found = await broken(breaking)
            if code not in found:
                missed[code] = found
            await tried.rollback()
        breaking.expire_all()
    assert missed == {}
