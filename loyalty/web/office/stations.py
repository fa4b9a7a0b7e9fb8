"""Stations: the tree of entities, regions and districts; one station's page; tills that are enrolled, quarantined and revoked."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.identity import queries as people
from loyalty.identity.rules import Permission
from loyalty.ids import StationId
from loyalty.paging import Page as Found
from loyalty.stations import operations, queries
from loyalty.stations.model import STATION_MOVES, StationStatus, TerminalKind, TerminalStatus
from loyalty.stations.operations import StationFacts
from loyalty.stations.queries import StationFilter, StationView, TerminalFilter, TerminalView
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.frame import ROLES
from loyalty.web.office.labels import STATION_STATUS, TERMINAL_KIND, TERMINAL_STATUS
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import chips, field, select
from loyalty.web.office.parts import Act, Cell, Events, Facts, Field, Part, Rows
from loyalty.web.office.shifts import shift_columns, shift_rows

PATH = "/office/stations"


@get(three("/stations"))
async def stations(desk: NamedDependency[Desk]) -> Any:
    """List the stations in the reader's scope."""
    reachable = desk.reachable(Permission.READ_STATION)
    _ = desk.gettext
    listing = desk.listing(PATH, "code", ["text", "status", "district", "region", "entity"])
    filters = listing.filters

    async def fetch(cursor: str | None, limit: int) -> Found[StationView]:
        status = desk.query.maybe("status", StationStatus)
        by = StationFilter(
            text=filters["text"],
            statuses=[status] if status else (),
            district_id=desk.query.maybe_uuid("district"),
            region_id=desk.query.maybe_uuid("region"),
            entity_id=desk.query.maybe_uuid("entity"),
            reachable=reachable,
        )
        return await queries.list_stations(desk.session, by=by, sort=listing.sort, cursor=cursor, limit=limit)

    async def rows(found: Sequence[StationView]) -> list[list[Cell]]:
        return [
            [
                cells.text(one.code),
                cells.link(desk, f"{PATH}/{one.station_id}", desk.either(one.name_zh, one.name_en)),
                cells.text(desk.either(one.region_name_zh, one.region_name_en)),
                cells.text(desk.either(one.district_name_zh, one.district_name_en)),
                cells.text(desk.either(one.entity_name_zh, one.entity_name_en)),
                cells.text(_abilities(desk, one)),
                cells.tag(desk, one.status, STATION_STATUS),
            ]
            for one in found
        ]

    statuses = [(member.value, _(label[0])) for member, label in STATION_STATUS.items()]
    edits = desk.may(Permission.EDIT_STATIONS)
    return await show(
        desk,
        List(
            title=_("Stations"),
            listing=listing,
            columns=[
                Column(_("Code"), sort="code"),
                Column(_("Station"), sort="name_zh" if desk.words.is_chinese else "name_en"),
                Column(_("Region")),
                Column(_("District")),
                Column(_("Legal entity")),
                Column(_("May")),
                Column(_("Status"), sort="status"),
            ],
            fetch=fetch,
            rows=rows,
            filters=[
                field("text", _("Find"), value=filters["text"], required=False, key="F1"),
                select("status", _("Status"), statuses, value=filters["status"], blank=_("All"), required=False),
                select("region", _("Region"), await lookups.regions(desk), value=filters["region"], blank=_("All"), required=False),
                select("district", _("District"), await lookups.districts(desk), value=filters["district"], blank=_("All"), required=False),
                select("entity", _("Legal entity"), await lookups.entities(desk), value=filters["entity"], blank=_("All"), required=False),
            ],
            acts=[Act(_("New station"), f"{PATH}/new", primary=True) if edits else None],
            tabs=station_tabs(desk, "stations"),
            empty=_("No station here"),
            name="stations",
        ),
    )


def station_tabs(desk: Desk, here: str) -> list[tuple[str, str, bool, int]]:
    """Return the views of the network."""
    _ = desk.gettext
    return [
        (_("Stations"), PATH, here == "stations", 0),
        (_("Regions and districts"), "/office/regions", here == "tree", 0),
        (_("Tills"), "/office/terminals", here == "terminals", 0),
        (_("Unresolved fills"), "/office/unresolved", here == "unresolved", 0),
    ]


