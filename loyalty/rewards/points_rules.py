"""Decisions about lots and points: plain values in, plain values out.

A lot's days are those of the issuer's office, whatever the station's zone: one calendar for an account, so that equal terms share a lot.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from hashlib import md5
from typing import NamedTuple
from uuid import UUID

from loyalty.clock import day_bounds
from loyalty.ledger.model import PurseKind
from loyalty.ledger.rules import PurseView, Take
from loyalty.money import POINTS
from loyalty.policy import PointsReturns
from loyalty.pricing.document import Rounding


def lot_id(account_id: UUID, kind: PurseKind, unit: str, expires_at: datetime | None) -> UUID:
    """Return the id of an account's lot of one expiry: computed, so that two who make it at once make the same (as SQL: `lot_id_of`)."""
    ends = "" if expires_at is None else str(round(expires_at.timestamp()))
    named = f"{account_id}:{int(kind)}:{unit}:{ends}"
    return UUID(md5(named.encode(), usedforsecurity=False).hexdigest())


def months_later(day: date, months: int) -> date:
    """Return the same day of a later month, or that month's last day where it has none."""
    index = day.year * 12 + day.month - 1 + months
    first = date(index // 12, index % 12 + 1, 1)
    last = date((index + 1) // 12, (index + 1) % 12 + 1, 1) - timedelta(days=1)
    return first.replace(day=min(day.day, last.day))


def points_end(earned: date, *, expires_months: int | None, rounding: Rounding, zone: str) -> datetime | None:
    """Return when points earned on a day run out: so many months later, at the end of that day, month, quarter or year; None: never.

    `day` makes a lot rolling, the others put it to the calendar (domain notes: "lots with rolling or calendar expiry and rounding").
    """
    if expires_months is None:
        return None
    day = months_later(earned, expires_months)
    if rounding is Rounding.MONTH:
        day = months_later(day.replace(day=1), 1) - timedelta(days=1)
    elif rounding is Rounding.QUARTER:
        day = months_later(day.replace(day=1), 3 - (day.month - 1) % 3) - timedelta(days=1)
    elif rounding is Rounding.YEAR:
        day = date(day.year, 12, 31)
    return day_bounds(day, zone)[1]


def bonus_end(given: date, *, expires_days: int | None, zone: str) -> datetime | None:
    """Return when bonus money given on a day runs out: at the end of the n-th day after it; None: never."""
    return None if expires_days is None else day_bounds(given + timedelta(days=expires_days), zone)[1]


def active_from(earned: date, *, pending_days: int, granted_at: datetime, zone: str) -> datetime:
    """Return from when on points can be spent: at once, or from the beginning of the n-th day after they were earned."""
    return granted_at if not pending_days else max(granted_at, day_bounds(earned + timedelta(days=pending_days), zone)[0])


def spendable_points(purses: Iterable[PurseView], *, company: bool, card_id: UUID | None, now: datetime) -> list[PurseView]:
    """Return the points lots that may be spent, the soonest-expiring first; equal ones by id.

    A company's points are spent by the card they were given to (the main card), a person's by any card.
    """
    own = [
        purse
        for purse in purses
        if purse.kind == PurseKind.POINTS
        and purse.unit == POINTS
        and (purse.expires_at is None or purse.expires_at > now)
        and (purse.card_id == card_id if company else purse.card_id in {None, card_id})
        and purse.available_minor > 0
    ]
    return sorted(own, key=_soonest)


def _soonest(purse: PurseView) -> tuple[float, int]:
    return (float("inf") if purse.expires_at is None else purse.expires_at.timestamp(), purse.purse_id.int)


def take_points(lots: Sequence[PurseView], points: int) -> list[Take]:
    """Say what each lot gives towards `points`, in the lots' order; less in all where they do not hold it."""
    takes: list[Take] = []
    for lot in lots:
        given = min(points, lot.available_minor)
        if given > 0:
            takes.append(Take(lot.purse_id, given))
            points -= given
    return takes


class Mirror(NamedTuple):
    """What becomes of value that a refund takes back of an active grant. The sum of takes, `owed` and `lost` is what it takes back."""

    takes: list[Take]
    owed: int
    lost: int


def mirror_value(
    purses: Sequence[PurseView], *, amount: int, lot: UUID | None, kind: PurseKind, unit: str, returns: PointsReturns, now: datetime
) -> Mirror:
    """Say where value given for a sale comes back from: its own lot, then, for points, the account's other lots, the soonest first.

    A lot that has run out gives nothing: what the sale earned is gone already. Bonus money comes from its own lot only: a refund
    never takes what the customer paid in.
    """
    if kind is PurseKind.POINTS and returns is PointsReturns.ONLY_PENDING:
        return Mirror([], 0, amount)
    living = [
        purse
        for purse in purses
        if purse.kind == kind and purse.unit == unit and purse.available_minor > 0 and (purse.expires_at is None or purse.expires_at > now)
    ]
    own = [purse for purse in living if purse.purse_id == lot]
    others = sorted((purse for purse in living if purse.purse_id != lot), key=_soonest) if kind is PurseKind.POINTS else []
    known = next((purse for purse in purses if purse.purse_id == lot), None)
    if known is not None and known.expires_at is not None and known.expires_at <= now:
        return Mirror([], 0, amount)
    takes = take_points([*own, *others], amount)
    missing = amount - sum(take.amount_minor for take in takes)
    owes = kind is PurseKind.POINTS and returns is PointsReturns.NEGATIVE
    return Mirror(takes, missing if owes else 0, 0 if owes else missing)
