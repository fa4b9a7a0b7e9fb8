"""Decisions about vouchers and their codes: plain values in, plain values out."""

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from loyalty.clock import day_bounds, local_date
from loyalty.crypto import RandomBytes

from .model_vouchers import VoucherStatus

ANYWHERE: Final = "any"
ALL_STATIONS: Final = "stations"

RESERVED_FOR: Final = timedelta(minutes=15)
"""How long an outlet may take between reserving a voucher and redeeming it; afterwards it is free again."""

CODE_SYMBOLS: Final = 12
_BODY: Final = CODE_SYMBOLS - 1
_GROUP: Final = 4
_BITS: Final = 5
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LIKE: Final = str.maketrans("OIL", "011", " -")
_REDUCE: Final = 0b100101
"""x⁵ + x² + 1: what makes a field of the 32 symbols."""


def new_voucher_code(*, randbytes: RandomBytes = secrets.token_bytes) -> str:
    """Return a code in its one spelling, 12 symbols of Crockford's base 32: 55 random bits and a check character."""
    number = int.from_bytes(randbytes(7), "big") >> (7 * 8 - _BODY * _BITS)
    values = [number >> (_BITS * place) & 31 for place in reversed(range(_BODY))]
    return "".join(_ALPHABET[value] for value in (*values, _check(values)))


def read_voucher_code(typed: str) -> str | None:
    """Return the code in its one spelling; None if it is none.

    It may be typed in any case, with or without spaces and hyphens, O for 0, I or L for 1. One wrong symbol, and two neighbours in the
    wrong order, are always caught by the check character.
    """
    plain = typed.strip().upper().translate(_LIKE)
    if len(plain) != CODE_SYMBOLS or not set(plain) <= set(_ALPHABET):
        return None
    values = [_ALPHABET.index(symbol) for symbol in plain]
    return plain if _check(values[:_BODY]) == values[_BODY] else None


def shown_code(code: str) -> str:
    """Write a code in groups of four, as it is read out and typed: `7K3F-9QXM-2WTD`."""
    return "-".join(code[at : at + _GROUP] for at in range(0, len(code), _GROUP))


def _check(values: Sequence[int]) -> int:
    """Return Σ xⁱ·vᵢ in the field of 32: every place has another factor, so slips and swaps change it."""
    total = 0
    for value in values:
        total = _times_x(total ^ value)
    return total


def _times_x(value: int) -> int:
    shifted = value << 1
    return shifted ^ _REDUCE if shifted & 32 else shifted


def expiry(*, now: datetime, zone: str, validity_days: int | None, ends_at: datetime | None) -> datetime | None:
    """Return when a voucher issued at `now` ends: `validity_days` after today at midnight in `zone`, or at `ends_at`; None: never."""
    if validity_days is None:
        return ends_at
    return day_bounds(local_date(now, zone) + timedelta(days=validity_days), zone)[1]


def is_honoured(outlets: Collection[str], *, at: Collection[str]) -> bool:
    """Say whether a kind's outlets include a place, which is known by all its names (`station:S1`, `district:D1`, …)."""
    if ANYWHERE in outlets:
        return True
    if ALL_STATIONS in outlets and any(name.startswith("station:") for name in at):
        return True
    return not set(outlets).isdisjoint(at)


class Outlet(NamedTuple):
    """Where a voucher is presented, and whose keys its requests carry."""

    name: str
    """`station:CODE` or `partner:CODE`."""
    names: frozenset[str]
    """All it is known by, `district:CODE` and `region:CODE` included."""
    caller: str
    """The keeper of its keys and of its guesses: `terminal:ID`, `station:ID`."""
    station_id: UUID | None = None
    terminal_id: UUID | None = None


class Unfit(StrEnum):
    """Why a voucher is not honoured: for the office and the log; the counter hears one answer for all of them."""

    STATUS = "status"
    EXPIRED = "expired"
    OUTLET = "outlet"
    PLATE = "plate"


class Standing(NamedTuple):
    """What decides whether a voucher is honoured."""

    status: VoucherStatus
    expires_at: datetime | None
    outlets: Collection[str]
    plate: str | None


def unfit(voucher: Standing, *, at: Collection[str], plate: str | None, now: datetime) -> Unfit | None:
    """Say why a voucher cannot be reserved at a place, None where it can."""
    if voucher.status is not VoucherStatus.ISSUED:
        return Unfit.STATUS
    if voucher.expires_at is not None and voucher.expires_at <= now:
        return Unfit.EXPIRED
    if not is_honoured(voucher.outlets, at=at):
        return Unfit.OUTLET
    if voucher.plate is not None and voucher.plate != plate:
        return Unfit.PLATE
    return None


def as_then(voucher: Standing, served_at: datetime) -> Standing:
    """Return a voucher as it stood when it was served: one that has run out since had not yet."""
    in_time = voucher.expires_at is not None and served_at < voucher.expires_at
    return voucher._replace(status=VoucherStatus.ISSUED) if in_time and voucher.status is VoucherStatus.EXPIRED else voucher


class Use(NamedTuple):
    """What leaves a voucher and what the customer saves by it, minor units; both None where it is no money."""

    taken_minor: int | None
    honoured_minor: int | None


def use_of(*, left_minor: int | None, partial: bool, amount_minor: int | None) -> Use:
    """Return what a use for `amount_minor` (None: for all there is) comes to: never more than is left.

    Redeemed in parts the rest stays; else the voucher is used whole, also for less than its worth.
    """
    if left_minor is None:
        return Use(None, None)
    honoured = left_minor if amount_minor is None else min(amount_minor, left_minor)
    return Use(honoured if partial else left_minor, honoured)


class Room(NamedTuple):
    """What counters still allow; None: no limit."""

    each: int | None
    total: int | None


def allot(wanted: int, room: Room) -> tuple[int, str | None]:
    """Return how many are given and, where fewer, which limit is why: the last one gets what is left."""
    given = min(wanted, wanted if room.each is None else room.each, wanted if room.total is None else room.total)
    if given == wanted:
        return given, None
    return given, "limit_total" if room.total == given else "limit_each"


def after_roll_back(present: VoucherStatus, *, was_open: bool, expires_at: datetime | None, now: datetime) -> VoucherStatus:
    """Return where a voucher goes when a redemption is rolled back: issued, after its expiry expired.

    What happened to it otherwise stays: it has run out meanwhile, or another outlet has set the rest of it aside (`was_open`: it is the
    rolled-back one itself that had).
    """
    if present in {VoucherStatus.EXPIRED, VoucherStatus.CANCELLED} or (present is VoucherStatus.RESERVED and not was_open):
        return present
    return VoucherStatus.EXPIRED if expires_at is not None and expires_at <= now else VoucherStatus.ISSUED
