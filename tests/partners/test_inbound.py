"""What a partner sends about what it served, set against our book: the order of its lines changes nothing, each line's result is kept."""

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from loyalty.fleet.sheets import ColumnMissing, Fault, SheetNotReadable
from loyalty.web.exports import xlsx
from partners.inbound_rules import Ours, Theirs, read_instant, reconcile, spelled
from partners.line_rules import worth_of
from partners.model_inbound import PartnerInboundFile, PartnerInboundRow, RowOutcome
from partners.model_lines import LineKind
from partners.operations.inbound import About, InboundNotSound, Mapping, preview_file, take_file
from partners.operations.lines import Entry, book_line, mirror_line
from partners.queries.inbound import InboundNotFound, get_inbound, inbound_rows, list_inbound
from tests.partners.conftest import SLIP, TERMS

ZONE = "Asia/Shanghai"
FIRST, END = date(2026, 9, 1), date(2026, 10, 1)
NAMES = Mapping(reference="凭证", amount="金额", at="时间", theirs="流水号", state="状态", cancelled="已撤销,VOID")
ABOUT = About(first_day=FIRST, end_day=END, zone=ZONE, mapping=NAMES)
OTHER, NONE = Mapping(reference="凭证", amount="价", at="时间"), Mapping(reference="", amount="a", at="b")
NINE = datetime(2026, 9, 10, 1, tzinfo=UTC)
Out = RowOutcome


def ours(number, reference="7KQF", amount=10_000, *, at=NINE, undone=False) -> Ours:
    return Ours(number, reference, at, amount, undone)


def theirs(place, reference="7KQF", amount=10_000, *, at=NINE, number="", cancelled=False) -> Theirs:
    return Theirs(place, reference, number, at, amount, cancelled)


def outcomes(rows, lines, known=frozenset()) -> list[tuple[Out, int | None, str]]:
    found = reconcile(rows, lines, first=FIRST, end=END, zone=ZONE, known=known)
    return [(one.outcome, one.line.number if one.line else None, one.why) for one in found]


@pytest.mark.parametrize(
    ("rows", "lines", "expected"),
    [
        ([theirs(2)], [ours(1)], [(Out.MATCHED, 1, "")]),
        ([theirs(2, " 7kq-f ")], [ours(1)], [(Out.MATCHED, 1, "")]),
        ([theirs(2, amount=9_000)], [ours(1)], [(Out.DIFFERENT, 1, "")]),
        ([theirs(2)], [], [(Out.MISSING_HERE, None, "")]),
        ([theirs(2)], [ours(1, undone=True)], [(Out.MISSING_HERE, 1, "undone_here")]),
        ([], [ours(1)], [(Out.MISSING_THERE, 1, "")]),
        ([], [ours(1, undone=True)], []),
        ([theirs(2, cancelled=True)], [ours(1)], [(Out.DIFFERENT, 1, "not_undone_here")]),
        ([theirs(2, cancelled=True)], [ours(1, undone=True)], [(Out.CANCELLED, 1, "")]),
        ([theirs(2, cancelled=True)], [], [(Out.CANCELLED, None, "")]),
        ([theirs(2, number="a"), theirs(3, number="a")], [ours(1)], [(Out.MATCHED, 1, ""), (Out.REPEATED, None, "")]),
        (
            [theirs(2, number="a"), theirs(3, number="a", cancelled=True)],
            [ours(1, undone=True)],
            [(Out.REPEATED, None, ""), (Out.CANCELLED, 1, "")],
        ),
        ([theirs(2, amount=5), theirs(3, amount=7)], [ours(1, amount=7), ours(2, amount=5)], [(Out.MATCHED, 2, ""), (Out.MATCHED, 1, "")]),
        ([theirs(2), theirs(3)], [ours(1)], [(Out.MATCHED, 1, ""), (Out.MISSING_HERE, None, "")]),
    ],
)
def test_what_a_line_comes_to(rows, lines, expected):
    assert outcomes(rows, lines) == expected


def test_what_another_file_had_is_not_missing_and_only_the_files_days_are_asked_for():
    before, after = NINE - timedelta(days=20), NINE + timedelta(days=40)
    lines = [ours(1, "A"), ours(2, "B"), ours(3, "C", at=before), ours(4, "D", at=after)]
    assert outcomes([], lines, frozenset({1})) == [(Out.MISSING_THERE, 2, "")]
    # The last day of the month where the partner is, the first of the next at noon in London.
    edge = datetime(2026, 9, 30, 15, 59, tzinfo=UTC)
    assert outcomes([], [ours(5, at=edge), ours(6, at=edge + timedelta(minutes=1))]) == [(Out.MISSING_THERE, 5, "")]
    (late,) = reconcile([theirs(2, "C", at=before)], lines[2:3], first=FIRST, end=END, zone=ZONE, known=frozenset())
    assert (late.outcome, late.late) == (Out.MATCHED, True)


