"""Cards at the counter: handed out, activated, registered, stopped, found, replaced; their PINs. The shift's cashier answers for it."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.authorizations.callers import Caller
from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.model import Operation
from loyalty.authorizations.reasons import Reason as DeclineReason
from loyalty.authorizations.reasons import say
from loyalty.cards import operations
from loyalty.cards.model import Card
from loyalty.cards.operations import Developed, IdentityNotSeen
from loyalty.cards.queries import find_by_number, get_product, product_by_code
from loyalty.cards.rules import PinAnswer, PinCheck, Replacing
from loyalty.identity.rules import Permission
from loyalty.topups.model import Tender
from loyalty.topups.operations import charge_fee

from .calling import StaffCredential, identify, machine, opened_pin, serving
from .wire import CardNumber, CardState, Reason, Recorded, Reference, SealedPin
from .writing import did, perform_once

_TAG = ["cards"]


class NumberAndPin(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A card by its number, with a PIN that was sealed for it."""

    number: CardNumber
    pin: SealedPin | None = None


class IssueRequest(Recorded, frozen=True, kw_only=True):
    """Hand a blank card of this station out. An anonymous card has no customer; a company's card may name its driver and vehicle."""

    number: CardNumber
    customer_id: UUID | None = None
    plate: Annotated[str, Meta(max_length=16)] | None = None
    holder_label: Annotated[str, Meta(max_length=60)] | None = None
    is_main: bool | None = None
    developed_by_staff_id: UUID | None = None
    flyer_code: Annotated[str, Meta(max_length=40)] | None = None
    referrer_customer_id: UUID | None = None


class ActivationRequest(Recorded, frozen=True, kw_only=True):
    """Make an issued card usable, with the PIN that its holder chose."""

    card: NumberAndPin


class RegistrationRequest(Recorded, frozen=True, kw_only=True):
    """Turn an anonymous card into a registered one of a personal product; the holder's document was seen."""

    number: CardNumber
    customer_id: UUID
    product: Annotated[str, Meta(min_length=1, max_length=40)]


