"""Drivers: listed, added, corrected, given a PIN, sent away, left and back again."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.fleet.model import DRIVER_MOVES, DriverStatus
from loyalty.fleet.operations.drivers import add_driver, change_driver, move_driver, set_driver_pin, unlock_driver_pin
from loyalty.fleet.queries.drivers import DriverFilter, DriverView, get_driver, list_drivers, phone_of
from loyalty.fleet.rules import DriverFacts
from loyalty.identity.portal_rules import FleetPermission
from loyalty.paging import Page as Found
from loyalty.web.desk import Page
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.labels import DRIVER
from loyalty.web.fleet.vehicles import room_filter, rooms_of
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field, select, word_filter
from loyalty.web.office.parts import Act, Cell, Facts, Field

PATH = "/fleet/drivers"
_EDIT = FleetPermission.EDIT_STRUCTURE
_UNLOCK = FleetPermission.UNLOCK_DRIVERS
_TO = {"away": DriverStatus.AWAY, "leave": DriverStatus.LEFT, "return": DriverStatus.ACTIVE}


@get(three("/drivers"))
async def drivers(fleet: NamedDependency[FleetDesk]) -> Any:
    """List the company's drivers, or a department's."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "number", ["text", "status", "department"])
    status = fleet.query.maybe("status", DriverStatus)
    rooms = fleet.rooms(fleet.query.maybe_uuid("department"))
    statuses = (DriverStatus.ACTIVE, DriverStatus.AWAY) if status is None else (status,)
    by = DriverFilter(text=listing.filters["text"], department_ids=rooms, statuses=statuses)

    async def fetch(cursor: str | None, limit: int) -> Found[DriverView]:
        return await list_drivers(fleet.session, company_id=fleet.company_id, by=by, sort=listing.sort, cursor=cursor, limit=limit)

    async def rows(found: Sequence[DriverView]) -> list[list[Cell]]:
        return [
            [
                cells.link(fleet, f"{PATH}/{one.driver_id}", one.number),
                cells.text(one.name),
                cells.text(one.department),
                cells.text(one.licence_class),
                cells.day(fleet, one.licence_until),
                cells.text(", ".join(f"•••• {card.number_tail}" for card in one.cards)),
                Cell(fleet.tag(_("set"), "good") if one.has_pin else fleet.tag(_("not set")), one.has_pin),
                cells.tag(fleet, one.status, DRIVER),
            ]
            for one in found
        ]

    edits = fleet.may(_EDIT)
    return await show(
        fleet,
        List(
            title=_("Drivers"),
            listing=listing,
            columns=[
                Column(_("Number"), sort="number"),
                Column(_("Name"), sort="name"),
                Column(_("Department")),
                Column(_("Licence")),
                Column(_("Good until")),
                Column(_("Card")),
                Column(_("PIN")),
                Column(_("Status"), sort="status"),
            ],
            fetch=fetch,
            rows=rows,
            filters=[
                field("text", _("Find"), value=listing.filters["text"], required=False, key="F1"),
                word_filter(fleet, "status", _("Status"), DRIVER, listing, blank=_("Not left")),
                await room_filter(fleet, listing),
            ],
            acts=[Act(_("Take in a list"), f"{PATH}/import"), Act(_("Add a driver"), f"{PATH}/new", primary=True)] if edits else [],
            empty=_("No driver here"),
            empty_then=_("Add one, or widen the filter.") if edits else "",
            name="drivers",
        ),
    )


async def _one(fleet: FleetDesk, driver_id: UUID) -> DriverView:
    """Return a driver whom the reader may see.

    :raises NotFound: if they are another company's, or another department's
    """
    one = await get_driver(fleet.session, company_id=fleet.company_id, driver_id=driver_id)
    fleet.within(one.department_id)
    return one


