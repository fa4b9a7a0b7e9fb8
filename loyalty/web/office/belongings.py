"""A customer's documents, contacts, bank accounts and consents."""

from collections.abc import Sequence
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup

from loyalty.customers import operations, queries
from loyalty.customers.model import ConsentChannel, ContactRole, IdentifierType
from loyalty.customers.operations import Verified
from loyalty.errors import NotFound
from loyalty.identity.rules import Permission
from loyalty.ids import CustomerId
from loyalty.web.documents import DOCUMENTS
from loyalty.web.office import lookups
from loyalty.web.office.customers import PATH, document_fields, warned
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import CONTACT_ROLE
from loyalty.web.office.lookups import check, field, select
from loyalty.web.office.parts import Act, Field, Text

_WORDING_PARTS = 3
"""Purpose, recipient, version."""
_DOCUMENT = "/customers/{customer_id:uuid}/documents/{identifier_id:uuid}"


async def _ask(
    desk: Desk, customer_id: UUID, title: str, fields: Sequence[Field], *, submit: str, note: str = "", danger: bool = False
) -> Page:
    one = await queries.get_customer(desk.session, customer_id=customer_id)
    back = f"{PATH}/{customer_id}"
    crumbs = [(desk.gettext("Customers"), PATH), (one.name, back), (title, "")]
    return await desk.ask(title, fields, submit=submit, back=back, crumbs=crumbs, note=note, danger=danger)


