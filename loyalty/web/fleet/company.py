"""The company's settings, and one's own password."""

from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.fleet.model import CompanyMode, SilencePolicy, UnusedMode, WorkdayMode
from loyalty.fleet.operations.companies import CompanySettings, change_company
from loyalty.fleet.operations.departments import DepartmentFacts, add_department, change_department, close_department
from loyalty.fleet.queries.departments import DepartmentNotFound, DepartmentView, departments_of
from loyalty.identity import operations as identity
from loyalty.identity.portal_rules import FleetPermission
from loyalty.identity.rules import StepUpNeeded
from loyalty.web.desk import Page
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.labels import MODE, ROLE, SILENCE, UNUSED, WORKDAY
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lookups import check, field, select
from loyalty.web.office.parts import Act, Cell, Facts, Field, Rows

DEPARTMENTS = "/fleet/departments"
_EDIT = FleetPermission.EDIT_STRUCTURE


@get("/settings")
async def settings(fleet: NamedDependency[FleetDesk]) -> Page:
    """Show how the company's money and months go, as a form."""
    fleet.offer(FleetPermission.SETTINGS)
    _ = fleet.gettext
    one = fleet.company
    fields = [
        select("mode", _("Where the money lies"), [(key.value, _(label)) for key, label in MODE.items()], value=one.mode.value),
        field(
            "period_day",
            _("The period begins on day"),
            value=one.period_day,
            inputmode="numeric",
            help=_("1 to 28; 26 means from the 26th to the 25th."),
        ),
        field("check_day", _("Requests are checked on day"), value=one.check_day, inputmode="numeric"),
        select(
            "workday_mode",
            _("If that is a rest day"),
            [(key.value, _(label)) for key, label in WORKDAY.items()],
            value=one.workday_mode.value,
        ),
        check("needs_records", _("No allocation without last period's fuel records"), checked=one.needs_records),
        check("needs_odometer", _("No allocation without an odometer reading"), checked=one.needs_odometer),
        select(
            "unused",
            _("Allocated money that was not used"),
            [(key.value, _(label)) for key, label in UNUSED.items()],
            value=one.unused.value,
        ),
        select(
            "silence", _("When nobody answers the pump"), [(key.value, _(label)) for key, label in SILENCE.items()], value=one.silence.value
        ),
        field("deputy_after", _("The deputy is asked after minutes"), value=one.deputy_after_s // 60, inputmode="numeric"),
        field("decide_after", _("It is decided after minutes"), value=one.decide_after_s // 60, inputmode="numeric"),
        check(
            "custody_blocks",
            _("A card that its custodian keeps fuels only with a permit"),
            checked=one.custody_blocks,
            note=_("Lent for a trip it fuels without one, until it is due back."),
        ),
        check("custodian_lends", _("A custodian may lend at once, without a second person"), checked=one.custodian_lends),
    ]
    return await fleet.ask(_("Settings"), fields, submit=_("Save"), back="/fleet", columns=True, sub=one.name)


@post("/settings", status_code=303)
async def save_settings(fleet: NamedDependency[FleetDesk]) -> Page:
    """Write the settings anew."""
    fleet.require(FleetPermission.SETTINGS)
    _, form, one = fleet.gettext, fleet.form, fleet.company
    mode = form.choice("mode", _("Where the money lies"), CompanyMode, one.mode)
    workday = form.choice("workday_mode", _("If that is a rest day"), WorkdayMode, one.workday_mode)
    unused = form.choice("unused", _("Allocated money that was not used"), UnusedMode, one.unused)
    silence = form.choice("silence", _("When nobody answers the pump"), SilencePolicy, one.silence)
    begins = form.whole("period_day", _("The period begins on day"), low=1, high=28)
    checked = form.whole("check_day", _("Requests are checked on day"), low=1, high=28)
    deputy = form.whole("deputy_after", _("The deputy is asked after minutes"), low=1, high=10_080)
    decide = form.whole("decide_after", _("It is decided after minutes"), low=1, high=10_080)
    form.check()
    wanted = CompanySettings(
        mode=mode,
        time_zone=one.time_zone,
        period_day=begins or one.period_day,
        check_day=checked or one.check_day,
        workday_mode=workday,
        needs_records=form.flag("needs_records"),
        needs_odometer=form.flag("needs_odometer"),
        unused=unused,
        silence=silence,
        deputy_after_s=(deputy or 1) * 60,
        decide_after_s=(decide or 1) * 60,
        custody_blocks=form.flag("custody_blocks"),
        custodian_lends=form.flag("custodian_lends"),
    )
    await change_company(fleet.session, company_id=fleet.company_id, settings=wanted, actor=fleet.actor, now=fleet.now)
    return await fleet.done("/fleet/settings", _("Saved"))


@get("/departments")
async def departments(fleet: NamedDependency[FleetDesk]) -> Page:
    """Show the departments, each below its parent."""
    fleet.require(FleetPermission.READ)
    _ = fleet.gettext
    edits = fleet.may(_EDIT)
    found = await departments_of(fleet.session, company_id=fleet.company_id)
    rows = [
        [
            Cell(fleet.link(f"{DEPARTMENTS}/{one.department_id}", " / ".join(one.path)) if edits else " / ".join(one.path), one.name),
            cells.text(one.cost_centre),
            cells.count(fleet, one.vehicles),
            cells.count(fleet, one.drivers),
            cells.count(fleet, one.cards),
            cells.link(fleet, f"/fleet/limits/department/{one.department_id}", _("Limits")),
        ]
        for one in found
        if fleet.departments is None or one.department_id in fleet.departments
    ]
    part = Rows(
        title="",
        columns=[
            Column(_("Name")),
            Column(_("Cost centre")),
            Column(_("Vehicles"), "num"),
            Column(_("Drivers"), "num"),
            Column(_("Cards"), "num"),
            Column(""),
        ],
        rows=rows,
        empty=_("No department"),
        empty_then=_("A small company needs none: vehicles, drivers and cards then stand right below it."),
    )
    acts = [] if fleet.departments is not None else [Act(_("The company's limits"), f"/fleet/limits/company/{fleet.company_id}")]
    acts += [Act(_("Add a department"), f"{DEPARTMENTS}/new", primary=True)] if edits else []
    return await fleet.page(_("Departments"), acts=acts, main=[part])


@get("/departments/new")
async def new_department(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask for a new department."""
    fleet.offer(_EDIT)
    _ = fleet.gettext
    return await fleet.ask(_("Add a department"), await _fields(fleet, None), submit=_("Add"), back=DEPARTMENTS)


@post("/departments/new", status_code=303)
async def make_department(fleet: NamedDependency[FleetDesk]) -> Page:
    """Add a department."""
    fleet.require(_EDIT)
    await add_department(fleet.session, company_id=fleet.company_id, facts=_facts(fleet), actor=fleet.actor, now=fleet.now)
    return await fleet.done(DEPARTMENTS, fleet.gettext("It is added"))


@get("/departments/{department_id:uuid}")
async def department(fleet: NamedDependency[FleetDesk], department_id: FromPath[UUID]) -> Page:
    """Ask how a department shall be, and whether it goes."""
    fleet.offer(_EDIT)
    _ = fleet.gettext
    one = await _one(fleet, department_id)
    close = fleet.form_part("", f"{DEPARTMENTS}/{department_id}/close", [], submit=_("Close the department"), danger=True, primary=False)
    return await fleet.ask(
        one.name,
        await _fields(fleet, one),
        submit=_("Save"),
        back=DEPARTMENTS,
        aside=[close],
        crumbs=[(_("Departments"), DEPARTMENTS), (one.name, "")],
    )


@post("/departments/{department_id:uuid}", status_code=303)
async def save_department(fleet: NamedDependency[FleetDesk], department_id: FromPath[UUID]) -> Page:
    """Write a department anew."""
    fleet.require(_EDIT)
    await change_department(
        fleet.session, company_id=fleet.company_id, department_id=department_id, facts=_facts(fleet), actor=fleet.actor, now=fleet.now
    )
    return await fleet.done(DEPARTMENTS, fleet.gettext("Saved"))


@post("/departments/{department_id:uuid}/close", status_code=303)
async def end_department(fleet: NamedDependency[FleetDesk], department_id: FromPath[UUID]) -> Page:
    """Close an empty department."""
    fleet.require(_EDIT)
    await close_department(fleet.session, company_id=fleet.company_id, department_id=department_id, actor=fleet.actor, now=fleet.now)
    return await fleet.done(DEPARTMENTS, fleet.gettext("The department is closed"))


@get("/me")
async def me(fleet: NamedDependency[FleetDesk]) -> Page:
    """Show who one is here."""
    _ = fleet.gettext
    one = fleet.principal
    facts = Facts(
        title=_("The log-in"), pairs=[(_("E-mail"), one.email), (_("Role"), _(ROLE[one.role])), (_("Company"), fleet.company.name)]
    )
    return await fleet.page(one.name, main=[facts], acts=[Act(_("Change the password"), "/fleet/me/password")])


@get("/me/password")
async def ask_password(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask for a new password."""
    _ = fleet.gettext
    fields = [
        field(
            "password",
            _("New password"),
            type="password",
            autocomplete="new-password",
            autofocus=True,
            help=_("Twelve characters at least."),
        ),
        field("again", _("Once more"), type="password", autocomplete="new-password"),
    ]
    return await fleet.ask(_("Change the password"), fields, submit=_("Change"), back="/fleet/me", note=_("Your other sessions end."))


@post("/me/password", status_code=303)
async def change_password(fleet: NamedDependency[FleetDesk]) -> Page:
    """Change one's own password; the second factor stands for the present one, which a stolen session does not have."""
    _, form = fleet.gettext, fleet.form
    if not fleet.principal.fresh:
        raise StepUpNeeded
    chosen = form.secret("password")
    if chosen != form.secret("again"):
        form.fault("again", _("Once more"), _("differs"))
    form.check()
    await identity.change_portal_password(fleet.session, by=fleet.principal, password=chosen, now=fleet.real_now)
    return await fleet.done("/fleet/me", _("The password is changed"))


async def _one(fleet: FleetDesk, department_id: UUID) -> DepartmentView:
    for one in await departments_of(fleet.session, company_id=fleet.company_id):
        if one.department_id == department_id:
            return one
    raise DepartmentNotFound


async def _fields(fleet: FleetDesk, one: DepartmentView | None) -> list[Field]:
    _ = fleet.gettext
    known = await departments_of(fleet.session, company_id=fleet.company_id)
    above = [
        (str(other.department_id), " / ".join(other.path)) for other in known if one is None or other.department_id != one.department_id
    ]
    return [
        field("name", _("Name"), value=one.name if one else "", autofocus=True),
        field("cost_centre", _("Cost centre"), value=(one.cost_centre or "") if one else "", required=False),
        select(
            "parent",
            _("Belongs to"),
            above,
            value=str(one.parent_id) if one and one.parent_id else "",
            blank=fleet.company.name,
            required=False,
        ),
    ]


def _facts(fleet: FleetDesk) -> DepartmentFacts:
    _, form = fleet.gettext, fleet.form
    facts = DepartmentFacts(
        name=form.text("name", _("Name"), longest=80),
        cost_centre=form.text("cost_centre", _("Cost centre"), required=False, longest=40) or None,
        parent_id=form.uuid("parent", _("Belongs to"), required=False),
    )
    form.check()
    return facts


handlers = [
    settings,
    save_settings,
    departments,
    new_department,
    make_department,
    department,
    save_department,
    end_department,
    me,
    ask_password,
    change_password,
]