def _abilities(desk: Desk, one: StationView) -> str:
    _ = desk.gettext
    names = [(one.may_issue, _("issue cards")), (one.may_load, _("take top-ups")), (one.may_invoice, _("invoice"))]
    return ", ".join(name for may, name in names if may) or "—"


@get("/stations/{station_id:uuid}")
async def station(desk: NamedDependency[Desk], station_id: FromPath[UUID]) -> Page:
    """Show one station."""
    desk.require(Permission.READ_STATION, station_id)
    _ = desk.gettext
    one = await queries.get_station(desk.session, station_id=station_id)
    name = desk.either(one.name_zh, one.name_en)
    base = f"{PATH}/{station_id}"
    edits = desk.may(Permission.EDIT_STATIONS, station_id)
    aside: list[Part] = [_facts(desk, one, base, edits=edits), await _staff(desk, station_id), await _events(desk, station_id)]
    main: list[Part] = [await _terminals(desk, one), await _board(desk, one), await _shifts(desk, one)]
    acts = [Act(_("Change its status"), f"{base}/status"), Act(_("Edit"), f"{base}/edit")] if edits else []
    return await desk.page(
        name,
        sub=f"{one.code} · {desk.either(one.district_name_zh, one.district_name_en)}",
        crumbs=[(_("Stations"), PATH), (name, "")],
        tags=[cells.tag(desk, one.status, STATION_STATUS).show],
        acts=acts,
        main=main,
        aside=aside,
    )


def _facts(desk: Desk, one: StationView, base: str, *, edits: bool) -> Facts:
    _ = desk.gettext
    return Facts(
        title=_("The station"),
        pairs=[
            (_("Legal entity"), desk.either(one.entity_name_zh, one.entity_name_en)),
            (_("Region"), desk.either(one.region_name_zh, one.region_name_en)),
            (_("Address"), one.address or "—"),
            (_("Phone"), one.phone or "—"),
            (_("Zone"), one.zone),
            (_("Currency"), one.currency),
            (_("May"), _abilities(desk, one)),
        ],
        acts=[Act(_("Edit"), f"{base}/edit")] if edits else [],
    )


async def _terminals(desk: Desk, one: StationView) -> Rows:
    _ = desk.gettext
    found = await queries.list_terminals(desk.session, by=TerminalFilter(station_id=one.station_id), limit=100)
    adds = desk.may(Permission.EDIT_STATIONS, one.station_id)
    return Rows(
        title=_("Tills"),
        columns=terminal_columns(desk, with_station=False),
        rows=[terminal_row(desk, till, with_station=False) for till in found.rows],
        marks=terminal_marks(found.rows),
        empty=_("No till yet"),
        empty_then=_("Add one, then enrol a device for it."),
        acts=[Act(_("Add a till"), f"{PATH}/{one.station_id}/terminals/new")] if adds else [],
    )


def terminal_columns(desk: Desk, *, with_station: bool) -> list[Column]:
    """Return the heads of a table of tills."""
    _ = desk.gettext
    first = [Column(_("Station"), sort="station")] if with_station else []
    return [
        *first,
        Column(_("Till")),
        Column(_("Kind")),
        Column(_("At most a sale"), "num"),
        Column(_("Heard")),
        Column(_("Software")),
        Column(_("Status"), sort="status" if with_station else ""),
    ]


def terminal_row(desk: Desk, till: TerminalView, *, with_station: bool) -> list[Cell]:
    """Return one till as a row."""
    first = [cells.link(desk, f"{PATH}/{till.station_id}", desk.either(till.station_name_zh, till.station_name_en))] if with_station else []
    return [
        *first,
        cells.link(desk, f"/office/terminals/{till.terminal_id}", till.code),
        cells.tag(desk, till.kind, TERMINAL_KIND),
        cells.money(desk, till.amount_per_transaction_max_minor, till.currency),
        cells.when(desk, till.last_heartbeat_at),
        cells.text(till.software),
        cells.tag(desk, till.status, TERMINAL_STATUS),
    ]


def terminal_marks(found: Sequence[TerminalView]) -> dict[int, str]:
    """Mark quarantined tills, grey revoked ones."""
    marks = {TerminalStatus.QUARANTINED: "bad", TerminalStatus.REVOKED: "off"}
    return {index: marks[till.status] for index, till in enumerate(found) if till.status in marks}


