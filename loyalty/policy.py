"""Policy profiles: every legal or local figure, read from a TOML file beside this module or from an issuer's own.

A profile binds the accounts of its currency; an account of another currency is under no figure of it. Amounts are minor units. Thresholds
are inclusive ("≥ 10,000" asks at exactly 10,000), caps too (a balance of exactly the cap is allowed). Every group names its `rule`, the
text that a refusal shows as its ground.
"""

from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import msgspec

_FOLDER = Path(__file__).parent / "policies"

Amount = Annotated[int, msgspec.Meta(ge=0)]
Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]
Span = Annotated[int, msgspec.Meta(ge=0, le=1200)]


class CapScope(StrEnum):
    """What of a company's money a card cap is laid on."""

    NONE = "none"
    ALLOCATED = "allocated"
    """The money given to each sub-card; the pool itself has no cap."""
    ACCOUNT = "account"
    """The pool as if it were one card."""


class RefundSplit(StrEnum):
    """How what was consumed is divided between principal and bonus when an account is closed."""

    PRO_RATA = "pro_rata"
    """In the ratio paid : bonus of all loads since the balance was last zero."""
    PRINCIPAL_FIRST = "principal_first"
    """Principal is reckoned as consumed first."""
    AS_SPENT = "as_spent"
    """Whatever principal is left."""


class _Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rule: str


class Cap(_Group, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The largest balance of a card after a load; None: none."""

    registered_minor: Amount | None = None
    anonymous_minor: Amount | None = None
    company_scope: CapScope
    counts_bonus: bool
    """Whether bonus money counts towards the cap."""


class Validity(_Group, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long value lasts; media expiry is another thing."""

    registered_expires: bool
    anonymous_months_min: Span | None = None


class RealNames(_Group, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When buyer and agent are recorded by name, document and contact, and how long that is kept."""

    registered_always: bool
    anonymous_from_minor: Amount | None = None
    keep_rule: str
    keep_years: Span


class NoCash(_Group, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When only `tenders` are taken. None: never for that kind of buyer."""

    organisation_from_minor: Amount | None = None
    person_from_minor: Amount | None = None
    off_premises: bool
    tenders: frozenset[str]
    own_account: bool
    """An organisation's transfer comes from an account in its own name."""


class Closure(_Group, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Giving the money back for good."""

    cash_refund_max_minor: Amount | None = None
    """Up to this it may be cash; None: any amount."""
    owner_account: bool
    """A bank refund goes to an account in the owner's name only."""
    split: RefundSplit
    reopen_months: Span
    number_reserved_months: Span
    claimant_real_name: bool


class LoadRefund(_Group, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Taking a load back after other movements. `unused_within_days` None: not at all."""

    unused_within_days: Span | None = None
    only_new_customers: bool
    """Not for a customer who had used the service before this load."""
    partly_used: bool
    """Whether the unused part of a load may go back."""


class Anonymous(_Group, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bearer card may have."""

    points: bool
    loss_report: bool
    replacement: bool


class PointsReturns(StrEnum):
    """What the refund of a sale takes back of points that have become active."""

    ONLY_PENDING = "only_pending"
    """Nothing: only what still waits is struck."""
    WITHIN_BALANCE = "within_balance"
    """What is there; points spent meanwhile are let go."""
    NEGATIVE = "negative"
    """All of it: what is not there is owed, and the next points earned pay it off."""


class Points(_Group, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How points are spent and taken back; what they are earned by stands in the rules."""

    returns: PointsReturns = PointsReturns.WITHIN_BALANCE
    step: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    """Redeemed in multiples of this."""
    month_max: Amount | None = None
    """At most so many are redeemed by an account in one month; None: any number."""


class Invoicing(_Group, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be invoiced."""

    untaxed_code: str | None = None
    """The tax classification of a load's invoice; None: loads are not invoiced."""
    either_or: bool
    """Per card either its loads or its consumption."""
    bonus: bool


class Custody(_Group, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shares of the last quarter-end balance that lie with a bank, and the report to the authority."""

    large_percent: Percent | None = None
    group_percent: Percent | None = None
    brand_percent: Percent | None = None
    balance_of_revenue_percent_max: Percent | None = None
    report_working_days: Span | None = None


class Control(_Group, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """House settings against fraud: from which amount a second person is needed. None: never."""

    reversal_second_person_from_minor: Amount | None = None
    closure_second_person_from_minor: Amount | None = None
    freeze_months_default: Span


class Carbon(_Group, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Grams of CO₂ that burning a thousand thousandths of a fuel sets free: per litre, kilogram or cubic metre, by its kind.

    The shipped figures are the IPCC's defaults (2006 Guidelines for National Greenhouse Gas Inventories, volume 2: table 1.2 net calorific
    values, table 1.4 CO₂ per energy): gasoline 44.3 MJ/kg x 69.3 g/MJ x 0.74 kg/L, diesel 43.0 x 74.1 x 0.84, natural gas 48.0 x 56.1.
    """

    gasoline_g: Amount = 2_272
    diesel_g: Amount = 2_677
    gas_g: Amount = 2_693
    """A kilogram of natural gas (LNG); a cubic metre of it weighs about 0.72 kg."""
    codes: dict[str, Amount] = {}
    """Grades that differ from their kind, by code: a blend with ethanol or bio-diesel."""


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One profile, whole."""

    name: str
    title_zh: str
    title_en: str
    currency: str | None = None
    """The currency whose accounts it binds; None: all."""
    cap: Cap
    validity: Validity
    real_name: RealNames
    no_cash: NoCash
    closure: Closure
    load_refund: LoadRefund
    anonymous: Anonymous
    points: Points = Points(rule="house points")
    invoice: Invoicing
    custody: Custody
    control: Control
    carbon: Carbon = Carbon(rule="IPCC 2006 defaults")

    def for_currency(self, currency: str) -> "Policy":
        """Return the profile that binds accounts of `currency`: this one, else `generic`."""
        return self if self.currency in {None, currency} else load_policy("generic")


def read_policy(text: str) -> Policy:
    """Read a profile.

    :raises ValueError: if a figure is missing, unknown or out of range; the text names it
    """
    return msgspec.toml.decode(text, type=Policy)


@lru_cache(maxsize=8)
def load_policy(name: str) -> Policy:
    """Return the shipped profile `name` (`cn-single-purpose`, `generic`), or the one in the file `name` where it ends in `.toml`.

    :raises LookupError: if there is none
    :raises ValueError: if it is not well formed
    """
    path = Path(name) if name.endswith(".toml") else _FOLDER / f"{name}.toml"
    try:
        return read_policy(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise LookupError(f"there is no policy profile {name!r}") from error
