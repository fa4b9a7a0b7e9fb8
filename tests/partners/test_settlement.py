"""A partner's month: closed once and for ever, its files the same bytes at any later time; a disputed line is put right by a new one."""

import asyncio
import hashlib
import random
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from jobs import partner_months
from jobs.job import Context
from loyalty.audit.model import Actor, ActorKind
from loyalty.db import transaction
from loyalty.settings import Settings
from partners.line_rules import month_after, worth_of
from partners.model import Category
from partners.model_lines import LineKind, PartnerBook, PartnerLine
from partners.model_settlement import DISPUTE_MOVES, DisputeReason, DisputeStatus, PartnerStatement
from partners.operations.alliances import PartnerFacts, add_partner, change_partner
from partners.operations.lines import Entry, book_line, mirror_line
from partners.operations.settlement import (
    AnotherPersonDecides,
    DisputeCannotMove,
    DisputeNotSound,
    DisputeStands,
    EarlierMonthOpen,
    MonthNotOver,
    answer_dispute,
    close_month,
    decide_dispute,
    open_dispute,
    withdraw_dispute,
)
from partners.queries.alliances import PartnerNotFound
from partners.queries.settlement import (
    DisputeNotFound,
    StatementNotFound,
    get_statement,
    lines_of_month,
    list_disputes,
    list_statements,
    pro_forma,
)
from partners.rules import Settlement, Terms
from partners.settlement_rules import Stated, StatedLine, csv_file, digest_of, totals_of, xlsx_file
from tests.factories.world import SYSTEM
from tests.partners.conftest import SLIP, TERMS, agree
from tests.topups.conftest import hire

AUGUST, SEPTEMBER, OCTOBER = date(2026, 8, 1), date(2026, 9, 1), date(2026, 10, 1)
LATER = datetime(2026, 10, 2, 1, 0, tzinfo=UTC)
PARTNER = Actor(ActorKind.PARTNER, "wang")
FACTS = {"code": "PICC-HZ", "name_zh": "平安财险杭州", "name_en": "Ping'an Hangzhou", "category": Category.INSURANCE}


def _entry(source=None, *, at, gross=10_000, saved=10_000) -> Entry:
    worth = worth_of(TERMS, SLIP, gross_minor=gross, saved_minor=saved)
    return Entry(kind=LineKind.REDEMPTION, source=source or f"redemption:{uuid4()}", event_at=at, worth=worth, benefit="claim-slip")


async def book(session, partner, at, *, now=None, **more) -> int:
    return await book_line(session, partner_id=partner, entry=_entry(at=at, **more), actor="system", now=now or at)


async def test_a_month_is_closed_once_and_what_comes_late_is_the_next_months(session, partner, now):
    for _ in range(3):
        await book(session, partner, now)
    shown = await pro_forma(session, partner_id=partner, month=SEPTEMBER, now=now)
    assert (shown.due_minor, shown.is_final) == (18_000, False)
    closing = {"partner_id": partner, "actor": SYSTEM}
    with pytest.raises(MonthNotOver):
        await close_month(session, **closing, month=SEPTEMBER, now=datetime(2026, 9, 30, 15, 59, tzinfo=UTC))
    with pytest.raises(EarlierMonthOpen):
        await close_month(session, **closing, month=OCTOBER, now=LATER + timedelta(days=40))
    with pytest.raises(StatementNotFound):
        await close_month(session, **closing, month=AUGUST, now=LATER)
    made = await close_month(session, **closing, month=SEPTEMBER, now=datetime(2026, 9, 30, 16, 0, tzinfo=UTC))
    assert (made.opening_minor, made.due_minor, made.closing_minor) == (0, 18_000, 18_000)
    late = await book(session, partner, now, now=LATER)
    assert await close_month(session, **closing, month=SEPTEMBER, now=LATER) == made
    following = await close_month(session, **closing, month=OCTOBER, now=LATER + timedelta(days=40))
    assert (following.opening_minor, following.closing_minor) == (18_000, 24_000)
    assert [line.number for line in await lines_of_month(session, partner_id=partner, month=OCTOBER)] == [late]
    empty = await close_month(session, **closing, month=month_after(OCTOBER), now=LATER + timedelta(days=90))
    assert (empty.totals, empty.closing_minor) == ([], 24_000), "a month in which nothing happened is stated, too"
    assert [one.month.month for one in (await list_statements(session, partner_id=partner)).rows] == [11, 10, 9]


