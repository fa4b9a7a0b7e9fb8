"""Custody: the loans of kept cards as a list, and one of them with its steps, its odometer and what the card took meanwhile."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.fleet.model_custody import LOAN_MOVES, LoanStatus
from loyalty.fleet.model_fills import ReadingStatus
from loyalty.fleet.queries.custody import (
    LoanFill,
    LoanView,
    ReadingOfLoan,
    figures_of_loan,
    fills_of_loan,
    get_loan,
    keeper_of,
    list_loans,
    reading_of_loan,
)
from loyalty.fleet.queries.economy import per_100_km
from loyalty.identity.portal_rules import FleetPermission
from loyalty.paging import Page as Found
from loyalty.web.desk import Page
from loyalty.web.fleet.cards import LOANS as PATH
from loyalty.web.fleet.custody_words import LOAN, loan_cell, steps
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.odometers import DOUBT
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field, select
from loyalty.web.office.parts import Act, Cell, Facts, Part, Rows, Said, Tile, Tiles

_LEND = FleetPermission.LEND_CARDS
_BORROW = FleetPermission.BORROW_CARDS
_OVERDUE: Final = "overdue"


@get(three("/custody"))
async def loans(fleet: NamedDependency[FleetDesk]) -> Any:
    """List loans, the latest first."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "", ["text", "status"])
    late = listing.filters["status"] == _OVERDUE

    async def fetch(cursor: str | None, limit: int) -> Found[LoanView]:
        return await list_loans(
            fleet.session,
            company_id=fleet.company_id,
            departments=fleet.departments,
            status=None if late else fleet.query.maybe("status", LoanStatus),
            overdue_at=fleet.now if late else None,
            text=listing.filters["text"],
            cursor=cursor,
            limit=limit,
        )

    async def rows(found: Sequence[LoanView]) -> list[list[Cell]]:
        return [
            [
                cells.linked(fleet, f"{PATH}/{one.loan_id}", cells.text(one.driver)),
                cells.text(f"•••• {one.card_tail}"),
                cells.plate(fleet, one.plate),
                cells.text(one.destination),
                cells.when(fleet, one.lent_at or one.begins_at),
                cells.when(fleet, one.due_at),
                loan_cell(fleet, one),
            ]
            for one in found
        ]

    columns = [Column(_("Driver")), Column(_("Card")), Column(_("Vehicle")), Column(_("Where to"))]
    statuses = [(status.value, _(said)) for status, (said, _tone) in LOAN.items()]
    acts: list[Act | None] = []
    if fleet.may(FleetPermission.EDIT_STRUCTURE):
        acts.append(Act(_("Who keeps which"), "/fleet/cards/keepers"))
    if fleet.may(_BORROW):
        acts.append(Act(_("Borrow a card"), "/fleet/cards?where=kept", primary=True))
    return await show(
        fleet,
        List(
            title=_("Custody"),
            listing=listing,
            columns=[*columns, Column(_("From")), Column(_("Due back")), Column(_("Status"))],
            fetch=fetch,
            rows=rows,
            filters=[
                field("text", _("Find"), value=listing.filters["text"], required=False, key="F1"),
                select(
                    "status",
                    _("Status"),
                    [*statuses, (_OVERDUE, _("Overdue"))],
                    value=listing.filters["status"],
                    blank=_("All"),
                    required=False,
                ),
            ],
            acts=acts,
            empty=_("No loan here"),
            empty_then=_("Say who keeps which cards; whoever needs one for a trip asks from the card's page."),
            name="loans",
        ),
    )


async def loan_of(fleet: FleetDesk, loan_id: UUID) -> LoanView:
    """Return a loan that the reader may see.

    :raises NotFound: if it is another company's, or another department's
    """
    found = await get_loan(fleet.session, company_id=fleet.company_id, loan_id=loan_id)
    fleet.within(found.department_id)
    return found