async def _board(desk: Desk, one: StationView) -> Rows:
    _ = desk.gettext
    board = await queries.price_board(desk.session, station_id=one.station_id, at=desk.now)
    price = desk.f.unit_price
    return Rows(
        title=_("Prices"),
        columns=[Column(_("Product")), Column(_("Price"), "num"), Column(_("Since")), Column(_("Next"), "num"), Column(_("From"))],
        rows=[
            [
                cells.text(lookups.product_name(desk, line.product_code, line.product_name_zh, line.product_name_en)),
                Cell(price(line.unit_price_e4, line.currency, line.unit.value), line.unit_price_e4),
                cells.when(desk, line.effective_from),
                Cell(price(line.next_unit_price_e4, line.currency, line.unit.value), line.next_unit_price_e4),
                cells.when(desk, line.next_effective_from),
            ]
            for line in board
        ],
        empty=_("No price in force"),
        acts=[Act(_("All prices"), f"/office/prices?station={one.station_id}")],
    )


async def _shifts(desk: Desk, one: StationView) -> Rows:
    _ = desk.gettext
    found = await queries.list_shifts(desk.session, station_id=one.station_id, limit=8)
    return Rows(
        title=_("Shifts"),
        columns=shift_columns(desk, with_station=False),
        rows=await shift_rows(desk, found.rows, with_station=False),
        empty=_("No shift yet"),
        acts=[Act(_("All"), f"/office/shifts?station={one.station_id}")],
    )


async def _staff(desk: Desk, station_id: UUID) -> Rows:
    _ = desk.gettext
    if not desk.may(Permission.READ_STAFF, station_id):
        return Rows(title=_("Staff"), columns=[], rows=[], empty=_("Your role does not show them"))
    found = await people.list_staff(desk.session, stations=[station_id], now=desk.real_now, limit=50)
    return Rows(
        title=_("Staff"),
        columns=[Column(_("Name")), Column(_("Roles"))],
        rows=[
            [
                cells.link(desk, f"/office/staff/{one.staff_id}", one.name),
                cells.text(", ".join(_(ROLES[role.role]) for role in one.roles)),
            ]
            for one in found.rows
        ],
        empty=_("Nobody yet"),
    )


async def _events(desk: Desk, station_id: UUID) -> Events:
    _ = desk.gettext
    events = await queries.station_history(desk.session, station_id=station_id)
    names = await lookups.people(desk, [event.staff_id for event in events])
    return Events(
        title=_("History"),
        events=[
            lookups.happening(
                desk,
                event.happened_at,
                _(STATION_STATUS[event.moved_to][0]),
                (cells.named(names, event.staff_id), lookups.noted(desk, event.reason)),
                tone=STATION_STATUS[event.moved_to][1],
            )
            for event in events
        ],
        empty=_("Nothing yet"),
    )


async def _station_fields(desk: Desk, one: StationView | None) -> list[Field]:
    _ = desk.gettext
    fields = [] if one else [field("code", _("Code"), autofocus=True)]
    may = [("issue", _("issue cards")), ("load", _("take top-ups")), ("invoice", _("invoice"))]
    held = [key for key, _name in may if one is None or getattr(one, f"may_{key}")]
    return [
        *fields,
        field("name_zh", _("Chinese name"), value=one.name_zh if one else ""),
        field("name_en", _("English name"), value=one.name_en if one else ""),
        select("entity", _("Legal entity"), await lookups.entities(desk), value=str(one.entity_id) if one else ""),
        select("district", _("District"), await lookups.districts(desk), value=str(one.district_id) if one else ""),
        field("address", _("Address"), value=one.address if one else "", required=False),
        field("phone", _("Phone"), value=one.phone if one else "", required=False),
        field("zone", _("Zone"), value=one.zone if one else desk.zone, help=_("An IANA name; fixed once prices stand.")),
        field("currency", _("Currency"), value=one.currency if one else "CNY", help=_("ISO 4217; fixed once prices stand.")),
        field("country", _("Country"), value=one.country if one else "CN"),
        field("segment", _("Segment"), value=(one.segment or "") if one else "", required=False),
        chips("may", _("This station may"), may, many=True, value=held),
    ]


