"""Cards: the company's living ones, whose each is, and giving it to somebody else."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.cards.model import CardStatus
from loyalty.fleet.operations.bindings import bind_card, unbind_card
from loyalty.fleet.queries.custody import custody_of, keepers_of, standing_loan
from loyalty.fleet.queries.drivers import DriverNotFound, find_driver
from loyalty.fleet.queries.vehicles import VehicleNotFound, find_vehicle
from loyalty.identity.portal_rules import FleetPermission
from loyalty.paging import Page as Found
from loyalty.web.desk import Page
from loyalty.web.fleet import queries
from loyalty.web.fleet.card_acts import acts_of, card_of
from loyalty.web.fleet.custody_words import WHERE, where_cell
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.queries import CardLine, CardsBy, Whereabouts
from loyalty.web.fleet.vehicles import room_filter, rooms_of
from loyalty.web.listing import Column, Listing
from loyalty.web.office import cells
from loyalty.web.office.labels import CARD_STATUS
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import check, field, select, word_filter
from loyalty.web.office.parts import Act, Cell, Facts

PATH = "/fleet/cards"
_EDIT = FleetPermission.EDIT_STRUCTURE
FILTERS: Final = ("text", "status", "department", "kept_by", "where")
NOBODY: Final = "nobody"
LOANS: Final = "/fleet/custody"
_SHOWN = (CardStatus.ISSUED, CardStatus.ACTIVE, CardStatus.SUSPENDED, CardStatus.LOST)


@get(three("/cards"))
async def cards(fleet: NamedDependency[FleetDesk]) -> Any:
    """List the company's living cards, or a department's."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "", FILTERS)
    by = cards_by(fleet)

    async def fetch(cursor: str | None, limit: int) -> Found[CardLine]:
        return await queries.list_company_cards(
            fleet.session, account_id=fleet.company.account_id, by=by, now=fleet.now, cursor=cursor, limit=limit
        )

    async def rows(found: Sequence[CardLine]) -> list[list[Cell]]:
        return [
            [
                cells.tail(fleet, f"{PATH}/{one.card_id}", one.bin, one.number_tail),
                cells.plate(fleet, one.plate),
                cells.text(one.driver),
                cells.text(one.department),
                cells.tag(fleet, one.status, CARD_STATUS),
                cells.text(one.keeper),
                where_cell(fleet, one),
            ]
            for one in found
        ]

    keepers = await keepers_of(fleet.session, company_id=fleet.company_id)
    acts: list[Act | None] = []
    if fleet.may(_EDIT):
        # What is shown is what the next page is about.
        acts = [Act(_("Take in a list"), f"{PATH}/import"), Act(_("Who keeps these"), keepers_href(listing))]
    return await show(
        fleet,
        List(
            title=_("Cards"),
            listing=listing,
            columns=[
                *(Column(_("Card")), Column(_("Vehicle")), Column(_("Driver")), Column(_("Department")), Column(_("Status"))),
                *(Column(_("Kept by")), Column(_("Where it is"))),
            ],
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
                await room_filter(fleet, listing),
                select(
                    "kept_by",
                    _("Kept by"),
                    [(NOBODY, _("Kept by nobody")), *((str(one.user_id), one.name) for one in keepers)],
                    value=listing.filters["kept_by"],
                    blank=_("All"),
                    required=False,
                ),
                word_filter(fleet, "where", _("Where it is"), WHERE, listing),
            ],
            acts=acts,
            empty=_("No card here"),
            empty_then=_("The chain's counter issues them on your company's account."),
            name="cards",
        ),
    )


def cards_by(fleet: FleetDesk) -> CardsBy:
    """Read from the address what a list of cards is cut to."""
    query = fleet.query
    kept_by = query.raw("kept_by")
    return CardsBy(
        departments=fleet.rooms(query.maybe_uuid("department")),
        text=query.raw("text"),
        status=query.maybe("status", CardStatus),
        keeper_id=query.maybe_uuid("kept_by"),
        is_kept=False if kept_by == NOBODY else None,
        where=query.maybe("where", Whereabouts),
    )


