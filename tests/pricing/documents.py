"""Rulebooks to test with: a small one by hand, and any that the structs allow."""

from datetime import UTC, datetime
from string import ascii_lowercase, digits

from hypothesis import strategies as st

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
from loyalty.pricing.faults import BudgetFacts, GoodsFacts, Known, StationFacts

HEAD = (Funder(funder="head-office"),)
KNOWN = Known(
    stations={"S1": StationFacts("CNY", "D1", "R1"), "S2": StationFacts("CZK", "D2", "R2")},
    districts={"D1", "D2"},
    regions={"R1", "R2"},
    card_products={"personal", "gold"},
    products={
        "92": GoodsFacts(frozenset({"fuel", "gasoline"}), "L"),
        "0": GoodsFacts(frozenset({"fuel", "diesel"}), "L"),
        "lng": GoodsFacts(frozenset({"fuel", "lng"}), "kg"),
        "wash": GoodsFacts(frozenset({"shop", "car-wash"}), "piece"),
    },
    categories={"fuel", "shop", "gasoline", "diesel", "lng", "car-wash"},
    tiers={"gold"},
    gifts={"cup"},
    vouchers={"coffee"},
    budgets={"spent": BudgetFacts("minor", "CNY", 5000)},
)


def rule(code: str = "per-litre", effect=None, **more) -> Rule:
    """Return a sound rule: 0.30 off a litre of 92."""
    more.setdefault("when", When(products=("92",)))
    return Rule(code=code, name_zh="每升优惠", name_en="Off a litre", effect=effect or PerUnit(rate_e4=3000), **{"funders": HEAD} | more)


def group(code: str = "fuel", mode: Mode = Mode.STACK, **more) -> Group:
    return Group(code=code, name_zh="油品", name_en="Fuel", mode=mode, **more)


def budget(code: str = "autumn", total: int = 100_000, unit: BudgetUnit = BudgetUnit.MINOR, **more) -> Budget:
    return Budget(code=code, name_zh="秋季", name_en="Autumn", total=total, unit=unit, **more)


def campaign(code: str = "thanks", **more) -> Campaign:
    return Campaign(code=code, name_zh="感恩月", name_en="Thank-you month", **more)


# Everything that the structs allow, whether or not it makes sense.

_codes = st.text(ascii_lowercase + digits + "._-", min_size=1, max_size=12).filter(lambda code: code[0].isalnum())
_text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
_listed = st.lists(_text, max_size=3).map(tuple)
_whole = st.integers(1, 10**13)
_zero = st.integers(0, 10**13)
_points = st.integers(1, 10_000)
_times = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is beside it
_clock = st.one_of(st.just("24:00"), st.times().map(lambda time: f"{time.hour:02}:{time.minute:02}"))


def _some(strategy):
    return st.none() | strategy


