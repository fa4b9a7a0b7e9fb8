"""Keys for the partner's own tills: made by an owner for all outlets or some, shown once, revoked."""

from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup

from loyalty.identity.operations.bearer_keys import A_MINUTE, ApiKeyNotFound
from loyalty.identity.partner_rules import PartnerPermission
from loyalty.web.desk import Page
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lookups import check, field
from loyalty.web.office.parts import Act, Cell, Rows, Text
from partners.operations.api_keys import make_key, revoke_key
from partners.queries.api_keys import KeyView, keys_of
from partners.web.partner.desk import PartnerDesk
from partners.web.partner.frame import HOME

PATH: Final = f"{HOME}/api"
_KEYS: Final = PartnerPermission.API_KEYS


@get("/api")
async def api_keys(partner: NamedDependency[PartnerDesk]) -> Page:
    """List the keys, and say how a till comes in."""
    partner.offer(_KEYS)
    _ = partner.gettext
    found = await keys_of(partner.session, partner_id=partner.partner_id)
    listed = Rows(
        title="",
        columns=[
            Column(_("Name")),
            Column(_("Begins with")),
            Column(_("Outlets")),
            Column(_("Created")),
            Column(_("Last used")),
            Column(_("State")),
            Column(""),
        ],
        rows=[
            [
                cells.text(one.name),
                Cell(Markup('<span class="mono">{}…</span>').format(one.prefix), one.prefix),
                cells.text(_reach(partner, one)),
                cells.when(partner, one.made_at),
                cells.when(partner, one.last_used_at),
                Cell(partner.tag(_("Revoked")) if one.revoked_at else partner.tag(_("In force"), "good"), ""),
                Cell("" if one.revoked_at else partner.link(f"{PATH}/{one.key_id}/revoke", _("Revoke")), ""),
            ]
            for one in found
        ],
        empty=_("No key yet"),
        empty_then=_("With a key, your own till redeems vouchers and books members' sales."),
    )
    request = partner.request
    base = f"{request.url.scheme}://{request.headers.get('host', '')}/api/partner/v1"
    how = Text(
        title=_("How your till comes in"),
        lines=[
            Markup('<span class="mono">POST {}/redemptions</span>').format(base),
            Markup('<span class="mono">Authorization: Bearer lpk_…</span>'),
            Markup('<span class="mono">Idempotency-Key: UUID</span>'),
            _("The same request under the same key is answered the same for ever: after a lost answer send it again as it was."),
            _("Up to %(count)s requests a minute for each key.", count=A_MINUTE),
            partner.link("/schema/openapi.json", _("The description of the interface (OpenAPI)")),
        ],
    )
    return await partner.page(_("Interfaces"), acts=[Act(_("New key"), f"{PATH}/new", primary=True)], main=[listed], aside=[how])


@get("/api/new")
async def new_key(partner: NamedDependency[PartnerDesk]) -> Page:
    """Ask which till it is for and where it may act."""
    partner.offer(_KEYS)
    _ = partner.gettext
    fields = [field("name", _("Which till is it for?"), autofocus=True)]
    if len(partner.outlets) > 1:
        note = _("None ticked: every outlet, those to come included.")
        fields += [
            check("outlets", partner.either(one.name_zh, one.name_en), value=str(one.outlet_id), note=note if place == 0 else "")
            for place, one in enumerate(partner.outlets)
        ]
    said = _("The key is shown once. Whoever has it redeems at these outlets: keep it like a password.")
    title = _("New key")
    return await partner.ask(title, fields, submit=_("Make the key"), back=PATH, note=said, crumbs=[(_("Interfaces"), PATH), (title, "")])


@post("/api/new", status_code=200)
async def make(partner: NamedDependency[PartnerDesk]) -> Page:
    """Make it and show it once."""
    partner.require(_KEYS)
    _ = partner.gettext
    name = partner.form.text("name", _("Which till is it for?"), longest=80)
    partner.form.check()
    ticked = set(partner.form.many("outlets"))
    chosen = [one.outlet_id for one in partner.outlets if str(one.outlet_id) in ticked]
    key = await make_key(
        partner.session, partner_id=partner.partner_id, name=name, outlets=chosen or None, actor=partner.actor, now=partner.real_now
    )
    shown = Text(
        title=name,
        note=_("Shown only now"),
        lines=[Markup('<span class="mono">{}</span>').format(key)],
        acts=[Act(_("Kept safely, go on"), PATH)],
    )
    return await partner.shown(_("The key"), [shown], crumbs=[(_("Interfaces"), PATH), (_("The key"), "")], instead=True)


@get("/api/{key_id:uuid}/revoke")
async def ask_revoke(partner: NamedDependency[PartnerDesk], key_id: FromPath[UUID]) -> Page:
    """Ask once before it opens nothing."""
    partner.offer(_KEYS)
    _ = partner.gettext
    one = next((each for each in await keys_of(partner.session, partner_id=partner.partner_id) if each.key_id == key_id), None)
    if one is None:
        raise ApiKeyNotFound(key=key_id)
    title = _("Revoke the key of %(name)s", name=one.name)
    return await partner.ask(title, [], submit=_("Revoke"), back=PATH, danger=True, crumbs=[(_("Interfaces"), PATH), (title, "")])


@post("/api/{key_id:uuid}/revoke", status_code=303)
async def revoke(partner: NamedDependency[PartnerDesk], key_id: FromPath[UUID]) -> Page:
    """End it at once."""
    partner.require(_KEYS)
    await revoke_key(partner.session, partner_id=partner.partner_id, key_id=key_id, actor=partner.actor, now=partner.real_now)
    return await partner.done(PATH, partner.gettext("Revoked: it opens nothing any more."))


def _reach(partner: PartnerDesk, one: KeyView) -> str:
    if one.outlets is None:
        return partner.gettext("All")
    names = {each.outlet_id: partner.either(each.name_zh, each.name_en) for each in partner.outlets}
    return ", ".join(names.get(outlet, "") for outlet in one.outlets)


handlers = [api_keys, new_key, make, ask_revoke, revoke]
