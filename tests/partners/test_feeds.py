"""The insurer's list: who agreed is in it, who did not never is, who withdrew is removed; what left is proved, and opens for one only."""

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from loyalty.crypto.age import AgeError, is_recipient, new_identity, open_sealed, seal_for
from loyalty.customers.model import Consent, CustomerKind, MergeBasis
from loyalty.customers.operations import CustomerFacts, change_customer, merge_customers
from loyalty.db import transaction
from loyalty.rewards.model_vouchers import ValueType, Voucher
from loyalty.rewards.operations.voucher_kinds import KindFacts, put_kind
from loyalty.rewards.operations.vouchers import cancel_voucher
from partners.demo_feeds import feed_insurer
from partners.feed_rules import FileBroken, Standing, band_of, due_after, months_after, read_file, verdict
from partners.model import PartnerStatus
from partners.model_feeds import (
    FEED_MOVES,
    REGISTRATION_MOVES,
    FeedChannel,
    FeedColumn,
    FeedStatus,
    LogEvent,
    PartnerRegistration,
    RecordKind,
    RegistrationStatus,
    Rhythm,
)
from partners.operations.agreements import AnotherPersonApproves
from partners.operations.alliances import move_partner
from partners.operations.feed_runs import FeedHoldsWithdrawn, hand_out, preview, run_due, send_now
from partners.operations.feeds import FeedCannotMove, FeedFacts, FeedNotSound, decide_feed, propose_feed
from partners.operations.registrations import NothingToFollowUp, note_follow_up, register
from partners.queries.feeds import FeedNotFound, file_of_batch, get_feed, log_of, rows_of, sent_about
from partners.queries.registrations import list_lapses
from tests.partners.conftest import SLIP, TODAY
from tests.partners.feeding import CODE, COLUMNS, KIND, MONDAY, Feeding, feeding_house
from tests.rewards.conftest import key_set, keys

__all__ = ["key_set", "keys"]

WEEK = timedelta(days=7)
STATUS = RegistrationStatus


@pytest.fixture
async def house(sessions, now) -> Feeding:
    return await feeding_house(sessions, now)


async def registrations(house) -> dict[str, STATUS]:
    names = {customer_id: name for name, customer_id in house.people.items()}
    async with transaction(house.sessions) as session:
        found = await session.execute(select(PartnerRegistration.customer_id, PartnerRegistration.status))
        return {names[customer_id]: status for customer_id, status in found}


# --- the four consents ---


async def test_who_agreed_is_listed_who_did_not_never_is_and_who_withdraws_is_removed(house, now):
    await house.person("given", now)
    await house.person("never", now, consents=None)
    await house.person("before", now)
    await house.person("after", now)
    await house.says("before", False, now + timedelta(hours=1))
    assert await house.runs(MONDAY - timedelta(seconds=1)) == 0, "not due yet"
    assert await house.runs(MONDAY) == 1
    assert await house.runs(MONDAY + timedelta(minutes=1)) == 0, "once for its instant"
    (first,) = await house.batches()
    assert await house.told() == [[("N", "after"), ("N", "given")]]
    assert (first.new, first.corrections, first.removals, first.held_back, first.cover_minor) == (2, 0, 0, 2, 6_000_000)

    await house.says("after", False, MONDAY + timedelta(days=1))
    await house.runs(MONDAY + WEEK)
    _first, second = await house.batches()
    lines = await house.read(second)
    assert [line[0] for line in lines] == ["H", "C", "R"]
    assert len(lines[2]) == 2, "a removal says the slip's number and nothing else"
    assert (second.sequence, second.new, second.removals, second.cover_minor) == (2, 0, 1, 0)
    assert await registrations(house) == {"given": STATUS.SENT, "after": STATUS.REMOVED}, "the others are not even registered"
    await house.runs(MONDAY + 2 * WEEK)
    assert (await house.batches())[2].removals == 0, "told once"


async def test_the_log_proves_on_which_consent_each_line_rested(house, now):
    await house.person("after", now)
    await house.runs(MONDAY)
    await house.says("after", False, MONDAY + timedelta(days=1))
    await house.runs(MONDAY + WEEK)
    async with transaction(house.sessions) as session:
        registration = await session.scalar(select(PartnerRegistration.registration_id))
        lines = await sent_about(session, registration_id=registration)
        said = dict((await session.execute(select(Consent.consent_id, Consent.granted))).all())
        log = await log_of(session, partner_id=house.partner_id)
    assert [(batch.sequence, row.kind, said[row.consent_id]) for batch, row in lines] == [
        (1, RecordKind.NEW, True),
        (2, RecordKind.REMOVAL, False),
    ]
    assert [(one.sequence, one.event) for one in log.rows] == [(2, LogEvent.MADE), (1, LogEvent.MADE)]


