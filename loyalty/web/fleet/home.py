"""The portal's first page: what was used, what is odd, what waits."""

from datetime import timedelta
from typing import Final

from litestar import get
from litestar.di import NamedDependency

from loyalty import clock
from loyalty.authorizations.queries import SaleLine
from loyalty.fleet.allocation_rules import before, instants, span_of
from loyalty.fleet.queries.departments import counts_of
from loyalty.fleet.queries.vehicles import VehicleFilter, list_vehicles
from loyalty.fleet.queries.watching import waiting_of
from loyalty.identity.portal_rules import FleetPermission
from loyalty.ledger.model import PurseKind
from loyalty.ledger.queries import purses_of
from loyalty.web.desk import Page, PageDesk
from loyalty.web.fleet import queries
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.parts import Act, Cell, Part, Rows, Said, Tile, Tiles

LATEST: Final = 8


@get("/")
async def home(fleet: NamedDependency[FleetDesk]) -> Page:
    """Answer the fleet manager's first question at the top; the latest fills below."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    company = fleet.company
    span = span_of(clock.local_date(fleet.now, company.time_zone), period_day=company.period_day)
    begin, _end = instants(span, company.time_zone)
    account_id, rooms = company.account_id, fleet.departments
    now = await queries.used(fleet.session, account_id=account_id, departments=rooms, begin=begin, end=fleet.now)
    former, _former_end = instants(before(span), company.time_zone)
    # As much of the last period as has gone by of this one: a comparison that is fair on its second day, too.
    then = await queries.used(
        fleet.session, account_id=account_id, departments=rooms, begin=former, end=min(begin, former + (fleet.now - begin))
    )
    cards = await queries.count_cards(fleet.session, account_id=company.account_id, departments=fleet.departments)
    vehicles = await _vehicles(fleet)
    money = fleet.f.money
    tiles = [
        Tile(
            _("Fuel in this period"), fleet.f.quantity(now.quantity_milli, "L"), note=_trend(fleet, now.quantity_milli, then.quantity_milli)
        ),
        Tile(
            _("Spent in this period"),
            money(now.spent_minor, company.currency),
            note=_("saved %(amount)s", amount=money(now.saved_minor, company.currency)) if now.saved_minor else "",
            href="/fleet/fills",
        ),
        Tile(_("Vehicles"), fleet.f.count(vehicles), href="/fleet/vehicles", note=_("%(cards)s cards", cards=fleet.f.count(cards))),
    ]
    if fleet.departments is None:
        tiles.append(await _pool(fleet, now.spent_minor, (fleet.now - begin) / timedelta(days=1)))
    found = await queries.list_fills(fleet.session, account_id=account_id, departments=rooms, limit=LATEST)
    asked, odd = await waiting_of(fleet.session, company_id=fleet.company_id, departments=rooms)
    if asked:
        tiles.append(Tile(_("Waits for your answer"), fleet.f.count(asked), tone="warn", href="/fleet/approvals?status=asked"))
    if odd:
        tiles.append(Tile(_("Oddities to be looked at"), fleet.f.count(odd), tone="warn", href="/fleet/findings?status=open"))
    top: list[Part] = [Tiles(tiles)]
    if not vehicles and not cards and fleet.may(FleetPermission.EDIT_STRUCTURE):
        top.append(
            Said(
                title=_("Begin with your vehicles"),
                then=_("Enter them one by one; cards are then given to them."),
                acts=[Act(_("Add a vehicle"), "/fleet/vehicles/new", primary=True)],
            )
        )
    fills = Rows(
        title=_("Latest fills"),
        columns=fill_columns(fleet),
        rows=[fill_row(fleet, one) for one in found.rows],
        empty=_("No fill yet"),
        empty_then=_("They stand here as soon as a card was used."),
        acts=[Act(_("All fills"), "/fleet/fills")] if found.rows else [],
    )
    sub = _("%(first)s to %(last)s", first=fleet.f.full_day(span.first), last=fleet.f.full_day(span.end - timedelta(days=1)))
    return await fleet.page(company.name, sub=sub, top=top, main=[fills])


async def _vehicles(fleet: FleetDesk) -> int:
    if fleet.departments is None:
        counts, _drivers, _cards = await counts_of(fleet.session, company_id=fleet.company_id)
        return sum(counts.values())
    by = VehicleFilter(department_ids=fleet.departments)
    return len((await list_vehicles(fleet.session, company_id=fleet.company_id, by=by, limit=200)).rows)


async def _pool(fleet: FleetDesk, spent_minor: int, days: float) -> Tile:
    """Return the pool's tile, with how long it lasts at this period's pace."""
    _ = fleet.gettext
    purses = await purses_of(fleet.session, account_id=fleet.company.account_id)
    pool = sum(one.balance_minor - one.held_minor for one in purses if one.kind is PurseKind.PRINCIPAL and one.card_id is None)
    lasts = int(pool * days / spent_minor) if spent_minor > 0 and pool > 0 and days >= 1 else None
    note = _("lasts %(days)s days at this pace", days=lasts) if lasts is not None else ""
    tone = "bad" if pool <= 0 else "warn" if lasts is not None and lasts < 5 else ""
    return Tile(_("Pool"), fleet.f.money(pool, fleet.company.currency), note=note, tone=tone)


def _trend(fleet: FleetDesk, now: int, then: int) -> str:
    if not then:
        return ""
    percent = round((now - then) * 1000 / then)
    sign = "▲" if percent > 0 else "▼" if percent < 0 else "＝"
    return fleet.gettext("%(sign)s %(percent)s %% against the last period", sign=sign, percent=f"{abs(percent) / 10:.1f}")


def fill_columns(desk: PageDesk) -> list[Column]:
    """Return the heads of a list of fills."""
    _ = desk.gettext
    return [
        Column(_("When")),
        Column(_("Card")),
        Column(_("Station")),
        Column(_("Product")),
        Column(_("Quantity"), "num"),
        Column(_("Discount"), "num"),
        Column(_("Paid by card"), "num"),
    ]


def fill_row(desk: PageDesk, one: SaleLine) -> list[Cell]:
    """Return one fill's line."""
    return [
        cells.when(desk, one.event_at),
        cells.text(f"•••• {one.card_tail}" if one.card_tail else None),
        cells.text(desk.words.either(one.station_name_zh, one.station_name_en)),
        cells.text(desk.words.either(one.product_name_zh or "", one.product_name_en or "")),
        cells.quantity(desk, one.quantity_milli, None),
        cells.money(desk, one.discount_minor, one.currency),
        cells.money(desk, one.card_minor, one.currency),
    ]


handlers = [home]
