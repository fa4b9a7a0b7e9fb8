"""Profiles: a set of limits under a name, shared by as many cards, vehicles, drivers and departments as one likes."""

from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.errors import NotFound
from loyalty.identity.portal_rules import FleetPermission
from loyalty.limits.operations import ProfileNotFound, close_profile, make_profile, use_profile
from loyalty.limits.queries import ProfileView, list_profiles, profile_used_by
from loyalty.web.desk import Page
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.limit_subjects import whose
from loyalty.web.fleet.limits import PATH as LIMITS
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lookups import field, select
from loyalty.web.office.parts import Act, Cell, Rows

PATH: Final = "/fleet/profiles"
_MAY = FleetPermission.EDIT_LIMITS


async def _one(fleet: FleetDesk, profile_id: UUID) -> ProfileView:
    found = await list_profiles(fleet.session, company_id=fleet.company_id, profile_id=profile_id)
    if not found:
        raise ProfileNotFound(profile=profile_id)
    return found[0]


@get("/profiles")
async def profiles(fleet: NamedDependency[FleetDesk]) -> Page:
    """List the company's profiles with how much each holds and how many use it."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    edits = fleet.may(_MAY)
    rows = [
        [
            cells.link(fleet, f"{LIMITS}/profile/{one.profile_id}", one.name),
            cells.count(fleet, one.limits),
            cells.count(fleet, one.users),
            cells.link(fleet, f"{PATH}/{one.profile_id}/close", _("Take away")) if edits else Cell("", ""),
        ]
        for one in await list_profiles(fleet.session, company_id=fleet.company_id)
    ]
    table = Rows(
        title="",
        columns=[Column(_("Profile")), Column(_("Limits"), "num"), Column(_("Used by"), "num"), Column("")],
        rows=rows,
        empty=_("No profile yet"),
        empty_then=_("Make one, give it limits, and choose it on the limits page of cards, vehicles, drivers or departments."),
    )
    acts = [Act(_("Make a profile"), f"{PATH}/new", primary=True)] if edits else []
    return await fleet.page(_("Profiles of limits"), acts=acts, main=[table])


@get("/profiles/new")
async def new(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask for its name."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    crumbs = [(_("Profiles of limits"), PATH), (_("Make a profile"), "")]
    fields = [field("name", _("Name"), autofocus=True)]
    return await fleet.ask(_("Make a profile"), fields, submit=_("Make"), back=PATH, crumbs=crumbs)


@post("/profiles/new", status_code=303)
async def make(fleet: NamedDependency[FleetDesk]) -> Page:
    """Make a profile and lead on to its limits."""
    fleet.require(_MAY)
    name = fleet.form.text("name", fleet.gettext("Name"), longest=60)
    fleet.form.check()
    made = await make_profile(fleet.session, company_id=fleet.company_id, name=name, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{LIMITS}/profile/{made}", fleet.gettext("It is made: give it limits"))


@get("/profiles/{profile_id:uuid}/close")
async def ask_close(fleet: NamedDependency[FleetDesk], profile_id: FromPath[UUID]) -> Page:
    """Ask once, with how many it binds."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    one = await _one(fleet, profile_id)
    note = _("%(users)s use it; its limits end for all of them.", users=fleet.f.count(one.users))
    crumbs = [(_("Profiles of limits"), PATH), (one.name, "")]
    title = _("Take the profile away: %(name)s", name=one.name)
    return await fleet.ask(title, [], submit=_("Take away"), danger=True, note=note, back=PATH, crumbs=crumbs)


@post("/profiles/{profile_id:uuid}/close", status_code=303)
async def close(fleet: NamedDependency[FleetDesk], profile_id: FromPath[UUID]) -> Page:
    """Take a profile away from all who use it."""
    fleet.require(_MAY)
    await _one(fleet, profile_id)
    await close_profile(fleet.session, company_id=fleet.company_id, profile_id=profile_id, actor=fleet.actor, now=fleet.now)
    return await fleet.done(PATH, fleet.gettext("Taken away"))


@get("/limits/{level:str}/{of:uuid}/profile")
async def ask_profile(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID]) -> Page:
    """Ask which profile holds besides one's own limits."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    name, back, subject = await _user(fleet, level, of)
    known = await list_profiles(fleet.session, company_id=fleet.company_id)
    present = await profile_used_by(fleet.session, subject_id=subject)
    options = [(str(one.profile_id), one.name) for one in known]
    base = f"{LIMITS}/{level}/{of}"
    return await fleet.ask(
        f"{_('Profile')}: {name}",
        [select("profile", _("Profile"), options, value=str(present or ""), blank=_("None: its own limits alone"), required=False)],
        submit=_("Save"),
        note=_("A profile's limits hold besides its own; where both limit the same, the strictest wins."),
        back=base,
        crumbs=[(name, back), (_("Limits"), base), (_("Profile"), "")],
    )


@post("/limits/{level:str}/{of:uuid}/profile", status_code=303)
async def choose_profile(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID]) -> Page:
    """Give a subject a profile's limits, or take them away."""
    fleet.require(_MAY)
    _ = fleet.gettext
    _name, _back, subject = await _user(fleet, level, of)
    profile_id = fleet.form.uuid("profile", _("Profile"), required=False)
    fleet.form.check()
    await use_profile(
        fleet.session, company_id=fleet.company_id, subject_id=subject, profile_id=profile_id, actor=fleet.actor, now=fleet.now
    )
    return await fleet.done(f"{LIMITS}/{level}/{of}", _("Saved"))


async def _user(fleet: FleetDesk, level: str, of: UUID) -> tuple[str, str, UUID]:
    """Return whoever may use a profile; a profile does not.

    :raises NotFound: if it is a profile, or the reader does not see it
    """
    if level == "profile":
        raise NotFound
    return await whose(fleet, level, of)


handlers = [profiles, new, make, ask_close, close, ask_profile, choose_profile]
