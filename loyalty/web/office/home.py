"""The office's first page: does it balance, and what needs me."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency

from loyalty import clock
from loyalty.authorizations.queries import StationDay, list_unresolved, totals_by_station
from loyalty.customers.queries import list_suggestions
from loyalty.identity.rules import Permission
from loyalty.ledger import queries as ledger
from loyalty.money import POINTS
from loyalty.stations.model import TerminalStatus
from loyalty.stations.queries import TerminalFilter, list_terminals
from loyalty.topups.queries import waiting
from loyalty.web.charts import Series, ranked_chart
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.failures import PATH as FAILURES
from loyalty.web.office.failures import sees_failures
from loyalty.web.office.parts import Cell, Drawn, Later, Part, Rows, Said, Tile, Tiles
from loyalty.web.office.queries import failed_jobs
from loyalty.web.rendering import render

_COUNT_MAX = 200
WaitingSource = Callable[[Desk], Awaitable[Sequence[Tile]]]
"""Gives a tile for each kind of thing that waits for this reader, none where nothing does."""


@get("/")
async def home(desk: NamedDependency[Desk]) -> Page:
    """Show what waits, today's figures per station, and whether the books balance."""
    _ = desk.gettext
    begins, ends = clock.day_bounds(clock.local_date(desk.now, desk.zone), desk.zone)
    parts: list[Part] = []
    needs = await _needs(desk)
    if needs:
        parts.append(Tiles(needs))
    elif desk.principal.grants:
        parts.append(Said(title=_("Nothing waits for you"), tone="good"))
    else:
        then = _("Who manages the staff gives one; what it allows then stands at the left.")
        parts.append(Said(title=_("You have no role yet"), then=then, tone="info"))
    main: list[Part] = []
    if desk.may(Permission.READ_LIABILITY):
        main.append(Later(title=_("Does it balance?"), href="/office/balance"))
    if desk.may(Permission.READ_LEDGER):
        main += await _today(desk, begins, ends)
    greeting = _("Good day, %(name)s", name=desk.principal.name)
    return await desk.page(greeting, sub=desk.f.full_day(desk.now), top=parts, main=main)


async def _needs(desk: Desk) -> list[Tile]:
    """Return one tile for each kind of thing that waits for this reader, the empty ones left out."""
    _ = desk.gettext
    tiles: list[Tile] = []

    def add(number: int, label: str, href: str, tone: str = "warn") -> None:
        if number:
            shown = f"{_COUNT_MAX}+" if number >= _COUNT_MAX else desk.f.count(number)
            tiles.append(Tile(label, shown, tone=tone, href=href))

    if desk.may(Permission.READ_LEDGER):
        pending = await waiting(desk.session)
        add(pending.transfers, _("Bank transfers to match"), "/office/transfers")
        add(pending.adjustments, _("Adjustments to check"), "/office/adjustments")
        add(pending.closures, _("Closures to decide or pay"), "/office/closures")
    if desk.may(Permission.READ_STATION):
        reachable = desk.reachable(Permission.READ_STATION)
        unresolved = await list_unresolved(desk.session, reachable=reachable, limit=_COUNT_MAX)
        add(len(unresolved.rows), _("Unresolved fills"), "/office/unresolved", "bad")
        by = TerminalFilter(statuses=[TerminalStatus.QUARANTINED], reachable=reachable)
        quarantined = await list_terminals(desk.session, by=by, limit=_COUNT_MAX)
        add(len(quarantined.rows), _("Tills in quarantine"), "/office/terminals?status=quarantined", "bad")
        silent = TerminalFilter(statuses=[TerminalStatus.ACTIVE], silent_since=desk.now - timedelta(days=1), reachable=reachable)
        quiet = [one for one in (await list_terminals(desk.session, by=silent, limit=_COUNT_MAX)).rows if one.last_heartbeat_at]
        add(len(quiet), _("Tills not heard for a day"), "/office/terminals")
    if desk.may(Permission.MERGE_CUSTOMERS):
        doubtful = await list_suggestions(desk.session, limit=_COUNT_MAX)
        add(len(doubtful.rows), _("Perhaps the same customer"), "/office/merge-suggestions")
    if sees_failures(desk):
        add(len(await failed_jobs(desk.session)), _("Failed jobs"), FAILURES, "bad")
    # What rooms above know of: the composition root names them.
    sources: Sequence[WaitingSource] = getattr(desk.request.app.state, "waiting_sources", ())
    for source in sources:
        tiles += await source(desk)
    return tiles


async def _today(desk: Desk, begins: datetime, ends: datetime) -> list[Part]:
    _ = desk.gettext
    reachable = desk.reachable(Permission.READ_LEDGER)
    places = await lookups.places(desk)
    found = [
        one
        for one in await totals_by_station(desk.session, booked_from=begins, booked_to=ends)
        if reachable is None or one.station_id in reachable
    ]
    if not found:
        return [Rows(title=_("Today"), columns=[], rows=[], empty=_("No sale and no top-up yet today"))]
    parts: list[Part] = [_table(desk, found, places.names)]
    if len({one.currency for one in found}) == 1:
        parts.append(_chart(desk, found, places.names))
    return parts


