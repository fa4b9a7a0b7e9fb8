"""Cards: found by number, tail, holder or plate; one card's page with its whole life."""

import contextlib
import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.authorizations.model import Status
from loyalty.authorizations.queries import HistoryLine, card_history
from loyalty.authorizations.reasons import Reason, say
from loyalty.card_numbers import plain_card_number
from loyalty.cards import queries
from loyalty.cards.model import PIN_TRIES, Card, CardEvent, CardStatus, EventKind
from loyalty.customers import queries as customers
from loyalty.customers.plates import InvalidPlate, read_plate
from loyalty.identity.rules import Permission
from loyalty.limits import queries as limits
from loyalty.paging import Page as Found
from loyalty.topups import queries as topups
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import AUTHORISATION, CARD_EVENT, CARD_STATUS, REACTION
from loyalty.web.office.limit_words import limit_words
from loyalty.web.office.lists import List, show, single, three
from loyalty.web.office.lookups import Places, field, select
from loyalty.web.office.parts import Act, Cell, Events, Facts, Part, Rows, Said

PATH = "/office/cards"


@get(three("/cards"))
async def cards(desk: NamedDependency[Desk]) -> Any:
    """List cards, or find them by number, last four digits, holder or plate."""
    desk.require(Permission.READ_CARDS)
    _ = desk.gettext
    listing = desk.listing(PATH, "-created", ["text", "status", "product", "station"])
    text = listing.filters["text"]
    products, places = await lookups.card_products(desk), await lookups.places(desk)
    status = desk.query.maybe_whole("status")
    wanted = CardStatus(status) if status is not None and 0 <= status <= 6 else None

    async def fetch(cursor: str | None, limit: int) -> Found[Card]:
        bare = plain_card_number(text)
        if text and not (bare.isdigit() and len(bare) == 4):
            return await single(await _search(desk, text))
        return await queries.list_cards(
            desk.session,
            status=wanted,
            product_id=desk.query.maybe_uuid("product"),
            station_id=desk.query.maybe_uuid("station"),
            tail=bare or None,
            descending=listing.sort.startswith("-"),
            cursor=cursor,
            limit=limit,
        )

    async def rows(found: Sequence[Card]) -> list[list[Cell]]:
        holders = await customers.names_of(desk.session, customer_ids={one.customer_id for one in found if one.customer_id})
        return [
            [
                cells.tail(desk, f"{PATH}/{one.card_id}", one.number_bin, one.number_tail),
                cells.link(desk, f"/office/customers/{one.customer_id}", holders.get(one.customer_id, "—"))
                if one.customer_id
                else cells.text(None),
                cells.text(one.holder_label),
                cells.plate(desk, one.plate),
                cells.text(products.get(one.product_id)),
                cells.tag(desk, one.status, CARD_STATUS),
                cells.text(places.names.get(one.station_id) if one.station_id else None),
                cells.when(desk, one.created_at),
            ]
            for one in found
        ]

    statuses = [(str(member.value), _(label[0])) for member, label in CARD_STATUS.items()]
    return await show(
        desk,
        List(
            title=_("Cards"),
            listing=listing,
            columns=[
                Column(_("Card")),
                Column(_("Customer")),
                Column(_("Holder")),
                Column(_("Plate")),
                Column(_("Product")),
                Column(_("Status")),
                Column(_("Station")),
                Column(_("Made"), sort="created"),
            ],
            fetch=fetch,
            rows=rows,
            filters=[
                field(
                    "text",
                    _("Find"),
                    value=text,
                    required=False,
                    placeholder=_("Number, last four, holder, plate"),
                    key="F1",
                    autofocus=True,
                ),
                select("status", _("Status"), statuses, value=listing.filters["status"], blank=_("All"), required=False),
                select(
                    "product",
                    _("Product"),
                    [(str(key), name) for key, name in products.items()],
                    value=listing.filters["product"],
                    blank=_("All"),
                    required=False,
                ),
                select("station", _("Station"), places.options(), value=listing.filters["station"], blank=_("All"), required=False),
            ],
            empty=_("No card found"),
            empty_then=_("Type the whole number, its last four digits, the holder's name, phone or plate."),
            name="cards",
        ),
    )


