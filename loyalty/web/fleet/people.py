"""The company's people: asked in by a link, given a role, closed, their second factor forgotten."""

from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup

from loyalty.fleet.queries.departments import departments_of, get_department
from loyalty.identity import operations as identity
from loyalty.identity.model_portal import PortalRole
from loyalty.identity.operations import PortalUserNotFound
from loyalty.identity.portal_rules import FleetPermission
from loyalty.web.desk import Page
from loyalty.web.fleet import queries
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.labels import ROLE, ROLE_MAY
from loyalty.web.fleet.queries import PersonView
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lookups import field, select
from loyalty.web.office.parts import Act, Cell, Facts, Field, Rows, Text

PATH = "/fleet/people"
_MANAGE = FleetPermission.MANAGE_PEOPLE


@get("/people")
async def people(fleet: NamedDependency[FleetDesk]) -> Page:
    """List who may come in, and who was asked to."""
    fleet.offer(_MANAGE)
    _ = fleet.gettext
    found = await queries.list_people(fleet.session, company_id=fleet.company_id)
    asked = await queries.open_invitations(fleet.session, company_id=fleet.company_id, now=fleet.real_now)
    users = Rows(
        title="",
        columns=[
            Column(_("Name")),
            Column(_("E-mail")),
            Column(_("Role")),
            Column(_("Department")),
            Column(_("Last log-in")),
            Column(_("State")),
        ],
        rows=[
            [
                cells.link(fleet, f"{PATH}/{one.user_id}", one.name),
                cells.text(one.email),
                cells.text(_(ROLE[one.role])),
                cells.text(one.department),
                cells.when(fleet, one.last_log_in_at),
                Cell(_state(fleet, one), ""),
            ]
            for one in found
        ],
        empty=_("Nobody yet"),
    )
    invitations = Rows(
        title=_("Invited, not here yet"),
        columns=[Column(_("E-mail")), Column(_("Role")), Column(_("Department")), Column(_("Good until")), Column("")],
        rows=[
            [
                cells.text(one.email),
                cells.text(_(ROLE[one.role])),
                cells.text(one.department),
                cells.when(fleet, one.expires_at),
                Cell(fleet.link(f"{PATH}/invitations/{one.invitation_id}/withdraw", _("Withdraw")), ""),
            ]
            for one in asked
        ],
        empty=_("Nobody waits"),
    )
    acts = [Act(_("Deputies"), f"{PATH}/deputies"), Act(_("Invite"), f"{PATH}/new", primary=True)]
    return await fleet.page(_("People"), acts=acts, main=[users, *([invitations] if asked else [])])


def _state(fleet: FleetDesk, one: PersonView) -> Markup:
    _ = fleet.gettext
    if one.disabled_at is not None:
        return fleet.tag(_("Log-in closed"))
    return fleet.tag(_("Open"), "good") if one.totp_confirmed_at else fleet.tag(_("no second factor yet"), "warn")


