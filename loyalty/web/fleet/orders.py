"""Orders: listed, made one by one or from lines of text, and cancelled. The pump names their number."""

import csv
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.fleet.queries.vehicles import find_vehicle, plates_of
from loyalty.identity.portal_rules import FleetPermission
from loyalty.limits.model import ORDER_MOVES, OrderStatus
from loyalty.limits.operations import NewOrder, add_orders, cancel_order
from loyalty.limits.queries_orders import OrderView, get_order, list_orders
from loyalty.paging import Page as Found
from loyalty.web.desk import Page
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import area, check, field, local_input, places, products_by_code, select, word_filter
from loyalty.web.office.parts import Act, Cell, Facts
from loyalty.web.office.reading import scaled_number

PATH: Final = "/fleet/orders"
_MAY = FleetPermission.EDIT_LIMITS
ORDER: Final[Mapping[OrderStatus, tuple[str, str]]] = {
    OrderStatus.OPEN: (N_("Open order"), "info"),
    OrderStatus.USED: (N_("Fuelled"), "good"),
    OrderStatus.EXPIRED: (N_("Expired"), ""),
    OrderStatus.CANCELLED: (N_("Cancelled"), ""),
}
_LINES_MOST: Final = 500


@get(three("/orders"))
async def orders(fleet: NamedDependency[FleetDesk]) -> Any:
    """List the company's orders, the latest first."""
    fleet.require(_MAY)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "", ["text", "status"])
    status = fleet.query.maybe("status", OrderStatus)
    stations, fuels = (await places(fleet)).names, await products_by_code(fleet)

    async def fetch(cursor: str | None, limit: int) -> Found[OrderView]:
        return await list_orders(
            fleet.session, company_id=fleet.company_id, status=status, text=listing.filters["text"], cursor=cursor, limit=limit
        )

    async def rows(found: Sequence[OrderView]) -> list[list[Cell]]:
        plates = await plates_of(fleet.session, company_id=fleet.company_id, vehicle_ids=[one.row.vehicle_id for one in found])
        return [
            [
                cells.link(fleet, f"{PATH}/{one.row.order_id}", one.row.number),
                cells.text(_size(fleet, one)),
                cells.text(_used(fleet, one)),
                cells.text(fuels.get(one.row.product_code or "")),
                cells.text(cells.named(plates, one.row.vehicle_id)),
                cells.text(cells.named(stations, one.row.station_id)),
                cells.when(fleet, one.row.valid_until),
                cells.tag(fleet, one.row.status, ORDER),
            ]
            for one in found
        ]

    return await show(
        fleet,
        List(
            title=_("Fuel orders"),
            listing=listing,
            columns=[
                Column(_("Number")),
                Column(_("At most")),
                Column(_("Fuelled so far")),
                Column(_("Fuel")),
                Column(_("Vehicle")),
                Column(_("Station")),
                Column(_("Until")),
                Column(_("Status")),
            ],
            fetch=fetch,
            rows=rows,
            filters=[
                field("text", _("Find"), value=listing.filters["text"], required=False, key="F1"),
                word_filter(fleet, "status", _("Status"), ORDER, listing),
            ],
            acts=[Act(_("Take in lines"), f"{PATH}/lines"), Act(_("Make an order"), f"{PATH}/new", primary=True)],
            empty=_("No order here"),
            empty_then=_("An order is fuelled once: the driver names its number with the card."),
            name="orders",
        ),
    )


def _size(fleet: FleetDesk, one: OrderView) -> str:
    if one.row.quantity_milli is not None:
        return str(fleet.f.quantity(one.row.quantity_milli))
    return str(fleet.f.money(one.row.amount_minor or 0, fleet.company.currency))


def _used(fleet: FleetDesk, one: OrderView) -> str:
    if not one.fills:
        return ""
    if one.row.quantity_milli is not None:
        return str(fleet.f.quantity(one.used_milli))
    return str(fleet.f.money(one.used_minor, fleet.company.currency))


