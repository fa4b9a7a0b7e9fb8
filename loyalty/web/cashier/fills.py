"""A fill that waits: a QR for the holder's phone, or struck off the list, paid otherwise or a test."""

from uuid import UUID

import msgspec
from litestar import get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.model import FillStatus, Operation
from loyalty.authorizations.model_payments import PaymentStatus
from loyalty.authorizations.operations.fills import FillNotFound, move_fill
from loyalty.authorizations.operations.payments import cancel_payment, get_payment, make_payment_request
from loyalty.authorizations.reasons import SENTENCES, Reason
from loyalty.authorizations.wire import reference
from loyalty.db import transaction
from loyalty.identity.rules import Permission
from loyalty.ids import NOBODY
from loyalty.web.cashier import queries
from loyalty.web.cashier.frame import draw, reading
from loyalty.web.cashier.till import HOME, Page, Till, new_key, provide_quiet_till
from loyalty.web.rendering import redirect, render


class _Made(msgspec.Struct):
    request_id: UUID
    token: str


class _Moved(msgspec.Struct):
    fill_id: UUID


@get("/fills/{fill_id:uuid}")
async def fill_page(fill_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Ask how a fill leaves the list without a card of ours."""
    till.require(Permission.SELL)
    till.require_shift()
    async with reading(till) as session:
        fill = next(
            (each for each in await queries.unpaid_fills(session, station_id=till.place.station_id) if each.fill_id == fill_id), None
        )
        if fill is None:
            raise FillNotFound(fill=fill_id)
        return await draw(till, session, "fill.html", here="counter", fill=fill, keys=[new_key(), new_key()])


@post("/fills/{fill_id:uuid}/move", status_code=303)
async def move(fill_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Strike a fill off the list."""
    till.require(Permission.SELL)
    till.require_shift()
    to = FillStatus.TEST if till.form.raw("to") == "test" else FillStatus.OTHER
    reason = till.form.text("reason", till.gettext("Note"), required=to is FillStatus.TEST, longest=120)
    till.form.check()

    async def perform(session: AsyncSession) -> Outcome:
        await move_fill(
            session,
            fill_id=fill_id,
            station_id=till.place.station_id,
            to=to,
            actor=till.actor,
            reason=reason or "paid without a card",
            now=till.now,
        )
        return Outcome.of(NOBODY, fill_id, _Moved(fill_id))

    await till.once(Operation.FILL, _Moved, perform)
    return till.done(HOME, till.gettext("The fill is off the list."))


@post("/fills/{fill_id:uuid}/qr", status_code=303)
async def make_qr(fill_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Lock the fill and show its QR: the holder approves on the phone, the amount fixed, within 120 seconds."""
    till.require(Permission.SELL)
    till.require_shift()
    async with transaction(till.sessions) as session:
        made = await make_payment_request(session, fill_id=fill_id, place=till.place, staff_id=till.principal.staff_id, now=till.now)
        request_id = made.request.request_id
        left = int((made.request.expires_at - till.now).total_seconds())
        amount = made.request.amount_minor
    async with reading(till) as session:
        return await draw(
            till,
            session,
            "qr.html",
            here="counter",
            url=f"{till.request.app.state.settings.public_url}/me/pay/{made.token}",
            request_id=request_id,
            left=left,
            amount_minor=amount,
        )


@get("/payments/{request_id:uuid}", dependencies={"till": Provide(provide_quiet_till)})
async def payment_state(request_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Tell the QR's page how it stands, asked every other second."""
    async with reading(till) as session:
        payment = await get_payment(session, request_id=request_id, station_id=till.place.station_id)
        if payment.status is PaymentStatus.APPROVED and payment.account_id is not None and payment.sale_id is not None:
            return redirect(till.request, f"{HOME}/sales/{reference(payment.account_id, payment.sale_id)}?new=1")
        over = payment.status is not PaymentStatus.OPEN or payment.expires_at <= till.now
        why = next(
            (till.either(*said) for reason, said in SENTENCES.items() if reason.code == payment.reason and reason is not Reason.NONE), ""
        )
        return render(
            till.request,
            "cashier/payment.html",
            zone=till.view.zone,
            now=till.now,
            status=payment.status.value,
            over=over,
            claimed=payment.card_id is not None,
            why=why if "{" not in why else "",
            fill_id=payment.fill_id,
        )


@post("/payments/{request_id:uuid}/cancel", status_code=303)
async def cancel(request_id: FromPath[UUID], till: NamedDependency[Till]) -> Page:
    """Take the QR back: the fill is unpaid again."""
    async with transaction(till.sessions) as session:
        await cancel_payment(session, request_id=request_id, station_id=till.place.station_id, now=till.now)
    return till.done(HOME, till.gettext("The code is taken back; the fill is unpaid again."))


handlers = [fill_page, move, make_qr, payment_state, cancel]
