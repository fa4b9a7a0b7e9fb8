"""This period's allocation: the proposal to edit, ask for and approve, the loading with its progress, and what became of each card."""

from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Response
from markupsafe import Markup

from loyalty.clock import local_date
from loyalty.fleet.allocation_rules import Span, coming, span_of
from loyalty.fleet.model import CompanyMode
from loyalty.fleet.model_allocations import AllocationKind, LineResult, RequestStatus, RunStatus
from loyalty.fleet.operations.allocation_decisions import Decided, approve, approve_for_department, refuse, set_amounts, submit, withdraw
from loyalty.fleet.operations.allocation_runs import day_of, retry_failed, start_early, start_run
from loyalty.fleet.operations.allocations import propose_all
from loyalty.fleet.queries.allocations import RequestView, RunView, Sum, get_run, list_requests, monthly_run, pool_minor, sums
from loyalty.identity.portal_rules import FleetPermission, NotAllowedInCompany
from loyalty.money import minor_digits
from loyalty.web.desk import Page, new_key
from loyalty.web.fleet.allocation_words import CODE, REQUEST
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lookups import hidden
from loyalty.web.office.parts import Act, Cell, Part, Rows, Said, Tile, Tiles
from loyalty.web.office.reading import scaled_number
from loyalty.web.rendering import redirect, render
from loyalty.workdays import YearNotCovered

PATH: Final = "/fleet/allocations"
_P: Final = FleetPermission
_DECIDES: Final = {
    "save": _P.REQUEST_ALLOCATION,
    "submit": _P.REQUEST_ALLOCATION,
    "withdraw": _P.REQUEST_ALLOCATION,
    "department": _P.APPROVE_DEPARTMENT,
    "approve": _P.APPROVE_COMPANY,
}
_VIEWS: Final[dict[str, tuple[RequestStatus, ...]]] = {
    "": (),
    "draft": (RequestStatus.DRAFT,),
    "asked": (RequestStatus.REQUESTED, RequestStatus.DEPARTMENT_APPROVED),
    "held": (RequestStatus.DRAFT, RequestStatus.REQUESTED, RequestStatus.DEPARTMENT_APPROVED),
    "approved": (RequestStatus.APPROVED,),
    "loaded": (RequestStatus.LOADED,),
    "failed": (RequestStatus.FAILED,),
}
_DAY: Final = timedelta(days=1)


def span_shown(fleet: FleetDesk, said: str) -> Span:
    """Return the period that an address or form names, else the one that people work on."""
    company = fleet.company
    try:
        return span_of(date.fromisoformat(said), period_day=company.period_day)
    except ValueError:
        return coming(local_date(fleet.now, company.time_zone), period_day=company.period_day, check_day=company.check_day)


def span_words(fleet: FleetDesk, span: Span) -> str:
    """Write a period by its first and its last day."""
    return f"{fleet.f.full_day(span.first)} – {fleet.f.full_day(span.end - _DAY)}"


@get("/allocations")
async def shown(fleet: NamedDependency[FleetDesk]) -> Page:
    """Show a period's allocation: how it stands, what waits for the reader, and every card."""
    fleet.require(_P.READ)
    _ = fleet.gettext
    acts = _acts(fleet)
    if fleet.company.mode is CompanyMode.POOLED:
        nothing = Said(
            title=_("Your cards draw on the pool"),
            then=_("There is nothing to allocate. The company's settings say how the money of its cards goes."),
        )
        return await fleet.page(_("Allocation"), top=[nothing])
    span = span_shown(fleet, fleet.query.raw("period"))
    view = fleet.query.raw("view") if fleet.query.raw("view") in _VIEWS else ""
    run = await monthly_run(fleet.session, company_id=fleet.company_id, period_from=span.first)
    stand = await sums(
        fleet.session,
        company_id=fleet.company_id,
        kind=AllocationKind.MONTHLY,
        period_from=span.first,
        departments=fleet.departments,
    )
    found = await list_requests(
        fleet.session,
        company_id=fleet.company_id,
        kind=AllocationKind.MONTHLY,
        period_from=span.first,
        statuses=_VIEWS[view] or None,
        held=True if view == "held" else None,
        departments=fleet.departments,
        cursor=fleet.cursor,
        limit=100,
    )
    here = f"{PATH}?period={span.first.isoformat()}"
    return await fleet.page(
        _("Allocation"),
        sub=span_words(fleet, span),
        acts=acts,
        top=[await _tiles(fleet, stand, run), *await _notices(fleet, span, run, stand, here)],
        main=_whole(fleet, span, run, stand),
        tabs=_tabs(fleet, stand, here, view),
        template="fleet/allocations.html",
        progress=progress_of(fleet, run) if run is not None and run.status is RunStatus.LOADING else None,
        listed=_rows(fleet, found.rows, here, view, found.next, found.previous),
        period=span.first.isoformat(),
        once=new_key(),
        verbs=_verbs(fleet, view) if found.rows else [],
        back_month=span_of(span.first - _DAY, period_day=fleet.company.period_day).first.isoformat(),
        next_month=span.end.isoformat(),
    )