def keepers_href(listing: Listing) -> str:
    """Return the address that sets who keeps the cards of a list."""
    return Listing(f"{PATH}/keepers", "", listing.filters).href()


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
    if fleet.may(FleetPermission.BORROW_CARDS) and one.keeper_id:
        acts.append(Act(_("Borrow"), f"{PATH}/{card_id}/borrow"))
    if fleet.may(_EDIT):
        acts.append(Act(_("Bind"), f"{PATH}/{card_id}/bind", primary=True))
        if one.vehicle_id or one.driver_id or one.department_id:
            acts.append(Act(_("Unbind"), f"{PATH}/{card_id}/unbind", danger=True))
    acts += acts_of(fleet, one)
    title = f"•••• {one.number_tail}"
    return await fleet.page(
        title,
        crumbs=[(_("Cards"), PATH), (title, "")],
        tags=[cells.tag(fleet, one.status, CARD_STATUS).show],
        acts=acts,
        main=[facts, await _custody(fleet, one)],
    )


async def _custody(fleet: FleetDesk, one: CardLine) -> Facts:
    """Return where the card is now, and who kept it before."""
    _, f = fleet.gettext, fleet.f
    lends = fleet.may(FleetPermission.LEND_CARDS)
    promised = await standing_loan(fleet.session, company_id=fleet.company_id, chain_id=one.chain_id)
    pairs: list[tuple[str, Any]] = [(_("Kept by"), one.keeper or "—"), (_("Where it is"), where_cell(fleet, one).show)]
    acts: list[Act] = []
    if promised is not None:
        who = fleet.link(f"{LOANS}/{promised.loan_id}", f"{promised.driver} · {promised.destination}")
        pairs += [(_("Borrowed by") if one.loan_id else _("Promised to"), who), (_("Due back"), f.when(promised.due_at))]
        if lends:
            word, act = (_("Take the card back"), "return") if one.loan_id else (_("Lend"), "lend")
            acts.append(Act(word, f"{LOANS}/{promised.loan_id}/{act}"))
    if fleet.may(_EDIT):
        acts.append(Act(_("Who keeps it"), f"{PATH}/{one.card_id}/keeper"))
    asks = fleet.company.custody_blocks and one.keeper_id is not None
    if asks and lends:
        acts.append(Act(_("Permit one use"), f"/fleet/limits/card/{one.card_id}/permit"))
    for former in await custody_of(fleet.session, company_id=fleet.company_id, chain_id=one.chain_id):
        if former.until is not None:
            pairs.append((_("Kept before by"), f"{former.keeper}, {f.day(former.since)} – {f.day(former.until)}"))
    note = _("It fuels with a permit only while it is kept, and freely while it is lent.") if asks else ""
    return Facts(title=_("Custody"), pairs=pairs, acts=acts, note=note)


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
    return await fleet.ask(_("Bind"), fields, submit=_("Bind"), back=f"{PATH}/{card_id}", note=note, crumbs=crumbs_of(fleet, one))


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
        _("Unbind"), [], submit=_("Unbind"), danger=True, back=f"{PATH}/{card_id}", note=note, crumbs=crumbs_of(fleet, one)
    )


@post("/cards/{card_id:uuid}/unbind", status_code=303)
async def unbind(fleet: NamedDependency[FleetDesk], card_id: FromPath[UUID]) -> Page:
    """End what a card is bound to."""
    fleet.require(_EDIT)
    one = await card_of(fleet, card_id)
    await unbind_card(fleet.session, company_id=fleet.company_id, chain_id=one.chain_id, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{card_id}", fleet.gettext("Done"))


def crumbs_of(fleet: FleetDesk, one: CardLine) -> list[tuple[str, str]]:
    return [(fleet.gettext("Cards"), PATH), (f"•••• {one.number_tail}", f"{PATH}/{one.card_id}")]


handlers = [cards, card, ask_bind, bind, ask_unbind, unbind]
