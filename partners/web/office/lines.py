"""A partner's book: its lines, a month at a time, and what they come to."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import select
from loyalty.web.office.parts import Act, Cell, Rows, Tile, Tiles
from partners.queries.alliances import PartnerView, get_partner
from partners.queries.lines import LineView, Sums, lines_of, sums_by_month, sums_of
from partners.web.office.common import base_of, crumbs_of
from partners.web.office.labels import LINE
from partners.web.office.wording import TermsVoice

_ALL = "all"
_MONTHS_SHOWN = 6


async def book_part(desk: Desk, one: PartnerView) -> Rows:
    """Return what the latest months come to, with the way to their lines."""
    _ = desk.gettext
    months = await sums_by_month(desk.session, partner_id=one.partner_id)
    base = f"{base_of(one.partner_id)}/lines"
    return Rows(
        title=_("Book"),
        columns=[Column(_("Month")), *(Column(head, "num") for head in (_("Lines"), _("Sales there"), _("Commission"), _("We owe")))],
        rows=[
            [
                cells.link(desk, f"{base}?month={period:%Y-%m}", desk.f.month(period)),
                cells.count(desk, sums.lines),
                cells.money(desk, sums.gross_minor, one.currency),
                cells.money(desk, sums.commission_minor, one.currency),
                cells.money(desk, sums.due_minor, one.currency),
            ]
            for period, sums in months[:_MONTHS_SHOWN]
        ],
        empty=_("Nothing was redeemed yet"),
        acts=[Act(_("All lines"), f"{base}?month={_ALL}")] if months else [],
        id="book",
    )


@get(three("/partners/{partner_id:uuid}/lines"))
async def lines(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Any:
    """List the lines of a month, by default the latest, above them what they come to."""
    desk.require(Permission.READ_ALLIANCES)
    _ = desk.gettext
    one = await get_partner(desk.session, partner_id=partner_id)
    voice = TermsVoice(desk, one.currency)
    months = [period for period, _sums in await sums_by_month(desk.session, partner_id=partner_id)]
    listing = desk.listing(f"{base_of(partner_id)}/lines", "", ["month"])
    wanted = listing.filters["month"]
    latest = months[0] if months else None
    period = None if wanted == _ALL else next((each for each in months if f"{each:%Y-%m}" == wanted), latest)
    sums = await sums_of(desk.session, partner_id=partner_id, period=period)

    async def fetch(cursor: str | None, limit: int) -> Found[LineView]:
        return await lines_of(desk.session, partner_id=partner_id, period=period, cursor=cursor, limit=limit)

    async def rows(found: Sequence[LineView]) -> list[list[Cell]]:
        base = base_of(partner_id) if desk.may(Permission.EDIT_ALLIANCES) else ""
        return [_row(desk, each, voice, base) for each in found]

    heads = (_("Sale"), _("Customer saved"), _("Partner bears"), _("Commission"), _("We owe"))
    return await show(
        desk,
        List(
            title=_("Book of %(partner)s", partner=desk.either(one.name_zh, one.name_en)),
            crumbs=crumbs_of(desk, one, (_("Book"), "")),
            listing=listing,
            columns=[
                Column(_("No."), "num"),
                Column(_("When")),
                Column(_("What")),
                Column(_("Outlet")),
                Column(_("Reference")),
                *(Column(head, "num") for head in heads),
                Column(_("Who bears it")),
            ],
            fetch=fetch,
            rows=rows,
            filters=[
                select("month", _("Month"), _options(desk, months), value=_ALL if period is None else f"{period:%Y-%m}", required=False)
            ],
            top=[_tiles(desk, one, sums)],
            empty=_("Nothing was redeemed yet"),
            empty_then=_("Each redemption at its outlets is a line here."),
            name=f"{one.code}-lines" if period is None else f"{one.code}-lines-{period:%Y-%m}",
        ),
    )


def _options(desk: Desk, months: Sequence[date]) -> list[tuple[str, str]]:
    return [*((f"{each:%Y-%m}", desk.f.month(each)) for each in months), (_ALL, desk.gettext("All months"))]


def _tiles(desk: Desk, one: PartnerView, sums: Sums) -> Tiles:
    _ = desk.gettext
    money = desk.f.money
    partner = _("the partner bears %(amount)s", amount=money(sums.partner_minor, one.currency)) if sums.partner_minor else ""
    paid = _("of it moved besides: %(amount)s", amount=money(sums.paid_minor, one.currency, sign=True)) if sums.paid_minor else ""
    owes = _("the partner owes us") if sums.due_minor < 0 else paid
    counted = _("%(lines)s lines, %(pieces)s pieces", lines=desk.f.count(sums.lines), pieces=desk.f.count(sums.pieces))
    return Tiles(
        [
            Tile(_("Sales there"), money(sums.gross_minor, one.currency), note=counted),
            Tile(_("Customers saved"), money(sums.saved_minor, one.currency), note=partner),
            Tile(_("Commission for us"), money(sums.commission_minor, one.currency)),
            Tile(_("We owe"), money(sums.due_minor, one.currency), note=owes),
        ]
    )


def _row(desk: Desk, one: LineView, voice: TermsVoice, base: str) -> list[Cell]:
    number = cells.count(desk, one.number)
    outlet = desk.either(one.outlet_zh or "", one.outlet_en or "")
    bears = " · ".join(f"{voice.funder(who)} {voice.money(part)}" for who, part in one.shares.items() if part)
    what = cells.tag(desk, one.kind, LINE)
    of = f"{what.export} #{one.mirrors}" if one.mirrors else str(what.export)
    return [
        cells.linked(desk, f"{base}/lines/{one.number}/dispute", number) if base else number,
        cells.when(desk, one.event_at),
        Cell(desk.tag(of, LINE[one.kind][1]), of),
        cells.text(" · ".join(part for part in (outlet, one.served_by) if part)),
        cells.text(" · ".join(part for part in (one.benefit or "", one.reference, one.why) if part)),
        cells.money(desk, one.gross_minor, one.currency),
        cells.money(desk, one.saved_minor, one.currency),
        cells.money(desk, one.partner_minor, one.currency),
        cells.money(desk, one.commission_minor, one.currency),
        cells.money(desk, one.due_minor, one.currency),
        cells.text(bears),
    ]


handlers = [lines]
