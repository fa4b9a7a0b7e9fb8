"""The counter itself: find the card, see what it may take, take the money. Everything by keys: nozzle, card, PIN, Enter."""

import re
from dataclasses import dataclass
from typing import Any, Final

from litestar import get, post
from litestar.di import NamedDependency, Provide
from sqlalchemy.ext.asyncio import AsyncSession

from loyalty.authorizations.hot_api import read_code
from loyalty.authorizations.wire import reference
from loyalty.cards.model import Card, CardStatus
from loyalty.cards.numbers import number_index
from loyalty.cards.queries import CardNotFound, cards_of_customer, find_by_index, get_card, get_product
from loyalty.crypto import TokenError
from loyalty.customers.queries import find_customers, names_of
from loyalty.identity.rules import Permission
from loyalty.limits.rules import plate_key
from loyalty.web.cashier import queries
from loyalty.web.cashier.frame import draw, reading
from loyalty.web.cashier.labels import TAGS, TENDERS
from loyalty.web.cashier.sheets import KINDS, STATUSES
from loyalty.web.cashier.till import HOME, Page, Till, code_cookie, new_key, provide_quiet_till
from loyalty.web.notices import as_parts, told
from loyalty.web.rendering import redirect, render

THEN: Final = {"": "", "top-up": "/top-up", "care": "/care", "returns": "/care", "points": "/points"}
"""What was meant to be done with the card that is looked for."""

_NOZZLE = re.compile(r"^\d{1,3}$")
_NUMBER = re.compile(r"^[\d \-]{8,28}$")
_TOKEN = re.compile(r"^[A-Za-z0-9_\-]{60,1000}$")


@dataclass(frozen=True, slots=True)
class FoundCard:
    """One card that a search came upon."""

    href: str
    title: str
    note: str
    tag: str
    tone: str


@get("/")
async def home(till: NamedDependency[Till]) -> Page:
    """Show the card field, the fills that wait, what this shift did last."""
    till.require(Permission.SELL)
    till.require_shift()
    async with reading(till) as session:
        fill = await _chosen_fill(till, session)
        return await draw(
            till,
            session,
            "home.html",
            here="counter",
            chosen=fill,
            once=new_key(),
            missing="",
            typed="",
            then="",
            found=[],
            **await _live(till, session),
        )


@get("/live", dependencies={"till": Provide(provide_quiet_till)})
async def live(till: NamedDependency[Till]) -> Page:
    """Give the page its present fills and movements, asked every few seconds."""
    async with reading(till) as session:
        values = await _live(till, session)
    return render(till.request, "cashier/live.html", zone=till.view.zone, now=till.now, currency=till.currency, **values)


@post("/find", status_code=303)
async def find(till: NamedDependency[Till]) -> Page:
    """Find by what was scanned or typed: a nozzle, a card, a holder's code, a phone, a plate, a document, a name.

    A number never stands in an address: addresses are kept in histories and logs.
    """
    till.require_shift()
    typed = till.form.raw("q")
    then = till.form.raw("then")
    onward = THEN.get(then, "")
    fill = till.form.raw("fill")
    keep = f"?fill={fill}" if fill else ""
    async with reading(till) as session:
        if _NOZZLE.match(typed) and not onward:
            nozzle = next(
                (each for each in await queries.unpaid_fills(session, station_id=till.place.station_id) if each.nozzle == int(typed)), None
            )
            if nozzle is not None:
                return redirect(till.request, f"{HOME}?fill={nozzle.fill_id}")
        cards, token = await _cards_for(session, typed)
        if len(cards) == 1:
            card = cards[0]
            if card.status is CardStatus.BLANK:
                return redirect(till.request, f"{HOME}/issue?card={card.card_id}")
            cookies = [code_cookie(till.request, token)] if token else None
            return redirect(till.request, f"{HOME}/cards/{card.card_id}{onward}{keep}", cookies=cookies)
        found = [await _found(till, session, card, f"{onward}{keep}") for card in cards]
        return await draw(
            till,
            session,
            "home.html",
            here="counter" if not onward else then,
            status_code=200 if found else 404,
            chosen=await _chosen_fill(till, session, fill),
            once=new_key(),
            missing="" if found else _missing(till, typed),
            typed="" if _NUMBER.match(typed) or _TOKEN.match(typed) else typed,
            then=then,
            found=found,
            **await _live(till, session),
        )


@get(["/top-up", "/care", "/points"])
async def which_card(till: NamedDependency[Till]) -> Page:
    """Ask for the card first, where a key was pressed without one on the table."""
    till.require_shift()
    then = till.request.url.path.rpartition("/")[2]
    async with reading(till) as session:
        return await draw(
            till,
            session,
            "home.html",
            here=then,
            chosen=None,
            once=new_key(),
            missing="",
            typed="",
            then=then,
            found=[],
            **await _live(till, session),
        )