async def _search(desk: Desk, text: str) -> list[Card]:
    bare = plain_card_number(text)
    if bare.isdigit() and len(bare) >= 12:
        try:
            return [await queries.find_by_number(desk.session, number=bare)]
        except queries.CardNotFound:
            return []
    found: list[Card] = []
    with contextlib.suppress(InvalidPlate):
        found += await queries.cards_of_plate(desk.session, plate=read_plate(text).text)
    for hit in await customers.find_customers(desk.session, text=text, limit=20):
        found += await queries.cards_of_customer(desk.session, customer_id=hit.customer.customer_id)
    return list({one.card_id: one for one in found}.values())


@get("/cards/{card_id:uuid}")
async def card(desk: NamedDependency[Desk], card_id: FromPath[UUID]) -> Page:
    """Show one card: what it is, what it may, what happened."""
    desk.require(Permission.READ_CARDS)
    _ = desk.gettext
    one = await queries.get_card(desk.session, card_id=card_id)
    product = await queries.get_product(desk.session, product_id=one.product_id)
    places = await lookups.places(desk)
    name = await _holder(desk, one)
    number = f"{one.number_bin[:6]} •••• {one.number_tail}"
    base = f"{PATH}/{card_id}"
    locked = one.pin_tries >= PIN_TRIES
    top: list[Part] = []
    if locked:
        acts = [Act(_("Unlock"), f"{base}/unlock")] if desk.may(Permission.SERVE_CARDS) and not one.bearer else []
        top.append(
            Said(
                title=_("The PIN is locked on every channel"),
                tone="warn",
                then=_("A person unlocks it, having seen the holder's ID."),
                acts=acts,
            )
        )
    facts = _facts(desk, one, desk.either(product.name_zh, product.name_en), places)
    main: list[Part] = [
        await _limits(desk, one, base, places),
        *await _money(desk, one),
        *await _transactions(desk, one),
        await _events(desk, one, places),
    ]
    aside: list[Part] = [facts, await _issue(desk, one, places), *await _chain(desk, one)]
    return await desk.page(
        number,
        sub=name or _("Bearer"),
        crumbs=[(_("Cards"), PATH), (number, "")],
        tags=[cells.tag(desk, one.status, CARD_STATUS).show, *([desk.tag(_("PIN locked"), "bad")] if locked else [])],
        acts=_acts(desk, one, base),
        top=top,
        main=main,
        aside=aside,
    )


async def _holder(desk: Desk, one: Card) -> Any:
    if one.customer_id is None:
        return ""
    names = await customers.names_of(desk.session, customer_ids=[one.customer_id])
    return desk.link(f"/office/customers/{one.customer_id}", names.get(one.customer_id, "—"))


def _acts(desk: Desk, one: Card, base: str) -> list[Act]:
    _ = desk.gettext
    acts: list[Act] = []
    if not desk.may(Permission.SERVE_CARDS):
        return acts
    if one.status is CardStatus.ACTIVE:
        acts.append(Act(_("Suspend"), f"{base}/suspend"))
    if one.status is CardStatus.SUSPENDED:
        acts.append(Act(_("Let it live again"), f"{base}/resume", primary=True))
    if one.status in {CardStatus.ACTIVE, CardStatus.SUSPENDED} and not one.bearer:
        acts.append(Act(_("Report lost"), f"{base}/lost", danger=True))
    if one.status is CardStatus.LOST:
        acts.append(Act(_("Found again"), f"{base}/found", primary=True))
        acts.append(Act(_("Replace"), f"{base}/replace"))
    if one.status in {CardStatus.ACTIVE, CardStatus.SUSPENDED}:
        acts.append(Act(_("Holder and plate"), f"{base}/label"))
    if one.status in {CardStatus.ISSUED, CardStatus.ACTIVE, CardStatus.SUSPENDED, CardStatus.LOST} and desk.may(Permission.CLOSE_CARDS):
        acts.append(Act(_("Close"), f"{base}/close", danger=True))
    return acts


