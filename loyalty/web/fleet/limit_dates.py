"""What is asked for with a card, limits changed by date, and permits before use: beside the limits of whoever they bind."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.errors import NotFound
from loyalty.identity.portal_rules import FleetPermission
from loyalty.limits.levels import PERMIT
from loyalty.limits.model import ChangeKind, LimitChange, LimitRelease, Needs
from loyalty.limits.operations import NewChange, add_change, end_change, end_release, release, set_needs
from loyalty.limits.queries import needs_of, standing_changes, standing_releases
from loyalty.limits.wording import limit_label
from loyalty.web.desk import Page
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.limit_subjects import whose
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lookups import check, chips, field, local_input
from loyalty.web.office.parts import Act, Facts, Rows

PATH: Final = "/fleet/limits"
_MAY = FleetPermission.EDIT_LIMITS
_RELEASE = FleetPermission.RELEASE_LIMITS
_PERMIT = FleetPermission.LEND_CARDS
NEEDS: Final = {
    Needs.ODOMETER: N_("The odometer's reading"),
    Needs.PLATE: N_("The plate"),
    Needs.DRIVER: N_("The driver's number and own PIN"),
    Needs.RELATED: N_("A driver of this card or of its department"),
    Needs.PERMIT: N_("A permit before each use"),
}
_HOURS_MOST: Final = 24


async def whose_dated(fleet: FleetDesk, level: str, of: UUID) -> tuple[str, str, UUID]:
    """Return who they bind, as `limits.whose` does; a profile's limits are nobody's own.

    :raises NotFound: if there is no such one, or it is a profile
    """
    if level == "profile":
        raise NotFound
    return await whose(fleet, level, of)


async def _card(fleet: FleetDesk, level: str, of: UUID) -> tuple[str, str, UUID]:
    if level != "card":
        raise NotFound
    return await whose_dated(fleet, level, of)


async def asked_part(fleet: FleetDesk, subject: UUID, base: str) -> Facts:
    """Say what is asked for with the cards of a subject."""
    _ = fleet.gettext
    needs = await needs_of(fleet.session, subject_id=subject)
    acts = [Act(_("Change"), f"{base}/needs")] if fleet.may(_MAY) else []
    pairs = [(_(name), _("yes")) for need, name in NEEDS.items() if need in needs]
    note = "" if pairs else _("Nothing besides the card and its PIN.")
    return Facts(title=_("Asked for at the pump"), pairs=pairs, note=note, acts=acts)


async def dated_part(fleet: FleetDesk, subject: UUID, base: str) -> Rows:
    """List the changes by date that stand or are to come."""
    _ = fleet.gettext
    edits = fleet.may(_MAY)
    return Rows(
        title=_("Changes by date"),
        columns=[Column(_("Effect")), Column(_("From")), Column(_("Until")), Column(_("Reason")), Column("")],
        rows=[
            [
                cells.text(_more(fleet, one)),
                cells.when(fleet, one.valid_from),
                cells.when(fleet, one.valid_to),
                cells.text(one.reason),
                cells.link(fleet, f"{base}/dates/{one.change_id}/end", _("End early")) if edits else cells.text(""),
            ]
            for one in await standing_changes(fleet.session, subject_id=subject, now=fleet.now)
        ],
        empty=_("No change by date"),
        empty_then=_("More for the harvest, or nothing during a holiday: it begins and ends by itself."),
    )


def _more(fleet: FleetDesk, one: LimitChange) -> str:
    _ = fleet.gettext
    if one.kind is ChangeKind.BLOCK:
        return _("Stopped: nothing is sold")
    sizes = [] if one.percent is None else [f"+{one.percent} %"]
    sizes += [] if one.amount_minor is None else [f"+{fleet.f.money(one.amount_minor, fleet.company.currency)}"]
    sizes += [] if one.quantity_milli is None else [f"+{fleet.f.quantity(one.quantity_milli)}"]
    return ", ".join(sizes)


async def releases_part(fleet: FleetDesk, subject: UUID, base: str) -> Rows:
    """List a card's releases and permits that stand."""
    _ = fleet.gettext
    may = fleet.may(_RELEASE)
    return Rows(
        title=_("Releases and permits in force"),
        columns=[Column(_("What is lifted")), Column(_("Until")), Column(_("Reason")), Column("")],
        rows=[
            [
                cells.text(_lifts(fleet, one)),
                cells.when(fleet, one.valid_until),
                cells.text(one.reason),
                cells.link(fleet, f"{base}/releases/{one.release_id}/end", _("End early")) if may else cells.text(""),
            ]
            for one in await standing_releases(fleet.session, chain_id=subject, now=fleet.now)
        ],
        empty=_("Nothing is released"),
    )


