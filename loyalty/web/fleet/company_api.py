"""The JSON API of companies' own systems: read what their cards took, make fuel orders. A key is the way in, and its company the fence.

Not part of the tills' API: other keys, another address, additive within its own `v1`.
"""

from datetime import date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import Request, Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Response
from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty import clock, problems
from loyalty.audit.model import Actor, ActorKind
from loyalty.errors import Refusal
from loyalty.fleet.detecting import Kind, Severity
from loyalty.fleet.model import VehicleStatus
from loyalty.fleet.model_api import ApiScope
from loyalty.fleet.model_findings import Disposition
from loyalty.fleet.operations.api_keys import ApiBudgetSpent, ApiCaller, ApiKeyNotValid, enter_with_key
from loyalty.fleet.queries.api import ApiFill, fills_after
from loyalty.fleet.queries.cards import get_fleet_card, list_fleet_cards
from loyalty.fleet.queries.companies import CompanyView, get_company
from loyalty.fleet.queries.vehicles import get_vehicle, list_vehicles
from loyalty.fleet.queries.watching import list_findings
from loyalty.identity.operations.bearer_keys import bearer_of
from loyalty.limits.model import OrderStatus
from loyalty.limits.operations.orders import NewOrder, add_orders, cancel_order
from loyalty.limits.queries_orders import OrderView, get_order, list_orders
from loyalty.statements.queries.companies import StatedPeriod, periods_of, totals_of_period
from loyalty.statements.queries.lines import Part
from loyalty.web.desk import address_of
from loyalty.web.fleet.desk import enter_tenant

AnyRequest = Request[Any, Any, Any]
Limit = Annotated[int, Meta(ge=1, le=200)]


class System:
    """One request of a company's system; its session sees that company's rows only."""

    def __init__(self, session: AsyncSession, caller: ApiCaller, company: CompanyView, now: datetime, address: str | None) -> None:
        self.session = session
        self.caller = caller
        self.company = company
        self.now = now
        self.actor = Actor(ActorKind.COMPANY_USER, f"key {caller.prefix}", address)


class Fills(Struct):
    """`after` is what the next request sends: also where nothing is new."""

    items: list[ApiFill]
    after: UUID | None
    more: bool


class Vehicle(Struct):
    """The norm in thousandths of a litre per 100 km, the tank in thousandths of a litre."""

    vehicle_id: UUID
    plate: str
    type: str
    status: VehicleStatus
    department_id: UUID | None
    department: str | None
    product_code: str | None
    tank_milli: int | None
    norm_milli: int | None
    odometer_km: int | None
    odometer_at: datetime | None


class Card(Struct):
    """By the last digits of its number: the whole number is nobody's but the pump's."""

    card_id: UUID
    number_tail: str
    status: str
    vehicle_id: UUID | None
    plate: str | None
    driver_id: UUID | None
    driver: str | None
    department_id: UUID | None
    own_minor: int
    available_minor: int
    expires_on: date | None


class Finding(Struct):
    finding_id: UUID
    fill_id: UUID
    vehicle_id: UUID
    plate: str
    kind: Kind
    severity: Severity
    disposition: Disposition
    event_at: datetime
    evidence: dict[str, Any]


class Vehicles(Struct):
    items: list[Vehicle]
    next: str | None


class Cards(Struct):
    items: list[Card]
    next: str | None


class Findings(Struct):
    items: list[Finding]
    next: str | None


class Account(Struct):
    """How the company's money moved in the period: `opening + loads + other - spent + refunded == closing`."""

    opening_minor: int
    loads_minor: int
    spent_minor: int
    refunded_minor: int
    other_minor: int
    closing_minor: int


class Period(Struct):
    """A statement's figures; days `[first, end)`, refunds taken off. `closed_at` None: it runs still, and its figures move."""

    first: date
    end: date
    closed_at: datetime | None
    currency: str
    fills: int
    refunds: int
    quantity_milli: int
    gross_minor: int
    discount_minor: int
    card_minor: int
    account: Account | None


class Periods(Struct):
    items: list[Period]


