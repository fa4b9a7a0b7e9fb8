"""What the rules offer for one request: the live book, the place, the customer and the moment, asked for any basket. Pure."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import msgspec

from loyalty.ledger.spending import Bill, Due, Site
from loyalty.money import round_half_up
from loyalty.pricing.agreements import Agreed, Term, agreed_for, decode_terms, evaluate_agreed
from loyalty.pricing.basket import CARD, Basket, Goods, Moment, Person, Where
from loyalty.pricing.bounding import Count, Question
from loyalty.pricing.calculators import split_funders
from loyalty.pricing.compiling import Book, Plan
from loyalty.pricing.document import Channel, PerUnit
from loyalty.pricing.evaluating import Applied, Missed, Outcome, all_counts
from loyalty.pricing.explaining import explain
from loyalty.pricing.freezing import BudgetUse, Frozen, Settled, book_of_term, freeze, settle

from .decision import Decision
from .facts import Place, Product
from .model import Flow
from .wire import AuthorizationAnswer, Benefit, Discount, Other, SaleAnswer

_CHANNELS: Final = {
    int(Flow.PAY_AFTER): Channel.PAY_AFTER,
    int(Flow.PRESET): Channel.PRESET,
    int(Flow.PUMP): Channel.PUMP,
    int(Flow.SHOP): Channel.SHOP,
}
_ONLY_CARD: Final = (CARD,)
_OTHERS_MAX: Final = 4096
_json: Final = msgspec.json.Encoder().encode
FUEL: Final = "fuel"
SURCHARGE: Final = "surcharge"


@lru_cache(maxsize=4096)
def _terms(document: str) -> tuple[Term, ...]:
    """Return a company's agreements; its document is the same until one of them changes."""
    return decode_terms(document)


def fuel(product: Product, quantity_milli: int, unit_price_e4: int, amount_minor: int) -> Goods:
    """Return a line of fuel at the pump's price and amount."""
    return Goods(product.code, product.tags, quantity_milli, unit_price_e4, amount_minor)


def article(product: Product, quantity_milli: int, amount_minor: int, digits: int) -> Goods:
    """Return a line of the shop; its price per unit follows from its amount."""
    price = round_half_up(amount_minor * 10 ** (7 - digits), quantity_milli) if quantity_milli else 0
    return Goods(product.code, product.tags, quantity_milli, price, amount_minor)


class Offer:
    """The rules as one request meets them."""

    __slots__ = ("book", "card", "free", "moment", "person", "share", "where")

    def __init__(
        self,
        book: Book,
        where: Where,
        card: str,
        person: Person,
        moment: Moment,
        *,
        free: Mapping[UUID, int] | None = None,
        share: int = 0,
    ) -> None:
        self.book = book
        self.where = where
        self.card = card
        """The card product's code."""
        self.person = person
        self.moment = moment
        self.free = free or {}
        """What is free of each budget to this worker."""
        self.share = share

    def plan(self, basket: Basket) -> Plan:
        """Return the candidates for a basket."""
        return self.book.plan(self.where, self.card, basket, self.moment.now)

    def rate(self, goods: Goods, flow: int) -> int | None:
        """Return the one rate per unit that everything comes to; None where more must be asked (`evaluate`)."""
        if self._agreed((goods,)):
            return None
        if self.book.is_empty:
            return 0
        return self.plan(Basket((goods,), _CHANNELS[flow])).rate_e4

    def evaluate(
        self, goods: tuple[Goods, ...], flow: int, tenders: tuple[str, ...] = _ONLY_CARD, *, without: frozenset[str] = frozenset()
    ) -> tuple[Plan, Outcome]:
        """Say what the rules give for these goods."""
        basket = Basket(goods, _CHANNELS[flow], tenders)
        plan = self.plan(basket)
        question = Question(self.book, self.where, basket, self.person, self.moment, budgets=self.free, without=without)
        return plan, evaluate_agreed(question, plan, self._agreed(goods))

    def _agreed(self, goods: tuple[Goods, ...]) -> dict[int, Agreed]:
        """Return what the company's agreement says of each of these goods that are measured in units of fuel."""
        if self.person.agreement is None:
            return {}
        terms = _terms(self.person.agreement)
        found: dict[int, Agreed] = {}
        for place, line in enumerate(goods):
            if FUEL in line.tags:
                agreed = agreed_for(terms, product=line.product, where=self.where, now=self.moment.now)
                if agreed is not None:
                    found[place] = agreed
        return found

    def freeze(self, plan: Plan, outcome: Outcome, goods: Goods) -> str | None:
        """Return what an authorisation keeps, as JSON."""
        agreed = self._agreed((goods,)).get(0)
        if not plan.rules and agreed is None:
            return None
        frozen = freeze(self.book, plan, outcome, self.card, self.share, agreed)
        return None if frozen is None else _json(frozen).decode()


