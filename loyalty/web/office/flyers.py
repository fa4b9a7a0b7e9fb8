"""Flyers: which promotion brought whom, and how many of them stayed."""

from litestar import get
from litestar.di import NamedDependency

from loyalty.identity.rules import Permission
from loyalty.pricing.queries.live import latest_document
from loyalty.rewards.queries.flyers import FlyerResult, flyer_results
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.parts import Cell, Rows

PATH = "/office/flyers"


@get("/flyers")
async def flyers(desk: NamedDependency[Desk]) -> Page:
    """Show each flyer's conversion: brought, topped up, fuelled, came more than twice."""
    desk.require(Permission.READ_CUSTOMERS)
    _ = desk.gettext
    currency = (await latest_document(desk.session))[1].currency
    found = await flyer_results(desk.session, currency=currency)
    columns = [
        Column(_("Flyer code")),
        Column(_("First, last")),
        Column(_("Brought"), "num"),
        Column(_("With a top-up"), "num"),
        Column(_("With a fill"), "num"),
        Column(_("Came more than twice"), "num"),
        Column(_("Top-ups"), "num"),
        Column(_("Spent"), "num"),
    ]
    table = Rows(
        title=_("What each flyer brought"),
        note=_("by the code said when the customer was entered"),
        columns=columns,
        rows=[_row(desk, one, currency) for one in found],
        empty=_("No flyer yet"),
        empty_then=_("Say the flyer's code when a card is issued: here stands what it brought."),
    )
    return await desk.page(_("Flyers"), sub=_("Which promotion brought the customer"), main=[table])


def _row(desk: Desk, one: FlyerResult, currency: str) -> list[Cell]:
    span = f"{desk.f.day(one.first_at)} – {desk.f.day(one.last_at)}"
    return [
        cells.text(one.code),
        Cell(span, one.first_at),
        cells.count(desk, one.brought),
        _share(desk, one.topped_up, one.brought),
        _share(desk, one.fuelled, one.brought),
        _share(desk, one.stayed, one.brought),
        cells.money(desk, one.topup_minor, currency),
        cells.money(desk, one.spend_minor, currency),
    ]


def _share(desk: Desk, part: int, whole: int) -> Cell:
    """Write a number with its share of those who were brought."""
    return Cell(f"{desk.f.count(part)} · {desk.f.percent(part * 10_000 // whole, digits=0)}" if whole else "0", part)


handlers = [flyers]
