"""Vehicles: listed, added, corrected, in repair, closed and back again."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty import clock
from loyalty.fleet.allocation_rules import span_of
from loyalty.fleet.model import Ownership, VehicleStatus
from loyalty.fleet.operations.vehicles import (
    add_vehicle,
    change_vehicle,
    close_vehicle,
    fuels,
    reopen_vehicle,
    repair_vehicle,
    return_vehicle,
)
from loyalty.fleet.queries.cash import CashFilter, list_cash_fills
from loyalty.fleet.queries.departments import departments_of
from loyalty.fleet.queries.economy import trends_of
from loyalty.fleet.queries.vehicles import (
    VehicleFilter,
    VehicleNotFound,
    VehicleView,
    find_vehicle,
    get_vehicle,
    list_vehicles,
    vehicle_types,
)
from loyalty.fleet.rules import VEHICLE_TYPES, WARNING_SENTENCES, VehicleFacts, Warned
from loyalty.identity.portal_rules import FleetPermission
from loyalty.paging import Page as Found
from loyalty.web.desk import Page
from loyalty.web.fleet.cash_words import CASH
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.economy_parts import TREND, spans_to, vehicle_trend
from loyalty.web.fleet.home import latest_fills
from loyalty.web.fleet.labels import OWNERSHIP, VEHICLE
from loyalty.web.listing import Column, Listing
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field, products_by_code, select, word_filter
from loyalty.web.office.parts import Act, Cell, Facts, Field, Part, Said

PATH = "/fleet/vehicles"
_EDIT = FleetPermission.EDIT_STRUCTURE
_LATEST = 4
"""Cash fills that stand on a vehicle's page."""


@get(three("/vehicles"))
async def vehicles(fleet: NamedDependency[FleetDesk]) -> Any:
    """List the company's vehicles, or a department's."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "plate", ["text", "status", "type", "department"])
    status = fleet.query.maybe("status", VehicleStatus)
    rooms = fleet.rooms(fleet.query.maybe_uuid("department"))
    by = VehicleFilter(text=listing.filters["text"], department_ids=rooms, type=listing.filters["type"] or None)
    if status is not None:
        by = VehicleFilter(text=by.text, department_ids=rooms, type=by.type, statuses=(status,))

    async def fetch(cursor: str | None, limit: int) -> Found[VehicleView]:
        return await list_vehicles(fleet.session, company_id=fleet.company_id, by=by, sort=listing.sort, cursor=cursor, limit=limit)

    async def rows(found: Sequence[VehicleView]) -> list[list[Cell]]:
        return [
            [
                Cell(fleet.link(f"{PATH}/{one.vehicle_id}", cells.plate(fleet, one.plate).show), one.plate),
                cells.text(type_name(fleet, one.type)),
                cells.text(one.department),
                cells.text(grades.get(one.product_code or "")),
                cells.quantity(fleet, one.tank_milli, None),
                cells.count(fleet, one.odometer_km),
                cells.text(", ".join(f"•••• {card.number_tail}" for card in one.cards)),
                cells.tag(fleet, one.status, VEHICLE),
            ]
            for one in found
        ]

    grades = await products_by_code(fleet)
    types = await vehicle_types(fleet.session, company_id=fleet.company_id)
    edits = fleet.may(_EDIT)
    return await show(
        fleet,
        List(
            title=_("Vehicles"),
            listing=listing,
            columns=[
                Column(_("Plate"), sort="plate"),
                Column(_("Class"), sort="type"),
                Column(_("Department")),
                Column(_("Fuel")),
                Column(_("Tank"), "num"),
                Column(_("Kilometres"), "num", sort="odometer"),
                Column(_("Card")),
                Column(_("Status"), sort="status"),
            ],
            fetch=fetch,
            rows=rows,
            filters=[
                field("text", _("Find"), value=listing.filters["text"], required=False, key="F1"),
                word_filter(fleet, "status", _("Status"), VEHICLE, listing, blank=_("Not closed")),
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
            acts=[Act(_("Take in a list"), f"{PATH}/import"), Act(_("Add a vehicle"), f"{PATH}/new", primary=True)] if edits else [],
            empty=_("No vehicle here"),
            empty_then=_("Add one, or widen the filter.") if edits else "",
            name="vehicles",
        ),
    )


def type_name(fleet: FleetDesk, code: str) -> str:
    """Say a class of vehicles; a fleet's own word stays as it is."""
    return fleet.words.either(*VEHICLE_TYPES[code]) if code in VEHICLE_TYPES else code


