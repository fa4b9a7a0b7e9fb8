"""Fills that were paid in cash: listed, looked at with their receipt, decided by somebody else, paid back."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Response

from loyalty.fleet.model_cash import CASH_MOVES, CashStatus
from loyalty.fleet.operations.cash import approve_cash_fill, refuse_cash_fill, reimburse_cash_fill, withdraw_cash_fill
from loyalty.fleet.queries.cash import (
    CashFilter,
    CashSums,
    CashView,
    get_cash_fill,
    get_receipt,
    list_cash_fills,
    media_of_receipt,
    sums_of_cash,
)
from loyalty.identity.portal_rules import FleetPermission
from loyalty.paging import Page as Found
from loyalty.web.desk import Page
from loyalty.web.fleet.cash_words import CASH, REASON, cash_steps, is_overdue, place_of, receipt_word
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.odometers import DOUBT
from loyalty.web.fleet.queries import names_of_users
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field, word_filter
from loyalty.web.office.parts import Act, Cell, Facts, Part, Photo, Said, Text
from loyalty.web.rendering import document

PATH: Final = "/fleet/cash"
_FILE = FleetPermission.FILE_CASH
_APPROVE = FleetPermission.APPROVE_CASH


def paid_by(fleet: FleetDesk, *, cash: bool) -> list[tuple[str, str, bool, int]]:
    """Return the tabs of fuel records: what cards paid for, and what was paid in cash."""
    _ = fleet.gettext
    return [(_("Paid by card"), "/fleet/fills", not cash, 0), (_("Paid in cash"), PATH, cash, 0)]


@get(three("/cash"))
async def cash_fills(fleet: NamedDependency[FleetDesk]) -> Any:
    """List the company's cash fills, the latest first."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "", ["status", "plate", "since", "until"])
    begin, end = fleet.query.days("since", "until")
    by = CashFilter(
        status=fleet.query.maybe("status", CashStatus),
        plate=listing.filters["plate"],
        begin=begin,
        end=end,
        departments=fleet.departments,
    )
    sums = await sums_of_cash(fleet.session, company_id=fleet.company_id, by=by)

    async def fetch(cursor: str | None, limit: int) -> Found[CashView]:
        return await list_cash_fills(fleet.session, company_id=fleet.company_id, by=by, cursor=cursor, limit=limit)

    async def rows(found: Sequence[CashView]) -> list[list[Cell]]:
        return [_row(fleet, one) for one in found]

    files = fleet.may(_FILE)
    acts = [Act(_("Ask beforehand"), f"{PATH}/ask"), Act(_("Record a cash fill"), f"{PATH}/new", primary=True)] if files else []
    return await show(
        fleet,
        List(
            title=_("Cash fills"),
            listing=listing,
            columns=[
                Column(_("When")),
                Column(_("Vehicle")),
                Column(_("Driver")),
                Column(_("Station")),
                Column(_("Quantity"), "num"),
                Column(_("Amount"), "num"),
                Column(_("Why not by card?")),
                Column(_("Fuel receipt")),
                Column(_("Status")),
            ],
            fetch=fetch,
            rows=rows,
            totals=lambda _found: _totals(fleet, sums),
            tabs=paid_by(fleet, cash=True),
            acts=acts,
            filters=[
                field("plate", _("Plate"), value=listing.filters["plate"], required=False, key="F1"),
                word_filter(fleet, "status", _("Status"), CASH, listing),
                field("since", _("From"), value=listing.filters["since"], type="date", required=False),
                field("until", _("To"), value=listing.filters["until"], type="date", required=False),
            ],
            empty=_("No cash fill here"),
            empty_then=_("Record one with its receipt, or ask beforehand where the card will not do.") if files else "",
            name="cash-fills",
        ),
    )


def _row(fleet: FleetDesk, one: CashView) -> list[Cell]:
    word, tone = receipt_word(one, fleet.now)
    return [
        cells.linked(fleet, f"{PATH}/{one.cash_fill_id}", cells.when(fleet, one.event_at)),
        cells.plate(fleet, one.plate),
        cells.text(one.driver),
        cells.text(place_of(fleet, one)),
        cells.quantity(fleet, one.quantity_milli, None),
        cells.money(fleet, one.amount_minor, one.currency),
        cells.text(fleet.gettext(REASON[one.reason])),
        Cell(fleet.tag(fleet.gettext(word), tone), fleet.gettext(word)),
        cells.tag(fleet, one.status, CASH),
    ]


def _totals(fleet: FleetDesk, sums: CashSums) -> list[Cell]:
    _ = fleet.gettext
    blank = Cell("", "")
    said = _("%(count)s fills", count=fleet.f.count(sums.fills))
    if sums.left_out:
        said = f"{said}, {_('without refused and withdrawn ones')}"
    return [
        Cell(said, sums.fills),
        *[blank] * 3,
        cells.quantity(fleet, sums.quantity_milli, None),
        cells.money(fleet, sums.amount_minor, fleet.company.currency),
        *[blank] * 3,
    ]