def _acts(fleet: FleetDesk) -> list[Act | None]:
    _ = fleet.gettext
    asks, moves = fleet.may(_P.REQUEST_ALLOCATION), fleet.may(_P.MOVE_MONEY)
    return [
        Act(_("Early requests"), f"{PATH}/early"),
        Act(_("Pool and cards"), f"{PATH}/moves") if moves else None,
        Act(_("From a file"), f"{PATH}/file") if asks else None,
        Act(_("Table and terms"), f"{PATH}/table") if fleet.may(_P.SETTINGS) else None,
    ]


def _of(stand: list[Sum], *statuses: RequestStatus) -> tuple[int, int]:
    """Return how many requests have one of these statuses, and what they come to."""
    those = [one for one in stand if one.status in statuses]
    return sum(one.requests for one in those), sum(one.wanted_minor for one in those)


async def _tiles(fleet: FleetDesk, stand: list[Sum], run: RunView | None) -> Part:
    _ = fleet.gettext
    currency = fleet.company.currency

    def tile(label: str, *statuses: RequestStatus) -> Tile:
        count, amount = _of(stand, *statuses)
        return Tile(label, fleet.f.money(amount, currency), _("%(count)s cards", count=fleet.f.count(count)))

    tiles = [
        tile(_("Suggested"), RequestStatus.DRAFT),
        tile(_("Asked for"), RequestStatus.REQUESTED, RequestStatus.DEPARTMENT_APPROVED),
        tile(_("Approved"), RequestStatus.APPROVED),
    ]
    if run is not None and run.loaded:
        tiles.append(
            Tile(_("Loaded"), fleet.f.money(run.loaded_minor, currency), _("%(count)s cards", count=fleet.f.count(run.loaded)), "good")
        )
    if fleet.departments is None:
        free = await pool_minor(fleet.session, company=fleet.company)
        tiles.insert(0, Tile(_("Free in the pool"), fleet.f.money(free, currency)))
    return Tiles(tiles)


async def _notices(fleet: FleetDesk, span: Span, run: RunView | None, stand: list[Sum], here: str) -> list[Part]:
    _ = fleet.gettext
    parts: list[Part] = []
    held = sum(one.held for one in stand if one.status in _VIEWS["held"])
    if run is None or run.status is RunStatus.ALARM:
        try:
            day = await day_of(fleet.session, company=fleet.company, span=span)
        except YearNotCovered as missing:
            title, then = missing.parts(fleet.words.locale)
            parts.append(Said(title=title, then=then, tone="bad"))
        else:
            title = _("Requests are checked, and the run is prepared, on %(day)s", day=fleet.f.full_day(day))
            parts.append(Said(title=title, then=_("A check day that is a rest day has been moved by the working calendar.")))
    if held:
        title = _("%(count)s cards are held back", count=fleet.f.count(held))
        act = Act(_("See which"), f"{here}&view=held")
        parts.append(
            Said(
                title=title, then=_("Each names its reason: no fuel records, no odometer reading, a stopped card."), tone="warn", acts=[act]
            )
        )
    if run is not None and run.status is RunStatus.DONE and run.refused:
        title = _("%(count)s cards could not be loaded", count=fleet.f.count(run.refused))
        parts.append(Said(title=title, tone="bad", acts=[Act(_("See which"), f"{here}&view=failed")]))
    return parts