@get("/customers/{customer_id:uuid}/documents/new")
async def new_document(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Ask for a document's number."""
    desk.require(Permission.EDIT_CUSTOMERS)
    _ = desk.gettext
    one = await queries.get_customer(desk.session, customer_id=customer_id)
    fields = [
        *document_fields(desk, one.kind, required=True),
        field("valid_until", _("Valid until"), type="date", required=False),
        check("seen", _("I have seen the document and it is this customer's"), note=_("Only a verified document makes two records one.")),
    ]
    return await _ask(desk, customer_id, _("Add a document"), fields, submit=_("Add"))


@post("/customers/{customer_id:uuid}/documents/new", status_code=303)
async def add_document(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Add a document, verified where it was seen."""
    desk.require(Permission.EDIT_CUSTOMERS)
    _ = desk.gettext
    form = desk.form
    type_ = form.choice("type", _("Document"), IdentifierType, IdentifierType.RESIDENT_ID)
    value = form.text("value", _("Number"), longest=60)
    until = form.day("valid_until", _("Valid until"), required=False)
    form.check()
    added = await operations.add_identifier(
        desk.session, customer_id=CustomerId(customer_id), type=type_, value=value, valid_until=until, actor=desk.actor, now=desk.now
    )
    if form.flag("seen"):
        return await _verified(desk, added.identifier_id)
    return await desk.done(f"{PATH}/{customer_id}", warned(desk, _("Document added"), added))


async def _verified(desk: Desk, identifier_id: UUID) -> Page:
    _ = desk.gettext
    found = await operations.verify_identifier(
        desk.session, identifier_id=identifier_id, staff_id=desk.principal.staff_id, actor=desk.actor, now=desk.now
    )
    said = {
        Verified.VERIFIED: _("Verified"),
        Verified.MERGED: _("Verified, and merged with the record that has the same name and document"),
        Verified.DOUBTFUL: _("Verified; another record has the same document under another name: see the suggestions"),
    }[found.outcome]
    return await desk.done(f"{PATH}/{found.customer_id}", said)


async def _document(desk: Desk, customer_id: UUID, identifier_id: UUID) -> queries.IdentifierView:
    """Return one of the customer's documents.

    :raises NotFound: if it is another customer's, or gone
    """
    for one in await queries.identifiers_of(desk.session, customer_id=customer_id):
        if one.identifier_id == identifier_id:
            return one
    raise NotFound


@get([f"{_DOCUMENT}/reveal", f"{_DOCUMENT}/verify", f"{_DOCUMENT}/remove"])
async def ask_document(desk: NamedDependency[Desk], customer_id: FromPath[UUID], identifier_id: FromPath[UUID]) -> Page:
    """Ask why a number is shown, whether a document was seen, or why it is removed."""
    _ = desk.gettext
    one = await _document(desk, customer_id, identifier_id)
    what = f"{_(DOCUMENTS[one.type])} •••• {one.tail}"
    if desk.act == "reveal":
        desk.offer(Permission.VIEW_ID_NUMBER)
        note = _("Who looked, when and why goes into the audit trail before the number is shown.")
        reason = field("reason", _("Why do you need it?"), autofocus=True)
        return await _ask(desk, customer_id, _("Show the number"), [lookups.said(what), reason], submit=_("Show"), note=note)
    desk.require(Permission.EDIT_CUSTOMERS)
    if desk.act == "verify":
        seen = check("seen", _("I have seen the document and it is this customer's"), required=True)
        return await _ask(desk, customer_id, _("Verify"), [lookups.said(what), seen], submit=_("Verify"))
    fields = [lookups.said(what), field("reason", _("Reason"), autofocus=True)]
    return await _ask(desk, customer_id, _("Remove the document"), fields, submit=_("Remove"), danger=True)


@post("/customers/{customer_id:uuid}/documents/{identifier_id:uuid}/reveal", status_code=200)
async def reveal_document(desk: NamedDependency[Desk], customer_id: FromPath[UUID], identifier_id: FromPath[UUID]) -> Page:
    """Show a number in clear, once, after the trail has who and why."""
    desk.require(Permission.VIEW_ID_NUMBER)
    _ = desk.gettext
    reason = desk.form.text("reason", _("Reason"), longest=200)
    desk.form.check()
    one = await _document(desk, customer_id, identifier_id)
    number = await operations.reveal_identifier(desk.session, identifier_id=identifier_id, reason=reason, actor=desk.actor, now=desk.now)
    shown = Text(
        title=_(DOCUMENTS[one.type]),
        lines=[Markup('<span class="mono hero-number">{}</span>').format(number)],
        note=_("This view is on the audit trail"),
        acts=[Act(_("Done"), f"{PATH}/{customer_id}", primary=True, key="Escape")],
    )
    return await desk.shown(_("Number in clear"), [shown], instead=True)


@post("/customers/{customer_id:uuid}/documents/{identifier_id:uuid}/verify", status_code=303)
async def verify_document(desk: NamedDependency[Desk], customer_id: FromPath[UUID], identifier_id: FromPath[UUID]) -> Page:
    """Say that the document was seen."""
    desk.require(Permission.EDIT_CUSTOMERS)
    await _document(desk, customer_id, identifier_id)
    if not desk.form.flag("seen"):
        desk.form.fault("seen", desk.gettext("Seen"), desk.gettext("is needed"))
    desk.form.check()
    return await _verified(desk, identifier_id)


@post("/customers/{customer_id:uuid}/documents/{identifier_id:uuid}/remove", status_code=303)
async def remove_document(desk: NamedDependency[Desk], customer_id: FromPath[UUID], identifier_id: FromPath[UUID]) -> Page:
    """Take a document out of use."""
    desk.require(Permission.EDIT_CUSTOMERS)
    await _document(desk, customer_id, identifier_id)
    reason = desk.form.text("reason", desk.gettext("Reason"))
    desk.form.check()
    await operations.remove_identifier(desk.session, identifier_id=identifier_id, reason=reason, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{customer_id}", desk.gettext("Removed"))


@get("/customers/{customer_id:uuid}/contacts/new")
async def new_contact(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Ask who speaks for the organisation."""
    desk.require(Permission.EDIT_CUSTOMERS)
    _ = desk.gettext
    fields = [
        select("role", _("Role"), [(role.value, _(label)) for role, label in CONTACT_ROLE.items()]),
        field("name", _("Name"), autofocus=True),
        field("phone", _("Phone"), required=False, inputmode="tel"),
        field("email", _("Mail"), required=False, type="email"),
        field(
            "agreed",
            _("Personal benefits: document in which the organisation agreed"),
            required=False,
            help=_("Without it this person gets none."),
        ),
    ]
    return await _ask(desk, customer_id, _("Add a contact"), fields, submit=_("Add"))


@post("/customers/{customer_id:uuid}/contacts/new", status_code=303)
async def add_contact(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Name a contact."""
    desk.require(Permission.EDIT_CUSTOMERS)
    _ = desk.gettext
    form = desk.form
    role = form.choice("role", _("Role"), ContactRole, ContactRole.OTHER)
    name = form.text("name", _("Name"), longest=100)
    form.check()
    await operations.add_contact(
        desk.session,
        customer_id=CustomerId(customer_id),
        role=role,
        name=name,
        phone=form.raw("phone") or None,
        email=form.raw("email") or None,
        personal_benefits_agreed=form.raw("agreed") or None,
        actor=desk.actor,
        now=desk.now,
    )
    return await desk.done(f"{PATH}/{customer_id}", _("Contact added"))


@get("/customers/{customer_id:uuid}/bank-accounts/new")
async def new_bank_account(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Ask for a bank account in the customer's name."""
    desk.require(Permission.EDIT_CUSTOMERS)
    _ = desk.gettext
    one = await queries.get_customer(desk.session, customer_id=customer_id)
    fields = [
        field("holder", _("Account holder"), value=one.name, help=_("Only the customer's own account counts.")),
        field("bank", _("Bank"), autofocus=True),
        field("number", _("Account number")),
        field("currency", _("Currency"), value="CNY"),
    ]
    return await _ask(desk, customer_id, _("Add a bank account"), fields, submit=_("Add"))


@post("/customers/{customer_id:uuid}/bank-accounts/new", status_code=303)
async def add_bank_account(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Note a bank account."""
    desk.require(Permission.EDIT_CUSTOMERS)
    _ = desk.gettext
    form = desk.form
    holder, bank = form.text("holder", _("Account holder")), form.text("bank", _("Bank"))
    number, currency = form.text("number", _("Account number"), longest=60), form.text("currency", _("Currency"), longest=3)
    form.check()
    await operations.add_bank_account(
        desk.session,
        customer_id=CustomerId(customer_id),
        holder=holder,
        bank=bank,
        number=number,
        currency=currency.upper(),
        actor=desk.actor,
        now=desk.now,
    )
    return await desk.done(f"{PATH}/{customer_id}", _("Bank account added"))


@get(["/customers/{customer_id:uuid}/contacts/{item_id:uuid}/remove", "/customers/{customer_id:uuid}/bank-accounts/{item_id:uuid}/remove"])
async def ask_remove(desk: NamedDependency[Desk], customer_id: FromPath[UUID], item_id: FromPath[UUID]) -> Page:
    """Ask once before something is taken out of use."""
    desk.require(Permission.EDIT_CUSTOMERS)
    _ = desk.gettext
    del item_id
    return await _ask(desk, customer_id, _("Remove?"), [], submit=_("Remove"), danger=True, note=_("It can be entered again."))


@post("/customers/{customer_id:uuid}/contacts/{item_id:uuid}/remove", status_code=303)
async def remove_contact(desk: NamedDependency[Desk], customer_id: FromPath[UUID], item_id: FromPath[UUID]) -> Page:
    """Take a contact out of use."""
    desk.require(Permission.EDIT_CUSTOMERS)
    if item_id not in {one.contact_id for one in await queries.contacts_of(desk.session, customer_id=customer_id)}:
        raise NotFound
    await operations.remove_contact(desk.session, contact_id=item_id, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{customer_id}", desk.gettext("Removed"))


@post("/customers/{customer_id:uuid}/bank-accounts/{item_id:uuid}/remove", status_code=303)
async def remove_bank_account(desk: NamedDependency[Desk], customer_id: FromPath[UUID], item_id: FromPath[UUID]) -> Page:
    """Take a bank account out of use."""
    desk.require(Permission.EDIT_CUSTOMERS)
    if item_id not in {one.bank_account_id for one in await queries.bank_accounts_of(desk.session, customer_id=customer_id)}:
        raise NotFound
    await operations.remove_bank_account(desk.session, bank_account_id=item_id, actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{customer_id}", desk.gettext("Removed"))


@get("/customers/{customer_id:uuid}/consents/new")
async def new_consent(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Ask what was declared, in which words, and where."""
    desk.require(Permission.EDIT_CUSTOMERS)
    _ = desk.gettext
    asked = [
        (f"{one.purpose}|{one.recipient}|{one.version}", f"{desk.either(one.title_zh, one.title_en)} ({one.version})")
        for one in await queries.wordings_asked(desk.session)
    ]
    places = await lookups.places(desk)
    fields = [
        select("asked", _("What the customer read"), asked, required=False, blank=_("Other words, named below")),
        field("purpose", _("Purpose"), required=False, help=_("For example: marketing, sharing with a partner.")),
        field("recipient", _("Recipient"), required=False, help=_("A partner's name; empty for ourselves.")),
        lookups.chips("granted", _("Declared"), [("1", _("Given")), ("0", _("Withdrawn"))], value="1"),
        select("station", _("Station"), places.options(), required=False, blank=_("At the office")),
        field("evidence", _("Evidence"), help=_("Where it is written: form, recording, page.")),
    ]
    return await _ask(desk, customer_id, _("Declare a consent"), fields, submit=_("Save"))


@post("/customers/{customer_id:uuid}/consents/new", status_code=303)
async def declare_consent(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Store a declaration."""
    desk.require(Permission.EDIT_CUSTOMERS)
    _ = desk.gettext
    form = desk.form
    evidence, station_id = form.text("evidence", _("Evidence")), form.uuid("station", _("Station"), required=False)
    chosen = form.raw("asked").split("|")
    wording: int | None = None
    if len(chosen) == _WORDING_PARTS and chosen[2].isdigit():
        purpose, recipient, wording = chosen[0], chosen[1], int(chosen[2])
    else:
        purpose, recipient = form.text("purpose", _("Purpose"), longest=100), form.raw("recipient")
    if station_id is not None and station_id not in (await lookups.places(desk)).stations:
        form.fault("station", _("Station"), _("is not one of the choices"))
    form.check()
    await operations.declare_consent(
        desk.session,
        customer_id=CustomerId(customer_id),
        purpose=purpose,
        recipient=recipient,
        granted=form.raw("granted") == "1",
        evidence=evidence,
        wording=wording,
        channel=ConsentChannel.OFFICE if station_id is None else ConsentChannel.COUNTER,
        station_id=station_id,
        actor=desk.actor,
        now=desk.now,
    )
    return await desk.done(f"{PATH}/{customer_id}", _("Saved"))


handlers = [
    new_document,
    add_document,
    ask_document,
    reveal_document,
    verify_document,
    remove_document,
    new_contact,
    add_contact,
    new_bank_account,
    add_bank_account,
    ask_remove,
    remove_contact,
    remove_bank_account,
    new_consent,
    declare_consent,
]