@pytest.mark.parametrize(
    ("table", "column"),
    [("partner_feed_batches", "held_back"), ("partner_feed_rows", "ordinal"), ("partner_feed_log", "at"), ("consent_wordings", "title_en")],
)
async def test_nobody_changes_what_left(house, now, table, column):
    await house.person("given", now)
    await house.runs(MONDAY)
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        with pytest.raises(DBAPIError, match=r"append-only|permission denied"):
            async with transaction(house.sessions) as session:
                await session.execute(text(statement))


async def test_who_agrees_again_is_listed_again(house, now):
    await house.person("back", now)
    await house.runs(MONDAY)
    await house.says("back", False, MONDAY + timedelta(hours=1))
    await house.runs(MONDAY + WEEK)
    await house.says("back", True, MONDAY + WEEK + timedelta(hours=1))
    await house.runs(MONDAY + 2 * WEEK)
    assert [[line[0] for line in file] for file in await house.told()] == [["N"], ["R"], ["N"]]


async def test_a_withdrawal_in_the_middle_of_sending_waits_or_was_seen(house, now):
    """The two meet at the customer's row: the file that is being made either has the person, and the next removes them, or has not."""
    await house.person("racing", now)
    async with transaction(house.sessions) as session:
        assert await run_due(session, feed_id=house.feed_id, sender="x@example.com", actor=house.maker, now=MONDAY) is not None
        late = asyncio.create_task(house.says("racing", False, MONDAY + timedelta(seconds=1)))
        for _ in range(20):
            await asyncio.sleep(0)
            waiting = await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            if waiting:
                break
        else:
            while not await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
                assert not late.done()
        assert not late.done(), "the withdrawal waits for the file"
    await late
    await house.runs(MONDAY + WEEK)
    assert [[line[0] for line in file] for file in await house.told()] == [["N"], ["R"]]


# --- corrections, cancelling, merging, lapsing ---


async def test_what_changed_of_a_person_is_corrected_once(house, now):
    await house.person("old name", now)
    await house.person("same", now)
    await house.runs(MONDAY)
    async with transaction(house.sessions) as session:
        facts = CustomerFacts(kind=CustomerKind.PERSON, name="=new name", phone="13900139999")
        await change_customer(session, customer_id=house.people["old name"], facts=facts, actor=house.maker, now=MONDAY)
    await house.runs(MONDAY + WEEK)
    await house.runs(MONDAY + 2 * WEEK)
    assert await house.told() == [
        [("N", "old name"), ("N", "same")],
        [("K", "'=new name")],
        [],
    ]
    assert (await registrations(house))["old name"] is STATUS.CORRECTED


async def test_a_voucher_that_was_taken_back_is_removed_and_never_sent(house, now):
    await house.person("sent", now)
    await house.runs(MONDAY)
    await house.person("waiting", MONDAY)
    async with transaction(house.sessions) as session:
        await register(session, partner_id=house.partner_id, benefit="claim-slip", now=MONDAY)
        for voucher_id in await session.scalars(select(Voucher.voucher_id)):
            await cancel_voucher(session, voucher_id=voucher_id, reason="refunded", actor=house.maker, now=MONDAY)
    await house.runs(MONDAY + WEEK)
    assert [[line[0] for line in file] for file in await house.told()] == [["N"], ["R"]]
    assert set((await registrations(house)).values()) == {STATUS.REMOVED}


async def test_consents_and_facts_are_those_of_the_whole_family(house, now):
    """What the merged record said counts, and what is said for the one that stays ends it for both."""
    await house.person("merged", now)
    await house.person("kept", now, consents=None, vouchers=0)
    async with transaction(house.sessions) as session:
        of = {"kept_id": house.people["kept"], "merged_id": house.people["merged"]}
        await merge_customers(session, **of, basis=MergeBasis.DECISION, reason="one", actor=house.maker, now=now + timedelta(hours=1))
    await house.runs(MONDAY)
    await house.says("kept", False, MONDAY + timedelta(hours=1))
    await house.runs(MONDAY + WEEK)
    assert await house.told() == [[("N", "kept")], [("R",)]]