async def rooms_of(fleet: FleetDesk) -> list[tuple[str, str]]:
    """Return the departments that the reader may choose from."""
    found = await departments_of(fleet.session, company_id=fleet.company_id, counted=False)
    return [
        (str(one.department_id), " / ".join(one.path))
        for one in found
        if fleet.departments is None or one.department_id in fleet.departments
    ]


async def room_filter(fleet: FleetDesk, listing: Listing) -> Field:
    """Return the filter by department."""
    _ = fleet.gettext
    return select(
        "department",
        _("Department"),
        await rooms_of(fleet),
        value=listing.filters["department"],
        blank=_("All"),
        required=False,
    )


async def _one(fleet: FleetDesk, vehicle_id: UUID) -> VehicleView:
    """Return a vehicle that the reader may see.

    :raises NotFound: if it is another company's, or another department's
    """
    one = await get_vehicle(fleet.session, company_id=fleet.company_id, vehicle_id=vehicle_id)
    fleet.within(one.department_id)
    return one


@get("/vehicles/new")
async def new(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask for a new vehicle."""
    fleet.offer(_EDIT)
    _ = fleet.gettext
    return await fleet.ask(
        _("Add a vehicle"),
        await _fields(fleet, None),
        submit=_("Add"),
        back=PATH,
        columns=True,
        crumbs=[(_("Vehicles"), PATH), (_("Add a vehicle"), "")],
    )


@post("/vehicles/new", status_code=303)
async def make(fleet: NamedDependency[FleetDesk]) -> Page:
    """Add a vehicle."""
    fleet.require(_EDIT)
    saved = await add_vehicle(fleet.session, company_id=fleet.company_id, facts=_facts(fleet), actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{saved.vehicle_id}", _said(fleet, fleet.gettext("It is added"), saved.warnings))


@get("/vehicles/{vehicle_id:uuid}")
async def vehicle(fleet: NamedDependency[FleetDesk], vehicle_id: FromPath[UUID]) -> Page:
    """Show one vehicle."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    one = await _one(fleet, vehicle_id)
    base = f"{PATH}/{vehicle_id}"
    f = fleet.f
    facts = Facts(
        title=_("The vehicle"),
        pairs=[
            (_("Class"), type_name(fleet, one.type)),
            (_("Department"), one.department or "—"),
            (_("VIN"), one.vin or "—"),
            (_("Displacement"), "—" if one.displacement_ml is None else f"{f.count(one.displacement_ml)} mL"),
            (_("Tank"), f.quantity(one.tank_milli, "L")),
            (_("Fuel"), (await products_by_code(fleet)).get(one.product_code or "", "—")),
            (_("Litres per 100 km"), f.quantity(one.norm_milli, "L")),
            (_("Ownership"), _(OWNERSHIP[one.ownership])),
            (_("Fixed amount a month"), f.money(one.fixed_amount_minor, fleet.company.currency)),
            (_("Kilometres"), f.count(one.odometer_km)),
        ],
    )
    bound = Facts(
        title=_("Cards"),
        pairs=[(f"•••• {card.number_tail}", fleet.link(f"/fleet/cards/{card.card_id}", _("Show"))) for card in one.cards],
        note="" if one.cards else _("No card is bound to it."),
    )
    acts: list[Act | None] = [Act(_("Limits"), f"/fleet/limits/vehicle/{vehicle_id}"), Act(_("Odometer"), f"{base}/odometer")]
    if fleet.may(FleetPermission.FILE_CASH) and one.status is not VehicleStatus.CLOSED:
        acts.append(Act(_("Record a cash fill"), f"/fleet/cash/new?plate={one.plate}"))
    if fleet.may(_EDIT):
        if one.status is VehicleStatus.CLOSED:
            acts += [Act(_("Reopen"), f"{base}/reopen")]
        else:
            back = one.status is VehicleStatus.IN_REPAIR
            acts += [
                Act(_("Edit"), f"{base}/edit"),
                Act(_("Back from repair"), f"{base}/return") if back else Act(_("In repair"), f"{base}/repair"),
                Act(_("Close"), f"{base}/close", danger=True),
            ]
    top: list[Part] = []
    if one.substitute_plate:
        top.append(Said(title=_("%(plate)s stands in for it", plate=one.substitute_plate), tone="info"))
    if one.substitute_for_plate:
        top.append(Said(title=_("It stands in for %(plate)s", plate=one.substitute_for_plate), tone="info"))
    return await fleet.page(
        one.plate,
        crumbs=[(_("Vehicles"), PATH), (one.plate, "")],
        tags=[cells.tag(fleet, one.status, VEHICLE).show],
        acts=acts,
        top=top,
        main=[*await _trend(fleet, vehicle_id), facts, await latest_fills(fleet, plate=one.plate)],
        aside=[bound, *await _cash(fleet, one)],
    )


async def _trend(fleet: FleetDesk, vehicle_id: UUID) -> list[Part]:
    """Return what it took per 100 km over its last periods, nothing before there are two."""
    spans = spans_to(span_of(clock.local_date(fleet.now, fleet.company.time_zone), period_day=fleet.company.period_day), TREND)
    of: dict[str, Any] = {"company_id": fleet.company_id, "period_day": fleet.company.period_day}
    found = await trends_of(fleet.session, vehicle_ids=[vehicle_id], since=spans[0].first, **of)
    known = [one for one in found.get(vehicle_id, []) if one.km]
    return [vehicle_trend(fleet, known)] if len(known) > 1 else []


async def _cash(fleet: FleetDesk, one: VehicleView) -> list[Part]:
    """Return the latest of what was paid in cash for it, nothing where nothing was."""
    _, f = fleet.gettext, fleet.f
    found = await list_cash_fills(fleet.session, company_id=fleet.company_id, by=CashFilter(vehicle_id=one.vehicle_id), limit=_LATEST)
    pairs = [
        (
            fleet.link(f"/fleet/cash/{fill.cash_fill_id}", f.when(fill.event_at)),
            f"{f.quantity(fill.quantity_milli, 'L')} · {f.money(fill.amount_minor, fill.currency)} · {_(CASH[fill.status][0])}",
        )
        for fill in found.rows
    ]
    return [Facts(title=_("Cash fills"), pairs=pairs, acts=[Act(_("All"), f"/fleet/cash?plate={one.plate}")])] if pairs else []


@get("/vehicles/{vehicle_id:uuid}/edit")
async def edit(fleet: NamedDependency[FleetDesk], vehicle_id: FromPath[UUID]) -> Page:
    """Ask how a vehicle shall be."""
    fleet.offer(_EDIT)
    _ = fleet.gettext
    one = await _one(fleet, vehicle_id)
    crumbs = [(_("Vehicles"), PATH), (one.plate, f"{PATH}/{vehicle_id}")]
    return await fleet.ask(one.plate, await _fields(fleet, one), submit=_("Save"), back=f"{PATH}/{vehicle_id}", columns=True, crumbs=crumbs)


@post("/vehicles/{vehicle_id:uuid}/edit", status_code=303)
async def save(fleet: NamedDependency[FleetDesk], vehicle_id: FromPath[UUID]) -> Page:
    """Write a vehicle anew."""
    fleet.require(_EDIT)
    await _one(fleet, vehicle_id)
    saved = await change_vehicle(
        fleet.session, company_id=fleet.company_id, vehicle_id=vehicle_id, facts=_facts(fleet), actor=fleet.actor, now=fleet.now
    )
    return await fleet.done(f"{PATH}/{vehicle_id}", _said(fleet, fleet.gettext("Saved"), saved.warnings))


_ACTS = [f"/vehicles/{{vehicle_id:uuid}}/{name}" for name in ("repair", "return", "close", "reopen")]


@get(_ACTS)
async def ask_act(fleet: NamedDependency[FleetDesk], vehicle_id: FromPath[UUID]) -> Page:
    """Ask once."""
    fleet.offer(_EDIT)
    _ = fleet.gettext
    one = await _one(fleet, vehicle_id)
    title, note = {
        "repair": (_("In repair"), _("Another vehicle may stand in for it; its cards go over until it is back.")),
        "return": (_("Back from repair"), _("Its cards come back from the vehicle that stood in.")),
        "close": (_("Close"), _("Its cards are recalled, and their money goes back to the pool.")),
        "reopen": (_("Reopen"), _("Cards are bound to it anew.")),
    }[fleet.act]
    fields: list[Field] = []
    if fleet.act == "repair":
        fields.append(field("substitute", _("Plate of the vehicle that stands in"), required=False, autofocus=True))
    if fleet.act in {"repair", "close"}:
        fields.append(field("reason", _("Reason"), required=False))
    crumbs = [(_("Vehicles"), PATH), (one.plate, f"{PATH}/{vehicle_id}")]
    return await fleet.ask(
        f"{title}: {one.plate}", fields, submit=title, danger=fleet.act == "close", note=note, back=f"{PATH}/{vehicle_id}", crumbs=crumbs
    )


@post(_ACTS, status_code=303)
async def act(fleet: NamedDependency[FleetDesk], vehicle_id: FromPath[UUID]) -> Page:
    """Move a vehicle."""
    fleet.require(_EDIT)
    await _one(fleet, vehicle_id)
    known: dict[str, Any] = {"company_id": fleet.company_id, "vehicle_id": vehicle_id, "actor": fleet.actor, "now": fleet.now}
    known["reason"] = fleet.form.raw("reason")[:200]
    if fleet.act == "repair" and (plate := fleet.form.raw("substitute")):
        other = await find_vehicle(fleet.session, company_id=fleet.company_id, plate=plate)
        if other is None:
            raise VehicleNotFound
        known["substitute_id"] = other.vehicle_id
    work: dict[str, Any] = {"repair": repair_vehicle, "return": return_vehicle, "close": close_vehicle, "reopen": reopen_vehicle}
    await work[fleet.act](fleet.session, **known)
    return await fleet.done(f"{PATH}/{vehicle_id}", fleet.gettext("Done"))


def _said(fleet: FleetDesk, done: str, warnings: Sequence[Warned]) -> str:
    return " ".join([done, *(fleet.words.either(*WARNING_SENTENCES[one]) for one in warnings)])


def _number(value: int | None) -> str:
    """Write thousandths as a form reads them."""
    return "" if value is None else f"{value / 1000:.3f}".rstrip("0").rstrip(".")


async def _fields(fleet: FleetDesk, one: VehicleView | None) -> list[Field]:
    _ = fleet.gettext
    types = [(code, fleet.words.either(*words)) for code, words in VEHICLE_TYPES.items()]
    if one is not None and one.type not in VEHICLE_TYPES:
        types.append((one.type, one.type))
    sold = [(code, code) for code in await fuels(fleet.session)]
    km = "" if one is None or one.odometer_km is None else one.odometer_km
    fixed = None if one is None else one.fixed_amount_minor
    return [
        field("plate", _("Plate"), value=one.plate if one else "", autofocus=True),
        select("type", _("Class"), types, value=one.type if one else "car"),
        select(
            "department",
            _("Department"),
            await rooms_of(fleet),
            value=str(one.department_id or "") if one else "",
            blank=fleet.company.name,
            required=False,
        ),
        select("product", _("Fuel"), sold, value=(one.product_code or "") if one else "", blank=_("Any"), required=False),
        field("tank", _("Tank, litres"), value=_number(one.tank_milli) if one else "", required=False, inputmode="decimal"),
        field("norm", _("Litres per 100 km"), value=_number(one.norm_milli) if one else "", required=False, inputmode="decimal"),
        field("displacement", _("Displacement, mL"), value=(one.displacement_ml or "") if one else "", required=False, inputmode="numeric"),
        field("odometer", _("Kilometres"), value=km, required=False, inputmode="numeric"),
        field("vin", _("VIN"), value=(one.vin or "") if one else "", required=False),
        select(
            "ownership",
            _("Ownership"),
            [(key.value, _(label)) for key, label in OWNERSHIP.items()],
            value=one.ownership.value if one else "company",
        ),
        field(
            "fixed",
            _("Fixed amount a month, private vehicles only"),
            value="" if fixed is None else fleet.f.amount(fixed, fleet.company.currency),
            required=False,
            inputmode="decimal",
        ),
    ]


def _facts(fleet: FleetDesk) -> VehicleFacts:
    _, form = fleet.gettext, fleet.form
    facts = VehicleFacts(
        plate=form.text("plate", _("Plate"), longest=40),
        type=form.text("type", _("Class"), longest=40),
        vin=form.text("vin", _("VIN"), required=False, longest=40) or None,
        displacement_ml=form.whole("displacement", _("Displacement, mL"), low=1, high=50_000, required=False),
        tank_milli=form.quantity("tank", _("Tank, litres"), required=False),
        product_code=form.raw("product") or None,
        norm_milli=form.quantity("norm", _("Litres per 100 km"), required=False),
        ownership=form.choice("ownership", _("Ownership"), Ownership, Ownership.COMPANY),
        fixed_amount_minor=form.money("fixed", _("Fixed amount a month"), fleet.company.currency, required=False),
        department_id=form.uuid("department", _("Department"), required=False),
        odometer_km=form.whole("odometer", _("Kilometres"), high=10_000_000, required=False),
    )
    form.check()
    return facts


handlers = [vehicles, new, make, vehicle, edit, save, ask_act, act]
