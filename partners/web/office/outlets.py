"""A partner's outlets: entered, corrected, paused with a reason that customers read, opened again, closed."""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup

from loyalty.identity.rules import Permission
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lookups import field
from loyalty.web.office.parts import Act, Cell, Field, Rows
from partners.model import OUTLET_MOVES, OutletStatus
from partners.operations.alliances import OutletFacts, add_outlet, change_outlet, move_outlet
from partners.queries.alliances import OutletView, PartnerView, get_outlet, outlets_of
from partners.web.office.common import allowed, base_of, crumbs_of, offered
from partners.web.office.labels import OUTLET
from partners.web.office.partners import require_code

_CODE: Final = r"[A-Z0-9][A-Z0-9\-]{0,19}"
_MOVES: Final[Mapping[str, tuple[OutletStatus, str]]] = {
    "pause": (OutletStatus.PAUSED, N_("Pause")),
    "open": (OutletStatus.OPEN, N_("Open again")),
    "close": (OutletStatus.CLOSED, N_("Close")),
}
_ONE: Final = "/partners/{partner_id:uuid}/outlets/{outlet_id:uuid}"


async def outlets_part(desk: Desk, one: PartnerView) -> Rows:
    """Return the partner's outlets, with what can be done about each."""
    _ = desk.gettext
    found = await outlets_of(desk.session, partner_id=one.partner_id)
    edits = desk.may(Permission.EDIT_ALLIANCES)
    heads = [_("Outlet"), _("Address"), _("Opening hours"), _("Status"), *([""] if edits else [])]
    return Rows(
        title=_("Outlets"),
        columns=[Column(head) for head in heads],
        rows=[_row(desk, each, edits=edits) for each in found],
        empty=_("No outlet yet"),
        empty_then=_("Enter where its benefits are redeemed.") if edits else "",
        acts=[Act(_("Add an outlet"), f"{base_of(one.partner_id)}/outlets/new")] if edits else [],
        id="outlets",
    )


def _row(desk: Desk, one: OutletView, *, edits: bool) -> list[Cell]:
    _ = desk.gettext
    name = desk.either(one.name_zh, one.name_en)
    known = " · ".join(part for part in (one.address, one.telephone) if part)
    row = [cells.text(f"{name} ({one.code})"), cells.text(known), cells.text(one.hours), _status(desk, one)]
    if not edits:
        return row
    base = f"{base_of(one.partner_id)}/outlets/{one.outlet_id}"
    acts = [Act(_("Edit"), f"{base}/edit")]
    acts += [Act(_(words), f"{base}/{act}") for act, (to, words) in _MOVES.items() if to in OUTLET_MOVES[one.status]]
    return [*row, Cell(Markup(" ").join(cells.link(desk, act.href, act.label, whole=True).show for act in acts), "")]


def _status(desk: Desk, one: OutletView) -> Cell:
    """Say where it stands; of a pause why, until when, and where that is over."""
    tag = cells.tag(desk, one.status, OUTLET)
    if one.status is not OutletStatus.PAUSED:
        return tag
    _ = desk.gettext
    said = one.why_paused or ""
    if one.paused_until is not None:
        when = desk.f.when(one.paused_until)
        said = f"{said} · {_('until %(when)s', when=when) if one.paused_until > desk.now else _('was to open %(when)s', when=when)}"
    return Cell(Markup('{} <span class="dim small">{}</span>').format(tag.show, said), f"{tag.export}: {said}")


