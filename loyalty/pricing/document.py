"""A rulebook as it is written, kept and exchanged: groups, rules, budgets and campaigns, one document a revision of the whole.

The same structs are the JSON of the table, of the API and of the page, and the TOML of a file. Codes name stations, districts, regions,
card products and products, so that a file reads like the trade and fits another database. Amounts are minor units of `currency`, quantities
thousandths of the product's unit, rates 1/10,000 of a currency unit per product unit, percentages basis points (2,000 = 20 %).
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from msgspec import Meta, Struct

from loyalty.ledger.spending import Spending

Code = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,47}$")]
"""Names a rule, group, budget or campaign for ever: lower case, digits, `.`, `_`, `-`."""
Named = Annotated[str, Meta(min_length=1, max_length=80)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
Listed = tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...]
Positive = Annotated[int, Meta(gt=0, le=10**13)]
NotNegative = Annotated[int, Meta(ge=0, le=10**13)]
BasisPoints = Annotated[int, Meta(gt=0, le=10_000)]
Clock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]

ROOT: Final = "all"
"""The group everything stands in that names no other: all of it stacks, in order."""


class _Part(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Plain, immutable, and refused where it says what is not known."""


class Channel(StrEnum):
    """How the customer comes: the pump's flows, the shop, a top-up."""

    PAY_AFTER = "pay_after"
    PRESET = "preset"
    PUMP = "pump"
    SHOP = "shop"
    TOPUP = "topup"


class Basis(StrEnum):
    """Which amount a threshold looks at, or a percentage is of."""

    INITIAL = "initial"
    """What the rule's goods cost at the pump's price."""
    BEFORE = "before"
    """What is left of it when the rule's turn comes."""
    AFTER = "after"
    """What would be left after the rule."""


class Per(StrEnum):
    """A window of a cap or a count; days, weeks (from Monday) and months are the station's."""

    TRANSACTION = "transaction"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    EVER = "ever"


class Of(StrEnum):
    """Whose cap or count it is. A card's follows the chain of its replacements."""

    CARD = "card"
    ACCOUNT = "account"
    CUSTOMER = "customer"


class Mode(StrEnum):
    """How a group's members join."""

    STACK = "stack"
    """All that apply, in order, each on what the one before left."""
    BEST = "best"
    """The one that saves the customer most."""
    CHEAPEST = "cheapest"
    """Of those that apply, the one that costs the issuer's own funders least."""
    FIRST = "first"
    """The first that applies."""


class Birthday(_Part, frozen=True, kw_only=True):
    """Around the birthday; 29 February is the 28th in a common year. `month`: the whole month of birth instead."""

    days_before: Annotated[int, Meta(ge=0, le=60)] = 0
    days_after: Annotated[int, Meta(ge=0, le=60)] = 0
    month: bool = False


class Nth(_Part, frozen=True, kw_only=True):
    """The n-th transaction that meets all the rule's other conditions but its thresholds: `count` 1 is the first; `every`: each n-th."""

    count: Annotated[int, Meta(ge=1, le=1000)]
    every: bool = False
    per: Per = Per.EVER
    of: Of = Of.ACCOUNT


class Hours(_Part, frozen=True, kw_only=True):
    """A part of the day `[from, to)` by the station's clock; past midnight where `to` is not later."""

    starts: Clock
    ends: Clock


class When(_Part, frozen=True, kw_only=True):
    """When a rule may apply; what is left out does not matter. Lists are "any of"."""

    stations: Listed = ()
    districts: Listed = ()
    regions: Listed = ()
    card_products: Listed = ()
    products: Listed = ()
    categories: Listed = ()
    """`fuel`, `shop`, a fuel's kind (`gasoline`, `diesel`, …) or a shop category."""
    excluded_products: Listed = ()
    excluded_categories: Listed = ()
    channels: tuple[Channel, ...] = ()
    weekdays: tuple[Annotated[int, Meta(ge=1, le=7)], ...] = ()
    """1 is Monday."""
    month_days: tuple[Annotated[int, Meta(ge=1, le=31)], ...] = ()
    hours: tuple[Hours, ...] = ()
    customers: tuple[UUID, ...] = ()
    account_kinds: Listed = ()
    """`personal`, `anonymous`, `company`."""
    tiers: Listed = ()
    segments: Listed = ()
    flyers: Listed = ()
    """Flyer codes: the one stored when the card was issued, or shown with this transaction."""
    birthday: Birthday | None = None
    joined_within_days: Positive | None = None
    converted_within_days: Positive | None = None
    """An anonymous card that became registered so lately."""
    tenders: Listed = ()
    """Every tender of the transaction must be one of these; `card` is the card's own money."""
    nth: Nth | None = None
    least_quantity_milli: Positive | None = None
    most_quantity_milli: Positive | None = None
    least_minor: Positive | None = None
    most_minor: Positive | None = None
    basis: Basis = Basis.INITIAL
    """Which amount `least_minor` and `most_minor` look at."""


