"""Statements: a period's figures of the company, a department, a vehicle or a driver; fetched as PDF or XLSX."""

import asyncio
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Response

from loyalty.audit import operations as audit
from loyalty.errors import NotFound
from loyalty.identity.portal_rules import FleetPermission
from loyalty.statements.queries.companies import (
    StatedPeriod,
    Whose,
    by_driver,
    by_vehicle,
    periods_of,
    totals_of_period,
)
from loyalty.statements.queries.lines import Line, lines_between
from loyalty.statements.queries.lines import Part as Of
from loyalty.web.desk import Page
from loyalty.web.exports import XLSX_TYPE
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.statement_files import statement_pdf, statement_xlsx
from loyalty.web.fleet.statement_tables import (
    PATH,
    Scope,
    Stated,
    figure_columns,
    grade_rows,
    line_columns,
    line_row,
    money_pairs,
    stated,
    tabs_of,
    whose_columns,
    whose_row,
)
from loyalty.web.fleet.vehicles import room_filter
from loyalty.web.listing import Column, Listing
from loyalty.web.office import cells
from loyalty.web.office.lookups import select
from loyalty.web.office.parts import Act, Cell, Facts, Part, Rows, Tile, Tiles
from loyalty.web.rendering import document

_MAY = FleetPermission.READ_STATEMENTS
_SHOWN = 20
"""Vehicles and drivers on the page; the files have all."""


@get("/statements")
async def statements(fleet: NamedDependency[FleetDesk]) -> Page:
    """Show a period's statement: the running one of the whole company unless another is asked for."""
    fleet.require(_MAY)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "", ["period", "department", "vehicle", "driver"])
    scope, whose = _asked(fleet)
    statement = await stated(fleet, scope, whose, _day(listing.filters["period"]))
    begin, end = statement.period.begins_at, statement.period.ends_at
    found = await lines_between(fleet.session, part=statement.part, begin=begin, end=end, cursor=fleet.cursor)
    of: dict[str, Any] = {"part": statement.part, "begin": begin, "end": end, "most": _SHOWN + 1}
    main: list[Part] = []
    if statement.totals.grades:
        main.append(_grades(fleet, statement))
    if scope is not Scope.VEHICLE and (vehicles := await by_vehicle(fleet.session, **of)):
        main.append(_whose(fleet, listing, vehicles, _("By vehicle"), _("Vehicle"), "vehicle"))
    if scope is not Scope.DRIVER and (drivers := await by_driver(fleet.session, **of)):
        main.append(_whose(fleet, listing, drivers, _("By driver"), _("Driver"), "driver"))
    main.append(
        Rows(
            title=_("Fuel records"),
            columns=line_columns(fleet),
            rows=[_line(fleet, listing, statement, one) for one in found.rows],
            empty=_("No fill in this period"),
            empty_then=_("They stand here within a minute of being paid."),
            listing=listing,
            next=listing.page_href(found.next),
            previous=listing.page_href(found.previous),
            marks={place: "off" for place, one in enumerate(found.rows) if one.back},
            pager=bool(found.rows) or bool(fleet.cursor),
        )
    )
    top: list[Part] = [_tiles(fleet, statement)]
    if statement.totals.money is not None:
        top.append(_money(fleet, statement))
    options = [(one.first.isoformat(), _said(fleet, one)) for one in statement.periods]
    filters = [select("period", _("Billing period"), options, value=statement.period.first.isoformat(), required=False)]
    filters.append(await room_filter(fleet, listing))
    return await fleet.page(
        _("Statement"),
        sub=f"{statement.name} · {_said(fleet, statement.period)}",
        acts=[Act(_("Download PDF"), f"{statement.file}.pdf", primary=True), Act(_("Download XLSX"), f"{statement.file}.xlsx")],
        tabs=tabs_of(fleet, PATH),
        top=top,
        main=main,
        template="office/list.html",
        listing=listing,
        filters=filters,
    )


def _asked(fleet: FleetDesk) -> tuple[Scope, UUID]:
    """Return of what the address asks a statement: the narrowest thing that it names."""
    for scope in (Scope.VEHICLE, Scope.DRIVER, Scope.DEPARTMENT):
        if (whose := fleet.query.maybe_uuid(scope.value)) is not None:
            return scope, whose
    own = fleet.principal.department_id
    return (Scope.COMPANY, fleet.company_id) if own is None else (Scope.DEPARTMENT, own)


def _day(said: str) -> date | None:
    try:
        return date.fromisoformat(said) if said else None
    except ValueError:
        raise NotFound from None


def _said(fleet: FleetDesk, period: StatedPeriod) -> str:
    _ = fleet.gettext
    running = _("closed") if period.closed_at else _("running") if period.ends_at > fleet.now else _("being closed")
    return f"{fleet.days(*period.span)} · {running}"


def _tiles(fleet: FleetDesk, statement: Stated) -> Tiles:
    _, figures, currency = fleet.gettext, statement.totals.figures, fleet.company.currency
    back = statement.totals.refunds
    note = fleet.words.ngettext("%(num)s refund taken off", "%(num)s refunds taken off", back) if back else ""
    return Tiles(
        [
            Tile(_("Fuel"), fleet.f.quantity(figures.quantity_milli, "L")),
            Tile(_("Paid by card"), fleet.f.money(figures.card_minor, currency)),
            Tile(_("Saving"), fleet.f.money(figures.discount_minor, currency), note=_("against the posted price")),
            Tile(_("Fills"), fleet.f.count(figures.fills), note=note),
        ]
    )


