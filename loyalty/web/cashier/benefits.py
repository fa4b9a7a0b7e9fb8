"""What lies in a customer's favour at the counter: what applies here and now, what is missing for more, what waits to be handed out."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations import offering
from loyalty.authorizations.model import Flow
from loyalty.authorizations.offering import Offer
from loyalty.money import line_amount, round_half_up
from loyalty.pricing.basket import CARD, Goods
from loyalty.pricing.document import When
from loyalty.pricing.evaluating import Applied, Missed, Outcome
from loyalty.pricing.explaining import explain
from loyalty.pricing.freezing import Frozen
from loyalty.pricing.queries.books import get_book
from loyalty.rewards.model_gifts import EntitlementStatus
from loyalty.rewards.model_vouchers import VoucherStatus
from loyalty.rewards.queries.gifts import EntitlementView, gifts_of_account, gifts_of_customer
from loyalty.rewards.queries.vouchers import VoucherView, vouchers_of_account, vouchers_of_customer
from loyalty.stations.queries import BoardLine
from loyalty.web.benefits import PRICED, Given, Teller, item_names, items_in, tier_names
from loyalty.web.cashier.till import Till
from loyalty.web.formats import plate

PROBE_MILLI: Final = 10_000
"""The fill that stands for one whose size nobody knows yet: small, so that what asks for more says so."""
MORE_MAX: Final = 4
_WHERE_MAX: Final = 3
_WAITING_MAX: Final = 8
_MOMENT: Final = timedelta(seconds=1)
"""What ends at midnight is said to last until the day before."""
_AMOUNTS: Final = frozenset({"least_amount"})
_QUANTITIES: Final = frozenset({"least_quantity"})
_OTHERWISE: Final = frozenset({"tender", "nth"})
LIFTABLE: Final = _AMOUNTS | _QUANTITIES | _OTHERWISE | {"below_bands"}
"""Reasons that another quantity, amount, tender or visit would lift."""


class Get(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that applies to this customer here and now."""

    name: str
    worth: str
    where: str
    """The goods it is for; empty where it is for every grade."""
    say: str


class More(msgspec.Struct, frozen=True, kw_only=True):
    """What another quantity, amount or tender would bring."""

    need: str
    worth: str
    name: str
    distance: int
    """How far it is, in thousandths of what it asks: the nearest comes first."""