@get("/drivers/new")
async def new(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask for a new driver."""
    fleet.offer(_EDIT)
    _ = fleet.gettext
    return await fleet.ask(
        _("Add a driver"),
        await _fields(fleet, None, None),
        submit=_("Add"),
        back=PATH,
        columns=True,
        crumbs=[(_("Drivers"), PATH), (_("Add a driver"), "")],
    )


@post("/drivers/new", status_code=303)
async def make(fleet: NamedDependency[FleetDesk]) -> Page:
    """Add a driver."""
    fleet.require(_EDIT)
    driver_id = await add_driver(fleet.session, company_id=fleet.company_id, facts=_facts(fleet), actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{driver_id}", fleet.gettext("It is added"))


@get("/drivers/{driver_id:uuid}")
async def driver(fleet: NamedDependency[FleetDesk], driver_id: FromPath[UUID]) -> Page:
    """Show one driver."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    one = await _one(fleet, driver_id)
    base = f"{PATH}/{driver_id}"
    facts = Facts(
        title=_("The driver"),
        pairs=[
            (_("Number"), one.number),
            (_("Department"), one.department or "—"),
            (_("Phone"), f"•••• {one.phone_tail}" if one.phone_tail else "—"),
            (_("Licence"), one.licence_class or "—"),
            (_("Good until"), fleet.f.full_day(one.licence_until)),
            (_("PIN"), _("locked: three wrong tries") if one.pin_locked else _("set") if one.has_pin else _("not set")),
        ],
    )
    bound = Facts(
        title=_("Cards"),
        pairs=[(f"•••• {card.number_tail}", fleet.link(f"/fleet/cards/{card.card_id}", _("Show"))) for card in one.cards],
        note="" if one.cards else _("No card is bound to them."),
    )
    acts: list[Act | None] = [Act(_("Limits"), f"/fleet/limits/driver/{driver_id}")]
    if fleet.may(_EDIT):
        labels = {
            DriverStatus.AWAY: ("away", _("Away")),
            DriverStatus.LEFT: ("leave", _("Left")),
            DriverStatus.ACTIVE: ("return", _("Back at work")),
        }
        if one.status is not DriverStatus.LEFT:
            acts += [Act(_("Edit"), f"{base}/edit"), Act(_("Set the PIN"), f"{base}/pin")]
        if one.pin_locked:
            acts.append(Act(_("Unlock the PIN"), f"{base}/unlock"))
        for to in sorted(DRIVER_MOVES[one.status]):
            name, label = labels[to]
            acts.append(Act(label, f"{base}/{name}", danger=to is DriverStatus.LEFT))
    return await fleet.page(
        one.name,
        sub=one.number,
        crumbs=[(_("Drivers"), PATH), (one.name, "")],
        tags=[cells.tag(fleet, one.status, DRIVER).show],
        acts=acts,
        main=[facts],
        aside=[bound],
    )


@get("/drivers/{driver_id:uuid}/edit")
async def edit(fleet: NamedDependency[FleetDesk], driver_id: FromPath[UUID]) -> Page:
    """Ask how a driver's data shall be."""
    fleet.offer(_EDIT)
    _ = fleet.gettext
    one = await _one(fleet, driver_id)
    phone = await phone_of(fleet.session, company_id=fleet.company_id, driver_id=driver_id)
    crumbs = [(_("Drivers"), PATH), (one.name, f"{PATH}/{driver_id}")]
    return await fleet.ask(
        one.name, await _fields(fleet, one, phone), submit=_("Save"), back=f"{PATH}/{driver_id}", columns=True, crumbs=crumbs
    )


@post("/drivers/{driver_id:uuid}/edit", status_code=303)
async def save(fleet: NamedDependency[FleetDesk], driver_id: FromPath[UUID]) -> Page:
    """Write a driver's data anew."""
    fleet.require(_EDIT)
    await _one(fleet, driver_id)
    await change_driver(
        fleet.session, company_id=fleet.company_id, driver_id=driver_id, facts=_facts(fleet), actor=fleet.actor, now=fleet.now
    )
    return await fleet.done(f"{PATH}/{driver_id}", fleet.gettext("Saved"))


@get("/drivers/{driver_id:uuid}/pin")
async def ask_pin(fleet: NamedDependency[FleetDesk], driver_id: FromPath[UUID]) -> Page:
    """Ask for a PIN."""
    fleet.offer(_EDIT)
    _ = fleet.gettext
    one = await _one(fleet, driver_id)
    fields = [
        field("pin", _("PIN"), type="password", inputmode="numeric", autocomplete="new-password", autofocus=True),
        field("again", _("Once more"), type="password", inputmode="numeric", autocomplete="new-password"),
    ]
    crumbs = [(_("Drivers"), PATH), (one.name, f"{PATH}/{driver_id}")]
    return await fleet.ask(
        _("Set the PIN"),
        fields,
        submit=_("Set the PIN"),
        back=f"{PATH}/{driver_id}",
        crumbs=crumbs,
        note=_("The driver types it at the pump."),
    )


@post("/drivers/{driver_id:uuid}/pin", status_code=303)
async def set_pin(fleet: NamedDependency[FleetDesk], driver_id: FromPath[UUID]) -> Page:
    """Give a driver a new PIN."""
    fleet.require(_EDIT)
    _, form = fleet.gettext, fleet.form
    if (await _one(fleet, driver_id)).pin_locked:
        fleet.require(_UNLOCK)
    pin = form.secret("pin")
    if pin != form.secret("again"):
        form.fault("again", _("Once more"), _("differs"))
    form.check()
    await set_driver_pin(fleet.session, company_id=fleet.company_id, driver_id=driver_id, pin=pin, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{driver_id}", _("The PIN is set"))


@get("/drivers/{driver_id:uuid}/unlock")
async def ask_unlock(fleet: NamedDependency[FleetDesk], driver_id: FromPath[UUID]) -> Page:
    """Ask once before a driver may try their PIN again."""
    fleet.offer(_UNLOCK)
    _ = fleet.gettext
    one = await _one(fleet, driver_id)
    crumbs = [(_("Drivers"), PATH), (one.name, f"{PATH}/{driver_id}")]
    note = _("Three wrong tries locked it at every pump. Speak with the driver first; who forgot it needs a new one.")
    return await fleet.ask(
        f"{_('Unlock the PIN')}: {one.name}", [], submit=_("Unlock the PIN"), note=note, back=f"{PATH}/{driver_id}", crumbs=crumbs
    )


@post("/drivers/{driver_id:uuid}/unlock", status_code=303)
async def unlock(fleet: NamedDependency[FleetDesk], driver_id: FromPath[UUID]) -> Page:
    """Let a driver try their PIN again; it takes a second factor of the last minutes."""
    fleet.require(_UNLOCK)
    await _one(fleet, driver_id)
    await unlock_driver_pin(fleet.session, company_id=fleet.company_id, driver_id=driver_id, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{driver_id}", fleet.gettext("The PIN is unlocked"))


_ACTS = [f"/drivers/{{driver_id:uuid}}/{name}" for name in _TO]


@get(_ACTS)
async def ask_act(fleet: NamedDependency[FleetDesk], driver_id: FromPath[UUID]) -> Page:
    """Ask once."""
    fleet.offer(_EDIT)
    _ = fleet.gettext
    one = await _one(fleet, driver_id)
    title, note = {
        "away": (_("Away"), _("Sent away for long: the cards that are theirs alone are recalled.")),
        "leave": (_("Left"), _("Their PIN ends, and the cards that are theirs alone are recalled.")),
        "return": (_("Back at work"), _("They may drive and have cards again.")),
    }[fleet.act]
    crumbs = [(_("Drivers"), PATH), (one.name, f"{PATH}/{driver_id}")]
    fields = [field("reason", _("Reason"), required=False)]
    return await fleet.ask(
        f"{title}: {one.name}", fields, submit=title, danger=fleet.act == "leave", note=note, back=f"{PATH}/{driver_id}", crumbs=crumbs
    )


@post(_ACTS, status_code=303)
async def act(fleet: NamedDependency[FleetDesk], driver_id: FromPath[UUID]) -> Page:
    """Let a driver go away, leave or come back."""
    fleet.require(_EDIT)
    await _one(fleet, driver_id)
    await move_driver(
        fleet.session,
        company_id=fleet.company_id,
        driver_id=driver_id,
        to=_TO[fleet.act],
        actor=fleet.actor,
        reason=fleet.form.raw("reason")[:200],
        now=fleet.now,
    )
    return await fleet.done(f"{PATH}/{driver_id}", fleet.gettext("Done"))


async def _fields(fleet: FleetDesk, one: DriverView | None, phone: str | None) -> list[Field]:
    _ = fleet.gettext
    until = one.licence_until.isoformat() if one and one.licence_until else ""
    return [
        field(
            "number",
            _("Number"),
            value=one.number if one else "",
            autofocus=True,
            inputmode="numeric",
            help=_("1 to 12 digits; it can be typed at the pump."),
        ),
        field("name", _("Name"), value=one.name if one else ""),
        select(
            "department",
            _("Department"),
            await rooms_of(fleet),
            value=str(one.department_id or "") if one else "",
            blank=fleet.company.name,
            required=False,
        ),
        field("phone", _("Phone"), value=phone or "", required=False, inputmode="tel"),
        field("licence_class", _("Licence"), value=(one.licence_class or "") if one else "", required=False),
        field("licence_until", _("Good until"), value=until, type="date", required=False),
    ]


def _facts(fleet: FleetDesk) -> DriverFacts:
    _, form = fleet.gettext, fleet.form
    facts = DriverFacts(
        number=form.text("number", _("Number"), longest=12),
        name=form.text("name", _("Name"), longest=80),
        phone=form.text("phone", _("Phone"), required=False, longest=40) or None,
        licence_class=form.text("licence_class", _("Licence"), required=False, longest=20) or None,
        licence_until=form.day("licence_until", _("Good until"), required=False),
        department_id=form.uuid("department", _("Department"), required=False),
    )
    form.check()
    return facts


handlers = [drivers, new, make, driver, edit, save, ask_pin, set_pin, ask_unlock, unlock, ask_act, act]
