"""Trying a rulebook before it is live: on past sales, with a report; beside the live rules, day by day."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Response

from loyalty.backtests.model import BacktestStatus
from loyalty.backtests.operations import backtests
from loyalty.backtests.queries.backtests import BacktestLine, BacktestView, get_backtest, list_backtests, names_of_parties
from loyalty.backtests.queries.shadows import shadow_days
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.pricing.model import BookStatus
from loyalty.pricing.operations.shadowing import start_shadow, stop_shadow
from loyalty.pricing.queries import books
from loyalty.pricing.queries.agreements import standing_agreements
from loyalty.pricing.queries.books import BookView
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.backtest_parts import STATUS, report_parts, shadow_parts
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field, local_input, said
from loyalty.web.office.parts import Act, Cell, Part, Rows, Said
from loyalty.web.rendering import redirect, render

PATH: Final = "/office/backtests"
RULES: Final = "/office/rules"
_OPEN: Final = frozenset({BacktestStatus.QUEUED, BacktestStatus.RUNNING})
_USUAL: Final = timedelta(days=30)


def admit(desk: Desk) -> None:
    """Let marketing and whoever reads the issuer's liability see it: figures of all stations.

    :raises NotAllowed: otherwise
    """
    if not desk.may(Permission.EDIT_RULES):
        desk.require(Permission.READ_LIABILITY)


@get(three("/backtests"))
async def listed(desk: NamedDependency[Desk]) -> Any:
    """List every backtest, the latest first."""
    admit(desk)
    _ = desk.gettext

    async def fetch(cursor: str | None, limit: int) -> Found[BacktestLine]:
        return await list_backtests(desk.session, cursor=cursor, limit=limit)

    async def rows(found: Sequence[BacktestLine]) -> list[list[Cell]]:
        return [_line(desk, one) for one in found]

    return await show(
        desk,
        List(
            title=_("Backtests"),
            sub=_("What a rulebook would have cost over past sales"),
            listing=desk.listing(PATH, "", []),
            columns=_columns(desk),
            fetch=fetch,
            rows=rows,
            crumbs=[(_("Rules"), RULES), (_("Backtests"), "")],
            empty=_("No rulebook has been tried on past sales yet"),
            empty_then=_("Open a rulebook and choose Try it out."),
            name="backtests",
        ),
    )


def _columns(desk: Desk) -> list[Column]:
    _ = desk.gettext
    return [Column(_("Asked")), Column(_("Rulebook"), "num"), Column(_("From")), Column(_("To")), Column(_("State")), Column(_("By"))]


def _line(desk: Desk, one: BacktestLine) -> list[Cell]:
    asked = cells.when(desk, one.asked_at)
    return [
        cells.linked(desk, f"{PATH}/{one.backtest_id}", asked),
        cells.count(desk, one.number),
        cells.day(desk, one.since),
        cells.day(desk, one.until),
        _state(desk, one.status),
        cells.text(one.asked_by_name),
    ]


def _state(desk: Desk, status: BacktestStatus) -> Cell:
    label, tone = desk.gettext(STATUS[status][0]), STATUS[status][1]
    return Cell(desk.tag(label, tone), label)


@get("/rules/{number:int}/trials")
async def trials(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Show what was tried with one rulebook, and offer to try it."""
    admit(desk)
    _ = desk.gettext
    book = await books.get_book(desk.session, number=number)
    found = await list_backtests(desk.session, number=number, limit=20)
    days = await shadow_days(desk.session, number=number)
    main: list[Part] = [
        Rows(
            title=_("On past sales"),
            columns=_columns(desk),
            rows=[_line(desk, one) for one in found.rows],
            empty=_("It has not been tried on past sales yet"),
            empty_then=_("Choose a period: the report says what it would have cost, whom it helps and whom not."),
        )
    ]
    if book.shadow_from is not None:
        main += shadow_parts(desk, days)
    aside: list[Part] = []
    if desk.may(Permission.EDIT_RULES):
        aside = [_ask_form(desk, book), *_shadow_form(desk, book)]
    return await desk.page(
        _("Try out rulebook %(number)s", number=number),
        sub=book.note,
        crumbs=[(_("Rules"), RULES), (_("Rulebook %(number)s", number=number), f"{RULES}/{number}"), (_("Try it out"), "")],
        main=main,
        aside=aside,
    )


