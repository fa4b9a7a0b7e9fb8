"""Decisions once fuel is in the tank: the sale in one step, and the completion of an authorisation. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from loyalty.ledger.model import PurseKind
from loyalty.ledger.rules import PurseView, SpendStep, Take, allocate, funds_of, spendable
from loyalty.ledger.spending import Bill, Due, allocate_bill, asking_more, has_conditions, usable
from loyalty.money import line_amount, shown
from loyalty.pricing.basket import CARD, Goods, Moment
from loyalty.pricing.compiling import Book
from loyalty.pricing.evaluating import Outcome
from loyalty.pricing.freezing import Settled, released

from . import levelling, offering
from .decision import Decision, applied
from .facts import AuthorizationFacts, CardFacts, CardTerms, FillFacts, Place, Product
from .model import FillStatus, Flag, Flow, Status
from .offering import Offer
from .prompting import said_with
from .reasons import Reason
from .rules import (
    HOLD_FOR,
    Presented,
    Refused,
    card_refuses,
    counter_seen,
    credential_refuses,
    decline,
    encode,
    flag_names,
    is_private,
    limit_refusal,
    limits_of,
    money_left,
    place_refuses,
    product_refuses,
    written,
)
from .wire import CompletionRequest, FuelLine, SaleAnswer, SaleRequest, ShopLine, Taken, reference

TOLERANCE_MINOR: Final = 5
"""How far the pump's amount may lie from litres × price before the sale is flagged (domain notes: default ¥0.05)."""

_json: Final = msgspec.json.Encoder().encode
_PAY_AFTER: Final = int(Flow.PAY_AFTER)
_SHOP: Final = int(Flow.SHOP)
_COMPLETED: Final = int(Status.COMPLETED)
_ENDED: Final = frozenset({_COMPLETED, int(Status.REVERSED), int(Status.RELEASED)})
_PURSE_NAMES: Final = {int(PurseKind.PRINCIPAL): "principal", int(PurseKind.BONUS): "bonus", int(PurseKind.RECEIVABLE): "receivable"}


def fill_refuses(
    fill: FillFacts | None, fuel: FuelLine | None, product: Product | None, place: Place, now: datetime, *, holds_fill: bool = False
) -> Refused | None:
    """Say whether a fill of the forecourt's list cannot be paid by this sale; `holds_fill`: a lock on it is this sale's own."""
    if fill is None or fill.station_id != place.station_id:
        return Refused(Reason.FILL_UNKNOWN)
    if not holds_fill and fill.status == FillStatus.LOCKED and (fill.locked_until is None or fill.locked_until > now):
        return Refused(Reason.FILL_LOCKED)
    if fill.status not in {FillStatus.UNPAID, FillStatus.LOCKED}:
        return Refused(Reason.FILL_PAID)
    if fuel is not None and (
        fuel.amount_minor != fill.amount_minor
        or fuel.quantity_milli != fill.quantity_milli
        or product is None
        or product.product_id != fill.product_id
    ):
        return Refused(Reason.FILL_DIFFERS)
    return None


