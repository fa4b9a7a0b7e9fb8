"""Papers are what their bytes say and sealed; outlets and notices are put right; lines come to what their sums say."""

import hashlib
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from loyalty.checks.queries.trail import PROTECTED
from loyalty.crypto import BrokenEnvelopeError
from loyalty.media import Media
from partners.line_rules import worth_of
from partners.model import OutletStatus, PartnerStatus
from partners.model_lines import LineKind
from partners.operations.alliances import (
    OutletFacts,
    PartnerFacts,
    PartnerNotSound,
    add_notice,
    add_outlet,
    add_partner,
    change_outlet,
    end_notice,
    move_outlet,
    move_partner,
)
from partners.operations.documents import DOCUMENT_BYTES_MAX, DocumentKnown, DocumentNotRead, add_document
from partners.operations.lines import Entry, book_line, mirror_line
from partners.queries.alliances import (
    NoticeNotFound,
    OutletNotFound,
    get_outlet,
    notices_of,
    notices_on,
    paused_outlets,
    standing_of,
)
from partners.queries.documents import DocumentNotFound, documents_of, open_document
from partners.queries.lines import lines_of, sums_by_month, sums_of
from tests.partners.conftest import TERMS, TODAY, agree

PDF, PNG, JPEG = b"%PDF-1.7 signed", b"\x89PNG\r\n\x1a\n scanned", b"\xff\xd8\xff photographed"
EAST = OutletFacts(code="EAST", name_zh="东门店", name_en="East Gate")


@pytest.fixture
async def other(session, people, now):
    facts = PartnerFacts(code="OTHER", name_zh="别家", name_en="Another", category="food")
    return await add_partner(session, facts=facts, actor=people[0], now=now)


@pytest.mark.parametrize(("content", "media"), [(PDF, Media.PDF), (PNG, Media.PNG), (JPEG, Media.JPEG)])
async def test_a_paper_is_what_its_bytes_say_and_comes_back_whole(session, partner, people, now, content, media):
    made = await add_document(session, partner_id=partner, name=" Agreement ", content=content, actor=people[0], now=now)
    assert await open_document(session, partner_id=partner, document_id=made) == (media, content)
    (known,) = await documents_of(session, partner_id=partner)
    assert (known.name, known.size_bytes, known.digest) == ("Agreement", len(content), hashlib.sha256(content).digest())


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"<html>", b"RIFF0000WEBP", PDF + b" " * DOCUMENT_BYTES_MAX])
async def test_what_is_no_paper_or_too_large_is_refused(session, partner, people, now, content):
    with pytest.raises(DocumentNotRead):
        await add_document(session, partner_id=partner, name="x", content=content, actor=people[0], now=now)


async def test_the_same_bytes_are_kept_once_a_partner(session, partner, other, people, now):
    of = {"content": PDF, "actor": people[0], "now": now}
    await add_document(session, partner_id=partner, name="first", **of)
    with pytest.raises(DocumentKnown, match="first"):
        await add_document(session, partner_id=partner, name="again", **of)
    await add_document(session, partner_id=other, name="theirs", **of)


async def test_a_paper_lies_sealed_under_its_own_row_and_is_no_other_partners(session, partner, other, people, now):
    of = {"actor": people[0], "now": now}
    made = await add_document(session, partner_id=partner, name="a", content=PDF, **of)
    theirs = await add_document(session, partner_id=other, name="b", content=PNG, **of)
    kept = await session.scalar(text("SELECT content FROM partner_documents WHERE document_id = :id"), {"id": made})
    assert PDF not in kept
    assert any(column.table == "partner_documents" for column in PROTECTED), "and proved every night"
    with pytest.raises(DocumentNotFound):
        await open_document(session, partner_id=other, document_id=made)
    swap = "UPDATE partner_documents SET content = :kept WHERE document_id = :id"
    await session.execute(text(swap), {"kept": kept, "id": theirs})
    with pytest.raises(BrokenEnvelopeError):
        await open_document(session, partner_id=other, document_id=theirs)


async def test_an_outlet_is_put_right_and_keeps_its_code(session, partner, other, people, now):
    of = {"actor": people[0], "now": now}
    outlet = await add_outlet(session, partner_id=partner, facts=EAST, **of)
    moved = OutletFacts(code="EAST", name_zh="东门新店", name_en="East Gate", hours="08:00–20:00")
    await change_outlet(session, partner_id=partner, outlet_id=outlet, facts=moved, **of)
    found = await get_outlet(session, partner_id=partner, outlet_id=outlet)
    assert (found.name_zh, found.hours) == ("东门新店", "08:00–20:00")
    renamed = OutletFacts(code="WEST", name_zh="西", name_en="West")
    with pytest.raises(PartnerNotSound, match="code"):
        await change_outlet(session, partner_id=partner, outlet_id=outlet, facts=renamed, **of)
    with pytest.raises(OutletNotFound):
        await change_outlet(session, partner_id=other, outlet_id=outlet, facts=moved, **of)
    with pytest.raises(OutletNotFound):
        await get_outlet(session, partner_id=other, outlet_id=outlet)


