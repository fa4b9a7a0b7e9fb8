"""Authorities' orders: carried out and lifted here alone."""

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
    Freeze,
    FreezeScope,
    FreezeStatus,
)
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import (
    FREEZE_SCOPE,
    FREEZE_STATUS,
)
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import chips, field, hidden, select
from loyalty.web.office.owners import account_cell, owners
from loyalty.web.office.parts import Cell

FREEZES = "/office/freezes"


@get(three("/freezes"))
async def freezes(desk: NamedDependency[Desk]) -> Any:
    """List authorities' orders, by default those in force."""
    desk.require(Permission.READ_LEDGER)
    _ = desk.gettext
    listing = desk.listing(FREEZES, "", ["status"])
    chosen = listing.filters["status"] or FreezeStatus.ACTIVE.value

    async def fetch(cursor: str | None, limit: int) -> Found[Freeze]:
        status = next((one for one in FreezeStatus if one.value == chosen), None)
        return await queries.list_freezes(desk.session, status=status, cursor=cursor, limit=limit)

    async def rows(found: Sequence[Freeze]) -> list[list[Cell]]:
        names = await owners(desk, [one.account_id for one in found])
        lifts = desk.may(Permission.FREEZE_ACCOUNTS)
        return [
            [
                account_cell(desk, one.account_id, names),
                cells.tag(desk, one.scope, FREEZE_SCOPE),
                cells.money(desk, one.amount_minor, "CNY"),
                cells.text(one.authority),
                cells.text(one.document),
                cells.text(one.officer),
                cells.when(desk, one.expires_at),
                cells.tag(desk, one.status, FREEZE_STATUS),
                Cell(desk.link(f"{FREEZES}/{one.freeze_id}/lift", _("Lift")) if lifts and one.status is FreezeStatus.ACTIVE else "", ""),
            ]
            for one in found
        ]

    statuses = [(member.value, _(label[0])) for member, label in FREEZE_STATUS.items()]
    return await show(
        desk,
        List(
            title=_("Freezes"),
            sub=_("Ordered by an authority; lifted only on its document, and only here"),
            listing=listing,
            columns=[
                Column(_("Account")),
                Column(_("Scope")),
                Column(_("Amount"), "num"),
                Column(_("Authority")),
                Column(_("Document")),
                Column(_("Officer")),
                Column(_("Ends")),
                Column(_("Status")),
                Column(""),
            ],
            fetch=fetch,
            rows=rows,
            filters=[select("status", _("Status"), [*statuses, ("any", _("All"))], value=chosen, required=False)],
            empty=_("No order in force"),
            empty_then=_("A freeze begins on the account's page, with the authority's document."),
            name="freezes",
        ),
    )


@get("/freezes/new")
async def new_freeze(desk: NamedDependency[Desk]) -> Page:
    """Ask for the authority's order."""
    desk.offer(Permission.FREEZE_ACCOUNTS)
    _ = desk.gettext
    account_id = desk.query.maybe_uuid("account")
    names = await owners(desk, [account_id]) if account_id else {}
    fields = [
        hidden("account", account_id or ""),
        field("authority", _("Authority"), autofocus=True),
        field("document", _("Document's number")),
        field("officer", _("Officer")),
        chips("scope", _("Scope"), [(one.value, _(label[0])) for one, label in FREEZE_SCOPE.items()], value=FreezeScope.ACCOUNT.value),
        field("amount", _("Amount"), num=True, required=False, help=_("Only where an amount is frozen.")),
        field("expires", _("Ends"), type="datetime-local", required=False, help=_("Empty: as long as the profile allows.")),
    ]
    back = f"/office/accounts/{account_id}" if account_id else FREEZES
    crumbs = [(_("Freezes"), FREEZES), (names.get(account_id, "—") if account_id else "—", back), (_("New"), "")]
    return await desk.ask(_("Freeze an account"), fields, submit=_("Freeze the account"), danger=True, back=back, crumbs=crumbs)


@post("/freezes/new", status_code=303)
async def freeze(desk: NamedDependency[Desk]) -> Page:
    """Carry an order out."""
    desk.require(Permission.FREEZE_ACCOUNTS)
    _ = desk.gettext
    form = desk.form
    account_id = form.uuid("account", _("Account"))
    scope = form.choice("scope", _("Scope"), FreezeScope, FreezeScope.ACCOUNT)
    form.check()
    assert account_id is not None
    account = await get_account(desk.session, account_id=account_id)
    amount = form.money("amount", _("Amount"), account.currency, required=scope is FreezeScope.AMOUNT)
    expires = form.instant("expires", _("Ends"), required=False)
    form.check()
    await operations.freeze_account(
        desk.session,
        policy=desk.policy,
        account_id=account_id,
        authority=form.raw("authority"),
        document=form.raw("document"),
        officer=form.raw("officer"),
        scope=scope,
        amount_minor=amount if scope is FreezeScope.AMOUNT else None,
        expires_at=expires,
        actor=desk.actor,
        now=desk.now,
    )
    return await desk.done(f"/office/accounts/{account_id}", _("Frozen"))


@get("/freezes/{freeze_id:uuid}/lift")
async def ask_lift(desk: NamedDependency[Desk], freeze_id: FromPath[UUID]) -> Page:
    """Ask for the document that lifts an order."""
    desk.offer(Permission.FREEZE_ACCOUNTS)
    _ = desk.gettext
    one = await queries.get_freeze(desk.session, freeze_id=freeze_id)
    note = f"{one.authority} · {one.document}"
    fields = [field("document", _("Number of the document that lifts it"), autofocus=True)]
    return await desk.ask(
        _("Lift the freeze"), fields, submit=_("Lift"), back=FREEZES, note=note, crumbs=[(_("Freezes"), FREEZES), (_("Lift"), "")]
    )


@post("/freezes/{freeze_id:uuid}/lift", status_code=303)
async def lift(desk: NamedDependency[Desk], freeze_id: FromPath[UUID]) -> Page:
    """Lift an order on the authority's document."""
    desk.require(Permission.FREEZE_ACCOUNTS)
    document = desk.form.text("document", desk.gettext("Document's number"))
    desk.form.check()
    await operations.thaw_account(
        desk.session, freeze_id=freeze_id, document=document, station_id=desk.principal.station_id, actor=desk.actor, now=desk.now
    )
    return await desk.done(FREEZES, desk.gettext("Lifted"))


handlers = [freezes, new_freeze, freeze, ask_lift, lift]
