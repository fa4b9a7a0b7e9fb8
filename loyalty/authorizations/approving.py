"""The decision before fuel flows: how much may be taken, at which saving, and what is set aside for it. Pure."""

from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple

from loyalty.ledger.rules import allocate, funds_of, spendable
from loyalty.ledger.spending import ANY_SIZE, Bill, Due, asking_more, has_conditions, usable
from loyalty.limits.rules import Judgement
from loyalty.limits.wording import limit_label
from loyalty.money import line_amount, quantity_for, shown
from loyalty.pricing.compiling import Plan
from loyalty.pricing.evaluating import Outcome

from . import levelling, offering
from .decision import Decision
from .facts import CardFacts, CardTerms, Place, Product
from .model import Flag, Flow, Status
from .offering import Offer
from .prompting import said_with
from .reasons import Reason, say
from .rules import (
    HOLD_FOR,
    Presented,
    Refused,
    Written,
    card_refuses,
    counter_seen,
    credential_refuses,
    decline,
    encode,
    flag_names,
    is_private,
    limit_refusal,
    limits_of,
    place_refuses,
    product_refuses,
    quantity_text,
)
from .wire import AuthorizationAnswer, AuthorizationRequest, reference

LEAST_PARTIAL_MILLI: Final = 1000
"""A partial approval below one unit is no use at a pump."""
_APPROVED: Final = int(Status.APPROVED)
_FLOWS: Final = {flow.name.lower(): int(flow) for flow in Flow}
_FLAG_LIMIT: Final = int(Flag.LIMIT)
_ROUNDS: Final = 8
"""How often a quantity is corrected towards the money that is there, where its price hangs on the quantity itself."""


class Bound(NamedTuple):
    """What may be taken at most: money and quantity, and what binds each."""

    money_minor: int
    money_reason: Reason
    money_limit: str | None
    quantity_milli: int | None
    quantity_reason: Reason
    quantity_limit: str | None


class Priced(NamedTuple):
    """A quantity and what it costs."""

    quantity_milli: int
    gross_minor: int
    plan: Plan
    outcome: Outcome

    @property
    def net_minor(self) -> int:
        """What is paid for it."""
        return self.gross_minor - self.outcome.discount_minor + self.outcome.surcharge_minor


def decide_authorization(
    decision: Decision,
    request: AuthorizationRequest,
    *,
    place: Place,
    card: CardFacts | None,
    terms: CardTerms | None,
    product: Product | None,
    price_e4: int | None,
    offer: Offer | None,
    presented: Presented,
    exact: bool,
    now: datetime,
    local: datetime,
) -> Decision:
    """Decide on an authorisation before fuel flows.

    What may be taken is the least of: what was asked, the limits, the terminal's cap, the funds at the net price. Less than asked is a
    partial approval, if the POS takes one and at least one unit is left.
    """
    answer = AuthorizationAnswer(outcome="declined")
    decision.flow = _FLOWS[request.flow]
    decision.nozzle = request.nozzle
    decision.requested_minor = request.amount_minor
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
    if refused is None:
        if product is None:
            refused = Refused(Reason.PRODUCT_UNKNOWN)
        elif price_e4 is None:
            refused = Refused(Reason.PRICE_UNKNOWN)
        else:
            refused = product_refuses(product, terms)
    if refused is not None:
        return decline(decision, answer, _asking(decision, answer, request, refused))
    assert product is not None
    assert price_e4 is not None
    decision.product_id = product.product_id
    decision.unit_price_e4 = price_e4
    answer.product, answer.unit_price_e4, answer.currency = product.code, price_e4, place.currency
    assert offer is not None, "a card that is known meets the rules"
    return _approve(
        decision, answer, request, place=place, card=card, terms=terms, product=product, offer=offer, exact=exact, now=now, local=local
    )