@get("/people/new")
async def new(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask for the address and the role."""
    fleet.offer(_MANAGE)
    _ = fleet.gettext
    fields = [
        field("email", _("E-mail"), type="email", autofocus=True, inputmode="email", attrs={"autocapitalize": "none"}),
        *await _role_fields(fleet, None),
    ]
    note = _("You get a link to hand over. It is good once, for seven days; your guest chooses a password and sets up an authenticator.")
    return await fleet.ask(
        _("Invite"), fields, submit=_("Make the link"), back=PATH, note=note, crumbs=[(_("People"), PATH), (_("Invite"), "")]
    )


@post("/people/new", status_code=200)
async def invite(fleet: NamedDependency[FleetDesk]) -> Page:
    """Make the link and show it once."""
    fleet.require(_MANAGE)
    _ = fleet.gettext
    email = fleet.form.text("email", _("E-mail"), longest=200)
    role, department_id = await _role(fleet)
    fleet.form.check()
    token = await identity.invite(
        fleet.session,
        company_id=fleet.company_id,
        email=email,
        role=role,
        department_id=department_id,
        actor=fleet.actor,
        now=fleet.real_now,
    )
    shown = invitation_text(fleet, token=token, email=email, role=role, onward=PATH)
    return await fleet.shown(_("The invitation"), [shown], crumbs=[(_("People"), PATH), (_("The invitation"), "")], instead=True)


def invitation_text(desk: Any, *, token: str, email: str, role: PortalRole, onward: str) -> Text:
    """Return an invitation's link, shown once; it can be printed."""
    _ = desk.gettext
    request = desk.request
    href = f"{request.url.scheme}://{request.headers.get('host', '')}/fleet/invitations/{token}"
    return Text(
        title=_("The link for %(email)s", email=email),
        note=_("Shown only now"),
        lines=[
            Markup('<a class="mono" href="{}">{}</a>').format(href, href),
            desk.macro("ui").qr_code(href, alt=_("QR code of the invitation")),
            f"{_(ROLE[role])}: {_(ROLE_MAY[role])}",
            desk.macro("ui").button(_("Print"), type="button", attrs={"data-print": ""}),
            _("Good once, for seven days. Print this page or send the link; whoever has it comes in."),
        ],
        acts=[Act(_("Done"), onward, primary=True, key="Escape")],
    )


@get("/people/{user_id:uuid}")
async def person(fleet: NamedDependency[FleetDesk], user_id: FromPath[UUID]) -> Page:
    """Show one of the company's people."""
    fleet.offer(_MANAGE)
    _ = fleet.gettext
    one = await _one(fleet, user_id)
    base = f"{PATH}/{user_id}"
    acts: list[Act] = []
    if user_id != fleet.principal.user_id:
        acts = [Act(_("Change the role"), f"{base}/role"), Act(_("New authenticator"), f"{base}/authenticator")]
        acts.append(
            Act(_("Open the log-in"), f"{base}/enable") if one.disabled_at else Act(_("Close the log-in"), f"{base}/disable", danger=True)
        )
    facts = Facts(
        title=_("The log-in"),
        pairs=[
            (_("E-mail"), one.email),
            (_("Role"), f"{_(ROLE[one.role])}: {_(ROLE_MAY[one.role])}"),
            (_("Department"), one.department or "—"),
            (_("Second factor"), _("set up") if one.totp_confirmed_at else _("at the next log-in")),
            (_("Last log-in"), cells.when(fleet, one.last_log_in_at).show),
        ],
        acts=acts,
    )
    return await fleet.page(one.name, crumbs=[(_("People"), PATH), (one.name, "")], tags=[_state(fleet, one)], main=[facts])


@get("/people/{user_id:uuid}/role")
async def ask_role(fleet: NamedDependency[FleetDesk], user_id: FromPath[UUID]) -> Page:
    """Ask for another role."""
    fleet.offer(_MANAGE)
    _ = fleet.gettext
    one = await _one(fleet, user_id)
    return await fleet.ask(
        _("Change the role"), await _role_fields(fleet, one), submit=_("Change"), back=f"{PATH}/{user_id}", crumbs=_crumbs(fleet, one)
    )


@post("/people/{user_id:uuid}/role", status_code=303)
async def change_role(fleet: NamedDependency[FleetDesk], user_id: FromPath[UUID]) -> Page:
    """Give somebody another role."""
    fleet.require(_MANAGE)
    role, department_id = await _role(fleet)
    fleet.form.check()
    await identity.change_portal_role(
        fleet.session, user_id=user_id, role=role, department_id=department_id, by=fleet.principal, now=fleet.real_now
    )
    return await fleet.done(f"{PATH}/{user_id}", fleet.gettext("The role is changed"))


_ACTS = [f"/people/{{user_id:uuid}}/{name}" for name in ("disable", "enable", "authenticator")]


@get(_ACTS)
async def ask_act(fleet: NamedDependency[FleetDesk], user_id: FromPath[UUID]) -> Page:
    """Ask once."""
    fleet.offer(_MANAGE)
    _ = fleet.gettext
    one = await _one(fleet, user_id)
    title, note = {
        "disable": (_("Close the log-in"), _("Nobody comes in with it, and every session ends at once. It can be opened again.")),
        "enable": (_("Open the log-in"), _("With the password and authenticator of before.")),
        "authenticator": (
            _("New authenticator"),
            _("The lost one and its recovery codes are forgotten; the next log-in sets up a new one."),
        ),
    }[fleet.act]
    danger = fleet.act == "disable"
    return await fleet.ask(title, [], submit=title, danger=danger, note=note, back=f"{PATH}/{user_id}", crumbs=_crumbs(fleet, one))


@post(_ACTS, status_code=303)
async def act(fleet: NamedDependency[FleetDesk], user_id: FromPath[UUID]) -> Page:
    """Close or open a log-in, or forget its second factor."""
    fleet.require(_MANAGE)
    work = {
        "disable": identity.disable_portal_user,
        "enable": identity.enable_portal_user,
        "authenticator": identity.reset_portal_second_factor,
    }
    await work[fleet.act](fleet.session, user_id=user_id, by=fleet.principal, now=fleet.real_now)
    return await fleet.done(f"{PATH}/{user_id}", fleet.gettext("Done"))


@get("/people/invitations/{invitation_id:uuid}/withdraw")
async def ask_withdraw(fleet: NamedDependency[FleetDesk], invitation_id: FromPath[UUID]) -> Page:
    """Ask once before an invitation ends."""
    fleet.offer(_MANAGE)
    _ = fleet.gettext
    asked = await queries.open_invitations(fleet.session, company_id=fleet.company_id, now=fleet.real_now)
    if invitation_id not in {one.invitation_id for one in asked}:
        raise identity.InvitationNotValid
    return await fleet.ask(
        _("Withdraw the invitation?"), [], submit=_("Withdraw"), danger=True, back=PATH, note=_("Its link opens nothing any more.")
    )


@post("/people/invitations/{invitation_id:uuid}/withdraw", status_code=303)
async def withdraw(fleet: NamedDependency[FleetDesk], invitation_id: FromPath[UUID]) -> Page:
    """End an invitation."""
    fleet.require(_MANAGE)
    await identity.withdraw_invitation(
        fleet.session, company_id=fleet.company_id, invitation_id=invitation_id, actor=fleet.actor, now=fleet.real_now
    )
    return await fleet.done(PATH, fleet.gettext("Withdrawn"))


async def _one(fleet: FleetDesk, user_id: UUID) -> PersonView:
    one = await queries.get_person(fleet.session, company_id=fleet.company_id, user_id=user_id)
    if one is None:
        raise PortalUserNotFound
    return one


def _crumbs(fleet: FleetDesk, one: PersonView) -> list[tuple[str, str]]:
    return [(fleet.gettext("People"), PATH), (one.name, f"{PATH}/{one.user_id}")]


async def _role_fields(fleet: FleetDesk, one: PersonView | None) -> list[Field]:
    _ = fleet.gettext
    roles = [(role.value, f"{_(label)}: {_(ROLE_MAY[role])}") for role, label in ROLE.items()]
    found = await departments_of(fleet.session, company_id=fleet.company_id, counted=False)
    rooms = [(str(one.department_id), " / ".join(one.path)) for one in found]
    present = str(one.department_id) if one and one.department_id else ""
    return [
        select("role", _("Role"), roles, value=one.role.value if one else PortalRole.VIEWER.value),
        select("department", _("Department"), rooms, value=present, blank="—", required=False, help=_("For a department head only.")),
    ]


async def _role(fleet: FleetDesk) -> tuple[PortalRole, UUID | None]:
    _ = fleet.gettext
    role = fleet.form.choice("role", _("Role"), PortalRole, PortalRole.VIEWER)
    department_id = fleet.form.uuid("department", _("Department"), required=False)
    if department_id is not None:
        await get_department(fleet.session, company_id=fleet.company_id, department_id=department_id)
    return role, department_id


handlers = [people, new, invite, person, ask_role, change_role, ask_act, act, ask_withdraw, withdraw]
