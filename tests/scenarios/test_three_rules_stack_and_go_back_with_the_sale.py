"""A per-litre rule, 20 % of what is left, a fixed rule and points: explained, frozen, settled, and taken back to where all was."""

from datetime import timedelta
from pathlib import Path

import pytest

from jobs.job import Context
from jobs.rewards import run as collect_rewards
from loyalty.authorizations.operations import quote
from loyalty.pricing.document import (
    Budget,
    Cap,
    Document,
    Fixed,
    Funder,
    Group,
    Mode,
    Of,
    Per,
    Percent,
    PerUnit,
    Points,
    Rule,
    When,
)
from loyalty.pricing.operations import publish
from loyalty.settings import Settings
from tests.scenarios.telling import houses, key, money, said
from tests.simulation.house import broken

PRICE = 78_900
OURS, SHARED = (Funder(funder="head-office"),), (Funder(funder="head-office", parts=2), Funder(funder="station"))
FUEL = When(categories=("fuel",))


def rule(code, effect, place, **more):
    return Rule(code=code, name_zh=code, name_en=code, effect=effect, priority=place, **({"funders": OURS, "when": FUEL} | more))


BOOK = Document(
    groups=(Group(code="fuel", name_zh="油品", name_en="Fuel", mode=Mode.STACK, priority=1),),
    rules=(
        rule("litre", PerUnit(rate_e4=2_000), 1, group="fuel", funders=SHARED, budget="spring"),
        rule("fifth", Percent(basis_points=2_000), 2, group="fuel", caps=(Cap(per=Per.DAY, amount=10_000, count=3),)),
        rule("fixed", Fixed(amount_minor=500), 3, group="fuel", when=When(categories=("fuel",), least_quantity_milli=30_000)),
        rule("points", Points(points=1, per_quantity_milli=1_000), 9),
    ),
    budgets=(Budget(code="spring", name_zh="春季", name_en="Spring", total=100_000),),
)


@pytest.fixture
async def book(house):
    return await house.perform(lambda session: publish(session, document=BOOK, note="test", now=house.time - timedelta(days=1)))


async def state(house):
    """Return everything a rule can move: budgets, caps' counters, limits' counters, house accounts, points."""
    budgets = await house.rows("SELECT sum(reserved)::bigint AS reserved, sum(used)::bigint AS used FROM budget_shares")
    counters = await house.rows("SELECT sum(amount)::bigint AS amount, sum(count)::bigint AS count FROM benefit_counters")
    limits = await house.rows(
        "SELECT sum(amount_minor)::bigint AS a, sum(quantity_milli)::bigint AS q, sum(count)::bigint AS c FROM limit_counters"
    )
    points = await house.rows("SELECT coalesce(sum(balance_minor), 0)::bigint AS points FROM purses WHERE kind = 3")
    return {
        "budget": (budgets[0]["reserved"], budgets[0]["used"]),
        "caps": (counters[0]["amount"] or 0, counters[0]["count"] or 0),
        "limits": (limits[0]["a"] or 0, limits[0]["q"] or 0, limits[0]["c"] or 0),
        "houses": {name: total for name, total in (await houses(house)).items() if total and not name.startswith("migration")},
        "points": points[0]["points"],
    }


async def collect(house):
    settings = Settings(data_dir=Path("unused"), keys_dir=Path("unused"))
    await collect_rewards(Context(house.sessions, settings), house.time)


def given(answer):
    return {one["rule"]: one["amount"] for one in answer["benefits"]}


def test_the_figures_are_those_of_a_calculator():
    # 30 L × 7.89 = 236.70; −0.20/L = 6.00 → 230.70; 20 % of it 46.14 → 184.56; −5.00 → 179.56
    assert 23_670 - 600 - 4_614 - 500 == 17_956


