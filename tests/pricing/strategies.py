"""Rulebooks, baskets and customers as marketing and stations may make them, for the properties."""

from hypothesis import strategies as st

from loyalty.pricing.basket import Basket, Goods
from loyalty.pricing.compiling import Book, budget_id
from loyalty.pricing.document import (
    Band,
    Basis,
    Bonus,
    Bundle,
    By,
    Cap,
    Channel,
    Fixed,
    Funder,
    Give,
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
    Tiered,
    UnitPrice,
)

from .books import article, book, fuel, group, rule

GROUPS = ("all", "one", "two", "deep")
rates = st.integers(1, 30_000)
shares = st.integers(1, 10_000)
amounts = st.integers(1, 30_000)


@st.composite
def ladders(draw) -> Tiered:
    by = draw(st.sampled_from(By))
    starts = sorted(draw(st.sets(st.integers(0, 60_000), min_size=1, max_size=3)))
    ladder = draw(st.sampled_from(Ladder))
    worths = ["rate_e4", "basis_points", "amount_minor"]
    if ladder is Ladder.MARGINAL:
        worths = ["basis_points"] if by is By.AMOUNT else ["rate_e4", "basis_points"]
    bands = [Band(starts=start, **{draw(st.sampled_from(worths)): draw(shares)}) for start in starts]
    return Tiered(by=by, bands=tuple(bands), ladder=ladder)


bundles = st.builds(
    Bundle,
    parts=st.just((Needed(categories=("fuel",), quantity_milli=20_000), Needed(categories=("drinks",), quantity_milli=1000))),
    amount_minor=amounts,
    times=st.integers(1, 3),
)
discounts = st.one_of(
    st.builds(PerUnit, rate_e4=rates),
    st.builds(UnitPrice, unit_price_e4=st.integers(60_000, 90_000)),
    st.builds(Percent, basis_points=shares, basis=st.sampled_from([Basis.INITIAL, Basis.BEFORE])),
    st.builds(Fixed, amount_minor=amounts),
    ladders(),
    bundles,
)
grants = st.one_of(
    st.builds(Points, points=st.integers(1, 9), per_quantity_milli=st.sampled_from([None, 1000])),
    st.builds(Points, points=st.integers(1, 9), per_minor=st.just(100), whole=st.booleans()),
    st.builds(PointsTimes, basis_points=st.integers(10_001, 40_000)),
    st.builds(Bonus, basis_points=shares),
    st.builds(Give, what=st.just("wash"), item=st.just("wash")),
)
a_cap = st.builds(Cap, per=st.sampled_from(Per), of=st.sampled_from(Of), amount=amounts, count=st.one_of(st.none(), st.integers(1, 3)))
caps = st.lists(a_cap, max_size=2).map(tuple)
splits = st.lists(st.integers(1, 100), min_size=1, max_size=3).map(
    lambda parts: tuple(Funder(funder=name, parts=part) for name, part in zip(("head-office", "station", "brand"), parts, strict=False))
)
goods_scope = st.sampled_from([{}, {}, {"categories": ("fuel",)}, {"categories": ("shop",)}, {"excluded_products": ("cola",)}])
thresholds = st.one_of(
    st.just({}),
    st.builds(lambda least: {"least_quantity_milli": least}, st.integers(1, 40_000)),
    st.builds(lambda least, basis: {"least_minor": least, "basis": basis}, st.integers(1, 30_000), st.sampled_from(Basis)),
)


@st.composite
def rules(draw, code: str, effects=None, *, bounded: bool = True):
    other = draw(goods_scope) | draw(thresholds)
    if bounded:
        other |= {"caps": draw(caps), "budget": draw(st.sampled_from([None, None, "b1", "b2"]))}
        if draw(st.integers(0, 4)) == 0:
            other["nth"] = Nth(count=draw(st.integers(1, 2)), every=True, of=draw(st.sampled_from(Of)))
    return rule(
        draw(effects or st.one_of(discounts, discounts, grants)),
        code,
        group=draw(st.sampled_from(GROUPS)),
        priority=draw(st.integers(0, 3)),
        exclusive=draw(st.integers(0, 5)) == 0,
        funders=draw(splits),
        **other,
    )


@st.composite
def books(draw, *, bounded: bool = True) -> Book:
    """A book of up to seven rules in three groups, one of them within another."""
    codes = [f"r{number}" for number in range(draw(st.integers(1, 7)))]
    modes = st.sampled_from(Mode)
    capped = caps if bounded else st.just(())
    groups = [
        group("one", draw(modes), caps=draw(capped), priority=1),
        group("two", draw(modes), caps=draw(capped), priority=draw(st.integers(0, 3))),
        group("deep", draw(modes), group="two", caps=draw(capped), exclusive=draw(st.booleans())),
    ]
    return book(*groups, *(draw(rules(code, bounded=bounded)) for code in codes))


@st.composite
def fills(draw) -> Goods:
    """One line of fuel; the pump may round otherwise than we do."""
    line = fuel(f"{draw(st.integers(1, 70))}.{draw(st.integers(0, 999)):03}", f"{draw(st.integers(5, 9))}.{draw(st.integers(0, 9999)):04}")
    return line._replace(amount_minor=max(line.amount_minor + draw(st.integers(-5, 5)), 0))


articles = st.builds(
    article,
    st.integers(1, 30_000).map(lambda minor: f"{minor // 100}.{minor % 100:02}"),
    st.sampled_from(["cola", "water", "wipers"]),
    st.sampled_from(["drinks", "parts"]),
    st.integers(1, 4),
)
carts = st.builds(
    lambda fuels, shop: Basket((*fuels, *shop), Channel.PAY_AFTER),
    st.lists(fills(), min_size=1, max_size=2),
    st.lists(articles, max_size=3),
)
pumped = st.builds(lambda line: Basket((line,), Channel.PUMP), fills())
free_budgets = st.fixed_dictionaries({budget_id("b1"): st.integers(0, 40_000), budget_id("b2"): st.integers(0, 40_000)})
