"""The partner's own book: its lines, a month at a time, and what they come to."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from litestar import get
from litestar.di import NamedDependency

from loyalty.identity.partner_rules import PartnerPermission
from loyalty.paging import Page as Found
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import select
from loyalty.web.office.parts import Cell, Tile, Tiles
from partners.model_lines import LineKind
from partners.queries.lines import LineView, lines_of, sums_by_month, sums_of
from partners.web.partner.desk import PartnerDesk
from partners.web.partner.frame import HOME

_ALL: Final = "all"
KIND: Final = {
    LineKind.REDEMPTION: (N_("Redemption"), "good"),
    LineKind.ROLLBACK: (N_("Undone"), "warn"),
    LineKind.SALE: (N_("Sale"), ""),
    LineKind.BLOCK: (N_("Paid in advance"), "info"),
    LineKind.ADJUSTMENT: (N_("Put right"), "info"),
    LineKind.PAYMENT: (N_("Payment"), "info"),
    LineKind.DIFFERENCE: (N_("Invoice's difference"), "info"),
    LineKind.OFFLINE_LOSS: (N_("Offline, used up before"), "warn"),
}


@get(three("/book"))
async def book(partner: NamedDependency[PartnerDesk]) -> Any:
    """List the lines of a month, by default the latest, above them what they come to."""
    partner.require(PartnerPermission.READ_LINES)
    _ = partner.gettext
    currency = partner.partner.currency
    months = [period for period, _sums in await sums_by_month(partner.session, partner_id=partner.partner_id)]
    listing = partner.listing(f"{HOME}/book", "", ["month"])
    wanted = listing.filters["month"]
    latest = months[0] if months else None
    period = None if wanted == _ALL else next((each for each in months if f"{each:%Y-%m}" == wanted), latest)
    sums = await sums_of(partner.session, partner_id=partner.partner_id, period=period)

    async def fetch(cursor: str | None, limit: int) -> Found[LineView]:
        return await lines_of(partner.session, partner_id=partner.partner_id, period=period, cursor=cursor, limit=limit)

    async def rows(found: Sequence[LineView]) -> list[list[Cell]]:
        return [_row(partner, each) for each in found]

    counted = _("%(lines)s lines", lines=partner.f.count(sums.lines))
    top = Tiles(
        [
            Tile(_("Bills"), partner.f.money(sums.gross_minor, currency), note=counted),
            Tile(_("Customers saved"), partner.f.money(sums.saved_minor, currency)),
            Tile(_("Commission"), partner.f.money(sums.commission_minor, currency)),
            Tile(_("Due to you"), partner.f.money(sums.due_minor, currency), note=_("you owe") if sums.due_minor < 0 else ""),
        ]
    )
    heads = (_("Bill"), _("Customer saved"), _("You bear"), _("Commission"), _("Due to you"))
    return await show(
        partner,
        List(
            title=_("Book"),
            crumbs=(),
            listing=listing,
            columns=[
                Column(_("No."), "num"),
                Column(_("When")),
                Column(_("What")),
                Column(_("Outlet")),
                Column(_("Reference")),
                *(Column(head, "num") for head in heads),
            ],
            fetch=fetch,
            rows=rows,
            filters=[
                select("month", _("Month"), _options(partner, months), value=_ALL if period is None else f"{period:%Y-%m}", required=False)
            ],
            top=[top],
            empty=_("Nothing was redeemed yet"),
            empty_then=_("Each redemption at your outlets is a line here."),
            name="book" if period is None else f"book-{period:%Y-%m}",
        ),
    )


def _options(partner: PartnerDesk, months: Sequence[date]) -> list[tuple[str, str]]:
    return [*((f"{each:%Y-%m}", partner.f.month(each)) for each in months), (_ALL, partner.gettext("All months"))]


def _number(partner: PartnerDesk, number: int) -> Cell:
    shown = cells.count(partner, number)
    return cells.linked(partner, f"{HOME}/book/{number}/dispute", shown) if partner.may(PartnerPermission.SETTLEMENT) else shown


def _row(partner: PartnerDesk, one: LineView) -> list[Cell]:
    outlet = partner.either(one.outlet_zh or "", one.outlet_en or "")
    said = cells.tag(partner, one.kind, KIND)
    of = f"{said.export} #{one.mirrors}" if one.mirrors else str(said.export)
    amounts = (one.gross_minor, one.saved_minor, one.partner_minor, one.commission_minor, one.due_minor)
    return [
        _number(partner, one.number),
        cells.when(partner, one.event_at),
        Cell(partner.tag(of, KIND[one.kind][1]), of),
        cells.text(" · ".join(part for part in (outlet, one.served_by) if part)),
        cells.text(" · ".join(part for part in (one.reference, one.why) if part)),
        *(cells.money(partner, amount, one.currency) for amount in amounts),
    ]


handlers = [book]
