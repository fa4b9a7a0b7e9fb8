"""Decisions once fuel is in the tank: the sale in one step, and the completion of an authorisation. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from loyalty.ledger.model import PurseKind
from loyalty.ledger.rules import PurseView, SpendStep, Take, allocate, funds_of, spendable
from loyalty.money import line_amount, shown
from loyalty.pricing.rules import FrozenTerm, discount_of

from .decision import Decision, applied
from .facts import AuthorizationFacts, CardFacts, CardTerms, FillFacts, Place, Product
from .model import FillStatus, Flag, Flow, Status
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
    frozen,
    is_private,
    limit_refusal,
    limits_of,
    money_left,
    place_refuses,
    product_refuses,
    written,
)
from .wire import CompletionRequest, FuelLine, SaleAnswer, SaleRequest, Taken, reference

TOLERANCE_MINOR: Final = 5
"""How far the pump's amount may lie from litres × price before the sale is flagged (domain notes: default ¥0.05)."""

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
    term: FrozenTerm | None,
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
        refused = _goods_refuse(request, fuel, product, shop, fill, place, terms, now, holds_fill=presented.holds_fill)
    if refused is not None:
        return decline(decision, answer, refused)
    answer.currency = place.currency
    saved = 0
    if fuel is not None and product is not None:
        saved = price_fuel(decision, fuel, product, term, published_e4, place.digits)
    for _, amount in shop:
        decision.gross_minor += amount
    answer.gross_minor, answer.discount_minor, answer.discount = decision.gross_minor, saved, frozen(term, saved) if saved else None
    decision.discount_minor = saved
    others = sum([tender.amount_minor for tender in request.tenders])
    share = decision.gross_minor - saved - others
    answer.tenders_minor, answer.card_minor = others, max(0, share)
    if share < 0:
        return decline(decision, answer, Refused(Reason.TENDERS_EXCEED, remaining_minor=decision.gross_minor - saved))
    refused = _limits_refuse(decision, card, terms, place, product, shop, request.plate, share, local)
    if refused is not None:
        return decline(decision, answer, refused)
    return _pay(decision, answer, request, card=card, terms=terms, place=place, share=share, term=term, exact=exact, now=now)


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


def price_fuel(decision: Decision, fuel: FuelLine, product: Product, term: FrozenTerm | None, published_e4: int | None, digits: int) -> int:
    """Take the pump's line as it stands, flag what differs, and return the discount."""
    decision.product_id, decision.nozzle = product.product_id, fuel.nozzle
    decision.quantity_milli, decision.unit_price_e4 = fuel.quantity_milli, fuel.unit_price_e4
    decision.gross_minor = fuel.amount_minor
    if abs(fuel.amount_minor - line_amount(fuel.quantity_milli, fuel.unit_price_e4, digits)) > TOLERANCE_MINOR:
        decision.flags |= Flag.AMOUNT_DIFFERS
    if published_e4 is not None and published_e4 != fuel.unit_price_e4:
        decision.flags |= Flag.PRICE_DIFFERS
    return discount_of(
        term, quantity_milli=fuel.quantity_milli, unit_price_e4=fuel.unit_price_e4, gross_minor=fuel.amount_minor, digits=digits
    )


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
    term: FrozenTerm | None,
    exact: bool,
    now: datetime,
) -> Decision:
    purses = spendable(card.purses, card_id=card.card_id, unit=place.currency, now=now)
    takes = allocate(purses, share, terms.spend_order)
    private = is_private(card)
    if sum([take.amount_minor for take in takes]) < share:
        funds = funds_of(purses)
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
    if term is not None:
        decision.discount(decision.discount_minor, term.funder)
    for tender in request.tenders:
        decision.tender(tender.tender, tender.amount_minor)
    decision.counted = (share, decision.quantity_milli, 1)
    decision.counter_seen = counter_seen(card, terms)
    decision.fill_id = request.fill_id
    decision.detail = detail_of(request, term if decision.discount_minor else None)
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


def detail_of(request: SaleRequest, term: FrozenTerm | None) -> dict[str, Any] | None:
    """Return what a sale keeps of its shop lines, tenders and discount, as they were said."""
    detail: dict[str, Any] = {}
    if request.shop:
        detail["lines"] = [
            {"product": line.product, "quantity_milli": line.quantity_milli, "amount_minor": line.amount_minor} for line in request.shop
        ]
    if request.tenders:
        detail["tenders"] = [{"tender": t.tender, "amount_minor": t.amount_minor, "reference": t.reference} for t in request.tenders]
    if term is not None:
        detail["discount"] = term.document()
    return detail or None


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
    spend_order: tuple[SpendStep, ...],
    digits: int,
    exact: bool,
    now: datetime,
) -> Decision:
    """Book what the pump delivered. Always booked: no limit, block or lack of funds stops it.

    Order: the holds, then the account while it lasts, then a receivable. The frozen discount settles by the litres, at the pump's price.
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
    _flag(decision, request, original, product, digits, now)
    term = original.frozen
    saved = discount_of(
        term, quantity_milli=request.quantity_milli, unit_price_e4=request.unit_price_e4, gross_minor=request.amount_minor, digits=digits
    )
    share = request.amount_minor - saved
    decision.discount_minor, decision.card_minor = saved, share
    taken, held_before, held_after = _capture(
        decision, answer, original, share=share, final=request.final, spend_order=spend_order, now=now
    )
    if term is not None:
        decision.discount(saved, term.funder)
        answer.discount = frozen(term, saved)
    _end(decision, request, original, held_before=held_before, held_after=held_after)
    answer.gross_minor, answer.discount_minor, answer.card_minor = request.amount_minor, saved, share
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
    if saved and term is not None:
        detail["discount"] = term.document()
    if request.odometer_km is not None:
        decision.prompts = {"odometer_km": request.odometer_km}
        detail["odometer_km"] = request.odometer_km
    decision.detail = detail or None
    decision.answer = encode(answer)
    return decision


def _capture(
    decision: Decision,
    answer: SaleAnswer,
    original: AuthorizationFacts,
    *,
    share: int,
    final: bool,
    spend_order: tuple[SpendStep, ...],
    now: datetime,
) -> tuple[list[Take], int, int]:
    """Take the card's share from the holds, then from the account, then from a receivable; release what is left at the end.

    Return what the purses gave, and what was and is held in minor units.
    """
    held = sum([amount for _, amount in original.holds])
    captured, left = _from_holds(original.holds, share)
    decision.capture(captured)
    from_holds = min(held, share)
    extra: list[Take] = []
    if share > from_holds:
        own = spendable(original.purses, card_id=original.card_id, unit=original.currency, now=now)
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
