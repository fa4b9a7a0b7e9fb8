"""A partner's people: owners and finance asked in by mail, employees by a link that their phone takes; closed and opened again."""

from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup

from loyalty.identity import operations as identity
from loyalty.identity.model_partner import PartnerRole
from loyalty.identity.operations import PortalUserNotFound
from loyalty.identity.partner_rules import PartnerPermission
from loyalty.web.desk import Page
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lookups import field, select
from loyalty.web.office.parts import Act, Cell, Facts, Rows, Text
from partners.queries.people import AskedView, PersonView, asked_of, people_of
from partners.web.partner.desk import PartnerDesk
from partners.web.partner.frame import HOME
from partners.web.partner.labels import ROLE, ROLE_MAY

PATH: Final = f"{HOME}/people"
_MANAGE: Final = PartnerPermission.MANAGE_PEOPLE


@get("/people")
async def people(partner: NamedDependency[PartnerDesk]) -> Page:
    """List who may come in, and who was asked to."""
    partner.offer(_MANAGE)
    _ = partner.gettext
    found = await people_of(partner.session, partner_id=partner.partner_id)
    asked = await asked_of(partner.session, partner_id=partner.partner_id, now=partner.real_now)
    users = Rows(
        title="",
        columns=[Column(_("Name")), Column(_("Role")), Column(_("Outlet or e-mail")), Column(_("Last log-in")), Column(_("State"))],
        rows=[
            [
                cells.link(partner, f"{PATH}/{one.user_id}", one.name),
                cells.text(_(ROLE[one.role])),
                cells.text(_where(partner, one)),
                cells.when(partner, one.last_log_in_at),
                Cell(_state(partner, one), ""),
            ]
            for one in found
        ],
        empty=_("Nobody yet"),
    )
    invitations = Rows(
        title=_("Invited, not here yet"),
        columns=[Column(_("For")), Column(_("Role")), Column(_("Good until")), Column("")],
        rows=[
            [
                cells.text(_guest(partner, one)),
                cells.text(_(ROLE[one.role])),
                cells.when(partner, one.expires_at),
                Cell(partner.link(f"{PATH}/invitations/{one.invitation_id}/withdraw", _("Withdraw")), ""),
            ]
            for one in asked
        ],
        empty=_("Nobody waits"),
    )
    acts = [Act(_("Invite by e-mail"), f"{PATH}/invite"), Act(_("New employee"), f"{PATH}/new", primary=True)]
    return await partner.page(_("People"), acts=acts, main=[users, *([invitations] if asked else [])])


@get("/people/new")
async def new_clerk(partner: NamedDependency[PartnerDesk]) -> Page:
    """Ask for an employee's name and outlet."""
    partner.offer(_MANAGE)
    _ = partner.gettext
    note = _("You get a QR code. The employee scans it with their own phone and chooses a PIN: no e-mail is needed.")
    title = _("New employee")
    fields = [field("name", _("Name"), autofocus=True), _outlet_field(partner, None)]
    return await partner.ask(title, fields, submit=_("Make the link"), back=PATH, note=note, crumbs=[(_("People"), PATH), (title, "")])


@post("/people/new", status_code=200)
async def ask_clerk_in(partner: NamedDependency[PartnerDesk]) -> Page:
    """Make an employee's link and show it once."""
    partner.require(_MANAGE)
    _ = partner.gettext
    name = partner.form.text("name", _("Name"), longest=40)
    outlet_id = _outlet(partner)
    partner.form.check()
    token = await identity.invite_clerk(
        partner.session, partner_id=partner.partner_id, outlet_id=outlet_id, name=name, actor=partner.actor, now=partner.real_now
    )
    return await _link(partner, token, name, PartnerRole.CLERK)


@get("/people/invite")
async def new_person(partner: NamedDependency[PartnerDesk]) -> Page:
    """Ask for an address and a role."""
    partner.offer(_MANAGE)
    _ = partner.gettext
    roles = [(role.value, f"{_(ROLE[role])}: {_(ROLE_MAY[role])}") for role in (PartnerRole.FINANCE, PartnerRole.OWNER)]
    fields = [
        field("email", _("E-mail"), type="email", autofocus=True, inputmode="email", attrs={"autocapitalize": "none"}),
        select("role", _("Role"), roles, value=PartnerRole.FINANCE.value),
    ]
    note = _("You get a link to hand over. It is good once, for seven days; your guest chooses a password and sets up an authenticator.")
    title = _("Invite by e-mail")
    return await partner.ask(title, fields, submit=_("Make the link"), back=PATH, note=note, crumbs=[(_("People"), PATH), (title, "")])


