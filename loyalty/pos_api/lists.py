"""What a till reads: its station's sales, one sale whole, unpaid fills, unresolved dispenses. Cursor pages."""

from datetime import date, datetime
from typing import Annotated, Any, Generic, TypeVar
from uuid import UUID

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations import queries
from loyalty.authorizations.callers import Caller
from loyalty.authorizations.model import Flow, SaleStatus, Status
from loyalty.authorizations.queries import SaleFilter, SaleLine
from loyalty.paging import PAGE_SIZE, Page

T = TypeVar("T")
_PUMP = ["at the pump"]
_FORECOURT = ["forecourt"]


class SaleRow(Struct, kw_only=True, omit_defaults=True):
    """A sale as a till's list shows it."""

    sale: str
    status: str
    flow: str
    card: str | None = None
    terminal: str
    nozzle: int | None = None
    product: str | None = None
    quantity_milli: int = 0
    unit_price_e4: int = 0
    gross_minor: int
    discount_minor: int = 0
    card_minor: int
    refunded_minor: int = 0
    currency: str
    flags: list[str] | None = None
    event_at: datetime
    booked_at: datetime
    business_day: date


class RefundRow(Struct, kw_only=True, omit_defaults=True):
    """One refund of a sale."""

    reference: str
    void: bool = False
    gross_minor: int
    discount_minor: int = 0
    card_minor: int = 0
    quantity_milli: int = 0
    tenders: dict[str, Any] | None = None
    reason: str
    booked_at: datetime


class MoneyRow(Struct, kw_only=True, omit_defaults=True):
    """One ledger row of a sale or its refunds; `purse` is the holder's side."""

    amount_minor: int
    purse: str | None = None
    to_holder: bool = False
    booked_at: datetime


class SaleWhole(Struct, kw_only=True):
    """A sale with its shop lines, other tenders, discount, ledger rows and refunds."""

    sale: SaleRow
    lines: list[dict[str, Any]]
    tenders: list[dict[str, Any]]
    benefits: list[dict[str, Any]]
    """What its rules gave: rule, revision, kind, base, wanted, given, who bears it."""
    transfers: list[MoneyRow]
    refunds: list[RefundRow]


class FillRow(Struct, kw_only=True, omit_defaults=True):
    """A finished, unpaid fill; `locked_until` while somebody is about to pay it."""

    fill_id: UUID
    pump_reference: str
    nozzle: int
    product_code: str
    product_name_zh: str
    product_name_en: str
    quantity_milli: int
    unit_price_e4: int
    amount_minor: int
    finished_at: datetime
    locked_until: datetime | None = None


class DispenseRow(Struct, kw_only=True, omit_defaults=True):
    """An approved authorisation whose completion never came; it keeps its hold and nothing else."""

    authorization: str
    status: str
    terminal: str
    card: str | None = None
    nozzle: int | None = None
    product: str | None = None
    approved_minor: int
    approved_milli: int
    captured_minor: int = 0
    held_minor: int
    currency: str
    event_at: datetime
    opened_at: datetime | None = None


class Listed(Struct, Generic[T]):
    """A page; `next` is None at the end."""

    rows: list[T]
    next: str | None
    previous: str | None


class FillList(Struct):
    """Unpaid fills by nozzle, the oldest first: there are few."""

    rows: list[FillRow]


Cursor = Annotated[str | None, QueryParameter(max_length=1000)]
Limit = Annotated[int, QueryParameter(ge=1, le=200)]


@get("/sales", summary="Sales of this station, the latest first / 销售记录", tags=_PUMP)
async def sales(
    caller: NamedDependency[Caller],
    session: NamedDependency[AsyncSession],
    cursor: Cursor = None,
    limit: Limit = PAGE_SIZE,
    this_terminal: FromQuery[bool] = False,  # noqa: FBT002 - a query parameter
) -> Listed[SaleRow]:
    """By cursor; `this_terminal` leaves the station's other tills out."""
    by = SaleFilter(station_id=caller.place.station_id, terminal_id=caller.place.terminal_id if this_terminal else None)
    return _listed(await queries.list_sales(session, by=by, cursor=cursor, limit=limit), _sale_row)


@get("/sales/{sale:str}", summary="One sale, whole / 查询单笔销售", tags=_PUMP)
async def sale_whole(sale: FromPath[str], caller: NamedDependency[Caller], session: NamedDependency[AsyncSession]) -> SaleWhole:
    """By the reference on the receipt; another station's is not found."""
    found = await queries.find_sale_by_reference(session, text=sale, reachable=[caller.place.station_id])
    return SaleWhole(
        sale=_sale_row(found.sale),
        lines=found.lines,
        tenders=found.tenders,
        benefits=found.benefits,
        transfers=[msgspec.convert(row, MoneyRow, from_attributes=True) for row in found.transfers],
        refunds=[msgspec.convert(row, RefundRow, from_attributes=True) for row in found.refunds],
    )


@get("/fills", summary="Unpaid fills by nozzle / 未付款加油", tags=_FORECOURT)
async def unpaid_fills(
    caller: NamedDependency[Caller],
    session: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    nozzle: Annotated[int | None, QueryParameter(ge=0, le=999)] = None,
) -> FillList:
    """What pay-after-filling pays from."""
    found = await queries.unpaid_fills(session, station_id=caller.place.station_id, nozzle=nozzle, now=now)
    return FillList([msgspec.convert(row, FillRow, from_attributes=True) for row in found])


@get("/unresolved-dispenses", summary="Unresolved dispenses / 未结加油", tags=_FORECOURT)
async def unresolved(
    caller: NamedDependency[Caller],
    session: NamedDependency[AsyncSession],
    cursor: Cursor = None,
    limit: Limit = PAGE_SIZE,
) -> Listed[DispenseRow]:
    """The oldest first. A completion, however late, ends one by itself; a release is a manager's, with evidence."""
    page = await queries.list_unresolved(session, station_id=caller.place.station_id, cursor=cursor, limit=limit)
    return _listed(
        page,
        lambda row: DispenseRow(
            authorization=row.reference,
            status=Status(row.status).name.lower(),
            terminal=row.terminal_code,
            card=row.card_tail,
            nozzle=row.nozzle,
            product=row.product_code,
            approved_minor=row.approved_minor,
            approved_milli=row.approved_milli,
            captured_minor=row.captured_minor,
            held_minor=row.held_minor,
            currency=row.currency,
            event_at=row.event_at,
            opened_at=row.opened_at,
        ),
    )


def _sale_row(line: SaleLine) -> SaleRow:
    return SaleRow(
        sale=line.reference,
        status=SaleStatus(line.status).name.lower(),
        flow=Flow(line.flow).name.lower(),
        card=line.card_tail,
        terminal=line.terminal_code,
        nozzle=line.nozzle,
        product=line.product_code,
        quantity_milli=line.quantity_milli,
        unit_price_e4=line.unit_price_e4,
        gross_minor=line.gross_minor,
        discount_minor=line.discount_minor,
        card_minor=line.card_minor,
        refunded_minor=line.refunded_minor,
        currency=line.currency,
        flags=line.flag_names or None,
        event_at=line.event_at,
        booked_at=line.booked_at,
        business_day=line.business_day,
    )


def _listed(page: Page[Any], row: Any) -> Listed[Any]:
    return Listed([row(line) for line in page.rows], page.next, page.previous)
