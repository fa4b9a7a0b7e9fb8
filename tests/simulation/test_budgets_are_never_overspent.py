"""Sixty-four buyers at two workers want one budget: it is given out to the last fen and never beyond, and the answers say so."""

import asyncio
from datetime import timedelta

import pytest

from loyalty.pricing.document import Budget, BudgetUnit, Cap, Document, Fixed, Funder, Give, Of, Per, Points, Rule
from loyalty.pricing.operations import publish
from tests.factories.world import give_card
from tests.scenarios.telling import key, said

OURS = (Funder(funder="head-office"),)
FILL = {"milli": 10_000, "price": 78_900, "amount": 7_890}


async def buyers(workers, count, *rules, budgets=()):
    """Put the rules live and give each buyer a card."""
    house = workers[0]
    await house.perform(
        lambda session: publish(session, document=Document(rules=rules, budgets=budgets), note="test", now=house.time - timedelta(days=1))
    )

    async def cards(session):
        return [await give_card(session, house.world, kind="personal", balance_minor=50_000) for _ in range(count)]

    made = await house.perform(cards)
    for worker, share in zip(workers, (0, 5), strict=True):
        worker.cards.share = share
        await worker.reload()
    return made


@pytest.mark.parametrize("total", [9_990, 10_000, 3])
async def test_money_is_given_out_to_the_last_fen(workers, total):
    spring = Rule(code="spring", name_zh="春", name_en="Spring", effect=Fixed(amount_minor=500), funders=OURS, budget="spring")
    cards = await buyers(workers, 64, spring, budgets=(Budget(code="spring", name_zh="春", name_en="Spring", total=total),))
    answers = await asyncio.gather(*(workers[place % 2].sell(card, key=key(), **FILL) for place, card in enumerate(cards)))
    saved = [said(answer).get("discount_minor", 0) for answer in answers]
    assert sum(saved) == total
    assert sorted(saved, reverse=True)[: total // 500] == [500] * (total // 500)
    rows = await workers[0].rows("SELECT sum(granted)::bigint AS granted, sum(used)::bigint AS used FROM budget_shares")
    assert rows == [{"granted": total, "used": total}]
    cut = [one for answer in answers for one in said(answer).get("benefits", ()) if one["amount"] < 500]
    assert all(one["wanted"] == 500 for one in cut), "who gets the remainder is told what would have been"


async def test_pieces_are_given_to_so_many_and_no_more(workers):
    wash = Rule(code="wash", name_zh="洗", name_en="Wash", effect=Give(what="wash", item="wash"), funders=OURS, budget="fifty")
    fifty = Budget(code="fifty", name_zh="五十", name_en="Fifty", total=50, unit=BudgetUnit.PIECE)
    cards = await buyers(workers, 64, wash, budgets=(fifty,))
    answers = await asyncio.gather(*(workers[place % 2].sell(card, key=key(), **FILL) for place, card in enumerate(cards)))
    assert sum(one["amount"] for answer in answers for one in said(answer).get("benefits", ())) == 50


async def test_points_are_given_out_to_the_last(workers):
    points = Rule(code="p", name_zh="积", name_en="Points", effect=Points(points=30), funders=OURS, budget="points")
    budget = Budget(code="points", name_zh="积", name_en="Points", total=100, unit=BudgetUnit.POINTS)
    cards = await buyers(workers, 8, points, budgets=(budget,))
    answers = await asyncio.gather(*(workers[place % 2].sell(card, key=key(), **FILL) for place, card in enumerate(cards)))
    assert sorted(one["amount"] for answer in answers for one in said(answer).get("benefits", ())) == [10, 30, 30, 30]


async def test_what_an_authorisation_set_aside_comes_back_when_it_is_not_used(workers):
    spring = Rule(code="spring", name_zh="春", name_en="Spring", effect=Fixed(amount_minor=500), funders=OURS, budget="spring")
    cards = await buyers(workers, 24, spring, budgets=(Budget(code="spring", name_zh="春", name_en="Spring", total=10_000),))
    asked = [workers[place % 2].authorise(card, key=key(), quantity_milli=10_000) for place, card in enumerate(cards)]
    approved = [said(answer) for answer in await asyncio.gather(*asked)]
    assert sum(one["benefits"][0]["amount"] for one in approved if "benefits" in one) == 10_000
    done = [
        workers[(place + 1) % 2].complete(one["authorization"], key=key(), milli=0, price=78_900, amount=0)
        if place % 2
        else workers[place % 2].nozzle(one["authorization"], key=key())
        for place, one in enumerate(approved)
    ]
    await asyncio.gather(*done)
    rows = await workers[0].rows("SELECT sum(reserved)::bigint AS reserved, sum(used)::bigint AS used FROM budget_shares")
    assert rows == [{"reserved": 0, "used": 0}]


async def test_an_accounts_cap_holds_although_its_cards_pay_at_two_workers(workers):
    first = Rule(
        code="first",
        name_zh="首",
        name_en="First",
        effect=Fixed(amount_minor=500),
        funders=OURS,
        caps=(Cap(per=Per.MONTH, of=Of.ACCOUNT, count=1),),
    )
    house = workers[0]
    await house.perform(lambda s: publish(s, document=Document(rules=(first,)), note="test", now=house.time - timedelta(days=1)))
    for worker in workers:
        await worker.reload()
    pair = [house.people.cards["company"], house.people.cards["second"]]
    answers = await asyncio.gather(*(worker.sell(card, key=key(), **FILL) for worker, card in zip(workers, pair, strict=True)))
    assert sorted(said(answer).get("discount_minor", 0) for answer in answers) == [0, 500]