def _approve(
    decision: Decision,
    answer: AuthorizationAnswer,
    request: AuthorizationRequest,
    *,
    place: Place,
    card: CardFacts,
    terms: CardTerms,
    product: Product,
    offer: Offer,
    exact: bool,
    now: datetime,
    local: datetime,
) -> Decision:
    price, digits = decision.unit_price_e4, place.digits
    judgement = limits_of(card, terms, place, product, plate=request.plate, amount_minor=0, quantity_milli=0, local=local)
    if judgement.blocked is not None:
        return decline(decision, answer, _asking(decision, answer, request, limit_refusal(judgement, card, terms, place.currency, product)))
    own = spendable(card.purses, card_id=card.card_id, unit=place.currency, now=now)
    purses = own if not has_conditions(own) else usable(own, Bill((Due(product.code, product.tags, 1),), ANY_SIZE, place.site))
    wanted_milli = request.quantity_milli or (quantity_for(request.amount_minor, price, digits) if request.amount_minor else None)
    while True:
        funds = funds_of(purses)
        bound = _bound(judgement, place, funds, price)
        priced, reason, limit = _priced(offer, product, decision, bound, wanted_milli, request.amount_minor, digits)
        small = asking_more(purses, priced.gross_minor)
        if not small:
            break
        purses = [purse for purse in purses if purse.purse_id not in small]
    quantity = priced.quantity_milli
    if wanted_milli is None or quantity < wanted_milli:
        short = wanted_milli is not None and not request.partial
        if short or quantity < min(LEAST_PARTIAL_MILLI, wanted_milli or LEAST_PARTIAL_MILLI):
            left = max(0, funds if reason is Reason.INSUFFICIENT_FUNDS else priced.net_minor)
            little = _too_little(reason, limit, card, place, product, left_minor=left, left_milli=max(0, quantity))
            little.may_ask = limit in judgement.asks
            return decline(decision, answer, _asking(decision, answer, request, little))
    gross, outcome = priced.gross_minor, priced.outcome
    held = max(0, min(_most_due(priced), funds))
    decision.hold(allocate(purses, held, terms.spend_order), purses, exact=exact and is_private(card))
    decision.status = _APPROVED
    decision.gross_minor, decision.quantity_milli = gross, quantity
    decision.counted = (held, quantity, 1)
    decision.counter_seen = counter_seen(card, terms)
    levelling.begin(decision, card.above, local)
    decision.expires_at = _expires(now)
    decision.frozen = offer.freeze(priced.plan, outcome, offering.fuel(product, quantity, price, gross))
    offering.count(decision, outcome, offer.share, reserve=True)
    if (
        _may_flag(card, terms)
        and limits_of(card, terms, place, product, plate=request.plate, amount_minor=held, quantity_milli=quantity, local=local).flags
    ):
        decision.flags |= _FLAG_LIMIT
    answer.flags = flag_names(decision.flags)
    answer.outcome = "approved"
    if wanted_milli is not None and quantity < wanted_milli:
        _say_partial(decision, answer, reason, limit, may_ask=limit in judgement.asks)
    answer.authorization = reference(decision.account_id, decision.subject_id)
    answer.approved_minor, answer.approved_milli, answer.held_minor = gross, quantity, held
    if priced.plan.rules or outcome.applied:
        offering.tell(answer, outcome, place, offer.book)
    answer.expires_at = _expiry_written(decision.expires_at)
    if is_private(card):
        answer.available_after_minor = (funds if purses is own else funds_of(own)) - held
    decision.answer = encode(answer)
    return decision


def _asking(decision: Decision, answer: AuthorizationAnswer, request: AuthorizationRequest, refused: Refused) -> Refused:
    return levelling.ask(decision, answer, refused, minor=request.amount_minor, milli=request.quantity_milli)


def _bound(judgement: Judgement, place: Place, funds: int, price: int) -> Bound:
    """Return what may be taken at most, and what binds it: funds or a limit on money; a limit on quantity or the terminal's cap."""
    money, why, which = funds, Reason.INSUFFICIENT_FUNDS, None
    if judgement.remaining_amount_minor is not None and judgement.remaining_amount_minor < money:
        money, why, which = judgement.remaining_amount_minor, Reason.AMOUNT_LIMIT, judgement.binding_amount
    most, reason, limit = judgement.remaining_quantity_milli, Reason.QUANTITY_LIMIT, judgement.binding_quantity
    if place.amount_max_minor is not None:
        cap = quantity_for(place.amount_max_minor, price, place.digits)
        if most is None or cap < most:
            most, reason, limit = cap, Reason.TERMINAL_CAP, "terminal"
    return Bound(money, why, which, most, reason, limit)


