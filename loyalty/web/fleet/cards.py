"""Cards: the company's living ones, whose each is, and giving it to somebody else."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.cards.model import CardStatus
from loyalty.fleet.operations.bindings import bind_card, unbind_card
from loyalty.fleet.queries.drivers import DriverNotFound, find_driver
from loyalty.fleet.queries.vehicles import VehicleNotFound, find_vehicle
from loyalty.identity.portal_rules import FleetPermission
from loyalty.paging import Page as Found
from loyalty.web.desk import Page
from loyalty.web.fleet import queries
from loyalty.web.fleet.card_acts import acts_of, card_of
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.queries import CardLine
from loyalty.web.fleet.vehicles import rooms_of
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.labels import CARD_STATUS
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import check, field, select
from loyalty.web.office.parts import Act, Cell, Facts

PATH = "/fleet/cards"
_EDIT = FleetPermission.EDIT_STRUCTURE
_SHOWN = (CardStatus.ISSUED, CardStatus.ACTIVE, CardStatus.SUSPENDED, CardStatus.LOST)


@get(three("/cards"))
async def cards(fleet: NamedDependency[FleetDesk]) -> Any:
    """List the company's living cards, or a department's."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "", ["text", "status"])

    async def fetch(cursor: str | None, limit: int) -> Found[CardLine]:
        return await queries.list_company_cards(
            fleet.session,
            account_id=fleet.company.account_id,
            departments=fleet.departments,
            text=listing.filters["text"],
            status=fleet.query.maybe("status", CardStatus),
            cursor=cursor,
            limit=limit,
        )

    async def rows(found: Sequence[CardLine]) -> list[list[Cell]]:
        return [
            [
                cells.tail(fleet, f"{PATH}/{one.card_id}", one.bin, one.number_tail),
                cells.plate(fleet, one.plate),
                cells.text(one.driver),
                cells.text(one.department),
                cells.tag(fleet, one.status, CARD_STATUS),
            ]
            for one in found
        ]

    return await show(
        fleet,
        List(
            title=_("Cards"),
            listing=listing,
            columns=[Column(_("Card")), Column(_("Vehicle")), Column(_("Driver")), Column(_("Department")), Column(_("Status"))],
            fetch=fetch,
            rows=rows,
            filters=[
                field("text", _("Find"), value=listing.filters["text"], required=False, key="F1"),
                select(
                    "status",
                    _("Status"),
                    [(str(one.value), _(CARD_STATUS[one][0])) for one in _SHOWN],
                    value=listing.filters["status"],
                    blank=_("All"),
                    required=False,
                ),
            ],
            acts=[Act(_("Take in a list"), f"{PATH}/import")] if fleet.may(_EDIT) else [],
            empty=_("No card here"),
            empty_then=_("The chain's counter issues them on your company's account."),
            name="cards",
        ),
    )