def _whole(fleet: FleetDesk, span: Span, run: RunView | None, stand: list[Sum]) -> list[Part]:
    """Return the one next step for the whole period, where the reader may take it."""
    _ = fleet.gettext
    period = hidden("period", span.first.isoformat())
    parts: list[Part] = []

    def step(title: str, verb: str, submit_label: str, amount: int | None, note: str = "") -> None:
        shown_amount = "" if amount is None else fleet.f.money(amount, fleet.company.currency)
        fields = [period, hidden("verb", verb), hidden("all", "1")]
        address = f"{PATH}/{verb}" if verb in {"propose", "load"} else f"{PATH}/decide"
        parts.append(fleet.form_part(title, address, fields, submit=submit_label, amount=shown_amount, primary=not parts, note=note))

    drafts, asked = _of(stand, RequestStatus.DRAFT), _of(stand, RequestStatus.REQUESTED)
    ready = _of(stand, RequestStatus.DEPARTMENT_APPROVED, RequestStatus.REQUESTED)
    approved = _of(stand, RequestStatus.APPROVED)
    loads = run is not None and run.status in {RunStatus.PREPARED, RunStatus.DONE}
    if approved[0] and loads and fleet.may(_P.MOVE_MONEY):
        note = _("%(count)s cards; each is its own booking, with its own result.", count=fleet.f.count(approved[0]))
        step(_("Load what is approved"), "load", _("Load"), approved[1], note)
    if ready[0] and fleet.may(_P.APPROVE_COMPANY):
        step(
            _("Approve for the company"),
            "approve",
            _("Approve all that can be"),
            None,
            _("Not what you approved for a department yourself."),
        )
    if asked[0] and fleet.may(_P.APPROVE_DEPARTMENT):
        step(_("Approve for the department"), "department", _("Approve all that can be"), None)
    if drafts[1] and fleet.may(_P.REQUEST_ALLOCATION):
        step(_("Ask for what is proposed"), "submit", _("Ask for all"), drafts[1])
    if fleet.may(_P.REQUEST_ALLOCATION) and not parts and fleet.departments is None:
        note = _("By the table of vehicle classes and last period's litres. Amounts that somebody changed stay.")
        step(_("Propose an amount for every card"), "propose", _("Propose"), None, note)
    if run is not None and run.status is RunStatus.DONE and run.refused and fleet.may(_P.MOVE_MONEY):
        parts.append(fleet.form_part(_("Try the failed cards again"), f"{PATH}/runs/{run.run_id}/retry", [period], submit=_("Try again")))
    return parts


def _tabs(fleet: FleetDesk, stand: list[Sum], here: str, view: str) -> list[tuple[str, str, bool, int]]:
    _ = fleet.gettext
    names = {
        "": _("All"),
        "draft": _("Suggested"),
        "asked": _("Asked for"),
        "held": _("Held back"),
        "approved": _("Approved"),
        "loaded": _("Loaded"),
        "failed": _("Failed"),
    }
    held = sum(one.held for one in stand if one.status in _VIEWS["held"])
    counts = {name: held if name == "held" else _of(stand, *(_VIEWS[name] or tuple(RequestStatus)))[0] for name in names}
    return [(label, f"{here}&view={name}" if name else here, name == view, counts[name]) for name, label in names.items()]


def _rows(fleet: FleetDesk, found: list[RequestView], here: str, view: str, following: str | None, previous: str | None) -> Rows:
    _ = fleet.gettext
    edits = fleet.may(_P.REQUEST_ALLOCATION)
    chooses = bool(_verbs(fleet, view))
    currency = fleet.company.currency
    address = f"{here}&view={view}&cursor="
    columns = [
        Column(_("Card")),
        Column(_("Plate")),
        Column(_("Department")),
        Column(_("Last period"), "num"),
        Column(_("Suggested"), "num"),
    ]
    columns += [Column(_("Amount"), "num"), Column(_("State")), Column(_("Result"))]
    rows = []
    for one in found:
        tail = one.card_tail or "—"
        label = _("Choose the card ending in %(tail)s", tail=tail)
        box = Markup('<label class="check"><input type="checkbox" name="request" value="{}" aria-label="{}"> {}</label>')
        rows.append(
            [
                Cell(box.format(one.request_id, label, f"•••• {tail}") if chooses else f"•••• {tail}", tail),
                cells.plate(fleet, one.plate),
                cells.text(one.department),
                cells.quantity(fleet, one.basis.get("last_milli") if one.basis.get("fills") else None),
                cells.money(fleet, one.proposal_minor, currency),
                _amount(fleet, one, edits=edits),
                Cell(fleet.tag(_(REQUEST[one.status][0]), REQUEST[one.status][1]), _(REQUEST[one.status][0])),
                Cell(_result(fleet, one), ""),
            ]
        )
    return Rows(
        title=_("Cards"),
        columns=columns,
        rows=rows,
        empty=_("No card stands here"),
        empty_then=_("Propose an amount for every card, or wait for the check day: standing requests are made by themselves."),
        next=None if following is None else address + following,
        previous=None if previous is None else address + previous,
        pager=True,
    )