async def test_what_lapsed_is_followed_up_once_and_still_removed(house, now):
    await house.person("lapsing", now)
    await house.runs(MONDAY)
    over = MONDAY + timedelta(days=366)
    await house.runs(over)
    assert await registrations(house) == {"lapsing": STATUS.LAPSED}
    async with transaction(house.sessions) as session:
        (one,) = (await list_lapses(session, partner_id=house.partner_id, until=date(2027, 12, 1))).rows
        assert (one.valid_from, one.valid_until) == (date(2026, 9, 24), date(2027, 9, 24))
        said = {"partner_id": house.partner_id, "registration_id": one.registration_id, "said": "wants three years", "now": over}
        await note_follow_up(session, **said, actor=house.maker)
        with pytest.raises(NothingToFollowUp):
            await note_follow_up(session, **said, actor=house.maker)
        assert (await list_lapses(session, partner_id=house.partner_id, until=date(2027, 12, 1))).rows == []
    await house.says("lapsing", False, over)
    await house.runs(over + WEEK)
    assert (await house.told())[-1] == [("R",)]


async def test_an_alliance_that_stands_still_sends_removals_alone(house, now):
    await house.person("first", now)
    await house.runs(MONDAY)
    await house.person("second", MONDAY)
    await house.says("first", False, MONDAY)
    async with transaction(house.sessions) as session:
        to = {"to": PartnerStatus.SUSPENDED, "today": TODAY, "reason": "talks", "actor": house.maker, "now": MONDAY}
        await move_partner(session, partner_id=house.partner_id, **to)
    await house.runs(MONDAY + WEEK)
    assert (await house.told())[-1] == [("R",)]


# --- the file ---


async def test_a_file_opens_for_its_recipient_alone_and_says_only_what_was_agreed(house, now):
    await house.propose(now, columns=(FeedColumn.VALID_UNTIL, FeedColumn.NAME))
    await house.person("张伟", now)
    await house.runs(MONDAY)
    (batch,) = await house.batches()
    lines = await house.read(batch)
    assert lines[0][:5] == ["H", "1", CODE, "claim-slip", "1"]
    assert lines[1] == ["C", "slip_number", "name", "valid_until"], "in one order, whatever order was ticked"
    assert lines[2][0] == "N"
    assert lines[2][2:] == ["张伟", "2027-09-23"]
    async with transaction(house.sessions) as session:
        file = await file_of_batch(session, batch_id=batch.batch_id)
        row = (await rows_of(session, batch_id=batch.batch_id)).rows[0]
    assert lines[2][1] == row.slip
    assert "张伟".encode() not in file
    other, _public = new_identity()
    for identity, content in ((other, file), (house.identity, file[:-1] + bytes([file[-1] ^ 1])), (house.identity, b"x" + file)):
        with pytest.raises(AgeError):
            open_sealed(identity, content)


async def test_every_column_says_what_it_is_called(house, now):
    await house.person("李娜", now)
    await house.runs(MONDAY)
    _head, names, line = await house.read((await house.batches())[0])
    told = dict(zip(names[2:], line[2:], strict=True))
    assert told == {
        "name": "李娜",
        "document_type": "passport",
        "document_number": "E10000000",
        "phone": "+8613900139000",
        "plate": "沪A12345",
        "opened_on": "",
        "cover": "30000.00",
        "valid_from": "2026-09-24",
        "valid_until": "2027-09-23",
    }


async def test_control_totals_tell_what_was_changed_on_the_way(house, now):
    await house.person("a", now)
    await house.person("b", now)
    await house.runs(MONDAY)
    (batch,) = await house.batches()
    async with transaction(house.sessions) as session:
        content = open_sealed(house.identity, await file_of_batch(session, batch_id=batch.batch_id))
    read_file(content)
    lines = content.split(b"\r\n")
    for broken in (lines[:2] + lines[3:], [*lines[:3], lines[2], *lines[3:]], [line.replace(b"30000.00", b"30000.01") for line in lines]):
        with pytest.raises(FileBroken):
            read_file(b"\r\n".join(broken))


@given(st.binary(max_size=300) | st.integers(65_530, 65_545).map(bytes) | st.just(bytes(200_000)))
def test_what_is_sealed_opens_again(content):
    identity, recipient = new_identity()
    assert is_recipient(recipient)
    assert open_sealed(identity, seal_for(recipient, content)) == content


@pytest.mark.parametrize("text_", ["", "age1", "age1qqqq", "AGE-SECRET-KEY-1X", "age1" + "q" * 58])
def test_what_is_no_public_key_is_none(text_):
    assert not is_recipient(text_)
    _identity, recipient = new_identity()
    assert not is_recipient(recipient[:-1] + ("q" if recipient[-1] != "q" else "p"))


# --- instants ---


