"""What is valid when, and how far budgets are: drawn by the server, each with the table that says the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from litestar import get
from litestar.di import NamedDependency
from markupsafe import Markup

from loyalty.identity.rules import Permission
from loyalty.pricing.document import BudgetUnit, Document
from loyalty.pricing.queries import books
from loyalty.pricing.queries.books import BookView, BudgetState
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.parts import Cell, Part, Rows, Said
from loyalty.web.office.rules import tabs
from loyalty.web.office.rules_words import UNIT

MONTHS: Final = 6


@dataclass(frozen=True, slots=True)
class Span:
    """One lying bar of the calendar, in percent of its width."""

    name: Any
    x: str
    width: str
    mark: str
    is_off: bool
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gantt:
    """The calendar as the page draws it: `months` are (place, name)."""

    title: str
    spans: Sequence[Span]
    months: Sequence[tuple[str, str]]
    today: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    empty: str
    note: str = ""
    kind: str = "gantt"


@dataclass(frozen=True, slots=True)
class Window:
    """The months that are shown."""

    begins: datetime
    ends: datetime

    def place(self, instant: datetime) -> int:
        """Return where an instant stands, in thousandths of a percent, within the window."""
        whole = int((self.ends - self.begins).total_seconds())
        part = int((min(max(instant, self.begins), self.ends) - self.begins).total_seconds())
        return part * 100_000 // whole


def percent(thousandths: int) -> str:
    """Write thousandths of a percent."""
    return f"{thousandths // 1000}.{thousandths % 1000:03d}%"


def months_from(first: date, count: int) -> list[date]:
    """Return the first days of months."""
    return [date(first.year + (first.month - 1 + step) // 12, (first.month - 1 + step) % 12 + 1, 1) for step in range(count)]


@get("/rules/calendar")
async def calendar(desk: NamedDependency[Desk]) -> Page:
    """Draw what is valid when: the rules and campaigns of a rulebook over half a year, from last month on."""
    desk.require(Permission.READ_CARDS)
    _ = desk.gettext
    number = desk.query.maybe_whole("book")
    book = await books.live_at(desk.session, instant=desk.now) if number is None else await books.get_book(desk.session, number=number)
    coming = await books.upcoming(desk.session, now=desk.now)
    top: list[Part] = [
        Said(
            title=_("Rulebook %(number)s is live from %(when)s", number=one.number, when=desk.f.when(one.activates_at)),
            then=_("What is drawn below holds until then."),
            acts=[],
        )
        for one in coming
        if number is None
    ]
    title = _("What is valid when")
    sub = "" if book is None else _("Rulebook %(number)s", number=book.number)
    main: list[Any] = [_gantt(desk, book)]
    return await desk.page(title, sub=sub, tabs=tabs(desk, "calendar"), top=top, main=main, template="office/rules.html")


def _gantt(desk: Desk, book: BookView | None) -> Gantt:
    _ = desk.gettext
    zone = ZoneInfo(desk.zone)
    today = desk.now.astimezone(zone).date()
    first = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    days = months_from(first, MONTHS + 1)
    window = Window(datetime.combine(days[0], time(), zone), datetime.combine(days[-1], time(), zone))
    document = Document() if book is None else book.document
    lines = _lines(desk, document)
    spans, rows = [], []
    for name, mark, is_off, starts, ends in lines:
        left = window.begins if starts is None else starts
        right = window.ends if ends is None else ends
        said = f"{name}: {desk.f.full_day(starts)} – {desk.f.full_day(ends)}"
        begin, end = window.place(left), window.place(right)
        if right > window.begins and left < window.ends:
            kind = desk.tag(_("Campaign"), "info") if mark == "2" else desk.tag(_("switched off"), "warn") if is_off else ""
            spans.append(Span(Markup("{} {}").format(name, kind), percent(begin), percent(max(end - begin, 400)), mark, is_off, said))
        rows.append([name, desk.f.full_day(starts), desk.f.full_day(ends), _("switched off") if is_off else ""])
    return Gantt(
        title=_("From %(first)s to %(last)s", first=desk.f.month(days[0]), last=desk.f.month(days[-2])),
        spans=spans,
        months=[(percent(window.place(datetime.combine(day, time(), zone))), desk.f.month(day)) for day in days[:-1]],
        today=percent(window.place(desk.now)),
        columns=[Column(_("Rule or campaign")), Column(_("From")), Column(_("To")), Column(_("State"))],
        rows=rows,
        empty=_("Nothing is valid in these months"),
    )


def _lines(desk: Desk, document: Document) -> list[tuple[str, str, bool, datetime | None, datetime | None]]:
    """Return what the calendar draws: campaigns, then rules; a rule's time is cut to its campaign's."""
    campaigns = {one.code: one for one in document.campaigns}
    found = [(desk.either(one.name_zh, one.name_en), "2", False, one.starts_at, one.ends_at) for one in document.campaigns]
    for rule in document.rules:
        campaign = campaigns.get(rule.campaign or "")
        starts = [at for at in (rule.starts_at, campaign.starts_at if campaign else None) if at is not None]
        ends = [at for at in (rule.ends_at, campaign.ends_at if campaign else None) if at is not None]
        name = desk.either(rule.name_zh, rule.name_en)
        found.append((name, "1", not rule.enabled, max(starts, default=None), min(ends, default=None)))
    return found


@get("/rules/budgets")
async def budgets(desk: NamedDependency[Desk]) -> Page:
    """Show how far each budget is: used, set aside, free."""
    desk.require(Permission.READ_CARDS)
    _ = desk.gettext
    live = await books.live_at(desk.session, instant=desk.now)
    document = Document() if live is None else live.document
    states = list((await books.budget_states(desk.session)).values())
    # A budget is opened when its rulebook is approved: one that is not live yet has its name in that.
    coming = [(await books.get_book(desk.session, number=one.number)).document for one in await books.upcoming(desk.session, now=desk.now)]
    names = {one.code: desk.either(one.name_zh, one.name_en) for each in (*reversed(coming), document) for one in each.budgets}
    main: list[Any] = [_table(desk, document, states, names)]
    sub = _("Never more than its total is given, whoever asks at once")
    return await desk.page(_("Budgets"), sub=sub, tabs=tabs(desk, "budgets"), main=main, template="office/rules.html")


def _share(part: int, one: BudgetState) -> int:
    """Return a part of a budget in basis points."""
    return part * 10_000 // one.total if one.total else 0


def _table(desk: Desk, document: Document, states: Sequence[BudgetState], names: dict[str, str]) -> Rows:
    _ = desk.gettext
    meter = desk.macro("ui").meter

    def figure(value: int, one: BudgetState) -> Cell:
        if one.unit == BudgetUnit.MINOR.value:
            return cells.money(desk, value, one.currency or document.currency)
        return cells.count(desk, value)

    rows = []
    for one in states:
        gone = one.used + one.reserved
        label = _("%(percent)s gone", percent=desk.f.percent(_share(gone, one)))
        rows.append(
            [
                Cell(Markup('<span class="fig">{}</span>').format(names.get(one.code, one.code)), one.code),
                cells.text(_(UNIT[BudgetUnit(one.unit)])),
                figure(one.total, one),
                figure(one.used, one),
                figure(one.reserved, one),
                figure(one.free, one),
                Cell(desk.f.percent(_share(gone, one)), _share(gone, one)),
                Cell(meter(gone, one.total, label), ""),
                cells.count(desk, sum(rule.budget == one.code for rule in document.rules)),
            ]
        )
    return Rows(
        title=_("Budgets as they stand"),
        columns=[
            Column(_("Budget")),
            Column(_("Counts")),
            Column(_("In all"), "num"),
            Column(_("Used"), "num"),
            Column(_("Set aside"), "num"),
            Column(_("Free"), "num"),
            Column(_("Gone"), "num"),
            Column(""),
            Column(_("Rules"), "num"),
        ],
        rows=rows,
        empty=_("No budget has gone live yet"),
        empty_then=_("Add one to a draft; rules that name it stop giving when it is used up."),
    )


handlers = [calendar, budgets]
