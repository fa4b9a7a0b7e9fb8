"""Pieces of what was used: a period's totals, how it went on over periods, limits that are nearly used up."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from loyalty.fleet.allocation_rules import Span, before
from loyalty.fleet.queries.economy import Drunk, Near, Total, near_limits, totals_by_period
from loyalty.limits.model import LimitKind
from loyalty.policy import Carbon, load_policy
from loyalty.web.charts import Series, bar_chart
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.labels import LIMIT_KIND, WINDOW
from loyalty.web.office.parts import Cell, Drawn, Rows

TREND: Final = 12
"""Periods in a trend, this one included."""
_LEVEL: Final[Mapping[str, str]] = {
    "company": N_("Company"),
    "department": N_("Department"),
    "vehicle": N_("Vehicle"),
    "driver": N_("Driver"),
    "card": N_("Card"),
}


def carbon_of(fleet: FleetDesk) -> Carbon:
    """Return the CO₂ figures that this issuer reckons by."""
    return load_policy(fleet.request.app.state.settings.policy).carbon


def spans_to(last: Span, periods: int) -> list[Span]:
    """Return so many periods up to `last`, the earliest first."""
    spans = [last]
    while len(spans) < periods:
        spans.insert(0, before(spans[0]))
    return spans


async def totals_of(fleet: FleetDesk, spans: Sequence[Span]) -> dict[date, Total]:
    """Return the totals of periods that follow each other, by their first days."""
    found = await totals_by_period(
        fleet.session,
        company_id=fleet.company_id,
        first=spans[0].first,
        end=spans[-1].end,
        period_day=fleet.company.period_day,
        carbon=carbon_of(fleet),
        departments=fleet.departments,
    )
    return {span.first: found.get(span.first, Total()) for span in spans}


def trend(fleet: FleetDesk, spans: Sequence[Span], totals: Mapping[date, Total]) -> Drawn:
    """Draw the litres of periods, from the first in which there were any; half a trend at least."""
    _ = fleet.gettext
    began = next((place for place, span in enumerate(spans) if totals[span.first].fills), 0)
    shown = spans[min(began, len(spans) - TREND // 2) :]
    chart = bar_chart(
        _("Fuel of the last periods"),
        [f"{span.first:%y-%m}" for span in shown],
        [Series(_("Litres"), [totals[span.first].quantity_milli for span in shown])],
        text=lambda milli: str(fleet.f.quantity(milli, "L")),
        tick_text=lambda milli: fleet.f.count(milli // 1000),
        label_head=_("Period from"),
    )
    return Drawn(chart, note=_("The last one is still going on."))


def vehicle_trend(fleet: FleetDesk, periods: Sequence[Drunk]) -> Drawn:
    """Draw a vehicle's litres per 100 km over its periods."""
    _ = fleet.gettext
    chart = bar_chart(
        _("Litres per 100 km"),
        [f"{one.first:%y-%m}" for one in periods],
        [Series(_("Litres per 100 km"), [one.per_100_km_milli or 0 for one in periods])],
        text=lambda milli: str(fleet.f.quantity(milli, "L")) if milli else "—",
        tick_text=lambda milli: fleet.f.count(milli // 1000),
        label_head=_("Period from"),
    )
    return Drawn(chart, note=_("From fills and odometer readings that hold; a single period depends on how full the tank was at its ends."))


async def near_rows(fleet: FleetDesk, today: date) -> list[Rows]:
    """Return the limits of which most is used, nothing where there is none."""
    _ = fleet.gettext
    found = await near_limits(fleet.session, account_id=fleet.company.account_id, today=today, now=fleet.now, departments=fleet.departments)
    if not found:
        return []
    columns = [Column(_("Whose")), Column(_("Limit")), Column(_("Used"), "num"), Column(_("Remains"), "num"), Column(_("Share"), "num")]
    return [Rows(title=_("Limits nearly used up"), columns=columns, rows=[_near(fleet, one) for one in found], empty="")]


def _near(fleet: FleetDesk, one: Near) -> list[Cell]:
    _ = fleet.gettext

    def amount(value: int) -> Cell:
        if one.kind is LimitKind.AMOUNT:
            return cells.money(fleet, value, fleet.company.currency)
        return cells.quantity(fleet, value) if one.kind is LimitKind.QUANTITY else cells.count(fleet, value)

    whose = f"{_(_LEVEL[one.level])} {one.name or fleet.company.name}"
    share = one.used * 10_000 // one.value
    return [
        cells.link(fleet, f"/fleet/limits/{one.level}/{one.subject_id}", whose),
        cells.text(f"{_(LIMIT_KIND[one.kind])} {_(WINDOW[one.window])}"),
        amount(one.used),
        amount(max(one.value - one.used, 0)),
        cells.text(fleet.f.percent(share, digits=0)),
    ]