class Band(_Part, frozen=True, kw_only=True):
    """From so much on (minor units or thousandths, as the effect says), this; exactly one of the three."""

    starts: NotNegative
    rate_e4: Positive | None = None
    basis_points: BasisPoints | None = None
    amount_minor: Positive | None = None


class PerUnit(_Part, frozen=True, kw_only=True, tag_field="kind", tag="per_unit"):
    """So much off per unit: net = round((list − rate) × quantity), discount = round(list × quantity) − net (domain notes)."""

    rate_e4: Positive


class Percent(_Part, frozen=True, kw_only=True, tag_field="kind", tag="percent"):
    """So many basis points off, of the goods' initial amount or of what is left of it."""

    basis_points: BasisPoints
    basis: Annotated[Basis, Meta(description="initial or before (the running amount)")] = Basis.BEFORE


class Fixed(_Part, frozen=True, kw_only=True, tag_field="kind", tag="fixed"):
    """So much off the transaction, spread over its goods."""

    amount_minor: Positive


class UnitPrice(_Part, frozen=True, kw_only=True, tag_field="kind", tag="unit_price"):
    """The customer pays this price per unit, where it is below the pump's."""

    unit_price_e4: Positive


class By(StrEnum):
    """What a ladder's bands measure."""

    QUANTITY = "quantity"
    AMOUNT = "amount"


class Ladder(StrEnum):
    """What the band reached is worth."""

    WHOLE = "whole"
    """The band reached, for everything."""
    MARGINAL = "marginal"
    """Each part in its own band."""


class Tiered(_Part, frozen=True, kw_only=True, tag_field="kind", tag="tiered"):
    """A ladder of discounts; `marginal` takes rates and percentages only."""

    by: By
    bands: Annotated[tuple[Band, ...], Meta(min_length=1, max_length=20)]
    ladder: Ladder = Ladder.WHOLE


class Needed(_Part, frozen=True, kw_only=True):
    """Goods a bundle asks for: any of these, so much of them."""

    products: Listed = ()
    categories: Listed = ()
    quantity_milli: Positive


class Bundle(_Part, frozen=True, kw_only=True, tag_field="kind", tag="bundle"):
    """Bought together, so much off the goods of the last part, for each complete set up to `times`; exactly one of the two amounts."""

    parts: Annotated[tuple[Needed, ...], Meta(min_length=2, max_length=6)]
    amount_minor: Positive | None = None
    basis_points: BasisPoints | None = None
    times: Annotated[int, Meta(ge=1, le=100)] = 1


class Several(StrEnum):
    """What a top-up earns that reaches several bands."""

    HIGHEST = "highest"
    EVERY = "every"
    """All bands reached, added up."""
    REPEAT = "repeat"
    """The highest band as often as it fits, then the next with what is left."""


class Bonus(_Part, frozen=True, kw_only=True, tag_field="kind", tag="bonus"):
    """Bonus money, into a purse lot of its own. `bands` by the amount; else one of the two amounts."""

    amount_minor: Positive | None = None
    basis_points: BasisPoints | None = None
    bands: Annotated[tuple[Band, ...], Meta(max_length=20)] = ()
    several: Several = Several.HIGHEST
    expires_days: Positive | None = None
    """The lot ends at the end of that day, counted from the day it is given; none: it does not end."""
    spend: Spending | None = None
    """What the lot may be spent on, frozen with it; none: anything."""


class Rounding(StrEnum):
    """To which end a lot's expiry is put."""

    DAY = "day"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Points(_Part, frozen=True, kw_only=True, tag_field="kind", tag="points"):
    """`points` for each `per_quantity_milli` or each `per_minor` of what is paid; exactly one of the two, or neither: once."""

    points: Positive
    per_quantity_milli: Positive | None = None
    per_minor: Positive | None = None
    whole: bool = True
    """Only full steps count (whole litres); else half-up."""
    pending_days: NotNegative = 0
    """How long they wait before they can be spent."""
    when_settled: bool = False
    """They also wait until the station has closed the business day on which they were earned; earned at no station, they do not."""
    expires_months: Positive | None = None
    """How long the lot lives from the day it is earned; frozen with it."""
    rounding: Rounding = Rounding.MONTH