async def one_of(fleet: FleetDesk, cash_id: UUID) -> CashView:
    """Return a cash fill that the reader may see.

    :raises NotFound: if it is another company's, or another department's
    """
    found = await get_cash_fill(fleet.session, company_id=fleet.company_id, cash_fill_id=cash_id)
    fleet.within(found.department_id)
    return found


@get("/cash/{cash_id:uuid}")
async def cash_fill(fleet: NamedDependency[FleetDesk], cash_id: FromPath[UUID]) -> Page:
    """Show one cash fill: what is odd about it first, then the fill, its receipt, and who said what."""
    fleet.require(FleetPermission.READ)
    _, f = fleet.gettext, fleet.f
    one = await one_of(fleet, cash_id)
    product = fleet.words.either(one.product_zh, one.product_en or one.product_zh) if one.product_zh else _("Not known")
    pairs: list[tuple[str, Any]] = [
        (_("When"), f.when(one.event_at)),
        (_("Station"), place_of(fleet, one)),
        (_("Fuel"), product),
        (_("Quantity"), f.quantity(one.quantity_milli, "L")),
        (_("Amount"), f.money(one.amount_minor, one.currency)),
        (_("Kilometres"), f.count(one.odometer_km)),
        (_("Why not by card?"), _(REASON[one.reason])),
    ]
    whose: list[tuple[str, Any]] = [
        (_("Vehicle"), fleet.link(f"/fleet/vehicles/{one.vehicle_id}", one.plate)),
        (_("Plate on the receipt"), one.plate_read or "—"),
        (_("Driver"), fleet.link(f"/fleet/drivers/{one.driver_id}", f"{one.driver_number} {one.driver}")),
        (_("Department"), one.department or "—"),
    ]
    names = await names_of_users(
        fleet.session, company_id=fleet.company_id, actor_ids=[one.filed_by, one.receipt_by, one.decided_by, one.reimbursed_by]
    )
    return await fleet.page(
        one.plate,
        sub=f"{f.money(one.amount_minor, one.currency)} · {f.quantity(one.quantity_milli, 'L')}",
        crumbs=[(_("Cash fills"), PATH), (f.when(one.event_at), "")],
        tags=[cells.tag(fleet, one.status, CASH).show],
        acts=_acts(fleet, one),
        top=_odd(fleet, one),
        main=[Facts(title=_("The fill"), pairs=pairs), await _receipt_part(fleet, one)],
        aside=[Facts(title=_("Whose it was"), pairs=whose), cash_steps(fleet, one, names)],
    )


def _is_maker(fleet: FleetDesk, one: CashView) -> bool:
    return str(fleet.actor.actor_id) in {one.filed_by, one.receipt_by}


def _acts(fleet: FleetDesk, one: CashView) -> list[Act | None]:
    """Return what the reader may do now."""
    _ = fleet.gettext
    base, leads = f"{PATH}/{one.cash_fill_id}", CASH_MOVES[one.status]
    acts: list[Act | None] = []
    if fleet.may(_APPROVE) and not _is_maker(fleet, one):
        if CashStatus.APPROVED in leads:
            acts += [Act(_("Approve"), f"{base}/approve", primary=True), Act(_("Refuse"), f"{base}/refuse", danger=True)]
        if CashStatus.REIMBURSED in leads and one.receipt_at is not None:
            acts.append(Act(_("Reimburse"), f"{base}/reimburse", primary=True))
    if fleet.may(_FILE) and CashStatus.WITHDRAWN in leads:
        if one.receipt_at is None and one.decided_by != str(fleet.actor.actor_id):
            acts.insert(0, Act(_("Hand in the receipt"), f"{base}/receipt/add", primary=not acts))
        if one.status is CashStatus.FILED or one.receipt_at is None:
            acts.append(Act(_("Withdraw"), f"{base}/withdraw", danger=True))
    return acts


def _odd(fleet: FleetDesk, one: CashView) -> list[Part]:
    """Return what whoever decides has to know."""
    _ = fleet.gettext
    said: list[Part] = []
    if one.plate_differs:
        plates = _("The receipt says %(read)s, the vehicle is %(plate)s.", read=one.plate_read, plate=one.plate)
        said.append(Said(title=_("The plate on the receipt is another one"), then=plates, tone="warn"))
    if is_overdue(one, fleet.now):
        said.append(Said(title=_("The receipt is overdue"), then=_("Until it is here this fill does not count."), tone="warn"))
    if one.doubt is not None:
        odometer = [Act(_("Odometer"), f"/fleet/vehicles/{one.vehicle_id}/odometer")]
        said.append(Said(title=_("The odometer is doubtful"), then=_(DOUBT[one.doubt]), tone="warn", acts=odometer))
    if one.status is CashStatus.FILED and fleet.may(_APPROVE) and _is_maker(fleet, one):
        said.append(Said(title=_("Somebody else approves it"), then=_("Who files a cash fill does not decide about it.")))
    return said