def test_a_feed_is_due_at_its_local_hour():
    berlin, of = "Europe/Berlin", {"weekday": 1, "month_day": 1, "at": time(9)}
    before = datetime(2026, 10, 24, 12, tzinfo=UTC)  # the Saturday before summer time ends
    due = due_after(Rhythm.WEEKLY, **of, zone=berlin, after=before)
    assert due == datetime(2026, 10, 26, 8, tzinfo=UTC), "nine o'clock in winter"
    assert due_after(Rhythm.WEEKLY, **of, zone=berlin, after=due) == due + WEEK
    assert due_after(Rhythm.MONTHLY, **of, zone=berlin, after=due) == datetime(2026, 11, 1, 8, tzinfo=UTC)
    assert due_after(Rhythm.DAILY, **of, zone=berlin, after=due) == due + timedelta(days=1)


@given(st.sampled_from(Rhythm), st.integers(0, 1_000_000), st.times())
def test_the_next_instant_is_later_and_on_its_day(rhythm, minutes, at):
    after = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    due = due_after(rhythm, weekday=3, month_day=28, at=at.replace(fold=0), zone="Europe/Berlin", after=after)
    local = due.astimezone(ZoneInfo("Europe/Berlin"))
    assert due > after
    assert due - after <= {Rhythm.DAILY: timedelta(days=2), Rhythm.WEEKLY: timedelta(days=8), Rhythm.MONTHLY: timedelta(days=32)}[rhythm]
    if at.hour not in {2, 3}:
        assert (local.hour, local.minute) == (at.hour, at.minute)
        assert rhythm is not Rhythm.WEEKLY or local.isoweekday() == 3


async def test_weeks_that_nobody_ran_are_made_up_for_by_one_file(house, now):
    await house.person("given", now)
    assert await house.runs(MONDAY + 3 * WEEK + timedelta(hours=5)) == 1
    async with transaction(house.sessions) as session:
        feed = await get_feed(session, partner_id=house.partner_id, feed_id=house.feed_id)
    assert (feed.next_due, feed.last_sequence) == (MONDAY + 4 * WEEK, 1)


async def test_ten_schedulers_at_once_make_one_file(house, now):
    await house.person("given", now)
    assert sum(await asyncio.gather(*(house.runs(MONDAY) for _ in range(10)))) == 1
    assert [one.sequence for one in await house.batches()] == [1]


# --- rules ---