def _priced(
    offer: Offer, product: Product, decision: Decision, bound: Bound, wanted_milli: int | None, asked_minor: int | None, digits: int
) -> tuple[Priced, Reason, str | None]:
    """Return the quantity that is approved and its price: what is wanted, or the most that money and limits allow, and what binds it."""
    price = decision.unit_price_e4
    rate = offer.rate(offering.fuel(product, 1000, price, 0), decision.flow)
    most, reason, limit = bound.quantity_milli, bound.quantity_reason, bound.quantity_limit
    if rate is not None:
        affordable = quantity_for(bound.money_minor, price - min(rate, price), digits)
        if most is None or affordable <= most:
            most, reason, limit = affordable, bound.money_reason, bound.money_limit
        if wanted_milli is not None and wanted_milli <= most:
            gross = asked_minor or line_amount(wanted_milli, price, digits)
            return _price(offer, product, decision, wanted_milli, gross), Reason.NONE, None
        return _price(offer, product, decision, most, line_amount(most, price, digits)), reason, limit
    if wanted_milli is not None and (most is None or wanted_milli <= most):
        whole = _price(offer, product, decision, wanted_milli, asked_minor or line_amount(wanted_milli, price, digits))
        if whole.net_minor <= bound.money_minor:
            return whole, Reason.NONE, None
        most = wanted_milli
    found = _affordable(offer, product, decision, bound.money_minor, most, digits)
    if most is not None and found.quantity_milli >= most:
        return found, reason, limit
    return found, bound.money_reason, bound.money_limit


def _price(offer: Offer, product: Product, decision: Decision, quantity_milli: int, gross_minor: int) -> Priced:
    plan, outcome = offer.evaluate((offering.fuel(product, quantity_milli, decision.unit_price_e4, gross_minor),), decision.flow)
    return Priced(quantity_milli, gross_minor, plan, outcome)


def _affordable(offer: Offer, product: Product, decision: Decision, money_minor: int, most: int | None, digits: int) -> Priced:
    """Return a quantity that the money pays, as much as is found: without discount it is affordable, then what is saved buys more."""
    price = decision.unit_price_e4
    quantity = quantity_for(money_minor, price, digits)
    quantity = quantity if most is None else min(quantity, most)
    best = _price(offer, product, decision, quantity, line_amount(quantity, price, digits))
    step = 0
    for _ in range(_ROUNDS):
        room = money_minor - best.net_minor
        step = (room * best.quantity_milli // best.net_minor if best.net_minor > 0 else 0) if not step else step // 2
        tried = best.quantity_milli + step
        tried = tried if most is None else min(tried, most)
        if tried <= best.quantity_milli:
            break
        priced = _price(offer, product, decision, tried, line_amount(tried, price, digits))
        if priced.net_minor <= money_minor:
            best, step = priced, 0
    return best


def _most_due(priced: Priced) -> int:
    """Return the most that a fill within the approval can cost: less fuel may miss a threshold and cost more than all of it.

    What hangs on a size is left out; what stacks on the rest is at least what it is now, since more is left for it then.
    """
    sure = [one.given for one in priced.outcome.applied if one.lines is not None and not one.rule.depends_on_size]
    return priced.gross_minor - sum(sure) + priced.outcome.surcharge_minor


def _too_little(
    reason: Reason, limit: str | None, card: CardFacts, place: Place, product: Product, *, left_minor: int, left_milli: int
) -> Refused:
    """Refuse because what may be taken is less than a fill, or than was asked: name the limit and what remains."""
    hidden = reason is Reason.INSUFFICIENT_FUNDS and not is_private(card)
    text = quantity_text(left_milli, product) if reason is Reason.QUANTITY_LIMIT else shown(left_minor, place.currency)
    return Refused(
        reason,
        limit=limit,
        remaining_minor=None if hidden else left_minor,
        remaining_milli=left_milli,
        remaining_text="—" if hidden else text,
    )


def _may_flag(card: CardFacts, terms: CardTerms) -> bool:
    """Say whether there is a limit that only flags: only then is what was approved judged again."""
    own, common = card.limits, terms.limits
    return (own is not None and own.flags) or (common is not None and common.flags) or (card.above is not None and card.above.may_flag)


def _say_partial(decision: Decision, answer: AuthorizationAnswer, reason: Reason, limit: str | None, *, may_ask: bool) -> None:
    decision.reason = Reason.PART_ONLY
    answer.outcome, answer.reason, answer.limit = "partial", reason.code, limit
    answer.may_ask = may_ask or None
    name = limit or reason.code
    answer.message_zh = say(Reason.PART_ONLY, limit=limit_label(name, "zh"))[0]
    answer.message_en = say(Reason.PART_ONLY, limit=limit_label(name, "en"))[1]


_expiry_written: Final = Written()


@lru_cache(maxsize=4)
def _expires(now: datetime) -> datetime:
    """Return when a hold made now ends: one object a batch."""
    return now + HOLD_FOR
