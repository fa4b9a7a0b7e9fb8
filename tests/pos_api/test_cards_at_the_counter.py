"""Cards handed out, activated, stopped, found, replaced at a till; their PINs; what is on them."""

import pytest

from loyalty.pos_client import Card, Fuel, ProblemError
from tests.factories.world import PIN

LITRES_10 = Fuel(product="92", quantity_milli=10_000, unit_price_e4=78_900, amount_minor=7_890, nozzle=3)


async def test_an_anonymous_card_is_sold_loaded_and_used(manned, blanks):
    number = blanks[0]
    issued = await manned.issue(number)
    assert (issued["status"], issued["product"]) == ("issued", "anonymous")
    active = await manned.activate(Card(number=number, pin="2468"))
    assert active["status"] == "active"
    bought = await manned.purchase([{"number": number, "amount_minor": 50_000}], tender="cash")
    assert (bought["outcome"], bought["items"][0]["balance_after_minor"]) == ("booked", 50_000)
    sold = await manned.sell(Card(number=number, pin="2468"), fuel=LITRES_10)
    assert sold["balance_after_minor"] == 42_110


async def test_a_simple_pin_is_refused(manned, blanks):
    await manned.issue(blanks[0])
    with pytest.raises(ProblemError) as refused:
        await manned.activate(Card(number=blanks[0], pin="1234"))
    assert refused.value.code == "pin_too_simple"


async def test_the_holder_changes_a_pin_and_three_wrong_ones_lock_it(manned, card):
    assert (await manned.change_pin(Card(number=card.number, pin=PIN), new_pin="8642"))["outcome"] == "approved"
    answers = [await manned.balance(Card(number=card.number, pin=PIN)) for _ in range(3)]
    assert [answer["reason"] for answer in answers] == ["pin_wrong", "pin_wrong", "pin_locked"]
    await manned.unlock_pin(card.number, evidence="resident ID seen")
    shown = await manned.balance(Card(number=card.number, pin="8642"))
    assert (shown["balance_minor"], shown["available_minor"]) == (100_000, 100_000)


async def test_a_number_alone_tells_no_balance(manned, card):
    answer = await manned.balance(Card(number=card.number))
    assert (answer["outcome"], answer["needs"]) == ("more_data", ["pin"])
    assert "balance_minor" not in answer


async def test_a_lost_card_stops_at_once_and_lives_again_when_found(manned, card):
    await manned.report_lost(card.number, reason="left in a taxi")
    assert (await manned.sell(Card(number=card.number, pin=PIN), fuel=LITRES_10))["reason"] == "card_lost"
    await manned.report_found(card.number, reason="found")
    assert (await manned.sell(Card(number=card.number, pin=PIN), fuel=LITRES_10))["outcome"] == "approved"


async def test_a_damaged_card_is_replaced_and_its_money_stays(manned, site, card, personal_blanks):
    done = await manned.replace(card.number, new_card=Card(number=personal_blanks[0], pin="8642"), reason="damaged")
    assert (done["status"], done["fee_minor"]) == ("active", 1_000)
    assert (await manned.sell(Card(number=card.number, pin=PIN), fuel=LITRES_10))["outcome"] == "declined"
    sold = await manned.sell(Card(number=personal_blanks[0], pin="8642"), fuel=LITRES_10)
    assert sold["balance_after_minor"] == 100_000 - 1_000 - 7_890


async def test_a_fee_paid_in_cash_lies_in_the_drawer_and_is_named_in_the_totals(manned, card, personal_blanks):
    new = Card(number=personal_blanks[0], pin="8642")
    done = await manned.replace(card.number, new_card=new, reason="damaged", fee_tender="cash")
    assert (done["status"], done["fee_minor"]) == ("active", 1_000)
    closed = await manned.close_shift(counted_cash_minor=51_000)
    assert (closed["status"], closed["over_short_minor"], closed["expected_cash_minor"]) == ("closed", 0, 51_000)
    assert (closed["totals"]["fees_minor"], closed["totals"]["transactions"], closed["differences"]) == (1_000, 1, [])


async def test_a_fee_from_the_account_is_not_in_the_till(manned, card, personal_blanks):
    await manned.replace(card.number, new_card=Card(number=personal_blanks[0], pin="8642"), reason="damaged")
    closed = await manned.close_shift(counted_cash_minor=50_000)
    assert (closed["over_short_minor"], closed["totals"]["fees_minor"], closed["totals"]["tenders"]) == (0, 0, [])


async def test_a_top_up_is_taken_back_by_its_id_and_another_stations_is_not_found(manned, blanks):
    number = blanks[1]
    await manned.issue(number)
    loaded = await manned.top_up(Card(number=number), amount_minor=10_000, tender="wechat", reference="4200001")
    undone = await manned.reverse_top_up(loaded["topup_id"], reason="typed wrong", reversal_reference="5200001")
    assert (undone["outcome"], undone["balance_after_minor"]) == ("voided", 0)
