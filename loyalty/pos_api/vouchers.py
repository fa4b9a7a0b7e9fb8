"""Vouchers at the till: one is set aside by its code, used at once or by the sale that it pays a part of, or let go."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.audit.model import Actor
from loyalty.authorizations.callers import Caller
from loyalty.authorizations.dedupe import Outcome
from loyalty.authorizations.model import Operation
from loyalty.db import transaction
from loyalty.identity.rules import Permission
from loyalty.ids import NOBODY
from loyalty.rewards.operations import redemptions
from loyalty.rewards.queries.vouchers import RedemptionView, get_voucher, outlet_of_station, redemption_of_caller
from loyalty.rewards.voucher_rules import Outlet

from .calling import key_of, serving
from .wire import Reason, Recorded
from .writing import did, perform_once

_TAG = ["vouchers"]
_Minor = Annotated[int, Meta(ge=0, le=10**13, description="Minor units of the voucher's currency")]
_Plate = Annotated[str, Meta(min_length=1, max_length=16)]


class VoucherRequest(Recorded, frozen=True, kw_only=True):
    """Set a voucher aside; `use`: use it at once, as a free wash is. `amount_minor` of money, at most what is due; none: all of it."""

    code: Annotated[str, Meta(min_length=1, max_length=40, description="As it is typed or scanned")]
    amount_minor: Annotated[int, Meta(gt=0, le=10**13)] | None = None
    plate: _Plate | None = None
    use: bool = False


class VoucherUse(Recorded, frozen=True, kw_only=True):
    """Use what was set aside, or less of it."""

    amount_minor: Annotated[int, Meta(gt=0, le=10**13)] | None = None


class VoucherRollBack(Recorded, frozen=True, kw_only=True):
    """Let go what was set aside, or take back what was used within the kind's minutes."""

    reason: Reason


class VoucherAnswer(Struct, omit_defaults=True, kw_only=True):
    """A redemption. `outcome`: reserved, redeemed, rolled_back."""

    outcome: str
    redemption: UUID
    """The reference of a sale's tender `voucher`: the sale then uses it by itself."""
    kind: str
    name_zh: str
    name_en: str
    currency: str | None = None
    honoured_minor: _Minor | None = None
    """What the customer saves."""
    left_minor: _Minor | None = None
    """What is left on it afterwards, set aside or not."""
    plate: str | None = None
    status: str = ""
    """The voucher's: reserved, redeemed, issued (good again, or with a rest), expired."""
    reserved_until: datetime | None = None


@post("/voucher-redemptions", summary="Set a voucher aside, or use it / 核销优惠券", tags=_TAG, status_code=200)
async def redeem_voucher(
    data: JSONBody[VoucherRequest], request: Request[Any, Any, Any], caller: NamedDependency[Caller], now: NamedDependency[datetime]
) -> Response[VoucherAnswer]:
    """One answer for every code that is not good here; wrong ones are counted. A sale that names it in its tender uses it by itself."""
    sessions, key = request.app.state.sessions, key_of(caller)
    plate = None if data.plate is None else data.plate.replace(" ", "").upper()
    async with transaction(sessions) as session:
        await serving(session, caller, Permission.SELL)
        outlet = await outlet_of_station(session, station_id=caller.place.station_id, terminal_id=caller.place.terminal_id)
    # The guess counts although it is refused: its transaction is its own.
    voucher_id = await redemptions.admitted(sessions, typed=data.code, at=outlet, key=key, plate=plate, now=now)

    async def perform(session: AsyncSession) -> Outcome:
        actor = await serving(session, caller, Permission.SELL)
        made = await redemptions.reserve(
            session, voucher_id=voucher_id, at=outlet, key=key, amount_minor=data.amount_minor, plate=plate, actor=actor, now=now
        )
        if data.use:
            made = await redemptions.redeem(session, at=outlet, key=key, actor=actor, now=now)
        return await _did(session, made)

    return await perform_once(request, caller, Operation.OTHER, data.record, perform)


@post("/voucher-redemptions/{redemption:uuid}/use", summary="Use what was set aside / 确认核销", tags=_TAG, status_code=200)
async def use_voucher(
    redemption: FromPath[UUID],
    data: JSONBody[VoucherUse],
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[datetime],
) -> Response[VoucherAnswer]:
    """Needed only where no sale names it: a booked sale uses its voucher within a minute."""

    async def perform(session: AsyncSession) -> Outcome:
        actor, outlet, key = await _set_aside(session, caller, redemption)
        made = await redemptions.redeem(session, at=outlet, key=key, amount_minor=data.amount_minor, actor=actor, now=now)
        return await _did(session, made)

    return await perform_once(request, caller, Operation.OTHER, data.record, perform)


@post("/voucher-redemptions/{redemption:uuid}/roll-back", summary="Let a voucher go / 撤销核销", tags=_TAG, status_code=200)
async def roll_back_voucher(
    redemption: FromPath[UUID],
    data: JSONBody[VoucherRollBack],
    request: Request[Any, Any, Any],
    caller: NamedDependency[Caller],
    now: NamedDependency[datetime],
) -> Response[VoucherAnswer]:
    """The voucher is good again, after its expiry expired. One that paid a booked sale goes back with the sale's refund instead."""

    async def perform(session: AsyncSession) -> Outcome:
        actor, outlet, key = await _set_aside(session, caller, redemption)
        made = await redemptions.roll_back(session, at=outlet, key=key, reason=data.reason, actor=actor, now=now)
        return await _did(session, made)

    return await perform_once(request, caller, Operation.OTHER, data.record, perform)


async def _set_aside(session: AsyncSession, caller: Caller, redemption_id: UUID) -> tuple[Actor, Outlet, UUID]:
    """Return who serves, this till as an outlet, and the key under which it set a voucher aside.

    :raises RedemptionNotFound: if it did not
    """
    actor = await serving(session, caller, Permission.SELL)
    outlet = await outlet_of_station(session, station_id=caller.place.station_id, terminal_id=caller.place.terminal_id)
    return actor, outlet, (await redemption_of_caller(session, redemption_id=redemption_id, caller=outlet.caller)).key


async def _did(session: AsyncSession, made: RedemptionView) -> Outcome:
    assert made.voucher_id is not None, "a tombstone is made by a counter's own roll-back alone"
    voucher = await get_voucher(session, voucher_id=made.voucher_id)
    answer = VoucherAnswer(
        outcome=made.status.value,
        redemption=made.redemption_id,
        kind=voucher.kind_code,
        name_zh=voucher.name_zh,
        name_en=voucher.name_en,
        currency=voucher.currency,
        honoured_minor=made.honoured_minor,
        left_minor=voucher.left_minor,
        plate=voucher.plate,
        status=voucher.status.value,
        reserved_until=made.reserved_until,
    )
    return did(answer, subject_id=made.redemption_id, account_id=voucher.account_id or NOBODY)
