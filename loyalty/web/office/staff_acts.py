"""What is done to one member of staff: roles given and ended, a card and PIN for the counter, a log-in for the office, the leave."""

import secrets
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup

from loyalty.errors import NotFound
from loyalty.identity import operations
from loyalty.identity.model import Role, ScopeKind
from loyalty.identity.rules import Permission
from loyalty.web.office import lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.frame import ROLES
from loyalty.web.office.labels import SCOPE
from loyalty.web.office.lookups import chips, field, select
from loyalty.web.office.parts import Act, Field, Text
from loyalty.web.office.staff import PATH, crumbs_of, in_scope

_WORDS: tuple[str, ...] = (
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "harbor",
    "inlet",
    "juniper",
    "kelp",
    "lagoon",
    "meadow",
    "nectar",
)
_WORDS += ("orchid", "pebble", "quartz", "ripple", "saffron", "tundra", "umber", "velvet", "willow", "yarrow", "zephyr", "canyon")


@get("/staff/{staff_id:uuid}/roles/new")
async def new_role(desk: NamedDependency[Desk], staff_id: FromPath[UUID]) -> Page:
    """Ask for a role, its scope and its time."""
    desk.offer(Permission.GRANT_ROLES)
    _ = desk.gettext
    places = await lookups.places(desk)
    roles = [(role.value, _(label)) for role, label in ROLES.items()]
    scopes = [("all", _(SCOPE[ScopeKind.ALL]))]
    scopes += [(f"region:{key}", f"{_(SCOPE[ScopeKind.REGION])} {name}") for key, name in await lookups.regions(desk)]
    scopes += [(f"district:{key}", f"{_(SCOPE[ScopeKind.DISTRICT])} {name}") for key, name in await lookups.districts(desk)]
    scopes += [(f"station:{key}", name) for key, name in places.options()]
    fields = [
        chips("role", _("Role"), roles),
        select("scope", _("Scope"), scopes, blank=_("Choose")),
        field("from", _("From"), type="datetime-local", required=False, help=_("Empty: at once.")),
        field("to", _("To"), type="datetime-local", required=False, help=_("Empty: until it is ended.")),
    ]
    crumbs = await crumbs_of(desk, staff_id, _("Give a role"))
    return await desk.ask(_("Give a role"), fields, submit=_("Give"), back=f"{PATH}/{staff_id}", crumbs=crumbs)


@post("/staff/{staff_id:uuid}/roles/new", status_code=303)
async def grant_role(desk: NamedDependency[Desk], staff_id: FromPath[UUID]) -> Page:
    """Give a role."""
    desk.require(Permission.GRANT_ROLES)
    _ = desk.gettext
    form = desk.form
    role = form.choice("role", _("Role"), Role, Role.CASHIER)
    kind, _colon, key = form.text("scope", _("Scope")).partition(":")
    begins, ends = form.instant("from", _("From"), required=False), form.instant("to", _("To"), required=False)
    if kind and kind not in set(ScopeKind):
        form.fault("scope", _("Scope"), _("is not one of the choices"))
    form.check()
    await operations.grant_role(
        desk.session,
        staff_id=staff_id,
        role=role,
        scope=ScopeKind(kind),
        scope_id=UUID(key) if key else None,
        valid_from=begins,
        valid_to=ends,
        by=desk.principal,
        now=desk.real_now,
    )
    return await desk.done(f"{PATH}/{staff_id}", _("Given: %(role)s", role=_(ROLES[role])))


_SIMPLE = {
    "leave": Permission.EDIT_STAFF,
    "return": Permission.EDIT_STAFF,
    "unlock": Permission.UNLOCK_STAFF_PIN,
    "sessions": Permission.EDIT_STAFF,
    "disable": Permission.EDIT_STAFF,
    "authenticator": Permission.EDIT_STAFF,
    "password": Permission.EDIT_STAFF,
    "log-in": Permission.EDIT_STAFF,
    "card": Permission.EDIT_STAFF,
    "pin": Permission.EDIT_STAFF,
}
_ACTS = [f"/staff/{{staff_id:uuid}}/{name}" for name in _SIMPLE]


@get(_ACTS)
async def ask_act(desk: NamedDependency[Desk], staff_id: FromPath[UUID]) -> Page:
    """Ask once, with what the act needs."""
    act = desk.act
    desk.offer(_SIMPLE[act])
    _ = desk.gettext
    titles = {
        "leave": (_("Let go"), _("Roles, card, log-in and sessions end at once. The name stays on the trail.")),
        "return": (_("Take back"), _("Active again, with none of the roles, card or log-in of before.")),
        "unlock": (_("Unlock the PIN"), _("Three tries are given back; the PIN stays. Nobody unlocks their own.")),
        "sessions": (_("End all sessions"), _("At once, on every device.")),
        "disable": (_("Close the log-in"), _("Nobody gets in with it; a new password opens it again.")),
        "authenticator": (
            _("New authenticator"),
            _("The lost one and its recovery codes are forgotten; the next log-in sets up a new one."),
        ),
        "password": (_("New password"), _("A password for one log-in is made and shown once; all sessions end.")),
        "log-in": (_("Give a log-in"), _("A password for one log-in is made and shown once; an authenticator is set up then.")),
        "card": (_("Give a card"), _("It takes the place of the card before; its PIN is set anew.")),
        "pin": (_("Set the PIN"), _("Six to twelve digits, chosen by the person.")),
    }
    title, note = titles[act]
    fields: list[Field] = []
    if act == "log-in":
        fields.append(field("name", _("Log-in name"), autofocus=True, attrs={"autocapitalize": "none"}))
    if act == "card":
        fields.append(field("number", _("Number of the staff card"), autofocus=True, inputmode="numeric"))
    if act == "pin":
        fields.append(field("pin", _("PIN"), type="password", inputmode="numeric", autocomplete="new-password", autofocus=True))
        fields.append(field("again", _("Once more"), type="password", inputmode="numeric", autocomplete="new-password"))
    danger = act in {"leave", "disable", "sessions"}
    crumbs = await crumbs_of(desk, staff_id, title)
    return await desk.ask(title, fields, submit=title, danger=danger, note=note, back=f"{PATH}/{staff_id}", crumbs=crumbs)


