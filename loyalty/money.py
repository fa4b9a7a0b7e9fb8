"""Money, quantities and prices: integers with their unit in the name.

`amount_minor` counts minor units of a currency (fen, haléř, cent), `quantity_milli` thousandths of a product's unit (L, kg, m³, kWh,
piece), `unit_price_e4` ten-thousandths of a currency unit per product unit. One function rounds, and its mode is half-up, away from zero.
"""

from collections.abc import Sequence
from decimal import Decimal

_MINOR_DIGITS = dict.fromkeys(("CNY", "CZK", "EUR", "USD", "GBP", "HKD", "MOP", "PLN", "HUF"), 2)
_MINOR_DIGITS |= {"JPY": 0, "KRW": 0, "VND": 0, "KWD": 3, "BHD": 3}
_SCALES: tuple[int, ...] = tuple(10 ** (7 - digits) for digits in range(8))
"""By minor-unit digits: thousandths × ten-thousandths that make one minor unit."""
_UNIT_SIGNS = {"m3": "m³"}
POINTS = "POINTS"
"""The unit of a points purse: whole points, never money."""


def minor_digits(currency: str) -> int:
    """Return the ISO 4217 minor-unit digits of a currency; points have none.

    :raises KeyError: for a currency this product does not know
    """
    return 0 if currency == POINTS else _MINOR_DIGITS[currency]


def round_half_up(numerator: int, denominator: int) -> int:
    """Return `numerator / denominator` rounded half away from zero; `denominator` > 0."""
    if numerator >= 0:
        return (2 * numerator + denominator) // (2 * denominator)
    return -((denominator - 2 * numerator) // (2 * denominator))


def line_amount(quantity_milli: int, unit_price_e4: int, digits: int = 2) -> int:
    """Return the amount in minor units of `quantity × price`, rounded once, half-up: round(litres × price, 2)."""
    return round_half_up(quantity_milli * unit_price_e4, _SCALES[digits])


def quantity_for(amount_minor: int, unit_price_e4: int, digits: int = 2) -> int:
    """Return the largest quantity in thousandths whose amount does not exceed `amount_minor`; 0 where the price is 0."""
    if unit_price_e4 <= 0 or amount_minor <= 0:
        return 0
    scale = _SCALES[digits]
    # line_amount(q) <= a  ⇔  q × price < (a + ½) × scale, since halves round up.
    return ((2 * amount_minor + 1) * scale - 1) // (2 * unit_price_e4)


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Share `total` by `weights` so that the parts sum to it exactly; the cents go to the largest share, the first of equals.

    :raises ValueError: if no weight is positive
    """
    whole = sum(weights)
    if whole <= 0 or any(weight < 0 for weight in weights):
        raise ValueError("weights must be non-negative and not all zero")
    sign = 1 if total >= 0 else -1
    parts = [abs(total) * weight // whole for weight in weights]
    largest = max(range(len(weights)), key=lambda index: (weights[index], -index))
    parts[largest] += abs(total) - sum(parts)
    return [sign * part for part in parts]


def share_out(total: int, lefts: Sequence[int]) -> list[int]:
    """Share `total` over `lefts` in proportion, none above its own; the largest remainders take what rounding leaves, the first of equals.

    :raises ValueError: if `total` is negative or more than there is
    """
    whole = sum(lefts)
    if not 0 <= total <= whole:
        raise ValueError("more is shared out than is left")
    if not whole:
        return [0] * len(lefts)
    if len(lefts) == 1:
        return [total]
    shares = [total * left // whole for left in lefts]
    by_remainder = sorted(range(len(lefts)), key=lambda index: (-(total * lefts[index] % whole), index))
    for index in by_remainder[: total - sum(shares)]:
        shares[index] += 1
    return shares


def decimal_text(amount_minor: int, currency: str) -> str:
    """Write an amount as plain decimal text, `-1234.50`: for files and messages, not for readers."""
    return f"{Decimal(amount_minor).scaleb(-minor_digits(currency)):f}"


def shown(amount_minor: int, currency: str) -> str:
    """Write an amount for a sentence: `¥5,000.00`, or `120.00 EUR`."""
    whole, point, cents = decimal_text(amount_minor, currency).partition(".")
    grouped = f"{int(whole):,}" if whole not in {"-0", "-"} else whole
    return f"¥{grouped}{point}{cents}" if currency == "CNY" else f"{grouped}{point}{cents} {currency}"


def shown_quantity(quantity_milli: int, unit: str) -> str:
    """Write a quantity for a sentence, cut to hundredths: `22.35 L`, `8.00 kg`, `3.50 m³`."""
    return f"{quantity_milli // 1000}.{quantity_milli % 1000 // 10:02} {_UNIT_SIGNS.get(unit, unit)}"


def parse_minor(text: str, currency: str) -> int:
    """Read plain decimal text as minor units.

    :raises ValueError: if it is no number, or finer than the currency's minor unit
    """
    try:
        scaled = Decimal(text.strip()).scaleb(minor_digits(currency))
    except ArithmeticError as error:
        raise ValueError("not a number") from error
    if not scaled.is_finite() or scaled != scaled.to_integral_value():
        raise ValueError("finer than the minor unit")
    return int(scaled)
