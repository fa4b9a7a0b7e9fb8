"""Card numbers: ISO/IEC 7812, an issuer's prefix (BIN), at least ten random digits, and a Luhn check digit. Never sequential."""

import secrets
from collections.abc import Callable
from typing import Final

RANDOM_DIGITS_MIN: Final = 10
LENGTH_MIN: Final = 12
LENGTH_MAX: Final = 19
_BIN_SHOWN: Final = 6
_END_SHOWN: Final = 4
_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_DRAW_BYTES: Final = 32


def luhn_digit(payload: str) -> str:
    """Return the check digit that follows `payload`, ASCII digits (ISO/IEC 7812-1 annex B)."""
    total = sum(_DOUBLED[int(digit)] if place % 2 == 0 else int(digit) for place, digit in enumerate(reversed(payload)))
    return str(-total % 10)


def luhn_is_right(number: str) -> bool:
    """Say whether the last digit is the Luhn digit of the others. A legacy import may lack it."""
    return len(number) > 1 and number.isascii() and number.isdigit() and luhn_digit(number[:-1]) == number[-1]


def new_card_number(bin_: str, length: int = 16, *, randbytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """Return a fresh number of `length` digits: `bin_`, random digits, the Luhn digit. Its uniqueness is the table's to enforce.

    :raises ValueError: if the prefix is no number, or the length leaves fewer than ten random digits or is outside 12 to 19
    """
    if not bin_.isascii() or not bin_.isdigit():
        raise ValueError("a card number's prefix consists of digits")
    count = length - len(bin_) - 1
    if not LENGTH_MIN <= length <= LENGTH_MAX or count < RANDOM_DIGITS_MIN:
        raise ValueError("a card number has 12 to 19 digits, at least ten of them random")
    # 256 bits reduced to at most 18 digits: the bias is below 2^-196.
    random = int.from_bytes(randbytes(_DRAW_BYTES), "big") % 10**count
    payload = f"{bin_}{random:0{count}d}"
    return payload + luhn_digit(payload)


def plain_card_number(typed: str) -> str:
    """Return a number without the spaces and hyphens people and embossers put in: what is sealed, indexed and bound to a PIN."""
    return typed.replace(" ", "").replace("-", "").strip()


def masked_card_number(number: str) -> str:
    """Return the form that may be shown, printed and logged: the first six and last four digits."""
    hidden = len(number) - _BIN_SHOWN - _END_SHOWN
    return f"{number[:_BIN_SHOWN]}{'*' * hidden}{number[-_END_SHOWN:]}" if hidden > 0 else f"{'*' * (len(number) - 2)}{number[-2:]}"