@post(_ACTS[:6], status_code=303)
async def do_act(desk: NamedDependency[Desk], staff_id: FromPath[UUID]) -> Page:
    """Do what needs no further words."""
    act = desk.act
    desk.require(_SIMPLE[act])
    await in_scope(desk, staff_id, Permission.READ_STAFF)
    _ = desk.gettext
    known = {"session": desk.session, "staff_id": staff_id, "by": desk.principal, "now": desk.real_now}
    work: dict[str, Any] = {
        "leave": operations.let_go,
        "return": operations.take_back,
        "unlock": operations.unlock_staff_pin,
        "sessions": operations.revoke_sessions_of,
        "disable": operations.disable_user,
        "authenticator": operations.reset_second_factor,
    }
    await work[act](**known)
    undo = {"leave": f"{PATH}/{staff_id}/return", "return": f"{PATH}/{staff_id}/leave"}.get(act, "")
    return await desk.done(f"{PATH}/{staff_id}", _("Done"), undo=undo)


@post(_ACTS[6:8], status_code=200)
async def give_password(desk: NamedDependency[Desk], staff_id: FromPath[UUID]) -> Page:
    """Make a password for one log-in and show it once."""
    desk.require(Permission.EDIT_STAFF)
    one = await in_scope(desk, staff_id, Permission.READ_STAFF)
    _ = desk.gettext
    made = "-".join(secrets.choice(_WORDS) for _word in range(5)) + f"-{secrets.randbelow(90) + 10}"
    if desk.act == "log-in":
        name = desk.form.text("name", _("Log-in name"), longest=60).lower()
        desk.form.check()
        await operations.create_user(desk.session, staff_id=staff_id, log_in_name=name, password=made, by=desk.principal, now=desk.real_now)
    else:
        name = one.log_in_name or ""
        await operations.reset_password(desk.session, staff_id=staff_id, password=made, by=desk.principal, now=desk.real_now)
    shown = Text(
        title=_("Password for the next log-in"),
        note=_("Shown only now"),
        lines=[
            Markup('{}: <strong class="mono">{}</strong>').format(_("Log-in name"), name),
            Markup('{}: <strong class="mono">{}</strong>').format(_("Password"), made),
            _("It is changed at the first log-in."),
        ],
        acts=[Act(_("Done"), f"{PATH}/{staff_id}", primary=True, key="Escape")],
    )
    return await desk.shown(
        _("Password for the next log-in"), [shown], crumbs=await crumbs_of(desk, staff_id, _("Password for the next log-in")), instead=True
    )


@post(_ACTS[8], status_code=303)
async def give_card(desk: NamedDependency[Desk], staff_id: FromPath[UUID]) -> Page:
    """Give a staff card."""
    desk.require(Permission.EDIT_STAFF)
    _ = desk.gettext
    number = desk.form.text("number", _("Number of the staff card"), longest=40)
    desk.form.check()
    await operations.issue_staff_card(desk.session, staff_id=staff_id, card_number=number, by=desk.principal, now=desk.real_now)
    return await desk.done(f"{PATH}/{staff_id}", _("The card is given; set its PIN."))


@post(_ACTS[9], status_code=303)
async def set_pin(desk: NamedDependency[Desk], staff_id: FromPath[UUID]) -> Page:
    """Set the PIN of a staff card."""
    desk.require(Permission.EDIT_STAFF)
    _ = desk.gettext
    pin = desk.form.secret("pin")
    if pin != desk.form.secret("again"):
        desk.form.fault("again", _("Once more"), _("differs"))
    desk.form.check()
    await operations.set_staff_pin(desk.session, staff_id=staff_id, pin=pin, by=desk.principal, now=desk.real_now)
    return await desk.done(f"{PATH}/{staff_id}", _("The PIN is set"))


@get("/staff/{staff_id:uuid}/roles/{grant_id:uuid}/end")
async def ask_end_role(desk: NamedDependency[Desk], staff_id: FromPath[UUID], grant_id: FromPath[UUID]) -> Page:
    """Ask once before a role ends."""
    desk.offer(Permission.GRANT_ROLES)
    _ = desk.gettext
    del grant_id
    crumbs = await crumbs_of(desk, staff_id, _("End a role"))
    note = _("From the next request on nothing of it may be done.")
    return await desk.ask(_("End this role?"), [], submit=_("End"), danger=True, back=f"{PATH}/{staff_id}", crumbs=crumbs, note=note)


@post("/staff/{staff_id:uuid}/roles/{grant_id:uuid}/end", status_code=303)
async def end_role(desk: NamedDependency[Desk], staff_id: FromPath[UUID], grant_id: FromPath[UUID]) -> Page:
    """End a role at once."""
    desk.require(Permission.GRANT_ROLES)
    one = await in_scope(desk, staff_id, Permission.READ_STAFF)
    if grant_id not in {role.grant_id for role in one.roles}:
        raise NotFound
    await operations.end_role(desk.session, grant_id=grant_id, by=desk.principal, now=desk.real_now)
    return await desk.done(f"{PATH}/{staff_id}", desk.gettext("The role has ended"))


handlers = [new_role, grant_role, ask_act, do_act, give_password, give_card, set_pin, ask_end_role, end_role]
