"""An outlet pauses for rain or a full yard, and serves again: stations, portals and card holders see it at once."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup

from loyalty.errors import NotFound
from loyalty.identity.partner_rules import PartnerPermission
from loyalty.web.desk import Page
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lookups import field, select
from loyalty.web.office.parts import Cell, Rows
from partners.model import OutletStatus
from partners.operations.alliances import move_outlet
from partners.queries.alliances import OutletView
from partners.web.partner.desk import PartnerDesk
from partners.web.partner.frame import HOME
from partners.web.partner.labels import WHY_PAUSED

PATH: Final = f"{HOME}/outlets"
_PAUSE: Final = PartnerPermission.PAUSE
_OTHER: Final = "other"
_LENGTHS: Final[tuple[tuple[int, str], ...]] = ((30, N_("30 minutes")), (60, N_("1 hour")), (120, N_("2 hours")), (0, N_("until opened")))
STATUS: Final = {
    OutletStatus.OPEN: (N_("Serving"), "good"),
    OutletStatus.PAUSED: (N_("Paused"), "warn"),
    OutletStatus.CLOSED: (N_("Shut"), ""),
}


class OutletNotYours(NotFound):
    """None of the reader's outlets."""

    zh = "没有此网点。"
    en = "There is no such outlet."


@get("/outlets")
async def outlets(partner: NamedDependency[PartnerDesk]) -> Page:
    """List the reader's outlets, and what can be done about each."""
    partner.require(_PAUSE)
    _ = partner.gettext
    rows = Rows(
        title="",
        columns=[Column(_("Outlet")), Column(_("Opening hours")), Column(_("State")), Column("")],
        rows=[_row(partner, one) for one in partner.outlets],
        empty=_("No outlet yet"),
        empty_then=_("The office enters your outlets."),
    )
    return await partner.page(_("Outlets"), sub=_("Stations and card holders see a pause at once."), main=[rows])


def _row(partner: PartnerDesk, one: OutletView) -> list[Cell]:
    _ = partner.gettext
    state = cells.tag(partner, one.status, STATUS)
    said = one.why_paused or ""
    if one.paused_until is not None:
        said = f"{said} · {_('until %(when)s', when=partner.f.when(one.paused_until))}"
    act: Markup | str = ""
    if one.status is OutletStatus.OPEN:
        act = partner.link(f"{PATH}/{one.outlet_id}/pause", _("Pause"))
    elif one.status is OutletStatus.PAUSED:
        act = partner.link(f"{PATH}/{one.outlet_id}/open", _("Serve again"))
    return [
        cells.text(partner.either(one.name_zh, one.name_en)),
        cells.text(one.hours),
        Cell(Markup('{} <span class="dim small">{}</span>').format(state.show, said), f"{state.export} {said}") if said else state,
        Cell(act, ""),
    ]


@get("/outlets/{outlet_id:uuid}/pause")
async def ask_pause(partner: NamedDependency[PartnerDesk], outlet_id: FromPath[UUID]) -> Page:
    """Ask why and for how long."""
    partner.require(_PAUSE)
    one = _mine(partner, outlet_id)
    _ = partner.gettext
    reasons = [(_(why), _(why)) for why in WHY_PAUSED]
    fields = [
        select("why", _("Why, as customers read it"), [*reasons, (_OTHER, _("Something else"))], value=reasons[0][0]),
        field("other", _("Something else"), required=False),
        select("minutes", _("For how long"), [(str(minutes), _(label)) for minutes, label in _LENGTHS], value="60"),
    ]
    title = _("Pause %(outlet)s", outlet=partner.either(one.name_zh, one.name_en))
    return await partner.ask(title, fields, submit=_("Pause"), back=PATH, crumbs=[(_("Outlets"), PATH), (title, "")])


@post("/outlets/{outlet_id:uuid}/pause", status_code=303)
async def pause(partner: NamedDependency[PartnerDesk], outlet_id: FromPath[UUID]) -> Page:
    """Let the outlet rest."""
    partner.require(_PAUSE)
    one = _mine(partner, outlet_id)
    _ = partner.gettext
    why = partner.form.text("why", _("Why, as customers read it"), longest=100)
    if why == _OTHER:
        why = partner.form.text("other", _("Something else"), longest=100)
    minutes = partner.form.whole("minutes", _("For how long"), high=10_000) or 0
    partner.form.check()
    until = partner.now + timedelta(minutes=minutes) if minutes else None
    await move_outlet(
        partner.session,
        partner_id=partner.partner_id,
        outlet_id=one.outlet_id,
        to=OutletStatus.PAUSED,
        reason=why,
        until=until,
        actor=partner.actor,
        now=partner.now,
    )
    return await partner.done(PATH, _("Paused: stations and card holders see it."), undo=f"{PATH}/{outlet_id}/open")


@get("/outlets/{outlet_id:uuid}/open")
async def ask_open(partner: NamedDependency[PartnerDesk], outlet_id: FromPath[UUID]) -> Page:
    """Ask once before it serves again."""
    partner.require(_PAUSE)
    one = _mine(partner, outlet_id)
    _ = partner.gettext
    title = _("Serve again: %(outlet)s", outlet=partner.either(one.name_zh, one.name_en))
    return await partner.ask(title, [], submit=_("Serve again"), back=PATH, crumbs=[(_("Outlets"), PATH), (title, "")])


@post("/outlets/{outlet_id:uuid}/open", status_code=303)
async def serve_again(partner: NamedDependency[PartnerDesk], outlet_id: FromPath[UUID]) -> Page:
    """Let the outlet serve again."""
    partner.require(_PAUSE)
    one = _mine(partner, outlet_id)
    await move_outlet(
        partner.session,
        partner_id=partner.partner_id,
        outlet_id=one.outlet_id,
        to=OutletStatus.OPEN,
        actor=partner.actor,
        now=partner.now,
    )
    return await partner.done(PATH, partner.gettext("Serving again."))


def _mine(partner: PartnerDesk, outlet_id: UUID) -> OutletView:
    found = next((one for one in partner.outlets if one.outlet_id == outlet_id), None)
    if found is None or found.status is OutletStatus.CLOSED:
        raise OutletNotYours
    return found


handlers = [outlets, ask_pause, pause, ask_open, serve_again]
