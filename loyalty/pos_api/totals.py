"""What the books say about a shift and a day: per tender, per product."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.stations.rules import ProductTotal, ShiftTotals, TenderTotal

STORED_VALUE: Final = "stored_value"

_SOLD: Final = """
SELECT s.gross_minor, s.card_minor, s.quantity_milli, s.detail, p.code AS product
FROM sales s LEFT JOIN products p ON p.product_id = s.product_id
WHERE s.terminal_id = :terminal_id AND s.station_id = :station_id AND s.booked_at >= :since AND s.booked_at <= :until
"""
_GIVEN_BACK: Final = """
SELECT r.gross_minor, r.card_minor, r.tenders FROM refunds r
WHERE r.terminal_id = :terminal_id AND r.station_id = :station_id AND r.booked_at >= :since AND r.booked_at <= :until
"""
_LOADED: Final = """
SELECT tender, sum(amount_minor)::bigint AS amount_minor, count(*) AS times FROM topups
WHERE terminal_id = :terminal_id AND booked_at >= :since AND booked_at <= :until GROUP BY tender
"""
_TAKEN_BACK: Final = """
SELECT t.tender, sum((e.facts->>'amount_minor')::bigint)::bigint AS amount_minor, count(*) AS times
FROM topups t JOIN topup_events e ON e.subject_kind = 'topup' AND e.subject_id = t.topup_id AND e.moved_to IN ('voided', 'refunded')
WHERE t.terminal_id = :terminal_id AND e.happened_at >= :since AND e.happened_at <= :until GROUP BY t.tender
"""


class _Sums:
    def __init__(self) -> None:
        self.tenders: dict[str, list[int]] = {}
        self.products: dict[str, list[int]] = {}

    def tender(self, name: str, taken: int = 0, returned: int = 0, count: int = 1) -> None:
        sums = self.tenders.setdefault(name, [0, 0, 0])
        sums[0] += taken
        sums[1] += returned
        sums[2] += count

    def product(self, code: str, quantity: int, amount: int) -> None:
        sums = self.products.setdefault(code, [0, 0, 0])
        sums[0] += quantity
        sums[1] += amount
        sums[2] += 1


async def shift_totals(session: AsyncSession, *, terminal_id: UUID, station_id: UUID, since: datetime, until: datetime) -> ShiftTotals:
    """Return what was booked at a till in `[since, until]`."""
    bound = {"terminal_id": terminal_id, "station_id": station_id, "since": since, "until": until}
    sums = _Sums()
    sold = (await session.execute(text(_SOLD), bound)).all()
    for sale in sold:
        _add_sale(sums, sale)
    refunds = (await session.execute(text(_GIVEN_BACK), bound)).all()
    for refund in refunds:
        if refund.card_minor:
            sums.tender(STORED_VALUE, returned=refund.card_minor)
        for tender, amount in (refund.tenders or {}).items():
            sums.tender(tender, returned=amount)
    loaded = (await session.execute(text(_LOADED), bound)).all()
    for load in loaded:
        sums.tender(load.tender, taken=load.amount_minor, count=load.times)
    for load in await session.execute(text(_TAKEN_BACK), bound):
        sums.tender(load.tender, returned=load.amount_minor, count=load.times)
    return ShiftTotals(
        tenders=tuple(
            TenderTotal(tender=name, taken_minor=taken, returned_minor=returned, count=count)
            for name, (taken, returned, count) in sorted(sums.tenders.items())
        ),
        products=tuple(
            ProductTotal(product_code=code, quantity_milli=quantity, amount_minor=amount, count=count)
            for code, (quantity, amount, count) in sorted(sums.products.items())
        ),
        topups_minor=sum(load.amount_minor for load in loaded),
        sales_minor=sum(sale.gross_minor for sale in sold),
        refunds_minor=sum(refund.gross_minor for refund in refunds),
        transactions=len(sold) + len(refunds) + sum(load.times for load in loaded),
    )


def _add_sale(sums: _Sums, sale: Any) -> None:
    detail = sale.detail or {}
    lines: Iterable[dict[str, Any]] = detail.get("lines") or ()
    shop = 0
    for line in lines:
        shop += line["amount_minor"]
        sums.product(line["product"], line["quantity_milli"], line["amount_minor"])
    if sale.product is not None:
        sums.product(sale.product, sale.quantity_milli, sale.gross_minor - shop)
    if sale.card_minor:
        sums.tender(STORED_VALUE, taken=sale.card_minor)
    for tender in detail.get("tenders") or ():
        sums.tender(tender["tender"], taken=tender["amount_minor"])


_CLOSED: Final = """
SELECT s.shift_id, s.terminal_id, s.over_short_minor, s.totals, c.signature_good, c.differences
FROM shifts s LEFT JOIN chain_closes c ON c.shift_id = s.shift_id
JOIN stations t ON t.station_id = s.station_id
WHERE s.station_id = :station_id AND s.status = 'closed' AND (s.opened_at AT TIME ZONE t.zone)::date = :day
ORDER BY s.shift_id
"""


async def day_totals(session: AsyncSession, *, station_id: UUID, day: date) -> dict[str, Any]:
    """Return a station's day: its shifts with their totals, the sums, and every difference between tills and host."""
    shifts = (await session.execute(text(_CLOSED), {"station_id": station_id, "day": day})).all()
    totals = [msgspec.convert(shift.totals, ShiftTotals) for shift in shifts]
    return {
        "sales_minor": sum(total.sales_minor for total in totals),
        "refunds_minor": sum(total.refunds_minor for total in totals),
        "topups_minor": sum(total.topups_minor for total in totals),
        "over_short_minor": sum(shift.over_short_minor or 0 for shift in shifts),
        "shifts": [
            {
                "shift_id": str(shift.shift_id),
                "terminal_id": str(shift.terminal_id),
                "over_short_minor": shift.over_short_minor,
                "totals": shift.totals,
                "signature_good": shift.signature_good,
                "differences": shift.differences or [],
            }
            for shift in shifts
        ],
    }
