"""One basket under any rulebook, at any instant, also with rules switched off: what applies and is worth how much, and why others do not.

Pure, and the pump's own engine; nothing is counted, set aside or booked. `queries.simulating` reads what it asks of the database.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Final, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from loyalty.errors import Refusal
from loyalty.ids import NOBODY
from loyalty.money import line_amount, quantity_for, round_half_up, split

from .basket import CARD, TOPUP_GOODS, Basket, Goods, Moment, Person, Where
from .bounding import Question
from .compiling import Book, Plan, budget_id
from .conditions import window_start
from .document import Channel, Positive, Rule, When
from .evaluating import Applied, Missed, evaluate
from .explaining import Words, explain


class ProductNotKnown(Refusal):
    """No product has this code."""

    status = 422
    zh = "没有商品“{product}”。"
    en = 'There is no product "{product}".'
    next_zh = "请填写商品代码，例如 92。"
    next_en = "Give the product's code, such as 92."


class AmountNeeded(Refusal):
    """A line says neither how much nor for how much; or an article says no amount."""

    status = 422
    zh = "“{product}”缺少数量或金额。"
    en = 'The line "{product}" has neither a quantity nor an amount.'
    next_zh = "油品填升数或金额，便利店商品填金额。"
    next_en = "Fuel takes litres or an amount, an article its amount."


class PriceNotKnown(Refusal):
    """No price is published for the product at that place and instant, and the line names none."""

    status = 422
    zh = "该站此时没有“{product}”的挂牌价。"
    en = 'No price of "{product}" is published there at that time.'
    next_zh = "请在这一行填写单价。"
    next_en = "Give the line a price."


class AskedLine(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Fuel by quantity, amount or both; an article by its amount. Without a price: the published one."""

    product: Annotated[str, Meta(min_length=1, max_length=64)]
    quantity_milli: Positive | None = None
    amount_minor: Positive | None = None
    unit_price_e4: Positive | None = None


