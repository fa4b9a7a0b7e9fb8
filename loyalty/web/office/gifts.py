"""Gifts: the catalogue, what lies where, what comes, goes and is counted, and what is on its way."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from loyalty.audit.model import ActorKind
from loyalty.errors import NotFound
from loyalty.identity.rules import Permission
from loyalty.paging import Page as Found
from loyalty.rewards.model_gifts import CENTRAL
from loyalty.rewards.operations.gift_stock import (
    GiftFacts,
    confirm_arrival,
    count_gifts,
    put_gift,
    receive_gifts,
    send_gifts,
    spoil_gifts,
)
from loyalty.rewards.queries import gifts as queries
from loyalty.rewards.queries.gifts import GiftView, MoveView
from loyalty.web.listing import Column
from loyalty.web.office import cells, lookups
from loyalty.web.office.coded import Coded, coded
from loyalty.web.office.desk import Desk, Page
from loyalty.web.office.lists import List, show, three
from loyalty.web.office.lookups import area, check, field, select
from loyalty.web.office.parts import Act, Cell, Facts, Field, Part, Rows
from loyalty.web.office.reward_words import GIFT_MOVE

PATH = "/office/gifts"


@get(three("/gifts"))
async def gifts(desk: NamedDependency[Desk]) -> Any:
    """List the catalogue with what there is in all; above it what is on its way to the reader's stations."""
    desk.require(Permission.READ_STATION)
    _ = desk.gettext
    listing = desk.listing(PATH, "code", [])

    async def fetch(cursor: str | None, limit: int) -> Found[GiftView]:
        return await queries.list_gifts(desk.session, sort=listing.sort, cursor=cursor, limit=limit)

    async def rows(found: Sequence[GiftView]) -> list[list[Cell]]:
        return [await _gift_row(desk, one) for one in found]

    return await show(
        desk,
        List(
            title=_("Gifts"),
            listing=listing,
            columns=[
                Column(_("Code"), sort="code"),
                Column(_("What it is called")),
                Column(_("Points"), "num"),
                Column(_("Top-up from"), "num"),
                Column(_("On hand"), "num"),
                Column(_("Set aside"), "num"),
                Column(_("State")),
            ],
            fetch=fetch,
            rows=rows,
            acts=[Act(_("New gift"), f"{PATH}/new", primary=True) if desk.may(Permission.EDIT_RULES) else None],
            top=await _on_the_way(desk),
            empty=_("The catalogue is empty"),
            empty_then=_("Put a gift in; then receive pieces of it."),
            name="gifts",
        ),
    )


async def _gift_row(desk: Desk, one: GiftView) -> list[Cell]:
    _ = desk.gettext
    reachable = desk.reachable(Permission.READ_STATION)
    stock = [each for each in await queries.stock_of(desk.session, code=one.code) if reachable is None or each.place_id in reachable]
    prices = ", ".join(f"{desk.f.count(points)} / {pieces}" if pieces > 1 else desk.f.count(points) for pieces, points in one.points_steps)
    return [
        cells.link(desk, f"{PATH}/{one.code}", one.code),
        cells.text(desk.either(one.name_zh, one.name_en)),
        cells.text(prices),
        cells.money(desk, one.threshold_minor, one.currency or "CNY"),
        cells.count(desk, sum(each.on_hand for each in stock)),
        cells.count(desk, sum(each.reserved for each in stock)),
        Cell(desk.tag(_("In the catalogue"), "good") if one.active else desk.tag(_("Taken out")), one.active),
    ]


async def _on_the_way(desk: Desk) -> list[Part]:
    """Say what was sent to the reader's stations and waits to be received."""
    if not desk.may(Permission.MOVE_STOCK):
        return []
    _ = desk.gettext
    places = await lookups.places(desk)
    reachable = desk.reachable(Permission.MOVE_STOCK)
    everywhere = [*places.stations, *([CENTRAL] if reachable is None else [])]
    mine = everywhere if reachable is None else [place for place in everywhere if place in reachable]
    waiting = [move for place in mine for move in await queries.on_the_way_to(desk.session, place_id=place)]
    if not waiting:
        return []
    names = {gift.gift_id: desk.either(gift.name_zh, gift.name_en) for gift in (await queries.list_gifts(desk.session, limit=200)).rows}
    return [
        Rows(
            title=_("On its way"),
            columns=[Column(_("Sent")), Column(_("Gift")), Column(_("From")), Column(_("To")), Column(_("Pieces"), "num"), Column("")],
            rows=[
                [
                    cells.when(desk, move.happened_at),
                    cells.text(names.get(move.gift_id)),
                    cells.text(_place_name(desk, places, move.place_id)),
                    cells.text(_place_name(desk, places, move.to_place_id)),
                    cells.count(desk, -move.on_hand_change),
                    cells.link(desk, f"{PATH}/arrivals/{move.move_id}", _("Receive")),
                ]
                for move in waiting
            ],
            empty="",
        )
    ]


