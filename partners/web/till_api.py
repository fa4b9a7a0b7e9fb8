"""The JSON API of partners' own tills: a code looked at, set aside, redeemed, rolled back; a member's sale; the day; an outlet's pause.

A key is the way in and says at which outlets it may act. What changes something carries an `Idempotency-Key`: the same request under the
same key is answered the same bytes for ever, another one is refused; no answer means unknown, and the request is sent again as it was.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from litestar import Request, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Response
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock, problems
from loyalty.db import Sessions, transaction
from loyalty.errors import Refusal
from loyalty.identity.operations.bearer_keys import ApiBudgetSpent, ApiKeyNotValid, bearer_of
from loyalty.limits.rules import plate_key
from loyalty.rewards.operations import redemptions
from loyalty.rewards.operations.redemptions import CodeNotHonoured
from loyalty.rewards.queries.vouchers import get_voucher
from loyalty.web.desk import address_of
from partners.fence import enter_partner
from partners.model import OutletStatus
from partners.operations import counter
from partners.operations.alliances import move_outlet
from partners.operations.api_keys import Answered, OutletNotReached, TillCaller, answer_once, answered_before, enter, outlet_for
from partners.operations.redeeming import Served, redeem, roll_back, sell, serving
from partners.queries.alliances import outlets_of
from partners.queries.counter import day_at
from partners.queries.redeeming import counter_of, reserved_under
from partners.web.till_shapes import (
    Asked,
    Capture,
    Day,
    Good,
    Line,
    Outlet,
    Outlets,
    Pause,
    Receipt,
    Redeem,
    Reserve,
    Reserved,
    RollBack,
    Sale,
    Undone,
)

AnyRequest = Request[Any, Any, Any]
ROOT: Final = "/api/partner/v1"
_CREATED: Final = 201


class KeyMissing(Refusal):
    """What changes something carries a key of its own."""

    status = 422
    zh = "缺少或无效的 Idempotency-Key（UUID）。"
    en = "The Idempotency-Key is missing, or no UUID."
    next_zh = "每个操作生成一个 UUID，重试时保持不变。"
    next_en = "Make a UUID for each operation, and keep it for its retries."


class Till:
    """One request of a partner's till: who it is, and the transactions it is made of."""

    def __init__(self, request: AnyRequest, now: datetime) -> None:
        self.request = request
        self.now = now
        self.sessions: Sessions = request.app.state.sessions

    async def enter(self, session: AsyncSession) -> TillCaller:
        """Judge the key, count the request, and fence the transaction.

        :raises ApiKeyNotValid, ApiBudgetSpent: as `operations.api_keys.enter`
        """
        key = bearer_of(self.request.headers.get("authorization", ""))
        caller = await enter(session, key=key, now=clock.real_now())
        await enter_partner(session, caller.partner_id)
        return caller

    @property
    def key(self) -> UUID:
        """The operation's own key.

        :raises KeyMissing: if there is none
        """
        try:
            return UUID(self.request.headers.get("idempotency-key", ""))
        except ValueError:
            raise KeyMissing from None

    async def once(
        self,
        outlet: str,
        perform: Callable[[AsyncSession, TillCaller, UUID], Awaitable[Any]],
        *,
        code: str | None = None,
    ) -> Response[bytes]:
        """Do something once for its key and answer the same bytes for ever.

        `code` is admitted in a transaction before, with the request's budget, so that a guess counts although it is refused.
        """
        key, said = self.key, self.request.url.path.encode() + b"\n" + await self.request.body()
        admitted: UUID | None = None
        async with transaction(self.sessions) as session:
            caller = await self.enter(session)
            outlet_id = await outlet_for(session, caller=caller, code=outlet)
            known = await answered_before(session, outlet_id=outlet_id, key=key, said=said)
            if known is None and code is not None:
                at = await counter_of(session, outlet_id=outlet_id)
                # The plate is judged when the voucher is set aside, under its lock.
                admitted = await redemptions.admit_code(
                    session, typed=counter.code_in(code), at=at.outlet, key=key, plate_later=True, now=self.now
                )
        if known is None and code is not None and admitted is None:
            raise CodeNotHonoured
        if known is None:
            async with transaction(self.sessions) as session:
                await enter_partner(session, caller.partner_id)
                known = await answer_once(
                    session,
                    partner_id=caller.partner_id,
                    outlet_id=outlet_id,
                    key=key,
                    said=said,
                    status=_CREATED,
                    perform=lambda: perform(session, caller, admitted or outlet_id),
                    now=self.now,
                )
        return _answer(known)


