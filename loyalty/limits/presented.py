"""What comes with a company's card at the pump besides the card: a driver, an odometer's reading, an order. Pure."""

from datetime import date, datetime
from typing import Final, NamedTuple
from uuid import UUID

KM_PER_DAY_MOST: Final = 1_500
"""More than two drivers in turns do (configurable per company later)."""
_DAY_S: Final = 86_400


class PumpDriver(NamedTuple):
    """The driver of the company whose number was typed or whose own card was shown, in the order of the read's columns."""

    driver_id: UUID
    status: str
    pin_verifier: bytes | None
    pin_generation: int
    pin_tries: int
    department_id: UUID | None
    is_bound: bool
    """The card is theirs."""


class PumpDriverCard(NamedTuple):
    """The card of the same account that was shown beside the one that pays, in the order of the read's columns; whatever its status."""

    card_id: UUID
    status: int
    version: int
    expires_on: date | None
    check_value_index: bytes | None
    needs_pin: bool
    """Its product asks for a PIN even where the chip is read."""


class Odometer(NamedTuple):
    """The last reading of the card's vehicle that holds."""

    km: int
    at: datetime


def drivable_km(last: Odometer, at: datetime) -> int:
    """Return the most kilometres that can be driven after a reading, to an instant: of every day begun."""
    return KM_PER_DAY_MOST * (max(0, int((at - last.at).total_seconds())) // _DAY_S + 1)


def can_be(last: Odometer | None, *, km: int, at: datetime) -> bool:
    """Say whether a reading can be after the last one: it rises, by no more than can be driven in the days between."""
    return last is None or 0 <= km - last.km <= drivable_km(last, at)


class OrderFacts(NamedTuple):
    """The order that was named, in the order of the read's columns; the last three are what was taken on it."""

    order_id: UUID
    status: str
    product_code: str | None
    station_id: UUID | None
    chain_id: UUID | None
    vehicle_id: UUID | None
    amount_minor: int | None
    quantity_milli: int | None
    keeps_rest: bool
    valid_from: datetime
    valid_until: datetime
    used_minor: int
    used_milli: int
    used_count: int

    def is_for(self, product_code: str | None, station_id: UUID) -> bool:
        """Say whether it is an order for this product at this station."""
        return product_code is not None and self.product_code in {None, product_code} and self.station_id in {None, station_id}

    @property
    def is_used(self) -> bool:
        """Say whether nothing more may be taken on it."""
        if not self.keeps_rest:
            return self.used_count > 0
        return self.left_minor == 0 or self.left_milli == 0

    @property
    def left_minor(self) -> int | None:
        """What money may still be taken; None: any."""
        return None if self.amount_minor is None else max(0, self.amount_minor - self.used_minor)

    @property
    def left_milli(self) -> int | None:
        """What quantity may still be taken; None: any."""
        return None if self.quantity_milli is None else max(0, self.quantity_milli - self.used_milli)

    @property
    def fills_max(self) -> int | None:
        """How many fills may ever count on it."""
        return None if self.keeps_rest else 1
