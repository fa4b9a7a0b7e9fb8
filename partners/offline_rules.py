"""What may be honoured while nobody can be asked, what it may cost at most, and who bears it: pure, plain values in and out.

An outlet works offline under a lease: one phone, some hours, a budget. What came of it is told at the next sync. While a lease is not
settled its outlet gets no other one, so that all that can be out at one moment is `outlets x budget`.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from partners.line_rules import PARTNER
from partners.rules import LossBy, Offline

SKEW: Final = timedelta(minutes=5)
"""How far a phone's clock, set by the server's when the lease was given, may have gone wrong."""


class OfflineVoucher(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a signed code says of a voucher: nothing about its holder. Its own expiry and the key stand in the token's head."""

    voucher: bytes
    """The voucher's id, 16 bytes."""
    partner: str
    """The one partner by whom it is honoured."""
    benefit: str
    worth_minor: int | None
    """What is left on it; None: it is no money."""
    ends_at: int | None
    """When the voucher itself ends, seconds since 1970."""
    plate_tail: str | None
    """The end of the plate to which it is bound."""
    outlets: list[str]
    """The outlets that honour it; empty: all of the partner's."""


class OfflineStatus(StrEnum):
    """What became of what was honoured offline."""

    BOOKED = "booked"
    LOSS = "loss"
    """It was used up before: booked as a loss."""
    REFUSED = "refused"
    """The code was none, or not for here: nothing is owed for it."""


class OfflineCode(StrEnum):
    """Why, for programs; the page has the words."""

    BOOKED = "booked"
    PARTLY_USED = "partly_used"
    """Booked for what was left, the rest a loss."""
    DOUBLE = "double"
    """Another outlet, or the network, was first."""
    CANCELLED = "cancelled"
    LIMIT = "limit"
    """What the agreement allows was used up."""
    TAMPERED = "tampered"
    UNKNOWN_KEY = "unknown_key"
    EXPIRED = "expired"
    FOREIGN_PARTNER = "foreign_partner"
    FOREIGN_OUTLET = "foreign_outlet"
    REPLAYED = "replayed"
    """This outlet honoured it before."""
    TIME_NOT_SOUND = "time_not_sound"
    """The phone says it happened in the future."""
    AMOUNT_NOT_SOUND = "amount_not_sound"
    NOT_OFFLINE = "not_offline"
    """No lease, or nothing that is agreed for offline."""
    NOT_HONOURED = "not_honoured"
    KEY_REUSED = "key_reused"
    """The key carried something else before."""


class Budget(NamedTuple):
    """What a lease allows and what was told of it so far; `open`: it is not settled, and its time for telling is not over."""

    uses: int
    amount_minor: int
    used: int
    used_minor: int
    open: bool

    def takes(self, worth_minor: int) -> bool:
        """Say whether one more use has room."""
        return self.open and self.used < self.uses and self.used_minor + worth_minor <= self.amount_minor

    def after(self, worth_minor: int) -> "Budget":
        """Return it with one more use drawn."""
        return self._replace(used=self.used + 1, used_minor=self.used_minor + worth_minor)


def budget_of(agreed: Offline) -> int:
    """Return what one outlet's lease may come to in money: its amount, or less where so many vouchers cannot come to it."""
    return min(agreed.amount_minor, agreed.uses * agreed.worth_minor)


def bound_on_loss(agreed: Offline, *, outlets: int) -> int:
    """Return the most that can be used twice between two syncs, minor units: `outlets x min(amount, uses x worth)`.

    It is reached where every outlet honours its whole budget in vouchers that were used elsewhere after its list was made.
    """
    return outlets * budget_of(agreed)


def bears(agreed: Offline, *, in_budget: bool) -> str:
    """Return the funder who bears a loss: whom the agreement says, beyond an outlet's budget its partner."""
    return LossBy.ISSUER.value if in_budget and agreed.loss_by is LossBy.ISSUER else PARTNER


def token_ends(agreed: Offline, *, now: datetime, voucher_ends: datetime | None) -> datetime:
    """Return until when a code that is shown now is good: the agreed hours, never longer than its voucher."""
    ends = now + timedelta(hours=agreed.token_hours)
    return ends if voucher_ends is None else min(ends, voucher_ends)


def offline_outlets(places: Collection[str]) -> tuple[str, list[str]] | None:
    """Return the partner, and the outlets if not all of its, by whom a kind of voucher is honoured; None unless it is one partner alone."""
    parts = [place.removeprefix("partner:").partition("/") for place in places if place.startswith("partner:")]
    partners = {partner for partner, _slash, _outlet in parts}
    if len(parts) < len(places) or len(partners) != 1:
        return None
    outlets = sorted({outlet for _partner, _slash, outlet in parts})
    return partners.pop(), [] if "" in outlets else outlets


def out_of_place(told: OfflineVoucher, *, partner: str, outlet: str) -> OfflineCode | None:
    """Say why a code is not for an outlet; None where it is."""
    if told.partner != partner:
        return OfflineCode.FOREIGN_PARTNER
    return OfflineCode.FOREIGN_OUTLET if told.outlets and outlet not in told.outlets else None


def out_of_time(*, served_at: datetime, now: datetime) -> OfflineCode | None:
    """Say why the time at which something is said to have been served cannot be: a phone's time is evidence, not in the future."""
    return OfflineCode.TIME_NOT_SOUND if served_at > now + SKEW else None


def in_lease(*, served_at: datetime, granted_at: datetime, until: datetime) -> bool:
    """Say whether it was served while the lease ran."""
    return granted_at - SKEW <= served_at < until + SKEW