async def _receipt_part(fleet: FleetDesk, one: CashView) -> Part:
    _ = fleet.gettext
    media = await media_of_receipt(fleet.session, company_id=fleet.company_id, cash_fill_id=one.cash_fill_id)
    src = f"{PATH}/{one.cash_fill_id}/receipt"
    if media is None:
        return Text(title=_("Fuel receipt"), lines=[_("It is not here yet: the fill counts once it is.")])
    fetch = [Act(_("Fetch the file"), src)]
    if media.is_image:
        return Photo(title=_("Fuel receipt"), src=src, alt=_("Receipt of %(plate)s", plate=one.plate), acts=fetch)
    return Text(title=_("Fuel receipt"), lines=[_("A PDF document.")], acts=fetch)


@get("/cash/{cash_id:uuid}/receipt")
async def receipt(fleet: NamedDependency[FleetDesk], cash_id: FromPath[UUID]) -> Response[bytes]:
    """Send a receipt as what it was found to be, to be kept, not to be opened as a page of ours."""
    fleet.require(FleetPermission.READ)
    await one_of(fleet, cash_id)
    media, content = await get_receipt(fleet.session, company_id=fleet.company_id, cash_fill_id=cash_id)
    return document(content, media_type=media.value, filename=f"receipt-{cash_id}.{media.ending}")


_DECIDING = [f"/cash/{{cash_id:uuid}}/{name}" for name in ("approve", "refuse", "reimburse")]


@get(_DECIDING)
async def ask_decision(fleet: NamedDependency[FleetDesk], cash_id: FromPath[UUID]) -> Page:
    """Ask once, with the amount in the button."""
    fleet.offer(_APPROVE)
    _ = fleet.gettext
    one = await one_of(fleet, cash_id)
    title, note, fields = {
        "approve": (
            _("Approve"),
            _("It counts from now on.") if one.receipt_at else _("It counts once its receipt is here."),
            [field("words", _("Comment"), required=False)],
        ),
        "refuse": (_("Refuse"), _("Whoever filed it reads the reason."), [field("words", _("Reason"), autofocus=True)]),
        "reimburse": (_("Reimburse"), _("A note that whoever paid has the money back; no card's money moves."), []),
    }[fleet.act]
    back = f"{PATH}/{cash_id}"
    return await fleet.ask(
        f"{title}: {one.plate}",
        fields,
        submit=title,
        amount="" if fleet.act == "refuse" else fleet.f.money(one.amount_minor, one.currency),
        danger=fleet.act == "refuse",
        note=note,
        top=_odd(fleet, one),
        back=back,
        crumbs=[(_("Cash fills"), PATH), (fleet.f.when(one.event_at), back), (title, "")],
    )


@post(_DECIDING, status_code=303)
async def decide(fleet: NamedDependency[FleetDesk], cash_id: FromPath[UUID]) -> Page:
    """Approve, refuse, or note that it is paid back."""
    fleet.require(_APPROVE)
    _ = fleet.gettext
    await one_of(fleet, cash_id)
    known: dict[str, Any] = {"company_id": fleet.company_id, "cash_fill_id": cash_id, "actor": fleet.actor, "now": fleet.now}
    if fleet.act == "reimburse":
        await reimburse_cash_fill(fleet.session, **known)
        return await fleet.done(f"{PATH}/{cash_id}", _("Reimbursed"))
    refused = fleet.act == "refuse"
    words = fleet.form.text("words", _("Reason") if refused else _("Comment"), required=refused, longest=400)
    fleet.form.check()
    await (refuse_cash_fill if refused else approve_cash_fill)(fleet.session, words=words, **known)
    return await fleet.done(f"{PATH}/{cash_id}", _("Refused") if refused else _("Approved"))


@get("/cash/{cash_id:uuid}/withdraw")
async def ask_withdraw(fleet: NamedDependency[FleetDesk], cash_id: FromPath[UUID]) -> Page:
    """Ask once."""
    fleet.offer(_FILE)
    _ = fleet.gettext
    one = await one_of(fleet, cash_id)
    back = f"{PATH}/{cash_id}"
    crumbs = [(_("Cash fills"), PATH), (fleet.f.when(one.event_at), back), (_("Withdraw"), "")]
    return await fleet.ask(_("Withdraw the cash fill?"), [], submit=_("Withdraw"), danger=True, back=back, crumbs=crumbs)


@post("/cash/{cash_id:uuid}/withdraw", status_code=303)
async def withdraw(fleet: NamedDependency[FleetDesk], cash_id: FromPath[UUID]) -> Page:
    """Take a cash fill back."""
    fleet.require(_FILE)
    await one_of(fleet, cash_id)
    await withdraw_cash_fill(fleet.session, company_id=fleet.company_id, cash_fill_id=cash_id, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{cash_id}", fleet.gettext("Withdrawn"))


handlers = [cash_fills, cash_fill, receipt, ask_decision, decide, ask_withdraw, withdraw]
