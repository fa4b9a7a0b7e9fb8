"""What campaigns did, in figures worked out by hand: whom they reached, what they cost whom by day, what is left, what they changed."""

import zlib
from datetime import date, datetime, timedelta
from fractions import Fraction
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, text, update

from loyalty.customers.model import Customer
from loyalty.ids import uuid7
from loyalty.ledger.model import Account, AccountKind
from loyalty.ledger.operations import open_account
from loyalty.pricing.basket import Person
from loyalty.pricing.conditions import is_held_out
from loyalty.pricing.document import Budget, Campaign, Document, Fixed, Funder, Points, Rule, When
from loyalty.pricing.operations.publishing import publish
from loyalty.rewards.campaign_rules import GROUP_LEAST, Sample, Verdict, compare
from loyalty.rewards.queries.campaign_people import Uplift, groups_of, list_flyers
from loyalty.rewards.queries.campaigns import CampaignNotFound, Cost, Given, burn_down, costs_of, get_campaign, list_campaigns, results_of
from loyalty.topups.model import Topup
from tests.factories.world import make_world
from tests.rewards.earning import ZONE, benefit, refunded, sold
from tests.rewards.people import new_customer

DAY = timedelta(days=1)
TODAY = date(2026, 9, 24)
FIVE_OFF = Rule(
    code="five",
    name_zh="减五元",
    name_en="Five off",
    effect=Fixed(amount_minor=500),
    funders=(Funder(funder="head-office", parts=80), Funder(funder="station", parts=20)),
    campaign="thanks",
    budget="autumn",
)
POINTS = Rule(
    code="points",
    name_zh="积分",
    name_en="Points",
    effect=Points(points=1, per_minor=100),
    funders=(Funder(funder="head-office"),),
    campaign="thanks",
)
OTHER = Rule(code="other", name_zh="别的", name_en="Other", effect=Fixed(amount_minor=100), funders=(Funder(funder="head-office"),))
AUTUMN = Budget(code="autumn", name_zh="秋季", name_en="Autumn", total=100_000)


def thanks(*, code: str = "thanks", **more) -> Campaign:
    return Campaign(code=code, name_zh="感恩月", name_en="Thank-you month", **more)


async def live(session, now, *, rules=(FIVE_OFF, POINTS, OTHER), campaigns=None) -> int:
    campaigns = (thanks(),) if campaigns is None else campaigns
    return await publish(session, document=Document(rules=rules, campaigns=campaigns, budgets=(AUTUMN,)), note="tests", now=now)


async def account_of(session, now, *, customer: UUID | None = None, kind=AccountKind.PERSONAL) -> UUID:
    account_id = await open_account(session, kind=kind, currency="CNY", customer_id=customer, card_product_id=None, now=now)
    return UUID(str(account_id))


def off(book: int, given: int = 500, *, station: int | None = None) -> dict[str, object]:
    share = given // 5 if station is None else station
    return benefit(book, "five", "discount", given, funders=(("head-office", given - share), ("station:s", share)), budget=["autumn", 0])


def sample(*values: int) -> Sample:
    return Sample(len(values), sum(values), sum(value * value for value in values))


# Judging.


def test_a_mean_and_its_error_are_the_samples():
    # 1, 2, 3, 4: the mean is 2.5, the variance 5/3, the error's square 5/12.
    assert (sample(1, 2, 3, 4).mean, sample(1, 2, 3, 4).error) == (3, Fraction(5, 12))


@pytest.mark.parametrize(
    ("offered", "held_out", "judged"),
    [
        (sample(*[1] * 40), sample(), (Verdict.NOT_HELD_OUT, 0, 0)),
        (sample(*[1] * 40), sample(*[1] * (GROUP_LEAST - 1)), (Verdict.TOO_FEW, 0, 0)),
        (sample(*[1] * (GROUP_LEAST - 1)), sample(*[1] * 40), (Verdict.TOO_FEW, 0, 0)),
        # No spread at all: any difference counts, none does not.
        (sample(*[7] * 30), sample(*[5] * 30), (Verdict.MORE, 2, 0)),
        (sample(*[5] * 30), sample(*[7] * 30), (Verdict.LESS, -2, 0)),
        (sample(*[5] * 30), sample(*[5] * 30), (Verdict.CHANCE, 0, 0)),
        # 100 and 300, fifty of each: the mean is 200, the variance 10000 × 100/99, the error's square 101.01…; two errors of both: 28.4….
        (sample(*[100, 300] * 50), sample(*[80, 280] * 50), (Verdict.CHANCE, 20, 29)),
        (sample(*[100, 300] * 50), sample(*[71, 271] * 50), (Verdict.MORE, 29, 29)),
        (sample(*[100, 300] * 50), sample(*[72, 272] * 50), (Verdict.CHANCE, 28, 29)),
        (sample(*[71, 271] * 50), sample(*[100, 300] * 50), (Verdict.LESS, -29, 29)),
    ],
)
def test_a_difference_counts_from_two_standard_errors_on(offered, held_out, judged):
    assert compare(offered, held_out) == judged


