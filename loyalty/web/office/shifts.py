"""Shifts of the stations in the reader's scope."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.authorizations.queries import STORED_VALUE
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.stations import queries
from loyalty.stations.model import ShiftStatus
from loyalty.stations.queries import ShiftView
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import SHIFT_STATUS, TENDER
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field, select
from loyalty.web.office.parts import Cell, Facts, Part, Rows

PATH = "/office/shifts"


def shift_columns(desk: Desk, *, with_station: bool) -> list[Column]:
    """Return the heads of a table of shifts."""
    _ = desk.gettext
    first = [Column(_("Station"), sort="station")] if with_station else []
    return [
        Column(_("Opened"), sort="opened_at" if with_station else ""),
        *first,
        Column(_("Till")),
        Column(_("Cashier")),
        Column(_("Expected"), "num"),
        Column(_("Counted"), "num"),
        Column(_("Over / short"), "num"),
        Column(_("Status")),
    ]


async def shift_rows(desk: Desk, found: Sequence[ShiftView], *, with_station: bool) -> list[list[Cell]]:
    """Return shifts as rows; the expected cash is shown only once it was counted."""
    names = await lookups.people(desk, [one.cashier_id for one in found])
    rows = []
    for one in found:
        opened = cells.when(desk, one.opened_at)
        station = [cells.text(desk.either(one.station_name_zh, one.station_name_en))] if with_station else []
        rows.append(
            [
                Cell(desk.link(f"{PATH}/{one.shift_id}", opened.show), opened.export),
                *station,
                cells.text(one.terminal_code),
                cells.text(names.get(one.cashier_id)),
                cells.money(desk, one.expected_cash_minor, one.currency),
                cells.money(desk, one.counted_cash_minor, one.currency),
                cells.money(desk, one.over_short_minor, one.currency, sign=True),
                cells.tag(desk, one.status, SHIFT_STATUS),
            ]
        )
    return rows


@get(three("/shifts"))
async def shifts(desk: NamedDependency[Desk]) -> Any:
    """List shifts."""
    reachable = desk.reachable(Permission.READ_STATION)
    _ = desk.gettext
    listing = desk.listing(PATH, "-opened_at", ["station", "status", "since", "until"])
    places = await lookups.places(desk)
    since, until = desk.query.days("since", "until")

    async def fetch(cursor: str | None, limit: int) -> Found[ShiftView]:
        status = desk.query.maybe("status", ShiftStatus)
        return await queries.list_shifts(
            desk.session,
            station_id=desk.query.maybe_uuid("station"),
            statuses=[status] if status else (),
            opened_from=since,
            opened_to=until,
            reachable=reachable,
            sort=listing.sort,
            cursor=cursor,
            limit=limit,
        )

    async def rows(found: Sequence[ShiftView]) -> list[list[Cell]]:
        return await shift_rows(desk, found, with_station=True)

    def marks(found: Sequence[ShiftView]) -> dict[int, str]:
        return {index: "warn" for index, one in enumerate(found) if one.over_short_minor}

    statuses = [(member.value, _(label[0])) for member, label in SHIFT_STATUS.items()]
    return await show(
        desk,
        List(
            title=_("Shifts"),
            listing=listing,
            columns=shift_columns(desk, with_station=True),
            fetch=fetch,
            rows=rows,
            marks=marks,
            filters=[
                select(
                    "station", _("Station"), places.options(reachable), value=listing.filters["station"], blank=_("All"), required=False
                ),
                select("status", _("Status"), statuses, value=listing.filters["status"], blank=_("All"), required=False),
                field("since", _("From"), type="date", value=listing.filters["since"], required=False),
                field("until", _("To"), type="date", value=listing.filters["until"], required=False),
            ],
            tabs=tabs(desk, "shifts"),
            empty=_("No shift here"),
            name="shifts",
        ),
    )


def tabs(desk: Desk, here: str) -> list[tuple[str, str, bool, int]]:
    """Return the tabs over shifts and day closes."""
    _ = desk.gettext
    return [(_("Shifts"), PATH, here == "shifts", 0), (_("Day closes"), "/office/day-closes", here == "days", 0)]


@get("/shifts/{shift_id:uuid}")
async def shift(desk: NamedDependency[Desk], shift_id: FromPath[UUID]) -> Page:
    """Show one shift with its totals and cash."""
    reachable = desk.reachable(Permission.READ_STATION)
    _ = desk.gettext
    one = await queries.get_shift(desk.session, shift_id=shift_id, reachable=reachable)
    names = await lookups.people(desk, [one.cashier_id])
    money = desk.f.money
    cash = Facts(
        title=_("Cash"),
        figures=True,
        pairs=[
            (_("Float"), money(one.opening_float_minor, one.currency)),
            (_("Expected"), money(one.expected_cash_minor, one.currency)),
            (_("Counted"), money(one.counted_cash_minor, one.currency)),
        ],
        total=(_("Over / short"), money(one.over_short_minor, one.currency, sign=True)),
        note=one.explanation or "",
    )
    drops = await queries.cash_drops_of(desk.session, shift_id=shift_id)
    dropped = Rows(
        title=_("Into the safe"),
        columns=[Column(_("When")), Column(_("Bag")), Column(_("Amount"), "num")],
        rows=[
            [cells.when(desk, drop.dropped_at), cells.text(drop.envelope), cells.money(desk, drop.amount_minor, one.currency)]
            for drop in drops
        ],
        empty=_("Nothing yet"),
    )
    title = _("Shift of %(name)s", name=names.get(one.cashier_id, "—"))
    return await desk.page(
        title,
        sub=f"{desk.either(one.station_name_zh, one.station_name_en)} · {one.terminal_code} · {desk.f.instant(one.opened_at)}",
        crumbs=[(_("Shifts"), PATH), (title, "")],
        tags=[cells.tag(desk, one.status, SHIFT_STATUS).show],
        main=await _totals_parts(desk, one.totals, one.currency),
        aside=[cash, dropped],
    )


async def _totals_parts(desk: Desk, totals: Mapping[str, Any] | None, currency: str) -> list[Part]:
    """Draw the sums of a closed shift, and its totals per tender and product."""
    _ = desk.gettext
    if not totals:
        return [Rows(title=_("Totals"), columns=[], rows=[], empty=_("Still running: totals stand at the close"))]
    sums = (
        (_("Sales"), "sales_minor"),
        (_("Given back"), "refunds_minor"),
        (_("Top-ups"), "topups_minor"),
        (_("Fees"), "fees_minor"),
    )
    summary = Facts(
        title=_("Totals"),
        figures=True,
        pairs=[(label, desk.f.money(totals.get(name, 0), currency)) for label, name in sums],
    )
    return [summary, *await sold_parts(desk, totals, currency)]


async def sold_parts(desk: Desk, totals: Mapping[str, Any], currency: str) -> list[Part]:
    """Draw a shift's or a day's lines per tender and per product."""
    _ = desk.gettext
    words = {member.value: _(label[0]) for member, label in TENDER.items()} | {STORED_VALUE: _("Stored value")}
    measured = await lookups.measured_by_code(desk)
    tenders = totals.get("tenders") or ()
    products = totals.get("products") or ()
    return [
        Rows(
            title=_("Tenders"),
            columns=[Column(_("Tender")), Column(_("Taken"), "num"), Column(_("Given back"), "num"), Column(_("Times"), "num")],
            rows=[
                [
                    cells.text(words.get(str(line["tender"]), str(line["tender"]))),
                    cells.money(desk, line["taken_minor"], currency),
                    cells.money(desk, line.get("returned_minor", 0), currency),
                    cells.count(desk, line.get("count", 0)),
                ]
                for line in tenders
            ],
            empty=_("Nothing taken"),
        ),
        Rows(
            title=_("Products"),
            columns=[Column(_("Product")), Column(_("Quantity"), "num"), Column(_("Amount"), "num"), Column(_("Times"), "num")],
            rows=[
                [
                    cells.text(name),
                    cells.quantity(desk, line["quantity_milli"], unit),
                    cells.money(desk, line["amount_minor"], currency),
                    cells.count(desk, line.get("count", 0)),
                ]
                for line in products
                for name, unit in [measured.get(str(line["product_code"]), (str(line["product_code"]), None))]
            ],
            empty=_("Nothing sold"),
        ),
    ]


handlers = [shifts, shift]
