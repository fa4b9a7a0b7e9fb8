"""Advices: sales that already happened and are told afterwards. Each is booked, in its own transaction, with its own result."""

import hashlib
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.authorizations.advising import Advice, decide_advice
from loyalty.authorizations.decision import Decision, Write
from loyalty.authorizations.dedupe import Outcome, once
from loyalty.authorizations.facts import CardFacts, CardTerms, Place
from loyalty.authorizations.hot import business_day, local_time
from loyalty.authorizations.levelling import DRIVER, ORDER
from loyalty.authorizations.model import Authorization, Flag, Operation
from loyalty.authorizations.prompting import kept_of_nobody
from loyalty.authorizations.settling import decide_completion
from loyalty.authorizations.snapshot import Snapshot
from loyalty.authorizations.wire import CompletionRequest, parse_reference
from loyalty.cards.model import Card
from loyalty.cards.numbers import number_index
from loyalty.clock import period_of
from loyalty.crypto import request_fingerprint
from loyalty.db import Sessions
from loyalty.errors import OutcomeUnknown, Refusal, problem
from loyalty.ids import AccountId, uuid7
from loyalty.ledger import operations as ledger
from loyalty.ledger.model import Account, AccountKind
from loyalty.ledger.queries import get_account, lock_purses, open_period
from loyalty.limits.operations import use_late
from loyalty.limits.queries import above_at

from .booking import book_decision
from .locking import find_authorization, find_sale, lock_chain
from .reading import authorization_facts, card_by_index, card_facts, frozen_book, offer_for
from .refunds import mirror_sale

log = logging.getLogger(__name__)

ADVICES_MAX: Final = 200
"""How many records one batch may carry."""

_decode: Final = msgspec.json.Decoder(Advice)
_SUSPENSE: Final = UUID("7d1f6f0e-5d5c-5a53-8a0c-2f4f6f2f3b55")


class AdviceNotUnderstood(Refusal):
    """The record is not what this operation takes: it cannot be booked, and the till keeps it."""

    status = 422
    zh = "脱机记录无法识别：{fault}。"
    en = "The offline record is not understood: {fault}."
    next_zh = "请保留该记录并联系总部。"
    next_en = "Keep the record and call the office."


