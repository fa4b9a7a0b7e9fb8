"""Adjustments: one person proposes, another approves."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.identity.rules import Permission
from loyalty.ledger.queries import get_account
from loyalty.paging import Page as Found
from loyalty.topups import operations, queries
from loyalty.topups.model import (
    Adjustment,
    AdjustmentKind,
    AdjustmentStatus,
)
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import (
    ADJUSTMENT_KIND,
    ADJUSTMENT_STATUS,
)
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import area, chips, field, hidden, select
from loyalty.web.office.owners import account_cell, owners
from loyalty.web.office.parts import Cell, Facts

ADJUSTMENTS = "/office/adjustments"


_CODES = {"goodwill": N_("Goodwill"), "pump_error": N_("Pump error"), "migration": N_("Migration")}


def _coded(desk: Desk, code: str) -> str:
    """Name a common reason; another is its own name."""
    return desk.gettext(_CODES[code]) if code in _CODES else code


@get(three("/adjustments"))
async def adjustments(desk: NamedDependency[Desk]) -> Any:
    """List adjustments, by default those that wait for their checker."""
    desk.require(Permission.READ_LEDGER)
    _ = desk.gettext
    listing = desk.listing(ADJUSTMENTS, "", ["status"])
    chosen = listing.filters["status"] or AdjustmentStatus.PROPOSED.value

    async def fetch(cursor: str | None, limit: int) -> Found[Adjustment]:
        status = next((one for one in AdjustmentStatus if one.value == chosen), None)
        return await queries.list_adjustments(desk.session, status=status, cursor=cursor, limit=limit)

    async def rows(found: Sequence[Adjustment]) -> list[list[Cell]]:
        names = await owners(desk, [one.account_id for one in found])
        makers = await lookups.people(desk, [person for one in found for person in (one.made_by, one.decided_by)])
        return [
            [
                Cell(desk.link(f"{ADJUSTMENTS}/{one.adjustment_id}", cells.when(desk, one.made_at).show), one.made_at),
                account_cell(desk, one.account_id, names),
                cells.tag(desk, one.kind, ADJUSTMENT_KIND),
                cells.money(desk, one.amount_minor, one.currency),
                cells.text(f"{_coded(desk, one.reason_code)} · {one.note}"),
                cells.text(cells.named(makers, one.made_by)),
                cells.text(cells.named(makers, one.decided_by)),
                cells.tag(desk, one.status, ADJUSTMENT_STATUS),
            ]
            for one in found
        ]

    statuses = [(member.value, _(label[0])) for member, label in ADJUSTMENT_STATUS.items()]
    return await show(
        desk,
        List(
            title=_("Adjustments"),
            sub=_("One person proposes, another approves"),
            listing=listing,
            columns=[
                Column(_("Proposed")),
                Column(_("Account")),
                Column(_("What")),
                Column(_("Amount"), "num"),
                Column(_("Why")),
                Column(_("Maker")),
                Column(_("Checker")),
                Column(_("Status")),
            ],
            fetch=fetch,
            rows=rows,
            filters=[select("status", _("Status"), [*statuses, ("any", _("All"))], value=chosen, required=False)],
            empty=_("Nothing waits for a checker"),
            empty_then=_("An adjustment is proposed on an account's page."),
            name="adjustments",
        ),
    )


@get("/adjustments/new")
async def new_adjustment(desk: NamedDependency[Desk]) -> Page:
    """Ask what is to be corrected, and why."""
    desk.offer(Permission.MAKE_ADJUSTMENTS)
    _ = desk.gettext
    account_id = desk.query.maybe_uuid("account")
    if account_id is None:
        return await desk.ask(
            _("New adjustment"), [lookups.said(_("Begin on the account's page."))], submit=_("Customers"), back=ADJUSTMENTS
        )
    account = await get_account(desk.session, account_id=account_id)
    names = await owners(desk, [account_id])
    fields = [
        hidden("account", account_id),
        chips("kind", _("What"), [(kind.value, _(label[0])) for kind, label in ADJUSTMENT_KIND.items()], value=AdjustmentKind.CREDIT.value),
        field("amount", _("Amount"), num=True, autofocus=True, after=account.currency),
        lookups.check("bonus", _("Bonus money instead of principal")),
        field("expires", _("Bonus expires"), type="datetime-local", required=False),
        field("code", _("Reason code"), help=_("For example: goodwill, pump_error, migration.")),
        area("note", _("What happened")),
    ]
    crumbs = [(_("Adjustments"), ADJUSTMENTS), (names[account_id], f"/office/accounts/{account_id}"), (_("New"), "")]
    note = _("Nothing moves until somebody else approves it.")
    return await desk.ask(_("New adjustment"), fields, submit=_("Propose"), back=f"/office/accounts/{account_id}", crumbs=crumbs, note=note)


@post("/adjustments/new", status_code=303)
async def propose(desk: NamedDependency[Desk]) -> Page:
    """Propose an adjustment."""
    desk.require(Permission.MAKE_ADJUSTMENTS)
    _ = desk.gettext
    form = desk.form
    account_id = form.uuid("account", _("Account"))
    form.check()
    assert account_id is not None
    account = await get_account(desk.session, account_id=account_id)
    kind = form.choice("kind", _("What"), AdjustmentKind, AdjustmentKind.CREDIT)
    amount = form.money("amount", _("Amount"), account.currency)
    code, note = form.text("code", _("Reason code"), longest=40), form.text("note", _("What happened"))
    expires = form.instant("expires", _("Bonus expires"), required=False)
    form.check()
    assert amount is not None
    made = await operations.propose_adjustment(
        desk.session,
        account_id=account_id,
        kind=kind,
        amount_minor=amount,
        reason_code=code,
        note_text=note,
        bonus=form.flag("bonus"),
        bonus_expires_at=expires if form.flag("bonus") else None,
        actor=desk.actor,
        now=desk.now,
    )
    undo = f"{ADJUSTMENTS}/{made.adjustment_id}/withdraw"
    return await desk.done(f"{ADJUSTMENTS}/{made.adjustment_id}", _("Proposed; a checker decides"), undo=undo)


@get("/adjustments/{adjustment_id:uuid}")
async def adjustment(desk: NamedDependency[Desk], adjustment_id: FromPath[UUID]) -> Page:
    """Show one adjustment, and what its reader may do about it."""
    desk.require(Permission.READ_LEDGER)
    _ = desk.gettext
    one = await queries.get_adjustment(desk.session, adjustment_id=adjustment_id)
    names = await owners(desk, [one.account_id])
    people = await lookups.people(desk, [one.made_by, one.decided_by])
    amount = desk.f.money(one.amount_minor, one.currency)
    facts = Facts(
        title=_(ADJUSTMENT_KIND[one.kind][0]),
        pairs=[
            (_("Account"), desk.link(f"/office/accounts/{one.account_id}", names[one.account_id])),
            (_("Money"), _("Bonus") if one.bonus else _("Principal")),
            (_("Reason code"), _coded(desk, one.reason_code)),
            (_("What happened"), one.note),
            (_("Maker"), f"{cells.named(people, one.made_by)} · {desk.f.instant(one.made_at)}"),
            (_("Checker"), _checker(desk, one, people)),
        ],
        total=(_("Amount"), amount),
    )
    forms = []
    if one.status is AdjustmentStatus.PROPOSED:
        base = f"{ADJUSTMENTS}/{adjustment_id}"
        mine = one.made_by == desk.principal.staff_id
        if desk.may(Permission.CHECK_ADJUSTMENTS) and not mine:
            forms.append(desk.form_part(_("Approve"), f"{base}/approve", [], submit=_("Approve"), amount=amount))
            reason = [field("reason", _("Reason"))]
            forms.append(desk.form_part(_("Turn down"), f"{base}/reject", reason, submit=_("Turn down"), primary=False, danger=True))
        if mine:
            forms.append(desk.form_part(_("Withdraw the proposal"), f"{base}/withdraw", [], submit=_("Withdraw"), primary=False))
    title = f"{_('Adjustment')} {amount}"
    return await desk.page(
        title,
        crumbs=[(_("Adjustments"), ADJUSTMENTS), (amount, "")],
        tags=[cells.tag(desk, one.status, ADJUSTMENT_STATUS).show],
        main=[facts],
        aside=forms,
    )


def _checker(desk: Desk, one: Adjustment, people: dict[UUID, str]) -> str:
    """Say who decided, or for whom it waits: the maker never decides."""
    if one.decided_by:
        return f"{cells.named(people, one.decided_by)} · {desk.f.instant(one.decided_at)}"
    if one.status is not AdjustmentStatus.PROPOSED:
        return "—"
    return desk.gettext("waits for finance; not %(name)s", name=cells.named(people, one.made_by))


@post("/adjustments/{adjustment_id:uuid}/approve", status_code=303)
async def approve(desk: NamedDependency[Desk], adjustment_id: FromPath[UUID]) -> Page:
    """Approve somebody else's proposal and book it."""
    desk.require(Permission.CHECK_ADJUSTMENTS)
    await operations.approve_adjustment(desk.session, adjustment_id=adjustment_id, actor=desk.actor, now=desk.now)
    return await desk.done(f"{ADJUSTMENTS}/{adjustment_id}", desk.gettext("Approved and booked"))


@post("/adjustments/{adjustment_id:uuid}/reject", status_code=303)
async def reject(desk: NamedDependency[Desk], adjustment_id: FromPath[UUID]) -> Page:
    """Turn somebody else's proposal down."""
    desk.require(Permission.CHECK_ADJUSTMENTS)
    reason = desk.form.text("reason", desk.gettext("Reason"))
    desk.form.check()
    await operations.reject_adjustment(desk.session, adjustment_id=adjustment_id, reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done(f"{ADJUSTMENTS}/{adjustment_id}", desk.gettext("Turned down"))


@post("/adjustments/{adjustment_id:uuid}/withdraw", status_code=303)
async def withdraw(desk: NamedDependency[Desk], adjustment_id: FromPath[UUID]) -> Page:
    """Take one's own proposal back."""
    desk.require(Permission.MAKE_ADJUSTMENTS)
    await operations.withdraw_adjustment(desk.session, adjustment_id=adjustment_id, actor=desk.actor, now=desk.now)
    return await desk.done(f"{ADJUSTMENTS}/{adjustment_id}", desk.gettext("Withdrawn"))


handlers = [adjustments, new_adjustment, propose, adjustment, approve, reject, withdraw]
