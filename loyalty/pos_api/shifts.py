"""The shift: opened by a person, cash dropped, counted blind, closed with a signed chain; and the business day."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta, Struct, field
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor, ActorKind
from loyalty.authorizations.callers import Caller
from loyalty.authorizations.chain_rules import Difference, Hash, JournalLine
from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.model import Operation
from loyalty.authorizations.operations.chains import close_chain
from loyalty.authorizations.queries import shift_totals
from loyalty.authorizations.wire import Minor
from loyalty.identity.rules import Permission
from loyalty.ids import ShiftId, StaffId, StationId, TerminalId
from loyalty.stations.model import Shift, ShiftStatus
from loyalty.stations.operations import close_day, close_shift, open_shift, record_cash_drop
from loyalty.stations.queries import ShiftNotFound, ShiftView, running_shift
from loyalty.stations.rules import ShiftTotals

from .calling import StaffCredential, identify, serving
from .queries import day_totals
from .wire import Amount, Recorded
from .writing import did, perform_once

_TAG = ["shifts"]


class ShiftOpening(Recorded, frozen=True, kw_only=True):
    """Staff card and PIN, and the cash that lies in the till."""

    staff: StaffCredential
    opening_float_minor: Minor


class CashDropRequest(Recorded, frozen=True, kw_only=True):
    """Cash into the safe, in a numbered bag."""

    amount_minor: Amount
    envelope: Annotated[str, Meta(min_length=1, max_length=40)]


class ChainStretch(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What the till signs with its enrolled key: every record since the last close enters `head`."""

    epoch: Annotated[int, Meta(ge=1)]
    last_sequence: Annotated[int, Meta(ge=0, le=2**53)]
    head: Hash
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]


