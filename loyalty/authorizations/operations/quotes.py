"""What a card may take here and now, and what its account holds: the pump's own decision, with nothing written.

A PIN is evaluated only where one is given, in a transaction of its own that counts the try (`cards.operations.check_pin`).
"""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.authorizations.answers import BalanceAnswer, BonusLot, QuoteAnswer, QuoteLine
from loyalty.authorizations.approving import decide_authorization
from loyalty.authorizations.decision import Decision, Write
from loyalty.authorizations.facts import CardFacts, CardTerms, Place, Product
from loyalty.authorizations.hot import local_time
from loyalty.authorizations.offering import Offer
from loyalty.authorizations.prompting import fields_of, needs_of
from loyalty.authorizations.reasons import Reason, say
from loyalty.authorizations.rules import (
    Presented,
    Refused,
    card_refuses,
    credential_refuses,
    is_private,
    limit_refusal,
    limits_of,
    money_left,
    place_refuses,
    word,
)
from loyalty.authorizations.snapshot import Snapshot
from loyalty.authorizations.wire import AuthorizationAnswer, AuthorizationRequest, Credential, Said
from loyalty.cards.operations import check_pin
from loyalty.cards.rules import PinCheck
from loyalty.db import Sessions, transaction
from loyalty.ids import uuid7
from loyalty.ledger.model import PurseKind
from loyalty.ledger.queries import get_account, purses_of
from loyalty.ledger.rules import PurseView
from loyalty.ledger.spending import ANY_SIZE, Bill, Due, spending_of, usable

from .reading import card_by_index, card_facts, offer_for

_answer = msgspec.json.Decoder(AuthorizationAnswer)

_PIN_REASONS = {PinCheck.WRONG: Reason.PIN_WRONG, PinCheck.LOCKED: Reason.PIN_LOCKED, PinCheck.NOT_SET: Reason.PIN_NOT_SET}


async def quote(
    session: AsyncSession,
    *,
    snapshot: Snapshot,
    place: Place,
    number_index: bytes,
    now: datetime,
    product: str | None = None,
    plate: str | None = None,
) -> QuoteAnswer:
    """Say what a card may take here and now of one product, or of every fuel that has a price here: 0 is an answer, with its reason.

    Nothing is held or written; who holds the card is not asked, so the answer tells no more than what a pump would approve.
    """
    card, purses = await _card(session, number_index=number_index, place=place, now=now)
    terms = None if card is None else snapshot.card_terms.get(card.product_id)
    answer = QuoteAnswer(outcome="quote", currency=place.currency)
    local = local_time(now, place.zone)
    refused = place_refuses(place) or card_refuses(card, terms, place, local)
    if card is not None:
        answer.card = card.number_tail
    if refused is not None:
        word(answer, refused)
        return answer
    assert card is not None
    assert terms is not None
    assert purses is not None
    answer.needs_pin = terms.pin_required and card.pin_verifier is not None
    answer.needs = fields_of(needs_of(card)) or None
    asked = [product] if product is not None else sorted(snapshot.product_codes())
    offer = await offer_for(session, snapshot=snapshot, place=place, card=card, terms=terms, instant=now, lock=False)
    lines = [_line(code, snapshot=snapshot, place=place, card=card, terms=terms, offer=offer, plate=plate, now=now) for code in asked]
    answer.products = [line for line in lines if product is not None or line.reason != Reason.PRICE_UNKNOWN.code]
    return answer


async def offer_to(session: AsyncSession, *, snapshot: Snapshot, place: Place, number_index: bytes, now: datetime) -> Offer | None:
    """Return the rules as a card meets them here and now, to be asked about any basket; None where there is no such card."""
    card, _ = await _card(session, number_index=number_index, place=place, now=now)
    terms = None if card is None else snapshot.card_terms.get(card.product_id)
    if card is None or terms is None:
        return None
    return await offer_for(session, snapshot=snapshot, place=place, card=card, terms=terms, instant=now, lock=False)


async def balance(
    session: AsyncSession,
    *,
    place: Place,
    number_index: bytes,
    credential: Credential,
    presented: Presented,
    snapshot: Snapshot,
    now: datetime,
) -> BalanceAnswer:
    """Tell what the account holds to who showed a checked PIN (`pin_refusal` before), a dynamic code, or the chip's check value.

    A company's pool is not its driver's to see: such a card is told what `quote` says.
    """
    card, purses = await _card(session, number_index=number_index, place=place, now=now)
    answer = BalanceAnswer(outcome="balance")
    if card is None or purses is None:
        word(answer, Refused(Reason.CARD_UNKNOWN))
        return answer
    answer.card, answer.currency = card.number_tail, card.currency
    refused = _credential_refused(card, snapshot.card_terms.get(card.product_id), credential, presented)
    if refused is not None:
        word(answer, refused)
        return answer
    if not is_private(card):
        word(answer, Refused(Reason.BALANCE_NOT_SHOWN))
        return answer
    money = [purse for purse in purses if purse.unit == card.currency and (purse.expires_at is None or purse.expires_at > now)]
    answer.balance_minor, answer.available_minor = money_left(money, card.currency)
    answer.held_minor = sum(purse.held_minor for purse in money)
    answer.bonus_minor = sum(purse.balance_minor for purse in money if purse.kind == PurseKind.BONUS)
    lots = sorted(
        [one for one in money if one.kind == PurseKind.BONUS and one.balance_minor and (one.expires_at or one.spending)],
        key=lambda one: (one.expires_at is None, one.expires_at or now, one.purse_id),
    )
    answer.bonus_lots = [
        BonusLot(
            amount_minor=one.balance_minor, expires_at=one.expires_at, spend=None if one.spending is None else spending_of(one.spending)
        )
        for one in lots
    ] or None
    answer.owed_minor = -sum(purse.balance_minor for purse in money if purse.kind == PurseKind.RECEIVABLE)
    return answer


