"""Reading sales: lists by cursor, and one sale with all that belongs to it."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.model import Flag, Flow, Refund, Request, Sale, SaleStatus
from loyalty.authorizations.operations.refunds import SaleNotFound
from loyalty.authorizations.rules import flag_names
from loyalty.authorizations.wire import SaleAnswer, parse_reference, reference
from loyalty.cards.model import Card
from loyalty.ids import uuid7_floor
from loyalty.ledger.model import Purse, PurseKind, Transfer, TransferKind
from loyalty.ledger.queries import transfers_of
from loyalty.paging import PAGE_SIZE, Key, Page, page_as
from loyalty.stations.model import Product, Station, Terminal

_answer = msgspec.json.Decoder(SaleAnswer)
_PURSES = {PurseKind.PRINCIPAL: "principal", PurseKind.BONUS: "bonus", PurseKind.POINTS: "points", PurseKind.RECEIVABLE: "receivable"}


class SaleLine(msgspec.Struct, frozen=True):
    """A sale as its list shows it; amounts in minor units of `currency`."""

    account_id: UUID
    sale_id: UUID
    authorization_id: UUID | None
    card_id: UUID | None
    card_tail: str | None
    station_id: UUID
    station_code: str
    station_name_zh: str
    station_name_en: str
    zone: str
    terminal_id: UUID
    terminal_code: str
    staff_id: UUID | None
    flow: int
    nozzle: int | None
    product_code: str | None
    product_name_zh: str | None
    product_name_en: str | None
    quantity_milli: int
    unit_price_e4: int
    gross_minor: int
    discount_minor: int
    card_minor: int
    currency: str
    flags: int
    status: int
    refunded_minor: int
    event_at: datetime
    booked_at: datetime
    business_day: date
    period: int

    @property
    def reference(self) -> str:
        """The public reference, as on the receipt."""
        return reference(self.account_id, self.sale_id)

    @property
    def flag_names(self) -> list[str]:
        """What somebody should look at."""
        return flag_names(self.flags) or []


class RefundView(msgspec.Struct, frozen=True):
    """One refund of a sale."""

    account_id: UUID
    refund_id: UUID
    void: bool
    gross_minor: int
    discount_minor: int
    card_minor: int
    quantity_milli: int
    tenders: dict[str, Any] | None
    lines: dict[str, Any] | None
    reason: str
    terminal_id: UUID
    staff_id: UUID | None
    event_at: datetime
    booked_at: datetime
    benefits: list[list[Any]] | None
    """What of the sale's benefits went back: `[[rule, kind, so much], …]`."""

    @property
    def reference(self) -> str:
        """The public reference, as on the slip."""
        return reference(self.account_id, self.refund_id)


class MoneyLine(msgspec.Struct, frozen=True):
    """One ledger row of a sale or refund; `purse` is the holder's side, None where none is touched."""

    transfer_id: UUID
    operation_id: UUID
    kind: TransferKind
    amount_minor: int
    purse: str | None
    purse_expires_at: datetime | None
    to_holder: bool
    mirrors: UUID | None
    booked_at: datetime


class SaleView(msgspec.Struct, frozen=True):
    """A sale, whole: its shop lines and other tenders as they were said, its ledger rows and its refunds with theirs."""

    sale: SaleLine
    lines: list[dict[str, Any]]
    tenders: list[dict[str, Any]]
    benefits: list[dict[str, Any]]
    """What its rules gave: see ARCHITECTURE.md, rules."""
    detail: dict[str, Any]
    fill_id: UUID | None
    transfers: list[MoneyLine]
    refunds: list[RefundView]


class SaleFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of sales is cut to; `reachable` is the caller's scope of stations, None being every station."""

    station_id: UUID | None = None
    terminal_id: UUID | None = None
    account_id: UUID | None = None
    card_id: UUID | None = None
    staff_id: UUID | None = None
    statuses: Collection[SaleStatus] = ()
    flag: Flag | None = None
    """Only those that carry it."""
    flow: Flow | None = None
    booked_from: datetime | None = None
    booked_to: datetime | None = None
    """Half-open: `[booked_from, booked_to)`, whole milliseconds."""
    reachable: Collection[UUID] | None = None


async def list_sales(
    session: AsyncSession, *, by: SaleFilter | None = None, descending: bool = True, cursor: str | None = None, limit: int = PAGE_SIZE
) -> Page[SaleLine]:
    """Read a page of sales in the order they were booked, the latest first unless asked otherwise.

    :raises CursorNotUnderstood: if the cursor is none of this list
    :raises PageSizeOutOfRange: if `limit` is not 1 to 200
    """
    statement = _filtered(sale_lines(), by or SaleFilter())
    return await page_as(session, SaleLine, statement, keys=[Key(Sale.sale_id, descending=descending)], cursor=cursor, limit=limit)