_bands = st.builds(Band, starts=_zero, rate_e4=_some(_whole), basis_points=_some(_points), amount_minor=_some(_whole))
_needed = st.builds(Needed, products=_listed, categories=_listed, quantity_milli=_whole)
_effects = st.one_of(
    st.builds(PerUnit, rate_e4=_whole),
    st.builds(Percent, basis_points=_points, basis=st.sampled_from(Basis)),
    st.builds(Fixed, amount_minor=_whole),
    st.builds(UnitPrice, unit_price_e4=_whole),
    st.builds(Tiered, by=st.sampled_from(By), bands=st.lists(_bands, min_size=1, max_size=4).map(tuple), ladder=st.sampled_from(Ladder)),
    st.builds(
        Bundle,
        parts=st.lists(_needed, min_size=2, max_size=3).map(tuple),
        amount_minor=_some(_whole),
        basis_points=_some(_points),
        times=st.integers(1, 100),
    ),
    st.builds(
        Bonus,
        amount_minor=_some(_whole),
        basis_points=_some(_points),
        bands=st.lists(_bands, max_size=3).map(tuple),
        several=st.sampled_from(Several),
        expires_days=_some(_whole),
    ),
    st.builds(
        Points,
        points=_whole,
        per_quantity_milli=_some(_whole),
        per_minor=_some(_whole),
        whole=st.booleans(),
        pending_days=_zero,
        when_settled=st.booleans(),
        expires_months=_some(_whole),
        rounding=st.sampled_from(Rounding),
    ),
    st.builds(PointsTimes, basis_points=st.integers(10_001, 1_000_000)),
    st.builds(Give, what=st.sampled_from(("gift", "voucher", "wash")), item=_codes, count=st.integers(1, 100)),
)
_whens = st.builds(
    When,
    stations=_listed,
    districts=_listed,
    products=_listed,
    excluded_categories=_listed,
    channels=st.lists(st.sampled_from(Channel), max_size=3).map(tuple),
    weekdays=st.lists(st.integers(1, 7), max_size=3).map(tuple),
    month_days=st.lists(st.integers(1, 31), max_size=3).map(tuple),
    hours=st.lists(st.builds(Hours, starts=_clock, ends=_clock), max_size=2).map(tuple),
    customers=st.lists(st.uuids(), max_size=2).map(tuple),
    tiers=_listed,
    birthday=_some(st.builds(Birthday, days_before=st.integers(0, 60), days_after=st.integers(0, 60), month=st.booleans())),
    tenders=_listed,
    nth=_some(st.builds(Nth, count=st.integers(1, 1000), every=st.booleans(), per=st.sampled_from(Per), of=st.sampled_from(Of))),
    least_quantity_milli=_some(_whole),
    most_minor=_some(_whole),
    basis=st.sampled_from(Basis),
)
_caps = st.lists(
    st.builds(Cap, per=st.sampled_from(Per), of=st.sampled_from(Of), amount=_some(_whole), count=_some(_whole)), max_size=3
).map(tuple)
_funders = st.lists(st.builds(Funder, funder=_codes, parts=_points), min_size=1, max_size=3).map(tuple)
_rules = st.builds(
    Rule,
    code=_codes,
    name_zh=_text,
    name_en=_text,
    effect=_effects,
    funders=_funders,
    when=_whens,
    group=_codes,
    priority=st.integers(0, 1_000_000),
    exclusive=st.booleans(),
    enabled=st.booleans(),
    starts_at=_some(_times),
    ends_at=_some(_times),
    caps=_caps,
    budget=_some(_codes),
    campaign=_some(_codes),
    say_zh=_some(st.text(st.characters(codec="utf-8"), max_size=30)),
    currency=_some(st.just("CZK")),
    revision=st.integers(0, 1000),
)
_groups = st.builds(
    Group,
    code=_codes,
    name_zh=_text,
    name_en=_text,
    mode=st.sampled_from(Mode),
    group=_codes,
    priority=st.integers(0, 1_000_000),
    exclusive=st.booleans(),
    caps=_caps,
)
_budgets = st.builds(
    Budget, code=_codes, name_zh=_text, name_en=_text, total=_whole, unit=st.sampled_from(BudgetUnit), currency=_some(st.just("CZK"))
)
_campaigns = st.builds(
    Campaign,
    code=_codes,
    name_zh=_text,
    name_en=_text,
    starts_at=_some(_times),
    ends_at=_some(_times),
    hold_out_basis_points=st.integers(0, 9000),
    about_zh=_some(_text),
)


def _unlike(strategy, most: int = 4):
    return st.lists(strategy, max_size=most, unique_by=lambda part: part.code).map(tuple)


any_documents = st.builds(
    Document,
    currency=st.sampled_from(("CNY", "CZK", "JPY")),
    rules=_unlike(_rules),
    groups=_unlike(_groups),
    budgets=_unlike(_budgets),
    campaigns=_unlike(_campaigns),
    own_funders=_listed,
)