@get("/custody/{loan_id:uuid}")
async def loan(fleet: NamedDependency[FleetDesk], loan_id: FromPath[UUID]) -> Page:
    """Show one loan: the trip, who did what, the odometer out and in, and what the card took between."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    one = await loan_of(fleet, loan_id)
    trip = Facts(
        title=_("The trip"),
        pairs=[
            (_("Card"), fleet.link(f"/fleet/cards/{one.card_id}", f"•••• {one.card_tail}")),
            (_("Driver"), fleet.link(f"/fleet/drivers/{one.driver_id}", one.driver)),
            (_("Vehicle"), fleet.link(f"/fleet/vehicles/{one.vehicle_id}", one.plate) if one.vehicle_id else "—"),
            (_("Where to"), one.destination),
            (_("Why"), one.purpose),
            (_("From"), fleet.f.when(one.begins_at)),
            (_("Due back"), fleet.f.when(one.due_at)),
        ],
    )
    top: list[Part] = []
    main: list[Part] = [trip]
    if one.lent_at is not None:
        main = await _used(fleet, one, one.lent_at, top) + main
    title = f"{one.driver} · •••• {one.card_tail}"
    return await fleet.page(
        title,
        sub=one.destination,
        crumbs=[(_("Custody"), PATH), (title, "")],
        tags=[loan_cell(fleet, one).show],
        acts=await _acts(fleet, one),
        top=top,
        main=main,
        aside=[steps(fleet, one)],
    )


async def _acts(fleet: FleetDesk, one: LoanView) -> list[Act | None]:
    _ = fleet.gettext
    base, moves, lends = f"{PATH}/{one.loan_id}", LOAN_MOVES[one.status], fleet.may(_LEND)
    acts: list[Act | None] = []
    if LoanStatus.WITHDRAWN in moves and fleet.may(_BORROW):
        acts.append(Act(_("Withdraw"), f"{base}/withdraw"))
    if lends and LoanStatus.REFUSED in moves:
        acts.append(Act(_("Refuse"), f"{base}/refuse", danger=True))
    if lends and LoanStatus.APPROVED in moves and await may_approve(fleet, one):
        acts.append(Act(_("Approve"), f"{base}/approve"))
        acts.append(Act(_("Lend"), f"{base}/lend", primary=True))
    if lends and LoanStatus.LENT in moves:
        acts.append(Act(_("Lend"), f"{base}/lend", primary=True))
    if lends and LoanStatus.RETURNED in moves:
        acts.append(Act(_("Take the card back"), f"{base}/return", primary=True))
    return acts


async def may_approve(fleet: FleetDesk, one: LoanView) -> bool:
    """Say whether to offer the reader the approval: never of what they asked for themselves, unless they keep the card and may."""
    me = fleet.principal.user_id
    if one.asked_by != me:
        return True
    return fleet.company.custodian_lends and await keeper_of(fleet.session, chain_id=one.chain_id) == me


async def _used(fleet: FleetDesk, one: LoanView, lent_at: datetime, top: list[Part]) -> list[Part]:
    """Return the odometer and the fills of a loan; its figures go to the top."""
    _, f = fleet.gettext, fleet.f
    figures = await figures_of_loan(fleet.session, loan=one, now=fleet.now)
    left = await _reading(fleet, one.out_reading_id)
    back = await _reading(fleet, one.in_reading_id)
    km = back.km - left.km if left and back and not left.doubt and not back.doubt and back.km > left.km else None
    rate = per_100_km(figures.quantity_milli, km) if figures.quantity_milli else None
    tiles = [
        Tile(_("Fuel"), f.quantity(figures.quantity_milli, "L"), note=_("%(fills)s fills", fills=f.count(figures.fills))),
        Tile(_("Paid by card"), f.money(figures.card_minor, fleet.company.currency)),
    ]
    if one.returned_at is not None and one.vehicle_id is not None:
        tiles.append(Tile(_("Kilometres"), f.count(km), note=_("between going and coming") if km is not None else ""))
    if rate is not None:
        tiles.append(Tile(_("Litres per 100 km"), f.quantity(rate, "L")))
    top.append(Tiles(tiles))
    top += [_doubtful(fleet, one, found) for found in (left, back) if found is not None and found.doubt is not None]
    parts: list[Part] = []
    if one.vehicle_id is not None:
        pairs = [(_("Lent"), _shown(fleet, left))] + ([(_("Returned"), _shown(fleet, back))] if one.returned_at else [])
        act = Act(_("All readings"), f"/fleet/vehicles/{one.vehicle_id}/odometer")
        parts.append(Facts(title=_("Odometer"), pairs=pairs, acts=[act]))
    found = await fills_of_loan(fleet.session, loan=one, now=fleet.now, cursor=fleet.cursor)
    listing = fleet.listing(f"{PATH}/{one.loan_id}", "", [])
    until = f.when(one.returned_at) if one.returned_at else _("now")
    table = Rows(
        title=_("Fills with this card"),
        note=_(
            "From %(from)s to %(until)s; where nobody said who drove, it was the borrower.", **{"from": f.when(lent_at), "until": until}
        ),
        columns=[
            Column(_("When")),
            Column(_("Station")),
            Column(_("Driver")),
            Column(_("Quantity"), "num"),
            Column(_("Paid by card"), "num"),
            Column(_("Kilometres"), "num"),
        ],
        rows=[_fill(fleet, one, fill) for fill in found.rows],
        empty=_("No fill yet"),
        listing=listing,
        next=listing.page_href(found.next),
        previous=listing.page_href(found.previous),
        pager=bool(found.next or found.previous),
    )
    return [table, *parts]


def _fill(fleet: FleetDesk, one: LoanView, fill: LoanFill) -> list[Cell]:
    return [
        cells.linked(fleet, f"/fleet/fills/{fill.sale_id}", cells.when(fleet, fill.event_at)),
        cells.text(fleet.words.either(fill.station_zh, fill.station_en)),
        cells.text(fill.driver or one.driver),
        cells.quantity(fleet, fill.quantity_milli, "L"),
        cells.money(fleet, fill.card_minor, fleet.company.currency),
        cells.count(fleet, fill.odometer_km),
    ]


async def _reading(fleet: FleetDesk, reading_id: UUID | None) -> ReadingOfLoan | None:
    return None if reading_id is None else await reading_of_loan(fleet.session, reading_id=reading_id)


def _shown(fleet: FleetDesk, found: ReadingOfLoan | None) -> Any:
    if found is None:
        return "—"
    said = f"{fleet.f.count(found.km)} km"
    return said if found.status is ReadingStatus.HOLDS else f"{said} · {fleet.gettext('Doubtful')}"


def _doubtful(fleet: FleetDesk, one: LoanView, found: ReadingOfLoan) -> Said:
    _ = fleet.gettext
    assert found.doubt is not None, "asked before"
    title = _("The reading of %(km)s km is doubtful: %(why)s", km=fleet.f.count(found.km), why=_(DOUBT[found.doubt]))
    acts = []
    if fleet.may(FleetPermission.EDIT_STRUCTURE):
        acts.append(Act(_("Correct"), f"/fleet/vehicles/{one.vehicle_id}/odometer/{found.reading_id}/correct"))
    return Said(title=title, tone="warn", then=_("It is kept, and nothing is worked out from it until somebody corrects it."), acts=acts)


handlers = [loans, loan]
