"""The working calendar, a year by months: which days are worked, and a change with its ground."""

import calendar as months
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from litestar import get, post
from litestar.di import NamedDependency

from loyalty.clock import local_date
from loyalty.identity.rules import Permission
from loyalty.stations.operations.calendar import cover_year, put_day
from loyalty.stations.queries.calendar import calendar_days, calendar_of, calendar_years
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lookups import chips, field, hidden
from loyalty.web.office.parts import Act, Cell, Part, Rows, Said
from loyalty.workdays import Calendar, DayKind

PATH: Final = "/office/calendar"
COUNTRY: Final = "CN"
KIND: Final = {
    DayKind.WORKDAY: (N_("Workday"), "good"),
    DayKind.REST: (N_("Day off"), "warn"),
    DayKind.HOLIDAY: (N_("Holiday"), "bad"),
}
_AS_WEEKDAY: Final = "weekday"


@dataclass(frozen=True, slots=True)
class Day:
    """One square of a month; `mark` says what it is by shape, not by colour alone."""

    number: int
    href: str
    kind: str
    mark: str
    says: str
    is_today: bool


@dataclass(frozen=True, slots=True)
class Month:
    """A month's name and its weeks, a square or None a day, Monday first."""

    name: str
    weeks: list[list[Day | None]]


