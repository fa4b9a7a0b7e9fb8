"""A partner's months: what each came to, its files for ever, its invoice; what is open, any day, as a pro forma."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Response

from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import area, field
from loyalty.web.office.parts import Act, Cell, Part, Said
from loyalty.web.rendering import document
from partners.line_rules import month_of
from partners.model_payment import InvoiceStatus
from partners.operations.invoices import NUMBER_MAX, WHY_MAX, decide_invoice, enter_invoice, receive_payment, settlement_of
from partners.queries.alliances import PartnerView, get_partner
from partners.queries.payment import InvoiceView, files_of, get_invoice, invoices_of_month, open_file
from partners.queries.settlement import StatementView, get_statement, list_statements
from partners.rules import Mode
from partners.settlement_rules import Stated, asked_for
from partners.web.office.common import allowed, base_of, crumbs_of, name_of, offered, today_of
from partners.web.office.wording import TermsVoice
from partners.web.statements import (
    INVOICE,
    invoice_fields,
    invoice_part,
    month_named,
    month_of_partner,
    sent,
    statement_parts,
    tiles,
    typed_invoice,
)


def _base(partner_id: UUID, month: str = "") -> str:
    return f"{base_of(partner_id)}/statements" + (f"/{month}" if month else "")


def _crumbs(desk: Desk, one: PartnerView, *further: tuple[str, str]) -> list[tuple[str, str]]:
    return crumbs_of(desk, one, (desk.gettext("Statements"), _base(one.partner_id) if further else ""), *further)


@get(three("/partners/{partner_id:uuid}/statements"))
async def statements(desk: NamedDependency[Desk], partner_id: FromPath[UUID]) -> Any:
    """List the closed months, the latest first, with the way to the one that runs."""
    desk.require(Permission.READ_ALLIANCES)
    _ = desk.gettext
    one = await get_partner(desk.session, partner_id=partner_id)

    async def fetch(cursor: str | None, limit: int) -> Found[StatementView]:
        return await list_statements(desk.session, partner_id=partner_id, cursor=cursor, limit=limit)

    async def rows(found: Sequence[StatementView]) -> list[list[Cell]]:
        return [await _row(desk, one, each) for each in found]

    running = f"{month_of(today_of(desk, one)):%Y-%m}"
    heads = (_("Opening balance"), _("Due this month"), _("Closing balance"))
    return await show(
        desk,
        List(
            title=_("Statements"),
            sub=name_of(desk, one),
            crumbs=_crumbs(desk, one),
            listing=desk.listing(_base(partner_id), "", []),
            columns=[
                Column(_("Month")),
                Column(_("Lines"), "num"),
                *(Column(head, "num") for head in heads),
                Column(_("Month closed")),
                Column(_("Invoice")),
            ],
            fetch=fetch,
            rows=rows,
            acts=[Act(_("Pro forma of this month"), _base(partner_id, running))],
            empty=_("No month is closed yet"),
            empty_then=_("A month is closed on the agreed day of the next; until then its pro forma says what it comes to."),
            name=f"{one.code}-statements",
        ),
    )


async def _row(desk: Desk, one: PartnerView, each: StatementView) -> list[Cell]:
    invoices = await invoices_of_month(desk.session, partner_id=one.partner_id, month=each.month)
    return [
        cells.link(desk, _base(one.partner_id, f"{each.month:%Y-%m}"), desk.f.month(each.month)),
        cells.count(desk, each.lines),
        *(cells.money(desk, amount, each.currency) for amount in (each.opening_minor, each.due_minor, each.closing_minor)),
        cells.when(desk, each.closed_at),
        cells.tag(desk, invoices[0].status if invoices else None, INVOICE),
    ]


@get("/partners/{partner_id:uuid}/statements/{month:str}")
async def statement(desk: NamedDependency[Desk], partner_id: FromPath[UUID], month: FromPath[str]) -> Page:
    """Answer what is owed for a month, by whom, and how far its invoice is; below, what it is made of."""
    desk.require(Permission.READ_ALLIANCES)
    _ = desk.gettext
    one = await get_partner(desk.session, partner_id=partner_id)
    named = month_named(month)
    stated, lines = await month_of_partner(desk, partner_id=partner_id, month=named)
    base = _base(partner_id, month)
    invoices = await invoices_of_month(desk.session, partner_id=partner_id, month=named)
    tag = desk.tag(_("Month closed"), "good") if stated.is_final else desk.tag(_("Pro forma"), "warn")
    parts = statement_parts(desk, stated, lines, base=base, funder=TermsVoice(desk, one.currency).funder)
    top: list[Part] = []
    if not stated.is_final:
        then = _("Nothing of it is kept, and nothing can be settled by it; lines still come.")
        top.append(Said(title=_("The month is not closed"), then=then, tone="warn"))
    return await desk.page(
        _("Statement of %(month)s", month=desk.f.month(named)),
        sub=name_of(desk, one),
        crumbs=_crumbs(desk, one, (desk.f.month(named), "")),
        tags=[tag],
        acts=[Act(_("Lines"), f"{base_of(partner_id)}/lines?month={month}"), *await _acts(desk, one, stated, invoices)],
        top=[*top, tiles(desk, stated)],
        main=parts[:-1],
        aside=[*[await _invoice(desk, each) for each in invoices], parts[-1]],
    )


async def _acts(desk: Desk, one: PartnerView, stated: Stated, invoices: Sequence[InvoiceView]) -> list[Act]:
    _ = desk.gettext
    base = _base(one.partner_id, f"{stated.month:%Y-%m}")
    acts: list[Act] = []
    standing = [each for each in invoices if each.status is not InvoiceStatus.REFUSED]
    if not (stated.is_final and asked_for(stated.totals)) or standing or not desk.may(Permission.EDIT_ALLIANCES):
        return acts
    if (await settlement_of(desk.session, partner_id=one.partner_id, month=stated.month)).mode is Mode.PRE_PAID:
        return acts
    return [*acts, Act(_("Enter the invoice"), f"{base}/invoice", primary=True)]


async def _invoice(desk: Desk, one: InvoiceView) -> Part:
    _ = desk.gettext
    files = await files_of(desk.session, partner_id=one.partner_id, invoice_id=one.invoice_id)
    base = f"{base_of(one.partner_id)}/invoices/{one.invoice_id}"
    mine = one.entered_by == f"staff:{desk.principal.staff_id}"
    acts = []
    if one.status is InvoiceStatus.RECEIVED and not mine and desk.may(Permission.APPROVE_ALLIANCES):
        acts = [Act(_("Accept"), f"{base}/accept", primary=True), Act(_("Refuse"), f"{base}/refuse", danger=True)]
    if one.status is InvoiceStatus.ACCEPTED and one.due_minor < 0 and desk.may(Permission.EDIT_ALLIANCES):
        acts = [Act(_("It was paid"), f"{base}/paid", primary=True)]
    return invoice_part(desk, one, files, base=base_of(one.partner_id), acts=acts)


@get("/partners/{partner_id:uuid}/statements/{month:str}/{kind:str}")
async def statement_file(
    desk: NamedDependency[Desk], partner_id: FromPath[UUID], month: FromPath[str], kind: FromPath[str]
) -> Response[bytes]:
    """Send a month as a file."""
    desk.require(Permission.READ_ALLIANCES)
    return await sent(desk, partner_id=partner_id, month=month_named(month), kind=kind)


@get("/partners/{partner_id:uuid}/statements/{month:str}/invoice")
async def ask_invoice(desk: NamedDependency[Desk], partner_id: FromPath[UUID], month: FromPath[str]) -> Page:
    """Ask for the month's invoice, the partner's or the issuer's own."""
    one = await offered(desk, partner_id)
    _ = desk.gettext
    named = month_named(month)
    stated = await get_statement(desk.session, partner_id=partner_id, month=named)
    title = _("Enter the invoice")
    owes = _("The partner owes us: this is our invoice to it.") if asked_for(stated.totals) < 0 else ""
    note = " ".join(part for part in (owes, _("Another person compares it with its file and accepts it.")) if part)
    crumbs = _crumbs(desk, one, (desk.f.month(named), _base(partner_id, month)), (title, ""))
    fields = invoice_fields(desk, stated)
    return await desk.ask(title, fields, submit=title, back=_base(partner_id, month), crumbs=crumbs, note=note, upload=True)


