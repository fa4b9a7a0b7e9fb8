"""The acts on a loan: asking for a card, approving, refusing, handing out, taking back, withdrawing; made for a phone at the cupboard."""

from datetime import datetime, time, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty import clock
from loyalty.fleet.model_custody import LoanStatus
from loyalty.fleet.operations.loans import CardNotKept, Trip, approve_loan, ask_loan, hand_out, refuse_loan, take_back, withdraw_loan
from loyalty.fleet.queries.custody import LoanView, get_loan
from loyalty.fleet.queries.drivers import DriverNotFound, find_driver, get_driver
from loyalty.fleet.queries.vehicles import VehicleNotFound, find_vehicle, get_vehicle
from loyalty.identity.portal_rules import FleetPermission
from loyalty.web.desk import Page
from loyalty.web.fleet.card_acts import card_of
from loyalty.web.fleet.cards import LOANS as PATH
from loyalty.web.fleet.cards import PATH as CARDS
from loyalty.web.fleet.cards import crumbs_of
from loyalty.web.fleet.custody import loan_of, may_approve
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.office.lookups import area, field, local_input
from loyalty.web.office.parts import Field

_LEND = FleetPermission.LEND_CARDS
_BORROW = FleetPermission.BORROW_CARDS
_BACK_AT: Final = time(18)
"""When a card that nobody said more about is expected: the next evening."""


@get("/cards/{card_id:uuid}/borrow")
async def ask_borrow(fleet: NamedDependency[FleetDesk], card_id: FromPath[UUID]) -> Page:
    """Ask who takes a card, where to, why, and until when."""
    fleet.offer(_BORROW)
    _ = fleet.gettext
    one = await card_of(fleet, card_id)
    number = ""
    if one.driver_id is not None:
        number = (await get_driver(fleet.session, company_id=fleet.company_id, driver_id=one.driver_id)).number
    tomorrow = clock.local_date(fleet.now, fleet.zone) + timedelta(days=1)
    back = datetime.combine(tomorrow, _BACK_AT, ZoneInfo(fleet.zone))
    fields = [field("driver", _("Driver's number"), value=number, inputmode="numeric", autofocus=not number)]
    if one.vehicle_id is None:
        fields.append(field("plate", _("Plate"), required=False, help=_("Its odometer is read when the card goes and comes.")))
    fields += [
        field("destination", _("Where to"), autofocus=bool(number)),
        area("purpose", _("Why")),
        field("begins", _("From"), type="datetime-local", value=local_input(fleet, fleet.now)),
        field("due", _("Due back"), type="datetime-local", value=local_input(fleet, back)),
    ]
    at_once = one.keeper_id == fleet.principal.user_id and fleet.company.custodian_lends
    note = _("You keep this card: you hand it out next.") if at_once else _("The custodian, or another who may lend, approves it.")
    return await fleet.ask(
        _("Borrow the card"),
        fields,
        submit=_("Go on") if at_once else _("Ask for it"),
        note=note,
        back=f"{CARDS}/{card_id}",
        crumbs=[*crumbs_of(fleet, one), (_("Borrow the card"), "")],
    )


@post("/cards/{card_id:uuid}/borrow", status_code=303)
async def borrow(fleet: NamedDependency[FleetDesk], card_id: FromPath[UUID]) -> Page:
    """Ask for a card; who keeps it is led on to hand it out."""
    fleet.require(_BORROW)
    _, form = fleet.gettext, fleet.form
    one = await card_of(fleet, card_id)
    if one.keeper_id is None:
        raise CardNotKept
    number = form.text("driver", _("Driver's number"), longest=12)
    plate = form.text("plate", _("Plate"), required=False, longest=20)
    destination = form.text("destination", _("Where to"), longest=200)
    purpose = form.text("purpose", _("Why"), longest=400)
    begins, due = form.instant("begins", _("From")), form.instant("due", _("Due back"))
    form.check()
    assert begins is not None, "the form is sound"
    assert due is not None, "the form is sound"
    driver = await find_driver(fleet.session, company_id=fleet.company_id, number=number)
    if driver is None:
        raise DriverNotFound
    fleet.within(driver.department_id)
    trip = Trip(driver.driver_id, destination, purpose, begins, due, await _vehicle(fleet, plate))
    loan_id = await ask_loan(fleet.session, company_id=fleet.company_id, chain_id=one.chain_id, trip=trip, actor=fleet.actor, now=fleet.now)
    made = await get_loan(fleet.session, company_id=fleet.company_id, loan_id=loan_id)
    if fleet.may(_LEND) and one.loan_id is None and await may_approve(fleet, made):
        return await fleet.done(f"{PATH}/{loan_id}/lend")
    return await fleet.done(f"{PATH}/{loan_id}", _("The card is asked for"))