async def _live(till: Till, session: AsyncSession) -> dict[str, Any]:
    assert till.shift is not None or till.request.url.path.endswith("/live"), "pages of the counter need a shift"
    fills = await queries.unpaid_fills(session, station_id=till.place.station_id)
    since = till.shift.opened_at if till.shift is not None else till.now
    moved = await queries.movements(session, terminal_id=till.place.terminal_id, station_id=till.place.station_id, since=since)
    said = await told(till.request.app.state, session, zone=till.view.zone, now=till.now)
    return {
        "told": as_parts(said, till.words, till.f.when),
        "fills": [
            (fill, till.either(fill.name_zh, fill.name_en), fill.locked_until is not None and fill.locked_until > till.now)
            for fill in fills
        ],
        "moves": rows_of(till, moved),
    }


def rows_of(till: Till, moved: list[queries.Movement]) -> list[dict[str, Any]]:
    """Return the shift's list as a page draws it."""
    return [_row(till, each) for each in moved]


def _row(till: Till, move: queries.Movement) -> dict[str, Any]:
    """Return one line of the shift's list as the page draws it."""
    _ = till.gettext
    label, tone = TAGS[move.kind].get(move.status, (move.status, ""))
    if move.kind == "topup":
        what = _("Top-up · %(tender)s", tender=_(TENDERS.get(move.tender or "", move.tender or "")))
    else:
        product = till.either(move.product_zh, move.product_en)
        parts = [product or _("Shop"), _("nozzle %(nozzle)s", nozzle=move.nozzle) if move.nozzle is not None else ""]
        what = " · ".join(part for part in parts if part)
    where = {
        "sale": f"{HOME}/sales/{reference(move.account_id, move.subject_id)}",
        "refund": f"{HOME}/sales/{reference(move.account_id, move.subject_id)}",
        "authorization": f"{HOME}/authorisations/{reference(move.account_id, move.subject_id)}",
        "topup": f"{HOME}/top-ups/{move.subject_id}",
    }
    return {
        "at": till.f.clock(move.at),
        "full": till.f.instant(move.at),
        "tail": move.tail or "",
        "what": what,
        "quantity": till.f.quantity(move.quantity_milli, move.unit or "L") if move.quantity_milli else "",
        "amount": till.money(move.amount_minor),
        "tag": _(label),
        "tone": tone,
        "href": where[move.kind],
    }


async def _chosen_fill(till: Till, session: AsyncSession, given: str = "") -> queries.FillLine | None:
    wanted = given or till.request.query_params.get("fill", "")
    if not wanted:
        return None
    fills = await queries.unpaid_fills(session, station_id=till.place.station_id)
    return next((fill for fill in fills if str(fill.fill_id) == wanted), None)


async def _cards_for(session: AsyncSession, typed: str) -> tuple[list[Card], str]:
    """Return the cards that what was typed may mean, and the holder's code where it was one."""
    if not typed:
        return [], ""
    if _TOKEN.match(typed):
        try:
            index = read_code(typed).index
        except TokenError:
            return [], ""
        return await _by_index(session, index), typed
    if _NUMBER.match(typed) and (by_number := await _by_index(session, number_index(typed))):
        return by_number, ""
    by_plate = await queries.cards_by_plate(session, plate=plate_key(typed))
    if by_plate:
        return [await get_card(session, card_id=card_id) for card_id in by_plate], ""
    cards: list[Card] = []
    for hit in await find_customers(session, text=typed, limit=8):
        held = await cards_of_customer(session, customer_id=hit.customer.customer_id)
        cards += [card for card in held if card.status not in {CardStatus.REPLACED, CardStatus.CLOSED}]
    return cards[:20], ""


async def _by_index(session: AsyncSession, index: bytes) -> list[Card]:
    try:
        return [await find_by_index(session, index=index)]
    except CardNotFound:
        return []


async def _found(till: Till, session: AsyncSession, card: Card, onward: str) -> FoundCard:
    product = await get_product(session, product_id=card.product_id)
    names = await names_of(session, customer_ids=[card.customer_id]) if card.customer_id else {}
    label, tone = STATUSES[card.status]
    title = names.get(card.customer_id, "") if card.customer_id else till.gettext(KINDS[product.kind])
    note = " · ".join(
        part for part in (till.either(product.name_zh, product.name_en), f"•••• {card.number_tail}", card.plate or "") if part
    )
    return FoundCard(f"{HOME}/cards/{card.card_id}{onward}", title, note, till.gettext(label), tone)


def _missing(till: Till, typed: str) -> str:
    _ = till.gettext
    if _TOKEN.match(typed):
        return _("That code is not valid any more. Ask the customer to refresh it and scan again.")
    if _NOZZLE.match(typed):
        return _("No unpaid fill waits at nozzle %(nozzle)s.", nozzle=typed)
    if _NUMBER.match(typed):
        return _("No card has this number. Check it, or swipe again.")
    return _("Nobody was found. Type the whole phone or document number, the plate, or the beginning of the name.")


handlers = [home, live, find, which_card]
