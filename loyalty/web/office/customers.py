"""Customers: listed and found, entered, corrected, closed and reopened."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.cards import queries as cards
from loyalty.customers import operations, queries
from loyalty.customers.model import CustomerKind, CustomerStatus, IdentifierType
from loyalty.customers.operations import CustomerFacts
from loyalty.customers.queries import CustomerFilter, CustomerView, Hit
from loyalty.identity.rules import Permission
from loyalty.ids import CustomerId
from loyalty.paging import Page as Found
from loyalty.web.documents import DOCUMENTS
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import CUSTOMER_KIND, CUSTOMER_STATUS, WARNED
from loyalty.web.office.lists import List, show, single, three
from loyalty.web.office.lookups import chips, field, select
from loyalty.web.office.parts import Act, Cell, Field

PATH = "/office/customers"


@get(three("/customers"))
async def customers(desk: NamedDependency[Desk]) -> Any:
    """List customers, or find them by name, phone, document or card."""
    desk.require(Permission.READ_CUSTOMERS)
    _ = desk.gettext
    listing = desk.listing(PATH, "name", ["text", "kind", "status"])
    text = listing.filters["text"]

    async def fetch(cursor: str | None, limit: int) -> Found[CustomerView]:
        if text:
            return await single(await _search(desk, text))
        status = desk.query.maybe("status", CustomerStatus)
        by = CustomerFilter(kind=desk.query.maybe("kind", CustomerKind), statuses=(status,) if status else CustomerFilter().statuses)
        return await queries.list_customers(desk.session, by=by, sort=listing.sort, cursor=cursor, limit=limit)

    async def rows(found: Sequence[CustomerView]) -> list[list[Cell]]:
        return [_row(desk, one) for one in found]

    return await show(
        desk,
        List(
            title=_("Customers"),
            listing=listing,
            columns=[
                Column(_("Customer"), sort="name"),
                Column(_("Kind")),
                Column(_("Phone")),
                Column(_("Segment")),
                Column(_("Status")),
                Column(_("Customer since"), sort="created_at"),
            ],
            fetch=fetch,
            rows=rows,
            filters=[
                field(
                    "text", _("Find"), value=text, required=False, placeholder=_("Name, phone, document or card"), key="F1", autofocus=True
                ),
                select("kind", _("Kind"), _options(desk, CUSTOMER_KIND), value=listing.filters["kind"], blank=_("All"), required=False),
                select(
                    "status", _("Status"), _options(desk, CUSTOMER_STATUS), value=listing.filters["status"], blank=_("All"), required=False
                ),
            ],
            acts=_new_acts(desk),
            empty=_("Nobody found"),
            empty_then=_("A phone or document number must be whole; a name may be its beginning."),
            tabs=customer_tabs(desk, "list"),
            name="customers",
        ),
    )


async def _search(desk: Desk, text: str) -> list[CustomerView]:
    """Find by what the room knows, and by a card's number."""
    hits: list[Hit] = await queries.find_customers(desk.session, text=text, limit=50)
    found = [hit.customer for hit in hits]
    digits = text.replace(" ", "").replace("-", "")
    if digits.isdigit() and len(digits) >= 12:
        try:
            card = await cards.find_by_number(desk.session, number=digits)
        except cards.CardNotFound:
            return found
        if card.customer_id is not None:
            found.insert(0, await queries.get_customer(desk.session, customer_id=card.customer_id))
    return found


def _row(desk: Desk, one: CustomerView) -> list[Cell]:
    name = cells.link(desk, f"{PATH}/{one.customer_id}", one.name)
    return [
        name,
        cells.tag(desk, one.kind, CUSTOMER_KIND),
        cells.text(one.phone),
        cells.text(one.segment),
        cells.tag(desk, one.status, CUSTOMER_STATUS),
        cells.day(desk, one.created_at.date()),
    ]


def _options(desk: Desk, words: Any) -> lookups.Options:
    return [(member.value, desk.gettext(label[0])) for member, label in words.items()]