@get("/orders/new")
async def new(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask for an order."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    fuels = list((await products_by_code(fleet)).items())
    fields = [
        field("number", _("Number"), autofocus=True, help=_("Letters, digits and . _ / -; it is typed at the pump.")),
        field("quantity", _("Litres"), num=True, required=False, after="L", help=_("Litres or an amount, one of both.")),
        field("amount", _("Amount"), num=True, required=False, before=fleet.f.sign_of(fleet.company.currency)),
        select("product", _("Fuel"), fuels, blank=_("Any"), required=False),
        select("station", _("Station"), (await places(fleet)).options(), blank=_("Any"), required=False),
        field("plate", _("Plate"), required=False, help=_("Empty: any vehicle of the company.")),
        field("valid_from", _("From"), type="datetime-local", value=local_input(fleet, fleet.now)),
        field("valid_until", _("Until"), type="datetime-local", value=local_input(fleet, fleet.now + timedelta(days=7))),
        check("keeps_rest", _("What the first fill leaves may be taken later")),
        field("note", _("Note"), required=False),
    ]
    crumbs = [(_("Fuel orders"), PATH), (_("Make an order"), "")]
    return await fleet.ask(_("Make an order"), fields, submit=_("Make an order"), back=PATH, columns=True, crumbs=crumbs)


@post("/orders/new", status_code=303)
async def make(fleet: NamedDependency[FleetDesk]) -> Page:
    """Make an order."""
    fleet.require(_MAY)
    _, form = fleet.gettext, fleet.form
    quantity = form.quantity("quantity", _("Litres"), required=False)
    amount = form.money("amount", _("Amount"), fleet.company.currency, required=False)
    if (quantity is None) is (amount is None):
        form.fault("quantity", _("Litres"), _("litres or an amount, one of both"))
    begins, ends = form.instant("valid_from", _("From")), form.instant("valid_until", _("Until"))
    number = form.text("number", _("Number"), longest=32)
    vehicle = await _vehicle(fleet, "plate", form.text("plate", _("Plate"), required=False, longest=20))
    station = form.uuid("station", _("Station"), required=False)
    form.check()
    assert begins is not None, "the form has both times"
    assert ends is not None, "the form has both times"
    product = form.raw("product") or None
    order = NewOrder(
        number, begins, ends, amount, quantity, product, station, None, vehicle, form.flag("keeps_rest"), form.raw("note")[:200] or None
    )
    (order_id,) = await add_orders(
        fleet.session,
        company_id=fleet.company_id,
        account_id=fleet.company.account_id,
        orders=[order],
        actor=fleet.actor,
        now=fleet.now,
    )
    return await fleet.done(f"{PATH}/{order_id}", _("The order is made"))


async def _vehicle(fleet: FleetDesk, name: str, plate: str) -> UUID | None:
    if not plate:
        return None
    found = await find_vehicle(fleet.session, company_id=fleet.company_id, plate=plate)
    if found is None:
        fleet.form.fault(name, fleet.gettext("Plate"), fleet.gettext("no vehicle has the plate %(plate)s", plate=plate))
        return None
    return found.vehicle_id


@get("/orders/lines")
async def ask_lines(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask for orders as lines of text, as a spreadsheet or another system gives them."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    fields = [
        area("lines", _("One order a line"), help=_("Number, litres, fuel's code, plate; parted by commas. Fuel and plate may be empty.")),
        field("valid_until", _("Until"), type="datetime-local", value=local_input(fleet, fleet.now + timedelta(days=7))),
    ]
    crumbs = [(_("Fuel orders"), PATH), (_("Take in lines"), "")]
    return await fleet.ask(_("Take in lines"), fields, submit=_("Take in"), back=PATH, crumbs=crumbs)


@post("/orders/lines", status_code=303)
async def take_lines(fleet: NamedDependency[FleetDesk]) -> Page:
    """Make the orders of all lines, or none."""
    fleet.require(_MAY)
    _, form = fleet.gettext, fleet.form
    ends = form.instant("valid_until", _("Until"))
    known = await products_by_code(fleet)
    made: list[NewOrder] = []
    lines = [row for row in csv.reader(form.long("lines").replace("，", ",").splitlines()) if any(cell.strip() for cell in row)]
    if not lines or len(lines) > _LINES_MOST:
        form.fault("lines", _("One order a line"), _("1 to %(most)s lines", most=_LINES_MOST))
        lines = []
    for place, row in enumerate(lines, 1):
        number, litres, code, plate = [*(cell.strip() for cell in row), "", "", "", ""][:4]
        quantity = scaled_number(litres, 3)
        if not number or not quantity or code not in {"", *known}:
            form.fault("lines", _("One order a line"), _("line %(place)s is not understood", place=place))
            continue
        vehicle = await _vehicle(fleet, "lines", plate)
        made.append(NewOrder(number, fleet.now, ends or fleet.now, None, quantity, code or None, None, None, vehicle))
    form.check()
    await add_orders(
        fleet.session, company_id=fleet.company_id, account_id=fleet.company.account_id, orders=made, actor=fleet.actor, now=fleet.now
    )
    return await fleet.done(PATH, fleet.words.ngettext("%(num)s order is made", "%(num)s orders are made", len(made)))


@get("/orders/{order_id:uuid}")
async def order(fleet: NamedDependency[FleetDesk], order_id: FromPath[UUID]) -> Page:
    """Show one order and what was taken on it."""
    fleet.require(_MAY)
    _ = fleet.gettext
    one = await get_order(fleet.session, company_id=fleet.company_id, order_id=order_id)
    row = one.row
    plates = await plates_of(fleet.session, company_id=fleet.company_id, vehicle_ids=[row.vehicle_id])
    facts = Facts(
        title=_("The order"),
        pairs=[
            (_("At most"), _size(fleet, one)),
            (_("Fuelled so far"), _used(fleet, one) or "—"),
            (_("The rest"), _("may be taken later") if row.keeps_rest else _("ends with the first fill")),
            (_("Fuel"), (await products_by_code(fleet)).get(row.product_code or "", _("Any"))),
            (_("Station"), cells.named((await places(fleet)).names, row.station_id) or _("Any")),
            (_("Vehicle"), cells.named(plates, row.vehicle_id) or _("Any")),
            (_("From"), cells.when(fleet, row.valid_from).show),
            (_("Until"), cells.when(fleet, row.valid_until).show),
            (_("Note"), row.note or "—"),
        ],
    )
    acts = (
        [Act(_("Cancel the order"), f"{PATH}/{order_id}/cancel", danger=True)] if ORDER_MOVES[row.status] & {OrderStatus.CANCELLED} else []
    )
    crumbs = [(_("Fuel orders"), PATH), (row.number, "")]
    return await fleet.page(row.number, crumbs=crumbs, tags=[cells.tag(fleet, row.status, ORDER).show], acts=acts, main=[facts])


@get("/orders/{order_id:uuid}/cancel")
async def ask_cancel(fleet: NamedDependency[FleetDesk], order_id: FromPath[UUID]) -> Page:
    """Ask once before an order is cancelled."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    one = await get_order(fleet.session, company_id=fleet.company_id, order_id=order_id)
    crumbs = [(_("Fuel orders"), PATH), (one.row.number, f"{PATH}/{order_id}"), (_("Cancel the order"), "")]
    note = _("Nothing more is sold on it. A fill that has begun ends as it would.")
    fields = [field("reason", _("Reason"), required=False)]
    return await fleet.ask(
        f"{_('Cancel the order')}: {one.row.number}",
        fields,
        submit=_("Cancel the order"),
        danger=True,
        note=note,
        back=f"{PATH}/{order_id}",
        crumbs=crumbs,
    )


@post("/orders/{order_id:uuid}/cancel", status_code=303)
async def cancel(fleet: NamedDependency[FleetDesk], order_id: FromPath[UUID]) -> Page:
    """Cancel an order."""
    fleet.require(_MAY)
    reason = fleet.form.raw("reason")[:200]
    await cancel_order(fleet.session, company_id=fleet.company_id, order_id=order_id, reason=reason, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{order_id}", fleet.gettext("The order is cancelled"))


handlers = [orders, new, make, ask_lines, take_lines, order, ask_cancel, cancel]
