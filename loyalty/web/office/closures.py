"""Closures: an account's principal goes back to its owner."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.topups import operations, queries
from loyalty.topups.model import (
    AccountClosure,
    ClosureStatus,
    PayoutMethod,
)
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import (
    CLOSURE_REASON,
    CLOSURE_STATUS,
    PAYOUT,
)
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field, select
from loyalty.web.office.owners import account_cell, owners
from loyalty.web.office.parts import Cell, Facts

CLOSURES = "/office/closures"


@get(three("/closures"))
async def closures(desk: NamedDependency[Desk]) -> Any:
    """List closures, by default those that wait to be approved or paid."""
    desk.require(Permission.READ_LEDGER)
    _ = desk.gettext
    listing = desk.listing(CLOSURES, "", ["status"])

    async def fetch(cursor: str | None, limit: int) -> Found[AccountClosure]:
        return await queries.list_closures(desk.session, status=desk.query.maybe("status", ClosureStatus), cursor=cursor, limit=limit)

    async def rows(found: Sequence[AccountClosure]) -> list[list[Cell]]:
        names = await owners(desk, [one.account_id for one in found])
        people = await lookups.people(desk, [one.requested_by for one in found])
        return [
            [
                Cell(desk.link(f"{CLOSURES}/{one.closure_id}", cells.when(desk, one.requested_at).show), one.requested_at),
                account_cell(desk, one.account_id, names),
                cells.text(cells.named(people, one.requested_by)),
                cells.text(_(CLOSURE_REASON[one.reason])),
                cells.tag(desk, one.method, PAYOUT),
                cells.money(desk, one.refund_minor, one.currency),
                cells.tag(desk, one.status, CLOSURE_STATUS),
            ]
            for one in found
        ]

    statuses = [(member.value, _(label[0])) for member, label in CLOSURE_STATUS.items()]
    return await show(
        desk,
        List(
            title=_("Closures"),
            sub=_("Accounts whose principal goes back to their owner"),
            listing=listing,
            columns=[
                Column(_("Asked")),
                Column(_("Account")),
                Column(_("Asked by")),
                Column(_("Reason")),
                Column(_("Way of payment")),
                Column(_("To the owner"), "num"),
                Column(_("Status")),
            ],
            fetch=fetch,
            rows=rows,
            filters=[select("status", _("Status"), statuses, value=listing.filters["status"], blank=_("Waiting"), required=False)],
            empty=_("No closure waits"),
            empty_then=_("A closure is asked for at the counter, with the owner's reason and bank account."),
            name="closures",
        ),
    )


@get("/closures/{closure_id:uuid}")
async def closure(desk: NamedDependency[Desk], closure_id: FromPath[UUID]) -> Page:
    """Show one closure, and what its reader may do about it."""
    desk.require(Permission.READ_LEDGER)
    _ = desk.gettext
    one = await queries.get_closure(desk.session, closure_id=closure_id)
    names = await owners(desk, [one.account_id])
    people = await lookups.people(desk, [one.requested_by, one.approved_by, one.paid_by])
    money, currency = desk.f.money, one.currency
    amount = money(one.refund_minor, currency)
    facts = Facts(
        title=_("The closure"),
        pairs=[
            (_("Account"), desk.link(f"/office/accounts/{one.account_id}", names[one.account_id])),
            (_("Reason"), _(CLOSURE_REASON[one.reason])),
            (_("Note"), one.note or "—"),
            (_("Way of payment"), _(PAYOUT[one.method][0])),
            (_("Bank account"), f"{one.payee_bank} •••• {one.payee_account_tail}" if one.payee_account_tail else "—"),
            (_("Asked by"), cells.named(people, one.requested_by)),
            (_("Approved by"), _approver(desk, one, people)),
            (_("Paid out by"), cells.named(people, one.paid_by)),
        ],
    )
    split = Facts(
        title=_("How it was reckoned"),
        figures=True,
        pairs=[
            (_("Paid in since it was last empty"), money(one.paid_in_minor, currency)),
            (_("Bonus given"), money(one.bonus_given_minor, currency)),
            (_("Debts settled"), money(one.settled_minor, currency)),
            (_("Back to the bonus's funder"), money(one.bonus_returned_minor, currency)),
            (_("Expired"), money(one.bonus_expired_minor, currency)),
        ],
        total=(_("To the owner"), amount),
    )
    return await desk.page(
        f"{_('Closure')} {amount}",
        crumbs=[(_("Closures"), CLOSURES), (names[one.account_id], "")],
        tags=[cells.tag(desk, one.status, CLOSURE_STATUS).show],
        main=[facts, split],
        aside=_closure_forms(desk, one, amount),
    )


def _approver(desk: Desk, one: AccountClosure, people: dict[UUID, str]) -> str:
    """Say who approved, or for whom it waits."""
    if one.status is not ClosureStatus.REQUESTED:
        return cells.named(people, one.approved_by)
    if not one.second_person:
        return desk.gettext("waits for finance")
    return desk.gettext("waits for finance; not %(name)s", name=cells.named(people, one.requested_by))


def _closure_forms(desk: Desk, one: AccountClosure, amount: str) -> list[Any]:
    _ = desk.gettext
    base = f"{CLOSURES}/{one.closure_id}"
    if not desk.may(Permission.PAY_OUT):
        return []
    if one.status is ClosureStatus.REQUESTED:
        reason = [field("reason", _("Reason"))]
        return [
            desk.form_part(_("Approve"), f"{base}/approve", [], submit=_("Approve"), amount=amount),
            desk.form_part(_("Turn down"), f"{base}/reject", reason, submit=_("Turn down"), primary=False, danger=True),
        ]
    if one.status is ClosureStatus.APPROVED and one.method is PayoutMethod.BANK:
        fields = [field("reference", _("The bank's number of the payment"))]
        return [desk.form_part(_("It was paid"), f"{base}/pay", fields, submit=_("Record the payment"), amount=amount)]
    if one.status is ClosureStatus.PAID:
        reason = [field("reason", _("Reason"))]
        return [desk.form_part(_("Reopen the account"), f"{base}/reopen", reason, submit=_("Reopen"), primary=False)]
    return []


@post("/closures/{closure_id:uuid}/approve", status_code=303)
async def approve_closure(desk: NamedDependency[Desk], closure_id: FromPath[UUID]) -> Page:
    """Approve a closure: it is reckoned anew, booked and closed."""
    desk.require(Permission.PAY_OUT)
    await operations.approve_closure(desk.session, policy=desk.policy, closure_id=closure_id, actor=desk.actor, now=desk.now)
    return await desk.done(f"{CLOSURES}/{closure_id}", desk.gettext("Approved; it waits to be paid"))


@post("/closures/{closure_id:uuid}/reject", status_code=303)
async def reject_closure(desk: NamedDependency[Desk], closure_id: FromPath[UUID]) -> Page:
    """Turn a closure down; nothing was booked."""
    desk.require(Permission.PAY_OUT)
    reason = desk.form.text("reason", desk.gettext("Reason"))
    desk.form.check()
    await operations.reject_closure(desk.session, closure_id=closure_id, reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done(f"{CLOSURES}/{closure_id}", desk.gettext("Turned down"))


@post("/closures/{closure_id:uuid}/pay", status_code=303)
async def pay_closure(desk: NamedDependency[Desk], closure_id: FromPath[UUID]) -> Page:
    """Record that the refund has left by bank."""
    desk.require(Permission.PAY_OUT)
    reference = desk.form.text("reference", desk.gettext("The bank's number of the payment"), longest=80)
    desk.form.check()
    await operations.pay_closure(desk.session, closure_id=closure_id, reference=reference, actor=desk.actor, now=desk.now)
    return await desk.done(f"{CLOSURES}/{closure_id}", desk.gettext("Paid"))


@post("/closures/{closure_id:uuid}/reopen", status_code=303)
async def reopen_closure(desk: NamedDependency[Desk], closure_id: FromPath[UUID]) -> Page:
    """Let a closed account and its cards live again, empty."""
    desk.require(Permission.PAY_OUT)
    reason = desk.form.text("reason", desk.gettext("Reason"))
    desk.form.check()
    await operations.reopen_closed_account(
        desk.session, policy=desk.policy, closure_id=closure_id, reason=reason, actor=desk.actor, now=desk.now
    )
    return await desk.done(f"{CLOSURES}/{closure_id}", desk.gettext("Reopened"))


handlers = [closures, closure, approve_closure, reject_closure, pay_closure, reopen_closure]
