"""One customer whole: who it is, documents, contacts, cards, accounts, and what happened to the record."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup

from loyalty.audit.queries import EntryFilter, list_entries
from loyalty.cards import queries as cards
from loyalty.cards.model import Card
from loyalty.customers import queries
from loyalty.customers.model import CustomerKind, CustomerStatus
from loyalty.customers.queries import CustomerView
from loyalty.identity.rules import Permission
from loyalty.topups import queries as topups
from loyalty.web.documents import DOCUMENTS
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.agreements import agreements_part
from loyalty.web.office.company_points import company_points_part
from loyalty.web.office.customer_rewards import rewards_parts
from loyalty.web.office.customers import PATH
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.fleets import fleet_part
from loyalty.web.office.labels import CARD_STATUS, CONSENT_CHANNEL, CONTACT_ROLE, CUSTOMER_KIND, CUSTOMER_STATUS, WARNED
from loyalty.web.office.parts import Act, Cell, Events, Facts, Part, Rows, Said
from loyalty.web.office.tiers import standing_part


@get("/customers/{customer_id:uuid}")
async def customer(desk: NamedDependency[Desk], customer_id: FromPath[UUID]) -> Page:
    """Show one customer whole."""
    desk.require(Permission.READ_CUSTOMERS)
    _ = desk.gettext
    one = await queries.get_customer(desk.session, customer_id=customer_id)
    base = f"{PATH}/{customer_id}"
    edits = desk.may(Permission.EDIT_CUSTOMERS) and one.status is CustomerStatus.ACTIVE
    held = await cards.cards_of_customer(desk.session, customer_id=customer_id)
    top: list[Part] = []
    if one.merged_into is not None:
        stands = await queries.survivor_of(desk.session, customer_id=customer_id)
        top.append(
            Said(
                title=_("This record was merged"),
                then=_("Another record stands for this customer."),
                acts=[Act(_("Go there"), f"{PATH}/{stands}")],
            )
        )
    main: list[Part] = [await _cards_part(desk, held), await _accounts_part(desk, held)]
    if one.kind is CustomerKind.ORGANISATION:
        main.append(await agreements_part(desk, customer_id))
        main.append(await company_points_part(desk, customer_id))
    main += await rewards_parts(desk, customer_id)
    main.append(await _history(desk, customer_id))
    aside: list[Part] = [
        _identity(desk, one, base, edits=edits),
        await standing_part(desk, customer_id),
        await _documents(desk, customer_id, base, edits=edits),
        *await _belongings(desk, one, base, edits=edits),
    ]
    if one.kind is CustomerKind.ORGANISATION:
        aside.insert(1, await fleet_part(desk, one))
    acts: list[Act | None] = [Act(_("Edit"), f"{base}/edit") if edits else None]
    if desk.may(Permission.EDIT_CUSTOMERS) and one.status is CustomerStatus.CLOSED:
        acts.append(Act(_("Reopen"), f"{base}/reopen"))
    elif edits:
        acts.append(Act(_("Close"), f"{base}/close", danger=True))
    return await desk.page(
        one.name,
        sub=desk.gettext(CUSTOMER_KIND[one.kind][0]),
        crumbs=[(_("Customers"), PATH), (one.name, "")],
        tags=[cells.tag(desk, one.status, CUSTOMER_STATUS).show, *([desk.tag(one.segment, "info")] if one.segment else [])],
        acts=acts,
        top=top,
        main=main,
        aside=aside,
    )


def _identity(desk: Desk, one: CustomerView, base: str, *, edits: bool) -> Facts:
    _ = desk.gettext
    pairs: list[tuple[str, Any]] = [
        (_("Phone"), one.phone or "—"),
        (_("Mail"), one.email or "—"),
        (_("Address"), one.address or "—"),
    ]
    if one.kind is CustomerKind.PERSON:
        pairs.append((_("Birthday"), desk.f.full_day(one.birthday)))
    pairs += [
        (_("Flyer code"), one.flyer_code or "—"),
        (_("First load"), "—" if one.first_load_minor is None else desk.f.money(one.first_load_minor, one.first_load_currency or "CNY")),
        (_("Customer since"), desk.f.full_day(one.created_at)),
    ]
    return Facts(title=_("Who it is"), pairs=pairs, acts=[Act(_("Edit"), f"{base}/edit")] if edits else [])


async def _documents(desk: Desk, customer_id: UUID, base: str, *, edits: bool) -> Rows:
    _ = desk.gettext
    rows = []
    for one in await queries.identifiers_of(desk.session, customer_id=customer_id):
        acts = []
        if desk.may(Permission.VIEW_ID_NUMBER):
            acts.append(desk.link(f"{base}/documents/{one.identifier_id}/reveal", _("Show the number")))
        if edits and one.verified_at is None:
            acts.append(desk.link(f"{base}/documents/{one.identifier_id}/verify", _("Verify")))
        if edits:
            acts.append(desk.link(f"{base}/documents/{one.identifier_id}/remove", _("Remove")))
        state = desk.tag(_("Verified"), "good") if one.verified_at else desk.tag(_("Typed only"), "warn")
        warned = "; ".join(_(WARNED[warning]) for warning in one.warnings)
        rows.append(
            [
                cells.text(_(DOCUMENTS[one.type])),
                Cell(f"•••• {one.tail}", one.tail),
                Cell(desk.macro("ui").tag(warned, "warn") if warned and not one.verified_at else state, ""),
                Cell(_joined(acts), ""),
            ]
        )
    return Rows(
        title=_("Documents"),
        columns=[Column(_("Kind")), Column(_("Number")), Column(_("State")), Column("")],
        rows=rows,
        empty=_("No document yet"),
        empty_then=_("A registered card needs a verified one."),
        acts=[Act(_("Add"), f"{base}/documents/new")] if edits else [],
    )


def _joined(links: Sequence[Any]) -> Any:
    return Markup(" · ").join(links) if links else ""


async def _belongings(desk: Desk, one: CustomerView, base: str, *, edits: bool) -> list[Part]:
    _ = desk.gettext
    parts: list[Part] = []
    if one.kind is CustomerKind.ORGANISATION:
        contacts = await queries.contacts_of(desk.session, customer_id=one.customer_id)
        parts.append(
            Rows(
                title=_("Contacts"),
                columns=[Column(_("Role")), Column(_("Name")), Column(_("Phone")), Column("")],
                rows=[
                    [
                        cells.text(_(CONTACT_ROLE[contact.role])),
                        cells.text(contact.name),
                        cells.text(contact.phone),
                        Cell(desk.link(f"{base}/contacts/{contact.contact_id}/remove", _("Remove")) if edits else "", ""),
                    ]
                    for contact in contacts
                ],
                empty=_("Nobody named"),
                acts=[Act(_("Add"), f"{base}/contacts/new")] if edits else [],
            )
        )
    accounts = await queries.bank_accounts_of(desk.session, customer_id=one.customer_id)
    parts.append(
        Rows(
            title=_("Bank accounts"),
            columns=[Column(_("Bank")), Column(_("Number")), Column(_("Currency")), Column("")],
            rows=[
                [
                    cells.text(bank.bank),
                    Cell(f"•••• {bank.tail}", bank.tail),
                    cells.text(bank.currency),
                    Cell(desk.link(f"{base}/bank-accounts/{bank.bank_account_id}/remove", _("Remove")) if edits else "", ""),
                ]
                for bank in accounts
            ],
            empty=_("None known"),
            acts=[Act(_("Add"), f"{base}/bank-accounts/new")] if edits else [],
        )
    )
    parts.append(await _consents_part(desk, one.customer_id, f"{base}/consents/new" if edits else ""))
    merges = await queries.merges_of(desk.session, customer_id=one.customer_id)
    if merges:
        names = await queries.names_of(desk.session, customer_ids=[merge.merged_id for merge in merges])
        undoes = desk.may(Permission.MERGE_CUSTOMERS)
        parts.append(
            Rows(
                title=_("Merges"),
                columns=[Column(_("Record")), Column(_("When")), Column("")],
                rows=[
                    [
                        cells.link(desk, f"{PATH}/{merge.merged_id}", names.get(merge.merged_id, "")),
                        cells.when(desk, merge.merged_at),
                        Cell(
                            _("undone")
                            if merge.undone_at
                            else desk.link(f"/office/merges/{merge.merge_id}/undo", _("Undo"))
                            if undoes
                            else "",
                            "",
                        ),
                    ]
                    for merge in merges
                ],
                empty="",
            )
        )
    return parts


async def _consents_part(desk: Desk, customer_id: UUID, new: str) -> Rows:
    """Return what the customer agreed to: what for, to whom, in which words, where it was said and who wrote it down."""
    _ = desk.gettext
    found = await queries.consents_of(desk.session, customer_id=customer_id, at=desk.now)
    names = await lookups.people(desk, [consent.staff_id for consent in found])
    places = await lookups.places(desk)
    return Rows(
        title=_("Consents"),
        columns=[Column(_("Purpose")), Column(_("State")), Column(_("Since")), Column(_("Words read")), Column(_("Where and by whom"))],
        rows=[
            [
                cells.text(consent.purpose + (f" → {consent.recipient}" if consent.recipient else "")),
                Cell(desk.tag(_("Given"), "good") if consent.granted else desk.tag(_("Withdrawn"), "warn"), consent.granted),
                cells.when(desk, consent.declared_at),
                cells.text(consent.evidence if consent.wording is None else _("version %(version)s", version=consent.wording)),
                cells.text(
                    " · ".join(
                        part
                        for part in (
                            _(CONSENT_CHANNEL[consent.channel]) if consent.station_id is None else places.names.get(consent.station_id, ""),
                            names.get(consent.staff_id, "") if consent.staff_id else "",
                        )
                        if part
                    )
                ),
            ]
            for consent in found
        ],
        empty=_("None declared: silence is no"),
        acts=[Act(_("Declare"), new)] if new else [],
    )


async def _cards_part(desk: Desk, held: Sequence[Card]) -> Rows:
    _ = desk.gettext
    names = await lookups.card_products(desk)
    return Rows(
        title=_("Cards"),
        columns=[Column(_("Card")), Column(_("Product")), Column(_("Holder")), Column(_("Plate")), Column(_("Status"))],
        rows=[
            [
                cells.tail(desk, f"/office/cards/{card.card_id}", card.number_bin, card.number_tail),
                cells.text(names.get(card.product_id)),
                cells.text(card.holder_label or (_("Main card") if card.is_main else None)),
                cells.plate(desk, card.plate),
                cells.tag(desk, card.status, CARD_STATUS),
            ]
            for card in held
        ],
        empty=_("No card yet"),
        empty_then=_("Cards are issued at a station's counter."),
    )


async def _accounts_part(desk: Desk, held: Sequence[Card]) -> Rows:
    _ = desk.gettext
    rows = []
    ids = dict.fromkeys(card.account_id for card in held if card.account_id.int)
    for account_id in ids:
        balance = await topups.balance_of(desk.session, account_id=account_id, now=desk.now)
        number = sum(1 for card in held if card.account_id == account_id)
        rows.append(
            [
                cells.link(desk, f"/office/accounts/{account_id}", f"{balance.currency} · {str(account_id)[-6:]}"),
                cells.count(desk, number),
                cells.money(desk, balance.principal_minor, balance.currency),
                cells.money(desk, balance.bonus_minor, balance.currency),
                cells.money(desk, balance.held_minor, balance.currency),
                cells.money(desk, balance.owed_minor, balance.currency),
                cells.money(desk, balance.available_minor, balance.currency),
            ]
        )
    return Rows(
        title=_("Accounts"),
        columns=[
            Column(_("Account")),
            Column(_("Cards"), "num"),
            Column(_("Principal"), "num"),
            Column(_("Bonus"), "num"),
            Column(_("On hold"), "num"),
            Column(_("Owed"), "num"),
            Column(_("Available"), "num"),
        ],
        rows=rows,
        empty=_("No account yet"),
    )


async def _history(desk: Desk, customer_id: UUID) -> Events:
    """Return what happened to the record, from the trail."""
    _ = desk.gettext
    wanted = EntryFilter(subject_kind="customer", subject_id=customer_id)
    found = await list_entries(desk.session, wanted=wanted, limit=20)
    names = await lookups.people(desk, [UUID(one.actor_id) for one in found.rows if one.actor_kind.value == "staff"])
    return Events(
        title=_("History"),
        events=[
            lookups.happening(
                desk,
                one.at,
                lookups.action_words(desk, one.action),
                [lookups.actor_name(desk, (one.actor_kind, one.actor_id), names)],
            )
            for one in found.rows
        ],
        empty=_("Nothing yet"),
    )


handlers = [customer]