class ShiftClosing(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A blind count, the signed chain, and the till's journal since its last close."""

    counted_cash_minor: Minor | None = None
    explanation: Annotated[str, Meta(min_length=1, max_length=500)] | None = None
    chain: ChainStretch
    journal: Annotated[list[JournalLine], Meta(max_length=20_000)] = field(default_factory=list)


class ShiftAnswer(Struct, omit_defaults=True, kw_only=True):
    """A shift. `counted`: the cash differs and nobody explained it yet; close again with an explanation."""

    outcome: str
    shift_id: UUID
    status: str
    opened_at: datetime
    currency: str
    opening_float_minor: int
    counted_cash_minor: int | None = None
    expected_cash_minor: int | None = None
    over_short_minor: int | None = None
    totals: ShiftTotals | None = None
    signature_good: bool | None = None
    differences: list[Difference] | None = None
    """Each transaction in which till and host differ; an empty list says that they agree."""
    message_zh: str | None = None
    message_en: str | None = None


class DropAnswer(Struct, kw_only=True):
    """A bag that went into the safe."""

    outcome: str
    drop_id: UUID
    amount_minor: int
    envelope: str


class DayClosing(Recorded, frozen=True, kw_only=True):
    """The business day to close, and the manager who closes it."""

    day: date
    staff: StaffCredential


class DayAnswer(Struct, kw_only=True):
    """A closed business day: its totals are bytes for ever, named by their hash."""

    outcome: str
    day: date
    closed_at: datetime
    totals: dict[str, Any]
    totals_hash: bytes


@post("/shifts", summary="Open a shift / 开班", tags=_TAG, status_code=200)
async def open_(
    data: JSONBody[ShiftOpening],
    request: Request[Any, Any, Any],
    state: State,
    caller: NamedDependency[Caller],
    now: NamedDependency[datetime],
) -> Response[ShiftAnswer]:
    """What this till does until the close is done by this person."""
    cashier = await identify(state, caller, data.staff, Permission.RUN_SHIFT)

    async def perform(session: AsyncSession) -> Outcome:
        shift = await open_shift(
            session,
            station_id=StationId(caller.place.station_id),
            terminal_id=TerminalId(caller.place.terminal_id),
            cashier_id=StaffId(cashier),
            opening_float_minor=data.opening_float_minor,
            actor=Actor(ActorKind.STAFF, cashier),
            now=now,
        )
        return did(_answer(shift), subject_id=shift.shift_id)

    return await perform_once(request, caller, Operation.SHIFT, data.record, perform)


@get("/shifts/current", summary="The running shift / 当前班次", tags=_TAG)
async def current(caller: NamedDependency[Caller], session: NamedDependency[AsyncSession]) -> ShiftAnswer:
    """Blind: nothing about expected cash before the count."""
    return _answer(await _running(session, caller))


@post("/shifts/current/cash-drops", summary="Cash into the safe / 投币入库", tags=_TAG, status_code=200)
async def drop_cash(
    data: JSONBody[CashDropRequest], request: Request[Any, Any, Any], caller: NamedDependency[Caller], now: NamedDependency[datetime]
) -> Response[DropAnswer]:
    """Noted with the bag's number."""

    async def perform(session: AsyncSession) -> Outcome:
        actor = await serving(session, caller, Permission.RUN_SHIFT)
        shift = await _running(session, caller)
        drop = await record_cash_drop(
            session,
            shift_id=ShiftId(shift.shift_id),
            amount_minor=data.amount_minor,
            envelope=data.envelope,
            staff_id=StaffId(shift.cashier_id),
            actor=actor,
            now=now,
        )
        answer = DropAnswer(outcome="booked", drop_id=drop.drop_id, amount_minor=drop.amount_minor, envelope=drop.envelope)
        return did(answer, subject_id=drop.drop_id)

    return await perform_once(request, caller, Operation.SHIFT, data.record, perform)


@post("/shifts/current/closure", summary="Count blind and close the shift / 盲点现金、交班", tags=_TAG, status_code=200)
async def close(
    data: JSONBody[ShiftClosing], request: Request[Any, Any, Any], caller: NamedDependency[Caller], now: NamedDependency[datetime]
) -> Response[ShiftAnswer]:
    """The count is stored before anything about the expected amount is told. Differences are named and stop nothing."""

    async def perform(session: AsyncSession) -> Outcome:
        view = await _running(session, caller)
        actor = Actor(ActorKind.STAFF, view.cashier_id)
        shift = await close_shift(
            session,
            shift_id=ShiftId(view.shift_id),
            counted_cash_minor=data.counted_cash_minor,
            # A sale of this very millisecond is the shift's, too.
            expected=await shift_totals(
                session,
                station_id=view.station_id,
                terminal_id=view.terminal_id,
                booked_from=view.opened_at,
                booked_to=now + timedelta(milliseconds=1),
            ),
            staff_id=StaffId(view.cashier_id),
            explanation=data.explanation,
            actor=actor,
            now=now,
        )
        answer = _answer(shift)
        if shift.status is ShiftStatus.CLOSED:
            chain = await close_chain(
                session,
                shift_id=shift.shift_id,
                terminal_id=shift.terminal_id,
                epoch=data.chain.epoch,
                journal=data.journal,
                last_sequence=data.chain.last_sequence,
                head=data.chain.head,
                signature=data.chain.signature,
                opened_at=shift.opened_at,
                now=now,
            )
            answer.signature_good = chain.signature_good
            answer.differences = msgspec.convert(chain.differences, list[Difference])
        else:
            answer.message_zh = "现金与账面不符，请填写说明后再次交班。"
            answer.message_en = "The cash differs from the books: explain it and close again."
        return did(answer, subject_id=shift.shift_id)

    return await perform_once(request, caller, Operation.SHIFT, None, perform)


@post("/day-closes", summary="Close a business day / 日结", tags=_TAG, status_code=200)
async def close_the_day(
    data: JSONBody[DayClosing],
    request: Request[Any, Any, Any],
    state: State,
    caller: NamedDependency[Caller],
    now: NamedDependency[datetime],
) -> Response[DayAnswer]:
    """After midnight at the station, when every shift of the day is closed. The totals name each transaction in which a till differed."""
    manager = await identify(state, caller, data.staff, Permission.CLOSE_DAY)

    async def perform(session: AsyncSession) -> Outcome:
        totals = await day_totals(session, station_id=caller.place.station_id, day=data.day)
        closed = await close_day(
            session,
            station_id=StationId(caller.place.station_id),
            day=data.day,
            totals=totals,
            actor=Actor(ActorKind.STAFF, manager),
            now=now,
        )
        answer = DayAnswer(
            outcome="closed", day=closed.day, closed_at=closed.closed_at, totals=closed.totals, totals_hash=closed.totals_hash
        )
        return did(answer, subject_id=caller.place.station_id)

    return await perform_once(request, caller, Operation.SHIFT, data.record, perform)


async def _running(session: AsyncSession, caller: Caller) -> ShiftView:
    shift = await running_shift(session, terminal_id=caller.place.terminal_id)
    if shift is None:
        raise ShiftNotFound
    return shift


def _answer(shift: Shift | ShiftView) -> ShiftAnswer:
    return ShiftAnswer(
        outcome=shift.status.value,
        shift_id=shift.shift_id,
        status=shift.status.value,
        opened_at=shift.opened_at,
        currency=shift.currency,
        opening_float_minor=shift.opening_float_minor,
        counted_cash_minor=shift.counted_cash_minor,
        expected_cash_minor=shift.expected_cash_minor,
        over_short_minor=shift.over_short_minor,
        totals=None if shift.totals is None else msgspec.convert(shift.totals, ShiftTotals),
    )
