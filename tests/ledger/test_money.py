"""Amounts and quantities: exact, rounded once, written as a cashier reads them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.money import line_amount, quantity_for, shown_quantity

DIGITS = st.sampled_from([0, 2, 3])


@given(quantity=st.integers(-(10**9), 10**9), price=st.integers(0, 10**7), digits=DIGITS)
def test_a_line_is_rounded_once_and_half_away_from_zero(quantity, price, digits):
    exact = Fraction(quantity * price, 10 ** (7 - digits))
    whole = int(abs(exact) + Fraction(1, 2))
    assert line_amount(quantity, price, digits) == (whole if exact >= 0 else -whole)


@given(amount=st.integers(1, 10**9), price=st.integers(1, 10**7), digits=DIGITS)
def test_the_largest_quantity_for_an_amount_costs_no_more(amount, price, digits):
    quantity = quantity_for(amount, price, digits)
    assert line_amount(quantity, price, digits) <= amount < line_amount(quantity + 1, price, digits)


@pytest.mark.parametrize(
    ("milli", "unit", "text"),
    [(22_359, "L", "22.35 L"), (8_000, "kg", "8.00 kg"), (3_505, "m3", "3.50 m³"), (0, "kWh", "0.00 kWh")],
)
def test_a_quantity_is_written_with_its_unit_and_never_rounded_up(milli, unit, text):
    assert shown_quantity(milli, unit) == text
