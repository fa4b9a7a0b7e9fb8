"""Vouchers honoured while the network is gone: what a code must be, one effect for ever, and a loss that cannot exceed its bound."""

import asyncio
import random
from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update

from loyalty.audit.model import Actor, ActorKind
from loyalty.crypto import Purpose, issue_token, keyring, read_signed_token
from loyalty.crypto import public_keys as keys_of
from loyalty.db import transaction
from loyalty.rewards.model_vouchers import Voucher, VoucherKind, VoucherStatus
from loyalty.rewards.operations.redemptions import expire_due
from loyalty.rewards.operations.vouchers import cancel_voucher
from loyalty.rewards.queries.vouchers import get_voucher
from partners.line_rules import PARTNER
from partners.model_lines import LineKind, PartnerLine
from partners.model_offline import OfflineClaim, OfflineLease, OfflineToken
from partners.offline_rules import (
    Budget,
    OfflineCode,
    OfflineStatus,
    OfflineVoucher,
    bears,
    bound_on_loss,
    budget_of,
    in_lease,
    offline_outlets,
    token_ends,
)
from partners.operations.alliances import OutletFacts, add_outlet
from partners.operations.counter import code_in
from partners.operations.offline import Told, sync
from partners.operations.offline_codes import offline_code, offline_path
from partners.operations.offline_leases import take_lease
from partners.operations.redeeming import redeem
from partners.queries.offline import standing_offline
from partners.rules import LossBy, Offline, Terms, faults_of
from tests.factories.world import SYSTEM
from tests.partners.test_redeeming import AGREED, FIFTY, PLATE, make_counter, voucher

CLERK = Actor(ActorKind.PARTNER, "li")
OFFLINE = Offline(worth_minor=6_000, amount_minor=15_000, uses=4)
TERMS = Terms(benefits=AGREED.benefits, commission=4_000, offline=OFFLINE)


# What it may cost


def test_the_bound_is_outlets_times_budget():
    assert budget_of(OFFLINE) == 15_000
    assert budget_of(Offline(worth_minor=1_000, amount_minor=90_000, uses=3)) == 3_000
    assert bound_on_loss(OFFLINE, outlets=3) == 45_000
    assert faults_of(Terms(benefits=[FIFTY], offline=Offline(worth_minor=9, amount_minor=8)))[0].field == "offline_amount"


uses = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 6_000), st.booleans()), max_size=60)


