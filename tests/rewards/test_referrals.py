"""Referral pays once, to people, and never to somebody's other self; the monthly wash comes once a customer and plate."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import uuid4

import pytest
from sqlalchemy import func, insert, select, text, update

from jobs import vouchers as job
from jobs.job import Context
from loyalty.customers.model import Customer
from loyalty.customers.protected import protect_phone
from loyalty.db import transaction
from loyalty.errors import NotAllowed
from loyalty.identity.model import Portal, Stage, UserSession
from loyalty.ids import uuid7
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import AccountKind, PurseKind
from loyalty.ledger.queries import purses_of
from loyalty.policy import load_policy
from loyalty.rewards.model_referrals import REFERRAL_MOVES, Referral, ReferralReward, ReferralStatus
from loyalty.rewards.model_vouchers import ValueType, Voucher
from loyalty.rewards.operations.gift_stock import GiftFacts, put_gift
from loyalty.rewards.operations.monthly import MonthlyFacts, MonthlyNotFound, MonthlyNotWhole, issue_monthly, put_monthly
from loyalty.rewards.operations.referrals import (
    ProgrammeFacts,
    ProgrammeNotWhole,
    ReferralCannotMove,
    decide_referral,
    find_referrals,
    pay_milestones,
    put_programme,
)
from loyalty.rewards.operations.voucher_kinds import KindFacts, put_kind
from loyalty.rewards.queries import gifts, referrals, vouchers
from loyalty.rewards.referral_rules import Event, Fault, Milestone, Progress, Reward, RewardKind, counted_span, reached
from loyalty.settings import Settings
from loyalty.topups import operations as topups
from loyalty.topups.model import Tender
from tests.factories.world import SYSTEM, give_card, make_world

from .people import hire, new_customer

POINTS = Reward(kind=RewardKind.POINTS, amount=500, expires_days=90)
BONUS = Reward(kind=RewardKind.BONUS, amount=1_000)
FIRST = Milestone(code="first", event=Event.FIRST_LOAD, at_least=10_000, referrer=(POINTS,), referee=(BONUS,))
LOYAL = Milestone(
    code="loyal",
    event=Event.FILLS,
    at_least=2,
    referrer=(Reward(kind=RewardKind.VOUCHER, amount=1, item="fifty"), Reward(kind=RewardKind.GIFT, amount=2, item="towel")),
)
BIG = Milestone(code="big", event=Event.SPEND, at_least=50_000, referrer=(POINTS,))


class Town:
    """People who bring each other, and what they load and fill."""

    def __init__(self, session, now) -> None:
        self.session, self.now = session, now

    async def furnish(self):
        self.world = await make_world(self.session, now=self.now)
        await put_kind(
            self.session,
            code="fifty",
            facts=KindFacts(
                name_zh="五十元券", name_en="50 off", value_type=ValueType.MONEY, zone="Asia/Shanghai", face_minor=5_000, currency="CNY"
            ),
            actor=SYSTEM,
            now=self.now,
        )
        await put_gift(
            self.session, code="towel", facts=GiftFacts(name_zh="毛巾", name_en="Towel", zone="Asia/Shanghai"), actor=SYSTEM, now=self.now
        )
        self.clerk = await hire(self.session, self.now)
        return self

    async def programme(self, *milestones, **more):
        facts = {"name_zh": "老带新", "name_en": "Bring a friend", "currency": "CNY", "zone": "Asia/Shanghai"}
        facts |= {"milestones": milestones or (FIRST,), "starts_at": self.now - timedelta(days=10)}
        return await put_programme(self.session, code="friends", facts=ProgrammeFacts(**facts | more), actor=SYSTEM, now=self.now)

    async def person(self, *, days=5, account=True, **more):
        """Somebody who joined so many days ago."""
        customer_id = await new_customer(self.session, self.now - timedelta(days=days), **more)
        return customer_id, await self.account(customer_id) if account else None

    async def account(self, customer_id):
        return await ledger.open_account(
            self.session, kind=AccountKind.PERSONAL, currency="CNY", customer_id=customer_id, card_product_id=None, now=self.now
        )

    async def pair(self, **more):
        old, old_account = await self.person(days=8)
        new, new_account = await self.person(referrer_id=old, **more)
        return (old, old_account), (new, new_account)

    async def load(self, account_id, amount_minor, now=None):
        at = now or self.now
        return await topups.load(
            self.session,
            policy=load_policy("generic"),
            account_id=account_id,
            amount_minor=amount_minor,
            tender=Tender.CASH,
            actor=SYSTEM,
            event_at=at,
            now=at,
            station_id=self.world.station_id,
        )

    async def fill(self, account_id, gross_minor=10_000, refunded_minor=0, now=None):
        """A fill as the pump books it, without its transfers."""
        at = now or self.now
        await self.session.execute(
            text(
                """
                INSERT INTO sales (account_id, sale_id, terminal_id, station_id, flow, product_id, quantity_milli, unit_price_e4,
                    gross_minor, discount_minor, card_minor, currency, flags, status, refunded_minor, event_at, booked_at,
                    business_day, period)
                VALUES (:account, :sale, :terminal, :station, 1, :product, 12674, 78900, :gross, 0, :gross, 'CNY', 0, 1, :refunded, :at,
                    :at, :day, 202609)
                """
            ),
            {
                "account": account_id,
                "sale": uuid7(at),
                "terminal": self.world.terminal_ids[0],
                "station": self.world.station_id,
                "product": self.world.product_ids["92"],
                "gross": gross_minor,
                "refunded": refunded_minor,
                "at": at,
                "day": at.date(),
            },
        )

    async def look(self, days=0, minutes=1):
        """One night of the job; nothing is looked at twice at one instant."""
        at = self.now + timedelta(days=days, minutes=minutes)
        await find_referrals(self.session, code="friends", now=at)
        while await pay_milestones(self.session, code="friends", actor=SYSTEM, now=at):
            pass

    async def referral(self, referee):
        return (await self.session.scalars(select(Referral).where(Referral.referee_id == referee))).one()

    async def paid(self):
        rows = await self.session.execute(
            select(ReferralReward.milestone, ReferralReward.side, ReferralReward.customer_id).order_by(ReferralReward.reward_id)
        )
        return {(milestone, side.value, customer_id) for milestone, side, customer_id in rows}

    async def has(self, account_id, kind):
        return sum(purse.balance_minor for purse in await purses_of(self.session, account_id=account_id) if purse.kind == kind)


@pytest.fixture
async def town(session, now):
    return await Town(session, now).furnish()


# Rules


def test_what_is_reached():
    milestones = (FIRST, LOYAL, BIG)
    assert reached(milestones, Progress(9_999, 1, 49_999)) == []
    assert reached(milestones, Progress(10_000, 2, 50_000)) == [FIRST, LOYAL, BIG]


@pytest.mark.parametrize(
    ("within", "wait", "days", "until", "is_over"),
    [(None, 0, 40, 40, False), (30, 0, 10, 10, False), (30, 0, 40, 30, True), (30, 7, 35, 28, False), (30, 7, 37, 30, True)],
)
def test_what_counts_when(within, wait, days, until, is_over):
    joined = datetime(2026, 9, 1, tzinfo=UTC)
    span = counted_span(joined_at=joined, within_days=within, wait_days=wait, now=joined + timedelta(days=days))
    assert span == (joined, joined + timedelta(days=until), is_over)


# Paying


async def test_both_sides_are_paid_once_for_the_first_load(town):
    await town.programme()
    (old, old_account), (new, new_account) = await town.pair()
    await town.look()
    assert await town.paid() == set()
    await town.load(new_account, 10_000)
    for minutes in (2, 3):
        await town.look(minutes=minutes)
    assert await town.paid() == {("first", "referrer", old), ("first", "referee", new)}
    assert await town.has(old_account, PurseKind.POINTS) == 500
    assert await town.has(new_account, PurseKind.BONUS) == 1_000
    assert (await town.referral(new)).status is ReferralStatus.ENDED
    results = await referrals.results_of(town.session, programme_id=(await town.referral(new)).programme_id)
    assert (results.brought, results.rewarded) == (1, 1)
    assert results.given == [("bonus", "", 1_000), ("points", "", 500)]


async def test_a_small_first_load_is_the_first_all_the_same(town):
    await town.programme()
    _, (_, account) = await town.pair()
    await town.load(account, 500, town.now - timedelta(days=1))
    await town.load(account, 90_000)
    await town.look()
    assert await town.paid() == set()


async def test_fills_earn_a_voucher_and_a_gift_and_refunded_ones_do_not_count(town):
    await town.programme(LOYAL, BIG)
    (old, _), (_, account) = await town.pair()
    await town.fill(account)
    await town.fill(account, refunded_minor=10_000)
    await town.look(minutes=1)
    assert await town.paid() == set()
    await town.fill(account, gross_minor=39_999)
    await town.look(minutes=2)
    assert await town.paid() == {("loyal", "referrer", old)}
    (voucher,) = await vouchers.vouchers_of_customer(town.session, customer_id=old)
    (gift,) = await gifts.gifts_of_customer(town.session, customer_id=old)
    assert (voucher.kind_code, voucher.source_kind, gift.code, gift.pieces) == ("fifty", "referral", "towel", 2)
    await town.fill(account, gross_minor=1)
    await town.look(minutes=3)
    assert ("big", "referrer", old) in await town.paid()


async def test_what_is_given_back_before_it_has_stood_is_not_paid_for(town):
    await town.programme(wait_days=7)
    _, (_, account) = await town.pair()
    loaded = await town.load(account, 20_000)
    await town.look(days=6)
    assert await town.paid() == set()
    await town.session.execute(text("UPDATE topups SET returned_minor = 15000 WHERE topup_id = :id"), {"id": loaded.topup_id})
    await town.look(days=8)
    assert await town.paid() == set()


async def test_after_its_days_nothing_counts(town):
    await town.programme(within_days=5)
    _, (new, account) = await town.pair(days=4)
    await town.load(account, 20_000, town.now + timedelta(days=2))
    await town.look(days=3)
    assert await town.paid() == set()
    assert (await town.referral(new)).status is ReferralStatus.ENDED


async def test_a_referrer_is_rewarded_for_so_many_only_and_the_new_ones_still(town):
    await town.programme(most_each=2)
    old, _ = await town.person(days=8)
    for _ in range(4):
        _, account = await town.person(referrer_id=old)
        await town.load(account, 10_000)
    await town.look()
    sides = [side for _, side, _ in await town.paid()]
    assert (sides.count("referrer"), sides.count("referee")) == (1, 4), "a set names the referrer once"
    assert await town.session.scalar(select(func.count()).where(ReferralReward.side == "referrer")) == 2


async def test_who_has_no_account_yet_is_paid_when_there_is_one(town):
    await town.programme()
    old, _ = await town.person(days=8, account=False)
    new, account = await town.person(referrer_id=old)
    await town.load(account, 10_000)
    await town.look(minutes=1)
    assert await town.paid() == {("first", "referee", new)}
    await town.account(old)
    await town.look(minutes=2)
    assert ("first", "referrer", old) in await town.paid()


async def test_only_who_joined_in_the_programme_s_time_counts(town):
    await town.programme(ends_at=town.now - timedelta(days=4))
    old, _ = await town.person(days=20)
    await town.person(days=12, referrer_id=old)
    inside, _ = await town.person(days=6, referrer_id=old)
    await town.person(days=3, referrer_id=old)
    await town.look()
    assert [each.referee_id for each in await town.session.scalars(select(Referral))] == [inside]


# No self-referral


async def same_person(town, old, new):
    await town.session.execute(
        text("UPDATE customers SET status = 'merged', merged_into = :old WHERE customer_id = :new"), {"old": old, "new": new}
    )


async def same_phone(town, old, new):
    for customer in (old, new):
        phone = protect_phone("+8613800138000", table="customers", row_id=customer)
        values = {"phone_index": phone.index, "phone_sealed": phone.sealed, "phone_tail": phone.tail}
        await town.session.execute(update(Customer).where(Customer.customer_id == customer).values(**values))


async def same_document(town, old, new):
    for customer in (old, new):
        await town.session.execute(
            text(
                "INSERT INTO customer_identifiers (identifier_id, customer_id, type, country, value_sealed, value_index, tail, warnings,"
                " added_at) VALUES (gen_random_uuid(), :customer, 'passport', 'CN', 'x', 'same', '1234', '{}', :now)"
            ),
            {"customer": customer, "now": town.now},
        )


async def same_device(town, old, new):
    for number, customer in enumerate((old, new)):
        await town.session.execute(
            insert(UserSession).values(
                session_id=uuid4(),
                token_hash=bytes([number]) * 32,
                customer_id=customer,
                portal=Portal.ME,
                stage=Stage.OPEN,
                address="203.0.113.7",
                user_agent="Phone/1",
                opened_at=town.now,
                last_seen_at=town.now,
                expires_at=town.now + timedelta(days=1),
            )
        )


@pytest.mark.parametrize(
    ("alike", "fault"), [(same_person, Fault.PERSON), (same_document, Fault.PERSON), (same_phone, Fault.PHONE), (same_device, Fault.DEVICE)]
)
async def test_who_is_the_referrer_s_other_self_earns_nothing(town, alike, fault):
    await town.programme()
    (old, _), (new, account) = await town.pair()
    await alike(town, old, new)
    await town.load(account, 10_000)
    await town.look()
    referral = await town.referral(new)
    assert (await town.paid(), referral.status, referral.fault) == (set(), ReferralStatus.HELD, fault)


async def test_a_merge_of_the_referrer_s_records_is_seen_too(town):
    await town.programme()
    (old, _), (new, account) = await town.pair()
    other, _ = await town.person()
    await same_person(town, old, other)
    await same_phone(town, other, new)
    await town.load(account, 10_000)
    await town.look()
    assert (await town.referral(new)).fault is Fault.PHONE


async def test_two_records_of_one_new_customer_are_paid_for_once(town):
    await town.programme()
    (old, _), (new, account) = await town.pair()
    again, _ = await town.person(referrer_id=old)
    await town.load(account, 10_000)
    await town.look(minutes=1)
    await same_person(town, new, again)
    await town.look(minutes=2)
    assert await town.paid() == {("first", "referrer", old), ("first", "referee", new)}


async def test_who_came_later_brought_nobody_and_firms_are_no_friends(town):
    await town.programme()
    young, _ = await town.person(days=1)
    older, _ = await town.person(days=5, referrer_id=young)
    firm, _ = await town.person(days=1, referrer_id=older, kind="organisation")
    await town.look()
    assert [(await town.referral(each)).fault for each in (older, firm)] == [Fault.NOT_NEW, Fault.ORGANISATION]


async def test_a_person_decides_about_what_is_held(town):
    await town.programme()
    (old, _), (new, account) = await town.pair()
    await same_phone(town, old, new)
    await town.load(account, 10_000)
    await town.look(minutes=1)
    referral = await town.referral(new)
    decide = {"referral_id": referral.referral_id, "reason": "father and daughter", "now": town.now}
    with pytest.raises(NotAllowed):
        await decide_referral(town.session, admit=True, actor=SYSTEM, **decide)
    await decide_referral(town.session, admit=True, actor=town.clerk, **decide)
    await town.look(minutes=2)
    assert len(await town.paid()) == 2


@pytest.mark.parametrize(("present", "admit"), [*product(ReferralStatus, (True, False))])
async def test_a_decision_makes_only_moves_of_the_table(town, present, admit):
    await town.programme()
    _, (new, _) = await town.pair()
    await town.look()
    referral = await town.referral(new)
    await town.session.execute(update(Referral).values(status=present, fault=Fault.PHONE))
    to = ReferralStatus.ADMITTED if admit else ReferralStatus.REFUSED
    work = decide_referral(town.session, referral_id=referral.referral_id, admit=admit, reason="x", actor=town.clerk, now=town.now)
    if to in REFERRAL_MOVES[present]:
        assert await work is to
    else:
        with pytest.raises(ReferralCannotMove):
            await work


def test_every_status_has_its_row_and_none_leads_to_itself():
    assert set(REFERRAL_MOVES) == set(ReferralStatus)
    assert not [status for status in ReferralStatus if status in REFERRAL_MOVES[status]]


@pytest.mark.parametrize(
    ("milestones", "more"),
    [
        ((Milestone(code="x", event=Event.FILLS, at_least=1),), {}),
        ((FIRST, FIRST), {}),
        ((Milestone(code="x", event=Event.FILLS, at_least=1, referrer=(Reward(kind=RewardKind.VOUCHER, amount=1),)),), {}),
        ((Milestone(code="x", event=Event.FILLS, at_least=1, referrer=(Reward(kind=RewardKind.GIFT, amount=1, item="car"),)),), {}),
        ((FIRST,), {"currency": "XXX"}),
        ((FIRST,), {"ends_at": datetime(2020, 1, 1, tzinfo=UTC)}),
    ],
)
async def test_terms_that_do_not_fit_are_refused(town, milestones, more):
    with pytest.raises(ProgrammeNotWhole):
        await town.programme(*milestones, **more)


async def test_ten_payers_at_once_pay_once(sessions, now):
    async with transaction(sessions) as session:
        town = await Town(session, now).furnish()
        await town.programme(most_each=3)
        old, old_account = await town.person(days=8)
        for _ in range(6):
            _, account = await town.person(referrer_id=old)
            await town.load(account, 10_000)

    async def look(number):
        async with transaction(sessions) as session:
            at = now + timedelta(minutes=1 + number % 2)
            await find_referrals(session, code="friends", now=at)
            await pay_milestones(session, code="friends", actor=SYSTEM, now=at, most=4)

    await asyncio.gather(*(look(number) for number in range(10)))
    async with transaction(sessions) as session:
        assert await session.scalar(select(func.count()).where(ReferralReward.side == "referrer")) == 3
        assert await session.scalar(select(func.count()).where(ReferralReward.side == "referee")) == 6
        assert await Town(session, now).has(old_account, PurseKind.POINTS) == 1_500


# The monthly wash


class Washes(Town):
    async def wash(self, **more):
        kind = KindFacts(
            name_zh="洗车券", name_en="Wash", value_type=ValueType.SERVICE, zone="Asia/Shanghai", item="wash", plate_bound=True
        )
        await put_kind(self.session, code="wash", facts=kind, actor=SYSTEM, now=self.now)
        facts = {"name_zh": "每月洗车", "name_en": "Monthly wash", "kind": "wash", "zone": "Asia/Shanghai"}
        facts |= {"starts_at": self.now - timedelta(days=1)} | more
        await put_monthly(self.session, code="gold-wash", facts=MonthlyFacts(**facts), actor=SYSTEM, now=self.now)

    async def driver(self, *plates, tier=None):
        customer_id, account_id = await self.person()
        for plate in plates:
            card = await give_card(self.session, self.world, account_id=account_id)
            await self.session.execute(
                text("UPDATE cards SET plate = :plate WHERE card_id = :card"), {"plate": plate, "card": card.card_id}
            )
        if tier is not None:
            await self.session.execute(
                text("INSERT INTO standings (customer_id, tier, changed_at) VALUES (:customer, :tier, :now)"),
                {"customer": customer_id, "tier": tier, "now": self.now},
            )
        return customer_id

    async def issue(self, now=None, most=500):
        chunk = await issue_monthly(self.session, code="gold-wash", actor=SYSTEM, now=now or self.now, most=most)
        issued = chunk.issued
        while chunk.goes_on is not None:
            chunk = await issue_monthly(self.session, code="gold-wash", actor=SYSTEM, now=now or self.now, after=chunk.goes_on, most=most)
            issued += chunk.issued
        return issued


@pytest.fixture
async def washes(session, now):
    return await Washes(session, now).furnish()


async def test_a_wash_comes_once_a_month_a_customer_and_plate_and_ends_with_the_month(washes, now):
    await washes.wash(tiers=("gold", "black"))
    golden = await washes.driver("沪A12345", "沪A12345", "沪B00001", tier="gold")
    await washes.driver("沪A99999", tier="silver")
    await washes.driver("沪A88888")
    await washes.driver(tier="black")
    assert await washes.issue(most=1) == 2
    assert await washes.issue() == 0
    found = await vouchers.vouchers_of_customer(washes.session, customer_id=golden)
    assert {voucher.plate for voucher in found} == {"沪A12345", "沪B00001"}
    assert {voucher.expires_at for voucher in found} == {datetime(2026, 9, 30, 16, tzinfo=UTC)}
    late = await washes.driver("沪C11111", tier="black")
    assert await washes.issue(now + timedelta(days=2)) == 1
    assert await washes.issue(now + timedelta(days=7)) == 3
    assert len(await vouchers.vouchers_of_customer(washes.session, customer_id=late)) == 2


async def test_two_records_of_one_person_get_one_wash(washes):
    await washes.wash()
    kept, merged = await washes.driver("沪A12345"), await washes.driver("沪A12345")
    await same_person(washes, kept, merged)
    assert await washes.issue() == 1


async def test_it_is_issued_in_its_time_only(washes, now):
    await washes.driver("沪A12345")
    await washes.wash(starts_at=now + timedelta(days=1), ends_at=now + timedelta(days=2))
    assert await washes.issue() == 0
    assert await washes.issue(now + timedelta(days=2)) == 0
    with pytest.raises(MonthlyNotWhole):
        await washes.wash(ends_at=now - timedelta(days=9))
    with pytest.raises(MonthlyNotFound):
        await issue_monthly(washes.session, code="other", actor=SYSTEM, now=now)
    (monthly,) = await referrals.list_monthly(washes.session)
    assert (monthly.kind_code, monthly.plate_bound) == ("wash", True)


async def test_the_jobs_do_all_of_it_and_again_nothing(sessions, now, tmp_path):
    async with transaction(sessions) as session:
        washes = await Washes(session, now).furnish()
        await washes.wash()
        await washes.programme()
        await washes.driver("沪A12345")
        _, (_, account) = await washes.pair()
        await washes.load(account, 10_000)
    context = Context(sessions, Settings(data_dir=tmp_path, keys_dir=tmp_path))
    at = now + timedelta(minutes=1)
    assert await job.run_daily(context, at) == 2
    assert await job.run_daily(context, at) == 0
    assert await job.run(context, at) == 0
    assert await job.run(context, now + timedelta(days=30)) == 1
    async with transaction(sessions) as session:
        assert await session.scalar(select(func.count()).select_from(Voucher)) == 1
