"""Money in: one card, many cards, taken back; and what is on a card."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.callers import Caller
from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.hot_api import present
from loyalty.authorizations.model import Operation
from loyalty.authorizations.wire import Benefit, Credential, Minor, Other
from loyalty.cards.model import Card
from loyalty.cards.queries import find_by_index, find_by_number
from loyalty.db import transaction
from loyalty.identity.rules import Permission
from loyalty.policy import Policy
from loyalty.topups import operations
from loyalty.topups.model import Party, Tender, Topup
from loyalty.topups.offering import TopupQuote, benefits_of, others_of
from loyalty.topups.operations import Buyer, Item
from loyalty.topups.queries import TopupNotFound, balance_of, get_topup

from .calling import StaffCredential, happened, identify, key_of, serving
from .wire import Amount, CardNumber, Happened, RealName, Reason, Reference, Transfer
from .writing import did, perform_once

Flyer = Annotated[str, Meta(min_length=1, max_length=32)]
"""The code of a flyer that the customer shows."""


class TopupRequest(Happened, frozen=True, kw_only=True):
    """Load a card. `payer` where somebody else pays; `bank` for a transfer; `reference` is the wallet's or acquirer's number.

    `pays_minor` is what the customer was told to pay, as a quote said: where the rules say otherwise now, nothing is booked.
    """

    card: Credential
    amount_minor: Amount
    tender: Tender
    pays_minor: Annotated[int, Meta(ge=0)] | None = None
    flyer: Flyer | None = None
    reference: Reference | None = None
    payer: RealName | None = None
    bank: Transfer | None = None
    off_premises: bool = False


class TopupQuoteRequest(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A card, so much, paid so: what would that give?"""

    card: Credential
    amount_minor: Amount
    tender: Tender = Tender.CASH
    flyer: Flyer | None = None


class TopupAnswer(Struct, omit_defaults=True, kw_only=True):
    """A top-up: `booked`, or `pending` until finance finds the transfer, when the rules of that day say what it earns.

    `amount_minor` is loaded; the customer pays `discount_minor` less. Bonus money is on the card at once, points and things soon after.
    """

    outcome: str
    topup_id: UUID
    card: str | None
    tender: Tender
    amount_minor: Minor
    discount_minor: int = 0
    bonus_minor: int = 0
    benefits: list[Benefit] | None = None
    others: list[Other] | None = None
    """The candidates that did not apply, each with its reason in words."""
    settled_minor: int = 0
    """How much of it paid an open receivable."""
    currency: str
    balance_after_minor: int | None = None
    booked_at: datetime | None = None


class ReversalOfTopup(Happened, frozen=True, kw_only=True):
    """Take a top-up back. `reversal_reference` is the wallet's number of its reversal; `approver` a second person where the rule asks."""

    reason: Reason
    reversal_reference: Reference | None = None
    approver: StaffCredential | None = None


class RefundOfTopup(Happened, frozen=True, kw_only=True):
    """Give a load back as far as the profile allows: so much of it, or all that may go back."""

    reason: Reason
    amount_minor: Amount | None = None
    reversal_reference: Reference | None = None
    approver: StaffCredential | None = None


class TopupRefundAnswer(Struct, omit_defaults=True, kw_only=True):
    """What went back: `paid_minor` to the payer. The bonus goes back first; what was spent of it is kept back, in words too."""

    outcome: str
    topup_id: UUID
    refund_id: UUID
    currency: str
    paid_minor: Minor
    bonus_returned_minor: int = 0
    """Bonus that was still there."""
    shortfall_minor: int = 0
    """Bonus that was spent, kept back from the refund."""
    discount_minor: int = 0
    """What the payer had not paid: back to its funders."""
    message_zh: str | None = None
    message_en: str | None = None
    balance_after_minor: int | None = None