@given(told=uses, shuffle=st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_no_order_of_uses_and_syncs_costs_the_issuer_more_than_the_bound(told: list, shuffle: random.Random):
    """Each: which outlet, what it is worth, whether it was used up elsewhere; outlets tell in any order, also what no page would allow."""
    shuffle.shuffle(told)
    budgets = [Budget(OFFLINE.uses, budget_of(OFFLINE), 0, 0, open=True)] * 4
    borne = {"issuer": 0, PARTNER: 0}
    for outlet, worth, is_double in told:
        takes = budgets[outlet].takes(worth)
        if takes:
            budgets[outlet] = budgets[outlet].after(worth)
        if is_double:
            borne[bears(OFFLINE, in_budget=takes)] += worth
    assert borne["issuer"] <= bound_on_loss(OFFLINE, outlets=4)
    assert sum(borne.values()) == sum(worth for _, worth, is_double in told if is_double), "nothing is lost from sight"


def test_the_bound_is_reached():
    agreed = Offline(worth_minor=5_000, amount_minor=15_000, uses=3)
    borne = 0
    for _outlet in range(3):
        budget = Budget(agreed.uses, budget_of(agreed), 0, 0, open=True)
        while budget.takes(5_000):
            budget, borne = budget.after(5_000), borne + 5_000
    assert borne == bound_on_loss(agreed, outlets=3) == 45_000
    assert bears(Offline(worth_minor=1, amount_minor=1, loss_by=LossBy.PARTNER), in_budget=True) == PARTNER


def test_where_and_how_long_a_code_is_good(now):
    assert offline_outlets(["partner:A"]) == ("A", [])
    assert offline_outlets(["partner:A/2", "partner:A/1"]) == ("A", ["1", "2"])
    assert offline_outlets(["partner:A/2", "partner:A"]) == ("A", [])
    assert [offline_outlets(each) for each in (["any"], ["partner:A", "partner:B"], ["partner:A", "stations"], [])] == [None] * 4
    assert token_ends(OFFLINE, now=now, voucher_ends=None) == now + timedelta(hours=72)
    assert token_ends(OFFLINE, now=now, voucher_ends=now + timedelta(hours=1)) == now + timedelta(hours=1)
    runs = {"granted_at": now, "until": now + timedelta(hours=12)}
    assert [in_lease(served_at=now + timedelta(hours=each), **runs) for each in (-1, 0, 12, 13)] == [False, True, True, False]


# What is told


@pytest.fixture
async def shop(session, now):
    made = await make_counter(session, now, terms=TERMS)
    two = await add_outlet(
        session, partner_id=made.partner, facts=OutletFacts(code="W2", name_zh="二店", name_en="Two"), actor=made.people[0], now=now
    )
    outlets = [made.outlet, two]
    phones = [uuid4(), uuid4()]

    async def lease(which=0, *, device=None, at=now):
        return await take_lease(session, outlet_id=outlets[which], device=device or phones[which], granted_to="li", now=at)

    async def code(kind="p-fifty", *, of=None, at=now, plate=None):
        which = of or await voucher(session, now, kind, plate=plate)
        return which, await offline_code(session, voucher_id=which, now=at)

    async def tell(*told, which=0, at=now + timedelta(hours=1)):
        return await sync(session, outlet_id=outlets[which], told=told, actor=CLERK, now=at)

    async def online(which, *, at=now, outlet=0, **more):
        facts = {"outlet_id": outlets[outlet], "voucher_id": which, "key": uuid4(), "served_by": "li", "actor": CLERK, "now": at}
        return await redeem(session, **facts | more)

    async def lines():
        return list(await session.scalars(select(PartnerLine).order_by(PartnerLine.number)))

    made.__dict__.update(lease=lease, code=code, tell=tell, online=online, lines=lines, outlets=outlets, session=session, now=now)
    return made


def use(token, kit=None, *, at, key=None, **more) -> Told:
    return Told(key=key or uuid4(), token=token, at=at, lease=None if kit is None else kit.lease, served_by="li", **more)


async def test_two_honoured_offline_are_booked_once_and_the_answer_stays(shop, now):
    kit = await shop.lease()
    served = now + timedelta(minutes=5)
    (first, one), (second, two) = await shop.code(), await shop.code("p-wash", plate=PLATE)
    told = [use(one, kit, at=served), use(two, kit, at=served)]
    answers = await shop.tell(*told)
    assert [(each.status, each.code, each.in_budget) for each in answers] == [(OfflineStatus.BOOKED, OfflineCode.BOOKED, True)] * 2
    assert await shop.tell(*reversed(told), at=now + timedelta(days=90)) == answers[::-1]
    assert await shop.tell(told[0], told[0]) == [answers[0]] * 2
    booked = await shop.lines()
    assert [(line.kind, line.event_at, line.saved_minor) for line in booked] == [
        (LineKind.REDEMPTION, served, each) for each in sorted((5_000, 3_000), key=[line.saved_minor for line in booked].index)
    ]
    for which in (first, second):
        assert (await get_voucher(shop.session, voucher_id=which)).status is VoucherStatus.REDEEMED
    lease = await shop.session.get(OfflineLease, kit.lease, populate_existing=True)
    assert (lease.used, lease.used_minor) == (2, 8_000)


async def test_one_voucher_at_two_outlets_is_booked_once_and_the_rest_is_a_loss_in_the_book(shop, now):
    kits = [await shop.lease(0), await shop.lease(1)]
    _which, token = await shop.code()
    told = [use(token, kit, at=now + timedelta(minutes=3)) for kit in kits]
    assert (await shop.tell(told[0]))[0].code is OfflineCode.BOOKED
    (double,) = await shop.tell(told[1], which=1)
    assert (double.status, double.code, double.loss_minor, double.in_budget) == (OfflineStatus.LOSS, OfflineCode.DOUBLE, 5_000, True)
    assert await shop.tell(told[1], which=1) == [double]
    loss = (await shop.lines())[-1]
    assert (loss.kind, loss.shares, loss.due_minor, loss.commission_minor, loss.pieces) == (
        *(LineKind.OFFLINE_LOSS, {"issuer": 5_000}),
        *(5_000, 0, 0),
    )
    stands = await standing_offline(shop.session, partner_id=shop.partner, agreed=OFFLINE, now=now)
    assert (stands.outlets, stands.bound_minor, stands.open_leases, stands.losses, stands.loss_minor) == (2, 30_000, 2, 1, 5_000)


async def test_what_is_beyond_the_budget_is_the_partners(shop, now):
    kit = await shop.lease()
    tokens = [await shop.code() for _ in range(4)]
    for which, _token in tokens:
        await shop.online(which, outlet=1)
    told = [use(token, kit, at=now + timedelta(minutes=each)) for each, (_which, token) in enumerate(tokens)]
    answers = await shop.tell(*told[::-1])
    assert [each.in_budget for each in answers[::-1]] == [True, True, True, False], "in the order in which they were served"
    losses = [line for line in await shop.lines() if line.kind is LineKind.OFFLINE_LOSS]
    assert [(line.due_minor, line.shares) for line in losses] == [(5_000, {"issuer": 5_000})] * 3 + [(0, {"partner": 5_000})]
    assert sum(line.due_minor for line in losses) <= budget_of(OFFLINE)


@pytest.mark.parametrize("seed", range(3))
async def test_days_that_are_shuffled_come_to_the_same(shop, now, seed):
    kits = [await shop.lease(0), await shop.lease(1)]
    tokens = [(await shop.code())[1] for _ in range(4)]
    told = [
        (which, use(token, kits[which], at=now + timedelta(minutes=7 * number + which)))
        for number, token in enumerate(tokens[:3])
        for which in (0, 1)
        if number or which == 0
    ]
    random.Random(seed).shuffle(told)
    for which, one in told:
        await shop.tell(one, which=which)
    rows = (await shop.session.execute(select(OfflineClaim.code, OfflineClaim.loss_minor).order_by(OfflineClaim.code))).all()
    assert [tuple(row) for row in rows] == [(OfflineCode.BOOKED, 0)] * 3 + [(OfflineCode.DOUBLE, 5_000)] * 2
    kinds = sorted((line.kind.value, line.due_minor) for line in await shop.lines())
    assert kinds == [("offline_loss", 5_000)] * 2 + [("redemption", 500)] * 3


# What is refused, with its row


async def test_what_is_no_code_of_ours_is_refused_and_kept(shop, now):
    kit = await shop.lease()
    at = now + timedelta(minutes=1)
    which, token = await shop.code()
    payload = read_signed_token(Purpose.VOUCHER, token, public_keys=keys_of(Purpose.VOUCHER), now=now, payload=OfflineVoucher)

    def forged(**change):
        fields = {name: getattr(payload, name) for name in payload.__struct_fields__} | change
        return issue_token(Purpose.VOUCHER, OfflineVoucher(**fields), expires_at=now + timedelta(hours=2))

    middle = len(token) // 2
    cases = {
        token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]: OfflineCode.TAMPERED,
        "nonsense": OfflineCode.TAMPERED,
        issue_token(Purpose.OFFLINE_DOCUMENT, payload, expires_at=now + timedelta(hours=2)): OfflineCode.UNKNOWN_KEY,
        forged(partner="OTHER"): OfflineCode.FOREIGN_PARTNER,
        forged(outlets=["W9"]): OfflineCode.FOREIGN_OUTLET,
        forged(benefit="none"): OfflineCode.NOT_OFFLINE,
        forged(worth_minor=6_001): OfflineCode.NOT_OFFLINE,
        issue_token(Purpose.VOUCHER, payload, expires_at=at): OfflineCode.EXPIRED,
    }
    answers = await shop.tell(*(use(each, kit, at=at) for each in cases))
    assert [each.code for each in answers] == list(cases.values())
    assert {each.status for each in answers} == {OfflineStatus.REFUSED}
    late = now + timedelta(hours=1, minutes=6)
    others = await shop.tell(
        use(token, kit, at=late), use(token, at=at), use(token, kit, at=at, amount_minor=5_001), use(token, kit, at=at, gross_minor=4_999)
    )
    unsound = OfflineCode.AMOUNT_NOT_SOUND
    assert [each.code for each in others] == [OfflineCode.TIME_NOT_SOUND, OfflineCode.NOT_OFFLINE, unsound, unsound]
    rows = await shop.session.scalars(select(OfflineClaim.status))
    assert list(rows) == [OfflineStatus.REFUSED] * 12, "each has its row"
    assert await shop.lines() == []
    assert (await get_voucher(shop.session, voucher_id=which)).status is VoucherStatus.ISSUED


