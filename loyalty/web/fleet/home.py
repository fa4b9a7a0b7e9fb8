"""The portal's first page: what was used, what is odd, what waits."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from litestar import get
from litestar.di import NamedDependency

from loyalty import clock
from loyalty.authorizations.queries import SaleLine
from loyalty.fleet.allocation_rules import Span, before, span_of
from loyalty.fleet.detecting import Severity
from loyalty.fleet.queries.allocations import pool_minor
from loyalty.fleet.queries.cash import cash_between, cash_waiting
from loyalty.fleet.queries.custody import loans_waiting
from loyalty.fleet.queries.economy import Total, per_100_km, way_of
from loyalty.fleet.queries.vehicles import VehicleFilter, count_vehicles
from loyalty.fleet.queries.watching import open_by_severity, requests_waiting, waiting_of
from loyalty.identity.portal_rules import FleetPermission
from loyalty.web.desk import Page, PageDesk
from loyalty.web.fleet import queries
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.economy_parts import TREND, near_rows, spans_to, totals_of, trend
from loyalty.web.fleet.watch_words import SEVERITY
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.parts import Act, Cell, Part, Rows, Said, Tile, Tiles

LATEST: Final = 8


@get("/")
async def home(fleet: NamedDependency[FleetDesk]) -> Page:
    """Answer the fleet manager's first questions at the top: what was used, what is odd, what waits; below, how it went on."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    company, rooms = fleet.company, fleet.departments
    today = clock.local_date(fleet.now, company.time_zone)
    span = span_of(today, period_day=company.period_day)
    spans = spans_to(span, TREND)
    totals = await totals_of(fleet, spans)
    now, then = totals[span.first], totals[before(span).first]
    cards = await queries.count_cards(fleet.session, account_id=company.account_id, departments=rooms)
    vehicles = await count_vehicles(fleet.session, company_id=fleet.company_id, by=VehicleFilter(department_ids=rooms))
    days = (today - span.first).days + 1
    # As much of the last period as has gone by of this one: a comparison that is fair on its second day, too.
    former = before(span)
    fair = (await totals_of(fleet, [Span(former.first, min(former.first + timedelta(days=days), span.first))])).popitem()[1]
    tiles = await _used(fleet, span, now, then, fair)
    tiles.append(
        Tile(_("Vehicles"), fleet.f.count(vehicles), href="/fleet/vehicles", note=_("%(cards)s cards", cards=fleet.f.count(cards)))
    )
    if rooms is None:
        tiles.append(await _pool(fleet, now.card_minor, days))
    tiles += await _waits(fleet)
    top: list[Part] = [Tiles(tiles)]
    if not vehicles and not cards and fleet.may(FleetPermission.EDIT_STRUCTURE):
        top.append(
            Said(
                title=_("Begin with your vehicles"),
                then=_("Enter them one by one; cards are then given to them."),
                acts=[Act(_("Add a vehicle"), "/fleet/vehicles/new", primary=True)],
            )
        )
    fills = await latest_fills(fleet)
    main: list[Part] = [*await near_rows(fleet, today)]
    if any(one.fills for one in totals.values()):
        main.append(trend(fleet, spans, totals))
    return await fleet.page(company.name, sub=fleet.days(*span), top=top, main=[*main, *fleet.told_parts(), fills])