class Order(Struct, forbid_unknown_fields=True):
    """Either `amount_minor` or `quantity_milli` is the most that may be taken. What is left out does not bind it.

    The number is the company's own and good once: a request sent again is answered `order_number_taken`, and has its effect once.
    """

    number: Annotated[str, Meta(pattern="^[0-9A-Za-z._/-]{1,32}$")]
    valid_from: datetime
    valid_until: datetime
    amount_minor: Annotated[int, Meta(gt=0)] | None = None
    quantity_milli: Annotated[int, Meta(gt=0)] | None = None
    product_code: str | None = None
    vehicle_id: UUID | None = None
    card_id: UUID | None = None
    keeps_rest: bool = False
    note: Annotated[str, Meta(max_length=200)] | None = None


class OrderShown(Struct):
    order_id: UUID
    number: str
    status: OrderStatus
    valid_from: datetime
    valid_until: datetime
    amount_minor: int | None
    quantity_milli: int | None
    used_minor: int
    used_milli: int
    fills: int


class Orders(Struct):
    items: list[OrderShown]
    next: str | None


class Cancel(Struct, forbid_unknown_fields=True):
    reason: Annotated[str, Meta(min_length=1, max_length=200)]


async def provide_system(request: AnyRequest, session: NamedDependency[AsyncSession], now: NamedDependency[datetime]) -> System:
    """Judge the key, count the request, and fence the transaction.

    :raises ApiKeyNotValid, ApiBudgetSpent: as `enter_with_key`
    """
    caller = await enter_with_key(session, key=bearer_of(request.headers.get("authorization", "")), now=clock.real_now())
    await enter_tenant(session, caller.company_id)
    company = await get_company(session, company_id=caller.company_id)
    return System(session, caller, company, now, address_of(request))


@get("/fills", summary="Fills in the order of booking, each once / 按入账顺序读取加油记录")
async def fills(
    system: NamedDependency[System],
    after: FromQuery[UUID | None] = None,
    since: FromQuery[datetime | None] = None,
    limit: FromQuery[Limit] = 100,
) -> Fills:
    """Send the `after` of the last answer and get what was booked since; a fill is told some minutes after its booking, once it is settled.

    `since` is where a first request begins; without it, at the first fill.
    """
    found = await fills_after(system.session, account_id=system.company.account_id, after=after, back_to=since, limit=limit + 1)
    shown = found[:limit]
    return Fills(shown, shown[-1].fill_id if shown else after, len(found) > limit)


@get("/vehicles", summary="Vehicles / 车辆")
async def vehicles(system: NamedDependency[System], cursor: FromQuery[str | None] = None, limit: FromQuery[Limit] = 100) -> Vehicles:
    """Those that are not closed, by plate."""
    found = await list_vehicles(system.session, company_id=system.company.company_id, cursor=cursor, limit=limit)
    return Vehicles([_as(Vehicle, one) for one in found.rows], found.next)


@get("/cards", summary="Cards and whose they are / 卡片及归属")
async def cards(system: NamedDependency[System], cursor: FromQuery[str | None] = None, limit: FromQuery[Limit] = 100) -> Cards:
    """Living cards; amounts in minor units."""
    found = await list_fleet_cards(system.session, company_id=system.company.company_id, cursor=cursor, limit=limit)
    return Cards([_as(Card, one) for one in found.rows], found.next)


