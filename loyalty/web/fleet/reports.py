"""What one gets by mail: chosen here by each for themselves, tried at once, ended here."""

from typing import Final

from litestar import get, post
from litestar.di import NamedDependency

from loyalty.fleet.model_reports import ReportFiles
from loyalty.fleet.operations.reports import PeriodDue, subscribe
from loyalty.fleet.queries.reports import chosen_by
from loyalty.identity.portal_rules import FleetPermission
from loyalty.statements.queries.companies import StatedPeriod, periods_of
from loyalty.web.desk import Page, new_key
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.report_mail import put_period
from loyalty.web.fleet.statement_tables import tabs_of
from loyalty.web.i18n import N_
from loyalty.web.office.lookups import check, chips
from loyalty.web.office.parts import Part, Text

PATH: Final = "/fleet/statements/mail"
_MAY: Final = FleetPermission.READ_STATEMENTS
FILES: Final = {
    ReportFiles.NONE: N_("No mail"),
    ReportFiles.PDF: N_("With the statement as PDF"),
    ReportFiles.XLSX: N_("With the statement as XLSX"),
    ReportFiles.BOTH: N_("With both"),
}


@get("/statements/mail")
async def reports(fleet: NamedDependency[FleetDesk]) -> Page:
    """Show what the reader gets by mail."""
    fleet.require(_MAY)
    _ = fleet.gettext
    chosen = await chosen_by(fleet.session, user_id=fleet.principal.user_id)
    form = fleet.form_part(
        _("What you get"),
        PATH,
        [
            chips(
                "at_close",
                _("When a period is closed"),
                [(one.value, _(label)) for one, label in FILES.items()],
                value=chosen.at_close.value,
            ),
            check("weekly", _("Every Monday: last week's litres, spend, saving, and what waits"), checked=chosen.weekly),
        ],
        submit=_("Save"),
    )
    main: list[Part] = [form]
    if await _last_closed(fleet) is not None:
        main.append(fleet.form_part(_("Try it"), f"{PATH}/now", [], submit=_("Send me the last statement now"), primary=False))
    about = Text(
        title=_("To %(address)s", address=fleet.principal.email),
        lines=[_("In the language that you use here, cut to what you may see.")],
        note=_("Who may no longer come in gets nothing more."),
    )
    return await fleet.page(_("Statement"), sub=_("Reports by mail"), tabs=tabs_of(fleet, PATH), main=main, aside=[about])


@post("/statements/mail", status_code=303)
async def choose(fleet: NamedDependency[FleetDesk]) -> Page:
    """Keep what the reader wants."""
    fleet.require(_MAY)
    _ = fleet.gettext
    at_close = fleet.form.choice("at_close", _("When a period is closed"), ReportFiles, ReportFiles.NONE)
    weekly = fleet.form.flag("weekly")
    fleet.form.check()
    await subscribe(
        fleet.session,
        user_id=fleet.principal.user_id,
        company=fleet.company,
        at_close=at_close,
        weekly=weekly,
        locale=fleet.words.locale,
        actor=fleet.actor,
        now=fleet.now,
    )
    return await fleet.done(PATH, _("Saved"))


@post("/statements/mail/now", status_code=303)
async def send_now(fleet: NamedDependency[FleetDesk]) -> Page:
    """Send the last closed period's statement once more."""
    fleet.require(_MAY)
    _ = fleet.gettext
    last = await _last_closed(fleet)
    if last is not None:
        chosen = await chosen_by(fleet.session, user_id=fleet.principal.user_id)
        files = ReportFiles.PDF if chosen.at_close is ReportFiles.NONE else chosen.at_close
        due = PeriodDue(fleet.principal.user_id, fleet.company_id, fleet.words.locale, last.first, files)
        settings = fleet.request.app.state.settings
        await put_period(fleet.session, settings=settings, due=due, now=fleet.now, again=f":{new_key()}")
    return await fleet.done(PATH, _("It is on its way to %(address)s", address=fleet.principal.email))


async def _last_closed(fleet: FleetDesk) -> StatedPeriod | None:
    """Return the company's last closed period; None before the first."""
    return next((one for one in await periods_of(fleet.session, company=fleet.company, now=fleet.now) if one.closed_at), None)


handlers = [reports, choose, send_now]