async def test_quoted_explained_frozen_settled_and_taken_back_in_parts(house, book):
    card = house.people.cards["personal"]
    before = await state(house)
    place = house.snapshot.places[house.world.terminal_ids[0]]
    await house.reload()
    told = await house.perform(
        lambda session: quote(session, snapshot=house.snapshot, place=place, number_index=card.index, now=house.time, product="92")
    )
    assert {one.rule for one in told.products[0].benefits} == {"litre", "fifth", "fixed", "points"}

    short = said(await house.authorise(card, key=key(), quantity_milli=22_000))
    assert given(short) == {"litre": 440, "fifth": 3_384, "points": 22}
    assert [(one["rule"], one["why"], one["need"], one["have"]) for one in short["others"]] == [("fixed", "least_quantity", 30_000, 22_000)]
    assert short["others"][0]["en"] == "fixed: needs ≥ 30, this is 22"
    assert short["others"][0]["zh"] == "fixed：需满 30，本次 22"
    said(await house.complete(short["authorization"], key=key(), milli=0, price=PRICE, amount=0))
    assert await state(house) == before, "a nozzle put back leaves no trace in budgets and counters"

    approved = said(await house.authorise(card, key=key(), quantity_milli=40_000))
    assert given(approved) == {"litre": 800, "fifth": 6_152, "fixed": 500, "points": 40}
    assert approved["held_minor"] == 31_560 - 800 - 6_152, "less than 30 L would miss the fixed rule: that much is held"
    assert (await state(house))["budget"] == (800, 0)

    booked = said(await house.complete(approved["authorization"], key=key(), milli=30_000, price=PRICE, amount=23_670))
    assert given(booked) == {"litre": 600, "fifth": 4_614, "fixed": 500, "points": 30}
    assert [(one["rule"], one["revision"], one["base_minor"]) for one in booked["benefits"]][1] == ("fifth", book, 23_070)
    assert (booked["gross_minor"], booked["discount_minor"], booked["card_minor"]) == (23_670, 5_714, 17_956)
    after = await state(house)
    assert after["budget"] == (0, 600)
    assert after["caps"] == (4_614, 1)
    assert await broken(house) == []

    await collect(house)
    assert (await state(house))["points"] == 30

    part = said(await house.refund(booked["sale"], key=key(), gross=7_890))
    assert (part["gross_minor"], part["discount_minor"], part["card_minor"]) == (7_890, 1_905, 5_985)
    await collect(house)
    third = await state(house)
    assert (third["budget"], third["caps"], third["points"]) == ((0, 400), (3_076, 1), 20)

    said(await house.refund(booked["sale"], key=key(), gross=None))
    await collect(house)
    assert await state(house) == before
    assert await money(house, card) == {"principal": (100_000, 0), "points": (0, 0)}
    assert await broken(house) == []


async def test_a_part_then_the_rest_give_what_one_completion_gives(house, book):
    await house.reload()
    card = house.people.cards["personal"]
    approved = said(await house.authorise(card, key=key(), quantity_milli=20_000))
    first = said(await house.complete(approved["authorization"], key=key(), milli=8_000, price=PRICE, amount=6_312, final=False))
    assert given(first)["litre"] == 160
    assert (await state(house))["budget"] == (240, 160)
    last = said(await house.complete(approved["authorization"], key=key(), milli=12_000, price=PRICE, amount=9_468))
    assert given(last)["litre"] == 240
    assert (await state(house))["budget"] == (0, 400)
    assert (await state(house))["caps"][1] == 1


async def test_the_last_customer_gets_the_remainder_and_is_told(house):
    small = Document(
        rules=(rule("litre", PerUnit(rate_e4=2_000), 1, budget="last"),),
        budgets=(Budget(code="last", name_zh="尾", name_en="Last", total=700),),
    )
    await house.perform(lambda session: publish(session, document=small, note="test", now=house.time - timedelta(days=1)))
    await house.reload()
    card = house.people.cards["personal"]
    first = said(await house.sell(card, key=key(), milli=20_000, price=PRICE, amount=15_780))
    assert first["discount_minor"] == 400
    last = said(await house.sell(card, key=key(), milli=20_000, price=PRICE, amount=15_780))
    assert (last["discount_minor"], last["benefits"][0]["wanted"], last["benefits"][0]["amount"]) == (300, 400, 300)
    none = said(await house.sell(card, key=key(), milli=20_000, price=PRICE, amount=15_780))
    assert "discount_minor" not in none
    assert none["others"][0]["why"] == "budget"
    assert await house.rows("SELECT sum(used)::bigint AS used FROM budget_shares") == [{"used": 700}]


async def test_a_card_has_the_benefit_twice_a_day_and_no_more(house):
    twice = Document(rules=(rule("fixed", Fixed(amount_minor=500), 1, caps=(Cap(per=Per.DAY, of=Of.CARD, count=2),)),))
    await house.perform(lambda session: publish(session, document=twice, note="test", now=house.time - timedelta(days=1)))
    await house.reload()
    card = house.people.cards["personal"]
    saved = [said(await house.sell(card, key=key(), milli=10_000, price=PRICE, amount=7_890)).get("discount_minor", 0) for _ in range(3)]
    assert saved == [500, 500, 0]
    house.time += timedelta(days=1)
    assert said(await house.sell(card, key=key(), milli=10_000, price=PRICE, amount=7_890))["discount_minor"] == 500


async def test_a_bearer_earns_points_only_where_the_profile_says_so(house, book):
    card = house.people.cards["anonymous"]
    await house.reload()
    sold = said(await house.sell(card, key=key(), milli=10_000, price=PRICE, amount=7_890))
    assert "points" not in given(sold)
    assert [one["en"] for one in sold["others"] if one["rule"] == "points"] == ["points: bearer cards earn no points"]
    house.anonymous_points = True
    await house.reload()
    sold = said(await house.sell(card, key=key(), milli=10_000, price=PRICE, amount=7_890))
    assert given(sold)["points"] == 10
