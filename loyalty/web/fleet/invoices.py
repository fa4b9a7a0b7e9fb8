"""Invoices: which were asked for, what may be asked for and how that comes about, and the titles they are made out to."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.errors import NotFound
from loyalty.identity.portal_rules import FleetPermission
from loyalty.paging import Page as Found
from loyalty.statements.model_invoices import InvoiceStatus
from loyalty.statements.operations.invoices import TitleFacts, add_title, close_title, request_invoice, withdraw_invoice
from loyalty.statements.queries.companies import StatedPeriod, periods_of
from loyalty.statements.queries.invoices import InvoiceView, PotView, TitleNotFound, get_invoice, list_invoices, pots_of, titles_of
from loyalty.web.desk import Page
from loyalty.web.fleet.desk import FleetDesk
from loyalty.web.fleet.invoice_words import INVOICE, doubtful, life_part, lines_part, names_of_products, title_part
from loyalty.web.listing import Column
from loyalty.web.office import cells
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field, hidden, select, word_filter
from loyalty.web.office.parts import Act, Cell, Field, Part, Rows, Said

PATH: Final = "/fleet/invoices"
_MAY = FleetPermission.INVOICES


def _whole(fleet: FleetDesk) -> None:
    """Invoices are the whole company's: a department's head has none.

    :raises NotAllowedInCompany: if the reader's role may not
    """
    fleet.require(_MAY)


@get(three("/invoices"))
async def invoices(fleet: NamedDependency[FleetDesk]) -> Any:
    """List the company's invoices."""
    _whole(fleet)
    _ = fleet.gettext
    listing = fleet.listing(PATH, "", ["status"])
    status = fleet.query.maybe("status", InvoiceStatus)
    ends = {one.first: one.end for one in await periods_of(fleet.session, company=fleet.company, now=fleet.now)}

    async def fetch(cursor: str | None, limit: int) -> Found[InvoiceView]:
        return await list_invoices(fleet.session, company_id=fleet.company_id, status=status, cursor=cursor, limit=limit)

    async def rows(found: Sequence[InvoiceView]) -> list[list[Cell]]:
        return [
            [
                cells.linked(fleet, f"{PATH}/{one.invoice_id}", cells.text(one.title)),
                cells.text(fleet.days(one.first_day, ends[one.first_day])),
                cells.tag(fleet, one.status, INVOICE),
                cells.text(one.number),
                cells.when(fleet, one.requested_at),
                cells.money(fleet, one.amount_minor, one.currency),
            ]
            for one in found
        ]

    heads = [_("Invoice title"), _("Billing period"), _("Status"), _("Invoice number"), _("Asked for at")]
    return await show(
        fleet,
        List(
            title=_("Invoices"),
            listing=listing,
            columns=[*(Column(head) for head in heads), Column(_("Amount"), "num")],
            fetch=fetch,
            rows=rows,
            filters=[word_filter(fleet, "status", _("Status"), INVOICE, listing)],
            acts=[Act(_("Ask for an invoice"), f"{PATH}/new", primary=True), Act(_("Invoice titles"), f"{PATH}/titles")],
            empty=_("No invoice yet"),
            empty_then=_("An invoice is asked for over a closed period: what was paid, less what was refunded."),
            name="invoices",
        ),
    )


@get("/invoices/{invoice_id:uuid}")
async def invoice(fleet: NamedDependency[FleetDesk], invoice_id: FromPath[UUID]) -> Page:
    """Show one invoice."""
    _whole(fleet)
    _ = fleet.gettext
    one, lines = await get_invoice(fleet.session, invoice_id=invoice_id, company_id=fleet.company_id)
    acts: list[Act | None] = []
    if one.status is InvoiceStatus.REQUESTED:
        acts.append(Act(_("Withdraw"), f"{PATH}/{invoice_id}/withdraw", danger=True))
    return await fleet.page(
        one.title,
        sub=fleet.f.money(one.amount_minor, one.currency),
        crumbs=[(_("Invoices"), PATH), (one.title, "")],
        tags=[cells.tag(fleet, one.status, INVOICE).show],
        acts=acts,
        main=[await lines_part(fleet, one, lines)],
        aside=[title_part(fleet, one), life_part(fleet, one)],
    )


@get("/invoices/{invoice_id:uuid}/withdraw")
async def ask_withdraw(fleet: NamedDependency[FleetDesk], invoice_id: FromPath[UUID]) -> Page:
    """Ask once."""
    _whole(fleet)
    _ = fleet.gettext
    one, _lines = await get_invoice(fleet.session, invoice_id=invoice_id, company_id=fleet.company_id)
    amount = fleet.f.money(one.amount_minor, one.currency)
    back = f"{PATH}/{invoice_id}"
    return await fleet.ask(
        _("Withdraw"), [], submit=_("Withdraw"), amount=amount, danger=True, back=back, crumbs=[(_("Invoices"), PATH), (one.title, back)]
    )