def customer_tabs(desk: Desk, here: str) -> list[tuple[str, str, bool, int]]:
    _ = desk.gettext
    return [(_("Customers"), PATH, here == "list", 0), (_("Perhaps the same"), "/office/merge-suggestions", here == "merges", 0)]


def _new_acts(desk: Desk) -> list[Act]:
    _ = desk.gettext
    if not desk.may(Permission.EDIT_CUSTOMERS):
        return []
    return [Act(_("New organisation"), f"{PATH}/new?kind=organisation"), Act(_("New person"), f"{PATH}/new?kind=person", primary=True)]


@get("/customers/new")
async def new_customer(desk: NamedDependency[Desk]) -> Page:
    """Ask who the new customer is."""
    desk.require(Permission.EDIT_CUSTOMERS)
    _ = desk.gettext
    kind = desk.query.maybe("kind", CustomerKind) or CustomerKind.PERSON
    title = _("New person") if kind is CustomerKind.PERSON else _("New organisation")
    fields = [lookups.hidden("kind", kind.value), *_facts_fields(desk, kind, None), *document_fields(desk, kind, required=False)]
    return await desk.ask(
        title,
        fields,
        submit=_("Add"),
        back=PATH,
        crumbs=[(_("Customers"), PATH), (title, "")],
        columns=True,
        note=_("The same name and phone as a known customer is shown as a suggestion, never merged for that alone."),
    )


@post("/customers/new", status_code=303)
async def add_customer(desk: NamedDependency[Desk]) -> Page:
    """Add a customer, with a document where one was typed."""
    desk.require(Permission.EDIT_CUSTOMERS)
    _ = desk.gettext
    form = desk.form
    kind = form.choice("kind", _("Kind"), CustomerKind, CustomerKind.PERSON)
    facts = _read_facts(desk, kind)
    type_ = form.maybe("type", IdentifierType)
    value = form.raw("value")
    form.check()
    customer_id = await operations.add_customer(desk.session, facts=facts, actor=desk.actor, now=desk.now)
    said = _("Added: %(name)s", name=facts.name)
    if value and type_ is not None:
        added = await operations.add_identifier(
            desk.session, customer_id=customer_id, type=type_, value=value, actor=desk.actor, now=desk.now
        )
        said = warned(desk, said, added)
    return await desk.done(f"{PATH}/{customer_id}", said)


def warned(desk: Desk, said: str, added: operations.Added) -> str:
    """Say what is doubtful about a document that was taken all the same."""
    _ = desk.gettext
    words = [_(WARNED[one]) for one in added.warnings]
    if added.same_number:
        words.append(_("another customer has the same number: see the suggestions"))
    return f"{said}. {_('Please check')}: {'; '.join(words)}" if words else said


def _facts_fields(desk: Desk, kind: CustomerKind, one: CustomerView | None) -> list[Field]:
    _ = desk.gettext
    fields = [
        field(
            "name", _("Name") if kind is CustomerKind.PERSON else _("Organisation's name"), value=one.name if one else "", autofocus=True
        ),
        field("phone", _("Phone"), value=(one.phone or "") if one else "", required=False, inputmode="tel"),
        field("email", _("Mail"), value=(one.email or "") if one else "", required=False, type="email"),
        field("address", _("Address"), value=(one.address or "") if one else "", required=False),
        field("segment", _("Segment"), value=(one.segment or "") if one else "", required=False),
    ]
    if kind is CustomerKind.PERSON:
        birthday = one.birthday.isoformat() if one and one.birthday else ""
        fields.append(field("birthday", _("Birthday"), value=birthday, required=False, type="date"))
    else:
        fields.append(field("short_name", _("Short name"), value=(one.short_name or "") if one else "", required=False))
    locale = one.locale if one else "zh_CN"
    fields.append(chips("locale", _("Language"), [("zh_CN", "中文"), ("en", "English")], value=locale))
    return fields


