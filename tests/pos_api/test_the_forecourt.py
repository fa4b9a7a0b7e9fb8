"""Finished fills, quotes, refunds, reversals, and the QR on an unpaid fill."""

from datetime import datetime
from uuid import uuid4

import pytest

from loyalty.pos_client import Card, Fuel, ProblemError
from tests.factories.world import PIN

AT = datetime.fromisoformat("2026-09-24T10:10:00+08:00")
FILL = {
    "pump_reference": "P3-0417",
    "nozzle": 3,
    "product": "92",
    "quantity_milli": 22_000,
    "unit_price_e4": 78_900,
    "amount_minor": 17_358,
    "finished_at": AT,
}
FUEL = Fuel(product="92", quantity_milli=22_000, unit_price_e4=78_900, amount_minor=17_358, nozzle=3)


async def test_a_fill_is_reported_once_and_paid_once(till, card):
    first = await till.report_fills([FILL])
    again = await till.report_fills([FILL])
    assert first["fills"][0]["fill_id"] == again["fills"][0]["fill_id"]
    fill_id = first["fills"][0]["fill_id"]
    assert [row["fill_id"] for row in (await till.unpaid_fills(nozzle=3))["rows"]] == [fill_id]
    holder = Card(number=card.number, pin=PIN)
    assert (await till.sell(holder, fuel=FUEL, fill_id=fill_id))["outcome"] == "approved"
    assert (await till.unpaid_fills())["rows"] == []
    assert (await till.sell(holder, fuel=FUEL, fill_id=fill_id))["reason"] == "fill_paid"


async def test_a_fill_paid_otherwise_leaves_the_list(till):
    fill_id = (await till.report_fills([FILL]))["fills"][0]["fill_id"]
    assert (await till.close_fill(fill_id, way="other"))["status"] == "other"
    with pytest.raises(ProblemError) as refused:
        await till.close_fill(fill_id, way="test")
    assert refused.value.code == "fill_cannot_move"


async def test_a_qr_locks_the_fill_and_can_be_taken_back(till, card):
    fill_id = (await till.report_fills([FILL]))["fills"][0]["fill_id"]
    made = await till.request_payment(fill_id)
    assert (made["outcome"], made["amount_minor"]) == ("open", 17_358)
    assert made["url"].startswith("http://127.0.0.1:8000/me/pay/")
    holder = Card(number=card.number, pin=PIN)
    assert (await till.sell(holder, fuel=FUEL, fill_id=fill_id))["reason"] == "fill_locked"
    assert (await till.payment_request(made["request_id"]))["outcome"] == "open"
    assert (await till.cancel_payment(made["request_id"]))["outcome"] == "cancelled"
    assert (await till.sell(holder, fuel=FUEL, fill_id=fill_id))["outcome"] == "approved"


async def test_a_quote_names_the_bound_and_holds_nothing(till, card):
    quoted = await till.quote(Card(number=card.number), product="92")
    line = quoted["products"][0]
    assert (line["reason"], line["pays_minor"]) == ("insufficient_funds", 100_000)
    assert (await till.balance(Card(number=card.number, pin=PIN)))["held_minor"] == 0


async def test_a_reversal_takes_the_original_back_and_keeps_a_late_one_out(till, card):
    holder, key = Card(number=card.number, pin=PIN), uuid4()
    await till.sell(holder, fuel=FUEL, key=key)
    assert (await till.reverse(key, reason="wrong card"))["outcome"] == "reversed"
    assert (await till.balance(holder))["balance_minor"] == 100_000
    never = uuid4()
    assert (await till.reverse(never, reason="no answer"))["outcome"] == "reversed"
    assert (await till.sell(holder, fuel=FUEL, key=never))["reason"] == "original_reversed"


async def test_a_nozzle_that_was_not_lifted_gives_the_hold_back(till, card):
    holder = Card(number=card.number, pin=PIN)
    said = await till.authorise(holder, product="92", amount_minor=20_000)
    assert (await till.nozzle_not_lifted(said["authorization"]))["released_minor"] == 20_000
    assert (await till.balance(holder))["available_minor"] == 100_000


async def test_a_partial_refund_needs_somebody_who_answers_for_it(till, card, people):
    sold = await till.sell(Card(number=card.number, pin=PIN), fuel=FUEL)
    with pytest.raises(ProblemError) as refused:
        await till.refund(sold["sale"], reason="wrong grade", gross_minor=7_890)
    assert refused.value.code == "shift_needed"
    back = await till.refund(sold["sale"], reason="wrong grade", gross_minor=7_890, staff=people.cashier)
    assert (back["outcome"], back["card_minor"], back["left_minor"]) == ("refunded", 7_890, 9_468)


async def test_sales_are_listed_by_cursor_and_shown_whole(till, site, card, people):
    holder = Card(number=card.number, pin=PIN)
    references = [(await till.sell(holder, fuel=FUEL))["sale"] for _ in range(3)]
    first = await till.sales(limit=2)
    then = await till.sales(limit=2, cursor=first["next"])
    assert [row["sale"] for row in first["rows"] + then["rows"]] == references[::-1]
    await till.refund(references[0], reason="wrong grade", gross_minor=7_890, staff=people.cashier)
    whole = await till.find_sale(references[0])
    assert (whole["sale"]["status"], whole["sale"]["refunded_minor"]) == ("part_refunded", 7_890)
    assert [refund["gross_minor"] for refund in whole["refunds"]] == [7_890]
    with pytest.raises(ProblemError) as refused:
        await till.find_sale("A" * 43)
    assert refused.value.status == 404
    assert (await till.unresolved())["rows"] == []
