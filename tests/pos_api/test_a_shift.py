"""A shift at the counter: opened by a person, money in, a card sold, counted blind, closed with a signed chain."""

from datetime import timedelta

import pytest

from loyalty import clock
from loyalty.pos_client import Card, Fuel, ProblemError, Staff, Tender
from tests.factories.world import PIN

PAYER = {"party": "person", "name": "张伟", "id_type": "resident_id", "id_number": "34052419800101001X", "contact": "13800138000"}
LITRES_22 = Fuel(product="92", quantity_milli=22_000, unit_price_e4=78_900, amount_minor=17_358, nozzle=3)


async def test_nobody_loads_money_without_a_shift(till, card):
    with pytest.raises(ProblemError) as refused:
        await till.top_up(Card(number=card.number), amount_minor=10_000, tender="cash")
    assert refused.value.code == "shift_needed"


async def test_a_shift_needs_the_right_pin_and_role(till, people):
    with pytest.raises(ProblemError) as refused:
        await till.open_shift(Staff(card=people.cashier.card, pin="111222"), opening_float_minor=0)
    assert refused.value.code == "staff_not_recognised"
    assert (await till.open_shift(people.cashier, opening_float_minor=0))["status"] == "open"


async def test_till_and_host_agree_on_every_transaction_and_the_cash(manned, card):
    holder = Card(number=card.number, pin=PIN)
    loaded = await manned.top_up(Card(number=card.number), amount_minor=20_000, tender="cash", payer=PAYER)
    assert (loaded["outcome"], loaded["balance_after_minor"]) == ("booked", 120_000)
    await manned.sell(holder, fuel=LITRES_22, tenders=[Tender(tender="cash", amount_minor=7_358)])
    sold = await manned.sell(holder, fuel=LITRES_22)
    assert (await manned.sell(Card(number=card.number, pin="9999"), fuel=LITRES_22))["outcome"] == "declined"
    back = await manned.refund(sold["sale"], reason="wrong pump")
    assert (back["outcome"], back["card_minor"]) == ("voided", 17_358)
    await manned.drop_cash(amount_minor=20_000, envelope="B-17")
    closed = await manned.close_shift(counted_cash_minor=57_358)
    assert (closed["status"], closed["over_short_minor"], closed["expected_cash_minor"]) == ("closed", 0, 57_358)
    assert closed["signature_good"] is True
    assert closed["differences"] == []
    tenders = {total["tender"]: (total["taken_minor"], total["returned_minor"]) for total in closed["totals"]["tenders"]}
    assert tenders == {"cash": (27_358, 0), "stored_value": (27_358, 17_358)}
    assert manned.state.journal == []


async def test_a_difference_in_cash_wants_a_word(manned):
    counted = await manned.close_shift(counted_cash_minor=49_000)
    assert (counted["status"], counted["over_short_minor"]) == ("counted", -1_000)
    closed = await manned.close_shift(counted_cash_minor=49_000, explanation="change given wrong")
    assert closed["status"] == "closed"


async def test_a_deleted_record_and_a_forged_one_are_named(manned, card):
    holder = Card(number=card.number, pin=PIN)
    await manned.sell(holder, fuel=LITRES_22)
    await manned.sell(holder, fuel=LITRES_22)
    manned.state.journal[1].amount_minor = 1
    del manned.state.journal[2]
    closed = await manned.close_shift(counted_cash_minor=50_000)
    assert closed["status"] == "closed"
    assert {(found["kind"], found.get("sequence")) for found in closed["differences"]} == {
        ("amount_differs", 2),
        ("journal_gap", 3),
        ("head_differs", 3),
        ("missing_at_terminal", 3),
    }


async def test_the_next_shift_goes_on_where_the_chain_ended(manned, people, card):
    await manned.sell(Card(number=card.number, pin=PIN), fuel=LITRES_22)
    await manned.close_shift(counted_cash_minor=50_000)
    await manned.open_shift(people.cashier, opening_float_minor=50_000)
    await manned.sell(Card(number=card.number, pin=PIN), fuel=LITRES_22)
    closed = await manned.close_shift(counted_cash_minor=50_000)
    assert (closed["signature_good"], closed["differences"]) == (True, [])


async def test_a_manager_closes_the_day_and_it_names_what_differed(manned, people, site, card):
    await manned.sell(Card(number=card.number, pin=PIN), fuel=LITRES_22)
    manned.state.journal[-1].amount_minor = 1
    await manned.close_shift(counted_cash_minor=50_000)
    with pytest.raises(ProblemError) as refused:
        await manned.close_day("2026-09-24", staff=people.manager)
    assert refused.value.code == "day_not_over"
    clock.set_demo_clock(site.world.now + timedelta(days=1))
    with pytest.raises(ProblemError) as refused:
        await manned.close_day("2026-09-24", staff=people.cashier)
    assert refused.value.code == "not_allowed"
    closed = await manned.close_day("2026-09-24", staff=people.manager)
    assert (closed["outcome"], closed["totals"]["sales_minor"]) == ("closed", 17_358)
    assert [found["kind"] for found in closed["totals"]["shifts"][0]["differences"]] == ["amount_differs"]
