"""What is decided about a sale that already happened: nothing but where its money comes from and what to flag. Pure."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

from loyalty.ledger.model import AccountStatus
from loyalty.ledger.rules import spendable
from loyalty.ledger.spending import allocate_bill
from loyalty.limits.rules import Judgement
from loyalty.pricing.basket import CARD
from loyalty.pricing.evaluating import Outcome

from . import levelling, offering
from .decision import Decision
from .facts import CardFacts, CardTerms, Place, Product
from .model import Flag, Flow, Status
from .offering import Offer
from .prompting import told_with
from .rules import encode, flag_names, is_private, limits_of, product_refuses
from .settling import detail_of, goods_of, price_fuel, taken_from
from .wire import (
    CardNumber,
    Credential,
    DriverNumber,
    FuelLine,
    Instant,
    Nozzle,
    OrderNumber,
    Record,
    SaleAnswer,
    SaleRequest,
    ShopLine,
    Tender,
    reference,
)

_ACTIVE: Final = 2


class AdvisedCard(Struct, forbid_unknown_fields=True, frozen=True):
    """The card as the till knew it offline; a number that was read from track or chip, or typed."""

    number: CardNumber
    pin_verified: bool = False
    """Whether the till checked a PIN by its offline means."""


class AdvisedDriverCard(Struct, forbid_unknown_fields=True, frozen=True):
    """The driver's own card as the till read it beside the one that paid."""

    number: CardNumber


