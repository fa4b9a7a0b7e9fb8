"""What the books say about a till over an interval: per tender, per product, refunds apart."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, cast, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.model import Refund, Sale, SaleStatus
from loyalty.ids import uuid7_floor
from loyalty.stations.model import Product
from loyalty.stations.rules import ProductTotal, ShiftTotals, TenderTotal
from loyalty.topups.model import Fee, Topup, TopupEvent, TopupStatus

STORED_VALUE: Final = "stored_value"
"""The tender that is the account's own money."""

_TOPUP_TENDERS: Final = {"card": "bank_card"}
"""The top-ups room calls a bank card a card; at the till there is but one bank card."""


class _Sold(NamedTuple):
    quantity_milli: int
    amount_minor: int
    lines: int


class _Sums:
    """Sums that grow row by row: taken, returned and counted per tender; sold per product."""

    def __init__(self) -> None:
        self.tenders: dict[str, tuple[int, int, int]] = {}
        self.products: dict[str, _Sold] = {}

    def tender(self, name: str, *, taken: int = 0, returned: int = 0, count: int = 1) -> None:
        if taken or returned:
            before = self.tenders.get(name, (0, 0, 0))
            self.tenders[name] = (before[0] + taken, before[1] + returned, before[2] + count)

    def product(self, code: str, *, quantity_milli: int, amount_minor: int, count: int) -> None:
        before = self.products.get(code, _Sold(0, 0, 0))
        self.products[code] = _Sold(before.quantity_milli + quantity_milli, before.amount_minor + amount_minor, before.lines + count)


async def shift_totals(
    session: AsyncSession, *, station_id: UUID, terminal_id: UUID | None, booked_from: datetime, booked_to: datetime
) -> ShiftTotals:
    """Return the totals of a till (None: of the whole station) over `[booked_from, booked_to)`, whole milliseconds.

    Products are what was sold, refunds not taken off; a tender's `taken_minor` holds sales, top-ups and fees, its `returned_minor` refunds
    and reversed top-ups. A top-up counts when it was booked, its reversal when it was reversed, both at the till of the top-up.
    """
    first, last = uuid7_floor(booked_from), uuid7_floor(booked_to)
    sums = _Sums()
    sold = (
        await session.execute(
            select(Sale.gross_minor, Sale.card_minor, Sale.quantity_milli, Sale.detail, Product.code)
            .join(Product, Product.product_id == Sale.product_id, isouter=True)
            .where(Sale.station_id == station_id, Sale.sale_id >= first, Sale.sale_id < last, *_at(Sale.terminal_id, terminal_id))
        )
    ).all()
    for gross_minor, card_minor, quantity_milli, detail, code in sold:
        _add_sale(sums, gross_minor, card_minor, quantity_milli, detail or {}, code)
    back = (
        await session.execute(
            select(Refund.gross_minor, Refund.card_minor, Refund.tenders).where(
                Refund.station_id == station_id, Refund.refund_id >= first, Refund.refund_id < last, *_at(Refund.terminal_id, terminal_id)
            )
        )
    ).all()
    for _, card_minor, tenders in back:
        sums.tender(STORED_VALUE, returned=card_minor)
        for tender, amount in (tenders or {}).items():
            sums.tender(tender, returned=amount)
    topups_minor, topups = await _add_topups(session, sums, station_id, terminal_id, booked_from, booked_to)
    fees_minor, fees = await _add_fees(session, sums, station_id, terminal_id, booked_from, booked_to)
    return ShiftTotals(
        tenders=tuple(
            TenderTotal(tender=name, taken_minor=taken, returned_minor=returned, count=count)
            for name, (taken, returned, count) in sorted(sums.tenders.items())
        ),
        products=tuple(
            ProductTotal(product_code=code, quantity_milli=sum_.quantity_milli, amount_minor=sum_.amount_minor, count=sum_.lines)
            for code, sum_ in sorted(sums.products.items())
        ),
        topups_minor=topups_minor,
        fees_minor=fees_minor,
        sales_minor=sum(row.gross_minor for row in sold),
        refunds_minor=sum(row.gross_minor for row in back),
        transactions=len(sold) + len(back) + topups + fees,
    )


def _at(column: Any, terminal_id: UUID | None) -> Iterable[Any]:
    return () if terminal_id is None else (column == terminal_id,)


def _add_sale(sums: _Sums, gross_minor: int, card_minor: int, quantity_milli: int, detail: dict[str, Any], code: str | None) -> None:
    goods = 0
    for line in detail.get("lines", ()):
        goods += line["amount_minor"]
        sums.product(line["product"], quantity_milli=line["quantity_milli"], amount_minor=line["amount_minor"], count=1)
    known = code or detail.get("product")
    if known is not None and (quantity_milli or gross_minor > goods):
        sums.product(known, quantity_milli=quantity_milli, amount_minor=gross_minor - goods, count=1)
    sums.tender(STORED_VALUE, taken=card_minor)
    for tender in detail.get("tenders", ()):
        sums.tender(tender["tender"], taken=tender["amount_minor"])


