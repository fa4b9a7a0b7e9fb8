"""The partner's months: what each came to, its files, the invoice and when it is paid; a line disputed, with what proves it."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Response

from loyalty.clock import local_date
from loyalty.identity.partner_rules import PartnerPermission
from loyalty.paging import Page as Found
from loyalty.web.desk import Page
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import file
from loyalty.web.office.parts import Act, Cell, Part, Rows, Said
from loyalty.web.rendering import document
from partners.line_rules import month_of
from partners.model_payment import InvoiceStatus
from partners.model_settlement import DisputeStatus
from partners.operations.files import add_evidence
from partners.operations.invoices import enter_invoice, settlement_of
from partners.operations.settlement import DISPUTE_STANDS, open_dispute, withdraw_dispute
from partners.queries.payment import InvoiceView, files_of, invoices_of_month, open_file
from partners.queries.settlement import StatementView, get_dispute, get_statement, list_disputes, list_statements
from partners.rules import Mode
from partners.settlement_rules import Stated, asked_for
from partners.web.partner.desk import PartnerDesk
from partners.web.partner.frame import HOME
from partners.web.statements import (
    ACCEPT,
    DISPUTE,
    INVOICE,
    REASON,
    dispute_facts,
    dispute_fields,
    evidence_part,
    invoice_fields,
    invoice_part,
    month_named,
    month_of_partner,
    sent,
    statement_parts,
    tiles,
    typed_dispute,
    typed_file,
    typed_invoice,
)

PATH: Final = f"{HOME}/statements"
_DISPUTES: Final = f"{HOME}/disputes"
_MAY: Final = PartnerPermission.SETTLEMENT


@get(three("/statements"))
async def statements(partner: NamedDependency[PartnerDesk]) -> Any:
    """List the closed months, the latest first, with how far each one's invoice is; above them what is disputed."""
    partner.require(_MAY)
    _ = partner.gettext

    async def fetch(cursor: str | None, limit: int) -> Found[StatementView]:
        return await list_statements(partner.session, partner_id=partner.partner_id, cursor=cursor, limit=limit)

    async def rows(found: Sequence[StatementView]) -> list[list[Cell]]:
        return [await _row(partner, each) for each in found]

    running = f"{month_of(local_date(partner.now, partner.zone)):%Y-%m}"
    return await show(
        partner,
        List(
            title=_("Statements"),
            crumbs=(),
            listing=partner.listing(PATH, "", []),
            columns=[
                Column(_("Month")),
                Column(_("Due to you"), "num"),
                Column(_("Balance"), "num"),
                Column(_("Invoice")),
                Column(_("Payment date")),
            ],
            fetch=fetch,
            rows=rows,
            acts=[Act(_("This month so far"), f"{PATH}/{running}")],
            below=[await _disputes(partner)],
            empty=_("No month is closed yet"),
            empty_then=_("Your first statement comes in the month after your first redemption."),
            name="statements",
        ),
    )


async def _row(partner: PartnerDesk, each: StatementView) -> list[Cell]:
    invoices = await invoices_of_month(partner.session, partner_id=partner.partner_id, month=each.month)
    latest = invoices[0] if invoices else None
    return [
        cells.link(partner, f"{PATH}/{each.month:%Y-%m}", partner.f.month(each.month)),
        cells.money(partner, each.due_minor, each.currency),
        cells.money(partner, each.closing_minor, each.currency),
        cells.tag(partner, latest.status if latest else None, INVOICE),
        cells.day(partner, latest.paid_on or latest.pay_by) if latest and latest.pay_by else Cell("—", None),
    ]


async def _disputes(partner: PartnerDesk) -> Rows:
    _ = partner.gettext
    found = (await list_disputes(partner.session, partner_id=partner.partner_id)).rows
    return Rows(
        title=_("Disputes"),
        columns=[Column(_("Line"), "num"), Column(_("Reason")), Column(_("Difference"), "num"), Column(_("State"))],
        rows=[
            [
                cells.linked(partner, f"{_DISPUTES}/{each.dispute_id}", cells.count(partner, each.number)),
                cells.text(_(REASON[each.reason])),
                cells.money(partner, each.wanted_minor, partner.partner.currency, sign=True),
                cells.tag(partner, each.status, DISPUTE),
            ]
            for each in found
        ],
        empty=_("No line is disputed"),
        empty_then=_("Is a line wrong? Touch its number in the book."),
        id="disputes",
    )


