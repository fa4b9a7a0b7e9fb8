"""Filing a cash fill: recorded with its receipt from the phone's camera, or asked for beforehand and its receipt handed in later."""

from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.fleet.model_cash import CashReason, CashStatus
from loyalty.fleet.operations.cash import Receipt, Taken, add_receipt, file_cash_fill
from loyalty.fleet.operations.vehicles import fuels
from loyalty.fleet.queries.cash import CashView
from loyalty.fleet.queries.drivers import find_driver
from loyalty.fleet.queries.vehicles import find_vehicle
from loyalty.identity.portal_rules import FleetPermission
from loyalty.media import Media
from loyalty.stations.queries import snapshot_products
from loyalty.web.desk import Page
from loyalty.web.fleet.cash import PATH, one_of
from loyalty.web.fleet.cash_words import REASON
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.office.lookups import area, chips, field, file, local_input, places, product_name, select
from loyalty.web.office.parts import Field

_MAY = FleetPermission.FILE_CASH
_ACCEPT: Final = ",".join(Media)
"""Kinds by name, not `image/*`: a phone then sends its own format as one of these."""


@get(["/cash/new", "/cash/ask"])
async def ask_new(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask what was bought, and for its receipt; or what has to be bought."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    before = fleet.act == "ask"
    title = _("Ask for a cash fill") if before else _("Record a cash fill")
    whose = [
        field("plate", _("Plate"), value=fleet.query.raw("plate"), autofocus=True),
        field("driver", _("Driver's number"), inputmode="numeric"),
        chips("reason", _("Why not by card?"), [(one.value, _(said)) for one, said in REASON.items()], value=CashReason.NO_CARD_SERVICE),
    ]
    fields = [*whose, *await _taken_fields(fleet, None, before=before), area("comment", _("What happened"), required=False)]
    if before:
        note = _("Somebody else approves it before the fill; hand the receipt in afterwards. Only then does it count.")
    else:
        fields += _receipt_fields(fleet)
        note = _("Somebody else approves it; then its litres and kilometres count.")
    return await fleet.ask(
        title,
        fields,
        submit=_("Send"),
        note=note,
        back=PATH,
        upload=not before,
        columns=True,
        crumbs=[(_("Cash fills"), PATH), (title, "")],
    )


@post(["/cash/new", "/cash/ask"], status_code=303)
async def send_new(fleet: NamedDependency[FleetDesk]) -> Page:
    """File a cash fill."""
    fleet.require(_MAY)
    _ = fleet.gettext
    before = fleet.act == "ask"
    vehicle_id, driver_id = await _whose(fleet)
    reason = fleet.form.choice("reason", _("Why not by card?"), CashReason, CashReason.OTHER)
    comment = fleet.form.text("comment", _("What happened"), required=False, longest=1000)
    taken = await _taken(fleet, before=before)
    receipt = None if before else await _receipt(fleet)
    fleet.form.check()
    assert vehicle_id is not None, "the form is sound"
    assert driver_id is not None, "the form is sound"
    made = await file_cash_fill(
        fleet.session,
        company_id=fleet.company_id,
        vehicle_id=vehicle_id,
        driver_id=driver_id,
        taken=taken,
        reason=reason,
        comment=comment,
        receipt=receipt,
        actor=fleet.actor,
        now=fleet.now,
    )
    return await fleet.done(f"{PATH}/{made}", _("Sent for approval"))


@get("/cash/{cash_id:uuid}/receipt/add")
async def ask_receipt(fleet: NamedDependency[FleetDesk], cash_id: FromPath[UUID]) -> Page:
    """Ask for the receipt, and for what was really bought."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    one = await one_of(fleet, cash_id)
    note = _("Litres and amount up to what was approved keep the approval; more of either, or another plate, is looked at again.")
    back = f"{PATH}/{cash_id}"
    return await fleet.ask(
        _("Hand in the receipt"),
        [*await _taken_fields(fleet, one, before=False), *_receipt_fields(fleet)],
        submit=_("Hand in"),
        note=note,
        back=back,
        upload=True,
        columns=True,
        crumbs=[(_("Cash fills"), PATH), (one.plate, back), (_("Hand in the receipt"), "")],
    )


@post("/cash/{cash_id:uuid}/receipt/add", status_code=303)
async def send_receipt(fleet: NamedDependency[FleetDesk], cash_id: FromPath[UUID]) -> Page:
    """Hand a receipt in."""
    fleet.require(_MAY)
    _ = fleet.gettext
    await one_of(fleet, cash_id)
    taken = await _taken(fleet, before=False)
    receipt = await _receipt(fleet)
    fleet.form.check()
    known = {"company_id": fleet.company_id, "cash_fill_id": cash_id}
    status = await add_receipt(fleet.session, **known, taken=taken, receipt=receipt, actor=fleet.actor, now=fleet.now)
    said = _("Handed in; it counts from now on") if status is CashStatus.APPROVED else _("Handed in; somebody else approves it")
    return await fleet.done(f"{PATH}/{cash_id}", said)


async def _taken_fields(fleet: FleetDesk, one: CashView | None, *, before: bool) -> list[Field]:
    """Return the fields of what was bought, filled with what was asked for."""
    _, currency = fleet.gettext, fleet.company.currency
    sold = await fuels(fleet.session)
    products = [
        (str(product.product_id), product_name(fleet, product.code, product.name_zh, product.name_en))
        for product in await snapshot_products(fleet.session)
        if product.code in sold
    ]
    stations = (await places(fleet)).options()
    fields = [
        field("when", _("When"), type="datetime-local", value=local_input(fleet, one.event_at if one else fleet.now)),
        select(
            "station",
            _("Station"),
            stations,
            value=str(one.station_id or "") if one else "",
            blank=_("Elsewhere (next field)"),
            required=False,
        ),
        field("place", _("Station of another chain"), value=(one.place or "") if one else "", required=False),
        select("product", _("Fuel"), products, value=str(one.product_id or "") if one else "", blank=_("Not known"), required=False),
        field("quantity", _("Litres"), num=True, value=f"{one.quantity_milli / 1000:g}" if one else "", after="L"),
        field(
            "amount",
            _("Amount"),
            num=True,
            value=fleet.f.amount(one.amount_minor, currency) if one else "",
            before=fleet.f.sign_of(currency),
        ),
    ]
    if not before:
        fields.append(field("odometer", _("Kilometres"), num=True, inputmode="numeric", after="km"))
    return fields


def _receipt_fields(fleet: FleetDesk) -> list[Field]:
    _ = fleet.gettext
    return [
        field("plate_read", _("Plate on the receipt"), help=_("As it stands there; whoever approves is told if it is another one.")),
        file(
            "receipt",
            _("Fuel receipt"),
            accept=_ACCEPT,
            capture="environment",
            help=_("A photo or a PDF of at most 5 MB, with date, litres, amount and plate to be read on it."),
        ),
    ]


async def _whose(fleet: FleetDesk) -> tuple[UUID | None, UUID | None]:
    """Read vehicle and driver; another department's are unknown to its neighbour's head."""
    _, form = fleet.gettext, fleet.form
    plate = form.text("plate", _("Plate"), longest=40)
    number = form.text("driver", _("Driver's number"), longest=40)
    vehicle = await find_vehicle(fleet.session, company_id=fleet.company_id, plate=plate) if plate else None
    driver = await find_driver(fleet.session, company_id=fleet.company_id, number=number) if number else None
    if plate and (vehicle is None or not fleet.reaches(vehicle.department_id)):
        form.fault("plate", _("Plate"), _("is no vehicle of yours"))
    if number and (driver is None or not fleet.reaches(driver.department_id)):
        form.fault("driver", _("Driver's number"), _("is no driver of yours"))
    return vehicle.vehicle_id if vehicle else None, driver.driver_id if driver else None


async def _taken(fleet: FleetDesk, *, before: bool) -> Taken:
    """Read what was bought; what is wrong stands in the form's faults."""
    _, form = fleet.gettext, fleet.form
    when = form.instant("when", _("When"))
    station_id = form.uuid("station", _("Station"), required=False)
    place = form.text("place", _("Station of another chain"), required=False, longest=200)
    if station_id is None and not place:
        form.fault("place", _("Station of another chain"), _("is needed"))
    if station_id is not None and station_id not in (await places(fleet)).stations:
        form.fault("station", _("Station"), _("is not one of the choices"))
    product_id = form.uuid("product", _("Fuel"), required=False)
    if product_id is not None and product_id not in {one.product_id for one in await snapshot_products(fleet.session)}:
        form.fault("product", _("Fuel"), _("is not one of the choices"))
    quantity = form.quantity("quantity", _("Litres"))
    amount = form.money("amount", _("Amount"), fleet.company.currency)
    odometer = None if before else form.whole("odometer", _("Kilometres"), high=10_000_000)
    where = None if station_id is not None else place
    return Taken(when or fleet.now, station_id, where, product_id, quantity or 0, amount or 0, odometer)


async def _receipt(fleet: FleetDesk) -> Receipt:
    _ = fleet.gettext
    plate = fleet.form.text("plate_read", _("Plate on the receipt"), longest=40)
    _name, content = await fleet.form.file("receipt", _("Fuel receipt"), kinds=tuple(Media))
    return Receipt(content, plate)


handlers = [ask_new, send_new, ask_receipt, send_receipt]