def _fact(name: str) -> ColumnElement[int]:
    return cast(TopupEvent.facts[name].astext, BigInteger)


async def _add_topups(
    session: AsyncSession, sums: _Sums, station_id: UUID, terminal_id: UUID | None, booked_from: datetime, booked_to: datetime
) -> tuple[int, int]:
    """Add loads and what was taken back of loads; return the loads' amount and how many rows there were."""
    place = (Topup.station_id == station_id, *_at(Topup.terminal_id, terminal_id))
    loads = await session.execute(
        select(Topup.tender, func.sum(Topup.amount_minor), func.sum(Topup.discount_minor), func.count())
        .where(*place, Topup.booked_at >= booked_from, Topup.booked_at < booked_to)
        .group_by(Topup.tender)
    )
    amount = rows = 0
    for tender, loaded, discount, count in loads:
        # In the till lies what was paid; what was loaded may be more.
        sums.tender(_TOPUP_TENDERS.get(tender, tender), taken=int(loaded) - int(discount), count=count)
        amount, rows = amount + int(loaded), rows + count
    ended = [TopupStatus.VOIDED.value, TopupStatus.REFUNDED.value, TopupStatus.REVERSED.value]
    back = await session.execute(
        select(Topup.tender, func.sum(func.coalesce(_fact("paid_minor"), _fact("amount_minor"))), func.count())
        .join(TopupEvent, TopupEvent.subject_id == Topup.topup_id)
        .where(*place, TopupEvent.moved_to.in_(ended), TopupEvent.happened_at >= booked_from, TopupEvent.happened_at < booked_to)
        .group_by(Topup.tender)
    )
    for tender, returned, count in back:
        sums.tender(_TOPUP_TENDERS.get(tender, tender), returned=int(returned or 0), count=count)
        rows += count
    return amount, rows


async def _add_fees(
    session: AsyncSession, sums: _Sums, station_id: UUID, terminal_id: UUID | None, booked_from: datetime, booked_to: datetime
) -> tuple[int, int]:
    """Add the fees taken at the till; return their amount and how many there were."""
    taken_here = await session.execute(
        select(Fee.tender, func.sum(Fee.amount_minor), func.count())
        .where(Fee.station_id == station_id, *_at(Fee.terminal_id, terminal_id), Fee.tender.is_not(None))
        .where(Fee.booked_at >= booked_from, Fee.booked_at < booked_to)
        .group_by(Fee.tender)
    )
    amount = rows = 0
    for tender, taken, count in taken_here:
        assert tender is not None, "left out above"
        sums.tender(_TOPUP_TENDERS.get(tender, tender), taken=int(taken), count=count)
        amount, rows = amount + int(taken), rows + count
    return amount, rows


class StationDay(NamedTuple):
    """What one station sold and loaded over an interval, in its currency's minor units; voided sales are left out."""

    station_id: UUID
    currency: str
    sales: int = 0
    sales_minor: int = 0
    fuel_milli: int = 0
    flagged: int = 0
    loads: int = 0
    loads_minor: int = 0


async def totals_by_station(session: AsyncSession, *, booked_from: datetime, booked_to: datetime) -> list[StationDay]:
    """Return every station's sales and top-ups booked in `[booked_from, booked_to)`, by station and currency: the office's overview."""
    sold = await session.execute(
        select(
            Sale.station_id,
            Sale.currency,
            func.count(),
            func.sum(Sale.gross_minor - Sale.refunded_minor),
            func.sum(Sale.quantity_milli),
            func.count().filter(Sale.flags != 0),
        )
        .where(Sale.sale_id >= uuid7_floor(booked_from), Sale.sale_id < uuid7_floor(booked_to), Sale.status != SaleStatus.VOIDED)
        .group_by(Sale.station_id, Sale.currency)
    )
    loaded = await session.execute(
        select(Topup.station_id, Topup.currency, func.count(), func.sum(Topup.amount_minor))
        .where(
            Topup.booked_at >= booked_from,
            Topup.booked_at < booked_to,
            Topup.status == TopupStatus.BOOKED,
            Topup.station_id.is_not(None),
        )
        .group_by(Topup.station_id, Topup.currency)
    )
    days = {
        (station, currency): StationDay(station, currency, count, int(gross), int(litres or 0), flagged)
        for station, currency, count, gross, litres, flagged in sold
    }
    for station, currency, count, amount in loaded:
        assert station is not None, "left out above"
        before = days.get((station, currency), StationDay(station, currency))
        days[station, currency] = before._replace(loads=count, loads_minor=int(amount))
    return sorted(days.values())