class AdviceResult(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What became of one record of a batch: its answer, or the problem with it. `key` is None where none could be read."""

    key: UUID | None = None
    answer: msgspec.Raw | None = None
    problem: dict[str, Any] | None = None


class AdviceContext(msgspec.Struct, frozen=True, kw_only=True):
    """Who tells it: the till where it stands, whether it is believed, and the reference data of now."""

    place: Place
    trusted: bool
    snapshot: Snapshot
    now: datetime


def suspense_account(currency: str) -> AccountId:
    """Return the id of a currency's suspense account: computed, so that everybody makes the same one."""
    return AccountId(uuid5(_SUSPENSE, currency))


async def book_advices(
    sessions: Sessions, *, context: AdviceContext, epoch: int | None, records: Sequence[msgspec.Raw]
) -> list[AdviceResult]:
    """Book a batch of offline records in the order given, each by itself: a bad one is named, the others go on.

    The bytes of each record are what its chain hash and its fingerprint are made of, so a retry sends them unchanged.
    """
    return [await _book_record(sessions, context=context, epoch=epoch, raw=bytes(raw)) for raw in records]


async def _book_record(sessions: Sessions, *, context: AdviceContext, epoch: int | None, raw: bytes) -> AdviceResult:
    try:
        advice = read_advice(raw)
    except AdviceNotUnderstood as refusal:
        return AdviceResult(problem=problem(refusal))
    try:
        answer = await once(
            sessions,
            terminal_id=context.place.terminal_id,
            key=advice.key,
            operation=Operation.ADVICE,
            fingerprint=request_fingerprint(raw)[:16],
            perform=lambda session: book_advice(session, advice=advice, context=context),
            after_reversal=lambda session: book_reversed(session, advice=advice, context=context),
            now=context.now,
            epoch=epoch,
            sequence=None if advice.record is None else advice.record.sequence,
            record_hash=None if advice.record is None else hashlib.sha256(raw).digest(),
            previous_hash=None if advice.record is None else advice.record.previous,
        )
    except Refusal as refusal:
        return AdviceResult(key=advice.key, problem=problem(refusal))
    except Exception as error:  # noqa: BLE001 - the other records of the batch go on, this one is asked for again
        log.error("advice failed: %s", type(error).__name__)  # noqa: TRY400 - a trace would quote values
        return AdviceResult(key=advice.key, problem=problem(OutcomeUnknown()))
    return AdviceResult(key=advice.key, answer=msgspec.Raw(answer))


def read_advice(raw: bytes) -> Advice:
    """Read one record.

    :raises AdviceNotUnderstood: if it is none, or tells of nothing
    """
    try:
        advice = _decode.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AdviceNotUnderstood(fault=str(error)) from None
    if advice.authorization is None and advice.fuel is None and not advice.shop:
        raise AdviceNotUnderstood(fault="neither fuel nor shop lines")
    if advice.authorization is not None and (advice.shop or advice.tenders):
        raise AdviceNotUnderstood(fault="a completion carries a fuel line only")
    if advice.driver_number is not None and advice.driver_card is not None:
        raise AdviceNotUnderstood(fault="driver_number and driver_card say the same: give one of them")
    return advice


async def book_advice(session: AsyncSession, *, advice: Advice, context: AdviceContext) -> Outcome:
    """Book one advice in the caller's transaction: the completion of an authorisation, or a sale; an unknown card's to suspense."""
    if advice.authorization is not None:
        both = parse_reference(advice.authorization)
        if both is not None:
            authorization = await find_authorization(session, account_id=both[0], authorization_id=both[1], lock=True)
            if authorization is not None and authorization.station_id == context.place.station_id and authorization.approved_minor:
                return await _complete(session, authorization, advice, context)
    return await _sell(session, advice, context)


async def book_reversed(session: AsyncSession, *, advice: Advice, context: AdviceContext) -> Outcome:
    """Book an advice whose reversal came before it, and reverse it at once: net nothing, both visible."""
    outcome = await book_advice(session, advice=advice, context=context)
    sale = await find_sale(session, account_id=outcome.account_id, sale_id=outcome.subject_id, lock=True)
    if sale is None or not sale.gross_minor:
        return outcome
    refunded = await mirror_sale(
        session,
        sale=sale,
        account=await get_account(session, account_id=sale.account_id),
        place=context.place,
        wanted=None,
        void=None,
        reason="reversed before it was told",
        staff_id=advice.staff_id,
        event_at=advice.event_at,
        now=context.now,
    )
    answer: dict[str, Any] = msgspec.json.decode(outcome.answer)
    answer["refund"] = msgspec.to_builtins(refunded.answer)
    return Outcome(outcome.account_id, outcome.subject_id, msgspec.json.encode(answer))


async def _complete(session: AsyncSession, authorization: Authorization, advice: Advice, context: AdviceContext) -> Outcome:
    account = await get_account(session, account_id=authorization.account_id)
    purses = await lock_purses(session, account_id=authorization.account_id)
    original = await authorization_facts(session, authorization=authorization, account=account, purses=purses)
    fuel = advice.fuel
    request = CompletionRequest(
        quantity_milli=0 if fuel is None else fuel.quantity_milli,
        unit_price_e4=authorization.unit_price_e4 if fuel is None else fuel.unit_price_e4,
        amount_minor=0 if fuel is None else fuel.amount_minor,
        product=None if fuel is None else fuel.product,
        nozzle=None if fuel is None else fuel.nozzle,
        odometer_km=advice.odometer_km,
        event_at=advice.event_at,
    )
    decision = _decision(Write.RELEASE if fuel is None else Write.COMPLETION, advice, context, currency=account.currency)
    decision.account_id, decision.card_id, decision.chain_id = authorization.account_id, authorization.card_id, authorization.chain_id
    decision.staff_id, decision.fill_id = advice.staff_id, advice.fill_id
    decision.flags |= Flag.OFFLINE | await _period_flag(session, advice, context)
    as_said = await _said_otherwise(session, decision, authorization, advice, context)
    decided = decide_completion(
        decision,
        request,
        original=original,
        product=None if fuel is None else context.snapshot.products.get(fuel.product),
        sold=context.snapshot.products_by_id.get(original.product_id),
        place=context.place,
        book=await frozen_book(session, snapshot=context.snapshot, frozen=original.frozen),
        spend_order=context.snapshot.card_terms[original.card_product_id].spend_order,
        exact=account.kind in {AccountKind.PERSONAL, AccountKind.ANONYMOUS},
        now=context.now,
        local=local_time(context.now, context.place.zone),
    )
    decided.detail = (decided.detail or {}) | as_said or None
    await book_decision(session, decided, terminal_id=context.place.terminal_id, authorization=authorization, now=context.now)
    return Outcome(decided.account_id, decided.subject_id, decided.answer)


async def _said_otherwise(
    session: AsyncSession, decision: Decision, authorization: Authorization, advice: Advice, context: AdviceContext
) -> dict[str, str]:
    """Return what the end of a fill says besides, as it was said; a driver or an order that its beginning did not have is flagged.

    A fill counts for whom it was authorised.
    """
    kept = {} if advice.plate is None else {"plate": advice.plate}
    names_driver = advice.driver_number is not None or advice.driver_card is not None
    if (not names_driver and advice.order_number is None) or authorization.chain_id is None:
        return kept
    above = await above_at(
        session,
        account_id=authorization.account_id,
        chain_id=authorization.chain_id,
        day=business_day(advice.event_at, context.place),
        driver_number=advice.driver_number,
        driver_card=_driver_card_index(advice),
        order_number=advice.order_number,
    )
    begun = authorization.prompts or {}
    driver = None if above is None or above.driver is None else str(above.driver.driver_id)
    order = None if above is None or above.order is None else str(above.order.order_id)
    if names_driver and (driver is None or driver != begun.get(DRIVER)):
        kept |= kept_of_nobody(advice.driver_number, None if advice.driver_card is None else advice.driver_card.number)
        decision.flags |= Flag.DRIVER
    if advice.order_number is not None and (order is None or order != begun.get(ORDER)):
        kept["order_number"] = advice.order_number
        decision.flags |= Flag.ORDER
    return kept


async def _sell(session: AsyncSession, advice: Advice, context: AdviceContext) -> Outcome:
    place, snapshot = context.place, context.snapshot
    local = local_time(advice.event_at, place.zone)
    decision = _decision(Write.SALE, advice, context, currency=place.currency)
    decision.flags |= await _period_flag(session, advice, context)
    card, terms = await _bearer(session, decision, advice, context)
    product = None if advice.fuel is None else snapshot.products.get(advice.fuel.product)
    published = None if product is None else snapshot.price(place.station_id, product.product_id, advice.event_at)
    offer = None
    if card is not None and terms is not None:
        offer = await offer_for(session, snapshot=snapshot, place=place, card=card, terms=terms, instant=advice.event_at)
    decided = decide_advice(
        decision,
        advice,
        product=product,
        shop=[(snapshot.products.get(line.product), line.amount_minor) for line in advice.shop],
        place=place,
        card=card,
        terms=terms,
        published_e4=published,
        offer=offer,
        local=local,
    )
    await book_decision(
        session, decided, terminal_id=place.terminal_id, tenders=[tender.tender for tender in advice.tenders], now=context.now
    )
    order_id = (decided.prompts or {}).get(ORDER)
    if order_id is not None:
        await use_late(session, order_id=UUID(order_id), actor=Actor(ActorKind.TERMINAL, place.terminal_id), now=context.now)
    return Outcome(decided.account_id, decided.subject_id, decided.answer)


async def _bearer(
    session: AsyncSession, decision: Decision, advice: Advice, context: AdviceContext
) -> tuple[CardFacts | None, CardTerms | None]:
    """Put the decision on the account that bears the sale, locked: the card's, or the suspense account where that cannot be."""
    card: Card | None = None
    if advice.card is not None:
        card = await card_by_index(session, number_index=number_index(advice.card.number))
    account: Account | None = None
    if card is not None:
        await lock_chain(session, chain_id=card.chain_id)
        await session.refresh(card)
        account = await get_account(session, account_id=card.account_id)
        decision.card_id = card.card_id
    if card is None or account is None or account.currency != context.place.currency:
        if card is not None:
            decision.flags |= Flag.CARD_STATUS
        decision.account_id = await _open_suspense(session, context.place.currency, context.now)
        await lock_purses(session, account_id=decision.account_id)
        return None, None
    decision.account_id, decision.chain_id = account.account_id, card.chain_id
    purses = await lock_purses(session, account_id=account.account_id)
    day = business_day(advice.event_at, context.place)
    facts = await card_facts(
        session,
        card=card,
        account=account,
        purses=purses,
        day=day,
        driver_number=advice.driver_number,
        driver_card=_driver_card_index(advice),
        order_number=advice.order_number,
    )
    return facts, context.snapshot.card_terms.get(card.product_id)


def _driver_card_index(advice: Advice) -> bytes | None:
    return None if advice.driver_card is None else number_index(advice.driver_card.number)


def _decision(write: Write, advice: Advice, context: AdviceContext, *, currency: str) -> Decision:
    decision = Decision(
        write,
        station_id=context.place.station_id,
        event_at=advice.event_at,
        business_day=business_day(context.now, context.place),
        subject_id=uuid7(context.now),
        currency=currency,
    )
    if not context.trusted:
        decision.flags |= Flag.TERMINAL
    return decision


async def _period_flag(session: AsyncSession, advice: Advice, context: AdviceContext) -> int:
    """Flag what happened in another accounting period than the open one: it is booked now and shows its own date."""
    happened_in = period_of(business_day(advice.event_at, context.place))
    return Flag.LATE if happened_in != await open_period(session) else Flag.NONE


async def _open_suspense(session: AsyncSession, currency: str, now: datetime) -> AccountId:
    """Return the suspense account, opened with the first advice that needs it, one opener after the other."""
    account_id = suspense_account(currency)
    if await session.get(Account, account_id) is None:
        await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(str(account_id), 13))))
        if await session.scalar(select(Account.account_id).where(Account.account_id == account_id)) is None:
            await ledger.open_account(
                session,
                account_id=account_id,
                kind=AccountKind.SUSPENSE,
                currency=currency,
                customer_id=None,
                card_product_id=None,
                now=now,
            )
    return account_id