@get("/findings", summary="What is odd about fills / 异常提示")
async def findings(
    system: NamedDependency[System],
    disposition: FromQuery[Disposition | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[Limit] = 100,
) -> Findings:
    """The latest fills first. A finding is a question, never a proof."""
    company_id = system.company.company_id
    found = await list_findings(system.session, company_id=company_id, disposition=disposition, cursor=cursor, limit=limit)
    return Findings([_as(Finding, one, fill_id=one.sale_id) for one in found.rows], found.next)


@get("/statements", summary="Statement figures by period / 对账期数据")
async def statements(system: NamedDependency[System]) -> Periods:
    """Every period, the running one first; a closed one's figures never change."""
    found = await periods_of(system.session, company=system.company, now=system.now)
    return Periods([await _period(system, one) for one in found])


@get("/orders", summary="Fuel orders, the latest first / 加油单")
async def orders(
    system: NamedDependency[System], number: FromQuery[str] = "", cursor: FromQuery[str | None] = None, limit: FromQuery[Limit] = 100
) -> Orders:
    """`number`: how it begins."""
    found = await list_orders(system.session, company_id=system.company.company_id, text=number, cursor=cursor, limit=limit)
    return Orders([_order(one) for one in found.rows], found.next)


@post("/orders", summary="Make a fuel order / 新建加油单", status_code=201)
async def make_order(system: NamedDependency[System], data: JSONBody[Order]) -> OrderShown:
    """The pump takes its number with the card, and no more than it says."""
    system.caller.require(ApiScope.ORDERS)
    company_id = system.company.company_id
    chain_id = None
    if data.card_id is not None:
        chain_id = (await get_fleet_card(system.session, company_id=company_id, card_id=data.card_id)).chain_id
    if data.vehicle_id is not None:
        await get_vehicle(system.session, company_id=company_id, vehicle_id=data.vehicle_id)
    given = {name: getattr(data, name) for name in NewOrder._fields if name in data.__struct_fields__}
    new = NewOrder(**given | {"chain_id": chain_id})
    made = await add_orders(
        system.session, company_id=company_id, account_id=system.company.account_id, orders=[new], actor=system.actor, now=system.now
    )
    return _order(await get_order(system.session, company_id=company_id, order_id=made[0]))


@post("/orders/{order_id:uuid}/cancellation", summary="Cancel a fuel order / 取消加油单", status_code=200)
async def end_order(system: NamedDependency[System], order_id: FromPath[UUID], data: JSONBody[Cancel]) -> OrderShown:
    """A fill that has begun on it ends as it would."""
    system.caller.require(ApiScope.ORDERS)
    company_id = system.company.company_id
    await cancel_order(system.session, company_id=company_id, order_id=order_id, reason=data.reason, actor=system.actor, now=system.now)
    return _order(await get_order(system.session, company_id=company_id, order_id=order_id))


def _as(into: Any, row: Any, **more: object) -> Any:
    """Return a room's row as the API promises it: what the room adds later does not leak."""
    return into(**{name: getattr(row, name) for name in into.__struct_fields__ if name not in more}, **more)


def _order(view: OrderView) -> OrderShown:
    return _as(OrderShown, view.row, used_minor=view.used_minor, used_milli=view.used_milli, fills=view.fills)  # type: ignore[no-any-return]


async def _period(system: System, one: StatedPeriod) -> Period:
    totals = await totals_of_period(system.session, part=Part(system.company.account_id), period=one)
    account = None if totals.money is None else Account(**vars(totals.money))
    figures = totals.figures._asdict()
    return Period(one.first, one.end, one.closed_at, system.company.currency, refunds=totals.refunds, account=account, **figures)


def on_refusal(_request: AnyRequest, refusal: Refusal) -> Response[bytes]:
    """Answer a refusal; who came too often is told when to come again."""
    wait = {"Retry-After": str(refusal.facts["seconds"])} if isinstance(refusal, ApiBudgetSpent) else None
    if isinstance(refusal, ApiKeyNotValid):
        wait = {"WWW-Authenticate": "Bearer"}
    return problems.answer(refusal, headers=wait)


def on_fault(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer what nobody foresaw; a group of one, as closed dependencies raise it, is what it holds."""
    if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1 and isinstance(error.exceptions[0], Refusal):
        return on_refusal(request, error.exceptions[0])
    return problems.on_fault(request, error)


_PROBLEMS: Final[Any] = {Refusal: on_refusal, HTTPException: problems.on_http_exception, Exception: on_fault}
company_api = Router(
    path="/api/fleet/v1",
    route_handlers=[fills, vehicles, cards, findings, statements, orders, make_order, end_order],
    dependencies={"system": Provide(provide_system)},
    exception_handlers=_PROBLEMS,
    security=[{"companyKey": list[str]()}],
    tags=["companies' own systems"],
)
