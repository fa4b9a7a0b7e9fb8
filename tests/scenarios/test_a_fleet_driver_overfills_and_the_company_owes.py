"""The truck takes more than the pool holds: it is booked, the company owes, nobody else draws, the next load pays the debt first."""

from loyalty.topups.model import Tender
from tests.scenarios.telling import key, money, said
from tests.simulation.house import broken


async def test_the_debt_is_paid_before_anybody_fills_again(house):
    truck, van = house.people.cards["company"], house.people.cards["second"]
    approved = said(await house.authorise(truck, key=key()))
    assert (approved["outcome"], approved["held_minor"]) == ("approved", 90_000)
    assert "available_after_minor" not in approved, "a driver is not told the company's pool"

    booked = said(await house.complete(approved["authorization"], key=key(), milli=140_000, price=78_900, amount=110_460))
    assert (booked["card_minor"], booked["receivable_minor"]) == (110_460, 20_460)
    assert set(booked["flags"]) == {"over_capture", "receivable"}
    assert await money(house, truck) == {"principal": (0, 0), "receivable": (-20_460, 0)}

    refused = said(await house.authorise(van, key=key(), amount_minor=10_000))
    assert (refused["outcome"], refused["reason"]) == ("declined", "insufficient_funds")
    assert "remaining_minor" not in refused

    loaded = said(await house.top_up(truck, key=key(), tender=Tender.CARD, amount=50_000))
    assert loaded["settled_minor"] == 20_460
    assert await money(house, truck) == {"principal": (29_540, 0), "receivable": (0, 0)}
    assert said(await house.authorise(van, key=key(), amount_minor=10_000))["outcome"] == "approved"
    assert await broken(house) == []


async def test_a_refund_of_the_overfill_lowers_the_debt_before_it_pays_out(house):
    truck = house.people.cards["company"]
    approved = said(await house.authorise(truck, key=key()))
    booked = said(await house.complete(approved["authorization"], key=key(), milli=140_000, price=78_900, amount=110_460))
    back = said(await house.refund(booked["sale"], key=key(), gross=30_000))
    assert (back["card_minor"], back["receivable_minor"]) == (30_000, 20_460)
    assert await money(house, truck) == {"principal": (9_540, 0), "receivable": (0, 0)}
    assert await broken(house) == []
