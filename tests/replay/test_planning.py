"""Receipts become requests: pure, the same each time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.importing.queries import Receipt, ReceiptLine
from loyalty.money import line_amount
from loyalty.replay.rules import (
    Verb,
    advice_record,
    authorisation_body,
    completion_body,
    due_after_s,
    parts_of,
    plan,
    request_key,
    sale_body,
    top_up_body,
    unit_price_e4,
)

AT = datetime(2012, 8, 24, 7, 41, tzinfo=UTC)
ACCOUNT = UUID(int=1)
FUEL = ReceiptLine("1", "N", True, 28_000, 67_264)
WASH = ReceiptLine("2", "W", False, 1_000, 12_199)
UNKNOWN = ReceiptLine("3", "W", False, None, 9_900)
NO_LITRES = ReceiptLine("4", "NOLITRES", False, None, 1_120)


def receipt_of(*lines: ReceiptLine, account_id: UUID = ACCOUNT, at: datetime = AT) -> Receipt:
    return Receipt(uuid4(), "old", "r", uuid4(), account_id, uuid4(), "S1", "CZK", at, "9203010000000486621", lines)


def test_fuel_is_authorised_the_shop_sold_and_what_has_no_quantity_advised():
    parts = parts_of(receipt_of(FUEL, WASH, UNKNOWN, NO_LITRES))
    assert [(part.verb, part.lines, part.amount_minor) for part in parts] == [
        (Verb.AUTHORISE, (FUEL,), 67_264),
        (Verb.SELL, (WASH,), 12_199),
        (Verb.ADVISE, (UNKNOWN, NO_LITRES), 11_020),
    ]


def test_two_fuels_are_two_fills():
    assert [part.verb for part in parts_of(receipt_of(FUEL, FUEL._replace(legacy_id="9")))] == [Verb.AUTHORISE, Verb.AUTHORISE]


def test_an_account_is_loaded_with_what_a_receipt_needs_beyond_what_it_brought():
    receipts = [receipt_of(WASH, at=AT + timedelta(hours=hour)) for hour in range(3)] + [receipt_of(WASH, account_id=UUID(int=2))]
    assert [each.top_up_minor for each in plan(receipts, {ACCOUNT: 15_000})] == [0, 9_398, 12_199, 12_199]
    assert [each.top_up_minor for each in plan(receipts, {})] == [12_199] * 4


@given(
    amounts=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 10**6)), min_size=1, max_size=30),
    openings=st.dictionaries(st.integers(1, 3), st.integers(0, 10**6)),
)
def test_no_account_is_short_and_none_is_loaded_for_nothing(amounts, openings):
    receipts = [receipt_of(WASH._replace(amount_minor=amount), account_id=UUID(int=account)) for account, amount in amounts]
    brought = {UUID(int=account): amount for account, amount in openings.items()}
    balances = dict(brought)
    for each in plan(receipts, brought):
        account, due = each.receipt.account_id, each.receipt.amount_minor
        before = balances.get(account, 0)
        balances[account] = before + each.top_up_minor - due
        assert balances[account] >= 0
        assert each.top_up_minor == 0 or balances[account] == 0


@pytest.mark.parametrize(("quantity", "amount", "price"), [(28_000, 67_264, 240_229), (1_000, 2_639, 263_900), (107_000, 9_226, 8_622)])
def test_the_unit_price_is_the_money_by_the_quantity(quantity, amount, price):
    assert unit_price_e4(FUEL._replace(quantity_milli=quantity, amount_minor=amount), 2) == price


@given(litres=st.integers(1, 999), amount=st.integers(1, 10**7), digits=st.sampled_from([0, 2, 3]))
def test_the_unit_price_gives_the_money_back_within_half_a_unit_of_rounding(litres, amount, digits):
    price = unit_price_e4(FUEL._replace(quantity_milli=litres * 1000, amount_minor=amount), digits)
    # Half of a ten-thousandth a litre, and half a minor unit.
    assert abs(line_amount(litres * 1000, price, digits) - amount) <= litres * 10**digits / 20_000 + 0.5


def test_keys_come_from_the_former_ids_and_differ_by_what_is_asked():
    assert request_key("old", Verb.AUTHORISE, "1") == request_key("old", Verb.AUTHORISE, "1")
    assert len({request_key(source, verb, line) for source in ("old", "new") for verb in Verb for line in ("1", "2")}) == 20
    assert request_key("ccs", Verb.AUTHORISE, "1") == UUID("6c89ff29-ddc5-5f26-a20f-ddc6449ecd7f"), (
        "a replay of last year meets its own keys"
    )


def test_what_is_asked_keeps_the_receipts_time_and_money():
    receipt = receipt_of(FUEL, WASH, UNKNOWN)
    card = {"number": receipt.number, "check_value": "12345678"}
    fuel, shop, advice = parts_of(receipt)
    at = "2012-08-24T07:41:00+00:00"
    assert authorisation_body(receipt, FUEL, card) == {
        "card": card,
        "product": "N",
        "amount_minor": 67_264,
        "partial": False,
        "event_at": at,
    }
    assert completion_body(receipt, FUEL, 2) == {
        "quantity_milli": 28_000,
        "unit_price_e4": 240_229,
        "amount_minor": 67_264,
        "event_at": at,
    }
    assert sale_body(receipt, shop, card) == {
        "card": card,
        "shop": [{"product": "W", "amount_minor": 12_199, "quantity_milli": 1_000}],
        "event_at": at,
    }
    assert advice_record(receipt, advice, 2) == {
        "key": str(request_key("old", Verb.ADVISE, "3")),
        "event_at": at,
        "card": {"number": receipt.number},
        "why": "late",
        "shop": [{"product": "W", "amount_minor": 9_900}],
    }
    assert advice_record(receipt, fuel, 2)["fuel"]["amount_minor"] == 67_264, "a declined fill is advised with its litres"
    (planned,) = plan([receipt], {})
    assert top_up_body(planned) == {"card": {"number": receipt.number}, "amount_minor": 89_363, "tender": "card", "event_at": at}


def test_speed_divides_the_time_between_receipts():
    planned = plan([receipt_of(WASH, at=AT + timedelta(minutes=minutes)) for minutes in (0, 1, 30)], {})
    assert due_after_s(planned, 60.0) == [0.0, 1.0, 30.0]
    assert due_after_s(planned, None) == [0.0, 0.0, 0.0]
    assert due_after_s([], 60.0) == []
