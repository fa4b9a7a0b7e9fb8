"""A one-time QR on an unpaid fill: made at the till, approved by the holder on the phone, paid once through the hot path.

Two transactions stand around the sale, which commits on its own: the first says which card pays, the last how it ended. Whoever dies in
between leaves the sale's own row under a key made from the request, by which the next one who looks finishes the story.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.facts import Place
from loyalty.authorizations.hot import HotRequest
from loyalty.authorizations.model import Fill, FillStatus, Operation, Request, Sale
from loyalty.authorizations.model_payments import PAYMENT_MOVES, PaymentRequest, PaymentStatus
from loyalty.authorizations.rules import Presented
from loyalty.authorizations.snapshot import Snapshot
from loyalty.authorizations.wire import Credential, SaleRequest
from loyalty.cards.queries import get_card
from loyalty.crypto import new_token, request_fingerprint, token_hash
from loyalty.db import Sessions, transaction
from loyalty.errors import NotFound, Refusal
from loyalty.ids import uuid7

from .fills import LOCK_FOR, get_fill_for_update, lock_fill

_GRACE: Final = timedelta(seconds=30)
"""How long after its end a request that was claimed in time may still be on its way through the hot path."""


class PaymentNotFound(NotFound):
    """No such code: unknown, mistyped, or another station's."""

    zh = "付款码无效。"
    en = "This payment code is not valid."
    next_zh = "请让收银员重新生成付款码。"
    next_en = "Ask the cashier for a new code."


class PaymentEnded(Refusal):
    """It was paid, declined, cancelled or ran out."""

    zh = "该付款请求已结束（{status}）。"
    en = "This payment request has ended ({status})."
    next_zh = "如尚未付款，请让收银员重新生成付款码。"
    next_en = "If it is not paid, ask the cashier for a new code."


class PaymentTaken(Refusal):
    """Another phone, or another card, is paying it."""

    zh = "该笔加油正由另一张卡付款。"
    en = "Another card is paying this fill."
    next_zh = "请稍候，并核对收银员的屏幕。"
    next_en = "Wait a moment and look at the cashier's screen."


class Made(NamedTuple):
    """A new request; the token is shown once, as the QR."""

    request: PaymentRequest
    token: str


class PaymentResult(NamedTuple):
    """How the holder's approval ended: the request as it now is, and the pump's answer."""

    status: PaymentStatus
    answer: dict[str, Any]


class Lanes(Protocol):
    """What this needs of the web process's pump."""

    snapshot: Snapshot
    sessions: Sessions

    def now(self) -> datetime:
        """Return business time."""
        ...

    def submit(self, request: HotRequest) -> asyncio.Future[bytes]:
        """Queue a request."""
        ...


async def make_payment_request(
    session: AsyncSession, *, fill_id: UUID, place: Place, staff_id: UUID | None, now: datetime, life: timedelta = LOCK_FOR
) -> Made:
    """Lock an unpaid fill and make the QR's token for it, good for 120 seconds.

    :raises FillNotFound: if the station has no such fill
    :raises FillCannotMove: if it is paid, struck off, or locked by another request
    :raises PaymentTaken: if a former request's sale is on its way
    """
    await _end_lapsed(session, fill_id, now)
    fill = await lock_fill(session, fill_id=fill_id, station_id=place.station_id, now=now, until=now + life)
    token = new_token()
    request_id = uuid7(now)
    await session.execute(
        insert(PaymentRequest).values(
            request_id=request_id,
            fill_id=fill_id,
            station_id=place.station_id,
            terminal_id=place.terminal_id,
            staff_id=staff_id,
            token_hash=token_hash(token),
            amount_minor=fill.amount_minor,
            currency=place.currency,
            status=PaymentStatus.OPEN,
            made_at=now,
            expires_at=now + life,
        )
    )
    request = await session.get(PaymentRequest, request_id)
    assert request is not None
    return Made(request, token)


async def find_payment(session: AsyncSession, *, token: str, lock: bool = False) -> PaymentRequest:
    """Return the request of a QR's token.

    :raises PaymentNotFound: if there is none
    """
    return await _found(session, lock=lock, token_hash=token_hash(token))


async def get_payment(session: AsyncSession, *, request_id: UUID, station_id: UUID, lock: bool = False) -> PaymentRequest:
    """Return a request of the station, as its till looks after it.

    :raises PaymentNotFound: if it has none such
    """
    return await _found(session, lock=lock, request_id=request_id, station_id=station_id)


async def approve_payment(
    pump: Lanes, *, token: str, card_id: UUID, allowed: Callable[[UUID, UUID], bool] | None = None, plate: str | None = None
) -> PaymentResult:
    """Pay a fill by the holder's approval, once however often it is sent; the amount is the fill's.

    The caller has signed the holder in; `allowed(card id, account id)` says whether the card is theirs. The sale is judged as any other:
    status, limits, funds. A decline ends the request and puts the fill back on the list.

    :raises PaymentNotFound: if the token is none, or the card is not the holder's
    :raises PaymentEnded: if it ended otherwise
    :raises PaymentTaken: if another card is paying it
    """
    now = pump.now()
    async with transaction(pump.sessions) as session:
        payment = await find_payment(session, token=token, lock=True)
        card = await get_card(session, card_id=card_id)
        if allowed is not None and not allowed(card.card_id, card.account_id):
            raise PaymentNotFound
        if payment.card_id not in {None, card_id}:
            raise PaymentTaken
        if payment.status is PaymentStatus.OPEN and payment.card_id is None:
            if payment.expires_at <= now:
                raise PaymentEnded(status=PaymentStatus.EXPIRED.value)
            payment.card_id, payment.account_id = card_id, card.account_id
        elif payment.status in {PaymentStatus.EXPIRED, PaymentStatus.CANCELLED} or payment.card_id is None:
            raise PaymentEnded(status=payment.status.value)
        index, request_id, fill_id, terminal_id = card.number_index, payment.request_id, payment.fill_id, payment.terminal_id
    place = pump.snapshot.places[terminal_id]
    body = SaleRequest(card=Credential(), fill_id=fill_id, plate=plate, staff_id=payment.staff_id)
    answer = await pump.submit(
        HotRequest(
            Operation.SALE,
            body,
            place=place,
            key=_sale_key(request_id),
            fingerprint=request_fingerprint(b"payment" + request_id.bytes + card_id.bytes)[:16],
            number_index=index,
            presented=Presented(token_ok=True, holds_fill=True),
        )
    )
    async with transaction(pump.sessions) as session:
        payment = await _found(session, lock=True, request_id=request_id)
        await _finish(session, payment, now)
    return PaymentResult(payment.status, msgspec.json.decode(answer))