class PointsTimes(_Part, frozen=True, kw_only=True, tag_field="kind", tag="points_times"):
    """Multiplies the points of the rules before it in its group: 20,000 basis points doubles them."""

    basis_points: Annotated[int, Meta(gt=10_000, le=1_000_000)]


class Give(_Part, frozen=True, kw_only=True, tag_field="kind", tag="give"):
    """A thing: a gift of the catalogue, a voucher or a free wash, so many."""

    what: Annotated[str, Meta(pattern=r"^(gift|voucher|wash)$")]
    item: Code
    """The gift's, or the voucher kind's code."""
    count: Annotated[int, Meta(ge=1, le=100)] = 1


Effect = PerUnit | Percent | Fixed | UnitPrice | Tiered | Bundle | Bonus | Points | PointsTimes | Give


class Funder(_Part, frozen=True, kw_only=True):
    """Who bears it, in which proportion. `station` is the station of the sale."""

    funder: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._:-]{0,63}$")]
    parts: Annotated[int, Meta(ge=1, le=10_000)] = 1


class Cap(_Part, frozen=True, kw_only=True):
    """At most so much (minor units, points or pieces) or so many times, within a transaction or a window of someone's."""

    per: Per
    of: Of = Of.CARD
    amount: Positive | None = None
    count: Positive | None = None


class Rule(_Part, frozen=True, kw_only=True):
    """One rule. `revision` is the number of the rulebook in which it last changed; it is set when that is submitted."""

    code: Code
    name_zh: Named
    name_en: Named
    effect: Effect
    funders: Annotated[tuple[Funder, ...], Meta(min_length=1, max_length=6)]
    when: When = When()
    group: Code = ROOT
    priority: Annotated[int, Meta(ge=0, le=1_000_000)] = 100
    """Place in its group: lower comes first; equal ones by code."""
    exclusive: bool = False
    """Applies only where nothing before it in its group did, and then nothing after it does."""
    enabled: bool = True
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    caps: Annotated[tuple[Cap, ...], Meta(max_length=10)] = ()
    budget: Code | None = None
    campaign: Code | None = None
    say_zh: Annotated[str, Meta(max_length=200)] | None = None
    """What the cashier may add about it."""
    say_en: Annotated[str, Meta(max_length=200)] | None = None
    currency: Currency | None = None
    """Where its amounts are not of the rulebook's currency. A rule applies where its currency is the station's."""
    revision: NotNegative = 0


class Group(_Part, frozen=True, kw_only=True):
    """Rules and groups that are joined one way. Its caps bind the sum of the discounts within it."""

    code: Code
    name_zh: Named
    name_en: Named
    mode: Mode
    group: Code = ROOT
    priority: Annotated[int, Meta(ge=0, le=1_000_000)] = 100
    exclusive: bool = False
    caps: Annotated[tuple[Cap, ...], Meta(max_length=10)] = ()


class BudgetUnit(StrEnum):
    MINOR = "minor"
    POINTS = "points"
    PIECE = "piece"


class Budget(_Part, frozen=True, kw_only=True):
    """So much in all, never more. Raised or lowered by a later revision, never below what is used."""

    code: Code
    name_zh: Named
    name_en: Named
    total: Positive
    unit: BudgetUnit = BudgetUnit.MINOR
    currency: Currency | None = None


class Campaign(_Part, frozen=True, kw_only=True):
    """Rules that are judged together. `hold_out_basis_points` of the customers get none of it, so that its uplift can be told."""

    code: Code
    name_zh: Named
    name_en: Named
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    hold_out_basis_points: Annotated[int, Meta(ge=0, le=9_000)] = 0
    about_zh: Annotated[str, Meta(max_length=2000)] | None = None
    about_en: Annotated[str, Meta(max_length=2000)] | None = None


class Document(_Part, frozen=True, kw_only=True):
    """The whole rulebook."""

    currency: Currency = "CNY"
    rules: tuple[Rule, ...] = ()
    groups: tuple[Group, ...] = ()
    budgets: tuple[Budget, ...] = ()
    campaigns: tuple[Campaign, ...] = ()
    own_funders: tuple[Annotated[str, Meta(min_length=1, max_length=64)], ...] = ("head-office",)
    """The funders that are the issuer itself: what `cheapest` counts."""