@get("/statements/{month:str}")
async def statement(partner: NamedDependency[PartnerDesk], month: FromPath[str]) -> Page:
    """Answer what is due for a month and when it is paid; below, what it is made of."""
    partner.require(_MAY)
    _ = partner.gettext
    named = month_named(month)
    stated, lines = await month_of_partner(partner, partner_id=partner.partner_id, month=named)
    invoices = await invoices_of_month(partner.session, partner_id=partner.partner_id, month=named)
    top: list[Part] = []
    if not stated.is_final:
        then = _("Nothing of it is kept, and nothing can be settled by it; lines still come.")
        top.append(Said(title=_("The month is not closed"), then=then, tone="warn"))
    parts = statement_parts(partner, stated, lines, base=f"{PATH}/{month}", funder=lambda code: _funder(partner, code))
    return await partner.page(
        _("Statement of %(month)s", month=partner.f.month(named)),
        crumbs=[(_("Statements"), PATH), (partner.f.month(named), "")],
        tags=[partner.tag(_("Month closed"), "good") if stated.is_final else partner.tag(_("Pro forma"), "warn")],
        acts=[Act(_("Lines"), f"{HOME}/book?month={month}"), *await _acts(partner, stated, invoices)],
        top=[*top, tiles(partner, stated)],
        main=[*[await _invoice(partner, each) for each in invoices], *parts],
    )


def _funder(partner: PartnerDesk, code: str) -> str:
    _ = partner.gettext
    return {"issuer": _("the card's issuer"), "partner": _("you")}.get(code, code.removeprefix("brand:"))


async def _acts(partner: PartnerDesk, stated: Stated, invoices: Sequence[InvoiceView]) -> list[Act]:
    """Offer the upload where the issuer owes, no invoice stands, and nothing was paid in advance."""
    standing = [each for each in invoices if each.status is not InvoiceStatus.REFUSED]
    if not stated.is_final or standing or asked_for(stated.totals) <= 0:
        return []
    if (await settlement_of(partner.session, partner_id=partner.partner_id, month=stated.month)).mode is Mode.PRE_PAID:
        return []
    return [Act(partner.gettext("Send the invoice"), f"{PATH}/{stated.month:%Y-%m}/invoice", primary=True)]


async def _invoice(partner: PartnerDesk, one: InvoiceView) -> Part:
    files = await files_of(partner.session, partner_id=partner.partner_id, invoice_id=one.invoice_id)
    return invoice_part(partner, one, files, base=HOME)


@get("/statements/{month:str}/{kind:str}")
async def statement_file(partner: NamedDependency[PartnerDesk], month: FromPath[str], kind: FromPath[str]) -> Response[bytes]:
    """Send a month as a file."""
    partner.require(_MAY)
    return await sent(partner, partner_id=partner.partner_id, month=month_named(month), kind=kind)


@get("/statements/{month:str}/invoice")
async def ask_invoice(partner: NamedDependency[PartnerDesk], month: FromPath[str]) -> Page:
    """Ask for the month's invoice."""
    partner.require(_MAY)
    _ = partner.gettext
    named = month_named(month)
    stated = await get_statement(partner.session, partner_id=partner.partner_id, month=named)
    title, back = _("Send the invoice"), f"{PATH}/{month}"
    crumbs = [(_("Statements"), PATH), (partner.f.month(named), back), (title, "")]
    note = _("The amount that is due stands there already. You see the payment date as soon as it is accepted.")
    return await partner.ask(title, invoice_fields(partner, stated), submit=title, back=back, crumbs=crumbs, note=note, upload=True)


@post("/statements/{month:str}/invoice", status_code=303)
async def send_invoice(partner: NamedDependency[PartnerDesk], month: FromPath[str]) -> Page:
    """Take it in."""
    partner.require(_MAY)
    named = month_named(month)
    await get_statement(partner.session, partner_id=partner.partner_id, month=named)
    typed = await typed_invoice(partner, partner.partner.currency)
    await enter_invoice(partner.session, partner_id=partner.partner_id, month=named, **typed, actor=partner.actor, now=partner.now)
    return await partner.done(f"{PATH}/{month}", partner.gettext("Sent. The payment date stands here once it is accepted."))


@get("/book/{number:int}/dispute")
async def ask_dispute(partner: NamedDependency[PartnerDesk], number: FromPath[int]) -> Page:
    """Ask what is wrong with a line."""
    partner.require(_MAY)
    _ = partner.gettext
    title = _("Dispute line %(number)s", number=number)
    crumbs = [(_("Book"), f"{HOME}/book"), (title, "")]
    return await partner.ask(title, dispute_fields(partner), submit=title, back=f"{HOME}/book", crumbs=crumbs, upload=True)


@post("/book/{number:int}/dispute", status_code=303)
async def dispute_line(partner: NamedDependency[PartnerDesk], number: FromPath[int]) -> Page:
    """Open the dispute, with its first file."""
    partner.require(_MAY)
    typed, paper = await typed_dispute(partner, partner.partner.currency)
    whose: dict[str, Any] = {"partner_id": partner.partner_id, "actor": partner.actor, "now": partner.now}
    made = await open_dispute(partner.session, number=number, **typed, **whose)
    if paper is not None:
        await add_evidence(partner.session, dispute_id=made, paper=paper, **whose)
    return await partner.done(f"{_DISPUTES}/{made}", partner.gettext("Sent. The office answers here."))