@get("/calendar")
async def shown(desk: NamedDependency[Desk]) -> Page:
    """Draw a year: what is worked, what is not, and what was changed."""
    desk.require(Permission.READ_STATION)
    _ = desk.gettext
    today = local_date(desk.now, desk.zone)
    year = min(max(desk.query.maybe_whole("year") or today.year, 2004), 2100)
    special = await calendar_days(desk.session, country=COUNTRY, year=year)
    known = {one.year: one for one in await calendar_years(desk.session, country=COUNTRY)}
    covered = year in known and known[year].covered
    found = await calendar_of(desk.session, country=COUNTRY, first=year, last=year)
    names = {day: row.name for day, row in special.items()}
    drawn = [_month(desk, date(year, number, 1), found if covered else None, names, today) for number in range(1, 13)]
    may = desk.may(Permission.EDIT_STATIONS)
    top: list[Part] = []
    if not covered:
        top.append(
            Said(
                title=_("The arrangement of %(year)s has not been entered", year=year),
                tone="bad",
                then=_("Whatever is due on a workday of that year waits: nothing is guessed from weekends."),
                acts=[Act(_("Say that it is complete"), f"{PATH}/cover?year={year}", primary=True)] if may else [],
            )
        )
    rows = [
        [
            cells.text(desk.f.day(day)),
            cells.tag(desk, row.kind, KIND),
            cells.text(row.name or "—"),
            cells.text(_("Office") if row.source == "office" else row.source),
            cells.when(desk, row.updated_at),
            Cell(desk.link(f"{PATH}/day?day={day.isoformat()}", _("Change")) if may else "", ""),
        ]
        for day, row in sorted(special.items())
    ]
    listed = Rows(
        title=_("Days that are not what their weekday says"),
        columns=[Column(_("Day")), Column(_("Is a")), Column(_("Name")), Column(_("Source")), Column(_("Since")), Column("")],
        rows=rows,
        empty=_("None has been entered"),
        empty_then=_("Choose a day above to say what it is."),
    )
    return await desk.page(
        _("Working calendar %(year)s", year=year),
        sub=_("It moves due days of companies: allocation, and whatever else waits for a workday"),
        top=top,
        main=[listed],
        acts=[Act(str(year - 1), f"{PATH}?year={year - 1}"), Act(str(year + 1), f"{PATH}?year={year + 1}")],
        template="office/calendar.html",
        months=drawn,
        weekdays=[_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun")],
        may_change=may,
    )


def _month(desk: Desk, first: date, found: Calendar | None, names: dict[date, str], today: date) -> Month:
    _ = desk.gettext

    def square(day: date) -> Day | None:
        if day.month != first.month:
            return None
        special = None if found is None else found.days.get(day)
        is_worked = None if found is None else found.is_workday(day)
        kind = "unknown" if is_worked is None else "work" if is_worked else "rest"
        mark = _("on") if special is DayKind.WORKDAY else _("off") if special is not None else ""
        says = ": ".join(part for part in (desk.f.day(day), names.get(day) or (_(KIND[special][0]) if special else "")) if part)
        return Day(day.day, f"{PATH}/day?day={day.isoformat()}", kind, mark, says, day == today)

    weeks = [[square(day) for day in week] for week in months.Calendar().monthdatescalendar(first.year, first.month)]
    return Month(desk.f.month(first), weeks)


@get("/calendar/day")
async def ask_day(desk: NamedDependency[Desk]) -> Page:
    """Ask what a day is, and on what ground."""
    desk.offer(Permission.EDIT_STATIONS)
    _ = desk.gettext
    day = _day_of(desk, desk.query.raw("day"))
    row = (await calendar_days(desk.session, country=COUNTRY, year=day.year)).get(day)
    choices = [(kind.value, _(words[0])) for kind, words in KIND.items()]
    fields = [
        hidden("day", day.isoformat()),
        chips(
            "kind", _("Is a"), [*choices, (_AS_WEEKDAY, _("What its weekday says"))], value=_AS_WEEKDAY if row is None else row.kind.value
        ),
        field("name", _("Name"), value="" if row is None else row.name, required=False),
        field("reason", _("Ground"), help=_("The notice it is from, or why."), autofocus=True),
    ]
    back = f"{PATH}?year={day.year}"
    crumbs = [(_("Working calendar"), back), (desk.f.day(day), "")]
    return await desk.ask(desk.f.day(day), fields, submit=_("Change the day"), action=f"{PATH}/day", back=back, crumbs=crumbs)


@post("/calendar/day", status_code=303)
async def change_day(desk: NamedDependency[Desk]) -> Page:
    """Say what a day is; the trail keeps what it was and why it changed."""
    desk.require(Permission.EDIT_STATIONS)
    _ = desk.gettext
    day = _day_of(desk, desk.form.raw("day"))
    kind = next((one for one in DayKind if one.value == desk.form.raw("kind")), None)
    await put_day(
        desk.session,
        country=COUNTRY,
        day=day,
        kind=kind,
        name=desk.form.raw("name"),
        reason=desk.form.raw("reason"),
        actor=desk.actor,
        now=desk.now,
    )
    return await desk.done(f"{PATH}?year={day.year}", _("Changed"))


@get("/calendar/cover")
async def ask_cover(desk: NamedDependency[Desk]) -> Page:
    """Ask whether a year's arrangement is complete."""
    desk.offer(Permission.EDIT_STATIONS)
    _ = desk.gettext
    year = _year_of(desk.query.raw("year"), desk)
    count = len(await calendar_days(desk.session, country=COUNTRY, year=year))
    fields = [hidden("year", year), field("reason", _("Ground"), help=_("The notice it is from, or why."), autofocus=True)]
    back = f"{PATH}?year={year}"
    return await desk.ask(
        _("Is the arrangement of %(year)s complete?", year=year),
        fields,
        submit=_("It is complete"),
        action=f"{PATH}/cover",
        back=back,
        crumbs=[(_("Working calendar"), back), (str(year), "")],
        note=_("%(count)s special days are entered. From then on every other day is what its weekday says.", count=count),
    )


@post("/calendar/cover", status_code=303)
async def cover(desk: NamedDependency[Desk]) -> Page:
    """Say that a year's arrangement is complete."""
    desk.require(Permission.EDIT_STATIONS)
    year = _year_of(desk.form.raw("year"), desk)
    await cover_year(desk.session, country=COUNTRY, year=year, reason=desk.form.raw("reason"), actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}?year={year}", desk.gettext("Changed"))


def _day_of(desk: Desk, said: str) -> date:
    try:
        return date.fromisoformat(said)
    except ValueError:
        return desk.now.date()


def _year_of(said: str, desk: Desk) -> int:
    return int(said) if said.isdigit() and 2004 <= int(said) <= 2100 else desk.now.year


handlers: list[Any] = [shown, ask_day, change_day, ask_cover, cover]
