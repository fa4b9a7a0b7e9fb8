"""A partner's month as both sides see it: what it comes to, who bears what, its files, its invoice; shared by the office and the portal."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final
from uuid import UUID

from litestar.response import Response
from markupsafe import Markup

from loyalty.clock import local_date
from loyalty.money import decimal_text
from loyalty.web.desk import PageDesk
from loyalty.web.exports import CSV_TYPE, XLSX_TYPE
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lookups import area, field, file, select
from loyalty.web.office.parts import Act, Cell, Facts, Field, Part, Rows, Tile, Tiles
from loyalty.web.rendering import document
from partners.line_rules import month_of
from partners.model_lines import SETTLING, LineKind
from partners.model_payment import InvoiceStatus
from partners.model_settlement import DisputeReason, DisputeStatus
from partners.operations.documents import DOCUMENT_BYTES_MAX, DOCUMENT_KINDS
from partners.operations.files import Paper
from partners.queries.payment import FileView, InvoiceView
from partners.queries.settlement import DisputeView, StatementNotFound, get_statement, lines_of_month, pro_forma
from partners.settlement_pdf import pdf_file
from partners.settlement_rules import Stated, StatedLine, asked_for, csv_file, digest_of, shares_of, xlsx_file

Toned = tuple[str, str]

INVOICE: Final[Mapping[InvoiceStatus, Toned]] = {
    InvoiceStatus.RECEIVED: (N_("Being looked at"), "warn"),
    InvoiceStatus.ACCEPTED: (N_("Accepted"), "good"),
    InvoiceStatus.IN_RUN: (N_("Being paid"), "info"),
    InvoiceStatus.PAID: (N_("Paid"), "good"),
    InvoiceStatus.REFUSED: (N_("Refused"), "bad"),
}
DISPUTE: Final[Mapping[DisputeStatus, Toned]] = {
    DisputeStatus.OPEN: (N_("Waits for an answer"), "warn"),
    DisputeStatus.PROPOSED: (N_("Adjustment proposed"), "info"),
    DisputeStatus.UPHELD: (N_("Put right"), "good"),
    DisputeStatus.REJECTED: (N_("Rejected"), "bad"),
    DisputeStatus.WITHDRAWN: (N_("Withdrawn"), ""),
}
REASON: Final[Mapping[DisputeReason, str]] = {
    DisputeReason.AMOUNT: N_("The amount is wrong"),
    DisputeReason.NOT_OURS: N_("It is not ours"),
    DisputeReason.TWICE: N_("It stands twice"),
    DisputeReason.RATE: N_("Commission or share is not as agreed"),
    DisputeReason.MISSING: N_("Something is missing"),
    DisputeReason.OTHER: N_("Something else"),
}
KIND: Final[Mapping[str, str]] = {
    LineKind.REDEMPTION: N_("Redemption"),
    LineKind.ROLLBACK: N_("Undone"),
    LineKind.SALE: N_("Sale"),
    LineKind.BLOCK: N_("Block paid in advance"),
    LineKind.ADJUSTMENT: N_("Adjustment"),
    LineKind.PAYMENT: N_("Payment"),
    LineKind.DIFFERENCE: N_("Invoice's difference"),
}
FILES: Final[Mapping[str, tuple[str, Callable[..., bytes]]]] = {
    "pdf": ("application/pdf", pdf_file),
    "xlsx": (XLSX_TYPE, xlsx_file),
    "csv": (CSV_TYPE, csv_file),
}
ACCEPT: Final = ".pdf,.jpg,.jpeg,.png"
_KIB: Final = 1024


def month_named(text: str) -> date:
    """Return the month that an address names, `2026-09`.

    :raises StatementNotFound: if it is none
    """
    try:
        return month_of(date.fromisoformat(f"{text}-01"))
    except ValueError:
        raise StatementNotFound(month=text) from None


async def month_of_partner(desk: PageDesk, *, partner_id: UUID, month: date) -> tuple[Stated, list[StatedLine]]:
    """Return a closed month as it was stated, or what an open one comes to so far, with its lines.

    :raises StatementNotFound: if it is still to come
    """
    lines = await lines_of_month(desk.session, partner_id=partner_id, month=month)
    try:
        return await get_statement(desk.session, partner_id=partner_id, month=month), lines
    except StatementNotFound:
        if month > month_of(local_date(desk.now, desk.zone)) and not lines:
            raise
        return await pro_forma(desk.session, partner_id=partner_id, month=month, now=desk.now), lines


async def sent(desk: PageDesk, *, partner_id: UUID, month: date, kind: str) -> Response[bytes]:
    """Answer with a month as a file, made from the lines in a thread of its own.

    :raises StatementNotFound: if the month is still to come, or there is no such file
    """
    if kind not in FILES:
        raise StatementNotFound(month=kind)
    stated, lines = await month_of_partner(desk, partner_id=partner_id, month=month)
    media_type, make = FILES[kind]
    content = await asyncio.to_thread(make, stated, lines, language=desk.either("zh", "en"))
    mark = "" if stated.is_final else "-pro-forma"
    return document(content, media_type=media_type, filename=f"{stated.facts.code}-{month:%Y-%m}{mark}.{kind}")


def statement_parts(desk: PageDesk, stated: Stated, lines: Sequence[StatedLine], *, base: str, funder: Callable[[str], str]) -> list[Part]:
    """Return what a month comes to: netted to one amount, by kind and benefit, by who bears it, with what it is sealed by."""
    return [_netting(desk, stated), _sums(desk, stated), _shares(desk, stated, lines, funder), _seal(desk, stated, lines, base)]


def tiles(desk: PageDesk, stated: Stated) -> Tiles:
    """Answer at the top what is owed, by whom."""
    _ = desk.gettext
    asked, money = asked_for(stated.totals), desk.f.money
    whose = _("to the partner") if asked > 0 else _("from the partner") if asked < 0 else _("nobody owes anything")
    closing = _("to the partner") if stated.closing_minor > 0 else _("from the partner") if stated.closing_minor < 0 else ""
    return Tiles(
        [
            Tile(_("To be invoiced"), money(abs(asked), stated.currency), note=whose),
            Tile(_("Opening balance"), money(stated.opening_minor, stated.currency)),
            Tile(_("Due this month"), money(stated.due_minor, stated.currency)),
            Tile(_("Closing balance"), money(stated.closing_minor, stated.currency), note=closing),
        ]
    )


def file_acts(base: str) -> list[Act]:
    """Return the ways to a month's files."""
    return [Act("PDF", f"{base}/pdf"), Act("XLSX", f"{base}/xlsx"), Act("CSV", f"{base}/csv")]