@get("/cards/{card_id:uuid}")
async def card(fleet: NamedDependency[FleetDesk], card_id: FromPath[UUID]) -> Page:
    """Show one card."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    one = await card_of(fleet, card_id)
    facts = Facts(
        title=_("Whose it is"),
        pairs=[
            (_("Vehicle"), fleet.link(f"/fleet/vehicles/{one.vehicle_id}", one.plate) if one.vehicle_id else "—"),
            (_("Driver"), fleet.link(f"/fleet/drivers/{one.driver_id}", one.driver) if one.driver_id else "—"),
            (_("Department"), one.department or "—"),
        ],
    )
    acts: list[Act | None] = [Act(_("Limits"), f"/fleet/limits/card/{card_id}")]
    if fleet.may(_EDIT):
        acts.append(Act(_("Bind"), f"{PATH}/{card_id}/bind", primary=True))
        if one.vehicle_id or one.driver_id or one.department_id:
            acts.append(Act(_("Unbind"), f"{PATH}/{card_id}/unbind", danger=True))
    acts += acts_of(fleet, one)
    title = f"•••• {one.number_tail}"
    return await fleet.page(
        title, crumbs=[(_("Cards"), PATH), (title, "")], tags=[cells.tag(fleet, one.status, CARD_STATUS).show], acts=acts, main=[facts]
    )


@get("/cards/{card_id:uuid}/bind")
async def ask_bind(fleet: NamedDependency[FleetDesk], card_id: FromPath[UUID]) -> Page:
    """Ask whose a card shall be."""
    fleet.offer(_EDIT)
    _ = fleet.gettext
    one = await card_of(fleet, card_id)
    fields = [
        field("plate", _("Plate"), value=one.plate or "", required=False, autofocus=True),
        field("driver", _("Driver's number"), required=False, inputmode="numeric"),
        select(
            "department",
            _("Department"),
            await rooms_of(fleet),
            value=str(one.department_id or ""),
            blank=_("The vehicle's or the driver's"),
            required=False,
        ),
        check("another", _("The vehicle may have several cards")),
    ]
    note = _("From now on; what it was bound to ends. The limits of vehicle, driver and department apply at the next fill.")
    return await fleet.ask(_("Bind"), fields, submit=_("Bind"), back=f"{PATH}/{card_id}", note=note, crumbs=_crumbs(fleet, one))


@post("/cards/{card_id:uuid}/bind", status_code=303)
async def bind(fleet: NamedDependency[FleetDesk], card_id: FromPath[UUID]) -> Page:
    """Bind a card to a vehicle, a driver, a department."""
    fleet.require(_EDIT)
    _, form = fleet.gettext, fleet.form
    one = await card_of(fleet, card_id)
    vehicle_id = driver_id = None
    if plate := form.raw("plate"):
        vehicle = await find_vehicle(fleet.session, company_id=fleet.company_id, plate=plate)
        if vehicle is None:
            raise VehicleNotFound
        vehicle_id = vehicle.vehicle_id
    if number := form.raw("driver"):
        driver = await find_driver(fleet.session, company_id=fleet.company_id, number=number)
        if driver is None:
            raise DriverNotFound
        driver_id = driver.driver_id
    department_id = form.uuid("department", _("Department"), required=False)
    form.check()
    await bind_card(
        fleet.session,
        company_id=fleet.company_id,
        chain_id=one.chain_id,
        vehicle_id=vehicle_id,
        driver_id=driver_id,
        department_id=department_id,
        another=form.flag("another"),
        actor=fleet.actor,
        now=fleet.now,
    )
    stopped = one.status is CardStatus.SUSPENDED
    return await fleet.done(
        f"{PATH}/{card_id}", _("Bound. It is suspended: let it live again before it is used.") if stopped else _("Bound")
    )


@get("/cards/{card_id:uuid}/unbind")
async def ask_unbind(fleet: NamedDependency[FleetDesk], card_id: FromPath[UUID]) -> Page:
    """Ask once."""
    fleet.offer(_EDIT)
    _ = fleet.gettext
    one = await card_of(fleet, card_id)
    note = _("It stays the company's, under the company's own limits and its own.")
    return await fleet.ask(
        _("Unbind"), [], submit=_("Unbind"), danger=True, back=f"{PATH}/{card_id}", note=note, crumbs=_crumbs(fleet, one)
    )


@post("/cards/{card_id:uuid}/unbind", status_code=303)
async def unbind(fleet: NamedDependency[FleetDesk], card_id: FromPath[UUID]) -> Page:
    """End what a card is bound to."""
    fleet.require(_EDIT)
    one = await card_of(fleet, card_id)
    await unbind_card(fleet.session, company_id=fleet.company_id, chain_id=one.chain_id, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{card_id}", fleet.gettext("Done"))


def _crumbs(fleet: FleetDesk, one: CardLine) -> list[tuple[str, str]]:
    return [(fleet.gettext("Cards"), PATH), (f"•••• {one.number_tail}", f"{PATH}/{one.card_id}")]


handlers = [cards, card, ask_bind, bind, ask_unbind, unbind]
