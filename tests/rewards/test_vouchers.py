"""Vouchers: what an issuer, an outlet and a refund may do with them, one after the other and all at once."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update

from loyalty.db import transaction
from loyalty.rewards.model_vouchers import (
    EVERYBODY,
    REDEMPTION_MOVES,
    VOUCHER_MOVES,
    RedemptionStatus,
    ValueType,
    Voucher,
    VoucherCounter,
    VoucherEvent,
    VoucherRedemption,
    VoucherStatus,
)
from loyalty.rewards.operations.redemptions import (
    AmountNotTaken,
    CodeNotHonoured,
    RedemptionRolledBack,
    RedemptionUnknown,
    ReservationLapsed,
    RollBackTooLate,
    TooManyWrongCodes,
    VoucherKeyReused,
    admit_code,
    expire_due,
    redeem,
    redeem_code,
    release_lapsed,
    reserve,
    roll_back,
)
from loyalty.rewards.operations.voucher_kinds import KindFacts, KindInUse, KindNotWhole, LimitBelowIssued, put_kind, stop_kind
from loyalty.rewards.operations.vouchers import (
    GrantDiffers,
    Issued,
    TakenBack,
    VoucherCannotMove,
    VoucherWish,
    cancel_voucher,
    issue,
    issue_many,
    take_back,
)
from loyalty.rewards.queries import vouchers as queries
from loyalty.rewards.voucher_rules import (
    Room,
    after_roll_back,
    allot,
    expiry,
    is_honoured,
    new_voucher_code,
    read_voucher_code,
    shown_code,
    use_of,
)
from tests.factories.world import SYSTEM, make_world

from .people import new_customer

S1 = frozenset({"station:S1", "district:D1", "region:R1"})


def facts(**more) -> KindFacts:
    given_facts = {
        "name_zh": "五十元券",
        "name_en": "50 off",
        "value_type": ValueType.MONEY,
        "zone": "Asia/Shanghai",
        "face_minor": 5_000,
        "currency": "CNY",
        "validity_days": 30,
    }
    if more.get("value_type", ValueType.MONEY) is not ValueType.MONEY:
        given_facts |= {"face_minor": None, "currency": None}
    return KindFacts(**given_facts | more)


class Shop:
    """A station that issues and honours vouchers."""

    def __init__(self, session, now) -> None:
        self.session, self.now = session, now
        self.sources = 0

    async def furnish(self):
        self.world = await make_world(self.session, now=self.now)
        self.outlet = await queries.outlet_of_station(
            self.session, station_id=self.world.station_id, terminal_id=self.world.terminal_ids[0]
        )
        return self

    async def kind(self, code="fifty", **more):
        return await put_kind(self.session, code=code, facts=facts(**more), actor=SYSTEM, now=self.now)

    def wish(self, kind="fifty", source=None, **more) -> VoucherWish:
        self.sources += 1
        return VoucherWish(kind, "grant", source or f"source-{self.sources}", **more)

    async def issue(self, kind="fifty", **more) -> Issued:
        return await issue(self.session, wish=self.wish(kind, **more), actor=SYSTEM, now=self.now)

    async def one(self, kind="fifty", **more):
        return (await self.issue(kind, **more)).voucher_ids[0]

    async def reserve(self, voucher_id, key=None, now=None, **more):
        options = {"at": self.outlet, "key": key or uuid4(), "actor": SYSTEM, "now": now or self.now} | more
        return await reserve(self.session, voucher_id=voucher_id, **options)

    async def redeem(self, key, now=None, **more):
        return await redeem(self.session, **({"at": self.outlet, "key": key, "actor": SYSTEM, "now": now or self.now} | more))

    async def roll_back(self, key, now=None, **more):
        options = {"at": self.outlet, "key": key, "reason": "wrong car", "actor": SYSTEM, "now": now or self.now} | more
        return await roll_back(self.session, **options)

    async def use(self, voucher_id, now=None, amount_minor=None, plate=None):
        key = uuid4()
        await self.reserve(voucher_id, key, now, amount_minor=amount_minor, plate=plate)
        return key, await self.redeem(key, now)

    async def voucher(self, voucher_id):
        return await queries.get_voucher(self.session, voucher_id=voucher_id)

    async def code(self, voucher_id):
        (shown,) = await queries.codes_of(self.session, voucher_ids=[voucher_id])
        return shown.code

    async def counter(self, code="fifty", subject=EVERYBODY):
        kind = await queries.get_kind(self.session, code=code)
        statement = select(VoucherCounter.issued).where(VoucherCounter.kind_id == kind.kind_id, VoucherCounter.subject_id == subject)
        return await self.session.scalar(statement)

    async def steps(self, voucher_id):
        return [event.moved_to.value for event in await queries.voucher_history(self.session, voucher_id=voucher_id)]


@pytest.fixture
async def shop(session, now):
    shop = await Shop(session, now).furnish()
    await shop.kind()
    return shop


# Codes


@given(st.binary(min_size=7, max_size=7), st.data())
def test_a_code_is_read_as_it_was_made_and_one_slip_or_swap_is_caught(drawn, data):
    code = new_voucher_code(randbytes=lambda count: drawn[:count])
    shown = shown_code(code)
    assert [len(group) for group in shown.split("-")] == [4, 4, 4]
    assert read_voucher_code(f" {shown.lower().replace('0', 'o').replace('1', 'l')} ") == code
    at = data.draw(st.integers(0, 11))
    other = data.draw(st.sampled_from([symbol for symbol in "0123456789ABCDEFGHJKMNPQRSTVWXYZ" if symbol != code[at]]))
    assert read_voucher_code(code[:at] + other + code[at + 1 :]) is None
    at = data.draw(st.integers(0, 10))
    swapped = code[:at] + code[at + 1] + code[at] + code[at + 2 :]
    assert swapped == code or read_voucher_code(swapped) is None


def test_a_code_has_55_random_bits():
    codes = {new_voucher_code(randbytes=lambda _, bit=bit: (1 << bit).to_bytes(7, "big")) for bit in range(1, 56)}
    assert len(codes) == 55
    assert len({new_voucher_code() for _ in range(1000)}) == 1000


@pytest.mark.parametrize("typed", ["", "7K3F", "7K3F-9QXM-2WT", "7K3F-9QXM-2WTU", "７K3F-9QXM-2WTD"])
def test_other_text_is_no_code(typed):
    assert read_voucher_code(typed) is None


# Rules


@pytest.mark.parametrize(
    ("outlets", "at", "honoured"),
    [
        (["any"], {"partner:P1"}, True),
        (["stations"], {"partner:P1"}, False),
        (["stations"], S1, True),
        (["station:S1"], S1, True),
        (["district:D1"], S1, True),
        (["region:R2"], S1, False),
        (["station:S2", "partner:P1"], {"partner:P1"}, True),
        ([], S1, False),
    ],
)
def test_where_a_kind_is_honoured(outlets, at, honoured):
    assert is_honoured(outlets, at=at) is honoured


def test_validity_ends_at_midnight_of_the_zone(now):
    # 24 September 10:15 in Shanghai; good for one day more: until 26 September 00:00 there.
    assert expiry(now=now, zone="Asia/Shanghai", validity_days=1, ends_at=None) == datetime(2026, 9, 25, 16, tzinfo=UTC)
    # The clock goes back that night in Prague: the day has 25 hours.
    assert expiry(now=datetime(2026, 10, 24, 12, tzinfo=UTC), zone="Europe/Prague", validity_days=1, ends_at=None) == datetime(
        2026, 10, 25, 23, tzinfo=UTC
    )
    assert expiry(now=now, zone="Asia/Shanghai", validity_days=None, ends_at=now) == now
    assert expiry(now=now, zone="Asia/Shanghai", validity_days=None, ends_at=None) is None


@pytest.mark.parametrize(
    ("wanted", "room", "answer"),
    [
        (3, Room(None, None), (3, None)),
        (3, Room(2, None), (2, "limit_each")),
        (3, Room(None, 1), (1, "limit_total")),
        (3, Room(2, 0), (0, "limit_total")),
        (1, Room(0, 9), (0, "limit_each")),
    ],
)
def test_the_last_one_gets_what_is_left(wanted, room, answer):
    assert allot(wanted, room) == answer


@pytest.mark.parametrize(
    ("left", "partial", "amount", "use"),
    [
        (5_000, False, None, (5_000, 5_000)),
        (5_000, False, 3_000, (5_000, 3_000)),
        (5_000, True, 3_000, (3_000, 3_000)),
        (5_000, True, 9_000, (5_000, 5_000)),
        (None, False, None, (None, None)),
    ],
)
def test_what_a_use_takes_and_saves(left, partial, amount, use):
    assert use_of(left_minor=left, partial=partial, amount_minor=amount) == use


# Moves


def test_every_status_has_its_row_and_none_leads_to_itself():
    for moves, statuses in ((VOUCHER_MOVES, VoucherStatus), (REDEMPTION_MOVES, RedemptionStatus)):
        assert set(moves) == set(statuses)
        assert not [status for status in statuses if status in moves[status]]


@pytest.mark.parametrize("present", VoucherStatus)
async def test_only_a_voucher_that_is_issued_can_be_set_aside(shop, present):
    voucher_id = await shop.one()
    await shop.session.execute(update(Voucher).where(Voucher.voucher_id == voucher_id).values(status=present))
    if present is VoucherStatus.RESERVED:
        return  # another outlet has it: below
    # What has run out is set aside only for what was served before its end.
    if VoucherStatus.RESERVED in VOUCHER_MOVES[present] and present is not VoucherStatus.EXPIRED:
        assert (await shop.reserve(voucher_id)).status is RedemptionStatus.RESERVED
        assert (await shop.voucher(voucher_id)).status is VoucherStatus.RESERVED
    else:
        with pytest.raises(CodeNotHonoured):
            await shop.reserve(voucher_id)


@pytest.mark.parametrize("present", VoucherStatus)
async def test_only_an_unused_voucher_can_be_cancelled(shop, now, present):
    voucher_id = await shop.one()
    await shop.session.execute(update(Voucher).where(Voucher.voucher_id == voucher_id).values(status=present))
    work = cancel_voucher(shop.session, voucher_id=voucher_id, reason="misprint", actor=SYSTEM, now=now)
    if VoucherStatus.CANCELLED in VOUCHER_MOVES[present]:
        await work
        assert (await shop.voucher(voucher_id)).status is VoucherStatus.CANCELLED
    else:
        with pytest.raises(VoucherCannotMove):
            await work


@pytest.mark.parametrize("present", VoucherStatus)
async def test_only_an_issued_voucher_expires(shop, now, present):
    voucher_id = await shop.one()
    await shop.session.execute(update(Voucher).where(Voucher.voucher_id == voucher_id).values(status=present))
    assert await expire_due(shop.session, actor=SYSTEM, now=now + timedelta(days=40)) == (present is VoucherStatus.ISSUED)


@pytest.mark.parametrize(("present", "was_open", "ended"), [*product(VoucherStatus, (True, False), (True, False))])
def test_a_roll_back_makes_only_moves_of_the_table(present, was_open, ended):
    now = datetime(2026, 9, 24, tzinfo=UTC)
    to = after_roll_back(present, was_open=was_open, expires_at=now if ended else now + timedelta(days=1), now=now)
    # A voucher whose rest is issued gets its part back, or ends at last.
    assert to is present or to in VOUCHER_MOVES[present]
    assert not (ended and to is VoucherStatus.ISSUED)


# Issuing


async def test_a_grant_is_issued_once_for_ever(shop):
    first = await shop.issue(source="sale-1", wanted=2)
    again = await shop.issue(source="sale-1", wanted=2)
    assert first == again == Issued(2, 2, None, first.voucher_ids)
    assert await shop.counter() == 2
    with pytest.raises(GrantDiffers):
        await shop.issue(source="sale-1", wanted=3)


async def test_the_last_one_gets_what_is_left_and_a_replay_says_the_same(shop, now):
    await shop.kind("policy", value_type=ValueType.PARTNER, limit_total=5)
    assert (await shop.issue("policy", wanted=3)).given == 3
    short = await shop.issue("policy", source="last", wanted=3)
    assert (short.wanted, short.given, short.short) == (3, 2, "limit_total")
    assert (await shop.issue("policy")).given == 0
    # Room that comes later is for later grants.
    await put_kind(shop.session, code="policy", facts=facts(value_type=ValueType.PARTNER, limit_total=9), actor=SYSTEM, now=now)
    assert await shop.issue("policy", source="last", wanted=3) == short
    assert (await shop.issue("policy", wanted=9)).given == 4


async def test_a_customer_s_limit_holds_over_all_records_of_one_identity(shop, now):
    await shop.kind("each", limit_each=2, limit_total=3)
    kept, merged = await new_customer(shop.session, now), await new_customer(shop.session, now)
    await shop.session.execute(
        text("UPDATE customers SET status = 'merged', merged_into = :kept WHERE customer_id = :merged"), {"kept": kept, "merged": merged}
    )
    assert (await shop.issue("each", customer_id=kept)).given == 1
    second = await shop.issue("each", customer_id=merged, wanted=2)
    assert (second.given, second.short) == (1, "limit_each")
    other = await new_customer(shop.session, now)
    third = await shop.issue("each", customer_id=other, wanted=2)
    assert (third.given, third.short) == (1, "limit_total")
    assert (await shop.issue("each")).short == "holder"


async def test_many_are_issued_at_once_as_one_by_one(shop, now):
    await shop.kind("each", limit_each=2, limit_total=7)
    people = [await new_customer(shop.session, now) for _ in range(4)]
    wishes = [shop.wish("each", customer_id=person, wanted=3) for person in people] + [shop.wish(wanted=2)]
    answers = await issue_many(shop.session, wishes=[*wishes, wishes[0]], actor=SYSTEM, now=now)
    assert [answer.given for answer in answers] == [2, 2, 2, 1, 2, 2]
    assert await issue_many(shop.session, wishes=wishes, actor=SYSTEM, now=now) == answers[:5]
    assert await shop.counter("each") == 7


@pytest.mark.parametrize(
    ("more", "short"),
    [
        ({"active": False}, "inactive"),
        ({"validity_days": None, "ends_at": datetime(2026, 9, 1, tzinfo=UTC)}, "ended"),
        ({"plate_bound": True}, "plate"),
    ],
)
async def test_a_kind_that_cannot_be_issued_says_why(shop, more, short):
    await shop.kind("other", **more)
    answer = await shop.issue("other")
    assert (answer.given, answer.short) == (0, short)


@pytest.mark.parametrize(
    "more",
    [
        {"face_minor": None},
        {"value_type": ValueType.SERVICE, "face_minor": 100, "currency": "CNY"},
        {"value_type": ValueType.SERVICE, "partial": True},
        {"ends_at": datetime(2027, 1, 1, tzinfo=UTC)},
        {"zone": "Mars/Base"},
        {"currency": "XXX"},
        {"outlets": ("somewhere",)},
        {"limit_total": 0},
    ],
)
async def test_terms_that_contradict_each_other_are_refused(shop, more):
    with pytest.raises(KindNotWhole):
        await shop.kind("other", **more)


async def test_what_is_out_does_not_change_its_worth(shop, now):
    voucher_id = await shop.one()
    await shop.kind(face_minor=9_000, validity_days=1)
    kept = await shop.voucher(voucher_id)
    assert (kept.face_minor, kept.expires_at) == (5_000, datetime(2026, 10, 24, 16, tzinfo=UTC))
    with pytest.raises(KindInUse):
        await shop.kind(value_type=ValueType.SERVICE)
    with pytest.raises(KindInUse):
        await shop.kind(limit_each=1)
    await shop.issue()
    with pytest.raises(LimitBelowIssued):
        await shop.kind(limit_total=1)
    await stop_kind(shop.session, code="fifty", active=False, actor=SYSTEM, now=now)
    assert (await shop.issue()).short == "inactive"
    await shop.use(voucher_id)


# At the outlet


async def test_a_voucher_is_used_once_and_its_life_is_told(shop):
    voucher_id = await shop.one()
    key, used = await shop.use(voucher_id, amount_minor=3_000)
    assert (used.status, used.taken_minor, used.honoured_minor) == (RedemptionStatus.REDEEMED, 5_000, 3_000)
    assert await shop.redeem(key) == used
    assert await shop.reserve(voucher_id, key, amount_minor=3_000) == used
    with pytest.raises(VoucherKeyReused):
        await shop.reserve(voucher_id, key, amount_minor=4_000)
    with pytest.raises(CodeNotHonoured):
        await shop.reserve(voucher_id)
    assert await shop.steps(voucher_id) == ["issued", "reserved", "redeemed"]


async def test_of_a_voucher_in_parts_the_rest_stays(shop):
    await shop.kind("parts", partial=True)
    voucher_id = await shop.one("parts")
    first, used = await shop.use(voucher_id, amount_minor=2_000)
    assert used.taken_minor == 2_000
    kept = await shop.voucher(voucher_id)
    assert (kept.status, kept.left_minor) == (VoucherStatus.ISSUED, 3_000)
    # The answer carries wanted and given.
    second, used = await shop.use(voucher_id, amount_minor=9_000)
    assert used.honoured_minor == 3_000
    assert (await shop.voucher(voucher_id)).status is VoucherStatus.REDEEMED
    await shop.roll_back(first)
    kept = await shop.voucher(voucher_id)
    assert (kept.status, kept.left_minor) == (VoucherStatus.ISSUED, 2_000)
    await shop.roll_back(second)
    assert (await shop.voucher(voucher_id)).left_minor == 5_000


async def test_less_may_be_redeemed_than_was_reserved(shop):
    await shop.kind("parts", partial=True)
    voucher_id, key = await shop.one("parts"), uuid4()
    await shop.reserve(voucher_id, key, amount_minor=4_000)
    with pytest.raises(AmountNotTaken):
        await shop.redeem(key, amount_minor=4_001)
    await shop.redeem(key, amount_minor=1_500)
    assert (await shop.voucher(voucher_id)).left_minor == 3_500
    with pytest.raises(VoucherKeyReused):
        await shop.redeem(key, amount_minor=1_600)


async def test_a_plate_bound_wash_is_for_its_car(shop):
    await shop.kind("wash", value_type=ValueType.SERVICE, item="wash", plate_bound=True)
    voucher_id = await shop.one("wash", plate="沪A12345")
    for plate in (None, "沪A54321"):
        with pytest.raises(CodeNotHonoured):
            await shop.reserve(voucher_id, plate=plate)
    with pytest.raises(AmountNotTaken):
        await shop.reserve(voucher_id, plate="沪A12345", amount_minor=100)
    _, used = await shop.use(voucher_id, plate="沪A12345")
    assert (used.taken_minor, used.status) == (None, RedemptionStatus.REDEEMED)


async def test_it_is_not_honoured_elsewhere(shop):
    await shop.kind("there", outlets=("station:S2", "partner:P1"))
    with pytest.raises(CodeNotHonoured):
        await shop.reserve(await shop.one("there"))


async def test_a_roll_back_restores_it_and_after_its_expiry_it_has_expired(shop, now):
    voucher_id = await shop.one()
    key, _ = await shop.use(voucher_id)
    undone = await shop.roll_back(key)
    assert undone.status is RedemptionStatus.ROLLED_BACK
    assert await shop.roll_back(key) == undone
    kept = await shop.voucher(voucher_id)
    assert (kept.status, kept.left_minor) == (VoucherStatus.ISSUED, 5_000)
    for work in (shop.redeem(key), shop.reserve(await shop.one(), key)):
        with pytest.raises((RedemptionRolledBack, VoucherKeyReused)):
            await work
    last_minute = kept.expires_at - timedelta(minutes=1)
    key, _ = await shop.use(voucher_id, now=last_minute)
    await shop.roll_back(key, now=kept.expires_at + timedelta(minutes=1))
    assert (await shop.voucher(voucher_id)).status is VoucherStatus.EXPIRED
    assert (await shop.steps(voucher_id))[-1] == "expired"
    assert now < last_minute


async def test_a_redemption_is_rolled_back_within_its_window_only(shop, now):
    await shop.kind("quick", rollback_minutes=5)
    key, _ = await shop.use(await shop.one("quick"))
    with pytest.raises(RollBackTooLate):
        await shop.roll_back(key, now=now + timedelta(minutes=5, seconds=1))
    await shop.roll_back(key, now=now + timedelta(minutes=5))


async def test_a_roll_back_that_comes_first_leaves_a_tombstone(shop):
    voucher_id, key = await shop.one(), uuid4()
    stone = await shop.roll_back(key)
    assert stone.status is RedemptionStatus.TOMBSTONE
    assert await shop.roll_back(key) == stone
    with pytest.raises(RedemptionRolledBack):
        await shop.reserve(voucher_id, key)
    with pytest.raises(RedemptionRolledBack):
        await shop.redeem(key)
    with pytest.raises(RedemptionUnknown):
        await shop.redeem(uuid4())
    assert (await shop.voucher(voucher_id)).status is VoucherStatus.ISSUED


async def test_a_reservation_lapses(shop, now):
    voucher_id, key = await shop.one(), uuid4()
    await shop.reserve(voucher_id, key)
    later = now + timedelta(minutes=15)
    with pytest.raises(ReservationLapsed):
        await shop.redeem(key, now=later)
    with pytest.raises(CodeNotHonoured):
        await shop.reserve(voucher_id, now=later - timedelta(seconds=1))
    # Whoever comes next need not wait for the job.
    other = uuid4()
    await shop.reserve(voucher_id, other, now=later)
    assert await release_lapsed(shop.session, actor=SYSTEM, now=later) == 0
    assert await release_lapsed(shop.session, actor=SYSTEM, now=later + timedelta(minutes=15)) == 1
    assert (await shop.voucher(voucher_id)).status is VoucherStatus.ISSUED


async def test_what_was_set_aside_in_time_is_honoured_after_the_expiry(shop):
    voucher_id, key = await shop.one(), uuid4()
    ends = (await shop.voucher(voucher_id)).expires_at
    await shop.reserve(voucher_id, key, now=ends - timedelta(seconds=1))
    assert await expire_due(shop.session, actor=SYSTEM, now=ends) == 0
    await shop.redeem(key, now=ends + timedelta(minutes=1))
    with pytest.raises(CodeNotHonoured):
        await shop.reserve(await shop.one(), now=ends)


# Refunds


async def test_a_refund_cancels_what_is_unused_and_says_what_was_used(shop, now):
    await shop.kind("policy", limit_total=4)
    issued = await shop.issue("policy", source="sale-9", wanted=4)
    await shop.use(issued.voucher_ids[0])
    taken = {"source_kind": "grant", "source_id": "sale-9", "reason": "refund", "actor": SYSTEM, "now": now}
    assert await take_back(shop.session, pieces=1, **taken) == TakenBack(1, 1, 0)
    assert (await shop.voucher(issued.voucher_ids[3])).status is VoucherStatus.CANCELLED
    assert await take_back(shop.session, **taken) == TakenBack(2, 1, 0)
    assert await take_back(shop.session, **taken) == TakenBack(0, 1, 0)
    # Cancelled ones make room again.
    assert await shop.counter("policy") == 1
    assert (await shop.issue("policy", wanted=9)).given == 3
    assert (await shop.issue("policy", source="sale-9", wanted=4)).given == 4, "what was given once is not given again"


async def test_nobody_changes_what_happened(shop):
    await shop.one()
    for sentence in ("UPDATE voucher_events SET reason = 'x'", "DELETE FROM voucher_events"):
        with pytest.raises(Exception, match="permission denied"):
            async with shop.session.begin_nested():
                await shop.session.execute(text(sentence))


# Codes at a till


async def test_codes_that_are_not_honoured_all_sound_alike_and_are_counted(shop, now):
    voucher_id = await shop.one()
    good = await shop.code(voucher_id)
    await shop.kind("there", outlets=("station:S2",))
    foreign = await shop.code(await shop.one("there"))
    used_id = await shop.one()
    await shop.use(used_id)
    at = {"at": shop.outlet, "now": now}
    assert await admit_code(shop.session, typed=good, key=uuid4(), **at) == voucher_id
    for typed in (foreign, await shop.code(used_id), shown_code(new_voucher_code()), "not a code"):
        assert await admit_code(shop.session, typed=typed, key=uuid4(), **at) is None
    for _ in range(17):
        assert await admit_code(shop.session, typed=new_voucher_code(), key=uuid4(), **at) is None
    with pytest.raises(TooManyWrongCodes):
        await admit_code(shop.session, typed=good, key=uuid4(), **at)
    # A slip is no guess, and another till has its own tries.
    assert await admit_code(shop.session, typed="7K3F", key=uuid4(), **at) is None
    other = shop.outlet._replace(caller="terminal:other")
    assert await admit_code(shop.session, typed=good, key=uuid4(), at=other, now=now) == voucher_id


async def test_right_codes_cost_no_tries(shop, now):
    good = await shop.code(await shop.one())
    for _ in range(30):
        assert await admit_code(shop.session, typed=good, key=uuid4(), at=shop.outlet, now=now)


# All at once, each in a transaction of its own


async def counted(work) -> Counter:
    """Run all at once and count the results by type; other errors than refusals are raised."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, CodeNotHonoured | TooManyWrongCodes | VoucherKeyReused):
            raise outcome
    return Counter(type(outcome).__name__ for outcome in outcomes)


