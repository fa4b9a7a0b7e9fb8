"""What a till holds in its hands: a card as it was presented, a member of staff, a line of fuel."""

from typing import Any

import msgspec


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A card as its holder presented it. Never prints: it may carry a number and a PIN."""

    number: str | None = None
    pin: str | None = None
    """In clear only here; it leaves sealed under the day session, bound to the card and the request's key."""
    check_value: str | None = None
    """From the track or chip."""
    token: str | None = None
    """The holder's dynamic QR code."""

    def __repr__(self) -> str:
        return f"Card(•••• {self.number[-4:] if self.number else 'QR'})"

    @property
    def reference(self) -> str:
        """What a sealed PIN is bound to."""
        return self.number or self.token or ""


class Staff(msgspec.Struct, frozen=True, kw_only=True):
    """A member of staff's card and PIN, typed on this till. Never prints."""

    card: str
    pin: str

    def __repr__(self) -> str:
        return f"Staff(•••• {self.card[-4:]})"


class Driver(msgspec.Struct, frozen=True, kw_only=True):
    """The driver beside a company's card: the number or the driver's own card, and their own PIN where there is a line. Never prints."""

    number: str | None = None
    card: Card | None = None
    """In place of the number; it says who drives and pays nothing. A PIN in it goes nowhere."""
    pin: str | None = None

    def __repr__(self) -> str:
        return "Driver(•••)"

    @property
    def reference(self) -> str:
        """What the driver's sealed PIN is bound to."""
        return self.number or "" if self.card is None else self.card.reference

    @property
    def told(self) -> dict[str, Any]:
        """What is told of the driver where there is no line: nothing that could not be checked any more."""
        if self.card is None:
            return {"driver_number": self.number}
        return {} if self.card.number is None else {"driver_card": {"number": self.card.number}}


class Fuel(msgspec.Struct, frozen=True, kw_only=True):
    """The pump's line: thousandths of a unit, ten-thousandths of a currency unit, minor units."""

    product: str
    quantity_milli: int
    unit_price_e4: int
    amount_minor: int
    nozzle: int | None = None


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """A shop line."""

    product: str
    amount_minor: int
    quantity_milli: int = 1000


class Tender(msgspec.Struct, frozen=True, kw_only=True):
    """What was paid otherwise within the same sale."""

    tender: str
    amount_minor: int
    reference: str | None = None


Body = dict[str, Any]


def plain(value: Any) -> Any:
    """Return JSON-ready builtins, absent members left out: the API refuses unknown fields and takes no nulls for absent ones."""
    if isinstance(value, msgspec.Struct):
        value = {name: getattr(value, name) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value
