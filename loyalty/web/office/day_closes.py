"""Day closes of the stations in the reader's scope: what was sold and loaded, and where a till and the books differ."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.authorizations.chain_rules import DifferenceKind
from loyalty.clock import day_bounds
from loyalty.errors import NotFound
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.stations import queries
from loyalty.stations.queries import DayCloseView, ShiftView
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import DIFFERENCE, OPERATION
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import select
from loyalty.web.office.parts import Cell, Part, Rows, Said, Tile, Tiles
from loyalty.web.office.shifts import PATH as SHIFTS
from loyalty.web.office.shifts import sold_parts, tabs

PATH = "/office/day-closes"
_SHIFTS_MAX = 200
_SUMMED = {
    "tenders": ("tender", ("taken_minor", "returned_minor", "count")),
    "products": ("product_code", ("quantity_milli", "amount_minor", "count")),
}


@get(three("/day-closes"))
async def day_closes(desk: NamedDependency[Desk]) -> Any:
    """List closed business days."""
    reachable = desk.reachable(Permission.READ_STATION)
    _ = desk.gettext
    listing = desk.listing(PATH, "", ["station"])
    places = await lookups.places(desk)

    async def fetch(cursor: str | None, limit: int) -> Found[DayCloseView]:
        station_id = desk.query.maybe_uuid("station")
        return await queries.list_day_closes(desk.session, station_id=station_id, reachable=reachable, cursor=cursor, limit=limit)

    async def rows(found: Sequence[DayCloseView]) -> list[list[Cell]]:
        names = await lookups.people(desk, [one.closed_by for one in found])
        return [_row(desk, one, places.stations[one.station_id].currency, names) for one in found]

    def marks(found: Sequence[DayCloseView]) -> dict[int, str]:
        return {index: "warn" for index, one in enumerate(found) if one.totals.get("over_short_minor") or _differences(one.totals)}

    return await show(
        desk,
        List(
            title=_("Day closes"),
            listing=listing,
            columns=[
                Column(_("Day")),
                Column(_("Station")),
                Column(_("Sales"), "num"),
                Column(_("Top-ups"), "num"),
                Column(_("Over / short"), "num"),
                Column(_("Differences"), "num"),
                Column(_("Closed at")),
                Column(_("By")),
            ],
            fetch=fetch,
            rows=rows,
            marks=marks,
            filters=[
                select("station", _("Station"), places.options(reachable), value=listing.filters["station"], blank=_("All"), required=False)
            ],
            tabs=tabs(desk, "days"),
            empty=_("No day closed yet"),
            empty_then=_("A station's manager closes the day at the till, after midnight, when every shift is closed."),
            name="day-closes",
        ),
    )


def _row(desk: Desk, one: DayCloseView, currency: str, names: Mapping[UUID, str]) -> list[Cell]:
    differences = len(_differences(one.totals))
    return [
        cells.linked(desk, f"{PATH}/{one.station_id}/{one.day}", cells.day(desk, one.day)),
        cells.text(desk.either(one.station_name_zh, one.station_name_en)),
        cells.money(desk, one.totals.get("sales_minor", 0), currency),
        cells.money(desk, one.totals.get("topups_minor", 0), currency),
        cells.money(desk, one.totals.get("over_short_minor", 0), currency, sign=True),
        Cell(desk.tag(str(differences), "bad") if differences else "0", differences),
        cells.when(desk, one.closed_at),
        cells.text(cells.named(names, one.closed_by)),
    ]


@get("/day-closes/{station_id:uuid}/{day:date}")
async def day_close(desk: NamedDependency[Desk], station_id: FromPath[UUID], day: FromPath[date]) -> Page:
    """Show one closed day: its sums, every difference between a till and the books, its shifts, its tenders and products."""
    desk.require(Permission.READ_STATION, station_id)
    _ = desk.gettext
    one = await queries.get_day_close(desk.session, station_id=station_id, day=day)
    if one is None:
        raise NotFound
    station = await queries.get_station(desk.session, station_id=station_id)
    begins, ends = day_bounds(day, station.zone)
    found = await queries.list_shifts(desk.session, station_id=station_id, opened_from=begins, opened_to=ends, limit=_SHIFTS_MAX)
    shifts = {str(shift.shift_id): shift for shift in found.rows}
    names = await lookups.people(desk, [one.closed_by, *(shift.cashier_id for shift in shifts.values())])
    title = f"{desk.either(one.station_name_zh, one.station_name_en)} · {desk.f.full_day(day)}"
    closed = _("Closed %(when)s by %(name)s", when=desk.f.instant(one.closed_at), name=cells.named(names, one.closed_by))
    return await desk.page(
        title,
        sub=f"{closed} · {_('fingerprint')} {one.totals_hash.hex()[:12]}",
        crumbs=[(_("Day closes"), PATH), (title, "")],
        top=[_sums(desk, one.totals, station.currency), *_agreement(desk, one.totals, shifts, station.currency)],
        main=[
            _shift_table(desk, one.totals, shifts, names, station.currency),
            *await sold_parts(desk, {what: _summed(one.totals, what) for what in _SUMMED}, station.currency),
        ],
    )


def _sums(desk: Desk, totals: Mapping[str, Any], currency: str) -> Tiles:
    _ = desk.gettext
    money = desk.f.money
    over = totals.get("over_short_minor", 0)
    tiles = [
        Tile(_("Sales"), money(totals.get("sales_minor", 0), currency)),
        Tile(_("Given back"), money(totals.get("refunds_minor", 0), currency)),
        Tile(_("Top-ups"), money(totals.get("topups_minor", 0), currency)),
        Tile(_("Fees"), money(totals.get("fees_minor", 0), currency)),
        Tile(_("Over / short"), money(over, currency, sign=True), tone="warn" if over else "good"),
    ]
    return Tiles(tiles)


def _differences(totals: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return every difference with the shift it is of."""
    return [(shift, difference) for shift in totals.get("shifts") or () for difference in shift.get("differences") or ()]