async def test_stations_are_told_of_a_pause_while_it_lasts(session, partner, people, now):
    of = {"actor": people[0], "now": now}
    await agree(session, partner, people, now)
    outlet = await add_outlet(session, partner_id=partner, facts=EAST, **of)
    for reason, until in (("", None), ("rain", now - timedelta(hours=1))):
        with pytest.raises(PartnerNotSound):
            await move_outlet(session, partner_id=partner, outlet_id=outlet, to=OutletStatus.PAUSED, reason=reason, until=until, **of)
    until = now + timedelta(hours=3)
    await move_outlet(session, partner_id=partner, outlet_id=outlet, to=OutletStatus.PAUSED, reason="下雨", until=until, **of)
    assert await paused_outlets(session, now=now) == [], "nobody goes to a partner that is not allied"
    await move_partner(session, partner_id=partner, to=PartnerStatus.ACTIVE, today=TODAY, reason="x", **of)
    (told,) = await paused_outlets(session, now=now)
    assert (told.name_en, told.why, told.until) == ("East Gate", "下雨", until)
    assert await paused_outlets(session, now=until) == []


async def test_a_notice_is_ended_once_and_by_its_partner_only(session, partner, other, people, now):
    of = {"actor": people[0], "now": now}
    await agree(session, partner, people, now)
    await move_partner(session, partner_id=partner, to=PartnerStatus.ACTIVE, today=TODAY, reason="x", **of)
    days = {"first": TODAY, "end": TODAY + timedelta(days=3)}
    made = await add_notice(session, partner_id=partner, text_zh="免费", text_en="Free", **days, **of)
    assert [one.notice_id for one in await notices_on(session, day=TODAY)] == [made]
    with pytest.raises(NoticeNotFound):
        await end_notice(session, partner_id=other, notice_id=made, **of)
    for _time in range(2):
        await end_notice(session, partner_id=partner, notice_id=made, **of)
    assert await notices_on(session, day=TODAY) == []
    (known,) = await notices_of(session, partner_id=partner)
    assert known.ended_at == now
    assert not known.is_shown(TODAY)


@pytest.mark.parametrize("wrong", [{"zone": "Mars/Olympus"}, {"zone": "../etc/passwd"}, {"currency": "XQZ"}])
async def test_a_partner_has_a_calendar_and_a_currency_that_are(session, people, now, wrong):
    facts = PartnerFacts(**{"code": "NEW", "name_zh": "新", "name_en": "New", "category": "food"} | wrong)
    with pytest.raises(PartnerNotSound):
        await add_partner(session, facts=facts, actor=people[0], now=now)


async def test_each_partner_has_its_own_standing_versions(session, partner, other, people, now):
    made = await agree(session, partner, people, now)
    found = await standing_of(session, partner_ids=[partner, other])
    assert [one.agreement_id for one in found[partner]] == [made]
    assert found[other] == []


async def test_lines_are_paged_and_their_months_come_to_the_whole(session, partner, other, people, now):
    agreement_id = await agree(session, partner, people, now)
    for number in range(7):
        worth = worth_of(TERMS, TERMS.benefits[0], gross_minor=10_000 + number, saved_minor=100 * number)
        event_at = now + timedelta(days=20 * number)
        entry = Entry(kind=LineKind.REDEMPTION, source=f"redemption:{number}", event_at=event_at, worth=worth, agreement_id=agreement_id)
        await book_line(session, partner_id=partner, entry=entry, actor="system", now=now)
    await mirror_line(session, partner_id=partner, number=3, source="rollback:3", why="left", actor="system", now=now)
    numbers, cursor = [], None
    while True:
        page = await lines_of(session, partner_id=partner, cursor=cursor, limit=3)
        numbers += [one.number for one in page.rows]
        cursor = page.next
        if cursor is None:
            break
    assert numbers == list(range(8, 0, -1))
    whole, months = await sums_of(session, partner_id=partner), await sums_by_month(session, partner_id=partner)
    assert tuple(map(sum, zip(*(sums for _period, sums in months), strict=True))) == whole
    assert whole.due_minor == whole.saved_minor - whole.partner_minor - whole.commission_minor + whole.paid_minor
    assert [period for period, _sums in months] == sorted((period for period, _sums in months), reverse=True)
    for period, sums in months:
        assert await sums_of(session, partner_id=partner, period=period) == sums
        assert len((await lines_of(session, partner_id=partner, period=period)).rows) == sums.lines
    assert await sums_of(session, partner_id=other) == (0,) * 8
    assert (await lines_of(session, partner_id=partner, period=date(2020, 1, 1))).rows == []