def _lifts(fleet: FleetDesk, one: LimitRelease) -> str:
    _ = fleet.gettext
    names = ", ".join(limit_label(name, fleet.words.locale) for name in one.limits or ()) or _("all limits")
    return _("%(names)s (one fill)", names=names) if one.once else names


@get("/limits/{level:str}/{of:uuid}/needs")
async def ask_needs(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID]) -> Page:
    """Ask what shall be said or shown at the pump."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    name, back, subject = await whose_dated(fleet, level, of)
    needs = await needs_of(fleet.session, subject_id=subject)
    base = f"{PATH}/{level}/{of}"
    fields = [check(f"need_{int(need)}", _(label), checked=need in needs) for need, label in NEEDS.items()]
    note = _("What is asked for at company, department, vehicle, driver or card is asked for at the pump.")
    crumbs = [(name, back), (_("Limits"), base), (_("Asked for at the pump"), "")]
    return await fleet.ask(_("Asked for at the pump"), fields, submit=_("Save"), note=note, back=base, crumbs=crumbs)


@post("/limits/{level:str}/{of:uuid}/needs", status_code=303)
async def put_needs(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID]) -> Page:
    """Say what shall be said or shown at the pump."""
    fleet.require(_MAY)
    _name, _back, subject = await whose_dated(fleet, level, of)
    needs = Needs(0)
    for need in NEEDS:
        if fleet.form.flag(f"need_{int(need)}"):
            needs |= need
    if Needs.RELATED in needs:
        needs |= Needs.DRIVER
    await set_needs(fleet.session, subject_id=subject, needs=needs, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{level}/{of}", fleet.gettext("Saved"))


@get("/limits/{level:str}/{of:uuid}/dates/new")
async def new_change(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID]) -> Page:
    """Ask for a change by date."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    name, back, _subject = await whose_dated(fleet, level, of)
    base = f"{PATH}/{level}/{of}"
    kinds = [(ChangeKind.MORE.value, _("More than the limits")), (ChangeKind.BLOCK.value, _("Stopped: nothing is sold"))]
    fields = [
        chips("kind", _("Effect"), kinds, value=ChangeKind.MORE.value),
        field("percent", _("More of each limit"), num=True, required=False, after="%"),
        field("amount", _("More money"), num=True, required=False, before=fleet.f.sign_of(fleet.company.currency)),
        field("quantity", _("More litres"), num=True, required=False, after="L"),
        field("valid_from", _("From"), type="datetime-local", value=local_input(fleet, fleet.now)),
        field("valid_to", _("Until"), type="datetime-local", help=_("Not included: it ends as this minute begins.")),
        field("reason", _("Reason")),
    ]
    crumbs = [(name, back), (_("Limits"), base), (_("Change by date"), "")]
    return await fleet.ask(_("Change by date"), fields, submit=_("Add"), back=base, columns=True, crumbs=crumbs)


@post("/limits/{level:str}/{of:uuid}/dates/new", status_code=303)
async def put_change(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID]) -> Page:
    """Add a change by date."""
    fleet.require(_MAY)
    _, form = fleet.gettext, fleet.form
    _name, _back, subject = await whose_dated(fleet, level, of)
    kind = form.choice("kind", _("Effect"), ChangeKind, ChangeKind.MORE)
    more = kind is ChangeKind.MORE
    percent = form.whole("percent", _("More of each limit"), low=1, high=1000, required=False) if more else None
    amount = form.money("amount", _("More money"), fleet.company.currency, required=False) if more else None
    quantity = form.quantity("quantity", _("More litres"), required=False) if more else None
    begins, ends = form.instant("valid_from", _("From")), form.instant("valid_to", _("Until"))
    reason = form.text("reason", _("Reason"), longest=200)
    if more and percent is None and amount is None and quantity is None:
        form.fault("percent", _("More of each limit"), _("say how much more"))
    form.check()
    assert begins is not None, "the form has both times"
    assert ends is not None, "the form has both times"
    change = NewChange(kind, begins, ends, percent, amount, quantity, reason)
    await add_change(fleet.session, company_id=fleet.company_id, subject_id=subject, change=change, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{level}/{of}", _("The change is entered"))


@get("/limits/{level:str}/{of:uuid}/dates/{change_id:uuid}/end")
async def ask_end_change(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID], change_id: FromPath[UUID]) -> Page:
    """Ask once before a change ends early."""
    fleet.offer(_MAY)
    _ = fleet.gettext
    name, back, subject = await whose_dated(fleet, level, of)
    one = await _change(fleet, subject, change_id)
    base = f"{PATH}/{level}/{of}"
    crumbs = [(name, back), (_("Limits"), base), (_("End early"), "")]
    return await fleet.ask(
        _("End this change now?"), [], submit=_("End early"), danger=True, note=_more(fleet, one), back=base, crumbs=crumbs
    )


