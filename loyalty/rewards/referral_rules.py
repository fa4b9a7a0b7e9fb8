"""Referral: an old customer brings a new one. Plain values in, plain values out."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

Positive = Annotated[int, Meta(gt=0, le=10**12)]
Code = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,47}$")]
Named = Annotated[str, Meta(min_length=1, max_length=80)]


class _Part(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Plain, immutable, and refused where it says what is not known."""


class RewardKind(StrEnum):
    POINTS = "points"
    BONUS = "bonus"
    VOUCHER = "voucher"
    GIFT = "gift"


class Reward(_Part, frozen=True, kw_only=True):
    """What is given: points, minor units of bonus money, or pieces of `item` (a voucher kind's or a gift's code)."""

    kind: RewardKind
    amount: Positive
    item: Code | None = None
    expires_days: Annotated[int, Meta(gt=0, le=3660)] | None = None
    """Of points and bonus money: the lot ends at the end of that day; things end as their own terms say."""


class Event(StrEnum):
    """What the new customer has to do."""

    FIRST_LOAD = "first_load"
    """`at_least` minor units in the first top-up."""
    FILLS = "fills"
    """`at_least` fills."""
    SPEND = "spend"
    """`at_least` minor units of goods, refunds taken off."""


class Milestone(_Part, frozen=True, kw_only=True):
    """One thing that is rewarded: the one who brought, the one who came, or both."""

    code: Code
    event: Event
    at_least: Positive
    referrer: Annotated[tuple[Reward, ...], Meta(max_length=5)] = ()
    referee: Annotated[tuple[Reward, ...], Meta(max_length=5)] = ()


class Side(StrEnum):
    """Whose reward it is."""

    REFERRER = "referrer"
    REFEREE = "referee"


class Fault(StrEnum):
    """Why a referral is none, or not yet believed."""

    PERSON = "person"
    """Both are one person: one identity, or one document."""
    PHONE = "phone"
    DEVICE = "device"
    """Both used their pages from one browser."""
    NOT_NEW = "not_new"
    """The referrer came later than who was brought."""
    ORGANISATION = "organisation"
    """Personal benefits are people's."""


class Progress(NamedTuple):
    """What a new customer has done so far, refunds taken off: minor units and fills."""

    first_load_minor: int
    fills: int
    spent_minor: int


def reached(milestones: Sequence[Milestone], progress: Progress) -> list[Milestone]:
    """Return the milestones that are reached, in their order."""
    done = {Event.FIRST_LOAD: progress.first_load_minor, Event.FILLS: progress.fills, Event.SPEND: progress.spent_minor}
    return [milestone for milestone in milestones if done[milestone.event] >= milestone.at_least]


class Span(NamedTuple):
    """Between which instants a new customer's deeds count, `[since, until)`, and whether nothing can be added to them any more."""

    since: datetime
    until: datetime
    is_over: bool


def counted_span(*, joined_at: datetime, within_days: int | None, wait_days: int, now: datetime) -> Span:
    """Return what counts at `now`: deeds since joining, within the programme's days, that stood for `wait_days` without a refund."""
    settled = now - timedelta(days=wait_days)
    if within_days is None:
        return Span(joined_at, settled, is_over=False)
    end = joined_at + timedelta(days=within_days)
    return Span(joined_at, min(settled, end), is_over=settled >= end)