async def test_the_same_outlet_twice_is_refused_and_a_key_carries_one_thing(shop, now):
    kit = await shop.lease()
    at = now + timedelta(minutes=1)
    _which, token = await shop.code()
    first = use(token, kit, at=at)
    await shop.tell(first)
    (again,) = await shop.tell(use(token, kit, at=at + timedelta(minutes=1)))
    assert (again.status, again.code) == (OfflineStatus.REFUSED, OfflineCode.REPLAYED)
    _other, fresh = await shop.code()
    (reused,) = await shop.tell(use(fresh, kit, at=at, key=first.key))
    assert reused.code is OfflineCode.KEY_REUSED
    assert (await shop.tell(first))[0].code is OfflineCode.BOOKED


async def test_codes_of_an_earlier_key_are_good_until_it_is_destroyed(shop, now):
    kit = await shop.lease()
    _which, old = await shop.code()
    before = next(iter(keys_of(Purpose.VOUCHER)))
    keyring().rotate(Purpose.VOUCHER, now=now)
    _other, new = await shop.code()
    assert len((await shop.lease()).keys) == 2
    kit = await shop.lease()
    answers = await shop.tell(use(old, kit, at=now + timedelta(minutes=1)), use(new, kit, at=now + timedelta(minutes=1)))
    assert [each.code for each in answers] == [OfflineCode.BOOKED] * 2
    _third, gone = await shop.code()
    keyring().rotate(Purpose.VOUCHER, now=now)
    keyring().destroy(before)
    assert (await shop.tell(use(old, kit, at=now + timedelta(minutes=2))))[0].code is OfflineCode.UNKNOWN_KEY
    assert (await shop.tell(use(gone, kit, at=now + timedelta(minutes=2))))[0].code is OfflineCode.BOOKED