def _table(desk: Desk, found: list[StationDay], names: dict[UUID, str]) -> Rows:
    _ = desk.gettext
    day = clock.local_date(desk.now, desk.zone).isoformat()
    single = len({one.currency for one in found}) == 1
    currency = found[0].currency
    return Rows(
        title=_("Today by station"),
        columns=[
            Column(_("Station")),
            Column(_("Sales"), "num"),
            Column(_("Sold"), "num"),
            Column(_("Litres"), "num"),
            Column(_("Top-ups"), "num"),
            Column(_("Loaded"), "num"),
            Column(_("Flagged"), "num"),
        ],
        rows=[
            [
                cells.link(desk, f"/office/sales?station={one.station_id}&since={day}", names.get(one.station_id, "—")),
                cells.count(desk, one.sales),
                cells.money(desk, one.sales_minor, one.currency),
                cells.quantity(desk, one.fuel_milli, None),
                cells.count(desk, one.loads),
                cells.money(desk, one.loads_minor, one.currency),
                Cell(desk.tag(str(one.flagged), "warn") if one.flagged else "0", one.flagged),
            ]
            for one in found
        ],
        totals=[
            Cell(_("Total"), ""),
            cells.count(desk, sum(one.sales for one in found)),
            cells.money(desk, sum(one.sales_minor for one in found), currency),
            cells.quantity(desk, sum(one.fuel_milli for one in found), None),
            cells.count(desk, sum(one.loads for one in found)),
            cells.money(desk, sum(one.loads_minor for one in found), currency),
            cells.count(desk, sum(one.flagged for one in found)),
        ]
        if single
        else None,
        empty="",
    )


def _chart(desk: Desk, found: list[StationDay], names: dict[UUID, str]) -> Drawn:
    _ = desk.gettext
    currency = found[0].currency
    top = sorted(found, key=lambda one: -one.sales_minor)[:24]
    chart = ranked_chart(
        _("Sold and loaded today"),
        [names.get(one.station_id, "—") for one in top],
        [Series(_("Sold"), [one.sales_minor for one in top]), Series(_("Loaded"), [one.loads_minor for one in top], "2")],
        text=lambda value: desk.f.money(value, currency),
        label_head=_("Station"),
    )
    return Drawn(chart)


@get("/balance")
async def balance(desk: NamedDependency[Desk]) -> Page:
    """Reckon today's change of what is owed twice: from the purses, and from the house's own accounts."""
    desk.require(Permission.READ_LIABILITY)
    _ = desk.gettext
    begins, _ends = clock.day_bounds(clock.local_date(desk.now, desk.zone), desk.zone)
    instant = (desk.now - timedelta(seconds=1)).replace(microsecond=0)
    begins = min(begins, instant)
    try:
        now, before = await ledger.liability_at(desk.session, instant=instant), await ledger.liability_at(desk.session, instant=begins)
    except ledger.InstantNotSettled as refusal:
        said, then = refusal.parts(desk.words.locale)
        return render(desk.request, "office/fragment.html", parts=[Said(title=said, then=then, tone="warn")], csrf=desk.token)
    house: dict[str, int] = {}
    for move in await ledger.house_movements(desk.session, since=begins, until=instant):
        house[move.currency] = house.get(move.currency, 0) + move.credit_minor - move.debit_minor
    parts: list[Part] = []
    tiles: list[Tile] = []
    for unit in sorted({unit for unit, _kind in now} - {POINTS}):
        owed = sum(amount for (one, _kind), amount in now.items() if one == unit)
        grown = owed - sum(amount for (one, _kind), amount in before.items() if one == unit)
        gap = grown + house.get(unit, 0)
        money = desk.f.money
        if gap:
            title = _("The books differ by %(amount)s", amount=money(gap, unit))
            parts.append(Said(title=title, tone="bad", then=_("Run `loyalty check`: it names the rows.")))
        tiles.append(Tile(_("Owed to holders"), money(owed, unit), href="/office/liability", note=desk.f.instant(instant)))
        tiles.append(Tile(_("Changed today"), money(grown, unit, sign=True)))
        tiles.append(Tile(_("Through the house's accounts"), money(-house.get(unit, 0), unit, sign=True), tone="bad" if gap else ""))
    if not parts:
        parts.append(
            Said(
                title=_("It balances, to the last cent"),
                tone="good",
                then=_("Reckoned twice: from the purses, and from the house's accounts."),
            )
        )
    return render(desk.request, "office/fragment.html", parts=[*parts, Tiles(tiles)], csrf=desk.token)


handlers = [home, balance]