def benefits_in(detail: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return a sale's benefits; what the release before kept as its one discount has the same names."""
    kept = detail or {}
    if "discount" not in kept:
        return list(kept.get("benefits", ()))
    term = kept["discount"]
    return [{"rule": term["code"], "kind": "discount", "given": None, "funders": [[term["funder"], None]], **term}]


async def get_sale(session: AsyncSession, *, account_id: UUID, sale_id: UUID, reachable: Collection[UUID] | None = None) -> SaleView:
    """Return a sale, whole.

    :raises SaleNotFound: if there is none, or its station lies outside `reachable`
    """
    statement = sale_lines().add_columns(Sale.detail, Sale.fill_id).where(Sale.account_id == account_id, Sale.sale_id == sale_id)
    row = (await session.execute(statement)).first()
    if row is None or (reachable is not None and row.station_id not in reachable):
        raise SaleNotFound(sale=sale_id)
    sale = SaleLine(*tuple(row)[:-2])
    detail: dict[str, Any] = row.detail or {}
    refunds = await refunds_of(session, account_id=account_id, sale_id=sale_id)
    transfers = await transfers_of(session, account_id=account_id, operation_id=sale_id, booked_at=sale.booked_at)
    for refund in refunds:
        transfers += await transfers_of(session, account_id=account_id, operation_id=refund.refund_id, booked_at=refund.booked_at)
    return SaleView(
        sale=sale,
        lines=detail.get("lines", []),
        tenders=detail.get("tenders", []),
        benefits=benefits_in(detail),
        detail=detail,
        fill_id=row.fill_id,
        transfers=await _money(session, account_id, transfers),
        refunds=refunds,
    )


async def find_sale_by_reference(session: AsyncSession, *, text: str, reachable: Collection[UUID] | None = None) -> SaleView:
    """Return a sale by its public reference, as printed on the receipt.

    :raises SaleNotFound: if it is none, or lies outside `reachable`
    """
    both = parse_reference(text.strip())
    if both is None:
        raise SaleNotFound
    return await get_sale(session, account_id=both[0], sale_id=both[1], reachable=reachable)


async def answer_to(session: AsyncSession, *, terminal_id: UUID, sale_id: UUID) -> SaleAnswer | None:
    """Return what the till was answered when a sale was booked; None where nothing was kept, an offline record's say.

    A till's answers have no index by sale: for one sale that somebody asks about, not for lists.
    """
    found = await session.scalar(select(Request.answer).where(Request.terminal_id == terminal_id, Request.subject_id == sale_id).limit(1))
    return None if found is None else _answer.decode(found)


async def refunds_of(session: AsyncSession, *, account_id: UUID, sale_id: UUID) -> list[RefundView]:
    """Return a sale's refunds, the first one first."""
    columns = [getattr(Refund, name) for name in RefundView.__struct_fields__]
    statement = select(*columns).where(Refund.account_id == account_id, Refund.sale_id == sale_id).order_by(Refund.refund_id)
    return [RefundView(*row) for row in await session.execute(statement)]


async def _money(session: AsyncSession, account_id: UUID, transfers: list[Transfer]) -> list[MoneyLine]:
    rows = await session.execute(select(Purse.purse_id, Purse.kind, Purse.expires_at).where(Purse.account_id == account_id))
    purses = {row.purse_id: row for row in rows}
    lines = []
    for transfer in sorted(transfers, key=lambda transfer: transfer.transfer_id):
        purse = purses.get(transfer.credit_id) or purses.get(transfer.debit_id)
        lines.append(
            MoneyLine(
                transfer_id=transfer.transfer_id,
                operation_id=transfer.operation_id,
                kind=TransferKind(transfer.kind),
                amount_minor=transfer.amount_minor,
                purse=None if purse is None else _PURSES[PurseKind(purse.kind)],
                purse_expires_at=None if purse is None else purse.expires_at,
                to_holder=transfer.credit_id in purses,
                mirrors=transfer.mirrors,
                booked_at=transfer.booked_at,
            )
        )
    return lines


def sale_lines() -> Select[*tuple[Any, ...]]:
    """Return the SELECT whose rows are `SaleLine`s, for readers with cuts of their own."""
    return (
        select(
            Sale.account_id,
            Sale.sale_id,
            Sale.authorization_id,
            Sale.card_id,
            Card.number_tail.label("card_tail"),
            Sale.station_id,
            Station.code.label("station_code"),
            Station.name_zh.label("station_name_zh"),
            Station.name_en.label("station_name_en"),
            Station.zone,
            Sale.terminal_id,
            Terminal.code.label("terminal_code"),
            Sale.staff_id,
            Sale.flow,
            Sale.nozzle,
            Product.code.label("product_code"),
            Product.name_zh.label("product_name_zh"),
            Product.name_en.label("product_name_en"),
            Sale.quantity_milli,
            Sale.unit_price_e4,
            Sale.gross_minor,
            Sale.discount_minor,
            Sale.card_minor,
            Sale.currency,
            Sale.flags,
            Sale.status,
            Sale.refunded_minor,
            Sale.event_at,
            Sale.booked_at,
            Sale.business_day,
            Sale.period,
        )
        .join(Station, Station.station_id == Sale.station_id)
        .join(Terminal, Terminal.terminal_id == Sale.terminal_id)
        .join(Card, Card.card_id == Sale.card_id, isouter=True)
        .join(Product, Product.product_id == Sale.product_id, isouter=True)
    )


def _filtered(statement: Select[*tuple[Any, ...]], by: SaleFilter) -> Select[*tuple[Any, ...]]:
    wanted: dict[Any, Any] = {
        Sale.station_id: by.station_id,
        Sale.terminal_id: by.terminal_id,
        Sale.account_id: by.account_id,
        Sale.card_id: by.card_id,
        Sale.staff_id: by.staff_id,
        Sale.flow: None if by.flow is None else int(by.flow),
    }
    statement = statement.where(*(column == value for column, value in wanted.items() if value is not None))
    if by.statuses:
        statement = statement.where(Sale.status.in_([int(status) for status in by.statuses]))
    if by.flag is not None:
        statement = statement.where(Sale.flags.bitwise_and(int(by.flag)) != 0)
    # By the ids, which carry the booking instant: they name the partitions and are the index's second column.
    if by.booked_from is not None:
        statement = statement.where(Sale.sale_id >= uuid7_floor(by.booked_from))
    if by.booked_to is not None:
        statement = statement.where(Sale.sale_id < uuid7_floor(by.booked_to))
    if by.reachable is not None:
        statement = statement.where(Sale.station_id.in_(list(by.reachable)))
    return statement