def _money(fleet: FleetDesk, statement: Stated) -> Facts:
    _, currency = fleet.gettext, fleet.company.currency
    *pairs, closing = [(name, fleet.f.money(amount, currency)) for name, amount in money_pairs(fleet, statement.totals)]
    return Facts(title=_("The company's account"), pairs=pairs, total=closing, figures=True)


def _grades(fleet: FleetDesk, statement: Stated) -> Rows:
    _ = fleet.gettext
    columns = [Column(_("Product")), *figure_columns(fleet)]
    return Rows(title=_("By product"), columns=columns, rows=grade_rows(fleet, statement), empty="")


def _whose(fleet: FleetDesk, listing: Listing, found: Sequence[Whose], title: str, head: str, name: str) -> Rows:
    _ = fleet.gettext
    driven = name == "vehicle"

    def named(one: Whose) -> Cell:
        if one.id is None:
            return cells.text(_("Without one"))
        cell = cells.plate(fleet, one.name) if driven else cells.text(one.name)
        return cells.linked(fleet, _narrowed(listing, name, one.id), cell)

    return Rows(
        title=title,
        columns=whose_columns(fleet, head, driven=driven),
        rows=[whose_row(fleet, one, named(one), driven=driven) for one in found[:_SHOWN]],
        empty="",
        note=_("The first %(count)s; the files have all.", count=_SHOWN) if len(found) > _SHOWN else "",
    )


def _narrowed(listing: Listing, name: str, whose: UUID) -> str:
    others = {one: None for one in ("department", "vehicle", "driver") if one != name}
    return listing.href(cursor=None, **others, **{name: str(whose)})


def _line(fleet: FleetDesk, listing: Listing, statement: Stated, line: Line) -> list[Cell]:
    plate = cells.plate(fleet, line.plate)
    if line.vehicle_id is not None:
        plate = cells.linked(fleet, _narrowed(listing, "vehicle", line.vehicle_id), plate)
    return line_row(fleet, statement, line, plate=plate, driver=cells.text(line.driver))


@get("/statements/periods")
async def periods(fleet: NamedDependency[FleetDesk]) -> Page:
    """List the company's periods: which are closed, what they came to, and their files."""
    fleet.require(_MAY)
    _, currency = fleet.gettext, fleet.company.currency
    whole = fleet.departments is None
    whose = (Scope.COMPANY, fleet.company_id) if whole else (Scope.DEPARTMENT, fleet.principal.department_id)
    rows: list[list[Cell]] = []
    for one in await periods_of(fleet.session, company=fleet.company, now=fleet.now):
        totals = await totals_of_period(fleet.session, part=Of(fleet.company.account_id), period=one) if whole else None
        label, tone = (_("Closed"), "good") if one.closed_at else (_("Running"), "info")
        file = f"{PATH}/{whose[0].value}/{whose[1]}/{one.first.isoformat()}"
        rows.append(
            [
                cells.link(fleet, f"{PATH}?period={one.first.isoformat()}", fleet.days(*one.span)),
                Cell(fleet.tag(label, tone), label),
                cells.when(fleet, one.closed_at),
                cells.quantity(fleet, totals.figures.quantity_milli if totals else None),
                cells.money(fleet, totals.figures.discount_minor if totals else None, currency),
                cells.money(fleet, totals.figures.card_minor if totals else None, currency),
                cells.money(fleet, totals.money.closing_minor if totals and totals.money else None, currency),
                cells.link(fleet, f"{file}.pdf", "PDF"),
                cells.link(fleet, f"{file}.xlsx", "XLSX"),
            ]
        )
    heads = [_("Quantity"), _("Saving"), _("Paid by card"), _("Closing balance")]
    columns = [Column(_("Billing period")), Column(_("State")), Column(_("When it was closed")), *(Column(one, "num") for one in heads)]
    note = _("A period is closed the day after its last. What is reported or refunded later stands in the period it is booked in.")
    table = Rows(title=_("Periods"), columns=[*columns, Column("PDF"), Column("XLSX")], rows=rows, empty=_("No period yet"), note=note)
    return await fleet.page(_("Statement"), sub=fleet.company.name, tabs=tabs_of(fleet, f"{PATH}/periods"), main=[table])


@get("/statements/{part:str}/{whose:uuid}/{file:str}")
async def statement_file(
    fleet: NamedDependency[FleetDesk], part: FromPath[str], whose: FromPath[UUID], file: FromPath[str]
) -> Response[bytes]:
    """Send a statement as it is shown; the trail says who fetched it."""
    fleet.require(_MAY)
    name, _dot, ending = file.rpartition(".")
    if part not in set(Scope) or ending not in {"pdf", "xlsx"}:
        raise NotFound
    statement = await stated(fleet, Scope(part), whose, _day(name))
    facts = {"part": part, "whose": str(whose), "first": name, "kind": ending}
    await audit.record(
        fleet.session,
        actor=fleet.actor,
        action="fleet.statement_fetched",
        subject=("company", fleet.company_id),
        facts=facts,
        now=fleet.now,
    )
    filename = f"statement-{name}.{ending}"
    if ending == "xlsx":
        make = await statement_xlsx(fleet, statement)
        return document(await asyncio.to_thread(make), media_type=XLSX_TYPE, filename=filename)
    make = await statement_pdf(fleet, statement)
    return document(await asyncio.to_thread(make), media_type="application/pdf", filename=filename)


handlers = [statements, periods, statement_file]