def _answer(known: Answered) -> Response[bytes]:
    return Response(known.body, status_code=known.status, media_type="application/json")


async def provide_till(request: AnyRequest, now: NamedDependency[datetime]) -> Till:
    """Give a handler its request; each opens what transactions it needs."""
    return Till(request, now)


@get("/outlets", summary="The outlets of this key / 本密钥可用网点")
async def outlets(till: NamedDependency[Till]) -> Outlets:
    """With what stands at each: paused ones say why and until when."""
    async with transaction(till.sessions) as session:
        caller = await till.enter(session)
        found = await outlets_of(session, partner_id=caller.partner_id)
    mine = [one for one in found if caller.outlets is None or one.outlet_id in caller.outlets]
    return Outlets([Outlet(*(getattr(one, name) for name in Outlet.__struct_fields__)) for one in mine])


@post("/outlets/{code:str}/pause", summary="Let an outlet pause / 暂停网点", status_code=200)
async def pause(till: NamedDependency[Till], code: FromPath[str], data: JSONBody[Pause]) -> Outlet:
    """Stations, portals and card holders see it at once."""
    until = None if data.minutes is None else till.now + timedelta(minutes=data.minutes)
    return await _moved(till, code, OutletStatus.PAUSED, reason=data.reason, until=until)


@post("/outlets/{code:str}/opening", summary="Let an outlet serve again / 恢复网点", status_code=200)
async def open_again(till: NamedDependency[Till], code: FromPath[str]) -> Outlet:
    """Said again it changes nothing."""
    return await _moved(till, code, OutletStatus.OPEN)


@post("/codes", summary="What a code is good for / 查券", status_code=200)
async def look(till: NamedDependency[Till], data: JSONBody[Asked]) -> Good:
    """One answer for every code that is not good here; too many of them rest the outlet for some minutes."""
    async with transaction(till.sessions) as session:
        caller = await till.enter(session)
        outlet_id = await outlet_for(session, caller=caller, code=data.outlet)
        found = await counter.look(session, outlet_id=outlet_id, typed=data.code, now=till.now)
        at = await serving(session, outlet_id=outlet_id)
    if found is None:
        raise CodeNotHonoured
    one = found.voucher
    return Good(
        found.benefit,
        one.name_zh,
        one.name_en,
        one.code_tail,
        at.currency,
        one.left_minor,
        found.price_minor,
        one.partial,
        one.plate,
        one.expires_at,
    )


_HELD: Final = {201: ResponseSpec(data_container=Reserved, description="Set aside / 已预留")}
_BOOKED: Final = {201: ResponseSpec(data_container=Receipt, description="Booked / 已核销")}


@post("/redemptions", summary="Redeem at once / 直接核销", responses=_BOOKED)
async def redeem_code(till: NamedDependency[Till], data: JSONBody[Redeem]) -> Response[bytes]:
    """The voucher is used and the line booked, in one transaction, once for the key."""

    async def perform(session: AsyncSession, caller: TillCaller, voucher_id: UUID) -> Receipt:
        done = await redeem(
            session,
            outlet_id=await outlet_for(session, caller=caller, code=data.outlet),
            voucher_id=voucher_id,
            key=till.key,
            served_by=data.served_by,
            amount_minor=data.amount_minor,
            gross_minor=data.gross_minor,
            plate=plate_key(data.plate or "") or None,
            actor=caller.actor(address_of(till.request)),
            now=till.now,
        )
        return await _receipt(session, till.key, done)

    return await till.once(data.outlet, perform, code=data.code)


