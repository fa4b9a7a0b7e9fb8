"""A partner's book: a line once for its source, numbered without a gap, never changed; a mirror undoes it; a closed month takes none."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from loyalty.db import transaction
from partners.line_rules import Worth, month_after, month_of, worth_of
from partners.model import Category
from partners.model_lines import LineKind, PartnerLine
from partners.operations.alliances import PartnerFacts, add_partner
from partners.operations.lines import Entry, LineMirroredAlready, book_line, mirror_line
from partners.queries.alliances import PartnerNotFound
from partners.rules import WHOLE, Benefit, BenefitKind, Funder, Terms
from tests.partners.conftest import SLIP, TERMS
from tests.topups.conftest import hire

JOINT = Benefit(
    code="joint",
    kind=BenefitKind.JOINT,
    name_zh="联合",
    name_en="Joint",
    funders=[Funder("issuer", 3_334), Funder("partner", 3_333), Funder("brand:x", 3_333)],
)
WHEN = datetime(2026, 9, 30, 15, 59, tzinfo=UTC)  # 23:59 in Shanghai


def _entry(source="redemption:1", **more) -> Entry:
    worth = worth_of(TERMS, SLIP, gross_minor=10_000, saved_minor=10_000)
    return Entry(**{"kind": LineKind.REDEMPTION, "source": source, "event_at": WHEN, "worth": worth, "benefit": "claim-slip"} | more)


async def _lines(session, partner) -> list[PartnerLine]:
    return list((await session.scalars(select(PartnerLine).where(PartnerLine.partner_id == partner).order_by(PartnerLine.number))).all())


def test_the_commission_of_the_domain_notes():
    assert worth_of(TERMS, None, gross_minor=6_680_000, saved_minor=0) == Worth(6_680_000, 0, {}, 0, 4_000, 2_672_000)


@given(st.integers(0, 10**10), st.integers(0, 10**10), st.integers(0, WHOLE))
def test_what_is_owed_is_what_others_bear_less_the_commission(gross, saved, rate):
    gross, saved = max(gross, saved), min(gross, saved)
    worth = worth_of(Terms(benefits=[JOINT], commission=rate), JOINT, gross_minor=gross, saved_minor=saved)
    assert sum(worth.shares.values()) == saved
    assert worth.due_minor == worth.shares["issuer"] + worth.shares["brand:x"] - worth.commission_minor
    assert 0 <= worth.commission_minor <= gross


@pytest.mark.parametrize(("gross", "saved", "benefit"), [(99, 100, JOINT), (100, -1, JOINT), (100, 1, None)])
def test_what_cannot_be_worth_anything_is_an_error(gross, saved, benefit):
    with pytest.raises(ValueError, match="saved"):
        worth_of(TERMS, benefit, gross_minor=gross, saved_minor=saved)


def test_months_follow_each_other():
    assert [month_after(date(2026, 11, 1)), month_after(date(2026, 12, 1))] == [date(2026, 12, 1), date(2027, 1, 1)]
    assert month_of(date(2026, 2, 28)) == date(2026, 2, 1)


async def test_a_source_is_booked_once(session, partner, now):
    assert [await book_line(session, partner_id=partner, entry=_entry(), actor="system", now=now) for _ in range(2)] == [1, 1]
    assert await book_line(session, partner_id=partner, entry=_entry("redemption:2"), actor="system", now=now) == 2
    first, second = await _lines(session, partner)
    assert (first.due_minor, first.commission_minor, first.shares) == (6_000, 4_000, {"issuer": 10_000})
    assert (first.period, second.number) == (date(2026, 9, 1), 2), "the month is that of the partner's own calendar"


async def test_a_late_line_belongs_to_the_first_open_month(session, partner, now):
    await book_line(session, partner_id=partner, entry=_entry(), actor="system", now=now)
    await session.execute(text("UPDATE partner_books SET open_from = '2026-10-01'"))
    await book_line(session, partner_id=partner, entry=_entry("redemption:late"), actor="system", now=now)
    await book_line(
        session, partner_id=partner, entry=_entry("redemption:next", event_at=WHEN + timedelta(days=40)), actor="system", now=now
    )
    assert [line.period.month for line in await _lines(session, partner)] == [9, 10, 11]


async def test_a_mirror_undoes_a_line_once(session, partner, now):
    number = await book_line(session, partner_id=partner, entry=_entry(), actor="system", now=now)
    undo = {"partner_id": partner, "number": number, "why": "wrong customer", "actor": "system", "now": now}
    back = await mirror_line(session, **undo, source="rollback:1")
    assert await mirror_line(session, **undo, source="rollback:1") == back, "a retry"
    for again in (undo, undo | {"number": back}):
        with pytest.raises(LineMirroredAlready):
            await mirror_line(session, **again, source="rollback:2")
    sums = await session.execute(
        select(func.sum(PartnerLine.due_minor), func.sum(PartnerLine.commission_minor), func.sum(PartnerLine.pieces), func.count())
    )
    assert tuple(sums.one()) == (0, 0, 0, 2)


async def test_nobody_changes_a_line(session, partner, now):
    await book_line(session, partner_id=partner, entry=_entry(), actor="system", now=now)
    for statement in ("UPDATE partner_lines SET why = 'x'", "DELETE FROM partner_lines", "TRUNCATE partner_lines"):
        with pytest.raises(DBAPIError, match=r"append-only|permission denied"):
            async with session.begin_nested():
                await session.execute(text(statement))


async def test_who_is_no_partner_has_no_book(session, partner, now):
    for call in (
        book_line(session, partner_id=uuid4(), entry=_entry(), actor="system", now=now),
        mirror_line(session, partner_id=partner, number=7, source="x", why="", actor="system", now=now),
    ):
        with pytest.raises(PartnerNotFound):
            await call


async def test_many_at_once_leave_no_gap_and_book_nothing_twice(sessions, now):
    async with transaction(sessions) as session:
        facts = PartnerFacts(code="PICC-HZ", name_zh="平安财险", name_en="Ping'an", category=Category.INSURANCE)
        partner = await add_partner(session, facts=facts, actor=await hire(session, "maker", now), now=now)

    async def one(place: int) -> int:
        async with transaction(sessions) as own:
            return await book_line(own, partner_id=partner, entry=_entry(f"redemption:{place // 2}"), actor="system", now=now)

    numbers = await asyncio.gather(*(one(place) for place in range(32)))
    assert sorted(numbers) == sorted([*range(1, 17)] * 2)
