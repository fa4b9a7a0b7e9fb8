"""The forecourt: finished fills as the pump controller reports them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.callers import Caller
from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.model import FillStatus, Operation
from loyalty.authorizations.model_payments import PaymentRequest
from loyalty.authorizations.operations.fills import move_fill, record_fill
from loyalty.authorizations.operations.payments import cancel_payment, get_payment, make_payment_request
from loyalty.authorizations.wire import Instant, Minor, Nozzle, PriceE4, reference
from loyalty.stations.queries import get_product, running_shift

from .calling import machine
from .wire import Reason, Recorded
from .writing import did, perform_once

_TAG = ["forecourt"]


class FinishedFill(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What the pump controller knows of a fill; `pump_reference` is its own number, single at the station."""

    pump_reference: Annotated[str, Meta(min_length=1, max_length=64)]
    nozzle: Nozzle
    product: Annotated[str, Meta(min_length=1, max_length=32)]
    quantity_milli: Annotated[int, Meta(gt=0, le=10**12)]
    unit_price_e4: PriceE4
    amount_minor: Minor
    finished_at: Instant


class FillFeed(Recorded, frozen=True, kw_only=True):
    """Fills in the order they ended."""

    fills: Annotated[list[FinishedFill], Meta(min_length=1, max_length=100)]


class FillMade(Struct, kw_only=True):
    """A fill as it stands on the list."""

    fill_id: UUID
    pump_reference: str
    status: str


class FillFeedAnswer(Struct, kw_only=True):
    """The fills in the order they were reported."""

    fills: list[FillMade]


class FillClosure(Recorded, frozen=True, kw_only=True):
    """How a fill leaves the list without a sale of ours: paid otherwise, or a pump test. `unpaid` takes it back."""

    way: Literal["other", "test", "unpaid"]
    reason: Reason = "said at the till"


@post("/fills", summary="Report finished fills / 上报加油记录", tags=_TAG, status_code=200)
async def report_fills(
    data: JSONBody[FillFeed], request: Request[Any, Any, Any], caller: NamedDependency[Caller], now: NamedDependency[datetime]
) -> Response[FillFeedAnswer]:
    """The same fill again changes nothing; the list per nozzle is what pay-after-filling pays from."""

    async def perform(session: AsyncSession) -> Outcome:
        made = []
        for fill in data.fills:
            product = await get_product(session, code=fill.product)
            made.append(
                await record_fill(
                    session,
                    station_id=caller.place.station_id,
                    pump_reference=fill.pump_reference,
                    nozzle=fill.nozzle,
                    product_id=product.product_id,
                    quantity_milli=fill.quantity_milli,
                    unit_price_e4=fill.unit_price_e4,
                    amount_minor=fill.amount_minor,
                    finished_at=fill.finished_at,
                    now=now,
                )
            )
        answer = FillFeedAnswer(
            fills=[
                FillMade(fill_id=fill.fill_id, pump_reference=fill.pump_reference, status=FillStatus(fill.status).name.lower())
                for fill in made
            ]
        )
        return did(answer, subject_id=made[-1].fill_id)

    return await perform_once(request, caller, Operation.FILL, data.record, perform)


@post("/fills/{fill_id:uuid}/closure", summary="Take a fill off the list / 其他方式付款或油机检测", tags=_TAG, status_code=200)
async def close_fill(
    fill_id: FromPath[UUID],
    data: JSONBody[FillClosure],
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[datetime],
) -> Response[FillMade]:
    """Paid without a card of ours, or a test whose fuel went back."""

    async def perform(session: AsyncSession) -> Outcome:
        fill = await move_fill(
            session,
            fill_id=fill_id,
            station_id=caller.place.station_id,
            to=FillStatus[data.way.upper()],
            actor=machine(caller),
            reason=data.reason,
            now=now,
        )
        answer = FillMade(fill_id=fill.fill_id, pump_reference=fill.pump_reference, status=FillStatus(fill.status).name.lower())
        return did(answer, subject_id=fill_id)

    return await perform_once(request, caller, Operation.FILL, data.record, perform)


class PaymentRequestMade(Struct, kw_only=True):
    """A one-time QR on a fill: the holder approves it on the phone; the amount is fixed, the fill locked meanwhile."""

    outcome: str
    request_id: UUID
    url: str
    """What the QR shows."""
    amount_minor: Minor
    currency: str
    expires_at: datetime


class PaymentState(Struct, omit_defaults=True, kw_only=True):
    """What became of a QR: open, approved, declined, expired or cancelled."""

    outcome: str
    request_id: UUID
    amount_minor: int
    currency: str
    expires_at: datetime
    sale: str | None = None
    reason: str | None = None


@post("/fills/{fill_id:uuid}/payment-requests", summary="One-time QR on an unpaid fill / 扫码付款", tags=_TAG, status_code=200)
async def request_payment(
    fill_id: FromPath[UUID],
    data: JSONBody[Recorded],
    request: Request[Any, Any, Any],
    state: State,
    caller: NamedDependency[Caller],
    now: NamedDependency[datetime],
) -> Response[PaymentRequestMade]:
    """Good for 120 seconds. The same key gets the same QR."""

    async def perform(session: AsyncSession) -> Outcome:
        shift = await running_shift(session, terminal_id=caller.place.terminal_id)
        made = await make_payment_request(
            session, fill_id=fill_id, place=caller.place, staff_id=None if shift is None else shift.cashier_id, now=now
        )
        answer = PaymentRequestMade(
            outcome=made.request.status.value,
            request_id=made.request.request_id,
            url=f"{state.settings.public_url}/me/pay/{made.token}",
            amount_minor=made.request.amount_minor,
            currency=made.request.currency,
            expires_at=made.request.expires_at,
        )
        return did(answer, subject_id=made.request.request_id)

    return await perform_once(request, caller, Operation.FILL, data.record, perform)


@get("/payment-requests/{request_id:uuid}", summary="What became of a QR / 付款码状态", tags=_TAG)
async def payment_request(
    request_id: FromPath[UUID], caller: NamedDependency[Caller], session: NamedDependency[AsyncSession]
) -> PaymentState:
    """Asked every second while the customer looks at the phone."""
    return _state_of(await get_payment(session, request_id=request_id, station_id=caller.place.station_id))


@post("/payment-requests/{request_id:uuid}/cancellation", summary="Take a QR back / 取消付款码", tags=_TAG, status_code=200)
async def cancel_payment_request(
    request_id: FromPath[UUID],
    data: JSONBody[Recorded],
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[datetime],
) -> Response[PaymentState]:
    """The fill is unpaid again; too late once the holder has approved."""

    async def perform(session: AsyncSession) -> Outcome:
        ended = await cancel_payment(session, request_id=request_id, station_id=caller.place.station_id, now=now)
        return did(_state_of(ended), subject_id=request_id)

    return await perform_once(request, caller, Operation.FILL, data.record, perform)


def _state_of(found: PaymentRequest) -> PaymentState:
    paid = found.account_id is not None and found.sale_id is not None
    return PaymentState(
        outcome=found.status.value,
        request_id=found.request_id,
        amount_minor=found.amount_minor,
        currency=found.currency,
        expires_at=found.expires_at,
        sale=reference(found.account_id, found.sale_id) if paid and found.account_id and found.sale_id else None,
        reason=found.reason,
    )
