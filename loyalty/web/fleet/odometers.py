"""A vehicle's odometer: the readings with what is doubtful about them, and a correction that leaves its trace."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.fleet.model_fills import READING_MOVES, Doubt, ReadingSource, ReadingStatus
from loyalty.fleet.operations.fills import ReadingNotFound, correct_reading
from loyalty.fleet.queries.odometers import ReadingView, find_reading, list_readings
from loyalty.fleet.queries.vehicles import VehicleView, get_vehicle
from loyalty.identity.portal_rules import FleetPermission
from loyalty.paging import Page as Found
from loyalty.web.desk import Page
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.labels import Toned
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import check, field
from loyalty.web.office.parts import Cell

_EDIT = FleetPermission.EDIT_STRUCTURE
STATUS: Final[Mapping[ReadingStatus, Toned]] = {
    ReadingStatus.HOLDS: (N_("Holds"), "good"),
    ReadingStatus.DOUBTFUL: (N_("Doubtful"), "warn"),
    ReadingStatus.REPLACED: (N_("Corrected"), ""),
}
SOURCE: Final[Mapping[ReadingSource, str]] = {
    ReadingSource.PUMP: N_("at the pump"),
    ReadingSource.PORTAL: N_("in the portal"),
    ReadingSource.CUSTODY: N_("at the custodian"),
    ReadingSource.CASH: N_("with a cash fill"),
}
DOUBT: Final[Mapping[Doubt, str]] = {
    Doubt.FALLS: N_("lower than before"),
    Doubt.TOO_FAR: N_("more than can be driven in the time"),
    Doubt.NOT_BY_FUEL: N_("does not fit the fuel since the reading before"),
}


async def _vehicle(fleet: FleetDesk, vehicle_id: UUID) -> VehicleView:
    one = await get_vehicle(fleet.session, company_id=fleet.company_id, vehicle_id=vehicle_id)
    fleet.within(one.department_id)
    return one


@get(three("/vehicles/{vehicle_id:uuid}/odometer"))
async def readings(fleet: NamedDependency[FleetDesk], vehicle_id: FromPath[UUID]) -> Any:
    """List a vehicle's readings, the latest first."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    vehicle = await _vehicle(fleet, vehicle_id)
    path = f"/fleet/vehicles/{vehicle_id}"

    async def fetch(cursor: str | None, limit: int) -> Found[ReadingView]:
        return await list_readings(fleet.session, company_id=fleet.company_id, vehicle_id=vehicle_id, cursor=cursor, limit=limit)

    async def rows(found: Sequence[ReadingView]) -> list[list[Cell]]:
        return [
            [
                cells.when(fleet, one.read_at),
                cells.count(fleet, one.km),
                cells.text(_(SOURCE[one.source])),
                cells.tag(fleet, one.status, STATUS),
                cells.text(" · ".join(part for part in (_(DOUBT[one.doubt]) if one.doubt else "", one.reason or "") if part) or "—"),
                cells.link(fleet, f"{path}/odometer/{one.reading_id}/correct", _("Correct"))
                if fleet.may(_EDIT) and ReadingStatus.REPLACED in READING_MOVES[one.status]
                else cells.text(""),
            ]
            for one in found
        ]

    columns = [Column(_("When")), Column(_("Kilometres"), "num"), Column(_("Said")), Column(_("Status")), Column(_("Why"))]
    return await show(
        fleet,
        List(
            title=_("Odometer"),
            sub=vehicle.plate,
            crumbs=[(_("Vehicles"), "/fleet/vehicles"), (vehicle.plate, path), (_("Odometer"), "")],
            listing=fleet.listing(f"{path}/odometer", "", []),
            columns=[*columns, Column("")],
            fetch=fetch,
            rows=rows,
            empty=_("No reading yet"),
            empty_then=_("It is said at the pump, or entered with the vehicle."),
            name="odometer",
        ),
    )


async def _reading(fleet: FleetDesk, vehicle_id: UUID, reading_id: UUID) -> tuple[VehicleView, ReadingView]:
    vehicle = await _vehicle(fleet, vehicle_id)
    found = await find_reading(fleet.session, company_id=fleet.company_id, vehicle_id=vehicle_id, reading_id=reading_id)
    if found is None:
        raise ReadingNotFound(reading=reading_id)
    return vehicle, found


@get("/vehicles/{vehicle_id:uuid}/odometer/{reading_id:uuid}/correct")
async def ask_correction(fleet: NamedDependency[FleetDesk], vehicle_id: FromPath[UUID], reading_id: FromPath[UUID]) -> Page:
    """Ask what it really showed."""
    fleet.offer(_EDIT)
    _ = fleet.gettext
    vehicle, one = await _reading(fleet, vehicle_id, reading_id)
    base = f"/fleet/vehicles/{vehicle_id}"
    fields = [
        field("km", _("Kilometres"), value=one.km, num=True, autofocus=True, inputmode="numeric"),
        field("reason", _("Reason")),
        check("meant", _("It holds although it looks odd"), note=_("For instance after a new instrument cluster.")),
    ]
    return await fleet.ask(
        _("Correct a reading"),
        fields,
        submit=_("Correct"),
        sub=f"{vehicle.plate} · {fleet.f.when(one.read_at)}",
        note=_("The wrong reading stays, marked as corrected, with your name."),
        back=f"{base}/odometer",
        crumbs=[(vehicle.plate, base), (_("Odometer"), f"{base}/odometer"), (_("Correct"), "")],
    )


@post("/vehicles/{vehicle_id:uuid}/odometer/{reading_id:uuid}/correct", status_code=303)
async def correct(fleet: NamedDependency[FleetDesk], vehicle_id: FromPath[UUID], reading_id: FromPath[UUID]) -> Page:
    """Put the right reading in the wrong one's place."""
    fleet.require(_EDIT)
    _ = fleet.gettext
    await _reading(fleet, vehicle_id, reading_id)
    km = fleet.form.whole("km", _("Kilometres"), low=0, high=10_000_000)
    reason = fleet.form.text("reason", _("Reason"), longest=200)
    fleet.form.check()
    assert km is not None, "the form is sound"
    await correct_reading(
        fleet.session,
        company_id=fleet.company_id,
        reading_id=reading_id,
        km=km,
        reason=reason,
        meant=fleet.form.raw("meant") == "1",
        actor=fleet.actor,
        now=fleet.now,
    )
    return await fleet.done(f"/fleet/vehicles/{vehicle_id}/odometer", _("Corrected"))


handlers = [readings, ask_correction, correct]
