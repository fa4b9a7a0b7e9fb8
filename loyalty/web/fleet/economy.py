"""Who takes how much: each vehicle's litres, way and cost in a period, beside its norm and the middle of its class."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from litestar import get
from litestar.di import NamedDependency
from markupsafe import Markup

from loyalty import clock
from loyalty.errors import NotFound
from loyalty.fleet.allocation_rules import Span, span_of
from loyalty.fleet.queries.economy import Drunk, EconomySums, Line, list_economy, medians_by_type, per_100_km, sums_of_economy, trends_of
from loyalty.fleet.queries.vehicles import vehicle_types
from loyalty.identity.portal_rules import FleetPermission
from loyalty.paging import Page as Found
from loyalty.web.charts import sparkline
from loyalty.web.exports import Money, Quantity
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.economy_parts import TREND, spans_to
from loyalty.web.fleet.vehicles import room_filter, type_name
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import select
from loyalty.web.office.parts import Cell

PATH = "/fleet/economy"
_SPARK = 6
"""Periods in a row's small line."""


def _span(fleet: FleetDesk) -> tuple[Span, list[Span]]:
    """Return the period that the address asks for, and those to choose from.

    :raises NotFound: if it is none of these
    """
    today = clock.local_date(fleet.now, fleet.company.time_zone)
    spans = spans_to(span_of(today, period_day=fleet.company.period_day), TREND)[::-1]
    wanted = fleet.query.raw("period")
    found = next((one for one in spans if one.first.isoformat() == wanted), None) if wanted else spans[0]
    if found is None:
        raise NotFound
    return found, spans


@get(three("/economy"))
async def economy(fleet: NamedDependency[FleetDesk]) -> Any:
    """List the vehicles that were fuelled in a period, the thirstiest first unless another order is asked for."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "-litres", ["period", "type", "department"])
    span, spans = _span(fleet)
    of: dict[str, Any] = {"company_id": fleet.company_id, "first": span.first, "period_day": fleet.company.period_day}
    by: dict[str, Any] = {"departments": fleet.rooms(fleet.query.maybe_uuid("department")), "vehicle_type": listing.filters["type"] or None}
    medians = await medians_by_type(fleet.session, **of)
    sums = await sums_of_economy(fleet.session, **of, **by)

    async def fetch(cursor: str | None, limit: int) -> Found[Line]:
        return await list_economy(fleet.session, **of, **by, sort=listing.sort, cursor=cursor, limit=limit)

    async def rows(found: Sequence[Line]) -> list[list[Cell]]:
        since = spans[min(spans.index(span) + _SPARK - 1, len(spans) - 1)].first
        trends = await trends_of(
            fleet.session,
            company_id=fleet.company_id,
            vehicle_ids=[one.vehicle_id for one in found],
            period_day=fleet.company.period_day,
            since=since,
        )
        return [
            _row(fleet, one, medians.get(one.type), _until(trends.get(one.vehicle_id, []), span.first), with_cash=sums.cash_milli > 0)
            for one in found
        ]

    types = await vehicle_types(fleet.session, company_id=fleet.company_id)
    return await show(
        fleet,
        List(
            title=_("Fuel economy"),
            sub=fleet.days(*span),
            listing=listing,
            columns=[
                Column(_("Plate"), sort="plate"),
                Column(_("Class")),
                Column(_("Litres"), "num", sort="litres"),
                # A column of noughts says nothing: it stands there where somebody paid in cash.
                *([Column(_("Of it cash"), "num")] if sums.cash_milli else []),
                Column(_("Kilometres"), "num", sort="km"),
                Column(_("Litres per 100 km"), "num", sort="per_100_km"),
                Column(_("Its norm"), "num"),
                Column(_("Middle of its class"), "num"),
                Column(_("Last periods")),
                Column(_("Spent"), "num", sort="spent"),
                Column(_("Per kilometre"), "num", sort="cost"),
            ],
            fetch=fetch,
            rows=rows,
            totals=lambda _found: _sums(fleet, sums),
            filters=[
                select(
                    "period",
                    _("Period from"),
                    [(one.first.isoformat(), fleet.f.full_day(one.first)) for one in spans],
                    value=span.first.isoformat(),
                ),
                select(
                    "type",
                    _("Class"),
                    [(one, type_name(fleet, one)) for one in types],
                    value=listing.filters["type"],
                    blank=_("All"),
                    required=False,
                ),
                await room_filter(fleet, listing),
            ],
            empty=_("No vehicle was fuelled in this period"),
            empty_then=_("Choose another period, or widen the filter."),
            name="economy",
        ),
    )


def _until(trend: Sequence[Drunk], last: date) -> list[Drunk]:
    return [one for one in trend if one.first <= last]


def _row(fleet: FleetDesk, one: Line, median: int | None, trend: Sequence[Drunk], *, with_cash: bool) -> list[Cell]:
    return [
        Cell(fleet.link(f"/fleet/vehicles/{one.vehicle_id}", cells.plate(fleet, one.plate).show), one.plate),
        cells.text(type_name(fleet, one.type)),
        cells.quantity(fleet, one.quantity_milli, None),
        *([cells.quantity(fleet, one.cash_milli or None, None)] if with_cash else []),
        cells.count(fleet, one.km),
        _beside(fleet, one.per_100_km_milli, one.norm_milli),
        cells.quantity(fleet, one.norm_milli, None),
        cells.quantity(fleet, median, None),
        _spark(fleet, trend),
        cells.money(fleet, one.spent_minor, fleet.company.currency),
        _per_km(fleet, one.per_km_e2),
    ]


def _beside(fleet: FleetDesk, rate: int | None, norm: int | None) -> Cell:
    """Return what a vehicle took, marked where it is a quarter above its norm."""
    shown: Any = fleet.f.quantity(rate, None)
    if rate is not None and norm and rate * 4 > norm * 5:
        shown = fleet.tag(f"▲ {shown}", "warn")
    return Cell(shown, None if rate is None else Quantity(rate))


def _spark(fleet: FleetDesk, trend: Sequence[Drunk]) -> Cell:
    """Return the litres per 100 km of the last periods, as a line and in words."""
    known = [one.per_100_km_milli for one in trend if one.per_100_km_milli is not None]
    if len(known) < 2:
        return Cell("—", "")
    words = " → ".join(str(fleet.f.quantity(one, None, digits=1)) for one in known)
    return Cell(Markup(str(fleet.macro("chart").spark(sparkline(known), words))), words)  # noqa: S704 - a macro's own, escaped output


def _per_km(fleet: FleetDesk, hundredths: int | None) -> Cell:
    """Return what a kilometre cost; `hundredths` of a minor unit."""
    if hundredths is None:
        return Cell("—", None)
    return cells.money(fleet, (hundredths + 50) // 100, fleet.company.currency)


def _sums(fleet: FleetDesk, sums: EconomySums) -> list[Cell]:
    """Return the totals of the whole list, not of the page."""
    currency = fleet.company.currency
    return [
        Cell(fleet.gettext("%(vehicles)s vehicles", vehicles=fleet.f.count(sums.vehicles)), sums.vehicles),
        Cell("", ""),
        cells.quantity(fleet, sums.quantity_milli, None),
        *([cells.quantity(fleet, sums.cash_milli, None)] if sums.cash_milli else []),
        cells.count(fleet, sums.km),
        cells.quantity(fleet, per_100_km(sums.driven_milli, sums.km), None),
        *(Cell("", "") for _ in range(3)),
        Cell(fleet.f.money(sums.spent_minor, currency), Money(sums.spent_minor, currency)),
        Cell("", ""),
    ]


handlers = [economy]
