"""One account's ledger; what is owed to all holders at an instant; what went through the house's own accounts."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty import clock
from loyalty.authorizations.model import Status
from loyalty.authorizations.queries import OpenAuthorization, open_authorizations
from loyalty.cards import queries as cards
from loyalty.customers import queries as customers
from loyalty.identity.rules import Permission
from loyalty.ledger import queries
from loyalty.ledger.model import Account, AccountStatus, PurseKind, Transfer, TransferKind
from loyalty.ledger.queries import HouseMovement
from loyalty.ledger.rules import PurseView
from loyalty.money import POINTS
from loyalty.paging import Page as Found
from loyalty.topups import queries as topups
from loyalty.topups.model import FreezeStatus
from loyalty.web.benefits import conditions_of
from loyalty.web.exports import Money
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk
from loyalty.web.office.labels import ACCOUNT_KIND, ACCOUNT_STATUS, AUTHORISATION, CARD_STATUS, HOUSE, PURSE_KIND, TENDER, TRANSFER_KIND
from loyalty.web.office.lists import List, show, single, three
from loyalty.web.office.lookups import field
from loyalty.web.office.parts import Act, Cell, Part, Rows, Said, Tile, Tiles

PATH = "/office/accounts"


@get(["/accounts/{account_id:uuid}", *three("/accounts/{account_id:uuid}/ledger")])
async def account(desk: NamedDependency[Desk], account_id: FromPath[UUID]) -> Any:
    """Show an account: purses, cards, open authorisations, and every transfer with the balance after it."""
    desk.require(Permission.READ_LEDGER)
    _ = desk.gettext
    one = await queries.get_account(desk.session, account_id=account_id)
    purses = await queries.purses_of(desk.session, account_id=account_id)
    listing = desk.listing(f"{PATH}/{account_id}/ledger", "", [])
    title = await _title(desk, one)

    async def fetch(cursor: str | None, limit: int) -> Found[Transfer]:
        return await queries.list_transfers(desk.session, account_id=account_id, cursor=cursor, limit=limit)

    async def rows(found: Sequence[Transfer]) -> list[list[Cell]]:
        return await _transfer_rows(desk, one, purses, found)

    return await show(
        desk,
        List(
            title=title,
            sub=_(ACCOUNT_KIND[one.kind][0]),
            crumbs=await _crumbs(desk, one, title),
            listing=listing,
            columns=[
                Column(_("Booked")),
                Column(_("Happened")),
                Column(_("What")),
                Column(_("From")),
                Column(_("To")),
                Column(_("Amount"), "num"),
                Column(_("Balance after"), "num"),
            ],
            fetch=fetch,
            rows=rows,
            acts=_acts(desk, one),
            top=await _account_top(desk, one, purses),
            empty=_("Nothing booked yet"),
            name="ledger",
        ),
    )


async def _title(desk: Desk, one: Account) -> str:
    if one.customer_id is None:
        return desk.gettext("Account %(end)s", end=str(one.account_id)[-6:])
    names = await customers.names_of(desk.session, customer_ids=[one.customer_id])
    return f"{names.get(one.customer_id, '—')} · {one.currency}"


async def _crumbs(desk: Desk, one: Account, title: str) -> list[tuple[str, str]]:
    if one.customer_id is None:
        return [(desk.gettext("Cards"), "/office/cards"), (title, "")]
    return [
        (desk.gettext("Customers"), "/office/customers"),
        (title.partition(" · ")[0], f"/office/customers/{one.customer_id}"),
        (title, ""),
    ]


def _acts(desk: Desk, one: Account) -> list[Act | None]:
    _ = desk.gettext
    acts: list[Act | None] = []
    if desk.may(Permission.MAKE_ADJUSTMENTS):
        acts.append(Act(_("Adjust"), f"/office/adjustments/new?account={one.account_id}"))
    if desk.may(Permission.FREEZE_ACCOUNTS) and one.status is not AccountStatus.CLOSED:
        acts.append(Act(_("Freeze the account"), f"/office/freezes/new?account={one.account_id}", danger=True))
    return acts


async def _account_top(desk: Desk, one: Account, purses: Sequence[PurseView]) -> list[Part]:
    _ = desk.gettext
    balance = await topups.balance_of(desk.session, account_id=one.account_id, now=desk.now)
    money = desk.f.money
    top: list[Part] = []
    if one.status is not AccountStatus.OPEN:
        freezes = await topups.list_freezes(desk.session, status=FreezeStatus.ACTIVE, account_id=one.account_id)
        orders = "; ".join(f"{freeze.authority} {freeze.document}" for freeze in freezes.rows)
        top.append(Said(title=_(ACCOUNT_STATUS[one.status][0]), tone="bad" if one.status is AccountStatus.FROZEN else "info", then=orders))
    top.append(
        Tiles(
            [
                Tile(_("Available"), money(balance.available_minor, balance.currency)),
                Tile(_("Principal"), money(balance.principal_minor, balance.currency)),
                Tile(_("Bonus"), money(balance.bonus_minor, balance.currency)),
                Tile(_("On hold"), money(balance.held_minor, balance.currency), tone="warn" if balance.held_minor else ""),
                Tile(_("Owed"), money(balance.owed_minor, balance.currency), tone="bad" if balance.owed_minor else ""),
            ]
        )
    )
    if len(purses) > 1:
        top.append(await _purses(desk, purses))
    held = await open_authorizations(desk.session, now=desk.now, account_id=one.account_id, limit=50)
    if held.rows:
        top.append(await authorisations_part(desk, held.rows))
    top.append(await _cards(desk, one))
    return top


async def _purses(desk: Desk, purses: Sequence[PurseView]) -> Rows:
    _ = desk.gettext
    only = await conditions_of(desk.session, purses=purses, f=desk.f, words=desk.words)
    return Rows(
        title=_("Purses"),
        columns=[
            Column(_("Kind")),
            Column(_("Expires")),
            *([Column(_("May be spent on"))] if only else []),
            Column(_("Balance"), "num"),
            Column(_("On hold"), "num"),
            Column(_("Free"), "num"),
        ],
        rows=[
            [
                cells.tag(desk, PurseKind(purse.kind), PURSE_KIND),
                cells.when(desk, purse.expires_at),
                *([cells.text(only.get(purse.purse_id))] if only else []),
                cells.money(desk, purse.balance_minor, purse.unit),
                cells.money(desk, purse.held_minor, purse.unit),
                cells.money(desk, purse.available_minor, purse.unit),
            ]
            for purse in purses
        ],
        empty="",
    )


async def _cards(desk: Desk, one: Account) -> Rows:
    _ = desk.gettext
    held = await cards.cards_of_account(desk.session, account_id=one.account_id)
    return Rows(
        title=_("Cards"),
        columns=[Column(_("Card")), Column(_("Holder")), Column(_("Plate")), Column(_("Status"))],
        rows=[
            [
                cells.tail(desk, f"/office/cards/{card.card_id}", card.number_bin, card.number_tail),
                cells.text(card.holder_label),
                cells.plate(desk, card.plate),
                cells.tag(desk, card.status, CARD_STATUS),
            ]
            for card in held[:50]
        ],
        empty=_("No card"),
    )


async def authorisations_part(desk: Desk, found: Sequence[OpenAuthorization], *, title: str = "") -> Rows:
    """Draw open authorisations."""
    _ = desk.gettext
    names = await lookups.products_by_code(desk)
    return Rows(
        title=title or _("Open authorisations"),
        columns=authorisation_columns(desk),
        rows=[authorisation_row(desk, one, names) for one in found],
        empty=_("None"),
    )


def authorisation_columns(desk: Desk) -> list[Column]:
    """Return the heads of a table of open authorisations."""
    _ = desk.gettext
    return [
        Column(_("When")),
        Column(_("Station")),
        Column(_("Till")),
        Column(_("Card")),
        Column(_("Product")),
        Column(_("Approved"), "num"),
        Column(_("On hold"), "num"),
        Column(_("Status")),
    ]


def authorisation_row(desk: Desk, one: OpenAuthorization, products: Mapping[str, str]) -> list[Cell]:
    """Return one open authorisation as a row; `products` are names by code."""
    when = cells.when(desk, one.event_at)
    return [
        Cell(desk.link(f"/office/unresolved/{one.account_id}/{one.authorization_id}", when.show), when.export),
        cells.text(desk.either(one.station_name_zh, one.station_name_en)),
        cells.text(one.terminal_code),
        cells.link(desk, f"/office/cards/{one.card_id}", f"•••• {one.card_tail}") if one.card_id else cells.text(None),
        cells.text(products.get(one.product_code or "", one.product_code)),
        cells.money(desk, one.approved_minor, one.currency),
        cells.money(desk, one.held_minor, one.currency),
        cells.tag(desk, Status(one.status), AUTHORISATION),
    ]


async def _transfer_rows(desk: Desk, one: Account, purses: Sequence[PurseView], found: Sequence[Transfer]) -> list[list[Cell]]:
    """Return transfers with the balance after each, reckoned backwards from the present one."""
    _ = desk.gettext
    if not found:
        return []
    mine = {purse.purse_id: PurseKind(purse.kind) for purse in purses}
    later = await queries.moved_since(desk.session, account_id=one.account_id, transfer_id=found[0].transfer_id)
    running = {
        unit: sum(purse.balance_minor for purse in purses if purse.unit == unit) - later.get(unit, 0) for unit in {p.unit for p in purses}
    }
    places = [place for transfer in found for place in (transfer.debit_id, transfer.credit_id) if place not in mine]
    houses = await queries.house_names(desk.session, house_ids=list(set(places)))
    stations = (await lookups.places(desk)).names

    def name(place: UUID) -> str:
        if place in mine:
            return _(PURSE_KIND[mine[place]][0])
        code, reference = houses.get(place, (None, ""))
        return house_words(desk, code, reference, stations) if code else "—"

    rows = []
    for transfer in found:
        change = (transfer.credit_id in mine) - (transfer.debit_id in mine)
        after = running.get(transfer.unit, 0)
        running[transfer.unit] = after - change * transfer.amount_minor
        amount = change * transfer.amount_minor if change else transfer.amount_minor
        unit = transfer.unit
        label, tone = TRANSFER_KIND[transfer.kind]
        what = desk.tag(_(label), tone)
        href = _operation_href(one, transfer)
        rows.append(
            [
                cells.when(desk, transfer.booked_at),
                cells.when(desk, transfer.event_at),
                Cell(desk.link(href, what) if href else what, _(label)),
                cells.text(name(transfer.debit_id)),
                cells.text(name(transfer.credit_id)),
                Cell(desk.f.money(amount, unit, sign=bool(change)), Money(amount, unit)),
                Cell(desk.f.money(after, unit) if change else "", Money(after, unit) if change else None),
            ]
        )
    return rows


def _operation_href(one: Account, transfer: Transfer) -> str:
    if transfer.kind is TransferKind.LOAD:
        return f"/office/top-ups/{transfer.operation_id}"
    sales = {"SALE", "DISCOUNT", "TENDER"}
    return f"/office/sales/{one.account_id}/{transfer.operation_id}" if transfer.kind.name in sales else ""


def house_words(desk: Desk, code: Any, reference: str, stations: dict[UUID, str]) -> str:
    """Say a house account: its kind, and the station, tender or funder it stands for."""
    _ = desk.gettext
    words = [_(HOUSE[code])]
    known = {member.value: _(label[0]) for member, label in TENDER.items()}
    known |= {"bank_card": _("Bank card"), "voucher": _("Voucher"), "head-office": _("Head office")}
    for part in reference.split(":"):
        try:
            words.append(stations.get(UUID(part), part[:8]))
        except ValueError:
            words.append(known.get(part, part))
    return " · ".join(word for word in words if word)


def _tabs(desk: Desk, here: str) -> list[tuple[str, str, bool, int]]:
    _ = desk.gettext
    return [(_("Liability"), "/office/liability", here == "liability", 0), (_("House accounts"), "/office/house", here == "house", 0)]


@get(three("/liability"))
async def liability(desk: NamedDependency[Desk]) -> Any:
    """Say what was owed to all holders at an instant, to the fen."""
    desk.require(Permission.READ_LIABILITY)
    _ = desk.gettext
    at = desk.query.instant("at", required=False) or desk.now - timedelta(seconds=1)
    at = min(at, desk.now).replace(microsecond=at.microsecond // 1000 * 1000)
    listing = desk.listing("/office/liability", "", ["at"])
    names = await lookups.card_products(desk)
    top: list[Part] = []
    found: list[tuple[UUID | None, str, PurseKind, int]] = []
    try:
        found = await queries.liability_by_product(desk.session, instant=at)
    except queries.InstantNotSettled as refusal:
        said, then = refusal.parts(desk.words.locale)
        top.append(Said(title=said, then=then, tone="warn", acts=[Act(_("Try again"), desk.request.url.path)]))
    lines = [line for line in found if line[1] != POINTS]
    top.append(_liability_tiles(desk, lines))

    async def fetch(_cursor: str | None, _limit: int) -> Found[tuple[UUID | None, str, PurseKind, int]]:
        return await single(lines)

    async def rows(some: Sequence[tuple[UUID | None, str, PurseKind, int]]) -> list[list[Cell]]:
        return [
            [
                cells.text(names.get(product, "—") if product else _("Company accounts")),
                cells.tag(desk, kind, PURSE_KIND),
                cells.text(unit),
                cells.money(desk, amount, unit),
            ]
            for product, unit, kind, amount in some
        ]

    return await show(
        desk,
        List(
            title=_("Liability"),
            sub=_("What the house owed its holders at %(at)s, from everything booked before", at=desk.f.instant(at)),
            listing=listing,
            columns=[Column(_("Card product")), Column(_("Purse")), Column(_("Currency")), Column(_("Owed to holders"), "num")],
            fetch=fetch,
            rows=rows,
            filters=[
                field("at", _("At"), type="datetime-local", value=lookups.local_input(desk, at), required=False, attrs={"step": "1"}),
            ],
            top=top,
            tabs=_tabs(desk, "liability"),
            empty=_("Nothing was owed"),
            name="liability",
        ),
    )


def _liability_tiles(desk: Desk, lines: Sequence[tuple[UUID | None, str, PurseKind, int]]) -> Tiles:
    _ = desk.gettext
    sums: dict[tuple[str, PurseKind], int] = {}
    for _product, unit, kind, amount in lines:
        sums[unit, kind] = sums.get((unit, kind), 0) + amount
    tiles = []
    for unit in sorted({unit for unit, _kind in sums}):
        whole = sum(amount for (one, _kind), amount in sums.items() if one == unit)
        tiles.append(Tile(_("All together"), desk.f.money(whole, unit)))
        tiles += [
            Tile(_(PURSE_KIND[kind][0]), desk.f.money(amount, unit), tone="bad" if amount < 0 else "")
            for (one, kind), amount in sorted(sums.items(), key=lambda item: item[0][1])
            if one == unit
        ]
    return Tiles(tiles)


@get(three("/house"))
async def house(desk: NamedDependency[Desk]) -> Any:
    """Sum what went through the house's own accounts in a span of days."""
    desk.require(Permission.READ_LIABILITY)
    _ = desk.gettext
    since, until = desk.query.days("since", "until")
    begin, end = _month_to_date(desk)
    since, until = since or begin, until or end
    listing = desk.listing("/office/house", "", ["since", "until"])
    stations = (await lookups.places(desk)).names
    found = await queries.house_movements(desk.session, since=since, until=until)

    async def fetch(_cursor: str | None, _limit: int) -> Found[HouseMovement]:
        return await single(found)

    async def rows(some: Sequence[HouseMovement]) -> list[list[Cell]]:
        return [
            [
                cells.text(house_words(desk, one.code, one.reference, stations)),
                cells.text(one.currency),
                cells.money(desk, one.debit_minor, one.currency),
                cells.money(desk, one.credit_minor, one.currency),
                cells.money(desk, one.credit_minor - one.debit_minor, one.currency, sign=True),
                cells.count(desk, one.transfers),
            ]
            for one in some
        ]

    return await show(
        desk,
        List(
            title=_("House accounts"),
            sub=_("Booked from %(since)s to %(until)s", since=desk.f.instant(since), until=desk.f.instant(until)),
            listing=listing,
            columns=[
                Column(_("Account")),
                Column(_("Currency")),
                Column(_("Debit"), "num"),
                Column(_("Credit"), "num"),
                Column(_("Net"), "num"),
                Column(_("Transfers"), "num"),
            ],
            fetch=fetch,
            rows=rows,
            filters=[
                field("since", _("From"), type="date", value=listing.filters["since"], required=False),
                field("until", _("To"), type="date", value=listing.filters["until"], required=False),
            ],
            tabs=_tabs(desk, "house"),
            empty=_("Nothing moved"),
            name="house-accounts",
        ),
    )


def _month_to_date(desk: Desk) -> tuple[datetime, datetime]:
    today = clock.local_date(desk.now, desk.zone)
    return clock.day_bounds(clock.month_start(today), desk.zone)[0], clock.day_bounds(today, desk.zone)[1]


handlers = [account, liability, house]
