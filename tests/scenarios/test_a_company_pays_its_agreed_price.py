"""A company's agreement: below the pump's price somebody bears the difference, above it the issuer has it; a refund takes all back."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from loyalty.customers.model import CustomerKind
from loyalty.customers.operations import CustomerFacts, add_customer
from loyalty.pricing.agreements import Kind, Line
from loyalty.pricing.document import Document, Funder, Percent, Points, Rule, When
from loyalty.pricing.operations import publish
from loyalty.pricing.operations.agreements import AgreementNeedsAnother, NewAgreement, approve_agreement, draft_agreement, end_agreement
from tests.factories.world import SYSTEM
from tests.scenarios.telling import houses, key, money, said
from tests.simulation.house import broken

FILL = {"milli": 20_000, "price": 78_900, "amount": 15_780}


@pytest.fixture
async def company(house):
    """Give the company's account a customer, and put a tenth off and points live."""
    card = house.people.cards["company"]

    async def perform(session):
        facts = CustomerFacts(kind=CustomerKind.ORGANISATION, name="杭州顺达物流有限公司")
        customer = await add_customer(session, facts=facts, actor=house.people.staff, now=house.time)
        await session.execute(text("UPDATE accounts SET customer_id = :c WHERE account_id = :a"), {"c": customer, "a": card.account_id})
        ours = (Funder(funder="head-office"),)
        fuel = When(categories=("fuel",))
        tenth = Rule(code="tenth", name_zh="九折", name_en="A tenth", effect=Percent(basis_points=1_000), funders=ours, when=fuel)
        points = Rule(code="points", name_zh="积分", name_en="Points", effect=Points(points=1, per_minor=100), funders=ours, when=fuel)
        await publish(session, document=Document(rules=(tenth, points)), note="test", now=house.time - timedelta(days=1))
        return customer

    made = await house.perform(perform)
    await house.reload()
    return made


async def agree(house, company, *lines, lowest_wins=False):
    async def perform(session):
        terms = NewAgreement(
            code="shunda",
            customer_id=company,
            name_zh="顺达协议价",
            name_en="Shunda's price",
            currency="CNY",
            lowest_wins=lowest_wins,
            funder="head-office",
            lines=lines,
            starts_at=house.time - timedelta(hours=1),
        )
        made = await draft_agreement(session, agreement=terms, actor=house.people.staff, now=house.time)
        await approve_agreement(session, agreement_id=made, actor=SYSTEM, now=house.time)
        return made

    made = await house.perform(perform)
    await house.reload()
    return made


def applied(answer):
    return [(one["rule"], one["kind"], one["amount"]) for one in answer["benefits"]]


async def test_a_price_below_the_pumps_stands_instead_of_the_rules(house, company):
    await agree(house, company, Line(kind=Kind.PRICE, value_e4=75_000, product="92"))
    card = house.people.cards["company"]
    sold = said(await house.sell(card, key=key(), **FILL))
    assert applied(sold) == [("shunda", "discount", 780), ("points", "points", 150)]
    assert (sold["gross_minor"], sold["discount_minor"], sold["card_minor"]) == (15_780, 780, 15_000)
    assert sold["others"][0]["en"] == "A tenth: the company's agreement “shunda” stands instead"
    assert (await houses(house))["discount:head-office"] == -780
    assert await broken(house) == []


async def test_the_lowest_wins_where_it_was_agreed(house, company):
    await agree(house, company, Line(kind=Kind.DISCOUNT, value_e4=1_000), lowest_wins=True)
    card = house.people.cards["company"]
    sold = said(await house.sell(card, key=key(), **FILL))
    assert applied(sold)[0] == ("tenth", "discount", 1_578), "20 L × 0.10 = 2.00 is less than a tenth of 157.80"


async def test_a_surcharge_is_paid_by_the_customer_and_not_kept_by_the_station(house, company):
    await agree(house, company, Line(kind=Kind.SURCHARGE, value_e4=1_000))
    card = house.people.cards["company"]
    before = await money(house, card)
    approved = said(await house.authorise(card, key=key(), quantity_milli=40_000))
    assert (approved["approved_minor"], approved["held_minor"], approved["surcharge_minor"]) == (31_560, 31_960, 400)
    booked = said(await house.complete(approved["authorization"], key=key(), milli=20_000, price=78_900, amount=15_780))
    assert (booked["gross_minor"], booked["card_minor"], booked["surcharge_minor"]) == (15_980, 15_980, 200)
    found = await houses(house)
    station = str(house.world.station_id)
    assert (found[f"sales:{station}"], found["surcharge:head-office"]) == (15_780, 200)
    assert await broken(house) == []
    part = said(await house.refund(booked["sale"], key=key(), gross=5_000))
    assert part["card_minor"] == 5_000
    said(await house.refund(booked["sale"], key=key(), gross=None))
    assert await money(house, card) == before
    found = await houses(house)
    assert (found.get(f"sales:{station}", 0), found.get("surcharge:head-office", 0)) == (0, 0)
    assert await broken(house) == []


async def test_its_maker_does_not_approve_it_and_its_end_is_the_end(house, company):
    made = await agree(house, company, Line(kind=Kind.PRICE, value_e4=75_000))

    async def alone(session):
        terms = NewAgreement("other", company, "另", "Other", "CNY", False, "head-office", (Line(kind=Kind.PRICE, value_e4=1),), house.time)
        drafted = await draft_agreement(session, agreement=terms, actor=house.people.staff, now=house.time)
        with pytest.raises(AgreementNeedsAnother):
            await approve_agreement(session, agreement_id=drafted, actor=house.people.staff, now=house.time)

    await house.perform(alone)
    await house.perform(lambda session: end_agreement(session, agreement_id=made, reason="ended", actor=SYSTEM, now=house.time))
    await house.reload()
    sold = said(await house.sell(house.people.cards["company"], key=key(), **FILL))
    assert applied(sold)[0][0] == "tenth"
