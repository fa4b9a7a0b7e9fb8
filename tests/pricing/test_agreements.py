"""What a company pays under its agreement, and an agreement's life."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from loyalty.audit.model import Actor, ActorKind
from loyalty.customers.model import CustomerKind
from loyalty.customers.operations import CustomerFacts, add_customer
from loyalty.customers.queries import CustomerNotFound
from loyalty.db import transaction
from loyalty.identity import operations as identity
from loyalty.pricing.agreements import Agreed, Kind, Line, Term, agreed_for, evaluate_agreed, price_of
from loyalty.pricing.bounding import Question
from loyalty.pricing.document import Percent, Points
from loyalty.pricing.explaining import explain
from loyalty.pricing.model import AGREEMENT_MOVES, AgreementStatus
from loyalty.pricing.operations.agreements import (
    AgreementCannotMove,
    AgreementMovedOn,
    AgreementNeedsAnother,
    AgreementNotADraft,
    AgreementNotFound,
    AgreementNotSound,
    NewAgreement,
    approve_agreement,
    change_agreement,
    draft_agreement,
    end_agreement,
)
from loyalty.pricing.queries import agreements as queries
from loyalty.pricing.queries.agreements import AgreementState
from loyalty.pricing.queries.live import has_agreements
from tests.factories.world import make_world
from tests.pricing.books import ANNA, HERE, THURSDAY, at, basket, book, fuel, given, plan_of, rule, why

DAY = timedelta(days=1)
WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
THERE = UUID(int=102)
"""Another station than `HERE`."""


def price(value_e4: int, **at_) -> Line:
    return Line(kind=Kind.PRICE, value_e4=value_e4, **at_)


def term(*lines: Line, code: str = "a", begins=THURSDAY - DAY, ends=None, currency: str = "CNY") -> Term:
    return Term(
        code=code,
        revision=1,
        name_zh=code,
        name_en=code,
        currency=currency,
        lowest_wins=False,
        funder="head-office",
        starts_at=begins,
        ends_at=ends,
        lines=lines,
    )


EVERYTHING, GRADE, STATION, BOTH = (
    price(1),
    price(2, product="92"),
    price(3, station=HERE.station_id),
    price(4, product="92", station=HERE.station_id),
)


@pytest.mark.parametrize(
    ("lines", "counts"),
    [
        ((EVERYTHING,), 1),
        ((EVERYTHING, GRADE), 2),
        ((GRADE, STATION), 3),
        ((STATION, GRADE), 3),
        ((BOTH, STATION, GRADE, EVERYTHING), 4),
        ((price(5, product="95"),), None),
        ((price(6, station=THERE), EVERYTHING), 1),
        ((price(7, product="92", station=THERE), price(8, product="95", station=HERE.station_id)), None),
        ((), None),
    ],
)
def test_the_most_closely_named_line_counts_the_station_first(lines, counts):
    found = agreed_for([term(*lines)], product="92", where=HERE, now=THURSDAY)
    assert (found and found.value_e4) == counts


@pytest.mark.parametrize(
    ("terms", "counts"),
    [
        ([term(EVERYTHING, begins=THURSDAY)], 1),
        ([term(EVERYTHING, begins=THURSDAY + timedelta(microseconds=1))], None),
        ([term(EVERYTHING, ends=THURSDAY)], None),
        ([term(EVERYTHING, ends=THURSDAY + timedelta(microseconds=1))], 1),
        ([term(EVERYTHING, currency="CZK")], None),
        ([term(BOTH, begins=THURSDAY - 2 * DAY), term(EVERYTHING, code="b")], 1),
        ([term(BOTH, begins=THURSDAY - 2 * DAY), term(price(9, product="95"), code="b")], 4),
    ],
)
def test_an_agreement_counts_from_its_beginning_to_its_end_and_the_later_begun_stands(terms, counts):
    found = agreed_for(terms, product="92", where=HERE, now=THURSDAY)
    assert (found and found.value_e4) == counts


@pytest.mark.parametrize(
    ("kind", "value_e4", "pays_e4"),
    [
        (Kind.PRICE, 75_000, 75_000),
        (Kind.PRICE, 90_000, 90_000),
        (Kind.DISCOUNT, 3_000, 80_700),
        (Kind.DISCOUNT, 83_700, 0),
        (Kind.DISCOUNT, 90_000, 0),
        (Kind.SURCHARGE, 1_050, 84_750),
    ],
)
def test_a_line_is_a_price_a_discount_or_a_surcharge(kind, value_e4, pays_e4):
    assert price_of(agreed(kind, value_e4), 83_700) == pays_e4


def agreed(kind: Kind, value_e4: int, *, lowest_wins: bool = False, funder: str = "head-office") -> Agreed:
    return Agreed("deal", 3, "协议", "Deal", lowest_wins, funder, kind, value_e4)


def ask(found: Agreed, *rules, litres: str = "22.00", amount_minor: int | None = None):
    """Ask 22.00 L of 92 at 8.37 = 184.14 under an agreement."""
    which = book(*rules)
    goods = basket(fuel(litres, amount_minor=amount_minor))
    question = Question(which, HERE, goods, ANNA, at())
    return evaluate_agreed(question, plan_of(which, goods), {0: found})


@pytest.mark.parametrize(
    ("kind", "value_e4", "litres", "discount", "surcharge"),
    [
        (Kind.PRICE, 80_000, "22.00", 18_414 - 17_600, 0),
        (Kind.PRICE, 83_700, "22.00", 0, 0),
        (Kind.PRICE, 85_000, "22.00", 0, 18_700 - 18_414),
        (Kind.DISCOUNT, 3_000, "22.00", 660, 0),
        # 22.333 L: 186.92721 and 180.22731 round to 186.93 and 180.23: the difference of rounded amounts, not 6.6999 rounded.
        (Kind.DISCOUNT, 3_000, "22.333", 670, 0),
        # 0.011 L: 0.09207 and 0.09152 are both 0.09.
        (Kind.DISCOUNT, 500, "0.011", 0, 0),
        (Kind.DISCOUNT, 90_000, "22.00", 18_414, 0),
        (Kind.SURCHARGE, 1_000, "22.00", 0, 220),
    ],
)
def test_what_is_given_is_the_difference_of_rounded_amounts(kind, value_e4, litres, discount, surcharge):
    outcome = ask(agreed(kind, value_e4), litres=litres)
    assert (outcome.discount_minor, outcome.surcharge_minor) == (discount, surcharge)
    assert given(outcome) == ({"deal": discount + surcharge} if discount + surcharge else {})


def test_the_pumps_amount_is_authoritative():
    outcome = ask(agreed(Kind.DISCOUNT, 3_000), amount_minor=18_410)
    assert outcome.discount_minor == 660
    assert outcome.applied[0].base_minor == 18_410


def test_an_agreement_stands_alone_for_its_goods_and_points_look_at_what_is_paid():
    tenth = rule(Percent(basis_points=1_000), "tenth")
    points = rule(Points(points=1, per_minor=100), "points")
    outcome = ask(agreed(Kind.PRICE, 80_000), tenth, points)
    assert given(outcome) == {"deal": 814, "points": 176}
    assert why(outcome) == {"tenth": "agreement"}


@pytest.mark.parametrize(
    ("found", "off", "stands"),
    [
        (agreed(Kind.DISCOUNT, 3_000, lowest_wins=True), 500, "r"),  # 9.21 against 6.60
        (agreed(Kind.DISCOUNT, 3_000, lowest_wins=True), 300, "deal"),  # 5.52 against 6.60
        (agreed(Kind.DISCOUNT, 3_000), 500, "deal"),
        (agreed(Kind.SURCHARGE, 1_000, lowest_wins=True), 500, "r"),
    ],
)
def test_the_lowest_wins_only_where_that_was_agreed(found, off, stands):
    outcome = ask(found, rule(Percent(basis_points=off)))
    assert list(given(outcome)) == [stands]
    assert why(outcome) == ({"deal": "better_offer"} if stands == "r" else {"r": "agreement"})


def test_equal_amounts_are_the_agreements():
    outcome = ask(agreed(Kind.PRICE, 75_330, lowest_wins=True), rule(Percent(basis_points=1_000)))
    assert given(outcome) == {"deal": 1_841}


def test_against_a_surcharge_the_pumps_own_price_can_be_the_lowest():
    outcome = ask(agreed(Kind.SURCHARGE, 1_000, lowest_wins=True), rule(Points(points=1, per_minor=100), "points"))
    assert (given(outcome), outcome.surcharge_minor) == ({"points": 184}, 0)
    (missed,) = outcome.missed
    assert explain(missed.rule, missed.miss, "CNY")[0] == "现价不高于“协议”的价格"


# Its life.


@pytest.fixture
async def desk(session, now):
    """Return a company and two members of staff."""
    world = await make_world(session, now=now)
    people = []
    for number in ("1001", "1002"):
        staff_id = await identity.hire(session, employee_number=number, name=f"员工{number}", by=None, now=now)
        people.append(Actor(ActorKind.STAFF, UUID(str(staff_id))))
    facts = CustomerFacts(kind=CustomerKind.ORGANISATION, name="顺达物流")
    company = await add_customer(session, facts=facts, actor=people[0], now=now)
    return world, company, *people


def wanted(company, now, **more) -> NewAgreement:
    made = NewAgreement(
        code="shunda",
        customer_id=company,
        name_zh="顺达协议价",
        name_en="Shunda's price",
        currency="CNY",
        lowest_wins=False,
        funder="head-office",
        lines=(Line(kind=Kind.DISCOUNT, value_e4=3_000, product="92"),),
        starts_at=now,
    )
    return made._replace(**more)


def test_every_status_has_its_row_of_moves_and_none_leads_to_itself():
    assert set(AGREEMENT_MOVES) == set(AgreementStatus)
    assert not [status for status in AgreementStatus if status in AGREEMENT_MOVES[status]]


async def test_a_draft_is_approved_by_another_and_its_next_revision_takes_over_from_its_beginning(session, desk, now):
    _world, company, maker, checker = desk
    first = await draft_agreement(session, agreement=wanted(company, now), after=0, actor=maker, now=now)
    assert not await has_agreements(session)
    with pytest.raises(AgreementNeedsAnother):
        await approve_agreement(session, agreement_id=first, actor=maker, now=now)
    await approve_agreement(session, agreement_id=first, actor=checker, now=now)
    with pytest.raises(AgreementCannotMove):
        await approve_agreement(session, agreement_id=first, actor=checker, now=now)
    later = wanted(company, now, starts_at=now + DAY)
    with pytest.raises(AgreementMovedOn):
        await draft_agreement(session, agreement=later, after=0, actor=maker, now=now)
    second = await draft_agreement(session, agreement=later, after=1, actor=maker, now=now + timedelta(seconds=1))
    await approve_agreement(session, agreement_id=second, actor=checker, now=now)
    revisions = await queries.revisions_of(session, code="shunda")
    states = [(one.agreement_id, one.revision, one.starts_at, one.ends_at, one.state(now)) for one in revisions]
    assert states == [(second, 2, now + DAY, None, AgreementState.COMING), (first, 1, now, now + DAY, AgreementState.RUNNING)]
    assert [one.state(now + DAY) for one in revisions] == [AgreementState.RUNNING, AgreementState.OVER]
    assert [one.revision for one in await queries.standing_agreements(session, now=now)] == [1, 2]
    named = await queries.agreements_named(session, revisions=[("shunda", 1), ("shunda", 9), ("other", 1)])
    assert named == {("shunda", 1): first}
    await end_agreement(session, agreement_id=second, reason="terminated", actor=checker, now=now)
    assert (await queries.get_agreement(session, agreement_id=second)).state(now) is AgreementState.ENDED


async def test_whoever_changed_a_draft_last_does_not_approve_it(session, desk, now):
    _world, company, maker, checker = desk
    made = await draft_agreement(session, agreement=wanted(company, now), actor=maker, now=now)
    changed = wanted(company, now, lines=(price(75_000),), lowest_wins=True, ends_at=now + DAY)
    await change_agreement(session, agreement_id=made, agreement=changed, actor=checker, now=now)
    with pytest.raises(AgreementNeedsAnother):
        await approve_agreement(session, agreement_id=made, actor=checker, now=now)
    await approve_agreement(session, agreement_id=made, actor=maker, now=now)
    found = await queries.get_agreement(session, agreement_id=made)
    assert (found.lines, found.lowest_wins, found.revision, found.made_by) == ((price(75_000),), True, 1, checker.actor_id)
    with pytest.raises(AgreementNotADraft):
        await change_agreement(session, agreement_id=made, agreement=changed, actor=checker, now=now)
    with pytest.raises(AgreementNotFound):
        await change_agreement(session, agreement_id=uuid4(), agreement=changed, actor=checker, now=now)


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("lines", {"lines": ()}),
        ("lines", {"lines": (price(1), price(2))}),
        ("lines", {"lines": (price(1, product="wash"),)}),
        ("lines", {"lines": (price(1, product="none"),)}),
        ("lines", {"lines": (price(1, station=UUID(int=1)),)}),
        ("lines", {"lines": (price(0),)}),
        ("ends_at", {"ends_at": datetime(2020, 1, 1, tzinfo=UTC)}),
        ("currency", {"currency": "yuan"}),
        ("code", {"code": "Shunda 1"}),
        ("funder", {"funder": ""}),
        ("name_en", {"name_en": ""}),
    ],
)
async def test_what_cannot_be_is_not_drafted(session, desk, now, field, more):
    with pytest.raises(AgreementNotSound) as refused:
        await draft_agreement(session, agreement=wanted(desk[1], now, **more), actor=desk[2], now=now)
    assert refused.value.facts["field"] == field


async def test_a_code_is_one_companys_for_ever(session, desk, now):
    _world, company, maker, _checker = desk
    await draft_agreement(session, agreement=wanted(company, now), actor=maker, now=now)
    other = await add_customer(session, facts=CustomerFacts(kind=CustomerKind.ORGANISATION, name="别家"), actor=maker, now=now)
    with pytest.raises(AgreementNotSound):
        await draft_agreement(session, agreement=wanted(other, now), actor=maker, now=now)
    with pytest.raises(CustomerNotFound):
        await draft_agreement(session, agreement=wanted(uuid4(), now, code="x"), actor=maker, now=now)


async def test_lists_are_cut_by_state_and_company(session, desk, now):
    _world, company, maker, checker = desk
    ids = [
        await draft_agreement(session, agreement=wanted(company, now, code=code), actor=maker, now=now + timedelta(seconds=place))
        for place, code in enumerate(("one", "two", "three"))
    ]
    await approve_agreement(session, agreement_id=ids[0], actor=checker, now=now)
    await end_agreement(session, agreement_id=ids[1], reason="given up", actor=maker, now=now)
    found = await queries.list_agreements(session, now=now, limit=2)
    assert [one.code for one in found.rows] == ["three", "two"]
    rest = await queries.list_agreements(session, now=now, limit=2, cursor=found.next)
    assert [(one.code, one.customer_name, one.line_count, one.approved_by_name) for one in rest.rows] == [
        ("one", "顺达物流", 1, "员工1002")
    ]
    for state, codes in (("draft", ["three"]), ("ended", ["two"]), ("running", ["one"]), ("coming", []), ("over", [])):
        found = await queries.list_agreements(session, now=now, state=AgreementState(state))
        assert [one.code for one in found.rows] == codes
    assert [one.code for one in (await queries.list_agreements(session, now=now, text="顺")).rows] == ["three", "two", "one"]
    assert [one.code for one in (await queries.list_agreements(session, now=now, text="two")).rows] == ["two"]
    assert [one.code for one in await queries.agreements_of(session, customer_id=company)] == ["three", "two", "one"]


async def test_of_two_who_draft_one_code_at_the_same_instant_the_second_is_told(sessions, now):
    async with transaction(sessions) as session:
        company = await add_customer(
            session, facts=CustomerFacts(kind=CustomerKind.ORGANISATION, name="顺达物流"), actor=Actor(ActorKind.SYSTEM, "tests"), now=now
        )
        staff = await identity.hire(session, employee_number="1001", name="员工", by=None, now=now)
        await make_world(session, now=now)
    maker = Actor(ActorKind.STAFF, UUID(str(staff)))
    waiting = asyncio.Event()

    async def first():
        async with transaction(sessions) as session:
            await draft_agreement(session, agreement=wanted(company, now), actor=maker, now=now)
            waiting.set()
            # The second one asks now, finds no revision yet, and waits for this one's commit.
            while not await session.scalar(text(WAITS)):
                pass

    async def second():
        await waiting.wait()
        async with transaction(sessions) as session:
            await draft_agreement(session, agreement=wanted(company, now), actor=maker, now=now + timedelta(seconds=1))

    done, refused = await asyncio.gather(first(), second(), return_exceptions=True)
    assert done is None
    assert isinstance(refused, AgreementMovedOn)
    assert refused.facts == {"code": "shunda", "revision": 1}
    async with transaction(sessions) as session:
        assert [one.revision for one in await queries.revisions_of(session, code="shunda")] == [1]
