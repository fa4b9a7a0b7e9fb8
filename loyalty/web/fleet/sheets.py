"""Lists as files: the company's vehicles, drivers and bindings fetched, corrected in a spreadsheet, previewed and taken back."""

import base64
import binascii
from typing import Any, Final

from litestar import get, post
from litestar.di import NamedDependency

from loyalty.audit import operations as audit
from loyalty.fleet.operations.importing import SheetKind, apply, preview
from loyalty.fleet.queries.exporting import binding_table, driver_table, vehicle_table
from loyalty.fleet.sheets import Report, RowState, SheetNotReadable
from loyalty.identity.portal_rules import FleetPermission
from loyalty.web import exports
from loyalty.web.desk import Page
from loyalty.web.exports import XLSX_TYPE
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.labels import ROW, SHEET
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lookups import file, hidden
from loyalty.web.office.parts import Act, Part, Rows, Said, Tile, Tiles
from loyalty.web.rendering import document

_EDIT = FleetPermission.EDIT_STRUCTURE
_KINDS: Final = {"vehicles": SheetKind.VEHICLES, "drivers": SheetKind.DRIVERS, "cards": SheetKind.BINDINGS}
_SHOWN: Final = 200
_LARGEST: Final = 3_000_000
"""A file travels through the preview's form: some ten thousand rows."""


def _kind(fleet: FleetDesk) -> tuple[str, SheetKind]:
    name = fleet.request.url.path.split("/")[2]
    return f"/fleet/{name}", _KINDS[name]


@get([f"/{name}/sheet" for name in _KINDS])
async def fetch(fleet: NamedDependency[FleetDesk]) -> Any:
    """Send a list as a workbook that importing reads again. Drivers' phones stand in it, so the trail names who fetched it."""
    fleet.require(_EDIT)
    _path, kind = _kind(fleet)
    tables = {SheetKind.VEHICLES: vehicle_table, SheetKind.DRIVERS: driver_table, SheetKind.BINDINGS: binding_table}
    table = await tables[kind](fleet.session, company_id=fleet.company_id, language=fleet.words.locale)
    facts = {"kind": kind.value, "rows": len(table.rows)}
    await audit.record(
        fleet.session, actor=fleet.actor, action="fleet.list_fetched", subject=("company", fleet.company_id), facts=facts, now=fleet.now
    )
    content = exports.xlsx(fleet.gettext(SHEET[kind]), table.head, table.rows, zone=fleet.zone)
    return document(content, media_type=XLSX_TYPE, filename=f"{kind.value}.xlsx")


@get([f"/{name}/import" for name in _KINDS])
async def ask(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask for a file."""
    fleet.offer(_EDIT)
    _ = fleet.gettext
    path, kind = _kind(fleet)
    top = Said(
        title=_("Fetch the list first: it has the right columns"),
        then=_("Correct it in a spreadsheet, add rows, and send it back. Nothing is written before you have seen what it would do."),
        acts=[Act(_("Fetch the list"), f"{path}/sheet")],
    )
    fields = [file("file", _("The list"), accept=".csv,.xlsx")]
    title = _("Take in a list")
    crumbs = [(_(SHEET[kind]), path), (title, "")]
    return await fleet.ask(title, fields, submit=_("Preview the list"), back=path, upload=True, once=False, top=[top], crumbs=crumbs)


@post([f"/{name}/import" for name in _KINDS], status_code=200)
async def look(fleet: NamedDependency[FleetDesk]) -> Page:
    """Say what a file would do, row by row; nothing is written."""
    fleet.require(_EDIT)
    _ = fleet.gettext
    path, kind = _kind(fleet)
    _name, data = await fleet.form.file("file", _("The list"), largest=_LARGEST)
    fleet.form.check()
    report = await preview(fleet.session, kind=kind, company_id=fleet.company_id, data=data)
    parts = _parts(fleet, report)
    good = report.count(RowState.NEW) + report.count(RowState.CHANGE)
    if good:
        label = fleet.words.ngettext("Take in %(num)s row", "Take in %(num)s rows", good)
        carried = [hidden("data", base64.b64encode(data).decode())]
        note = _("Rows with faults are left out.") if report.count(RowState.ERROR) else ""
        parts.insert(1, fleet.form_part("", f"{path}/import/apply", carried, submit=label, note=note))
    title = _("What the list would do")
    return await fleet.shown(title, parts, crumbs=[(_(SHEET[kind]), path), (title, "")], instead=True)


@post([f"/{name}/import/apply" for name in _KINDS], status_code=200)
async def take(fleet: NamedDependency[FleetDesk]) -> Page:
    """Write the good rows of the file that was looked at, judged anew."""
    fleet.require(_EDIT)
    _ = fleet.gettext
    path, kind = _kind(fleet)
    try:
        data = base64.b64decode(fleet.form.long("data"), validate=True)
    except (binascii.Error, ValueError):
        raise SheetNotReadable from None
    report = await apply(fleet.session, kind=kind, company_id=fleet.company_id, data=data, actor=fleet.actor, now=fleet.now)
    title = _("The list is taken in")
    done = Said(title=title, tone="good", acts=[Act(_("Done"), path, primary=True)])
    return await fleet.shown(title, [done, *_parts(fleet, report)], crumbs=[(_(SHEET[kind]), path), (title, "")], instead=True)


def _parts(fleet: FleetDesk, report: Report) -> list[Part]:
    _ = fleet.gettext
    tiles = [
        Tile(_(ROW[state][0]), fleet.f.count(report.count(state)), tone="bad" if state is RowState.ERROR and report.count(state) else "")
        for state in RowState
    ]
    # What is wrong first: it is what somebody has to do something about.
    told = sorted((row for row in report.rows if row.state is not RowState.SAME), key=lambda row: row.state is not RowState.ERROR)
    rows = Rows(
        title=_("Row by row"),
        columns=[Column(_("Row"), "num"), Column(_("About")), Column(_("Result")), Column(_("Why, or what"))],
        rows=[
            [
                cells.count(fleet, row.number),
                cells.text(row.key),
                cells.tag(fleet, row.state, ROW),
                cells.text(" ".join(fleet.words.either(fault.zh, fault.en) for fault in row.faults) or ", ".join(row.changes)),
            ]
            for row in told[:_SHOWN]
        ],
        empty=_("Nothing would change"),
        note=_("The first %(count)s.", count=_SHOWN) if len(told) > _SHOWN else "",
    )
    parts: list[Part] = [Tiles(tiles)]
    if report.ignored:
        parts.append(Said(title=_("Columns nobody knows: %(names)s", names=", ".join(report.ignored)), tone="warn"))
    return [*parts, rows]


handlers = [fetch, ask, look, take]
