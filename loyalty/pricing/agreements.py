"""A company's agreement at the pump: its price, discount or surcharge per unit, and which of agreement and rules the customer pays.

Pure. What the customer pays more than the pump's price is a surcharge: the sale's gross amount is then what is paid, the station gets the
pump's amount, and the rest is the issuer's.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from loyalty.money import line_amount

from .basket import Goods, Where
from .bounding import Question
from .compiling import CompiledRule, Plan
from .conditions import Miss
from .document import Funder, PerUnit, Rule, UnitPrice
from .evaluating import evaluate
from .running import Applied, Missed, Outcome


class Kind(StrEnum):
    """How a line is told."""

    PRICE = "price"
    """The customer pays this, below or above the pump's price."""
    DISCOUNT = "discount"
    SURCHARGE = "surcharge"


class Line(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One price of an agreement: for a product, a station, both, or everything. The most closely named one counts, the station first."""

    kind: Kind
    value_e4: Annotated[int, Meta(gt=0, le=10**9)]
    """1/10,000 of a currency unit per product unit."""
    product: str | None = None
    station: UUID | None = None


class Term(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An approved agreement, as the pump reads it."""

    code: str
    revision: int
    name_zh: str
    name_en: str
    currency: str
    lowest_wins: bool
    funder: str
    starts_at: datetime
    ends_at: datetime | None = None
    lines: tuple[Line, ...] = ()


class Agreed(Struct, frozen=True, array_like=True):
    """What an agreement says of one grade at one station: what an authorisation freezes of it."""

    code: str
    revision: int
    name_zh: str
    name_en: str
    lowest_wins: bool
    funder: str
    kind: Kind
    value_e4: int


decode_terms: Final = msgspec.json.Decoder(tuple[Term, ...]).decode


def agreed_for(terms: Sequence[Term], *, product: str, where: Where, now: datetime) -> Agreed | None:
    """Return what applies to a product at a station: the closest line of the agreement that began last."""
    found: Agreed | None = None
    rank: tuple[datetime, bool, bool] | None = None
    for term in terms:
        if term.currency != where.currency or term.starts_at > now or (term.ends_at is not None and term.ends_at <= now):
            continue
        for line in term.lines:
            if line.product not in {None, product} or line.station not in {None, where.station_id}:
                continue
            closeness = (term.starts_at, line.station is not None, line.product is not None)
            if rank is None or closeness > rank:
                rank = closeness
                found = Agreed(
                    term.code, term.revision, term.name_zh, term.name_en, term.lowest_wins, term.funder, line.kind, line.value_e4
                )
    return found


def price_of(agreed: Agreed, unit_price_e4: int) -> int:
    """Return what the customer pays per unit."""
    if agreed.kind is Kind.PRICE:
        return agreed.value_e4
    if agreed.kind is Kind.DISCOUNT:
        return max(unit_price_e4 - agreed.value_e4, 0)
    return unit_price_e4 + agreed.value_e4


def evaluate_agreed(question: Question, plan: Plan, agreed: Mapping[int, Agreed]) -> Outcome:
    """Evaluate a basket of which some goods (by place) are under an agreement.

    The agreement stands alone for its goods: rules that would take them too are not asked for a discount, and grants look at what is paid.
    Where the lowest wins, the rules alone are asked as well, and the customer pays the less; equal amounts are the agreement's.
    """
    if not agreed:
        return evaluate(question, plan)
    under = _under(question, plan, agreed)
    if not all(one.lowest_wins for one in agreed.values()):
        return under
    alone = evaluate(question, plan)
    if alone.surcharge_minor - alone.discount_minor < under.surcharge_minor - under.discount_minor:
        # Against a surcharge the pump's price alone can be the lower, without any rule.
        better = next((one.rule.code for one in alone.applied if one.lines is not None), None)
        miss = Miss("price_not_lower") if better is None else Miss("better_offer", better)
        alone.missed += [Missed(_rule(one, "discount"), miss) for one in agreed.values()]
        return alone
    return under


def _under(question: Question, plan: Plan, agreed: Mapping[int, Agreed]) -> Outcome:
    goods = question.basket.goods
    digits = question.where.digits
    paid = [_paid(line, agreed[place], digits) if place in agreed else line for place, line in enumerate(goods)]
    shut = frozenset(
        planned.rule.code for planned in plan.rules if not planned.rule.is_grant and any(place in agreed for place in planned.goods)
    )
    asked = Question(
        question.book,
        question.where,
        question.basket._replace(goods=tuple(paid)),
        question.person,
        question.moment,
        budgets=question.budgets,
        frozen=question.frozen,
        without=question.without | shut,
    )
    outcome = evaluate(asked, plan)
    outcome.missed = [
        Missed(one.rule, Miss("agreement", _first(agreed).code)) if one.rule.code in shut and one.miss.why == "disabled" else one
        for one in outcome.missed
    ]
    for place, one in agreed.items():
        difference = goods[place].amount_minor - paid[place].amount_minor
        if difference:
            _note(outcome, one, place, len(goods), goods[place].amount_minor, difference)
    return outcome


def _first(agreed: Mapping[int, Agreed]) -> Agreed:
    return next(iter(agreed.values()))


def _paid(goods: Goods, agreed: Agreed, digits: int) -> Goods:
    """Return a line at the agreed price; the pump's amount is authoritative, so the difference of two rounded amounts is taken off it."""
    price = price_of(agreed, goods.unit_price_e4)
    difference = line_amount(goods.quantity_milli, goods.unit_price_e4, digits) - line_amount(goods.quantity_milli, price, digits)
    return goods._replace(unit_price_e4=price, amount_minor=max(goods.amount_minor - difference, 0))


def _note(outcome: Outcome, agreed: Agreed, place: int, lines: int, base_minor: int, difference: int) -> None:
    if difference < 0:
        outcome.surcharge_minor -= difference
        outcome.applied.insert(0, Applied(_rule(agreed, "surcharge"), base_minor, -difference, -difference, None))
        return
    by_line = [0] * lines
    by_line[place] = difference
    outcome.discounts = [was + more for was, more in zip(outcome.discounts, by_line, strict=True)]
    outcome.applied.insert(0, Applied(_rule(agreed, "discount"), base_minor, difference, difference, by_line))


@lru_cache(maxsize=4096)
def _rule(agreed: Agreed, kind: str) -> CompiledRule:
    """Return an agreement as a rule, for whoever books, tells or keeps what applied."""
    effect = UnitPrice(unit_price_e4=agreed.value_e4) if agreed.kind is Kind.PRICE else PerUnit(rate_e4=agreed.value_e4)
    made = CompiledRule(
        Rule(
            code=agreed.code,
            name_zh=agreed.name_zh,
            name_en=agreed.name_en,
            effect=effect,
            funders=(Funder(funder=agreed.funder),),
            revision=agreed.revision,
        ),
        (agreed.funder,),
    )
    made.kind = kind
    return made
