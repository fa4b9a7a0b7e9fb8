"""What follows a sale: reversed, refunded, looked up; a hold given back."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct, field
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.answers import RefundAnswer, ReleaseAnswer, ReversalAnswer
from loyalty.authorizations.callers import Caller
from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.hot import AuthorizationNotFound
from loyalty.authorizations.model import Operation
from loyalty.authorizations.operations.holds import report_nozzle_not_lifted
from loyalty.authorizations.operations.refunds import RefundLine, SaleNotFound, refund_sale
from loyalty.authorizations.operations.reversals import reverse
from loyalty.authorizations.wire import parse_reference
from loyalty.identity.rules import Permission
from loyalty.policy import Policy
from loyalty.stations.queries import running_shift

from .calling import StaffCredential, happened, identify, serving
from .wire import Amount, Happened, Reason, Reference
from .writing import did, perform_once

_TAG = ["at the pump"]
PublicReference = Annotated[str, Meta(min_length=43, max_length=43, description="As an answer gave it")]


class ReversalRequest(Happened, frozen=True, kw_only=True):
    """Take back what this till asked under the key `original`, whether or not it arrived."""

    original: UUID
    reason: Reason
    reversal_reference: Reference | None = None
    approver: StaffCredential | None = None


class LineBack(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A shop line that goes back: its place in the sale's list, from 0."""

    line: Annotated[int, Meta(ge=0, le=49)]
    amount_minor: Amount
    quantity_milli: Annotated[int, Meta(gt=0, le=10**12)] = 1000


class RefundRequest(Happened, frozen=True, kw_only=True):
    """All of a sale, a gross amount of it, or shop lines. `void` true insists on undoing it, false on a refund."""

    sale: PublicReference
    reason: Reason
    gross_minor: Amount | None = None
    quantity_milli: Annotated[int, Meta(gt=0, le=10**12)] | None = None
    lines: Annotated[list[LineBack], Meta(max_length=50)] = field(default_factory=list)
    void: bool | None = None
    staff: StaffCredential | None = None
    approver: StaffCredential | None = None


@post("/reversals", summary="Reverse by the original's key / 冲正", tags=_TAG, status_code=200)
async def reverse_original(
    data: JSONBody[ReversalRequest],
    request: Request[Any, Any, Any],
    state: State,
    caller: NamedDependency[Caller],
    policy: NamedDependency[Policy],
    now: NamedDependency[datetime],
) -> Response[ReversalAnswer]:
    """An original that never arrived is refused should it come late. A second reversal gets the first one's answer."""
    approver = None if data.approver is None else await identify(state, caller, data.approver, Permission.APPROVE_ON_SCREEN)

    async def perform(session: AsyncSession) -> Outcome:
        shift = await running_shift(session, terminal_id=caller.place.terminal_id)
        return await reverse(
            session,
            place=caller.place,
            original_key=data.original,
            policy=policy,
            reason=data.reason,
            event_at=happened(data.event_at, now),
            staff_id=None if shift is None else shift.cashier_id,
            approved_by=approver,
            reversal_reference=data.reversal_reference,
            now=now,
        )

    return await perform_once(request, caller, Operation.REVERSE, data.record, perform)


@post("/refunds", summary="Refund or void a sale / 退款、撤销", tags=_TAG, status_code=200)
async def refund(
    data: JSONBody[RefundRequest],
    request: Request[Any, Any, Any],
    state: State,
    caller: NamedDependency[Caller],
    policy: NamedDependency[Policy],
    now: NamedDependency[datetime],
) -> Response[RefundAnswer]:
    """The exact mirror: principal, bonus lots with their expiry, discount, limit counters. Other tenders are listed to be handed back."""
    both = parse_reference(data.sale)
    if both is None:
        raise SaleNotFound
    staff = None if data.staff is None else await identify(state, caller, data.staff, Permission.REFUND_SALE)
    approver = None if data.approver is None else await identify(state, caller, data.approver, Permission.APPROVE_ON_SCREEN)

    async def perform(session: AsyncSession) -> Outcome:
        staff_id = staff or (await serving(session, caller, Permission.REFUND_SALE)).staff_id
        done = await refund_sale(
            session,
            account_id=both[0],
            sale_id=both[1],
            place=caller.place,
            policy=policy,
            reason=data.reason,
            gross_minor=data.gross_minor,
            quantity_milli=data.quantity_milli,
            lines=[RefundLine(line.line, line.amount_minor, line.quantity_milli) for line in data.lines],
            void=data.void,
            staff_id=staff_id,
            approved_by=approver,
            event_at=happened(data.event_at, now),
            now=now,
        )
        return did(done.answer, subject_id=done.refund_id, account_id=done.account_id)

    return await perform_once(request, caller, Operation.REFUND, data.record, perform)


@post("/authorizations/{authorization:str}/nozzle-not-lifted", summary="No fuel flowed / 未提枪", tags=_TAG, status_code=200)
async def nozzle_not_lifted(
    authorization: FromPath[str],
    data: JSONBody[Happened],
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[datetime],
) -> Response[ReleaseAnswer]:
    """The hold is released. Without this report an authorisation that is never completed becomes an unresolved dispense."""
    both = parse_reference(authorization)
    if both is None:
        raise AuthorizationNotFound

    async def perform(session: AsyncSession) -> Outcome:
        return await report_nozzle_not_lifted(session, account_id=both[0], authorization_id=both[1], place=caller.place, now=now)

    return await perform_once(request, caller, Operation.NOZZLE, data.record, perform)