@post("/partners/{partner_id:uuid}/statements/{month:str}/invoice", status_code=303)
async def keep_invoice(desk: NamedDependency[Desk], partner_id: FromPath[UUID], month: FromPath[str]) -> Page:
    """Enter it."""
    one = await allowed(desk, partner_id)
    typed = await typed_invoice(desk, one.currency)
    named = month_named(month)
    await enter_invoice(desk.session, partner_id=partner_id, month=named, **typed, actor=desk.actor, now=desk.now)
    return await desk.done(_base(partner_id, month), desk.gettext("Entered; another person accepts it."))


_DECIDE = [f"/partners/{{partner_id:uuid}}/invoices/{{invoice_id:uuid}}/{act}" for act in ("accept", "refuse")]


@get(_DECIDE)
async def ask_decision(desk: NamedDependency[Desk], partner_id: FromPath[UUID], invoice_id: FromPath[UUID]) -> Page:
    """Ask once, with the amount in the button."""
    desk.offer(Permission.APPROVE_ALLIANCES)
    _ = desk.gettext
    one, invoice = await _both(desk, partner_id, invoice_id)
    accepts = desk.act == "accept"
    differs = invoice.amount_minor != abs(invoice.due_minor)
    title = _("Accept the invoice") if accepts else _("Refuse the invoice")
    why = _("Why it is accepted although it differs") if accepts else _("Why, as the partner reads it")
    fields = [area("why", why, rows=2)] if differs or not accepts else []
    files = await files_of(desk.session, partner_id=partner_id, invoice_id=invoice_id)
    back = _base(partner_id, f"{invoice.month:%Y-%m}")
    return await desk.ask(
        title,
        fields,
        submit=title,
        amount=desk.f.money(invoice.amount_minor, invoice.currency) if accepts else "",
        danger=not accepts,
        back=back,
        crumbs=_crumbs(desk, one, (desk.f.month(invoice.month), back), (title, "")),
        aside=[invoice_part(desk, invoice, files, base=base_of(partner_id))],
    )


