"""An hour without a word from the pump: the hold stays, the rest of the card stays usable, a late completion ends it; a lost card's too."""

from datetime import timedelta

from loyalty.cards.operations import report_lost
from tests.scenarios.telling import counted, key, money, said
from tests.simulation.house import breaches, broken


async def open_dispenses(house) -> int:
    return len(await house.rows("SELECT FROM unresolved_dispenses WHERE resolved_at IS NULL"))


async def test_the_hold_stays_and_nothing_else(house):
    card = house.people.cards["personal"]
    approved = said(await house.authorise(card, key=key(), amount_minor=40_000))
    house.time += timedelta(minutes=61)
    assert await house.expire() == 1
    assert await open_dispenses(house) == 1
    held = approved["held_minor"]
    assert await money(house, card) == {"principal": (100_000, held)}
    assert said(await house.sell(card, key=key(), milli=10_000, price=78_900, amount=7_890))["outcome"] == "approved"

    house.time += timedelta(hours=20)
    part = said(await house.complete(approved["authorization"], key=key(), milli=10_000, price=78_900, amount=7_890, final=False))
    assert part["flags"] == ["late"]
    assert await open_dispenses(house) == 1, "the pump has not said that it is over"
    await house.complete(approved["authorization"], key=key(), milli=5_000, price=78_900, amount=3_945)
    assert await open_dispenses(house) == 0
    assert await money(house, card) == {"principal": (100_000 - 7_690 * 2 - 3_845, 0)}
    assert await broken(house) == []


async def test_fuel_in_the_tank_is_booked_though_the_card_was_reported_lost_meanwhile(house):
    card = house.people.cards["personal"]
    approved = said(await house.authorise(card, key=key(), amount_minor=20_000))
    await house.perform(
        lambda session: report_lost(session, card_id=card.card_id, actor=house.people.staff, reason="stolen", now=house.now())
    )
    booked = said(await house.complete(approved["authorization"], key=key(), milli=20_000, price=78_900, amount=15_780))
    assert booked["outcome"] == "booked"
    assert said(await house.sell(card, key=key(), milli=1_000, price=78_900, amount=789))["reason"] == "card_lost"
    assert await broken(house) == []


async def test_a_part_of_no_litres_counts_nothing_and_is_reversed_like_any_approval(house):
    """Found by the simulation: such a part took the fill off the counter, and its authorisation could not be reversed."""
    card, original = house.people.cards["personal"], key()
    approved = said(await house.authorise(card, key=original, amount_minor=20_000))
    await house.complete(approved["authorization"], key=key(), milli=0, price=78_900, amount=0, final=False)
    assert (await counted(house, card))["2026-09-24"][2] == 1
    assert said(await house.reverse(original, key=key()))["released_minor"] == approved["held_minor"]
    assert await counted(house, card) == {"2026-09-24": (0, 0, 0)}
    assert await money(house, card) == {"principal": (100_000, 0)}


async def test_an_empty_completion_does_not_make_a_reversed_authorisation_a_released_one(house):
    """Found by the simulation."""
    card, original = house.people.cards["personal"], key()
    approved = said(await house.authorise(card, key=original, amount_minor=20_000))
    await house.reverse(original, key=key())
    await house.complete(approved["authorization"], key=key(), milli=0, price=78_900, amount=0)
    assert [row["status"] for row in await house.rows("SELECT status FROM authorizations")] == [7]


async def test_a_fill_given_back_twice_is_taken_off_the_count_once(house):
    """Found by the simulation: a late completion after a whole refund counts no second fill, so its own refund takes none away."""
    card = house.people.cards["personal"]
    approved = said(await house.authorise(card, key=key(), amount_minor=20_000))
    for _ in range(2):
        booked = said(await house.complete(approved["authorization"], key=key(), milli=10_000, price=78_900, amount=7_890))
        house.time += timedelta(seconds=1)
        await house.refund(booked["sale"], key=key(), gross=None)
        house.time += timedelta(seconds=1)
        assert await counted(house, card) == {"2026-09-24": (0, 0, 0)}


async def test_what_comes_after_the_end_of_a_fill_given_back_is_booked_and_no_breach(house):
    """Found by the simulation: the check asked for a second fill on the counter."""
    card = house.people.cards["personal"]
    approved = said(await house.authorise(card, key=key(), amount_minor=20_000))
    booked = said(await house.complete(approved["authorization"], key=key(), milli=10_000, price=78_900, amount=7_890))
    house.time += timedelta(seconds=1)
    await house.refund(booked["sale"], key=key(), gross=None)
    late = said(await house.complete(approved["authorization"], key=key(), milli=10_000, price=78_900, amount=7_890))
    assert "after_end" in late["flags"]
    assert await breaches(house.url, house.now()) == []