@given(st.lists(st.integers(0, 10**6), min_size=30, max_size=60), st.lists(st.integers(0, 10**6), min_size=30, max_size=60))
def test_the_judgement_looks_the_same_from_the_other_side(one, other):
    there, back = compare(sample(*one), sample(*other)), compare(sample(*other), sample(*one))
    assert (there.difference, there.margin) == (-back.difference, back.margin)
    assert {there.verdict, back.verdict} in ({Verdict.CHANCE}, {Verdict.MORE, Verdict.LESS})


# Which campaigns there are.


async def test_a_campaigns_time_is_what_its_rulebooks_and_it_allow(session, now):
    await make_world(session, now=now)
    first = await live(session, now - 20 * DAY, campaigns=(thanks(), Campaign(code="gone", name_zh="旧", name_en="Old")))
    second = await live(session, now - 10 * DAY, campaigns=(thanks(ends_at=now - DAY, hold_out_basis_points=500),), rules=(FIVE_OFF,))
    await live(session, now - 5 * DAY, campaigns=(), rules=(OTHER,))
    await live(session, now + DAY, campaigns=(Campaign(code="coming", name_zh="新", name_en="New"),))
    found = {one.code: one for one in await list_campaigns(session, now=now)}
    assert {code: (one.books, one.since, one.until, one.is_over) for code, one in found.items()} == {
        "thanks": ([first, second], now - 20 * DAY, now - 5 * DAY, True),
        "gone": ([first], now - 20 * DAY, now - 10 * DAY, True),
    }
    one = found["thanks"]
    assert ([rule.code for rule in one.rules], one.budgets, one.campaign.hold_out_basis_points) == (["five"], ["autumn"], 500)
    with pytest.raises(CampaignNotFound):
        await get_campaign(session, code="coming", now=now)


async def test_a_campaign_that_runs_goes_up_to_now_and_begins_when_it_says(session, now):
    await make_world(session, now=now)
    await live(session, now - 20 * DAY, campaigns=(thanks(starts_at=now - 3 * DAY, ends_at=now + DAY),))
    one = await get_campaign(session, code="thanks", now=now)
    assert (one.since, one.until, one.is_over) == (now - 3 * DAY, now, False)


# What it gave and cost.


@pytest.fixture
async def given_(session, now):
    """Two customers, one with two accounts (a merged record's), and a bearer, under two rulebooks."""
    world = await make_world(session, now=now)
    first = await live(session, now - 10 * DAY)
    second = await live(session, now - 2 * DAY)
    anna = await new_customer(session, now - 30 * DAY)
    twin = await new_customer(session, now - 30 * DAY)
    await session.execute(update(Customer).where(Customer.customer_id == twin).values(merged_into=anna, status="merged"))
    bob = await new_customer(session, now - 30 * DAY)
    accounts = [await account_of(session, now - 30 * DAY, customer=each) for each in (anna, twin, bob)]
    accounts.append(await account_of(session, now - 30 * DAY, kind=AccountKind.ANONYMOUS))
    return world, first, second, accounts


