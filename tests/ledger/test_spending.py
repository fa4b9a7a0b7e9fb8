"""What bonus money may be spent on, and a mixed bill divided over purses that may not pay everything."""

from datetime import UTC, datetime
from itertools import combinations
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.ledger.model import PurseKind
from loyalty.ledger.rules import DEFAULT_ORDER, PurseView, allocate, in_spend_order
from loyalty.ledger.spending import ANY_SIZE, Bill, Due, Site, Spending, allocate_bill, asking_more, usable

SITE = Site("HZ01", "HZ", "E")
FUEL = Due("92", frozenset({"fuel", "gasoline"}), 10_000)
WASH = Due("wash", frozenset({"shop", "wash"}), 3_000)
FOOD = Due("bread", frozenset({"shop", "food"}), 2_000)
ENDS = datetime(2026, 12, 31, tzinfo=UTC)


def lot(number: int, balance: int, only: Spending | None = None, *, held: int = 0) -> PurseView:
    terms = None if only is None else msgspec.json.encode(only).decode()
    return PurseView(UUID(int=number), int(PurseKind.BONUS), "CNY", balance, held, 0, ENDS, None, terms)


def own(balance: int) -> PurseView:
    return PurseView(UUID(int=99), int(PurseKind.PRINCIPAL), "CNY", balance, 0)


def bill(*lines: Due, site: Site = SITE, gross: int | None = None) -> Bill:
    return Bill(lines, sum(line.amount_minor for line in lines) if gross is None else gross, site)


def paid(takes) -> dict[int, int]:
    return {take.purse_id.int: take.amount_minor for take in takes}


@pytest.mark.parametrize(
    ("only", "may"),
    [
        (Spending(), True),
        (Spending(products=("92",)), True),
        (Spending(products=("95",)), False),
        (Spending(categories=("fuel",)), True),
        (Spending(categories=("gasoline",)), True),
        (Spending(categories=("shop",)), False),
        (Spending(products=("95",), categories=("gasoline",)), True),
        (Spending(stations=("HZ01", "HZ02")), True),
        (Spending(stations=("HZ02",)), False),
        (Spending(districts=("HZ",)), True),
        (Spending(districts=("NB",)), False),
        (Spending(regions=("E",)), True),
        (Spending(regions=("W",)), False),
        (Spending(least_minor=10_000), True),
        (Spending(least_minor=10_001), False),
        (Spending(categories=("fuel",), stations=("HZ02",)), False),
    ],
)
def test_a_lot_pays_where_all_its_conditions_hold(only, may):
    purses = [own(5), lot(1, 100, only)]
    assert [purse.purse_id.int for purse in usable(purses, bill(FUEL))] == ([99, 1] if may else [99])


def test_purses_without_conditions_are_looked_at_no_further():
    purses = [own(5), lot(1, 100)]
    assert usable(purses, bill(FUEL)) is purses


def test_the_size_is_judged_when_it_is_known():
    purses = [own(5), lot(1, 100, Spending(least_minor=20_000)), lot(2, 100, Spending(least_minor=5_000))]
    assert usable(purses, bill(FUEL, gross=ANY_SIZE)) == purses
    assert asking_more(purses, 10_000) == {UUID(int=1)}
    assert asking_more([own(5)], 0) == frozenset()


def test_fuel_money_pays_the_fuel_of_a_mixed_bill_and_principal_the_rest():
    takes = allocate_bill([own(20_000), lot(1, 12_000, Spending(categories=("fuel",)))], 13_000, bill(FUEL, WASH))
    assert paid(takes) == {1: 10_000, 99: 3_000}


def test_a_later_lot_takes_over_what_an_earlier_one_paid():
    # The first lot may pay all and takes the fuel first; the second may pay only fuel.
    purses = [lot(1, 5_000), lot(2, 10_000, Spending(categories=("fuel",)))]
    assert paid(allocate_bill(purses, 15_000, bill(FUEL, WASH, FOOD))) == {1: 5_000, 2: 10_000}


def test_what_may_not_be_paid_stays_unpaid():
    purses = [lot(1, 50_000, Spending(categories=("fuel",))), own(1_000)]
    assert sum(paid(allocate_bill(purses, 13_000, bill(FUEL, WASH))).values()) == 11_000


def test_another_tenders_share_leaves_less_for_the_card():
    purses = [lot(1, 50_000, Spending(categories=("shop",))), own(50_000)]
    assert paid(allocate_bill(purses, 4_000, bill(FUEL, WASH))) == {1: 3_000, 99: 1_000}


ONLY = st.sampled_from([None, ("fuel",), ("shop",), ("wash",), ("food",), ("gasoline", "wash")])
PURSES = st.lists(st.tuples(st.integers(0, 12_000), ONLY), min_size=1, max_size=5)
AMOUNTS = st.tuples(*[st.integers(0, 10_000)] * 3)


@settings(max_examples=150)
@given(PURSES, AMOUNTS, st.integers(0, 30_000))
def test_a_bill_is_paid_as_far_as_any_division_pays_it(held, amounts, share):
    lines = [line._replace(amount_minor=amount) for line, amount in zip((FUEL, WASH, FOOD), amounts, strict=True)]
    purses = [
        lot(number, balance, None if only is None else Spending(categories=only)) for number, (balance, only) in enumerate(held, start=1)
    ]
    share = min(share, sum(amounts))
    takes = paid(allocate_bill(purses, share, bill(*lines)))
    assert all(0 < amount <= purses[number - 1].balance_minor for number, amount in takes.items())
    # In spend order each purse adds all that it can to those before it: every beginning of the order pays its most.
    given_so_far = 0
    ordered = in_spend_order(purses, DEFAULT_ORDER)
    for count, purse in enumerate(ordered, start=1):
        given_so_far += takes.get(purse.purse_id.int, 0)
        assert given_so_far == min(share, most(ordered[:count], lines))


def most(purses: list[PurseView], lines: list[Due]) -> int:
    """Return what these purses can pay at most: the least cut between purses and lines (Ford and Fulkerson)."""
    cuts = []
    for size in range(len(purses) + 1):
        for inside in combinations(range(len(purses)), size):
            outside = sum(purse.balance_minor for place, purse in enumerate(purses) if place not in inside)
            reached = {place for purse in inside for place, line in enumerate(lines) if usable([purses[purse]], bill(line, gross=ANY_SIZE))}
            cuts.append(outside + sum(lines[place].amount_minor for place in reached))
    return min(cuts)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 9_000), min_size=1, max_size=4), AMOUNTS, st.integers(0, 30_000))
def test_without_conditions_it_is_the_plain_allocation(balances, amounts, share):
    lines = [line._replace(amount_minor=amount) for line, amount in zip((FUEL, WASH, FOOD), amounts, strict=True)]
    purses = [lot(number, balance) for number, balance in enumerate(balances, start=1)]
    share = min(share, sum(amounts))
    assert allocate_bill(purses, share, bill(*lines)) == allocate(purses, share)