async def pin_refusal(
    sessions: Sessions, *, number_index: bytes, pin: str, terminal_id: UUID, station_id: UUID, now: datetime
) -> Said | None:
    """Try a PIN in a transaction of its own, so that the try is counted before anybody learns the result; None where it is right.

    An unknown card is refused like a card without a PIN would be: by its reason only.
    """
    async with transaction(sessions) as session:
        card = await card_by_index(session, number_index=number_index)
        if card is None:
            refused = Refused(Reason.CARD_UNKNOWN)
        else:
            tried = await check_pin(
                session, card_id=card.card_id, pin=pin, actor=Actor(ActorKind.TERMINAL, terminal_id), station_id=station_id, now=now
            )
            if tried.check is PinCheck.RIGHT:
                return None
            refused = Refused(_PIN_REASONS[tried.check], remaining_text=str(tried.tries_left), needs=["pin"])
    said = Said(outcome="declined")
    word(said, refused)
    return said


async def _card(
    session: AsyncSession, *, number_index: bytes, place: Place, now: datetime
) -> tuple[CardFacts | None, list[PurseView] | None]:
    card = await card_by_index(session, number_index=number_index)
    if card is None:
        return None, None
    account = await get_account(session, account_id=card.account_id)
    purses = await purses_of(session, account_id=card.account_id)
    day = local_time(now, place.zone).date()
    facts = await card_facts(session, card=card, account=account, purses=purses, day=day)
    return facts, facts.purses


def _credential_refused(card: CardFacts, terms: CardTerms | None, credential: Credential, presented: Presented) -> Refused | None:
    if terms is None:
        return Refused(Reason.CARD_UNKNOWN)
    if presented.pin is not None:
        # Tried by `pin_refusal`, whose commit came first.
        return None
    return credential_refuses(card, terms, credential, presented)[0]


def _line(
    code: str,
    *,
    snapshot: Snapshot,
    place: Place,
    card: CardFacts,
    terms: CardTerms,
    offer: Offer,
    plate: str | None,
    now: datetime,
) -> QuoteLine:
    line = QuoteLine(product=code)
    local = local_time(now, place.zone)
    product: Product | None = snapshot.products.get(code)
    if product is not None and product.category != "fuel":
        return _goods_line(line, product, place, card, terms, plate, local, now)
    price = None if product is None else snapshot.price(place.station_id, product.product_id, now)
    decision = Decision(
        Write.AUTHORIZATION,
        station_id=place.station_id,
        event_at=now,
        business_day=local.date(),
        subject_id=uuid7(now),
        currency=place.currency,
    )
    decision.account_id, decision.card_id, decision.chain_id = card.account_id, card.card_id, card.chain_id
    decide_authorization(
        decision,
        # More than any tank holds, so that the answer is partial and names what binds.
        AuthorizationRequest(card=Credential(), product=code, plate=plate, quantity_milli=10**12),
        place=place,
        card=card,
        terms=terms,
        product=product,
        price_e4=price,
        offer=offer,
        presented=Presented(token_ok=True, quotes=True),
        exact=False,
        now=now,
        local=local,
    )
    said = _answer.decode(decision.answer)
    line.unit_price_e4 = price or 0
    line.reason, line.limit = said.reason, said.limit
    if said.outcome in {"approved", "partial"}:
        line.amount_minor, line.quantity_milli, line.pays_minor = said.approved_minor, said.approved_milli, said.held_minor
        line.discount, line.benefits, line.others = said.discount, said.benefits, said.others
    else:
        line.message_zh, line.message_en = said.message_zh, said.message_en
    return line


def _goods_line(
    line: QuoteLine,
    product: Product,
    place: Place,
    card: CardFacts,
    terms: CardTerms,
    plate: str | None,
    local: datetime,
    now: datetime,
) -> QuoteLine:
    """Say how much shop goods of this kind the card may pay: money only, since goods have no quantity of their own here."""
    judged = limits_of(card, terms, place, product, plate=plate, amount_minor=0, quantity_milli=0, local=local)
    if judged.blocked is not None:
        refusal = limit_refusal(judged, card, terms, place.currency, product)
        line.reason, line.limit = refusal.reason.code, refusal.limit
        line.message_zh, line.message_en = say(refusal.reason, remaining="0", limit=refusal.limit or "", allowed="—")
        return line
    living = [purse for purse in card.purses if purse.expires_at is None or purse.expires_at > now]
    goods = Bill((Due(product.code, product.tags, 1),), ANY_SIZE, place.site)
    funds = money_left(usable(living, goods), place.currency)[1]
    bounds: list[tuple[int, Reason, str | None]] = [(max(0, funds), Reason.INSUFFICIENT_FUNDS, None)]
    if judged.remaining_amount_minor is not None:
        bounds.append((judged.remaining_amount_minor, Reason.AMOUNT_LIMIT, judged.binding_amount))
    if place.amount_max_minor is not None:
        bounds.append((place.amount_max_minor, Reason.TERMINAL_CAP, "terminal"))
    line.amount_minor, reason, line.limit = min(bounds, key=lambda bound: bound[0])
    line.pays_minor, line.reason = line.amount_minor, reason.code
    return line