async def test_a_month_settled_at_forty_percent(session, partner, now):
    await book(session, partner, now, gross=6_680_000, saved=0)
    made = await close_month(session, partner_id=partner, month=SEPTEMBER, actor=SYSTEM, now=LATER)
    assert (made.totals[0].commission_minor, made.closing_minor) == (2_672_000, -2_672_000)


@pytest.mark.parametrize("seed", range(5))
async def test_every_line_is_in_one_statement_whatever_comes_in_whatever_order(session, partner, now, seed):
    draw = random.Random(seed)
    at, month = now, SEPTEMBER
    booked: list[int] = []
    for _ in range(60):
        act = draw.random()
        if act < 0.6:
            event = at - timedelta(days=draw.choice((0, 0, 0, 20, 45)))
            booked.append(await book(session, partner, event, now=at, gross=draw.randrange(10_000, 99_999), saved=draw.randrange(10_000)))
        elif act < 0.8 and booked:
            number = booked.pop(draw.randrange(len(booked)))
            await mirror_line(session, partner_id=partner, number=number, source=f"r:{number}", why="", actor="system", now=at)
        else:
            at += timedelta(days=draw.randrange(1, 25))
            opened = await session.scalar(select(PartnerBook.open_from))
            if opened is not None and at.date() > month_after(opened) + timedelta(days=1):
                await close_month(session, partner_id=partner, month=opened, actor=SYSTEM, now=at)
                month = month_after(opened)
    stated = list(await session.scalars(select(PartnerStatement).order_by(PartnerStatement.month)))
    lines = list(await session.scalars(select(PartnerLine)))
    for one, before in zip(stated, [None, *stated], strict=False):
        theirs = [line for line in lines if line.period == one.month]
        assert one.lines == len(theirs)
        assert one.due_minor == sum(line.due_minor for line in theirs)
        assert one.opening_minor == (before.closing_minor if before else 0)
    running = sum(line.due_minor for line in lines if line.period >= month)
    assert sum(line.due_minor for line in lines) == (stated[-1].closing_minor if stated else 0) + running


async def test_what_is_booked_while_a_month_is_closed_is_in_one_statement_or_the_next(sessions, now):
    async with transaction(sessions) as session:
        partner = await add_partner(session, facts=PartnerFacts(**FACTS), actor=await hire(session, "maker", now), now=now)

    async def one(place):
        async with transaction(sessions) as session:
            return await book(session, partner, now, now=LATER, source=f"redemption:{place}")

    async def close():
        async with transaction(sessions) as session:
            return await close_month(session, partner_id=partner, month=SEPTEMBER, actor=SYSTEM, now=LATER)

    done = await asyncio.gather(*(one(place) for place in range(16)), close(), *(one(place) for place in range(16, 32)), close())
    assert done[16] == done[-1]
    async with sessions() as session:
        september = await lines_of_month(session, partner_id=partner, month=SEPTEMBER)
        october = await lines_of_month(session, partner_id=partner, month=OCTOBER)
        assert len(september) + len(october) == 32
        assert sum(total.lines for total in done[16].totals) == len(september)


async def test_the_job_closes_on_the_agreed_day_and_catches_up(sessions, tmp_path, now):
    context = Context(sessions, Settings(data_dir=tmp_path, keys_dir=tmp_path))
    async with transaction(sessions) as session:
        people = await hire(session, "maker", now), await hire(session, "checker", now)
        first, second = [
            await add_partner(session, facts=PartnerFacts(**FACTS | {"code": code}), actor=people[0], now=now) for code in ("A1", "B1")
        ]
        await agree(session, second, people, now, terms=Terms(benefits=[SLIP], settlement=Settlement(statement_day=5)))
        for partner in (first, second):
            await book(session, partner, now)
    fourth = datetime(2026, 10, 4, 2, 0, tzinfo=UTC)
    assert [await partner_months.run(context, fourth + timedelta(days=days)) for days in (-30, 0, 0, 1, 1)] == [0, 1, 0, 1, 0]
    assert await partner_months.run(context, fourth + timedelta(days=92)) == 5, (
        "October, November; December of the one whose day is the first"
    )
    async with sessions() as session:
        assert [len((await list_statements(session, partner_id=one)).rows) for one in (first, second)] == [4, 3]


