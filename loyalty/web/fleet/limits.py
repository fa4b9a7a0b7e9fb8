"""Limits of a company, department, vehicle, driver or card: seen, added, taken away; and released for a day by one click."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.errors import NotFound
from loyalty.identity.portal_rules import FleetPermission
from loyalty.limits.model import CardLimit, LimitKind, Reaction
from loyalty.limits.operations import add_limit, end_limit, release
from loyalty.limits.operations.levels import RELEASE_MOST
from loyalty.limits.queries import list_profiles, profile_used_by, standing_limits
from loyalty.web.desk import Page
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.limit_dates import asked_part, dated_part, releases_part
from loyalty.web.fleet.limit_subjects import whose
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.labels import LIMIT_KIND, REACTION
from loyalty.web.office.limit_forms import kind_field, limit_fields, read_kind, read_limit
from loyalty.web.office.limit_words import limit_words
from loyalty.web.office.lookups import Places, field, places
from loyalty.web.office.parts import Act, Cell, Part, Rows, Said

PATH: Final = "/fleet/limits"
_MAY = FleetPermission.EDIT_LIMITS
_KINDS: Final = (
    *(LimitKind.AMOUNT, LimitKind.QUANTITY, LimitKind.COUNT, LimitKind.GRADES, LimitKind.STATIONS, LimitKind.DISTRICTS, LimitKind.REGIONS),
    *(LimitKind.HOURS, LimitKind.MIN_INTERVAL, LimitKind.TANK, LimitKind.SHOP, LimitKind.PLATE, LimitKind.ODOMETER),
)


async def _card(fleet: FleetDesk, level: str, of: UUID) -> tuple[str, str, UUID]:
    """Return a card as `_whose` does: only a card's limits are released.

    :raises NotFound: if it is none
    """
    if level != "card":
        raise NotFound
    return await whose(fleet, level, of)


@get("/limits/{level:str}/{of:uuid}")
async def limits(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID]) -> Page:
    """Show whose limits these are, and what each does."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    name, back, subject = await whose(fleet, level, of)
    standing, found = await standing_limits(fleet.session, subject_id=subject), await places(fleet)
    base, edits = f"{PATH}/{level}/{of}", fleet.may(_MAY)
    rows = [_row(fleet, one, found, base if edits else "") for one in standing]
    acts: list[Act | None] = []
    if level == "card" and fleet.may(FleetPermission.LEND_CARDS):
        acts.append(Act(_("Permit one use"), f"{base}/permit"))
    if level == "card" and fleet.may(FleetPermission.RELEASE_LIMITS):
        acts.append(Act(_("Release for 24 hours"), f"{base}/release"))
    if edits and level != "profile":
        acts += [Act(_("Profile"), f"{base}/profile"), Act(_("Change by date"), f"{base}/dates/new")]
    if edits:
        acts.append(Act(_("Add a limit"), f"{base}/new", primary=True))
    table = Rows(
        title=_("Limits in force"),
        columns=[Column(_("Limit")), Column(_("Effect")), Column(_("Until")), Column("")],
        rows=rows,
        empty=_("Nothing limits it here"),
        empty_then=_("What stands at company, department, vehicle, driver and card all holds; the strictest wins."),
    )
    top = await _profile(fleet, subject)
    main: list[Part] = [table]
    if level != "profile":
        main += [await dated_part(fleet, subject, base), await asked_part(fleet, subject, base)]
    if level == "card":
        main.append(await releases_part(fleet, subject, base))
    return await fleet.page(f"{_('Limits')}: {name}", crumbs=[(name, back), (_("Limits"), "")], acts=acts, top=top, main=main)


async def _profile(fleet: FleetDesk, subject: UUID) -> list[Part]:
    """Say whose limits hold besides one's own."""
    _ = fleet.gettext
    used = await profile_used_by(fleet.session, subject_id=subject)
    found = await list_profiles(fleet.session, company_id=fleet.company_id, profile_id=used) if used else []
    return [
        Said(title=_("The profile %(name)s holds besides", name=one.name), acts=[Act(_("Show"), f"{PATH}/profile/{used}")]) for one in found
    ]


def _row(fleet: FleetDesk, one: CardLimit, found: Places, base: str) -> list[Cell]:
    taken = cells.link(fleet, f"{base}/{one.limit_id}/end", fleet.gettext("Take away")) if base else cells.text("")
    return [
        cells.text(limit_words(fleet, one, found)),
        cells.tag(fleet, one.reaction, REACTION),
        cells.when(fleet, one.valid_to),
        taken,
    ]


