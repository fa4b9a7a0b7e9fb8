"""Settlement over all partners: what waits for somebody, what is to be paid, the runs that pay it."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Response

from loyalty.clock import local_date
from loyalty.identity.rules import Permission
from loyalty.web.exports import CSV_TYPE
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lookups import check, field
from loyalty.web.office.parts import Act, Cell, Facts, Part, Rows, Said
from loyalty.web.rendering import document
from partners.model_payment import InvoiceStatus, RunStatus
from partners.operations.invoices import NUMBER_MAX
from partners.operations.payment_runs import MOST, approve_run, cancel_run, propose_run, settle_run
from partners.operations.settlement import DISPUTE_STANDS
from partners.queries.alliances import get_partner
from partners.queries.payment import InvoiceView, RunView, get_run, invoices_of_run, list_invoices, list_runs, payable, payment_file
from partners.queries.settlement import list_disputes
from partners.web.office.common import PATH, base_of
from partners.web.statements import DISPUTE, INVOICE, REASON

ALL: Final = f"{PATH}/settlement"
RUN: Final[Mapping[RunStatus, tuple[str, str]]] = {
    RunStatus.PROPOSED: (N_("Waits for approval"), "warn"),
    RunStatus.APPROVED: (N_("At the bank"), "info"),
    RunStatus.PAID: (N_("Paid"), "good"),
    RunStatus.CANCELLED: (N_("Cancelled"), ""),
}
_DECIDE: Final = [f"/partners/settlement/runs/{{run_id:uuid}}/{act}" for act in ("approve", "cancel")]


@get("/partners/settlement")
async def settlement(desk: NamedDependency[Desk]) -> Page:
    """Answer what waits: disputes, invoices to be looked at, payments that are due."""
    desk.require(Permission.READ_ALLIANCES)
    _ = desk.gettext
    due = await payable(desk.session, most=MOST)
    pay = Act(_("Pay what is due"), f"{ALL}/runs/new", primary=True)
    return await desk.page(
        _("Settlement"),
        crumbs=[(_("Alliances"), PATH), (_("Settlement"), "")],
        acts=[pay] if due and desk.may(Permission.EDIT_ALLIANCES) else [],
        main=[await _disputes(desk), await _invoices(desk), _payable(desk, due), await _runs(desk)],
    )


async def _disputes(desk: Desk) -> Rows:
    _ = desk.gettext
    found = (await list_disputes(desk.session, statuses=DISPUTE_STANDS)).rows
    partners = {one: await get_partner(desk.session, partner_id=one) for one in {each.partner_id for each in found}}
    return Rows(
        title=_("Disputes"),
        columns=[Column(_("Partner")), Column(_("Line"), "num"), Column(_("Reason")), Column(_("Difference"), "num"), Column(_("State"))],
        rows=[
            [
                cells.link(
                    desk,
                    f"{base_of(each.partner_id)}/disputes/{each.dispute_id}",
                    desk.either(partners[each.partner_id].name_zh, partners[each.partner_id].name_en),
                ),
                cells.count(desk, each.number),
                cells.text(_(REASON[each.reason])),
                cells.money(desk, each.wanted_minor, partners[each.partner_id].currency, sign=True),
                cells.tag(desk, each.status, DISPUTE),
            ]
            for each in found
        ],
        empty=_("No line is disputed"),
        id="disputes",
    )


async def _invoices(desk: Desk) -> Rows:
    _ = desk.gettext
    found = (await list_invoices(desk.session, statuses=[InvoiceStatus.RECEIVED])).rows
    columns = [Column(_("Partner")), Column(_("Invoice")), Column(_("Amount"), "num"), Column(_("Due by the statement"), "num")]
    return Rows(
        title=_("Invoices to look at"),
        columns=[*columns, Column(_("State"))],
        rows=[
            [
                _month(desk, each),
                cells.text(each.number),
                cells.money(desk, each.amount_minor, each.currency),
                cells.money(desk, abs(each.due_minor), each.currency),
                cells.tag(desk, each.status, INVOICE),
            ]
            for each in found
        ],
        empty=_("None waits"),
        id="invoices",
    )


def _month(desk: Desk, each: InvoiceView) -> Cell:
    name = f"{desk.either(each.partner_zh, each.partner_en)} · {desk.f.month(each.month)}"
    return cells.link(desk, f"{base_of(each.partner_id)}/statements/{each.month:%Y-%m}", name)


def _payable(desk: Desk, due: list[InvoiceView]) -> Rows:
    _ = desk.gettext
    return Rows(
        title=_("To be paid"),
        columns=[Column(_("Payment date")), Column(_("Partner")), Column(_("Invoice")), Column(_("Amount"), "num")],
        rows=[_paid_row(desk, each) for each in due],
        empty=_("Nothing is to be paid"),
        id="payable",
    )


def _paid_row(desk: Desk, each: InvoiceView) -> list[Cell]:
    amount = cells.money(desk, each.amount_minor, each.currency)
    return [cells.day(desk, each.pay_by), _month(desk, each), cells.text(each.number), amount]


async def _runs(desk: Desk) -> Rows:
    _ = desk.gettext
    found = await list_runs(desk.session, cursor=desk.cursor)
    listing = desk.listing(ALL, "", [])
    return Rows(
        title=_("Payment runs"),
        columns=[
            Column(_("Run made")),
            Column(_("Invoices"), "num"),
            Column(_("Amount"), "num"),
            Column(_("State")),
            Column(_("The bank's reference")),
        ],
        rows=[
            [
                cells.linked(desk, f"{ALL}/runs/{each.run_id}", cells.when(desk, each.made_at)),
                cells.count(desk, each.invoices),
                cells.money(desk, each.amount_minor, each.currency),
                cells.tag(desk, each.status, RUN),
                cells.text(each.reference),
            ]
            for each in found.rows
        ],
        empty=_("None yet"),
        next=listing.page_href(found.next),
        previous=listing.page_href(found.previous),
        pager=bool(found.next or found.previous),
        id="runs",
    )


@get("/partners/settlement/runs/new")
async def ask_run(desk: NamedDependency[Desk]) -> Page:
    """Let the invoices be selected; what is due stands ticked."""
    desk.offer(Permission.EDIT_ALLIANCES)
    _ = desk.gettext
    due, today = await payable(desk.session, most=MOST), local_date(desk.now, desk.zone)
    fields = [
        check(
            f"pay-{each.invoice_id}",
            f"{desk.either(each.partner_zh, each.partner_en)} · {each.number} · {desk.f.money(each.amount_minor, each.currency)}",
            note=_("payment date %(day)s", day=desk.f.full_day(each.pay_by)),
            checked=each.pay_by is not None and each.pay_by <= today,
        )
        for each in due
    ]
    title = _("Pay what is due")
    crumbs = [(_("Alliances"), PATH), (_("Settlement"), ALL), (title, "")]
    note = _("Another person approves it; then the bank's file is made, once.")
    return await desk.ask(title, fields, submit=_("Propose the run"), back=ALL, crumbs=crumbs, note=note)


@post("/partners/settlement/runs/new", status_code=303)
async def make_run(desk: NamedDependency[Desk]) -> Page:
    """Put them into a run."""
    desk.require(Permission.EDIT_ALLIANCES)
    due = await payable(desk.session, most=MOST)
    chosen = [each.invoice_id for each in due if desk.form.flag(f"pay-{each.invoice_id}")]
    run_id = await propose_run(desk.session, invoice_ids=chosen, actor=desk.actor, now=desk.now)
    return await desk.done(f"{ALL}/runs/{run_id}", desk.gettext("Proposed; another person approves it."))


@get("/partners/settlement/runs/{run_id:uuid}")
async def run(desk: NamedDependency[Desk], run_id: FromPath[UUID]) -> Page:
    """Show a run, its invoices, its file."""
    desk.require(Permission.READ_ALLIANCES)
    _ = desk.gettext
    one = await get_run(desk.session, run_id=run_id)
    invoices = await invoices_of_run(desk.session, run_id=run_id)
    names = await lookups.people(desk, [one.made_by, one.decided_by])
    mine = one.made_by == desk.principal.staff_id
    waits = one.status is RunStatus.PROPOSED and mine
    top: list[Part] = [Said(title=_("Somebody else approves it"), then=_("Whoever selected does not approve."))] if waits else []
    pairs: list[tuple[str, Any]] = [
        (_("State"), cells.tag(desk, one.status, RUN).show),
        (_("Amount"), desk.f.money(one.amount_minor, one.currency)),
        (_("Selected by"), names.get(one.made_by, "—")),
        (_("Decided by"), names.get(one.decided_by, "—") if one.decided_by else "—"),
    ]
    if one.digest is not None:
        pairs += [("SHA-256", one.digest.hex()[:16] + "…")]
    if one.paid_on is not None:
        pairs += [(_("Paid"), f"{desk.f.full_day(one.paid_on)} · {one.reference}")]
    return await desk.page(
        _("Payment run"),
        crumbs=[(_("Alliances"), PATH), (_("Settlement"), ALL), (_("Payment run"), "")],
        acts=_acts(desk, one, mine=mine),
        top=top,
        main=[
            Rows(
                title=_("Invoices"),
                columns=[Column(_("Payment date")), Column(_("Partner")), Column(_("Invoice")), Column(_("Amount"), "num")],
                rows=[_paid_row(desk, each) for each in invoices],
                empty=_("They wait for another run"),
            )
        ],
        aside=[Facts(title=_("Payment run"), pairs=pairs)],
    )


def _acts(desk: Desk, one: RunView, *, mine: bool) -> list[Act | None]:
    _ = desk.gettext
    base = f"{ALL}/runs/{one.run_id}"
    acts: list[Act | None] = []
    if one.status in {RunStatus.APPROVED, RunStatus.PAID} and desk.may(Permission.EDIT_ALLIANCES):
        acts.append(Act(_("The bank's file"), f"{base}/file"))
    if one.status is RunStatus.PROPOSED and desk.may(Permission.APPROVE_ALLIANCES) and not mine:
        acts.append(Act(_("Approve the run"), f"{base}/approve", primary=True))
    if one.status is RunStatus.APPROVED and desk.may(Permission.EDIT_ALLIANCES):
        acts.append(Act(_("The bank paid it"), f"{base}/paid", primary=True))
    if one.status in {RunStatus.PROPOSED, RunStatus.APPROVED} and desk.may(Permission.APPROVE_ALLIANCES):
        acts.append(Act(_("Give it up"), f"{base}/cancel", danger=True))
    return acts


@get(_DECIDE)
async def ask_decision(desk: NamedDependency[Desk], run_id: FromPath[UUID]) -> Page:
    """Ask once, with the amount in the button."""
    desk.offer(Permission.APPROVE_ALLIANCES)
    _ = desk.gettext
    one = await get_run(desk.session, run_id=run_id)
    agrees = desk.act == "approve"
    title = _("Approve the run") if agrees else _("Give it up")
    amount = desk.f.money(one.amount_minor, one.currency)
    crumbs = [(_("Settlement"), ALL), (_("Payment run"), f"{ALL}/runs/{run_id}"), (title, "")]
    note = "" if agrees else _("Its invoices wait for another run. Only if the bank did not pay any of it.")
    return await desk.ask(title, [], submit=title, amount=amount, danger=not agrees, back=f"{ALL}/runs/{run_id}", crumbs=crumbs, note=note)


@post(_DECIDE, status_code=303)
async def decide(desk: NamedDependency[Desk], run_id: FromPath[UUID]) -> Page:
    """Approve it and make its file; or give it up."""
    desk.require(Permission.APPROVE_ALLIANCES)
    _ = desk.gettext
    if desk.act == "approve":
        await approve_run(desk.session, run_id=run_id, actor=desk.actor, now=desk.now)
        return await desk.done(f"{ALL}/runs/{run_id}", _("Approved; the bank's file is made."))
    await cancel_run(desk.session, run_id=run_id, actor=desk.actor, now=desk.now)
    return await desk.done(f"{ALL}/runs/{run_id}", _("Given up; its invoices wait for another run."))


@get("/partners/settlement/runs/{run_id:uuid}/paid")
async def ask_paid(desk: NamedDependency[Desk], run_id: FromPath[UUID]) -> Page:
    """Ask when the bank paid, and its reference."""
    desk.offer(Permission.EDIT_ALLIANCES)
    _ = desk.gettext
    one = await get_run(desk.session, run_id=run_id)
    title = _("The bank paid it")
    fields = [
        field("day", _("Day of the payment"), type="date", value=local_date(desk.now, desk.zone).isoformat()),
        field("reference", _("The bank's reference"), autofocus=True),
    ]
    crumbs = [(_("Settlement"), ALL), (_("Payment run"), f"{ALL}/runs/{run_id}"), (title, "")]
    amount = desk.f.money(one.amount_minor, one.currency)
    return await desk.ask(title, fields, submit=title, amount=amount, back=f"{ALL}/runs/{run_id}", crumbs=crumbs)


@post("/partners/settlement/runs/{run_id:uuid}/paid", status_code=303)
async def note_paid(desk: NamedDependency[Desk], run_id: FromPath[UUID]) -> Page:
    """Note it in each partner's book."""
    desk.require(Permission.EDIT_ALLIANCES)
    _ = desk.gettext
    day = desk.form.day("day", _("Day of the payment"))
    reference = desk.form.text("reference", _("The bank's reference"), longest=NUMBER_MAX)
    desk.form.check()
    assert day is not None
    await settle_run(desk.session, run_id=run_id, paid_on=day, reference=reference, actor=desk.actor, now=desk.now)
    return await desk.done(f"{ALL}/runs/{run_id}", _("Paid, and booked in each partner's book."))


@get("/partners/settlement/runs/{run_id:uuid}/file")
async def run_file(desk: NamedDependency[Desk], run_id: FromPath[UUID]) -> Response[bytes]:
    """Send the bank's file, as it was made."""
    desk.require(Permission.EDIT_ALLIANCES)
    content = await payment_file(desk.session, run_id=run_id)
    return document(content, media_type=CSV_TYPE, filename=f"payments-{str(run_id)[-8:]}.csv")


handlers = [settlement, ask_run, make_run, run, ask_decision, decide, ask_paid, note_paid, run_file]