class NewPin(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The PIN to be, sealed for the same card; `card` repeats its number."""

    card: CardNumber
    pin: SealedPin


class PinChangeRequest(Recorded, frozen=True, kw_only=True):
    """The holder knows the old PIN and wants a new one."""

    card: NumberAndPin
    new: NewPin


class PinResetRequest(Recorded, frozen=True, kw_only=True):
    """A forgotten PIN set anew; `evidence` says which document was seen."""

    card: NumberAndPin
    evidence: Reason
    approver: StaffCredential | None = None


class PinUnlockRequest(Recorded, frozen=True, kw_only=True):
    """The three tries given back against a document."""

    number: CardNumber
    evidence: Reason


class CardReport(Recorded, frozen=True, kw_only=True):
    """A card lost, or found again."""

    number: CardNumber
    reason: Reason


class ReplacementRequest(Recorded, frozen=True, kw_only=True):
    """A blank card in the place of another. The fee is paid by `fee_tender`, else from the account."""

    number: CardNumber
    card: NumberAndPin
    reason: Literal["lost", "damaged", "expired"]
    fee_tender: Tender | None = None
    fee_reference: Reference | None = None


@post("/card-issues", summary="Issue a blank card / 发卡", tags=_TAG, status_code=200)
async def issue(
    data: JSONBody[IssueRequest], request: Request[Any, Any, Any], caller: NamedDependency[Caller], now: NamedDependency[datetime]
) -> Response[CardState]:
    """Bind a blank card of this station's stock to its account; it becomes usable by its activation."""

    async def perform(session: AsyncSession) -> Outcome:
        actor = await serving(session, caller, Permission.ISSUE_CARDS)
        found = await find_by_number(session, number=data.number)
        card = await operations.issue_card(
            session,
            card_id=found.card_id,
            customer_id=data.customer_id,
            station_id=caller.place.station_id,
            plate=data.plate,
            holder_label=data.holder_label,
            is_main=data.is_main,
            developed=Developed(
                staff_id=data.developed_by_staff_id or actor.staff_id,
                station_id=caller.place.station_id,
                flyer_code=data.flyer_code,
                referrer_customer_id=data.referrer_customer_id,
            ),
            actor=actor,
            now=now,
        )
        return await _did(session, card)

    return await perform_once(request, caller, Operation.ACTIVATE, data.record, perform)


@post("/card-activations", summary="Activate an issued card / 激活", tags=_TAG, status_code=200)
async def activate(
    data: JSONBody[ActivationRequest], request: Request[Any, Any, Any], caller: NamedDependency[Caller], now: NamedDependency[datetime]
) -> Response[CardState]:
    """With the PIN that its holder typed, where the product asks for one."""
    pin = None if data.card.pin is None else opened_pin(data.card.pin, caller=caller, card=data.card.number)

    async def perform(session: AsyncSession) -> Outcome:
        actor = await serving(session, caller, Permission.ISSUE_CARDS)
        found = await find_by_number(session, number=data.card.number)
        card = await operations.activate_card(
            session, card_id=found.card_id, pin=pin, station_id=caller.place.station_id, actor=actor, now=now
        )
        return await _did(session, card)

    return await perform_once(request, caller, Operation.ACTIVATE, data.record, perform)


@post("/card-registrations", summary="Turn an anonymous card into a registered one / 不记名转记名", tags=_TAG, status_code=200)
async def register(
    data: JSONBody[RegistrationRequest], request: Request[Any, Any, Any], caller: NamedDependency[Caller], now: NamedDependency[datetime]
) -> Response[CardState]:
    """Once and for good; balance, points and history go along."""

    async def perform(session: AsyncSession) -> Outcome:
        actor = await serving(session, caller, Permission.SERVE_CARDS)
        found = await find_by_number(session, number=data.number)
        product = await product_by_code(session, code=data.product)
        card = await operations.register_card(
            session,
            card_id=found.card_id,
            customer_id=data.customer_id,
            product_id=product.product_id,
            station_id=caller.place.station_id,
            actor=actor,
            now=now,
        )
        return await _did(session, card)

    return await perform_once(request, caller, Operation.ACTIVATE, data.record, perform)


@post("/pin-changes", summary="Change a PIN by the old one / 修改密码", tags=_TAG, status_code=200)
async def change_pin(
    data: JSONBody[PinChangeRequest], request: Request[Any, Any, Any], caller: NamedDependency[Caller], now: NamedDependency[datetime]
) -> Response[CardState]:
    """A wrong old PIN is an answer, and counts; three lock it on every channel."""
    if data.card.pin is None or data.new.card != data.card.number:
        raise IdentityNotSeen
    old = opened_pin(data.card.pin, caller=caller, card=data.card.number)
    new = opened_pin(data.new.pin, caller=caller, card=data.card.number)

    async def perform(session: AsyncSession) -> Outcome:
        found = await find_by_number(session, number=data.card.number)
        tried = await operations.change_pin(
            session,
            card_id=found.card_id,
            old_pin=old,
            new_pin=new,
            station_id=caller.place.station_id,
            actor=machine(caller),
            now=now,
        )
        return await _did(session, found, tried)

    return await perform_once(request, caller, Operation.PIN, data.record, perform)


@post("/pin-resets", summary="Set a forgotten PIN anew / 重置密码", tags=_TAG, status_code=200)
async def reset_pin(
    data: JSONBody[PinResetRequest],
    request: Request[Any, Any, Any],
    state: State,
    caller: NamedDependency[Caller],
    now: NamedDependency[datetime],
) -> Response[CardState]:
    """The cashier has seen the holder's document; an approver's name goes into the trail where one stood by."""
    if data.card.pin is None:
        raise operations.PinNeeded
    pin = opened_pin(data.card.pin, caller=caller, card=data.card.number)
    approver = None if data.approver is None else await identify(state, caller, data.approver, Permission.APPROVE_ON_SCREEN)

    async def perform(session: AsyncSession) -> Outcome:
        actor = await serving(session, caller, Permission.SERVE_CARDS)
        found = await find_by_number(session, number=data.card.number)
        card = await operations.set_pin(
            session,
            card_id=found.card_id,
            pin=pin,
            identity_seen=True,
            reason=data.evidence if approver is None else f"{data.evidence}; {approver}",
            station_id=caller.place.station_id,
            actor=actor,
            now=now,
        )
        return await _did(session, card)

    return await perform_once(request, caller, Operation.PIN, data.record, perform)


@post("/pin-unlocks", summary="Unlock a PIN / 解锁密码", tags=_TAG, status_code=200)
async def unlock_pin(
    data: JSONBody[PinUnlockRequest], request: Request[Any, Any, Any], caller: NamedDependency[Caller], now: NamedDependency[datetime]
) -> Response[CardState]:
    """At any outlet, against the holder's document."""

    async def perform(session: AsyncSession) -> Outcome:
        actor = await serving(session, caller, Permission.SERVE_CARDS)
        found = await find_by_number(session, number=data.number)
        card = await operations.unlock_pin(
            session, card_id=found.card_id, identity_seen=True, station_id=caller.place.station_id, actor=actor, now=now
        )
        return await _did(session, card)

    return await perform_once(request, caller, Operation.PIN, data.record, perform)


@post("/loss-reports", summary="Report a card lost / 挂失", tags=_TAG, status_code=200)
async def report_lost(
    data: JSONBody[CardReport], request: Request[Any, Any, Any], caller: NamedDependency[Caller], now: NamedDependency[datetime]
) -> Response[CardState]:
    """The card stops from this moment on; the account and its money stay as they are."""

    async def perform(session: AsyncSession) -> Outcome:
        actor = await serving(session, caller, Permission.SERVE_CARDS)
        found = await find_by_number(session, number=data.number)
        card = await operations.report_lost(
            session, card_id=found.card_id, reason=data.reason, station_id=caller.place.station_id, actor=actor, now=now
        )
        return await _did(session, card)

    return await perform_once(request, caller, Operation.LOSS, data.record, perform)


@post("/found-reports", summary="Let a found card live again / 解挂", tags=_TAG, status_code=200)
async def report_found(
    data: JSONBody[CardReport], request: Request[Any, Any, Any], caller: NamedDependency[Caller], now: NamedDependency[datetime]
) -> Response[CardState]:
    """Only at an outlet, where a member of staff sees card and holder."""

    async def perform(session: AsyncSession) -> Outcome:
        actor = await serving(session, caller, Permission.SERVE_CARDS)
        found = await find_by_number(session, number=data.number)
        card = await operations.report_found(
            session, card_id=found.card_id, reason=data.reason, station_id=caller.place.station_id, actor=actor, now=now
        )
        return await _did(session, card)

    return await perform_once(request, caller, Operation.LOSS, data.record, perform)


@post("/card-replacements", summary="Replace a lost, damaged or expired card / 补换卡", tags=_TAG, status_code=200)
async def replace(
    data: JSONBody[ReplacementRequest], request: Request[Any, Any, Any], caller: NamedDependency[Caller], now: NamedDependency[datetime]
) -> Response[CardState]:
    """Same account, money, limits and counters. With a PIN the new card is active at once."""
    pin = None if data.card.pin is None else opened_pin(data.card.pin, caller=caller, card=data.card.number)

    async def perform(session: AsyncSession) -> Outcome:
        actor = await serving(session, caller, Permission.SERVE_CARDS)
        old = await find_by_number(session, number=data.number)
        new = await find_by_number(session, number=data.card.number)
        done = await operations.replace_card(
            session,
            card_id=old.card_id,
            new_card_id=new.card_id,
            reason=Replacing(data.reason),
            pin=pin,
            station_id=caller.place.station_id,
            actor=actor,
            now=now,
        )
        if done.fee_minor:
            await _charge(session, data, done.card, done.fee_minor, caller, actor, now)
        answer = await _state_of(session, done.card)
        answer.fee_minor, answer.currency, answer.replaced_card = done.fee_minor, done.currency, done.replaced.number_tail
        return did(answer, subject_id=done.card.card_id, account_id=done.card.account_id)

    return await perform_once(request, caller, Operation.ACTIVATE, data.record, perform)


async def _charge(
    session: AsyncSession, data: ReplacementRequest, card: Card, fee_minor: int, caller: Caller, actor: Actor, now: datetime
) -> None:
    await charge_fee(
        session,
        account_id=card.account_id,
        amount_minor=fee_minor,
        code="card_replacement",
        card_id=card.card_id,
        station_id=caller.place.station_id,
        terminal_id=caller.place.terminal_id,
        tender=data.fee_tender,
        reference=data.fee_reference,
        actor=actor,
        event_at=now,
        now=now,
    )


async def _did(session: AsyncSession, card: Card, tried: PinAnswer | None = None) -> Outcome:
    """Say how a card stands now, and what came of a PIN."""
    answer = await _state_of(session, card)
    if tried is not None and tried.check is not PinCheck.RIGHT:
        reason = {
            PinCheck.WRONG: DeclineReason.PIN_WRONG,
            PinCheck.LOCKED: DeclineReason.PIN_LOCKED,
            PinCheck.NOT_SET: DeclineReason.PIN_NOT_SET,
        }[tried.check]
        answer.outcome, answer.reason, answer.tries_left = "declined", reason.code, tried.tries_left
        answer.message_zh, answer.message_en = say(reason, remaining=str(tried.tries_left))
    return did(answer, subject_id=card.card_id, account_id=card.account_id)


async def _state_of(session: AsyncSession, card: Card) -> CardState:
    product = await get_product(session, product_id=card.product_id)
    return CardState(
        outcome="approved",
        card=card.number_tail,
        card_id=card.card_id,
        account_id=card.account_id,
        product=product.code,
        status=card.status.name.lower(),
        expires_on=None if card.expires_on is None else card.expires_on.isoformat(),
    )
