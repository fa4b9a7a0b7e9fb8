"""Bank transfers that are awaited: matched to a line of the bank's statement, or given up."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty import clock
from loyalty.cards import queries as cards
from loyalty.customers import queries as customers
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.topups import operations, queries
from loyalty.topups.model import Party, Purchase, Topup
from loyalty.topups.operations import StatementLine
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field
from loyalty.web.office.owners import account_cell, owners
from loyalty.web.office.parts import Cell, Facts, Field, Rows

TRANSFERS = "/office/transfers"


@get(three("/transfers"))
async def transfers(desk: NamedDependency[Desk]) -> Any:
    """List the top-ups that wait for their bank transfer."""
    desk.require(Permission.READ_LEDGER)
    _ = desk.gettext
    listing = desk.listing(TRANSFERS, "", [])
    confirms = desk.may(Permission.CONFIRM_TRANSFERS)
    purchases = await queries.list_pending_purchases(desk.session, limit=50)

    async def fetch(cursor: str | None, limit: int) -> Found[Topup]:
        return await queries.list_pending_transfers(desk.session, cursor=cursor, limit=limit)

    async def rows(found: Sequence[Topup]) -> list[list[Cell]]:
        names = await owners(desk, [one.account_id for one in found])
        lines = []
        for one in found:
            bank = await queries.get_bank_payment(desk.session, topup_id=one.topup_id)
            act = desk.link(f"{TRANSFERS}/{one.topup_id}", _("Confirm or cancel")) if confirms else ""
            lines.append(
                [
                    cells.when(desk, one.requested_at),
                    account_cell(desk, one.account_id, names),
                    cells.text(f"{bank.payer_bank} •••• {bank.payer_account_tail}"),
                    cells.text(f"{bank.payee_bank} {bank.payee_account}"),
                    cells.money(desk, one.amount_minor, one.currency),
                    Cell(act, ""),
                ]
            )
        return lines

    below = []
    if purchases.rows:
        below.append(
            Rows(
                title=_("Purchases of several cards"),
                columns=[Column(_("Since")), Column(_("Buyer")), Column(_("Cards"), "num"), Column(_("Total"), "num"), Column("")],
                rows=[
                    [
                        cells.when(desk, one.requested_at),
                        Cell(await _buyer(desk, one), ""),
                        cells.count(desk, one.items),
                        cells.money(desk, one.total_minor, one.currency),
                        Cell(desk.link(f"/office/purchases/{one.purchase_id}", _("Confirm or cancel")) if confirms else "", ""),
                    ]
                    for one in purchases.rows
                ],
                empty="",
            )
        )
    return await show(
        desk,
        List(
            title=_("Pending bank transfers"),
            sub=_("They count once they are matched to a line of the bank's statement"),
            listing=listing,
            columns=[
                Column(_("Since")),
                Column(_("Account")),
                Column(_("From")),
                Column(_("To")),
                Column(_("Amount"), "num"),
                Column(""),
            ],
            fetch=fetch,
            rows=rows,
            below=below,
            empty=_("No transfer is awaited"),
            empty_then=_("Top-ups by bank transfer appear here until finance finds their money."),
            name="pending-transfers",
        ),
    )


def _statement_fields(desk: Desk, currency: str) -> list[Field]:
    _ = desk.gettext
    today = clock.local_date(desk.now, desk.zone).isoformat()
    return [
        field("line", _("Number of the statement's line"), autofocus=True, help=_("Each line counts once.")),
        field("day", _("Its date"), type="date", value=today),
        field(
            "amount",
            _("Its amount"),
            num=True,
            before=desk.f.sign_of(currency),
            help=_("As the bank wrote it; it must be exactly what was asked for."),
        ),
    ]


def _read_statement(desk: Desk, currency: str) -> StatementLine:
    _ = desk.gettext
    form = desk.form
    line, day = form.text("line", _("Number of the statement's line"), longest=80), form.day("day", _("Its date"))
    amount = form.money("amount", _("Its amount"), currency)
    form.check()
    assert day is not None
    assert amount is not None
    return StatementLine(line=line, day=day, amount_minor=amount)


@get("/transfers/{topup_id:uuid}")
async def transfer(desk: NamedDependency[Desk], topup_id: FromPath[UUID]) -> Page:
    """Show one pending transfer and ask for the statement's line."""
    desk.offer(Permission.CONFIRM_TRANSFERS)
    _ = desk.gettext
    one = await queries.get_topup(desk.session, topup_id=topup_id)
    bank = await queries.get_bank_payment(desk.session, topup_id=topup_id)
    names = await owners(desk, [one.account_id])
    amount = desk.f.money(one.amount_minor, one.currency)
    facts = Facts(
        title=_("Awaited"),
        pairs=[
            (_("Account"), desk.link(f"/office/accounts/{one.account_id}", names[one.account_id])),
            (_("From"), f"{bank.payer_bank} •••• {bank.payer_account_tail}"),
            (_("To"), f"{bank.payee_name} · {bank.payee_bank} {bank.payee_account}"),
            (_("Since"), cells.when(desk, one.requested_at).show),
        ],
        total=(_("Amount"), amount),
    )
    confirm = desk.form_part(
        _("It has arrived"), f"{TRANSFERS}/{topup_id}/confirm", _statement_fields(desk, one.currency), submit=_("Confirm"), amount=amount
    )
    cancel = desk.form_part(
        _("It will not come"),
        f"{TRANSFERS}/{topup_id}/cancel",
        [field("reason", _("Reason"))],
        submit=_("Cancel the top-up"),
        primary=False,
        danger=True,
        amount=amount,
    )
    crumbs = [(_("Bank transfers"), TRANSFERS), (names[one.account_id], "")]
    return await desk.page(_("Pending transfer"), sub=amount, main=[confirm, cancel], aside=[facts], crumbs=crumbs)


