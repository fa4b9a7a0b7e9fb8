"""Blank cards: produced by the batch, counted by place, sent and received."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.cards import operations, queries
from loyalty.cards.model import CardStockMove, StockMoveKind, StockMoveStatus
from loyalty.errors import NotFound
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.labels import STOCK_KIND, STOCK_STATUS
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import field, select
from loyalty.web.office.parts import Act, Cell, Rows

PATH = "/office/stock"
BATCH_MAX = 10_000
"""A page's own production; larger ones are a batch job's."""


@get(three("/stock"))
async def stock(desk: NamedDependency[Desk]) -> Any:
    """Show blank cards by place and product, and how they moved."""
    reachable = desk.reachable(Permission.READ_STATION)
    _ = desk.gettext
    names, places = await lookups.card_products(desk), await lookups.places(desk)
    listing = desk.listing(PATH, "", ["station", "kind"])
    station_id = desk.query.maybe_uuid("station")
    if station_id is not None:
        desk.require(Permission.READ_STATION, station_id)
    levels = [one for one in await queries.stock_levels(desk.session) if reachable is None or one.station_id in reachable]
    central = _("Central stock")
    table = Rows(
        title=_("In stock"),
        columns=[Column(_("Place")), Column(_("Product")), Column(_("On hand"), "num"), Column(_("On its way"), "num")],
        rows=[
            [
                cells.text(places.names.get(one.station_id, "—") if one.station_id else central),
                cells.text(names.get(one.product_id)),
                cells.count(desk, one.on_hand),
                cells.count(desk, one.on_the_way),
            ]
            for one in levels
        ],
        empty=_("No blank card anywhere"),
        empty_then=_("Produce a batch, then send it to the stations."),
    )

    async def fetch(cursor: str | None, limit: int) -> Found[CardStockMove]:
        kind = desk.query.maybe("kind", StockMoveKind)
        found = await queries.stock_moves(desk.session, station_id=station_id, kind=kind, cursor=cursor, limit=limit)
        if reachable is None:
            return found
        mine = [one for one in found.rows if {one.from_station_id, one.to_station_id} & reachable]
        return Found(rows=mine, next=found.next, previous=found.previous)

    async def rows(found: Sequence[CardStockMove]) -> list[list[Cell]]:
        people = await lookups.people(desk, [one.staff_id for one in found])
        return [_move_row(desk, one, names, places, people) for one in found]

    kinds = [(kind.value, _(label[0])) for kind, label in STOCK_KIND.items()]
    moves = desk.may(Permission.MOVE_STOCK)
    return await show(
        desk,
        List(
            title=_("Blank cards"),
            listing=listing,
            columns=[
                Column(_("When")),
                Column(_("What")),
                Column(_("Product")),
                Column(_("From")),
                Column(_("To")),
                Column(_("Cards"), "num"),
                Column(_("By")),
                Column(_("State")),
            ],
            fetch=fetch,
            rows=rows,
            filters=[
                select(
                    "station", _("Station"), places.options(reachable), value=listing.filters["station"], blank=_("All"), required=False
                ),
                select("kind", _("What"), kinds, value=listing.filters["kind"], blank=_("All"), required=False),
            ],
            acts=[
                Act(_("Count"), f"{PATH}/count") if moves else None,
                Act(_("Send"), f"{PATH}/send") if moves else None,
                Act(_("Produce"), f"{PATH}/produce", primary=True) if desk.may(Permission.EDIT_CARD_PRODUCTS) else None,
            ],
            top=[table],
            empty=_("Nothing has moved yet"),
            name="stock-moves",
        ),
    )


def _move_row(desk: Desk, one: CardStockMove, names: dict[UUID, str], places: lookups.Places, people: dict[UUID, str]) -> list[Cell]:
    _ = desk.gettext
    central = _("Central stock")
    arrives = one.kind is StockMoveKind.SENT and one.status is StockMoveStatus.ON_THE_WAY
    status = cells.tag(desk, one.status, STOCK_STATUS)
    if arrives and desk.may(Permission.MOVE_STOCK, one.to_station_id):
        status = Cell(desk.link(f"{PATH}/{one.move_id}/receive", _("Receive")), status.export)
    elif one.expected is not None:
        difference = one.count - one.expected
        status = Cell(desk.tag(_("as booked"), "good") if not difference else desk.tag(f"{difference:+d}", "bad"), difference)
    return [
        cells.when(desk, one.happened_at),
        cells.tag(desk, one.kind, STOCK_KIND),
        cells.text(names.get(one.product_id)),
        cells.text(places.names.get(one.from_station_id, "—") if one.from_station_id else central),
        cells.text(places.names.get(one.to_station_id, "—") if one.to_station_id else central),
        cells.count(desk, one.count),
        cells.text(cells.named(people, one.staff_id)),
        status,
    ]


async def _choices(desk: Desk) -> tuple[lookups.Options, lookups.Options]:
    names, places = await lookups.card_products(desk), await lookups.places(desk)
    reachable = desk.reachable(Permission.READ_STATION)
    return [(str(key), name) for key, name in names.items()], places.options(reachable)


@get([f"/stock/{name}" for name in ("produce", "send", "count")])
async def ask(desk: NamedDependency[Desk]) -> Page:
    """Ask what is produced, sent or counted."""
    act = desk.act
    desk.offer(Permission.EDIT_CARD_PRODUCTS if act == "produce" else Permission.MOVE_STOCK)
    _ = desk.gettext
    names, stations = await _choices(desk)
    central = _("Central stock")
    product = select("product", _("Product"), names)
    number = field("count", _("Cards"), num=True, autofocus=True)
    note = field("note", _("Note"), required=False)
    pages = {
        "produce": (
            _("Produce blank cards"),
            [product, number, select("to", _("Into the stock of"), stations, blank=central, required=False)],
            _("Produce"),
            _("Numbers are random, with a check digit, never in sequence. At most %(most)s at once.", most=f"{BATCH_MAX:,}"),
        ),
        "send": (
            _("Send blank cards"),
            [
                product,
                number,
                select("from", _("From"), stations, blank=central, required=False),
                select("to", _("To"), stations, blank=central, required=False),
                note,
            ],
            _("Send"),
            _("They are nobody's stock until they are received."),
        ),
        "count": (
            _("Count blank cards"),
            [product, select("to", _("Where"), stations, blank=central, required=False), number, note],
            _("Store the count"),
            _("What the books say is shown only after you have counted."),
        ),
    }
    title, fields, submit, said = pages[act]
    crumbs = [(_("Blank cards"), PATH), (title, "")]
    return await desk.ask(title, fields, submit=submit, back=PATH, crumbs=crumbs, note=said)


def _place(desk: Desk, name: str, permission: Permission) -> UUID | None:
    """Read a place; central stock belongs to the whole issuer."""
    station = desk.form.uuid(name, desk.gettext("Station"), required=False)
    desk.form.check()
    if station is not None:
        desk.require(permission, station)
    elif desk.reachable(permission) is not None:
        raise NotFound
    return station


@post("/stock/produce", status_code=303)
async def produce(desk: NamedDependency[Desk]) -> Page:
    """Make blank cards."""
    desk.require(Permission.EDIT_CARD_PRODUCTS)
    _ = desk.gettext
    product = desk.form.uuid("product", _("Product"))
    number = desk.form.whole("count", _("Cards"), low=1, high=BATCH_MAX)
    to = desk.form.uuid("to", _("Station"), required=False)
    desk.form.check()
    assert product is not None
    assert number is not None
    made = await operations.produce_batch(desk.session, product_id=product, count=number, station_id=to, actor=desk.actor, now=desk.now)
    return await desk.done(PATH, desk.words.ngettext("Made: %(num)s card", "Made: %(num)s cards", made.count))


@post("/stock/send", status_code=303)
async def send(desk: NamedDependency[Desk]) -> Page:
    """Send blank cards from one place to another."""
    desk.require(Permission.MOVE_STOCK)
    _ = desk.gettext
    product, number = desk.form.uuid("product", _("Product")), desk.form.whole("count", _("Cards"), low=1, high=100_000)
    begins, ends = _place(desk, "from", Permission.MOVE_STOCK), desk.form.uuid("to", _("To"), required=False)
    if begins == ends:
        desk.form.fault("to", _("To"), _("is the same place"))
    desk.form.check()
    assert product is not None
    assert number is not None
    await operations.send_stock(
        desk.session,
        product_id=product,
        count=number,
        from_station_id=begins,
        to_station_id=ends,
        note=desk.form.raw("note"),
        actor=desk.actor,
        now=desk.now,
    )
    return await desk.done(PATH, _("On its way"))


@get("/stock/{move_id:uuid}/receive")
async def ask_receive(desk: NamedDependency[Desk], move_id: FromPath[UUID]) -> Page:
    """Ask once before a transport counts as arrived."""
    desk.offer(Permission.MOVE_STOCK)
    _ = desk.gettext
    del move_id
    note = _("Its cards are then this station's stock. What is missing shows at the next count.")
    return await desk.ask(
        _("Receive the transport"), [], submit=_("Receive"), back=PATH, note=note, crumbs=[(_("Blank cards"), PATH), (_("Receive"), "")]
    )


@post("/stock/{move_id:uuid}/receive", status_code=303)
async def receive(desk: NamedDependency[Desk], move_id: FromPath[UUID]) -> Page:
    """Say that a transport has arrived."""
    desk.require(Permission.MOVE_STOCK)
    move = await operations.receive_stock(desk.session, move_id=move_id, actor=desk.actor, now=desk.now)
    desk.require(Permission.MOVE_STOCK, move.to_station_id)
    return await desk.done(PATH, desk.words.ngettext("Received: %(num)s card", "Received: %(num)s cards", move.count))


@post("/stock/count", status_code=303)
async def count(desk: NamedDependency[Desk]) -> Page:
    """Store a count and say how it differs."""
    desk.require(Permission.MOVE_STOCK)
    _ = desk.gettext
    product, number = desk.form.uuid("product", _("Product")), desk.form.whole("count", _("Cards"), high=1_000_000)
    place = _place(desk, "to", Permission.MOVE_STOCK)
    desk.form.check()
    assert product is not None
    assert number is not None
    done = await operations.count_stock(
        desk.session,
        station_id=place,
        product_id=product,
        counted=number,
        note=desk.form.raw("note"),
        actor=desk.actor,
        now=desk.now,
    )
    said = _("As booked: %(expected)s", expected=done.expected)
    if done.difference:
        said = _(
            "Counted %(counted)s, booked %(expected)s: %(difference)s",
            counted=done.counted,
            expected=done.expected,
            difference=f"{done.difference:+d}",
        )
    return await desk.done(PATH, said)


handlers = [stock, ask, produce, send, ask_receive, receive, count]
