"""Rulebooks for marketing: what is live in plain words, what is coming, what is being written, and one rulebook with its rules in order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup

from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.pricing.document import ROOT, Document, Group, Rule
from loyalty.pricing.faults import Fault, faults_of, warnings_of
from loyalty.pricing.merging import Change, changes_between
from loyalty.pricing.model import BookStatus
from loyalty.pricing.ordering import members
from loyalty.pricing.queries import books
from loyalty.pricing.queries.books import BookLine, BookView
from loyalty.pricing.queries.known import known_codes
from loyalty.pricing.wording import Names, sentence
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.parts import Act, Cell, Events, Part, Rows, Said
from loyalty.web.office.rules_acts import approval_parts, start_form
from loyalty.web.office.rules_words import BOOK_STATUS, MODE, PART, PATH, SECTION, UNIT, Choices, choices


@dataclass(frozen=True, slots=True)
class Node:
    """One line of the order: a rule or a group with what stands in it."""

    code: str
    name: str
    words: str
    is_group: bool
    is_off: bool
    href: str
    tags: Sequence[Any]
    inner: Sequence["Node"]
    first: bool
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A rulebook's order, as the page draws it; `moves` is where a move is sent, empty where nothing is moved."""

    title: str
    nodes: Sequence[Node]
    moves: str
    version: int
    moved: str
    empty: str
    note: str = ""
    acts: Sequence[Act] = ()
    kind: str = "tree"


def tabs(desk: Desk, current: str) -> list[tuple[str, str, bool, int]]:
    """Return the views of the rules."""
    _ = desk.gettext
    found = (
        ("home", _("Now and next"), PATH),
        ("calendar", _("Calendar"), f"{PATH}/calendar"),
        ("budgets", _("Budgets"), f"{PATH}/budgets"),
        ("history", _("History"), f"{PATH}/history"),
        ("backtests", _("Backtests"), "/office/backtests"),
    )
    return [(label, href, key == current, 0) for key, label, href in found]


@get("/rules")
async def home(desk: NamedDependency[Desk]) -> Page:
    """Say what is live, what is scheduled, what is being written and who must approve."""
    desk.require(Permission.READ_CARDS)
    _ = desk.gettext
    live = await books.live_at(desk.session, instant=desk.now)
    coming = await books.upcoming(desk.session, now=desk.now)
    written = await books.open_books(desk.session)
    main: list[Any] = []
    document = Document() if live is None else live.document
    offered = await choices(desk, document)
    if live is None:
        said = Said(
            title=_("No rules are live: every customer pays the pump's price."),
            then=_("Start a draft, have it approved, and it is live a minute later."),
        )
        main.append(said)
    else:
        title = _("Live now: rulebook %(number)s", number=live.number)
        note = _("since %(when)s", when=desk.f.when(live.activates_at))
        main.append(tree(desk, live, offered, title=title, note=note))
    aside: list[Part] = [_waiting(desk, one) for one in written if one.status is BookStatus.SUBMITTED]
    aside += [_coming(desk, coming)]
    drafts_ = [one for one in written if one.status is BookStatus.DRAFT]
    aside.append(await _drafts(desk, drafts_))
    if desk.may(Permission.EDIT_RULES):
        aside.append(start_form(desk, live))
    acts = [
        Act(_("Try a basket"), f"{PATH}/simulate") if live is not None and _has_simulation(desk) else None,
        Act(_("Export"), f"{PATH}/{live.number}/file") if live is not None else None,
        Act(_("Import a file"), f"{PATH}/import") if desk.may(Permission.EDIT_RULES) else None,
    ]
    sub = _("Discounts, bonus, points and gifts: drafted, approved by a second person, live at their time")
    return await desk.page(_("Rules"), sub=sub, acts=acts, tabs=tabs(desk, "home"), main=main, aside=aside, template="office/rules.html")


def _has_simulation(desk: Desk) -> bool:
    """Say whether a page of simulations is mounted: it is its own."""
    return any(route.path == f"{PATH}/simulate" for route in desk.request.app.routes)


