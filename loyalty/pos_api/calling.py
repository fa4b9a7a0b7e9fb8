"""Who calls an ordinary route: the signature is checked before anything of the request is read."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock, revisions
from loyalty.audit.model import Actor, ActorKind
from loyalty.authorizations.callers import Caller, IdempotencyKeyNeeded, caller_of, signed_headers
from loyalty.authorizations.worker import Pump
from loyalty.cards.rules import PIN_DIGITS
from loyalty.crypto import SealedPinError, open_pin
from loyalty.db import transaction
from loyalty.errors import Refusal
from loyalty.identity.operations.tills import identify_at_till, require_at_station
from loyalty.identity.rules import Permission
from loyalty.policy import Policy, load_policy
from loyalty.stations.queries import running_shift

__all__ = ["PIN_DIGITS", "Caller", "StaffCredential"]


class TerminalNotTrusted(Refusal):
    """Quarantined, revoked, or signing with an older enrolment: what it reports is still booked, nothing new is begun."""

    status = 403
    zh = "此终端已停用或被隔离，不能办理新业务。"
    en = "This terminal is revoked or quarantined: it may report what happened, and begin nothing new."
    next_zh = "请联系站长重新登记终端；未上报的交易仍可上报。"
    next_en = "Have it enrolled again; what it has not reported is still taken."


class StaffNotRecognised(Refusal):
    """Wrong card or PIN, one answer for both; three wrong ones lock the PIN."""

    status = 403
    zh = "员工卡或密码不正确。"
    en = "The staff card or PIN is wrong."
    next_zh = "请重试；三次错误后由站长解锁。"
    next_en = "Try again; after three wrong ones the station manager unlocks it."


class ShiftNeeded(Refusal):
    """A person answers for this; the till's running shift says who."""

    zh = "此操作须由当班收银员办理，本终端没有正在进行的班次。"
    en = "A member of staff answers for this, and no shift is running on this terminal."
    next_zh = "请先刷员工卡开班。"
    next_en = "Open a shift with staff card and PIN first."


class PinUnreadable(Refusal):
    """Sealed for another card, request or session."""

    status = 422
    zh = "密码密文无法解开。"
    en = "The sealed PIN does not open."
    next_zh = "请在当前日会话下重新输入密码，使用新的幂等键。"
    next_en = "Type it again under the present day session, with a new idempotency key."


class StaffCredential(Struct, forbid_unknown_fields=True, frozen=True):
    """A staff card and its PIN, sealed under the day session and bound to the card number and this request's key."""

    card: Annotated[str, Meta(pattern=r"^[0-9]{6,24}$")]
    pin: Annotated[str, Meta(max_length=400)]


async def signed(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Guard: let only tills in whose signature holds; a revoked till, or a closed session, counts at once."""
    assert isinstance(connection, Request), "HTTP routes only"
    connection.state.caller = await _caller(connection)
    if await _moved(connection.app.state):
        await connection.app.state.pump.reload()
        connection.state.caller = await _caller(connection)


async def _caller(request: Request[Any, Any, Any]) -> Caller:
    scope: Any = request.scope
    return await caller_of(
        request.app.state.pump,
        method=request.method,
        path=scope["raw_path"],
        query=scope["query_string"],
        body=await request.body(),
        signed=signed_headers(scope["headers"]),
    )


async def _moved(state: State) -> bool:
    """Say whether the reference data has moved since this worker read it. The hot write compares for itself; here nothing else would."""
    async with transaction(state.sessions) as session:
        counters = await revisions.current(session)
    pump: Pump = state.pump
    return [counters[kind] for kind in sorted(counters)] != pump.snapshot.revisions


async def trusted(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard: as `signed`, and neither quarantined nor revoked."""
    await signed(connection, handler)
    if not connection.state.caller.trusted:
        raise TerminalNotTrusted


async def provide_caller(request: Request[Any, Any, Any]) -> Caller:
    """Give a handler the till that signed."""
    caller: Caller = request.state.caller
    return caller


async def provide_policy(state: State) -> Policy:
    """Give a handler the profile of this installation."""
    return load_policy(state.settings.policy)


def key_of(caller: Caller) -> UUID:
    """Return a write's idempotency key.

    :raises IdempotencyKeyNeeded: if there is none
    """
    if caller.key is None:
        raise IdempotencyKeyNeeded
    return caller.key


def opened_pin(sealed: str, *, caller: Caller, card: str) -> str:
    """Open a PIN that was sealed for this request and card.

    :raises PinUnreadable: if it was not
    """
    try:
        return open_pin(sealed, session=caller.session.keys, card=card, request_key=str(key_of(caller)))
    except SealedPinError:
        raise PinUnreadable from None


async def identify(state: State, caller: Caller, credential: StaffCredential, permission: Permission) -> UUID:
    """Return whose staff card this is, in a transaction of its own: the counted try must survive a refusal.

    :raises PinUnreadable: if the PIN was not sealed for this request
    :raises StaffNotRecognised: if card or PIN are wrong
    :raises NotAllowed: if the person may not do this here
    """
    pin = opened_pin(credential.pin, caller=caller, card=credential.card)
    now = clock.real_now()
    async with transaction(state.sessions) as session:
        found = await identify_at_till(session, terminal_id=caller.place.terminal_id, card_number=credential.card, pin=pin, now=now)
    if found.staff_id is None:
        raise StaffNotRecognised(locked=found.locked)
    async with transaction(state.sessions) as session:
        await require_at_station(session, staff_id=found.staff_id, permission=permission, station_id=caller.place.station_id, now=now)
    return found.staff_id


async def serving(session: AsyncSession, caller: Caller, permission: Permission) -> Actor:
    """Return the cashier of the till's running shift, who may do this.

    :raises ShiftNeeded: if no shift is running
    :raises NotAllowed: if the person may not do this here
    """
    shift = await running_shift(session, terminal_id=caller.place.terminal_id)
    if shift is None:
        raise ShiftNeeded
    await require_at_station(
        session, staff_id=shift.cashier_id, permission=permission, station_id=caller.place.station_id, now=clock.real_now()
    )
    return Actor(ActorKind.STAFF, shift.cashier_id)


def machine(caller: Caller) -> Actor:
    """Return the till itself as the one who acts."""
    return Actor(ActorKind.TERMINAL, caller.place.terminal_id)


def happened(event_at: datetime | None, now: datetime) -> datetime:
    """Return when something happened: as the till says, never later than now."""
    return now if event_at is None else min(event_at, now)