# What happened meanwhile


async def test_what_has_ended_or_was_cancelled_since_is_booked_or_a_loss(shop, now):
    kit = await shop.lease()
    at = now + timedelta(minutes=1)
    (ended, one), (gone, two) = await shop.code(), await shop.code()
    expires = (await get_voucher(shop.session, voucher_id=ended)).expires_at
    await cancel_voucher(shop.session, voucher_id=gone, reason="refunded", actor=SYSTEM, now=now)
    await expire_due(shop.session, actor=SYSTEM, now=expires)
    shop.session.expire_all()
    assert (await get_voucher(shop.session, voucher_id=ended)).status is VoucherStatus.EXPIRED
    answers = await shop.tell(use(one, kit, at=at), use(two, kit, at=at), at=expires + timedelta(days=1))
    assert [(each.status, each.code) for each in answers] == [
        (OfflineStatus.BOOKED, OfflineCode.BOOKED),
        (OfflineStatus.LOSS, OfflineCode.CANCELLED),
    ]
    assert [each.in_budget for each in answers] == [False, False], "it was told too late"


async def test_a_part_used_elsewhere_is_booked_for_what_was_left(shop, now):
    kit = await shop.lease()
    which, token = await shop.code()
    await shop.online(which, outlet=1, amount_minor=3_000, gross_minor=3_000)
    (answer,) = await shop.tell(use(token, kit, at=now + timedelta(minutes=1)))
    assert (answer.status, answer.code, answer.loss_minor) == (OfflineStatus.BOOKED, OfflineCode.PARTLY_USED, 3_000)
    assert sum(line.saved_minor for line in await shop.lines()) == 3_000 + 2_000 + 3_000


async def test_what_the_agreement_no_longer_allows_uses_the_voucher_and_is_a_loss(shop, now):
    kit = await shop.lease()
    tokens = [await shop.code("p-wash", plate=PLATE) for _ in range(3)]
    answers = await shop.tell(*(use(token, kit, at=now + timedelta(minutes=each)) for each, (_which, token) in enumerate(tokens)))
    assert [each.code for each in answers] == [OfflineCode.BOOKED, OfflineCode.BOOKED, OfflineCode.LIMIT]
    assert (await get_voucher(shop.session, voucher_id=tokens[2][0])).status is VoucherStatus.REDEEMED


async def test_a_lost_reply_told_again_offline_is_the_same_use(shop, now):
    kit = await shop.lease()
    which, token = await shop.code()
    key = uuid4()
    served = await shop.online(which, key=key, at=now + timedelta(minutes=1))
    (answer,) = await shop.tell(use(token, kit, at=now + timedelta(minutes=2), key=key))
    assert (answer.code, answer.line) == (OfflineCode.BOOKED, served.number)
    assert len(await shop.lines()) == 1


async def test_while_another_counter_serves_it_there_is_no_answer_yet(shop, now):
    kit = await shop.lease()
    which, token = await shop.code()
    await shop.session.execute(update(Voucher).where(Voucher.voucher_id == which).values(status=VoucherStatus.RESERVED))
    told = use(token, kit, at=now + timedelta(minutes=1))
    assert (await shop.tell(told))[0].status is None
    assert list(await shop.session.scalars(select(OfflineClaim))) == []
    await shop.session.execute(update(Voucher).where(Voucher.voucher_id == which).values(status=VoucherStatus.ISSUED))
    shop.session.expire_all()
    assert (await shop.tell(told))[0].code is OfflineCode.BOOKED


# Codes and leases