@post(_DECIDE, status_code=303)
async def decide(desk: NamedDependency[Desk], partner_id: FromPath[UUID], invoice_id: FromPath[UUID]) -> Page:
    """Accept it, and say when it is paid; or refuse it."""
    desk.require(Permission.APPROVE_ALLIANCES)
    _ = desk.gettext
    _one, invoice = await _both(desk, partner_id, invoice_id)
    why = desk.form.text("why", _("Reason"), required=False, longest=WHY_MAX)
    desk.form.check()
    accepts = desk.act == "accept"
    day = await decide_invoice(desk.session, invoice_id=invoice_id, accept=accepts, why=why, actor=desk.actor, now=desk.now)
    said = _("Refused; the partner can send another.") if day is None else _("Accepted; it is paid on %(day)s.", day=desk.f.full_day(day))
    return await desk.done(_base(partner_id, f"{invoice.month:%Y-%m}"), said)


@get("/partners/{partner_id:uuid}/invoices/{invoice_id:uuid}/paid")
async def ask_paid(desk: NamedDependency[Desk], partner_id: FromPath[UUID], invoice_id: FromPath[UUID]) -> Page:
    """Ask when the partner paid, and the bank's reference."""
    one = await offered(desk, partner_id)
    _ = desk.gettext
    invoice = await get_invoice(desk.session, invoice_id=invoice_id, partner_id=partner_id)
    title = _("The partner paid")
    back = _base(partner_id, f"{invoice.month:%Y-%m}")
    fields = [
        field("day", _("Day of the payment"), type="date", value=today_of(desk, one).isoformat()),
        field("reference", _("The bank's reference"), autofocus=True),
    ]
    amount = desk.f.money(invoice.amount_minor, invoice.currency)
    crumbs = _crumbs(desk, one, (desk.f.month(invoice.month), back), (title, ""))
    return await desk.ask(title, fields, submit=_("It was paid"), amount=amount, back=back, crumbs=crumbs)


@post("/partners/{partner_id:uuid}/invoices/{invoice_id:uuid}/paid", status_code=303)
async def note_paid(desk: NamedDependency[Desk], partner_id: FromPath[UUID], invoice_id: FromPath[UUID]) -> Page:
    """Note it."""
    await allowed(desk, partner_id)
    _ = desk.gettext
    invoice = await get_invoice(desk.session, invoice_id=invoice_id, partner_id=partner_id)
    day = desk.form.day("day", _("Day of the payment"))
    reference = desk.form.text("reference", _("The bank's reference"), longest=NUMBER_MAX)
    desk.form.check()
    assert day is not None
    await receive_payment(desk.session, invoice_id=invoice_id, paid_on=day, reference=reference, actor=desk.actor, now=desk.now)
    return await desk.done(_base(partner_id, f"{invoice.month:%Y-%m}"), _("Noted, and booked in the partner's book."))


@get("/partners/{partner_id:uuid}/files/{file_id:uuid}")
async def fetch_file(desk: NamedDependency[Desk], partner_id: FromPath[UUID], file_id: FromPath[UUID]) -> Response[bytes]:
    """Send a file of a dispute or an invoice as what it was found to be."""
    desk.require(Permission.READ_ALLIANCES)
    one = await get_partner(desk.session, partner_id=partner_id)
    media, content = await open_file(desk.session, partner_id=partner_id, file_id=file_id)
    return document(content, media_type=media.value, filename=f"{one.code}-{str(file_id)[-8:]}.{media.ending}")


async def _both(desk: Desk, partner_id: UUID, invoice_id: UUID) -> tuple[PartnerView, InvoiceView]:
    one = await get_partner(desk.session, partner_id=partner_id)
    return one, await get_invoice(desk.session, invoice_id=invoice_id, partner_id=partner_id)


handlers = [statements, statement, statement_file, ask_invoice, keep_invoice, ask_decision, decide, ask_paid, note_paid, fetch_file]