@post("/people/invite", status_code=200)
async def invite(partner: NamedDependency[PartnerDesk]) -> Page:
    """Make the link and show it once."""
    partner.require(_MANAGE)
    _ = partner.gettext
    email = partner.form.text("email", _("E-mail"), longest=200)
    role = partner.form.choice("role", _("Role"), PartnerRole, PartnerRole.FINANCE)
    partner.form.check()
    token = await identity.invite_partner_user(
        partner.session, partner_id=partner.partner_id, email=email, role=role, actor=partner.actor, now=partner.real_now
    )
    return await _link(partner, token, email, role)


@get("/people/{user_id:uuid}")
async def person(partner: NamedDependency[PartnerDesk], user_id: FromPath[UUID]) -> Page:
    """Show one of the partner's people, and what can be done."""
    partner.offer(_MANAGE)
    _ = partner.gettext
    one = await _one(partner, user_id)
    base = f"{PATH}/{user_id}"
    acts: list[Act] = []
    if user_id != partner.principal.user_id:
        if one.role is PartnerRole.CLERK:
            acts.append(Act(_("Another phone"), f"{base}/phone"))
        else:
            acts.append(Act(_("New authenticator"), f"{base}/authenticator"))
        closed = one.disabled_at is not None
        acts.append(Act(_("Open the log-in"), f"{base}/open") if closed else Act(_("Close the log-in"), f"{base}/close", danger=True))
    facts = Facts(
        title="",
        pairs=[
            (_("Role"), f"{_(ROLE[one.role])}: {_(ROLE_MAY[one.role])}"),
            (_("Outlet or e-mail"), _where(partner, one)),
            (_("Last log-in"), partner.f.when(one.last_log_in_at) if one.last_log_in_at else "—"),
            (_("State"), _state(partner, one)),
        ],
    )
    return await partner.page(one.name, crumbs=[(_("People"), PATH), (one.name, "")], acts=acts, main=[facts])


@get("/people/{user_id:uuid}/phone")
async def ask_phone(partner: NamedDependency[PartnerDesk], user_id: FromPath[UUID]) -> Page:
    """Ask at which outlet an employee serves from the new phone."""
    partner.offer(_MANAGE)
    _ = partner.gettext
    one = await _one(partner, user_id)
    note = _("The phone they have now is signed out as soon as the new one took the link.")
    title = _("Another phone for %(name)s", name=one.name)
    fields = [_outlet_field(partner, one.outlet_id)]
    return await partner.ask(
        title, fields, submit=_("Make the link"), back=f"{PATH}/{user_id}", note=note, crumbs=_way(partner, one, title)
    )


@post("/people/{user_id:uuid}/phone", status_code=200)
async def another_phone(partner: NamedDependency[PartnerDesk], user_id: FromPath[UUID]) -> Page:
    """Make the link of an employee's new phone and show it once."""
    partner.require(_MANAGE)
    one = await _one(partner, user_id)
    outlet_id = _outlet(partner)
    partner.form.check()
    token = await identity.invite_clerk(
        partner.session,
        partner_id=partner.partner_id,
        outlet_id=outlet_id,
        name=one.name,
        user_id=user_id,
        actor=partner.actor,
        now=partner.real_now,
    )
    return await _link(partner, token, one.name, PartnerRole.CLERK)


@get(["/people/{user_id:uuid}/close", "/people/{user_id:uuid}/open", "/people/{user_id:uuid}/authenticator"])
async def ask_act(partner: NamedDependency[PartnerDesk], user_id: FromPath[UUID]) -> Page:
    """Ask once before it is done."""
    partner.offer(_MANAGE)
    _ = partner.gettext
    one = await _one(partner, user_id)
    said = {
        "close": (_("Close the log-in"), _("All sessions end at once. What was done stays.")),
        "open": (_("Open the log-in"), _("The way in is as it was.")),
        "authenticator": (_("New authenticator"), _("The lost one opens nothing any more; the next log-in sets up a new one.")),
    }
    title, note = said[partner.act]
    danger = partner.act != "open"
    return await partner.ask(title, [], submit=title, back=f"{PATH}/{user_id}", danger=danger, note=note, crumbs=_way(partner, one, title))


@post(["/people/{user_id:uuid}/close", "/people/{user_id:uuid}/open", "/people/{user_id:uuid}/authenticator"], status_code=303)
async def act(partner: NamedDependency[PartnerDesk], user_id: FromPath[UUID]) -> Page:
    """Do it."""
    partner.require(_MANAGE)
    _ = partner.gettext
    does: dict[str, tuple[Any, str]] = {
        "close": (identity.disable_partner_user, _("The log-in is closed.")),
        "open": (identity.enable_partner_user, _("The log-in is open again.")),
        "authenticator": (identity.reset_partner_second_factor, _("The next log-in sets up a new authenticator.")),
    }
    do, said = does[partner.act]
    await do(partner.session, user_id=user_id, by=partner.principal, now=partner.real_now)
    undo = f"{PATH}/{user_id}/open" if partner.act == "close" else ""
    return await partner.done(f"{PATH}/{user_id}", said, undo=undo)