_SOME = st.integers(0, 3)
_ROW = st.builds(
    lambda reference, amount, hour, number, cancelled: (f"R{reference}", amount, NINE + timedelta(hours=hour), number, cancelled),
    *(_SOME, _SOME, _SOME),
    st.sampled_from(["", "n1", "n2", "n3"]),
    st.booleans(),
)
_LINE = st.builds(
    lambda reference, amount, hour, undone: (f"r{reference}", amount, NINE + timedelta(hours=hour), undone),
    *(_SOME, _SOME, _SOME),
    st.booleans(),
)


@given(st.lists(_ROW, max_size=12), st.lists(_LINE, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_a_file_changes_nothing(rows, lines, dice):
    book = [Ours(number, reference, at, amount, undone) for number, (reference, amount, at, undone) in enumerate(lines, 1)]

    def come_to(order) -> list[tuple]:
        file = [Theirs(place, row[0], row[3], row[2], row[1], row[4]) for place, row in enumerate(order, 2)]
        found = reconcile(file, book, first=FIRST, end=END, zone=ZONE, known=frozenset())
        assert len([one for one in found if one.row is not None]) == len(order), "each line has its result"
        numbers = [one.line.number for one in found if one.line is not None]
        assert len(numbers) == len(set(numbers)), "a line of ours belongs to one of theirs"
        # By their words: of two equal rows one may have a line of ours and the other none.
        said = [(str(one.row and one.row[1:6]), one.outcome.value, str(one.line and one.line.number), one.why) for one in found]
        return sorted(said)

    shuffled = list(rows)
    dice.shuffle(shuffled)
    assert come_to(rows) == come_to(shuffled)


@pytest.mark.parametrize(
    ("said", "form", "expected"),
    [
        ("2026-09-10 09:00:00", "", NINE),
        ("2026/9/10 9:00", "", NINE),
        ("2026-09-10T01:00:00Z", "", NINE),
        ("10.09.2026 09:00", "%d.%m.%Y %H:%M", NINE),
        ("2026-09-10", "", NINE - timedelta(hours=9)),
    ],
)
def test_instants_are_read_in_the_partners_zone(said, form, expected):
    assert read_instant(said, form=form, zone=ZONE) == expected
    assert read_instant("2026-09-10 09:00", form="", zone="Europe/Prague") == datetime(2026, 9, 10, 9, tzinfo=ZoneInfo("Europe/Prague"))


@pytest.mark.parametrize("said", ["", "yesterday", "2026-13-01", "9:00"])
def test_what_is_no_instant_is_a_fault(said):
    with pytest.raises(Fault):
        read_instant(said, form="", zone=ZONE)


# --- on the book ---

HEAD = ["凭证", "金额", "时间", "流水号", "状态", "备注"]
ROWS = [
    ["AAA1", "100.00", "2026-09-10 09:00:00", "w1", "完成", ""],
    ["AAA2", "90.00", "2026-09-10 10:00:00", "w2", "完成", ""],
    ["AAA4", "100.00", "2026-09-11 09:00:00", "w4", "void", ""],
    ["AAA5", "100.00", "2026-08-30 09:00:00", "w5", "完成", "late"],
    ["AAA9", "100.00", "2026-09-12 09:00:00", "w9", "完成", ""],
    ["AAA8", "many", "2026-09-12 09:00:00", "w8", "完成", ""],
]
EXPECTED = {
    "AAA1": (Out.MATCHED, 1),
    "AAA2": (Out.DIFFERENT, 2),
    "AAA3": (Out.MISSING_THERE, 3),
    "AAA4": (Out.CANCELLED, 4),
    "AAA5": (Out.MATCHED, 5),
    "AAA8": (Out.UNREADABLE, None),
    "AAA9": (Out.MISSING_HERE, None),
}


def csv_of(rows, encoding="utf-8") -> bytes:
    return "\n".join(",".join(row) for row in [HEAD, *rows]).encode(encoding)


@pytest.fixture
async def book(session, partner, now):
    """Yield the partner with five redemptions of 100: four in September, one at the end of August, one undone."""
    worth = worth_of(TERMS, SLIP, gross_minor=10_000, saved_minor=10_000)
    for number in range(1, 6):
        at = NINE if number < 5 else datetime(2026, 8, 30, 1, tzinfo=UTC)
        entry = Entry(kind=LineKind.REDEMPTION, source=f"r:{number}", event_at=at, worth=worth, benefit=SLIP.code, reference=f"AAA{number}")
        await book_line(session, partner_id=partner, entry=entry, actor="system", now=now)
    await mirror_line(session, partner_id=partner, number=4, source="back:4", why="wrong", actor="system", now=now)
    return partner


async def kept(session, partner, file_id) -> dict[str, tuple[Out, int | None]]:
    return {one.reference: (one.outcome, one.line_number) for one in (await inbound_rows(session, file_id=file_id)).rows}


@pytest.mark.parametrize("form", ["csv", "gb18030", "xlsx", "shuffled"])
async def test_a_file_is_reconciled_line_by_line_however_it_is_written(session, book, people, now, form):
    rows = list(ROWS)
    random.Random(7).shuffle(rows)
    data = {
        "csv": lambda: csv_of(ROWS),
        "gb18030": lambda: csv_of(ROWS, "gb18030"),
        "xlsx": lambda: xlsx("九月", HEAD, ROWS, zone=ZONE),
        "shuffled": lambda: csv_of(rows),
    }[form]()
    made = await take_file(session, partner_id=book, name="sept.csv", data=data, about=ABOUT, actor=people[0], now=now)
    assert await kept(session, book, made) == EXPECTED
    one = await get_inbound(session, partner_id=book, file_id=made)
    assert one.outcomes == {"matched": 2, "different": 1, "missing_here": 1, "missing_there": 1, "cancelled": 1, "unreadable": 1}
    (late,) = [row.reference for row in (await inbound_rows(session, file_id=made)).rows if row.late]
    (unread,) = (await inbound_rows(session, file_id=made, outcomes=[Out.UNREADABLE])).rows
    assert (late, unread.place is not None) == ("AAA5", True)
    assert "many" in unread.why


async def test_the_same_file_is_the_same_run_and_another_reading_another(session, book, people, now):
    of = {"partner_id": book, "name": "sept.csv", "data": csv_of(ROWS), "actor": people[0], "now": now}
    first = await take_file(session, **of, about=ABOUT)
    assert await take_file(session, **of | {"name": "again.csv", "actor": people[1]}, about=ABOUT) == first
    assert await session.scalar(select(func.count()).select_from(PartnerInboundFile)) == 1
    assert await session.scalar(select(func.count()).select_from(PartnerInboundRow)) == len(EXPECTED)
    elsewhere = About(first_day=FIRST, end_day=END, zone="UTC", mapping=NAMES)
    assert await take_file(session, **of, about=elsewhere) != first
    assert len((await list_inbound(session, partner_id=book)).rows) == 2


async def test_looking_writes_nothing_and_a_later_file_finds_what_was_missing(session, book, people, now):
    found = await preview_file(session, partner_id=book, data=csv_of(ROWS), about=ABOUT)
    assert len(found) == len(EXPECTED)
    assert await session.scalar(select(func.count()).select_from(PartnerInboundFile)) == 0
    await take_file(session, partner_id=book, name="sept", data=csv_of(ROWS), about=ABOUT, actor=people[0], now=now)
    late = csv_of([["AAA3", "100.00", "2026-09-10 09:00", "w3", "", ""]])
    october = About(first_day=END, end_day=date(2026, 11, 1), zone=ZONE, mapping=NAMES)
    made = await take_file(session, partner_id=book, name="oct", data=late, about=october, actor=people[0], now=now)
    assert await kept(session, book, made) == {"AAA3": (Out.MATCHED, 3)}
    (again,) = await preview_file(session, partner_id=book, data=csv_of(ROWS[:1]), about=ABOUT)
    assert again.outcome is Out.MATCHED, "what any file had is missing no more"


@pytest.mark.parametrize(
    ("about", "data", "refusal"),
    [
        (About(first_day=END, end_day=FIRST, zone=ZONE, mapping=NAMES), csv_of(ROWS), InboundNotSound),
        (About(first_day=FIRST, end_day=END, zone="Mars/Base", mapping=NAMES), csv_of(ROWS), InboundNotSound),
        (About(first_day=FIRST, end_day=END, zone=ZONE, mapping=NONE), csv_of(ROWS), InboundNotSound),
        (
            About(first_day=FIRST, end_day=END, zone=ZONE, mapping=OTHER),
            csv_of(ROWS),
            ColumnMissing,
        ),
        (ABOUT, b"\x00\x01", SheetNotReadable),
    ],
)
async def test_a_file_that_cannot_be_read_is_refused(session, book, people, now, about, data, refusal):
    with pytest.raises(refusal):
        await take_file(session, partner_id=book, name="x", data=data, about=about, actor=people[0], now=now)


async def test_another_partners_file_is_unknown(session, book, people, now):
    made = await take_file(session, partner_id=book, name="sept", data=csv_of(ROWS), about=ABOUT, actor=people[0], now=now)
    with pytest.raises(InboundNotFound):
        await get_inbound(session, partner_id=made, file_id=made)


def test_references_are_compared_without_spaces_and_case():
    assert spelled(" 7k-QF ") == spelled("7KQF")