@get("/disputes/{dispute_id:uuid}")
async def dispute(partner: NamedDependency[PartnerDesk], dispute_id: FromPath[UUID]) -> Page:
    """Show a dispute: how far it is, the answer, what was shown for it."""
    partner.require(_MAY)
    _ = partner.gettext
    found = await get_dispute(partner.session, dispute_id=dispute_id, partner_id=partner.partner_id)
    base, title = f"{_DISPUTES}/{dispute_id}", _("Dispute of line %(number)s", number=found.number)
    files = await files_of(partner.session, partner_id=partner.partner_id, dispute_id=dispute_id)
    stands = found.status in DISPUTE_STANDS
    return await partner.page(
        title,
        crumbs=[(_("Statements"), PATH), (title, "")],
        acts=[Act(_("Withdraw"), f"{base}/withdraw")] if stands else [],
        main=[
            dispute_facts(partner, found, partner.partner.currency, line_href=f"{HOME}/book?month=all"),
            evidence_part(partner, files, base=HOME, add=f"{base}/evidence" if stands else ""),
        ],
    )


@get("/disputes/{dispute_id:uuid}/evidence")
async def ask_evidence(partner: NamedDependency[PartnerDesk], dispute_id: FromPath[UUID]) -> Page:
    """Ask for a file."""
    partner.require(_MAY)
    _ = partner.gettext
    found = await get_dispute(partner.session, dispute_id=dispute_id, partner_id=partner.partner_id)
    back, title = f"{_DISPUTES}/{dispute_id}", _("Add a file")
    crumbs = [(_("Statements"), PATH), (_("Dispute of line %(number)s", number=found.number), back), (title, "")]
    return await partner.ask(title, [file("file", _("File"), accept=ACCEPT)], submit=title, back=back, crumbs=crumbs, upload=True)


@post("/disputes/{dispute_id:uuid}/evidence", status_code=303)
async def keep_evidence(partner: NamedDependency[PartnerDesk], dispute_id: FromPath[UUID]) -> Page:
    """Keep it."""
    partner.require(_MAY)
    await get_dispute(partner.session, dispute_id=dispute_id, partner_id=partner.partner_id)
    paper = await typed_file(partner)
    partner.form.check()
    assert paper is not None
    await add_evidence(
        partner.session, partner_id=partner.partner_id, dispute_id=dispute_id, paper=paper, actor=partner.actor, now=partner.now
    )
    return await partner.done(f"{_DISPUTES}/{dispute_id}#evidence", partner.gettext("Kept"))


@get("/disputes/{dispute_id:uuid}/withdraw")
async def ask_withdraw(partner: NamedDependency[PartnerDesk], dispute_id: FromPath[UUID]) -> Page:
    """Ask once."""
    partner.require(_MAY)
    _ = partner.gettext
    found = await get_dispute(partner.session, dispute_id=dispute_id, partner_id=partner.partner_id)
    back, title = f"{_DISPUTES}/{dispute_id}", _("Withdraw")
    crumbs = [(_("Statements"), PATH), (_("Dispute of line %(number)s", number=found.number), back), (title, "")]
    return await partner.ask(title, [], submit=title, back=back, crumbs=crumbs, danger=True)


@post("/disputes/{dispute_id:uuid}/withdraw", status_code=303)
async def withdraw(partner: NamedDependency[PartnerDesk], dispute_id: FromPath[UUID]) -> Page:
    """Take it back."""
    partner.require(_MAY)
    await withdraw_dispute(partner.session, partner_id=partner.partner_id, dispute_id=dispute_id, actor=partner.actor, now=partner.now)
    return await partner.done(f"{_DISPUTES}/{dispute_id}", partner.gettext(DISPUTE[DisputeStatus.WITHDRAWN][0]))


@get("/files/{file_id:uuid}")
async def fetch_file(partner: NamedDependency[PartnerDesk], file_id: FromPath[UUID]) -> Response[bytes]:
    """Send a file of one's own dispute or invoice as what it was found to be."""
    partner.require(_MAY)
    media, content = await open_file(partner.session, partner_id=partner.partner_id, file_id=file_id)
    return document(content, media_type=media.value, filename=f"{str(file_id)[-8:]}.{media.ending}")


handlers = [
    statements,
    statement,
    statement_file,
    ask_invoice,
    send_invoice,
    ask_dispute,
    dispute_line,
    dispute,
    ask_evidence,
    keep_evidence,
    ask_withdraw,
    withdraw,
    fetch_file,
]
