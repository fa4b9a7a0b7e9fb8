"""`loyalty bench rules`: the rules engine alone, in one process: 200 live rules of mixed kinds over 50 stations, a typical fill.

What is measured is what a worker does for each authorisation and completion: find the candidates, evaluate, freeze, settle. The best of
several rounds; no database, no network.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec

from loyalty.pricing.basket import Basket, Goods, Moment, Person, Where
from loyalty.pricing.bounding import Question
from loyalty.pricing.compiling import Book, Names
from loyalty.pricing.document import (
    Band,
    Budget,
    By,
    Cap,
    Channel,
    Document,
    Fixed,
    Funder,
    Group,
    Hours,
    Mode,
    Of,
    Per,
    Percent,
    PerUnit,
    Points,
    Rule,
    Tiered,
    When,
)
from loyalty.pricing.evaluating import evaluate
from loyalty.pricing.freezing import freeze, settle

STATIONS: Final = 50
RULES: Final = 200
NOW: Final = datetime(2026, 9, 24, 2, 15, tzinfo=UTC)
_HEAD_OFFICE: Final = (Funder(funder="head-office", parts=4), Funder(funder="station"))
_ROUNDS: Final = 25
_HERE: Final = 7


def rulebook(*, count: int = RULES, station: str = "s007", card_product: str = "personal") -> tuple[Document, Names]:
    """Return 200 rules: three at every station, some everywhere, the rest in some shops only; five meet on a typical fill.

    `station` is the code of the one where that happens, `card_product` the card's.
    """
    rules = _everywhere()
    for number in range(STATIONS):
        rules += _of_station(station if number == _HERE else f"s{number:03}", number, card_product)
    for number in range(count - len(rules)):
        code = f"thursday-{number:03}"
        when = When(stations=(f"s{number % STATIONS:03}",), weekdays=(4,), categories=("shop",))
        rules.append(_rule(code, Percent(basis_points=500), when=when, group="shop"))
    groups = (
        Group(code="price", name_zh="油价优惠", name_en="Fuel price", mode=Mode.BEST, priority=10),
        Group(code="shop", name_zh="便利店", name_en="Shop", mode=Mode.STACK, priority=20),
    )
    budgets = (Budget(code="autumn", name_zh="金秋", name_en="Autumn", total=10**9),)
    stations = {f"s{number:03}": UUID(int=1000 + number) for number in range(STATIONS)}
    return Document(rules=tuple(rules), groups=groups, budgets=budgets), Names(stations, {"d": UUID(int=1)}, {"r": UUID(int=2)})


def _everywhere() -> list[Rule]:
    gold = _rule("gold", PerUnit(rate_e4=2000), when=When(tiers=("gold",), categories=("gasoline",)), group="price")
    points = _rule("points", Points(points=1, per_quantity_milli=1000), when=When(categories=("fuel",)), priority=900)
    night = _rule("night", PerUnit(rate_e4=1000), when=When(hours=(Hours(starts="22:00", ends="05:00"),), categories=("diesel",)))
    return [gold, points, night]


def _of_station(station: str, number: int, card_product: str) -> list[Rule]:
    here = (station,)
    bands = (Band(starts=20_000, rate_e4=1000), Band(starts=50_000, rate_e4=1500))
    by_size = Tiered(by=By.QUANTITY, bands=bands)
    opening = Fixed(amount_minor=500)
    once_a_day = (Cap(per=Per.DAY, of=Of.CARD, count=1),)
    return [
        _rule(f"size-{number:03}", by_size, when=When(stations=here, categories=("gasoline",)), group="price"),
        _rule(
            f"autumn-{number:03}",
            opening,
            when=When(stations=here, categories=("fuel",), least_minor=10_000),
            caps=once_a_day,
            budget="autumn",
            priority=200,
        ),
        _rule(f"thanks-{number:03}", Percent(basis_points=100), when=When(stations=here, card_products=(card_product,)), priority=300),
    ]


def _rule(code: str, effect: Any, **other: Any) -> Rule:
    return Rule(code=code, name_zh=code, name_en=code, effect=effect, funders=_HEAD_OFFICE, **other)


def measure() -> dict[str, Any]:
    """Return microseconds of each step, and how many candidates the fill meets."""
    document, names = rulebook()
    book = Book(1, document, names)
    where = Where(names.stations["s007"], UUID(int=1), UUID(int=2), "CNY", 2)
    fill = Goods("92", frozenset({"fuel", "gasoline"}), 22_000, 83_700, 18_414)
    basket = Basket((fill,), Channel.PUMP)
    person = Person(UUID(int=11), UUID(int=12), UUID(int=13), tier="gold")
    moment = Moment(NOW, NOW + timedelta(hours=8))
    free = dict.fromkeys(book.budgets, 10**6)

    def ask() -> Question:
        return Question(book, where, basket, person, moment, budgets=free)

    plan = book.plan(where, "personal", basket, NOW)
    outcome = evaluate(ask(), plan)
    frozen = freeze(book, plan, outcome, "personal", 0)
    assert frozen is not None, "rules apply to the fill"
    kept = msgspec.json.encode(frozen)
    return {
        "rules": len(document.rules),
        "stations": STATIONS,
        "candidates": len(plan.rules),
        "applied": len(outcome.applied),
        "compile_ms": round(_us(lambda: Book(1, document, names), 5) / 1000, 2),
        "plan_cold_us": round(_us(lambda: _forget(book).plan(where, "personal", basket, NOW), 40), 2),
        "plan_us": round(_us(lambda: book.plan(where, "personal", basket, NOW), 2_000), 2),
        "evaluate_us": round(_us(lambda: evaluate(ask(), plan), 500), 2),
        "freeze_us": round(_us(lambda: freeze(book, plan, outcome, "personal", 0), 500), 2),
        "settle_us": round(_us(lambda: settle(book, frozen, where, basket, moment, final=True, earlier=False), 500), 2),
        "frozen_bytes": len(kept),
    }


def table(report: dict[str, Any]) -> str:
    """Return the figures as lines for a person."""
    head = f"{report['rules']} rules over {report['stations']} stations; a fill meets {report['candidates']}, {report['applied']} apply"
    steps = {
        "compile_ms": "compile the rulebook, ms",
        "plan_cold_us": "find the candidates, cold, µs of CPU",
        "plan_us": "find the candidates, kept, µs",
        "evaluate_us": "evaluate, µs",
        "freeze_us": "freeze, µs",
        "settle_us": "settle, µs",
        "frozen_bytes": "bytes kept with the authorisation",
    }
    return "\n".join([head, *(f"  {label:<40}{report[name]:>10}" for name, label in steps.items())])


def _forget(book: Book) -> Book:
    book.forget_plans()
    return book


def _us(step: Callable[[], object], times: int) -> float:
    """Return the microseconds of CPU of one step: the best of several rounds, whatever else the machine does."""
    rounds: list[float] = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        for _ in range(times):
            step()
        rounds.append((time.process_time() - started) / times * 1e6)
    return min(rounds)