async def _read_station(desk: Desk) -> StationFacts:
    _ = desk.gettext
    form = desk.form
    entity, district = form.uuid("entity", _("Legal entity")), form.uuid("district", _("District"))
    name_zh, name_en = form.text("name_zh", _("Chinese name"), longest=100), form.text("name_en", _("English name"), longest=100)
    may = form.many("may")
    form.check()
    assert entity is not None
    assert district is not None
    return StationFacts(
        name_zh=name_zh,
        name_en=name_en,
        entity_id=entity,
        district_id=district,
        zone=form.raw("zone"),
        currency=form.raw("currency").upper(),
        country=form.raw("country").upper() or "CN",
        address=form.raw("address"),
        phone=form.raw("phone"),
        segment=form.raw("segment") or None,
        may_issue="issue" in may,
        may_load="load" in may,
        may_invoice="invoice" in may,
    )


@get("/stations/new")
async def new_station(desk: NamedDependency[Desk]) -> Page:
    """Ask for a new station."""
    desk.require(Permission.EDIT_STATIONS)
    _ = desk.gettext
    crumbs = [(_("Stations"), PATH), (_("New station"), "")]
    return await desk.ask(_("New station"), await _station_fields(desk, None), submit=_("Add"), back=PATH, crumbs=crumbs, columns=True)


@post("/stations/new", status_code=303)
async def add_station(desk: NamedDependency[Desk]) -> Page:
    """Add a station, planned until somebody opens it."""
    desk.require(Permission.EDIT_STATIONS)
    _ = desk.gettext
    code = desk.form.text("code", _("Code"), longest=20)
    facts = await _read_station(desk)
    if await queries.find_station(desk.session, code=code) is not None:
        raise operations.CodeTaken(code=code)
    put = await operations.put_stations(desk.session, stations={code: facts}, actor=desk.actor, now=desk.now, status=StationStatus.PLANNED)
    return await desk.done(f"{PATH}/{put.ids[code]}", _("Added. Open it when it is ready."))


@get("/stations/{station_id:uuid}/edit")
async def edit_station(desk: NamedDependency[Desk], station_id: FromPath[UUID]) -> Page:
    """Show what is known, to be changed."""
    desk.require(Permission.EDIT_STATIONS, station_id)
    _ = desk.gettext
    one = await queries.get_station(desk.session, station_id=station_id)
    name = desk.either(one.name_zh, one.name_en)
    crumbs = [(_("Stations"), PATH), (name, f"{PATH}/{station_id}"), (_("Edit"), "")]
    fields = await _station_fields(desk, one)
    return await desk.ask(_("Edit"), fields, submit=_("Save"), back=f"{PATH}/{station_id}", crumbs=crumbs, columns=True)