def _place_name(desk: Desk, places: lookups.Places, place_id: UUID | None) -> str:
    return desk.gettext("Central store") if place_id == CENTRAL else cells.named(places.names, place_id)


@get("/gifts/new")
async def new_gift(desk: NamedDependency[Desk]) -> Page:
    """Ask what the catalogue shall say of a new gift."""
    return await _ask_gift(desk, None)


@get("/gifts/{code:str}/edit")
async def edit_gift(desk: NamedDependency[Desk], code: FromPath[str]) -> Page:
    """Ask what the catalogue says of a gift."""
    return await _ask_gift(desk, await queries.get_gift(desk.session, code=code))


async def _ask_gift(desk: Desk, one: GiftView | None) -> Page:
    desk.offer(Permission.EDIT_RULES)
    _ = desk.gettext
    title = _("New gift") if one is None else desk.either(one.name_zh, one.name_en)
    back = PATH if one is None else f"{PATH}/{one.code}"
    crumbs = [(_("Gifts"), PATH), *([] if one is None else [(title, back)]), (title if one is None else _("Edit"), "")]
    return await desk.ask(title, _gift_fields(desk, one), action=PATH, submit=_("Store"), back=back, crumbs=crumbs, columns=True)


def _gift_fields(desk: Desk, one: GiftView | None) -> list[Field]:
    _ = desk.gettext
    steps = "\n".join(f"{pieces} {points}" for pieces, points in one.points_steps) if one else ""
    threshold = desk.f.amount(one.threshold_minor, one.currency or "CNY") if one and one.threshold_minor else ""
    return [
        field("code", _("Code"), value=one.code if one else "", readonly=one is not None, autofocus=one is None, placeholder="towel"),
        field("name_zh", _("Name in Chinese"), value=one.name_zh if one else ""),
        field("name_en", _("Name in English"), value=one.name_en if one else ""),
        field(
            "threshold", _("For a single top-up from"), value=threshold, num=True, required=False, help=_("A rule gives it; this shows it.")
        ),
        field("currency", _("Currency"), value=(one.currency or "") if one else "", required=False),
        field("validity_days", _("To be fetched within days"), value=(one.validity_days or "") if one else 60, num=True, required=False),
        area("steps", _("For points"), value=steps, required=False, rows=2, help=_("A line each: pieces, and the points they cost.")),
        field(
            "instead",
            _("In its place where it has run out"),
            value=" ".join(one.instead) if one else "",
            required=False,
            help=_("Codes of other gifts."),
        ),
        area("about_zh", _("About it in Chinese"), value=one.about_zh if one else "", required=False, rows=2),
        area("about_en", _("About it in English"), value=one.about_en if one else "", required=False, rows=2),
        check("active", _("In the catalogue"), checked=one is None or one.active),
    ]


@post("/gifts", status_code=303)
async def store_gift(desk: NamedDependency[Desk]) -> Page:
    """Put a gift into the catalogue, or change it."""
    desk.require(Permission.EDIT_RULES)
    _ = desk.gettext
    form = desk.form
    code = form.text("code", _("Code"), longest=48)
    currency = form.raw("currency").upper() or "CNY"
    threshold = form.money("threshold", _("For a single top-up from"), currency, required=False)
    facts: dict[str, Any] = {
        "name_zh": form.text("name_zh", _("Name in Chinese"), longest=80),
        "name_en": form.text("name_en", _("Name in English"), longest=80),
        "zone": desk.zone,
        "threshold_minor": threshold,
        "currency": currency if threshold else None,
        "validity_days": form.whole("validity_days", _("To be fetched within days"), low=1, high=3660, required=False),
        "points_steps": _steps(desk),
        "instead": tuple(form.raw("instead").replace(",", " ").split()),
        "about_zh": form.raw("about_zh"),
        "about_en": form.raw("about_en"),
        "active": form.flag("active"),
    }
    form.check()
    await put_gift(desk.session, code=code, facts=GiftFacts(**facts), actor=desk.actor, now=desk.now)
    return await desk.done(f"{PATH}/{code}", _("Stored"))


def _steps(desk: Desk) -> tuple[tuple[int, int], ...]:
    steps = []
    for line in desk.form.raw("steps").splitlines():
        parts = line.split()
        if len(parts) == 2 and all(part.isascii() and part.isdigit() for part in parts):
            steps.append((int(parts[0]), int(parts[1])))
        elif parts:
            desk.form.fault("steps", desk.gettext("For points"), desk.gettext("is not pieces and points"))
    return tuple(steps)