def decide_sale(
    decision: Decision,
    request: SaleRequest,
    *,
    fuel: FuelLine | None,
    product: Product | None,
    shop: list[tuple[Product | None, int]],
    fill: FillFacts | None,
    place: Place,
    card: CardFacts | None,
    terms: CardTerms | None,
    published_e4: int | None,
    offer: Offer | None,
    presented: Presented,
    exact: bool,
    now: datetime,
    local: datetime,
) -> Decision:
    """Decide on a sale in one step: gross − discount − other tenders is the card's share, all of it or a decline that says what is there.

    `fuel` is the request's line or the fill's; `shop` pairs each shop line's product with its amount in minor units.
    """
    answer = SaleAnswer(outcome="declined")
    decision.flow = _PAY_AFTER if fuel is not None else _SHOP
    decision.staff_id = request.staff_id
    if request.plate or request.odometer_km is not None:
        decision.prompts = {"plate": request.plate, "odometer_km": request.odometer_km}
    refused = place_refuses(place) or card_refuses(card, terms, place, local)
    if card is not None:
        answer.card = card.number_tail
    if refused is not None:
        return decline(decision, answer, refused)
    assert card is not None
    assert terms is not None
    refused, decision.tries_new = credential_refuses(card, terms, request.card, presented)
    decision.by_code = presented.token_version is not None
    if refused is None:
        card, refused = said_with(decision, card, request, presented, local)
        refused = refused or _goods_refuse(request, fuel, product, shop, fill, place, terms, now, holds_fill=presented.holds_fill)
    if refused is not None:
        return decline(decision, answer, _asking(decision, answer, refused, fuel))
    answer.currency = place.currency
    assert offer is not None, "a card that is known meets the rules"
    if fuel is not None and product is not None:
        price_fuel(decision, fuel, product, published_e4, place.digits)
    goods, outcome = _benefits(decision, answer, request, fuel, product, shop, place, offer)
    saved = outcome.discount_minor
    others = sum([tender.amount_minor for tender in request.tenders])
    share = decision.gross_minor - saved - others
    answer.tenders_minor, answer.card_minor = others, max(0, share)
    if share < 0:
        return decline(decision, answer, Refused(Reason.TENDERS_EXCEED, remaining_minor=decision.gross_minor - saved))
    refused = _limits_refuse(decision, card, terms, place, product, shop, request.plate, share, local)
    if refused is not None:
        return decline(decision, answer, levelling.ask(decision, answer, refused, minor=share, milli=decision.quantity_milli or None))
    bill = offering.bill_of(goods, outcome, decision.gross_minor, place.site) if has_conditions(card.purses) else None
    decided = _pay(decision, answer, request, card=card, terms=terms, place=place, share=share, bill=bill, exact=exact, now=now)
    if decided.counted is not None:
        offering.take(decision, outcome)
        offering.count(decision, outcome, offer.share, reserve=False)
        levelling.begin(decision, card.above, local)
        detail = detail_of(request) | levelling.said(decision) | offering.documents(outcome, place.station_id, offer.share, decision.counts)
        decision.detail = detail or None
    return decided


def _asking(decision: Decision, answer: SaleAnswer, refused: Refused, fuel: FuelLine | None) -> Refused:
    minor, milli = (None, None) if fuel is None else (fuel.amount_minor, fuel.quantity_milli)
    return levelling.ask(decision, answer, refused, minor=minor, milli=milli)


def _benefits(
    decision: Decision,
    answer: SaleAnswer,
    request: SaleRequest,
    fuel: FuelLine | None,
    product: Product | None,
    shop: list[tuple[Product | None, int]],
    place: Place,
    offer: Offer,
) -> tuple[tuple[Goods, ...], Outcome]:
    """Ask the rules about the whole basket, and tell what they say."""
    for _, amount in shop:
        decision.gross_minor += amount
    goods = goods_of(request.shop, shop, fuel, product, place.digits)
    plan, outcome = offer.evaluate(goods, decision.flow, (CARD, *[tender.tender for tender in request.tenders]))
    decision.discount_minor = outcome.discount_minor
    decision.gross_minor += outcome.surcharge_minor
    answer.gross_minor, answer.discount_minor = decision.gross_minor, outcome.discount_minor
    if plan.rules or outcome.applied:
        offering.tell(answer, outcome, place, offer.book)
    return goods, outcome


def goods_of(
    lines: Sequence[ShopLine], shop: Sequence[tuple[Product | None, int]], fuel: FuelLine | None, product: Product | None, digits: int
) -> tuple[Goods, ...]:
    """Return a sale's goods as the rules see them: the fuel, then the articles."""
    goods = [
        offering.article(found, line.quantity_milli, amount, digits)
        for line, (found, amount) in zip(lines, shop, strict=True)
        if found is not None
    ]
    if fuel is not None and product is not None:
        goods.insert(0, offering.fuel(product, fuel.quantity_milli, fuel.unit_price_e4, fuel.amount_minor))
    return tuple(goods)


def _goods_refuse(
    request: SaleRequest,
    fuel: FuelLine | None,
    product: Product | None,
    shop: list[tuple[Product | None, int]],
    fill: FillFacts | None,
    place: Place,
    terms: CardTerms,
    now: datetime,
    *,
    holds_fill: bool,
) -> Refused | None:
    if request.fill_id is not None:
        refused = fill_refuses(fill, request.fuel, product, place, now, holds_fill=holds_fill)
        if refused is not None:
            return refused
    if fuel is None and not shop:
        return Refused(Reason.AMOUNT_NEEDED)
    goods = [found for found, _ in shop]
    if fuel is not None or product is not None:
        goods.insert(0, product)
    if None in goods:
        return Refused(Reason.PRODUCT_UNKNOWN)
    for sold in goods:
        if sold is not None and (refused := product_refuses(sold, terms)) is not None:
            return refused
    return None