def document_fields(desk: Desk, kind: CustomerKind, *, required: bool) -> list[Field]:
    _ = desk.gettext
    organisations = {"uscc", "tax_number"}
    options = [
        (member.value, _(label))
        for member, label in DOCUMENTS.items()
        if (member.value in organisations) is (kind is not CustomerKind.PERSON)
    ]
    return [
        select("type", _("Document"), options, required=required, blank="" if required else _("None now")),
        field(
            "value",
            _("Number"),
            required=required,
            help=_("Kept sealed; shown by its last four digits. A doubtful check digit warns and does not block."),
        ),
    ]


def _read_facts(desk: Desk, kind: CustomerKind) -> CustomerFacts:
    _ = desk.gettext
    form = desk.form
    return CustomerFacts(
        kind=kind,
        name=form.text("name", _("Name"), longest=200),
        short_name=form.raw("short_name") or None,
        locale=form.raw("locale") or "zh_CN",
        segment=form.raw("segment") or None,
        phone=form.raw("phone") or None,
        email=form.raw("email") or None,
        address=form.raw("address") or None,
        birthday=form.day("birthday", _("Birthday"), required=False),
    )


@get("/customers/{customer_id:uuid}/edit")
async def edit_customer(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Show what is known, to be corrected."""
    desk.require(Permission.EDIT_CUSTOMERS)
    one = await queries.get_customer(desk.session, customer_id=customer_id)
    _ = desk.gettext
    crumbs = [(_("Customers"), PATH), (one.name, f"{PATH}/{customer_id}"), (_("Edit"), "")]
    return await desk.ask(
        _("Edit"), _facts_fields(desk, one.kind, one), submit=_("Save"), back=f"{PATH}/{customer_id}", crumbs=crumbs, columns=True
    )


@post("/customers/{customer_id:uuid}/edit", status_code=303)
async def change_customer(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Store what was corrected."""
    desk.require(Permission.EDIT_CUSTOMERS)
    one = await queries.get_customer(desk.session, customer_id=customer_id)
    facts = _read_facts(desk, one.kind)
    desk.form.check()
    await operations.change_customer(desk.session, customer_id=CustomerId(customer_id), facts=facts, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{customer_id}", desk.gettext("Saved"))


@get(["/customers/{customer_id:uuid}/close", "/customers/{customer_id:uuid}/reopen"])
async def ask_customer(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Ask why a record is closed or reopened."""
    desk.require(Permission.EDIT_CUSTOMERS)
    _ = desk.gettext
    one = await queries.get_customer(desk.session, customer_id=customer_id)
    closes = desk.act == "close"
    title = _("Close this customer") if closes else _("Reopen this customer")
    return await desk.ask(
        title,
        [field("reason", _("Reason"), autofocus=True)],
        submit=_("Close") if closes else _("Reopen"),
        danger=closes,
        back=f"{PATH}/{customer_id}",
        crumbs=[(_("Customers"), PATH), (one.name, f"{PATH}/{customer_id}"), (title, "")],
        note=_("Its cards and accounts are closed on their own pages first. The record can be reopened.") if closes else "",
    )


@post("/customers/{customer_id:uuid}/close", status_code=303)
async def close_customer(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Close a record; the toast takes it back."""
    desk.require(Permission.EDIT_CUSTOMERS)
    reason = desk.form.text("reason", desk.gettext("Reason"))
    desk.form.check()
    await operations.close_customer(desk.session, customer_id=CustomerId(customer_id), reason=reason, actor=desk.actor, now=desk.now)
    undo = f"{PATH}/{customer_id}/reopen"
    return await desk.done(f"{PATH}/{customer_id}", desk.gettext("Closed"), undo=undo, fields={"reason": "undo"})


@post("/customers/{customer_id:uuid}/reopen", status_code=303)
async def reopen_customer(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Reopen a record."""
    desk.require(Permission.EDIT_CUSTOMERS)
    reason = desk.form.text("reason", desk.gettext("Reason"))
    desk.form.check()
    await operations.reopen_customer(desk.session, customer_id=CustomerId(customer_id), reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{customer_id}", desk.gettext("Reopened"))


handlers = [
    customers,
    new_customer,
    add_customer,
    edit_customer,
    change_customer,
    ask_customer,
    close_customer,
    reopen_customer,
]