async def test_customers_are_reached_once_and_each_kind_is_counted(session, now, given_):
    world, first, second, (anna, twin, bob, bearer) = given_
    points = benefit(first, "points", "points", 100)
    await sold(session, world, anna, first, [off(first), points, benefit(first, "other", "discount", 100)], at=now - 5 * DAY)
    await sold(session, world, twin, second, [off(second)], at=now - DAY)
    sale = await sold(session, world, bob, second, [off(second), benefit(second, "points", "points", 95)], at=now - DAY)
    await sold(session, world, bearer, second, [off(second, 250, station=50)], at=now - DAY)
    await sold(session, world, bob, second, [], at=now - DAY)
    await sold(session, world, bob, second, [benefit(second, "other", "discount", 100)], at=now - DAY)
    await sold(session, world, bob, first, [off(first)], at=now - 15 * DAY)  # before it began
    await refunded(session, world, bob, sale, [["five", "discount", 123], ["points", "points", 23]], at=now - DAY + timedelta(hours=1))
    await refunded(session, world, bob, sale, [["five", "discount", 7]], at=now - DAY + timedelta(hours=2))
    campaign = await get_campaign(session, code="thanks", now=now)
    found = await results_of(session, campaign=campaign, zone=ZONE, until=now)
    assert (found.customers, found.times) == (3, 4)
    assert found.kinds == [Given("discount", 4, 3, 1_750, 130), Given("points", 2, 2, 195, 23)]
    assert [one.net for one in found.kinds] == [1_620, 172]


async def test_costs_stand_by_day_and_funder_and_a_return_is_split_as_the_benefit_was(session, now, given_):
    world, _first, second, (anna, _twin, bob, _bearer) = given_
    await sold(session, world, anna, second, [off(second)], at=now - DAY)
    sale = await sold(session, world, bob, second, [off(second, 333, station=66), benefit(second, "points", "points", 95)], at=now - DAY)
    # 100 of 333 goes back: of 267 : 66 that is 80.18 and 19.81; cut to 80 and 19, the last cent is the larger share's.
    await refunded(session, world, bob, sale, [["five", "discount", 100]], at=now)
    await session.execute(text("UPDATE sales SET business_day = :day WHERE sale_id = :sale"), {"day": TODAY - DAY, "sale": sale})
    campaign = await get_campaign(session, code="thanks", now=now)
    found = await costs_of(session, campaign=campaign, first_day=TODAY - 5 * DAY, last_day=TODAY + DAY, zone=ZONE)
    assert found == [
        Cost(TODAY, "head-office", "discount", 1, 400),
        Cost(TODAY, "station:s", "discount", 1, 100),
        Cost(TODAY - DAY, "head-office", "discount", 1, 267 - 81),
        Cost(TODAY - DAY, "head-office", "points", 1, 95),
        Cost(TODAY - DAY, "station:s", "discount", 1, 66 - 19),
    ]
    later = await costs_of(session, campaign=campaign, first_day=TODAY, last_day=TODAY + DAY, zone=ZONE)
    assert [one.day for one in later] == [TODAY, TODAY]
    assert await costs_of(session, campaign=campaign, first_day=TODAY + DAY, last_day=TODAY + 9 * DAY, zone=ZONE) == []


async def topped_up(session, account_id: UUID, now: datetime, amount_minor: int, *, flyer: str | None = None, detail=None) -> UUID:
    topup_id = uuid7(now)
    facts = {"topup_id": topup_id, "account_id": account_id, "status": "booked", "tender": "cash", "currency": "CNY"}
    zeros = dict.fromkeys(("bonus_minor", "settled_minor", "returned_minor", "bonus_returned_minor"), 0)
    times = dict.fromkeys(("event_at", "requested_at", "booked_at"), now)
    more = {"amount_minor": amount_minor, "off_premises": False, "flyer": flyer, "detail": detail}
    await session.execute(insert(Topup).values(facts | zeros | times | more))
    return topup_id


async def test_a_top_up_counts_as_a_sale_does(session, now, given_):
    _world, first, _second, (anna, *_others) = given_
    given_here = {"book": first, "benefits": [off(first, 1_000)]}
    await topped_up(session, anna, now - 4 * DAY, 50_000, detail=given_here)
    campaign = await get_campaign(session, code="thanks", now=now)
    assert (await results_of(session, campaign=campaign, zone=ZONE, until=now)).kinds == [Given("discount", 1, 1, 1_000, 0)]
    costs = await costs_of(session, campaign=campaign, first_day=TODAY - 9 * DAY, last_day=TODAY, zone=ZONE)
    assert [(one.day, one.funder, one.amount) for one in costs] == [
        (TODAY - 4 * DAY, "head-office", 800),
        (TODAY - 4 * DAY, "station:s", 200),
    ]