async def cancel_payment(session: AsyncSession, *, request_id: UUID, station_id: UUID, now: datetime) -> PaymentRequest:
    """Take the QR back at the till; the fill is unpaid again. Said twice, it is taken back once.

    :raises PaymentNotFound: if the station has none such
    :raises PaymentEnded: if it was paid, declined or ran out meanwhile
    :raises PaymentTaken: if the holder has approved it and the sale is on its way
    """
    payment = await get_payment(session, request_id=request_id, station_id=station_id, lock=True)
    if payment.status is PaymentStatus.CANCELLED:
        return payment
    await _finish(session, payment, now)
    if payment.status is not PaymentStatus.OPEN:
        raise PaymentEnded(status=payment.status.value)
    if payment.card_id is not None and now < payment.expires_at + _GRACE:
        raise PaymentTaken
    await _end(session, payment, PaymentStatus.CANCELLED, now)
    return payment


async def expire_payments(session: AsyncSession, *, now: datetime, limit: int = 500) -> int:
    """End requests that ran out, and those whose sale is known by now; return how many. For a job, every minute."""
    due = await session.scalars(
        select(PaymentRequest)
        .where(PaymentRequest.status == PaymentStatus.OPEN, PaymentRequest.expires_at <= now)
        .order_by(PaymentRequest.request_id)
        .limit(limit)
        .with_for_update(skip_locked=True, key_share=True)
        .execution_options(populate_existing=True)
    )
    ended = 0
    for payment in due.all():
        await _expire(session, payment, now)
        ended += payment.status is not PaymentStatus.OPEN
    return ended


async def _found(session: AsyncSession, *, lock: bool, **by: object) -> PaymentRequest:
    statement = select(PaymentRequest).filter_by(**by)
    if lock:
        statement = statement.with_for_update(key_share=True)
    payment: PaymentRequest | None = await session.scalar(statement.execution_options(populate_existing=True))
    if payment is None:
        raise PaymentNotFound
    return payment


async def _end_lapsed(session: AsyncSession, fill_id: UUID, now: datetime) -> None:
    """End the fill's former request, if it ran out.

    :raises PaymentTaken: if its holder approved it at the last moment and the sale is on its way
    """
    statement = select(PaymentRequest).where(PaymentRequest.fill_id == fill_id, PaymentRequest.status == PaymentStatus.OPEN)
    former: PaymentRequest | None = await session.scalar(statement.with_for_update(key_share=True))
    if former is not None and former.expires_at <= now:
        await _expire(session, former, now)
        if former.status is PaymentStatus.OPEN:
            raise PaymentTaken


async def _expire(session: AsyncSession, payment: PaymentRequest, now: datetime) -> None:
    await _finish(session, payment, now)
    on_its_way = payment.card_id is not None and now < payment.expires_at + _GRACE
    if payment.status is PaymentStatus.OPEN and not on_its_way:
        await _end(session, payment, PaymentStatus.EXPIRED, now)


async def _finish(session: AsyncSession, payment: PaymentRequest, now: datetime) -> None:
    """Say how a claimed request ended, once its sale's row is there."""
    if payment.status is not PaymentStatus.OPEN or payment.card_id is None:
        return
    statement = select(Request.account_id, Request.subject_id, Request.answer)
    found = (
        await session.execute(statement.where(Request.terminal_id == payment.terminal_id, Request.key == _sale_key(payment.request_id)))
    ).first()
    if found is None:
        return
    sale = await session.scalar(select(Sale.sale_id).where(Sale.account_id == found.account_id, Sale.sale_id == found.subject_id))
    if sale is not None:
        payment.sale_id = sale
        await _end(session, payment, PaymentStatus.APPROVED, now)
    else:
        payment.reason = msgspec.json.decode(found.answer).get("reason")
        await _end(session, payment, PaymentStatus.DECLINED, now)


async def _end(session: AsyncSession, payment: PaymentRequest, to: PaymentStatus, now: datetime) -> None:
    assert to in PAYMENT_MOVES[payment.status], "only an open request ends"
    payment.status, payment.ended_at = to, now
    if to is not PaymentStatus.APPROVED:
        fill: Fill = await get_fill_for_update(session, fill_id=payment.fill_id, station_id=payment.station_id)
        if fill.status == FillStatus.LOCKED:
            fill.status, fill.locked_until = FillStatus.UNPAID, None
    await session.flush()


def _sale_key(request_id: UUID) -> UUID:
    """Return the idempotency key of a request's sale: made from it, so that it is paid once."""
    return uuid5(request_id, "sale")