@get("/gifts/{code:str}")
async def gift(desk: NamedDependency[Desk], code: FromPath[str]) -> Page:
    """Show a gift: what lies where, and how it moved at one place."""
    reachable = desk.reachable(Permission.READ_STATION)
    _ = desk.gettext
    one = await queries.get_gift(desk.session, code=code)
    places = await lookups.places(desk)
    stock = [each for each in await queries.stock_of(desk.session, code=code) if reachable is None or each.place_id in reachable]
    place_id = desk.query.maybe_uuid("place") or (stock[0].place_id if stock else None)
    if place_id is not None and reachable is not None and place_id not in reachable:
        raise NotFound
    moves = await queries.moves_of(desk.session, gift_id=one.gift_id, place_id=place_id, limit=100) if place_id is not None else []
    title = desk.either(one.name_zh, one.name_en)
    may_move = desk.may(Permission.MOVE_STOCK)
    table = Rows(
        title=_("Stock"),
        columns=[Column(_("Place")), Column(_("On hand"), "num"), Column(_("Set aside"), "num"), Column(_("Free"), "num")],
        rows=[
            [
                cells.link(desk, f"{PATH}/{code}?place={each.place_id}", _place_name(desk, places, each.place_id)),
                cells.count(desk, each.on_hand),
                cells.count(desk, each.reserved),
                Cell(desk.f.count(each.free) if each.free else desk.tag(_("none"), "bad"), each.free),
            ]
            for each in stock
        ],
        empty=_("None anywhere yet"),
        empty_then=_("Receive pieces from the supplier, then send them to the stations."),
    )
    return await desk.page(
        title,
        sub=desk.either(one.about_zh, one.about_en),
        crumbs=[(_("Gifts"), PATH), (title, "")],
        tags=[] if one.active else [desk.tag(_("Taken out"))],
        acts=[
            Act(_("Edit"), f"{PATH}/{code}/edit") if desk.may(Permission.EDIT_RULES) else None,
            Act(_("Write off"), f"{PATH}/{code}/spoil") if may_move else None,
            Act(_("Count"), f"{PATH}/{code}/count") if may_move else None,
            Act(_("Send"), f"{PATH}/{code}/send") if may_move else None,
            Act(_("Receive"), f"{PATH}/{code}/receive", primary=True) if may_move else None,
        ],
        main=[table, await _moves(desk, moves, _place_name(desk, places, place_id))],
        aside=[_facts(desk, one, await coded(desk))],
    )


def _facts(desk: Desk, one: GiftView, words: Coded) -> Facts:
    _ = desk.gettext
    prices = ", ".join(
        _("%(points)s points for %(pieces)s", points=desk.f.count(points), pieces=pieces) for pieces, points in one.points_steps
    )
    return Facts(
        title=_("Catalogue"),
        pairs=[
            (_("Code"), one.code),
            (_("For points"), prices or "—"),
            (_("For a single top-up from"), desk.f.money(one.threshold_minor, one.currency) if one.currency else "—"),
            (_("To be fetched within days"), desk.f.count(one.validity_days)),
            (_("In its place where it has run out"), words.all("gifts", one.instead) or "—"),
        ],
    )


async def _moves(desk: Desk, moves: Sequence[MoveView], place: str) -> Rows:
    _ = desk.gettext
    names = await lookups.people(desk, [UUID(move.actor_id) for move in moves if move.actor_kind == ActorKind.STAFF])

    def change(number: int) -> Cell:
        return Cell(f"{number:+d}" if number else "", number)

    return Rows(
        title=_("Moves at %(place)s", place=place),
        columns=[
            Column(_("When")),
            Column(_("What")),
            Column(_("On hand"), "num"),
            Column(_("Set aside"), "num"),
            Column(_("Booked before"), "num"),
            Column(_("By")),
            Column(_("Note")),
        ],
        rows=[
            [
                cells.when(desk, move.happened_at),
                cells.tag(desk, move.kind, GIFT_MOVE),
                change(move.on_hand_change),
                change(move.reserved_change),
                cells.count(desk, move.expected),
                cells.text(lookups.actor_name(desk, (ActorKind(move.actor_kind), move.actor_id), names)),
                cells.text(move.note),
            ]
            for move in moves
        ],
        empty=_("Nothing has moved here yet"),
    )