def _amount(fleet: FleetDesk, one: RequestView, *, edits: bool) -> Cell:
    currency = fleet.company.currency
    if one.status is not RequestStatus.DRAFT or not edits:
        return cells.money(fleet, one.wanted_minor, currency)
    label = fleet.gettext("Amount for the card ending in %(tail)s", tail=one.card_tail or "—")
    typed = fleet.f.amount(one.wanted_minor, currency).replace(",", "")
    box = Markup('<input class="input num amount" name="amount-{}" value="{}" inputmode="decimal" autocomplete="off" aria-label="{}">')
    return Cell(box.format(one.request_id, typed, label), one.wanted_minor)


def _result(fleet: FleetDesk, one: RequestView) -> Any:
    """Say what a card's line came to, or why it is held back."""
    _ = fleet.gettext
    said = [_(CODE.get(code, code)) for code in one.checks]
    if one.code:
        said.append(_(CODE.get(one.code, one.code)))
    if one.result is LineResult.LOADED:
        said.insert(0, _("%(amount)s loaded", amount=fleet.f.money(one.loaded_minor, fleet.company.currency)))
        if one.gathered_minor:
            said.append(_("%(amount)s went back first", amount=fleet.f.money(one.gathered_minor, fleet.company.currency)))
    if one.note:
        said.append(one.note)
    return " · ".join(said) or "—"


def _verbs(fleet: FleetDesk, view: str) -> list[tuple[str, str]]:
    """Return what can be done with chosen cards, as (verb, words)."""
    _ = fleet.gettext
    found = []
    if view in {"", "draft", "held"} and fleet.may(_P.REQUEST_ALLOCATION):
        found += [("save", _("Save amounts")), ("submit", _("Ask for the chosen"))]
    if view in {"", "asked", "held"}:
        if fleet.may(_P.APPROVE_DEPARTMENT):
            found.append(("department", _("Approve for the department")))
        if fleet.may(_P.APPROVE_COMPANY):
            found.append(("approve", _("Approve for the company")))
        if fleet.may(_P.APPROVE_DEPARTMENT) or fleet.may(_P.APPROVE_COMPANY):
            found.append(("refuse", _("Refuse the chosen")))
    if view != "loaded" and fleet.may(_P.REQUEST_ALLOCATION):
        found.append(("withdraw", _("Withdraw the chosen")))
    return found


@post("/allocations/propose", status_code=303)
async def propose(fleet: NamedDependency[FleetDesk]) -> Page:
    """Propose an amount for every card of the period."""
    fleet.require(_P.REQUEST_ALLOCATION)
    if fleet.departments is not None:
        raise NotAllowedInCompany
    span = span_shown(fleet, fleet.form.raw("period"))
    made = await propose_all(fleet.session, company_id=fleet.company_id, span=span, actor=fleet.actor, now=fleet.now)
    return await fleet.done(_back(span), fleet.gettext("%(count)s cards have a proposal", count=fleet.f.count(made.cards)))


@post("/allocations/decide", status_code=303)
async def decide(fleet: NamedDependency[FleetDesk]) -> Page:
    """Save, ask for, approve, refuse or withdraw: the chosen cards, or all of the period."""
    verb = fleet.form.raw("verb")
    if verb == "refuse":
        fleet.require(_P.APPROVE_COMPANY if fleet.may(_P.APPROVE_COMPANY) else _P.APPROVE_DEPARTMENT)
    else:
        fleet.require(_DECIDES.get(verb, _P.APPROVE_COMPANY))
    span = span_shown(fleet, fleet.form.raw("period"))
    back = fleet.form.raw("back")
    done = await _decided(fleet, verb, span)
    _ = fleet.gettext
    said = _(
        "%(count)s cards, %(amount)s", count=fleet.f.count(done.moved), amount=fleet.f.money(done.amount_minor, fleet.company.currency)
    )
    if done.held:
        why = ", ".join(f"{_(CODE.get(code, code))} {fleet.f.count(count)}" for code, count in done.held.items())
        said = f"{said} · {_('left: %(why)s', why=why)}"
    return await fleet.done(f"{PATH}/early" if back == "early" else _back(span), said)