def _facts(desk: Desk, one: Card, product: str, places: Places) -> Facts:
    _ = desk.gettext
    tries = PIN_TRIES - one.pin_tries
    pin = _("locked") if tries <= 0 else _("set, %(tries)s tries left", tries=tries) if one.pin_verifier else _("not set")
    pairs: list[tuple[str, Any]] = [
        (_("Product"), product),
        (_("Status"), cells.tag(desk, one.status, CARD_STATUS).show),
        (_("PIN"), pin),
        (_("Plate"), cells.plate(desk, one.plate).show),
        (_("Holder"), one.holder_label or (_("Main card") if one.is_main else "—")),
        (_("Media expires"), desk.f.full_day(one.expires_on) if one.expires_on else _("never")),
        (_("Station"), places.names.get(one.station_id, "—") if one.station_id else _("Central stock")),
        (_("Issued"), cells.when(desk, one.issued_at).show),
        (_("Activated"), cells.when(desk, one.activated_at).show),
    ]
    if one.closed_at:
        pairs.append((_("Closed"), cells.when(desk, one.closed_at).show))
    return Facts(title=_("The card"), pairs=pairs)


async def _issue(desk: Desk, one: Card, places: Places) -> Facts:
    _ = desk.gettext
    issue = await queries.issue_of(desk.session, card_id=one.card_id)
    if issue is None:
        return Facts(title=_("Who developed it"), pairs=[(_("Issue"), _("not issued here"))])
    names = await lookups.people(desk, [issue.staff_id, issue.developed_by_staff_id])
    first = "—" if issue.first_load_minor is None else desk.f.money(issue.first_load_minor)
    return Facts(
        title=_("Who developed it"),
        pairs=[
            (_("Handed out by"), cells.named(names, issue.staff_id)),
            (_("Developed by"), cells.named(names, issue.developed_by_staff_id)),
            (_("Developed at"), cells.named(places.names, issue.developed_by_station_id)),
            (_("Flyer code"), issue.flyer_code or "—"),
            (_("First load"), first),
        ],
    )


async def _chain(desk: Desk, one: Card) -> list[Part]:
    _ = desk.gettext
    chain = await queries.chain_of(desk.session, chain_id=one.chain_id)
    if len(chain) < 2:
        return []
    return [
        Rows(
            title=_("Replacements"),
            columns=[Column(_("Card")), Column(_("Status"))],
            rows=[
                [
                    cells.tail(desk, f"{PATH}/{link.card_id}", link.number_bin, link.number_tail),
                    cells.tag(desk, link.status, CARD_STATUS),
                ]
                for link in chain
            ],
            empty="",
        )
    ]


async def _limits(desk: Desk, one: Card, base: str, places: Places) -> Rows:
    _ = desk.gettext
    edits = desk.may(Permission.EDIT_LIMITS) and one.status not in {CardStatus.BLANK, CardStatus.REPLACED, CardStatus.CLOSED}
    standing = await limits.standing_limits(desk.session, subject_id=one.chain_id)
    return Rows(
        title=_("Limits"),
        note=_("The most restrictive wins; a replacement card keeps them."),
        columns=[Column(_("Limit")), Column(_("Effect")), Column(_("Valid")), Column("")],
        rows=[
            [
                cells.text(limit_words(desk, limit, places)),
                cells.tag(desk, limit.reaction, REACTION),
                Cell(f"{desk.f.day(limit.valid_from)} – {desk.f.day(limit.valid_to) if limit.valid_to else ''}", limit.valid_from),
                Cell(desk.link(f"{base}/limits/{limit.limit_id}/end", _("Take away")) if edits else "", ""),
            ]
            for limit in standing
        ],
        empty=_("No limits of its own"),
        empty_then=_("The product's own limits hold, see its page."),
        acts=[Act(_("Add a limit"), f"{base}/limits/new")] if edits else [],
    )


async def _money(desk: Desk, one: Card) -> list[Part]:
    _ = desk.gettext
    if not one.account_id.int:
        return []
    balance = await topups.balance_of(desk.session, account_id=one.account_id, now=desk.now)
    money = desk.f.money
    return [
        Facts(
            title=_("Its account"),
            figures=True,
            pairs=[
                (_("Principal"), money(balance.principal_minor, balance.currency)),
                (_("Bonus"), money(balance.bonus_minor, balance.currency)),
                (_("On hold"), money(balance.held_minor, balance.currency)),
                (_("Owed"), money(balance.owed_minor, balance.currency)),
            ],
            total=(_("Available"), money(balance.available_minor, balance.currency)),
            acts=[Act(_("Ledger"), f"/office/accounts/{one.account_id}"), Act(_("Sales"), f"/office/sales?card={one.card_id}")]
            if desk.may(Permission.READ_LEDGER)
            else [],
        )
    ]