@get("/limits/{level:str}/{of:uuid}/new")
async def new_limit(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID]) -> Page:
    """Ask what is limited, then how much of it."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    name, back, _subject = await whose(fleet, level, of)
    kind = fleet.query.maybe("kind", LimitKind)
    base = f"{PATH}/{level}/{of}"
    crumbs = [(name, back), (_("Limits"), base), (_("Add a limit"), "")]
    if kind not in _KINDS:
        fields = [kind_field(fleet, _KINDS, LimitKind.QUANTITY)]
        return await fleet.ask(_("Add a limit"), fields, submit=_("Continue"), action=f"{base}/kind", back=base, crumbs=crumbs)
    assert kind is not None, "one of the kinds"
    fields = await limit_fields(fleet, kind, Reaction, currency=fleet.company.currency)
    return await fleet.ask(f"{_('Add a limit')}: {_(LIMIT_KIND[kind])}", fields, submit=_("Add"), back=base, crumbs=crumbs)


@post("/limits/{level:str}/{of:uuid}/kind", status_code=303)
async def choose_kind(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID]) -> Page:
    """Lead on to the fields of the chosen kind."""
    fleet.require(_MAY)
    await whose(fleet, level, of)
    kind = read_kind(fleet, LimitKind.QUANTITY)
    fleet.form.check()
    return await fleet.done(f"{PATH}/{level}/{of}/new?kind={kind.value}")


@post("/limits/{level:str}/{of:uuid}/new", status_code=303)
async def put_limit(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID]) -> Page:
    """Add a limit; it binds from now on."""
    fleet.require(_MAY)
    _ = fleet.gettext
    _name, _back, subject = await whose(fleet, level, of)
    limit = read_limit(fleet, LimitKind.QUANTITY, currency=fleet.company.currency)
    fleet.form.check()
    await add_limit(fleet.session, subject_id=subject, limit=limit, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{level}/{of}", _("The limit is in force"))


@get("/limits/{level:str}/{of:uuid}/{limit_id:uuid}/end")
async def ask_end(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID], limit_id: FromPath[UUID]) -> Page:
    """Ask once before a limit is taken away."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    name, back, subject = await whose(fleet, level, of)
    one = await _standing(fleet, subject, limit_id)
    base = f"{PATH}/{level}/{of}"
    crumbs = [(name, back), (_("Limits"), base), (_("Take away"), "")]
    note = limit_words(fleet, one, await places(fleet))
    return await fleet.ask(_("Take this limit away?"), [], submit=_("Take away"), danger=True, note=note, back=base, crumbs=crumbs)


@post("/limits/{level:str}/{of:uuid}/{limit_id:uuid}/end", status_code=303)
async def end(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID], limit_id: FromPath[UUID]) -> Page:
    """Take a limit away."""
    fleet.require(_MAY)
    _name, _back, subject = await whose(fleet, level, of)
    await _standing(fleet, subject, limit_id)
    await end_limit(fleet.session, limit_id=limit_id, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{level}/{of}", fleet.gettext("The limit is taken away"))


async def _standing(fleet: FleetDesk, subject: UUID, limit_id: UUID) -> CardLimit:
    found = next((one for one in await standing_limits(fleet.session, subject_id=subject) if one.limit_id == limit_id), None)
    if found is None:
        raise NotFound(limit=limit_id)
    return found


@get("/limits/{level:str}/{of:uuid}/release")
async def ask_release(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID]) -> Page:
    """Ask why a card's limits are lifted for a day."""
    fleet.offer(FleetPermission.RELEASE_LIMITS)
    _ = fleet.gettext
    name, back, _subject = await _card(fleet, level, of)
    base = f"{PATH}/card/{of}"
    note = _("For 24 hours nothing blocks this card, at whatever level it stands: what passes is marked, and the trail names you.")
    crumbs = [(name, back), (_("Limits"), base), (_("Release for 24 hours"), "")]
    fields = [field("reason", _("Reason"), autofocus=True)]
    return await fleet.ask(f"{_('Release for 24 hours')}: {name}", fields, submit=_("Release"), note=note, back=base, crumbs=crumbs)


@post("/limits/{level:str}/{of:uuid}/release", status_code=303)
async def give_release(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID]) -> Page:
    """Lift a card's limits for a day."""
    fleet.require(FleetPermission.RELEASE_LIMITS)
    _ = fleet.gettext
    _name, _back, subject = await _card(fleet, level, of)
    reason = fleet.form.text("reason", _("Reason"), longest=200)
    fleet.form.check()
    until = fleet.now + RELEASE_MOST - timedelta(seconds=1)
    await release(fleet.session, chain_id=subject, limits=None, until=until, reason=reason, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/card/{of}", _("Released for 24 hours"))


handlers = [limits, ask_release, give_release, new_limit, choose_kind, put_limit, ask_end, end]
