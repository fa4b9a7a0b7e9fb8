"""Flyers: which promotion brought whom, and how many of them stayed."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from litestar import get
from litestar.di import NamedDependency

from loyalty.paging import Page as Found
from loyalty.rewards.queries.campaign_people import FlyerFigures, list_flyers
from loyalty.web.office import lookups
from loyalty.web.office.campaign_parts import flyer_columns, flyer_row, flyers_empty
from loyalty.web.office.campaigns import FLYERS, admit, tabs
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field
from loyalty.web.office.parts import Cell
from loyalty.web.rendering import redirect

_SINCE: Final = timedelta(days=90)


@get(three("/flyers"))
async def flyers(desk: NamedDependency[Desk]) -> Any:
    """List flyer codes with whom they brought in their first days, by when customers were entered."""
    admit(desk)
    _ = desk.gettext
    listing = desk.listing(FLYERS, "", ["since", "until"])
    since, until = desk.query.days("since", "until")
    until = until or desk.now
    since = since or until - _SINCE
    sold = [one.currency for one in (await lookups.places(desk)).stations.values()]
    currency = max(sorted(set(sold)), key=sold.count) if sold else "CNY"

    async def fetch(cursor: str | None, limit: int) -> Found[FlyerFigures]:
        return await list_flyers(desk.session, since=since, until=until, currency=currency, cursor=cursor, limit=limit)

    async def rows(found: Sequence[FlyerFigures]) -> list[list[Cell]]:
        return [flyer_row(desk, each, currency) for each in found]

    return await show(
        desk,
        List(
            title=_("Flyers"),
            sub=_("Customers entered from %(since)s to %(until)s", since=desk.f.full_day(since), until=desk.f.full_day(until)),
            listing=listing,
            columns=flyer_columns(desk),
            fetch=fetch,
            rows=rows,
            filters=[
                field("since", _("From"), type="date", value=listing.filters["since"], required=False),
                field("until", _("To"), type="date", value=listing.filters["until"], required=False),
            ],
            tabs=tabs(desk, FLYERS),
            empty=flyers_empty(desk),
            empty_then=_("The code is asked for when a customer is entered, and at a top-up."),
            name="flyers",
        ),
    )


@get(three("/flyer-codes"))
async def moved(desk: NamedDependency[Desk]) -> Page:
    """Lead on from where the list stood before."""
    url = desk.request.url
    ending = url.path.rpartition("flyer-codes")[2]
    return redirect(desk.request, f"{FLYERS}{ending}" + (f"?{url.query}" if url.query else ""))


handlers = [flyers, moved]