async def test_a_code_says_little_and_is_given_only_for_what_is_agreed(shop, now):
    which, token = await shop.code("p-wash", plate=PLATE)
    told = read_signed_token(Purpose.VOUCHER, token, public_keys=keys_of(Purpose.VOUCHER), now=now, payload=OfflineVoucher)
    assert (UUID(bytes=told.voucher), told.partner, told.benefit, told.plate_tail, told.worth_minor) == (
        *(which, "HAPPY-WASH", "wash"),
        *("345", None),
    )
    assert len(token) < 220, "it fits a code of moderate size"
    assert (await shop.code("p-slip"))[1] is None, "worth more than is agreed"
    assert (await shop.code("p-other"))[1] is None, "no benefit"
    assert await offline_code(shop.session, voucher_id=uuid4(), now=now) is None
    await shop.session.execute(update(VoucherKind).where(VoucherKind.code == "p-fifty").values(online_only=True))
    shop.session.expire_all()
    assert (await shop.code())[1] is None
    path = await offline_path(shop.session, voucher_id=which, code="7K3F-9QXM-2WTD", now=now)
    assert code_in(f"https://cards.example{path}") == "7K3F-9QXM-2WTD"
    assert (await shop.session.get(OfflineToken, (which, shop.partner))).ends_at == now + timedelta(hours=72)


async def test_an_outlet_has_one_lease_until_it_is_settled_or_its_time_is_over(shop, now):
    which, _token = await shop.code()
    kit = await shop.lease()
    assert (kit.uses, kit.amount_minor, kit.used_up) == (4, 15_000, [])
    assert await shop.lease(device=uuid4(), at=now + timedelta(hours=80)) is None, "another phone has told nothing yet"
    await shop.online(which, outlet=1)
    later = await shop.lease(at=now + timedelta(hours=1))
    assert later.used_up == [which.hex]
    (over,) = await shop.tell(use((await shop.code())[1], kit, at=now + timedelta(minutes=1)))
    assert (over.code, over.in_budget) == (OfflineCode.BOOKED, False), "it said that it had told everything"
    assert await shop.lease(device=uuid4(), at=now + timedelta(hours=86)) is not None


async def test_without_an_agreed_term_nothing_is_offline(session, now):
    made = await make_counter(session, now)
    which = await voucher(session, now, "p-fifty")
    assert await offline_code(session, voucher_id=which, now=now) is None
    assert await take_lease(session, outlet_id=made.outlet, device=uuid4(), granted_to="li", now=now) is None


async def test_what_a_phone_told_is_never_changed(shop, now):
    await shop.tell(use("nonsense", at=now))
    for sentence in ("UPDATE partner_offline_claims SET code = 'booked'", "DELETE FROM partner_offline_claims"):
        with pytest.raises(Exception, match="append-only"):
            async with shop.session.begin_nested():
                await shop.session.execute(text(sentence))
    assert isinstance(shop, SimpleNamespace)


# All at once, each in a transaction of its own


async def test_the_same_batches_of_two_outlets_told_eight_times_at_once_have_one_effect(sessions, now):
    async with transaction(sessions) as session:
        made = await make_counter(session, now, terms=TERMS)
        facts = OutletFacts(code="W2", name_zh="二店", name_en="Two")
        two = await add_outlet(session, partner_id=made.partner, facts=facts, actor=made.people[0], now=now)
        outlets = [made.outlet, two]
        kits = [await take_lease(session, outlet_id=each, device=uuid4(), granted_to="li", now=now) for each in outlets]
        codes = [await offline_code(session, voucher_id=await voucher(session, now, "p-fifty"), now=now) for _ in range(3)]
    batches = [[use(code, kit, at=now + timedelta(minutes=1 + number)) for number, code in enumerate(codes)] for kit in kits]

    async def tell(which):
        async with transaction(sessions) as session:
            shuffled = random.Random(which).sample(batches[which % 2], 3)
            told = await sync(session, outlet_id=outlets[which % 2], told=shuffled, actor=CLERK, now=now + timedelta(hours=1))
        return which % 2, sorted(told, key=lambda each: each.key)

    answers = await asyncio.gather(*(tell(which) for which in range(8)))
    for which in (0, 1):
        mine = [told for outlet, told in answers if outlet == which]
        assert mine == [mine[0]] * 4
    async with transaction(sessions) as session:
        lines = list(await session.scalars(select(PartnerLine.kind).order_by(PartnerLine.kind)))
        assert lines == [LineKind.OFFLINE_LOSS] * 3 + [LineKind.REDEMPTION] * 3
        drawn = await session.scalars(select(OfflineLease.used_minor))
        assert list(drawn) == [15_000, 15_000]