async def committed(sessions, now, **kind):
    async with transaction(sessions) as session:
        shop = await Shop(session, now).furnish()
        await shop.kind(**kind)
        issued = await shop.issue()
        return shop, issued.voucher_ids[0], await shop.code(issued.voucher_ids[0])


async def test_two_hundred_tills_redeem_one_voucher_and_one_succeeds(sessions, now):
    shop, voucher_id, code = await committed(sessions, now)

    async def once(number):
        at = shop.outlet._replace(caller=f"terminal:{number % 50}")
        return await redeem_code(sessions, typed=code, at=at, key=uuid4(), actor=SYSTEM, now=now)

    assert await counted(once(number) for number in range(200)) == {"RedemptionView": 1, "CodeNotHonoured": 199}
    async with transaction(sessions) as session:
        assert await session.scalar(select(func.count()).select_from(VoucherRedemption)) == 1
        assert (await queries.get_voucher(session, voucher_id=voucher_id)).status is VoucherStatus.REDEEMED
        assert await session.scalar(select(func.count()).select_from(VoucherEvent)) == 3


async def test_one_key_sent_two_hundred_times_is_one_redemption_and_one_answer(sessions, now):
    shop, _, code = await committed(sessions, now)
    key = uuid4()

    async def once():
        return await redeem_code(sessions, typed=code, at=shop.outlet, key=key, actor=SYSTEM, now=now)

    answers = await asyncio.gather(*(once() for _ in range(200)))
    assert len(set(answers)) == 1
    assert answers[0].status is RedemptionStatus.REDEEMED