async def test_what_is_left_of_a_budget_is_reckoned_back_from_what_is_used(session, now, given_):
    world, _first, second, (anna, _twin, bob, _bearer) = given_
    for account, days in ((anna, 3), (anna, 1), (bob, 1)):
        sale = await sold(session, world, account, second, [off(second)], at=now - days * DAY)
        await session.execute(text("UPDATE sales SET business_day = :day WHERE sale_id = :sale"), {"day": TODAY - days * DAY, "sale": sale})
    await refunded(session, world, bob, sale, [["five", "discount", 200]], at=now)
    # 1,500 given, 200 of it back, and 4,000 before these days.
    await session.execute(text("UPDATE budget_shares SET used = 5300 WHERE share = (SELECT min(share) FROM budget_shares)"))
    ((state, line),) = await burn_down(session, codes=["autumn", "unknown"], since=now - 3 * DAY, today=TODAY, zone=ZONE)
    assert (state.code, state.total, state.used) == ("autumn", 100_000, 5_300)
    assert [(one.day, one.left) for one in line] == [
        (TODAY - 4 * DAY, 96_000),
        (TODAY - 3 * DAY, 95_500),
        (TODAY - 2 * DAY, 95_500),
        (TODAY - DAY, 94_500),
        (TODAY, 94_700),
    ]
    ((_state, short),) = await burn_down(session, codes=["autumn"], since=now - 3 * DAY, today=TODAY, zone=ZONE, days_most=2)
    assert [one.left for one in short] == [94_500, 94_700]
    assert await burn_down(session, codes=[], since=now, today=TODAY, zone=ZONE) == []


# What it changed.


async def test_the_database_draws_the_hold_out_as_the_pump_does(session):
    campaign = thanks(hold_out_basis_points=3_000)
    ids = [uuid4() for _ in range(500)]
    drawn = await session.scalars(
        text("SELECT u FROM unnest(CAST(:ids AS uuid[])) AS u WHERE crc32(uuid_send(u) || convert_to(:code, 'UTF8')) % 10000 < :share"),
        {"ids": ids, "code": campaign.code, "share": campaign.hold_out_basis_points},
    )
    assert set(drawn) == {one for one in ids if is_held_out(Person(one), campaign)}


def drawn_id(*, held_out: bool, code: str = "thanks") -> UUID:
    """Make an id that falls into the group, a half being held out."""
    return next(one for one in iter(uuid4, None) if (zlib.crc32(one.bytes + code.encode()) % 10_000 < 5_000) is held_out)


async def shopper(session, now, *, held_out: bool, opened: timedelta, bought: tuple[tuple[timedelta, int, int], ...], world) -> UUID:
    """Open an account of a group's customer that bought: (how long ago, minor units, thousandths of a litre)."""
    customer = await new_customer(session, now - opened, customer_id=drawn_id(held_out=held_out))
    account = await account_of(session, now - opened, customer=customer)
    for ago, amount, litres in bought:
        await sold(session, world, account, 0, [], at=now - ago, amount_minor=amount, litres_milli=litres)
    return account


@pytest.fixture
async def judged(session, now):
    """A campaign of ten days, half of the customers held out."""
    world = await make_world(session, now=now)
    book = await live(session, now - 10 * DAY, campaigns=(thanks(hold_out_basis_points=5_000),))
    return world, book


async def test_groups_are_who_was_there_before_or_came_and_what_they_spent_meanwhile(session, now, judged):
    world, book = judged
    old, new = 60 * DAY, 5 * DAY
    reached = await shopper(session, now, held_out=False, opened=old, bought=((20 * DAY, 9_999, 9_000),), world=world)
    sale = await sold(session, world, reached, book, [off(book)], at=now - 3 * DAY, amount_minor=20_000, litres_milli=25_000)
    await session.execute(text("UPDATE sales SET refunded_minor = 4000, status = 2 WHERE sale_id = :sale"), {"sale": sale})
    await refunded(session, world, reached, sale, [], at=now)
    await session.execute(text("UPDATE refunds SET quantity_milli = 5000, gross_minor = 4000 WHERE sale_id = :sale"), {"sale": sale})
    await sold(session, world, reached, 0, [], at=now - DAY, amount_minor=3_000, litres_milli=0, product="wash")
    await shopper(session, now, held_out=False, opened=old, bought=((30 * DAY, 5_000, 6_000),), world=world)  # bought before, not since
    await shopper(session, now, held_out=False, opened=new, bought=((DAY, 1_000, 1_000),), world=world)  # came in its time
    await shopper(session, now, held_out=False, opened=old, bought=(), world=world)  # asleep: not counted
    await shopper(session, now, held_out=True, opened=old, bought=((20 * DAY, 1, 1), (2 * DAY, 7_000, 8_000)), world=world)
    await shopper(session, now, held_out=True, opened=new, bought=(), world=world)
    campaign = await get_campaign(session, code="thanks", now=now)
    found = await groups_of(session, campaign=campaign, zone=ZONE)
    assert found.offered.spend == sample(19_000, 0, 1_000)
    assert found.offered.litres == sample(20_000, 0, 1_000)
    assert (found.offered.buyers, found.reached.spend, found.leaked) == (2, sample(19_000), 0)
    assert (found.held_out.spend, found.held_out.litres, found.held_out.buyers) == (sample(7_000, 0), sample(8_000, 0), 1)


