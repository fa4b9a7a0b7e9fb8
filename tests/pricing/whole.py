"""One rulebook in which everything stands that a rulebook can say: each field of each part, each choice of each kind.

Codes are those of the chain that the office's tests make. `fields_of` walks what was built, so that a field added to the document and
forgotten here is missed.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import NODEFAULT, Struct

from loyalty.ledger.spending import Spending
from loyalty.pricing import document as of_rulebooks
from loyalty.pricing.document import (
    Band,
    Basis,
    Birthday,
    Bonus,
    Budget,
    BudgetUnit,
    Bundle,
    By,
    Campaign,
    Cap,
    Channel,
    Document,
    Effect,
    Fixed,
    Funder,
    Give,
    Group,
    Hours,
    Ladder,
    Mode,
    Needed,
    Nth,
    Of,
    Per,
    Percent,
    PerUnit,
    Points,
    PointsTimes,
    Rounding,
    Rule,
    Several,
    Tiered,
    UnitPrice,
    When,
)

OCTOBER, NOVEMBER = datetime(2026, 9, 30, 16, tzinfo=UTC), datetime(2026, 10, 31, 16, tzinfo=UTC)
SHARED = (Funder(funder="head-office", parts=80), Funder(funder="station", parts=20))
SET_BY_US: Final = {"Rule.revision"}
"""Numbers that nobody writes: the rulebook in which a rule last changed."""

EVERY_CONDITION: Final = When(
    stations=("S1", "S2"),
    districts=("D1", "D2"),
    regions=("R1",),
    card_products=("personal",),
    products=("92",),
    categories=("diesel",),
    excluded_products=("95",),
    excluded_categories=("lng",),
    channels=(Channel.PAY_AFTER, Channel.PRESET, Channel.PUMP, Channel.SHOP),
    weekdays=(1, 7),
    month_days=(1, 15),
    hours=(Hours(starts="08:00", ends="10:30"), Hours(starts="22:00", ends="24:00")),
    customers=(UUID(int=7), UUID(int=8)),
    account_kinds=("personal", "company"),
    tiers=("gold",),
    segments=("night-drivers", "taxis"),
    flyers=("AUTUMN",),
    birthday=Birthday(days_before=3, days_after=4),
    joined_within_days=30,
    converted_within_days=14,
    tenders=("card", "cash"),
    nth=Nth(count=5, every=True, per=Per.MONTH, of=Of.CUSTOMER),
    least_quantity_milli=30_000,
    most_quantity_milli=60_500,
    least_minor=20_000,
    most_minor=100_050,
    basis=Basis.AFTER,
)
CAPS: Final = (
    Cap(per=Per.TRANSACTION, of=Of.CARD, amount=1_000),
    Cap(per=Per.DAY, of=Of.CARD, count=1),
    Cap(per=Per.WEEK, of=Of.ACCOUNT, amount=2_000, count=3),
    Cap(per=Per.MONTH, of=Of.CUSTOMER, amount=5_050),
    Cap(per=Per.EVER, of=Of.CUSTOMER, count=10),
)
FILL_AND_WASH: Final = (Needed(categories=("fuel",), quantity_milli=30_000), Needed(products=("wash",), quantity_milli=1_000))
BONUS_BANDS: Final = (Band(starts=50_000, amount_minor=2_000), Band(starts=100_000, basis_points=500))
SPEND: Final = Spending(products=("92",), categories=("shop",), stations=("S1",), districts=("D1",), regions=("R1",), least_minor=10_000)


def _rule(code: str, effect: Effect, **more: Any) -> Rule:
    more.setdefault("when", When(products=("92",)))
    return Rule(code=code, name_zh=f"规则 {code}", name_en=f"Rule {code}", effect=effect, **{"funders": SHARED} | more)


RULES: Final = (
    _rule(
        "per-unit",
        PerUnit(rate_e4=3_050),
        when=EVERY_CONDITION,
        group="best-of",
        priority=10,
        exclusive=True,
        enabled=False,
        starts_at=OCTOBER,
        ends_at=NOVEMBER,
        caps=CAPS,
        budget="money",
        campaign="thanks",
        say_zh="本月九二号优惠",
        say_en="Off 92 this month",
    ),
    _rule(
        "in-yuan", Fixed(amount_minor=5_000), currency="CNY", budget="yuan", when=When(birthday=Birthday(month=True), basis=Basis.BEFORE)
    ),
    _rule("percent", Percent(basis_points=250, basis=Basis.INITIAL), budget="money"),
    _rule("running", Percent(basis_points=2_000)),
    _rule("fixed", Fixed(amount_minor=1_050), when=When(nth=Nth(count=1, per=Per.DAY, of=Of.CARD), tenders=("wechat",))),
    _rule("price", UnitPrice(unit_price_e4=75_000)),
    _rule(
        "by-litres",
        Tiered(by=By.QUANTITY, ladder=Ladder.MARGINAL, bands=(Band(starts=0, rate_e4=1_000), Band(starts=20_500, basis_points=300))),
    ),
    _rule("by-money", Tiered(by=By.AMOUNT, bands=(Band(starts=10_000, amount_minor=500), Band(starts=20_000, basis_points=700)))),
    _rule("bundle", Bundle(parts=FILL_AND_WASH, amount_minor=500, times=2), when=When()),
    _rule("bundle-percent", Bundle(parts=FILL_AND_WASH, basis_points=5_000), when=When()),
    _rule(
        "bonus-bands",
        Bonus(bands=BONUS_BANDS, several=Several.EVERY, expires_days=90),
        when=When(channels=(Channel.TOPUP,)),
    ),
    _rule(
        "bonus-again",
        Bonus(bands=(Band(starts=100_000, amount_minor=5_000),), several=Several.REPEAT, spend=SPEND),
        when=When(channels=(Channel.TOPUP,)),
    ),
    _rule("bonus-percent", Bonus(basis_points=1_000), when=When(channels=(Channel.TOPUP,))),
    _rule("bonus-fixed", Bonus(amount_minor=1_000), when=When(channels=(Channel.TOPUP,))),
    _rule("points-litres", Points(points=2, per_quantity_milli=1_000, whole=False, pending_days=3, expires_months=24), priority=1),
    _rule("points-money", Points(points=1, per_minor=100, rounding=Rounding.QUARTER, when_settled=True), budget="points"),
    _rule("points-day", Points(points=5, rounding=Rounding.DAY, expires_months=1)),
    _rule("points-year", Points(points=5, rounding=Rounding.YEAR, expires_months=12), caps=(Cap(per=Per.DAY, amount=20),)),
    _rule("double", PointsTimes(basis_points=20_000), priority=500),
    _rule("gift", Give(what="gift", item="cup"), budget="pieces"),
    _rule("voucher", Give(what="voucher", item="fifty", count=2)),
    _rule("wash", Give(what="wash", item="fifty")),
)
GROUPS: Final = (
    Group(code="best-of", name_zh="最优", name_en="Best", mode=Mode.BEST, priority=20, caps=(CAPS[3],)),
    Group(code="cheapest-of", name_zh="最省", name_en="Cheapest", mode=Mode.CHEAPEST, group="best-of", exclusive=True),
    Group(code="first-of", name_zh="首个", name_en="First", mode=Mode.FIRST, group="cheapest-of"),
    Group(code="stacked", name_zh="叠加", name_en="Stacked", mode=Mode.STACK),
)
WHOLE: Final = Document(
    currency="CZK",
    rules=RULES,
    groups=GROUPS,
    budgets=(
        Budget(code="money", name_zh="金额", name_en="Money", total=1_000_050),
        Budget(code="yuan", name_zh="人民币", name_en="Yuan", total=10_000, currency="CNY"),
        Budget(code="points", name_zh="积分", name_en="Points", total=50_000, unit=BudgetUnit.POINTS),
        Budget(code="pieces", name_zh="件数", name_en="Pieces", total=50, unit=BudgetUnit.PIECE),
    ),
    campaigns=(
        Campaign(
            code="thanks",
            name_zh="感恩月",
            name_en="Thank-you month",
            starts_at=OCTOBER,
            ends_at=NOVEMBER,
            hold_out_basis_points=550,
            about_zh="十月感恩",
            about_en="Thanks in October",
        ),
    ),
    own_funders=("head-office", "marketing"),
)


def structs() -> list[type[Struct]]:
    """Return every struct of a rulebook."""
    own = [one for one in vars(of_rulebooks).values() if isinstance(one, type) and issubclass(one, Struct) and one.__struct_fields__]
    assert Spending in own
    return own


def choices() -> dict[str, type[Enum]]:
    """Return every fixed choice of a rulebook by its name."""
    kinds = vars(of_rulebooks).items()
    return {name: one for name, one in kinds if isinstance(one, type) and issubclass(one, Enum) and list(one)}


def every_field() -> set[str]:
    """Return `Struct.field` of everything that somebody may write."""
    return {f"{one.__name__}.{name}" for one in structs() for name in one.__struct_fields__} - SET_BY_US


def parts_of(value: Any) -> Iterator[Struct | Enum]:
    """Yield a value's structs and choices, however deep."""
    if isinstance(value, Enum):
        yield value
    elif isinstance(value, Struct):
        yield value
        for name in value.__struct_fields__:
            yield from parts_of(getattr(value, name))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from parts_of(one)


def fields_of(value: Any) -> set[str]:
    """Return `Struct.field` of everything that is said in a value: what is needed, and what differs from its default."""
    said = set()
    for part in parts_of(value):
        if isinstance(part, Struct):
            for field in msgspec.structs.fields(part):
                default = field.default if field.default is not NODEFAULT else NODEFAULT
                if default is NODEFAULT or getattr(part, field.name) != default:
                    said.add(f"{type(part).__name__}.{field.name}")
    return said
