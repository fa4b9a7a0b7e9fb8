"""Who comes into a partner's portal, as the office sees it; its first owner is asked in here, and an owner whose partner lost theirs."""

from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.identity import operations as identity
from loyalty.identity.model_partner import PartnerRole
from loyalty.identity.rules import Permission
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lookups import field
from loyalty.web.office.parts import Act, Cell, Rows
from partners.queries.alliances import PartnerView, get_partner
from partners.queries.people import asked_of, people_of
from partners.web.office.common import base_of, crumbs_of
from partners.web.partner.labels import ROLE
from partners.web.partner.people import invitation_text


async def people_part(desk: Desk, one: PartnerView) -> Rows:
    """Return who can log in, and who was asked to."""
    _ = desk.gettext
    found = await people_of(desk.session, partner_id=one.partner_id)
    asked = await asked_of(desk.session, partner_id=one.partner_id, now=desk.real_now)
    rows = [
        [
            cells.text(each.name),
            cells.text(_(ROLE[each.role])),
            cells.text(desk.either(each.outlet_zh or "", each.outlet_en or "") or each.log_in_name),
            cells.when(desk, each.last_log_in_at),
            Cell(desk.tag(_("Log-in closed")) if each.disabled_at else "", ""),
        ]
        for each in found
    ]
    rows += [
        [
            cells.text(each.email or each.name),
            cells.text(_(ROLE[each.role])),
            cells.text(desk.either(each.outlet_zh or "", each.outlet_en or "")),
            cells.when(desk, None),
            Cell(desk.tag(_("Invited, not here yet"), "info"), ""),
        ]
        for each in asked
    ]
    return Rows(
        title=_("People of the partner"),
        columns=[Column(_("Name")), Column(_("Role")), Column(_("Outlet or e-mail")), Column(_("Last log-in")), Column("")],
        rows=rows,
        empty=_("Nobody can log in yet"),
        empty_then=_("Invite the owner: they let their employees in themselves."),
        acts=[Act(_("Invite an owner"), f"{base_of(one.partner_id)}/owner")] if desk.may(Permission.GRANT_ROLES) else [],
        id="people",
    )


@get("/partners/{partner_id:uuid}/owner")
async def ask_owner(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Ask for the owner's address."""
    desk.offer(Permission.GRANT_ROLES)
    _ = desk.gettext
    one = await get_partner(desk.session, partner_id=partner_id)
    title = _("Invite an owner")
    email = field("email", _("The owner's e-mail"), type="email", autofocus=True, inputmode="email", attrs={"autocapitalize": "none"})
    note = _("You get a link to hand over. It is good once, for seven days; your guest chooses a password and sets up an authenticator.")
    return await desk.ask(
        title, [email], submit=title, back=f"{base_of(partner_id)}#people", note=note, crumbs=crumbs_of(desk, one, (title, ""))
    )


@post("/partners/{partner_id:uuid}/owner", status_code=200)
async def invite_owner(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Page:
    """Make the owner's link and show it once."""
    desk.require(Permission.GRANT_ROLES)
    _ = desk.gettext
    one = await get_partner(desk.session, partner_id=partner_id)
    email = desk.form.text("email", _("The owner's e-mail"), longest=200)
    desk.form.check()
    token = await identity.invite_partner_user(
        desk.session, partner_id=partner_id, email=email, role=PartnerRole.OWNER, actor=desk.actor, now=desk.real_now
    )
    shown = invitation_text(desk, token=token, guest=email, role=PartnerRole.OWNER, onward=f"{base_of(partner_id)}#people")
    title = _("The invitation")
    return await desk.shown(title, [shown], crumbs=crumbs_of(desk, one, (title, "")), instead=True)


handlers = [ask_owner, invite_owner]