class Saving(msgspec.Struct, frozen=True, kw_only=True):
    """What a basket comes to under the rules."""

    given: tuple[Given, ...] = ()
    more: tuple[More, ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    """(rule, why it does not apply)."""
    surcharge_minor: int = 0

    @property
    def money(self) -> tuple[Given, ...]:
        """What changes the price."""
        return tuple(one for one in self.given if one.kind in PRICED)

    @property
    def things(self) -> tuple[Given, ...]:
        """What is granted besides: points, bonus money, gifts, vouchers."""
        return tuple(one for one in self.given if one.kind not in PRICED)


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A voucher or gift that the customer may have."""

    what: str
    note: str


class Favour(msgspec.Struct, frozen=True, kw_only=True):
    """All that the card page says before the pump starts."""

    gets: tuple[Get, ...]
    more: tuple[More, ...]
    waiting: tuple[Waiting, ...]


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """Something sold here, with its price per unit."""

    code: str
    name: str
    unit: str
    unit_price_e4: int
    is_fuel: bool


def shelves(till: Till, board: Iterable[BoardLine]) -> list[Shelf]:
    """Return what has a price at this station."""
    return [
        Shelf(
            code=line.product_code,
            name=till.either(line.product_name_zh, line.product_name_en),
            unit=line.unit.value,
            unit_price_e4=line.unit_price_e4,
            is_fuel=line.category.value == "fuel",
        )
        for line in board
    ]


async def teller_for(till: Till, session: AsyncSession, offer: Offer | None) -> Teller:
    """Return who says benefits at this till, knowing the names of what the live rules give."""
    codes = set() if offer is None else items_in(offer.book.document.rules)
    return Teller(till.words, till.f, till.currency, await item_names(session, codes=codes), await tier_names(session))


def favour_of(till: Till, offer: Offer | None, teller: Teller, sold: Sequence[Shelf], waiting: Sequence[Waiting]) -> Favour:
    """Say what a customer gets on each grade and article, and from where on there is more."""
    found: dict[str, tuple[Applied, str, list[str]]] = {}
    more: dict[str, More] = {}
    fuels = sum(one.is_fuel for one in sold)
    for one in sold if offer is not None else ():
        assert offer is not None, "nothing is asked without"
        line = _probe(till, one)
        if line is None:
            continue
        flow = Flow.PAY_AFTER if one.is_fuel else Flow.SHOP
        outcome = offer.evaluate((line,), int(flow))[1]
        for applied in outcome.applied:
            found.setdefault(applied.rule.code, (applied, one.unit, []))[2].append(one.name)
        for said in _more(till, offer, teller, (line,), flow, (CARD,), outcome, unit=one.unit, is_open=True):
            more.setdefault(said[0], said[1])
    gets = [
        Get(
            name=till.either(applied.rule.rule.name_zh, applied.rule.rule.name_en),
            worth=teller.worth(applied.rule.effect, unit),
            where=_listed(till, where, fuels),
            say=till.either(applied.rule.rule.say_zh, applied.rule.rule.say_en),
        )
        for applied, unit, where in sorted(found.values(), key=lambda each: each[0].rule.kind != "discount")
    ]
    left = [said for code, said in more.items() if code not in found]
    return Favour(gets=tuple(gets), more=tuple(sorted(left, key=lambda said: said.distance)[:MORE_MAX]), waiting=tuple(waiting))


def _listed(till: Till, names: Sequence[str], fuels: int) -> str:
    """Name the goods that something is for, unless it is for every grade."""
    if len(names) == fuels and fuels > 1:
        return ""
    return till.either("、", ", ").join(names[:_WHERE_MAX]) + "…" * (len(names) > _WHERE_MAX)


def _probe(till: Till, one: Shelf) -> Goods | None:
    product = till.pump.snapshot.products.get(one.code)
    if product is None:
        return None
    digits = till.place.digits
    if one.is_fuel:
        return offering.fuel(product, PROBE_MILLI, one.unit_price_e4, line_amount(PROBE_MILLI, one.unit_price_e4, digits))
    return offering.article(product, 1_000, line_amount(1_000, one.unit_price_e4, digits), digits)


def saving_of(
    till: Till, offer: Offer, teller: Teller, goods: tuple[Goods, ...], flow: Flow, tenders: tuple[str, ...], *, unit: str
) -> tuple[Saving, Outcome]:
    """Say what a basket gets, what is missing for more, and why each other candidate does not apply."""
    outcome = offer.evaluate(goods, int(flow), tenders)[1]
    given = tuple(
        Given(
            one.rule.code,
            one.rule.kind,
            till.either(one.rule.rule.name_zh, one.rule.rule.name_en),
            teller.given(one.rule.kind, one.given, one.rule.gives),
            teller.cut(one.rule.kind, one.wanted) if one.wanted > one.given else "",
            one.given if one.rule.kind == "discount" else -one.given if one.rule.kind == "surcharge" else 0,
        )
        for one in outcome.applied
    )
    near = sorted(_more(till, offer, teller, goods, flow, tenders, outcome, unit=unit, is_open=False), key=lambda said: said[1].distance)
    near = near[:MORE_MAX]
    told = {code for code, _ in near}
    others = tuple((_name(till, missed), _why(till, offer, teller, missed)) for missed in outcome.missed if missed.rule.code not in told)
    more = tuple(said for _, said in near)
    return Saving(given=given, more=more, others=others, surcharge_minor=outcome.surcharge_minor), outcome


def _name(till: Till, missed: Missed) -> str:
    return till.either(missed.rule.rule.name_zh, missed.rule.rule.name_en)


def _why(till: Till, offer: Offer, teller: Teller, missed: Missed) -> str:
    said, miss = till.either(*explain(missed.rule, missed.miss, till.currency, offer.book.names)), missed.miss
    return teller.tiers(said, miss.need, miss.have) if miss.why == "tier" else said


def _more(
    till: Till,
    offer: Offer,
    teller: Teller,
    goods: tuple[Goods, ...],
    flow: Flow,
    tenders: tuple[str, ...],
    outcome: Outcome,
    *,
    unit: str,
    is_open: bool,
) -> list[tuple[str, More]]:
    """Return what would apply if more were bought or paid otherwise, by rule; `is_open`: how much is bought is not known yet."""
    said: list[tuple[str, More]] = []
    for missed in outcome.missed:
        if missed.miss.why not in LIFTABLE:
            continue
        if missed.miss.why == "nth":
            need, have = int(missed.miss.need or 0), int(missed.miss.have or 0)
            if need > have:
                worth = teller.worth(missed.rule.effect, unit)
                more = More(
                    need=_why(till, offer, teller, missed), worth=worth, name=_name(till, missed), distance=(need - have) * 1000 // need
                )
                said.append((missed.rule.code, more))
            continue
        short = _short(goods, missed)
        lifted, asked = (goods, (CARD,)) if short is None else (_grown(goods, missed.rule.when, short, till.place.digits), tenders)
        then = next((one for one in offer.evaluate(lifted, int(flow), asked)[1].applied if one.rule.code == missed.rule.code), None)
        if then is not None:
            worth = teller.worth(then.rule.effect, unit) if is_open else teller.given(then.rule.kind, then.given, then.rule.gives)
            need_said = _why(till, offer, teller, missed) if short is None else _need(till, short, unit, is_open=is_open)
            distance = 0 if short is None else (short.need - short.have) * 1000 // max(short.need, 1)
            said.append((missed.rule.code, More(need=need_said, worth=worth, name=_name(till, missed), distance=distance)))
    return said


class _Short(msgspec.Struct, frozen=True):
    """How much is needed and there: thousandths, or minor units."""

    need: int
    have: int
    by_quantity: bool


def _short(goods: Sequence[Goods], missed: Missed) -> _Short | None:
    """Return what is short of; None where something else is in the way."""
    miss = missed.miss
    if miss.why in _OTHERWISE:
        return None
    by_quantity = miss.why in _QUANTITIES or (miss.why == "below_bands" and miss.have != "amount")
    have = miss.have
    if miss.why == "below_bands":
        covered = [line for line in goods if _covers(missed.rule.when, line)]
        have = sum(line.quantity_milli if by_quantity else line.amount_minor for line in covered)
    return _Short(int(miss.need or 0), int(have or 0), by_quantity)


def _grown(goods: tuple[Goods, ...], when: When, short: _Short, digits: int) -> tuple[Goods, ...]:
    """Return the basket with as much more of the rule's goods as it asks."""
    place = next((place for place, line in enumerate(goods) if _covers(when, line)), 0)
    line, missing = goods[place], short.need - short.have
    if short.by_quantity:
        milli = line.quantity_milli + missing
        grown = line._replace(quantity_milli=milli, amount_minor=line_amount(milli, line.unit_price_e4, digits))
    else:
        amount = line.amount_minor + missing
        milli = round_half_up(line.quantity_milli * amount, line.amount_minor) if line.amount_minor else line.quantity_milli
        grown = line._replace(quantity_milli=milli, amount_minor=amount)
    return (*goods[:place], grown, *goods[place + 1 :])


def _covers(when: When, line: Goods) -> bool:
    if line.product in when.excluded_products or line.tags.intersection(when.excluded_categories):
        return False
    if not when.products and not when.categories:
        return True
    return line.product in when.products or bool(line.tags.intersection(when.categories))


def _need(till: Till, short: _Short, unit: str, *, is_open: bool) -> str:
    _ = till.gettext
    if is_open:
        start = till.f.quantity(short.need, unit, digits=0) if short.by_quantity else till.money(short.need).removesuffix(".00")
        return _("from %(start)s on", start=start)
    missing = short.need - short.have
    return _("%(amount)s more", amount=till.f.quantity(missing, unit) if short.by_quantity else till.money(missing))


async def kept_for(till: Till, session: AsyncSession, frozen: dict[str, Any] | None) -> list[str]:
    """Return what an authorisation keeps for its completion: the names of its rules, the company's agreement first."""
    if frozen is None:
        return []
    kept = msgspec.convert(frozen, Frozen)
    names = [till.either(one.name_zh, one.name_en) for one in (kept.agreed, kept) if one is not None and one.name_zh]
    if kept.book:
        rules = {rule.code: rule for rule in (await get_book(session, number=kept.book)).document.rules}
        names += [till.either(rules[one.code].name_zh, rules[one.code].name_en) for one in kept.rules if one.code in rules]
    return names


async def waiting_for(till: Till, session: AsyncSession, *, customer_id: UUID | None, account_id: UUID) -> list[Waiting]:
    """Return the gifts and vouchers that a card's holder may have: a customer's of all cards, a bearer's of the one account."""
    vouchers, rights = (VoucherStatus.ISSUED,), (EntitlementStatus.GRANTED, EntitlementStatus.RESERVED)
    if customer_id is None:
        gifts = await gifts_of_account(session, account_id=account_id, statuses=rights, limit=_WAITING_MAX)
        held = await vouchers_of_account(session, account_id=account_id, statuses=vouchers, limit=_WAITING_MAX)
    else:
        gifts = await gifts_of_customer(session, customer_id=customer_id, statuses=rights, limit=_WAITING_MAX)
        held = await vouchers_of_customer(session, customer_id=customer_id, statuses=vouchers, limit=_WAITING_MAX)
    return [*(_gift(till, one) for one in gifts), *(_voucher(till, one) for one in held if not _is_over(one.expires_at, till.now))]


def _is_over(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is not None and expires_at <= now


def _gift(till: Till, one: EntitlementView) -> Waiting:
    _ = till.gettext
    name = till.either(one.name_zh, one.name_en)
    notes = [
        _("set aside here") if one.place_id == till.place.station_id else _("set aside at another station") if one.place_id else "",
        _("until %(day)s", day=till.f.day(one.expires_at - _MOMENT)) if one.expires_at else "",
    ]
    return Waiting(what=f"{one.pieces} × {name}", note=" · ".join(filter(None, notes)))


def _voucher(till: Till, one: VoucherView) -> Waiting:
    name = till.either(one.name_zh, one.name_en)
    left = till.f.money(one.left_minor, one.currency) if one.left_minor is not None and one.currency else ""
    notes = [
        plate(one.plate) if one.plate else "",
        left if one.left_minor != one.face_minor else "",
        till.gettext("until %(day)s", day=till.f.day(one.expires_at - _MOMENT)) if one.expires_at else "",
    ]
    return Waiting(what=name, note=" · ".join(filter(None, notes)))