def _ask_form(desk: Desk, book: BookView) -> Part:
    _ = desk.gettext
    fields = [
        field("since", _("From"), type="datetime-local", value=local_input(desk, desk.now - _USUAL)),
        field("until", _("To"), type="datetime-local", value=local_input(desk, desk.now)),
        said(_("Sales booked in that time, at most 400 days. It runs beside everything else; the page may be closed.")),
    ]
    return desk.form_part(_("Try it on past sales"), f"{RULES}/{book.number}/trials", fields, submit=_("Start the backtest"))


def _shadow_form(desk: Desk, book: BookView) -> list[Part]:
    _ = desk.gettext
    path = f"{RULES}/{book.number}/shadow"
    if book.shadow_from is not None and book.shadow_to is None and book.status in {BookStatus.DRAFT, BookStatus.SUBMITTED}:
        note = _(
            "Since %(when)s each sale is asked what it would have got. The pump gives what is live.", when=desk.f.instant(book.shadow_from)
        )
        return [desk.form_part(_("Runs in the shadow"), f"{path}/stop", [said(note)], submit=_("Stop the shadow run"), primary=False)]
    if book.status not in {BookStatus.DRAFT, BookStatus.SUBMITTED}:
        return []
    note = _("From now on each sale is asked what it would have got under this draft. Nothing changes at the pump.")
    return [desk.form_part(_("Run it in the shadow"), f"{path}/start", [said(note)], submit=_("Start the shadow run"), primary=False)]