def _files(stated: Stated, lines: list[StatedLine]) -> list[str]:
    made = [make(stated, lines, language=language) for make in (csv_file, xlsx_file) for language in ("zh", "en")]
    return [hashlib.sha256(one).hexdigest() for one in made]


_ELSEWHERE = """
import hashlib, sys
from datetime import date, datetime
from msgspec import json
from partners.settlement_rules import Facts, Stated, StatedLine, Total, csv_file, xlsx_file
Told = tuple[Facts, date, str, int, int, list[Total], datetime, bool]
told, lines = json.decode(sys.stdin.buffer.read(), type=tuple[Told, list[StatedLine]])
for make in (csv_file, xlsx_file):
    for language in ("zh", "en"):
        print(hashlib.sha256(make(Stated(*told), lines, language=language)).hexdigest())
"""


async def test_a_statements_files_are_the_same_bytes_after_a_restart_and_after_later_events(session, people, partner, now):
    for number in range(3):
        await book(session, partner, now + timedelta(hours=number))
    await mirror_line(session, partner_id=partner, number=2, source="r:2", why="=1+1", actor="system", now=now)
    await close_month(session, partner_id=partner, month=SEPTEMBER, actor=SYSTEM, now=LATER)
    stated = await get_statement(session, partner_id=partner, month=SEPTEMBER)
    lines = await lines_of_month(session, partner_id=partner, month=SEPTEMBER)
    first = _files(stated, lines)
    assert len(set(first)) == 4
    kept = await session.get_one(PartnerStatement, (partner, SEPTEMBER))
    assert (digest_of(lines), totals_of(lines)) == (kept.digest, stated.totals)
    await book(session, partner, now, now=LATER)
    await change_partner(
        session, partner_id=partner, facts=PartnerFacts(**FACTS | {"name_zh": "新名字", "name_en": "New"}), actor=people[0], now=LATER
    )
    session.expire_all()
    again = await get_statement(session, partner_id=partner, month=SEPTEMBER)
    assert _files(again, await lines_of_month(session, partner_id=partner, month=SEPTEMBER)) == first
    elsewhere = subprocess.run(  # noqa: ASYNC221 - short, and nothing else runs meanwhile
        [sys.executable, "-c", _ELSEWHERE],
        input=msgspec.json.encode((tuple(stated), lines)),
        capture_output=True,
        check=True,
        env={"TZ": "America/New_York", "LANG": "C"},
    )
    assert elsewhere.stdout.decode().split() == first, "in another process, under another zone and language"


async def test_nobody_changes_a_closed_month(session, partner, now):
    await book(session, partner, now)
    await close_month(session, partner_id=partner, month=SEPTEMBER, actor=SYSTEM, now=LATER)
    for statement in ("UPDATE partner_statements SET lines = 0", "DELETE FROM partner_statements"):
        with pytest.raises(DBAPIError, match=r"never changes|permission denied"):
            async with session.begin_nested():
                await session.execute(text(statement))


@pytest.fixture
async def disputed(session, partner, now):
    number = await book(session, partner, now)
    await close_month(session, partner_id=partner, month=SEPTEMBER, actor=SYSTEM, now=LATER)
    facts = {"partner_id": partner, "number": number, "reason": DisputeReason.RATE, "actor": PARTNER, "now": LATER}
    return await open_dispute(session, **facts, said="佣金应为 30 %", wanted_minor=1_000), facts


