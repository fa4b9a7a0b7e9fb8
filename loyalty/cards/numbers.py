"""A card's number and check value: sealed, found by blind indexes, shown as first six and last four digits."""

from typing import Final, NamedTuple
from uuid import UUID

from loyalty.card_numbers import plain_card_number
from loyalty.crypto import Purpose, blind_index, open_text, seal_text

_CHECK_DIGITS: Final = 8


class ProtectedNumber(NamedTuple):
    """What a card row keeps of its number."""

    lookup: bytes
    sealed: bytes
    bin: str
    tail: str


def number_index(number: str) -> bytes:
    """Return the blind index (32 bytes) under which a number, typed or scanned, is found."""
    return blind_index(Purpose.INDEX_CARD_NUMBER, plain_card_number(number))


def protect_number(number: str, *, card_id: UUID) -> ProtectedNumber:
    """Return what the row `card_id` keeps of a plain number."""
    sealed = seal_text(Purpose.CARD_NUMBER, table="cards", column="number_sealed", row_id=card_id, plaintext=number)
    return ProtectedNumber(number_index(number), sealed, number[:6], number[-4:])


def reveal_number(*, card_id: UUID, sealed: bytes) -> str:
    """Return the whole number: for the personaliser's file, a stop list, a receipt's token. The caller records why.

    :raises BrokenEnvelopeError: if the value was changed or belongs to another row
    """
    return open_text(Purpose.CARD_NUMBER, table="cards", column="number_sealed", row_id=card_id, envelope=sealed)


def check_value(number: str) -> str:
    """Return the eight digits written beside the number on the card's track or chip.

    Derived by key, so it is stored nowhere and can be written again; knowing the number gives no hint of it.
    """
    drawn = int.from_bytes(blind_index(Purpose.INDEX_CARD_NUMBER, f"check-value:{number}")[:8], "big")
    return f"{drawn % 10**_CHECK_DIGITS:0{_CHECK_DIGITS}d}"


def check_value_index(number: str, value: str) -> bytes:
    """Return the index of a number together with its check value: equal to the row's when the track or chip is genuine."""
    return blind_index(Purpose.INDEX_CARD_NUMBER, f"checked:{number}:{value}")
