"""Rulebooks and baskets in few words, and one question asked of them: what tests of the engine stand on."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import msgspec

from loyalty.pricing.basket import Basket, Goods, Moment, Person, Where
from loyalty.pricing.bounding import Question
from loyalty.pricing.compiling import Book, Names, Plan
from loyalty.pricing.document import Channel, Document, Effect, Funder, Group, Mode, Rule, When
from loyalty.pricing.evaluating import Outcome, evaluate

HEAD_OFFICE = Funder(funder="head-office")
BEIJING = timezone(timedelta(hours=8))
THURSDAY = datetime(2026, 9, 24, 2, 15, tzinfo=UTC)
"""10:15 in Beijing."""
NAMES = Names(
    {"s1": UUID(int=101), "s2": UUID(int=102)}, {"d1": UUID(int=201), "d2": UUID(int=202)}, {"r1": UUID(int=301), "r2": UUID(int=302)}
)
HERE = Where(UUID(int=101), UUID(int=201), UUID(int=301), "CNY", 2)
ANNA = Person(UUID(int=11), UUID(int=12), UUID(int=13))
"""Account 11, card 12, customer 13."""
BEARER = Person(UUID(int=21), UUID(int=22), account_kind="anonymous")


def rule(effect: Effect, code: str = "r", **other) -> Rule:
    when = When(**{name: other.pop(name) for name in When.__struct_fields__ if name in other})
    funders = other.pop("funders", (HEAD_OFFICE,))
    return Rule(code=code, name_zh=f"规则{code}", name_en=f"Rule {code}", effect=effect, funders=funders, when=when, **other)


def group(code: str, mode: Mode, **other) -> Group:
    return Group(code=code, name_zh=f"组{code}", name_en=f"Group {code}", mode=mode, **other)


def book(*parts: Rule | Group, number: int = 7, **other) -> Book:
    rules = tuple(part for part in parts if isinstance(part, Rule))
    groups = tuple(part for part in parts if isinstance(part, Group))
    return Book(number, Document(rules=rules, groups=groups, **other), NAMES)


def fuel(litres: str = "22.00", price: str = "8.37", product: str = "92", amount_minor: int | None = None) -> Goods:
    quantity, unit_price = _scaled(litres, 3), _scaled(price, 4)
    kind = "diesel" if product.startswith(("0", "-")) else "gasoline"
    amount = (quantity * unit_price + 50_000) // 100_000
    return Goods(product, frozenset({"fuel", kind}), quantity, unit_price, amount if amount_minor is None else amount_minor)


def article(yuan: str, product: str = "cola", category: str = "drinks", count: int = 1) -> Goods:
    amount = _scaled(yuan, 2) * count
    return Goods(product, frozenset({"shop", category}), count * 1000, _scaled(yuan, 4), amount)


def _scaled(text: str, places: int) -> int:
    whole, _, rest = text.partition(".")
    return int(whole + rest.ljust(places, "0"))


def at(text: str = "2026-09-24 10:15") -> Moment:
    """Return a moment by the station's clock, Beijing."""
    local = datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=BEIJING)
    return Moment(local.astimezone(UTC), local)


def basket(*goods: Goods, channel: Channel = Channel.PUMP, **other) -> Basket:
    return Basket(goods or (fuel(),), channel, **other)


def plan_of(which: Book, goods: Basket | None = None, *, where: Where = HERE, card: str = "personal", moment: Moment | None = None) -> Plan:
    return which.plan(where, card, goods or basket(), (moment or at()).now)


def ask(
    which: Book,
    goods: Basket | None = None,
    *,
    person: Person = ANNA,
    moment: Moment | None = None,
    where: Where = HERE,
    card: str = "personal",
    **asked,
) -> Outcome:
    goods, moment = goods or basket(), moment or at()
    question = Question(which, where, goods, person, moment, **asked)
    return evaluate(question, plan_of(which, goods, where=where, card=card, moment=moment))


def given(outcome: Outcome) -> dict[str, int]:
    return {one.rule.code: one.given for one in outcome.applied}


def why(outcome: Outcome) -> dict[str, str]:
    return {missed.rule.code: missed.miss.why for missed in outcome.missed}


def saved(outcome: Outcome) -> int:
    """Return all discounts together, after the sums that always hold."""
    off = [one for one in outcome.applied if one.lines is not None]
    assert sum(one.given for one in off) == sum(outcome.discounts) == outcome.discount_minor
    assert [sum(lines) for lines in zip(*(one.lines for one in off), strict=True)] == (outcome.discounts if off else [])
    assert all(sum(one.lines) == one.given <= one.wanted for one in off)
    return outcome.discount_minor


def with_had(person: Person, *rows: tuple[UUID, datetime | None, int, int]) -> Person:
    """Return a person whose counters show so much: (counter, start, amount, times)."""
    return person._replace(had={(counter, start): (amount, times) for counter, start, amount, times in rows})


def changed(part, **fields):
    return msgspec.structs.replace(part, **fields)
