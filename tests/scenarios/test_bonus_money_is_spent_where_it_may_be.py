"""Bonus money for fuel only, from ¥100 on, at one station: it pays at the pump, not the wash, and goes back to its own lot."""

from datetime import timedelta
from pathlib import Path

import pytest

from jobs.job import Context
from jobs.rewards import run as collect_rewards
from loyalty.ledger.spending import Spending
from loyalty.pricing.document import Bonus, Channel, Document, Funder, Rule, When
from loyalty.pricing.operations import publish
from loyalty.settings import Settings
from loyalty.topups.model import Tender
from loyalty.topups.operations.booking import Bonus as Extra
from tests.scenarios.telling import key, money, said
from tests.simulation.house import broken

PRICE = 78_900
OURS = (Funder(funder="head-office"),)


def book(*, least: int | None = None, stations: tuple[str, ...] = ("S1",), on_sale: bool = False) -> Document:
    spend = Spending(categories=("fuel",), stations=stations, least_minor=least)
    when = When() if on_sale else When(channels=(Channel.TOPUP,))
    bonus = Bonus(amount_minor=5_000, expires_days=90, spend=spend)
    return Document(rules=(Rule(code="fuel-money", name_zh="加油金", name_en="Fuel money", effect=bonus, funders=OURS, when=when),))


@pytest.fixture
def given(house):
    """Publish a rulebook and top a card up under it: ¥1,000 of its own, ¥50 bonus."""

    async def give(document: Document):
        await house.perform(lambda session: publish(session, document=document, note="test", now=house.time - timedelta(days=1)))
        await house.reload()
        card = house.people.cards["personal"]
        said(await house.top_up(card, key=key(), tender=Tender.CASH, amount=10_000))
        return card

    return give


async def test_it_pays_the_fuel_of_a_mixed_basket_and_returns_to_its_lot(house, given):
    card = await given(book())
    before = await money(house, card)
    assert before["bonus"] == (5_000, 0)
    # 5 L × 7.89 = 39.45 of fuel, 25.00 of washing: the bonus pays the fuel alone.
    sold = said(await house.sell(card, key=key(), milli=5_000, price=PRICE, amount=3_945, shop=2_500))
    assert {one["purse"]: one["amount_minor"] for one in sold["taken"]} == {"bonus": 3_945, "principal": 2_500}
    said(await house.refund(sold["sale"], key=key(), gross=None))
    assert await money(house, card) == before
    assert await broken(house) == []


async def test_elsewhere_it_is_no_money(house, given):
    card = await given(book(stations=("S2",)))
    sold = said(await house.sell(card, key=key(), milli=5_000, price=PRICE, amount=3_945))
    assert [one["purse"] for one in sold["taken"]] == ["principal"]


async def test_funds_at_the_pump_are_those_that_may_pay(house, given):
    card = await given(book())
    own, bonus = (await money(house, card))["principal"][0], 5_000
    # The wash costs more than the card's own money; of the bonus only as much counts as there is fuel.
    need = own + 1_000
    refused = said(await house.sell(card, key=key(), milli=1_000, price=PRICE, amount=789, shop=need, tenders=(("wechat", 789),)))
    assert (refused["reason"], refused["remaining_minor"]) == ("insufficient_funds", own + 789)
    approved = said(await house.authorise(card, key=key(), amount_minor=own + bonus))
    assert (approved["outcome"], approved["held_minor"]) == ("approved", own + bonus)


async def test_a_fill_below_its_size_is_paid_by_other_money_first(house, given):
    card = await given(book(least=10_000))
    small = said(await house.sell(card, key=key(), milli=10_000, price=PRICE, amount=7_890))
    assert [one["purse"] for one in small["taken"]] == ["principal"]
    approved = said(await house.authorise(card, key=key(), quantity_milli=20_000))
    assert (await money(house, card))["bonus"] == (5_000, 5_000)
    # Half of it is dispensed: less than ¥100, so the bonus that was set aside is free again.
    booked = said(await house.complete(approved["authorization"], key=key(), milli=10_000, price=PRICE, amount=7_890))
    assert [one["purse"] for one in booked["taken"]] == ["principal"]
    assert (await money(house, card))["bonus"] == (5_000, 0)
    large = said(await house.sell(card, key=key(), milli=20_000, price=PRICE, amount=15_780))
    assert {one["purse"]: one["amount_minor"] for one in large["taken"]} == {"bonus": 5_000, "principal": 10_780}
    assert await broken(house) == []


async def test_bonus_of_a_sale_carries_its_conditions_into_a_lot_of_its_own(house, given):
    card = await given(book(on_sale=True))
    said(await house.top_up(card, key=key(), tender=Tender.CASH, amount=1_000, bonus=Extra(300, None, "head-office")))
    said(await house.sell(card, key=key(), milli=10_000, price=PRICE, amount=7_890))
    await collect_rewards(Context(house.sessions, Settings(data_dir=Path("unused"), keys_dir=Path("unused"))), house.time)
    lots = await house.rows("SELECT balance_minor, spending::text AS only FROM purses WHERE kind = 2 AND account_id = $1", card.account_id)
    assert {(one["balance_minor"], one["only"]) for one in lots} == {(300, None), (5_000, '{"stations": ["S1"], "categories": ["fuel"]}')}
    sold = said(await house.sell(card, key=key(), milli=1_000, price=PRICE, amount=789, shop=2_500))
    assert {one["purse"]: one["amount_minor"] for one in sold["taken"]} == {"bonus": 789, "principal": 2_500}
    assert await broken(house) == []


async def test_an_approval_counts_it_only_for_a_fill_that_is_large_enough(house, given):
    card = await given(book(least=10_000))
    said(await house.authorise(card, key=key(), quantity_milli=5_000))
    assert (await money(house, card))["bonus"] == (5_000, 0)