class AskedPerson(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Who buys, made up or known; nothing said is a personal card without history."""

    account_kind: str = "personal"
    customer_id: UUID | None = None
    tier: str | None = None
    segment: str | None = None
    flyer: str | None = None
    """The one stored when the card was issued."""
    birthday: date | None = None
    opened_at: datetime | None = None
    registered_at: datetime | None = None
    visits_before: Annotated[int, Meta(ge=0, le=100_000)] = 0
    """How often the customer has met each n-th rule before, in its window."""


class Asked(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A basket at a station (by code) and an instant. A top-up is one line `topup` with its amount, by the channel `topup`."""

    station: Annotated[str, Meta(min_length=1, max_length=64)]
    at: Annotated[datetime, Meta(tz=True)]
    lines: Annotated[tuple[AskedLine, ...], Meta(min_length=1, max_length=50)]
    card_product: str = ""
    channel: Channel = Channel.PAY_AFTER
    tenders: tuple[str, ...] = (CARD,)
    flyers: tuple[str, ...] = ()
    """Shown with the transaction."""
    person: AskedPerson = AskedPerson()
    without: tuple[str, ...] = ()
    """Rules that are asked not to be there."""


class Site(NamedTuple):
    """Where the basket is bought, and what is sold there at that instant."""

    where: Where
    zone: str
    tags: Mapping[str, frozenset[str]]
    """By product code: category, fuel kind, shop category."""
    prices: Mapping[str, int]
    """By product code: published at the instant, 1/10,000 of a currency unit per product unit."""
    districts: Mapping[str, UUID]
    regions: Mapping[str, UUID]
    stations: Mapping[str, UUID]


class SimulatedLine(Struct, frozen=True):
    product: str
    quantity_milli: int
    unit_price_e4: int
    amount_minor: int
    discount_minor: int
    pays_minor: int


class Borne(Struct, frozen=True):
    """What one funder bears of a benefit, in its unit."""

    funder: str
    amount: int


class SimulatedRule(Struct, frozen=True):
    """A rule that applies: `wanted` without caps and budget, `given` with them; minor units, points or pieces by `kind`."""

    rule: str
    revision: int
    kind: str
    name_zh: str
    name_en: str
    base_minor: int
    wanted: int
    given: int
    lines: list[int]
    """A discount's amount for each line; empty for a grant."""
    funders: list[Borne]
    item: str | None
    say_zh: str | None
    say_en: str | None


class SimulatedMiss(Struct, frozen=True):
    """A rule that does not apply, and why. `candidate` is false where place, time, card, channel or goods already rule it out."""

    rule: str
    revision: int
    name_zh: str
    name_en: str
    candidate: bool
    why: str
    need: int | str | None
    have: int | str | None
    zh: str
    en: str


class Simulated(Struct, frozen=True):
    """What a basket comes to. Points and bonus are sums; things stand in `applied`."""

    book: int
    currency: str
    at: datetime
    local: str
    """The same by the station's clock."""
    lines: list[SimulatedLine]
    gross_minor: int
    discount_minor: int
    pays_minor: int
    points: int
    bonus_minor: int
    applied: list[SimulatedRule]
    missed: list[SimulatedMiss]


_OUT: Final[Mapping[str, Words]] = {
    "off": ("规则已停用", "the rule is switched off"),
    "currency": ("不是本站的币种", "not in this station's currency"),
    "station": ("不适用于本站", "not at this station"),
    "card_product": ("不适用于这种卡", "not for this card product"),
    "channel": ("不适用于这种交易方式", "not for this way of buying"),
    "not_yet": ("尚未开始", "has not begun"),
    "ended": ("已经结束", "has ended"),
    "goods": ("所购商品不在范围内", "none of these goods is in its scope"),
}


def simulate(book: Book, site: Site, asked: Asked, *, free: Mapping[UUID, int] | None = None) -> Simulated:
    """Evaluate one basket under a book.

    :param free: what is free of each budget; none: as if nothing were used of it
    :raises ProductNotKnown, AmountNeeded, PriceNotKnown: if a line does not say enough
    """
    where = site.where
    goods = tuple(_goods(line, site) for line in asked.lines)
    basket = Basket(goods, asked.channel, asked.tenders, asked.flyers)
    moment = Moment(asked.at, asked.at.astimezone(ZoneInfo(site.zone)))
    budgets = {budget_id(budget.code): budget.total for budget in book.document.budgets} if free is None else free
    plan = book.plan(where, asked.card_product, basket, asked.at)
    person = _person(asked.person, book, moment)
    outcome = evaluate(Question(book, where, basket, person, moment, budgets=budgets, without=frozenset(asked.without)), plan)
    lines = [
        SimulatedLine(one.product, one.quantity_milli, one.unit_price_e4, one.amount_minor, off, one.amount_minor - off)
        for one, off in zip(goods, outcome.discounts, strict=True)
    ]
    given = {kind: sum(one.given for one in outcome.applied if one.rule.kind == kind) for kind in ("points", "bonus")}
    gross = sum(line.amount_minor for line in lines)
    return Simulated(
        book=book.number,
        currency=where.currency,
        at=asked.at,
        local=moment.local.isoformat(timespec="minutes"),
        lines=lines,
        gross_minor=gross,
        discount_minor=outcome.discount_minor,
        pays_minor=gross - outcome.discount_minor,
        points=given["points"],
        bonus_minor=given["bonus"],
        applied=[_applied(one) for one in outcome.applied],
        missed=[*_missed(book, outcome.missed, where.currency), *_never_asked(book, plan, site, asked)],
    )


def _goods(line: AskedLine, site: Site) -> Goods:
    if line.product == TOPUP_GOODS:
        if line.amount_minor is None:
            raise AmountNeeded(product=line.product)
        return Goods(TOPUP_GOODS, frozenset({TOPUP_GOODS}), 0, 0, line.amount_minor)
    tags = site.tags.get(line.product)
    if tags is None:
        raise ProductNotKnown(product=line.product)
    digits, quantity, amount = site.where.digits, line.quantity_milli, line.amount_minor
    if quantity is None and amount is None:
        raise AmountNeeded(product=line.product)
    price = line.unit_price_e4 or site.prices.get(line.product)
    if price is None and "fuel" not in tags and amount is not None:
        # An article's price follows from its amount, as at the till; one piece where no quantity is said.
        quantity = quantity or 1000
        price = round_half_up(amount * 10 ** (7 - digits), quantity)
    if price is None:
        raise PriceNotKnown(product=line.product)
    if quantity is None:
        assert amount is not None, "one of the two is there"
        quantity = quantity_for(amount, price, digits)
    return Goods(line.product, tags, quantity, price, line_amount(quantity, price, digits) if amount is None else amount)


def _person(asked: AskedPerson, book: Book, moment: Moment) -> Person:
    """Return the customer; who has an account is given one, so that caps of cards and customers have a subject."""
    had: dict[tuple[UUID, date], tuple[int, int]] = {}
    for rule in book.rules.values():
        if rule.nth_counter is not None and rule.when.nth is not None and asked.visits_before:
            had[rule.nth_counter, window_start(rule.when.nth.per, moment.local.date())] = (0, asked.visits_before)
    customer = asked.customer_id
    if customer is None and asked.account_kind != "anonymous":
        customer = NOBODY
    return Person(
        account_id=NOBODY,
        chain_id=NOBODY,
        customer_id=customer,
        account_kind=asked.account_kind,
        tier=asked.tier,
        segment=asked.segment,
        flyer=asked.flyer,
        birthday=asked.birthday,
        opened_at=asked.opened_at,
        registered_at=asked.registered_at,
        had=had,
    )


def _applied(one: Applied) -> SimulatedRule:
    rule = one.rule.rule
    borne = split(one.given, [funder.parts for funder in rule.funders])
    return SimulatedRule(
        rule=rule.code,
        revision=rule.revision,
        kind=one.rule.kind,
        name_zh=rule.name_zh,
        name_en=rule.name_en,
        base_minor=one.base_minor,
        wanted=one.wanted,
        given=one.given,
        lines=list(one.lines or ()),
        funders=[Borne(funder.funder, amount) for funder, amount in zip(rule.funders, borne, strict=True)],
        item=one.rule.gives,
        say_zh=rule.say_zh,
        say_en=rule.say_en,
    )


def _missed(book: Book, missed: Sequence[Missed], currency: str) -> list[SimulatedMiss]:
    """Put the candidates' reasons into words; one that missed several times says the last."""
    last = {one.rule.code: one for one in missed}
    told: list[SimulatedMiss] = []
    for one in last.values():
        words = explain(one.rule, one.miss, currency, book.names)
        told.append(_miss(one.rule.rule, words, one.miss.why, one.miss.need, one.miss.have, candidate=True))
    return told


def _miss(rule: Rule, words: Words, why: str, need: int | str | None, have: int | str | None, *, candidate: bool) -> SimulatedMiss:
    return SimulatedMiss(rule.code, rule.revision, rule.name_zh, rule.name_en, candidate, why, need, have, *words)


def _never_asked(book: Book, plan: Plan, site: Site, asked: Asked) -> list[SimulatedMiss]:
    """Say of every rule that is no candidate what rules it out: an editor asks why a rule does not show."""
    codes = {planned.rule.code for planned in plan.rules}
    told: list[SimulatedMiss] = []
    for rule in book.document.rules:
        if rule.code not in codes:
            why = _ruled_out(rule, book, site, asked)
            told.append(_miss(rule, _OUT[why], why, None, None, candidate=False))
    return told


def _ruled_out(rule: Rule, book: Book, site: Site, asked: Asked) -> str:
    when, where = rule.when, site.where
    if not rule.enabled:
        return "off"
    if (rule.currency or book.document.currency) != where.currency:
        return "currency"
    if not _is_here(when, site):
        return "station"
    if when.card_products and asked.card_product not in when.card_products:
        return "card_product"
    if asked.channel not in when.channels if when.channels else asked.channel is Channel.TOPUP:
        return "channel"
    campaign = None if rule.campaign is None else book.campaigns.get(rule.campaign)
    starts = [part.starts_at for part in (rule, campaign) if part is not None and part.starts_at is not None]
    ends = [part.ends_at for part in (rule, campaign) if part is not None and part.ends_at is not None]
    if any(asked.at < instant for instant in starts):
        return "not_yet"
    return "ended" if any(instant <= asked.at for instant in ends) else "goods"


def _is_here(when: When, site: Site) -> bool:
    where = site.where
    return all(
        not codes or here in [known.get(code) for code in codes]
        for codes, known, here in (
            (when.stations, site.stations, where.station_id),
            (when.districts, site.districts, where.district_id),
            (when.regions, site.regions, where.region_id),
        )
    )