async def _vehicle(fleet: FleetDesk, plate: str) -> UUID | None:
    if not plate:
        return None
    found = await find_vehicle(fleet.session, company_id=fleet.company_id, plate=plate)
    if found is None:
        raise VehicleNotFound
    fleet.within(found.department_id)
    return found.vehicle_id


@get("/custody/{loan_id:uuid}/approve")
async def ask_approve(fleet: NamedDependency[FleetDesk], loan_id: FromPath[UUID]) -> Page:
    """Ask once."""
    fleet.offer(_LEND)
    _ = fleet.gettext
    one = await loan_of(fleet, loan_id)
    note = _("The card is promised to this trip; nobody else gets it until it is back.")
    return await fleet.ask(
        _("Approve the loan?"), [], submit=_("Approve"), note=note, sub=_said(fleet, one), **_around(fleet, one, _("Approve"))
    )


@post("/custody/{loan_id:uuid}/approve", status_code=303)
async def approve(fleet: NamedDependency[FleetDesk], loan_id: FromPath[UUID]) -> Page:
    """Promise the card."""
    fleet.require(_LEND)
    await loan_of(fleet, loan_id)
    await approve_loan(fleet.session, company_id=fleet.company_id, loan_id=loan_id, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{loan_id}", fleet.gettext("Approved"))


@get("/custody/{loan_id:uuid}/refuse")
async def ask_refuse(fleet: NamedDependency[FleetDesk], loan_id: FromPath[UUID]) -> Page:
    """Ask why not."""
    fleet.offer(_LEND)
    _ = fleet.gettext
    one = await loan_of(fleet, loan_id)
    fields = [field("reason", _("Reason"), autofocus=True)]
    return await fleet.ask(
        _("Refuse the loan?"), fields, submit=_("Refuse"), danger=True, sub=_said(fleet, one), **_around(fleet, one, _("Refuse"))
    )


@post("/custody/{loan_id:uuid}/refuse", status_code=303)
async def refuse(fleet: NamedDependency[FleetDesk], loan_id: FromPath[UUID]) -> Page:
    """Refuse the card."""
    fleet.require(_LEND)
    await loan_of(fleet, loan_id)
    reason = fleet.form.text("reason", fleet.gettext("Reason"), longest=200)
    fleet.form.check()
    await refuse_loan(fleet.session, company_id=fleet.company_id, loan_id=loan_id, reason=reason, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{loan_id}", fleet.gettext("Refused"))


@get("/custody/{loan_id:uuid}/lend")
async def ask_lend(fleet: NamedDependency[FleetDesk], loan_id: FromPath[UUID]) -> Page:
    """Ask what the odometer shows while the card is handed out."""
    fleet.offer(_LEND)
    _ = fleet.gettext
    one = await loan_of(fleet, loan_id)
    fields = await _odometer(fleet, one)
    fields.append(field("due", _("Due back"), type="datetime-local", value=local_input(fleet, one.due_at)))
    note = _("This approves the loan, too.") if one.status is LoanStatus.REQUESTED else ""
    around = _around(fleet, one, _("Lend"))
    return await fleet.ask(_("Lend the card"), fields, submit=_("Lend"), note=note, sub=_said(fleet, one), **around)


@post("/custody/{loan_id:uuid}/lend", status_code=303)
async def lend(fleet: NamedDependency[FleetDesk], loan_id: FromPath[UUID]) -> Page:
    """Hand the card out."""
    fleet.require(_LEND)
    _ = fleet.gettext
    one = await loan_of(fleet, loan_id)
    km = _km(fleet, one)
    due = fleet.form.instant("due", _("Due back"))
    fleet.form.check()
    await hand_out(fleet.session, company_id=fleet.company_id, loan_id=loan_id, km=km, due_at=due, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{loan_id}", _("Lent"))


@get("/custody/{loan_id:uuid}/return")
async def ask_return(fleet: NamedDependency[FleetDesk], loan_id: FromPath[UUID]) -> Page:
    """Ask what the odometer shows while the card comes back."""
    fleet.offer(_LEND)
    _ = fleet.gettext
    one = await loan_of(fleet, loan_id)
    fields = [*await _odometer(fleet, one), field("note", _("Note"), required=False, help=_("Anything about the card or the trip."))]
    around = _around(fleet, one, _("Take the card back"))
    return await fleet.ask(_("Take the card back"), fields, submit=_("Take the card back"), sub=_said(fleet, one), **around)


@post("/custody/{loan_id:uuid}/return", status_code=303)
async def bring_back(fleet: NamedDependency[FleetDesk], loan_id: FromPath[UUID]) -> Page:
    """Take the card back."""
    fleet.require(_LEND)
    _ = fleet.gettext
    one = await loan_of(fleet, loan_id)
    km = _km(fleet, one)
    note = fleet.form.text("note", _("Note"), required=False, longest=400)
    fleet.form.check()
    await take_back(fleet.session, company_id=fleet.company_id, loan_id=loan_id, km=km, note=note, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{loan_id}", _("The card is back"))


@get("/custody/{loan_id:uuid}/withdraw")
async def ask_withdraw(fleet: NamedDependency[FleetDesk], loan_id: FromPath[UUID]) -> Page:
    """Ask once."""
    fleet.offer(_BORROW)
    _ = fleet.gettext
    one = await loan_of(fleet, loan_id)
    around = _around(fleet, one, _("Withdraw"))
    return await fleet.ask(_("Withdraw the loan?"), [], submit=_("Withdraw"), danger=True, sub=_said(fleet, one), **around)


@post("/custody/{loan_id:uuid}/withdraw", status_code=303)
async def withdraw(fleet: NamedDependency[FleetDesk], loan_id: FromPath[UUID]) -> Page:
    """Take an asking back."""
    fleet.require(_BORROW)
    await loan_of(fleet, loan_id)
    await withdraw_loan(fleet.session, company_id=fleet.company_id, loan_id=loan_id, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{loan_id}", fleet.gettext("Withdrawn"))


def _said(fleet: FleetDesk, one: LoanView) -> str:
    until = fleet.gettext("due back %(time)s", time=fleet.f.when(one.due_at))
    return " · ".join(part for part in (one.driver, one.plate or "", one.destination, until) if part)


def _around(fleet: FleetDesk, one: LoanView, act: str) -> dict[str, Any]:
    back = f"{PATH}/{one.loan_id}"
    return {"back": back, "crumbs": [(fleet.gettext("Custody"), PATH), (f"{one.driver} · •••• {one.card_tail}", back), (act, "")]}


async def _odometer(fleet: FleetDesk, one: LoanView) -> list[Field]:
    """Return the field for the odometer, none where the trip has no vehicle."""
    if one.vehicle_id is None:
        return []
    _ = fleet.gettext
    vehicle = await get_vehicle(fleet.session, company_id=fleet.company_id, vehicle_id=one.vehicle_id)
    last = "" if vehicle.odometer_km is None else _("Last reading: %(km)s km", km=fleet.f.count(vehicle.odometer_km))
    return [field("km", _("Odometer, km"), num=True, autofocus=True, inputmode="numeric", help=last)]


def _km(fleet: FleetDesk, one: LoanView) -> int | None:
    if one.vehicle_id is None:
        return None
    return fleet.form.whole("km", fleet.gettext("Odometer, km"), low=0, high=10_000_000)


handlers = [
    ask_borrow,
    borrow,
    ask_approve,
    approve,
    ask_refuse,
    refuse,
    ask_lend,
    lend,
    ask_return,
    bring_back,
    ask_withdraw,
    withdraw,
]
