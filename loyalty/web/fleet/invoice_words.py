"""Invoices in words, for the company and for the office alike."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from stdnum.cn import uscc

from loyalty.authorizations.model_invoicing import GOODS
from loyalty.statements.model_invoices import InvoiceLine, InvoiceStatus
from loyalty.statements.queries.companies import products_of
from loyalty.statements.queries.invoices import InvoiceView
from loyalty.web.desk import PageDesk
from loyalty.web.i18n import N_
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lookups import product_name
from loyalty.web.office.parts import Facts, Rows

INVOICE: Final[Mapping[InvoiceStatus, tuple[str, str]]] = {
    InvoiceStatus.REQUESTED: (N_("Asked for"), "warn"),
    InvoiceStatus.ISSUED: (N_("Invoiced"), "good"),
    InvoiceStatus.REFUSED: (N_("Refused"), "bad"),
    InvoiceStatus.WITHDRAWN: (N_("Withdrawn"), ""),
    InvoiceStatus.RED_LETTERED: (N_("Red-lettered"), "bad"),
}


async def names_of_products(desk: PageDesk, ids: Sequence[UUID]) -> dict[UUID, tuple[str, str]]:
    """Return names and units of what invoices are made of."""
    known = await products_of(desk.session, product_ids=[one for one in ids if one != GOODS])
    named = {product_id: (product_name(desk, code, zh, en), unit) for product_id, (code, zh, en, unit) in known.items()}
    return named | {GOODS: (desk.gettext("Shop goods"), "piece")}


def doubtful(tax_number: str) -> bool:
    """Say whether a tax number looks wrong: a page warns, nothing is blocked (GB 32100)."""
    return not uscc.is_valid(tax_number)


async def lines_part(desk: PageDesk, one: InvoiceView, lines: Sequence[InvoiceLine]) -> Rows:
    """Return an invoice's lines."""
    _ = desk.gettext
    names = await names_of_products(desk, [line.product_id for line in lines])
    rows = []
    for line in lines:
        name, unit = names.get(line.product_id, (str(line.product_id)[:8], "L"))
        milli = line.quantity_milli if line.product_id != GOODS else None
        rows.append([cells.text(name), cells.quantity(desk, milli, unit), cells.money(desk, line.amount_minor, one.currency)])
    totals = [cells.text(_("Total")), cells.text(""), cells.money(desk, one.amount_minor, one.currency)]
    columns = [Column(_("Product")), Column(_("Quantity"), "num"), Column(_("Amount"), "num")]
    return Rows(title=_("What is invoiced"), columns=columns, rows=rows, totals=totals, empty="")


def title_part(desk: PageDesk, one: InvoiceView) -> Facts:
    """Return to whom it is made out."""
    _ = desk.gettext
    pairs: list[tuple[str, Any]] = [(_("Name"), one.title), (_("Tax number"), one.tax_number)]
    more = {_("Address"): one.address, _("Telephone"): one.telephone, _("Bank"): one.bank, _("Bank account"): one.bank_account}
    pairs += [(name, value) for name, value in more.items() if value]
    note = _("The tax number does not look like one: check it.") if doubtful(one.tax_number) else ""
    return Facts(title=_("Invoice title"), pairs=pairs, note=note)


def life_part(desk: PageDesk, one: InvoiceView) -> Facts:
    """Return what became of it."""
    _ = desk.gettext
    pairs: list[tuple[str, Any]] = [(_("Asked for at"), desk.f.instant(one.requested_at))]
    if one.number is not None:
        pairs += [(_("Invoice number"), one.number), (_("Invoice date"), desk.f.full_day(one.issued_on))]
    if one.red_number is not None:
        pairs += [(_("Red-letter number"), one.red_number), (_("Red-letter date"), desk.f.full_day(one.red_on))]
    if one.reason:
        pairs.append((_("Reason"), one.reason))
    return Facts(title=_("The invoice"), pairs=pairs)
