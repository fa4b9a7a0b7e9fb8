"""A company's statement as its reader asked for it: which period of which part, and its tables, the same on the page and in the files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from markupsafe import Markup

from loyalty.errors import NotFound
from loyalty.fleet.queries.departments import names_of, subtree_of
from loyalty.fleet.queries.drivers import get_driver
from loyalty.fleet.queries.vehicles import get_vehicle
from loyalty.statements.queries.companies import StatedPeriod, Whose, periods_of, products_of, totals_of_period
from loyalty.statements.queries.lines import Line, Part
from loyalty.statements.rules import Figures, Totals
from loyalty.web.fleet.voice import FleetVoice
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lookups import product_name
from loyalty.web.office.parts import Cell

PATH: Final = "/fleet/statements"
_FIGURES: Final = Markup('<span class="fig">{}</span> <span class="fig">{}</span>')
"""Each of the two stands on one line; between them it may break."""


class Scope(StrEnum):
    """Of what a statement is."""

    COMPANY = "company"
    DEPARTMENT = "department"
    VEHICLE = "vehicle"
    DRIVER = "driver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """One statement."""

    period: StatedPeriod
    periods: Sequence[StatedPeriod]
    scope: Scope
    whose: UUID
    name: str
    """The company's, the department's, the plate, the driver's."""
    part: Part
    totals: Totals
    products: dict[UUID, tuple[str, str]]
    """Name and unit."""

    @property
    def file(self) -> str:
        """The address of its files, without their ending."""
        return f"{PATH}/{self.scope.value}/{self.whose}/{self.period.first.isoformat()}"


async def stated(fleet: FleetVoice, scope: Scope, whose: UUID, first: date | None) -> Stated:
    """Read a statement's head: of a period that begins on `first`, else of the running one.

    :raises NotFound: if there is no such period, or whose it is is none of the reader's
    """
    periods = await periods_of(fleet.session, company=fleet.company, now=fleet.now)
    period = next((one for one in periods if first is None or one.first == first), None)
    if period is None:
        raise NotFound
    part, name = await _part(fleet, scope, whose)
    totals = await totals_of_period(fleet.session, part=part, period=period)
    known = await products_of(fleet.session, product_ids=[one for one in totals.grades if one is not None])
    products = {product_id: (product_name(fleet, code, zh, en), unit) for product_id, (code, zh, en, unit) in known.items()}
    return Stated(period=period, periods=periods, scope=scope, whose=whose, name=name, part=part, totals=totals, products=products)


async def _part(fleet: FleetVoice, scope: Scope, whose: UUID) -> tuple[Part, str]:
    account_id, rooms = fleet.company.account_id, fleet.departments
    if scope is Scope.VEHICLE:
        vehicle = await get_vehicle(fleet.session, company_id=fleet.company_id, vehicle_id=whose)
        fleet.within(vehicle.department_id)
        return Part(account_id, rooms, vehicle_id=whose), vehicle.plate
    if scope is Scope.DRIVER:
        driver = await get_driver(fleet.session, company_id=fleet.company_id, driver_id=whose)
        fleet.within(driver.department_id)
        return Part(account_id, rooms, driver_id=whose), driver.name
    if scope is Scope.DEPARTMENT:
        fleet.within(whose)
        name = (await names_of(fleet.session, company_id=fleet.company_id, department_ids=[whose])).get(whose)
        if name is None:
            raise NotFound
        return Part(account_id, await subtree_of(fleet.session, company_id=fleet.company_id, department_id=whose)), name
    if whose != fleet.company_id or rooms is not None:
        raise NotFound
    return Part(account_id), fleet.company.name


def tabs_of(fleet: FleetVoice, here: str) -> list[tuple[str, str, bool, int]]:
    """Return the views that stand beside one another: the statement, which periods are closed, what is mailed."""
    _ = fleet.gettext
    tabs = [(_("Statement"), PATH), (_("Periods"), f"{PATH}/periods"), (_("By mail"), f"{PATH}/mail")]
    return [(label, address, address == here, 0) for label, address in tabs]


def money_pairs(fleet: FleetVoice, totals: Totals) -> list[tuple[str, int]]:
    """Return how the company's money moved, name and signed amount, the closing balance last; nothing for a part of it."""
    _, money = fleet.gettext, totals.money
    if money is None:
        return []
    return [
        (_("Opening balance"), money.opening_minor),
        (_("Top-ups"), money.loads_minor),
        (_("Spent"), -money.spent_minor),
        (_("Refunds"), money.refunded_minor),
        *([(_("Fees and adjustments"), money.other_minor)] if money.other_minor else []),
        (_("Closing balance"), money.closing_minor),
    ]


