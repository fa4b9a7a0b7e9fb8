"""Where the company may fuel: each station's prices now, and what the company itself took there and paid."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from litestar import get
from litestar.di import NamedDependency

from loyalty import clock
from loyalty.fleet.queries.economy import own_use
from loyalty.identity.portal_rules import FleetPermission
from loyalty.limits.queries import limit_set_of
from loyalty.limits.rules import LimitSet
from loyalty.paging import Page as Found
from loyalty.stations.model import ProductCategory, StationStatus
from loyalty.stations.queries import BoardLine, StationFilter, StationView, list_stations, price_boards
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field
from loyalty.web.office.parts import Cell

PATH = "/fleet/stations"
_DAYS = 90
"""Over so many days what the company took itself is summed."""


@get(three("/stations"))
async def stations(fleet: NamedDependency[FleetDesk]) -> Any:
    """List the stations, by any part of a name or district."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "code", ["text"])
    by = StationFilter(text=listing.filters["text"], statuses=(StationStatus.OPEN, StationStatus.SHORTAGE))
    limits = await limit_set_of(fleet.session, subject_id=fleet.company_id)
    today = clock.local_date(fleet.now, fleet.company.time_zone)

    async def fetch(cursor: str | None, limit: int) -> Found[StationView]:
        return await list_stations(fleet.session, by=by, sort=listing.sort, cursor=cursor, limit=limit)

    async def rows(found: Sequence[StationView]) -> list[list[Cell]]:
        used = await own_use(
            fleet.session,
            company_id=fleet.company_id,
            station_ids=[one.station_id for one in found],
            since=today - timedelta(days=_DAYS),
            until=today + timedelta(days=1),
        )
        boards = await price_boards(fleet.session, station_ids=[one.station_id for one in found], at=fleet.now)
        lines = []
        for one in found:
            own = used[one.station_id]
            net_e4 = (own.gross_minor - own.discount_minor) * 100_000 // own.quantity_milli if own.quantity_milli > 0 else None
            lines.append(
                [
                    cells.text(fleet.words.either(one.name_zh, one.name_en)),
                    cells.text(fleet.words.either(one.district_name_zh, one.district_name_en)),
                    cells.text(one.address),
                    cells.text(_prices(fleet, boards[one.station_id])),
                    cells.text(_("Yes") if _may(limits, one) else _("No")),
                    cells.count(fleet, own.fills),
                    cells.quantity(fleet, own.quantity_milli, None),
                    cells.text(None if net_e4 is None else str(fleet.f.unit_price(net_e4, one.currency))),
                ]
            )
        return lines

    return await show(
        fleet,
        List(
            title=_("Stations"),
            sub=_("Own fills: the last %(days)s days, all departments", days=_DAYS),
            listing=listing,
            columns=[
                Column(_("Station"), sort="name_zh"),
                Column(_("District")),
                Column(_("Address")),
                Column(_("Prices now")),
                Column(_("Company may fuel")),
                Column(_("Own fills"), "num"),
                Column(_("Litres"), "num"),
                Column(_("Paid on average"), "num"),
            ],
            fetch=fetch,
            rows=rows,
            filters=[field("text", _("Find"), value=listing.filters["text"], required=False, key="F1")],
            top=fleet.told_parts(),
            empty=_("No such station"),
            empty_then=_("Look for part of its name."),
            name="stations",
        ),
    )


def _may(limits: LimitSet, one: StationView) -> bool:
    """Say whether the company's own limits leave a station to its cards; departments', vehicles' and cards' may be narrower."""
    places = ((limits.stations, one.station_id), (limits.districts, one.district_id), (limits.regions, one.region_id))
    return all(allowed is None or place in allowed for allowed, place in places)


def _prices(fleet: FleetDesk, board: Sequence[BoardLine]) -> str:
    """Say what each grade costs now."""
    fuel = [one for one in board if one.category is ProductCategory.FUEL]
    return " · ".join(
        f"{fleet.words.either(one.product_name_zh, one.product_name_en)} {fleet.f.unit_price(one.unit_price_e4, one.currency)}"
        for one in fuel
    )


handlers = [stations]