def _netting(desk: PageDesk, stated: Stated) -> Facts:
    _ = desk.gettext
    events = [one for one in stated.totals if one.kind not in SETTLING]
    saved, borne = sum(one.saved_minor for one in events), sum(one.partner_minor for one in events)
    commission, adjusted = sum(one.commission_minor for one in events), sum(one.paid_minor for one in events)
    asked = asked_for(stated.totals)

    def money(amount: int) -> str:
        return desk.f.money(amount, stated.currency, sign=True)

    pairs = [
        (_("Customers saved"), money(saved)),
        (_("Borne by the partner"), money(-borne)),
        (_("Commission"), money(-commission)),
    ]
    pairs += [(_("Adjustments"), money(adjusted))] if adjusted else []
    total = (_("To be invoiced"), money(asked))
    settled = stated.due_minor - asked
    note = _("Payments and blocks of the month besides: %(amount)s", amount=money(settled)) if settled else ""
    return Facts(title=_("Netted"), pairs=pairs, total=total, figures=True, note=note)


def _sums(desk: PageDesk, stated: Stated) -> Rows:
    _ = desk.gettext
    heads = (
        _("Lines"),
        _("Pieces"),
        _("Sales"),
        _("Customers saved"),
        _("Partner bears"),
        _("Commission"),
        _("Other"),
        _("Due to the partner"),
    )
    names = ("gross_minor", "saved_minor", "partner_minor", "commission_minor", "paid_minor", "due_minor")

    def row(label: str, found: Sequence[Any]) -> list[Cell]:
        counted = [cells.count(desk, sum(getattr(one, name) for one in found)) for name in ("lines", "pieces")]
        amounts = [cells.money(desk, sum(getattr(one, name) for one in found), stated.currency) for name in names]
        return [cells.text(label), *counted, *amounts]

    return Rows(
        title=_("By kind and benefit"),
        columns=[Column(_("What")), *(Column(head, "num") for head in heads)],
        rows=[row(" · ".join(part for part in (_(KIND[one.kind]), one.benefit) if part), [one]) for one in stated.totals],
        totals=row(_("Total"), stated.totals) if len(stated.totals) > 1 else None,
        empty=_("Nothing happened in this month"),
        id="sums",
    )