@get("/partners/{partner_id:uuid}/outlets/new")
async def new_outlet(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Ask where it is."""
    one = await offered(desk, partner_id)
    _ = desk.gettext
    title = _("New outlet")
    crumbs = crumbs_of(desk, one, (title, ""))
    return await desk.ask(title, _fields(desk, None), submit=_("Store"), back=base_of(partner_id), crumbs=crumbs, columns=True)


@post("/partners/{partner_id:uuid}/outlets/new", status_code=303)
async def enter_outlet(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Enter an outlet."""
    await allowed(desk, partner_id)
    await add_outlet(desk.session, partner_id=partner_id, facts=_read(desk, None), actor=desk.actor, now=desk.now)
    return await desk.done(f"{base_of(partner_id)}#outlets", desk.gettext("Stored"))


@get(f"{_ONE}/edit")
async def edit_outlet(desk: NamedDependency[Desk], partner_id: FromPath[UUID], outlet_id: FromPath[UUID]) -> Page:
    """Ask what is to be corrected."""
    one = await offered(desk, partner_id)
    outlet = await get_outlet(desk.session, partner_id=partner_id, outlet_id=outlet_id)
    _ = desk.gettext
    title = desk.either(outlet.name_zh, outlet.name_en)
    crumbs = crumbs_of(desk, one, (title, ""))
    return await desk.ask(title, _fields(desk, outlet), submit=_("Store"), back=base_of(partner_id), crumbs=crumbs, columns=True)


@post(f"{_ONE}/edit", status_code=303)
async def store_outlet(desk: NamedDependency[Desk], partner_id: FromPath[UUID], outlet_id: FromPath[UUID]) -> Page:
    """Correct what is said of an outlet."""
    await allowed(desk, partner_id)
    outlet = await get_outlet(desk.session, partner_id=partner_id, outlet_id=outlet_id)
    facts = _read(desk, outlet)
    await change_outlet(desk.session, partner_id=partner_id, outlet_id=outlet_id, facts=facts, actor=desk.actor, now=desk.now)
    return await desk.done(f"{base_of(partner_id)}#outlets", desk.gettext("Stored"))


def _fields(desk: Desk, one: OutletView | None) -> list[Field]:
    _ = desk.gettext
    return [
        field("name_zh", _("Chinese name"), value=one.name_zh if one else "", autofocus=one is None),
        field("name_en", _("English name"), value=one.name_en if one else ""),
        field("code", _("Code"), value=one.code if one else "", readonly=one is not None, placeholder="EAST"),
        field("telephone", _("Telephone"), value=one.telephone if one else "", type="tel", required=False),
        field("address", _("Address"), value=one.address if one else "", required=False),
        field("hours", _("Opening hours"), value=one.hours if one else "", required=False, help=_("As customers read them: 09:00–18:00.")),
    ]


def _read(desk: Desk, one: OutletView | None) -> OutletFacts:
    _ = desk.gettext
    form = desk.form
    code = one.code if one else form.text("code", _("Code"), longest=20).upper()
    if one is None:
        require_code(desk, code, _CODE)
    facts = {
        "name_zh": form.text("name_zh", _("Chinese name"), longest=80),
        "name_en": form.text("name_en", _("English name"), longest=80),
        "telephone": form.text("telephone", _("Telephone"), required=False, longest=40),
        "address": form.text("address", _("Address"), required=False, longest=200),
        "hours": form.text("hours", _("Opening hours"), required=False, longest=200),
    }
    form.check()
    return OutletFacts(code=code, **facts)


@get(f"{_ONE}/pause")
async def ask_pause(desk: NamedDependency[Desk], partner_id: FromPath[UUID], outlet_id: FromPath[UUID]) -> Page:
    """Ask why, and until when."""
    one, outlet = await _outlet(desk, partner_id, outlet_id)
    _ = desk.gettext
    title = _("Pause %(outlet)s", outlet=desk.either(outlet.name_zh, outlet.name_en))
    fields = [
        field("reason", _("Reason"), autofocus=True, help=_("Stations and customers read it.")),
        field("until", _("Until"), type="datetime-local", required=False, help=_("Empty: until it is opened.")),
    ]
    return await desk.ask(title, fields, submit=_("Pause"), back=base_of(partner_id), crumbs=crumbs_of(desk, one, (title, "")))


@post(f"{_ONE}/pause", status_code=303)
async def pause(desk: NamedDependency[Desk], partner_id: FromPath[UUID], outlet_id: FromPath[UUID]) -> Page:
    """Pause it."""
    one = await allowed(desk, partner_id)
    _ = desk.gettext
    reason = desk.form.text("reason", _("Reason"), longest=200)
    until = desk.form.instant("until", _("Until"), required=False, zone=one.zone)
    if until is not None and until <= desk.now:
        desk.form.fault("until", _("Until"), _("is over already"))
    desk.form.check()
    await move_outlet(
        desk.session,
        partner_id=partner_id,
        outlet_id=outlet_id,
        to=OutletStatus.PAUSED,
        reason=reason,
        until=until,
        actor=desk.actor,
        now=desk.now,
    )
    return await desk.done(f"{base_of(partner_id)}#outlets", _("Paused"), undo=f"{base_of(partner_id)}/outlets/{outlet_id}/open")


@get([f"{_ONE}/open", f"{_ONE}/close"])
async def ask_move(desk: NamedDependency[Desk], partner_id: FromPath[UUID], outlet_id: FromPath[UUID]) -> Page:
    """Ask once."""
    one, outlet = await _outlet(desk, partner_id, outlet_id)
    _ = desk.gettext
    name = desk.either(outlet.name_zh, outlet.name_en)
    opens = desk.act == "open"
    title = _("Open %(outlet)s again", outlet=name) if opens else _("Close %(outlet)s", outlet=name)
    fields = [] if opens else [field("reason", _("Reason"), autofocus=True)]
    crumbs = crumbs_of(desk, one, (title, ""))
    submit = _("Open again") if opens else _("Close")
    return await desk.ask(title, fields, submit=submit, danger=not opens, back=base_of(partner_id), crumbs=crumbs)


@post([f"{_ONE}/open", f"{_ONE}/close"], status_code=303)
async def move(desk: NamedDependency[Desk], partner_id: FromPath[UUID], outlet_id: FromPath[UUID]) -> Page:
    """Open it again, or close it."""
    await allowed(desk, partner_id)
    before = await get_outlet(desk.session, partner_id=partner_id, outlet_id=outlet_id)
    _ = desk.gettext
    opens = desk.act == "open"
    reason = desk.form.text("reason", _("Reason"), required=not opens, longest=200)
    desk.form.check()
    to = OutletStatus.OPEN if opens else OutletStatus.CLOSED
    await move_outlet(desk.session, partner_id=partner_id, outlet_id=outlet_id, to=to, reason=reason, actor=desk.actor, now=desk.now)
    undo = "" if opens or before.status is OutletStatus.PAUSED else f"{base_of(partner_id)}/outlets/{outlet_id}/open"
    return await desk.done(f"{base_of(partner_id)}#outlets", _("Open again") if opens else _("Shut"), undo=undo)


async def _outlet(desk: Desk, partner_id: UUID, outlet_id: UUID) -> tuple[PartnerView, OutletView]:
    one = await offered(desk, partner_id)
    return one, await get_outlet(desk.session, partner_id=partner_id, outlet_id=outlet_id)


handlers = [new_outlet, enter_outlet, edit_outlet, store_outlet, ask_pause, pause, ask_move, move]