async def _used(fleet: FleetDesk, span: Span, now: Total, then: Total, fair: Total) -> list[Tile]:
    """Return what was used in this period, each figure with what it is measured by."""
    _ = fleet.gettext
    company, f = fleet.company, fleet.f
    milli, km = await way_of(
        fleet.session, company_id=fleet.company_id, first=span.first, period_day=company.period_day, departments=fleet.departments
    )
    rate = per_100_km(milli, km)
    paid, _amount = await cash_between(
        fleet.session, company_id=fleet.company_id, first=span.first, end=span.end, departments=fleet.departments
    )
    besides = _("besides %(litres)s in cash", litres=f.quantity(paid, "L")) if paid else ""
    grown = _trend(fleet, now.quantity_milli, fair.quantity_milli)
    tiles = [
        Tile(_("Fuel in this period"), f.quantity(now.quantity_milli, "L"), note=" · ".join(one for one in (grown, besides) if one)),
        Tile(
            _("Spent in this period"),
            f.money(now.card_minor, company.currency),
            note=_("saved %(amount)s", amount=f.money(now.discount_minor, company.currency)) if now.discount_minor else "",
            href="/fleet/fills",
        ),
    ]
    if rate is not None:
        way = _("over %(km)s km", km=f.count(km))
        tiles.append(Tile(_("Litres per 100 km"), f.quantity(rate, "L"), note=way, href="/fleet/economy"))
    if now.carbon_g or then.carbon_g:
        emitted, former = (f.quantity((one.carbon_g + 500) // 1000 * 1000, "kg", digits=0) for one in (now, then))
        tiles.append(Tile(_("CO₂"), emitted, note=_("last period %(kilograms)s", kilograms=former) if then.carbon_g else ""))
    return tiles


async def _waits(fleet: FleetDesk) -> list[Tile]:
    """Return a tile for each kind of thing that waits for somebody, none where nothing does."""
    _ = fleet.gettext
    rooms = fleet.departments
    asked, odd = await waiting_of(fleet.session, company_id=fleet.company_id, departments=rooms)
    tiles: list[Tile] = []
    if asked:
        tiles.append(Tile(_("Waits for your answer"), fleet.f.count(asked), tone="warn", href="/fleet/approvals?status=asked"))
    if requests := await requests_waiting(fleet.session, company_id=fleet.company_id, departments=rooms):
        tiles.append(Tile(_("Allocations to be decided"), fleet.f.count(requests), tone="warn", href="/fleet/allocations"))
    loans, late = await loans_waiting(fleet.session, company_id=fleet.company_id, departments=rooms, now=fleet.now)
    if loans:
        tiles.append(Tile(_("Loans to be decided"), fleet.f.count(loans), tone="warn", href="/fleet/custody?status=requested"))
    if late:
        tiles.append(Tile(_("Cards overdue"), fleet.f.count(late), tone="bad", href="/fleet/custody?status=overdue"))
    if fleet.may(FleetPermission.APPROVE_CASH):
        me = str(fleet.actor.actor_id)
        if cash := await cash_waiting(fleet.session, company_id=fleet.company_id, not_by=me, departments=rooms):
            tiles.append(Tile(_("Cash fills to approve"), fleet.f.count(cash), tone="warn", href="/fleet/cash?status=filed"))
    if odd:
        by = await open_by_severity(fleet.session, company_id=fleet.company_id, departments=rooms)
        note = " · ".join(f"{_(SEVERITY[one][0])} {fleet.f.count(by[one])}" for one in reversed(Severity) if one in by)
        tone = "bad" if Severity.HIGH in by else "warn"
        tiles.append(Tile(_("Oddities to be looked at"), fleet.f.count(odd), note=note, tone=tone, href="/fleet/findings?status=open"))
    return tiles


async def _pool(fleet: FleetDesk, spent_minor: int, days: int) -> Tile:
    """Return the pool's tile, with how long it lasts at this period's pace."""
    _ = fleet.gettext
    pool = await pool_minor(fleet.session, company=fleet.company, with_credit=False)
    lasts = pool * days // spent_minor if spent_minor > 0 and pool > 0 else None
    note = _("lasts %(days)s days at this pace", days=lasts) if lasts is not None else ""
    tone = "bad" if pool <= 0 else "warn" if lasts is not None and lasts < 5 else ""
    return Tile(_("Pool"), fleet.f.money(pool, fleet.company.currency), note=note, tone=tone)


def _trend(fleet: FleetDesk, now: int, then: int) -> str:
    if not then:
        return ""
    percent = round((now - then) * 1000 / then)
    sign = "▲" if percent > 0 else "▼" if percent < 0 else "＝"
    return fleet.gettext("%(sign)s %(percent)s %% against the last period", sign=sign, percent=f"{abs(percent) / 10:.1f}")


async def latest_fills(fleet: FleetDesk, *, plate: str = "") -> Rows:
    """Return the last few fills, of the company or of one vehicle, with the way to all of them."""
    _ = fleet.gettext
    account_id = fleet.company.account_id
    found = await queries.list_fills(fleet.session, account_id=account_id, departments=fleet.departments, plate=plate, limit=LATEST)
    return Rows(
        title=_("Latest fills"),
        columns=fill_columns(fleet),
        rows=await fill_rows(fleet, found.rows),
        empty=_("No fill yet"),
        empty_then=_("They stand here as soon as a card was used."),
        acts=[Act(_("All fills"), f"/fleet/fills?{urlencode({'plate': plate})}" if plate else "/fleet/fills")] if found.rows else [],
    )


def fill_columns(desk: PageDesk) -> list[Column]:
    """Return the heads of a list of fills."""
    _ = desk.gettext
    heads = [_("When"), _("Vehicle"), _("Driver"), _("Card"), _("Station"), _("Product")]
    return [*map(Column, heads), Column(_("Quantity"), "num"), Column(_("Discount"), "num"), Column(_("Paid by card"), "num")]


async def fill_rows(fleet: FleetDesk, found: Sequence[SaleLine]) -> list[list[Cell]]:
    """Return fills' lines, with whose they were."""
    whose = await queries.whose_were(fleet.session, account_id=fleet.company.account_id, sale_ids=[one.sale_id for one in found])
    return [_fill_row(fleet, one, *whose.get(one.sale_id, (None, None))) for one in found]


def _fill_row(fleet: FleetDesk, one: SaleLine, plate: str | None, driver: str | None) -> list[Cell]:
    return [
        cells.linked(fleet, f"/fleet/fills/{one.sale_id}", cells.when(fleet, one.event_at)),
        cells.plate(fleet, plate),
        cells.text(driver),
        cells.text(f"•••• {one.card_tail}" if one.card_tail else None),
        cells.text(fleet.words.either(one.station_name_zh, one.station_name_en)),
        cells.text(fleet.words.either(one.product_name_zh or "", one.product_name_en or "")),
        cells.quantity(fleet, one.quantity_milli, None),
        cells.money(fleet, one.discount_minor, one.currency),
        cells.money(fleet, one.card_minor, one.currency),
    ]


handlers = [home]
