"""Decisions about cards: plain values in, plain values out."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from loyalty.audit.model import Actor, ActorKind

from .model import MOVES, CardStatus, ProductKind

PIN_DIGITS: Final = (4, 6)
"""The shortest and longest PIN a card may have."""

_DIGITS_UP: Final = "01234567890"
_DIGITS_DOWN: Final = _DIGITS_UP[::-1]


def staff_of(actor: Actor) -> UUID | None:
    """Return the member of staff who acts, None where it is somebody or something else."""
    return actor.actor_id if actor.kind is ActorKind.STAFF and isinstance(actor.actor_id, UUID) else None


class PinFault(StrEnum):
    """Why a PIN is not taken."""

    LENGTH = "length"
    """4 to 6 digits."""
    REPEATED = "repeated"
    """One digit all over."""
    RUN = "run"
    """Digits in a row, up or down."""


class PinCheck(StrEnum):
    """The result of trying a PIN. Never an exception: raising would take back the counted try."""

    RIGHT = "right"
    WRONG = "wrong"
    LOCKED = "locked"
    """Three wrong ones in a row; not evaluated any more, on any channel."""
    NOT_SET = "not_set"


class PinAnswer(NamedTuple):
    """What a PIN attempt came to; it may leave only after its transaction was committed."""

    check: PinCheck
    tries_left: int


class Replacing(StrEnum):
    """Why a card is replaced."""

    LOST = "lost"
    DAMAGED = "damaged"
    EXPIRED = "expired"
    """The plastic is past its date; value does not expire with it."""


class OfflineProfile(NamedTuple):
    """What a terminal may give a card of a product while it cannot ask (minor units, thousandths, times).

    Each figure shrinks by `shrink_percent_per_hour` percent points of itself for every full hour since the last synchronisation.
    """

    allowed: bool
    fill_amount_minor: int
    fill_quantity_milli: int
    day_amount_minor: int
    day_quantity_milli: int
    day_count: int
    station_amount_minor: int
    shrink_percent_per_hour: int


NO_OFFLINE: Final = OfflineProfile(
    allowed=False,
    fill_amount_minor=0,
    fill_quantity_milli=0,
    day_amount_minor=0,
    day_quantity_milli=0,
    day_count=0,
    station_amount_minor=0,
    shrink_percent_per_hour=0,
)


def pin_fault(pin: str) -> PinFault | None:
    """Say what is wrong with a PIN somebody chose: wrong length, all one digit, or a run like 1234 or 987654."""
    if not (PIN_DIGITS[0] <= len(pin) <= PIN_DIGITS[1] and pin.isascii() and pin.isdecimal()):
        return PinFault.LENGTH
    if len(set(pin)) == 1:
        return PinFault.REPEATED
    return PinFault.RUN if pin in _DIGITS_UP or pin in _DIGITS_DOWN else None


def months_later(day: date, months: int) -> date:
    """Return the same day so many months later, the month's last day where it has no such day."""
    index = day.year * 12 + day.month - 1 + months
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def media_expiry(issued_on: date, validity_months: int | None) -> date | None:
    """Return the last day the plastic is good, None where it does not expire."""
    return None if validity_months is None else months_later(issued_on, validity_months)


def media_expired(expires_on: date | None, today: date) -> bool:
    """Say whether the plastic is past its last day. Station-local dates; the account's value is untouched by it."""
    return expires_on is not None and today > expires_on


def reopening_is_over(*, closed_at: datetime, now: datetime, months: int) -> bool:
    """Say whether the number may no longer be reopened (policy profile: six months after closure)."""
    return now.date() > months_later(closed_at.date(), months)


def may_move(present: CardStatus, to: CardStatus) -> bool:
    """Say whether the table of moves has this edge."""
    return to in MOVES[present]


def product_takes(
    *, fuel_kinds: Sequence[str] | None, shop_categories: Sequence[str] | None, fuel_kind: str | None, shop_category: str | None
) -> bool:
    """Say whether cards of a product may buy a line: of a kind of fuel, or of a shop category. None allows all."""
    if fuel_kind is not None:
        return fuel_kinds is None or fuel_kind in fuel_kinds
    return shop_category is None or shop_categories is None or shop_category in shop_categories


def offline_allowance(profile: OfflineProfile, *, since_sync: timedelta) -> OfflineProfile:
    """Return the profile as it stands so long after the last synchronisation; nothing is allowed once it has shrunk to zero."""
    if not profile.allowed:
        return NO_OFFLINE
    hours = max(since_sync // timedelta(hours=1), 0)
    percent = 100 - hours * profile.shrink_percent_per_hour
    if percent <= 0:
        return NO_OFFLINE
    return profile._replace(
        fill_amount_minor=profile.fill_amount_minor * percent // 100,
        fill_quantity_milli=profile.fill_quantity_milli * percent // 100,
        day_amount_minor=profile.day_amount_minor * percent // 100,
        day_quantity_milli=profile.day_quantity_milli * percent // 100,
        day_count=-(-profile.day_count * percent // 100),
        station_amount_minor=profile.station_amount_minor * percent // 100,
    )


def is_organisations(kind: ProductKind) -> bool:
    """Say whether cards of this kind hang on an organisation's account."""
    return kind in {ProductKind.COMPANY, ProductKind.FLEET}