async def test_a_held_out_customer_who_got_something_all_the_same_is_told(session, now, judged):
    world, book = judged
    account = await shopper(session, now, held_out=True, opened=5 * DAY, bought=(), world=world)
    await sold(session, world, account, book, [off(book)], at=now - DAY)
    campaign = await get_campaign(session, code="thanks", now=now)
    found: Uplift = await groups_of(session, campaign=campaign, zone=ZONE)
    assert (found.leaked, found.held_out.people, found.offered.people, found.reached.people) == (1, 1, 0, 0)


async def test_only_the_kinds_of_accounts_are_counted_that_its_rules_are_for(session, now):
    world = await make_world(session, now=now)
    rule = Rule(
        code="five",
        name_zh="减",
        name_en="Off",
        effect=Fixed(amount_minor=1),
        funders=(Funder(funder="head-office"),),
        campaign="thanks",
        when=When(account_kinds=("personal",)),
    )
    await live(session, now - 10 * DAY, rules=(rule,), campaigns=(thanks(hold_out_basis_points=5_000),))
    await shopper(session, now, held_out=False, opened=5 * DAY, bought=(), world=world)
    company = await shopper(session, now, held_out=False, opened=5 * DAY, bought=((DAY, 1, 1),), world=world)
    await session.execute(update(Account).where(Account.account_id == company).values(kind=AccountKind.COMPANY))
    found = await groups_of(session, campaign=await get_campaign(session, code="thanks", now=now), zone=ZONE)
    assert found.offered.people == 1


# Flyers.


async def test_a_flyer_tells_whom_it_brought_and_their_first_thirty_days(session, now):
    world = await make_world(session, now=now)
    came = now - 50 * DAY
    often = ((9, 2_000), (19, 2_000), (29, 1_000), (31, 7_000))
    for code, load, spent in (("A1", 30_000, often), ("A1", None, ((5, 2_500),)), ("B2", 10_000, ())):
        customer = await new_customer(session, came, flyer_code=code)
        if load is not None:
            facts = {"first_load_minor": load, "first_load_currency": "CNY", "first_load_at": came}
            await session.execute(update(Customer).where(Customer.customer_id == customer).values(facts))
        account = await account_of(session, came, customer=customer)
        for days, amount in spent:
            await sold(session, world, account, 0, [], at=came + days * DAY, amount_minor=amount)
    await new_customer(session, now - 90 * DAY, flyer_code="A1")
    await new_customer(session, came)
    await topped_up(session, account, came, 100, flyer="B2")
    await topped_up(session, account, came, 100, flyer="C3")
    asked = {"since": now - 60 * DAY, "until": now, "currency": "CNY"}
    found = (await list_flyers(session, **asked)).rows
    told = [(one.code, one.customers, one.loaders, one.loaded_minor, one.buyers, one.spend_minor, one.stayed, one.topups) for one in found]
    assert told == [
        ("A1", 2, 1, 30_000, 2, 7_500, 1, 0),
        ("B2", 1, 1, 10_000, 0, 0, 0, 1),
        ("C3", 0, 0, 0, 0, 0, 0, 1),
    ]
    page = await list_flyers(session, **asked, limit=1)
    assert ([one.code for one in page.rows], page.next) == (["A1"], "A1")
    assert [one.code for one in (await list_flyers(session, **asked, limit=1, cursor="A1")).rows] == ["B2"]
    assert [one.code for one in (await list_flyers(session, **asked, codes=("B2", "none"))).rows] == ["B2"]
