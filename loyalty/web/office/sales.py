"""Sales: browsed by filter, traced from receipt to transfers, refunded by permission."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.authorizations.facts import Place
from loyalty.authorizations.model import Flag, Flow, SaleStatus
from loyalty.authorizations.operations.refunds import refund_sale
from loyalty.authorizations.queries import (
    SaleFilter,
    SaleLine,
    SaleView,
    get_sale,
    list_sales,
)
from loyalty.errors import NotFound
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.web.benefits import PRICED, Teller, item_names, items_of, surcharge_minor, tier_names
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import FLAG, FLOW, PURSE_KIND, SALE_STATUS, TENDER, TRANSFER_KIND
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field, hidden, select
from loyalty.web.office.parts import Act, Cell, Facts, Part, Rows, Said
from loyalty.web.office.sale_amounts import amount_parts
from loyalty.web.office.sale_benefits import benefit_parts, other_parts
from loyalty.web.office.sale_said import said_parts

PATH = "/office/sales"


def sales_in_reach(desk: Desk) -> frozenset[UUID] | None:
    """Return the stations whose sales the reader sees: who reads the ledger, and who gives refunds, at theirs; None is all.

    :raises NotAllowed: if it is nobody of these
    """
    return desk.reachable(Permission.READ_LEDGER if desk.may(Permission.READ_LEDGER) else Permission.REFUND_SALE)


async def place_at(desk: Desk, terminal_id: UUID) -> Place:
    """Return a till as the pump knows it.

    :raises NotFound: if it knows none
    """
    place: Place | None = await desk.request.app.state.pump.place_of(terminal_id)
    if place is None:
        raise NotFound
    return place


@get(three("/sales"))
async def sales(desk: NamedDependency[Desk]) -> Any:
    """List sales by station, till, time, card, flag and status."""
    reachable = sales_in_reach(desk)
    _ = desk.gettext
    listing = desk.listing(PATH, "-booked", ["station", "since", "until", "status", "flag", "flow", "card", "terminal", "staff"])
    filters = listing.filters
    places = await lookups.places(desk)
    since, until = desk.query.days("since", "until")

    async def fetch(cursor: str | None, limit: int) -> Found[SaleLine]:
        by = SaleFilter(
            station_id=desk.query.maybe_uuid("station"),
            terminal_id=desk.query.maybe_uuid("terminal"),
            card_id=desk.query.maybe_uuid("card"),
            staff_id=desk.query.maybe_uuid("staff"),
            statuses=_status(desk),
            flag=_flag(desk),
            flow=_flow(desk),
            booked_from=since,
            booked_to=until,
            reachable=reachable,
        )
        return await list_sales(desk.session, by=by, descending=listing.sort.startswith("-"), cursor=cursor, limit=limit)

    async def rows(found: Sequence[SaleLine]) -> list[list[Cell]]:
        return [_row(desk, one) for one in found]

    def marks(found: Sequence[SaleLine]) -> dict[int, str]:
        return {index: "warn" for index, one in enumerate(found) if one.flags} | {
            index: "off" for index, one in enumerate(found) if one.status == SaleStatus.VOIDED
        }

    def totals(found: Sequence[SaleLine]) -> list[Cell]:
        currencies = {one.currency for one in found}
        if len(currencies) != 1:
            return [cells.text(""), *[Cell("", "") for _index in range(9)]]
        currency = currencies.pop()
        quantity = sum(one.quantity_milli for one in found)
        sums = [sum(one.gross_minor for one in found), -sum(one.discount_minor for one in found), sum(one.card_minor for one in found)]
        return [
            Cell(_("This page"), ""),
            *[Cell("", "") for _index in range(3)],
            cells.quantity(desk, quantity, None),
            Cell("", ""),
            *[cells.money(desk, value, currency) for value in sums],
            Cell("", ""),
        ]

    return await show(
        desk,
        List(
            title=_("Sales"),
            listing=listing,
            columns=[
                Column(_("Booked"), sort="booked"),
                Column(_("Station")),
                Column(_("Card")),
                Column(_("Product")),
                Column(_("Quantity"), "num"),
                Column(_("Price"), "num"),
                Column(_("Gross"), "num"),
                Column(_("Discount"), "num"),
                Column(_("By card"), "num"),
                Column(_("Status")),
            ],
            fetch=fetch,
            rows=rows,
            marks=marks,
            totals=totals,
            filters=_filters(desk, filters, places.options(reachable)),
            tabs=sales_tabs(desk, "sales"),
            empty=_("No sale fits this filter"),
            empty_then=_("Widen the dates, or clear the filter."),
            name="sales",
        ),
    )


def _filters(desk: Desk, filters: Any, stations: lookups.Options) -> list[Any]:
    _ = desk.gettext
    statuses = [(str(one.value), _(label[0])) for one, label in SALE_STATUS.items()]
    flags = [(str(one.value), _(label)) for one, label in FLAG.items()]
    flows = [(str(one.value), _(label)) for one, label in FLOW.items()]
    found = [
        select("station", _("Station"), stations, value=filters["station"], blank=_("All"), required=False),
        field("since", _("From"), type="date", value=filters["since"], required=False),
        field("until", _("To"), type="date", value=filters["until"], required=False),
        select("status", _("Status"), statuses, value=filters["status"], blank=_("All"), required=False),
        select("flag", _("Flag"), flags, value=filters["flag"], blank=_("Any or none"), required=False),
        select("flow", _("Flow"), flows, value=filters["flow"], blank=_("All"), required=False),
    ]
    return found + [hidden(name, filters[name]) for name in ("card", "terminal", "staff") if filters[name]]


def _status(desk: Desk) -> tuple[SaleStatus, ...]:
    number = desk.query.maybe_whole("status")
    return tuple(one for one in SaleStatus if one.value == number)


def _flag(desk: Desk) -> Flag | None:
    number = desk.query.maybe_whole("flag")
    return next((one for one in FLAG if one.value == number), None)


def _flow(desk: Desk) -> Flow | None:
    number = desk.query.maybe_whole("flow")
    return next((one for one in Flow if one.value == number), None)


def sales_tabs(desk: Desk, here: str) -> list[tuple[str, str, bool, int]]:
    _ = desk.gettext
    return [
        (_("Sales"), PATH, here == "sales", 0),
        (_("Open authorisations"), "/office/authorisations", here == "open", 0),
        (_("Unresolved fills"), "/office/unresolved", here == "unresolved", 0),
    ]


def flag_tags(desk: Desk, flags: int) -> list[Any]:
    """Draw the flags of a sale or an authorisation."""
    return [desk.tag(desk.gettext(label), "warn") for flag, label in FLAG.items() if flags & flag]


def _product(desk: Desk, one: SaleLine) -> str:
    if one.product_code is None:
        return desk.gettext("Shop")
    return lookups.product_name(desk, one.product_code, one.product_name_zh, one.product_name_en)


def _row(desk: Desk, one: SaleLine) -> list[Cell]:
    when = cells.when(desk, one.booked_at)
    label, tone = SALE_STATUS[SaleStatus(one.status)]
    flags = [desk.gettext(FLAG[flag]) for flag in FLAG if one.flags & flag]
    status: Any = desk.tag(desk.gettext(label), tone)
    if flags:
        status = status + " " + desk.tag(flags[0] if len(flags) == 1 else f"{flags[0]} +{len(flags) - 1}", "warn")
    return [
        Cell(desk.link(f"{PATH}/{one.account_id}/{one.sale_id}", when.show), one.booked_at),
        cells.text(desk.either(one.station_name_zh, one.station_name_en)),
        cells.link(desk, f"/office/cards/{one.card_id}", f"•••• {one.card_tail}") if one.card_id else cells.text(None),
        cells.text(_product(desk, one)),
        cells.quantity(desk, one.quantity_milli, None),
        Cell(desk.f.unit_price(one.unit_price_e4, one.currency, None), one.unit_price_e4),
        cells.money(desk, one.gross_minor, one.currency),
        cells.money(desk, -one.discount_minor, one.currency),
        cells.money(desk, one.card_minor, one.currency),
        Cell(status, "; ".join([desk.gettext(label), *flags])),
    ]


@get("/sales/{account_id:uuid}/{sale_id:uuid}")
async def sale(desk: NamedDependency[Desk], account_id: FromPath[UUID], sale_id: FromPath[UUID]) -> Page:
    """Trace one sale: what was sold, who paid how, which transfers it made, what was given back."""
    reachable = sales_in_reach(desk)
    _ = desk.gettext
    one = await get_sale(desk.session, account_id=account_id, sale_id=sale_id, reachable=reachable)
    line = one.sale
    money = desk.f.money
    label, tone = SALE_STATUS[SaleStatus(line.status)]
    left = line.gross_minor - line.refunded_minor
    acts = []
    if left > 0 and desk.may(Permission.REFUND_SALE, line.station_id):
        acts.append(Act(_("Refund"), f"{PATH}/{account_id}/{sale_id}/refund", danger=True))
    people = await lookups.people(desk, [line.staff_id])
    places = await lookups.places(desk)
    teller = Teller(
        desk.words, desk.f, line.currency, await item_names(desk.session, codes=items_of(one.benefits)), await tier_names(desk.session)
    )
    top: list[Part] = [Said(title=_(FLAG[flag]), tone="warn") for flag in FLAG if line.flags & flag]
    facts = Facts(
        title=_("The sale"),
        pairs=[
            (_("Reference"), line.reference),
            (_("Station"), desk.link(f"/office/stations/{line.station_id}", desk.either(line.station_name_zh, line.station_name_en))),
            (_("Till"), desk.link(f"/office/terminals/{line.terminal_id}", line.terminal_code)),
            (_("Staff"), cells.named(people, line.staff_id)),
            (_("Card"), desk.link(f"/office/cards/{line.card_id}", f"•••• {line.card_tail}") if line.card_id else "—"),
            (_("Flow"), _(FLOW[Flow(line.flow)])),
            (_("Nozzle"), line.nozzle or "—"),
            (_("Happened"), desk.f.instant(line.event_at)),
            (_("Booked"), desk.f.instant(line.booked_at)),
            (_("Period"), f"{line.period // 100}-{line.period % 100:02d}"),
        ],
    )
    return await desk.page(
        f"{_('Sale')} {money(line.gross_minor, line.currency)}",
        sub=f"{desk.either(line.station_name_zh, line.station_name_en)} · {desk.f.instant(line.event_at)}",
        crumbs=[(_("Sales"), PATH), (line.reference[-8:], "")],
        tags=[desk.tag(_(label), tone), *flag_tags(desk, line.flags)],
        acts=acts,
        top=top,
        main=[
            _lines(desk, one, teller),
            *await benefit_parts(desk, one, teller, places),
            *await other_parts(desk, one, teller),
            _money(desk, one),
            _refunds(desk, one, teller),
        ],
        aside=[*amount_parts(desk, one, places), facts, *await said_parts(desk, one)],
    )


def _lines(desk: Desk, one: SaleView, teller: Teller) -> Rows:
    _ = desk.gettext
    line = one.sale
    currency = line.currency
    given = [teller.kept(benefit, whole_minor=line.discount_minor) for benefit in one.benefits]
    rows = []
    if line.product_code:
        rows.append(
            [
                cells.text(_product(desk, line)),
                cells.quantity(desk, line.quantity_milli, None),
                Cell(desk.f.unit_price(line.unit_price_e4, currency, None), line.unit_price_e4),
                cells.money(
                    desk, line.gross_minor - sum(int(shop.get("amount_minor", 0)) for shop in one.lines) - surcharge_minor(given), currency
                ),
            ]
        )
    rows += [
        [
            cells.text(str(shop.get("product") or shop.get("category") or "—")),
            cells.quantity(desk, shop.get("quantity_milli"), None),
            Cell(desk.f.unit_price(shop.get("unit_price_e4"), currency, None), shop.get("unit_price_e4")),
            cells.money(desk, shop.get("amount_minor"), currency),
        ]
        for shop in one.lines
    ]
    for benefit in given:
        if benefit.kind in PRICED:
            rows.append([cells.text(benefit.name), Cell("", ""), Cell("", ""), cells.money(desk, -benefit.amount_minor, currency)])
    words = {member.value: _(label[0]) for member, label in TENDER.items()}
    for tender in one.tenders:
        said = words.get(str(tender.get("tender")), str(tender.get("tender")))
        rows.append(
            [cells.text(f"{_('Paid by')} {said}"), Cell("", ""), Cell("", ""), cells.money(desk, -int(tender["amount_minor"]), currency)]
        )
    empty = Cell("", "")
    return Rows(
        title=_("What was sold"),
        columns=[Column(_("Line")), Column(_("Quantity"), "num"), Column(_("Price"), "num"), Column(_("Amount"), "num")],
        rows=rows,
        totals=[Cell(_("By card"), ""), empty, empty, cells.money(desk, line.card_minor, currency)],
        empty=_("No lines"),
    )


def _money(desk: Desk, one: SaleView) -> Rows:
    _ = desk.gettext
    purses = {kind.name.lower(): label[0] for kind, label in PURSE_KIND.items()} | {
        str(kind.value): label[0] for kind, label in PURSE_KIND.items()
    }
    rows = []
    for move in one.transfers:
        label, tone = TRANSFER_KIND[move.kind]
        purse = _(purses[move.purse]) if move.purse in purses else move.purse or _("House")
        amount = move.amount_minor if move.to_holder else -move.amount_minor
        rows.append(
            [
                cells.when(desk, move.booked_at),
                Cell(desk.tag(_(label), tone), _(label)),
                cells.text(purse),
                cells.money(desk, amount if move.purse else move.amount_minor, one.sale.currency, sign=bool(move.purse)),
                Cell(str(move.transfer_id)[-8:], str(move.transfer_id)),
            ]
        )
    return Rows(
        title=_("Transfers"),
        columns=[Column(_("Booked")), Column(_("Kind")), Column(_("Purse")), Column(_("Amount"), "num"), Column(_("Number"))],
        rows=rows,
        empty=_("None"),
        acts=[Act(_("Ledger"), f"/office/accounts/{one.sale.account_id}")] if desk.may(Permission.READ_LEDGER) else [],
    )


def _refunds(desk: Desk, one: SaleView, teller: Teller) -> Rows:
    _ = desk.gettext
    return Rows(
        title=_("Given back"),
        columns=[
            Column(_("When")),
            Column(_("Gross"), "num"),
            Column(_("To the card"), "num"),
            Column(_("Benefits taken back")),
            Column(_("Reason")),
            Column(_("Kind")),
        ],
        rows=[
            [
                cells.when(desk, back.booked_at),
                cells.money(desk, back.gross_minor, one.sale.currency),
                cells.money(desk, back.card_minor, one.sale.currency),
                cells.text(", ".join(f"{each.name} {each.amount}" for each in teller.back(one.benefits, back.benefits or ())) or None),
                cells.text(back.reason),
                Cell(_("Void") if back.void else _("Refund"), back.void),
            ]
            for back in one.refunds
        ],
        empty=_("Nothing"),
    )


async def _sold(desk: Desk, account_id: UUID, sale_id: UUID) -> SaleLine:
    reachable = sales_in_reach(desk)
    one = await get_sale(desk.session, account_id=account_id, sale_id=sale_id, reachable=reachable)
    return one.sale


@get("/sales/{account_id:uuid}/{sale_id:uuid}/refund")
async def ask_refund(desk: NamedDependency[Desk], account_id: FromPath[UUID], sale_id: FromPath[UUID]) -> Page:
    """Ask why a sale is given back, and how much of it."""
    line = await _sold(desk, account_id, sale_id)
    desk.offer(Permission.REFUND_SALE, line.station_id)
    _ = desk.gettext
    left = line.gross_minor - line.refunded_minor
    back = f"{PATH}/{account_id}/{sale_id}"
    fields = [
        field("amount", _("Gross amount to give back"), num=True, value=desk.f.amount(left, line.currency), after=line.currency),
        field("reason", _("Reason"), autofocus=True),
    ]
    note = _("Mirrors the sale exactly: principal, bonus with its expiry, discount, counters. Other tenders are handed back at the till.")
    return await desk.ask(
        _("Refund"),
        fields,
        submit=_("Refund"),
        danger=True,
        amount=_("up to %(amount)s", amount=desk.f.money(left, line.currency)),
        back=back,
        crumbs=[(_("Sales"), PATH), (line.reference[-8:], back), (_("Refund"), "")],
        note=note,
    )


@post("/sales/{account_id:uuid}/{sale_id:uuid}/refund", status_code=303)
async def refund(desk: NamedDependency[Desk], account_id: FromPath[UUID], sale_id: FromPath[UUID]) -> Page:
    """Give a sale back, whole or in part."""
    line = await _sold(desk, account_id, sale_id)
    desk.require(Permission.REFUND_SALE, line.station_id)
    _ = desk.gettext
    amount = desk.form.money("amount", _("Amount"), line.currency)
    reason = desk.form.text("reason", _("Reason"))
    desk.form.check()
    left = line.gross_minor - line.refunded_minor
    place = await place_at(desk, line.terminal_id)
    done = await refund_sale(
        desk.session,
        account_id=account_id,
        sale_id=sale_id,
        place=place,
        policy=desk.policy,
        reason=reason,
        staff_id=desk.principal.staff_id,
        gross_minor=None if amount == left else amount,
        now=desk.now,
    )
    return await desk.done(
        f"{PATH}/{account_id}/{sale_id}", _("Given back: %(amount)s", amount=desk.f.money(done.answer.gross_minor, line.currency))
    )


handlers = [sales, sale, ask_refund, refund]