@pytest.mark.parametrize("status", STATUS)
@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("consents", [False, True])
@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize("same", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_every_verdict_is_a_move_and_nothing_leaves_without_consent(status, held, consents, cancelled, same, whole):
    ruled = verdict(Standing(status, held, b"1", consents, cancelled), b"1" if same else b"2", whole=whole)
    to = ruled[1] if isinstance(ruled, tuple) else ruled
    if isinstance(ruled, tuple):
        assert (consents and not cancelled) or ruled[0] is RecordKind.REMOVAL
        assert held or ruled[0] is RecordKind.NEW, "whom the partner does not have is neither corrected nor removed"
    if held and status is not STATUS.REMOVED and (not consents or cancelled):
        assert isinstance(ruled, tuple), "whom the partner has is removed"
    sound = held == (status in {STATUS.SENT, STATUS.CORRECTED}) or status is STATUS.LAPSED
    if to is not None and sound and to is not status:
        assert to in REGISTRATION_MOVES[status]


def test_a_voucher_stands_for_the_band_that_was_paid_else_the_shortest():
    assert [band_of(SLIP, face).months for face in (30_000, 20_000, 10_000, None, 7)] == [60, 36, 12, 12, 12]
    assert months_after(date(2024, 2, 29), 12) == date(2025, 2, 28)
    assert months_after(date(2026, 12, 31), 2) == date(2027, 2, 28)


# --- definition ---


async def test_two_people_stand_for_a_feed_and_a_change_stops_it(house, now):
    ids = {"partner_id": house.partner_id, "feed_id": house.feed_id}
    facts = FeedFacts(benefit="claim-slip", columns=[FeedColumn.NAME], recipient=house.recipient)
    async with transaction(house.sessions) as session:
        await propose_feed(session, **ids, facts=facts, actor=house.maker, now=now)
        with pytest.raises(AnotherPersonApproves):
            await decide_feed(session, **ids, to=FeedStatus.ACTIVE, actor=house.maker, now=now)
    assert await house.runs(MONDAY) == 0, "nothing leaves by what one person said alone"
    async with transaction(house.sessions) as session:
        with pytest.raises(FeedCannotMove):
            await send_now(session, **ids, whole=False, sender="x@example.com", actor=house.maker, now=now)
        with pytest.raises(FeedNotFound):
            await get_feed(session, partner_id=house.feed_id, feed_id=house.feed_id)


@pytest.mark.parametrize(
    "wrong",
    [
        {"benefit": "other"},
        {"columns": ()},
        {"recipient": "age1nobody"},
        {"channel": FeedChannel.MAIL},
        {"channel": FeedChannel.WEBHOOK, "webhook_url": "https://10.0.0.1/"},
        {"month_day": 31},
        {},
    ],
)
async def test_a_feed_that_cannot_be_is_refused(house, now, wrong):
    facts = FeedFacts(**{"benefit": "claim-slip", "columns": COLUMNS, "recipient": house.recipient} | wrong)
    async with transaction(house.sessions) as session:
        with pytest.raises(FeedNotSound):
            await propose_feed(session, partner_id=house.partner_id, facts=facts, actor=house.maker, now=now)


@pytest.mark.parametrize("to", FeedStatus)
async def test_a_feed_moves_as_its_table_says(house, now, to):
    ids = {"partner_id": house.partner_id, "feed_id": house.feed_id, "actor": house.checker, "now": now}
    async with transaction(house.sessions) as session:
        if to in FEED_MOVES[FeedStatus.ACTIVE] and to is not FeedStatus.PROPOSED:
            await decide_feed(session, **ids, to=to)
            assert (await get_feed(session, partner_id=house.partner_id, feed_id=house.feed_id)).next_due is None
        elif to is not FeedStatus.PROPOSED:
            with pytest.raises(FeedCannotMove):
                await decide_feed(session, **ids, to=to)


# --- handing out ---


async def test_the_same_bytes_are_handed_out_again_until_somebody_withdraws(house, now):
    await house.person("a", now)
    await house.person("b", now)
    await house.runs(MONDAY)
    (batch,) = await house.batches()
    ids = {"partner_id": house.partner_id, "batch_id": batch.batch_id, "actor": house.checker}
    async with transaction(house.sessions) as session:
        first = await hand_out(session, **ids, now=MONDAY)
        assert await hand_out(session, **ids, now=MONDAY) == first
        assert [one.event for one in (await log_of(session, partner_id=house.partner_id)).rows] == [
            LogEvent.DOWNLOADED,
            LogEvent.DOWNLOADED,
            LogEvent.MADE,
        ]
    await house.says("a", False, MONDAY + timedelta(hours=1))
    async with transaction(house.sessions) as session:
        with pytest.raises(FeedHoldsWithdrawn):
            await hand_out(session, **ids, now=MONDAY + timedelta(hours=2))
        of = {"partner_id": house.partner_id, "feed_id": house.feed_id, "sender": "x@example.com", "actor": house.checker}
        await send_now(session, **of, whole=True, now=MONDAY + timedelta(hours=3))
    assert (await house.told())[1] == [("N", "b"), ("R",)]


async def test_a_preview_says_what_the_next_file_will_and_writes_nothing(house, now):
    await house.person("given", now)
    await house.person("never", now, consents=None)
    async with transaction(house.sessions) as session:
        said, nobody = await preview(session, partner_id=house.partner_id, benefit="claim-slip", columns=COLUMNS, now=now)
        assert await session.scalar(select(func.count()).select_from(PartnerRegistration)) == 0
    assert (said.totals.new, said.held_back, nobody) == (1, 1, 0)
    await house.runs(MONDAY)
    (batch,) = await house.batches()
    assert (await house.read(batch))[2][1:] == list(said.records[0].cells)


async def test_the_demos_insurer_has_lists_a_removal_and_somebody_to_come(house, now):
    async with transaction(house.sessions) as session:
        await decide_feed(session, partner_id=house.partner_id, feed_id=house.feed_id, to=FeedStatus.ENDED, actor=house.checker, now=now)
    for number in range(12):
        await house.person(f"p{number}", now, consents=None, vouchers=0)
    async with transaction(house.sessions) as session:
        of = {"partner_id": house.partner_id, "office": house.maker, "finance": house.checker}
        facts = KindFacts(name_zh="凭证", name_en="Slip", value_type=ValueType.PARTNER, zone="Asia/Shanghai", limit_total=500)
        await put_kind(session, code=KIND, facts=facts, actor=house.maker, now=now)
        house.identity = await feed_insurer(session, **of, benefit="claim-slip", began=now, now=MONDAY + WEEK)
    told = await house.told()
    assert [{line[0] for line in file} for file in told] == [{"N"}, {"R"}, set()]
    async with transaction(house.sessions) as session:
        said, _nobody = await preview(session, partner_id=house.partner_id, benefit="claim-slip", columns=COLUMNS[:1], now=MONDAY + WEEK)
    assert said.totals.new == 2