def price_fuel(decision: Decision, fuel: FuelLine, product: Product, published_e4: int | None, digits: int) -> None:
    """Take the pump's line as it stands, and flag what differs."""
    decision.product_id, decision.nozzle = product.product_id, fuel.nozzle
    decision.quantity_milli, decision.unit_price_e4 = fuel.quantity_milli, fuel.unit_price_e4
    decision.gross_minor = fuel.amount_minor
    if abs(fuel.amount_minor - line_amount(fuel.quantity_milli, fuel.unit_price_e4, digits)) > TOLERANCE_MINOR:
        decision.flags |= Flag.AMOUNT_DIFFERS
    if published_e4 is not None and published_e4 != fuel.unit_price_e4:
        decision.flags |= Flag.PRICE_DIFFERS


def _limits_refuse(
    decision: Decision,
    card: CardFacts,
    terms: CardTerms,
    place: Place,
    product: Product | None,
    shop: list[tuple[Product | None, int]],
    plate: str | None,
    share: int,
    local: datetime,
) -> Refused | None:
    lines: list[Product | None] = [found for found, _ in shop]
    if product is not None or not lines:
        lines.insert(0, product)
    for line in lines:
        quantity = decision.quantity_milli if line is product else 0
        judgement = limits_of(card, terms, place, line, plate=plate, amount_minor=share, quantity_milli=quantity, local=local)
        if judgement.blocked is not None:
            return limit_refusal(judgement, card, terms, place.currency, line)
        if judgement.flags:
            decision.flags |= Flag.LIMIT
    if place.amount_max_minor is not None and share > place.amount_max_minor:
        text = shown(place.amount_max_minor, place.currency)
        return Refused(Reason.TERMINAL_CAP, limit="terminal", remaining_minor=place.amount_max_minor, remaining_text=text)
    return None


def _pay(
    decision: Decision,
    answer: SaleAnswer,
    request: SaleRequest,
    *,
    card: CardFacts,
    terms: CardTerms,
    place: Place,
    share: int,
    bill: Bill | None,
    exact: bool,
    now: datetime,
) -> Decision:
    purses = spendable(card.purses, card_id=card.card_id, unit=place.currency, now=now)
    takes = allocate(purses, share, terms.spend_order) if bill is None else allocate_bill(purses, share, bill, terms.spend_order)
    private = is_private(card)
    taken = sum([take.amount_minor for take in takes])
    if taken < share:
        funds = funds_of(purses) if bill is None else taken
        return decline(
            decision,
            answer,
            Refused(
                Reason.INSUFFICIENT_FUNDS,
                remaining_minor=max(0, funds) if private else None,
                remaining_text=shown(max(0, funds), place.currency) if private else "—",
            ),
        )
    decision.card_minor = share
    decision.spend(takes, purses, exact=exact and private)
    for tender in request.tenders:
        decision.tender(tender.tender, tender.amount_minor)
    decision.counted = (share, decision.quantity_milli, 1)
    decision.counter_seen = counter_seen(card, terms)
    decision.fill_id = request.fill_id
    decision.status = _COMPLETED
    answer.outcome = "approved"
    answer.sale = reference(decision.account_id, decision.subject_id)
    answer.taken = taken_from(takes, purses)
    answer.flags = flag_names(decision.flags)
    answer.booked_at = written(now)
    if private:
        balance, available = money_left(applied(card.purses, decision.changes), place.currency)
        answer.balance_after_minor, answer.available_after_minor = balance, available
    decision.answer = encode(answer)
    return decision


def detail_of(request: SaleRequest) -> dict[str, Any]:
    """Return what a sale keeps of its shop lines and tenders, as they were said."""
    detail: dict[str, Any] = {}
    if request.shop:
        detail["lines"] = [
            {"product": line.product, "quantity_milli": line.quantity_milli, "amount_minor": line.amount_minor} for line in request.shop
        ]
    if request.tenders:
        detail["tenders"] = [{"tender": t.tender, "amount_minor": t.amount_minor, "reference": t.reference} for t in request.tenders]
    return detail