def settled(
    frozen: Frozen, book: Book | None, place: Place, goods: tuple[Goods, ...], flow: int, moment: Moment, *, final: bool, earlier: bool
) -> Settled:
    """Settle an authorisation's rules by what was dispensed; `book` is the one it names, None for a term of the release before."""
    if book is None:
        book, frozen = book_of_term(frozen, place.currency)
    return settle(book, frozen, place.where, Basket(goods, _CHANNELS[flow]), moment, final=final, earlier=earlier)


def bill_of(goods: Sequence[Goods], outcome: Outcome, gross_minor: int, site: Site) -> Bill:
    """Return a basket as conditions of bonus money see it: what is due for each line, and for what no rule knows.

    `gross_minor` is everything before discounts, with an agreement's surcharge, which is due for the fuel.
    """
    lines = [Due(line.product, line.tags, line.amount_minor - off) for line, off in zip(goods, outcome.discounts, strict=True)]
    if outcome.surcharge_minor and lines:
        lines[0] = lines[0]._replace(amount_minor=lines[0].amount_minor + outcome.surcharge_minor)
    rest = gross_minor - outcome.discount_minor - sum([line.amount_minor for line in lines])
    if rest > 0:
        lines.append(Due("", frozenset(), rest))
    return Bill(lines, gross_minor - outcome.surcharge_minor, site)


def by_funder(applied: Sequence[Applied], station_id: UUID) -> dict[str, int]:
    """Return what each funder bears of the discounts; cents of a split go to the largest share."""
    borne: dict[str, int] = {}
    for one in applied:
        if one.lines is not None:
            for funder, amount in one.borne or shares(one, station_id):
                borne[funder] = borne[funder] + amount if funder in borne else amount
    return borne


def shares(one: Applied, station_id: UUID) -> list[tuple[str, int]]:
    """Return a benefit's funders and what each bears; the sale's station by its own name."""
    if one.borne is None:
        one.borne = split_funders(one.rule.funders, one.given, station=_station(station_id))
    return one.borne


@lru_cache(maxsize=16_384)
def _station(station_id: UUID) -> str:
    return f"station:{station_id}"


def take(decision: Decision, outcome: Outcome) -> None:
    """Put the benefits into a decision: discounts as transfers a funder, counters, what is short."""
    for funder, amount in by_funder(outcome.applied, decision.station_id).items():
        decision.discount(amount, funder)
    if outcome.surcharge_minor:
        for one in outcome.applied:
            if one.rule.kind == SURCHARGE:
                decision.surcharge(one.given, one.rule.funders[0].funder)
    decision.short = outcome.short


def count(decision: Decision, outcome: Outcome, share: int, *, reserve: bool) -> None:
    """Put what the benefits count and take of budgets into a decision; `reserve`: set aside, not used."""
    decision.counts = all_counts(outcome)
    for one in outcome.applied:
        if one.rule.budget is not None:
            reserved, used = (one.given, 0) if reserve else (0, one.given)
            decision.budgets.append(BudgetUse(one.rule.budget, share, reserved, used))
    decision.short = outcome.short