@post("/rules/{number:int}/trials", status_code=303)
async def ask(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Ask for a backtest; the scheduler takes it up within the minute."""
    desk.require(Permission.EDIT_RULES)
    _ = desk.gettext
    since, until = desk.form.instant("since", _("From")), desk.form.instant("until", _("To"))
    desk.form.check()
    assert since is not None, "the form's check says what is missing"
    assert until is not None, "as above"
    # The form's minute is the one that runs: what is asked for "until now" ends now.
    until = min(until, desk.now)
    identity = await backtests.ask(desk.session, number=number, since=since, until=until, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{identity}", _("Asked for. It begins within the minute."))


@post(["/rules/{number:int}/shadow/start", "/rules/{number:int}/shadow/stop"], status_code=303)
async def shadow(desk: NamedDependency[Desk], number: FromPath[int]) -> Page:
    """Start or stop a shadow run."""
    desk.require(Permission.EDIT_RULES)
    _ = desk.gettext
    if desk.act == "start":
        await start_shadow(desk.session, number=number, actor=desk.actor, now=desk.now)
        return await desk.done(f"{RULES}/{number}/trials", _("The shadow run has begun."))
    await stop_shadow(desk.session, number=number, actor=desk.actor, now=desk.now)
    return await desk.done(f"{RULES}/{number}/trials", _("The shadow run has ended."))


@get("/backtests/{backtest_id:uuid}")
async def shown(desk: NamedDependency[Desk], backtest_id: FromPath[UUID]) -> Page:
    """Show one backtest: how far it is, or its report."""
    admit(desk)
    _ = desk.gettext
    one = await get_backtest(desk.session, backtest_id=backtest_id)
    top: list[Part] = []
    main: list[Part] = []
    aside: list[Part] = []
    if one.report is not None:
        parties = [line.party for line in (*one.report.top_winners, *one.report.top_losers)]
        named = await names_of_parties(desk.session, parties=parties) if desk.may(Permission.READ_CUSTOMERS) else {}
        top, main, aside = report_parts(desk, one.report, named, await lookups.places(desk), await _called(desk, one.number))
    elif one.status is BacktestStatus.FAILED:
        then = _(
            "Nothing was changed. Start it again; if it fails again, give this to whoever runs the service: %(what)s", what=one.problem
        )
        main = [Said(title=_("The backtest could not be finished"), tone="bad", then=then)]
    elif one.status is BacktestStatus.CANCELLED:
        main = [Said(title=_("The backtest was cancelled"), then=_("Nothing of it is kept."))]
    else:
        main = _waiting(desk, one)
    trials_of = f"{RULES}/{one.number}/trials"
    return await desk.page(
        _("Backtest of rulebook %(number)s", number=one.number),
        sub=_("Sales from %(since)s to %(until)s", since=desk.f.instant(one.since), until=desk.f.instant(one.until)),
        crumbs=[(_("Rules"), RULES), (_("Rulebook %(number)s", number=one.number), f"{RULES}/{one.number}"), (_("Try it out"), trials_of)],
        tags=[_state(desk, one.status).show],
        acts=[Act(_("Other trials"), trials_of)],
        top=top,
        main=main,
        aside=aside,
        template="office/backtest.html",
        progress=_progress(desk, one) if one.status in _OPEN else None,
    )


async def _called(desk: Desk, number: int) -> dict[str, str]:
    """Return what the rulebook's budgets, and the agreements that stand, are called."""
    document = (await books.get_book(desk.session, number=number)).document
    called = {one.code: desk.either(one.name_zh, one.name_en) for one in await standing_agreements(desk.session, now=desk.now)}
    return called | {budget.code: desk.either(budget.name_zh, budget.name_en) for budget in document.budgets}


def _waiting(desk: Desk, one: BacktestView) -> list[Part]:
    _ = desk.gettext
    if not desk.may(Permission.EDIT_RULES):
        return []
    return [
        desk.form_part(
            _("Stop it"),
            f"{PATH}/{one.backtest_id}/cancel",
            [said(_("Nothing of it is kept."))],
            submit=_("Cancel the backtest"),
            primary=False,
        )
    ]


def _progress(desk: Desk, one: BacktestView) -> dict[str, Any]:
    """Return how far it is, in words and as a bar."""
    _ = desk.gettext
    words = _("It begins within the minute.")
    if one.rows_total:
        words = _("%(done)s of %(total)s sales", done=desk.f.count(one.rows_done), total=desk.f.count(one.rows_total))
        left = _seconds_left(desk, one)
        if left is not None:
            words += " · " + _("about %(time)s left", time=desk.f.duration(left))
    elif one.status is BacktestStatus.RUNNING:
        words = _("The sales are being counted.")
    return {
        "href": f"{PATH}/{one.backtest_id}/progress",
        "title": _(STATUS[one.status][0]),
        "done": one.rows_done,
        "whole": one.rows_total,
        "label": _("Sales asked"),
        "words": words,
        "then": _("This page may be closed; the report waits here."),
    }


def _seconds_left(desk: Desk, one: BacktestView) -> int | None:
    if one.started_at is None or not one.rows_done:
        return None
    spent = (desk.now - one.started_at) / timedelta(seconds=1)
    return max(round(spent * (one.rows_total - one.rows_done) / one.rows_done), 1)


@get("/backtests/{backtest_id:uuid}/progress")
async def progress(desk: NamedDependency[Desk], backtest_id: FromPath[UUID]) -> Response[str]:
    """Answer the page's look every two seconds; once it is over, the page comes anew."""
    admit(desk)
    one = await get_backtest(desk.session, backtest_id=backtest_id)
    if one.status not in _OPEN:
        return redirect(desk.request, f"{PATH}/{backtest_id}")
    return render(desk.request, "office/backtest_progress.html", zone=desk.zone, now=desk.now, progress=_progress(desk, one))


@post("/backtests/{backtest_id:uuid}/cancel", status_code=303)
async def cancel(desk: NamedDependency[Desk], backtest_id: FromPath[UUID]) -> Page:
    """Stop a backtest."""
    desk.require(Permission.EDIT_RULES)
    await backtests.cancel(desk.session, backtest_id=backtest_id, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{backtest_id}", desk.gettext("Cancelled."))


handlers = [listed, trials, ask, shadow, shown, progress, cancel]
