"""What is odd about fills, with its evidence; and what people make of it. A question, never an accusation."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.fleet.detecting import Kind
from loyalty.fleet.model_findings import DISPOSITION_MOVES, Disposition
from loyalty.fleet.operations.findings import dispose
from loyalty.fleet.queries.watching import FindingView, get_finding, list_findings
from loyalty.identity.portal_rules import FleetPermission
from loyalty.paging import Page as Found
from loyalty.web.desk import Page
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.watch_words import DISPOSITION, EVIDENCE, KIND, SEVERITY
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field, word_filter
from loyalty.web.office.parts import Act, Cell, Facts

PATH = "/fleet/findings"
_MAY = FleetPermission.DISPUTE
_TO = {"explained": Disposition.EXPLAINED, "confirmed": Disposition.CONFIRMED, "false": Disposition.FALSE, "open": Disposition.OPEN}


@get(three("/findings"))
async def findings(fleet: NamedDependency[FleetDesk]) -> Any:
    """List what is odd, the open ones unless others are asked for."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "", ["status", "kind"])
    status, kind = fleet.query.maybe("status", Disposition), fleet.query.maybe("kind", Kind)

    async def fetch(cursor: str | None, limit: int) -> Found[FindingView]:
        return await list_findings(
            fleet.session,
            company_id=fleet.company_id,
            departments=fleet.departments,
            disposition=status,
            kind=kind,
            cursor=cursor,
            limit=limit,
        )

    async def rows(found: Sequence[FindingView]) -> list[list[Cell]]:
        return [
            [
                cells.linked(fleet, f"{PATH}/{one.finding_id}", cells.when(fleet, one.event_at)),
                cells.plate(fleet, one.plate),
                cells.text(_(KIND[one.kind][0])),
                cells.tag(fleet, one.severity, SEVERITY),
                cells.text(one.driver),
                cells.tag(fleet, one.disposition, DISPOSITION),
            ]
            for one in found
        ]

    return await show(
        fleet,
        List(
            title=_("Oddities"),
            listing=listing,
            columns=[
                Column(_("When")),
                Column(_("Vehicle")),
                Column(_("What is odd")),
                Column(_("How far")),
                Column(_("Driver")),
                Column(_("Status")),
            ],
            fetch=fetch,
            rows=rows,
            filters=[
                word_filter(fleet, "status", _("Status"), DISPOSITION, listing),
                word_filter(fleet, "kind", _("What is odd"), KIND, listing),
            ],
            empty=_("Nothing odd"),
            empty_then=_("Each fill is compared with its vehicle's own past once an hour."),
            name="findings",
        ),
    )


async def _one(fleet: FleetDesk, finding_id: UUID) -> FindingView:
    found, _steps = await get_finding(fleet.session, company_id=fleet.company_id, finding_id=finding_id)
    fleet.within(found.department_id)
    return found


@get("/findings/{finding_id:uuid}")
async def finding(fleet: NamedDependency[FleetDesk], finding_id: FromPath[UUID]) -> Page:
    """Show one finding: the figures beside what is normal, and what was said of it."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    one, steps = await get_finding(fleet.session, company_id=fleet.company_id, finding_id=finding_id)
    fleet.within(one.department_id)
    evidence = Facts(
        title=_("Evidence"),
        pairs=[(_(label), _figure(fleet, name, one.evidence[name])) for name, label in EVIDENCE.items() if name in one.evidence],
        note=_("A finding is a question, not a proof. Say what it was: what is nothing odd is learnt for this vehicle."),
    )
    whose = Facts(
        title=_("The fill"),
        pairs=[
            (_("When"), fleet.f.when(one.event_at)),
            (_("Vehicle"), fleet.link(f"/fleet/vehicles/{one.vehicle_id}", one.plate)),
            (_("Driver"), one.driver or "—"),
            *_fill(fleet, one),
            (_("How far"), cells.tag(fleet, one.severity, SEVERITY).show),
        ],
    )
    said = Facts(
        title=_("What was said of it"),
        pairs=[(f"{fleet.f.when(step.at)} · {_(DISPOSITION[step.moved_to][0])}", step.note or "—") for step in steps],
        note="" if steps else _("Nothing yet."),
    )
    acts: list[Act | None] = []
    if fleet.may(_MAY):
        for name, to in _TO.items():
            if to in DISPOSITION_MOVES[one.disposition]:
                label = _("Open it again") if to is Disposition.OPEN else _(DISPOSITION[to][0])
                acts.append(Act(label, f"{PATH}/{finding_id}/{name}", danger=to is Disposition.CONFIRMED))
    return await fleet.page(
        _(KIND[one.kind][0]),
        sub=one.plate,
        crumbs=[(_("Oddities"), PATH), (one.plate, "")],
        tags=[cells.tag(fleet, one.disposition, DISPOSITION).show],
        acts=acts,
        main=[evidence, said],
        aside=[whose],
    )


def _fill(fleet: FleetDesk, one: FindingView) -> list[tuple[str, Any]]:
    """Return what was fuelled, where and for how much."""
    if one.quantity_milli is None:
        return []
    _ = fleet.gettext
    card = "—" if one.card_id is None else fleet.link(f"/fleet/cards/{one.card_id}", f"•••• {one.card_tail}")
    return [
        (_("Card"), card),
        (_("Station"), fleet.words.either(one.station_zh or "—", one.station_en or "—")),
        (_("Product"), fleet.words.either(one.product_zh or "—", one.product_en or "—")),
        (_("Quantity"), fleet.f.quantity(one.quantity_milli, "L")),
        (_("Paid from the card"), fleet.f.money(one.card_minor, fleet.company.currency)),
        (_("Kilometres"), fleet.f.count(one.odometer_km)),
    ]


def _figure(fleet: FleetDesk, name: str, value: Any) -> str:
    if name.endswith("_milli") and isinstance(value, int):
        return str(fleet.f.quantity(value, "L"))
    return fleet.f.count(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)


_ACTS = [f"/findings/{{finding_id:uuid}}/{name}" for name in _TO]


@get(_ACTS)
async def ask_disposition(fleet: NamedDependency[FleetDesk], finding_id: FromPath[UUID]) -> Page:
    """Ask for the reason."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    one = await _one(fleet, finding_id)
    to = _TO[fleet.act]
    title = _("Open it again") if to is Disposition.OPEN else _(DISPOSITION[to][0])
    crumbs = [(_("Oddities"), PATH), (one.plate, f"{PATH}/{finding_id}")]
    note = _("This vehicle is given more room before such a fill is called odd again.") if to is Disposition.FALSE else ""
    fields = [field("note", _("Reason"), autofocus=True)]
    danger = to is Disposition.CONFIRMED
    return await fleet.ask(
        f"{title}: {one.plate}", fields, submit=title, danger=danger, note=note, back=f"{PATH}/{finding_id}", crumbs=crumbs
    )


@post(_ACTS, status_code=303)
async def give_disposition(fleet: NamedDependency[FleetDesk], finding_id: FromPath[UUID]) -> Page:
    """Say what a finding was."""
    fleet.require(_MAY)
    _ = fleet.gettext
    await _one(fleet, finding_id)
    note = fleet.form.text("note", _("Reason"), longest=400)
    fleet.form.check()
    await dispose(
        fleet.session,
        company_id=fleet.company_id,
        finding_id=finding_id,
        to=_TO[fleet.act],
        note=note,
        actor=fleet.actor,
        now=fleet.now,
    )
    return await fleet.done(f"{PATH}/{finding_id}", _("Noted"))


handlers = [findings, finding, ask_disposition, give_disposition]