@post("/limits/{level:str}/{of:uuid}/dates/{change_id:uuid}/end", status_code=303)
async def end_early(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID], change_id: FromPath[UUID]) -> Page:
    """End a change before its time."""
    fleet.require(_MAY)
    _name, _back, subject = await whose_dated(fleet, level, of)
    await _change(fleet, subject, change_id)
    await end_change(fleet.session, company_id=fleet.company_id, change_id=change_id, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{level}/{of}", fleet.gettext("Ended"))


async def _change(fleet: FleetDesk, subject: UUID, change_id: UUID) -> LimitChange:
    found = await standing_changes(fleet.session, subject_id=subject, now=fleet.now)
    one = next((one for one in found if one.change_id == change_id), None)
    if one is None:
        raise NotFound(change=change_id)
    return one


@get("/limits/{level:str}/{of:uuid}/permit")
async def ask_permit(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID]) -> Page:
    """Ask for how long a card may be used once."""
    fleet.offer(_PERMIT)
    _ = fleet.gettext
    name, back, _subject = await _card(fleet, level, of)
    base = f"{PATH}/card/{of}"
    fields = [
        field("hours", _("Good for hours"), num=True, value="8", autofocus=True, help=_("24 at most; the first fill uses it up.")),
        field("reason", _("Reason")),
    ]
    crumbs = [(name, back), (_("Limits"), base), (_("Permit one use"), "")]
    note = _("Where a permit is asked for before each use, the card fuels once within these hours. Its limits go on holding.")
    return await fleet.ask(f"{_('Permit one use')}: {name}", fields, submit=_("Permit"), note=note, back=base, crumbs=crumbs)


@post("/limits/{level:str}/{of:uuid}/permit", status_code=303)
async def give_permit(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID]) -> Page:
    """Permit one use of a card."""
    fleet.require(_PERMIT)
    _, form = fleet.gettext, fleet.form
    _name, _back, subject = await _card(fleet, level, of)
    hours = form.whole("hours", _("Good for hours"), low=1, high=_HOURS_MOST)
    reason = form.text("reason", _("Reason"), longest=200)
    form.check()
    until = fleet.now + timedelta(hours=hours or 1)
    await release(fleet.session, chain_id=subject, limits=[PERMIT], until=until, once=True, reason=reason, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/card/{of}", _("One use is permitted"))


@get("/limits/{level:str}/{of:uuid}/releases/{release_id:uuid}/end")
async def ask_end_release(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID], release_id: FromPath[UUID]) -> Page:
    """Ask once before a release or permit ends early."""
    fleet.offer(_RELEASE)
    _ = fleet.gettext
    name, back, subject = await _card(fleet, level, of)
    one = await _released(fleet, subject, release_id)
    base = f"{PATH}/card/{of}"
    crumbs = [(name, back), (_("Limits"), base), (_("End early"), "")]
    return await fleet.ask(_("End it now?"), [], submit=_("End early"), danger=True, note=_lifts(fleet, one), back=base, crumbs=crumbs)


@post("/limits/{level:str}/{of:uuid}/releases/{release_id:uuid}/end", status_code=303)
async def end_released(fleet: NamedDependency[FleetDesk], level: FromPath[str], of: FromPath[UUID], release_id: FromPath[UUID]) -> Page:
    """End a release or permit before its time."""
    fleet.require(_RELEASE)
    _name, _back, subject = await _card(fleet, level, of)
    await _released(fleet, subject, release_id)
    await end_release(fleet.session, company_id=fleet.company_id, release_id=release_id, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/card/{of}", fleet.gettext("Ended"))


async def _released(fleet: FleetDesk, subject: UUID, release_id: UUID) -> LimitRelease:
    found = await standing_releases(fleet.session, chain_id=subject, now=fleet.now)
    one = next((one for one in found if one.release_id == release_id), None)
    if one is None:
        raise NotFound(release=release_id)
    return one


handlers = [
    ask_needs,
    put_needs,
    new_change,
    put_change,
    ask_end_change,
    end_early,
    ask_permit,
    give_permit,
    ask_end_release,
    end_released,
]