def _shares(desk: PageDesk, stated: Stated, lines: Sequence[StatedLine], funder: Callable[[str], str]) -> Rows:
    _ = desk.gettext
    return Rows(
        title=_("Who bears what was saved"),
        columns=[Column(_("Funder")), Column(_("Amount"), "num")],
        rows=[[cells.text(funder(who)), cells.money(desk, part, stated.currency)] for who, part in shares_of(lines).items()],
        empty=_("Nothing was saved"),
    )


def _seal(desk: PageDesk, stated: Stated, lines: Sequence[StatedLine], base: str) -> Facts:
    _ = desk.gettext
    digest = digest_of(lines).hex()
    when = (_("Month closed"), desk.f.when(stated.at)) if stated.is_final else (_("State"), desk.tag(_("Pro forma"), "warn"))
    shown = Markup('<span class="mono small" title="{}">{}…</span>').format(digest, digest[:16])
    note = _("The files say the same, byte for byte, whenever they are fetched.") if stated.is_final else ""
    return Facts(
        title=_("Sealed"), pairs=[when, (_("Lines"), desk.f.count(len(lines))), ("SHA-256", shown)], note=note, acts=file_acts(base)
    )


def invoice_part(desk: PageDesk, one: InvoiceView, files: Sequence[FileView], *, base: str, acts: Sequence[Act] = ()) -> Facts:
    """Return an invoice: what it asks for beside what is due, how far it is, when it is paid."""
    _ = desk.gettext
    money = desk.f.money
    differs = one.amount_minor != abs(one.due_minor)
    pairs: list[tuple[str, Any]] = [
        (_("State"), cells.tag(desk, one.status, INVOICE).show),
        (_("Number"), one.number),
        (_("Dated"), desk.f.full_day(one.invoiced_on)),
        (_("Amount"), money(one.amount_minor, one.currency)),
        (_("Tax in it"), money(one.tax_minor, one.currency)),
    ]
    if differs:
        gap = money(one.amount_minor - abs(one.due_minor), one.currency, sign=True)
        pairs.append((_("Differs from the statement"), desk.tag(gap, "warn")))
    if one.why:
        pairs.append((_("Reason"), one.why))
    if one.pay_by is not None:
        pairs.append((_("Payment date"), desk.f.full_day(one.pay_by)))
    if one.paid_on is not None:
        pairs.append((_("Paid"), f"{desk.f.full_day(one.paid_on)} · {one.reference}"))
    pairs += [(_("File"), desk.link(f"{base}/files/{each.file_id}", each.name)) for each in files]
    title = _("Invoice of the partner") if one.due_minor > 0 else _("Invoice to the partner")
    return Facts(title=title, pairs=pairs, acts=acts)