@post(
    "/reservations", summary="Set a voucher aside / 预留券", responses={201: ResponseSpec(data_container=Reserved, description="Set aside")}
)
async def reserve(till: NamedDependency[Till], data: JSONBody[Reserve]) -> Response[bytes]:
    """For a till that redeems when the bill is paid. It lapses by itself."""

    async def perform(session: AsyncSession, caller: TillCaller, voucher_id: UUID) -> Reserved:
        at = await serving(session, outlet_id=await outlet_for(session, caller=caller, code=data.outlet))
        held = await redemptions.reserve(
            session,
            voucher_id=voucher_id,
            at=at.outlet,
            key=till.key,
            amount_minor=data.amount_minor,
            plate=plate_key(data.plate or "") or None,
            actor=caller.actor(address_of(till.request)),
            now=till.now,
        )
        return Reserved(held.key, held.honoured_minor, held.reserved_until)

    return await till.once(data.outlet, perform, code=data.code)


@post("/reservations/{held:uuid}/redemption", summary="Redeem what was set aside / 核销预留", responses=_BOOKED)
async def capture(till: NamedDependency[Till], held: FromPath[UUID], data: JSONBody[Capture]) -> Response[bytes]:
    """The key in the address is the reservation's; the header's is this request's own."""

    async def perform(session: AsyncSession, caller: TillCaller, _outlet: UUID) -> Receipt:
        outlet_id = await outlet_for(session, caller=caller, code=data.outlet)
        at = await counter_of(session, outlet_id=outlet_id)
        standing = await reserved_under(session, caller=at.outlet.caller, key=held)
        if standing is None:
            raise redemptions.RedemptionUnknown
        done = await redeem(
            session,
            outlet_id=outlet_id,
            voucher_id=standing.voucher_id,
            key=held,
            served_by=data.served_by,
            amount_minor=standing.asked_minor,
            gross_minor=data.gross_minor,
            actor=caller.actor(address_of(till.request)),
            now=till.now,
        )
        return await _receipt(session, held, done)

    return await till.once(data.outlet, perform)


@post(
    "/redemptions/{done:uuid}/rollback",
    summary="Roll a redemption or a reservation back / 撤销",
    responses={201: ResponseSpec(data_container=Undone, description="Undone")},
)
async def undo(till: NamedDependency[Till], done: FromPath[UUID], data: JSONBody[RollBack]) -> Response[bytes]:
    """The voucher is good again, after its expiry expired. A key that is not known is refused from now on."""

    async def perform(session: AsyncSession, caller: TillCaller, _outlet: UUID) -> Undone:
        outlet_id = await outlet_for(session, caller=caller, code=data.outlet)
        at = await counter_of(session, outlet_id=outlet_id)
        standing = await reserved_under(session, caller=at.outlet.caller, key=done)
        actor = caller.actor(address_of(till.request))
        await roll_back(session, outlet_id=outlet_id, key=done, reason=data.reason, actor=actor, now=till.now)
        return Undone(done, standing is not None)

    return await till.once(data.outlet, perform)


@post("/sales", summary="A member's sale / 会员消费", responses=_BOOKED)
async def sale(till: NamedDependency[Till], data: JSONBody[Sale]) -> Response[bytes]:
    """With the price agreed for members, or for the commission alone."""
    async with transaction(till.sessions) as session:
        caller = await till.enter(session)
        outlet_id = await outlet_for(session, caller=caller, code=data.outlet)
        shown = await counter.member_shown(session, outlet_id=outlet_id, typed=data.card, now=till.now)

    async def perform(session: AsyncSession, caller: TillCaller, _outlet: UUID) -> Receipt:
        if shown is None:
            raise CardNotShown
        done = await sell(
            session,
            outlet_id=outlet_id,
            key=till.key,
            gross_minor=data.gross_minor,
            benefit=data.benefit,
            reference=f"•••• {shown.tail}",
            served_by=data.served_by,
            actor=caller.actor(address_of(till.request)),
            now=till.now,
        )
        return await _receipt(session, till.key, done)

    return await till.once(data.outlet, perform)