@get([f"/gifts/{{code:str}}/{act}" for act in ("receive", "send", "count", "spoil")])
async def ask_pieces(desk: NamedDependency[Desk], code: FromPath[str]) -> Page:
    """Ask what came, goes, was counted or is spoilt."""
    desk.offer(Permission.MOVE_STOCK)
    _ = desk.gettext
    one = await queries.get_gift(desk.session, code=code)
    name = desk.either(one.name_zh, one.name_en)
    reachable = desk.reachable(Permission.MOVE_STOCK)
    options = (await lookups.places(desk)).options(reachable)
    central = _("Central store")
    whole = {"options": [*options, ("", central)], "value": ""} if reachable is None else {"options": options}
    number, note = field("count", _("Pieces"), num=True, autofocus=True), field("note", _("Note"), required=False)
    place = select("place", _("Where"), **whole)
    pages: dict[str, tuple[str, list[Field], str, str]] = {
        "receive": (_("Receive from the supplier"), [place, number, note], _("Receive"), ""),
        "send": (
            _("Send to another place"),
            [
                select("place", _("From"), **whole),
                select("to", _("To"), [*(await lookups.places(desk)).options(), ("", central)]),
                number,
                note,
            ],
            _("Send"),
            _("They are nobody's stock until they are received."),
        ),
        "count": (_("Count"), [place, number, note], _("Store the count"), _("What the books say is shown only after you have counted.")),
        "spoil": (_("Take spoilt pieces out"), [place, number, field("note", _("Why"))], _("Take them out"), ""),
    }
    title, fields, submit, said = pages[desk.act]
    crumbs = [(_("Gifts"), PATH), (name, f"{PATH}/{code}"), (title, "")]
    return await desk.ask(f"{title} · {name}", fields, submit=submit, back=f"{PATH}/{code}", crumbs=crumbs, note=said)


@post([f"/gifts/{{code:str}}/{act}" for act in ("receive", "send", "count", "spoil")], status_code=303)
async def move_pieces(desk: NamedDependency[Desk], code: FromPath[str]) -> Page:
    """Book what came, goes, was counted or is spoilt."""
    desk.require(Permission.MOVE_STOCK)
    _ = desk.gettext
    form = desk.form
    place = form.uuid("place", _("Where"), required=False) or CENTRAL
    to = form.uuid("to", _("To"), required=False) or CENTRAL
    number = form.whole("count", _("Pieces"), low=0 if desk.act == "count" else 1, high=1_000_000)
    note = form.text("note", _("Note"), required=desk.act == "spoil")
    form.check()
    assert number is not None
    if place == CENTRAL and desk.reachable(Permission.MOVE_STOCK) is not None:
        raise NotFound
    if place != CENTRAL:
        desk.require(Permission.MOVE_STOCK, place)
    facts: dict[str, Any] = {"code": code, "actor": desk.actor, "now": desk.now, "note": note}
    said = _("Booked")
    match desk.act:
        case "receive":
            await receive_gifts(desk.session, place_id=place, pieces=number, **facts)
        case "spoil":
            await spoil_gifts(desk.session, place_id=place, pieces=number, **facts)
        case "send":
            await send_gifts(desk.session, from_id=place, to_id=to, pieces=number, **facts)
            said = _("On its way")
        case _:
            done = await count_gifts(desk.session, place_id=place, counted=number, **facts)
            said = _("As booked: %(expected)s", expected=done.expected)
            if done.difference:
                said = _(
                    "Counted %(counted)s, booked %(expected)s: %(difference)s",
                    counted=done.counted,
                    expected=done.expected,
                    difference=f"{done.difference:+d}",
                )
    return await desk.done(f"{PATH}/{code}?place={place}", said)


@get("/gifts/arrivals/{move_id:int}")
async def ask_arrival(desk: NamedDependency[Desk], move_id: FromPath[int]) -> Page:
    """Ask once before a sending counts as arrived."""
    desk.offer(Permission.MOVE_STOCK)
    _ = desk.gettext
    sent = await queries.get_transport(desk.session, move_id=move_id)
    places = await lookups.places(desk)
    note = _(
        "%(pieces)s pieces for %(place)s. What is missing shows at the next count.",
        pieces=-sent.on_hand_change,
        place=_place_name(desk, places, sent.to_place_id),
    )
    return await desk.ask(
        _("Receive the sending"), [], submit=_("Receive"), back=PATH, note=note, crumbs=[(_("Gifts"), PATH), (_("Receive"), "")]
    )


@post("/gifts/arrivals/{move_id:int}", status_code=303)
async def arrival(desk: NamedDependency[Desk], move_id: FromPath[int]) -> Page:
    """Say that a sending has arrived."""
    sent = await queries.get_transport(desk.session, move_id=move_id)
    assert sent.to_place_id is not None, "a sending has a receiver"
    if sent.to_place_id == CENTRAL and desk.reachable(Permission.MOVE_STOCK) is not None:
        raise NotFound
    desk.require(Permission.MOVE_STOCK, None if sent.to_place_id == CENTRAL else sent.to_place_id)
    await confirm_arrival(desk.session, move_id=move_id, actor=desk.actor, now=desk.now)
    return await desk.done(PATH, desk.words.ngettext("Received: %(num)s piece", "Received: %(num)s pieces", -sent.on_hand_change))


handlers = [gifts, new_gift, edit_gift, store_gift, gift, ask_pieces, move_pieces, ask_arrival, arrival]