def taken_from(takes: list[Take], purses: list[PurseView]) -> list[Taken]:
    if len(takes) == 1 and len(purses) == 1:
        return [Taken(_PURSE_NAMES[purses[0].kind], takes[0].amount_minor)]
    kinds = {purse.purse_id: purse.kind for purse in purses}
    sums: dict[str, int] = {}
    for take in takes:
        name = _PURSE_NAMES[kinds[take.purse_id]]
        sums[name] = sums.get(name, 0) + take.amount_minor
    return [Taken(name, amount) for name, amount in sums.items()]


def decide_completion(
    decision: Decision,
    request: CompletionRequest,
    *,
    original: AuthorizationFacts,
    product: Product | None,
    sold: Product | None,
    place: Place,
    book: Book | None,
    spend_order: tuple[SpendStep, ...],
    exact: bool,
    now: datetime,
    local: datetime,
) -> Decision:
    """Book what the pump delivered. Always booked: no limit, block or lack of funds stops it.

    Order: the holds, then the account while it lasts, then a receivable. The frozen discount settles by the litres, at the pump's price.
    `product` is what the pump names, `sold` what was authorised; `book` the rulebook that was frozen (None: a term of the release before).
    `exact` says that the balance may be told: a private account, alone in its batch.
    """
    answer = SaleAnswer(
        outcome="booked", authorization=reference(original.account_id, original.authorization_id), currency=original.currency
    )
    decision.authorization = (original.authorization_id, original.status, original.completions)
    decision.flow, decision.nozzle = original.flow, request.nozzle if request.nozzle is not None else original.nozzle
    decision.product_id = original.product_id
    decision.unit_price_e4 = request.unit_price_e4
    decision.gross_minor, decision.quantity_milli = request.amount_minor, request.quantity_milli
    _flag(decision, request, original, product, place.digits, now)
    settled = _settled(decision, request, original, product or sold, place, book, Moment(now, local))
    saved = 0 if settled is None else settled.outcome.discount_minor
    decision.gross_minor += 0 if settled is None else settled.outcome.surcharge_minor
    share = decision.gross_minor - saved
    decision.discount_minor, decision.card_minor = saved, share
    bill = None
    if has_conditions(original.purses):
        bill = _bill_of_fill(request, original, product or sold, place, share)
    taken, held_before, held_after = _capture(
        decision, answer, original, share=share, bill=bill, final=request.final, spend_order=spend_order, now=now
    )
    if settled is not None:
        offering.take(decision, settled.outcome)
        offering.tell(answer, settled.outcome, place, book)
    _end(decision, request, original, held_before=held_before, held_after=held_after)
    answer.gross_minor, answer.discount_minor, answer.card_minor = decision.gross_minor, saved, share
    if share or request.quantity_milli:
        answer.sale = reference(decision.account_id, decision.subject_id)
        answer.taken = taken_from(taken, original.purses) or None
    else:
        answer.outcome = "released"
    answer.flags = flag_names(decision.flags)
    answer.booked_at = written(now)
    answer.card = original.number_tail
    if exact:
        answer.balance_after_minor, answer.available_after_minor = money_left(applied(original.purses, decision.changes), original.currency)
    detail: dict[str, Any] = {}
    if settled is not None and original.frozen is not None:
        detail |= offering.documents(settled.outcome, place.station_id, original.frozen.share, settled.counted)
    if request.odometer_km is not None:
        decision.prompts = {"odometer_km": request.odometer_km}
        detail["odometer_km"] = request.odometer_km
    if original.subjects:
        levelling.end(decision, original.subjects)
        detail |= levelling.kept(original.subjects)
    decision.detail = detail or None
    decision.answer = encode(answer)
    return decision


def _settled(
    decision: Decision,
    request: CompletionRequest,
    original: AuthorizationFacts,
    sold: Product | None,
    place: Place,
    book: Book | None,
    moment: Moment,
) -> Settled | None:
    """Settle what the authorisation froze; once that has ended, what was set aside is given back already."""
    frozen = original.frozen
    if frozen is None or sold is None:
        return None
    goods = (offering.fuel(sold, request.quantity_milli, request.unit_price_e4, request.amount_minor),)
    earlier = original.captured_milli > 0 or original.captured_minor > 0
    if original.status in _ENDED:
        frozen = released(frozen)
    settled = offering.settled(frozen, book, place, goods, original.flow, moment, final=request.final, earlier=earlier)
    decision.counts, decision.budgets = settled.counts, settled.budgets
    if settled.left is not None:
        decision.frozen = _json(settled.left).decode()
    return settled