class CardNotShown(Refusal):
    """Unknown, not active, or a code that has run out: the answer is the same."""

    status = 404
    zh = "此卡无效，或手机上的码已过期。"
    en = "This card is not good, or the code on the phone has run out."
    next_zh = "请核对卡号，或请顾客刷新手机上的码。"
    next_en = "Check the number, or ask the customer for a fresh code."


@get("/day", summary="An outlet's day / 网点当日明细")
async def day(till: NamedDependency[Till], outlet: FromQuery[str]) -> Day:
    """The lines of today by the partner's calendar, at most 200, and what stands of all."""
    async with transaction(till.sessions) as session:
        caller = await till.enter(session)
        outlet_id = await outlet_for(session, caller=caller, code=outlet)
        at = await counter_of(session, outlet_id=outlet_id)
        since, until = clock.day_bounds(clock.local_date(till.now, at.zone), at.zone)
        found = await day_at(session, partner_id=caller.partner_id, outlet_id=outlet_id, since=since, until=until)
    lines = [Line(*(getattr(one, name) for name in Line.__struct_fields__)) for one in found.rows]
    return Day(lines, found.uses, found.gross_minor, found.saved_minor)


async def _moved(till: Till, code: str, to: OutletStatus, *, reason: str = "", until: datetime | None = None) -> Outlet:
    async with transaction(till.sessions) as session:
        caller = await till.enter(session)
        outlet_id = await outlet_for(session, caller=caller, code=code)
        before = next(one for one in await outlets_of(session, partner_id=caller.partner_id) if one.outlet_id == outlet_id)
        if before.status is not to:
            actor = caller.actor(address_of(till.request))
            of = {"partner_id": caller.partner_id, "outlet_id": outlet_id}
            await move_outlet(session, **of, to=to, reason=reason, until=until, actor=actor, now=till.now)
        found = next(one for one in await outlets_of(session, partner_id=caller.partner_id) if one.outlet_id == outlet_id)
    return Outlet(*(getattr(found, name) for name in Outlet.__struct_fields__))


async def _receipt(session: AsyncSession, key: UUID, done: Served) -> Receipt:
    left = None
    if done.redemption is not None and done.redemption.voucher_id is not None:
        left = (await get_voucher(session, voucher_id=done.redemption.voucher_id)).left_minor
    told = {name: getattr(done, name) for name in Receipt.__struct_fields__ if name not in {"key", "left_minor"}}
    return Receipt(key=key, left_minor=left, **told)


def on_refusal(_request: AnyRequest, refusal: Refusal) -> Response[bytes]:
    """Answer a refusal; who came too often is told when to come again."""
    headers = {"Retry-After": str(refusal.facts["seconds"])} if isinstance(refusal, ApiBudgetSpent) else None
    if isinstance(refusal, ApiKeyNotValid):
        headers = {"WWW-Authenticate": "Bearer"}
    return problems.answer(refusal, headers=headers)


_PROBLEMS: Final[Any] = {Refusal: on_refusal, HTTPException: problems.on_http_exception, Exception: problems.on_fault}
till_api = Router(
    path=ROOT,
    route_handlers=[outlets, pause, open_again, look, redeem_code, reserve, capture, undo, sale, day],
    dependencies={"till": Provide(provide_till)},
    exception_handlers=_PROBLEMS,
    security=[{"partnerKey": list[str]()}],
    tags=["partners' own tills"],
)
__all__ = ["ROOT", "OutletNotReached", "till_api"]