class Advice(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A sale that already happened, told afterwards. `authorization` names the one it completes; then it carries a fuel line only."""

    key: UUID
    """Its own idempotency key: the one under which it would have been asked for online."""
    event_at: Instant
    card: AdvisedCard | None = None
    authorization: Annotated[str, Meta(min_length=43, max_length=43)] | None = None
    fuel: FuelLine | None = None
    fill_id: UUID | None = None
    shop: Annotated[list[ShopLine], Meta(max_length=50)] = []
    tenders: Annotated[list[Tender], Meta(max_length=5)] = []
    plate: Annotated[str, Meta(max_length=16)] | None = None
    odometer_km: Annotated[int, Meta(ge=0, le=10**8)] | None = None
    driver_number: DriverNumber | None = None
    """Who said to drive. A PIN cannot be checked offline, so none is told."""
    driver_card: AdvisedDriverCard | None = None
    """In place of `driver_number`."""
    order_number: OrderNumber | None = None
    nozzle: Nozzle | None = None
    staff_id: UUID | None = None
    why: Literal["offline", "stand_in", "late"] = "offline"
    record: Record | None = None


def decide_advice(
    decision: Decision,
    advice: Advice,
    *,
    product: Product | None,
    shop: list[tuple[Product | None, int]],
    place: Place,
    card: CardFacts | None,
    terms: CardTerms | None,
    published_e4: int | None,
    offer: Offer | None,
    local: datetime,
) -> Decision:
    """Book a sale that happened, whatever it is: no status, limit or lack of funds stops it; each leaves a flag.

    `decision` stands on the account that bears it: the suspense account where `card` is None or cannot pay in this currency (`offer` is
    None then); what the account does not hold is owed. Prices, limits and expiry are judged at the event's time.
    """
    answer = SaleAnswer(outcome="booked", currency=place.currency)
    request = SaleRequest(card=Credential(), shop=advice.shop, tenders=advice.tenders)
    decision.flow = Flow.PAY_AFTER if advice.fuel is not None else Flow.SHOP
    decision.staff_id, decision.fill_id = advice.staff_id, advice.fill_id
    if advice.plate or advice.odometer_km is not None:
        decision.prompts = {"plate": advice.plate, "odometer_km": advice.odometer_km}
    decision.flags |= Flag.OFFLINE | _card_flags(card, local)
    card, as_said = told_with(
        decision,
        card,
        driver_number=advice.driver_number,
        driver_card=None if advice.driver_card is None else advice.driver_card.number,
        order_number=advice.order_number,
        product_code=None if advice.fuel is None else advice.fuel.product,
        place=place,
        local=local,
    )
    _goods(decision, advice, product, shop, published_e4, place.digits)
    outcome = None if offer is None else _benefits(decision, advice, product, shop, offer, place.digits)
    saved = 0 if outcome is None else outcome.discount_minor
    decision.gross_minor += 0 if outcome is None else outcome.surcharge_minor
    others = _tenders(decision, advice, saved)
    share = decision.gross_minor - saved - others
    if card is not None and terms is not None:
        decision.flags |= _limit_flags(card, terms, place, product, shop, advice, share, decision.quantity_milli, local)
        answer.card = card.number_tail
    decision.discount_minor, decision.card_minor = saved, share
    own = [] if card is None else spendable(card.purses, card_id=card.card_id, unit=place.currency, now=advice.event_at)
    takes = []
    if terms is not None:
        goods = goods_of(advice.shop, shop, advice.fuel, product, place.digits)
        bill = offering.bill_of(goods, outcome or Outcome(0, len(goods)), decision.gross_minor, place.site)
        takes = allocate_bill(own, share, bill, terms.spend_order)
    decision.spend(takes, own, exact=False)
    owed = share - sum(take.amount_minor for take in takes)
    if owed:
        decision.owe(owed, [] if card is None else card.purses)
        answer.receivable_minor = owed
    if outcome is not None and offer is not None:
        offering.take(decision, outcome)
        offering.count(decision, outcome, offer.share, reserve=False)
        offering.tell(answer, outcome, place, offer.book)
    decision.counted = (share, decision.quantity_milli, 1)
    decision.counter_day = local.date()
    decision.status = Status.COMPLETED
    if card is not None and card.above is not None:
        levelling.happened(decision, card.above)
    decision.detail = _detail(decision, request, advice, product, card, as_said)
    if outcome is not None and offer is not None:
        kept = offering.documents(outcome, place.station_id, offer.share, decision.counts)
        decision.detail = (decision.detail or {}) | kept or None
    answer.sale = reference(decision.account_id, decision.subject_id)
    answer.gross_minor, answer.discount_minor, answer.card_minor, answer.tenders_minor = decision.gross_minor, saved, share, others
    answer.taken = taken_from(takes, own) or None
    answer.flags = flag_names(decision.flags)
    decision.answer = encode(answer)
    return decision


def _card_flags(card: CardFacts | None, local: datetime) -> int:
    if card is None:
        return Flag.UNKNOWN_CARD
    expired = card.expires_on is not None and card.expires_on < local.date()
    bad = card.status != _ACTIVE or card.account_status != AccountStatus.OPEN or expired
    return Flag.CARD_STATUS if bad else Flag.NONE


def _goods(
    decision: Decision,
    advice: Advice,
    product: Product | None,
    shop: list[tuple[Product | None, int]],
    published_e4: int | None,
    digits: int,
) -> None:
    """Take the lines as they stand."""
    if advice.fuel is not None and product is not None:
        price_fuel(decision, advice.fuel, product, published_e4, digits)
    elif advice.fuel is not None:
        fuel = advice.fuel
        decision.nozzle, decision.quantity_milli, decision.unit_price_e4 = fuel.nozzle, fuel.quantity_milli, fuel.unit_price_e4
        decision.gross_minor = fuel.amount_minor
        decision.flags |= Flag.PRODUCT_DIFFERS
    if any(found is None for found, _ in shop):
        decision.flags |= Flag.PRODUCT_DIFFERS
    decision.nozzle = advice.nozzle if decision.nozzle is None else decision.nozzle
    decision.gross_minor += sum(amount for _, amount in shop)


def _benefits(
    decision: Decision, advice: Advice, product: Product | None, shop: list[tuple[Product | None, int]], offer: Offer, digits: int
) -> Outcome | None:
    """Evaluate the rules of the event's time; none where the discounts would leave less due than other tenders have paid already."""
    goods = goods_of(advice.shop, shop, advice.fuel, product, digits)
    if not goods:
        return None
    _, outcome = offer.evaluate(goods, int(decision.flow), (CARD, *[tender.tender for tender in advice.tenders]))
    others = sum(tender.amount_minor for tender in advice.tenders)
    return outcome if outcome.discount_minor <= max(0, decision.gross_minor - others) else None


def _tenders(decision: Decision, advice: Advice, saved: int) -> int:
    """Book the other tenders up to what was due; what they exceed it by is a matter of the till's cash, and flagged."""
    room = decision.gross_minor - saved
    for tender in advice.tenders:
        taken = min(tender.amount_minor, room)
        if taken:
            decision.tender(tender.tender, taken)
        if taken < tender.amount_minor:
            decision.flags |= Flag.AMOUNT_DIFFERS
        room -= taken
    return decision.gross_minor - saved - room


def _limit_flags(
    card: CardFacts,
    terms: CardTerms,
    place: Place,
    product: Product | None,
    shop: list[tuple[Product | None, int]],
    advice: Advice,
    share: int,
    quantity_milli: int,
    local: datetime,
) -> int:
    lines: list[Product | None] = [line for line in (product, *(found for found, _ in shop)) if line is not None]
    for line in lines or [None]:
        if line is not None and product_refuses(line, terms) is not None:
            return Flag.LIMIT
        quantity = quantity_milli if line is product else 0
        judged: Judgement = limits_of(
            card, terms, place, line, plate=advice.plate, amount_minor=share, quantity_milli=quantity, local=local
        )
        if judged.blocked is not None or judged.flags:
            return Flag.LIMIT
    return Flag.NONE


def _detail(
    decision: Decision, request: SaleRequest, advice: Advice, product: Product | None, card: CardFacts | None, as_said: dict[str, Any]
) -> dict[str, Any] | None:
    detail = detail_of(request)
    if advice.fuel is not None and product is None:
        detail["product"] = advice.fuel.product
    if advice.why != "offline":
        detail["why"] = advice.why
    if advice.card is not None and advice.card.pin_verified:
        detail["pin_verified"] = True
    if card is None or not is_private(card):
        # By what was said somebody finds out whose it is.
        detail |= {name: value for name, value in (decision.prompts or {}).items() if value is not None}
    return detail | as_said or None