def documents(outcome: Outcome, station_id: UUID, share: int, counted: Sequence[Count]) -> dict[str, Any]:
    """Return what a sale keeps of its benefits and of what they counted (ARCHITECTURE.md, rules); nothing for none."""
    if not outcome.applied and not counted:
        return {}
    benefits: list[dict[str, Any]] = []
    for one in outcome.applied:
        rule = one.rule.rule
        kept: dict[str, Any] = {
            "rule": rule.code,
            "revision": rule.revision,
            "kind": one.rule.kind,
            "base_minor": one.base_minor,
            "wanted": one.wanted,
            "given": one.given,
            "funders": one.borne or shares(one, station_id),
            "name_zh": rule.name_zh,
            "name_en": rule.name_en,
        }
        if one.rule.gives is not None:
            kept["item"] = one.rule.gives
        if rule.budget is not None:
            kept["budget"] = [rule.budget, share]
        benefits.append(kept)
    document: dict[str, Any] = {"book": outcome.book, "benefits": benefits}
    if counted:
        document["counts"] = [(str(one.subject_id), str(one.counter), one.start_ordinal, one.amount, one.times) for one in counted]
    return document


def summary(outcome: Outcome, station_id: UUID) -> Discount | None:
    """Return all discounts as the one that answers have always carried: the largest's name, everything's amount."""
    best: Applied | None = None
    for one in outcome.applied:
        if one.lines is not None and (best is None or one.given > best.given):
            best = one
    if best is None:
        return None
    rule = best.rule.rule
    rate = best.rule.effect.rate_e4 if isinstance(best.rule.effect, PerUnit) else 0
    funder = (best.borne or shares(best, station_id))[0][0]
    return Discount(rule.code, rule.revision, rate, funder, rule.name_zh, rule.name_en, outcome.discount_minor)


def tell(answer: AuthorizationAnswer | SaleAnswer, outcome: Outcome, place: Place, book: Book | None) -> None:
    """Put into an answer which rules applied, and why the other candidates did not."""
    answer.discount = summary(outcome, place.station_id)
    answer.surcharge_minor = outcome.surcharge_minor
    answer.benefits = told(outcome)
    answer.others = others(outcome, place.currency, None if book is None else book.names)


def told(outcome: Outcome) -> list[Benefit] | None:
    """Return what applied, as answers tell it."""
    return [
        Benefit(
            rule=one.rule.code,
            revision=one.rule.revision,
            kind=one.rule.kind,
            amount=one.given,
            base_minor=one.base_minor,
            wanted=one.wanted if one.wanted != one.given else 0,
            name_zh=one.rule.rule.name_zh,
            name_en=one.rule.rule.name_en,
            item=one.rule.gives,
            say_zh=one.rule.rule.say_zh,
            say_en=one.rule.rule.say_en,
        )
        for one in outcome.applied
    ] or None


def others(outcome: Outcome, currency: str, names: Mapping[str, tuple[str, str]] | None) -> list[Other] | None:
    """Return the candidates that did not apply, each with its reason in words."""
    if not outcome.missed:
        return None
    return [_other(missed, outcome.book, currency, names) for missed in outcome.missed]


_others: dict[tuple[int, Missed, str], Other] = {}


def _other(missed: Missed, book: int, currency: str, names: Mapping[str, tuple[str, str]] | None) -> Other:
    """Return a candidate's reason in words; most are the same for many customers, so they are kept."""
    key = (book, missed, currency)
    known = _others.get(key)
    if known is None:
        rule, miss = missed.rule.rule, missed.miss
        zh, en = explain(missed.rule, miss, currency, names)
        known = Other(
            rule=rule.code,
            revision=rule.revision,
            why=miss.why,
            need=miss.need,
            have=miss.have,
            zh=f"{rule.name_zh}：{zh}",
            en=f"{rule.name_en}: {en}",
        )
        if len(_others) >= _OTHERS_MAX:
            _others.clear()
        _others[key] = known
    return known