@post("/stations/{station_id:uuid}/edit", status_code=303)
async def change_station(desk: NamedDependency[Desk], station_id: FromPath[UUID]) -> Page:
    """Store what was changed."""
    desk.require(Permission.EDIT_STATIONS, station_id)
    facts = await _read_station(desk)
    await operations.change_station(desk.session, station_id=StationId(station_id), facts=facts, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{station_id}", desk.gettext("Saved"))


@get("/stations/{station_id:uuid}/status")
async def ask_status(desk: NamedDependency[Desk], station_id: FromPath[UUID]) -> Page:
    """Ask what the station does from now on."""
    desk.require(Permission.EDIT_STATIONS, station_id)
    _ = desk.gettext
    one = await queries.get_station(desk.session, station_id=station_id)
    name = desk.either(one.name_zh, one.name_en)
    options = [(to.value, _(STATION_STATUS[to][0])) for to in STATION_MOVES[one.status]]
    fields = [chips("to", _("From now on"), options), field("reason", _("Reason"))]
    crumbs = [(_("Stations"), PATH), (name, f"{PATH}/{station_id}"), (_("Status"), "")]
    note = _("Now: %(status)s. A closed station sells and loads nothing.", status=_(STATION_STATUS[one.status][0]))
    return await desk.ask(_("Change its status"), fields, submit=_("Change"), back=f"{PATH}/{station_id}", crumbs=crumbs, note=note)


@post("/stations/{station_id:uuid}/status", status_code=303)
async def move_station(desk: NamedDependency[Desk], station_id: FromPath[UUID]) -> Page:
    """Change a station's status."""
    desk.require(Permission.EDIT_STATIONS, station_id)
    _ = desk.gettext
    to = desk.form.choice("to", _("From now on"), StationStatus, StationStatus.OPEN)
    reason = desk.form.text("reason", _("Reason"))
    desk.form.check()
    await operations.move_station(desk.session, station_id=StationId(station_id), to=to, reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{station_id}", _("Changed: %(status)s", status=_(STATION_STATUS[to][0])))


@get("/regions")
async def tree(desk: NamedDependency[Desk]) -> Page:
    """Show legal entities, and regions with their districts."""
    reachable = desk.reachable(Permission.READ_STATION)
    _ = desk.gettext
    counts: dict[UUID, int] = {}
    for one in (await lookups.places(desk)).stations.values():
        if reachable is None or one.station_id in reachable:
            counts[one.district_id] = counts.get(one.district_id, 0) + 1
            counts[one.entity_id] = counts.get(one.entity_id, 0) + 1
    regions = Rows(
        title=_("Regions and districts"),
        columns=[Column(_("Region")), Column(_("District")), Column(_("Code")), Column(_("Stations"), "num")],
        rows=[
            [
                cells.text(desk.either(one.region_name_zh, one.region_name_en)),
                cells.link(desk, f"{PATH}?district={one.district_id}", desk.either(one.name_zh, one.name_en)),
                cells.text(one.code),
                cells.count(desk, counts.get(one.district_id, 0)),
            ]
            for one in await queries.list_districts(desk.session)
        ],
        empty=_("None yet"),
    )
    entities = Rows(
        title=_("Legal entities"),
        columns=[Column(_("Legal entity")), Column(_("Tax number")), Column(_("Currency")), Column(_("Stations"), "num")],
        rows=[
            [
                cells.link(desk, f"{PATH}?entity={one.entity_id}", desk.either(one.name_zh, one.name_en)),
                cells.text(one.tax_number),
                cells.text(one.currency),
                cells.count(desk, counts.get(one.entity_id, 0)),
            ]
            for one in await queries.list_entities(desk.session)
        ],
        empty=_("None yet"),
    )
    return await desk.page(_("Regions and districts"), tabs=station_tabs(desk, "tree"), main=[regions], aside=[entities])


@get(three("/terminals"))
async def terminals(desk: NamedDependency[Desk]) -> Any:
    """List the tills in the reader's scope."""
    reachable = desk.reachable(Permission.READ_STATION)
    _ = desk.gettext
    listing = desk.listing("/office/terminals", "station", ["station", "status", "kind"])
    places = await lookups.places(desk)

    async def fetch(cursor: str | None, limit: int) -> Found[TerminalView]:
        status, kind = desk.query.maybe("status", TerminalStatus), desk.query.maybe("kind", TerminalKind)
        by = TerminalFilter(
            station_id=desk.query.maybe_uuid("station"),
            statuses=[status] if status else (),
            kinds=[kind] if kind else (),
            reachable=reachable,
        )
        return await queries.list_terminals(desk.session, by=by, sort=listing.sort, cursor=cursor, limit=limit)

    async def rows(found: Sequence[TerminalView]) -> list[list[Cell]]:
        return [terminal_row(desk, till, with_station=True) for till in found]

    statuses = [(member.value, _(label[0])) for member, label in TERMINAL_STATUS.items()]
    kinds = [(member.value, _(label[0])) for member, label in TERMINAL_KIND.items()]
    return await show(
        desk,
        List(
            title=_("Tills"),
            listing=listing,
            columns=terminal_columns(desk, with_station=True),
            fetch=fetch,
            rows=rows,
            marks=terminal_marks,
            filters=[
                select(
                    "station", _("Station"), places.options(reachable), value=listing.filters["station"], blank=_("All"), required=False
                ),
                select("status", _("Status"), statuses, value=listing.filters["status"], blank=_("All"), required=False),
                select("kind", _("Kind"), kinds, value=listing.filters["kind"], blank=_("All"), required=False),
            ],
            tabs=station_tabs(desk, "terminals"),
            empty=_("No till here"),
            name="terminals",
        ),
    )


handlers = [stations, station, new_station, add_station, edit_station, change_station, ask_status, move_station, tree, terminals]