@post("/invoices/{invoice_id:uuid}/withdraw", status_code=303)
async def withdraw(fleet: NamedDependency[FleetDesk], invoice_id: FromPath[UUID]) -> Page:
    """Take a request back."""
    _whole(fleet)
    await withdraw_invoice(fleet.session, company_id=fleet.company_id, invoice_id=invoice_id, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/{invoice_id}", fleet.gettext("Withdrawn"))


@get("/invoices/new")
async def ask_new(fleet: NamedDependency[FleetDesk]) -> Page:
    """Show how what may be invoiced comes about, and ask for title and amounts."""
    _whole(fleet)
    _ = fleet.gettext
    crumbs = [(_("Invoices"), PATH), (_("Ask for an invoice"), "")]
    closed = [one for one in await periods_of(fleet.session, company=fleet.company, now=fleet.now) if one.closed_at]
    titles = await titles_of(fleet.session, company_id=fleet.company_id)
    if not closed:
        none = Said(title=_("No period is closed yet"), then=_("A period is closed the day after its last; then it can be invoiced."))
        return await fleet.page(_("Ask for an invoice"), main=[none], crumbs=crumbs)
    if not titles:
        acts = [Act(_("Add a title"), f"{PATH}/titles/new", primary=True)]
        none = Said(title=_("To whom shall it be made out?"), then=_("Enter the title with its tax number first."), acts=acts)
        return await fleet.page(_("Ask for an invoice"), main=[none], crumbs=crumbs)
    period = _chosen(fleet, closed)
    pots = await pots_of(fleet.session, account_id=fleet.company.account_id, begin=period.begins_at)
    names = await names_of_products(fleet, [one.product_id for one in pots])
    options = [(str(one.title_id), f"{one.name} · {one.tax_number}") for one in titles]
    fields: list[Field] = [hidden("period", period.first.isoformat()), select("title", _("Invoice title"), options, value=options[0][0])]
    fields += [_amount(fleet, one, names[one.product_id][0]) for one in pots if one.left_minor]
    listing = fleet.listing(f"{PATH}/new", "", ["period"])
    spans = [(one.first.isoformat(), fleet.days(one.first, one.end)) for one in closed]
    choice = select("period", _("Billing period"), spans, value=period.first.isoformat(), required=False)
    main: list[Part] = [_derivation(fleet, pots, names)]
    if any(one.left_minor for one in pots):
        main.append(fleet.form_part(_("The invoice"), f"{PATH}/new", fields, submit=_("Ask for an invoice")))
    return await fleet.page(
        _("Ask for an invoice"), main=main, crumbs=crumbs, template="office/list.html", listing=listing, filters=[choice]
    )


def _chosen(fleet: FleetDesk, closed: Sequence[StatedPeriod]) -> StatedPeriod:
    said = fleet.query.raw("period")
    found = next((one for one in closed if not said or one.first.isoformat() == said), None)
    if found is None:
        raise NotFound
    return found


def _amount(fleet: FleetDesk, one: PotView, name: str) -> Field:
    currency = fleet.company.currency
    most = fleet.gettext("At most %(amount)s", amount=fleet.f.money(one.left_minor, currency))
    value = fleet.f.amount(one.left_minor, currency)
    return field(f"amount-{one.product_id}", name, num=True, before=fleet.f.sign_of(currency), value=value, help=most, required=False)


def _derivation(fleet: FleetDesk, pots: Sequence[PotView], names: dict[UUID, tuple[str, str]]) -> Rows:
    _, currency = fleet.gettext, fleet.company.currency
    figures = ("bonus_minor", "owed_minor", "paid_minor", "refunded_minor", "invoiced_minor", "left_minor")
    heads = [_("From bonus"), _("Still owed"), _("Paid"), _("Refunded"), _("Invoiced"), _("May be invoiced")]
    rows = [
        [
            cells.text(names[one.product_id][0]),
            *(cells.money(fleet, getattr(one, name), currency) for name in figures),
        ]
        for one in pots
    ]
    totals = [cells.text(_("Total")), *(cells.money(fleet, sum(getattr(one, name) for one in pots), currency) for name in figures)]
    return Rows(
        title=_("What may be invoiced"),
        columns=[Column(_("Product")), *(Column(head, "num") for head in heads)],
        rows=rows,
        totals=totals if rows else None,
        empty=_("Nothing was paid in this period"),
        note=_("Bonus money and discounts are never invoiced; what is refunded later is taken off here."),
    )


@post("/invoices/new", status_code=303)
async def make_new(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask for it."""
    _whole(fleet)
    _, form = fleet.gettext, fleet.form
    first = form.day("period", _("Billing period"))
    title_id = form.uuid("title", _("Invoice title"))
    amounts: dict[UUID, int] = {}
    for name in form.typed():
        if name.startswith("amount-"):
            amount = form.money(name, _("Amount"), fleet.company.currency, required=False, low=0)
            amounts[_product(name)] = amount or 0
    form.check()
    assert first is not None
    assert title_id is not None
    invoice_id = await request_invoice(
        fleet.session,
        company_id=fleet.company_id,
        title_id=title_id,
        first_day=first,
        amounts=amounts,
        actor=fleet.actor,
        now=fleet.now,
    )
    return await fleet.done(f"{PATH}/{invoice_id}", _("Asked for"))


def _product(name: str) -> UUID:
    try:
        return UUID(name.removeprefix("amount-"))
    except ValueError:
        raise NotFound from None


@get("/invoices/titles")
async def titles(fleet: NamedDependency[FleetDesk]) -> Page:
    """List the company's titles."""
    _whole(fleet)
    _ = fleet.gettext
    found = await titles_of(fleet.session, company_id=fleet.company_id)
    rows = [
        [
            cells.text(one.name),
            cells.text(one.tax_number),
            Cell(fleet.tag(_("Check it"), "warn") if doubtful(one.tax_number) else "", ""),
            cells.text(" · ".join(part for part in (one.address, one.telephone) if part)),
            cells.text(" ".join(part for part in (one.bank, one.bank_account) if part)),
            cells.link(fleet, f"{PATH}/titles/{one.title_id}/close", _("Use it no more")),
        ]
        for one in found
    ]
    heads = [_("Name"), _("Tax number"), "", _("Address"), _("Bank"), ""]
    table = Rows(
        title=_("Invoice titles"),
        columns=[Column(head) for head in heads],
        rows=rows,
        empty=_("No title yet"),
        empty_then=_("To whom shall invoices be made out? Enter the title with its tax number."),
    )
    acts = [Act(_("Add a title"), f"{PATH}/titles/new", primary=True)]
    return await fleet.page(_("Invoice titles"), main=[table], acts=acts, crumbs=[(_("Invoices"), PATH), (_("Invoice titles"), "")])


@get("/invoices/titles/new")
async def ask_title(fleet: NamedDependency[FleetDesk]) -> Page:
    """Ask for a title."""
    _whole(fleet)
    _ = fleet.gettext
    fields = [
        field("name", _("Name"), value=fleet.company.name, autofocus=True),
        field("tax_number", _("Tax number"), help=_("18 characters; one that looks wrong is marked, not refused.")),
        *(field(name, label, required=False) for name, label in _more(fleet)),
    ]
    title = _("Add a title")
    crumbs = [(_("Invoices"), PATH), (_("Invoice titles"), f"{PATH}/titles"), (title, "")]
    return await fleet.ask(title, fields, submit=title, back=f"{PATH}/titles", crumbs=crumbs, columns=True)


def _more(fleet: FleetDesk) -> list[tuple[str, str]]:
    _ = fleet.gettext
    return [("address", _("Address")), ("telephone", _("Telephone")), ("bank", _("Bank")), ("bank_account", _("Bank account"))]


@post("/invoices/titles/new", status_code=303)
async def make_title(fleet: NamedDependency[FleetDesk]) -> Page:
    """Add a title."""
    _whole(fleet)
    _, form = fleet.gettext, fleet.form
    facts = TitleFacts(
        name=form.text("name", _("Name"), longest=200),
        tax_number=form.text("tax_number", _("Tax number"), longest=30).upper().replace(" ", ""),
        **{name: form.text(name, label, required=False, longest=200) for name, label in _more(fleet)},
    )
    form.check()
    await add_title(fleet.session, company_id=fleet.company_id, facts=facts, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/titles", _("The title is added"))


@get("/invoices/titles/{title_id:uuid}/close")
async def ask_close(fleet: NamedDependency[FleetDesk], title_id: FromPath[UUID]) -> Page:
    """Ask once."""
    _whole(fleet)
    _ = fleet.gettext
    found = await titles_of(fleet.session, company_id=fleet.company_id)
    one = next((title for title in found if title.title_id == title_id), None)
    if one is None:
        raise TitleNotFound(title=title_id)
    crumbs = [(_("Invoices"), PATH), (_("Invoice titles"), f"{PATH}/titles"), (one.name, "")]
    return await fleet.ask(
        f"{_('Use it no more')}: {one.name}", [], submit=_("Use it no more"), danger=True, back=f"{PATH}/titles", crumbs=crumbs
    )


@post("/invoices/titles/{title_id:uuid}/close", status_code=303)
async def close(fleet: NamedDependency[FleetDesk], title_id: FromPath[UUID]) -> Page:
    """Use a title no more."""
    _whole(fleet)
    await close_title(fleet.session, company_id=fleet.company_id, title_id=title_id, actor=fleet.actor, now=fleet.now)
    return await fleet.done(f"{PATH}/titles", fleet.gettext("It is used no more"))


handlers = [invoices, invoice, ask_withdraw, withdraw, ask_new, make_new, titles, ask_title, make_title, ask_close, close]