async def test_sixty_four_issuers_never_exceed_a_limit_of_five_hundred(sessions, now):
    shop, _, _ = await committed(sessions, now, limit_total=500)

    async def issuer(number):
        given = 0
        for turn in range(6):
            async with transaction(sessions) as session:
                wish = VoucherWish("fifty", "grant", f"{number}-{turn}", wanted=2)
                given += (await issue(session, wish=wish, actor=SYSTEM, now=now)).given
        return given

    given = await asyncio.gather(*(issuer(number) for number in range(64)))
    assert sum(given) == 499
    async with transaction(sessions) as session:
        assert await session.scalar(select(func.count()).select_from(Voucher)) == 500
        assert await session.scalar(select(VoucherCounter.issued)) == 500
    assert shop.outlet.name == "station:S1"


async def test_one_source_that_asks_from_everywhere_is_issued_once(sessions, now):
    await committed(sessions, now)

    async def once():
        async with transaction(sessions) as session:
            return await issue(session, wish=VoucherWish("fifty", "grant", "sale-7", wanted=3), actor=SYSTEM, now=now)

    assert len(set(await asyncio.gather(*(once() for _ in range(40))))) == 1


async def test_batches_over_the_same_people_wait_for_each_other(sessions, now):
    async with transaction(sessions) as session:
        await Shop(session, now).kind(limit_each=3)
        people = [await new_customer(session, now) for _ in range(8)]

    async def batch(number):
        order = people if number % 2 else people[::-1]
        async with transaction(sessions) as session:
            wishes = [VoucherWish("fifty", "grant", f"{number}-{person}", customer_id=person) for person in order]
            return sum(answer.given for answer in await issue_many(session, wishes=wishes, actor=SYSTEM, now=now))

    assert sum(await asyncio.gather(*(batch(number) for number in range(12)))) == 24


async def test_a_refund_and_a_redemption_of_one_voucher_never_both_have_it(sessions, now):
    shop, voucher_id, code = await committed(sessions, now)
    for _ in range(10):
        async with transaction(sessions) as session:
            issued = await issue(session, wish=shop.wish(source=str(uuid4())), actor=SYSTEM, now=now)
            (code,) = [shown.code for shown in await queries.codes_of(session, voucher_ids=issued.voucher_ids)]
            source = (await queries.get_voucher(session, voucher_id=issued.voucher_ids[0])).source_id

        async def refund(source=source):
            async with transaction(sessions) as session:
                taken = {"source_kind": "grant", "source_id": source, "reason": "refund", "actor": SYSTEM, "now": now}
                return await take_back(session, **taken)

        async def use(code=code):
            return await redeem_code(sessions, typed=code, at=shop.outlet, key=uuid4(), actor=SYSTEM, now=now)

        taken, used = await asyncio.gather(refund(), use(), return_exceptions=True)
        assert isinstance(taken, TakenBack)
        assert (taken.cancelled == 1) == isinstance(used, CodeNotHonoured)
    assert voucher_id
