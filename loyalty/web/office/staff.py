"""Staff: listed, shown one by one, hired and corrected."""

from collections.abc import Sequence
from typing import Any, TypedDict
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup

from loyalty.errors import NotFound
from loyalty.identity import operations, queries
from loyalty.identity.model import ScopeKind, StaffStatus
from loyalty.identity.queries import RoleView, StaffView
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.frame import ROLES
from loyalty.web.office.labels import PORTAL, SCOPE, STAFF_STATUS
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import chips, field, select
from loyalty.web.office.parts import Act, Cell, Facts, Field, Rows

PATH = "/office/staff"


@get(three("/staff"))
async def staff(desk: NamedDependency[Desk]) -> Any:
    """List the staff in the reader's scope."""
    reachable = desk.reachable(Permission.READ_STAFF)
    _ = desk.gettext
    listing = desk.listing(PATH, "", ["text", "status"])
    places = await lookups.places(desk)

    async def fetch(cursor: str | None, limit: int) -> Found[StaffView]:
        status = desk.query.maybe("status", StaffStatus) or StaffStatus.ACTIVE
        return await queries.list_staff(
            desk.session,
            stations=reachable,
            search=listing.filters["text"],
            status=status,
            now=desk.real_now,
            cursor=cursor,
            limit=limit,
        )

    async def rows(found: Sequence[StaffView]) -> list[list[Cell]]:
        return [
            [
                cells.text(one.employee_number),
                cells.link(desk, f"{PATH}/{one.staff_id}", one.name),
                cells.text(", ".join(_(ROLES[role.role]) for role in one.roles)),
                cells.text(places.names.get(one.home_station_id) if one.home_station_id else None),
                Cell(_card(desk, one), one.card_tail or ""),
                cells.text(one.log_in_name),
                cells.tag(desk, one.status, STAFF_STATUS),
            ]
            for one in found
        ]

    statuses = [(member.value, _(label[0])) for member, label in STAFF_STATUS.items()]
    acts = [Act(_("Hire"), f"{PATH}/new", primary=True) if desk.may(Permission.EDIT_STAFF) else None]
    return await show(
        desk,
        List(
            title=_("Staff"),
            listing=listing,
            columns=[
                Column(_("Number")),
                Column(_("Name")),
                Column(_("Roles")),
                Column(_("Station")),
                Column(_("Staff card")),
                Column(_("Log-in")),
                Column(_("Status")),
            ],
            fetch=fetch,
            rows=rows,
            filters=[
                field("text", _("Find"), value=listing.filters["text"], required=False, key="F1"),
                select("status", _("Status"), statuses, value=listing.filters["status"] or "active", required=False),
            ],
            acts=acts,
            tabs=staff_tabs(desk, "staff"),
            empty=_("Nobody here"),
            name="staff",
        ),
    )


def staff_tabs(desk: Desk, here: str) -> list[tuple[str, str, bool, int]]:
    _ = desk.gettext
    return [(_("Staff"), PATH, here == "staff", 0), (_("Access review"), "/office/access", here == "access", 0)]


def _card(desk: Desk, one: StaffView) -> Any:
    _ = desk.gettext
    if one.card_tail is None:
        return "—"
    tail = f"•••• {one.card_tail}"
    if one.pin_locked:
        return Markup("{} {}").format(tail, desk.tag(_("PIN locked"), "bad"))
    return tail if one.pin_set else Markup("{} {}").format(tail, desk.tag(_("no PIN"), "warn"))


async def scope_name(desk: Desk, role: RoleView, places: lookups.Places) -> str:
    _ = desk.gettext
    if role.scope is ScopeKind.ALL or role.scope_id is None:
        return _(SCOPE[ScopeKind.ALL])
    if role.scope is ScopeKind.STATION:
        return places.names.get(role.scope_id, "—")
    options = await (lookups.districts(desk) if role.scope is ScopeKind.DISTRICT else lookups.regions(desk))
    return f"{_(SCOPE[role.scope])} {dict(options).get(str(role.scope_id), '—')}"