def _capture(
    decision: Decision,
    answer: SaleAnswer,
    original: AuthorizationFacts,
    *,
    share: int,
    bill: Bill | None,
    final: bool,
    spend_order: tuple[SpendStep, ...],
    now: datetime,
) -> tuple[list[Take], int, int]:
    """Take the card's share from the holds, then from the account, then from a receivable; release what is left at the end.

    Bonus money that asks for a larger fill than this became pays only what nothing else that is held does.
    Return what the purses gave, and what was and is held in minor units.
    """
    held = sum([amount for _, amount in original.holds])
    holds = original.holds
    if bill is not None:
        last = asking_more(original.purses, bill.gross_minor)
        holds = tuple(sorted(holds, key=lambda hold: hold[0] in last))
    captured, left = _from_holds(holds, share)
    decision.capture(captured)
    from_holds = min(held, share)
    extra: list[Take] = []
    if share > from_holds:
        own = spendable(original.purses, card_id=original.card_id, unit=original.currency, now=now)
        own = own if bill is None else usable(own, bill)
        extra = allocate(own, share - from_holds, spend_order)
        decision.flags |= Flag.OVER_CAPTURE
        decision.spend(extra, own, exact=False)
        answer.receivable_minor = share - from_holds - sum([take.amount_minor for take in extra])
        if answer.receivable_minor:
            decision.owe(answer.receivable_minor, original.purses)
    if final:
        decision.release(left)
        answer.released_minor = held - from_holds
    else:
        decision.still_held = left
    return [*captured, *extra], held, 0 if final else held - from_holds


def _bill_of_fill(request: CompletionRequest, original: AuthorizationFacts, product: Product | None, place: Place, share: int) -> Bill:
    """Return what was dispensed as conditions of bonus money see it, all its parts so far together."""
    line = Due("", frozenset(), share) if product is None else Due(product.code, product.tags, share)
    return Bill((line,), original.captured_minor + request.amount_minor, place.site)


def _flag(
    decision: Decision, request: CompletionRequest, original: AuthorizationFacts, product: Product | None, digits: int, now: datetime
) -> None:
    if abs(request.amount_minor - line_amount(request.quantity_milli, request.unit_price_e4, digits)) > TOLERANCE_MINOR:
        decision.flags |= Flag.AMOUNT_DIFFERS
    if request.unit_price_e4 != original.unit_price_e4:
        decision.flags |= Flag.PRICE_DIFFERS
    if product is not None and product.product_id != original.product_id:
        decision.flags |= Flag.PRODUCT_DIFFERS
        decision.product_id = product.product_id
    event_at = request.event_at or now
    if event_at - original.event_at > HOLD_FOR:
        decision.flags |= Flag.LATE
    if original.status in _ENDED:
        decision.flags |= Flag.AFTER_END


def _from_holds(holds: Sequence[tuple[UUID, int]], share: int) -> tuple[list[Take], list[Take]]:
    """Take `share` from the holds in their order; return (captured, what is still held)."""
    captured: list[Take] = []
    left: list[Take] = []
    for purse_id, amount in holds:
        taken = min(amount, share)
        if taken > 0:
            captured.append(Take(purse_id, taken))
            share -= taken
        if amount > taken:
            left.append(Take(purse_id, amount - taken))
    return captured, left


def _end(decision: Decision, request: CompletionRequest, original: AuthorizationFacts, *, held_before: int, held_after: int) -> None:
    """Set the authorisation's next status and what the limit counters change by.

    A counter always shows what was taken plus what is still set aside, in money and litres; a fill counts once.
    """
    delivered = request.amount_minor > 0 or request.quantity_milli > 0
    ended = original.status in _ENDED
    before = original.captured_milli > 0 or original.captured_minor > 0
    if ended:
        # Nothing delivered moves nothing: a reversed authorisation does not become a released one.
        decision.status = _COMPLETED if delivered else original.status
    elif not request.final:
        decision.status = Status.PART_COMPLETED
    else:
        decision.status = _COMPLETED if delivered or before else Status.RELEASED
    reserved = 0 if ended else max(0, original.approved_milli - original.captured_milli)
    reserved_after = 0 if request.final or ended else max(0, reserved - request.quantity_milli)
    count = 0
    if not ended:
        count = 0 if delivered or before or not request.final else -1
    elif delivered and not before and original.status != _COMPLETED:
        count = 1
    decision.counted = (decision.card_minor + held_after - held_before, request.quantity_milli + reserved_after - reserved, count)
    decision.counter_day = original.business_day