def _waiting(desk: Desk, one: BookLine) -> Said:
    _ = desk.gettext
    may = desk.may(Permission.APPROVE_RULES) and one.submitted_by != desk.principal.staff_id
    who = one.submitted_by_name or _("the command line")
    then = _("You may approve it.") if may else _("Somebody else who may approve rules decides.")
    return Said(
        title=_("Rulebook %(number)s waits for approval", number=one.number),
        then=f"{_('Submitted by %(who)s.', who=who)} {then} {one.note}",
        tone="warn",
        acts=[Act(_("Look at it"), f"{PATH}/{one.number}", primary=may)],
    )


def _coming(desk: Desk, coming: Sequence[BookLine]) -> Rows:
    _ = desk.gettext
    return Rows(
        title=_("Scheduled"),
        columns=[Column(_("Rulebook")), Column(_("Live from")), Column(_("Approved by"))],
        rows=[
            [
                cells.link(desk, f"{PATH}/{one.number}", f"{one.number} · {one.note}" if one.note else str(one.number)),
                cells.when(desk, one.activates_at),
                cells.text(one.approved_by_name),
            ]
            for one in coming
        ],
        empty=_("Nothing is scheduled"),
    )


async def _drafts(desk: Desk, found: Sequence[BookLine]) -> Rows:
    _ = desk.gettext
    rows = []
    for one in found[:20]:
        changes = await books.difference(desk.session, before=one.base, after=one.number)
        rows.append(
            [
                cells.link(desk, f"{PATH}/{one.number}", f"{one.number} · {one.note}" if one.note else str(one.number)),
                cells.text(one.made_by_name),
                cells.count(desk, len(changes)),
                cells.when(desk, one.changed_at),
            ]
        )
    return Rows(
        title=_("Drafts"),
        columns=[Column(_("Rulebook")), Column(_("By")), Column(_("Changes"), "num"), Column(_("Changed"))],
        rows=rows,
        empty=_("Nobody is writing one"),
    )


def tree(desk: Desk, book: BookView, offered: Choices, *, title: str, note: str = "", edits: bool = False, moved: str = "") -> Tree:
    """Return a rulebook's rules and groups in order, each rule in one sentence."""
    _ = desk.gettext
    acts = []
    if edits:
        acts = [
            Act(_("New rule"), f"{PATH}/{book.number}/rules/new", primary=True),
            Act(_("New group"), f"{PATH}/{book.number}/groups/new"),
        ]
    return Tree(
        title=title,
        nodes=_nodes(desk, book, offered.names, ROOT, edits=edits),
        moves=f"{PATH}/{book.number}/order" if edits else "",
        version=book.version,
        moved=moved,
        empty=_("There is no rule in it yet."),
        note=note or (_("j and k walk, Alt+↑ and Alt+↓ move") if edits else ""),
        acts=acts,
    )


def _nodes(desk: Desk, book: BookView, names: Names, group: str, *, edits: bool, depth: int = 0) -> list[Node]:
    found = members(book.document, group)
    return [
        _node(desk, book, names, one, edits=edits, first=place == 0, last=place == len(found) - 1, depth=depth)
        for place, one in enumerate(found)
    ]


def _node(desk: Desk, book: BookView, names: Names, one: Rule | Group, *, edits: bool, first: bool, last: bool, depth: int) -> Node:
    _ = desk.gettext
    name = desk.either(one.name_zh, one.name_en)
    tags = [desk.tag(_("exclusive"), "info")] if one.exclusive else []
    if isinstance(one, Group):
        # A circle of groups is a fault that is told; the page must not go round in it.
        inner = _nodes(desk, book, names, one.code, edits=edits, depth=depth + 1) if depth < 8 else []
        href = f"{PATH}/{book.number}/groups/{one.code}" if edits else ""
        return Node(one.code, name, _(MODE[one.mode]), True, False, href, tags, inner, first, last)
    if not one.enabled:
        tags.append(desk.tag(_("switched off"), "warn"))
    elif one.ends_at is not None and one.ends_at <= desk.now:
        tags.append(desk.tag(_("over")))
    elif one.starts_at is not None and one.starts_at > desk.now:
        tags.append(desk.tag(_("from %(when)s", when=desk.f.day(one.starts_at)), "info"))
    words = desk.either(*sentence(one, book.document, names))
    href = f"{PATH}/{book.number}/rules/{one.code}" if edits else ""
    return Node(one.code, name, words, False, not one.enabled, href, tags, (), first, last)