@get("/staff/{staff_id:uuid}")
async def person(desk: NamedDependency[Desk], staff_id: FromPath[UUID]) -> Page:
    """Show one member of staff."""
    one = await in_scope(desk, staff_id, Permission.READ_STAFF)
    _ = desk.gettext
    places = await lookups.places(desk)
    base = f"{PATH}/{staff_id}"
    edits, grants = desk.may(Permission.EDIT_STAFF), desk.may(Permission.GRANT_ROLES)
    phone = await queries.staff_phone(desk.session, staff_id=staff_id)
    facts = Facts(
        title=_("The person"),
        pairs=[
            (_("Number"), one.employee_number),
            (_("Phone"), phone or "—"),
            (_("Station"), places.names.get(one.home_station_id, "—") if one.home_station_id else "—"),
            (_("Status"), cells.tag(desk, one.status, STAFF_STATUS).show),
        ],
        acts=[Act(_("Edit"), f"{base}/edit")] if edits else [],
    )
    roles = Rows(
        title=_("Roles"),
        columns=[Column(_("Role")), Column(_("Scope")), Column(_("From")), Column(_("To")), Column("")],
        rows=[
            [
                cells.text(_(ROLES[role.role])),
                cells.text(await scope_name(desk, role, places)),
                cells.when(desk, role.valid_from),
                cells.when(desk, role.valid_to),
                Cell(desk.link(f"{base}/roles/{role.grant_id}/end", _("End")) if grants else "", ""),
            ]
            for role in one.roles
        ],
        empty=_("No role: nothing may be done"),
        acts=[Act(_("Give a role"), f"{base}/roles/new")] if grants and one.status is StaffStatus.ACTIVE else [],
    )
    sessions = await _sessions_part(desk, staff_id, edits=edits)
    acts: list[Act | None] = []
    if edits and staff_id != desk.principal.staff_id:
        leaves = one.status is StaffStatus.ACTIVE
        acts.append(Act(_("Let go") if leaves else _("Take back"), f"{base}/{'leave' if leaves else 'return'}", danger=leaves))
    return await desk.page(
        one.name,
        sub=", ".join(_(ROLES[role.role]) for role in one.roles),
        crumbs=[(_("Staff"), PATH), (one.name, "")],
        tags=[cells.tag(desk, one.status, STAFF_STATUS).show, *([desk.tag(_("PIN locked"), "bad")] if one.pin_locked else [])],
        acts=acts,
        main=[roles, sessions],
        aside=[facts, _counter(desk, one, base, edits=edits), _office(desk, one, base, edits=edits)],
    )


async def in_scope(desk: Desk, staff_id: UUID, permission: Permission) -> StaffView:
    """Return a member of staff whom the reader's scope reaches.

    :raises NotFound: if it does not: by the station they belong to or work at, or because they belong to none
    """
    reachable = desk.reachable(permission)
    one = await queries.staff_view(desk.session, staff_id=staff_id, now=desk.real_now)
    if reachable is None:
        return one
    theirs = {one.home_station_id, *(role.scope_id for role in one.roles if role.scope is ScopeKind.STATION)}
    if not theirs & reachable:
        raise NotFound
    return one


def _counter(desk: Desk, one: StaffView, base: str, *, edits: bool) -> Facts:
    _ = desk.gettext
    acts: list[Act] = []
    if edits and one.status is StaffStatus.ACTIVE:
        acts.append(Act(_("Give a card"), f"{base}/card"))
        if one.card_tail:
            acts.append(Act(_("Set the PIN"), f"{base}/pin"))
    if one.pin_locked and desk.may(Permission.UNLOCK_STAFF_PIN):
        acts.append(Act(_("Unlock"), f"{base}/unlock", primary=True))
    state = _("locked") if one.pin_locked else _("set") if one.pin_set else _("not set")
    return Facts(title=_("At the counter"), pairs=[(_("Staff card"), _card(desk, one)), (_("PIN"), state)], acts=acts)


def _office(desk: Desk, one: StaffView, base: str, *, edits: bool) -> Facts:
    _ = desk.gettext
    acts: list[Act] = []
    if edits and one.status is StaffStatus.ACTIVE and one.staff_id != desk.principal.staff_id:
        if one.log_in_name is None:
            acts.append(Act(_("Give a log-in"), f"{base}/log-in"))
        else:
            acts.append(Act(_("New password"), f"{base}/password"))
            acts.append(Act(_("New authenticator"), f"{base}/authenticator"))
            acts.append(Act(_("Close the log-in"), f"{base}/disable", danger=True))
    pairs = [(_("Log-in"), one.log_in_name or "—"), (_("Second factor"), _("set up") if one.second_factor else _("at the first log-in"))]
    return Facts(title=_("In the office"), pairs=pairs if one.log_in_name else pairs[:1], acts=acts)