async def test_a_disputed_line_is_put_right_by_a_new_line_and_the_next_statement_shows_it(session, people, partner, disputed):
    dispute, facts = disputed
    with pytest.raises(DisputeStands):
        await open_dispute(session, **facts, said="again", wanted_minor=1)
    answer = {"dispute_id": dispute, "actor": people[0], "now": LATER}
    await answer_dispute(session, **answer, adjust_minor=800, answer="协议第二版为 32 %")
    with pytest.raises(AnotherPersonDecides):
        await decide_dispute(session, **answer, agree=True)
    assert await decide_dispute(session, dispute_id=dispute, agree=False, actor=people[1], now=LATER) is None
    await answer_dispute(session, **answer, adjust_minor=1_000, answer="同意")
    number = await decide_dispute(session, dispute_id=dispute, agree=True, actor=people[1], now=LATER)
    (one,) = (await list_disputes(session, partner_id=partner)).rows
    assert (one.status, one.adjustment, one.proposed_minor) == (DisputeStatus.UPHELD, number, 1_000)
    made = await close_month(session, partner_id=partner, month=OCTOBER, actor=SYSTEM, now=LATER + timedelta(days=40))
    (line,) = await lines_of_month(session, partner_id=partner, month=OCTOBER)
    assert (line.kind, line.reference, line.why, line.due_minor) == ("adjustment", f"#{facts['number']}", "同意", 1_000)
    assert (made.opening_minor, made.closing_minor) == (6_000, 7_000)
    assert (await get_statement(session, partner_id=partner, month=SEPTEMBER)).closing_minor == 6_000, "never an edit"
    with pytest.raises(DisputeCannotMove):
        await withdraw_dispute(session, partner_id=partner, dispute_id=dispute, actor=PARTNER, now=LATER)


@pytest.mark.parametrize("status", DisputeStatus)
async def test_a_dispute_moves_as_its_table_says(session, people, partner, disputed, status):
    dispute, _ = disputed
    settle = {
        DisputeStatus.PROPOSED: lambda: answer_dispute(
            session, dispute_id=dispute, adjust_minor=5, answer="ok", actor=people[0], now=LATER
        ),
        DisputeStatus.REJECTED: lambda: answer_dispute(
            session, dispute_id=dispute, adjust_minor=None, answer="no", actor=people[0], now=LATER
        ),
        DisputeStatus.UPHELD: lambda: decide_dispute(session, dispute_id=dispute, agree=True, actor=people[1], now=LATER),
        DisputeStatus.OPEN: lambda: decide_dispute(session, dispute_id=dispute, agree=False, actor=people[1], now=LATER),
        DisputeStatus.WITHDRAWN: lambda: withdraw_dispute(session, partner_id=partner, dispute_id=dispute, actor=PARTNER, now=LATER),
    }
    ways = {
        DisputeStatus.OPEN: [],
        DisputeStatus.UPHELD: [DisputeStatus.PROPOSED, DisputeStatus.UPHELD],
    }
    for step in ways.get(status, [status]):
        await settle[step]()
    for to, act in settle.items():
        if to in DISPUTE_MOVES[status]:
            async with session.begin_nested() as tried:
                await act()
                await tried.rollback()
            session.expire_all()
        else:
            with pytest.raises(DisputeCannotMove):
                await act()


async def test_what_says_nothing_or_is_anothers_is_refused(session, people, partner, disputed, now):
    dispute, facts = disputed
    with pytest.raises(PartnerNotFound):
        await open_dispute(session, **facts | {"number": 99}, said="x", wanted_minor=1)
    other = await add_partner(session, facts=PartnerFacts(**FACTS | {"code": "OTHER"}), actor=people[0], now=now)
    for call in (
        withdraw_dispute(session, partner_id=other, dispute_id=dispute, actor=PARTNER, now=LATER),
        answer_dispute(session, dispute_id=uuid4(), adjust_minor=1, answer="x", actor=people[0], now=LATER),
    ):
        with pytest.raises(DisputeNotFound):
            await call
    for wrong in ({"adjust_minor": 0, "answer": "x"}, {"adjust_minor": 1, "answer": " "}):
        with pytest.raises(DisputeNotSound):
            await answer_dispute(session, dispute_id=dispute, **wrong, actor=people[0], now=LATER)
    with pytest.raises(DisputeNotSound):
        await open_dispute(session, **facts | {"number": 1}, said="", wanted_minor=1)
    with pytest.raises(StatementNotFound):
        await get_statement(session, partner_id=other, month=SEPTEMBER)
    with pytest.raises(PartnerNotFound):
        await pro_forma(session, partner_id=uuid4(), month=SEPTEMBER, now=now)