def _agreement(desk: Desk, totals: Mapping[str, Any], shifts: Mapping[str, ShiftView], currency: str) -> list[Part]:
    """Say that tills and books agree, or list each transaction on which they do not."""
    _ = desk.gettext
    found = _differences(totals)
    if not totals.get("shifts"):
        return [Said(title=_("No shift was held on this day"), tone="info")]
    if not found:
        return [Said(title=_("Tills and books agree on every transaction"), tone="good")]
    return [
        Rows(
            title=_("Where a till and the books differ"),
            columns=[
                Column(_("Till")),
                Column(_("Record"), "num"),
                Column(_("What")),
                Column(_("Difference")),
                Column(_("At the till"), "num"),
                Column(_("In the books"), "num"),
            ],
            rows=[
                [
                    _till(desk, shift, shifts),
                    cells.count(desk, difference.get("sequence")),
                    cells.text(_operation(desk, difference.get("operation"))),
                    cells.text(_(DIFFERENCE[DifferenceKind(difference["kind"])])),
                    cells.money(desk, difference.get("terminal_minor"), currency),
                    cells.money(desk, difference.get("host_minor"), currency),
                ]
                for shift, difference in found
            ],
            marks=dict.fromkeys(range(len(found)), "bad"),
            empty="",
        )
    ]


def _operation(desk: Desk, name: str | None) -> str | None:
    return desk.gettext(OPERATION[name]) if name is not None and name in OPERATION else name


def _till(desk: Desk, shift: Mapping[str, Any], shifts: Mapping[str, ShiftView]) -> Cell:
    known = shifts.get(str(shift["shift_id"]))
    label = known.terminal_code if known else str(shift["terminal_id"])[:8]
    return cells.link(desk, f"{SHIFTS}/{shift['shift_id']}", label)


def _shift_table(desk: Desk, totals: Mapping[str, Any], shifts: Mapping[str, ShiftView], names: Mapping[UUID, str], currency: str) -> Rows:
    _ = desk.gettext
    rows = []
    for shift in totals.get("shifts") or ():
        known, sums = shifts.get(str(shift["shift_id"])), shift.get("totals") or {}
        signed = shift.get("signature_good")
        said = "—" if signed is None else desk.tag(_("signed"), "good") if signed else desk.tag(_("not valid"), "bad")
        rows.append(
            [
                _till(desk, shift, shifts),
                cells.text(cells.named(names, known.cashier_id) if known else None),
                cells.when(desk, known.opened_at if known else None),
                cells.money(desk, sums.get("sales_minor", 0), currency),
                cells.money(desk, sums.get("topups_minor", 0), currency),
                cells.money(desk, shift.get("over_short_minor"), currency, sign=True),
                Cell(said, ""),
            ]
        )
    return Rows(
        title=_("Shifts"),
        columns=[
            Column(_("Till")),
            Column(_("Cashier")),
            Column(_("Opened")),
            Column(_("Sales"), "num"),
            Column(_("Top-ups"), "num"),
            Column(_("Over / short"), "num"),
            Column(_("The till's signature")),
        ],
        rows=rows,
        empty=_("No shift here"),
    )


def _summed(totals: Mapping[str, Any], what: str) -> list[dict[str, Any]]:
    """Add the shifts' lines up, one a tender or product."""
    name, figures = _SUMMED[what]
    lines: dict[str, dict[str, Any]] = {}
    for shift in totals.get("shifts") or ():
        for line in (shift.get("totals") or {}).get(what) or ():
            into = lines.setdefault(line[name], {name: line[name], **dict.fromkeys(figures, 0)})
            for figure in figures:
                into[figure] += line.get(figure, 0)
    return [lines[key] for key in sorted(lines)]


handlers = [day_closes, day_close]
