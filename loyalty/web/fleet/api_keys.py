"""Keys for the company's own systems: made by an owner, shown once, revoked."""

from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup

from loyalty.fleet.operations.api_keys import A_MINUTE, ApiKeyNotFound, make_api_key, revoke_api_key
from loyalty.fleet.queries.api import ApiKeyView, api_keys_of
from loyalty.identity.portal_rules import FleetPermission
from loyalty.web.desk import Page
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lookups import check, field
from loyalty.web.office.parts import Act, Cell, Rows, Text

PATH: Final = "/fleet/api"
_KEYS = FleetPermission.API_KEYS


@get("/api")
async def api_keys(fleet: NamedDependency[FleetDesk]) -> Page:
    """List the keys, and say how a system comes in."""
    fleet.offer(_KEYS)
    _ = fleet.gettext
    found = await api_keys_of(fleet.session, company_id=fleet.company_id)
    listed = Rows(
        title="",
        columns=[
            Column(_("Name")),
            Column(_("Begins with")),
            Column(_("Rights")),
            Column(_("Created")),
            Column(_("Last used")),
            Column(_("State")),
            Column(""),
        ],
        rows=[
            [
                cells.text(one.name),
                Cell(Markup('<span class="mono">{}…</span>').format(one.prefix), one.prefix),
                cells.text(_("Read and make fuel orders") if one.may_order else _("Read")),
                cells.when(fleet, one.made_at),
                cells.when(fleet, one.last_used_at),
                Cell(fleet.tag(_("Revoked")) if one.revoked_at else fleet.tag(_("In force"), "good"), ""),
                Cell("" if one.revoked_at else fleet.link(f"{PATH}/{one.key_id}/revoke", _("Revoke")), ""),
            ]
            for one in found
        ],
        empty=_("No key yet"),
        empty_then=_("With a key, your own system reads fuel records and makes fuel orders."),
    )
    request = fleet.request
    base = f"{request.url.scheme}://{request.headers.get('host', '')}/api/fleet/v1"
    how = Text(
        title=_("How your system comes in"),
        lines=[
            Markup('<span class="mono">GET {}/fills</span>').format(base),
            Markup('<span class="mono">Authorization: Bearer lfk_…</span>'),
            _("Also: vehicles, cards, findings, statements, orders. Up to %(count)s requests a minute for each key.", count=A_MINUTE),
            fleet.link("/schema/openapi.json", _("The description of the interface (OpenAPI)")),
        ],
    )
    return await fleet.page(
        _("Interfaces"),
        acts=[Act(_("Messages to your system"), "/fleet/webhooks"), Act(_("New key"), f"{PATH}/new", primary=True)],
        main=[listed],
        aside=[how],
    )


@get("/api/new")
async def new(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask which system it is for and what it may do."""
    fleet.offer(_KEYS)
    _ = fleet.gettext
    fields = [
        field("name", _("Which system is it for?"), autofocus=True),
        check("may_order", _("It may also make and cancel fuel orders")),
    ]
    note = _("The key is shown once. Whoever has it reads everything your company's cards did: keep it like a password.")
    return await fleet.ask(
        _("New key"), fields, submit=_("Make the key"), back=PATH, note=note, crumbs=[(_("Interfaces"), PATH), (_("New key"), "")]
    )


@post("/api/new", status_code=200)
async def make(fleet: NamedDependency[FleetDesk]) -> Page:
    """Make it and show it once."""
    fleet.require(_KEYS)
    _ = fleet.gettext
    name = fleet.form.text("name", _("Which system is it for?"), longest=80)
    fleet.form.check()
    key = await make_api_key(
        fleet.session,
        company_id=fleet.company_id,
        name=name,
        may_order=fleet.form.flag("may_order"),
        actor=fleet.actor,
        now=fleet.real_now,
    )
    shown = Text(
        title=name,
        note=_("Shown only now"),
        lines=[Markup('<span class="mono">{}</span>').format(key)],
        acts=[Act(_("Kept safely, go on"), PATH)],
    )
    return await fleet.shown(_("The key"), [shown], crumbs=[(_("Interfaces"), PATH), (_("The key"), "")], instead=True)


async def _one(fleet: FleetDesk, key_id: UUID) -> ApiKeyView:
    for one in await api_keys_of(fleet.session, company_id=fleet.company_id):
        if one.key_id == key_id:
            return one
    raise ApiKeyNotFound(key=key_id)


@get("/api/{key_id:uuid}/revoke")
async def ask_revoke(fleet: NamedDependency[FleetDesk], key_id: FromPath[UUID]) -> Page:
    """Ask once."""
    fleet.offer(_KEYS)
    _ = fleet.gettext
    one = await _one(fleet, key_id)
    note = _("The system that uses it is shut out at once. A revoked key never comes back.")
    crumbs = [(_("Interfaces"), PATH), (one.name, "")]
    return await fleet.ask(f"{_('Revoke')}: {one.name}", [], submit=_("Revoke"), danger=True, note=note, back=PATH, crumbs=crumbs)


@post("/api/{key_id:uuid}/revoke", status_code=303)
async def revoke(fleet: NamedDependency[FleetDesk], key_id: FromPath[UUID]) -> Page:
    """End it."""
    fleet.require(_KEYS)
    await revoke_api_key(fleet.session, company_id=fleet.company_id, key_id=key_id, actor=fleet.actor, now=fleet.real_now)
    return await fleet.done(PATH, fleet.gettext("Revoked"))


handlers = [api_keys, new, make, ask_revoke, revoke]