async def _transactions(desk: Desk, one: Card) -> list[Part]:
    """Return what was asked for, sold, given back and loaded with the card, the latest first."""
    _ = desk.gettext
    if not one.account_id.int or not desk.may(Permission.READ_LEDGER):
        return []
    found = await card_history(desk.session, account_id=one.account_id, card_id=one.card_id, cursor=desk.cursor, limit=20)
    balance = await topups.balance_of(desk.session, account_id=one.account_id, now=desk.now)
    base = f"{PATH}/{one.card_id}"
    return [
        Rows(
            title=_("Its transactions"),
            columns=[
                Column(_("When")),
                Column(_("What")),
                Column(_("Station")),
                Column(_("Product")),
                Column(_("Gross"), "num"),
                Column(_("By card"), "num"),
            ],
            rows=[_transaction(desk, line, balance.currency) for line in found.rows],
            empty=_("Nothing yet"),
            next=f"{base}?cursor={found.next}" if found.next else None,
            previous=f"{base}?cursor={found.previous}" if found.previous else None,
            pager=bool(found.next or found.previous),
        )
    ]


def _transaction(desk: Desk, line: HistoryLine, currency: str) -> list[Cell]:
    _ = desk.gettext
    when: Any = cells.when(desk, line.event_at).show
    label, tone = {
        "sale": (_("Sale"), ""),
        "refund": (_("Refund"), "warn"),
        "void": (_("Void"), "warn"),
        "topup": (_("Top-up"), "good"),
    }.get(line.kind, (_("Authorisation"), ""))
    if line.kind == "authorization":
        words, tone = AUTHORISATION[Status(int(line.status))]
        label = _(words)
        if line.reason:
            label = f"{label} · {_short(desk.either(*say(Reason(line.reason))))}"
    if line.kind == "sale":
        when = desk.link(f"/office/sales/{line.account_id}/{line.subject_id}", when)
    elif line.kind == "topup":
        when = desk.link(f"/office/top-ups/{line.subject_id}", when)
    name = lookups.product_name(desk, line.product_code, line.product_name_zh, line.product_name_en) if line.product_code else None
    moved = {"sale": -line.card_minor, "refund": line.card_minor, "void": line.card_minor, "topup": line.card_minor}.get(line.kind)
    return [
        Cell(when, line.event_at),
        Cell(desk.tag(label, tone), label),
        cells.text(desk.either(line.station_name_zh or "", line.station_name_en or "")),
        cells.text(name),
        cells.money(desk, line.amount_minor, currency),
        cells.money(desk, moved, currency, sign=True),
    ]


def _short(sentence: str) -> str:
    """Return how a refusal begins, which is what a tag has room for: the rest names figures that were true at that moment."""
    return re.split(r"[:：（(。，{]|\. ", sentence, maxsplit=1)[0].strip().rstrip(".")


async def _events(desk: Desk, one: Card, places: Places) -> Events:
    _ = desk.gettext
    found = await queries.history(desk.session, card_id=one.card_id, limit=100)
    names = await lookups.people(desk, [UUID(event.actor_id) for event in found.rows if event.actor_kind.value == "staff"])
    return Events(
        title=_("History"),
        events=[_event(desk, event, places, names) for event in found.rows],
        empty=_("Nothing yet: it lies in stock"),
    )


def _event(desk: Desk, event: CardEvent, places: Places, names: dict[UUID, str]) -> dict[str, str]:
    _ = desk.gettext
    title, tone = _(CARD_EVENT[event.kind]), "info"
    if event.kind is EventKind.MOVED and event.moved_to is not None:
        label, tone = CARD_STATUS[event.moved_to]
        title = _(label)
    notes = [
        lookups.actor_name(desk, (event.actor_kind, event.actor_id), names),
        places.names.get(event.station_id, "") if event.station_id else "",
        lookups.noted(desk, event.reason),
    ]
    return lookups.happening(desk, event.happened_at, title, notes, tone=tone)


handlers = [cards, card]