class PurchaseItem(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """So much onto that card."""

    number: CardNumber
    amount_minor: Amount


class PurchaseRequest(Happened, frozen=True, kw_only=True):
    """Several cards in one purchase, paid once: thresholds judge the whole."""

    items: Annotated[list[PurchaseItem], Meta(min_length=1, max_length=200)]
    tender: Tender
    buyer_party: Party = Party.PERSON
    buyer_customer_id: UUID | None = None
    buyer: RealName | None = None
    agent: RealName | None = None
    reference: Reference | None = None
    bank: Transfer | None = None
    off_premises: bool = False
    pays_minor: Annotated[int, Meta(ge=0)] | None = None
    """What the buyer was told to pay in all."""
    flyer: Flyer | None = None


class PurchaseAnswer(Struct, kw_only=True):
    """A purchase with its items, in the order they were asked for."""

    outcome: str
    purchase_id: UUID
    total_minor: Minor
    """What is loaded in all."""
    discount_minor: int
    """What the buyer pays less; of a transfer none."""
    currency: str
    items: list[TopupAnswer]


@post("/topups", summary="Load a card / 充值", tags=["money in"], status_code=200)
async def top_up(
    data: JSONBody[TopupRequest],
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    policy: NamedDependency[Policy],
    now: NamedDependency[datetime],
) -> Response[TopupAnswer]:
    """Cash, bank card, WeChat and Alipay are booked at once; a bank transfer waits for finance."""
    _, index = present(data.card, caller, key_of(caller))

    async def perform(session: AsyncSession) -> Outcome:
        actor = await serving(session, caller, Permission.LOAD)
        card = await find_by_index(session, index=index)
        made = await operations.load(
            session,
            policy=policy,
            account_id=card.account_id,
            card_id=card.card_id,
            amount_minor=data.amount_minor,
            tender=data.tender,
            reference=data.reference,
            payer=None if data.payer is None else data.payer.declared(),
            bank=None if data.bank is None else data.bank.ends(),
            off_premises=data.off_premises,
            pays_minor=data.pays_minor,
            flyer=data.flyer,
            station_id=caller.place.station_id,
            terminal_id=caller.place.terminal_id,
            actor=actor,
            event_at=happened(data.event_at, now),
            now=now,
        )
        return did(await _answered(session, made, card, now), subject_id=made.topup_id, account_id=made.account_id)

    return await perform_once(request, caller, Operation.TOPUP, data.record, perform)


@post("/topup-quotes", summary="What a top-up would give / 充值优惠试算", tags=["money in"], status_code=200)
async def quote_top_up(
    data: JSONBody[TopupQuoteRequest],
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    policy: NamedDependency[Policy],
    now: NamedDependency[datetime],
) -> TopupQuote:
    """The rules asked with nothing written: what would be paid and given, why not more, and what is missing for the next bands."""
    _, index = present(data.card, caller, key_of(caller))
    async with transaction(request.app.state.sessions) as session:
        card = await find_by_index(session, index=index)
        return await operations.quote_topup(
            session,
            policy=policy,
            account_id=card.account_id,
            card_id=card.card_id,
            amount_minor=data.amount_minor,
            tender=data.tender,
            flyer=data.flyer,
            station_id=caller.place.station_id,
            now=now,
        )


@post("/topups/{topup_id:uuid}/refund", summary="Give a load back / 充值退款", tags=["money in"], status_code=200)
async def refund_top_up(
    topup_id: FromPath[UUID],
    data: JSONBody[RefundOfTopup],
    request: Request[Any, Any, Any],
    state: State,
    caller: NamedDependency[Caller],
    policy: NamedDependency[Policy],
    now: NamedDependency[datetime],
) -> Response[TopupRefundAnswer]:
    """By the tender it came with, as far as the profile takes loads back. Bonus goes back first; what is spent of it is kept back."""
    approver = None if data.approver is None else await identify(state, caller, data.approver, Permission.APPROVE_ON_SCREEN)

    async def perform(session: AsyncSession) -> Outcome:
        actor = await serving(session, caller, Permission.REVERSE_LOAD)
        await _of_this_station(session, topup_id, caller)
        back = await operations.refund_topup(
            session,
            policy=policy,
            topup_id=topup_id,
            amount_minor=data.amount_minor,
            reason=data.reason,
            reversal_reference=data.reversal_reference,
            approved_by=approver,
            actor=actor,
            now=now,
        )
        held = await balance_of(session, account_id=back.topup.account_id, now=now)
        answer = TopupRefundAnswer(
            outcome=back.topup.status.value,
            topup_id=topup_id,
            refund_id=back.operation_id,
            currency=back.topup.currency,
            paid_minor=back.paid_minor,
            bonus_returned_minor=back.bonus_returned_minor,
            shortfall_minor=back.shortfall_minor,
            discount_minor=back.discount_minor,
            message_zh=None if back.told is None else back.told[0],
            message_en=None if back.told is None else back.told[1],
            balance_after_minor=held.principal_minor + held.bonus_minor,
        )
        return did(answer, subject_id=topup_id, account_id=back.topup.account_id)

    return await perform_once(request, caller, Operation.TOPUP_REVERSAL, data.record, perform)


@post("/topups/{topup_id:uuid}/reversal", summary="Take a top-up back / 充值撤销", tags=["money in"], status_code=200)
async def reverse_top_up(
    topup_id: FromPath[UUID],
    data: JSONBody[ReversalOfTopup],
    request: Request[Any, Any, Any],
    state: State,
    caller: NamedDependency[Caller],
    policy: NamedDependency[Policy],
    now: NamedDependency[datetime],
) -> Response[TopupAnswer]:
    """Void it while it is the account's last movement; afterwards the office refunds it by the profile."""
    approver = None if data.approver is None else await identify(state, caller, data.approver, Permission.APPROVE_ON_SCREEN)

    async def perform(session: AsyncSession) -> Outcome:
        actor = await serving(session, caller, Permission.REVERSE_LOAD)
        await _of_this_station(session, topup_id, caller)
        undone = await operations.void_topup(
            session,
            policy=policy,
            topup_id=topup_id,
            reason=data.reason,
            reversal_reference=data.reversal_reference,
            approved_by=approver,
            actor=actor,
            now=now,
        )
        return did(await _answered(session, undone, None, now), subject_id=topup_id, account_id=undone.account_id)

    return await perform_once(request, caller, Operation.TOPUP_REVERSAL, data.record, perform)


@post("/purchases", summary="Load several cards in one purchase / 批量购卡充值", tags=["money in"], status_code=200)
async def purchase(
    data: JSONBody[PurchaseRequest],
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    policy: NamedDependency[Policy],
    now: NamedDependency[datetime],
) -> Response[PurchaseAnswer]:
    """One payment, one buyer, each item its own movement."""

    async def perform(session: AsyncSession) -> Outcome:
        actor = await serving(session, caller, Permission.LOAD)
        held = [await find_by_number(session, number=item.number) for item in data.items]
        made = await operations.purchase(
            session,
            policy=policy,
            items=[
                Item(account_id=card.account_id, card_id=card.card_id, amount_minor=item.amount_minor)
                for card, item in zip(held, data.items, strict=True)
            ],
            buyer=Buyer(
                party=data.buyer_party,
                customer_id=data.buyer_customer_id,
                declared=None if data.buyer is None else data.buyer.declared(),
            ),
            agent=None if data.agent is None else data.agent.declared(),
            tender=data.tender,
            reference=data.reference,
            bank=None if data.bank is None else data.bank.ends(),
            off_premises=data.off_premises,
            pays_minor=data.pays_minor,
            flyer=data.flyer,
            station_id=caller.place.station_id,
            terminal_id=caller.place.terminal_id,
            actor=actor,
            event_at=happened(data.event_at, now),
            now=now,
        )
        answer = PurchaseAnswer(
            outcome=made.purchase.status.value,
            purchase_id=made.purchase.purchase_id,
            total_minor=made.purchase.total_minor,
            discount_minor=sum(topup.discount_minor for topup in made.items),
            currency=made.purchase.currency,
            items=[await _answered(session, topup, card, now) for topup, card in zip(made.items, held, strict=True)],
        )
        return did(answer, subject_id=made.purchase.purchase_id)

    return await perform_once(request, caller, Operation.PURCHASE, data.record, perform)


async def _answered(session: AsyncSession, topup: Topup, card: Card | None, now: datetime) -> TopupAnswer:
    held = await balance_of(session, account_id=topup.account_id, now=now)
    return TopupAnswer(
        outcome=topup.status.value,
        topup_id=topup.topup_id,
        card=None if card is None else card.number_tail,
        tender=topup.tender,
        amount_minor=topup.amount_minor,
        discount_minor=topup.discount_minor,
        bonus_minor=topup.bonus_minor,
        benefits=benefits_of(topup),
        others=others_of(topup),
        settled_minor=topup.settled_minor,
        currency=topup.currency,
        balance_after_minor=held.principal_minor + held.bonus_minor,
        booked_at=topup.booked_at,
    )


async def _of_this_station(session: AsyncSession, topup_id: UUID, caller: Caller) -> None:
    """A till takes back only what its own station loaded; anything else is not found.

    :raises TopupNotFound: if it is another station's
    """
    topup = await get_topup(session, topup_id=topup_id)
    if topup.station_id != caller.place.station_id:
        raise TopupNotFound(topup=topup_id)