@get("/people/invitations/{invitation_id:uuid}/withdraw")
async def ask_withdraw(partner: NamedDependency[PartnerDesk], invitation_id: FromPath[UUID]) -> Page:
    """Ask once before a link opens nothing."""
    partner.offer(_MANAGE)
    _ = partner.gettext
    asked = await asked_of(partner.session, partner_id=partner.partner_id, now=partner.real_now)
    one = next((each for each in asked if each.invitation_id == invitation_id), None)
    if one is None:
        raise PortalUserNotFound
    title = _("Withdraw the invitation for %(guest)s", guest=_guest(partner, one))
    return await partner.ask(title, [], submit=_("Withdraw"), back=PATH, danger=True, crumbs=[(_("People"), PATH), (title, "")])


@post("/people/invitations/{invitation_id:uuid}/withdraw", status_code=303)
async def withdraw(partner: NamedDependency[PartnerDesk], invitation_id: FromPath[UUID]) -> Page:
    """Take an invitation back."""
    partner.require(_MANAGE)
    await identity.withdraw_partner_invitation(
        partner.session, partner_id=partner.partner_id, invitation_id=invitation_id, actor=partner.actor, now=partner.real_now
    )
    return await partner.done(PATH, partner.gettext("Withdrawn: the link opens nothing."))


def invitation_text(desk: Any, *, token: str, guest: str, role: PartnerRole, onward: str) -> Text:
    """Return an invitation's link, shown once; it can be printed, and an employee scans it."""
    _ = desk.gettext
    request = desk.request
    href = f"{request.url.scheme}://{request.headers.get('host', '')}{HOME}/invitations/{token}"
    clerk = role is PartnerRole.CLERK
    return Text(
        title=_("The link for %(email)s", email=guest),
        note=_("Shown only now"),
        lines=[
            Markup('<a class="mono" href="{}">{}</a>').format(href, href),
            desk.macro("ui").qr_code(href, alt=_("QR code of the invitation")),
            f"{_(ROLE[role])}: {_(ROLE_MAY[role])}",
            _("Let the employee scan it with their own phone and choose a PIN there.") if clerk else "",
            desk.macro("ui").button(_("Print"), type="button", attrs={"data-print": ""}),
            _("Good once, for seven days. Print this page or send the link; whoever has it comes in."),
        ],
        acts=[Act(_("Done"), onward, primary=True, key="Escape")],
    )


async def _link(partner: PartnerDesk, token: str, guest: str, role: PartnerRole) -> Page:
    _ = partner.gettext
    shown = invitation_text(partner, token=token, guest=guest, role=role, onward=PATH)
    return await partner.shown(_("The invitation"), [shown], crumbs=[(_("People"), PATH), (_("The invitation"), "")], instead=True)


async def _one(partner: PartnerDesk, user_id: UUID) -> PersonView:
    found = await people_of(partner.session, partner_id=partner.partner_id)
    one = next((each for each in found if each.user_id == user_id), None)
    if one is None:
        raise PortalUserNotFound
    return one


def _way(partner: PartnerDesk, one: PersonView, title: str) -> list[tuple[str, str]]:
    return [(partner.gettext("People"), PATH), (one.name, f"{PATH}/{one.user_id}"), (title, "")]


def _where(partner: PartnerDesk, one: PersonView) -> str:
    return partner.either(one.outlet_zh or "", one.outlet_en or "") if one.role is PartnerRole.CLERK else one.log_in_name


def _guest(partner: PartnerDesk, one: AskedView) -> str:
    return one.email or f"{one.name} · {partner.either(one.outlet_zh or '', one.outlet_en or '')}"


def _state(partner: PartnerDesk, one: PersonView) -> Markup:
    _ = partner.gettext
    if one.disabled_at is not None:
        return partner.tag(_("Log-in closed"))
    ready = one.phone_hash is not None if one.role is PartnerRole.CLERK else one.totp_confirmed_at is not None
    return partner.tag(_("Open"), "good") if ready else partner.tag(_("no second factor yet"), "warn")


def _outlet_field(partner: PartnerDesk, chosen: UUID | None) -> Any:
    choices = [(str(one.outlet_id), partner.either(one.name_zh, one.name_en)) for one in partner.outlets]
    value = str(chosen or (partner.outlet.outlet_id if partner.outlet else ""))
    return select("outlet", partner.gettext("Outlet"), choices, value=value)


def _outlet(partner: PartnerDesk) -> UUID:
    label = partner.gettext("Outlet")
    typed = partner.form.uuid("outlet", label)
    found = next((one.outlet_id for one in partner.outlets if one.outlet_id == typed), None)
    if found is None:
        partner.form.fault("outlet", label, partner.gettext("is not one of the choices"))
        return UUID(int=0)
    return found


handlers = [
    people,
    new_clerk,
    ask_clerk_in,
    new_person,
    invite,
    person,
    ask_phone,
    another_phone,
    ask_act,
    act,
    ask_withdraw,
    withdraw,
]
