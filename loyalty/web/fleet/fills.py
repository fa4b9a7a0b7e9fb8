"""Fills: the company's sales as a list and as a file."""

from collections.abc import Sequence
from typing import Any

from litestar import get
from litestar.di import NamedDependency

from loyalty.authorizations.queries import SaleLine
from loyalty.identity.portal_rules import FleetPermission
from loyalty.paging import Page as Found
from loyalty.web.fleet import queries
from loyalty.web.fleet.cash import paid_by
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.home import fill_columns, fill_rows
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field
from loyalty.web.office.parts import Cell

PATH = "/fleet/fills"


@get(three("/fills"))
async def fills(fleet: NamedDependency[FleetDesk]) -> Any:
    """List what the company's cards paid for, the latest first."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "", ["since", "until", "plate", "driver"])
    begin, end = fleet.query.days("since", "until")

    async def fetch(cursor: str | None, limit: int) -> Found[SaleLine]:
        return await queries.list_fills(
            fleet.session,
            account_id=fleet.company.account_id,
            departments=fleet.departments,
            begin=begin,
            end=end,
            plate=listing.filters["plate"],
            driver=listing.filters["driver"],
            cursor=cursor,
            limit=limit,
        )

    async def rows(found: Sequence[SaleLine]) -> list[list[Cell]]:
        return await fill_rows(fleet, found)

    return await show(
        fleet,
        List(
            title=_("Fuel records"),
            listing=listing,
            tabs=paid_by(fleet, cash=False),
            columns=fill_columns(fleet),
            fetch=fetch,
            rows=rows,
            filters=[
                field("plate", _("Vehicle"), value=listing.filters["plate"], required=False, key="F1"),
                field("driver", _("Driver"), value=listing.filters["driver"], required=False),
                field("since", _("From"), value=listing.filters["since"], type="date", required=False),
                field("until", _("To"), value=listing.filters["until"], type="date", required=False),
            ],
            empty=_("No fill in this time"),
            name="fills",
        ),
    )


handlers = [fills]