@get("/rules/{number:int}")
async def book(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Show one rulebook: what it changes, what is wrong with it, its order, its steps, and what can be done now."""
    desk.require(Permission.READ_CARDS)
    _ = desk.gettext
    one = await books.get_book(desk.session, number=number)
    live = await books.live_at(desk.session, instant=desk.now)
    known = await known_codes(desk.session)
    offered = await choices(desk, one.document)
    edits = one.status is BookStatus.DRAFT and desk.may(Permission.EDIT_RULES)
    is_open = one.status in {BookStatus.DRAFT, BookStatus.SUBMITTED}
    faults = faults_of(one.document, known) if is_open else []
    before = Document() if one.base is None else (await books.get_book(desk.session, number=one.base)).document
    changes = changes_between(before, one.document)
    last = await books.last_book(desk.session)
    is_behind = is_open and (None if last is None else last.number) != one.base
    main: list[Any] = []
    if is_behind:
        main.append(_behind(desk, one, last))
    main += _judged(desk, one, faults, warnings_of(one.document, known, now=desk.now) if is_open else [])
    main.append(difference_rows(desk, changes, one.base))
    main.append(tree(desk, one, offered, title=_("Rules in their order"), edits=edits, moved=desk.query.raw("moved")))
    main += [_budgets(desk, one, edits=edits), _campaigns(desk, one, edits=edits)]
    aside: list[Part] = await approval_parts(desk, one, live=live, faults=faults, is_behind=is_behind)
    aside.append(_steps(desk, one, await books.events_of(desk.session, number=number)))
    is_live = live is not None and live.number == number
    tag = desk.tag(_("Live"), "good") if is_live else desk.tag(_(BOOK_STATUS[one.status][0]), BOOK_STATUS[one.status][1])
    acts = [Act(_("Try it out"), f"{PATH}/{number}/trials"), Act(_("Export"), f"{PATH}/{number}/file")]
    if edits:
        acts.append(Act(_("Currency and own funders"), f"{PATH}/{number}/head"))
    return await desk.page(
        _("Rulebook %(number)s", number=number),
        sub=one.note,
        crumbs=[(_("Rules"), PATH), (_("Rulebook %(number)s", number=number), "")],
        tags=[tag],
        acts=acts,
        main=main,
        aside=aside,
        template="office/rules.html",
    )


def _behind(desk: Desk, one: BookView, last: BookLine | None) -> Said:
    _ = desk.gettext
    acts = [Act(_("Bring in what is live"), f"{PATH}/{one.number}/rebase", primary=True)] if one.status is BookStatus.DRAFT else []
    return Said(
        title=_("Rulebook %(number)s was approved since this one was started", number=last.number if last else "—"),
        then=_("Approving this one as it is would undo its changes."),
        tone="warn",
        acts=acts if desk.may(Permission.EDIT_RULES) else [],
    )


def _judged(desk: Desk, one: BookView, faults: Sequence[Fault], warnings: Sequence[Fault]) -> list[Part]:
    _ = desk.gettext
    parts: list[Part] = []
    for found, title, mark in ((faults, N_("To be mended first"), "bad"), (warnings, N_("Worth a look"), "warn")):
        if found:
            rows = [[_fault_place(desk, one, fault), cells.text(desk.either(fault.zh, fault.en))] for fault in found]
            marks = dict.fromkeys(range(len(rows)), mark)
            parts.append(
                Rows(title=_(title), columns=[Column(_("Where")), Column(_("What"))], rows=rows, marks=marks, empty="", id=f"faults-{mark}")
            )
    return parts


def _fault_place(desk: Desk, one: BookView, fault: Fault) -> Cell:
    label = f"{desk.gettext(PART[fault.part])} {fault.code}".strip()
    sections = {"rule": "rules", "group": "groups", "budget": "budgets", "campaign": "campaigns"}
    if fault.part in sections and one.status is BookStatus.DRAFT and desk.may(Permission.EDIT_RULES):
        return cells.link(desk, f"{PATH}/{one.number}/{sections[fault.part]}/{fault.code}", label)
    return cells.text(label)


def difference_rows(desk: Desk, changes: Sequence[Change], base: int | None) -> Rows:
    """Return what differs, part by part and field by field, as plain values of the document."""
    _ = desk.gettext
    how = {"added": (_("new"), "good"), "removed": (_("taken out"), "bad"), "changed": (_("changed"), "info")}
    rows = []
    for change in changes:
        label, tone = how[change.how.value]
        lines = [
            Markup("<div>{} <del>{}</del> → <ins>{}</ins></div>").format(field.field, _plain(field.before), _plain(field.after))
            for field in change.fields
        ]
        name = desk.either(change.name_zh, change.name_en)
        rows.append(
            [
                cells.text(f"{_(SECTION[change.section])} {name}" + (f" ({change.code})" if change.code else "")),
                Cell(desk.tag(label, tone), label),
                Cell(Markup("").join(lines) or "—", "; ".join(f"{one.field}: {one.before} → {one.after}" for one in change.fields)),
            ]
        )
    title = _("What it changes against rulebook %(number)s", number=base) if base is not None else _("What is in it")
    return Rows(
        title=title,
        columns=[Column(_("What")), Column(_("How")), Column(_("Field by field"))],
        rows=rows,
        empty=_("Nothing is changed yet"),
        id="changes",
    )


def _plain(value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, list):
        return ", ".join(str(one) for one in value) or "—"
    return str(value)


def _budgets(desk: Desk, one: BookView, *, edits: bool) -> Rows:
    _ = desk.gettext
    path = f"{PATH}/{one.number}/budgets"

    def total(budget: Any) -> str:
        currency = budget.currency or one.document.currency
        return desk.f.money(budget.total, currency) if budget.unit.value == "minor" else desk.f.count(budget.total)

    return Rows(
        title=_("Budgets"),
        columns=[Column(_("Budget")), Column(_("Counts")), Column(_("In all"), "num"), Column(_("Rules"), "num")],
        rows=[
            [
                _part_name(desk, budget, path, edits=edits),
                cells.text(_(UNIT[budget.unit])),
                Cell(total(budget), budget.total),
                cells.count(desk, sum(rule.budget == budget.code for rule in one.document.rules)),
            ]
            for budget in one.document.budgets
        ],
        empty=_("No budget bounds these rules"),
        acts=[Act(_("New budget"), f"{path}/new")] if edits else [],
    )


def _campaigns(desk: Desk, one: BookView, *, edits: bool) -> Rows:
    _ = desk.gettext
    path = f"{PATH}/{one.number}/campaigns"
    return Rows(
        title=_("Campaigns"),
        columns=[Column(_("Campaign")), Column(_("From")), Column(_("To")), Column(_("Held out"), "num"), Column(_("Rules"), "num")],
        rows=[
            [
                _part_name(desk, campaign, path, edits=edits),
                cells.when(desk, campaign.starts_at),
                cells.when(desk, campaign.ends_at),
                Cell(desk.f.percent(campaign.hold_out_basis_points), campaign.hold_out_basis_points),
                cells.count(desk, sum(rule.campaign == campaign.code for rule in one.document.rules)),
            ]
            for campaign in one.document.campaigns
        ],
        empty=_("No rules are judged together"),
        acts=[Act(_("New campaign"), f"{path}/new")] if edits else [],
    )


def _part_name(desk: Desk, part: Any, path: str, *, edits: bool) -> Cell:
    name = f"{desk.either(part.name_zh, part.name_en)} ({part.code})"
    return cells.link(desk, f"{path}/{part.code}", name) if edits else cells.text(name)


_STEPS: Final[Mapping[str, str]] = {
    "draft": N_("Draft"),
    "submitted": N_("Submitted"),
    "approved": N_("Approved"),
    "cancelled": N_("Cancelled"),
    "discarded": N_("Given up"),
}


def _steps(desk: Desk, one: BookView, found: Sequence[books.BookEvent]) -> Events:
    _ = desk.gettext
    lines = []
    for event in reversed(found):
        title, noted = _(_STEPS.get(event.moved_to, event.moved_to)), ""
        for verb, words in ((N_("%(part)s put in"), "put"), (N_("%(part)s taken out"), "removed"), (N_("%(part)s moved"), "moved")):
            if words in event.facts:
                title = _(verb, part=str(event.facts[words]).partition("/")[2] or str(event.facts[words]))
        if "rebased" in event.facts:
            title = _("Rulebook %(number)s brought in", number=event.facts["rebased"])
        elif "replaced" in event.facts:
            title = _("A whole file put in")
        lines.append(lookups.happening(desk, event.happened_at, title, [event.staff_name or "", event.note, noted]))
    return Events(title=_("How it came about"), events=lines[:60], empty="—", note=_("version %(version)s", version=one.version))


@get(three("/rules/history"))
async def history(desk: NamedDependency[Desk]) -> Any:
    """List every rulebook with who approved it, and the way back to each."""
    desk.require(Permission.READ_CARDS)
    _ = desk.gettext
    live = await books.live_at(desk.session, instant=desk.now)

    async def fetch(cursor: str | None, limit: int) -> Found[BookLine]:
        return await books.list_books(desk.session, cursor=cursor, limit=limit)

    async def rows(found: Sequence[BookLine]) -> list[list[Cell]]:
        return [
            [
                cells.link(desk, f"{PATH}/{one.number}", str(one.number)),
                cells.text(one.note),
                Cell(desk.tag(_("Live"), "good"), _("Live"))
                if live is not None and live.number == one.number
                else cells.tag(desk, one.status, BOOK_STATUS),
                cells.count(desk, one.rules),
                cells.text(one.made_by_name),
                cells.text(one.submitted_by_name),
                cells.text(one.approved_by_name),
                cells.when(desk, one.activates_at),
                cells.link(desk, f"{PATH}/compare?before={one.number}&after={live.number}", _("compare"))
                if live is not None
                else cells.text(""),
            ]
            for one in found
        ]

    return await show(
        desk,
        List(
            title=_("History of rulebooks"),
            sub=_("An approved rulebook never changes; going back is approving it again"),
            listing=desk.listing(f"{PATH}/history", "", []),
            columns=[
                Column(_("Rulebook")),
                Column(_("What for")),
                Column(_("State")),
                Column(_("Rules"), "num"),
                Column(_("Made by")),
                Column(_("Submitted by")),
                Column(_("Approved by")),
                Column(_("Live from")),
                Column(""),
            ],
            fetch=fetch,
            rows=rows,
            tabs=tabs(desk, "history"),
            empty=_("There is no rulebook yet"),
            empty_then=_("Start a draft under “Now and next”."),
            name="rulebooks",
        ),
    )


@get("/rules/compare")
async def compare(desk: NamedDependency[Desk]) -> Page:
    """Show what differs between any two rulebooks."""
    desk.require(Permission.READ_CARDS)
    _ = desk.gettext
    before, after = desk.query.maybe_whole("before"), desk.query.maybe_whole("after")
    changes = await books.difference(desk.session, before=before, after=after or 0)
    title = _("From rulebook %(before)s to %(after)s", before=before or "—", after=after)
    return await desk.page(
        title,
        crumbs=[(_("Rules"), PATH), (_("History"), f"{PATH}/history"), (title, "")],
        main=[difference_rows(desk, changes, before)],
        template="office/rules.html",
    )


@get("/discounts")
async def discounts(desk: NamedDependency[Desk]) -> Page:
    """Lead on from where discount terms stood."""
    return await desk.done(PATH)


handlers = [home, history, compare, book, discounts]
