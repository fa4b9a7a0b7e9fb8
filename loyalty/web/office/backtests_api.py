"""Backtests and shadow runs over JSON for the office: the same session, permissions and operations as the pages."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Router, delete, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import Meta, Struct

from loyalty import problems
from loyalty.backtests.operations import backtests
from loyalty.backtests.queries.backtests import BacktestLine, BacktestView, get_backtest, list_backtests
from loyalty.backtests.queries.shadows import ShadowDay, shadow_days
from loyalty.errors import Refusal
from loyalty.identity.rules import Permission
from loyalty.pricing.operations.shadowing import start_shadow, stop_shadow
from loyalty.pricing.queries import books

from .backtests import admit
from .desk import Desk
from .rules_api import on_fault, on_refusal, provide_clerk

Instant = Annotated[datetime, Meta(tz=True)]


class NewBacktest(Struct, forbid_unknown_fields=True):
    """Sales booked in `[since, until)`, in the rulebook's currency unless another is named."""

    number: int
    since: Instant
    until: Instant
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None


class Asked(Struct):
    backtest_id: UUID


class Backtests(Struct):
    items: list[BacktestLine]
    next: str | None
    previous: str | None


@post("/backtests", summary="Ask for a backtest / 申请回测", status_code=201)
async def ask(desk: NamedDependency[Desk], data: JSONBody[NewBacktest]) -> Asked:
    """It begins within the minute; its progress and report stand under its id."""
    desk.require(Permission.EDIT_RULES)
    identity = await backtests.ask(
        desk.session, number=data.number, since=data.since, until=data.until, currency=data.currency, actor=desk.actor, now=desk.now
    )
    return Asked(identity)


@get("/backtests", summary="Backtests, the latest first / 回测列表")
async def listed(
    desk: NamedDependency[Desk],
    number: FromQuery[int | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Backtests:
    """One page, of one rulebook or of all; `next` and `previous` are the cursors of its neighbours."""
    admit(desk)
    page = await list_backtests(desk.session, number=number, cursor=cursor, limit=limit)
    return Backtests(page.rows, page.next, page.previous)


@get("/backtests/{backtest_id:uuid}", summary="A backtest, with its report / 查看回测")
async def shown(desk: NamedDependency[Desk], backtest_id: FromPath[UUID]) -> BacktestView:
    """How far it is; once it is done, the whole report."""
    admit(desk)
    return await get_backtest(desk.session, backtest_id=backtest_id)


@delete("/backtests/{backtest_id:uuid}", summary="Cancel a backtest / 取消回测", status_code=204)
async def cancel(desk: NamedDependency[Desk], backtest_id: FromPath[UUID]) -> None:
    """One that waits or runs; nothing of it is kept."""
    desk.require(Permission.EDIT_RULES)
    await backtests.cancel(desk.session, backtest_id=backtest_id, actor=desk.actor, now=desk.now)


@post("/shadows/{number:int}", summary="Run a draft in the shadow / 开始并行试运行", status_code=204)
async def start(desk: NamedDependency[Desk], number: FromPath[int]) -> None:
    """Each sale from now on is asked what it would have got; nothing changes at the pump."""
    desk.require(Permission.EDIT_RULES)
    await start_shadow(desk.session, number=number, actor=desk.actor, now=desk.now)


@delete("/shadows/{number:int}", summary="Stop a shadow run / 停止并行试运行", status_code=204)
async def stop(desk: NamedDependency[Desk], number: FromPath[int]) -> None:
    """What was recorded stays."""
    desk.require(Permission.EDIT_RULES)
    await stop_shadow(desk.session, number=number, actor=desk.actor, now=desk.now)


@get("/shadows/{number:int}", summary="A shadow run by day / 并行试运行逐日结果")
async def days(desk: NamedDependency[Desk], number: FromPath[int]) -> list[ShadowDay]:
    """What the live rules gave, and what the draft would have given."""
    admit(desk)
    await books.get_book(desk.session, number=number)
    return await shadow_days(desk.session, number=number)


_PROBLEMS: Final[Any] = problems.exception_handlers() | {Refusal: on_refusal, Exception: on_fault}  # type: ignore[operator]

backtests_api = Router(
    path="/office/api",
    route_handlers=[ask, listed, shown, cancel, start, stop, days],
    dependencies={"desk": Provide(provide_clerk)},
    exception_handlers=_PROBLEMS,
    security=[{"officeSession": list[str]()}],
    tags=["rulebooks"],
)
