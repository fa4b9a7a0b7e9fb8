"""The group: what each company below this one used and spent, side by side."""

from typing import Any

from litestar import get
from litestar.di import NamedDependency

from loyalty import clock
from loyalty.errors import NotFound
from loyalty.fleet.allocation_rules import span_of
from loyalty.fleet.queries.group import Member, group_figures
from loyalty.identity.portal_rules import FleetPermission
from loyalty.paging import Page as Found
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.economy_parts import TREND, spans_to
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import select
from loyalty.web.office.parts import Cell

PATH = "/fleet/group"


@get(three("/group"))
async def group(fleet: NamedDependency[FleetDesk]) -> Any:
    """Show the companies of the group by a period of this company's own calendar.

    :raises NotFound: if no company stands below this one
    """
    fleet.require(FleetPermission.READ_GROUP)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "", ["period"])
    present = span_of(clock.local_date(fleet.now, fleet.company.time_zone), period_day=fleet.company.period_day)
    spans = spans_to(present, TREND)[::-1]
    span = next((one for one in spans if one.first.isoformat() == listing.filters["period"]), spans[0])
    members = await group_figures(fleet.session, first=span.first, end=span.end)
    if len(members) < 2:
        raise NotFound

    async def fetch(_cursor: str | None, _limit: int) -> Found[Member]:
        return Found(rows=list(members), next=None, previous=None)

    async def rows(found: Any) -> list[list[Cell]]:
        return [_row(fleet, one) for one in found]

    heads = [_("Fills"), _("Quantity"), _("Saving"), _("Paid by card"), _("Vehicles"), _("Cards"), _("Oddities"), _("Pool")]
    return await show(
        fleet,
        List(
            title=_("Group of companies"),
            sub=fleet.days(*span),
            listing=listing,
            columns=[Column(_("Company")), *(Column(head, "num") for head in heads)],
            fetch=fetch,
            rows=rows,
            totals=lambda found: _totals(fleet, found),
            filters=[
                select(
                    "period",
                    _("Billing period"),
                    [(one.first.isoformat(), fleet.days(*one)) for one in spans],
                    value=span.first.isoformat(),
                    required=False,
                )
            ],
            empty="",
            name="group",
        ),
    )


def _row(fleet: FleetDesk, one: Member) -> list[Cell]:
    indent = "\N{EM SPACE}" * one.depth
    return [
        cells.text(f"{indent}{one.name}"),
        cells.count(fleet, one.fills),
        cells.quantity(fleet, one.quantity_milli),
        cells.money(fleet, one.discount_minor, one.currency),
        cells.money(fleet, one.card_minor, one.currency),
        cells.count(fleet, one.vehicles),
        cells.count(fleet, one.cards),
        cells.count(fleet, one.findings),
        cells.money(fleet, one.pool_minor, one.currency),
    ]


def _totals(fleet: FleetDesk, found: Any) -> list[Cell]:
    """Add the companies up; money only where all have one currency."""
    currencies = {one.currency for one in found}

    def money(name: str) -> Cell:
        if len(currencies) > 1:
            return cells.text(None)
        return cells.money(fleet, sum(getattr(one, name) for one in found), next(iter(currencies)))

    def count(name: str) -> Cell:
        return cells.count(fleet, sum(getattr(one, name) for one in found))

    quantity = cells.quantity(fleet, sum(one.quantity_milli for one in found))
    figures = [count("fills"), quantity, money("discount_minor"), money("card_minor")]
    return [cells.text(fleet.gettext("Total")), *figures, count("vehicles"), count("cards"), count("findings"), money("pool_minor")]


handlers = [group]