async def _decided(fleet: FleetDesk, verb: str, span: Span) -> Decided:
    session = fleet.session
    of: dict[str, Any] = {"company_id": fleet.company_id, "actor": fleet.actor, "now": fleet.now}
    chosen = [UUID(one) for one in fleet.form.many("request") if _is_id(one)]
    if verb == "save":
        return await set_amounts(session, amounts=_amounts(fleet), departments=fleet.departments, **of)
    which: dict[str, Any] = {"span": span} if fleet.form.raw("all") else {"request_ids": chosen}
    match verb:
        case "submit":
            return await submit(session, departments=fleet.departments, **which, **of)
        case "department":
            return await approve_for_department(session, departments=fleet.departments, **which, **of)
        case "refuse":
            note = fleet.form.text("note", fleet.gettext("Reason"), longest=200)
            fleet.form.check()
            return await refuse(session, request_ids=chosen, departments=fleet.departments, note=note, **of)
        case "withdraw":
            return await withdraw(session, request_ids=chosen, departments=fleet.departments, note=fleet.form.raw("note"), **of)
        case _:
            return await approve(session, **which, **of)


def _amounts(fleet: FleetDesk) -> dict[UUID, int]:
    """Return the amounts that were typed, by request.

    :raises FormRefused: naming a field that is no amount
    """
    found: dict[UUID, int] = {}
    digits = minor_digits(fleet.company.currency)
    for name in fleet.form.typed():
        head, _dash, said = name.partition("-")
        if head != "amount" or not _is_id(said):
            continue
        amount = scaled_number(fleet.form.raw(name), digits)
        if amount is None or amount < 0:
            fleet.form.fault(name, fleet.gettext("Amount"), fleet.gettext("This is no amount."))
        else:
            found[UUID(said)] = amount
    fleet.form.check()
    return found


def _is_id(said: str) -> bool:
    try:
        UUID(said)
    except ValueError:
        return False
    return True


@post("/allocations/load", status_code=303)
async def load(fleet: NamedDependency[FleetDesk]) -> Page:
    """Let what is approved be loaded; it begins within the minute."""
    fleet.require(_P.MOVE_MONEY)
    span = span_shown(fleet, fleet.form.raw("period"))
    start = start_early if fleet.form.raw("kind") == AllocationKind.EARLY.value else start_run
    run = await start(fleet.session, company_id=fleet.company_id, span=span, actor=fleet.actor, now=fleet.now)
    words = fleet.gettext("%(count)s cards are being loaded", count=fleet.f.count(run.lines - run.loaded - run.refused))
    return await fleet.done(f"{PATH}/early" if run.kind is AllocationKind.EARLY else _back(span), words)


@post("/allocations/runs/{run_id:uuid}/retry", status_code=303)
async def retry(fleet: NamedDependency[FleetDesk], run_id: FromPath[UUID]) -> Page:
    """Try a run's failed cards again."""
    fleet.require(_P.MOVE_MONEY)
    run = await retry_failed(fleet.session, company_id=fleet.company_id, run_id=run_id, actor=fleet.actor, now=fleet.now)
    return await fleet.done(_back(Span(run.period_from, run.period_to)), fleet.gettext("They are tried again"))


@get("/allocations/runs/{run_id:uuid}/progress")
async def progress(fleet: NamedDependency[FleetDesk], run_id: FromPath[UUID]) -> Response[str]:
    """Answer the page's look every two seconds; once it is over, the page comes anew."""
    fleet.require(_P.READ)
    run = await get_run(fleet.session, company_id=fleet.company_id, run_id=run_id)
    if run.status is not RunStatus.LOADING:
        return redirect(fleet.request, _back(Span(run.period_from, run.period_to)))
    return render(fleet.request, "office/backtest_progress.html", zone=fleet.zone, now=fleet.now, progress=progress_of(fleet, run))


def progress_of(fleet: FleetDesk, run: RunView) -> dict[str, Any]:
    """Return how far a run is, in words and as a bar."""
    _ = fleet.gettext
    done = run.loaded + run.refused
    words = _("It begins within the minute.")
    if done:
        words = _("%(done)s of %(total)s cards", done=fleet.f.count(done), total=fleet.f.count(run.lines))
        if run.refused:
            words += " · " + _("%(count)s could not be loaded", count=fleet.f.count(run.refused))
    return {
        "href": f"{PATH}/runs/{run.run_id}/progress",
        "title": _("Loading"),
        "done": done,
        "whole": run.lines,
        "label": _("Cards loaded"),
        "words": words,
        "then": _("This page may be closed; what is loaded stays loaded, and the rest goes on."),
    }


def _back(span: Span) -> str:
    return f"{PATH}?period={span.first.isoformat()}"


handlers: list[Any] = [shown, propose, decide, load, retry, progress]