@post("/transfers/{topup_id:uuid}/confirm", status_code=303)
async def confirm_transfer(desk: NamedDependency[Desk], topup_id: FromPath[UUID]) -> Page:
    """Book a top-up whose money was found on the statement."""
    desk.require(Permission.CONFIRM_TRANSFERS)
    one = await queries.get_topup(desk.session, topup_id=topup_id)
    statement = _read_statement(desk, one.currency)
    await operations.confirm_bank_load(
        desk.session, policy=desk.policy, topup_id=topup_id, statement=statement, actor=desk.actor, now=desk.now
    )
    return await desk.done(TRANSFERS, desk.gettext("Booked: %(amount)s", amount=desk.f.money(one.amount_minor, one.currency)))


@post("/transfers/{topup_id:uuid}/cancel", status_code=303)
async def cancel_transfer(desk: NamedDependency[Desk], topup_id: FromPath[UUID]) -> Page:
    """Give up waiting for a transfer."""
    desk.require(Permission.CONFIRM_TRANSFERS)
    reason = desk.form.text("reason", desk.gettext("Reason"))
    desk.form.check()
    await operations.cancel_bank_load(desk.session, topup_id=topup_id, reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done(TRANSFERS, desk.gettext("Cancelled; nothing was booked"))


@get("/purchases/{purchase_id:uuid}")
async def purchase(desk: NamedDependency[Desk], purchase_id: FromPath[UUID]) -> Page:
    """Show a pending purchase of several cards."""
    desk.offer(Permission.CONFIRM_TRANSFERS)
    _ = desk.gettext
    one = await queries.get_purchase(desk.session, purchase_id=purchase_id)
    items = await queries.items_of(desk.session, purchase_id=purchase_id)
    amount = desk.f.money(one.total_minor, one.currency)
    facts = await _purchase_facts(desk, one, items[0].topup_id, amount)
    table = await _purchase_items(desk, items)
    confirm = desk.form_part(
        _("It has arrived"),
        f"/office/purchases/{purchase_id}/confirm",
        _statement_fields(desk, one.currency),
        submit=_("Confirm"),
        amount=amount,
    )
    cancel = desk.form_part(
        _("It will not come"),
        f"/office/purchases/{purchase_id}/cancel",
        [field("reason", _("Reason"))],
        submit=_("Cancel the purchase"),
        primary=False,
        danger=True,
        amount=amount,
    )
    return await desk.page(
        _("Pending purchase"),
        sub=amount,
        main=[confirm, cancel],
        aside=[facts, table],
        crumbs=[(_("Bank transfers"), TRANSFERS), (amount, "")],
    )


async def _purchase_facts(desk: Desk, one: Purchase, topup_id: UUID, amount: str) -> Facts:
    """Say who bought, and from where to where the money is on its way."""
    _ = desk.gettext
    bank = await queries.get_bank_payment(desk.session, topup_id=topup_id)
    places = await lookups.places(desk)
    people = await lookups.people(desk, [one.staff_id])
    return Facts(
        title=_("Awaited"),
        pairs=[
            (_("Buyer"), await _buyer(desk, one)),
            (_("From"), f"{bank.payer_bank} •••• {bank.payer_account_tail}"),
            (_("To"), f"{bank.payee_name} · {bank.payee_bank} {bank.payee_account}"),
            (_("Station"), places.names.get(one.station_id, "—") if one.station_id else "—"),
            (_("Asked by"), cells.named(people, one.staff_id)),
            (_("Since"), cells.when(desk, one.requested_at).show),
        ],
        total=(_("Total"), amount),
    )


async def _buyer(desk: Desk, one: Purchase) -> Any:
    _ = desk.gettext
    if one.buyer_customer_id is None:
        return _("Person") if one.buyer is Party.PERSON else _("Organisation")
    names = await customers.names_of(desk.session, customer_ids=[one.buyer_customer_id])
    return desk.link(f"/office/customers/{one.buyer_customer_id}", names.get(one.buyer_customer_id, "—"))


async def _purchase_items(desk: Desk, items: Sequence[Topup]) -> Rows:
    """Draw a purchase's cards, each with what it gets."""
    _ = desk.gettext
    names = await owners(desk, [item.account_id for item in items])
    rows = []
    for item in items:
        card: Cell | None = None
        if item.card_id is not None:
            known = await cards.get_card(desk.session, card_id=item.card_id)
            card = cells.tail(desk, f"/office/cards/{item.card_id}", known.number_bin, known.number_tail)
        rows.append([card or account_cell(desk, item.account_id, names), cells.money(desk, item.amount_minor, item.currency)])
    return Rows(
        title=_("Cards"),
        note=desk.words.ngettext("%(num)s card", "%(num)s cards", len(items)),
        columns=[Column(_("Card")), Column(_("Amount"), "num")],
        rows=rows,
        empty="",
    )


@post("/purchases/{purchase_id:uuid}/confirm", status_code=303)
async def confirm_purchase(desk: NamedDependency[Desk], purchase_id: FromPath[UUID]) -> Page:
    """Book every item of a purchase."""
    desk.require(Permission.CONFIRM_TRANSFERS)
    one = await queries.get_purchase(desk.session, purchase_id=purchase_id)
    statement = _read_statement(desk, one.currency)
    await operations.confirm_purchase(
        desk.session, policy=desk.policy, purchase_id=purchase_id, statement=statement, actor=desk.actor, now=desk.now
    )
    return await desk.done(TRANSFERS, desk.gettext("Booked: %(amount)s", amount=desk.f.money(one.total_minor, one.currency)))


@post("/purchases/{purchase_id:uuid}/cancel", status_code=303)
async def cancel_purchase(desk: NamedDependency[Desk], purchase_id: FromPath[UUID]) -> Page:
    """Give up waiting for a purchase's transfer."""
    desk.require(Permission.CONFIRM_TRANSFERS)
    reason = desk.form.text("reason", desk.gettext("Reason"))
    desk.form.check()
    await operations.cancel_purchase(desk.session, purchase_id=purchase_id, reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done(TRANSFERS, desk.gettext("Cancelled; nothing was booked"))


handlers = [transfers, transfer, confirm_transfer, cancel_transfer, purchase, confirm_purchase, cancel_purchase]
