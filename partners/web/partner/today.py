"""An outlet's day, line by line; and who served how much in a month."""

from datetime import date
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from markupsafe import Markup

from loyalty import clock
from loyalty.identity.partner_rules import PartnerPermission
from loyalty.web.desk import Page
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.parts import Act, Cell, Rows, Tile, Tiles
from partners.model_lines import LineKind
from partners.queries.counter import Use, day_at, served_in
from partners.web.partner.desk import PartnerDesk
from partners.web.partner.frame import HOME


@get("/today")
async def today(partner: NamedDependency[PartnerDesk]) -> Page:
    """Show what was redeemed and sold at the outlet today, each with its way back while there is one."""
    partner.require(PartnerPermission.REDEEM)
    _ = partner.gettext
    since, until = clock.day_bounds(clock.local_date(partner.now, partner.zone), partner.zone)
    found = await day_at(partner.session, partner_id=partner.partner_id, outlet_id=partner.here.outlet_id, since=since, until=until)
    tiles = Tiles(
        [
            Tile(_("Redemptions"), partner.f.count(found.uses)),
            Tile(_("Customers saved"), partner.money(found.saved_minor)),
            Tile(_("Bills"), partner.money(found.gross_minor)),
        ]
    )
    rows = Rows(
        title="",
        columns=[
            Column(_("Time")),
            Column(_("Benefit")),
            Column(_("Code or card")),
            Column(_("Employee")),
            Column(_("Bill"), "num"),
            Column(_("Customer saved"), "num"),
            Column(""),
        ],
        rows=[_row(partner, one) for one in found.rows],
        marks={at: "off" for at, one in enumerate(found.rows) if one.undone},
        empty=_("Nothing yet today"),
        empty_then=_("What is redeemed stands here at once."),
    )
    acts = [Act(_("Redeeming"), HOME, primary=True)]
    return await partner.page(_("Today"), sub=partner.outlet_name, acts=acts, top=[tiles], main=[rows])


def _row(partner: PartnerDesk, one: Use) -> list[Cell]:
    _ = partner.gettext
    name = partner.either(one.name_zh, one.name_en) or _("Sale")
    shown: Cell = cells.text(name)
    if one.key is not None:
        shown = cells.link(partner, f"{HOME}/redemptions/{one.key}", name)
    state = Cell("", "")
    if one.undone:
        state = Cell(partner.tag(_("Undone"), "warn"), _("Undone"))
    elif one.kind is LineKind.REDEMPTION and one.undo_until is not None and one.undo_until > partner.now:
        state = Cell(Markup("{}").format(partner.link(f"{HOME}/redemptions/{one.key}", _("Undo"))), "")
    return [
        Cell(partner.f.clock(one.at), one.at),
        shown,
        cells.text(one.reference),
        cells.text(one.served_by),
        cells.money(partner, one.gross_minor, partner.partner.currency),
        cells.money(partner, one.saved_minor, partner.partner.currency),
        state,
    ]


@get("/employees")
async def employees(partner: NamedDependency[PartnerDesk]) -> Page:
    """Show who served how much in a month."""
    partner.require(PartnerPermission.READ_LINES)
    _ = partner.gettext
    month = _month(partner)
    outlet_id = next((one.outlet_id for one in partner.outlets if str(one.outlet_id) == partner.query.raw("outlet")), None)
    found = await served_in(partner.session, partner_id=partner.partner_id, period=month, outlet_id=outlet_id)
    rows = Rows(
        title=partner.f.month(month),
        columns=[
            Column(_("Employee")),
            Column(_("Redemptions"), "num"),
            Column(_("Undone"), "num"),
            Column(_("Sales"), "num"),
            Column(_("Bills"), "num"),
            Column(_("Customers saved"), "num"),
        ],
        rows=[
            [
                cells.text(one.name),
                cells.count(partner, one.uses),
                cells.count(partner, one.undone),
                cells.count(partner, one.sales),
                cells.money(partner, one.gross_minor, partner.partner.currency),
                cells.money(partner, one.saved_minor, partner.partner.currency),
            ]
            for one in found
        ],
        empty=_("Nobody served anybody in this month"),
        acts=_months(partner, month, outlet_id),
    )
    return await partner.page(_("By employee"), main=[rows])


def _month(partner: PartnerDesk) -> date:
    today = clock.local_date(partner.now, partner.zone)
    try:
        return date.fromisoformat(f"{partner.query.raw('month')}-01")
    except ValueError:
        return today.replace(day=1)


def _months(partner: PartnerDesk, month: date, outlet_id: UUID | None) -> list[Act]:
    """Return the ways to the month before and, where it has begun, the next."""
    before = (month.replace(day=1) - date.resolution).replace(day=1)
    after = (month.replace(day=28) + 4 * date.resolution).replace(day=1)
    kept = "" if outlet_id is None else f"&outlet={outlet_id}"
    acts = [Act(f"← {partner.f.month(before)}", f"{HOME}/employees?month={before:%Y-%m}{kept}")]
    if after <= clock.local_date(partner.now, partner.zone):
        acts.append(Act(f"{partner.f.month(after)} →", f"{HOME}/employees?month={after:%Y-%m}{kept}"))
    return acts


handlers = [today, employees]