def figure_cells(fleet: FleetVoice, figures: Figures, unit: str | None = "L") -> list[Cell]:
    """Return fills, quantity, gross, saving, paid."""
    currency = fleet.company.currency
    return [
        cells.count(fleet, figures.fills),
        cells.quantity(fleet, figures.quantity_milli, unit),
        cells.money(fleet, figures.gross_minor, currency),
        cells.money(fleet, figures.discount_minor, currency),
        cells.money(fleet, figures.card_minor, currency),
    ]


def figure_columns(fleet: FleetVoice) -> list[Column]:
    """Return their heads."""
    _ = fleet.gettext
    names = (_("Fills"), _("Quantity"), _("At posted price"), _("Saving"), _("Paid by card"))
    return [Column(name, "num") for name in names]


def grade_rows(fleet: FleetVoice, statement: Stated) -> list[list[Cell]]:
    """Return a row a grade."""
    rows = []
    for product_id, figures in statement.totals.grades.items():
        name, unit = statement.products[product_id] if product_id else (fleet.gettext("Shop goods"), "piece")
        rows.append([cells.text(name), *figure_cells(fleet, figures, unit)])
    return rows


def whose_columns(fleet: FleetVoice, head: str, *, driven: bool) -> list[Column]:
    """Return the heads of a table of vehicles or drivers."""
    _ = fleet.gettext
    way = [Column(_("Kilometres"), "num"), Column(_("L/100 km"), "num")] if driven else []
    return [Column(head), *figure_columns(fleet), *way]


def whose_row(fleet: FleetVoice, one: Whose, name: Cell, *, driven: bool) -> list[Cell]:
    """Return a vehicle's or a driver's row."""
    way = [cells.count(fleet, one.km), cells.quantity(fleet, one.per_100_km_milli, None)] if driven else []
    return [name, *figure_cells(fleet, one.figures), *way]


def line_columns(fleet: FleetVoice) -> list[Column]:
    """Return the heads of a statement's lines."""
    _ = fleet.gettext
    return [
        Column(_("When")),
        Column(_("Station")),
        Column(_("Vehicle")),
        Column(_("Driver")),
        Column(_("Card")),
        Column(_("Product")),
        Column(_("Quantity"), "num"),
        Column(_("Price"), "num"),
        Column(_("At posted price"), "num"),
        Column(_("Saving"), "num"),
        Column(_("Paid by card"), "num"),
        Column(_("Odometer"), "num"),
        Column(_("Mark")),
    ]


def line_row(fleet: FleetVoice, statement: Stated, line: Line, *, plate: Cell, driver: Cell) -> list[Cell]:
    """Return one line: the time is the station's, a refund's figures are negative."""
    _, currency = fleet.gettext, fleet.company.currency
    product, unit = statement.products.get(line.product_id, ("", "L")) if line.product_id else (_("Shop goods"), None)
    local = line.event_at.astimezone(ZoneInfo(line.zone))
    price = fleet.f.unit_price(line.unit_price_e4 or None, currency, None)
    marks = mark_of(fleet, statement, line)
    tones = {_("Refund"): "warn", _("Odd"): "bad"}
    drawn = [fleet.tag(mark, tones.get(mark, "info")) for mark in marks]
    return [
        Cell(_FIGURES.format(f"{local:%Y-%m-%d}", f"{local:%H:%M}"), f"{local:%Y-%m-%d %H:%M}"),
        cells.text(fleet.words.either(line.station_zh, line.station_en or line.station_zh)),
        plate,
        driver,
        Cell(_FIGURES.format(f"•••• {line.card_tail}", ""), f"•••• {line.card_tail}") if line.card_tail else cells.text(None),
        cells.text(product),
        cells.quantity(fleet, line.quantity_milli, unit),
        Cell(price, price),
        cells.money(fleet, line.gross_minor, currency),
        cells.money(fleet, line.discount_minor, currency),
        cells.money(fleet, line.card_minor, currency),
        cells.count(fleet, line.odometer_km),
        Cell(Markup(" ").join(drawn), " · ".join(marks)),
    ]


def mark_of(fleet: FleetVoice, statement: Stated, line: Line) -> list[str]:
    """Say what is special about a line."""
    _ = fleet.gettext
    said = []
    if line.back:
        said.append(_("Refund"))
    if line.event_at < statement.period.begins_at:
        said.append(_("Booked late"))
    if line.odd:
        said.append(_("Odd"))
    return said