async def _sessions_part(desk: Desk, staff_id: UUID, *, edits: bool) -> Rows:
    _ = desk.gettext
    found = await queries.sessions_of(desk.session, staff_id=staff_id, now=desk.real_now)
    return Rows(
        title=_("Signed in"),
        columns=[Column(_("Where")), Column(_("Since")), Column(_("Last seen")), Column(_("Address"))],
        rows=[
            [
                cells.text(_(PORTAL[one.portal])),
                cells.when(desk, one.opened_at),
                cells.when(desk, one.last_seen_at),
                cells.text(one.address),
            ]
            for one in found
        ],
        empty=_("Nowhere at the moment"),
        acts=[Act(_("End all"), f"{PATH}/{staff_id}/sessions")] if edits and found and staff_id != desk.principal.staff_id else [],
    )


async def _person_fields(desk: Desk, one: StaffView | None, phone: str | None) -> list[Field]:
    _ = desk.gettext
    places = await lookups.places(desk)
    station = str(one.home_station_id) if one and one.home_station_id else ""
    return [
        *([] if one else [field("number", _("Employee number"), autofocus=True)]),
        field("name", _("Name"), value=one.name if one else ""),
        select("station", _("Station"), places.options(), value=station, blank=_("The office"), required=False),
        field(
            "phone",
            _("Phone"),
            value=phone or "",
            required=False,
            inputmode="tel",
            help=_("With country code, for example +8613800138000."),
        ),
        chips("locale", _("Language"), [("zh_CN", "中文"), ("en", "English")], value=one.locale if one else "zh_CN"),
    ]


class _Typed(TypedDict):
    """What both forms ask of a person."""

    name: str
    home_station_id: UUID | None
    phone: str | None
    locale: str


def _typed(desk: Desk) -> _Typed:
    form, _ = desk.form, desk.gettext
    return _Typed(
        name=form.text("name", _("Name"), longest=100),
        home_station_id=form.uuid("station", _("Station"), required=False),
        phone=form.raw("phone") or None,
        locale=form.raw("locale") or "zh_CN",
    )


@get("/staff/new")
async def new_person(desk: NamedDependency[Desk]) -> Page:
    """Ask who is hired."""
    desk.offer(Permission.EDIT_STAFF)
    _ = desk.gettext
    fields = await _person_fields(desk, None, None)
    return await desk.ask(_("Hire"), fields, submit=_("Hire"), back=PATH, crumbs=[(_("Staff"), PATH), (_("Hire"), "")])


@post("/staff/new", status_code=303)
async def hire(desk: NamedDependency[Desk]) -> Page:
    """Enter a member of staff."""
    desk.require(Permission.EDIT_STAFF)
    _ = desk.gettext
    number, typed = desk.form.text("number", _("Employee number"), longest=40), _typed(desk)
    desk.form.check()
    staff_id = await operations.hire(desk.session, employee_number=number, **typed, by=desk.principal, now=desk.real_now)
    return await desk.done(f"{PATH}/{staff_id}", _("Hired. Give a role, then a card or a log-in."))


async def crumbs_of(desk: Desk, staff_id: UUID, title: str) -> list[tuple[str, str]]:
    """Return the way to an act's page: the list, the person, the act's `title`."""
    one = await in_scope(desk, staff_id, Permission.READ_STAFF)
    return [(desk.gettext("Staff"), PATH), (one.name, f"{PATH}/{staff_id}"), (title, "")]


@get("/staff/{staff_id:uuid}/edit")
async def edit_person(desk: NamedDependency[Desk], staff_id: FromPath[UUID]) -> Page:
    """Show what is known, to be corrected."""
    desk.offer(Permission.EDIT_STAFF)
    _ = desk.gettext
    one = await in_scope(desk, staff_id, Permission.READ_STAFF)
    fields = await _person_fields(desk, one, await queries.staff_phone(desk.session, staff_id=staff_id))
    crumbs = await crumbs_of(desk, staff_id, _("Edit"))
    return await desk.ask(_("Edit"), fields, submit=_("Save"), back=f"{PATH}/{staff_id}", crumbs=crumbs)


@post("/staff/{staff_id:uuid}/edit", status_code=303)
async def change_person(desk: NamedDependency[Desk], staff_id: FromPath[UUID]) -> Page:
    """Store what was corrected."""
    desk.require(Permission.EDIT_STAFF)
    typed = _typed(desk)
    desk.form.check()
    await operations.change_staff(desk.session, staff_id=staff_id, **typed, by=desk.principal, now=desk.real_now)
    return await desk.done(f"{PATH}/{staff_id}", desk.gettext("Saved"))


handlers = [staff, person, new_person, hire, edit_person, change_person]