def invoice_fields(desk: PageDesk, stated: Stated) -> list[Field]:
    """Return the form of an invoice; the amount that is due stands there."""
    _ = desk.gettext
    due = abs(asked_for(stated.totals))
    size = _("PDF, JPEG or PNG, at most %(size)s MB", size=DOCUMENT_BYTES_MAX // 1_000_000)
    return [
        field("number", _("Invoice number"), autofocus=True),
        field("day", _("Date of the invoice"), type="date", value=local_date(desk.now, stated.facts.zone).isoformat()),
        field("amount", _("Amount with tax"), value=plain(due, stated.currency), num=True),
        field("tax", _("Tax in it"), value="0", num=True),
        file("file", _("File of the invoice"), accept=ACCEPT, help=size),
    ]


async def typed_invoice(desk: PageDesk, currency: str) -> dict[str, Any]:
    """Read that form; what is wrong is said at once.

    :raises FormRefused: if a field is wrong
    """
    _, form = desk.gettext, desk.form
    number = form.text("number", _("Invoice number"), longest=60)
    day = form.day("day", _("Date of the invoice"))
    amount = form.money("amount", _("Amount with tax"), currency)
    tax = form.money("tax", _("Tax in it"), currency, low=0)
    paper = await typed_file(desk)
    form.check()
    return {"number": number, "invoiced_on": day, "amount_minor": amount, "tax_minor": tax, "paper": paper}


async def typed_file(desk: PageDesk, *, required: bool = True) -> Paper | None:
    """Read a file that goes with a dispute or an invoice."""
    _ = desk.gettext
    if not required and not desk.form.has_file("file"):
        return None
    name, content = await desk.form.file("file", _("File"), largest=DOCUMENT_BYTES_MAX, kinds=DOCUMENT_KINDS)
    return Paper(name[:120], content)


def plain(amount_minor: int, currency: str) -> str:
    """Write an amount as a field has it."""
    return decimal_text(amount_minor, currency)


def dispute_facts(desk: PageDesk, one: DisputeView, currency: str, *, line_href: str) -> Facts:
    """Return a dispute: what is said against which line, what was answered, the line that put it right."""
    _ = desk.gettext

    def money(amount: int) -> str:
        return desk.f.money(amount, currency, sign=True)

    pairs: list[tuple[str, Any]] = [
        (_("State"), cells.tag(desk, one.status, DISPUTE).show),
        (_("Line"), desk.link(line_href, f"#{one.number}")),
        (_("Reason"), _(REASON[one.reason])),
        (_("What is said"), one.said),
        (_("The partner should get"), money(one.wanted_minor)),
        (_("Opened"), desk.f.when(one.opened_at)),
    ]
    pairs += [(_("Answer"), one.answer)] if one.answer else []
    pairs += [(_("Proposed"), money(one.proposed_minor))] if one.proposed_minor is not None else []
    pairs += [(_("Decided"), desk.f.when(one.decided_at))] if one.decided_at is not None else []
    pairs += [(_("Put right by line"), f"#{one.adjustment}")] if one.adjustment is not None else []
    return Facts(title=_("Dispute"), pairs=pairs)


def evidence_part(desk: PageDesk, files: Sequence[FileView], *, base: str, add: str = "") -> Rows:
    """Return the files that were shown for a dispute."""
    _ = desk.gettext
    return Rows(
        title=_("Evidence"),
        columns=[Column(_("File")), Column(_("Size"), "num"), Column("SHA-256"), Column(_("Kept since"))],
        rows=[
            [
                cells.link(desk, f"{base}/files/{each.file_id}", each.name),
                cells.text(f"{desk.f.count(-(-each.size_bytes // _KIB))} KB"),
                cells.text(each.digest.hex()[:16] + "…"),
                cells.when(desk, each.made_at),
            ]
            for each in files
        ],
        empty=_("No file yet"),
        acts=[Act(_("Add a file"), add)] if add else [],
        id="evidence",
    )


def dispute_fields(desk: PageDesk) -> list[Field]:
    """Return the form that opens a dispute, with its first file."""
    _ = desk.gettext
    reasons = [(each.value, _(words)) for each, words in REASON.items()]
    signed = _("By how much more you should get; with a minus: less")
    return [
        select("reason", _("Reason"), reasons, value=DisputeReason.AMOUNT.value),
        area("said", _("What is wrong"), rows=3),
        field("wanted", _("Difference"), num=True, help=signed),
        file("file", _("Evidence"), accept=ACCEPT, required=False, help=_("A receipt, a photo, a page of your till")),
    ]


async def typed_dispute(desk: PageDesk, currency: str) -> tuple[dict[str, Any], Paper | None]:
    """Read that form.

    :raises FormRefused: if a field is wrong
    """
    _, form = desk.gettext, desk.form
    reason = form.choice("reason", _("Reason"), DisputeReason, DisputeReason.OTHER)
    said = form.text("said", _("What is wrong"), longest=1_000)
    wanted = form.money("wanted", _("Difference"), currency, low=-(10**12))
    paper = await typed_file(desk, required=False)
    form.check()
    return {"reason": reason, "said": said, "wanted_minor": wanted}, paper
