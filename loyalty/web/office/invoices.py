"""What companies ask to be invoiced: the queue, and issuing, refusing, taking back by a red letter."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty import clock
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.statements.model_invoices import INVOICE_MOVES, InvoiceStatus
from loyalty.statements.operations.invoices import issue_invoice, red_letter, refuse_invoice
from loyalty.statements.queries.invoices import InvoiceView, get_invoice, list_invoices
from loyalty.web.fleet.invoice_words import INVOICE, life_part, lines_part, title_part
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field, word_filter
from loyalty.web.office.parts import Cell, Part

PATH: Final = "/office/invoices"
_MAY = Permission.ISSUE_INVOICES


@get(three("/invoices"))
async def invoices(desk: NamedDependency[Desk]) -> Any:
    """List companies' invoices."""
    desk.require(Permission.READ_LEDGER)
    _ = desk.gettext
    listing = desk.listing(PATH, "", ["status"])
    status = desk.query.maybe("status", InvoiceStatus)

    async def fetch(cursor: str | None, limit: int) -> Found[InvoiceView]:
        return await list_invoices(desk.session, status=status, cursor=cursor, limit=limit)

    async def rows(found: Sequence[InvoiceView]) -> list[list[Cell]]:
        return [
            [
                cells.linked(desk, f"{PATH}/{one.invoice_id}", cells.text(one.company)),
                cells.text(one.title),
                cells.text(one.tax_number),
                cells.day(desk, one.first_day),
                cells.tag(desk, one.status, INVOICE),
                cells.text(one.number),
                cells.when(desk, one.requested_at),
                cells.money(desk, one.amount_minor, one.currency),
            ]
            for one in found
        ]

    heads = [_("Company"), _("Invoice title"), _("Tax number"), _("Period from"), _("Status"), _("Invoice number"), _("Asked for at")]
    return await show(
        desk,
        List(
            title=_("Invoices"),
            listing=listing,
            columns=[*(Column(head) for head in heads), Column(_("Amount"), "num")],
            fetch=fetch,
            rows=rows,
            filters=[word_filter(desk, "status", _("Status"), INVOICE, listing)],
            empty=_("No company asks for an invoice"),
            empty_then=_("Companies ask in their portal, over a period that is closed."),
            name="invoices",
        ),
    )


@get("/invoices/{invoice_id:uuid}")
async def invoice(desk: NamedDependency[Desk], invoice_id: FromPath[UUID]) -> Page:
    """Show one invoice with what can be done with it."""
    desk.require(Permission.READ_LEDGER)
    _ = desk.gettext
    one, lines = await get_invoice(desk.session, invoice_id=invoice_id)
    main: list[Part] = [await lines_part(desk, one, lines)]
    moves = INVOICE_MOVES[one.status] if desk.may(_MAY) else frozenset()
    base, amount = f"{PATH}/{invoice_id}", desk.f.money(one.amount_minor, one.currency)
    today = clock.local_date(desk.now, desk.zone).isoformat()
    if InvoiceStatus.ISSUED in moves:
        number = [field("number", _("Invoice number"), autofocus=True), field("day", _("Invoice date"), type="date", value=today)]
        main.append(desk.form_part(_("The invoice is issued"), f"{base}/issue", number, submit=_("Enter the invoice"), amount=amount))
    if InvoiceStatus.REFUSED in moves:
        reason = [field("reason", _("Reason"))]
        main.append(desk.form_part(_("It is not issued"), f"{base}/refuse", reason, submit=_("Refuse"), primary=False, danger=True))
    if InvoiceStatus.RED_LETTERED in moves:
        fields = [
            field("number", _("Red-letter number")),
            field("day", _("Red-letter date"), type="date", value=today),
            field("reason", _("Reason")),
        ]
        title, note = _("Take it back by a red letter"), _("Afterwards its sales may be refunded, or invoiced anew.")
        label = _("Enter the red letter")
        main.append(desk.form_part(title, f"{base}/red-letter", fields, submit=label, amount=amount, danger=True, note=note))
    return await desk.page(
        one.title,
        sub=f"{one.company} · {amount}",
        crumbs=[(_("Invoices"), PATH), (one.title, "")],
        tags=[cells.tag(desk, one.status, INVOICE).show],
        main=main,
        aside=[title_part(desk, one), life_part(desk, one)],
    )


@post("/invoices/{invoice_id:uuid}/issue", status_code=303)
async def issue(desk: NamedDependency[Desk], invoice_id: FromPath[UUID]) -> Page:
    """Note the invoice that was issued."""
    desk.require(_MAY)
    _ = desk.gettext
    number, day = desk.form.text("number", _("Invoice number"), longest=40), desk.form.day("day", _("Invoice date"))
    desk.form.check()
    assert day is not None
    await issue_invoice(desk.session, invoice_id=invoice_id, number=number, issued_on=day, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{invoice_id}", _("The invoice is issued"))


@post("/invoices/{invoice_id:uuid}/refuse", status_code=303)
async def refuse(desk: NamedDependency[Desk], invoice_id: FromPath[UUID]) -> Page:
    """Refuse a request."""
    desk.require(_MAY)
    _ = desk.gettext
    reason = desk.form.text("reason", _("Reason"))
    desk.form.check()
    await refuse_invoice(desk.session, invoice_id=invoice_id, reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{invoice_id}", _("Refused"))


@post("/invoices/{invoice_id:uuid}/red-letter", status_code=303)
async def take_back(desk: NamedDependency[Desk], invoice_id: FromPath[UUID]) -> Page:
    """Note the red letter."""
    desk.require(_MAY)
    _ = desk.gettext
    number, day = desk.form.text("number", _("Red-letter number"), longest=40), desk.form.day("day", _("Red-letter date"))
    reason = desk.form.text("reason", _("Reason"))
    desk.form.check()
    assert day is not None
    await red_letter(desk.session, invoice_id=invoice_id, number=number, issued_on=day, reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{invoice_id}", _("Red-lettered"))


handlers = [invoices, invoice, issue, refuse, take_back]
